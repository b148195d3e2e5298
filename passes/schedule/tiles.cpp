// A matrix unit has a few registers of 16 rows of 64 bytes, and one instruction that multiplies two of them into a third:
// f32[16][16] += bf16[16][32] * bf16[32][16]. Two rows of tiles by two columns of tiles, eight registers, read each operand
// half as often as it is used:
//
//   for item: 2 tiles of rows x 2 panels of 16 columns
//     acc[2][2] = 0
//     for outer reduced iterators, for chunks of 32 of the innermost:
//       a[2] = A, by rows from memory as it lies; b[2] = packed B
//       acc[i][j] += a[i] * b[j]
//     scratch = acc; the rows of scratch: epilogue, store
//
// B is packed [panel][reduced...][chunk][16 pairs][16 columns][2]: a chunk of a panel is one tile, and panels are read
// strictly forward. A needs no copy: the innermost reduced iterator walks it element by element, and the rows of a tile are a
// constant stride apart. Where 32 does not divide the sum, the last chunk is the last 32 elements, B zero-padded for
// those that were counted before; where tiles do not divide the rows, the last tile begins earlier, and its first rows are computed
// twice. Nothing past the end of A is read.
#include "passes/schedule/tiles.h"

#include <algorithm>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int64_t kChunk = kTileRowBytes / 2;  // products of bf16 that one instruction adds to each sum
inline constexpr int64_t kColumns = kTileRowBytes / 4;  // of a panel
inline constexpr int64_t kLeastRows = 7;  // of a tile; with fewer, most of the unit idles
inline constexpr double kRate = 8;  // multiplications in the time of one of f32 vectors

class Tiles {
 public:
  Tiles(Product product, k::Program& p, Storages& s, const TargetFacts& f)
      : product_(std::move(product)), p_(p), storages_(s), facts_(f) {}

  Result<std::optional<std::vector<Launch>>> run() {
    if (!fits()) return std::optional<std::vector<Launch>>{};
    std::vector<Launch> launches;
    k::Stage s = packing_stage();
    if (product_.constant_b) {
      p_.values[static_cast<size_t>(packed_)].constant = TRY(evaluate_stage(std::move(s), p_))[0];
    } else {
      launches.push_back(pack_at_run_time(s, p_, storages_, facts_));
    }
    launches.push_back(kernel());
    return std::optional(std::move(launches));
  }

 private:
  const ExprNode& a() const { return *only_load(nest_.body[0]); }

  // A number of tiles of equal size; the last one begins so that it ends with the rows.
  struct Split {
    int64_t tiles = 1, rows = 1;
  };

  bool fits() {
    if (!facts_.amx_bf16 || product_.type != DType::F32 || a().type != DType::BF16) return false;
    const Expr& b = product_.b();
    if (!b.is(ScalarOp::Cast) || b->args[0].type() != DType::BF16) return false;
    if (product_.columns.empty() || product_.rows.empty() || nest_.reds.empty()) return false;
    column_ = take_column(product_);
    if (!column_.extent.is_constant() || column_.extent.value() < kColumns) return false;
    for (const k::Iter& it : nest_.reds) {
      if (!it.extent.is_constant()) return false;
    }
    const k::Iter &inner = nest_.reds.back(), &row = product_.rows.back();
    auto step = affine_in(a().dim, inner.symbol), stride = affine_in(a().dim, row.symbol);
    if (!step || !step->coefficient.is(1) || inner.extent.value() < kChunk) return false;
    if (!stride || !stride->coefficient.is_constant() || !row.extent.is_constant()) return false;
    row_stride_ = stride->coefficient.value();
    split_.tiles = (row.extent.value() + kTileRows - 1) / kTileRows;
    split_.rows = (row.extent.value() + split_.tiles - 1) / split_.tiles;
    if (split_.rows < kLeastRows) return false;
    if (product_.rows.size() >= 2 && split_.tiles == 1) {
      const k::Iter& above = product_.rows[product_.rows.size() - 2];
      lines_ = above.extent.is_constant() && above.extent.value() >= 2;
    }
    row_tiles_ = split_.tiles >= 2 || lines_ ? 2 : 1;
    panels_ = column_.extent.value() > kColumns ? 2 : 1;
    chunks_ = (inner.extent.value() + kChunk - 1) / kChunk;
    return true;
  }

