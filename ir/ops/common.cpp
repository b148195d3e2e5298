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
      return unsupported(
          "input {} has element type {}, expected bool, an integer of 8 to 64 bits, f16, bf16, f32 or f64", i,
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
  Dims v = TRY(d.integers_of_length(input, 1, lo, hi));
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

AxisSet axis_set(const std::vector<int>& axes, int rank) {
  AxisSet set{Dims(static_cast<size_t>(rank), Dim(0)), static_cast<int>(axes.size())};
  for (int a : axes) set.flag[static_cast<size_t>(a)] = 1;
  return set;
}

namespace {

// The flags of an axis that is read at run time.
Result<Dims> axis_flags(Def& d, const Dim& axis, int rank) {
  TRY(d.require(less(axis, rank) * less(-rank - 1, axis),
                fmt::format("axis {} is out of range, expected a value in [{}, {})", axis.str(), -rank, rank)));
  Dims flag;
  for (int k = 0; k < rank; ++k) flag.push_back(equal(axis, k) + equal(axis, k - rank));
  return flag;
}

}  // namespace

namespace {

// The flags of a list of axes whose length only the run knows.
Result<AxisSet> axes_of_any_number(Def& d, int input, int rank, bool all_when_empty) {
  Tensor axes = d.in(input);
  if (axes.rank() != 1) return invalid("axes have rank {}, expected 1", axes.rank());
  const Dim n = axes.dim(0);
  Tensor named = d.reduce(Combiner::Sum, {rank}, {n}, [&](Ix i, Ix r) {
    return ex::select(eq(wrap_index(axes(r[0]), rank), ex::index(i[0])), as_index(1), as_index(0));
  });
  AxisSet set{d.contents(named, 0, 1), -1};
  Dim total = 0;
  for (const Dim& f : set.flag) total += f;
  TRY(d.require(equal(total, n), fmt::format("axes name {} of {} dims, expected as many as there are axes, {}",
                                             total.str(), rank, n.str())));
  if (all_when_empty)
    for (Dim& f : set.flag) f = max(f, equal(n, 0));
  set.flag = d.named(set.flag, 0, 1);
  return set;
}

}  // namespace

Result<AxisSet> axis_set(Def& d, int input, int rank, bool all_when_empty, std::optional<int> count) {
  Dims axes;
  if (d.has(input)) {
    const bool open = !d.known_integers(input) && !d.in(input).type().is_static();
    if (open && !count) return axes_of_any_number(d, input, rank, all_when_empty);
    if (open && (*count < 0 || *count > rank))
      return invalid("got a declared rank of the result that takes {} axes, expected 0 to {}", *count, rank);
    axes = TRY(open ? d.integers_of_length(input, *count, -rank, rank - 1) : d.integers(input, -rank, rank - 1));
  }
  std::vector<int64_t> known;
  for (const Dim& a : axes) {
    if (a.is_constant()) known.push_back(a.value());
  }
  if (axes.empty() && all_when_empty) {
    for (int k = 0; k < rank; ++k) known.push_back(k);
  }
  if (known.size() >= axes.size()) return axis_set(TRY(normalized_axes(d, known, rank)), rank);
  AxisSet set{Dims(static_cast<size_t>(rank), Dim(0)), static_cast<int>(axes.size())};
  if (set.count > rank) return invalid("got {} axes, expected at most {}", set.count, rank);
  for (const Dim& a : axes) {
    Dims flag = TRY(axis_flags(d, a, rank));
    for (size_t k = 0; k < flag.size(); ++k) set.flag[k] += flag[k];
  }
  for (const Dim& f : set.flag) TRY(d.require(less(f, 2), "an axis is named twice"));
  set.flag = d.named(set.flag, 0, 1);
  return set;
}

bool AxisSet::known() const {
  return std::all_of(flag.begin(), flag.end(), [](const Dim& f) { return f.is_constant(); });
}

Dims settled(Def& d, const AxisSet& axes, const Dims& dims) { return axes.known() ? dims : d.named(dims); }

Dim AxisSet::kept_position(int k) const {
  Dim p = k;
  for (int e = 0; e < k; ++e) p = p - flag[static_cast<size_t>(e)];
  return p;
}

Dims drop_axes(const AxisSet& axes, const Dims& dims) {
  int rank = static_cast<int>(dims.size());
  Dims kept(static_cast<size_t>(rank - axes.count), Dim(0));
  for (int k = 0; k < rank; ++k) {
    Dim keep = 1 - axes.flag[static_cast<size_t>(k)], at = axes.kept_position(k);
    for (size_t j = 0; j < kept.size(); ++j)
      kept[j] += keep * equal(at, static_cast<int64_t>(j)) * dims[static_cast<size_t>(k)];
  }
  return kept;
}

Dims restore_axes(const AxisSet& axes, Ix kept, Ix named) {
  Dims all;
  for (size_t k = 0; k < axes.flag.size(); ++k) {
    Dim at = axes.kept_position(static_cast<int>(k)), value = 0;
    for (size_t j = 0; j < kept.size(); ++j) value += equal(at, static_cast<int64_t>(j)) * kept[j];
    all.push_back(axes.flag[k] * named[k] + (1 - axes.flag[k]) * value);
  }
  return all;
}

Dim AxisChoice::extent(const Dims& dims) const {
  Dim n = 0;
  for (size_t k = 0; k < dims.size(); ++k) n += flag[k] * dims[k];
  return n;
}

Dims AxisChoice::put(Ix i, const Dim& v) const {
  Dims r;
  for (size_t k = 0; k < i.size(); ++k) r.push_back(flag[k] * v + (1 - flag[k]) * i[k]);
  return r;
}

Result<AxisChoice> axis_choice(Def& d, int input, int rank, int64_t otherwise) {
  Dim axis = d.has(input) ? TRY(integer_input(d, input, -rank, rank - 1)) : Dim(otherwise);
  if (!axis.is_constant()) return AxisChoice{d.named(TRY(axis_flags(d, axis, rank)), 0, 1), std::nullopt};
  int a = TRY(d.axis(axis.value(), rank));
  return AxisChoice{axis_set({a}, rank).flag, a};
}

}  // namespace ingot::ops
