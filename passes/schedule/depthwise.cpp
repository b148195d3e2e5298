// y[p,q,c] = u8(epilogue(sum(r,s) u8(x[p*a+r, q*b+s, c]) * i8(w[c,r,s])))  with Dot4
//
// Nothing is summed over channels, which lie side by side, so the four products that Dot4 adds up are four columns of the
// window, and the bytes of four neighbouring columns have to be interleaved first:
//
//   x0 = a b c d ...      (bytes of column 0: channels 0, 1, 2, 3, ...)
//   x1 = e f g h ...
//   x2 = i j k l ...      y[0] = a e i m ...  (channel 0 of four columns, channel 4, channel 8, ...)
//   x3 = m n o p ...      y[1] = b f j n ...  (channels 1, 5, 9, ...), y[2], y[3]
//
// A true transpose leaves channels in their order at the price of permutations across the vector. Shifts and masks give
// the order above: accumulator k holds channels k, 4+k, 8+k, ... The filters are packed in that order, constants of the
// epilogue are read in it, and results, a byte each, become bytes of one word by shifts again: the store is in order.
//
// With stride 1 a window of three columns serves two outputs from the same four columns, with filters (w0 w1 w2 0) and
// (0 w0 w1 w2). What is left over, channels or columns, is done by a last block that overlaps the one before.
//
// Against a vector per tap (vpmovzxbd, vpmaddwd, vpaddd; sums through memory) half of the time on Zen 4.
#include "passes/schedule/depthwise.h"

#include <algorithm>

#include "passes/kernels/passes.h"
#include "passes/schedule/product.h"

namespace ingot {

namespace {

inline constexpr int64_t kDot = 4;  // products that one instruction adds up
inline constexpr int64_t kMostTaps = 49;  // of a window, which is unrolled
inline constexpr int64_t kMostColumns = 8;  // of a window
inline constexpr int64_t kLeastBlock = 16;  // channels of a vector
inline constexpr int64_t kBlockOverhead = 8;  // a vector costs as much as this many channels more

Expr uncast(Expr e) {
  while (e.is(ScalarOp::Cast)) e = e->args[0];
  return e;
}

// The coefficient of `s`, where it is a constant.
std::optional<int64_t> step(const Dim& d, const Symbol& s) {
  auto a = affine_in(d, s);
  return a ? a->coefficient.constant() : std::nullopt;
}

class Depthwise {
 public:
  Depthwise(const k::Stage& reduce, const k::Stage& epilogue, k::Program& p, Storages& s, const TargetFacts& f)
      : reduce_(reduce), epilogue_(epilogue), p_(p), storages_(s), b_(p, s, f), facts_(f) {}

  Result<std::optional<std::vector<Launch>>> run() {
    if (!find_operands() || !find_roles()) return std::optional<std::vector<Launch>>{};
    choose_tile();
    TRY(pack());
    std::vector<Launch> launches;
    launches.push_back(kernel());
    return std::optional(std::move(launches));
  }

 private:
  bool find_operands() {
    if (reduce_.combiner != Combiner::Sum || reduce_.body.size() != 1) return false;
    const Expr product = reduce_.body[0];
    if (!product.is(ScalarOp::Mul) || product.type() != DType::I32) return false;
    Expr a = uncast(product->args[0]), b = uncast(product->args[1]);
    auto constant = [&](const Expr& e) { return p_.values[static_cast<size_t>(e->id)].constant != nullptr; };
    if (!a.is(ScalarOp::Read) || !b.is(ScalarOp::Read)) return false;
    if (constant(a)) std::swap(a, b);
    if (a.type() != DType::U8 || b.type() != DType::I8 || constant(a) || !constant(b) || b->checked) return false;
    a = flatten_reads(a, reduce_, storages_);
    if (!a.is(ScalarOp::Load)) return false;
    x_ = a->id, x_at_ = a->dim, filter_ = b;
    // The results, at the iterators of the sums.
    const DType t = epilogue_.body[0].type();
    if ((t != DType::U8 && t != DType::I8) || !reads_in_place(epilogue_, reduce_)) return false;
    Substitution to;
    std::vector<Dim> index;
    for (size_t k = 0; k < reduce_.iters.size(); ++k) {
      index.push_back(Dim(reduce_.iters[k].symbol));
      to.emplace(epilogue_.iters[k].symbol->id, index.back());
    }
    after_ = substitute(flatten_epilogue(epilogue_, reduce_.results[0], storages_), to);
    result_ = epilogue_.results[0];
    y_at_ = storages_[static_cast<size_t>(result_)].offset(index);
    return true;
  }

