// The pool: results do not depend on threads, many sessions at once, fork, denormals, no allocation.
#include <sys/wait.h>

#include <cfenv>
#include <cmath>
#include <numeric>
#include <thread>

#include "tests/runtime/common.h"
#include "tests/runtime/inside.h"

namespace ingot::test {
namespace {

std::vector<float> ramp(size_t n) {
  std::vector<float> x(n);
  std::iota(x.begin(), x.end(), 0.f);
  return x;
}

void run_and_check(const SessionPtr& s, float add) {
  auto x = ramp(2048 * 3);
  for (auto& v : x) v += add;
  Tensor in(x.data(), {2048, 3}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, in), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_session_error(s.get());
  auto y = values_of<float>(output_of(s, 0));
  for (size_t i = 0; i < x.size(); i++) ASSERT_EQ(y[i], x[i] + kWeights[i % 3]);
}

// Each index is visited once, whatever count, grain and threads.
TEST(Threads, EveryItemOnce) {
  for (int64_t count : {0, 1, 2, 15, 16, 17, 1000, 100003})
    for (int64_t grain : {1, 7, 16, 5000})
      for (int32_t threads : {1, 2, 3, 16}) {
        auto visits = parallel_visits(count, grain, threads);
        ASSERT_EQ(visits.size(), static_cast<size_t>(count));
        for (int n : visits) ASSERT_EQ(n, 1) << count << " " << grain << " " << threads;
      }
}

TEST(Threads, RangesKeepTheGrain) {
  for (auto [begin, end] : parallel_ranges(1000, 16, 8)) {
    EXPECT_EQ(begin % 16, 0);
    EXPECT_TRUE(end - begin >= 16 || end == 1000);
  }
}

// Parts side by side: each item once, each part's grain kept, and no range of two parts.
TEST(Threads, EveryItemOfEveryPartOnce) {
  const std::vector<std::vector<Part>> groups = {
      {{1, 1, 5000000}, {1, 1, 5000000}},
      {{1, 5, 400000}, {672, 178, 14044}, {1, 1, 90000000}, {0, 1, 1}, {33, 4, 700000}},
      {{0, 1, 1}, {0, 1, 1}},
      {{7, 3, 1}, {9, 100, 2}},
      {{100003, 16, 3000}, {-5, 1, 1}, {17, 1, 1000000000}, {1, 1, 0}},
      std::vector<Part>(16, Part{64, 4, 100000}),
  };
  for (const auto& parts : groups) {
    for (int32_t threads : {1, 2, 3, 16, 100}) {
      std::vector<std::vector<int>> seen;
      std::vector<int64_t> before;
      int64_t sum = 0;
      for (const Part& p : parts) {
        seen.emplace_back(static_cast<size_t>(std::max<int64_t>(0, p.count)), 0);
        before.push_back(sum);
        sum += std::max<int64_t>(0, p.count);
      }
      for (const Visit& v : group_visits(parts, threads)) {
        const Part& p = parts[static_cast<size_t>(v.part)];
        for (int64_t i = v.begin; i < v.end; i++) seen[static_cast<size_t>(v.part)][static_cast<size_t>(i)]++;
        EXPECT_EQ(v.begin % p.grain, 0);
        EXPECT_TRUE(v.end - v.begin >= p.grain || v.end == p.count);
        if (v.current >= 0) {
          EXPECT_EQ(v.current, before[static_cast<size_t>(v.part)] + v.begin);
        }
      }
      for (const auto& part : seen)
        for (int n : part) ASSERT_EQ(n, 1) << threads;
    }
  }
}

// Of several parts that fail, the first one's status is the group's, whoever ran first.
TEST(Threads, TheFirstFailureOfAGroupWins) {
  for (int round = 0; round < 50; round++) {
    int32_t status = 0;
    group_visits({{8, 1, 3000000}, {8, 1, 3000000}, {8, 1, 3000000}}, 3, {1, 2}, &status);
    EXPECT_EQ(status, 2);
  }
  int32_t status = 7;
  group_visits({{8, 1, 3000000}, {8, 1, 3000000}}, 2, {}, &status);
  EXPECT_EQ(status, 0);
}

TEST(Threads, ManySessionsAtOnce) {
  auto model = load_file(static_add());
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; t++)
    callers.emplace_back([&, t] {
      auto s = session(model);
      for (int i = 0; i < 50; i++) run_and_check(s, static_cast<float>(t));
    });
  for (auto& c : callers) c.join();
}

TEST(Threads, ThreadsOfTheCaller) {
  auto model = load_file(static_add());
  int64_t tasks = 0;
  ingot_session_options options = {};
  options.threads = 5;
  options.parallel_user = &tasks;
  options.parallel_for = [](void* user, int64_t count, void (*task)(void*, int64_t), void* data) {
    *static_cast<int64_t*>(user) += count;
    std::vector<std::thread> pool;
    for (int64_t i = 0; i < count; i++) pool.emplace_back(task, data, i);
    for (auto& t : pool) t.join();
  };
  auto s = session(model, options);
  run_and_check(s, 0);
  EXPECT_EQ(tasks, 5);
}

TEST(Threads, AfterFork) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer cannot follow a fork of threads";
#endif
  auto model = load_file(static_add());
  auto s = session(model);
  run_and_check(s, 0);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    run_and_check(s, 1);
    auto other = session(model);
    run_and_check(other, 2);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// Denormals are kept unless asked otherwise; the mode of the caller's thread neither matters nor changes.
TEST(Threads, DenormalsAndRounding) {
  auto model = load_file(denormal());
  std::vector<float> x(4096, std::ldexp(1.f, -126));
  ingot_session_options options = {};
  auto keep = session(model, options);
  options.flags = INGOT_SESSION_FLUSH_DENORMALS;
  auto flush = session(model, options);
  std::fesetround(FE_UPWARD);
  for (int i = 0; i < 3; i++) {
    for (auto* s : {&keep, &flush}) {
      ASSERT_EQ(ingot_session_bind_input(s->get(), 0, Tensor(x.data(), {4096}, INGOT_F32)), INGOT_OK);
      ASSERT_EQ(ingot_session_run(s->get()), INGOT_OK);
      float expected = s == &keep ? std::ldexp(1.f, -127) : 0.f;
      for (float y : values_of<float>(output_of(*s, 0))) ASSERT_EQ(y, expected);
    }
    EXPECT_EQ(std::fegetround(), FE_UPWARD);
  }
  std::fesetround(FE_TONEAREST);
}

TEST(Threads, PoolSize) {
  EXPECT_GE(ingot_thread_count(), 1);
  EXPECT_LE(ingot_thread_count(), 1024);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// After the first run of a static model nothing is allocated; dynamic models find their memory again.
TEST(Memory, RunsDoNotAllocate) {
  auto model = load_file(static_add());
  auto s = session(model);
  auto x = ramp(2048 * 3);
  Tensor in(x.data(), {2048, 3}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, in), INGOT_OK);
  int64_t before = allocations();
  int64_t held = ingot_session_memory_bytes(s.get());
  for (int i = 0; i < 20; i++) ingot_session_run(s.get());
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(ingot_session_memory_bytes(s.get()), held);
  EXPECT_STREQ(ingot_session_error(s.get()), "");
  void* volatile one = std::malloc(1);
  std::free(one);
  EXPECT_EQ(allocations(), before + 1) << "the counter counts";

  auto other = load_file(dynamic());
  auto d = session(other);
  Tensor n(x.data(), {600}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(d.get(), 0, n), INGOT_OK);
  ASSERT_EQ(ingot_session_bind_input(d.get(), 1, n), INGOT_OK);
  ASSERT_EQ(ingot_session_run(d.get()), INGOT_OK) << ingot_last_error();
  before = allocations();
  for (int i = 0; i < 20; i++) ASSERT_EQ(ingot_session_run(d.get()), INGOT_OK);
  EXPECT_EQ(allocations(), before);
}
#endif

// Runs with other shapes do not pile up memory.
TEST(Memory, IsGivenBack) {
  auto model = load_file(dynamic());
  auto s = session(model);
  auto x = ramp(4096);
  auto run = [&](int64_t n) {
    Tensor t(x.data(), {n}, INGOT_F32);
    EXPECT_EQ(ingot_session_bind_input(s.get(), 0, t), INGOT_OK);
    EXPECT_EQ(ingot_session_bind_input(s.get(), 1, t), INGOT_OK);
    EXPECT_EQ(ingot_session_run(s.get()), INGOT_OK);
  };
  for (int round = 0; round < 3; round++)
    for (int64_t n = 1; n < 4096; n = n * 3 / 2 + 1) run(n);
  EXPECT_LT(ingot_session_memory_bytes(s.get()), 4096 * 4096 * 4 + (4 << 20));
}

}  // namespace
}  // namespace ingot::test
