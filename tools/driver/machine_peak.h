// What this machine can do at best, measured: the yardstick of `ingot bench --per-kernel`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingot::driver {

struct MachinePeak {
  // Reads of half as many bytes as lie in this level of the memory, by all threads together.
  struct Level {
    std::string name;   // "L1", "L2", "L3", "memory"
    int64_t bytes = 0;  // its size, of all threads together
    double gbytes_per_s = 0;
  };
  double gflops = 0;         // f32 multiply-adds in registers, counted as two
  std::vector<Level> levels;  // the nearest first
  std::string instructions;  // "AVX-512", "AVX2", "generic"

  struct Point {
    double bytes = 0, gbytes_per_s = 0;
  };
  std::vector<Point> points;  // reads of so many bytes again and again, the fewest first

  // The level that holds so many bytes.
  const Level& level_of(double bytes) const;
  // Of reads of data that come again after so many bytes.
  double gbytes_per_s(double bytes) const;
};

// Takes about a second.
MachinePeak measure_peak(int threads);
// The better of two measurements, number by number: a machine that others use as well is slower at times.
MachinePeak best_of(MachinePeak, const MachinePeak&);

}  // namespace ingot::driver
