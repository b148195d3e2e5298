// LSTM, GRU and RNN: one product for all inputs X[t], a loop over time whose body is one product with the state and a map,
// and one map that lays the collected states out as Y.
//
//   xp[t,d,b,j]  = sum(i) x[t,b,i] * w[d,j,i] + wb[d,j] + rb[d,j]        recurrent_project, outside the loop
//   loop t:  g[d,b,j] = sum(k) h[d,b,k] * r[d,j,k]                       lstm_step, gru_step, rnn_step
//            h, c     = gates(xp[time(t,d,b)] + g, c)
//   y[t,d,b,h]   = hs[step(t,d,b), d, b, h]                              recurrent_output
//
// Both directions run in one loop, with d as a parallel index: direction d reads time t forward or backward. Where the
// weights of both do not stay in a cache together from one step to the next, each has a loop of its own. A sequence shorter
// than the longest is turned within its own length; past its end the state stays and y is 0.
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {

inline constexpr int64_t kMaxHidden = int64_t{1} << 24;
inline constexpr int64_t kSharedCache = 512 << 10;  // bytes of recurrent weights that stay beside a step's other data

Expr i64(int64_t v) { return ex::integer(DType::I64, v); }

// Direction 1 runs backward; direction 0 where it is the only one of a reversed node.
Expr is_reversed(const Dim& direction, bool reverse) {
  if (reverse) return ex::boolean(true);
  return eq(as_index(direction), i64(1));
}

// `per_direction` names, each with its alpha and beta from the lists in order.
Result<std::vector<Activation>> activations(const std::vector<std::string>& names, const std::vector<double>& alphas,
                                            const std::vector<double>& betas) {
  std::vector<Activation> list;
  size_t a = 0, b = 0;
  for (const std::string& n : names) {
    std::string lower = lower_case(n);
    int count = activation_parameters(lower);
    std::optional<double> alpha, beta;
    if (count >= 1 && a < alphas.size()) alpha = alphas[a++];
    if (count >= 2 && b < betas.size()) beta = betas[b++];
    list.push_back(TRY(activation(n, alpha, beta)));
  }
  return list;
}

bool same(const Activation& a, const Activation& b) {
  return a.name == b.name && a.alpha == b.alpha && a.beta == b.beta;
}

// Activation `which` of direction d, of `per` in each.
Expr activate(const std::vector<Activation>& list, size_t per, size_t which, const Dim& d, const Expr& x) {
  Expr first = apply(list[which], x);
  if (list.size() <= per || same(list[which], list[per + which])) return first;
  return ex::select(eq(as_index(d), i64(0)), first, apply(list[per + which], x));
}

Expr clipped(Expr e, double clip) { return clip > 0 ? clamp(std::move(e), -clip, clip) : e; }

// The inputs that the three step operators share: xp [T, D, B, G*H], t i64 [], h [D, B, H], r [D, G*H, H], lens [B].
struct Step {
  Tensor xp, t, h, r, lens;
  int64_t gates;
  Dim hidden;
  bool reverse;
  double clip;
  std::vector<Activation> acts;

  Dims dims() const { return h.dims(); }
  Expr time() const { return as_index(t(Dims{})); }
  Expr active(const Dim& b) const { return time() < as_index(lens(b)); }
  // The row of xp that direction d reads for batch element b in this step.
  Expr at(const Dim& d, const Dim& b) const {
    Expr last = lens ? as_index(lens(b)) - 1 : as_index(xp.dim(0) - 1);
    Expr back = max(last - time(), i64(0));
    return ex::select(is_reversed(d, reverse), back, time());
  }
  Expr input(Ix i, int64_t gate) const { return widen(xp(at(i[0], i[1]), i[0], i[1], hidden * gate + i[2])); }
  Expr held(const Dim& b, Expr fresh, Expr old) const { return lens ? ex::select(active(b), fresh, old) : fresh; }
};

Result<Step> step(Def& d, int64_t gates, int r_at, int lens_at, size_t per_direction,
                  std::vector<std::string> defaults) {
  Step s;
  s.xp = d.in(0);
  s.t = d.in(1);
  s.h = d.in(2);
  s.r = d.in(r_at);
  s.lens = d.in(lens_at);
  s.gates = gates;
  s.hidden = s.h.dim(2);
  if (s.xp.dtype() != accumulator(s.h.dtype()))
    return invalid("the projection is of {}, expected {}", name(s.xp.dtype()), name(accumulator(s.h.dtype())));
  s.reverse = d.str("direction", "forward") == "reverse";
  s.clip = d.f64("clip", 0);
  std::vector<std::string> names = d.strs("activations");
  if (names.empty()) names = defaults;
  s.acts = TRY(activations(names, d.floats("activation_alpha"), d.floats("activation_beta")));
  if (s.acts.size() < per_direction)
    return invalid("got {} activations, expected {} per direction", names.size(), per_direction);
  return s;
}

// sum(k) state[d,b,k] * r[d, from + j, k] for j < count.
Tensor recur(Def& d, const Tensor& state, const Tensor& r, const Dim& from, const Dim& count) {
  return d.reduce(Combiner::Sum, {state.dim(0), state.dim(1), count}, {state.dim(2)},
                  [&](Ix i, Ix q) { return widen(state(i[0], i[1], q[0])) * widen(r(i[0], from + i[2], q[0])); });
}

}  // namespace

