// Convolutions against plain loops over every output element.
#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

struct Geometry {
  Shape x, w;                                   // [N, C, D...], [K, C/group, R...]
  std::vector<int64_t> stride, dilation, begin, end;
  int64_t group = 1;
};

Shape output_shape(const Geometry& g) {
  Shape y{g.x[0], g.w[0]};
  for (size_t k = 0; k + 2 < g.x.size(); ++k) {
    y.push_back((g.x[2 + k] + g.begin[k] + g.end[k] - (g.w[2 + k] - 1) * g.dilation[k] - 1) / g.stride[k] + 1);
  }
  return y;
}

Attrs attrs_of(const Geometry& g) {
  std::vector<int64_t> pads = g.begin;
  pads.insert(pads.end(), g.end.begin(), g.end.end());
  return {{"strides", g.stride}, {"dilations", g.dilation}, {"pads", pads}, {"group", g.group}};
}

// Visits every index below `dims`.
void each(const Shape& dims, const std::function<void(const Shape&)>& f) {
  Shape i(dims.size(), 0);
  int64_t total = 1;
  for (int64_t d : dims) total *= d;
  for (int64_t k = 0; k < total; ++k) {
    int64_t rest = k;
    for (size_t d = dims.size(); d-- > 0;) i[d] = rest % dims[d], rest /= dims[d];
    f(i);
  }
}

double at_or(const TensorRef& x, const Shape& i, double outside) {
  for (size_t d = 0; d < i.size(); ++d)
    if (i[d] < 0 || i[d] >= x->dims[d]) return outside;
  return number_at(x, i);
}

double conv_at(const TensorRef& x, const TensorRef& w, const Geometry& g, const Shape& y, double xz = 0,
               double wz = 0) {
  Shape taps(g.w.begin() + 1, g.w.end());
  int64_t first = y[1] / (g.w[0] / g.group) * g.w[1];
  double sum = 0;
  each(taps, [&](const Shape& t) {
    Shape xi{y[0], first + t[0]}, wi{y[1], t[0]};
    for (size_t k = 0; k + 1 < t.size(); ++k) {
      xi.push_back(y[2 + k] * g.stride[k] + t[1 + k] * g.dilation[k] - g.begin[k]);
      wi.push_back(t[1 + k]);
    }
    sum += (at_or(x, xi, xz) - xz) * (number_at(w, wi) - wz);
  });
  return sum;
}

