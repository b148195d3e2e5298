// F(m x m, 3 x 3), Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks":
//
//   Y = A' [ (G g G') . (B' d B) ] A        d: a tile of t x t inputs, t = m + 2; Y: m x m outputs; . elementwise, summed
//                                           over channels: t*t small matrix products
//
// F(4,3) needs a quarter of the multiplications of the direct sum, F(2,3) 4/9. One work item takes a run of blocks of
// tiles; per block:
//
//   V[t*t][tiles][C] = B' d B          vectors of channels, straight from the bordered channels-last input
//   M[t*t][tiles][K] = V * U           the register tile of the contraction; U = G g G' is packed at compile time
//   y = epilogue(A' M A)
//
// V and M of a block stay in the L2 cache. They lie in the arena, once per work item, so there are few of those. An image
// that has fewer blocks than that is split by outputs K too; each part transforms the inputs again.
//
// Error: the transforms' coefficients are at most 8 (F(4,3)), so that sums of a few inputs of one tile are formed and
// cancel again. With random numbers, max |difference| to the direct sum / max |output| was 1.6e-6 for F(2,3) of 128 channels
// and 6.4e-6 for F(4,3) of 64, against 4e-7 among direct sums of different orders; tests/passes/convolution_test.cpp holds
// them to 4e-6 and 4e-5. An infinity or NaN reaches all outputs of its tile.
#include "passes/schedule/winograd.h"

#include <algorithm>

#include "passes/kernels/passes.h"
#include "passes/schedule/product.h"

