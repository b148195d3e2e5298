// Products of tiles, from a graph to machine code: the numbers of the code for AMX (run by the CPU, or by an emulator of these
// instructions where it has none) and of the same loops without them, against the lowered program in the interpreter; and what
// the innermost loop consists of.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "compiler/pipeline.h"
#include "compiler/targets.h"
#include "ir/graph/parse.h"
#include "ir/ops/evaluate.h"
#include "ir/ops/interpreter.h"
#include "passes/loops/legalize.h"
#include "tests/backends/amx_emulator.h"
#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

constexpr double kTolerance = 2e-6;  // of the largest output: sums of exact products in another order

// Without FP16 instructions, which the emulator does not know.
Target amx() {
  Target t = *find_target("x86-64-v4-amx");
  t.features = find_target("x86-64-v4")->features | ingot_cpu_feature_set(t.machine(), "amx-tile") |
               ingot_cpu_feature_set(t.machine(), "amx-bf16");
  return t;
}

TargetFacts amx_facts() {
  TargetFacts f;
  f.vector_bytes = 64, f.vector_registers = 32;
  f.masked_memory = f.amx_bf16 = true;
  return f;
}

std::shared_ptr<TensorData> numbers(std::vector<int64_t> dims, uint32_t state) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) {
    state = state * 1664525 + 1013904223;
    t->mutable_as<float>()[k] = static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1);
  }
  return t;
}

std::vector<int64_t> shape_of(const Value& v) {
  std::vector<int64_t> dims;
  for (const Dim& d : v.type.tensor.dims) dims.push_back(d.value());
  return dims;
}

struct Case {
  k::Program kernels;  // lowered
  l::Program loops;
  std::vector<HostValue> inputs;
};

// Inputs named w... are constants.
Case lowered(const std::string& text) {
  Case c;
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return c;
  uint32_t seed = 1;
  std::erase_if(g->body.inputs, [&](Value* v) {
    auto data = numbers(shape_of(*v), seed++);
    if (!v->name.starts_with("w")) {
      c.inputs.push_back(HostValue::of(data));
      return false;
    }
    v->constant = data;
    return true;
  });
  PipelineOptions options;
  options.precision = DType::BF16;
  options.lower_logits = true;
  auto p = optimize(*g, options);
  EXPECT_TRUE(p) << (p ? "" : p.error().message);
  if (!p) return c;
  c.kernels = *p;
  lower_precision(c.kernels, amx_facts(), {DType::BF16, true, {}});
  auto l = lower_for_target(*p, amx_facts(), options);
  EXPECT_TRUE(l) << (l ? "" : l.error().message);
  if (!l) return c;
  c.loops = std::move(*l);
  auto again = l::parse(l::str(c.loops));
  EXPECT_TRUE(again) << (again ? "" : again.error().message);
  if (again) {
    EXPECT_EQ(l::str(*again), l::str(c.loops));
  }
  EXPECT_TRUE(l::legalize(c.loops, legalize_options_for(amx())));
  return c;
}

int tiled(const l::Program& p) {
  return static_cast<int>(std::count_if(p.kernels.begin(), p.kernels.end(),
                                        [](const l::Kernel& k) { return k.schedule.starts_with("tiles"); }));
}

void run_and_compare(const Case& c, const Target& target, const TensorData& expected) {
  auto image = compile(c.loops, {&target, 1});
  ASSERT_TRUE(image) << image.error().message;
  Loaded loaded(*image);
  std::vector<Loaded::Input> inputs;
  for (const HostValue& v : c.inputs) inputs.push_back({v.tensor->bytes, v.tensor->dims, INGOT_F32});
  ASSERT_EQ(loaded.run(inputs, c.loops.weights), 0);
  double scale = 0, most = 0;
  for (int64_t k = 0; k < expected.elements(); ++k) scale = std::max(scale, std::abs(expected.number(k)));
  for (int64_t k = 0; k < expected.elements(); ++k)
    most = std::max(most, std::abs(expected.number(k) - static_cast<double>(loaded.outputs[0].as<float>()[k])));
  EXPECT_LE(most / scale, kTolerance) << target.name;
}

