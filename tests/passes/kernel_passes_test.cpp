// Passes over K, text in, text out: what must be rewritten, and what must not.
#include <gtest/gtest.h>

#include "ir/kernel/parse.h"
#include "passes/kernels/passes.h"

namespace ingot {
namespace {

using Pass = void (*)(k::Program&);
void simplify(k::Program& p) { remove_copies_and_dead(p); }
void inlining(k::Program& p) { inline_maps(p); }
void folding(k::Program& p) {
  auto ok = fold_constants(p);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
}

std::string after(Pass pass, const std::string& text) {
  auto p = k::parse_program(text);
  EXPECT_TRUE(p) << (p ? "" : p.error().message) << "\n" << text;
  if (!p) return "";
  EXPECT_EQ(k::str(*p), text) << "the input is not in the printed form";
  pass(*p);
  auto ok = k::verify(*p);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
  return k::str(*p);
}
void becomes(Pass pass, const std::string& text, const std::string& expected) {
  EXPECT_EQ(after(pass, text), expected);
}
void stays(Pass pass, const std::string& text) { EXPECT_EQ(after(pass, text), text); }

// ---- simplify ----

TEST(Simplify, ACopyIsItsOriginal) {
  becomes(simplify, R"(kernels g {
  input %x: f32[3, 4]
  %c: f32[3, 4] = map (i0, i1): %x[i0, i1]
  %y: f32[3, 4] = map (i0, i1): exp(%c[i0, i1])
  output %y
}
)",
          R"(kernels g {
  input %x: f32[3, 4]
  %y: f32[3, 4] = map (i0, i1): exp(%x[i0, i1])
  output %y
}
)");
}

TEST(Simplify, WhatNobodyReadsGoes) {
  becomes(simplify, R"(kernels g {
  input %x: f32[3]
  %a: f32[3] = map (i0): exp(%x[i0])
  %b: f32[3] = map (i0): exp(%a[i0])
  %y: f32[3] = map (i0): neg(%x[i0])
  output %y
}
)",
          R"(kernels g {
  input %x: f32[3]
  %y: f32[3] = map (i0): neg(%x[i0])
  output %y
}
)");
}

// A slice, a transpose and a broadcast are accesses, not copies.
TEST(Simplify, OtherAccessesStay) {
  stays(simplify, R"(kernels g {
  input %x: f32[4, 4]
  %a: f32[2, 4] = map (i0, i1): %x[i0, i1]
  %b: f32[4, 4] = map (i0, i1): %x[i1, i0]
  %c: f32[4, 4] = map (i0, i1): %x[i0, 0]
  output %a, %b, %c
}
)");
}

// What can fail the run, or names a symbol, is no dead code.
TEST(Simplify, ChecksAndReadsStay) {
  stays(simplify, R"(symbols n, p in [0, 9]
kernels g {
  input %x: f32[n]
  input %k: i64[1]
  read %k (0: p)
  check ((p < n)) "got a position past the end"
  %y: f32[n] = map (i0): neg(%x[i0])
  output %y
}
)");
}

// ---- inline-maps ----

TEST(Inline, AMapGoesIntoItsOnlyReader) {
  becomes(inlining, R"(kernels g {
  input %x: f32[8]
  %a: f32[8] = map (i0): exp(%x[i0])
  %y: f32[8] = map (i0): %a[i0] + 1.0
  output %y
}
)",
          R"(kernels g {
  input %x: f32[8]
  %y: f32[8] = map (i0): exp(%x[i0]) + 1.0
  output %y
}
)");
}

TEST(Inline, IndicesAreComposed) {
  becomes(inlining, R"(kernels g {
  input %x: f32[6, 4]
  %t: f32[4, 6] = map (i0, i1): %x[i1, i0]
  %s: f32[2, 3] = map (i0, i1): %t[i0*2 + 1, i1 + 3]
  %y: f32[2, 3] = map (i0, i1): neg(%s[i0, i1])
  output %y
}
)",
          R"(kernels g {
  input %x: f32[6, 4]
  %y: f32[2, 3] = map (i0, i1): neg(%x[i1 + 3, i0*2 + 1])
  output %y
}
)");
}

