// The generic schedule: correct, vectorised and parallel code for any map or reduction, and for chains of them that share
// their outer iterators (softmax, normalisations, a window sum and what follows it).
//
//   for item in grid (the shared iterators)
//     for each stage: loops over its other iterators, the contiguous one in vectors
//
// Intermediate rows lie in the values' own buffers; they are in L1 when the next stage reads them, so registers would
// save little, and a value that somebody else reads needs no second path.
#include <algorithm>
#include <numeric>

#include "passes/schedule/nest.h"

namespace ingot {

namespace {

inline constexpr int64_t kChunk = 4096;  // elements of a flat map per work item
inline constexpr int64_t kGrainCost = 80000;  // scalar operations of a grain
inline constexpr int64_t kGuessedExtent = 128;  // of a symbolic dim, for costs
inline constexpr int64_t kUnrolledReduction = 49;  // reduced elements that are unrolled: windows up to 7x7
inline constexpr int64_t kSumBlock = 512;  // summands of one chain of additions of floats
inline constexpr int64_t kLeastPart = 4;  // of an iterator that accesses divide: a vector of that many lanes
inline constexpr int64_t kFewInterleaved = 4;  // elements side by side that come from as many rows: colours of an image
inline constexpr int kRowAccumulators = 4;  // partial results of a row reduction, to hide the latency of an add
inline constexpr int64_t kPairedRows = 2;  // of a window's outputs that are computed at once where registers suffice
inline constexpr int kManyRegisters = 32;
inline constexpr int kWindowTileWide = 8;  // the same, with many registers
inline constexpr int kWindowTile = 6;  // outputs of a window reduction that share the loads of weights

int64_t guess(const Dim& d) { return d.constant().value_or(kGuessedExtent); }

// Lanes of a vector that holds the widest element the body computes with.
int lanes_for(const Nest& nest, const TargetFacts& facts) {
  if (facts.vector_bytes == 0) return 1;
  int bytes = 1;
  for (const Expr& e : nest.body) {
    bool strings = false;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Index || n.op == ScalarOp::Const) return;
      strings |= n.type == DType::String || is_complex(n.type);
      int b = std::max(bits(n.type) / 8, 1);
      if (n.type == DType::F16 || n.type == DType::BF16) b = 4;
      bytes = std::max(bytes, b);
    });
    if (strings) return 1;
    if (e.is(ScalarOp::Const) || e.is(ScalarOp::Index)) bytes = std::max(bytes, std::max(bits(e.type()) / 8, 1));
  }
  return std::clamp(facts.vector_bytes / bytes, 1, 32);
}

// A map whose last iterator is short and walks rows, while the one before walks neighbours: an image's planes interleaved.
bool interleaves(const Nest& n) {
  if (n.kind != k::StageKind::Map || n.iters.size() < 2) return false;
  const k::Iter &last = n.iters.back(), &along = n.iters[n.iters.size() - 2];
  if (!last.extent.is_constant() || last.extent.value() < 2 || last.extent.value() > kFewInterleaved) return false;
  bool neighbours = false, plain = true;
  for (const Expr& e : n.body) {
    visit(e, [&](const ExprNode& x) {
      plain &= x.op != ScalarOp::Read;
      if (x.op != ScalarOp::Load) return;
      auto a = affine_in(x.dim, along.symbol), b = affine_in(x.dim, last.symbol);
      plain &= a && b && (a->coefficient.is(0) || a->coefficient.is(1));
      if (plain && a->coefficient.is(1)) neighbours = true, plain &= !b->coefficient.is(1);
    });
  }
  return plain && neighbours;
}

// Whether two rows of a window's outputs read mostly the same.
bool rows_overlap(const Nest& n, const k::Iter& row, const TargetFacts& facts) {
  if (n.kind != k::StageKind::Reduce || n.body.size() != 1 || facts.vector_registers < kManyRegisters) return false;
  const auto taps = elements(n.reds).constant();
  if (!taps || *taps > kUnrolledReduction || (row.extent.is_constant() && row.extent.value() < kPairedRows))
    return false;
  bool overlap = false;
  visit(n.body[0], [&](const ExprNode& x) {
    if (x.op != ScalarOp::Load) return;
    auto down = affine_in(x.dim, row.symbol);
    if (!down || !down->coefficient.is_constant() || down->coefficient.value() <= 0) return;
    for (const k::Iter& red : n.reds) {
      auto tap = affine_in(x.dim, red.symbol);
      if (!tap || !tap->coefficient.is_constant() || tap->coefficient.value() <= 0) continue;
      const int64_t apart = down->coefficient.value(), step = tap->coefficient.value();
      overlap |= apart % step == 0 && 2 * (red.extent.value() - apart / step) >= red.extent.value();
    }
  });
  return overlap;
}

