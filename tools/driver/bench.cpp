// `ingot bench`.
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/driver/commands.h"
#include "tools/driver/expression.h"
#include "tools/driver/machine_peak.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;
constexpr int64_t kMaxRuns = 10'000'000;
constexpr double kWarmUpShare = 0.1;   // of the measured time, at least one run

struct Latency {
  double min = 0, median = 0, p90 = 0, p99 = 0, mean = 0;  // seconds
  size_t runs = 0;
};

Latency summarize(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  // The smallest measurement that at least this share of all does not exceed.
  auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(times.size())));
    return times[std::clamp<size_t>(rank, 1, times.size()) - 1];
  };
  double sum = 0;
  for (double t : times) sum += t;
  return {times.front(), at(0.5), at(0.9), at(0.99), sum / static_cast<double>(times.size()), times.size()};
}

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

struct KernelRow {
  const KernelTime* kernel;
  double ms = 0, gflops = 0, gbytes = 0;  // per run
  double share = 0;                       // of this machine's peak: the nearer of the two limits
  std::string level = {};                 // of the memory, that holds what a call touches
};

// Work of one call: a number, or an expression of the named dims.
double work(const std::string& expression, const std::map<std::string, int64_t>& dims) {
  const auto value = evaluate_expression(expression, dims);
  return value.value_or(0);
}

std::map<std::string, int64_t> dim_values(const std::vector<Port>& ports, const std::vector<HostValue>& inputs) {
  std::map<std::string, int64_t> values;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (!inputs[i].is_tensor() || !ports[i].type.is_tensor()) continue;
    for (size_t d = 0; d < ports[i].type.tensor.dims.size(); ++d)
      if (auto symbol = ports[i].type.tensor.dims[d].as_symbol()) values[(*symbol)->name] = inputs[i].tensor->dims[d];
  }
  return values;
}

std::vector<KernelRow> kernel_rows(const std::vector<KernelTime>& kernels, const MachinePeak& peak,
                                   const std::map<std::string, int64_t>& dims, int64_t runs) {
  std::vector<KernelRow> rows;
  for (const KernelTime& k : kernels) {
    if (k.calls == 0) continue;
    const double seconds = static_cast<double>(k.total_ns) / 1e9, calls = static_cast<double>(k.calls);
    KernelRow row{&k, seconds / static_cast<double>(runs) * 1e3};
    if (seconds > 0) {
      row.gflops = work(k.flops, dims) * calls / seconds / 1e9;
      const double bytes = work(k.bytes, dims);
      const MachinePeak::Level& level = peak.level_of(bytes);
      row.gbytes = bytes * calls / seconds / 1e9;
      row.share = std::max(row.gflops / peak.gflops, row.gbytes / level.gbytes_per_s);
      row.level = level.name;
    }
    rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const KernelRow& a, const KernelRow& b) { return a.ms > b.ms; });
  return rows;
}

}  // namespace

