#include "ir/numeric.h"

#include <cmath>
#include <cstring>

#include "ir/small_float.h"

namespace ingot {

namespace {
template <class T>
T get(const uint8_t* bytes, int64_t i) {
  T v;
  std::memcpy(&v, bytes + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return v;
}
template <class T>
void put(uint8_t* bytes, int64_t i, T v) {
  std::memcpy(bytes + i * static_cast<int64_t>(sizeof(T)), &v, sizeof(T));
}

// `width` bits of element i, the first element in the lowest bits.
uint32_t get_packed(const uint8_t* bytes, int64_t i, int width) {
  int per_byte = 8 / width;
  return static_cast<uint32_t>(bytes[i / per_byte] >> (i % per_byte * width)) & ((1u << width) - 1);
}
void put_packed(uint8_t* bytes, int64_t i, int width, uint32_t v) {
  int per_byte = 8 / width, shift = static_cast<int>(i % per_byte) * width;
  uint32_t mask = ((1u << width) - 1) << shift;
  uint8_t& b = bytes[i / per_byte];
  b = static_cast<uint8_t>((b & ~mask) | ((v << shift) & mask));
}

const FloatFormat* small_format(DType t) {
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

uint32_t encode(DType t, double v, bool saturate) {
  if (t == DType::F8E8M0) return encode_e8m0(static_cast<float>(v), saturate);
  return encode_float(v, *small_format(t), saturate && bits(t) <= 8);
}
double decode(DType t, uint32_t code) {
  return t == DType::F8E8M0 ? decode_e8m0(static_cast<uint8_t>(code)) : decode_float(code, *small_format(t));
}
}  // namespace

int64_t load_integer(DType t, const uint8_t* bytes, int64_t i) {
  switch (t) {
    case DType::Bool: return get<uint8_t>(bytes, i) != 0;
    case DType::I2:
    case DType::U2: return wrap_to(t, get_packed(bytes, i, 2));
    case DType::I4:
    case DType::U4: return wrap_to(t, get_packed(bytes, i, 4));
    case DType::I8: return get<int8_t>(bytes, i);
    case DType::U8: return get<uint8_t>(bytes, i);
    case DType::I16: return get<int16_t>(bytes, i);
    case DType::U16: return get<uint16_t>(bytes, i);
    case DType::I32: return get<int32_t>(bytes, i);
    case DType::U32: return get<uint32_t>(bytes, i);
    case DType::I64:
    case DType::U64: return get<int64_t>(bytes, i);
    default: return 0;
  }
}

double load_number(DType t, const uint8_t* bytes, int64_t i) {
  switch (t) {
    case DType::F64: return get<double>(bytes, i);
    case DType::F32: return get<float>(bytes, i);
    case DType::C64: return get<float>(bytes, 2 * i);
    case DType::C128: return get<double>(bytes, 2 * i);
    case DType::F4E2M1: return decode(t, get_packed(bytes, i, 4));
    default: break;
  }
  if (!is_float(t)) return 0;
  return decode(t, bits(t) == 16 ? get<uint16_t>(bytes, i) : get<uint8_t>(bytes, i));
}

void store_integer(DType t, uint8_t* bytes, int64_t i, int64_t v) {
  if (t == DType::Bool) return put<uint8_t>(bytes, i, v != 0);
  switch (bits(t)) {
    case 2: return put_packed(bytes, i, 2, static_cast<uint32_t>(v));
    case 4: return put_packed(bytes, i, 4, static_cast<uint32_t>(v));
    case 8: return put(bytes, i, static_cast<uint8_t>(v));
    case 16: return put(bytes, i, static_cast<uint16_t>(v));
    case 32: return put(bytes, i, static_cast<uint32_t>(v));
    case 64: return put(bytes, i, v);
    default: return;
  }
}

void store_number(DType t, uint8_t* bytes, int64_t i, double v, bool saturate) {
  switch (t) {
    case DType::F64: return put(bytes, i, v);
    case DType::F32: return put(bytes, i, static_cast<float>(v));
    case DType::C64: return put(bytes, 2 * i, static_cast<float>(v));
    case DType::C128: return put(bytes, 2 * i, v);
    case DType::F4E2M1: return put_packed(bytes, i, 4, encode(t, v, saturate));
    default: break;
  }
  if (!is_float(t)) return store_integer(t, bytes, i, truncate_to(t, v));
  uint32_t code = encode(t, v, saturate);
  if (bits(t) == 16) put(bytes, i, static_cast<uint16_t>(code));
  else put(bytes, i, static_cast<uint8_t>(code));
}

int64_t wrap_to(DType t, int64_t v) {
  if (t == DType::Bool) return v != 0;
  int n = bits(t);
  if (n == 0 || n >= 64) return v;
  uint64_t u = static_cast<uint64_t>(v) << (64 - n);
  return is_signed(t) ? static_cast<int64_t>(u) >> (64 - n) : static_cast<int64_t>(u >> (64 - n));
}

int64_t truncate_to(DType t, double v) {
  if (t == DType::Bool) return v != 0;
  if (std::isnan(v)) return 0;
  v = std::trunc(v);
  int n = bits(t);
  if (t == DType::U64) {
    if (v <= 0) return 0;
    return v >= 0x1p64 ? -1 : static_cast<int64_t>(static_cast<uint64_t>(v));
  }
  double lo = is_signed(t) ? -pow2(n - 1) : 0, end = pow2(is_signed(t) ? n - 1 : n);
  if (v <= lo) return is_signed(t) ? INT64_MIN >> (64 - n) : 0;
  if (v >= end) return is_signed(t) ? INT64_MAX >> (64 - n) : static_cast<int64_t>(UINT64_MAX >> (64 - n));
  return static_cast<int64_t>(v);
}

double round_to(DType t, double v, bool saturate) {
  if (t == DType::F64 || !is_float(t)) return v;
  if (t == DType::F32) return static_cast<float>(v);
  return decode(t, encode(t, v, saturate));
}

}  // namespace ingot
