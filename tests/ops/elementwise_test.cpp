// Elementwise operators against the C library and formulas written out.
#include <numbers>

#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

constexpr double kInf = std::numeric_limits<double>::infinity();
const std::vector<Shape> kShapes = {{}, {1}, {7}, {2, 3, 5}, {0, 3}, {1, 131}};

void expect_unary(const std::string& op, Attrs attrs, double scale, double shift,
                  const std::function<double(double)>& f) {
  for (const Shape& s : kShapes) {
    auto x = std::const_pointer_cast<TensorData>(floats(s, scale));
    for (int64_t k = 0; k < x->elements(); ++k) x->mutable_as<float>()[k] += static_cast<float>(shift);
    SCOPED_TRACE(op);
    expect_is(run1(op, {x}, attrs), s, [&](const Shape& i) { return f(number_at(x, i)); });
  }
}

TEST(Elementwise, OneScalarFunctionEach) {
  expect_unary("abs", {}, 3, 0, [](double x) { return std::abs(x); });
  expect_unary("neg", {}, 3, 0, [](double x) { return -x; });
  expect_unary("sign", {}, 3, 0, [](double x) { return (x > 0) - (x < 0); });
  expect_unary("ceil", {}, 3, 0, [](double x) { return std::ceil(x); });
  expect_unary("floor", {}, 3, 0, [](double x) { return std::floor(x); });
  expect_unary("round", {}, 3, 0, [](double x) { return std::nearbyint(x); });
  expect_unary("sqrt", {}, 3, 4, [](double x) { return std::sqrt(x); });
  expect_unary("exp", {}, 3, 0, [](double x) { return std::exp(x); });
  expect_unary("log", {}, 3, 4, [](double x) { return std::log(x); });
  expect_unary("sin", {}, 9, 0, [](double x) { return std::sin(x); });
  expect_unary("cos", {}, 9, 0, [](double x) { return std::cos(x); });
  expect_unary("tan", {}, 1, 0, [](double x) { return std::tan(x); });
  expect_unary("asin", {}, 1, 0, [](double x) { return std::asin(x); });
  expect_unary("acos", {}, 1, 0, [](double x) { return std::acos(x); });
  expect_unary("atan", {}, 9, 0, [](double x) { return std::atan(x); });
  expect_unary("sinh", {}, 3, 0, [](double x) { return std::sinh(x); });
  expect_unary("cosh", {}, 3, 0, [](double x) { return std::cosh(x); });
  expect_unary("tanh", {}, 3, 0, [](double x) { return std::tanh(x); });
  expect_unary("asinh", {}, 3, 0, [](double x) { return std::asinh(x); });
  expect_unary("acosh", {}, 3, 5, [](double x) { return std::acosh(x); });
  expect_unary("atanh", {}, 0.9, 0, [](double x) { return std::atanh(x); });
  expect_unary("erf", {}, 3, 0, [](double x) { return std::erf(x); });
  expect_unary("reciprocal", {}, 1, 4, [](double x) { return 1 / x; });
  expect_unary("sigmoid", {}, 9, 0, [](double x) { return 1 / (1 + std::exp(-x)); });
}

TEST(Elementwise, Activations) {
  auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  expect_unary("relu", {}, 3, 0, [](double x) { return std::max(x, 0.0); });
  expect_unary("leaky_relu", {{"alpha", 0.3}}, 3, 0, [](double x) { return x < 0 ? 0.3 * x : x; });
  expect_unary("elu", {{"alpha", 2.0}}, 3, 0, [](double x) { return x < 0 ? 2 * (std::exp(x) - 1) : x; });
  expect_unary("celu", {{"alpha", 2.0}}, 3, 0,
               [](double x) { return std::max(0.0, x) + std::min(0.0, 2 * (std::exp(x / 2) - 1)); });
  expect_unary("selu", {{"alpha", 2.0}, {"gamma", 3.0}}, 3, 0,
               [](double x) { return 3 * (x > 0 ? x : 2 * std::exp(x) - 2); });
  expect_unary("thresholded_relu", {{"alpha", 0.5}}, 3, 0, [](double x) { return x > 0.5 ? x : 0; });
  expect_unary("hard_sigmoid", {}, 9, 0, [](double x) { return std::clamp(0.2 * x + 0.5, 0.0, 1.0); });
  expect_unary("hard_swish", {}, 9, 0, [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); });
  expect_unary("softplus", {}, 9, 0, softplus);
  expect_unary("softsign", {}, 9, 0, [](double x) { return x / (1 + std::abs(x)); });
  expect_unary("mish", {}, 5, 0, [&](double x) { return x * std::tanh(softplus(x)); });
  expect_unary("gelu", {}, 3, 0, [](double x) { return x / 2 * (1 + std::erf(x / std::numbers::sqrt2)); });
  expect_unary("gelu", {{"approximate", std::string("tanh")}}, 3, 0, [](double x) {
    return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  });
  expect_unary("swish", {{"alpha", 0.5}}, 3, 0, [](double x) { return x / (1 + std::exp(-x / 2)); });
  expect_unary("shrink", {{"bias", 0.25}, {"lambd", 1.0}}, 3, 0, [](double x) {
    return x < -1 ? x + 0.25 : x > 1 ? x - 0.25 : 0;
  });
  expect_unary("clip", {}, 3, 0, [](double x) { return x; });
}

