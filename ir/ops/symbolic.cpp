#include "ir/ops/symbolic.h"

#include <cmath>

namespace ingot {

namespace {

constexpr int64_t kMaxSteps = 1 << 16;        // scalar operations and elements per query
constexpr int64_t kMaxDenominator = 1 << 20;  // of the rationals that stand for floats
constexpr int kMaxDepth = 256;                // nesting of expressions and of stages

// An integer or bool (den == 1) or a float num / den.
struct Sym {
  Dim num;
  int64_t den = 1;
};
using MaybeSym = std::optional<Sym>;

MaybeSym from_double(double v) {
  int64_t den = 1;
  while (den <= kMaxDenominator) {
    const double scaled = v * static_cast<double>(den);
    if (!(std::fabs(scaled) < 9e15)) return {};
    if (scaled == std::floor(scaled)) return Sym{Dim(static_cast<int64_t>(scaled)), den};
    den *= 2;
  }
  return {};
}

MaybeSym rational(const Dim& num, int64_t den) {
  if (den < 0) return rational(-num, -den);
  if (den == 0 || den > kMaxDenominator) return {};
  if (den > 1 && known_divisible(num, Dim(den))) return Sym{floordiv(num, Dim(den)), 1};
  return Sym{num, den};
}

bool nonnegative(const Dim& d) { return d.lower() >= 0; }

// Truncating division as the scalar op `div` does it.
std::optional<Dim> truncating_div(const Dim& a, const Dim& b) {
  if (b.is(0)) return Dim(0);
  if (a.is_constant() && b.is_constant()) return Dim(a.value() / b.value());
  if (a == b && b.lower() > 0) return Dim(1);
  if (nonnegative(b) && (nonnegative(a) || known_divisible(a, b))) return floordiv(a, b);
  return {};
}

Dim less_of(const Dim& a, const Dim& b) {
  if (known_less(a, b)) return 1;
  if (known_less_equal(b, a)) return 0;
  return less(a, b);
}
Dim equal_of(const Dim& a, const Dim& b) {
  if (a == b || known_equal(a, b)) return 1;
  if (known_less(a, b) || known_less(b, a)) return 0;
  return equal(a, b);
}

bool plain(DType t) {
  return is_int(t) || t == DType::Bool || t == DType::F32 || t == DType::F64 || t == DType::F16 || t == DType::BF16;
}

class Evaluator {
 public:
  Evaluator(const k::Program& program, const k::Block& block, const KnownElements& known)
      : program_(program), known_(known) {
    for (const k::Stage& s : block.stages)
      for (size_t i = 0; i < s.results.size(); ++i) defined_[s.results[i]] = {&s, i};
  }

  MaybeSym element(int id, int64_t flat) {
    if (--steps_ < 0 || id < 0 || id >= static_cast<int>(program_.values.size())) return {};
    const k::Value& v = program_.values[static_cast<size_t>(id)];
    if (!v.type.is_tensor() || !plain(v.tensor().dtype)) return {};
    if (auto k = known_.find(id); k != known_.end()) {
      if (flat < 0 || flat >= static_cast<int64_t>(k->second.size())) return {};
      return Sym{k->second[static_cast<size_t>(flat)], 1};
    }
    if (v.constant) {
      if (flat < 0 || flat >= v.constant->elements()) return {};
      if (is_float(v.constant->dtype)) return from_double(v.constant->number(flat));
      return Sym{Dim(v.constant->integer(flat)), 1};
    }
    auto d = defined_.find(id);
    if (d == defined_.end() || depth_ >= kMaxDepth) return {};
    const auto [stage, which] = d->second;
    if (auto m = memo_.find({id, flat}); m != memo_.end()) return m->second;
    ++depth_;
    MaybeSym r;
    switch (stage->kind) {
      case k::StageKind::Map:
      case k::StageKind::Reduce: r = at(*stage, which, flat); break;
      case k::StageKind::Scan: r = scan(*stage, flat); break;
      case k::StageKind::Scatter: r = scatter(*stage, flat); break;
      case k::StageKind::Walk:
      case k::StageKind::Call:
      case k::StageKind::Read:
      case k::StageKind::Check:
      case k::StageKind::If:
      case k::StageKind::Loop: break;
    }
    --depth_;
    memo_[{id, flat}] = r;
    return r;
  }

 private:
  using Memo = std::map<const ExprNode*, MaybeSym>;

