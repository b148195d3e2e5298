// K to L: stages become kernels, in groups; the host program launches them, computes extents, holds the control flow.
#pragma once

#include <span>

#include "ir/kernel/program.h"
#include "ir/loops/loops.h"
#include "passes/target_facts.h"

namespace ingot {

// The weights section of a file so far: what the images of earlier targets put there. One that comes later uses what it finds
// and appends the rest.
struct WeightsSection {
  struct Piece {
    int64_t at = 0;  // bytes from the beginning of the section
    std::span<const uint8_t> bytes;
  };
  std::vector<Piece> pieces;
  int64_t size = 0;

  void add(const l::Program&);  // whose weights have to stay where they are
};

struct ScheduleOptions {
  bool winograd = true;
  bool groups = true;  // launches that do not need each other run beside each other
  bool chains = true;
  // By how much forms of weights that save time may be larger than the plain ones, in sum: a share of all weights, and bytes.
  double extra_weights = 0.5;
  int64_t extra_bytes = 512 << 10;
  bool small_weights = false;  // as few bytes as there are, where that costs time
  int64_t canary_bytes = 0;  // left free before and after each buffer of the arena (passes/loops/checked.h)
  const WeightsSection* weights = nullptr;  // none: the program has a section of its own
};

Result<l::Program> schedule(k::Program program, const TargetFacts& facts, const ScheduleOptions& = {});

}  // namespace ingot
