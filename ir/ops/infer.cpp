// Types and shapes of a graph, from the operators' definitions: the definition is run into a scratch program, and the types
// of what it makes are the types of the node's outputs. Small integer tensors get their contents as dims in the same way
// (symbolic.h), so that Shape -> Gather -> Concat -> Reshape gives dims and not fresh symbols.
#include <algorithm>
#include <cassert>
#include <set>

#include "ir/dim_internal.h"
#include "ir/ops/def.h"
#include "ir/ops/known_extents.h"
#include "ir/ops/signature.h"
#include "ir/ops/symbolic.h"

namespace ingot {

namespace {

inline constexpr int64_t kMaxElements = int64_t{1} << 40;  // of one tensor; larger ones are refused
inline constexpr int kMaxTensorRank = 16;  // as INGOT_MAX_RANK in runtime/abi.h
inline constexpr int kMaxLoopRounds = 20;  // generalisations of carried shapes before giving up

inline constexpr int kMaxElementSize = 128;  // atoms in what is known of an element of a small tensor

// Errors quote what the model holds, which may be megabytes.
inline constexpr size_t kMaxMessage = 4000;

Error describe(Error e, const Node& node) {
  // A composite and what it consists of have one name: the inner one, which is nearer to the fault, is enough.
  if (e.message.find(fmt::format("\n  in node '{}' (", node.name)) != std::string::npos) return e;
  if (e.message.size() > kMaxMessage) e.message.resize(kMaxMessage), e.message += "...";
  std::string types;
  for (const Value* v : node.inputs) {
    if (!types.empty()) types += ", ";
    types += v ? v->type.str() : "-";
  }
  return std::move(e).context(fmt::format("in node '{}' ({}){}{}", node.name,
                                          node.source.empty() ? std::string(node.op()) : node.source,
                                          types.empty() ? "" : " with inputs ", types));
}

Result<void> check_size(const Type& t) {
  if (!t.is_tensor()) return {};
  if (t.tensor.rank() > kMaxTensorRank)
    return limit_exceeded("got rank {}, expected at most {}", t.tensor.rank(), kMaxTensorRank);
  for (const Dim& d : t.tensor.dims) {
    if (d.upper() < 0) return invalid("got a tensor of type {}, expected extents of at least 0", t.str());
  }
  // Extents that only the run knows count with their least, or 1: a tensor that is within the limit only where one of them is
  // 0 is not meant.
  int64_t elements = 1;
  for (const Dim& d : t.tensor.dims) {
    if (d.is(0)) return {};
    if (DimAccess::saturated(d) || __builtin_mul_overflow(elements, std::max<int64_t>(d.lower(), 1), &elements) ||
        elements > kMaxElements)
      return limit_exceeded("got a tensor of type {}, expected at most 2^40 elements", t.str());
  }
  return {};
}

void set_constant_type(Value& v) {
  if (v.type.kind == Type::Kind::None && v.constant) v.type = Type::of(v.constant->type());
}

Result<void> check_arity(const Node& node) {
  int n = static_cast<int>(node.inputs.size());
  if (n < node.def->min_inputs || (node.def->max_inputs >= 0 && n > node.def->max_inputs)) {
    return invalid("got {} inputs, expected {}{}", n, node.def->min_inputs,
                   node.def->max_inputs < 0                       ? " or more"
                   : node.def->max_inputs == node.def->min_inputs ? ""
                                                                  : fmt::format(" to {}", node.def->max_inputs));
  }
  for (int k = 0; k < node.def->min_inputs && !node.is("loop"); ++k) {
    if (!node.inputs[static_cast<size_t>(k)]) return invalid("got no input {}, expected one", k);
  }
  return {};
}

// An element that is too long to calculate with is read when the model runs.
void name_long_elements(Value& v) {
  for (size_t k = 0; k < v.elements->size(); ++k) {
    Dim& element = (*v.elements)[k];
    if (DimAccess::size(element) <= kMaxElementSize) continue;
    Symbol s = Dim::symbol(fmt::format("{}_{}", v.name, k), element.lower(), element.upper());
    v.reads.push_back({static_cast<int64_t>(k), s});
    element = Dim(s);
  }
}

// `every_run`: the graph, where every run of it reaches this node. What the node's checks then say about the inputs'
// extents is put into all types, and the definition runs again on those.
Result<void> infer_primitive(Node& node, Graph* every_run) {
  k::Program program;
  std::vector<int> ids;
  std::map<int, std::vector<Dim>> known;
  for (Value* v : node.inputs) {
    if (!v) {
      ids.push_back(-1);
      continue;
    }
    set_constant_type(*v);
    assert(v->type.kind != Type::Kind::None);
    int id = program.add({-1, v->name, v->type, v->constant});
    if (v->elements) known[id] = *v->elements;
    ids.push_back(id);
  }
  Def def(program, program.body, node, ids, 0);
  Result<void> defined = node.def->define(def);
  if (every_run) {
    if (Substitution fixed = fixed_extents(*every_run, program.body.stages); !fixed.empty()) {
      replace_extents(*every_run, std::move(fixed));
      node.symbols.clear();
      return infer_primitive(node, every_run);
    }
  }
  TRY(std::move(defined));
  TRY(check_signature(node));
  if (def.results().size() < node.outputs.size()) {
    return unsupported("got {} outputs asked for, expected at most {}", node.outputs.size(), def.results().size());
  }
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    Value* out = node.outputs[k];
    if (!out) continue;
    int id = def.results()[k];
    if (id < 0) return unsupported("output {} is asked for, but not computed", k);
    const k::Value& made = program.values[static_cast<size_t>(id)];
    TRY(check_size(made.type));
    out->type = made.type;
    const TensorType& t = made.tensor();
    bool small = made.type.is_tensor() && (is_int(t.dtype) || t.dtype == DType::Bool) && t.is_static() &&
                 t.elements() <= kMaxSymbolicElements;
    if (small && !out->elements) out->elements = symbolic_elements(program, id, known);
    if (out->elements) name_long_elements(*out);
  }
  return {};
}

// --- control flow ---------------------------------------------------------------------------------------------------

// What a copy puts in place of a value; itself where it has no copy.
using Copies = std::map<const Value*, Value*>;
Value* copy_of(Value* v, const Copies& to) {
  auto it = to.find(v);
  return it == to.end() ? v : it->second;
}

Value* clone_value(Graph& graph, Value* v, Node* producer, Copies& to) {
  if (!v) return nullptr;
  Value* c = graph.new_value(v->name, v->type);
  c->constant = v->constant;
  c->producer = producer;
  c->output_index = v->output_index;
  c->declared_rank = v->declared_rank;
  to[v] = c;
  return c;
}

std::unique_ptr<Region> clone_region(Graph& graph, const Region& region, Copies& to);

std::unique_ptr<Node> clone_node(Graph& graph, const Node& n, Copies& to) {
  auto c = std::make_unique<Node>();
  c->def = n.def;
  c->attrs = n.attrs;
  c->name = n.name;
  c->source = n.source;
  for (Value* v : n.inputs) c->inputs.push_back(copy_of(v, to));
  for (const auto& r : n.regions) c->regions.push_back(clone_region(graph, *r, to));
  for (Value* v : n.outputs) c->outputs.push_back(clone_value(graph, v, c.get(), to));
  return c;
}

std::unique_ptr<Region> clone_region(Graph& graph, const Region& region, Copies& to) {
  auto result = std::make_unique<Region>();
  for (Value* v : region.inputs) result->inputs.push_back(clone_value(graph, v, nullptr, to));
  for (const auto& n : region.nodes) result->nodes.push_back(clone_node(graph, *n, to));
  for (Value* v : region.outputs) result->outputs.push_back(copy_of(v, to));
  return result;
}

using Nodes = std::vector<std::unique_ptr<Node>>;
Result<void> infer_nodes(Graph& graph, Region& into, Nodes nodes);

Result<void> infer_region(Graph& graph, Region& region) {
  Nodes nodes = std::move(region.nodes);
  region.nodes.clear();
  TRY(infer_nodes(graph, region, std::move(nodes)));
  for (Value* v : region.outputs) {
    if (v) set_constant_type(*v);
  }
  return {};
}

// Merges the types of one value on two paths; extents that differ become `unknown(k)`.
Result<Type> merge(const Type& a, const Type& b, const std::function<Dim(const Dim&, const Dim&)>& unknown) {
  if (a.kind == Type::Kind::None) return b;  // of the items of an empty sequence
  if (b.kind == Type::Kind::None) return a;
  if (a.kind != b.kind)
    return unsupported("got {} on one path and {} on the other, expected the same kind", a.str(), b.str());
  switch (a.kind) {
    case Type::Kind::None: return a;
    case Type::Kind::Tensor: {
      if (a.tensor.dtype != b.tensor.dtype || a.tensor.rank() != b.tensor.rank()) {
        return unsupported("got {} on one path and {} on the other, expected the same dtype and rank", a.str(),
                           b.str());
      }
      Type t = a;
      for (size_t k = 0; k < t.tensor.dims.size(); ++k) {
        if (!known_equal(a.tensor.dims[k], b.tensor.dims[k]))
          t.tensor.dims[k] = unknown(a.tensor.dims[k], b.tensor.dims[k]);
      }
      return t;
    }
    case Type::Kind::Sequence:
    case Type::Kind::Optional:
    case Type::Kind::Map: {
      Type t = a;
      if (a.element && b.element) t.element = std::make_shared<const Type>(TRY(common_item(*a.element, *b.element)));
      return t;
    }
  }
  return a;
}

Symbol node_symbol(Node& node, size_t k, const Dim& bound) {
  while (node.symbols.size() <= k) {
    std::string base = node.outputs.empty() || !node.outputs[0] ? std::string(node.op()) : node.outputs[0]->name;
    node.symbols.push_back(Dim::symbol(fmt::format("{}_n{}", base, node.symbols.size()), 0, bound.upper()));
  }
  return node.symbols[k];
}

// Control flow computes every output of its body; those that nobody asked for get a value of their own.
void complete_outputs(Graph& graph, Node& node, size_t count) {
  node.outputs.resize(std::max(node.outputs.size(), count));
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    if (node.outputs[k]) continue;
    node.outputs[k] = graph.new_value(node.name + ".unused");
    node.outputs[k]->producer = &node;
    node.outputs[k]->output_index = static_cast<int>(k);
  }
}

