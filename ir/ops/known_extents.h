// What the checks of a model say about the extents of its inputs.
//
//   x: f32[n, c], weights f32[7, 4]:  the product checks c == 7, so that a run in which c is not 7 fails
//
// A check that every run makes is therefore known to hold wherever it is of use: c is replaced by 7 in all types. The
// formulas that need a constant get it, and the check is made where the input is bound.
#pragma once

#include <set>

#include "ir/graph/graph.h"
#include "ir/kernel/program.h"

namespace ingot {

// The symbols of extents of the graph's inputs that the checks among `stages` fix, each to a constant or to another such
// symbol. The stages must be of a node that every run of the model reaches.
Substitution fixed_extents(const Graph&, const std::vector<k::Stage>& stages);
// Replaces them in everything that was inferred so far.
void replace_extents(Graph&, Substitution);

// The extents of the items of a sequence, and of an optional's element, hold for every item. This is one that differs from
// item to item, or that only the item itself knows.
inline constexpr int64_t kAnyExtent = -1;
// What holds for the items of two types: an extent that they do not share is kAnyExtent.
Result<Type> common_item(const Type& a, const Type& b);
// The type with kAnyExtent for the extents of items that depend on one of `symbols`.
Type without_symbols(const Type&, const std::set<int64_t>& symbols);
// The type with kAnyExtent for all extents of items.
Type with_any_items(const Type&);
bool same_type(const Type& a, const Type& b);

}  // namespace ingot
