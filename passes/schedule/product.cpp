#include "passes/schedule/product.h"

#include <algorithm>

namespace ingot {

namespace {

bool all_constant(const Expr& e, const k::Program& p) {
  bool constant = true;
  visit(e, [&](const ExprNode& n) {
    if (n.op == ScalarOp::Read || n.op == ScalarOp::Load)
      constant &= p.values[static_cast<size_t>(n.id)].constant != nullptr;
  });
  return constant;
}

class Finder {
 public:
  Finder(const k::Stage& reduce, const k::Stage* epilogue, const k::Program& p, const Storages& s,
         const std::vector<k::Iter>& bound)
      : reduce_(reduce), epilogue_(epilogue), p_(p), storages_(s), bound_(bound) {}

  std::optional<Product> run() {
    x_.type = reduce_.body[0].type();
    if (!find_operands() || !find_roles()) return std::nullopt;
    return std::move(x_);
  }

 private:
  // Splits the product, builds the nest over the final result, and orders the operands so that B is the packed one.
  bool find_operands() {
    Expr product = reduce_.body[0];
    while (product.is(ScalarOp::Cast)) product = product->args[0];
    if (!product.is(ScalarOp::Mul) || product.type() != x_.type) return false;
    Expr a = product->args[0], b = product->args[1];
    const k::Stage& last = epilogue_ ? *epilogue_ : reduce_;
    x_.sums = reduce_.results[0];
    x_.result = last.results[0];
    const Storage& out = storages_[static_cast<size_t>(x_.result)];
    // The final result is indexed by the reduction's iterators.
    Substitution to_reduce;
    std::vector<k::Iter> by_dim = reduce_.iters;
    std::vector<Dim> index = target_index(reduce_);
    if (epilogue_) {
      const ExprNode* acc = find_accumulator(epilogue_->body[0]);
      index.clear();
      by_dim.clear();
      for (const k::Iter& it : epilogue_->iters) {
        Dim at = 0;
        k::Iter from{nullptr, 1};
        for (size_t d = 0; d < reduce_.iters.size(); ++d) {
          auto i = as_dim(acc->args[d]);
          if (i && *i == Dim(it.symbol)) at = Dim(reduce_.iters[d].symbol), from = reduce_.iters[d];
        }
        to_reduce.emplace(it.symbol->id, at);
        index.push_back(at);
        by_dim.push_back(from);
      }
      for (size_t k = 0; k < epilogue_->targets.size(); ++k)
        index[k] = substitute(*as_dim(epilogue_->targets[k]), to_reduce);
    }
    for (int d : out.order) {
      if (by_dim[static_cast<size_t>(d)].symbol) nest_.iters.push_back(by_dim[static_cast<size_t>(d)]);
    }
    nest_.node = last.node;
    nest_.kind = k::StageKind::Reduce;
    nest_.reds = reduce_.reds;
    nest_.results = {{x_.result, out.offset(index)}};
    bool a_constant = all_constant(a, p_), b_constant = all_constant(b, p_);
    if (a_constant && b_constant) return false;
    bool swap = a_constant;
    if (!a_constant && !b_constant) {
      // The side that owns the contiguous iterator of the result is read in vectors.
      for (const k::Iter& it : nest_.iters) {
        auto co = affine_in(nest_.results[0].offset, it.symbol);
        if (co && co->coefficient.is(1) && !it.extent.is(1)) swap = depends(a, it.symbol) && !depends(b, it.symbol);
      }
    }
    if (swap) std::swap(a, b), std::swap(a_constant, b_constant);
    x_.constant_b = b_constant;
    nest_.body = {flatten_reads(a, reduce_, storages_)};
    if (!x_.constant_b) nest_.body.push_back(flatten_reads(b, reduce_, storages_));
    x_.a_read = a;
    nest_.extra = {b};
    if (epilogue_)
      nest_.extra.push_back(substitute(flatten_epilogue(*epilogue_, reduce_.results[0], storages_), to_reduce));
    // An iterator of extent 1 that the epilogue does not follow.
    for (const k::Iter& it : reduce_.iters) {
      bool kept = std::any_of(nest_.iters.begin(), nest_.iters.end(),
                              [&](const k::Iter& k) { return k.symbol->id == it.symbol->id; });
      if (!kept) substitute(nest_, {{it.symbol->id, Dim(0)}});
    }
    if (!only_load(nest_.body[0])) return false;
    if (!x_.constant_b && !only_load(nest_.body[1])) return false;
    split_divided(nest_, &Nest::iters, 2);
    split_divided(nest_, &Nest::reds, 2);
    order_reduction();
    merge();
    return true;
  }

