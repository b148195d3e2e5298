// Targets by name, and what schedules see of them.
#pragma once

#include <string>
#include <vector>

#include "backends/llvm/target.h"
#include "passes/loops/legalize.h"
#include "passes/target_facts.h"
#include "support/result.h"

namespace ingot {

TargetFacts facts_of(const Target&);
l::LegalizeOptions legalize_options_for(const Target&);
// "host" too; no names: the documented set of this machine. An unknown name is an error with the nearest.
Result<std::vector<const Target*>> targets_named(const std::vector<std::string>& names);

}  // namespace ingot
