// The fused operators that transformers' exporters write (com.microsoft), and ONNX's linear and flexible attention.
#include <algorithm>
#include <cmath>

#include "ir/ops/attention.h"
#include "ir/ops/common.h"

namespace ingot {

using namespace nn;

namespace {

Expr gelu(Expr x) { return 0.5 * x * (1 + ex::unary(ScalarOp::Erf, x * std::sqrt(0.5))); }
Expr gelu_tanh(Expr x) { return 0.5 * x * (1 + tanh((0.044715 * x * x * x + x) * std::sqrt(2 / M_PI))); }

Result<void> biased_unary(Def& d, const std::function<Expr(Expr)>& f) {
  TRY(expect_same_floats(d, {0, 1}));
  Tensor x = d.in(0), b = d.in(1);
  if (b) TRY(expect_fits(d, b, x.dims()));
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr e = widen(x(i));
    if (b) e = e + widen(b.broadcast(i));
    return ex::cast(f(e), x.dtype());
  }));
  return {};
}

}  // namespace

// BiasGelu, FastGelu, QuickGelu (com.microsoft). x: [..., N], bias: [N].
Result<void> define_bias_gelu(Def& d) { return biased_unary(d, gelu); }
Result<void> define_fast_gelu(Def& d) { return biased_unary(d, gelu_tanh); }
Result<void> define_quick_gelu(Def& d) {
  double alpha = d.f64("alpha", 1.702);
  return biased_unary(d, [&](Expr e) { return e * sigmoid(e * alpha); });
}

// BiasSplitGelu (com.microsoft). x: [B, S, 2N], bias: [2N] -> left * gelu(right).
Result<void> define_bias_split_gelu(Def& d) {
  TRY(expect_same_floats(d, {0, 1}));
  Tensor x = d.in(0), b = d.in(1);
  if (x.rank() < 1 || b.rank() != 1)
    return invalid("got ranks {} and {}, expected at least 1 and 1", x.rank(), b.rank());
  Dims dims = x.dims();
  Dim half = floordiv(dims.back(), 2);
  dims.back() = half;
  d.out(d.map(dims, [&](Ix i) {
    Dims right = i;
    right.back() = i.back() + half;
    return ex::cast((widen(x(i)) + widen(b(i.back()))) * gelu(widen(x(right)) + widen(b(right.back()))), x.dtype());
  }));
  return {};
}

// BiasSoftmax (com.microsoft). softmax(x + bias) over the dims from `axis`, with bias broadcast to x.
Result<void> define_bias_softmax(Def& d) {
  TRY(expect_same_floats(d, {0, 1}));
  Tensor x = d.in(0), b = d.in(1);
  TRY(expect_fits(d, b, x.dims()));
  size_t axis = static_cast<size_t>(TRY(d.axis(d.i64("axis", 1), x.rank())));
  Dims kept = slice(x.dims(), 0, axis), reduced = slice(x.dims(), axis, x.dims().size());
  // is_inner_broadcast 0: the bias's outer batch repeats, so it lies under x modulo its own extents.
  bool inner = d.i64("is_inner_broadcast", 1) != 0;
  auto logit = [&](Ix i) {
    if (inner) return widen(x(i)) + widen(b.broadcast(i));
    Dims at;
    size_t skip = i.size() - b.dims().size();
    for (size_t k = 0; k < b.dims().size(); ++k) at.push_back(b.dims()[k].is(1) ? Dim(0) : i[skip + k]);
    return widen(x(i)) + widen(b(at));
  };
  auto row = [&](Ix i) { return slice(i, 0, axis); };
  Tensor m = d.reduce(Combiner::Max, kept, reduced, [&](Ix i, Ix r) { return logit(concat(i, r)); });
  Tensor e = d.map(x.dims(), [&](Ix i) { return exp(logit(i) - m(row(i))); });
  Tensor z = d.reduce(Combiner::Sum, kept, reduced, [&](Ix i, Ix r) { return e(concat(i, r)); });
  d.out(d.map(x.dims(), [&](Ix i) { return ex::cast(e(i) / z(row(i)), x.dtype()); }));
  return {};
}

