// A constant that a contraction packs and that others read as well is stored once, in the packed order; readers find the same
// numbers, and an index outside fails as before.
#include <gtest/gtest.h>

#include "ir/ops/interpreter.h"
#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

constexpr double kErrorSums = 2e-6;

// The inputs that stand in `constants` (by name) get contents; `ids` lie in the first dim of %w.
struct Model {
  Graph graph;
  int64_t weight_bytes = 0;
};

Model model(const std::string& text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return {};
  Model m{std::move(*g)};
  std::vector<Value*> inputs;
  for (Value* v : m.graph.body.inputs) {
    if (v->name[0] != 'w') {
      inputs.push_back(v);
      continue;
    }
    std::vector<int64_t> dims;
    for (const Dim& d : v->type.tensor.dims) dims.push_back(d.value());
    auto t = TensorData::make(v->type.tensor.dtype, dims);
    uint32_t state = 5;
    for (int64_t k = 0; k < t->elements(); ++k) {
      state = state * 1664525 + 1013904223;
      if (t->dtype == DType::I8) t->mutable_as<int8_t>()[k] = static_cast<int8_t>(state >> 24);
      if (t->dtype == DType::F32) t->mutable_as<float>()[k] = static_cast<float>(state >> 8) / (1 << 23) - 1;
    }
    m.weight_bytes += t->size_bytes;
    v->constant = std::move(t);
  }
  m.graph.body.inputs = inputs;
  return m;
}

HostValue floats(std::vector<int64_t> dims) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) t->mutable_as<float>()[k] = static_cast<float>(k * 37 % 101) / 50 - 1;
  return HostValue::of(TensorRef(t));
}

HostValue bytes(std::vector<int64_t> dims) {
  auto t = TensorData::make(DType::U8, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) t->mutable_as<uint8_t>()[k] = static_cast<uint8_t>(k * 37 % 256);
  return HostValue::of(TensorRef(t));
}

HostValue indices(const std::vector<int64_t>& values) {
  auto t = TensorData::make(DType::I64, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t->mutable_as<int64_t>());
  return HostValue::of(TensorRef(t));
}

PipelineOptions small() {
  PipelineOptions o;
  o.optimize_for = OptimizeFor::Size;
  return o;
}

// What the image holds beside one copy of the weights.
int64_t bytes_more(const std::string& text, const std::string& target, const PipelineOptions& options) {
  Model m = model(text);
  CompileModelOptions compile;
  compile.targets = {target};
  compile.pipeline = options;
  auto compiled = compile_model(std::move(m.graph), compile);
  EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
  return compiled ? (*compiled)->targets[0].weight_bytes - m.weight_bytes : -1;
}

void check(const std::string& text, const std::vector<HostValue>& inputs, int64_t most_more,
           const PipelineOptions& options = small()) {
  auto expected = Interpreter().run(model(text).graph, inputs);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const std::string& target : runnable_targets()) {
    EXPECT_LE(bytes_more(text, target, options), most_more) << target << "\n" << text;
    auto got = compile_and_run(model(text).graph, target, inputs, 1, options);
    ASSERT_TRUE(got) << got.error().message;
    for (size_t k = 0; k < expected->size(); ++k)
      EXPECT_EQ(difference(*(*got)[k].tensor, *(*expected)[k].tensor, kErrorSums), "") << target << "\n" << text;
  }
}

// `rows` of x, a vocabulary that panels do not divide: the packed form repeats its last row up to a panel.
std::string tied(const std::string& rows, int64_t words = 1003, int64_t width = 40) {
  return fmt::format(R"(graph net(%x: f32[{0}, {2}], %ids: i64[5], %w: f32[{1}, {2}]) -> (%y, %e) {{
  %e = gather %w, %ids
  %t = transpose %w {{perm = [1, 0]}}
  %y = mat_mul %x, %t
}}
)",
                     rows, words, width);
}

constexpr int64_t panel(int64_t width) { return 64 * width * 4 + 512; }

TEST(OneForm, EmbeddingAndLogits) {
  for (int64_t rows : {1, 3, 29})
    check(tied(std::to_string(rows)), {floats({rows, 40}), indices({0, 1002, 31, 64, -1})}, panel(40));
  check(tied("n"), {floats({7, 40}), indices({1002, 1001, 992, 960, -1003})}, panel(40));
}

TEST(OneForm, ForSpeedAsWellWhereItIsLarge) {
  check(tied("2", 5003, 64), {floats({2, 64}), indices({0, 5002, 4992, 63, 64})}, panel(64), {});
}

// A panel's repeated rows are not the embedding's.
TEST(OneForm, IndicesOutsideFail) {
  for (int64_t index : {1003, 1007, -1004}) {
    auto got =
        compile_and_run(model(tied("2")).graph, "host", {floats({2, 40}), indices({0, 1, index, 2, 3})}, 1, small());
    ASSERT_FALSE(got) << index;
    EXPECT_NE(got.error().message.find("1003"), std::string::npos) << got.error().message;
  }
}

// Readers of another kind: a map over all of it, a sum, the product of the transposed.
TEST(OneForm, OtherReaders) {
  check(R"(graph net(%x: f32[9, 48], %z: f32[200, 48], %v: f32[6, 200], %w: f32[200, 48]) -> (%y, %a, %s, %u) {
  %t = transpose %w {perm = [1, 0]}
  %y = mat_mul %x, %t
  %a = mul %w, %z
  %b = add %w, %z
  %s = reduce_max %b {keepdims = 0}
  %u = mat_mul %v, %w
}
)",
        {floats({9, 48}), floats({200, 48}), floats({6, 200})}, 200 * 48 * 4 + panel(48) + panel(200));
}

// Bytes are packed by fours.
TEST(OneForm, Bytes) {
  for (int64_t width : {40, 42}) {
    const int64_t twice = width % 4 == 0 ? 0 : 1003 * width;  // the last group repeats some: no plain order
    check(fmt::format(R"(graph net(%x: u8[3, {0}], %ids: i64[5], %w: i8[1003, {0}]) -> (%y, %e) {{
  %e = gather %w, %ids
  %t = transpose %w {{perm = [1, 0]}}
  %y = mat_mul_integer %x, %t
}}
)",
                      width),
          {bytes({3, width}), indices({0, 1002, 31, 64, -1})}, panel(width) + twice + 4 * 1003);
  }
}

// Equal constants of any length are stored once.
TEST(OneForm, EqualContents) {
  check(R"(graph net(%x: f32[9, 100], %w: f32[100, 60], %w2: f32[100, 60]) -> (%y) {
  %a = mat_mul %x, %w
  %b = mat_mul %x, %w2
  %y = add %a, %b
}
)",
        {floats({9, 100})}, 100 * 64 * 4 - 2 * 100 * 60 * 4 + 512);
}

}  // namespace
}  // namespace ingot::test
