// Shapes that only the contents of an input decide: axes given when the model runs, and what a loop collects.
#include <gtest/gtest.h>

#include <initializer_list>

#include "compiler/pipeline.h"
#include "ir/ops/host_value.h"
#include "tests/passes/compiled.h"
#include "tools/driver/executable.h"

namespace ingot::test {
namespace {

HostValue integers(std::vector<int64_t> values, bool scalar = false) {
  auto t = TensorData::make(
      DType::I64, scalar ? std::vector<int64_t>{} : std::vector<int64_t>{static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t->mutable_as<int64_t>());
  return HostValue::of(std::move(t));
}

HostValue counted(std::vector<int64_t> dims) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) t->mutable_as<float>()[k] = static_cast<float>(k + 1);
  return HostValue::of(std::move(t));
}

HostValue yes() {
  auto t = TensorData::make(DType::Bool, {});
  *t->mutable_bytes() = 1;
  return HostValue::of(std::move(t));
}

std::unique_ptr<driver::Executable> executable(const std::string& text, driver::Backend backend) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  driver::LoadOptions options;
  options.backend = backend;
  auto e = driver::make_executable(g ? std::move(*g) : Graph(), options);
  EXPECT_TRUE(e) << (e ? "" : e.error().message);
  return e ? std::move(*e) : nullptr;
}

// The outputs as text, or the first line of the error.
std::string call(driver::Executable& e, const std::vector<HostValue>& inputs) {
  auto got = e.call(inputs);
  if (!got) return got.error().message.substr(0, got.error().message.find('\n'));
  std::string s;
  for (const HostValue& v : *got) s += (s.empty() ? "" : " ") + str(v, 1000);
  return s;
}

// Squeezing and unsqueezing leave the elements in their order, so that only the shape is in question.
void expect_shape(driver::Executable& e, std::vector<int64_t> from, std::vector<int64_t> axes,
                  std::vector<int64_t> to) {
  EXPECT_EQ(call(e, {counted(from), integers(axes)}), str(counted(to), 1000));
}

TEST(RunTimeShapes, SqueezeTakesAnyAxes) {
  auto e = executable("graph g(%x: f32[1, a, 1, b, 1], %axes: i64[2]) -> (%y) {\n  %y = squeeze %x, %axes\n}\n",
                      driver::Backend::Llvm);
  ASSERT_TRUE(e);
  expect_shape(*e, {1, 3, 1, 5, 1}, {0, 2}, {3, 5, 1});
  expect_shape(*e, {1, 3, 1, 5, 1}, {-1, 0}, {3, 1, 5});
  expect_shape(*e, {1, 1, 1, 7, 1}, {4, 1}, {1, 1, 7});
  expect_shape(*e, {1, 0, 1, 7, 1}, {2, 0}, {0, 7, 1});
  EXPECT_EQ(call(*e, {counted({1, 3, 1, 5, 1}), integers({0, -5})}), "an axis is named twice");
  EXPECT_EQ(call(*e, {counted({1, 3, 1, 5, 1}), integers({0, 1})}), "dimension 1 has extent a, expected 1");
  EXPECT_EQ(call(*e, {counted({1, 3, 1, 5, 1}), integers({0, 5})}), "got value 5, which is out of range");
}

TEST(RunTimeShapes, ArgMaxOfNothing) {
  auto e = executable("graph g(%x: f32[a, b]) -> (%y) {\n  %y = arg_max %x {axis = 1}\n}\n", driver::Backend::Llvm);
  ASSERT_TRUE(e);
  EXPECT_EQ(call(*e, {counted({2, 3})}), "i64[2, 1] {2, 2}");
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{2, 0}, {0, 0}})
    EXPECT_EQ(call(*e, {counted(dims)}), "axis 1 is empty, expected at least one element");
}