// The branch that is always taken, or none.
std::optional<int> known_branch(const Value& condition) {
  if (condition.constant && condition.constant->elements() == 1) return condition.constant->integer(0) != 0 ? 0 : 1;
  if (condition.elements && condition.elements->size() == 1 && (*condition.elements)[0].is_constant()) {
    return (*condition.elements)[0].is(0) ? 1 : 0;
  }
  return std::nullopt;
}

bool same_shape_of_type(const Type& a, const Type& b) {
  return a.kind == b.kind &&
         (!a.is_tensor() || (a.tensor.dtype == b.tensor.dtype && a.tensor.rank() == b.tensor.rank()));
}

// Of one kind and one element type, as far as either is known.
bool same_elements(const Type& a, const Type& b) {
  if (a.kind == Type::Kind::None || b.kind == Type::Kind::None) return true;
  if (a.kind != b.kind) return false;
  if (a.element && b.element && !same_elements(*a.element, *b.element)) return false;
  const DType x = a.tensor.dtype, y = b.tensor.dtype;
  return x == y || x == DType::Invalid || y == DType::Invalid;
}

// The node's results are the outputs of `region`, whose nodes move to where the node stood.
Result<void> splice(Graph& graph, Region& into, const Node& node, Region& region) {
  for (auto& n : region.nodes) into.nodes.push_back(std::move(n));
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    if (!node.outputs[k]) continue;
    if (k >= region.outputs.size())
      return invalid("got {} outputs of a branch, expected {}", region.outputs.size(), node.outputs.size());
    auto alias = std::make_unique<Node>();
    alias->def = find_op("identity");
    alias->name = node.name;
    alias->source = node.source;
    alias->inputs = {region.outputs[k]};
    alias->outputs = {node.outputs[k]};
    node.outputs[k]->producer = alias.get();
    node.outputs[k]->output_index = 0;
    TRY(append_inferred(graph, into, std::move(alias)));
  }
  return {};
}

