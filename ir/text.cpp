#include "ir/text.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "ir/numeric.h"

namespace ingot {

std::string str(const TensorType& t, SymbolNames& names) {
  std::string out(name(t.dtype));
  out += "[";
  for (size_t i = 0; i < t.dims.size(); ++i) out += (i ? ", " : "") + str(t.dims[i], names);
  return out + "]";
}

std::string str(const Type& t, SymbolNames& names) {
  std::string inner = t.element ? str(*t.element, names) : "";
  switch (t.kind) {
    case Type::Kind::None: break;
    case Type::Kind::Tensor: return str(t.tensor, names);
    case Type::Kind::Sequence: return "seq(" + inner + ")";
    case Type::Kind::Optional: return "optional(" + inner + ")";
    case Type::Kind::Map: return "map(" + std::string(name(t.tensor.dtype)) + ", " + inner + ")";
  }
  return "none";
}

namespace {

Result<DType> parse_dtype(Lexer& lexer) {
  DType t = lexer.peek().kind == Token::Kind::Identifier ? dtype_named(lexer.peek().text) : DType::Invalid;
  if (t == DType::Invalid) return lexer.error("an element type");
  lexer.take();
  return t;
}

Result<Type> parse_type_in(Lexer& lexer, SymbolNames& names, int depth) {
  if (depth > kMaxTextDepth) return limit_exceeded("got a type nested deeper than {} levels", kMaxTextDepth);
  if (lexer.accept("none")) return Type{};
  if (lexer.accept("seq")) {
    TRY(lexer.expect("("));
    Type e = TRY(parse_type_in(lexer, names, depth + 1));
    TRY(lexer.expect(")"));
    return Type::sequence(std::move(e));
  }
  if (lexer.accept("optional")) {
    TRY(lexer.expect("("));
    Type e = TRY(parse_type_in(lexer, names, depth + 1));
    TRY(lexer.expect(")"));
    return Type::optional(std::move(e));
  }
  if (lexer.accept("map")) {
    TRY(lexer.expect("("));
    DType key = TRY(parse_dtype(lexer));
    TRY(lexer.expect(","));
    Type e = TRY(parse_type_in(lexer, names, depth + 1));
    TRY(lexer.expect(")"));
    return Type::map(key, std::move(e));
  }
  TensorType t;
  t.dtype = TRY(parse_dtype(lexer));
  TRY(lexer.expect("["));
  while (!lexer.is("]")) {
    if (t.rank() == kMaxRank) return lexer.error_at(lexer.peek(), fmt::format("got more than {} dimensions", kMaxRank));
    t.dims.push_back(TRY(parse_dim(lexer, names)));
    if (!lexer.accept(",")) break;
  }
  TRY(lexer.expect("]"));
  return Type::of(std::move(t));
}

}  // namespace

Result<Type> parse_type(Lexer& lexer, SymbolNames& names) { return parse_type_in(lexer, names, 0); }

Result<Type> parse_type(std::string_view text, SymbolNames& names) {
  Lexer lexer(text);
  Type t = TRY(parse_type(lexer, names));
  if (!lexer.at_end()) return lexer.error("the end of the text");
  return t;
}

namespace {
template <class T>
std::string number_text(T v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  std::string s = fmt::format("{}", v);
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}
}  // namespace

std::string str_number(double v) { return number_text(v); }

Result<double> parse_number(Lexer& lexer) {
  bool negative = lexer.accept("-");
  double v = 0;
  if (lexer.accept("nan")) v = std::nan("");
  else if (lexer.accept("inf")) v = INFINITY;
  else if (lexer.peek().kind == Token::Kind::Integer || lexer.peek().kind == Token::Kind::Float)
    v = lexer.take().number;
  else return lexer.error("a number");
  return negative ? -v : v;
}

namespace {

std::string element_text(const TensorData& d, int64_t i) {
  if (d.dtype == DType::String) return quoted(d.strings[static_cast<size_t>(i)]);
  if (d.dtype == DType::Bool) return d.integer(i) ? "true" : "false";
  if (d.dtype == DType::U64) return std::to_string(static_cast<uint64_t>(d.integer(i)));
  if (is_int(d.dtype)) return std::to_string(d.integer(i));
  double v = d.number(i);
  if (bits(d.dtype) == 64) return number_text(v);
  if (bits(d.dtype) < 32 && std::isfinite(v)) {  // the shortest that rounds to the same value
    for (int digits = 1; digits < 9; ++digits) {
      std::string s = fmt::format("{:.{}g}", v, digits);
      if (round_to(d.dtype, std::strtod(s.c_str(), nullptr), false) == v)
        return s.find_first_of(".e") == std::string::npos ? s + ".0" : s;
    }
  }
  return number_text(static_cast<float>(v));
}

Result<void> parse_element(Lexer& lexer, TensorData& d, uint8_t* bytes, int64_t i) {
  if (d.dtype == DType::String) {
    if (lexer.peek().kind != Token::Kind::String) return lexer.error("a string");
    d.strings[static_cast<size_t>(i)] = lexer.take().text;
    return {};
  }
  if (is_float(d.dtype)) {
    store_number(d.dtype, bytes, i, TRY(parse_number(lexer)), false);
    return {};
  }
  int64_t v = 0;
  Token at = lexer.peek();
  if (lexer.accept("true")) {
    v = 1;
  } else if (!lexer.accept("false")) {
    if (d.dtype == DType::U64 && at.kind == Token::Kind::Integer) v = static_cast<int64_t>(lexer.take().integer);
    else v = TRY(lexer.integer());
  }
  if (wrap_to(d.dtype, v) != v)
    return lexer.error_at(at, fmt::format("got {}, expected a number in the range of {}", v, name(d.dtype)));
  store_integer(d.dtype, bytes, i, v);
  return {};
}

Result<TensorRef> parse_list(Lexer& lexer, DType dtype, const std::vector<int64_t>& dims, int64_t elements) {
  // The list must be as long as the type says; a long one is refused before anything is allocated for it.
  if (elements > kMaxListedElements)
    return lexer.error_at(
        lexer.peek(), fmt::format("got a list for {} elements, expected at most {} (longer contents are hex)", elements,
                                  kMaxListedElements));
  auto d = TensorData::make(dtype, dims);
  TRY(lexer.expect("["));
  for (int64_t i = 0; i < elements; ++i) {
    if (i > 0) TRY(lexer.expect(","));
    TRY(parse_element(lexer, *d, d->mutable_bytes(), i));
  }
  TRY(lexer.expect("]"));
  return TensorRef(d);
}

}  // namespace

std::string str_contents(const TensorData& d, bool elide_long) {
  int64_t n = d.elements();
  bool list = d.dtype == DType::String || (n <= kMaxListedElements && !is_complex(d.dtype));
  if (n > kMaxListedElements && elide_long) return "dense<elided>";
  if (list && d.dtype != DType::String) {
    std::string text = "[";
    for (int64_t i = 0; i < n; ++i) text += (i ? ", " : "") + element_text(d, i);
    text += "]";
    Lexer lexer(text);
    auto back = parse_list(lexer, d.dtype, d.dims, n);
    if (back && (*back)->size_bytes == d.size_bytes &&
        (d.size_bytes == 0 || std::memcmp((*back)->bytes, d.bytes, static_cast<size_t>(d.size_bytes)) == 0))
      return "dense<" + text + ">";
  }
  if (d.dtype == DType::String) {
    std::string text = "[";
    for (size_t i = 0; i < d.strings.size(); ++i) text += (i ? ", " : "") + quoted(d.strings[i]);
    return "dense<" + text + "]>";
  }
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "hex<\"";
  text.reserve(static_cast<size_t>(d.size_bytes) * 2 + 8);
  for (int64_t i = 0; i < d.size_bytes; ++i) text += kHex[d.bytes[i] >> 4], text += kHex[d.bytes[i] & 15];
  return text + "\">";
}

Result<TensorRef> parse_contents(Lexer& lexer, const TensorType& type) {
  std::vector<int64_t> dims;
  for (const Dim& dim : type.dims) {
    if (!dim.is_constant() || dim.value() < 0)
      return lexer.error_at(lexer.peek(),
                            fmt::format("got contents of type {}, expected constant dimensions", type.str()));
    dims.push_back(dim.value());
  }
  TensorData shape;
  shape.dims = dims;
  int64_t n = shape.elements();
  if (lexer.accept("dense")) {
    TRY(lexer.expect("<"));
    if (lexer.is("elided")) return lexer.error("contents (these were left out when the text was printed)");
    TensorRef d;
    if (type.dtype == DType::String && n > kMaxListedElements) {
      auto strings = std::make_shared<TensorData>(std::move(shape));
      strings->dtype = DType::String;
      TRY(lexer.expect("["));
      for (int64_t i = 0; i < n; ++i) {
        if (i > 0) TRY(lexer.expect(","));
        if (lexer.peek().kind != Token::Kind::String) return lexer.error("a string");
        strings->strings.push_back(lexer.take().text);
      }
      TRY(lexer.expect("]"));
      d = strings;
    } else if (is_complex(type.dtype)) {
      return lexer.error("hex contents for a complex type");
    } else {
      d = TRY(parse_list(lexer, type.dtype, dims, n));
    }
    TRY(lexer.expect(">"));
    return d;
  }
  if (!lexer.accept("hex")) return lexer.error("dense<...> or hex<...>");
  TRY(lexer.expect("<"));
  if (lexer.peek().kind != Token::Kind::String) return lexer.error("a string of hexadecimal digits");
  Token t = lexer.take();
  int64_t size = storage_bytes(type.dtype, n);
  if (type.dtype == DType::String || static_cast<int64_t>(t.text.size()) % 2 != 0 ||
      static_cast<int64_t>(t.text.size()) / 2 != size)
    return lexer.error_at(
        t, fmt::format("got {} hexadecimal digits, expected {} bytes for {}", t.text.size(), size, type.str()));
  auto d = TensorData::make(type.dtype, dims);
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  for (int64_t i = 0; i < size; ++i) {
    int hi = digit(t.text[static_cast<size_t>(2 * i)]), lo = digit(t.text[static_cast<size_t>(2 * i + 1)]);
    if (hi < 0 || lo < 0) return lexer.error_at(t, "got a character that is not a hexadecimal digit");
    d->mutable_bytes()[i] = static_cast<uint8_t>(hi * 16 + lo);
  }
  TRY(lexer.expect(">"));
  return TensorRef(d);
}

}  // namespace ingot
