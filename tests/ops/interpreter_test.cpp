// The interpreter of K against plain C++ loops, on programs built by hand.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#include "ir/ops/evaluate.h"
#include "ir/small_float.h"

namespace ingot {
namespace {

using k::Combiner;
using k::StageKind;

// Builds a program stage by stage.
struct Builder {
  k::Program p;

  int value(DType t, std::vector<Dim> dims) {
    k::Value v;
    v.name = "v" + std::to_string(p.values.size());
    v.type = Type::of({t, std::move(dims)});
    return p.add(std::move(v));
  }
  int input(DType t, std::vector<Dim> dims) {
    const int id = value(t, std::move(dims));
    p.inputs.push_back(id);
    return id;
  }
  static std::vector<k::Iter> iters(const std::vector<Dim>& dims, const std::string& prefix) {
    std::vector<k::Iter> out;
    for (size_t i = 0; i < dims.size(); ++i)
      out.push_back({Dim::iterator(prefix + std::to_string(i), dims[i]), dims[i]});
    return out;
  }
  static std::vector<Dim> symbols(const std::vector<k::Iter>& iters) {
    std::vector<Dim> out;
    for (const auto& i : iters) out.push_back(Dim(i.symbol));
    return out;
  }
  using Body = std::function<std::vector<Expr>(const std::vector<Dim>&, const std::vector<Dim>&)>;
  k::Stage& stage(StageKind kind, const std::vector<Dim>& dims, const std::vector<Dim>& reds, const Body& body) {
    k::Stage s;
    s.kind = kind;
    s.iters = iters(dims, "i");
    s.reds = iters(reds, "r");
    s.body = body(symbols(s.iters), symbols(s.reds));
    for (const Expr& e : s.body) s.results.push_back(value(e.type(), dims));
    p.body.stages.push_back(std::move(s));
    return p.body.stages.back();
  }
  int map(const std::vector<Dim>& dims, const std::function<Expr(const std::vector<Dim>&)>& body) {
    return stage(StageKind::Map, dims, {}, [&](auto& i, auto&) { return std::vector<Expr>{body(i)}; }).results[0];
  }
  int reduce(Combiner c, const std::vector<Dim>& dims, const std::vector<Dim>& reds,
             const std::function<Expr(const std::vector<Dim>&, const std::vector<Dim>&)>& body) {
    auto& s = stage(StageKind::Reduce, dims, reds, [&](auto& i, auto& r) { return std::vector<Expr>{body(i, r)}; });
    s.combiner = c;
    return s.results[0];
  }
  std::vector<HostValue> run(std::vector<int> outputs, std::vector<HostValue> inputs) {
    p.body.outputs = std::move(outputs);
    auto ok = k::verify(p);
    EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
    auto r = run_program(p, std::move(inputs));
    EXPECT_TRUE(r) << (r ? "" : r.error().message);
    return r ? *r : std::vector<HostValue>(p.body.outputs.size());
  }
};

Expr at(const std::vector<Dim>& i, int k) { return ex::index(i[static_cast<size_t>(k)]); }
Expr rd(int id, DType t, std::vector<Dim> index) {
  std::vector<Expr> e;
  for (const Dim& d : index) e.push_back(ex::index(d));
  return ex::read(id, t, std::move(e));
}
Expr rd_or(int id, DType t, std::vector<Dim> index, Expr fill) {
  std::vector<Expr> e;
  for (const Dim& d : index) e.push_back(ex::index(d));
  return ex::read_or(id, t, std::move(e), std::move(fill));
}

template <class T>
HostValue tensor(DType t, std::vector<int64_t> dims, const std::vector<T>& values) {
  auto d = TensorData::make(t, std::move(dims));
  std::copy(values.begin(), values.end(), d->mutable_as<T>());
  return HostValue::of(std::move(d));
}
std::vector<float> random_floats(size_t n, int seed) {
  std::mt19937 g(static_cast<unsigned>(seed));
  std::uniform_real_distribution<float> d(-1, 1);
  std::vector<float> v(n);
  for (float& x : v) x = d(g);
  return v;
}
template <class T>
std::vector<T> contents(const HostValue& v) {
  if (!v.tensor) return {};
  return std::vector<T>(v.tensor->as<T>(), v.tensor->as<T>() + v.tensor->elements());
}
void expect_near(const std::vector<float>& got, const std::vector<float>& want, float tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << "at " << i;
}

// y[n,k,p,q] = sum c,r,s: x[n, c, p*st+r-1, q*st+s-1 | 0] * w[k,c,r,s], then max(y, 0)
void check_conv(int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t st) {
  const int64_t oh = (h + 2 - 3) / st + 1, ow = (w + 2 - 3) / st + 1;
  Builder b;
  const int x = b.input(DType::F32, {n, c, h, w}), f = b.input(DType::F32, {k, c, 3, 3});
  const int acc = b.reduce(Combiner::Sum, {n, k, oh, ow}, {c, 3, 3}, [&](auto& i, auto& r) {
    return rd_or(x, DType::F32, {i[0], r[0], i[2] * st + r[1] - 1, i[3] * st + r[2] - 1}, ex::number(DType::F32, 0)) *
           rd(f, DType::F32, {i[1], r[0], r[1], r[2]});
  });
  const int y = b.map({n, k, oh, ow}, [&](auto& i) { return max(rd(acc, DType::F32, i), 0); });
  const auto xs = random_floats(static_cast<size_t>(n * c * h * w), 1),
             ws = random_floats(static_cast<size_t>(k * c * 9), 2);
  const auto out = b.run({y}, {tensor(DType::F32, {n, c, h, w}, xs), tensor(DType::F32, {k, c, 3, 3}, ws)});
  std::vector<float> want;
  for (int64_t in = 0; in < n; ++in)
    for (int64_t ik = 0; ik < k; ++ik)
      for (int64_t p = 0; p < oh; ++p)
        for (int64_t q = 0; q < ow; ++q) {
          double s = 0;
          for (int64_t ic = 0; ic < c; ++ic)
            for (int64_t r = 0; r < 3; ++r)
              for (int64_t t = 0; t < 3; ++t) {
                const int64_t yy = p * st + r - 1, xx = q * st + t - 1;
                if (yy >= 0 && yy < h && xx >= 0 && xx < w)
                  s += static_cast<double>(xs[static_cast<size_t>(((in * c + ic) * h + yy) * w + xx)] *
                                           ws[static_cast<size_t>(((ik * c + ic) * 3 + r) * 3 + t)]);
              }
          want.push_back(std::max(static_cast<float>(s), 0.0f));
        }
  expect_near(contents<float>(out[0]), want, 0);
}

TEST(Interpreter, ConvolutionWithPaddingIsExact) {
  check_conv(1, 1, 1, 1, 1, 1);
  check_conv(2, 3, 7, 5, 4, 1);
  check_conv(1, 5, 13, 11, 3, 2);
  check_conv(1, 2, 40, 70, 2, 1);
}

TEST(Interpreter, SoftmaxOverTheLastAndTheFirstAxis) {
  for (bool last : {true, false}) {
    const int64_t m = 7, n = 600;
    Builder b;
    const int x = b.input(DType::F32, {m, n});
    const Dim kept = last ? m : n, reduced = last ? n : m;
    auto xi = [&](const Dim& i, const Dim& r) { return last ? rd(x, DType::F32, {i, r}) : rd(x, DType::F32, {r, i}); };
    const int mx = b.reduce(Combiner::Max, {kept}, {reduced}, [&](auto& i, auto& r) { return xi(i[0], r[0]); });
    const int e =
        b.map({m, n}, [&](auto& i) { return exp(rd(x, DType::F32, i) - rd(mx, DType::F32, {last ? i[0] : i[1]})); });
    const int s = b.reduce(Combiner::Sum, {kept}, {reduced}, [&](auto& i, auto& r) {
      return last ? rd(e, DType::F32, {i[0], r[0]}) : rd(e, DType::F32, {r[0], i[0]});
    });
    const int y =
        b.map({m, n}, [&](auto& i) { return rd(e, DType::F32, i) / rd(s, DType::F32, {last ? i[0] : i[1]}); });
    const auto xs = random_floats(static_cast<size_t>(m * n), 3);
    const auto got = contents<float>(b.run({y}, {tensor(DType::F32, {m, n}, xs)})[0]);
    for (int64_t i = 0; i < (last ? m : n); ++i) {
      double total = 0;
      for (int64_t j = 0; j < (last ? n : m); ++j)
        total += std::exp(static_cast<double>(xs[static_cast<size_t>(last ? i * n + j : j * n + i)]));
      for (int64_t j = 0; j < (last ? n : m); ++j) {
        const size_t at_ = static_cast<size_t>(last ? i * n + j : j * n + i);
        ASSERT_NEAR(got[at_], std::exp(static_cast<double>(xs[at_])) / total, 1e-7);
      }
    }
  }
}

TEST(Interpreter, ArgMaxTiesAndNaN) {
  const std::vector<float> xs = {1, 3, 3, 2, NAN, 5, NAN, 0, -1, -1, -1, -1};
  const std::vector<std::pair<Combiner, std::vector<int64_t>>> cases = {{Combiner::ArgMaxFirst, {1, 0, 0}},
                                                                        {Combiner::ArgMaxLast, {2, 2, 3}},
                                                                        {Combiner::ArgMinFirst, {0, 0, 0}},
                                                                        {Combiner::ArgMinLast, {0, 2, 3}}};
  for (const auto& [c, want] : cases) {
    Builder b;
    const int x = b.input(DType::F32, {3, 4});
    auto& s = b.stage(StageKind::Reduce, {3}, {4}, [&](auto& i, auto& r) {
      return std::vector<Expr>{rd(x, DType::F32, {i[0], r[0]}), ex::index(r[0])};
    });
    s.combiner = c;
    const int index = s.results[1];
    EXPECT_EQ(contents<int64_t>(b.run({index}, {tensor(DType::F32, {3, 4}, xs)})[0]), want) << k::name(c);
  }
}

TEST(Interpreter, ArgMaxOverALongAxisKeepsTheFirst) {
  std::vector<int32_t> xs(3000, 4);
  xs[1700] = xs[2900] = 9;
  Builder b;
  const int x = b.input(DType::I32, {3000});
  auto& s = b.stage(StageKind::Reduce, {}, {3000},
                    [&](auto&, auto& r) { return std::vector<Expr>{rd(x, DType::I32, {r[0]}), ex::index(r[0])}; });
  s.combiner = Combiner::ArgMaxFirst;
  const int index = s.results[1];
  EXPECT_EQ(contents<int64_t>(b.run({index}, {tensor(DType::I32, {3000}, xs)})[0])[0], 1700);
}

TEST(Interpreter, CumulativeSumInEveryDirection) {
  const std::vector<int32_t> xs = {1, 2, 3, 4, 5, 6};
  struct Case {
    int axis;
    bool exclusive, reverse;
    std::vector<int32_t> want;
  };
  for (const Case& c : {Case{1, false, false, {1, 3, 6, 4, 9, 15}}, Case{1, true, false, {0, 1, 3, 0, 4, 9}},
                        Case{1, false, true, {6, 5, 3, 15, 11, 6}}, Case{0, true, true, {4, 5, 6, 0, 0, 0}}}) {
    Builder b;
    const int x = b.input(DType::I32, {2, 3});
    auto& s =
        b.stage(StageKind::Scan, {2, 3}, {}, [&](auto& i, auto&) { return std::vector<Expr>{rd(x, DType::I32, i)}; });
    s.axis = c.axis;
    s.exclusive = c.exclusive;
    s.reverse = c.reverse;
    const int y = s.results[0];
    EXPECT_EQ(contents<int32_t>(b.run({y}, {tensor(DType::I32, {2, 3}, xs)})[0]), c.want);
  }
}

k::Stage& scatter(Builder& b, Combiner c, int base, int index, int update, int64_t n, int64_t extent) {
  k::Stage s;
  s.kind = StageKind::Scatter;
  s.combiner = c;
  s.iters = Builder::iters({n}, "i");
  const Dim i(s.iters[0].symbol);
  s.targets = {rd(index, DType::I64, {i})};
  s.body = {rd(update, DType::F32, {i})};
  s.operands = {base};
  s.results = {b.value(DType::F32, {extent})};
  b.p.body.stages.push_back(std::move(s));
  return b.p.body.stages.back();
}

TEST(Interpreter, ScatterInOrderAndWithACombiner) {
  for (Combiner c : {Combiner::Assign, Combiner::Sum, Combiner::Max}) {
    Builder b;
    const int base = b.input(DType::F32, {4}), index = b.input(DType::I64, {3}), update = b.input(DType::F32, {3});
    const int y = scatter(b, c, base, index, update, 3, 4).results[0];
    const auto got = contents<float>(
        b.run({y}, {tensor<float>(DType::F32, {4}, {1, 2, 3, 4}), tensor<int64_t>(DType::I64, {3}, {2, 0, 2}),
                    tensor<float>(DType::F32, {3}, {10, 20, 5})})[0]);
    if (c == Combiner::Assign) {
      EXPECT_EQ(got, (std::vector<float>{20, 2, 5, 4}));
    }
    if (c == Combiner::Sum) {
      EXPECT_EQ(got, (std::vector<float>{21, 2, 18, 4}));
    }
    if (c == Combiner::Max) {
      EXPECT_EQ(got, (std::vector<float>{20, 2, 10, 4}));
    }
  }
}

TEST(Interpreter, ScatterOutsideFailsOrIsSkipped) {
  for (bool skip : {false, true}) {
    Builder b;
    const int base = b.input(DType::F32, {4}), index = b.input(DType::I64, {2}), update = b.input(DType::F32, {2});
    auto& s = scatter(b, Combiner::Assign, base, index, update, 2, 4);
    s.skip_outside = skip;
    b.p.body.outputs = {s.results[0]};
    auto r = run_program(b.p, {tensor<float>(DType::F32, {4}, {1, 2, 3, 4}), tensor<int64_t>(DType::I64, {2}, {4, 1}),
                               tensor<float>(DType::F32, {2}, {10, 20})});
    ASSERT_EQ(static_cast<bool>(r), skip);
    if (skip) {
      EXPECT_EQ(contents<float>((*r)[0]), (std::vector<float>{1, 20, 3, 4}));
    } else {
      EXPECT_EQ(r.error().message, "index 4 out of range [0, 4)");
    }
  }
}

TEST(Interpreter, GatherChecksItsIndices) {
  Builder b;
  const int x = b.input(DType::F32, {5, 3}), index = b.input(DType::I64, {4});
  const int y =
      b.map({4, 3}, [&](auto& i) { return ex::read(x, DType::F32, {rd(index, DType::I64, {i[0]}), at(i, 1)}); });
  std::vector<float> xs(15);
  std::iota(xs.begin(), xs.end(), 0.0f);
  EXPECT_EQ(
      contents<float>(b.run({y}, {tensor(DType::F32, {5, 3}, xs), tensor<int64_t>(DType::I64, {4}, {4, 0, 2, 2})})[0]),
      (std::vector<float>{12, 13, 14, 0, 1, 2, 6, 7, 8, 6, 7, 8}));
  auto bad = run_program(b.p, {tensor(DType::F32, {5, 3}, xs), tensor<int64_t>(DType::I64, {4}, {4, 0, -1, 2})});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "index -1 out of range [0, 5)");
}

// Reads in the branch that is not taken do not fail, whether the condition is the same for a whole row or differs.
TEST(Interpreter, SelectGuardsItsReads) {
  const int64_t n = 700;
  Builder b;
  const int x = b.input(DType::I64, {n}), y = b.input(DType::I64, {n});
  auto joined = [&](const std::vector<Dim>& i) {
    const Expr c = at(i, 0) < ex::integer(DType::I64, n);
    return ex::select(c, ex::read(x, DType::I64, {at(i, 0)}),
                      ex::read(y, DType::I64, {at(i, 0) - ex::integer(DType::I64, n)}));
  };
  const int z = b.map({2 * n}, joined);
  const int filled =
      b.map({2 * n}, [&](auto& i) { return rd_or(x, DType::I64, {i[0]}, rd(y, DType::I64, {i[0] - n})); });
  const int odd = b.map({n}, [&](auto& i) {
    const Expr v = rd(x, DType::I64, {i[0]});
    return ex::select(eq(ex::binary(ScalarOp::Rem, v, ex::integer(DType::I64, 2)), ex::integer(DType::I64, 1)),
                      ex::read(y, DType::I64, {v - ex::integer(DType::I64, 1)}), ex::integer(DType::I64, -7));
  });
  std::vector<int64_t> xs(n), ys(n);
  for (int64_t i = 0; i < n; ++i) xs[static_cast<size_t>(i)] = i, ys[static_cast<size_t>(i)] = 1000 + i;
  const auto out = b.run({z, filled, odd}, {tensor(DType::I64, {n}, xs), tensor(DType::I64, {n}, ys)});
  auto want = xs;
  want.insert(want.end(), ys.begin(), ys.end());
  EXPECT_EQ(contents<int64_t>(out[0]), want);
  EXPECT_EQ(contents<int64_t>(out[1]), want);
  const auto o = contents<int64_t>(out[2]);
  for (size_t i = 0; i < o.size(); ++i) ASSERT_EQ(o[i], i % 2 ? static_cast<int64_t>(1000 + i - 1) : -7);
}

TEST(Interpreter, WalkFollowsATreePerRow) {
  // Collatz: state (v, steps) while v != 1.
  Builder b;
  const int x = b.input(DType::I64, {600});
  k::Stage s;
  s.kind = StageKind::Walk;
  s.iters = Builder::iters({600}, "i");
  s.limit = 1000;
  auto local = [](int64_t id) {
    auto n = std::make_shared<ExprNode>();
    n->op = ScalarOp::Local;
    n->type = DType::I64;
    n->id = id;
    return Expr(n);
  };
  const Expr one = ex::integer(DType::I64, 1), two = ex::integer(DType::I64, 2);
  s.init = {rd(x, DType::I64, {Dim(s.iters[0].symbol)}), ex::integer(DType::I64, 0)};
  s.condition = ex::binary(ScalarOp::Ne, local(0), one);
  s.body = {ex::select(eq(ex::binary(ScalarOp::Rem, local(0), two), one), local(0) * ex::integer(DType::I64, 3) + one,
                       local(0) / two),
            local(1) + one};
  s.results = {b.value(DType::I64, {600}), b.value(DType::I64, {600})};
  const int steps = s.results[1];
  b.p.body.stages.push_back(std::move(s));
  std::vector<int64_t> xs(600), want;
  for (int64_t i = 0; i < 600; ++i) {
    xs[static_cast<size_t>(i)] = i + 1;
    int64_t v = i + 1, n = 0;
    for (; v != 1; ++n) v = v % 2 ? 3 * v + 1 : v / 2;
    want.push_back(n);
  }
  EXPECT_EQ(contents<int64_t>(b.run({steps}, {tensor(DType::I64, {600}, xs)})[0]), want);
}

TEST(Interpreter, SymbolicExtentsAndReshape) {
  const Symbol n = Dim::symbol("n", 1), m = Dim::symbol("m", 1);
  Builder b;
  const int x = b.input(DType::I32, {Dim(n), Dim(m)});
  // Transposed, then reshaped to one dimension: index i is [i mod n, i div n] of x.
  const Dim total = Dim(n) * Dim(m);
  const int y = b.map({total}, [&](auto& i) { return rd(x, DType::I32, {mod(i[0], Dim(n)), floordiv(i[0], Dim(n))}); });
  EXPECT_EQ(contents<int32_t>(b.run({y}, {tensor<int32_t>(DType::I32, {2, 3}, {1, 2, 3, 4, 5, 6})})[0]),
            (std::vector<int32_t>{1, 4, 2, 5, 3, 6}));
}

TEST(Interpreter, LoopWithScannedOutputAndGrowingState) {
  // carried s: i64[k] grows by one element per iteration; scanned: the iteration number times 10.
  const Symbol k_in = Dim::symbol("k"), k_out = Dim::symbol("k_out"), trips = Dim::symbol("trips");
  Builder b;
  const int count = b.input(DType::I64, {}), start = b.input(DType::I64, {1});
  k::Stage loop;
  loop.kind = StageKind::Loop;
  loop.operands = {count, -1, start};
  loop.symbols = {k_out, trips};
  loop.carried_symbols = {k_in};
  loop.symbol_init = {Dim(1)};
  k::Block body;
  const int iteration = b.value(DType::I64, {}), condition = b.value(DType::Bool, {}),
            s = b.value(DType::I64, {Dim(k_in)});
  body.params = {iteration, condition, s};
  std::vector<k::Stage> outer;
  std::swap(outer, b.p.body.stages);
  const int grown =
      b.map({Dim(k_in) + 1}, [&](auto& i) { return rd_or(s, DType::I64, {i[0]}, rd(iteration, DType::I64, {})); });
  const int ten = b.map({}, [&](auto&) { return rd(iteration, DType::I64, {}) * ex::integer(DType::I64, 10); });
  const int more = b.map({}, [&](auto&) { return rd(iteration, DType::I64, {}) < ex::integer(DType::I64, 3); });
  std::swap(outer, b.p.body.stages);
  body.stages = std::move(outer);
  body.outputs = {more, grown, ten};
  body.symbols = {Dim(k_in) + 1};
  loop.blocks.push_back(std::move(body));
  const int final_state = b.value(DType::I64, {Dim(k_out)}), collected = b.value(DType::I64, {Dim(trips)});
  loop.results = {final_state, collected};
  b.p.body.stages.push_back(std::move(loop));
  for (int64_t n : {0, 2, 100}) {
    const auto out =
        b.run({final_state, collected}, {tensor<int64_t>(DType::I64, {}, {n}), tensor<int64_t>(DType::I64, {1}, {-5})});
    std::vector<int64_t> want{-5}, tens;
    for (int64_t i = 0; i < std::min<int64_t>(n, 4); ++i) want.push_back(i), tens.push_back(10 * i);
    EXPECT_EQ(contents<int64_t>(out[0]), want);
    EXPECT_EQ(contents<int64_t>(out[1]), tens);
  }
}

TEST(Interpreter, IntegersWrapAndDivideAsDocumented) {
  Builder b;
  const int x = b.input(DType::I8, {4}), y = b.input(DType::I8, {4});
  auto op = [&](ScalarOp o) {
    return b.map({4}, [&](auto& i) { return ex::binary(o, rd(x, DType::I8, i), rd(y, DType::I8, i)); });
  };
  const int add = op(ScalarOp::Add), div = op(ScalarOp::Div), rem = op(ScalarOp::Rem), fmod = op(ScalarOp::FloorMod),
            shl = op(ScalarOp::Shl);
  const auto out = b.run({add, div, rem, fmod, shl}, {tensor<int8_t>(DType::I8, {4}, {127, -128, -7, 5}),
                                                      tensor<int8_t>(DType::I8, {4}, {1, -1, 2, 0})});
  EXPECT_EQ(contents<int8_t>(out[0]), (std::vector<int8_t>{-128, 127, -5, 5}));
  EXPECT_EQ(contents<int8_t>(out[1]), (std::vector<int8_t>{127, -128, -3, 0}));
  EXPECT_EQ(contents<int8_t>(out[2]), (std::vector<int8_t>{0, 0, -1, 0}));
  EXPECT_EQ(contents<int8_t>(out[3]), (std::vector<int8_t>{0, 0, 1, 0}));
  EXPECT_EQ(contents<int8_t>(out[4]), (std::vector<int8_t>{-2, 0, -28, 5}));
}

TEST(Interpreter, CastsTruncateSaturateAndWrap) {
  Builder b;
  const int x = b.input(DType::F32, {6});
  auto to = [&](DType t) { return b.map({6}, [&](auto& i) { return ex::cast(rd(x, DType::F32, i), t); }); };
  const int i8 = to(DType::I8), u8 = to(DType::U8), i64 = to(DType::I64), boolean = to(DType::Bool), i4 = to(DType::I4);
  const int wrapped = b.map({6}, [&](auto& i) { return ex::cast(rd(i64, DType::I64, i), DType::I16); });
  const auto out = b.run({i8, u8, i64, boolean, i4, wrapped},
                         {tensor<float>(DType::F32, {6}, {1.9f, -1.9f, 300, -300, NAN, 1e30f})});
  EXPECT_EQ(contents<int8_t>(out[0]), (std::vector<int8_t>{1, -1, 127, -128, 0, 127}));
  EXPECT_EQ(contents<uint8_t>(out[1]), (std::vector<uint8_t>{1, 0, 255, 0, 0, 255}));
  EXPECT_EQ(contents<int64_t>(out[2]), (std::vector<int64_t>{1, -1, 300, -300, 0, INT64_MAX}));
  EXPECT_EQ(contents<uint8_t>(out[3]), (std::vector<uint8_t>{1, 1, 1, 1, 1, 1}));
  for (int k = 0; k < 6; ++k)
    EXPECT_EQ(out[4].tensor->integer(k), (std::vector<int64_t>{1, -1, 7, -8, 0, 7})[static_cast<size_t>(k)]);
  EXPECT_EQ(contents<int16_t>(out[5]), (std::vector<int16_t>{1, -1, 300, -300, 0, -1}));
}

TEST(Interpreter, HalfFloatsRoundAfterEachOperation) {
  Builder b;
  const int x = b.input(DType::F16, {3}), y = b.input(DType::F16, {3});
  const int z = b.map({3}, [&](auto& i) { return rd(x, DType::F16, i) + rd(y, DType::F16, i) - rd(x, DType::F16, i); });
  auto half = [](std::vector<float> v) {
    std::vector<uint16_t> h;
    for (float f : v) h.push_back(float_to_f16(f));
    return tensor(DType::F16, {3}, h);
  };
  const auto out = b.run({z}, {half({2048, 65504, 1}), half({1, 65504, 0.0004f})});
  const auto bits_ = contents<uint16_t>(out[0]);
  EXPECT_EQ(f16_to_float(bits_[0]), 0);         // 2049 rounds to 2048
  EXPECT_TRUE(std::isinf(f16_to_float(bits_[1])));
  EXPECT_EQ(f16_to_float(bits_[2]), 0);
}

TEST(Interpreter, EmptyReductionsGiveTheIdentity) {
  Builder b;
  const int x = b.input(DType::F32, {2, 0});
  std::vector<int> outs;
  for (Combiner c : {Combiner::Sum, Combiner::Prod, Combiner::Max})
    outs.push_back(b.reduce(c, {2}, {0}, [&](auto& i, auto& r) { return rd(x, DType::F32, {i[0], r[0]}); }));
  const auto out = b.run(outs, {tensor<float>(DType::F32, {2, 0}, {})});
  EXPECT_EQ(contents<float>(out[0]), (std::vector<float>{0, 0}));
  EXPECT_EQ(contents<float>(out[1]), (std::vector<float>{1, 1}));
  EXPECT_EQ(contents<float>(out[2])[0], -INFINITY);
}

TEST(Interpreter, EveryCombinerOnEveryWidth) {
  const std::vector<double> xs = {3, -1, 4, 1, -5, 2};
  for (DType t : {DType::F32, DType::F64, DType::I8, DType::I64})
    for (bool lane_reduced : {true, false}) {
      Builder b;
      const Dim n = lane_reduced ? 1 : 100, m = 6;
      const int x = b.input(DType::F64, {m});
      std::vector<int> outs;
      for (Combiner c : {Combiner::Sum, Combiner::Prod, Combiner::Max, Combiner::Min})
        outs.push_back(b.reduce(c, {n}, {m}, [&](auto&, auto& r) { return ex::cast(rd(x, DType::F64, {r[0]}), t); }));
      const auto out = b.run(outs, {tensor(DType::F64, {6}, xs)});
      const std::vector<double> want = {4, 120, 4, -5};
      for (size_t k = 0; k < want.size(); ++k) {
        const TensorData& got = *out[k].tensor;
        EXPECT_EQ(is_float(t) ? got.number(got.elements() - 1) : static_cast<double>(got.integer(got.elements() - 1)),
                  want[k])
            << name(t) << " " << k;
      }
    }
}

// The lane loop is the long one, whose stride in the result is not 1, and its last chunk has one element.
TEST(Interpreter, LongOuterAndShortInnerLoop) {
  for (int64_t n : {511, 512, 513, 1025}) {
    Builder b;
    const int x = b.input(DType::I64, {3, n});
    const int y = b.map({n, 3}, [&](auto& i) { return rd(x, DType::I64, {i[1], i[0]}) + at(i, 1); });
    std::vector<int64_t> xs(static_cast<size_t>(3 * n)), want;
    std::iota(xs.begin(), xs.end(), 0);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < 3; ++j) want.push_back(j * n + i + j);
    EXPECT_EQ(contents<int64_t>(b.run({y}, {tensor(DType::I64, {3, n}, xs)})[0]), want);
  }
}

