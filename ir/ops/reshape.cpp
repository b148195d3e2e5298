// Movement without arithmetic: each op is one map that reads x at another index. Elements of any type.
#include <algorithm>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// The elements of a shape that only the run knows, and which may be 0 or -1, become extents that an algorithm finds.
Result<Dims> resolve_at_run_time(Def& d, const Tensor& x, const std::optional<Dims>& known, bool allow_zero) {
  Tensor shape = d.in(1);
  Dim rank = shape.dim(0);
  if (auto declared = d.declared_rank(0); declared && !rank.is_constant())
    rank = TRY(d.same(
        rank, *declared,
        fmt::format("shape has {} elements, expected {}, the rank that the model declares", rank.str(), *declared)));
  if (!rank.is_constant())
    return unsupported("shape has type {}, expected a constant extent, or a declared rank of the result",
                       shape.type().str());
  std::vector<Symbol> symbols;
  Dims dims;
  for (int64_t k = 0; k < rank.value(); ++k) {
    symbols.push_back(d.unknown_dim(static_cast<int>(k), product(x.dims())));
    const Dim* element = known ? &(*known)[static_cast<size_t>(k)] : nullptr;
    bool sure = element && (element->lower() > 0 || (element->is(0) && allow_zero));
    dims.push_back(sure ? *element : Dim(symbols.back()));
  }
  d.call("reshape_extents", {d.dims_tensor(x.dims()), converted(d, shape, DType::I64)}, {},
         {{allow_zero}, {}, {}, symbols});
  return dims;
}

// Whether an element that a model computes by subtracting may be 0, which stands for x's extent, or -1, where x has elements. One
// that divides the number of x's elements is not. A sum or product of extents of other values is taken for what it
// says: where it is 0 in a run, that run is refused.
bool may_mean_another(const Dim& element, const Dim& elements) {
  if (element.is_constant() || element.lower() > 0) return false;
  const auto& terms = element.terms();
  if (std::none_of(terms.begin(), terms.end(), [](const Dim::Term& t) { return t.coefficient < 0; })) return false;
  return floordiv(elements, element) * element != elements;
}

}  // namespace

// Reshape-25. x: [...], shape: [r] -> [shape]; 0 keeps a dim (unless allowzero), -1 is inferred.
Result<void> define_reshape(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0);
  if (d.in(1).rank() != 1) return invalid("shape has rank {}, expected 1", d.in(1).rank());
  bool allow_zero = d.i64("allowzero", 0);
  std::optional<Dims> known = d.known_integers(1);
  bool open = !known;
  for (size_t k = 0; known && k < known->size(); ++k) {
    auto symbol = (*known)[k].as_symbol();
    open = open || (symbol && (*symbol)->lo < 0);
    const bool same = k < x.dims().size() && (*known)[k] == x.dims()[k];
    open = open || (!same && may_mean_another((*known)[k], product(x.dims())));
  }
  if (open) {
    d.out(reshaped(d, x, TRY(resolve_at_run_time(d, x, known, allow_zero))));
    return {};
  }
  Dims shape = *known;
  int inferred = -1;
  for (size_t k = 0; k < shape.size(); ++k) {
    if (shape[k].is(0) && !allow_zero) {
      if (k >= x.dims().size()) return invalid("shape copies dimension {} of an input of rank {}", k, x.rank());
      shape[k] = x.dims()[k];
    } else if (shape[k].is(-1)) {
      if (inferred >= 0) return invalid("shape has more than one -1");
      inferred = static_cast<int>(k);
    } else if (shape[k].upper() < 0) {
      return invalid("shape has the extent {}, expected at least -1", shape[k].str());
    }
  }
  Dim got = product(x.dims()), expected = product(shape);
  if (inferred >= 0) {
    // Equal extents cancel, also where they are 0: a symbol that is 0 in a run cancels as well. What is left is divided.
    Dims from = x.dims();
    Dim divisor = 1;
    for (size_t k = 0; k < shape.size(); ++k) {
      if (static_cast<int>(k) == inferred) continue;
      auto same = std::find(from.begin(), from.end(), shape[k]);
      if (same != from.end() && !(allow_zero && shape[k].is(0))) {
        from.erase(same);
      } else {
        divisor *= shape[k];
      }
    }
    if (divisor.is(0)) return invalid("shape has both 0 and -1, so that -1 cannot be inferred");
    got = product(from);
    shape[static_cast<size_t>(inferred)] = floordiv(got, divisor);
    // Without the extents that cancelled: where one of them is 0, any number would do.
    expected = shape[static_cast<size_t>(inferred)] * divisor;
  }
  TRY(d.require(equal(expected, got), fmt::format("got {} elements, expected those of {}", product(x.dims()).str(),
                                                  TensorType{x.dtype(), shape}.str())));
  d.out(reshaped(d, x, shape));
  return {};
}

