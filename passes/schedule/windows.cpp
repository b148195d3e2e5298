#include "passes/schedule/windows.h"

#include <algorithm>
#include <map>

#include "passes/kernels/passes.h"
#include "passes/schedule/nest.h"
#include "passes/schedule/product.h"

namespace ingot {

namespace {

inline constexpr int64_t kGuessedSymbol = 16;  // an extent that only the run knows, where memory is estimated

// A value's elements in a map's result: result[i + shift] = value[i] for all of them.
struct Placed {
  int value;
  std::vector<Dim> shift;
};

class Chooser {
 public:
  Chooser(const k::Program& p, Storages& storages) : p_(p), storages_(storages), uses_(count_uses(p)) {}

  std::set<int> run() {
    for (int id : p_.inputs) {
      if (!type_of(id).is_tensor()) continue;
      for (const Dim& d : tensor(id).dims) collect_symbols(d, entry_);
    }
    number_stages();
    choose(p_.body);
    lay_out();
    std::set<int> wholes;
    for (const auto& [id, w] : windows_) wholes.insert(w.result);
    return wholes;
  }

 private:
  struct Window {
    int root;                // the value whose memory holds it
    int result;              // of the map that makes it a window: the root, or another window of it
    std::vector<Dim> shift;  // index 0 in the root
  };
  struct Border {
    std::vector<int64_t> before, after;
    Expr fill;
  };
  struct Life {
    int first = -1, last = -1;
  };

  const Type& type_of(int id) const { return p_.values[static_cast<size_t>(id)].type; }
  const TensorType& tensor(int id) const { return type_of(id).tensor; }
  const Storage& storage(int id) const { return storages_[static_cast<size_t>(id)]; }
  int root_of(int id) const {
    auto it = windows_.find(id);
    return it == windows_.end() ? id : it->second.root;
  }
  std::vector<Dim> shift_of(int id) const {
    auto it = windows_.find(id);
    return it == windows_.end() ? std::vector<Dim>(tensor(id).dims.size(), Dim(0)) : it->second.shift;
  }

  void number_stages() {
    lives_.resize(p_.values.size());
    int at = 0;
    for_each_stage(p_.body, [&](const k::Stage& s) {
      auto touch = [&](int id) {
        if (id < 0) return;
        Life& life = lives_[static_cast<size_t>(id)];
        if (life.first < 0) life.first = at;
        life.last = at;
      };
      for (int id : k::reads(s)) touch(id);
      for (int id : s.operands) touch(id);
      for (int id : s.results) touch(id);
      ++at;
    });
    for (int id : p_.inputs) lives_[static_cast<size_t>(id)] = {};
    for (int id : p_.body.outputs) lives_[static_cast<size_t>(id)] = {};
    for (const k::Value& v : p_.values) {
      if (v.constant) lives_[static_cast<size_t>(v.id)] = {};
    }
  }

  // The most memory that values take at once.
  double most_memory() const {
    std::map<int, Life> lives;
    for (size_t id = 0; id < lives_.size(); ++id) {
      if (lives_[id].first < 0) continue;
      const int root = root_of(static_cast<int>(id));
      if (lives_[static_cast<size_t>(root)].first < 0) continue;
      auto [it, fresh] = lives.try_emplace(root, lives_[id]);
      it->second.first = std::min(it->second.first, lives_[id].first);
      it->second.last = std::max(it->second.last, lives_[id].last);
    }
    std::map<int, double> change;
    for (const auto& [id, life] : lives) {
      if (!type_of(id).is_tensor()) continue;
      const Dim elements = storage(id).elements;
      std::map<int64_t, Symbol> symbols;
      collect_symbols(elements, symbols);
      Substitution guess;
      for (const auto& [number, symbol] : symbols)
        guess.emplace(number, Dim(std::clamp(kGuessedSymbol, symbol->lo, symbol->hi)));
      const double bytes = static_cast<double>(substitute(elements, guess).constant().value_or(0)) *
                           static_cast<double>(std::max(bits(storage(id).dtype) / 8, 1));
      change[life.first] += bytes;
      change[life.last + 1] -= bytes;
    }
    double now = 0, most = 0;
    for (const auto& [at, bytes] : change) most = std::max(most, now += bytes);
    return most;
  }

