// NonZero: operand a bool tensor; result i64 [rank, n], row-major; symbol n.
#include "ir/ops/algorithms/support.h"

extern "C" int32_t ingot_alg_non_zero(const ingot_call* call) {
  using namespace ingot_alg;
  const ingot_tensor_view& x = call->operands[0];
  const auto* mask = static_cast<const uint8_t*>(x.data);
  int64_t total = elements(x), n = 0;
  for (int64_t i = 0; i < total; ++i) n += mask[i] != 0;
  call->symbols[0] = n;
  set_shape(call, 0, 0, x.rank);
  set_shape(call, 0, 1, n);
  auto* y = result<int64_t>(call, 0, n * x.rank);
  if (!y) return no_memory(call);
  int64_t at = 0;
  for (int64_t i = 0; i < total; ++i) {
    if (!mask[i]) continue;
    int64_t rest = i;
    for (int32_t d = x.rank; d-- > 0;) {
      y[d * n + at] = rest % x.shape[d];
      rest /= x.shape[d];
    }
    ++at;
  }
  return INGOT_RUN_OK;
}
