// Calls of operators with the numbers that they give, as tables. Expected numbers are computed apart from the definitions: by
// hand, or from the formula of the standard (ONNX's, or ONNX Runtime's ContribOperators.md) in double.
#pragma once

#include "tests/ops/op_run.h"

namespace ingot::test {

struct NumericCase {
  std::string op;
  std::vector<Arg> inputs;
  Attrs attrs;
  std::vector<TensorRef> expected;  // null: an output that is not asked for
  double tolerance = 1e-5;
};

inline TensorRef f32(Shape dims, const std::vector<float>& v) { return tensor<float>(std::move(dims), v); }
inline TensorRef u8(Shape dims, const std::vector<uint8_t>& v) { return tensor<uint8_t>(std::move(dims), v); }
inline TensorRef i8(Shape dims, const std::vector<int8_t>& v) { return tensor<int8_t>(std::move(dims), v); }
inline TensorRef i32(Shape dims, const std::vector<int32_t>& v) { return tensor<int32_t>(std::move(dims), v); }
inline TensorRef i64(Shape dims, const std::vector<int64_t>& v) { return tensor<int64_t>(std::move(dims), v); }
inline TensorRef bools(Shape dims, const std::vector<int>& v) {
  auto t = TensorData::make(DType::Bool, std::move(dims));
  for (size_t k = 0; k < v.size(); ++k) t->mutable_as<uint8_t>()[k] = v[k] != 0;
  return t;
}

inline void expect_cases(const std::vector<NumericCase>& cases) {
  for (const NumericCase& c : cases) {
    SCOPED_TRACE(c.op);
    Call call{c.op, c.inputs, c.attrs, static_cast<int>(c.expected.size())};
    for (size_t k = 0; k < c.expected.size(); ++k)
      if (!c.expected[k]) call.unasked.push_back(static_cast<int>(k));
    const auto got = run(call);
    for (size_t k = 0; k < c.expected.size(); ++k) {
      if (!c.expected[k]) continue;
      SCOPED_TRACE("output " + std::to_string(k));
      const TensorData& want = *c.expected[k];
      EXPECT_EQ(got[k]->dtype, want.dtype);
      if (want.dtype == DType::String) {
        EXPECT_EQ(got[k]->dims, want.dims);
        EXPECT_EQ(got[k]->strings, want.strings);
        continue;
      }
      expect_is(got[k], want.dims, [&](const Shape& i) { return number_at(c.expected[k], i); }, c.tolerance);
    }
  }
}

}  // namespace ingot::test
