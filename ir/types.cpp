#include "ir/types.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>

#include "ir/dim_internal.h"
#include "ir/numeric.h"

namespace ingot {

namespace {
enum class Class : uint8_t { None, Bool, Signed, Unsigned, Float, Complex, String };
struct Info {
  DType dtype;
  std::string_view name;
  int bits;
  Class c;
};
constexpr std::array kTypes = {
    Info{DType::Invalid, "invalid", 0, Class::None},
    Info{DType::Bool, "bool", 8, Class::Bool},
    Info{DType::I2, "i2", 2, Class::Signed},
    Info{DType::U2, "u2", 2, Class::Unsigned},
    Info{DType::I4, "i4", 4, Class::Signed},
    Info{DType::U4, "u4", 4, Class::Unsigned},
    Info{DType::I8, "i8", 8, Class::Signed},
    Info{DType::U8, "u8", 8, Class::Unsigned},
    Info{DType::I16, "i16", 16, Class::Signed},
    Info{DType::U16, "u16", 16, Class::Unsigned},
    Info{DType::I32, "i32", 32, Class::Signed},
    Info{DType::U32, "u32", 32, Class::Unsigned},
    Info{DType::I64, "i64", 64, Class::Signed},
    Info{DType::U64, "u64", 64, Class::Unsigned},
    Info{DType::F16, "f16", 16, Class::Float},
    Info{DType::BF16, "bf16", 16, Class::Float},
    Info{DType::F32, "f32", 32, Class::Float},
    Info{DType::F64, "f64", 64, Class::Float},
    Info{DType::F8E4M3FN, "f8e4m3fn", 8, Class::Float},
    Info{DType::F8E4M3FNUZ, "f8e4m3fnuz", 8, Class::Float},
    Info{DType::F8E5M2, "f8e5m2", 8, Class::Float},
    Info{DType::F8E5M2FNUZ, "f8e5m2fnuz", 8, Class::Float},
    Info{DType::F8E8M0, "f8e8m0", 8, Class::Float},
    Info{DType::F4E2M1, "f4e2m1", 4, Class::Float},
    Info{DType::C64, "c64", 64, Class::Complex},
    Info{DType::C128, "c128", 128, Class::Complex},
    Info{DType::String, "string", 0, Class::String},
};
const Info& info(DType t) {
  auto i = static_cast<size_t>(t);
  return kTypes[i < kTypes.size() ? i : 0];
}
constexpr bool in_order() {
  for (size_t i = 0; i < kTypes.size(); ++i)
    if (static_cast<size_t>(kTypes[i].dtype) != i) return false;
  return true;
}
static_assert(in_order() && kTypes.size() == static_cast<size_t>(DType::String) + 1);
}  // namespace

std::string_view name(DType t) { return info(t).name; }
DType dtype_named(std::string_view n) {
  for (const Info& i : kTypes)
    if (i.name == n) return i.dtype;
  return DType::Invalid;
}
int bits(DType t) { return info(t).bits; }
bool is_float(DType t) { return info(t).c == Class::Float; }
bool is_int(DType t) { return info(t).c == Class::Signed || info(t).c == Class::Unsigned; }
bool is_signed(DType t) { return info(t).c == Class::Signed || is_float(t); }
bool is_complex(DType t) { return info(t).c == Class::Complex; }
bool is_arithmetic(DType t) {
  if (t == DType::Bool || (is_int(t) && bits(t) >= 8)) return true;
  return t == DType::F16 || t == DType::BF16 || t == DType::F32 || t == DType::F64;
}

int64_t storage_bytes(DType t, int64_t elements) {
  if (elements <= 0) return 0;
  return saturate((static_cast<__int128>(elements) * bits(t) + 7) / 8);
}

bool TensorType::is_static() const {
  for (const Dim& d : dims)
    if (!d.is_constant()) return false;
  return true;
}
int64_t TensorType::elements() const {
  assert(is_static());
  return product(dims).value();
}
Dim TensorType::numel() const { return product(dims); }
std::string TensorType::str() const {
  std::string out(name(dtype));
  out += "[";
  for (size_t i = 0; i < dims.size(); ++i) out += (i ? ", " : "") + dims[i].str();
  return out + "]";
}

Type substitute(const Type& type, const Substitution& by) {
  Type t = type;
  for (Dim& d : t.tensor.dims) d = substitute(d, by);
  if (t.element) t.element = std::make_shared<const Type>(substitute(*t.element, by));
  return t;
}

void collect_symbols(const Type& type, std::map<int64_t, Symbol>& symbols) {
  for (const Dim& d : type.tensor.dims) collect_symbols(d, symbols);
  if (type.element) collect_symbols(*type.element, symbols);
}

std::string Type::str() const {
  std::string inner = element ? element->str() : "";
  switch (kind) {
    case Kind::None: break;
    case Kind::Tensor: return tensor.str();
    case Kind::Sequence: return "seq(" + inner + ")";
    case Kind::Optional: return "optional(" + inner + ")";
    case Kind::Map: return "map(" + std::string(name(tensor.dtype)) + ", " + inner + ")";
  }
  return "none";
}

int64_t TensorData::elements() const {
  int64_t n = 1;
  for (int64_t d : dims) n = sat_mul(n, d < 0 ? 0 : d);
  return n;
}

TensorType TensorData::type() const { return {dtype, {dims.begin(), dims.end()}}; }

int64_t TensorData::integer(int64_t i) const {
  assert(i >= 0 && i < elements());
  if (is_int(dtype) || dtype == DType::Bool) return load_integer(dtype, bytes, i);
  return truncate_to(DType::I64, number(i));
}

double TensorData::number(int64_t i) const {
  assert(i >= 0 && i < elements());
  if (dtype == DType::U64) return static_cast<double>(static_cast<uint64_t>(load_integer(dtype, bytes, i)));
  if (is_int(dtype) || dtype == DType::Bool) return static_cast<double>(load_integer(dtype, bytes, i));
  return load_number(dtype, bytes, i);
}

std::shared_ptr<TensorData> TensorData::make(DType t, std::vector<int64_t> dims) {
  auto d = std::make_shared<TensorData>();
  d->dtype = t;
  d->dims = std::move(dims);
  int64_t n = d->elements();
  if (t == DType::String) {
    d->strings.resize(static_cast<size_t>(n));
    return d;
  }
  d->size_bytes = storage_bytes(t, n);
  constexpr std::align_val_t kAlignment{64};
  void* p = ::operator new(static_cast<size_t>(std::max<int64_t>(d->size_bytes, 1)), kAlignment);
  std::memset(p, 0, static_cast<size_t>(d->size_bytes));
  d->owner = std::shared_ptr<void>(p, [](void* q) { ::operator delete(q, kAlignment); });
  d->bytes = static_cast<const uint8_t*>(p);
  return d;
}

uint8_t* TensorData::mutable_bytes() { return const_cast<uint8_t*>(bytes); }

}  // namespace ingot
