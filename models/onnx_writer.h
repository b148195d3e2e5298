// Just enough of ONNX's protobuf encoding to write a model: messages are strings of fields.
// Field numbers are those of onnx.proto (github.com/onnx/onnx).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace onnx_writer {

class Message {
 public:
  Message& integer(int field, int64_t value) {
    varint(static_cast<uint64_t>(field) << 3);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    varint(static_cast<uint64_t>(field) << 3 | 2);
    varint(value.size());
    text_ += value;
    return *this;
  }
  Message& message(int field, const Message& m) { return bytes(field, m.text_); }
  const std::string& text() const { return text_; }

 private:
  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) text_ += static_cast<char>(v | 0x80);
    text_ += static_cast<char>(v);
  }
  std::string text_;
};

inline constexpr int kFloat = 1, kInt64 = 7;  // TensorProto.DataType

template <class T>
Message tensor(const std::string& name, int data_type, const std::vector<int64_t>& dims, const std::vector<T>& values) {
  Message t;
  for (int64_t d : dims) t.integer(1, d);
  t.integer(2, data_type).bytes(8, name);
  return t.bytes(9, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

// Extents below zero are the named dimension `batch`.
inline Message value_info(const std::string& name, const std::vector<int64_t>& dims) {
  Message shape;
  for (int64_t d : dims) {
    Message dim;
    if (d < 0) dim.bytes(2, "batch");
    else dim.integer(1, d);
    shape.message(1, dim);
  }
  return Message().bytes(1, name).message(2, Message().message(1, Message().integer(1, kFloat).message(2, shape)));
}

inline Message ints(const std::string& name, const std::vector<int64_t>& values) {
  Message a;
  a.bytes(1, name);
  for (int64_t v : values) a.integer(8, v);
  return a.integer(20, 7);
}
inline Message int_(const std::string& name, int64_t value) {
  return Message().bytes(1, name).integer(3, value).integer(20, 2);
}

inline Message node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output,
                    const std::vector<Message>& attributes = {}) {
  Message n;
  for (const std::string& i : inputs) n.bytes(1, i);
  n.bytes(2, output).bytes(3, output).bytes(4, op);
  for (const Message& a : attributes) n.message(5, a);
  return n;
}

inline std::string model(const Message& graph, int64_t opset, const std::string& producer, const std::string& doc) {
  return Message()
      .integer(1, 8)
      .bytes(2, producer)
      .bytes(6, doc)
      .message(7, graph)
      .message(8, Message().bytes(1, "").integer(2, opset))
      .text();
}

}  // namespace onnx_writer
