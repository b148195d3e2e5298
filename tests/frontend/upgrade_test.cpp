// Each case: a node of an old operator set, and what it is today.
#include <gtest/gtest.h>

#include "tests/frontend/graph_summary.h"
#include "tests/frontend/onnx_builder.h"

namespace ingot::onnx {
namespace {

using build::Attr;
using Ints = std::vector<int64_t>;
constexpr int kF32 = 1, kF16 = 10;

struct Case {
  int64_t opset;
  const char* op;
  build::Names inputs;
  std::vector<Attr> attrs;
  build::Names outputs = {"y"};
};

// x: f32[2, 3, 4, 4], u: f32 whose rank is not known to the importer, h: f16[2, 3, 4, 4], v: f32[3]; all outputs are
// read.
std::string upgraded(const Case& c, std::string_view domain = {}) {
  auto m = build::Model().opset(domain.empty() ? c.opset : 7);
  if (!domain.empty()) m.opset(c.opset, domain);
  m.graph.input("x", kF32, {2, 3, 4, 4}).input("h", kF16, {2, 3, 4, 4}).input("v", kF32, {3}).input("k", 7, {1});
  m.graph.input("s", 8, {2});
  m.graph.node("Unknown", {"x"}, {"u"});
  m.graph.initializer(build::floats("up", {4}, {1, 1, 2, 2})).initializer(build::floats("down", {4}, {1, 1, 0.5f, 2}));
  m.graph.initializer(build::floats("none", {0}, {})).initializer(build::floats("bits", {}, {4}));
  m.graph.node(c.op, c.inputs, c.outputs, c.attrs, {}, domain);
  for (const auto& o : c.outputs)
    if (!o.empty()) m.graph.output(o);
  static std::vector<std::unique_ptr<std::string>> kept;
  kept.push_back(std::make_unique<std::string>(m.str()));
  std::string s = summary(import_onnx(build::bytes_of(*kept.back()), nullptr, accept_all()));
  constexpr std::string_view kFirst = "u = unknown(x)\n";
  return s.starts_with(kFirst) ? s.substr(kFirst.size()) : s;
}

TEST(Upgrade, AxesBecomeInputs) {
  EXPECT_EQ(upgraded({11, "Squeeze", {"x"}, {Attr("axes", Ints{0})}}), "y = squeeze(x, i64[1]{0})\n");
  EXPECT_EQ(upgraded({11, "Squeeze", {"x"}, {}}), "y = squeeze(x)\n");
  EXPECT_EQ(upgraded({11, "Unsqueeze", {"x"}, {Attr("axes", Ints{0, 2})}}), "y = unsqueeze(x, i64[2]{0, 2})\n");
  EXPECT_EQ(upgraded({11, "ReduceSum", {"x"}, {Attr("axes", Ints{1}), Attr("keepdims", 0)}}),
            "y = reduce_sum(x, i64[1]{1}) keepdims=0\n");
  EXPECT_EQ(upgraded({17, "ReduceMax", {"x"}, {Attr("axes", Ints{1})}}), "y = reduce_max(x, i64[1]{1})\n");
  EXPECT_EQ(upgraded({17, "ReduceMax", {"x"}, {Attr("axes", Ints{})}}), "y = reduce_max(x)\n");
  EXPECT_EQ(upgraded({9, "Slice", {"x"}, {Attr("starts", Ints{1}), Attr("ends", Ints{3}), Attr("axes", Ints{2})}}),
            "y = slice(x, i64[1]{1}, i64[1]{3}, i64[1]{2})\n");
  EXPECT_EQ(upgraded({2, "Split", {"x"}, {Attr("split", Ints{1, 2}), Attr("axis", 1)}, {"a", "b"}}),
            "a, b = split(x, i64[2]{1, 2}) axis=1\n");
  EXPECT_EQ(upgraded({2, "Split", {"x"}, {}, {"a", "b"}}), "a, b = split(x) num_outputs=2\n");
  EXPECT_EQ(upgraded({1, "TopK", {"x"}, {Attr("k", 3)}, {"a", "b"}}), "a, b = top_k(x, i64[1]{3})\n");
  EXPECT_EQ(upgraded({1, "Reshape", {"x"}, {Attr("shape", Ints{0, -1})}}), "y = reshape(x, i64[2]{0, -1})\n");
  EXPECT_EQ(upgraded({17, "DFT", {"x"}, {Attr("axis", 2)}}), "y = dft(x, _, i64[]{2})\n");
}

TEST(Upgrade, LimitsAndPadsBecomeInputs) {
  EXPECT_EQ(upgraded({6, "Clip", {"x"}, {Attr("min", 0.0), Attr("max", 6.0)}}), "y = clip(x, f32[]{0}, f32[]{6})\n");
  EXPECT_EQ(upgraded({6, "Clip", {"x"}, {Attr("max", 6.0)}}), "y = clip(x, _, f32[]{6})\n");
  EXPECT_EQ(upgraded({6, "Clip", {"h"}, {Attr("max", 6.0)}}),
            "cast_like = cast_like(f32[]{6}, h)\ny = clip(h, _, cast_like)\n");
  EXPECT_EQ(upgraded({2, "Pad", {"x"}, {Attr("pads", Ints{0, 1}), Attr("value", 0.5)}}),
            "y = pad(x, i64[2]{0, 1}, f32[]{0.5})\n");
  EXPECT_EQ(upgraded({1, "Pad", {"x"}, {Attr("paddings", Ints{0, 1}), Attr("mode", "reflect")}}),
            "y = pad(x, i64[2]{0, 1}) mode=reflect\n");
}

TEST(Upgrade, BroadcastAtAnAxis) {
  EXPECT_EQ(upgraded({6, "Add", {"x", "v"}, {Attr("broadcast", 1), Attr("axis", 1)}}),
            "unsqueeze = unsqueeze(v, i64[2]{1, 2})\ny = add(x, unsqueeze)\n");
  EXPECT_EQ(upgraded({6, "Add", {"x", "v"}, {Attr("broadcast", 1), Attr("axis", 3)}}), "y = add(x, v)\n");
  EXPECT_EQ(upgraded({6, "Mul", {"x", "v"}, {Attr("broadcast", 1)}}), "y = mul(x, v)\n");
  EXPECT_EQ(upgraded({1, "Mul", {"x", "v"}, {Attr("consumed_inputs", Ints{0, 0})}}), "y = mul(x, v)\n");
  EXPECT_EQ(upgraded({6, "PRelu", {"x", "v"}, {}}),
            "unsqueeze = unsqueeze(v, i64[2]{1, 2})\ny = prelu(x, unsqueeze)\n");
  EXPECT_EQ(upgraded({6, "Add", {"u", "v"}, {Attr("broadcast", 1), Attr("axis", 1)}}),
            "shape = shape(u)\n"
            "shape_1 = shape(shape)\n"
            "sub = sub(shape_1, i64[1]{1})\n"
            "sub_1 = sub(sub, i64[1]{1})\n"
            "constant_of_shape = constant_of_shape(sub_1) value=i64[1]{1}\n"
            "shape_2 = shape(v)\n"
            "concat = concat(shape_2, constant_of_shape) axis=0\n"
            "reshape = reshape(v, concat)\n"
            "y = add(u, reshape)\n");
}

TEST(Upgrade, SoftmaxOverSeveralDims) {
  EXPECT_EQ(upgraded({11, "Softmax", {"x"}, {Attr("axis", 3)}}), "y = softmax(x) axis=-1\n");
  EXPECT_EQ(upgraded({11, "LogSoftmax", {"v"}, {Attr("axis", 0)}}), "y = log_softmax(v) axis=-1\n");
  EXPECT_EQ(upgraded({11, "Softmax", {"x"}, {}}),
            "flatten = flatten(x) axis=1\nsoftmax = softmax(flatten) axis=-1\nshape = shape(x)\ny = reshape(softmax, "
            "shape)\n");
  EXPECT_EQ(upgraded({13, "Softmax", {"x"}, {Attr("axis", 1)}}), "y = softmax(x) axis=1\n");
}

TEST(Upgrade, ResizeAndUpsample) {
  const std::string rest = " coordinate_transformation_mode=asymmetric mode=nearest nearest_mode=";
  EXPECT_EQ(upgraded({10, "Resize", {"x", "up"}, {}}), "y = resize(x, _, f32[4]{1, 1, 2, 2})" + rest + "floor\n");
  EXPECT_EQ(upgraded({7, "Upsample", {"x"}, {Attr("scales", std::vector<float>{1, 1, 2, 2})}}),
            "y = resize(x, _, f32[4]{1, 1, 2, 2})" + rest + "floor\n");
  EXPECT_EQ(upgraded({9, "Upsample", {"x", "up"}, {Attr("mode", "linear")}}),
            "y = resize(x, _, f32[4]{1, 1, 2, 2}) coordinate_transformation_mode=asymmetric mode=linear\n");
  EXPECT_EQ(
      upgraded({1, "Upsample", {"x"}, {Attr("height_scale", 2.0), Attr("width_scale", 3.0), Attr("mode", "bilinear")}}),
      "y = resize(x, _, f32[4]{1, 1, 2, 3}) coordinate_transformation_mode=asymmetric mode=linear\n");
  EXPECT_EQ(upgraded({10, "Resize", {"x", "down"}, {}}), "resize = resize(x, _, f32[4]{1, 1, 1, 2})" + rest +
                                                             "floor\n" + "y = resize(resize, _, f32[4]{1, 1, 0.5, 1})" +
                                                             rest + "ceil\n");
  EXPECT_EQ(upgraded({11, "Resize", {"x", "none", "none", "k"}, {}}), "y = resize(x, _, _, k)\n");
}

TEST(Upgrade, Normalisations) {
  EXPECT_EQ(upgraded({7, "BatchNormalization", {"x", "v", "v", "v", "v"}, {Attr("spatial", 1), Attr("epsilon", 0.5)}}),
            "y = batch_normalization(x, v, v, v, v) epsilon=0.5\n");
  EXPECT_EQ(upgraded({7, "BatchNormalization", {"x", "v", "v", "v", "v"}, {}, {"y", "mean", "var"}}),
            "y, mean, var = batch_normalization(x, v, v, v, v) training_mode=1\n");
  EXPECT_EQ(upgraded({7, "BatchNormalization", {"x", "a", "b", "m", "r"}, {}}),
            "input 'a' is not defined\n  in node 'y' (BatchNormalization, opset 7)");
  EXPECT_EQ(upgraded({7, "BatchNormalization", {"x", "v", "v", "v", "v"}, {Attr("spatial", 0)}}),
            "add = add(v, f32[]{1e-05})\nsqrt = sqrt(add)\nsub = sub(x, v)\ndiv = div(sub, sqrt)\nmul = mul(div, v)\ny "
            "= add(mul, v)\n");
  EXPECT_EQ(upgraded({18, "GroupNormalization", {"x", "v", "v"}, {Attr("num_groups", 3)}}),
            "shape = shape(x) end=2 start=1\n"
            "div = div(shape, i64[1]{3})\n"
            "concat = concat(i64[1]{3}, div) axis=0\n"
            "unsqueeze = unsqueeze(v, i64[1]{1})\n"
            "expand = expand(unsqueeze, concat)\n"
            "reshape = reshape(expand, i64[1]{-1})\n"
            "unsqueeze_1 = unsqueeze(v, i64[1]{1})\n"
            "expand_1 = expand(unsqueeze_1, concat)\n"
            "reshape_1 = reshape(expand_1, i64[1]{-1})\n"
            "y = group_normalization(x, reshape, reshape_1) num_groups=3\n");
  EXPECT_EQ(upgraded({21, "GroupNormalization", {"x", "v", "v"}, {Attr("num_groups", 3)}}),
            "y = group_normalization(x, v, v) num_groups=3\n");
}

TEST(Upgrade, DropoutIsTheIdentity) {
  EXPECT_EQ(upgraded({7, "Dropout", {"x"}, {Attr("ratio", 0.5)}}), "y = identity(x)\n");
  EXPECT_EQ(upgraded({13, "Dropout", {"x"}, {}}), "y = identity(x)\n");
  EXPECT_EQ(upgraded({13, "Dropout", {"x", "v", "k"}, {}}), "y = dropout(x, v, k)\n");
  EXPECT_EQ(upgraded({7, "Dropout", {"x"}, {}, {"y", "mask"}}),
            "dropout, dropout_1 = dropout(x)\nmask = cast_like(dropout_1, x)\ny = identity(dropout)\n");
  EXPECT_EQ(upgraded({10, "Dropout", {"x"}, {}, {"y", "mask"}}), "y, mask = dropout(x)\n");
}

TEST(Upgrade, RecurrencesTakeSequenceFirst) {
  EXPECT_EQ(
      upgraded({14, "GRU", {"x", "v", "v", "", "", "v"}, {Attr("layout", 1), Attr("hidden_size", 3)}, {"y", "last"}}),
      "transpose = transpose(x) perm=[1, 0, 2]\n"
      "transpose_1 = transpose(v) perm=[1, 0, 2]\n"
      "gru, gru_1 = gru(transpose, v, v, _, _, transpose_1) hidden_size=3\n"
      "y = transpose(gru) perm=[2, 0, 1, 3]\n"
      "last = transpose(gru_1) perm=[1, 0, 2]\n");
  EXPECT_EQ(upgraded({1, "LSTM", {"x", "v", "v"}, {Attr("output_sequence", 1), Attr("hidden_size", 3)}}),
            "y = lstm(x, v, v) hidden_size=3\n");
}

TEST(Upgrade, NamesAndDefaults) {
  EXPECT_EQ(upgraded({1, "Cast", {"x"}, {Attr("to", "INT64")}}), "y = cast(x) to=7\n");
  EXPECT_EQ(upgraded({1, "Cast", {"x"}, {Attr("to", "INT65")}}),
            "cast to unknown type 'INT65'\n  in node 'y' (Cast, opset 1)");
  EXPECT_EQ(upgraded({9, "Scatter", {"x", "k", "x"}, {Attr("axis", 1)}}), "y = scatter_elements(x, k, x) axis=1\n");
  EXPECT_EQ(upgraded({1, "Concat", {"x", "x"}, {}}), "y = concat(x, x) axis=1\n");
  EXPECT_EQ(upgraded({1, "Selu", {"x"}, {}}), "y = selu(x) alpha=1.6732 gamma=1.0507\n");
  EXPECT_EQ(upgraded({16, "GridSample", {"x", "x"}, {Attr("mode", "bicubic")}}), "y = grid_sample(x, x) mode=cubic\n");
  EXPECT_EQ(upgraded({10, "RoiAlign", {"x", "v", "k"}, {}}),
            "y = roi_align(x, v, k) coordinate_transformation_mode=output_half_pixel\n");
  EXPECT_EQ(upgraded({1, "LpPool", {"x"}, {Attr("p", 3.0)}}), "y = lp_pool(x) p=3\n");
  EXPECT_EQ(upgraded({6, "Gemm", {"x", "x", "v"}, {Attr("broadcast", 1)}}), "y = gemm(x, x, v)\n");
}

TEST(Upgrade, ExperimentalOperators) {
  EXPECT_EQ(upgraded({1, "ImageScaler", {"x"}, {Attr("scale", 2.0), Attr("bias", std::vector<float>{1, 2, 3})}}),
            "mul = mul(x, f32[]{2})\ny = add(mul, f32[3, 1, 1]{1, 2, 3})\n");
  EXPECT_EQ(upgraded({1, "Crop", {"x"}, {Attr("border", Ints{1, 2, 0, 3})}}),
            "y = slice(x, i64[2]{2, 1}, i64[2]{-3, 9223372036854775807}, i64[2]{2, 3})\n");
  EXPECT_EQ(upgraded({1, "ScaledTanh", {"x"}, {Attr("alpha", 2.0), Attr("beta", 0.5)}}),
            "mul = mul(x, f32[]{0.5})\ntanh = tanh(mul)\ny = mul(tanh, f32[]{2})\n");
}

TEST(Upgrade, QuantIsFakeQuantisation) {
  EXPECT_EQ(upgraded({1, "Quant", {"x", "v", "v", "bits"}, {Attr("signed", 1), Attr("narrow", 1)}}, "onnx.brevitas"),
            "div = div(x, v)\nadd = add(div, v)\nround = round(add)\nclip = clip(round, f32[]{-7}, f32[]{7})\n"
            "sub = sub(clip, v)\ny = mul(sub, v)\n");
  EXPECT_EQ(upgraded({1, "Quant", {"x", "v", "v", "v"}, {}}, "onnx.brevitas"),
            "one kind of node is not supported:\n  Quant of domain 'onnx.brevitas': a number of bits that is not one "
            "constant (1 node, first 'y')");
}

TEST(Upgrade, LabelEncoderReadsEitherWay) {
  std::vector<Attr> attrs = {Attr("classes_strings", std::vector<std::string>{"cat", "dog"})};
  EXPECT_EQ(upgraded({1, "LabelEncoder", {"s"}, attrs}, "ai.onnx.ml"),
            "y = label_encoder(s) default_int64=-1 keys_strings=[cat, dog] values_int64s=[0, 1]\n");
  EXPECT_EQ(upgraded({1, "LabelEncoder", {"k"}, attrs}, "ai.onnx.ml"),
            "y = label_encoder(k) default_string=_Unused keys_int64s=[0, 1] values_strings=[cat, dog]\n");
}

TEST(Upgrade, ScanWithABatchIsAScanOfScans) {
  build::Graph body;
  body.input("state").input("e").node("Add", {"state", "e"}, {"next"}).output("next").output("next");
  EXPECT_EQ(
      upgraded({8, "Scan", {"", "x", "x"}, {Attr("num_scan_inputs", 1), Attr::graph("body", body.str())}, {"y", "z"}}),
      "y, z = scan(x, x) num_scan_inputs=2\n"
      "  (element, element_1) {\n"
      "    element_2, element_3 = scan(element, element_1) num_scan_inputs=1\n"
      "      (state, e) {\n"
      "        next = add(state, e)\n"
      "      } -> next, next\n"
      "  } -> element_2, element_3\n");
}

}  // namespace
}  // namespace ingot::onnx
