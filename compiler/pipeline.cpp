// See pipeline.h.
#include "compiler/pipeline.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>

#include "backends/opencl/print.h"
#include "compiler/targets.h"
#include "frontend/onnx/import.h"
#include "ir/ops/def.h"
#include "passes/graph/fix_dims.h"
#include "passes/loops/legalize.h"
#include "passes/schedule/winograd.h"

namespace ingot {

namespace {

inline constexpr std::string_view kWinograd = "winograd", kChains = "chains", kGroups = "groups";
constexpr std::string_view kOptionalSchedules[] = {kWinograd, kChains, kGroups};

bool always(const Compilation&) { return true; }

// ---- G ----

Result<void> import(Compilation& c) {
  ImportOptions options;
  if (c.source.freeze_inputs) options.listed = ListedInitializers::Constants;
  c.graph = c.source.graph ? std::move(*c.source.graph) : TRY(import_onnx_file(c.source.path, options));
  c.source.graph.reset();
  return {};
}

bool dims_are_given(const Compilation& c) { return !c.source.dims.empty(); }
Result<void> fix_named_dims(Compilation& c) { return fix_dims(c.graph, c.source.dims); }

Result<void> infer(Compilation& c) { return infer_and_expand(c.graph); }

// ---- K ----

Result<void> lower(Compilation& c) {
  c.kernels = TRY(lower_to_kernels(c.graph));
  return {};
}

template <auto pass>
Result<void> on_kernels(Compilation& c) {
  if constexpr (std::is_void_v<decltype(pass(c.kernels))>) {
    pass(c.kernels);
    return {};
  } else {
    return pass(c.kernels);
  }
}

bool precision_is_asked_for(const Compilation& c) { return c.options.precision != DType::F32; }

// The sums that Winograd's algorithm would compute in f32.
std::set<int> sums_for_winograd(k::Program p, const TargetFacts& facts) {
  std::set<int> results;
  const Storages storages = choose_storage(p);
  for_each_stage(p.body, [&](const k::Stage& s) {
    if (!winograd_choices(s, p, storages, facts).empty()) results.insert(s.results[0]);
  });
  return results;
}

Result<void> lower_products(Compilation& c) {
  Precision to{c.options.precision, c.options.lower_logits};
  if (!c.options.leaves_out(kWinograd) && c.options.optimize_for == OptimizeFor::Speed && !c.facts.amx_bf16)
    to.kept_for_winograd = sums_for_winograd(c.kernels, c.facts);
  c.precision = lower_precision(c.kernels, c.facts, to);
  return {};
}

// ---- L ----

inline constexpr int kLargeConstant = 256 << 10;  // bytes

std::vector<TensorRef> large_constants(const k::Program& p) {
  std::vector<TensorRef> list;
  for (const k::Value& v : p.values)
    if (v.constant && v.constant->size_bytes >= kLargeConstant) list.push_back(v.constant);
  return list;
}

// Pages of large constants may leave memory until they are read again: they are packed once per target, and most lie in the
// model's file.
void release_pages(const std::vector<TensorRef>& constants) {
#ifdef MADV_PAGEOUT
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const TensorRef& t : constants) {
    const auto bytes = reinterpret_cast<uintptr_t>(t->bytes);
    const uintptr_t begin = (bytes + page - 1) / page * page;
    const uintptr_t end = (bytes + static_cast<uintptr_t>(t->size_bytes)) / page * page;
    if (begin < end)
      madvise(reinterpret_cast<void*>(begin), end - begin, MADV_PAGEOUT);  // a hint: failure changes nothing
  }
#endif
}

Result<void> schedule_kernels(Compilation& c) {
  ScheduleOptions how;
  how.winograd = !c.options.leaves_out(kWinograd);
  how.chains = !c.options.leaves_out(kChains);
  how.groups = !c.options.leaves_out(kGroups);
  if (c.options.optimize_for == OptimizeFor::Size) how.extra_weights = 0, how.extra_bytes = 0, how.small_weights = true;
  how.weights = c.shared_weights;
  if (c.options.checks.poison) how.canary_bytes = l::kCanaryBytes;
  TargetFacts facts = c.facts;
  if (c.options.cache_bytes > 0) facts.l2_bytes = c.options.cache_bytes;
  facts.f16_fma &= c.options.precision == DType::F16;  // partial sums in f16 are for those who asked
  const std::vector<TensorRef> constants = large_constants(c.kernels);
  c.loops = TRY(schedule(std::move(c.kernels), facts, how));
  release_pages(constants);
  return {};
}

Result<void> legalize(Compilation& c) { return l::legalize(c.loops, legalize_options_for(*c.target)); }

bool bounds_are_checked(const Compilation& c) { return c.options.checks.bounds; }
Result<void> check_bounds(Compilation& c) {
  l::check_bounds(c.loops);
  return {};
}

bool memory_is_poisoned(const Compilation& c) { return c.options.checks.poison.has_value(); }
Result<void> poison(Compilation& c) {
  l::poison(c.loops, *c.options.checks.poison);
  return {};
}

// ---- the image ----

bool has_device_kernels(const Compilation& c) { return c.target->kernels == Target::Kernels::OpenCl; }
Result<void> print_opencl(Compilation& c) {
  c.opencl_source = TRY(opencl::print(c.loops));
  return {};
}

Result<void> generate_code(Compilation& c) {
  CompileOptions backend;
  backend.target = c.target;
  backend.jobs = c.code.jobs;
  backend.debug_names = c.code.debug_names;
  // The exits of thousands of checks make loop passes take minutes.
  backend.plain_code = c.code.plain_code || c.options.checks.bounds;
  c.image = TRY(compile(c.loops, backend));
  return {};
}

// clang-format off
constexpr Pass kPasses[] = {
    {"import", Scope::Model, Level::Graph, false, always, import},  // the newest operator set; functions are expanded
    {"fix-dims", Scope::Model, Level::Graph, false, dims_are_given, fix_named_dims},
    // Every value has a type; no shape is unknown but for symbols; no composite is left.
    {"infer", Scope::Model, Level::Graph, false, always, infer},
    // From here on there are no operators.
    {"lower-to-kernels", Scope::Model, Level::Kernels, false, always, lower},
    // Every element takes a whole number of bytes.
    {"expand-sub-byte", Scope::Model, Level::Kernels, true, always, on_kernels<expand_sub_byte>},
    // No sum of products of a dequantised value and a dequantised constant is left.
    {"sum-integers", Scope::Model, Level::Kernels, true, always, on_kernels<sum_integers>},
    // From here on a stage reads at least one value that only the run knows.
    {"fold-constants", Scope::Model, Level::Kernels, true, always, on_kernels<fold_constants>},
    // No window of a constant filter has regular gaps of zeros.
    {"drop-zero-taps", Scope::Model, Level::Kernels, true, always, on_kernels<drop_zero_taps>},
    // No stage is dead, none is a plain copy.
    {"simplify", Scope::Model, Level::Kernels, true, always, on_kernels<remove_copies_and_dead>},
    // f16 and bf16 stand at the interface and in constants, and where the model casts.
    {"widen-half", Scope::Model, Level::Kernels, true, always, on_kernels<widen_half>},
    // Maps stand where they are read, unless storing them is cheaper.
    {"inline-maps", Scope::Model, Level::Kernels, true, always, on_kernels<inline_maps>},
    // Quantisation takes no operation that changes nothing.
    {"simplify-rounding", Scope::Model, Level::Kernels, true, always, on_kernels<simplify_rounding>},
    // Values have the dims that their readers index.
    {"unflatten", Scope::Model, Level::Kernels, true, always, on_kernels<unflatten>},
    // What inlining made constant, copied or dead.
    {"fold-again", Scope::Model, Level::Kernels, true, always, on_kernels<fold_constants>},
    {"simplify-again", Scope::Model, Level::Kernels, true, always, on_kernels<remove_copies_and_dead>},
    // A softmax divides once per row.
    {"invert-divisors", Scope::Model, Level::Kernels, true, always, on_kernels<invert_divisors>},
    // Every extent is known when its stage runs.
    {"check-symbols", Scope::Model, Level::Kernels, true, always, on_kernels<check_symbols>},

    // Operands of sums of products are bf16 or f16 where the target gains by it.
    {"lower-precision", Scope::Target, Level::Kernels, false, precision_is_asked_for, lower_products},
    // Loops over buffers with a place in memory; the host program launches them.
    {"schedule", Scope::Target, Level::Loops, false, always, schedule_kernels},
    // Every expression is one that a printer knows.
    {"legalize", Scope::Target, Level::Loops, false, always, legalize},
    {"check-bounds", Scope::Target, Level::Loops, false, bounds_are_checked, check_bounds},
    {"poison", Scope::Target, Level::Loops, false, memory_is_poisoned, poison},
    {"print-opencl", Scope::Target, Level::Image, false, has_device_kernels, print_opencl},
    {"generate-code", Scope::Target, Level::Image, false, always, generate_code},  // a linked ELF shared object
};
// clang-format on

Result<void> verify(const Compilation& c, Level level) {
  switch (level) {
    case Level::Graph: return {};  // inference is the verifier of G
    case Level::Kernels: return k::verify(c.kernels);
    case Level::Loops: return l::verify(c.loops);
    case Level::Image: return {};
  }
  return {};
}

std::string text_of(const Compilation& c, Level level) {
  switch (level) {
    case Level::Graph: return str(c.graph);
    case Level::Kernels: return k::str(c.kernels);
    case Level::Loops: return l::str(c.loops);
    case Level::Image:
      return c.image.elf.empty() ? c.opencl_source : fmt::format("image of {} bytes\n", c.image.elf.size());
  }
  return "";
}

Result<void> run_pass(const Pass& pass, Compilation& c) {
  const auto start = std::chrono::steady_clock::now();
  TRY(pass.run(c));
  if (auto ok = verify(c, pass.makes); !ok)
    return std::move(ok.error()).context(fmt::format("after pass '{}'", pass.name));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  c.times.push_back({pass.name, pass.makes, seconds});
  if (c.options.after) c.options.after(pass.name, seconds, [&] { return text_of(c, pass.makes); });
  return {};
}

}  // namespace

