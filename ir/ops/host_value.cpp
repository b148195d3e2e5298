#include "ir/ops/host_value.h"

#include <fmt/format.h>

namespace ingot {

Type HostValue::type() const {
  const Type element = items.empty() ? Type{} : items[0].type();
  switch (kind) {
    case Kind::None: return {};
    case Kind::Tensor: return tensor ? Type::of(tensor->type()) : Type{};
    case Kind::Sequence: return Type::sequence(element);
    case Kind::Optional: return Type::optional(element);
    case Kind::Map:
      return items.size() == 2 && items[0].tensor ? Type::map(items[0].tensor->dtype, items[1].type()) : Type{};
  }
  return {};
}

int64_t HostValue::size_bytes() const {
  int64_t n = 0;
  if (tensor) {
    n = tensor->size_bytes;
    for (const std::string& s : tensor->strings) n += static_cast<int64_t>(sizeof(std::string) + s.size());
  }
  for (const HostValue& v : items) n += v.size_bytes();
  return n;
}

std::string str(const HostValue& v, int64_t max_elements) {
  std::string out;
  switch (v.kind) {
    case HostValue::Kind::None: return "none";
    case HostValue::Kind::Tensor: {
      const TensorData& t = *v.tensor;
      out = t.type().str() + " {";
      const int64_t n = t.elements();
      for (int64_t i = 0; i < n; ++i) {
        if (i) out += ", ";
        if (i == max_elements) {
          out += "...";
          break;
        }
        if (t.dtype == DType::String) out += fmt::format("{:?}", t.strings[static_cast<size_t>(i)]);
        else if (is_float(t.dtype)) out += fmt::format("{}", t.number(i));
        else if (!is_complex(t.dtype)) out += fmt::format("{}", t.integer(i));
        else out += fmt::format("{}", t.number(i));
      }
      return out + "}";
    }
    case HostValue::Kind::Sequence: out = "sequence("; break;
    case HostValue::Kind::Optional: out = "optional("; break;
    case HostValue::Kind::Map: out = "map("; break;
  }
  for (size_t i = 0; i < v.items.size(); ++i) out += (i ? ", " : "") + str(v.items[i], max_elements);
  return out + ")";
}

}  // namespace ingot
