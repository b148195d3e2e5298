// G to K: every node's definition is run once more, now into the program of the whole model. From here on there are no
// operators, only stages.
#include <algorithm>

#include "ir/ops/def.h"

namespace ingot {

namespace {

class Lowering {
 public:
  Result<k::Program> run(const Graph& graph) {
    program_.name = graph.name;
    for (Value* v : graph.body.inputs) program_.inputs.push_back(value(v));
    for (Value* v : graph.body.inputs) emit_reads(program_.body, v);
    TRY(region(graph.body, program_.body));
    return std::move(program_);
  }

 private:
  int value(Value* v) {
    if (!v) return -1;
    auto [it, fresh] = ids_.try_emplace(v, -1);
    if (fresh) it->second = program_.add({-1, v->name, v->type, v->constant});
    return it->second;
  }

  void emit_reads(k::Block& block, Value* v) {
    if (v->reads.empty()) return;
    k::Stage s;
    s.kind = k::StageKind::Read;
    s.node = origin_;
    s.operands = {value(v)};
    for (auto& [element, symbol] : v->reads) {
      s.elements.push_back(element);
      s.symbols.push_back(symbol);
    }
    block.stages.push_back(std::move(s));
  }

  Result<void> region(const Region& region, k::Block& block) {
    for (const auto& node : region.nodes) {
      origin_ = static_cast<int>(program_.origins.size());
      program_.origins.push_back(node->name.empty() ? node->source : node->name);
      if (node->is("if")) {
        TRY(lower_if(*node, block));
      } else if (node->is("loop")) {
        TRY(lower_loop(*node, block));
      } else {
        TRY(primitive(*node, block));
      }
      for (Value* v : node->outputs) {
        if (v) emit_reads(block, v);
      }
    }
    for (Value* v : region.outputs) block.outputs.push_back(value(v));
    checks_first(block);
    return {};
  }

  // Conditions on extents come as soon as their symbols are known. Memory is laid out for all that a block makes: an
  // extent that does not fit further down would let what is made before it write outside.
  static void checks_first(k::Block& block) {
    std::map<int64_t, size_t> known_after;  // symbol -> stages until it is known
    for (size_t k = 0; k < block.stages.size(); ++k)
      for (const Symbol& s : block.stages[k].symbols) known_after[s->id] = k + 1;
    std::vector<std::vector<size_t>> order(block.stages.size() + 1);  // by the number of stages before
    for (size_t k = 0; k < block.stages.size(); ++k) {
      const k::Stage& s = block.stages[k];
      size_t at = k;
      if (s.kind == k::StageKind::Check) {
        std::map<int64_t, Symbol> used;
        collect_symbols(s.condition_dim, used);
        if (s.got) collect_symbols(*s.got, used);
        at = 0;
        for (const auto& [id, symbol] : used)
          if (auto known = known_after.find(id); known != known_after.end()) at = std::max(at, known->second);
        at = std::min(at, k);
      }
      order[at].push_back(k);
    }
    std::vector<k::Stage> sorted;
    for (const std::vector<size_t>& stages : order) {
      // Checks of this place go before the stage that stood there.
      for (bool checks : {true, false})
        for (size_t k : stages)
          if ((block.stages[k].kind == k::StageKind::Check) == checks) sorted.push_back(std::move(block.stages[k]));
    }
    block.stages = std::move(sorted);
  }

  Result<void> primitive(Node& node, k::Block& block) {
    std::vector<int> inputs;
    for (Value* v : node.inputs) inputs.push_back(value(v));
    Def def(program_, block, node, inputs, origin_);
    const size_t first = block.stages.size();
    TRY(node.def->define(def));
    check_extents(node, block.stages, first);
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (!node.outputs[k]) continue;
      int id = def.results()[k];
      ids_[node.outputs[k]] = id;
      program_.values[static_cast<size_t>(id)].name = node.outputs[k]->name;
    }
    return {};
  }

