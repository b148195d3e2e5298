// See npy.h.
#include "tools/driver/npy.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "tools/driver/files.h"

namespace ingot::driver {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 1 << 16;

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

// The header is a Python dictionary literal with exactly the keys descr, fortran_order and shape.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Result<Header> parse() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    if (!accept('{')) return invalid("malformed .npy header: expected a dictionary");
    while (!accept('}')) {
      const std::string key = TRY(string());
      if (!accept(':')) return invalid("malformed .npy header: expected ':' after '{}'", key);
      if (key == "descr") {
        space();
        if (at_ < text_.size() && text_[at_] == '[') return unsupported("structured .npy types are not supported");
        header.descr = TRY(string());
        has_descr = true;
      } else if (key == "fortran_order") {
        header.fortran = TRY(boolean());
        has_order = true;
      } else if (key == "shape") {
        header.shape = TRY(tuple());
        has_shape = true;
      } else {
        return invalid("malformed .npy header: unknown key '{}'", key);
      }
      if (!accept(',')) {
        if (!accept('}')) return invalid("malformed .npy header: expected ',' or '}}'");
        break;
      }
    }
    if (!has_descr || !has_order || !has_shape)
      return invalid("malformed .npy header: expected descr, fortran_order and shape");
    space();
    if (at_ != text_.size()) return invalid("malformed .npy header: trailing text");
    return header;
  }

 private:
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool accept(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Result<std::string> string() {
    space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"'))
      return invalid("malformed .npy header: expected a string");
    const char quote = text_[at_++];
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) return invalid("malformed .npy header: unterminated string");
    std::string s(text_.substr(at_, end - at_));
    at_ = end + 1;
    return s;
  }
  Result<bool> boolean() {
    space();
    for (bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    return invalid("malformed .npy header: expected True or False");
  }
  Result<std::vector<int64_t>> tuple() {
    std::vector<int64_t> values;
    if (!accept('(')) return invalid("malformed .npy header: expected a tuple as shape");
    while (!accept(')')) {
      space();
      const size_t start = at_;
      int64_t value = 0;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
          return invalid("malformed .npy header: an extent is too large");
        ++at_;
      }
      if (at_ == start) return invalid("malformed .npy header: expected an extent");
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // written by Python 2
      values.push_back(value);
      if (values.size() > kMaxNpyRank) return limit_exceeded("a .npy file has more than {} dimensions", kMaxNpyRank);
      if (!accept(',')) {
        if (!accept(')')) return invalid("malformed .npy header: expected ',' or ')' in the shape");
        break;
      }
    }
    return values;
  }

  std::string_view text_;
  size_t at_ = 0;
};

struct Kind {
  DType dtype;
  size_t item_bytes;   // in the file
  size_t swap_bytes;   // the unit of byte order
  bool big_endian;
  char letter;
};

Result<Kind> kind_of(const std::string& descr) {
  std::string_view d = descr;
  bool big = false;
  if (!d.empty() && (d[0] == '<' || d[0] == '>' || d[0] == '|' || d[0] == '=')) {
    big = d[0] == '>';
    d.remove_prefix(1);
  }
  if (d.empty()) return invalid("malformed .npy header: empty type");
  int64_t size = 0;
  for (char c : d.substr(1)) {
    if (c < '0' || c > '9' || size > (int64_t{1} << 30))
      return unsupported("the .npy type '{}' is not supported", descr);
    size = size * 10 + (c - '0');
  }
  const char letter = d[0];
  const auto n = static_cast<size_t>(size);
  if (letter == 'U') return Kind{DType::String, n * 4, 4, big, letter};
  if (letter == 'S' || letter == 'a') return Kind{DType::String, n, 1, big, 'S'};
  struct Row {
    char letter;
    size_t bytes;
    DType dtype;
  };
  static constexpr Row kRows[] = {
      {'b', 1, DType::Bool}, {'i', 1, DType::I8},  {'i', 2, DType::I16}, {'i', 4, DType::I32},  {'i', 8, DType::I64},
      {'u', 1, DType::U8},   {'u', 2, DType::U16}, {'u', 4, DType::U32}, {'u', 8, DType::U64},  {'f', 2, DType::F16},
      {'f', 4, DType::F32},  {'f', 8, DType::F64}, {'c', 8, DType::C64}, {'c', 16, DType::C128}};
  for (const Row& row : kRows)
    if (row.letter == letter && row.bytes == n) return Kind{row.dtype, n, letter == 'c' ? n / 2 : n, big, letter};
  return unsupported("the .npy type '{}' is not supported", descr);
}

