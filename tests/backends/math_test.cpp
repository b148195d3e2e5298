// Scalar functions, casts and integer rules: the legalised and compiled code against long double libm and ir/numeric.h,
// over samples of every exponent.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "ir/numeric.h"
#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

constexpr int kLanes = 16;

int32_t code_of(DType t) {
  switch (t) {
    case DType::F32: return INGOT_F32;
    case DType::F64: return INGOT_F64;
    case DType::F16: return INGOT_F16;
    case DType::BF16: return INGOT_BF16;
    case DType::Bool: return INGOT_BOOL;
    case DType::I8: return INGOT_I8;
    case DType::U8: return INGOT_U8;
    case DType::I16: return INGOT_I16;
    case DType::U16: return INGOT_U16;
    case DType::I32: return INGOT_I32;
    case DType::U32: return INGOT_U32;
    case DType::I64: return INGOT_I64;
    case DType::U64: return INGOT_U64;
    default: return 0;
  }
}

using Body = std::function<Expr(std::vector<Expr>)>;

struct Case {
  Body body;
  DType out;
};

// y[i] = body(x0[i], x1[i], ...) for each body: bytes of y. Each x has `n` elements of its dtype, n a multiple of lanes.
std::vector<std::vector<uint8_t>> apply_all(const std::vector<Case>& cases,
                                            std::vector<std::pair<DType, const void*>> x, int64_t n,
                                            const std::string& target = "host", int lanes = kLanes) {
  Symbol size = Dim::symbol("N");
  l::Program p;
  std::vector<Loaded::Input> inputs;
  auto stored = [](DType d) { return bits(d) < 8 || (is_float(d) && bits(d) == 8) ? DType::U8 : d; };
  auto buffer = [&](l::HostBuffer::Kind kind, DType d, size_t index) {
    l::HostBuffer b;
    b.kind = kind, b.dtype = stored(d), b.index = static_cast<int>(index), b.dims = {Dim(size)};
    p.buffers.push_back(b);
  };
  for (size_t i = 0; i < x.size(); ++i) {
    buffer(l::HostBuffer::Kind::Input, x[i].first, i);
    p.inputs.push_back({"x", stored(x[i].first), {Dim(size)}});
    inputs.push_back({x[i].second, {n}, code_of(stored(x[i].first))});
  }
  for (size_t c = 0; c < cases.size(); ++c) {
    Symbol t = Dim::symbol("t");
    l::Kernel k;
    k.name = "apply";
    k.item = t;
    std::vector<Expr> args;
    std::vector<int> ids;
    for (size_t i = 0; i < x.size(); ++i) {
      k.buffers.push_back({static_cast<int64_t>(i), "x", stored(x[i].first)});
      args.push_back(load(static_cast<int64_t>(i), x[i].first, lanes, Dim(t) * lanes));
      ids.push_back(static_cast<int>(i));
    }
    ids.push_back(static_cast<int>(p.buffers.size()));
    k.buffers.push_back({static_cast<int64_t>(x.size()), "y", stored(cases[c].out), true});
    k.body = {store(static_cast<int64_t>(x.size()), Dim(t) * lanes, cases[c].body(args))};
    p.kernels.push_back(std::move(k));
    buffer(l::HostBuffer::Kind::Output, cases[c].out, c);
    p.outputs.push_back({"y", stored(cases[c].out), {Dim(size)}});
    p.host.push_back(place(ids.back()));
    p.host.push_back(launch(static_cast<int64_t>(c), ids, {}, floordiv(Dim(size), lanes)));
  }
  Loaded image(build(p, target));
  EXPECT_TRUE(image);
  std::vector<std::vector<uint8_t>> results(cases.size());
  if (!image || image.run(inputs) != 0) {
    ADD_FAILURE() << "run failed";
    return results;
  }
  for (size_t c = 0; c < cases.size(); ++c) results[c] = image.outputs[c].bytes;
  return results;
}

