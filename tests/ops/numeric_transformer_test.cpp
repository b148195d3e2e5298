// Fused operators of transformers: calls with their numbers (numeric_cases.h).
#include "tests/ops/numeric_cases.h"

namespace ingot {
namespace {

using namespace test;

const TensorRef kGamma = f32({3}, {1, 2, 0.5F}), kBeta = f32({3}, {0, 0.5F, -1});

// x + skip + bias, whose rows are {1.6, 1.2, 1.3} and {1.6, 1.7, 1.3}, normalised by mean and variance, or by the mean square.
TEST(NumericTransformer, NormalisationOfASum) {
  const TensorRef x = f32({1, 2, 3}, {1, 2, -1, 0.5F, 0, 4}), skip = f32({1, 2, 3}, {0.5F, -1, 2, 1, 1.5F, -3}),
                  bias = f32({3}, {0.1F, 0.2F, 0.3F}), sum = f32({1, 2, 3}, {1.6F, 1.2F, 1.3F, 1.6F, 1.7F, 1.3F});
  expect_cases({
      {"skip_layer_normalization",
       {x, skip, kGamma, kBeta, bias},
       {{"epsilon", 0.01}},
       {f32({1, 2, 3}, {1.183216F, -1.190309F, -1.169031F, 0.3380617F, 2.190309F, -1.591608F}),
        f32({1, 2, 1}, {1.366667F, 1.533333F}), f32({1, 2, 1}, {5.070926F, 5.070926F}), sum}},
      {"skip_simplified_layer_normalization",
       {x, skip, kGamma, bias},
       {{"epsilon", 0.01}},
       {f32({1, 2, 3}, {1.158731F, 1.738096F, 0.4707344F, 1.034954F, 2.199277F, 0.42045F}), nullptr,
        f32({1, 2, 1}, {0.7242068F, 0.6468462F}), sum}},
      {"simplified_layer_normalization",
       {f32({2, 3}, {1, 2, -1, 0.5F, 0, 4}), kGamma},
       {{"epsilon", 1e-5}},
       {f32({2, 3}, {0.707105F, 2.82842F, -0.3535525F, 0.2148343F, 0, 0.8593371F}),
        f32({2, 1}, {0.707105F, 0.4296685F})}},
  });
}

// Tokens 2 and 1, segments 0 and 1, at positions 0 and 1; the mask counts the tokens that are there.
TEST(NumericTransformer, Embeddings) {
  expect_cases({{"embed_layer_normalization",
                 {i32({1, 2}, {2, 1}), i32({1, 2}, {0, 1}), f32({3, 3}, {1, 0, 2, 3, -1, 0.5F, 0, 1, 1}),
                  f32({2, 3}, {0.1F, 0.2F, 0.3F, 1, 2, 3}), f32({2, 3}, {0, 0, 1, -1, 0, 1}), kGamma, kBeta,
                  i32({1, 2}, {1, 0})},
                 {{"epsilon", 0.01}},
                 {f32({1, 2, 3}, {-1.217223F, 0.5F, -0.3913883F, 0.1159659F, -2.05125F, -0.4201705F}), i32({1}, {1}),
                  f32({1, 2, 3}, {0.1F, 1.2F, 2.3F, 3, 1, 4.5F})}}});
}

// A' B = {{2, -8}, {8, 9}}
TEST(NumericTransformer, Products) {
  const TensorRef a = f32({3, 2}, {1, 2, 3, -1, 0, 4}), b = f32({3, 2}, {2, 1, 0, -3, 1, 1});
  const Attrs half{{"alpha", 0.5}, {"transA", int64_t{1}}};
  expect_cases({
      {"fused_mat_mul", {a, b}, half, {f32({2, 2}, {1, -4, 4, 4.5F})}},
      {"transpose_mat_mul", {a, b}, half, {f32({2, 2}, {1, -4, 4, 4.5F})}},
      // [M, batch, K] stands for [batch, M, K]: rows of the two batches alternate.
      {"fused_mat_mul",
       {f32({2, 2, 1}, {1, 2, 3, 4}), f32({2, 1, 1}, {10, 100})},
       {{"transBatchA", int64_t{1}}},
       {f32({2, 2, 1}, {10, 30, 200, 400})}},
      // relu(2 A' B + 0.5 C)
      {"fused_gemm",
       {a, b, f32({2}, {1, -4})},
       {{"alpha", 2.0}, {"beta", 0.5}, {"transA", int64_t{1}}, {"activation", std::string("Relu")}},
       {f32({2, 2}, {4.5F, 0, 16.5F, 16})}},
  });
}

// Positions 2 and 1; pairs are halves apart, or neighbours.
TEST(NumericTransformer, Rotation) {
  const TensorRef x = f32({1, 2, 4}, {1, 2, 3, 4, -1, 0.5F, 2, 0}), at = i64({1, 2}, {2, 1}),
                  cos = f32({3, 2}, {1, 1, 0.8F, 0.6F, 0.28F, -0.5F}),
                  sin = f32({3, 2}, {0, 0, 0.6F, 0.8F, 0.96F, 0.8660254F});
  expect_cases({
      {"ms_rotary_embedding",
       {x, at, cos, sin},
       {{"num_heads", int64_t{1}}},
       {f32({1, 2, 4}, {-2.6F, -4.464102F, 1.8F, -0.2679492F, -2, 0.3F, 1, 0.4F})}},
      {"ms_rotary_embedding",
       {x, at, cos, sin},
       {{"num_heads", int64_t{1}}, {"interleaved", int64_t{1}}},
       {f32({1, 2, 4}, {-1.64F, 1.52F, -4.964102F, 0.5980762F, -1.1F, -0.2F, 1.2F, 1.6F})}},
  });
}

TEST(NumericTransformer, Attention) {
  const TensorRef q = f32({1, 2, 4}, {1, 0, 0.5F, -1, 0, 2, 1, 1}),
                  k = f32({1, 3, 4}, {1, 1, 0, 0.5F, 0, -1, 2, 0, 0.5F, 0.5F, 1, 1}),
                  v = f32({1, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, -1, 0, 1, 2});
  expect_cases({
      // Two heads of two columns; the bias is that of query, key and value.
      {"multi_head_attention",
       {q, k, v, f32({12}, {0.1F, 0.2F, 0.3F, 0.4F, 0, 0.5F, 0, -0.5F, 1, 1, -1, -1})},
       {{"num_heads", int64_t{2}}},
       {f32({1, 2, 4}, {2.061616F, 3.061616F, 3.994951F, 4.994951F, 1.51454F, 2.51454F, 2.794044F, 3.794044F})}},
      // softmax(q k' / sqrt(2)) v
      {"flex_attention",
       {f32({1, 1, 2, 2}, {1, 0, 0.5F, -1}), f32({1, 1, 2, 2}, {1, 1, -1, 0.5F}), f32({1, 1, 2, 2}, {1, 2, 3, -4})},
       {},
       {f32({1, 1, 2, 2}, {1.391141F, 0.8265781F, 1.825042F, -0.475126F})}},
  });
}

// state = state + k v, or state * exp(decay) + k * beta * (v - k' state); output = q' state / sqrt(2).
TEST(NumericTransformer, LinearAttention) {
  const TensorRef q = f32({1, 2, 2}, {1, 2, 0.5F, -1}), k = f32({1, 2, 2}, {0.5F, 1, 2, -0.5F}),
                  v = f32({1, 2, 1}, {3, -2}), decay = f32({1, 2, 1}, {-0.5F, -0.1F}),
                  beta = f32({1, 2, 1}, {0.5F, 0.25F});
  expect_cases({
      {"linear_attention",
       {q, k, v},
       {{"q_num_heads", int64_t{1}}, {"kv_num_heads", int64_t{1}}, {"update_rule", std::string("linear")}},
       {f32({1, 2, 1}, {5.303301F, -3.712311F}), f32({1, 1, 2, 1}, {-2.5F, 4})}},
      {"linear_attention",
       {q, k, v, Arg(), decay, beta},
       {{"q_num_heads", int64_t{1}}, {"kv_num_heads", int64_t{1}}, {"update_rule", std::string("gated_delta")}},
       {f32({1, 2, 1}, {2.65165F, -1.430072F}), f32({1, 1, 2, 1}, {-0.660686F, 1.692085F})}},
  });
}

}  // namespace
}  // namespace ingot
