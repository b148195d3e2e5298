// Det and Inverse of matrices, by elimination with row pivots, in f64. Operand x: f32 or f64 [B..., M, M].
#include "ir/ops/algorithms/support.h"

namespace {

using namespace ingot_alg;

double magnitude(double v) { return v < 0 ? -v : v; }

// Reduces `a` [m, width] in place; gives the determinant of its left square, 0 where it is singular. With `full`, the
// left square becomes the identity.
double eliminate(double* a, int64_t m, int64_t width, bool full) {
  double det = 1;
  for (int64_t c = 0; c < m; ++c) {
    int64_t pivot = c;
    for (int64_t r = c + 1; r < m; ++r) {
      if (magnitude(a[r * width + c]) > magnitude(a[pivot * width + c])) pivot = r;
    }
    if (pivot != c) {
      for (int64_t j = 0; j < width; ++j) {
        double t = a[c * width + j];
        a[c * width + j] = a[pivot * width + j];
        a[pivot * width + j] = t;
      }
      det = -det;
    }
    double p = a[c * width + c];
    det *= p;
    if (p == 0 && !full) return 0;
    if (full) {
      for (int64_t j = 0; j < width; ++j) a[c * width + j] /= p;
      p = 1;
    }
    for (int64_t r = full ? 0 : c + 1; r < m; ++r) {
      if (r == c) continue;
      double f = a[r * width + c] / p;
      for (int64_t j = c; j < width; ++j) a[r * width + j] -= f * a[c * width + j];
    }
  }
  return det;
}

template <class T>
int32_t run(const ingot_call* call, bool inverse) {
  const ingot_tensor_view& x = call->operands[0];
  int64_t m = x.shape[x.rank - 1], batches = 1, width = inverse ? 2 * m : m;
  for (int32_t d = 0; d < x.rank - 2; ++d) batches *= x.shape[d];
  auto* a = allocate<double>(call, m * width);
  if (!a) return no_memory(call);
  const auto* from = static_cast<const T*>(x.data);
  auto* to = static_cast<T*>(call->results[0].data);
  for (int64_t b = 0; b < batches; ++b) {
    if (cancelled(call)) return INGOT_RUN_CANCELLED;
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < m; ++c) a[r * width + c] = static_cast<double>(from[(b * m + r) * m + c]);
      for (int64_t c = m; c < width; ++c) a[r * width + c] = c - m == r ? 1 : 0;
    }
    double det = eliminate(a, m, width, inverse);
    if (!inverse) {
      to[b] = static_cast<T>(det);
      continue;
    }
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < m; ++c) to[(b * m + r) * m + c] = static_cast<T>(a[r * width + m + c]);
    }
  }
  release(call, a);
  return INGOT_RUN_OK;
}

}  // namespace

extern "C" int32_t ingot_alg_det(const ingot_call* call) {
  return call->operands[0].dtype == INGOT_F64 ? run<double>(call, false) : run<float>(call, false);
}
extern "C" int32_t ingot_alg_inverse(const ingot_call* call) {
  return call->operands[0].dtype == INGOT_F64 ? run<double>(call, true) : run<float>(call, true);
}
