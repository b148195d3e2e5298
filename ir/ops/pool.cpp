// Pooling: a reduction over a window. Padding never wins a maximum (-inf) and never counts in a mean unless asked for; the
// number of taps that count is a closed form of the output position, not a second reduction.
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {

struct Pooling {
  Tensor x;
  Window win;
  Dims dims() const { return concat({x.dim(0), x.dim(1)}, win.out); }
  Dims at(Ix i, Ix r) const {
    Dims a{i[0], i[1]};
    for (size_t k = 0; k < win.rank(); ++k) a.push_back(win.at(k, i[2 + k], r[k]));
    return a;
  }
  Expr read(Ix i, Ix r, Expr fill) const { return win.inside ? x(at(i, r)) : x.or_fill(at(i, r), std::move(fill)); }
};

Result<Pooling> pooling(Def& d) {
  Pooling p;
  TRY(expect_numbers(d, {0}));
  p.x = d.in(0);
  if (p.x.rank() < 3) return invalid("input has rank {}, expected at least 3", p.x.rank());
  size_t rank = static_cast<size_t>(p.x.rank()) - 2;
  p.win = TRY(window(d, slice(p.x.dims(), 2, p.x.dims().size()), TRY(kernel_shape(d, rank))));
  return p;
}

// How many taps a mean divides by.
Expr tap_count(const Window& win, Ix i, bool include_pad, DType t) {
  Dim n = 1;
  for (size_t k = 0; k < win.rank(); ++k) {
    if (win.inside || (include_pad && !win.ceil)) {
      n *= win.kernel[k];
    } else {
      n *= include_pad ? win.taps_on_padded(k, i[2 + k]) : win.taps_inside(k, i[2 + k]);
    }
  }
  return from_dim(n, t);
}

Tensor window_sum(Def& d, const Pooling& p, const std::function<Expr(Expr)>& term) {
  return d.reduce(Combiner::Sum, p.dims(), p.win.kernel,
                  [&](Ix i, Ix r) { return term(p.read(i, r, ex::number(p.x.dtype(), 0))); });
}

Dims ones_after_channels(const Tensor& x) {
  Dims dims{x.dim(0), x.dim(1)};
  dims.resize(static_cast<size_t>(x.rank()), Dim(1));
  return dims;
}

Dims global_at(Ix i, Ix r) { return concat({i[0], i[1]}, r); }

Result<Tensor> global_input(Def& d) {
  TRY(expect_numbers(d, {0}));
  Tensor x = d.in(0);
  if (x.rank() < 2) return invalid("input has rank {}, expected at least 2", x.rank());
  return x;
}

Expr power(Expr e, int64_t p) {
  e = abs(e);
  return p == 1 ? e : p == 2 ? e * e : pow(e, static_cast<double>(p));
}
Expr root(Expr e, int64_t p) { return p == 1 ? e : p == 2 ? sqrt(e) : pow(e, 1.0 / static_cast<double>(p)); }

}  // namespace

// MaxPool-22. x: [N, C, D...] -> y: [N, C, P...], indices: i64 [N, C, P...], flat positions in x, row-major or (storage_order
// 1) with the spatial dims column-major.
Result<void> define_max_pool(Def& d) {
  Pooling p = TRY(pooling(d));
  const Tensor& x = p.x;
  if (!d.wants(1)) {
    d.out(d.reduce(Combiner::Max, p.dims(), p.win.kernel,
                   [&](Ix i, Ix r) { return p.read(i, r, ex::lowest(x.dtype())); }));
    d.out({});
    return {};
  }
  bool column_major = d.i64("storage_order", 0) != 0;
  auto [value, index] = d.arg_reduce(Combiner::ArgMaxFirst, p.dims(), p.win.kernel, [&](Ix i, Ix r) {
    Dims at = p.at(i, r);
    Dim flat = i[0] * x.dim(1) + i[1], within = 0, step = 1;
    size_t rank = p.win.rank();
    for (size_t n = 0; n < rank; ++n) {
      size_t k = column_major ? n : rank - 1 - n;
      // A tap on padding can win only where all of x in the window is -inf; its index is then that of the nearest element.
      Dim position = p.win.inside ? at[2 + k] : min(max(at[2 + k], 0), p.win.in[k] - 1);
      within += position * step;
      step *= p.win.in[k];
    }
    return std::pair{p.read(i, r, ex::lowest(x.dtype())), as_index(flat * step + within)};
  });
  d.out(value);
  d.out(index);
  return {};
}

// AveragePool-22. x: [N, C, D...] -> [N, C, P...].
Result<void> define_average_pool(Def& d) {
  Pooling p = TRY(pooling(d));
  TRY(expect_floats(d, {0}));
  bool include_pad = d.i64("count_include_pad", 0) != 0;
  Tensor sum = window_sum(d, p, widen);
  d.out(d.map(sum.dims(),
              [&](Ix i) { return ex::cast(sum(i) / tap_count(p.win, i, include_pad, sum.dtype()), p.x.dtype()); }));
  return {};
}

