// How it runs fast (measurements: fractions of the FMA peak on AVX-512, against a tuned library at parity or below):
//
//   for panel of NR columns, for tile of MR rows (either order):
//     acc[MR][NR/V] = 0                                  in registers: MR*nr + nr + 1 <= registers
//     for k: w[nr] = load packed B; for i in MR: acc[i][:] += splat(A[row i, k]) * w[:]
//     C tile = epilogue(acc)
//
// B is packed in panels [N/NR][K][NR] that are read strictly forward; a constant B is packed when compiling. A is not
// packed: its rows are scalar loads at constant offsets from one address, or, where a multiply-add can take one lane of a
// vector (AArch64), vectors along K or along the rows: loads and multiply-adds share the few operations that begin in a
// cycle. The whole K runs in registers: blocking it was slower. Rows are split evenly into tiles, so that at most two kernels are needed (197 = 2x14 + 13x13); a row
// count that only the run knows gets tiles of MR and smaller ones for the rest. B of up to half the L2 stays there while
// the tiles pass over it; a larger one is passed over once, panel by panel.
//
// Sums of products of bytes (u8 that the run knows, i8 constants; passes/kernels/sum_integers.cpp makes them) take four
// steps of the innermost reduced iterator at once: B is packed [N/NR][K/4][NR][4], one 32-bit load of A serves a whole row
// of the tile, and Dot4 adds four products to each i32. The last step of an extent that four does not divide is the last
// four elements (overlapping K remainder), B zero-padded for those that were counted before; nothing past the end of A is read.
//
// Products of bf16 go two at a time in the same way where the target has Dot2. Products of f16 are added up in f16, where the
// target's arithmetic has that, over kHalfBlock steps at most, and then to f32 sums that lie in scratch: twice the lanes, and
// an error of few roundings to f16. Elsewhere a 16-bit operand is widened as it is loaded: a B that is packed takes half the
// memory traffic, which bounds products of few rows.
#include "passes/schedule/contraction.h"

#include <algorithm>
#include <cmath>

#include "passes/kernels/passes.h"
#include "passes/schedule/one_form.h"

namespace ingot {

namespace {

inline constexpr int64_t kUnroll = 2;  // steps of the innermost reduced loop
inline constexpr int64_t kUnrolledWhole = 4;  // an innermost extent up to this is unrolled entirely
inline constexpr int64_t kPrefetchSteps = 16;  // K steps ahead of the packed panel
inline constexpr int64_t kHeavyEpilogue = 24;  // scalar operations; beyond, the epilogue is a loop over the tile
inline constexpr int64_t kPanelUnit = 16;  // columns; packed panels are multiples of a 512-bit vector of f32
inline constexpr int64_t kWidestPanel = 32, kWidestFewRows = 64;  // columns of the tiles of AVX-512, see choose_tile
inline constexpr int64_t kFewRows = 8;  // of a memory-bound (GEMV-like) product: it waits for B, not for the arithmetic
inline constexpr int64_t kHalfBlock = 16;  // products that are added up in f16
inline constexpr int64_t kLeastHalfBlock = 8;  // fewer are not worth their conversion
inline constexpr double kTileCycles =
    20;  // around the sums of a tile: addresses, the first loads, the latency of the last sums
inline constexpr double kCyclesPerStore = 1.5;  // of a vector, and of what the epilogue does to it
inline constexpr double kWorthBounding = 0.04;  // of a window's taps lie in the border: these are left out

class Contraction {
 public:
  Contraction(Product product, k::Program& p, Storages& s, const TargetFacts& f, bool small)
      : product_(std::move(product)), p_(p), storages_(s), facts_(f), small_(small) {}

  Result<std::optional<std::vector<Launch>>> run() {
    if (!choose()) return std::optional<std::vector<Launch>>{};
    if (product_.constant_b) {
      TRY(pack_constant());
    } else if (!b_contiguous_ || dot_ > 1) {
      b_contiguous_ = false;
      launches_.push_back(pack_at_run_time(with_packed(packing_stage(product_.b())), p_, storages_, facts_));
    }
    launches_.push_back(kernel());
    return std::optional(std::move(launches_));
  }

  std::optional<k::Stage> packing() {
    if (!product_.constant_b || !choose()) return std::nullopt;
    return packing_stage(nest_.extra[0]);
  }

 private:
  bool choose() {
    if (type_ != DType::F32 && type_ != DType::F64 && type_ != DType::I32) return false;
    lanes_ = facts_.vector_bytes / (bits(type_) / 8);
    if (!choose_column()) return false;
    dot_ = is_sum_of_bytes() ? 4 : is_sum_of_pairs() ? 2 : 1;
    half_ = is_sum_of_halves();
    // With many rows, B's time is spent on widening it and not on reading it.
    const bool few = elements(rows_).lower() <= kFewRows;
    packed_type_ = dot_ == 4 ? DType::I8 : dot_ == 2 || half_ || few || small_ ? narrow_b() : type_;
    if (half_) lanes_ = facts_.vector_bytes / 2;
    choose_lanes();
    choose_tile();
    return true;
  }

