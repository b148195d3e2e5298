// Reductions over axes. x: [...] -> the dims not reduced, and 1 for the others where keepdims. f16 and bf16 accumulate
// in f32. The empty reduction gives the neutral element: 0, 1, -inf or the lowest number, inf or the highest number.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

struct Reduction {
  AxisSet axes;
  bool keepdims = true;
  Dims result, reduced;  // `reduced` leaves out the dims that are known not to be

  // The index into x.
  Dims at(Ix i, Ix r) const {
    Dims named;
    size_t next = 0;
    for (const Dim& f : axes.flag) named.push_back(f.is(0) ? Dim(0) : r[next++]);
    if (!keepdims) return restore_axes(axes, i, named);
    Dims index;  // of i and r, the one that does not run is 0
    for (size_t k = 0; k < named.size(); ++k) index.push_back(axes.flag[k].is(1) ? named[k] : i[k] + named[k]);
    return index;
  }
};

Reduction make_reduction(Def& d, const Dims& dims, AxisSet axes, bool keepdims) {
  Reduction r{std::move(axes), keepdims, {}, {}};
  for (size_t k = 0; k < dims.size(); ++k) {
    const Dim& f = r.axes.flag[k];
    if (!f.is(0)) r.reduced.push_back(f * dims[k] + (1 - f));
    if (keepdims) r.result.push_back(f + (1 - f) * dims[k]);
  }
  if (!keepdims) r.result = drop_axes(r.axes, dims);
  r.result = settled(d, r.axes, r.result);
  r.reduced = settled(d, r.axes, r.reduced);
  return r;
}

Result<Reduction> reduction(Def& d) {
  Tensor x = d.in(0);
  bool noop = d.i64("noop_with_empty_axes", 0), keepdims = d.i64("keepdims", 1);
  std::optional<int> count;  // without keepdims, the rank of the result says it
  if (auto declared = d.declared_rank(0); !keepdims && declared) count = x.rank() - *declared;
  // An empty list may stand for all dims.
  if (count == x.rank() && !noop) count.reset();
  AxisSet axes = TRY(axis_set(d, 1, x.rank(), !noop, count));
  if (axes.count < 0 && !keepdims) {
    if (d.declared_rank(0) != 0)
      return unsupported("axes have type {}, expected a constant extent, or a declared rank of the result",
                         d.in(1).type().str());
    for (const Dim& f : axes.flag) TRY(d.require(f, "axes do not name all dims, expected a result of rank 0"));
    axes = {Dims(x.dims().size(), Dim(1)), x.rank()};
  }
  return make_reduction(d, x.dims(), std::move(axes), keepdims);
}

// y = after(combine before(x)), in type `work`, converted to the type of x.
template <class Before, class After>
Result<void> reduce_with(Def& d, Combiner c, DType work, Before before, After after) {
  Tensor x = d.in(0);
  Reduction r = TRY(reduction(d));
  Tensor y = d.reduce(c, r.result, r.reduced, [&](Ix i, Ix j) { return before(ex::cast(x(r.at(i, j)), work)); });
  d.out(d.map(r.result, [&](Ix i) { return ex::cast(after(y(i), product(r.reduced)), x.dtype()); }));
  return {};
}

Expr same(const Expr& e) { return e; }
Expr plain(const Expr& e, const Dim&) { return e; }

Result<void> reduce_extreme(Def& d, Combiner c, Combiner of_bool) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  Reduction r = TRY(reduction(d));
  d.out(
      d.reduce(x.dtype() == DType::Bool ? of_bool : c, r.result, r.reduced, [&](Ix i, Ix j) { return x(r.at(i, j)); }));
  return {};
}

}  // namespace

// ReduceSum-13, ReduceProd-18, ReduceMax-20, ReduceMin-20: axes is an input; noop_with_empty_axes.
Result<void> define_reduce_sum(Def& d) {
  TRY(expect_arithmetic(d, 1));
  return reduce_with(d, Combiner::Sum, compute_type(d.dtype(0)), same, plain);
}
Result<void> define_reduce_prod(Def& d) {
  TRY(expect_arithmetic(d, 1));
  return reduce_with(d, Combiner::Prod, compute_type(d.dtype(0)), same, plain);
}
Result<void> define_reduce_max(Def& d) { return reduce_extreme(d, Combiner::Max, Combiner::Or); }
Result<void> define_reduce_min(Def& d) { return reduce_extreme(d, Combiner::Min, Combiner::And); }

