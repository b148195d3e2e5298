// Looks inside the runtime: the pool without a model, and the number of allocations of this process.
#pragma once

#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace ingot::test {

std::vector<int> parallel_visits(int64_t count, int64_t grain, int32_t threads);
// Parts that run beside each other.
struct Part {
  int64_t count, grain, cost;
};
struct Visit {
  int part;
  int64_t begin, end, current;  // current: what the runtime says is the first item, counted through all parts
  std::thread::id thread;
};
// `failing`: parts that fail, with their number + 1.
std::vector<Visit> group_visits(const std::vector<Part>& parts, int32_t threads, const std::vector<int>& failing = {},
                                int32_t* status = nullptr);
std::vector<std::pair<int64_t, int64_t>> parallel_ranges(int64_t count, int64_t grain, int32_t threads);
int64_t allocations();

}  // namespace ingot::test
