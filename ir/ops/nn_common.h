// What the definitions of neural-network operators share: the geometry of sliding windows, accumulation types, activations
// by name, broadcasting products, requantisation.
#pragma once

#include "ir/ops/def.h"

namespace ingot::nn {

// f32 for f16 and bf16, the type itself otherwise: what sums are taken in.
DType accumulator(DType);
Expr widen(Expr e);  // cast to its accumulator

inline Expr rsqrt(const Expr& e) { return ex::number(e.type(), 1) / sqrt(e); }
inline Expr round_even(Expr e) { return ex::unary(ScalarOp::RoundEven, std::move(e)); }
inline Expr sigmoid(Expr e) { return ex::unary(ScalarOp::Sigmoid, std::move(e)); }
inline Expr pow(Expr a, double p) {
  DType t = a.type();
  return ex::binary(ScalarOp::Pow, std::move(a), ex::number(t, p));
}
inline Expr from_dim(const Dim& d, DType t) { return ex::cast(ex::index(d), t); }
inline Expr clamp(Expr e, double lo, double hi) { return min(max(std::move(e), lo), hi); }

inline Dims concat(const Dims& a, const Dims& b) {
  Dims r = a;
  r.insert(r.end(), b.begin(), b.end());
  return r;
}
inline Dims slice(const Dims& a, size_t from, size_t to) {
  return Dims(a.begin() + static_cast<long>(from), a.begin() + static_cast<long>(to));
}

// The inputs that are present are tensors of these ranks; -1: any.
Result<void> expect_ranks(const Def& d, std::initializer_list<int> ranks);
// The inputs of this list that are present are tensors of float types (of one float type).
Result<void> expect_floats(const Def& d, std::initializer_list<int> inputs);
Result<void> expect_same_floats(const Def& d, std::initializer_list<int> inputs);
// The inputs of this list that are present are tensors of real numbers: floats, integers or bool.
Result<void> expect_numbers(const Def& d, std::initializer_list<int> inputs);
// `t` broadcasts into a result of these dims.
Result<void> expect_fits(Def& d, const Tensor& t, const Dims& dims);
// An integer type of at most 16 bits.
Result<void> expect_quantized(DType t);

// The reads of a scalar or one-element tensor: all its indices are 0.
Expr scalar(const Tensor& t);
// t is a scalar, or has one element, or one per index `k`.
Expr per_channel(const Tensor& t, const Dim& k);
bool one_element(const Tensor& t);
// Scales, zero points and the like, where the inputs are there: one for the whole tensor; one for it or for each of `channels`.
Result<void> expect_one_element(Def& d, std::initializer_list<int> inputs);
Result<void> expect_one_or_per_channel(Def& d, int input, const Dim& channels);
// Of a matrix of these dims: one element, one for each row (column), or as many dims as it has, with 1 for those that the parameter
// does not depend on.
Result<void> expect_matrix_parameter(Def& d, const Tensor& t, Dims dims, bool column);

// A window that slides over the spatial dims of x: [N, C, spatial...].
//
//   tap r at output p reads x at p*stride + r*dilation - begin
struct Window {
  Dims in, kernel, out;
  std::vector<int64_t> stride, dilation;
  Dims begin, end;  // padding
  bool inside = true;  // every tap of every output lies inside x: no fill is needed
  bool ceil = false;

  size_t rank() const { return in.size(); }
  Dim at(size_t k, const Dim& p, const Dim& r) const { return p * stride[k] + r * dilation[k] - begin[k]; }
  // The number of taps of output p along k that fall on x, and on x with its padding.
  Dim taps_inside(size_t k, const Dim& p) const;
  Dim taps_on_padded(size_t k, const Dim& p) const;
};

inline constexpr int64_t kMaxWindowAttribute = int64_t{1} << 31;  // strides, dilations, pads, kernel extents

// Reads auto_pad, strides, dilations, pads, ceil_mode; requires room for the window. spatial: the extents of x after N and C.
Result<Window> window(Def& d, const Dims& spatial, const Dims& kernel);
// The attribute kernel_shape, which pooling operators must have.
Result<Dims> kernel_shape(const Def& d, size_t rank);
// A list attribute of `rank` integers in [lo, kMaxWindowAttribute]; `otherwise` in every place where absent.
Result<std::vector<int64_t>> int_list(const Def& d, std::string_view name, size_t count, int64_t otherwise, int64_t lo);

// sum(c, r...) x[n, group(k)*C/G + c, window | fill] * w[k, c, r...], with `x_term` and `w_term` applied to the operands.
// The result is [N, K, out...] in the terms' dtype.
struct ConvOperands {
  Tensor x, w;
  int64_t group = 1;
  Expr fill;  // outside x; of x's dtype
  std::function<Expr(Expr)> x_term;  // of the element read
  std::function<Expr(Expr, const Dim& k)> w_term;
};
Result<Tensor> convolve(Def& d, const ConvOperands& o, const Window& win);
// Checks x: [N, C, ...], w: [K, C/group, ...] and gives the window.
Result<Window> conv_window(Def& d, const Tensor& x, const Tensor& w, int64_t group);

// An activation by its ONNX name ("Relu", "HardSigmoid", ...), any case.
struct Activation {
  std::string name;
  double alpha = 0, beta = 0;
};
Result<Activation> activation(std::string name, std::optional<double> alpha, std::optional<double> beta);
Expr apply(const Activation& a, Expr x);
int activation_parameters(std::string_view lower_name);  // how many of alpha, beta it takes
std::string lower_case(std::string s);

// a: [..., M, K], b: [..., K, N] -> [..., M, N] as numpy's matmul, 1-D operands included.
struct Product {
  Dims dims;  // of the result, with the M and N of 1-D operands left out
  Dim k;
  std::function<Dims(Ix, const Dim&)> a_at, b_at;  // the operands' indices, from the result's and k
};
Result<Product> matmul_shape(Def& d, const Tensor& a, const Tensor& b, bool transpose_a = false,
                             bool transpose_b = false);
Result<Tensor> matmul(Def& d, const Tensor& a, const Tensor& b, const std::function<Expr(Expr, Ix)>& a_term,
                      const std::function<Expr(Expr, Ix)>& b_term, bool transpose_a = false, bool transpose_b = false);

// saturate(round_even(v) + zero_point) in dtype t, for an f32 or f64 v.
Expr quantize(Expr v, Expr zero_point_i32, DType t);
std::pair<int64_t, int64_t> int_range(DType t);
// The dtype for an ONNX TensorProto.DataType code; Invalid where unknown.
DType onnx_dtype(int64_t code);

TensorRef ints_tensor(const std::vector<int64_t>& v, std::vector<int64_t> dims);
TensorRef floats_tensor(const std::vector<double>& v, std::vector<int64_t> dims, DType = DType::F32);

}  // namespace ingot::nn
