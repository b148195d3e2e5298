#include "backends/opencl/types.h"

#include <fmt/format.h>

#include <cmath>

namespace ingot::opencl {

const char* value_type(DType t) {
  switch (t) {
    case DType::Bool: return "int";
    case DType::I2:
    case DType::I4:
    case DType::I8: return "char";
    case DType::U2:
    case DType::U4:
    case DType::U8: return "uchar";
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
    case DType::F4E2M1: return "uchar";
    case DType::I16: return "short";
    case DType::U16:
    case DType::F16:
    case DType::BF16: return "ushort";
    case DType::I32: return "int";
    case DType::U32: return "uint";
    case DType::I64: return "long";
    case DType::U64: return "ulong";
    case DType::F32: return "float";
    case DType::F64: return "double";
    case DType::C64: return "ingot_pair8";
    case DType::C128:
    case DType::String: return "ingot_pair16";
    case DType::Invalid: break;
  }
  return "";
}

const char* memory_type(DType t) { return t == DType::Bool ? "uchar" : value_type(t); }

const char* wrapping_type(DType t) { return bits(t) == 64 ? "ulong" : "uint"; }

std::string literal(int64_t v) {
  if (v == INT64_MIN) return "(-9223372036854775807L - 1)";
  return v < 0 ? fmt::format("({}L)", v) : fmt::format("{}L", v);
}

std::string literal(const ExprNode& n) {
  if (n.type == DType::F32 || n.type == DType::F64) {
    const bool wide = n.type == DType::F64;
    const double x = wide ? n.number : static_cast<double>(static_cast<float>(n.number));
    if (std::isnan(x)) return wide ? "as_double(0x7ff8000000000000UL)" : "as_float(0x7fc00000u)";
    if (std::isinf(x)) {
      if (wide) return x > 0 ? "as_double(0x7ff0000000000000UL)" : "as_double(0xfff0000000000000UL)";
      return x > 0 ? "INFINITY" : "(-INFINITY)";
    }
    std::string text = wide ? fmt::format("{:.17g}", x) : fmt::format("{:.9g}", x);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    if (!wide) text += "f";
    return std::signbit(x) ? "(" + text + ")" : text;
  }
  switch (n.type) {
    case DType::Bool: return n.integer ? "1" : "0";
    case DType::I64: return literal(n.integer);
    case DType::U64: return fmt::format("{}UL", static_cast<uint64_t>(n.integer));
    case DType::U32: return fmt::format("{}u", static_cast<uint32_t>(n.integer));
    case DType::I32:
      if (n.integer == INT32_MIN) return "(-2147483647 - 1)";
      [[fallthrough]];
    default: return n.integer < 0 ? fmt::format("({})", n.integer) : fmt::format("{}", n.integer);
  }
}

}  // namespace ingot::opencl