  static bool bind(const std::vector<k::Iter>& iters, int64_t flat, Substitution& at) {
    for (size_t i = iters.size(); i-- > 0;) {
      const auto n = iters[i].extent.constant();
      if (!n || *n <= 0) return false;
      at[iters[i].symbol->id] = Dim(flat % *n);
      flat /= *n;
    }
    return flat == 0;
  }
  static std::optional<int64_t> count(const std::vector<k::Iter>& iters) {
    int64_t n = 1;
    for (const k::Iter& i : iters) {
      const auto e = i.extent.constant();
      if (!e || *e < 0 || (*e > 0 && n > kMaxSteps / *e)) return {};
      n *= *e;
    }
    return n;
  }

  MaybeSym at(const k::Stage& s, size_t which, int64_t flat) {
    Substitution where;
    if (!bind(s.iters, flat, where)) return {};
    if (s.kind == k::StageKind::Map) {
      Memo memo;
      return eval(s.body[which], where, memo);
    }
    const auto n = count(s.reds);
    if (!n || s.results.size() != 1) return {};
    std::optional<Sym> acc;
    for (int64_t i = 0; i < *n; ++i) {
      Substitution inner = where;
      if (!bind(s.reds, i, inner)) return {};
      Memo memo;
      MaybeSym v = eval(s.body[0], inner, memo);
      if (!v) return {};
      acc = acc ? combine(s.combiner, s.body[0].type(), *acc, *v) : v;
      if (!acc) return {};
    }
    if (acc) return acc;
    return identity(s.combiner);
  }

  static MaybeSym identity(k::Combiner c) {
    if (c == k::Combiner::Sum || c == k::Combiner::Or) return Sym{Dim(0), 1};
    if (c == k::Combiner::Prod) return Sym{Dim(1), 1};
    return {};
  }

  MaybeSym combine(k::Combiner c, DType t, const Sym& a, const Sym& b) {
    switch (c) {
      case k::Combiner::Sum: return arith(ScalarOp::Add, t, a, b);
      case k::Combiner::Prod: return arith(ScalarOp::Mul, t, a, b);
      case k::Combiner::Max: return arith(ScalarOp::Max, t, a, b);
      case k::Combiner::Min: return arith(ScalarOp::Min, t, a, b);
      case k::Combiner::And: return arith(ScalarOp::And, t, a, b);
      case k::Combiner::Or: return arith(ScalarOp::Or, t, a, b);
      case k::Combiner::Assign: return b;
      case k::Combiner::ArgMaxFirst:
      case k::Combiner::ArgMaxLast:
      case k::Combiner::ArgMinFirst:
      case k::Combiner::ArgMinLast: return {};
    }
    return {};
  }

  MaybeSym scan(const k::Stage& s, int64_t flat) {
    Substitution where;
    if (!bind(s.iters, flat, where)) return {};
    const k::Iter& axis = s.iters[static_cast<size_t>(s.axis)];
    const int64_t n = axis.extent.value(), here = where[axis.symbol->id].value();
    std::optional<Sym> acc;
    const int64_t begin = s.reverse ? n - 1 : 0, step = s.reverse ? -1 : 1;
    for (int64_t j = begin; j >= 0 && j < n; j += step) {
      if (s.exclusive && j == here) break;
      where[axis.symbol->id] = Dim(j);
      Memo memo;
      MaybeSym v = eval(s.body[0], where, memo);
      if (!v) return {};
      acc = acc ? combine(s.combiner, s.body[0].type(), *acc, *v) : v;
      if (!acc) return {};
      if (j == here) break;
    }
    return acc ? acc : identity(s.combiner);
  }

  MaybeSym scatter(const k::Stage& s, int64_t flat) {
    const auto n = count(s.iters);
    if (!n || s.operands.empty()) return {};
    const TensorType& type = program_.values[static_cast<size_t>(s.results[0])].tensor();
    if (!type.is_static()) return {};
    MaybeSym acc = element(s.operands[0], flat);
    for (int64_t i = 0; i < *n; ++i) {
      Substitution where;
      if (!bind(s.iters, i, where)) return {};
      Memo memo;
      int64_t target = 0;
      bool outside = false;
      for (size_t d = 0; d < s.targets.size(); ++d) {
        MaybeSym t = eval(s.targets[d], where, memo);
        if (!t || !t->num.is_constant()) return {};
        const int64_t index = t->num.value(), extent = type.dims[d].value();
        outside |= index < 0 || index >= extent;
        target = target * extent + index;
      }
      if (outside && !s.skip_outside) return {};
      if (outside || target != flat) continue;
      MaybeSym v = eval(s.body[0], where, memo);
      if (!v || (s.combiner != k::Combiner::Assign && !acc)) {
        acc.reset();
        if (s.combiner != k::Combiner::Assign) return {};
        continue;
      }
      acc = s.combiner == k::Combiner::Assign ? v : combine(s.combiner, s.body[0].type(), *acc, *v);
    }
    return acc;
  }

