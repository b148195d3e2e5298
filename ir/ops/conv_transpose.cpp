// Transposed convolution as an ordinary one, without the multiplications by zero that a stride brings.
//
// Output position p meets tap r where p + pad - r*dilation is a multiple of the stride s. Write p + pad = s*u + g: position u
// of phase g. The taps of phase g are r = s*t + g (dilation 1), and they read x at u - t:
//
//   t[n,(k,g),u] = sum(c,t) x[n, c, u + u0 - (T-1) + t | 0] * w2[k, c, g, t]     one contraction, (k, g) are its columns
//   y[n,k,p]     = t[n, k, (p+pad) mod s, (p+pad) div s - u0] + b[k]             depth to space
//
// w2 is w with its taps split by phase and reversed; it folds when w is constant. A dilation with a stride leaves zeros in w2.
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

// ConvTranspose-22. x: [N, C, D...], w: [C, K/group, R...], b: [K] -> [N, K, P...].
Result<void> define_conv_transpose(Def& d) {
  Tensor x = d.in(0), w = d.in(1), b = d.in(2);
  if (x.rank() < 3 || w.rank() != x.rank())
    return invalid("got ranks {} and {}, expected equal ones of at least 3", x.rank(), w.rank());
  TRY(expect_same_floats(d, {0, 1, 2}));
  TRY(expect_ranks(d, {-1, -1, 1}));
  int64_t group = d.i64("group", 1);
  if (group < 1 || group > kMaxWindowAttribute) return invalid("group is {}, expected at least 1", group);
  TRY(d.require(equal(x.dim(1), w.dim(0)),
                fmt::format("input has {} channels, expected {} (the weight's)", x.dim(1).str(), w.dim(0).str())));
  TRY(d.require(equal(mod(x.dim(1), group), 0),
                fmt::format("input has {} channels, expected a multiple of {} groups", x.dim(1).str(), group)));
  size_t rank = static_cast<size_t>(x.rank()) - 2;
  std::vector<int64_t> stride = TRY(int_list(d, "strides", rank, 1, 1)),
                       dilation = TRY(int_list(d, "dilations", rank, 1, 1));
  std::vector<int64_t> extra = TRY(int_list(d, "output_padding", rank, 0, 0));
  std::vector<int64_t> shape = d.ints("output_shape");
  if (shape.size() == rank + 2) shape.erase(shape.begin(), shape.begin() + 2);
  if (!shape.empty() && shape.size() != rank)
    return invalid("output_shape has {} elements, expected {}", shape.size(), rank);
  std::string mode = d.str("auto_pad", "NOTSET");
  std::vector<int64_t> pads(2 * rank, 0);
  if (mode == "NOTSET" || mode.empty()) pads = TRY(int_list(d, "pads", 2 * rank, 0, -kMaxWindowAttribute));

  Dims out, begin, phases, taps, first, span;  // per spatial dim; `first` is u0
  bool inside = true;  // every read of x lies inside: taps do not overlap
  for (size_t k = 0; k < rank; ++k) {
    Dim in = x.dim(static_cast<int>(k) + 2), r = w.dim(static_cast<int>(k) + 2);
    Dim full = stride[k] * (in - 1) + extra[k] + (r - 1) * dilation[k] + 1;
    bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
    if (same || !shape.empty()) {
      Dim wanted = shape.empty() ? in * stride[k] : Dim(shape[k]);
      Dim total = max(full - wanted, 0);
      begin.push_back(mode == "SAME_UPPER" ? floordiv(total, 2) : total - floordiv(total, 2));
      // Without auto_pad the larger half comes first but for SAME_UPPER: ONNX's rule for output_shape.
      out.push_back(wanted);
    } else {
      begin.push_back(pads[k]);
      out.push_back(full - pads[k] - pads[k + rank]);
    }
    Dim s = stride[k];
    phases.push_back(s);
    taps.push_back(stride[k] == 1 ? r : ceildiv((r - 1) * dilation[k] + 1, s));
    first.push_back(floordiv(begin[k], s));
    span.push_back(floordiv(out[k] - 1 + begin[k], s) + 1 - first[k]);
    inside = inside && taps[k].is(1) && first[k].lower() >= 0 && known_less_equal(span[k] + first[k], in);
  }

  Dim channels = floordiv(x.dim(1), group), per_group = w.dim(1), k_total = per_group * group;
  // w2: [K, phases..., C/group, taps...]
  Dims w2_dims = concat(concat({k_total}, phases), concat({channels}, taps));
  Tensor w2 = d.map(w2_dims, [&](Ix i) {
    Dim c = i[1 + rank];
    Dims at{group == 1 ? c : floordiv(i[0], per_group) * channels + c, group == 1 ? i[0] : mod(i[0], per_group)};
    Expr hit;
    for (size_t k = 0; k < rank; ++k) {
      Dim t = taps[k] - 1 - i[2 + rank + k];
      if (stride[k] == 1) {
        at.push_back(t);
        continue;
      }
      Dim j = t * stride[k] + i[1 + k];
      at.push_back(floordiv(j, dilation[k]));
      if (dilation[k] > 1) {
        Expr divides = eq(as_index(mod(j, dilation[k])), as_index(0));
        hit = hit ? hit && divides : divides;
      }
    }
    Expr zero = ex::number(w.dtype(), 0);
    Expr e = w.or_fill(at, zero);
    return hit ? ex::select(hit, e, zero) : e;
  });
  // t: [N, K, phases..., span...]
  Dims t_dims = concat(concat({x.dim(0), k_total}, phases), span);
  Tensor t = d.reduce(Combiner::Sum, t_dims, concat({channels}, taps), [&](Ix i, Ix r) {
    Dims x_at{i[0], group == 1 ? r[0] : floordiv(i[1], per_group) * channels + r[0]};
    Dims w_at{i[1]};
    for (size_t k = 0; k < rank; ++k) w_at.push_back(i[2 + k]);
    w_at.push_back(r[0]);
    for (size_t k = 0; k < rank; ++k) {
      const Dim &u = i[2 + rank + k], &tap = r[1 + k];
      x_at.push_back(stride[k] == 1 ? u + first[k] - (taps[k] - 1 - tap) * dilation[k]
                                    : u + first[k] - (taps[k] - 1) + tap);
      w_at.push_back(tap);
    }
    return widen(inside ? x(x_at) : x.or_fill(x_at, ex::number(x.dtype(), 0))) * widen(w2(w_at));
  });
  d.out(d.map(concat({x.dim(0), k_total}, out), [&](Ix i) {
    Dims at{i[0], i[1]};
    for (size_t k = 0; k < rank; ++k) at.push_back(mod(i[2 + k] + begin[k], stride[k]));
    for (size_t k = 0; k < rank; ++k) at.push_back(floordiv(i[2 + k] + begin[k], stride[k]) - first[k]);
    Expr e = t(at);
    if (b) e = e + widen(b(i[1]));
    return ex::cast(e, x.dtype());
  }));
  return {};
}