namespace {

// Normalises s: [..., N] over its last dim. rms leaves the mean in.
struct RowNorm {
  Tensor mean, inverse, y;
};
RowNorm normalise(Def& d, const Tensor& s, const Tensor& gamma, const Tensor& beta, double epsilon, bool rms,
                  DType out) {
  RowNorm r;
  Dims kept = slice(s.dims(), 0, s.dims().size() - 1);
  Dim n = s.dims().back();
  DType t = accumulator(s.dtype());
  Expr count = from_dim(n, t);
  if (!rms) {
    Tensor sum = d.reduce(Combiner::Sum, kept, {n}, [&](Ix i, Ix q) { return widen(s(concat(i, q))); });
    r.mean = d.map(kept, [&](Ix i) { return sum(i) / count; });
  }
  auto centred = [&](Ix i) {
    Expr e = widen(s(i));
    return rms ? e : e - r.mean(slice(i, 0, i.size() - 1));
  };
  Tensor squares = d.reduce(Combiner::Sum, kept, {n}, [&](Ix i, Ix q) {
    Expr e = centred(concat(i, q));
    return e * e;
  });
  r.inverse = d.map(kept, [&](Ix i) { return rsqrt(squares(i) / count + epsilon); });
  r.y = d.map(s.dims(), [&](Ix i) {
    Expr e = centred(i) * r.inverse(slice(i, 0, i.size() - 1)) * ex::cast(gamma(i.back()), t);
    if (beta) e = e + ex::cast(beta(i.back()), t);
    return ex::cast(e, out);
  });
  return r;
}

Result<void> skip_norm(Def& d, bool rms) {
  Tensor x = d.in(0), skip = d.in(1), gamma = d.in(2), beta = rms ? Tensor() : d.in(3), bias = d.in(rms ? 3 : 4);
  if (x.rank() < 2) return invalid("input has rank {}, expected at least 2", x.rank());
  TRY(expect_ranks(d, {-1, -1, 1, 1, 1}));
  TRY(expect_same_floats(d, {0, 1, 2, 3, 4}));
  TRY(expect_fits(d, skip, x.dims()));
  Tensor sum = d.map(x.dims(), [&](Ix i) {
    Expr e = widen(x(i)) + widen(skip.broadcast(i));
    if (bias) e = e + widen(bias(i.back()));
    return e;
  });
  RowNorm r = normalise(d, sum, gamma, beta, d.f64("epsilon", 1e-12), rms, x.dtype());
  Dims stat = x.dims();
  stat.back() = 1;
  auto shown = [&](const Tensor& t) { return d.map(stat, [&](Ix i) { return t(slice(i, 0, i.size() - 1)); }); };
  d.out(r.y);
  d.out(d.wants(1) && r.mean ? shown(r.mean) : Tensor());
  d.out(d.wants(2) ? shown(r.inverse) : Tensor());
  if (d.wants(3)) d.out(d.map(x.dims(), [&](Ix i) { return ex::cast(sum(i), x.dtype()); }));
  return {};
}

}  // namespace

// SkipLayerNormalization (com.microsoft). x, skip: [B, S, N], gamma, beta, bias: [N] -> y, mean, inv_std, x + skip + bias.
Result<void> define_skip_layer_normalization(Def& d) { return skip_norm(d, false); }
// SkipSimplifiedLayerNormalization: by the root mean square; inputs x, skip, gamma, bias.
Result<void> define_skip_simplified_layer_normalization(Def& d) { return skip_norm(d, true); }

