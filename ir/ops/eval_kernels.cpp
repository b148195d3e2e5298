// The scalar operations over arrays in register format, for every dtype. Semantics: ir/types.h and ir/ops/evaluate.h.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "ir/ops/eval_code.h"
#include "ir/ops/eval_small_float.h"

namespace ingot::eval {

namespace {

using Str = const std::string*;
struct C64 {
  uint64_t v;
};
struct C128 {
  uint64_t v[2];
};

template <class T>
inline constexpr bool kFloat = std::is_floating_point_v<T>;
template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T, class R, class F>
void unary(void* d, const void* a, F f, int64_t n) {
  R* __restrict out = static_cast<R*>(d);
  const T* x = static_cast<const T*>(a);
  for (int64_t i = 0; i < n; ++i) out[i] = f(x[i]);
}
template <class T, class R, class F>
void binary(void* d, const void* a, const void* b, F f, int64_t n) {
  R* __restrict out = static_cast<R*>(d);
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  for (int64_t i = 0; i < n; ++i) out[i] = f(x[i], y[i]);
}

template <class T>
T wrap_add(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
}
template <class T>
T wrap_sub(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
}
template <class T>
T wrap_mul(T a, T b) {
  if constexpr (sizeof(T) < 4) return static_cast<T>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
  else return static_cast<T>(static_cast<Unsigned<T>>(a) * static_cast<Unsigned<T>>(b));
}
template <class T>
T div_int(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return wrap_sub(T{0}, a);
  return static_cast<T>(a / b);
}
template <class T>
T rem_int(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return 0;
  return static_cast<T>(a % b);
}
template <class T>
T floor_mod_int(T a, T b) {
  T r = rem_int(a, b);
  if constexpr (std::is_signed_v<T>)
    if (r != 0 && (r < 0) != (b < 0)) r = static_cast<T>(r + b);
  return r;
}
template <class T>
T floor_mod_float(T a, T b) {
  T r = std::fmod(a, b);
  if (r != 0 && (r < 0) != (b < 0)) return r + b;
  return r == 0 ? std::copysign(T{0}, b) : r;
}
template <class T>
T pow_int(T a, T b) {
  if constexpr (std::is_signed_v<T>)
    if (b < 0) return static_cast<T>(a == 1 ? 1 : a == -1 ? ((b & 1) ? -1 : 1) : 0);
  T r = 1;
  for (Unsigned<T> e = static_cast<Unsigned<T>>(b); e; e = static_cast<Unsigned<T>>(e >> 1)) {
    if (e & 1) r = wrap_mul(r, a);
    a = wrap_mul(a, a);
  }
  return r;
}
template <class T>
T min_float(T a, T b) {
  return (a < b || a != a) ? a : b;
}
template <class T>
T max_float(T a, T b) {
  return (a > b || a != a) ? a : b;
}
template <class T>
T shl(T a, T b) {
  return static_cast<Unsigned<T>>(b) >= sizeof(T) * 8 ? T{0} : static_cast<T>(static_cast<uint64_t>(a) << b);
}
template <class T>
T shr(T a, T b) {
  return static_cast<Unsigned<T>>(b) >= sizeof(T) * 8 ? T{0} : static_cast<T>(a >> b);
}

// A function of one float, computed in double.
template <class T, double (*F)(double)>
void math(void* d, const void* a, const void*, const void*, int64_t n) {
  unary<T, T>(d, a, [](T x) { return static_cast<T>(F(static_cast<double>(x))); }, n);
}
double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

#define FN(body)                                                                                              \
  [](void* d, [[maybe_unused]] const void* a, [[maybe_unused]] const void* b, [[maybe_unused]] const void* c, \
     int64_t n) { body; }
#define UN(R, e) FN((unary<T, R>(d, a, [](T x) -> R { return e; }, n)))
#define BIN(R, e) FN((binary<T, R>(d, a, b, [](T x, T y) -> R { return e; }, n)))

template <class T>
void select_lanes(void* d, const void* c, const void* a, const void* b, int64_t n) {
  T* out = static_cast<T*>(d);
  const uint8_t* m = static_cast<const uint8_t*>(c);
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  for (int64_t i = 0; i < n; ++i) out[i] = m[i] ? x[i] : y[i];
}

template <class T>
VecFn compare_fn(ScalarOp op) {
  switch (op) {
    case ScalarOp::Eq: return BIN(uint8_t, x == y);
    case ScalarOp::Ne: return BIN(uint8_t, x != y);
    case ScalarOp::Lt: return BIN(uint8_t, x < y);
    case ScalarOp::Le: return BIN(uint8_t, x <= y);
    case ScalarOp::Gt: return BIN(uint8_t, x > y);
    case ScalarOp::Ge: return BIN(uint8_t, x >= y);
    case ScalarOp::Select: return select_lanes<T>;
    default: return nullptr;
  }
}

template <class T>
VecFn int_fn(ScalarOp op) {
  switch (op) {
    case ScalarOp::Neg: return UN(T, wrap_sub(T{0}, x));
    case ScalarOp::Abs: return UN(T, x < 0 ? wrap_sub(T{0}, x) : x);
    case ScalarOp::Sign: return UN(T, static_cast<T>((x > 0) - (x < 0)));
    case ScalarOp::Not: return UN(T, static_cast<T>(~x));
    case ScalarOp::Floor:
    case ScalarOp::Ceil:
    case ScalarOp::Trunc:
    case ScalarOp::RoundEven: return UN(T, x);
    case ScalarOp::IsNaN:
    case ScalarOp::IsInf: return UN(uint8_t, (void(x), 0));
    case ScalarOp::PopCount: return UN(T, static_cast<T>(std::popcount(static_cast<Unsigned<T>>(x))));
    case ScalarOp::Add: return BIN(T, wrap_add(x, y));
    case ScalarOp::Sub: return BIN(T, wrap_sub(x, y));
    case ScalarOp::Mul: return BIN(T, wrap_mul(x, y));
    case ScalarOp::Div: return BIN(T, div_int(x, y));
    case ScalarOp::Rem: return BIN(T, rem_int(x, y));
    case ScalarOp::FloorMod: return BIN(T, floor_mod_int(x, y));
    case ScalarOp::Pow: return BIN(T, pow_int(x, y));
    case ScalarOp::Min: return BIN(T, x < y ? x : y);
    case ScalarOp::Max: return BIN(T, x > y ? x : y);
    case ScalarOp::And: return BIN(T, static_cast<T>(x & y));
    case ScalarOp::Or: return BIN(T, static_cast<T>(x | y));
    case ScalarOp::Xor: return BIN(T, static_cast<T>(x ^ y));
    case ScalarOp::Shl: return BIN(T, shl(x, y));
    case ScalarOp::Shr: return BIN(T, shr(x, y));
    case ScalarOp::Fma:
      return [](void* d, const void* a, const void* b, const void* c, int64_t n) {
        for (int64_t i = 0; i < n; ++i)
          static_cast<T*>(d)[i] =
              wrap_add(wrap_mul(static_cast<const T*>(a)[i], static_cast<const T*>(b)[i]), static_cast<const T*>(c)[i]);
      };
    default: return compare_fn<T>(op);
  }
}

template <class T>
VecFn float_fn(ScalarOp op) {
  switch (op) {
    case ScalarOp::Neg: return UN(T, -x);
    case ScalarOp::Abs: return UN(T, std::fabs(x));
    case ScalarOp::Sign: return UN(T, x > 0 ? T{1} : x < 0 ? T{-1} : x);
    case ScalarOp::Floor: return UN(T, std::floor(x));
    case ScalarOp::Ceil: return UN(T, std::ceil(x));
    case ScalarOp::Trunc: return UN(T, std::trunc(x));
    case ScalarOp::RoundEven: return UN(T, std::nearbyint(x));
    case ScalarOp::Sqrt: return UN(T, std::sqrt(x));
    case ScalarOp::Exp: return math<T, std::exp>;
    case ScalarOp::Log: return math<T, std::log>;
    case ScalarOp::Expm1: return math<T, std::expm1>;
    case ScalarOp::Log1p: return math<T, std::log1p>;
    case ScalarOp::Sin: return math<T, std::sin>;
    case ScalarOp::Cos: return math<T, std::cos>;
    case ScalarOp::Tan: return math<T, std::tan>;
    case ScalarOp::Asin: return math<T, std::asin>;
    case ScalarOp::Acos: return math<T, std::acos>;
    case ScalarOp::Atan: return math<T, std::atan>;
    case ScalarOp::Sinh: return math<T, std::sinh>;
    case ScalarOp::Cosh: return math<T, std::cosh>;
    case ScalarOp::Tanh: return math<T, std::tanh>;
    case ScalarOp::Asinh: return math<T, std::asinh>;
    case ScalarOp::Acosh: return math<T, std::acosh>;
    case ScalarOp::Atanh: return math<T, std::atanh>;
    case ScalarOp::Erf: return math<T, std::erf>;
    case ScalarOp::Sigmoid: return math<T, sigmoid>;
    case ScalarOp::IsNaN: return UN(uint8_t, x != x);
    case ScalarOp::IsInf: return UN(uint8_t, std::fabs(x) == std::numeric_limits<T>::infinity());
    case ScalarOp::Add: return BIN(T, x + y);
    case ScalarOp::Sub: return BIN(T, x - y);
    case ScalarOp::Mul: return BIN(T, x * y);
    case ScalarOp::Div: return BIN(T, x / y);
    case ScalarOp::Rem: return BIN(T, std::fmod(x, y));
    case ScalarOp::FloorMod: return BIN(T, floor_mod_float(x, y));
    case ScalarOp::Pow: return BIN(T, static_cast<T>(std::pow(static_cast<double>(x), static_cast<double>(y))));
    case ScalarOp::Atan2: return BIN(T, static_cast<T>(std::atan2(static_cast<double>(x), static_cast<double>(y))));
    case ScalarOp::Min: return BIN(T, min_float(x, y));
    case ScalarOp::Max: return BIN(T, max_float(x, y));
    case ScalarOp::Fma:
      return [](void* d, const void* a, const void* b, const void* c, int64_t n) {
        for (int64_t i = 0; i < n; ++i)
          static_cast<T*>(d)[i] =
              std::fma(static_cast<const T*>(a)[i], static_cast<const T*>(b)[i], static_cast<const T*>(c)[i]);
      };
    default: return compare_fn<T>(op);
  }
}

VecFn bool_fn(ScalarOp op) {
  using T = uint8_t;
  switch (op) {
    case ScalarOp::Not: return UN(T, !x);
    case ScalarOp::And:
    case ScalarOp::Mul:
    case ScalarOp::Min: return BIN(T, x & y);
    case ScalarOp::Or:
    case ScalarOp::Add:
    case ScalarOp::Max: return BIN(T, x | y);
    case ScalarOp::Xor: return BIN(T, x ^ y);
    default: return compare_fn<T>(op);
  }
}

VecFn string_fn(ScalarOp op) {
  using T = Str;
  switch (op) {
    case ScalarOp::Eq: return BIN(uint8_t, *x == *y);
    case ScalarOp::Ne: return BIN(uint8_t, *x != *y);
    case ScalarOp::Lt: return BIN(uint8_t, *x < *y);
    case ScalarOp::Le: return BIN(uint8_t, *x <= *y);
    case ScalarOp::Gt: return BIN(uint8_t, *x > *y);
    case ScalarOp::Ge: return BIN(uint8_t, *x >= *y);
    case ScalarOp::Select: return select_lanes<T>;
    default: return nullptr;
  }
}

// The C++ type of a register, as f.template operator()<T>().
template <class F>
auto with_register(DType t, F f) {
  switch (t) {
    case DType::Bool: return f.template operator()<bool>();
    case DType::I2:
    case DType::I4:
    case DType::I8: return f.template operator()<int8_t>();
    case DType::U2:
    case DType::U4:
    case DType::U8: return f.template operator()<uint8_t>();
    case DType::I16: return f.template operator()<int16_t>();
    case DType::U16: return f.template operator()<uint16_t>();
    case DType::I32: return f.template operator()<int32_t>();
    case DType::U32: return f.template operator()<uint32_t>();
    case DType::I64: return f.template operator()<int64_t>();
    case DType::U64: return f.template operator()<uint64_t>();
    case DType::F16:
    case DType::BF16:
    case DType::F32:
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
    case DType::F4E2M1: return f.template operator()<float>();
    case DType::F64: return f.template operator()<double>();
    case DType::C64: return f.template operator()<C64>();
    case DType::C128: return f.template operator()<C128>();
    case DType::String: return f.template operator()<Str>();
    case DType::Invalid: break;
  }
  return f.template operator()<void>();
}

// Float to integer: truncate, saturate to [lo, hi], NaN gives 0.
template <class From, class To>
To float_to_int(From x, To lo, To hi) {
  if (x != x) return 0;
  x = std::trunc(x);
  if (x <= static_cast<From>(lo)) return lo;
  if (x >= static_cast<From>(hi)) return hi;
  return static_cast<To>(x);
}
template <class From, class To, int Bits>
void cast_float_int(void* d, const void* a, const void*, const void*, int64_t n) {
  constexpr To lo = std::is_signed_v<To> ? static_cast<To>(-(int64_t{1} << (Bits - 2)) * 2) : To{0};
  constexpr To hi = static_cast<To>(std::is_signed_v<To> ? (uint64_t{1} << (Bits - 1)) - 1
                                    : Bits == 64         ? ~uint64_t{0}
                                                         : (uint64_t{1} << (Bits & 63)) - 1);
  unary<From, To>(d, a, [=](From x) { return float_to_int<From, To>(x, lo, hi); }, n);
}
template <class From, class To>
VecFn float_to_int_fn(DType to) {
  switch (bits(to)) {
    case 2:
      if constexpr (sizeof(To) == 1) return cast_float_int<From, To, 2>;
      else break;
    case 4:
      if constexpr (sizeof(To) == 1) return cast_float_int<From, To, 4>;
      else break;
    default: return cast_float_int<From, To, static_cast<int>(sizeof(To)) * 8>;
  }
  return nullptr;
}

// To float with rounding to odd, so that a second rounding to a smaller format gives the correctly rounded result.
float to_float_odd(double x) {
  float f = static_cast<float>(x);
  if (static_cast<double>(f) == x || x != x || std::isinf(f)) {
    if (std::isinf(f) && !std::isinf(x)) return std::copysign(std::numeric_limits<float>::max(), f);
    return f;
  }
  uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 1) == 0) u += (std::fabs(static_cast<double>(f)) < std::fabs(x)) ? 1u : ~0u;
  return std::bit_cast<float>(u);
}

