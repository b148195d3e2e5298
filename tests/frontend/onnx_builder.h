// Builds ONNX models, right and wrong ones, for tests. Every message is a string of encoded fields; nothing is checked.
//
//   auto model = build::Model().opset(17);
//   model.graph.input("x", F32, {"n", 4}).node("Relu", {"x"}, {"y"}).output("y");
//   import_onnx(bytes_of(model.str()), nullptr, options)
#pragma once

#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include "frontend/onnx/dtype.h"
#include "frontend/onnx/wire.h"

namespace ingot::onnx::build {

using Names = std::vector<std::string>;
using Extent = std::variant<int, int64_t, const char*>;

template <class T>
std::string raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// TensorProto with raw_data.
inline std::string tensor(std::string_view name, int data_type, const std::vector<int64_t>& dims,
                          std::string_view raw_data) {
  FieldWriter w;
  w.packed_varints(1, dims);
  w.varint(2, static_cast<uint64_t>(data_type));
  w.bytes(8, name);
  w.bytes(9, raw_data);
  return w.take();
}
inline std::string floats(std::string_view name, const std::vector<int64_t>& dims, const std::vector<float>& v) {
  return tensor(name, 1, dims, raw(v));
}
inline std::string ints(std::string_view name, const std::vector<int64_t>& dims, const std::vector<int64_t>& v) {
  return tensor(name, 7, dims, raw(v));
}
inline std::string external(std::string_view name, int data_type, const std::vector<int64_t>& dims,
                            const std::vector<std::pair<std::string, std::string>>& entries) {
  FieldWriter w;
  w.packed_varints(1, dims);
  w.varint(2, static_cast<uint64_t>(data_type));
  w.bytes(8, name);
  for (const auto& [key, value] : entries) {
    FieldWriter e;
    e.bytes(1, key);
    e.bytes(2, value);
    w.message(13, e);
  }
  w.varint(14, 1);
  return w.take();
}

// TypeProto.
inline std::string tensor_type(int data_type, const std::vector<Extent>& dims, bool has_shape = true) {
  FieldWriter shape, t, type;
  for (const Extent& e : dims) {
    FieldWriter d;
    if (auto* i = std::get_if<int>(&e)) d.varint(1, static_cast<uint64_t>(static_cast<int64_t>(*i)));
    if (auto* i = std::get_if<int64_t>(&e)) d.varint(1, static_cast<uint64_t>(*i));
    if (auto* s = std::get_if<const char*>(&e); s && **s) d.bytes(2, *s);
    shape.message(1, d);
  }
  t.varint(1, static_cast<uint64_t>(data_type));
  if (has_shape) t.message(2, shape);
  type.message(1, t);
  return type.take();
}
inline std::string wrapped_type(uint32_t field, std::string_view element) {  // 4: sequence, 9: optional
  FieldWriter inner, type;
  inner.bytes(1, element);
  type.message(field, inner);
  return type.take();
}

// AttributeProto.
class Attr {
 public:
  Attr(std::string_view name, int v) : Attr(name, static_cast<int64_t>(v)) {}
  Attr(std::string_view name, int64_t v) { start(name), w_.varint(3, static_cast<uint64_t>(v)), kind(2); }
  Attr(std::string_view name, double v) {
    float f = static_cast<float>(v);
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    start(name), w_.fixed32(2, bits), kind(1);
  }
  Attr(std::string_view name, const char* v) { start(name), w_.bytes(4, std::string_view(v)), kind(3); }
  Attr(std::string_view name, const std::vector<int64_t>& v) { start(name), w_.packed_varints(8, v), kind(7); }
  Attr(std::string_view name, const std::vector<float>& v) {
    start(name), w_.bytes(7, std::string_view(raw(v))), kind(6);
  }
  Attr(std::string_view name, const std::vector<std::string>& v) {
    start(name);
    for (const auto& s : v) w_.bytes(9, std::string_view(s));
    kind(8);
  }
  // An encoded message in `field`: 5 tensor, 6 graph, 14 type, 22 sparse tensor.
  static Attr message(std::string_view name, uint32_t field, std::string_view encoded) {
    Attr a;
    a.start(name), a.w_.bytes(field, encoded);
    a.kind(field == 5 ? 4 : field == 6 ? 5 : field == 14 ? 13 : 11);
    return a;
  }
  static Attr tensor(std::string_view name, std::string_view t) { return message(name, 5, t); }
  static Attr graph(std::string_view name, std::string_view g) { return message(name, 6, g); }
  static Attr reference(std::string_view name, std::string_view to, int type) {
    Attr a;
    a.start(name), a.w_.bytes(21, to), a.kind(type);
    return a;
  }
  // A field of another kind beside the attribute's own.
  Attr also_float(float f) && {
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    w_.fixed32(2, bits);
    return std::move(*this);
  }
  const FieldWriter& writer() const { return w_; }

