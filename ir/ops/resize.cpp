// Resize: per resized axis a small table of source positions and weights, computed once as stages of their own, so that
// inner loops only gather and multiply.
//
//   coord[o] = ((o + 0.5) / scale) - 0.5, ...        one formula per coordinate_transformation_mode, in f32
//   nearest: y[.., o, ..] = x[.., at[o], ..]
//   linear:  two taps per axis, all axes in one map
//   cubic, antialias: one pass per axis: y[.., o, ..] = sum(t) w[o,t] * x[.., at[o,t], ..]
//
// Coordinates are taken in f32, as ONNX Runtime does; integer results are rounded to nearest even and saturated.
#include <cmath>

#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {

inline constexpr int64_t kMaxScaleDenominator = int64_t{1} << 40;

struct Axis {
  size_t dim;
  Dim in, out;
  Expr scale;  // f32
  Expr width;  // f32: scale * in, which need not be `out`
  std::optional<double> known_scale;
  Expr roi_start, roi_end;  // f32, for tf_crop_and_resize
  bool identity = false;
  // Tables.
  Tensor at, weight, outside;  // at, weight: [out] or [out, taps]
  Dim taps = 1;
};

// floor(d * scale), exactly.
Result<Dim> scaled(const Dim& d, double scale) {
  if (!(scale > 0) || !std::isfinite(scale)) return invalid("scale is {}, expected a positive number", scale);
  int64_t denominator = 1;
  double numerator = scale;
  while (numerator != std::floor(numerator)) {
    if (denominator >= kMaxScaleDenominator) return unsupported("scale {} is not a fraction over 2^40", scale);
    numerator *= 2;
    denominator *= 2;
  }
  if (numerator > 1e15) return limit_exceeded("scale is {}, expected at most 1e15 over its denominator", scale);
  return floordiv(d * static_cast<int64_t>(numerator), denominator);
}

Expr f32(double v) { return ex::number(DType::F32, v); }
Expr f32(const Dim& d) { return from_dim(d, DType::F32); }
Expr ceil(Expr e) { return ex::unary(ScalarOp::Ceil, std::move(e)); }

Result<Expr> coordinate(const Axis& a, const std::string& mode, const Dim& o) {
  Expr y = f32(o);
  if (mode == "half_pixel") return (y + 0.5) / a.scale - 0.5;
  if (mode == "asymmetric") return y / a.scale;
  if (mode == "pytorch_half_pixel") return ex::select(a.width > f32(1), (y + 0.5) / a.scale - 0.5, f32(0));
  if (mode == "tf_half_pixel_for_nn") return (y + 0.5) / a.scale;
  if (mode == "align_corners") return ex::select(eq(a.width, f32(1)), f32(0), y * f32(a.in - 1) / (a.width - 1));
  if (mode == "half_pixel_symmetric") {
    Expr offset = f32(a.in) / 2 * (1 - f32(a.out) / a.width);
    return offset + (y + 0.5) / a.scale - 0.5;
  }
  if (mode == "tf_crop_and_resize") {
    Expr last = f32(a.in - 1);
    return ex::select(a.width > f32(1), a.roi_start * last + y * (a.roi_end - a.roi_start) * last / (a.width - 1),
                      (a.roi_start + a.roi_end) * 0.5 * last);
  }
  return invalid("coordinate_transformation_mode is '{}', which is not known", mode);
}

Result<Expr> nearest(Expr x, const std::string& mode, const Axis& a) {
  if (mode == "round_prefer_floor") return ceil(x - 0.5);
  if (mode == "round_prefer_ceil") return floor(x + 0.5);
  if (mode == "floor") return floor(x);
  if (mode == "ceil") return ceil(x);
  if (mode == "simple") return ex::select(a.scale < f32(1), ceil(x), floor(x));  // Resize-10
  return invalid("nearest_mode is '{}', expected round_prefer_floor, round_prefer_ceil, floor or ceil", mode);
}

Expr cubic_weight(Expr x, double a) {
  x = abs(x);
  Expr near = ((a + 2) * x - (a + 3)) * x * x + 1;
  Expr far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return ex::select(x <= f32(1), near, ex::select(x < f32(2), far, f32(0)));
}

class Resizer {
 public:
  explicit Resizer(Def& d) : d_(d), x_(d.in(0)) {}