  // Which of the iterators that only B has lies along the vectors; the others are like batches. False where lanes would
  // stay empty, or packing would not pay.
  bool choose_column() {
    if (product_.columns.empty()) return false;
    column_ = take_column(product_);
    // Skinny N leaves most lanes empty.
    if (column_.extent.is_constant() && column_.extent.value() < 3) return false;
    if (!product_.constant_b) {
      const Dim b = only_load(product_.b())->dim;
      auto step = affine_in(b, column_.symbol);
      b_contiguous_ = step && step->coefficient.is(1);
      for (const k::Iter& it : nest_.reds) b_contiguous_ &= affine_in(b, it.symbol).has_value();
      for (const Product::Role& r : batch_) b_contiguous_ &= !r.in_b || affine_in(b, r.iter.symbol).has_value();
      // Few rows do not pay for a packed copy.
      if (!b_contiguous_ && elements(rows_).constant().value_or(64) < 4) return false;
    }
    return true;
  }

  bool is_sum_of_bytes() const {
    if (type_ != DType::I32 || !product_.constant_b || nest_.reds.empty() || !nest_.reds.back().extent.is_constant())
      return false;
    const ExprNode& a = *only_load(nest_.body[0]);
    return a.type == DType::U8 && product_.b().is(ScalarOp::Cast) && product_.b()->args[0].type() == DType::I8 &&
           affine_in(a.dim, nest_.reds.back().symbol).has_value();
  }

  // Where the machine multiplies by a lane of a vector, A is read in vectors: along the reduction, or else along the rows.
  void choose_lanes() {
    const ExprNode& a = *only_load(nest_.body[0]);
    if (!facts_.lane_products || dot_ > 1 || half_ || type_ != DType::F32 || a.type != DType::F32) return;
    auto fits = [&](const k::Iter& it) {
      if (it.extent.is_constant() && it.extent.value() < lanes_) return false;
      auto step = affine_in(a.dim, it.symbol);
      return step && step->coefficient.is(1);
    };
    by_lane_ = !nest_.reds.empty() && fits(nest_.reds.back());
    by_row_lane_ = !by_lane_ && !rows_.empty() && fits(rows_.back());
  }

  // What B is, where that is a 16-bit float and its target can widen it.
  DType narrow_b() const {
    const Expr& b = product_.b();
    const bool narrow =
        type_ == DType::F32 && b.is(ScalarOp::Cast) &&
        (b->args[0].type() == DType::BF16 || (b->args[0].type() == DType::F16 && (facts_.f16_convert || small_)));
    return narrow ? b->args[0].type() : type_;
  }

  // Both operands of this type, along an innermost iterator of a constant extent that A walks evenly.
  bool both_are(DType t, int64_t least) const {
    if (nest_.reds.empty() || !nest_.reds.back().extent.is_constant() || nest_.reds.back().extent.value() < least)
      return false;
    const ExprNode& a = *only_load(nest_.body[0]);
    return a.type == t && narrow_b() == t && affine_in(a.dim, nest_.reds.back().symbol).has_value();
  }
  bool is_sum_of_pairs() const {
    return facts_.bf16_dot && both_are(DType::BF16, 2) &&
           (product_.constant_b || elements(rows_).constant().value_or(64) >= 4);
  }
  bool is_sum_of_halves() const { return facts_.f16_fma && both_are(DType::F16, kLeastHalfBlock); }

  void choose_tile() {
    int64_t rows = elements(rows_).constant().value_or(kDimMax);
    bool many_registers = facts_.vector_registers >= 32;
    if (rows <= 4) {
      // Eight sums hide the latency of a multiply-add on two ports.
      vectors_ = many_registers && !by_lane_ ? 4 : rows == 1 ? 8 : many_registers || rows == 2 ? 4 : 2;
      if (by_lane_ && rows == 2) vectors_ = 8;
      tile_rows_ = rows;
    } else if (many_registers) {
      vectors_ = lanes_ >= 8 ? 2 : 3, tile_rows_ = lanes_ >= 8 ? 14 : 8;
    } else {
      vectors_ = 2, tile_rows_ = 6;
    }
    if (by_lane_ && rows > 4) {
      // Three vectors need the fewest loads; two leave nothing over where three do not divide the columns.
      const int64_t columns = ceildiv(column_.extent, lanes_).constant().value_or(3);
      vectors_ = columns % 3 != 0 && columns % 2 == 0 ? 2 : 3;
      tile_rows_ = rows_by_lane(std::min(vectors_, columns), facts_);
    }
    // Without the instruction its operands are widened in registers.
    if (dot_ == 4 && !facts_.dot4 && rows > 4) tile_rows_ = many_registers ? (lanes_ >= 8 ? 12 : 6) : 4;
    if (column_.extent.is_constant()) {
      int64_t needed = (column_.extent.value() + lanes_ - 1) / lanes_;
      if (needed < vectors_) {
        vectors_ = needed;
        if (vectors_ == 1 && rows > 4 && !by_lane_ && (dot_ != 4 || facts_.dot4)) tile_rows_ = many_registers ? 16 : 8;
      }
    }
    columns_per_panel_ = vectors_ * lanes_;
    panels_ = ceildiv(column_.extent, columns_per_panel_);
    // Packed panels of constants are as wide as the widest machine of the family reads them, so that the images of one
    // file share them; a narrower tile reads a part of each row.
    packed_width_ = columns_per_panel_;
    if (product_.constant_b && column_.extent.is_constant() && bits(type_) == 32) {
      int64_t most = rows <= 4 ? kWidestFewRows : kWidestPanel;
      int64_t width = std::min(most, (column_.extent.value() + kPanelUnit - 1) / kPanelUnit * kPanelUnit);
      if (width % columns_per_panel_ == 0) packed_width_ = width;
    }
  }

  // --- packing ----------------------------------------------------------------------------------------------------

