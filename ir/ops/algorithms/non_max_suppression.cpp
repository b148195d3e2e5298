// NonMaxSuppression: operands boxes f32 [B, N, 4], scores f32 [B, C, N], and optional scalars: most boxes per class
// (i64), IoU threshold, score threshold (f32); ints: 1 where boxes are (x, y, width, height), else corners (y, x, y, x)
// in any order; result i64 [n, 3], symbol n. The order of arithmetic is that of the ONNX reference, in f32.
//
// Each candidate is compared with all boxes that were kept: detectors of many classes keep thousands. Their corners and areas
// lie in one array each, and are compared kBlock at a time without a branch, which compilers make vectors of.
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

float area_of(const Box& b) { return (b.x1 - b.x0) * (b.y1 - b.y0); }

constexpr int64_t kBlock = 64;

// Boxes by coordinate, so that neighbours in memory are the same coordinate of other boxes.
struct Kept {
  float *x0, *y0, *x1, *y1, *area;
  int64_t count = 0;

  void add(const Box& b) {
    x0[count] = b.x0, y0[count] = b.y0, x1[count] = b.x1, y1[count] = b.y1, area[count] = area_of(b);
    ++count;
  }

  // Whether one of them covers more than `threshold` of what it and `a` cover together.
  bool any_overlaps(const Box& a, float threshold) const {
    const float area_a = area_of(a);
    for (int64_t begin = 0; begin < count; begin += kBlock) {
      const int64_t end = begin + kBlock < count ? begin + kBlock : count;
      int32_t found = 0;
      for (int64_t j = begin; j < end; ++j) {
        const float left = larger(a.x0, x0[j]), right = smaller(a.x1, x1[j]);
        const float top = larger(a.y0, y0[j]), bottom = smaller(a.y1, y1[j]);
        const float both = (right - left) * (bottom - top), either = area_a + area[j] - both;
        const int32_t real = (right > left) & (bottom > top) & !(both <= 0) & !(area[j] <= 0) & !(either <= 0);
        found |= real & (both / either > threshold);
      }
      if (found) return !(area_a <= 0);
    }
    return false;
  }
};

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
  auto* order = allocate<int64_t>(call, n);
  auto* coordinates = allocate<float>(call, 5 * most);
  auto* found = allocate<int64_t>(call, batches * classes * most * 3);
  if (!order || !coordinates || !found) return no_memory(call);
  int64_t count = 0;
  for (int64_t b = 0; b < batches; ++b) {
    for (int64_t c = 0; c < classes; ++c) {
      if (cancelled(call)) return INGOT_RUN_CANCELLED;
      const float *box = all_boxes + b * n * 4, *score = all_scores + (b * classes + c) * n;
      int64_t candidates = 0;
      Kept kept{coordinates, coordinates + most, coordinates + 2 * most, coordinates + 3 * most,
                coordinates + 4 * most};
      for (int64_t i = 0; i < n; ++i) {
        if (!has_floor || score[i] > floor_score) order[candidates++] = i;
      }
      heap_sort(order, candidates, [&](int64_t p, int64_t q) {
        float sp = score[p], sq = score[q];
        bool np = sp != sp, nq = sq != sq;  // NaN last, so that the order is total
        if (np || nq) return np != nq ? nq : p < q;
        return sp != sq ? sp > sq : p < q;
      });
      for (int64_t i = 0; i < candidates && kept.count < most; ++i) {
        const Box candidate = corners(box + order[i] * 4, call->ints[0] != 0);
        if (kept.any_overlaps(candidate, iou)) continue;
        kept.add(candidate);
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
  release(call, coordinates);
  release(call, order);
  return INGOT_RUN_OK;
}
