// The operators that nodes may name, and the check of a node's attributes against them: operators.def as a table.
//
// The list is explicit, so that a name means what its domain says: com.microsoft has no Relu, and its Unique is not ai.onnx's.
#pragma once

#include <string>
#include <string_view>

#include "frontend/onnx/proto.h"

namespace ingot::onnx {

struct Operator {
  std::string_view domain, name;
  int64_t since;  // the operator set of its domain that it came with
  std::string op;  // its name in the op table
  std::string_view attributes;  // as in operators.def
  std::string_view like = {};  // com.microsoft: the operator of ai.onnx that it is, ...
  int64_t like_version = 0;  // ... as of this operator set; 0: one of its own
};

// One of any attributes, for imports into a table of other operators (ImportOptions::find_op).
Operator any_operator(std::string_view domain, std::string_view name);
// Null: the domain has no such operator.
const Operator* find_operator(std::string_view domain, std::string_view name);

// Whether the operator has an attribute of this name as of this operator set, and of this kind (AttributeProto::Type).
Result<void> check_attribute(const Operator& op, int64_t version, std::string_view name, int32_t type);
// Whether an attribute of each name that this operator set requires is among `given`.
Result<void> check_required(const Operator& op, int64_t version, const std::vector<std::string_view>& given);

}  // namespace ingot::onnx
