// Reads and writes at indices that are data. A negative index counts from the end; one outside fails the run.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

std::vector<Expr> as_exprs(Ix i) {
  std::vector<Expr> r;
  for (const Dim& v : i) r.push_back(ex::index(v));
  return r;
}

Result<void> expect_index(const Tensor& t, int input) {
  if (t.dtype() != DType::I64 && t.dtype() != DType::I32) {
    return invalid("input {} has element type {}, expected i32 or i64", input, name(t.dtype()));
  }
  return {};
}

}  // namespace

// Gather-13. x: [A, N, B], indices: [J] -> [A, J, B]; y[a, j, b] = x[a, indices[j], b]
Result<void> define_gather(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), indices = d.in(1);
  TRY(expect_index(indices, 1));
  TRY(expect_rank_at_least(x, 0, 1));
  int axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  Dims dims = joined(joined(slice_of(x.dims(), 0, axis), indices.dims()), slice_of(x.dims(), axis + 1, x.rank()));
  Dim n = x.dim(axis);
  // A single known index is a plain access.
  std::optional<Dim> known;
  if (TensorRef c = d.constant(1); c && c->elements() == 1) {
    int64_t at = c->integer(0);
    known = at < 0 ? n + at : Dim(at);
    TRY(d.require(less(at < 0 ? -at - 1 : at, n),
                  fmt::format("index is {}, expected a value in [-{}, {})", at, n.str(), n.str())));
  }
  d.out(d.map(dims, [&](Ix i) {
    int r = static_cast<int>(i.size()), tail = axis + indices.rank();
    std::vector<Expr> at = as_exprs(slice_of(i, 0, axis));
    at.push_back(known ? ex::index(*known) : wrap_index(indices(slice_of(i, axis, tail)), n));
    for (int k = tail; k < r; ++k) at.push_back(ex::index(i[static_cast<size_t>(k)]));
    return x(at);
  }));
  return {};
}

// GatherElements-13. x: [...], indices: [...] of the same rank -> like indices; y[i] = x[i with indices[i] at axis]
Result<void> define_gather_elements(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), indices = d.in(1);
  TRY(expect_index(indices, 1));
  if (x.rank() != indices.rank()) return invalid("indices have rank {}, expected {}", indices.rank(), x.rank());
  int axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  for (int k = 0; k < x.rank(); ++k) {
    if (k == axis || known_less_equal(indices.dim(k), x.dim(k))) continue;
    TRY(d.require(less(indices.dim(k), x.dim(k) + 1),
                  fmt::format("indices have extent {} in dimension {}, expected at most {} (the data's)",
                              indices.dim(k).str(), k, x.dim(k).str())));
  }
  d.out(d.map(indices.dims(), [&](Ix i) {
    std::vector<Expr> at = as_exprs(i);
    at[static_cast<size_t>(axis)] = wrap_index(indices(i), x.dim(axis));
    return x(at);
  }));
  return {};
}

namespace {

// The number of leading dims that the last axis of `indices` names: at most `most`. `from_ranks`: what the ranks of the
// other operands say of it.
Result<int> index_depth(Def& d, const Tensor& indices, int most, std::optional<int> from_ranks) {
  Dim last = indices.dims().back();
  if (from_ranks && !last.is_constant())
    last = TRY(
        d.same(last, *from_ranks,
               fmt::format("indices have the last extent {}, expected {} for these ranks", last.str(), *from_ranks)));
  if (!last.is_constant())
    return unsupported("indices have the last extent {}, expected a constant, or a declared rank of the result",
                       last.str());
  if (last.value() < 0) return invalid("indices have the last extent {}, expected at least 0", last.value());
  if (last.value() > most) return invalid("indices have the last extent {}, expected at most {}", last.value(), most);
  return static_cast<int>(last.value());
}

}  // namespace

// GatherND-13. x: [B..., D1..Dq, R...], indices: [B..., J..., q] -> [B..., J..., R...]
Result<void> define_gather_nd(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), indices = d.in(1);
  TRY(expect_index(indices, 1));
  TRY(expect_rank_at_least(x, 0, 1));
  TRY(expect_rank_at_least(indices, 1, 1));
  int64_t batch = d.i64("batch_dims", 0);
  if (batch < 0 || batch >= std::min(x.rank(), indices.rank())) {
    return invalid("batch_dims is {}, expected a value in [0, {})", batch, std::min(x.rank(), indices.rank()));
  }
  int b = static_cast<int>(batch), lead = indices.rank() - 1;
  std::optional<int>
      depth;  // as the result has the dims of the indices but the last, and those of x that they do not name
  if (auto declared = d.declared_rank(0)) depth = lead + x.rank() - b - *declared;
  int q = TRY(index_depth(d, indices, x.rank() - b, depth));
  Dims dims = joined(slice_of(indices.dims(), 0, lead), slice_of(x.dims(), b + q, x.rank()));
  d.out(d.map(dims, [&](Ix i) {
    std::vector<Expr> at = as_exprs(slice_of(i, 0, b));
    for (int k = 0; k < q; ++k) {
      Dims where = slice_of(i, 0, lead);
      where.push_back(k);
      at.push_back(wrap_index(indices(where), x.dim(b + k)));
    }
    for (size_t k = static_cast<size_t>(lead); k < i.size(); ++k) at.push_back(ex::index(i[k]));
    return x(at);
  }));
  return {};
}

