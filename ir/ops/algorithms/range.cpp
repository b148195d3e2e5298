// Range of floats whose length the data decides: operands start, limit, delta (f32 or f64); result [n], symbol n.
#include "ir/ops/algorithms/support.h"

namespace {

template <class T>
int32_t run(const ingot_call* call) {
  using namespace ingot_alg;
  auto value = [&](int k) { return *static_cast<const T*>(call->operands[k].data); };
  constexpr double kMost = 4294967296.0;  // kMaxFloatRange
  double start = value(0), delta = value(2), count = (static_cast<double>(value(1)) - start) / delta;
  if (delta == 0 || !(count < kMost)) return bad_value(call, 0);
  auto n = count > 0 ? static_cast<int64_t>(count) : 0;
  if (count > 0 && static_cast<double>(n) < count) ++n;
  call->symbols[0] = n;
  set_shape(call, 0, 0, n);
  T* y = result<T>(call, 0, n);
  if (!y) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) y[i] = value(0) + static_cast<T>(i) * value(2);
  return INGOT_RUN_OK;
}

}  // namespace

extern "C" int32_t ingot_alg_range(const ingot_call* call) {
  return call->operands[0].dtype == INGOT_F64 ? run<double>(call) : run<float>(call);
}
