// What this machine can do at best, measured: the yardstick of `ingot bench --per-kernel`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingot::driver {

struct MachinePeak {
  // Reads of as many bytes as lie in this level of the memory, by all threads together.
  struct Level {
    std::string name;   // "L1", "L2", "L3", "memory"
    int64_t bytes = 0;  // its size, of all threads together
    double gbytes_per_s = 0;
  };
  double gflops = 0;         // f32 multiply-adds in registers, counted as two
  std::vector<Level> levels;  // the nearest first
  std::string instructions;  // "AVX-512", "AVX2", "generic"

  // The level that holds so many bytes.
  const Level& level_of(double bytes) const;
};

// Takes about half a second.
MachinePeak measure_peak(int threads);

}  // namespace ingot::driver
