// `ingot inspect`: the stages of a model on its way down, or what a compiled file holds.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "backends/llvm/emit.h"
#include "compiler/compile.h"
#include "compiler/schedule_record.h"
#include "compiler/targets.h"
#include "runtime/cpu.h"
#include "runtime/ingot.h"
#include "tools/driver/commands.h"
#include "tools/driver/files.h"
#include "tools/driver/schedules.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;
constexpr double kMeasureSeconds = 1;
constexpr int kMeasureRuns = 10;
const std::vector<std::string> kStages = {"import", "graph", "kernels", "schedules", "loops",
                                          "llvm",   "asm",   "opencl",  "file"};

Result<std::string> code_text(const l::Program& program, const Target& target, bool assembly, bool plain_code) {
  CompileOptions options;
  options.target = &target;
  options.plain_code = plain_code;
  const std::vector<std::string> texts = TRY(all_texts(program, options, assembly));
  std::string text;
  for (size_t k = 0; k < program.kernels.size(); ++k)
    text += fmt::format("{} {}: {}\n", assembly ? "#" : ";", k, program.kernels[k].name) + texts[k];
  return text + (assembly ? "# the host program\n" : "; the host program\n") + texts.back();
}

struct ModelHandle {
  ingot_model* model = nullptr;
  ~ModelHandle() { ingot_model_free(model); }
};

// The kernels of the image that runs here; empty where none does.
Json kernels_json(const std::string& path) {
  Json list = Json::array();
  ModelHandle handle;
  if (ingot_model_load(path.c_str(), nullptr, &handle.model) != INGOT_OK) return list;
  ingot_session_options options{};
  options.size_bytes = sizeof options;
  options.flags = INGOT_SESSION_PROFILE;
  ingot_session* session = nullptr;
  if (ingot_session_create(handle.model, &options, &session) != INGOT_OK) return list;
  const ingot_profile_entry* entries = nullptr;
  int32_t count = 0;
  if (ingot_session_profile(session, &entries, &count) == INGOT_OK)
    for (int32_t i = 0; i < count; ++i)
      list.push_back({{"name", printable(entries[i].kernel)},
                      {"node", printable(entries[i].node)},
                      {"schedule", printable(entries[i].schedule)},
                      {"flops", printable(entries[i].flops)},
                      {"bytes", printable(entries[i].bytes)}});
  ingot_session_free(session);
  return list;
}

// What the compiler wrote into the manifest: of the image that is asked for, or runs here, or is the first.
Result<Json> schedules_of_file(const std::string& path, const LoadOptions& load) {
  ModelHandle handle;
  ingot_load_options options{};
  options.size_bytes = sizeof options;
  options.flags = INGOT_LOAD_INSPECT;
  if (ingot_model_load(path.c_str(), &options, &handle.model) != INGOT_OK) return invalid("{}", ingot_last_error());
  std::string target = load.targets.empty() || load.targets[0] == "host" ? "" : load.targets[0];
  if (target.empty()) {
    ModelHandle best;
    if (ingot_model_load(path.c_str(), nullptr, &best.model) == INGOT_OK) target = ingot_model_target(best.model);
  }
  size_t size = 0;
  const char* text = ingot_model_manifest(handle.model, &size);
  const Json manifest = Json::parse(std::string(text, size), nullptr, false);
  std::vector<std::string> names;
  if (manifest.is_object() && manifest.contains("targets") && manifest["targets"].is_array()) {
    for (const Json& t : manifest["targets"]) {
      if (!t.is_object() || !t.contains("schedules") || !t["schedules"].is_object()) continue;
      names.push_back(t.contains("name") && t["name"].is_string() ? t["name"].get<std::string>() : "");
      if (target.empty() || names.back() == target) return t["schedules"];
    }
  }
  if (names.empty()) return invalid("got a file without a record of schedules, as --optimize size makes it");
  return invalid("got images for {}, expected one for {}", fmt::join(names, ", "), target);
}

