// The floats of at most 16 bits by dtype, as the interpreter's registers (f32) need them.
#pragma once

#include "ir/small_float.h"
#include "ir/types.h"

namespace ingot::eval {

inline float small_float_decode(DType t, uint32_t code) {
  switch (t) {
    case DType::F16: return static_cast<float>(decode_float(code, kF16));
    case DType::BF16: return bf16_to_float(static_cast<uint16_t>(code));
    case DType::F8E4M3FN: return static_cast<float>(decode_float(code, kF8E4M3FN));
    case DType::F8E4M3FNUZ: return static_cast<float>(decode_float(code, kF8E4M3FNUZ));
    case DType::F8E5M2: return static_cast<float>(decode_float(code, kF8E5M2));
    case DType::F8E5M2FNUZ: return static_cast<float>(decode_float(code, kF8E5M2FNUZ));
    case DType::F8E8M0: return static_cast<float>(decode_e8m0(static_cast<uint8_t>(code)));
    case DType::F4E2M1: return static_cast<float>(decode_float(code, kF4E2M1));
    default: return 0;
  }
}

inline uint32_t small_float_encode(DType t, float v, bool saturate) {
  switch (t) {
    case DType::F16: return encode_float(v, kF16);
    case DType::BF16: {
      const uint32_t u = std::bit_cast<uint32_t>(v);
      if (v != v) return (u >> 16 & 0x8000) | 0x7FC0;
      return (u + 0x7FFF + (u >> 16 & 1)) >> 16;
    }
    case DType::F8E4M3FN: return encode_float(v, kF8E4M3FN, saturate);
    case DType::F8E4M3FNUZ: return encode_float(v, kF8E4M3FNUZ, saturate);
    case DType::F8E5M2: return encode_float(v, kF8E5M2, saturate);
    case DType::F8E5M2FNUZ: return encode_float(v, kF8E5M2FNUZ, saturate);
    case DType::F8E8M0: return encode_e8m0(v, saturate);
    case DType::F4E2M1: return encode_float(v, kF4E2M1, saturate);
    default: return 0;
  }
}

inline float small_float_round(DType t, float v, bool saturate) {
  return small_float_decode(t, small_float_encode(t, v, saturate));
}

}  // namespace ingot::eval
