// Compiles a graph in memory and runs it through the runtime, as an application would; compares with expected numbers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "ir/graph/graph.h"
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

// Numbers in [-scale, scale), the same for the same state.
std::shared_ptr<TensorData> numbers(std::vector<int64_t> dims, uint32_t state, double scale = 1);
// Parses a graph, and turns its inputs after the first into constants.
Graph with_constants(const std::string& text);
// How many kernels of such a model have a schedule that begins so; -1 where it does not compile.
int kernels_of(const std::string& schedule, const std::string& text, const std::string& target,
               const PipelineOptions& = {});
// The model's output is what the interpreter says, on every target and for one thread and two; one kernel has the schedule.
void expect_schedule(const std::string& schedule, const std::string& text, const std::vector<int64_t>& shape,
                     double rtol);

// "" where `got` is `expected`: integers equal, floats within rtol*|expected| + rtol*max|expected|. Reductions may be
// reordered, scalar functions differ by a few ULP; rtol is the caller's statement of what that may amount to.
std::string difference(const TensorData& got, const TensorData& expected, double rtol);

}  // namespace ingot::test