 private:
  Attr() = default;
  void start(std::string_view name) { w_.bytes(1, name); }
  void kind(int type) { w_.varint(20, static_cast<uint64_t>(type)); }
  FieldWriter w_;
};

inline std::string node(std::string_view op, const Names& inputs, const Names& outputs,
                        const std::vector<Attr>& attrs = {}, std::string_view name = {}, std::string_view domain = {}) {
  FieldWriter w;
  for (const auto& i : inputs) w.bytes(1, std::string_view(i));
  for (const auto& o : outputs) w.bytes(2, std::string_view(o));
  if (!name.empty()) w.bytes(3, name);
  w.bytes(4, op);
  for (const Attr& a : attrs) w.message(5, a.writer());
  if (!domain.empty()) w.bytes(7, domain);
  return w.take();
}

inline std::string value_info(std::string_view name, std::string_view type) {
  FieldWriter w;
  w.bytes(1, name);
  if (!type.empty()) w.bytes(2, type);
  return w.take();
}

class Graph {
 public:
  Graph() { w_.bytes(2, std::string_view("test")); }
  Graph& input(std::string_view name, int data_type, const std::vector<Extent>& dims) {
    return input(name, tensor_type(data_type, dims));
  }
  Graph& input(std::string_view name, std::string_view type = {}) { return add(11, value_info(name, type)); }
  Graph& output(std::string_view name, std::string_view type = {}) { return add(12, value_info(name, type)); }
  Graph& initializer(std::string_view tensor) { return add(5, tensor); }
  Graph& node(std::string_view op, const Names& inputs, const Names& outputs, const std::vector<Attr>& attrs = {},
              std::string_view name = {}, std::string_view domain = {}) {
    return add(1, build::node(op, inputs, outputs, attrs, name, domain));
  }
  Graph& add(uint32_t field, std::string_view encoded) {
    w_.bytes(field, encoded);
    return *this;
  }
  const std::string& str() const { return w_.data(); }

 private:
  FieldWriter w_;
};

struct Function {
  std::string domain, name;
  Names inputs, outputs, attributes;
  std::vector<std::string> nodes, defaults;  // encoded
  int64_t opset = 17;

  std::string str() const {
    FieldWriter w, o;
    w.bytes(1, std::string_view(name));
    for (const auto& i : inputs) w.bytes(4, std::string_view(i));
    for (const auto& i : outputs) w.bytes(5, std::string_view(i));
    for (const auto& i : attributes) w.bytes(6, std::string_view(i));
    for (const auto& n : nodes) w.bytes(7, std::string_view(n));
    o.varint(2, static_cast<uint64_t>(opset));
    w.message(9, o);
    w.bytes(10, std::string_view(domain));
    for (const auto& a : defaults) w.bytes(11, std::string_view(a));
    return w.take();
  }
};

class Model {
 public:
  Model& opset(int64_t version, std::string_view domain = {}) {
    FieldWriter o;
    if (!domain.empty()) o.bytes(1, domain);
    o.varint(2, static_cast<uint64_t>(version));
    w_.message(8, o);
    return *this;
  }
  Model& function(const Function& f) {
    w_.bytes(25, std::string_view(f.str()));
    return *this;
  }
  std::string str() const {
    FieldWriter w(w_.data());
    w.varint(1, static_cast<uint64_t>(ir_version_));
    w.bytes(7, std::string_view(graph.str()));
    return w.take();
  }
  Model& ir_version(int64_t version) {
    ir_version_ = version;
    return *this;
  }
  Graph graph;

 private:
  FieldWriter w_;
  int64_t ir_version_ = 8;
};

inline Bytes bytes_of(const std::string& s) { return {reinterpret_cast<const uint8_t*>(s.data()), s.size()}; }

}  // namespace ingot::onnx::build