// x: [T, B, I] (layout 1: [B, T, I]), w: [D, J, I], b: [D, 2J] -> [T, D, B, J]: the input's part of all gates, with the input
// bias, and the recurrent bias for gates before `recurrent_bias` (a number of columns; -1: all).
//
// What the steps read beside it stands here for its extents, which the loop over the steps relies on: r: [D, J, H], lens: [B],
// two states: [D, B, H] (layout 1: [B, D, H]), p: [D, 3H].
Result<void> define_recurrent_project(Def& d) {
  TRY(expect_ranks(d, {3, 3, 2, 3, 1, 3, 3, 2}));
  TRY(expect_same_floats(d, {0, 1, 2}));
  Tensor x = d.in(0), w = d.in(1), b = d.in(2), r = d.in(3), lens = d.in(4), p = d.in(7);
  bool batch_first = d.i64("layout", 0) != 0;
  Dim time = x.dim(batch_first ? 1 : 0), batch = x.dim(batch_first ? 0 : 1), columns = w.dim(1);
  int64_t with_recurrent = d.i64("recurrent_bias", -1);
  Dim features =
      TRY(d.same(x.dim(2), w.dim(2),
                 fmt::format("input has {} features, expected {} (the weight's)", x.dim(2).str(), w.dim(2).str())));
  auto agree = [&](const Tensor& t, const Dims& expected, const char* what) -> Result<void> {
    for (int k = 0; t && k < t.rank(); ++k) {
      const Dim& e = expected[static_cast<size_t>(k)];
      TRY(d.require(equal(t.dim(k), e),
                    fmt::format("{} has extent {} in dimension {}, expected {}", what, t.dim(k).str(), k, e.str())));
    }
    return {};
  };
  const Dim &directions = w.dim(0), hidden = r ? r.dim(2) : Dim(0);
  const Dims states = batch_first ? Dims{batch, directions, hidden} : Dims{directions, batch, hidden};
  TRY(agree(b, {directions, columns * 2}, "the bias"));
  TRY(agree(r, {directions, columns, hidden}, "the recurrent weight"));
  TRY(agree(lens, {batch}, "sequence_lens"));
  for (int k : {5, 6}) TRY(agree(d.in(k), states, "an initial state"));
  TRY(agree(p, {directions, hidden * 3}, "the peephole weight"));
  Tensor sum = d.reduce(Combiner::Sum, {time, w.dim(0), batch, columns}, {features}, [&](Ix i, Ix r) {
    Expr e = batch_first ? x(i[2], i[0], r[0]) : x(i[0], i[2], r[0]);
    return widen(e) * widen(w(i[1], i[3], r[0]));
  });
  if (!b) {
    d.out(sum);
    return {};
  }
  Tensor bias = d.map({w.dim(0), columns}, [&](Ix i) {
    Expr input = widen(b(i[0], i[1])), both = input + widen(b(i[0], columns + i[1]));
    return with_recurrent < 0 ? both : ex::select(as_index(i[1]) < i64(with_recurrent), both, input);
  });
  d.out(d.map(sum.dims(), [&](Ix i) { return sum(i) + bias(i[1], i[3]); }));
  return {};
}

namespace {

// h: [D, B, H] as DynamicQuantizeLinear and back, per direction.
Tensor through_bytes(Def& d, const Tensor& h) {
  auto bound = [&](Combiner c) {
    return d.reduce(c, {h.dim(0)}, {h.dim(1), h.dim(2)}, [&](Ix i, Ix r) { return widen(h(i[0], r[0], r[1])); });
  };
  Tensor lo = bound(Combiner::Min), hi = bound(Combiner::Max);
  Tensor scale = d.map({h.dim(0)}, [&](Ix i) {
    Expr s = (max(hi(i), 0) - min(lo(i), 0)) / 255.0;
    return ex::select(eq(s, ex::number(s.type(), 0)), ex::number(s.type(), 1), s);
  });
  return d.map(h.dims(), [&](Ix i) {
    Expr s = scale(i[0]), zero = round_even(clamp(-min(lo(i[0]), 0) / s, 0, 255));
    return (clamp(round_even(widen(h(i)) / s) + zero, 0, 255) - zero) * s;
  });
}

}  // namespace