TEST(Elementwise, SpecialNumbers) {
  auto x = tensor<float>({5}, {NAN, INFINITY, -INFINITY, 0.0f, -0.0f});
  EXPECT_EQ(values<bool>(run1("is_nan", {x})), (std::vector<bool>{true, false, false, false, false}));
  EXPECT_EQ(values<bool>(run1("is_inf", {x})), (std::vector<bool>{false, true, true, false, false}));
  EXPECT_EQ(values<bool>(run1("is_inf", {x}, {{"detect_positive", int64_t{0}}})),
            (std::vector<bool>{false, false, true, false, false}));
  expect_is(run1("softplus", {tensor<float>({3}, {200, -200, INFINITY})}), {3}, [](const Shape& i) {
    return i[0] == 0 ? 200 : i[0] == 1 ? 0 : kInf;
  });
  expect_is(run1("relu", {x}), {5}, [](const Shape& i) { return i[0] == 0 ? NAN : i[0] == 1 ? kInf : 0; });
}

TEST(Elementwise, ClipTakesTheMaximumWhereBoundsCross) {
  auto x = tensor<float>({4}, {-3, 0.5, 2, 9});
  expect_is(run1("clip", {x, constant(tensor<float>({}, {-1})), constant(tensor<float>({}, {3}))}), {4},
            [&](const Shape& i) { return std::clamp(number_at(x, i), -1.0, 3.0); });
  expect_is(run1("clip", {x, constant(tensor<float>({}, {2})), constant(tensor<float>({}, {1}))}), {4},
            [](const Shape&) { return 1; });
  expect_is(run1("clip", {x, Arg(), constant(tensor<float>({}, {1}))}), {4},
            [&](const Shape& i) { return std::min(number_at(x, i), 1.0); });
}

TEST(Elementwise, BinaryWithBroadcasting) {
  const std::vector<std::pair<Shape, Shape>> pairs = {{{3, 5}, {3, 5}}, {{3, 5}, {5}},       {{3, 1}, {1, 7}},
                                                      {{}, {2, 3}},     {{2, 1, 3}, {4, 1}}, {{1}, {1}},
                                                      {{0, 2}, {1, 2}}};
  const std::vector<std::pair<std::string, std::function<double(double, double)>>> ops = {
      {"add", [](double a, double b) { return a + b; }},
      {"sub", [](double a, double b) { return a - b; }},
      {"mul", [](double a, double b) { return a * b; }},
      {"div", [](double a, double b) { return a / b; }},
      {"max", [](double a, double b) { return std::max(a, b); }},
      {"min", [](double a, double b) { return std::min(a, b); }},
      {"mean", [](double a, double b) { return (a + b) / 2; }},
      {"sum", [](double a, double b) { return a + b; }},
      {"greater", [](double a, double b) { return a > b; }},
      {"less_or_equal", [](double a, double b) { return a <= b; }},
      {"prelu", [](double a, double b) { return a < 0 ? a * b : a; }},
  };
  for (const auto& [op, f] : ops) {
    for (const auto& [sa, sb] : pairs) {
      if (op == "prelu" && (sa.size() < sb.size() || sa == Shape{3, 1} || sa == Shape{2, 1, 3} || sa.size() == 0))
        continue;
      SCOPED_TRACE(op);
      auto a = floats(sa), b = floats(sb, 2);
      Shape dims(std::max(sa.size(), sb.size()), 1);
      auto extent = [&](const Shape& s, size_t k) {
        size_t skip = dims.size() - s.size();
        return k < skip ? 1 : s[k - skip];
      };
      for (size_t k = 0; k < dims.size(); ++k) dims[k] = extent(sa, k) == 1 ? extent(sb, k) : extent(sa, k);
      auto read = [&](const TensorRef& t, const Shape& i) {
        Shape at(i.end() - static_cast<long>(t->dims.size()), i.end());
        for (size_t k = 0; k < at.size(); ++k) at[k] = t->dims[k] == 1 ? 0 : at[k];
        return number_at(t, at);
      };
      bool empty = a->elements() == 0;  // symbolic extents of 1 do not stretch to 0
      expect_is(run1(op, {a, b}, {}, !empty), dims, [&](const Shape& i) { return f(read(a, i), read(b, i)); });
    }
  }
  EXPECT_NE(error_of("add", {floats({2, 3}), floats({2})}).find("do not broadcast"), std::string::npos);
  EXPECT_NE(error_of("add", {floats({2}), tensor<int64_t>({2}, {1, 2})}).find("expected one type"), std::string::npos);
}