  // packed[batch of B..., panel, reduced..., chunk, pair, column, part] = B
  k::Stage packing_stage() {
    k::Stage s;
    s.node = nest_.node;
    Substitution to;
    auto add = [&](const char* name, int64_t extent) {
      s.iters.push_back({Dim::iterator(name, Dim(extent)), Dim(extent)});
      return Dim(s.iters.back().symbol);
    };
    auto same = [&](const k::Iter& it) {
      s.iters.push_back({Dim::iterator(it.symbol->name, it.extent), it.extent});
      to.insert_or_assign(it.symbol->id, Dim(s.iters.back().symbol));
    };
    for (const Product::Role& r : product_.batch) {
      if (r.in_b) same(r.iter);
    }
    const int64_t columns = column_.extent.value(), extent = nest_.reds.back().extent.value();
    const int64_t width = panels_ * kColumns;
    const Dim panel = add("panel", (columns + width - 1) / width * panels_);
    for (size_t k = 0; k + 1 < nest_.reds.size(); ++k) same(nest_.reds[k]);
    const Dim chunk = add("chunk", chunks_), pair = add("pair", kTileRows), column = add("column", kColumns),
              part = add("part", 2);
    // Lanes past the last column repeat it: they are computed and not stored.
    const Dim at = panel * kColumns + column;
    to.insert_or_assign(column_.symbol->id, columns % width == 0 ? at : min(at, columns - 1));
    const Dim k = min(chunk * kChunk, extent - kChunk) + pair * 2 + part;
    to.insert_or_assign(nest_.reds.back().symbol->id, k);
    s.body = {substitute(product_.b()->args[0], to)};
    if (extent % kChunk != 0) {
      const Expr counts = ex::binary(ScalarOp::Ge, ex::index(k), ex::index(chunk * kChunk));
      s.body = {ex::select(counts, s.body[0], ex::number(DType::BF16, 0))};
    }
    TensorType t{DType::BF16, {}};
    for (const k::Iter& it : s.iters) t.dims.push_back(it.extent);
    packed_ = add_value(p_, storages_, "packed", std::move(t));
    s.results = {packed_};
    return s;
  }

  // Where row `j` of row tile `i` lies, relative to the item's first row.
  Substitution row_at(const Dim& i, const Dim& j) const {
    const k::Iter& row = product_.rows.back();
    if (!lines_) return {{row.symbol->id, Dim(row.symbol) + i * split_.rows + j}};
    const Symbol& line = product_.rows[product_.rows.size() - 2].symbol;
    return {{line->id, Dim(line) + i}, {row.symbol->id, Dim(row.symbol) + j}};
  }

  Launch kernel() {
    KernelBuilder b(p_, storages_, facts_);
    b.node = nest_.node;
    b_ = &b;
    const k::Iter& row = product_.rows.back();
    const int64_t columns = column_.extent.value(), width = panels_ * kColumns;
    // The iterator that the item's two row tiles are of: rows, or lines of rows.
    const k::Iter& along = lines_ ? product_.rows[product_.rows.size() - 2] : row;
    const int64_t unit = lines_ ? row_tiles_ : row_tiles_ * split_.rows, extent = along.extent.value();
    const Dim tiles = (extent + unit - 1) / unit, panels = (columns + width - 1) / width;
    const Symbol tile = Dim::iterator("tile", tiles), panel = Dim::iterator("panel", panels);
    const Dim k_total = elements(nest_.reds);
    const bool panel_outer = k_total.value() * columns * 2 > facts_.l2_bytes / 2;
    std::vector<k::Iter> grid;
    for (const Product::Role& r : product_.batch) grid.push_back(r.iter);
    if (panel_outer) grid.push_back({panel, panels});
    const size_t outer = product_.rows.size() - (lines_ ? 2 : 1);
    for (size_t k = 0; k < outer; ++k) grid.push_back(product_.rows[k]);
    grid.push_back({tile, tiles});
    if (!panel_outer) grid.push_back({panel, panels});
    const Dim items = elements(grid);
    const Symbol item = Dim::iterator("item", items);
    b.decode(item, grid);
    b.let(along.symbol, extent % unit == 0 ? Dim(tile) * unit : min(Dim(tile) * unit, extent - unit));
    if (lines_) b.let(row.symbol, 0);
    std::vector<int64_t> acc;
    for (int64_t k = 0; k < row_tiles_ * panels_; ++k)
      acc.push_back(b.declare(DType::I32, kTileWords, splat(ex::integer(DType::I32, 0), kTileWords)));
    sum(acc, Dim(panel) * panels_);
    store(acc, Dim(panel) * width);
    const std::string_view what = product_.rows.size() >= 2 || nest_.reds.size() >= 2 ? "conv" : "matmul";
    Launch l = b.finish(fmt::format("{}{}_bf16_tiles_{}x{}", what, product_.has_epilogue() ? "_fused" : "",
                                    row_tiles_ * split_.rows, width),
                        item, items);
    l.kernel.flops = elements(nest_.iters) * k_total * 2;
    l.kernel.bytes = bytes_of(l.values, storages_);
    l.kernel.schedule =
        fmt::format("tiles {}x{}, K {}, N {}, {} outer, B {}", row_tiles_ * split_.rows, width, k_total.str(), columns,
                    panel_outer ? "panels" : "rows", product_.constant_b ? "packed constant" : "packed at run time");
    const double weights = static_cast<double>(k_total.value() * width);
    l.grain = grain_of(2 * weights * static_cast<double>(row_tiles_ * split_.rows) / kRate, weights * 2);
    return l;
  }