// xp, t, h, c, r, p: [D, 3H] (i, o, f), lens -> h', c'. Gates i, o, f, c.
Result<void> define_lstm_step(Def& d) {
  TRY(expect_ranks(d, {4, 0, 3, 3, 3, 2, 1}));
  TRY(expect_same_floats(d, {2, 3, 4, 5}));
  TRY(expect_numbers(d, {1, 6}));
  Step s = TRY(step(d, 4, 4, 6, 3, {"Sigmoid", "Tanh", "Tanh"}));
  Tensor c = d.in(3), p = d.in(5);
  bool coupled = d.i64("input_forget", 0) != 0;
  Tensor state = d.i64("quantized_state", 0) != 0 ? through_bytes(d, s.h) : s.h;
  Tensor g = recur(d, state, s.r, 0, s.hidden * 4);
  auto both = d.map_tuple(s.dims(), [&](Ix i) {
    Expr old = widen(c(i));
    auto gate = [&](int64_t n) { return s.input(i, n) + g(i[0], i[1], s.hidden * n + i[2]); };
    auto peep = [&](Expr e, int64_t n, const Expr& cell) {
      return p ? e + widen(p(i[0], s.hidden * n + i[2])) * cell : e;
    };
    auto act = [&](size_t n, Expr e) { return activate(s.acts, 3, n, i[0], clipped(std::move(e), s.clip)); };
    Expr in = act(0, peep(gate(0), 0, old));
    Expr forget = coupled ? 1 - in : act(0, peep(gate(2), 2, old));
    Expr cell = forget * old + in * act(1, gate(3));
    Expr out = act(0, peep(gate(1), 1, cell));
    Expr h = out * activate(s.acts, 3, 2, i[0], cell);
    return std::vector<Expr>{s.held(i[1], ex::cast(h, s.h.dtype()), s.h(i)),
                             s.held(i[1], ex::cast(cell, c.dtype()), c(i))};
  });
  d.out(both[0]);
  d.out(both[1]);
  return {};
}

// xp, t, h, r, rb: [D, H] (recurrent bias of the hidden gate, linear_before_reset only), lens -> h'. Gates z, r, h.
Result<void> define_gru_step(Def& d) {
  TRY(expect_ranks(d, {4, 0, 3, 3, 2, 1}));
  TRY(expect_same_floats(d, {2, 3, 4}));
  TRY(expect_numbers(d, {1, 5}));
  Step s = TRY(step(d, 3, 3, 5, 2, {"Sigmoid", "Tanh"}));
  Tensor rb = d.in(4);
  bool linear = d.i64("linear_before_reset", 0) != 0;
  const Dim& h = s.hidden;
  Tensor g = recur(d, s.h, s.r, 0, linear ? h * 3 : h * 2);
  auto act = [&](size_t n, Ix i, Expr e) { return activate(s.acts, 2, n, i[0], clipped(std::move(e), s.clip)); };
  auto gate = [&](Ix i, int64_t n) { return s.input(i, n) + g(i[0], i[1], h * n + i[2]); };
  Tensor candidate;
  if (linear) {
    candidate = d.map(s.dims(), [&](Ix i) {
      Expr recurrent = g(i[0], i[1], h * 2 + i[2]);
      if (rb) recurrent = recurrent + widen(rb(i[0], i[2]));
      return s.input(i, 2) + act(0, i, gate(i, 1)) * recurrent;
    });
  } else {
    Tensor reset = d.map(s.dims(), [&](Ix i) { return act(0, i, gate(i, 1)) * widen(s.h(i)); });
    Tensor recurrent = recur(d, reset, s.r, h * 2, h);
    candidate = d.map(s.dims(), [&](Ix i) { return s.input(i, 2) + recurrent(i); });
  }
  d.out(d.map(s.dims(), [&](Ix i) {
    Expr z = act(0, i, gate(i, 0)), old = widen(s.h(i));
    Expr e = (1 - z) * act(1, i, candidate(i)) + z * old;
    return s.held(i[1], ex::cast(e, s.h.dtype()), s.h(i));
  }));
  return {};
}