  // From the end: of several results that hold one value, the last is the largest, and the others lie in it.
  void choose(const k::Block& block) {
    std::set<int> made;
    std::map<int, const k::Stage*> producers;
    for (const k::Stage& s : block.stages) {
      for (int id : s.results) producers.emplace(id, &s);
      if ((s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce) && s.results.size() == 1)
        made.insert(s.results[0]);
    }
    for (size_t k = block.stages.size(); k-- > 0;) {
      const k::Stage& s = block.stages[k];
      for (const k::Block& b : s.blocks) choose(b);
      if (s.kind != k::StageKind::Map || s.results.size() != 1 || s.iters.empty()) continue;
      const int result = s.results[0];
      if (!can_hold(result) || follows_sums(s, producers)) continue;
      bool whole = false;
      const std::vector<Placed> placed = placed_values(s, whole);
      if (placed.empty()) continue;
      const auto windows = windows_;
      const auto borders = borders_;
      const double before = most_memory();
      if (whole) lies_within(s.results[0], placed, made);
      bool any = false;
      for (const Placed& v : placed) any |= made.count(v.value) && add(v.value, result, v.shift);
      if (!any && windows.size() == windows_.size()) continue;
      if (most_memory() <= before * (1 + kMoreMemory)) continue;
      windows_ = windows;
      borders_ = borders;
    }
  }

  // Such a map is a part of a contraction's kernel, which writes all of the result.
  static bool follows_sums(const k::Stage& map, const std::map<int, const k::Stage*>& producers) {
    const std::vector<int> reads = k::reads(map);
    return std::any_of(reads.begin(), reads.end(), [&](int id) {
      auto it = producers.find(id);
      return it != producers.end() && is_contraction(*it->second) && can_be_epilogue(map, *it->second);
    });
  }

  bool can_hold(int id) const {
    const k::Value& v = p_.values[static_cast<size_t>(id)];
    if (v.interface || storage(id).dtype == DType::String || storage(id).dtype == DType::Invalid) return false;
    std::map<int64_t, Symbol> used;
    for (const Dim& d : v.tensor().dims) collect_symbols(d, used);
    return std::all_of(used.begin(), used.end(), [&](const auto& e) { return entry_.count(e.first) > 0; });
  }

  // The values that the map copies entirely, once each. `whole`: there is nothing else in the result.
  std::vector<Placed> placed_values(const k::Stage& s, bool& whole) const {
    struct Part {
      Placed placed;
      Dim elements = 0;
    };
    std::vector<Part> parts;
    whole = true;
    for (const k::Stage& piece : split_domain(s, p_)) {
      const Expr& e = piece.body[0];
      if (!e.is(ScalarOp::Read) || e->checked || !type_of(static_cast<int>(e->id)).is_tensor() ||
          tensor(static_cast<int>(e->id)).rank() != static_cast<int>(s.iters.size())) {
        whole = false;
        continue;
      }
      Placed v{static_cast<int>(e->id), {}};
      for (size_t k = 0; k < piece.iters.size(); ++k) {
        auto from = as_dim(e->args[k]),
             to = piece.targets.empty() ? Dim(piece.iters[k].symbol) : as_dim(piece.targets[k]);
        if (!from || !to) break;
        v.shift.push_back(*to - *from);
        for (const k::Iter& it : piece.iters) {
          if (depends_on(v.shift.back(), it.symbol)) v.shift.pop_back();
          if (v.shift.size() == k) break;
        }
        if (v.shift.size() == k) break;
      }
      if (v.shift.size() != piece.iters.size()) {
        whole = false;
        continue;
      }
      auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& p) {
        return p.placed.value == v.value && std::equal(p.placed.shift.begin(), p.placed.shift.end(), v.shift.begin(),
                                                       [](const Dim& a, const Dim& b) { return known_equal(a, b); });
      });
      if (same == parts.end()) same = parts.insert(parts.end(), Part{std::move(v)});
      same->elements += elements(piece.iters);
    }
    std::vector<Placed> placed;
    for (Part& p : parts) {
      Dim all = 1;
      for (const Dim& d : tensor(p.placed.value).dims) all *= d;
      if (known_equal(all, p.elements)) placed.push_back(std::move(p.placed));
      else whole = false;
    }
    return placed;
  }

  // All of the result lies side by side in another one, that is larger: so it is a window there.
  void lies_within(int result, const std::vector<Placed>& placed, const std::set<int>& made) {
    if (windows_.count(result) || !made.count(result)) return;
    std::vector<Dim> at;
    for (const Placed& v : placed) {
      auto it = windows_.find(v.value);
      if (it == windows_.end() || it->second.root != windows_.at(placed[0].value).root) return;
      for (size_t k = 0; k < v.shift.size(); ++k) {
        const Dim d = it->second.shift[k] - v.shift[k];
        if (at.size() == k) at.push_back(d);
        if (!known_equal(at[k], d)) return;
      }
    }
    const int root = windows_.at(placed[0].value).root;
    add(result, root, at);
  }

