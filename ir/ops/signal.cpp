// Fourier transforms as direct sums: y[k] = sum(n) x[n] * w[k*n mod N], with the N complex roots tabulated in a stage
// of their own. A direct sum is a contraction, and N is small where models use it (frames of speech); an FFT schedule
// may recognise it.
#include <cmath>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// The roots of unity [N, 2, 2]: row c of the matrix that maps (real, imaginary) to part c of the product with
// e^(sign*2 pi i m/N):  (cos, -s*sin; s*sin, cos).
Tensor roots(Def& d, const Dim& n, double sign, DType t) {
  return d.map({n, 2, 2}, [&](Ix i) {
    Expr phase = dim_as(i[0], DType::F64) * (2 * M_PI) / dim_as(max(n, 1), DType::F64);
    Expr cosine = ex::unary(ScalarOp::Cos, phase), sine = ex::unary(ScalarOp::Sin, phase) * sign;
    Expr off = ex::select(lt(i[1], i[2]), -sine, sine);
    return ex::cast(ex::select(equals(i[1], i[2]), cosine, off), t);
  });
}

// Checks that the last extent is 1 (real) or 2 (real and imaginary). `imaginary`: there may be a second part; where it is not
// known, reads of it give 0 where there is none.
struct Parts {
  bool imaginary = false, known = true;
};
Result<Parts> parts_of(Def& d, const Tensor& x, int input) {
  const Dim& last = x.dims().back();
  TRY(d.require(
      equal(last, 1) + equal(last, 2),
      fmt::format("input {} has the last extent {}, expected 1 (real) or 2 (real and imaginary)", input, last.str())));
  return Parts{!last.is(1), last.is_constant()};
}

}  // namespace

// DFT-20. x: [..., N, ..., 1 or 2], dft_length, axis: scalars -> [..., N or N/2 + 1 (onesided), ..., 2]; inverse and
// onesided: from N/2 + 1 bins of a real signal back to [..., N, ..., 1].
Result<void> define_dft(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  TRY(expect_rank_at_least(x, 0, 2));
  AxisChoice axis = TRY(axis_choice(d, 2, x.rank(), -2));
  TRY(d.require(equal(axis.flag.back(), 0), "axis is the last one, expected another one"));
  Parts parts = TRY(parts_of(d, x, 0));
  bool inverse = d.i64("inverse", 0), onesided = d.i64("onesided", 0);
  auto settled = [&](const Dims& dims) { return axis.known ? dims : d.named(dims); };
  Dim extent = settled({axis.extent(x.dims())})[0];
  Dim n = d.has(1) ? TRY(integer_input(d, 1, 0)) : inverse && onesided ? (extent - 1) * 2 : extent;
  Dim half = floordiv(n, 2) + 1, summed = inverse && onesided ? half : n;
  DType t = compute_type(x.dtype());
  Tensor w = roots(d, n, inverse ? 1 : -1, t);
  bool whole = known_less_equal(summed, extent);
  auto part = [&](Ix i, const Dim& at, int c) {
    Dims index = axis.put(i, at);
    index.back() = c;
    return widen(whole && (c == 0 || parts.known) ? x(index) : x.or_fill(index, zero(x.dtype())));
  };
  Dims dims = axis.put(x.dims(), onesided && !inverse ? half : n);
  dims.back() = inverse && onesided ? 1 : 2;
  dims = settled(dims);
  Tensor y = d.reduce(Combiner::Sum, dims, {summed}, [&](Ix i, Ix r) {
    Dim turn = mod(axis.extent(i) * r[0], n);
    Expr e = part(i, r[0], 0) * w(turn, i.back(), 0);
    if (parts.imaginary) e = e + part(i, r[0], 1) * w(turn, i.back(), 1);
    if (!inverse || !onesided) return e;
    // The bins that are not stored are the conjugates of those that are; 0 and N/2 stand for themselves.
    Expr single = equals(r[0], 0) || equals(r[0] * 2, n);
    Expr real_only = part(i, r[0], 0) * w(turn, 0, 0);
    return ex::select(single, real_only, e * 2.0);
  });
  d.out(d.map(dims, [&](Ix i) { return ex::cast(inverse ? y(i) / dim_as(max(n, 1), t) : y(i), x.dtype()); }));
  return {};
}

// STFT-17. signal: [B, L, 1 or 2] or, as PyTorch's exporters wrote it, [B, L], frame_step: scalar, window: [W], frame_length: scalar N ->
// [B, (L - N)/step + 1, N or N/2 + 1 (onesided), 2]
Result<void> define_stft(Def& d) {
  TRY(expect_arithmetic(d, 1));
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), window = d.in(2);
  if (x.rank() != 2 && x.rank() != 3) return invalid("signal has rank {}, expected 3 (or 2)", x.rank());
  if (window && window.rank() != 1) return invalid("window has rank {}, expected 1", window.rank());
  Parts parts;
  if (x.rank() == 3) parts = TRY(parts_of(d, x, 0));
  Dim step = TRY(integer_input(d, 1, 1));
  if (step.lower() < 1) return invalid("frame_step is {}, expected a positive number", step.str());
  Dim n = d.has(3) ? TRY(integer_input(d, 3, 0)) : window ? window.dim(0) : x.dim(1);
  Dim bins = d.i64("onesided", 1) ? floordiv(n, 2) + 1 : n;
  Dim frames = max(floordiv(x.dim(1) - n, step) + 1, 0);
  DType t = compute_type(x.dtype());
  Tensor w = roots(d, n, -1, t);
  bool whole_window = window && known_less_equal(n, window.dim(0));
  Tensor y = d.reduce(Combiner::Sum, {x.dim(0), frames, bins, 2}, {n}, [&](Ix i, Ix r) {
    Dim at = i[1] * step + r[0], turn = mod(i[2] * r[0], n);
    Expr e = widen(x.rank() == 2 ? x(i[0], at) : x(i[0], at, 0)) * w(turn, i[3], 0);
    if (parts.imaginary) {
      Expr second = parts.known ? x(i[0], at, 1) : x.or_fill(Dims{i[0], at, 1}, zero(x.dtype()));
      e = e + widen(second) * w(turn, i[3], 1);
    }
    if (!window) return e;
    Expr weight = whole_window ? window(r[0]) : window.or_fill(Dims{r[0]}, zero(window.dtype()));
    return e * ex::cast(weight, t);
  });
  d.out(converted(d, y, x.dtype()));
  return {};
}

}  // namespace ingot
