// Storage that is a window of another value's: which values get one, where it lies, and what must stay a copy.
#include "passes/schedule/windows.h"

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/ops/evaluate.h"
#include "tests/passes/compiled.h"

namespace ingot {
namespace {

// One line per window: "a in c at 0 of 96", in elements from the whole's index 0 and between columns.
std::string windows(const std::string& graph_text) {
  auto g = parse_graph(graph_text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return "";
  auto p = optimize(*g);
  EXPECT_TRUE(p) << (p ? "" : p.error().message);
  if (!p) return "";
  Storages storages = choose_storage(*p);
  choose_windows(*p, storages);
  std::string out;
  for (const k::Value& v : p->values) {
    if (!v.type.is_tensor()) continue;
    const Storage& s = storages[static_cast<size_t>(v.id)];
    if (s.whole < 0) continue;
    const Storage& whole = storages[static_cast<size_t>(s.whole)];
    EXPECT_EQ(whole.whole, -1) << "a window of a window";
    EXPECT_EQ(memory_of(storages, v.id), s.whole);
    for (size_t k = 0; k < s.strides.size(); ++k) EXPECT_EQ(s.strides[k].str(), whole.strides[k].str());
    out += fmt::format("{} in {} at {}\n", v.name, p->values[static_cast<size_t>(s.whole)].name, s.start.str());
  }
  return out;
}

// The kernels of the model, after the outputs of all targets were compared with the reference.
std::vector<std::string> kernels(const std::string& text, const std::vector<std::vector<int64_t>>& shapes) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  std::vector<HostValue> inputs;
  for (const auto& dims : shapes) {
    auto t = TensorData::make(DType::F32, dims);
    for (int64_t k = 0; k < t->elements(); ++k)
      t->mutable_as<float>()[k] =
          static_cast<float>((k * 37 + static_cast<int64_t>(inputs.size()) * 11) % 101 - 50) / 50;
    inputs.push_back(HostValue::of(TensorRef(t)));
  }
  auto program = optimize(*g);
  EXPECT_TRUE(program) << (program ? "" : program.error().message);
  auto expected = run_program(*program, inputs);
  EXPECT_TRUE(expected) << (expected ? "" : expected.error().message);
  std::vector<std::string> names;
  for (const std::string& target : test::runnable_targets()) {
    for (int threads : {1, 2}) {
      auto got = test::compile_and_run(std::move(*parse_graph(text)), target, inputs, threads);
      EXPECT_TRUE(got) << (got ? "" : got.error().message);
      for (size_t k = 0; got && expected && k < got->size(); ++k)
        EXPECT_EQ(test::difference(*(*got)[k].tensor, *(*expected)[k].tensor, 1e-4), "") << target;
    }
  }
  CompileModelOptions options;
  options.targets = {"host"};
  auto model = compile_model(std::move(*g), options);
  EXPECT_TRUE(model) << (model ? "" : model.error().message);
  if (!model) return {};
  for (const l::Kernel& k : (*model)->programs[0].kernels) names.push_back(k.name);
  return names;
}

bool copies(const std::vector<std::string>& kernels) {
  return std::any_of(kernels.begin(), kernels.end(), [](const std::string& k) { return k.starts_with("map_"); });
}

// The squeeze module: both convolutions write their channels, nobody copies.
TEST(Windows, ChannelsOfAConcatenation) {
  const std::string text =
      R"(graph g(%x: f32[1, 16, 9, 9], %u: f32[32, 16, 1, 1], %v: f32[64, 16, 3, 3], %w: f32[16, 96, 1, 1]) -> (%y) {
  %a0 = conv %x, %u
  %a = relu %a0
  %b0 = conv %x, %v {pads = [1, 1, 1, 1]}
  %b = relu %b0
  %c = concat %a, %b {axis = 1}
  %d = conv %c, %w
  %y = global_average_pool %d
}
)";
  EXPECT_EQ(windows(text), "a in c at 0\nb in c at 32\n");
  kernels(text, {{1, 16, 9, 9}, {32, 16, 1, 1}, {64, 16, 3, 3}, {16, 96, 1, 1}});
}

// What a window's reader wants around it is around the whole.
TEST(Windows, ABorderIsTheWholes) {
  const std::string text =
      R"(graph g(%x: f32[1, 16, 9, 9], %u: f32[32, 16, 1, 1], %v: f32[32, 16, 1, 1], %w: f32[16, 32, 3, 3], %z: f32[8, 64, 1, 1]) -> (%y, %q) {
  %a0 = conv %x, %u
  %a = relu %a0
  %b0 = conv %x, %v
  %b = relu %b0
  %c = concat %a, %b {axis = 1}
  %d = conv %b, %w {pads = [1, 1, 1, 1]}
  %y = global_average_pool %d
  %e = conv %c, %z
  %q = global_average_pool %e
}
)";
  EXPECT_EQ(windows(text), "a in c at 0\nb in c at 32\n");
  kernels(text, {{1, 16, 9, 9}, {32, 16, 1, 1}, {32, 16, 1, 1}, {16, 32, 3, 3}, {8, 64, 1, 1}});
}