  MaybeSym eval(const Expr& e, const Substitution& where, Memo& memo) {
    if (--steps_ < 0 || depth_ >= kMaxDepth || !plain(e.type())) return {};
    if (auto m = memo.find(e.get()); m != memo.end()) return m->second;
    ++depth_;
    MaybeSym r = eval_node(e, where, memo);
    --depth_;
    memo[e.get()] = r;
    return r;
  }

  MaybeSym eval_node(const Expr& e, const Substitution& where, Memo& memo) {
    switch (e->op) {
      case ScalarOp::Const:
        if (is_float(e->type)) return from_double(e->number);
        return Sym{Dim(e->integer), 1};
      case ScalarOp::Index: return Sym{substitute(e->dim, where), 1};
      case ScalarOp::Read: return eval_read(e, where, memo);
      case ScalarOp::Select: {
        MaybeSym c = eval(e->args[0], where, memo);
        if (!c) return {};
        if (auto known = c->num.constant()) return eval(e->args[*known ? 1 : 2], where, memo);
        MaybeSym a = eval(e->args[1], where, memo), b = eval(e->args[2], where, memo);
        if (!a || !b || a->den != b->den) return {};
        return Sym{a->num == b->num ? a->num : select(c->num, a->num, b->num), a->den};
      }
      default: break;
    }
    std::vector<Sym> args;
    for (const Expr& a : e->args) {
      MaybeSym v = eval(a, where, memo);
      if (!v) return {};
      args.push_back(std::move(*v));
    }
    if (args.size() == 1) return unary(*e, args[0]);
    if (args.size() == 2) return arith(e->op, e->args[0].type(), args[0], args[1]);
    if (e->op == ScalarOp::Fma) {
      MaybeSym p = arith(ScalarOp::Mul, e->type, args[0], args[1]);
      return p ? arith(ScalarOp::Add, e->type, *p, args[2]) : p;
    }
    return {};
  }

  MaybeSym eval_read(const Expr& e, const Substitution& where, Memo& memo) {
    if (e->id < 0 || e->id >= static_cast<int64_t>(program_.values.size())) return {};
    const k::Value& v = program_.values[static_cast<size_t>(e->id)];
    if (!v.type.is_tensor()) return {};
    int64_t flat = 0;
    for (int d = 0; d < v.tensor().rank(); ++d) {
      MaybeSym i = eval(e->args[static_cast<size_t>(d)], where, memo);
      const Dim& extent = v.tensor().dims[static_cast<size_t>(d)];
      if (!i || !i->num.is_constant() || !extent.is_constant()) return {};
      const int64_t index = i->num.value();
      if (index < 0 || index >= extent.value()) {
        if (!e->checked) return {};
        return eval(e->args.back(), where, memo);
      }
      flat = flat * extent.value() + index;
    }
    return element(static_cast<int>(e->id), flat);
  }

  MaybeSym unary(const ExprNode& e, const Sym& a) {
    const DType from = e.args[0].type();
    switch (e.op) {
      case ScalarOp::Cast:
        if (e.type == DType::Bool) return Sym{from == DType::Bool ? a.num : 1 - equal_of(a.num, 0), 1};
        if (is_float(e.type)) return a;
        if (is_float(from)) {
          const auto q = truncating_div(a.num, Dim(a.den));
          return q ? MaybeSym(Sym{*q, 1}) : MaybeSym();
        }
        if (auto c = a.num.constant(); c && bits(e.type) < 64 && e.type != from) {
          const int64_t range = int64_t{1} << bits(e.type);
          int64_t v = ((*c % range) + range) % range;
          if (is_signed(e.type) && v >= range / 2) v -= range;
          return Sym{Dim(v), 1};
        }
        return a;
      case ScalarOp::Neg: return Sym{-a.num, a.den};
      case ScalarOp::Abs: return Sym{abs(a.num), a.den};
      case ScalarOp::Sign: return Sym{less_of(0, a.num) - less_of(a.num, 0), 1};
      case ScalarOp::Not: return e.type == DType::Bool ? Sym{1 - a.num, 1} : Sym{-a.num - 1, 1};
      case ScalarOp::Floor: return Sym{floordiv(a.num, Dim(a.den)), 1};
      case ScalarOp::Ceil: return Sym{-floordiv(-a.num, Dim(a.den)), 1};
      case ScalarOp::Trunc: {
        const auto q = truncating_div(a.num, Dim(a.den));
        return q ? MaybeSym(Sym{*q, 1}) : MaybeSym();
      }
      case ScalarOp::RoundEven:
        if (a.den == 1) return a;
        return {};
      case ScalarOp::IsNaN:
      case ScalarOp::IsInf: return Sym{Dim(0), 1};
      default: return {};
    }
  }

