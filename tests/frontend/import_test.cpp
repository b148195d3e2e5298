#include "frontend/onnx/import.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "frontend/onnx/input_types.h"
#include "frontend/onnx/names.h"
#include "frontend/onnx/operators.h"
#include "tests/frontend/graph_summary.h"
#include "tests/frontend/onnx_builder.h"

namespace ingot::onnx {
namespace {

using build::Attr;
constexpr int kF32 = 1, kI64 = 7, kBool = 9;

Result<Graph> import(const build::Model& m, ImportOptions options = accept_all()) {
  static std::vector<std::unique_ptr<std::string>> kept;  // constants may point into the bytes
  kept.push_back(std::make_unique<std::string>(m.str()));
  return import_onnx(build::bytes_of(*kept.back()), nullptr, options);
}

TEST(Names, SnakeCase) {
  const std::pair<const char*, const char*> cases[] = {
      {"Conv", "conv"},
      {"MatMul", "mat_mul"},
      {"LSTM", "lstm"},
      {"QLinearConv", "qlinear_conv"},
      {"PRelu", "prelu"},
      {"ReduceL2", "reduce_l2"},
      {"MatMulNBits", "mat_mul_nbits"},
      {"TfIdfVectorizer", "tf_idf_vectorizer"},
      {"DFT", "dft"},
      {"GatherND", "gather_nd"},
      {"RMSNormalization", "rms_normalization"},
      {"IsNaN", "is_nan"},
      {"TopK", "top_k"},
      {"Col2Im", "col2im"},
      {"SVMClassifier", "svm_classifier"},
      {"LpPool", "lp_pool"},
      {"SwiGLU", "swiglu"},
      {"LRN", "lrn"},
      {"BitwiseAnd", "bitwise_and"},
      {"NonMaxSuppression", "non_max_suppression"},
  };
  for (auto [onnx, op] : cases) EXPECT_EQ(snake_case(onnx), op);
  EXPECT_EQ(find_operator("com.microsoft", "Attention")->op, "ms_attention");
  EXPECT_EQ(find_operator("com.microsoft", "FusedMatMul")->op, "fused_mat_mul");
  EXPECT_EQ(find_operator("", "Attention")->op, "attention");
}

TEST(Import, NodesConstantsAndNames) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {1, 4}).output("y");
  m.graph.initializer(build::floats("w", {4}, {1, 2, 3, 4}));
  m.graph.node("Add", {"x", "w"}, {"t"}, {}, "first").node("Relu", {"t"}, {"y"});
  auto g = import(m);
  EXPECT_EQ(summary(g), "t = add(x, f32[4]{1, 2, 3, 4})\ny = relu(t)\n");
  EXPECT_EQ(g->body.nodes[0]->name, "first");
  EXPECT_EQ(g->body.nodes[0]->source, "Add, opset 17");
  EXPECT_EQ(g->body.nodes[1]->name, "y") << "a node without a name goes by its output";
  EXPECT_EQ(g->body.inputs[0]->type.str(), "f32[1, 4]");
}

TEST(Import, NodesOutOfOrderAreSorted) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {1}).output("y");
  m.graph.node("Relu", {"t"}, {"y"}).node("Neg", {"x"}, {"t"});
  EXPECT_EQ(summary(import(m)), "t = neg(x)\ny = relu(t)\n");
}

TEST(Import, ConstantNodesOfEveryKind) {
  auto m = build::Model().opset(17);
  FieldWriter sparse;
  sparse.bytes(1, std::string_view(build::floats("", {1}, {9})));
  sparse.bytes(2, std::string_view(build::ints("", {1}, {2})));
  sparse.varint(3, 3);
  m.graph.node("Constant", {}, {"a"}, {Attr::tensor("value", build::floats("", {1}, {1.5f}))})
      .node("Constant", {}, {"b"}, {Attr("value_int", 3)})
      .node("Constant", {}, {"c"}, {Attr("value_ints", std::vector<int64_t>{1, 2})})
      .node("Constant", {}, {"d"}, {Attr("value_float", 0.5)})
      .node("Constant", {}, {"e"}, {Attr("value_floats", std::vector<float>{1, 2})})
      .node("Constant", {}, {"f"}, {Attr("value_string", "hi")})
      .node("Constant", {}, {"g"}, {Attr("value_strings", std::vector<std::string>{"p", "q"})})
      .node("Constant", {}, {"h"}, {Attr::message("sparse_value", 22, sparse.data())})
      .node("Concat", {"a", "b", "c", "d", "e", "f", "g", "h"}, {"y"}, {Attr("axis", 0)})
      .output("y");
  EXPECT_EQ(summary(import(m)),
            "y = concat(f32[1]{1.5}, i64[]{3}, i64[2]{1, 2}, f32[]{0.5}, f32[2]{1, 2}, string[]{hi}, string[2]{p, q}, "
            "f32[3]{0, 0, 9}) axis=0\n");
}

