#include "tests/malformed/models.h"

#include <cmath>
#include <limits>

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
  return {"not_onnx", "\x93\x01\x02\x03", Stage::Import, "while reading the bytes of an ONNX model (4 bytes"};
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
  return {"divide_by_zero", m.str(), Stage::Run, ""};
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

// --- files that are no models

void foreign_files(std::vector<Model>& list) {
  auto add = [&](const char* name, std::string bytes, const std::string& message) {
    list.push_back({name, std::move(bytes), Stage::Import, message});
  };
  auto zip = [](std::string_view entry) {
    return std::string("PK\x03\x04\x14\0\0\0\0\0", 10) + std::string(16, '\0') +
           std::string(1, static_cast<char>(entry.size())) + std::string(3, '\0') + std::string(entry) + "contents";
  };
  add("empty", "", "the file is empty, expected an ONNX model: fetch or export the model again");
  add("lfs_pointer",
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
      "size 12345\n",
      "the file is a pointer of Git LFS to the file, expected an ONNX model: fetch the file itself with `git lfs pull`");
  add("html", "\n<!DOCTYPE html>\n<html lang=\"en\"><head></head></html>",
      "the file is an HTML page, expected an ONNX model");
  add("json", "{\"error\": \"not found\"}", "the file is JSON text, expected an ONNX model");
  add("plain_text", "Not Found", "the file is text, expected an ONNX model");
  add("gzip", std::string("\x1f\x8b\x08\0\0\0\0\0", 8),
      "the file is compressed (gzip), expected an ONNX model: unpack it");
  add("zip", zip("model.onnx"), "the file is a zip archive, expected an ONNX model: unpack it");
  add("torch", zip("archive/data.pkl"),
      "the file is a zip archive of PyTorch, expected an ONNX model: export the model");
  add("npz", zip("x.npy"), "the file is a zip archive of NumPy arrays (.npz), expected an ONNX model");
  add("npy", "\x93NUMPY\x01\x00v", "the file is a NumPy array (.npy), expected an ONNX model");
  add("pickle", std::string("\x80\x04\x95\x05\0\0\0", 7), "the file is a Python pickle, expected an ONNX model");
  add("torch_legacy", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.",
      "the file is a Python pickle, expected an ONNX model");
  add("safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10),
      "the file is a safetensors file, which holds weights and no network, expected an ONNX model");
  add("gguf", std::string("GGUF\x03\0\0\0", 8), "the file is a GGUF file (llama.cpp), expected an ONNX model");
  add("tflite", std::string("\x1c\0\0\0TFL3\x14\0\0\0", 12),
      "the file is a TensorFlow Lite model, expected an ONNX model: convert it to ONNX with tf2onnx");
  add("ort_format", std::string("\x18\0\0\0ORTM\0\0", 10),
      "the file is a model in ONNX Runtime's own format (.ort), expected an ONNX model");
  add("zeros", std::string(64, '\0'), "the file is nothing but zero bytes, expected an ONNX model");
}

// --- what is wrong with the bytes, the tensors, the nodes: the longer lists

void more_bytes(std::vector<Model>& list) {
  // An unknown field of wire type 3 opens a group; protobuf allows groups in groups.
  std::string groups;
  for (int i = 0; i < 100000; ++i) groups += "\xf3\x01";
  list.push_back({"deep_groups", base().str() + groups, Stage::Import, "unsupported wire type at byte"});

  auto m = onnx::build::Model().opset(99);
  m.graph.input("x", kF32, {4}).output("y").node("Relu", {"x"}, {"y"});
  list.push_back({"unknown_opset", m.str(), Stage::Import, "operator set 99, expected 1 to 28"});

  m = base();
  m.graph.node("Frobnicate", {"x"}, {"y"}, {}, "f");
  list.push_back({"unknown_operator", m.str(), Stage::Unsupported, "Frobnicate"});

  m = base().opset(1, "com.example");
  m.graph.node("Relu", {"x"}, {"y"}, {}, "f", "com.example");
  list.push_back({"unknown_domain", m.str(), Stage::Import, "com.example"});

  // Names are bytes to us; what prints or stores them must not choke on those that are no UTF-8.
  m = onnx::build::Model().opset(17);
  m.graph.input("\xff\xfe\x80", kF32, {"\xc3("}).output("\xed\xa0\x80");
  m.graph.node("Relu", {"\xff\xfe\x80"}, {"\xed\xa0\x80"}, {}, "\xf8\x88");
  list.push_back({"names_not_utf8", m.str(), Stage::Run, ""});

  m = onnx::build::Model().opset(17);
  m.graph.input("\xff\xfe", kF32, {4}).output("y").node("Add", {"\xff\xfe", "w\x80"}, {"y"}, {}, "\xf8");
  m.graph.initializer(floats("w\x80", {3}, {1, 2, 3}));
  list.push_back({"message_not_utf8", m.str(), Stage::Compile, "do not broadcast"});
}

