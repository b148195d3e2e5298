#include "tests/random/judge.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "compiler/compile.h"
#include "runtime/writer.h"
#include "tools/driver/executable.h"

namespace ingot::test {

namespace {

constexpr int64_t kSmallCache = 24 << 10;  // what is made of large values happens to small ones then

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool same_bytes(const HostValue& a, const HostValue& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  if (a.is_tensor()) {
    const TensorData &x = *a.tensor, &y = *b.tensor;
    return x.dims == y.dims && x.size_bytes == y.size_bytes &&
           std::memcmp(x.bytes, y.bytes, static_cast<size_t>(x.size_bytes)) == 0;
  }
  for (size_t k = 0; k < a.items.size(); ++k)
    if (!same_bytes(a.items[k], b.items[k])) return false;
  return true;
}

}  // namespace

std::string Variant::str() const {
  std::string s = dynamic ? "dynamic" : "static";
  if (!plain_code) s += ", optimised code";
  if (pipeline.checks.bounds) s += ", checked";
  if (pipeline.checks.poison) s += ", poisoned";
  if (target != "host") s += ", " + target;
  for (const std::string& pass : pipeline.disabled) s += ", without " + pass;
  if (pipeline.cache_bytes) s += ", small cache";
  if (pipeline.optimize_for == OptimizeFor::Size) s += ", for size";
  return s;
}

std::vector<Variant> variants_of(uint32_t seed) {
  std::vector<Variant> out(2);
  Variant& v = out[1];
  std::mt19937 rng(seed ^ 0x51ed270bu);
  out[seed % 2].plain_code = seed % 4 < 2;
  const std::vector<std::string> passes = pass_names();
  v.dynamic = rng() % 2 == 0;
  switch (rng() % 10) {
    case 0: v.dynamic = false; break;
    case 1: v.pipeline.cache_bytes = kSmallCache; break;
    case 2: v.pipeline.optimize_for = OptimizeFor::Size; break;
    case 3: v.target = "x86-64-v2"; break;
    case 4: v.target = "x86-64-v3"; break;
    default: v.pipeline.disabled = {passes[rng() % passes.size()]};
  }
  for (size_t k = 0; k < 2; ++k) {
    out[k].pipeline.checks.bounds = rng() % 2 == 0;
    if (rng() % 5 == 0) out[k].pipeline.checks.poison = 1 + seed % 2;
    // Each check is an exit of its loop: with hundreds of them LLVM's loop passes take minutes.
    if (out[k].pipeline.checks.bounds) out[k].plain_code = true;
  }
  if (const Target* t = find_target(v.target); v.target != "host" && (!t || !runs_here(*t))) v.target = "host";
  return out;
}

std::string difference_of(const HostValue& got, const HostValue& expected, double rtol, double largest,
                          bool any_numbers) {
  if (got.kind != expected.kind || got.items.size() != expected.items.size())
    return fmt::format("got {}, expected {}", str(got, 4), str(expected, 4));
  if (!expected.is_tensor()) {
    for (size_t k = 0; k < expected.items.size(); ++k)
      if (std::string what = difference_of(got.items[k], expected.items[k], rtol, largest, any_numbers); !what.empty())
        return fmt::format("item {}: {}", k, what);
    return "";
  }
  const TensorData &y = *got.tensor, &g = *expected.tensor;
  if (y.dtype != g.dtype || y.dims != g.dims) return fmt::format("got {}, expected {}", str(got, 4), str(expected, 4));
  const bool exact = !is_float(g.dtype);
  if (any_numbers) return "";
  double scale = 0;
  for (int64_t i = 0; !exact && i < g.elements(); ++i)
    if (std::isfinite(g.number(i))) scale = std::max(scale, std::abs(g.number(i)));
  int64_t wrong = 0;
  std::string first;
  for (int64_t i = 0; i < g.elements(); ++i) {
    const double a = y.number(i), b = g.number(i);
    const bool same =
        exact ? y.integer(i) == g.integer(i)
              : (std::isnan(b) ? std::isnan(a)
                               : a == b || std::abs(a - b) <= rtol * (std::abs(b) + scale) + kCancellation * largest);
    if (same) continue;
    if (wrong++ == 0) first = fmt::format("element {}: got {}, expected {}", i, a, b);
  }
  return wrong == 0 ? "" : fmt::format("{} ({} of {} elements differ)", first, wrong, g.elements());
}

namespace {

// Of values whose extents nothing says.
std::string other_kind(const HostValue& got, const HostValue& expected) {
  const bool same =
      got.kind == expected.kind && (!got.is_tensor() || (got.tensor->dtype == expected.tensor->dtype &&
                                                         got.tensor->dims.size() == expected.tensor->dims.size()));
  return same ? "" : fmt::format("got {}, expected the type of {}", str(got, 4), str(expected, 4));
}

Result<std::vector<uint8_t>> bytes_of(const RandomCase& c, const Variant& v, std::optional<uint64_t> poison) {
  CompileModelOptions options;
  options.targets = {v.target};
  options.jobs = 1;
  options.pipeline = v.pipeline;
  options.pipeline.checks.poison = poison;
  options.plain_code = v.plain_code;
  auto compiled = TRY(compile_model(TRY(parse_graph(str(c.graph))), options));
  return ingot_bytes(compiled->file);
}

}  // namespace

std::string judge(const RandomCase& c, const Variant& v, double tolerance) {
  std::optional<uint64_t> poison = v.pipeline.checks.poison;
  auto bytes = bytes_of(c, v, poison);
  if (!bytes) {
    for (const RandomRun& run : c.runs)
      if (run.refused.empty()) return "not compiled: " + bytes.error().message;
    return "";
  }
  std::vector<HostValue> first;
  for (int threads : {1, 2}) {
    driver::LoadOptions load;
    load.threads = threads;
    load.memory_limit_gib = 2;
    load.time_limit_s = 20;
    load.checks.bounds = threads == 1;  // guard pages
    load.checks.poison = static_cast<uint64_t>(threads);
    if (poison && threads == 2) {
      bytes = bytes_of(c, v, *poison + 1);
      if (!bytes) return "not compiled: " + bytes.error().message;
    }
    auto executable = driver::load_compiled_memory(*bytes, load);
    if (!executable) return "not loaded: " + executable.error().message;
    const size_t runs = threads == 1 ? c.runs.size() + 1 : 1;
    for (size_t k = 0; k < runs; ++k) {
      const RandomRun& run = c.runs[k % c.runs.size()];
      const std::string where = fmt::format("run {}, {} threads: ", k + 1, threads);
      auto got = (*executable)->call(run.inputs);
      // Also where the reference refuses the run: not because of an access.
      if (!got && got.error().kind == ErrorKind::Bounds) return "bounds: " + where + got.error().message;
      if (!run.refused.empty()) {
        if (got && !run.any_open()) return "accepted: " + where + "the reference says " + first_line(run.refused);
        continue;
      }
      if (!got && run.any_open()) continue;
      if (!got) return "refused: " + where + got.error().message;
      if (k == 0 && threads == 1) first = *got;
      for (size_t o = 0; o < run.expected.size(); ++o) {
        std::string what = run.open[o]
                               ? other_kind((*got)[o], run.expected[o])
                               : difference_of((*got)[o], run.expected[o], tolerance, run.largest, run.any_numbers);
        if (!what.empty()) return fmt::format("wrong: {}output {}: {}", where, o, what);
      }
      if (k % c.runs.size() == 0)
        for (size_t o = 0; o < run.expected.size(); ++o)
          if (!same_bytes((*got)[o], first[o])) return fmt::format("unstable: {}output {} has other bytes", where, o);
    }
  }
  return "";
}

}  // namespace ingot::test