  // packed[batch of B..., panel, reduced..., lane] = B
  k::Stage packing_stage(const Expr& b_reads) {
    k::Stage s;
    s.node = nest_.node;
    Expr body = b_reads;
    Substitution to;
    auto add = [&](const k::Iter& it) {
      k::Iter own{Dim::iterator(it.symbol->name, it.extent), it.extent};
      to.insert_or_assign(it.symbol->id, Dim(own.symbol));
      s.iters.push_back(own);
    };
    for (const Product::Role& r : batch_) {
      if (r.in_b) add(r.iter);
    }
    Dim panels = ceildiv(column_.extent, packed_width_);
    k::Iter panel{Dim::iterator("panel", panels), panels};
    s.iters.push_back(panel);
    const k::Iter* innermost = dot_ > 1 ? &nest_.reds.back() : nullptr;
    for (const k::Iter& it : nest_.reds) {
      if (&it != innermost) add(it);
    }
    if (dot_ > 1) {
      const Dim groups = ceildiv(innermost->extent, dot_);
      s.iters.push_back({Dim::iterator("group", groups), groups});
    }
    const size_t at_group = s.iters.size() - 1;
    k::Iter lane{Dim::iterator("lane", packed_width_), Dim(packed_width_)};
    s.iters.push_back(lane);
    Dim column = Dim(panel.symbol) * packed_width_ + Dim(lane.symbol);
    // Lanes past the last column repeat it: they are computed and not stored.
    if (!known_divisible(column_.extent, packed_width_)) column = min(column, column_.extent - 1);
    to.insert_or_assign(column_.symbol->id, column);
    if (dot_ > 1) {
      // Overlapping K remainder, zero-padded: element k of the last group is in the one before, or past the end of a short extent.
      k::Iter part{Dim::iterator("part", dot_), Dim(dot_)};
      s.iters.push_back(part);
      const int64_t extent = innermost->extent.value();
      const Dim first = Dim(s.iters[at_group].symbol) * dot_;
      const Dim k = extent % dot_ == 0 ? first + Dim(part.symbol)
                    : extent < dot_    ? min(Dim(part.symbol), extent - 1)
                                       : min(first, extent - dot_) + Dim(part.symbol);
      to.insert_or_assign(innermost->symbol->id, k);
      Expr counts = extent < dot_ ? ex::binary(ScalarOp::Lt, ex::index(part.symbol), ex::index(extent))
                                  : ex::binary(ScalarOp::Ge, ex::index(k), ex::index(first));
      const Expr part_of_b = substitute(body->args[0], to);
      const bool all = extent % dot_ == 0;
      s.body = {all ? part_of_b : ex::select(counts, part_of_b, ex::cast(ex::integer(DType::I8, 0), packed_type_))};
    } else {
      s.body = {ex::cast(substitute(packed_type_ == type_ ? body : body->args[0], to), packed_type_)};
    }
    return s;
  }

  k::Stage with_packed(k::Stage s) {
    TensorType t{packed_type_, {}};
    for (const k::Iter& it : s.iters) t.dims.push_back(it.extent);
    packed_ = add_value(p_, storages_, "packed", std::move(t));
    s.results = {packed_};
    return s;
  }

  Result<void> pack_constant() {
    const k::Stage s = with_packed(packing_stage(nest_.extra[0]));
    TensorRef packed;
    if (auto form = packed_form(s, p_)) {  // it may lie so already, for another reader
      const Storage& now = storages_[static_cast<size_t>(s.body[0]->id)];
      if (now.contents && now.same_places(*form)) packed = now.contents;
    }
    p_.values[static_cast<size_t>(packed_)].constant = packed ? packed : TRY(evaluate_stage(s, p_))[0];
    return {};
  }

  // --- the kernel ---------------------------------------------------------------------------------------------------

  struct Variant {  // rows of one register tile: shifts of the last two row iterators
    int64_t outer = 1, inner = 1;
  };

