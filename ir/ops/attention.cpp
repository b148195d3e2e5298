#include "ir/ops/attention.h"

#include <cmath>

#include "ir/ops/common.h"

namespace ingot {

using namespace nn;

namespace nn {

Expr score_scale(Def& d, double scale, const Dim& size, DType t) {
  if (scale != 0) return ex::number(t, scale);
  if (auto known = size.constant()) return ex::number(t, 1 / std::sqrt(static_cast<double>(*known)));
  return d.map({}, [&](Ix) { return ex::cast(rsqrt(from_dim(size, DType::F64)), t); })(Dims{});
}

AttentionResult attend(Def& d, const AttentionSpec& a) {
  AttentionResult r;
  DType t = a.type;
  Dims dims{a.batch, a.heads, a.queries, a.keys}, rows{a.batch, a.heads, a.queries};
  auto in_t = [t](Expr e) { return ex::cast(std::move(e), t); };
  r.scores = d.reduce(Combiner::Sum, dims, {a.head_size}, [&](Ix i, Ix s) {
    return in_t(a.q(i[0], i[1], i[2], s[0])) * in_t(a.k(i[0], i[1], i[3], s[0]));
  });
  if (a.scale != 1) {
    const Expr scale = score_scale(d, a.scale, a.head_size, t);
    r.scores = d.map(dims, [&, s = r.scores](Ix i) { return s(i) * scale; });
  }
  r.capped = r.scores;
  if (a.softcap > 0) r.capped = d.map(dims, [&](Ix i) { return tanh(r.scores(i) / a.softcap) * a.softcap; });
  r.biased = r.capped;
  Expr minus_infinity = ex::number(t, -INFINITY);
  if (a.bias) {
    r.biased = d.map(dims, [&](Ix i) {
      Expr b = a.bias(i);
      // A key that is out stays out, whatever its score: inf + -inf is no number.
      return ex::select(eq(b, minus_infinity), minus_infinity, r.capped(i) + b);
    });
  }
  DType st = a.softmax_type;
  auto logit = [&](Ix i) { return ex::cast(r.biased(i), st); };
  auto row = [](Ix i) { return Dims{i[0], i[1], i[2]}; };
  bool guard = a.bias && a.zero_masked_rows;
  Tensor m = d.reduce(Combiner::Max, rows, {a.keys}, [&](Ix i, Ix s) { return logit({i[0], i[1], i[2], s[0]}); });
  if (a.sink) m = d.map(rows, [&, most = m](Ix i) { return max(most(i), a.sink(i[1])); });
  Tensor e = d.map(dims, [&](Ix i) {
    Expr top = m(row(i));
    if (guard) top = ex::select(eq(top, ex::number(st, -INFINITY)), ex::number(st, 0), top);
    return exp(logit(i) - top);
  });
  Tensor z = d.reduce(Combiner::Sum, rows, {a.keys}, [&](Ix i, Ix s) { return e(i[0], i[1], i[2], s[0]); });
  if (a.sink) z = d.map(rows, [&, sum = z](Ix i) { return sum(i) + exp(a.sink(i[1]) - m(i)); });
  r.probabilities = d.map(dims, [&](Ix i) {
    Expr sum = z(row(i)), zero = ex::number(st, 0);
    if (guard) sum = ex::select(eq(sum, zero), ex::number(st, 1), sum);
    return e(i) / sum;
  });
  r.y = d.reduce(Combiner::Sum, {a.batch, a.heads, a.queries, a.value_size}, {a.keys}, [&](Ix i, Ix s) {
    return in_t(r.probabilities(i[0], i[1], i[2], s[0])) * in_t(a.v(i[0], i[1], s[0], i[3]));
  });
  return r;
}

Tensor merge_heads(Def& d, const Tensor& y, DType t) {
  Dim size = y.dim(3);
  return d.map({y.dim(0), y.dim(2), y.dim(1) * size},
               [&](Ix i) { return ex::cast(y(i[0], floordiv(i[2], size), i[1], mod(i[2], size)), t); });
}

}  // namespace nn

namespace {

// q, k or v as [B, H, L, D], packed in rows [B, L, H*D] or not.
struct Heads {
  Tensor x;
  bool packed = false;
  Dim heads, length, size;

