// One definition serves everything: operators that no table knows, defined here as stages, are inferred, interpreted,
// fused, reach the schedule of contractions, and give the right numbers on every target.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/targets.h"
#include "ir/ops/def.h"
#include "ir/ops/evaluate.h"
#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

// y[m, n] = max(0, sum(i, j) a[m, i, j] * w[n, j, i]): a bilinear form, its reduced axes crossed.
Result<void> define_crossed_form(Def& d) {
  Tensor a = d.in(0), w = d.in(1);
  Tensor sum = d.reduce(Combiner::Sum, {a.dim(0), w.dim(0)}, {a.dim(1), a.dim(2)},
                        [&](Ix i, Ix r) { return a(i[0], r[0], r[1]) * w(i[1], r[1], r[0]); });
  d.out(d.map(sum.dims(), [&](Ix i) { return max(sum(i), 0.0); }));
  return {};
}

// y[p, n] = sum(s, c) x[3*p + 2*s, c] * w[s, c, n]: a product over a window with stride and dilation, channels last.
Result<void> define_window_product(Def& d) {
  Tensor x = d.in(0), w = d.in(1);
  Dim p = floordiv(x.dim(0) - (w.dim(0) - 1) * 2 - 1, 3) + 1;
  d.out(d.reduce(Combiner::Sum, {p, w.dim(2)}, {w.dim(0), w.dim(1)},
                 [&](Ix i, Ix r) { return x(i[0] * 3 + r[0] * 2, r[1]) * w(r[0], r[1], i[1]); }));
  return {};
}

const OpDef kCrossedForm = {"crossed_form", 2, 2, "", define_crossed_form, nullptr};
const OpDef kWindowProduct = {"window_product", 2, 2, "", define_window_product, nullptr};

TensorRef numbers(std::vector<int64_t> dims, uint32_t state) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) {
    state = state * 1664525 + 1013904223;
    t->mutable_as<float>()[k] = static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1);
  }
  return t;
}

// A graph of one node; the second operand is a constant. `dynamic`: the first extent of `a` is a symbol.
Graph graph_of(const OpDef& op, const TensorRef& a, const TensorRef& w, bool dynamic) {
  Graph g;
  g.name = "one";
  TensorType type = a->type();
  if (dynamic) type.dims[0] = Dim(Dim::symbol("rows", 7));
  g.body.inputs.push_back(g.new_value("a", Type::of(type)));
  auto node = std::make_unique<Node>();
  node->def = &op;
  node->name = "node";
  node->inputs = {g.body.inputs[0], g.new_constant("w", w)};
  Value* y = g.new_value("y");
  y->producer = node.get();
  node->outputs = {y};
  g.body.outputs = {y};
  g.body.nodes.push_back(std::move(node));
  return g;
}

void check(const OpDef& op, const TensorRef& a, const TensorRef& w, const TensorRef& expected) {
  for (bool dynamic : {false, true}) {
    for (const std::string& target : runnable_targets()) {
      SCOPED_TRACE(std::string(op.name) + " on " + target + (dynamic ? ", dynamic" : ""));
      Graph g = graph_of(op, a, w, dynamic);
      auto optimized = optimize(g);
      ASSERT_TRUE(optimized) << optimized.error().message;
      auto reference = run_program(*optimized, {HostValue::of(a)});
      ASSERT_TRUE(reference) << reference.error().message;
      EXPECT_EQ(difference(*(*reference)[0].tensor, *expected, 1e-5), "");
      const Target* t = target == "host" ? &host_target() : find_target(target);
      auto loops = lower_for_target(*optimized, facts_of(*t));
      ASSERT_TRUE(loops) << loops.error().message;
      bool reached = false;
      std::string schedules;
      for (const l::Kernel& k : loops->kernels)
        reached |= k.schedule.starts_with("contraction"), schedules += k.schedule + "\n";
      EXPECT_TRUE(reached) << schedules;
      auto got = compile_and_run(graph_of(op, a, w, dynamic), target, {HostValue::of(a)});
      ASSERT_TRUE(got) << got.error().message;
      EXPECT_EQ(difference(*(*got)[0].tensor, *expected, 1e-5), "");
    }
  }
}

TEST(OneDefinition, CrossedForm) {
  for (int64_t m : {7, 29}) {
    int64_t n = 37, ei = 5, ej = 11;
    TensorRef a = numbers({m, ei, ej}, 1), w = numbers({n, ej, ei}, 2);
    auto expected = TensorData::make(DType::F32, {m, n});
    for (int64_t p = 0; p < m; ++p)
      for (int64_t q = 0; q < n; ++q) {
        double sum = 0;
        for (int64_t i = 0; i < ei; ++i)
          for (int64_t j = 0; j < ej; ++j) sum += a->number((p * ei + i) * ej + j) * w->number((q * ej + j) * ei + i);
        expected->mutable_as<float>()[p * n + q] = static_cast<float>(std::max(sum, 0.0));
      }
    check(kCrossedForm, a, w, expected);
  }
}

TEST(OneDefinition, WindowProduct) {
  int64_t s = 3, c = 16, n = 33;
  for (int64_t length : {7, 50}) {
    int64_t p = (length - (s - 1) * 2 - 1) / 3 + 1;
    TensorRef x = numbers({length, c}, 3), w = numbers({s, c, n}, 4);
    auto expected = TensorData::make(DType::F32, {p, n});
    for (int64_t i = 0; i < p; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t r = 0; r < s; ++r)
          for (int64_t k = 0; k < c; ++k) sum += x->number((i * 3 + r * 2) * c + k) * w->number((r * c + k) * n + j);
        expected->mutable_as<float>()[i * n + j] = static_cast<float>(sum);
      }
    check(kWindowProduct, x, w, expected);
  }
}

}  // namespace
}  // namespace ingot::test
