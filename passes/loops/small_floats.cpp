#include "passes/loops/small_floats.h"

#include <cmath>

#include "ir/small_float.h"

namespace ingot::l {

namespace {

const FloatFormat* format(DType t) {
  switch (t) {
    case DType::F16: return &kF16;
    case DType::BF16: return &kBF16;
    case DType::F8E4M3FN: return &kF8E4M3FN;
    case DType::F8E4M3FNUZ: return &kF8E4M3FNUZ;
    case DType::F8E5M2: return &kF8E5M2;
    case DType::F8E5M2FNUZ: return &kF8E5M2FNUZ;
    case DType::F4E2M1: return &kF4E2M1;
    default: return nullptr;
  }
}

DType unsigned_code(DType t) { return bits(t) > 8 ? DType::U16 : DType::U8; }

V i32(const V& x, int64_t v) { return integer(DType::I32, x.lanes(), v); }

V code_of(const V& x) { return cast(bitcast(x, unsigned_code(x.type())), DType::I32); }
V from_code(const V& code, DType t) { return bitcast(cast(code, unsigned_code(t)), t); }

}  // namespace

bool is_small_float(DType t) { return format(t) != nullptr || t == DType::F8E8M0; }
DType code_type(DType t) { return bits(t) > 8 ? DType::I16 : DType::I8; }

V decode_small(const V& x) {
  V code = code_of(x);
  DType f32 = DType::F32;
  if (x.type() == DType::BF16) return bitcast(shl(code, 16), f32);
  if (x.type() == DType::F8E8M0) {
    V v = select(code == i32(code, 0), i32(code, 0x400000), shl(code, 23));
    return bitcast(select(code == i32(code, 255), i32(code, 0x7FC00000), v), f32);
  }
  const FloatFormat& f = *format(x.type());
  int sign_at = f.exponent_bits + f.mantissa_bits;
  V magnitude = code & i32(code, (1 << sign_at) - 1);
  V normal = shl(magnitude, 23 - f.mantissa_bits) + i32(code, int64_t{127 - f.bias} << 23);
  V denormal = bits_of(cast(magnitude, f32) * std::ldexp(1.0, 1 - f.bias - f.mantissa_bits));
  V v = select(magnitude < i32(code, 1 << f.mantissa_bits), denormal, normal);
  if (f.inf) v = select(magnitude >= i32(code, f.inf), shl(magnitude, 23 - f.mantissa_bits) | i32(code, 0x7F800000), v);
  else if (f.nan && !f.unsigned_zero) v = select(magnitude > i32(code, f.max), i32(code, 0x7FC00000), v);
  v = v | shl(shr(code, sign_at), 31);
  if (f.unsigned_zero) v = select(code == i32(code, f.nan), i32(code, 0x7FC00000), v);
  return bitcast(v, f32);
}

V encode_small(const V& x, DType to, bool saturate) {
  V bits = bits_of(x);
  V magnitude = bits & i32(bits, 0x7FFFFFFF);
  if (to == DType::F8E8M0) {
    V e = shr(magnitude, 23);
    V up = (bits & i32(bits, 0x7FFFFF)) != i32(bits, 0);
    if (saturate) up = up & (e < i32(e, 0xFE));
    V next = select(up, e + i32(e, 1), e);
    return from_code(select(e == i32(e, 0xFF), e, next), to);
  }
  const FloatFormat& f = *format(to);
  saturate = saturate && ingot::bits(to) <= 8;
  int sign_at = f.exponent_bits + f.mantissa_bits;
  V sign = shl(binary(ScalarOp::And, shr(bits, 31), i32(bits, 1)), sign_at);
  int shift = 23 - f.mantissa_bits;
  V odd = shr(magnitude, shift) & i32(bits, 1);
  V code = shr(magnitude + (odd + i32(bits, (1 << (shift - 1)) - 1)), shift) -
           i32(bits, int64_t{127 - f.bias} << f.mantissa_bits);
  if (f.bias != 127) {
    // Below the smallest normal: adding a power of two whose last bit is the format's last bit rounds in hardware.
    double magic = std::ldexp(1.0, 1 - f.bias - f.mantissa_bits + 23);
    V sum = bitcast(magnitude, DType::F32) + magic;
    V denormal = bits_of(sum) - bits_of(like(x, magic));
    code = select(magnitude < i32(bits, int64_t{128 - f.bias} << 23), denormal, code);
  }
  int64_t over = saturate || (!f.inf && !f.nan) ? f.max : f.inf ? f.inf : f.nan;
  code = select(i32(code, f.max) < code, i32(code, over), code);
  V nan = i32(bits, 0x7F800000) < magnitude;
  if (f.unsigned_zero) {
    V overflowed = code == i32(code, f.nan);
    code = select(code == i32(code, 0), code, code | sign);
    return from_code(select(nan | overflowed, i32(code, f.nan), code), to);
  }
  if (!f.nan) return from_code(select(nan, i32(code, int64_t{1} << sign_at), code | sign), to);
  return from_code(select(nan, i32(code, f.nan), code) | sign, to);
}

V to_odd_f32(const V& x) {
  V y = cast(x, DType::F32);
  V back = cast(y, DType::F64);
  V bits = bits_of(y);
  V exact = (back == x) | is_nan(x);
  V truncated = select(abs(back) > abs(x), bits - like_int(bits, 1), bits);
  return bitcast(select(exact, bits, truncated | like_int(bits, 1)), DType::F32);
}

}  // namespace ingot::l