namespace ingot {

namespace {

inline constexpr int64_t kSlots = 8;  // work items, each with its own V and M
inline constexpr int64_t kLeastPart =
    128;  // outputs of a part: transforming the inputs is a few percent of its products
inline constexpr int64_t kMaxBlockTiles = 28;  // two register tiles of rows
inline constexpr int64_t kPanel = 32;  // columns of a packed panel, as the contraction's
inline constexpr int64_t kGuessedPixels = 56;  // of a side that only the run knows
inline constexpr int64_t kLeastSideF4 = 14;  // outputs per side; the weights of F(4,3) are 4 times as large
inline constexpr int64_t kLeastSideF2 = 7;
inline constexpr int64_t kLeastChannels = 16;
inline constexpr double kLeastGain = 1.25;  // of the estimate, below which direct sums are taken
inline constexpr double kTransformCost = 2.0;  // of an operation of the transforms, in multiply-adds of the product
inline constexpr int64_t kPrefetchSteps = 16;

using Matrix = std::vector<std::vector<double>>;

struct Algorithm {
  int64_t m;
  Matrix bt, g, at;
};

const Algorithm& f2() {
  static const Algorithm a{2,
                           {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
                           {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
                           {{1, 1, 1, 0}, {0, 1, -1, -1}}};
  return a;
}

const Algorithm& f4() {
  static const Algorithm a{4,
                           {{4, 0, -5, 0, 1, 0},
                            {0, -4, -4, 1, 1, 0},
                            {0, 4, -4, -1, 1, 0},
                            {0, -2, -1, 2, 1, 0},
                            {0, 2, -1, -2, 1, 0},
                            {0, 4, 0, -5, 0, 1}},
                           {{1. / 4, 0, 0},
                            {-1. / 6, -1. / 6, -1. / 6},
                            {-1. / 6, 1. / 6, -1. / 6},
                            {1. / 24, 1. / 12, 1. / 6},
                            {1. / 24, -1. / 12, 1. / 6},
                            {0, 0, 1}},
                           {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};
  return a;
}

int64_t operations(const Matrix& m) {
  int64_t n = 0;
  for (const auto& row : m) n += std::count_if(row.begin(), row.end(), [](double v) { return v != 0; }) - 1;
  return n;
}

// Multiply-adds per tile, an operation of the transforms counted as so many.
double tile_cost(const Algorithm& a, double channels, double outputs) {
  const int64_t t = a.m + 2;
  return static_cast<double>(t * t) * channels * outputs +
         kTransformCost * channels * static_cast<double>(operations(a.bt) * 2 * t) +
         kTransformCost * outputs * static_cast<double>(operations(a.at) * (t + a.m));
}

// The convolution that a stage is, without its epilogue.
struct Form {
  Expr x, w;  // reads of the input; the weights, over constants
  std::array<int64_t, 2> shift{};  // of the window's first row and column against the output's
  int64_t first = 0;  // channel of the input that it begins at
  int64_t channels = 0, outputs = 0;
};

std::optional<Form> find_form(const k::Stage& reduce, const k::Program& p, const Storages& storages) {
  Form f;
  if (reduce.kind != k::StageKind::Reduce || reduce.combiner != k::Combiner::Sum) return std::nullopt;
  if (reduce.iters.size() != 4 || reduce.reds.size() != 3) return std::nullopt;
  if (!reduce.reds[1].extent.is(3) || !reduce.reds[2].extent.is(3)) return std::nullopt;
  const Expr& product = reduce.body[0];
  if (!product.is(ScalarOp::Mul) || product.type() != DType::F32) return std::nullopt;
  auto is_input = [&](const Expr& e) {
    if (!e.is(ScalarOp::Read) || e.type() != DType::F32) return false;
    const k::Value& v = p.values[static_cast<size_t>(e->id)];
    if (v.constant || v.tensor().rank() != 4) return false;
    if (e->checked && !border_covers(*e, reduce, storages[static_cast<size_t>(e->id)])) return false;
    auto is = [&](size_t k, const k::Iter& it) {
      auto d = as_dim(e->args[k]);
      return d && (known_equal(*d, Dim(it.symbol)) || (it.extent.is(1) && d->is(0)));
    };
    auto channel = as_dim(e->args[1]);
    const Dim first = channel ? *channel - Dim(reduce.reds[0].symbol) : Dim(-1);
    if (!is(0, reduce.iters[0]) || !first.is_constant() || first.value() < 0) return false;
    f.first = first.value();
    for (size_t axis = 0; axis < 2; ++axis) {
      auto d = as_dim(e->args[2 + axis]);
      if (!d) return false;
      Dim shift = *d - Dim(reduce.iters[2 + axis].symbol) - Dim(reduce.reds[1 + axis].symbol);
      if (!shift.is_constant()) return false;
      f.shift[axis] = shift.value();
    }
    return true;
  };
  auto is_weight = [&](const Expr& e) {
    bool ok = e.type() == DType::F32;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Read) ok &= p.values[static_cast<size_t>(n.id)].constant != nullptr;
      if (n.op != ScalarOp::Index) return;
      for (size_t k : {0, 2, 3}) ok &= !depends_on(n.dim, reduce.iters[k].symbol);
    });
    return ok;
  };
  for (size_t side = 0; side < 2; ++side) {
    const Expr &x = product->args[side], &w = product->args[1 - side];
    if (!is_input(x) || !is_weight(w)) continue;
    f.x = x;
    f.w = w;
    break;
  }
  auto c = reduce.reds[0].extent.constant(), k = reduce.iters[1].extent.constant();
  if (!f.x || !c || !k) return std::nullopt;
  f.channels = *c, f.outputs = *k;
  const Storage& in = storages[static_cast<size_t>(f.x->id)];
  if (!in.strides[1].is(1) || in.dtype != DType::F32) return std::nullopt;
  return f;
}

class Winograd {
 public:
  Winograd(const k::Stage& reduce, const k::Stage* epilogue, Form form, const Algorithm& a, k::Program& p, Storages& s,
           const TargetFacts& f)
      : reduce_(reduce),
        epilogue_(epilogue),
        form_(std::move(form)),
        a_(a),
        t_(a.m + 2),
        channels_(form_.channels),
        outputs_(form_.outputs),
        p_(p),
        storages_(s),
        facts_(f),
        result_((epilogue ? *epilogue : reduce).results[0]) {}

  Result<std::optional<std::vector<Launch>>> run() {
    const Storage& out = storage(result_);
    const bool fits = out.strides.size() == 4 && out.dtype == DType::F32;
    const bool in_place =
        !epilogue_ || (epilogue_->body[0].type() == DType::F32 && reads_in_place(*epilogue_, reduce_));
    if (!fits || !in_place) return std::optional<std::vector<Launch>>{};
    choose_blocks();
    TRY(transform_weights());
    std::vector<Launch> launches;
    launches.push_back(kernel());
    return std::optional(std::move(launches));
  }

