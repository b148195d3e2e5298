// The algorithms that Call stages name: freestanding functions behind the interface of runtime/abi.h, compiled into the
// compiler (reference, folding) and per target into the images that use them. The list is algorithms.def.
#pragma once

#include <span>
#include <string_view>

#include "ir/types.h"
#include "runtime/abi.h"

namespace ingot {

struct Algorithm {
  std::string_view name;
  ingot_algorithm_fn run;
};

std::span<const Algorithm> all_algorithms();
ingot_algorithm_fn find_algorithm(std::string_view name);  // null: no such algorithm

int32_t dtype_code(DType);  // ingot_dtype_code; 0 for Invalid
DType dtype_of_code(int32_t);  // Invalid where unknown

}  // namespace ingot

// Every algorithm is `extern "C" int32_t ingot_alg_NAME(const ingot_call*)`.
#define ALGORITHM(name) extern "C" int32_t ingot_alg_##name(const ingot_call*);
#include "ir/ops/algorithms/algorithms.def"
#undef ALGORITHM
