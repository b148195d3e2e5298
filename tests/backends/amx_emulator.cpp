// See amx_emulator.h. Encodings and meaning: Intel's manual, volume 2, TILELOADD and the other TILE* and TDP*.
#include "tests/backends/amx_emulator.h"

#include <cstring>

#if defined(__x86_64__)
#include <ucontext.h>

#include <csignal>

#include "backends/llvm/target.h"

namespace ingot::test {

namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct State {
  uint8_t rows[kTiles] = {};
  uint16_t row_bytes[kTiles] = {};
  uint8_t data[kTiles][kRows][kRowBytes] = {};
  int64_t products = 0;
} state;
struct sigaction before;

uint64_t general(const ucontext_t* c, int number) {
  static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<uint64_t>(c->uc_mcontext.gregs[order[number]]);
}

struct Address {
  uint64_t base = 0, step = 0;  // of tile memory: rows are `step` apart
  int bytes = 0;                // of the instruction after ModRM
};

// The memory operand behind ModRM at `p`. The index of a tile's operand is the distance of its rows.
Address address_of(ucontext_t* c, const uint8_t* p, bool x, bool b) {
  const int mod = *p >> 6, rm = *p & 7;
  Address a;
  const uint8_t* q = p + 1;
  int base = rm;
  if (rm == 4) {
    const uint8_t sib = *q++;
    base = sib & 7;
    const int index = (sib >> 3 & 7) | (x ? 8 : 0);
    if (index != 4) a.step = general(c, index) << (sib >> 6);
  }
  const bool none = mod == 0 && base == 5;
  if (!none) a.base = general(c, base | (b ? 8 : 0));
  if (mod == 1) {
    a.base += static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(*q)));
    q += 1;
  } else if (mod == 2 || none) {
    int32_t shift = 0;
    std::memcpy(&shift, q, 4);
    a.base += static_cast<uint64_t>(static_cast<int64_t>(shift));
    q += 4;
  }
  a.bytes = static_cast<int>(q - p) - 1;
  return a;
}

float bf16(const uint8_t* p) {
  uint32_t bits = static_cast<uint32_t>(p[0] | p[1] << 8) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

void multiply(int to, int a, int b) {
  ++state.products;
  for (int m = 0; m < state.rows[to]; ++m) {
    for (int k = 0; k < state.row_bytes[a] / 4; ++k) {
      for (int n = 0; n < state.row_bytes[to] / 4; ++n) {
        float sum;
        uint8_t* at = state.data[to][m] + 4 * n;
        std::memcpy(&sum, at, 4);
        for (int part = 0; part < 2; ++part)
          sum += bf16(state.data[a][m] + 4 * k + 2 * part) * bf16(state.data[b][k] + 4 * n + 2 * part);
        std::memcpy(at, &sum, 4);
      }
    }
  }
}

// True where the instruction is one of AMX, and done.
bool execute(ucontext_t* c) {
  const auto* p = reinterpret_cast<const uint8_t*>(c->uc_mcontext.gregs[REG_RIP]);
  if (p[0] != 0xC4 || (p[1] & 0x1F) != 2) return false;  // three-byte VEX, map 0F38
  const bool x = !(p[1] & 0x40), b = !(p[1] & 0x20);
  const int prefix = p[2] & 3, third = ~(p[2] >> 3) & 7, op = p[3];
  const uint8_t* modrm = p + 4;
  const bool memory = *modrm >> 6 != 3;
  const int reg = *modrm >> 3 & 7, rm = *modrm & 7;
  enum { kNone, k66, kF3, kF2 };
  int length = 5;
  if (op == 0x49 && prefix == kNone && memory) {  // LDTILECFG
    const Address a = address_of(c, modrm, x, b);
    const auto* config = reinterpret_cast<const uint8_t*>(a.base + a.step);
    state = {{}, {}, {}, state.products};
    for (int t = 0; t < kTiles; ++t) {
      std::memcpy(&state.row_bytes[t], config + 16 + 2 * t, 2);
      state.rows[t] = config[48 + t];
    }
    length += a.bytes;
  } else if (op == 0x49 && prefix == kNone && *modrm == 0xC0) {  // TILERELEASE
    state = {{}, {}, {}, state.products};
  } else if (op == 0x49 && prefix == kF2 && !memory) {  // TILEZERO
    std::memset(state.data[reg], 0, sizeof state.data[reg]);
  } else if (op == 0x4B && memory && (prefix == kF2 || prefix == k66 || prefix == kF3)) {  // TILELOADD, TILESTORED
    const Address a = address_of(c, modrm, x, b);
    if (prefix != kF3) std::memset(state.data[reg], 0, sizeof state.data[reg]);
    for (int r = 0; r < state.rows[reg]; ++r) {
      auto* at = reinterpret_cast<uint8_t*>(a.base + static_cast<uint64_t>(r) * a.step);
      if (prefix == kF3) std::memcpy(at, state.data[reg][r], state.row_bytes[reg]);
      else std::memcpy(state.data[reg][r], at, state.row_bytes[reg]);
    }
    length += a.bytes;
  } else if (op == 0x5C && prefix == kF3 && !memory) {  // TDPBF16PS
    multiply(reg, rm, third);
  } else {
    return false;
  }
  c->uc_mcontext.gregs[REG_RIP] += length;
  return true;
}

void handle(int, siginfo_t*, void* context) {
  if (!execute(static_cast<ucontext_t*>(context))) sigaction(SIGILL, &before, nullptr);  // and fails again
}

}  // namespace

AmxEmulator::AmxEmulator() {
  state = {};
  struct sigaction own = {};
  own.sa_sigaction = handle;
  own.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &own, &before);
}
AmxEmulator::~AmxEmulator() { sigaction(SIGILL, &before, nullptr); }
bool AmxEmulator::possible() {
  return runs_here(*find_target("x86-64-v4")) &&
         !(host_features() & ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "amx-bf16"));
}
int64_t AmxEmulator::products() const { return state.products; }

}  // namespace ingot::test

#else

namespace ingot::test {
AmxEmulator::AmxEmulator() = default;
AmxEmulator::~AmxEmulator() = default;
bool AmxEmulator::possible() { return false; }
int64_t AmxEmulator::products() const { return 0; }
}  // namespace ingot::test

#endif
