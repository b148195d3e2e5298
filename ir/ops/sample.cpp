// Sampling of images at computed places: AffineGrid, GridSample; and Col2Im. For any number of spatial dims.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

// AffineGrid-20. theta: [N, d, d + 1], size: [d + 2] = (N, C, spatial...) -> [N, spatial..., d]: the coordinates (x, y,
// z), in [-1, 1] over the image, that each place of the grid is mapped to.
Result<void> define_affine_grid(Def& d) {
  TRY(expect_arithmetic(d, 1));
  TRY(expect_tensors(d, 2));
  Tensor theta = d.in(0);
  if (theta.rank() != 3) return invalid("theta has rank {}, expected 3", theta.rank());
  // As many spatial dims as the matrices of theta say, or the declared rank of the result.
  const std::optional<int64_t> rows = theta.dim(1).constant();
  const std::optional<int> declared = d.declared_rank(0);
  Dims size = TRY(rows       ? d.integers_of_length(1, *rows + 2, 0)
                  : declared ? d.integers_of_length(1, *declared, 0)
                             : d.integers(1, 0));
  if (size.size() != 4 && size.size() != 5) return invalid("size has {} entries, expected 4 or 5", size.size());
  auto spatial = static_cast<int64_t>(size.size()) - 2;
  TRY(d.require(
      equal(theta.dim(1), spatial) * equal(theta.dim(2), spatial + 1),
      fmt::format("theta has type {}, expected matrices of {} x {}", theta.type().str(), spatial, spatial + 1)));
  TRY(d.require(equal(theta.dim(0), size[0]),
                fmt::format("theta has batch {}, expected that of size, {}", theta.dim(0).str(), size[0].str())));
  bool align = d.i64("align_corners", 0);
  DType t = compute_type(theta.dtype());
  Dims dims = slice_of(size, 2, static_cast<int>(size.size()));
  dims.insert(dims.begin(), theta.dim(0));
  dims.push_back(spatial);
  d.out(d.map(dims, [&](Ix i) {
    Expr y = widen(theta(i[0], i.back(), spatial));
    for (int64_t k = 0; k < spatial; ++k) {
      auto axis = static_cast<size_t>(spatial - k);  // x is the last spatial dim
      const Dim& n = dims[axis];
      Expr at = dim_as(i[axis], t);
      Expr place = align ? at * (2.0 / dim_as(max(n - 1, 1), t)) - 1.0 : (at * 2.0 + 1.0) / dim_as(n, t) - 1.0;
      y = y + widen(theta(i[0], i.back(), k)) * place;
    }
    return ex::cast(y, theta.dtype());
  }));
  return {};
}

namespace {

struct Sampler {
  bool align;
  std::string padding;

  // From [-1, 1] to pixels: the corners are the centres of the outer pixels (align), or their outer edges.
  Expr pixel(const Expr& v, const Dim& n) const {
    DType t = v.type();
    return align ? (v + 1.0) * 0.5 * dim_as(n - 1, t) : ((v + 1.0) * dim_as(n, t) - 1.0) * 0.5;
  }
  // Brings a coordinate that lies outside of the outer pixels (their centres or edges, as `align` says) into the image:
  // clamped to a centre, or mirrored. Between edge and centre it stays: there, cubic curves go on.
  Expr inside(const Expr& v, const Dim& n) const {
    DType t = v.type();
    if (padding == "zeros") return v;
    Expr lo = ex::number(t, align ? 0 : -0.5), hi = dim_as(n, t) - (align ? 1.0 : 0.5);
    if (padding == "border") return ex::select(v < lo, zero(t), ex::select(v > hi, dim_as(n - 1, t), v));
    Expr range = hi - lo, away = abs(v - lo);
    Expr turns = floor(away / range), rest = away - turns * range;
    Expr even = eq(turns, floor(turns * 0.5) * 2.0);
    Expr mirrored = ex::select(even, lo + rest, hi - rest);
    Expr folded = ex::select(range > zero(t), mirrored, lo);
    return ex::select(v < lo || v > hi, folded, v);
  }
  // The same for the number of a pixel; with zeros, the read decides.
  Expr pixel_inside(const Expr& i, const Dim& n) const {
    if (padding == "border") return clamp_index(i, 0, n - 1);
    if (padding != "reflection") return i;
    Dim period = max(align ? (n - 1) * 2 : n * 2, 1);
    Expr m = ex::binary(ScalarOp::FloorMod, i, ex::index(period));
    return min(m, ex::index(period - (align ? 0 : 1)) - m);
  }
};

// The weight of a tap at this distance: linear, or Keys' cubic with a = -0.75.
Expr linear_weight(const Expr& distance) { return 1.0 - distance; }
Expr cubic_weight(const Expr& x) {
  constexpr double a = -0.75;
  Expr near = (x * (a + 2) - (a + 3)) * x * x + 1.0;
  Expr far = ((x * a - 5 * a) * x + 8 * a) * x - 4 * a;
  return ex::select(x <= one(x.type()), near, far);
}

}  // namespace