TEST(Import, UnreadOutputsAreNull) {
  auto m = build::Model().opset(18);
  m.graph.input("x", kF32, {4}).output("a");
  m.graph.node("Split", {"x"}, {"a", "b", "c", ""}, {Attr("num_outputs", 4)});
  EXPECT_EQ(summary(import(m)), "a, _, _ = split(x) num_outputs=4\n");
}

TEST(Import, AbsentInputsAreNull) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {4}).input("hi", kF32, {}).output("y");
  m.graph.node("Clip", {"x", "", "hi"}, {"y"});
  EXPECT_EQ(summary(import(m)), "y = clip(x, _, hi)\n");
}

TEST(Import, InitializersThatAreInputs) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {1}).input("w", kF32, {1}).output("y").initializer(build::floats("w", {1}, {2}));
  m.graph.node("Mul", {"x", "w"}, {"y"});
  auto g = import(m);
  EXPECT_EQ(summary(g), "y = mul(x, w)\n");
  ASSERT_EQ(g->body.inputs.size(), 2u);
  EXPECT_FALSE(may_stay_unset(*g->body.inputs[0]));
  EXPECT_TRUE(may_stay_unset(*g->body.inputs[1]));
  EXPECT_EQ(summary(*g->body.inputs[1]->fallback), "f32[1]{2}");
  ImportOptions options = accept_all();
  options.listed = ListedInitializers::Constants;
  g = import(m, options);
  EXPECT_EQ(summary(g), "y = mul(x, f32[1]{2})\n");
  EXPECT_EQ(g->body.inputs.size(), 1u);
  // IR version 3 had to list all initializers.
  g = import(m.ir_version(3));
  EXPECT_EQ(summary(g), "y = mul(x, f32[1]{2})\n");
}

// All are listed, and they are large: an exporter's habit. One that is not listed shows that the list is meant.
TEST(Import, LargeInitializersThatAreAllInputsAreConstants) {
  constexpr int64_t kCount = kListedByHabitBytes / 4 + 1;
  for (bool all : {true, false}) {
    auto m = build::Model().opset(17);
    m.graph.input("x", kF32, {1}).input("w", kF32, {kCount}).output("y");
    m.graph.initializer(build::floats("w", {kCount}, std::vector<float>(kCount, 1)));
    if (all) m.graph.input("b", kF32, {1});
    m.graph.initializer(build::floats("b", {1}, {1}));
    m.graph.node("Mul", {"x", "w"}, {"t"}).node("Mul", {"t", "b"}, {"y"});
    auto g = import(m);
    ASSERT_TRUE(g) << g.error().message;
    EXPECT_EQ(g->body.inputs.size(), all ? 1u : 2u);
  }
}

// The rewrite of Tile-1 needs constants: none stays an input. Without it, both do.
TEST(Import, ListedInitializersThatOperatorsNeedAreConstants) {
  for (bool tile : {true, false}) {
    auto m = build::Model().opset(5);
    m.graph.input("x", kF32, {2, 3}).input("tiles", kF32, {}).input("axis", kF32, {}).output("y");
    m.graph.initializer(build::floats("tiles", {}, {2})).initializer(build::floats("axis", {}, {1}));
    if (tile) m.graph.node("Tile", {"x", "tiles", "axis"}, {"y"});
    else m.graph.node("Sum", {"x", "x"}, {"y"});
    auto g = import(m, {});
    ASSERT_TRUE(g) << g.error().message;
    EXPECT_EQ(g->body.inputs.size(), tile ? 1u : 3u);
  }
}

TEST(Import, ListedInitializersFitTheirInputs) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {1}).input("w", kF32, {3}).output("y").initializer(build::floats("w", {2}, {2, 3}));
  m.graph.node("Mul", {"x", "w"}, {"y"});
  EXPECT_EQ(summary(import(m)), "initializer 'w' is f32[2], expected f32[3] as the input of its name");
}