  Launch kernel() {
    KernelBuilder b(p_, storages_, facts_);
    b.node = nest_.node;
    b_ = &b;
    // Grid: batch (outermost), outer rows, then row tiles and panels in the order that keeps the smaller of weights and
    // rows in the cache.
    Symbol panel = Dim::iterator("panel", panels_), tile;
    Dim tiles = 1;
    std::vector<k::Iter> outer_rows;
    Variant big, small;
    int64_t inner_big = 0;  // tiles of the larger kind come first
    enum class Split { None, Inner, Outer, Dynamic } split = Split::None;
    if (!rows_.empty()) {
      const k::Iter& inner = rows_.back();
      const k::Iter* above = rows_.size() >= 2 ? &rows_[rows_.size() - 2] : nullptr;
      auto even = [&](int64_t extent, int64_t most, int64_t& first_count) {
        int64_t count = (extent + most - 1) / most;
        first_count = extent % count;
        tiles = count;
        return extent / count;
      };
      if (!inner.extent.is_constant()) {
        split = Split::Dynamic;
        tiles = ceildiv(inner.extent, tile_rows_);
        outer_rows.assign(rows_.begin(), rows_.end() - 1);
      } else if (above && above->extent.is_constant() && inner.extent.value() * 2 <= tile_rows_) {
        split = Split::Outer;
        int64_t low = even(above->extent.value(), tile_rows_ / inner.extent.value(), inner_big);
        small = {low, inner.extent.value()};
        big = {low + 1, inner.extent.value()};
        outer_rows.assign(rows_.begin(), rows_.end() - 2);
      } else {
        split = Split::Inner;
        int64_t low = even(inner.extent.value(), tile_rows_, inner_big);
        small = {1, low};
        big = {1, low + 1};
        outer_rows.assign(rows_.begin(), rows_.end() - 1);
      }
      tile = Dim::iterator("tile", tiles);
    }
    Dim k_total = elements(nest_.reds);
    int64_t b_bytes = (k_total * column_.extent).constant().value_or(0) * (bits(packed_type_) / 8);
    bool panel_outer = b_bytes > facts_.l2_bytes / 2;
    std::vector<k::Iter> grid;
    for (const Product::Role& r : batch_) {
      if (!r.bound) grid.push_back(r.iter);
    }
    if (panel_outer) grid.push_back({panel, panels_});
    for (const k::Iter& it : outer_rows) grid.push_back(it);
    if (tile) grid.push_back({tile, tiles});
    if (!panel_outer) grid.push_back({panel, panels_});
    Dim items = elements(grid);
    Symbol item = Dim::iterator("item", items);
    b.decode(item, grid);
    panel_symbol_ = panel;
    auto with_columns = [&](const Variant& v) {
      auto extent = column_.extent.constant();
      if (extent && *extent % columns_per_panel_ == 0) {
        emit_tile(v, vectors_, false);
      } else if (extent && *extent < columns_per_panel_) {
        emit_tile(v, (*extent + lanes_ - 1) / lanes_, *extent % lanes_ != 0);
      } else {
        int64_t last = extent ? (*extent % columns_per_panel_ + lanes_ - 1) / lanes_ : vectors_;
        b.if_then(
            ex::binary(ScalarOp::Lt, ex::index(Dim(panel)), ex::index(floordiv(column_.extent, columns_per_panel_))),
            [&] { emit_tile(v, vectors_, false); }, [&] { emit_tile(v, last, !extent || *extent % lanes_ != 0); });
      }
    };
    switch (split) {
      case Split::None: with_columns({1, 1}); break;
      case Split::Inner:
      case Split::Outer: {
        bool is_outer = split == Split::Outer;
        const k::Iter& it = is_outer ? rows_[rows_.size() - 2] : rows_.back();
        int64_t low = is_outer ? small.outer : small.inner;
        b.let(it.symbol, Dim(tile) * low + min(Dim(tile), inner_big));
        if (is_outer) b.let(rows_.back().symbol, 0);
        if (inner_big == 0) {
          with_columns(small);
        } else {
          b.if_then(
              ex::binary(ScalarOp::Lt, ex::index(Dim(tile)), ex::index(inner_big)), [&] { with_columns(big); },
              [&] { with_columns(small); });
        }
        break;
      }
      case Split::Dynamic: {
        const k::Iter& it = rows_.back();
        Symbol row = Dim::symbol("row");
        Dim begin = Dim(tile) * tile_rows_;
        Expr full = ex::binary(ScalarOp::Le, ex::index(begin + tile_rows_), ex::index(it.extent));
        b.if_then(
            full,
            [&] {
              b.let(it.symbol, begin);
              with_columns({1, tile_rows_});
            },
            [&] {
              // The rest, in tiles of 8, 4, 2, 1 rows: one bit of the count each.
              Dim left = it.extent - begin;
              Dim done = 0;
              for (int64_t size = 8; size >= 1; size /= 2) {
                if (size >= tile_rows_) continue;
                Dim times = mod(floordiv(left, size), 2);
                Symbol once = Dim::symbol("part");
                bool top = size * 2 >= tile_rows_;
                Dim count = top ? floordiv(left, size) : times;
                Dim start = top ? Dim(0) : floordiv(left, size * 2) * (size * 2);
                b.loop(once, 0, count, 1, [&] {
                  b.let(it.symbol, begin + start + Dim(once) * size);
                  with_columns({1, size});
                });
              }
            });
        break;
      }
    }
    std::string what = rows_.size() >= 2 || nest_.reds.size() >= 2 ? "conv" : "matmul";
    Launch l = b.finish(fmt::format("{}{}_{}_{}x{}", what, product_.has_epilogue() ? "_fused" : "",
                                    dot_ == 4   ? "u8"
                                    : dot_ == 2 ? "bf16"
                                    : half_     ? "f16"
                                                : name(type_),
                                    tile_rows_, columns_per_panel_),
                        item, items);
    const double inside =
        share_inside(split == Split::Outer ? Variant{inner_big, 0} : Variant{0, inner_big}, small, tiles);
    const Dim flops = elements(nest_.iters) * k_total * 2;
    l.kernel.flops = inside < 1 && flops.is_constant()
                         ? Dim(static_cast<int64_t>(std::llround(static_cast<double>(flops.value()) * inside)))
                         : flops;
    l.kernel.bytes = bytes_of(l.values, storages_);
    const double weights = static_cast<double>(k_total.constant().value_or(256) * columns_per_panel_);
    l.grain = grain_of(2 * weights * static_cast<double>(tile_rows_), weights * bits(packed_type_) / 8);
    const double used = static_cast<double>(column_.extent.constant().value_or(lanes_)) /
                        static_cast<double>(ceildiv(column_.extent, lanes_).constant().value_or(1) * lanes_);
    const double loads = static_cast<double>(vectors_) +
                         static_cast<double>(tile_rows_) / static_cast<double>(by_lane_ || by_row_lane_ ? lanes_ : 1);
    if (type_ == DType::F32) {
      const double sums = static_cast<double>(tile_rows_ * vectors_),
                   issue = issue_share(facts_, tile_rows_, vectors_, loads, 1);
      const double at_work = static_cast<double>(k_total.constant().value_or(256)) * inside * sums /
                             static_cast<double>(facts_.fma_ports) / issue;
      l.kernel.notes.issue = used * issue * at_work / (at_work + kTileCycles + sums * kCyclesPerStore);
    }
    l.kernel.notes.why =
        fmt::format("B {}{}; {} sums of {} lanes{}",
                    b_bytes > 0 ? fmt::format("of {:.3g} MB ", static_cast<double>(b_bytes) / 1e6) : "",
                    b_bytes == 0  ? "is of a size that the run knows"
                    : panel_outer ? "is read once, panel by panel, since it would fill the L2 cache"
                                  : "stays in the L2 cache while the rows pass",
                    tile_rows_ * vectors_, lanes_, by_lane_ || by_row_lane_ ? ", factors are lanes of A" : "");
    const bool narrow = dot_ == 1 && packed_type_ != type_ && (product_.constant_b || !b_contiguous_);
    l.kernel.schedule = fmt::format("contraction {}x{}, K {}, N {}, {} outer, B {}{}", tile_rows_, columns_per_panel_,
                                    k_total.str(), column_.extent.str(), panel_outer ? "panels" : "rows",
                                    product_.constant_b ? "packed constant"
                                    : b_contiguous_     ? "in place"
                                                        : "packed at run time",
                                    narrow ? fmt::format(" in {}", name(packed_type_)) : "");
    return l;
  }