TEST(Interpreter, StringsAreCopiedAndCompared) {
  Builder b;
  const int x = b.input(DType::String, {3});
  const int y = b.map({3}, [&](auto& i) { return rd(x, DType::String, {2 - i[0]}); });
  const int same = b.map({3}, [&](auto& i) { return eq(rd(x, DType::String, i), rd(x, DType::String, {0})); });
  auto d = TensorData::make(DType::String, {3});
  d->strings = {"a", "b", "a"};
  const auto out = b.run({y, same}, {HostValue::of(d)});
  EXPECT_EQ(out[0].tensor->strings, (std::vector<std::string>{"a", "b", "a"}));
  EXPECT_EQ(contents<uint8_t>(out[1]), (std::vector<uint8_t>{1, 0, 1}));
}

TEST(Interpreter, LimitsAreErrors) {
  Builder b;
  const int y = b.map({1 << 20, 1 << 10}, [&](auto& i) { return ex::cast(ex::index(i[0]), DType::F32); });
  b.p.body.outputs = {y};
  EvaluateOptions small;
  small.max_bytes = 1 << 20;
  auto r = run_program(b.p, {}, small);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().kind, ErrorKind::Limit);
}

TEST(Interpreter, InputsThatContradictEachOtherAreErrors) {
  const Symbol n = Dim::symbol("n", 1);
  Builder b;
  b.input(DType::F32, {Dim(n)});
  b.input(DType::F32, {Dim(n) * 2});
  auto r = run_program(b.p, {tensor<float>(DType::F32, {2}, {1, 2}), tensor<float>(DType::F32, {3}, {1, 2, 3})});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("expected f32["), std::string::npos) << r.error().message;
}

