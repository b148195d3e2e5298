#include "ir/dim.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace ingot {
namespace {

Dim sym(const char* name, int64_t lo = 0, int64_t hi = kDimMax) { return Dim(Dim::symbol(name, lo, hi)); }
Dim iter(const char* name, const Dim& extent) { return Dim(Dim::iterator(name, extent)); }

TEST(Dim, SumsAndProductsAreCanonical) {
  Dim n = sym("n"), m = sym("m");
  EXPECT_EQ((n + m) * (n - m), n * n - m * m);
  EXPECT_EQ(n + n, n * 2);
  EXPECT_TRUE((n - n).is(0));
  EXPECT_EQ((n * 2 + m * n + 3).str(), "n*m + n*2 + 3");
  EXPECT_EQ((Dim(1) - n).str(), "-n + 1");
  EXPECT_EQ(n.hash(), (n + m - m).hash());
  EXPECT_NE(n, m);
}

TEST(Dim, ConstantsSaturate) {
  Dim big(kDimMax);
  EXPECT_TRUE((big * big).is(kDimMax));
  EXPECT_TRUE((big + big).is(kDimMax));
  EXPECT_TRUE((-big - big).is(-kDimMax));
  EXPECT_TRUE(Dim(INT64_MAX).is(kDimMax));
  EXPECT_TRUE(Dim(INT64_MIN).is(-kDimMax));
  Dim n = sym("n");
  EXPECT_EQ(min(n, big), n);
}

TEST(Dim, DivisionIsFloor) {
  EXPECT_TRUE(floordiv(Dim(-7), Dim(2)).is(-4));
  EXPECT_TRUE(mod(Dim(-7), Dim(2)).is(1));
  EXPECT_TRUE(floordiv(Dim(7), Dim(-2)).is(-4));
  EXPECT_TRUE(floordiv(Dim(7), Dim(0)).is(0));
  EXPECT_TRUE(ceildiv(Dim(7), Dim(2)).is(4));
}

// Linear indices taken apart give back the indices that they were made of.
TEST(Dim, DivisionOfLinearIndexWithConstantExtents) {
  Dim i = iter("i", 12), j = iter("j", 64), e = i * 64 + j;
  EXPECT_EQ(floordiv(e, 64), i);
  EXPECT_EQ(mod(e, 64), j);
  EXPECT_EQ(floordiv(e * 5 + iter("k", 5), 320), i);
}

TEST(Dim, DivisionOfLinearIndexWithSymbolicExtents) {
  Dim N = sym("N"), M = sym("M"), K = sym("K");
  Dim i = iter("i", K), j = iter("j", M), k = iter("k", N);
  Dim e = (i * M + j) * N + k;
  EXPECT_EQ(floordiv(e, N), i * M + j);
  EXPECT_EQ(mod(e, N), k);
  EXPECT_EQ(floordiv(e, M * N), i);
  EXPECT_EQ(mod(e, M * N), j * N + k);
  EXPECT_EQ(floordiv(mod(e, M * N), N), j);
  EXPECT_TRUE(known_less(e, K * M * N));
  EXPECT_TRUE(known_less_equal(0, e));
  EXPECT_FALSE(known_less(e, K * M));
}

TEST(Dim, DivisionByPolynomial) {
  Dim H = sym("H"), W = sym("W"), C = sym("C");
  Dim c = iter("c", C), h = iter("h", H + 2), w = iter("w", W + 2);
  Dim e = (c * (H + 2) + h) * (W + 2) + w;
  EXPECT_EQ(floordiv(e, (H + 2) * (W + 2)), c);
  EXPECT_EQ(floordiv(e, W + 2), c * (H + 2) + h);
  EXPECT_EQ(mod(e, W + 2), w);
  Dim P = floordiv(H - 1, 2) + 1, p = iter("p", P);
  EXPECT_EQ(floordiv(c * P + p, P), c);
}

TEST(Dim, MixedRadixCancels) {
  Dim e = iter("e", sym("N") * 768);
  Dim a = floordiv(e, 768), b = mod(floordiv(e, 64), 12), c = mod(e, 64);
  EXPECT_EQ(a * 768 + b * 64 + c, e);
  EXPECT_EQ(a * 12 + b, floordiv(e, 64));
  EXPECT_EQ(c.str(), "e mod 64");
  EXPECT_EQ(b.str(), "(e div 64) mod 12");
  EXPECT_EQ(floordiv(b * 64 + c, 64), b);
  EXPECT_EQ(mod(b * 64 + c, 64), c);
}

TEST(Dim, MixedRadixWithSymbolsCancels) {
  Dim N = sym("N"), M = sym("M"), e = iter("e", sym("K") * N * M);
  Dim back = floordiv(e, N * M) * (N * M) + mod(floordiv(e, N), M) * N + mod(e, N);
  EXPECT_EQ(back, e);
}

TEST(Dim, NestedDivision) {
  Dim x = sym("x");
  EXPECT_EQ(floordiv(floordiv(x, 4), 3), floordiv(x, 12));
  EXPECT_EQ(mod(mod(x, 12), 4), mod(x, 4));
  EXPECT_EQ(floordiv(mod(x, 12), 4), mod(floordiv(x, 4), 3));
  Dim N = sym("N"), M = sym("M");
  EXPECT_EQ(floordiv(floordiv(x, N), M), floordiv(x, N * M));
  EXPECT_EQ(mod(mod(x, N * M), M), mod(x, M));
}

TEST(Dim, CommonFactorsCancel) {
  Dim j = sym("j"), m = iter("m", 64), N = sym("N"), x = sym("x");
  EXPECT_EQ(floordiv(j * 64 + m, 768), floordiv(j, 12));
  EXPECT_EQ(floordiv(j * 4 + 2, 8), floordiv(j, 2));
  EXPECT_EQ(floordiv(j * N, N * 3), floordiv(j, 3));
  EXPECT_EQ(floordiv(x * N + iter("r", N), N * 3), floordiv(x, 3));
  Dim i = iter("i", 64);
  EXPECT_EQ(floordiv(i * 63 + 63, 64), i);
}

TEST(Dim, Bounds) {
  Dim i = iter("i", 12), e = sym("e", -5, 100);
  EXPECT_EQ((i * 2 - 3).lower(), -3);
  EXPECT_EQ((i * 2 - 3).upper(), 19);
  EXPECT_EQ(mod(e, 7).lower(), 0);
  EXPECT_EQ(mod(e, 7).upper(), 6);
  EXPECT_EQ(floordiv(e, 7).lower(), -1);
  EXPECT_EQ(floordiv(e, 7).upper(), 14);
  EXPECT_EQ((mod(e, 7) * 10 + i).upper(), 71);
  EXPECT_EQ(min(e, i).upper(), 11);
  EXPECT_EQ(sym("n").upper(), kDimMax);
  EXPECT_EQ((sym("n") - 1).upper(), kDimMax);
  EXPECT_EQ((-sym("n")).lower(), -kDimMax);
  Dim n = sym("n", 1), m = sym("m", 1);
  EXPECT_EQ((n * m - n).lower(), 0);
  EXPECT_EQ((n * n - n).lower(), 0);
}

// A strided window of 3 with a padding of 1 stays inside the padded input.
TEST(Dim, WindowIsInBounds) {
  Dim H = sym("H", 1), P = floordiv(H + 2 - 3, 2) + 1;
  Dim p = iter("p", P), r = iter("r", 3);
  EXPECT_TRUE(known_less(p * 2 + r, H + 2));
  EXPECT_FALSE(known_less(p * 2 + r, H + 1));
  EXPECT_TRUE(known_less_equal(floordiv(H, 3) * 3, H));
  EXPECT_TRUE(known_less(H, floordiv(H, 3) * 3 + 3));
  EXPECT_TRUE(known_less_equal(floordiv(iter("q", H), 4), floordiv(H - 1, 4)));
}

TEST(Dim, TriangularIterators) {
  Dim N = sym("N"), i = iter("i", N), j = iter("j", i + 1);
  EXPECT_TRUE(known_less(j, N));
  EXPECT_TRUE(known_less_equal(j, i));
  EXPECT_FALSE(known_less(j, i));
}

TEST(Dim, MinMaxAndComparisonsFold) {
  Dim N = sym("N"), M = sym("M"), i = iter("i", N);
  EXPECT_EQ(min(N, N + 1), N);
  EXPECT_EQ(max(i, 0), i);
  EXPECT_EQ(min(i, N - 1), i);
  EXPECT_EQ(min(N, M), min(M, N));
  EXPECT_EQ(min(min(N, M), N), min(N, M));
  EXPECT_TRUE(less(i, N).is(1));
  EXPECT_TRUE(less(i, 0).is(0));
  EXPECT_TRUE(equal(i, i).is(1));
  EXPECT_TRUE(equal(i, N).is(0));
  EXPECT_EQ(less(N + 1, M + 1), less(N, M));
  EXPECT_EQ(equal(N, M), equal(M, N));
  EXPECT_TRUE(known_less_equal(min(N, M), N));
  EXPECT_TRUE(known_less_equal(N, max(M, N)));
  EXPECT_EQ(select(less(i, N), N, M), N);
  EXPECT_EQ(min(M, N).str(), "min(N, M)");
}

TEST(Dim, Divisibility) {
  Dim N = sym("N"), M = sym("M");
  EXPECT_TRUE(known_divisible(N * 12 + 24, 6));
  EXPECT_FALSE(known_divisible(N * 12 + 3, 6));
  EXPECT_TRUE(known_divisible(N * M * 4, N * 2));
  EXPECT_TRUE(known_divisible(N * M + M, N + 1));
}

TEST(Dim, SubstituteEvaluateAffine) {
  Symbol n = Dim::symbol("n"), i = Dim::symbol("i");
  Dim d = floordiv(Dim(i) * 3 + Dim(n), 4) * Dim(n);
  EXPECT_EQ(evaluate(d, {{n->id, 5}, {i->id, 2}}), 10);
  EXPECT_EQ(evaluate(d, {{n->id, 5}}), std::nullopt);
  EXPECT_EQ(substitute(d, {{i->id, Dim(4)}, {n->id, Dim(8)}}), Dim(40));
  EXPECT_EQ(substitute(d, {{i->id, Dim(n)}}), Dim(n) * Dim(n));
  auto a = affine_in(Dim(i) * Dim(n) + Dim(i) * 2 + 7, i);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->coefficient, Dim(n) + 2);
  EXPECT_EQ(a->rest, Dim(7));
  EXPECT_FALSE(affine_in(d, i));
  EXPECT_FALSE(affine_in(Dim(i) * Dim(i), i));
  EXPECT_TRUE(depends_on(d, i));
  std::map<int64_t, Symbol> symbols;
  collect_symbols(d, symbols);
  EXPECT_EQ(symbols.size(), 2u);
}