// Flatten-25. x: [...] -> [product of the dims before axis, product of the rest]
Result<void> define_flatten(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  int64_t axis = d.i64("axis", 1);
  if (axis < -x.rank() || axis > x.rank()) {
    return invalid("axis is {}, expected a value in [{}, {}]", axis, -x.rank(), x.rank());
  }
  int split = static_cast<int>(axis < 0 ? axis + x.rank() : axis);
  d.out(reshaped(d, x, {product(slice_of(x.dims(), 0, split)), product(slice_of(x.dims(), split, x.rank()))}));
  return {};
}

// Squeeze-25. Drops the axes given, which have extent 1; all that are known to be 1 where none are given.
Result<void> define_squeeze(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  AxisSet axes;
  if (d.has(1)) {
    std::optional<int> count;
    if (auto declared = d.declared_rank(0)) count = x.rank() - *declared;
    axes = TRY(axis_set(d, 1, x.rank(), false, count));
    if (axes.count < 0)
      return unsupported("axes have type {}, expected a constant extent, or a declared rank of the result",
                         d.in(1).type().str());
  } else {
    std::vector<int> ones;
    for (int k = 0; k < x.rank(); ++k) {
      if (x.dim(k).is(1)) ones.push_back(k);
    }
    axes = axis_set(ones, x.rank());
  }
  for (int k = 0; k < x.rank(); ++k) {
    TRY(d.require(max(equal(axes.flag[static_cast<size_t>(k)], 0), equal(x.dim(k), 1)),
                  fmt::format("dimension {} has extent {}, expected 1", k, x.dim(k).str())));
  }
  Dims zeros(x.dims().size(), Dim(0));
  d.out(d.map(settled(d, axes, drop_axes(axes, x.dims())), [&](Ix i) { return x(restore_axes(axes, i, zeros)); }));
  return {};
}

// Unsqueeze-25. Inserts dims of extent 1 at the axes of the result.
Result<void> define_unsqueeze(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0), given = d.in(1);
  std::optional<int64_t> count = product(given.dims()).constant();
  if (auto declared = d.declared_rank(0); !count && declared) count = *declared - x.rank();
  if (!count)
    return unsupported("axes have type {}, expected a constant extent, or a declared rank of the result",
                       given.type().str());
  if (*count < 0) return invalid("got a declared rank of {}, expected at least that of the input", x.rank() + *count);
  int64_t rank = x.rank() + *count;
  if (rank > kMaxSymbolicElements) return limit_exceeded("got rank {}", rank);
  AxisSet axes = TRY(axis_set(d, 1, static_cast<int>(rank), false, static_cast<int>(*count)));
  Dims ones(static_cast<size_t>(rank), Dim(1));
  d.out(d.map(settled(d, axes, restore_axes(axes, x.dims(), ones)), [&](Ix i) { return x(drop_axes(axes, i)); }));
  return {};
}

