// Three kernels after each other write all scores of an attention to memory, read and write them for the softmax, and read them
// again. Tile-and-fuse: one kernel over blocks of rows keeps a block of them in the cache:
//
//   for every head, for block of R rows
//     scores[R][S] = Q K^T         by the schedule of a contraction
//     softmax of scores            by that of rows
//     out[R][D] = scores V
//
// Nothing here knows attention. A chain is found backwards from a contraction: values that only the stages before it read,
// at exactly its own rows, up to the next contraction. The schedules then see stages over one row block, and the kernels
// that they make are put after each other in one.
#include "passes/schedule/chain.h"

#include <algorithm>

#include "passes/schedule/product.h"

namespace ingot {

namespace {

inline constexpr int64_t kMostStripBytes = 256 << 10;  // they lie on the stack
inline constexpr int64_t kLeastItems = 8;  // of a chain's grid, for threads to share
inline constexpr int64_t kGuessedExtent = 128;  // of an axis that only the run knows
inline constexpr size_t kMostStages = 16;
inline constexpr double kOperandShare = 0.75;  // of the L2 cache, for what every row block reads anew

class Finder {
 public:
  Finder(const k::Block& b, const Uses& uses, const Epilogues& e, const k::Program& p, const Storages& s,
         const TargetFacts& f)
      : b_(b), uses_(uses), epilogues_(e), p_(p), storages_(s), facts_(f) {
    for (size_t k = 0; k < b.stages.size(); ++k) {
      for (int id : b.stages[k].results) made_[id] = k;
      for (int id : k::reads(b.stages[k])) readers_[id].push_back(k);
    }
  }

  std::optional<Chain> run(size_t sink) {
    const k::Stage& reduce = b_.stages[sink];
    const int after = epilogues_.waits_for[sink];
    const auto product =
        find_product(reduce, after >= 0 ? &b_.stages[static_cast<size_t>(after)] : nullptr, p_, storages_);
    if (!product) return std::nullopt;
    const ExprNode& a = *only_load(product->nest.body[0]);
    operand_ = static_cast<int>(a.id);
    if (!made_.count(operand_) || (a.type == DType::BF16 && facts_.amx_bf16)) return std::nullopt;
    chain_ = {};
    axis_of_.clear();
    if (!find_axes(sink) || !collect(sink)) return std::nullopt;
    if (after >= 0) {
      if (!add(static_cast<size_t>(after), axes_of_epilogue(sink, static_cast<size_t>(after)))) return std::nullopt;
      chain_.inner.emplace(reduce.results[0], reduce.results[0]);
    }
    for (auto& [stage, axes] : axis_of_) {
      const int of = epilogues_.of[stage];
      if (of >= 0 && !axis_of_.count(static_cast<size_t>(of))) return std::nullopt;  // that is computed with it
      chain_.stages.push_back(stage), chain_.axis_of.push_back(axes);
    }
    find_batches();
    write_in_place();
    if (!choose_strips() || !operands_stay()) return std::nullopt;
    return std::move(chain_);
  }

 private:
  const k::Stage& stage(size_t k) const { return b_.stages[k]; }
  const k::Value& value(int id) const { return p_.values[static_cast<size_t>(id)]; }
  const Storage& storage(int id) const { return storages_[static_cast<size_t>(id)]; }

  bool add(size_t k, std::vector<int> axes) { return axis_of_.emplace(k, std::move(axes)).second; }

  // Iterators of the last contraction at which it reads its operand, index by index.
  bool find_axes(size_t sink) {
    const k::Stage& s = stage(sink);
    const ExprNode* read = nullptr;
    bool once = true;
    std::set<int64_t> elsewhere;  // symbols in other reads
    visit(s.body[0], [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read) return;
      if (n.id == operand_) {
        once &= read == nullptr && !n.checked;
        read = &n;
        return;
      }
      for (const Expr& e : n.args) {
        visit(e, [&](const ExprNode& x) {
          std::map<int64_t, Symbol> used;
          if (x.op == ScalarOp::Index) collect_symbols(x.dim, used);
          for (auto& [id, symbol] : used) elsewhere.insert(id);
        });
      }
    });
    if (!read || !once) return false;
    std::vector<int> axes(s.iters.size(), -1);
    for (int d : storage(operand_).order) {
      auto at = as_dim(read->args[static_cast<size_t>(d)]);
      for (size_t k = 0; k < s.iters.size(); ++k) {
        const k::Iter& it = s.iters[k];
        if (!at || *at != Dim(it.symbol) || axes[k] >= 0) continue;
        axes[k] = static_cast<int>(chain_.axes.size());
        chain_.axes.push_back(
            {it.extent, elsewhere.count(it.symbol->id) == 0, Dim::iterator(it.symbol->name, it.extent)});
      }
    }
    return !chain_.axes.empty() && add(sink, std::move(axes));
  }

