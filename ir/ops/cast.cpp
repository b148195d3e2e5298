// Changes of element type.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// The elements of 8-bit and smaller types are read and made by `cast` alone; from one to another goes through a type
// that holds both exactly.
Expr convert(const Expr& x, DType to, bool saturate) {
  DType from = x.type();
  if (from == to) return x;
  Expr v = x;
  if (!is_arithmetic(from)) v = ex::cast(v, is_float(from) ? DType::F32 : DType::I32);
  if (to == DType::Bool) return ex::binary(ScalarOp::Ne, v, zero(v.type()));
  // Integers of 2 and 4 bits take the low bits, as ONNX's reference does.
  if (is_float(v.type()) && is_int(to) && !is_arithmetic(to)) v = ex::cast(v, DType::I32);
  return ex::cast(v, to, saturate);
}

// F8E8M0 holds 2^(byte - 127); 255 is NaN. Rounding is to the power of two above (up), below (down) or nearest. From
// the bits of the f32: the exponent, plus one where the fraction says so. What is out of range saturates, or else gives
// NaN.
Expr to_e8m0(const Expr& x, const std::string& mode, bool saturate) {
  Expr bits = ex::bitcast(ex::cast(x, DType::F32), DType::U32);
  auto number = [](int64_t n) { return ex::integer(DType::U32, n); };
  Expr exponent = ex::binary(ScalarOp::And, ex::binary(ScalarOp::Shr, bits, number(23)), number(255));
  Expr fraction = ex::binary(ScalarOp::And, bits, number(0x7fffff));
  // A subnormal is a fraction of 2^-126: half of it is the lowest number, 2^-127.
  Expr subnormal = eq(exponent, number(0)), lowest = number(0x400000);
  Expr up = ex::boolean(false);
  if (mode == "up") up = fraction > ex::select(subnormal, lowest, number(0));
  if (mode == "nearest") up = ex::select(subnormal, fraction > number(0x600000), fraction >= lowest);
  Expr rounded = exponent + ex::select(up, number(1), number(0));
  Expr special = eq(exponent, number(255));
  Expr y;
  if (saturate) {
    y = ex::select(special && fraction > number(0), number(255), min(rounded, number(254)));
  } else {
    y = ex::select(special || (subnormal && fraction < lowest), number(255), rounded);
  }
  return ex::bitcast(ex::cast(y, DType::U8), DType::F8E8M0);
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
    if (from != DType::String && !is_arithmetic(from))
      source = converted(d, x, is_float(from) ? DType::F32 : DType::I32);
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