bool one_element(const Type& t) { return t.is_tensor() && t.tensor.is_static() && t.tensor.elements() == 1; }

// Outputs of the second branch that have one element get the rank that the first branch gives them.
Result<void> align_single_elements(Graph& graph, const Node& node, Region& yes, Region& no) {
  for (size_t k = 0; k < yes.outputs.size(); ++k) {
    const Type &to = yes.outputs[k]->type, &from = no.outputs[k]->type;
    if (same_shape_of_type(to, from) || !one_element(to) || !one_element(from) || to.tensor.dtype != from.tensor.dtype)
      continue;
    auto shape = TensorData::make(DType::I64, {to.tensor.rank()});
    std::fill_n(shape->mutable_as<int64_t>(), to.tensor.rank(), 1);
    auto n = std::make_unique<Node>();
    n->def = find_op("reshape");
    n->name = node.name;
    n->source = node.source;
    n->inputs = {no.outputs[k], graph.new_constant(node.name + ".shape", shape)};
    n->outputs = {graph.new_value(no.outputs[k]->name + ".aligned")};
    n->outputs[0]->producer = n.get();
    no.outputs[k] = n->outputs[0];
    TRY(append_inferred(graph, no, std::move(n)));
  }
  return {};
}

// What became of an If.
enum class Branches : uint8_t {
  Taken,  // one is always taken, and stands in its place
  Alike,  // both give values of one type
  Different,  // ranks differ: no value can stand for both
};

