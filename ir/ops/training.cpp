// The optimisers of ai.onnx.preview.training. Inputs: learning rate r and step number t (scalars), then the tensors x
// of all parameters, their gradients g, and their state; results: the new x of all, then the new state.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

// Calls step(x, g, states) for each parameter; its results are ordered as the inputs are.
template <class Step>
Result<void> optimise(Def& d, int states, Step step) {
  TRY(expect_arithmetic(d, d.inputs()));
  int group = 2 + states, n = (d.inputs() - 2) / group;
  if (n < 1 || d.inputs() != 2 + n * group) {
    return invalid("got {} inputs, expected 2 and {} per parameter", d.inputs(), group);
  }
  std::vector<std::vector<Tensor>> results;
  for (int k = 0; k < n; ++k) {
    std::vector<Tensor> own;
    for (int j = 0; j < group; ++j) {
      own.push_back(d.in(2 + j * n + k));
      TRY(expect_same_dtype(own[0], own.back(), "a parameter and its state"));
      if (own.back().rank() != own[0].rank())
        return invalid("got ranks {} and {}, expected one rank", own[0].rank(), own.back().rank());
    }
    DType t = own[0].dtype(), work = compute_type(t);
    Expr rate = ex::cast(scalar_of(d.in(0)), work), count = scalar_of(d.in(1));
    results.push_back(d.map_tuple(own[0].dims(), [&](Ix i) {
      std::vector<Expr> v;
      for (const Tensor& tensor : own) v.push_back(widen(tensor(i)));
      std::vector<Expr> y = step(rate, count, v);
      for (Expr& e : y) e = ex::cast(e, t);
      return y;
    }));
  }
  for (int j = 0; j <= states; ++j) {
    for (int k = 0; k < n; ++k) d.out(results[static_cast<size_t>(k)][static_cast<size_t>(j)]);
  }
  return {};
}

}  // namespace

// Adagrad-1. States: h, the sum of squared gradients.
Result<void> define_adagrad(Def& d) {
  double decay = d.f64("decay_factor", 0), epsilon = d.f64("epsilon", 1e-6), norm = d.f64("norm_coefficient", 0);
  return optimise(d, 1, [&](const Expr& rate, const Expr& count, const std::vector<Expr>& v) {
    Expr r = rate / (ex::cast(count, rate.type()) * decay + 1.0);
    Expr g = v[0] * norm + v[1], h = v[2] + g * g;
    return std::vector<Expr>{v[0] - r * g / (sqrt(h) + epsilon), h};
  });
}

// Adam-1. States: v, the mean of gradients, and h, that of squared gradients.
Result<void> define_adam(Def& d) {
  double alpha = d.f64("alpha", 0.9), beta = d.f64("beta", 0.999), epsilon = d.f64("epsilon", 1e-6);
  double norm = d.f64("norm_coefficient", 0), post = d.f64("norm_coefficient_post", 0);
  return optimise(d, 2, [&](const Expr& rate, const Expr& count, const std::vector<Expr>& s) {
    DType t = rate.type();
    auto power = [&](double base) { return ex::binary(ScalarOp::Pow, ex::number(t, base), ex::cast(count, t)); };
    Expr corrected = rate * sqrt(1.0 - power(beta)) / (1.0 - power(alpha));
    Expr r = ex::select(count > zero(count.type()), corrected, rate);
    Expr g = s[0] * norm + s[1], v = s[2] * alpha + g * (1 - alpha), h = s[3] * beta + g * g * (1 - beta);
    return std::vector<Expr>{(s[0] - r * (v / (sqrt(h) + epsilon))) * (1 - post), v, h};
  });
}

// Momentum-1. mode: standard or nesterov. State: v.
Result<void> define_momentum(Def& d) {
  double alpha = d.f64("alpha", 0), beta = d.f64("beta", 0), norm = d.f64("norm_coefficient", 0);
  std::string mode = d.str("mode", "standard");
  if (mode != "standard" && mode != "nesterov") return invalid("mode is '{}', expected 'standard' or 'nesterov'", mode);
  return optimise(d, 1, [&](const Expr& rate, const Expr& count, const std::vector<Expr>& s) {
    DType t = rate.type();
    Expr g = s[0] * norm + s[1];
    Expr scale = ex::select(count > zero(count.type()), ex::number(t, beta), one(t));
    Expr v = s[2] * alpha + scale * g;
    return std::vector<Expr>{mode == "nesterov" ? s[0] - rate * (g + v * alpha) : s[0] - rate * v, v};
  });
}

}  // namespace ingot
