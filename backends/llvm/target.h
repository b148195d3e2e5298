// The machines that the LLVM backend compiles for: one table entry per target, no code but the lookup.
//
// A target names what a CPU must have (so that the runtime picks an image by CPUID or HWCAP bits, never by the host's
// name), and what the schedules need to know of it (register count and width, caches, tile hints).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// What a target needs of a CPU, for the choice of `host`.
enum CpuFeature : uint64_t {
  kCpuSse42 = 1u << 0,
  kCpuAvx2 = 1u << 1,        // AVX, AVX2, BMI1, BMI2, LZCNT, MOVBE
  kCpuFma = 1u << 2,
  kCpuF16c = 1u << 3,
  kCpuAvx512 = 1u << 4,      // F, BW, CD, DQ, VL
  kCpuAvx512Vnni = 1u << 5,
  kCpuAvxVnni = 1u << 6,
  kCpuAvx512Bf16 = 1u << 7,
  kCpuAvx512Fp16 = 1u << 8,
  kCpuAmxInt8 = 1u << 9,     // with tiles, which the operating system has granted
  kCpuAmxBf16 = 1u << 10,
  kCpuNeon = 1u << 16,
  kCpuDotprod = 1u << 17,
  kCpuFp16 = 1u << 18,       // half precision arithmetic (ARMv8.2 FP16)
  kCpuI8mm = 1u << 19,
  kCpuLse = 1u << 20,
  kCpuArmBf16 = 1u << 21,
};

enum class Arch : uint8_t { X86_64, AArch64 };

struct Target {
  std::string_view name;
  std::string_view cpu_features;  // what an image needs, as names of runtime/cpu.h, separated by spaces
  Arch arch = Arch::X86_64;
  std::string_view triple;
  std::string_view cpu;       // LLVM's name of the instruction set level, not of a chip
  std::string_view tune;      // LLVM's name of the chip that instructions are ordered for; empty: as for `cpu`
  std::string_view features;  // LLVM's feature string: "+avx512vnni,..."
  uint64_t needs = 0;         // CpuFeature bits
  int vector_bits = 128;
  int vector_registers = 16;
  int fma_ports = 2;          // vector multiply-adds that begin in a cycle
  bool has_fma = false;
  bool has_vnni = false;      // a 4-way 8-bit dot product that does not saturate
  bool has_bf16 = false;      // a 2-way bf16 dot product into f32
  // Whether that is faster than two multiply-adds of f32. Measured: AMD's Zen 4 1.8 times as fast; Intel's, which comes with
  // FP16 and mostly AMX, 0.45 times.
  bool bf16_pays = false;
  bool has_amx_int8 = false, has_amx_bf16 = false;  // products of tiles
  bool has_f16_convert = false;
  bool has_f16_arithmetic = false;
  bool has_masks = false;  // masked loads and stores of 32- and 64-bit lanes
  bool has_gather = false;  // gathers worth using
  int64_t l1_bytes = 32 << 10, l2_bytes = 1 << 20;
  int tile_rows = 6, tile_vectors = 2;  // register tile of a contraction (SCHEDULES: MR*nr + nr + 1 <= registers)
  int64_t page_bytes = 4096;
};

std::span<const Target> all_targets();
const Target* find_target(std::string_view name);  // null: no such target
std::vector<const Target*> default_targets(Arch);  // what is compiled with no --target
Arch host_arch();
uint64_t host_cpu_features();  // by CPUID or HWCAP
const Target& host_target();  // the best entry that this machine can run

}  // namespace ingot