bool PipelineOptions::leaves_out(std::string_view name) const {
  return std::find(disabled.begin(), disabled.end(), name) != disabled.end();
}

std::span<const Pass> all_passes() { return kPasses; }
std::span<const std::string_view> optional_schedules() { return kOptionalSchedules; }

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Pass& p : kPasses)
    if (p.optional) names.emplace_back(p.name);
  names.insert(names.end(), std::begin(kOptionalSchedules), std::end(kOptionalSchedules));
  return names;
}

std::vector<std::string> step_names() {
  std::vector<std::string> names;
  for (const Pass& p : kPasses) names.emplace_back(p.name);
  return names;
}

Compilation::Compilation(PipelineOptions o, k::Program program)
    : options(std::move(o)), source(Graph()), kernels(std::move(program)) {
  while (kPasses[next].scope == Scope::Model) ++next;
}

Compilation Compilation::for_target(const Target& t) const {
  Compilation c(options, kernels);
  c.source.path = source.path;
  c.code = code;
  c.target = &t;
  c.facts = facts_of(t);
  return c;
}

Result<void> run_passes(Compilation& c, Scope scope, std::string_view last) {
  for (; c.next < std::size(kPasses) && kPasses[c.next].scope == scope; ++c.next) {
    const Pass& pass = kPasses[c.next];
    if (pass.wanted(c) && !(pass.optional && c.options.leaves_out(pass.name))) {
      auto done = run_pass(pass, c);
      // The importer names the file itself.
      if (!done && pass.run != import && !c.source.path.empty())
        return std::move(done.error()).context("in " + c.source.path);
      if (!done) return done;
    }
    if (pass.name == last) return ++c.next, Result<void>();
  }
  assert(last.empty() && "the scope has no such pass after those that ran");
  return {};
}

Result<k::Program> optimize(Graph& graph, const PipelineOptions& options) {
  Compilation c(options, ModelSource(std::move(graph)));
  const auto done = run_passes(c, Scope::Model);
  graph = std::move(c.graph);
  if (!done) return done.error();
  return std::move(c.kernels);
}

Result<l::Program> lower_for_target(const k::Program& p, const TargetFacts& facts, const PipelineOptions& options,
                                    const WeightsSection* weights, PrecisionSummary* precision) {
  Compilation c(options, p);
  c.facts = facts;
  c.shared_weights = weights;
  TRY(run_passes(c, Scope::Target, "schedule"));
  if (precision) *precision = std::move(c.precision);
  return std::move(c.loops);
}

}  // namespace ingot
