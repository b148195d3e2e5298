// com.microsoft: operators that share a name with one of ai.onnx, and whose inputs and outputs differ from it.
#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

// x: [n] -> uniques in the order in which they occur, the place among them of each element of x, their counts.
Result<void> unique(Upgrade& u) {
  if (u.outputs.size() > 3) return invalid("got {} outputs, expected at most 3", u.outputs.size());
  auto out = [&](size_t i) { return i < u.outputs.size() ? u.outputs[i] : nullptr; };
  std::vector<Value*> outputs = {out(0), nullptr, out(1), out(2)};
  while (!outputs.back()) outputs.pop_back();
  return u.finish("unique", {u.in(0)}, {{"sorted", int64_t{0}}}, outputs);
}

// The step may be absent: 1.
Result<void> range(Upgrade& u) {
  if (u.in(0) && !u.in(2)) u.set_input(2, TRY(u.number_like(u.in(0), 1)));
  return {};
}

constexpr UpgradeEntry kEntries[] = {{"unique", unique}, {"range", range}};

}  // namespace

std::span<const UpgradeEntry> microsoft_upgrades() { return kEntries; }

}  // namespace ingot::onnx