  bool uses_filter(const Symbol& s) const {
    return std::any_of(filter_->args.begin(), filter_->args.end(), [&](const Expr& e) {
      auto d = as_dim(e);
      return !d || depends_on(*d, s);
    });
  }

  // Channels are neighbours in x and y; the window's columns step as far as a whole number of the results' do.
  bool find_roles() {
    const std::vector<int>& order = storages_[static_cast<size_t>(result_)].order;
    if (order.size() < 2) return false;
    channel_ = reduce_.iters[static_cast<size_t>(order.back())];
    column_ = reduce_.iters[static_cast<size_t>(order[order.size() - 2])];
    for (size_t k = 0; k + 2 < order.size(); ++k) outer_.push_back(reduce_.iters[static_cast<size_t>(order[k])]);
    if (!channel_.extent.is_constant() || channel_.extent.value() < kLeastBlock) return false;
    if (!column_.extent.is_constant() || column_.extent.value() < 1) return false;
    if (step(x_at_, channel_.symbol) != 1 || step(y_at_, channel_.symbol) != 1) return false;
    const auto along = step(x_at_, column_.symbol);
    if (!along || *along <= 0 || uses_filter(column_.symbol) || !affine_in(y_at_, column_.symbol)) return false;
    for (const k::Iter& it : outer_) {
      if (uses_filter(it.symbol) && !it.extent.is(1)) return false;
    }
    int64_t taps = 1;
    for (const k::Iter& it : reduce_.reds) {
      if (!it.extent.is_constant() || it.extent.value() < 1 || !affine_in(x_at_, it.symbol)) return false;
      taps *= it.extent.value();
      if (taps > kMostTaps) return false;
      auto s = step(x_at_, it.symbol);
      if (it.extent.value() > 1 && s && *s > 0 && *along % *s == 0 && (!tap_.symbol || *s < *step(x_at_, tap_.symbol)))
        tap_ = it;
    }
    if (!tap_.symbol || tap_.extent.value() > kMostColumns) return false;
    stride_ = *along / *step(x_at_, tap_.symbol);
    for (const k::Iter& it : reduce_.reds) {
      if (it.symbol->id != tap_.symbol->id) rows_.push_back(it);
    }
    return true;
  }

  void choose_tile() {
    const int64_t channels = channel_.extent.value(), taps = tap_.extent.value();
    auto cost = [&](int64_t block) { return (channels + block - 1) / block * (block + kBlockOverhead); };
    block_ = kLeastBlock;
    for (int64_t b = 2 * kLeastBlock; b <= std::min<int64_t>(facts_.vector_bytes, channels); b *= 2) {
      if (cost(b) <= cost(block_)) block_ = b;
    }
    lanes_ = block_ / kDot;
    // As many outputs as need no further column of the last group.
    if (stride_ == 1) tile_ = kDot - (taps - 1) % kDot;
    if (tile_ > column_.extent.value() || tile_ * kDot > facts_.vector_registers / 2) tile_ = 1;
    columns_ = (tile_ - 1) * stride_ + taps;
    groups_ = (columns_ + kDot - 1) / kDot;
  }

  Dim first_channel(const Dim& block) const {
    const int64_t channels = channel_.extent.value();
    return channels % block_ == 0 ? block * block_ : min(block * block_, channels - block_);
  }

  // packed[block, rows of the window..., group, output of the tile, k, lane, part] = filter of channel 4*lane + k at the
  // tap that the group's column `part` is to that output; 0 outside of the window.
  Result<void> pack() {
    k::Stage s;
    s.node = epilogue_.node;
    auto add = [&](const char* name, int64_t extent) {
      s.iters.push_back({Dim::iterator(name, Dim(extent)), Dim(extent)});
      return Dim(s.iters.back().symbol);
    };
    Substitution to;
    const Dim block = add("block", blocks());
    for (const k::Iter& it : rows_) to.insert_or_assign(it.symbol->id, add("row", it.extent.value()));
    const Dim group = add("group", groups_), output = add("output", tile_), k = add("k", kDot),
              lane = add("lane", lanes_), part = add("part", kDot);
    const Dim tap = group * kDot + part - output * stride_;
    const int64_t last = tap_.extent.value() - 1;
    to.insert_or_assign(tap_.symbol->id, max(0, min(tap, last)));
    to.insert_or_assign(channel_.symbol->id, first_channel(block) + lane * kDot + k);
    for (const k::Iter& it : outer_) to.insert_or_assign(it.symbol->id, Dim(0));
    Expr inside = ex::binary(ScalarOp::And, ex::index(tap) >= ex::integer(DType::I64, 0),
                             ex::index(tap) <= ex::integer(DType::I64, last));
    s.body = {ex::select(inside, substitute(filter_, to), ex::integer(DType::I8, 0))};
    TensorType t{DType::I8, {}};
    for (const k::Iter& it : s.iters) t.dims.push_back(it.extent);
    packed_ = add_value(p_, storages_, "packed", std::move(t));
    p_.values[static_cast<size_t>(packed_)].constant = TRY(evaluate_stage(s, p_))[0];
    return {};
  }