void check(const std::string& text, int kernels) {
  SCOPED_TRACE(text);
  const Case c = lowered(text);
  EXPECT_EQ(tiled(c.loops), kernels);
  auto expected = run_program(c.kernels, c.inputs);
  ASSERT_TRUE(expected) << expected.error().message;
  run_and_compare(c, *find_target(runs_here(*find_target("x86-64-v4")) ? "x86-64-v4" : "x86-64-v2"),
                  *(*expected)[0].tensor);
  const Target target = amx();
  if (AmxEmulator::possible()) {
    AmxEmulator emulator;
    run_and_compare(c, target, *(*expected)[0].tensor);
    EXPECT_EQ(emulator.products() > 0, kernels > 0);
  } else if (runs_here(target)) {
    run_and_compare(c, target, *(*expected)[0].tensor);
  }
}

std::string product(int64_t m, int64_t k, int64_t n) {
  return fmt::format(
      "graph net(%x: f32[{}, {}], %w: f32[{}, {}], %w2: f32[{}]) -> (%y) {{\n  %a = mat_mul %x, %w\n"
      "  %b = add %a, %w2\n  %y = relu %b\n}}\n",
      m, k, k, n, n);
}

TEST(Tiles, ProductsOfAllSizes) {
  if (host_arch() != Arch::X86_64) GTEST_SKIP() << "AMX is of x86-64";
  check(product(32, 64, 32), 1);
  check(product(16, 32, 16), 1);
  check(product(14, 96, 16), 1);  // one tile of 14 rows
  check(product(37, 45, 50), 1);  // nothing divides: tiles begin earlier, the last chunk overlaps, columns are masked
  check(product(197, 64, 100), 1);
  check(product(33, 31, 32), 0);  // sums shorter than a tile's row
}

TEST(Tiles, Convolutions) {
  if (host_arch() != Arch::X86_64) GTEST_SKIP() << "AMX is of x86-64";
  auto conv = [](int64_t side, int64_t c, int64_t k, int64_t window, const std::string& attributes) {
    return fmt::format(
        "graph net(%x: f32[1, {}, {}, {}], %w: f32[{}, {}, {}, {}]) -> (%y) {{\n  %a = conv %x, %w {}\n  %y = relu %a\n}}\n",
        c, side, side, k, c, window, window, attributes);
  };
  check(conv(15, 32, 48, 1, ""), 1);
  check(conv(14, 32, 32, 3, "{pads = [1, 1, 1, 1]}"), 1);  // two lines of 14 rows
  check(conv(9, 40, 17, 3, "{pads = [1, 1, 1, 1]}"), 1);
  check(conv(33, 32, 32, 3, "{strides = [2, 2]}"), 1);
}

// Both operands are known only when run, as in attention.
TEST(Tiles, OperandsOfTheRun) {
  if (host_arch() != Arch::X86_64) GTEST_SKIP() << "AMX is of x86-64";
  check("graph net(%x: f32[3, 20, 64], %z: f32[3, 64, 40]) -> (%y) {\n  %y = mat_mul %x, %z\n}\n", 1);
  check("graph net(%x: f32[2, 33, 33], %z: f32[2, 33, 64]) -> (%y) {\n  %y = mat_mul %x, %z\n}\n", 1);
}

// Four loads, four products, and no tile that goes to memory but the sums at the end.
TEST(Tiles, TheInnermostLoop) {
  const Case c = lowered(product(64, 256, 64));
  int kernel = 0;
  while (!c.loops.kernels[static_cast<size_t>(kernel)].schedule.starts_with("tiles")) ++kernel;
  const Target& target = *find_target("x86-64-v4-amx");
  CompileOptions options;
  options.target = &target;
  auto text = asm_text(c.loops, kernel, options);
  ASSERT_TRUE(text) << text.error().message;
  auto count = [&](const std::string& what) {
    int n = 0;
    for (size_t at = text->find(what); at != std::string::npos; at = text->find(what, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count("tdpbf16ps"), 4) << *text;
  EXPECT_EQ(count("tileloadd"), 4) << *text;
  EXPECT_EQ(count("tilestored"), 4) << *text;
  EXPECT_EQ(count("ldtilecfg"), 1) << *text;
  EXPECT_LE(count_vector_spills(*text), 1) << *text;  // zeros, which the configuration begins with
  // In one block, between a label and its jump.
  const size_t first = text->find("tdpbf16ps"), last = text->rfind("tdpbf16ps"), load = text->find("tileloadd");
  EXPECT_EQ(text->substr(load, last - load).find('\n' + std::string(".L")), std::string::npos) << *text;
  EXPECT_LT(load, first);
}

}  // namespace
}  // namespace ingot::test
