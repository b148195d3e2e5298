// Every operator on extents of 0, compiled: the result of the interpreter, with constant and with symbolic extents.
#include "ir/ops/interpreter.h"
#include "tests/ops/empty_calls.h"
#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

Graph graph_of(const Call& call, bool dynamic, const std::vector<int>& ranks, std::vector<HostValue>& values) {
  Graph g;
  auto node = std::make_unique<Node>();
  node->def = find_op(call.op);
  node->attrs = call.attrs;
  node->name = "n";
  for (size_t k = 0; k < call.inputs.size(); ++k) {
    const Arg& a = call.inputs[k];
    const std::string name = "x" + std::to_string(k);
    if (!a.data) {
      node->inputs.push_back(nullptr);
      continue;
    }
    if (a.constant) {
      node->inputs.push_back(g.new_constant(name, a.data));
      continue;
    }
    TensorType type = a.data->type();
    for (size_t d = 0; dynamic && d < type.dims.size(); ++d)
      type.dims[d] = Dim(Dim::symbol(name + "_" + std::to_string(d)));
    node->inputs.push_back(g.new_value(name, Type::of(type)));
    g.body.inputs.push_back(node->inputs.back());
    values.push_back(HostValue::of(a.data));
  }
  for (int k = 0; k < call.outputs; ++k) {
    Value* v = g.new_value("y" + std::to_string(k));
    v->producer = node.get();
    v->output_index = k;
    if (static_cast<size_t>(k) < ranks.size()) v->declared_rank = ranks[static_cast<size_t>(k)];
    node->outputs.push_back(v);
    g.body.outputs.push_back(v);
  }
  g.body.nodes.push_back(std::move(node));
  return g;
}

TEST(Empty, Compiled) {
  for (const Call& call : empty_calls()) {
    std::string text = call.op;
    for (const Arg& a : call.inputs) text += " " + (a.data ? a.data->type().str() : std::string("-"));
    SCOPED_TRACE(text);
    std::vector<HostValue> inputs;
    const Graph reference = graph_of(call, false, {}, inputs);
    auto expected = Interpreter().run(reference, inputs);
    ASSERT_TRUE(expected) << expected.error().message;
    std::vector<int> ranks;
    for (const HostValue& v : *expected) ranks.push_back(static_cast<int>(v.tensor->dims.size()));
    for (bool dynamic : {false, true}) {
      std::vector<HostValue> values;
      Graph graph = graph_of(call, dynamic, ranks, values);
      auto got = compile_and_run(std::move(graph), runnable_targets()[0], values);
      ASSERT_TRUE(got) << (dynamic ? "symbolic: " : "constant: ") << got.error().message;
      for (size_t k = 0; k < expected->size(); ++k) {
        const TensorData &y = *(*got)[k].tensor, &e = *(*expected)[k].tensor;
        EXPECT_EQ(y.dims, e.dims) << "result " << k << (dynamic ? ", symbolic" : ", constant");
        if (y.dims == e.dims && y.dtype != DType::String) {
          EXPECT_EQ(difference(y, e, 1e-5), "") << "result " << k;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ingot::test