namespace {

Result<Combiner> scatter_combiner(Def& d, DType t) {
  std::string reduction = d.str("reduction", "none");
  bool is_bool = t == DType::Bool;
  if (reduction == "none") return Combiner::Assign;
  if (!is_arithmetic(t)) return unsupported("reduction '{}' on element type {}", reduction, name(t));
  if (reduction == "add") return is_bool ? Combiner::Or : Combiner::Sum;
  if (reduction == "mul") return is_bool ? Combiner::And : Combiner::Prod;
  if (reduction == "max") return is_bool ? Combiner::Or : Combiner::Max;
  if (reduction == "min") return is_bool ? Combiner::And : Combiner::Min;
  return invalid("reduction is '{}', expected 'none', 'add', 'mul', 'max' or 'min'", reduction);
}

}  // namespace

// ScatterElements-18. y = x, then y[i with indices[i] at axis] (op)= updates[i]; without reduction the last one stays.
Result<void> define_scatter_elements(Def& d) {
  TRY(expect_tensors(d, 3));
  Tensor x = d.in(0), indices = d.in(1), updates = d.in(2);
  TRY(expect_index(indices, 1));
  TRY(expect_same_dtype(x, updates, "data and updates"));
  if (x.rank() != indices.rank() || x.rank() != updates.rank()) {
    return invalid("got ranks {}, {} and {}, expected one rank", x.rank(), indices.rank(), updates.rank());
  }
  int axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  Combiner c = TRY(scatter_combiner(d, x.dtype()));
  for (int k = 0; k < x.rank(); ++k) {
    if (known_less_equal(indices.dim(k), updates.dim(k))) continue;
    TRY(d.require(less(indices.dim(k), updates.dim(k) + 1),
                  fmt::format("updates have extent {} in dimension {}, expected {} (the indices')",
                              updates.dim(k).str(), k, indices.dim(k).str())));
  }
  d.out(d.scatter(c, x, indices.dims(), [&](Ix i) {
    std::vector<Expr> at = as_exprs(i);
    at[static_cast<size_t>(axis)] = wrap_index(indices(i), x.dim(axis));
    return std::pair(at, updates(i));
  }));
  return {};
}

// ScatterND-18. x: [D1..Dq, R...], indices: [J..., q], updates: [J..., R...] -> like x
Result<void> define_scatter_nd(Def& d) {
  TRY(expect_tensors(d, 3));
  Tensor x = d.in(0), indices = d.in(1), updates = d.in(2);
  TRY(expect_index(indices, 1));
  TRY(expect_same_dtype(x, updates, "data and updates"));
  TRY(expect_rank_at_least(indices, 1, 1));
  const int lead =
      indices.rank() - 1;  // the updates have the dims of the indices but the last, and those of x not named
  int q = TRY(index_depth(d, indices, x.rank(), lead + x.rank() - updates.rank()));
  Dims expected = joined(slice_of(indices.dims(), 0, lead), slice_of(x.dims(), q, x.rank()));
  if (updates.rank() != static_cast<int>(expected.size())) {
    return invalid("updates have rank {}, expected {}", updates.rank(), expected.size());
  }
  for (int k = 0; k < updates.rank(); ++k) {
    const Dim& e = expected[static_cast<size_t>(k)];
    TRY(d.require(equal(updates.dim(k), e),
                  fmt::format("dimension {} of updates has extent {}, expected {}", k, updates.dim(k).str(), e.str())));
  }
  Combiner c = TRY(scatter_combiner(d, x.dtype()));
  d.out(d.scatter(c, x, updates.dims(), [&](Ix i) {
    std::vector<Expr> at;
    for (int k = 0; k < q; ++k) {
      Dims where = slice_of(i, 0, lead);
      where.push_back(k);
      at.push_back(wrap_index(indices(where), x.dim(k)));
    }
    for (size_t k = static_cast<size_t>(lead); k < i.size(); ++k) at.push_back(ex::index(i[k]));
    return std::pair(at, updates(i));
  }));
  return {};
}

