// What the innermost loops of products reach on cores that we do not have, by LLVM's models of them: at least 85 % of the
// core's rate of multiply-adds, without a spill. A product with one row reads a vector for each multiply-add, whatever its
// schedule: it is held to the rate of loads instead, of which prefetches take their share. A depthwise window of two rows and
// seven columns has 126 products for 45 loads and 14 stores: LLVM's Neoverse N1 begins three operations in a cycle, of which a load
// at an offset and a store are two each, and could do no better than 80 cycles. Four rows on AVX2 have eight sums, where a latency
// of five cycles on two ports wants ten. In LLVM's model of the Cortex-A53 results are written in order: a load that follows a
// multiply-add waits for most of its ten cycles, wherever it stands, so that this core is held to little more than no spills.
#include "tests/passes/inner_loop.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backends/llvm/emit.h"
#include "compiler/compile.h"
#include "compiler/targets.h"
#include "ir/graph/graph.h"
#include "passes/loops/legalize.h"

namespace ingot::test {
namespace {

constexpr double kLeastShare = 0.85, kLeastShareDepthwise = 0.65, kLeastShareFewRows = 0.78, kLeastShareInOrder = 0.24;

struct Case {
  const char* name;
  const char* schedule;  // which the kernel must have
  const char* text;
  bool by_loads = false;
  bool all_run_time = false;  // otherwise operands after the first are constants
  bool winograd = false;
  double least = kLeastShare;
};

const Case kCases[] = {
    {"matmul 128x768x768", "contraction", R"(graph net(%x: f32[128, 768], %w: f32[768, 768]) -> (%y) {
  %y = mat_mul %x, %w
})"},
    {"matmul 4x768x768", "contraction", R"(graph net(%x: f32[4, 768], %w: f32[768, 768]) -> (%y) {
  %y = mat_mul %x, %w
})",
     false, false, false, kLeastShareFewRows},
    {"matmul 1x768x768", "contraction", R"(graph net(%x: f32[1, 768], %w: f32[768, 768]) -> (%y) {
  %y = mat_mul %x, %w
})",
     true},
    {"attention q*k'", "contraction", R"(graph net(%x: f32[12, 128, 64], %w: f32[12, 128, 64]) -> (%y) {
  %t = transpose %w {perm = [0, 2, 1]}
  %y = mat_mul %x, %t
})",
     false, true},
    {"attention p*v", "contraction", R"(graph net(%x: f32[12, 128, 128], %w: f32[12, 128, 64]) -> (%y) {
  %y = mat_mul %x, %w
})",
     false, true},
    {"conv 1x1", "contraction", R"(graph net(%x: f32[1, 64, 56, 56], %w: f32[256, 64, 1, 1]) -> (%y) {
  %a = conv %x, %w
  %y = relu %a
})"},
    {"conv 3x3, direct", "contraction", R"(graph net(%x: f32[1, 64, 56, 56], %w: f32[64, 64, 3, 3]) -> (%y) {
  %a = conv %x, %w {pads = [1, 1, 1, 1]}
  %y = relu %a
})"},
    {"conv 3x3, stride 2", "contraction", R"(graph net(%x: f32[1, 128, 56, 56], %w: f32[128, 128, 3, 3]) -> (%y) {
  %y = conv %x, %w {pads = [1, 1, 1, 1], strides = [2, 2]}
})"},
    {"conv 3x3, dilation 2", "contraction", R"(graph net(%x: f32[1, 64, 28, 28], %w: f32[64, 64, 3, 3]) -> (%y) {
  %y = conv %x, %w {pads = [2, 2, 2, 2], dilations = [2, 2]}
})"},
    {"conv 3x3, 4 groups", "contraction", R"(graph net(%x: f32[1, 128, 28, 28], %w: f32[128, 32, 3, 3]) -> (%y) {
  %y = conv %x, %w {pads = [1, 1, 1, 1], group = 4}
})"},
    {"conv 7x7/2, 3 channels", "contraction", R"(graph net(%x: f32[1, 3, 112, 112], %w: f32[64, 3, 7, 7]) -> (%y) {
  %y = conv %x, %w {pads = [3, 3, 3, 3], strides = [2, 2]}
})"},
    {"conv, 1 dimension", "contraction", R"(graph net(%x: f32[1, 64, 400], %w: f32[64, 64, 3]) -> (%y) {
  %y = conv %x, %w {pads = [1, 1]}
})"},
    {"conv, 3 dimensions", "contraction", R"(graph net(%x: f32[1, 16, 8, 20, 20], %w: f32[48, 16, 3, 3, 3]) -> (%y) {
  %y = conv %x, %w {pads = [1, 1, 1, 1, 1, 1]}
})"},
    {"conv_transpose 4x4/2", "contraction", R"(graph net(%x: f32[1, 64, 28, 28], %w: f32[64, 48, 4, 4]) -> (%y) {
  %y = conv_transpose %x, %w {pads = [1, 1, 1, 1], strides = [2, 2]}
})"},
    {"conv 3x3, Winograd", "winograd", R"(graph net(%x: f32[1, 64, 56, 56], %w: f32[64, 64, 3, 3]) -> (%y) {
  %y = conv %x, %w {pads = [1, 1, 1, 1]}
})",
     false, false, true},
    {"depthwise 3x3", "", R"(graph net(%x: f32[1, 96, 28, 28], %w: f32[96, 1, 3, 3]) -> (%y) {
  %y = conv %x, %w {pads = [1, 1, 1, 1], group = 96}
})",
     false, false, false, kLeastShareDepthwise},
};

