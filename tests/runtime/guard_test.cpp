// Sessions that find what strays: unreadable pages and canaries around each piece of memory, and patterns in it.
#include "runtime/poison.h"
#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

class Guard : public ::testing::TestWithParam<int64_t> {  // where: arena, temporary, output
 protected:
  // The byte that was there; -1 where the run failed.
  static int64_t stray(int64_t where, int64_t at, uint32_t flags, uint64_t seed = 0) {
    auto model = load_file(strays());
    ingot_session_options options = {};
    options.flags = flags, options.poison_seed = seed;
    auto s = session(model, options);
    const int64_t in[2] = {where, at};
    EXPECT_EQ(ingot_session_bind_input(s.get(), 0, Tensor(in, {2}, INGOT_I64)), INGOT_OK);
    if (const ingot_status status = ingot_session_run(s.get()); status != INGOT_OK) {
      EXPECT_EQ(status, INGOT_OUT_OF_BOUNDS);
      return -1;
    }
    return values_of<int64_t>(output_of(s, 1))[0];
  }
};

TEST_P(Guard, InsideIsFine) {
  for (int64_t at : {0, 19}) EXPECT_EQ(stray(GetParam(), at, INGOT_SESSION_GUARD), 0) << at;
}

TEST_P(Guard, AWriteRightBesideFailsTheRun) {
  EXPECT_EQ(stray(GetParam(), 20, INGOT_SESSION_GUARD), -1);
  EXPECT_STREQ(ingot_last_error(), "the run wrote beside the memory of a tensor");
  // Before a temporary lies what the runtime notes of it; before the others, bytes that nobody owns.
  if (GetParam() != 1) {
    EXPECT_EQ(stray(GetParam(), -1, INGOT_SESSION_GUARD), -1);
  }
}

TEST_P(Guard, FartherOffIsASegmentationFault) {
  EXPECT_EXIT(stray(GetParam(), 32, INGOT_SESSION_GUARD), ::testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(stray(GetParam(), -4096, INGOT_SESSION_GUARD), ::testing::KilledBySignal(SIGSEGV), "");
}

TEST_P(Guard, MemoryBeginsWithThePattern) {
  for (uint64_t seed : {0, 1, 2, 3}) {
    const auto want = static_cast<int64_t>(ingot_poison_word(seed) & 0xff);
    EXPECT_EQ(stray(GetParam(), 0, INGOT_SESSION_POISON, seed), want) << seed;
    EXPECT_EQ(stray(GetParam(), 0, INGOT_SESSION_POISON | INGOT_SESSION_GUARD, seed), want) << seed;
  }
}

std::string place(const ::testing::TestParamInfo<int64_t>& info) {
  static const char* const kPlaces[] = {"arena", "temporary", "output"};
  return kPlaces[info.param];
}
INSTANTIATE_TEST_SUITE_P(Memory, Guard, ::testing::Values(0, 1, 2), place);

// Every run begins anew, with memory of its own sizes.
TEST(GuardedRuns, RunsOfOneSession) {
  auto model = load_file(dynamic());
  ingot_session_options options = {};
  options.flags = INGOT_SESSION_GUARD | INGOT_SESSION_POISON, options.poison_seed = 5;
  auto s = session(model, options);
  for (int64_t n : {3, 1000, 1, 4096, 7}) {
    std::vector<float> x(static_cast<size_t>(n), 2), a(static_cast<size_t>(n), 3);
    const Tensor tx(x.data(), {n}, INGOT_F32), ta(a.data(), {n}, INGOT_F32);
    ASSERT_EQ(ingot_session_bind_input(s.get(), 0, tx), INGOT_OK);
    ASSERT_EQ(ingot_session_bind_input(s.get(), 1, ta), INGOT_OK);
    ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
    EXPECT_EQ(values_of<float>(output_of(s, 0)), std::vector<float>(static_cast<size_t>(2 * n), 2));
    EXPECT_EQ(values_of<float>(output_of(s, 1)), std::vector<float>(static_cast<size_t>(n * n), 5));
  }
}

}  // namespace
}  // namespace ingot::test
