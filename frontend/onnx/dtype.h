// ONNX's numbers and names for element types (TensorProto.DataType).
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/types.h"

namespace ingot::onnx {

DType dtype_of(int64_t data_type);           // Invalid where unknown
int32_t data_type_of(DType);                 // 0 for Invalid
DType dtype_of_name(std::string_view name);  // "FLOAT", "INT64": Cast before operator set 6; Invalid where unknown

}  // namespace ingot::onnx
