// What this machine can do, from CPUID and XCR0 (x86-64) or HWCAP (AArch64). Host names are not asked: on virtual
// machines they are often wrong. The registers of AMX exist only for a process that has asked the kernel for them.
#include "backends/llvm/target.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace ingot {

#if defined(__x86_64__)

Arch host_arch() { return Arch::X86_64; }

static bool tiles_granted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

uint64_t host_cpu_features() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  uint64_t found = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  auto bit = [](unsigned word, int n) { return (word >> n & 1) != 0; };
  bool sse42 = bit(c, 20) && bit(c, 23);  // SSE4.2 and POPCNT
  bool fma = bit(c, 12), movbe = bit(c, 22), osxsave = bit(c, 27), avx = bit(c, 28), f16c = bit(c, 29);
  if (sse42) found |= kCpuSse42;
  if (!osxsave) return found;
  unsigned xlo = 0, xhi = 0;
  __asm__("xgetbv" : "=a"(xlo), "=d"(xhi) : "c"(0));
  bool ymm = (xlo & 0x6) == 0x6, zmm = (xlo & 0xe6) == 0xe6, tiles = (xlo & 0x60000) == 0x60000;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  unsigned b7 = b, c7 = c, d7 = d, a71 = 0;
  if (a >= 1) {
    unsigned bb, cc, dd;
    __get_cpuid_count(7, 1, &a71, &bb, &cc, &dd);
  }
  unsigned ea = 0, eb = 0, ec = 0, ed = 0;
  __get_cpuid(0x80000001, &ea, &eb, &ec, &ed);
  bool lzcnt = bit(ec, 5);
  if (ymm && avx && bit(b7, 5) && bit(b7, 3) && bit(b7, 8) && movbe && lzcnt) {
    found |= kCpuAvx2;
    if (fma) found |= kCpuFma;
    if (f16c) found |= kCpuF16c;
    if (bit(a71, 4)) found |= kCpuAvxVnni;
  }
  if (zmm && bit(b7, 16) && bit(b7, 17) && bit(b7, 28) && bit(b7, 30) && bit(b7, 31)) {
    found |= kCpuAvx512;
    if (bit(c7, 11)) found |= kCpuAvx512Vnni;
    if (bit(a71, 5)) found |= kCpuAvx512Bf16;
    if (bit(d7, 23)) found |= kCpuAvx512Fp16;
  }
  if (tiles && bit(d7, 24) && tiles_granted()) {
    if (bit(d7, 25)) found |= kCpuAmxInt8;
    if (bit(d7, 22)) found |= kCpuAmxBf16;
  }
  return found;
}

#elif defined(__aarch64__)

Arch host_arch() { return Arch::AArch64; }

uint64_t host_cpu_features() {
  unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AT_HWCAP2);
  uint64_t found = 0;
  if (cap & HWCAP_ASIMD) found |= kCpuNeon;
  if (cap & HWCAP_ASIMDDP) found |= kCpuDotprod;
  if (cap & HWCAP_ASIMDHP) found |= kCpuFp16;
  if (cap & HWCAP_ATOMICS) found |= kCpuLse;
#ifdef HWCAP2_I8MM
  if (cap2 & HWCAP2_I8MM) found |= kCpuI8mm;
#endif
#ifdef HWCAP2_BF16
  if (cap2 & HWCAP2_BF16) found |= kCpuArmBf16;
#endif
  return found;
}

#else
#error "no feature detection for this architecture"
#endif

// A later entry that needs no more than one before it is tuned for a chip that this machine need not be.
const Target& host_target() {
  const uint64_t have = host_cpu_features();
  const Target *plainest = nullptr, *best = nullptr;
  for (const Target& t : all_targets()) {
    if (t.arch != host_arch()) continue;
    if (!plainest) plainest = &t;
    if ((t.needs & ~have) == 0 && (!best || (t.needs & ~best->needs) != 0)) best = &t;
  }
  return best ? *best : *plainest;
}

}  // namespace ingot