  Result<void> run() {
    mode_ = d_.str("mode", "nearest");
    if (mode_ == "bilinear") mode_ = "linear";
    TRY(expect_ranks(d_, {-1, 1, 1, 1}));
    TRY(expect_floats(d_, {1, 2}));
    TRY(expect_numbers(d_, {3}));
    if (mode_ != "nearest") TRY(expect_numbers(d_, {0}));
    if (mode_ != "nearest" && mode_ != "linear" && mode_ != "cubic")
      return invalid("mode is '{}', expected nearest, linear or cubic", mode_);
    transform_ = d_.str("coordinate_transformation_mode", "half_pixel");
    antialias_ = d_.i64("antialias", 0) != 0 && mode_ != "nearest";
    exclude_outside_ = d_.i64("exclude_outside", 0) != 0;
    TRY(axes());
    for (Axis& a : axes_) {
      if (!a.identity) TRY(tables(a));
    }
    out_ = x_.dims();
    for (const Axis& a : axes_) out_[a.dim] = a.out;
    Tensor y = mode_ == "nearest" ? gather() : mode_ == "linear" && !antialias_ ? linear() : passes();
    if (transform_ == "tf_crop_and_resize") y = extrapolate(y);
    if (y.dtype() != x_.dtype()) y = finish(y);
    d_.out(y);
    return {};
  }

