// Losses of classification. scores: [N, C, D...], target: [N, D...] class numbers, weight: [C] -> [N, D...], or its
// sum, or its mean over the weights.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// From log-probabilities: loss = -w[t]*logp[n, t, d]; 0 where the target is ignore_index.
Result<void> log_likelihood_loss(Def& d, const Tensor& logp) {
  Tensor target = d.in(1), weight = d.in(2);
  if (logp.rank() != target.rank() + 1)
    return invalid("target has rank {}, expected {}", target.rank(), logp.rank() - 1);
  for (int k = 0; k < target.rank(); ++k) {
    const Dim& e = logp.dim(k == 0 ? 0 : k + 1);
    TRY(d.require(equal(target.dim(k), e),
                  fmt::format("dimension {} of target has extent {}, expected {}", k, target.dim(k).str(), e.str())));
  }
  if (weight && (weight.rank() != 1 || !is_float(weight.dtype())))
    return invalid("weight has type {}, expected one float per class", weight.type().str());
  std::string reduction = d.str("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean") {
    return invalid("reduction is '{}', expected 'none', 'sum' or 'mean'", reduction);
  }
  bool ignores = d.has_attr("ignore_index");
  int64_t ignored = d.i64("ignore_index", 0);
  DType t = logp.dtype(), out_type = d.dtype(0);
  auto at = [&](Ix i) { return as_index(target(i)); };
  auto skip = [&](Ix i) { return eq(at(i), ex::index(Dim(ignored))); };
  auto class_of = [&](Ix i) { return ignores ? ex::select(skip(i), ex::index(0), at(i)) : at(i); };
  auto weight_of = [&](Ix i) {
    Expr w = weight ? ex::cast(weight(std::vector<Expr>{class_of(i)}), t) : one(t);
    return ignores ? ex::select(skip(i), zero(t), w) : w;
  };
  Tensor loss = d.map(target.dims(), [&](Ix i) {
    std::vector<Expr> index;
    for (size_t k = 0; k < i.size(); ++k) {
      index.push_back(ex::index(i[k]));
      if (k == 0) index.push_back(class_of(i));
    }
    Expr plain = -logp(index);
    if (ignores && !weight) return ex::select(skip(i), zero(t), plain);
    return weight || ignores ? plain * weight_of(i) : plain;
  });
  if (reduction == "none") {
    d.out(converted(d, loss, out_type));
    return {};
  }
  Tensor sum = d.reduce(Combiner::Sum, {}, target.dims(), [&](Ix, Ix r) { return loss(r); });
  if (reduction == "sum") {
    d.out(converted(d, sum, out_type));
    return {};
  }
  if (!weight && !ignores) {
    d.out(d.map({}, [&](Ix) { return ex::cast(scalar_of(sum) / dim_as(product(target.dims()), t), out_type); }));
    return {};
  }
  Tensor total = d.reduce(Combiner::Sum, {}, target.dims(), [&](Ix, Ix r) { return weight_of(r); });
  d.out(d.map({}, [&](Ix) { return ex::cast(scalar_of(sum) / scalar_of(total), out_type); }));
  return {};
}

}  // namespace

// NegativeLogLikelihoodLoss-22. scores are log-probabilities.
Result<void> define_negative_log_likelihood_loss(Def& d) {
  TRY(expect_arithmetic(d, 2));
  TRY(expect_rank_at_least(d.in(0), 0, 2));
  return log_likelihood_loss(d, converted(d, d.in(0), compute_type(d.dtype(0))));
}

// SoftmaxCrossEntropyLoss-13: of the log-softmax of the scores over C, which is the second result.
Result<void> define_softmax_cross_entropy_loss(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor x = d.in(0);
  TRY(expect_rank_at_least(x, 0, 2));
  Dims outer = without(x.dims(), 1);
  Tensor m =
      d.reduce(Combiner::Max, outer, {x.dim(1)}, [&](Ix i, Ix r) { return widen(x(with_inserted(i, 1, r[0]))); });
  Tensor s = d.reduce(Combiner::Sum, outer, {x.dim(1)},
                      [&](Ix i, Ix r) { return exp(widen(x(with_inserted(i, 1, r[0]))) - m(i)); });
  Tensor logp = d.map(x.dims(), [&](Ix i) { return widen(x(i)) - m(without(i, 1)) - log(s(without(i, 1))); });
  TRY(log_likelihood_loss(d, logp));
  if (d.outputs() > 1) d.out(converted(d, logp, x.dtype()));
  return {};
}

}  // namespace ingot
