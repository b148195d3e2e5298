// Quant, as Brevitas and QONNX export fake quantisation to any number of bits (QONNX, "Quant" v1):
//
//   y = (clip(round(x / scale + zero_point), low, high) - zero_point) * scale
//
// low and high follow from the number of bits, a constant; `narrow` leaves the lowest (or highest, unsigned) value out.
#include <cmath>

#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

Result<void> quant(Upgrade& u) {
  Value *x = u.in(0), *scale = u.in(1), *zero_point = u.in(2);
  if (u.inputs.size() != 4 || !x || !scale || !zero_point) return invalid("got {} inputs, expected 4", u.inputs.size());
  const TensorData* width = u.constant(3);
  if (!width || width->elements() != 1) return unsupported("a number of bits that is not one constant");
  double bits = width->number(0);
  if (!(bits >= 1 && bits <= 32)) return invalid("{} bits, expected 1 to 32", bits);
  bool is_signed = u.i64("signed", 1) != 0, narrow = u.i64("narrow", 0) != 0;
  double low = is_signed ? -std::exp2(bits - 1) + narrow : 0;
  double high = is_signed ? std::exp2(bits - 1) - 1 : std::exp2(bits) - 1 - narrow;
  std::string mode = u.str("rounding_mode", "ROUND");
  const char* rounding = mode == "ROUND" ? "round" : mode == "CEIL" ? "ceil" : mode == "FLOOR" ? "floor" : nullptr;
  if (!rounding) return unsupported("rounding_mode {}", quoted(mode));
  Value* steps = TRY(u.add("add", {TRY(u.add("div", {x, scale})), zero_point}));
  Value* rounded = TRY(u.add(rounding, {steps}));
  Value* clipped = TRY(u.add("clip", {rounded, TRY(u.number_like(x, low)), TRY(u.number_like(x, high))}));
  return u.finish("mul", {TRY(u.add("sub", {clipped, zero_point})), scale}, {}, u.outputs);
}

constexpr UpgradeEntry kEntries[] = {{"quant", quant}};

}  // namespace

std::span<const UpgradeEntry> quant_upgrades() { return kEntries; }

}  // namespace ingot::onnx
