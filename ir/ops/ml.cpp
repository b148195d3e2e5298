#include "ir/ops/ml.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ingot::ml {

using namespace nn;

Labels labels(const Def& d, std::string_view ints, std::string_view strings) { return {d.ints(ints), d.strs(strings)}; }

Tensor Labels::tensor(Def& d, int64_t otherwise) const {
  if (!texts.empty()) {
    auto data = TensorData::make(DType::String, {static_cast<int64_t>(texts.size())});
    data->strings = texts;
    return d.constant(data);
  }
  std::vector<int64_t> n = numbers;
  if (n.empty()) {
    n.resize(static_cast<size_t>(otherwise));
    std::iota(n.begin(), n.end(), 0);
  }
  return d.constant(ints_tensor(n, {static_cast<int64_t>(n.size())}));
}

Result<std::string> post_transform_name(int64_t code) {
  static constexpr const char* kNames[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  if (code < 0 || code > 4) return invalid("post_transform is {}, expected 0 to 4", code);
  return std::string(kNames[code]);
}

namespace {

// The inverse error function by Winitzki's approximation, which ONNX's reference uses.
Expr probit(Expr v) {
  DType t = v.type();
  Expr x = v * 2 - 1, zero = ex::number(t, 0);
  Expr product = (1 - x) * (1 + x);
  Expr l = log(product);
  Expr a = 2 / (M_PI * 0.147) + 0.5 * l, b = l / 0.147;
  Expr r = sqrt(sqrt(a * a - b) - a);
  Expr inverse = ex::select(eq(product, zero), zero, ex::select(x < zero, -r, r));
  return inverse * 1.41421356;
}

}  // namespace

Result<Tensor> post_transform(Def& d, const Tensor& s, const std::string& kind) {
  if (kind == "NONE" || kind.empty()) return s;
  if (kind == "LOGISTIC") return d.map(s.dims(), [&](Ix i) { return sigmoid(s(i)); });
  if (kind == "PROBIT") return d.map(s.dims(), [&](Ix i) { return probit(s(i)); });
  if (kind != "SOFTMAX" && kind != "SOFTMAX_ZERO") return unsupported("post_transform '{}' is not known", kind);
  bool zero = kind == "SOFTMAX_ZERO";
  DType t = s.dtype();
  Tensor m = d.reduce(Combiner::Max, {s.dim(0)}, {s.dim(1)}, [&](Ix i, Ix r) { return s(i[0], r[0]); });
  Tensor e = d.map(s.dims(), [&](Ix i) {
    Expr v = exp(s(i) - m(i[0]));
    return zero ? ex::select(abs(s(i)) > ex::number(t, 1e-7), v, s(i) * exp(-m(i[0]))) : v;
  });
  Tensor sum = d.reduce(Combiner::Sum, {s.dim(0)}, {s.dim(1)}, [&](Ix i, Ix r) { return e(i[0], r[0]); });
  return d.map(s.dims(), [&](Ix i) {
    Expr q = e(i) / sum(i[0]);
    return zero ? ex::select(eq(sum(i[0]), ex::number(t, 0)), ex::number(t, 0.5), q) : q;
  });
}

Tensor best_label(Def& d, const Tensor& scores, const Tensor& labels) {
  auto [value, index] = d.arg_reduce(Combiner::ArgMaxFirst, {scores.dim(0)}, {scores.dim(1)},
                                     [&](Ix i, Ix r) { return std::pair{scores(i[0], r[0]), as_index(r[0])}; });
  (void)value;
  return d.map({scores.dim(0)}, [&, at = index](Ix i) { return labels(at(i)); });
}

Result<Tensor> lookup(Def& d, const Tensor& x, const Keys& keys) {
  int64_t n = keys.data->elements();
  DType t = keys.data->dtype;
  if ((t == DType::String) != (x.dtype() == DType::String))
    return invalid("input has type {}, the keys {}", name(x.dtype()), name(t));
  if (is_complex(x.dtype())) return invalid("input is of {}, expected real numbers", name(x.dtype()));
  // Sorted once here; `order` gives the position of a sorted key in the attribute. The first of equal keys counts.
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  const TensorData& k = *keys.data;
  auto is_nan = [&](int64_t i) { return is_float(t) && std::isnan(k.number(i)); };
  auto before = [&](int64_t a, int64_t b) {
    if (t == DType::String) return k.strings[static_cast<size_t>(a)] < k.strings[static_cast<size_t>(b)];
    if (is_float(t)) return k.number(a) < k.number(b);
    return k.integer(a) < k.integer(b);
  };
  int64_t nan_at = -1;
  for (int64_t i = n; i-- > 0;)
    if (is_nan(i)) nan_at = i;
  order.erase(std::remove_if(order.begin(), order.end(), is_nan), order.end());
  std::stable_sort(order.begin(), order.end(), before);
  order.erase(
      std::unique(order.begin(), order.end(), [&](int64_t a, int64_t b) { return !before(a, b) && !before(b, a); }),
      order.end());
  int64_t distinct = static_cast<int64_t>(order.size());
  auto sorted = TensorData::make(t, {std::max<int64_t>(distinct, 1)});
  if (t == DType::String) sorted->strings.resize(static_cast<size_t>(std::max<int64_t>(distinct, 1)));
  for (int64_t i = 0; i < distinct; ++i) {
    int64_t from = order[static_cast<size_t>(i)];
    if (t == DType::String) sorted->strings[static_cast<size_t>(i)] = k.strings[static_cast<size_t>(from)];
    else if (t == DType::I64) sorted->mutable_as<int64_t>()[i] = k.integer(from);
    else if (t == DType::F32) sorted->mutable_as<float>()[i] = static_cast<float>(k.number(from));
    else if (t == DType::F64) sorted->mutable_as<double>()[i] = k.number(from);
    else return unsupported("keys of type {} are not supported", name(t));
  }
  order.push_back(-1);  // of what is not found
  Tensor position = d.constant(ints_tensor(order, {distinct + 1})), table = d.constant(sorted);
  Tensor found;
  if (t == DType::String) {
    found = d.call("string_lookup", {x, table}, {{DType::I64, x.dims()}}, {{distinct}, {}, {}, {}})[0];
  } else {
    // States: lo, hi: the first key that is not less lies in [lo, hi].
    auto value = [&](Ix i) { return ex::cast(x(i), t); };
    Expr zero = as_index(0), last = as_index(std::max<int64_t>(distinct, 1) - 1);
    Tensor lo = d.walk(
        x.dims(), 64, [&](Ix) { return std::vector<Expr>{zero, as_index(distinct)}; },
        [&](Ix, const std::vector<Expr>& s) { return s[0] < s[1]; },
        [&](Ix i, const std::vector<Expr>& s) {
          Expr middle = (s[0] + s[1]) / 2;
          Expr less = table(min(middle, last)) < value(i);
          return std::vector<Expr>{ex::select(less, middle + 1, s[0]), ex::select(less, s[1], middle)};
        })[0];
    found = d.map(x.dims(), [&](Ix i) {
      Expr at = min(lo(i), last);
      Expr hit = eq(table(at), value(i)) && lo(i) < as_index(distinct);
      return ex::select(hit, at, as_index(-1));
    });
  }
  return d.map(x.dims(), [&](Ix i) {
    Expr at = found(i);
    Expr r = position(ex::select(at < as_index(0), as_index(distinct), at));
    if (nan_at >= 0) r = ex::select(ex::unary(ScalarOp::IsNaN, ex::cast(x(i), t)), as_index(nan_at), r);
    return r;
  });
}

Result<Matrix> matrix(const Tensor& x) {
  if (x.rank() != 1 && x.rank() != 2) return invalid("input has rank {}, expected 1 or 2", x.rank());
  if (!is_float(x.dtype()) && !is_int(x.dtype()) && x.dtype() != DType::Bool)
    return invalid("input is of {}, expected numbers", name(x.dtype()));
  Matrix m{x, x.rank() == 1 ? Dim(1) : x.dim(0), x.dims().back()};
  m.type = x.dtype() == DType::F64 ? DType::F64 : DType::F32;
  return m;
}

}  // namespace ingot::ml