TEST(Elementwise, Integers) {
  auto a = tensor<int32_t>({6}, {7, -7, 7, -7, 5, INT32_MIN}), b = tensor<int32_t>({6}, {3, 3, -3, -3, 0, 1});
  EXPECT_EQ(values<int32_t>(run1("div", {a, b})), (std::vector<int32_t>{2, -2, -2, 2, 0, INT32_MIN}));
  EXPECT_EQ(values<int32_t>(run1("mod", {a, b})), (std::vector<int32_t>{1, 2, -2, -1, 0, 0}));
  EXPECT_EQ(values<int32_t>(run1("mod", {a, b}, {{"fmod", int64_t{1}}})), (std::vector<int32_t>{1, -1, 1, -1, 0, 0}));
  auto u = tensor<uint8_t>({3}, {200, 100, 1}), v = tensor<uint8_t>({3}, {100, 200, 9});
  EXPECT_EQ(values<uint8_t>(run1("add", {u, v})), (std::vector<uint8_t>{44, 44, 10}));
  EXPECT_EQ(values<uint8_t>(run1("bitwise_xor", {u, v})), (std::vector<uint8_t>{200 ^ 100, 200 ^ 100, 8}));
  EXPECT_EQ(values<uint8_t>(run1("bitwise_not", {u})), (std::vector<uint8_t>{55, 155, 254}));
  EXPECT_EQ(
      values<uint8_t>(run1("bit_shift", {u, tensor<uint8_t>({3}, {1, 2, 7})}, {{"direction", std::string("LEFT")}})),
      (std::vector<uint8_t>{144, 144, 128}));
}

TEST(Elementwise, Pow) {
  auto x = tensor<float>({4}, {-2, 0.5, 3, 4});
  for (double e : {0.0, 1.0, 2.0, 3.0, -1.0, 5.0}) {
    expect_is(run1("pow", {x, constant(tensor<float>({}, {static_cast<float>(e)}))}), {4},
              [&](const Shape& i) { return std::pow(number_at(x, i), e); });
  }
  EXPECT_EQ(values<int64_t>(run1("pow", {tensor<int64_t>({3}, {2, -3, 7}), tensor<float>({3}, {10, 3, 0})})),
            (std::vector<int64_t>{1024, -27, 1}));
  // An exponent that is no number of the base's type keeps its parity.
  EXPECT_EQ(values<float>(run1("pow", {tensor<float>({2}, {-1, -1}), tensor<int32_t>({2}, {16777217, 16777218})})),
            (std::vector<float>{-1, 1}));
}

// x^y modulo 2^bits by products, one at a time; 1/x^-y truncated where y is negative.
template <class T>
T power(T x, int64_t y) {
  if (y < 0) return x == T(1) ? T(1) : std::is_signed_v<T> && x == T(-1) ? (y % 2 ? T(-1) : T(1)) : T(0);
  uint64_t p = 1;
  for (int64_t k = 0; k < y; ++k) p *= static_cast<uint64_t>(x);
  return static_cast<T>(p);
}

template <class T, class E>
void expect_powers(const std::vector<T>& bases, const std::vector<E>& exponents) {
  std::vector<T> want;
  for (T x : bases)
    for (E y : exponents) want.push_back(power(x, static_cast<int64_t>(y)));
  auto x = tensor<T>({static_cast<int64_t>(bases.size()), 1}, bases);
  auto y = tensor<E>({static_cast<int64_t>(exponents.size())}, exponents);
  auto got = values<T>(run1("pow", {x, y}));
  for (size_t k = 0; k < want.size(); ++k)
    ASSERT_EQ(got[k], want[k]) << +bases[k / exponents.size()] << " ^ " << +exponents[k % exponents.size()];
  for (E e : {E(0), E(1), E(2), E(3), E(7)}) {
    auto fixed = values<T>(run1("pow", {x, constant(tensor<E>({}, {e}))}));
    for (size_t k = 0; k < bases.size(); ++k) ASSERT_EQ(fixed[k], power(bases[k], static_cast<int64_t>(e)));
  }
}

