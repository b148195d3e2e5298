// Every operator on extents of 0, where its definition gives such a call a meaning: no rows, no columns, nothing to reduce.
#pragma once

#include <set>

#include "tests/ops/op_run.h"

namespace ingot::test {

inline std::vector<Call> empty_calls() {
  using I = std::vector<int64_t>;
  std::vector<Call> calls;
  auto add = [&](const char* op, std::vector<Arg> inputs, Attrs attrs = {}, int outputs = 1) {
    calls.push_back({op, std::move(inputs), std::move(attrs), outputs});
  };
  auto i64s = [](Shape dims, std::vector<int64_t> v = {}) { return tensor<int64_t>(std::move(dims), v); };
  auto of_type = [](DType t, Shape dims) { return TensorRef(TensorData::make(t, std::move(dims))); };
  auto bools = [&](Shape dims) { return of_type(DType::Bool, std::move(dims)); };
  const TensorRef one = tensor<float>({}, {0.5F});

  for (const char* op : {"abs",
                         "acos",
                         "acosh",
                         "asin",
                         "asinh",
                         "atan",
                         "atanh",
                         "ceil",
                         "celu",
                         "cos",
                         "cosh",
                         "elu",
                         "erf",
                         "exp",
                         "floor",
                         "gelu",
                         "hard_sigmoid",
                         "hard_swish",
                         "identity",
                         "is_inf",
                         "is_nan",
                         "leaky_relu",
                         "log",
                         "mish",
                         "neg",
                         "reciprocal",
                         "relu",
                         "round",
                         "selu",
                         "shrink",
                         "sigmoid",
                         "sign",
                         "sin",
                         "sinh",
                         "softplus",
                         "softsign",
                         "sqrt",
                         "swish",
                         "tan",
                         "tanh",
                         "thresholded_relu",
                         "shape",
                         "size",
                         "softmax",
                         "log_softmax",
                         "hardmax",
                         "fast_gelu",
                         "quick_gelu",
                         "lp_normalization",
                         "flatten",
                         "transpose",
                         "binarizer",
                         "eye_like",
                         "trilu"}) {
    for (const Shape& dims : {Shape{0, 3}, Shape{2, 0}, Shape{0, 0}}) add(op, {floats(dims)});
  }
  add("eye_like", {floats({0, 3})}, {{"k", int64_t{1}}});
  for (const Shape& dims : {Shape{0, 3}, Shape{2, 0}}) {
    add("clip", {floats(dims), one, one});
    add("not", {bools(dims)});
    add("bitwise_not", {i64s(dims)});
    add("cast", {floats(dims)}, {{"to", int64_t{7}}});
    add("cast_like", {floats(dims), i64s({1}, {1})});
    add("bit_cast", {floats(dims)}, {{"to", int64_t{6}}});
    add("dropout", {floats(dims)}, {}, 2);
    for (const char* op : {"add", "sub", "mul", "div", "pow", "mod", "prelu", "equal", "greater", "less",
                           "greater_or_equal", "less_or_equal"}) {
      Attrs attrs;
      if (std::string_view(op) == "mod") attrs.set("fmod", int64_t{1});
      add(op, {floats(dims), floats(dims)}, attrs);
      add(op, {floats(dims), floats({1, 1})}, attrs);
    }
    for (const char* op : {"and", "or", "xor"}) add(op, {bools(dims), bools({1, 1})});
    for (const char* op : {"bitwise_and", "bitwise_or", "bitwise_xor"}) add(op, {i64s(dims), i64s({1}, {3})});
    add("bit_shift", {of_type(DType::U32, dims), of_type(DType::U32, {1, 1})}, {{"direction", std::string("LEFT")}});
    for (const char* op : {"max", "min", "mean", "sum"}) add(op, {floats(dims), floats({1, 1}), floats(dims)});
    add("where", {bools({1, 1}), floats(dims), floats({1, 1})});
    for (const char* op : {"cum_sum", "cum_prod"}) add(op, {floats(dims), scalar(0)});
    for (const char* op : {"reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_l1", "reduce_l2",
                           "reduce_sum_square", "reduce_log_sum", "reduce_log_sum_exp", "reduce_mean"}) {
      add(op, {floats(dims), ints({0})});
      add(op, {floats(dims), i64s({1}, {1})}, {{"keepdims", int64_t{0}}});
      add(op, {floats(dims)});
    }
    add("concat", {floats(dims), floats(dims)}, {{"axis", int64_t{0}}});
    add("concat", {floats(dims), floats({2, 3})}, {{"axis", dims[0] == 0 ? int64_t{0} : int64_t{1}}});
    add("gather", {floats(dims), i64s({0})}, {{"axis", int64_t{0}}});
    add("gather_elements", {floats(dims), i64s(dims)}, {{"axis", int64_t{0}}});
    add("pad", {floats(dims), ints({1, 1, 0, 2})});
    add("reshape", {floats(dims), ints({dims[0], 1, dims[1]})}, {{"allowzero", int64_t{1}}});
    add("squeeze", {floats({dims[0], 1, dims[1]}), ints({1})});
    add("unsqueeze", {floats(dims), ints({0})});
    add("tile", {floats(dims), ints({2, 3})});
    add("expand", {floats({1, 1}), ints(dims)});
    add("expand", {floats(dims), i64s({3}, {2, 1, 1})});
    add("slice", {floats(dims), ints({0}), ints({5}), ints({0})});
    add("slice", {floats(dims), ints({-1}), ints({-9}), ints({1}), ints({-1})});
    add("slice", {floats(dims), i64s({1}, {-1}), i64s({1}, {-9}), ints({0}), ints({-2})});
    add("split", {floats(dims)}, {{"axis", int64_t{0}}}, 2);
    add("center_crop_pad", {floats(dims), ints({2, 2})});
    add("scatter_elements", {floats(dims), i64s(dims), floats(dims)}, {{"axis", int64_t{0}}});
    add("one_hot", {i64s(dims), scalar(3), tensor<float>({2}, {0, 1})});
    add("non_zero", {floats(dims)});
    add("unique", {floats(dims)}, {}, 4);
    add("compress", {floats(dims), bools({0})});
    add("compress", {floats(dims), bools({0})}, {{"axis", int64_t{0}}});
    add("mat_mul", {floats(dims), floats({dims[1], 4})});
    add("gemm", {floats(dims), floats({dims[1], 4}), floats({4})});
    add("einsum", {floats(dims), floats({dims[1], 4})}, {{"equation", std::string("ij,jk->ik")}});
    add("layer_normalization", {floats(dims), floats({dims[1]})});
    add("rms_normalization", {floats(dims), floats({dims[1]})});
    add("mean_variance_normalization", {floats(dims)}, {{"axes", I{0}}});
    add("top_k", {floats(dims), ints({0})}, {}, 2);
    add("scaler", {floats(dims)}, {{"offset", std::vector<double>{1}}, {"scale", std::vector<double>{2}}});
    add("normalizer", {floats(dims)}, {{"norm", std::string("L2")}});
    add("quantize_linear", {floats(dims), one, constant(of_type(DType::U8, {}))});
    add("dequantize_linear", {of_type(DType::U8, dims), one});
    add("fused_mat_mul", {floats(dims), floats({dims[1], 4})});
  }
  for (const char* op : {"arg_max", "arg_min"}) add(op, {floats({0, 3})}, {{"axis", int64_t{1}}});
  add("gather_nd", {floats({2, 0}), i64s({3, 1}, {0, 1, 1})});
  add("gather_nd", {floats({2, 3}), i64s({0, 2})});
  add("scatter_nd", {floats({2, 3}), i64s({0, 1}), floats({0, 3})});
  add("scatter_nd", {floats({2, 0}), i64s({1, 1}, {1}), floats({1, 0})});
  add("array_feature_extractor", {floats({0, 3}), i64s({2}, {0, 2})});
  add("array_feature_extractor", {floats({2, 3}), i64s({0})});
  add("depth_to_space", {floats({0, 4, 2, 2})}, {{"blocksize", int64_t{2}}});
  add("depth_to_space", {floats({1, 0, 2, 2})}, {{"blocksize", int64_t{2}}});
  add("space_to_depth", {floats({1, 1, 0, 2})}, {{"blocksize", int64_t{2}}});
  add("reverse_sequence", {floats({0, 2}), i64s({2}, {0, 0})});
  add("reverse_sequence", {floats({3, 0}), i64s({0})});
  add("det", {floats({0, 2, 2})});
  add("det", {floats({2, 0, 0})});
  add("inverse", {floats({0, 2, 2})});
  add("mat_mul", {floats({0}), floats({0})});
  add("mat_mul", {floats({0, 1, 2, 3}), floats({4, 3, 0})});
  add("mat_mul_integer", {of_type(DType::U8, {2, 0}), of_type(DType::U8, {0, 3})});
  add("constant_of_shape", {ints({2, 0})});
  add("constant_of_shape", {i64s({2}, {0, 3})});
  add("range", {scalar(3), scalar(3), scalar(1)});
  add("hann_window", {scalar(0)});
  add("hamming_window", {scalar(0)});
  add("blackman_window", {scalar(0)});
  add("col2im", {floats({0, 4, 4}), ints({3, 3}), ints({2, 2})});
  add("dft", {floats({0, 4, 1})});
  add("stft", {floats({0, 8, 1}), scalar(2), floats({4})});
  add("grid_sample", {floats({0, 2, 3, 3}), floats({0, 2, 2, 2})});
  add("grid_sample", {floats({1, 2, 3, 3}), floats({1, 0, 2, 2})});
  add("affine_grid", {floats({0, 2, 3}), ints({0, 1, 2, 2})});
  add("non_max_suppression", {floats({1, 0, 4}), floats({1, 1, 0})});
  add("string_concat", {strings({0}, {}), strings({0}, {})});
  add("regex_full_match", {strings({0}, {})}, {{"pattern", std::string("a")}});
  add("string_normalizer", {strings({0}, {})});
  add("string_split", {strings({0}, {})}, {}, 2);
  for (const Shape& dims : {Shape{0, 2, 5, 5}, Shape{1, 0, 5, 5}}) {
    add("conv", {floats(dims), floats({3, dims[1], 2, 2})});
    add("conv_transpose", {floats(dims), floats({dims[1], 3, 2, 2})});
    for (const char* op : {"max_pool", "average_pool", "lp_pool"}) add(op, {floats(dims)}, {{"kernel_shape", I{2, 2}}});
    for (const char* op : {"global_average_pool", "global_max_pool", "global_lp_pool"}) add(op, {floats(dims)});
    add("lrn", {floats(dims)}, {{"size", int64_t{3}}});
    const TensorRef per_channel = floats({dims[1]});
    add("batch_normalization", {floats(dims), per_channel, per_channel, per_channel, per_channel});
    add("instance_normalization", {floats(dims), per_channel, per_channel});
    add("resize", {floats(dims), {}, {}, ints({dims[0], dims[1], 7, 3})});
  }
  add("conv", {floats({1, 2, 0, 5}), floats({3, 2, 1, 1})});
  add("max_pool", {floats({1, 2, 0})}, {{"kernel_shape", I{1}}});
  add("conv_integer", {of_type(DType::U8, {0, 2, 4}), of_type(DType::U8, {3, 2, 2})});
  add("deform_conv", {floats({0, 2, 3, 3}), floats({3, 2, 2, 2}), floats({0, 8, 2, 2})});
  add("deform_conv", {floats({1, 0, 3, 3}), floats({3, 0, 2, 2}), floats({1, 8, 2, 2}), floats({3})});
  add("deform_conv", {floats({1, 0, 3, 3}), floats({4, 0, 2, 2}), floats({1, 16, 2, 2})},
      {{"group", int64_t{2}}, {"offset_group", int64_t{2}}});
  add("deform_conv", {floats({1, 2, 3, 3}), floats({0, 2, 2, 2}), floats({1, 8, 2, 2})});
  add("deform_conv", {floats({1, 2, 0, 5}), floats({3, 2, 1, 1}), floats({1, 2, 0, 5}), {}, floats({1, 1, 0, 5})});
  add("deform_conv", {floats({1, 2, 0, 0}), floats({3, 2, 2, 2}), floats({1, 8, 1, 1})}, {{"pads", I{1, 1, 1, 1}}});
  add("max_unpool", {floats({0, 1, 2}), i64s({0, 1, 2})}, {{"kernel_shape", I{2}}, {"strides", I{2}}});
  add("roi_align", {floats({1, 2, 4, 4}), floats({0, 4}), i64s({0})});
  add("max_roi_pool", {floats({1, 2, 4, 4}), floats({0, 5})}, {{"pooled_shape", I{2, 2}}});
  add("group_normalization", {floats({0, 4, 3}), floats({4}), floats({4})}, {{"num_groups", int64_t{2}}});
  for (const Shape& x : {Shape{0, 2, 5}, Shape{3, 0, 5}}) {
    add("lstm", {floats(x), constant(floats({1, 12, 5})), constant(floats({1, 12, 3}))}, {{"hidden_size", int64_t{3}}},
        3);
    add("gru", {floats(x), constant(floats({1, 9, 5})), constant(floats({1, 9, 3}))}, {{"hidden_size", int64_t{3}}}, 2);
    add("rnn", {floats(x), constant(floats({1, 3, 5})), constant(floats({1, 3, 3}))}, {{"hidden_size", int64_t{3}}}, 2);
  }
  add("attention", {floats({0, 2, 3, 4}), floats({0, 2, 5, 4}), floats({0, 2, 5, 4})});
  add("attention", {floats({1, 2, 0, 4}), floats({1, 2, 5, 4}), floats({1, 2, 5, 4})});
  add("multi_head_attention", {floats({0, 3, 8}), floats({0, 5, 8}), floats({0, 5, 8})}, {{"num_heads", int64_t{2}}});
  add("rotary_embedding", {floats({0, 2, 3, 4}), floats({3, 2}), floats({3, 2}), i64s({0, 3})});
  add("skip_layer_normalization", {floats({0, 2, 4}), floats({0, 2, 4}), floats({4})});
  add("bias_gelu", {floats({0, 4}), floats({4})});
  add("negative_log_likelihood_loss", {floats({0, 3}), i64s({0})}, {{"reduction", std::string("none")}});
  add("softmax_cross_entropy_loss", {floats({0, 3}), i64s({0})}, {{"reduction", std::string("sum")}});
  add("dynamic_quantize_linear", {floats({0, 3})}, {}, 3);
  add("linear_regressor", {floats({0, 3})}, {{"coefficients", std::vector<double>{1, 2, 3}}});
  add("linear_classifier", {floats({0, 3})},
      {{"coefficients", std::vector<double>{1, 2, 3}},
       {"intercepts", std::vector<double>{1}},
       {"classlabels_ints", I{0, 1}}},
      2);
  add("svm_regressor", {floats({0, 3})},
      {{"coefficients", std::vector<double>{1, 2, 3}}, {"rho", std::vector<double>{1}}});
  add("feature_vectorizer", {floats({0, 3}), floats({0, 2})});
  add("imputer", {floats({0, 3})}, {{"imputed_value_floats", std::vector<double>{1}}});
  add("one_hot_encoder", {i64s({0})}, {{"cats_int64s", I{1, 2}}});
  add("label_encoder", {i64s({0})}, {{"keys_int64s", I{1, 2}}, {"values_int64s", I{3, 4}}});
  add("tensor_scatter", {floats({1, 2, 0}), floats({1, 1, 0})}, {{"axis", int64_t{1}}});
  return calls;
}

}  // namespace ingot::test
