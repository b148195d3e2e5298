// Where values lie: which ones are stored channels last, which get a border, and which must not.
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/ops/interpreter.h"
#include "passes/schedule/storage.h"
#include "tests/passes/compiled.h"

namespace ingot {
namespace {

// One line per value that a stage makes: "y: 0 2 3 1 border [0,0,1,1]+[0,0,1,1] of 0.0".
std::string layouts(const std::string& graph_text) {
  auto g = parse_graph(graph_text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return "";
  auto p = optimize(*g);
  EXPECT_TRUE(p) << (p ? "" : p.error().message);
  if (!p) return "";
  Storages storages = choose_storage(*p);
  EXPECT_TRUE(k::verify(*p));
  std::string out;
  for (const k::Stage& s : p->body.stages) {
    for (int id : s.results) {
      const Storage& st = storages[static_cast<size_t>(id)];
      out += fmt::format("{}: {}", p->values[static_cast<size_t>(id)].name, fmt::join(st.order, " "));
      if (st.has_border())
        out += fmt::format(" border [{}]+[{}] of {}", fmt::join(st.before, ","), fmt::join(st.after, ","),
                           str(st.fill, [](int64_t) { return std::string("?"); }));
      out += "\n";
    }
  }
  return out;
}

// The input gets a copy with the zeros that the convolution reads, row-major since it has few channels; what lies between
// convolutions is channels last.
TEST(Layout, ConvolutionChainsAreChannelsLast) {
  EXPECT_EQ(layouts(R"(graph g(%x: f32[1, 3, 16, 16], %w: f32[8, 3, 3, 3], %v: f32[8, 8, 3, 3]) -> (%y) {
  %a = conv %x, %w {pads = [1, 1, 1, 1]}
  %b = relu %a
  %y = conv %b, %v {pads = [1, 1, 1, 1]}
}
)"),
            "x.padded: 0 1 2 3 border [0,0,1,1]+[0,0,1,1] of 0.0\n"
            "a: 0 2 3 1\n"
            "b: 0 2 3 1 border [0,0,1,1]+[0,0,1,1] of 0.0\n"
            "y.stored: 0 2 3 1\n"
            "y: 0 1 2 3\n");
}

// A maximum reads -inf outside, a convolution 0: readers that differ cannot share a border.
TEST(Layout, FillsThatDifferAreNotShared) {
  std::string text = layouts(R"(graph g(%x: f32[1, 3, 16, 16], %w: f32[8, 3, 3, 3], %v: f32[8, 8, 3, 3]) -> (%y, %z) {
  %a = conv %x, %w
  %b = relu %a
  %y = conv %b, %v {pads = [1, 1, 1, 1]}
  %z = max_pool %b {kernel_shape = [3, 3], pads = [1, 1, 1, 1]}
}
)");
  EXPECT_NE(text.find("border [0,0,1,1]+[0,0,1,1] of 0.0"), std::string::npos) << text;
  EXPECT_NE(text.find("border [0,0,1,1]+[0,0,1,1] of -inf"), std::string::npos) << text;
}

// Products of matrices have no spatial dims: rows stay rows.
TEST(Layout, ProductsStayRowMajor) {
  EXPECT_EQ(layouts(R"(graph g(%x: f32[4, 5, 7, 16], %w: f32[4, 5, 16, 8]) -> (%y) {
  %a = mat_mul %x, %w
  %y = relu %a
}
)"),
            "a: 0 1 2 3\ny: 0 1 2 3\n");
}

// Without padding nothing is copied into a border.
TEST(Layout, NoBorderWithoutPads) {
  std::string text = layouts(R"(graph g(%x: f32[1, 3, 16, 16], %w: f32[8, 3, 1, 1]) -> (%y) {
  %a = conv %x, %w
  %y = relu %a
}
)");
  EXPECT_EQ(text.find("border"), std::string::npos) << text;
}

// What leaves the program, or enters it, is row-major: the interface says so.
TEST(Layout, PortsAreRowMajor) {
  auto g = parse_graph(R"(graph g(%x: f32[1, 3, 16, 16], %w: f32[8, 3, 3, 3]) -> (%a, %y) {
  %a = conv %x, %w {pads = [1, 1, 1, 1]}
  %y = relu %a
}
)");
  ASSERT_TRUE(g);
  auto p = optimize(*g);
  ASSERT_TRUE(p);
  Storages storages = choose_storage(*p);
  for (int id : p->inputs) EXPECT_TRUE(storages[static_cast<size_t>(id)].row_major());
  for (int id : p->body.outputs) EXPECT_TRUE(storages[static_cast<size_t>(id)].row_major());
}