TEST(Import, DimsWithOneNameAreOneSymbol) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {"batch", 3, ""})
      .input("z", kF32, {"batch", "past", "past + 1", "2*(past+batch)//4"})
      .output("y");
  m.graph.node("Foo", {"x", "z"}, {"y"});
  auto g = import(m);
  ASSERT_TRUE(g) << g.error().message;
  const auto &x = g->body.inputs[0]->type.tensor.dims, &z = g->body.inputs[1]->type.tensor.dims;
  EXPECT_EQ(x[0], z[0]);
  EXPECT_EQ(x[0].str(), "batch");
  EXPECT_EQ(x[2].str(), "x_2");
  EXPECT_EQ(z[2], z[1] + 1);
  EXPECT_EQ(z[3], floordiv((z[1] + z[0]) * 2, 4));
}

// An expression of a name that no input gives alone cannot be solved: it is a name of its own.
TEST(Import, ExpressionsOfUnknownNamesAreNames) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {"past + 1"}).output("y").node("Foo", {"x"}, {"y"});
  auto g = import(m);
  ASSERT_TRUE(g);
  auto symbol = g->body.inputs[0]->type.tensor.dims[0].as_symbol();
  ASSERT_TRUE(symbol);
  EXPECT_EQ((*symbol)->name, "past + 1");
}

TEST(Import, DimsCanBeFixed) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {"batch", "batch + 1", ""}).output("y").node("Foo", {"x"}, {"y"});
  ImportOptions options = accept_all();
  options.dims = {{"batch", 4}, {"x_2", 7}};
  auto g = import(m, options);
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->body.inputs[0]->type.str(), "f32[4, 5, 7]");
  options.dims = {{"bach", 4}};
  EXPECT_EQ(summary(import(m, options)), "no extent of the inputs is named 'bach'; got x_2, batch");
}

TEST(Import, DimExpressions) {
  struct Scope : DimScope {
    std::optional<Dim> dim(std::string_view n) override { return n == "n" ? std::optional<Dim>(12) : std::nullopt; }
  } scope;
  auto parse = [&](const char* text) { return parse_dim_expression(text, scope); };
  EXPECT_EQ(parse("n - 2*3")->value(), 6);
  EXPECT_EQ(parse("(n + 1)//2")->value(), 6);
  for (const char* bad : {"", "n +", "m", "n/2", "n // 0", "(n", "n)", "99999999999999999999", "n n", "floor(n)"})
    EXPECT_FALSE(parse(bad)) << bad;
  EXPECT_FALSE(parse((std::string(100, '(') + "n" + std::string(90, ')')).c_str()));
}

TEST(Import, InputsWithoutShapeNeedOne) {
  auto m = build::Model().opset(17);
  m.graph.input("x", build::tensor_type(kF32, {}, false)).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_EQ(summary(import(m)), "input 'x' has no shape; give it one");
  ImportOptions options = accept_all();
  options.input_types = {{"x", Type::of({DType::F32, {2, 3}})}};
  auto g = import(m, options);
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->body.inputs[0]->type.str(), "f32[2, 3]");
  std::string bytes = m.str();
  auto s = summarize_onnx(build::bytes_of(bytes));
  ASSERT_TRUE(s);
  EXPECT_FALSE(s->inputs[0].has_shape);
  EXPECT_TRUE(s->inputs[0].type.is_tensor());
}

TEST(Import, SequencesAndOptionals) {
  auto m = build::Model().opset(17);
  std::string t = build::tensor_type(kF32, {"n"});
  m.graph.input("s", build::wrapped_type(4, t))
      .input("o", build::wrapped_type(9, build::wrapped_type(4, t)))
      .output("y");
  m.graph.node("Foo", {"s", "o"}, {"y"});
  auto g = import(m);
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->body.inputs[0]->type.kind, Type::Kind::Sequence);
  EXPECT_EQ(g->body.inputs[1]->type.element->kind, Type::Kind::Sequence);
}

TEST(Import, BodiesCaptureAndShadow) {
  build::Graph then_branch, else_branch;
  then_branch.node("Add", {"x", "t"}, {"r"}).output("r");
  else_branch.node("Neg", {"x"}, {"t"}).node("Relu", {"t"}, {"r"}).output("r");
  auto m = build::Model().opset(17);
  m.graph.input("c", kBool, {}).input("x", kF32, {1}).output("y");
  // The If stands before the node whose result its branch captures.
  m.graph.node("If", {"c"}, {"y"},
               {Attr::graph("then_branch", then_branch.str()), Attr::graph("else_branch", else_branch.str())});
  m.graph.node("Abs", {"x"}, {"t"});
  EXPECT_EQ(summary(import(m)),
            "t = abs(x)\n"
            "y = if(c)\n"
            "  () {\n    r = add(x, t)\n  } -> r\n"
            "  () {\n    t_1 = neg(x)\n    r_1 = relu(t_1)\n  } -> r_1\n");
}

