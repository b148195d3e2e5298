// The importer's state, shared by import.cpp (models, graphs, functions), import_node.cpp (one node) and the upgrades.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "frontend/onnx/attributes.h"
#include "frontend/onnx/facts.h"
#include "frontend/onnx/import.h"
#include "frontend/onnx/input_types.h"

namespace ingot::onnx {

// Names in sight: those of this graph, then those of the graphs around it. A function sees only its own.
struct Scope {
  const Scope* outer = nullptr;
  std::map<std::string_view, Value*> values;    // null: an optional input of a function that the caller left out
  std::map<std::string_view, Value*> prepared;  // outputs whose value exists before their node

  // Null when the name is unknown.
  Value* const* find(std::string_view name) const;
};

// What a node's meaning depends on beside itself: the operator sets, and within a function the attributes of the call.
using Opsets = std::map<std::string_view, int64_t>;  // by domain
struct Frame {
  Opsets opsets;
  const std::map<std::string_view, const AttributeProto*>* attributes = nullptr;
  std::string prefix;  // of names: "call/"
  const FunctionProto* function = nullptr;
  const Frame* caller = nullptr;
};

enum class BodyOf : uint8_t { Model, Loop, Other };

struct OpKey {
  std::string op_type, domain, reason;
  auto operator<=>(const OpKey&) const = default;
};

class Importer {
 public:
  Importer(const ModelProto& model, std::shared_ptr<const void> owner, const ImportOptions& options);
  Result<Graph> run();

  // One node of the op table into a region; checks arity and attribute names.
  Result<Node*> emit(Region& into, std::string_view op, std::vector<Value*> inputs, Attrs attrs,
                     std::vector<Value*> outputs, std::vector<std::unique_ptr<Region>> regions = {});
  Value* new_value(std::string_view name) { return graph_.new_value(std::string(name)); }
  Value* new_constant(std::string_view name, TensorRef data) {
    return graph_.new_constant(std::string(name), std::move(data));
  }
  const Facts& facts() const { return facts_; }

 private:
  // Adds the imports of a model or function. One domain has one version; a 1 beside another is what ONNX Runtime's graph
  // writer leaves of domains whose names it loses, and counts for nothing.
  Result<void> imports(const std::vector<OperatorSetIdProto>& list, Opsets& opsets) const;
  Result<void> read_functions();
  Result<void> graph(const GraphProto& g, Region& region, Scope& scope, const Frame& frame, BodyOf kind);
  Result<void> initializers(const GraphProto& g, Scope& scope, const Frame& frame,
                            std::set<std::string_view>& constants);
  Result<void> model_inputs(const GraphProto& g, Region& region, Scope& scope, std::set<std::string_view>& constants);
  Result<void> nodes(const std::vector<NodeProto>& list, Region& region, Scope& scope, const Frame& frame);
  Result<void> node(const NodeProto& n, Region& region, Scope& scope, const Frame& frame);
  Result<void> op_node(const NodeProto& n, Region& region, Scope& scope, const Frame& frame);
  Result<void> call(const NodeProto& n, const FunctionProto& f, Region& region, Scope& scope, const Frame& frame);
  Result<void> constant_node(const NodeProto& n, const Attrs& attrs, Scope& scope, const Frame& frame);
  Result<void> check_nesting() const;
  Result<int64_t> version_of(const NodeProto& n, const Frame& frame) const;
  Result<Value*> input(std::string_view name, const Scope& scope) const;
  Value* output(std::string_view name, Scope& scope, const Frame& frame);  // null for ""
  Result<void> define(std::string_view name, Value* v, Scope& scope);
  Result<TensorRef> tensor(const TensorProto& proto);
  const AttributeProto* resolve(const AttributeProto& a, const Frame& frame) const;  // null: absent in this call
  void drop_unread_outputs();
  Result<void> report_unsupported() const;

  const ModelProto& model_;
  const ImportOptions& options_;
  ExternalFiles external_;
  TensorSource source_;
  Graph graph_;
  Facts facts_;
  InputTypes input_types_;
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, const FunctionProto*> functions_;
  std::unordered_map<const TensorProto*, TensorRef> tensors_;  // a function's constants are decoded once
  std::vector<std::pair<OpKey, std::pair<int64_t, std::string>>> unsupported_;  // count, first node
  std::set<const void*> inputs_with_contents_;  // the initializers (protos) that are no constants
  std::string current_name_, current_source_;  // of the node being imported
  int64_t nodes_ = 0;
  int nesting_ = 0;
};

std::string node_name(const NodeProto& n, const Frame& frame);

}  // namespace ingot::onnx
