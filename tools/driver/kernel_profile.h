// Where the time of a model goes, kernel by kernel, beside what this machine can do at best.
#pragma once

#include "tools/driver/executable.h"
#include "tools/driver/inputs.h"
#include "tools/driver/machine_peak.h"

namespace ingot::driver {

struct KernelRow {
  size_t index = 0;  // in the order of the image's kernels
  KernelTime kernel;
  double ms = 0, gflops = 0, gbytes = 0;  // per run
  double share = 0;                       // of this machine's peak: the nearer of the two limits
  std::string level = {};                 // of the memory, where most of the time for what a call touches is lost
};

struct KernelProfile {
  MachinePeak peak;
  std::vector<KernelRow> rows;  // of the kernels that ran, the longest first
};

// What `measure` runs for its time; each run's seconds.
Result<std::vector<double>> time_runs(Executable&, double seconds, int least_runs,
                                      const std::function<void(size_t)>& progress = {});

// Loads the model with profiling, which costs a little, and runs it for `seconds`.
Result<KernelProfile> profile_kernels(const std::string& path, LoadOptions, const std::vector<HostValue>& inputs,
                                      double seconds, int least_runs);

}  // namespace ingot::driver
