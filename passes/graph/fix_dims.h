// Named extents of a model's inputs that the user fixes.
#pragma once

#include <map>
#include <set>
#include <string>

#include "ir/graph/graph.h"
#include "support/result.h"

namespace ingot {

// x: f32[batch, 3], {batch: 8} -> x: f32[8, 3], in every type of the graph
//
// A name that no input has is an error with the nearest one, and so is an extent that the name cannot have.
Result<void> fix_dims(Graph&, const std::map<std::string, int64_t>& dims);

// A key of `dims` that is none of `names` is an error with the nearest.
Result<void> check_dim_names(const std::map<std::string, int64_t>& dims, const std::set<std::string>& names);

}  // namespace ingot
