// TopK: operands x; results values, indices; ints axis, largest. One heap of k candidates per row, the worst at its
// root: O(n log k), and no copy of the row.
#include "ir/ops/algorithms/support.h"

namespace {
struct Candidate {
  uint64_t key;
  int64_t index;
};
// Ties go to the lower index.
bool better(const Candidate& a, const Candidate& b) { return a.key != b.key ? a.key > b.key : a.index < b.index; }
}  // namespace

extern "C" int32_t ingot_alg_top_k(const ingot_call* call) {
  using namespace ingot_alg;
  const ingot_tensor_view &x = call->operands[0], &values = call->results[0], &indices = call->results[1];
  auto axis = static_cast<int32_t>(call->ints[0]);
  bool largest = call->ints[1] != 0;
  int64_t n = x.shape[axis], k = values.shape[axis], outer = 1, inner = 1;
  for (int32_t d = 0; d < axis; ++d) outer *= x.shape[d];
  for (int32_t d = axis + 1; d < x.rank; ++d) inner *= x.shape[d];
  int bytes = element_bytes(x.dtype);
  if (!bytes || k > n) return bad_value(call, k);
  if (k == 0) return INGOT_RUN_OK;
  auto* heap = allocate<Candidate>(call, k);
  if (!heap) return no_memory(call);
  for (int64_t row = 0; row < outer * inner; ++row) {
    if (cancelled(call)) return INGOT_RUN_CANCELLED;
    int64_t base = row / inner * n * inner + row % inner, size = 0;
    for (int64_t j = 0; j < n; ++j) {
      uint64_t key = sort_key(x, base + j * inner);
      Candidate c{largest ? key : ~key, j};
      if (size < k) {
        int64_t at = size++;
        while (at > 0 && better(heap[(at - 1) / 2], c)) {  // the parent is the worse one
          heap[at] = heap[(at - 1) / 2];
          at = (at - 1) / 2;
        }
        heap[at] = c;
      } else if (better(c, heap[0])) {
        int64_t at = 0;
        for (;;) {
          int64_t child = 2 * at + 1;
          if (child >= k) break;
          if (child + 1 < k && better(heap[child], heap[child + 1])) ++child;  // the worse child
          if (!better(c, heap[child])) break;
          heap[at] = heap[child];
          at = child;
        }
        heap[at] = c;
      }
    }
    heap_sort(heap, k, [](const Candidate& a, const Candidate& b) { return better(a, b); });
    int64_t to = row / inner * k * inner + row % inner;
    for (int64_t j = 0; j < k; ++j) {
      copy_bytes(static_cast<char*>(values.data) + (to + j * inner) * bytes,
                 static_cast<const char*>(x.data) + (base + heap[j].index * inner) * bytes, bytes);
      static_cast<int64_t*>(indices.data)[to + j * inner] = heap[j].index;
    }
  }
  release(call, heap);
  return INGOT_RUN_OK;
}
