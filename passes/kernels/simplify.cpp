#include "ir/ops/def.h"
#include "passes/kernels/passes.h"

namespace ingot {

namespace {

void for_each_block(k::Block& block, const std::function<void(k::Block&)>& f) {
  for (k::Stage& s : block.stages) {
    for (k::Block& b : s.blocks) for_each_block(b, f);
  }
  f(block);
}

// The value that a map copies unchanged, or -1.
int copied_value(const k::Program& p, const k::Stage& s) {
  if (s.kind != k::StageKind::Map || s.results.size() != 1 || !s.body[0].is(ScalarOp::Read)) return -1;
  const ExprNode& read = *s.body[0];
  const TensorType& from = p.values[static_cast<size_t>(read.id)].tensor();
  const TensorType& to = p.values[static_cast<size_t>(s.results[0])].tensor();
  if (from.rank() != to.rank() || from.dtype != to.dtype) return -1;
  for (size_t k = 0; k < s.iters.size(); ++k) {
    const Expr& index = read.args[k];
    if (!index.is(ScalarOp::Index) || index->dim != Dim(s.iters[k].symbol)) return -1;
    if (!known_equal(from.dims[k], to.dims[k])) return -1;
  }
  return static_cast<int>(read.id);
}

void rename(k::Block& block, const Renaming& to) {
  for (k::Stage& s : block.stages) rename_reads(s, to);
  for (int& id : block.outputs) id = to(id);
}

}  // namespace

void rename_reads(k::Stage& s, const Renaming& to) {
  auto renamed = [&](const Expr& e) {
    return rewrite(e, [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read) return Expr();
      const int id = to(static_cast<int>(n.id));
      if (id == n.id) return Expr();
      ExprNode copy = n;
      copy.id = id;
      return ex::make(std::move(copy));
    });
  };
  for (auto* list : {&s.body, &s.targets, &s.init}) {
    for (Expr& e : *list) e = renamed(e);
  }
  if (s.condition) s.condition = renamed(s.condition);
  for (int& id : s.operands) {
    if (id >= 0) id = to(id);
  }
  for (k::Block& b : s.blocks) rename(b, to);
}

void for_each_stage(const k::Block& block, const std::function<void(const k::Stage&)>& f) {
  for (const k::Stage& s : block.stages) {
    f(s);
    for (const k::Block& b : s.blocks) for_each_stage(b, f);
  }
}

k::Stage elementwise(const k::Program& p, int from, int to, const std::function<Expr(Expr)>& f) {
  const TensorType& t = p.values[static_cast<size_t>(from)].tensor();
  k::Stage s;
  std::vector<Expr> index;
  for (const Dim& d : t.dims) {
    s.iters.push_back({Dim::iterator("i", d), d});
    index.push_back(ex::index(s.iters.back().symbol));
  }
  Expr read = ex::read(from, t.dtype, std::move(index));
  s.body = {f ? f(std::move(read)) : std::move(read)};
  s.results = {to};
  return s;
}

Uses count_uses(const k::Program& p) { return count_uses(p, p.body); }

Uses count_uses(const k::Program& p, const k::Block& block) {
  Uses u{std::vector<int>(p.values.size(), 0), std::vector<bool>(p.values.size(), false)};
  for_each_stage(block, [&](const k::Stage& s) {
    for (int id : k::reads(s)) {
      if (id >= 0) ++u.stages[static_cast<size_t>(id)];
    }
    for (int id : s.operands) {
      if (id >= 0) u.escapes[static_cast<size_t>(id)] = true;
    }
    for (const k::Block& b : s.blocks) {
      for (int id : b.outputs) u.escapes[static_cast<size_t>(id)] = true;
    }
  });
  for (int id : block.outputs) u.escapes[static_cast<size_t>(id)] = true;
  return u;
}

// A sum over one element is that element: the window of a 1x1 convolution is none. One iterator stays.
void drop_single_reduced(k::Stage& s) {
  if (s.kind != k::StageKind::Reduce || s.results.size() != 1) return;
  Substitution first;
  for (size_t k = 0; k < s.reds.size() && s.reds.size() > 1;) {
    if (!s.reds[k].extent.is(1)) {
      ++k;
      continue;
    }
    first.emplace(s.reds[k].symbol->id, Dim(0));
    s.reds.erase(s.reds.begin() + static_cast<long>(k));
  }
  if (first.empty()) return;
  for (Expr& e : s.body) e = substitute(e, first);
}

void remove_copies_and_dead(k::Program& p) {
  for_each_block(p.body, [](k::Block& b) {
    for (k::Stage& s : b.stages) drop_single_reduced(s);
  });
  std::vector<int> to(p.values.size());
  for (size_t k = 0; k < to.size(); ++k) to[k] = static_cast<int>(k);
  std::vector<bool> is_port(p.values.size(), false);
  for_each_block(p.body, [&](k::Block& b) {
    for (k::Stage& s : b.stages) {
      int from = copied_value(p, s);
      if (from >= 0) to[static_cast<size_t>(s.results[0])] = from;
    }
  });
  for (size_t k = 0; k < to.size(); ++k) {
    int id = to[k];
    while (to[static_cast<size_t>(id)] != id) id = to[static_cast<size_t>(id)];
    to[k] = id;
  }
  rename(p.body, [&](int id) { return to[static_cast<size_t>(id)]; });
  // From the end: a stage stays when a result is needed, or when it can fail the run or names a symbol.
  std::vector<bool> needed(p.values.size(), false);
  std::function<void(k::Block&)> sweep = [&](k::Block& block) {
    for (int id : block.outputs) needed[static_cast<size_t>(id)] = true;
    std::vector<k::Stage> kept;
    for (size_t i = block.stages.size(); i-- > 0;) {
      k::Stage& s = block.stages[i];
      bool keep = s.kind == k::StageKind::Read || s.kind == k::StageKind::Check || !s.symbols.empty();
      for (int id : s.results) keep |= needed[static_cast<size_t>(id)];
      if (!keep) continue;
      for (k::Block& b : s.blocks) sweep(b);
      for (int id : k::reads(s)) {
        if (id >= 0) needed[static_cast<size_t>(id)] = true;
      }
      kept.push_back(std::move(s));
    }
    block.stages.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  };
  sweep(p.body);
}

bool is_contraction(const k::Stage& s) {
  if (s.kind != k::StageKind::Reduce || s.combiner != k::Combiner::Sum || s.body.size() != 1) return false;
  Expr product = s.body[0];
  while (product.is(ScalarOp::Cast)) product = product->args[0];
  if (!product.is(ScalarOp::Mul)) return false;
  // An operand may read several values (zero points); the iterators that an operand depends on decide.
  auto uses = [](const Expr& e, const Symbol& symbol) {
    bool found = false;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Index && depends_on(n.dim, symbol)) found = true;
    });
    return found;
  };
  bool rows = false, columns = false, shared = false;
  for (const k::Iter& it : s.iters) {
    bool a = uses(product->args[0], it.symbol), b = uses(product->args[1], it.symbol);
    rows |= a && !b && !it.extent.is(1);
    columns |= b && !a && !it.extent.is(1);
  }
  for (const k::Iter& it : s.reds) {
    shared |= uses(product->args[0], it.symbol) && uses(product->args[1], it.symbol);
  }
  return shared && (rows || columns);
}

}  // namespace ingot
