// What each kernel of an image computes and how, as JSON: the record in the manifest of a file, which `ingot inspect --stage
// schedules` shows.
#pragma once

#include <nlohmann/json.hpp>

#include "backends/llvm/target.h"
#include "ir/loops/loops.h"

namespace ingot {

// One image: its kernels in the order of the file, and the plan of its arena.
nlohmann::ordered_json schedules_json(const l::Program&, const Target&);

}  // namespace ingot
