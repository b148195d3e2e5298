// Winograd's convolution: 3x3 windows of stride 1 in fewer multiplications. See winograd.cpp.
#pragma once

#include "passes/schedule/nest.h"

namespace ingot {

// none: not such a convolution, or direct sums are as fast. May add values to the program.
Result<std::optional<std::vector<Launch>>> schedule_winograd(const k::Stage& reduce, const k::Stage* epilogue,
                                                             k::Program&, Storages&, const TargetFacts&);

}  // namespace ingot