  int64_t blocks() const { return (channel_.extent.value() + block_ - 1) / block_; }

  // --- the kernel ---------------------------------------------------------------------------------------------------

  Launch kernel() {
    b_.node = epilogue_.node;
    const Dim items = elements(outer_);
    Symbol item = Dim::iterator("item", items);
    b_.decode(item, outer_);
    const int64_t columns = column_.extent.value(), tiles = (columns + tile_ - 1) / tile_;
    block_symbol_ = Dim::iterator("block", Dim(blocks()));
    b_.loop(block_symbol_, 0, blocks(), 1, [&] {
      b_.let(channel_.symbol, first_channel(Dim(block_symbol_)));
      Symbol tile = Dim::iterator("tile", Dim(tiles));
      b_.loop(tile, 0, tiles, 1, [&] {
        b_.let(column_.symbol, columns % tile_ == 0 ? Dim(tile) * tile_ : min(Dim(tile) * tile_, columns - tile_));
        emit_tile();
      });
    });
    Launch l = b_.finish(fmt::format("depthwise_u8_{}x{}", tile_, block_), item, items);
    const Dim per_item = Dim(columns * channel_.extent.value()) * elements(reduce_.reds) * 2;
    l.kernel.flops = items * per_item;
    l.kernel.bytes = bytes_of(l.values, storages_);
    l.grain = grain_of(static_cast<double>(per_item.value()), 0);
    l.kernel.schedule = fmt::format("depthwise: {} channels, {} columns for {} outputs", block_, columns_, tile_);
    return l;
  }

  void emit_tile() {
    sums_.clear();
    for (int64_t k = 0; k < tile_ * kDot; ++k) {
      Expr zero = splat(ex::integer(DType::I32, 0), lanes_);
      sums_.push_back(b_.declare(DType::I32, static_cast<int>(lanes_), zero));
    }
    std::vector<Dim> row;
    window_rows(row);
    for (int64_t i = 0; i < tile_; ++i) finish(i);
  }

  void window_rows(std::vector<Dim>& row) {
    if (row.size() < rows_.size()) {
      for (int64_t k = 0; k < rows_[row.size()].extent.value(); ++k) {
        row.emplace_back(k);
        window_rows(row);
        row.pop_back();
      }
      return;
    }
    Substitution at;
    for (size_t k = 0; k < rows_.size(); ++k) at.emplace(rows_[k].symbol->id, row[k]);
    for (int64_t g = 0; g < groups_; ++g) group(at, row, g);
  }

  // The low halves of the lanes of `low` beside those of `high`, and the high halves: lanes are of type t, halves of `bits`.
  // Either may be null.
  std::pair<Expr, Expr> interleaved(const Expr& low, const Expr& high, DType t, int64_t half) {
    const int64_t lanes = block_ / (bits(t) / 8);
    auto as_lanes = [&](const Expr& e) { return wide(ScalarOp::Bitcast, t, lanes, {e}); };
    auto op = [&](ScalarOp o, const Expr& a, int64_t v) {
      return wide(o, t, lanes, {a, splat(ex::integer(t, v), lanes)});
    };
    const int64_t mask = (int64_t{1} << half) - 1;
    Expr even, odd;
    auto join = [&](Expr& into, const Expr& e) { into = into ? wide(ScalarOp::Or, t, lanes, {into, e}) : e; };
    if (low) {
      join(even, op(ScalarOp::And, as_lanes(low), mask));
      join(odd, op(ScalarOp::Shr, as_lanes(low), half));
    }
    if (high) {
      join(even, op(ScalarOp::Shl, as_lanes(high), half));
      join(odd, op(ScalarOp::And, as_lanes(high), mask << half));
    }
    return {even ? b_.keep(even) : even, odd ? b_.keep(odd) : odd};
  }

