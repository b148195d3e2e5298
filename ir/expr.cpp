// Builders, traversal and comparison of scalar expressions. Printing: ir/expr_text.cpp. See ir/expr.h.
//
// Folding keeps the value of every operand, NaN and -0 included: x + 0 is x for integers only, x*1 for floats too.
#include "ir/expr.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "ir/numeric.h"

namespace ingot {

namespace {
struct OpInfo {
  std::string_view name;
  int arity;
};
constexpr OpInfo kOps[] = {
#define X(name, text, arity) {text, arity},
    INGOT_SCALAR_OPS(X)
#undef X
};

bool is_comparison(ScalarOp op) {
  return op == ScalarOp::Eq || op == ScalarOp::Ne || op == ScalarOp::Lt || op == ScalarOp::Le || op == ScalarOp::Gt ||
         op == ScalarOp::Ge;
}

bool is_integer_const(const Expr& e, int64_t v) {
  return e.is(ScalarOp::Const) && !is_float(e.type()) && e->integer == v;
}

bool fits_dim(int64_t v) { return v > -kDimMax && v < kDimMax; }

// An i64 leaf as a Dim.
std::optional<Dim> leaf_dim(const Expr& e) {
  if (e.type() != DType::I64 || e.lanes() != 1) return std::nullopt;
  if (e.is(ScalarOp::Index)) return e->dim;
  if (e.is(ScalarOp::Const) && fits_dim(e->integer)) return Dim(e->integer);
  return std::nullopt;
}

std::optional<bool> compare_dims(ScalarOp op, const Dim& a, const Dim& b) {
  auto decide = [](bool yes, bool no) { return yes ? std::optional(true) : no ? std::optional(false) : std::nullopt; };
  switch (op) {
    case ScalarOp::Lt: return decide(known_less(a, b), known_less_equal(b, a));
    case ScalarOp::Le: return decide(known_less_equal(a, b), known_less(b, a));
    case ScalarOp::Gt: return compare_dims(ScalarOp::Lt, b, a);
    case ScalarOp::Ge: return compare_dims(ScalarOp::Le, b, a);
    case ScalarOp::Eq: return decide(a == b, known_less(a, b) || known_less(b, a));
    case ScalarOp::Ne: {
      auto eq = compare_dims(ScalarOp::Eq, a, b);
      return eq ? std::optional(!*eq) : std::nullopt;
    }
    default: return std::nullopt;
  }
}

// op on two Dims, where it is one; with_atoms: also those that stay atoms (min, less, ...).
std::optional<Dim> dim_binary(ScalarOp op, const Dim& a, const Dim& b, bool with_atoms) {
  switch (op) {
    case ScalarOp::Add: return a + b;
    case ScalarOp::Sub: return a - b;
    case ScalarOp::Mul: return a * b;
    case ScalarOp::Div:
    case ScalarOp::Rem:
      if (!known_less(Dim(0), b) || !known_less_equal(Dim(0), a)) return std::nullopt;
      return op == ScalarOp::Div ? floordiv(a, b) : mod(a, b);
    case ScalarOp::FloorMod:
      if (!known_less(Dim(0), b)) return std::nullopt;
      return mod(a, b);
    default: break;
  }
  if (!with_atoms) return std::nullopt;
  switch (op) {
    case ScalarOp::Min: return min(a, b);
    case ScalarOp::Max: return max(a, b);
    case ScalarOp::Lt: return less(a, b);
    case ScalarOp::Le: return Dim(1) - less(b, a);
    case ScalarOp::Gt: return less(b, a);
    case ScalarOp::Ge: return Dim(1) - less(a, b);
    case ScalarOp::Eq: return equal(a, b);
    case ScalarOp::Ne: return Dim(1) - equal(a, b);
    default: return std::nullopt;
  }
}

std::optional<int64_t> fold_integers(ScalarOp op, DType t, int64_t a, int64_t b) {
  auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  bool wide_unsigned = t == DType::U64;
  auto lt = [&](int64_t x, int64_t y) {
    return wide_unsigned ? static_cast<uint64_t>(x) < static_cast<uint64_t>(y) : x < y;
  };
  switch (op) {
    case ScalarOp::Add: return wrap_to(t, static_cast<int64_t>(ua + ub));
    case ScalarOp::Sub: return wrap_to(t, static_cast<int64_t>(ua - ub));
    case ScalarOp::Mul: return wrap_to(t, static_cast<int64_t>(ua * ub));
    case ScalarOp::Div:
      if (b == 0) return 0;
      if (wide_unsigned) return static_cast<int64_t>(ua / ub);
      return b == -1 ? wrap_to(t, static_cast<int64_t>(-ua)) : a / b;
    case ScalarOp::Rem:
      if (b == 0) return 0;
      if (wide_unsigned) return static_cast<int64_t>(ua % ub);
      return b == -1 ? 0 : a % b;
    case ScalarOp::FloorMod: {
      if (b == 0) return 0;
      if (wide_unsigned) return static_cast<int64_t>(ua % ub);
      int64_t r = b == -1 ? 0 : a % b;
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    case ScalarOp::Min: return lt(b, a) ? b : a;
    case ScalarOp::Max: return lt(a, b) ? b : a;
    case ScalarOp::And: return a & b;
    case ScalarOp::Or: return a | b;
    case ScalarOp::Xor: return a ^ b;
    case ScalarOp::Eq: return a == b;
    case ScalarOp::Ne: return a != b;
    case ScalarOp::Lt: return lt(a, b);
    case ScalarOp::Le: return !lt(b, a);
    case ScalarOp::Gt: return lt(b, a);
    case ScalarOp::Ge: return !lt(a, b);
    default: return std::nullopt;
  }
}

// In double: exact for f16, bf16 and f32 (+ - * / round innocuously from a format of twice the width), and native for f64.
std::optional<double> fold_floats(ScalarOp op, double a, double b) {
  switch (op) {
    case ScalarOp::Add: return a + b;
    case ScalarOp::Sub: return a - b;
    case ScalarOp::Mul: return a * b;
    case ScalarOp::Div: return a / b;
    default: return std::nullopt;
  }
}

bool is_number(const Expr& e, double v) {
  return e.is(ScalarOp::Const) && is_float(e.type()) &&
         std::bit_cast<uint64_t>(e->number) == std::bit_cast<uint64_t>(v);
}

Expr fold_neutral(ScalarOp op, const Expr& a, const Expr& b) {
  if (is_float(a.type())) {
    switch (op) {
      case ScalarOp::Add: return is_number(b, -0.0) ? a : is_number(a, -0.0) ? b : Expr();
      case ScalarOp::Sub: return is_number(b, 0.0) ? a : Expr();
      case ScalarOp::Mul: return is_number(b, 1) ? a : is_number(a, 1) ? b : Expr();
      case ScalarOp::Div: return is_number(b, 1) ? a : Expr();
      default: return Expr();
    }
  }
  bool is_bool = a.type() == DType::Bool;
  int64_t ones = is_bool ? 1 : wrap_to(a.type(), -1);
  switch (op) {
    case ScalarOp::Add:
      if (is_bool) return Expr();
      return is_integer_const(b, 0) ? a : is_integer_const(a, 0) ? b : Expr();
    case ScalarOp::Sub:
    case ScalarOp::Shl:
    case ScalarOp::Shr: return is_integer_const(b, 0) ? a : Expr();
    case ScalarOp::Mul:
      if (is_integer_const(a, 0) || is_integer_const(b, 1)) return a;
      return is_integer_const(b, 0) || is_integer_const(a, 1) ? b : Expr();
    case ScalarOp::Div: return is_integer_const(b, 1) ? a : Expr();
    case ScalarOp::And:
      if (is_integer_const(a, 0) || is_integer_const(b, ones)) return a;
      return is_integer_const(b, 0) || is_integer_const(a, ones) ? b : Expr();
    case ScalarOp::Or:
      if (is_integer_const(a, ones) || is_integer_const(b, 0)) return a;
      return is_integer_const(b, ones) || is_integer_const(a, 0) ? b : Expr();
    case ScalarOp::Xor: return is_integer_const(b, 0) ? a : is_integer_const(a, 0) ? b : Expr();
    case ScalarOp::Min:
    case ScalarOp::Max: return a.get() == b.get() ? a : Expr();
    default: return Expr();
  }
}

}  // namespace

std::string_view name(ScalarOp op) { return kOps[static_cast<size_t>(op)].name; }
int arity(ScalarOp op) { return kOps[static_cast<size_t>(op)].arity; }

namespace ex {

Expr number(DType t, double v) {
  if (!is_float(t)) return integer(t, truncate_to(t, v));
  ExprNode n{ScalarOp::Const, t};
  n.number = round_to(t, v);
  return ex::make(std::move(n));
}

Expr integer(DType t, int64_t v) {
  if (is_float(t)) return number(t, static_cast<double>(v));
  ExprNode n{ScalarOp::Const, t};
  n.integer = wrap_to(t, v);
  return ex::make(std::move(n));
}

Expr boolean(bool v) { return integer(DType::Bool, v); }

Expr index(const Dim& d) {
  if (auto c = d.constant(); c && fits_dim(*c)) return integer(DType::I64, *c);
  ExprNode n{ScalarOp::Index, DType::I64};
  n.dim = d;
  return ex::make(std::move(n));
}

Expr read(int64_t value, DType t, std::vector<Expr> indices) {
  ExprNode n{ScalarOp::Read, t};
  n.id = value;
  n.args = std::move(indices);
  return ex::make(std::move(n));
}

Expr read_or(int64_t value, DType t, std::vector<Expr> indices, Expr fill) {
  assert(fill.type() == t);
  ExprNode n{ScalarOp::Read, t};
  n.id = value;
  n.args = std::move(indices);
  n.args.push_back(std::move(fill));
  n.checked = true;
  return ex::make(std::move(n));
}

Expr unary(ScalarOp op, Expr a) {
  assert(arity(op) == 1);
  if (a.is(ScalarOp::Const)) {
    if (op == ScalarOp::Neg && is_float(a.type())) return number(a.type(), -a->number);
    if (op == ScalarOp::Neg) return integer(a.type(), static_cast<int64_t>(-static_cast<uint64_t>(a->integer)));
    if (op == ScalarOp::Not && a.type() == DType::Bool) return boolean(!a->integer);
    if (op == ScalarOp::Not) return integer(a.type(), ~a->integer);
    if (op == ScalarOp::Abs && is_float(a.type())) return number(a.type(), std::fabs(a->number));
  }
  if (auto d = leaf_dim(a)) {
    if (op == ScalarOp::Neg) return index(-*d);
    if (op == ScalarOp::Abs && d->lower() >= 0) return a;
  }
  if (op == ScalarOp::Not && a.is(ScalarOp::Not)) return a->args[0];
  ExprNode n{op, a.type(), a.lanes()};
  if (op == ScalarOp::IsNaN || op == ScalarOp::IsInf) n.type = DType::Bool;
  n.args.push_back(std::move(a));
  return ex::make(std::move(n));
}

Expr binary(ScalarOp op, Expr a, Expr b) {
  assert(arity(op) == 2);
  assert(a.type() == b.type() && a.lanes() == b.lanes());
  DType result = is_comparison(op) ? DType::Bool : a.type();
  if (auto x = leaf_dim(a)) {
    if (auto y = leaf_dim(b)) {
      if (is_comparison(op)) {
        if (auto v = compare_dims(op, *x, *y)) return boolean(*v);
      } else if (auto d = dim_binary(op, *x, *y, false)) {
        return index(*d);
      } else if (op == ScalarOp::Min || op == ScalarOp::Max) {
        return index(op == ScalarOp::Min ? min(*x, *y) : max(*x, *y));
      }
    }
  }
  if (a.is(ScalarOp::Const) && b.is(ScalarOp::Const)) {
    if (is_float(a.type())) {
      if (auto v = fold_floats(op, a->number, b->number)) return number(a.type(), *v);
    } else if (a.type() != DType::Bool || is_comparison(op) || op == ScalarOp::And || op == ScalarOp::Or ||
               op == ScalarOp::Xor) {
      if (auto v = fold_integers(op, a.type(), a->integer, b->integer)) return integer(result, *v);
    }
  }
  if (Expr e = fold_neutral(op, a, b)) return e;
  ExprNode n{op, result, a.lanes()};
  n.args = {std::move(a), std::move(b)};
  return ex::make(std::move(n));
}

Expr select(Expr condition, Expr then, Expr otherwise) {
  assert(condition.type() == DType::Bool && then.type() == otherwise.type());
  if (condition.is(ScalarOp::Const)) return condition->integer ? then : otherwise;
  if (then.get() == otherwise.get()) return then;
  ExprNode n{ScalarOp::Select, then.type(), then.lanes()};
  n.args = {std::move(condition), std::move(then), std::move(otherwise)};
  return ex::make(std::move(n));
}

Expr fma(Expr a, Expr b, Expr c) {
  assert(a.type() == b.type() && b.type() == c.type());
  ExprNode n{ScalarOp::Fma, a.type(), a.lanes()};
  n.args = {std::move(a), std::move(b), std::move(c)};
  return ex::make(std::move(n));
}

Expr cast(Expr a, DType t, bool saturate) {
  DType from = a.type();
  if (from == t) return a;
  bool plain = !is_complex(t) && t != DType::String && !is_complex(from) && from != DType::String;
  if (a.is(ScalarOp::Const) && plain) {
    if (is_float(from) && !is_float(t)) return integer(t, truncate_to(t, a->number));
    if (!is_float(from) && !is_float(t)) return integer(t, a->integer);
    if (is_float(from)) {
      ExprNode n{ScalarOp::Const, t};
      n.number = round_to(t, a->number, saturate);
      return ex::make(std::move(n));
    }
    // Through double only where that is exact, so that it rounds once.
    int64_t v = a->integer;
    bool exact = v >= -(1ll << 53) && v <= (1ll << 53) && !(from == DType::U64 && v < 0);
    if (exact) {
      ExprNode n{ScalarOp::Const, t};
      n.number = round_to(t, static_cast<double>(v), saturate);
      return ex::make(std::move(n));
    }
  }
  ExprNode n{ScalarOp::Cast, t, a.lanes()};
  n.saturate = saturate;
  n.args.push_back(std::move(a));
  return ex::make(std::move(n));
}

Expr bitcast(Expr a, DType t) {
  if (a.type() == t) return a;
  assert(bits(a.type()) == bits(t));
  ExprNode n{ScalarOp::Bitcast, t, a.lanes()};
  n.args.push_back(std::move(a));
  return ex::make(std::move(n));
}

Expr lowest(DType t) {
  if (is_float(t)) return number(t, -std::numeric_limits<double>::infinity());
  return integer(t, is_signed(t) ? INT64_MIN >> (64 - bits(t)) : 0);
}

Expr highest(DType t) {
  if (is_float(t)) return number(t, std::numeric_limits<double>::infinity());
  if (t == DType::Bool) return boolean(true);
  return integer(t, is_signed(t) ? INT64_MAX >> (64 - bits(t)) : -1);
}

}  // namespace ex

namespace {

// `n` made again by its builder, so that it folds.
Expr rebuilt(ExprNode n) {
  if (n.op == ScalarOp::Index && n.type == DType::I64 && n.lanes == 1) return ex::index(n.dim);
  if (n.op == ScalarOp::Cast) return ex::cast(n.args[0], n.type, n.saturate);
  if (n.op == ScalarOp::Select) return ex::select(n.args[0], n.args[1], n.args[2]);
  bool lane_op = n.op == ScalarOp::Splat || n.op == ScalarOp::Lane || n.op == ScalarOp::LaneSum ||
                 n.op == ScalarOp::LaneMax || n.op == ScalarOp::LaneMin || n.op == ScalarOp::LaneProd ||
                 n.op == ScalarOp::Bitcast;
  if (lane_op) return ex::make(std::move(n));
  if (arity(n.op) == 1) return ex::unary(n.op, n.args[0]);
  if (arity(n.op) == 2) return ex::binary(n.op, n.args[0], n.args[1]);
  return ex::make(std::move(n));
}

class Rewriter {
 public:
  explicit Rewriter(const std::function<Expr(const ExprNode&)>& f) : f_(f) {}
  Expr operator()(const Expr& e) {
    if (!e) return e;
    if (auto it = done_.find(e.get()); it != done_.end()) return it->second;
    std::vector<Expr> args;
    bool changed = false;
    for (const Expr& a : e->args) {
      args.push_back((*this)(a));
      changed = changed || args.back().get() != a.get();
    }
    Expr out;
    if (changed) {
      ExprNode n = *e;
      n.args = std::move(args);
      out = f_(n);
      if (!out) out = rebuilt(std::move(n));
    } else {
      out = f_(*e);
      if (!out) out = e;
    }
    return done_[e.get()] = out;
  }