bool is_small_float(DType t) { return is_float(t) && t != DType::F32 && t != DType::F64; }

template <DType T, bool Saturate>
void round_small(void* d, const void* a, const void*, const void*, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    static_cast<float*>(d)[i] = small_float_round(T, static_cast<const float*>(a)[i], Saturate);
}

VecFn round_to(DType t, bool saturate) {
  switch (t) {
// clang-format off
#define X(T) case DType::T: return saturate ? round_small<DType::T, true> : round_small<DType::T, false>;
    X(F16) X(BF16) X(F8E4M3FN) X(F8E4M3FNUZ) X(F8E5M2) X(F8E5M2FNUZ) X(F8E8M0) X(F4E2M1)
#undef X
// clang-format on
        default : return nullptr;
  }
}

// Integers of 2 and 4 bits after a wrapping cast.
template <class T, int Bits>
void wrap_small(void* d, const void* a, const void*, const void*, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t v = static_cast<uint8_t>(static_cast<const T*>(a)[i]) << (8 - Bits);
    static_cast<T*>(d)[i] = static_cast<T>(static_cast<T>(v) >> (8 - Bits));
  }
}

}  // namespace

int64_t register_bytes(DType t) {
  return with_register(t, []<class T>() -> int64_t {
    if constexpr (std::is_void_v<T>) return 0;
    else return sizeof(std::conditional_t<std::is_void_v<T>, char, T>);
  });
}

