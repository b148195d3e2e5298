// Elementwise functions of one tensor. All: x: [...] -> [...], the same type, but for is_nan and is_inf, which give
// bool. Single scalar operations on f16 and bf16 round once by definition (ir/types.h); formulas of several are
// computed in f32.
#include <cmath>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

// Abs-13, Neg-13, Sign-13, Ceil-13, Floor-13, Round-22 (half to even), Sqrt-13, Exp-13, Log-13, the trigonometric and
// hyperbolic functions -22, Erf-13, Sigmoid-13, Tanh-13, Not-1, BitwiseNot-18: one scalar operation each.
#define INGOT_UNARY(op_name, scalar)                                                     \
  Result<void> define_##op_name(Def& d) {                                                \
    return elementwise(d, [](const Expr& x) { return ex::unary(ScalarOp::scalar, x); }); \
  }
INGOT_UNARY(neg, Neg)
INGOT_UNARY(sign, Sign)
INGOT_UNARY(ceil, Ceil)
INGOT_UNARY(floor, Floor)
INGOT_UNARY(round, RoundEven)
INGOT_UNARY(sqrt, Sqrt)
INGOT_UNARY(exp, Exp)
INGOT_UNARY(log, Log)
INGOT_UNARY(sin, Sin)
INGOT_UNARY(cos, Cos)
INGOT_UNARY(tan, Tan)
INGOT_UNARY(asin, Asin)
INGOT_UNARY(acos, Acos)
INGOT_UNARY(atan, Atan)
INGOT_UNARY(sinh, Sinh)
INGOT_UNARY(cosh, Cosh)
INGOT_UNARY(tanh, Tanh)
INGOT_UNARY(asinh, Asinh)
INGOT_UNARY(acosh, Acosh)
INGOT_UNARY(atanh, Atanh)
INGOT_UNARY(erf, Erf)
INGOT_UNARY(sigmoid, Sigmoid)
INGOT_UNARY(not, Not)
INGOT_UNARY(bitwise_not, Not)
#undef INGOT_UNARY

Result<void> define_abs(Def& d) {
  return elementwise(d, [](const Expr& x) { return is_signed(x.type()) ? abs(x) : x; });
}

// Reciprocal-13: 1/x.
Result<void> define_reciprocal(Def& d) {
  return elementwise(d, [](const Expr& x) { return 1.0 / x; });
}

// Relu-14.
Result<void> define_relu(Def& d) {
  return elementwise(d, [](const Expr& x) { return max(x, 0); });
}

// LeakyRelu-16: x < 0 ? alpha*x : x.
Result<void> define_leaky_relu(Def& d) {
  double alpha = d.f64("alpha", 0.01);
  return elementwise_widened(d, [&](const Expr& x) { return ex::select(x < zero(x.type()), x * alpha, x); });
}

// PRelu-16. x: [...], slope broadcasts to x one way: x < 0 ? slope*x : x.
Result<void> define_prelu(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor x = d.in(0), slope = d.in(1);
  TRY(expect_same_dtype(x, slope, "x and slope"));
  Dims dims = TRY(d.broadcast_dims(x.dims(), slope.dims()));
  if (dims.size() != x.dims().size()) return invalid("slope has rank {}, expected at most {}", slope.rank(), x.rank());
  d.out(d.map(x.dims(), [&](Ix i) { return ex::select(x(i) < zero(x.dtype()), slope.broadcast(i) * x(i), x(i)); }));
  return {};
}

// Elu-22: x < 0 ? alpha*(e^x - 1) : x.
Result<void> define_elu(Def& d) {
  double alpha = d.f64("alpha", 1);
  return elementwise_widened(
      d, [&](const Expr& x) { return ex::select(x < zero(x.type()), ex::unary(ScalarOp::Expm1, x) * alpha, x); });
}

