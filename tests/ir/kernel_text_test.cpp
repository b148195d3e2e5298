// The text form of K: every text prints as it was read, and what is wrong in it is named.
#include <gtest/gtest.h>

#include "ir/kernel/parse.h"

namespace ingot::k {
namespace {

void round_trips(const std::string& text) {
  auto p = parse_program(text);
  ASSERT_TRUE(p) << p.error().message << "\n" << text;
  EXPECT_EQ(str(*p), text);
}

void fails(const std::string& text, const std::string& message) {
  auto p = parse_program(text);
  ASSERT_FALSE(p) << text;
  EXPECT_NE(p.error().message.find(message), std::string::npos) << p.error().message;
}

TEST(KernelText, ConvolutionWithItsEpilogue) {
  round_trips(R"(symbols n >= 1
kernels conv {
  origins ["conv_1", "relu_2"]
  input %x: f32[n, 3, 8, 8]
  input %w: f32[4, 3, 3, 3]
  constant %b: f32[4] dense<[1.0, 2.0, 3.0, 4.0]>
  %acc: f32[n, 4, 8, 8] = reduce sum (i0, i1, i2, i3) over (r0 < 3, r1 < 3, r2 < 3): %x[i0, r0, i2 + r1 - 1, i3 + r2 - 1 | 0.0] * %w[i1, r0, r1, r2] @0
  %y: f32[n, 4, 8, 8] = map (i0, i1, i2, i3): max(%acc[i0, i1, i2, i3] + %b[i1], 0.0) @1
  output %y
}
)");
}

TEST(KernelText, EveryKindOfStage) {
  round_trips(R"(symbols n in [1, 64], k, p in [0, 9]
kernels "all kinds" {
  input %x: f32[n]
  input %idx: i64[n]
  %v: f32[], %at: i64[] = reduce argmax_first () over (r0 < n): %x[r0], r0
  %c: f32[n] = scan sum (i0) along 0 exclusive reverse: %x[i0]
  %s: f32[n] = scatter sum %x (i0 < n) at [%idx[i0]] skip_outside: 1.0
  %t: i64[n], %u: f64[n] = walk (i0) limit 100 from (0, 1.5) while s.0 < %idx[i0]: s.0 + 1, s.1 * f64(%x[s.0])
  %z: i64[1, k] = call non_zero(%x, _) ints [1, -2] floats [0.5] strings ["a\"b"] decides (k)
  read %idx (0: p)
  check ((p < n)) "got a position past the end"
  check ((p < n)) "less than n" got (p + 1)
  %e: bool[n] = map (i0): (%x[i0] < 1.0) & is_nan(%x[i0])
  output %v, %at, %c, %s, %t, %u, %z, %e
}
)");
}

TEST(KernelText, ControlFlow) {
  round_trips(R"(symbols h, a, b
kernels control {
  input %flag: bool[]
  input %trips: i64[]
  input %x: i64[1]
  %r: i64[a] = if %flag decides (a) {
    %p: i64[2] = map (i0): %x[0]
    yield %p with (2)
  } else {
    %q: i64[3] = map (i0): i0
    yield %q with (3)
  }
  %o: i64[a], %l: i64[b] = loop %trips, _ carry %x decides (a, b) carried (h = 1) (%it: i64[], %go: bool[], %in: i64[h]) {
    %out: i64[h + 1] = map (i0): %in[i0 | %it[]]
    %piece: i64[] = map (): %it[] * 10
    yield %go, %out, %piece with (h + 1)
  }
  output %r, %l
}
)");
}

TEST(KernelText, TypesOfNumbers) {
  round_trips(R"(kernels numbers {
  input %x: f16[4]
  input %i: i8[4]
  input %u: u64[4]
  %a: f32[4] = map (i0): f32(%x[i0] + 0.5) * (-inf)
  %b: bool[4] = map (i0): %i[i0] <= (-128)
  %c: f64[4] = map (i0): exp(1.5)
  %d: bool[4] = map (i0): exp(f64(2.5)) < f64(%i[i0])
  %e: u64[4] = map (i0): %u[i0] & 18446744073709551614
  %f: f32[4] = map (i0): select(%b[i0], nan, 1e-10)
  %g: i16[4] = map (i0): bits_i16(%x[i0])
  %h: f8e5m2[4] = map (i0): f8e5m2(f32(%x[i0]), wrap)
  %j: i64[4] = map (i0): dim((i0 < 2)*3) + i64(%i[i0 div 2])
  output %a, %b, %c, %d, %e, %f, %g, %h, %j
}
)");
}

TEST(KernelText, SharedSubexpressionsAreNamed) {
  round_trips(R"(kernels shared {
  input %x: f32[4]
  %y: f32[4] = map (i0) let t.0: f32 = exp(%x[i0]) let t.1: f32 = t.0 + t.0: t.1 * t.1
  output %y
}
)");
}

TEST(KernelText, ErrorsNameThePlace) {
  fails("kernels a {\n  input %x: f32[2]\n  %y: f32[2] = map (i0): %z[i0]\n}\n",
        "3:26: got %z, expected a value that is defined before");
  fails("kernels a { input %x: f32[2] %y: f32[2] = map (i0, i1): %x[i0] }", "got more than 1 iterators");
  fails("kernels a { input %x: f32[2] %y: f64[2] = map (i0): %x[i0] }", "got an expression of f32, expected f64");
  fails("kernels a { input %x: f32[2] %x: f32[2] = map (i0): %x[i0] }", "got a second definition of x");
  fails("kernels a { input %x: f32[2] %y: bool[2] = map (i0): exp(1.0) < %x[i0] }", "expected one with a type");
  fails("kernels a { input %x: f32[2] %y: f32[2] = map (i0): s.0 }", "got the state s.0, which does not exist");
  fails("kernels a { input %x: f32[2] %y: f32[2] = map (i0): frob(%x[i0]) }", "got frob, expected an operation");
  fails("kernels a { %y: i64[2] = map (i0): i0 @3 }", "got origin 3, expected one below 0");
  fails("kernels a { %y: i64[2] = map (i0): " + std::string(5000, '(') + "i0", "nested deeper");
  std::string nested = "kernels a { input %c: bool[] ";
  for (int i = 0; i < 100; ++i) nested += "if %c { ";
  fails(nested, "nested deeper");
}

// Every prefix of a text is an error and nothing worse.
TEST(KernelText, PrefixesAreErrors) {
  const std::string text =
      R"(symbols n kernels a { input %x: f32[n] %y: f32[n] = map (i0) let t.0: f32 = exp(%x[i0]): t.0 + t.0
  %o: f32[n] = loop _, _ carry %x (%i: i64[], %c: bool[], %v: f32[n]) { yield %c, %v } output %y })";
  ASSERT_TRUE(parse_program(text)) << parse_program(text).error().message;
  for (size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(parse_program(std::string_view(text).substr(0, n))) << n;
}

}  // namespace
}  // namespace ingot::k
