// Contents of small tensors as dims, through the stages that shape computations are made of.
#include "ir/ops/symbolic.h"

#include <gtest/gtest.h>

#include "ir/kernel/parse.h"

namespace ingot {
namespace {

struct Case {
  k::Program p;
  Symbol n = Dim::symbol("n", 1), m = Dim::symbol("m");

  explicit Case(const std::string& stages) {
    auto r = k::parse_program("kernels shapes {\n input %s: i64[3]\n" + stages + "}\n");
    EXPECT_TRUE(r) << r.error().message;
    if (r) p = std::move(*r);
  }
  int id(const std::string& name) const {
    for (const k::Value& v : p.values)
      if (v.name == name) return v.id;
    return -1;
  }
  // `value` where s = [n, m, 64].
  std::string of(const std::string& value) const {
    auto r = symbolic_elements(p, id(value), {{id("s"), {Dim(n), Dim(m), Dim(64)}}});
    if (!r) return "unknown";
    std::string out;
    for (const Dim& d : *r) out += (out.empty() ? "" : ", ") + d.str();
    return out;
  }
};

TEST(Symbolic, GatherAndConcat) {
  Case c(R"(
    constant %at: i64[2] dense<[2, -3]>
    %g: i64[2] = map (i): %s[select(%at[i] < 0, %at[i] + 3, %at[i])]
    %r: i64[3] = map (i): select(i < 2, %g[i | 0], -1)
  )");
  EXPECT_EQ(c.of("g"), "64, n");
  EXPECT_EQ(c.of("r"), "64, n, -1");
}

TEST(Symbolic, ArithmeticAndComparisons) {
  Case c(R"(
    %half: i64[3] = map (i): %s[i] * 2 / 2
    %flag: bool[3] = map (i): %s[i] == -1
    %pick: i64[3] = map (i): select(%s[i] == -1, 7, %s[i] + 1)
    %narrow: i32[3] = map (i): i32(%s[i])
    %cut: i64[1] = map (i): max(min(%s[0], 100), 1)
  )");
  EXPECT_EQ(c.of("half"), "n, m, 64");
  EXPECT_EQ(c.of("flag"), "0, 0, 0");
  EXPECT_EQ(c.of("pick"), "n + 1, m + 1, 65");
  EXPECT_EQ(c.of("narrow"), "n, m, 64");
  EXPECT_EQ(c.of("cut"), "min(n, 100)");
}

TEST(Symbolic, ReductionScanAndScatter) {
  Case c(R"(
    constant %one: i64[1] dense<[1]>
    %p: i64[] = reduce prod () over (r < 3): %s[r]
    %sum: i64[3] = scan sum (i) along 0 exclusive: %s[i]
    %put: i64[3] = scatter assign %s (i < 1) at [%one[i]]: 5
  )");
  EXPECT_EQ(c.of("p"), "n*m*64");
  EXPECT_EQ(c.of("sum"), "0, n, n + m");
  EXPECT_EQ(c.of("put"), "n, 5, 64");
}

TEST(Symbolic, FloatsStayExact) {
  Case c(R"(
    %f: f32[3] = map (i): f32(%s[i])
    %up: i64[3] = map (i): i64(floor(%f[i] * 2.0))
    %down: i64[3] = map (i): i64(floor(%f[i] * 0.5))
    %third: i64[3] = map (i): i64(%f[i] * 0.3)
  )");
  EXPECT_EQ(c.of("up"), "n*2, m*2, 128");
  EXPECT_EQ(c.of("down"), "n div 2, m div 2, 32");
  EXPECT_EQ(c.of("third"), "unknown");
}

TEST(Symbolic, WhatIsNotKnownIsNotGuessed) {
  Case c(R"(
    input %t: i64[3]
    %both: i64[3] = map (i): %s[i] + %t[i]
    %quotient: i64[3] = map (i): (0 - %s[i]) / 3
    %z: i64[1] = call non_zero(%s)
  )");
  EXPECT_EQ(c.of("both"), "unknown");
  EXPECT_EQ(c.of("quotient"), "unknown");
  EXPECT_EQ(c.of("z"), "unknown");
}

}  // namespace
}  // namespace ingot