 private:
  const Storage& storage(int id) const { return storages_[static_cast<size_t>(id)]; }

  void choose_blocks() {
    lanes_ = facts_.vector_bytes / 4;
    rows_ = facts_.vector_registers >= 32 && lanes_ >= 8 ? 14 : facts_.vector_registers >= 32 ? 8 : 6;
    vectors_ = facts_.vector_registers >= 32 && lanes_ < 8 ? 3 : 2;
    if (outputs_ % (vectors_ * lanes_) != 0) vectors_ = outputs_ % (2 * lanes_) == 0 ? 2 : 1;
    by_lane_ = facts_.lane_products;
    if (by_lane_) rows_ = rows_by_lane(vectors_, facts_);
    panel_ = std::min<int64_t>(kPanel, outputs_);
    if (panel_ % (vectors_ * lanes_) != 0 || outputs_ % panel_ != 0) panel_ = vectors_ * lanes_;

    tiles_y_ = ceildiv(reduce_.iters[2].extent, a_.m);
    tiles_x_ = ceildiv(reduce_.iters[3].extent, a_.m);
    tiles_ = reduce_.iters[0].extent * tiles_y_ * tiles_x_;
    block_ = kMaxBlockTiles / rows_ * rows_;
    if (auto n = tiles_.constant()) {
      int64_t blocks = (*n + block_ - 1) / block_;
      int64_t even = (*n + blocks - 1) / blocks, parts = (even + rows_ - 1) / rows_;
      rows_ = (even + parts - 1) / parts;
      block_ = rows_ * parts;
    }
    blocks_ = ceildiv(tiles_, block_);
    slots_ = min(blocks_, kSlots);
    const int64_t slots = slots_.constant().value_or(kSlots);
    while (slots * parts_ < kSlots / 2 && part() % (2 * panel_) == 0 && part() / 2 >= kLeastPart) parts_ *= 2;
  }

  int64_t part() const { return outputs_ / parts_; }

  int add_floats(std::string name, std::vector<Dim> dims) {
    return add_value(p_, storages_, std::move(name), TensorType{DType::F32, std::move(dims)});
  }

  // U[xi][panel][c][column] = G w G'
  Result<void> transform_weights() {
    k::Stage s;
    s.iters = {reduce_.iters[1], reduce_.reds[0], reduce_.reds[1], reduce_.reds[2]};
    s.body = {form_.w};
    const TensorRef plain = TRY(evaluate_stage(s, p_))[0];
    const float* w = plain->as<float>();

    int64_t points = t_ * t_, panels = outputs_ / panel_;
    u_ = add_floats("winograd.u", {points, panels, channels_, panel_});
    auto data = TensorData::make(DType::F32, {points, panels, channels_, panel_});
    float* u = reinterpret_cast<float*>(data->mutable_bytes());
    for (int64_t k = 0; k < outputs_; ++k) {
      for (int64_t c = 0; c < channels_; ++c) {
        const float* g = w + (k * channels_ + c) * 9;
        for (int64_t i = 0; i < t_; ++i) {
          double row[3] = {};
          for (size_t s3 = 0; s3 < 3; ++s3) {
            for (size_t r = 0; r < 3; ++r)
              row[s3] += a_.g[static_cast<size_t>(i)][r] * static_cast<double>(g[r * 3 + s3]);
          }
          for (int64_t j = 0; j < t_; ++j) {
            double v = 0;
            for (size_t s3 = 0; s3 < 3; ++s3) v += a_.g[static_cast<size_t>(j)][s3] * row[s3];
            u[(((i * t_ + j) * panels + k / panel_) * channels_ + c) * panel_ + k % panel_] = static_cast<float>(v);
          }
        }
      }
    }
    p_.values[static_cast<size_t>(u_)].constant = std::move(data);
    return {};
  }

  // --- the kernel ---------------------------------------------------------------------------------------------------

