// The table of targets: the runtime understands what an image needs, both detections agree, and code is as wide as promised.
#include <gtest/gtest.h>

#include "compiler/compile.h"
#include "ir/graph/graph.h"
#include "runtime/cpu.h"
#include "tools/driver/commands.h"

namespace ingot::test {
namespace {

Graph product() {
  auto g = parse_graph(R"(graph product(%x: f32[64, 64], %w: f32[64, 64]) -> (%y) {
  %y = mat_mul %x, %w
}
)");
  EXPECT_TRUE(g) << g.error().message;
  return std::move(*g);
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> list;
  for (size_t at = 0; at < text.size();) {
    const size_t space = std::min(text.find(' ', at), text.size());
    list.emplace_back(text.substr(at, space - at));
    at = space + 1;
  }
  return list;
}

uint64_t runtime_bits(const Target& t) {
  const uint32_t machine = t.arch == Arch::X86_64 ? INGOT_MACHINE_X86_64 : INGOT_MACHINE_AARCH64;
  uint64_t bits = 0;
  for (const std::string& word : words(t.cpu_features)) {
    EXPECT_NE(ingot_cpu_feature_set(machine, word.c_str()), 0u) << t.name << ": " << word;
    bits |= ingot_cpu_feature_set(machine, word.c_str());
  }
  return bits;
}

// `needs` and `cpu_features` say the same; tiles count only where the kernel has granted them.
TEST(Targets, TheRuntimeAgreesWithTheTable) {
  for (const Target& t : all_targets()) {
    const uint64_t bits = runtime_bits(t);
    if (t.arch != host_arch()) continue;
    const bool runs = (bits & ~ingot_cpu_features()) == 0 && ingot_cpu_enable(bits) == 0;
    EXPECT_EQ((t.needs & ~host_cpu_features()) == 0, runs) << t.name;
  }
}

TEST(Targets, FlagsFollowFromNeeds) {
  for (const Target& t : all_targets()) {
    if (t.arch == Arch::X86_64) {
      EXPECT_EQ(t.has_amx_int8, (t.needs & kCpuAmxInt8) != 0) << t.name;
      EXPECT_EQ(t.has_amx_bf16, (t.needs & kCpuAmxBf16) != 0) << t.name;
      EXPECT_EQ(t.has_bf16, (t.needs & kCpuAvx512Bf16) != 0) << t.name;
      EXPECT_EQ(t.has_f16_arithmetic, (t.needs & kCpuAvx512Fp16) != 0) << t.name;
      EXPECT_EQ(t.has_vnni, (t.needs & (kCpuAvx512Vnni | kCpuAvxVnni)) != 0) << t.name;
    } else {
      EXPECT_EQ(t.has_bf16, (t.needs & kCpuArmBf16) != 0) << t.name;
      EXPECT_EQ(t.has_f16_arithmetic, (t.needs & kCpuFp16) != 0) << t.name;
      EXPECT_EQ(t.has_vnni, (t.needs & kCpuDotprod) != 0) << t.name;
    }
  }
}

// `host` is a level of the architecture, not one of the entries that are tuned for a chip and need no more.
TEST(Targets, HostCanRunAndNothingRunnableNeedsMore) {
  const Target& host = host_target();
  EXPECT_EQ(host.arch, host_arch());
  for (const Target& t : all_targets()) {
    if (t.arch != host_arch() || (t.needs & ~host_cpu_features()) != 0) continue;
    if (&t > &host) {
      EXPECT_EQ(t.needs & ~host.needs, 0u) << t.name << " and " << host.name;
    }
  }
}

// The order on the command line decides nothing: the loader takes the image that comes last in the table.
TEST(Targets, PriorityIsTheTablesOrder) {
  CompileModelOptions options;
  options.targets = {"x86-64-v4", "neoverse-n1", "x86-64-v2", "aarch64", "x86-64-v3"};
  auto model = compile_model(product(), options);
  ASSERT_TRUE(model) << model.error().message;
  const auto& images = (*model)->file.images;
  ASSERT_EQ(images.size(), 5u);
  EXPECT_GT(images[0].priority, images[4].priority);
  EXPECT_GT(images[4].priority, images[2].priority);
  EXPECT_GT(images[1].priority, images[3].priority);
}

// LLVM prefers 256-bit vectors on some machines of 512 bits unless told otherwise.
TEST(Targets, VectorsAreAsWideAsTheTableSays) {
  for (const Target& t : all_targets()) {
    driver::LoadOptions load;
    load.targets = {std::string(t.name)};
    auto text = driver::stage_text(product(), "asm", load);
    ASSERT_TRUE(text) << t.name << ": " << text.error().message;
    auto has = [&](const char* what) { return text->find(what) != std::string::npos; };
    if (t.arch == Arch::AArch64) {
      EXPECT_TRUE(has("fmla\tv")) << t.name;
      continue;
    }
    EXPECT_EQ(has("%zmm"), t.vector_bits == 512) << t.name;
    if (t.vector_bits == 256) {
      EXPECT_TRUE(has("%ymm")) << t.name;
    }
    EXPECT_EQ(has("vfmadd"), t.has_fma) << t.name;
  }
}

}  // namespace
}  // namespace ingot::test