template <class T>
std::vector<T> all_of(int64_t lo, int64_t hi) {
  std::vector<T> v;
  for (int64_t k = lo; k <= hi; ++k) v.push_back(static_cast<T>(k));
  return v;
}

// What the reference computes, and folding with it, holds the bounds of the compiled functions (passes/loops/math.h).
TEST(Elementwise, F64FunctionsHoldTheirBounds) {
  std::vector<double> x;
  for (int k = -4000; k <= 4000; ++k) x.push_back(k * 0.00731);
  for (int k = -300; k <= 300; k += 3) x.push_back(std::ldexp(1.3, k)), x.push_back(-std::ldexp(1.7, k));
  auto input = tensor<double>({static_cast<int64_t>(x.size())}, x);
  auto sigmoid = [](long double v) { return 1 / (1 + std::exp(-v)); };
  using F = std::function<long double(long double)>;
  auto of = [](long double (*f)(long double)) { return F(f); };
  for (const auto& [op, f, bound] : std::vector<std::tuple<std::string, F, double>>{{"exp", of(std::exp), 1},
                                                                                    {"log", of(std::log), 1},
                                                                                    {"sin", of(std::sin), 3},
                                                                                    {"cos", of(std::cos), 3},
                                                                                    {"tan", of(std::tan), 3},
                                                                                    {"asin", of(std::asin), 3},
                                                                                    {"acos", of(std::acos), 3},
                                                                                    {"atan", of(std::atan), 1},
                                                                                    {"sinh", of(std::sinh), 3},
                                                                                    {"cosh", of(std::cosh), 3},
                                                                                    {"tanh", of(std::tanh), 3},
                                                                                    {"asinh", of(std::asinh), 3},
                                                                                    {"acosh", of(std::acosh), 3},
                                                                                    {"atanh", of(std::atanh), 3},
                                                                                    {"erf", of(std::erf), 3},
                                                                                    {"sqrt", of(std::sqrt), 0.51},
                                                                                    {"sigmoid", F(sigmoid), 3}}) {
    auto y = values<double>(run1(op, {input}));
    for (size_t k = 0; k < x.size(); ++k) {
      if (std::fabs(x[k]) > 1e9 && (op == "sin" || op == "cos" || op == "tan")) continue;
      const long double want = f(x[k]);
      const double rounded = static_cast<double>(want);
      if (!std::isfinite(rounded)) {
        EXPECT_TRUE(y[k] == rounded || (std::isnan(y[k]) && std::isnan(rounded))) << op << " " << x[k];
        continue;
      }
      int e = 0;
      std::frexp(want, &e);
      EXPECT_LE(std::fabs(y[k] - want), bound * std::ldexp(1.0L, std::max(e - 53, -1074))) << op << " " << x[k];
    }
  }
}

TEST(Elementwise, ErfcKeepsItsSmallNumbers) {
  std::vector<double> x;
  for (int k = -60; k <= 260; ++k) x.push_back(k * 0.1);
  auto y = run1("erfc", {tensor<double>({static_cast<int64_t>(x.size())}, x)});
  for (size_t k = 0; k < x.size(); ++k) {
    const double want = std::erfc(x[k]), got = y->number(static_cast<int64_t>(k));
    EXPECT_LE(std::abs(got - want), want * 1e-12) << x[k];
  }
}

TEST(Elementwise, PowOfIntegersIsExact) {
  auto i8 = all_of<int8_t>(-128, 127);
  auto u8 = all_of<uint8_t>(0, 255);
  expect_powers(i8, i8);
  expect_powers(i8, u8);
  expect_powers(u8, i8);
  expect_powers(u8, u8);
  auto i16 = all_of<int16_t>(-300, 300);
  expect_powers(i8, i16);
  expect_powers(u8, i16);
  expect_powers(i16, i8);
  expect_powers(all_of<uint16_t>(0, 700), i8);
  auto more = all_of<int64_t>(-70, 70);
  expect_powers(std::vector<int32_t>{INT32_MIN, -46341, -11, -3, -2, -1, 0, 1, 2, 3, 10, 11, 46341, INT32_MAX}, more);
  expect_powers(std::vector<int64_t>{INT64_MIN, -11, -3, -2, -1, 0, 1, 2, 3, 10, 11, 3037000500, INT64_MAX}, more);
  expect_powers(std::vector<int64_t>{-3, -1, 2, 11}, all_of<int32_t>(-40, 70));
  expect_powers(std::vector<uint64_t>{0, 1, 2, 3, 11, UINT64_MAX}, more);
  expect_powers(i8, std::vector<int64_t>{-100000, 100000, 100001});
}