// LpPool-22. (sum |x|^p)^(1/p) over the window.
Result<void> define_lp_pool(Def& d) {
  Pooling p = TRY(pooling(d));
  TRY(expect_floats(d, {0}));
  int64_t n = d.i64("p", 2);
  if (n < 1) return invalid("p is {}, expected at least 1", n);
  Tensor sum = window_sum(d, p, [&](Expr e) { return power(widen(e), n); });
  d.out(d.map(sum.dims(), [&](Ix i) { return ex::cast(root(sum(i), n), p.x.dtype()); }));
  return {};
}

// GlobalAveragePool-22. [N, C, D...] -> [N, C, 1...].
Result<void> define_global_average_pool(Def& d) {
  Tensor x = TRY(global_input(d));
  TRY(expect_floats(d, {0}));
  Dims spatial = slice(x.dims(), 2, x.dims().size());
  Tensor sum =
      d.reduce(Combiner::Sum, ones_after_channels(x), spatial, [&](Ix i, Ix r) { return widen(x(global_at(i, r))); });
  d.out(d.map(sum.dims(), [&](Ix i) { return ex::cast(sum(i) / from_dim(product(spatial), sum.dtype()), x.dtype()); }));
  return {};
}

// GlobalMaxPool-22.
Result<void> define_global_max_pool(Def& d) {
  Tensor x = TRY(global_input(d));
  d.out(d.reduce(Combiner::Max, ones_after_channels(x), slice(x.dims(), 2, x.dims().size()),
                 [&](Ix i, Ix r) { return x(global_at(i, r)); }));
  return {};
}

// GlobalLpPool-22.
Result<void> define_global_lp_pool(Def& d) {
  Tensor x = TRY(global_input(d));
  TRY(expect_floats(d, {0}));
  int64_t n = d.i64("p", 2);
  if (n < 1) return invalid("p is {}, expected at least 1", n);
  Tensor sum = d.reduce(Combiner::Sum, ones_after_channels(x), slice(x.dims(), 2, x.dims().size()),
                        [&](Ix i, Ix r) { return power(widen(x(global_at(i, r))), n); });
  d.out(d.map(sum.dims(), [&](Ix i) { return ex::cast(root(sum(i), n), x.dtype()); }));
  return {};
}

// MaxUnpool-22. x: [N, C, D...], indices: i64 of the same shape, flat positions in the inferred output; output_shape: i64 of
// the rank, at least as large as the inferred shape -> [N, C, P...], 0 where nothing was written.
Result<void> define_max_unpool(Def& d) {
  TRY(expect_numbers(d, {0, 1}));
  Tensor x = d.in(0), indices = d.in(1);
  if (x.rank() < 3 || indices.rank() != x.rank())
    return invalid("got ranks {} and {}, expected equal ones of at least 3", x.rank(), indices.rank());
  size_t rank = static_cast<size_t>(x.rank()) - 2;
  Dims kernel = TRY(kernel_shape(d, rank));
  std::vector<int64_t> stride = TRY(int_list(d, "strides", rank, 1, 1)),
                       pads = TRY(int_list(d, "pads", 2 * rank, 0, 0));
  Dims inferred{x.dim(0), x.dim(1)};
  for (size_t k = 0; k < rank; ++k)
    inferred.push_back((x.dims()[2 + k] - 1) * stride[k] - pads[k] - pads[k + rank] + kernel[k]);
  Dims out = inferred;
  if (d.has(2)) {
    out = TRY(d.integers_of_length(2, static_cast<int64_t>(inferred.size()), 0));
    if (out.size() != inferred.size())
      return invalid("output_shape has {} elements, expected {}", out.size(), inferred.size());
  }
  Tensor zeros = d.map(out, [&](Ix) { return ex::number(x.dtype(), 0); });
  d.out(d.scatter(Combiner::Assign, zeros, x.dims(), [&](Ix i) {
    Expr rest = as_index(indices(i));
    std::vector<Expr> at(inferred.size());
    for (size_t k = inferred.size(); k-- > 0;) {
      at[k] = k == 0 ? rest : ex::binary(ScalarOp::FloorMod, rest, as_index(inferred[k]));
      rest = rest / as_index(inferred[k]);
    }
    return std::pair{at, x(i)};
  }));
  return {};
}

// LRN-13. x / (bias + alpha/size * sum of the squares of `size` channels around)^beta.
Result<void> define_lrn(Def& d) {
  TRY(expect_floats(d, {0}));
  Tensor x = d.in(0);
  if (x.rank() < 2) return invalid("input has rank {}, expected at least 2", x.rank());
  int64_t size = d.i64("size", 0);
  if (size < 1 || size > kMaxWindowAttribute) return invalid("size is {}, expected at least 1", size);
  double alpha = d.f64("alpha", 1e-4), beta = d.f64("beta", 0.75), bias = d.f64("bias", 1.0);
  Tensor sum = d.reduce(Combiner::Sum, x.dims(), {size}, [&](Ix i, Ix r) {
    Dims at = i;
    at[1] = i[1] + r[0] - (size - 1) / 2;
    Expr e = widen(x.or_fill(at, ex::number(x.dtype(), 0)));
    return e * e;
  });
  d.out(d.map(x.dims(), [&](Ix i) {
    return ex::cast(widen(x(i)) / pow(sum(i) * (alpha / static_cast<double>(size)) + bias, beta), x.dtype());
  }));
  return {};
}

}  // namespace ingot