void more_tensors(std::vector<Model>& list) {
  FieldWriter both;
  both.packed_varints(1, std::vector<int64_t>{1});
  both.varint(2, kF32);
  both.bytes(4, std::string_view("\0\0\x80\x3f", 4));
  both.bytes(8, std::string_view("w"));
  both.bytes(9, std::string_view("\0\0\x80\x3f", 4));
  list.push_back(with_weight("raw_and_typed", both.take(), "got data in 2 fields, expected it in one"));
  list.push_back(with_weight("external_length",
                             external("w", kF32, {4}, {{"location", "external_length.bin"}, {"length", "4096"}}),
                             "external data at 0 of 4096 bytes is past the end of 'external_length.bin' (16 bytes)",
                             {{"external_length.bin", "0123456789abcdef"}}));
  list.push_back(with_weight("external_negative_offset",
                             external("w", kF32, {1}, {{"location", "external_negative.bin"}, {"offset", "-4"}}),
                             "external data has offset '-4', expected a number", {{"external_negative.bin", "0123"}}));
  list.push_back(
      with_weight("external_lfs_pointer", external("w", kF32, {64}, {{"location", "external_lfs.bin"}}),
                  "external data 'external_lfs.bin' is a pointer of Git LFS to the file, expected 256 bytes of data: "
                  "fetch the file itself with `git lfs pull`",
                  {{"external_lfs.bin", "version https://git-lfs.github.com/spec/v1\n"}}));
  list.push_back(with_weight("external_hidden_parent", external("w", kF32, {4}, {{"location", "a/../../secret.bin"}}),
                             "external data location 'a/../../secret.bin' leaves the model's folder"));
}

// x: f32[4], i: i64[2], image: f32[1,4,5,5] -> y, of one node with constants.
Model one(std::string name, Stage stage, std::string message, const char* op, const Names& inputs,
          const std::vector<Attr>& attributes = {}, const std::vector<std::string>& constants = {},
          int64_t opset = 17) {
  auto m = onnx::build::Model().opset(opset);
  bool x = false, i = false, image = false;
  for (const auto& in : inputs) x |= in == "x", i |= in == "i", image |= in == "image";
  if (x) m.graph.input("x", kF32, {4});
  if (i) m.graph.input("i", kI64, {2});
  if (image) m.graph.input("image", kF32, {1, 4, 5, 5});
  for (const auto& c : constants) m.graph.initializer(c);
  m.graph.output("y").node(op, inputs, {"y"}, attributes, "n");
  return {std::move(name), m.str(), stage, std::move(message)};
}

