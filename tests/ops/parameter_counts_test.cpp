// Scales and zero points whose number contradicts the operator: each would be read beyond its end, or one of many would be taken
// for all.
#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

size_t size_of(const Shape& dims) {
  size_t n = 1;
  for (int64_t d : dims) n *= static_cast<size_t>(d);
  return n;
}
TensorRef bytes(Shape dims) { return tensor<int8_t>(dims, std::vector<int8_t>(size_of(dims), 1)); }
TensorRef scales(Shape dims) { return tensor<float>(dims, std::vector<float>(size_of(dims), 0.5f)); }

struct Case {
  const char* op;
  std::vector<Arg> inputs;
  const char* error;
  Attrs attrs = {};
};

TEST(ParameterCounts, AreHeldToTheOperands) {
  const TensorRef a = bytes({2, 3}), b = bytes({3, 4}), x = bytes({1, 2, 5, 5}), w = bytes({4, 2, 3, 3});
  const TensorRef z = bytes({}), s = scales({});
  const std::vector<Case> cases = {
      {"quantize_linear", {scales({2, 3}), scales({2})}, "scale has 2 elements, expected 3 (axis 1)"},
      {"quantize_linear", {scales({2, 3}), scales({3}), bytes({2})}, "expected the same shape"},
      {"quantize_linear", {scales({2, 3}), scales({1}), bytes({3})}, "expected the same shape"},
      {"dequantize_linear", {a, scales({3}), bytes({4})}, "expected the same shape"},
      {"dequantize_linear", {a, scales({4})}, "scale has 4 elements, expected 3 (axis 1)"},
      {"mat_mul_integer", {a, b, bytes({3})}, "i8[3], expected one element or one for each of 2 rows"},
      {"mat_mul_integer", {a, b, z, bytes({3})}, "i8[3], expected one element or one for each of 4 columns"},
      {"qlinear_mat_mul", {a, scales({3}), z, b, s, z, s, z}, "f32[3], expected one element or one for each of 2 rows"},
      {"qlinear_mat_mul",
       {a, s, z, b, scales({3}), z, s, z},
       "f32[3], expected one element or one for each of 4 columns"},
      {"conv_integer", {x, w, bytes({2})}, "input 2 has type i8[2], expected one element"},
      {"conv_integer", {x, w, z, bytes({2})}, "input 3 has type i8[2], expected one element or 4"},
      {"qlinear_conv", {x, scales({2}), z, w, s, z, s, z}, "input 1 has type f32[2], expected one element"},
      {"qlinear_conv", {x, s, z, w, scales({2}), z, s, z}, "input 4 has type f32[2], expected one element or 4"},
      {"qlinear_conv", {x, s, z, w, s, bytes({5}), s, z}, "input 5 has type i8[5], expected one element or 4"},
      {"qlinear_conv", {x, s, z, w, s, z, s, bytes({4})}, "input 7 has type i8[4], expected one element"},
      {"qlinear_conv",
       {x, s, z, w, s, z, s, z, tensor<int32_t>({3}, {1, 1, 1})},
       "bias has type i32[3], expected 4 elements"},
      {"qlinear_add", {a, scales({2}), z, a, s, z, s, z}, "input 1 has type f32[2], expected one element"},
      {"qlinear_mul", {a, s, z, a, s, z, s, bytes({3})}, "input 7 has type i8[3], expected one element"},
      {"qlinear_sigmoid", {a, s, z, scales({3}), z}, "input 3 has type f32[3], expected one element"},
      {"qlinear_global_average_pool", {x, scales({2}), z, s, z}, "input 1 has type f32[2], expected one element"},
      {"qgemm", {a, scales({2}), z, b, s, z}, "input 1 has type f32[2], expected one element"},
      {"qgemm", {a, s, z, b, scales({3}), z}, "input 4 has type f32[3], expected one element or 4"},
  };
  for (const Case& c : cases) {
    const std::string error = error_of(c.op, c.inputs, c.attrs);
    EXPECT_NE(error.find(c.error), std::string::npos) << c.op << ": " << error << "\n  expected: " << c.error;
  }
}

}  // namespace
}  // namespace ingot
