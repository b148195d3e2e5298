// Normalisations: two reductions (mean, mean of squared differences) and a map.
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {

struct Moments {
  Tensor mean, variance;
};

// Mean and variance of x over `reduced`; `at` gives x's index for an index of the result and a reduced one.
Moments moments(Def& d, const Tensor& x, const Dims& dims, const Dims& reduced, DType t,
                const std::function<Dims(Ix, Ix)>& at) {
  Expr count = from_dim(product(reduced), t);
  Tensor sum = d.reduce(Combiner::Sum, dims, reduced, [&](Ix i, Ix r) { return ex::cast(x(at(i, r)), t); });
  Tensor mean = d.map(dims, [&](Ix i) { return sum(i) / count; });
  Tensor squares = d.reduce(Combiner::Sum, dims, reduced, [&](Ix i, Ix r) {
    Expr e = ex::cast(x(at(i, r)), t) - mean(i);
    return e * e;
  });
  Tensor variance = d.map(dims, [&](Ix i) { return squares(i) / count; });
  return {mean, variance};
}

// stash_type: the type in which normalisation is computed. f32 unless the node names another or x is f64.
Result<DType> stash_type(const Def& d, DType x) {
  if (!d.has_attr("stash_type")) return accumulator(x);
  DType t = onnx_dtype(d.i64("stash_type", 1));
  if (t != DType::F32 && t != DType::F64 && t != DType::F16 && t != DType::BF16) {
    return invalid("stash_type is {}, expected a float type", d.i64("stash_type", 1));
  }
  // Narrower than x would lose digits that ONNX's reference keeps.
  return x == DType::F64 ? DType::F64 : accumulator(t);
}

Result<void> expect_per_channel(Def& d, int input, const Dim& channels) {
  Tensor t = d.in(input);
  return d.require(equal(t.type().numel(), channels),
                   fmt::format("input {} has type {}, expected {} elements", input, t.type().str(), channels.str()));
}

}  // namespace

// BatchNormalization-15. x: [N, C, D...], scale, b, mean, var: [C] -> y; in training_mode also running_mean and running_var.
// Per channel it is one multiplication and one addition, whose factors fold.
Result<void> define_batch_normalization(Def& d) {
  TRY(expect_floats(d, {0, 1, 2, 3, 4}));
  Tensor x = d.in(0), scale = d.in(1), b = d.in(2), in_mean = d.in(3), in_var = d.in(4);
  if (x.rank() < 1) return invalid("input has rank {}, expected at least 1", x.rank());
  Dim channels = x.rank() > 1 ? x.dim(1) : Dim(1);
  size_t axis = x.rank() > 1 ? 1 : 0;
  for (int k = 1; k < 5; ++k) TRY(expect_per_channel(d, k, channels));
  double epsilon = d.f64("epsilon", 1e-5), momentum = d.f64("momentum", 0.9);
  DType t = accumulator(x.dtype());
  if (in_var.dtype() == DType::F64) t = DType::F64;
  auto channel = [&](const Tensor& v) { return [v, t](const Dim& c) { return ex::cast(per_channel(v, c), t); }; };
  std::function<Expr(const Dim&)> mean = channel(in_mean), var = channel(in_var);
  Moments m;
  bool training = d.i64("training_mode", 0) != 0;
  if (training) {
    Dims reduced = x.dims();
    reduced.erase(reduced.begin() + static_cast<long>(axis));
    m = moments(d, x, {channels}, reduced, t, [&](Ix i, Ix r) {
      Dims at = r;
      at.insert(at.begin() + static_cast<long>(axis), i[0]);
      return at;
    });
    mean = [&](const Dim& c) { return m.mean(c); };
    var = [&](const Dim& c) { return m.variance(c); };
  }
  auto factors = d.map_tuple({channels}, [&](Ix i) {
    Expr a = ex::cast(per_channel(scale, i[0]), t) / sqrt(var(i[0]) + epsilon);
    return std::vector<Expr>{a, ex::cast(per_channel(b, i[0]), t) - mean(i[0]) * a};
  });
  d.out(d.map(x.dims(), [&](Ix i) {
    Dim c = x.rank() > 1 ? i[axis] : Dim(0);
    return ex::cast(ex::cast(x(i), t) * factors[0](c) + factors[1](c), x.dtype());
  }));
  if (training) {
    auto running = [&](const Tensor& old, const Tensor& now) {
      return d.map({channels}, [&](Ix i) {
        return ex::cast(ex::cast(per_channel(old, i[0]), t) * momentum + now(i) * (1 - momentum), old.dtype());
      });
    };
    d.out(running(in_mean, m.mean));
    d.out(running(in_var, m.variance));
  }
  return {};
}

