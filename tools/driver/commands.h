// What the subcommands of `ingot` do; tools/ingot.cpp parses their flags into these. Each prints its result to standard
// output. The error of a Result is the input's fault (exit 1).
#pragma once

#include "compiler/pipeline.h"
#include "tools/driver/compare.h"
#include "tools/driver/executable.h"
#include "tools/driver/inputs.h"

namespace ingot::driver {

struct RunOptions {
  std::string model;
  LoadOptions load;
  InputOptions inputs;
  std::string output_dir;  // empty: the outputs are printed only
  int top = 0;  // print the TOP largest elements of each output's rows
  std::string labels_path;  // one label a line, for --top
  bool json = false;
};
Result<void> run(const RunOptions&);

struct DiffOptions {
  std::string model;
  LoadOptions load;  // of the side that is compared against the interpreter
  InputOptions inputs;
  Tolerance tolerance;
  bool json = false;
};
// True where every output agrees.
Result<bool> diff(const DiffOptions&);

struct InspectOptions {
  std::string file;
  std::string stage;  // empty: graph of a model, file of a compiled file
  LoadOptions load;
  InputOptions inputs;
  bool measure = false;  // stage schedules: with the times of a run
  bool json = false;
};
Result<void> inspect(const InspectOptions&);

// A model at one stage, as text: import, graph, kernels, schedules, loops, llvm, asm, opencl. The last five are of one target;
// loops are those before legalisation, or, where checks are asked for, the checked ones.
Result<std::string> stage_text(ModelSource, const std::string& stage, const LoadOptions&, const PipelineOptions& = {});
const std::vector<std::string>& stage_names();  // what inspect shows

struct BenchOptions {
  std::string model;
  LoadOptions load;
  InputOptions inputs;
  double min_time_s = 1;
  int min_runs = 10;
  bool per_kernel = false;
  bool json = false;
};
Result<void> bench(const BenchOptions&);

struct CompileCommand {
  std::string model, output;
  LoadOptions load;
  std::string emit;  // empty: an ingot file; so: the image of one target; otherwise a stage as text
  std::vector<std::string> disabled_passes;
  OptimizeFor optimize_for = OptimizeFor::Speed;
  std::string dump_after;
  int jobs = 0;
  bool json = false;
};
Result<void> compile(const CompileCommand&);

struct TargetsOptions {
  bool json = false;
};
Result<void> targets(const TargetsOptions&);

}  // namespace ingot::driver