  Expr load(int value, const Dim& offset, int64_t lanes) {
    return wide_load(b_->buffer(value), DType::F32, offset, lanes);
  }

  Expr node(ScalarOp op, std::vector<Expr> args) { return wide(op, DType::F32, lanes_, std::move(args)); }
  Expr splat(double v) { return ingot::splat(ex::number(DType::F32, v), lanes_); }
  Expr keep(Expr e) { return b_->keep(std::move(e)); }

  // The row times the vector of registers. Coefficients of 1 come first: no multiplication starts the chain then.
  Expr dot(const std::vector<double>& row, const std::vector<Expr>& x) {
    Expr sum;
    for (const bool ones : {true, false}) {
      for (size_t k = 0; k < row.size(); ++k) {
        if (row[k] == 0 || (row[k] == 1) != ones) continue;
        if (!sum) {
          sum = row[k] == 1 ? x[k] : node(ScalarOp::Mul, {splat(row[k]), x[k]});
        } else if (row[k] == 1 || row[k] == -1) {
          sum = node(row[k] == 1 ? ScalarOp::Add : ScalarOp::Sub, {sum, x[k]});
        } else {
          sum = node(ScalarOp::Add, {sum, node(ScalarOp::Mul, {splat(row[k]), x[k]})});
        }
      }
    }
    return sum;
  }

  // m * x. Two columns that are equal up to signs become the sum and the difference of their operands; two rows that are so
  // share the parts in which they agree and differ.
  std::vector<Expr> apply(Matrix m, std::vector<Expr> x) {
    for (size_t k = 0; k + 1 < x.size(); ++k) {
      auto same = [&](const std::vector<double>& row) { return row[k] == row[k + 1] || row[k] == -row[k + 1]; };
      if (!std::all_of(m.begin(), m.end(), same)) continue;
      const Expr sum = keep(node(ScalarOp::Add, {x[k], x[k + 1]})),
                 difference = keep(node(ScalarOp::Sub, {x[k], x[k + 1]}));
      for (std::vector<double>& row : m) {
        const bool equal = row[k] == row[k + 1];
        row[k + 1] = equal ? 0 : row[k];
        row[k] = equal ? row[k] : 0;
      }
      x[k] = sum, x[k + 1] = difference;
      ++k;
    }
    std::vector<Expr> y(m.size());
    for (size_t i = 0; i < m.size(); ++i) {
      if (y[i]) continue;
      for (size_t j = i + 1; j < m.size() && !y[i]; ++j) {
        std::vector<double> agree(x.size()), differ(x.size());
        bool pair = !y[j];
        for (size_t k = 0; k < x.size() && pair; ++k) {
          pair = m[i][k] == m[j][k] || m[i][k] == -m[j][k];
          (m[i][k] == m[j][k] ? agree : differ)[k] = m[i][k];
        }
        auto some = [](const std::vector<double>& row) {
          return std::any_of(row.begin(), row.end(), [](double v) { return v != 0; });
        };
        if (!pair || !some(agree) || !some(differ)) continue;
        const Expr even = keep(dot(agree, x)), odd = keep(dot(differ, x));
        y[i] = keep(node(ScalarOp::Add, {even, odd}));
        y[j] = keep(node(ScalarOp::Sub, {even, odd}));
      }
      if (!y[i]) y[i] = keep(dot(m[i], x));
    }
    return y;
  }

  // m * x * m', x of n x n registers given by load(row, column); result(i, j, value) takes the entries, row by row.
  void sandwich(const Matrix& m, int64_t n, const std::function<Expr(int64_t, int64_t)>& x,
                const std::function<void(int64_t, int64_t, const Expr&)>& result) {
    std::vector<std::vector<Expr>> half(m.size());
    for (int64_t j = 0; j < n; ++j) {
      std::vector<Expr> column;
      for (int64_t i = 0; i < n; ++i) column.push_back(keep(x(i, j)));
      column = apply(m, std::move(column));
      for (size_t i = 0; i < m.size(); ++i) half[i].push_back(column[i]);
    }
    for (size_t i = 0; i < m.size(); ++i) {
      const std::vector<Expr> row = apply(m, half[i]);
      for (size_t j = 0; j < m.size(); ++j) result(static_cast<int64_t>(i), static_cast<int64_t>(j), row[j]);
    }
  }