// ReduceMean-18: the sum over the number of elements.
Result<void> define_reduce_mean(Def& d) {
  TRY(expect_arithmetic(d, 1));
  // The sum of integers may be no number of their type where the mean is one; it truncates.
  const DType t = d.dtype(0), work = is_int(t) && bits(t) < 64 ? DType::I64 : compute_type(t);
  return reduce_with(d, Combiner::Sum, work, same, [](const Expr& e, const Dim& n) { return e / dim_as(n, e.type()); });
}

// ReduceL1-18, ReduceL2-18, ReduceSumSquare-18.
Result<void> define_reduce_l1(Def& d) {
  TRY(expect_arithmetic(d, 1));
  return reduce_with(
      d, Combiner::Sum, compute_type(d.dtype(0)), [](const Expr& e) { return is_signed(e.type()) ? abs(e) : e; },
      plain);
}
Result<void> define_reduce_l2(Def& d) {
  TRY(expect_arithmetic(d, 1));
  return reduce_with(
      d, Combiner::Sum, real_type(d.dtype(0)), [](const Expr& e) { return e * e; },
      [](const Expr& e, const Dim&) { return sqrt(e); });
}
Result<void> define_reduce_sum_square(Def& d) {
  TRY(expect_arithmetic(d, 1));
  return reduce_with(d, Combiner::Sum, compute_type(d.dtype(0)), [](const Expr& e) { return e * e; }, plain);
}

// ReduceLogSum-18: log of the sum.
Result<void> define_reduce_log_sum(Def& d) {
  TRY(expect_arithmetic(d, 1));
  return reduce_with(d, Combiner::Sum, real_type(d.dtype(0)), same, [](const Expr& e, const Dim&) { return log(e); });
}

// ReduceLogSumExp-18: m + log(sum exp(x - m)) with m the largest element where that is finite, else 0.
Result<void> define_reduce_log_sum_exp(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  DType t = real_type(x.dtype());
  Reduction r = TRY(reduction(d));
  Tensor largest = d.reduce(Combiner::Max, r.result, r.reduced, [&](Ix i, Ix j) { return ex::cast(x(r.at(i, j)), t); });
  Tensor m =
      d.map(r.result, [&](Ix i) { return ex::select(ex::unary(ScalarOp::IsInf, largest(i)), zero(t), largest(i)); });
  Tensor s =
      d.reduce(Combiner::Sum, r.result, r.reduced, [&](Ix i, Ix j) { return exp(ex::cast(x(r.at(i, j)), t) - m(i)); });
  d.out(d.map(r.result, [&](Ix i) { return ex::cast(m(i) + log(s(i)), x.dtype()); }));
  return {};
}

namespace {

Result<void> arg_extreme(Def& d, Combiner first, Combiner last) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  int axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  Reduction r = make_reduction(d, x.dims(), axis_set({axis}, x.rank()), d.i64("keepdims", 1));
  TRY(d.require(less(0, x.dim(axis)), fmt::format("axis {} is empty, expected at least one element", axis)));
  auto [value, index] = d.arg_reduce(d.i64("select_last_index", 0) ? last : first, r.result, r.reduced,
                                     [&](Ix i, Ix j) { return std::pair(x(r.at(i, j)), ex::index(j[0])); });
  d.out(index);
  return {};
}

}  // namespace

// ArgMax-13, ArgMin-13 -> i64. select_last_index decides ties.
Result<void> define_arg_max(Def& d) { return arg_extreme(d, Combiner::ArgMaxFirst, Combiner::ArgMaxLast); }
Result<void> define_arg_min(Def& d) { return arg_extreme(d, Combiner::ArgMinFirst, Combiner::ArgMinLast); }

