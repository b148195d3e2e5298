// Looks inside the runtime: the pool without a model, and the number of allocations of this process.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace ingot::test {

std::vector<int> parallel_visits(int64_t count, int64_t grain, int32_t threads);
std::vector<std::pair<int64_t, int64_t>> parallel_ranges(int64_t count, int64_t grain, int32_t threads);
int64_t allocations();

}  // namespace ingot::test
