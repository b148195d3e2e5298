// What a compilation has made so far: the state that the passes of pipeline.h hand on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/llvm/emit.h"
#include "backends/llvm/target.h"
#include "ir/graph/graph.h"
#include "ir/kernel/program.h"
#include "ir/loops/loops.h"
#include "passes/kernels/passes.h"
#include "passes/loops/checked.h"
#include "passes/schedule/host.h"
#include "passes/target_facts.h"

namespace ingot {

enum class OptimizeFor : uint8_t { Speed, Size };  // Size: nothing that makes the file larger

// What the passes may be told.
struct PipelineOptions {
  OptimizeFor optimize_for = OptimizeFor::Speed;
  DType precision = DType::F32;  // bf16, f16: of the operands of sums of products, where the target gains by it
  bool lower_logits = false;     // the last sums before an output, too
  std::vector<std::string> disabled;   // passes and kinds of schedule to leave out, by name
  CheckOptions checks;  // of generated code: for tests
  int64_t cache_bytes = 0;  // of the second cache that schedules reckon with; 0: the target's
  // Called after each pass with its name, its seconds, and the text of what it made (made only when asked for).
  std::function<void(std::string_view pass, double seconds, const std::function<std::string()>& text)> after;

  bool leaves_out(std::string_view name) const;
};

// How code is generated; it has no influence on what the code computes.
struct CodeOptions {
  int jobs = 1;              // threads
  bool debug_names = false;  // keeps local symbols and .eh_frame
  bool plain_code = false;   // no loop passes of LLVM: for tests
};

// A model to compile: the path of a .onnx file, or a graph in memory.
struct ModelSource {
  ModelSource(std::string onnx_path) : path(std::move(onnx_path)) {}
  ModelSource(Graph&& g) : graph(std::move(g)) {}

  std::string path;
  std::optional<Graph> graph;
  bool freeze_inputs = false;  // inputs whose contents the file has are constants
  std::map<std::string, int64_t> dims;  // extents for named dims of the inputs
};

enum class Level : uint8_t { Graph, Kernels, Loops, Image };

struct PassTime {
  std::string_view name;
  Level makes;
  double seconds = 0;
};

// Of one model; `for_target` begins that of one image. Passes fill the members from the top to the bottom.
struct Compilation {
  Compilation(PipelineOptions o, ModelSource s) : options(std::move(o)), source(std::move(s)) {}
  Compilation(PipelineOptions, k::Program);  // begins with the passes of a target
  Compilation for_target(const Target&) const;  // of an image, from the model's K on

  PipelineOptions options;
  ModelSource source;
  size_t next = 0;  // the pass to run, in the list
  std::vector<PassTime> times;

  Graph graph;         // G, after `import`
  k::Program kernels;  // K, after `lower-to-kernels`

  const Target* target = nullptr;  // of one image from here on
  TargetFacts facts;               // of the target, or given
  const WeightsSection* shared_weights = nullptr;  // of the images before; null: this one has a section of its own
  CodeOptions code;
  PrecisionSummary precision;  // what `lower-precision` came to
  l::Program loops;            // L, after `schedule`
  Image image;                 // after `generate-code`
  std::string opencl_source;   // after `print-opencl`
};

}  // namespace ingot
