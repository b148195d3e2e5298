// Convolutions as one contraction each, addressed by strides: no im2col copy. Bias and activation follow in a map, which
// schedules fuse into the tile store.
//
//   acc[n,k,p,q] = sum(c,r,s) x[n, c, p*stride+r*dilation-pad, ... | 0] * w[k,c,r,s]
//   y[n,k,p,q]   = acc[n,k,p,q] + b[k]
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {

// The product in the accumulation type, without bias.
Result<Tensor> float_conv(Def& d, const Tensor& x, const Tensor& w, int64_t group, const Window& win) {
  ConvOperands o{x,
                 w,
                 group,
                 ex::number(x.dtype(), 0),
                 [](Expr e) { return widen(e); },
                 [](Expr e, const Dim&) { return widen(e); }};
  return convolve(d, o, win);
}

Result<void> expect_bias(Def& d, const Tensor& b, const Dim& channels) {
  if (!b) return {};
  return d.require(equal(b.type().numel(), channels),
                   fmt::format("bias has type {}, expected {} elements", b.type().str(), channels.str()));
}

// Integers, zero points taken off inside the product. Padding is the zero point, so that it counts as 0.
Result<Tensor> integer_conv(Def& d, const Tensor& x, const Tensor& w, const Tensor& xz, const Tensor& wz, int64_t group,
                            const Window& win) {
  if (!is_int(x.dtype()) || !is_int(w.dtype())) {
    return invalid("got operands of {} and {}, expected integers", name(x.dtype()), name(w.dtype()));
  }
  auto i32 = [](Expr e) { return ex::cast(e, DType::I32); };
  if (xz && xz.dtype() != x.dtype())
    return invalid("the zero point of the input is of {}, expected {}", name(xz.dtype()), name(x.dtype()));
  ConvOperands o{x,
                 w,
                 group,
                 xz ? scalar(xz) : ex::integer(x.dtype(), 0),
                 [=](Expr e) { return xz ? i32(e) - i32(scalar(xz)) : i32(e); },
                 [=](Expr e, const Dim& k) { return wz ? i32(e) - i32(per_channel(wz, k)) : i32(e); }};
  return convolve(d, o, win);
}

}  // namespace

// Conv-22. x: [N, C, D1..Dn], w: [K, C/group, R1..Rn], b: [K] -> [N, K, P1..Pn].
Result<void> define_conv(Def& d) {
  Tensor x = d.in(0), w = d.in(1), b = d.in(2);
  int64_t group = d.i64("group", 1);
  TRY(expect_ranks(d, {-1, -1, 1}));
  TRY(expect_same_floats(d, {0, 1, 2}));
  Window win = TRY(conv_window(d, x, w, group));
  Tensor acc = TRY(float_conv(d, x, w, group, win));
  if (!b && acc.dtype() == x.dtype()) {
    d.out(acc);
    return {};
  }
  TRY(expect_bias(d, b, w.dim(0)));
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (b) e = e + widen(b(i[1]));
    return ex::cast(e, x.dtype());
  }));
  return {};
}

// FusedConv (com.microsoft). As Conv, with z: the result's shape, added before the activation. z is input 3.
Result<void> define_fused_conv(Def& d) {
  Tensor x = d.in(0), w = d.in(1), b = d.in(2), z = d.in(3);
  int64_t group = d.i64("group", 1);
  TRY(expect_ranks(d, {-1, -1, 1, -1}));
  TRY(expect_same_floats(d, {0, 1, 2, 3}));
  Window win = TRY(conv_window(d, x, w, group));
  std::vector<double> p = d.floats("activation_params");
  Activation act = TRY(activation(d.str("activation", "Identity"), p.size() > 0 ? std::optional(p[0]) : std::nullopt,
                                  p.size() > 1 ? std::optional(p[1]) : std::nullopt));
  Tensor acc = TRY(float_conv(d, x, w, group, win));
  if (z) TRY(expect_fits(d, z, acc.dims()));
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (b) e = e + widen(b(i[1]));
    if (z) e = e + widen(z.broadcast(i));
    return ex::cast(apply(act, e), x.dtype());
  }));
  return {};
}

