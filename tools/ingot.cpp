// The command line of `ingot`: flags in, exit status out. What the subcommands do is in tools/driver/.
//
// Exit status: 0 fine; 1 the input is at fault, or a test failed; 2 wrong usage.
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "compiler/compile.h"
#include "compiler/pipeline.h"
#include "compiler/targets.h"
#include "tools/driver/commands.h"
#include "tools/driver/conformance.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace {

using namespace ingot;
using namespace ingot::driver;

constexpr int kInputAtFault = 1, kWrongUsage = 2;
constexpr int kLabelled = 5;  // largest elements that `run --labels` prints by itself

// A wrong use that the parser does not see.
struct Usage {
  std::string message;
};

int fail(const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "error: {}\n", error_text(error.message));
  return kInputAtFault;
}
int status_of(const Result<void>& result) { return result ? 0 : fail(result.error()); }
int status_of(const Result<bool>& result) { return result ? (*result ? 0 : kInputAtFault) : fail(result.error()); }

// Flags that several subcommands share, as text until they are checked.
struct Shared {
  std::string backend, target = "host", tolerance = "auto", precision = "f32";
  bool lower_logits = false, check_bounds = false;
  std::optional<uint64_t> poison;
  std::vector<std::string> dims;
  bool freeze_inputs = false;
  std::optional<double> rtol, atol;
  double memory_limit_gib = 0, time_limit_s = 0;
};

Backend backend_of(const std::string& name) {
  for (Backend b : {Backend::Interpreter, Backend::Llvm, Backend::OpenCl})
    if (name == backend_name(b)) return b;
  throw Usage{fmt::format("--backend: got '{}', expected interpreter, llvm or opencl", name)};
}

std::map<std::string, int64_t> dims_of(const std::vector<std::string>& texts) {
  std::map<std::string, int64_t> dims;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    int64_t value = -1;
    char rest = 0;
    if (equals == std::string::npos || equals == 0 ||
        std::sscanf(text.c_str() + equals + 1, "%ld%c", &value, &rest) != 1 || value < 0)
      throw Usage{fmt::format("--dim: got '{}', expected NAME=EXTENT, as in batch=8", text)};
    dims[text.substr(0, equals)] = value;
  }
  return dims;
}

Tolerance tolerance_of(const Shared& shared) {
  Tolerance t;
  const auto profile = tolerance_named(shared.tolerance);
  if (!profile)
    throw Usage{fmt::format("--tolerance: got '{}', expected auto, node, model, topology or argmax", shared.tolerance)};
  t.profile = *profile;
  t.rtol = shared.rtol, t.atol = shared.atol;
  return t;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

void read_precision(const Shared& shared, LoadOptions& load) {
  if (shared.precision == "bf16") load.precision = DType::BF16;
  else if (shared.precision == "f16") load.precision = DType::F16;
  else if (shared.precision != "f32")
    throw Usage{fmt::format("--precision: got '{}', expected f32, bf16 or f16", shared.precision)};
  load.lower_logits = shared.lower_logits;
  if (shared.lower_logits && load.precision == DType::F32)
    throw Usage{"--lower-logits: expected --precision bf16 or f16"};
  if (load.precision != DType::F32 && load.backend == Backend::Interpreter)
    throw Usage{fmt::format("--precision: got '{}' with --backend interpreter, which is the reference in f32",
                            shared.precision)};
}

void refuse_precision(const Shared& shared, const std::string& model) {
  if (shared.precision != "f32" && ends_with(model, ".ingot"))
    throw Usage{
        fmt::format("--precision: got '{}' for the compiled file {}, expected a .onnx file", shared.precision, model)};
}

void refuse_backend(const Shared& shared, const std::string& model) {
  if (!shared.backend.empty() && ends_with(model, ".ingot"))
    throw Usage{
        fmt::format("--backend: got '{}' for the compiled file {}, expected a .onnx file", shared.backend, model)};
}

LoadOptions load_of(const Shared& shared, const std::string& default_backend) {
  LoadOptions load;
  load.backend = backend_of(shared.backend.empty() ? default_backend : shared.backend);
  load.targets = split(shared.target);
  if (load.targets.empty()) throw Usage{fmt::format("--target: got '{}', expected names", shared.target)};
  if (auto known = targets_named(load.targets); !known) throw Usage{"--target: " + known.error().message};
  load.dims = dims_of(shared.dims);
  load.freeze_inputs = shared.freeze_inputs;
  read_precision(shared, load);
  load.checks = {shared.check_bounds, shared.poison};
  if (load.checks.any() && load.backend == Backend::Interpreter)
    throw Usage{"--check-bounds, --poison: got --backend interpreter, expected one that compiles"};
  load.memory_limit_gib = shared.memory_limit_gib, load.time_limit_s = shared.time_limit_s;
  return load;
}

// Checks of numbers, with messages that say what was got.
CLI::Validator at_least_0(bool not_0 = false) {
  return CLI::Validator(
      [not_0](std::string& text) -> std::string {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        if (end != text.c_str() && !*end && value >= 0 && std::isfinite(value) && !(not_0 && value == 0)) return "";
        return fmt::format("got '{}', expected a number {} 0", text, not_0 ? "above" : "of at least");
      },
      "");
}
CLI::Validator integer_in(uint64_t low, uint64_t high) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        uint64_t value = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (failed == std::errc() && end == text.data() + text.size() && value >= low && value <= high) return "";
        return fmt::format("got '{}', expected an integer from {} to {}", text, low, high);
      },
      "");
}