  // The elements of A for one instruction from `at` on (fewer of a short extent) in each lane: 32 bits, one load where they
  // are neighbours.
  Expr word_of_a(int64_t buffer, const Dim& address, const Dim& at) {
    const k::Iter& it = nest_.reds.back();
    const Dim stride = affine_in(address, it.symbol)->coefficient;
    const int64_t count = std::min(it.extent.value(), dot_);
    const DType type = only_load(nest_.body[0])->type, bits_type = dot_ == 4 ? DType::U8 : DType::U16;
    Expr word;
    if (stride.is(1) && count == dot_) {
      word = wide(ScalarOp::Bitcast, DType::I32, 1, {wide_load(buffer, type, at, dot_)});
    } else {
      for (int64_t k = 0; k < count; ++k) {
        Expr part = wide_load(buffer, type, at + stride * k, 1);
        part = cast_to(type == bits_type ? part : wide(ScalarOp::Bitcast, bits_type, 1, {part}), DType::I32);
        if (k > 0) part = ex::binary(ScalarOp::Shl, part, ex::integer(DType::I32, 32 / dot_ * k));
        word = word ? ex::binary(ScalarOp::Or, word, part) : part;
      }
    }
    return wide(ScalarOp::Bitcast, type, lanes_ * dot_, {splat(word)});
  }

  Expr splat(Expr e) { return ingot::splat(std::move(e), lanes_); }

  static Expr cast_to(Expr e, DType t) {
    const int lanes = e.lanes();
    return e.type() == t ? e : wide(ScalarOp::Cast, t, lanes, {std::move(e)});
  }

  Expr column_mask(const Dim& first) { return first_lanes(column_.extent - first, lanes_); }

  // Whether a step of the reduction reads what another row of the tile reads in the next one: LLVM would keep it in a register,
  // of which sixteen are too few.
  bool rows_overlap() const {
    if (rows_.empty() || nest_.reds.empty()) return false;
    const Dim& a = only_load(nest_.body[0])->dim;
    auto in_row = affine_in(a, rows_.back().symbol), in_step = affine_in(a, nest_.reds.back().symbol);
    if (!in_row || !in_step || !in_row->coefficient.is_constant() || !in_step->coefficient.is_constant()) return false;
    const int64_t row = std::abs(in_row->coefficient.value()), step = std::abs(in_step->coefficient.value());
    return row > 0 && step > 0 && step % row == 0 && step / row < tile_rows_;
  }

  // Where row (i, j) of the tile lies relative to the tile's first row.
  Substitution row_at(const Dim& i, const Dim& j) const {
    Substitution s;
    if (rows_.empty()) return s;
    s.emplace(rows_.back().symbol->id, Dim(rows_.back().symbol) + j);
    if (rows_.size() >= 2) s.emplace(rows_[rows_.size() - 2].symbol->id, Dim(rows_[rows_.size() - 2].symbol) + i);
    return s;
  }

