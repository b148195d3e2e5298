#include "tests/malformed/models.h"

#include "tests/frontend/onnx_builder.h"

namespace ingot::malformed {

namespace {

using namespace ingot::onnx::build;
using onnx::FieldWriter;
constexpr int kF32 = 1, kI64 = 7;

// x: f32[4] -> y
onnx::build::Model base(int64_t opset = 17) {
  auto m = onnx::build::Model().opset(opset);
  m.graph.input("x", kF32, {4}).output("y");
  return m;
}

Model cycle() {
  auto m = base();
  m.graph.node("Add", {"x", "b"}, {"a"}, {}, "first")
      .node("Relu", {"a"}, {"b"}, {}, "second")
      .node("Neg", {"a"}, {"y"}, {}, "third");
  return {"cycle", m.str(), Stage::Import,
          "the graph has a cycle: 3 nodes wait for each other, among them 'first' (Add), 'second' (Relu)"};
}

Model self_cycle() {
  auto m = base();
  m.graph.node("Relu", {"y"}, {"y"}, {}, "r");
  return {"self_cycle", m.str(), Stage::Import,
          "the graph has a cycle: 1 nodes wait for each other, among them 'r' (Relu)"};
}

// A branch that reads what depends on the If itself.
Model cycle_through_branch() {
  Graph branch;
  branch.node("Relu", {"z"}, {"r"}).output("r");
  auto m = base();
  m.graph.input("c", 9, {});
  m.graph.node("If", {"c"}, {"y"}, {Attr::graph("then_branch", branch.str()), Attr::graph("else_branch", branch.str())},
               "if");
  m.graph.node("Neg", {"y"}, {"z"}, {}, "neg");
  return {"cycle_through_branch", m.str(), Stage::Import, "the graph has a cycle"};
}

Model defined_twice() {
  auto m = base();
  m.graph.node("Relu", {"x"}, {"y"}).node("Neg", {"x"}, {"y"}, {}, "n");
  return {"defined_twice", m.str(), Stage::Import, "value 'y' is defined twice\n  in node 'n' (Neg, opset 17)"};
}

Model input_redefined() {
  auto m = base();
  m.graph.node("Relu", {"x"}, {"x"}).node("Neg", {"x"}, {"y"});
  return {"input_redefined", m.str(), Stage::Import, "the graph has a cycle"};
}

Model initializer_redefined() {
  auto m = base();
  m.graph.initializer(floats("w", {1}, {1})).initializer(floats("w", {1}, {2})).node("Add", {"x", "w"}, {"y"});
  return {"initializer_redefined", m.str(), Stage::Import, "value 'w' is defined twice"};
}

Model input_missing() {
  auto m = base();
  m.graph.node("Add", {"x", "nowhere"}, {"y"}, {}, "add");
  return {"input_missing", m.str(), Stage::Import, "input 'nowhere' is not defined\n  in node 'add' (Add, opset 17)"};
}

Model output_missing() {
  auto m = base();
  m.graph.node("Relu", {"x"}, {"z"});
  return {"output_missing", m.str(), Stage::Import, "output 'y' is not defined by any node"};
}

Model no_graph() {
  FieldWriter w;
  w.varint(1, 8);
  return {"no_graph", w.take(), Stage::Import, "the model has no graph"};
}

Model no_opset() {
  onnx::build::Model m;
  m.graph.input("x", kF32, {4}).output("y").node("Relu", {"x"}, {"y"});
  return {"no_opset", m.str(), Stage::Import, "the model imports no operator set of ai.onnx"};
}

// --- the bytes

Model truncated() {
  auto m = base();
  m.graph.node("Relu", {"x"}, {"y"});
  std::string bytes = m.str();
  return {"truncated", bytes.substr(0, bytes.size() - 3), Stage::Import, "length past the end of the message"};
}

Model lying_length() {
  std::string bytes = "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f";  // graph, 2^63 - 1 bytes
  return {"lying_length", bytes, Stage::Import,
          "length past the end of the message at byte 0 of a message of 10 bytes"};
}

Model not_onnx() {
  return {"not_onnx", "\x89PNG\r\n\x1a\n and so on", Stage::Import, "while reading the bytes of an ONNX model"};
}

Model wrong_wire_type() {
  FieldWriter w;
  w.varint(7, 1);
  return {"wrong_wire_type", w.take(), Stage::Import, "field 7 has wire type varint, expected bytes"};
}

Model deep_nesting() {
  std::string branch;
  for (int i = 0; i < 60; ++i) {
    Graph g;
    if (branch.empty()) {
      g.node("Relu", {"x"}, {"r"});
    } else {
      g.node("If", {"c"}, {"r"}, {Attr::graph("then_branch", branch), Attr::graph("else_branch", branch.substr(0, 0))});
    }
    g.output("r");
    branch = g.str();
  }
  auto m = base();
  m.graph.input("c", 9, {})
      .node("If", {"c"}, {"y"}, {Attr::graph("then_branch", branch), Attr::graph("else_branch", "")});
  return {"deep_nesting", m.str(), Stage::Import, "messages nested deeper than 100"};
}

// --- tensors

Model with_weight(std::string name, std::string tensor, std::string message,
                  std::vector<std::pair<std::string, std::string>> files = {}) {
  auto m = base();
  m.graph.initializer(tensor).node("Add", {"x", "w"}, {"y"});
  return {std::move(name), m.str(), Stage::Import, message + "\n  in initializer 'w'", std::move(files)};
}

Model unknown_input_type() {
  auto m = onnx::build::Model().opset(17);
  m.graph.input("x", 99, {4}).output("y").node("Relu", {"x"}, {"y"});
  return {"unknown_input_type", m.str(), Stage::Import, "input 'x' has unknown element type 99"};
}

// --- functions

Function calls(const char* name, const char* callee) {
  Function f;
  f.domain = "f", f.name = name, f.inputs = {"a"}, f.outputs = {"b"};
  f.nodes = {node(callee, {"a"}, {"b"}, {}, "", "f")};
  return f;
}

Model recursion() {
  auto m = base().opset(1, "f").function(calls("F", "G")).function(calls("G", "F"));
  m.graph.node("F", {"x"}, {"y"}, {}, "", "f");
  return {"recursion", m.str(), Stage::Import, "function 'F' calls itself: F -> G -> F"};
}

// 40 functions, each of which calls the next twice: 2^40 nodes.
Model explosion() {
  auto m = base().opset(1, "f");
  for (int i = 0; i < 40; ++i) {
    Function f = calls(("F" + std::to_string(i)).c_str(), "");
    std::string next = "F" + std::to_string(i + 1);
    f.nodes = i == 39 ? std::vector<std::string>{node("Relu", {"a"}, {"b"})}
                      : std::vector<std::string>{node(next, {"a"}, {"t"}, {}, "", "f"),
                                                 node(next, {"t"}, {"b"}, {}, "", "f")};
    m.function(f);
  }
  m.graph.node("F0", {"x"}, {"y"}, {}, "", "f");
  return {"explosion", m.str(), Stage::Import, "more than 262144 nodes after functions were expanded"};
}

Model deep_functions() {
  auto m = base().opset(1, "f");
  for (int i = 0; i < 200; ++i)
    m.function(calls(("F" + std::to_string(i)).c_str(), ("F" + std::to_string(i + 1)).c_str()));
  Function last = calls("F200", "");
  last.nodes = {node("Relu", {"a"}, {"b"})};
  m.function(last);
  m.graph.node("F0", {"x"}, {"y"}, {}, "", "f");
  return {"deep_functions", m.str(), Stage::Import, "graphs and functions nested deeper than 100"};
}

Model function_twice() {
  auto m = base().opset(1, "f").function(calls("F", "G")).function(calls("F", "G"));
  m.graph.node("Relu", {"x"}, {"y"});
  return {"function_twice", m.str(), Stage::Import, "function 'F' of domain 'f' is defined twice"};
}

Model function_without_output() {
  Function f = calls("F", "");
  f.nodes = {node("Relu", {"a"}, {"c"})};
  auto m = base().opset(1, "f").function(f);
  m.graph.node("F", {"x"}, {"y"}, {}, "call", "f");
  return {"function_without_output", m.str(), Stage::Import,
          "function 'F' does not define its output 'b'\n  in node 'call' (F, f 1)"};
}

// --- attributes

Model with_node(std::string name, std::string encoded, std::string message, Stage stage = Stage::Import) {
  auto m = base();
  m.graph.add(1, encoded);
  return {std::move(name), m.str(), stage, std::move(message)};
}

// --- what only later stages can see

Model divide_by_zero() {
  auto m = onnx::build::Model().opset(17);
  m.graph.input("x", kI64, {4}).output("y");
  m.graph.initializer(ints("a", {2}, {1, INT64_MIN})).initializer(ints("b", {2}, {0, -1}));
  m.graph.node("Div", {"a", "b"}, {"c"})
      .node("Mod", {"a", "b"}, {"d"})
      .node("Add", {"c", "d"}, {"e"})
      .node("ReduceSum", {"e"}, {"s"});
  m.graph.node("Add", {"x", "s"}, {"y"});
  return {"divide_by_zero", m.str(), Stage::Compile, ""};
}

Model huge_output() {
  auto m = base();
  m.graph.initializer(ints("shape", {2}, {int64_t{1} << 25, int64_t{1} << 25}));
  m.graph.node("ConstantOfShape", {"shape"}, {"z"}).node("ReduceSum", {"z"}, {"s"}).node("Add", {"x", "s"}, {"y"});
  return {"huge_intermediate", m.str(), Stage::Compile, "expected at most 2^40 elements"};
}

Model huge_result() {
  auto m = base();
  m.graph.initializer(ints("shape", {3}, {int64_t{1} << 25, int64_t{1} << 23, 4}));
  m.graph.node("Expand", {"x", "shape"}, {"y"});
  return {"huge_result", m.str(), Stage::Compile, "expected at most 2^40 elements"};
}

Model overflowing_dims() {
  auto m = base();
  m.graph.initializer(ints("shape", {4}, {int64_t{1} << 40, int64_t{1} << 40, 4, 4}));
  m.graph.node("Expand", {"x", "shape"}, {"y"});
  return {"overflowing_dims", m.str(), Stage::Compile, "expected at most 2^40 elements"};
}

Model huge_input() {
  auto m = onnx::build::Model().opset(17);
  m.graph.input("x", kF32, {INT64_MAX, INT64_MAX}).output("y").node("Relu", {"x"}, {"y"});
  return {"huge_input", m.str(), Stage::Compile, "expected at most 2^40 elements"};
}

}  // namespace

std::vector<Model> models() {
  std::vector<Model> list = {
      cycle(),
      self_cycle(),
      cycle_through_branch(),
      defined_twice(),
      input_redefined(),
      initializer_redefined(),
      input_missing(),
      output_missing(),
      no_graph(),
      no_opset(),
      truncated(),
      lying_length(),
      not_onnx(),
      wrong_wire_type(),
      deep_nesting(),
      unknown_input_type(),
      recursion(),
      explosion(),
      deep_functions(),
      function_twice(),
      function_without_output(),
      divide_by_zero(),
      huge_output(),
      huge_result(),
      overflowing_dims(),
      huge_input(),
  };
  list.push_back({"empty", "", Stage::Import, "the model has no graph"});

  list.push_back(
      with_weight("short_data", tensor("w", kF32, {4}, "123"), "got 3 bytes of data, expected 16 for f32[4]"));
  list.push_back(with_weight("long_data", floats("w", {1}, {1, 2}), "got 8 bytes of data, expected 4 for f32[1]"));
  list.push_back(with_weight("product_overflow", tensor("w", kF32, {int64_t{1} << 32, int64_t{1} << 32}, ""),
                             "tensor [4294967296, 4294967296] has more than 2^40 elements"));
  list.push_back(with_weight("negative_extent", tensor("w", kF32, {-4}, ""), "negative extent -4"));
  list.push_back(with_weight("unknown_dtype", tensor("w", 55, {1}, "1234"), "unknown element type 55"));
  list.push_back(with_weight("external_parent", external("w", kF32, {4}, {{"location", "../secret.bin"}}),
                             "external data location '../secret.bin' leaves the model's folder"));
  list.push_back(with_weight("external_absolute", external("w", kF32, {4}, {{"location", "/dev/zero"}}),
                             "external data location '/dev/zero' is absolute, expected one inside the model's folder"));
  list.push_back(
      with_weight("external_link", external("w", kF32, {4}, {{"location", "external_link.bin"}}),
                  "external data location 'external_link.bin' leads out of the model's folder through a link",
                  {{"external_link.bin@", "/etc/passwd"}}));
  list.push_back(
      with_weight("external_short", external("w", kF32, {4}, {{"location", "external_short.bin"}, {"offset", "12"}}),
                  "got 4 bytes of data, expected 16 for f32[4]", {{"external_short.bin", "0123456789abcdef"}}));
  list.push_back(
      with_weight("external_offset",
                  external("w", kF32, {1}, {{"location", "external_offset.bin"}, {"offset", "9223372036854775807"}}),
                  "external data offset 9223372036854775807 is past the end of 'external_offset.bin' (4 bytes)",
                  {{"external_offset.bin", "0123"}}));

  list.push_back(with_node("attribute_kind", node("Softmax", {"x"}, {"y"}, {Attr("axis", 1.0)}, "s"),
                           "attribute 'axis' is of kind float, expected int\n  in node 's' (Softmax, opset 17)"));
  list.push_back(with_node("attribute_twice", node("Softmax", {"x"}, {"y"}, {Attr("axis", 0), Attr("axis", 0)}, "s"),
                           "attribute 'axis' is given twice"));
  list.push_back(with_node("branch_missing", node("If", {"x"}, {"y"}, {}, "i"),
                           "attribute 'then_branch' is missing\n  in node 'i' (If, opset 17)"));
  list.push_back(
      with_node("constant_empty", node("Constant", {}, {"y"}, {}, "c"), "got 0 attributes, expected 1 with the value"));
  list.push_back(with_node("constant_of_wrong_kind", node("Constant", {}, {"y"}, {Attr("value", "text")}, "c"),
                           "attribute 'value' is of kind string, expected float or tensor"));
  list.push_back(with_node("no_operator", node("", {"x"}, {"y"}, {}, "c"), "a node without an operator"));
  list.push_back(with_node("output_twice", node("Split", {"x"}, {"y", "y"}, {}, "s"), "value 'y' is defined twice"));
  return list;
}

}  // namespace ingot::malformed