Graph model(const Case& c) {
  auto g = parse_graph(c.text);
  EXPECT_TRUE(g) << c.name << ": " << (g ? "" : g.error().message);
  if (!g) return {};
  if (c.all_run_time) return std::move(*g);
  for (size_t k = 1; k < g->body.inputs.size(); ++k) {
    Value* v = g->body.inputs[k];
    std::vector<int64_t> dims;
    for (const Dim& d : v->type.tensor.dims) dims.push_back(d.value());
    auto t = TensorData::make(DType::F32, dims);
    for (int64_t i = 0; i < t->elements(); ++i) t->mutable_as<float>()[i] = static_cast<float>(i % 17) * 0.1f - 0.8f;
    v->constant = std::move(t);
  }
  g->body.inputs.resize(1);
  return std::move(*g);
}

struct Found {
  InnerLoop loop;
  std::string schedule;
};

// The kernel with the busiest loop, of those with the schedule.
Result<std::optional<Found>> find_loop(const Case& c, const Target& target) {
  PipelineOptions pipeline;
  if (!c.winograd) pipeline.disabled = {"winograd"};
  Graph graph = model(c);
  const k::Program kernels = TRY(optimize(graph, pipeline));
  l::Program loops = TRY(lower_for_target(kernels, facts_of(target), pipeline));
  TRY(l::legalize(loops, legalize_options_for(target)));
  CompileOptions options;
  options.target = &target;
  std::optional<Found> best;
  for (size_t k = 0; k < loops.kernels.size(); ++k) {
    if (!loops.kernels[k].schedule.starts_with(c.schedule)) continue;
    auto loop = busiest_loop(TRY(asm_text(loops, static_cast<int>(k), options)), target.arch);
    if (loop && (!best || loop->multiply_adds > best->loop.multiply_adds))
      best = {std::move(*loop), loops.kernels[k].schedule};
  }
  return best;
}

void check(const char* name, const char* cpu, double at_most_held_to = 1) {
  const Target& target = *find_target(name);
  const auto core = Core::find(target.arch, cpu);
  if (!core) GTEST_SKIP() << "llvm-mca is not installed";
  fmt::print("{} ({}): {:.2f} multiply-adds and {:.2f} loads of vectors a cycle at best\n", name, cpu,
             core->multiply_adds_per_cycle(), core->loads_per_cycle());
  fmt::print("{:<24} {:>6} {:>7} {:>9} {:>7} {:>6} {:>6}  {}\n", "kernel", "fma", "cycles", "loads/fma", "of fma",
             "of ld", "stack", "schedule");
  for (const Case& c : kCases) {
    auto found = find_loop(c, target);
    ASSERT_TRUE(found) << c.name << ": " << found.error().message;
    ASSERT_TRUE(*found) << c.name << ": no loop with multiply-adds";
    const InnerLoop& loop = (*found)->loop;
    const double cycles = core->cycles(loop.instructions);
    ASSERT_GT(cycles, 0) << c.name;
    const double of_fma = loop.multiply_adds / cycles / core->multiply_adds_per_cycle();
    const double of_loads = (loop.loads + loop.prefetches) / cycles / core->loads_per_cycle();
    fmt::print("{:<24} {:>6} {:>7.1f} {:>9.2f} {:>6.1f}% {:>5.0f}% {:>6}  {}\n", c.name, loop.multiply_adds, cycles,
               static_cast<double>(loop.loads) / loop.multiply_adds, 100 * of_fma, 100 * of_loads, loop.stack,
               (*found)->schedule);
    std::string text;
    for (const std::string& i : loop.instructions) text += i + "\n";
    EXPECT_GE(c.by_loads ? of_loads : of_fma, std::min(c.least, at_most_held_to)) << c.name << " on " << cpu << "\n"
                                                                                  << text;
    EXPECT_EQ(loop.stack, 0) << c.name << " on " << cpu << "\n" << text;
  }
}

TEST(InnerLoops, CortexA72) { check("cortex-a72", "cortex-a72"); }
TEST(InnerLoops, Avx2) { check("x86-64-v3", "haswell"); }
TEST(InnerLoops, NeoverseN1) { check("neoverse-n1", "neoverse-n1"); }
TEST(InnerLoops, CortexA53) { check("cortex-a53", "cortex-a53", kLeastShareInOrder); }
TEST(InnerLoops, CortexA76) { check("cortex-a76", "cortex-a76"); }
TEST(InnerLoops, NeoverseV1) { check("neoverse-v1", "neoverse-v1"); }

}  // namespace
}  // namespace ingot::test