// SimplifiedLayerNormalization (ONNX Runtime). x: [..., N], scale: [N] -> y, inv_std.
Result<void> define_simplified_layer_normalization(Def& d) {
  Tensor x = d.in(0);
  TRY(expect_ranks(d, {-1, 1}));
  TRY(expect_floats(d, {0, 1}));
  int axis = TRY(d.axis(d.i64("axis", -1), x.rank()));
  if (axis != x.rank() - 1) return unsupported("axis is {}, expected the last", axis);
  RowNorm r = normalise(d, x, d.in(1), {}, d.f64("epsilon", 1e-5), true, d.in(1).dtype());
  d.out(r.y);
  Dims stat = x.dims();
  stat.back() = 1;
  d.out(d.wants(1) ? d.map(stat, [&](Ix i) { return r.inverse(slice(i, 0, i.size() - 1)); }) : Tensor());
  return {};
}

// EmbedLayerNormalization (com.microsoft). input_ids: [B, S], segment_ids, word: [V, N], position: [P, N], segment: [T, N],
// gamma, beta: [N], mask: [B, S], position_ids -> y: [B, S, N], mask_index: i32 [B], the sum of the embeddings.
Result<void> define_embed_layer_normalization(Def& d) {
  Tensor ids = d.in(0), segments = d.in(1), word = d.in(2), position = d.in(3), segment = d.in(4), gamma = d.in(5),
         beta = d.in(6);
  Tensor mask = d.in(7), position_ids = d.in(8);
  for (int k : {0, 2, 3, 5, 6})
    if (!d.has(k)) return invalid("input {} is absent, expected a tensor", k);
  TRY(expect_ranks(d, {2, 2, 2, 2, 2, 1, 1, 2, 2}));
  TRY(expect_same_floats(d, {2, 3, 4, 5, 6}));
  TRY(expect_numbers(d, {0, 1, 7, 8}));
  Tensor sum = d.map({ids.dim(0), ids.dim(1), word.dim(1)}, [&](Ix i) {
    Expr at = position_ids ? as_index(position_ids(position_ids.dim(0).is(1) ? Dim(0) : i[0], i[1])) : as_index(i[1]);
    Expr e = widen(word(as_index(ids(i[0], i[1])), i[2])) + widen(position(at, i[2]));
    if (segments && segment) e = e + widen(segment(as_index(segments(i[0], i[1])), i[2]));
    return e;
  });
  RowNorm r = normalise(d, sum, gamma, beta, d.f64("epsilon", 1e-12), false, word.dtype());
  d.out(r.y);
  if (mask) {
    d.out(d.reduce(Combiner::Sum, {ids.dim(0)}, {ids.dim(1)},
                   [&](Ix i, Ix q) { return ex::cast(mask(i[0], q[0]), DType::I32); }));
  } else {
    d.out(d.map({ids.dim(0)}, [&](Ix) { return ex::integer(DType::I32, 0); }));
  }
  if (d.wants(2)) d.out(d.map(sum.dims(), [&](Ix i) { return ex::cast(sum(i), word.dtype()); }));
  return {};
}

// --- products ---------------------------------------------------------------------------------------------------------

// FusedMatMul (com.microsoft). alpha * A' * B'; transBatchA: [M, b..., K] stands for [b..., M, K].
Result<void> define_fused_mat_mul(Def& d) {
  TRY(expect_same_floats(d, {0, 1}));
  auto operand = [&](int k, bool batch) {
    Tensor x = d.in(k);
    if (!batch || x.rank() < 3) return x;
    size_t n = x.dims().size();
    Dims dims = slice(x.dims(), 1, n - 1);
    dims.push_back(x.dim(0));
    dims.push_back(x.dims().back());
    return d.map(dims, [&](Ix i) { return x(concat(concat({i[n - 2]}, slice(i, 0, n - 2)), {i[n - 1]})); });
  };
  Tensor a = operand(0, d.i64("transBatchA", 0) != 0), b = operand(1, d.i64("transBatchB", 0) != 0);
  double alpha = d.f64("alpha", 1);
  auto term = [](Expr e, Ix) { return widen(std::move(e)); };
  Tensor acc = TRY(matmul(d, a, b, term, term, d.i64("transA", 0) != 0, d.i64("transB", 0) != 0));
  if (alpha == 1 && acc.dtype() == a.dtype()) {
    d.out(acc);
  } else {
    d.out(d.map(acc.dims(), [&](Ix i) { return ex::cast(acc(i) * alpha, a.dtype()); }));
  }
  return {};
}

