#include "frontend/onnx/wire.h"

#include <cstring>

namespace ingot::onnx {

std::string_view name(WireType t) {
  switch (t) {
    case WireType::Varint: return "varint";
    case WireType::Fixed64: return "fixed64";
    case WireType::Bytes: return "bytes";
    case WireType::Fixed32: return "fixed32";
  }
  return "unknown";
}

const uint8_t* read_varint(const uint8_t* p, const uint8_t* end, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (p == end) return nullptr;
    uint8_t byte = *p++;
    if (shift == 63 && byte > 1) return nullptr;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return p;
  }
  return nullptr;
}

bool FieldReader::fail(const char* what) {
  fault_ = what;
  fault_at_ = p_ - begin_;
  p_ = end_;
  return false;
}

bool FieldReader::next(Field& field) {
  if (p_ == end_) return false;
  uint64_t tag;
  const uint8_t* q = read_varint(p_, end_, tag);
  if (!q) return fail("truncated or overlong tag");
  if (tag >> 3 == 0 || tag >> 32 != 0) return fail("field number out of range");
  field.number = static_cast<uint32_t>(tag >> 3);
  field.bytes = {};
  auto fixed = [&](size_t size) {
    if (static_cast<size_t>(end_ - q) < size) return fail("truncated fixed-size field");
    field.value = 0;
    std::memcpy(&field.value, q, size);
    p_ = q + size;
    return true;
  };
  switch (tag & 7) {
    case 0:
      field.type = WireType::Varint;
      q = read_varint(q, end_, field.value);
      if (!q) return fail("truncated or overlong varint");
      p_ = q;
      return true;
    case 1: field.type = WireType::Fixed64; return fixed(8);
    case 5: field.type = WireType::Fixed32; return fixed(4);
    case 2: {
      field.type = WireType::Bytes;
      uint64_t length;
      q = read_varint(q, end_, length);
      if (!q) return fail("truncated or overlong length");
      if (length > static_cast<uint64_t>(end_ - q)) return fail("length past the end of the message");
      field.bytes = {q, static_cast<size_t>(length)};
      p_ = q + length;
      return true;
    }
    default: return fail("unsupported wire type");
  }
}

Result<void> FieldReader::status() const {
  if (fault_) return invalid("{} at byte {} of a message of {} bytes", fault_, fault_at_, end_ - begin_);
  return {};
}

Result<void> Packed::add(const Field& field, WireType element) {
  if (field.type == WireType::Bytes) {
    size_t unit = element == WireType::Fixed32 ? 4 : element == WireType::Fixed64 ? 8 : 1;
    if (field.bytes.size() % unit != 0)
      return invalid("packed run of {} bytes, expected a multiple of {}", field.bytes.size(), unit);
    if (run.empty() && owned.empty()) {
      run = field.bytes;
      return {};
    }
  } else if (field.type != element) {
    return invalid("repeated number of wire type {}, expected {}", name(field.type), name(element));
  }
  if (owned.empty()) owned.assign(run.begin(), run.end());
  if (field.type == WireType::Bytes) {
    owned.insert(owned.end(), field.bytes.begin(), field.bytes.end());
  } else if (element == WireType::Varint) {
    uint64_t v = field.value;
    for (; v >= 0x80; v >>= 7) owned.push_back(static_cast<uint8_t>(v | 0x80));
    owned.push_back(static_cast<uint8_t>(v));
  } else {
    uint8_t raw[8];
    std::memcpy(raw, &field.value, 8);
    owned.insert(owned.end(), raw, raw + (element == WireType::Fixed32 ? 4 : 8));
  }
  return {};
}

Result<std::vector<uint64_t>> unpack_varints(Bytes run) {
  std::vector<uint64_t> values;
  const uint8_t *p = run.data(), *end = p + run.size();
  size_t count = 0;
  for (uint8_t b : run) count += b < 0x80;
  values.reserve(count);
  while (p != end) {
    uint64_t v;
    p = read_varint(p, end, v);
    if (!p) return invalid("truncated or overlong varint in a packed run of {} bytes", run.size());
    values.push_back(v);
  }
  return values;
}

void FieldWriter::raw_varint(uint64_t v) {
  for (; v >= 0x80; v >>= 7) out_.push_back(static_cast<char>(v | 0x80));
  out_.push_back(static_cast<char>(v));
}
void FieldWriter::varint(uint32_t number, uint64_t value) {
  raw_varint(static_cast<uint64_t>(number) << 3);
  raw_varint(value);
}
void FieldWriter::fixed32(uint32_t number, uint32_t value) {
  raw_varint(static_cast<uint64_t>(number) << 3 | 5);
  out_.append(reinterpret_cast<const char*>(&value), 4);
}
void FieldWriter::fixed64(uint32_t number, uint64_t value) {
  raw_varint(static_cast<uint64_t>(number) << 3 | 1);
  out_.append(reinterpret_cast<const char*>(&value), 8);
}
void FieldWriter::bytes(uint32_t number, std::string_view value) {
  raw_varint(static_cast<uint64_t>(number) << 3 | 2);
  raw_varint(value.size());
  out_.append(value);
}
void FieldWriter::bytes(uint32_t number, Bytes value) {
  bytes(number, std::string_view(reinterpret_cast<const char*>(value.data()), value.size()));
}
void FieldWriter::packed_varints(uint32_t number, std::span<const int64_t> values) {
  FieldWriter inner;
  for (int64_t v : values) inner.raw_varint(static_cast<uint64_t>(v));
  bytes(number, inner.data());
}

}  // namespace ingot::onnx
