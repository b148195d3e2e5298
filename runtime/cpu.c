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
#define ROW(bit, name, ...) {bit, name},
static const struct feature kX86[] = {INGOT_X86_FEATURES(ROW)};
static const struct feature kAarch64[] = {INGOT_AARCH64_FEATURES(ROW)};
static const struct feature kRiscv[] = {INGOT_RISCV_FEATURES(ROW)};

struct level {
  const char* name;
  uint64_t set;
};
#define LEVEL(name, set) {name, set},
static const struct level kLevels[] = {INGOT_X86_LEVELS(LEVEL)};

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
    for (size_t i = 0; i < sizeof kLevels / sizeof *kLevels; i++)
      if (!strcmp(name, kLevels[i].name)) return kLevels[i].set;
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

enum { EAX, EBX, ECX, EDX };
enum state { NONE, YMM, ZMM, TILE };

struct cpuid_bit {
  int bit;
  uint32_t leaf, subleaf;
  int reg, shift;
  enum state state;
};
#define CPUID_BIT(bit, name, leaf, subleaf, reg, shift, state) {bit, leaf, subleaf, reg, shift, state},
static const struct cpuid_bit kCpuid[] = {INGOT_X86_FEATURES(CPUID_BIT)};

/* CPUID leaves a virtual machine each time: a leaf is asked for once. Each feature asks for its own and for subleaf 0. */
enum { kMaxAnswers = 1 + 2 * sizeof kCpuid / sizeof *kCpuid };
struct answer {
  uint32_t leaf, subleaf, reg[4];
};

static const struct answer* ask(struct answer* answers, int* count, uint32_t leaf, uint32_t subleaf) {
  for (int i = 0; i < *count; i++)
    if (answers[i].leaf == leaf && answers[i].subleaf == subleaf) return &answers[i];
  const struct answer* first = subleaf ? ask(answers, count, leaf, 0) : NULL; /* says how many subleaves there are */
  struct answer* a = &answers[(*count)++];
  memset(a, 0, sizeof *a);
  a->leaf = leaf, a->subleaf = subleaf;
  if (!subleaf || first->reg[EAX] >= subleaf)
    (void)__get_cpuid_count(leaf, subleaf, &a->reg[EAX], &a->reg[EBX], &a->reg[ECX], &a->reg[EDX]);
  return a;
}

uint64_t ingot_cpu_features(void) {
  struct answer answers[kMaxAnswers];
  int count = 0;
  /* What the operating system saves when it switches tasks: registers that it does not save are not to be used. */
  const uint64_t needs[] = {[NONE] = 0, [YMM] = 0x6, [ZMM] = 0xe6, [TILE] = 0x60000};
  const uint64_t saved = ask(answers, &count, 1, 0)->reg[ECX] >> 27 & 1 ? xcr0() : 0;
  uint64_t set = 0;
  for (size_t i = 0; i < sizeof kCpuid / sizeof *kCpuid; i++) {
    const struct cpuid_bit* f = &kCpuid[i];
    if (ask(answers, &count, f->leaf, f->subleaf)->reg[f->reg] >> f->shift & 1 &&
        (saved & needs[f->state]) == needs[f->state])
      set |= BIT(f->bit);
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

struct hwcap_bit {
  int bit, word, shift;
};
#define HWCAP_BIT(bit, name, word, shift) {bit, word, shift},
static const struct hwcap_bit kHwcap[] = {INGOT_AARCH64_FEATURES(HWCAP_BIT)};

uint64_t ingot_cpu_features(void) {
  uint64_t set = 0;
#if defined(__linux__)
  const uint64_t words[] = {0, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
  for (size_t i = 0; i < sizeof kHwcap / sizeof *kHwcap; i++)
    if (words[kHwcap[i].word] >> kHwcap[i].shift & 1) set |= BIT(kHwcap[i].bit);
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
