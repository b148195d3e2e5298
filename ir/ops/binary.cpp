// Elementwise functions of two or more tensors, with broadcasting. a: [...], b: [...] -> the broadcast shape.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

// Add-14, Sub-14, Mul-14, Div-14 (integers truncate), And-7, Or-7, Xor-7, Greater-13, Less-13, LessOrEqual-16,
// GreaterOrEqual-16, BitwiseAnd-18, BitwiseOr-18, BitwiseXor-18.
#define INGOT_BINARY(op_name, scalar)                                                                        \
  Result<void> define_##op_name(Def& d) {                                                                    \
    return broadcasting(d, [](const Expr& a, const Expr& b) { return ex::binary(ScalarOp::scalar, a, b); }); \
  }
INGOT_BINARY(add, Add)
INGOT_BINARY(sub, Sub)
INGOT_BINARY(mul, Mul)
INGOT_BINARY(div, Div)
INGOT_BINARY(and, And)
INGOT_BINARY(or, Or)
INGOT_BINARY(xor, Xor)
INGOT_BINARY(greater, Gt)
INGOT_BINARY(greater_or_equal, Ge)
INGOT_BINARY(less, Lt)
INGOT_BINARY(less_or_equal, Le)
INGOT_BINARY(bitwise_and, And)
INGOT_BINARY(bitwise_or, Or)
INGOT_BINARY(bitwise_xor, Xor)
#undef INGOT_BINARY

// Equal-19, strings included.
Result<void> define_equal(Def& d) {
  TRY(expect_tensors(d, 2));
  if (d.dtype(0) != DType::String) {
    return broadcasting(d, [](const Expr& a, const Expr& b) { return eq(a, b); });
  }
  Tensor a = d.in(0), b = d.in(1);
  TRY(expect_same_dtype(a, b, "operands"));
  Dims dims = TRY(d.broadcast_dims(a.dims(), b.dims()));
  d.out(d.call("string_equal", {expanded(d, a, dims), expanded(d, b, dims)}, {{DType::Bool, dims}})[0]);
  return {};
}

// Mod-13: the sign of the divisor, or with fmod that of the dividend.
Result<void> define_mod(Def& d) {
  ScalarOp op = d.i64("fmod", 0) ? ScalarOp::Rem : ScalarOp::FloorMod;
  return broadcasting(d, [&](const Expr& a, const Expr& b) { return ex::binary(op, a, b); });
}

// Pow-15: the result has the type of the base. Integers with other types are computed in f64. Small constant exponents
// are products.
Result<void> define_pow(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor a = d.in(0), b = d.in(1);
  DType t = a.dtype();
  Dims dims = TRY(d.broadcast_dims(a.dims(), b.dims()));
  std::optional<double> exponent = constant_scalar(d, 1);
  bool real = is_float(t);
  d.out(d.map(dims, [&](Ix i) {
    Expr x = a.broadcast(i);
    if (exponent == 1) return x;
    if (exponent == 2) return x * x;
    if (exponent == 3) return widened(x, [](const Expr& v) { return v * v * v; });
    DType work = real ? compute_type(t) : DType::F64;
    Expr y = ex::binary(ScalarOp::Pow, ex::cast(x, work), ex::cast(b.broadcast(i), work));
    return ex::cast(y, t);
  }));
  return {};
}

// BitShift-11. direction: LEFT or RIGHT.
Result<void> define_bit_shift(Def& d) {
  std::string direction = d.str("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    return invalid("attribute 'direction' is '{}', expected 'LEFT' or 'RIGHT'", direction);
  }
  ScalarOp op = direction == "LEFT" ? ScalarOp::Shl : ScalarOp::Shr;
  return broadcasting(d, [&](const Expr& a, const Expr& b) { return ex::binary(op, a, b); });
}

namespace {

// Folds any number of tensors from the left, in the type for computation, then applies `last`.
template <class F, class Last>
Result<void> fold(Def& d, F f, Last last) {
  TRY(expect_arithmetic(d, d.inputs()));
  for (int k = 1; k < d.inputs(); ++k) TRY(expect_same_dtype(d.in(0), d.in(k), "operands"));
  Dims dims = TRY(broadcast_inputs(d, 0, d.inputs()));
  d.out(d.map(dims, [&](Ix i) {
    Expr y = widen(d.in(0).broadcast(i));
    for (int k = 1; k < d.inputs(); ++k) y = f(y, widen(d.in(k).broadcast(i)));
    return ex::cast(last(y), d.dtype(0));
  }));
  return {};
}
Expr same(Expr x) { return x; }

}  // namespace

// Min-13, Max-13, Sum-13, Mean-13 of any number of tensors.
Result<void> define_min(Def& d) {
  return fold(d, [](const Expr& a, const Expr& b) { return min(a, b); }, same);
}
Result<void> define_max(Def& d) {
  return fold(d, [](const Expr& a, const Expr& b) { return max(a, b); }, same);
}
Result<void> define_sum(Def& d) {
  return fold(d, [](const Expr& a, const Expr& b) { return a + b; }, same);
}
Result<void> define_mean(Def& d) {
  double n = d.inputs();
  return fold(d, [](const Expr& a, const Expr& b) { return a + b; }, [&](const Expr& y) { return y / n; });
}

// Where-16. condition: bool; a and b of any one type.
Result<void> define_where(Def& d) {
  TRY(expect_tensors(d, 3));
  Tensor c = d.in(0), a = d.in(1), b = d.in(2);
  if (c.dtype() != DType::Bool) return invalid("condition has element type {}, expected bool", name(c.dtype()));
  TRY(expect_same_dtype(a, b, "branches"));
  Dims dims = TRY(broadcast_inputs(d, 0, 3));
  d.out(d.map(dims, [&](Ix i) { return ex::select(c.broadcast(i), a.broadcast(i), b.broadcast(i)); }));
  return {};
}

}  // namespace ingot