class Rows {
 public:
  Rows(const k::Program& p, const Storages& s, const TargetFacts& f) : b_(p, s, f), facts_(f) {}

  KernelBuilder& builder() { return b_; }

  void nest(const Nest& n, size_t first) {
    b_.node = n.node;
    if (n.kind == k::StageKind::Map && first == n.iters.size()) {
      store_all(n, nullptr, 1, {});
    } else if (interleaves(n) && first + 2 <= n.iters.size() && lanes_for(n, facts_) > 1) {
      loops(n, first, n.iters.size() - 1, [&](const Nest& inner) { interleaved(inner); });
    } else if (n.kind == k::StageKind::Map) {
      loops(n, first, n.iters.size(), [&](const Nest& inner) { map(inner); });
    } else {
      reduce(n, first);
    }
  }

  // A map, and the reduction along its rows that reads it: in one loop.
  void map_and_reduce(const Nest& map, const Nest& reduction) {
    b_.node = reduction.node;
    reduce_along(reduction, lanes_for(reduction, facts_), &map);
  }

  bool along_its_rows(const Nest& map, const Nest& reduction, size_t prefix) const {
    const int lanes = lanes_for(reduction, facts_);
    if (map.kind != k::StageKind::Map || reduction.kind != k::StageKind::Reduce || lanes < 2) return false;
    if (map.iters.size() != prefix + 1 || reduction.iters.size() != prefix || reduction.reds.size() != 1) return false;
    if (map.body.size() != 1 || reduction.body.size() != 1 || lanes_for(map, facts_) != lanes) return false;
    const k::Iter &along = map.iters.back(), &red = reduction.reds[0];
    if (!known_equal(along.extent, red.extent) || !contiguous_store(map, along.symbol)) return false;
    if (friendliness(reduction, red.symbol) <= -4 || friendliness(map, along.symbol) <= -4) return false;
    const Nest::Result& made = map.results[0];
    const Dim at = substitute(made.offset, {{along.symbol->id, Dim(red.symbol)}});
    bool reads = false, same = true;
    visit(reduction.body[0], [&](const ExprNode& n) {
      if ((n.op != ScalarOp::Load && n.op != ScalarOp::Read) || n.id != made.value) return;
      reads = true;
      same &= n.op == ScalarOp::Load && n.dim == at;
    });
    return reads && same && map.body[0].type() == b_.storage(made.value).dtype;
  }

  // A map over [begin, end) of its last iterator.
  void map_range(const Nest& n, const Dim& begin, const Dim& end) {
    b_.node = n.node;
    vector_loop(n.iters.back().symbol, begin, end, lanes_for(n, facts_),
                [&](const Symbol& v, int lanes, Expr mask) { store_all(n, v, lanes, mask); });
  }

 private:
  using Inner = std::function<void(const Nest&)>;

  // Serial loops over iterators [first, last-1), then `inner`, which handles the last one.
  void loops(const Nest& n, size_t first, size_t last, const Inner& inner) {
    if (first + 1 >= last) {
      inner(n);
      return;
    }
    b_.loop(n.iters[first].symbol, 0, n.iters[first].extent, 1, [&] { loops(n, first + 1, last, inner); });
  }

  void vector_loop(const Symbol& v, const Dim& begin, const Dim& end, int lanes,
                   const std::function<void(const Symbol&, int lanes, Expr mask)>& f) {
    Dim extent = end - begin;
    if (auto n = extent.constant(); n && *n < lanes) {
      const bool power = (*n & (*n - 1)) == 0;  // fills a shorter vector
      while (lanes > *n && (power || !facts_.masked_memory)) lanes /= 2;
      lanes = std::max(lanes, 1);
    }
    if (lanes == 1) {
      b_.loop(v, begin, end, 1, [&] { f(v, 1, {}); });
      return;
    }
    Dim main = begin + floordiv(extent, lanes) * lanes;
    if (!known_equal(main, begin)) b_.loop(v, begin, main, lanes, [&] { f(v, lanes, {}); });
    if (known_equal(main, end)) return;
    if (!facts_.masked_memory) {
      Symbol tail = Dim::symbol(v->name, 0);
      b_.loop(v, main, end, 1, [&] { f(v, 1, {}); });
      return;
    }
    auto tail = [&] {
      b_.let(v, main);
      f(v, lanes, first_lanes(end - main, lanes));
    };
    if (known_less(main, end)) {
      tail();
    } else {
      b_.if_then(ex::binary(ScalarOp::Lt, ex::index(main), ex::index(end)), tail);
    }
  }