// DeformConv-22. x: [N, C, H, W], w: [K, C/group, R, S], offset: [N, offset_group*R*S*2, P, Q] (rows before columns),
// b: [K], mask: [N, offset_group*R*S, P, Q] -> [N, K, P, Q]. The sampled columns are a value of their own; the rest is a
// plain contraction.
Result<void> define_deform_conv(Def& d) {
  Tensor x = d.in(0), w = d.in(1), offset = d.in(2), b = d.in(3), mask = d.in(4);
  if (x.rank() != 4) return unsupported("input has rank {}, expected 4", x.rank());
  TRY(expect_ranks(d, {4, 4, 4, 1, 4}));
  TRY(expect_same_floats(d, {0, 1, 2, 3, 4}));
  int64_t group = d.i64("group", 1), offset_group = d.i64("offset_group", 1);
  Window win = TRY(conv_window(d, x, w, group));
  if (offset_group < 1 || offset_group > kMaxWindowAttribute)
    return invalid("offset_group is {}, expected a value in [1, {}]", offset_group, kMaxWindowAttribute);
  TRY(d.require(
      equal(mod(x.dim(1), offset_group), 0),
      fmt::format("input has {} channels, expected a multiple of {} offset groups", x.dim(1).str(), offset_group)));
  const Dim taps = win.kernel[0] * win.kernel[1] * offset_group;
  auto expect_taps = [&](const Tensor& t, const Dim& channels, const char* what) -> Result<void> {
    TRY(d.require(equal(t.dim(0), x.dim(0)),
                  fmt::format("{} has the batch {}, expected {} (the input's)", what, t.dim(0).str(), x.dim(0).str())));
    TRY(d.require(equal(t.dim(1), channels),
                  fmt::format("{} has {} channels, expected {}", what, t.dim(1).str(), channels.str())));
    return d.require(equal(t.dim(2), win.out[0]) * equal(t.dim(3), win.out[1]),
                     fmt::format("{} has extents {} x {}, expected {} x {}", what, t.dim(2).str(), t.dim(3).str(),
                                 win.out[0].str(), win.out[1].str()));
  };
  TRY(expect_taps(offset, taps * 2, "offset"));
  if (mask) TRY(expect_taps(mask, taps, "mask"));
  if (b)
    TRY(d.require(equal(b.dim(0), w.dim(0)),
                  fmt::format("the bias has {} elements, expected {}", b.dim(0).str(), w.dim(0).str())));
  Dim per_offset = floordiv(x.dim(1), offset_group);
  DType t = accumulator(x.dtype());
  Tensor col = d.map({x.dim(0), x.dim(1), win.kernel[0], win.kernel[1], win.out[0], win.out[1]}, [&](Ix i) {
    Dim g = floordiv(i[1], per_offset);
    Dim tap = (g * win.kernel[0] + i[2]) * win.kernel[1] + i[3];
    Expr y = from_dim(win.at(0, i[4], i[2]), t) + widen(offset(i[0], tap * 2, i[4], i[5]));
    Expr z = from_dim(win.at(1, i[5], i[3]), t) + widen(offset(i[0], tap * 2 + 1, i[4], i[5]));
    Expr y0 = floor(y), z0 = floor(z), fy = y - y0, fz = z - z0;
    Expr iy = ex::cast(y0, DType::I64), iz = ex::cast(z0, DType::I64);
    auto at = [&](int dy, int dz) {
      return widen(
          x.or_fill(std::vector<Expr>{as_index(i[0]), as_index(i[1]), iy + dy, iz + dz}, ex::number(x.dtype(), 0)));
    };
    Expr v = (at(0, 0) * (1 - fz) + at(0, 1) * fz) * (1 - fy) + (at(1, 0) * (1 - fz) + at(1, 1) * fz) * fy;
    if (mask) v = v * widen(mask(i[0], tap, i[4], i[5]));
    return v;
  });
  Dim per_group = floordiv(w.dim(0), group);
  Tensor acc = d.reduce(Combiner::Sum, {x.dim(0), w.dim(0), win.out[0], win.out[1]},
                        {w.dim(1), win.kernel[0], win.kernel[1]}, [&](Ix i, Ix r) {
                          Dim c = group == 1 ? r[0] : floordiv(i[1], per_group) * w.dim(1) + r[0];
                          return col(i[0], c, r[1], r[2], i[2], i[3]) * widen(w(i[1], r[0], r[1], r[2]));
                        });
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (b) e = e + widen(b(i[1]));
    return ex::cast(e, x.dtype());
  }));
  return {};
}

}  // namespace ingot
