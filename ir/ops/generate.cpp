// Tensors made from little: constants, ranges, diagonals, windows.
#include <cmath>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

// ConstantOfShape-25. shape: [r] -> [shape] filled with `value` (default f32 0).
Result<void> define_constant_of_shape(Def& d) {
  TRY(expect_tensors(d, 1));
  if (d.in(0).rank() != 1) return invalid("shape has rank {}, expected 1", d.in(0).rank());
  const std::optional<int> rank = d.declared_rank(0);
  Dims dims = TRY(rank ? d.integers_of_length(0, *rank, 0) : d.integers(0, 0));
  for (const Dim& n : dims) {
    if (n.upper() < 0) return invalid("shape has the extent {}, expected no negative number", n.str());
  }
  TensorRef value = d.tensor("value");
  if (!value) {
    d.out(d.map(dims, [](Ix) { return zero(DType::F32); }));
    return {};
  }
  if (value->elements() != 1) return invalid("value has {} elements, expected 1", value->elements());
  DType t = value->dtype;
  if (!is_arithmetic(t)) {
    Tensor c = d.constant(value);
    d.out(d.map(dims, [&](Ix) { return scalar_of(c); }));
    return {};
  }
  Expr e = is_float(t) ? ex::number(t, value->number(0)) : ex::integer(t, value->integer(0));
  d.out(d.map(dims, [&](Ix) { return e; }));
  return {};
}

namespace {

// The number of elements of a float range, as the ONNX operator counts them.
int64_t range_count(double start, double limit, double delta) {
  double n = std::ceil((limit - start) / delta);
  return n > 0 ? static_cast<int64_t>(std::min(n, static_cast<double>(kDimMax))) : 0;
}

}  // namespace

// The most elements of a range of floats that is computed at run time.
constexpr int64_t kMaxFloatRange = int64_t{1} << 32;

// Range-27. start, limit, delta: scalars -> [max(ceil((limit - start)/delta), 0)]; y[i] = start + i*delta.
Result<void> define_range(Def& d) {
  TRY(expect_arithmetic(d, 3));
  Tensor start = d.in(0), limit = d.in(1), delta = d.in(2);
  TRY(expect_same_dtype(start, limit, "start and limit"));
  TRY(expect_same_dtype(start, delta, "start and delta"));
  DType t = start.dtype();
  if (is_float(t)) {
    DType work = compute_type(t);
    auto a = constant_scalar(d, 0), b = constant_scalar(d, 1), c = constant_scalar(d, 2);
    if (!a || !b || !c) {
      Symbol n = d.unknown_dim(0, kMaxFloatRange);
      Tensor y = d.call("range", {converted(d, start, work), converted(d, limit, work), converted(d, delta, work)},
                        {{work, {Dim(n)}}}, {{}, {}, {}, {n}})[0];
      d.out(converted(d, y, t));
      return {};
    }
    if (*c == 0) return invalid("delta is 0, expected another number");
    Dim n = range_count(*a, *b, *c);
    d.out(d.map({n}, [&](Ix i) {
      Expr y = ex::cast(scalar_of(start), work) + dim_as(i[0], work) * ex::cast(scalar_of(delta), work);
      return ex::cast(y, t);
    }));
    return {};
  }
  Dim a = TRY(integer_input(d, 0)), b = TRY(integer_input(d, 1)), c = TRY(integer_input(d, 2));
  if (c.is(0)) return invalid("delta is 0, expected another number");
  Dim n;
  if (c.lower() > 0) {
    n = max(ceildiv(b - a, c), 0);
  } else if (c.upper() < 0) {
    n = max(ceildiv(a - b, -c), 0);
  } else {
    TRY(d.require(max(less(c, 0), less(0, c)), "delta is 0, expected another number"));
    n = max(select(less(0, c), ceildiv(b - a, max(c, 1)), ceildiv(a - b, max(-c, 1))), 0);
  }
  d.out(d.map({n}, [&](Ix i) { return dim_as(a + i[0] * c, t); }));
  return {};
}

// EyeLike-22. x: [N, M] -> ones on diagonal k, of type dtype or that of x.
Result<void> define_eye_like(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  if (x.rank() != 2) return invalid("input has rank {}, expected 2", x.rank());
  DType t = TRY(dtype_attr(d, "dtype", x.dtype()));
  if (!is_arithmetic(t)) return unsupported("element type {}", name(t));
  int64_t k = d.i64("k", 0);
  d.out(d.map(x.dims(), [&](Ix i) { return ex::select(equals(i[0] + k, i[1]), one(t), zero(t)); }));
  return {};
}