TEST(Import, LoopBody) {
  build::Graph body;
  body.input("i").input("go").input("s");
  body.node("Add", {"s", "x"}, {"s2"}).output("go").output("s2").output("s2");
  auto m = build::Model().opset(17);
  m.graph.input("n", kI64, {}).input("x", kF32, {1}).output("last").output("all");
  m.graph.node("Loop", {"n", "", "x"}, {"last", "all"}, {Attr::graph("body", body.str())});
  EXPECT_EQ(summary(import(m)), "last, all = loop(n, _, x)\n  (i, go, s) {\n    s2 = add(s, x)\n  } -> go, s2, s2\n");
}

// The iteration is a scalar; a body that declares it as [1] gets it so.
TEST(Import, LoopBodyWithVectors) {
  build::Graph body;
  body.input("i", kI64, {1}).input("go", kBool, {});
  body.node("Neg", {"i"}, {"s"}).output("go").output("s");
  auto m = build::Model().opset(9);
  m.graph.input("n", kI64, {}).output("all");
  m.graph.node("Loop", {"n", ""}, {"all"}, {Attr::graph("body", body.str())});
  EXPECT_EQ(summary(import(m)),
            "all = loop(n)\n  (i, go) {\n    i_1 = unsqueeze(i, i64[1]{0})\n    s = neg(i_1)\n  } -> go, s\n");
}

build::Function leaky() {
  build::Function f;
  f.domain = "my", f.name = "Leaky", f.inputs = {"a", "b"}, f.outputs = {"r"}, f.attributes = {"slope"};
  f.nodes = {build::node("LeakyRelu", {"a"}, {"t"}, {Attr::reference("alpha", "slope", 1)}),
             build::node("Clip", {"t", "b"}, {"r"})};
  return f;
}

TEST(Import, FunctionsAreExpanded) {
  auto m = build::Model().opset(17).opset(1, "my").function(leaky());
  m.graph.input("x", kF32, {1}).output("y");
  m.graph.node("Leaky", {"x"}, {"u"}, {Attr("slope", 0.25)}, "one", "my")
      .node("Leaky", {"u", "x"}, {"y"}, {}, "two", "my");
  auto g = import(m);
  EXPECT_EQ(summary(g),
            "one/t = leaky_relu(x) alpha=0.25\n"
            "u = clip(one/t)\n"
            "two/t = leaky_relu(u)\n"
            "y = clip(two/t, x)\n");
  EXPECT_EQ(g->body.nodes[0]->name, "one/t");
}

TEST(Import, FunctionDefaultsAndPassThrough) {
  build::Function f = leaky();
  f.attributes = {};
  f.defaults = {Attr("slope", 0.5).writer().data()};
  f.outputs = {"r", "a"};
  auto m = build::Model().opset(17).opset(1, "my").function(f);
  m.graph.input("x", kF32, {1}).output("y").output("same");
  m.graph.node("Leaky", {"x"}, {"y", "same"}, {}, "one", "my");
  EXPECT_EQ(summary(import(m)), "one/t = leaky_relu(x) alpha=0.5\ny = clip(one/t)\nsame = identity(x)\n");
}

TEST(Import, OverloadsAreToldApart) {
  build::Function f = leaky(), g = leaky();
  g.nodes = {build::node("Neg", {"a"}, {"r"})};
  FieldWriter overloaded(g.str()), call(build::node("Leaky", {"x"}, {"y"}, {}, "", "my"));
  overloaded.bytes(13, std::string_view("negative"));
  call.bytes(8, std::string_view("negative"));
  auto m = build::Model().opset(17).opset(1, "my").function(f);
  FieldWriter model(m.str()), graph;
  model.message(25, overloaded);
  m.graph.input("x", kF32, {1}).output("y").add(1, call.data());
  model.bytes(7, std::string_view(m.graph.str()));
  std::string bytes = model.data();
  EXPECT_EQ(summary(import_onnx(build::bytes_of(bytes), nullptr, accept_all())), "y = neg(x)\n");
}

