// What the operators of ai.onnx.ml share: class labels, post-transforms, lookups of keys.
#pragma once

#include "ir/ops/nn_common.h"

namespace ingot::ml {

// The class labels of a classifier: integers or strings.
struct Labels {
  std::vector<int64_t> numbers;
  std::vector<std::string> texts;
  size_t size() const { return numbers.size() + texts.size(); }
  // The labels as a constant [n]; without any, 0 .. n-1.
  Tensor tensor(Def& d, int64_t otherwise) const;
};
Labels labels(const Def& d, std::string_view ints, std::string_view strings);

// NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT over the columns of scores: [N, C].
Result<Tensor> post_transform(Def& d, const Tensor& scores, const std::string& kind);
// The number or name of a post-transform as TreeEnsemble-5 writes it.
Result<std::string> post_transform_name(int64_t code);

// labels[argmax over the columns of scores], the first of equal ones. [N]
Tensor best_label(Def& d, const Tensor& scores, const Tensor& labels);

// The position of each element of x among `keys` (distinct), or -1. keys: any numbers, or strings. x of another numeric type
// is compared in the keys' type. i64, x's shape.
struct Keys {
  TensorRef data;  // I64, F32, F64 or String, 1-D
};
Result<Tensor> lookup(Def& d, const Tensor& x, const Keys& keys);

// x as f32 (integers) or as it is (f32, f64); checks that it is [N, C] or [C], which counts as one row.
struct Matrix {
  Tensor x;
  Dim rows, columns;
  DType type = DType::F32;
  Expr operator()(const Dim& n, const Dim& c) const { return ex::cast(x.rank() == 1 ? x(c) : x(n, c), type); }
  Expr operator()(const Dim& n, const Expr& c) const { return ex::cast(x.rank() == 1 ? x(c) : x(n, c), type); }
};
Result<Matrix> matrix(const Tensor& x);

}  // namespace ingot::ml