// Transpose-25. y[i] = x[i permuted]; dim k of the result is dim perm[k] of x. Reversed where perm is absent.
Result<void> define_transpose(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  std::vector<int64_t> perm = d.ints("perm");
  if (!d.has_attr("perm")) {
    for (int k = x.rank(); k-- > 0;) perm.push_back(k);
  }
  if (perm.size() != x.dims().size()) return invalid("perm has {} entries, expected {}", perm.size(), x.rank());
  std::vector<bool> seen(perm.size(), false);
  Dims dims;
  for (int64_t& p : perm) {
    p = TRY(d.axis(p, x.rank()));
    if (seen[static_cast<size_t>(p)]) return invalid("perm has {} twice", p);
    seen[static_cast<size_t>(p)] = true;
    dims.push_back(x.dim(static_cast<int>(p)));
  }
  d.out(d.map(dims, [&](Ix i) {
    Dims at(i.size(), Dim(0));
    for (size_t k = 0; k < i.size(); ++k) at[static_cast<size_t>(perm[k])] = i[k];
    return x(at);
  }));
  return {};
}

namespace {

// The shape that x is to broadcast with. Where only the run knows its length, it is filled up with leading ones to the
// declared rank of the result, or that of x: it has at most as many elements.
Result<Dims> expand_shape(Def& d, int rank_of_x) {
  Tensor shape = d.in(1);
  if (shape.rank() != 1) return invalid("shape has rank {}, expected 1", shape.rank());
  if (d.known_integers(1) || shape.dim(0).is_constant()) return d.integers(1, 0);
  const int rank = d.declared_rank(0).value_or(rank_of_x);
  const Dim given = shape.dim(0), missing = Dim(rank) - given;
  TRY(d.require(Dim(1) - less(missing, 0),
                fmt::format("shape has {} elements, expected at most {}", given.str(), rank)));
  return d.contents(d.map({rank},
                          [&](Ix i) {
                            return ex::cast(shape.or_fill(Dims{i[0] - missing}, ex::integer(shape.dtype(), 1)),
                                            DType::I64);
                          }),
                    0, kDimMax);
}

}  // namespace

// Expand-13. x: [...], shape -> the broadcast of both.
Result<void> define_expand(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0);
  Dims shape = TRY(expand_shape(d, x.rank()));
  Dims dims = TRY(d.broadcast_dims(x.dims(), shape));
  d.out(d.map(dims, [&](Ix i) { return x.broadcast(i); }));
  return {};
}

// Tile-13. x: [d...], repeats: [r...] -> [d*r...]
Result<void> define_tile(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0);
  Dims repeats = TRY(d.integers_of_length(1, x.rank(), 0));
  if (repeats.size() != x.dims().size())
    return invalid("repeats has {} entries, expected {}", repeats.size(), x.rank());
  Dims dims;
  for (size_t k = 0; k < repeats.size(); ++k) {
    if (repeats[k].upper() < 0) return invalid("repeats has {}, expected no negative number", repeats[k].str());
    dims.push_back(x.dims()[k] * repeats[k]);
  }
  d.out(d.map(dims, [&](Ix i) {
    Dims at;
    for (size_t k = 0; k < i.size(); ++k) {
      const Dim& n = x.dims()[k];
      at.push_back(repeats[k].is(1) ? i[k] : n.is(1) ? Dim(0) : mod(i[k], n));
    }
    return x(at);
  }));
  return {};
}

// ExpandDims (com.microsoft). x: [...], axis: a constant scalar -> x with an extent of 1 there.
Result<void> define_expand_dims(Def& d) {
  TRY(expect_tensors(d, 2));
  Tensor x = d.in(0);
  const Dim named = TRY(integer_input(d, 1));
  if (!named.is_constant()) return unsupported("axis is known at run time only, expected a constant");
  const int axis = TRY(d.axis(named.value(), x.rank() + 1));
  d.out(d.map(with_inserted(x.dims(), axis, 1), [&](Ix i) { return x(without(i, axis)); }));
  return {};
}