// An access goes into every reader, since it costs nothing there.
TEST(Inline, AnAccessGoesIntoAllReaders) {
  becomes(inlining, R"(kernels g {
  input %x: f32[6, 4]
  %t: f32[4, 6] = map (i0, i1): %x[i1, i0]
  %a: f32[4, 6] = map (i0, i1): exp(%t[i0, i1])
  %b: f32[4] = reduce sum (i0) over (r0 < 6): %t[i0, r0]
  output %a, %b
}
)",
          R"(kernels g {
  input %x: f32[6, 4]
  %a: f32[4, 6] = map (i0, i1): exp(%x[i1, i0])
  %b: f32[4] = reduce sum (i0) over (r0 < 6): %x[r0, i0]
  output %a, %b
}
)");
}

TEST(Inline, MapsGoIntoReductions) {
  becomes(inlining, R"(kernels g {
  input %x: f32[5, 9]
  %a: f32[5, 9] = map (i0, i1): exp(%x[i0, i1])
  %y: f32[5] = reduce sum (i0) over (r0 < 9): %a[i0, r0]
  output %y
}
)",
          R"(kernels g {
  input %x: f32[5, 9]
  %y: f32[5] = reduce sum (i0) over (r0 < 9): exp(%x[i0, r0])
  output %y
}
)");
}

// A read with a fill outside goes through a transpose as such a read: both have the same outside, and a convolution that
// reads a transposed image stays a contraction.
TEST(Inline, ReadsWithAFillGoThroughPermutations) {
  becomes(inlining, R"(kernels g {
  input %x: f32[6, 4]
  %t: f32[4, 6] = map (i0, i1): %x[i1, i0]
  %y: f32[4, 6] = reduce max (i0, i1) over (r0 < 3): %t[i0 + r0 - 1, i1 | -1.0]
  output %y
}
)",
          R"(kernels g {
  input %x: f32[6, 4]
  %y: f32[4, 6] = reduce max (i0, i1) over (r0 < 3): %x[i1, i0 + r0 - 1 | -1.0]
  output %y
}
)");
}

// The outside of a slice is not that of the whole.
TEST(Inline, ReadsWithAFillKeepTheBoundsOfSlices) {
  std::string text = after(inlining, R"(kernels g {
  input %x: f32[9]
  %t: f32[4] = map (i0): %x[i0 + 3]
  %y: f32[4] = map (i0): %t[i0 + 1 | -1.0] * 2.0
  output %y
}
)");
  EXPECT_EQ(text.find("|"), std::string::npos) << text;
  EXPECT_NE(text.find("select"), std::string::npos) << text;
}

// exp would be computed once per reader.
TEST(Inline, ExpensiveMapsWithTwoReadersStay) {
  stays(inlining, R"(kernels g {
  input %x: f32[8]
  %a: f32[8] = map (i0): exp(%x[i0])
  %y: f32[8] = map (i0): %a[i0] + 1.0
  %z: f32[8] = map (i0): %a[i0] * 2.0
  output %y, %z
}
)");
}

// exp would be computed for each of the 100 columns.
TEST(Inline, ExpensiveMapsAreNotRepeatedByABroadcast) {
  stays(inlining, R"(kernels g {
  input %x: f32[8]
  input %z: f32[8, 100]
  %a: f32[8] = map (i0): exp(%x[i0])
  %y: f32[8, 100] = map (i0, i1): %a[i0] + %z[i0, i1]
  output %y
}
)");
}

// An output is needed in memory: computing it again would not save it.
TEST(Inline, OutputsStay) {
  stays(inlining, R"(kernels g {
  input %x: f32[8]
  %a: f32[8] = map (i0): exp(%x[i0])
  %y: f32[8] = map (i0): %a[i0] + 1.0
  output %a, %y
}
)");
}

// The operands of a contraction are read many times; arithmetic in them would be repeated for each.
TEST(Inline, ArithmeticStaysOutOfContractions) {
  stays(inlining, R"(kernels g {
  input %x: f32[8, 16]
  input %w: f32[16, 32]
  %a: f32[8, 16] = map (i0, i1): max(%x[i0, i1], 0.0)
  %y: f32[8, 32] = reduce sum (i0, i1) over (r0 < 16): %a[i0, r0] * %w[r0, i1]
  output %y
}
)");
}

