#include "ir/ops/algorithms/algorithms.h"

namespace ingot {

namespace {
constexpr Algorithm kAlgorithms[] = {
#define ALGORITHM(name) {#name, ingot_alg_##name},
#include "ir/ops/algorithms/algorithms.def"
#undef ALGORITHM
    {"", nullptr},
};
}  // namespace

std::span<const Algorithm> all_algorithms() { return {kAlgorithms, std::size(kAlgorithms) - 1}; }

ingot_algorithm_fn find_algorithm(std::string_view name) {
  for (const Algorithm& a : all_algorithms())
    if (a.name == name) return a.run;
  return nullptr;
}

}  // namespace ingot