  // The taps of a window that reach inside for some row of the tile: those in a border of zeros add nothing. Matters for
  // dilated convolutions, whose windows are as large as the image.
  std::pair<Dim, Dim> taps_inside(const k::Iter& tap, const Variant& v) const {
    std::pair<Dim, Dim> all{0, tap.extent};
    Expr read = product_.a_read;
    while (read.is(ScalarOp::Cast)) read = read->args[0];
    if (!read.is(ScalarOp::Read) || !read->checked || !tap.extent.is_constant()) return all;
    const Expr& fill = read->args.back();
    if (!fill.is(ScalarOp::Const) || fill->number != 0 || fill->integer != 0) return all;
    const std::vector<Dim>& extents = p_.values[static_cast<size_t>(read->id)].tensor().dims;
    for (size_t k = 0; k < extents.size(); ++k) {
      auto index = as_dim(read->args[k]);
      auto in_tap = index ? affine_in(*index, tap.symbol) : std::nullopt;
      if (!in_tap || !in_tap->coefficient.is_constant() || in_tap->coefficient.value() <= 0) continue;
      for (const k::Iter& row : rows_) {
        auto in_row = affine_in(in_tap->rest, row.symbol);
        if (!in_row || !in_row->coefficient.is_constant() || in_row->coefficient.value() <= 0) continue;
        if (!in_row->rest.is_constant() || !row.extent.is_constant() || !extents[k].is_constant()) continue;
        const int64_t step = in_tap->coefficient.value(), stride = in_row->coefficient.value(),
                      first = in_row->rest.value();
        int64_t outside = 0;
        for (int64_t r = 0; r < row.extent.value(); ++r) {
          for (int64_t t = 0; t < tap.extent.value(); ++t) {
            int64_t at = r * stride + t * step + first;
            outside += at < 0 || at >= extents[k].value();
          }
        }
        if (static_cast<double>(outside) <
            kWorthBounding * static_cast<double>(row.extent.value() * tap.extent.value()))
          continue;
        size_t from_end = static_cast<size_t>(&rows_.back() - &row);
        int64_t span = from_end == 0 ? v.inner : from_end == 1 ? v.outer : 1;
        Dim low = Dim(row.symbol) * stride + first, high = low + (span - 1) * stride;
        return {max(0, ceildiv(Dim(0) - high, step)), min(tap.extent, floordiv(extents[k] - 1 - low, step) + 1)};
      }
    }
    return all;
  }

  // The share of the taps that taps_inside() leaves. `big`: how many tiles of the larger kind there are, by either extent;
  // `small`: the other kind.
  double share_inside(const Variant& big, const Variant& small, const Dim& tiles) const {
    double share = 1;
    for (size_t k = 0; k + 1 < nest_.reds.size(); ++k) {
      const k::Iter& tap = nest_.reds[k];
      double of_tap = 1;
      for (const k::Iter& row : rows_) {
        if (!row.extent.is_constant() || !tap.extent.is_constant() || !tiles.is_constant()) continue;
        const size_t from_end = static_cast<size_t>(&rows_.back() - &row);
        const bool tiled = (from_end == 0 && big.outer == 0) || (from_end == 1 && big.outer > 0);
        const int64_t longer = from_end == 0 ? big.inner : big.outer;
        const int64_t low = from_end == 0 ? small.inner : small.outer, extent = row.extent.value();
        double done = 0;
        bool known = true;  // this row, or none, moves the taps
        for (int64_t at = 0, t = 0; at < extent && known; ++t) {
          const int64_t span = tiled ? std::max<int64_t>(low + (t < longer), 1) : 1;
          auto [begin, end] = taps_inside(tap, {from_end == 1 && tiled ? span : 1, from_end == 0 && tiled ? span : 1});
          const Dim count = substitute(end - begin, {{row.symbol->id, Dim(at)}});
          known = count.is_constant();
          if (known) done += static_cast<double>(std::max<int64_t>(count.value(), 0) * std::min(span, extent - at));
          at += span;
        }
        if (known) of_tap = std::min(of_tap, done / static_cast<double>(extent * tap.extent.value()));
      }
      share *= of_tap;
    }
    return share;
  }