std::vector<uint8_t> apply(const Body& body, std::vector<std::pair<DType, const void*>> x, DType out, int64_t n,
                           const std::string& target = "host", int lanes = kLanes) {
  return apply_all({{body, out}}, std::move(x), n, target, lanes)[0];
}

Body op1(ScalarOp op) {
  return [op](std::vector<Expr> a) { return node(op, a[0].type(), a[0].lanes(), {a[0]}); };
}
Body op2(ScalarOp op, bool compare = false) {
  return [op, compare](std::vector<Expr> a) {
    return node(op, compare ? DType::Bool : a[0].type(), a[0].lanes(), {a[0], a[1]});
  };
}

std::vector<float> all_floats(uint32_t step) {
  std::vector<float> v = {0.0f, -0.0f, INFINITY,  -INFINITY,  NAN,       1,      -1,
                          0.5f, -0.5f, 0x1p-149f, -0x1p-149f, 0x1p-126f, 3.4e38f};
  for (uint64_t b = 0; b < (uint64_t{1} << 32); b += step) v.push_back(std::bit_cast<float>(static_cast<uint32_t>(b)));
  while (v.size() % kLanes) v.push_back(0.25f);
  return v;
}

double ulps(float got, long double want) {
  auto w = static_cast<float>(want);
  if (std::isnan(got) || std::isnan(w)) return std::isnan(got) && std::isnan(w) ? 0 : 1e30;
  if (std::isinf(w) || std::isinf(got)) {
    if (got == w) return 0;
    // Next to the overflow a difference of one ulp is infinite on one side.
    return std::isinf(w) && got == std::copysign(3.402823466e38f, w) && std::fabs(want) < 3.4028238e38L ? 1 : 1e30;
  }
  if (w == 0 && got == 0) return std::signbit(w) == std::signbit(got) ? 0 : 1e30;
  int e = 0;
  std::frexp(w == 0 ? 0x1p-149f : w, &e);
  double unit = std::ldexp(1.0, std::max(e - 24, -149));
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want)) / unit;
}

struct Function {
  ScalarOp op;
  long double (*exact)(long double);
  double bound32, bound64;  // ulp
};
long double sigmoid_l(long double x) { return 1 / (1 + std::exp(-x)); }
const Function kFunctions[] = {
    {ScalarOp::Exp, std::exp, 1.5, 1},
    {ScalarOp::Expm1, std::expm1, 2, 3},
    {ScalarOp::Log, std::log, 1.5, 1},
    {ScalarOp::Log1p, std::log1p, 2, 1},
    {ScalarOp::Sin, std::sin, 1.5, 3},
    {ScalarOp::Cos, std::cos, 1.5, 3},
    {ScalarOp::Tan, std::tan, 3, 3},
    {ScalarOp::Asin, std::asin, 1, 3},
    {ScalarOp::Acos, std::acos, 1, 3},
    {ScalarOp::Atan, std::atan, 1, 1},
    {ScalarOp::Sinh, std::sinh, 1, 3},
    {ScalarOp::Cosh, std::cosh, 1, 3},
    {ScalarOp::Tanh, std::tanh, 6, 3},
    {ScalarOp::Asinh, std::asinh, 1, 3},
    {ScalarOp::Acosh, std::acosh, 1, 3},
    {ScalarOp::Atanh, std::atanh, 1, 3},
    {ScalarOp::Erf, std::erf, 6, 3},
    {ScalarOp::Sigmoid, sigmoid_l, 3, 3},
    {ScalarOp::Sqrt, std::sqrt, 0.5000001, 0.5005},
};

TEST(Math, F32) {
  std::vector<float> x = all_floats(7919);
  // Denser where the functions change.
  for (int i = -60000; i <= 60000; ++i) x.push_back(static_cast<float>(i) * 0.002f);
  while (x.size() % kLanes) x.push_back(1);
  for (const char* target : {"host", "x86-64-v2"})
    for (const Function& f : kFunctions) {
      auto bytes = apply(op1(f.op), {{DType::F32, x.data()}}, DType::F32, static_cast<int64_t>(x.size()), target);
      ASSERT_FALSE(bytes.empty());
      const float* y = reinterpret_cast<const float*>(bytes.data());
      double worst = 0;
      float where = 0, got = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        double u = ulps(y[i], f.exact(x[i]));
        if (u > worst) worst = u, where = x[i], got = y[i];
      }
      printf("%s %-8s f32 %.3f ulp at %a\n", target, std::string(name(f.op)).c_str(), worst, where);
      EXPECT_LE(worst, f.bound32) << name(f.op) << " at " << where << " got " << got << " want "
                                  << static_cast<double>(f.exact(where));
    }
}

