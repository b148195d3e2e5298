// Zero-copy concatenation. Where a map puts a value somewhere into its result, and the value has its own place in memory
// anyway, that place may as well be there: the value's storage becomes a sub-buffer view (a window) of the result's, which is
// its base buffer (the whole).
//
//   c[i, j] = select(j < 64, a[i, j], b[i, j - 64])          a: c's strides, from 0;   b: c's strides, from 64
//
// The formulas stay as they are. Who makes `a` writes into `c`; who reads `a` reads there; the map that puts them together
// has nothing left to do for these pieces, and a stage less where it has none for any. A padded copy is another such map.
#pragma once

#include <set>

#include "passes/schedule/storage.h"

namespace ingot {

// A window's neighbouring elements are at least a vector of the widest machine; below, a row of windows costs its writers and
// readers more than the copy does.
inline constexpr int64_t kLeastWindowRun = 64;  // bytes
// A base buffer lives as long as all its views. What that adds to the most memory in use at once may be this much.
inline constexpr double kMoreMemory = 0.02;

// Makes values views where that pays; gives the base values. Borders that a view needs are the base's.
std::set<int> choose_windows(const k::Program&, Storages&);

// Whether a map's piece, whose body is a Load, would copy elements onto themselves.
bool copies_onto_itself(const Storages&, int from, const Dim& from_offset, int to, const Dim& to_offset);

// Whether two values that lie in one memory have no element in common.
bool apart(const Storages&, int a, int b);

// The value whose memory this one lies in: itself, unless it is a window.
int memory_of(const Storages&, int value);

}  // namespace ingot
