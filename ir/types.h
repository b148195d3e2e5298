// Element types, tensor types, and the numeric semantics of every level.
//
// Numbers: IEEE arithmetic, fused multiply-add allowed, nothing else relaxed. Scalar operations on f16 and bf16 are
// computed in f32 and rounded once (nearest even). The 8-bit floats, f4 and the 2- and 4-bit integers are storage
// types: only `cast` reads or makes them. Integer arithmetic wraps. Integer division truncates; division by zero gives
// 0, and so does the remainder. A cast from float to integer truncates and saturates (NaN gives 0); casts between
// integers wrap; casts to a smaller float round to nearest even, and to infinity on overflow unless `saturate`.
// min and max give NaN when an operand is NaN. Comparisons give bool; bool is stored as one byte, 0 or 1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/dim.h"

namespace ingot {

enum class DType : uint8_t {
  Invalid,
  Bool,
  I2,
  U2,
  I4,
  U4,
  I8,
  U8,
  I16,
  U16,
  I32,
  U32,
  I64,
  U64,
  F16,
  BF16,
  F32,
  F64,
  F8E4M3FN,
  F8E4M3FNUZ,
  F8E5M2,
  F8E5M2FNUZ,
  F8E8M0,
  F4E2M1,
  C64,
  C128,
  String,
};

std::string_view name(DType);               // "f32", "i64", "bool", "string"
DType dtype_named(std::string_view);        // Invalid where unknown
int bits(DType);                            // storage bits: 1 byte for bool; 4 for i4; 0 for string
bool is_float(DType);                       // any float format, not complex
bool is_int(DType);                         // signed or unsigned integer, not bool
bool is_signed(DType);                      // signed integer or float
bool is_complex(DType);
bool is_arithmetic(DType);                  // scalar ops may compute in it: bool, i8..i64, u8..u64, f16..f64
int64_t storage_bytes(DType, int64_t elements);  // packed: two i4 to a byte, four i2; rounded up

struct TensorType {
  DType dtype = DType::Invalid;
  std::vector<Dim> dims;

  int rank() const { return static_cast<int>(dims.size()); }
  bool is_static() const;      // every dim a constant
  int64_t elements() const;    // of a static type
  Dim numel() const;
  std::string str() const;     // "f32[1, batch*2, 56]"
};

// What a value of the graph can be.
struct Type {
  enum class Kind : uint8_t { None, Tensor, Sequence, Optional, Map } kind = Kind::None;
  TensorType tensor;                   // Tensor; a Map's key dtype is tensor.dtype
  std::shared_ptr<const Type> element; // of Sequence, Optional, Map

  static Type of(TensorType t) { return {Kind::Tensor, std::move(t), nullptr}; }
  static Type sequence(Type e) { return {Kind::Sequence, {}, std::make_shared<const Type>(std::move(e))}; }
  static Type optional(Type e) { return {Kind::Optional, {}, std::make_shared<const Type>(std::move(e))}; }
  static Type map(DType key, Type e) { return {Kind::Map, {key, {}}, std::make_shared<const Type>(std::move(e))}; }
  bool is_tensor() const { return kind == Kind::Tensor; }
  std::string str() const;
};

// In the extents of a type and of those inside it.
Type substitute(const Type&, const Substitution&);
void collect_symbols(const Type&, std::map<int64_t, Symbol>&);

// The contents of a constant, or of any tensor that lies on the host. Row-major, packed (see storage_bytes), little
// endian. `bytes` may point into a mapped file: `owner` keeps it alive. Strings are held apart.
struct TensorData {
  DType dtype = DType::Invalid;
  std::vector<int64_t> dims;
  const uint8_t* bytes = nullptr;
  int64_t size_bytes = 0;
  std::shared_ptr<const void> owner;
  std::vector<std::string> strings;    // String only

  int64_t elements() const;
  TensorType type() const;
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(bytes);
  }
  // Element i as an integer or a double, for any numeric dtype.
  int64_t integer(int64_t i) const;
  double number(int64_t i) const;

  static std::shared_ptr<TensorData> make(DType, std::vector<int64_t> dims);  // owned, zeroed
  uint8_t* mutable_bytes();                                                   // of a tensor made by `make`
  template <class T>
  T* mutable_as() {
    return reinterpret_cast<T*>(mutable_bytes());
  }
};
using TensorRef = std::shared_ptr<const TensorData>;

}  // namespace ingot
