// y[i] = f(x[g(i)]), x[j] = h(j)  ->  y[i] = f(h(g(i)))
//
// Fusion by composition: a map is written into the stages that read it. It pays when the value is not needed in memory
// and nothing is computed twice that costs more than a load. An access (transpose, slice, reshape, broadcast) costs
// nothing, so it goes into all its readers; arithmetic goes into one reader that visits each element once. The operands
// of a contraction are read many times: only accesses are written into those, and only where they stay a single read at
// linear indices, which is what its schedule needs. A read at an index from data can fail: it is written only into a reader
// that surely reads each of its elements, so that an index out of range is reported whether or not it is fused.
#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int kMaxInlinedNodes = 600;  // of one body; beyond, the value is stored
inline constexpr int kCheapOps = 2;  // arithmetic that may be done again for each reader

struct Cost {
  int nodes = 0;  // of the formula as it is written, where a shared part counts each time; at most kMaxInlinedNodes + 1
  int arithmetic = 0;  // scalar operations, weighted
  int reads = 0;
  int branches = 0;  // selects over reads: concat, pad
  bool data_index = false;
};

Cost cost_of(const Expr& e) {
  Cost c;
  std::unordered_map<const ExprNode*, int> nodes;
  visit(e, [&](const ExprNode& n) {  // operands first
    int size = 1;
    for (const Expr& a : n.args) size = std::min(kMaxInlinedNodes + 1, size + (a ? nodes[a.get()] : 0));
    nodes[&n] = c.nodes = size;
    switch (n.op) {
      case ScalarOp::Const:
      case ScalarOp::Index: break;
      case ScalarOp::Read:
        ++c.reads;
        if (n.checked) ++c.branches;
        for (const Expr& a : n.args) c.data_index |= !a.is(ScalarOp::Index) && !a.is(ScalarOp::Const);
        break;
      case ScalarOp::Select: ++c.branches, ++c.arithmetic; break;
      case ScalarOp::Div:
      case ScalarOp::Sqrt:
      case ScalarOp::Rem:
      case ScalarOp::FloorMod: c.arithmetic += 3; break;
      case ScalarOp::Exp:
      case ScalarOp::Log:
      case ScalarOp::Expm1:
      case ScalarOp::Log1p:
      case ScalarOp::Sin:
      case ScalarOp::Cos:
      case ScalarOp::Tan:
      case ScalarOp::Asin:
      case ScalarOp::Acos:
      case ScalarOp::Atan:
      case ScalarOp::Sinh:
      case ScalarOp::Cosh:
      case ScalarOp::Tanh:
      case ScalarOp::Asinh:
      case ScalarOp::Acosh:
      case ScalarOp::Atanh:
      case ScalarOp::Erf:
      case ScalarOp::Sigmoid:
      case ScalarOp::Pow:
      case ScalarOp::Atan2: c.arithmetic += 12; break;
      default: ++c.arithmetic;
    }
  });
  return c;
}

// How often each part of a formula stands in it as it is written.
std::unordered_map<const ExprNode*, int64_t> occurrences(const Expr& e) {
  std::vector<const ExprNode*> parts;
  visit(e, [&](const ExprNode& n) { parts.push_back(&n); });
  std::unordered_map<const ExprNode*, int64_t> times{{e.get(), 1}};
  for (auto n = parts.rbegin(); n != parts.rend(); ++n)
    for (const Expr& a : (*n)->args)
      if (a) times[a.get()] = std::min<int64_t>(kMaxInlinedNodes + 1, times[a.get()] + times[*n]);
  return times;
}

Dim numel(const std::vector<k::Iter>& iters) {
  Dim d = 1;
  for (const k::Iter& it : iters) d *= it.extent;
  return d;
}

