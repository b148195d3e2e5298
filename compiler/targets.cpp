// See targets.h.
#include "compiler/targets.h"

#include <algorithm>

#include "support/text.h"

namespace ingot {

TargetFacts facts_of(const Target& t) {
  TargetFacts f;
  if (t.kernels == Target::Kernels::OpenCl) {
    f.device = TargetFacts::Device::OpenCl;
    f.vector_bytes = 0;
    return f;
  }
  f.vector_bytes = t.vector_bits / 8;
  f.vector_registers = t.vector_registers;
  f.masked_memory = t.has_masks() && t.vector_bits >= 512;
  f.lane_products = t.arch == Arch::AArch64;
  f.fma_ports = t.fma_ports;
  f.dot4 = t.has_dot4();
  f.f16_convert = t.has_f16_convert();
  f.f16_fma = t.has_f16_arithmetic();
  f.bf16_dot = t.has_dot2() && t.bf16_pays;
  f.amx_bf16 = t.has_amx_bf16();
  f.l2_bytes = t.l2_bytes;
  return f;
}

l::LegalizeOptions legalize_options_for(const Target& t) {
  // OpenCL C has fma, which rounds once, and sees f16 as bits.
  if (t.kernels == Target::Kernels::OpenCl) return {.has_fma = true};
  return {.has_fma = t.has_fma(),
          .has_f16_convert = t.has_f16_convert(),
          .has_scalb = t.vector_bits == 512,
          .has_f16_arithmetic = t.has_f16_arithmetic()};
}

Result<std::vector<const Target*>> targets_named(const std::vector<std::string>& names) {
  if (names.empty()) return default_targets(host_arch());
  std::vector<const Target*> targets;
  for (const std::string& n : names) {
    const Target* t = find_target(n);
    if (!t) {
      std::vector<std::string> known = {"host"};
      for (const Target& k : all_targets())
        if (std::find(known.begin(), known.end(), k.name) == known.end()) known.emplace_back(k.name);
      const std::string near = nearest_name(n, known);
      return invalid("unknown target '{}'{}; there are: {}", n,
                     near.empty() ? "" : fmt::format(", did you mean '{}'", near), fmt::join(known, ", "));
    }
    if (std::find(targets.begin(), targets.end(), t) == targets.end()) targets.push_back(t);
  }
  return targets;
}

}  // namespace ingot