  MaybeSym arith(ScalarOp op, DType t, const Sym& a, const Sym& b) {
    const bool f = is_float(t);
    if (f && a.den > kMaxDenominator / b.den && op != ScalarOp::Div) return {};
    // Over a common denominator, for what compares or adds.
    const int64_t den = a.den * b.den;
    const Dim x = b.den == 1 ? a.num : a.num * Dim(b.den), y = a.den == 1 ? b.num : b.num * Dim(a.den);
    const bool constants = a.num.is_constant() && b.num.is_constant();
    switch (op) {
      case ScalarOp::Add: return rational(x + y, den);
      case ScalarOp::Sub: return rational(x - y, den);
      case ScalarOp::Mul: return rational(a.num * b.num, den);
      case ScalarOp::Min: return rational(min(x, y), den);
      case ScalarOp::Max: return rational(max(x, y), den);
      case ScalarOp::Eq: return Sym{equal_of(x, y), 1};
      case ScalarOp::Ne: return Sym{1 - equal_of(x, y), 1};
      case ScalarOp::Lt: return Sym{less_of(x, y), 1};
      case ScalarOp::Gt: return Sym{less_of(y, x), 1};
      case ScalarOp::Le: return Sym{1 - less_of(y, x), 1};
      case ScalarOp::Ge: return Sym{1 - less_of(x, y), 1};
      case ScalarOp::Div: {
        if (!f) {
          const auto q = truncating_div(a.num, b.num);
          return q ? MaybeSym(Sym{*q, 1}) : MaybeSym();
        }
        const Dim num = a.num * Dim(b.den), divisor = b.num * Dim(a.den);
        if (auto c = divisor.constant()) return *c == 0 ? MaybeSym() : rational(num, *c);
        if (divisor.lower() > 0 && known_divisible(num, divisor)) return Sym{floordiv(num, divisor), 1};
        return {};
      }
      case ScalarOp::Rem:
      case ScalarOp::FloorMod:
        if (f) return {};
        if (b.num.is(0)) return Sym{Dim(0), 1};
        if (constants) {
          const int64_t n = a.num.value(), d = b.num.value();
          int64_t r = n % d;
          if (op == ScalarOp::FloorMod && r != 0 && (r < 0) != (d < 0)) r += d;
          return Sym{Dim(r), 1};
        }
        if (b.num.lower() > 0 && (op == ScalarOp::FloorMod || nonnegative(a.num))) return Sym{mod(a.num, b.num), 1};
        return {};
      case ScalarOp::Pow:
        if (a.den == 1 && b.den == 1 && b.num.is(0)) return Sym{Dim(1), 1};
        if (b.den == 1 && b.num.is(1)) return a;
        if (b.den == 1 && b.num.is(2)) return arith(ScalarOp::Mul, t, a, a);
        return {};
      case ScalarOp::And:
        if (t == DType::Bool) return Sym{a.num * b.num, 1};
        return constants ? MaybeSym(Sym{Dim(a.num.value() & b.num.value()), 1}) : MaybeSym();
      case ScalarOp::Or:
        if (t == DType::Bool) return Sym{max(a.num, b.num), 1};
        return constants ? MaybeSym(Sym{Dim(a.num.value() | b.num.value()), 1}) : MaybeSym();
      case ScalarOp::Xor:
        if (t == DType::Bool) return Sym{1 - equal_of(a.num, b.num), 1};
        return constants ? MaybeSym(Sym{Dim(a.num.value() ^ b.num.value()), 1}) : MaybeSym();
      default: return {};
    }
  }

  const k::Program& program_;
  const KnownElements& known_;
  std::map<int, std::pair<const k::Stage*, size_t>> defined_;
  std::map<std::pair<int, int64_t>, MaybeSym> memo_;
  int64_t steps_ = kMaxSteps;
  int depth_ = 0;
};

}  // namespace

std::optional<std::vector<Dim>> symbolic_elements(const k::Program& program, const k::Block& block, int value,
                                                  const KnownElements& known) {
  if (value < 0 || value >= static_cast<int>(program.values.size())) return {};
  const k::Value& v = program.values[static_cast<size_t>(value)];
  if (!v.type.is_tensor() || (!is_int(v.tensor().dtype) && v.tensor().dtype != DType::Bool) || !v.tensor().is_static())
    return {};
  const int64_t n = v.tensor().elements();
  if (n > kMaxSymbolicElements) return {};
  Evaluator evaluator(program, block, known);
  std::vector<Dim> out;
  for (int64_t i = 0; i < n; ++i) {
    MaybeSym s = evaluator.element(value, i);
    if (!s || s->den != 1) return {};
    out.push_back(s->num);
  }
  return out;
}

}  // namespace ingot
