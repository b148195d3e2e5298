// Elementwise functions of two or more tensors, with broadcasting. a: [...], b: [...] -> the broadcast shape.
#include <algorithm>

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

namespace {

DType integer_of(int bits, bool with_sign) {
  switch (bits) {
    case 8: return with_sign ? DType::I8 : DType::U8;
    case 16: return with_sign ? DType::I16 : DType::U16;
    case 32: return with_sign ? DType::I32 : DType::U32;
    default: return with_sign ? DType::I64 : DType::U64;
  }
}

// x^y of integers of any two types, modulo 2^bits of x's type; x^-n is 1/x^n, truncated, and 0 for x = 0. The power is taken
// in a type that holds every y.
Expr integer_power(const Expr& x, const Expr& y) {
  DType t = x.type(), from = y.type();
  const int width = std::max(bits(t), bits(from));
  if (is_signed(t) || !is_signed(from)) {
    DType work = integer_of(width, is_signed(from));
    return ex::cast(ex::binary(ScalarOp::Pow, ex::cast(x, work), ex::cast(y, work)), t);
  }
  DType work = integer_of(width, false);
  Expr up = ex::cast(ex::binary(ScalarOp::Pow, ex::cast(x, work), ex::cast(y, work)), t);
  return ex::select(y < zero(from), ex::cast(eq(x, one(t)), t), up);
}

}  // namespace

// Pow-15: the result has the type of the base. Of integers it is exact, modulo 2^bits. Of an integer and a float it is
// computed in f64, as NumPy does, and of a float where the exponents may not be whole in the base's type; small constant
// exponents of floats are products.
Result<void> define_pow(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor a = d.in(0), b = d.in(1);
  DType t = a.dtype(), e = b.dtype();
  Dims dims = TRY(d.broadcast_dims(a.dims(), b.dims()));
  if (!is_float(t) && !is_float(e)) {
    auto number = [](const Expr& v) { return v.type() == DType::Bool ? ex::cast(v, DType::U8) : v; };
    d.out(
        d.map(dims, [&](Ix i) { return ex::cast(integer_power(number(a.broadcast(i)), number(b.broadcast(i))), t); }));
    return {};
  }
  std::optional<double> exponent = is_float(t) ? constant_scalar(d, 1) : std::nullopt;
  const bool wide = !is_float(t) || e == DType::F64 || (is_int(e) && bits(e) > 16);
  d.out(d.map(dims, [&](Ix i) {
    Expr x = a.broadcast(i);
    if (exponent == 1) return x;
    if (exponent == 2) return x * x;
    if (exponent == 3 && t != DType::F64) return widened(x, [](const Expr& v) { return v * v * v; });
    DType work = wide ? DType::F64 : compute_type(t);
    Expr y = ex::binary(ScalarOp::Pow, ex::cast(x, work), ex::cast(b.broadcast(i), work));
    return ex::cast(y, t);
  }));
  return {};
}

// BitShift-28. direction: LEFT or RIGHT. The right shift of a signed type fills up with its sign; an amount that is negative
// or not less than the type's bits leaves nothing but what it fills up with.
Result<void> define_bit_shift(Def& d) {
  std::string direction = d.str("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    return invalid("attribute 'direction' is '{}', expected 'LEFT' or 'RIGHT'", direction);
  }
  const bool left = direction == "LEFT";
  return broadcasting(d, [&](const Expr& a, const Expr& b) {
    DType t = a.type();
    if (left || !is_signed(t)) return ex::binary(left ? ScalarOp::Shl : ScalarOp::Shr, a, b);
    Expr most = ex::integer(t, bits(t) - 1);
    return ex::binary(ScalarOp::Shr, a, ex::select(b < zero(t), most, min(b, most)));
  });
}

namespace {

constexpr size_t kMaxTerms = 128, kGroup = 64;  // more operands than kMaxTerms are folded in groups

// Folds any number of tensors in the type for computation, then applies `last`: from the left, groups of many first.
template <class F, class Last>
Result<void> fold(Def& d, F f, Last last) {
  TRY(expect_arithmetic(d, d.inputs()));
  for (int k = 1; k < d.inputs(); ++k) TRY(expect_same_dtype(d.in(0), d.in(k), "operands"));
  Dims dims = TRY(broadcast_inputs(d, 0, d.inputs()));
  std::vector<Tensor> terms;
  for (int k = 0; k < d.inputs(); ++k) terms.push_back(d.in(k));
  auto folded = [&](std::span<const Tensor> part, Ix i) {
    Expr y = widen(part[0].broadcast(i));
    for (const Tensor& x : part.subspan(1)) y = f(y, widen(x.broadcast(i)));
    return y;
  };
  while (terms.size() > kMaxTerms) {
    std::vector<Tensor> groups;
    for (size_t k = 0; k < terms.size(); k += kGroup) {
      std::span<const Tensor> group = std::span<const Tensor>(terms).subspan(k, std::min(kGroup, terms.size() - k));
      groups.push_back(d.map(dims, [&](Ix i) { return folded(group, i); }));
    }
    terms = std::move(groups);
  }
  d.out(d.map(dims, [&](Ix i) { return ex::cast(last(folded(terms, i)), d.dtype(0)); }));
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