// xp, t, h, r, lens -> h'.
Result<void> define_rnn_step(Def& d) {
  TRY(expect_ranks(d, {4, 0, 3, 3, 1}));
  TRY(expect_same_floats(d, {2, 3}));
  TRY(expect_numbers(d, {1, 4}));
  Step s = TRY(step(d, 1, 3, 4, 1, {"Tanh"}));
  Tensor g = recur(d, s.h, s.r, 0, s.hidden);
  d.out(d.map(s.dims(), [&](Ix i) {
    Expr e = activate(s.acts, 1, 0, i[0], clipped(s.input(i, 0) + g(i), s.clip));
    return s.held(i[1], ex::cast(e, s.h.dtype()), s.h(i));
  }));
  return {};
}

// hs: [T, D, B, H], the states in the order of the steps; lens: [B] -> y: [T, D, B, H] in the order of time (layout 1:
// [B, T, D, H]).
Result<void> define_recurrent_output(Def& d) {
  TRY(expect_ranks(d, {4, 1}));
  TRY(expect_floats(d, {0}));
  TRY(expect_numbers(d, {1}));
  Tensor hs = d.in(0), lens = d.in(1);
  bool batch_first = d.i64("layout", 0) != 0, reverse = d.str("direction", "forward") == "reverse";
  Dims dims = hs.dims();
  if (batch_first) dims = {hs.dim(2), hs.dim(0), hs.dim(1), hs.dim(3)};
  d.out(d.map(dims, [&](Ix i) {
    const Dim &t = batch_first ? i[1] : i[0], &dir = batch_first ? i[2] : i[1], &b = batch_first ? i[0] : i[2];
    if (!lens) {
      Expr back = as_index(hs.dim(0) - 1 - t);
      return hs(ex::select(is_reversed(dir, reverse), back, as_index(t)), dir, b, i[3]);
    }
    Expr length = as_index(lens(b));
    Expr back = max(length - 1 - as_index(t), i64(0));
    Expr v = hs(ex::select(is_reversed(dir, reverse), back, as_index(t)), dir, b, i[3]);
    return ex::select(as_index(t) < length, v, ex::number(hs.dtype(), 0));
  }));
  return {};
}

// [D, B, H] of zeros for x: [T, B, I], w: [D, J, I], r: [D, J, H].
Result<void> define_recurrent_zeros(Def& d) {
  TRY(expect_ranks(d, {3, 3}));
  TRY(expect_floats(d, {0, 1}));
  Tensor x = d.in(0), r = d.in(1);
  Dim batch = x.dim(d.i64("layout", 0) != 0 ? 0 : 1);
  d.out(d.map({r.dim(0), batch, r.dim(2)}, [&](Ix) { return ex::number(x.dtype(), 0); }));
  return {};
}

// h: [D, B, H] (layout 1: [B, D, H]), for x and r as above -> [D, B, H], with the extents of x and r. In a region the checks of
// recurrent_project do not put these into h's type.
Result<void> define_recurrent_state(Def& d) {
  TRY(expect_ranks(d, {3, 3, 3}));
  TRY(expect_floats(d, {0, 1, 2}));
  Tensor h = d.in(0), x = d.in(1), r = d.in(2);
  const bool batch_first = d.i64("layout", 0) != 0;
  const std::string message = "the extents of an initial state differ from those of the input and the weights";
  Dim directions = TRY(d.same(r.dim(0), h.dim(batch_first ? 1 : 0), message));
  Dim batch = TRY(d.same(x.dim(batch_first ? 0 : 1), h.dim(batch_first ? 0 : 1), message));
  Dim hidden = TRY(d.same(r.dim(2), h.dim(2), message));
  d.out(d.map({directions, batch, hidden}, [&](Ix i) { return batch_first ? h(i[1], i[0], i[2]) : h(i); }));
  return {};
}

// b: [D, 2J] -> columns [from, from + count) of each row.
Result<void> define_recurrent_bias(Def& d) {
  TRY(expect_ranks(d, {2}));
  Tensor b = d.in(0);
  Dim from = d.i64("from", 0), count = d.i64("count", 0);
  d.out(d.map({b.dim(0), count}, [&](Ix i) { return b(i[0], from + i[1]); }));
  return {};
}

// --- the composites ---------------------------------------------------------------------------------------------------

