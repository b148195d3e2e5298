// `ingot compile` and `ingot targets`.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compiler/compile.h"
#include "runtime/cpu.h"
#include "tools/driver/commands.h"
#include "tools/driver/files.h"
#include "tools/driver/schedules.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;

struct Summary {
  size_t kernels = 0;                              // of the image that has most
  int64_t weight_bytes = 0, code_bytes = 0;
  int64_t arena_bytes = 0, arena_lower_bound = -1;  // the largest; -1: known when run
  std::string targets;
};

Summary summarize(const CompiledModel& model) {
  Summary s;
  for (const auto& w : model.file.weights) {
    for (const auto& piece : w.pieces) s.weight_bytes += static_cast<int64_t>(piece.size());
  }
  for (const TargetStatistics& t : model.targets) {
    s.kernels = std::max(s.kernels, t.kernels);
    if (s.arena_bytes >= 0 && (t.arena_bytes < 0 || t.arena_bytes >= s.arena_bytes))
      s.arena_bytes = t.arena_bytes, s.arena_lower_bound = t.arena_lower_bound;
    s.code_bytes += t.code_bytes;
    s.targets += (s.targets.empty() ? "" : ", ") + t.target;
  }
  return s;
}

// Of this process so far. Not by getrusage alone: what a process held before it became this one counts there.
int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

using PassTimes = std::vector<std::pair<std::string, double>>;

// One line where all targets agree.
void print_precision(const CompiledModel& model) {
  auto text = [](const TargetStatistics& t) { return t.precision.text(); };
  if (model.targets.front().precision.type == DType::F32) return;
  const bool agree = std::all_of(model.targets.begin(), model.targets.end(),
                                 [&](const TargetStatistics& t) { return text(t) == text(model.targets.front()); });
  if (agree) return fmt::print("  precision    {}\n", text(model.targets.front()));
  for (const TargetStatistics& t : model.targets) fmt::print("  precision    {}: {}\n", t.target, text(t));
}

void print_summary(const CompileCommand& options, const CompiledModel& model) {
  const Summary s = summarize(model);
  fmt::print("{}: {} ({})\n", options.output, bytes_text(file_bytes(options.output)), s.targets);
  fmt::print("  ops          {}\n  kernels      {}\n  weights      {}\n  arena        {}\n  code         {}\n",
             model.nodes, s.kernels, bytes_text(s.weight_bytes), arena_text(s.arena_bytes, s.arena_lower_bound),
             bytes_text(s.code_bytes));
  print_precision(model);
  fmt::print("  time         {}\n  peak memory  {}\n", duration_text(model.seconds), bytes_text(peak_memory_bytes()));
}

void print_json(const CompileCommand& options, const CompiledModel& model, const PassTimes& passes) {
  const Summary s = summarize(model);
  Json j{{"model", options.model}, {"output", options.output}, {"file_bytes", file_bytes(options.output)},
         {"ops", model.nodes},     {"kernels", s.kernels},     {"weight_bytes", s.weight_bytes}};
  j["arena_bytes"] = s.arena_bytes < 0 ? Json(nullptr) : Json(s.arena_bytes);
  j["arena_lower_bound"] = s.arena_lower_bound < 0 ? Json(nullptr) : Json(s.arena_lower_bound);
  j["code_bytes"] = s.code_bytes, j["seconds"] = model.seconds, j["peak_memory_bytes"] = peak_memory_bytes();
  j["targets"] = Json::array(), j["passes"] = Json::array();
  for (const TargetStatistics& t : model.targets) {
    Json row{{"name", t.target},
             {"kernels", t.kernels},
             {"code_bytes", t.code_bytes},
             {"schedule_s", t.schedule_s},
             {"codegen_s", t.codegen_s}};
    if (t.precision.type != DType::F32)
      row["precision"] = {{"type", std::string(name(t.precision.type))},
                          {"sums", t.precision.sums},
                          {"lowered", t.precision.lowered},
                          {"weights", t.precision.weights},
                          {"in_f32", t.precision.kept}};
    j["targets"].push_back(std::move(row));
  }
  for (const auto& [name, seconds] : passes) j["passes"].push_back({{"name", name}, {"seconds", seconds}});
  fmt::print("{}\n", j.dump(1));
}

// Writes one stage, or the image of one target, instead of a file for the runtime.
Result<void> emit(const CompileCommand& options) {
  ModelSource source = source_of(options.model, options.load);
  LoadOptions load = options.load;
  if (load.targets.empty()) load.targets = {"host"};
  PipelineOptions pipeline = pipeline_of(options.load);
  pipeline.disabled = options.disabled_passes;
  pipeline.optimize_for = options.optimize_for;
  if (options.emit != "so")
    return write_file(options.output, TRY(stage_text(std::move(source), options.emit, load, pipeline)));
  if (load.targets.size() != 1) return invalid("--emit so is of one target, got {}", load.targets.size());
  CompileModelOptions settings;
  settings.targets = load.targets;
  settings.jobs = options.jobs;
  settings.debug_names = true;
  settings.pipeline = pipeline;
  const auto model = TRY(compile_model(std::move(source), settings));
  const auto& elf = model->code.front();
  return write_file(options.output, {reinterpret_cast<const char*>(elf.data()), elf.size()});
}

}  // namespace

