// Lookups that formulas do not express: strings in a sorted table, and probabilities of classes from those of pairs.
#include "ir/ops/algorithms/support.h"

using namespace ingot_alg;

// operands: x (strings), table (strings, sorted, the first ints[0] count). results: i64, the position in the table or -1.
extern "C" int32_t ingot_alg_string_lookup(const ingot_call* call) {
  const ingot_tensor_view &x = call->operands[0], &table = call->operands[1];
  int64_t n = elements(x), count = elements(table);
  if (call->ints[0] < count) count = call->ints[0];
  auto* keys = static_cast<const ingot_string*>(table.data);
  auto* values = static_cast<const ingot_string*>(x.data);
  auto* out = result<int64_t>(call, 0, n);
  if (!out) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    int64_t lo = 0, hi = count;
    while (lo < hi) {
      int64_t middle = lo + (hi - lo) / 2;
      if (compare_bytes(keys[middle], values[i]) < 0) lo = middle + 1;
      else hi = middle;
    }
    out[i] = lo < count && compare_bytes(keys[lo], values[i]) == 0 ? lo : -1;
  }
  return INGOT_RUN_OK;
}

// operands: r, f64 [N, k*(k-1)/2], the probability of class i against j for each pair i < j. results: f64 [N, k].
// ints[0] = k. Pairwise coupling as in libsvm's multiclass_probability (Wu, Lin and Weng, 2004, second method).
extern "C" int32_t ingot_alg_couple_probabilities(const ingot_call* call) {
  const ingot_tensor_view& r = call->operands[0];
  const int64_t rows = r.shape[0], pairs = r.shape[1], k = call->ints[0];
  if (k < 1 || k > 1 << 15 || pairs != k * (k - 1) / 2) return bad_value(call, k);
  auto* pair = static_cast<const double*>(r.data);
  auto* p = result<double>(call, 0, rows * k);
  auto* q = allocate<double>(call, k * k);
  auto* qp = allocate<double>(call, k);
  if (!p || !q || !qp) return no_memory(call);
  const int64_t limit = k > 100 ? k : 100;
  const double enough = 0.005 / static_cast<double>(k);
  for (int64_t n = 0; n < rows; ++n, pair += pairs, p += k) {
    if (cancelled(call)) return INGOT_RUN_CANCELLED;
    auto against = [&](int64_t a, int64_t b) {  // of class a where it is a or b
      int64_t i = a < b ? a : b, j = a < b ? b : a;
      double v = pair[i * (2 * k - i - 1) / 2 + (j - i - 1)];
      return a < b ? v : 1 - v;
    };
    for (int64_t t = 0; t < k; ++t) {
      p[t] = 1.0 / static_cast<double>(k);
      q[t * k + t] = 0;
      for (int64_t j = 0; j < k; ++j) {
        if (j == t) continue;
        double other = against(j, t);
        q[t * k + t] += other * other;
        q[t * k + j] = -other * against(t, j);
      }
    }
    for (int64_t round = 0; round < limit; ++round) {
      double pqp = 0, worst = 0;
      for (int64_t t = 0; t < k; ++t) {
        qp[t] = 0;
        for (int64_t j = 0; j < k; ++j) qp[t] += q[t * k + j] * p[j];
        pqp += p[t] * qp[t];
      }
      for (int64_t t = 0; t < k; ++t) {
        double error = qp[t] > pqp ? qp[t] - pqp : pqp - qp[t];
        if (error > worst) worst = error;
      }
      if (worst < enough) break;
      for (int64_t t = 0; t < k; ++t) {
        double diff = (pqp - qp[t]) / q[t * k + t];
        p[t] += diff;
        pqp = (pqp + diff * (diff * q[t * k + t] + 2 * qp[t])) / (1 + diff) / (1 + diff);
        for (int64_t j = 0; j < k; ++j) {
          qp[j] = (qp[j] + diff * q[t * k + j]) / (1 + diff);
          p[j] /= 1 + diff;
        }
      }
    }
  }
  release(call, q);
  release(call, qp);
  return INGOT_RUN_OK;
}