namespace {

struct Cell {
  std::string op, step;
  int64_t gates;
  size_t per_direction;  // activations
  bool quantized_state = false;
};

// A bidirectional node as one forward and one reverse node over slices of its inputs, their outputs side by side.
Result<void> expand_directions(Expand& e, const Cell& cell) {
  const bool batch_first = e.i64("layout", 0) != 0;
  auto half = [&](Value* v, int64_t axis, int64_t d) -> Result<Value*> {
    if (!v) return nullptr;
    return TRY(e.op("slice", {v, e.ints_constant({d}), e.ints_constant({d + 1}), e.ints_constant({axis})}));
  };
  // Each direction takes its activations, and as many of the alphas and betas as these use.
  const std::vector<std::string> names = e.strs("activations");
  const std::vector<double> alphas = e.floats("activation_alpha"), betas = e.floats("activation_beta");
  size_t alpha = 0, beta = 0;
  std::vector<std::vector<Value*>> results;
  const int outputs = cell.gates == 4 ? 3 : 2;
  for (const int64_t d : {0, 1}) {
    Attrs attrs = e.node().attrs;
    attrs.set("direction", std::string(d == 0 ? "forward" : "reverse"));
    if (names.size() > cell.per_direction) {
      std::vector<std::string> own;
      std::vector<double> own_alphas, own_betas;
      for (size_t k = 0; k < cell.per_direction; ++k) {
        own.push_back(names[static_cast<size_t>(d) * cell.per_direction + k]);
        const int count = activation_parameters(lower_case(own.back()));
        if (count >= 1 && alpha < alphas.size()) own_alphas.push_back(alphas[alpha++]);
        if (count >= 2 && beta < betas.size()) own_betas.push_back(betas[beta++]);
      }
      attrs.set("activations", own);
      attrs.set("activation_alpha", own_alphas);
      attrs.set("activation_beta", own_betas);
    }
    std::vector<Value*> inputs{e.in(0)};
    for (int k = 1; k < e.inputs(); ++k) {
      const int64_t axis = k >= 5 && k <= 6 && batch_first ? 1 : 0;  // states: [B, D, H] then
      inputs.push_back(k == 4 ? e.in(k) : TRY(half(e.in(k), axis, d)));
    }
    results.push_back(TRY(e.op_n(cell.op, std::move(inputs), outputs, std::move(attrs))));
  }
  for (int k = 0; k < outputs; ++k) {
    const size_t n = static_cast<size_t>(k);
    const int64_t axis = k == 0 ? (batch_first ? 2 : 1) : (batch_first ? 1 : 0);
    e.out(e.wants(k) ? TRY(e.op("concat", {results[0][n], results[1][n]}, {{"axis", axis}})) : nullptr);
  }
  return {};
}

// The attributes that a step takes.
Attrs step_attrs(Expand& e) {
  Attrs attrs;
  for (const char* name : {"direction", "clip", "activations", "activation_alpha", "activation_beta", "input_forget",
                           "linear_before_reset"}) {
    if (const AttrValue* v = e.node().attrs.find(name)) attrs.set(name, *v);
  }
  return attrs;
}

Result<void> expand_recurrent(Expand& e, const Cell& cell) {
  Value *x = e.in(0), *w = e.in(1), *r = e.in(2), *b = e.in(3), *lens = e.in(4), *h0 = e.in(5);
  bool lstm = cell.gates == 4;
  for (Value* v : {x, w, r}) {
    if (!v->type.is_tensor() || v->type.tensor.rank() != 3)
      return invalid("got {}, expected a tensor of rank 3", v->type.str());
  }
  std::string direction = e.str("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    return invalid("direction is '{}', expected forward, reverse or bidirectional", direction);
  }
  int64_t directions = direction == "bidirectional" ? 2 : 1;
  auto hidden = r->type.tensor.dims[2].constant();
  if (!hidden || *hidden > kMaxHidden)
    return unsupported("the recurrent weight has type {}, expected a constant hidden size", r->type.str());
  if (int64_t size = e.i64("hidden_size", *hidden); size != *hidden) {
    return invalid("hidden_size is {}, expected {} as the recurrent weight {} has it", size, *hidden, r->type.str());
  }
  auto rows = w->type.tensor.dims[1].constant();
  if (!rows || *rows != cell.gates * *hidden) {
    return invalid("weight has type {}, expected {} rows ({} gates x hidden size {})", w->type.str(),
                   cell.gates * *hidden, cell.gates, *hidden);
  }
  if (auto n = w->type.tensor.dims[0].constant(); n && *n != directions) {
    return invalid("weight has {} directions, expected {} for '{}'", *n, directions, direction);
  }
  if (directions == 2) {
    const size_t listed = e.strs("activations").size();
    const bool split = 2 * *rows * *hidden * (bits(r->type.tensor.dtype) / 8) > kSharedCache;
    if (split && (listed <= cell.per_direction || listed == 2 * cell.per_direction)) return expand_directions(e, cell);
  }
  int64_t layout = e.i64("layout", 0);
  // Full lengths need no masks.
  if (lens && lens->constant) {
    auto time = x->type.tensor.dims[layout ? 1 : 0].constant();
    bool full = time.has_value();
    for (int64_t k = 0; full && k < lens->constant->elements(); ++k) full = lens->constant->integer(k) == *time;
    if (full) lens = nullptr;
  }
  Attrs attrs = step_attrs(e);
  if (cell.quantized_state) attrs.set("quantized_state", int64_t{1});
  bool linear = e.i64("linear_before_reset", 0) != 0 && cell.gates == 3;
  Value* c0 = lstm ? e.in(6) : nullptr;
  Value* xp = TRY(e.op("recurrent_project", {x, w, b, r, e.in(4), h0, c0, lstm ? e.in(7) : nullptr},
                       {{"layout", layout}, {"recurrent_bias", linear ? 2 * *hidden : int64_t{-1}}}));
  Value* rb = nullptr;
  if (linear && b) rb = TRY(e.op("recurrent_bias", {b}, {{"from", 5 * *hidden}, {"count", *hidden}}));
  auto state = [&](Value* initial) -> Result<Value*> {
    if (!initial) return TRY(e.op("recurrent_zeros", {x, r}, {{"layout", layout}}));
    const Dims &s = initial->type.tensor.dims, &weight = r->type.tensor.dims;
    const bool known = known_equal(s[layout ? 1 : 0], weight[0]) && known_equal(s[2], weight[2]) &&
                       known_equal(s[layout ? 0 : 1], x->type.tensor.dims[layout ? 0 : 1]);
    if (!known) return TRY(e.op("recurrent_state", {initial, x, r}, {{"layout", layout}}));
    if (!layout) return initial;
    return TRY(e.op("transpose", {initial}, {{"perm", std::vector<int64_t>{1, 0, 2}}}));
  };
  std::vector<Value*> carried{TRY(state(h0))};
  if (lstm) carried.push_back(TRY(state(c0)));
  Value* trips = TRY(e.op("shape", {xp}, {{"start", int64_t{0}}, {"end", int64_t{1}}}));
  trips = TRY(e.op("reshape", {trips, e.ints_constant({})}));
  std::vector<Value*> loop = TRY(e.loop(
      trips, nullptr, carried, 1, [&](Expand& body, Value* t, std::vector<Value*> s) -> Result<std::vector<Value*>> {
        if (lstm) {
          std::vector<Value*> next = TRY(body.op_n("lstm_step", {xp, t, s[0], s[1], r, e.in(7), lens}, 2, attrs));
          return std::vector<Value*>{next[0], next[1], next[0]};
        }
        std::vector<Value*> inputs{xp, t, s[0], r};
        if (cell.gates == 3) inputs.push_back(rb);
        inputs.push_back(lens);
        Value* next = TRY(body.op(cell.step, inputs, attrs));
        return std::vector<Value*>{next, next};
      }));
  if (e.wants(0)) {
    bool as_is = !lens && direction == "forward" && !layout;
    e.out(as_is ? loop.back()
                : TRY(e.op("recurrent_output", {loop.back(), lens}, {{"layout", layout}, {"direction", direction}})));
  } else {
    e.out(nullptr);
  }
  for (size_t k = 0; k < carried.size(); ++k) {
    Value* last = loop[k];
    if (layout && e.wants(1 + static_cast<int>(k)))
      last = TRY(e.op("transpose", {last}, {{"perm", std::vector<int64_t>{1, 0, 2}}}));
    e.out(last);
  }
  return {};
}

}  // namespace

