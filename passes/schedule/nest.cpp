#include "passes/schedule/nest.h"

#include <algorithm>

namespace ingot {

Expr flatten_reads(const Expr& e, const k::Stage& stage, const Storages& storages) {
  return rewrite(e, [&](const ExprNode& n) {
    if (n.op != ScalarOp::Read) return Expr();
    const Storage& s = storages[static_cast<size_t>(n.id)];
    if (n.checked && !border_covers(n, stage, s)) return Expr();
    std::vector<Dim> index;
    bool inside = true;
    for (size_t k = 0; k < s.dims.size(); ++k) {
      auto d = as_dim(n.args[k]);
      if (!d) return Expr();
      inside &= n.checked || (known_less_equal(0, *d) && known_less(*d, s.dims[k]));
      index.push_back(*d);
    }
    ExprNode load{ScalarOp::Load, n.type};
    load.checked = !inside;  // only where a select takes it
    load.id = n.id;
    load.dim = s.offset(index);
    return ex::make(std::move(load));
  });
}

namespace {

// Merging a (outer) and b (inner): every offset walks b's full extent per step of a.
bool mergeable(const Nest& nest, const k::Iter& a, const k::Iter& b) {
  bool ok = true;
  for_each_dim(nest, [&](const Dim& d, bool is_offset) {
    if (!ok) return;
    if (!depends_on(d, a.symbol) && !depends_on(d, b.symbol)) return;
    if (!is_offset) {
      ok = false;
      return;
    }
    auto fa = affine_in(d, a.symbol);
    auto fb = affine_in(d, b.symbol);
    ok = fa && fb && !depends_on(fa->coefficient, b.symbol) && known_equal(fa->coefficient, fb->coefficient * b.extent);
  });
  return ok;
}

void merge_list(Nest& nest, std::vector<k::Iter> Nest::* list, size_t first) {
  for (size_t k = first; k + 1 < (nest.*list).size();) {
    k::Iter a = (nest.*list)[k], b = (nest.*list)[k + 1];
    if (a.extent.is(1) || b.extent.is(1)) {
      const k::Iter& one = a.extent.is(1) ? a : b;
      substitute(nest, {{one.symbol->id, Dim(0)}});
      (nest.*list).erase((nest.*list).begin() + static_cast<long>(a.extent.is(1) ? k : k + 1));
      if (k > first) --k;
      continue;
    }
    if (!mergeable(nest, a, b)) {
      ++k;
      continue;
    }
    Dim extent = a.extent * b.extent;
    k::Iter merged{Dim::iterator(b.symbol->name, extent), extent};
    substitute(nest, {{a.symbol->id, Dim(0)}, {b.symbol->id, Dim(merged.symbol)}});
    (nest.*list)[k] = merged;
    (nest.*list).erase((nest.*list).begin() + static_cast<long>(k) + 1);
    if (k > first) --k;
  }
}

}  // namespace

std::vector<Dim> target_index(const k::Stage& s) {
  std::vector<Dim> index;
  if (s.targets.empty()) {
    for (const k::Iter& it : s.iters) index.push_back(Dim(it.symbol));
  }
  for (const Expr& e : s.targets) index.push_back(*as_dim(e));
  return index;
}

Nest make_nest(const k::Stage& s, const Storages& storages) {
  Nest n;
  n.kind = s.kind;
  n.combiner = s.combiner;
  n.node = s.node;
  n.reds = s.reds;
  const Storage& out = storages[static_cast<size_t>(s.results[0])];
  for (int d : out.order) n.iters.push_back(s.iters[static_cast<size_t>(d)]);
  for (const Expr& e : s.body) n.body.push_back(flatten_reads(e, s, storages));
  const std::vector<Dim> index = target_index(s);
  for (int r : s.results) n.results.push_back({r, storages[static_cast<size_t>(r)].offset(index)});
  return n;
}

void for_each_dim(const Nest& nest, const std::function<void(const Dim&, bool)>& f) {
  for (const Expr& e : nest.body) {
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Load) f(n.dim, true);
      if (n.op == ScalarOp::Index) f(n.dim, false);
    });
  }
  for (const Nest::Result& r : nest.results) f(r.offset, true);
}

void substitute(Nest& nest, const Substitution& with) {
  for (Expr& e : nest.body) e = substitute(e, with);
  for (Expr& e : nest.extra) e = substitute(e, with);
  for (Nest::Result& r : nest.results) r.offset = substitute(r.offset, with);
}

