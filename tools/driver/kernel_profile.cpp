// See kernel_profile.h. What a kernel can do at best depends on where its data lie: what others made lies as near as all the
// kernel touches, since it was touched last; weights were touched one run ago (or one step of a loop), and all that the model
// touches in between lies nearer.
#include "tools/driver/kernel_profile.h"

#include <algorithm>

#include "tools/driver/expression.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

constexpr int64_t kMaxRuns = 10'000'000;

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

std::vector<KernelRow> kernel_rows(std::vector<KernelTime> kernels, const MachinePeak& peak,
                                   const std::map<std::string, int64_t>& dims, const std::vector<int64_t>& weights,
                                   double runs) {
  std::vector<KernelRow> rows;
  struct Bytes {
    double all = 0, weights = 0, calls = 0;  // of a call; calls of a run
  };
  std::vector<Bytes> bytes(kernels.size());
  double touched = 0, footprint = 0, most = 0;
  for (size_t k = 0; k < kernels.size(); ++k) {
    if (kernels[k].calls == 0) continue;
    Bytes& b = bytes[k];
    b.all = std::max(work(kernels[k].bytes, dims), 0.0);
    b.weights = std::clamp(k < weights.size() ? static_cast<double>(weights[k]) : 0.0, 0.0, b.all);
    b.calls = static_cast<double>(kernels[k].calls) / runs;
    touched += b.all * b.calls, footprint += b.weights, most = std::max(most, b.all - b.weights);
  }
  footprint += most;
  for (size_t index = 0; index < kernels.size(); ++index) {
    KernelTime& k = kernels[index];
    if (k.calls == 0) continue;
    const double seconds = static_cast<double>(k.total_ns) / 1e9, calls = static_cast<double>(k.calls);
    KernelRow row{index, std::move(k), seconds / runs * 1e3};
    if (seconds > 0) {
      row.gflops = work(row.kernel.flops, dims) * calls / seconds / 1e9;
      const Bytes& b = bytes[index];
      const double apart = std::max(b.all, std::min(footprint, touched / std::max(b.calls, 1.0)));
      const double for_weights = b.weights / peak.gbytes_per_s(apart) / 1e9,
                   for_others = (b.all - b.weights) / peak.gbytes_per_s(b.all) / 1e9;
      row.gbytes = b.all * calls / seconds / 1e9;
      row.share = std::max(row.gflops / peak.gflops, (for_weights + for_others) * calls / seconds);
      row.level = peak.level_of(for_weights > for_others ? apart : b.all).name;
    }
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const KernelRow& a, const KernelRow& b) { return a.ms > b.ms; });
  return rows;
}

}  // namespace

Result<std::vector<double>> time_runs(Executable& executable, double seconds, int least_runs,
                                      const std::function<void(size_t)>& progress) {
  std::vector<double> times;
  const double begin = now_seconds();
  double last = begin;
  while (static_cast<int64_t>(times.size()) < kMaxRuns &&
         (static_cast<int>(times.size()) < least_runs || last - begin < seconds)) {
    TRY(executable.run());
    const double now = now_seconds();
    times.push_back(now - last);
    last = now;
    if (progress && times.size() % 64 == 1) progress(times.size());
  }
  return times;
}

Result<KernelProfile> profile_kernels(const std::string& path, LoadOptions load, const std::vector<HostValue>& inputs,
                                      double seconds, int least_runs) {
  load.profile = true;
  auto executable = TRY(load_executable(path, load));
  TRY(executable->bind(inputs));
  KernelProfile profile;
  profile.peak = measure_peak(executable->threads());
  const std::vector<double> times = TRY(time_runs(*executable, seconds, least_runs));
  profile.peak = best_of(std::move(profile.peak), measure_peak(executable->threads()));
  profile.rows = kernel_rows(executable->profile(), profile.peak, dim_values(executable->inputs(), inputs),
                             executable->kernel_weights(), static_cast<double>(times.size()));
  return profile;
}

}  // namespace ingot::driver