  // The axis of each dim of a value as a stage of the chain reads it; none where one is missing or two reads differ.
  std::optional<std::vector<int>> axes_of_reads(int id, size_t reader) const {
    std::optional<std::vector<int>> axes;
    bool ok = true;
    const std::vector<int>& own = axis_of_.at(reader);
    for (const Expr& e : stage(reader).body) {
      visit(e, [&](const ExprNode& n) {
        if (n.op != ScalarOp::Read || n.id != id) return;
        ok &= !n.checked;
        std::vector<int> here;
        for (size_t d = 0; d < value(id).tensor().dims.size(); ++d) {
          auto at = as_dim(n.args[d]);
          int axis = -1;
          for (size_t k = 0; k < own.size(); ++k) {
            const Symbol& s = stage(reader).iters[k].symbol;
            if (own[k] >= 0 && at && *at == Dim(s)) axis = own[k];
            else if (own[k] >= 0 && at) ok &= !depends_on(*at, s);
          }
          here.push_back(axis);
        }
        for (size_t a = 0; a < chain_.axes.size(); ++a) {
          const auto count = std::count(here.begin(), here.end(), static_cast<int>(a));
          ok &= count == 1 || (count == 0 && chain_.axes[a].extent.is(1));
        }
        ok &= !axes || *axes == here;
        axes = std::move(here);
      });
    }
    if (!ok) axes.reset();
    return axes;
  }

  // Backwards from the last contraction: what only the chain reads, up to contractions.
  bool collect(size_t sink) {
    std::set<int> wanted = {operand_};
    bool product = false;
    for (size_t k = sink; k-- > 0 && axis_of_.size() < kMostStages;) {
      const k::Stage& s = stage(k);
      if ((s.kind != k::StageKind::Map && s.kind != k::StageKind::Reduce) || s.results.size() != 1) continue;
      const int id = s.results[0];
      if (!wanted.count(id) || uses_.escapes[static_cast<size_t>(id)] || storage(id).has_border()) continue;
      if (uses_.stages[static_cast<size_t>(id)] != static_cast<int>(readers_[id].size())) continue;  // in other blocks
      std::optional<std::vector<int>> axes;
      bool ok = bits(storage(id).dtype) >= 8 && storage(id).dtype != DType::String;
      for (size_t reader : readers_[id]) {
        if (!axis_of_.count(reader)) ok = false;
        if (!ok) break;
        auto here = axes_of_reads(id, reader);
        ok = here && (!axes || *axes == *here);
        axes = std::move(here);
      }
      if (!ok || !axes) continue;
      const bool is_product = is_contraction(s);
      product |= is_product;
      add(k, *axes);
      chain_.inner.emplace(id, id);
      if (is_product) continue;
      for (int from : k::reads(s)) {
        if (!value(from).constant) wanted.insert(from);
      }
    }
    return product;
  }

  std::vector<int> axes_of_epilogue(size_t sink, size_t after) const {
    std::vector<int> axes(stage(after).iters.size(), -1);
    visit(stage(after).body[0], [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read || n.id != stage(sink).results[0]) return;
      for (size_t d = 0; d < stage(sink).iters.size(); ++d) {
        auto at = as_dim(n.args[d]);
        for (size_t k = 0; k < axes.size(); ++k) {
          if (at && *at == Dim(stage(after).iters[k].symbol)) axes[k] = axis_of_.at(sink)[d];
        }
      }
    });
    return axes;
  }