std::vector<double> doubles() {
  std::vector<double> x = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1, -1, 0.5, -0.5, 0x1p-1074, 0x1p-1022, 1.7e308};
  uint64_t state = 1;
  for (int i = 0; i < 60000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x.push_back(std::bit_cast<double>(state));
    double unit = static_cast<double>(state >> 11) * 0x1p-53;
    x.push_back((unit - 0.5) * 4);
    x.push_back((unit - 0.5) * 60);
    x.push_back((unit - 0.5) * 2000);
    x.push_back(1 + (unit - 0.5) * 1e-3);
  }
  while (x.size() % kLanes) x.push_back(1);
  return x;
}

double ulps(double got, long double want) {
  auto w = static_cast<double>(want);
  if (std::isnan(got) || std::isnan(w)) return std::isnan(got) && std::isnan(w) ? 0 : 1e30;
  if (std::isinf(w) || std::isinf(got)) return got == w || std::fabs(want) > 0x1.fffffffffffffp1023L ? 0 : 1e30;
  if (got == 0 && w == 0) return std::signbit(got) == std::signbit(w) ? 0 : 1e30;
  int e = 0;
  std::frexp(want, &e);
  return static_cast<double>(std::fabs(got - want) / std::ldexp(1.0L, std::max(e - 53, -1074)));
}

TEST(Math, F64) {
  std::vector<double> x = doubles();
  for (const char* target : {"host", "x86-64-v2"})
    for (const Function& f : kFunctions) {
      bool periodic = f.op == ScalarOp::Sin || f.op == ScalarOp::Cos || f.op == ScalarOp::Tan;
      auto bytes = apply(op1(f.op), {{DType::F64, x.data()}}, DType::F64, static_cast<int64_t>(x.size()), target);
      ASSERT_FALSE(bytes.empty());
      const double* y = reinterpret_cast<const double*>(bytes.data());
      double worst = 0, where = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        if (periodic && std::isfinite(x[i]) && std::fabs(x[i]) > 1e9) {
          if (f.op != ScalarOp::Tan) {
            EXPECT_LE(std::fabs(y[i]), 1.0000001) << x[i];
          }
          continue;
        }
        double u = ulps(y[i], f.exact(x[i]));
        if (u > worst) worst = u, where = x[i];
      }
      printf("%s %-8s f64 %.3f ulp at %a\n", target, std::string(name(f.op)).c_str(), worst, where);
      EXPECT_LE(worst, f.bound64) << name(f.op) << " at " << where;
    }
}

TEST(Math, Pow) {
  std::vector<float> base = {0.0f,     -0.0f,     1,   -1,     2,     -2,      0.5f,    3,     10, -10,
                             INFINITY, -INFINITY, NAN, 1e-40f, 1e30f, 1.0001f, 0.9999f, -1.5f, 7,  1e-20f};
  std::vector<float> power = {0.0f, -0.0f, 1,        -1,        2,   -2,    3,    0.5f,  -0.5f,  1.5f,   10,
                              31,   -31,   INFINITY, -INFINITY, NAN, 1e10f, 1000, -1000, 0.333f, 126.5f, -149};
  std::vector<float> x, y;
  for (float a : base)
    for (float b : power) x.push_back(a), y.push_back(b);
  uint32_t state = 7;
  for (int i = 0; i < 200000; ++i) {
    state = state * 1664525 + 1013904223;
    x.push_back(std::ldexp(1 + static_cast<float>(state >> 9) * 0x1p-23f, static_cast<int>(state >> 3 & 31) - 16));
    y.push_back((static_cast<float>((state * 2654435761u) >> 9) * 0x1p-23f - 0.5f) * 20);
  }
  while (x.size() % kLanes) x.push_back(1), y.push_back(1);
  auto bytes = apply(op2(ScalarOp::Pow), {{DType::F32, x.data()}, {DType::F32, y.data()}}, DType::F32,
                     static_cast<int64_t>(x.size()));
  const float* r = reinterpret_cast<const float*>(bytes.data());
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_LE(ulps(r[i], std::pow(static_cast<long double>(x[i]), static_cast<long double>(y[i]))), 1)
        << x[i] << " ^ " << y[i] << " = " << r[i];
}

