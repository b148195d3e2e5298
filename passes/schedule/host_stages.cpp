// Which stages become one kernel, and which schedule makes it. See host_program.h.
#include <algorithm>

#include "passes/kernels/passes.h"
#include "passes/schedule/chain.h"
#include "passes/schedule/contraction.h"
#include "passes/schedule/depthwise.h"
#include "passes/schedule/host_program.h"
#include "passes/schedule/narrow.h"
#include "passes/schedule/product.h"
#include "passes/schedule/special.h"
#include "passes/schedule/tiles.h"
#include "passes/schedule/winograd.h"

namespace ingot {

namespace {

inline constexpr int64_t kSerialRowsCost = 400000;  // scalar operations; a chain of stages with fewer may be one item
inline constexpr size_t kMaxSharedStages = 16;  // in one kernel by rows; longer groups take a cubic time to find
inline constexpr int64_t kLeastRelaid = 64;  // elements; smaller constants are gathered

// "f32[1, 64, 56, 56] channels last, border 0 0 1 1".
std::string describe(const TensorType& type, const Storage& s) {
  std::string text = type.str();
  const size_t rank = s.order.size();
  bool last = rank >= 3 && s.order[0] == 0 && s.order[rank - 1] == 1;
  for (size_t k = 1; k + 1 < rank; ++k) last &= s.order[k] == static_cast<int>(k) + 1;
  if (last) text += " channels last";
  else if (!std::is_sorted(s.order.begin(), s.order.end())) text += fmt::format(" order {}", fmt::join(s.order, " "));
  if (s.has_border())
    text += fmt::format(", border {} before, {} after", fmt::join(s.before, " "), fmt::join(s.after, " "));
  if (s.whole >= 0) text += ", a window";
  return text;
}

// Tiles need at least one row, column and product.
bool is_empty(const k::Stage& s) {
  auto none = [](const k::Iter& it) { return it.extent == Dim(0); };
  return std::any_of(s.iters.begin(), s.iters.end(), none) || std::any_of(s.reds.begin(), s.reds.end(), none);
}

// Several pieces of the same rows, as a concatenation of channels has them.
bool side_by_side(const std::vector<Nest>& pieces) {
  const std::vector<k::Iter>& first = pieces[0].iters;
  if (pieces.size() < 2 || first.size() < 2) return false;
  return std::all_of(pieces.begin(), pieces.end(), [&](const Nest& n) {
    return std::equal(first.begin(), first.end() - 1, n.iters.begin(), n.iters.end() - 1,
                      [](const k::Iter& a, const k::Iter& b) { return a.symbol->id == b.symbol->id; });
  });
}

}  // namespace

void Host::doing(const std::vector<const k::Stage*>& stages) {
  doing_.clear();
  auto add = [&](int node) {
    if (node >= 0 && std::find(doing_.begin(), doing_.end(), node) == doing_.end()) doing_.push_back(node);
  };
  for (const k::Stage* s : stages) {
    add(s->node);
    for (int node : s->fused) add(node);
  }
}

l::KernelNotes Host::notes_of(const Launch& l) const {
  l::KernelNotes notes = l.kernel.notes;
  notes.nodes = doing_;
  for (int id : l.values) {
    const k::Value& v = value(id);
    notes.operands.push_back(v.name + ": " + (v.type.is_tensor() ? describe(v.tensor(), storage(id)) : "object") +
                             (v.constant ? ", constant" : ""));
  }
  return notes;
}

void Host::emit_launch(Launch l) {
  if (chained_) {
    chained_->push_back(std::move(l));
    return;
  }
  l.kernel.notes = notes_of(l);
  ++position_;
  for (int id : l.values) touch(id);
  l::Stmt s{l::StmtKind::Launch};
  s.cost = cost_of(l);
  s.node = node_;
  s.id = static_cast<int64_t>(out_.kernels.size());
  for (int id : l.values) {
    s.buffers.push_back(buffer(id));
    const l::HostBuffer& b = out_.buffers[static_cast<size_t>(s.buffers.back())];
    if (b.kind == l::HostBuffer::Kind::Constant) l.kernel.weight_bytes += b.size.constant().value_or(0);
  }
  s.scalars = std::move(l.scalars);
  s.end = l.items;
  s.grain = l.grain;
  Launched record{position_};
  record.time =
      static_cast<double>(s.cost) * static_cast<double>(std::max<int64_t>(1, l.items.constant().value_or(16)));
  record.border = l.kernel.schedule == "border";
  for (size_t k = 0; k < l.values.size(); ++k) record.values.push_back({l.values[k], l.kernel.buffers[k].written});
  launched_.emplace(s.id, std::move(record));
  l.kernel.node = node_;
  // A constant's parameter says so even when it was packed after the kernel was begun.
  out_.kernels.push_back(std::move(l.kernel));
  host_->push_back(std::move(s));
}

Result<void> Host::block(const k::Block& b) {
  const Uses uses = chained_ ? count_uses(p_, b) : count_uses(p_);
  const auto [epilogue_of, waits_for] = pair_epilogues(b, uses);
  for (size_t k = 0; !chained_ && k < b.stages.size(); ++k) {
    const k::Stage* after = waits_for[k] >= 0 ? &b.stages[static_cast<size_t>(waits_for[k])] : nullptr;
    if (is_contraction(b.stages[k])) TRY(choose_form(b.stages[k], after, uses));
  }
  auto puts_together = [&](const k::Stage& s) {
    return s.results.size() == 1 && put_together_.count(s.results[0]) > 0;
  };
  std::map<size_t, int> in_chain;  // stage -> chain; that of its last one
  std::vector<ChainKernels> chains;
  if (!chained_ && options_.chains) {
    for (const Chain& c : find_chains(b, uses, {epilogue_of, waits_for}, p_, storages_, facts_)) {
      // Winograd's algorithm saves more than tile-and-fuse does.
      const bool fewer_products = std::any_of(c.stages.begin(), c.stages.end(),
                                              [&](size_t k) { return winograd_.count(b.stages[k].results[0]) > 0; });
      if (fewer_products) continue;
      auto kernels = TRY(chain(c, b));
      if (!kernels) continue;
      for (size_t k : c.stages) in_chain.emplace(k, -1);
      in_chain[c.stages.back()] = static_cast<int>(chains.size());
      chains.push_back(std::move(*kernels));
    }
  }
  for (size_t k = 0; k < b.stages.size(); ++k) {
    const k::Stage& s = b.stages[k];
    node_ = s.node;
    if (auto it = in_chain.find(k); it != in_chain.end()) {
      if (it->second < 0) continue;
      const ChainKernels& c = chains[static_cast<size_t>(it->second)];
      for (int id : s.results) define(id);
      doing(c.stages);
      for (Launch l : c.launches) {
        for (int id : l.values) {
          if (!value(id).constant && !buffers_.count(id)) define(id);
        }
        emit_launch(std::move(l));
      }
      continue;
    }
    if (waits_for[k] >= 0) continue;
    bool plain = s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce;
    if (plain && (epilogue_of[k] >= 0 || is_contraction(s))) {
      const k::Stage& reduce = epilogue_of[k] >= 0 ? b.stages[static_cast<size_t>(epilogue_of[k])] : s;
      const k::Stage* after = epilogue_of[k] >= 0 ? &s : nullptr;
      std::optional<std::vector<Launch>> launches;
      const bool tiled = !is_empty(reduce);
      if (after) doing({&reduce, after});
      else doing({&reduce});
      if (auto it = winograd_.find(reduce.results[0]); tiled && it != winograd_.end()) {
        launches = TRY(schedule_winograd(reduce, after, it->second, p_, storages_, facts_));
      }
      const std::string why_not = launches || !options_.winograd ? "" : why_not_winograd(reduce, p_, storages_, facts_);
      if (tiled && !launches) launches = TRY(schedule_depthwise(reduce, after, p_, storages_, facts_));
      if (tiled && !launches) launches = TRY(product(reduce, after));
      if (launches) {
        for (int id : s.results) define(id);
        for (Launch& l : *launches) {
          for (int id : l.values) {
            if (!value(id).constant && !buffers_.count(id)) define(id);
          }
          if (&l == &launches->back() && !why_not.empty())
            l.kernel.notes.why += (l.kernel.notes.why.empty() ? "" : "; ") + why_not;
          emit_launch(std::move(l));
        }
        continue;
      }
      if (after) {
        TRY(rows({&reduce, &s}));
        continue;
      }
    }
    if (plain) {
      // Stages that are fused per row run as one kernel.
      std::vector<const k::Stage*> group = {&s};
      size_t next = k + 1;
      while (!puts_together(s) && group.size() < kMaxSharedStages && next < b.stages.size() && waits_for[next] < 0 &&
             epilogue_of[next] < 0 && !in_chain.count(next) && !is_contraction(b.stages[next]) &&
             !puts_together(b.stages[next])) {
        group.push_back(&b.stages[next]);
        if (shared_prefix(group) == 0) {
          group.pop_back();
          break;
        }
        ++next;
      }
      TRY(rows(group));
      k = next - 1;
      continue;
    }
    doing({&s});
    TRY(special(s));
  }
  return {};
}

// The kernels of a chain: what row blocks share (packed operands) first, then the one over its row blocks. none: its products
// have no schedule that works by row blocks.
Result<std::optional<Host::ChainKernels>> Host::chain(const Chain& c, const k::Block& b) {
  ChainKernels result;
  for (size_t k : c.stages) result.stages.push_back(&b.stages[k]);
  std::set<int64_t> symbols;  // that change from one item to the next
  for (const Chain::Axis& axis : c.axes) {
    if (axis.walk == Chain::Axis::Walk::Point)
      bound_.push_back({axis.symbol, axis.extent}), symbols.insert(axis.symbol->id);
  }
  std::vector<Strip> strips;
  for (int64_t rows : strip_rows(c)) strips.push_back(strip_of(c, b, rows, p_, storages_));
  std::vector<ScheduledStrip> scheduled;
  std::vector<int> shared;  // values that the first row block needs besides
  bool& ok = chain_fits_ = true;
  for (const Strip& strip : strips) {
    std::vector<Launch> launches;
    const int first = static_cast<int>(p_.values.size());
    chained_ = &launches;
    auto done = block(strip.stages);
    chained_ = nullptr;
    if (!done) return std::move(done.error());
    std::map<int, int> same;  // what the second needs, the first has
    for (int id = first; id < static_cast<int>(p_.values.size()); ++id) {
      if (std::any_of(relaid_.begin(), relaid_.end(), [&](auto& r) { return r.second == id; })) continue;
      if (&strip == &strips[0]) {
        shared.push_back(id);
        continue;
      }
      const size_t at = same.size();
      ok &= at < shared.size() && value(id).tensor().dims == value(shared[at]).tensor().dims;
      same[id] = ok ? shared[at] : id;
      p_.values[static_cast<size_t>(id)].constant = nullptr;
    }
    if (strip.begin) symbols.insert(strip.begin->id);
    ScheduledStrip own{&strip, {}};
    for (Launch& l : launches) {
      for (int& id : l.values) {
        if (auto it = same.find(id); it != same.end()) id = it->second;
      }
      const bool inner =
          std::any_of(l.values.begin(), l.values.end(), [&](int id) { return strip.inner.count(id) > 0; });
      const bool moves = std::any_of(l.scalars.begin(), l.scalars.end(), [&](const Dim& d) {
        return std::any_of(symbols.begin(), symbols.end(), [&](int64_t id) {
          std::map<int64_t, Symbol> used;
          collect_symbols(d, used);
          return used.count(id) > 0;
        });
      });
      for (size_t k = 0; k < l.values.size() && (inner || moves); ++k) {
        const int id = l.values[k];
        ok &= !l.kernel.buffers[k].written || strip.inner.count(id) > 0 || id == result.stages.back()->results[0];
      }
      if (inner || moves) own.launches.push_back(std::move(l));
      else if (&strip == &strips[0]) result.launches.push_back(std::move(l));
    }
    scheduled.push_back(std::move(own));
  }
  bound_.clear();
  std::optional<ChainKernels> none;
  if (!ok) return none;
  result.launches.push_back(schedule_chain(c, scheduled, p_, storages_, facts_));
  return std::optional(std::move(result));
}

Result<std::optional<std::vector<Launch>>> Host::product(const k::Stage& reduce, const k::Stage* epilogue) {
  std::optional<std::vector<Launch>> none;
  if (facts_.vector_bytes == 0) return none;
  const std::optional<Product> product = find_product(reduce, epilogue, p_, storages_, bound_);
  chain_fits_ &= product.has_value();
  if (!product) return none;
  if (chained_) {
    auto launches = TRY(schedule_contraction(*product, p_, storages_, facts_, options_.small_weights));
    chain_fits_ &= launches || product->columns.empty();  // a depthwise one is of rows anyway
    return launches;
  }
  if (auto narrow = TRY(schedule_narrow(*product, p_, storages_, facts_))) {
    narrow->back().kernel.notes.why = "skinny N: vectorised along K";
    return narrow;
  }
  if (auto tiles = TRY(schedule_tiles(*product, p_, storages_, facts_))) {
    tiles->back().kernel.notes.why = "products of tiles";
    return tiles;
  }
  return TRY(schedule_contraction(*product, p_, storages_, facts_, options_.small_weights));
}

// The number of outermost iterators that all stages share, every stage reading the others' results only in its own row;
// 0 where they are better apart.
size_t Host::shared_prefix(const std::vector<const k::Stage*>& group) const {
  if (facts_.device == TargetFacts::Device::OpenCl) return 0;
  std::vector<std::vector<size_t>> order;
  std::vector<Nest> nests;
  bool whole_rows = false;  // some stage sums up rows, so that a map of their sums is a number per row
  for (const k::Stage* s : group) {
    if (s->kind != k::StageKind::Map && s->kind != k::StageKind::Reduce) return 0;
    std::vector<size_t> o;
    for (int d : storage(s->results[0]).order) o.push_back(static_cast<size_t>(d));
    order.push_back(o);
    nests.push_back(make_nest(*s, storages_));
    whole_rows |= s->kind == k::StageKind::Reduce && most_shared(nests.back()) == s->iters.size();
  }
  size_t prefix = SIZE_MAX;
  for (const Nest& n : nests)
    prefix = std::min(prefix, n.kind == k::StageKind::Map && whole_rows ? n.iters.size() : most_shared(n));
  const k::Stage& last = *group.back();
  bool related = false;
  for (size_t g = 0; g < group.size(); ++g) {
    const k::Stage& s = *group[g];
    size_t same = 0;
    while (same < prefix && known_equal(s.iters[order[g][same]].extent, last.iters[order.back()[same]].extent)) ++same;
    prefix = same;
    if (g + 1 == group.size()) break;
    for (int id : s.results) {
      if (storage(id).has_border()) return 0;
      for (const Expr& e : last.body) {
        visit(e, [&](const ExprNode& n) {
          if (n.op != ScalarOp::Read || n.id != id) return;
          related = true;
          size_t k = 0;
          while (k < prefix) {
            auto d = as_dim(n.args[order[g][k]]);
            if (!d || *d != Dim(last.iters[order.back()[k]].symbol)) {
              bool both_one = s.iters[order[g][k]].extent.is(1) && d && d->is(0);
              if (!both_one) break;
            }
            ++k;
          }
          prefix = k;
        });
      }
    }
  }
  if (!related) return 0;
  // What the stages before share, they share still: the last one need not read all of them.
  if (group.size() > 2) prefix = std::min(prefix, shared_prefix({group.begin(), group.end() - 1}));
  Dim items = 1, work = 1;
  for (size_t k = 0; k < last.iters.size(); ++k) work *= last.iters[k].extent;
  for (size_t k = 0; k < prefix; ++k) items *= last.iters[order.back()[k]].extent;
  if (items.constant().value_or(64) <= 1 && work.constant().value_or(kSerialRowsCost) >= kSerialRowsCost) return 0;
  return prefix;
}

// Constants that a stage reads along its vectors, but not one element after the other (the filters of a depthwise
// convolution), are put so when compiling.
Result<k::Stage> Host::with_contiguous_constants(const k::Stage& stage) {
  k::Stage s = stage;
  const std::vector<int>& order = storage(s.results[0]).order;
  if (facts_.vector_bytes == 0 || order.empty()) return s;
  const Symbol lane = s.iters[static_cast<size_t>(order.back())].symbol;
  Result<void> ok;
  for (Expr& body : s.body) {
    body = rewrite(body, [&](const ExprNode& n) {
      Expr same;
      if (n.op != ScalarOp::Read || n.checked || n.args.size() < 2) return same;
      const TensorRef data = value(static_cast<int>(n.id)).constant;
      if (!data || data->elements() < kLeastRelaid || data->dtype == DType::String) return same;
      if (storage(static_cast<int>(n.id)).contents) return same;
      size_t along = n.args.size();
      for (size_t k = 0; k < n.args.size(); ++k) {
        auto d = as_dim(n.args[k]);
        if (!d) return same;
        if (!depends_on(*d, lane)) continue;
        if (along < n.args.size() || !affine_in(*d, lane) || !affine_in(*d, lane)->coefficient.is(1)) return same;
        along = k;
      }
      bool contiguous = true;
      for (size_t k = along + 1; k < n.args.size(); ++k) contiguous &= data->dims[k] == 1;
      if (along == n.args.size() || contiguous) return same;
      auto relaid = this->relaid(static_cast<int>(n.id), along);
      if (!relaid) {
        ok = std::move(relaid.error());
        return same;
      }
      ExprNode m = n;
      m.id = *relaid;
      std::rotate(m.args.begin() + static_cast<long>(along), m.args.begin() + static_cast<long>(along) + 1,
                  m.args.end());
      return ex::make(std::move(m));
    });
  }
  TRY(ok);
  return s;
}

// The constant with dim `along` made the last one.
Result<int> Host::relaid(int id, size_t along) {
  auto [it, fresh] = relaid_.try_emplace({id, along}, -1);
  if (!fresh) return it->second;
  std::vector<Dim> dims = value(id).tensor().dims;
  std::rotate(dims.begin() + static_cast<long>(along), dims.begin() + static_cast<long>(along) + 1, dims.end());
  const int to = add_value(p_, storages_, value(id).name, TensorType{value(id).tensor().dtype, dims});
  k::Stage copy;
  std::vector<Expr> index;
  for (const Dim& d : dims) {
    copy.iters.push_back({Dim::iterator("i", d), d});
    index.push_back(ex::index(copy.iters.back().symbol));
  }
  std::rotate(index.begin() + static_cast<long>(along), index.end() - 1, index.end());
  copy.body = {ex::read(id, value(id).tensor().dtype, index)};
  p_.values[static_cast<size_t>(to)].constant = TRY(evaluate_stage(copy, p_))[0];
  it->second = to;
  return to;
}

Result<void> Host::rows(const std::vector<const k::Stage*>& stages) {
  std::vector<k::Stage> own;
  for (const k::Stage* s : stages) {
    own.push_back(TRY(with_contiguous_constants(*s)));
    for (int id : s->results) define(id);
  }
  std::vector<const k::Stage*> group;
  for (const k::Stage& s : own) group.push_back(&s);
  doing(stages);
  size_t prefix = group.size() > 1 ? shared_prefix(group) : 0;
  if (group.size() > 1 && prefix > 0) {
    std::vector<Nest> nests;
    for (const k::Stage* s : group) nests.push_back(make_nest(*s, storages_));
    Launch l = schedule_rows(nests, prefix, p_, storages_, facts_);
    l.kernel.notes.why = fmt::format("{} stages fused per row; intermediates stay in L1", nests.size());
    emit_launch(std::move(l));
    return {};
  }
  for (const k::Stage* s : group) {
    node_ = s->node;
    doing({s});
    std::vector<Nest> pieces;
    for (const k::Stage& piece : split_domain(*s, p_)) {
      Nest n = make_nest(piece, storages_);
      const Expr& e = n.body[0];
      const Nest::Result& to = n.results[0];
      if (!e.is(ScalarOp::Load) || !copies_onto_itself(storages_, static_cast<int>(e->id), e->dim, to.value, to.offset))
        pieces.push_back(std::move(n));
    }
    if (facts_.device == TargetFacts::Device::Cpu && side_by_side(pieces)) {
      emit_launch(schedule_rows(pieces, pieces[0].iters.size() - 1, p_, storages_, facts_));
    } else {
      for (Nest& n : pieces) emit_launch(schedule_single(std::move(n), p_, storages_, facts_));
    }
  }
  return {};
}

}  // namespace ingot