  // `shift`: in `result`.
  bool add(int id, int result, const std::vector<Dim>& shift) {
    if (windows_.count(id) || id == result || uses_.escapes[static_cast<size_t>(id)]) return false;
    const int root = root_of(result);
    const Storage &own = storage(id), &all = storage(root);
    if (root == id || own.dtype != all.dtype || own.order != all.order) return false;
    std::vector<Dim> at = shift_of(result);
    for (size_t k = 0; k < at.size(); ++k) at[k] += shift[k];
    // Elements of the window that follow each other.
    Dim run = std::max(bits(own.dtype) / 8, 1);
    for (size_t k = own.order.size(); k-- > 0;) {
      const size_t d = static_cast<size_t>(own.order[k]);
      run *= own.dims[d];
      if (!known_equal(own.dims[d], all.dims[d])) break;
    }
    if (!known_less_equal(kLeastWindowRun, run)) return false;
    Border border{all.before, all.after, all.fill};
    if (auto it = borders_.find(root); it != borders_.end()) border = it->second;
    // Other windows of this one come with it: the border of a window is that of all that lies in it.
    Border need{own.before, own.after, own.fill};
    if (auto it = borders_.find(id); it != borders_.end()) need = it->second;
    if (need.fill) {
      if (border.fill && !equal(border.fill, need.fill)) return false;
      if (uses_.escapes[static_cast<size_t>(root)]) return false;
      border.fill = need.fill;
      for (size_t k = 0; k < at.size(); ++k) {
        if (need.before[k] == 0 && need.after[k] == 0) continue;
        if (!at[k].is(0) || !known_equal(own.dims[k], all.dims[k])) return false;
        border.before[k] = std::max(border.before[k], need.before[k]);
        border.after[k] = std::max(border.after[k], need.after[k]);
      }
    }
    for (auto& [other, w] : windows_) {
      if (w.root != id) continue;
      w.root = root;
      for (size_t k = 0; k < at.size(); ++k) w.shift[k] += at[k];
    }
    borders_.erase(id);
    borders_[root] = border;
    windows_.emplace(id, Window{root, result, std::move(at)});
    return true;
  }

  void lay_out() {
    std::vector<bool> rows = rows_of_contractions(p_);
    for (const auto& [id, w] : windows_) {
      if (rows[static_cast<size_t>(id)] && !uses_.escapes[static_cast<size_t>(w.root)])
        rows[static_cast<size_t>(w.root)] = true;
    }
    for (const auto& [root, border] : borders_) {
      std::vector<int64_t> before = border.before, after = border.after;
      const int64_t gap = gap_between_rows(tensor(root), storage(root).order);
      // A border of its own may have moved the rows apart already; where it has none, `after` holds the gap.
      int64_t& inner = after[static_cast<size_t>(storage(root).order.back())];
      if (rows[static_cast<size_t>(root)] && inner == 0) inner += gap;
      storages_[static_cast<size_t>(root)] =
          make_storage(tensor(root), storage(root).order, before, after, border.fill);
    }
    for (const auto& [id, w] : windows_) {
      Storage& s = storages_[static_cast<size_t>(id)];
      const Storage& all = storage(w.root);
      if (!s.fill) std::fill(s.after.begin(), s.after.end(), 0);
      s.strides = all.strides;
      s.whole = w.root;
      s.start = all.offset(w.shift);
      s.at = w.shift;
      s.origin = 0;
      s.elements = 1;
      for (const Dim& d : s.dims) s.elements *= d;
    }
  }

  const k::Program& p_;
  Storages& storages_;
  const Uses uses_;
  std::map<int64_t, Symbol> entry_;  // symbols that are known before anything ran
  std::vector<Life> lives_;          // by value, in stages; none of ports and constants
  std::map<int, Window> windows_;
  std::map<int, Border> borders_;    // of the values that hold windows
};

}  // namespace

std::set<int> choose_windows(const k::Program& p, Storages& storages) { return Chooser(p, storages).run(); }

bool apart(const Storages& storages, int a, int b) {
  const Storage &x = storages[static_cast<size_t>(a)], &y = storages[static_cast<size_t>(b)];
  for (size_t k = 0; x.whole >= 0 && y.whole >= 0 && k < x.at.size(); ++k) {
    if (known_less_equal(x.at[k] + x.dims[k], y.at[k]) || known_less_equal(y.at[k] + y.dims[k], x.at[k])) return true;
  }
  return false;
}

int memory_of(const Storages& storages, int value) {
  const int whole = storages[static_cast<size_t>(value)].whole;
  return whole < 0 ? value : whole;
}

bool copies_onto_itself(const Storages& storages, int from, const Dim& from_offset, int to, const Dim& to_offset) {
  return memory_of(storages, from) == memory_of(storages, to) &&
         known_equal(storages[static_cast<size_t>(from)].start + from_offset,
                     storages[static_cast<size_t>(to)].start + to_offset);
}

}  // namespace ingot