TEST(Math, PowF64) {
  std::vector<double> special = {0.0,       -0.0,    1,           -1,          2,         -2,     0.5,
                                 3,         10,      -10,         INFINITY,    -INFINITY, NAN,    0x1p-1074,
                                 0x1p-1022, 1.7e308, 1 + 0x1p-52, 1 - 0x1p-53, -1.5,      7,      1e-200,
                                 31,        -31,     1000,        -1000,       1.0 / 3,   0x1p53, 0x1p53 + 2,
                                 1e300,     -1e300,  0x1p62,      0x1p65,      1023,      -1074,  -1075};
  std::vector<double> x, y;
  for (double a : special)
    for (double b : special) x.push_back(a), y.push_back(b);
  uint64_t state = 1;
  auto unit = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  for (int i = 0; i < 100000; ++i) {
    // Results of all magnitudes, among them bases next to 1 with exponents of up to 2^60, and results that are no normal number.
    double base = std::ldexp(1 + unit(), static_cast<int>(unit() * 2000) - 1000);
    x.push_back(base), y.push_back((unit() - 0.5) * 2150 / std::max(std::fabs(std::log2(base)), 1.0));
    x.push_back(unit() * 4), y.push_back((unit() - 0.5) * 100);
    double near = 1 + std::ldexp(unit() - 0.5, -static_cast<int>(unit() * 50));
    x.push_back(near), y.push_back((unit() - 0.5) * 2000 / std::max(std::fabs(std::log2(near)), 0x1p-52));
    x.push_back(std::floor(unit() * 1000) + 2), y.push_back(std::floor(unit() * 40));
  }
  while (x.size() % kLanes) x.push_back(1), y.push_back(1);
  for (const char* target : {"host", "x86-64-v2"}) {
    auto bytes = apply(op2(ScalarOp::Pow), {{DType::F64, x.data()}, {DType::F64, y.data()}}, DType::F64,
                       static_cast<int64_t>(x.size()), target);
    const double* d = reinterpret_cast<const double*>(bytes.data());
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      long double want = std::pow(static_cast<long double>(x[i]), static_cast<long double>(y[i]));
      const double u = ulps(d[i], want);
      worst = std::max(worst, u);
      ASSERT_LE(u, 1) << x[i] << " ^ " << y[i] << " = " << d[i];
      // What is a number of the type has no error at all.
      if (want == static_cast<double>(want)) {
        ASSERT_EQ(u, 0) << x[i] << " ^ " << y[i] << " = " << d[i];
      }
    }
    printf("%s pow      f64 %.3f ulp\n", target, worst);
  }
}

// 1 to 2^53: whatever is a product of whole numbers comes out whole.
TEST(Math, PowOfWholeNumbersF64) {
  std::vector<double> x, y, want;
  for (int64_t b = 2; b <= 1000; ++b) {
    int64_t p = 1;
    for (int e = 0; p <= (int64_t{1} << 53) / b; ++e, p *= b)
      x.push_back(static_cast<double>(b)), y.push_back(e), want.push_back(static_cast<double>(p));
  }
  while (x.size() % kLanes) x.push_back(1), y.push_back(1), want.push_back(1);
  for (const char* target : {"host", "x86-64-v2"}) {
    auto bytes = apply(op2(ScalarOp::Pow), {{DType::F64, x.data()}, {DType::F64, y.data()}}, DType::F64,
                       static_cast<int64_t>(x.size()), target);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(reinterpret_cast<const double*>(bytes.data())[i], want[i]) << x[i] << " ^ " << y[i];
  }
}