  // What moves both factors of some product of the chain is no row: its operands are packed for all, and a row block
  // would have to take a part of them.
  void find_batches() {
    for (size_t k = 0; k < chain_.stages.size(); ++k) {
      const k::Stage& s = stage(chain_.stages[k]);
      if (!is_contraction(s)) continue;
      Expr product = s.body[0];
      while (product.is(ScalarOp::Cast)) product = product->args[0];
      for (size_t d = 0; d < s.iters.size(); ++d) {
        if (chain_.axis_of[k][d] < 0) continue;
        if (depends(product->args[0], s.iters[d].symbol) && depends(product->args[1], s.iters[d].symbol))
          chain_.axes[static_cast<size_t>(chain_.axis_of[k][d])].row = false;
      }
    }
  }

  // A map that reads an inner value at its own index, as the last one, leaves its result there.
  void write_in_place() {
    for (size_t k = 0; k < chain_.stages.size(); ++k) {
      const k::Stage& s = stage(chain_.stages[k]);
      const int id = s.results[0];
      if (s.kind != k::StageKind::Map || !chain_.inner.count(id) || epilogues_.of[chain_.stages[k]] >= 0) continue;
      for (int from : k::reads(s)) {
        if (!chain_.inner.count(from) || readers_[from].back() != chain_.stages[k] || !reads_at_own_index(s, from))
          continue;
        if (storage(from).dtype != storage(id).dtype || storage(from).order != storage(id).order) continue;
        chain_.inner[id] = chain_.inner[from];
        break;
      }
    }
  }

  bool reads_at_own_index(const k::Stage& s, int id) const {
    bool own = value(id).tensor().dims == value(s.results[0]).tensor().dims;
    visit(s.body[0], [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read || n.id != id || !own) return;
      for (size_t d = 0; d < s.iters.size(); ++d) {
        auto at = as_dim(n.args[d]);
        own &= at && (*at == Dim(s.iters[d].symbol) || (s.iters[d].extent.is(1) && at->is(0)));
      }
    });
    return own;
  }

  // Bytes of the inner values per index of the axes.
  std::optional<int64_t> bytes_per_index() const {
    Dim bytes = 0;
    for (size_t k = 0; k < chain_.stages.size(); ++k) {
      const k::Stage& s = stage(chain_.stages[k]);
      auto it = chain_.inner.find(s.results[0]);
      if (it == chain_.inner.end() || it->second != s.results[0]) continue;
      if (epilogues_.waits_for[chain_.stages[k]] >= 0) continue;  // in registers
      Dim size = bits(storage(s.results[0]).dtype) / 8;
      for (size_t d = 0; d < s.iters.size(); ++d) {
        if (chain_.axis_of[k][d] < 0) size *= s.iters[d].extent;
      }
      bytes += size;
    }
    return bytes.constant();
  }

  // Rows that fit into the cache beside what the contractions read: whole inner axes of rows, then a part of the next; less
  // where threads would have too few row blocks to share.
  bool choose_strips() {
    using Walk = Chain::Axis::Walk;
    const auto bytes = bytes_per_index();
    if (!bytes || *bytes <= 0 || *bytes > kMostStripBytes) return false;
    for (const Chain::Axis& axis : chain_.axes)
      if (axis.extent.is(0)) return false;  // nothing is computed
    const int64_t budget = std::min(facts_.l2_bytes / 8, kMostStripBytes);
    const int64_t unit = facts_.vector_registers < 32 ? 6 : facts_.vector_bytes >= 32 ? 14 : 8;
    int64_t rows = 1;
    Chain::Axis* last = nullptr;  // the outermost one that is not taken by the point
    for (size_t k = chain_.axes.size(); k-- > 0;) {
      Chain::Axis& axis = chain_.axes[k];
      if (!axis.row) continue;
      if (!axis.extent.is_constant()) break;
      const double all = static_cast<double>(rows * *bytes) * static_cast<double>(axis.extent.value());
      if (all > static_cast<double>(budget)) {
        int64_t part = std::max(budget, kMostStripBytes / 2) / (rows * *bytes);
        if (rows == 1) part = part / unit * unit;
        if (part < 1) break;
        last = &axis;
        last->walk = Walk::Strip;
        chain_.rows = std::min(part, axis.extent.value());
        break;
      }
      last = &axis;
      axis.walk = Walk::Whole;
      rows *= axis.extent.value();
    }
    if (!last) return false;
    if (last->walk == Walk::Whole) {
      rows /= last->extent.value();
      Dim points = 1;
      for (const Chain::Axis& axis : chain_.axes) points *= axis.walk == Walk::Point ? axis.extent : Dim(1);
      chain_.rows = last->extent.value();
      const int64_t strips = ceildiv(kLeastItems, points).constant().value_or(1);
      if (strips > 1) {
        last->walk = Walk::Strip;
        chain_.rows = (chain_.rows + strips - 1) / strips;
      }
    }
    rows *= chain_.rows;
    chain_.strip_bytes = rows * *bytes;
    chain_.saved = static_cast<double>(*bytes);
    for (const Chain::Axis& axis : chain_.axes)
      chain_.saved *= static_cast<double>(axis.extent.constant().value_or(kGuessedExtent));
    const bool worth = chain_.saved >= static_cast<double>(facts_.l2_bytes);  // what fits there gains nothing
    return worth && rows >= std::min<int64_t>(unit, 8) && chain_.strip_bytes <= kMostStripBytes;
  }

  // Every row block reads the other operands of the products anew: they have to stay in the cache.
  bool operands_stay() const {
    double bytes = 0;
    for (size_t k = 0; k < chain_.stages.size(); ++k) {
      const k::Stage& s = stage(chain_.stages[k]);
      if (!is_contraction(s)) continue;
      visit(s.body[0], [&](const ExprNode& n) {
        if (n.op != ScalarOp::Read || chain_.inner.count(static_cast<int>(n.id))) return;
        Dim elements = 1;
        auto moves = [&](const k::Iter& it) {
          return std::any_of(n.args.begin(), n.args.end(), [&](const Expr& e) { return depends(e, it.symbol); });
        };
        for (size_t d = 0; d < s.iters.size(); ++d) {
          if (!moves(s.iters[d])) continue;
          const int axis = chain_.axis_of[k][d];
          if (axis < 0) elements *= s.iters[d].extent;
          else if (chain_.axes[static_cast<size_t>(axis)].walk != Chain::Axis::Walk::Point) return;  // rows of a block
        }
        for (const k::Iter& it : s.reds) {
          if (moves(it)) elements *= it.extent;
        }
        bytes += static_cast<double>(elements.constant().value_or(kDimMax)) * bits(n.type) / 8;
      });
    }
    return bytes <= kOperandShare * static_cast<double>(facts_.l2_bytes);
  }

  const k::Block& b_;
  const Uses& uses_;
  const Epilogues& epilogues_;
  const k::Program& p_;
  const Storages& storages_;
  const TargetFacts& facts_;
  std::map<int, size_t> made_;
  std::map<int, std::vector<size_t>> readers_;
  int operand_ = -1;
  Chain chain_;
  std::map<size_t, std::vector<int>> axis_of_;
};

}  // namespace