// Celu-12: max(0, x) + min(0, alpha*(e^(x/alpha) - 1)).
Result<void> define_celu(Def& d) {
  double alpha = d.f64("alpha", 1);
  return elementwise_widened(
      d, [&](const Expr& x) { return max(x, 0) + min(ex::unary(ScalarOp::Expm1, x / alpha) * alpha, 0); });
}

// Selu-22: gamma*(x > 0 ? x : alpha*(e^x - 1)).
Result<void> define_selu(Def& d) {
  double alpha = d.f64("alpha", 1.67326319217681884765625), gamma = d.f64("gamma", 1.05070102214813232421875);
  return elementwise_widened(d, [&](const Expr& x) {
    return ex::select(x > zero(x.type()), x, ex::unary(ScalarOp::Expm1, x) * alpha) * gamma;
  });
}

// ThresholdedRelu-22: x > alpha ? x : 0.
Result<void> define_thresholded_relu(Def& d) {
  double alpha = d.f64("alpha", 1);
  return elementwise_widened(
      d, [&](const Expr& x) { return ex::select(x > ex::number(x.type(), alpha), x, zero(x.type())); });
}

// HardSigmoid-22: max(0, min(1, alpha*x + beta)).
Result<void> define_hard_sigmoid(Def& d) {
  double alpha = d.f64("alpha", 0.2), beta = d.f64("beta", 0.5);
  return elementwise_widened(d, [&](const Expr& x) { return max(min(x * alpha + beta, 1), 0); });
}

// HardSwish-22: x*max(0, min(1, x/6 + 1/2)).
Result<void> define_hard_swish(Def& d) {
  return elementwise_widened(d, [&](const Expr& x) { return x * max(min(x * (1.0 / 6) + 0.5, 1), 0); });
}

namespace {
// log(1 + e^x), without overflow.
Expr softplus(const Expr& x) { return max(x, 0) + ex::unary(ScalarOp::Log1p, exp(-abs(x))); }
}  // namespace

// Softplus-22.
Result<void> define_softplus(Def& d) { return elementwise_widened(d, softplus); }

// Softsign-22: x/(1 + |x|).
Result<void> define_softsign(Def& d) {
  return elementwise_widened(d, [](const Expr& x) { return x / (abs(x) + 1); });
}

// Mish-22: x*tanh(softplus(x)).
Result<void> define_mish(Def& d) {
  return elementwise_widened(d, [](const Expr& x) { return x * tanh(softplus(x)); });
}

// Gelu-20: x/2*(1 + erf(x/sqrt 2)), or its approximation by tanh.
Result<void> define_gelu(Def& d) {
  std::string approximate = d.str("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    return invalid("attribute 'approximate' is '{}', expected 'none' or 'tanh'", approximate);
  }
  bool by_tanh = approximate == "tanh";
  return elementwise_widened(d, [&](const Expr& x) {
    Expr inner =
        by_tanh ? tanh((x + x * x * x * 0.044715) * std::sqrt(2 / M_PI)) : ex::unary(ScalarOp::Erf, x * M_SQRT1_2);
    return x * 0.5 * (inner + 1);
  });
}

// Swish-24: x*sigmoid(alpha*x).
Result<void> define_swish(Def& d) {
  double alpha = d.f64("alpha", 1);
  return elementwise_widened(d, [&](const Expr& x) { return x * ex::unary(ScalarOp::Sigmoid, x * alpha); });
}