namespace {

Result<void> cumulate(Def& d, Combiner c) {
  TRY(expect_arithmetic(d, 2));
  Tensor x = d.in(0);
  AxisChoice axis = TRY(axis_choice(d, 1, x.rank(), 0));
  bool exclusive = d.i64("exclusive", 0), reverse = d.i64("reverse", 0);
  if (axis.known) {
    Tensor y = d.scan(c, x.dims(), *axis.known, exclusive, reverse, [&](Ix i) { return widen(x(i)); });
    d.out(converted(d, y, x.dtype()));
    return {};
  }
  // An axis that only the run knows: a reduction over those elements that come first.
  Expr none = ex::number(compute_type(x.dtype()), c == Combiner::Prod ? 1 : 0);
  Tensor y = d.reduce(c, x.dims(), {axis.extent(x.dims())}, [&](Ix i, Ix r) {
    Dim at = axis.extent(i);
    const Dim &first = reverse ? at : r[0], &last = reverse ? r[0] : at;
    return ex::select(lt(first, exclusive ? last : last + 1), widen(x(axis.put(i, r[0]))), none);
  });
  d.out(converted(d, y, x.dtype()));
  return {};
}

}  // namespace

// CumSum-14, CumProd-26. x: [...], axis: scalar -> [...]; exclusive, reverse.
Result<void> define_cum_sum(Def& d) { return cumulate(d, Combiner::Sum); }
Result<void> define_cum_prod(Def& d) { return cumulate(d, Combiner::Prod); }

namespace {

struct Row {
  Tensor x;
  DType work;
  int axis;
  Dims outer;
  Dims at(Ix i, const Dim& j) const { return with_inserted(i, axis, j); }
};

Result<Row> row(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  int axis = TRY(d.axis(d.i64("axis", -1), x.rank()));
  return Row{x, compute_type(x.dtype()), axis, without(x.dims(), axis)};
}

}  // namespace

// Softmax-13. y = exp(x - max x)/sum exp(x - max x) along `axis`.
Result<void> define_softmax(Def& d) {
  Row r = TRY(row(d));
  const Dim& n = r.x.dim(r.axis);
  Tensor m = d.reduce(Combiner::Max, r.outer, {n}, [&](Ix i, Ix j) { return ex::cast(r.x(r.at(i, j[0])), r.work); });
  Tensor e = d.map(r.x.dims(), [&](Ix i) { return exp(ex::cast(r.x(i), r.work) - m(without(i, r.axis))); });
  Tensor s = d.reduce(Combiner::Sum, r.outer, {n}, [&](Ix i, Ix j) { return e(r.at(i, j[0])); });
  d.out(d.map(r.x.dims(), [&](Ix i) { return ex::cast(e(i) / s(without(i, r.axis)), r.x.dtype()); }));
  return {};
}

// LogSoftmax-13. y = x - max x - log sum exp(x - max x).
Result<void> define_log_softmax(Def& d) {
  Row r = TRY(row(d));
  const Dim& n = r.x.dim(r.axis);
  Tensor m = d.reduce(Combiner::Max, r.outer, {n}, [&](Ix i, Ix j) { return ex::cast(r.x(r.at(i, j[0])), r.work); });
  Tensor s = d.reduce(Combiner::Sum, r.outer, {n},
                      [&](Ix i, Ix j) { return exp(ex::cast(r.x(r.at(i, j[0])), r.work) - m(i)); });
  d.out(d.map(r.x.dims(), [&](Ix i) {
    Dims o = without(i, r.axis);
    return ex::cast(ex::cast(r.x(i), r.work) - m(o) - log(s(o)), r.x.dtype());
  }));
  return {};
}

// Hardmax-13. 1 at the first maximum along `axis`, 0 elsewhere.
Result<void> define_hardmax(Def& d) {
  Row r = TRY(row(d));
  auto [value, index] = d.arg_reduce(Combiner::ArgMaxFirst, r.outer, {r.x.dim(r.axis)},
                                     [&](Ix i, Ix j) { return std::pair(r.x(r.at(i, j[0])), ex::index(j[0])); });
  const Tensor& where = index;
  d.out(d.map(r.x.dims(), [&](Ix i) {
    Expr hit = eq(where(without(i, r.axis)), ex::index(i[static_cast<size_t>(r.axis)]));
    return ex::select(hit, one(r.x.dtype()), zero(r.x.dtype()));
  }));
  return {};
}

}  // namespace ingot