void add_backend(CLI::App* command, Shared& shared, const char* otherwise) {
  command->add_option("--backend", shared.backend, fmt::format("interpreter, llvm or opencl (default: {})", otherwise));
}
void add_precision(CLI::App* command, Shared& shared) {
  command
      ->add_option(
          "--precision", shared.precision,
          "f32, bf16 or f16: what the operands of sums of products are rounded to, where the target gains by it; "
          "sums stay f32 (default: f32)")
      ->type_name("TYPE");
  command->add_flag("--lower-logits", shared.lower_logits, "the last sums before an output as well");
}
// Of code that proves itself, for tests of the compiler.
void add_checks(CLI::App* command, Shared& shared) {
  command->add_flag("--check-bounds", shared.check_bounds,
                    "every access of compiled code is compared with its buffer, which lies between unreadable pages");
  command
      ->add_option("--poison", shared.poison,
                   "memory begins with a pattern made of this seed, with canaries beside it: two seeds must give the "
                   "same results")
      ->type_name("SEED");
}
// For models from strangers, whose loops and sizes nobody has looked at.
void add_limits(CLI::App* command, Shared& shared) {
  command->add_option("--memory-limit", shared.memory_limit_gib, "GiB that a run may take (default: no limit)")
      ->check(CLI::Range(1e-6, 1e6))
      ->type_name("GIB");
  command->add_option("--time-limit", shared.time_limit_s, "seconds that a run may take (default: no limit)")
      ->check(CLI::Range(1e-3, 1e9))
      ->type_name("S");
}
void add_dims(CLI::App* command, Shared& shared) {
  command->add_option("--dim", shared.dims, "fix a named dimension, as in --dim batch=8; may be repeated")
      ->type_name("NAME=EXTENT");
  command->add_flag("--freeze-inputs", shared.freeze_inputs,
                    "of a .onnx file: initializers that are inputs too are constants, and no inputs");
}
void add_inputs(CLI::App* command, InputOptions& inputs) {
  command->add_option("--input", inputs.files, "an input from a .npy or .pb file; may be repeated")
      ->type_name("NAME=FILE");
  command->add_option("--data", inputs.data_dir, "inputs from a backend test's directory (input_0.pb, ...)")
      ->type_name("DIR");
  command->add_option("--random-inputs", inputs.random_seed, "fill the other inputs with random numbers of this seed")
      ->type_name("SEED")
      ->check(integer_in(0, UINT64_MAX));
}
void add_tolerance(CLI::App* command, Shared& shared) {
  command->add_option(
      "--tolerance", shared.tolerance,
      "node: 1e-7 + 1e-3 |g| per element; model: 1e-3 |g| + 1e-3 max|g|, 4 % of the range where quantized; "
      "topology: 1e-2 |g| + 1e-3 std(g); argmax; auto: model for test_data_set_ort_*, node for all others");
  command->add_option("--rtol", shared.rtol, "replaces the relative part of the tolerance")->check(at_least_0());
  command->add_option("--atol", shared.atol, "replaces the absolute part (its factor, for model and topology)")
      ->check(at_least_0());
}

