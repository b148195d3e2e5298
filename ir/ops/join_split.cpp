// Concat, Split, Slice, Pad: maps that read at shifted indices. Elements of any type.
#include <algorithm>

#include "ir/dim_internal.h"
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// More pieces than this are joined in groups, and these then: a stage has a bounded number of pieces, and a group is written
// where the whole lies.
constexpr size_t kMaxPieces = 128, kGroup = 64;
constexpr int kMaxSumSize = 16;  // atoms in a sum of extents; longer ones get a name

// A sum of extents that more will be added to.
Dim partial_sum(Def& d, const Dim& sum) { return DimAccess::size(sum) > kMaxSumSize ? d.named({sum})[0] : sum; }

Tensor joined(Def& d, std::vector<Tensor> pieces, int axis, Dims dims) {
  auto at_axis = static_cast<size_t>(axis);
  if (pieces.size() > kMaxPieces) {
    std::vector<Tensor> groups;
    for (size_t k = 0; k < pieces.size(); k += kGroup) {
      auto end = std::min(k + kGroup, pieces.size());
      groups.push_back(
          joined(d, {pieces.begin() + static_cast<long>(k), pieces.begin() + static_cast<long>(end)}, axis, dims));
    }
    return joined(d, std::move(groups), axis, std::move(dims));
  }
  Dims ends;
  Dim total = 0;
  for (const Tensor& x : pieces) {
    total = partial_sum(d, total + x.dim(axis));
    ends.push_back(total);
  }
  dims[at_axis] = total;
  return d.map(dims, [&](Ix i) {
    const Dim& at = i[at_axis];
    Expr y;
    for (size_t k = pieces.size(); k-- > 0;) {
      if (pieces[k].dim(axis).is(0)) continue;
      Expr e = pieces[k](replaced(i, axis, k == 0 ? at : at - ends[k - 1]));
      y = y ? ex::select(lt(at, ends[k]), e, y) : e;
    }
    return y ? y : pieces[0](i);
  });
}

}  // namespace

// Concat-13. n tensors that agree but for dim `axis` -> their concatenation.
Result<void> define_concat(Def& d) {
  TRY(expect_tensors(d, d.inputs()));
  Tensor first = d.in(0);
  int axis = TRY(d.axis(d.i64("axis", 0), first.rank()));
  Dims dims = first.dims();
  std::vector<Tensor> pieces;
  for (int k = 0; k < d.inputs(); ++k) {
    Tensor x = d.in(k);
    TRY(expect_same_dtype(first, x, "inputs"));
    if (x.rank() != first.rank()) return invalid("input {} has rank {}, expected {}", k, x.rank(), first.rank());
    for (int a = 0; a < first.rank(); ++a) {
      if (a == axis) continue;
      TRY(d.require(equal(x.dim(a), first.dim(a)), fmt::format("dimension {} of input {} has extent {}, expected {}", a,
                                                               k, x.dim(a).str(), first.dim(a).str())));
      if (x.dim(a).is_constant()) dims[static_cast<size_t>(a)] = x.dim(a);
    }
    pieces.push_back(std::move(x));
  }
  d.out(joined(d, std::move(pieces), axis, std::move(dims)));
  return {};
}