TEST(Math, Atan2AndRemainders) {
  std::vector<float> v = {0.0f, -0.0f,  1,     -1, 2.5f, -2.5f, INFINITY, -INFINITY,
                          NAN,  1e-40f, 1e38f, -3, 7,    0.1f,  1e20f,    -1e-30f};
  std::vector<float> x, y;
  for (float a : v)
    for (float b : v) x.push_back(a), y.push_back(b);
  for (const char* target : {"host", "x86-64-v2"}) {
    auto run = [&](ScalarOp op) {
      return apply(op2(op), {{DType::F32, x.data()}, {DType::F32, y.data()}}, DType::F32,
                   static_cast<int64_t>(x.size()), target);
    };
    auto a = run(ScalarOp::Atan2), m = run(ScalarOp::Rem), f = run(ScalarOp::FloorMod);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_LE(ulps(reinterpret_cast<float*>(a.data())[i],
                     std::atan2(static_cast<long double>(x[i]), static_cast<long double>(y[i]))),
                1)
          << x[i] << " " << y[i];
      EXPECT_LE(ulps(reinterpret_cast<float*>(m.data())[i], std::fmod(x[i], y[i])), 0) << x[i] << " % " << y[i];
      float want = std::fmod(x[i], y[i]);
      if (want != 0 && (want < 0) != (y[i] < 0)) want += y[i];
      else if (want == 0) want = std::copysign(0.0f, y[i]);
      EXPECT_LE(ulps(reinterpret_cast<float*>(f.data())[i], want), 0) << x[i] << " floormod " << y[i];
    }
  }
}

TEST(Math, RemainderF64) {
  std::vector<double> x, y;
  uint64_t state = 5;
  for (int i = 0; i < 4096; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x.push_back(
        std::ldexp(static_cast<double>(static_cast<int64_t>(state)), static_cast<int>(state >> 20 & 127) - 100));
    y.push_back(
        std::ldexp(static_cast<double>(state * 0x9E3779B97F4A7C15u >> 11), static_cast<int>(state >> 40 & 127) - 100));
  }
  for (const char* target : {"host", "x86-64-v2"}) {
    auto bytes = apply(op2(ScalarOp::Rem), {{DType::F64, x.data()}, {DType::F64, y.data()}}, DType::F64, 4096, target);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(reinterpret_cast<double*>(bytes.data())[i], std::fmod(x[i], y[i]))
          << target << " " << x[i] << " % " << y[i];
  }
}

std::vector<uint8_t> samples(DType t, int64_t& n) {
  std::vector<uint8_t> out;
  auto push = [&](auto v) {
    size_t at = out.size();
    out.resize(at + sizeof v);
    std::memcpy(out.data() + at, &v, sizeof v);
  };
  if (t == DType::F32) {
    for (float f : all_floats(65521)) push(f);
    for (int i = -70000; i < 70000; i += 7) push(static_cast<float>(i) * 0.25f);
    for (int e = -150; e < 128; ++e)
      for (int m = 0; m < 64; ++m) push(std::ldexp(1 + static_cast<float>(m) / 64, e));
    while (out.size() % (4 * kLanes)) push(0.0f);
    n = static_cast<int64_t>(out.size() / 4);
  } else if (t == DType::F64) {
    for (double d : doubles()) push(d);
    for (int e = -150; e < 70; ++e)
      for (int m = 0; m < 64; ++m) push(std::ldexp(1 + static_cast<double>(m) / 64 + 0x1p-50 * (m % 3 - 1), e));
    while (out.size() % (8 * kLanes)) push(0.0);
    n = static_cast<int64_t>(out.size() / 8);
  } else {
    int bytes = std::max(1, bits(t) / 8);
    int64_t count = bytes == 1 ? (t == DType::Bool ? 16 : bits(t) < 8 ? 16 : 256) : 65536;
    uint64_t state = 3;
    for (int64_t i = 0; i < count; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      uint64_t v = bytes <= 2 ? static_cast<uint64_t>(i)
                   : i < 64   ? (uint64_t{1} << i) - (i & 1)
                              : static_cast<uint64_t>(static_cast<int64_t>(state) >> (i % 60));
      if (t == DType::Bool) v &= 1;
      if (t == DType::I4) v = static_cast<uint64_t>(static_cast<int64_t>(v << 60) >> 60);
      for (int b = 0; b < bytes; ++b) out.push_back(static_cast<uint8_t>(v >> (8 * b)));
    }
    n = count;
  }
  return out;
}