// GridSample-22. x: [N, C, spatial...], grid: [N, out..., d] of (x, y, z) in [-1, 1] -> [N, C, out...].
// mode: nearest, linear (bilinear), cubic (bicubic); padding_mode: zeros, border, reflection.
Result<void> define_grid_sample(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor x = d.in(0), grid = d.in(1);
  int spatial = x.rank() - 2;
  if (spatial < 1 || grid.rank() != x.rank()) {
    return invalid("x and grid have ranks {} and {}, expected one rank of at least 3", x.rank(), grid.rank());
  }
  TRY(d.require(equal(grid.dims().back(), spatial),
                fmt::format("grid has {} coordinates, expected {}", grid.dims().back().str(), spatial)));
  std::string mode = d.str("mode", "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  if (mode != "nearest" && mode != "linear" && mode != "cubic") {
    return invalid("mode is '{}', expected 'nearest', 'linear' or 'cubic'", mode);
  }
  Sampler s{d.i64("align_corners", 0) != 0, d.str("padding_mode", "zeros")};
  if (s.padding != "zeros" && s.padding != "border" && s.padding != "reflection") {
    return invalid("padding_mode is '{}', expected 'zeros', 'border' or 'reflection'", s.padding);
  }
  Dims out_dims = slice_of(grid.dims(), 1, grid.rank() - 1);
  Dims places = joined({grid.dim(0)}, out_dims), dims = joined({x.dim(0), x.dim(1)}, out_dims);
  for (int k = 0; k < spatial && s.padding != "zeros"; ++k) {
    TRY(d.require(max(less(0, x.dim(2 + k)), equal(product(dims), 0)),
                  fmt::format("dimension {} is empty, expected an element to sample", 2 + k)));
  }
  // The coordinate of a place along spatial dim k of x, in pixels.
  auto coordinate = [&](Ix place, int k) {
    Dims at = place;
    at.push_back(spatial - 1 - k);
    return s.pixel(widen(grid(at)), x.dim(2 + k));
  };
  auto read = [&](const Dim& n, const Dim& c, const std::vector<Expr>& pixels) {
    std::vector<Expr> at{ex::index(n), ex::index(c)};
    at.insert(at.end(), pixels.begin(), pixels.end());
    return s.padding == "zeros" ? x.or_fill(at, zero(x.dtype())) : x(at);
  };
  if (mode == "nearest") {
    d.out(d.map(dims, [&](Ix i) {
      Dims place = without(i, 1);
      std::vector<Expr> pixels;
      for (int k = 0; k < spatial; ++k) {
        Expr rounded = ex::cast(ex::unary(ScalarOp::RoundEven, coordinate(place, k)), DType::I64);
        pixels.push_back(s.pixel_inside(rounded, x.dim(2 + k)));
      }
      return read(i[0], i[1], pixels);
    }));
    return {};
  }
  bool cubic = mode == "cubic";
  std::vector<Tensor> coordinates;
  for (int k = 0; k < spatial; ++k) {
    coordinates.push_back(d.map(places, [&](Ix i) { return s.inside(coordinate(i, k), x.dim(2 + k)); }));
  }
  DType t = compute_type(x.dtype());
  int64_t taps = cubic ? 4 : 2, first = cubic ? -1 : 0;
  Tensor y = d.reduce(Combiner::Sum, dims, Dims(static_cast<size_t>(spatial), Dim(taps)), [&](Ix i, Ix r) {
    Dims place = without(i, 1);
    std::vector<Expr> pixels;
    Expr weight;
    for (int k = 0; k < spatial; ++k) {
      Expr v = coordinates[static_cast<size_t>(k)](place), base = floor(v);
      Dim tap = r[static_cast<size_t>(k)] + first;
      Expr distance = abs(v - base - dim_as(tap, v.type()));
      Expr w = cubic ? cubic_weight(distance) : linear_weight(distance);
      weight = weight ? weight * w : w;
      pixels.push_back(s.pixel_inside(ex::cast(base, DType::I64) + ex::index(tap), x.dim(2 + k)));
    }
    return ex::cast(weight, t) * widen(read(i[0], i[1], pixels));
  });
  d.out(converted(d, y, x.dtype()));
  return {};
}

