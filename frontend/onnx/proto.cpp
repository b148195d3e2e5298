#include "frontend/onnx/proto.h"

#include <bit>
#include <cstring>

namespace ingot::onnx {

AttributeProto::AttributeProto() = default;
AttributeProto::AttributeProto(AttributeProto&&) noexcept = default;
AttributeProto& AttributeProto::operator=(AttributeProto&&) noexcept = default;
AttributeProto::~AttributeProto() = default;
SequenceProto::SequenceProto() = default;
SequenceProto::SequenceProto(SequenceProto&&) noexcept = default;
SequenceProto& SequenceProto::operator=(SequenceProto&&) noexcept = default;
SequenceProto::~SequenceProto() = default;

namespace {

// One `field` per message: where each field number goes. A singular message that occurs twice is merged, as protobuf
// does; a singular scalar that occurs twice keeps the last.
class Decoder {
 public:
  template <class T>
  Result<T> root(Bytes bytes) {
    T out;
    TRY(read(bytes, out));
    return out;
  }

 private:
  template <class T>
  Result<void> read(Bytes bytes, T& out) {
    if (depth_ >= kMaxMessageDepth) return limit_exceeded("messages nested deeper than {}", kMaxMessageDepth);
    if (--budget_ < 0) return limit_exceeded("more than {} messages", kMaxMessages);
    ++depth_;
    FieldReader reader(bytes);
    for (Field f; reader.next(f);) TRY(field(out, f));
    --depth_;
    return reader.status();
  }

  static Result<void> expect(const Field& f, WireType type) {
    if (f.type != type) return invalid("field {} has wire type {}, expected {}", f.number, name(f.type), name(type));
    return {};
  }
  static Result<void> put(const Field& f, std::string_view& out) {
    TRY(expect(f, WireType::Bytes));
    out = {reinterpret_cast<const char*>(f.bytes.data()), f.bytes.size()};
    return {};
  }
  static Result<void> put(const Field& f, int64_t& out) {
    TRY(expect(f, WireType::Varint));
    out = static_cast<int64_t>(f.value);
    return {};
  }
  static Result<void> put(const Field& f, int32_t& out) {
    TRY(expect(f, WireType::Varint));
    out = static_cast<int32_t>(f.value);
    return {};
  }
  static Result<void> put(const Field& f, std::vector<int64_t>& out) {
    if (f.type != WireType::Bytes) {
      out.emplace_back();
      return put(f, out.back());
    }
    auto values = TRY(unpack_varints(f.bytes));
    for (uint64_t v : values) out.push_back(static_cast<int64_t>(v));
    return {};
  }
  static Result<void> put(const Field& f, std::vector<float>& out) {
    if (f.type == WireType::Fixed32) {
      out.push_back(std::bit_cast<float>(static_cast<uint32_t>(f.value)));
      return {};
    }
    TRY(expect(f, WireType::Bytes));
    if (f.bytes.size() % 4 != 0) return invalid("packed floats of {} bytes, expected a multiple of 4", f.bytes.size());
    size_t old = out.size();
    out.resize(old + f.bytes.size() / 4);
    if (!f.bytes.empty()) std::memcpy(out.data() + old, f.bytes.data(), f.bytes.size());
    return {};
  }
  static Result<void> put(const Field& f, std::vector<std::string_view>& out) {
    out.emplace_back();
    return put(f, out.back());
  }
  template <class T>
  Result<void> put(const Field& f, T& out) {
    TRY(expect(f, WireType::Bytes));
    return read(f.bytes, out);
  }
  template <class T>
  Result<void> put(const Field& f, std::vector<T>& out) {
    out.emplace_back();
    return put(f, out.back());
  }
  template <class T>
  Result<void> put(const Field& f, std::unique_ptr<T>& out) {
    if (!out) out = std::make_unique<T>();
    return put(f, *out);
  }
  template <class T>
  Result<void> put(const Field& f, std::optional<T>& out) {
    if (!out) out.emplace();
    return put(f, *out);
  }

  Result<void> field(StringStringEntryProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.key);
      case 2: return put(f, m.value);
    }
    return {};
  }

