// Pooling, normalisation and resizing against loops and closed forms.
#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

struct Pool {
  Shape x;
  std::vector<int64_t> kernel, stride, dilation, pads;
  bool ceil = false;
};

Shape pooled(const Pool& p) {
  Shape y{p.x[0], p.x[1]};
  size_t n = p.kernel.size();
  for (size_t k = 0; k < n; ++k) {
    int64_t room = p.x[2 + k] + p.pads[k] + p.pads[k + n] - (p.kernel[k] - 1) * p.dilation[k] - 1;
    int64_t out = (p.ceil ? (room + p.stride[k] - 1) / p.stride[k] : room / p.stride[k]) + 1;
    if (p.ceil && (out - 1) * p.stride[k] >= p.x[2 + k] + p.pads[k]) --out;
    y.push_back(out);
  }
  return y;
}

// The taps of output i: their positions, and whether they lie on x or on its padding.
void taps(const Pool& p, const Shape& i, const std::function<void(const Shape& at, bool inside, bool padded)>& f) {
  size_t n = p.kernel.size();
  Shape r(n, 0);
  for (;;) {
    Shape at{i[0], i[1]};
    bool inside = true, padded = true;
    for (size_t k = 0; k < n; ++k) {
      int64_t v = i[2 + k] * p.stride[k] + r[k] * p.dilation[k] - p.pads[k];
      inside = inside && v >= 0 && v < p.x[2 + k];
      padded = padded && v < p.x[2 + k] + p.pads[k + n];
      at.push_back(v);
    }
    f(at, inside, padded);
    size_t k = n;
    while (k-- > 0 && ++r[k] == p.kernel[k]) r[k] = 0;
    if (k == static_cast<size_t>(-1)) return;
  }
}

Attrs attrs_of(const Pool& p) {
  return {{"kernel_shape", p.kernel},
          {"strides", p.stride},
          {"dilations", p.dilation},
          {"pads", p.pads},
          {"ceil_mode", int64_t{p.ceil}}};
}

const std::vector<Pool> kPools = {
    {{1, 1, 1}, {1}, {1}, {1}, {0, 0}},
    {{2, 3, 11}, {3}, {2}, {1}, {1, 1}},
    {{1, 2, 7, 9}, {3, 2}, {2, 3}, {1, 1}, {1, 0, 1, 1}, true},
    {{1, 2, 13, 8}, {3, 3}, {2, 2}, {2, 1}, {0, 1, 2, 1}, true},
    {{1, 1, 5, 6, 7}, {2, 3, 2}, {1, 2, 3}, {1, 1, 2}, {0, 1, 0, 1, 0, 1}},
};

TEST(Pool, MaxAndIndices) {
  for (const Pool& p : kPools) {
    auto x = floats(p.x);
    auto best = [&](const Shape& i) {
      std::pair<double, Shape> b{-INFINITY, {}};
      taps(p, i, [&](const Shape& at, bool inside, bool) {
        if (inside && number_at(x, at) > b.first) b = {number_at(x, at), at};
      });
      return b;
    };
    expect_is(run1("max_pool", {x}, attrs_of(p)), pooled(p), [&](const Shape& i) { return best(i).first; });
    auto y = run({"max_pool", {x}, attrs_of(p), 2});
    expect_is(y[1], pooled(p), [&](const Shape& i) {
      Shape at = best(i).second;
      int64_t flat = 0;
      for (size_t k = 0; k < at.size(); ++k) flat = flat * p.x[k] + at[k];
      return static_cast<double>(flat);
    });
  }
}

TEST(Pool, Average) {
  for (const Pool& p : kPools) {
    auto x = floats(p.x);
    for (int64_t include : {0, 1}) {
      Attrs attrs = attrs_of(p);
      attrs.set("count_include_pad", include);
      expect_is(run1("average_pool", {x}, attrs), pooled(p), [&](const Shape& i) {
        double sum = 0, n = 0;
        taps(p, i, [&](const Shape& at, bool inside, bool padded) {
          if (inside) sum += number_at(x, at);
          n += include ? padded : inside;
        });
        return sum / n;
      });
    }
    Attrs attrs = attrs_of(p);
    attrs.set("p", int64_t{3});
    expect_is(run1("lp_pool", {x}, attrs), pooled(p), [&](const Shape& i) {
      double sum = 0;
      taps(p, i,
           [&](const Shape& at, bool inside, bool) { sum += inside ? std::pow(std::abs(number_at(x, at)), 3) : 0; });
      return std::cbrt(sum);
    });
  }
}

