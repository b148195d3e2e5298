// The table of targets: the runtime understands what an image needs, both detections agree, and code is as wide as promised.
#include <gtest/gtest.h>

#include <sstream>

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

bool native(const Target& t) { return t.kernels == Target::Kernels::Native; }

// What a row says of itself in words is what the runtime reads from these words, and the loader's condition is the table's.
TEST(Targets, TheRuntimeAgreesWithTheTable) {
  for (const Target& t : all_targets()) {
    uint64_t bits = 0;
    std::istringstream words(t.feature_names());
    for (std::string word; words >> word;) {
      EXPECT_NE(ingot_cpu_feature_set(t.machine(), word.c_str()), 0u) << t.name << ": " << word;
      bits |= ingot_cpu_feature_set(t.machine(), word.c_str());
    }
    EXPECT_EQ(bits, t.features) << t.name;
    if (t.arch != host_arch()) continue;
    EXPECT_EQ(runs_here(t), (bits & ~ingot_cpu_features()) == 0 && ingot_cpu_enable(bits) == 0) << t.name;
  }
}

// Rows compose: a row with more in its name has the features of the one before, and some more.
TEST(Targets, RowsExtendEachOther) {
  auto features = [](const char* name) { return find_target(name)->features; };
  const char* extended[][2] = {
      {"x86-64-v2", "x86-64-v3"},          {"x86-64-v3", "x86-64-v3-vnni"},      {"x86-64-v3", "x86-64-v4"},
      {"x86-64-v4", "x86-64-v4-vnni"},     {"x86-64-v4-vnni", "x86-64-v4-bf16"}, {"x86-64-v4-bf16", "x86-64-v4-fp16"},
      {"x86-64-v4-fp16", "x86-64-v4-amx"}, {"aarch64", "aarch64-dotprod"},       {"aarch64-dotprod", "neoverse-v1"}};
  for (auto [less, more] : extended) {
    EXPECT_EQ(features(less) & ~features(more), 0u) << less << ", " << more;
    EXPECT_NE(features(less), features(more)) << less << ", " << more;
  }
  EXPECT_EQ(find_target("x86-64-v4-amx")->llvm_features(),
            "+avx512vnni,+avx512bf16,+avx512fp16,+amx-tile,+amx-int8,+amx-bf16");
  EXPECT_EQ(find_target("x86-64-v3")->llvm_features(), "");
  EXPECT_EQ(find_target("neoverse-v1")->feature_names(), "neon fullfp16 dotprod i8mm bf16 lse");
}

// `host` is a level of the architecture, not one of the entries that are tuned for a chip and need no more.
TEST(Targets, HostCanRunAndNothingRunnableNeedsMore) {
  const Target& host = host_target();
  EXPECT_EQ(host.arch, host_arch());
  for (const Target& t : all_targets()) {
    if (!runs_here(t)) continue;
    if (&t > &host) {
      EXPECT_EQ(t.features & ~host.features, 0u) << t.name << " and " << host.name;
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
    if (!native(t)) continue;
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
    EXPECT_EQ(has("vfmadd"), t.has_fma()) << t.name;
  }
}

}  // namespace
}  // namespace ingot::test