void more_nodes(std::vector<Model>& list) {
  using I = std::vector<int64_t>;
  constexpr int64_t kHuge = int64_t{1} << 50;
  auto add = [&](auto&&... a) { list.push_back(one(std::forward<decltype(a)>(a)...)); };
  const Stage C = Stage::Compile, R = Stage::Run;
  const std::vector<float> two = {1, 2};
  std::string w = floats("w", {4, 4, 1, 1}, std::vector<float>(16, 1.0f));

  add("div_zero", R, "", "Div", Names{"i", "z"}, std::vector<Attr>{}, std::vector<std::string>{ints("z", {}, {0})});
  add("mod_zero", R, "", "Mod", Names{"i", "z"}, std::vector<Attr>{}, std::vector<std::string>{ints("z", {}, {0})});
  add("conv_strides_0", C, "strides contains 0, expected values in [1, 2^31]", "Conv", Names{"image", "w"},
      std::vector<Attr>{Attr("strides", I{0, 1})}, std::vector<std::string>{w});
  add("conv_dilation_0", C, "dilations contains 0, expected values in [1, 2^31]", "Conv", Names{"image", "w"},
      std::vector<Attr>{Attr("dilations", I{0, 1})}, std::vector<std::string>{w});
  add("conv_group_0", C, "group is 0, expected at least 1", "Conv", Names{"image", "w"},
      std::vector<Attr>{Attr("group", 0)}, std::vector<std::string>{w});
  add("conv_group_3", C, "input has 4 channels, expected 12 (weight channels 4 x groups 3)", "Conv",
      Names{"image", "w"}, std::vector<Attr>{Attr("group", 3)}, std::vector<std::string>{w});
  add("arg_max_of_nothing", C, "axis 0 is empty, expected at least one element", "ArgMax", Names{"e"},
      std::vector<Attr>{}, std::vector<std::string>{floats("e", {0, 3}, {})});
  add("conv_huge_pads", C, "pads contains 9223372036854775807, expected values in", "Conv", Names{"image", "w"},
      std::vector<Attr>{Attr("pads", I{INT64_MAX, 0, INT64_MAX, 0})}, std::vector<std::string>{w});
  add("conv_negative_extent", C, "the window has extent 1 in spatial dimension 0, expected at most -1", "Conv",
      Names{"image", "w"}, std::vector<Attr>{Attr("pads", I{-3, 0, -3, 0})}, std::vector<std::string>{w});
  add("pool_strides_0", C, "strides contains 0, expected values in [1, 2^31]", "MaxPool", Names{"image"},
      std::vector<Attr>{Attr("kernel_shape", I{2, 2}), Attr("strides", I{0, 0})});
  add("pool_kernel_0", C, "kernel_shape contains 0, expected values in [1, 2^31]", "AveragePool", Names{"image"},
      std::vector<Attr>{Attr("kernel_shape", I{0, 2})});
  add("group_norm_0", C, "num_groups is 0, expected at least 1", "GroupNormalization", Names{"image", "s", "s"},
      std::vector<Attr>{Attr("num_groups", 0)}, std::vector<std::string>{floats("s", {4}, {1, 1, 1, 1})}, 21);
  add("space_to_depth_0", C, "blocksize is 0, expected a positive number", "SpaceToDepth", Names{"image"},
      std::vector<Attr>{Attr("blocksize", 0)});
  add("depth_to_space_huge", C, "blocksize is 9223372036854775807, expected a positive number", "DepthToSpace",
      Names{"image"}, std::vector<Attr>{Attr("blocksize", INT64_MAX)});
  add("dtype_mismatch", C, "operands have element types f32 and i64, expected one type", "Add", Names{"x", "i"});
  add("too_few_inputs", C, "got 1 inputs, expected 2", "Add", Names{"x"});
  add("too_many_inputs", C, "got 3 inputs, expected 1", "Relu", Names{"x", "x", "x"});
  add("unknown_attribute", C, "attribute 'colour' is not known", "Relu", Names{"x"},
      std::vector<Attr>{Attr("colour", 3)});
  add("reshape_two_unknown", C, "shape has more than one -1", "Reshape", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {2}, {-1, -1})});
  add("reshape_overflow", C, "expected at most 2^40 elements", "Reshape", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {3}, {INT64_MAX, INT64_MAX, -1})});
  add("reshape_wrong", C, "got 4 elements, expected those of f32[5]", "Reshape", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {5})});
  add("resize_huge", C, "scale is 1.0000000150474662e+30, expected at most 1e15", "Resize", Names{"image", "", "s"},
      std::vector<Attr>{}, std::vector<std::string>{floats("s", {4}, {1, 1, 1e30f, 1e30f})});
  add("resize_nan", C, "scale 2 is nan, expected a positive number", "Resize", Names{"image", "", "s"},
      std::vector<Attr>{},
      std::vector<std::string>{floats("s", {4}, {1, 1, std::numeric_limits<float>::quiet_NaN(), 0})});
  add("resize_sizes_huge", C, "expected at most 2^40 elements", "Resize", Names{"image", "", "", "s"},
      std::vector<Attr>{}, std::vector<std::string>{ints("s", {4}, {1, 4, kHuge, kHuge})});
  add("resize_sizes_large", R, "274877906944 more for output y, expected at most 1073741824", "Resize",
      Names{"image", "", "", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {4}, {1, 4, 1 << 18, 1 << 16})});
  add("tile_huge", C, "expected at most 2^40 elements", "Tile", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {kHuge})});
  add("tile_negative", C, "repeats has -1, expected no negative number", "Tile", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {-1})});
  add("expand_negative", C, "do not broadcast: got extents 4 and -4", "Expand", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {-4})});
  add("range_huge", C, "expected at most 2^40 elements", "Range", Names{"a", "b", "c"}, std::vector<Attr>{},
      std::vector<std::string>{ints("a", {}, {INT64_MIN}), ints("b", {}, {INT64_MAX}), ints("c", {}, {1})});
  add("range_delta_0", C, "delta is 0, expected another number", "Range", Names{"a", "b", "c"}, std::vector<Attr>{},
      std::vector<std::string>{ints("a", {}, {0}), ints("b", {}, {5}), ints("c", {}, {0})});
  add("range_float_inf", C, "expected at most 2^40 elements", "Range", Names{"a", "b", "c"}, std::vector<Attr>{},
      std::vector<std::string>{floats("a", {}, {0}), floats("b", {}, {INFINITY}), floats("c", {}, {1})});
  add("constant_of_shape_large", R, "274877906944 more for output y, expected at most 1073741824", "ConstantOfShape",
      Names{"s"}, std::vector<Attr>{}, std::vector<std::string>{ints("s", {1}, {int64_t{1} << 36})});
  add("pad_beyond", C, "pads crop dimension 0 of extent 4 to -2, expected at least 0", "Pad", Names{"x", "s"},
      std::vector<Attr>{}, std::vector<std::string>{ints("s", {2}, {-3, -3})});
  add("pad_overflow", C, "expected at most 2^40 elements", "Pad", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {2}, {INT64_MAX, INT64_MAX})});
  add("pad_reflect_empty", R, "", "Pad", Names{"x", "s"}, std::vector<Attr>{Attr("mode", "reflect")},
      std::vector<std::string>{ints("s", {2}, {1000, 1000})});
  add("slice_step_0", C, "steps has 0, expected another number", "Slice", Names{"x", "a", "b", "c", "d"},
      std::vector<Attr>{},
      std::vector<std::string>{ints("a", {1}, {0}), ints("b", {1}, {2}), ints("c", {1}, {0}), ints("d", {1}, {0})});
  add("slice_extremes", R, "", "Slice", Names{"x", "a", "b", "c", "d"}, std::vector<Attr>{},
      std::vector<std::string>{ints("a", {1}, {INT64_MAX}), ints("b", {1}, {INT64_MIN}), ints("c", {1}, {0}),
                               ints("d", {1}, {INT64_MIN})});
  add("slice_axes_twice", C, "axis 0 is named twice", "Slice", Names{"x", "a", "b", "c"}, std::vector<Attr>{},
      std::vector<std::string>{ints("a", {2}, {0, 0}), ints("b", {2}, {2, 2}), ints("c", {2}, {0, -1})});
  add("gather_out_of_range", C, "index is 4, expected a value in [-4, 4)", "Gather", Names{"x", "s"},
      std::vector<Attr>{}, std::vector<std::string>{ints("s", {1}, {4})});
  add("gather_far_out_of_range", C, "index is -9223372036854775808, expected a value in [-4, 4)", "Gather",
      Names{"x", "s"}, std::vector<Attr>{}, std::vector<std::string>{ints("s", {1}, {INT64_MIN})});
  add("gather_constants_out_of_range", C, "index is 2, expected a value in [-2, 2)", "Gather", Names{"t", "s"},
      std::vector<Attr>{}, std::vector<std::string>{floats("t", {2}, two), ints("s", {1}, {2})});
  add("gather_axis", C, "axis is 5", "Gather", Names{"x", "i"}, std::vector<Attr>{Attr("axis", 5)});
  add("top_k_negative", C, "k is -1, expected no negative number", "TopK", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {-1})});
  add("top_k_more", C, "k is 9, expected at most the extent 4", "TopK", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {9})});
  add("einsum_nonsense", C, "operand 0 has rank 1, expected the 0 indices of", "Einsum", Names{"x"},
      std::vector<Attr>{Attr("equation", "->->,.i.j..")});
  add("einsum_unknown_index", C, "has an output index that no operand has", "Einsum", Names{"x"},
      std::vector<Attr>{Attr("equation", "i->j")});
  add("einsum_huge", C, "...\n  in node 'n' (Einsum, opset 17)", "Einsum", Names{"x", "x"},
      std::vector<Attr>{Attr("equation", std::string(100000, 'i').c_str())});
  add("split_negative", C, "split has 2 entries, expected 1", "Split", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {2}, {-1, 5})});
  add("concat_axis", C, "axis is -9", "Concat", Names{"x", "x"}, std::vector<Attr>{Attr("axis", -9)});
  add("transpose_twice", C, "perm has 0 twice", "Transpose", Names{"image"},
      std::vector<Attr>{Attr("perm", I{0, 0, 1, 2})});
  add("transpose_beyond", C, "axis is 77, expected a value in [-4, 4)", "Transpose", Names{"image"},
      std::vector<Attr>{Attr("perm", I{0, 1, 2, 77})});
  add("squeeze_axis", C, "axis is 3", "Squeeze", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {3})});
  add("unsqueeze_many", C, "expected a value in [-2, 2)", "Unsqueeze", Names{"x", "s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {1}, {INT64_MAX})});
  add("one_hot_huge", C, "expected at most 2^40 elements", "OneHot", Names{"i", "d", "v"}, std::vector<Attr>{},
      std::vector<std::string>{ints("d", {}, {kHuge}), ints("v", {2}, {0, 1})});
  add("cast_unknown", C, "attribute 'to' is 999, expected the number of an element type", "Cast", Names{"x"},
      std::vector<Attr>{Attr("to", 999)});
  add("lstm_hidden", C, "hidden_size is 9223372036854775807, expected 1", "LSTM", Names{"q", "w", "r"},
      std::vector<Attr>{Attr("hidden_size", INT64_MAX)},
      std::vector<std::string>{floats("q", {1, 1, 1}, {1}), floats("w", {1, 4, 1}, {1, 1, 1, 1}),
                               floats("r", {1, 4, 1}, {1, 1, 1, 1})});
  add("matmul_inner", C, "inner extents are 4 and 2, expected equal ones", "MatMul", Names{"x", "t"},
      std::vector<Attr>{}, std::vector<std::string>{floats("t", {2}, two)});
  add("window_huge", C, "expected at most 2^40 elements", "HannWindow", Names{"s"}, std::vector<Attr>{},
      std::vector<std::string>{ints("s", {}, {kHuge})});
  add("eye_like", C, "input has rank 1, expected 2", "EyeLike", Names{"x"});

  // 2^62 iterations: compiles, and runs until it is stopped.
  Graph body;
  body.input("j", kI64, {}).input("c", 9, {}).input("s", kF32, {4});
  body.node("Sin", {"s"}, {"t"}).node("Identity", {"c"}, {"c2"}).output("c2").output("t");
  auto m = base();
  m.graph.initializer(ints("trips", {}, {int64_t{1} << 62}));
  m.graph.node("Loop", {"trips", "", "x"}, {"y"}, {Attr::graph("body", body.str())}, "loop");
  list.push_back({"loop_without_end", m.str(), Stage::Endless, ""});
  // The same of constants only: must not be folded for ever.
  m = base();
  m.graph.initializer(ints("trips", {}, {int64_t{1} << 62})).initializer(floats("s0", {4}, {1, 2, 3, 4}));
  m.graph.node("Loop", {"trips", "", "s0"}, {"l"}, {Attr::graph("body", body.str())}, "loop");
  m.graph.node("Add", {"x", "l"}, {"y"});
  list.push_back({"constant_loop_without_end", m.str(), Stage::Endless, ""});
  // A reduction over 2^36 constants, of which no element is stored: must not be folded for hours.
  m = base();
  m.graph.initializer(ints("shape", {2}, {int64_t{1} << 20, int64_t{1} << 16}));
  m.graph.node("ConstantOfShape", {"shape"}, {"z"}).node("ReduceSum", {"z"}, {"s"}).node("Add", {"x", "s"}, {"y"});
  list.push_back({"reduced_large_constant", m.str(), Stage::Run, ""});
}

// --- what the standard's checker refuses

onnx::build::Model microsoft(int64_t opset = 17) { return base(opset).opset(1, "com.microsoft"); }

void operators(std::vector<Model>& list) {
  auto add = [&](const char* name, onnx::build::Model m, const std::string& node, std::string message,
                 Stage stage = Stage::Import) {
    m.graph.add(1, node);
    list.push_back({name, m.str(), stage, std::move(message)});
  };
  const std::string ms = "com.microsoft";
  add("relu_of_microsoft", microsoft(), node("Relu", {"x"}, {"y"}, {}, "n", ms),
      "Relu of domain 'com.microsoft': there is no operator 'Relu' in this domain", Stage::Unsupported);
  add("inner_operator", base(), node("LstmStep", {"x"}, {"y"}, {}, "n"),
      "there is no operator 'LstmStep' in this domain", Stage::Unsupported);
  add("microsoft_attribute_kind", microsoft(), node("FusedMatMul", {"x", "x"}, {"y"}, {Attr("alpha", 2)}, "n", ms),
      "attribute 'alpha' is of kind int, expected float\n  in node 'n' (FusedMatMul, com.microsoft 1)");
  add("microsoft_attribute_unknown", microsoft(), node("QuickGelu", {"x"}, {"y"}, {Attr("beta", 2.0)}, "n", ms),
      "attribute 'beta' is not known, expected one of: alpha", Stage::Unsupported);
  add("microsoft_attribute_missing", microsoft(),
      node("MatMulNBits", {"x", "x", "x"}, {"y"}, {Attr("K", 4), Attr("N", 4)}, "n", ms),
      "attribute 'block_size' is missing\n  in node 'n'");
  add("ml_attribute_missing", base().opset(3, "ai.onnx.ml"),
      node("LinearClassifier", {"x"}, {"y"}, {}, "n", "ai.onnx.ml"), "attribute 'coefficients' is missing");
  add("attribute_missing", base(), node("Concat", {"x"}, {"y"}, {}, "n"),
      "attribute 'axis' is missing\n  in node 'n' (Concat, opset 17)");
  add("attribute_newer_than_set", base(13), node("Split", {"x"}, {"y"}, {Attr("num_outputs", 1)}, "n"),
      "got operator set 13, expected at least 18, which attribute 'num_outputs' came with\n  in node 'n' (Split, opset 13)");
  add("antialias_before_18", base(), node("Resize", {"x", "", "x"}, {"y"}, {Attr("antialias", 1)}, "n"),
      "got operator set 17, expected at least 18, which attribute 'antialias' came with");
  add("ml_attribute_newer_than_set", base().opset(1, "ai.onnx.ml"),
      node("LabelEncoder", {"x"}, {"y"}, {Attr("default_float", 1.0)}, "n", "ai.onnx.ml"),
      "got operator set 1, expected at least 2, which attribute 'default_float' came with");
  add("attribute_of_two_kinds", base(), node("Softmax", {"x"}, {"y"}, {Attr("axis", 0).also_float(1.5f)}, "n"),
      "attribute 'axis' is of kind int and holds float, expected one kind");
  add("operator_too_new", base(), node("Gelu", {"x"}, {"y"}, {}, "n"),
      "got operator set 17, expected at least 20, which Gelu came with\n  in node 'n' (Gelu, opset 17)");
  add("node_without_outputs", base(), node("Relu", {"x"}, {}, {}, "n"),
      "got no outputs, expected at least 1\n  in node 'n'");
  add("node_with_unnamed_outputs", base(), node("Relu", {"x"}, {""}, {}, "n"), "got no outputs, expected at least 1");
  const std::string relu = node("Relu", {"x"}, {"y"}, {}, "n");
  add("domain_of_two_versions", base(13).opset(17), relu,
      "domain 'ai.onnx' is imported with operator sets 13 and 17, expected one");
  add("ir_version_0", base().ir_version(0), relu, "got IR version 0, expected 1 to 1000");
  add("ir_version_negative", base().ir_version(-8), relu, "got IR version -8, expected 1 to 1000");
  add("ir_version_absurd", base().ir_version(int64_t{1} << 40), relu,
      "got IR version 1099511627776, expected 1 to 1000");

  auto m = onnx::build::Model().opset(17);
  m.graph.input("x", kF32, {int64_t{-5}, 4}).output("y");
  add("negative_dim", m, relu, "input 'x' has extent -5 in dimension 0, expected at least 0");

  auto sparse = [](std::vector<int64_t> indices) {
    FieldWriter w;
    w.bytes(1, std::string_view(
                   floats("w", {static_cast<int64_t>(indices.size())}, std::vector<float>(indices.size(), 1))));
    w.bytes(2, std::string_view(ints("", {static_cast<int64_t>(indices.size())}, indices)));
    w.packed_varints(3, std::vector<int64_t>{4});
    return w.take();
  };
  for (auto& [name, indices, message] : std::vector<std::tuple<const char*, std::vector<int64_t>, const char*>>{
           {"sparse_twice", {1, 1}, "sparse index 1 has the place of element 1 after that of element 1"},
           {"sparse_unsorted", {3, 0}, "sparse index 1 has the place of element 0 after that of element 3"}}) {
    m = base();
    m.graph.add(15, sparse(indices));
    add(name, m, node("Add", {"x", "w"}, {"y"}), message);
  }
}

void types(std::vector<Model>& list) {
  const Stage C = Stage::Compile;
  using Attrs = std::vector<Attr>;
  using Constants = std::vector<std::string>;
  auto add = [&](auto&&... a) { list.push_back(one(std::forward<decltype(a)>(a)...)); };
  const std::string half = tensor("h", 10, {}, std::string(2, '\0')),
                    zero_u8 = tensor("z", 2, {}, std::string(1, '\0'));
  const std::string one_f = floats("f", {}, {1}), bytes = tensor("b", 3, {2}, "ab");
  add("clip_types", C, "x and min have element types f32 and i64, expected one type", "Clip", Names{"x", "k"}, Attrs{},
      Constants{ints("k", {}, {1})});
  add("pad_value_type", C, "x and the constant value have element types f32 and i64, expected one type", "Pad",
      Names{"x", "p", "k"}, Attrs{}, Constants{ints("p", {2}, {1, 1}), ints("k", {}, {1})});
  add("zero_point_type", C, "input 2 is of type u8, expected i8 as input 0", "DequantizeLinear", Names{"b", "f", "z"},
      Attrs{}, Constants{bytes, one_f, zero_u8});
  add("gather_float_indices", C, "input 1 has element type f32, expected i32 or i64", "Gather", Names{"x", "f"},
      Attrs{}, Constants{one_f});
  add("reshape_i32", C, "input 1 is of type i32, expected i64", "Reshape", Names{"x", "s"}, Attrs{},
      Constants{tensor("s", 6, {1}, std::string("\4\0\0\0", 4))});
  add("where_types", C, "", "Where", Names{"c", "x", "i"}, Attrs{},
      Constants{tensor("c", 9, {}, std::string(1, '\1'))});
  list.back().message = "expected one type";
  add("sqrt_of_integers", C, "input 0 is of type i64, expected a float type", "Sqrt", Names{"i"});
  add("concat_types", C, "expected one type", "Concat", Names{"x", "i"}, Attrs{Attr("axis", 0)});
  add("one_hot_values", C, "values", "OneHot", Names{"i", "d", "v"}, Attrs{},
      Constants{ints("d", {}, {3}), floats("v", {3}, {0, 1, 2})});
  add("resize_scales_and_sizes", C, "sizes", "Resize", Names{"image", "", "s", "t"}, Attrs{},
      Constants{floats("s", {4}, {1, 1, 2, 2}), ints("t", {4}, {1, 4, 10, 10})});

  Graph yes, no;
  yes.node("Relu", {"x"}, {"a"}).output("a");
  no.node("Cast", {"x"}, {"b"}, {Attr("to", kI64)}).output("b");
  auto m = base();
  m.graph.input("c", 9, {})
      .node("If", {"c"}, {"y"}, {Attr::graph("then_branch", yes.str()), Attr::graph("else_branch", no.str())}, "if");
  list.push_back({"branches_of_two_types", m.str(), C,
                  "the branches give f32[4] and i64[4] as output 0, expected one element type\n  in node 'if'"});

  m = onnx::build::Model().opset(17);
  m.graph.input("x", kF32, {4}).output("y", tensor_type(kI64, {4})).node("Relu", {"x"}, {"y"}, {}, "n");
  list.push_back({"declared_output_type", m.str(), C, "output 'y' is f32[4], expected i64 as the model declares it"});

  m = onnx::build::Model().opset(17);
  m.graph.input("x", kF32, {"n", int64_t{1} << 25, int64_t{1} << 25}).output("y").node("Relu", {"x"}, {"y"}, {}, "n");
  list.push_back({"free_times_huge", m.str(), C, "expected at most 2^40 elements"});
}

// What a run says: the node, what the names of extents stood for, and the index as the model has it, before it is counted
// from the end.
void run_errors(std::vector<Model>& list) {
  for (const bool scatter : {false, true}) {
    auto m = onnx::build::Model().opset(17);
    m.graph.input("x", kF32, {"n"}).input("i", kI64, {2}).output("y");
    m.graph.initializer(ints("k", {}, {-9})).node("Min", {"i", "k"}, {"j"}, {}, "min");
    if (scatter) m.graph.node("ScatterElements", {"x", "j", "u"}, {"y"}, {}, "n").initializer(floats("u", {2}, {1, 2}));
    else m.graph.node("Gather", {"x", "j"}, {"y"}, {}, "n");
    list.push_back({scatter ? "scatter_at_negative_index" : "gather_at_negative_index", m.str(), Stage::Run,
                    fmt::format("got index -9 on an axis of 1, expected at least -1\n  in node 'n' ({})\n  with n = 1",
                                scatter ? "ScatterElements" : "Gather")});
  }
}

// Names and chains of a stranger, in messages that stay short.
void long_names(std::vector<Model>& list) {
  const std::string name(100000, 'n');
  auto m = base();
  m.graph.node("Add", {"x", name}, {"y"}, {}, name);
  list.push_back({"long_names", m.str(), Stage::Import, "is not defined"});
  m = base().opset(1, "f");
  for (int i = 0; i < 90; ++i)
    m.function(calls((name.substr(0, 300) + std::to_string(i)).c_str(),
                     (name.substr(0, 300) + std::to_string((i + 1) % 90)).c_str()));
  m.graph.node(name.substr(0, 300) + "0", {"x"}, {"y"}, {}, "", "f");
  list.push_back({"long_chain", m.str(), Stage::Import, "calls itself"});
  m = base();
  for (int i = 0; i < 1000; ++i) m.graph.node("Unknown" + std::to_string(i), {"x"}, {"y" + std::to_string(i)});
  m.graph.node("Relu", {"x"}, {"y"});
  list.push_back({"many_unknown", m.str(), Stage::Unsupported, "200 kinds of node are not supported:"});
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
  foreign_files(list);

  more_bytes(list);
  more_tensors(list);
  more_nodes(list);
  operators(list);
  types(list);
  run_errors(list);
  long_names(list);

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
                           "attribute 'value' is of kind string, expected tensor"));
  list.push_back(with_node("no_operator", node("", {"x"}, {"y"}, {}, "c"), "a node without an operator"));
  list.push_back(with_node("output_twice", node("Split", {"x"}, {"y", "y"}, {}, "s"), "value 'y' is defined twice"));
  return list;
}

}  // namespace ingot::malformed
