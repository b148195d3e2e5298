#include "frontend/onnx/tensor.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "frontend/onnx/foreign.h"

namespace ingot::onnx {

Result<int64_t> count_elements(const std::vector<int64_t>& dims) {
  if (dims.size() > kMaxTensorRank)
    return limit_exceeded("tensor of rank {}, expected at most {}", dims.size(), kMaxTensorRank);
  int64_t n = 1;
  bool empty = false;
  for (int64_t d : dims) {
    if (d < 0) return invalid("negative extent {}", d);
    if (d == 0) {
      empty = true;
    } else if (d > kMaxTensorElements / n) {
      return limit_exceeded("tensor [{}] has more than 2^40 elements", fmt::join(dims, ", "));
    } else {
      n *= d;
    }
  }
  return empty ? 0 : n;
}

namespace {

TensorRef view(DType dtype, const std::vector<int64_t>& dims, Bytes bytes, std::shared_ptr<const void> owner) {
  if (static_cast<int64_t>(bytes.size()) <= kCopyBelow) {
    auto t = TensorData::make(dtype, dims);
    if (!bytes.empty()) std::memcpy(t->mutable_bytes(), bytes.data(), bytes.size());
    return t;
  }
  auto t = std::make_shared<TensorData>();
  t->dtype = dtype;
  t->dims = dims;
  t->bytes = bytes.data();
  t->size_bytes = static_cast<int64_t>(bytes.size());
  t->owner = std::move(owner);
  return t;
}

// Exactly `size` bytes of contents that need no decoding. Bool is brought to 0 and 1.
Result<TensorRef> from_bytes(DType dtype, const std::vector<int64_t>& dims, int64_t size, Bytes bytes,
                             const std::shared_ptr<const void>& owner) {
  if (static_cast<int64_t>(bytes.size()) != size)
    return invalid("got {} bytes of data, expected {} for {}[{}]", bytes.size(), size, name(dtype),
                   fmt::join(dims, ", "));
  if (dtype == DType::Bool && std::any_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b > 1; })) {
    auto t = TensorData::make(dtype, dims);
    std::transform(bytes.begin(), bytes.end(), t->mutable_bytes(), [](uint8_t b) { return b != 0 ? 1 : 0; });
    return TensorRef(t);
  }
  return view(dtype, dims, bytes, owner);
}

// Contents that are written as varints, each narrowed to `unit` bytes.
Result<TensorRef> from_varints(DType dtype, const std::vector<int64_t>& dims, int64_t size, int unit, Bytes run) {
  // A varint takes at least a byte: check before allocating what the dims claim.
  if (size / unit > static_cast<int64_t>(run.size()))
    return invalid("got {} bytes of numbers, expected {} numbers for {}[{}]", run.size(), size / unit, name(dtype),
                   fmt::join(dims, ", "));
  auto t = TensorData::make(dtype, dims);
  uint8_t* out = t->mutable_bytes();
  const uint8_t *p = run.data(), *end = p + run.size();
  int64_t n = 0;
  for (; p != end; ++n) {
    uint64_t v;
    p = read_varint(p, end, v);
    if (!p) return invalid("truncated or overlong varint in the data");
    if (n >= size / unit)
      return invalid("more numbers than the {} of {}[{}]", size / unit, name(dtype), fmt::join(dims, ", "));
    if (dtype == DType::Bool) v = v != 0;
    std::memcpy(out + n * unit, &v, static_cast<size_t>(unit));
  }
  if (n != size / unit)
    return invalid("got {} numbers, expected {} for {}[{}]", n, size / unit, name(dtype), fmt::join(dims, ", "));
  return TensorRef(t);
}

Result<int64_t> number_in(std::string_view text, std::string_view what) {
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || v < 0)
    return invalid("external data has {} {}, expected a number", what, quoted(text));
  return v;
}

Result<TensorRef> from_external(const TensorProto& proto, DType dtype, int64_t size, const TensorSource& source) {
  if (!source.external) return unsupported("external data is not allowed here");
  std::string_view location;
  int64_t offset = 0, length = -1;
  for (const auto& [key, value] : proto.external_data) {
    if (key == "location") location = value;
    if (key == "offset") offset = TRY(number_in(value, key));
    if (key == "length") length = TRY(number_in(value, key));
  }
  auto file = TRY(source.external->open(location));
  int64_t file_size = static_cast<int64_t>(file->bytes().size());
  if (is_lfs_pointer(file->bytes()))
    return invalid("external data {} is a pointer of Git LFS to the file, expected {} bytes of data: {}",
                   quoted(location), size, kFetchFromLfs);
  if (offset > file_size)
    return invalid("external data offset {} is past the end of {} ({} bytes)", offset, quoted(location), file_size);
  if (length < 0) length = std::min(size, file_size - offset);
  if (length > file_size - offset)
    return invalid("external data at {} of {} bytes is past the end of {} ({} bytes)", offset, length, quoted(location),
                   file_size);
  return from_bytes(dtype, proto.dims, size,
                    file->bytes().subspan(static_cast<size_t>(offset), static_cast<size_t>(length)), file);
}

}  // namespace

