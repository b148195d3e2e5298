// Schedules of convolutions against the sums they stand for: shapes, borders, epilogues, extents known only when run; the
// error of Winograd's algorithm; and when each is not taken.
#include <gtest/gtest.h>

#include <cmath>

#include "ir/ops/interpreter.h"
#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

constexpr double kErrorF2 = 4e-6, kErrorF4 = 4e-5;  // of the largest output; as winograd.cpp states, with some room

std::string conv(const std::string& x, int64_t c, int64_t k, const std::string& attributes = "pads = [1, 1, 1, 1]") {
  return fmt::format(
      "graph net(%x: f32[{}], %w: f32[{}, {}, 3, 3], %b: f32[{}]) -> (%y) {{\n  %a = conv %x, %w, %b {{{}}}\n  %y = relu %a\n}}\n",
      x, k, c, k, attributes);
}

void expect_close(const std::string& text, const std::vector<int64_t>& shape, double rtol,
                  const std::string& schedule = "winograd") {
  expect_schedule(schedule, text, shape, rtol);
}

TEST(Winograd, LargeImagesInTilesOfFour) {
  expect_close(conv("1, 16, 20, 20", 16, 16), {1, 16, 20, 20}, kErrorF4);
  expect_close(conv("2, 32, 21, 27", 32, 48), {2, 32, 21, 27}, kErrorF4);  // sides that tiles do not divide
}

TEST(Winograd, SmallImagesInTilesOfTwo) {
  expect_close(conv("1, 32, 8, 8", 32, 32), {1, 32, 8, 8}, kErrorF2);
  expect_close(conv("3, 16, 9, 11", 16, 64), {3, 16, 9, 11}, kErrorF2);
}

TEST(Winograd, Borders) {
  expect_close(conv("1, 32, 23, 25", 32, 32, "pads = [2, 0, 1, 3]"), {1, 32, 23, 25}, kErrorF4);
  expect_close(R"(graph net(%x: f32[1, 32, 26, 26], %w: f32[32, 32, 3, 3]) -> (%y) {
  %r = relu %x
  %y = conv %r, %w
}
)",
               {1, 32, 26, 26}, kErrorF4);
}

TEST(Winograd, ExtentsKnownWhenRun) {
  const std::string text = conv("n, 16, h, w", 16, 32);
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{1, 16, 1, 1}, {7, 16, 7, 7}, {1, 16, 3, 50}, {2, 16, 33, 30}})
    expect_close(text, shape, kErrorF4);
}

// The residual comes in at the epilogue, and the sum goes out of it.
TEST(Winograd, EpilogueReadsOtherValues) {
  expect_close(R"(graph net(%x: f32[1, 16, 28, 28], %w: f32[16, 16, 3, 3], %b: f32[16]) -> (%y) {
  %a = conv %x, %w, %b {pads = [1, 1, 1, 1]}
  %s = add %a, %x
  %y = sigmoid %s
}
)",
               {1, 16, 28, 28}, kErrorF4);
}

TEST(Winograd, NotForOtherConvolutions) {
  EXPECT_EQ(kernels_of("winograd", conv("1, 16, 32, 32", 16, 16, "strides = [2, 2]"), "host"), 0);
  EXPECT_EQ(kernels_of("winograd", conv("1, 16, 32, 32", 16, 16, "dilations = [2, 2]"), "host"), 0);
  EXPECT_EQ(kernels_of("winograd", conv("1, 3, 32, 32", 3, 16), "host"), 0);  // few channels
  EXPECT_EQ(kernels_of("winograd", conv("1, 64, 6, 6", 64, 64), "host"), 0);  // few pixels
}

TEST(Winograd, CanBeLeftOut) {
  const std::string text = conv("1, 16, 32, 32", 16, 16);
  PipelineOptions without;
  without.disabled = {"winograd"};
  EXPECT_EQ(kernels_of("winograd", text, "host", without), 0);
  PipelineOptions small;
  small.optimize_for = OptimizeFor::Size;
  EXPECT_EQ(kernels_of("winograd", text, "host", small), 0);
}

constexpr double kErrorSums = 2e-6;

TEST(NarrowSums, ThreeColumns) {
  expect_close(conv("1, 16, 30, 30", 16, 3), {1, 16, 30, 30}, kErrorSums, "narrow");
  expect_close(conv("2, 32, 9, 13", 32, 1), {2, 32, 9, 13}, kErrorSums, "narrow");
  expect_close(conv("2, 64, 7, 19", 64, 4, "pads = [1, 1, 1, 1], strides = [2, 2]"), {2, 64, 7, 19}, kErrorSums,
               "narrow");
}

TEST(NarrowSums, ExtentsKnownWhenRun) {
  const std::string text = conv("n, 16, h, w", 16, 2);
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{1, 16, 1, 1}, {7, 16, 7, 7}, {1, 16, 3, 50}})
    expect_close(text, shape, kErrorSums, "narrow");
}

TEST(NarrowSums, Products) {
  expect_close("graph net(%x: f32[37, 64], %w: f32[64, 3]) -> (%y) {\n  %a = mat_mul %x, %w\n  %y = tanh %a\n}\n",
               {37, 64}, 4e-6, "narrow");
}

TEST(NarrowSums, NotForManyColumnsOrShortSums) {
  EXPECT_EQ(kernels_of("narrow", conv("1, 16, 30, 30", 16, 5), "host"), 0);
  EXPECT_EQ(
      kernels_of("narrow", "graph net(%x: f32[37, 6], %w: f32[6, 3]) -> (%y) {\n  %y = mat_mul %x, %w\n}\n", "host"),
      0);
}

}  // namespace
}  // namespace ingot::test