// Split-18. x: [...], split: [n] extents along `axis`, or num_outputs parts of equal extent, the last one smaller.
Result<void> define_split(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  int axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  int n = d.outputs();
  const Dim& extent = x.dim(axis);
  Dims parts;
  if (d.has(1)) {
    parts = TRY(d.integers_of_length(1, n, 0));
    if (static_cast<int>(parts.size()) != n) return invalid("split has {} entries, expected {}", parts.size(), n);
    Dim sum = 0;
    for (const Dim& p : parts) sum = partial_sum(d, sum + p);
    TRY(d.require(equal(sum, extent), fmt::format("split adds up to {}, expected {}", sum.str(), extent.str())));
  } else {
    int64_t asked = d.i64("num_outputs", n);
    if (asked != n) return invalid("num_outputs is {}, expected the number of outputs {}", asked, n);
    Dim part = ceildiv(extent, n);
    for (int k = 0; k < n; ++k) {
      parts.push_back(known_divisible(extent, n) ? floordiv(extent, n) : max(min(part, extent - part * k), 0));
    }
  }
  Dim begin = 0;
  for (int k = 0; k < n; ++k) {
    const Dim& part = parts[static_cast<size_t>(k)];
    d.out(d.wants(k) ? d.map(replaced(x.dims(), axis, part),
                             [&](Ix i) { return x(replaced(i, axis, i[static_cast<size_t>(axis)] + begin)); })
                     : Tensor());
    begin = partial_sum(d, begin + part);
  }
  return {};
}

namespace {

// Axes that an input names, one for each of `count` entries; the first `count` dims where it is absent. flags[k][a]:
// entry k is for dim a.
Result<std::vector<Dims>> entry_axes(Def& d, int input, int rank, size_t count) {
  Dims axes;
  if (d.has(input)) {
    axes = TRY(d.integers_of_length(input, static_cast<int64_t>(count), -rank, rank - 1));
  } else {
    for (size_t k = 0; k < count; ++k) axes.push_back(static_cast<int64_t>(k));
  }
  if (axes.size() != count) return invalid("got {} axes, expected {}", axes.size(), count);
  std::vector<int64_t> known;
  std::vector<Dims> flags;
  for (const Dim& a : axes) {
    if (a.is_constant()) {
      known.push_back(a.value());
      flags.push_back(axis_set({TRY(d.axis(a.value(), rank))}, rank).flag);
      continue;
    }
    flags.emplace_back();
    for (int k = 0; k < rank; ++k) flags.back().push_back(equal(a, k) + equal(a, k - rank));
  }
  TRY(normalized_axes(d, known, rank));
  return flags;
}

// The value of the entry that names dim a, else `otherwise`.
Dim entry_of(const std::vector<Dims>& flags, const Dims& values, size_t a, const Dim& otherwise) {
  Dim v = otherwise;
  for (size_t k = 0; k < values.size(); ++k) {
    const Dim& f = flags[k][a];
    if (f.is(1)) return values[k];
    if (!f.is(0)) v = select(f, values[k], v);
  }
  return v;
}

// Slice whose axes or steps only the run knows: an algorithm finds where each dim starts, its step and its extent.
Result<void> slice_at_run_time(Def& d) {
  Tensor x = d.in(0);
  std::vector<Tensor> operands{d.dims_tensor(x.dims())};
  for (int k = 1; k < 5; ++k) operands.push_back(d.has(k) ? converted(d, d.in(k), DType::I64) : Tensor());
  std::vector<Symbol> extents;
  Dims dims;
  for (int k = 0; k < x.rank(); ++k) {
    extents.push_back(d.unknown_dim(k, x.dim(k)));
    dims.push_back(Dim(extents.back()));
  }
  Tensor place = d.call("slice_bounds", operands, {{DType::I64, {x.rank(), 2}}}, {{}, {}, {}, extents})[0];
  d.out(d.map(dims, [&](Ix i) {
    std::vector<Expr> at;
    for (int k = 0; k < x.rank(); ++k) at.push_back(place(k, 0) + ex::index(i[static_cast<size_t>(k)]) * place(k, 1));
    return x(at);
  }));
  return {};
}

bool all_constant(const std::optional<Dims>& dims) {
  return dims && std::all_of(dims->begin(), dims->end(), [](const Dim& v) { return v.is_constant(); });
}

}  // namespace

// A step of an extent or more takes one element, and no extent is larger than this (ir/ops/infer.cpp).
inline constexpr int64_t kLongestStep = int64_t{1} << 40;

