// G, the graph: SSA values of tensors (or sequences, optionals, maps), nodes from the op table, regions for control flow.
//
// Node order in a region is execution order and is topological. A region's body may use values of the regions around
// it. Attributes carry ONNX's names and are checked against the op table.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/types.h"
#include "support/result.h"

namespace ingot {

struct OpDef;
struct Node;
struct Region;

using AttrValue = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>,
                               std::vector<std::string>, TensorRef>;

// Sorted by name.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, AttrValue>> list) {
    for (auto& [k, v] : list) set(k, v);
  }
  const AttrValue* find(std::string_view name) const;
  void set(std::string name, AttrValue value);
  void erase(std::string_view name);
  const std::vector<std::pair<std::string, AttrValue>>& items() const { return items_; }

 private:
  std::vector<std::pair<std::string, AttrValue>> items_;
};

struct Value {
  std::string name;  // unique within the graph after import
  Type type;  // kind None until inferred
  TensorRef constant;  // contents of a constant
  TensorRef fallback;  // of an input of the graph: its contents in a run that is given none
  Node* producer = nullptr;  // null: an input of a region, or a constant
  int output_index = 0;
  std::optional<int> declared_rank;  // of an output of the model or of a region, as the model declares it
  // Contents of an integer or bool tensor of up to kMaxSymbolicElements elements, where they are expressions of dims.
  std::optional<std::vector<Dim>> elements;
  // Symbols (in `elements`) that are read from this value at run time: (element, symbol).
  std::vector<std::pair<int64_t, Symbol>> reads;
};
inline constexpr int64_t kMaxSymbolicElements = 64;
inline constexpr int kMaxRegionDepth = 64;  // of If, Loop, ... inside each other

struct Node {
  const OpDef* def = nullptr;
  Attrs attrs;
  std::vector<Value*> inputs;  // null: an optional input that is absent
  std::vector<Value*> outputs;  // null: an output nobody asked for
  std::vector<std::unique_ptr<Region>> regions;
  std::string name;  // of the source model
  std::string source;  // "Conv, opset 17": for messages
  std::vector<Symbol> symbols;  // extents that this node decides at run time; created by inference

  std::string_view op() const;
  bool is(std::string_view op_name) const { return op() == op_name; }
};

struct Region {
  std::vector<Value*> inputs;
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<Value*> outputs;
};

struct Graph {
  std::string name;
  std::vector<std::unique_ptr<Value>> values;  // owns every value of every region
  Region body;
  // What the source declares the outputs to be, for the check against what is inferred: kinds and element types. A type of
  // kind None, or a missing one, says nothing.
  std::vector<Type> declared;

  Value* new_value(std::string name, Type type = {});  // makes the name unique
  Value* new_constant(std::string name, TensorRef data);

 private:
  std::map<std::string, int> names_;
};

// An input of a graph that a run need not be given.
inline bool may_stay_unset(const Value& input) { return input.fallback || input.type.kind == Type::Kind::Optional; }

// The text form; see ir/graph/text.cpp. `elide_long` leaves out the contents of large constants, for people.
std::string str(const Graph&, bool elide_long = false);
Result<Graph> parse_graph(std::string_view text);  // in ir/ops/graph_text.cpp, as it needs the table
Result<void> verify(const Graph&);  // uses after definitions, arity and attributes as in the op table

// Every node in order, each before the nodes of its regions.
void for_each_node(Region&, const std::function<void(Node&)>&);
void for_each_node(const Region&, const std::function<void(const Node&)>&);

}  // namespace ingot
