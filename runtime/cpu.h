/* CPU features that images may require, and which of them this CPU has.
 *
 * A feature is a bit of a 64-bit set, per machine; names are LLVM's. The numbers are part of the file format: new ones
 * go at the end. These lists are the only ones: the rows of the compiler's targets, the code generator's feature strings, the
 * bits in a file and the detection below follow from them. */
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

/* X(bit, name, leaf, subleaf, register, shift, state): CPUID's answer says that the CPU has it, XCR0 that the operating
 * system keeps what it needs (NONE, YMM, ZMM, TILE). Sources: Intel's manual, volume 2, CPUID; AMD's, volume 3, appendix E. */
/* clang-format off */
#define INGOT_X86_FEATURES(X)                                                                                        \
  X(0, "sse3", 1, 0, ECX, 0, NONE) X(1, "ssse3", 1, 0, ECX, 9, NONE) X(2, "sse4.1", 1, 0, ECX, 19, NONE)              \
  X(3, "sse4.2", 1, 0, ECX, 20, NONE) X(4, "popcnt", 1, 0, ECX, 23, NONE) X(5, "cx16", 1, 0, ECX, 13, NONE)           \
  X(6, "sahf", 0x80000001, 0, ECX, 0, NONE) X(7, "avx", 1, 0, ECX, 28, YMM) X(8, "avx2", 7, 0, EBX, 5, YMM)           \
  X(9, "bmi", 7, 0, EBX, 3, NONE) X(10, "bmi2", 7, 0, EBX, 8, NONE) X(11, "fma", 1, 0, ECX, 12, YMM)                  \
  X(12, "f16c", 1, 0, ECX, 29, YMM) X(13, "lzcnt", 0x80000001, 0, ECX, 5, NONE) X(14, "movbe", 1, 0, ECX, 22, NONE)   \
  X(15, "avx512f", 7, 0, EBX, 16, ZMM) X(16, "avx512bw", 7, 0, EBX, 30, ZMM) X(17, "avx512cd", 7, 0, EBX, 28, ZMM)    \
  X(18, "avx512dq", 7, 0, EBX, 17, ZMM) X(19, "avx512vl", 7, 0, EBX, 31, ZMM) X(20, "avx512vnni", 7, 0, ECX, 11, ZMM) \
  X(21, "avx512vbmi", 7, 0, ECX, 1, ZMM) X(22, "avx512vbmi2", 7, 0, ECX, 6, ZMM)                                      \
  X(23, "avx512bitalg", 7, 0, ECX, 12, ZMM) X(24, "avx512vpopcntdq", 7, 0, ECX, 14, ZMM)                              \
  X(25, "avx512ifma", 7, 0, EBX, 21, ZMM) X(26, "avx512bf16", 7, 1, EAX, 5, ZMM)                                      \
  X(27, "avx512fp16", 7, 0, EDX, 23, ZMM) X(28, "avxvnni", 7, 1, EAX, 4, YMM) X(29, "avxifma", 7, 1, EAX, 23, YMM)    \
  X(30, "avxvnniint8", 7, 1, EDX, 4, YMM) X(31, "avxneconvert", 7, 1, EDX, 5, YMM) X(32, "gfni", 7, 0, ECX, 8, NONE)  \
  X(33, "amx-tile", 7, 0, EDX, 24, TILE) X(34, "amx-int8", 7, 0, EDX, 25, TILE)                                       \
  X(35, "amx-bf16", 7, 0, EDX, 22, TILE) X(36, "amx-fp16", 7, 1, EAX, 21, TILE)
/* X(name, the features up to it, in bits) */
#define INGOT_X86_LEVELS(X) X("x86-64-v2", 0x7full) X("x86-64-v3", 0x7fffull) X("x86-64-v4", 0xfffffull)
/* X(bit, name, word, shift): the bit of AT_HWCAP (1) or AT_HWCAP2 (2) by which Linux tells. */
#define INGOT_AARCH64_FEATURES(X)                                                                                    \
  X(0, "neon", 1, 1) X(1, "fullfp16", 1, 10) X(2, "dotprod", 1, 20) X(3, "i8mm", 2, 13) X(4, "bf16", 2, 14)           \
  X(5, "sve", 1, 22) X(6, "sve2", 2, 1) X(7, "lse", 1, 8) X(8, "rdm", 1, 12) X(9, "fp16fml", 1, 23)                   \
  X(10, "jsconv", 1, 13) X(11, "complxnum", 1, 14) X(12, "rcpc", 1, 15) X(13, "sme", 2, 23) X(14, "sme2", 2, 37)
/* X(bit, name): nothing here detects them yet. */
#define INGOT_RISCV_FEATURES(X) X(0, "v") X(1, "zvfh") X(2, "zba") X(3, "zbb") X(4, "zbs") X(5, "zfh")
/* clang-format on */

/* What images may use here. */
uint32_t ingot_cpu_machine(void); /* 0: a machine without images */
uint64_t ingot_cpu_features(void); /* what CPU and operating system offer */

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