 private:
  Result<void> axes() {
    size_t rank = x_.dims().size();
    std::vector<int64_t> listed = d_.ints("axes");
    std::vector<size_t> dims;
    if (listed.empty()) {
      for (size_t k = 0; k < rank; ++k) dims.push_back(k);
    } else {
      for (int64_t v : listed) dims.push_back(static_cast<size_t>(TRY(d_.axis(v, x_.rank()))));
    }
    size_t n = dims.size();
    TensorRef scales = d_.constant(2);
    bool has_sizes = d_.has(3) && !d_.in(3).type().numel().is(0);
    bool has_scales = d_.has(2) && !d_.in(2).type().numel().is(0);
    if (!has_sizes && !has_scales) return invalid("got neither scales nor sizes, expected one of them");
    if (has_scales && !d_.in(2).type().numel().is(static_cast<int64_t>(n))) {
      return invalid("scales has type {}, expected {} elements", d_.in(2).type().str(), n);
    }
    Dims sizes;
    if (has_sizes) {
      sizes = TRY(d_.integers_of_length(3, static_cast<int64_t>(n), 0));
      if (sizes.size() != n) return invalid("sizes has {} elements, expected {}", sizes.size(), n);
    } else if (!scales) {
      return unsupported("scales are known at run time only, expected sizes beside them");
    }
    std::string policy = d_.str("keep_aspect_ratio_policy", "stretch");
    if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller") {
      return invalid("keep_aspect_ratio_policy is '{}', expected stretch, not_larger or not_smaller", policy);
    }
    bool crop = transform_ == "tf_crop_and_resize";
    Tensor roi = d_.in(1);
    if (crop && (!roi || !roi.type().numel().is(static_cast<int64_t>(2 * n)))) {
      return invalid("roi has {} elements, expected {}", roi ? roi.type().numel().str() : "no", 2 * n);
    }
    for (size_t k = 0; k < n; ++k) {
      Axis a{dims[k], x_.dims()[dims[k]], {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
      if (has_scales) {
        if (scales) {
          a.known_scale = scales->number(static_cast<int64_t>(k));
          if (!(*a.known_scale > 0)) return invalid("scale {} is {}, expected a positive number", k, *a.known_scale);
          a.scale = f32(*a.known_scale);
        } else {
          a.scale = ex::cast(d_.in(2)(static_cast<int64_t>(k)), DType::F32);
        }
        a.out = has_sizes ? sizes[k] : TRY(scaled(a.in, *a.known_scale));
        a.width = a.scale * f32(a.in);
      } else if (policy == "stretch") {
        a.out = sizes[k];
        a.scale = f32(a.out) / f32(a.in);
        a.width = f32(a.out);
      } else {
        bool larger = policy == "not_smaller";
        Dim out;
        for (size_t j = 0; j < n; ++j) {  // round_half_up(in * size_j / in_j), monotone in the ratio
          const Dim& other = x_.dims()[dims[j]];
          Dim candidate = floordiv(2 * sizes[j] * a.in + other, 2 * other);
          Expr ratio = f32(sizes[j]) / f32(other);
          out = j == 0 ? candidate : larger ? max(out, candidate) : min(out, candidate);
          a.scale = j == 0 ? ratio : larger ? max(a.scale, ratio) : min(a.scale, ratio);
        }
        a.out = out;
        a.width = a.scale * f32(a.in);
      }
      if (crop) {
        a.roi_start = ex::cast(roi(static_cast<int64_t>(k)), DType::F32);
        a.roi_end = ex::cast(roi(static_cast<int64_t>(k + n)), DType::F32);
        if (TensorRef c = d_.constant(1)) {
          a.identity = c->number(static_cast<int64_t>(k)) == 0 && c->number(static_cast<int64_t>(k + n)) == 1 &&
                       known_equal(a.in, a.out);
        }
      } else {
        a.identity = known_equal(a.in, a.out) && (!a.known_scale || *a.known_scale == 1);
      }
      axes_.push_back(std::move(a));
    }
    return {};
  }

  Result<void> tables(Axis& a) {
    // The formulas are checked once outside of the stages, whose bodies cannot fail.
    TRY(coordinate(a, transform_, Dim(0)));
    std::string nearest_mode = d_.str("nearest_mode", "round_prefer_floor");
    TRY(nearest(f32(0), nearest_mode, a));
    auto at = [&](const Dim& o) { return *coordinate(a, transform_, o); };
    auto inside = [&](Expr i) { return min(max(ex::cast(std::move(i), DType::I64), as_index(0)), as_index(a.in - 1)); };
    if (transform_ == "tf_crop_and_resize") {
      a.outside = d_.map({a.out}, [&](Ix i) { return at(i[0]) < f32(0) || at(i[0]) > f32(a.in - 1); });
    }
    if (mode_ == "nearest") {
      a.at = d_.map({a.out}, [&](Ix i) { return inside(*nearest(at(i[0]), nearest_mode, a)); });
      return {};
    }
    if (mode_ == "linear" && !antialias_) {
      a.taps = 2;
      a.at = d_.map({a.out, 2}, [&](Ix i) { return inside(floor(at(i[0])) + f32(i[1])); });
      a.weight = d_.map({a.out, 2}, [&](Ix i) {
        Expr fraction = at(i[0]) - floor(at(i[0]));
        return ex::select(eq(as_index(i[1]), as_index(0)), 1 - fraction, fraction);
      });
      return {};
    }
    // `reach` taps on each side of the coordinate; an antialiasing filter widens with the step.
    bool cubic = mode_ == "cubic";
    double radius = cubic ? 2 : 1;
    Expr shrink = antialias_ ? min(a.scale, 1) : f32(1);
    Dim reach = static_cast<int64_t>(radius);
    if (antialias_) {
      if (a.known_scale) {
        double r = std::ceil(radius / std::min(*a.known_scale, 1.0));
        if (r > 1e6) return limit_exceeded("the antialiasing filter reaches {} elements, expected at most 1e6", r);
        reach = static_cast<int64_t>(r);
      } else {
        // ceil(radius * in / out): exact for stretched sizes, and no smaller than needed for the other policies.
        Dim ratio =
            ceildiv(reach * a.in, max(a.out, 1)) + (d_.str("keep_aspect_ratio_policy", "stretch") == "stretch" ? 0 : 1);
        reach = max(reach, ratio);
      }
    }
    a.taps = reach * 2;
    double coefficient = d_.f64("cubic_coeff_a", -0.75);
    // Tap t reads floor(x) + 1 - reach + t.
    auto position = [&](const Dim& o, const Dim& t) { return floor(at(o)) + f32(t + 1 - reach); };
    Tensor raw = d_.map({a.out, a.taps}, [&](Ix i) {
      Expr p = position(i[0], i[1]), distance = (p - at(i[0])) * shrink;
      Expr w = cubic ? cubic_weight(distance, coefficient) : max(1 - abs(distance), 0);
      if (!exclude_outside_) return w;
      return ex::select(p < f32(0) || p > f32(a.in - 1), f32(0), w);
    });
    a.at = d_.map({a.out, a.taps}, [&](Ix i) { return inside(position(i[0], i[1])); });
    if (!antialias_ && !exclude_outside_) {
      a.weight = raw;
      return {};
    }
    Tensor sum = d_.reduce(Combiner::Sum, {a.out}, {a.taps}, [&](Ix i, Ix r) { return raw(i[0], r[0]); });
    a.weight = d_.map({a.out, a.taps}, [&](Ix i) { return raw(i) / sum(i[0]); });
    return {};
  }

  std::vector<Expr> plain(Ix i) const {
    std::vector<Expr> at;
    for (const Dim& k : i) at.push_back(as_index(k));
    return at;
  }

  Tensor gather() {
    return d_.map(out_, [&](Ix i) {
      std::vector<Expr> at = plain(i);
      for (const Axis& a : axes_)
        if (!a.identity) at[a.dim] = a.at(i[a.dim]);
      return x_(at);
    });
  }

  DType compute_type() const { return x_.dtype() == DType::F64 ? DType::F64 : DType::F32; }

  Tensor linear() {
    DType t = compute_type();
    return d_.map(out_, [&](Ix i) {
      std::function<Expr(size_t, std::vector<Expr>)> along = [&](size_t k, std::vector<Expr> at) -> Expr {
        while (k < axes_.size() && axes_[k].identity) ++k;
        if (k == axes_.size()) return ex::cast(x_(at), t);
        const Axis& a = axes_[k];
        const Dim& o = i[a.dim];
        std::vector<Expr> right = at;
        at[a.dim] = a.at(o, 0);
        right[a.dim] = a.at(o, 1);
        return along(k + 1, at) * ex::cast(a.weight(o, 0), t) + along(k + 1, right) * ex::cast(a.weight(o, 1), t);
      };
      return along(0, plain(i));
    });
  }

  Tensor passes() {
    DType t = compute_type();
    Tensor v = x_;
    for (const Axis& a : axes_) {
      if (a.identity) continue;
      Dims dims = v.dims();
      dims[a.dim] = a.out;
      v = d_.reduce(Combiner::Sum, dims, {a.taps}, [&](Ix i, Ix r) {
        std::vector<Expr> at = plain(i);
        at[a.dim] = a.at(i[a.dim], r[0]);
        return ex::cast(v(at), t) * ex::cast(a.weight(i[a.dim], r[0]), t);
      });
    }
    return v;
  }

  Tensor extrapolate(const Tensor& y) {
    double value = d_.f64("extrapolation_value", 0);
    return d_.map(out_, [&](Ix i) {
      Expr outside = ex::boolean(false);
      for (const Axis& a : axes_)
        if (!a.identity) outside = outside || a.outside(i[a.dim]);
      return ex::select(outside, ex::number(y.dtype(), value), y(i));
    });
  }

  Tensor finish(const Tensor& y) {
    return d_.map(out_, [&](Ix i) {
      Expr e = y(i);
      if (!is_int(x_.dtype())) return ex::cast(e, x_.dtype());
      return ex::cast(round_even(e), x_.dtype());  // saturates: float to integer
    });
  }

  Def& d_;
  Tensor x_;
  std::vector<Axis> axes_;
  Dims out_;
  std::string mode_, transform_;
  bool antialias_ = false, exclude_outside_ = false;
};

}  // namespace