  struct Tile {
    Dim n, y, x;
  };

  // The `at`-th tile of the block; past the end, the last one again: it computes the same and stores the same.
  Tile decode(const Symbol& block, const Symbol& at) {
    Dim tile = Dim(block) * block_ + Dim(at);
    if (!known_divisible(tiles_, block_)) tile = min(tile, tiles_ - 1);
    Symbol t = Dim::iterator("tile", tiles_), n = Dim::iterator("n", reduce_.iters[0].extent),
           y = Dim::iterator("ty", tiles_y_), x = Dim::iterator("tx", tiles_x_);
    b_->let(t, tile);
    b_->let(n, floordiv(Dim(t), tiles_y_ * tiles_x_));
    b_->let(y, mod(floordiv(Dim(t), tiles_x_), tiles_y_));
    b_->let(x, mod(Dim(t), tiles_x_));
    return {Dim(n), Dim(y), Dim(x)};
  }

  void transform_input(const Symbol& block, const Dim& v_base) {
    Symbol at = Dim::iterator("t", Dim(block_)), c = Dim::iterator("c", Dim(channels_));
    const int x = static_cast<int>(form_.x->id);
    const Storage& s = storage(x);
    b_->loop(at, 0, Dim(block_), 1, [&] {
      Tile tile = decode(block, at);
      std::array<std::vector<Dim>, 2> offsets;  // of the tile's rows and columns; none beyond the border
      for (size_t axis = 0; axis < 2; ++axis) {
        const Dim first = (axis == 0 ? tile.y : tile.x) * a_.m + form_.shift[axis];
        const Dim extent = reduce_.iters[2 + axis].extent;
        for (int64_t i = 0; i < t_; ++i) {
          Dim index = first + i;
          if (!known_divisible(extent, a_.m)) index = min(index, extent + 1 + form_.shift[axis]);
          Symbol offset = Dim::symbol(axis == 0 ? "row" : "column", -kDimMax, kDimMax);
          b_->let(offset, index * s.strides[2 + axis]);
          offsets[axis].push_back(Dim(offset));
        }
      }
      b_->loop(c, 0, Dim(channels_), lanes_, [&] {
        const Dim base = tile.n * s.strides[0] + Dim(c) + form_.first;
        sandwich(
            a_.bt, t_,
            [&](int64_t i, int64_t j) {
              return load(x, base + offsets[0][static_cast<size_t>(i)] + offsets[1][static_cast<size_t>(j)], lanes_);
            },
            [&](int64_t i, int64_t j, const Expr& e) {
              b_->store(b_->buffer(v_, true), v_base + (i * t_ + j) * v_stride_ + Dim(at) * channels_ + Dim(c), e);
            });
      });
    });
  }