const std::vector<Geometry> kGeometries = {
    {{1, 1, 1}, {1, 1, 1}, {1}, {1}, {0}, {0}},
    {{2, 3, 11}, {5, 3, 3}, {2}, {1}, {1}, {0}},
    {{1, 3, 7, 9}, {5, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {{2, 4, 13, 11}, {6, 2, 3, 2}, {2, 3}, {2, 1}, {1, 0}, {2, 1}, 2},
    {{1, 5, 8, 8}, {5, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 5},   // depthwise
    {{1, 3, 6, 6}, {6, 1, 3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 3},   // depthwise, two outputs per channel
    {{1, 2, 5, 4, 6}, {3, 2, 2, 3, 1}, {1, 2, 1}, {1, 1, 1}, {0, 1, 0}, {1, 1, 0}},
};

TEST(Conv, Float) {
  for (const Geometry& g : kGeometries) {
    auto x = floats(g.x), w = floats(g.w), b = floats({g.w[0]});
    Shape dims = output_shape(g);
    expect_is(run1("conv", {x, w}, attrs_of(g)), dims, [&](const Shape& i) { return conv_at(x, w, g, i); });
    expect_is(run1("conv", {x, constant(w), constant(b)}, attrs_of(g)), dims,
              [&](const Shape& i) { return conv_at(x, w, g, i) + b->number(i[1]); });
  }
}

TEST(Conv, AutoPad) {
  auto x = floats({1, 2, 7, 8}), w = floats({3, 2, 3, 4});
  for (std::string mode : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    Geometry g{{1, 2, 7, 8}, {3, 2, 3, 4}, {2, 3}, {1, 1}, {0, 0}, {0, 0}};
    if (mode != "VALID") {
      for (size_t k = 0; k < 2; ++k) {
        int64_t out = (g.x[2 + k] + g.stride[k] - 1) / g.stride[k];
        int64_t total = std::max<int64_t>((out - 1) * g.stride[k] + g.w[2 + k] - g.x[2 + k], 0);
        g.begin[k] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
        g.end[k] = total - g.begin[k];
      }
    }
    expect_is(run1("conv", {x, w}, {{"auto_pad", mode}, {"strides", g.stride}}), output_shape(g),
              [&](const Shape& i) { return conv_at(x, w, g, i); });
  }
}

TEST(Conv, FusedActivationAndResidual) {
  Geometry g = kGeometries[2];
  auto x = floats(g.x), w = floats(g.w), b = floats({5}), z = floats(output_shape(g));
  Attrs attrs = attrs_of(g);
  attrs.set("activation", std::string("LeakyRelu"));
  attrs.set("activation_params", std::vector<double>{0.1});
  expect_is(run1("fused_conv", {x, w, b, z}, attrs), output_shape(g), [&](const Shape& i) {
    double v = conv_at(x, w, g, i) + b->number(i[1]) + number_at(z, i);
    return v < 0 ? 0.1 * v : v;
  });
}

TEST(Conv, Integers) {
  for (const Geometry& g : kGeometries) {
    auto x = TensorData::make(DType::U8, g.x);
    auto w = TensorData::make(DType::I8, g.w);
    for (int64_t k = 0; k < x->elements(); ++k) x->mutable_as<uint8_t>()[k] = static_cast<uint8_t>(k * 37 + 11);
    for (int64_t k = 0; k < w->elements(); ++k) w->mutable_as<int8_t>()[k] = static_cast<int8_t>(k * 73 + 5);
    auto xz = tensor<uint8_t>({}, {131});
    auto wz = tensor<int8_t>({}, {-3});
    auto y = run1("conv_integer", {TensorRef(x), TensorRef(w), constant(xz), constant(wz)}, attrs_of(g));
    EXPECT_EQ(y->dtype, DType::I32);
    expect_is(y, output_shape(g), [&](const Shape& i) { return conv_at(x, w, g, i, 131, -3); }, 0);
    auto s = [](float v) { return constant(tensor<float>({}, {v})); };
    auto q = run1("qlinear_conv",
                  {TensorRef(x), s(0.02f), constant(xz), TensorRef(w), s(0.03f), constant(wz), s(7.5f),
                   constant(tensor<uint8_t>({}, {120}))},
                  attrs_of(g));
    EXPECT_EQ(q->dtype, DType::U8);
    expect_is(
        q, output_shape(g),
        [&](const Shape& i) {
          float scale = 0.02f * 0.03f / 7.5f;
          float v = static_cast<float>(conv_at(x, w, g, i, 131, -3)) * scale;
          return std::min(std::max(std::nearbyint(v) + 120.0, 0.0), 255.0);
        },
        0);
  }
}

TEST(Conv, Refuses) {
  auto message = error_of("conv", {floats({1, 64, 5, 5}), floats({8, 64, 3, 3})}, {{"group", int64_t{2}}});
  EXPECT_NE(message.find("input has 64 channels, expected 128 (weight channels 64 x groups 2)"), std::string::npos)
      << message;
  EXPECT_NE(error_of("conv", {floats({1, 2, 2, 2}), floats({1, 2, 3, 3})}).find("the window has extent 3"),
            std::string::npos);
  EXPECT_NE(error_of("conv", {floats({1, 2, 5, 5}), floats({1, 2, 3, 3})}, {{"strides", std::vector<int64_t>{0, 1}}})
                .find("strides contains 0"),
            std::string::npos);
}

// Each input element adds to the outputs that its taps reach.
TEST(ConvTranspose, AgainstScatter) {
  struct Case {
    Geometry g;                       // w: [C, K/group, R...]
    std::vector<int64_t> extra;
  };
  for (const Case& c :
       std::vector<Case>{{{{1, 1, 1}, {1, 1, 1}, {1}, {1}, {0}, {0}}, {0}},
                         {{{2, 3, 7}, {3, 2, 3}, {2}, {1}, {1}, {1}}, {1}},
                         {{{1, 2, 5, 4}, {2, 3, 3, 4}, {2, 3}, {1, 1}, {1, 0}, {0, 2}}, {1, 2}},
                         {{{1, 4, 3, 5}, {4, 3, 2, 3}, {1, 2}, {3, 1}, {0, 1}, {1, 0}, 2}, {0, 0}},
                         {{{1, 2, 4}, {2, 2, 3}, {2}, {3}, {2}, {1}}, {1}},   // stride and dilation share no factor
                         {{{1, 2, 4}, {2, 2, 3}, {4}, {2}, {0}, {0}}, {3}},
                         {{{1, 3, 4, 5}, {3, 2, 2, 3}, {2, 3}, {1, 1}, {0, 0}, {0, 0}}, {0, 0}},  // taps do not overlap
                         {{{1, 2, 3, 2, 3}, {2, 1, 2, 2, 3}, {2, 1, 3}, {1, 1, 1}, {0, 0, 1}, {0, 0, 1}}, {0, 0, 0}}}) {
    const Geometry& g = c.g;
    auto x = floats(g.x), w = floats(g.w), b = floats({g.w[1] * g.group});
    Shape dims{g.x[0], g.w[1] * g.group};
    for (size_t k = 0; k + 2 < g.x.size(); ++k) {
      dims.push_back(g.stride[k] * (g.x[2 + k] - 1) + c.extra[k] + (g.w[2 + k] - 1) * g.dilation[k] + 1 - g.begin[k] -
                     g.end[k]);
    }
    std::map<Shape, double> y;
    each(g.x, [&](const Shape& xi) {
      each(Shape(g.w.begin() + 1, g.w.end()), [&](const Shape& t) {
        Shape at{xi[0], xi[1] / (g.x[1] / g.group) * g.w[1] + t[0]}, wi{xi[1], t[0]};
        for (size_t k = 0; k + 1 < t.size(); ++k) {
          at.push_back(xi[2 + k] * g.stride[k] + t[1 + k] * g.dilation[k] - g.begin[k]);
          wi.push_back(t[1 + k]);
        }
        y[at] += number_at(x, xi) * number_at(w, wi);
      });
    });
    Attrs attrs = attrs_of(g);
    attrs.set("output_padding", c.extra);
    expect_is(run1("conv_transpose", {x, constant(w), constant(b)}, attrs), dims,
              [&](const Shape& i) { return b->number(i[1]) + (y.count(i) ? y[i] : 0); });
  }
}

// With no offsets and no mask a deformable convolution is a plain one; a whole offset shifts a tap.
TEST(DeformConv, ZeroAndWholeOffsets) {
  Geometry g{{1, 2, 6, 7}, {3, 2, 3, 3}, {1, 2}, {1, 1}, {1, 1}, {1, 1}};
  auto x = floats(g.x), w = floats(g.w);
  Shape dims = output_shape(g);
  auto offset = TensorData::make(DType::F32, {1, 18, dims[2], dims[3]});
  expect_is(run1("deform_conv", {x, w, TensorRef(offset)}, attrs_of(g)), dims,
            [&](const Shape& i) { return conv_at(x, w, g, i); });
  auto shifted = TensorData::make(DType::F32, {1, 18, dims[2], dims[3]});
  for (int64_t k = 0; k < shifted->elements(); ++k)
    shifted->mutable_as<float>()[k] = (k / (dims[2] * dims[3])) % 2 == 0 ? 1 : -1;
  Geometry moved = g;
  moved.begin = {0, 2};
  expect_is(run1("deform_conv", {x, w, TensorRef(shifted)}, attrs_of(g)), dims,
            [&](const Shape& i) { return conv_at(x, w, moved, i); });
  auto half = TensorData::make(DType::F32, {1, 9, dims[2], dims[3]});
  for (int64_t k = 0; k < half->elements(); ++k) half->mutable_as<float>()[k] = 0.5f;
  expect_is(run1("deform_conv", {x, w, TensorRef(offset), {}, TensorRef(half)}, attrs_of(g)), dims,
            [&](const Shape& i) { return conv_at(x, w, g, i) / 2; });
}

// Offsets, masks and biases of other extents, and channels that offset groups do not divide, with constant and symbolic extents.
TEST(DeformConv, ExtentsThatDoNotFit) {
  const TensorRef x = floats({2, 3, 3, 3}), w = floats({4, 3, 2, 2}), offset = floats({2, 8, 2, 2}),
                  mask = floats({2, 4, 2, 2}), bias = floats({4});
  struct Case {
    std::vector<Arg> inputs;
    int64_t offset_groups;
    const char* message;
  };
  for (const Case& c : {Case{{x, w, floats({1, 8, 2, 2})}, 1, "offset has the batch"},
                        Case{{x, w, floats({2, 6, 2, 2})}, 1, "offset has"},
                        Case{{x, w, floats({2, 8, 2, 1})}, 1, "offset has extents"},
                        Case{{x, w, offset, {}, floats({1, 4, 2, 2})}, 1, "mask has the batch"},
                        Case{{x, w, offset, {}, floats({2, 3, 2, 2})}, 1, "mask has"},
                        Case{{x, w, offset, {}, floats({2, 4, 1, 2})}, 1, "mask has extents"},
                        Case{{x, w, offset, floats({3}), mask}, 1, "the bias has"},
                        Case{{x, w, floats({2, 16, 2, 2})}, 2, "expected a multiple of 2 offset groups"}})
    for (const bool dynamic : {false, true}) {
      auto got = run_once({"deform_conv", c.inputs, {{"offset_group", c.offset_groups}}}, dynamic);
      ASSERT_FALSE(got) << c.message;
      // Of symbols, some become one extent in the types of the inputs: then their check refuses the run.
      if (!dynamic) {
        EXPECT_NE(got.error().message.find(c.message), std::string::npos) << got.error().message;
      }
    }
}

TEST(CausalConv, StateGoesOn) {
  auto x = floats({2, 3, 7}), w = floats({3, 1, 4});
  auto whole = run({"causal_conv_with_state", {x, w}, {}, 2});
  expect_is(whole[0], {2, 3, 7}, [&](const Shape& i) {
    double s = 0;
    for (int64_t r = 0; r < 4; ++r) s += at_or(x, {i[0], i[1], i[2] + r - 3}, 0) * number_at(w, {i[1], 0, r});
    return s;
  });
  expect_is(whole[1], {2, 3, 3}, [&](const Shape& i) { return number_at(x, {i[0], i[1], 4 + i[2]}); });
}

}  // namespace
}  // namespace ingot