  void sum(const std::vector<int64_t>& acc, const Dim& panel) {
    KernelBuilder& b = *b_;
    auto tile = [&](int value, const Dim& offset, int64_t stride, int64_t rows) {
      ExprNode n{ScalarOp::TileLoad, DType::I32};
      n.id = b.buffer(value);
      n.dim = offset;
      n.stride = stride;
      n.integer = rows;
      n.lanes = kTileWords;
      return b.keep(ex::make(std::move(n)));
    };
    const k::Iter& inner = nest_.reds.back();
    auto step = [&](const Dim& chunk) {
      std::vector<Expr> x, w;
      const Dim k = inner.extent.value() % kChunk == 0 ? chunk * kChunk : min(chunk * kChunk, inner.extent - kChunk);
      for (int64_t i = 0; i < row_tiles_; ++i) {
        const Dim at = substitute(substitute(a().dim, row_at(i, 0)), {{inner.symbol->id, k}});
        x.push_back(tile(static_cast<int>(a().id), at, row_stride_, split_.rows));
      }
      for (int64_t j = 0; j < panels_; ++j) {
        std::vector<Dim> index;
        for (const Product::Role& r : product_.batch) {
          if (r.in_b) index.push_back(Dim(r.iter.symbol));
        }
        index.push_back(panel + j);
        for (size_t r = 0; r + 1 < nest_.reds.size(); ++r) index.push_back(Dim(nest_.reds[r].symbol));
        for (const Dim& d : {chunk, Dim(0), Dim(0), Dim(0)}) index.push_back(d);
        w.push_back(tile(packed_, b.storage(packed_).offset(index), kTileRowBytes / 2, kTileRows));
      }
      for (int64_t i = 0; i < row_tiles_; ++i) {
        for (int64_t j = 0; j < panels_; ++j) {
          const int64_t id = acc[static_cast<size_t>(i * panels_ + j)];
          const Expr old = KernelBuilder::local(id, DType::I32, kTileWords);
          ExprNode n{ScalarOp::TileDot, DType::I32};
          n.integer = split_.rows;
          n.lanes = kTileWords;
          n.args = {old, x[static_cast<size_t>(i)], w[static_cast<size_t>(j)]};
          b.set(id, ex::make(std::move(n)));
        }
      }
    };
    std::function<void(size_t)> loops = [&](size_t k) {
      const k::Iter& it = nest_.reds[k];
      if (k + 1 < nest_.reds.size()) return b.loop(it.symbol, 0, it.extent, 1, [&] { loops(k + 1); });
      const Symbol chunk = Dim::iterator("chunk", Dim(chunks_));
      b.loop(chunk, 0, chunks_, 1, [&] { step(Dim(chunk)); });
    };
    loops(0);
  }

  void store(const std::vector<int64_t>& acc, const Dim& column) {
    KernelBuilder& b = *b_;
    const int64_t scratch = b.scratch(DType::I32, static_cast<int64_t>(acc.size()) * kTileWords);
    for (size_t k = 0; k < acc.size(); ++k)
      b.store(scratch, Dim(static_cast<int64_t>(k) * kTileWords), KernelBuilder::local(acc[k], DType::I32, kTileWords));
    const Symbol i = Dim::iterator("i", Dim(row_tiles_)), j = Dim::iterator("j", Dim(split_.rows));
    const bool tail = column_.extent.value() % (panels_ * kColumns) != 0;
    b.loop(i, 0, row_tiles_, 1, [&] {
      b.loop(j, 0, split_.rows, 1, [&] {
        for (int64_t n = 0; n < panels_; ++n) {
          const Symbol lane = Dim::symbol(column_.symbol->name);
          b.let(lane, column + n * kColumns);
          const Expr words =
              wide_load(scratch, DType::I32, (Dim(i) * panels_ + n) * kTileWords + Dim(j) * kColumns, kColumns);
          const Expr sum = wide(ScalarOp::Bitcast, DType::F32, kColumns, {words});
          ExprLowering x(b, lane, kColumns, tail ? first_lanes(column_.extent - Dim(lane), kColumns) : Expr());
          Substitution at = row_at(Dim(i), Dim(j));
          at.insert_or_assign(column_.symbol->id, Dim(lane));
          Expr value = sum;
          if (product_.has_epilogue()) {
            x.registers.emplace(product_.sums, [&](const ExprNode&) { return sum; });
            value = x.wide(substitute(product_.epilogue(), at));
          }
          x.store_at(product_.result, substitute(nest_.results[0].offset, at), value);
        }
      });
    });
  }

  Product product_;
  const Nest& nest_ = product_.nest;
  k::Program& p_;
  Storages& storages_;
  const TargetFacts& facts_;
  k::Iter column_;
  Split split_;
  bool lines_ = false;  // the row tiles of an item are of neighbouring lines
  int64_t row_tiles_ = 2, panels_ = 2, chunks_ = 0, row_stride_ = 0;
  int packed_ = -1;
  KernelBuilder* b_ = nullptr;
};

}  // namespace

Result<std::optional<std::vector<Launch>>> schedule_tiles(Product product, k::Program& p, Storages& s,
                                                          const TargetFacts& f) {
  return Tiles(std::move(product), p, s, f).run();
}

}  // namespace ingot
