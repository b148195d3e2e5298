// See compile.h.
#include "tools/driver/compile.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "backends/llvm/emit.h"
#include "backends/opencl/print.h"
#include "frontend/onnx/dtype.h"
#include "passes/loops/legalize.h"
#include "passes/schedule/host.h"
#include "runtime/abi.h"
#include "runtime/cpu.h"
#include "tools/driver/schedules.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

inline constexpr int kLargeAllocation = 256 << 10;  // bytes; weights, not nodes

uint64_t feature_bits(const Target& t) {
  uint32_t machine = t.arch == Arch::X86_64 ? INGOT_MACHINE_X86_64 : INGOT_MACHINE_AARCH64;
  uint64_t bits = 0;
  std::string_view rest = t.cpu_features;
  while (!rest.empty()) {
    size_t space = rest.find(' ');
    std::string word(rest.substr(0, space));
    if (!word.empty()) bits |= ingot_cpu_feature_set(machine, word.c_str());
    rest = space == std::string_view::npos ? "" : rest.substr(space + 1);
  }
  return bits;
}

// The best image is that of the latest entry in the table, in whatever order the targets were asked for; a device before the
// CPU.
int priority_of(const Target& t) {
  const std::span<const Target> all = all_targets();
  return static_cast<int>(is_opencl(t) ? std::ssize(all) : &t - all.data());
}

// `type`: of the inferred graph, since loops know tensors only.
ModelFile::Port port_of(const Value& value) {
  ModelFile::Port port;
  port.name = value.name;
  port.levels.clear();
  const Type* t = &value.type;
  for (;; t = t->element.get()) {
    switch (t->kind) {
      case Type::Kind::None:  // items of a sequence that is always empty, or of different ranks
        port.levels.push_back(ModelFile::Level::Tensor);
        port.any_rank = true;
        break;
      case Type::Kind::Tensor: port.levels.push_back(ModelFile::Level::Tensor); break;
      case Type::Kind::Sequence: port.levels.push_back(ModelFile::Level::Sequence); break;
      case Type::Kind::Optional: port.levels.push_back(ModelFile::Level::Optional); break;
      case Type::Kind::Map:
        port.levels.push_back(ModelFile::Level::Map);
        port.key_dtype = onnx::data_type_of(t->tensor.dtype);
        break;
    }
    if (!t->element) break;
  }
  port.dtype = onnx::data_type_of(port.any_rank ? DType::F32 : t->tensor.dtype);
  for (const Dim& d : t->tensor.dims) {
    if (auto c = d.constant()) {
      port.dims.push_back({*c, ""});
    } else {
      port.dims.push_back({-1, d.str()});
    }
  }
  return port;
}

std::vector<ModelFile::Symbol> symbol_table(const Graph& graph) {
  std::vector<ModelFile::Symbol> symbols;
  std::set<std::string> seen;
  for (const Value* v : graph.body.inputs)
    for (const Dim& d : v->type.tensor.dims)
      if (auto s = d.as_symbol(); s && seen.insert((*s)->name).second)
        symbols.push_back({(*s)->name, (*s)->lo, (*s)->hi >= kDimMax ? std::numeric_limits<int64_t>::max() : (*s)->hi});
  return symbols;
}

template <class F>
void each_stmt(const std::vector<l::Stmt>& body, const F& f) {
  for (const l::Stmt& s : body) {
    f(s);
    each_stmt(s.body, f);
    each_stmt(s.otherwise, f);
  }
}

// The pages of large constants may leave memory until they are read again: they are packed once per target, and most lie in
// the model's file.
void release_pages(const k::Program& p) {
#ifdef MADV_PAGEOUT
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const k::Value& v : p.values) {
    if (!v.constant || v.constant->size_bytes < kLargeAllocation) continue;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(v.constant->bytes) + page - 1) / page * page;
    const uintptr_t end =
        (reinterpret_cast<uintptr_t>(v.constant->bytes) + static_cast<uintptr_t>(v.constant->size_bytes)) / page * page;
    if (begin < end)
      madvise(reinterpret_cast<void*>(begin), end - begin, MADV_PAGEOUT);  // a hint: failure changes nothing
  }
#endif
}

}  // namespace