  Result<void> field(TensorProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.dims);
      case 2: return put(f, m.data_type);
      case 3: m.has_segment = true; return {};
      case 4: return m.float_data.add(f, WireType::Fixed32);
      case 5: return m.int32_data.add(f, WireType::Varint);
      case 6: return put(f, m.string_data);
      case 7: return m.int64_data.add(f, WireType::Varint);
      case 8: return put(f, m.name);
      case 9:
        TRY(expect(f, WireType::Bytes));
        m.raw_data = f.bytes;
        return {};
      case 10: return m.double_data.add(f, WireType::Fixed64);
      case 11: return m.uint64_data.add(f, WireType::Varint);
      case 13: return put(f, m.external_data);
      case 14: return put(f, m.data_location);
    }
    return {};
  }

  Result<void> field(SparseTensorProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.values);
      case 2: return put(f, m.indices);
      case 3: return put(f, m.dims);
    }
    return {};
  }

  Result<void> field(TensorShapeProto::Dimension& m, const Field& f) {
    switch (f.number) {
      case 1: {
        int64_t v = 0;
        TRY(put(f, v));
        m.dim_value = v;
        m.dim_param = {};
        return {};
      }
      case 2: m.dim_value.reset(); return put(f, m.dim_param);
    }
    return {};
  }
  Result<void> field(TensorShapeProto& m, const Field& f) { return f.number == 1 ? put(f, m.dim) : Result<void>(); }

  // TypeProto is a oneof: each arm is a message of its own, read into the same struct.
  struct TensorArm {
    TypeProto& type;
  };
  struct ElementArm {
    TypeProto& type;
  };  // Sequence, Optional: elem_type = 1
  struct MapArm {
    TypeProto& type;
  };
  Result<void> field(TensorArm& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.type.elem_type);
      case 2: return put(f, m.type.shape);
    }
    return {};
  }
  Result<void> field(ElementArm& m, const Field& f) { return f.number == 1 ? put(f, m.type.element) : Result<void>(); }
  Result<void> field(MapArm& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.type.elem_type);
      case 2: return put(f, m.type.element);
    }
    return {};
  }
  template <class Arm>
  Result<void> arm(TypeProto& m, const Field& f, TypeProto::Kind kind) {
    if (m.kind != kind) m = TypeProto{kind, 0, {}, nullptr};
    Arm a{m};
    return put(f, a);
  }
  Result<void> field(TypeProto& m, const Field& f) {
    using Kind = TypeProto::Kind;
    switch (f.number) {
      case 1: return arm<TensorArm>(m, f, Kind::Tensor);
      case 4: return arm<ElementArm>(m, f, Kind::Sequence);
      case 5: return arm<MapArm>(m, f, Kind::Map);
      case 7: m = TypeProto{Kind::Opaque, 0, {}, nullptr}; return {};
      case 8: return arm<TensorArm>(m, f, Kind::SparseTensor);
      case 9: return arm<ElementArm>(m, f, Kind::Optional);
    }
    return {};
  }

  Result<void> field(ValueInfoProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.name);
      case 2: return put(f, m.type);
    }
    return {};
  }

  Result<void> field(AttributeProto& m, const Field& f) {
    auto seen = [&](AttributeProto::Type type) {
      m.payloads |= 1u << type;
      if (!typed_) m.type = type;
    };
    switch (f.number) {
      case 1: return put(f, m.name);
      case 21: return put(f, m.ref_attr_name);
      case 20: typed_ = true; return put(f, m.type);
      case 2:
        TRY(expect(f, WireType::Fixed32));
        m.f = std::bit_cast<float>(static_cast<uint32_t>(f.value));
        seen(AttributeProto::kFloat);
        return {};
      case 3: seen(AttributeProto::kInt); return put(f, m.i);
      case 4: seen(AttributeProto::kString); return put(f, m.s);
      case 5: seen(AttributeProto::kTensor); return nested(f, m.t);
      case 6: seen(AttributeProto::kGraph); return nested(f, m.g);
      case 22: seen(AttributeProto::kSparseTensor); return nested(f, m.sparse_tensor);
      case 14: seen(AttributeProto::kTypeProto); return nested(f, m.tp);
      case 7: seen(AttributeProto::kFloats); return put(f, m.floats);
      case 8: seen(AttributeProto::kInts); return put(f, m.ints);
      case 9: seen(AttributeProto::kStrings); return put(f, m.strings);
      case 10: seen(AttributeProto::kTensors); return {};
      case 11: seen(AttributeProto::kGraphs); return {};
      case 23: seen(AttributeProto::kSparseTensors); return {};
      case 15: seen(AttributeProto::kTypeProtos); return {};
    }
    return {};
  }
  // `typed_` is of the attribute being read; attributes nest through graphs.
  template <class T>
  Result<void> nested(const Field& f, std::unique_ptr<T>& out) {
    bool outer = std::exchange(typed_, false);
    TRY(put(f, out));
    typed_ = outer;
    return {};
  }

  Result<void> field(NodeProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.input);
      case 2: return put(f, m.output);
      case 3: return put(f, m.name);
      case 4: return put(f, m.op_type);
      case 5: typed_ = false; return put(f, m.attribute);
      case 7: return put(f, m.domain);
      case 8: return put(f, m.overload);
    }
    return {};
  }

  Result<void> field(GraphProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.node);
      case 2: return put(f, m.name);
      case 5: return put(f, m.initializer);
      case 11: return put(f, m.input);
      case 12: return put(f, m.output);
      case 15: return put(f, m.sparse_initializer);
    }
    return {};
  }

  Result<void> field(OperatorSetIdProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.domain);
      case 2: return put(f, m.version);
    }
    return {};
  }

  Result<void> field(FunctionProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.name);
      case 4: return put(f, m.input);
      case 5: return put(f, m.output);
      case 6: return put(f, m.attribute);
      case 7: return put(f, m.node);
      case 9: return put(f, m.opset_import);
      case 10: return put(f, m.domain);
      case 11: typed_ = false; return put(f, m.attribute_proto);
      case 13: return put(f, m.overload);
    }
    return {};
  }

  Result<void> field(ModelProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.ir_version);
      case 2: return put(f, m.producer_name);
      case 3: return put(f, m.producer_version);
      case 7: return put(f, m.graph);
      case 8: return put(f, m.opset_import);
      case 20: ++m.training_infos; return {};
      case 25: return put(f, m.functions);
    }
    return {};
  }

  Result<void> field(SequenceProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.name);
      case 2: return put(f, m.elem_type);
      case 3: return put(f, m.tensor_values);
      case 4: return put(f, m.sparse_tensor_values);
      case 5: return put(f, m.sequence_values);
      case 6: return put(f, m.map_values);
      case 7: return put(f, m.optional_values);
    }
    return {};
  }

  Result<void> field(MapProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.name);
      case 2: return put(f, m.key_type);
      case 3: return put(f, m.keys);
      case 4: return put(f, m.string_keys);
      case 5: return put(f, m.values);
    }
    return {};
  }

  Result<void> field(OptionalProto& m, const Field& f) {
    switch (f.number) {
      case 1: return put(f, m.name);
      case 2: return put(f, m.elem_type);
      case 3: return put(f, m.tensor_value);
      case 4: return put(f, m.sparse_tensor_value);
      case 5: return put(f, m.sequence_value);
      case 6: return put(f, m.map_value);
      case 7: return put(f, m.optional_value);
    }
    return {};
  }

  int depth_ = 0;
  int64_t budget_ = kMaxMessages;
  bool typed_ = false;
};

}  // namespace

Result<ModelProto> decode_model(Bytes bytes) { return Decoder().root<ModelProto>(bytes); }
Result<TensorProto> decode_tensor(Bytes bytes) { return Decoder().root<TensorProto>(bytes); }
Result<SparseTensorProto> decode_sparse_tensor(Bytes bytes) { return Decoder().root<SparseTensorProto>(bytes); }
Result<SequenceProto> decode_sequence(Bytes bytes) { return Decoder().root<SequenceProto>(bytes); }
Result<OptionalProto> decode_optional(Bytes bytes) { return Decoder().root<OptionalProto>(bytes); }
Result<MapProto> decode_map(Bytes bytes) { return Decoder().root<MapProto>(bytes); }

}  // namespace ingot::onnx
