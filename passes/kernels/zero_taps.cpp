// sum over r < 9 of x[i + r] * w[r], w zero but at 0, 4, 8  ->  sum over r < 3 of x[i + 4*r] * w'[r]
//
// Exporters that have no dilated convolution spread its filter over a window full of zeros. Slices of a constant factor
// that are all zero add nothing (to finite numbers), so that those of a regular grid are left out.
//
// sum over r < 3 of x[i + r - 1 | 0] * w[r], x of one element  ->  x[0] * w[1 - i]
//
// A window over one element meets it in one tap (a transposed convolution that begins an image, the last maps of a detector):
// the others lie in the border, and add nothing either.
#include <algorithm>
#include <numeric>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int64_t kMostTaps = 256;  // of a reduced iterator: windows, not matrices
inline constexpr int64_t kMostElements = int64_t{1} << 24;  // of a constant that is searched

struct Grid {
  int64_t first = 0, step = 1, count = 0;
};

// Where the slices of dim `d` that are not all zero lie.
Grid nonzero_slices(const TensorData& data, size_t d) {
  int64_t inner = 1;
  for (size_t k = d + 1; k < data.dims.size(); ++k) inner *= data.dims[k];
  const int64_t extent = data.dims[d];
  std::vector<bool> used(static_cast<size_t>(extent), false);
  for (int64_t i = 0; i < data.elements(); ++i) {
    const size_t slice = static_cast<size_t>(i / inner % extent);
    if (!used[slice]) used[slice] = data.number(i) != 0;
  }
  Grid g;
  int64_t last = -1;
  for (int64_t k = 0; k < extent; ++k) {
    if (!used[static_cast<size_t>(k)]) continue;
    if (last < 0) g.first = k;
    g.step = last < 0 ? 0 : std::gcd(g.step, k - last);
    last = k;
  }
  if (last < 0) return {0, 1, 1};  // all zero: one slice of it
  if (g.step == 0) g.step = 1;
  g.count = (last - g.first) / g.step + 1;
  return g;
}

class ZeroTaps {
 public:
  explicit ZeroTaps(k::Program& p) : p_(p) {}

  Result<void> block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) TRY(block(inner));
      if (s.kind != k::StageKind::Reduce || s.combiner != k::Combiner::Sum || s.body.size() != 1) continue;
      for (size_t r = 0; r < s.reds.size(); ++r) TRY(shorten(s, r));
      for (size_t r = s.reds.size(); r-- > 0;) keep_one_tap(s, r);
    }
    return {};
  }

 private:
  static int reads_of(const Expr& e, int64_t id) {
    int n = 0;
    visit(e, [&](const ExprNode& x) { n += x.op == ScalarOp::Read && x.id == id; });
    return n;
  }

  Result<void> shorten(k::Stage& s, size_t r) {
    const k::Iter red = s.reds[r];
    auto extent = red.extent.constant();
    Expr product = s.body[0];
    while (product.is(ScalarOp::Cast)) product = product->args[0];
    if (!extent || *extent < 2 || *extent > kMostTaps || !product.is(ScalarOp::Mul)) return {};
    for (const Expr& factor : product->args) {
      if (!factor.is(ScalarOp::Read) || factor->checked || reads_of(product, factor->id) != 1) continue;
      const TensorRef data = p_.values[static_cast<size_t>(factor->id)].constant;
      if (!data || !is_float(data->dtype) || data->elements() > kMostElements) continue;
      for (size_t d = 0; d < factor->args.size(); ++d) {
        auto index = as_dim(factor->args[d]);
        if (!index || *index != Dim(red.symbol) || data->dims[d] != *extent) continue;
        const Grid grid = nonzero_slices(*data, d);
        if (grid.count == *extent) continue;
        const k::Iter own{Dim::iterator(red.symbol->name, Dim(grid.count)), Dim(grid.count)};
        const int64_t old = factor->id;
        const int kept = TRY(slices(static_cast<int>(old), d, grid));
        s.reds[r] = own;
        s.body[0] = substitute(s.body[0], {{red.symbol->id, Dim(own.symbol) * grid.step + grid.first}});
        s.body[0] = rewrite(s.body[0], [&](const ExprNode& n) {
          if (n.op != ScalarOp::Read || n.id != old) return Expr();
          ExprNode m = n;
          m.id = kept;
          m.args[d] = ex::index(Dim(own.symbol));
          return ex::make(std::move(m));
        });
        return {};
      }
    }
    return {};
  }

  void keep_one_tap(k::Stage& s, size_t r) {
    const k::Iter red = s.reds[r];
    Expr product = s.body[0];
    while (product.is(ScalarOp::Cast)) product = product->args[0];
    if (red.extent.is(1) || !product.is(ScalarOp::Mul)) return;
    for (Expr factor : product->args) {
      while (factor.is(ScalarOp::Cast)) factor = factor->args[0];
      if (!factor.is(ScalarOp::Read) || !factor->checked) continue;
      const Expr& fill = factor->args.back();
      if (!fill.is(ScalarOp::Const) || fill->number != 0 || fill->integer != 0) continue;
      const std::vector<Dim>& dims = p_.values[static_cast<size_t>(factor->id)].tensor().dims;
      for (size_t d = 0; d < dims.size(); ++d) {
        auto index = dims[d].is(1) ? as_dim(factor->args[d]) : std::nullopt;
        auto walk = index ? affine_in(*index, red.symbol) : std::nullopt;
        if (!walk || !(walk->coefficient.is(1) || walk->coefficient.is(-1))) continue;
        const Dim tap = walk->coefficient.is(1) ? Dim(0) - walk->rest : walk->rest;
        const bool moves = std::any_of(s.reds.begin(), s.reds.end(),
                                       [&](const k::Iter& other) { return depends_on(tap, other.symbol); });
        if (moves || !known_less_equal(0, tap) || !known_less(tap, red.extent)) continue;
        s.body[0] = substitute(s.body[0], {{red.symbol->id, tap}});
        if (s.reds.size() > 1) s.reds.erase(s.reds.begin() + static_cast<long>(r));
        else s.reds[0] = {Dim::iterator(red.symbol->name, 1), 1};
        return;
      }
    }
  }

  Result<int> slices(int id, size_t d, const Grid& grid) {
    k::Value v = p_.values[static_cast<size_t>(id)];
    v.constant = nullptr;
    v.type.tensor.dims[d] = Dim(grid.count);
    const int to = p_.add(std::move(v));
    k::Stage copy;
    std::vector<Expr> index;
    for (const Dim& extent : p_.values[static_cast<size_t>(to)].tensor().dims) {
      copy.iters.push_back({Dim::iterator("i", extent), extent});
      const Dim at = Dim(copy.iters.back().symbol);
      index.push_back(ex::index(index.size() == d ? at * grid.step + grid.first : at));
    }
    copy.body = {ex::read(id, p_.values[static_cast<size_t>(to)].tensor().dtype, index)};
    p_.values[static_cast<size_t>(to)].constant = TRY(evaluate_stage(copy, p_))[0];
    return to;
  }

  k::Program& p_;
};

}  // namespace

Result<void> drop_zero_taps(k::Program& p) { return ZeroTaps(p).block(p.body); }

}  // namespace ingot
