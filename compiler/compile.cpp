// See compile.h.
#include "compiler/compile.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "compiler/model_file.h"
#include "compiler/schedule_record.h"
#include "compiler/targets.h"

namespace ingot {

namespace {

bool is_device(const Target& t) { return t.kernels != Target::Kernels::Native; }

// The best image is that of the latest entry in the table, in whatever order the targets were asked for.
int priority_of(const Target& t) { return static_cast<int>(&t - all_targets().data()); }

// The sections of weights in the file so far. Images of processors share one; a device is sent its own as a whole.
struct WeightsOfFile {
  WeightsSection shared;
  int shared_index = -1;  // in the file; -1: none yet
};

TargetStatistics statistics_of(const Compilation& c) {
  TargetStatistics s;
  s.target = c.target->name;
  s.kernels = c.loops.kernels.size();
  s.weight_bytes = c.loops.shared_weights + static_cast<int64_t>(c.loops.weights.size());
  s.code_bytes = c.image.code_bytes;
  s.arena_bytes = c.loops.arena_bytes.constant().value_or(-1);
  s.arena_lower_bound = c.loops.arena_lower_bound;
  s.precision = c.precision;
  for (const PassTime& t : c.times) (t.makes == Level::Image ? s.codegen_s : s.schedule_s) += t.seconds;
  return s;
}

// What the passes made for one target becomes an image of the file. `operators`: of the model's nodes, by name.
void add_image(CompiledModel& model, Compilation c, const std::map<std::string, std::string>& operators,
               WeightsOfFile& weights) {
  const Target& t = *c.target;
  model.targets.push_back(statistics_of(c));
  model.programs.push_back(std::move(c.loops));
  model.code.push_back(std::move(c.image.elf));
  const l::Program& program = model.programs.back();
  ModelFile::Image out;
  out.opencl_source = std::move(c.opencl_source);
  out.target = t.name;
  out.features = t.features;
  out.elf = model.code.back();
  out.arena_bytes = model.targets.back().arena_bytes;
  out.priority = priority_of(t);
  for (const std::string& name : program.origins) {
    const auto op = operators.find(name);
    out.nodes.push_back({name, op == operators.end() ? "" : op->second});
  }
  out.kernels = kernel_table(program);
  out.messages = program.messages;
  if (model.targets.back().weight_bytes > 0) {
    int own = -1;
    int& index = is_device(t) ? own : weights.shared_index;
    if (index < 0) {
      index = static_cast<int>(model.file.weights.size());
      model.file.weights.emplace_back();
    }
    out.weights = index;
    if (!program.weights.empty()) model.file.weights[static_cast<size_t>(index)].pieces.push_back(program.weights);
    if (!is_device(t)) weights.shared.add(program);
  }
  model.file.images.push_back(std::move(out));
}

void describe_interface(CompiledModel& model, const Graph& graph) {
  ModelFile& file = model.file;
  file.name = graph.name;
  file.producer = "ingot " INGOT_VERSION_TEXT;
  for (const Value* v : graph.body.inputs) {
    file.inputs.push_back(port_of(*v));
    file.inputs.back().may_be_absent = may_stay_unset(*v);
    if (!v->fallback) continue;
    const TensorData& t = *v->fallback;
    file.inputs.back().contents = {t.dims, {t.bytes, static_cast<size_t>(t.size_bytes)}};
    model.defaults.push_back(v->fallback);
  }
  for (const Value* v : graph.body.outputs) file.outputs.push_back(port_of(*v));
  file.symbols = symbol_table(graph);
}

// For people and tools; the runtime reads none of it.
std::string manifest_of(const CompiledModel& model, const std::vector<const Target*>& targets,
                        const PipelineOptions& options) {
  const bool small = options.optimize_for == OptimizeFor::Size;
  nlohmann::ordered_json manifest{{"disabled_passes", options.disabled},
                                  {"optimize", small ? "size" : "speed"},
                                  {"targets", nlohmann::ordered_json::array()}};
  if (options.checks.bounds) manifest["check_bounds"] = true;
  if (options.checks.poison) manifest["poison"] = *options.checks.poison;
  if (options.precision != DType::F32) manifest["precision"] = std::string(name(options.precision));
  for (size_t k = 0; k < targets.size(); ++k) {
    const TargetStatistics& t = model.targets[k];
    manifest["targets"].push_back(
        {{"name", t.target}, {"kernels", t.kernels}, {"code_bytes", t.code_bytes}, {"weight_bytes", t.weight_bytes}});
    if (t.arena_lower_bound >= 0) manifest["targets"].back()["arena_lower_bound"] = t.arena_lower_bound;
    if (!small) manifest["targets"].back()["schedules"] = schedules_json(model.programs[k], *targets[k]);
  }
  return manifest.dump();
}

}  // namespace

Result<Graph> import_model(ModelSource source) {
  Compilation c({}, std::move(source));
  TRY(run_passes(c, Scope::Model, "fix-dims"));
  return std::move(c.graph);
}

Result<std::unique_ptr<CompiledModel>> compile_model(ModelSource source, const CompileModelOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  auto say = [&](const std::string& line) {
    if (options.progress) options.progress(line);
  };
  const std::vector<const Target*> targets = TRY(targets_named(options.targets));
  auto model = std::make_unique<CompiledModel>();
  Compilation c(options.pipeline, std::move(source));
  c.code = {options.jobs > 0 ? options.jobs : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())),
            options.debug_names, options.plain_code};
  say("importing");
  TRY(run_passes(c, Scope::Model, "fix-dims"));
  std::map<std::string, std::string> operators;
  for_each_node(c.graph.body, [&](const Node& n) {
    ++model->nodes;
    operators[n.name] = n.source.substr(0, n.source.find(','));
  });
  say("optimising");
  TRY(run_passes(c, Scope::Model));
  model->stages = c.kernels.body.stages.size();
  // The file refers to their bytes.
  model->programs.reserve(targets.size());
  model->code.reserve(targets.size());
  WeightsOfFile weights;
  for (const Target* t : targets) {
    say(fmt::format("compiling for {}", t->name));
    Compilation image = c.for_target(*t);
    image.shared_weights = is_device(*t) ? nullptr : &weights.shared;
    TRY(run_passes(image, Scope::Target));
    add_image(*model, std::move(image), operators, weights);
  }
  describe_interface(*model, c.graph);
  model->file.manifest = manifest_of(*model, targets, options.pipeline);
  model->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return model;
}

}  // namespace ingot