// ConvInteger-10. x: [N, C, ...] u8 or i8, w: [K, C/group, ...], zero points: [] and [] or [K] -> i32 [N, K, ...].
Result<void> define_conv_integer(Def& d) {
  int64_t group = d.i64("group", 1);
  Window win = TRY(conv_window(d, d.in(0), d.in(1), group));
  TRY(expect_one_element(d, {2}));
  TRY(expect_one_or_per_channel(d, 3, d.in(1).dim(0)));
  d.out(TRY(integer_conv(d, d.in(0), d.in(1), d.in(2), d.in(3), group, win)));
  return {};
}

// QLinearConv-10. Inputs x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, b (i32 [K]). Scales and zero points of w
// are [] or [K]. y = saturate(round_even(acc * (x_scale*w_scale/y_scale)) + y_zero), the scale in f32.
Result<void> define_qlinear_conv(Def& d) {
  Tensor x = d.in(0), xs = d.in(1), xz = d.in(2), w = d.in(3), ws = d.in(4), wz = d.in(5), ys = d.in(6), yz = d.in(7),
         b = d.in(8);
  int64_t group = d.i64("group", 1);
  bool channels_last = d.i64("channels_last", 0) != 0;
  if (channels_last) return unsupported("channels_last is 1, expected 0");
  TRY(expect_ranks(d, {-1, -1, -1, -1, -1, -1, -1, -1, 1}));
  TRY(expect_floats(d, {1, 4, 6}));
  TRY(expect_quantized(yz ? yz.dtype() : x.dtype()));
  if (b && b.dtype() != DType::I32) return invalid("the bias is of {}, expected i32", name(b.dtype()));
  Window win = TRY(conv_window(d, x, w, group));
  TRY(expect_one_element(d, {1, 2, 6, 7}));
  for (int k : {4, 5}) TRY(expect_one_or_per_channel(d, k, w.dim(0)));
  TRY(expect_bias(d, b, w.dim(0)));
  Tensor acc = TRY(integer_conv(d, x, w, xz, wz, group, win));
  Tensor scale = d.map({w.dim(0)}, [&](Ix i) {
    return ex::cast(scalar(xs), DType::F32) * ex::cast(per_channel(ws, i[0]), DType::F32) /
           ex::cast(scalar(ys), DType::F32);
  });
  DType out = yz ? yz.dtype() : x.dtype();
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (b) e = e + b(i[1]);
    return quantize(ex::cast(e, DType::F32) * scale(i[1]), yz ? ex::cast(scalar(yz), DType::I32) : Expr(), out);
  }));
  return {};
}

// CausalConvWithState-27. input: [B, C, L], weight: [C, 1, k], bias: [C], past_state: [B, C, k-1]
// -> output: [B, C, L], present_state: [B, C, k-1]. Depthwise, the padding on the left is the state (or 0).
Result<void> define_causal_conv_with_state(Def& d) {
  Tensor x = d.in(0), w = d.in(1), b = d.in(2), past = d.in(3);
  TRY(expect_ranks(d, {3, 3, 1, 3}));
  TRY(expect_same_floats(d, {0, 1, 2, 3}));
  std::string act = d.str("activation", "none");
  if (act != "none" && act != "silu" && act != "swish")
    return invalid("activation is '{}', expected none, silu or swish", act);
  TRY(d.require(equal(w.dim(0), x.dim(1)),
                fmt::format("weight has {} channels, expected {}", w.dim(0).str(), x.dim(1).str())));
  Dim k = w.dim(2), length = x.dim(2), before = k - 1;
  Tensor padded = d.map({x.dim(0), x.dim(1), length + before}, [&](Ix i) {
    Expr now = x.or_fill({i[0], i[1], i[2] - before}, ex::number(x.dtype(), 0));
    if (!past) return now;
    return ex::select(as_index(i[2]) < as_index(before), past.or_fill(i, ex::number(x.dtype(), 0)), now);
  });
  Tensor acc = d.reduce(Combiner::Sum, x.dims(), {k},
                        [&](Ix i, Ix r) { return widen(padded(i[0], i[1], i[2] + r[0])) * widen(w(i[1], 0, r[0])); });
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (b) e = e + widen(b(i[1]));
    if (act == "none") return ex::cast(e, x.dtype());
    e = widen(ex::cast(e, x.dtype()));
    return ex::cast(e * sigmoid(e), x.dtype());
  }));
  d.out(d.map({x.dim(0), x.dim(1), before}, [&](Ix i) { return padded(i[0], i[1], i[2] + length); }));
  return {};
}

}  // namespace ingot