  Expr operator()(const Dim& b, const Dim& h, const Dim& i, const Dim& d) const {
    return packed ? x(b, i, h * size + d) : x(b, h, i, d);
  }
};

Result<Heads> heads(Def& d, const Tensor& x, int64_t count, const char* what) {
  if (x.rank() == 4) return Heads{x, false, x.dim(1), x.dim(2), x.dim(3)};
  if (x.rank() != 3) return invalid("{} has rank {}, expected 3 or 4", what, x.rank());
  if (count < 1) return invalid("{} has rank 3 and its number of heads is {}, expected at least 1", what, count);
  TRY(d.require(equal(mod(x.dim(2), count), 0),
                fmt::format("{} has {} columns, expected a multiple of {} heads", what, x.dim(2).str(), count)));
  return Heads{x, true, count, x.dim(1), floordiv(x.dim(2), count)};
}

// The past of a key or value before the new rows: [B, H, P + L, D].
Tensor with_past(Def& d, const Heads& now, const Tensor& past) {
  Dim before = past ? past.dim(2) : Dim(0);
  return d.map({now.x.dim(0), now.heads, before + now.length, now.size}, [&](Ix i) {
    Dim at = i[2] - before;
    if (!past) return now(i[0], i[1], i[2], i[3]);
    Dims in_now = now.packed ? Dims{i[0], at, i[1] * now.size + i[3]} : Dims{i[0], i[1], at, i[3]};
    Expr zero = ex::number(past.dtype(), 0);
    return ex::select(as_index(i[2]) < as_index(before), past.or_fill(i, zero),
                      ex::cast(now.x.or_fill(in_now, ex::number(now.x.dtype(), 0)), past.dtype()));
  });
}

}  // namespace

// Attention-25. q: [B, Hq, L, D] or [B, L, Hq*D]; k, v: [B, Hkv, S, D] or packed; attn_mask: broadcast to [B, Hq, L, S], its
// last dim may be shorter; past_key, past_value: [B, Hkv, P, D]; nonpad_kv_seqlen: [B] -> y (packed as q), present_key,
// present_value, qk_matmul_output.
Result<void> define_attention(Def& d) {
  Tensor q = d.in(0), mask = d.in(3), past_k = d.in(4), past_v = d.in(5), nonpad = d.in(6);
  int64_t q_heads = d.i64("q_num_heads", 0), kv_heads = d.i64("kv_num_heads", 0);
  Heads hq = TRY(heads(d, q, q_heads, "query")), hk = TRY(heads(d, d.in(1), kv_heads, "key")),
        hv = TRY(heads(d, d.in(2), kv_heads, "value"));
  if (bool(past_k) != bool(past_v)) return invalid("got one of past_key and past_value, expected both or neither");
  TRY(expect_ranks(d, {-1, -1, -1, -1, 4, 4, 1}));
  TRY(expect_floats(d, {0, 1, 2, 4, 5}));
  TRY(expect_numbers(d, {3, 6}));
  TRY(d.require(equal(hq.size, hk.size),
                fmt::format("query has head size {} and key {}, expected equal ones", hq.size.str(), hk.size.str())));
  TRY(d.require(
      equal(mod(hq.heads, max(hk.heads, 1)), 0),
      fmt::format("query has {} heads, expected a multiple of the key's {}", hq.heads.str(), hk.heads.str())));
  DType type = q.dtype();
  bool present = d.wants(1) || d.wants(2) || past_k;
  Tensor key, value;
  if (present) {
    key = with_past(d, hk, past_k);
    value = with_past(d, hv, past_v);
  }
  Dim before = past_k ? past_k.dim(2) : Dim(0), keys = before + hk.length;
  Dim repeat = floordiv(hq.heads, max(hk.heads, 1));
  auto kv_head = [&](const Dim& h) { return repeat.is(1) ? h : floordiv(h, repeat); };

  bool causal = d.i64("is_causal", 0) != 0;
  int64_t left = d.i64("left_window_size", -1), right = d.i64("right_window_size", -1);
  if (left < -1 || right < -1) return invalid("got window sizes {} and {}, expected at least -1", left, right);
  int64_t mode = d.i64("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) return invalid("qk_matmul_output_mode is {}, expected 0 to 3", mode);

  AttentionSpec a{q.dim(0), hq.heads, hq.length, keys, hq.size, hv.size, {}, {}, {}, {}};
  a.type = accumulator(type);
  a.softmax_type = a.type;
  if (int64_t code = d.i64("softmax_precision", 0); code != 0) {
    a.softmax_type = onnx_dtype(code);
    if (a.softmax_type != DType::F64 && a.softmax_type != DType::F32 && a.softmax_type != DType::F16 &&
        a.softmax_type != DType::BF16) {
      return invalid("softmax_precision is {}, expected a float type", code);
    }
  }
  a.softcap = d.f64("softcap", 0);
  a.q = hq;
  a.k = [&](const Dim& b, const Dim& h, const Dim& j, const Dim& e) {
    return key ? key(b, kv_head(h), j, e) : hk(b, kv_head(h), j, e);
  };
  a.v = [&](const Dim& b, const Dim& h, const Dim& j, const Dim& e) {
    return value ? value(b, kv_head(h), j, e) : hv(b, kv_head(h), j, e);
  };
  a.scale = d.f64("scale", 0);

  DType t = a.type;
  if (mask && (mask.rank() < 1 || mask.rank() > 4))
    return invalid("attn_mask has rank {}, expected 1 to 4", mask.rank());
  if (mask || causal || nonpad || left >= 0 || right >= 0) {
    a.bias = [&, t](Ix i) {
      Expr out = ex::number(t, -INFINITY), bias = ex::number(t, 0);
      if (mask) {
        Dims at;
        size_t skip = 4 - mask.dims().size();
        for (size_t n = 0; n + 1 < mask.dims().size(); ++n) {
          const Dim& extent = mask.dims()[n];
          at.push_back(extent.is(1)                                              ? Dim(0)
                       : extent.is_constant() || known_less(i[skip + n], extent) ? i[skip + n]
                                                                                 : min(i[skip + n], extent - 1));
        }
        at.push_back(i[3]);
        bool full = known_equal(mask.dims().back(), keys);
        if (mask.dtype() == DType::Bool) {
          bias = ex::select(full ? mask(at) : mask.or_fill(at, ex::boolean(false)), bias, out);
        } else {
          bias = ex::cast(full ? mask(at) : mask.or_fill(at, ex::number(mask.dtype(), -INFINITY)), t);
        }
      }
      // The query's position among the keys.
      Expr position = as_index(i[2]) + (past_k   ? as_index(before)
                                        : nonpad ? as_index(nonpad(i[0])) - as_index(hq.length)
                                                 : as_index(0));
      Expr j = as_index(i[3]);
      Expr allowed;
      auto allow = [&](Expr c) { allowed = allowed ? allowed && c : c; };
      if (causal) allow(j <= position);
      if (left >= 0) allow(position - j <= as_index(left));
      if (right >= 0) allow(j - position <= as_index(right));
      if (nonpad) allow(j < as_index(nonpad(i[0])));
      return allowed ? ex::select(allowed, bias, out) : bias;
    };
  }
  AttentionResult r = attend(d, a);
  d.out(hq.packed             ? merge_heads(d, r.y, type)
        : r.y.dtype() == type ? r.y
                              : d.map(r.y.dims(), [&](Ix i) { return ex::cast(r.y(i), type); }));
  d.out(key);
  d.out(value);
  if (d.wants(3)) {
    const Tensor& shown = mode == 0 ? r.scores : mode == 1 ? r.capped : mode == 2 ? r.biased : r.probabilities;
    d.out(d.map(shown.dims(), [&](Ix i) { return ex::cast(shown(i), type); }));
  }
  return {};
}

namespace {

// cos and sin of position `at` and pair `p`, read from caches [positions, half] or [B, L, half].
struct Rotation {
  Tensor cos, sin, positions;
  Expr angle(const Tensor& cache, const Dim& b, const Dim& i, const Dim& p) const {
    if (!positions) return cache.rank() == 3 ? cache(cache.dim(0).is(1) ? Dim(0) : b, i, p) : cache(i, p);
    if (one_element(positions) && positions.rank() < 2)
      return cache(as_index(scalar(positions)) + as_index(i), p);  // an offset
    return cache(as_index(positions(positions.dim(0).is(1) ? Dim(0) : b, i)), p);
  }
};

// x with its first `rotary` columns per head turned.
Tensor rotate(Def& d, const Heads& x, const Rotation& r, const Dim& rotary, bool interleaved) {
  Dim half = floordiv(rotary, 2);
  bool whole = known_equal(rotary, x.size);
  return d.map(x.x.dims(), [&](Ix i) {
    Dim b = i[0], h = x.packed ? floordiv(i[2], x.size) : i[1], at = x.packed ? i[1] : i[2],
        e = x.packed ? mod(i[2], x.size) : i[3];
    // The pair's number and this element's place in it; columns past `rotary` stay.
    Dim pair = interleaved ? floordiv(e, 2) : mod(e, half),
        second = interleaved ? mod(e, 2) : min(floordiv(e, half), 1);
    if (!whole) pair = min(pair, half - 1);
    Dim first_at = interleaved ? pair * 2 : pair, second_at = interleaved ? pair * 2 + 1 : pair + half;
    Expr x1 = widen(x(b, h, at, first_at)), x2 = widen(x(b, h, at, second_at));
    Expr c = widen(r.angle(r.cos, b, at, pair)), s = widen(r.angle(r.sin, b, at, pair));
    Expr turned = ex::select(eq(as_index(second), as_index(0)), c * x1 - s * x2, s * x1 + c * x2);
    turned = ex::cast(turned, x.x.dtype());
    return whole ? turned : ex::select(as_index(e) < as_index(rotary), turned, x(b, h, at, e));
  });
}

}  // namespace

// RotaryEmbedding-23. x: [B, H, L, D] or [B, L, H*D]; cos, sin: [positions, half] with position_ids [B, L], else [B, L, half].
Result<void> define_rotary_embedding(Def& d) {
  TRY(expect_same_floats(d, {0, 1, 2}));
  TRY(expect_numbers(d, {3}));
  TRY(d.has(3) ? expect_ranks(d, {-1, 2, 2, 2}) : expect_ranks(d, {-1, 3, 3}));
  Heads x = TRY(heads(d, d.in(0), d.i64("num_heads", 0), "input"));
  int64_t dim = d.i64("rotary_embedding_dim", 0);
  d.out(rotate(d, x, {d.in(1), d.in(2), d.in(3)}, dim > 0 ? Dim(dim) : x.size, d.i64("interleaved", 0) != 0));
  return {};
}

// RotaryEmbedding (com.microsoft). x, position_ids ([B, L], or [1]: the first position), cos, sin: [positions, half].
Result<void> define_ms_rotary_embedding(Def& d) {
  Tensor t = d.in(0), cos = d.in(2);
  TRY(expect_ranks(d, {-1, -1, 2, 2}));
  TRY(expect_same_floats(d, {0, 2, 3}));
  TRY(expect_numbers(d, {1}));
  if (d.in(1).rank() != 2 && !one_element(d.in(1)))
    return invalid("position_ids has type {}, expected [B, L] or one element", d.in(1).type().str());
  int64_t dim = d.i64("rotary_embedding_dim", 0), count = d.i64("num_heads", 0);
  if (t.rank() == 3 && count == 0) {  // the head size is that of the caches
    auto columns = t.dim(2).constant(), half = cos.dim(1).constant();
    if (!columns || !half || *half < 1) return unsupported("the number of heads is not known, expected num_heads");
    count = *columns / (2 * *half);
  }
  Heads x = TRY(heads(d, t, count, "input"));
  d.out(rotate(d, x, {cos, d.in(3), d.in(1)}, dim > 0 ? Dim(dim) : x.size, d.i64("interleaved", 0) != 0));
  return {};
}

// --- com.microsoft ----------------------------------------------------------------------------------------------------

namespace {

// A key mask as transformers' exporters write it: [B] valid lengths, [B, S], [B, L, S] or [B, 1, M, M] of 0 and 1.
Expr key_mask(const Tensor& mask, Ix i, const Dim& before, const Dim& batch) {
  Expr zero = ex::integer(mask.dtype(), 0);
  if (mask.rank() == 1) {
    if (known_equal(mask.dim(0), batch)) return as_index(i[3]) < as_index(mask(i[0]));
    // [2B]: ends, then starts.
    return as_index(i[3]) < as_index(mask(i[0])) && as_index(i[3]) >= as_index(mask(i[0] + batch));
  }
  auto nonzero = [&](Expr e) { return ex::binary(ScalarOp::Ne, std::move(e), zero); };
  if (mask.rank() == 2) return nonzero(mask.or_fill({mask.dim(0).is(1) ? Dim(0) : i[0], i[3]}, zero));
  if (mask.rank() == 3) return nonzero(mask(mask.dim(0).is(1) ? Dim(0) : i[0], i[2], i[3]));
  return nonzero(mask(mask.dim(0).is(1) ? Dim(0) : i[0], 0, i[2] + before, i[3]));
}

}  // namespace

namespace {

// Attention of rows [B, L, H*D + H*D + Hv*Dv] that hold query, key and value, with what Attention and QAttention share:
// mask_index, past: [2, B, H, P, D], attention_bias: [B|1, H|1, L, S] -> y: [B, L, H*Dv], present: [2, B, H, P+L, D].
Result<void> packed_attention(Def& d, const Tensor& qkv, const Dims& hidden, const Tensor& mask, const Tensor& past,
                              const Tensor& extra) {
  if (mask && (mask.rank() < 1 || mask.rank() > 4))
    return invalid("mask_index has rank {}, expected 1 to 4", mask.rank());
  int64_t count = d.i64("num_heads", 0);
  if (count < 1) return invalid("num_heads is {}, expected at least 1", count);
  if (d.i64("do_rotary", 0) != 0) return unsupported("do_rotary is 1, expected 0");
  const Dim &batch = qkv.dim(0), &length = qkv.dim(1);
  const DType type = qkv.dtype();
  Dim size = floordiv(hidden[0], count), value_size = floordiv(hidden[2], count);
  Dim before = past ? past.dim(3) : Dim(0), keys = before + length;
  auto cached = [&](int64_t which, const Dim& from, const Dim& width) -> Tensor {
    return d.map({batch, count, keys, width}, [&](Ix i) {
      Expr zero = ex::number(type, 0);
      Expr now = qkv.or_fill({i[0], i[2] - before, from + i[1] * width + i[3]}, zero);
      if (!past) return now;
      return ex::select(as_index(i[2]) < as_index(before), past.or_fill({which, i[0], i[1], i[2], i[3]}, zero), now);
    });
  };
  bool keep = past || d.wants(1);
  Tensor key, value;
  if (keep) {
    key = cached(0, hidden[0], size);
    value = cached(1, hidden[0] + hidden[1], value_size);
  }
  AttentionSpec a{batch, count, length, keys, size, value_size, {}, {}, {}, {}};
  a.type = accumulator(type);
  a.softmax_type = a.type;
  a.zero_masked_rows = false;
  a.q = [&](const Dim& bb, const Dim& h, const Dim& i, const Dim& e) { return qkv(bb, i, h * size + e); };
  a.k = [&](const Dim& bb, const Dim& h, const Dim& i, const Dim& e) {
    return key ? key(bb, h, i, e) : qkv(bb, i, hidden[0] + h * size + e);
  };
  a.v = [&](const Dim& bb, const Dim& h, const Dim& i, const Dim& e) {
    return value ? value(bb, h, i, e) : qkv(bb, i, hidden[0] + hidden[1] + h * value_size + e);
  };
  a.scale = d.f64("scale", 0);
  bool causal = d.i64("unidirectional", 0) != 0;
  double out_value = d.f64("mask_filter_value", -10000);
  DType t = a.type;
  if (mask || extra || causal) {
    a.bias = [&, t](Ix i) {
      Expr bias = ex::number(t, 0);
      if (mask) bias = ex::select(key_mask(mask, i, before, batch), bias, ex::number(t, out_value));
      if (causal)
        bias = bias + ex::select(as_index(i[3]) <= as_index(i[2] + before), ex::number(t, 0), ex::number(t, out_value));
      if (extra) bias = bias + ex::cast(extra.broadcast(i), t);
      return bias;
    };
  }
  AttentionResult r = attend(d, a);
  d.out(merge_heads(d, r.y, type));
  if (keep) {
    d.out(d.map({2, batch, count, keys, size}, [&](Ix i) {
      return ex::select(eq(as_index(i[0]), as_index(0)), key(i[1], i[2], i[3], i[4]), value(i[1], i[2], i[3], i[4]));
    }));
  }
  return {};
}

}  // namespace

// Attention (com.microsoft). x: [B, L, I], weights: [I, (2)H*D + Hv*Dv], bias, mask_index, past, attention_bias -> y, present.
Result<void> define_ms_attention(Def& d) {
  Tensor x = d.in(0), w = d.in(1), b = d.in(2);
  if (d.has(6)) return unsupported("past_sequence_length is not supported");
  TRY(expect_ranks(d, {3, 2, 1, -1, 5, 4}));
  TRY(expect_same_floats(d, {0, 1, 2, 4, 5}));
  TRY(expect_numbers(d, {3}));
  std::vector<int64_t> sizes = d.ints("qkv_hidden_sizes");
  Dims hidden(3, floordiv(w.dim(1), 3));
  if (sizes.size() == 3) hidden = Dims(sizes.begin(), sizes.end());
  Tensor product = d.reduce(Combiner::Sum, {x.dim(0), x.dim(1), w.dim(1)}, {x.dim(2)},
                            [&](Ix i, Ix r) { return widen(x(i[0], i[1], r[0])) * widen(w(r[0], i[2])); });
  Tensor qkv = d.map(product.dims(), [&](Ix i) {
    Expr e = product(i);
    if (b) e = e + widen(b(i[2]));
    return ex::cast(e, x.dtype());
  });
  return packed_attention(d, qkv, hidden, d.in(3), d.in(4), d.in(5));
}

// QAttention (com.microsoft): Attention whose first product is one of bytes. x: [B, L, I], weights: [I, 3H*D], bias: [3H*D],
// x_scale, w_scale, mask_index, x_zero, w_zero, past -> y, present. w_scale, w_zero: scalars or [3H*D].
Result<void> define_qattention(Def& d) {
  Tensor x = d.in(0), w = d.in(1), b = d.in(2), xs = d.in(3), ws = d.in(4), xz = d.in(6), wz = d.in(7);
  for (int k : {0, 1, 2, 3, 4})
    if (!d.has(k)) return invalid("input {} is absent, expected a tensor", k);
  TRY(expect_ranks(d, {3, 2, 1, -1, -1, -1, -1, -1, 5}));
  TRY(expect_same_floats(d, {2, 3, 4, 8}));
  TRY(expect_numbers(d, {0, 1, 5, 6, 7}));
  for (int k : {0, 1}) TRY(expect_quantized(d.dtype(k)));
  TRY(expect_one_element(d, {3, 6}));
  for (int k : {4, 7}) TRY(expect_one_or_per_channel(d, k, w.dim(1)));
  auto i32 = [](Expr e) { return ex::cast(std::move(e), DType::I32); };
  Tensor product = d.reduce(Combiner::Sum, {x.dim(0), x.dim(1), w.dim(1)}, {x.dim(2)}, [&](Ix i, Ix r) {
    Expr p = i32(x(i[0], i[1], r[0])), q = i32(w(r[0], i[2]));
    return (xz ? p - i32(scalar(xz)) : p) * (wz ? q - i32(per_channel(wz, i[2])) : q);
  });
  Tensor qkv = d.map(product.dims(), [&](Ix i) {
    Expr scale = ex::cast(scalar(xs), DType::F32) * ex::cast(per_channel(ws, i[2]), DType::F32);
    return ex::cast(ex::cast(product(i), DType::F32) * scale + ex::cast(b(i[2]), DType::F32), b.dtype());
  });
  return packed_attention(d, qkv, Dims(3, floordiv(w.dim(1), 3)), d.in(5), d.in(8), Tensor());
}

// MultiHeadAttention (com.microsoft). query: [B, L, H*D]; key: [B, S, H*D] or [B, H, S, D]; value alike; bias: of all three;
// key_padding_mask; attention_bias: [B|1, H|1, L, S]; past_key, past_value: [B, H, P, D] -> y: [B, L, H*Dv], present_key,
// present_value.
Result<void> define_multi_head_attention(Def& d) {
  Tensor q = d.in(0), k = d.in(1), v = d.in(2), b = d.in(3), mask = d.in(4), extra = d.in(5), past_k = d.in(6),
         past_v = d.in(7);
  if (d.has(8) || d.has(9)) return unsupported("past_sequence_length and cache_indirection are not supported");
  int64_t count = d.i64("num_heads", 0);
  if (count < 1) return invalid("num_heads is {}, expected at least 1", count);
  if (!k || !v) return unsupported("packed query, key and value are not supported");
  if (q.rank() != 3) return unsupported("query has rank {}, expected 3", q.rank());
  TRY(expect_ranks(d, {3, -1, -1, 1, -1, 4, 4, 4}));
  TRY(expect_same_floats(d, {0, 1, 2, 3, 5, 6, 7}));
  TRY(expect_numbers(d, {4}));
  if (mask && (mask.rank() < 1 || mask.rank() > 4))
    return invalid("key_padding_mask has rank {}, expected 1 to 4", mask.rank());
  // The bias is added before heads are split.
  Dim q_columns = q.dim(2);
  auto biased = [&](const Tensor& x, const Dim& from) {
    if (!b) return x;
    if (x.rank() == 3) return d.map(x.dims(), [&](Ix i) { return x(i) + b(from + i[2]); });
    return x;  // already [B, H, S, D]: cached with its bias
  };
  Heads hq = TRY(heads(d, biased(q, 0), count, "query")), hk = TRY(heads(d, biased(k, q_columns), count, "key"));
  Heads hv = TRY(heads(d, biased(v, q_columns + q_columns), count, "value"));
  bool present = past_k || d.wants(1) || d.wants(2);
  Tensor key, value;
  if (present) {
    key = with_past(d, hk, past_k);
    value = with_past(d, hv, past_v);
  }
  Dim before = past_k ? past_k.dim(2) : Dim(0), keys = before + hk.length;
  AttentionSpec a{q.dim(0), count, hq.length, keys, hq.size, hv.size, {}, {}, {}, {}};
  a.type = accumulator(q.dtype());
  a.softmax_type = a.type;
  a.zero_masked_rows = false;
  a.q = hq;
  a.k = [&](const Dim& bb, const Dim& h, const Dim& i, const Dim& e) {
    return key ? key(bb, h, i, e) : hk(bb, h, i, e);
  };
  a.v = [&](const Dim& bb, const Dim& h, const Dim& i, const Dim& e) {
    return value ? value(bb, h, i, e) : hv(bb, h, i, e);
  };
  a.scale = d.f64("scale", 0);
  bool causal = d.i64("unidirectional", 0) != 0;
  double out_value = d.f64("mask_filter_value", -10000);
  DType t = a.type;
  if (mask || extra || causal) {
    a.bias = [&, t](Ix i) {
      Expr bias = ex::number(t, 0);
      if (mask) bias = ex::select(key_mask(mask, i, before, q.dim(0)), bias, ex::number(t, out_value));
      if (causal)
        bias = bias + ex::select(as_index(i[3]) <= as_index(i[2] + before), ex::number(t, 0), ex::number(t, out_value));
      if (extra) bias = bias + ex::cast(extra.broadcast(i), t);
      return bias;
    };
  }
  AttentionResult r = attend(d, a);
  d.out(merge_heads(d, r.y, q.dtype()));
  d.out(key);
  d.out(value);
  return {};
}

namespace {

// x: [B, L, H*D] with each head divided by its root mean square.
Heads normalised_heads(Def& d, const Heads& x, const Tensor& weight, double epsilon) {
  Tensor squares = d.reduce(Combiner::Sum, {x.x.dim(0), x.length, x.heads}, {x.size}, [&](Ix i, Ix r) {
    Expr e = widen(x(i[0], i[2], i[1], r[0]));
    return e * e;
  });
  Heads y = x;
  y.x = d.map(x.x.dims(), [&](Ix i) {
    Expr mean = squares(i[0], i[1], floordiv(i[2], x.size)) / from_dim(x.size, squares.dtype());
    return ex::cast(widen(x.x(i)) * rsqrt(mean + epsilon) * widen(weight(mod(i[2], x.size))), x.x.dtype());
  });
  return y;
}

}  // namespace

// GroupQueryAttention (com.microsoft). query: [B, L, Hq*D], key, value: [B, L, H*D] (absent: packed in query's rows);
// past_key, past_value: [B, H, P, D]; seqlens_k: i32 [B], the numbers of keys T less 1; total_sequence_length: the largest T;
// cos_cache, sin_cache: [positions, half]; position_ids: [B, L]; attention_bias: [B|1, H|1, L, total]; head_sink: [Hq];
// q_norm_weight, k_norm_weight: [D] -> y: [B, L, Hq*D], present_key, present_value: [B, H, max(P, total), D].
//
// The new rows are at positions T - L + i, or i in the first step (L = total), where the past is not read. A key is seen from
// its own position on, for local_window_size positions. Of present, rows that nothing was written to are 0.
Result<void> define_group_query_attention(Def& d) {
  Tensor q = d.in(0), k = d.in(1), v = d.in(2), past_k = d.in(3), past_v = d.in(4), last = d.in(5), cos = d.in(7),
         sin = d.in(8), positions = d.in(9), extra = d.in(10), sink = d.in(11), q_norm = d.in(14), k_norm = d.in(15);
  const int64_t q_heads = d.i64("num_heads", 0), kv_heads = d.i64("kv_num_heads", 0);
  if (kv_heads < 1 || q_heads < kv_heads || q_heads > kMaxWindowAttribute || q_heads % kv_heads != 0)
    return invalid("got {} query heads and {} key heads, expected a positive multiple", q_heads, kv_heads);
  if (d.has(12) || d.has(13) || d.str("k_quant_type", "NONE") != "NONE" || d.str("v_quant_type", "NONE") != "NONE")
    return unsupported("a quantised key or value cache is not supported");
  if (d.i64("sliding_window_cache", 0) != 0 || d.has(16))
    return unsupported("caches of the size of the window and padded query chunks are not supported");
  if (d.wants(3) || d.i64("qk_output", 0) != 0) return unsupported("the output of the scores is not supported");
  if (bool(k) != bool(v)) return invalid("got one of key and value, expected both or neither");
  if (bool(past_k) != bool(past_v)) return invalid("got one of past_key and past_value, expected both or neither");
  if (bool(q_norm) != bool(k_norm))
    return invalid("got one of q_norm_weight and k_norm_weight, expected both or neither");
  TRY(expect_ranks(d, {3, 3, 3, 4, 4, -1, -1, 2, 2, 2, 4, 1, -1, -1, 1, 1}));
  TRY(expect_same_floats(d, {0, 1, 2, 3, 4, 7, 8, 10, 11, 14, 15}));
  TRY(expect_numbers(d, {5, 6, 9}));
  if (!last || !d.has(6)) return invalid("got no seqlens_k or total_sequence_length, expected both");
  const Dim batch = q.dim(0), length = q.dim(1), columns = k ? Dim(q_heads) : Dim(q_heads + 2 * kv_heads);
  TRY(d.require(equal(mod(q.dim(2), columns), 0),
                fmt::format("query has {} columns, expected a multiple of {} heads", q.dim(2).str(), columns.str())));
  const Dim size = floordiv(q.dim(2), columns);
  if (last.rank() != 1 && !(last.rank() == 2 && last.dim(1).is(1)))
    return invalid("seqlens_k has type {}, expected [batch]", last.type().str());
  TRY(d.require(equal(last.dim(0), batch),
                fmt::format("seqlens_k has {} elements, expected the batch {}", last.dim(0).str(), batch.str())));
  for (int n : {1, 2}) {
    if (!d.has(n)) continue;
    TRY(d.require(min(equal(d.in(n).dim(1), length), equal(d.in(n).dim(2), size * kv_heads)),
                  fmt::format("input {} has type {}, expected {} rows of {} columns", n, d.in(n).type().str(),
                              length.str(), (size * kv_heads).str())));
  }
  for (int n : {3, 4}) {
    if (!d.has(n)) continue;
    const Tensor t = d.in(n);
    TRY(d.require(min(min(equal(t.dim(0), batch), equal(t.dim(1), kv_heads)),
                      min(equal(t.dim(3), size), equal(t.dim(2), past_k.dim(2)))),
                  fmt::format("input {} has type {}, expected [{}, {}, past, {}]", n, t.type().str(), batch.str(),
                              kv_heads, size.str())));
  }
  const Dim total = TRY(ops::integer_input(d, 6, 0, kMaxWindowAttribute));

  auto part = [&](const Tensor& own, int64_t from, int64_t count) {
    if (k) return Heads{own, true, count, length, size};
    Tensor x = d.map({batch, length, size * count}, [&](Ix i) { return q(i[0], i[1], size * from + i[2]); });
    return Heads{x, true, count, length, size};
  };
  Heads hq = part(q, 0, q_heads), hk = part(k, q_heads, kv_heads), hv = part(v, q_heads + kv_heads, kv_heads);
  if (q_norm) {
    const double epsilon = d.f64("qk_norm_epsilon", 1e-6);
    hq = normalised_heads(d, hq, q_norm, d.f64("q_norm_epsilon", epsilon));
    hk = normalised_heads(d, hk, k_norm, d.f64("k_norm_epsilon", epsilon));
  }
  auto keys_of = [&](const Dim& b) { return as_index(last.rank() == 2 ? last(b, 0) : last(b)) + 1; };
  // The position of the first new row.
  Tensor begin = d.map({batch}, [&](Ix i) {
    Expr first = eq(as_index(length), as_index(total));
    return ex::select(first, as_index(0), max(keys_of(i[0]) - as_index(length), as_index(0)));
  });
  if (d.i64("do_rotary", 0) != 0) {
    if (!cos || !sin) return invalid("do_rotary is 1 and cos_cache or sin_cache is absent, expected both");
    if (!positions) positions = d.map({batch, length}, [&](Ix i) { return begin(i[0]) + as_index(i[1]); });
    const bool interleaved = d.i64("rotary_interleaved", 0) != 0;
    const Rotation turn{cos, sin, positions};
    hq.x = rotate(d, hq, turn, cos.dim(1) * 2, interleaved);
    hk.x = rotate(d, hk, turn, cos.dim(1) * 2, interleaved);
  }
  auto cached = [&](const Heads& now, const Tensor& past) {
    const Dim rows = past ? max(total, past.dim(2)) : total;
    return d.map({batch, kv_heads, rows, size}, [&](Ix i) {
      Expr zero = ex::number(q.dtype(), 0), at = as_index(i[2]) - begin(i[0]);
      Expr fresh = now.x.or_fill({as_index(i[0]), at, as_index(i[1] * size + i[3])}, zero);
      return past ? ex::select(at < as_index(0), past.or_fill(i, zero), fresh) : fresh;
    });
  };
  Tensor key = cached(hk, past_k), value = cached(hv, past_v);
  AttentionSpec a{batch, q_heads, length, total, size, size, {}, {}, {}, {}};
  a.type = accumulator(q.dtype());
  a.softmax_type = a.type;
  a.softcap = d.f64("softcap", 0);
  const int64_t repeat = q_heads / kv_heads;
  a.q = hq;
  a.k = [&](const Dim& b, const Dim& h, const Dim& j, const Dim& e) { return key(b, floordiv(h, repeat), j, e); };
  a.v = [&](const Dim& b, const Dim& h, const Dim& j, const Dim& e) { return value(b, floordiv(h, repeat), j, e); };
  a.scale = d.f64("scale", 0);
  const bool causal = d.i64("causal", 1) != 0;
  const int64_t window = d.i64("local_window_size", -1);
  if (extra) TRY(expect_fits(d, extra, {batch, q_heads, length, total}));
  a.bias = [&, t = a.type](Ix i) {
    Expr j = as_index(i[3]), position = begin(i[0]) + as_index(i[2]);
    Expr allowed = causal ? j <= position : j < keys_of(i[0]);
    if (window > 0) allowed = allowed && position - j < as_index(window);
    Expr bias = extra ? ex::cast(extra.broadcast(i), t) : ex::number(t, 0);
    return ex::select(allowed, bias, ex::number(t, -INFINITY));
  };
  if (sink) a.sink = [&, t = a.type](const Dim& h) { return ex::cast(sink(h), t); };
  else if (d.i64("smooth_softmax", 0) != 0) a.sink = [t = a.type](const Dim&) { return ex::number(t, 0); };
  d.out(merge_heads(d, attend(d, a).y, q.dtype()));
  d.out(key);
  d.out(value);
  return {};
}

}  // namespace ingot
