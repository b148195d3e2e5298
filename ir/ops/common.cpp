#include "ir/ops/common.h"

#include <algorithm>

#include "ir/ops/algorithms/algorithms.h"

namespace ingot::ops {

Result<DType> dtype_attr(const Def& d, std::string_view attr, DType otherwise) {
  if (!d.has_attr(attr)) return otherwise;
  int64_t code = d.i64(attr, 0);
  DType t = code > 0 && code < 1000 ? dtype_of_code(static_cast<int32_t>(code)) : DType::Invalid;
  if (t == DType::Invalid) return invalid("attribute '{}' is {}, expected the number of an element type", attr, code);
  return t;
}

Result<void> expect_tensors(const Def& d, int count) {
  for (int i = 0; i < std::max(count, d.inputs()); ++i) {
    if (!d.has(i)) {
      if (i < count) return invalid("input {} is absent, expected a tensor", i);
    } else if (!d.type(i).is_tensor()) {
      return invalid("input {} has type {}, expected a tensor", i, d.type(i).str());
    }
  }
  return {};
}

Result<void> expect_arithmetic(const Def& d, int count) {
  TRY(expect_tensors(d, count));
  for (int i = 0; i < count; ++i) {
    if (!is_arithmetic(d.dtype(i))) {
      return unsupported("input {} has element type {}, expected bool, an integer of 8 to 64 bits, f16, bf16, f32 or f64", i,
                         name(d.dtype(i)));
    }
  }
  return {};
}

Result<void> expect_rank_at_least(const Tensor& t, int input, int rank) {
  if (t.rank() < rank) return invalid("input {} has rank {}, expected at least {}", input, t.rank(), rank);
  return {};
}

Result<void> expect_same_dtype(const Tensor& a, const Tensor& b, const char* what) {
  if (a.dtype() != b.dtype()) {
    return invalid("{} have element types {} and {}, expected one type", what, name(a.dtype()), name(b.dtype()));
  }
  return {};
}

std::optional<double> constant_scalar(const Def& d, int input) {
  TensorRef c = d.constant(input);
  if (!c || c->elements() != 1 || !is_arithmetic(c->dtype)) return std::nullopt;
  return c->number(0);
}

Dims without(const Dims& dims, int axis) {
  Dims r = dims;
  r.erase(r.begin() + axis);
  return r;
}

Dims with_inserted(const Dims& dims, int axis, const Dim& extent) {
  Dims r = dims;
  r.insert(r.begin() + axis, extent);
  return r;
}

Dims replaced(Dims dims, int axis, const Dim& extent) {
  dims[static_cast<size_t>(axis)] = extent;
  return dims;
}

Dims joined(const Dims& a, const Dims& b) {
  Dims r = a;
  r.insert(r.end(), b.begin(), b.end());
  return r;
}

Dim flatten_index(Ix i, const Dims& dims) {
  Dim flat = 0;
  for (size_t k = 0; k < dims.size(); ++k) {
    if (dims[k].is(1)) continue;
    flat = flat * dims[k] + i[k];
  }
  return flat;
}

Dims unflatten_index(const Dim& flat, const Dims& dims) {
  Dims index(dims.size(), Dim(0));
  Dim rest = flat;
  size_t first = 0;
  while (first < dims.size() && dims[first].is(1)) ++first;
  for (size_t k = dims.size(); k-- > first;) {
    if (dims[k].is(1)) continue;
    if (k == first) {
      index[k] = rest;
    } else {
      index[k] = mod(rest, dims[k]);
      rest = floordiv(rest, dims[k]);
    }
  }
  return index;
}

Dims reshape_index(Ix i, const Dims& to, const Dims& from) {
  Dims index(from.size(), Dim(0));
  // A group ends where the products of the dims so far agree.
  size_t t = 0, f = 0;
  while (t < to.size() || f < from.size()) {
    size_t best_t = to.size(), best_f = from.size();
    Dim product_t = 1;
    for (size_t a = t; a < to.size() && best_t == to.size(); ++a) {
      product_t *= to[a];
      if (product_t.is(0)) break;
      Dim product_f = 1;
      for (size_t b = f; b < from.size(); ++b) {
        product_f *= from[b];
        if (product_f == product_t) {
          best_t = a + 1, best_f = b + 1;
          break;
        }
      }
    }
    Dims group_to(to.begin() + static_cast<long>(t), to.begin() + static_cast<long>(best_t));
    Dims group_from(from.begin() + static_cast<long>(f), from.begin() + static_cast<long>(best_f));
    Dims at(i.begin() + static_cast<long>(t), i.begin() + static_cast<long>(best_t));
    Dims inner = unflatten_index(flatten_index(at, group_to), group_from);
    std::copy(inner.begin(), inner.end(), index.begin() + static_cast<long>(f));
    t = best_t, f = best_f;
  }
  return index;
}

Tensor reshaped(Def& d, const Tensor& x, const Dims& to) {
  return d.map(to, [&](Ix i) { return x(reshape_index(i, to, x.dims())); });
}

Dim broadcast_index(const Dim& at, const Dim& extent) {
  if (extent.is(1)) return 0;
  if (extent.is_constant() || known_less(at, extent)) return at;
  return min(at, extent - 1);
}

Result<Dims> broadcast_inputs(Def& d, int first, int count) {
  Dims dims = d.in(first).dims();
  for (int k = 1; k < count; ++k) dims = TRY(d.broadcast_dims(dims, d.in(first + k).dims()));
  return dims;
}

Tensor expanded(Def& d, const Tensor& x, const Dims& to) {
  if (x.dims() == to) return x;
  return d.map(to, [&](Ix i) { return x.broadcast(i); });
}

Tensor converted(Def& d, const Tensor& x, DType to) {
  if (x.dtype() == to) return x;
  return d.map(x.dims(), [&](Ix i) { return ex::cast(x(i), to); });
}

Result<Dim> integer_input(Def& d, int input, int64_t lo, int64_t hi) {
  Dims v = TRY(d.integers(input, lo, hi));
  if (v.size() != 1) return invalid("input {} has {} elements, expected 1", input, v.size());
  return v[0];
}

Result<std::vector<int64_t>> known_constants(const Def& d, int input, const char* what) {
  std::vector<int64_t> values;
  if (!d.has(input)) return values;
  auto known = d.known_integers(input);
  if (!known) return unsupported("{} (input {}) are computed at run time, expected constants", what, input);
  for (const Dim& v : *known) {
    if (!v.is_constant()) return unsupported("{} (input {}) contain {}, expected constants", what, input, v.str());
    values.push_back(v.value());
  }
  return values;
}

Result<std::vector<int>> normalized_axes(const Def& d, const std::vector<int64_t>& axes, int rank) {
  std::vector<int> result;
  for (int64_t a : axes) result.push_back(TRY(d.axis(a, rank)));
  std::sort(result.begin(), result.end());
  for (size_t k = 1; k < result.size(); ++k) {
    if (result[k] == result[k - 1]) return invalid("axis {} is named twice", result[k]);
  }
  return result;
}

Result<std::vector<int>> axes_input(const Def& d, int input, int rank, bool all_when_empty) {
  std::vector<int64_t> axes = TRY(known_constants(d, input, "axes"));
  if (axes.empty() && all_when_empty) {
    for (int k = 0; k < rank; ++k) axes.push_back(k);
  }
  return normalized_axes(d, axes, rank);
}

}  // namespace ingot::ops