  bool contiguous_store(const Nest& n, const Symbol& v) const {
    for (const Nest::Result& r : n.results) {
      auto a = affine_in(r.offset, v);
      if (!a || !a->coefficient.is(1)) return false;
    }
    return true;
  }

  void store_all(const Nest& n, const Symbol& v, int lanes, const Expr& mask) {
    ExprLowering x(b_, v, lanes, mask);
    std::vector<Expr> values;
    for (const Expr& e : n.body) values.push_back(x.lower(e));
    for (size_t k = 0; k < n.results.size(); ++k) x.store_at(n.results[k].value, n.results[k].offset, values[k]);
  }

  void map(const Nest& n) {
    const k::Iter& last = n.iters.back();
    int lanes = contiguous_store(n, last.symbol) ? lanes_for(n, facts_) : 1;
    vector_loop(last.symbol, 0, last.extent, lanes,
                [&](const Symbol& v, int l, Expr mask) { store_all(n, v, l, mask); });
  }

  // Lanes along the last iterator but one, for each value of the last.
  void interleaved(const Nest& n) {
    const k::Iter &last = n.iters.back(), &along = n.iters[n.iters.size() - 2];
    const int lanes = lanes_for(n, facts_);
    auto step = [&](const Symbol& v, int l) {
      for (int64_t i = 0; i < last.extent.value(); ++i) {
        Nest at = n;
        substitute(at, {{last.symbol->id, Dim(i)}});
        store_all(at, v, l, {});
      }
    };
    const Dim main = floordiv(along.extent, lanes) * lanes;
    if (!main.is(0)) b_.loop(along.symbol, 0, main, lanes, [&] { step(along.symbol, lanes); });
    if (known_equal(main, along.extent)) return;
    if (known_less_equal(Dim(lanes), along.extent)) {  // the last vector overlaps the one before
      b_.let(along.symbol, along.extent - lanes);
      return step(along.symbol, lanes);
    }
    b_.loop(along.symbol, main, along.extent, 1, [&] { step(nullptr, 1); });
  }

  // How many plain loads the iterator walks by 0 or 1, less those it walks otherwise.
  int friendliness(const Nest& n, const Symbol& v) const {
    int score = 0;
    for (const Expr& e : n.body) {
      visit(e, [&](const ExprNode& x) {
        if (x.op == ScalarOp::Load) {
          auto a = affine_in(x.dim, v);
          if (a && a->coefficient.is(1)) score += 2;
          if (!a || (!a->coefficient.is(1) && !a->coefficient.is(0))) score -= 4;
        }
        if (x.op == ScalarOp::Read) {
          for (size_t k = 0; k < b_.storage(static_cast<int>(x.id)).dims.size(); ++k) {
            auto d = as_dim(x.args[k]);
            if (!d) score -= 4;
            if (d && depends_on(*d, v)) {
              auto a = affine_in(b_.storage(static_cast<int>(x.id)).offset_along(k, *d), v);
              score += a && a->coefficient.is(1) ? 2 : -4;
            }
          }
        }
      });
    }
    return score;
  }

  void reduce(const Nest& n, size_t first) {
    bool pair = n.body.size() == 2;
    int lanes = lanes_for(n, facts_);
    bool has_out = first < n.iters.size(), has_red = !n.reds.empty();
    int out_score = -100, red_score = -100;
    if (has_out && lanes > 1) {
      const k::Iter& last = n.iters.back();
      out_score = friendliness(n, last.symbol) + (contiguous_store(n, last.symbol) ? 1 : -3);
      if (auto e = last.extent.constant(); e && *e < 4) out_score = -50;
    }
    if (has_red && lanes > 1 && !pair) {
      red_score = friendliness(n, n.reds.back().symbol);
      if (auto e = n.reds.back().extent.constant(); e && *e < 4) red_score = -50;
    }
    if (out_score >= red_score && out_score > -4) {
      reduce_across(n, first, lanes);
    } else if (red_score > -4) {
      loops_all(n, first, [&] { reduce_along(n, lanes); });
    } else {
      loops_all(n, first, [&] { reduce_lanes(n, nullptr, 1, {}, {}); });
    }
  }

  void loops_all(const Nest& n, size_t first, const std::function<void()>& inner) {
    if (first == n.iters.size()) {
      inner();
      return;
    }
    b_.loop(n.iters[first].symbol, 0, n.iters[first].extent, 1, [&] { loops_all(n, first + 1, inner); });
  }

