#include "frontend/onnx/attributes.h"

#include <algorithm>

namespace ingot::onnx {

namespace {

using A = AttributeProto;

std::vector<int64_t> copy(const std::vector<int64_t>& v) { return v; }
std::vector<double> copy(const std::vector<float>& v) { return {v.begin(), v.end()}; }
std::vector<std::string> copy(const std::vector<std::string_view>& v) { return {v.begin(), v.end()}; }

}  // namespace

std::string_view attribute_kind_name(int32_t type) {
  constexpr std::string_view kNames[] = {
      "undefined", "float",   "int",    "string",        "tensor",         "graph",      "floats",     "ints",
      "strings",   "tensors", "graphs", "sparse_tensor", "sparse_tensors", "type_proto", "type_protos"};
  return type >= 0 && type < static_cast<int32_t>(std::size(kNames)) ? kNames[type] : "unknown";
}

// A field of another kind than the attribute's that is present; kUndefined: none.
static int32_t payload_kind(const AttributeProto& proto) {
  int32_t kind = A::kUndefined;
  for (int32_t k = A::kFloat; k <= A::kTypeProtos; ++k)
    if (proto.payloads >> k & 1 && k != proto.type) kind = k;
  return kind;
}

Result<Type> read_type(const TypeProto& proto) {
  switch (proto.kind) {
    case TypeProto::Kind::Tensor: {
      TensorType t{dtype_of(proto.elem_type), {}};
      if (t.dtype == DType::Invalid) return invalid("unknown element type {}", proto.elem_type);
      if (proto.shape)
        for (const auto& d : proto.shape->dim) {
          if (!d.dim_value || *d.dim_value < 0) return unsupported("a type with free dims in an attribute");
          t.dims.emplace_back(std::min(*d.dim_value, kDimMax));
        }
      return Type::of(std::move(t));
    }
    case TypeProto::Kind::Sequence:
    case TypeProto::Kind::Optional:
    case TypeProto::Kind::Map: {
      if (!proto.element) return invalid("a type without its element type");
      Type element = TRY(read_type(*proto.element));
      if (proto.kind == TypeProto::Kind::Sequence) return Type::sequence(std::move(element));
      if (proto.kind == TypeProto::Kind::Optional) return Type::optional(std::move(element));
      DType key = dtype_of(proto.elem_type);
      if (key == DType::Invalid) return invalid("unknown key type {}", proto.elem_type);
      return Type::map(key, std::move(element));
    }
    case TypeProto::Kind::SparseTensor: return unsupported("sparse tensors as values");
    case TypeProto::Kind::Opaque: return unsupported("opaque values");
    case TypeProto::Kind::None: return invalid("a value without a type");
  }
  return invalid("a value without a type");
}

Result<void> check_payload(const AttributeProto& proto) {
  if (int32_t other = payload_kind(proto); other != A::kUndefined)
    return invalid("attribute {} is of kind {} and holds {}, expected one kind", quoted(proto.name),
                   attribute_kind_name(proto.type), attribute_kind_name(other));
  return {};
}

Result<AttrValue> read_attribute(const AttributeProto& proto, const TensorSource& source) {
  switch (proto.type) {
    case A::kFloat: return AttrValue(static_cast<double>(proto.f));
    case A::kInt: return AttrValue(proto.i);
    case A::kString: return AttrValue(std::string(proto.s));
    case A::kFloats: return AttrValue(copy(proto.floats));
    case A::kInts: return AttrValue(copy(proto.ints));
    case A::kStrings: return AttrValue(copy(proto.strings));
    case A::kTensor:
      if (!proto.t) return invalid("attribute {} has no tensor", quoted(proto.name));
      return AttrValue(TRY(read_tensor(*proto.t, source)));
    case A::kSparseTensor:
      if (!proto.sparse_tensor) return invalid("attribute {} has no tensor", quoted(proto.name));
      return AttrValue(TRY(read_sparse_tensor(*proto.sparse_tensor, source)));
    case A::kTypeProto:
      if (!proto.tp) return invalid("attribute {} has no type", quoted(proto.name));
      return AttrValue(TRY(read_type(*proto.tp)).str());
    default: return unsupported("attribute {} of kind {}", quoted(proto.name), attribute_kind_name(proto.type));
  }
}

}  // namespace ingot::onnx
