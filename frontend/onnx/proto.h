// ONNX's messages as plain structs. Strings and tensor contents are views of the bytes that were decoded, which must
// outlive them. Field numbers and names are those of onnx-ml.proto and onnx-data.proto (ONNX 1.23, IR version 13).
//
// Decoding checks the encoding, not the meaning: that is for whoever reads the structs. Unknown fields are skipped, a
// known field of the wrong wire type is an error. Documentation strings, metadata and training information are dropped.
#pragma once

#include <memory>
#include <optional>

#include "frontend/onnx/wire.h"

namespace ingot::onnx {

inline constexpr int kMaxMessageDepth = 100;  // messages in messages; protobuf's own limit
inline constexpr int64_t kMaxMessages = int64_t{4} << 20;  // in one file; bounds memory to a few hundred bytes each

struct StringStringEntryProto {
  std::string_view key, value;
};

struct TensorProto {
  enum DataLocation : int32_t { kDefault = 0, kExternal = 1 };

  std::string_view name;
  std::vector<int64_t> dims;
  int32_t data_type = 0;
  int32_t data_location = kDefault;
  bool has_segment = false;
  std::optional<Bytes> raw_data;
  Packed float_data, int32_data, int64_data, double_data, uint64_data;
  std::vector<std::string_view> string_data;
  std::vector<StringStringEntryProto> external_data;
};

struct SparseTensorProto {
  TensorProto values, indices;
  std::vector<int64_t> dims;
};

struct TensorShapeProto {
  struct Dimension {
    std::optional<int64_t> dim_value;
    std::string_view dim_param;
  };
  std::vector<Dimension> dim;
};

struct TypeProto {
  enum class Kind : uint8_t { None, Tensor, Sequence, Map, Optional, SparseTensor, Opaque };

  Kind kind = Kind::None;
  int32_t elem_type = 0;  // Tensor, SparseTensor; a Map's key type
  std::optional<TensorShapeProto> shape;  // Tensor, SparseTensor
  std::unique_ptr<TypeProto> element;  // Sequence, Map, Optional
};

struct ValueInfoProto {
  std::string_view name;
  TypeProto type;
};

struct GraphProto;

struct AttributeProto {
  enum Type : int32_t {
    kUndefined = 0,
    kFloat = 1,
    kInt = 2,
    kString = 3,
    kTensor = 4,
    kGraph = 5,
    kFloats = 6,
    kInts = 7,
    kStrings = 8,
    kTensors = 9,
    kGraphs = 10,
    kSparseTensor = 11,
    kSparseTensors = 12,
    kTypeProto = 13,
    kTypeProtos = 14,
  };
  AttributeProto();
  AttributeProto(AttributeProto&&) noexcept;
  AttributeProto& operator=(AttributeProto&&) noexcept;
  ~AttributeProto();

  std::string_view name, ref_attr_name;
  int32_t type = kUndefined;  // where the file has none (IR version 1): that of the field that is present
  uint32_t payloads = 0;  // bits 1 << Type of the fields that are present
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::unique_ptr<TensorProto> t;
  std::unique_ptr<GraphProto> g;
  std::unique_ptr<SparseTensorProto> sparse_tensor;
  std::unique_ptr<TypeProto> tp;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
};

struct NodeProto {
  std::vector<std::string_view> input, output;
  std::string_view name, op_type, domain, overload;
  std::vector<AttributeProto> attribute;
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> node;
  std::vector<TensorProto> initializer;
  std::vector<SparseTensorProto> sparse_initializer;
  std::vector<ValueInfoProto> input, output;
};

struct OperatorSetIdProto {
  std::string_view domain;
  int64_t version = 0;
};

struct FunctionProto {
  std::string_view name, domain, overload;
  std::vector<std::string_view> input, output, attribute;
  std::vector<AttributeProto> attribute_proto;  // attributes with defaults
  std::vector<NodeProto> node;
  std::vector<OperatorSetIdProto> opset_import;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string_view producer_name, producer_version;
  std::vector<OperatorSetIdProto> opset_import;
  std::optional<GraphProto> graph;
  std::vector<FunctionProto> functions;
  int64_t training_infos = 0;
};

struct MapProto;
struct OptionalProto;
struct SequenceProto {
  SequenceProto();
  SequenceProto(SequenceProto&&) noexcept;
  SequenceProto& operator=(SequenceProto&&) noexcept;
  ~SequenceProto();

  enum ElemType : int32_t { kUndefined = 0, kTensor = 1, kSparseTensor = 2, kSequence = 3, kMap = 4, kOptional = 5 };
  std::string_view name;
  int32_t elem_type = 0;
  std::vector<TensorProto> tensor_values;
  std::vector<SparseTensorProto> sparse_tensor_values;
  std::vector<SequenceProto> sequence_values;
  std::vector<MapProto> map_values;
  std::vector<OptionalProto> optional_values;
};

struct MapProto {
  std::string_view name;
  int32_t key_type = 0;
  std::vector<int64_t> keys;
  std::vector<std::string_view> string_keys;
  SequenceProto values;
};

struct OptionalProto {
  std::string_view name;
  int32_t elem_type = 0;  // as SequenceProto::ElemType; kUndefined: nothing inside
  std::unique_ptr<TensorProto> tensor_value;
  std::unique_ptr<SparseTensorProto> sparse_tensor_value;
  std::unique_ptr<SequenceProto> sequence_value;
  std::unique_ptr<MapProto> map_value;
  std::unique_ptr<OptionalProto> optional_value;
};

Result<ModelProto> decode_model(Bytes bytes);
Result<TensorProto> decode_tensor(Bytes bytes);
Result<SparseTensorProto> decode_sparse_tensor(Bytes bytes);
Result<SequenceProto> decode_sequence(Bytes bytes);
Result<OptionalProto> decode_optional(Bytes bytes);
Result<MapProto> decode_map(Bytes bytes);

}  // namespace ingot::onnx
