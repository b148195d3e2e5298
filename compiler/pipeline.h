// The compiler as one list of passes, from a file to an image. Each is a function over what the compilation has made so far
// (compilation.h); the list says what level it makes, when it is wanted, and whether it may be left out.
#pragma once

#include <span>
#include <string_view>

#include "compiler/compilation.h"

namespace ingot {

enum class Scope : uint8_t { Model, Target };  // once per model, or once per image

struct Pass {
  std::string_view name;
  Scope scope;
  Level makes;  // is verified and shown after the pass
  bool optional;  // the program stays right without it: `--disable-pass`
  bool (*wanted)(const Compilation&);
  Result<void> (*run)(Compilation&);
};

// In the order in which they run.
std::span<const Pass> all_passes();
// Kinds of schedule that can be left out like a pass.
std::span<const std::string_view> optional_schedules();

// What `disabled` may hold, and the names that `after` is called with.
std::vector<std::string> pass_names();
std::vector<std::string> step_names();

// Runs the passes of a scope that did not run yet, up to `last` and with it; empty: all. Each is timed, verified and shown. An
// error names the file, where there is one.
Result<void> run_passes(Compilation&, Scope, std::string_view last = {});

// The passes of a model, over a graph without a file: optimised K.
Result<k::Program> optimize(Graph& graph, const PipelineOptions& = {});
// The passes of a target up to L before legalisation, for the facts that are given. `precision` is told what lowering came to.
Result<l::Program> lower_for_target(const k::Program&, const TargetFacts&, const PipelineOptions& = {},
                                    const WeightsSection* weights = nullptr, PrecisionSummary* precision = nullptr);

}  // namespace ingot