// LSTM-22. x: [T, B, I], w: [D, 4H, I], r: [D, 4H, H], b: [D, 8H], sequence_lens: i32 [B], initial_h, initial_c: [D, B, H],
// p: [D, 3H] -> y: [T, D, B, H], y_h, y_c: [D, B, H]. layout 1 moves the batch to the front.
Result<void> expand_lstm(Expand& e) { return expand_recurrent(e, {"lstm", "lstm_step", 4, 3}); }

Result<void> expand_lstm_of_quantized_states(Expand& e) {
  return expand_recurrent(e, {"lstm_of_quantized_states", "lstm_step", 4, 3, true});
}

// DynamicQuantizeLSTM (com.microsoft). x: [T, B, I], w: [D, I, 4H], r: [D, H, 4H] of bytes, then as LSTM's inputs; w_scale,
// w_zero_point, r_scale, r_zero_point: [D] or [D, 4H]. x as a whole, and the state in each step, go through bytes
// (DynamicQuantizeLinear), so that the products are those of integers.
Result<void> expand_dynamic_quantize_lstm(Expand& e) {
  for (int k = 8; k < 12; ++k)
    if (!e.has(k)) return invalid("got no input {}, expected the scales and zero points of W and R", k);
  auto weight = [&](int at, int scale_at) -> Result<Value*> {
    auto spread = [&](Value* v, int64_t to) -> Result<Value*> {
      if (!v || !v->type.is_tensor() || v->type.tensor.rank() < 1 || v->type.tensor.rank() > 2)
        return invalid("a scale or zero point is {}, expected a tensor of rank 1 or 2", v ? v->type.str() : "absent");
      Value* axes = v->type.tensor.rank() == 2 ? e.ints_constant({1}) : e.ints_constant({1, 2});
      return TRY(e.op("unsqueeze", {TRY(e.op("cast", {v}, {{"to", to}})), axes}));
    };
    if (!e.in(at)->type.is_tensor() || e.in(at)->type.tensor.rank() != 3)
      return invalid("got {}, expected a tensor of rank 3", e.in(at)->type.str());
    constexpr int64_t kFloat = 1;
    Value* whole = TRY(e.op("cast", {e.in(at)}, {{"to", kFloat}}));
    Value* centred = TRY(e.op("sub", {whole, TRY(spread(e.in(scale_at + 1), kFloat))}));
    Value* scaled = TRY(e.op("mul", {centred, TRY(spread(e.in(scale_at), kFloat))}));
    return TRY(e.op("transpose", {scaled}, {{"perm", std::vector<int64_t>{0, 2, 1}}}));
  };
  std::vector<Value*> bytes = TRY(e.op_n("dynamic_quantize_linear", {e.in(0)}, 3));
  std::vector<Value*> inputs{TRY(e.op("dequantize_linear", bytes)), TRY(weight(1, 8)), TRY(weight(2, 10))};
  for (int k = 3; k < 8; ++k) inputs.push_back(e.in(k));
  std::vector<Value*> results = TRY(e.op_n("lstm_of_quantized_states", std::move(inputs), 3, e.node().attrs));
  for (Value* v : results) e.out(v);
  return {};
}