// Scores are scaled with 1 / sqrt(head size) also where only the run knows the size.
TEST(RunTimeShapes, HeadSizesOfAttention) {
  const std::string of_groups = R"(graph g(%q: f32[b, n, c], %last: i32[b], %total: i32[]) -> (%y, %k, %v) {
  %y, %k, %v = group_query_attention %q, _, _, _, _, %last, %total {kv_num_heads = 1, num_heads = 2}
}
)",
                    packed = R"(graph g(%x: f32[b, n, c], %w: f32[c, m], %bias: f32[m]) -> (%y) {
  %y = ms_attention %x, %w, %bias {num_heads = 2, unidirectional = 1}
}
)";
  auto all = [](std::vector<int64_t> dims, int32_t value) {
    auto t = TensorData::make(DType::I32, std::move(dims));
    std::fill_n(t->mutable_as<int32_t>(), t->elements(), value);
    return HostValue::of(std::move(t));
  };
  for (const bool groups : {true, false}) {
    const std::string& text = groups ? of_groups : packed;
    auto e = executable(text, driver::Backend::Llvm), oracle = executable(text, driver::Backend::Interpreter);
    ASSERT_TRUE(e && oracle);
    for (const int64_t size : {4, 6}) {
      SCOPED_TRACE(text + std::to_string(size));
      std::vector<HostValue> inputs{HostValue::of(numbers({2, 3, 4 * size}, 1))};
      if (groups) {
        inputs.push_back(all({2}, 2));
        inputs.push_back(all({}, 3));
      } else {
        inputs.push_back(HostValue::of(numbers({4 * size, 6 * size}, 2)));
        inputs.push_back(HostValue::of(numbers({6 * size}, 3)));
      }
      auto got = e->call(inputs), want = oracle->call(inputs);
      ASSERT_TRUE(got) << got.error().message;
      ASSERT_TRUE(want) << want.error().message;
      for (size_t k = 0; k < want->size(); ++k)
        EXPECT_EQ(difference(*(*got)[k].tensor, *(*want)[k].tensor, 1e-5), "") << k;
    }
  }
}

TEST(RunTimeShapes, UnsqueezeTakesAnyAxes) {
  auto e = executable("graph g(%x: f32[3, 4, n], %axes: i64[3]) -> (%y) {\n  %y = unsqueeze %x, %axes\n}\n",
                      driver::Backend::Llvm);
  ASSERT_TRUE(e);
  expect_shape(*e, {3, 4, 5}, {0, 1, 2}, {1, 1, 1, 3, 4, 5});
  expect_shape(*e, {3, 4, 5}, {5, 2, 4}, {3, 4, 1, 5, 1, 1});
  expect_shape(*e, {3, 4, 7}, {-1, 0, -3}, {1, 3, 4, 1, 7, 1});
  EXPECT_EQ(call(*e, {counted({3, 4, 5}), integers({1, 1, 2})}), "an axis is named twice");
}

TEST(RunTimeShapes, ReductionsTakeAnyAxes) {
  for (const char* keepdims : {"0", "1"}) {
    const std::string text =
        std::string(
            "graph g(%x: f32[2, 3, n, 2, 3], %axes: i64[2]) -> (%y) {\n  %y = reduce_sum %x, %axes {keepdims = ") +
        keepdims + "}\n}\n";
    auto e = executable(text, driver::Backend::Llvm), oracle = executable(text, driver::Backend::Interpreter);
    ASSERT_TRUE(e && oracle);
    for (const std::vector<int64_t>& axes :
         std::initializer_list<std::vector<int64_t>>{{0, 1}, {2, 4}, {-1, -2}, {3, 0}}) {
      const std::vector<HostValue> inputs = {counted({2, 3, 4, 2, 3}), integers(axes)};
      EXPECT_EQ(call(*e, inputs), call(*oracle, inputs));
    }
  }
}

