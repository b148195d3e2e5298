// Quantisation, recurrences, attention and classical models against loops.
#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

Arg f32(float v) { return constant(tensor<float>({}, {v})); }

// --- quantisation -----------------------------------------------------------------------------------------------------

TEST(Quantize, HalfToEvenAndSaturates) {
  auto x = tensor<float>({9}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 300, -300, NAN, 1e30f});
  auto y = values<uint8_t>(run1("quantize_linear", {x, f32(1), constant(tensor<uint8_t>({}, {10}))}));
  EXPECT_EQ(y[0], 10);
  EXPECT_EQ(y[1], 12);
  EXPECT_EQ(y[2], 12);
  EXPECT_EQ(y[3], 10);
  EXPECT_EQ(y[4], 8);
  EXPECT_EQ(y[5], 255);
  EXPECT_EQ(y[6], 0);
  EXPECT_EQ(y[8], 255);
}

TEST(Quantize, PerAxisAndBlocks) {
  auto x = floats({3, 10}, 50);
  auto scale = tensor<float>({3}, {0.5f, 0.25f, 2}),
       blocks = tensor<float>({3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  auto zero = tensor<int8_t>({3}, {1, -7, 30});
  auto q = run1("quantize_linear", {x, scale, zero}, {{"axis", int64_t{0}}});
  auto expected = [&](const Shape& i) {
    float v = static_cast<float>(number_at(x, i)) / static_cast<float>(scale->number(i[0]));
    return std::min(std::max(std::nearbyint(v) + zero->number(i[0]), -128.0), 127.0);
  };
  expect_is(q, {3, 10}, expected, 0);
  expect_is(run1("dequantize_linear", {q, scale, zero}, {{"axis", int64_t{0}}}), {3, 10},
            [&](const Shape& i) { return (expected(i) - zero->number(i[0])) * scale->number(i[0]); });
  auto b = run1("quantize_linear", {x, blocks},
                {{"axis", int64_t{1}}, {"block_size", int64_t{3}}, {"output_dtype", int64_t{3}}}, false);
  expect_is(
      b, {3, 10},
      [&](const Shape& i) {
        float v = static_cast<float>(number_at(x, i)) / static_cast<float>(number_at(blocks, {i[0], i[1] / 3}));
        return std::nearbyint(v);
      },
      0);
}

// Two elements in a byte, the lower first; blocks along rows; a row that does not exist is 0.
TEST(Quantize, RowsOfBlocks) {
  std::vector<uint8_t> packed, zeros;
  for (int k = 0; k < 3 * 8; ++k) packed.push_back(static_cast<uint8_t>(k * 29 + 7));
  for (int k = 0; k < 3; ++k) zeros.push_back(static_cast<uint8_t>(k * 61 + 5));
  auto data = constant(tensor<uint8_t>({3, 8}, packed));
  auto scales = floats({3, 2});
  Attrs attrs{
      {"gather_axis", int64_t{0}}, {"quantize_axis", int64_t{1}}, {"block_size", int64_t{8}}, {"bits", int64_t{4}}};
  const std::vector<int64_t> rows{2, -3, 7};
  for (bool with_zeros : {false, true}) {
    std::vector<Arg> inputs{data, tensor<int64_t>({3}, rows), scales};
    if (with_zeros) inputs.push_back(tensor<uint8_t>({3, 1}, zeros));
    auto nibble = [](uint8_t byte, int64_t at) { return at % 2 ? byte >> 4 : byte & 15; };
    expect_is(run1("gather_block_quantized", inputs, attrs, false), {3, 16}, [&](const Shape& i) {
      int64_t row = rows[static_cast<size_t>(i[0])];
      if (row < 0) row += 3;
      if (row > 2) return 0.0;
      int q = nibble(packed[static_cast<size_t>(row * 8 + i[1] / 2)], i[1]);
      int z = with_zeros ? nibble(zeros[static_cast<size_t>(row)], i[1] / 8) : 8;
      return (q - z) * number_at(scales, {row, i[1] / 8});
    });
  }
}

TEST(Quantize, Dynamic) {
  auto x = floats({3, 7}, 5);
  auto y = run({"dynamic_quantize_linear", {x}, {}, 3});
  float lo = 0, hi = 0;
  for (int64_t k = 0; k < 21; ++k) lo = std::min(lo, x->as<float>()[k]), hi = std::max(hi, x->as<float>()[k]);
  float scale = (hi - lo) / 255;
  double zero = std::nearbyint(-lo / scale);
  EXPECT_EQ(y[1]->number(0), scale);
  EXPECT_EQ(y[2]->number(0), zero);
  expect_is(
      y[0], {3, 7},
      [&](const Shape& i) {
        return std::min(std::max(std::nearbyint(static_cast<float>(number_at(x, i)) / scale) + zero, 0.0), 255.0);
      },
      0);
}

TEST(Quantize, MatMul) {
  auto a = tensor<uint8_t>({2, 3}, {1, 200, 3, 4, 5, 255}), b = tensor<uint8_t>({3, 2}, {7, 127, 3, 200, 5, 6});
  auto y = run1("qlinear_mat_mul", {a, f32(0.1f), constant(tensor<uint8_t>({}, {100})), b, f32(0.2f),
                                    constant(tensor<uint8_t>({}, {9})), f32(3), constant(tensor<uint8_t>({}, {50}))});
  expect_is(
      y, {2, 2},
      [&](const Shape& i) {
        double s = 0;
        for (int64_t k = 0; k < 3; ++k) s += (number_at(a, {i[0], k}) - 100) * (number_at(b, {k, i[1]}) - 9);
        return std::min(std::max(std::nearbyint(static_cast<float>(s) * (0.1f * 0.2f / 3)) + 50.0, 0.0), 255.0);
      },
      0);
  auto sum = run1("qlinear_add", {a, f32(0.5f), constant(tensor<uint8_t>({}, {3})), a, f32(0.25f),
                                  constant(tensor<uint8_t>({}, {1})), f32(1), constant(tensor<uint8_t>({}, {0}))});
  expect_is(
      sum, {2, 3},
      [&](const Shape& i) {
        double v = (number_at(a, i) - 3) * 0.5 + (number_at(a, i) - 1) * 0.25;
        return std::min(std::max(std::nearbyint(v), 0.0), 255.0);
      },
      0);
}

// --- recurrences ------------------------------------------------------------------------------------------------------

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Rnn {
  int64_t t, b, in, h;
  TensorRef x, w, r, bias;
  std::vector<int64_t> lens;
  Rnn(int64_t time, int64_t batch, int64_t inputs, int64_t hidden, int64_t gates, int64_t dirs)
      : t(time),
        b(batch),
        in(inputs),
        h(hidden),
        x(floats({time, batch, inputs})),
        w(floats({dirs, gates * hidden, inputs})),
        r(floats({dirs, gates * hidden, hidden})),
        bias(floats({dirs, 2 * gates * hidden})),
        lens(static_cast<size_t>(batch), time) {}
  // Row j of W x[t] + Wb and of R h + Rb.
  double input(int64_t d, int64_t time, int64_t n, int64_t j) const {
    double s = bias->number(d * bias->dims[1] + j);
    for (int64_t k = 0; k < in; ++k) s += number_at(x, {time, n, k}) * number_at(w, {d, j, k});
    return s;
  }
  double recurrent(int64_t d, const std::vector<double>& state, int64_t j) const {
    double s = bias->number(d * bias->dims[1] + bias->dims[1] / 2 + j);
    for (int64_t k = 0; k < h; ++k) s += state[static_cast<size_t>(k)] * number_at(r, {d, j, k});
    return s;
  }
};

void both_directions_with_lengths(int64_t hidden) {
  Rnn m(5, 3, 4, hidden, 4, 2);
  m.lens = {5, 3, 1};
  auto lens = tensor<int32_t>({3}, {5, 3, 1});
  auto y = run({"lstm",
                {m.x, m.w, m.r, m.bias, lens},
                {{"direction", std::string("bidirectional")}, {"hidden_size", hidden}},
                3,
                false});
  std::map<Shape, double> seq, last_h, last_c;
  for (int64_t d = 0; d < 2; ++d)
    for (int64_t n = 0; n < 3; ++n) {
      std::vector<double> h(static_cast<size_t>(hidden), 0), c = h;
      for (int64_t step = 0; step < m.lens[static_cast<size_t>(n)]; ++step) {
        int64_t t = d ? m.lens[static_cast<size_t>(n)] - 1 - step : step;
        std::vector<double> nh = h, nc = c;
        for (int64_t k = 0; k < hidden; ++k) {
          auto gate = [&](int64_t g) { return m.input(d, t, n, g * hidden + k) + m.recurrent(d, h, g * hidden + k); };
          size_t u = static_cast<size_t>(k);
          nc[u] = sigmoid(gate(2)) * c[u] + sigmoid(gate(0)) * std::tanh(gate(3));
          nh[u] = sigmoid(gate(1)) * std::tanh(nc[u]);
          seq[{t, d, n, k}] = nh[u];
        }
        h = nh;
        c = nc;
      }
      for (int64_t k = 0; k < hidden; ++k)
        last_h[{d, n, k}] = h[static_cast<size_t>(k)], last_c[{d, n, k}] = c[static_cast<size_t>(k)];
    }
  expect_is(y[0], {5, 2, 3, hidden}, [&](const Shape& i) { return seq.count(i) ? seq[i] : 0.0; });
  expect_is(y[1], {2, 3, hidden}, [&](const Shape& i) { return last_h[i]; });
  expect_is(y[2], {2, 3, hidden}, [&](const Shape& i) { return last_c[i]; });
}

TEST(Recurrent, LstmBothDirectionsWithLengths) { both_directions_with_lengths(2); }

// Weights of two directions that no cache keeps together: each has its own loop.
TEST(Recurrent, LargeLstmBothDirectionsWithLengths) { both_directions_with_lengths(132); }

TEST(Recurrent, LargeDirectionsAreTwoNodes) {
  const int64_t h = 220, batch = 2;
  auto x = floats({batch, 3, 4}), w = floats({2, 3 * h, 4}, 0.5), r = floats({2, 3 * h, h}, 0.1),
       bias = floats({2, 6 * h}), first = floats({batch, 2, h}, 0.5);
  const std::vector<std::string> names = {"LeakyRelu", "Tanh", "HardSigmoid", "ScaledTanh"};
  auto both = run({"gru",
                   {x, w, r, bias, {}, first},
                   {{"direction", std::string("bidirectional")},
                    {"hidden_size", h},
                    {"layout", int64_t{1}},
                    {"activations", names},
                    {"activation_alpha", std::vector<double>{0.1, 0.3, 0.7}},
                    {"activation_beta", std::vector<double>{0.4, 0.9}}},
                   2,
                   false});
  for (int64_t d = 0; d < 2; ++d) {
    auto half = [&](const TensorRef& t, size_t axis) {
      Shape dims = t->dims;
      dims[axis] = 1;
      int64_t inner = 1;
      for (size_t k = axis + 1; k < dims.size(); ++k) inner *= dims[k];
      std::vector<float> values;
      for (int64_t k = 0; k < t->elements(); ++k) {
        if (k / inner % 2 == d) values.push_back(t->as<float>()[k]);
      }
      return tensor<float>(dims, values);
    };
    auto one = run({"gru",
                    {x, half(w, 0), half(r, 0), half(bias, 0), {}, half(first, 1)},
                    {{"direction", std::string(d ? "reverse" : "forward")},
                     {"hidden_size", h},
                     {"layout", int64_t{1}},
                     {"activations", std::vector<std::string>(names.begin() + 2 * d, names.begin() + 2 * d + 2)},
                     {"activation_alpha", d ? std::vector<double>{0.3, 0.7} : std::vector<double>{0.1}},
                     {"activation_beta", d ? std::vector<double>{0.4, 0.9} : std::vector<double>{}}},
                    2,
                    false});
    expect_is(
        one[0], {batch, 3, 1, h}, [&](const Shape& i) { return number_at(both[0], {i[0], i[1], d, i[3]}); }, 1e-5);
    expect_is(one[1], {batch, 1, h}, [&](const Shape& i) { return number_at(both[1], {i[0], d, i[2]}); }, 1e-5);
  }
}

TEST(Recurrent, LstmPeepholesInitialStateReverse) {
  Rnn m(3, 1, 2, 3, 4, 1);
  auto h0 = floats({1, 1, 3}, 0.5), c0 = floats({1, 1, 3}, 0.25), p = floats({1, 9});
  auto y = run({"lstm",
                {m.x, m.w, m.r, m.bias, {}, h0, c0, p},
                {{"direction", std::string("reverse")}, {"hidden_size", int64_t{3}}},
                3,
                false});
  std::vector<double> h(3), c(3);
  for (size_t k = 0; k < 3; ++k) h[k] = h0->number(static_cast<int64_t>(k)), c[k] = c0->number(static_cast<int64_t>(k));
  for (int64_t t = 3; t-- > 0;) {
    std::vector<double> nh(3);
    auto nc = c;
    for (int64_t k = 0; k < 3; ++k) {
      size_t u = static_cast<size_t>(k);
      auto gate = [&](int64_t g) { return m.input(0, t, 0, g * 3 + k) + m.recurrent(0, h, g * 3 + k); };
      double in = sigmoid(gate(0) + p->number(k) * c[u]), forget = sigmoid(gate(2) + p->number(6 + k) * c[u]);
      nc[u] = forget * c[u] + in * std::tanh(gate(3));
      nh[u] = sigmoid(gate(1) + p->number(3 + k) * nc[u]) * std::tanh(nc[u]);
    }
    h = nh;
    c = nc;
    for (int64_t k = 0; k < 3; ++k) EXPECT_NEAR(number_at(y[0], {t, 0, 0, k}), h[static_cast<size_t>(k)], 1e-5);
  }
  for (int64_t k = 0; k < 3; ++k) EXPECT_NEAR(y[2]->number(k), c[static_cast<size_t>(k)], 1e-5);
}

TEST(Recurrent, GruBothForms) {
  for (int64_t linear : {0, 1}) {
    Rnn m(4, 2, 3, 3, 3, 1);
    auto y =
        run({"gru", {m.x, m.w, m.r, m.bias}, {{"linear_before_reset", linear}, {"hidden_size", int64_t{3}}}, 2, false});
    for (int64_t n = 0; n < 2; ++n) {
      std::vector<double> h(3, 0);
      for (int64_t t = 0; t < 4; ++t) {
        std::vector<double> z(3), reset(3), next(3);
        for (int64_t k = 0; k < 3; ++k) {
          size_t u = static_cast<size_t>(k);
          z[u] = sigmoid(m.input(0, t, n, k) + m.recurrent(0, h, k));
          reset[u] = sigmoid(m.input(0, t, n, 3 + k) + m.recurrent(0, h, 3 + k));
        }
        auto scaled = h;
        for (size_t u = 0; u < 3; ++u) scaled[u] *= reset[u];
        for (int64_t k = 0; k < 3; ++k) {
          size_t u = static_cast<size_t>(k);
          double inner = linear ? reset[u] * m.recurrent(0, h, 6 + k) : m.recurrent(0, scaled, 6 + k);
          next[u] = (1 - z[u]) * std::tanh(m.input(0, t, n, 6 + k) + inner) + z[u] * h[u];
        }
        h = next;
        for (int64_t k = 0; k < 3; ++k) EXPECT_NEAR(number_at(y[0], {t, 0, n, k}), h[static_cast<size_t>(k)], 1e-5);
      }
      for (int64_t k = 0; k < 3; ++k) EXPECT_NEAR(number_at(y[1], {0, n, k}), h[static_cast<size_t>(k)], 1e-5);
    }
  }
}

TEST(Recurrent, RnnWithActivationAndClip) {
  Rnn m(3, 2, 3, 2, 1, 1);
  auto y = run({"rnn",
                {m.x, m.w, m.r, m.bias},
                {{"activations", std::vector<std::string>{"Affine"}},
                 {"activation_alpha", std::vector<double>{0.5}},
                 {"activation_beta", std::vector<double>{0.1}},
                 {"clip", 0.6},
                 {"hidden_size", int64_t{2}}},
                2,
                false});
  for (int64_t n = 0; n < 2; ++n) {
    std::vector<double> h(2, 0);
    for (int64_t t = 0; t < 3; ++t) {
      std::vector<double> next(2);
      for (int64_t k = 0; k < 2; ++k)
        next[static_cast<size_t>(k)] =
            0.5 * std::min(std::max(m.input(0, t, n, k) + m.recurrent(0, h, k), -0.6), 0.6) + 0.1;
      h = next;
      for (int64_t k = 0; k < 2; ++k) EXPECT_NEAR(number_at(y[0], {t, 0, n, k}), h[static_cast<size_t>(k)], 1e-5);
    }
  }
}

// --- attention --------------------------------------------------------------------------------------------------------

TEST(Attention, GroupedHeadsCausalWithPast) {
  auto q = floats({2, 4, 3, 5}), k = floats({2, 2, 3, 5}), v = floats({2, 2, 3, 6}), pk = floats({2, 2, 2, 5}),
       pv = floats({2, 2, 2, 6});
  auto y = run({"attention", {q, k, v, {}, pk, pv}, {{"is_causal", int64_t{1}}, {"softcap", 2.0}}, 3, false});
  auto key = [&](int64_t b, int64_t h, int64_t j, int64_t e) {
    return j < 2 ? number_at(pk, {b, h, j, e}) : number_at(k, {b, h, j - 2, e});
  };
  auto value = [&](int64_t b, int64_t h, int64_t j, int64_t e) {
    return j < 2 ? number_at(pv, {b, h, j, e}) : number_at(v, {b, h, j - 2, e});
  };
  expect_is(y[0], {2, 4, 3, 6}, [&](const Shape& i) {
    double sum = 0, out = 0;
    for (int64_t j = 0; j <= i[2] + 2; ++j) {
      double s = 0;
      for (int64_t e = 0; e < 5; ++e) s += number_at(q, {i[0], i[1], i[2], e}) * key(i[0], i[1] / 2, j, e);
      double p = std::exp(2 * std::tanh(s / std::sqrt(5.0) / 2));
      sum += p;
      out += p * value(i[0], i[1] / 2, j, i[3]);
    }
    return out / sum;
  });
  expect_is(y[1], {2, 2, 5, 5}, [&](const Shape& i) { return key(i[0], i[1], i[2], i[3]); });
}

TEST(Attention, MaskedRowIsZero) {
  auto q = floats({1, 1, 2, 3}), k = floats({1, 1, 4, 3}), v = floats({1, 1, 4, 3});
  auto mask = TensorData::make(DType::Bool, {2, 4});
  for (int64_t j = 0; j < 4; ++j) mask->mutable_as<uint8_t>()[4 + j] = j == 2;
  auto y = run1("attention", {q, k, v, TensorRef(mask)});
  expect_is(y, {1, 1, 2, 3}, [&](const Shape& i) { return i[2] == 0 ? 0.0 : number_at(v, {0, 0, 2, i[3]}); });
}

// GroupQueryAttention against loops: a first step and later ones, packed rows, rotation, a window, a cap, sinks.
TEST(Attention, GroupQueryWithCaches) {
  const int64_t b = 2, hq = 4, hk = 2, size = 4, past = 6;
  struct Case {
    int64_t length, total;
    std::vector<int32_t> keys;  // of each batch element
    bool packed, rotary;
    int64_t window;
    double softcap;
    bool sink;
  };
  for (const Case& c : {Case{1, 5, {5, 3}, false, false, -1, 0, false}, Case{1, 5, {5, 3}, true, true, 2, 0, false},
                        Case{3, 3, {3, 3}, true, true, -1, 0, true}, Case{2, 6, {6, 4}, false, true, 3, 1.5, true}}) {
    const int64_t n = c.length, columns = (hq + 2 * hk) * size, rows = std::max(past, c.total);
    auto q = floats({b, n, c.packed ? columns : hq * size}, 2), k = floats({b, n, hk * size}),
         v = floats({b, n, hk * size});
    auto pk = floats({b, hk, past, size}), pv = floats({b, hk, past, size}), cos = floats({8, 1}), sin = floats({8, 1});
    auto sink = floats({hq});
    std::vector<int32_t> last;
    for (int32_t t : c.keys) last.push_back(t - 1);
    Attrs attrs{{"num_heads", hq},
                {"kv_num_heads", hk},
                {"local_window_size", c.window},
                {"softcap", c.softcap},
                {"do_rotary", int64_t{c.rotary}}};
    std::vector<Arg> inputs{q,
                            c.packed ? Arg() : Arg(k),
                            c.packed ? Arg() : Arg(v),
                            pk,
                            pv,
                            tensor<int32_t>({b}, last),
                            constant(tensor<int32_t>({}, {static_cast<int32_t>(c.total)})),
                            cos,
                            sin};
    if (c.sink) inputs.insert(inputs.end(), {Arg(), Arg(), sink});
    auto y = run({"group_query_attention", inputs, attrs, 3});
    auto begin = [&](int64_t i) { return n == c.total ? 0 : c.keys[static_cast<size_t>(i)] - n; };
    auto fresh = [&](int which, int64_t i, int64_t s, int64_t h, int64_t e) {
      int64_t at = h * size + e;
      if (which == 0) return number_at(q, {i, s, at});
      if (c.packed) return number_at(q, {i, s, (hq + (which - 1) * hk) * size + at});
      return number_at(which == 1 ? k : v, {i, s, at});
    };
    // Columns 0 and 1 are the one pair that turns.
    auto turned = [&](int which, int64_t i, int64_t s, int64_t h, int64_t e) {
      if (!c.rotary || e > 1) return fresh(which, i, s, h, e);
      double co = number_at(cos, {begin(i) + s, 0}), si = number_at(sin, {begin(i) + s, 0}),
             first = fresh(which, i, s, h, 0), second = fresh(which, i, s, h, 1);
      return e == 0 ? co * first - si * second : si * first + co * second;
    };
    auto row = [&](bool key, int64_t i, int64_t h, int64_t j, int64_t e) {
      if (j < begin(i)) return number_at(key ? pk : pv, {i, h, j, e});
      if (j - begin(i) >= n) return 0.0;
      return key ? turned(1, i, j - begin(i), h, e) : fresh(2, i, j - begin(i), h, e);
    };
    expect_is(y[1], {b, hk, rows, size}, [&](const Shape& i) { return row(true, i[0], i[1], i[2], i[3]); });
    expect_is(y[2], {b, hk, rows, size}, [&](const Shape& i) { return row(false, i[0], i[1], i[2], i[3]); });
    expect_is(y[0], {b, n, hq * size}, [&](const Shape& i) {
      const int64_t h = i[2] / size, position = begin(i[0]) + i[1];
      double sum = c.sink ? std::exp(number_at(sink, {h})) : 0, out = 0;
      for (int64_t j = 0; j <= position; ++j) {
        if (c.window > 0 && position - j >= c.window) continue;
        double s = 0;
        for (int64_t e = 0; e < size; ++e) s += turned(0, i[0], i[1], h, e) * row(true, i[0], h / 2, j, e);
        s /= std::sqrt(static_cast<double>(size));
        if (c.softcap > 0) s = c.softcap * std::tanh(s / c.softcap);
        sum += std::exp(s);
        out += std::exp(s) * row(false, i[0], h / 2, j, i[2] % size);
      }
      return out / sum;
    });
  }
  EXPECT_NE(error_of("group_query_attention",
                     {floats({1, 1, 8}), {}, {}, {}, {}, tensor<int32_t>({1}, {0}), tensor<int32_t>({}, {1})},
                     {{"num_heads", int64_t{3}}, {"kv_num_heads", int64_t{2}}})
                .find("expected a positive multiple"),
            std::string::npos);
}

TEST(Attention, OfBytesIsThatOfTheirValues) {
  std::vector<uint8_t> xs;
  std::vector<int8_t> ws;
  std::vector<float> x, w, scales;
  for (int k = 0; k < 12; ++k) scales.push_back(0.01f + 0.002f * static_cast<float>(k));
  for (int k = 0; k < 24; ++k)
    xs.push_back(static_cast<uint8_t>(k * 37)), x.push_back(0.02f * static_cast<float>(xs.back() - 120));
  for (int k = 0; k < 48; ++k) {
    ws.push_back(static_cast<int8_t>(k * 53));
    w.push_back(scales[static_cast<size_t>(k % 12)] * static_cast<float>(ws.back() - 3));
  }
  auto bias = floats({12});
  Attrs attrs{{"num_heads", int64_t{2}}, {"unidirectional", int64_t{1}}};
  auto y = run1("qattention",
                {tensor<uint8_t>({2, 3, 4}, xs),
                 tensor<int8_t>({4, 12}, ws),
                 bias,
                 f32(0.02f),
                 tensor<float>({12}, scales),
                 {},
                 constant(tensor<uint8_t>({}, {120})),
                 constant(tensor<int8_t>({}, {3}))},
                attrs);
  auto want = run1("ms_attention", {tensor<float>({2, 3, 4}, x), tensor<float>({4, 12}, w), bias}, attrs);
  expect_is(y, {2, 3, 4}, [&](const Shape& i) { return number_at(want, i); });
}

TEST(Attention, RotaryTurnsPairs) {
  auto x = floats({2, 3, 8}), cos = floats({10, 2}), sin = floats({10, 2});
  auto at = tensor<int64_t>({2, 3}, {0, 4, 9, 1, 1, 2});
  for (int64_t interleaved : {0, 1}) {
    auto y = run1("rotary_embedding", {x, cos, sin, at}, {{"num_heads", int64_t{2}}, {"interleaved", interleaved}});
    expect_is(y, {2, 3, 8}, [&](const Shape& i) {
      int64_t h = i[2] / 4, e = i[2] % 4, pair = interleaved ? e / 2 : e % 2, second = interleaved ? e % 2 : e / 2;
      int64_t p = static_cast<int64_t>(number_at(at, {i[0], i[1]}));
      double c = number_at(cos, {p, pair}), s = number_at(sin, {p, pair});
      double a = number_at(x, {i[0], i[1], h * 4 + (interleaved ? pair * 2 : pair)});
      double b = number_at(x, {i[0], i[1], h * 4 + (interleaved ? pair * 2 + 1 : pair + 2)});
      return second ? s * a + c * b : c * a - s * b;
    });
  }
}

// --- classical models ---------------------------------------------------------------------------------------------------

// Two trees of depth two over three columns.
Attrs trees(bool classifier) {
  std::string p = classifier ? "class" : "target";
  Attrs a{{"nodes_treeids", std::vector<int64_t>{0, 0, 0, 0, 0, 1, 1, 1}},
          {"nodes_nodeids", std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 2}},
          {"nodes_featureids", std::vector<int64_t>{0, 1, 0, 0, 0, 2, 0, 0}},
          {"nodes_modes",
           std::vector<std::string>{"BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"}},
          {"nodes_values", std::vector<double>{0.1, -0.2, 0, 0, 0, 0.3, 0, 0}},
          {"nodes_truenodeids", std::vector<int64_t>{1, 3, 0, 0, 0, 1, 0, 0}},
          {"nodes_falsenodeids", std::vector<int64_t>{2, 4, 0, 0, 0, 2, 0, 0}}};
  a.set(p + "_treeids", std::vector<int64_t>{0, 0, 0, 1, 1});
  a.set(p + "_nodeids", std::vector<int64_t>{2, 3, 4, 1, 2});
  a.set(p + "_ids", std::vector<int64_t>{0, 1, 2, 1, 0});
  a.set(p + "_weights", std::vector<double>{1, 2, 3, 4, 8});
  return a;
}
std::vector<double> tree_scores(const TensorRef& x, int64_t n) {
  std::vector<double> s(3, 0);
  auto at = [&](int64_t c) { return number_at(x, {n, c}); };
  if (at(0) <= static_cast<double>(0.1f)) (at(1) > static_cast<double>(-0.2f) ? s[1] += 2 : s[2] += 3);
  else s[0] += 1;
  (at(2) < static_cast<double>(0.3f) ? s[1] += 4 : s[0] += 8);
  return s;
}

TEST(Trees, RegressorAndClassifier) {
  auto x = floats({37, 3});
  Attrs r = trees(false);
  r.set("n_targets", int64_t{3});
  r.set("base_values", std::vector<double>{0.5, 0, -1});
  expect_is(run1("tree_ensemble_regressor", {x}, r), {37, 3}, [&](const Shape& i) {
    return tree_scores(x, i[0])[static_cast<size_t>(i[1])] + std::vector<double>{0.5, 0, -1}[static_cast<size_t>(i[1])];
  });
  Attrs c = trees(true);
  c.set("classlabels_strings", std::vector<std::string>{"a", "b", "c"});
  c.set("post_transform", std::string("SOFTMAX"));
  auto y = run({"tree_ensemble_classifier", {x}, c, 2});
  for (int64_t n = 0; n < 37; ++n) {
    auto s = tree_scores(x, n);
    size_t best = s[0] >= s[1] && s[0] >= s[2] ? 0 : s[1] >= s[2] ? 1 : 2;
    EXPECT_EQ(y[0]->strings[static_cast<size_t>(n)], (std::vector<std::string>{"a", "b", "c"}[best]));
    double sum = std::exp(s[0]) + std::exp(s[1]) + std::exp(s[2]);
    for (int64_t k = 0; k < 3; ++k)
      EXPECT_NEAR(number_at(y[1], {n, k}), std::exp(s[static_cast<size_t>(k)]) / sum, 1e-5);
  }
}

TEST(Trees, RefusesCyclesAndMissingNodes) {
  Attrs r = trees(false);
  r.set("n_targets", int64_t{3});
  r.set("nodes_truenodeids", std::vector<int64_t>{1, 0, 0, 0, 0, 1, 0, 0});
  EXPECT_NE(error_of("tree_ensemble_regressor", {floats({2, 3})}, r).find("its own descendant"), std::string::npos);
  r.set("nodes_truenodeids", std::vector<int64_t>{9, 3, 0, 0, 0, 1, 0, 0});
  EXPECT_NE(error_of("tree_ensemble_regressor", {floats({2, 3})}, r).find("tree 0 has no node 9"), std::string::npos);
  r = trees(false);
  r.set("n_targets", int64_t{3});
  EXPECT_NE(error_of("tree_ensemble_regressor", {floats({2, 2})}, r).find("input has 2 columns, expected at least 3"),
            std::string::npos);
}

TEST(Models, LinearAndSupportVectors) {
  auto x = floats({5, 2});
  Attrs a{{"coefficients", std::vector<double>{1, -2, 0.5, 3, -1, 1}},
          {"intercepts", std::vector<double>{0.1, 0.2, 0.3}}};
  a.set("classlabels_ints", std::vector<int64_t>{7, 8, 9});
  auto y = run({"linear_classifier", {x}, a, 2, false});
  double w[3][2] = {{1, -2}, {0.5, 3}, {-1, 1}}, b[3] = {0.1, 0.2, 0.3};
  for (int64_t n = 0; n < 5; ++n) {
    double best = -1e9;
    int64_t label = 0;
    for (int64_t k = 0; k < 3; ++k) {
      double s = w[k][0] * number_at(x, {n, 0}) + w[k][1] * number_at(x, {n, 1}) + b[k];
      EXPECT_NEAR(number_at(y[1], {n, k}), s, 1e-5);
      if (s > best) best = s, label = 7 + k;
    }
    EXPECT_EQ(y[0]->integer(n), label);
  }
  auto r = run1("svm_regressor", {x},
                {{"kernel_type", std::string("RBF")},
                 {"kernel_params", std::vector<double>{0.7, 0, 3}},
                 {"n_supports", int64_t{2}},
                 {"support_vectors", std::vector<double>{0.1, 0.2, -0.3, 0.4}},
                 {"coefficients", std::vector<double>{1.5, -0.5}},
                 {"rho", std::vector<double>{0.25}}},
                false);
  expect_is(r, {5, 1}, [&](const Shape& i) {
    auto k = [&](double p, double q) {
      return std::exp(-0.7 * (std::pow(number_at(x, {i[0], 0}) - p, 2) + std::pow(number_at(x, {i[0], 1}) - q, 2)));
    };
    return 1.5 * k(0.1, 0.2) - 0.5 * k(-0.3, 0.4) + 0.25;
  });
}

TEST(Models, Encoders) {
  auto words = strings({4}, {"pear", "apple", "fig", "plum"});
  EXPECT_EQ(values<int64_t>(run1("label_encoder", {words},
                                 {{"keys_strings", std::vector<std::string>{"fig", "apple", "pear"}},
                                  {"values_int64s", std::vector<int64_t>{30, 10, 20}},
                                  {"default_int64", int64_t{-5}}})),
            (std::vector<int64_t>{20, 10, 30, -5}));
  auto numbers = tensor<int64_t>({3}, {5, -1, 8});
  EXPECT_EQ(run1("label_encoder", {numbers},
                 {{"keys_int64s", std::vector<int64_t>{8, 5}},
                  {"values_strings", std::vector<std::string>{"x", "y"}},
                  {"default_string", std::string("?")}})
                ->strings,
            (std::vector<std::string>{"y", "?", "x"}));
  expect_is(run1("one_hot_encoder", {numbers}, {{"cats_int64s", std::vector<int64_t>{5, 8}}}), {3, 2},
            [](const Shape& i) { return (i[0] == 0 && i[1] == 0) || (i[0] == 2 && i[1] == 1) ? 1.0 : 0.0; });
  expect_is(run1("normalizer", {floats({3, 4})}, {{"norm", std::string("L2")}}), {3, 4},
            [x = floats({3, 4})](const Shape& i) {
              double s = 0;
              for (int64_t k = 0; k < 4; ++k) s += std::pow(number_at(x, {i[0], k}), 2);
              return number_at(x, i) / std::sqrt(s);
            });
  // Bigrams of [1 2] and [2 2], one element may be left out.
  auto x = tensor<int64_t>({1, 5}, {1, 2, 2, 1, 2});
  auto y = run1("tf_idf_vectorizer", {x},
                {{"mode", std::string("TF")},
                 {"min_gram_length", int64_t{2}},
                 {"max_gram_length", int64_t{2}},
                 {"max_skip_count", int64_t{1}},
                 {"ngram_counts", std::vector<int64_t>{0, 1}},
                 {"ngram_indexes", std::vector<int64_t>{0, 1, 2}},
                 {"pool_int64s", std::vector<int64_t>{1, 1, 2, 2, 2}}});
  EXPECT_EQ(values<float>(y), (std::vector<float>{0, 3, 2}));
}

}  // namespace
}  // namespace ingot
