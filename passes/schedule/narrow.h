// Sums of products with skinny N, vectorised along K. See narrow.cpp.
#pragma once

#include "passes/schedule/product.h"

namespace ingot {

// none: not of that form. May add values (packed operands) to the program.
Result<std::optional<std::vector<Launch>>> schedule_narrow(Product, k::Program&, Storages&, const TargetFacts&);

}  // namespace ingot