// The first iteration decides what the others must give.
TEST(RunTimeShapes, LoopsCollectWhatTheFirstIterationGives) {
  auto e = executable(R"(graph g(%n: i64[], %go: bool[], %x: f32[5], %w: i64[1], %zero: f32[1]) -> (%last, %all) {
  %shape = constant i64[1] dense<[1]>
  %last, %all = loop %n, %go, %zero
    region(%i: i64[], %c: bool[], %v: f32[1]) -> (%c1, %v1, %s) {
      %c1 = identity %c
      %from = reshape %i, %shape
      %to = add %from, %w
      %s = slice %x, %from, %to
      %v1 = reduce_sum %s {keepdims = 1}
    }
}
)",
                      driver::Backend::Llvm);
  ASSERT_TRUE(e);
  auto run = [&](int64_t n, int64_t width) {
    return call(*e, {integers({n}, true), yes(), counted({5}), integers({width}), counted({1})});
  };
  EXPECT_EQ(run(3, 2), "f32[1] {7} f32[3, 2] {1, 2, 2, 3, 3, 4}");
  EXPECT_EQ(run(5, 1), "f32[1] {5} f32[5, 1] {1, 2, 3, 4, 5}");
  EXPECT_EQ(run(1, 9), "f32[1] {15} f32[1, 5] {1, 2, 3, 4, 5}");
  EXPECT_EQ(run(0, 2), "f32[1] {1} f32[0, 0] {}");
  EXPECT_EQ(run(3, 2), "f32[1] {7} f32[3, 2] {1, 2, 2, 3, 3, 4}");
  EXPECT_EQ(run(5, 2), "got dimension 1, expected 2") << "the last one is shorter";
}

// A carried extent that a loop around this one changes as well is still one that this one changes.
TEST(RunTimeShapes, ALoopInALoopGrowsWhatBothCarry) {
  const std::string text = R"(graph g(%x: f32[n], %trips: i64[], %more: f32[m]) -> (%y) {
  %two = constant i64[] dense<[2]>
  %y = loop %trips, _, %x
    region(%i: i64[], %go: bool[], %a: none) -> (%go, %c) {
      %b, %rows = loop %two, _, %a : none, none
        region(%j: i64[], %on: bool[], %d: none) -> (%on, %e, %more) {
          %e = concat %d, %more {axis = 0}
        }
      %c = concat %b, %more {axis = 0}
    }
}
)";
  auto e = executable(text, driver::Backend::Llvm);
  ASSERT_TRUE(e);
  EXPECT_EQ(call(*e, {counted({2}), integers({0}, true), counted({1})}), "f32[2] {1, 2}");
  EXPECT_EQ(call(*e, {counted({2}), integers({1}, true), counted({1})}), "f32[5] {1, 2, 1, 1, 1}");
  EXPECT_EQ(call(*e, {counted({1}), integers({2}, true), counted({1})}), "f32[7] {1, 1, 1, 1, 1, 1, 1}");
}

// An extent that a model computes by subtracting may be 0 in a run, and then stands for that of the input, or -1.
TEST(RunTimeShapes, AComputedExtentThatKeepsTheInputs) {
  const std::string text = R"(graph g(%x: f32[n, k, m]) -> (%y) {
  %one = constant i64[1] dense<[1]>
  %rest = constant i64[1] dense<[-1]>
  %m = shape %x {start = 2}
  %less = sub %m, %one
  %shape = concat %less, %rest, %m {axis = 0}
  %y = reshape %x, %shape
}
)";
  auto e = executable(text, driver::Backend::Llvm);
  ASSERT_TRUE(e);
  EXPECT_EQ(call(*e, {counted({2, 2, 3})}), "f32[2, 2, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}");
  EXPECT_EQ(call(*e, {counted({2, 3, 1})}), "f32[2, 3, 1] {1, 2, 3, 4, 5, 6}");
}