TEST(Pool, Global) {
  auto x = floats({2, 3, 5, 7});
  auto over = [&](const Shape& i, const std::function<void(double)>& f) {
    for (int64_t k = 0; k < 35; ++k) f(number_at(x, {i[0], i[1], k / 7, k % 7}));
  };
  expect_is(run1("global_average_pool", {x}), {2, 3, 1, 1}, [&](const Shape& i) {
    double s = 0;
    over(i, [&](double v) { s += v; });
    return s / 35;
  });
  expect_is(run1("global_max_pool", {x}), {2, 3, 1, 1}, [&](const Shape& i) {
    double s = -INFINITY;
    over(i, [&](double v) { s = std::max(s, v); });
    return s;
  });
  expect_is(run1("global_lp_pool", {x}), {2, 3, 1, 1}, [&](const Shape& i) {
    double s = 0;
    over(i, [&](double v) { s += v * v; });
    return std::sqrt(s);
  });
}

TEST(Pool, UnpoolPutsBack) {
  auto x = floats({1, 2, 4, 6});
  Attrs attrs{{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}};
  auto y = run({"max_pool", {x}, attrs, 2});
  auto back = run1("max_unpool", {y[0], y[1]}, attrs);
  expect_is(back, {1, 2, 4, 6}, [&](const Shape& i) {
    double v = number_at(x, i);
    for (int64_t k = 0; k < 4; ++k)
      if (number_at(x, {i[0], i[1], i[2] / 2 * 2 + k / 2, i[3] / 2 * 2 + k % 2}) > v) return 0.0;
    return v;
  });
}

TEST(Normalization, Lrn) {
  auto x = floats({2, 5, 3, 2});
  expect_is(run1("lrn", {x}, {{"size", int64_t{4}}, {"alpha", 0.5}, {"beta", 0.6}, {"bias", 2.0}}), {2, 5, 3, 2},
            [&](const Shape& i) {
              double s = 0;
              for (int64_t c = i[1] - 1; c <= i[1] + 2; ++c)
                if (c >= 0 && c < 5) s += std::pow(number_at(x, {i[0], c, i[2], i[3]}), 2);
              return number_at(x, i) / std::pow(2 + 0.5 / 4 * s, 0.6);
            });
}

struct Stats {
  double mean = 0, variance = 0;
};
Stats stats(const std::vector<double>& v) {
  Stats s;
  for (double e : v) s.mean += e / static_cast<double>(v.size());
  for (double e : v) s.variance += (e - s.mean) * (e - s.mean) / static_cast<double>(v.size());
  return s;
}

TEST(Normalization, Batch) {
  auto x = floats({3, 5, 7}), scale = floats({5}), b = floats({5}), mean = floats({5}),
       var = tensor<float>({5}, {0.5f, 1, 2, 0.25f, 3});
  auto channel = [&](int64_t c) {
    std::vector<double> v;
    for (int64_t n = 0; n < 3; ++n)
      for (int64_t k = 0; k < 7; ++k) v.push_back(number_at(x, {n, c, k}));
    return stats(v);
  };
  expect_is(run1("batch_normalization", {x, scale, b, mean, var}, {{"epsilon", 1e-2}}), {3, 5, 7}, [&](const Shape& i) {
    int64_t c = i[1];
    return (number_at(x, i) - mean->number(c)) / std::sqrt(var->number(c) + 1e-2) * scale->number(c) + b->number(c);
  });
  auto y =
      run({"batch_normalization", {x, scale, b, mean, var}, {{"training_mode", int64_t{1}}, {"momentum", 0.8}}, 3});
  expect_is(y[0], {3, 5, 7}, [&](const Shape& i) {
    Stats s = channel(i[1]);
    return (number_at(x, i) - s.mean) / std::sqrt(s.variance + 1e-5) * scale->number(i[1]) + b->number(i[1]);
  });
  expect_is(y[1], {5}, [&](const Shape& i) { return mean->number(i[0]) * 0.8 + channel(i[0]).mean * 0.2; });
  expect_is(y[2], {5}, [&](const Shape& i) { return var->number(i[0]) * 0.8 + channel(i[0]).variance * 0.2; });
}

