// The whole compiler between the importer and the backends, as one list.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/kernel/program.h"
#include "ir/loops/loops.h"
#include "passes/kernels/passes.h"
#include "passes/loops/checked.h"

namespace ingot {

enum class OptimizeFor : uint8_t { Speed, Size };  // Size: nothing that makes the file larger

struct PipelineOptions {
  OptimizeFor optimize_for = OptimizeFor::Speed;
  DType precision = DType::F32;  // bf16, f16: of the operands of sums of products, where the target gains by it
  bool lower_logits = false;     // the last sums before an output, too
  std::vector<std::string> disabled;   // passes to leave out, by name
  CheckOptions checks;  // of generated code: for tests
  int64_t cache_bytes = 0;  // of the second cache that schedules reckon with; 0: the target's
  // Called after each pass with its name, its seconds, and the text of what it made (made only when asked for).
  std::function<void(std::string_view pass, double seconds, const std::function<std::string()>& text)> after;
};

struct WeightsSection;  // passes/schedule/host.h

// Names of the passes that can be disabled.
std::vector<std::string> pass_names();
// Names that `after` is called with.
std::vector<std::string> step_names();

// Independent of the target: an imported graph is inferred and expanded; the result is optimised K.
Result<k::Program> optimize(Graph& graph, const PipelineOptions& = {});
// For one target. The K program is copied; `lowered` is told what `precision` came to. With a section of `weights`,
// those of other targets, the program has only what the section lacks.
Result<l::Program> lower_for_target(const k::Program&, const TargetFacts&, const PipelineOptions& = {},
                                    const WeightsSection* weights = nullptr, PrecisionSummary* lowered = nullptr);

// After legalisation: what `checks` asks for.
Result<void> add_checks(l::Program&, const CheckOptions&);

}  // namespace ingot
