// Unique: operand x; ints axis (-1: elements of x flattened), sorted; results: the distinct slices, the index of the
// first of each, for each slice the number of its like, how many there are; symbol: their number. By sorting the
// numbers of the slices.
#include "ir/ops/algorithms/support.h"

namespace {

struct Slices {
  const ingot_tensor_view* x;
  int64_t count, outer, inner, bytes;

  int64_t at(int64_t slice, int64_t element) const {
    return element / inner * count * inner + slice * inner + element % inner;
  }
  int compare(int64_t a, int64_t b) const {
    for (int64_t e = 0; e < outer * inner; ++e) {
      if (x->dtype == INGOT_STRING) {
        const auto* s = static_cast<const ingot_string*>(x->data);
        if (int c = ingot_alg::compare_bytes(s[at(a, e)], s[at(b, e)])) return c;
      } else {
        uint64_t p = ingot_alg::sort_key(*x, at(a, e)), q = ingot_alg::sort_key(*x, at(b, e));
        if (p != q) return p < q ? -1 : 1;
      }
    }
    return 0;
  }
};

}  // namespace

extern "C" int32_t ingot_alg_unique(const ingot_call* call) {
  using namespace ingot_alg;
  const ingot_tensor_view& x = call->operands[0];
  auto axis = static_cast<int32_t>(call->ints[0]);
  bool sorted = call->ints[1] != 0;
  Slices s{&x, elements(x), 1, 1, element_bytes(x.dtype)};
  if (axis >= 0) {
    s.count = x.shape[axis];
    for (int32_t d = 0; d < axis; ++d) s.outer *= x.shape[d];
    for (int32_t d = axis + 1; d < x.rank; ++d) s.inner *= x.shape[d];
  }
  int64_t m = s.count;
  auto *order = allocate<int64_t>(call, m), *group = allocate<int64_t>(call, m);
  if (!order || !group) return no_memory(call);
  for (int64_t i = 0; i < m; ++i) order[i] = i;
  heap_sort(order, m, [&](int64_t a, int64_t b) {
    int c = s.compare(a, b);
    return c != 0 ? c < 0 : a < b;
  });
  // The first of each run of equals; group[k] is its slice.
  int64_t n = 0;
  for (int64_t k = 0; k < m; ++k) {
    if (k == 0 || s.compare(order[k - 1], order[k]) != 0) group[n++] = k;
  }
  auto* number = allocate<int64_t>(call, n);  // run -> its place in the result
  if (!number) return no_memory(call);
  for (int64_t g = 0; g < n; ++g) number[g] = g;
  if (!sorted) {
    auto* by_first = allocate<int64_t>(call, n);
    if (!by_first) return no_memory(call);
    for (int64_t g = 0; g < n; ++g) by_first[g] = g;
    heap_sort(by_first, n, [&](int64_t a, int64_t b) { return order[group[a]] < order[group[b]]; });
    for (int64_t g = 0; g < n; ++g) number[by_first[g]] = g;
    release(call, by_first);
  }
  call->symbols[0] = n;
  for (int32_t d = 0; axis >= 0 && d < x.rank; ++d) set_shape(call, 0, d, x.shape[d]);
  set_shape(call, 0, axis < 0 ? 0 : axis, n);
  set_shape(call, 1, 0, n);
  set_shape(call, 2, 0, m);
  set_shape(call, 3, 0, n);
  auto* y = result<char>(call, 0, n * s.outer * s.inner * s.bytes);
  auto *first = result<int64_t>(call, 1, n), *inverse = result<int64_t>(call, 2, m),
       *counts = result<int64_t>(call, 3, n);
  if (!y || !first || !inverse || !counts) return no_memory(call);
  for (int64_t g = 0; g < n; ++g) {
    int64_t begin = group[g], end = g + 1 < n ? group[g + 1] : m, to = number[g];
    first[to] = order[begin];
    counts[to] = end - begin;
    for (int64_t k = begin; k < end; ++k) inverse[order[k]] = to;
    for (int64_t e = 0; e < s.outer * s.inner; ++e) {
      int64_t target = e / s.inner * n * s.inner + to * s.inner + e % s.inner;
      copy_bytes(y + target * s.bytes, static_cast<const char*>(x.data) + s.at(order[begin], e) * s.bytes, s.bytes);
    }
  }
  release(call, order);
  release(call, group);
  release(call, number);
  return INGOT_RUN_OK;
}