// Infers the branches. Single elements of different ranks, which broadcast alike, take the rank of the first branch.
Result<Branches> infer_branches(Graph& graph, Region& into, Node& node) {
  if (node.regions.size() != 2) return invalid("got {} branches, expected 2", node.regions.size());
  if (auto branch = known_branch(*node.inputs[0])) {
    Region& taken = *node.regions[static_cast<size_t>(*branch)];
    TRY(infer_region(graph, taken));
    TRY(splice(graph, into, node, taken));
    return Branches::Taken;
  }
  for (auto& r : node.regions) TRY(infer_region(graph, *r));
  Region &yes = *node.regions[0], &no = *node.regions[1];
  if (yes.outputs.size() != no.outputs.size())
    return invalid("got branches with {} and {} outputs, expected as many", yes.outputs.size(), no.outputs.size());
  TRY(align_single_elements(graph, node, yes, no));
  Branches result = Branches::Alike;
  for (size_t k = 0; k < yes.outputs.size(); ++k) {
    const Type &a = yes.outputs[k]->type, &b = no.outputs[k]->type;
    if (same_shape_of_type(a, b)) continue;
    if (!same_elements(a, b))
      return invalid("the branches give {} and {} as output {}, expected one element type", a.str(), b.str(), k);
    result = Branches::Different;
  }
  return result;
}

Error different_branches(const Node& node) {
  std::string types;
  for (size_t k = 0; k < node.regions[0]->outputs.size(); ++k) {
    const Type &a = node.regions[0]->outputs[k]->type, &b = node.regions[1]->outputs[k]->type;
    if (types.empty() && !same_shape_of_type(a, b)) types = fmt::format("{} and {}", a.str(), b.str());
  }
  return unsupported("got branches that give {}, expected one rank where the result leaves the graph", types);
}

// The symbols that are made in a region.
void collect_made(const Region& region, std::set<int64_t>& made) {
  auto reads = [&](const Value* v) {
    for (size_t k = 0; v && k < v->reads.size(); ++k) made.insert(v->reads[k].second->id);
  };
  for (const Value* v : region.inputs) reads(v);
  for_each_node(region, [&](const Node& n) {
    for (const Symbol& s : n.symbols) made.insert(s->id);
    for (const Value* v : n.outputs) reads(v);
  });
}

// Both branches are inferred already.
Result<void> infer_if(Graph& graph, Node& node) {
  const Region &yes = *node.regions[0], &no = *node.regions[1];
  if (yes.outputs.size() != no.outputs.size() || yes.outputs.size() < node.outputs.size()) {
    return invalid("got branches with {} and {} outputs, expected {}", yes.outputs.size(), no.outputs.size(),
                   node.outputs.size());
  }
  complete_outputs(graph, node, yes.outputs.size());
  size_t next = 0;
  for (size_t k = 0; k < yes.outputs.size(); ++k) {
    Type t = TRY(merge(yes.outputs[k]->type, no.outputs[k]->type,
                       [&](const Dim& a, const Dim& b) -> Dim { return node_symbol(node, next++, max(a, b)); }));
    std::set<int64_t> made;
    if (t.element) collect_made(yes, made), collect_made(no, made);
    node.outputs[k]->type = without_symbols(t, made);
  }
  return {};
}

