// Sums of products of bf16 on a matrix unit (AMX). See tiles.cpp.
#pragma once

#include "passes/schedule/product.h"

namespace ingot {

// none: the target has no such unit, or the sum does not fill its tiles.
Result<std::optional<std::vector<Launch>>> schedule_tiles(Product, k::Program&, Storages&, const TargetFacts&);

}  // namespace ingot