// InstanceNormalization-22. x: [N, C, D...], scale, b: [C].
Result<void> define_instance_normalization(Def& d) {
  TRY(expect_floats(d, {0, 1, 2}));
  Tensor x = d.in(0), scale = d.in(1), b = d.in(2);
  if (x.rank() < 3) return invalid("input has rank {}, expected at least 3", x.rank());
  TRY(expect_per_channel(d, 1, x.dim(1)));
  TRY(expect_per_channel(d, 2, x.dim(1)));
  double epsilon = d.f64("epsilon", 1e-5);
  DType t = accumulator(x.dtype());
  Moments m = moments(d, x, {x.dim(0), x.dim(1)}, slice(x.dims(), 2, x.dims().size()), t,
                      [](Ix i, Ix r) { return concat(i, r); });
  auto factors = d.map_tuple({x.dim(0), x.dim(1)}, [&](Ix i) {
    Expr a = ex::cast(per_channel(scale, i[1]), t) / sqrt(m.variance(i) + epsilon);
    return std::vector<Expr>{a, ex::cast(per_channel(b, i[1]), t) - m.mean(i) * a};
  });
  d.out(d.map(x.dims(), [&](Ix i) {
    return ex::cast(ex::cast(x(i), t) * factors[0](i[0], i[1]) + factors[1](i[0], i[1]), x.dtype());
  }));
  return {};
}

// GroupNormalization-21. x: [N, C, D...], scale, bias: [C] (or [num_groups], as in opset 18).
Result<void> define_group_normalization(Def& d) {
  TRY(expect_floats(d, {0, 1, 2}));
  Tensor x = d.in(0), scale = d.in(1), bias = d.in(2);
  if (x.rank() < 2) return invalid("input has rank {}, expected at least 2", x.rank());
  int64_t groups = d.i64("num_groups", 0);
  if (groups < 1) return invalid("num_groups is {}, expected at least 1", groups);
  TRY(d.require(equal(mod(x.dim(1), groups), 0),
                fmt::format("input has {} channels, expected a multiple of num_groups {}", x.dim(1).str(), groups)));
  double epsilon = d.f64("epsilon", 1e-5);
  DType t = TRY(stash_type(d, x.dtype()));
  Dim size = floordiv(x.dim(1), groups);
  bool per_group = scale.type().numel().is(groups) && !x.dim(1).is(groups);
  if (!per_group) {
    TRY(expect_per_channel(d, 1, x.dim(1)));
    TRY(expect_per_channel(d, 2, x.dim(1)));
  }
  Dims spatial = slice(x.dims(), 2, x.dims().size());
  Moments m = moments(d, x, {x.dim(0), groups}, concat({size}, spatial), t, [&](Ix i, Ix r) {
    Dims at{i[0], i[1] * size + r[0]};
    at.insert(at.end(), r.begin() + 1, r.end());
    return at;
  });
  auto factors = d.map_tuple({x.dim(0), x.dim(1)}, [&](Ix i) {
    Dim g = floordiv(i[1], size), c = per_group ? g : i[1];
    Expr a = ex::cast(per_channel(scale, c), t) / sqrt(m.variance(i[0], g) + epsilon);
    return std::vector<Expr>{a, ex::cast(per_channel(bias, c), t) - m.mean(i[0], g) * a};
  });
  d.out(d.map(x.dims(), [&](Ix i) {
    return ex::cast(ex::cast(x(i), t) * factors[0](i[0], i[1]) + factors[1](i[0], i[1]), x.dtype());
  }));
  return {};
}

namespace {

// Splits x's dims at `axis`; the kept dims are followed by ones.
struct Rows {
  size_t axis;
  Dims kept, reduced, stat_dims;
};
Result<Rows> rows(const Def& d, const Tensor& x) {
  if (x.rank() < 1) return invalid("input has rank 0, expected at least 1");
  size_t axis = static_cast<size_t>(TRY(d.axis(d.i64("axis", -1), x.rank())));
  Rows r{axis, slice(x.dims(), 0, axis), slice(x.dims(), axis, x.dims().size()), {}};
  r.stat_dims = r.kept;
  r.stat_dims.resize(x.dims().size(), Dim(1));
  return r;
}

}  // namespace