TEST(Dim, TermsOfConstantsStayValid) {
  const auto& a = Dim(5).terms();
  const auto& b = Dim(6).terms();
  EXPECT_EQ(a[0].coefficient, 5);
  EXPECT_EQ(b[0].coefficient, 6);
  EXPECT_TRUE(Dim(0).terms().empty());
}

// Expressions that would explode stay small, and keep their value or become a symbol that nothing binds.
TEST(Dim, HostileExpressionsAreBounded) {
  Symbol n = Dim::symbol("n"), m = Dim::symbol("m");
  Dim sum;
  for (int i = 0; i < 1000; ++i) sum += floordiv(Dim(n) + i * 17, Dim(m) + i);
  auto v = evaluate(sum, {{n->id, 3}, {m->id, 1}});
  if (v) {
    int64_t expected = 0;
    for (int i = 0; i < 1000; ++i) expected += (3 + i * 17) / (1 + i);
    EXPECT_EQ(*v, expected);
  }
  Dim power(1);
  for (int i = 0; i < 200; ++i) power *= Dim(n) + Dim(m) + i;
  EXPECT_EQ(evaluate(power, {{n->id, 0}, {m->id, 0}}).value_or(0), 0);
  Dim nested(n);
  for (int i = 0; i < 1000; ++i) nested = floordiv(max(nested * 3, Dim(m)) + 1, Dim(m) + 2);
  Dim doubled(n);
  for (int i = 0; i < 100; ++i) doubled = max(doubled * Dim(m), doubled + Dim(n) * i);
  EXPECT_LT(doubled.str().size(), 1000000u);
}

