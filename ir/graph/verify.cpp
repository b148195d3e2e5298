// Checks what every pass relies on: each value has one definition before its uses, and nodes agree with the op table.
#include <unordered_set>

#include "ir/graph/graph.h"
#include "ir/graph/op_def.h"

namespace ingot {

namespace {

bool takes_attribute(std::string_view list, std::string_view name) {
  for (size_t at = 0; at < list.size();) {
    size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == name) return true;
    at = end + 1;
  }
  return false;
}

class Verifier {
 public:
  explicit Verifier(const Graph& g) : graph_(g) {}

  Result<void> run() {
    for (const auto& v : graph_.values) {
      if (!v) return invalid("got a null value in the graph's list");
      owned_.insert(v.get());
      if (v->constant && !v->producer) visible_.insert(v.get());
    }
    return region(graph_.body, 0);
  }

 private:
  Result<void> define(const Value* v, const Node* producer, int index) {
    if (!owned_.contains(v)) return invalid("got a value that the graph does not own");
    if (v->producer != producer) return invalid("got value '{}' whose producer is another node", v->name);
    if (producer && v->output_index != index)
      return invalid("got value '{}' with output index {}, expected {}", v->name, v->output_index, index);
    if (!defined_.insert(v).second) return invalid("got a second definition of value '{}'", v->name);
    visible_.insert(v);
    return {};
  }

  Result<void> use(const Value* v) {
    if (!owned_.contains(v)) return invalid("got a value that the graph does not own");
    if (!visible_.contains(v)) return invalid("got value '{}', expected one that is defined before", v->name);
    return {};
  }

  Result<void> region(const Region& r, int depth) {
    if (depth > kMaxRegionDepth) return limit_exceeded("got regions nested deeper than {} levels", kMaxRegionDepth);
    std::vector<const Value*> local;
    for (const Value* v : r.inputs) {
      if (!v) return invalid("got a null input of a region");
      TRY(define(v, nullptr, 0));
      local.push_back(v);
    }
    for (const auto& n : r.nodes) {
      if (!n) return invalid("got a null node");
      auto ok = node(*n, depth);
      if (!ok)
        return std::move(ok.error())
            .context(fmt::format("in node '{}' ({})", n->name, n->source.empty() ? std::string(n->op()) : n->source));
      for (const Value* v : n->outputs)
        if (v) local.push_back(v);
    }
    for (const Value* v : r.outputs) {
      if (!v) return invalid("got a null output of a region");
      TRY(use(v));
    }
    for (const Value* v : local) visible_.erase(v);
    return {};
  }

  Result<void> node(const Node& n, int depth) {
    if (!n.def) return invalid("got a node without an operator");
    auto count = static_cast<int>(n.inputs.size());
    if (count < n.def->min_inputs || (n.def->max_inputs >= 0 && count > n.def->max_inputs)) {
      std::string most = n.def->max_inputs < 0 ? "any number" : std::to_string(n.def->max_inputs);
      return invalid("got {} inputs, expected {} to {}", count, n.def->min_inputs, most);
    }
    for (const Value* v : n.inputs)
      if (v) TRY(use(v));
    for (const auto& [name, value] : n.attrs.items())
      if (!takes_attribute(n.def->attrs, name))
        return invalid("got attribute '{}', expected one of: {}", name, n.def->attrs);
    for (const auto& r : n.regions) {
      if (!r) return invalid("got a null region");
      TRY(region(*r, depth + 1));
    }
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i]) TRY(define(n.outputs[i], &n, static_cast<int>(i)));
    return {};
  }

  const Graph& graph_;
  std::unordered_set<const Value*> owned_, defined_, visible_;
};

}  // namespace

Result<void> verify(const Graph& g) { return Verifier(g).run(); }

}  // namespace ingot
