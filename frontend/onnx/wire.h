// The protobuf wire format, read and written by hand.
//
// Why not libprotobuf: it copies every weight out of the file, gives up at 2 GB, and aborts or grows without bound on
// bytes it does not like. A message is a run of fields, `tag value`; nothing is copied here: a field's bytes are a span
// of the message's bytes, so that a tensor of 100 MB stays where the file is mapped.
//
//   tag = number << 3 | wire type      varint:  7 bits a byte, low first, at most 10 bytes
//   wire type 0: varint                1: 8 bytes   2: length (varint), then that many bytes   5: 4 bytes
//
// Everything is checked against the end of the message. Groups (types 3 and 4, obsolete before ONNX began) are refused.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/result.h"

namespace ingot::onnx {

using Bytes = std::span<const uint8_t>;

enum class WireType : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };
std::string_view name(WireType);

struct Field {
  uint32_t number = 0;
  WireType type = WireType::Varint;
  uint64_t value = 0;  // Varint, Fixed64, Fixed32
  Bytes bytes;  // Bytes
};

// Reads one varint at `p`; null when it is truncated or longer than 64 bits.
const uint8_t* read_varint(const uint8_t* p, const uint8_t* end, uint64_t& value);

//   FieldReader reader(bytes);
//   for (Field f; reader.next(f);) ...
//   TRY(reader.status());
class FieldReader {
 public:
  explicit FieldReader(Bytes message) : begin_(message.data()), p_(begin_), end_(begin_ + message.size()) {}
  bool next(Field& field);  // false at the end, or at a fault
  Result<void> status() const;

 private:
  bool fail(const char* what);
  const uint8_t *begin_, *p_, *end_;
  const char* fault_ = nullptr;
  int64_t fault_at_ = 0;
};

// A repeated number, kept in its packed encoding: one packed run stays a view; several runs, or elements written one by
// one, are gathered in `owned`.
struct Packed {
  Bytes view() const { return owned.empty() ? run : Bytes(owned); }
  bool empty() const { return view().empty(); }
  Result<void> add(const Field& field, WireType element);

  Bytes run;
  std::vector<uint8_t> owned;
};
// The elements of a packed run of varints; an error when the run ends inside one.
Result<std::vector<uint64_t>> unpack_varints(Bytes run);

class FieldWriter {
 public:
  FieldWriter() = default;
  explicit FieldWriter(std::string encoded) : out_(std::move(encoded)) {}
  void varint(uint32_t number, uint64_t value);
  void fixed32(uint32_t number, uint32_t value);
  void fixed64(uint32_t number, uint64_t value);
  void bytes(uint32_t number, std::string_view value);
  void bytes(uint32_t number, Bytes value);
  void message(uint32_t number, const FieldWriter& m) { bytes(number, m.data()); }
  void packed_varints(uint32_t number, std::span<const int64_t> values);
  const std::string& data() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void raw_varint(uint64_t value);
  std::string out_;
};

}  // namespace ingot::onnx
