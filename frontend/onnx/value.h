// The .pb files of ONNX's test vectors: a TensorProto, SequenceProto, OptionalProto or MapProto. Which one a file holds
// is not written in it; the type of the model's input or output says.
#pragma once

#include "frontend/onnx/tensor.h"
#include "ir/ops/host_value.h"

namespace ingot::onnx {

struct NamedValue {
  std::string name;  // as in the file; may be empty
  HostValue value;
};

// `owner` keeps `bytes` alive. `type` needs its kinds only; a dtype that differs from it is not an error here.
Result<NamedValue> read_value(Bytes bytes, const Type& type, std::shared_ptr<const void> owner);
Result<NamedValue> read_value_file(const std::string& path, const Type& type);

std::string write_value(const HostValue& value, std::string_view name);

}  // namespace ingot::onnx