  void emit_tile(const Variant& v, int64_t vectors, bool tail) {
    KernelBuilder& b = *b_;
    int64_t rows = v.outer * v.inner;
    std::vector<int64_t> acc;
    const DType sum_type = half_ ? DType::F16 : type_;  // of the registers
    Expr zero = splat(ex::number(sum_type, 0));
    for (int64_t k = 0; k < rows * vectors; ++k) acc.push_back(b.declare(sum_type, lanes_, zero));
    const int64_t f32_sums = half_ ? b.scratch(type_, rows * vectors * lanes_) : -1;
    auto sum_at = [&](size_t k) { return wide_load(f32_sums, type_, Dim(static_cast<int64_t>(k) * lanes_), lanes_); };
    if (half_) {
      for (size_t k = 0; k < acc.size(); ++k)
        b.store(f32_sums, Dim(static_cast<int64_t>(k) * lanes_), splat(ex::number(type_, 0)));
    }
    // What was added up in f16 goes to the f32 sums.
    auto flush = [&] {
      for (size_t k = 0; k < acc.size(); ++k) {
        const Expr part = cast_to(KernelBuilder::local(acc[k], sum_type, lanes_), type_);
        b.store(f32_sums, Dim(static_cast<int64_t>(k) * lanes_), wide(ScalarOp::Add, type_, lanes_, {sum_at(k), part}));
        b.set(acc[k], zero);
      }
    };
    const ExprNode& a = *only_load(nest_.body[0]);
    int64_t a_buffer = b.buffer(static_cast<int>(a.id));
    DType a_type = b.storage(static_cast<int>(a.id)).dtype;
    Dim column = Dim(panel_symbol_) * columns_per_panel_;
    bool packed = product_.constant_b || !b_contiguous_;
    // `at`: the reduced iterators; `group`: the step of `dot_` products that they begin.
    const int64_t unroll = facts_.vector_registers < 32 && rows_overlap() ? 1 : kUnroll;
    std::vector<Expr> rows_of_a;  // by lane: the vectors that `lane` counts in
    auto step = [&](const Substitution& at, const Dim& group = {}, int64_t lane = -1) {
      std::vector<Expr> w;
      for (int64_t j = 0; j < vectors; ++j) {
        Expr value;
        if (packed) {
          const Storage& s = b.storage(packed_);
          std::vector<Dim> index;
          for (const Product::Role& r : batch_) {
            if (r.in_b) index.push_back(Dim(r.iter.symbol));
          }
          int64_t parts = packed_width_ / columns_per_panel_;
          index.push_back(floordiv(Dim(panel_symbol_), parts));
          for (const k::Iter& it : nest_.reds) index.push_back(substitute(Dim(it.symbol), at));
          if (dot_ > 1) index.back() = group;
          index.push_back(mod(Dim(panel_symbol_), parts) * columns_per_panel_ + j * lanes_);
          if (dot_ > 1) index.push_back(0);
          int64_t buffer = b.buffer(packed_);
          Dim offset = s.offset(index);
          value = wide_load(buffer, packed_type_, offset, lanes_ * dot_);
          if (j * bits(value.type()) / 8 * value.lanes() % kCacheLine == 0) {
            l::Stmt ahead{l::StmtKind::Prefetch};
            ahead.id = buffer;
            ahead.offset = offset + kPrefetchSteps * packed_width_ * dot_;
            b.emit(std::move(ahead));
          }
          if (dot_ == 1) value = cast_to(std::move(value), sum_type);
        } else {
          const ExprNode& n = *only_load(product_.b());
          Dim offset = substitute(substitute(n.dim, {{column_.symbol->id, column + j * lanes_}}), at);
          Expr mask = tail ? column_mask(column + j * lanes_) : Expr();
          value = cast_to(wide_load(b.buffer(static_cast<int>(n.id)), n.type, offset, lanes_, mask), sum_type);
        }
        w.push_back(b.keep(std::move(value)));
      }
      Expr neighbours;  // rows of A from `first` on
      int64_t first = 0;
      for (int64_t r = 0; r < rows; ++r) {
        Dim offset = substitute(substitute(a.dim, row_at(r / v.inner, r % v.inner)), at);
        const bool in_row_lane = by_row_lane_ && v.inner >= lanes_;
        if (in_row_lane && r % v.inner % lanes_ == 0) {
          first = r - r % v.inner + std::min(r % v.inner, v.inner - lanes_);
          neighbours = b.keep(wide_load(
              a_buffer, a_type, substitute(substitute(a.dim, row_at(first / v.inner, first % v.inner)), at), lanes_));
        }
        Expr x = in_row_lane ? splat(lane_of(neighbours, r - first))
                 : lane >= 0 ? splat(lane_of(rows_of_a[static_cast<size_t>(r)], lane))
                 : dot_ > 1  ? word_of_a(a_buffer, a.dim, offset)
                             : splat(cast_to(wide_load(a_buffer, a_type, offset, 1), sum_type));
        const Expr xi = b.keep(std::move(x));
        for (int64_t j = 0; j < vectors; ++j) {
          int64_t id = acc[static_cast<size_t>(r * vectors + j)];
          Expr old = KernelBuilder::local(id, sum_type, lanes_);
          if (dot_ > 1) {
            const ScalarOp op = dot_ == 4 ? ScalarOp::Dot4 : ScalarOp::Dot2;
            b.set(id, wide(op, type_, lanes_, {old, xi, w[static_cast<size_t>(j)]}));
          } else if (half_) {
            b.set(id, wide(ScalarOp::Fma, sum_type, lanes_, {xi, w[static_cast<size_t>(j)], old}));
          } else {
            const Expr product = wide(ScalarOp::Mul, type_, lanes_, {xi, w[static_cast<size_t>(j)]});
            b.set(id, combine(Combiner::Sum, old, product));
          }
        }
      }
    };
    std::function<void(size_t)> reduction = [&](size_t k) {
      if (nest_.reds.empty()) {
        step({});
        return;
      }
      const k::Iter& it = nest_.reds[k];
      if (k + 1 < nest_.reds.size()) {
        auto [begin, end] = taps_inside(it, v);
        b.loop(it.symbol, begin, end, 1, [&] { reduction(k + 1); });
        return;
      }
      if (half_) {
        const int64_t extent = it.extent.value(), whole = extent / kHalfBlock * kHalfBlock;
        const Symbol block = Dim::iterator("block", Dim(whole));
        b.loop(block, 0, whole, kHalfBlock, [&] {
          const Symbol k = Dim::iterator("k", Dim(kHalfBlock));
          b.loop(k, 0, kHalfBlock, kUnroll, [&] {
            for (int64_t u = 0; u < kUnroll; ++u) step({{it.symbol->id, Dim(block) + Dim(k) + u}});
          });
          flush();
        });
        if (whole == extent) return;
        b.loop(it.symbol, whole, extent, 1, [&] { step({}); });
        flush();
        return;
      }
      if (dot_ > 1) {
        const int64_t extent = it.extent.value(), whole = extent / dot_;
        auto group = [&](const Dim& g) { step({{it.symbol->id, g * dot_}}, g); };
        if (whole <= kUnrolledWhole) {
          for (int64_t g = 0; g < whole; ++g) group(g);
        } else {
          Symbol g = Dim::iterator("g", Dim(whole));
          b.loop(g, 0, whole / kUnroll * kUnroll, kUnroll, [&] {
            for (int64_t u = 0; u < kUnroll; ++u) group(Dim(g) + u);
          });
          for (int64_t u = whole / kUnroll * kUnroll; u < whole; ++u) group(u);
        }
        if (extent % dot_ != 0) step({{it.symbol->id, std::max<int64_t>(extent - dot_, 0)}}, whole);
        return;
      }
      if (it.extent.is_constant() && it.extent.value() <= kUnrolledWhole && !by_lane_ && unroll > 1) {
        for (int64_t i = 0; i < it.extent.value(); ++i) step({{it.symbol->id, Dim(i)}});
        return;
      }
      if (by_lane_) {
        const Dim whole = floordiv(it.extent, lanes_) * lanes_;
        b.loop(it.symbol, 0, whole, lanes_, [&] {
          rows_of_a.clear();
          for (int64_t r = 0; r < rows; ++r)
            rows_of_a.push_back(
                b.keep(wide_load(a_buffer, a_type, substitute(a.dim, row_at(r / v.inner, r % v.inner)), lanes_)));
          for (int64_t u = 0; u < lanes_; ++u) step({{it.symbol->id, Dim(it.symbol) + u}}, {}, u);
        });
        if (!it.extent.is_constant()) {
          b.loop(it.symbol, whole, it.extent, 1, [&] { step({}); });
        } else {
          for (Dim k = whole; k != it.extent; k += 1) step({{it.symbol->id, k}});
        }
        return;
      }
      Dim main = floordiv(it.extent, unroll) * unroll;
      b.loop(it.symbol, 0, main, unroll, [&] {
        for (int64_t u = 0; u < unroll; ++u) step({{it.symbol->id, Dim(it.symbol) + u}});
      });
      if (!known_equal(main, it.extent)) b.loop(it.symbol, main, it.extent, 1, [&] { step({}); });
    };
    reduction(0);
    store_tile(v, vectors, tail, acc, f32_sums);
  }

