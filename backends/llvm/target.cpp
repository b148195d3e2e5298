#include "backends/llvm/target.h"

namespace ingot {

namespace {

constexpr uint64_t kV2 = kCpuSse42;
constexpr uint64_t kV3 = kV2 | kCpuAvx2 | kCpuFma | kCpuF16c;
constexpr uint64_t kV4 = kV3 | kCpuAvx512;
constexpr uint64_t kVnni = kV4 | kCpuAvx512Vnni;
constexpr uint64_t kBf16 = kVnni | kCpuAvx512Bf16;
constexpr uint64_t kFp16 = kBf16 | kCpuAvx512Fp16;
constexpr uint64_t kArm82 = kCpuNeon | kCpuDotprod | kCpuFp16 | kCpuLse;

// In the order of preference: of the entries that a machine can run, a later one is the better, within an architecture.
// clang-format off
constexpr Target kTargets[] = {
    {.name = "x86-64-v2", .cpu_features = "x86-64-v2", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v2",
     .needs = kV2, .vector_bits = 128, .vector_registers = 16, .tile_rows = 6, .tile_vectors = 2},
    {.name = "x86-64-v3", .cpu_features = "x86-64-v3", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v3",
     .needs = kV3, .vector_bits = 256, .vector_registers = 16, .has_fma = true, .has_f16_convert = true,
     .has_masks = true, .tile_rows = 6, .tile_vectors = 2},
    {.name = "x86-64-v3-vnni", .cpu_features = "x86-64-v3 avxvnni", .triple = "x86_64-unknown-linux-gnu",
     .cpu = "x86-64-v3", .features = "+avxvnni", .needs = kV3 | kCpuAvxVnni, .vector_bits = 256,
     .vector_registers = 16, .has_fma = true, .has_vnni = true, .has_f16_convert = true, .has_masks = true,
     .tile_rows = 6, .tile_vectors = 2},
    {.name = "x86-64-v4", .cpu_features = "x86-64-v4", .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v4",
     .needs = kV4, .vector_bits = 512, .vector_registers = 32, .has_fma = true, .has_f16_convert = true,
     .has_masks = true, .has_gather = true, .l1_bytes = 48 << 10, .l2_bytes = 1 << 20, .tile_rows = 14,
     .tile_vectors = 2},
    {.name = "x86-64-v4-vnni", .cpu_features = "x86-64-v4 avx512vnni", .triple = "x86_64-unknown-linux-gnu",
     .cpu = "x86-64-v4", .features = "+avx512vnni", .needs = kVnni, .vector_bits = 512, .vector_registers = 32,
     .has_fma = true, .has_vnni = true, .has_f16_convert = true, .has_masks = true, .has_gather = true,
     .l1_bytes = 48 << 10, .l2_bytes = 1 << 20, .tile_rows = 14, .tile_vectors = 2},
    {.name = "x86-64-v4-bf16", .cpu_features = "x86-64-v4 avx512vnni avx512bf16", .triple = "x86_64-unknown-linux-gnu",
     .cpu = "x86-64-v4", .features = "+avx512vnni,+avx512bf16", .needs = kBf16, .vector_bits = 512,
     .vector_registers = 32, .has_fma = true, .has_vnni = true, .has_bf16 = true, .bf16_pays = true, .has_f16_convert = true,
     .has_masks = true, .has_gather = true, .l1_bytes = 48 << 10, .l2_bytes = 1 << 20, .tile_rows = 14,
     .tile_vectors = 2},
    {.name = "x86-64-v4-fp16", .cpu_features = "x86-64-v4 avx512vnni avx512bf16 avx512fp16",
     .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v4", .features = "+avx512vnni,+avx512bf16,+avx512fp16",
     .needs = kFp16, .vector_bits = 512, .vector_registers = 32, .has_fma = true, .has_vnni = true, .has_bf16 = true,
     .has_f16_convert = true, .has_f16_arithmetic = true, .has_masks = true, .has_gather = true, .l1_bytes = 48 << 10,
     .l2_bytes = 2 << 20, .tile_rows = 14, .tile_vectors = 2},
    {.name = "x86-64-v4-amx",
     .cpu_features = "x86-64-v4 avx512vnni avx512bf16 avx512fp16 amx-tile amx-int8 amx-bf16",
     .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v4",
     .features = "+avx512vnni,+avx512bf16,+avx512fp16,+amx-tile,+amx-int8,+amx-bf16",
     .needs = kFp16 | kCpuAmxInt8 | kCpuAmxBf16, .vector_bits = 512, .vector_registers = 32, .has_fma = true,
     .has_vnni = true, .has_bf16 = true, .has_amx_int8 = true, .has_amx_bf16 = true, .has_f16_convert = true,
     .has_f16_arithmetic = true, .has_masks = true, .has_gather = true, .l1_bytes = 48 << 10, .l2_bytes = 2 << 20,
     .tile_rows = 14, .tile_vectors = 2},

    {.name = "aarch64", .cpu_features = "neon", .arch = Arch::AArch64, .triple = "aarch64-unknown-linux-gnu",
     .cpu = "generic", .features = "+neon", .needs = kCpuNeon, .vector_bits = 128, .vector_registers = 32,
     .has_fma = true, .has_f16_convert = true, .l2_bytes = 512 << 10, .tile_rows = 8, .tile_vectors = 3,
     .page_bytes = 65536},
    {.name = "cortex-a53", .cpu_features = "neon", .arch = Arch::AArch64, .triple = "aarch64-unknown-linux-gnu",
     .cpu = "generic", .tune = "cortex-a53", .features = "+neon", .needs = kCpuNeon, .vector_bits = 128,
     .vector_registers = 32, .fma_ports = 1, .has_fma = true, .has_f16_convert = true, .l2_bytes = 512 << 10,
     .tile_rows = 8, .tile_vectors = 3, .page_bytes = 65536},
    {.name = "cortex-a72", .cpu_features = "neon", .arch = Arch::AArch64, .triple = "aarch64-unknown-linux-gnu",
     .cpu = "generic", .tune = "cortex-a72", .features = "+neon", .needs = kCpuNeon, .vector_bits = 128,
     .vector_registers = 32, .has_fma = true, .has_f16_convert = true, .l2_bytes = 1 << 20, .tile_rows = 8,
     .tile_vectors = 3, .page_bytes = 65536},
    {.name = "aarch64-dotprod", .cpu_features = "neon dotprod fullfp16 lse", .arch = Arch::AArch64,
     .triple = "aarch64-unknown-linux-gnu", .cpu = "generic", .tune = "neoverse-n1",
     .features = "+neon,+dotprod,+fullfp16,+lse", .needs = kArm82, .vector_bits = 128, .vector_registers = 32,
     .has_fma = true, .has_vnni = true, .has_f16_convert = true, .has_f16_arithmetic = true, .l1_bytes = 64 << 10,
     .l2_bytes = 1 << 20, .tile_rows = 8, .tile_vectors = 3, .page_bytes = 65536},
    {.name = "cortex-a76", .cpu_features = "neon dotprod fullfp16 lse", .arch = Arch::AArch64,
     .triple = "aarch64-unknown-linux-gnu", .cpu = "generic", .tune = "cortex-a76",
     .features = "+neon,+dotprod,+fullfp16,+lse", .needs = kArm82, .vector_bits = 128, .vector_registers = 32,
     .has_fma = true, .has_vnni = true, .has_f16_convert = true, .has_f16_arithmetic = true, .l1_bytes = 64 << 10,
     .l2_bytes = 512 << 10, .tile_rows = 8, .tile_vectors = 3, .page_bytes = 65536},
    {.name = "neoverse-n1", .cpu_features = "neon dotprod fullfp16 lse", .arch = Arch::AArch64,
     .triple = "aarch64-unknown-linux-gnu", .cpu = "generic", .tune = "neoverse-n1",
     .features = "+neon,+dotprod,+fullfp16,+lse", .needs = kArm82, .vector_bits = 128, .vector_registers = 32,
     .has_fma = true, .has_vnni = true, .has_f16_convert = true, .has_f16_arithmetic = true, .l1_bytes = 64 << 10,
     .l2_bytes = 1 << 20, .tile_rows = 8, .tile_vectors = 3, .page_bytes = 65536},
    {.name = "neoverse-v1", .cpu_features = "neon dotprod fullfp16 lse bf16 i8mm", .arch = Arch::AArch64,
     .triple = "aarch64-unknown-linux-gnu", .cpu = "generic", .tune = "neoverse-v1",
     .features = "+neon,+dotprod,+fullfp16,+lse,+bf16,+i8mm", .needs = kArm82 | kCpuI8mm | kCpuArmBf16,
     .vector_bits = 128, .vector_registers = 32, .fma_ports = 4, .has_fma = true, .has_vnni = true, .has_bf16 = true, .bf16_pays = true,
     .has_f16_convert = true, .has_f16_arithmetic = true, .l1_bytes = 64 << 10, .l2_bytes = 1 << 20, .tile_rows = 8,
     .tile_vectors = 3, .page_bytes = 65536},
};
// clang-format on

}  // namespace

std::span<const Target> all_targets() { return kTargets; }

const Target* find_target(std::string_view name) {
  if (name == "host") return &host_target();
  for (const Target& t : kTargets)
    if (t.name == name) return &t;
  return nullptr;
}

std::vector<const Target*> default_targets(Arch arch) {
  if (arch == Arch::AArch64) return {find_target("aarch64"), find_target("aarch64-dotprod")};
  return {find_target("x86-64-v2"), find_target("x86-64-v3"), find_target("x86-64-v4-vnni")};
}

}  // namespace ingot