bool is_native(DType t) {
  if (t == DType::F32 || t == DType::F64 || t == DType::Bool || is_complex(t)) return true;
  return is_int(t) && bits(t) >= 8;
}

VecFn op_fn(ScalarOp op, DType t) {
  if (t == DType::Bool) return bool_fn(op);
  if (t == DType::String) return string_fn(op);
  return with_register(t, [&]<class T>() -> VecFn {
    if constexpr (std::is_same_v<T, C64> || std::is_same_v<T, C128>)
      return op == ScalarOp::Select ? select_lanes<T> : nullptr;
    else if constexpr (std::is_void_v<T> || std::is_same_v<T, bool> || std::is_same_v<T, Str>) return nullptr;
    else if constexpr (kFloat<T>) return float_fn<T>(op);
    else return int_fn<T>(op);
  });
}

VecFn round_fn(DType t) { return t == DType::F16 || t == DType::BF16 ? round_to(t, false) : nullptr; }

std::vector<VecFn> cast_fns(DType from, DType to, bool saturate) {
  std::vector<VecFn> out;
  VecFn first = with_register(from, [&]<class F>() -> VecFn {
    if constexpr (std::is_void_v<F> || std::is_same_v<F, Str> || std::is_same_v<F, C64> || std::is_same_v<F, C128>)
      return nullptr;
    else
      return with_register(to, [&]<class T>() -> VecFn {
        using From = std::conditional_t<std::is_same_v<F, bool>, uint8_t, F>;
        if constexpr (std::is_void_v<T> || std::is_same_v<T, Str> || std::is_same_v<T, C64> || std::is_same_v<T, C128>)
          return nullptr;
        else if constexpr (std::is_same_v<T, bool>)
          return [](void* d, const void* a, const void*, const void*, int64_t n) {
            unary<From, uint8_t>(d, a, [](From x) -> uint8_t { return x != 0; }, n);
          };
        else if constexpr (kFloat<From> && !kFloat<T>) return float_to_int_fn<From, T>(to);
        else if constexpr (std::is_same_v<T, float> &&
                           (std::is_same_v<From, double> || (!kFloat<From> && sizeof(From) >= 4))) {
          if (is_small_float(to))
            return [](void* d, const void* a, const void*, const void*, int64_t n) {
              unary<From, float>(d, a, [](From x) { return to_float_odd(static_cast<double>(x)); }, n);
            };
          return [](void* d, const void* a, const void*, const void*, int64_t n) {
            unary<From, float>(d, a, [](From x) { return static_cast<float>(x); }, n);
          };
        } else
          return [](void* d, const void* a, const void*, const void*, int64_t n) {
            unary<From, T>(d, a, [](From x) { return static_cast<T>(x); }, n);
          };
      });
  });
  if (!first) return out;
  out.push_back(first);
  if (is_small_float(to)) out.push_back(round_to(to, saturate));
  if (!is_float(from) || from == DType::Bool) {
    if (to == DType::I4) out.push_back(wrap_small<int8_t, 4>);
    if (to == DType::U4) out.push_back(wrap_small<uint8_t, 4>);
    if (to == DType::I2) out.push_back(wrap_small<int8_t, 2>);
    if (to == DType::U2) out.push_back(wrap_small<uint8_t, 2>);
  }
  return out;
}