  void multiply(const Dim& part, const Dim& v_base, const Dim& m_base) {
    int64_t points = t_ * t_, width = vectors_ * lanes_, panels = this->part() / width;
    Symbol point = Dim::iterator("point", Dim(points)), panel = Dim::iterator("panel", Dim(outputs_ / width));
    Symbol tiles = Dim::iterator("tiles", Dim(block_ / rows_)), c = Dim::iterator("c", Dim(channels_));
    const Storage& u = storage(u_);
    b_->loop(point, 0, Dim(points), 1, [&] {
      b_->loop(panel, part * panels, (part + 1) * panels, 1, [&] {
        b_->loop(tiles, 0, Dim(block_ / rows_), 1, [&] {
          std::vector<int64_t> acc;
          for (int64_t k = 0; k < rows_ * vectors_; ++k)
            acc.push_back(b_->declare(DType::F32, static_cast<int>(lanes_), splat(0)));
          int64_t parts = panel_ / width;
          std::vector<Expr> channels;  // of each row, `lanes_` of them
          auto v_at = [&](int64_t r, const Dim& at) {
            return v_base + Dim(point) * v_stride_ + (Dim(tiles) * rows_ + r) * channels_ + at;
          };
          auto step = [&](const Dim& at, int64_t lane) {
            std::vector<Expr> w;
            Dim first = u.offset({Dim(point), floordiv(Dim(panel), parts), at, mod(Dim(panel), parts) * width});
            for (int64_t j = 0; j < vectors_; ++j) {
              w.push_back(keep(load(u_, first + j * lanes_, lanes_)));
              if (j * lanes_ * 4 % kCacheLine != 0) continue;
              l::Stmt ahead{l::StmtKind::Prefetch};
              ahead.id = b_->buffer(u_);
              ahead.offset = first + j * lanes_ + kPrefetchSteps * panel_;
              b_->emit(std::move(ahead));
            }
            for (int64_t r = 0; r < rows_; ++r) {
              Expr factor = by_lane_ ? lane_of(channels[static_cast<size_t>(r)], lane) : load(v_, v_at(r, at), 1);
              const Expr x = keep(node(ScalarOp::Splat, {std::move(factor)}));
              for (int64_t j = 0; j < vectors_; ++j) {
                int64_t id = acc[static_cast<size_t>(r * vectors_ + j)];
                b_->set(id, node(ScalarOp::Add, {KernelBuilder::local(id, DType::F32, static_cast<int>(lanes_)),
                                                 node(ScalarOp::Mul, {x, w[static_cast<size_t>(j)]})}));
              }
            }
          };
          b_->loop(c, 0, Dim(channels_), by_lane_ ? lanes_ : 2, [&] {
            channels.clear();
            for (int64_t r = 0; by_lane_ && r < rows_; ++r) channels.push_back(keep(load(v_, v_at(r, Dim(c)), lanes_)));
            for (int64_t u = 0; u < (by_lane_ ? lanes_ : 2); ++u) step(Dim(c) + u, u);
          });
          for (int64_t r = 0; r < rows_; ++r) {
            for (int64_t j = 0; j < vectors_; ++j) {
              const Dim offset = m_base + Dim(point) * m_stride_ + (Dim(tiles) * rows_ + r) * this->part() +
                                 Dim(panel) * width + j * lanes_;
              b_->store(b_->buffer(m_, true), offset,
                        KernelBuilder::local(acc[static_cast<size_t>(r * vectors_ + j)], DType::F32,
                                             static_cast<int>(lanes_)));
            }
          }
        });
      });
    });
  }

  void transform_output(const Symbol& block, const Dim& part, const Dim& m_base) {
    Symbol at = Dim::iterator("t", Dim(block_)), k = Dim::iterator("k", Dim(outputs_));
    const Storage& s = storage(result_);
    b_->loop(at, 0, Dim(block_), 1, [&] {
      Tile tile = decode(block, at);
      b_->loop(k, part * this->part(), (part + 1) * this->part(), lanes_, [&] {
        sandwich(
            a_.at, t_,
            [&](int64_t i, int64_t j) {
              return load(m_, m_base + (i * t_ + j) * m_stride_ + Dim(at) * this->part() + Dim(k), lanes_);
            },
            [&](int64_t i, int64_t j, const Expr& sum) {
              Dim y = tile.y * a_.m + i, x = tile.x * a_.m + j;
              Expr inside = ex::boolean(true);
              if (i > 0 && !known_divisible(reduce_.iters[2].extent, a_.m))
                inside = inside && ex::index(y) < ex::index(reduce_.iters[2].extent);
              if (j > 0 && !known_divisible(reduce_.iters[3].extent, a_.m))
                inside = inside && ex::index(x) < ex::index(reduce_.iters[3].extent);
              auto store = [&] { finish({tile.n, Dim(k), y, x}, k, s, sum); };
              if (inside.is(ScalarOp::Const)) {
                store();
              } else {
                b_->if_then(inside, store);
              }
            });
      });
    });
  }

