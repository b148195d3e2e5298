#include "frontend/onnx/input_types.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "frontend/onnx/dtype.h"
#include "frontend/onnx/file.h"
#include "frontend/onnx/tensor.h"

namespace ingot::onnx {

namespace {

bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool identifier(std::string_view s) {
  return !s.empty() && letter(s[0]) && std::all_of(s.begin(), s.end(), [](char c) { return letter(c) || digit(c); });
}

constexpr int kMaxExpressionDepth = 32;

class DimParser {
 public:
  DimParser(std::string_view text, DimScope& scope) : text_(text), scope_(scope) {}
  std::optional<Dim> parse() {
    auto d = sum(0);
    skip();
    if (!d || at_ != text_.size()) return std::nullopt;
    return d;
  }

 private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(std::string_view token) {
    skip();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  std::optional<Dim> sum(int depth) {
    auto a = product(depth);
    while (a) {
      bool minus = false;
      if (!take("+") && !(minus = take("-"))) break;
      auto b = product(depth);
      if (!b) return b;
      a = minus ? *a - *b : *a + *b;
    }
    return a;
  }
  std::optional<Dim> product(int depth) {
    auto a = atom(depth);
    while (a) {
      bool divide = take("//");
      if (!divide && !take("*")) break;
      auto b = atom(depth);
      if (!b) return b;
      if (divide && b->lower() <= 0) return std::nullopt;
      a = divide ? floordiv(*a, *b) : *a * *b;
    }
    return a;
  }
  std::optional<Dim> atom(int depth) {
    if (depth > kMaxExpressionDepth) return std::nullopt;
    skip();
    if (take("(")) {
      auto a = sum(depth + 1);
      return a && take(")") ? a : std::nullopt;
    }
    size_t begin = at_;
    if (at_ < text_.size() && digit(text_[at_])) {
      int64_t v = 0;
      auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
      if (error != std::errc() || v > kDimMax) return std::nullopt;
      at_ = static_cast<size_t>(end - text_.data());
      return Dim(v);
    }
    while (at_ < text_.size() && (letter(text_[at_]) || digit(text_[at_]))) ++at_;
    if (at_ == begin) return std::nullopt;
    return scope_.dim(text_.substr(begin, at_ - begin));
  }

  std::string_view text_;
  DimScope& scope_;
  size_t at_ = 0;
};

}  // namespace

std::optional<Dim> parse_dim_expression(std::string_view text, DimScope& scope) {
  if (text.size() > 200) return std::nullopt;
  return DimParser(text, scope).parse();
}

Type element_types(const TypeProto& proto) {
  using Kind = TypeProto::Kind;
  const Type inner = proto.element ? element_types(*proto.element) : Type{};
  switch (proto.kind) {
    case Kind::None:
    case Kind::Opaque: return {};
    case Kind::Tensor:
    case Kind::SparseTensor: return Type::of({dtype_of(proto.elem_type), {}});
    case Kind::Sequence: return Type::sequence(inner);
    case Kind::Map: return Type::map(dtype_of(proto.elem_type), inner);
    case Kind::Optional: return Type::optional(inner);
  }
  return {};
}

void InputTypes::collect(const ValueInfoProto& input) {
  // Only extents of the input itself: those inside of sequences are of each element.
  if (input.type.kind != TypeProto::Kind::Tensor || !input.type.shape) return;
  for (const auto& d : input.type.shape->dim)
    if (!d.dim_value && identifier(d.dim_param)) plain_[std::string(d.dim_param)] = true;
}

Result<Dim> InputTypes::named(const std::string& name, bool positional) {
  // "#x_0" is axis 0 of x, which must not meet an extent that the model calls x_0.
  std::string key = positional ? "#" + name : name;
  if (auto it = dims_.find(key); it != dims_.end()) return it->second;
  Dim d;
  if (auto it = options_.dims.find(name); it != options_.dims.end()) {
    if (it->second < 0 || it->second > kDimMax)
      return invalid("extent {} is fixed to {}, expected at least 0", quoted(name), it->second);
    d = Dim(it->second);
  } else {
    std::string symbol = name;
    for (int k = 2; symbol_names_.count(symbol); ++k) symbol = fmt::format("{}_{}", name, k);
    symbol_names_.insert(symbol);
    d = Dim(Dim::symbol(symbol));
  }
  dims_.emplace(key, d);
  return d;
}

Result<Dim> InputTypes::extent(const TensorShapeProto::Dimension& d, std::string_view input, int axis) {
  // Exporters write -1 for an extent that they do not know.
  if (d.dim_value && *d.dim_value < -1)
    return invalid("input {} has extent {} in dimension {}, expected at least 0", quoted(input), *d.dim_value, axis);
  if (d.dim_value && *d.dim_value >= 0) return Dim(std::min(*d.dim_value, kDimMax));
  std::string positional = fmt::format("{}_{}", input, axis);
  if (d.dim_value || d.dim_param.empty() || d.dim_param == "?") return named(positional, true);
  std::string name(d.dim_param);
  if (identifier(name) || options_.dims.count(name)) return named(name);
  struct Plain : DimScope {
    explicit Plain(InputTypes& t) : types(t) {}
    std::optional<Dim> dim(std::string_view n) override {
      if (!types.plain_.count(std::string(n))) return std::nullopt;
      auto d = types.named(std::string(n));
      return d ? std::optional<Dim>(*d) : std::nullopt;
    }
    InputTypes& types;
  } scope(*this);
  if (auto e = parse_dim_expression(name, scope); e && e->upper() >= 0) return *e;
  return named(name);
}

Result<Type> InputTypes::convert(const TypeProto& proto, std::string_view input, int& axis) {
  using Kind = TypeProto::Kind;
  switch (proto.kind) {
    case Kind::Tensor: {
      TensorType t{dtype_of(proto.elem_type), {}};
      if (t.dtype == DType::Invalid)
        return invalid("input {} has unknown element type {}", quoted(input), proto.elem_type);
      if (!proto.shape && has_shape_) {
        *has_shape_ = false;
        return Type::of(std::move(t));
      }
      if (!proto.shape) return unsupported("input {} has no shape; give it one", quoted(input));
      if (proto.shape->dim.size() > kMaxTensorRank)
        return limit_exceeded("input {} has rank {}, expected at most {}", quoted(input), proto.shape->dim.size(),
                              kMaxTensorRank);
      for (const auto& d : proto.shape->dim) t.dims.push_back(TRY(extent(d, input, axis++)));
      return Type::of(std::move(t));
    }
    case Kind::Sequence:
    case Kind::Optional:
    case Kind::Map: {
      if (!proto.element) return invalid("input {} has a type without its element type", quoted(input));
      Type element = TRY(convert(*proto.element, input, axis));
      if (proto.kind == Kind::Sequence) return Type::sequence(std::move(element));
      if (proto.kind == Kind::Optional) return Type::optional(std::move(element));
      DType key = dtype_of(proto.elem_type);
      if (key == DType::Invalid) return invalid("input {} has unknown key type {}", quoted(input), proto.elem_type);
      return Type::map(key, std::move(element));
    }
    case Kind::SparseTensor: return unsupported("input {} is a sparse tensor", quoted(input));
    case Kind::Opaque: return unsupported("input {} is opaque", quoted(input));
    case Kind::None: return invalid("input {} has no type", quoted(input));
  }
  return invalid("input {} has no type", quoted(input));
}

Result<Type> InputTypes::type(const ValueInfoProto& input) {
  if (auto it = options_.input_types.find(std::string(input.name)); it != options_.input_types.end()) return it->second;
  int axis = 0;
  return convert(input.type, input.name, axis);
}

Result<Type> InputTypes::type_or_rank_0(const ValueInfoProto& input, bool& has_shape) {
  has_shape_ = &has_shape;
  auto t = type(input);
  has_shape_ = nullptr;
  return t;
}

Result<void> InputTypes::check_all_used() const {
  for (const auto& [name, value] : options_.dims) {
    if (dims_.count(name) || dims_.count("#" + name)) continue;
    std::string known;
    for (const auto& [n, d] : dims_) known += (known.empty() ? "" : ", ") + (n[0] == '#' ? n.substr(1) : n);
    return invalid("no extent of the inputs is named {}; got {}", quoted(name),
                   known.empty() ? "none that is free" : known);
  }
  return {};
}

}  // namespace ingot::onnx