// Erfc, 1 - erf(x) without its cancellation: for x >= 0, e^(-x*x) times a polynomial in (x - k)/(x + k), a Chebyshev fit of
// degree 24 to e^(x*x) erfc(x) (relative error 1e-15); 2 - erfc(-x) below.
Result<void> define_erfc(Def& d) {
  static constexpr double kFit[] = {
      0.14558972127503855,     -0.27342193149542648,    0.22600806691662151,     -0.16357189552392651,
      0.10260431203219522,     -0.05480232669489965,    0.024143223972500776,    -0.0082206211552477114,
      0.0018029624161959071,   -2.5535322322260037e-05, -0.00015246266160259147, 4.7898739798292723e-05,
      3.5837039625090921e-06,  -6.1833044381877956e-06, 7.4856777586170696e-07,  6.5918557172032819e-07,
      -1.8342192288206461e-07, -7.2231617125525645e-08, 3.1484060599548328e-08,  8.7898260335045524e-09,
      -4.8741564641753161e-09, -1.0747827010172288e-09, 6.4063160124884119e-10,  8.7464563113779163e-11,
      -5.1300567673237439e-11};
  static constexpr double kMiddle = 3.75, kLast = 28;  // beyond, the result is 0 in every type
  return elementwise(d, [&](const Expr& x) {
    Expr v = ex::cast(x, DType::F64), a = min(abs(v), kLast), t = (a - kMiddle) / (a + kMiddle);
    Expr p = ex::number(DType::F64, kFit[std::size(kFit) - 1]);
    for (size_t k = std::size(kFit) - 1; k-- > 0;) p = p * t + kFit[k];
    Expr tail = exp(-(a * a)) * p;
    return ex::cast(ex::select(v < zero(DType::F64), 2.0 - tail, tail), x.type());
  });
}

// SwiGLU-28. a, b: [...] of one shape: a*sigmoid(alpha*a)*b.
Result<void> define_swiglu(Def& d) {
  double alpha = d.f64("alpha", 1);
  return broadcasting(d, [&](const Expr& a, const Expr& b) {
    Expr g = widen(a);
    return ex::cast(g * ex::unary(ScalarOp::Sigmoid, g * alpha) * widen(b), a.type());
  });
}

// Shrink-9: x < -lambd ? x + bias : x > lambd ? x - bias : 0.
Result<void> define_shrink(Def& d) {
  double bias = d.f64("bias", 0), lambd = d.f64("lambd", 0.5);
  return elementwise(d, [&](const Expr& x) {
    DType t = x.type(), work = is_int(t) ? DType::F64 : compute_type(t);
    Expr v = ex::cast(x, work);
    Expr y = ex::select(v < ex::number(work, -lambd), v + bias,
                        ex::select(v > ex::number(work, lambd), v - bias, zero(work)));
    return ex::cast(y, t);
  });
}

// IsNaN-20, IsInf-20: the 8-bit floats included. x: [...] -> bool [...]
Result<void> define_is_nan(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  if (!is_float(x.dtype())) return invalid("input has element type {}, expected a float", name(x.dtype()));
  d.out(d.map(x.dims(), [&](Ix i) {
    return ex::unary(ScalarOp::IsNaN, is_arithmetic(x.dtype()) ? x(i) : ex::cast(x(i), DType::F32));
  }));
  return {};
}

Result<void> define_is_inf(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  if (!is_float(x.dtype())) return invalid("input has element type {}, expected a float", name(x.dtype()));
  bool negative = d.i64("detect_negative", 1), positive = d.i64("detect_positive", 1);
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr v = is_arithmetic(x.dtype()) ? x(i) : ex::cast(x(i), DType::F32);
    Expr inf = ex::unary(ScalarOp::IsInf, v), zero_v = zero(v.type());
    if (negative && positive) return inf;
    if (!negative && !positive) return ex::boolean(false);
    return inf && (negative ? v < zero_v : v > zero_v);
  }));
  return {};
}

// Clip-13. x: [...], min and max: scalars or absent; max wins where they cross.
Result<void> define_clip(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0), lo = d.in(1), hi = d.in(2);
  if (lo) TRY(expect_same_dtype(x, lo, "x and min"));
  if (hi) TRY(expect_same_dtype(x, hi, "x and max"));
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr y = x(i);
    if (lo) y = max(y, scalar_of(lo));
    if (hi) y = min(y, scalar_of(hi));
    return y;
  }));
  return {};
}

// Identity-25: a value of any type.
Result<void> define_identity(Def& d) {
  if (!d.has(0)) return invalid("input 0 is absent, expected a value");
  d.out_value(d.in_value(0));
  return {};
}

}  // namespace ingot
