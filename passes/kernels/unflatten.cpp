// v[m] = f(m), m < B*S;  y[b, s] = g(v[b*S + s])   ->   v[b, s] = f(b*S + s);  y[b, s] = g(v[b, s])
//
// Models flatten [batch, sequence, n] to [batch*sequence, n] before a product and unflatten it behind. The value is given the
// dims of its readers: then these run over the same index space, so that they can be the product's epilogue, and what
// f reads at (b*S + s) div S is at b.
#include <functional>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

class Unflattener {
 public:
  explicit Unflattener(k::Program& p) : p_(p), uses_(count_uses(p)), splits_(p.values.size()) {}

  void run() {
    for_each_stage(p_.body, [&](const k::Stage& s) {
      const bool computes = s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce;
      for (int id : s.results) {
        Split& split = splits_[static_cast<size_t>(id)];
        split.possible = computes && s.results.size() == 1 && !uses_.escapes[static_cast<size_t>(id)];
      }
    });
    for_each_stage(p_.body, [&](const k::Stage& s) { look_at_reads(s); });
    for (size_t id = 0; id < splits_.size(); ++id) {
      Split& split = splits_[id];
      if (!split.possible || !split.found) continue;
      std::vector<Dim>& dims = p_.values[id].type.tensor.dims;
      const Dim outer = floordiv(dims[split.dim], split.inner);
      dims[split.dim] = outer;
      dims.insert(dims.begin() + static_cast<long>(split.dim) + 1, split.inner);
      split.outer = outer;
    }
    block(p_.body);
  }

 private:
  struct Split {
    bool possible = false, found = false;
    size_t dim = 0;
    Dim outer, inner;
  };

  // The dim of the read at which it is `hi*E + lo` with lo < E two iterators of the result, and E. A window that its stride
  // covers (a pooling of 2 by 2) reads so too, with a reduced iterator: it keeps its image.
  static bool match(const ExprNode& read, const std::vector<Dim>& dims, const k::Stage& s, size_t& dim, Dim& inner) {
    for (size_t d = 0; d < dims.size(); ++d) {
      auto index = as_dim(read.args[d]);
      if (!index) continue;
      for (const k::Iter& lo : s.iters) {
        if (lo.extent.is(1)) continue;
        auto a = affine_in(*index, lo.symbol);
        if (!a || !a->coefficient.is(1)) continue;
        for (const k::Iter& hi : s.iters) {
          if (hi.symbol->id == lo.symbol->id || hi.extent.is(1)) continue;
          if (!known_equal(a->rest, Dim(hi.symbol) * lo.extent) || !known_equal(dims[d], hi.extent * lo.extent))
            continue;
          dim = d;
          inner = lo.extent;
          return true;
        }
      }
    }
    return false;
  }

  void look_at_reads(const k::Stage& s) {
    auto look = [&](const Expr& e) {
      if (!e) return;
      visit(e, [&](const ExprNode& n) {
        if (n.op != ScalarOp::Read) return;
        Split& split = splits_[static_cast<size_t>(n.id)];
        if (!split.possible) return;
        size_t dim = 0;
        Dim inner;
        const bool matches = !n.checked && match(n, p_.values[static_cast<size_t>(n.id)].tensor().dims, s, dim, inner);
        if (!matches || (split.found && (split.dim != dim || !known_equal(split.inner, inner)))) {
          split.possible = false;
          return;
        }
        split.found = true;
        split.dim = dim;
        split.inner = inner;
      });
    };
    for (const auto* list : {&s.body, &s.targets, &s.init})
      for (const Expr& e : *list) look(e);
    look(s.condition);
  }

  void block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) block(inner);
      for (auto* list : {&s.body, &s.targets, &s.init})
        for (Expr& e : *list) e = reads_of(e);
      if (s.condition) s.condition = reads_of(s.condition);
      if (s.results.size() != 1) continue;
      const Split& split = splits_[static_cast<size_t>(s.results[0])];
      if (!split.possible || !split.found) continue;
      const k::Iter old = s.iters[split.dim];
      const k::Iter hi{Dim::iterator(old.symbol->name, split.outer), split.outer};
      const k::Iter lo{Dim::iterator(old.symbol->name, split.inner), split.inner};
      for (Expr& e : s.body) e = substitute(e, {{old.symbol->id, Dim(hi.symbol) * split.inner + Dim(lo.symbol)}});
      s.iters[split.dim] = hi;
      s.iters.insert(s.iters.begin() + static_cast<long>(split.dim) + 1, lo);
    }
  }

  Expr reads_of(const Expr& e) const {
    if (!e) return e;
    return rewrite(e, [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read) return Expr();
      const Split& split = splits_[static_cast<size_t>(n.id)];
      if (!split.possible || !split.found) return Expr();
      ExprNode m = n;
      const Dim index = *as_dim(n.args[split.dim]);
      m.args[split.dim] = ex::index(floordiv(index, split.inner));
      m.args.insert(m.args.begin() + static_cast<long>(split.dim) + 1, ex::index(mod(index, split.inner)));
      return ex::make(std::move(m));
    });
  }

  k::Program& p_;
  const Uses uses_;
  std::vector<Split> splits_;  // by value
};

}  // namespace

void unflatten(k::Program& p) { Unflattener(p).run(); }

}  // namespace ingot