Result<void> bench(const BenchOptions& options) {
  Progress progress;
  progress.show("loading " + options.model);
  LoadOptions load = options.load;
  load.profile = false;
  const double start = now_seconds();
  auto executable = TRY(load_executable(options.model, load));
  const double load_ms = (now_seconds() - start) * 1e3;
  auto gathered = gather_inputs(executable->inputs(), options.inputs);
  if (!gathered) return std::move(gathered.error()).context("in " + options.model);
  const std::vector<HostValue> inputs = *gathered;
  if (auto bound = executable->bind(inputs); !bound) return std::move(bound.error()).context("in " + options.model);

  std::vector<double> times;
  auto measure = [&](double seconds, int least) -> Result<void> {
    times.clear();
    const double begin = now_seconds();
    double last = begin;
    while (static_cast<int64_t>(times.size()) < kMaxRuns &&
           (static_cast<int>(times.size()) < least || last - begin < seconds)) {
      if (auto ran = executable->run(); !ran) return std::move(ran.error()).context("in " + options.model);
      const double now = now_seconds();
      times.push_back(now - last);
      last = now;
      if (times.size() % 64 == 1) progress.show(fmt::format("measuring: {} runs", times.size()));
    }
    return {};
  };
  TRY(measure(options.min_time_s * kWarmUpShare, 1));
  TRY(measure(options.min_time_s, options.min_runs));
  const Latency latency = summarize(times);
  const std::string description = executable->description();
  const int64_t memory = peak_rss_bytes();

  // Profiling costs a little, so that the kernels are timed in runs of their own.
  std::vector<KernelTime> kernels;
  std::vector<KernelRow> rows;
  MachinePeak peak;
  if (options.per_kernel) {
    load.profile = true;
    executable = TRY(load_executable(options.model, load));
    TRY(executable->bind(inputs));
    TRY(measure(options.min_time_s, options.min_runs));
    kernels = executable->profile();
    peak = measure_peak(executable->threads());
    rows = kernel_rows(kernels, peak, dim_values(executable->inputs(), inputs), static_cast<int64_t>(times.size()));
  }
  progress.clear();

  if (options.json) {
    Json j{{"model", options.model}, {"runs_on", description}};
    j["latency_ms"] = {{"min", latency.min * 1e3}, {"median", latency.median * 1e3}, {"p90", latency.p90 * 1e3},
                       {"p99", latency.p99 * 1e3}, {"mean", latency.mean * 1e3},     {"runs", latency.runs}};
    j["throughput_per_s"] = 1 / latency.mean;
    j["load_ms"] = load_ms;
    j["peak_rss_bytes"] = memory;
    j["kernels"] = Json::array();
    for (const KernelRow& r : rows)
      j["kernels"].push_back({{"name", r.kernel->name},
                              {"node", printable(r.kernel->node)},
                              {"schedule", r.kernel->schedule},
                              {"ms", r.ms},
                              {"calls", r.kernel->calls},
                              {"gflops", r.gflops},
                              {"gbytes_per_s", r.gbytes},
                              {"level", r.level},
                              {"share_of_peak", r.share}});
    if (options.per_kernel) {
      j["peak"] = {{"gflops", peak.gflops}, {"instructions", peak.instructions}};
      for (const MachinePeak::Level& l : peak.levels) j["peak"]["gbytes_per_s"][l.name] = l.gbytes_per_s;
    }
    fmt::print("{}\n", j.dump(1));
    return {};
  }
  fmt::print("{} on {}\n", options.model, description);
  fmt::print("latency     min {}  median {}  p90 {}  p99 {}  mean {}  ({} runs)\n", duration_text(latency.min),
             duration_text(latency.median), duration_text(latency.p90), duration_text(latency.p99),
             duration_text(latency.mean), latency.runs);
  fmt::print("throughput  {:.1f} runs/s\nload        {}\npeak memory {}\n", 1 / latency.mean,
             duration_text(load_ms / 1e3), bytes_text(memory));
  if (!options.per_kernel) return {};
  fmt::print("\nthis machine at best: {:.0f} GFLOP/s ({})", peak.gflops, peak.instructions);
  for (const MachinePeak::Level& l : peak.levels) fmt::print(", {} {:.0f} GB/s", l.name, l.gbytes_per_s);
  fmt::print("\n");
  double total = 0;
  for (const KernelRow& r : rows) total += r.ms;
  fmt::print("{:>9} {:>6} {:>9} {:>8} {:>6} {:>7}  {:<36} {}\n", "ms", "time", "GFLOP/s", "GB/s", "from", "of peak",
             "kernel", "node");
  for (const KernelRow& r : rows)
    fmt::print("{:>9.4f} {:>5.1f}% {:>9.2f} {:>8.2f} {:>6} {:>6.1f}%  {:<36} {}\n", r.ms,
               total > 0 ? 100 * r.ms / total : 0, r.gflops, r.gbytes, r.level, 100 * r.share, r.kernel->name,
               printable(r.kernel->node));
  return {};
}

}  // namespace ingot::driver