  // An extent that may be negative, as that of a window over too short an axis, is checked before the first of the node's
  // stages that runs over it. Extents of inputs are not: whoever made these did it.
  void check_extents(const Node& node, std::vector<k::Stage>& stages, size_t first) {
    std::vector<Dim> checked, conditions;
    for (const Value* v : node.inputs)
      if (v && v->type.is_tensor())
        checked.insert(checked.end(), v->type.tensor.dims.begin(), v->type.tensor.dims.end());
    auto is_checked = [&](const Dim& d) {
      return d.lower() >= 0 ||
             std::any_of(checked.begin(), checked.end(), [&](const Dim& e) { return known_equal(d, e); }) ||
             std::find(conditions.begin(), conditions.end(), Dim(1) - less(d, 0)) != conditions.end();
    };
    std::vector<k::Stage> with_checks(std::make_move_iterator(stages.begin() + static_cast<std::ptrdiff_t>(first)),
                                      std::make_move_iterator(stages.end()));
    stages.resize(first);
    for (k::Stage& s : with_checks) {
      for (const auto* iters : {&s.iters, &s.reds}) {
        for (size_t axis = 0; axis < iters->size(); ++axis) {
          const Dim& d = (*iters)[axis].extent;
          if (is_checked(d)) continue;
          checked.push_back(d);
          k::Stage check;
          check.kind = k::StageKind::Check;
          check.node = origin_;
          check.condition_dim = Dim(1) - less(d, 0);
          check.got = d;
          check.message = iters == &s.iters ? fmt::format("at least 0 as extent {} of the output", axis)
                                            : std::string("at least 0 as an extent to reduce");
          stages.push_back(std::move(check));
        }
      }
      if (s.kind == k::StageKind::Check) conditions.push_back(s.condition_dim);
      stages.push_back(std::move(s));
    }
  }

  Result<void> lower_if(const Node& node, k::Block& block) {
    k::Stage s;
    s.kind = k::StageKind::If;
    s.node = origin_;
    s.operands = {value(node.inputs[0])};
    s.symbols = node.symbols;
    for (const auto& r : node.regions) {
      k::Block b;
      TRY(region(*r, b));
      s.blocks.push_back(std::move(b));
    }
    size_t count = node.regions[0]->outputs.size();
    for (size_t k = 0; k < count; ++k) {
      const Type &yes = node.regions[0]->outputs[k]->type, &no = node.regions[1]->outputs[k]->type;
      if (yes.is_tensor()) {
        for (size_t d = 0; d < yes.tensor.dims.size(); ++d) {
          // Extents of the branches may turn out equal after the result got a symbol: a later check says so.
          const auto own = node.outputs[k]->type.tensor.dims[d].as_symbol();
          const auto& all = node.symbols;
          if (!own || std::none_of(all.begin(), all.end(), [&](const Symbol& n) { return n->id == (*own)->id; }))
            continue;
          s.blocks[0].symbols.push_back(yes.tensor.dims[d]);
          s.blocks[1].symbols.push_back(no.tensor.dims[d]);
        }
      }
      s.results.push_back(value(node.outputs[k]));
    }
    block.stages.push_back(std::move(s));
    return {};
  }

  Result<void> lower_loop(const Node& node, k::Block& block) {
    k::Stage s;
    s.kind = k::StageKind::Loop;
    s.node = origin_;
    s.symbols = node.symbols;
    for (Value* v : node.inputs) s.operands.push_back(value(v));
    const Region& body = *node.regions[0];
    k::Block b;
    for (Value* v : body.inputs) b.params.push_back(value(v));
    for (Value* v : body.inputs) emit_reads(b, v);
    TRY(region(body, b));
    size_t carried = node.inputs.size() - 2;
    for (size_t k = 0; k < carried; ++k) {
      const Type &initial = node.inputs[k + 2]->type, &inside = body.inputs[k + 2]->type;
      if (!initial.is_tensor()) continue;
      for (size_t d = 0; d < initial.tensor.dims.size(); ++d) {
        if (known_equal(initial.tensor.dims[d], inside.tensor.dims[d])) continue;
        s.carried_symbols.push_back(*inside.tensor.dims[d].as_symbol());
        s.symbol_init.push_back(initial.tensor.dims[d]);
        b.symbols.push_back(body.outputs[k + 1]->type.tensor.dims[d]);
      }
    }
    for (size_t k = carried; k < node.outputs.size(); ++k) {
      const Dims &inside = body.outputs[k + 1]->type.tensor.dims, &outside = node.outputs[k]->type.tensor.dims;
      for (size_t d = 0; d < inside.size(); ++d) {
        if (known_equal(inside[d], outside[d + 1])) continue;
        s.carried_symbols.push_back(Dim::symbol(node.outputs[k]->name + ".last"));
        s.symbol_init.push_back(0);
        b.symbols.push_back(inside[d]);
      }
    }
    for (Value* v : node.outputs) s.results.push_back(value(v));
    s.blocks.push_back(std::move(b));
    block.stages.push_back(std::move(s));
    return {};
  }

  k::Program program_;
  std::map<const Value*, int> ids_;  // looked up only
  int origin_ = -1;
};

}  // namespace

Result<k::Program> lower_to_kernels(const Graph& graph) { return Lowering().run(graph); }

}  // namespace ingot
