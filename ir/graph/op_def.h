// What the graph knows of an operator; the table is in ir/ops.
#pragma once

#include <string_view>

#include "support/result.h"

namespace ingot {

class Def;
class Expand;

struct OpDef {
  std::string_view name;                  // snake case of the ONNX name
  int min_inputs, max_inputs;             // max < 0: any number
  std::string_view attrs;                 // "axis keepdims": the names that it takes
  Result<void> (*define)(Def&);           // its meaning; null for a composite and for control flow
  Result<void> (*expand)(Expand&);
  std::string_view family;                // of the table in the README; empty: no frontend makes it
};

// Finds an op in the table, or says which name is near.
using OpLookup = Result<const OpDef*> (*)(std::string_view name);

}  // namespace ingot