Epilogues pair_epilogues(const k::Block& b, const Uses& uses) {
  std::map<int, size_t> defined;  // value -> stage of this block
  for (size_t k = 0; k < b.stages.size(); ++k) {
    for (int id : b.stages[k].results) defined[id] = k;
  }
  Epilogues e{std::vector<int>(b.stages.size(), -1), std::vector<int>(b.stages.size(), -1)};
  for (size_t k = 0; k < b.stages.size(); ++k) {
    const k::Stage& s = b.stages[k];
    if (s.kind != k::StageKind::Map) continue;
    for (int id : k::reads(s)) {
      auto it = defined.find(id);
      if (it == defined.end()) continue;
      const k::Stage& r = b.stages[it->second];
      size_t v = static_cast<size_t>(id);
      if (!is_contraction(r) || uses.stages[v] != 1 || uses.escapes[v] || !can_be_epilogue(s, r)) continue;
      if (e.of[k] >= 0 && static_cast<size_t>(e.of[k]) > it->second) continue;  // the later one
      if (e.of[k] >= 0) e.waits_for[static_cast<size_t>(e.of[k])] = -1;
      e.of[k] = static_cast<int>(it->second);
      e.waits_for[it->second] = static_cast<int>(k);
    }
  }
  return e;
}

std::vector<Chain> find_chains(const k::Block& b, const Uses& uses, const Epilogues& epilogues, const k::Program& p,
                               const Storages& storages, const TargetFacts& facts) {
  std::vector<Chain> chains;
  if (facts.device != TargetFacts::Device::Cpu || facts.vector_bytes == 0) return chains;
  Finder finder(b, uses, epilogues, p, storages, facts);
  for (size_t k = 0; k < b.stages.size(); ++k) {
    if (!is_contraction(b.stages[k])) continue;
    if (auto chain = finder.run(k)) chains.push_back(std::move(*chain));
  }
  // Those that save most come first; what they share goes to them.
  std::stable_sort(chains.begin(), chains.end(), [](const Chain& x, const Chain& y) { return x.saved > y.saved; });
  std::set<size_t> taken;
  std::erase_if(chains, [&](const Chain& c) {
    if (std::any_of(c.stages.begin(), c.stages.end(), [&](size_t s) { return taken.count(s) > 0; })) return true;
    taken.insert(c.stages.begin(), c.stages.end());
    return false;
  });
  return chains;
}

