// What shares of a machine's peak are counted against: bandwidths between the sizes that were measured, weights as the
// manifest tells of them, work as it is done.
#include <gtest/gtest.h>

#include "compiler/compile.h"
#include "ir/graph/graph.h"
#include "tools/driver/machine_peak.h"
#include "tools/driver/schedules.h"

namespace ingot::driver {
namespace {

TEST(MachinePeak, BandwidthIsInterpolated) {
  MachinePeak p;
  p.points = {{1024, 100}, {4096, 60}, {16384, 20}};
  EXPECT_DOUBLE_EQ(p.gbytes_per_s(1), 100);
  EXPECT_DOUBLE_EQ(p.gbytes_per_s(2048), 80);
  EXPECT_DOUBLE_EQ(p.gbytes_per_s(8192), 40);
  EXPECT_DOUBLE_EQ(p.gbytes_per_s(1e9), 20);
  MachinePeak slow = p;
  slow.gflops = 5, slow.points[0].gbytes_per_s = 90, slow.points[2].gbytes_per_s = 30;
  const MachinePeak best = best_of(p, slow);
  EXPECT_DOUBLE_EQ(best.gflops, 5);
  EXPECT_DOUBLE_EQ(best.points[0].gbytes_per_s, 100);
  EXPECT_DOUBLE_EQ(best.points[2].gbytes_per_s, 30);
}

TEST(WeightsOfKernels, AreThoseOfTheImage) {
  const std::string text = R"({"targets": [{"name": "a", "schedules": {"kernels": [{"weight_bytes": 8}]}},
    {"name": "b", "schedules": {"kernels": [{"weight_bytes": 64}, {}, {"weight_bytes": "x"}]}}]})";
  EXPECT_EQ(weights_of_kernels(text, "b"), (std::vector<int64_t>{64, 0, 0}));
  EXPECT_EQ(weights_of_kernels(text, "a"), std::vector<int64_t>{8});
  for (const char* other :
       {"", "{", "[]", "{\"targets\": 3}", "{\"targets\": [1, {\"name\": \"b\", \"schedules\": []}]}"})
    EXPECT_TRUE(weights_of_kernels(other, "b").empty()) << other;
}

// The taps of a dilated window that never reach inside are left out, and not counted: a dilation as large as the image leaves
// the one in the middle.
TEST(Work, TapsInTheBorderAreNotCounted) {
  auto flops = [](int64_t dilation) -> int64_t {
    auto g = parse_graph(fmt::format(R"(graph net(%x: f32[1, 32, 24, 24], %w: f32[64, 32, 3, 3]) -> (%y) {{
  %y = conv %x, %w {{pads = [{0}, {0}, {0}, {0}], dilations = [{0}, {0}]}}
}}
)",
                                     dilation));
    if (!g) return -1;
    Value* w = g->body.inputs[1];
    w->constant = TensorData::make(DType::F32, {64, 32, 3, 3});
    for (int64_t k = 0; k < w->constant->elements(); ++k)
      const_cast<float*>(w->constant->as<float>())[k] = static_cast<float>(k % 13 + 1);
    g->body.inputs.resize(1);
    CompileModelOptions options;
    options.targets = {"x86-64-v3"};
    options.pipeline.disabled = {"winograd"};
    auto model = compile_model(std::move(*g), options);
    if (!model) return -1;
    int64_t most = 0;
    for (const l::Kernel& k : (*model)->programs[0].kernels) most = std::max(most, k.flops.constant().value_or(0));
    return most;
  };
  const int64_t tap = 2 * 24 * 24 * 64 * 32;
  EXPECT_EQ(flops(1), 9 * tap);
  EXPECT_EQ(flops(24), tap);
  EXPECT_GT(flops(12), tap);
  EXPECT_LT(flops(12),
            6 * tap);  // two of the three rows of taps at each pixel, and of the columns those that a tile needs
}

}  // namespace
}  // namespace ingot::driver