// A kernel's work is written in its scalars; its launch says what these are in dims of the model. Algorithms follow the
// kernels, in the order of their calls, as the printed code numbers them.
std::vector<ModelFile::Kernel> kernel_table(const l::Program& program) {
  std::vector<ModelFile::Kernel> table, calls;
  for (const l::Kernel& k : program.kernels) table.push_back({k.name, k.schedule, "", "", k.node});
  std::vector<int> launches(table.size(), 0);
  each_stmt(program.host, [&](const l::Stmt& s) {
    if (s.kind == l::StmtKind::Call) calls.push_back({s.name, "algorithm", "", "", s.node});
    if (s.kind != l::StmtKind::Launch || s.id < 0 || s.id >= static_cast<int64_t>(table.size())) return;
    const auto id = static_cast<size_t>(s.id);
    const l::Kernel& k = program.kernels[id];
    Substitution scalars;
    for (size_t i = 0; i < std::min(k.scalars.size(), s.scalars.size()); ++i) scalars[k.scalars[i]->id] = s.scalars[i];
    const std::string flops = substitute(k.flops, scalars).str(), bytes = substitute(k.bytes, scalars).str();
    if (launches[id]++ == 0) table[id].flops = flops, table[id].bytes = bytes;
    else if (table[id].flops != flops || table[id].bytes != bytes)
      table[id].flops = table[id].bytes = "";  // no one answer
  });
  table.insert(table.end(), calls.begin(), calls.end());
  return table;
}

// Not by getrusage alone: what a process held before it became this one counts there.
int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

const Target& opencl_target() {
  static const Target target = [] {
    Target t = *default_targets(host_arch()).front();
    t.name = "opencl";
    // Kernels round fma once, and see f16 as bits.
    t.has_fma = true;
    t.has_f16_convert = false;
    return t;
  }();
  return target;
}

TargetFacts facts_of(const Target& t) {
  TargetFacts f;
  f.name = t.name;
  if (is_opencl(t)) {
    f.device = TargetFacts::Device::OpenCl;
    f.vector_bytes = 0;
    return f;
  }
  f.vector_bytes = t.vector_bits / 8;
  f.vector_registers = t.vector_registers;
  f.masked_memory = t.has_masks && t.vector_bits >= 512;
  f.lane_products = t.arch == Arch::AArch64;
  f.fma_ports = t.fma_ports;
  f.dot4 = t.has_vnni;
  f.f16_convert = t.has_f16_convert;
  f.f16_fma = t.has_f16_arithmetic;
  f.bf16_dot = t.has_bf16 && t.bf16_pays;
  f.amx_bf16 = t.has_amx_bf16;
  f.l1_bytes = t.l1_bytes;
  f.l2_bytes = t.l2_bytes;
  return f;
}

Result<std::vector<const Target*>> targets_named(const std::vector<std::string>& names) {
  if (names.empty()) return default_targets(host_arch());
  std::vector<const Target*> targets;
  for (const std::string& n : names) {
    const Target* t = n == "host" ? &host_target() : n == "opencl" ? &opencl_target() : find_target(n);
    if (!t) {
      std::vector<std::string> known = {"host", "opencl"};
      for (const Target& k : all_targets()) known.emplace_back(k.name);
      const std::string near = nearest_name(n, known);
      return invalid("unknown target '{}'{}; there are: {}", n,
                     near.empty() ? "" : fmt::format(", did you mean '{}'", near), fmt::join(known, ", "));
    }
    if (std::find(targets.begin(), targets.end(), t) == targets.end()) targets.push_back(t);
  }
  return targets;
}

