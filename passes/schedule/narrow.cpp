// The last convolution of a network that makes images has three columns, a detector's head one: in the contraction's tile
// (contraction.cpp) most lanes would be empty. Products of skinny N are vectorised along K instead:
//
//   for tile of P rows:
//     acc[P][N] = 0                                    vectors of partial sums
//     for the reduced iterators, the innermost in vectors: a[P] = load A; for each column: w = load B; acc[:][n] += a[:] * w
//     sums = the lanes of acc added up
//     for the rows: epilogue, store
//
// B is packed [column][reduced...] when compiling, so that both operands are read forward. A load of B serves P rows, one of
// A all columns.
#include "passes/schedule/narrow.h"

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int64_t kMostColumns = 4;
inline constexpr int64_t kMostRows = 8;  // of a tile

class Narrow {
 public:
  Narrow(Product product, k::Program& p, Storages& s, const TargetFacts& f)
      : product_(std::move(product)), p_(p), storages_(s), facts_(f) {}

  Result<std::optional<std::vector<Launch>>> run() {
    lanes_ = facts_.vector_bytes / 4;
    if (!fits()) return std::optional<std::vector<Launch>>{};
    TRY(pack());
    std::vector<Launch> launches;
    launches.push_back(kernel());
    return std::optional(std::move(launches));
  }

 private:
  bool fits() {
    if (product_.type != DType::F32 || !product_.constant_b || product_.rows.empty() || nest_.reds.empty())
      return false;
    auto columns = elements(product_.columns).constant();
    if (!columns || *columns > kMostColumns) return false;
    columns_ = *columns;
    const k::Iter& inner = nest_.reds.back();
    auto step = affine_in(a().dim, inner.symbol);
    if (!step || !step->coefficient.is(1) || a().type != DType::F32 || !inner.extent.is_constant()) return false;
    if (inner.extent.value() < 2 * lanes_) return false;
    if (inner.extent.value() % lanes_ != 0 && !facts_.masked_memory) return false;
    for (const k::Iter& r : nest_.reds) {
      if (!r.extent.is_constant()) return false;
    }
    // Accumulators, a column of A and a vector of B stay in registers; a size that wastes few rows at the end is taken.
    const int64_t most = std::min(kMostRows, (facts_.vector_registers - 2) / (columns_ + 1));
    rows_ = most;
    if (auto extent = product_.rows.back().extent.constant()) {
      auto waste = [&](int64_t rows) { return (*extent + rows - 1) / rows * rows - *extent; };
      for (int64_t rows = most - 1; rows * 2 > most; --rows)
        if (waste(rows) * rows_ < waste(rows_) * rows) rows_ = rows;
    }
    return true;
  }

  const ExprNode& a() const { return *only_load(nest_.body[0]); }

  // packed[batch of B..., columns..., reduced...] = B
  Result<void> pack() {
    k::Stage s;
    s.node = nest_.node;
    Substitution to;
    auto add = [&](const k::Iter& it) {
      k::Iter own{Dim::iterator(it.symbol->name, it.extent), it.extent};
      to.insert_or_assign(it.symbol->id, Dim(own.symbol));
      s.iters.push_back(own);
    };
    for (const Product::Role& r : product_.batch)
      if (r.in_b) add(r.iter);
    for (const k::Iter& it : product_.columns) add(it);
    for (const k::Iter& it : nest_.reds) add(it);
    s.body = {substitute(product_.b(), to)};
    TensorType type{DType::F32, {}};
    for (const k::Iter& it : s.iters) type.dims.push_back(it.extent);
    TensorRef packed = TRY(evaluate_stage(s, p_))[0];
    packed_ = add_value(p_, storages_, "packed", std::move(type));
    p_.values[static_cast<size_t>(packed_)].constant = std::move(packed);
    return {};
  }

  Expr node(ScalarOp op, std::vector<Expr> args, int64_t lanes) { return wide(op, DType::F32, lanes, std::move(args)); }

  Expr load(int value, const Dim& offset, const Expr& mask) {
    return wide_load(b_->buffer(value), DType::F32, offset, lanes_, mask);
  }

  Expr keep(Expr e) { return b_->keep(std::move(e)); }

  // The columns' iterators for the n-th column.
  Substitution column(int64_t n) const {
    Substitution s;
    for (size_t k = product_.columns.size(); k-- > 0;) {
      const int64_t extent = product_.columns[k].extent.value();
      s.emplace(product_.columns[k].symbol->id, Dim(n % extent));
      n /= extent;
    }
    return s;
  }

