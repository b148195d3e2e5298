// Chains of products as one kernel over row blocks, against the sums they stand for; and when there is none.
#include <gtest/gtest.h>

#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

constexpr double kError = 2e-5;  // of the largest output: exponentials, and sums in another order

// Every head attends to itself. `between`: what becomes of the scores %s before they are %p.
std::string attention(const std::string& x, const std::string& between, const std::string& more = "",
                      const std::string& inputs = "", const std::string& outputs = "%y") {
  return "graph net(%x: f32[" + x + "]" + inputs + ") -> (" + outputs +
         ") {\n  %t = transpose %x {perm = [0, 1, 3, 2]}\n" + "  %s = mat_mul %x, %t\n" + between +
         "  %o = mat_mul %p, %x\n" + (more.empty() ? "  %y = transpose %o {perm = [0, 2, 1, 3]}\n" : more) + "}\n";
}

const std::string kSoftmax = "  %p = softmax %s {axis = -1}\n";

TEST(Chain, AttentionOfRowsInEqualStrips) {
  expect_schedule("row blocks", attention("1, 4, 300, 16", kSoftmax), {1, 4, 300, 16}, kError);
}

TEST(Chain, AttentionOfRowsInStripsOfTwoSizes) {
  expect_schedule("row blocks", attention("1, 4, 301, 16", kSoftmax), {1, 4, 301, 16}, kError);
}

TEST(Chain, AttentionWithAMaskAndAScale) {
  expect_schedule("row blocks",
                  attention("2, 3, 233, 24", "  %c = mul %s, %f\n  %m = add %c, %mask\n  %p = softmax %m {axis = -1}\n",
                            "", ", %f: f32[1], %mask: f32[2, 1, 233, 233]"),
                  {2, 3, 233, 24}, kError);
}

TEST(Chain, AttentionOfABatchThatTheRunKnows) {
  expect_schedule("row blocks", attention("n, 4, 96, 16", kSoftmax), {9, 4, 96, 16}, kError);
}

TEST(Chain, RowsTooLongForAStripAreKernelsOfTheirOwn) {
  const std::string text = attention("1, 1, 6000, 4", kSoftmax);
  for (const std::string& target : runnable_targets()) EXPECT_EQ(kernels_of("row blocks", text, target), 0) << target;
}

TEST(Chain, NoRowsNoStrips) {
  for (const char* x : {"0, 4, 96, 16", "2, 0, 96, 16", "2, 4, 0, 16"}) {
    const std::string text = attention(x, kSoftmax);
    for (const std::string& target : runnable_targets()) EXPECT_EQ(kernels_of("row blocks", text, target), 0) << target;
  }
}

TEST(Chain, ScoresThatSomebodyElseReads) {
  const std::string text = attention("1, 4, 300, 16", kSoftmax, "  %y = relu %o\n", "", "%y, %p");
  for (const std::string& target : runnable_targets()) EXPECT_EQ(kernels_of("row blocks", text, target), 0) << target;
}

TEST(Chain, ASumOverTheRowsEndsIt) {
  const std::string between = "  %p = softmax %s {axis = 2}\n";
  const std::string text = attention("1, 4, 300, 16", between);
  for (const std::string& target : runnable_targets()) EXPECT_EQ(kernels_of("row blocks", text, target), 0) << target;
}

TEST(Chain, DepthwiseAndPointwise) {
  const std::string net =
      R"(graph net(%x: f32[1, 72, 61, 63], %w: f32[72, 1, 3, 3], %b: f32[72], %v: f32[24, 72, 1, 1], %c: f32[24]) -> (%y) {
  %d = conv %x, %w, %b {pads = [1, 1, 1, 1], group = 72}
  %r = relu %d
  %p = conv %r, %v, %c
  %y = relu %p
}
)";
  expect_schedule("row blocks", net, {1, 72, 61, 63}, kError);
}

TEST(Chain, TwoLayersOfAPerceptron) {
  const std::string net = R"(graph net(%x: f32[1400, 48], %w: f32[48, 200], %b: f32[200], %v: f32[200, 48]) -> (%y) {
  %h = mat_mul %x, %w
  %i = add %h, %b
  %g = gelu %i
  %o = mat_mul %g, %v
  %y = add %o, %x
}
)";
  expect_schedule("row blocks", net, {1400, 48}, kError);
}

TEST(Chain, ABatchOfTheFirstProductThatTheSecondHasNot) {
  const std::string net = R"(graph net(%x: f32[60, 100, 8], %w: f32[60, 8, 64], %v: f32[1, 64, 24]) -> (%y) {
  %h = mat_mul %x, %w
  %g = relu %h
  %y = mat_mul %g, %v
}
)";
  expect_schedule("row blocks", net, {60, 100, 8}, kError);
}

TEST(Chain, IsLeftOutByName) {
  PipelineOptions options;
  options.disabled = {"chains"};
  EXPECT_EQ(kernels_of("row blocks", attention("1, 4, 300, 16", kSoftmax), "host", options), 0);
}

}  // namespace
}  // namespace ingot::test
