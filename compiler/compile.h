// Importer -> passes -> backend -> file: the glue between the libraries, which do not know each other.
#pragma once

#include <functional>
#include <memory>

#include "backends/llvm/target.h"
#include "ir/graph/graph.h"
#include "passes/pipeline.h"
#include "runtime/writer.h"

namespace ingot::driver {

struct CompileModelOptions {
  std::vector<std::string> targets;  // names of the target table, "host", or empty: the documented set of this machine
  int jobs = 0;  // 0: one per CPU
  bool debug_names = false;
  bool plain_code = false;  // CompileOptions: for tests
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

// A compiled model in memory; `file` refers to the rest.
struct CompiledModel {
  ModelFile file;
  size_t nodes = 0, stages = 0;  // nodes of the model as it came; stages of the optimised K
  double seconds = 0;
  std::vector<TargetStatistics> targets;
  std::vector<l::Program> programs;  // one per image; hold the weights
  std::vector<std::vector<uint8_t>> code;
  std::vector<TensorRef> defaults;  // contents of inputs
};

Result<std::unique_ptr<CompiledModel>> compile_model(Graph graph, const CompileModelOptions&);

// The kernels of a program, then the algorithms that it calls, as a file lists them.
std::vector<ModelFile::Kernel> kernel_table(const l::Program&);

// The facts that schedules see of a target.
TargetFacts facts_of(const Target&);
// Kernels in OpenCL C, and a host program for any machine of this architecture.
const Target& opencl_target();
inline bool is_opencl(const Target& t) { return &t == &opencl_target(); }
// Targets by name ("host" and "opencl" too); an unknown one is an error with the nearest.
Result<std::vector<const Target*>> targets_named(const std::vector<std::string>& names);

int64_t peak_memory_bytes();  // of this process so far

}  // namespace ingot::driver