// Examples end each subcommand's help.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  command->allow_extras();  // checked by refuse_extras, which knows the nearest flag
  return command;
}

void refuse_extras(const CLI::App& command) {
  const std::vector<std::string> extras = command.remaining();
  if (extras.empty()) return;
  const std::string& extra = extras.front();
  if (extra.size() < 2 || extra[0] != '-') throw Usage{fmt::format("unexpected argument '{}'", extra)};
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  const std::string near = nearest_name(extra.substr(0, extra.find('=')), flags);
  throw Usage{fmt::format("unknown flag {}{}", extra, near.empty() ? "" : ", did you mean " + near + "?")};
}

struct Command {
  CLI::App* app;
  std::function<int()> run;
};

void check_pass(const char* flag, const std::string& name, const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  const std::string near = nearest_name(name, names);
  throw Usage{fmt::format("{}: no pass '{}'{}; there are: {}", flag, name,
                          near.empty() ? "" : fmt::format(", did you mean '{}'", near), fmt::join(names, ", "))};
}
void check_passes(const CompileCommand& o) {
  for (const std::string& name : o.disabled_passes) check_pass("--disable-pass", name, pass_names());
  if (!o.dump_after.empty() && o.dump_after != "all") check_pass("--dump-after", o.dump_after, step_names());
}

int processors() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

Command run_command(CLI::App& app) {
  static RunOptions o;
  static Shared shared;
  CLI::App* c =
      add_command(app, "run", "run a model once", "ingot run model.ingot --input image=cat.npy --output-dir out");
  c->add_option("MODEL", o.model, "a .ingot file, or a .onnx file (compiled in memory)")->required();
  add_inputs(c, o.inputs);
  c->add_option("--output-dir", o.output_dir, "write each output as NAME.npy")->type_name("DIR");
  c->add_option("--top", o.top, "print the K largest elements of each row")->type_name("K")->check(integer_in(1, 1000));
  c->add_option("--labels", o.labels_path,
                fmt::format("names for --top, one a line; without it, of the {} largest", kLabelled))
      ->type_name("FILE");
  add_dims(c, shared);
  add_limits(c, shared);
  add_backend(c, shared, INGOT_DEFAULT_BACKEND);
  c->add_option(
      "--target", shared.target,
      "what to compile a .onnx file for (default: host), or which image of a .ingot file to use (default: the best)");
  c->add_option("--threads", o.load.threads, "threads at most (default: all)")->check(integer_in(1, 1024));
  c->add_flag("--json", o.json, "print JSON");
  add_precision(c, shared);
  add_checks(c, shared);
  return {c, [] {
            refuse_backend(shared, o.model);
            refuse_precision(shared, o.model);
            const int threads = o.load.threads;
            o.load = load_of(shared, INGOT_DEFAULT_BACKEND);
            o.load.threads = threads;
            o.inputs.dims = o.load.dims;
            if (!o.labels_path.empty() && o.top == 0) o.top = kLabelled;
            return status_of(run(o));
          }};
}

