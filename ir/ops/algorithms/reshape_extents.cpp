// Reshape to a shape that only the run knows: operands i64: the extents of x, the shape (0: as in x unless ints[0],
// allowzero; one -1: what is left); symbols: the extents. Fails the run where the numbers of elements differ.
// What is left: equal extents of x and of the shape cancel, also those that are 0, as where inference knows the shape
// (ir/ops/reshape.cpp).
#include "ir/ops/algorithms/support.h"

namespace {

int64_t count_of(const int64_t* list, int64_t count, int64_t n, int64_t except = -1) {
  int64_t times = 0;
  for (int64_t k = 0; k < count; ++k) times += k != except && list[k] == n;
  return times;
}

}  // namespace

extern "C" int32_t ingot_alg_reshape_extents(const ingot_call* call) {
  using namespace ingot_alg;
  const auto *from = static_cast<const int64_t*>(call->operands[0].data),
             *to = static_cast<const int64_t*>(call->operands[1].data);
  int64_t rank = elements(call->operands[0]), count = elements(call->operands[1]), total = 1, product = 1,
          inferred = -1;
  for (int64_t k = 0; k < rank; ++k)  // the number of elements of a tensor; of an empty one the others may be large
    if (__builtin_mul_overflow(total, from[k], &total)) total = 0;
  for (int64_t k = 0; k < count; ++k) {
    int64_t n = to[k];
    if (n == -1 && inferred < 0) {
      inferred = k;
      continue;
    }
    if (n == 0 && call->ints[0] == 0) {
      if (k >= rank) return bad_value(call, n);
      n = from[k];
    }
    if (n < 0 || __builtin_mul_overflow(product, n, &product)) return bad_value(call, n);
    call->symbols[k] = n;
  }
  if (inferred >= 0) {
    const bool zeros_cancel = call->ints[0] == 0;
    int64_t left = 1, divisor = 1;
    auto cancels = [&](int64_t n) { return n != 0 || zeros_cancel; };
    for (int64_t k = 0; k < rank; ++k) {  // of equal extents the last ones are left
      const int64_t before = count_of(from, k, from[k]);
      const bool stays = !cancels(from[k]) || before >= count_of(call->symbols, count, from[k], inferred);
      // An extent of 0 that cancels no longer bounds the product of the others.
      if (stays && __builtin_mul_overflow(left, from[k], &left)) return bad_value(call, -1);
    }
    for (int64_t k = 0; k < count; ++k) {
      if (k == inferred) continue;
      const int64_t n = call->symbols[k], before = count_of(call->symbols, k, n, inferred);
      const bool stays = !cancels(n) || before >= count_of(from, rank, n);
      if (stays && __builtin_mul_overflow(divisor, n, &divisor)) return bad_value(call, -1);
    }
    if (divisor == 0 || left % divisor != 0) return bad_value(call, -1);
    call->symbols[inferred] = left / divisor;
    if (__builtin_mul_overflow(product, left / divisor, &product)) return bad_value(call, -1);
  }
  if (product != total) {
    int64_t args[] = {product, total};
    return call->context->report(call->context, call->node, INGOT_RUN_DIM, 2, args);
  }
  return INGOT_RUN_OK;
}