// Slice-13. x: [...], starts, ends, axes, steps: [k]. Bounds are clamped; a negative one counts from the end.
Result<void> define_slice(Def& d) {
  TRY(expect_tensors(d, 3));
  Tensor x = d.in(0);
  for (int k = 1; k < 5; ++k) {
    if (d.has(k) && d.in(k).rank() != 1) return invalid("input {} has rank {}, expected 1", k, d.in(k).rank());
  }
  if ((d.has(3) && !all_constant(d.known_integers(3))) || (d.has(4) && !all_constant(d.known_integers(4)))) {
    return slice_at_run_time(d);
  }
  for (int k = 1; k < 3; ++k) {
    if (!d.known_integers(k) && !d.in(k).dim(0).is_constant()) return slice_at_run_time(d);
  }
  Dims starts = TRY(d.integers(1)), ends = TRY(d.integers(2));
  std::vector<int64_t> axes = TRY(known_constants(d, 3, "axes")), steps = TRY(known_constants(d, 4, "steps"));
  if (!d.has(3)) {
    for (size_t k = 0; k < starts.size(); ++k) axes.push_back(static_cast<int64_t>(k));
  }
  if (!d.has(4)) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    return invalid("got {} starts, {} ends, {} axes and {} steps, expected as many of each", starts.size(), ends.size(),
                   axes.size(), steps.size());
  }
  TRY(normalized_axes(d, axes, x.rank()));
  Dims dims = x.dims(), offset(dims.size(), Dim(0)), stride(dims.size(), Dim(1));
  for (size_t k = 0; k < axes.size(); ++k) {
    auto a = static_cast<size_t>(TRY(d.axis(axes[k], x.rank())));
    const Dim& n = x.dims()[a];
    int64_t step = std::clamp<int64_t>(steps[k], -kLongestStep, kLongestStep);
    if (step == 0) return invalid("steps has 0, expected another number");
    // Going down over no elements, both bounds are -1: `last` limits what `lowest` gave.
    Dim last = step > 0 ? n : n - 1;
    auto clamped = [&](const Dim& v, const Dim& lowest) -> Dim {
      if (v.is_constant() && v.value() >= kDimMax) return last;
      if (v.is_constant() && v.value() <= -kDimMax) return min(lowest, last);
      return min(max(select(less(v, 0), v + n, v), lowest), last);
    };
    // Going down, the end may be -1, before the first element.
    Dim from = clamped(starts[k], 0), to = clamped(ends[k], step > 0 ? 0 : -1);
    dims[a] = max(step > 0 ? ceildiv(to - from, step) : ceildiv(from - to, -step), 0);
    offset[a] = from;
    stride[a] = step;
  }
  d.out(d.map(dims, [&](Ix i) {
    Dims at;
    for (size_t k = 0; k < i.size(); ++k) at.push_back(offset[k] + i[k] * stride[k]);
    return x(at);
  }));
  return {};
}

