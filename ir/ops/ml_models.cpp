// Linear models and support vector machines of ai.onnx.ml: one product each, then scores and labels.
#include <algorithm>

#include "ir/ops/ml.h"

namespace ingot {

using namespace nn;
using namespace ml;

namespace {

Result<Tensor> constant_floats(Def& d, const std::vector<double>& v, std::vector<int64_t> dims, DType t) {
  int64_t n = 1;
  for (int64_t e : dims) {
    if (e < 0 || (e > 0 && n > kMaxWindowAttribute * 64 / e))
      return limit_exceeded("got {} coefficients in one dimension, which is too many", e);
    n *= e;
  }
  if (static_cast<int64_t>(v.size()) != n) return invalid("got {} coefficients, expected {}", v.size(), n);
  return d.constant(floats_tensor(v, std::move(dims), t));
}

// sum(c) x[n,c] * w[j,c] + b[j]
Tensor product(Def& d, const Matrix& x, const Tensor& w, const Tensor& b) {
  Tensor sum = d.reduce(Combiner::Sum, {x.rows, w.dim(0)}, {x.columns},
                        [&](Ix i, Ix r) { return x(i[0], r[0]) * w(i[1], r[0]); });
  if (!b) return sum;
  return d.map(sum.dims(), [&](Ix i) { return sum(i) + b(b.dim(0).is(1) ? Dim(0) : i[1]); });
}

Tensor as_f32(Def& d, const Tensor& t) {
  return t.dtype() == DType::F32 ? t : d.map(t.dims(), [&](Ix i) { return ex::cast(t(i), DType::F32); });
}

Tensor negative_and_positive(Def& d, const Tensor& s) {
  return d.map({s.dim(0), 2},
               [&](Ix i) { return ex::select(eq(as_index(i[1]), as_index(1)), s(i[0], 0), -s(i[0], 0)); });
}

// The number of columns of x. Where only the run knows it, it is what `coefficients` of `rows` rows say.
Result<int64_t> columns_of(Def& d, Matrix& x, size_t coefficients, int64_t rows) {
  if (!x.columns.is_constant()) {
    const auto n = static_cast<int64_t>(coefficients);
    if (rows < 1 || n % rows != 0)
      return unsupported(
          "the input has {} columns, expected a constant number, or coefficients that say it (got {} for {} rows)",
          x.columns.str(), n, rows);
    x.columns = TRY(
        d.same(x.columns, n / rows, fmt::format("the input has {} columns, expected {}", x.columns.str(), n / rows)));
  }
  return x.columns.value();
}

}  // namespace

// LinearRegressor-1. x: [N, C] -> f32 [N, targets].
Result<void> define_linear_regressor(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  int64_t targets = d.i64("targets", 1);
  if (targets < 1) return invalid("targets is {}, expected at least 1", targets);
  std::vector<double> coefficients = d.floats("coefficients");
  int64_t columns = TRY(columns_of(d, x, coefficients.size(), targets));
  Tensor w = TRY(constant_floats(d, coefficients, {targets, columns}, x.type)), b;
  if (std::vector<double> v = d.floats("intercepts"); !v.empty()) b = TRY(constant_floats(d, v, {targets}, x.type));
  d.out(as_f32(d, TRY(post_transform(d, product(d, x, w, b), d.str("post_transform", "NONE")))));
  return {};
}

// LinearClassifier-1. x: [N, C] -> labels [N], f32 scores [N, classes]. One score for two classes stands for (-s, s).
Result<void> define_linear_classifier(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  Labels names = labels(d, "classlabels_ints", "classlabels_strings");
  std::vector<double> coefficients = d.floats("coefficients");
  // A score has an intercept where there are any; without them there is one for each class.
  const size_t rows = d.floats("intercepts").empty() ? names.size() : d.floats("intercepts").size();
  int64_t columns = TRY(columns_of(d, x, coefficients.size(), static_cast<int64_t>(rows)));
  if (columns < 1 || coefficients.empty() || static_cast<int64_t>(coefficients.size()) % columns != 0) {
    return invalid("got {} coefficients, expected a multiple of {} columns", coefficients.size(), columns);
  }
  int64_t scores = static_cast<int64_t>(coefficients.size()) / columns;
  // Some converters list more coefficients than the input has columns; the intercepts then say how many scores there are.
  if (size_t n = d.floats("intercepts").size(); n > 0 && static_cast<int64_t>(n) < scores) {
    scores = static_cast<int64_t>(n);
    coefficients.resize(static_cast<size_t>(scores * columns));
  }
  Tensor w = TRY(constant_floats(d, coefficients, {scores, columns}, x.type)), b;
  if (std::vector<double> v = d.floats("intercepts"); !v.empty()) b = TRY(constant_floats(d, v, {scores}, x.type));
  Tensor s = product(d, x, w, b);
  std::string transform = d.str("post_transform", "NONE");
  if (scores == 1 && names.size() == 2) s = negative_and_positive(d, s);
  int64_t columns_out = scores == 1 && names.size() == 2 ? 2 : scores;
  if (columns_out > 1) {
    if (names.size() != 0 && static_cast<int64_t>(names.size()) < columns_out)
      return invalid("got {} class labels, expected {}", names.size(), columns_out);
    d.out(best_label(d, s, names.tensor(d, columns_out)));
    d.out(as_f32(d, TRY(post_transform(d, s, transform))));
    return {};
  }
  // One class: its label where the score reaches the threshold, else 0 or the empty string.
  Tensor y = TRY(post_transform(d, s, transform));
  if (names.texts.empty()) names.numbers.insert(names.numbers.begin(), 0);
  else names.texts.insert(names.texts.begin(), "");
  if (names.size() == 1) names.numbers.push_back(1);
  Tensor table = names.tensor(d, 2);
  double threshold = transform == "NONE" || transform.empty() ? 0 : 0.5;
  d.out(d.map({x.rows}, [&](Ix i) {
    return table(ex::select(y(i[0], 0) >= ex::number(y.dtype(), threshold), as_index(1), as_index(0)));
  }));
  d.out(as_f32(d, y));
  return {};
}

namespace {

struct Kernel {
  std::string type;
  double gamma = 0, coef0 = 0, degree = 0;
};

// k[n,v]: the kernel of each row with each support vector sv: [V, C].
Result<Tensor> kernel(Def& d, const Matrix& x, const Tensor& sv, const Kernel& k) {
  Dims dims{x.rows, sv.dim(0)};
  if (k.type == "rbf") {
    Tensor sum = d.reduce(Combiner::Sum, dims, {x.columns}, [&](Ix i, Ix r) {
      Expr e = x(i[0], r[0]) - sv(i[1], r[0]);
      return e * e;
    });
    return d.map(dims, [&](Ix i) { return exp(sum(i) * -k.gamma); });
  }
  Tensor dot = d.reduce(Combiner::Sum, dims, {x.columns}, [&](Ix i, Ix r) { return x(i[0], r[0]) * sv(i[1], r[0]); });
  if (k.type == "linear") return dot;
  if (k.type == "poly") return d.map(dims, [&](Ix i) { return pow(dot(i) * k.gamma + k.coef0, k.degree); });
  if (k.type == "sigmoid") return d.map(dims, [&](Ix i) { return tanh(dot(i) * k.gamma + k.coef0); });
  return invalid("kernel_type is '{}', expected LINEAR, POLY, RBF or SIGMOID", k.type);
}

Result<Kernel> kernel_of(const Def& d) {
  std::vector<double> p = d.floats("kernel_params");
  if (!p.empty() && p.size() != 3) return invalid("kernel_params has {} elements, expected 3", p.size());
  Kernel k{lower_case(d.str("kernel_type", "LINEAR"))};
  if (!p.empty()) {
    k.gamma = p[0];
    k.coef0 = p[1];
    k.degree = static_cast<double>(static_cast<int64_t>(std::clamp(p[2], -1e6, 1e6)));
  }
  return k;
}

}  // namespace

// SVMRegressor-1. x: [N, C] -> f32 [N, 1].
Result<void> define_svm_regressor(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  int64_t supports = d.i64("n_supports", 0);
  std::vector<double> rho = d.floats("rho"), coefficients = d.floats("coefficients");
  int64_t columns = TRY(supports > 0 ? columns_of(d, x, d.floats("support_vectors").size(), supports)
                                     : columns_of(d, x, coefficients.size(), 1));
  if (rho.empty()) return invalid("rho is empty, expected one element");
  Tensor score;
  if (supports > 0) {
    Tensor sv = TRY(constant_floats(d, d.floats("support_vectors"), {supports, columns}, x.type));
    Tensor w = TRY(constant_floats(d, coefficients, {supports}, x.type));
    Tensor k = TRY(kernel(d, x, sv, TRY(kernel_of(d))));
    score = d.reduce(Combiner::Sum, {x.rows, 1}, {supports}, [&](Ix i, Ix r) { return k(i[0], r[0]) * w(r[0]); });
  } else {
    score = product(d, x, TRY(constant_floats(d, coefficients, {1, columns}, x.type)), {});
  }
  bool one_class = d.i64("one_class", 0) != 0;
  Tensor y = d.map({x.rows, 1}, [&](Ix i) {
    Expr v = score(i) + rho[0];
    return one_class ? ex::select(v > ex::number(x.type, 0), ex::number(x.type, 1), ex::number(x.type, -1)) : v;
  });
  d.out(as_f32(d, TRY(post_transform(d, y, d.str("post_transform", "NONE")))));
  return {};
}

// SVMClassifier-1. x: [N, C] -> labels [N], f32 scores. With support vectors each pair of classes (i, j) has a score and a
// vote; with prob_a and prob_b the scores become probabilities of the classes. Without support vectors it is linear.
Result<void> define_svm_classifier(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  Labels names = labels(d, "classlabels_ints", "classlabels_strings");
  int64_t classes = std::max<int64_t>(static_cast<int64_t>(names.size()), 1);
  std::vector<int64_t> per_class = d.ints("vectors_per_class");
  std::vector<double> rho = d.floats("rho"), coefficients = d.floats("coefficients"), pa = d.floats("prob_a"),
                      pb = d.floats("prob_b");
  if (rho.empty() || coefficients.empty()) return invalid("rho or coefficients are empty, expected some");
  int64_t vectors = 0;
  std::vector<int64_t> start;
  for (int64_t n : per_class) {
    if (n < 0 || n > kMaxWindowAttribute) return invalid("vectors_per_class has {}, expected at least 0", n);
    start.push_back(vectors);
    vectors += n;
  }
  int64_t columns = TRY(vectors > 0 ? columns_of(d, x, d.floats("support_vectors").size(), vectors)
                                    : columns_of(d, x, coefficients.size(), classes));
  std::string transform = d.str("post_transform", "NONE");
  bool positive = *std::min_element(coefficients.begin(), coefficients.end()) >= 0;
  Tensor table = names.tensor(d, classes);
  DType t = x.type;
  Tensor scores, chosen;  // chosen: i64 [N], the position of the label
  bool probabilities = false;
  if (vectors == 0) {
    Tensor w = TRY(constant_floats(d, coefficients, {classes, columns}, t));
    scores = product(d, x, w, d.constant(floats_tensor({rho[0]}, {1}, t)));
  } else {
    if (static_cast<int64_t>(per_class.size()) != classes)
      return invalid("vectors_per_class has {} elements, expected {}", per_class.size(), classes);
    int64_t pairs = classes * (classes - 1) / 2;
    if (static_cast<int64_t>(rho.size()) < pairs) return invalid("rho has {} elements, expected {}", rho.size(), pairs);
    Tensor sv = TRY(constant_floats(d, d.floats("support_vectors"), {vectors, columns}, t));
    int64_t rows = static_cast<int64_t>(coefficients.size()) / vectors;
    if (rows < classes - 1 || rows * vectors != static_cast<int64_t>(coefficients.size())) {
      return invalid("got {} coefficients, expected {} x {}", coefficients.size(), classes - 1, vectors);
    }
    // One row of weights over all support vectors for each pair: those of class i in row j-1, those of class j in row i.
    std::vector<double> w(static_cast<size_t>(pairs * vectors), 0);
    std::vector<int64_t> first, second;
    int64_t p = 0;
    for (int64_t i = 0; i < classes; ++i)
      for (int64_t j = i + 1; j < classes; ++j, ++p) {
        first.push_back(i);
        second.push_back(j);
        auto put = [&](int64_t cls, int64_t row) {
          for (int64_t v = start[static_cast<size_t>(cls)], n = per_class[static_cast<size_t>(cls)]; n-- > 0; ++v) {
            w[static_cast<size_t>(p * vectors + v)] = coefficients[static_cast<size_t>(row * vectors + v)];
          }
        };
        put(i, j - 1);
        put(j, i);
      }
    Tensor k = TRY(kernel(d, x, sv, TRY(kernel_of(d))));
    Tensor weights = d.constant(floats_tensor(w, {pairs, vectors}, t));
    rho.resize(static_cast<size_t>(pairs));
    Tensor offset = d.constant(floats_tensor(rho, {pairs}, t));
    Tensor sum = d.reduce(Combiner::Sum, {x.rows, pairs}, {vectors},
                          [&](Ix i, Ix r) { return k(i[0], r[0]) * weights(i[1], r[0]); });
    scores = d.map(sum.dims(), [&](Ix i) { return sum(i) + offset(i[1]); });
    Tensor t_first = d.constant(ints_tensor(first, {pairs})), t_second = d.constant(ints_tensor(second, {pairs}));
    Tensor votes = d.reduce(Combiner::Sum, {x.rows, classes}, {pairs}, [&](Ix i, Ix r) {
      Expr winner = ex::select(scores(i[0], r[0]) > ex::number(t, 0), t_first(r[0]), t_second(r[0]));
      return ex::select(eq(winner, as_index(i[1])), as_index(1), as_index(0));
    });
    chosen = d.arg_reduce(Combiner::ArgMaxFirst, {x.rows}, {classes}, [&](Ix i, Ix r) {
                return std::pair{votes(i[0], r[0]), as_index(r[0])};
              }).second;
    if (!pa.empty()) {
      if (static_cast<int64_t>(pa.size()) < pairs || static_cast<int64_t>(pb.size()) < pairs) {
        return invalid("prob_a and prob_b have {} and {} elements, expected {}", pa.size(), pb.size(), pairs);
      }
      pa.resize(static_cast<size_t>(pairs));
      pb.resize(static_cast<size_t>(pairs));
      Tensor a = d.constant(floats_tensor(pa, {pairs}, t)), b = d.constant(floats_tensor(pb, {pairs}, t));
      Tensor pair = d.map(scores.dims(), [&, s = scores](Ix i) {
        return ex::cast(clamp(1 - sigmoid(s(i) * a(i[1]) + b(i[1])), 1e-7, 1 - 1e-7), DType::F64);
      });
      Tensor coupled =
          d.call("couple_probabilities", {pair}, {{DType::F64, {x.rows, classes}}}, {{classes}, {}, {}, {}})[0];
      scores = d.map(coupled.dims(), [&](Ix i) { return ex::cast(coupled(i), t); });
      probabilities = true;
    }
  }
  int64_t columns_out = *scores.dim(1).constant();
  if (!chosen) {
    chosen = d.arg_reduce(Combiner::ArgMaxFirst, {x.rows}, {columns_out}, [&](Ix i, Ix r) {
                return std::pair{scores(i[0], r[0]), as_index(r[0])};
              }).second;
  }
  d.out(d.map({x.rows}, [&](Ix i) {
    Expr at = chosen(i);
    if (rho.size() == 1 && classes == 1)
      return ex::cast(ex::select(scores(i[0], 0) > ex::number(t, 0), as_index(1), as_index(0)), DType::I64);
    // Two classes, weights that are all positive: at least half of the votes give the second class.
    if (classes == 2 && !probabilities && positive && vectors > 0) at = as_index(1);
    return table(at);
  }));
  if (columns_out == 1 && classes == 2) scores = negative_and_positive(d, scores);
  d.out(as_f32(d, TRY(post_transform(d, scores, transform))));
  return {};
}

}  // namespace ingot