// Scales and zero points of a length that comes with the run: one, or one for each channel, column or row, or it is refused.
TEST(RunTimeShapes, NumbersOfScalesAndZeroPoints) {
  const auto bytes = [](std::vector<int64_t> dims) {
    return HostValue::of(TensorData::make(DType::I8, std::move(dims)));
  };
  for (auto backend : {driver::Backend::Interpreter, driver::Backend::Llvm}) {
    auto conv = executable(R"(graph g(%x: i8[1, 2, 3, 3], %w: i8[4, 2, 1, 1], %s: f32[n]) -> (%y) {
  %one = constant f32[] dense<[1.0]>
  %zero = constant i8[] dense<[0]>
  %y = qlinear_conv %x, %one, %zero, %w, %s, %zero, %one, %zero
}
)",
                           backend);
    ASSERT_TRUE(conv);
    for (int64_t n : {1, 4}) EXPECT_TRUE(conv->call({bytes({1, 2, 3, 3}), bytes({4, 2, 1, 1}), counted({n})})) << n;
    for (int64_t n : {0, 2, 3, 5}) {
      auto refused = conv->call({bytes({1, 2, 3, 3}), bytes({4, 2, 1, 1}), counted({n})});
      ASSERT_FALSE(refused) << n;
      EXPECT_NE(refused.error().message.find("expected one element or 4"), std::string::npos)
          << refused.error().message;
    }
    auto product = executable(
        "graph g(%a: i8[2, 3], %b: i8[3, 4], %za: i8[n], %zb: i8[m]) -> (%y) {\n"
        "  %y = mat_mul_integer %a, %b, %za, %zb\n}\n",
        backend);
    ASSERT_TRUE(product);
    for (auto [n, m] : {std::pair<int64_t, int64_t>{2, 4}, {1, 4}, {2, 1}, {1, 1}})
      EXPECT_TRUE(product->call({bytes({2, 3}), bytes({3, 4}), bytes({n}), bytes({m})})) << n << ", " << m;
    for (auto [n, m] : {std::pair<int64_t, int64_t>{3, 4}, {2, 3}, {2, 5}, {0, 4}})
      EXPECT_FALSE(product->call({bytes({2, 3}), bytes({3, 4}), bytes({n}), bytes({m})})) << n << ", " << m;
  }
}

// Equal extents cancel where -1 is inferred, also those that are 0: the same answer for a shape that is known and for one that
// comes with the run, by the reference and by compiled code.
TEST(RunTimeShapes, WhatIsInferredOfAnEmptyTensorDoesNotDependOnWhenTheShapeIsKnown) {
  struct Case {
    std::vector<int64_t> from, shape;
    int allowzero;
    std::string result;  // empty: refused
  };
  const std::vector<Case> cases = {{{64, 8, 0, 65}, {64, -1, 0, 65}, 0, "f32[64, 8, 0, 65] {}"},
                                   {{2, 600, 0}, {-1, 600, 0}, 0, "f32[2, 600, 0] {}"},
                                   {{0, 3, 5}, {0, -1}, 0, "f32[0, 15] {}"},
                                   {{0, 3}, {3, -1}, 0, "f32[3, 0] {}"},
                                   {{2, 0, 2}, {-1, 2, 0}, 0, "f32[0, 2, 2] {}"},
                                   {{2, 3, 2}, {2, -1, 2}, 0, "f32[2, 3, 2] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}"},
                                   {{2, 3, 2}, {-1, 2}, 0, "f32[6, 2] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}"},
                                   {{2, 3}, {4, -1}, 0, ""},
                                   {{65, 8, 0, 65}, {63, -1, 0, 65}, 0, ""},
                                   {{0, 1, 47, 1}, {0, -1, 47, 23}, 0, ""},
                                   {{0, 3}, {0, -1}, 1, ""},
                                   {{0, 3}, {3, 0}, 1, "f32[3, 0] {}"}};
  for (const Case& c : cases) {
    const std::string attribute = c.allowzero ? " {allowzero = 1}" : "";
    const std::string known = fmt::format(
        "graph g(%x: f32[{}]) -> (%y) {{\n  %shape = constant i64[{}] dense<[{}]>\n  %y = reshape %x, %shape{}\n}}\n",
        fmt::join(c.from, ", "), c.shape.size(), fmt::join(c.shape, ", "), attribute);
    const std::string free =
        fmt::format("graph g(%x: f32[{}], %shape: i64[{}]) -> (%y) {{\n  %y = reshape %x, %shape{}\n}}\n",
                    fmt::join(c.from, ", "), c.shape.size(), attribute);
    for (auto backend : {driver::Backend::Interpreter, driver::Backend::Llvm}) {
      SCOPED_TRACE(free + known);
      auto with_shape = executable(free, backend);
      ASSERT_TRUE(with_shape);
      auto got = with_shape->call({counted(c.from), integers(c.shape)});
      EXPECT_EQ(got ? str((*got)[0], 12) : "", c.result);
      auto g = parse_graph(known);
      ASSERT_TRUE(g) << g.error().message;
      driver::LoadOptions load;
      load.backend = backend;
      auto without = driver::make_executable(std::move(*g), load);  // what is refused may be refused here
      auto fixed = without ? (*without)->call({counted(c.from)}) : Result<std::vector<HostValue>>(without.error());
      EXPECT_EQ(fixed ? str((*fixed)[0], 12) : "", c.result);
    }
  }
}