void collapse(Nest& nest, size_t first) {
  merge_list(nest, &Nest::iters, first);
  merge_list(nest, &Nest::reds, 0);
}

void split_divided(Nest& nest, std::vector<k::Iter> Nest::* member, int64_t least) {
  std::vector<k::Iter>& list = nest.*member;
  for (size_t k = 0; k < list.size(); ++k) {
    const k::Iter it = list[k];
    if (!it.extent.is_constant()) continue;
    int64_t divisor = 0;
    std::function<void(const Dim&)> look = [&](const Dim& d) {
      for (const Dim::Term& t : d.terms()) {
        for (const Dim::Atom& a : t.atoms) {
          if (a.kind == Dim::AtomKind::Symbol) continue;
          auto s = a.a.as_symbol();
          if ((a.kind == Dim::AtomKind::FloorDiv || a.kind == Dim::AtomKind::Mod) && s && (*s)->id == it.symbol->id &&
              a.b.is_constant()) {
            const int64_t v = a.b.value();
            if (v >= least && v < it.extent.value() && it.extent.value() % v == 0) divisor = std::max(divisor, v);
          }
          look(a.a), look(a.b);
        }
      }
    };
    for_each_dim(nest, [&](const Dim& d, bool) { look(d); });
    if (divisor == 0) continue;
    k::Iter hi{Dim::iterator(it.symbol->name + "o", it.extent.value() / divisor), it.extent.value() / divisor};
    k::Iter lo{Dim::iterator(it.symbol->name, divisor), divisor};
    substitute(nest, {{it.symbol->id, Dim(hi.symbol) * divisor + Dim(lo.symbol)}});
    list[k] = lo;
    list.insert(list.begin() + static_cast<long>(k), hi);
    --k;
  }
}

Dim elements(const std::vector<k::Iter>& iters) {
  Dim d = 1;
  for (const k::Iter& it : iters) d *= it.extent;
  return d;
}

Dim bytes_of(const std::vector<int>& values, const Storages& storages, const std::optional<Dim>& accesses) {
  constexpr size_t kMaxTerms = 16;
  Dim total = 0;
  for (int id : values) {
    const Storage& s = storages[static_cast<size_t>(id)];
    const bool both = accesses && (s.elements.is_constant() || accesses->is_constant());
    total += (both ? min(s.elements, *accesses) : s.elements) * std::max(bits(s.dtype) / 8, 1);
    if (total.terms().size() > kMaxTerms) return 0;
  }
  return total;
}

int64_t body_cost(const Nest& nest) {
  int64_t cost = 1;
  for (const Expr& e : nest.body) {
    visit(e, [&](const ExprNode& n) {
      switch (n.op) {
        case ScalarOp::Exp:
        case ScalarOp::Log:
        case ScalarOp::Tanh:
        case ScalarOp::Erf:
        case ScalarOp::Sigmoid:
        case ScalarOp::Pow:
        case ScalarOp::Sin:
        case ScalarOp::Cos: cost += 10; break;
        case ScalarOp::Index:
        case ScalarOp::Const: break;
        default: ++cost;
      }
    });
  }
  return cost;
}

// --- pieces ---------------------------------------------------------------------------------------------------------

namespace {

inline constexpr size_t kMaxPieces = 128;  // beyond, each element decides

// Where `d` (affine in it, coefficient 1) crosses `bound`: the value of the iterator at which d == bound.
std::optional<Dim> crossing(const Dim& d, const Dim& bound, const k::Stage& s, const Symbol& it) {
  auto a = affine_in(d - bound, it);
  if (!a || !(a->coefficient.is(1) || a->coefficient.is(-1))) return std::nullopt;
  for (const k::Iter& other : s.iters) {
    if (depends_on(a->rest, other.symbol)) return std::nullopt;
  }
  for (const k::Iter& other : s.reds) {
    if (depends_on(a->rest, other.symbol)) return std::nullopt;
  }
  return a->coefficient.is(1) ? Dim(0) - a->rest : a->rest + 1;
}

}  // namespace