namespace {
template <class T>
void copy_bits(void* d, const void* a, const void*, const void*, int64_t n) {
  std::memcpy(d, a, static_cast<size_t>(n) * sizeof(T));
}

template <DType T, class Bits>
void to_bits(void* d, const void* a, const void*, const void*, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    static_cast<Bits*>(d)[i] = static_cast<Bits>(small_float_encode(T, static_cast<const float*>(a)[i], true));
}
template <DType T, class Bits>
void from_bits(void* d, const void* a, const void*, const void*, int64_t n) {
  for (int64_t i = 0; i < n; ++i) static_cast<float*>(d)[i] = small_float_decode(T, static_cast<const Bits*>(a)[i]);
}
}  // namespace

std::vector<VecFn> bitcast_fns(DType from, DType to) {
  if (bits(from) != bits(to)) return {};
  if (is_small_float(from) && is_small_float(to)) return {};
  if (is_small_float(from)) switch (from) {
// clang-format off
#define X(T, B) case DType::T: return {to_bits<DType::T, B>};
    X(F16, uint16_t) X(BF16, uint16_t) X(F8E4M3FN, uint8_t) X(F8E4M3FNUZ, uint8_t) X(F8E5M2, uint8_t) X(F8E5M2FNUZ, uint8_t) X(F8E8M0, uint8_t) X(F4E2M1, uint8_t)
#undef X
// clang-format on
          default : return {};
    }
  if (is_small_float(to)) switch (to) {
// clang-format off
#define X(T, B) case DType::T: return {from_bits<DType::T, B>};
    X(F16, uint16_t) X(BF16, uint16_t) X(F8E4M3FN, uint8_t) X(F8E4M3FNUZ, uint8_t) X(F8E5M2, uint8_t) X(F8E5M2FNUZ, uint8_t) X(F8E8M0, uint8_t)
#undef X
// clang-format on
          default : return {};
    }
  return with_register(to, []<class T>() -> std::vector<VecFn> {
    if constexpr (std::is_void_v<T>) return {};
    else return {copy_bits<T>};
  });
}