// Every pair of types, against ir/numeric.h.
TEST(Casts, AllPairs) {
  const DType kTypes[] = {
      DType::Bool, DType::I4,       DType::U4,         DType::I8,     DType::U8,         DType::I16,    DType::U16,
      DType::I32,  DType::U32,      DType::I64,        DType::U64,    DType::F16,        DType::BF16,   DType::F32,
      DType::F64,  DType::F8E4M3FN, DType::F8E4M3FNUZ, DType::F8E5M2, DType::F8E5M2FNUZ, DType::F8E8M0, DType::F4E2M1};
  auto held = [](DType t) { return t == DType::I4 ? DType::I8 : t == DType::U4 ? DType::U8 : t; };
  for (const char* target : {"host", "x86-64-v2"})
    for (DType from : kTypes) {
      int64_t n = 0;
      std::vector<uint8_t> in = samples(from, n);
      std::vector<Case> cases;
      std::vector<std::pair<DType, bool>> what;
      for (DType to : kTypes)
        for (bool saturate : {true, false}) {
          bool small = is_float(to) && bits(to) <= 8;
          if (from == to || (!saturate && !small)) continue;
          what.push_back({to, saturate});
          cases.push_back({[to, saturate](std::vector<Expr> a) {
                             ExprNode c{ScalarOp::Cast, to, a[0].lanes(), {a[0]}, Dim(0)};
                             c.saturate = saturate;
                             return Expr(std::make_shared<const ExprNode>(std::move(c)));
                           },
                           to});
        }
      auto results = apply_all(cases, {{from, in.data()}}, n, target);
      for (size_t c = 0; c < what.size(); ++c) {
        auto [to, saturate] = what[c];
        const std::vector<uint8_t>& out = results[c];
        ASSERT_FALSE(out.empty());
        int bad = 0;
        for (int64_t i = 0; i < n && bad < 3; ++i) {
          bool f4_in = from == DType::F4E2M1, f4_out = to == DType::F4E2M1;
          // One code per byte here; numeric.h packs two.
          uint8_t packed = f4_in ? in[static_cast<size_t>(i)] & 15 : 0;
          const uint8_t* source = f4_in ? &packed : in.data();
          int64_t at = f4_in ? 0 : i;
          uint8_t want[8] = {}, got[8] = {};
          int size = std::max(1, bits(held(to)) / 8);
          if (is_float(to)) {
            double v = is_float(from)       ? load_number(from, source, at)
                       : from == DType::U64 ? static_cast<double>(static_cast<uint64_t>(load_integer(from, source, at)))
                                            : static_cast<double>(load_integer(held(from), source, at));
            if (to == DType::F32 && !is_float(from)) {
              float f = from == DType::U64 ? static_cast<float>(static_cast<uint64_t>(load_integer(from, source, at)))
                                           : static_cast<float>(load_integer(held(from), source, at));
              std::memcpy(want, &f, 4);
            } else {
              store_number(to, want, 0, v, saturate);
            }
          } else {
            int64_t v = is_float(from) ? truncate_to(to, load_number(from, source, at))
                                       : wrap_to(to, load_integer(held(from), source, at));
            store_integer(held(to), want, 0, v);
          }
          std::memcpy(got, out.data() + i * size, static_cast<size_t>(size));
          if (f4_out) want[0] &= 15;
          bool both_nan = is_float(to) && bits(to) >= 32 && std::isnan(load_number(to, want, 0)) &&
                          std::isnan(load_number(to, got, 0));
          // A NaN's sign and payload are kept by hardware and not by the reference.
          if (to == DType::F16 && std::isnan(load_number(to, want, 0)) && std::isnan(load_number(to, got, 0)))
            both_nan = true;
          if (is_float(to) && bits(to) <= 16 && is_float(from) && std::isnan(load_number(to, want, 0)) &&
              std::isnan(load_number(to, got, 0)))
            both_nan = true;
          if (!both_nan && std::memcmp(want, got, static_cast<size_t>(size)) != 0) {
            ++bad;
            uint64_t w = 0, g = 0;
            std::memcpy(&w, want, 8), std::memcpy(&g, got, 8);
            ADD_FAILURE() << target << " " << name(from) << " -> " << name(to) << (saturate ? "" : " (no saturation)")
                          << " item " << i << " from "
                          << (is_float(from) ? load_number(from, source, at)
                                             : static_cast<double>(load_integer(held(from), source, at)))
                          << ": got " << std::hex << g << ", expected " << w;
          }
        }
      }
    }
}

