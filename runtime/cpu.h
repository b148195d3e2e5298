/* CPU features that images may require, and which of them this CPU has.
 *
 * A feature is a bit of a 64-bit set, per machine; names are LLVM's. The numbers are part of the file format: new ones
 * go at the end. */
#ifndef INGOT_CPU_H
#define INGOT_CPU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_MACHINE_X86_64 62u   /* ELF's numbers */
#define INGOT_MACHINE_AARCH64 183u
#define INGOT_MACHINE_RISCV 243u

/* X(bit, name) */
/* clang-format off */
#define INGOT_X86_FEATURES(X)                                                                                        \
  X(0, "sse3") X(1, "ssse3") X(2, "sse4.1") X(3, "sse4.2") X(4, "popcnt") X(5, "cx16") X(6, "sahf") X(7, "avx")      \
  X(8, "avx2") X(9, "bmi") X(10, "bmi2") X(11, "fma") X(12, "f16c") X(13, "lzcnt") X(14, "movbe") X(15, "avx512f")   \
  X(16, "avx512bw") X(17, "avx512cd") X(18, "avx512dq") X(19, "avx512vl") X(20, "avx512vnni") X(21, "avx512vbmi")    \
  X(22, "avx512vbmi2") X(23, "avx512bitalg") X(24, "avx512vpopcntdq") X(25, "avx512ifma") X(26, "avx512bf16")        \
  X(27, "avx512fp16") X(28, "avxvnni") X(29, "avxifma") X(30, "avxvnniint8") X(31, "avxneconvert") X(32, "gfni")     \
  X(33, "amx-tile") X(34, "amx-int8") X(35, "amx-bf16") X(36, "amx-fp16")
#define INGOT_AARCH64_FEATURES(X)                                                                                    \
  X(0, "neon") X(1, "fullfp16") X(2, "dotprod") X(3, "i8mm") X(4, "bf16") X(5, "sve") X(6, "sve2") X(7, "lse")       \
  X(8, "rdm") X(9, "fp16fml") X(10, "jsconv") X(11, "complxnum") X(12, "rcpc") X(13, "sme") X(14, "sme2")
#define INGOT_RISCV_FEATURES(X) X(0, "v") X(1, "zvfh") X(2, "zba") X(3, "zbb") X(4, "zbs") X(5, "zfh")
/* clang-format on */

/* What images may use here. */
uint32_t ingot_cpu_machine(void);   /* 0: a machine without images */
uint64_t ingot_cpu_features(void);  /* what CPU and operating system offer */

/* The set that `name` stands for on `machine`: a feature, or a level of x86 (x86-64-v2, -v3, -v4); 0: unknown. */
uint64_t ingot_cpu_feature_set(uint32_t machine, const char* name);
/* The name of one bit, or null. */
const char* ingot_cpu_feature_name(uint32_t machine, int bit);
/* Writes the names of `set` into `out`, separated by spaces, cut at `size`. */
void ingot_cpu_feature_text(uint32_t machine, uint64_t set, char* out, size_t size);
/* Asks the kernel for what this process must ask for before it uses `features` (AMX tiles). 0: granted. */
int ingot_cpu_enable(uint64_t features);

#ifdef __cplusplus
}
#endif
#endif
