// ONNX's experimental operators of opsets 1 to 9 that models in the wild still hold.
#include <cctype>

#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

// ImageScaler-1. x: [N, C, H, W] -> x * scale + bias[c].
Result<void> define_image_scaler(Def& d) {
  TRY(expect_floats(d, {0}));
  Tensor x = d.in(0);
  if (x.rank() < 2) return invalid("input has rank {}, expected at least 2", x.rank());
  std::vector<double> bias = d.floats("bias");
  double scale = d.f64("scale", 1);
  if (!bias.empty()) {
    TRY(d.require(equal(x.dim(1), static_cast<int64_t>(bias.size())),
                  fmt::format("bias has {} elements, expected {}", bias.size(), x.dim(1).str())));
  }
  Tensor b = bias.empty() ? Tensor() : d.constant(floats_tensor(bias, {static_cast<int64_t>(bias.size())}));
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr e = widen(x(i)) * scale;
    if (b) e = e + ex::cast(b(i[1]), accumulator(x.dtype()));
    return ex::cast(e, x.dtype());
  }));
  return {};
}

// Crop-1. x: [N, C, H, W]; border: left, top, right, bottom; scale: height, width of the result, where given.
Result<void> define_crop(Def& d) {
  Tensor x = d.in(0);
  if (x.rank() != 4) return invalid("input has rank {}, expected 4", x.rank());
  std::vector<int64_t> border = TRY(int_list(d, "border", 4, 0, 0)), scale = d.ints("scale");
  Dim h = x.dim(2) - border[1] - border[3], w = x.dim(3) - border[0] - border[2];
  if (scale.size() == 2) {
    h = scale[0];
    w = scale[1];
  } else if (!scale.empty()) {
    return invalid("scale has {} elements, expected 2", scale.size());
  }
  TRY(d.require(less(h + border[1] - 1, x.dim(2)) * less(w + border[0] - 1, x.dim(3)),
                "the crop lies outside of the input"));
  d.out(d.map({x.dim(0), x.dim(1), h, w}, [&](Ix i) { return x(i[0], i[1], i[2] + border[1], i[3] + border[0]); }));
  return {};
}

// Affine-1. alpha * x + beta.
Result<void> define_affine(Def& d) {
  TRY(expect_floats(d, {0}));
  Tensor x = d.in(0);
  double alpha = d.f64("alpha", 1), beta = d.f64("beta", 0);
  d.out(d.map(x.dims(), [&](Ix i) { return ex::cast(widen(x(i)) * alpha + beta, x.dtype()); }));
  return {};
}

// Quant (onnx.brevitas). x, scale, zero_point, bit_width -> x rounded to the grid: (clamp(round(x/s + z)) - z) * s.
Result<void> define_quant(Def& d) {
  TRY(expect_floats(d, {0, 1, 2, 3}));
  Tensor x = d.in(0), scale = d.in(1), zero = d.in(2), width = d.in(3);
  bool is_signed_type = d.i64("signed", 1) != 0, narrow = d.i64("narrow", 0) != 0;
  std::string mode = d.str("rounding_mode", "ROUND");
  for (char& c : mode) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (mode != "ROUND" && mode != "CEIL" && mode != "FLOOR" && mode != "ROUND_TO_ZERO") {
    return unsupported("rounding_mode is '{}', expected ROUND, CEIL, FLOOR or ROUND_TO_ZERO", mode);
  }
  Dims dims = TRY(d.broadcast_dims(x.dims(), TRY(d.broadcast_dims(scale.dims(), zero.dims()))));
  Tensor range = d.map({2}, [&](Ix i) {  // lowest and highest step
    Expr bits = ex::cast(scalar(width), DType::F32), two = ex::number(DType::F32, 2);
    Expr half = ex::binary(ScalarOp::Pow, two, bits - 1), all = ex::binary(ScalarOp::Pow, two, bits);
    Expr lo = is_signed_type ? (narrow ? 1 - half : -half) : ex::number(DType::F32, 0);
    Expr hi = is_signed_type ? half - 1 : (narrow ? all - 2 : all - 1);
    return ex::select(eq(as_index(i[0]), as_index(0)), lo, hi);
  });
  d.out(d.map(dims, [&](Ix i) {
    Expr s = ex::cast(scale.broadcast(i), DType::F32), z = ex::cast(zero.broadcast(i), DType::F32);
    Expr q = min(max(ex::cast(x.broadcast(i), DType::F32) / s + z, range(0)), range(1));
    if (mode == "ROUND") q = round_even(q);
    if (mode == "CEIL") q = ex::unary(ScalarOp::Ceil, q);
    if (mode == "FLOOR") q = floor(q);
    if (mode == "ROUND_TO_ZERO") q = ex::unary(ScalarOp::Trunc, q);
    return ex::cast((q - z) * s, x.dtype());
  }));
  return {};
}

}  // namespace ingot