TEST(Inline, AccessesGoIntoContractions) {
  becomes(inlining, R"(kernels g {
  input %x: f32[16, 8]
  input %w: f32[16, 32]
  %a: f32[8, 16] = map (i0, i1): %x[i1, i0]
  %y: f32[8, 32] = reduce sum (i0, i1) over (r0 < 16): %a[i0, r0] * %w[r0, i1]
  output %y
}
)",
          R"(kernels g {
  input %x: f32[16, 8]
  input %w: f32[16, 32]
  %y: f32[8, 32] = reduce sum (i0, i1) over (r0 < 16): %x[r0, i0] * %w[r0, i1]
  output %y
}
)");
}

// Scan steps depend on each other, so that what is read at an earlier index cannot be moved into them.
// An index out of range is reported wherever it stands, so that a reader of some of the elements gets them from memory.
TEST(Inline, ReadsAtIndicesFromDataGoWhereEachIsRead) {
  becomes(inlining, R"(kernels g {
  input %x: f32[10, 4]
  input %at: i64[2, 3]
  %g: f32[6, 4] = map (i0, i1): %x[%at[i0 div 3, i0 mod 3], i1]
  %y: f32[2, 3, 4] = map (i0, i1, i2): exp(%g[i0*3 + i1, i2])
  output %y
}
)",
          R"(kernels g {
  input %x: f32[10, 4]
  input %at: i64[2, 3]
  %y: f32[2, 3, 4] = map (i0, i1, i2): exp(%x[%at[i0, i1], i2])
  output %y
}
)");
  stays(inlining, R"(kernels g {
  input %x: f32[10, 4]
  input %at: i64[6]
  %g: f32[6, 4] = map (i0, i1): %x[%at[i0], i1]
  %y: f32[5, 4] = map (i0, i1): exp(%g[i0 + 1, i1])
  output %y
}
)");
  stays(inlining, R"(kernels g {
  input %x: f32[10, 4]
  input %c: bool[6, 4]
  input %at: i64[6]
  %g: f32[6, 4] = map (i0, i1): %x[%at[i0], i1]
  %y: f32[6, 4] = map (i0, i1): select(%c[i0, i1], %g[i0, i1], 0.0)
  output %y
}
)");
}

TEST(Inline, ArithmeticStaysOutOfScans) {
  stays(inlining, R"(kernels g {
  input %x: f32[8]
  %a: f32[8] = map (i0): exp(%x[i0])
  %y: f32[8] = scan sum (i0) along 0: %a[i0]
  output %y
}
)");
}

// ---- fold-constants ----

TEST(Fold, StagesOfConstantsAreEvaluated) {
  becomes(folding, R"(kernels g {
  input %x: f32[2]
  constant %c: f32[2] dense<[1.0, 2.0]>
  %a: f32[2] = map (i0): %c[i0] * 3.0
  %s: f32[] = reduce sum () over (r0 < 2): %a[r0]
  %y: f32[2] = map (i0): %x[i0] + %s[]
  output %y
}
)",
          R"(kernels g {
  input %x: f32[2]
  constant %s: f32[] dense<[9.0]>
  %y: f32[2] = map (i0): %x[i0] + %s[]
  output %y
}
)");
}

// A large value made of little is computed when run, not stored in the file.
TEST(Fold, LargeValuesMadeOfSmallOnesStay) {
  stays(folding, R"(kernels g {
  constant %c: f32[] dense<[1.0]>
  %a: f32[1000, 1000] = map (i0, i1): %c[] + 1.0
  output %a
}
)");
}

// Extents that only the run knows.
TEST(Fold, SymbolicExtentsStay) {
  stays(folding, R"(symbols n
kernels g {
  input %x: f32[n]
  constant %c: f32[1] dense<[2.0]>
  %a: f32[n] = map (i0): %c[0] * 3.0
  %y: f32[n] = map (i0): %x[i0] + %a[i0]
  output %y
}
)");
}

// The same bits as at run time: an integer sum wraps.
TEST(Fold, IntegersWrap) {
  becomes(folding, R"(kernels g {
  constant %c: i8[2] dense<[100, 100]>
  %a: i8[] = reduce sum () over (r0 < 2): %c[r0]
  output %a
}
)",
          R"(kernels g {
  constant %a: i8[] dense<[-56]>
  output %a
}
)");
}

// ---- recognition ----