namespace {

// The pads of each dim from a list of axes whose length only the run knows.
Result<void> pads_at_run_time(Def& d, int rank, Dims& before, Dims& after) {
  Tensor pads = d.in(1), axes = d.in(3);
  if (pads.rank() != 1 || axes.rank() != 1)
    return invalid("pads and axes have ranks {} and {}, expected 1", pads.rank(), axes.rank());
  Dim n = axes.dim(0);
  TRY(d.require(equal(pads.dim(0), n * 2),
                fmt::format("pads has {} entries, expected two for each of {} axes", pads.dim(0).str(), n.str())));
  for (Dims* to : {&before, &after}) {
    Dim first = to == &before ? Dim(0) : n;
    Tensor sum = d.reduce(Combiner::Sum, {rank}, {n}, [&](Ix i, Ix r) {
      return ex::select(eq(wrap_index(axes(r[0]), rank), ex::index(i[0])), as_index(pads(first + r[0])), as_index(0));
    });
    *to = d.contents(sum, -kDimMax, kDimMax);
  }
  return {};
}

Result<void> pad(Def& d, const Tensor& x, const std::string& mode, const Dims& before, const Dims& after) {
  Tensor value = d.in(2);
  Dims dims = x.dims();
  bool outside = false;
  for (size_t a = 0; a < dims.size(); ++a) {
    if (before[a].is(0) && after[a].is(0)) continue;
    const Dim extent = x.dims()[a] + before[a] + after[a];
    TRY(d.require(Dim(1) - less(extent, 0),
                  fmt::format("pads crop dimension {} of extent {} to {}, expected at least 0", a, x.dims()[a].str(),
                              extent.str())));
    dims[a] = max(extent, 0);
    outside = outside || before[a].upper() > 0 || after[a].upper() > 0;
    if (mode != "constant") {
      TRY(d.require(max(less(0, x.dims()[a]), equal(dims[a], 0)),
                    fmt::format("dimension {} is empty, expected an element to copy", a)));
    }
  }
  if (value) TRY(expect_same_dtype(x, value, "x and the constant value"));
  if (!is_arithmetic(x.dtype()) && outside && mode == "constant" && !value) {
    return unsupported("padding of {} with the default value", name(x.dtype()));
  }
  d.out(d.map(dims, [&](Ix i) {
    Dims at;
    for (size_t k = 0; k < i.size(); ++k) {
      const Dim& n = x.dims()[k];
      Dim p = i[k] - before[k];
      bool stays = before[k].upper() <= 0 && after[k].upper() <= 0;
      if (stays || mode == "constant") {
        at.push_back(p);
      } else if (mode == "edge") {
        at.push_back(min(max(p, 0), n - 1));
      } else if (mode == "wrap") {
        at.push_back(mod(p, n));
      } else if (known_less(before[k], n) && known_less(after[k], n)) {
        at.push_back((n - 1) - abs((n - 1) - abs(p)));
      } else {
        Dim period = max((n - 1) * 2, 1), q = mod(p, period);
        at.push_back(min(q, max(n - 1, 0) * 2 - q));
      }
    }
    if (mode != "constant" || !outside) return x(at);
    return x.or_fill(at, value ? scalar_of(value) : zero(x.dtype()));
  }));
  return {};
}

}  // namespace

// Pad-25. x: [...], pads: begins then ends, per axis of `axes` (default all); negative pads crop.
//   constant: value (default 0) outside;  edge: the nearest element;  reflect: mirrored without repeating the edge;
//   wrap: periodic.
Result<void> define_pad(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0);
  std::string mode = d.str("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") {
    return invalid("mode is '{}', expected 'constant', 'edge', 'reflect' or 'wrap'", mode);
  }
  if (d.has(3) && !d.known_integers(3) && !d.in(3).type().is_static()) {
    Dims before, after;
    TRY(pads_at_run_time(d, x.rank(), before, after));
    return pad(d, x, mode, before, after);
  }
  const auto known_axes = d.known_integers(3);
  const int64_t entries = known_axes ? static_cast<int64_t>(known_axes->size())
                          : d.has(3) ? d.in(3).type().elements()
                                     : x.rank();
  Dims pads = TRY(d.integers_of_length(1, 2 * entries));
  if (pads.size() % 2 != 0 || (!d.has(3) && pads.size() != 2 * x.dims().size())) {
    return invalid("pads has {} entries, expected two per axis", pads.size());
  }
  size_t half = pads.size() / 2;
  std::vector<Dims> axes = TRY(entry_axes(d, 3, x.rank(), half));
  Dims begins(pads.begin(), pads.begin() + static_cast<long>(half)),
      ends(pads.begin() + static_cast<long>(half), pads.end());
  Dims before, after;
  for (size_t a = 0; a < x.dims().size(); ++a) {
    before.push_back(entry_of(axes, begins, a, 0));
    after.push_back(entry_of(axes, ends, a, 0));
  }
  return pad(d, x, mode, before, after);
}

}  // namespace ingot