  // Four columns of one row of the window, added to the outputs that they are taps of.
  void group(const Substitution& row, const std::vector<Dim>& row_index, int64_t g) {
    const Dim at = substitute(x_at_, row);
    Expr x[kDot];
    for (int64_t j = 0; j < kDot && g * kDot + j < columns_; ++j)
      x[j] = b_.keep(wide_load(b_.buffer(static_cast<int>(x_)), DType::U8,
                               substitute(at, {{tap_.symbol->id, Dim(g * kDot + j)}}), block_));
    auto [even01, odd01] = interleaved(x[0], x[1], DType::U16, 8);
    auto [even23, odd23] = interleaved(x[2], x[3], DType::U16, 8);
    auto [y0, y2] = interleaved(even01, even23, DType::U32, 16);
    auto [y1, y3] = interleaved(odd01, odd23, DType::U32, 16);
    const Expr y[kDot] = {y0, y1, y2, y3};
    for (int64_t i = 0; i < tile_; ++i) {
      bool taps = false;
      for (int64_t j = 0; j < kDot; ++j) {
        const int64_t tap = g * kDot + j - i * stride_;
        taps |= tap >= 0 && tap < tap_.extent.value();
      }
      if (!taps) continue;
      for (int64_t k = 0; k < kDot; ++k) {
        std::vector<Dim> index = {Dim(block_symbol_)};
        index.insert(index.end(), row_index.begin(), row_index.end());
        for (int64_t n : {g, i, k, int64_t{0}, int64_t{0}}) index.emplace_back(n);
        Expr w = wide_load(b_.buffer(packed_), DType::I8, b_.storage(packed_).offset(index), block_);
        Expr bytes = wide(ScalarOp::Bitcast, DType::U8, block_, {y[k]});
        b_.set(sum(i, k), wide(ScalarOp::Dot4, DType::I32, lanes_, {local_sum(i, k), bytes, w}));
      }
    }
  }

  int64_t sum(int64_t i, int64_t k) const { return sums_[static_cast<size_t>(i * kDot + k)]; }
  Expr local_sum(int64_t i, int64_t k) const {
    return KernelBuilder::local(sum(i, k), DType::I32, static_cast<int>(lanes_));
  }

  void finish(int64_t i) {
    const DType t = after_.type();
    const Dim column = Dim(column_.symbol) + i;
    Expr word;
    for (int64_t k = 0; k < kDot; ++k) {
      Symbol lane = Dim::iterator("lane", Dim(lanes_));
      b_.let(lane, 0);
      ExprLowering x(b_, lane, static_cast<int>(lanes_));
      x.registers.emplace(reduce_.results[0], [&](const ExprNode&) { return local_sum(i, k); });
      Expr byte = x.wide(substitute(
          after_, {{column_.symbol->id, column}, {channel_.symbol->id, Dim(channel_.symbol) + Dim(lane) * kDot + k}}));
      if (t == DType::I8) byte = wide(ScalarOp::Bitcast, DType::U8, lanes_, {byte});
      byte = wide(ScalarOp::Cast, DType::U32, lanes_, {byte});
      const Expr places = splat(ex::integer(DType::U32, 8 * k), lanes_);
      if (k > 0) byte = wide(ScalarOp::Shl, DType::U32, lanes_, {byte, places});
      word = b_.keep(word ? wide(ScalarOp::Or, DType::U32, lanes_, {word, byte}) : byte);
    }
    b_.store(b_.buffer(result_, true), substitute(y_at_, {{column_.symbol->id, column}}),
             wide(ScalarOp::Bitcast, t, block_, {word}));
  }

  const k::Stage &reduce_, &epilogue_;
  k::Program& p_;
  Storages& storages_;
  KernelBuilder b_;
  const TargetFacts& facts_;
  int64_t x_ = -1;
  Dim x_at_, y_at_;
  Expr filter_, after_;  // a read of i8; the epilogue, over the iterators of the sums
  int result_ = -1, packed_ = -1;
  k::Iter channel_, column_, tap_;
  std::vector<k::Iter> outer_, rows_;  // iterators around these; the window's other iterators
  int64_t stride_ = 1;
  int64_t block_ = kLeastBlock, lanes_ = 4;  // channels of a vector, words of it
  int64_t tile_ = 1, columns_ = 4, groups_ = 1;  // outputs at a time, the columns that they read, by fours
  Symbol block_symbol_;
  std::vector<int64_t> sums_;  // [tile][k]
};

}  // namespace

Result<std::optional<std::vector<Launch>>> schedule_depthwise(const k::Stage& reduce, const k::Stage* epilogue,
                                                              k::Program& p, Storages& s, const TargetFacts& f) {
  const bool fits = epilogue && f.device == TargetFacts::Device::Cpu && f.dot4 && f.vector_bytes >= kLeastBlock &&
                    epilogue->body.size() == 1 && can_be_epilogue(*epilogue, reduce);
  if (!fits) return std::optional<std::vector<Launch>>{};
  return Depthwise(reduce, *epilogue, p, s, f).run();
}

}  // namespace ingot