  void finish(const std::vector<Dim>& index, const Symbol& k, const Storage& s, const Expr& sum) {
    ExprLowering x(*b_, k, static_cast<int>(lanes_));
    Expr value = sum;
    if (epilogue_) {
      x.registers.emplace(reduce_.results[0], [&](const ExprNode&) { return sum; });
      Substitution at;
      for (size_t d = 0; d < 4; ++d) at.emplace(epilogue_->iters[d].symbol->id, index[d]);
      value = x.wide(substitute(flat_epilogue_, at));
    }
    x.store_at(result_, s.offset(index), value);
  }

  Launch kernel() {
    int64_t points = t_ * t_;
    v_stride_ = block_ * channels_;
    m_stride_ = block_ * part();
    const Dim items = slots_ * parts_;
    v_ = add_floats("winograd.v", {items, Dim(points * v_stride_)});
    m_ = add_floats("winograd.m", {items, Dim(points * m_stride_)});
    if (epilogue_) flat_epilogue_ = flatten_epilogue(*epilogue_, reduce_.results[0], storages_);
    KernelBuilder b(p_, storages_, facts_);
    b_ = &b;
    b.node = (epilogue_ ? *epilogue_ : reduce_).node;
    Symbol item = Dim::iterator("item", items), slot = Dim::iterator("slot", slots_),
           outputs = Dim::iterator("part", Dim(parts_)), block = Dim::iterator("block", blocks_);
    b.decode(item, {{outputs, Dim(parts_)}, {slot, slots_}});
    const Dim part(outputs), v_base = Dim(item) * (points * v_stride_);
    const Dim m_base = Dim(item) * (points * m_stride_) - part * this->part();  // of output 0, which lies before
    Symbol begin = Dim::symbol("begin"), end = Dim::symbol("end");
    b.let(begin, floordiv(Dim(slot) * blocks_, slots_));
    b.let(end, floordiv((Dim(slot) + 1) * blocks_, slots_));
    b.loop(block, Dim(begin), Dim(end), 1, [&] {
      transform_input(block, v_base);
      multiply(part, v_base, m_base);
      transform_output(block, part, m_base);
    });
    Launch l = b.finish(
        fmt::format("winograd{}{}_f32_{}x{}", a_.m, epilogue_ ? "_fused" : "", rows_, vectors_ * lanes_), item, items);
    l.kernel.flops = tiles_ * (points * channels_ * outputs_ * 2);
    std::vector<int> moved = l.values;  // V and M stay in the cache
    std::erase_if(moved, [&](int id) { return id == v_ || id == m_; });
    l.kernel.bytes = bytes_of(moved, storages_);
    l.grain = 1;
    const double product = static_cast<double>(points * channels_ * outputs_);
    const double all = tile_cost(a_, static_cast<double>(channels_), static_cast<double>(outputs_));
    const double direct = static_cast<double>(9 * a_.m * a_.m * channels_ * outputs_);
    l.kernel.notes.why =
        fmt::format("{:.2f} of the direct sum's operations, transforms included; weights x{:.1f}, within the budget",
                    all / direct, static_cast<double>(points) / 9);
    const double loads =
        static_cast<double>(vectors_) + static_cast<double>(rows_) / static_cast<double>(by_lane_ ? lanes_ : 1);
    l.kernel.notes.issue = issue_share(facts_, rows_, vectors_, loads, product / all);
    l.kernel.schedule =
        fmt::format("winograd F({0}x{0},3x3), blocks of {1} tiles, C {2}, K {3}", a_.m, block_, channels_, outputs_);
    return l;
  }