// GRU-22. As LSTM with three gates z, r, h; linear_before_reset.
Result<void> expand_gru(Expand& e) { return expand_recurrent(e, {"gru", "gru_step", 3, 2}); }

// RNN-22.
Result<void> expand_rnn(Expand& e) { return expand_recurrent(e, {"rnn", "rnn_step", 1, 1}); }

// --- scan -------------------------------------------------------------------------------------------------------------

// Scan-25: states..., scan inputs... -> states..., scan outputs... as a loop. The body's region moves into the loop's; each
// scan input is gathered at the iteration (or its mirror), each scan output is stacked by the loop and then turned.
Result<void> expand_scan(Expand& e) {
  Node& node = e.node();
  if (node.regions.size() != 1) return invalid("got {} bodies, expected 1", node.regions.size());
  int64_t scan_inputs = e.i64("num_scan_inputs", 0);
  int64_t count = static_cast<int64_t>(node.inputs.size());
  if (scan_inputs < 1 || scan_inputs > count)
    return invalid("num_scan_inputs is {}, expected 1 to {}", scan_inputs, count);
  size_t states = static_cast<size_t>(count - scan_inputs);
  Region& body = *node.regions[0];
  if (body.inputs.size() != static_cast<size_t>(count) || body.outputs.size() < states) {
    return invalid("got a body with {} inputs and {} outputs, expected {} and at least {}", body.inputs.size(),
                   body.outputs.size(), count, states);
  }
  size_t scan_outputs = body.outputs.size() - states;
  auto list = [&](const char* name, size_t n) -> Result<std::vector<int64_t>> {
    std::vector<int64_t> v = e.ints(name);
    if (v.empty()) v.assign(n, 0);
    if (v.size() != n) return invalid("{} has {} elements, expected {}", name, v.size(), n);
    return v;
  };
  size_t n_in = static_cast<size_t>(scan_inputs);
  std::vector<int64_t> in_axes = TRY(list("scan_input_axes", n_in)), in_dirs = TRY(list("scan_input_directions", n_in));
  std::vector<int64_t> out_axes = TRY(list("scan_output_axes", scan_outputs)),
                       out_dirs = TRY(list("scan_output_directions", scan_outputs));
  for (size_t k = 0; k < n_in; ++k) {
    Value* v = node.inputs[states + k];
    if (!v || !v->type.is_tensor()) return invalid("scan input {} is no tensor", k);
    int rank = v->type.tensor.rank();
    if (in_axes[k] < -rank || in_axes[k] >= rank)
      return invalid("scan_input_axes has {}, expected a value in [{}, {})", in_axes[k], -rank, rank);
    if (in_axes[k] < 0) in_axes[k] += rank;
  }
  auto scalar_of = [&](Value* shape) { return e.op("reshape", {shape, e.ints_constant({})}); };
  Value* trips =
      TRY(scalar_of(TRY(e.op("shape", {node.inputs[states]}, {{"start", in_axes[0]}, {"end", in_axes[0] + 1}}))));

  // The loop is built by hand, its body not inferred yet: extents of states may have to become symbols first.
  Value* last = TRY(e.op("sub", {trips, e.integer(1)}));
  Graph& graph = e.graph();
  auto region = std::make_unique<Region>();
  auto add = [&](std::string_view op, std::vector<Value*> inputs, Value* output, Attrs attrs = {}) {
    auto n = std::make_unique<Node>();
    n->def = find_op(op);
    n->name = node.name;
    n->source = node.source;
    n->inputs = std::move(inputs);
    n->attrs = std::move(attrs);
    n->outputs = {output};
    output->producer = n.get();
    output->output_index = 0;
    region->nodes.push_back(std::move(n));
    return output;
  };
  Value* iteration = graph.new_value(node.name + ".iteration", Type::of({DType::I64, {}}));
  Value* condition = graph.new_value(node.name + ".condition", Type::of({DType::Bool, {}}));
  region->inputs = {iteration, condition};
  region->inputs.insert(region->inputs.end(), body.inputs.begin(), body.inputs.begin() + static_cast<long>(states));
  for (size_t k = 0; k < n_in; ++k) {
    Value* at = in_dirs[k] ? add("sub", {last, iteration}, graph.new_value(node.name + ".mirrored")) : iteration;
    add("gather", {node.inputs[states + k], at}, body.inputs[states + k], {{"axis", in_axes[k]}});
  }
  for (auto& n : body.nodes) region->nodes.push_back(std::move(n));
  body.nodes.clear();
  region->outputs = {condition};
  region->outputs.insert(region->outputs.end(), body.outputs.begin(), body.outputs.end());
  auto loop_node = std::make_unique<Node>();
  loop_node->def = find_op("loop");
  loop_node->name = node.name;
  loop_node->source = node.source;
  loop_node->inputs = {trips, nullptr};
  loop_node->inputs.insert(loop_node->inputs.end(), node.inputs.begin(),
                           node.inputs.begin() + static_cast<long>(states));
  loop_node->regions.push_back(std::move(region));
  std::vector<Value*> loop;
  for (size_t k = 0; k < body.outputs.size(); ++k) {
    Value* v = graph.new_value(node.name + ".scan");
    v->producer = loop_node.get();
    v->output_index = static_cast<int>(k);
    loop_node->outputs.push_back(v);
    loop.push_back(v);
  }
  TRY(e.append(std::move(loop_node)));
  for (size_t k = 0; k < states; ++k) e.out(loop[k]);
  for (size_t k = 0; k < scan_outputs; ++k) {
    Value* v = loop[states + k];
    int rank = v->type.tensor.rank();
    if (out_dirs[k]) {
      // Mirror along the new leading dim.
      v = TRY(e.op("slice", {v, e.ints_constant({-1}), e.ints_constant({INT64_MIN / 2}), e.ints_constant({0}),
                             e.ints_constant({-1})}));
    }
    int64_t axis = out_axes[k] < 0 ? out_axes[k] + rank : out_axes[k];
    if (axis < 0 || axis >= rank)
      return invalid("scan_output_axes has {}, expected a value in [{}, {})", out_axes[k], -rank, rank);
    if (axis > 0) {
      std::vector<int64_t> perm;
      for (int64_t p = 1; p <= axis; ++p) perm.push_back(p);
      perm.push_back(0);
      for (int64_t p = axis + 1; p < rank; ++p) perm.push_back(p);
      v = TRY(e.op("transpose", {v}, {{"perm", perm}}));
    }
    e.out(v);
  }
  return {};
}

}  // namespace ingot