// One read, at indices without a minimum or comparison (those of a reflected border).
bool plain_access(const Expr& e) {
  if (!e.is(ScalarOp::Read)) return false;
  bool plain = true;
  std::function<void(const Dim&)> look = [&](const Dim& d) {
    for (const Dim::Term& t : d.terms()) {
      for (const Dim::Atom& a : t.atoms) {
        if (a.kind == Dim::AtomKind::Symbol) continue;
        plain &= a.kind == Dim::AtomKind::FloorDiv || a.kind == Dim::AtomKind::Mod;
        look(a.a), look(a.b);
      }
    }
  };
  for (size_t k = 0; k + (e->checked ? 1 : 0) < e->args.size(); ++k) {
    auto index = as_dim(e->args[k]);
    if (!index) return false;
    look(*index);
  }
  return plain;
}

// The parts of a formula that are computed for every index, whatever a select chooses.
std::unordered_set<const ExprNode*> unconditional(const Expr& e) {
  std::unordered_set<const ExprNode*> parts;
  std::vector<const ExprNode*> open{e.get()};
  while (!open.empty()) {
    const ExprNode* n = open.back();
    open.pop_back();
    if (!parts.insert(n).second) continue;
    const size_t end = n->op == ScalarOp::Select ? 1 : n->args.size();
    for (size_t k = 0; k < end; ++k)
      if (n->args[k]) open.push_back(n->args[k].get());
  }
  return parts;
}

// Whether each index of the read is an iterator of its own, whose extent is that of the dimension.
bool indexed_by_iterators(const ExprNode& read, const std::vector<Dim>& extents, const std::vector<k::Iter>& iters) {
  std::vector<bool> used(iters.size(), false);
  for (size_t k = 0; k < extents.size(); ++k) {
    const auto index = as_dim(read.args[k]);
    size_t it = 0;
    while (it < iters.size() && (!index || used[it] || !known_equal(*index, Dim(iters[it].symbol)))) ++it;
    if (it == iters.size() || !known_equal(extents[k], iters[it].extent)) return false;
    used[it] = true;
  }
  return true;
}

// x[j], where x's dims are iterators of the reader, or the row-major position of j in x is that of the reader's own index: every
// element of x is read.
bool reads_every_element(const k::Stage& producer, const k::Stage& consumer, const ExprNode& read) {
  std::vector<k::Iter> own = consumer.iters;
  if (consumer.kind == k::StageKind::Reduce) own.insert(own.end(), consumer.reds.begin(), consumer.reds.end());
  std::vector<Dim> extents;
  for (const k::Iter& it : producer.iters) extents.push_back(it.extent);
  if (indexed_by_iterators(read, extents, own)) return true;
  Dim position = 0, own_position = 0;
  for (size_t k = 0; k < extents.size(); ++k) {
    const auto index = as_dim(read.args[k]);
    if (!index) return false;
    position = position * extents[k] + *index;
  }
  for (const k::Iter& it : own) own_position = own_position * it.extent + Dim(it.symbol);
  return known_equal(numel(producer.iters), numel(own)) && known_equal(position, own_position);
}

class Inliner {
 public:
  explicit Inliner(k::Program& p) : p_(p) {}

  bool round() {
    uses_ = count_uses(p_);
    changed_ = false;
    definitions_.assign(p_.values.size(), nullptr);
    all_definitions_.assign(p_.values.size(), nullptr);
    block(p_.body);
    return changed_;
  }