// Rows of 2 KiB and 4 KiB that a product reads are a line further apart; others, inputs and outputs are not.
TEST(Layout, RowsOfProductsDoNotAlias) {
  auto g = parse_graph(R"(graph g(%x: f32[20, 512], %w: f32[512, 1024], %v: f32[1024, 96], %u: f32[96, 512]) -> (%y) {
  %a = mat_mul %x, %w
  %b = relu %a
  %c = mat_mul %b, %v
  %d = relu %c
  %y = mat_mul %d, %u
}
)");
  ASSERT_TRUE(g);
  auto p = optimize(*g);
  ASSERT_TRUE(p);
  Storages storages = choose_storage(*p);
  for (const k::Value& v : p->values) {
    if (v.type.is_tensor() && v.name == "b") {
      EXPECT_TRUE(storages[static_cast<size_t>(v.id)].strides[0].is(1024 + 16));
    } else if (v.type.is_tensor() && v.tensor().rank() == 2 && v.name != "a") {
      EXPECT_TRUE(storages[static_cast<size_t>(v.id)].strides[0] == v.tensor().dims[1]) << v.name;
    }
  }
}

// A concatenation of many is one kernel, whose rows are written piece by piece, whatever reads it.
TEST(Layout, ManyPiecesAreOneKernel) {
  const int64_t rows = 6, parts = 40;
  std::string inputs, names;
  std::vector<HostValue> values;
  std::vector<std::vector<float>> expected(static_cast<size_t>(rows));
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t width = 1 + p * 7 % 23;
    inputs += fmt::format("{}%x{}: f32[{}, {}]", p ? ", " : "", p, rows, width);
    names += fmt::format("{}%x{}", p ? ", " : "", p);
    auto t = TensorData::make(DType::F32, {rows, width});
    for (int64_t k = 0; k < rows * width; ++k) {
      const float v = static_cast<float>((p * 131 + k * 17) % 29 - 14);
      t->mutable_as<float>()[k] = v;
      expected[static_cast<size_t>(k / width)].push_back(std::max(v, 0.0f));
    }
    values.push_back(HostValue::of(TensorRef(t)));
  }
  const std::string text =
      fmt::format("graph g({}) -> (%y) {{\n  %c = concat {} {{axis = 1}}\n  %y = relu %c\n}}\n", inputs, names);
  for (const std::string& target : test::runnable_targets()) {
    auto g = parse_graph(text);
    ASSERT_TRUE(g) << g.error().message;
    CompileModelOptions options;
    options.targets = {target};
    auto model = compile_model(std::move(*g), options);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ((*model)->programs[0].kernels.size(), 1u);
    auto got = test::compile_and_run(std::move(*parse_graph(text)), target, values);
    ASSERT_TRUE(got) << got.error().message;
    std::vector<float> flat;
    for (const auto& row : expected) flat.insert(flat.end(), row.begin(), row.end());
    const float* y = (*got)[0].tensor->as<float>();
    EXPECT_EQ(std::vector<float>(y, y + (*got)[0].tensor->elements()), flat) << target;
  }
}

// A pool that is stored channels last, its copy in the order of the output, and a concatenation of that: the last two share
// more than the first two, whose dims of equal extent lie elsewhere.
TEST(Layout, StagesOfOneKernelShareWhatAllOfThemShare) {
  const std::string text = R"(graph g(%x: f32[2, 3, 3, 37], %w: f32[3, 3, 5, 5]) -> (%p, %y) {
  %c = conv %x, %w {pads = [2, 2, 2, 2]}
  %h = hard_swish %c
  %p = max_pool %h {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]}
  %y = concat %p, %x {axis = 3}
}
)";
  std::vector<HostValue> inputs = {HostValue::of(test::numbers({2, 3, 3, 37}, 5))};
  auto expected = Interpreter().run(test::with_constants(text), inputs);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const std::string& target : test::runnable_targets()) {
    auto got = test::compile_and_run(test::with_constants(text), target, inputs);
    ASSERT_TRUE(got) << got.error().message;
    for (size_t k = 0; k < 2; ++k)
      EXPECT_EQ(test::difference(*(*got)[k].tensor, *(*expected)[k].tensor, 1e-5), "") << target << ", output " << k;
  }
}

}  // namespace
}  // namespace ingot