VecFn splat_fn(DType t) {
  return with_register(t, []<class T>() -> VecFn {
    if constexpr (std::is_void_v<T>) return nullptr;
    else
      return [](void* d, const void* a, const void*, const void*, int64_t n) {
        const T v = *static_cast<const T*>(a);
        std::fill_n(static_cast<T*>(d), n, v);
      };
  });
}

VecFn floor_div_fn() {
  using T = int64_t;
  return BIN(int64_t, div_int(x, y) - (rem_int(x, y) != 0 && (x < 0) != (y < 0) ? 1 : 0));
}

void fill_constant(void* dst, DType t, double number, int64_t integer, int64_t n) {
  with_register(t, [&]<class T>() {
    if constexpr (!std::is_void_v<T> && !std::is_same_v<T, Str> && !std::is_same_v<T, C64> &&
                  !std::is_same_v<T, C128>) {
      const T v = kFloat<T> ? static_cast<T>(number) : static_cast<T>(integer);
      std::fill_n(static_cast<T*>(dst), n, v);
    }
  });
}

void copy_lanes(void* dst, const void* src, DType t, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const size_t size = static_cast<size_t>(register_bytes(t)), offset = static_cast<size_t>(begin) * size;
  std::memmove(static_cast<uint8_t*>(dst) + offset, static_cast<const uint8_t*>(src) + offset,
               static_cast<size_t>(end - begin) * size);
}

void zero_lanes(void* dst, DType t, int64_t begin, int64_t end) {
  static const std::string kEmpty;
  if (begin >= end) return;
  if (t == DType::String) {
    std::fill(static_cast<Str*>(dst) + begin, static_cast<Str*>(dst) + end, &kEmpty);
    return;
  }
  const size_t size = static_cast<size_t>(register_bytes(t));
  std::memset(static_cast<uint8_t*>(dst) + static_cast<size_t>(begin) * size, 0,
              static_cast<size_t>(end - begin) * size);
}

}  // namespace ingot::eval