void append_utf8(std::string& out, uint32_t c) {
  if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

std::vector<uint32_t> code_points(const std::string& s) {
  std::vector<uint32_t> points;
  for (size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    const size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t point = length == 1 ? c : c & (0xffu >> (length + 1));
    for (size_t k = 1; k < length && i + k < s.size(); ++k)
      point = point << 6 | (static_cast<unsigned char>(s[i + k]) & 63u);
    points.push_back(point);
    i += length;
  }
  return points;
}

std::string decode_string(const char* item, const Kind& kind) {
  std::string s;
  if (kind.letter == 'S') {
    s.assign(item, kind.item_bytes);
    while (!s.empty() && s.back() == '\0') s.pop_back();
    return s;
  }
  std::vector<uint32_t> points(kind.item_bytes / 4);
  for (size_t i = 0; i < points.size(); ++i) {
    std::memcpy(&points[i], item + i * 4, 4);
    if (kind.big_endian) points[i] = __builtin_bswap32(points[i]);
  }
  while (!points.empty() && points.back() == 0) points.pop_back();
  for (uint32_t c : points) append_utf8(s, c);
  return s;
}

}  // namespace

Result<TensorRef> parse_npy(std::string_view bytes) {
  if (bytes.size() < 10 || bytes.substr(0, 6) != kMagic) return invalid("not a .npy file: the magic bytes are missing");
  const int major = static_cast<unsigned char>(bytes[6]);
  if (major < 1 || major > 3) return unsupported("a .npy file of version {}, expected 1, 2 or 3", major);
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) return invalid("a .npy file ends inside its header");
  size_t header_bytes = 0;
  for (size_t i = 0; i < length_bytes; ++i)
    header_bytes |= static_cast<size_t>(static_cast<unsigned char>(bytes[8 + i])) << (8 * i);
  if (header_bytes > kMaxHeaderBytes)
    return limit_exceeded("a .npy header of {} bytes, expected at most {}", header_bytes, kMaxHeaderBytes);
  const size_t data_at = 8 + length_bytes + header_bytes;
  if (bytes.size() < data_at) return invalid("a .npy file ends inside its header");
  const Header header = TRY(HeaderParser(bytes.substr(8 + length_bytes, header_bytes)).parse());
  const Kind kind = TRY(kind_of(header.descr));

  int64_t count = 1, data_bytes = 0;
  bool has_zero = std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end();
  for (int64_t extent : header.shape)
    if (__builtin_mul_overflow(count, has_zero ? std::min<int64_t>(extent, 1) : extent, &count))
      return invalid("a .npy file's shape is too large");
  if (__builtin_mul_overflow(count, static_cast<int64_t>(kind.item_bytes), &data_bytes))
    return invalid("a .npy file's shape is too large");
  const std::string_view data = bytes.substr(data_at);
  if (static_cast<int64_t>(data.size()) != data_bytes)
    return invalid("a .npy file has {} bytes of data, expected {} from its shape", data.size(), data_bytes);
  if (kind.item_bytes == 0 && count > static_cast<int64_t>(kMaxFileBytes >> 6))
    return invalid("a .npy file's shape is too large");

  // Fortran order: element i of the file has the first index running fastest.
  const auto n = static_cast<size_t>(count);
  std::vector<size_t> source;
  if (header.fortran && header.shape.size() > 1) {
    source.resize(n);
    std::vector<int64_t> index(header.shape.size(), 0);
    std::vector<int64_t> stride(header.shape.size(), 1);
    for (size_t d = 1; d < stride.size(); ++d) stride[d] = stride[d - 1] * header.shape[d - 1];
    int64_t at = 0;
    for (size_t i = 0; i < n; ++i) {
      source[i] = static_cast<size_t>(at);
      for (size_t d = index.size(); d-- > 0;) {
        at += stride[d];
        if (++index[d] < header.shape[d]) break;
        at -= stride[d] * header.shape[d];
        index[d] = 0;
      }
    }
  }
  auto item = [&](size_t i) { return data.data() + (source.empty() ? i : source[i]) * kind.item_bytes; };

  auto tensor = TensorData::make(kind.dtype, header.shape);
  if (kind.dtype == DType::String) {
    tensor->strings.resize(n);
    for (size_t i = 0; i < n; ++i) tensor->strings[i] = decode_string(item(i), kind);
    return TensorRef(tensor);
  }
  uint8_t* out = tensor->mutable_bytes();
  if (source.empty()) {
    if (data_bytes > 0) std::memcpy(out, data.data(), data.size());
  } else {
    for (size_t i = 0; i < n; ++i) std::memcpy(out + i * kind.item_bytes, item(i), kind.item_bytes);
  }
  if (kind.big_endian && kind.swap_bytes > 1)
    for (size_t at = 0; at < data.size(); at += kind.swap_bytes) std::reverse(out + at, out + at + kind.swap_bytes);
  if (kind.dtype == DType::Bool)
    for (size_t i = 0; i < n; ++i) out[i] = out[i] ? 1 : 0;
  return TensorRef(tensor);
}