TEST(Elementwise, BitShiftOfEachAmount) {
  auto check = [&]<class T>(T) {
    constexpr int kBits = sizeof(T) * 8;
    std::vector<T> x, y, left, right;
    for (T a : {T(0), T(1), T(5), T(-1), T(-6), std::numeric_limits<T>::min(), std::numeric_limits<T>::max()}) {
      for (int amount = -2; amount <= kBits + 2; ++amount) {
        x.push_back(a), y.push_back(static_cast<T>(amount));
        const bool inside = amount >= 0 && amount < kBits;
        T l = 0, r = a < T(0) ? T(-1) : T(0);
        if (inside) {
          l = a, r = a;
          for (int k = 0; k < amount; ++k) {
            l = static_cast<T>(static_cast<uint64_t>(l) * 2);
            r = static_cast<T>((r - (r & 1)) / 2);
          }
        }
        left.push_back(l), right.push_back(r);
      }
    }
    auto a = tensor<T>({static_cast<int64_t>(x.size())}, x), b = tensor<T>({static_cast<int64_t>(x.size())}, y);
    EXPECT_EQ(values<T>(run1("bit_shift", {a, b}, {{"direction", std::string("LEFT")}})), left);
    EXPECT_EQ(values<T>(run1("bit_shift", {a, b}, {{"direction", std::string("RIGHT")}})), right);
  };
  check(int8_t{}), check(int16_t{}), check(int32_t{}), check(int64_t{});
  check(uint8_t{}), check(uint16_t{}), check(uint64_t{});
}

TEST(Elementwise, BoolsAndWhere) {
  auto a = tensor<bool>({4}, {false, false, true, true}), b = tensor<bool>({4}, {false, true, false, true});
  EXPECT_EQ(values<bool>(run1("and", {a, b})), (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(values<bool>(run1("or", {a, b})), (std::vector<bool>{false, true, true, true}));
  EXPECT_EQ(values<bool>(run1("xor", {a, b})), (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(values<bool>(run1("not", {a})), (std::vector<bool>{true, true, false, false}));
  EXPECT_EQ(values<int32_t>(run1("where", {a, tensor<int32_t>({1}, {5}), tensor<int32_t>({4}, {1, 2, 3, 4})})),
            (std::vector<int32_t>{1, 2, 5, 5}));
}

TEST(Elementwise, Casts) {
  auto x = tensor<float>({5}, {1.75f, -1.75f, 300, NAN, 0});
  EXPECT_EQ(values<int32_t>(run1("cast", {x}, {{"to", int64_t{6}}})), (std::vector<int32_t>{1, -1, 300, 0, 0}));
  EXPECT_EQ(values<bool>(run1("cast", {x}, {{"to", int64_t{9}}})), (std::vector<bool>{true, true, true, true, false}));
  EXPECT_EQ(values<int64_t>(run1("cast_like", {x, tensor<int64_t>({1}, {0})})),
            (std::vector<int64_t>{1, -1, 300, 0, 0}));
  EXPECT_EQ(values<int32_t>(run1("bit_cast", {tensor<float>({2}, {1, -2})}, {{"to", int64_t{6}}})),
            (std::vector<int32_t>{0x3f800000, static_cast<int32_t>(0xc0000000)}));
  EXPECT_NE(error_of("cast", {x}, {{"to", int64_t{99}}}).find("expected the number of an element type"),
            std::string::npos);
  // 2^(byte - 127): up to the next power of two, by default.
  auto e8m0 = [&](const char* mode) {
    auto y = run1("cast", {tensor<float>({5}, {1, 1.25f, 1.5f, 3, INFINITY})},
                  {{"to", int64_t{24}}, {"round_mode", std::string(mode)}});
    return std::vector<uint8_t>(y->bytes, y->bytes + 5);
  };
  EXPECT_EQ(e8m0("up"), (std::vector<uint8_t>{127, 128, 128, 129, 254}));
  EXPECT_EQ(e8m0("down"), (std::vector<uint8_t>{127, 127, 127, 128, 254}));
  EXPECT_EQ(e8m0("nearest"), (std::vector<uint8_t>{127, 127, 128, 129, 254}));
}

}  // namespace
}  // namespace ingot
