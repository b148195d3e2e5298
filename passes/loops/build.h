// Builds legal expressions: V is an Expr with operators. Constants take the type and lanes of the other operand; nothing
// is folded, shifts and divisions are raw (the caller guards them).
#pragma once

#include <initializer_list>

#include "ir/expr.h"

namespace ingot::l {

struct V {
  Expr e;
  V() = default;
  V(Expr x) : e(std::move(x)) {}
  DType type() const { return e.type(); }
  int lanes() const { return e.lanes(); }
};

inline V make(ScalarOp op, DType t, int lanes, std::vector<Expr> args) {
  ExprNode n{op, t, lanes, std::move(args), Dim(0)};
  return Expr(std::make_shared<const ExprNode>(std::move(n)));
}
inline V constant(DType t, int lanes, double v) {
  ExprNode n{ScalarOp::Const, t, 1, {}, Dim(0)};
  if (is_float(t)) n.number = v;
  else n.integer = static_cast<int64_t>(v);
  Expr c(std::make_shared<const ExprNode>(std::move(n)));
  return lanes == 1 ? V(c) : make(ScalarOp::Splat, t, lanes, {c});
}
inline V integer(DType t, int lanes, int64_t v) {
  ExprNode n{ScalarOp::Const, t, 1, {}, Dim(0)};
  n.integer = v;
  Expr c(std::make_shared<const ExprNode>(std::move(n)));
  return lanes == 1 ? V(c) : make(ScalarOp::Splat, t, lanes, {c});
}
inline V like(const V& x, double v) { return constant(x.type(), x.lanes(), v); }
inline V like_int(const V& x, int64_t v) { return integer(x.type(), x.lanes(), v); }

inline V unary(ScalarOp op, const V& a) { return make(op, a.type(), a.lanes(), {a.e}); }
inline V binary(ScalarOp op, const V& a, const V& b) { return make(op, a.type(), a.lanes(), {a.e, b.e}); }
inline V comparison(ScalarOp op, const V& a, const V& b) { return make(op, DType::Bool, a.lanes(), {a.e, b.e}); }

inline V operator+(const V& a, const V& b) { return binary(ScalarOp::Add, a, b); }
inline V operator-(const V& a, const V& b) { return binary(ScalarOp::Sub, a, b); }
inline V operator*(const V& a, const V& b) { return binary(ScalarOp::Mul, a, b); }
inline V operator/(const V& a, const V& b) { return binary(ScalarOp::Div, a, b); }
inline V operator-(const V& a) { return unary(ScalarOp::Neg, a); }
inline V operator+(const V& a, double b) { return a + like(a, b); }
inline V operator-(const V& a, double b) { return a - like(a, b); }
inline V operator*(const V& a, double b) { return a * like(a, b); }
inline V operator/(const V& a, double b) { return a / like(a, b); }
inline V operator-(double a, const V& b) { return like(b, a) - b; }
inline V operator/(double a, const V& b) { return like(b, a) / b; }
inline V operator<(const V& a, const V& b) { return comparison(ScalarOp::Lt, a, b); }
inline V operator>(const V& a, const V& b) { return comparison(ScalarOp::Gt, a, b); }
inline V operator>=(const V& a, const V& b) { return comparison(ScalarOp::Ge, a, b); }
inline V operator==(const V& a, const V& b) { return comparison(ScalarOp::Eq, a, b); }
inline V operator!=(const V& a, const V& b) { return comparison(ScalarOp::Ne, a, b); }
inline V operator<(const V& a, double b) { return a < like(a, b); }
inline V operator>(const V& a, double b) { return a > like(a, b); }
inline V operator>=(const V& a, double b) { return a >= like(a, b); }
inline V operator==(const V& a, double b) { return a == like(a, b); }
inline V operator!=(const V& a, double b) { return a != like(a, b); }
inline V operator&(const V& a, const V& b) { return binary(ScalarOp::And, a, b); }
inline V operator|(const V& a, const V& b) { return binary(ScalarOp::Or, a, b); }
inline V operator^(const V& a, const V& b) { return binary(ScalarOp::Xor, a, b); }
inline V operator!(const V& a) { return unary(ScalarOp::Not, a); }
inline V shl(const V& a, int n) { return binary(ScalarOp::Shl, a, like_int(a, n)); }
inline V shr(const V& a, int n) { return binary(ScalarOp::Shr, a, like_int(a, n)); }  // arithmetic on signed types
inline V fma(const V& a, const V& b, const V& c) { return make(ScalarOp::Fma, a.type(), a.lanes(), {a.e, b.e, c.e}); }
inline V fma(const V& a, double b, const V& c) { return fma(a, like(a, b), c); }
// a*b + c for f64 where the product's low half matters. Without fma it is split off after Dekker: right where c cancels
// the product, for factors below 2^995.
inline V fma_exact(const V& a, const V& b, const V& c, bool has_fma) {
  if (has_fma) return fma(a, b, c);
  auto high = [](const V& x) {
    V t = x * 134217729.0;  // 2^27 + 1
    return t - (t - x);
  };
  V p = a * b, ah = high(a), bh = high(b), al = a - ah, bl = b - bh;
  V rest = al * bl - (((p - ah * bh) - al * bh) - ah * bl);
  return (p + c) + rest;
}
inline V select(const V& c, const V& a, const V& b) {
  return make(ScalarOp::Select, a.type(), a.lanes(), {c.e, a.e, b.e});
}
inline V select(const V& c, double a, const V& b) { return select(c, like(b, a), b); }
inline V select(const V& c, const V& a, double b) { return select(c, a, like(a, b)); }
inline V cast(const V& a, DType t) { return a.type() == t ? a : make(ScalarOp::Cast, t, a.lanes(), {a.e}); }
inline V bitcast(const V& a, DType t) { return a.type() == t ? a : make(ScalarOp::Bitcast, t, a.lanes(), {a.e}); }
inline V abs(const V& a) { return unary(ScalarOp::Abs, a); }
inline V sqrt(const V& a) { return unary(ScalarOp::Sqrt, a); }
inline V round_even(const V& a) { return unary(ScalarOp::RoundEven, a); }
inline V trunc(const V& a) { return unary(ScalarOp::Trunc, a); }
inline V is_nan(const V& a) { return make(ScalarOp::IsNaN, DType::Bool, a.lanes(), {a.e}); }
// NaN goes through; the bounds are constants.
inline V clamp(const V& a, double low, double high) {
  return binary(ScalarOp::Min, binary(ScalarOp::Max, a, like(a, low)), like(a, high));
}

// c[0] + c[1]*x + ...
inline V poly(const V& x, std::initializer_list<double> c) {
  const double* p = c.end() - 1;
  V r = like(x, *p);
  while (p != c.begin()) r = fma(r, x, like(x, *--p));
  return r;
}

// The integer type as wide as a float type, and the sign bit of a float moved onto a magnitude.
inline DType bits_type(DType t) { return t == DType::F64 ? DType::I64 : DType::I32; }
inline V bits_of(const V& x) { return bitcast(x, bits_type(x.type())); }
inline V with_sign_of(const V& magnitude, const V& sign) {
  int64_t top = sign.type() == DType::F64 ? INT64_MIN : INT32_MIN;
  V s = bits_of(sign);
  return bitcast(bits_of(magnitude) | (s & like_int(s, top)), magnitude.type());
}

}  // namespace ingot::l