Command conformance_command(CLI::App& app) {
  static ConformanceOptions o;
  static Shared shared;
  static double memory_gib = 4;
  static std::string runner;
  CLI::App* c = add_command(app, "conformance", "run ONNX backend tests, each isolated",
                            "ingot conformance tests/node --filter '^test_conv' --jobs 4 --json results.json");
  c->add_option("DIR", o.dirs, "each directory below it that holds a model.onnx is a test, named by its path from DIR")
      ->required();
  add_backend(c, shared, INGOT_DEFAULT_BACKEND);
  o.worker.processes = processors();
  c->add_option("--jobs", o.worker.processes, "tests at a time (default: one per processor)")
      ->check(integer_in(1, 1024));
  c->add_option("--target", shared.target, "what to compile for (default: host)");
  c->add_option(
       "--runner", runner,
       "a command that runs the compiled model, for other machines: it is given MODEL.ingot IN0.npy ... -o DIR and writes DIR/OUT0.npy ... (tests/aarch64/runner.c)")
      ->type_name("COMMAND");
  c->add_option("--json", o.json_path, "write the results as JSON; '-': to standard output")->type_name("FILE");
  c->add_option("--filter", o.filter, "only tests whose name matches this regular expression")->type_name("RE");
  c->add_option("--timeout", o.worker.timeout_s, "seconds for one test (default: 60)")->check(at_least_0(true));
  c->add_option("--memory", memory_gib, "GiB that a worker may allocate (default: 4; 0: no limit)")
      ->check(at_least_0());
  c->add_option(
       "--known", o.known_paths,
       "lines 'TEST: reason': failures of these count as skipped; one that passes is an error; may be repeated")
      ->type_name("FILE");
  add_tolerance(c, shared);
  c->add_option("--same-as", o.same_as_path,
                "the JSON of an earlier run: outputs whose bytes differ from those there are wrong")
      ->type_name("FILE");
  c->add_flag("--kernels", o.kernels, "JSON tells the kernels of each test and where they ran");
  c->add_flag("--verbose", o.verbose, "list the tests that passed too");
  add_precision(c, shared);
  add_checks(c, shared);
  return {c, [] {
            o.load = load_of(shared, INGOT_DEFAULT_BACKEND);
            o.load.profile = o.kernels;
            o.load.runner = runner;
            if (!runner.empty() && o.load.backend != Backend::Llvm) throw Usage{"--runner: expected --backend llvm"};
            o.load.threads = 1;
            o.tolerance = tolerance_of(shared);
            o.worker.memory_bytes = static_cast<int64_t>(memory_gib * (1 << 30));
            return status_of(conformance(o));
          }};
}

Command inspect_command(CLI::App& app) {
  static InspectOptions o;
  static Shared shared;
  CLI::App* c = add_command(app, "inspect", "show any stage of a model, or what a compiled file holds",
                            "ingot inspect model.onnx --stage kernels");
  c->add_option("FILE", o.file, "a .onnx or a .ingot file")->required();
  c->add_option(
      "--stage", o.stage,
      "import, graph, kernels, schedules, loops, llvm, asm, opencl or file (default: graph of a model, file of a compiled file)");
  add_dims(c, shared);
  c->add_option("--target", shared.target, "what to compile for (default: host)");
  c->add_flag("--measure", o.measure,
              "run the model on random inputs, and say how long each kernel took (stage schedules)");
  c->add_option("--threads", o.load.threads, "threads at most, of --measure (default: all)")
      ->check(integer_in(1, 1024));
  c->add_flag("--json", o.json, "print JSON (stages file and schedules)");
  add_precision(c, shared);
  return {c, [] {
            const int threads = o.load.threads;
            o.load = load_of(shared, INGOT_DEFAULT_BACKEND);
            o.load.threads = threads;
            o.inputs.dims = o.load.dims;
            o.inputs.random_seed = 0;
            const bool of_file = o.stage.empty() ? !ends_with(o.file, ".onnx") : o.stage == "file";
            if (o.json && !of_file && o.stage != "schedules")
              throw Usage{"--json: expected --stage schedules, or a compiled file, which stage file is of"};
            if (o.measure && o.stage != "schedules") throw Usage{"--measure: expected --stage schedules"};
            const std::vector<std::string>& stages = stage_names();
            if (!o.stage.empty() && std::find(stages.begin(), stages.end(), o.stage) == stages.end()) {
              const std::string near = nearest_name(o.stage, stages);
              throw Usage{fmt::format("--stage: no stage '{}'{}; there are: {}", o.stage,
                                      near.empty() ? "" : fmt::format(", did you mean '{}'", near),
                                      fmt::join(stages, ", "))};
            }
            return status_of(inspect(o));
          }};
}