TEST(Normalization, InstanceAndGroup) {
  auto x = floats({2, 6, 5}), scale = floats({6}), b = floats({6});
  for (int64_t groups : {6, 3, 1}) {
    auto expected = [&](const Shape& i) {
      int64_t size = 6 / groups, g = i[1] / size;
      std::vector<double> v;
      for (int64_t c = g * size; c < (g + 1) * size; ++c)
        for (int64_t k = 0; k < 5; ++k) v.push_back(number_at(x, {i[0], c, k}));
      Stats s = stats(v);
      return (number_at(x, i) - s.mean) / std::sqrt(s.variance + 1e-5) * scale->number(i[1]) + b->number(i[1]);
    };
    expect_is(run1("group_normalization", {x, scale, b}, {{"num_groups", groups}}, false), {2, 6, 5}, expected);
    if (groups == 6) expect_is(run1("instance_normalization", {x, scale, b}), {2, 6, 5}, expected);
  }
}

TEST(Normalization, LayerAndRms) {
  auto x = floats({3, 4, 5});
  for (int64_t axis : {1, 2, -1}) {
    int64_t from = axis < 0 ? axis + 3 : axis;
    Shape inner(x->dims.begin() + from, x->dims.end());
    auto scale = floats(inner), b = floats(inner, 0.5);
    auto row = [&](const Shape& i) {
      std::vector<double> v;
      for (int64_t j = 0; j < 4; ++j)
        for (int64_t k = 0; k < 5; ++k)
          if (from == 1 || j == i[1]) v.push_back(number_at(x, {i[0], j, k}));
      return v;
    };
    auto tail = [&](const Shape& i) { return Shape(i.begin() + from, i.end()); };
    auto y = run({"layer_normalization", {x, scale, b}, {{"axis", axis}, {"epsilon", 1e-3}}, 3});
    expect_is(y[0], {3, 4, 5}, [&](const Shape& i) {
      Stats s = stats(row(i));
      return (number_at(x, i) - s.mean) / std::sqrt(s.variance + 1e-3) * number_at(scale, tail(i)) +
             number_at(b, tail(i));
    });
    Shape stat = from == 1 ? Shape{3, 1, 1} : Shape{3, 4, 1};
    expect_is(y[1], stat, [&](const Shape& i) { return stats(row(i)).mean; });
    expect_is(y[2], stat, [&](const Shape& i) { return 1 / std::sqrt(stats(row(i)).variance + 1e-3); });
    expect_is(run1("rms_normalization", {x, scale}, {{"axis", axis}}), {3, 4, 5}, [&](const Shape& i) {
      double sum = 0;
      auto v = row(i);
      for (double e : v) sum += e * e;
      return number_at(x, i) / std::sqrt(sum / static_cast<double>(v.size()) + 1e-5) * number_at(scale, tail(i));
    });
  }
}

TEST(Normalization, LpAndMeanVariance) {
  auto x = floats({2, 3, 4, 5});
  for (int64_t p : {1, 2}) {
    expect_is(run1("lp_normalization", {x}, {{"axis", int64_t{1}}, {"p", p}}), {2, 3, 4, 5}, [&](const Shape& i) {
      double n = 0;
      for (int64_t c = 0; c < 3; ++c)
        n += std::pow(std::abs(number_at(x, {i[0], c, i[2], i[3]})), static_cast<double>(p));
      return number_at(x, i) / (p == 1 ? n : std::sqrt(n));
    });
  }
  auto zeros = TensorData::make(DType::F32, {2, 3});
  expect_is(run1("lp_normalization", {TensorRef(zeros)}), {2, 3}, [](const Shape&) { return 0.0; });
  expect_is(run1("mean_variance_normalization", {x}), {2, 3, 4, 5}, [&](const Shape& i) {
    std::vector<double> v;
    for (int64_t k = 0; k < 40; ++k) v.push_back(number_at(x, {k / 20, i[1], k / 5 % 4, k % 5}));
    return (number_at(x, i) - stats(v).mean) / std::sqrt(stats(v).variance);
  });
}

// --- resize -----------------------------------------------------------------------------------------------------------

TensorRef scales(std::vector<float> v) { return tensor<float>({static_cast<int64_t>(v.size())}, v); }

TEST(Resize, NearestTwice) {
  auto x = floats({1, 2, 3, 5});
  for (bool sizes : {false, true}) {
    std::vector<Arg> in = sizes ? std::vector<Arg>{x, {}, {}, ints({1, 2, 6, 15})}
                                : std::vector<Arg>{x, {}, constant(scales({1, 1, 2, 3}))};
    expect_is(run1("resize", in, {{"mode", std::string("nearest")}}, !sizes), {1, 2, 6, 15},
              [&](const Shape& i) { return number_at(x, {i[0], i[1], i[2] / 2, i[3] / 3}); });
  }
}

