// Offsets in the arena. Buffers whose lifetimes do not overlap share memory.
#pragma once

#include <vector>

#include "ir/dim.h"

namespace ingot {

struct PlannedBuffer {
  Dim bytes;
  int first = 0, last = 0;  // positions in the order of execution, inclusive
  Dim offset;               // result
};

inline constexpr int64_t kArenaAlignment = 64;  // bytes

// Places every buffer; gives the size of the arena. Buffers of constant size lie below those of symbolic size, which
// share memory only where one provably fits into another's; where one may be negative, none of it counts.
Dim plan_memory(std::vector<PlannedBuffer>&);

// The most bytes alive at one moment (constant sizes only): no plan can do with less.
int64_t memory_lower_bound(const std::vector<PlannedBuffer>&);

}  // namespace ingot