Command compile_command(CLI::App& app) {
  static CompileCommand o;
  static Shared shared;
  CLI::App* c = add_command(app, "compile", "compile a model to one file",
                            "ingot compile model.onnx -o model.ingot --target x86-64-v3,aarch64 --dim batch=8");
  c->add_option("MODEL", o.model, "a .onnx file")->required();
  c->add_option("-o,--output", o.output, "the file to write")->required()->type_name("FILE");
  c->add_option(
       "--target", shared.target,
       "names, separated by commas; host: this machine (default: a set for this architecture, see `ingot targets`)")
      ->type_name("NAME[,NAME...]");
  c->add_option(
       "--emit", o.emit,
       "instead of a compiled file: so (the image of one target), or a stage as text: import, graph, kernels, schedules, loops, llvm, asm, opencl")
      ->type_name("KIND");
  add_dims(c, shared);
  c->add_option("--backend", shared.backend, "llvm or opencl (default: llvm)");
  c->add_option("--jobs", o.jobs, "threads (default: one per processor)")->check(integer_in(1, 1024));
  static std::string optimize = "speed";
  c->add_option("--optimize", optimize,
                "speed: forms of weights that save time may take half as much again; size: none (default: speed)")
      ->type_name("GOAL");
  c->add_option("--disable-pass", o.disabled_passes, "leave this pass out; may be repeated")->type_name("PASS");
  c->add_option("--dump-after", o.dump_after, "print what this pass made to stderr; all: after each")
      ->type_name("PASS");
  c->add_flag("--json", o.json, "print the summary as JSON");
  add_precision(c, shared);
  add_checks(c, shared);
  return {
      c, [c] {
        o.load = load_of(shared, "llvm");
        if (c->count("--target") == 0) o.load.targets.clear();
        check_passes(o);
        if (optimize != "speed" && optimize != "size")
          throw Usage{fmt::format("--optimize: got '{}', expected speed or size", optimize)};
        if (o.output.empty()) throw Usage{"--output: got '', expected the name of a file"};
        if (o.load.backend == Backend::Interpreter)
          throw Usage{"--backend: got 'interpreter', expected llvm or opencl"};
        if (o.load.backend == Backend::OpenCl && !o.load.targets.empty() && c->count("--target") > 0)
          throw Usage{"--target: got a target of --backend llvm with --backend opencl"};
        o.optimize_for = optimize == "size" ? OptimizeFor::Size : OptimizeFor::Speed;
        const std::vector<std::string> kinds = {"",          "so",    "import", "graph", "kernels",
                                                "schedules", "loops", "llvm",   "asm",   "opencl"};
        if (std::find(kinds.begin(), kinds.end(), o.emit) == kinds.end())
          throw Usage{fmt::format(
              "--emit: got '{}', expected so, import, graph, kernels, schedules, loops, llvm, asm or opencl", o.emit)};
        return status_of(compile(o));
      }};
}

Command bench_command(CLI::App& app) {
  static BenchOptions o;
  static Shared shared;
  CLI::App* c = add_command(app, "bench", "measure latency, throughput, load time and memory",
                            "ingot bench model.ingot --threads 1 --per-kernel");
  c->add_option("MODEL", o.model, "a .ingot file, or a .onnx file (compiled in memory)")->required();
  add_inputs(c, o.inputs);
  add_dims(c, shared);
  add_limits(c, shared);
  add_backend(c, shared, INGOT_DEFAULT_BACKEND);
  c->add_option(
      "--target", shared.target,
      "what to compile a .onnx file for (default: host), or which image of a .ingot file to use (default: the best)");
  c->add_option("--threads", o.load.threads, "threads at most (default: all)")->check(integer_in(1, 1024));
  c->add_option("--min-time", o.min_time_s, "seconds to measure for, at least (default: 1)")->check(at_least_0());
  c->add_flag("--per-kernel", o.per_kernel,
              "a table of kernels: time, GFLOP/s, GB/s, share of this machine's measured peak");
  c->add_flag("--json", o.json, "print JSON");
  add_precision(c, shared);
  add_checks(c, shared);
  return {c, [] {
            refuse_backend(shared, o.model);
            refuse_precision(shared, o.model);
            const int threads = o.load.threads;
            o.load = load_of(shared, INGOT_DEFAULT_BACKEND);
            o.load.threads = threads;
            o.inputs.dims = o.load.dims;
            if (!o.inputs.random_seed) o.inputs.random_seed = 0;
            return status_of(bench(o));
          }};
}