// Trilu-14. x: [B..., N, M], k: scalar -> the triangle above (or, with upper = 0, below) diagonal k; 0 elsewhere.
Result<void> define_trilu(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0), k = d.in(1);
  TRY(expect_rank_at_least(x, 0, 2));
  bool upper = d.i64("upper", 1);
  TensorRef known = d.constant(1);
  Expr diagonal = !k ? ex::index(0) : known ? ex::index(known->integer(0)) : as_index(scalar_of(k));
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr distance = ex::index(i[i.size() - 1] - i[i.size() - 2]);
    return ex::select(upper ? distance >= diagonal : distance <= diagonal, x(i), zero(x.dtype()));
  }));
  return {};
}

namespace {

// y[n] = c0 - c1*cos(2 pi n/m) + c2*cos(4 pi n/m) with m = size (periodic) or size - 1. Computed in f64.
Result<void> window(Def& d, double c0, double c1, double c2) {
  TRY(expect_tensors(d, 1));
  Dim size = TRY(integer_input(d, 0, 0));
  DType t = TRY(dtype_attr(d, "output_datatype", DType::F32));
  if (!is_arithmetic(t)) return unsupported("element type {}", name(t));
  Dim m = max(d.i64("periodic", 1) ? size : size - 1, 1);
  d.out(d.map({size}, [&](Ix i) {
    Expr phase = dim_as(i[0], DType::F64) * (2 * M_PI) / dim_as(m, DType::F64);
    Expr y = ex::unary(ScalarOp::Cos, phase) * -c1 + c0;
    if (c2 != 0) y = y + ex::unary(ScalarOp::Cos, phase * 2.0) * c2;
    return ex::cast(y, t);
  }));
  return {};
}

}  // namespace

// HannWindow-17, HammingWindow-17, BlackmanWindow-17. size: scalar -> [size]
Result<void> define_hann_window(Def& d) { return window(d, 0.5, 0.5, 0); }
Result<void> define_hamming_window(Def& d) { return window(d, 25.0 / 46, 21.0 / 46, 0); }
Result<void> define_blackman_window(Def& d) { return window(d, 0.42, 0.5, 0.08); }

// MelWeightMatrix-17. num_mel_bins, dft_length, sample_rate, lower and upper edge in Hz: scalars ->
// [dft_length/2 + 1, num_mel_bins]: triangles over the spectrogram's bins, their corners equidistant in mel.
Result<void> define_mel_weight_matrix(Def& d) {
  TRY(expect_arithmetic(d, 5));
  Dim bins = TRY(integer_input(d, 0, 0)), length = TRY(integer_input(d, 1, 0));
  DType t = TRY(dtype_attr(d, "output_datatype", DType::F32));
  if (!is_arithmetic(t)) return unsupported("element type {}", name(t));
  auto number = [&](int i) { return ex::cast(scalar_of(d.in(i)), DType::F64); };
  auto mel = [](const Expr& hertz) { return log(hertz / 700.0 + 1.0) * (2595 / M_LN10); };
  Tensor corner = d.map({bins + 2}, [&](Ix i) {
    Expr low = mel(number(3)), high = mel(number(4));
    Expr at = dim_as(i[0], DType::F64) * ((high - low) / dim_as(bins + 2, DType::F64)) + low;
    Expr hertz = (ex::binary(ScalarOp::Pow, ex::number(DType::F64, 10), at / 2595.0) - 1.0) * 700.0;
    return ex::cast(floor(dim_as(length + 1, DType::F64) * hertz / number(2)), DType::I64);
  });
  d.out(d.map({floordiv(length, 2) + 1, bins}, [&](Ix i) {
    Expr left = corner(i[1]), centre = corner(i[1] + 1), right = corner(i[1] + 2), at = ex::index(i[0]);
    auto ratio = [](const Expr& a, const Expr& b) { return ex::cast(a, DType::F64) / ex::cast(max(b, 1), DType::F64); };
    Expr rising = ex::select(eq(left, centre), ex::select(eq(at, centre), one(DType::F64), zero(DType::F64)),
                             ex::select(at >= left && at <= centre, ratio(at - left, centre - left), zero(DType::F64)));
    Expr y = ex::select(right > centre && at >= centre && at < right, ratio(right - at, right - centre), rising);
    return ex::cast(y, t);
  }));
  return {};
}

}  // namespace ingot