// A concatenation of a concatenation is all in the last one.
TEST(Windows, Nested) {
  const std::string text =
      R"(graph g(%x: f32[1, 16, 9, 9], %u: f32[32, 16, 1, 1], %v: f32[32, 48, 1, 1], %w: f32[16, 80, 1, 1]) -> (%y) {
  %a0 = conv %x, %u
  %a = relu %a0
  %s = sigmoid %x
  %c = concat %a, %s {axis = 1}
  %b0 = conv %c, %v
  %b = relu %b0
  %e = concat %b, %c {axis = 1}
  %d = conv %e, %w
  %y = global_average_pool %d
}
)";
  EXPECT_EQ(windows(text).find(" in c "), std::string::npos) << windows(text);
  EXPECT_NE(windows(text).find("a in e at 32\n"), std::string::npos) << windows(text);
  EXPECT_NE(windows(text).find("b in e at 0\n"), std::string::npos) << windows(text);
  kernels(text, {{1, 16, 9, 9}, {32, 16, 1, 1}, {32, 48, 1, 1}, {16, 80, 1, 1}});
}

// The first of two places is the value's own, the other a copy; inputs are copied, and outputs of the model are nobody's window.
TEST(Windows, WhatStaysACopy) {
  const std::string twice = R"(graph g(%x: f32[7, 32], %u: f32[32, 32], %w: f32[96, 8]) -> (%y) {
  %a0 = mat_mul %x, %u
  %a = tanh %a0
  %c = concat %a, %x, %a {axis = 1}
  %y = mat_mul %c, %w
}
)";
  EXPECT_EQ(windows(twice), "a in c at 0\n");
  kernels(twice, {{7, 32}, {32, 32}, {96, 8}});
  const std::string escapes = R"(graph g(%x: f32[7, 32], %u: f32[32, 32], %w: f32[64, 8]) -> (%a, %y) {
  %a0 = mat_mul %x, %u
  %a = tanh %a0
  %c = concat %a, %x {axis = 1}
  %y = mat_mul %c, %w
}
)";
  EXPECT_EQ(windows(escapes), "");
  kernels(escapes, {{7, 32}, {32, 32}, {64, 8}});
}

// An output of the model holds windows as any other value, without a border; a copy is left out entirely.
TEST(Windows, InAnOutput) {
  const std::string text = R"(graph g(%x: f32[n, 32], %u: f32[32, 48], %v: f32[32, 32]) -> (%c) {
  %a = mat_mul %x, %u
  %b0 = mat_mul %x, %v
  %b = tanh %b0
  %c = concat %b, %a {axis = 1}
}
)";
  EXPECT_EQ(windows(text), "a in c at 32\nb in c at 0\n");
  EXPECT_FALSE(copies(kernels(text, {{5, 32}, {32, 48}, {32, 32}})));
  EXPECT_FALSE(copies(kernels(text, {{1, 32}, {32, 48}, {32, 32}})));
}

// Rows of a few elements cost their writers more than a copy.
TEST(Windows, NarrowOnesAreCopied) {
  EXPECT_EQ(windows(R"(graph g(%x: f32[9, 32], %u: f32[32, 8], %v: f32[32, 15]) -> (%y) {
  %a0 = mat_mul %x, %u
  %a = tanh %a0
  %b0 = mat_mul %x, %v
  %b = tanh %b0
  %y = concat %a, %b {axis = 1}
}
)"),
            "");
}

// A whole that lives long because of one small window would take more memory than the copy.
TEST(Windows, NotWhereMemoryGrows) {
  std::string text =
      "graph g(%x: f32[64, 16], %u: f32[16, 16], %v: f32[16, 2000], %w: f32[2016, 16], %z: f32[16, 2000]) -> (%y) {\n"
      "  %a0 = mat_mul %x, %u\n  %a = tanh %a0\n  %p0 = mat_mul %a, %z\n  %p1 = tanh %p0\n  %p2 = softmax %p1 {axis = 0}\n"
      "  %p3 = reduce_sum %p2 {keepdims = 0}\n  %q = add %x, %p3\n  %b0 = mat_mul %q, %v\n  %b = tanh %b0\n"
      "  %c = concat %a, %b {axis = 1}\n  %y = mat_mul %c, %w\n}\n";
  EXPECT_EQ(windows(text), "");
}

}  // namespace
}  // namespace ingot