  // Lanes along the last output iterator; a few neighbours of the one before share what they load, and those of two rows.
  void reduce_across(const Nest& n, size_t first, int lanes) {
    size_t last = n.iters.size() - 1;
    bool tiled =
        last > first && n.body.size() == 1 && elements(n.reds).constant().value_or(1 << 20) <= kUnrolledReduction;
    const bool paired = tiled && last >= first + 2 && rows_overlap(n, n.iters[last - 2], facts_);
    int64_t rows = 1;
    auto inner = [&](const std::vector<Substitution>& shifts) {
      vector_loop(n.iters[last].symbol, 0, n.iters[last].extent, lanes,
                  [&](const Symbol& v, int l, Expr mask) { reduce_lanes(n, v, l, mask, shifts); });
    };
    std::function<void(size_t)> outer = [&](size_t k) {
      if (paired && k + 2 == last) {
        const k::Iter& row = n.iters[k];
        const Dim main = floordiv(row.extent, kPairedRows) * kPairedRows;
        rows = kPairedRows;
        b_.loop(row.symbol, 0, main, kPairedRows, [&] { outer(k + 1); });
        rows = 1;
        if (!known_equal(main, row.extent)) b_.loop(row.symbol, main, row.extent, 1, [&] { outer(k + 1); });
        return;
      }
      if (k + 1 < last || (k < last && !tiled)) {
        b_.loop(n.iters[k].symbol, 0, n.iters[k].extent, 1, [&] { outer(k + 1); });
        return;
      }
      if (k == last) {
        inner({});
        return;
      }
      const k::Iter& row = n.iters[k];
      int64_t tile = facts_.vector_registers >= kManyRegisters ? kWindowTileWide : kWindowTile;
      if (auto e = row.extent.constant()) {
        int64_t count = (*e + tile - 1) / tile;
        tile = count ? (*e + count - 1) / count : 1;  // even split
      }
      auto shifts = [&](int64_t columns) {
        std::vector<Substitution> all;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t t = 0; t < columns; ++t) {
            all.push_back({{row.symbol->id, Dim(row.symbol) + t}});
            if (rows > 1) all.back().emplace(n.iters[k - 1].symbol->id, Dim(n.iters[k - 1].symbol) + r);
          }
        }
        return all;
      };
      Dim main = floordiv(row.extent, tile) * tile;
      if (!main.is(0)) b_.loop(row.symbol, 0, main, tile, [&] { inner(shifts(tile)); });
      if (known_equal(main, row.extent)) return;
      const int64_t left = (row.extent - main).constant().value_or(1);
      b_.loop(row.symbol, main, row.extent, left, [&] { inner(shifts(left)); });
    };
    outer(first);
  }

  // One reduction per lane (and per output of a tile), all reduced iterators in scalar loops.
  void reduce_lanes(const Nest& n, const Symbol& v, int lanes, const Expr& mask, std::vector<Substitution> shifts) {
    if (shifts.empty()) shifts = {{}};
    bool pair = n.body.size() == 2;
    DType t = n.body[0].type();
    std::vector<int64_t> acc, position;
    // Of a tile of two rows, in the order of what is read: each element is in a register while all outputs take it. Each
    // output takes its summands in the order that it has by itself.
    const bool by_address = shifts.size() > 1 && shifts[0].size() > 1 &&
                            elements(n.reds).constant().value_or(kDimMax) <= kUnrolledReduction;
    ExprLowering init(b_, v, lanes, mask);
    for (size_t k = 0; k < shifts.size(); ++k) {
      // Of a sum of floats the first summand begins it, where it is known which.
      const bool later = by_address && n.combiner == Combiner::Sum && is_float(t);
      acc.push_back(later ? -1 : b_.declare(t, lanes, init.splat(neutral(n.combiner, t))));
      if (pair) position.push_back(b_.declare(DType::I64, lanes, init.splat(ex::integer(DType::I64, 0))));
    }
    auto add = [&](const Nest& at, size_t k) {
      Nest shifted = at;
      substitute(shifted, shifts[k]);
      ExprLowering x(b_, v, lanes, mask);
      Expr value = x.wide(shifted.body[0]);
      if (acc[k] < 0) {
        acc[k] = b_.declare(t, lanes, value);
        return;
      }
      Expr old = KernelBuilder::local(acc[k], t, lanes);
      if (!pair) {
        b_.set(acc[k], combine(n.combiner, old, value));
        return;
      }
      Expr index = x.wide(shifted.body[1]);
      Expr old_index = KernelBuilder::local(position[k], DType::I64, lanes);
      Expr better = arg_better(n.combiner, value, old);
      // The decision is taken once: in a register, since both results depend on the old value.
      int64_t flag = b_.declare(DType::Bool, lanes, better);
      Expr take = KernelBuilder::local(flag, DType::Bool, lanes);
      auto pick = [&](Expr yes, Expr no) {
        ExprNode s{ScalarOp::Select, yes.type()};
        s.lanes = lanes;
        s.args = {take, std::move(yes), std::move(no)};
        return ex::make(std::move(s));
      };
      Expr new_value = pick(value, old), new_index = pick(index, old_index);
      b_.set(acc[k], new_value);
      b_.set(position[k], new_index);
    };
    std::vector<Nest> taps;
    auto step = [&](const Nest& at) {
      if (by_address) {
        taps.push_back(at);
        return;
      }
      for (size_t k = 0; k < shifts.size(); ++k) add(at, k);
    };
    // Long sums of floats are taken in blocks, the blocks' sums added up: the error grows with the length of a chain.
    const bool blocked = n.combiner == Combiner::Sum && is_float(t) && elements(n.reds).upper() > kSumBlock;
    reduced_loops(n, 0, step, [&](const k::Iter& r, const std::function<void()>& body) {
      if (!blocked) return b_.loop(r.symbol, 0, r.extent, 1, body);
      auto block = [&](const Dim& begin, const Dim& end) {
        std::vector<int64_t> total(acc.size());
        for (int64_t& id : total) id = b_.declare(t, lanes, init.splat(neutral(n.combiner, t)));
        std::swap(acc, total);
        b_.loop(r.symbol, begin, end, 1, body);
        std::swap(acc, total);
        for (size_t k = 0; k < acc.size(); ++k)
          b_.set(acc[k],
                 combine(n.combiner, KernelBuilder::local(acc[k], t, lanes), KernelBuilder::local(total[k], t, lanes)));
      };
      if (r.extent.upper() <= kSumBlock) return block(0, r.extent);
      const Symbol first = Dim::iterator("block", r.extent);
      b_.loop(first, 0, r.extent, kSumBlock, [&] { block(Dim(first), min(r.extent, Dim(first) + kSumBlock)); });
    });
    for (const auto& [tap, k] : by_what_is_read(taps, shifts)) add(taps[tap], k);
    for (size_t k = 0; k < shifts.size(); ++k) {
      Nest shifted = n;
      substitute(shifted, shifts[k]);
      ExprLowering x(b_, v, lanes, mask);
      x.store_at(shifted.results[0].value, shifted.results[0].offset, KernelBuilder::local(acc[k], t, lanes));
      if (pair)
        x.store_at(shifted.results[1].value, shifted.results[1].offset,
                   KernelBuilder::local(position[k], DType::I64, lanes));
    }
  }

  // Pairs of tap and output, by where the first load that moves with the output lies; in order where that is not known.
  static std::vector<std::pair<size_t, size_t>> by_what_is_read(const std::vector<Nest>& taps,
                                                                const std::vector<Substitution>& shifts) {
    struct Pair {
      size_t tap, output;
      int64_t at;
    };
    std::vector<Pair> pairs;
    std::optional<Dim> origin;
    for (size_t t = 0; t < taps.size(); ++t) {
      for (size_t k = 0; k < shifts.size(); ++k) {
        std::optional<Dim> at;
        visit(taps[t].body[0], [&](const ExprNode& x) {
          if (at || x.op != ScalarOp::Load) return;
          const Dim moved = substitute(x.dim, shifts[k]);
          if (substitute(x.dim, shifts.back()) != substitute(x.dim, shifts.front())) at = moved;
        });
        if (at && !origin) origin = at;
        const auto distance = at ? (*at - *origin).constant() : std::optional<int64_t>(0);
        pairs.push_back({t, k, distance.value_or(0)});
      }
    }
    std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.at < b.at; });
    std::vector<std::pair<size_t, size_t>> order;
    for (const Pair& p : pairs) order.emplace_back(p.tap, p.output);
    return order;
  }

  // value beats old; the first step always does, since positions start at 0 with the neutral value.
  Expr arg_better(Combiner c, const Expr& value, const Expr& old) {
    ScalarOp op = ScalarOp::Gt;
    switch (c) {
      case Combiner::ArgMaxLast: op = ScalarOp::Ge; break;
      case Combiner::ArgMinFirst: op = ScalarOp::Lt; break;
      case Combiner::ArgMinLast: op = ScalarOp::Le; break;
      default: break;
    }
    auto node = [&](ScalarOp o, std::vector<Expr> args) {
      ExprNode n{o, DType::Bool};
      n.lanes = value.lanes();
      n.args = std::move(args);
      return ex::make(std::move(n));
    };
    Expr better = node(op, {value, old});
    if (!is_float(value.type())) return better;
    Expr nan = node(ScalarOp::IsNaN, {value});
    bool last = c == Combiner::ArgMaxLast || c == Combiner::ArgMinLast;
    if (!last) nan = node(ScalarOp::And, {nan, node(ScalarOp::Not, {node(ScalarOp::IsNaN, {old})})});
    return node(ScalarOp::Or, {better, nan});
  }

  // `innermost` makes the loop over the last reduced iterator.
  using InnermostLoop = std::function<void(const k::Iter&, const std::function<void()>& body)>;
  void reduced_loops(const Nest& n, size_t k, const std::function<void(const Nest&)>& step,
                     const InnermostLoop& innermost) {
    if (k == n.reds.size()) {
      step(n);
      return;
    }
    std::vector<k::Iter> rest(n.reds.begin() + static_cast<long>(k), n.reds.end());
    auto count = elements(rest).constant();
    if (count && *count <= kUnrolledReduction) {
      for (int64_t i = 0; i < *n.reds[k].extent.constant(); ++i) {
        Nest at = n;
        substitute(at, {{n.reds[k].symbol->id, Dim(i)}});
        reduced_loops(at, k + 1, step, innermost);
      }
      return;
    }
    auto body = [&] { reduced_loops(n, k + 1, step, innermost); };
    if (k + 1 == n.reds.size()) return innermost(n.reds[k], body);
    b_.loop(n.reds[k].symbol, 0, n.reds[k].extent, 1, body);
  }

  // Lanes along the last reduced iterator; one result. With `map`, a map of the same rows is stored on the way.
  void reduce_along(const Nest& n, int lanes, const Nest* map = nullptr) {
    DType t = n.body[0].type();
    const k::Iter& last = n.reds.back();
    if (auto e = last.extent.constant()) {
      while (lanes > 2 && *e < lanes) lanes /= 2;
    }
    ExprLowering plain(b_, last.symbol, lanes);
    std::vector<int64_t> acc;
    int64_t step = lanes * kRowAccumulators;
    bool many = !last.extent.is_constant() || last.extent.value() >= 2 * step;
    for (int k = 0; k < (many ? kRowAccumulators : 1); ++k)
      acc.push_back(b_.declare(t, lanes, plain.splat(neutral(n.combiner, t))));
    int64_t rest = b_.declare(t, 1, neutral(n.combiner, t));
    auto element = [&](const Dim& shift, int l, const Expr& mask) {
      ExprLowering x(b_, last.symbol, l, mask);
      const Dim index = Dim(last.symbol) + shift;
      if (map) {
        Nest made = *map;
        substitute(made, {{map->iters.back().symbol->id, index}});
        const Expr v = b_.keep(x.wide(made.body[0]));
        x.store_at(made.results[0].value, made.results[0].offset, v);
        x.registers.emplace(made.results[0].value, [v](const ExprNode&) { return v; });
      }
      return x.wide(substitute(n.body[0], {{last.symbol->id, index}}));
    };
    auto add = [&](int64_t into, const Dim& shift, int l, const Expr& mask) {
      ExprLowering x(b_, last.symbol, l, mask);
      Expr value = element(shift, l, mask);
      if (mask) {
        ExprNode s{ScalarOp::Select, t};
        s.lanes = l;
        s.args = {mask, value, x.splat(neutral(n.combiner, t))};
        value = ex::make(std::move(s));
      }
      b_.set(into, combine(n.combiner, KernelBuilder::local(into, t, l), value));
    };
    std::function<void(size_t)> outer = [&](size_t k) {
      if (k + 1 < n.reds.size()) {
        b_.loop(n.reds[k].symbol, 0, n.reds[k].extent, 1, [&] { outer(k + 1); });
        return;
      }
      Dim begin = 0;
      if (many) {
        Dim end = floordiv(last.extent, step) * step;
        b_.loop(last.symbol, 0, end, step, [&] {
          for (int j = 0; j < kRowAccumulators; ++j) add(acc[static_cast<size_t>(j)], Dim(j * lanes), lanes, {});
        });
        begin = end;
      }
      vector_loop(last.symbol, begin, last.extent, lanes, [&](const Symbol&, int l, Expr mask) {
        if (l == lanes) {
          add(acc[0], 0, l, mask);
        } else if (l == 1) {
          add(rest, 0, 1, {});
        } else {  // what is left may be narrower than the accumulators
          b_.set(rest,
                 combine(n.combiner, KernelBuilder::local(rest, t, 1), horizontal(n.combiner, element(0, l, {}))));
        }
      });
    };
    outer(0);
    Expr total = KernelBuilder::local(acc[0], t, lanes);
    for (size_t k = 1; k < acc.size(); ++k) total = combine(n.combiner, total, KernelBuilder::local(acc[k], t, lanes));
    Expr scalar = combine(n.combiner, horizontal(n.combiner, total), KernelBuilder::local(rest, t, 1));
    ExprLowering out(b_);
    out.store_at(n.results[0].value, n.results[0].offset, scalar);
  }

  Expr horizontal(Combiner c, Expr v) {
    ExprNode n{ScalarOp::LaneSum, v.type()};
    switch (c) {
      case Combiner::Prod: n.op = ScalarOp::LaneProd; break;
      case Combiner::Max:
      case Combiner::Or: n.op = ScalarOp::LaneMax; break;
      case Combiner::Min:
      case Combiner::And: n.op = ScalarOp::LaneMin; break;
      default: break;
    }
    if (v.type() != DType::Bool) {
      n.args = {std::move(v)};
      return ex::make(std::move(n));
    }
    ExprNode wide{ScalarOp::Cast, DType::I32};
    wide.lanes = v.lanes();
    wide.args = {std::move(v)};
    n.type = DType::I32;
    n.args = {ex::make(std::move(wide))};
    return ex::binary(ScalarOp::Ne, ex::make(std::move(n)), ex::integer(DType::I32, 0));
  }

  KernelBuilder b_;
  const TargetFacts& facts_;
};