// Random expressions: what the simplifier gives has the value of the expression as written, and the bounds hold.
struct Random {
  std::mt19937 rng;
  std::vector<Symbol> symbols;

  using Value = std::function<int64_t(const Bindings&)>;
  int64_t pick(int64_t lo, int64_t hi) { return lo + static_cast<int64_t>(rng() % static_cast<uint32_t>(hi - lo + 1)); }

  static int64_t fdiv(int64_t a, int64_t b) { return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0)); }

  // An expression that is at least 1, for a divisor.
  std::pair<Dim, Value> positive() {
    int64_t c = pick(1, 12);
    if (pick(0, 2)) return {Dim(c), [=](const Bindings&) { return c; }};
    Symbol s = symbols[static_cast<size_t>(pick(0, 1))];
    int64_t k = pick(0, 3);
    return {Dim(s) * c + k, [=](const Bindings& b) { return b.at(s->id) * c + k; }};
  }

  std::pair<Dim, Value> make(int depth) {
    if (depth == 0 || pick(0, 9) == 0) {
      if (pick(0, 2) == 0) {
        int64_t c = pick(-20, 20);
        return {Dim(c), [=](const Bindings&) { return c; }};
      }
      Symbol s = symbols[static_cast<size_t>(pick(0, static_cast<int64_t>(symbols.size()) - 1))];
      return {Dim(s), [=](const Bindings& b) { return b.at(s->id); }};
    }
    auto [x, fx] = make(depth - 1);
    switch (pick(0, 9)) {
      case 0:
      case 1: {
        auto [y, fy] = positive();
        return {floordiv(x, y), [=, fx = fx, fy = fy](const Bindings& b) { return fdiv(fx(b), fy(b)); }};
      }
      case 2:
      case 3: {
        auto [y, fy] = positive();
        return {mod(x, y), [=, fx = fx, fy = fy](const Bindings& b) { return fx(b) - fy(b) * fdiv(fx(b), fy(b)); }};
      }
      case 4: {
        int64_t c = pick(-9, 9);
        return {x * c, [=, fx = fx](const Bindings& b) { return fx(b) * c; }};
      }
      default: break;
    }
    auto [y, fy] = make(depth - 1);
    switch (pick(0, 6)) {
      case 0: return {x * y, [fx = fx, fy = fy](const Bindings& b) { return fx(b) * fy(b); }};
      case 1: return {x - y, [fx = fx, fy = fy](const Bindings& b) { return fx(b) - fy(b); }};
      case 2: return {min(x, y), [fx = fx, fy = fy](const Bindings& b) { return std::min(fx(b), fy(b)); }};
      case 3: return {max(x, y), [fx = fx, fy = fy](const Bindings& b) { return std::max(fx(b), fy(b)); }};
      case 4: return {less(x, y), [fx = fx, fy = fy](const Bindings& b) { return int64_t{fx(b) < fy(b)}; }};
      case 5: return {equal(x, y), [fx = fx, fy = fy](const Bindings& b) { return int64_t{fx(b) == fy(b)}; }};
      default: return {x + y, [fx = fx, fy = fy](const Bindings& b) { return fx(b) + fy(b); }};
    }
  }
};