Result<TensorRef> load_npy(const std::string& path) {
  const std::string bytes = TRY(read_file(path));
  auto tensor = parse_npy(bytes);
  if (!tensor) return std::move(tensor.error()).context("in " + path);
  return tensor;
}

std::string format_npy(const TensorData& tensor, std::string* note) {
  std::string descr;
  std::string data(reinterpret_cast<const char*>(tensor.bytes),
                   static_cast<size_t>(tensor.bytes ? tensor.size_bytes : 0));
  const auto n = static_cast<size_t>(tensor.elements());
  auto say = [&](std::string text) {
    if (note) *note = std::move(text);
  };
  auto widen = [&](const char* type, const char* what) {  // 2- and 4-bit integers: one byte each
    descr = type;
    data.resize(n);
    for (size_t i = 0; i < n; ++i) data[i] = static_cast<char>(tensor.integer(static_cast<int64_t>(i)));
    say(fmt::format("{} saved as {}", name(tensor.dtype), what));
  };
  switch (tensor.dtype) {
    case DType::Invalid: break;
    case DType::Bool: descr = "|b1"; break;
    case DType::I8: descr = "|i1"; break;
    case DType::U8: descr = "|u1"; break;
    case DType::I16: descr = "<i2"; break;
    case DType::U16: descr = "<u2"; break;
    case DType::I32: descr = "<i4"; break;
    case DType::U32: descr = "<u4"; break;
    case DType::I64: descr = "<i8"; break;
    case DType::U64: descr = "<u8"; break;
    case DType::F16: descr = "<f2"; break;
    case DType::F32: descr = "<f4"; break;
    case DType::F64: descr = "<f8"; break;
    case DType::C64: descr = "<c8"; break;
    case DType::C128: descr = "<c16"; break;
    case DType::I2:
    case DType::I4: widen("|i1", "int8"); break;
    case DType::U2:
    case DType::U4: widen("|u1", "uint8"); break;
    case DType::BF16:
      descr = "<u2";
      say("bf16 saved as its bits in uint16");
      break;
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
      descr = "|u1";
      say(fmt::format("{} saved as its bits in uint8", name(tensor.dtype)));
      break;
    case DType::F4E2M1: {
      descr = "|u1";
      data.resize(n);
      for (size_t i = 0; i < n; ++i) data[i] = static_cast<char>(tensor.bytes[i / 2] >> (i % 2 * 4) & 15);
      say("f4e2m1 saved as its code in uint8");
      break;
    }
    case DType::String: {
      std::vector<std::vector<uint32_t>> rows;
      size_t width = 1;
      for (const std::string& s : tensor.strings) {
        rows.push_back(code_points(s));
        width = std::max(width, rows.back().size());
      }
      descr = fmt::format("<U{}", width);
      data.assign(rows.size() * width * 4, '\0');
      for (size_t i = 0; i < rows.size(); ++i)
        if (!rows[i].empty()) std::memcpy(&data[i * width * 4], rows[i].data(), rows[i].size() * 4);
      break;
    }
  }
  std::string shape;
  for (int64_t extent : tensor.dims) shape += fmt::format("{}, ", extent);
  if (tensor.dims.size() > 1) shape.resize(shape.size() - 2);
  if (tensor.dims.size() == 1) shape.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out(kMagic);
  out += '\1';
  out += '\0';
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  return out + header + data;
}

}  // namespace ingot::driver
