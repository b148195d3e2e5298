// Quantised operators of ONNX Runtime: calls with their numbers (numeric_cases.h). No expected number is near a tie.
#include "tests/ops/numeric_cases.h"

namespace ingot {
namespace {

using namespace test;
using I = std::vector<int64_t>;

Arg scale(float v) { return constant(f32({}, {v})); }
Arg zero(uint8_t v) { return constant(u8({}, {v})); }

// a - 5 and b - {1, -2} have the product {{30908, 977}, {2841, -15468}}.
const TensorRef kA = u8({2, 3}, {3, 7, 250, 0, 128, 9}), kB = i8({3, 2}, {1, -4, 20, -128, 127, 3}),
                kScales = f32({2}, {0.01F, 0.02F}), kZeros = i8({2}, {1, -2}), kBias = f32({2}, {1.5F, -2});

TEST(NumericQuantized, Products) {
  const Arg c = constant(i32({2}, {100, -200}));
  expect_cases({
      // 2 * 0.5 * b_scale * (product + c), and that over 3.1, rounded, plus 100
      {"qgemm",
       {kA, scale(0.5F), zero(5), kB, kScales, kZeros, c},
       {{"alpha", 2.0}},
       {f32({2, 2}, {310.08F, 15.54F, 29.41F, -313.36F})}},
      {"qgemm",
       {kA, scale(0.5F), zero(5), kB, kScales, kZeros, c, scale(3.1F), zero(100)},
       {{"alpha", 2.0}},
       {u8({2, 2}, {200, 105, 109, 0})}},
      // 0.5 * b_scale * product + bias
      {"mat_mul_integer_to_float",
       {kA, kB, scale(0.5F), kScales, zero(5), kZeros, kBias},
       {},
       {f32({2, 2}, {156.04F, 7.77F, 15.705F, -156.68F})}},
      // a becomes {{128, 0, 255}, {235, 111, 63}} with scale 3/255 and zero point 85.
      {"dynamic_quantize_mat_mul",
       {f32({2, 3}, {0.51F, -1, 2, 1.76F, 0.31F, -0.26F}), kB, kScales, kZeros, kBias},
       {},
       {f32({2, 2}, {3.83F, 0.6997647F, 1.232F, -2.867294F})}},
  });
}

TEST(NumericQuantized, Elementwise) {
  // {-11.8, 7.2, 0.2} and {0.04, 0.7, 5}
  const TensorRef a = u8({3}, {10, 200, 130}), b = u8({3}, {7, 40, 255});
  const Arg as = scale(0.1F), az = zero(128), bs = scale(0.02F), bz = zero(5);
  expect_cases({
      {"qlinear_add", {a, as, az, b, bs, bz, scale(0.21F), zero(50)}, {}, {u8({3}, {0, 88, 75})}},
      {"qlinear_mul", {a, as, az, b, bs, bz, scale(0.21F), zero(50)}, {}, {u8({3}, {48, 74, 55})}},
      {"qlinear_sigmoid", {a, as, az, scale(1.0F / 256), zero(0)}, {}, {u8({3}, {0, 255, 141})}},
      {"qlinear_leaky_relu", {a, as, az, scale(0.13F), zero(60)}, {{"alpha", 0.2}}, {u8({3}, {42, 115, 62})}},
      {"qlinear_where",
       {bools({3}, {1, 0, 1}), a, as, az, b, bs, bz, scale(0.17F), zero(60)},
       {},
       {u8({3}, {0, 64, 61})}},
      {"qlinear_concat",
       {scale(0.26F), zero(3), a, as, az, b, bs, bz},
       {{"axis", int64_t{0}}},
       {u8({6}, {0, 31, 4, 3, 6, 22})}},
      {"qlinear_softmax",
       {u8({1, 4}, {10, 20, 25, 3}), as, az, scale(1.0F / 256), zero(0)},
       {{"axis", int64_t{-1}}, {"opset", int64_t{13}}},
       {u8({1, 4}, {29, 80, 132, 15})}},
  });
}

// 2x2 windows over a 3x3 image with a border of one; what lies outside counts as 0, or not at all.
TEST(NumericQuantized, Pools) {
  const std::vector<uint8_t> image = {1, 20, 30, 40, 55, 60, 70, 80, 97},
                             all = {16, 20, 32, 28, 28, 51, 70, 48, 56, 103, 122, 75, 44, 72, 83, 55},
                             inside = {5, 21, 44, 52, 37, 51, 70, 76, 93, 103, 122, 130, 117, 125, 147, 160};
  const std::vector<Arg> first = {u8({1, 1, 3, 3}, image), scale(0.5F), zero(10), scale(0.31F), zero(20)},
                         last = {u8({1, 3, 3, 1}, image), scale(0.5F), zero(10), scale(0.31F), zero(20)};
  const Attrs windows{{"kernel_shape", I{2, 2}}, {"pads", I{1, 1, 1, 1}}, {"strides", I{1, 1}}};
  Attrs with_border = windows, channels_last = windows;
  with_border.set("count_include_pad", int64_t{1});
  channels_last.set("channels_last", int64_t{1});
  expect_cases({
      {"qlinear_average_pool", first, windows, {u8({1, 1, 4, 4}, inside)}},
      {"qlinear_average_pool", first, with_border, {u8({1, 1, 4, 4}, all)}},
      {"qlinear_average_pool", last, channels_last, {u8({1, 4, 4, 1}, inside)}},
      {"qlinear_global_average_pool", first, {}, {u8({1, 1, 1, 1}, {85})}},
      {"qlinear_global_average_pool", last, {{"channels_last", int64_t{1}}}, {u8({1, 1, 1, 1}, {85})}},
  });
}

// Two steps of one unit. x and, in each step, the state are quantised dynamically; gates in the order i, o, f, c.
TEST(NumericQuantized, DynamicLstm) {
  expect_cases(
      {{"dynamic_quantize_lstm",
        {f32({2, 1, 2}, {1, -0.5F, 0.26F, 2}), constant(u8({1, 2, 4}, {130, 100, 140, 90, 110, 150, 120, 135})),
         constant(u8({1, 1, 4}, {125, 118, 140, 100})), constant(f32({1, 8}, {0.1F, 0.2F, -0.1F, 0.05F, 0, 0, 0, 0})),
         Arg(), Arg(), Arg(), Arg(), constant(f32({1}, {0.02F})), constant(u8({1}, {120})), constant(f32({1}, {0.03F})),
         constant(u8({1}, {121}))},
        {{"hidden_size", int64_t{1}}},
        {f32({2, 1, 1, 1}, {-0.1309397F, 0.0396928F}), f32({1, 1, 1}, {0.0396928F}), f32({1, 1, 1}, {0.05048954F})}}});
}

}  // namespace
}  // namespace ingot