TEST(Dim, RandomExpressionsKeepTheirValue) {
  Random r{std::mt19937(12345), {}};
  for (int round = 0; round < 3000; ++round) {
    Symbol N = Dim::symbol("N", 1), M = Dim::symbol("M", 1, 20);
    Symbol i = Dim::iterator("i", Dim(N)), j = Dim::iterator("j", Dim(M) * 2), k = Dim::iterator("k", 24);
    Symbol z = Dim::symbol("z", -30, 30), t = Dim::iterator("t", Dim(i) + 1);
    r.symbols = {N, M, i, j, k, z, t};
    auto [d, f] = r.make(static_cast<int>(r.pick(1, 5)));
    auto [e, g] = r.make(static_cast<int>(r.pick(1, 3)));
    bool le = known_less_equal(d, e), lt = known_less(d, e), divides = known_divisible(d, e);
    Substitution sub{{z->id, Dim(k) - 3}, {i->id, Dim(N) - 1}};
    Dim replaced = substitute(d, sub);
    for (int trial = 0; trial < 12; ++trial) {
      Bindings b;
      b[N->id] = trial == 0 ? 1 : r.pick(1, 40);
      b[M->id] = trial == 0 ? 1 : r.pick(1, 20);
      b[i->id] = trial == 0 ? 0 : trial == 1 ? b[N->id] - 1 : r.pick(0, b[N->id] - 1);
      b[j->id] = trial == 1 ? b[M->id] * 2 - 1 : r.pick(0, b[M->id] * 2 - 1);
      b[k->id] = r.pick(0, 23);
      b[z->id] = r.pick(-30, 30);
      b[t->id] = trial == 1 ? b[i->id] : r.pick(0, b[i->id]);
      int64_t x = f(b), y = g(b);
      if (auto v = evaluate(d, b)) {
        ASSERT_EQ(*v, x) << d.str();
        ASSERT_GE(x, d.lower()) << d.str();
        ASSERT_LE(x, d.upper()) << d.str();
        if (le) {
          ASSERT_LE(x, y) << d.str() << " <= " << e.str();
        }
        if (lt) {
          ASSERT_LT(x, y) << d.str() << " < " << e.str();
        }
        if (divides && y != 0) {
          ASSERT_EQ(x % y, 0) << d.str() << " by " << e.str();
        }
        b[z->id] = b[k->id] - 3;
        b[i->id] = b[N->id] - 1;
        if (auto w = evaluate(replaced, b)) {
          ASSERT_EQ(*w, f(b)) << d.str() << " -> " << replaced.str();
        }
      }
    }
  }
}

}  // namespace
}  // namespace ingot
