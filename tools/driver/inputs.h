// Where the inputs of a run come from: named files, a test's data set, or a seed.
#pragma once

#include <optional>

#include "tools/driver/executable.h"

namespace ingot::driver {

struct InputOptions {
  std::vector<std::string> files;            // "name=path", or "path" where the model has one input
  std::string data_dir;                      // a test_data_set_* directory, or one that holds such
  std::optional<uint64_t> random_seed;       // fills what is left
  std::map<std::string, int64_t> dims;       // extents of named dims for random inputs; kDefaultDim otherwise
};

inline constexpr int64_t kDefaultDim = 1;
inline constexpr int64_t kMaxRandomElements = int64_t{1} << 31;

// Floats: normal with mean 0 and deviation 1; integers: 0 or 1 (valid as tokens, indices, masks); bool: true; strings: "a".
// The same seed gives the same values on every machine.
Result<HostValue> random_value(const Type& type, const std::map<std::string, int64_t>& dims, uint64_t seed);

Result<std::vector<HostValue>> gather_inputs(const std::vector<Port>& ports, const InputOptions&);

}  // namespace ingot::driver