// SpaceToDepth-28. x: [N, C, H*b, W*b] -> [N, b*b*C, H, W]; depth is (b, b, C) in mode DCR, (C, b, b) in mode CRD.
Result<void> define_space_to_depth(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  int64_t b = d.i64("blocksize", 0);
  std::string mode = d.str("mode", "DCR");
  if (x.rank() != 4) return invalid("input has rank {}, expected 4", x.rank());
  if (b < 1 || b > (1 << 20)) return invalid("blocksize is {}, expected a positive number", b);
  if (mode != "DCR" && mode != "CRD") return invalid("mode is '{}', expected 'DCR' or 'CRD'", mode);
  for (int k = 2; k < 4; ++k) {
    TRY(d.require(
        equal(mod(x.dim(k), b), 0),
        fmt::format("dimension {} has extent {}, expected a multiple of blocksize {}", k, x.dim(k).str(), b)));
  }
  Dim c = x.dim(1);
  d.out(d.map({x.dim(0), c * (b * b), floordiv(x.dim(2), b), floordiv(x.dim(3), b)}, [&](Ix i) {
    const bool outer = mode == "DCR";
    Dim block = outer ? floordiv(i[1], c) : mod(i[1], b * b), channel = outer ? mod(i[1], c) : floordiv(i[1], b * b);
    return x(Dims{i[0], channel, i[2] * b + floordiv(block, b), i[3] * b + mod(block, b)});
  }));
  return {};
}

// DepthToSpace-13. x: [N, C*b*b, H, W] -> [N, C, H*b, W*b]; depth is (b, b, C) in mode DCR, (C, b, b) in mode CRD.
Result<void> define_depth_to_space(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  int64_t b = d.i64("blocksize", 0);
  std::string mode = d.str("mode", "DCR");
  if (x.rank() != 4) return invalid("input has rank {}, expected 4", x.rank());
  if (b < 1 || b > (1 << 20)) return invalid("blocksize is {}, expected a positive number", b);
  if (mode != "DCR" && mode != "CRD") return invalid("mode is '{}', expected 'DCR' or 'CRD'", mode);
  TRY(d.require(equal(mod(x.dim(1), b * b), 0),
                fmt::format("got {} channels, expected a multiple of {}", x.dim(1).str(), b * b)));
  Dim c = floordiv(x.dim(1), b * b);
  d.out(d.map({x.dim(0), c, x.dim(2) * b, x.dim(3) * b}, [&](Ix i) {
    Dim block = mod(i[2], b) * b + mod(i[3], b);
    Dim depth = mode == "DCR" ? block * c + i[1] : i[1] * (b * b) + block;
    return x(Dims{i[0], depth, floordiv(i[2], b), floordiv(i[3], b)});
  }));
  return {};
}

// CenterCropPad-18. x: [...], shape: one extent per axis in `axes` (default all) -> crops or pads with 0, centred.
Result<void> define_center_crop_pad(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  std::vector<int64_t> axes = d.ints("axes");
  if (!d.has_attr("axes")) {
    for (int k = 0; k < x.rank(); ++k) axes.push_back(k);
  }
  Dims shape = TRY(d.integers_of_length(1, static_cast<int64_t>(axes.size()), 0));
  if (axes.size() != shape.size()) return invalid("shape has {} entries, expected {}", shape.size(), axes.size());
  Dims dims = x.dims(), shift(dims.size(), Dim(0));
  bool pads = false;
  for (size_t k = 0; k < axes.size(); ++k) {
    auto a = static_cast<size_t>(TRY(d.axis(axes[k], x.rank())));
    Dim from = x.dims()[a], to = shape[k];
    shift[a] = floordiv(max(from - to, 0), 2) - floordiv(max(to - from, 0), 2);
    dims[a] = to;
    pads = pads || !known_less_equal(to, from);
  }
  d.out(d.map(dims, [&](Ix i) {
    Dims at;
    for (size_t k = 0; k < i.size(); ++k) at.push_back(i[k] + shift[k]);
    return pads ? x.or_fill(at, zero(x.dtype())) : x(at);
  }));
  return {};
}

// Shape-25. x: [...] -> i64 [end - start]; Size-25: the number of elements.
Result<void> define_shape(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  auto clamped = [&](int64_t v) {
    if (v < 0) v += x.rank();
    return static_cast<int>(std::clamp<int64_t>(v, 0, x.rank()));
  };
  int start = clamped(d.i64("start", 0)), end = clamped(d.i64("end", x.rank()));
  d.out(d.dims_tensor(slice_of(x.dims(), start, std::max(start, end))));
  return {};
}

Result<void> define_size(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  d.out(d.map({}, [&](Ix) { return ex::index(product(x.dims())); }));
  return {};
}

}  // namespace ingot