// --- an If whose branches give different ranks ------------------------------------------------------------------------
//
//   c = if ... {squeeze x} else {x};  y = f(c);  z = g(y)     ->     z = if ... {g(f(squeeze x))} else {g(f(x))}
//
// What follows and depends on it is compiled for each branch. Exporters write such an If where one side is meant to be dead
// (`if dim == 1: squeeze`); what follows is then often wrong for the dead side, in any runtime. Such a side becomes a check
// that it is not taken, which says what would be wrong.

inline constexpr size_t kMaxReason = 1000;  // characters of a message that a compiled model carries
inline constexpr size_t kMaxBranchedValues = size_t{1} << 20;  // of a graph, with what is copied for branches

void collect_used(const Node& n, std::set<const Value*>& used) {
  used.insert(n.inputs.begin(), n.inputs.end());
  for (const auto& r : n.regions) {
    used.insert(r->outputs.begin(), r->outputs.end());
    for_each_node(static_cast<const Region&>(*r), [&](const Node& inner) {
      used.insert(inner.inputs.begin(), inner.inputs.end());
      for (const auto& q : inner.regions) used.insert(q->outputs.begin(), q->outputs.end());
    });
  }
}

// Takes from `nodes` those that depend on what `node` gives, in order; `made`: all that they and it give.
Nodes take_dependents(const Node& node, Nodes& nodes, std::set<const Value*>& made) {
  made.insert(node.outputs.begin(), node.outputs.end());
  made.erase(nullptr);
  Nodes dependents, others;
  for (auto& n : nodes) {
    std::set<const Value*> used;
    collect_used(*n, used);
    const bool depends = std::any_of(used.begin(), used.end(), [&](const Value* v) { return made.count(v) > 0; });
    if (depends) made.insert(n->outputs.begin(), n->outputs.end());
    made.erase(nullptr);
    (depends ? dependents : others).push_back(std::move(n));
  }
  nodes = std::move(others);
  return dependents;
}

// Moves `tail` into both branches of `node`, whose outputs become those of the values in `leaving` that the tail makes.
Result<void> branch_tail(Graph& graph, Region& into, std::unique_ptr<Node> node, const Nodes& tail,
                         const std::vector<Value*>& leaving) {
  if (graph.values.size() > kMaxBranchedValues)
    return limit_exceeded(
        "what follows branches of different ranks is compiled for each, which makes more than {} values",
        kMaxBranchedValues);
  std::vector<Result<void>> inferred;
  for (auto& branch : node->regions) {
    Copies copies;
    for (size_t k = 0; k < node->outputs.size(); ++k)
      if (node->outputs[k]) copies[node->outputs[k]] = branch->outputs[k];
    Nodes own;
    for (const auto& n : tail) own.push_back(clone_node(graph, *n, copies));
    std::vector<Value*> outputs;
    for (Value* v : leaving) outputs.push_back(copy_of(v, copies));
    branch->outputs = std::move(outputs);
    inferred.push_back(infer_nodes(graph, *branch, std::move(own)));
  }
  node->outputs = leaving;
  for (size_t k = 0; k < leaving.size(); ++k) {
    leaving[k]->producer = node.get();
    leaving[k]->output_index = static_cast<int>(k);
  }
  // A branch that gives another rank than the model declares is wrong, too.
  for (size_t b = 0; b < 2; ++b) {
    for (size_t k = 0; inferred[b] && k < leaving.size(); ++k) {
      const Type& t = node->regions[b]->outputs[k]->type;
      if (const auto& rank = leaving[k]->declared_rank; rank && t.is_tensor() && t.tensor.rank() != *rank)
        inferred[b] = invalid("'{}' is {}, expected rank {} as the model declares", leaving[k]->name, t.str(), *rank);
    }
  }
  const bool first = static_cast<bool>(inferred[0]), second = static_cast<bool>(inferred[1]);
  if (!first && !second) return std::move(inferred[0].error());
  if (first && second) {
    TRY(align_single_elements(graph, *node, *node->regions[0], *node->regions[1]));
    for (size_t k = 0; k < leaving.size(); ++k) {
      const Type &a = node->regions[0]->outputs[k]->type, &b = node->regions[1]->outputs[k]->type;
      if (!same_shape_of_type(a, b)) return different_branches(*node);
    }
    TRY(infer_if(graph, *node));
    into.nodes.push_back(std::move(node));
    return {};
  }
  const size_t dead = first ? 1 : 0;
  std::string why = inferred[dead].error().message;
  if (why.size() > kMaxReason) why.resize(kMaxReason), why += "...";
  auto assume = std::make_unique<Node>();
  assume->def = find_op("assume");
  assume->name = node->name;
  assume->source = node->source;
  assume->inputs = {node->inputs[0]};
  assume->attrs = {{"expected", static_cast<int64_t>(dead)},
                   {"message", fmt::format("the {} branch is taken, with which the model is wrong: {}",
                                           dead == 0 ? "first" : "second", why)}};
  TRY(append_inferred(graph, into, std::move(assume)));
  return splice(graph, into, *node, *node->regions[1 - dead]);
}

