/* Features by CPUID on x86 (with what the operating system saves, XCR0) and by the auxiliary vector on ARM. */
#include "runtime/cpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#define BIT(n) (1ull << (n))

struct feature {
  int bit;
  const char* name;
};
#define ROW(bit, name) {bit, name},
static const struct feature kX86[] = {INGOT_X86_FEATURES(ROW)};
static const struct feature kAarch64[] = {INGOT_AARCH64_FEATURES(ROW)};
static const struct feature kRiscv[] = {INGOT_RISCV_FEATURES(ROW)};

enum { kV2 = 0x7f, kV3 = kV2 | 0x7f80, kV4 = kV3 | 0xf8000 };

static const struct feature* features_of(uint32_t machine, int* count) {
  switch (machine) {
    case INGOT_MACHINE_X86_64: *count = sizeof kX86 / sizeof *kX86; return kX86;
    case INGOT_MACHINE_AARCH64: *count = sizeof kAarch64 / sizeof *kAarch64; return kAarch64;
    case INGOT_MACHINE_RISCV: *count = sizeof kRiscv / sizeof *kRiscv; return kRiscv;
    default: *count = 0; return NULL;
  }
}

uint64_t ingot_cpu_feature_set(uint32_t machine, const char* name) {
  if (machine == INGOT_MACHINE_X86_64) {
    if (!strcmp(name, "x86-64-v2")) return kV2;
    if (!strcmp(name, "x86-64-v3")) return kV3;
    if (!strcmp(name, "x86-64-v4")) return kV4;
  }
  if (machine == INGOT_MACHINE_AARCH64 && !strcmp(name, "fp16")) name = "fullfp16";
  int count;
  const struct feature* f = features_of(machine, &count);
  for (int i = 0; i < count; i++)
    if (!strcmp(f[i].name, name)) return BIT(f[i].bit);
  return 0;
}

const char* ingot_cpu_feature_name(uint32_t machine, int bit) {
  int count;
  const struct feature* f = features_of(machine, &count);
  for (int i = 0; i < count; i++)
    if (f[i].bit == bit) return f[i].name;
  return NULL;
}

void ingot_cpu_feature_text(uint32_t machine, uint64_t set, char* out, size_t size) {
  size_t used = 0;
  if (size) out[0] = 0;
  for (int bit = 0; bit < 64; bit++) {
    if (!(set >> bit & 1)) continue;
    const char* name = ingot_cpu_feature_name(machine, bit);
    char number[24];
    if (!name) snprintf(number, sizeof number, "bit%d", bit);
    int n = snprintf(out + used, size - used, "%s%s", used ? " " : "", name ? name : number);
    if (n < 0 || (size_t)n >= size - used) return;
    used += (size_t)n;
  }
}

#if defined(__x86_64__)

uint32_t ingot_cpu_machine(void) { return INGOT_MACHINE_X86_64; }

static uint64_t xcr0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

uint64_t ingot_cpu_features(void) {
  uint32_t a, b, c, d;
  uint64_t set = 0;
#define HAVE(reg, shift, bit) \
  if ((reg) >> (shift) & 1) set |= BIT(bit)
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  uint32_t leaf1c = c;
  HAVE(c, 0, 0);
  HAVE(c, 9, 1);
  HAVE(c, 19, 2);
  HAVE(c, 20, 3);
  HAVE(c, 23, 4);
  HAVE(c, 13, 5);
  HAVE(c, 22, 14);
  if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) {
    HAVE(c, 0, 6);
    HAVE(c, 5, 13);
  }
  uint64_t saved = leaf1c >> 27 & 1 ? xcr0() : 0;
  int ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6, tiles = (saved >> 17 & 3) == 3;
  if (ymm) {
    HAVE(leaf1c, 28, 7);
    HAVE(leaf1c, 12, 11);
    HAVE(leaf1c, 29, 12);
  }
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return set;
  uint32_t subleaves = a;
  HAVE(b, 3, 9);
  HAVE(b, 8, 10);
  HAVE(c, 8, 32);
  if (ymm) HAVE(b, 5, 8);
  if (zmm) {
    HAVE(b, 16, 15);
    HAVE(b, 30, 16);
    HAVE(b, 28, 17);
    HAVE(b, 17, 18);
    HAVE(b, 31, 19);
    HAVE(b, 21, 25);
    HAVE(c, 11, 20);
    HAVE(c, 1, 21);
    HAVE(c, 6, 22);
    HAVE(c, 12, 23);
    HAVE(c, 14, 24);
    HAVE(d, 23, 27);
  }
  if (tiles) {
    HAVE(d, 24, 33);
    HAVE(d, 25, 34);
    HAVE(d, 22, 35);
  }
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
    if (zmm) HAVE(a, 5, 26);
    if (ymm) {
      HAVE(a, 4, 28);
      HAVE(a, 23, 29);
      HAVE(d, 4, 30);
      HAVE(d, 5, 31);
    }
    if (tiles) HAVE(a, 21, 36);
  }
  return set;
}

int ingot_cpu_enable(uint64_t features) {
  if (!(features & (BIT(33) | BIT(34) | BIT(35) | BIT(36)))) return 0;
#if defined(__linux__)
  enum { kRequestPermission = 0x1023, kTileData = 18 };
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0 ? 0 : -1;
#else
  return -1;
#endif
}

#elif defined(__aarch64__)

uint32_t ingot_cpu_machine(void) { return INGOT_MACHINE_AARCH64; }

uint64_t ingot_cpu_features(void) {
  uint64_t set = 0;
#if defined(__linux__)
  uint64_t a = getauxval(AT_HWCAP), b = getauxval(AT_HWCAP2);
#define HAVE(word, shift, bit) \
  if ((word) >> (shift) & 1) set |= BIT(bit)
  HAVE(a, 1, 0);
  if (a >> 9 & a >> 10 & 1) set |= BIT(1);
  HAVE(a, 20, 2);
  HAVE(b, 13, 3);
  HAVE(b, 14, 4);
  HAVE(a, 22, 5);
  HAVE(b, 1, 6);
  HAVE(a, 8, 7);
  HAVE(a, 12, 8);
  HAVE(a, 23, 9);
  HAVE(a, 13, 10);
  HAVE(a, 14, 11);
  HAVE(a, 15, 12);
  HAVE(b, 23, 13);
  HAVE(b, 37, 14);
#else
  set = BIT(0);
#endif
  return set;
}

int ingot_cpu_enable(uint64_t features) {
  (void)features;
  return 0;
}

#else

#if defined(__riscv)
uint32_t ingot_cpu_machine(void) { return INGOT_MACHINE_RISCV; }
#else
uint32_t ingot_cpu_machine(void) { return 0; }
#endif
uint64_t ingot_cpu_features(void) { return 0; }
int ingot_cpu_enable(uint64_t features) {
  (void)features;
  return 0;
}

#endif