  void sum(const std::vector<Symbol>& row, std::vector<int64_t>& acc) {
    const Symbol last = product_.rows.back().symbol;
    auto step = [&](const Expr& mask) {
      std::vector<Expr> x;
      for (const Symbol& r : row)
        x.push_back(keep(load(static_cast<int>(a().id), substitute(a().dim, {{last->id, Dim(r)}}), mask)));
      for (int64_t n = 0; n < columns_; ++n) {
        std::vector<Dim> index;
        for (const Product::Role& r : product_.batch)
          if (r.in_b) index.push_back(Dim(r.iter.symbol));
        const Substitution at = column(n);
        for (const k::Iter& it : product_.columns) index.push_back(at.at(it.symbol->id));
        for (const k::Iter& it : nest_.reds) index.push_back(Dim(it.symbol));
        const Expr w = keep(load(packed_, b_->storage(packed_).offset(index), mask));
        for (size_t r = 0; r < row.size(); ++r) {
          const int64_t id = acc[r * static_cast<size_t>(columns_) + static_cast<size_t>(n)];
          const Expr old = KernelBuilder::local(id, DType::F32, static_cast<int>(lanes_));
          b_->set(id, node(ScalarOp::Add, {old, node(ScalarOp::Mul, {x[r], w}, lanes_)}, lanes_));
        }
      }
    };
    std::function<void(size_t)> loops = [&](size_t k) {
      const k::Iter& it = nest_.reds[k];
      if (k + 1 < nest_.reds.size()) return b_->loop(it.symbol, 0, it.extent, 1, [&] { loops(k + 1); });
      const int64_t main = it.extent.value() / lanes_ * lanes_;
      b_->loop(it.symbol, 0, main, lanes_, [&] { step({}); });
      if (main == it.extent.value()) return;
      b_->let(it.symbol, main);
      step(first_lanes(it.extent - main, lanes_));
    };
    loops(0);
  }

  Launch kernel() {
    KernelBuilder b(p_, storages_, facts_);
    b.node = nest_.node;
    b_ = &b;
    const k::Iter inner = product_.rows.back();
    const Dim tiles = ceildiv(inner.extent, rows_);
    const Symbol tile = Dim::iterator("tile", tiles);
    std::vector<k::Iter> grid;
    for (const Product::Role& r : product_.batch) grid.push_back(r.iter);
    grid.insert(grid.end(), product_.rows.begin(), product_.rows.end() - 1);
    grid.push_back({tile, tiles});
    const Dim items = elements(grid);
    const Symbol item = Dim::iterator("item", items);
    b.decode(item, grid);
    // Rows past the end are the last one again.
    auto row_at = [&](const Dim& r) {
      const Dim at = Dim(tile) * rows_ + r;
      return known_divisible(inner.extent, rows_) ? at : min(at, inner.extent - 1);
    };
    std::vector<Symbol> row;
    std::vector<int64_t> acc;
    for (int64_t r = 0; r < rows_; ++r) {
      row.push_back(Dim::symbol("row", 0));
      b.let(row.back(), row_at(r));
    }
    const Expr zero = splat(ex::number(DType::F32, 0), lanes_);
    for (int64_t k = 0; k < rows_ * columns_; ++k) acc.push_back(b.declare(DType::F32, static_cast<int>(lanes_), zero));
    sum(row, acc);
    const int64_t sums = b.scratch(DType::F32, rows_ * columns_);
    for (size_t k = 0; k < acc.size(); ++k) {
      const Expr lanes = KernelBuilder::local(acc[k], DType::F32, static_cast<int>(lanes_));
      b.store(sums, Dim(static_cast<int64_t>(k)), node(ScalarOp::LaneSum, {lanes}, 1));
    }
    const Symbol r = Dim::iterator("r", Dim(rows_));
    b.loop(r, 0, rows_, 1, [&] {
      b.let(inner.symbol, row_at(Dim(r)));
      for (int64_t n = 0; n < columns_; ++n) {
        Expr value = wide_load(sums, DType::F32, Dim(r) * columns_ + n, 1);
        const Substitution at = column(n);
        ExprLowering x(b);
        if (product_.has_epilogue()) {
          const Expr total = value;
          x.registers.emplace(product_.sums, [total](const ExprNode&) { return total; });
          value = x.lower(substitute(product_.epilogue(), at));
        }
        x.store_at(product_.result, substitute(nest_.results[0].offset, at), value);
      }
    });
    Launch l = b.finish(fmt::format("narrow{}_f32_{}x{}", product_.has_epilogue() ? "_fused" : "", rows_, columns_),
                        item, items);
    const Dim length = elements(nest_.reds);
    l.kernel.flops = elements(nest_.iters) * length * 2;
    l.kernel.bytes = bytes_of(l.values, storages_);
    l.kernel.schedule = fmt::format("narrow, {} rows, K {}, N {}", rows_, length.str(), columns_);
    const double a = static_cast<double>(rows_ * length.value());
    l.grain = grain_of(2 * a * static_cast<double>(columns_), a * 4);
    return l;
  }

  Product product_;
  const Nest& nest_ = product_.nest;
  k::Program& p_;
  Storages& storages_;
  const TargetFacts& facts_;
  int64_t lanes_ = 1, columns_ = 0, rows_ = 0;
  int packed_ = -1;
  KernelBuilder* b_ = nullptr;
};

}  // namespace

Result<std::optional<std::vector<Launch>>> schedule_narrow(Product product, k::Program& p, Storages& s,
                                                           const TargetFacts& f) {
  return Narrow(std::move(product), p, s, f).run();
}

}  // namespace ingot