// Infers nodes in order, into a region whose outputs are set.
Result<void> infer_nodes(Graph& graph, Region& into, Nodes nodes) {
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (!nodes[k]->is("if")) {
      TRY(append_inferred(graph, into, std::move(nodes[k])));
      continue;
    }
    auto checked = [&, name = Node{nodes[k]->def, {}, nodes[k]->inputs, {}, {}, nodes[k]->name, nodes[k]->source, {}}](
                       Result<void> r) -> Result<void> {
      if (!r) return describe(std::move(r.error()), name);
      return r;
    };
    for (Value* v : nodes[k]->inputs)
      if (v) set_constant_type(*v);
    TRY(checked(check_arity(*nodes[k])));
    auto branches = infer_branches(graph, into, *nodes[k]);
    if (!branches) return checked(std::move(branches.error()));
    switch (*branches) {
      case Branches::Taken: break;
      case Branches::Alike:
        TRY(checked(infer_if(graph, *nodes[k])));
        into.nodes.push_back(std::move(nodes[k]));
        break;
      case Branches::Different: {
        std::unique_ptr<Node> node = std::move(nodes[k]);
        Nodes rest(std::make_move_iterator(nodes.begin() + static_cast<std::ptrdiff_t>(k) + 1),
                   std::make_move_iterator(nodes.end()));
        std::set<const Value*> made;
        Nodes tail = take_dependents(*node, rest, made);
        TRY(infer_nodes(graph, into, std::move(rest)));
        std::vector<Value*> leaving;
        for (Value* v : into.outputs)
          if (v && made.count(v) && std::find(leaving.begin(), leaving.end(), v) == leaving.end()) leaving.push_back(v);
        return checked(branch_tail(graph, into, std::move(node), tail, leaving));
      }
    }
  }
  return {};
}

// A node with one input and one output.
Node& append_unary(std::vector<std::unique_ptr<Node>>& nodes, std::string_view op, const Node& origin, Value* in,
                   Value* out) {
  auto n = std::make_unique<Node>();
  n->def = find_op(op);
  n->name = origin.name;
  n->source = origin.source;
  n->inputs = {in};
  n->outputs = {out};
  out->producer = n.get();
  out->output_index = 0;
  nodes.push_back(std::move(n));
  return *nodes.back();
}

// The symbols that only an iteration of this loop with this body knows.
std::set<int64_t> inner_symbols(const Node& loop, const Region& body) {
  std::set<int64_t> inner;
  collect_made(body, inner);
  for (size_t k = 0; k < body.inputs.size(); ++k) {
    if (k < 2 || !body.inputs[k]->type.is_tensor() || !loop.inputs[k]->type.is_tensor()) continue;
    std::map<int64_t, Symbol> inside, outside;
    for (const Dim& d : body.inputs[k]->type.tensor.dims) collect_symbols(d, inside);
    for (const Dim& d : loop.inputs[k]->type.tensor.dims) collect_symbols(d, outside);
    for (auto& [id, s] : inside)
      if (!outside.count(id)) inner.insert(id);
  }
  return inner;
}