std::vector<k::Stage> split_domain(const k::Stage& s, const k::Program& program) {
  if (s.kind != k::StageKind::Map) return {s};
  for (size_t k = 0; k < s.iters.size(); ++k) {
    const k::Iter& it = s.iters[k];
    std::vector<Dim> cuts;
    auto add = [&](std::optional<Dim> cut) {
      if (!cut || cuts.size() >= kMaxPieces) return;
      if (!known_less(0, *cut) || !known_less(*cut, it.extent)) return;
      for (const Dim& c : cuts) {
        if (c == *cut) return;
      }
      cuts.push_back(*cut);
    };
    for (const Expr& e : s.body) {
      visit(e, [&](const ExprNode& n) {
        if ((n.op == ScalarOp::Lt || n.op == ScalarOp::Le || n.op == ScalarOp::Gt || n.op == ScalarOp::Ge)) {
          auto a = as_dim(n.args[0]), b = as_dim(n.args[1]);
          if (!a || !b) return;
          bool strict = n.op == ScalarOp::Lt || n.op == ScalarOp::Ge;  // a < b | a >= b change at a == b
          add(crossing(*a, strict ? *b : *b + 1, s, it.symbol));
        }
        if (n.op == ScalarOp::Read && n.checked) {
          const TensorType& t = program.values[static_cast<size_t>(n.id)].tensor();
          for (size_t d = 0; d < t.dims.size(); ++d) {
            auto index = as_dim(n.args[d]);
            if (!index || !depends_on(*index, it.symbol)) continue;
            add(crossing(*index, 0, s, it.symbol));
            add(crossing(*index, t.dims[d], s, it.symbol));
          }
        }
      });
    }
    if (cuts.empty()) continue;
    bool ordered = true;
    std::sort(cuts.begin(), cuts.end(), [&](const Dim& a, const Dim& b) { return known_less(a, b); });
    for (size_t j = 0; j + 1 < cuts.size(); ++j) ordered &= known_less(cuts[j], cuts[j + 1]);
    if (!ordered) continue;
    cuts.insert(cuts.begin(), Dim(0));
    cuts.push_back(it.extent);
    std::vector<k::Stage> pieces;
    for (size_t j = 0; j + 1 < cuts.size(); ++j) {
      k::Stage piece = s;
      // `targets` of a map: where the piece lies in the result.
      if (piece.targets.empty()) {
        for (const k::Iter& i : s.iters) piece.targets.push_back(ex::index(i.symbol));
      }
      Dim extent = cuts[j + 1] - cuts[j];
      piece.iters[k] = {Dim::iterator(it.symbol->name, extent), extent};
      Substitution shift = {{it.symbol->id, Dim(piece.iters[k].symbol) + cuts[j]}};
      for (Expr& e : piece.body) e = substitute(e, shift);
      for (Expr& e : piece.targets) e = substitute(e, shift);
      for (k::Stage& finer : split_domain(piece, program)) pieces.push_back(std::move(finer));
      if (pieces.size() > kMaxPieces) return {s};
    }
    return pieces;
  }
  return {s};
}

// --- reductions -----------------------------------------------------------------------------------------------------

Expr neutral(Combiner c, DType t) {
  switch (c) {
    case Combiner::Sum:
    case Combiner::Or: return ex::number(t, 0);
    case Combiner::Prod: return ex::number(t, 1);
    case Combiner::And: return t == DType::Bool ? ex::boolean(true) : ex::integer(t, -1);
    case Combiner::Max:
    case Combiner::ArgMaxFirst:
    case Combiner::ArgMaxLast: return ex::lowest(t);
    case Combiner::Min:
    case Combiner::ArgMinFirst:
    case Combiner::ArgMinLast: return ex::highest(t);
    case Combiner::Assign: break;
  }
  return ex::number(t, 0);
}

Expr combine(Combiner c, Expr acc, Expr v) {
  ExprNode n{ScalarOp::Add, acc.type()};
  n.lanes = acc.lanes();
  switch (c) {
    case Combiner::Sum:
      if (v.is(ScalarOp::Mul) && is_float(v.type()) && v.lanes() == acc.lanes()) {
        n.op = ScalarOp::Fma;
        n.args = {v->args[0], v->args[1], acc};
        return ex::make(std::move(n));
      }
      break;
    case Combiner::Prod: n.op = ScalarOp::Mul; break;
    case Combiner::Max: n.op = ScalarOp::Max; break;
    case Combiner::Min: n.op = ScalarOp::Min; break;
    case Combiner::And: n.op = ScalarOp::And; break;
    case Combiner::Or: n.op = ScalarOp::Or; break;
    default: break;
  }
  n.args = {std::move(acc), std::move(v)};
  return ex::make(std::move(n));
}

}  // namespace ingot