bool contraction(const std::string& stage_text) {
  auto p = k::parse_program("symbols n\nkernels g {\n" + stage_text + "\n}\n");
  EXPECT_TRUE(p) << (p ? "" : p.error().message);
  return p && is_contraction(p->body.stages.back());
}

TEST(Recognition, ProductsSummedOverASharedIteratorAreContractions) {
  EXPECT_TRUE(
      contraction("input %a: f32[n, 8]\ninput %b: f32[8, 4]\n"
                  "%y: f32[n, 4] = reduce sum (i0, i1) over (r0 < 8): %a[i0, r0] * %b[r0, i1]\noutput %y"));
  EXPECT_TRUE(
      contraction("input %a: f32[9]\ninput %b: f32[3]\n"
                  "%y: f32[7] = reduce sum (i0) over (r0 < 3): %a[i0 + r0] * %b[r0]\noutput %y"));
  EXPECT_TRUE(
      contraction("input %a: i8[2, 8]\ninput %b: u8[8, 4]\n"
                  "%y: i32[2, 4] = reduce sum (i0, i1) over (r0 < 8): i32(%a[i0, r0]) * i32(%b[r0, i1])\noutput %y"));
}

TEST(Recognition, OthersAreNot) {
  // Another combiner.
  EXPECT_FALSE(
      contraction("input %a: f32[2, 8]\ninput %b: f32[8, 4]\n"
                  "%y: f32[2, 4] = reduce max (i0, i1) over (r0 < 8): %a[i0, r0] * %b[r0, i1]\noutput %y"));
  // A sum of sums.
  EXPECT_FALSE(
      contraction("input %a: f32[2, 8]\ninput %b: f32[8, 4]\n"
                  "%y: f32[2, 4] = reduce sum (i0, i1) over (r0 < 8): %a[i0, r0] + %b[r0, i1]\noutput %y"));
  // Nothing is used twice: every iterator of the result is in both operands.
  EXPECT_FALSE(
      contraction("input %a: f32[4, 8]\ninput %b: f32[4, 8]\n"
                  "%y: f32[4] = reduce sum (i0) over (r0 < 8): %a[i0, r0] * %b[i0, r0]\noutput %y"));
  // No shared reduced iterator.
  EXPECT_FALSE(
      contraction("input %a: f32[2, 8]\ninput %b: f32[4]\n"
                  "%y: f32[2, 4] = reduce sum (i0, i1) over (r0 < 8): %a[i0, r0] * %b[i1]\noutput %y"));
}

// ---- drop-zero-taps ----

void dropping(k::Program& p) {
  auto ok = drop_zero_taps(p);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
  remove_copies_and_dead(p);
}

TEST(ZeroTaps, ASpreadFilterIsDilated) {
  std::string text = after(dropping, R"(kernels g {
  input %x: f32[9]
  constant %w: f32[5] dense<[1.0, 0.0, 2.0, 0.0, 3.0]>
  %y: f32[5] = reduce sum (i0) over (r0 < 5): %x[i0 + r0] * %w[r0]
  output %y
}
)");
  EXPECT_NE(text.find("over (r0 < 3): %x[i0 + r0*2] * "), std::string::npos) << text;
  EXPECT_NE(text.find("dense<[1.0, 2.0, 3.0]>"), std::string::npos) << text;
}

TEST(ZeroTaps, TheEndsOfAFilterGo) {
  std::string text = after(dropping, R"(kernels g {
  input %x: f32[9]
  constant %w: f32[4] dense<[0.0, 1.0, 2.0, 0.0]>
  %y: f32[6] = reduce sum (i0) over (r0 < 4): %x[i0 + r0] * %w[r0]
  output %y
}
)");
  EXPECT_NE(text.find("over (r0 < 2): %x[i0 + r0 + 1] * "), std::string::npos) << text;
}

TEST(ZeroTaps, OneTapMeetsOneElement) {
  std::string text = after(dropping, R"(kernels g {
  input %x: f32[1, 8, 1]
  input %w: f32[4, 8, 3]
  %y: f32[1, 4, 3] = reduce sum (i0, i1, i2) over (r0 < 8, r1 < 3): %x[i0, r0, i2 + r1 - 2 | 0.0] * %w[i1, r0, r1]
  output %y
}
)");
  EXPECT_NE(text.find("over (r0 < 8): %x[i0, r0, 0 | 0.0] * %w[i1, r0, -i2 + 2]"), std::string::npos) << text;
  // The window does not always meet it.
  stays(dropping, R"(kernels g {
  input %x: f32[1]
  input %w: f32[3]
  %y: f32[4] = reduce sum (i0) over (r0 < 3): %x[i0 + r0 - 3 | 0.0] * %w[r0]
  output %y
}
)");
}

