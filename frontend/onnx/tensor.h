// TensorProto <-> TensorData.
//
// Contents that already lie in the file as TensorData wants them (raw_data, one packed run of floats or doubles,
// external data) are not copied: the result points into the file, keeps it alive, and has NO alignment beyond a byte's.
// Contents of up to kCopyBelow bytes are copied so that they are aligned; all else is decoded into memory of its own.
#pragma once

#include "frontend/onnx/dtype.h"
#include "frontend/onnx/file.h"
#include "frontend/onnx/proto.h"

namespace ingot::onnx {

inline constexpr int64_t kMaxTensorElements = int64_t{1} << 40;
inline constexpr int kMaxTensorRank = 64;
inline constexpr int64_t kMaxSparseElements = int64_t{1} << 28;  // of a sparse constant, written out densely
inline constexpr int64_t kCopyBelow = 4096;

struct TensorSource {
  std::shared_ptr<const void> owner;  // keeps the decoded bytes alive
  ExternalFiles* external = nullptr;  // null: external data is refused
};

// Errors do not name the tensor; the caller adds that.
Result<TensorRef> read_tensor(const TensorProto& proto, const TensorSource& source);
Result<TensorRef> read_sparse_tensor(const SparseTensorProto& proto, const TensorSource& source);

// The number of elements, or an error for a negative extent or a product over kMaxTensorElements.
Result<int64_t> count_elements(const std::vector<int64_t>& dims);

// The bytes of a TensorProto: strings in string_data, all else in raw_data.
std::string write_tensor(const TensorData& tensor, std::string_view name);

}  // namespace ingot::onnx
