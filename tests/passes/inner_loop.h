// The innermost loops of printed assembly, and how fast a core's model runs them (llvm-mca).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backends/llvm/target.h"

namespace ingot::test {

struct InnerLoop {
  std::vector<std::string> instructions;
  int depth = 0;        // loops around it
  int multiply_adds = 0;  // instructions on vectors, and products that begin a sum
  int loads = 0;        // of any register; a pair counts as two
  int prefetches = 0;
  int stack = 0;        // references to the stack: spills
};

// The loop that does the most of the work: of those with at least half as many multiply-adds as any other, the deepest.
std::optional<InnerLoop> busiest_loop(const std::string& assembly, Arch);

// A core as llvm-mca models it.
class Core {
 public:
  // `cpu`: LLVM's name. null: llvm-mca is not installed.
  static std::optional<Core> find(Arch, const std::string& cpu);

  double cycles(
      const std::vector<std::string>& instructions) const;  // of one iteration; 0: the model does not take them
  double multiply_adds_per_cycle() const { return multiply_adds_; }
  double loads_per_cycle() const { return loads_; }

 private:
  std::string tool_, triple_, cpu_;
  double multiply_adds_ = 0, loads_ = 0;  // at best, of whole vectors
};

}  // namespace ingot::test