  const ExprNode* find_accumulator(const Expr& e) const {
    const ExprNode* found = nullptr;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Read && n.id == reduce_.results[0]) found = &n;
    });
    return found;
  }

  // Innermost: the reduced iterator that A walks in the smallest steps.
  void order_reduction() {
    const Dim& a = only_load(nest_.body[0])->dim;
    auto step = [&](const k::Iter& it) -> int64_t {
      auto f = affine_in(a, it.symbol);
      if (!f) return kDimMax;
      int64_t c = f->coefficient.constant().value_or(kDimMax / 2);
      return c == 0 ? kDimMax - 1 : std::abs(c);
    };
    std::stable_sort(nest_.reds.begin(), nest_.reds.end(),
                     [&](const k::Iter& x, const k::Iter& y) { return step(x) > step(y); });
  }

  // Neighbours that A (and a B that is not packed) walks as one become one: the filter's row and its channels. A packed B
  // follows through div and mod.
  void merge() {
    collapse_list(nest_.iters, true);
    collapse_list(nest_.reds, false);
  }

  void collapse_list(std::vector<k::Iter>& list, bool with_results) {
    for (size_t k = 0; k < list.size();) {
      if (list[k].extent.is(1)) {
        substitute(nest_, {{list[k].symbol->id, Dim(0)}});
        list.erase(list.begin() + static_cast<long>(k));
        continue;
      }
      ++k;
    }
    for (size_t k = 0; k + 1 < list.size();) {
      const k::Iter a = list[k], b = list[k + 1];
      bool ok = true;
      auto check = [&](const Dim& d) {
        if (!depends_on(d, a.symbol) && !depends_on(d, b.symbol)) return;
        auto fa = affine_in(d, a.symbol), fb = affine_in(d, b.symbol);
        ok &= fa && fb && known_equal(fa->coefficient, fb->coefficient * b.extent);
      };
      for (const Expr& e : nest_.body) check(only_load(e)->dim);
      if (with_results) {
        check(nest_.results[0].offset);
        for (const Expr& e : nest_.extra) {
          bool is_b = &e == &nest_.extra[0];
          if (is_b && !x_.constant_b) continue;
          visit(e, [&](const ExprNode& n) {
            if (n.op == ScalarOp::Load) check(n.dim);
          });
          // A constant operand is packed along all of a merged iterator.
          if (is_b && depends(e, a.symbol) != depends(e, b.symbol)) ok = false;
          if (!is_b && epilogue_needs(e, a.symbol, b.symbol)) ok = false;
        }
      }
      if (!ok) {
        ++k;
        continue;
      }
      Dim extent = a.extent * b.extent;
      k::Iter merged{Dim::iterator(b.symbol->name, extent), extent};
      substitute(nest_, {{a.symbol->id, floordiv(Dim(merged.symbol), b.extent)},
                         {b.symbol->id, mod(Dim(merged.symbol), b.extent)}});
      list[k] = merged;
      list.erase(list.begin() + static_cast<long>(k) + 1);
      if (k > 0) --k;
    }
  }

  // Whether the epilogue uses one of the iterators other than through flat loads and the sums themselves.
  bool epilogue_needs(const Expr& e, const Symbol& a, const Symbol& b) const {
    bool needs = false;
    std::function<void(const Expr&)> walk = [&](const Expr& x) {
      if (x.is(ScalarOp::Read) && x->id == reduce_.results[0]) return;
      if (x.is(ScalarOp::Index)) needs |= depends_on(x->dim, a) || depends_on(x->dim, b);
      for (const Expr& arg : x->args) walk(arg);
    };
    walk(e);
    return needs;
  }

  bool find_roles() {
    const Dim a = only_load(nest_.body[0])->dim;
    for (const k::Iter& it : bound_) {
      if (depends(x_.b(), it.symbol)) x_.batch.push_back({it, depends_on(a, it.symbol), true, true});
    }
    for (const k::Iter& it : nest_.reds) {
      if (depends_on(a, it.symbol) && !affine_in(a, it.symbol)) return false;
    }
    for (const k::Iter& it : nest_.iters) {
      bool in_a = depends_on(a, it.symbol), in_b = depends(x_.b(), it.symbol);
      if (in_a && !affine_in(a, it.symbol)) return false;
      if (!affine_in(nest_.results[0].offset, it.symbol)) return false;
      if (in_b && !in_a) {
        x_.columns.push_back(it);
      } else if (in_a && !in_b) {
        x_.rows.push_back(it);
      } else {
        x_.batch.push_back({it, in_a, in_b});
      }
    }
    return true;
  }

  const k::Stage& reduce_;
  const k::Stage* epilogue_;
  const k::Program& p_;
  const Storages& storages_;
  const std::vector<k::Iter>& bound_;
  Product x_;
  Nest& nest_ = x_.nest;
};

}  // namespace

const ExprNode* only_load(const Expr& e) {
  Expr x = e;
  while (x.is(ScalarOp::Cast)) x = x->args[0];
  return x.is(ScalarOp::Load) ? x.get() : nullptr;
}