// TensorScatter-24. cache: [B, ..., N, ...], update: [B, ..., S, ...], write_indices: [B] -> like cache:
// y[b, ..., write_indices[b] + s, ...] = update[b, ..., s, ...]; modulo N where mode is circular.
Result<void> define_tensor_scatter(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor cache = d.in(0), update = d.in(1), write = d.in(2);
  TRY(expect_same_dtype(cache, update, "cache and update"));
  if (cache.rank() != update.rank()) return invalid("update has rank {}, expected {}", update.rank(), cache.rank());
  int axis = TRY(d.axis(d.i64("axis", -2), cache.rank()));
  std::string mode = d.str("mode", "linear");
  if (mode != "linear" && mode != "circular") return invalid("mode is '{}', expected 'linear' or 'circular'", mode);
  if (axis == 0) return invalid("axis is 0, expected an axis after the batch");
  if (write && (write.rank() != 1 || !is_int(write.dtype())))
    return invalid("write_indices has type {}, expected one integer per batch", write.type().str());
  d.out(d.scatter(Combiner::Assign, cache, update.dims(), [&](Ix i) {
    std::vector<Expr> at = as_exprs(i);
    Expr& s = at[static_cast<size_t>(axis)];
    if (write) s = as_index(write(i[0])) + s;
    if (mode == "circular") s = ex::binary(ScalarOp::FloorMod, s, ex::index(cache.dim(axis)));
    return std::pair(at, update(i));
  }));
  return {};
}

// ReverseSequence-10. x: [...], lengths: [B]: reverses the first lengths[b] elements along time_axis.
Result<void> define_reverse_sequence(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), lengths = d.in(1);
  TRY(expect_rank_at_least(x, 0, 2));
  auto batch = static_cast<size_t>(TRY(d.axis(d.i64("batch_axis", 1), x.rank())));
  auto time = static_cast<size_t>(TRY(d.axis(d.i64("time_axis", 0), x.rank())));
  if (lengths.rank() != 1 || !is_int(lengths.dtype()))
    return invalid("sequence_lens has type {}, expected one integer per batch", lengths.type().str());
  if (batch == time) return invalid("batch_axis and time_axis are both {}, expected different axes", batch);
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr n = as_index(lengths(i[batch])), t = ex::index(i[time]);
    std::vector<Expr> at = as_exprs(i);
    at[time] = ex::select(t < n, n - 1.0 - t, t);
    return x(at);
  }));
  return {};
}

// OneHot-11. indices: [...], depth: scalar, values: [off, on] -> [..., depth, ...] at axis; outside: all off.
Result<void> define_one_hot(Def& d) {
  TRY(expect_arithmetic(d, 2));
  TRY(expect_tensors(d, 3));
  Tensor indices = d.in(0), values = d.in(2);
  if (values.rank() != 1) return invalid("values has rank {}, expected 1", values.rank());
  TRY(d.require(equal(values.dim(0), 2), "values of 2 elements: off and on"));
  Dim depth;
  if (TensorRef c = d.constant(1)) {
    if (c->elements() != 1) return invalid("depth has {} elements, expected 1", c->elements());
    depth = c->integer(0);
  } else {
    depth = TRY(integer_input(d, 1, 0));
  }
  if (depth.upper() < 0) return invalid("depth is {}, expected no negative number", depth.str());
  int axis = TRY(d.axis(d.i64("axis", -1), indices.rank() + 1));
  d.out(d.map(with_inserted(indices.dims(), axis, depth), [&](Ix i) {
    Expr hit = eq(wrap_index(indices(without(i, axis)), depth), ex::index(i[static_cast<size_t>(axis)]));
    return ex::select(hit, values(1), values(0));
  }));
  return {};
}

// ArrayFeatureExtractor-1 (ai.onnx.ml). x: [A..., N], indices: [...] with k elements -> [A..., k], or [1, k] for
// rank 1.
Result<void> define_array_feature_extractor(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), indices = d.in(1);
  TRY(expect_rank_at_least(x, 0, 1));
  Dims dims = x.rank() == 1 ? Dims{1} : slice_of(x.dims(), 0, x.rank() - 1);
  dims.push_back(product(indices.dims()));
  d.out(d.map(dims, [&](Ix i) {
    std::vector<Expr> at = as_exprs(slice_of(i, 0, x.rank() - 1));
    at.push_back(as_index(indices(unflatten_index(i.back(), indices.dims()))));
    return x(at);
  }));
  return {};
}

}  // namespace ingot