template <class T>
void integers(DType t) {
  std::vector<T> v = {0,
                      1,
                      2,
                      3,
                      static_cast<T>(-1),
                      static_cast<T>(-2),
                      std::numeric_limits<T>::min(),
                      std::numeric_limits<T>::max(),
                      5,
                      7,
                      100,
                      8,
                      15,
                      31,
                      33,
                      63};
  std::vector<T> x, y;
  for (T a : v)
    for (T b : v) x.push_back(a), y.push_back(b);
  auto run = [&](ScalarOp op) {
    auto bytes = apply(op2(op), {{t, x.data()}, {t, y.data()}}, t, static_cast<int64_t>(x.size()));
    std::vector<T> r(x.size());
    std::memcpy(r.data(), bytes.data(), r.size() * sizeof(T));
    return r;
  };
  using U = std::make_unsigned_t<T>;
  using Wide = __int128;
  auto div = run(ScalarOp::Div), rem = run(ScalarOp::Rem), fmod = run(ScalarOp::FloorMod), shl = run(ScalarOp::Shl),
       shr = run(ScalarOp::Shr), max = run(ScalarOp::Max), pow = run(ScalarOp::Pow);
  for (size_t i = 0; i < x.size(); ++i) {
    Wide a = x[i], b = y[i];
    EXPECT_EQ(div[i], b == 0 ? T(0) : static_cast<T>(a / b)) << name(t) << " " << i;
    EXPECT_EQ(rem[i], b == 0 ? T(0) : static_cast<T>(a % b)) << name(t) << " " << i;
    Wide f = b == 0 ? 0 : a % b;
    if (f != 0 && (f < 0) != (b < 0)) f += b;
    EXPECT_EQ(fmod[i], static_cast<T>(f)) << name(t) << " " << i;
    bool inside = b >= 0 && b < static_cast<Wide>(sizeof(T) * 8);
    EXPECT_EQ(shl[i], inside ? static_cast<T>(static_cast<U>(x[i]) << static_cast<int>(b)) : T(0)) << name(t);
    EXPECT_EQ(shr[i], inside ? static_cast<T>(x[i] >> static_cast<int>(b)) : T(0)) << name(t);
    EXPECT_EQ(max[i], std::max(x[i], y[i]));
    uint64_t power = 1, square = static_cast<uint64_t>(x[i]);
    for (auto e = static_cast<U>(y[i]); e; e = static_cast<U>(e >> 1), square *= square)
      if (e & 1) power *= square;
    if (b < 0) power = a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? ~uint64_t{0} : 0;
    EXPECT_EQ(pow[i], static_cast<T>(power)) << name(t) << " " << +x[i] << " ^ " << +y[i];
  }
}