std::string kernel_name(const std::vector<Nest>& nests) {
  std::string name;
  for (const Nest& n : nests) {
    if (!name.empty()) name += "_";
    std::string_view what = n.kind == k::StageKind::Map ? "map" : k::name(n.combiner);
    name += what;
  }
  if (name.size() > 48) name.resize(48);
  const Nest& last = nests.back();
  name += fmt::format("_{}", ingot::name(last.body[0].type()));
  for (const k::Iter& it : last.iters) name += it.extent.is_constant() ? fmt::format("_{}", it.extent.str()) : "_n";
  return name;
}

void count_work(Launch& launch, const std::vector<Nest>& nests, const Storages& storages) {
  Dim visits = 0, operations = 0;
  for (const Nest& n : nests) {
    const Dim count = elements(n.iters) * elements(n.reds);
    visits += count;
    int64_t each = n.kind == k::StageKind::Reduce ? 1 : 0;
    for (const Expr& e : n.body) {
      visit(e, [&](const ExprNode& x) {
        const bool moves = x.op == ScalarOp::Read || x.op == ScalarOp::Load || x.op == ScalarOp::Cast ||
                           x.op == ScalarOp::Index || x.op == ScalarOp::Const || x.op == ScalarOp::Select;
        each += !moves && is_float(x.type);
      });
    }
    operations += count * each;
  }
  launch.kernel.bytes = bytes_of(launch.values, storages, visits);
  if (operations.is_constant()) launch.kernel.flops = operations;
}

