// What the standard says of the element types of an operator's inputs (signatures.def), where definitions would compute with
// anything.
#pragma once

#include <string_view>

#include "ir/graph/graph.h"

namespace ingot {

// "T:number T:number"; empty where nothing is said.
std::string_view signature_of(std::string_view op);

// The types of the inputs are known. Sequences, optionals and maps are left to the definitions.
Result<void> check_signature(const Node& node);

}  // namespace ingot