Result<TensorRef> read_tensor(const TensorProto& proto, const TensorSource& source) {
  DType dtype = dtype_of(proto.data_type);
  if (dtype == DType::Invalid) return invalid("unknown element type {}", proto.data_type);
  if (proto.has_segment) return unsupported("tensor in segments");
  int64_t n = TRY(count_elements(proto.dims));

  if (dtype == DType::String) {
    if (proto.data_location == TensorProto::kExternal) return invalid("strings in external data");
    if (n != static_cast<int64_t>(proto.string_data.size()))
      return invalid("got {} strings, expected {}", proto.string_data.size(), n);
    auto t = TensorData::make(dtype, proto.dims);
    t->strings.assign(proto.string_data.begin(), proto.string_data.end());
    return TensorRef(t);
  }

  int64_t size = storage_bytes(dtype, n);
  int filled = proto.raw_data && !proto.raw_data->empty();
  for (const Packed* p :
       {&proto.float_data, &proto.int32_data, &proto.int64_data, &proto.double_data, &proto.uint64_data})
    filled += !p->empty();
  if (filled > 1) return invalid("got data in {} fields, expected it in one", filled);
  if (proto.data_location == TensorProto::kExternal) return from_external(proto, dtype, size, source);
  if (proto.raw_data && (!proto.raw_data->empty() || n == 0))
    return from_bytes(dtype, proto.dims, size, *proto.raw_data, source.owner);

  auto floats = [&](const Packed& data) -> Result<TensorRef> {
    if (data.owned.empty()) return from_bytes(dtype, proto.dims, size, data.run, source.owner);
    auto copy = std::make_shared<std::vector<uint8_t>>(data.owned);
    return from_bytes(dtype, proto.dims, size, *copy, copy);
  };
  switch (dtype) {
    case DType::F32:
    case DType::C64: return floats(proto.float_data);
    case DType::F64:
    case DType::C128: return floats(proto.double_data);
    case DType::I64: return from_varints(dtype, proto.dims, size, 8, proto.int64_data.view());
    case DType::U64: return from_varints(dtype, proto.dims, size, 8, proto.uint64_data.view());
    case DType::U32: return from_varints(dtype, proto.dims, size, 4, proto.uint64_data.view());
    case DType::I32: return from_varints(dtype, proto.dims, size, 4, proto.int32_data.view());
    case DType::I16:
    case DType::U16:
    case DType::F16:
    case DType::BF16: return from_varints(dtype, proto.dims, size, 2, proto.int32_data.view());
    // One number holds one byte: two 4-bit elements, four 2-bit ones.
    case DType::Bool:
    case DType::I8:
    case DType::U8:
    case DType::I4:
    case DType::U4:
    case DType::I2:
    case DType::U2:
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
    case DType::F4E2M1: return from_varints(dtype, proto.dims, size, 1, proto.int32_data.view());
    case DType::String:
    case DType::Invalid: break;
  }
  return invalid("unknown element type {}", proto.data_type);
}

Result<TensorRef> read_sparse_tensor(const SparseTensorProto& proto, const TensorSource& source) {
  TensorRef values = TRY(read_tensor(proto.values, source));
  TensorRef indices = TRY(read_tensor(proto.indices, source));
  int64_t n = TRY(count_elements(proto.dims));
  if (n > kMaxSparseElements)
    return limit_exceeded("sparse tensor of {} elements, expected at most {}", n, kMaxSparseElements);
  if (values->dims.size() != 1) return invalid("sparse values of rank {}, expected 1", values->dims.size());
  if (indices->dtype != DType::I64) return invalid("sparse indices of {}, expected i64", name(indices->dtype));
  if (values->dtype == DType::String || bits(values->dtype) < 8)
    return unsupported("sparse tensor of {}", name(values->dtype));
  int64_t count = values->dims[0], rank = static_cast<int64_t>(proto.dims.size());
  bool linear = indices->dims.size() == 1;
  if (!(linear ? indices->dims[0] == count
               : indices->dims.size() == 2 && indices->dims[0] == count && indices->dims[1] == rank))
    return invalid("sparse indices [{}], expected [{}] or [{}, {}]", fmt::join(indices->dims, ", "), count, count,
                   rank);
  auto dense = TensorData::make(values->dtype, proto.dims);
  int64_t unit = bits(values->dtype) / 8, before = -1;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    if (linear) {
      at = indices->integer(i);
      if (at < 0 || at >= n) return invalid("sparse index {} is outside of {} elements", at, n);
    } else {
      for (int64_t d = 0; d < rank; ++d) {
        int64_t extent = proto.dims[static_cast<size_t>(d)], index = indices->integer(i * rank + d);
        if (index < 0 || index >= extent) return invalid("sparse index {} is outside of extent {}", index, extent);
        at = at * extent + index;
      }
    }
    if (at <= before)
      return invalid("sparse index {} has the place of element {} after that of element {}, expected ascending ones", i,
                     at, before);
    before = at;
    std::memcpy(dense->mutable_bytes() + at * unit, values->bytes + i * unit, static_cast<size_t>(unit));
  }
  return TensorRef(dense);
}

std::string write_tensor(const TensorData& tensor, std::string_view name) {
  FieldWriter w;
  if (!tensor.dims.empty()) w.packed_varints(1, tensor.dims);
  w.varint(2, static_cast<uint64_t>(data_type_of(tensor.dtype)));
  if (!name.empty()) w.bytes(8, name);
  if (tensor.dtype == DType::String)
    for (const std::string& s : tensor.strings) w.bytes(6, s);
  else w.bytes(9, Bytes(tensor.bytes, static_cast<size_t>(tensor.size_bytes)));
  return w.take();
}

}  // namespace ingot::onnx
