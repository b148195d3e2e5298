// Compiles a random model in one way, runs it, and compares with the reference.
#pragma once

#include <string>
#include <vector>

#include "compiler/pipeline.h"
#include "tests/random/random_graph.h"

namespace ingot::test {

// One way to compile and run.
struct Variant {
  bool dynamic = true;  // symbols for extents, and two runs
  std::string target = "host";
  PipelineOptions pipeline;
  bool plain_code = true;  // the fault sought is in what is compiled, not in how LLVM selects instructions
  std::string str() const;  // "dynamic, without chains"
};

// The ways in which this seed is compiled: with symbols, and one more: static, a pass or schedule left out, a small cache,
// another target, for size.
std::vector<Variant> variants_of(uint32_t seed);

// "" where every run of the compiled model gives what the reference gives, or refuses what it refuses. One session, whose
// memory has exact sizes and begins with a pattern, is used for all runs and again for the first; another with two threads and
// another pattern gives the same bytes. Otherwise "KIND: what".
std::string judge(const RandomCase&, const Variant&, double tolerance);

// What terms that cancel may leave behind, in units of the last place (f32) of the largest value along the way: with another order
// of summation each of the few sums that a model has one after another may be off by a unit.
inline constexpr double kCancellation = 4 * 0x1p-23;

// "" or what differs: integers equal, floats within rtol * (|expected| + the largest expected) + kCancellation * largest.
std::string difference_of(const HostValue& got, const HostValue& expected, double rtol, double largest,
                          bool any_numbers);

}  // namespace ingot::test