// LayerNormalization-17. x: [..., N...], scale, b: broadcast to N... -> y, mean and inv_std_dev: [..., 1...].
Result<void> define_layer_normalization(Def& d) {
  TRY(expect_floats(d, {0, 1, 2}));
  Tensor x = d.in(0), scale = d.in(1), b = d.in(2);
  Rows r = TRY(rows(d, x));
  DType t = TRY(stash_type(d, x.dtype()));
  double epsilon = d.f64("epsilon", 1e-5);
  Moments m = moments(d, x, r.kept, r.reduced, t, [](Ix i, Ix q) { return concat(i, q); });
  Tensor inv = d.map(r.kept, [&](Ix i) { return rsqrt(m.variance(i) + epsilon); });
  if (b) TRY(expect_fits(d, b, x.dims()));
  TRY(expect_fits(d, scale, x.dims()));
  d.out(d.map(x.dims(), [&](Ix i) {
    Dims row = slice(i, 0, r.axis);
    Expr n = (ex::cast(x(i), t) - m.mean(row)) * inv(row);
    Expr e = n * ex::cast(scale.broadcast(i), t);
    if (b) e = e + ex::cast(b.broadcast(i), t);
    return ex::cast(e, x.dtype());
  }));
  auto stat = [&](const Tensor& s) { return d.map(r.stat_dims, [&](Ix i) { return s(slice(i, 0, r.axis)); }); };
  d.out(d.wants(1) ? stat(m.mean) : Tensor());
  d.out(d.wants(2) ? stat(inv) : Tensor());
  return {};
}

// RMSNormalization-23. x: [..., N...], scale: broadcast to N...
Result<void> define_rms_normalization(Def& d) {
  TRY(expect_floats(d, {0, 1}));
  Tensor x = d.in(0), scale = d.in(1);
  Rows r = TRY(rows(d, x));
  DType t = TRY(stash_type(d, x.dtype()));
  double epsilon = d.f64("epsilon", 1e-5);
  TRY(expect_fits(d, scale, x.dims()));
  Tensor sum = d.reduce(Combiner::Sum, r.kept, r.reduced, [&](Ix i, Ix q) {
    Expr e = ex::cast(x(concat(i, q)), t);
    return e * e;
  });
  Expr count = from_dim(product(r.reduced), t);
  Tensor inv = d.map(r.kept, [&](Ix i) { return rsqrt(sum(i) / count + epsilon); });
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr n = ex::cast(x(i), t) * inv(slice(i, 0, r.axis));
    return ex::cast(n * ex::cast(scale.broadcast(i), t), x.dtype());
  }));
  return {};
}

// LpNormalization-22. x / (sum |x|^p along axis)^(1/p); 0 where that is 0.
Result<void> define_lp_normalization(Def& d) {
  TRY(expect_floats(d, {0}));
  Tensor x = d.in(0);
  size_t axis = static_cast<size_t>(TRY(d.axis(d.i64("axis", -1), x.rank())));
  int64_t p = d.i64("p", 2);
  if (p != 1 && p != 2) return invalid("p is {}, expected 1 or 2", p);
  Dims dims = x.dims();
  dims.erase(dims.begin() + static_cast<long>(axis));
  Tensor sum = d.reduce(Combiner::Sum, dims, {x.dims()[axis]}, [&](Ix i, Ix r) {
    Dims at = i;
    at.insert(at.begin() + static_cast<long>(axis), r[0]);
    Expr e = widen(x(at));
    return p == 1 ? abs(e) : e * e;
  });
  Tensor norm = d.map(dims, [&](Ix i) { return p == 1 ? sum(i) : sqrt(sum(i)); });
  d.out(d.map(x.dims(), [&](Ix i) {
    Dims at = i;
    at.erase(at.begin() + static_cast<long>(axis));
    Expr n = norm(at), zero = ex::number(n.type(), 0);
    return ex::cast(ex::select(eq(n, zero), zero, widen(x(i)) / n), x.dtype());
  }));
  return {};
}

// MeanVarianceNormalization-13. (x - mean) / (std + 1e-9) over `axes`.
Result<void> define_mean_variance_normalization(Def& d) {
  TRY(expect_floats(d, {0}));
  Tensor x = d.in(0);
  std::vector<int64_t> axes = d.ints("axes", {0, 2, 3});
  std::vector<bool> reduce(x.dims().size(), false);
  for (int64_t a : axes) reduce[static_cast<size_t>(TRY(d.axis(a, x.rank())))] = true;
  Dims kept, reduced;
  for (size_t k = 0; k < reduce.size(); ++k) (reduce[k] ? reduced : kept).push_back(x.dims()[k]);
  DType t = accumulator(x.dtype());
  Moments m = moments(d, x, kept, reduced, t, [&](Ix i, Ix r) {
    Dims at;
    size_t a = 0, b = 0;
    for (size_t k = 0; k < reduce.size(); ++k) at.push_back(reduce[k] ? r[b++] : i[a++]);
    return at;
  });
  d.out(d.map(x.dims(), [&](Ix i) {
    Dims at;
    for (size_t k = 0; k < reduce.size(); ++k)
      if (!reduce[k]) at.push_back(i[k]);
    return ex::cast((ex::cast(x(i), t) - m.mean(at)) / (sqrt(m.variance(at)) + 1e-9), x.dtype());
  }));
  return {};
}

}  // namespace ingot
