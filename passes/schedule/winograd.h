// Winograd's convolution: 3x3 windows of stride 1 in fewer multiplications. See winograd.cpp.
#pragma once

#include "passes/schedule/nest.h"

namespace ingot {

// A way to compute a convolution: outputs of m x m per tile; multiply-adds that it saves over direct sums (an estimate), and
// bytes by which the transformed weights are larger.
struct WinogradChoice {
  int64_t m = 0;
  double saved = 0;
  int64_t extra_bytes = 0;
};

// The ways that pay, the best first; none for what is no 3x3 convolution of stride 1 with constant weights.
std::vector<WinogradChoice> winograd_choices(const k::Stage& reduce, const k::Program&, const Storages&,
                                             const TargetFacts&);

// Why there is no such way for a 3x3 convolution; empty for any other stage.
std::string why_not_winograd(const k::Stage& reduce, const k::Program&, const Storages&, const TargetFacts&);

// none: the epilogue or the layouts do not fit. May add values to the program.
Result<std::optional<std::vector<Launch>>> schedule_winograd(const k::Stage& reduce, const k::Stage* epilogue,
                                                             int64_t m, k::Program&, Storages&, const TargetFacts&);

}  // namespace ingot