// Col2Im-18. x: [N, C*prod(block), L], image_shape, block_shape: [d] -> [N, C, image...]: each image element is the sum
// of the blocks' elements that lie on it; L numbers the blocks in row-major order.
Result<void> define_col2im(Def& d) {
  TRY(expect_arithmetic(d, 1));
  TRY(expect_tensors(d, 3));
  Tensor x = d.in(0);
  if (x.rank() != 3) return invalid("input has rank {}, expected 3", x.rank());
  std::vector<int64_t> dilations = d.ints("dilations"), strides = d.ints("strides"), pads = d.ints("pads");
  // The number of spatial dims, from whatever says it.
  std::optional<int64_t> spatial;
  for (int k : {1, 2}) {
    if (auto known = d.in(k).type().numel().constant()) spatial = spatial.value_or(*known);
  }
  for (const auto* list : {&dilations, &strides}) {
    if (!spatial && !list->empty()) spatial = static_cast<int64_t>(list->size());
  }
  if (!spatial && !pads.empty()) spatial = static_cast<int64_t>(pads.size() / 2);
  if (auto declared = d.declared_rank(0); !spatial && declared) spatial = *declared - 2;
  Dims image = TRY(spatial ? d.integers_of_length(1, *spatial, 0) : d.integers(1, 0)),
       block = TRY(spatial ? d.integers_of_length(2, *spatial, 1) : d.integers(2, 1));
  size_t n = image.size();
  if (dilations.empty()) dilations.assign(n, 1);
  if (strides.empty()) strides.assign(n, 1);
  if (pads.empty()) pads.assign(2 * n, 0);
  if (block.size() != n || dilations.size() != n || strides.size() != n || pads.size() != 2 * n) {
    return invalid("got {} block dims, {} dilations, {} strides, {} pads, expected {}, {}, {}, {}", block.size(),
                   dilations.size(), strides.size(), pads.size(), n, n, n, 2 * n);
  }
  Dims blocks;
  for (size_t k = 0; k < n; ++k) {
    if (strides[k] < 1 || dilations[k] < 1)
      return invalid("got stride {} and dilation {}, expected positive numbers", strides[k], dilations[k]);
    blocks.push_back(
        max(floordiv(image[k] + (pads[k] + pads[k + n]) - (block[k] - 1) * dilations[k] - 1, strides[k]) + 1, 0));
  }
  Dim size = product(block);
  if (size.is(0)) return invalid("block_shape has an extent of 0");
  TRY(d.require(equal(mod(x.dim(1), size), 0),
                fmt::format("got {} rows, expected a multiple of the block size {}", x.dim(1).str(), size.str())));
  TRY(d.require(equal(x.dim(2), product(blocks)),
                fmt::format("got {} blocks, expected {}", x.dim(2).str(), product(blocks).str())));
  DType t = compute_type(x.dtype());
  Dims dims = joined({x.dim(0), floordiv(x.dim(1), size)}, image);
  Tensor y = d.reduce(Combiner::Sum, dims, block, [&](Ix i, Ix r) {
    Dims at;
    Expr valid;
    for (size_t k = 0; k < n; ++k) {
      Dim place = i[2 + k] + pads[k] - r[k] * dilations[k];
      Dim b = strides[k] == 1 ? place : floordiv(place, strides[k]);
      Expr ok = ge(b, 0) && lt(b, blocks[k]);
      if (strides[k] != 1) ok = ok && equals(mod(place, strides[k]), 0);
      valid = valid ? valid && ok : ok;
      at.push_back(b);
    }
    Expr e = widen(x(i[0], i[1] * size + flatten_index(r, block), flatten_index(at, blocks)));
    return valid ? ex::select(valid, e, zero(t)) : e;
  });
  d.out(converted(d, y, x.dtype()));
  return {};
}

}  // namespace ingot