  // `sums`: the scratch that holds the sums already, or -1.
  void store_tile(const Variant& v, int64_t vectors, bool tail, const std::vector<int64_t>& acc, int64_t sums) {
    KernelBuilder& b = *b_;
    int64_t rows = v.outer * v.inner;
    bool heavy = sums >= 0 || (product_.has_epilogue() && cost(product_.epilogue()) > kHeavyEpilogue && rows > 1);
    Dim column = Dim(panel_symbol_) * columns_per_panel_;
    auto finish = [&](const Substitution& row, int64_t j, const Expr& sum) {
      Symbol lane = Dim::symbol(column_.symbol->name);
      b.let(lane, column + j * lanes_);
      Expr mask = tail ? column_mask(Dim(lane)) : Expr();
      ExprLowering x(b, lane, static_cast<int>(lanes_), mask);
      Substitution at = row;
      at.insert_or_assign(column_.symbol->id, Dim(lane));
      Expr value = sum;
      if (product_.has_epilogue()) {
        x.registers.emplace(product_.sums, [&](const ExprNode&) { return sum; });
        value = x.wide(substitute(product_.epilogue(), at));
      } else {
        value = cast_to(sum, b.storage(product_.result).dtype);
      }
      x.store_at(product_.result, substitute(nest_.results[0].offset, at), value);
    };
    if (!heavy) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < vectors; ++j) {
          finish(row_at(r / v.inner, r % v.inner), j,
                 KernelBuilder::local(acc[static_cast<size_t>(r * vectors + j)], type_, lanes_));
        }
      }
      return;
    }
    int64_t scratch = sums >= 0 ? sums : b.scratch(type_, rows * vectors * lanes_);
    for (int64_t k = 0; sums < 0 && k < rows * vectors; ++k) {
      b.store(scratch, Dim(k * lanes_), KernelBuilder::local(acc[static_cast<size_t>(k)], type_, lanes_));
    }
    Symbol row = Dim::iterator("r", Dim(rows));
    b.loop(row, 0, rows, 1, [&] {
      Substitution at =
          row_at(v.outer > 1 ? floordiv(Dim(row), v.inner) : Dim(0), v.outer > 1 ? mod(Dim(row), v.inner) : Dim(row));
      for (int64_t j = 0; j < vectors; ++j) {
        finish(at, j, wide_load(scratch, type_, Dim(row) * (vectors * lanes_) + j * lanes_, lanes_));
      }
    });
  }

  static int64_t cost(const Expr& e) {
    Nest n;
    n.body = {e};
    return body_cost(n);
  }

  Product product_;
  const Nest& nest_ = product_.nest;
  const std::vector<k::Iter>& rows_ = product_.rows;
  std::vector<Product::Role>& batch_ = product_.batch;
  k::Program& p_;
  Storages& storages_;
  const TargetFacts& facts_;
  const bool small_;
  const DType type_ = product_.type;
  DType packed_type_ = DType::F32;
  int64_t dot_ = 1;  // products that one instruction adds up: 4 of bytes, 2 of bf16
  bool half_ = false;  // products are added up in f16 first
  bool by_lane_ = false,
       by_row_lane_ = false;  // A is read in vectors along the reduction or the rows; lanes are factors
  bool b_contiguous_ = false;
  int64_t lanes_ = 1;
  k::Iter column_;
  int64_t vectors_ = 2, tile_rows_ = 14, columns_per_panel_ = 32, packed_width_ = 32;
  Dim panels_;
  int packed_ = -1;
  Symbol panel_symbol_;
  KernelBuilder* b_ = nullptr;
  std::vector<Launch> launches_;
};

}  // namespace

Result<std::optional<std::vector<Launch>>> schedule_contraction(Product product, k::Program& p, Storages& s,
                                                                const TargetFacts& f, bool small) {
  return Contraction(std::move(product), p, s, f, small).run();
}

std::optional<k::Stage> packing_of_constant(Product product, k::Program& p, Storages& s, const TargetFacts& f,
                                            bool small) {
  return Contraction(std::move(product), p, s, f, small).packing();
}

}  // namespace ingot
