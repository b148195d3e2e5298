// Small sound models, one per corner of the compiler. They are what the mutational test changes and what the fuzzer of
// the importer starts from (write_malformed writes them).
#pragma once

#include <string>
#include <vector>

namespace ingot::malformed {

struct SmallModel {
  std::string name, bytes;
};

std::vector<SmallModel> small_models();

}  // namespace ingot::malformed