int64_t item_cost(const std::vector<Nest>& nests, size_t prefix) {
  int64_t cost = 0;
  for (const Nest& n : nests) {
    int64_t c = body_cost(n);
    for (size_t k = prefix; k < n.iters.size(); ++k) c *= std::clamp<int64_t>(guess(n.iters[k].extent), 1, 1 << 20);
    for (const k::Iter& r : n.reds) c *= std::clamp<int64_t>(guess(r.extent), 1, 1 << 20);
    cost = std::min<int64_t>(cost + std::min<int64_t>(c, int64_t{1} << 40), int64_t{1} << 41);
  }
  return std::max<int64_t>(cost, 1);
}

// Two rows in one item: the last shared iterator becomes one over pairs, and one within; of an odd number the last is alone.
void pair_rows(std::vector<Nest>& nests, size_t prefix) {
  const k::Iter first = nests[0].iters[prefix - 1];
  const Dim pairs = ceildiv(first.extent, kPairedRows);
  const k::Iter pair{Dim::iterator(first.symbol->name, pairs), pairs};
  const Dim left = first.extent - Dim(pair.symbol) * kPairedRows;
  const Dim count = known_divisible(first.extent, kPairedRows) ? Dim(kPairedRows) : min(Dim(kPairedRows), left);
  for (Nest& n : nests) {
    const k::Iter within{Dim::iterator(first.symbol->name, Dim(kPairedRows)), count};
    substitute(n, {{n.iters[prefix - 1].symbol->id, Dim(pair.symbol) * kPairedRows + Dim(within.symbol)}});
    n.iters[prefix - 1] = pair;
    n.iters.insert(n.iters.begin() + static_cast<long>(prefix), within);
  }
}

}  // namespace

