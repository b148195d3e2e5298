#include "ir/ops/nn_common.h"

#include <algorithm>
#include <cctype>

#include "ir/ops/common.h"

namespace ingot::nn {

DType accumulator(DType t) { return t == DType::F16 || t == DType::BF16 ? DType::F32 : t; }
Expr widen(Expr e) {
  DType t = accumulator(e.type());
  return ex::cast(std::move(e), t);
}

Result<void> expect_ranks(const Def& d, std::initializer_list<int> ranks) {
  int k = 0;
  for (int rank : ranks) {
    if (d.has(k)) {
      if (!d.type(k).is_tensor()) return invalid("input {} is {}, expected a tensor", k, d.type(k).str());
      if (rank >= 0 && d.in(k).rank() != rank)
        return invalid("input {} has rank {}, expected {}", k, d.in(k).rank(), rank);
    }
    ++k;
  }
  return {};
}

Result<void> expect_numbers(const Def& d, std::initializer_list<int> inputs) {
  for (int k : inputs) {
    if (!d.has(k)) continue;
    if (!d.type(k).is_tensor()) return invalid("input {} is {}, expected a tensor", k, d.type(k).str());
    DType t = d.dtype(k);
    if (!is_float(t) && !is_int(t) && t != DType::Bool)
      return invalid("input {} is of {}, expected numbers", k, name(t));
  }
  return {};
}

Result<void> expect_floats(const Def& d, std::initializer_list<int> inputs) {
  TRY(expect_numbers(d, inputs));
  for (int k : inputs)
    if (d.has(k) && (!is_float(d.dtype(k)) || bits(d.dtype(k)) < 16))
      return invalid("input {} is of {}, expected a float type", k, name(d.dtype(k)));
  return {};
}

Result<void> expect_same_floats(const Def& d, std::initializer_list<int> inputs) {
  TRY(expect_floats(d, inputs));
  DType first = DType::Invalid;
  for (int k : inputs) {
    if (!d.has(k)) continue;
    if (first == DType::Invalid) first = d.dtype(k);
    if (d.dtype(k) != first) return invalid("input {} is of {}, expected {}", k, name(d.dtype(k)), name(first));
  }
  return {};
}

Result<void> expect_fits(Def& d, const Tensor& t, const Dims& dims) {
  if (t.dims().size() > dims.size())
    return invalid("an operand has rank {}, expected at most {}", t.rank(), dims.size());
  TRY(d.broadcast_dims(dims, t.dims()));
  return {};
}

Result<void> expect_quantized(DType t) {
  if (!is_int(t) || bits(t) > 16)
    return invalid("got quantised values of {}, expected an integer of at most 16 bits", name(t));
  return {};
}

bool one_element(const Tensor& t) {
  return std::all_of(t.dims().begin(), t.dims().end(), [](const Dim& d) { return d.is(1); });
}
Result<void> expect_one_element(Def& d, std::initializer_list<int> inputs) {
  for (int k : inputs) {
    if (!d.has(k)) continue;
    const TensorType t = d.in(k).type();
    TRY(d.require(equal(t.numel(), 1), fmt::format("input {} has type {}, expected one element", k, t.str())));
  }
  return {};
}
Result<void> expect_one_or_per_channel(Def& d, int input, const Dim& channels) {
  if (!d.has(input) || one_element(d.in(input))) return {};
  const TensorType t = d.in(input).type();
  return d.require(max(equal(t.numel(), channels), equal(t.numel(), 1)),
                   fmt::format("input {} has type {}, expected one element or {}", input, t.str(), channels.str()));
}
Result<void> expect_matrix_parameter(Def& d, const Tensor& t, Dims dims, bool column) {
  if (!t || one_element(t)) return {};
  const size_t rank = dims.size();
  if (rank < 2 || static_cast<size_t>(t.rank()) > rank)
    return invalid("a scale or zero point has type {}, expected at most rank {}", t.type().str(), rank < 2 ? 0 : rank);
  if (t.rank() != 1) {
    dims[column ? rank - 2 : rank - 1] = 1;
    return expect_fits(d, t, dims);
  }
  const Dim& expected = dims[column ? rank - 1 : rank - 2];
  return d.require(max(equal(t.dim(0), expected), equal(t.dim(0), 1)),
                   fmt::format("a scale or zero point has type {}, expected one element or one for each of {} {}",
                               t.type().str(), expected.str(), column ? "columns" : "rows"));
}
Expr scalar(const Tensor& t) { return t(Dims(static_cast<size_t>(t.rank()), Dim(0))); }
Expr per_channel(const Tensor& t, const Dim& k) {
  if (one_element(t)) return scalar(t);
  Dims at(static_cast<size_t>(t.rank()), Dim(0));
  for (size_t i = 0; i < at.size(); ++i)
    if (!t.dims()[i].is(1)) at[i] = ops::broadcast_index(k, t.dims()[i]);
  return t(at);
}

// --- windows --------------------------------------------------------------------------------------------------------

Dim Window::taps_inside(size_t k, const Dim& p) const {
  Dim first = p * stride[k] - begin[k];
  Dim lo = ceildiv(max(-first, 0), dilation[k]);
  Dim hi = min(kernel[k], floordiv(in[k] - 1 - first, dilation[k]) + 1);
  return max(hi - lo, 0);
}

Dim Window::taps_on_padded(size_t k, const Dim& p) const {
  Dim first = p * stride[k] - begin[k];
  return max(min(kernel[k], floordiv(in[k] + end[k] - 1 - first, dilation[k]) + 1), 0);
}

Result<std::vector<int64_t>> int_list(const Def& d, std::string_view name, size_t count, int64_t otherwise,
                                      int64_t lo) {
  std::vector<int64_t> v = d.ints(name);
  if (v.empty()) return std::vector<int64_t>(count, otherwise);
  if (v.size() != count) return invalid("{} has {} elements, expected {}", name, v.size(), count);
  for (int64_t e : v) {
    if (e < lo || e > kMaxWindowAttribute) return invalid("{} contains {}, expected values in [{}, 2^31]", name, e, lo);
  }
  return v;
}

Result<Dims> kernel_shape(const Def& d, size_t rank) {
  if (!d.has_attr("kernel_shape")) return invalid("got no kernel_shape, expected one");
  std::vector<int64_t> v = TRY(int_list(d, "kernel_shape", rank, 1, 1));
  return Dims(v.begin(), v.end());
}

Result<Window> window(Def& d, const Dims& spatial, const Dims& kernel) {
  Window w;
  size_t rank = spatial.size();
  w.in = spatial;
  w.kernel = kernel;
  w.stride = TRY(int_list(d, "strides", rank, 1, 1));
  w.dilation = TRY(int_list(d, "dilations", rank, 1, 1));
  w.ceil = d.i64("ceil_mode", 0) != 0;
  std::string mode = d.str("auto_pad", "NOTSET");
  if (mode.empty()) mode = "NOTSET";
  std::vector<int64_t> pads(2 * rank, 0);
  if (mode == "NOTSET") {
    pads = TRY(int_list(d, "pads", 2 * rank, 0, -kMaxWindowAttribute));
  } else if (mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    return invalid("auto_pad is '{}', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", mode);
  }
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  for (size_t k = 0; k < rank; ++k) {
    Dim extent = (kernel[k] - 1) * w.dilation[k] + 1;
    if (same) {
      Dim out = ceildiv(spatial[k], w.stride[k]);
      Dim total = max((out - 1) * w.stride[k] + extent - spatial[k], 0);
      Dim small = floordiv(total, 2);
      w.begin.push_back(mode == "SAME_UPPER" ? small : total - small);
      w.end.push_back(total - w.begin[k]);
      w.out.push_back(out);
      if (!total.is(0)) w.inside = false;
    } else {
      w.begin.push_back(pads[k]);
      w.end.push_back(pads[k + rank]);
      Dim room = spatial[k] + w.begin[k] + w.end[k] - extent;
      Dim out = floordiv(room, w.stride[k]) + 1;
      if (w.ceil) {
        // The last window must start inside the input or its left padding.
        out = ceildiv(room, w.stride[k]) + 1;
        out = out - less(spatial[k] + w.begin[k] - 1, (out - 1) * w.stride[k]);
        w.inside = w.inside && w.stride[k] == 1;
      }
      // A window of one element has no place in nothing; any other axis has room for its window.
      const Dim padded = spatial[k] + w.begin[k] + w.end[k];
      TRY(d.require(
          max(Dim(1) - less(room, 0), equal(padded, 0) * equal(out, 0)),
          fmt::format("the window has extent {} in spatial dimension {}, expected at most {} (the padded input)",
                      extent.str(), k, padded.str())));
      w.out.push_back(out);
      if (pads[k] != 0 || pads[k + rank] != 0) w.inside = false;
    }
  }
  return w;
}

// --- convolution ----------------------------------------------------------------------------------------------------

Result<Window> conv_window(Def& d, const Tensor& x, const Tensor& w, int64_t group) {
  if (x.rank() < 3) return invalid("input has rank {}, expected at least 3", x.rank());
  if (w.rank() != x.rank()) return invalid("weight has rank {}, expected {}", w.rank(), x.rank());
  if (group < 1 || group > kMaxWindowAttribute) return invalid("group is {}, expected at least 1", group);
  TRY(d.require(equal(x.dim(1), w.dim(1) * group),
                fmt::format("input has {} channels, expected {} (weight channels {} x groups {})", x.dim(1).str(),
                            (w.dim(1) * group).str(), w.dim(1).str(), group)));
  TRY(d.require(equal(mod(w.dim(0), group), 0),
                fmt::format("weight has {} output channels, expected a multiple of {} groups", w.dim(0).str(), group)));
  Dims kernel = slice(w.dims(), 2, w.dims().size());
  if (std::vector<int64_t> declared = d.ints("kernel_shape"); !declared.empty()) {
    if (declared.size() != kernel.size())
      return invalid("kernel_shape has {} elements, expected {}", declared.size(), kernel.size());
    for (size_t k = 0; k < kernel.size(); ++k) {
      TRY(d.require(equal(kernel[k], declared[k]),
                    fmt::format("kernel_shape has {} in dimension {}, expected {} (the weight's)", declared[k], k,
                                kernel[k].str())));
    }
  }
  return window(d, slice(x.dims(), 2, x.dims().size()), kernel);
}

Result<Tensor> convolve(Def& d, const ConvOperands& o, const Window& win) {
  const Tensor &x = o.x, &w = o.w;
  bool depthwise = o.group > 1 && w.dim(1).is(1);
  Dim per_group = floordiv(w.dim(0), o.group);  // output channels of a group
  Dims reds = win.kernel;
  if (!depthwise) reds.insert(reds.begin(), w.dim(1));
  Dims dims = concat({x.dim(0), w.dim(0)}, win.out);
  return d.reduce(Combiner::Sum, dims, reds, [&](Ix i, Ix r) {
    size_t first = depthwise ? 0 : 1;
    Dim c = depthwise ? Dim(0) : r[0];
    Dims x_at{i[0], c}, w_at{i[1], c};
    if (o.group > 1) x_at[1] = floordiv(i[1], per_group) * w.dim(1) + c;
    for (size_t k = 0; k < win.rank(); ++k) {
      x_at.push_back(win.at(k, i[2 + k], r[first + k]));
      w_at.push_back(r[first + k]);
    }
    Expr xv = win.inside ? x(x_at) : x.or_fill(x_at, o.fill);
    return o.x_term(xv) * o.w_term(w(w_at), i[1]);
  });
}

// --- activations ----------------------------------------------------------------------------------------------------

std::string lower_case(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

namespace {
struct ActivationInfo {
  std::string_view name;
  int parameters;
  double alpha, beta;
};
constexpr ActivationInfo kActivations[] = {
    {"relu", 0, 0, 0},
    {"tanh", 0, 0, 0},
    {"sigmoid", 0, 0, 0},
    {"softsign", 0, 0, 0},
    {"softplus", 0, 0, 0},
    {"affine", 2, 1, 0},
    {"leakyrelu", 1, 0.01, 0},
    {"thresholdedrelu", 1, 1, 0},
    {"scaledtanh", 2, 1, 1},
    {"hardsigmoid", 2, 0.2, 0.5},
    {"elu", 1, 1, 0},
    {"identity", 0, 0, 0},
    {"clip", 2, -3.402823466e+38, 3.402823466e+38},
    {"hardswish", 0, 0, 0},
};
}  // namespace

int activation_parameters(std::string_view lower_name) {
  for (const ActivationInfo& a : kActivations)
    if (a.name == lower_name) return a.parameters;
  return 0;
}

Result<Activation> activation(std::string name, std::optional<double> alpha, std::optional<double> beta) {
  std::string lower = lower_case(name);
  for (const ActivationInfo& a : kActivations)
    if (a.name == lower) return Activation{lower, alpha.value_or(a.alpha), beta.value_or(a.beta)};
  return unsupported("activation '{}' is not known", name);
}

Expr apply(const Activation& a, Expr x) {
  DType t = x.type();
  if (a.name == "relu") return max(x, 0);
  if (a.name == "tanh") return tanh(x);
  if (a.name == "sigmoid") return sigmoid(x);
  if (a.name == "softsign") return x / (abs(x) + 1);
  if (a.name == "softplus") return max(x, 0) + ex::unary(ScalarOp::Log1p, exp(-abs(x)));
  if (a.name == "affine") return x * a.alpha + a.beta;
  if (a.name == "leakyrelu") return ex::select(x < ex::number(t, 0), x * a.alpha, x);
  if (a.name == "thresholdedrelu") return ex::select(x > ex::number(t, a.alpha), x, ex::number(t, 0));
  if (a.name == "scaledtanh") return a.alpha * tanh(x * a.beta);
  if (a.name == "hardsigmoid") return clamp(x * a.alpha + a.beta, 0, 1);
  if (a.name == "elu") return ex::select(x < ex::number(t, 0), ex::unary(ScalarOp::Expm1, x) * a.alpha, x);
  if (a.name == "clip") return clamp(x, a.alpha, a.beta);
  if (a.name == "hardswish") return x * clamp(x / 6 + 0.5, 0, 1);
  return x;
}

// --- products -------------------------------------------------------------------------------------------------------

Result<Product> matmul_shape(Def& d, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  if (a.rank() < 1 || b.rank() < 1)
    return invalid("operands have ranks {} and {}, expected at least 1", a.rank(), b.rank());
  size_t ra = a.dims().size(), rb = b.dims().size();
  bool row = ra == 1, column = rb == 1;
  if (row) transpose_a = false;
  if (column) transpose_b = false;
  size_t a_m = row ? 0 : transpose_a ? ra - 1 : ra - 2, a_k = row ? 0 : transpose_a ? ra - 2 : ra - 1;
  size_t b_k = column ? 0 : transpose_b ? rb - 1 : rb - 2, b_n = column ? 0 : transpose_b ? rb - 2 : rb - 1;
  TRY(d.require(equal(a.dims()[a_k], b.dims()[b_k]), fmt::format("inner extents are {} and {}, expected equal ones",
                                                                 a.dims()[a_k].str(), b.dims()[b_k].str())));
  Dims a_batch = slice(a.dims(), 0, row ? 0 : ra - 2), b_batch = slice(b.dims(), 0, column ? 0 : rb - 2);
  Dims batch = TRY(d.broadcast_dims(a_batch, b_batch));
  Product p;
  p.k = a.dims()[a_k];
  p.dims = batch;
  size_t nb = batch.size();
  if (!row) p.dims.push_back(a.dims()[a_m]);
  if (!column) p.dims.push_back(b.dims()[b_n]);
  auto batch_at = [nb](Ix i, const Dims& own) {
    Dims at;
    for (size_t k = 0; k < own.size(); ++k) {
      const Dim& index = i[nb - own.size() + k];
      at.push_back(own[k].is(1)                                        ? Dim(0)
                   : known_less(index, own[k]) || own[k].is_constant() ? index
                                                                       : min(index, own[k] - 1));
    }
    return at;
  };
  p.a_at = [=](Ix i, const Dim& k) {
    Dims at = batch_at(i, a_batch);
    if (row) return Dims{k};
    at.resize(ra);
    at[a_m] = i[nb];
    at[a_k] = k;
    return at;
  };
  p.b_at = [=](Ix i, const Dim& k) {
    Dims at = batch_at(i, b_batch);
    if (column) return Dims{k};
    at.resize(rb);
    at[b_k] = k;
    at[b_n] = i[i.size() - 1];
    return at;
  };
  return p;
}

Result<Tensor> matmul(Def& d, const Tensor& a, const Tensor& b, const std::function<Expr(Expr, Ix)>& a_term,
                      const std::function<Expr(Expr, Ix)>& b_term, bool transpose_a, bool transpose_b) {
  Product p = TRY(matmul_shape(d, a, b, transpose_a, transpose_b));
  return d.reduce(Combiner::Sum, p.dims, {p.k}, [&](Ix i, Ix r) {
    Dims a_at = p.a_at(i, r[0]), b_at = p.b_at(i, r[0]);
    return a_term(a(a_at), a_at) * b_term(b(b_at), b_at);
  });
}

// --- quantisation ---------------------------------------------------------------------------------------------------

std::pair<int64_t, int64_t> int_range(DType t) {
  int n = bits(t);
  if (is_signed(t)) return {-(int64_t{1} << (n - 1)), (int64_t{1} << (n - 1)) - 1};
  return {0, (int64_t{1} << n) - 1};
}

Expr quantize(Expr v, Expr zero_point, DType t) {
  auto [lo, hi] = int_range(t);
  // Before the cast, so that what saturates needs no more than 32 bits with the zero point added.
  Expr rounded = ex::cast(clamp(round_even(std::move(v)), -1e9, 1e9), DType::I32);
  if (zero_point) rounded = rounded + std::move(zero_point);
  return ex::cast(clamp(rounded, static_cast<double>(lo), static_cast<double>(hi)), t);
}

DType onnx_dtype(int64_t code) {
  static constexpr DType kTable[] = {DType::Invalid,    DType::F32,  DType::U8,       DType::I8,         DType::U16,
                                     DType::I16,        DType::I32,  DType::I64,      DType::String,     DType::Bool,
                                     DType::F16,        DType::F64,  DType::U32,      DType::U64,        DType::C64,
                                     DType::C128,       DType::BF16, DType::F8E4M3FN, DType::F8E4M3FNUZ, DType::F8E5M2,
                                     DType::F8E5M2FNUZ, DType::U4,   DType::I4,       DType::F4E2M1,     DType::F8E8M0,
                                     DType::U2,         DType::I2};
  if (code < 0 || code >= static_cast<int64_t>(std::size(kTable))) return DType::Invalid;
  return kTable[code];
}

TensorRef ints_tensor(const std::vector<int64_t>& v, std::vector<int64_t> dims) {
  auto t = TensorData::make(DType::I64, std::move(dims));
  std::copy(v.begin(), v.end(), t->mutable_as<int64_t>());
  return t;
}

TensorRef floats_tensor(const std::vector<double>& v, std::vector<int64_t> dims, DType type) {
  auto t = TensorData::make(type, std::move(dims));
  for (size_t k = 0; k < v.size(); ++k) {
    if (type == DType::F64) {
      t->mutable_as<double>()[k] = v[k];
    } else {
      t->mutable_as<float>()[k] = static_cast<float>(v[k]);
    }
  }
  return t;
}

}  // namespace ingot::nn
