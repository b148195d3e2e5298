// The machines that are compiled for: one table entry per target, no code but the lookup.
//
// A target names what a CPU must have (so that the runtime picks an image by CPUID or HWCAP bits, never by the host's name),
// and what the schedules need to know of it that does not follow from that. Features are those of runtime/cpu.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cpu.h"

namespace ingot {

enum class Arch : uint8_t { X86_64, AArch64 };

struct Target {
  enum class Kernels : uint8_t { Native, OpenCl };  // what runs the kernels; the host program is always native

  std::string_view name;
  Arch arch = Arch::X86_64;
  Kernels kernels = Kernels::Native;
  std::string_view level;  // the instruction set level, not a chip: LLVM's name of the CPU, and part of `features`
  uint64_t features = 0;  // what an image needs: bits of runtime/cpu.h
  std::string_view tune;  // LLVM's name of the chip that instructions are ordered for; empty: as for `level`
  int vector_bits = 128;
  int vector_registers = 16;
  int fma_ports = 2;  // vector multiply-adds that begin in a cycle
  // Whether a product of bf16 pairs is faster than two multiply-adds of f32. Measured: AMD's Zen 4 1.8 times as fast; Intel's,
  // which comes with FP16 and mostly AMX, 0.45 times.
  bool bf16_pays = false;
  int64_t l2_bytes = 1 << 20;
  int64_t page_bytes = 4096;  // the largest that the system may use

  bool has(std::string_view feature) const;  // a name of runtime/cpu.h
  bool has_fma() const;
  bool has_dot4() const;  // four products of bytes summed into i32, without saturation
  bool has_dot2() const;  // two products of bf16 summed into f32
  bool has_amx_bf16() const;
  bool has_f16_convert() const;
  bool has_f16_arithmetic() const;
  bool has_masks() const;  // masked loads and stores of 32- and 64-bit lanes
  bool has_gather() const;  // gathers that are worth using

  uint32_t machine() const { return arch == Arch::X86_64 ? INGOT_MACHINE_X86_64 : INGOT_MACHINE_AARCH64; }
  std::string_view triple() const;  // LLVM's
  std::string llvm_features() const;  // "+avx512vnni,...": those beyond the level
  std::string feature_names() const;  // "x86-64-v4 avx512vnni"
};

std::span<const Target> all_targets();
const Target* find_target(std::string_view name);  // "host", too; null: no such target
std::vector<const Target*> default_targets(Arch);  // what is compiled with no --target
Arch host_arch();
uint64_t host_features();  // what this process may use: AMX tiles are asked for
bool runs_here(const Target&);  // the host program, where kernels are another device's
const Target& host_target();  // the best entry that this machine can run

}  // namespace ingot
