// Slice whose axes or steps only the run knows: operands i64: the shape [r], starts, ends [k], axes and steps (or
// absent); result i64 [r, 2]: where each dim starts, and its step; symbols: the extents.
#include "ir/ops/algorithms/support.h"

extern "C" int32_t ingot_alg_slice_bounds(const ingot_call* call) {
  using namespace ingot_alg;
  auto data = [&](int k) {
    return k < call->operand_count ? static_cast<const int64_t*>(call->operands[k].data) : nullptr;
  };
  const int64_t *shape = data(0), *starts = data(1), *ends = data(2), *axes = data(3), *steps = data(4);
  int64_t rank = elements(call->operands[0]), count = elements(call->operands[1]);
  for (int k = 2; k < call->operand_count; ++k) {
    if (call->operands[k].data && elements(call->operands[k]) != count)
      return bad_value(call, elements(call->operands[k]));
  }
  auto* place = result<int64_t>(call, 0, rank * 2);
  if (!place) return no_memory(call);
  for (int64_t k = 0; k < rank; ++k) {
    place[k * 2] = 0;
    place[k * 2 + 1] = 0;  // not named yet
    call->symbols[k] = shape[k];
  }
  for (int64_t k = 0; k < count; ++k) {
    int64_t axis = axes ? axes[k] : k, step = steps ? steps[k] : 1;
    if (axis < -rank || axis >= rank) return bad_value(call, axis);
    if (axis < 0) axis += rank;
    if (step == 0 || place[axis * 2 + 1] != 0) return bad_value(call, step == 0 ? 0 : axis);
    // Going down over no elements, both bounds are -1: `last` limits what `lowest` gave.
    int64_t n = shape[axis], last = step > 0 ? n : n - 1;
    auto clamped = [&](int64_t v, int64_t lowest) {
      if (v < 0) v += n;
      if (v < lowest) v = lowest;
      return v > last ? last : v;
    };
    int64_t from = clamped(starts[k], 0), to = clamped(ends[k], step > 0 ? 0 : -1);
    int64_t distance = step > 0 ? to - from : from - to;
    uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
    place[axis * 2] = from;
    place[axis * 2 + 1] = step;
    call->symbols[axis] =
        distance > 0 ? static_cast<int64_t>((static_cast<uint64_t>(distance) + stride - 1) / stride) : 0;
  }
  for (int64_t k = 0; k < rank; ++k) {
    if (place[k * 2 + 1] == 0) place[k * 2 + 1] = 1;
  }
  return INGOT_RUN_OK;
}
