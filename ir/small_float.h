// Conversions between double and the floats of at most 16 bits, bit-exact and without hardware support.
//
// Rounding is to nearest even, from the double at once: a float is a double exactly, so there is no double rounding. On
// overflow (after rounding) and for infinities the result is the largest finite value when `saturate`, else infinity, or
// NaN where the format has none: the tables of ONNX Cast-23. The FNUZ formats have no negative zero. f4e2m1 has neither
// NaN nor infinity: it always saturates, and NaN gives -0 (as ONNX's tests have it). f8e8m0 holds powers of two, and has its own functions.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace ingot {

struct FloatFormat {
  int exponent_bits, mantissa_bits, bias;
  uint32_t max;  // the largest finite value
  uint32_t inf;  // 0: none
  uint32_t nan;  // 0: none
  bool unsigned_zero;
};
inline constexpr FloatFormat kF16{5, 10, 15, 0x7BFF, 0x7C00, 0x7E00, false};
inline constexpr FloatFormat kBF16{8, 7, 127, 0x7F7F, 0x7F80, 0x7FC0, false};
inline constexpr FloatFormat kF8E4M3FN{4, 3, 7, 0x7E, 0, 0x7F, false};
inline constexpr FloatFormat kF8E4M3FNUZ{4, 3, 8, 0x7F, 0, 0x80, true};
inline constexpr FloatFormat kF8E5M2{5, 2, 15, 0x7B, 0x7C, 0x7E, false};
inline constexpr FloatFormat kF8E5M2FNUZ{5, 2, 16, 0x7F, 0, 0x80, true};
inline constexpr FloatFormat kF4E2M1{2, 1, 1, 0x7, 0, 0, false};

constexpr double pow2(int e) {  // -1022 <= e <= 1023
  return std::bit_cast<double>(static_cast<uint64_t>(e + 1023) << 52);
}

constexpr double decode_float(uint32_t bits, const FloatFormat& f) {
  uint32_t sign_bit = 1u << (f.exponent_bits + f.mantissa_bits);
  uint32_t magnitude = bits & (sign_bit - 1);
  bool negative = (bits & sign_bit) != 0;
  if (f.unsigned_zero && bits == f.nan) return std::numeric_limits<double>::quiet_NaN();
  double v = 0;
  if (f.inf && magnitude == f.inf) {
    v = std::numeric_limits<double>::infinity();
  } else if (magnitude > f.max) {
    v = std::numeric_limits<double>::quiet_NaN();
  } else {
    int e = static_cast<int>(magnitude >> f.mantissa_bits);
    uint32_t m = magnitude & ((1u << f.mantissa_bits) - 1);
    if (e == 0) e = 1;
    else m |= 1u << f.mantissa_bits;
    v = static_cast<double>(m) * pow2(e - f.bias - f.mantissa_bits);
  }
  return negative ? -v : v;
}

constexpr uint32_t encode_float(double v, const FloatFormat& f, bool saturate = false) {
  uint64_t bits = std::bit_cast<uint64_t>(v);
  uint32_t sign = bits >> 63 ? 1u << (f.exponent_bits + f.mantissa_bits) : 0;
  int e = static_cast<int>(bits >> 52 & 0x7FF);
  uint64_t m = bits & ((1ull << 52) - 1);
  auto overflow = [&]() -> uint32_t {
    if (saturate || (!f.inf && !f.nan)) return sign | f.max;
    if (f.inf) return sign | f.inf;
    return f.unsigned_zero ? f.nan : sign | f.nan;
  };
  if (e == 0x7FF && m != 0)
    return f.unsigned_zero ? f.nan : f.nan ? sign | f.nan : 1u << (f.exponent_bits + f.mantissa_bits);
  if (e == 0x7FF) return overflow();
  if (e == 0) return f.unsigned_zero ? 0 : sign;  // zero, and doubles far below every format's smallest
  m |= 1ull << 52;
  int exponent = e - 1023;
  int smallest = 1 - f.bias;
  int shift = 52 - f.mantissa_bits + (exponent < smallest ? smallest - exponent : 0);
  uint64_t r = 0;
  if (shift < 64) {
    uint64_t half = 1ull << (shift - 1), rest = m & ((1ull << shift) - 1);
    r = m >> shift;
    if (rest > half || (rest == half && (r & 1))) ++r;
  }
  uint64_t code = r;
  if (exponent >= smallest) code += static_cast<uint64_t>(exponent - smallest) << f.mantissa_bits;
  if (code > f.max) return overflow();
  return code == 0 && f.unsigned_zero ? 0 : sign | static_cast<uint32_t>(code);
}

// f8e8m0: 2^(code - 127); 0xFF is NaN; no sign (that of the input is dropped) and no zero.
enum class RoundE8M0 : uint8_t { Up, Down, Nearest };  // away from zero, to zero, ONNX Cast-24 round_mode

constexpr double decode_e8m0(uint8_t code) {
  return code == 0xFF ? std::numeric_limits<double>::quiet_NaN() : pow2(code - 127);
}

constexpr uint8_t encode_e8m0(float v, bool saturate = true, RoundE8M0 round = RoundE8M0::Up) {
  uint32_t bits = std::bit_cast<uint32_t>(v);
  uint32_t e = bits >> 23 & 0xFF, m = bits & 0x7FFFFF;
  if (e == 0xFF) return 0xFF;
  bool up = false;
  switch (round) {
    case RoundE8M0::Up: up = m != 0; break;
    case RoundE8M0::Down: break;
    case RoundE8M0::Nearest: up = (m & 0x400000) && ((m & 0x3FFFFF) || e > 0); break;
  }
  if (up && (e < 0xFE || !saturate)) ++e;
  return static_cast<uint8_t>(e);
}

inline float f16_to_float(uint16_t v) { return static_cast<float>(decode_float(v, kF16)); }
inline float bf16_to_float(uint16_t v) { return std::bit_cast<float>(static_cast<uint32_t>(v) << 16); }
inline uint16_t float_to_f16(double v) { return static_cast<uint16_t>(encode_float(v, kF16)); }
inline uint16_t float_to_bf16(double v) { return static_cast<uint16_t>(encode_float(v, kBF16)); }

}  // namespace ingot
