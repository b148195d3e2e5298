// What many operator definitions share: checks, broadcasting, axes, index arithmetic, arithmetic in a wider type.
#pragma once

#include "ir/ops/def.h"

namespace ingot::ops {

// --- element types

inline bool is_half(DType t) { return t == DType::F16 || t == DType::BF16; }
// The type in which formulas of several operations, and accumulations, are computed: f32 for f16 and bf16.
inline DType compute_type(DType t) { return is_half(t) ? DType::F32 : t; }
// The type for transcendental formulas of any numeric input: f64 for integers, as NumPy does.
inline DType real_type(DType t) { return t == DType::F64 || is_int(t) || t == DType::Bool ? DType::F64 : DType::F32; }
Result<DType> dtype_attr(const Def& d, std::string_view name, DType otherwise);

// f(x), computed in f32 where x is f16 or bf16, rounded once.
template <class F>
Expr widened(const Expr& x, F f) {
  DType t = x.type();
  return is_half(t) ? ex::cast(f(ex::cast(x, DType::F32)), t) : f(x);
}
inline Expr widen(Expr x) { return is_half(x.type()) ? ex::cast(std::move(x), DType::F32) : x; }

// --- checks

// The first `count` inputs are present, and all inputs that are present are tensors.
Result<void> expect_tensors(const Def& d, int count);
// The same, and the first `count` have a dtype that scalar operations compute in.
Result<void> expect_arithmetic(const Def& d, int count);
Result<void> expect_rank_at_least(const Tensor& t, int input, int rank);
Result<void> expect_same_dtype(const Tensor& a, const Tensor& b, const char* what);

// --- small scalar helpers

inline Expr lt(const Dim& a, const Dim& b) { return ex::binary(ScalarOp::Lt, ex::index(a), ex::index(b)); }
inline Expr ge(const Dim& a, const Dim& b) { return ex::binary(ScalarOp::Ge, ex::index(a), ex::index(b)); }
inline Expr equals(const Dim& a, const Dim& b) { return ex::binary(ScalarOp::Eq, ex::index(a), ex::index(b)); }
inline Expr dim_as(const Dim& d, DType t) { return ex::cast(ex::index(d), t); }
inline Expr zero(DType t) { return ex::number(t, 0); }
inline Expr one(DType t) { return ex::number(t, 1); }
// A negative index counts from the end.
inline Expr wrap_index(const Expr& i, const Dim& extent) {
  Expr at = as_index(i);
  return ex::select(ex::binary(ScalarOp::Lt, at, ex::integer(DType::I64, 0)), at + ex::index(extent), at);
}
inline Expr clamp_index(const Expr& i, const Dim& lo, const Dim& hi) {
  return min(max(i, ex::index(lo)), ex::index(hi));
}
// The element of a tensor with one element, of any rank.
inline Expr scalar_of(const Tensor& t) { return t(Dims(static_cast<size_t>(t.rank()), Dim(0))); }
// The value of a constant with one element.
std::optional<double> constant_scalar(const Def& d, int input);

// --- shapes

Dims without(const Dims& dims, int axis);
Dims with_inserted(const Dims& dims, int axis, const Dim& extent);
Dims replaced(Dims dims, int axis, const Dim& extent);
inline Dims slice_of(const Dims& d, int begin, int end) { return Dims(d.begin() + begin, d.begin() + end); }
Dims joined(const Dims& a, const Dims& b);
// Row-major number of an index, and back.
Dim flatten_index(Ix i, const Dims& dims);
Dims unflatten_index(const Dim& flat, const Dims& dims);
// The index into `from` of the element with index `i` of `to`, both row-major with as many elements. Divides only within
// groups of dims that do not match.
Dims reshape_index(Ix i, const Dims& to, const Dims& from);
Tensor reshaped(Def& d, const Tensor& x, const Dims& to);
// The index into a dim that broadcasts to the iterator's extent.
Dim broadcast_index(const Dim& at, const Dim& extent);
Result<Dims> broadcast_inputs(Def& d, int first, int count);  // the shape of inputs [first, first + count)
Tensor expanded(Def& d, const Tensor& x, const Dims& to);  // by the rules of broadcasting
Tensor converted(Def& d, const Tensor& x, DType to);  // x where it has that type
// The contents of an integer scalar or 1-element input as a dim.
Result<Dim> integer_input(Def& d, int input, int64_t lo = -kDimMax, int64_t hi = kDimMax);
// Checks, wraps and sorts; refuses one that is named twice.
Result<std::vector<int>> normalized_axes(const Def& d, const std::vector<int64_t>& axes, int rank);
Result<std::vector<int64_t>> known_constants(const Def& d, int input, const char* what);

// --- axes that an input names, at run time perhaps: flags that are 0 or 1, constants where the axes are

// Which of `rank` dims are named. The rank of a result depends on `count` alone, so that with flags in place of decisions one
// formula serves both.
struct AxisSet {
  Dims flag;
  int count = 0;
  // The position of dim k among the dims that are not named.
  Dim kept_position(int k) const;
  bool known() const;
};
// Input absent or empty: all dims, or none. `count`: how many it names, where its type does not say it and something else
// does; without either only flags are known, and `count` of the result is -1.
Result<AxisSet> axis_set(Def& d, int input, int rank, bool all_when_empty, std::optional<int> count = {});
AxisSet axis_set(const std::vector<int>& axes, int rank);
// The dims that are not named, and back: the index in all dims, `named[k]` at those that are.
Dims drop_axes(const AxisSet& axes, const Dims& dims);
Dims restore_axes(const AxisSet& axes, Ix kept, Ix named);
// Extents that were put together from flags: as symbols, where the flags are not known.
Dims settled(Def& d, const AxisSet& axes, const Dims& dims);

// A single axis: dims[axis], and a copy of `i` with `v` there.
struct AxisChoice {
  Dims flag;
  std::optional<int> known;
  Dim extent(const Dims& dims) const;
  Dims put(Ix i, const Dim& v) const;
};
Result<AxisChoice> axis_choice(Def& d, int input, int rank, int64_t otherwise);

// --- templates

// y[i] = f(x[i])
template <class F>
Result<void> elementwise(Def& d, F f) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  d.out(d.map(x.dims(), [&](Ix i) { return f(x(i)); }));
  return {};
}

// y[i] = f(x[i]) computed in f32 for f16 and bf16.
template <class F>
Result<void> elementwise_widened(Def& d, F f) {
  return elementwise(d, [&](const Expr& x) { return widened(x, f); });
}

// y[i] = f(a[i], b[i]) with broadcasting.
template <class F>
Result<void> broadcasting(Def& d, F f) {
  TRY(expect_arithmetic(d, 2));
  Tensor a = d.in(0), b = d.in(1);
  TRY(expect_same_dtype(a, b, "operands"));
  Dims dims = TRY(d.broadcast_dims(a.dims(), b.dims()));
  d.out(d.map(dims, [&](Ix i) { return f(a.broadcast(i), b.broadcast(i)); }));
  return {};
}

}  // namespace ingot::ops