 private:
  const std::function<Expr(const ExprNode&)>& f_;
  std::unordered_map<const ExprNode*, Expr> done_;
};

void visit_once(const Expr& e, const std::function<void(const ExprNode&)>& f,
                std::unordered_set<const ExprNode*>& done) {
  if (!e || !done.insert(e.get()).second) return;
  for (const Expr& a : e->args) visit_once(a, f, done);
  f(*e);
}

bool same_but_arguments(const ExprNode& a, const ExprNode& b) {
  return a.op == b.op && a.type == b.type && a.lanes == b.lanes && a.id == b.id && a.stride == b.stride &&
         a.checked == b.checked && a.saturate == b.saturate && a.integer == b.integer &&
         std::bit_cast<uint64_t>(a.number) == std::bit_cast<uint64_t>(b.number) && a.dim == b.dim;
}

using Pairs = std::set<std::pair<const ExprNode*, const ExprNode*>>;

bool equal_in(const Expr& a, const Expr& b, Pairs& known) {
  if (a.get() == b.get()) return true;
  if (!a || !b) return false;
  if (!same_but_arguments(*a, *b) || a->args.size() != b->args.size()) return false;
  if (a->args.empty()) return true;
  if (!known.insert({a.get(), b.get()}).second) return true;  // equal so far, or the walk ends in false anyway
  for (size_t i = 0; i < a->args.size(); ++i)
    if (!equal_in(a->args[i], b->args[i], known)) return false;
  return true;
}

}  // namespace

Expr rewrite(const Expr& e, const std::function<Expr(const ExprNode&)>& f) { return Rewriter(f)(e); }

void visit(const Expr& e, const std::function<void(const ExprNode&)>& f) {
  std::unordered_set<const ExprNode*> done;
  visit_once(e, f, done);
}

Expr substitute(const Expr& e, const Substitution& with) {
  return rewrite(e, [&](const ExprNode& n) -> Expr {
    bool has_dim =
        n.op == ScalarOp::Index || n.op == ScalarOp::Ramp || n.op == ScalarOp::Load || n.op == ScalarOp::TileLoad;
    if (!has_dim) return Expr();
    Dim d = substitute(n.dim, with);
    if (d == n.dim) return Expr();
    ExprNode changed = n;
    changed.dim = std::move(d);
    return rebuilt(std::move(changed));
  });
}

namespace {

// What a node says itself, and which nodes its arguments are.
size_t shallow_hash(const ExprNode& n) {
  size_t h = static_cast<size_t>(n.op) * 31 + static_cast<size_t>(n.type);
  auto add = [&](size_t v) { h = (h ^ v) * 0x9e3779b97f4a7c15u, h ^= h >> 29; };
  add(static_cast<size_t>(n.lanes)), add(static_cast<size_t>(n.id)), add(static_cast<size_t>(n.stride));
  add(std::bit_cast<uint64_t>(n.number)), add(static_cast<size_t>(n.integer)), add(n.dim.hash());
  add(size_t{n.checked} * 2 + size_t{n.saturate});
  for (const Expr& a : n.args) add(std::hash<const void*>()(a.get()));
  return h;
}

bool shallow_equal(const ExprNode& a, const ExprNode& b) {
  return std::equal(a.args.begin(), a.args.end(), b.args.begin(), b.args.end(),
                    [](const Expr& x, const Expr& y) { return x.get() == y.get(); }) &&
         same_but_arguments(a, b);
}

}  // namespace

Expr share(const Expr& e) {
  struct Hash {
    size_t operator()(const Expr& n) const { return shallow_hash(*n); }
  };
  struct Equal {
    bool operator()(const Expr& a, const Expr& b) const { return shallow_equal(*a, *b); }
  };
  std::unordered_set<Expr, Hash, Equal> known;
  std::unordered_map<const ExprNode*, Expr> done;
  std::function<Expr(const Expr&)> shared = [&](const Expr& part) -> Expr {
    if (!part) return part;
    if (auto it = done.find(part.get()); it != done.end()) return it->second;
    Expr out = part;
    std::vector<Expr> args;
    bool changed = false;
    for (const Expr& a : part->args) args.push_back(shared(a)), changed |= args.back().get() != a.get();
    if (changed) {
      ExprNode n = *part;
      n.args = std::move(args);
      out = ex::make(std::move(n));
    }
    return done[part.get()] = *known.insert(out).first;
  };
  return shared(e);
}

bool equal(const Expr& a, const Expr& b) {
  Pairs known;
  return equal_in(a, b, known);
}

namespace {
std::optional<Dim> as_dim_in(const Expr& e, std::unordered_map<const ExprNode*, std::optional<Dim>>& done) {
  if (!e || e.lanes() != 1 || (!is_int(e.type()) && e.type() != DType::Bool)) return std::nullopt;
  if (auto it = done.find(e.get()); it != done.end()) return it->second;
  auto compute = [&]() -> std::optional<Dim> {
    if (e.is(ScalarOp::Index)) return e->dim;
    if (e.is(ScalarOp::Const)) {
      if (!fits_dim(e->integer) || (e.type() == DType::U64 && e->integer < 0)) return std::nullopt;
      return Dim(e->integer);
    }
    if (e.is(ScalarOp::Read) || e.is(ScalarOp::Load) || e.is(ScalarOp::TileLoad) || e.is(ScalarOp::Local) ||
        e->args.empty())
      return std::nullopt;
    std::vector<Dim> a;
    for (const Expr& x : e->args) {
      auto d = as_dim_in(x, done);
      if (!d) return std::nullopt;
      a.push_back(*d);
    }
    bool wraps = e.type() != DType::I64 && e.type() != DType::Bool;
    std::optional<Dim> d;
    switch (e->op) {
      case ScalarOp::Cast:
        d = e.type() == DType::Bool && e->args[0].type() != DType::Bool ? Dim(1) - equal(a[0], Dim(0)) : a[0];
        break;
      case ScalarOp::Neg: d = -a[0]; break;
      case ScalarOp::Abs: d = abs(a[0]); break;
      case ScalarOp::Sign: d = less(Dim(0), a[0]) - less(a[0], Dim(0)); break;
      case ScalarOp::Not:
        if (e.type() == DType::Bool) d = Dim(1) - a[0];
        else d = -a[0] - Dim(1);
        break;
      case ScalarOp::And:
        if (e.type() == DType::Bool) d = a[0] * a[1];
        break;
      case ScalarOp::Or:
        if (e.type() == DType::Bool) d = a[0] + a[1] - a[0] * a[1];
        break;
      case ScalarOp::Xor:
        if (e.type() == DType::Bool) d = a[0] + a[1] - Dim(2) * a[0] * a[1];
        break;
      case ScalarOp::Select: d = select(a[0], a[1], a[2]); break;
      default:
        if (a.size() == 2 && (e.type() != DType::Bool || is_comparison(e->op))) d = dim_binary(e->op, a[0], a[1], true);
        break;
    }
    if (!d || !wraps) return d;
    // A narrower type wraps: only where the range is known to fit.
    int n = bits(e.type());
    bool fits = e.type() == DType::U64 ? d->lower() >= 0
                : is_signed(e.type())  ? d->lower() >= INT64_MIN >> (64 - n) && d->upper() <= INT64_MAX >> (64 - n)
                                       : d->lower() >= 0 && d->upper() < int64_t{1} << n;
    return fits ? d : std::nullopt;
  };
  return done[e.get()] = compute();
}
}  // namespace

std::optional<Dim> as_dim(const Expr& e) {
  std::unordered_map<const ExprNode*, std::optional<Dim>> done;
  return as_dim_in(e, done);
}

}  // namespace ingot
