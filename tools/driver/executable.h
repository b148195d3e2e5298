// A model that can be run, whatever runs it: the reference interpreter, or compiled code in this process.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/pipeline.h"
#include "ir/graph/graph.h"
#include "ir/ops/host_value.h"
#include "support/result.h"

namespace ingot::driver {

struct Port {
  std::string name;
  Type type;               // dims may be symbols
  bool optional = false;   // an input that may stay absent
};

struct KernelPlacement {
  std::string name, device;
  int64_t items = 0;
};

struct KernelTime {
  std::string name, node, schedule, flops, bytes;  // flops, bytes: of one call, expressions of dims
  std::string device;                              // "host", or the name of an OpenCL device
  int64_t calls = 0, items = 0, total_ns = 0;
};

class Executable {
 public:
  virtual ~Executable() = default;
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }

  // Inputs of kind None stay absent. The values are kept until the next bind.
  virtual Result<void> bind(std::vector<HostValue> inputs) = 0;
  virtual Result<void> run() = 0;
  virtual Result<std::vector<HostValue>> fetch() = 0;   // the outputs of the last run
  virtual std::vector<KernelTime> profile() const { return {}; }             // where asked for
  virtual std::vector<KernelPlacement> placement() const { return {}; }
  virtual std::vector<int64_t> kernel_weights() const { return {}; }  // bytes of constants; empty: not recorded
  virtual int threads() const { return 1; }
  virtual std::string description() const = 0;  // "interpreter", "x86-64-v4, 2 threads"

  Result<std::vector<HostValue>> call(std::vector<HostValue> inputs);  // bind, run, fetch

 protected:
  std::vector<Port> inputs_, outputs_;
};

enum class Backend { Interpreter, Llvm, OpenCl };
const char* backend_name(Backend);

struct LoadOptions {
  Backend backend = Backend::Interpreter;
  std::vector<std::string> targets = {"host"};
  std::string runner;  // a command that runs what is compiled (external.cpp); empty: this process
  std::map<std::string, int64_t> dims;  // fixes named dims
  bool freeze_inputs = false;  // inputs whose contents the model has are constants
  DType precision = DType::F32;  // of what is compiled: PipelineOptions
  bool lower_logits = false;
  CheckOptions checks;  // of what is compiled, and of the session that runs it
  int threads = 0;  // of a run; 0: all
  int jobs = 0;  // of a compilation; 0: one per processor
  bool profile = false;
  double memory_limit_gib = 0;  // of a run of compiled code; 0: none
  double time_limit_s = 0;
};

// What a compilation takes from these options.
PipelineOptions pipeline_of(const LoadOptions&);

// A .onnx file, as these options want it imported.
ModelSource source_of(const std::string& path, const LoadOptions&);

Result<std::unique_ptr<Executable>> make_executable(ModelSource, const LoadOptions&);
// Of a .onnx (compiled in memory, or interpreted) or a .ingot file; errors name the file.
Result<std::unique_ptr<Executable>> load_executable(const std::string& path, const LoadOptions&);

Result<std::unique_ptr<Executable>> make_interpreter(Graph graph);
// Compiled for the targets, run by the command `runner`.
Result<std::unique_ptr<Executable>> make_external(ModelSource, const LoadOptions&);
// A compiled file, on disk or in memory (copied).
Result<std::unique_ptr<Executable>> load_compiled(const std::string& path, const LoadOptions&);
Result<std::unique_ptr<Executable>> load_compiled_memory(std::span<const uint8_t> bytes, const LoadOptions&);

// Checks number, kinds, dtypes and dims of inputs against the ports; named dims must agree with each other. A tensor of one
// element becomes the scalar that a port wants: many models are fed so, since other runtimes do not check scalars.
Result<void> check_inputs(const std::vector<Port>&, std::vector<HostValue>&);

}  // namespace ingot::driver