TEST(Import, OneReportForAllThatIsUnsupported) {
  auto m = build::Model().opset(17).opset(1, "acme");
  m.graph.input("x", kF32, {1}).output("y");
  m.graph.node("Relu", {"x"}, {"a"}).node("Frob", {"a"}, {"b"}, {}, "n1").node("Frob", {"b"}, {"c"}, {}, "n2");
  m.graph.node("Thing", {"c"}, {"d"}, {}, "n3", "acme").node("Softmax", {"d"}, {"y"}, {Attr("frobnicate", 1)}, "n4");
  ImportOptions options;
  options.find_op = [](std::string_view name) -> const OpDef* {
    static const OpDef relu{"relu", 1, 1, "", nullptr, nullptr}, softmax{"softmax", 1, 1, "axis", nullptr, nullptr};
    return name == "relu" ? &relu : name == "softmax" ? &softmax : nullptr;
  };
  auto g = import(m, options);
  ASSERT_FALSE(g);
  EXPECT_EQ(g.error().kind, ErrorKind::Unsupported);
  EXPECT_EQ(g.error().message,
            "3 kinds of node are not supported:\n"
            "  Frob: there is no operator 'frob' (2 nodes, first 'n1')\n"
            "  Thing of domain 'acme': unknown domain (1 node, first 'n3')\n"
            "  Softmax: attribute 'frobnicate' is not known, expected one of: axis (1 node, first 'n4')");
}

TEST(Import, ErrorsNameNodeAndFile) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {1}).output("y").node("Relu", {"x", "z"}, {"y"}, {}, "r1");
  EXPECT_EQ(summary(import(m)), "input 'z' is not defined\n  in node 'r1' (Relu, opset 17)");

  std::string folder = (std::filesystem::temp_directory_path() / "ingot_import_XXXXXX").string();
  ASSERT_TRUE(mkdtemp(folder.data()));
  std::ofstream(folder + "/m.onnx", std::ios::binary) << m.str();
  auto g = import_onnx_file(folder + "/m.onnx", accept_all());
  EXPECT_EQ(summary(g), "input 'z' is not defined\n  in node 'r1' (Relu, opset 17)\n  in " + folder + "/m.onnx");
  g = import_onnx_file(folder + "/none.onnx", accept_all());
  EXPECT_NE(summary(g).find("No such file"), std::string::npos);

  // External data is found beside the model.
  auto e = build::Model().opset(17);
  e.graph.input("x", kF32, {1}).output("y").node("Add", {"x", "w"}, {"y"});
  e.graph.initializer(build::external("w", kF32, {1}, {{"location", "w.bin"}}));
  std::ofstream(folder + "/e.onnx", std::ios::binary) << e.str();
  std::ofstream(folder + "/w.bin", std::ios::binary) << build::raw<float>({2.5f});
  EXPECT_EQ(summary(import_onnx_file(folder + "/e.onnx", accept_all())), "y = add(x, f32[1]{2.5})\n");
  EXPECT_EQ(summary(import(e)), "external data 'w.bin': the model was not read from a file\n  in initializer 'w'");
  std::filesystem::remove_all(folder);
}

TEST(Import, ArityIsChecked) {
  auto m = build::Model().opset(17);
  m.graph.input("x", kF32, {1}).output("y").node("Relu", {"x", "x"}, {"y"}, {}, "r");
  ImportOptions options;
  options.find_op = [](std::string_view) -> const OpDef* {
    static const OpDef relu{"relu", 1, 1, "", nullptr, nullptr};
    return &relu;
  };
  EXPECT_EQ(summary(import(m, options)), "got 2 inputs, expected 1\n  in node 'r' (Relu, opset 17)");
}

// Absent inputs at the end are left out, but for those that the operator must be given.
TEST(Import, RequiredInputsStayWhenAbsent) {
  build::Graph body;
  body.input("i").input("go").node("Neg", {"i"}, {"s"}).output("go").output("s");
  auto m = build::Model().opset(17);
  m.graph.input("n", kI64, {}).output("all").node("Loop", {"n", ""}, {"all"}, {Attr::graph("body", body.str())});
  ImportOptions options;
  options.find_op = [](std::string_view name) -> const OpDef* {
    static const OpDef loop{"loop", 2, -1, "", nullptr, nullptr};
    return name == "loop" ? &loop : any_op(name);
  };
  auto g = import(m, options);
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(names(g->body.nodes[0]->inputs), "n, _");
}

TEST(Import, OperatorSetsOutOfRange) {
  auto m = build::Model().opset(29);
  m.graph.input("x", kF32, {1}).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_EQ(summary(import(m)),
            "one kind of node is not supported:\n  Relu: operator set 29, expected 1 to 28 (1 node, first 'y')");
}

}  // namespace
}  // namespace ingot::onnx