Result<void> compile(const CompileCommand& options) {
  if (ends_with(options.model, ".ingot"))
    return invalid("got the compiled file {}, expected a .onnx file", options.model);
  if (!options.emit.empty()) return emit(options);
  Progress progress;
  const double start = now_seconds();
  PassTimes passes;
  CompileModelOptions settings;
  settings.targets = options.load.targets;
  if (options.load.backend == Backend::OpenCl) settings.targets = {"opencl"};
  settings.jobs = options.jobs;
  settings.progress = [&](const std::string& line) { progress.show(line); };
  settings.pipeline = pipeline_of(options.load);
  settings.pipeline.disabled = options.disabled_passes;
  settings.pipeline.optimize_for = options.optimize_for;
  settings.pipeline.after = [&](std::string_view pass, double seconds, const std::function<std::string()>& text) {
    passes.emplace_back(pass, seconds);
    if (options.dump_after == "all" || options.dump_after == pass) fmt::print(stderr, "# after {}\n{}\n", pass, text());
  };
  const auto compiled = TRY(compile_model(source_of(options.model, options.load), settings));
  progress.show("writing " + options.output);
  TRY(write_ingot(options.output, compiled->file));
  progress.clear();
  compiled->seconds = now_seconds() - start;
  if (options.json) print_json(options, *compiled, passes);
  else print_summary(options, *compiled);
  return {};
}

namespace {

// What runs an image of another machine here, if anything.
std::string emulator_of(Arch arch) {
  const char* names[] = {"qemu-x86_64", "qemu-aarch64"};
  const std::string name = names[arch == Arch::X86_64 ? 0 : 1];
  for (const char* dir : {"/usr/bin/", "/usr/local/bin/"})
    if (is_file(dir + name)) return dir + name;
  return "";
}

struct Row {
  std::string name, machine, vectors, runs, evidence;
};

Row row_of(const Target& t, bool is_default) {
  const bool x86 = t.arch == Arch::X86_64;
  Row row{std::string(t.name) + (is_default ? " *" : ""), x86 ? "x86-64" : "AArch64",
          fmt::format("{} x {} bit", t.vector_registers, t.vector_bits), "", ""};
  if (t.arch != host_arch()) {
    const std::string emulator = emulator_of(t.arch);
    row.runs = emulator.empty() ? "no" : "emulated";
    row.evidence = emulator.empty() ? "another architecture, and no qemu-user" : emulator;
    return row;
  }
  if (t.kernels == Target::Kernels::OpenCl) {
    row.vectors = "the device's";
    row.runs = "on a device";
    row.evidence = "kernels in OpenCL C, for the device of an OpenCL platform";
    return row;
  }
  const uint64_t lacking = t.features & ~ingot_cpu_features();
  char text[512] = "";
  ingot_cpu_feature_text(ingot_cpu_machine(), lacking, text, sizeof text);
  const bool granted = lacking || ingot_cpu_enable(t.features) == 0;
  row.runs = lacking || !granted ? "no" : "yes";
  row.evidence = lacking    ? fmt::format("this CPU lacks {}", text)
                 : !granted ? "the operating system refuses the use of AMX tiles"
                            : fmt::format("this CPU has {}", t.feature_names());
  return row;
}

}  // namespace

Result<void> targets(const TargetsOptions& options) {
  const std::vector<const Target*> defaults = default_targets(host_arch());
  Json list = Json::array();
  std::string text =
      fmt::format("{:<18} {:<8} {:<14} {:<9} {}\n", "target", "machine", "vectors", "runs here", "evidence");
  for (const Target& t : all_targets()) {
    if (find_target(t.name) != &t) continue;  // of the other architecture, under the same name
    const bool is_default = std::find(defaults.begin(), defaults.end(), &t) != defaults.end();
    const Row row = row_of(t, is_default);
    list.push_back({{"name", std::string(t.name)},
                    {"machine", row.machine},
                    {"vector_bits", t.vector_bits},
                    {"vector_registers", t.vector_registers},
                    {"default", is_default},
                    {"runs_here", row.runs},
                    {"evidence", row.evidence}});
    text += fmt::format("{:<18} {:<8} {:<14} {:<9} {}\n", row.name, row.machine, row.vectors, row.runs, row.evidence);
  }
  if (options.json) fmt::print("{}\n", list.dump(1));
  else fmt::print("{}\n* compiled for when no --target is given; --target host is {}\n", text, host_target().name);
  return {};
}

}  // namespace ingot::driver
