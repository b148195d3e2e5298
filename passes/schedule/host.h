// K to L: stages become kernels, in groups; the host program launches them, computes extents, holds the control flow.
#pragma once

#include <span>

#include "ir/kernel/program.h"
#include "ir/loops/loops.h"
#include "passes/target_facts.h"

namespace ingot {

struct ScheduleOptions {
  bool winograd = true;
  bool chains = true;
  // By how much forms of weights that save time may be larger than the plain ones, in sum: a share of all weights, and bytes.
  double extra_weights = 0.5;
  int64_t extra_bytes = 512 << 10;
  bool small_weights = false;  // as few bytes as there are, where that costs time
  // Weights of another image of the model; a program with the same ones has none of its own, but `shared_weights`.
  std::span<const uint8_t> known_weights;
};

Result<l::Program> schedule(k::Program program, const TargetFacts& facts, const ScheduleOptions& = {});

}  // namespace ingot