Command diff_command(CLI::App& app) {
  static DiffOptions o;
  static Shared shared;
  CLI::App* c =
      add_command(app, "diff", "compare compiled code with the reference, and find the first node that differs",
                  "ingot diff model.onnx --data test_data_set_0");
  c->add_option("MODEL", o.model, "a .onnx file")->required();
  add_inputs(c, o.inputs);
  add_dims(c, shared);
  add_backend(c, shared, "llvm");
  c->add_option("--target", shared.target, "what to compile for (default: host)");
  add_tolerance(c, shared);
  c->add_flag("--json", o.json, "print JSON");
  add_precision(c, shared);
  add_checks(c, shared);
  return {c, [] {
            o.load = load_of(shared, "llvm");
            o.inputs.dims = o.load.dims;
            if (!o.inputs.random_seed) o.inputs.random_seed = 0;
            o.tolerance = tolerance_of(shared);
            return status_of(diff(o));
          }};
}

Command targets_command(CLI::App& app) {
  static TargetsOptions o;
  CLI::App* c = add_command(app, "targets", "the machines that models can be compiled for, and which can run here",
                            "ingot targets --json");
  c->add_flag("--json", o.json, "print JSON");
  return {c, [] { return status_of(targets(o)); }};
}

int dispatch(int argc, char** argv) {
  CLI::App app{"Compiles trained models (ONNX) to native code, and runs them.", "ingot"};
  app.require_subcommand(1);
  app.set_version_flag("--version", INGOT_VERSION_TEXT);
  app.failure_message(CLI::FailureMessage::simple);
  const std::vector<Command> commands = {compile_command(app), run_command(app),  bench_command(app),
                                         inspect_command(app), diff_command(app), conformance_command(app),
                                         targets_command(app)};
  app.footer("`ingot COMMAND --help` explains a command.");

  // CLI11 takes an unknown subcommand for an extra argument; the nearest name is worth more.
  std::vector<std::string> names;
  for (const Command& c : commands) names.push_back(c.app->get_name());
  if (argc > 1 && argv[1][0] == '-' && std::strcmp(argv[1], "-h") && std::strcmp(argv[1], "--help") &&
      std::strcmp(argv[1], "--version"))
    throw Usage{fmt::format("unknown flag {}, expected a command: {}", argv[1], fmt::join(names, ", "))};
  if (argc > 1 && argv[1][0] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end()) {
    const std::string near = nearest_name(argv[1], names);
    throw Usage{fmt::format("unknown command '{}'{}; there are: {}", argv[1],
                            near.empty() ? "" : fmt::format(", did you mean '{}'?", near), fmt::join(names, ", "))};
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    throw Usage{e.what()};
  }
  for (const Command& c : commands) {
    if (!c.app->parsed()) continue;
    refuse_extras(*c.app);
    return c.run();
  }
  return kWrongUsage;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
#ifdef M_MMAP_THRESHOLD
  // What a pass frees of large values goes back to the system at once. Weights are as large, nodes are not.
  constexpr int kLargeAllocation = 256 << 10;
  mallopt(M_MMAP_THRESHOLD, kLargeAllocation);
#endif
  try {
    const int status = dispatch(argc, argv);
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
    if (errno != EPIPE) fmt::print(stderr, "error: cannot write to standard output: {}\n", std::strerror(errno));
    return status ? status : kInputAtFault;
  } catch (const Usage& usage) {
    const bool is_command = argc > 1 && argv[1][0] != '-' && !usage.message.starts_with("unknown command");
    fmt::print(stderr, "error: {}\n  `ingot {}--help` explains the use\n", printable(usage.message),
               is_command ? std::string(argv[1]) + " " : "");
    return kWrongUsage;
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n", stderr);
    return kInputAtFault;
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return kInputAtFault;
  }
}