// What a convolution reads is made before it, in memory that is laid out for both: the extent that does not exist is refused
// before anything is written.
TEST(RunTimeShapes, TooSmallAWindowIsRefusedBeforeItsInputIsMade) {
  const std::string text = R"(graph g(%x: u8[a, 2, c, d], %w: f32[17, 2, 3, 3]) -> (%y) {
  %zero = constant u8[] dense<[128]>
  %scale = constant f32[] dense<[0.5]>
  %v = dequantize_linear %x, %scale, %zero
  %y = conv %v, %w {pads = [0, 0, 0, 0]}
}
)";
  auto g = parse_graph(text);
  ASSERT_TRUE(g) << g.error().message;
  auto kernels = optimize(*g);
  ASSERT_TRUE(kernels) << kernels.error().message;
  bool made = false;
  for (const k::Stage& s : kernels->body.stages) {
    if (s.kind == k::StageKind::Check) EXPECT_FALSE(made) << s.message;
    else made = true;
  }
  driver::LoadOptions options;
  options.backend = driver::Backend::Llvm;
  options.checks.bounds = true;
  auto e = driver::make_executable(std::move(*parse_graph(text)), options);
  ASSERT_TRUE(e) << e.error().message;
  auto bytes = TensorData::make(DType::U8, {2, 2, 1, 900});
  EXPECT_EQ(call(**e, {HostValue::of(bytes), counted({17, 2, 3, 3})}),
            "the window has extent 3 in spatial dimension 0, expected at most c (the padded input)");
}

// An axis of the data that is shorter than that of the indices is refused, and not read beyond.
TEST(RunTimeShapes, GatheredElementsLieInTheData) {
  auto e = executable("graph g(%x: f32[n, 3], %i: i64[2, 1]) -> (%y) {\n  %y = gather_elements %x, %i {axis = 1}\n}\n",
                      driver::Backend::Llvm);
  ASSERT_TRUE(e);
  auto at = TensorData::make(DType::I64, {2, 1});
  at->mutable_as<int64_t>()[0] = 2;
  EXPECT_EQ(call(*e, {counted({4, 3}), HostValue::of(at)}), "f32[2, 1] {3, 4}");
  EXPECT_EQ(call(*e, {counted({1, 3}), HostValue::of(at)}),
            "indices have extent 2 in dimension 0, expected at most n (the data's)");
  EXPECT_EQ(call(*e, {counted({0, 3}), HostValue::of(at)}),
            "indices have extent 2 in dimension 0, expected at most n (the data's)");
}

// One element is as good in any rank; the first branch decides which.
TEST(RunTimeShapes, BranchesMayGiveSingleElementsOfDifferentRanks) {
  auto e = executable(R"(graph g(%c: bool[], %x: f32[], %y: f32[1, 1], %v: f32[3]) -> (%z) {
  %s = if %c
    region() -> (%a) {
      %a = neg %x
    }
    region() -> (%b) {
      %b = abs %y
    }
  %z = mul %v, %s
}
)",
                      driver::Backend::Llvm);
  ASSERT_TRUE(e);
  auto no = TensorData::make(DType::Bool, {});
  auto x = TensorData::make(DType::F32, {});
  *x->mutable_as<float>() = 2;
  EXPECT_EQ(call(*e, {yes(), HostValue::of(x), counted({1, 1}), counted({3})}), "f32[3] {-2, -4, -6}");
  EXPECT_EQ(call(*e, {HostValue::of(no), HostValue::of(x), counted({1, 1}), counted({3})}), "f32[3] {1, 2, 3}");
}

}  // namespace
}  // namespace ingot::test
