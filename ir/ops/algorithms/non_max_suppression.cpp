// NonMaxSuppression: operands boxes f32 [B, N, 4], scores f32 [B, C, N], and optional scalars: most boxes per class
// (i64), IoU threshold, score threshold (f32); ints: 1 where boxes are (x, y, width, height), else corners (y, x, y, x)
// in any order; result i64 [n, 3], symbol n. The order of arithmetic is that of the ONNX reference, in f32.
#include "ir/ops/algorithms/support.h"

namespace {

struct Box {
  float x0, y0, x1, y1;
};

float smaller(float a, float b) { return a < b ? a : b; }
float larger(float a, float b) { return a >= b ? a : b; }

Box corners(const float* b, bool centre) {
  if (centre) return {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
  return {smaller(b[1], b[3]), smaller(b[0], b[2]), larger(b[1], b[3]), larger(b[0], b[2])};
}

bool overlap(const Box& a, const Box& b, float threshold) {
  float x0 = larger(a.x0, b.x0), x1 = smaller(a.x1, b.x1), y0 = larger(a.y0, b.y0), y1 = smaller(a.y1, b.y1);
  if (!(x1 > x0) || !(y1 > y0)) return false;
  float both = (x1 - x0) * (y1 - y0), area_a = (a.x1 - a.x0) * (a.y1 - a.y0), area_b = (b.x1 - b.x0) * (b.y1 - b.y0);
  float either = area_a + area_b - both;
  if (both <= 0 || area_a <= 0 || area_b <= 0 || either <= 0) return false;
  return both / either > threshold;
}

bool present(const ingot_call* call, int k) {
  return k < call->operand_count && call->operands[k].data && ingot_alg::elements(call->operands[k]) > 0;
}

}  // namespace

extern "C" int32_t ingot_alg_non_max_suppression(const ingot_call* call) {
  using namespace ingot_alg;
  const ingot_tensor_view &boxes = call->operands[0], &scores = call->operands[1];
  const auto *all_boxes = static_cast<const float*>(boxes.data), *all_scores = static_cast<const float*>(scores.data);
  int64_t batches = boxes.shape[0], n = boxes.shape[1], classes = scores.shape[1];
  int64_t most = present(call, 2) ? *static_cast<const int64_t*>(call->operands[2].data) : 0;
  float iou = present(call, 3) ? *static_cast<const float*>(call->operands[3].data) : 0;
  bool has_floor = present(call, 4);
  float floor_score = has_floor ? *static_cast<const float*>(call->operands[4].data) : 0;
  if (most > n) most = n;
  if (most < 0) most = 0;
  auto *order = allocate<int64_t>(call, n), *kept = allocate<int64_t>(call, most);
  auto* found = allocate<int64_t>(call, batches * classes * most * 3);
  if (!order || !kept || !found) return no_memory(call);
  int64_t count = 0;
  for (int64_t b = 0; b < batches; ++b) {
    for (int64_t c = 0; c < classes; ++c) {
      if (cancelled(call)) return INGOT_RUN_CANCELLED;
      const float *box = all_boxes + b * n * 4, *score = all_scores + (b * classes + c) * n;
      int64_t candidates = 0, chosen = 0;
      for (int64_t i = 0; i < n; ++i) {
        if (!has_floor || score[i] > floor_score) order[candidates++] = i;
      }
      heap_sort(order, candidates, [&](int64_t p, int64_t q) {
        float sp = score[p], sq = score[q];
        bool np = sp != sp, nq = sq != sq;  // NaN last, so that the order is total
        if (np || nq) return np != nq ? nq : p < q;
        return sp != sq ? sp > sq : p < q;
      });
      for (int64_t i = 0; i < candidates && chosen < most; ++i) {
        Box candidate = corners(box + order[i] * 4, call->ints[0] != 0);
        bool keep = true;
        for (int64_t j = 0; j < chosen && keep; ++j) {
          keep = !overlap(candidate, corners(box + kept[j] * 4, call->ints[0] != 0), iou);
        }
        if (!keep) continue;
        kept[chosen++] = order[i];
        found[count * 3] = b, found[count * 3 + 1] = c, found[count * 3 + 2] = order[i];
        ++count;
      }
    }
  }
  call->symbols[0] = count;
  set_shape(call, 0, 0, count);
  set_shape(call, 0, 1, 3);
  auto* y = result<int64_t>(call, 0, count * 3);
  if (!y) return no_memory(call);
  for (int64_t i = 0; i < count * 3; ++i) y[i] = found[i];
  release(call, found);
  release(call, kept);
  release(call, order);
  return INGOT_RUN_OK;
}
