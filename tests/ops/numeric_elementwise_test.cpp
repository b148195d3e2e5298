// Elementwise operators, movement, generators, training and regions: calls with their numbers (numeric_cases.h).
#include <algorithm>

#include "tests/ops/numeric_cases.h"

namespace ingot {
namespace {

using namespace test;
using I = std::vector<int64_t>;

TEST(NumericElementwise, BitsAndComparisons) {
  expect_cases({
      {"identity", {f32({2}, {1, -2.5F})}, {}, {f32({2}, {1, -2.5F})}},
      {"bitwise_and", {u8({2}, {12, 10}), u8({2}, {10, 3})}, {}, {u8({2}, {8, 2})}},
      {"bitwise_and", {i8({2, 1}, {-1, 6}), i8({2}, {-128, 3})}, {}, {i8({2, 2}, {-128, 3, 0, 2})}},
      {"bitwise_or", {u8({2}, {12, 10}), u8({2}, {10, 3})}, {}, {u8({2}, {14, 11})}},
      {"bitwise_or", {i32({1}, {-256}), i32({2}, {255, 1})}, {}, {i32({2}, {-1, -255})}},
      {"less", {f32({4}, {1, 2, 3, NAN}), f32({1}, {2})}, {}, {bools({4}, {1, 0, 0, 0})}},
      {"less", {i64({2}, {INT64_MIN, 5}), i64({2}, {INT64_MAX, 5})}, {}, {bools({2}, {1, 0})}},
      {"greater_or_equal", {f32({4}, {1, 2, 3, NAN}), f32({1}, {2})}, {}, {bools({4}, {0, 1, 1, 0})}},
      {"greater_or_equal", {u8({2}, {255, 0}), u8({2}, {1, 0})}, {}, {bools({2}, {1, 1})}},
      // a * sigmoid(alpha * a) * b
      {"swiglu",
       {f32({3}, {-1, 0, 2}), f32({3}, {3, 4, -0.5F})},
       {{"alpha", 1.5}},
       {f32({3}, {-0.5472766F, 0, -0.9525741F})}},
  });
}

TEST(NumericElementwise, Activations) {
  const TensorRef x = f32({2, 2}, {-1, 0.5F, 2, 0}), bias = f32({2}, {0.25F, -0.5F});
  expect_cases({
      // gelu(x + b), by erf, and by tanh
      {"bias_gelu", {x, bias}, {}, {f32({2, 2}, {-0.1699705F, 0, 2.222495F, -0.1542688F})}},
      {"fast_gelu", {x, bias}, {}, {f32({2, 2}, {-0.1700394F, 0, 2.222799F, -0.154286F})}},
      // x * sigmoid(1.702 x)
      {"quick_gelu", {x}, {}, {f32({2, 2}, {-0.1542042F, 0.3503884F, 1.935659F, 0})}},
      // (left + b) * gelu(right + b)
      {"bias_split_gelu",
       {f32({1, 4}, {-1, 0.5F, 2, 0}), f32({4}, {0.25F, -0.5F, 1, 2})},
       {},
       {f32({1, 2}, {-2.246963F, 0})}},
      {"bias_softmax",
       {f32({2, 3}, {1, 2, 0, 3, -1, 0.5F}), f32({3}, {0.5F, -1, 2})},
       {{"axis", int64_t{1}}, {"is_inner_broadcast", int64_t{1}}},
       {f32({2, 3}, {0.3071959F, 0.1863237F, 0.5064804F, 0.7288809F, 0.00297877F, 0.2681403F})}},
  });
}

TEST(NumericElementwise, ReductionsAndMovement) {
  expect_cases({
      // log 3, log 7
      {"reduce_log_sum", {f32({2, 2}, {1, 2, 3, 4}), ints({1})}, {}, {f32({2, 1}, {1.098612F, 1.94591F})}},
      {"expand_dims", {f32({2}, {1, 2}), constant(i32({}, {0}))}, {}, {f32({1, 2}, {1, 2})}},
      {"expand_dims", {f32({2}, {1, 2}), constant(i32({}, {-1}))}, {}, {f32({2, 1}, {1, 2})}},
  });
}

TEST(NumericElementwise, Generators) {
  expect_cases({
      {"constant_of_shape", {ints({2, 3})}, {{"value", i64({1}, {7})}}, {i64({2, 3}, {7, 7, 7, 7, 7, 7})}},
      {"constant_of_shape", {i64({1}, {2})}, {}, {f32({2}, {0, 0})}},
      {"eye_like", {i32({2, 3}, {9, 9, 9, 9, 9, 9})}, {{"k", int64_t{1}}}, {i32({2, 3}, {0, 1, 0, 0, 0, 1})}},
      // Without training nothing is dropped.
      {"dropout", {f32({3}, {1, -2, 3})}, {}, {f32({3}, {1, -2, 3}), bools({3}, {1, 1, 1})}},
      // Three triangles over nine bins; their corners are bins 0, 0, 1, 3 and 5.
      {"mel_weight_matrix",
       {scalar(3), scalar(16), scalar(8192), constant(f32({}, {0})), constant(f32({}, {4096}))},
       {},
       {f32({9, 3}, {1, 0, 0, 0, 1, 0, 0, 0.5F, 0.5F, 0, 0, 1, 0, 0, 0.5F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})}},
  });
}

// Its numbers are not given, but how they are spread: each quarter of the range gets a quarter of them.
TEST(NumericElementwise, UniformNumbersAreSpreadEvenly) {
  const auto y = run1("random_uniform_like", {floats({100, 100})}, {{"low", -2.0}, {"high", 6.0}});
  std::vector<int> quarter(4, 0);
  for (int64_t k = 0; k < y->elements(); ++k) {
    ASSERT_GE(y->number(k), -2);
    ASSERT_LT(y->number(k), 6);
    ++quarter[static_cast<size_t>((y->number(k) + 2) / 2)];
  }
  for (int n : quarter) EXPECT_NEAR(n, 2500, 250);  // 6 standard deviations
}

// g = 0.1 x + gradient; v and h are means of g and g^2; x -= rate * sqrt(1 - beta^t) / (1 - alpha^t) * v / (sqrt(h) + epsilon).
TEST(NumericElementwise, Adam) {
  const TensorRef x = f32({2}, {1.2F, 2.8F}), g = f32({2}, {-0.94F, -2.5F}), v = f32({2}, {1.7F, 3.6F}),
                  h = f32({2}, {0.1F, 0.1F});
  const TensorRef rate = f32({}, {0.1F}), step = i64({}, {3});
  expect_cases({{"adam",
                 {rate, step, x, g, v, h},
                 {{"alpha", 0.9}, {"beta", 0.999}, {"epsilon", 1e-2}, {"norm_coefficient", 0.1}},
                 {f32({2}, {1.110583F, 2.61734F}), f32({2}, {1.448F, 3.018F}), f32({2}, {0.1005724F, 0.1048284F})}}});
}

// x[y, x] = 4 y + x. The whole of it in quarters, and its middle in quarters.
TEST(NumericElementwise, MaxRoiPool) {
  std::vector<float> ramp(16);
  for (size_t k = 0; k < 16; ++k) ramp[k] = static_cast<float>(k);
  expect_cases({{"max_roi_pool",
                 {f32({1, 1, 4, 4}, ramp), f32({2, 5}, {0, 0, 0, 3, 3, 0, 1, 1, 2, 2})},
                 {{"pooled_shape", I{2, 2}}},
                 {f32({2, 1, 2, 2}, {5, 7, 13, 15, 5, 6, 9, 10})}}});
}

// Bilinear samples of a linear function are exact, and their mean is its value in the centre of the bin.
TEST(NumericElementwise, RoiAlignOfARamp) {
  auto x = TensorData::make(DType::F32, {2, 1, 8, 10});
  for (int64_t k = 0; k < 160; ++k)
    x->mutable_as<float>()[k] = static_cast<float>(100 * (k / 80) + 10 * (k / 10 % 8) + k % 10);
  const std::vector<std::vector<float>> boxes = {{2, 2, 14, 10}, {3, 4, 9, 12}};
  const auto rois = f32({2, 4}, {2, 2, 14, 10, 3, 4, 9, 12});
  for (bool half : {true, false}) {
    for (int64_t ratio : {0, 1, 2}) {
      const auto y = run1("roi_align", {TensorRef(x), rois, i64({2}, {0, 1})},
                          {{"output_height", int64_t{2}},
                           {"output_width", int64_t{3}},
                           {"sampling_ratio", ratio},
                           {"spatial_scale", 0.5},
                           {"coordinate_transformation_mode", std::string(half ? "half_pixel" : "output_half_pixel")}});
      expect_is(y, {2, 1, 2, 3}, [&](const Shape& i) {
        const auto& box = boxes[static_cast<size_t>(i[0])];
        auto centre = [&](size_t axis, int64_t bin, double bins) {
          const double offset = half ? 0.5 : 0, start = box[axis] * 0.5 - offset, end = box[axis + 2] * 0.5 - offset;
          return start + (static_cast<double>(bin) + 0.5) * (end - start) / bins;
        };
        return 100 * static_cast<double>(i[0]) + 10 * centre(1, i[2], 2) + centre(0, i[3], 3);
      });
    }
  }
}

}  // namespace
}  // namespace ingot
