#include "frontend/onnx/dtype.h"

namespace ingot::onnx {

namespace {

struct Entry {
  std::string_view name;
  DType dtype;
};
// Indexed by TensorProto.DataType.
constexpr Entry kTypes[] = {
    {"UNDEFINED", DType::Invalid},
    {"FLOAT", DType::F32},
    {"UINT8", DType::U8},
    {"INT8", DType::I8},
    {"UINT16", DType::U16},
    {"INT16", DType::I16},
    {"INT32", DType::I32},
    {"INT64", DType::I64},
    {"STRING", DType::String},
    {"BOOL", DType::Bool},
    {"FLOAT16", DType::F16},
    {"DOUBLE", DType::F64},
    {"UINT32", DType::U32},
    {"UINT64", DType::U64},
    {"COMPLEX64", DType::C64},
    {"COMPLEX128", DType::C128},
    {"BFLOAT16", DType::BF16},
    {"FLOAT8E4M3FN", DType::F8E4M3FN},
    {"FLOAT8E4M3FNUZ", DType::F8E4M3FNUZ},
    {"FLOAT8E5M2", DType::F8E5M2},
    {"FLOAT8E5M2FNUZ", DType::F8E5M2FNUZ},
    {"UINT4", DType::U4},
    {"INT4", DType::I4},
    {"FLOAT4E2M1", DType::F4E2M1},
    {"FLOAT8E8M0", DType::F8E8M0},
    {"UINT2", DType::U2},
    {"INT2", DType::I2},
};

}  // namespace

DType dtype_of(int64_t data_type) {
  if (data_type < 0 || data_type >= static_cast<int64_t>(std::size(kTypes))) return DType::Invalid;
  return kTypes[data_type].dtype;
}

int32_t data_type_of(DType dtype) {
  for (size_t i = 1; i < std::size(kTypes); ++i)
    if (kTypes[i].dtype == dtype) return static_cast<int32_t>(i);
  return 0;
}

DType dtype_of_name(std::string_view name) {
  for (const Entry& e : kTypes)
    if (e.name == name) return e.dtype;
  return DType::Invalid;
}

}  // namespace ingot::onnx
