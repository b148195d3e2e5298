#include "tools/driver/worker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

namespace ingot::driver {
namespace {

std::map<int, JobResult> run(int count, WorkerOptions options, const std::function<std::string(int)>& job) {
  std::map<int, JobResult> results;
  run_isolated(count, options, job, [&](int i, JobResult r) { results[i] = std::move(r); });
  return results;
}

TEST(Worker, each_job_is_done_once) {
  auto results = run(50, {3, 10, 0}, [](int i) { return "job " + std::to_string(i); });
  ASSERT_EQ(results.size(), 50u);
  for (auto& [i, r] : results) {
    EXPECT_EQ(r.outcome, JobResult::Outcome::Done);
    EXPECT_EQ(r.text, "job " + std::to_string(i));
  }
}

TEST(Worker, a_crash_harms_no_other_job_and_tells_what_was_printed) {
  auto results = run(6, {2, 10, 0}, [](int i) {
    if (i == 2) std::fputs("assertion failed: x > 0\n", stderr), std::abort();
    if (i == 3) _exit(5);
    return std::string("fine");
  });
  ASSERT_EQ(results.size(), 6u);
  for (int i : {0, 1, 4, 5}) EXPECT_EQ(results[i].text, "fine");
  EXPECT_EQ(results[2].outcome, JobResult::Outcome::Crashed);
  EXPECT_EQ(results[2].text, "signal 6 (Aborted): assertion failed: x > 0");
  EXPECT_EQ(results[3].text, "exit status 5");
}

TEST(Worker, a_job_that_takes_too_long_is_ended) {
  auto results = run(3, {1, 0.3, 0}, [](int i) {
    while (i == 1) usleep(1000);
    return std::string("fine");
  });
  EXPECT_EQ(results[1].outcome, JobResult::Outcome::TimedOut);
  EXPECT_EQ(results[1].text, "took longer than 0.3 s");
  EXPECT_LT(results[1].seconds, 5);
  EXPECT_EQ(results[2].text, "fine");
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(Worker, memory_is_limited) {
  auto results = run(2, {1, 10, int64_t{64} << 20}, [](int i) {
    std::vector<char> big(i == 0 ? size_t{1} << 30 : 10, 1);
    return std::to_string(big[5]);
  });
  EXPECT_EQ(results[0].outcome, JobResult::Outcome::Crashed);
  EXPECT_EQ(results[0].text, "out of memory (limit 67.1 MB)");
  EXPECT_EQ(results[1].text, "1");
}
#endif

TEST(Worker, large_results_pass) {
  auto results = run(2, {2, 10, 0}, [](int i) { return std::string(1 << 20, static_cast<char>('a' + i)); });
  EXPECT_EQ(results[1].text, std::string(1 << 20, 'b'));
}

}  // namespace
}  // namespace ingot::driver
