// AttributeProto -> AttrValue.
#pragma once

#include "frontend/onnx/tensor.h"
#include "ir/graph/graph.h"

namespace ingot::onnx {

// float -> double, int -> int64_t, type_proto -> its text. Graphs are not attributes here; see importer.h.
Result<AttrValue> read_attribute(const AttributeProto& proto, const TensorSource& source);

// An error where a field is present that is not of the attribute's own kind. Of a reference to a function's attribute, too.
Result<void> check_payload(const AttributeProto& proto);

std::string_view attribute_kind_name(int32_t type);

Result<Type> read_type(const TypeProto& proto);  // of a type without free dims; used for attributes

}  // namespace ingot::onnx
