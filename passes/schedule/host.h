// K to L: stages become kernels, in groups; the host program launches them, computes extents, holds the control flow.
#pragma once

#include "ir/kernel/program.h"
#include "ir/loops/loops.h"
#include "passes/target_facts.h"

namespace ingot {

Result<l::Program> schedule(k::Program program, const TargetFacts& facts);

}  // namespace ingot