Strip strip_of(const Chain& chain, const k::Block& block, int64_t rows, k::Program& p, Storages& storages) {
  using Walk = Chain::Axis::Walk;
  Strip strip;
  strip.rows = rows;
  for (const Chain::Axis& axis : chain.axes) {
    if (axis.walk == Walk::Strip) strip.begin = Dim::symbol("begin", 0, axis.extent.value() - rows);
  }
  std::map<int, int> to_strip;
  std::map<int, std::vector<int>> axes_of;  // inner value -> axes of its dims
  for (size_t k = 0; k < chain.stages.size(); ++k) {
    const int id = block.stages[chain.stages[k]].results[0];
    if (chain.inner.count(id)) axes_of[id] = chain.axis_of[k];
  }
  auto walk = [&](int axis) { return axis < 0 ? Walk::Whole : chain.axes[static_cast<size_t>(axis)].walk; };
  for (size_t k = 0; k < chain.stages.size(); ++k) {
    k::Stage s = block.stages[chain.stages[k]];
    const std::vector<int>& axes = chain.axis_of[k];
    Substitution at;  // in what the whole program sees
    std::vector<k::Iter> own = s.iters;
    for (size_t d = 0; d < own.size(); ++d) {
      if (walk(axes[d]) == Walk::Point) {
        own[d] = {Dim::iterator(own[d].symbol->name, 1), 1};
        at.emplace(s.iters[d].symbol->id, Dim(chain.axes[static_cast<size_t>(axes[d])].symbol));
      } else if (walk(axes[d]) == Walk::Strip) {
        own[d] = {Dim::iterator(own[d].symbol->name, rows), rows};
        at.emplace(s.iters[d].symbol->id, Dim(strip.begin) + Dim(own[d].symbol));
      }
    }
    auto index_of = [&](int axis) {  // of a row block's dim, in this stage
      if (walk(axis) == Walk::Point) return Dim(0);
      for (size_t d = 0; d < own.size(); ++d) {
        if (axes[d] == axis) return Dim(own[d].symbol);
      }
      return Dim(0);
    };
    for (Expr& e : s.body) {
      e = rewrite(e, [&](const ExprNode& n) {
        if (n.op == ScalarOp::Index) return ex::index(substitute(n.dim, at));
        auto it = n.op == ScalarOp::Read ? to_strip.find(static_cast<int>(n.id)) : to_strip.end();
        if (it == to_strip.end()) return Expr();
        ExprNode read = n;
        const std::vector<int>& dims = axes_of.at(static_cast<int>(n.id));
        read.id = it->second;
        for (size_t d = 0; d < dims.size(); ++d) {
          if (dims[d] >= 0) read.args[d] = ex::index(index_of(dims[d]));
        }
        return ex::make(std::move(read));
      });
    }
    const int id = s.results[0];
    if (chain.inner.count(id)) {
      TensorType t = p.values[static_cast<size_t>(id)].tensor();
      for (size_t d = 0; d < own.size(); ++d) t.dims[d] = own[d].extent;
      const int to = add_value(p, storages, p.values[static_cast<size_t>(id)].name, t);
      storages[static_cast<size_t>(to)] = storage_like(t, storages[static_cast<size_t>(id)]);
      to_strip[id] = s.results[0] = to;
      strip.inner[to] = chain.inner.at(id);
    } else {
      for (const k::Iter& it : s.iters) {
        const auto place = at.find(it.symbol->id);
        s.targets.push_back(ex::index(place == at.end() ? Dim(it.symbol) : place->second));
      }
    }
    s.iters = std::move(own);
    strip.stages.stages.push_back(std::move(s));
  }
  return strip;
}