// `after`: nodes to append behind the loop. A carried value may begin as an optional and be given as its element by the body:
// inside it is an optional all along, and the loop's result is the element.
Result<void> infer_loop(Graph& graph, Node& node, std::vector<std::unique_ptr<Node>>& after) {
  if (node.regions.size() != 1) return invalid("got {} bodies, expected 1", node.regions.size());
  Region& body = *node.regions[0];
  size_t carried = node.inputs.size() - 2;
  if (body.inputs.size() != carried + 2 || body.outputs.size() < carried + 1) {
    return invalid("got a body with {} inputs and {} outputs, expected {} inputs and at least {} outputs",
                   body.inputs.size(), body.outputs.size(), carried + 2, carried + 1);
  }
  size_t scanned = body.outputs.size() - carried - 1;
  if (node.outputs.size() > carried + scanned) {
    return invalid("got {} outputs asked for, expected at most {}", node.outputs.size(), carried + scanned);
  }
  complete_outputs(graph, node, carried + scanned);
  body.inputs[0]->type = Type::of({DType::I64, body.inputs[0]->type.tensor.dims});
  body.inputs[1]->type = Type::of({DType::Bool, body.inputs[1]->type.tensor.dims});
  for (size_t k = 0; k < carried; ++k) {
    Value* from = node.inputs[k + 2];
    if (!from) return invalid("got no initial value for carried value {}, expected one", k);
    set_constant_type(*from);
    body.inputs[k + 2]->type = from->type;
  }
  // Extents of carried values that an iteration changes become symbols. A trial on a copy finds them; each round
  // generalises at least one, and composites must not be expanded with types that are given up later.
  std::set<int64_t> general;  // those symbols; a loop around this one has its own
  for (int round = 0;; ++round) {
    if (round == kMaxLoopRounds)
      return unsupported("the shapes of carried values do not settle in {} rounds", kMaxLoopRounds);
    std::map<const Value*, Value*> copies;
    std::unique_ptr<Region> trial = clone_region(graph, body, copies);
    TRY(infer_region(graph, *trial));
    bool changed = false;
    const std::set<int64_t> inner = inner_symbols(node, *trial);
    for (size_t k = 0; k < carried; ++k) {
      const bool begins_optional = body.inputs[k + 2]->type.kind == Type::Kind::Optional;
      if (begins_optional && trial->outputs[k + 1]->type.kind != Type::Kind::Optional) {
        Value* some = graph.new_value(body.outputs[k + 1]->name + ".some");
        append_unary(body.nodes, "optional", node, body.outputs[k + 1], some);
        body.outputs[k + 1] = some;
        Value* element = node.outputs[k];
        node.outputs[k] = graph.new_value(element->name + ".optional");
        node.outputs[k]->producer = &node;
        node.outputs[k]->output_index = static_cast<int>(k);
        append_unary(after, "optional_get_element", node, node.outputs[k], element);
        changed = true;
        continue;
      }
      const Type given = without_symbols(trial->outputs[k + 1]->type, inner);
      Type merged = TRY(merge(body.inputs[k + 2]->type, given, [&](const Dim& d, const Dim&) -> Dim {
        auto s = d.as_symbol();
        if (s && general.count((*s)->id)) return d;
        changed = true;
        Symbol fresh = Dim::symbol(body.inputs[k + 2]->name + ".carried");
        general.insert(fresh->id);
        return Dim(fresh);
      }));
      changed = changed || !same_type(merged, body.inputs[k + 2]->type);
      body.inputs[k + 2]->type = merged;
    }
    if (!changed) break;
  }
  TRY(infer_region(graph, body));
  size_t next = 0;
  for (size_t k = 0; k < carried; ++k) {
    Type t = TRY(merge(node.inputs[k + 2]->type, body.inputs[k + 2]->type,
                       [&](const Dim&, const Dim&) -> Dim { return node_symbol(node, next++, Dim(kDimMax)); }));
    node.outputs[k]->type = t;
  }
  if (scanned == 0) return {};
  // Scanned elements whose extents only an iteration knows: the first one decides, the others are checked.
  const std::set<int64_t> inner = inner_symbols(node, body);
  std::vector<Type> elements;
  for (size_t k = 0; k < scanned; ++k) {
    elements.push_back(body.outputs[carried + 1 + k]->type);
    if (!elements.back().is_tensor())
      return unsupported("scanned output {} is {}, expected a tensor", k, elements.back().str());
    for (Dim& d : elements.back().tensor.dims) {
      std::map<int64_t, Symbol> used;
      collect_symbols(d, used);
      if (std::any_of(used.begin(), used.end(), [&](auto& s) { return inner.count(s.first) > 0; }))
        d = Dim(node_symbol(node, next++, Dim(kDimMax)));
    }
  }
  // The number of iterations is the trip count where nothing else ends the loop.
  Value* cond_out = body.outputs[0];
  bool only_count = cond_out == body.inputs[1];
  while (!only_count && cond_out->producer && cond_out->producer->is("identity")) {
    cond_out = cond_out->producer->inputs[0];
    only_count = cond_out == body.inputs[1];
  }
  auto known_true = [](const Value* v) {
    if (v->constant) return v->constant->elements() == 1 && v->constant->integer(0) != 0;
    return v->elements && v->elements->size() == 1 && (*v->elements)[0].is(1);
  };
  bool starts = !node.inputs[1] || known_true(node.inputs[1]);
  bool counted = starts && (only_count || known_true(cond_out));
  Dim count;
  Value* trip = node.inputs[0];
  if (counted && trip && trip->constant && trip->constant->elements() == 1) {
    count = std::max<int64_t>(trip->constant->integer(0), 0);
  } else if (counted && trip && trip->elements && trip->elements->size() == 1) {
    count = max((*trip->elements)[0], 0);
  } else {
    count = Dim(node_symbol(node, next, Dim(kDimMax)));
  }
  for (size_t k = 0; k < scanned; ++k) {
    Type t = elements[k];
    t.tensor.dims.insert(t.tensor.dims.begin(), count);
    TRY(check_size(t));
    node.outputs[carried + k]->type = t;
  }
  return {};
}

}  // namespace