// Not a bound that a slow machine would miss: it prints what it measured.
TEST(Interpreter, Speed) {
  using Clock = std::chrono::steady_clock;
  {
    Builder b;
    const int64_t n = 1 << 22;
    const int x = b.input(DType::F32, {1, 64, 256, 256}), y = b.input(DType::F32, {1, 64, 256, 256});
    const int z =
        b.map({1, 64, 256, 256}, [&](auto& i) { return max(rd(x, DType::F32, i) + rd(y, DType::F32, i), 0); });
    b.p.body.outputs = {z};
    const auto v = tensor(DType::F32, {1, 64, 256, 256}, random_floats(static_cast<size_t>(n), 1));
    auto warm = run_program(b.p, {v, v});
    const auto t = Clock::now();
    auto r = run_program(b.p, {v, v});
    const double s = std::chrono::duration<double>(Clock::now() - t).count();
    ASSERT_TRUE(warm && r);
    RecordProperty("elementwise_million_per_second", static_cast<int>(static_cast<double>(n) / s / 1e6));
    printf("elementwise: %.0f M elements/s\n", static_cast<double>(n) / s / 1e6);
    EXPECT_LT(s, 10);
  }
  {
    Builder b;
    const int x = b.input(DType::F32, {1, 64, 56, 56}), f = b.input(DType::F32, {64, 64, 3, 3});
    const int acc = b.reduce(Combiner::Sum, {1, 64, 56, 56}, {64, 3, 3}, [&](auto& i, auto& r) {
      return rd_or(x, DType::F32, {i[0], r[0], i[2] + r[1] - 1, i[3] + r[2] - 1}, ex::number(DType::F32, 0)) *
             rd(f, DType::F32, {i[1], r[0], r[1], r[2]});
    });
    b.p.body.outputs = {acc};
    const auto v = tensor(DType::F32, {1, 64, 56, 56}, random_floats(64 * 56 * 56, 1)),
               w = tensor(DType::F32, {64, 64, 3, 3}, random_floats(64 * 64 * 9, 1));
    const auto t = Clock::now();
    auto r = run_program(b.p, {v, w});
    const double s = std::chrono::duration<double>(Clock::now() - t).count();
    ASSERT_TRUE(r);
    printf("conv 3x3 64x64x56x56: %.2f s\n", s);
    EXPECT_LT(s, 60);
  }
}

}  // namespace
}  // namespace ingot
