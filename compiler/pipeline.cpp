#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "ir/ops/def.h"
#include "passes/kernels/passes.h"
#include "passes/schedule/host.h"
#include "passes/schedule/winograd.h"

namespace ingot {

namespace {

inline constexpr std::string_view kLowerPrecision = "lower-precision";
inline constexpr std::string_view kWinograd = "winograd", kChains = "chains",
                                  kGroups = "groups";  // parts of the schedule that can be left out

struct KernelPass {
  std::string_view name;
  Result<void> (*run)(k::Program&);
};

Result<void> simplify(k::Program& p) {
  remove_copies_and_dead(p);
  return {};
}
Result<void> whole_bytes(k::Program& p) {
  expand_sub_byte(p);
  return {};
}
Result<void> keep_f32(k::Program& p) {
  widen_half(p);
  return {};
}
Result<void> unflatten_all(k::Program& p) {
  unflatten(p);
  return {};
}
Result<void> inline_all(k::Program& p) {
  inline_maps(p);
  return {};
}

Result<void> invert(k::Program& p) {
  invert_divisors(p);
  return {};
}

const std::vector<KernelPass>& kernel_passes() {
  static const std::vector<KernelPass> passes = {
      {"expand-sub-byte", whole_bytes},    // every element takes a whole number of bytes
      {"sum-integers", sum_integers},  // no sum of products of a dequantised value and a dequantised constant is left
      {"fold-constants", fold_constants},  // from here on a stage reads at least one value that only the run knows
      {"drop-zero-taps", drop_zero_taps},  // no window of a constant filter has regular gaps of zeros
      {"simplify", simplify},  // no stage is dead, none is a plain copy
      {"widen-half", keep_f32},  // f16 and bf16 stand at the interface and in constants, and where the model casts
      {"inline-maps", inline_all},  // maps stand where they are read, unless storing them is cheaper
      {"simplify-rounding", simplify_rounding},  // quantisation takes no operation that changes nothing
      {"unflatten", unflatten_all},  // values have the dims that their readers index
      {"fold-again", fold_constants},  // what inlining made constant
      {"simplify-again", simplify},
      {"invert-divisors", invert},  // a softmax divides once per row
      {"check-symbols", check_symbols},  // every extent is known when its stage runs
  };
  return passes;
}

// The sums that Winograd's algorithm would compute in f32.
std::set<int> sums_for_winograd(k::Program p, const TargetFacts& facts) {
  std::set<int> results;
  const Storages storages = choose_storage(p);
  for_each_stage(p.body, [&](const k::Stage& s) {
    if (!winograd_choices(s, p, storages, facts).empty()) results.insert(s.results[0]);
  });
  return results;
}

class Timer {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const KernelPass& p : kernel_passes()) names.emplace_back(p.name);
  for (std::string_view name : {kWinograd, kChains, kGroups}) names.emplace_back(name);
  return names;
}

std::vector<std::string> step_names() {
  std::vector<std::string> names = {"infer", "lower-to-kernels"};
  for (const KernelPass& p : kernel_passes()) names.emplace_back(p.name);
  for (std::string_view name : {kLowerPrecision, std::string_view("schedule")}) names.emplace_back(name);
  return names;
}

Result<k::Program> optimize(Graph& graph, const PipelineOptions& options) {
  auto done = [&](std::string_view name, const Timer& t, const std::function<std::string()>& text) {
    if (options.after) options.after(name, t.seconds(), text);
  };
  Timer infer_time;
  TRY(infer_and_expand(graph));  // every value has a type; no shape is unknown but for symbols; no composite is left
  done("infer", infer_time, [&] { return str(graph); });
  Timer lower_time;
  k::Program p = TRY(lower_to_kernels(graph));
  done("lower-to-kernels", lower_time, [&] { return k::str(p); });
  for (const KernelPass& pass : kernel_passes()) {
    if (std::find(options.disabled.begin(), options.disabled.end(), pass.name) != options.disabled.end()) continue;
    Timer t;
    TRY(pass.run(p));
    if (auto ok = k::verify(p); !ok) return std::move(ok.error()).context(fmt::format("after pass '{}'", pass.name));
    done(pass.name, t, [&] { return k::str(p); });
  }
  return p;
}

Result<l::Program> lower_for_target(const k::Program& p, const TargetFacts& facts, const PipelineOptions& options,
                                    const WeightsSection* weights, PrecisionSummary* lowered) {
  ScheduleOptions how;
  auto enabled = [&](std::string_view name) {
    return std::find(options.disabled.begin(), options.disabled.end(), name) == options.disabled.end();
  };
  how.winograd = enabled(kWinograd);
  how.chains = enabled(kChains);
  how.groups = enabled(kGroups);
  if (options.optimize_for == OptimizeFor::Size) how.extra_weights = 0, how.extra_bytes = 0, how.small_weights = true;
  how.weights = weights;
  if (options.checks.poison) how.canary_bytes = l::kCanaryBytes;
  k::Program own = p;
  TargetFacts own_facts = facts;
  if (options.cache_bytes > 0) own_facts.l2_bytes = options.cache_bytes;
  own_facts.f16_fma &= options.precision == DType::F16;  // partial sums in f16 are for those who asked
  if (options.precision != DType::F32) {
    Timer t;
    Precision to{options.precision, options.lower_logits};
    if (how.winograd && how.extra_bytes > 0 && !facts.amx_bf16) to.kept_for_winograd = sums_for_winograd(p, facts);
    PrecisionSummary summary = lower_precision(own, facts, to);
    if (auto ok = k::verify(own); !ok)
      return std::move(ok.error()).context(fmt::format("after pass '{}'", kLowerPrecision));
    if (options.after) options.after(kLowerPrecision, t.seconds(), [&] { return k::str(own); });
    if (lowered) *lowered = std::move(summary);
  }
  Timer t;
  l::Program loops = TRY(schedule(std::move(own), own_facts, how));
  if (auto ok = l::verify(loops); !ok) return std::move(ok.error()).context("after pass 'schedule'");
  if (options.after) options.after("schedule", t.seconds(), [&] { return l::str(loops); });
  return loops;
}

Result<void> add_checks(l::Program& p, const CheckOptions& checks) {
  if (checks.bounds) l::check_bounds(p);
  if (checks.poison) l::poison(p, *checks.poison);
  if (!checks.any()) return {};
  if (auto ok = l::verify(p); !ok) return std::move(ok.error()).context("after checks were added");
  return {};
}

}  // namespace ingot