// For one target, with the passes up to `last`.
Result<Compilation> compiled_until(ModelSource source, const std::string& stage, std::string_view last,
                                   const LoadOptions& load, const PipelineOptions& pipeline) {
  const std::vector<const Target*> targets = TRY(targets_named(load.targets));
  if (targets.size() != 1) return invalid("stage '{}' is of one target, got {}", stage, targets.size());
  Compilation model(pipeline, std::move(source));
  TRY(run_passes(model, Scope::Model));
  Compilation image = model.for_target(*targets[0]);
  TRY(run_passes(image, Scope::Target, last));
  return image;
}

// Of a model, or of a compiled file; measured where that is asked for.
Result<Json> schedules_of(const InspectOptions& options) {
  Json j;
  if (ends_with(options.file, ".onnx")) {
    const Compilation c = TRY(compiled_until(source_of(options.file, options.load), "schedules", "schedule",
                                             options.load, pipeline_of(options.load)));
    j = schedules_json(c.loops, *c.target);
  } else {
    j = TRY(schedules_of_file(options.file, options.load));
  }
  if (!options.measure) return j;
  LoadOptions load = options.load;
  load.backend = Backend::Llvm;
  auto executable = TRY(load_executable(options.file, load));
  const std::vector<HostValue> inputs = TRY(gather_inputs(executable->inputs(), options.inputs));
  executable = nullptr;
  add_measured(j, TRY(profile_kernels(options.file, load, inputs, kMeasureSeconds, kMeasureRuns)));
  return j;
}

Json port_json(const ingot_port& p) { return {{"name", printable(p.name)}, {"type", printable(p.type)}}; }

Json arena_lower_bound(const Json& manifest, const std::string& target) {
  if (!manifest.is_object() || !manifest.contains("targets") || !manifest["targets"].is_array()) return nullptr;
  for (const Json& t : manifest["targets"]) {
    if (!t.is_object() || !t.contains("name") || t["name"] != target || !t.contains("arena_lower_bound")) continue;
    if (t["arena_lower_bound"].is_number_integer()) return t["arena_lower_bound"];
  }
  return nullptr;
}

Result<Json> file_json(const std::string& path) {
  ModelHandle handle;
  ingot_load_options load{};
  load.size_bytes = sizeof load;
  load.flags = INGOT_LOAD_INSPECT | INGOT_LOAD_VERIFY_WEIGHTS;
  if (ingot_model_load(path.c_str(), &load, &handle.model) != INGOT_OK) return invalid("{}", ingot_last_error());
  const ingot_model* m = handle.model;
  Json j{{"file", path},
         {"bytes", file_bytes(path)},
         {"name", printable(ingot_model_name(m))},
         {"producer", printable(ingot_model_producer(m))}};
  j["inputs"] = Json::array(), j["outputs"] = Json::array(), j["images"] = Json::array();
  for (int32_t i = 0; i < ingot_model_input_count(m); ++i) j["inputs"].push_back(port_json(*ingot_model_input(m, i)));
  for (int32_t i = 0; i < ingot_model_output_count(m); ++i)
    j["outputs"].push_back(port_json(*ingot_model_output(m, i)));
  for (int32_t i = 0; i < ingot_model_image_count(m); ++i) {
    ingot_image_info info{};
    if (ingot_model_image(m, i, &info) != INGOT_OK) return invalid("{}", ingot_last_error());
    char features[1024] = "";
    ingot_cpu_feature_text(info.machine, info.features, features, sizeof features);
    j["images"].push_back({{"target", printable(info.target)},
                           {"opencl", info.kind == 2},
                           {"features", features},
                           {"arena_bytes", info.arena_bytes},
                           {"code_bytes", info.code_bytes},
                           {"weights_bytes", info.weights_bytes},
                           {"usable_here", info.usable != 0}});
  }
  for (int32_t i = 0;; ++i) {
    const char* value = nullptr;
    const char* key = ingot_model_metadata(m, i, &value);
    if (!key) break;
    j["metadata"][printable(key)] = printable(value);
  }
  j["kernels"] = kernels_json(path);
  size_t size = 0;
  const char* manifest = ingot_model_manifest(m, &size);
  j["manifest"] = Json::parse(std::string(manifest, size), nullptr, false);
  if (j["manifest"].is_discarded()) j["manifest"] = nullptr;
  for (Json& image : j["images"]) image["arena_lower_bound"] = arena_lower_bound(j["manifest"], image["target"]);
  return j;
}

