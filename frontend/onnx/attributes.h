// AttributeProto -> AttrValue, with the kind of each attribute checked: no attribute of the standard has one name and
// two kinds within one operator, and hardly any across all of them, so one table by name serves.
#pragma once

#include "frontend/onnx/tensor.h"
#include "ir/graph/graph.h"

namespace ingot::onnx {

// float -> double, int -> int64_t, type_proto -> its text. Graphs are not attributes here; see importer.h.
Result<AttrValue> read_attribute(const AttributeProto& proto, const TensorSource& source);

// Whether the standard's attribute of this name is of this kind (AttributeProto::Type); names that the standard lacks
// pass.
Result<void> check_attribute_kind(std::string_view name, int32_t type);

std::string_view attribute_kind_name(int32_t type);

Result<Type> read_type(const TypeProto& proto);  // of a type without free dims; used for attributes

}  // namespace ingot::onnx