TEST(ZeroTaps, OthersStay) {
  stays(dropping, R"(kernels g {
  input %x: f32[9]
  constant %w: f32[2, 3] dense<[1.0, 0.0, 0.0, 0.0, 5.0, 6.0]>
  %y: f32[2, 7] = reduce sum (i0, i1) over (r0 < 3): %x[i1 + r0] * %w[i0, r0]
  output %y
}
)");
  // The filter is read at two places.
  stays(dropping, R"(kernels g {
  input %x: f32[9]
  constant %w: f32[3] dense<[1.0, 0.0, 2.0]>
  %y: f32[7] = reduce sum (i0) over (r0 < 3): (%x[i0 + r0] * %w[-r0 + 2]) * %w[r0]
  output %y
}
)");
}

// ---- unflatten ----

TEST(Unflatten, AValueGetsTheDimsOfItsReaders) {
  becomes(unflatten, R"(symbols b, s
kernels g {
  input %x: f32[b, s, 8]
  input %w: f32[8, 4]
  %v: f32[b*s, 4] = reduce sum (i0, i1) over (r0 < 8): %x[i0 div s, i0 mod s, r0] * %w[r0, i1]
  %y: f32[b, s, 4] = map (i0, i1, i2): tanh(%v[s*i0 + i1, i2])
  output %y
}
)",
          R"(symbols b, s
kernels g {
  input %x: f32[b, s, 8]
  input %w: f32[8, 4]
  %v: f32[b, s, 4] = reduce sum (i0, i0_1, i1) over (r0 < 8): %x[i0, i0_1, r0] * %w[r0, i1]
  %y: f32[b, s, 4] = map (i0, i1, i2): tanh(%v[i0, i1, i2])
  output %y
}
)");
}

TEST(Unflatten, ReadersThatDisagreeKeepTheValue) {
  stays(unflatten, R"(kernels g {
  input %x: f32[6]
  %v: f32[6] = map (i0): exp(%x[i0])
  %y: f32[2, 3] = map (i0, i1): tanh(%v[i0*3 + i1])
  %z: f32[3, 2] = map (i0, i1): tanh(%v[i0*2 + i1])
  output %y, %z
}
)");
  stays(unflatten, R"(kernels g {
  input %x: f32[6]
  %v: f32[6] = map (i0): exp(%x[i0])
  %y: f32[2, 3] = map (i0, i1): tanh(%v[i0*3 + i1])
  output %y, %v
}
)");
}

TEST(Unflatten, WindowsKeepTheirImage) {
  stays(unflatten, R"(kernels g {
  input %x: f32[6]
  %v: f32[6] = map (i0): exp(%x[i0])
  %y: f32[3] = reduce max (i0) over (r0 < 2): %v[i0*2 + r0]
  output %y
}
)");
}

// ---- contractions keep operands that their schedule can read ----

TEST(Inline, AReflectedBorderStaysOutsideOfAContraction) {
  std::string text = after(inlining, R"(kernels g {
  input %x: f32[2, 9]
  input %w: f32[4, 2, 3]
  %p: f32[2, 11] = map (i0, i1): %x[i0, (max(-i1 + 1, i1 - 1)) mod 9]
  %y: f32[4, 9] = reduce sum (i0, i1) over (r0 < 2, r1 < 3): %p[r0, i1 + r1] * %w[i0, r0, r1]
  output %y
}
)");
  EXPECT_NE(text.find("%p[r0, i1 + r1]"), std::string::npos) << text;
}

TEST(Fold, ConstantsInBranches) {
  std::string text = after(folding, R"(kernels g {
  input %c: bool[]
  constant %w: f32[2] dense<[1.0, 2.0]>
  %y: f32[2] = if %c {
    %a: f32[2] = map (i0): %w[i0] + 1.0
    yield %a
  } else {
    yield %w
  }
  output %y
}
)");
  EXPECT_EQ(text.find("map"), std::string::npos) << text;
}

}  // namespace
}  // namespace ingot