std::string file_text(const Json& j) {
  std::string text =
      fmt::format("{}: model '{}' by {}, {}\n", j["file"].get<std::string>(), j["name"].get<std::string>(),
                  j["producer"].get<std::string>(), bytes_text(j["bytes"]));
  for (const char* kind : {"inputs", "outputs"}) {
    text += fmt::format("{}:\n", kind);
    for (const auto& p : j[kind])
      text += fmt::format("  {}: {}\n", p["name"].get<std::string>(), p["type"].get<std::string>());
  }
  text += "images:\n";
  for (const auto& i : j["images"]) {
    const auto arena = i["arena_bytes"].get<int64_t>();
    text +=
        fmt::format("  {}: code {}, weights {}, arena {}, {}; needs {}\n", i["target"].get<std::string>(),
                    bytes_text(i["code_bytes"]), bytes_text(i["weights_bytes"]),
                    arena_text(arena, i["arena_lower_bound"].is_null() ? -1 : i["arena_lower_bound"].get<int64_t>()),
                    i["usable_here"].get<bool>() ? "runs here" : "does not run here", i["features"].get<std::string>());
  }
  if (!j["kernels"].empty()) text += "kernels of the image used here:\n";
  for (const auto& k : j["kernels"])
    text += fmt::format("  {:<36} {:<24} {}\n", k["name"].get<std::string>(), k["node"].get<std::string>(),
                        k["schedule"].get<std::string>());
  if (j.contains("metadata"))
    for (const auto& [key, value] : j["metadata"].items())
      text += fmt::format("{}: {}\n", key, value.get<std::string>());
  return text;
}

}  // namespace

const std::vector<std::string>& stage_names() { return kStages; }

Result<std::string> stage_text(ModelSource source, const std::string& stage, const LoadOptions& load,
                               const PipelineOptions& pipeline) {
  if (stage == "import" || stage == "graph" || stage == "kernels") {
    Compilation c(pipeline, std::move(source));
    TRY(run_passes(c, Scope::Model, stage == "import" ? "fix-dims" : stage == "graph" ? "infer" : ""));
    return stage == "kernels" ? k::str(c.kernels) : str(c.graph);
  }
  const bool plain = stage == "schedules" || (stage == "loops" && !pipeline.checks.any());
  LoadOptions of_target = load;
  if (stage == "opencl") of_target.targets = {"opencl"};
  const Compilation c = TRY(compiled_until(std::move(source), stage,
                                           plain               ? "schedule"
                                           : stage == "opencl" ? "print-opencl"
                                                               : "poison",
                                           of_target, pipeline));
  if (stage == "schedules") return schedules_text(schedules_json(c.loops, *c.target));
  if (stage == "loops") return l::str(c.loops);
  if (stage == "opencl") return c.opencl_source;
  return code_text(c.loops, *c.target, stage == "asm", pipeline.checks.bounds);
}

Result<void> inspect(const InspectOptions& options) {
  const bool is_model = ends_with(options.file, ".onnx");
  const std::string stage = !options.stage.empty() ? options.stage : is_model ? "graph" : "file";
  if (stage == "file") {
    if (is_model) return invalid("stage 'file' is of a compiled file, got {}", options.file);
    auto j = file_json(options.file);
    if (!j) return in_file(std::move(j.error()), options.file);
    fmt::print("{}", options.json ? j->dump(1) + "\n" : file_text(*j));
    return {};
  }
  if (stage == "schedules") {
    auto j = schedules_of(options);
    if (!j) return in_file(std::move(j.error()), options.file);
    if (options.json) {
      fmt::print("{}\n", j->dump(1));
      return {};
    }
    try {
      fmt::print("{}", schedules_text(*j));
    } catch (const Json::exception&) {  // of a file that no compiler of ours wrote
      return in_file(invalid("the manifest's schedules have another form than expected"), options.file);
    }
    return {};
  }
  if (!is_model) return invalid("stage '{}' is of a .onnx file, got {}", stage, options.file);
  const std::string text =
      TRY(stage_text(source_of(options.file, options.load), stage, options.load, pipeline_of(options.load)));
  fmt::print("{}{}", text, text.empty() || text.back() == '\n' ? "" : "\n");
  return {};
}

}  // namespace ingot::driver