std::vector<int64_t> strip_rows(const Chain& chain) {
  for (const Chain::Axis& axis : chain.axes) {
    if (axis.walk != Chain::Axis::Walk::Strip) continue;
    const int64_t extent = axis.extent.value(), count = (extent + chain.rows - 1) / chain.rows;
    if (extent % count == 0) return {extent / count};
    return {extent / count + 1, extent / count};
  }
  return {0};
}

Launch schedule_chain(const Chain& chain, const std::vector<ScheduledStrip>& strips, const k::Program& p,
                      const Storages& storages, const TargetFacts& facts) {
  using Walk = Chain::Axis::Walk;
  KernelBuilder b(p, storages, facts);
  std::vector<k::Iter> grid;
  Symbol number;  // of the row block
  int64_t extent = 0, count = 1;
  for (const Chain::Axis& axis : chain.axes) {
    if (axis.walk == Walk::Point) grid.push_back({axis.symbol, axis.extent});
    if (axis.walk != Walk::Strip) continue;
    extent = axis.extent.value();
    count = (extent + chain.rows - 1) / chain.rows;
    number = Dim::iterator("strip", count);
    grid.push_back({number, count});
  }
  const Dim items = elements(grid);
  const Symbol item = Dim::iterator("item", items);
  b.decode(item, grid);
  // What is inner lies on the stack: once for all row blocks, and a map of its own index over what it reads.
  std::map<int, int64_t> elements_of, scratch;
  for (const ScheduledStrip& s : strips) {
    for (const Launch& l : s.launches) {
      for (int id : l.values) {
        auto it = s.strip->inner.find(id);
        if (it == s.strip->inner.end()) continue;
        int64_t& most = elements_of[it->second];
        most = std::max(most, storages[static_cast<size_t>(id)].elements.value() + kCacheLine);
      }
    }
  }
  for (auto& [id, n] : elements_of) scratch[id] = b.scratch(storages[static_cast<size_t>(id)].dtype, n);
  auto emit = [&](const ScheduledStrip& s) {
    if (s.strip->begin) b.let(s.strip->begin, Dim(number) * (extent / count) + min(Dim(number), extent % count));
    for (const Launch& l : s.launches) {
      b.append(l, [&](int id, bool written) {
        auto it = s.strip->inner.find(id);
        return it == s.strip->inner.end() ? b.buffer(id, written) : scratch.at(it->second);
      });
    }
  };
  if (strips.size() == 1) {
    emit(strips[0]);
  } else {
    b.if_then(
        ex::binary(ScalarOp::Lt, ex::index(Dim(number)), ex::index(extent % count)), [&] { emit(strips[0]); },
        [&] { emit(strips[1]); });
  }
  const std::vector<Launch>& pieces = strips.back().launches;
  std::string name = "row_blocks", schedule = fmt::format("row blocks of {} rows", strips[0].strip->rows);
  Dim flops = 0;
  for (const Launch& l : pieces) {
    name += "_" + l.kernel.name.substr(0, l.kernel.name.find("_f32"));
    schedule += "; " + l.kernel.schedule;
    flops += l.kernel.flops * items;
  }
  b.node = pieces.back().kernel.node;
  Launch l = b.finish(name.substr(0, 64), item, items);
  l.kernel.schedule = std::move(schedule);
  l.kernel.flops = flops;
  l.kernel.bytes = bytes_of(l.values, storages);
  l.kernel.notes.why =
      fmt::format("tile-and-fuse: intermediates of {} KB per row block stay in the cache", chain.strip_bytes >> 10);
  const double each = static_cast<double>(
      pieces.empty() ? 0 : (flops.constant().value_or(1 << 24)) / std::max<int64_t>(1, items.constant().value_or(64)));
  l.grain = grain_of(each, 0);
  return l;
}

}  // namespace ingot
