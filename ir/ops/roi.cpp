// Regions of interest: pooling over boxes that are data.
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {
inline constexpr int64_t kMaxRoiSamples = int64_t{1} << 24;  // sampling points of one output element
}

// MaxRoiPool-22. x: [N, C, H, W], rois: [R, 5] as (batch, x1, y1, x2, y2) -> [R, C, P, Q]. A bin's extent is data, so the
// maximum runs over the whole map and takes what lies in the bin.
Result<void> define_max_roi_pool(Def& d) {
  Tensor x = d.in(0), rois = d.in(1);
  TRY(expect_ranks(d, {4, 2, 1}));
  TRY(expect_same_floats(d, {0, 1}));
  TRY(expect_numbers(d, {2}));
  std::vector<int64_t> pooled = TRY(int_list(d, "pooled_shape", 2, 1, 1));
  double spatial_scale = d.f64("spatial_scale", 1.0);
  DType t = accumulator(x.dtype());
  // bounds[roi, which, bin]: first and last+1 row (which 0, 1) and column (2, 3) of a bin.
  int64_t bins = std::max(pooled[0], pooled[1]);
  Tensor bounds = d.map({rois.dim(0), 4, bins}, [&](Ix i) {
    Dim axis = floordiv(i[1], 2), is_end = mod(i[1], 2);  // axis 0: rows (y), 1: columns (x)
    auto corner = [&](int64_t first) {  // round half away from zero; corners are not negative in sound models
      Expr v = widen(rois(i[0], Dim(first) - axis)) * spatial_scale;
      return floor(v + 0.5);
    };
    Expr start = corner(2), last = corner(4);
    Expr extent = max(last - start + 1, 1);
    Expr count = ex::select(eq(as_index(axis), as_index(0)), ex::number(t, static_cast<double>(pooled[0])),
                            ex::number(t, static_cast<double>(pooled[1])));
    Expr bin = extent / count, p = from_dim(i[2], t);
    Expr edge = ex::select(eq(as_index(is_end), as_index(0)), floor(p * bin), ex::unary(ScalarOp::Ceil, (p + 1) * bin));
    Expr limit = as_index(select(equal(axis, 0), x.dim(2), x.dim(3)));
    return min(max(ex::cast(edge + start, DType::I64), as_index(0)), limit);
  });
  Tensor best =
      d.reduce(Combiner::Max, {rois.dim(0), x.dim(1), pooled[0], pooled[1]}, {x.dim(2), x.dim(3)}, [&](Ix i, Ix r) {
        Expr in = as_index(r[0]) >= bounds(i[0], 0, i[2]) && as_index(r[0]) < bounds(i[0], 1, i[2]) &&
                  as_index(r[1]) >= bounds(i[0], 2, i[3]) && as_index(r[1]) < bounds(i[0], 3, i[3]);
        Expr v = x(ex::cast(rois(i[0], 0), DType::I64), i[1], r[0], r[1]);
        return ex::select(in, v, ex::lowest(x.dtype()));
      });
  d.out(d.map(best.dims(), [&](Ix i) {  // an empty bin gives 0
    Expr empty = bounds(i[0], 0, i[2]) >= bounds(i[0], 1, i[2]) || bounds(i[0], 2, i[3]) >= bounds(i[0], 3, i[3]);
    return ex::select(empty, ex::number(x.dtype(), 0), best(i));
  }));
  return {};
}

