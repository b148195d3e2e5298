// Between tensors as they lie on the host (packed, small floats as bits) and register format. See eval_code.h.
#include <array>
#include <bit>
#include <cstring>

#include "ir/ops/eval_code.h"
#include "ir/ops/eval_small_float.h"

namespace ingot::eval {

namespace {

struct Bytes16 {
  uint64_t v[2];
};

template <class T, class Index>
void gather(void* dst, const uint8_t* bytes, Index index, int64_t n) {
  T* __restrict out = static_cast<T*>(dst);
  const T* in = reinterpret_cast<const T*>(bytes);
  for (int64_t l = 0; l < n; ++l) out[l] = in[index(l)];
}

template <DType T, int Codes>
const float* decode_table() {
  static const auto table = [] {
    auto t = std::make_unique<std::array<float, Codes>>();
    for (int i = 0; i < Codes; ++i) (*t)[static_cast<size_t>(i)] = small_float_decode(T, static_cast<uint32_t>(i));
    return t;
  }();
  return table->data();
}

template <class Code, class Index>
void decode(void* dst, const uint8_t* bytes, const float* table, Index index, int64_t n) {
  const Code* in = reinterpret_cast<const Code*>(bytes);
  for (int64_t l = 0; l < n; ++l) static_cast<float*>(dst)[l] = table[in[index(l)]];
}

// Element i of packed `Bits`-bit codes, low bits first.
template <int Bits>
uint8_t code_at(const uint8_t* bytes, int64_t i) {
  constexpr int64_t per_byte = 8 / Bits;
  return static_cast<uint8_t>((bytes[i / per_byte] >> (i % per_byte * Bits)) & ((1 << Bits) - 1));
}

template <int Bits, class T, class Index>
void unpack(void* dst, const uint8_t* bytes, Index index, int64_t n) {
  for (int64_t l = 0; l < n; ++l) {
    const uint8_t c = static_cast<uint8_t>(code_at<Bits>(bytes, index(l)) << (8 - Bits));
    static_cast<T*>(dst)[l] = static_cast<T>(static_cast<T>(c) >> (8 - Bits));
  }
}

template <class Index>
void load(void* dst, const TensorData& t, Index index, int64_t n) {
  const uint8_t* p = t.bytes;
  switch (t.dtype) {
    case DType::Bool:
    case DType::I8:
    case DType::U8: return gather<uint8_t>(dst, p, index, n);
    case DType::I16:
    case DType::U16: return gather<uint16_t>(dst, p, index, n);
    case DType::I32:
    case DType::U32:
    case DType::F32: return gather<uint32_t>(dst, p, index, n);
    case DType::I64:
    case DType::U64:
    case DType::F64:
    case DType::C64: return gather<uint64_t>(dst, p, index, n);
    case DType::C128: return gather<Bytes16>(dst, p, index, n);
    case DType::I2: return unpack<2, int8_t>(dst, p, index, n);
    case DType::U2: return unpack<2, uint8_t>(dst, p, index, n);
    case DType::I4: return unpack<4, int8_t>(dst, p, index, n);
    case DType::U4: return unpack<4, uint8_t>(dst, p, index, n);
    case DType::F16: return decode<uint16_t>(dst, p, decode_table<DType::F16, 65536>(), index, n);
    case DType::BF16: {
      const uint16_t* in = reinterpret_cast<const uint16_t*>(p);
      for (int64_t l = 0; l < n; ++l)
        static_cast<float*>(dst)[l] = std::bit_cast<float>(static_cast<uint32_t>(in[index(l)]) << 16);
      return;
    }
// clang-format off
#define X(T) case DType::T: return decode<uint8_t>(dst, p, decode_table<DType::T, 256>(), index, n);
    X(F8E4M3FN) X(F8E4M3FNUZ) X(F8E5M2) X(F8E5M2FNUZ) X(F8E8M0)
#undef X
// clang-format on
        case DType::F4E2M1: {
      const float* table = decode_table<DType::F4E2M1, 16>();
      for (int64_t l = 0; l < n; ++l) static_cast<float*>(dst)[l] = table[code_at<4>(p, index(l))];
      return;
    }
    case DType::String:
      for (int64_t l = 0; l < n; ++l)
        static_cast<const std::string**>(dst)[l] = &t.strings[static_cast<size_t>(index(l))];
      return;
    case DType::Invalid: return;
  }
}

template <class T>
void scatter(uint8_t* bytes, int64_t base, int64_t stride, const void* src, int64_t n) {
  T* out = reinterpret_cast<T*>(bytes) + base;
  const T* in = static_cast<const T*>(src);
  if (stride == 1) std::memcpy(out, in, static_cast<size_t>(n) * sizeof(T));
  else
    for (int64_t l = 0; l < n; ++l) out[l * stride] = in[l];
}

template <int Bits>
void pack(uint8_t* bytes, int64_t i, uint8_t code) {
  constexpr int64_t per_byte = 8 / Bits;
  const int shift = static_cast<int>(i % per_byte * Bits);
  uint8_t& b = bytes[i / per_byte];
  b = static_cast<uint8_t>((b & ~(((1 << Bits) - 1) << shift)) | ((code & ((1 << Bits) - 1)) << shift));
}

}  // namespace

void load_strided(void* dst, const TensorData& t, int64_t base, int64_t stride, int64_t n) {
  if (stride == 1) load(dst, t, [=](int64_t l) { return base + l; }, n);
  else load(dst, t, [=](int64_t l) { return base + l * stride; }, n);
}

void load_indexed(void* dst, const TensorData& t, const int64_t* idx, int64_t n) {
  load(dst, t, [=](int64_t l) { return idx[l]; }, n);
}

void store_strided(TensorData& t, int64_t base, int64_t stride, const void* src, int64_t n) {
  uint8_t* p = t.dtype == DType::String ? nullptr : t.mutable_bytes();
  const float* f = static_cast<const float*>(src);
  const uint8_t* u = static_cast<const uint8_t*>(src);
  switch (t.dtype) {
    case DType::Bool:
    case DType::I8:
    case DType::U8: return scatter<uint8_t>(p, base, stride, src, n);
    case DType::I16:
    case DType::U16: return scatter<uint16_t>(p, base, stride, src, n);
    case DType::I32:
    case DType::U32:
    case DType::F32: return scatter<uint32_t>(p, base, stride, src, n);
    case DType::I64:
    case DType::U64:
    case DType::F64:
    case DType::C64: return scatter<uint64_t>(p, base, stride, src, n);
    case DType::C128: return scatter<Bytes16>(p, base, stride, src, n);
    case DType::I2:
    case DType::U2:
      for (int64_t l = 0; l < n; ++l) pack<2>(p, base + l * stride, u[l]);
      return;
    case DType::I4:
    case DType::U4:
      for (int64_t l = 0; l < n; ++l) pack<4>(p, base + l * stride, u[l]);
      return;
    case DType::F4E2M1:
      for (int64_t l = 0; l < n; ++l)
        pack<4>(p, base + l * stride, static_cast<uint8_t>(small_float_encode(t.dtype, f[l], true)));
      return;
    case DType::F16:
    case DType::BF16:
      for (int64_t l = 0; l < n; ++l)
        reinterpret_cast<uint16_t*>(p)[base + l * stride] =
            static_cast<uint16_t>(small_float_encode(t.dtype, f[l], false));
      return;
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
      // Registers hold values of the format, infinities among them: no saturation here.
      for (int64_t l = 0; l < n; ++l)
        p[base + l * stride] = static_cast<uint8_t>(small_float_encode(t.dtype, f[l], false));
      return;
    case DType::String:
      for (int64_t l = 0; l < n; ++l)
        t.strings[static_cast<size_t>(base + l * stride)] = *static_cast<const std::string* const*>(src)[l];
      return;
    case DType::Invalid: return;
  }
}

void copy_elements(TensorData& to, const TensorData& from) {
  if (to.dtype == DType::String) to.strings = from.strings;
  else if (from.size_bytes > 0)
    std::memcpy(to.mutable_bytes(), from.bytes, static_cast<size_t>(std::min(to.size_bytes, from.size_bytes)));
}

}  // namespace ingot::eval
