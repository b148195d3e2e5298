// Operators that only importing knows, since it rewrites them: the numbers that models with them give.
#include <gtest/gtest.h>

#include "frontend/onnx/import.h"
#include "ir/ops/interpreter.h"
#include "tests/frontend/onnx_builder.h"

namespace ingot::onnx {
namespace {

using build::Attr;
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;
constexpr int kF32 = 1;

struct Case {
  int64_t opset;
  const char* op;
  std::vector<Attr> attrs;
  std::string expected;
  build::Names more = {};  // inputs after x
  const char* domain = "";
};

// x: f32[1, 2, 2, 2] {1, 2, 3, 4, 5, 6, 7, 8}
std::string result(const Case& c) {
  const std::string_view domain = c.domain;
  auto m = build::Model().opset(domain.empty() ? c.opset : 7);
  if (!domain.empty()) m.opset(c.opset, domain);
  m.graph.input("x", kF32, {1, 2, 2, 2});
  m.graph.initializer(build::floats("half", {}, {0.5F})).initializer(build::floats("one", {}, {1}));
  m.graph.initializer(build::floats("bits", {}, {3})).initializer(build::floats("up", {4}, {1, 1, 1, 2}));
  m.graph.initializer(build::ints("at", {1, 1, 1, 2}, {1, 0}))
      .initializer(build::floats("put", {1, 1, 1, 2}, {-1, -2}));
  for (const auto& [name, value] : {std::pair{"first", int64_t{0}}, {"last", int64_t{1}}, {"axis", int64_t{3}}})
    m.graph.initializer(build::ints(name, {1}, {value}));
  build::Names inputs = {"x"};
  inputs.insert(inputs.end(), c.more.begin(), c.more.end());
  m.graph.node(c.op, inputs, {"y"}, c.attrs, {}, domain).output("y");
  const std::string bytes = m.str();
  auto model = import_onnx(build::bytes_of(bytes), nullptr, {});
  if (!model) return "error: " + model.error().message;
  auto x = TensorData::make(DType::F32, {1, 2, 2, 2});
  for (int64_t k = 0; k < 8; ++k) x->mutable_as<float>()[k] = static_cast<float>(k + 1);
  auto y = Interpreter().run(*model, {HostValue::of(TensorRef(x))});
  return y ? str((*y)[0]) : "error: " + y.error().message;
}

TEST(OldOperators, GiveTheirNumbers) {
  const std::vector<Case> cases = {
      {1,
       "Affine",
       {Attr("alpha", 2.0), Attr("beta", 0.5)},
       "f32[1, 2, 2, 2] {2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5, 16.5}"},
      {1,
       "ImageScaler",
       {Attr("scale", 2.0), Attr("bias", Floats{10, -1})},
       "f32[1, 2, 2, 2] {12, 14, 16, 18, 9, 11, 13, 15}"},
      // left, top, right, bottom; or left, top and the size
      {1, "Crop", {Attr("border", Ints{1, 0, 0, 1})}, "f32[1, 2, 1, 1] {2, 6}"},
      {1, "Crop", {Attr("border", Ints{0, 1, 0, 0}), Attr("scale", Ints{1, 2})}, "f32[1, 2, 1, 2] {3, 4, 7, 8}"},
      {1, "DynamicSlice", {}, "f32[1, 2, 2, 1] {1, 3, 5, 7}", {"first", "last", "axis"}},
      {9, "Upsample", {}, "f32[1, 2, 2, 4] {1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8}", {"up"}},
      {9, "Scatter", {Attr("axis", 2)}, "f32[1, 2, 2, 2] {1, -2, -1, 4, 5, 6, 7, 8}", {"at", "put"}},
      // (clip(round(x / 0.5 + 1), low, high) - 1) * 0.5, with -4 to 3, and 0 to 6
      {1, "Quant", {}, "f32[1, 2, 2, 2] {1, 1, 1, 1, 1, 1, 1, 1}", {"half", "one", "bits"}, "onnx.brevitas"},
      {1,
       "Quant",
       {Attr("signed", 0), Attr("narrow", 1)},
       "f32[1, 2, 2, 2] {1, 2, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5}",
       {"half", "one", "bits"},
       "onnx.brevitas"},
  };
  for (const Case& c : cases) EXPECT_EQ(result(c), c.expected) << c.op;
}

// tanh(2) = 0.9640276, ln(1 + e^2) = 2.126928
TEST(OldOperators, ScaledFunctions) {
  EXPECT_TRUE(
      result({1, "ScaledTanh", {Attr("alpha", 3.0), Attr("beta", 2.0)}, ""}).starts_with("f32[1, 2, 2, 2] {2.89208"));
  EXPECT_TRUE(result({1, "ParametricSoftplus", {Attr("alpha", 3.0), Attr("beta", 2.0)}, ""})
                  .starts_with("f32[1, 2, 2, 2] {6.3807"));
}

}  // namespace
}  // namespace ingot::onnx
