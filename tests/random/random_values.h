// Contents of random tensors.
#pragma once

#include <numeric>
#include <random>
#include <vector>

#include "ir/types.h"

namespace ingot::test {

inline constexpr int64_t kMaxRandomElements = 40000;  // of a value

inline int64_t product_of(const std::vector<int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

// Floats in [-scale, scale), small integers, bools.
std::shared_ptr<TensorData> random_tensor(std::mt19937& rng, DType, std::vector<int64_t> dims, double scale);

}  // namespace ingot::test
