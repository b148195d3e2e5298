#include "backends/llvm/target.h"

namespace ingot {

namespace {

constexpr uint64_t kV2 = kCpuSse42;
constexpr uint64_t kV3 = kV2 | kCpuAvx2 | kCpuFma | kCpuF16c;
constexpr uint64_t kV4 = kV3 | kCpuAvx512;

// clang-format off
constexpr Target kTargets[] = {
    {.name = "x86-64-v2", .cpu_features = "x86-64-v2", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v2", .features = "", .needs = kV2,
     .vector_bits = 128, .vector_registers = 16, .tile_rows = 6, .tile_vectors = 2},
    {.name = "x86-64-v3", .cpu_features = "x86-64-v3", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v3", .features = "", .needs = kV3,
     .vector_bits = 256, .vector_registers = 16, .has_fma = true, .has_f16_convert = true, .has_masks = true,
     .tile_rows = 6, .tile_vectors = 2},
    {.name = "x86-64-v3-vnni", .cpu_features = "x86-64-v3 avxvnni", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v3", .features = "+avxvnni",
     .needs = kV3 | kCpuAvxVnni, .vector_bits = 256, .vector_registers = 16, .has_fma = true, .has_vnni = true,
     .has_f16_convert = true, .has_masks = true, .tile_rows = 6, .tile_vectors = 2},
    {.name = "x86-64-v4", .cpu_features = "x86-64-v4", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v4", .features = "", .needs = kV4,
     .vector_bits = 512, .vector_registers = 32, .has_fma = true, .has_f16_convert = true, .has_masks = true,
     .has_gather = true, .l1_bytes = 48 << 10, .l2_bytes = 1 << 20, .tile_rows = 14, .tile_vectors = 2},
    {.name = "x86-64-v4-vnni", .cpu_features = "x86-64-v4 avx512vnni", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v4", .features = "+avx512vnni",
     .needs = kV4 | kCpuAvx512Vnni, .vector_bits = 512, .vector_registers = 32, .has_fma = true, .has_vnni = true,
     .has_f16_convert = true, .has_masks = true, .has_gather = true, .l1_bytes = 48 << 10, .l2_bytes = 1 << 20,
     .tile_rows = 14, .tile_vectors = 2},
    {.name = "aarch64", .cpu_features = "neon", .arch = Arch::AArch64, .triple = "aarch64-unknown-linux-gnu", .cpu = "generic",
     .features = "+neon", .needs = kCpuNeon, .vector_bits = 128, .vector_registers = 32, .has_fma = true,
     .has_f16_convert = true, .l2_bytes = 512 << 10, .tile_rows = 8, .tile_vectors = 3, .page_bytes = 65536},
    {.name = "cortex-a72", .cpu_features = "neon", .arch = Arch::AArch64, .triple = "aarch64-unknown-linux-gnu", .cpu = "cortex-a72",
     .features = "+neon", .needs = kCpuNeon, .vector_bits = 128, .vector_registers = 32, .has_fma = true,
     .has_f16_convert = true, .l2_bytes = 512 << 10, .tile_rows = 8, .tile_vectors = 3, .page_bytes = 65536},
    {.name = "aarch64-dotprod", .cpu_features = "neon dotprod fullfp16 lse", .arch = Arch::AArch64, .triple = "aarch64-unknown-linux-gnu", .cpu = "neoverse-n1",
     .features = "+neon,+dotprod,+fullfp16,+lse", .needs = kCpuNeon | kCpuDotprod | kCpuFp16 | kCpuLse,
     .vector_bits = 128, .vector_registers = 32, .has_fma = true, .has_vnni = true, .has_f16_convert = true,
     .has_f16_arithmetic = true, .l1_bytes = 64 << 10, .l2_bytes = 1 << 20, .tile_rows = 8, .tile_vectors = 3,
     .page_bytes = 65536},
};
// clang-format on

}  // namespace

std::span<const Target> all_targets() { return kTargets; }

const Target* find_target(std::string_view name) {
  if (name == "host") return &host_target();
  if (name == "neoverse-n1") name = "aarch64-dotprod";
  for (const Target& t : kTargets)
    if (t.name == name) return &t;
  return nullptr;
}

std::vector<const Target*> default_targets(Arch arch) {
  if (arch == Arch::AArch64) return {find_target("aarch64"), find_target("aarch64-dotprod")};
  return {find_target("x86-64-v2"), find_target("x86-64-v3"), find_target("x86-64-v4-vnni")};
}

}  // namespace ingot
