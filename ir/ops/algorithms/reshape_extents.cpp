// Reshape to a shape that only the run knows: operands i64: the extents of x, the shape (0: as in x unless ints[0],
// allowzero; one -1: what is left); symbols: the extents. Fails the run where the numbers of elements differ.
#include "ir/ops/algorithms/support.h"

extern "C" int32_t ingot_alg_reshape_extents(const ingot_call* call) {
  using namespace ingot_alg;
  const auto *from = static_cast<const int64_t*>(call->operands[0].data),
             *to = static_cast<const int64_t*>(call->operands[1].data);
  int64_t rank = elements(call->operands[0]), count = elements(call->operands[1]), total = 1, product = 1,
          inferred = -1;
  for (int64_t k = 0; k < rank; ++k) total *= from[k];  // the number of elements of a tensor: no overflow
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
    if (product == 0 || total % product != 0) return bad_value(call, -1);
    call->symbols[inferred] = total / product;
    product *= total / product;
  }
  if (product != total) {
    int64_t args[] = {product, total};
    return call->context->report(call->context, call->node, INGOT_RUN_DIM, 2, args);
  }
  return INGOT_RUN_OK;
}
