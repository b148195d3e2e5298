// Ops whose meaning is an algorithm and not a formula: sorting, and results whose extents the data decides. Each is a
// call to ir/ops/algorithms/, with maps around it.
#include <algorithm>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

// TopK-24. x: [..., N, ...], k: [1] -> the k largest (or smallest) along `axis`, in order, and their i64 indices; the
// lower index first among equals; NaN counts as the largest.
Result<void> define_top_k(Def& d) {
  TRY(expect_arithmetic(d, 1));
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0);
  int axis = TRY(d.axis(d.i64("axis", -1), x.rank()));
  Dim k = TRY(integer_input(d, 1, 0));
  TRY(d.require(max(less(k, x.dim(axis)), equal(k, x.dim(axis))),
                fmt::format("k is {}, expected at most the extent {}", k.str(), x.dim(axis).str())));
  if (k.upper() < 0) return invalid("k is {}, expected no negative number", k.str());
  Dims dims = replaced(x.dims(), axis, k);
  auto y = d.call("top_k", {x}, {{x.dtype(), dims}, {DType::I64, dims}}, {{axis, d.i64("largest", 1)}, {}, {}, {}});
  d.out(y[0]);
  d.out(y[1]);
  return {};
}

namespace {

// The indices [rank, n] of the elements of a bool tensor that are true, in row-major order.
Tensor true_indices(Def& d, const Tensor& mask) {
  Symbol n = d.unknown_dim(0, product(mask.dims()));
  return d.call("non_zero", {mask}, {{DType::I64, {mask.rank(), Dim(n)}}}, {{}, {}, {}, {n}})[0];
}

}  // namespace

// NonZero-13. x: [...] of rank r -> i64 [r, n]
Result<void> define_non_zero(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  if (x.dtype() != DType::Bool) {
    x = d.map(x.dims(), [&](Ix i) { return ex::binary(ScalarOp::Ne, d.in(0)(i), zero(d.dtype(0))); });
  }
  d.out(true_indices(d, x));
  return {};
}

// Compress-11. x: [...], condition: bool [c] -> the slices along `axis` (absent: the elements of x flattened) whose
// condition is true; a condition that is too short counts as false.
Result<void> define_compress(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), condition = d.in(1);
  if (condition.rank() != 1 || condition.dtype() != DType::Bool) {
    return invalid("condition has type {}, expected a bool vector", condition.type().str());
  }
  int axis = 0;
  if (d.has_attr("axis")) {
    axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  } else {
    x = reshaped(d, x, {product(x.dims())});
  }
  TRY(d.require(
      max(less(condition.dim(0), x.dim(axis)), equal(condition.dim(0), x.dim(axis))),
      fmt::format("condition has {} elements, expected at most {}", condition.dim(0).str(), x.dim(axis).str())));
  Tensor chosen = true_indices(d, condition);
  d.out(d.map(replaced(x.dims(), axis, chosen.dim(1)), [&](Ix i) {
    std::vector<Expr> at;
    for (const Dim& v : i) at.push_back(ex::index(v));
    at[static_cast<size_t>(axis)] = chosen(0, i[static_cast<size_t>(axis)]);
    return x(at);
  }));
  return {};
}

// Unique-11. x: [...] -> the distinct elements (or slices along `axis`), the index of the first of each, for each
// element the number of its like, and how many there are. sorted: ascending, else in order of first occurrence.
Result<void> define_unique(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  if (!is_arithmetic(x.dtype()) && x.dtype() != DType::String) return unsupported("element type {}", name(x.dtype()));
  bool flat = !d.has_attr("axis");
  int axis = flat ? 0 : TRY(d.axis(d.i64("axis", 0), x.rank()));
  Dim count = flat ? product(x.dims()) : x.dim(axis);
  Symbol n = d.unknown_dim(0, count);
  Dims dims = flat ? Dims{Dim(n)} : replaced(x.dims(), axis, Dim(n));
  auto y =
      d.call("unique", {x}, {{x.dtype(), dims}, {DType::I64, {Dim(n)}}, {DType::I64, {count}}, {DType::I64, {Dim(n)}}},
             {{flat ? -1 : axis, d.i64("sorted", 1)}, {}, {}, {n}});
  for (int k = 0; k < std::max(1, d.outputs()); ++k) d.out(k < 4 ? y[static_cast<size_t>(k)] : Tensor());
  return {};
}

// NonMaxSuppression-11. boxes: [B, N, 4], scores: [B, C, N], max_output_boxes_per_class, iou_threshold,
// score_threshold: scalars -> i64 [n, 3] of (batch, class, box), the best first within a class.
Result<void> define_non_max_suppression(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor boxes = d.in(0), scores = d.in(1);
  if (boxes.rank() != 3 || scores.rank() != 3)
    return invalid("boxes and scores have ranks {} and {}, expected 3", boxes.rank(), scores.rank());
  if (boxes.dtype() != DType::F32 || scores.dtype() != DType::F32) {
    return invalid("boxes and scores have types {} and {}, expected f32", boxes.type().str(), scores.type().str());
  }
  TRY(d.require(
      min(equal(boxes.dim(2), 4), min(equal(boxes.dim(0), scores.dim(0)), equal(boxes.dim(1), scores.dim(2)))),
      fmt::format("boxes and scores have types {} and {}, expected [B, N, 4] and [B, C, N]", boxes.type().str(),
                  scores.type().str())));
  int64_t format = d.i64("center_point_box", 0);
  if (format != 0 && format != 1) return invalid("center_point_box is {}, expected 0 or 1", format);
  Dim per_class = boxes.dim(1);
  if (TensorRef most = d.constant(2); most && most->elements() == 1) {
    per_class = min(per_class, std::clamp<int64_t>(most->integer(0), 0, kDimMax));
  }
  Symbol n = d.unknown_dim(0, boxes.dim(0) * scores.dim(1) * per_class);
  std::vector<Tensor> operands{boxes, scores};
  for (int k = 2; k < 5; ++k) operands.push_back(d.has(k) ? d.in(k) : Tensor());
  d.out(d.call("non_max_suppression", operands, {{DType::I64, {Dim(n), 3}}}, {{format}, {}, {}, {n}})[0]);
  return {};
}

}  // namespace ingot
