// Depthwise convolution of bytes: sums over a window, each channel by itself. See depthwise.cpp.
#pragma once

#include "passes/schedule/nest.h"

namespace ingot {

// none: this stage has no such form. May add values (packed filters) to the program.
Result<std::optional<std::vector<Launch>>> schedule_depthwise(const k::Stage& reduce, const k::Stage* epilogue,
                                                              k::Program&, Storages&, const TargetFacts&);

}  // namespace ingot
