// `ingot bench`.
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/driver/commands.h"
#include "tools/driver/kernel_profile.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;
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

  auto measure = [&](double seconds, int least) -> Result<std::vector<double>> {
    auto times = time_runs(*executable, seconds, least,
                           [&](size_t runs) { progress.show(fmt::format("measuring: {} runs", runs)); });
    if (!times) return std::move(times.error()).context("in " + options.model);
    return times;
  };
  TRY(measure(options.min_time_s * kWarmUpShare, 1));
  const Latency latency = summarize(TRY(measure(options.min_time_s, options.min_runs)));
  const std::string description = executable->description();
  const int64_t memory = peak_rss_bytes();

  KernelProfile profile;
  if (options.per_kernel)
    profile = TRY(profile_kernels(options.model, load, inputs, options.min_time_s, options.min_runs));
  const MachinePeak& peak = profile.peak;
  progress.clear();

  if (options.json) {
    Json j{{"model", options.model}, {"runs_on", description}};
    j["latency_ms"] = {{"min", latency.min * 1e3}, {"median", latency.median * 1e3}, {"p90", latency.p90 * 1e3},
                       {"p99", latency.p99 * 1e3}, {"mean", latency.mean * 1e3},     {"runs", latency.runs}};
    j["throughput_per_s"] = 1 / latency.mean;
    j["load_ms"] = load_ms;
    j["peak_rss_bytes"] = memory;
    j["kernels"] = Json::array();
    for (const KernelRow& r : profile.rows)
      j["kernels"].push_back({{"name", r.kernel.name},
                              {"node", printable(r.kernel.node)},
                              {"schedule", r.kernel.schedule},
                              {"ms", r.ms},
                              {"calls", r.kernel.calls},
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
  for (const KernelRow& r : profile.rows) total += r.ms;
  fmt::print("{:>9} {:>6} {:>9} {:>8} {:>6} {:>7}  {:<36} {}\n", "ms", "time", "GFLOP/s", "GB/s", "from", "of peak",
             "kernel", "node");
  for (const KernelRow& r : profile.rows)
    fmt::print("{:>9.4f} {:>5.1f}% {:>9.2f} {:>8.2f} {:>6} {:>6.1f}%  {:<36} {}\n", r.ms,
               total > 0 ? 100 * r.ms / total : 0, r.gflops, r.gbytes, r.level, 100 * r.share, r.kernel.name,
               printable(r.kernel.node));
  return {};
}

}  // namespace ingot::driver
