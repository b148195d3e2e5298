// The whole compiler between the importer and the backends, as one list.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/kernel/program.h"
#include "ir/loops/loops.h"
#include "passes/target_facts.h"

namespace ingot {

struct PipelineOptions {
  std::vector<std::string> disabled;   // passes to leave out, by name
  // Called after each pass with its name, its seconds, and the text of what it made (made only when asked for).
  std::function<void(std::string_view pass, double seconds, const std::function<std::string()>& text)> after;
};

// Names of the passes that can be disabled.
std::vector<std::string> pass_names();

// Independent of the target: an imported graph is inferred and expanded; the result is optimised K.
Result<k::Program> optimize(Graph& graph, const PipelineOptions& = {});
// For one target. The K program is copied.
Result<l::Program> lower_for_target(const k::Program&, const TargetFacts&, const PipelineOptions& = {});

}  // namespace ingot
