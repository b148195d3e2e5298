#include "tests/passes/growth_models.h"

#include "tests/frontend/onnx_builder.h"

namespace ingot {

namespace {

using namespace onnx::build;

constexpr int kF32 = 1;
constexpr int kRows = 4, kWidth = 16;

std::string name(const char* stem, int k) { return stem + std::to_string(k); }

// A node without a name of its own, and `count` inputs.
Names names(const char* stem, int count) {
  Names out;
  for (int k = 0; k < count; ++k) out.push_back(name(stem, k));
  return out;
}

std::vector<float> weights(int k, int count) {
  std::vector<float> w;
  for (int i = 0; i < count; ++i) w.push_back(static_cast<float>((i * 37 + k * 11) % 17 - 8) / 64);
  return w;
}

void chain(Graph& g, int n) {
  static const char* const ops[] = {"Relu", "Neg", "Abs", "Tanh"};
  g.input("x0", kF32, {kRows, kWidth});
  for (int k = 0; k < n; ++k) g.node(ops[k % 4], {name("x", k)}, {name("x", k + 1)});
  g.output(name("x", n));
}

void residual(Graph& g, int n) {
  g.input("x0", kF32, {kRows, kWidth});
  int k = 0;
  for (; k < n / 2; ++k) {
    g.node("Relu", {name("x", k)}, {name("r", k)});
    g.node("Add", {name("x", k), name("r", k)}, {name("x", k + 1)});
  }
  g.output(name("x", k));
}

void matmuls(Graph& g, int n) {
  g.input("x0", kF32, {kRows, kWidth});
  for (int k = 0; k < n; ++k) {
    g.initializer(floats(name("w", k), {kWidth, kWidth}, weights(k, kWidth * kWidth)));
    g.node("MatMul", {name("x", k), name("w", k)}, {name("x", k + 1)});
  }
  g.output(name("x", n));
}

void sum(Graph& g, int n) {
  for (int k = 0; k < n; ++k) g.input(name("x", k), kF32, {kRows});
  g.node("Sum", names("x", n), {"y"});
  g.output("y");
}

void sum_computed(Graph& g, int n) {
  g.input("x", kF32, {kRows, kWidth});
  for (int k = 0; k < n; ++k) {
    g.initializer(floats(name("w", k), {kWidth}, weights(k, kWidth)));
    g.node("Mul", {"x", name("w", k)}, {name("y", k)});
  }
  g.node("Sum", names("y", n), {"y"});
  g.output("y");
}

void concat(Graph& g, int n, bool dynamic) {
  Names extents = names("n", n);
  for (int k = 0; k < n; ++k) {
    g.input(name("x", k), kF32, {dynamic ? Extent(extents[static_cast<size_t>(k)].c_str()) : Extent(1 + k % 3), kRows});
    g.node("Relu", {name("x", k)}, {name("y", k)});
  }
  g.node("Concat", names("y", n), {"y"}, {{"axis", 0}});
  g.output("y");
}

void recurrence(Graph& g, int n, bool dynamic) {
  Extent batch = dynamic ? Extent("batch") : Extent(2);
  g.input("x", kF32, {n, batch, kWidth}).input("h0", kF32, {batch, kWidth});
  g.initializer(floats("w", {kWidth, kWidth}, weights(1, kWidth * kWidth)));
  g.initializer(floats("r", {kWidth, kWidth}, weights(2, kWidth * kWidth)));
  g.initializer(ints("axis", {1}, {0}));
  g.node("Split", {"x"}, names("s", n), {{"axis", 0}, {"num_outputs", n}});
  for (int k = 0; k < n; ++k) {
    g.node("Squeeze", {name("s", k), "axis"}, {name("q", k)});
    g.node("MatMul", {name("q", k), "w"}, {name("a", k)});
    g.node("MatMul", {name("h", k), "r"}, {name("b", k)});
    g.node("Add", {name("a", k), name("b", k)}, {name("c", k)});
    g.node("Tanh", {name("c", k)}, {name("h", k + 1)});
    g.node("Unsqueeze", {name("h", k + 1), "axis"}, {name("u", k)});
  }
  g.node("Concat", names("u", n), {"y"}, {{"axis", 0}});
  g.output("y");
}

void initializers(Graph& g, int n) {
  g.input("x0", kF32, {kRows, kWidth});
  for (int k = 0; k < n; ++k) {
    g.initializer(floats(name("w", k), {kWidth}, weights(k, kWidth)));
    g.node("Add", {name("x", k), name("w", k)}, {name("x", k + 1)});
  }
  g.output(name("x", n));
}

void outputs(Graph& g, int n) {
  g.input("x", kF32, {kRows, kWidth});
  for (int k = 0; k < n; ++k) {
    g.initializer(floats(name("w", k), {kWidth}, weights(k, kWidth)));
    g.node("Mul", {"x", name("w", k)}, {name("y", k)});
    g.output(name("y", k));
  }
}

}  // namespace

std::string growth_model(std::string_view kind, int n) {
  Model model;
  model.opset(18);
  if (kind == "chain") chain(model.graph, n);
  else if (kind == "residual") residual(model.graph, n);
  else if (kind == "matmuls") matmuls(model.graph, n);
  else if (kind == "sum") sum(model.graph, n);
  else if (kind == "sum-computed") sum_computed(model.graph, n);
  else if (kind == "concat") concat(model.graph, n, false);
  else if (kind == "concat-dynamic") concat(model.graph, n, true);
  else if (kind == "recurrence") recurrence(model.graph, n, false);
  else if (kind == "recurrence-dynamic") recurrence(model.graph, n, true);
  else if (kind == "initializers") initializers(model.graph, n);
  else if (kind == "outputs") outputs(model.graph, n);
  else return {};
  return model.str();
}

}  // namespace ingot
