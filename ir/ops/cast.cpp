// Changes of element type.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// The elements of 8-bit and smaller types are read and made by `cast` alone; from one to another goes through a type that
// holds both exactly.
Expr convert(const Expr& x, DType to, bool saturate) {
  DType from = x.type();
  if (from == to) return x;
  Expr v = x;
  if (!is_arithmetic(from)) v = ex::cast(v, is_float(from) ? DType::F32 : DType::I32);
  if (to == DType::Bool) return ex::binary(ScalarOp::Ne, v, zero(v.type()));
  return ex::cast(v, to, saturate);
}

// F8E8M0 holds 2^(byte - 127); 255 is NaN. Rounding is to the next power of two above (up), below (down) or nearest.
// From the bits of the f32: the exponent, plus one where the fraction says so.
Expr to_e8m0(const Expr& x, const std::string& mode, bool saturate) {
  Expr v = ex::cast(x, DType::F32);
  Expr bits = ex::bitcast(v, DType::U32);
  auto number = [](int64_t n) { return ex::integer(DType::U32, n); };
  auto binary = [](ScalarOp op, const Expr& a, const Expr& b) { return ex::binary(op, a, b); };
  Expr exponent = binary(ScalarOp::And, binary(ScalarOp::Shr, bits, number(23)), number(255));
  Expr fraction = binary(ScalarOp::And, bits, number(0x7fffff));
  Expr up;
  if (mode == "up") {
    // A subnormal up to 2^-127 stays in the lowest binade.
    up = ex::binary(ScalarOp::Gt, fraction, ex::select(eq(exponent, number(0)), number(0x400000), number(0)));
  } else if (mode == "nearest") {
    up = ex::binary(ScalarOp::Ge, fraction, number(0x400000)) &&
         (ex::binary(ScalarOp::Ne, fraction, number(0x400000)) || ex::binary(ScalarOp::Ne, exponent, number(0)));
  } else {
    up = ex::boolean(false);
  }
  Expr rounded = exponent + ex::select(up, number(1), number(0));
  Expr limited = saturate ? min(rounded, number(254)) : rounded;
  Expr special = ex::binary(ScalarOp::Eq, exponent, number(255));
  return ex::bitcast(ex::cast(ex::select(special, number(255), limited), DType::U8), DType::F8E8M0);
}

Result<void> cast_to(Def& d, DType to) {
  Tensor x = d.in(0);
  DType from = x.dtype();
  if (to == DType::Invalid) return invalid("the target element type is missing");
  if (from == to) {
    d.out(x);
    return {};
  }
  if (is_complex(from) || is_complex(to)) return unsupported("cast from {} to {}", name(from), name(to));
  if (from == DType::String || to == DType::String) {
    Tensor source = x;
    if (from != DType::String && !is_arithmetic(from)) source = converted(d, x, is_float(from) ? DType::F32 : DType::I32);
    if (to == DType::String) {
      d.out(d.call("number_to_string", {source}, {{to, x.dims()}})[0]);
    } else {
      DType parsed = is_float(to) ? (to == DType::F64 ? to : DType::F32) : to == DType::U64 ? to : DType::I64;
      Tensor numbers = d.call("string_to_number", {x}, {{parsed, x.dims()}})[0];
      d.out(parsed == to ? numbers : d.map(x.dims(), [&](Ix i) { return convert(numbers(i), to, true); }));
    }
    return {};
  }
  bool saturate = d.i64("saturate", 1);
  std::string mode = d.str("round_mode", "up");
  if (to == DType::F8E8M0 && mode != "up" && mode != "down" && mode != "nearest") {
    return invalid("attribute 'round_mode' is '{}', expected 'up', 'down' or 'nearest'", mode);
  }
  d.out(d.map(x.dims(), [&](Ix i) {
    if (to == DType::F8E8M0) return to_e8m0(convert(x(i), DType::F32, true), mode, saturate);
    return convert(x(i), to, saturate);
  }));
  return {};
}

}  // namespace

// Cast-25. x: [...] -> [...] of type `to`. Floats to integers truncate and saturate; strings are parsed and printed.
Result<void> define_cast(Def& d) {
  TRY(expect_tensors(d, 1));
  return cast_to(d, TRY(dtype_attr(d, "to", DType::Invalid)));
}

// CastLike-25: to the type of the second input.
Result<void> define_cast_like(Def& d) {
  TRY(expect_tensors(d, 2));
  return cast_to(d, d.dtype(1));
}

// BitCast-26: the same bits read as another type of the same width.
Result<void> define_bit_cast(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  DType to = TRY(dtype_attr(d, "to", DType::Invalid));
  if (x.dtype() == DType::String || to == DType::String || bits(x.dtype()) != bits(to)) {
    return invalid("got element types {} and {}, expected types of the same width", name(x.dtype()), name(to));
  }
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr v = x(i);
    if (v.type() == to) return v;
    if (v.type() == DType::Bool) v = ex::cast(v, DType::U8);
    if (to == DType::Bool) return ex::binary(ScalarOp::Ne, ex::bitcast(v, DType::U8), zero(DType::U8));
    return v.type() == to ? v : ex::bitcast(v, to);
  }));
  return {};
}

}  // namespace ingot