 private:
  void block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) block(inner);
      bool contraction = is_contraction(s);
      switch (s.kind) {
        case k::StageKind::Map:
        case k::StageKind::Reduce:
        case k::StageKind::Scan:
        case k::StageKind::Scatter:
          written_.clear();
          for (Expr& e : s.body) e = into(s, e, contraction);
          for (Expr& e : s.targets) e = into(s, e, contraction);
          drop_unread(s);
          break;
        default: break;
      }
      for (int id : s.results) all_definitions_[static_cast<size_t>(id)] = &s;
      if (s.kind == k::StageKind::Map && s.results.size() == 1) definitions_[static_cast<size_t>(s.results[0])] = &s;
    }
  }

  // The body of a map that the stage alone read, and reads no more: kept until the end of the round, the bodies of a chain
  // would be as long together as kMaxInlinedNodes for each of its nodes.
  void drop_unread(const k::Stage& consumer) {
    if (written_.empty()) return;
    const std::vector<int> still_read = k::reads(consumer);
    for (k::Stage* producer : written_) {
      int id = producer->results[0];
      auto v = static_cast<size_t>(id);
      if (uses_.stages[v] != 1 || uses_.escapes[v] || producer->body[0].type() == DType::String) continue;
      if (std::find(still_read.begin(), still_read.end(), id) != still_read.end()) continue;
      definitions_[v] = nullptr;
      all_definitions_[v] = nullptr;
      const DType t = producer->body[0].type();
      producer->body = {ex::integer(t, 0)};
      producer->fused = {};
    }
  }

  // `c`: of the producer's body.
  bool pays(const k::Stage& producer, const Cost& c, const k::Stage& consumer, bool contraction) const {
    size_t v = static_cast<size_t>(producer.results[0]);
    bool access = producer.body[0].is(ScalarOp::Read) && !c.data_index;
    bool free = c.reads == 0 && c.arithmetic <= kCheapOps;  // a constant, an index
    if (free) return true;
    if (uses_.escapes[v]) return false;
    if (contraction) return access && !producer.body[0]->checked;
    if (access && c.branches == 0) return true;
    if (consumer.kind == k::StageKind::Scan || consumer.kind == k::StageKind::Scatter) return false;
    bool single = uses_.stages[v] == 1;
    if (!single && (c.arithmetic > kCheapOps || c.branches > 0 || c.data_index || follows_contraction(producer)))
      return false;
    // Nothing may be computed more often than it is now.
    Dim visits = numel(consumer.iters) * (consumer.kind == k::StageKind::Reduce ? numel(consumer.reds) : Dim(1));
    return known_less_equal(visits, numel(producer.iters)) ||
           (c.arithmetic <= kCheapOps && c.reads <= 1 && c.branches == 0 && !follows_contraction(producer));
  }

  // Such an operand is computed when it is packed.
  bool reads_constants(const Expr& e) const {
    bool constant = true;
    visit(e, [&](const ExprNode& n) {
      constant &= n.op != ScalarOp::Read || p_.values[static_cast<size_t>(n.id)].constant;
    });
    return constant;
  }

  // What follows a contraction costs nothing there, in registers.
  bool follows_contraction(const k::Stage& map) const {
    for (int id : k::reads(map)) {
      const k::Stage* s = all_definitions_[static_cast<size_t>(id)];
      if (s && is_contraction(*s)) return true;
    }
    return false;
  }

  // y[i, j] = x[j, i], of the same extents.
  bool is_permutation(const k::Stage& s) const {
    if (!s.body[0].is(ScalarOp::Read) || s.body[0]->checked) return false;
    const std::vector<Dim>& extents = p_.values[static_cast<size_t>(s.body[0]->id)].tensor().dims;
    return extents.size() == s.iters.size() && indexed_by_iterators(*s.body[0], extents, s.iters);
  }

  // y[i, j] = x[i, j + c], read outside of y along i alone.
  bool is_part(const k::Stage& s, const ExprNode& read) const {
    if (!s.body[0].is(ScalarOp::Read) || s.body[0]->checked) return false;
    const std::vector<Dim>& extents = p_.values[static_cast<size_t>(s.body[0]->id)].tensor().dims;
    if (extents.size() != s.iters.size()) return false;
    for (size_t k = 0; k < extents.size(); ++k) {
      auto from = as_dim(s.body[0]->args[k]), at = as_dim(read.args[k]);
      const Dim own(s.iters[k].symbol), &extent = s.iters[k].extent;
      if (from && known_equal(*from, own) && known_equal(extents[k], extent)) continue;
      if (!from || !known_equal(*from - own, substitute(*from, {{s.iters[k].symbol->id, Dim(0)}}))) return false;
      if (!at || !known_less_equal(0, *at) || !known_less(*at, extent)) return false;
    }
    return true;
  }

  // The producer's body at the consumer's index; none where it cannot be said.
  Expr compose(const k::Stage& producer, const ExprNode& read) const {
    Substitution dims;
    std::vector<std::pair<int64_t, Expr>> data;  // iterators replaced by data-dependent indices
    for (size_t k = 0; k < producer.iters.size(); ++k) {
      const Expr& index = read.args[k];
      int64_t id = producer.iters[k].symbol->id;
      if (auto d = as_dim(index)) {
        dims.emplace(id, *d);
      } else {
        data.push_back({id, index});
      }
    }
    Expr body = producer.body[0];
    if (!data.empty()) {
      bool possible = true;
      body = rewrite(body, [&](const ExprNode& n) {
        if (n.op == ScalarOp::Index) {
          for (auto& [id, index] : data) {
            auto s = n.dim.as_symbol();
            if (s && (*s)->id == id) return index;
            std::map<int64_t, Symbol> inside;
            collect_symbols(n.dim, inside);
            if (inside.count(id)) possible = false;
          }
        }
        return Expr();
      });
      if (!possible) return {};
    }
    body = substitute(body, dims);
    if (!read.checked) return body;
    if (is_permutation(producer) || is_part(producer, read)) {  // what is outside of the one is outside of the other
      ExprNode n = *body;
      n.checked = true;
      n.args.push_back(read.args.back());
      return ex::make(std::move(n));
    }
    const std::vector<Dim>& extents = p_.values[static_cast<size_t>(read.id)].tensor().dims;
    Expr inside = ex::boolean(true);
    for (size_t k = 0; k < extents.size(); ++k) {
      inside = inside && read.args[k] >= ex::index(0) && read.args[k] < ex::index(extents[k]);
    }
    return ex::select(inside, body, read.args[extents.size()]);
  }

  static void note(k::Stage& consumer, int node) {
    if (node < 0 || node == consumer.node) return;
    if (std::find(consumer.fused.begin(), consumer.fused.end(), node) == consumer.fused.end())
      consumer.fused.push_back(node);
  }

  Expr into(k::Stage& consumer, const Expr& e, bool contraction) {
    // A value that is read twice at the same index is written in once, and both share it.
    const Expr whole = share(e);
    int budget = kMaxInlinedNodes - cost_of(whole).nodes;
    const auto occurs = occurrences(whole);
    std::optional<std::unordered_set<const ExprNode*>> always;  // made where it is asked for: few values are gathered
    const Expr out = rewrite(whole, [&](const ExprNode& n) {
      Expr same;  // keeps the node
      if (n.op != ScalarOp::Read) return same;
      k::Stage* producer = definitions_[static_cast<size_t>(n.id)];
      if (!producer) return same;
      const Cost cost = cost_of(producer->body[0]);
      if (!pays(*producer, cost, consumer, contraction)) return same;
      if (cost.data_index) {
        if (!always) always = unconditional(whole);
        if (!always->count(&n) || !reads_every_element(*producer, consumer, n)) return same;
      }
      // Of a read whose own indices were rewritten the copy is not in the table: it occurs once or more.
      auto times = occurs.find(&n);
      const int64_t size = int64_t{cost.nodes} * (times == occurs.end() ? 1 : times->second);
      if (size > budget) return same;
      Expr composed = compose(*producer, n);
      if (!composed || (contraction && !reads_constants(composed) && !plain_access(composed))) return same;
      budget -= static_cast<int>(size);
      changed_ = true;
      if (std::find(written_.begin(), written_.end(), producer) == written_.end()) written_.push_back(producer);
      note(consumer, producer->node);
      for (int node : producer->fused) note(consumer, node);
      return composed;
    });
    return out.get() == whole.get() ? whole : share(out);
  }

  k::Program& p_;
  Uses uses_;
  std::vector<k::Stage*> definitions_;  // maps, by value
  std::vector<const k::Stage*> all_definitions_;
  std::vector<k::Stage*> written_;  // the maps that were written into the stage at hand
  bool changed_ = false;
};

inline constexpr int kMaxRounds = 12;  // each round can make a value single-use that was not before

}  // namespace

void inline_maps(k::Program& p) {
  Inliner inliner(p);
  for (int round = 0; round < kMaxRounds && inliner.round(); ++round) remove_copies_and_dead(p);
}

}  // namespace ingot