// Resize-19 where the extents follow from the types: x, roi, scales (constant, or beside sizes), sizes.
Result<void> define_resize_to(Def& d) { return Resizer(d).run(); }

// Resize-19. Scales that are known at run time only give sizes first: floor(shape * scales), a small tensor that inference
// follows.
Result<void> expand_resize(Expand& e) {
  Value *x = e.in(0), *roi = e.in(1), *scales = e.in(2), *sizes = e.in(3);
  for (Value* v : {x, roi, scales, sizes}) {
    if (v && !v->type.is_tensor()) return invalid("got {}, expected a tensor", v->type.str());
  }
  if (scales && scales->type.tensor.numel().is(0)) scales = nullptr;
  if (sizes && sizes->type.tensor.numel().is(0)) sizes = nullptr;
  if (scales && sizes) return invalid("got both scales and sizes, expected one of them");
  if (scales && !scales->constant) {
    Value* shape = TRY(e.op("shape", {x}));
    if (std::vector<int64_t> axes = e.ints("axes"); !axes.empty()) {
      for (int64_t& a : axes) {
        if (a < 0) a += x->type.tensor.rank();
      }
      shape = TRY(e.op("gather", {shape, e.ints_constant(axes)}, {{"axis", int64_t{0}}}));
    }
    Value* as_float = TRY(e.op("cast", {shape}, {{"to", int64_t{1}}}));
    Value* product = TRY(e.op("mul", {as_float, scales}));
    sizes = TRY(e.op("cast", {TRY(e.op("floor", {product}))}, {{"to", int64_t{7}}}));
  }
  e.out(TRY(e.op("resize_to", {x, roi, scales, sizes}, e.node().attrs)));
  return {};
}

}  // namespace ingot