Result<void> define_transpose_mat_mul(Def& d) { return define_fused_mat_mul(d); }

// FusedGemm (com.microsoft). activation(alpha * A' * B' + beta * C).
Result<void> define_fused_gemm(Def& d) {
  TRY(expect_same_floats(d, {0, 1, 2}));
  Tensor a = d.in(0), b = d.in(1), c = d.in(2);
  auto parameter = [&](const char* name) { return d.has_attr(name) ? std::optional(d.f64(name, 0)) : std::nullopt; };
  Activation act =
      TRY(activation(d.str("activation", "Identity"), parameter("activation_alpha"), parameter("activation_beta")));
  auto term = [](Expr e, Ix) { return widen(std::move(e)); };
  Tensor acc = TRY(matmul(d, a, b, term, term, d.i64("transA", 0) != 0, d.i64("transB", 0) != 0));
  double alpha = d.f64("alpha", 1), beta = d.f64("beta", 1);
  if (c) TRY(expect_fits(d, c, acc.dims()));
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (alpha != 1) e = e * alpha;
    if (c) e = e + (beta == 1 ? widen(c.broadcast(i)) : widen(c.broadcast(i)) * beta);
    return ex::cast(apply(act, e), a.dtype());
  }));
  return {};
}

// --- linear attention -------------------------------------------------------------------------------------------------

// One step of LinearAttention at time t. q: [B, T, Hq*D], k: [B, T, H*D], v: [B, T, H*M], t: i64 [], state: f32 [B, H, D, M],
// decay: [B, T, H] or [B, T, H*D], beta: [B, T, H] or [B, T, 1] -> o: f32 [B, Hq, M], state.
Result<void> define_linear_attention_step(Def& d) {
  Tensor q = d.in(0), k = d.in(1), v = d.in(2), time = d.in(3), state = d.in(4), decay = d.in(5), beta = d.in(6);
  TRY(expect_ranks(d, {3, 3, 3, 0, 4, 3, 3}));
  TRY(expect_floats(d, {0, 1, 2, 4, 5, 6}));
  TRY(expect_numbers(d, {3}));
  if (d.dtype(4) != DType::F32) return invalid("the state is of {}, expected f32", name(d.dtype(4)));
  int64_t q_heads = d.i64("q_num_heads", 1);
  const Dim &batch = state.dim(0), &heads = state.dim(1), &size = state.dim(2), &width = state.dim(3);
  Expr t = as_index(time(Dims{}));
  auto f32 = [](Expr e) { return ex::cast(std::move(e), DType::F32); };
  Tensor kept = state;
  if (decay) {
    // One per head, or one per row of it; which of them is perhaps known in the run only.
    kept = d.map(state.dims(), [&](Ix i) {
      Dim at = i[1] * size + i[2];
      if (!known_equal(decay.dim(2), heads * size)) at = select(equal(decay.dim(2), heads), i[1], at);
      return state(i) * exp(f32(decay(i[0], t, at)));
    });
  }
  Tensor value = d.map({batch, heads, width}, [&](Ix i) { return f32(v(i[0], t, i[1] * width + i[2])); });
  if (beta) {
    Tensor known = d.reduce(Combiner::Sum, {batch, heads, width}, {size}, [&](Ix i, Ix r) {
      return kept(i[0], i[1], r[0], i[2]) * f32(k(i[0], t, i[1] * size + r[0]));
    });
    value = d.map({batch, heads, width}, [&, fresh = value](Ix i) {
      return f32(beta(i[0], t, ops::broadcast_index(i[1], beta.dim(2)))) * (fresh(i) - known(i));
    });
  }
  Tensor next = d.map(state.dims(),
                      [&](Ix i) { return kept(i) + f32(k(i[0], t, i[1] * size + i[2])) * value(i[0], i[1], i[3]); });
  Dim repeat = floordiv(Dim(q_heads), heads);
  Tensor sum = d.reduce(Combiner::Sum, {batch, q_heads, width}, {size}, [&](Ix i, Ix r) {
    return f32(q(i[0], t, i[1] * size + r[0])) * next(i[0], floordiv(i[1], repeat), r[0], i[2]);
  });
  const Expr scale = score_scale(d, d.f64("scale", 0), size, DType::F32);
  d.out(d.map(sum.dims(), [&](Ix i) { return sum(i) * scale; }));
  d.out(next);
  return {};
}

