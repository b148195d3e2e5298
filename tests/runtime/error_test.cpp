// What goes wrong at run time: messages with node, got and expected; limits; cancellation.
#include <chrono>
#include <thread>

#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

class Failing : public testing::Test {
 protected:
  void start(ingot_session_options options = {}) {
    model_ = load_file(failing());
    session_ = session(model_, options);
    index_.assign(1000, 5);
  }
  ingot_status run(int64_t mode) {
    mode_ = mode;
    Tensor m(&mode_, {1}, INGOT_I64), index(index_.data(), {static_cast<int64_t>(index_.size())}, INGOT_I64);
    EXPECT_EQ(ingot_session_bind_input(session_.get(), 0, m), INGOT_OK);
    EXPECT_EQ(ingot_session_bind_input(session_.get(), 1, index), INGOT_OK);
    return ingot_session_run(session_.get());
  }
  std::string error() { return ingot_session_error(session_.get()); }

  ModelPtr model_{nullptr, ingot_model_free};
  SessionPtr session_{nullptr, ingot_session_free};
  std::vector<int64_t> index_;
  int64_t mode_ = 0;
};

TEST_F(Failing, NamesNodeAndValues) {
  start();
  index_[500] = 100;
  EXPECT_EQ(run(0), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "got index 100, expected less than 100\n  in node 'gather_1' (Gather)\n  with n = 1000");
  EXPECT_EQ(error(), ingot_last_error());
  EXPECT_EQ(run(1), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "batch must be even\n  in node 'assert_0'\n  with n = 1000");
  EXPECT_EQ(run(2), INGOT_INVALID_ARGUMENT);
  EXPECT_EQ(
      error(),
      "input 'index': got 7 as dimension 0, expected 8: i64[n]\n  in node 'reshape_2' (Reshape)\n  with n = 1000");
  EXPECT_EQ(run(8), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "got value 1, which is out of range\n  with n = 1000");
}

// Whatever compiled code says, there is a message and no crash.
TEST_F(Failing, OddStatusCodes) {
  start();
  EXPECT_EQ(run(5), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "output 'out' was not written");
  EXPECT_EQ(run(7), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "the model failed");
  EXPECT_EQ(run(9), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "a condition of the model does not hold\n  with n = 1000");
  EXPECT_EQ(run(11), INGOT_RUN_FAILED);
  EXPECT_EQ(error(), "output 'out': got f32[1], which does not fit its type\n  with n = 1000");
  EXPECT_EQ(run(20), INGOT_OK) << "and the session is usable afterwards";
  EXPECT_EQ(error(), "");
  EXPECT_EQ(values_of<int64_t>(output_of(session_, 0))[0], 20);
}

// The lowest index is named, with any number of threads, in nested loops too.
TEST_F(Failing, TheSameErrorWithAnyThreads) {
  for (int threads : {1, 2, 7, 64}) {
    ingot_session_options options = {};
    options.threads = threads;
    options.parallel_for = [](void*, int64_t count, void (*task)(void*, int64_t), void* data) {
      std::vector<std::thread> pool;
      for (int64_t i = 0; i < count; i++) pool.emplace_back(task, data, i);
      for (auto& t : pool) t.join();
    };
    start(options);
    index_[300] = -101;
    index_[301] = 777;
    index_[999] = 888;
    for (int mode : {0, 10}) {
      EXPECT_EQ(run(mode), INGOT_RUN_FAILED);
      EXPECT_EQ(
          error(),
          "got index -101 on an axis of 100, expected at least -100\n  in node 'gather_1' (Gather)\n  with n = 1000");
    }
  }
}

TEST_F(Failing, MemoryLimit) {
  ingot_session_options options = {};
  options.memory_limit_bytes = 1 << 20;
  start(options);
  EXPECT_EQ(run(3), INGOT_LIMIT);
  EXPECT_EQ(error(), "got 0 bytes held and 1073741824 more for a tensor, expected at most 1048576\n  with n = 1000");
  EXPECT_EQ(run(6), INGOT_OK) << error();
  EXPECT_GE(ingot_session_memory_bytes(session_.get()), 8000);
  EXPECT_LE(ingot_session_memory_bytes(session_.get()), 1 << 20);
  auto big = load_file(static_add());
  options.memory_limit_bytes = 1000;
  options.size_bytes = sizeof options;
  ingot_session* none = nullptr;
  EXPECT_EQ(ingot_session_create(big.get(), &options, &none), INGOT_LIMIT);
  EXPECT_STREQ(ingot_last_error(), "got 0 bytes held and 24576 more for the arena, expected at most 1000");
}