  const k::Stage& reduce_;
  const k::Stage* epilogue_;
  const Form form_;
  const Algorithm& a_;
  const int64_t t_, channels_, outputs_;
  k::Program& p_;
  Storages& storages_;
  const TargetFacts& facts_;
  const int result_;
  Expr flat_epilogue_;
  bool by_lane_ = false;  // V is read in vectors, whose lanes are the factors
  int64_t lanes_ = 1, rows_ = 14, vectors_ = 2, panel_ = kPanel, block_ = 0;
  int64_t parts_ = 1;  // of the outputs K
  Dim tiles_y_, tiles_x_, tiles_, blocks_, slots_;
  int64_t v_stride_ = 0, m_stride_ = 0;  // from one of the t*t products to the next
  int u_ = -1, v_ = -1, m_ = -1;
  KernelBuilder* b_ = nullptr;
};

}  // namespace

std::vector<WinogradChoice> winograd_choices(const k::Stage& reduce, const k::Program& p, const Storages& storages,
                                             const TargetFacts& facts) {
  if (facts.device != TargetFacts::Device::Cpu || facts.vector_bytes < 16) return {};
  auto form = find_form(reduce, p, storages);
  if (!form || form->channels < kLeastChannels || form->outputs < kLeastChannels) return {};
  const int64_t lanes = facts.vector_bytes / 4;
  if (form->channels % lanes != 0 || form->outputs % lanes != 0) return {};
  auto side = [&](size_t k) { return reduce.iters[k].extent.constant().value_or(kGuessedPixels); };
  const double c = static_cast<double>(form->channels), k = static_cast<double>(form->outputs);
  const double direct = 9 * c * k * static_cast<double>(side(2) * side(3));
  std::vector<WinogradChoice> choices;
  for (const Algorithm* a : {&f4(), &f2()}) {
    if (std::min(side(2), side(3)) < (a->m == 4 ? kLeastSideF4 : kLeastSideF2)) continue;
    const int64_t t = a->m + 2;
    auto tiles = [&](int64_t extent) { return (extent + a->m - 1) / a->m; };
    const double cost = tile_cost(*a, c, k) * static_cast<double>(tiles(side(2)) * tiles(side(3)));
    if (direct < kLeastGain * cost) continue;
    choices.push_back({a->m, direct - cost, (t * t - 9) * form->channels * form->outputs * 4});
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const WinogradChoice& x, const WinogradChoice& y) { return x.saved > y.saved; });
  return choices;
}

std::string why_not_winograd(const k::Stage& reduce, const k::Program& p, const Storages& storages,
                             const TargetFacts& facts) {
  if (reduce.iters.size() != 4 || reduce.reds.size() != 3) return "";
  if (!reduce.reds[1].extent.is(3) || !reduce.reds[2].extent.is(3)) return "";
  if (reduce.body[0].type() != DType::F32) return "not winograd: not in f32";
  auto form = find_form(reduce, p, storages);
  if (!form) {
    std::string steps;
    visit(reduce.body[0], [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read || n.args.size() < 4 || !steps.empty()) return;
      auto d = as_dim(n.args[2]);
      auto in_row = d ? affine_in(*d, reduce.iters[2].symbol) : std::nullopt;
      auto in_tap = d ? affine_in(*d, reduce.reds[1].symbol) : std::nullopt;
      if (in_row && in_row->coefficient.is_constant() && in_row->coefficient.value() > 1)
        steps = "stride " + in_row->coefficient.str();
      else if (in_tap && in_tap->coefficient.is_constant() && in_tap->coefficient.value() > 1)
        steps = "dilation " + in_tap->coefficient.str();
    });
    return "not winograd: " + (steps.empty() ? "groups, or operands of another form" : steps);
  }
  if (form->channels < kLeastChannels || form->outputs < kLeastChannels)
    return fmt::format("not winograd: {} channels and {} outputs, {} are worth it", form->channels, form->outputs,
                       kLeastChannels);
  const bool fits = facts.device == TargetFacts::Device::Cpu && facts.vector_bytes >= 16 &&
                    form->channels % (facts.vector_bytes / 4) == 0 && form->outputs % (facts.vector_bytes / 4) == 0;
  if (!fits) return "not winograd: channels are no whole vectors";
  if (winograd_choices(reduce, p, storages, facts).empty()) return "not winograd: it would not save a fifth";
  return "not winograd: its weights are beyond the budget";
}

Result<std::optional<std::vector<Launch>>> schedule_winograd(const k::Stage& reduce, const k::Stage* epilogue,
                                                             int64_t m, k::Program& p, Storages& s,
                                                             const TargetFacts& f) {
  auto form = find_form(reduce, p, s);
  if (!form) return std::optional<std::vector<Launch>>{};
  return Winograd(reduce, epilogue, std::move(*form), m == 4 ? f4() : f2(), p, s, f).run();
}

}  // namespace ingot