// The first state: f32 zeros [B, H, D, M], or a cast of the one given. Checks the extents of all inputs, before the loop
// over the steps relies on them.
Result<void> define_linear_attention_state(Def& d) {
  Tensor k = d.in(0), v = d.in(1), q = d.in(2), past = d.in(3), decay = d.in(4), beta = d.in(5);
  TRY(expect_ranks(d, {3, 3, 3, 4, 3, 3}));
  TRY(expect_floats(d, {0, 1, 2, 3, 4, 5}));
  int64_t heads = std::clamp<int64_t>(d.i64("kv_num_heads", 1), 1, kMaxWindowAttribute);
  int64_t q_heads = std::clamp<int64_t>(d.i64("q_num_heads", heads), 1, kMaxWindowAttribute);
  auto agree = [&](const Tensor& t, int axis, const Dim& expected, const char* what) {
    return d.require(equal(t.dim(axis), expected), fmt::format("{} has extent {} in dimension {}, expected {}", what,
                                                               t.dim(axis).str(), axis, expected.str()));
  };
  for (const Tensor* t : {&k, &v}) {
    TRY(d.require(equal(mod(t->dim(2), heads), 0),
                  fmt::format("got {} columns, expected a multiple of {} heads", t->dim(2).str(), heads)));
  }
  Dims dims{k.dim(0), heads, floordiv(k.dim(2), heads), floordiv(v.dim(2), heads)};
  TRY(agree(q, 2, dims[2] * q_heads, "query"));
  for (auto [t, what] : {std::pair{&q, "query"}, {&v, "value"}, {&decay, "decay"}, {&beta, "beta"}}) {
    if (!*t) continue;
    TRY(agree(*t, 0, k.dim(0), what));
    TRY(agree(*t, 1, k.dim(1), what));
  }
  for (int axis = 0; past && axis < 4; ++axis) TRY(agree(past, axis, dims[static_cast<size_t>(axis)], "past_state"));
  if (decay)
    TRY(d.require(max(equal(decay.dim(2), heads), equal(decay.dim(2), k.dim(2))),
                  fmt::format("decay has {} columns, expected {} or {}", decay.dim(2).str(), heads, k.dim(2).str())));
  if (beta)
    TRY(d.require(max(equal(beta.dim(2), heads), equal(beta.dim(2), 1)),
                  fmt::format("beta has {} columns, expected {} or 1", beta.dim(2).str(), heads)));
  d.out(d.map(dims, [&](Ix i) { return past ? ex::cast(past(i), DType::F32) : ex::number(DType::F32, 0); }));
  return {};
}

