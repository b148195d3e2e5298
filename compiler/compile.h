// The compiler as a library: a model and options to the contents of a file.
//
// A compilation has no effect outside of what it returns, and two in two threads give the same bytes as one after the other.
#pragma once

#include <functional>
#include <memory>

#include "compiler/pipeline.h"
#include "runtime/writer.h"

namespace ingot {

struct CompileModelOptions {
  std::vector<std::string> targets;  // names of the target table, "host", or empty: the documented set of this machine
  int jobs = 0;  // threads that generate code; 0: one per CPU
  bool debug_names = false;
  bool plain_code = false;  // CodeOptions: for tests
  PipelineOptions pipeline;
  std::function<void(const std::string&)> progress;  // told what is being done; may be null
};

struct TargetStatistics {
  std::string target;
  size_t kernels = 0;
  int64_t weight_bytes = 0, code_bytes = 0;
  int64_t arena_bytes = -1, arena_lower_bound = -1;  // -1: depends on the inputs
  PrecisionSummary precision;  // of the pipeline's `precision`
  double schedule_s = 0, codegen_s = 0;
};

// A compiled model in memory; `file` refers to the rest. runtime/writer.h makes bytes or a file of it.
struct CompiledModel {
  ModelFile file;
  size_t nodes = 0, stages = 0;  // nodes of the model as it came; stages of the optimised K
  double seconds = 0;
  std::vector<TargetStatistics> targets;
  std::vector<l::Program> programs;  // one per image; hold the weights
  std::vector<std::vector<uint8_t>> code;
  std::vector<TensorRef> defaults;  // contents of inputs
};

// Errors say what is wrong with the model, where, and in which file.
Result<std::unique_ptr<CompiledModel>> compile_model(ModelSource, const CompileModelOptions&);

// The graph of a model with its named dims fixed, as the compiler sees it before inference.
Result<Graph> import_model(ModelSource);

}  // namespace ingot