Result<std::unique_ptr<CompiledModel>> compile_model(Graph graph, const CompileModelOptions& options) {
  double start = now_seconds();
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, kLargeAllocation);  // what a pass frees goes back to the system at once
#endif
  auto model = std::make_unique<CompiledModel>();
  std::vector<const Target*> targets = TRY(targets_named(options.targets));
  auto say = [&](const std::string& line) {
    if (options.progress) options.progress(line);
  };
  std::map<std::string, std::string> ops;
  for_each_node(graph.body, [&](const Node& n) {
    ++model->nodes;
    ops[n.name] = n.source.substr(0, n.source.find(','));
  });
  say("optimising");
  k::Program kernels = TRY(optimize(graph, options.pipeline));
  model->stages = kernels.body.stages.size();
  int jobs = options.jobs > 0 ? options.jobs : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  model->programs.reserve(targets.size());
  model->code.reserve(targets.size());
  WeightsSection host_weights;
  int host_section = -1;
  for (size_t k = 0; k < targets.size(); ++k) {
    const Target& t = *targets[k];
    TargetStatistics stats;
    stats.target = t.name;
    say(fmt::format("compiling for {}", t.name));
    double before = now_seconds();
    // Images of processors share a section; a device is sent its own as a whole.
    WeightsSection* section = is_opencl(t) ? nullptr : &host_weights;
    model->programs.push_back(TRY(lower_for_target(kernels, facts_of(t), options.pipeline, section, &stats.precision)));
    release_pages(kernels);
    l::Program& program = model->programs.back();
    TRY(l::legalize(program, legalize_options_for(t)));
    TRY(add_checks(program, options.pipeline.checks));
    stats.schedule_s = now_seconds() - before;
    before = now_seconds();
    CompileOptions backend;
    backend.target = &t;
    backend.jobs = jobs;
    backend.debug_names = options.debug_names;
    // The exits of thousands of checks make loop passes take minutes.
    backend.plain_code = options.plain_code || options.pipeline.checks.bounds;
    backend.device_kernels = is_opencl(t);
    ingot::Image image = TRY(ingot::compile(program, backend));
    stats.codegen_s = now_seconds() - before;
    model->code.push_back(std::move(image.elf));
    stats.kernels = program.kernels.size();
    stats.weight_bytes = program.shared_weights + static_cast<int64_t>(program.weights.size());
    stats.arena_bytes = program.arena_bytes.constant().value_or(-1);
    stats.arena_lower_bound = program.arena_lower_bound;
    stats.code_bytes = image.code_bytes;
    model->targets.push_back(stats);

    ModelFile::Image out;
    if (is_opencl(t)) out.opencl_source = TRY(opencl::print(program));
    out.target = t.name;
    out.features = feature_bits(t);
    out.elf = model->code.back();
    out.arena_bytes = stats.arena_bytes;
    out.priority = priority_of(t);
    for (const std::string& name : program.origins) out.nodes.push_back({name, ops.count(name) ? ops[name] : ""});
    out.kernels = kernel_table(program);
    out.messages = program.messages;
    if (stats.weight_bytes > 0) {
      int own = -1;
      int& index = section ? host_section : own;
      if (index < 0) {
        index = static_cast<int>(model->file.weights.size());
        model->file.weights.emplace_back();
      }
      out.weights = index;
      if (!program.weights.empty()) model->file.weights[static_cast<size_t>(index)].pieces.push_back(program.weights);
      if (section) section->add(program);
    }
    model->file.images.push_back(std::move(out));
  }
  ModelFile& file = model->file;
  file.name = graph.name;
  file.producer = "ingot " INGOT_VERSION_TEXT;
  for (const Value* v : graph.body.inputs) {
    file.inputs.push_back(port_of(*v));
    file.inputs.back().may_be_absent = may_stay_unset(*v);
    if (!v->fallback) continue;
    const TensorData& t = *v->fallback;
    file.inputs.back().contents = {t.dims, {t.bytes, static_cast<size_t>(t.size_bytes)}};
    model->defaults.push_back(v->fallback);
  }
  for (const Value* v : graph.body.outputs) file.outputs.push_back(port_of(*v));
  file.symbols = symbol_table(graph);
  const bool small = options.pipeline.optimize_for == OptimizeFor::Size;
  nlohmann::ordered_json manifest{{"disabled_passes", options.pipeline.disabled},
                                  {"optimize", small ? "size" : "speed"},
                                  {"targets", nlohmann::ordered_json::array()}};
  if (options.pipeline.checks.bounds) manifest["check_bounds"] = true;
  if (options.pipeline.checks.poison) manifest["poison"] = *options.pipeline.checks.poison;
  if (options.pipeline.precision != DType::F32) manifest["precision"] = std::string(name(options.pipeline.precision));
  for (size_t k = 0; k < targets.size(); ++k) {
    const TargetStatistics& t = model->targets[k];
    manifest["targets"].push_back(
        {{"name", t.target}, {"kernels", t.kernels}, {"code_bytes", t.code_bytes}, {"weight_bytes", t.weight_bytes}});
    if (t.arena_lower_bound >= 0) manifest["targets"].back()["arena_lower_bound"] = t.arena_lower_bound;
    if (!small) manifest["targets"].back()["schedules"] = schedules_json(model->programs[k], *targets[k]);
  }
  file.manifest = manifest.dump();
  model->seconds = now_seconds() - start;
  return model;
}

}  // namespace ingot::driver