TEST(Integers, DivideShiftWrap) {
  integers<int8_t>(DType::I8);
  integers<uint8_t>(DType::U8);
  integers<int16_t>(DType::I16);
  integers<int32_t>(DType::I32);
  integers<uint32_t>(DType::U32);
  integers<int64_t>(DType::I64);
  integers<uint64_t>(DType::U64);
}

TEST(Floats, MinMaxNaN) {
  std::vector<float> v = {0, 1, -1, INFINITY, -INFINITY, NAN, 2, 3}, x, y;
  for (float a : v)
    for (float b : v) x.push_back(a), y.push_back(b);
  for (const char* target : {"host", "x86-64-v3"})
    for (ScalarOp op : {ScalarOp::Min, ScalarOp::Max}) {
      auto bytes = apply(op2(op), {{DType::F32, x.data()}, {DType::F32, y.data()}}, DType::F32, 64, target);
      for (size_t i = 0; i < 64; ++i) {
        float r = reinterpret_cast<float*>(bytes.data())[i];
        float want = std::isnan(x[i]) || std::isnan(y[i]) ? NAN
                     : op == ScalarOp::Min                ? std::min(x[i], y[i])
                                                          : std::max(x[i], y[i]);
        EXPECT_LE(ulps(r, want), 0) << x[i] << " " << y[i] << " " << r;
      }
      bytes = apply(
          [&](std::vector<Expr> a) {
            return node(op, DType::F32, kLanes, {a[0], splat(ex::number(DType::F32, 0.5), kLanes)});
          },
          {{DType::F32, x.data()}}, DType::F32, 64, target);
      for (size_t i = 0; i < 64; ++i) {
        float want = std::isnan(x[i]) ? NAN : op == ScalarOp::Min ? std::min(x[i], 0.5f) : std::max(x[i], 0.5f);
        EXPECT_LE(ulps(reinterpret_cast<float*>(bytes.data())[i], want), 0);
      }
    }
}

// Each operation of f16 and bf16 is computed in f32 and rounded once.
TEST(Floats, HalfArithmetic) {
  for (const char* target : {"host", "x86-64-v2"})
    for (DType t : {DType::F16, DType::BF16}) {
      int64_t n = 65536;
      std::vector<uint16_t> x(65536), y(65536);
      for (uint32_t i = 0; i < 65536; ++i)
        x[i] = static_cast<uint16_t>(i), y[i] = static_cast<uint16_t>(i * 40503 + 77);
      for (ScalarOp op : {ScalarOp::Add, ScalarOp::Mul, ScalarOp::Div, ScalarOp::Max}) {
        auto bytes = apply(op2(op), {{t, x.data()}, {t, y.data()}}, t, n, target);
        int bad = 0;
        for (int64_t i = 0; i < n && bad < 3; ++i) {
          auto a = static_cast<float>(load_number(t, reinterpret_cast<uint8_t*>(x.data()), i)),
               b = static_cast<float>(load_number(t, reinterpret_cast<uint8_t*>(y.data()), i));
          float r = op == ScalarOp::Add              ? a + b
                    : op == ScalarOp::Mul            ? a * b
                    : op == ScalarOp::Div            ? a / b
                    : std::isnan(a) || std::isnan(b) ? NAN
                                                     : std::max(a, b);
          double want = round_to(t, r), got = load_number(t, bytes.data(), i);
          if (!(want == got || (std::isnan(want) && std::isnan(got)))) {
            ++bad;
            ADD_FAILURE() << target << " " << name(t) << " " << name(op) << " " << a << " " << b << ": got " << got
                          << ", expected " << want;
          }
        }
      }
      auto less = apply(op2(ScalarOp::Lt, true), {{t, x.data()}, {t, y.data()}}, DType::Bool, n, target);
      for (int64_t i = 0; i < n; i += 13)
        EXPECT_EQ(less[static_cast<size_t>(i)], load_number(t, reinterpret_cast<uint8_t*>(x.data()), i) <
                                                    load_number(t, reinterpret_cast<uint8_t*>(y.data()), i));
    }
}

}  // namespace
}  // namespace ingot::test
