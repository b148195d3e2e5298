#include "frontend/onnx/value.h"

namespace ingot::onnx {

namespace {

struct ValueReader {
  TensorSource source;

  Result<HostValue> tensor(const TensorProto& p) { return HostValue::of(TRY(read_tensor(p, source))); }
  Result<HostValue> tensor(const SparseTensorProto& p) { return HostValue::of(TRY(read_sparse_tensor(p, source))); }

  Result<HostValue> sequence(const SequenceProto& p) {
    std::vector<HostValue> items;
    for (const auto& t : p.tensor_values) items.push_back(TRY(tensor(t)));
    for (const auto& t : p.sparse_tensor_values) items.push_back(TRY(tensor(t)));
    for (const auto& s : p.sequence_values) items.push_back(TRY(sequence(s)));
    for (const auto& m : p.map_values) items.push_back(TRY(map(m)));
    for (const auto& o : p.optional_values) items.push_back(TRY(optional(o)));
    return HostValue::sequence(std::move(items));
  }

  Result<HostValue> map(const MapProto& p) {
    std::shared_ptr<TensorData> keys;
    DType dtype = dtype_of(p.key_type);
    if (dtype == DType::String) {
      keys = TensorData::make(dtype, {static_cast<int64_t>(p.string_keys.size())});
      keys->strings.assign(p.string_keys.begin(), p.string_keys.end());
    } else if (is_int(dtype) && bits(dtype) >= 8) {
      keys = TensorData::make(DType::I64, {static_cast<int64_t>(p.keys.size())});
      std::copy(p.keys.begin(), p.keys.end(), keys->mutable_as<int64_t>());
    } else {
      return invalid("map with keys of type {}, expected integers or strings", p.key_type);
    }
    HostValue values = TRY(sequence(p.values));
    if (static_cast<int64_t>(values.items.size()) != keys->dims[0])
      return invalid("map of {} keys and {} values", keys->dims[0], values.items.size());
    return HostValue::map(HostValue::of(keys), std::move(values));
  }

  Result<HostValue> optional(const OptionalProto& p) {
    std::vector<HostValue> items;
    switch (p.elem_type) {
      case SequenceProto::kUndefined: break;
      case SequenceProto::kTensor:
        if (p.tensor_value) items.push_back(TRY(tensor(*p.tensor_value)));
        break;
      case SequenceProto::kSparseTensor:
        if (p.sparse_tensor_value) items.push_back(TRY(tensor(*p.sparse_tensor_value)));
        break;
      case SequenceProto::kSequence:
        if (p.sequence_value) items.push_back(TRY(sequence(*p.sequence_value)));
        break;
      case SequenceProto::kMap:
        if (p.map_value) items.push_back(TRY(map(*p.map_value)));
        break;
      case SequenceProto::kOptional:
        if (p.optional_value) items.push_back(TRY(optional(*p.optional_value)));
        break;
      default: return invalid("optional with an element of kind {}", p.elem_type);
    }
    return HostValue::optional(std::move(items));
  }
};

void write(FieldWriter& w, const HostValue& value, std::string_view name);

// The field of an element in SequenceProto; in OptionalProto the same numbers stand for the same kinds.
uint32_t element_field(HostValue::Kind kind) {
  switch (kind) {
    case HostValue::Kind::None:
    case HostValue::Kind::Tensor: return 3;
    case HostValue::Kind::Sequence: return 5;
    case HostValue::Kind::Map: return 6;
    case HostValue::Kind::Optional: return 7;
  }
  return 3;
}
uint64_t element_kind(uint32_t field) { return field - 2; }  // 3 -> TENSOR = 1, 5 -> SEQUENCE = 3 ...

void write_element(FieldWriter& w, const HostValue& value) {
  FieldWriter inner;
  write(inner, value, {});
  w.message(element_field(value.kind), inner);
}

void write(FieldWriter& w, const HostValue& value, std::string_view name) {
  switch (value.kind) {
    case HostValue::Kind::None:
    case HostValue::Kind::Tensor:
      if (value.tensor) w = FieldWriter(write_tensor(*value.tensor, name));
      return;
    case HostValue::Kind::Sequence:
      if (!name.empty()) w.bytes(1, name);
      w.varint(2, value.items.empty() ? 1 : element_kind(element_field(value.items[0].kind)));
      for (const HostValue& item : value.items) write_element(w, item);
      return;
    case HostValue::Kind::Optional: {
      if (!name.empty()) w.bytes(1, name);
      if (value.items.empty()) return;
      uint32_t field = element_field(value.items[0].kind);
      FieldWriter inner;
      write(inner, value.items[0], {});
      w.varint(2, element_kind(field));
      w.message(field, inner);
      return;
    }
    case HostValue::Kind::Map: {
      if (!name.empty()) w.bytes(1, name);
      const TensorData& keys = *value.items[0].tensor;
      w.varint(2, static_cast<uint64_t>(data_type_of(keys.dtype)));
      if (keys.dtype == DType::String)
        for (const std::string& s : keys.strings) w.bytes(4, s);
      else
        for (int64_t i = 0; i < keys.elements(); ++i) w.varint(3, static_cast<uint64_t>(keys.integer(i)));
      FieldWriter inner;
      write(inner, value.items[1], {});
      w.message(5, inner);
      return;
    }
  }
}

}  // namespace

Result<NamedValue> read_value(Bytes bytes, const Type& type, std::shared_ptr<const void> owner) {
  ValueReader reader{{std::move(owner), nullptr}};
  switch (type.kind) {
    case Type::Kind::None: return invalid("a value of unknown type cannot be read");
    case Type::Kind::Tensor: {
      TensorProto p = TRY(decode_tensor(bytes));
      return NamedValue{std::string(p.name), TRY(reader.tensor(p))};
    }
    case Type::Kind::Sequence: {
      SequenceProto p = TRY(decode_sequence(bytes));
      return NamedValue{std::string(p.name), TRY(reader.sequence(p))};
    }
    case Type::Kind::Optional: {
      OptionalProto p = TRY(decode_optional(bytes));
      return NamedValue{std::string(p.name), TRY(reader.optional(p))};
    }
    case Type::Kind::Map: {
      MapProto p = TRY(decode_map(bytes));
      return NamedValue{std::string(p.name), TRY(reader.map(p))};
    }
  }
  return invalid("a value of unknown type cannot be read");
}

Result<NamedValue> read_value_file(const std::string& path, const Type& type) {
  auto file = TRY(MappedFile::open(path));
  auto value = read_value(file->bytes(), type, file);
  if (!value) return std::move(value.error()).context("in " + path);
  return value;
}

std::string write_value(const HostValue& value, std::string_view name) {
  FieldWriter w;
  write(w, value, name);
  return w.take();
}

}  // namespace ingot::onnx