// RoiAlign-22. x: [N, C, H, W], rois: [R, 4] as (x1, y1, x2, y2), batch_indices: [R] -> [R, C, P, Q]. With a sampling_ratio
// the samples are a reduction; without, their number is data and they are a walk.
Result<void> define_roi_align(Def& d) {
  Tensor x = d.in(0), rois = d.in(1), batch = d.in(2);
  TRY(expect_ranks(d, {4, 2, 1}));
  TRY(expect_same_floats(d, {0, 1}));
  TRY(expect_numbers(d, {2}));
  int64_t ph = d.i64("output_height", 1), pw = d.i64("output_width", 1), ratio = d.i64("sampling_ratio", 0);
  if (ph < 1 || pw < 1 || ph > kMaxWindowAttribute || pw > kMaxWindowAttribute || ratio < 0 || ratio > 4096) {
    return invalid("got output {} x {} and sampling_ratio {}, expected positive extents and a ratio in [0, 4096]", ph,
                   pw, ratio);
  }
  double spatial_scale = d.f64("spatial_scale", 1.0);
  bool half = d.str("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  std::string mode = d.str("mode", "avg");
  if (mode != "avg" && mode != "max") return invalid("mode is '{}', expected avg or max", mode);
  bool average = mode == "avg";
  DType t = accumulator(x.dtype());
  // box[roi, axis, what]: start, bin size, samples per bin; axis 0: rows.
  Tensor box = d.map({rois.dim(0), 2, 3}, [&](Ix i) {
    double offset = half ? 0.5 : 0;
    auto corner = [&](int64_t c) { return widen(rois(i[0], Dim(c) - i[1])) * spatial_scale - offset; };
    Expr start = corner(1), extent = corner(3) - start;
    if (!half) extent = max(extent, 1);
    Expr bin = extent / ex::cast(as_index(select(equal(i[1], 0), Dim(ph), Dim(pw))), t);
    Expr samples = ratio > 0 ? ex::number(t, static_cast<double>(ratio)) : ex::unary(ScalarOp::Ceil, bin);
    return ex::select(eq(as_index(i[2]), as_index(0)), start,
                      ex::select(eq(as_index(i[2]), as_index(1)), bin, samples));
  });
  Dims dims{rois.dim(0), x.dim(1), ph, pw};
  auto point = [&](Ix i, int axis, const Expr& sample) {
    const Dim& p = axis == 0 ? i[2] : i[3];
    Expr bin = box(i[0], axis, 1);
    return box(i[0], axis, 0) + from_dim(p, t) * bin + (sample + 0.5) * bin / box(i[0], axis, 2);
  };
  auto value = [&](Ix i, const Expr& sy, const Expr& sx) {
    Expr y = point(i, 0, sy), z = point(i, 1, sx);
    auto outside = [&](const Expr& v, int dim) { return v < ex::number(t, -1) || v > from_dim(x.dim(dim), t); };
    Expr out = outside(y, 2) || outside(z, 3);
    auto low = [&](Expr v, int dim, Expr& weight) {
      v = max(v, 0);
      Expr last = from_dim(x.dim(dim) - 1, t);
      Expr l = min(floor(v), last);
      weight = min(v, last) - l;
      return ex::cast(ex::select(out, ex::number(t, 0), l), DType::I64);
    };
    Expr fy, fz;
    Expr y0 = low(y, 2, fy), z0 = low(z, 3, fz);
    Expr y1 = min(y0 + 1, as_index(x.dim(2) - 1)), z1 = min(z0 + 1, as_index(x.dim(3) - 1));
    Expr b = as_index(batch(i[0]));
    auto tap = [&](const Expr& r, const Expr& c) { return widen(x(b, i[1], r, c)); };
    Expr a = (1 - fy) * (1 - fz) * tap(y0, z0), bb = (1 - fy) * fz * tap(y0, z1), c = fy * (1 - fz) * tap(y1, z0),
         e = fy * fz * tap(y1, z1);
    Expr v = average ? a + bb + c + e : max(max(a, bb), max(c, e));
    return ex::select(out, ex::number(t, 0), v);
  };
  Tensor total;
  if (ratio > 0) {
    total = d.reduce(average ? Combiner::Sum : Combiner::Max, dims, {ratio, ratio},
                     [&](Ix i, Ix r) { return value(i, from_dim(r[0], t), from_dim(r[1], t)); });
  } else {
    // States: sample row, sample column, result so far.
    total = d.walk(
        dims, kMaxRoiSamples,
        [&](Ix) {
          return std::vector<Expr>{ex::number(t, 0), ex::number(t, 0), average ? ex::number(t, 0) : ex::lowest(t)};
        },
        [&](Ix i, const std::vector<Expr>& s) { return s[0] < box(i[0], 0, 2) && box(i[0], 1, 2) > ex::number(t, 0); },
        [&](Ix i, const std::vector<Expr>& s) {
          Expr v = value(i, s[0], s[1]);
          Expr wrap = s[1] + 1 >= box(i[0], 1, 2);
          return std::vector<Expr>{ex::select(wrap, s[0] + 1, s[0]), ex::select(wrap, ex::number(t, 0), s[1] + 1),
                                   average ? s[2] + v : max(s[2], v)};
        })[2];
  }
  d.out(d.map(dims, [&](Ix i) {
    Expr v = total(i);
    if (average) {
      v = v / max(max(box(i[0], 0, 2), 0) * max(box(i[0], 1, 2), 0), 1);
    } else {
      v = ex::select(eq(v, ex::lowest(t)), ex::number(t, 0), v);
    }
    return ex::cast(v, x.dtype());
  }));
  return {};
}

}  // namespace ingot