double linear_at(const TensorRef& x, Shape i, size_t axis, double at) {
  int64_t n = x->dims[axis];
  auto clamped = [&](double v) { return std::min<int64_t>(std::max<int64_t>(static_cast<int64_t>(v), 0), n - 1); };
  double low = std::floor(at);
  i[axis] = clamped(low);
  double a = number_at(x, i);
  i[axis] = clamped(low + 1);
  return a + (number_at(x, i) - a) * (at - low);
}

TEST(Resize, LinearCoordinates) {
  auto x = floats({2, 7});
  for (auto [mode, at] : std::vector<std::pair<std::string, std::function<double(double)>>>{
           {"half_pixel", [](double o) { return (o + 0.5) * 7 / 11 - 0.5; }},
           {"pytorch_half_pixel", [](double o) { return (o + 0.5) * 7 / 11 - 0.5; }},
           {"asymmetric", [](double o) { return o * 7 / 11; }},
           {"align_corners", [](double o) { return o * 6 / 10; }}}) {
    expect_is(
        run1("resize", {x, {}, {}, ints({2, 11})},
             {{"mode", std::string("linear")}, {"coordinate_transformation_mode", mode}}, false),
        {2, 11}, [&, f = at](const Shape& i) { return linear_at(x, i, 1, f(static_cast<double>(i[1]))); }, 1e-5);
  }
  // Of one axis only, the others free.
  expect_is(run1("resize", {x, {}, constant(scales({3}))},
                 {{"mode", std::string("linear")}, {"axes", std::vector<int64_t>{-1}}}),
            {2, 21}, [&](const Shape& i) { return linear_at(x, i, 1, (static_cast<double>(i[1]) + 0.5) / 3 - 0.5); });
}

// A cubic filter reproduces a straight line away from the edges.
TEST(Resize, CubicKeepsLines) {
  auto x = TensorData::make(DType::F32, {1, 20});
  for (int64_t k = 0; k < 20; ++k) x->mutable_as<float>()[k] = static_cast<float>(3 * k + 1);
  auto y = run1("resize", {TensorRef(x), {}, constant(scales({1, 2}))},
                {{"mode", std::string("cubic")}, {"cubic_coeff_a", -0.5}});
  ASSERT_EQ(y->dims, (Shape{1, 40}));
  for (int64_t o = 6; o < 34; ++o) EXPECT_NEAR(y->number(o), 3 * ((static_cast<double>(o) + 0.5) / 2 - 0.5) + 1, 1e-4);
}

// Antialiased by a whole factor, a triangle filter of that width.
TEST(Resize, AntialiasTriangle) {
  auto x = floats({1, 24});
  auto y = run1("resize", {x, {}, {}, ints({1, 8})}, {{"mode", std::string("linear")}, {"antialias", int64_t{1}}});
  ASSERT_EQ(y->dims, (Shape{1, 8}));
  for (int64_t o = 1; o < 7; ++o) {
    double centre = (static_cast<double>(o) + 0.5) * 3 - 0.5, sum = 0, weights = 0;
    for (int64_t k = 0; k < 24; ++k) {
      double w = std::max(0.0, 1 - std::abs(static_cast<double>(k) - centre) / 3);
      sum += w * x->number(k);
      weights += w;
    }
    EXPECT_NEAR(y->number(o), sum / weights, 1e-5);
  }
}

TEST(Resize, KeepsAspectRatio) {
  auto x = floats({1, 1, 4, 8});
  auto policy = [&](const char* p) {
    return run1("resize", {x, {}, {}, ints({6, 8})},
                {{"axes", std::vector<int64_t>{2, 3}}, {"keep_aspect_ratio_policy", std::string(p)}})
        ->dims;
  };
  EXPECT_EQ(policy("stretch"), (Shape{1, 1, 6, 8}));
  EXPECT_EQ(policy("not_larger"), (Shape{1, 1, 4, 8}));
  EXPECT_EQ(policy("not_smaller"), (Shape{1, 1, 6, 12}));
}

TEST(Resize, Refuses) {
  EXPECT_NE(error_of("resize", {floats({1, 2}), {}, constant(scales({1, -2}))}).find("expected a positive number"),
            std::string::npos);
  EXPECT_NE(error_of("resize", {floats({1, 2})}).find("neither scales nor sizes"), std::string::npos);
  EXPECT_NE(error_of("resize", {floats({1, 2}), {}, constant(scales({1, 2}))}, {{"mode", std::string("quadratic")}})
                .find("mode is 'quadratic'"),
            std::string::npos);
}

}  // namespace
}  // namespace ingot
