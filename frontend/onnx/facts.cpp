#include "frontend/onnx/facts.h"

#include <algorithm>

#include "frontend/onnx/dtype.h"

namespace ingot::onnx {

namespace {

bool one_of(std::string_view op, std::string_view list) {
  for (size_t at = list.find(op); at != list.npos; at = list.find(op, at + 1)) {
    size_t end = at + op.size();
    if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return true;
  }
  return false;
}

// Element type and rank of the first input.
constexpr std::string_view kLikeFirst =
    "abs acos acosh asin asinh atan atanh average_pool batch_normalization ceil celu clip concat conv conv_transpose "
    "cos "
    "cosh cum_sum depth_to_space dropout elu erf exp floor gather_elements gelu global_average_pool global_lp_pool "
    "global_max_pool grid_sample group_normalization hard_sigmoid hard_swish hardmax identity instance_normalization "
    "layer_normalization leaky_relu log log_softmax lp_normalization lp_pool lrn max_pool mean_variance_normalization "
    "mish "
    "neg not pad prelu reciprocal relu resize round scatter_elements scatter_nd selu shrink sigmoid sign sin sinh "
    "slice "
    "softmax softplus softsign space_to_depth split sqrt swish tan tanh thresholded_relu tile transpose trilu";
constexpr std::string_view kBroadcast =
    "add and bitwise_and bitwise_or bitwise_xor div max mean min mod mul or pow sub sum xor";
constexpr std::string_view kCompare = "equal greater greater_or_equal less less_or_equal";

}  // namespace

Fact Facts::of(const Value* v) const {
  if (!v) return {};
  if (v->constant) return {v->constant->dtype, static_cast<int>(v->constant->dims.size())};
  if (v->type.is_tensor()) return {v->type.tensor.dtype, v->type.tensor.rank()};
  auto it = facts_.find(v);
  return it == facts_.end() ? Fact{} : it->second;
}

void Facts::learn(const Node& node) {
  std::string_view op = node.op();
  auto in = [&](size_t i) { return i < node.inputs.size() ? of(node.inputs[i]) : Fact{}; };
  auto constant = [&](size_t i) -> const TensorData* {
    return i < node.inputs.size() && node.inputs[i] ? node.inputs[i]->constant.get() : nullptr;
  };
  auto i64 = [&](std::string_view name, int64_t otherwise) {
    const AttrValue* a = node.attrs.find(name);
    return a && std::holds_alternative<int64_t>(*a) ? std::get<int64_t>(*a) : otherwise;
  };
  Fact f;
  if (one_of(op, kLikeFirst)) {
    f = in(0);
  } else if (one_of(op, kBroadcast) || one_of(op, kCompare)) {
    f = in(0);
    for (size_t i = 1; i < node.inputs.size(); ++i)
      f.rank = f.rank < 0 || in(i).rank < 0 ? -1 : std::max(f.rank, in(i).rank);
    if (one_of(op, kCompare)) f.dtype = DType::Bool;
  } else if (op == "cast") {
    f = {dtype_of(i64("to", 0)), in(0).rank};
  } else if (op == "cast_like") {
    f = {in(1).dtype, in(0).rank};
  } else if (op == "dequantize_linear") {
    f = {in(1).dtype, in(0).rank};
  } else if (op == "gemm" || op == "flatten") {
    f = {in(0).dtype, 2};
  } else if (op == "mat_mul") {
    int a = in(0).rank, b = in(1).rank;
    f = {in(0).dtype, a >= 2 && b >= 2 ? std::max(a, b) : -1};
  } else if (op == "reshape" || op == "expand") {
    f.dtype = in(0).dtype;
    if (const TensorData* shape = constant(1); shape && shape->dims.size() == 1) {
      f.rank = static_cast<int>(std::min<int64_t>(shape->dims[0], 1 << 20));
      if (op == "expand") f.rank = in(0).rank < 0 ? -1 : std::max(f.rank, in(0).rank);
    }
  } else if (op == "unsqueeze" || op == "squeeze") {
    f.dtype = in(0).dtype;
    if (const TensorData* axes = constant(1); axes && in(0).rank >= 0) {
      int n = static_cast<int>(std::min<int64_t>(axes->elements(), 1 << 20));
      f.rank = op == "squeeze" ? std::max(-1, in(0).rank - n) : in(0).rank + n;
    }
  } else if (op.starts_with("reduce_")) {
    f.dtype = in(0).dtype;
    if (i64("keepdims", 1) != 0) f.rank = in(0).rank;
  } else if (op == "shape") {
    f = {DType::I64, 1};
  } else if (op == "size") {
    f = {DType::I64, 0};
  } else if (op == "gather") {
    int data = in(0).rank, indices = in(1).rank;
    f = {in(0).dtype, data >= 0 && indices >= 0 ? data + indices - 1 : -1};
  } else if (op == "where") {
    f.dtype = in(1).dtype;
  } else if (op == "lstm" || op == "gru" || op == "rnn") {
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) facts_[node.outputs[i]] = {in(0).dtype, i == 0 ? 4 : 3};
    return;
  }
  if (f.dtype == DType::Invalid && f.rank < 0) return;
  size_t count = op == "split" ? node.outputs.size() : std::min<size_t>(1, node.outputs.size());
  for (size_t i = 0; i < count; ++i)
    if (node.outputs[i]) facts_[node.outputs[i]] = f;
}

}  // namespace ingot::onnx