Result<void> append_inferred(Graph& graph, Region& into, std::unique_ptr<Node> node) {
  for (Value* v : node->inputs) {
    if (v) set_constant_type(*v);
  }
  auto checked = [&](Result<void> r) -> Result<void> {
    if (!r) return describe(std::move(r.error()), *node);
    return r;
  };
  TRY(checked(check_arity(*node)));
  if (!node->def->expand) {
    if (node->is("if")) {
      auto branches = infer_branches(graph, into, *node);
      if (!branches) return describe(std::move(branches.error()), *node);
      if (*branches == Branches::Taken) return {};
      if (*branches == Branches::Different) return describe(different_branches(*node), *node);
      TRY(checked(infer_if(graph, *node)));
    } else if (node->is("loop")) {
      std::vector<std::unique_ptr<Node>> after;
      TRY(checked(infer_loop(graph, *node, after)));
      into.nodes.push_back(std::move(node));
      for (auto& n : after) TRY(append_inferred(graph, into, std::move(n)));
      return {};
    } else {
      TRY(checked(infer_primitive(*node, &into == &graph.body ? &graph : nullptr)));
    }
    into.nodes.push_back(std::move(node));
    return {};
  }
  TRY(checked(check_signature(*node)));
  Expand expand(graph, into, *node);
  TRY(checked(node->def->expand(expand)));
  const std::vector<Value*>& made = expand.results();
  for (size_t k = 0; k < node->outputs.size(); ++k) {
    Value* out = node->outputs[k];
    if (!out) continue;
    if (k >= made.size() || !made[k])
      return describe(unsupported("output {} is asked for, but not computed", k), *node);
    auto alias = std::make_unique<Node>();
    alias->def = find_op("identity");
    alias->name = node->name;
    alias->source = node->source;
    alias->inputs = {made[k]};
    alias->outputs = {out};
    out->producer = alias.get();
    out->output_index = 0;
    TRY(append_inferred(graph, into, std::move(alias)));
  }
  return {};
}

Result<void> infer_and_expand(Graph& graph) {
  for (Value* v : graph.body.inputs) {
    TRY(check_size(v->type));
    v->type = with_any_items(v->type);  // which items a run gives is not checked
  }
  TRY(infer_region(graph, graph.body));
  for (size_t k = 0; k < std::min(graph.declared.size(), graph.body.outputs.size()); ++k) {
    const Value* v = graph.body.outputs[k];
    if (v && !same_elements(v->type, graph.declared[k]))
      return invalid(
          "output '{}' is {}, expected {} as the model declares it", v->name, v->type.str(),
          graph.declared[k].is_tensor() ? std::string(name(graph.declared[k].tensor.dtype)) : graph.declared[k].str());
  }
  return {};
}

}  // namespace ingot