// [T, B, H, M] -> [B, T, H*M] in the type of the second input.
Result<void> define_linear_attention_output(Def& d) {
  TRY(expect_ranks(d, {4, -1}));
  TRY(expect_floats(d, {0, 1}));
  Tensor o = d.in(0), like = d.in(1);
  Dim width = o.dim(3);
  d.out(d.map({o.dim(1), o.dim(0), o.dim(2) * width},
              [&](Ix i) { return ex::cast(o(i[1], i[0], floordiv(i[2], width), mod(i[2], width)), like.dtype()); }));
  return {};
}

// LinearAttention-27. query, key, value, past_state, decay, beta -> output: [B, T, Hq*M], present_state: [B, H, D, M].
Result<void> expand_linear_attention(Expand& e) {
  Value *q = e.in(0), *k = e.in(1), *v = e.in(2), *past = e.in(3), *decay = e.in(4), *beta = e.in(5);
  int64_t q_heads = e.i64("q_num_heads", 0), heads = e.i64("kv_num_heads", 0);
  if (heads < 1 || q_heads < heads || q_heads % heads != 0) {
    return invalid("got {} query heads and {} key heads, expected a positive multiple", q_heads, heads);
  }
  for (Value* t : {q, k, v}) {
    if (!t->type.is_tensor() || t->type.tensor.rank() != 3)
      return invalid("got {}, expected a tensor of rank 3", t->type.str());
  }
  std::string rule = e.str("update_rule", "gated_delta");
  if (rule != "linear" && rule != "gated" && rule != "delta" && rule != "gated_delta") {
    return invalid("update_rule is '{}', expected linear, gated, delta or gated_delta", rule);
  }
  bool gated = rule.starts_with("gated"), delta = rule.ends_with("delta");
  if (gated != (decay != nullptr)) return invalid("update_rule '{}' {} decay", rule, gated ? "requires" : "forbids");
  if (delta != (beta != nullptr)) return invalid("update_rule '{}' {} beta", rule, delta ? "requires" : "forbids");
  double scale = e.f64("scale", 0);
  Value* state = TRY(e.op("linear_attention_state", {k, v, q, past, decay, beta},
                          {{"kv_num_heads", heads}, {"q_num_heads", q_heads}}));
  Value* trips = TRY(e.op("shape", {q}, {{"start", int64_t{1}}, {"end", int64_t{2}}}));
  trips = TRY(e.op("reshape", {trips, e.ints_constant({})}));
  std::vector<Value*> loop = TRY(e.loop(
      trips, nullptr, {state}, 1, [&](Expand& body, Value* t, std::vector<Value*> s) -> Result<std::vector<Value*>> {
        auto made = TRY(body.op_n("linear_attention_step", {q, k, v, t, s[0], decay, beta}, 2,
                                  {{"q_num_heads", q_heads}, {"scale", scale}}));
        return std::vector<Value*>{made[1], made[0]};
      }));
  e.out(TRY(e.op("linear_attention_output", {loop[1], q})));
  e.out(TRY(e.op("cast_like", {loop[0], past ? past : q})));
  return {};
}

// --- flexible attention -----------------------------------------------------------------------------------------------

// q: [B, Hq, L, D], k: [B, H, S, D] -> scores [B, Hq, L, S] in dtype `to`, scaled.
Result<void> define_flex_scores(Def& d) {
  TRY(expect_ranks(d, {4, 4}));
  TRY(expect_same_floats(d, {0, 1}));
  Tensor q = d.in(0), k = d.in(1);
  TRY(d.require(equal(q.dim(3), k.dim(3)),
                fmt::format("query has head size {} and key {}, expected equal ones", q.dim(3).str(), k.dim(3).str())));
  TRY(d.require(
      equal(mod(q.dim(1), max(k.dim(1), 1)), 0),
      fmt::format("query has {} heads, expected a multiple of the key's {}", q.dim(1).str(), k.dim(1).str())));
  DType to = onnx_dtype(d.i64("to", 1));
  if (!is_float(to)) return invalid("softmax_precision is {}, expected a float type", d.i64("to", 1));
  const Expr scale = score_scale(d, d.f64("scale", 0), q.dim(3), accumulator(q.dtype()));
  Dim repeat = floordiv(q.dim(1), max(k.dim(1), 1));
  Tensor sum = d.reduce(Combiner::Sum, {q.dim(0), q.dim(1), q.dim(2), k.dim(2)}, {q.dim(3)}, [&](Ix i, Ix r) {
    return widen(q(i[0], i[1], i[2], r[0])) * widen(k(i[0], floordiv(i[1], repeat), i[3], r[0]));
  });
  d.out(d.map(sum.dims(), [&](Ix i) { return ex::cast(ex::cast(sum(i) * scale, q.dtype()), to); }));
  return {};
}