bool depends(const Expr& e, const Symbol& s) {
  bool found = false;
  visit(e, [&](const ExprNode& n) {
    if (n.op == ScalarOp::Index || n.op == ScalarOp::Load || n.op == ScalarOp::Ramp) found |= depends_on(n.dim, s);
  });
  return found;
}

k::Iter take_column(Product& product) {
  const std::vector<k::Iter>& columns = product.columns;
  size_t best = columns.size() - 1;
  for (size_t k = 0; k < columns.size(); ++k) {
    if (affine_in(product.nest.results[0].offset, columns[k].symbol)->coefficient.is(1)) best = k;
  }
  for (size_t k = 0; k < columns.size(); ++k) {
    if (k != best) product.batch.push_back({columns[k], false, true});
  }
  return columns[best];
}

Launch pack_at_run_time(const k::Stage& packing, const k::Program& p, const Storages& storages, const TargetFacts& f) {
  Nest n;
  n.node = packing.node;
  n.iters = packing.iters;
  n.body = packing.body;
  std::vector<Dim> index;
  for (const k::Iter& it : packing.iters) index.push_back(Dim(it.symbol));
  const int packed = packing.results[0];
  n.results = {{packed, storages[static_cast<size_t>(packed)].offset(index)}};
  Launch l = schedule_single(std::move(n), p, storages, f);
  l.kernel.name = "pack_" + l.kernel.name;
  l.kernel.schedule = "pack";
  return l;
}

int64_t rows_by_lane(int64_t vectors, const TargetFacts& f) {
  constexpr int64_t kMost = 12;
  int64_t rows = std::min((f.vector_registers - vectors) / (vectors + 1), kMost);
  return vectors == 2 ? std::min<int64_t>(rows, 8) : rows;  // 10 leave the allocator no register
}

double issue_share(const TargetFacts& f, int64_t rows, int64_t vectors, double loads, double useful) {
  constexpr double kLatency = 4, kLoadsPerCycle = 2;  // of multiply-adds; of the first cache
  const double sums = static_cast<double>(rows * vectors), ports = static_cast<double>(f.fma_ports);
  const double cycles = std::max({sums / ports, kLatency, loads / kLoadsPerCycle});
  return useful * sums / ports / cycles;
}

bool can_be_epilogue(const k::Stage& map, const k::Stage& reduce) {
  if (map.kind != k::StageKind::Map || map.results.size() != 1) return false;
  bool ok = true, found = false;
  std::vector<bool> covered(map.iters.size(), false);
  visit(map.body[0], [&](const ExprNode& n) {
    if (n.op != ScalarOp::Read || n.id != reduce.results[0]) return;
    found = true;
    ok &= !n.checked;
    std::vector<bool> here(map.iters.size(), false);
    for (size_t d = 0; d < reduce.iters.size() && ok; ++d) {
      auto i = as_dim(n.args[d]);
      if (reduce.iters[d].extent.is(1)) {
        ok = i && i->is(0);
        if (!ok && i) {
          for (size_t k = 0; k < map.iters.size(); ++k) {
            if (*i == Dim(map.iters[k].symbol)) ok = here[k] = true;
          }
        }
        continue;
      }
      bool match = false;
      for (size_t k = 0; k < map.iters.size() && i; ++k) {
        if (*i == Dim(map.iters[k].symbol) && known_equal(map.iters[k].extent, reduce.iters[d].extent) && !here[k]) {
          here[k] = match = true;
        }
      }
      ok = match;
    }
    for (size_t k = 0; k < map.iters.size(); ++k) ok &= here[k] || map.iters[k].extent.is(1);
  });
  return ok && found;
}

Expr flatten_epilogue(const k::Stage& map, int sums, const Storages& storages) {
  return rewrite(map.body[0], [&](const ExprNode& n) {
    return n.op == ScalarOp::Read && n.id != sums ? flatten_reads(ex::make(n), map, storages) : Expr();
  });
}

bool reads_in_place(const k::Stage& map, const k::Stage& reduce) {
  bool same = map.iters.size() == reduce.iters.size();
  visit(map.body[0], [&](const ExprNode& n) {
    if (n.op != ScalarOp::Read || n.id != reduce.results[0]) return;
    for (size_t k = 0; k < n.args.size() && same; ++k) {
      auto d = as_dim(n.args[k]);
      same = d && (known_equal(*d, Dim(map.iters[k].symbol)) || (d->is(0) && reduce.iters[k].extent.is(1)));
    }
  });
  return same;
}

std::optional<Product> find_product(const k::Stage& reduce, const k::Stage* epilogue, const k::Program& p,
                                    const Storages& storages, const std::vector<k::Iter>& bound) {
  return Finder(reduce, epilogue, p, storages, bound).run();
}

}  // namespace ingot
