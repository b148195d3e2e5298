// See target.h.
#include "backends/llvm/target.h"

namespace ingot {

namespace {

struct Feature {
  int bit;
  std::string_view name;
};
struct Level {
  std::string_view name;
  uint64_t set;
};
#define ROW(bit, name, ...) {bit, name},
constexpr Feature kX86Features[] = {INGOT_X86_FEATURES(ROW)};
constexpr Feature kArmFeatures[] = {INGOT_AARCH64_FEATURES(ROW)};
#undef ROW
#define ROW(name, set) {name, set},
constexpr Level kX86Levels[] = {INGOT_X86_LEVELS(ROW)};
#undef ROW

// A name that the lists do not have is no constant expression: the table does not compile.
template <size_t N>
consteval uint64_t bits_of(const Feature (&list)[N], std::initializer_list<std::string_view> names) {
  uint64_t set = 0;
  for (std::string_view name : names) {
    size_t k = 0;
    while (list[k].name != name) ++k;
    set |= uint64_t{1} << list[k].bit;
  }
  return set;
}
constexpr uint64_t level_bits(std::string_view name) {
  for (const Level& l : kX86Levels)
    if (l.name == name) return l.set;
  return 0;
}

consteval Target x86(std::string_view level, int vector_bits, int vector_registers) {
  Target t;
  t.name = t.level = level;
  t.features = level_bits(level);
  t.vector_bits = vector_bits, t.vector_registers = vector_registers;
  return t;
}
// A row and some features more.
consteval Target with(Target t, std::string_view name, std::initializer_list<std::string_view> more) {
  t.name = name;
  t.features |= t.arch == Arch::X86_64 ? bits_of(kX86Features, more) : bits_of(kArmFeatures, more);
  return t;
}

constexpr Target kV2 = x86("x86-64-v2", 128, 16);
constexpr Target kV3 = x86("x86-64-v3", 256, 16);
constexpr Target kV4 = x86("x86-64-v4", 512, 32);
constexpr Target kVnni = with(kV4, "x86-64-v4-vnni", {"avx512vnni"});
constexpr Target kBf16 = [] {
  Target t = with(kVnni, "x86-64-v4-bf16", {"avx512bf16"});
  t.bf16_pays = true;
  return t;
}();
constexpr Target kFp16 = [] {
  Target t = with(kBf16, "x86-64-v4-fp16", {"avx512fp16"});
  t.bf16_pays = false;
  t.l2_bytes = 2 << 20;
  return t;
}();
constexpr Target kAmx = with(kFp16, "x86-64-v4-amx", {"amx-tile", "amx-int8", "amx-bf16"});

constexpr Target kArm = [] {
  Target t;
  t.name = "aarch64", t.level = "generic";
  t.arch = Arch::AArch64;
  t.features = bits_of(kArmFeatures, {"neon"});
  t.vector_registers = 32;
  t.l2_bytes = 512 << 10;
  t.page_bytes = 64 << 10;
  return t;
}();
constexpr Target kArm82 = [] {
  Target t = with(kArm, "aarch64-dotprod", {"dotprod", "fullfp16", "lse"});
  t.tune = "neoverse-n1";
  t.l2_bytes = 1 << 20;
  return t;
}();
consteval Target tuned(Target t, std::string_view name, int64_t l2_bytes, int fma_ports = 2) {
  t.name = t.tune = name;
  t.l2_bytes = l2_bytes;
  t.fma_ports = fma_ports;
  return t;
}
constexpr Target kNeoverseV1 = [] {
  Target t = with(tuned(kArm82, "neoverse-v1", 1 << 20, 4), "neoverse-v1", {"bf16", "i8mm"});
  t.bf16_pays = true;
  return t;
}();

// Kernels in OpenCL C; the host program is for any machine of its architecture.
consteval Target opencl(Target host) {
  host.name = "opencl";
  host.kernels = Target::Kernels::OpenCl;
  return host;
}

// In the order of preference: of the entries that a machine can run, a later one is the better, within an architecture.
constexpr Target kTargets[] = {
    kV2,
    kV3,
    with(kV3, "x86-64-v3-vnni", {"avxvnni"}),
    kV4,
    kVnni,
    kBf16,
    kFp16,
    kAmx,

    kArm,
    tuned(kArm, "cortex-a53", 512 << 10, 1),
    tuned(kArm, "cortex-a72", 1 << 20),
    kArm82,
    tuned(kArm82, "cortex-a76", 512 << 10),
    tuned(kArm82, "neoverse-n1", 1 << 20),
    kNeoverseV1,

    opencl(kV2),
    opencl(kArm),
};

template <class F>
void for_each_feature(Arch arch, const F& f) {
  if (arch == Arch::X86_64) {
    for (const Feature& x : kX86Features) f(x);
  } else {
    for (const Feature& x : kArmFeatures) f(x);
  }
}

// Any of them, each on its machine.
bool has_any(const Target& t, uint64_t x86, uint64_t arm) {
  return (t.features & (t.arch == Arch::X86_64 ? x86 : arm)) != 0;
}
consteval uint64_t x86_bits(std::initializer_list<std::string_view> names) { return bits_of(kX86Features, names); }
consteval uint64_t arm_bits(std::initializer_list<std::string_view> names) { return bits_of(kArmFeatures, names); }

}  // namespace

bool Target::has_fma() const { return has_any(*this, x86_bits({"fma"}), arm_bits({"neon"})); }
bool Target::has_dot4() const { return has_any(*this, x86_bits({"avx512vnni", "avxvnni"}), arm_bits({"dotprod"})); }
bool Target::has_dot2() const { return has_any(*this, x86_bits({"avx512bf16"}), arm_bits({"bf16"})); }
bool Target::has_amx_bf16() const { return has_any(*this, x86_bits({"amx-bf16"}), 0); }
bool Target::has_f16_convert() const { return has_any(*this, x86_bits({"f16c"}), arm_bits({"neon"})); }
bool Target::has_f16_arithmetic() const { return has_any(*this, x86_bits({"avx512fp16"}), arm_bits({"fullfp16"})); }
bool Target::has_masks() const { return has_any(*this, x86_bits({"avx2"}), 0); }
bool Target::has_gather() const { return has_any(*this, x86_bits({"avx512f"}), 0); }

bool Target::has(std::string_view feature) const {
  bool found = false;
  for_each_feature(arch, [&](const Feature& f) { found |= f.name == feature && (features >> f.bit & 1) != 0; });
  return found;
}

std::string_view Target::triple() const {
  return arch == Arch::X86_64 ? "x86_64-unknown-linux-gnu" : "aarch64-unknown-linux-gnu";
}

std::string Target::llvm_features() const {
  const uint64_t beyond = features & ~level_bits(level);
  std::string text;
  for_each_feature(arch, [&](const Feature& f) {
    if (beyond >> f.bit & 1) text += (text.empty() ? "+" : ",+") + std::string(f.name);
  });
  return text;
}

std::string Target::feature_names() const {
  const uint64_t of_level = level_bits(level);
  std::string text(of_level ? level : "");
  for_each_feature(arch, [&](const Feature& f) {
    if ((features & ~of_level) >> f.bit & 1) text += (text.empty() ? "" : " ") + std::string(f.name);
  });
  return text;
}

std::span<const Target> all_targets() { return kTargets; }

const Target* find_target(std::string_view name) {
  if (name == "host") return &host_target();
  const Target* found = nullptr;
  for (const Target& t : kTargets)
    if (t.name == name && (!found || t.arch == host_arch())) found = &t;
  return found;
}

std::vector<const Target*> default_targets(Arch arch) {
  if (arch == Arch::AArch64) return {find_target("aarch64"), find_target("aarch64-dotprod")};
  return {find_target("x86-64-v2"), find_target("x86-64-v3"), find_target("x86-64-v4-vnni")};
}

Arch host_arch() { return ingot_cpu_machine() == INGOT_MACHINE_AARCH64 ? Arch::AArch64 : Arch::X86_64; }

uint64_t host_features() {
  const uint64_t all = ingot_cpu_features();
  if (ingot_cpu_enable(all) == 0) return all;
  uint64_t plain = all;  // what need not be asked for
  for (uint64_t bit = 1; bit; bit <<= 1)
    if ((all & bit) && ingot_cpu_enable(bit) != 0) plain &= ~bit;
  return plain;
}

bool runs_here(const Target& t) { return t.arch == host_arch() && (t.features & ~host_features()) == 0; }

// A later entry that needs no more than one before it is tuned for a chip that this machine need not be.
const Target& host_target() {
  const uint64_t have = host_features();
  const Target *plainest = nullptr, *best = nullptr;
  for (const Target& t : kTargets) {
    if (t.arch != host_arch() || t.kernels != Target::Kernels::Native) continue;
    if (!plainest) plainest = &t;
    if ((t.features & ~have) == 0 && (!best || (t.features & ~best->features) != 0)) best = &t;
  }
  return best ? *best : *plainest;
}

}  // namespace ingot