size_t most_shared(const Nest& n) {
  size_t rank = n.iters.size();
  if (n.kind == k::StageKind::Map) return rank > 0 ? rank - (interleaves(n) ? 2 : 1) : 0;
  if (elements(n.reds).constant().value_or(1 << 20) <= kUnrolledReduction) return rank > 2 ? rank - 2 : 0;
  bool along = false;
  for (const Expr& e : n.body) {
    visit(e, [&](const ExprNode& x) {
      if (x.op != ScalarOp::Load || n.reds.empty()) return;
      auto a = affine_in(x.dim, n.reds.back().symbol);
      along |= a && a->coefficient.is(1);
    });
  }
  return along || rank == 0 ? rank : rank - 1;
}

Launch schedule_rows(const std::vector<Nest>& given, size_t prefix, const k::Program& p, const Storages& storages,
                     const TargetFacts& facts) {
  Rows rows(p, storages, facts);
  std::vector<Nest> nests = given;
  const bool paired =
      prefix > 0 && nests[0].iters.size() == prefix + 2 && rows_overlap(nests[0], nests[0].iters[prefix - 1], facts);
  if (paired) pair_rows(nests, prefix);
  std::vector<k::Iter> shared(nests[0].iters.begin(), nests[0].iters.begin() + static_cast<long>(prefix));
  Dim items = elements(shared);
  Symbol item = Dim::iterator("item", items);
  rows.builder().decode(item, shared);
  std::vector<Nest> owns;
  for (const Nest& n : nests) {
    Nest own = n;
    Substitution unify;
    for (size_t k = 0; k < prefix; ++k) {
      if (own.iters[k].symbol->id != shared[k].symbol->id)
        unify.emplace(own.iters[k].symbol->id, Dim(shared[k].symbol));
    }
    substitute(own, unify);
    if (facts.device == TargetFacts::Device::Cpu) collapse(own, prefix);
    owns.push_back(std::move(own));
  }
  for (size_t k = 0; k < owns.size(); ++k) {
    if (k + 1 < owns.size() && rows.along_its_rows(owns[k], owns[k + 1], prefix)) {
      rows.map_and_reduce(owns[k], owns[k + 1]);
      ++k;
    } else {
      rows.nest(owns[k], prefix);
    }
  }
  Launch launch = rows.builder().finish(kernel_name(given), item, items);
  launch.grain = std::max<int64_t>(1, kGrainCost / (item_cost(given, prefix) * (paired ? kPairedRows : 1)));
  count_work(launch, given, storages);
  launch.kernel.schedule =
      fmt::format("rows: {} stages, {} shared iterators{}", nests.size(), prefix, paired ? ", two rows at a time" : "");
  return launch;
}

