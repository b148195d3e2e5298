// Attention as stages, shared by the operators that contain it:
//
//   s[b,h,i,j] = sum(d) q[b,h,i,d] * k[b,h,j,d]
//   l          = softcap(s * scale) + bias
//   m = max(j) l;  e = exp(l - m);  z = sum(j) e;  p = e / z      (with a sink: m = max(m, sink), z += exp(sink - m))
//   y[b,h,i,d] = sum(j) p[b,h,i,j] * v[b,h,j,d]
//
// Heads are indexed where they lie (packed in rows or not, shared by groups of queries), so nothing is transposed or
// repeated. The schedules that run these stages without storing s recognise them, not the operator.
#pragma once

#include "ir/ops/nn_common.h"

namespace ingot::nn {

struct AttentionSpec {
  Dim batch, heads, queries, keys, head_size, value_size;
  std::function<Expr(const Dim& b, const Dim& h, const Dim& i, const Dim& d)> q;
  std::function<Expr(const Dim& b, const Dim& h, const Dim& j, const Dim& d)> k, v;
  std::function<Expr(Ix)> bias;   // at [b,h,i,j], in `type`; null: none. -inf takes a key out
  std::function<Expr(const Dim& h)> sink;  // a logit of a key without a value, in `softmax_type`; null: none
  bool zero_masked_rows = true;   // a row whose keys are all out gives 0 and not NaN
  double scale = 0, softcap = 0;  // scale 0: 1 / sqrt(head_size)
  DType type = DType::F32;        // of scores
  DType softmax_type = DType::F32;
};

struct AttentionResult {
  Tensor scores, capped, biased, probabilities, y;  // capped, biased: as scores where there is no such step
};
AttentionResult attend(Def& d, const AttentionSpec& a);

// What scores are multiplied with: `scale`, or 1 / sqrt(size) where it is 0. In dtype t.
Expr score_scale(Def& d, double scale, const Dim& size, DType t);

// y: [B, H, L, D] -> [B, L, H*D] in dtype t.
Tensor merge_heads(Def& d, const Tensor& y, DType t);

}  // namespace ingot::nn