// p: [B, Hq, L, S], v: [B, H, S, D] -> [B, Hq, L, D] in v's type.
Result<void> define_flex_output(Def& d) {
  TRY(expect_ranks(d, {4, 4}));
  TRY(expect_floats(d, {0, 1}));
  Tensor p = d.in(0), v = d.in(1);
  TRY(d.require(equal(p.dim(3), v.dim(2)),
                fmt::format("key has length {} and value {}, expected equal ones", p.dim(3).str(), v.dim(2).str())));
  Dim repeat = floordiv(p.dim(1), max(v.dim(1), 1));
  DType t = accumulator(p.dtype());
  Tensor sum = d.reduce(Combiner::Sum, {p.dim(0), p.dim(1), p.dim(2), v.dim(3)}, {p.dim(3)}, [&](Ix i, Ix r) {
    return ex::cast(p(i[0], i[1], i[2], r[0]), t) * ex::cast(v(i[0], floordiv(i[1], repeat), r[0], i[3]), t);
  });
  d.out(d.map(sum.dims(), [&](Ix i) { return ex::cast(sum(i), v.dtype()); }));
  return {};
}

// FlexAttention (ai.onnx.preview). q, k, v; regions score_mod and prob_mod, each [B, Hq, L, S] -> the same, where the
// attribute of that name is set.
Result<void> expand_flex_attention(Expand& e) {
  Node& node = e.node();
  Value *q = e.in(0), *k = e.in(1), *v = e.in(2);
  if (!q->type.is_tensor() || q->type.tensor.rank() != 4)
    return invalid("query is {}, expected a tensor of rank 4", q->type.str());
  double scale = e.f64("scale", 0);
  int64_t precision = e.i64("softmax_precision", q->type.tensor.dtype == DType::F64 ? 11 : 1);
  Value* scores = TRY(e.op("flex_scores", {q, k}, {{"scale", scale}, {"to", precision}}));
  size_t next = 0;
  auto modify = [&](const char* name, Value* x) -> Result<Value*> {
    if (e.i64(name, 0) == 0) return x;
    if (next >= node.regions.size()) return invalid("got no graph {}, expected one", name);
    Region& body = *node.regions[next++];
    if (body.inputs.size() != 1 || body.outputs.size() != 1) {
      return invalid("{} has {} inputs and {} outputs, expected 1 and 1", name, body.inputs.size(),
                     body.outputs.size());
    }
    auto alias = std::make_unique<Node>();
    alias->def = find_op("identity");
    alias->name = node.name;
    alias->source = node.source;
    alias->inputs = {x};
    alias->outputs = {body.inputs[0]};
    body.inputs[0]->producer = alias.get();
    TRY(e.append(std::move(alias)));
    for (auto& n : body.nodes) TRY(e.append(std::move(n)));
    body.nodes.clear();
    return body.outputs[0];
  };
  scores = TRY(modify("score_mod", scores));
  Value* probabilities = TRY(modify("prob_mod", TRY(e.op("softmax", {scores}, {{"axis", int64_t{-1}}}))));
  e.out(TRY(e.op("flex_output", {probabilities, v})));
  return {};
}

}  // namespace ingot
