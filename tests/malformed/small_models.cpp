#include "tests/malformed/small_models.h"

#include "tests/frontend/onnx_builder.h"

namespace ingot::malformed {

namespace {

using namespace onnx::build;
constexpr int kF32 = 1, kU8 = 2, kI8 = 3, kI32 = 6, kI64 = 7, kString = 8, kBool = 9;
using Ints = std::vector<int64_t>;

std::vector<float> ramp(size_t n) {
  std::vector<float> v(n);
  for (size_t k = 0; k < n; ++k) v[k] = static_cast<float>(k % 7) * 0.25f - 0.75f;
  return v;
}
std::string weights(const char* name, const Ints& dims) {
  size_t n = 1;
  for (int64_t d : dims) n *= static_cast<size_t>(d);
  return floats(name, dims, ramp(n));
}
Model at(int64_t opset) { return Model().opset(opset); }

std::string convolution() {
  auto m = at(17);
  m.graph.input("x", kF32, {"n", 2, 8, 9}).output("y").output("z");
  m.graph.initializer(weights("w", {4, 2, 3, 3})).initializer(weights("b", {4})).initializer(weights("f", {4, 3}));
  m.graph.node("Conv", {"x", "w", "b"}, {"c"}, {Attr("pads", Ints{1, 1, 1, 1}), Attr("strides", Ints{2, 1})}, "conv")
      .node("Relu", {"c"}, {"r"})
      .node("MaxPool", {"r"}, {"p"}, {Attr("kernel_shape", Ints{2, 2}), Attr("ceil_mode", 1)})
      .node("GlobalAveragePool", {"p"}, {"g"})
      .node("Flatten", {"g"}, {"flat"})
      .node("Gemm", {"flat", "f"}, {"y"}, {Attr("alpha", 0.5)})
      .node("AveragePool", {"x"}, {"z"}, {Attr("kernel_shape", Ints{3, 3}), Attr("auto_pad", "SAME_UPPER")});
  return m.str();
}

std::string transposed_convolution() {
  auto m = at(17);
  m.graph.input("x", kF32, {"n", 4, "l"}).output("y");
  m.graph.initializer(weights("w", {4, 1, 4})).initializer(weights("s", {2}));
  m.graph
      .node("ConvTranspose", {"x", "w"}, {"c"},
            {Attr("group", 2), Attr("strides", Ints{2}), Attr("pads", Ints{1, 1}), Attr("output_padding", Ints{1})})
      .node("BatchNormalization", {"c", "s", "s", "s", "s"}, {"b"})
      .node("LeakyRelu", {"b"}, {"y"}, {Attr("alpha", 0.1)});
  return m.str();
}

std::string attention() {
  auto m = at(17);
  m.graph.input("x", kF32, {"batch", "seq", 8}).output("y");
  m.graph.initializer(weights("w", {8, 8}))
      .initializer(weights("s", {8}))
      .initializer(ints("heads", {4}, {0, 0, 2, 4}));
  m.graph.initializer(ints("flat", {3}, {0, 0, -1}));
  m.graph.node("MatMul", {"x", "w"}, {"q"})
      .node("Reshape", {"q", "heads"}, {"h"})
      .node("Transpose", {"h"}, {"t"}, {Attr("perm", Ints{0, 2, 1, 3})})
      .node("Transpose", {"h"}, {"u"}, {Attr("perm", Ints{0, 2, 3, 1})})
      .node("MatMul", {"t", "u"}, {"scores"})
      .node("Softmax", {"scores"}, {"p"}, {Attr("axis", -1)})
      .node("MatMul", {"p", "t"}, {"o"})
      .node("Transpose", {"o"}, {"back"}, {Attr("perm", Ints{0, 2, 1, 3})})
      .node("Reshape", {"back", "flat"}, {"r"})
      .node("Add", {"r", "x"}, {"a"})
      .node("LayerNormalization", {"a", "s", "s"}, {"y"});
  return m.str();
}

std::string recurrent() {
  auto m = at(14);
  m.graph.input("x", kF32, {"t", 2, 3}).output("y").output("h").output("z");
  m.graph.initializer(weights("w", {2, 16, 3})).initializer(weights("r", {2, 16, 4}));
  m.graph.initializer(weights("gw", {1, 12, 3})).initializer(weights("gr", {1, 12, 4}));
  m.graph.node("LSTM", {"x", "w", "r"}, {"y", "h"}, {Attr("hidden_size", 4), Attr("direction", "bidirectional")})
      .node("GRU", {"x", "gw", "gr"}, {"z"}, {Attr("hidden_size", 4), Attr("linear_before_reset", 1)});
  return m.str();
}

std::string loop() {
  Graph body;
  body.input("i", kI64, {}).input("c", kBool, {}).input("s", kF32, {2});
  body.node("Add", {"s", "x"}, {"t"}).node("Identity", {"c"}, {"c2"}).node("Mul", {"t", "t"}, {"scan"});
  body.output("c2").output("t").output("scan");
  auto m = at(16);
  m.graph.input("x", kF32, {2}).input("k", kI64, {}).output("y").output("all");
  m.graph.node("Loop", {"k", "", "x"}, {"y", "all"}, {Attr::graph("body", body.str())}, "loop");
  return m.str();
}

std::string branch() {
  Graph yes, no;
  yes.node("Neg", {"x"}, {"a"}).output("a");
  no.node("Concat", {"x", "x"}, {"b"}, {Attr("axis", 0)}).output("b");
  auto m = at(16);
  m.graph.input("x", kF32, {"n"}).output("y");
  m.graph.initializer(floats("zero", {}, {0}));
  m.graph.node("ReduceSum", {"x"}, {"s"}, {Attr("keepdims", 0)})
      .node("Less", {"s", "zero"}, {"c"})
      .node("If", {"c"}, {"y"}, {Attr::graph("then_branch", yes.str()), Attr::graph("else_branch", no.str())}, "if");
  return m.str();
}

std::string scan() {
  Graph body;
  body.input("s", kF32, {3}).input("e", kF32, {3});
  body.node("Add", {"s", "e"}, {"t"}).node("Identity", {"t"}, {"o"}).output("t").output("o");
  auto m = at(16);
  m.graph.input("s0", kF32, {3}).input("x", kF32, {5, 3}).output("last").output("all");
  m.graph.node("Scan", {"s0", "x"}, {"last", "all"}, {Attr::graph("body", body.str()), Attr("num_scan_inputs", 1)});
  return m.str();
}

std::string quantized() {
  auto m = at(17);
  m.graph.input("x", kF32, {1, 4, 5, 5}).output("y");
  m.graph.initializer(floats("s", {}, {0.1f})).initializer(tensor("z", kU8, {}, "\x07"));
  m.graph.initializer(floats("ws", {}, {0.02f})).initializer(tensor("wz", kI8, {}, std::string(1, '\0')));
  m.graph.initializer(tensor("w", kI8, {2, 4, 1, 1}, "\x01\x02\x7f\x80\xff\x05\x10\x20"));
  m.graph.initializer(tensor("b", kI32, {2}, std::string("\x01\0\0\0\xff\xff\xff\xff", 8)));
  m.graph.node("QuantizeLinear", {"x", "s", "z"}, {"q"})
      .node("QLinearConv", {"q", "s", "z", "w", "ws", "wz", "s", "z", "b"}, {"c"})
      .node("DequantizeLinear", {"c", "s", "z"}, {"y"});
  return m.str();
}

std::string resized() {
  auto m = at(18);
  m.graph.input("x", kF32, {1, 1, "h", "w"}).output("y");
  m.graph.initializer(floats("scales", {4}, {1, 1, 2, 1.5f})).initializer(ints("pads", {8}, {0, 0, 1, 0, 0, 0, -1, 2}));
  m.graph.initializer(ints("from", {2}, {1, -1})).initializer(ints("to", {2}, {100, -100}));
  m.graph.initializer(ints("axes", {2}, {2, 3})).initializer(ints("step", {2}, {2, -1}));
  m.graph.node("Resize", {"x", "", "scales"}, {"r"}, {Attr("mode", "linear")})
      .node("Pad", {"r", "pads"}, {"p"}, {Attr("mode", "reflect")})
      .node("Slice", {"p", "from", "to", "axes", "step"}, {"s"})
      .node("Concat", {"s", "s"}, {"y"}, {Attr("axis", 1)});
  return m.str();
}

std::string selected() {
  auto m = at(17);
  m.graph.input("x", kF32, {4, "n"}).input("i", kI64, {3}).output("y").output("where").output("u").output("g");
  m.graph.initializer(ints("k", {1}, {2}));
  m.graph.node("TopK", {"x", "k"}, {"v", "vi"}, {Attr("axis", 0)})
      .node("GatherElements", {"x", "vi"}, {"y"})
      .node("NonZero", {"x"}, {"where"})
      .node("Unique", {"i"}, {"u"})
      .node("Gather", {"x", "i"}, {"g"}, {Attr("axis", 0)});
  return m.str();
}

std::string shapes() {
  auto m = at(17);
  m.graph.input("x", kF32, {"a", "b"}).output("y").output("r").output("e");
  m.graph.initializer(ints("zero", {}, {0})).initializer(ints("one", {}, {1})).initializer(ints("rep", {2}, {2, 1}));
  m.graph.node("Shape", {"x"}, {"s"})
      .node("Gather", {"s", "zero"}, {"n"})
      .node("Range", {"zero", "n", "one"}, {"r"})
      .node("ConstantOfShape", {"s"}, {"c"})
      .node("Tile", {"x", "rep"}, {"t"})
      .node("Concat", {"t", "c"}, {"y"}, {Attr("axis", 0)})
      .node("Unsqueeze", {"x", "rep0"}, {"q"})
      .node("Expand", {"q", "big"}, {"e"});
  m.graph.initializer(ints("rep0", {1}, {0})).initializer(ints("big", {3}, {3, 1, 1}));
  return m.str();
}

std::string einsum() {
  auto m = at(17);
  m.graph.input("x", kF32, {2, "i", 4}).input("w", kF32, {2, 4, 3}).output("y").output("z");
  m.graph.node("Einsum", {"x", "w"}, {"e"}, {Attr("equation", "bik,bkj->bij")})
      .node("ReduceMax", {"e"}, {"y"}, {Attr("axes", Ints{1}), Attr("keepdims", 0)})
      .node("Cast", {"e"}, {"h"}, {Attr("to", 10)})
      .node("CumSum", {"h", "axis"}, {"z"});
  m.graph.initializer(ints("axis", {}, {1}));
  return m.str();
}

std::string texts() {
  auto m = at(17).opset(3, "ai.onnx.ml");
  m.graph.input("x", kString, {3}).output("y").output("z");
  m.graph.node("StringNormalizer", {"x"}, {"y"}, {Attr("case_change_action", "LOWER")})
      .node("LabelEncoder", {"x"}, {"z"},
            {Attr("keys_strings", std::vector<std::string>{"a", "b"}), Attr("values_int64s", Ints{1, 2})}, "",
            "ai.onnx.ml");
  return m.str();
}

std::string trees() {
  auto m = at(17).opset(3, "ai.onnx.ml");
  m.graph.input("x", kF32, {"n", 2}).output("y");
  m.graph.node("TreeEnsembleRegressor", {"x"}, {"y"},
               {Attr("n_targets", 1), Attr("nodes_featureids", Ints{0, 0, 1, 0, 0}),
                Attr("nodes_values", std::vector<float>{0.5f, 0, 0.25f, 0, 0}),
                Attr("nodes_modes", std::vector<std::string>{"BRANCH_LEQ", "LEAF", "BRANCH_LT", "LEAF", "LEAF"}),
                Attr("nodes_nodeids", Ints{0, 1, 2, 3, 4}), Attr("nodes_treeids", Ints{0, 0, 0, 0, 0}),
                Attr("nodes_truenodeids", Ints{1, 0, 3, 0, 0}), Attr("nodes_falsenodeids", Ints{2, 0, 4, 0, 0}),
                Attr("target_ids", Ints{0, 0, 0}), Attr("target_nodeids", Ints{1, 3, 4}),
                Attr("target_treeids", Ints{0, 0, 0}), Attr("target_weights", std::vector<float>{1, 2, 3})},
               "", "ai.onnx.ml");
  return m.str();
}

std::string sequences() {
  auto m = at(17);
  m.graph.input("x", kF32, {6, 2}).output("y").output("z");
  m.graph.initializer(ints("two", {}, {2})).initializer(ints("at", {}, {-1}));
  m.graph.node("SplitToSequence", {"x", "two"}, {"s"}, {Attr("axis", 0)})
      .node("SequenceAt", {"s", "at"}, {"y"})
      .node("SequenceInsert", {"s", "y"}, {"t"})
      .node("ConcatFromSequence", {"t"}, {"z"}, {Attr("axis", 1)});
  return m.str();
}

std::string function() {
  Function f;
  f.domain = "f", f.name = "F", f.inputs = {"a"}, f.outputs = {"b"}, f.attributes = {"alpha"};
  f.nodes = {node("LeakyRelu", {"a"}, {"c"}, {Attr::reference("alpha", "alpha", 1)}), node("Exp", {"c"}, {"b"})};
  auto m = at(17).opset(1, "f").function(f);
  m.graph.input("x", kF32, {"n"}).output("y");
  m.graph.node("F", {"x"}, {"y"}, {Attr("alpha", 0.3)}, "call", "f");
  return m.str();
}

std::string boxes() {
  auto m = at(17);
  m.graph.input("boxes", kF32, {1, "n", 4}).input("scores", kF32, {1, 2, "n"}).output("y");
  m.graph.initializer(ints("most", {1}, {3})).initializer(floats("iou", {1}, {0.5f}));
  m.graph.node("NonMaxSuppression", {"boxes", "scores", "most", "iou"}, {"y"});
  return m.str();
}

std::string scattered() {
  auto m = at(17);
  m.graph.input("x", kF32, {4, 3}).input("i", kI64, {2, 1}).input("u", kF32, {2, 3}).output("y").output("o");
  m.graph.initializer(ints("depth", {}, {5})).initializer(ints("values", {2}, {0, 1}));
  m.graph.node("ScatterND", {"x", "i", "u"}, {"y"}, {Attr("reduction", "add")})
      .node("OneHot", {"i", "depth", "values"}, {"o"});
  return m.str();
}

}  // namespace

std::vector<SmallModel> small_models() {
  return {
      {"convolution", convolution()},
      {"transposed_convolution", transposed_convolution()},
      {"attention", attention()},
      {"recurrent", recurrent()},
      {"loop", loop()},
      {"branch", branch()},
      {"scan", scan()},
      {"quantized", quantized()},
      {"resized", resized()},
      {"selected", selected()},
      {"shapes", shapes()},
      {"einsum", einsum()},
      {"texts", texts()},
      {"trees", trees()},
      {"sequences", sequences()},
      {"function", function()},
      {"boxes", boxes()},
      {"scattered", scattered()},
  };
}

}  // namespace ingot::malformed
