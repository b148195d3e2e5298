// What this machine can do at best, measured: the yardstick of `ingot bench --per-kernel`.
#pragma once

#include <string>

namespace ingot::driver {

struct MachinePeak {
  double gflops = 0;         // f32 multiply-adds in registers, counted as two
  double gbytes_per_s = 0;   // reads of memory far larger than the caches
  std::string instructions;  // "AVX-512", "AVX2", "generic"
};

// Takes about a third of a second.
MachinePeak measure_peak(int threads);

}  // namespace ingot::driver