TEST_F(Failing, Cancel) {
  start();
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ingot_session_cancel(session_.get());
  });
  EXPECT_EQ(run(4), INGOT_CANCELLED);
  other.join();
  EXPECT_EQ(error(), "cancelled");
  EXPECT_EQ(run(20), INGOT_OK) << "the flag is used up";
  ingot_session_cancel(session_.get());
  EXPECT_EQ(run(20), INGOT_CANCELLED);
  EXPECT_EQ(error(), "cancelled before the run");
  EXPECT_EQ(run(20), INGOT_OK);
}

TEST_F(Failing, TimeLimit) {
  ingot_session_options options = {};
  options.time_limit_ms = 20;
  start(options);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(4), INGOT_LIMIT);
  auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(error(), "the run took longer than its limit of 20 ms");
  EXPECT_GE(took, std::chrono::milliseconds(20));
  EXPECT_LT(took, std::chrono::seconds(10));
  EXPECT_EQ(run(20), INGOT_OK);
}

TEST_F(Failing, OneThreadAtATime) {
  start();
  std::thread other([&] { EXPECT_EQ(run(4), INGOT_CANCELLED); });
  ingot_status status;
  const DLTensor* t;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    status = ingot_session_get_output(session_.get(), 0, &t);
  } while (status == INGOT_NOT_RUN);
  EXPECT_EQ(status, INGOT_BUSY);
  EXPECT_STREQ(ingot_last_error(), "the session is in use by another thread");
  ingot_session_cancel(session_.get());
  other.join();
}

TEST_F(Failing, NoPlaceForResults) {
  start();
  EXPECT_EQ(run(20), INGOT_OK);
  EXPECT_EQ(ingot_session_get_output(session_.get(), 0, nullptr), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_last_error(), "got no place for the output");
  EXPECT_EQ(ingot_session_get_output_object(session_.get(), 0, nullptr), INGOT_INVALID_ARGUMENT);
  EXPECT_EQ(ingot_session_profile(session_.get(), nullptr, nullptr), INGOT_INVALID_ARGUMENT);
  DLTensor t = {};  // of the second input, i64[n]
  t.device = {kDLCPU, 0};
  t.dtype = {kDLInt, 64, 1};
  t.ndim = 1;
  EXPECT_EQ(ingot_session_set_input(session_.get(), 1, &t), INGOT_INVALID_ARGUMENT);
  EXPECT_EQ(error(), "input 'index': got no shape, expected i64[n]");
}

// Options that are not filled in, or are newer than the runtime, are refused and not ignored.
TEST(Errors, Options) {
  auto model = load_file(static_add());
  struct {
    ingot_session_options known;
    int64_t newer;
  } o = {};
  ingot_session* s = nullptr;
  auto create = [&] {
    ingot_status status = ingot_session_create(model.get(), &o.known, &s);
    ingot_session_free(s);
    return status;
  };
  EXPECT_EQ(create(), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_last_error(), "got options of 0 bytes, expected size_bytes to be their size");
  o.known.size_bytes = sizeof o;
  EXPECT_EQ(create(), INGOT_OK);
  o.newer = 1;
  EXPECT_EQ(create(), INGOT_UNSUPPORTED);
  o.newer = 0;
  o.known.flags = 16;
  EXPECT_EQ(create(), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_last_error(), "got session flags 0x10, expected a subset of 0xf");
  o.known.flags = 0;
  o.known.size_bytes = offsetof(ingot_session_options, parallel_for);
  EXPECT_EQ(create(), INGOT_OK) << "older callers know fewer fields";
  o.known.memory_limit_bytes = -1;
  EXPECT_EQ(create(), INGOT_INVALID_ARGUMENT);
}

TEST(Errors, EveryStatusHasAText) {
  for (int i = 0; i <= INGOT_OUT_OF_BOUNDS; i++)
    EXPECT_STRNE(ingot_status_text(static_cast<ingot_status>(i)), "unknown status") << i;
  EXPECT_STREQ(ingot_status_text(static_cast<ingot_status>(99)), "unknown status");
}

}  // namespace
}  // namespace ingot::test
