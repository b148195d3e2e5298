// Runs a graph node by node on concrete values: each node's definition is built for the shapes at hand and evaluated
// (evaluate.h). No inference is needed, so it also runs graphs whose shapes the compiler cannot express. It is the
// reference of `ingot diff`, and folds constants.
#pragma once

#include <functional>
#include <string_view>

#include "ir/ops/def.h"
#include "ir/ops/evaluate.h"

namespace ingot {

struct InterpreterOptions {
  int64_t max_bytes = int64_t{16} << 30;         // of the values alive at a time
  double max_seconds = 3600;                     // of a run
  int64_t max_iterations = int64_t{1} << 32;     // of one loop
  // Called with each value that a node of the model computes (not those inside a composite op), in order; once per
  // iteration inside a loop.
  std::function<void(std::string_view name, const HostValue&)> on_value;
  // Called with each node of the model that collects the results of iterations and made none: the extents of what it would have
  // collected are inferred then, from the extents of this run. No rule says what they are.
  std::function<void(const Node&)> on_nothing_collected;
};

class Interpreter {
 public:
  explicit Interpreter(InterpreterOptions options = {}) : options_(std::move(options)) {}

  // inputs: one per graph.body.inputs; their types are checked. Gives graph.body.outputs.
  Result<std::vector<HostValue>> run(const Graph&, std::vector<HostValue> inputs);

 private:
  InterpreterOptions options_;
};

// The outputs of one node without regions, for constant folding; an absent input is a HostValue of kind None.
Result<std::vector<HostValue>> run_node(const Node&, const std::vector<HostValue>& inputs,
                                        const InterpreterOptions& = {});

}  // namespace ingot
