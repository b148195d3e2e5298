// clamp(i32(clamp(round(v), -1e9, 1e9)) + z, 0, 255)  ->  i32(round(clamp(v, 0 - z, 255 - z))) + z
// (max(i*s[n] + b[n], 0)) / t                         ->  max(i*(s/t)[n] + (b/t)[n], 0)          i an integer of a sum, t > 0
//
// What QuantizeLinear says is written for every zero point and every float. With constants known, half of it is
// superfluous: in a quantised network these few operations follow every sum, and take as long as a sum of 64 products.
//
// The first rule gives the same numbers for every v: rounding is monotonic and leaves the bounds, which are integers,
// where they are; NaN gives z on both sides. The second rounds at other places, as a sum that is computed in another order
// does, and is therefore only for what follows such a sum (see sum_integers.cpp): a quantisation of other values keeps its
// true division. Casts there and back between i32 and bytes go where the range shows that they change nothing.
#include <algorithm>
#include <cmath>
#include <set>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int kMaxDepth = 40;  // of a dividend that constants are moved into

struct Range {
  int64_t low, high;
};

// Of an i32 expression or a byte, where it provably does not wrap.
Range range_of(const Expr& e, int depth = 0) {
  const int width = std::clamp(bits(e.type()), 8, 64);
  Range all = is_signed(e.type()) ? Range{INT64_MIN >> (64 - width), INT64_MAX >> (64 - width)}
                                  : Range{0, width < 64 ? (int64_t{1} << width) - 1 : INT64_MAX};
  if (depth > kMaxDepth) return all;
  auto arg = [&](size_t k) { return range_of(e->args[k], depth + 1); };
  auto within = [&](Range r) { return r.low >= all.low && r.high <= all.high ? r : all; };
  switch (e->op) {
    case ScalarOp::Const: return {e->integer, e->integer};
    case ScalarOp::Cast: {
      const Expr& x = e->args[0];
      if (is_int(x.type()) && bits(x.type()) <= 32) return within(arg(0));
      if (x.type() != DType::F32) return all;
      // Of a clamped float; NaN gives 0.
      Expr f = x.is(ScalarOp::RoundEven) ? x->args[0] : x;
      Range r = all;
      for (int k = 0; k < 2 && (f.is(ScalarOp::Min) || f.is(ScalarOp::Max)) && f->args[1].is(ScalarOp::Const); ++k) {
        const double bound = f->args[1]->number;
        if (!(std::fabs(bound) < 1e9) || bound != std::trunc(bound)) break;
        if (f.is(ScalarOp::Min)) r.high = std::min(r.high, static_cast<int64_t>(bound));
        if (f.is(ScalarOp::Max)) r.low = std::max(r.low, static_cast<int64_t>(bound));
        f = f->args[0];
      }
      return r.low <= r.high ? Range{std::min<int64_t>(r.low, 0), std::max<int64_t>(r.high, 0)} : all;
    }
    case ScalarOp::Add: {
      Range a = arg(0), b = arg(1);
      return bits(e.type()) <= 32 ? within({a.low + b.low, a.high + b.high}) : all;
    }
    case ScalarOp::Sub: {
      Range a = arg(0), b = arg(1);
      return bits(e.type()) <= 32 ? within({a.low - b.high, a.high - b.low}) : all;
    }
    case ScalarOp::Min: {
      Range a = arg(0), b = arg(1);
      return {std::min(a.low, b.low), std::min(a.high, b.high)};
    }
    case ScalarOp::Max: {
      Range a = arg(0), b = arg(1);
      return {std::max(a.low, b.low), std::max(a.high, b.high)};
    }
    default: return all;
  }
}

// x in clamp(x, low, high) = min(max(x, low), high) with constant bounds.
struct Clamped {
  Expr x, low, high;
};
std::optional<Clamped> clamped(const Expr& e) {
  if (!e.is(ScalarOp::Min) || !e->args[1].is(ScalarOp::Const)) return std::nullopt;
  const Expr& inner = e->args[0];
  if (!inner.is(ScalarOp::Max) || !inner->args[1].is(ScalarOp::Const)) return std::nullopt;
  return Clamped{inner->args[0], inner->args[1], e->args[1]};
}

class Rounding {
 public:
  explicit Rounding(k::Program& p) : p_(p) {}