Launch schedule_single(Nest n, const k::Program& p, const Storages& storages, const TargetFacts& facts) {
  if (n.kind == k::StageKind::Map && facts.vector_bytes > 0) {
    Nest parts = n;  // channels of a shuffle: a short part is no vector, but may interleave
    split_divided(parts, &Nest::iters, 2);
    collapse(parts, 0);
    if (interleaves(parts)) n = std::move(parts);
    else split_divided(n, &Nest::iters, kLeastPart);
  }
  collapse(n, 0);
  if (facts.device == TargetFacts::Device::OpenCl) return schedule_rows({n}, n.iters.size(), p, storages, facts);
  if (n.kind == k::StageKind::Map && n.iters.size() == 1) {
    Rows rows(p, storages, facts);
    const k::Iter it = n.iters[0];
    Dim items = ceildiv(it.extent, kChunk);
    Symbol item = Dim::iterator("item", items);
    Dim begin = Dim(item) * kChunk;
    bool one = it.extent.is_constant() && it.extent.value() <= kChunk;
    Dim end = one                                                          ? it.extent
              : it.extent.is_constant() && it.extent.value() % kChunk == 0 ? begin + kChunk
                                                                           : min(it.extent, begin + kChunk);
    if (one) begin = 0;
    rows.map_range(n, begin, end);
    Launch launch = rows.builder().finish(kernel_name({n}), item, items);
    launch.grain = std::max<int64_t>(1, kGrainCost / (kChunk * body_cost(n)));
    count_work(launch, {n}, storages);
    launch.kernel.schedule = "flat map";
    return launch;
  }
  size_t prefix = most_shared(n);
  return schedule_rows({n}, prefix, p, storages, facts);
}

}  // namespace ingot
