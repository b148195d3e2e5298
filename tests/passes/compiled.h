// Compiles a graph in memory and runs it through the runtime, as an application would; compares with expected numbers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "tools/driver/compile.h"
#include "tools/driver/executable.h"

namespace ingot::test {

// Targets of the LLVM backend that this machine can run, the best first: "host", then the plainer ones.
const std::vector<std::string>& runnable_targets();

// The bytes of a model.ingot.
Result<std::vector<uint8_t>> compile_to_bytes(Graph graph, const std::vector<std::string>& targets,
                                              const PipelineOptions& = {});
// Compiles, loads, binds, runs, fetches.
Result<std::vector<HostValue>> compile_and_run(Graph graph, const std::string& target,
                                               const std::vector<HostValue>& inputs, int threads = 1,
                                               const PipelineOptions& = {});

// "" where `got` is `expected`: integers equal, floats within rtol*|expected| + rtol*max|expected|. Reductions may be
// reordered, scalar functions differ by a few ULP; rtol is the caller's statement of what that may amount to.
std::string difference(const TensorData& got, const TensorData& expected, double rtol);

}  // namespace ingot::test