  void block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) block(inner);
      if (s.kind != k::StageKind::Map && s.kind != k::StageKind::Reduce) continue;
      indices_.clear();
      for (const Expr& e : s.body) visit(e, [&](const ExprNode& n) { note_indices(n); });
      for (Expr& e : s.body) {
        e = rewrite(e, [&](const ExprNode& n) { return simplified(n); });
      }
    }
  }

 private:
  const TensorRef& constant(const Expr& read) const { return p_.values[static_cast<size_t>(read->id)].constant; }
  bool is_constant_read(const Expr& e) const { return e.is(ScalarOp::Read) && !e->checked && constant(e); }

  // An index that is data is compared with its extent when the model runs; as a number it would be trusted like those that
  // definitions compute. What an index reads is left alone.
  void note_indices(const ExprNode& n) {
    if (n.op != ScalarOp::Read) return;
    const size_t indices = n.args.size() - (n.checked ? 1 : 0);  // the fill is none
    for (size_t k = 0; k < indices; ++k)
      visit(n.args[k], [&](const ExprNode& inner) {
        if (inner.op == ScalarOp::Read) indices_.insert(inner.id);
      });
  }

  Expr simplified(const ExprNode& n) {
    Expr e = ex::make(n);
    switch (n.op) {
      case ScalarOp::Read:
        if (n.checked || !constant(e) || constant(e)->elements() != 1 || indices_.count(n.id)) return {};
        if (is_float(n.type)) return ex::number(n.type, constant(e)->number(0));
        return is_int(n.type) ? ex::integer(n.type, constant(e)->integer(0)) : Expr();
      case ScalarOp::Cast: return same_after_casts(n);
      case ScalarOp::Add:
      case ScalarOp::Sub: return sum_of_constants(n);
      case ScalarOp::Min:
      case ScalarOp::Max: {
        if (!is_int(n.type) || bits(n.type) > 32) return {};
        if (Expr r = rounded_to_range(e)) return r;
        Range a = range_of(n.args[0]), b = range_of(n.args[1]);
        if (n.op == ScalarOp::Min ? a.high <= b.low : a.low >= b.high) return n.args[0];
        if (n.op == ScalarOp::Min ? b.high <= a.low : b.low >= a.high) return n.args[1];
        return {};
      }
      case ScalarOp::Div: return scaled_sum(n);
      default: return {};
    }
  }

  // i32(u8(x)), x an i32 in 0..255  ->  x
  Expr same_after_casts(const ExprNode& n) {
    const Expr& inner = n.args[0];
    if (!inner.is(ScalarOp::Cast) || !is_int(n.type) || !is_int(inner.type()) || inner->args[0].type() != n.type)
      return {};
    Range r = range_of(inner->args[0]), all = range_of(ex::read(-1, inner.type(), {}));
    return r.low >= all.low && r.high <= all.high ? inner->args[0] : Expr();
  }

  // (x + 3) - 3 -> x, and x + a[n] + b[n] -> x + ab[n], in i32
  Expr sum_of_constants(const ExprNode& n) {
    if (n.type != DType::I32) return {};
    const Expr &x = n.args[0], &y = n.args[1];
    if (!x.is(ScalarOp::Add) && !x.is(ScalarOp::Sub)) return {};
    auto sign = [](const ExprNode& s) { return s.op == ScalarOp::Add ? 1 : -1; };
    const Expr& c = x->args[1];
    if (y.is(ScalarOp::Const) && c.is(ScalarOp::Const)) {
      return x->args[0] + ex::integer(DType::I32, sign(n) * y->integer + sign(*x) * c->integer);
    }
    if (!is_constant_read(y) || !is_constant_read(c) || constant(y)->dims != constant(c)->dims) return {};
    for (size_t k = 0; k < y->args.size(); ++k) {
      if (!equal(y->args[k], c->args[k])) return {};
    }
    auto both = TensorData::make(DType::I32, constant(y)->dims);
    for (int64_t k = 0; k < both->elements(); ++k) {
      const int64_t v = sign(n) * constant(y)->integer(k) + sign(*x) * constant(c)->integer(k);
      both->mutable_as<int32_t>()[k] = static_cast<int32_t>(static_cast<uint32_t>(v));
    }
    return x->args[0] + with_contents(*y, both);
  }

  Expr with_contents(const ExprNode& read, TensorRef t) {
    k::Value v = p_.values[static_cast<size_t>(read.id)];
    v.constant = std::move(t);
    ExprNode n = read;
    n.id = p_.add(std::move(v));
    return ex::make(std::move(n));
  }

  // The first rule.
  Expr rounded_to_range(const Expr& e) {
    auto outer = clamped(e);
    if (!outer || e.type() != DType::I32) return {};
    Expr x = outer->x;
    int64_t z = 0;
    if (x.is(ScalarOp::Add) && x->args[1].is(ScalarOp::Const)) z = x->args[1]->integer, x = x->args[0];
    if (!x.is(ScalarOp::Cast) || x->args[0].type() != DType::F32) return {};
    auto inner = clamped(x->args[0]);
    if (!inner || !inner->x.is(ScalarOp::RoundEven)) return {};
    const int64_t low = outer->low->integer, high = outer->high->integer;
    if (z < low || z > high || std::abs(low) > 65536 || std::abs(high) > 65536) return {};
    const double a = static_cast<double>(low - z), b = static_cast<double>(high - z);
    if (inner->low->number > a || inner->high->number < b || std::fabs(inner->low->number) > 1e9 ||
        std::fabs(inner->high->number) > 1e9)
      return {};
    Expr v = within(inner->x->args[0], a, b);
    return ex::cast(ex::unary(ScalarOp::RoundEven, v), DType::I32) + ex::integer(DType::I32, z);
  }

  // clamp(v, a, b), where v may be bounded already.
  static Expr within(Expr v, double a, double b) {
    if (v.is(ScalarOp::Max) && v->args[1].is(ScalarOp::Const) && v->args[1]->number <= b) {
      a = std::max(a, v->args[1]->number);
      if (a == std::trunc(a)) return within(v->args[0], a, b);
      a = std::ceil(a);
    }
    return min(max(std::move(v), a), b);
  }

  // The second rule.
  Expr scaled_sum(const ExprNode& n) {
    if (n.type != DType::F32 || !n.args[1].is(ScalarOp::Const)) return {};
    const double t = n.args[1]->number;
    if (!(t > 0) || !std::isfinite(t) || !std::isfinite(static_cast<float>(1 / t))) return {};
    if (!is_scaled_sum(n.args[0], 0) || !reads_sum(n.args[0])) return {};
    return divided(n.args[0], t);
  }

  bool reads_sum(const Expr& e) const {
    bool found = false;
    visit(e, [&](const ExprNode& n) {
      found |= n.op == ScalarOp::Read && n.type == DType::I32 && !p_.values[static_cast<size_t>(n.id)].constant;
    });
    return found;
  }

  // Integers times constants, sums of such, with bounds.
  bool is_scaled_sum(const Expr& e, int depth) const {
    if (depth > kMaxDepth) return false;
    switch (e->op) {
      case ScalarOp::Max:
      case ScalarOp::Min: return e->args[1].is(ScalarOp::Const) && is_scaled_sum(e->args[0], depth + 1);
      case ScalarOp::Add: {
        const Expr &x = e->args[0], &y = e->args[1];
        auto fine = [&](const Expr& a) { return is_constant(a) || is_scaled_sum(a, depth + 1); };
        return fine(x) && fine(y) && !(is_constant(x) && is_constant(y));
      }
      case ScalarOp::Mul:
        return e->args[0].is(ScalarOp::Cast) && is_int(e->args[0]->args[0].type()) && is_constant(e->args[1]);
      default: return false;
    }
  }
  bool is_constant(const Expr& e) const {
    return e.is(ScalarOp::Const) || (is_constant_read(e) && e.type() == DType::F32);
  }

  Expr divided(const Expr& e, double t) {
    if (e.is(ScalarOp::Const)) return ex::number(DType::F32, e->number / t);
    if (e.is(ScalarOp::Read)) {
      auto& known = divided_[{e->id, t}];
      if (!known) {
        auto parts = TensorData::make(DType::F32, constant(e)->dims);
        for (int64_t k = 0; k < parts->elements(); ++k)
          parts->mutable_as<float>()[k] = static_cast<float>(constant(e)->number(k) / t);
        known = with_contents(*e, parts);
      }
      ExprNode n = *e;
      n.id = known->id;
      return ex::make(std::move(n));
    }
    if (e.is(ScalarOp::Mul)) return e->args[0] * divided(e->args[1], t);
    return ex::binary(e->op, divided(e->args[0], t), divided(e->args[1], t));
  }

  k::Program& p_;
  std::set<int64_t> indices_;  // values that indices of this stage read
  std::map<std::pair<int64_t, double>, Expr> divided_;  // (constant, divisor) -> a read of the quotient
};

}  // namespace

Result<void> simplify_rounding(k::Program& p) {
  Rounding(p).block(p.body);
  return {};
}

}  // namespace ingot
