#include "passes/loops/legalize.h"

#include <unordered_map>
#include <unordered_set>

#include "ir/numeric.h"
#include "passes/loops/build.h"
#include "passes/loops/math.h"
#include "passes/loops/small_floats.h"

namespace ingot::l {

namespace {

using Op = ScalarOp;

bool native_float(DType t) { return t == DType::F32 || t == DType::F64; }

class Legalizer {
 public:
  explicit Legalizer(const LegalizeOptions& o) : options_(o) {}

  Expr run(const Expr& e) {
    if (!e.get()) return e;
    return visit(guard_all(e));
  }

 private:
  const LegalizeOptions& options_;
  std::unordered_map<const ExprNode*, Expr> done_;
  std::vector<Expr> keep_;  // keys of done_ stay alive

  // --- loads in the untaken side of a select get its condition as their mask ---

  static bool same_load(const ExprNode& a, const ExprNode& b) {
    if (a.id != b.id || a.stride != b.stride || a.lanes != b.lanes || a.args.size() != b.args.size() || a.dim != b.dim)
      return false;
    for (size_t i = 0; i < a.args.size(); ++i)
      if (!equal(a.args[i], b.args[i])) return false;
    return true;
  }
  static void loads_of(const Expr& e, std::vector<Expr>& out, std::unordered_set<const ExprNode*>& seen) {
    if (!seen.insert(e.get()).second) return;
    if (e.is(Op::Load)) out.push_back(e);
    for (const Expr& a : e->args) loads_of(a, out, seen);
  }
  static bool contains(const std::vector<Expr>& loads, const Expr& x) {
    for (const Expr& l : loads)
      if (same_load(*l, *x)) return true;
    return false;
  }

  static bool has_guarded_load(const Expr& e, std::unordered_map<const ExprNode*, int>& memo, bool under) {
    auto [it, fresh] = memo.emplace(e.get(), under ? 2 : 1);
    if (!fresh) {
      if (it->second == 2 || !under) return false;
      it->second = 2;
    }
    if (under && e.is(Op::Load)) return true;
    for (size_t i = 0; i < e->args.size(); ++i)
      if (has_guarded_load(e->args[i], memo, under || (e.is(Op::Select) && i > 0))) return true;
    return false;
  }

  Expr guard_all(const Expr& e) {
    std::unordered_map<const ExprNode*, int> memo;
    if (!has_guarded_load(e, memo, false)) return e;
    std::unordered_map<const ExprNode*, Expr> guarded;
    return guard(e, guarded);
  }

  Expr guard(const Expr& e, std::unordered_map<const ExprNode*, Expr>& memo) {
    if (auto it = memo.find(e.get()); it != memo.end()) return it->second;
    ExprNode n = *e;
    bool changed = false;
    for (Expr& a : n.args) {
      Expr r = guard(a, memo);
      changed |= r.get() != a.get();
      a = r;
    }
    if (n.op == Op::Select) {
      std::vector<Expr> safe, then, otherwise;
      std::unordered_set<const ExprNode*> s1, s2, s3;
      loads_of(n.args[0], safe, s1);
      loads_of(n.args[1], then, s2);
      loads_of(n.args[2], otherwise, s3);
      for (const Expr& l : then)
        if (contains(otherwise, l)) safe.push_back(l);
      V c = n.args[0];
      Expr a = mask_loads(n.args[1], then, safe, c), b = mask_loads(n.args[2], otherwise, safe, !c);
      changed |= a.get() != n.args[1].get() || b.get() != n.args[2].get();
      n.args[1] = a;
      n.args[2] = b;
    }
    Expr r = changed ? ex::make(std::move(n)) : e;
    memo[e.get()] = r;
    return r;
  }

  static Expr mask_loads(const Expr& e, const std::vector<Expr>& loads, const std::vector<Expr>& safe,
                         const V& condition) {
    bool any = false;
    for (const Expr& l : loads) any |= !contains(safe, l);
    if (!any) return e;
    std::unordered_map<const ExprNode*, Expr> memo;
    return mask_into(e, safe, condition, memo);
  }

  static Expr mask_into(const Expr& e, const std::vector<Expr>& safe, const V& condition,
                        std::unordered_map<const ExprNode*, Expr>& memo) {
    if (auto it = memo.find(e.get()); it != memo.end()) return it->second;
    ExprNode n = *e;
    bool changed = false;
    for (Expr& a : n.args) {
      Expr r = mask_into(a, safe, condition, memo);
      changed |= r.get() != a.get();
      a = r;
    }
    if (n.op == Op::Load && !contains(safe, e)) {
      V mask = condition;
      if (mask.lanes() != n.lanes) {
        if (mask.e.is(Op::Splat)) mask = mask.e->args[0];
        if (mask.lanes() > 1 && n.lanes == 1) mask = make(Op::LaneMax, DType::Bool, 1, {mask.e});
        if (mask.lanes() == 1 && n.lanes > 1) mask = make(Op::Splat, DType::Bool, n.lanes, {mask.e});
      }
      if (!n.args.empty() && n.args.back().type() == DType::Bool) n.args.back() = (V(n.args.back()) & mask).e;
      else n.args.push_back(mask.e);
      changed = true;
    }
    Expr r = changed ? ex::make(std::move(n)) : e;
    memo[e.get()] = r;
    return r;
  }

  // --- one node, its arguments legal ---

  Expr visit(const Expr& e) {
    if (auto it = done_.find(e.get()); it != done_.end()) return it->second;
    ExprNode n = *e;
    bool changed = false;
    for (Expr& a : n.args) {
      Expr r = visit(a);
      changed |= r.get() != a.get();
      a = r;
    }
    Expr replaced = node(n);
    Expr r = replaced ? replaced : changed ? ex::make(std::move(n)) : e;
    keep_.push_back(e);
    done_[e.get()] = r;
    return r;
  }

  V widen(const V& x) {
    if (x.type() == DType::F16 && options_.has_f16_convert) return cast(x, DType::F32);
    return decode_small(x);
  }
  V narrow(const V& x, DType t, bool saturate = true) {  // from f32
    if (t == DType::F16 && options_.has_f16_convert) return cast(x, t);
    return encode_small(x, t, saturate);
  }

  // The replacement of a node, or none where it is legal as it stands.
  Expr node(const ExprNode& n) {
    if (n.op == Op::Const) {
      if (!is_small_float(n.type)) return {};
      uint8_t bytes[2] = {};
      store_number(n.type, bytes, 0, n.number);
      int64_t code = bits(n.type) > 8 ? bytes[0] | bytes[1] << 8 : bytes[0];
      return bitcast(integer(code_type(n.type), n.lanes, code), n.type).e;
    }
    if (n.op == Op::Cast) return cast_node(n);
    if (n.args.empty()) return {};
    DType t = n.args[0].type();
    switch (n.op) {
      case Op::Load:
      case Op::Splat:
      case Op::Lane:
      case Op::Bitcast:
      case Op::Select:
      case Op::Dot2:
      case Op::TileDot:
      case Op::Dot4:
      case Op::Read: return {};
      default: break;
    }
    if (t == DType::F16 && n.op == Op::Fma && options_.has_f16_arithmetic) return {};
    if (is_small_float(t)) return in_f32(n);
    if (t == DType::Bool) return boolean(n);
    return native_float(t) ? floating(n) : integral(n);
  }

  Expr in_f32(const ExprNode& n) {
    ExprNode wide = n;
    DType t = n.args[0].type();
    for (Expr& a : wide.args)
      if (a.type() == t) a = widen(a).e;
    bool back = n.type == t;
    if (back) wide.type = DType::F32;
    Expr done = node(wide);
    if (!done.get()) done = ex::make(std::move(wide));
    return back ? narrow(done, t).e : done;
  }

  Expr boolean(const ExprNode& n) {
    V a = n.args[0];
    auto b = [&] { return V(n.args[1]); };
    switch (n.op) {
      case Op::Add: return (a | b()).e;
      case Op::Mul: return (a & b()).e;
      case Op::Sub: return (a ^ b()).e;
      default: return {};
    }
  }

  bool scales(const V& x) const {
    const int width = bits(x.type()) * x.lanes();
    return options_.has_scalb && (width == 128 || width == 256 || width == 512);
  }

  Expr floating(const ExprNode& n) {
    V a = n.args[0];
    switch (n.op) {
      case Op::Exp: return math::exp(a, scales(a)).e;
      case Op::Expm1: return math::expm1(a).e;
      case Op::Log: return math::log(a).e;
      case Op::Log1p: return math::log1p(a).e;
      case Op::Sin: return math::sin(a, options_.has_fma).e;
      case Op::Cos: return math::cos(a, options_.has_fma).e;
      case Op::Tan: return math::tan(a, options_.has_fma).e;
      case Op::Asin: return math::asin(a).e;
      case Op::Acos: return math::acos(a).e;
      case Op::Atan: return math::atan(a).e;
      case Op::Sinh: return math::sinh(a).e;
      case Op::Cosh: return math::cosh(a).e;
      case Op::Tanh: return math::tanh(a).e;
      case Op::Asinh: return math::asinh(a).e;
      case Op::Acosh: return math::acosh(a).e;
      case Op::Atanh: return math::atanh(a).e;
      case Op::Erf: return math::erf(a).e;
      case Op::Sigmoid: return math::sigmoid(a, scales(a)).e;
      case Op::Atan2: return math::atan2(a, n.args[1]).e;
      case Op::Sign: return select(a > 0, 1, select(a < 0, -1, a)).e;
      case Op::Rem: return math::fmod(a, n.args[1], options_.has_fma).e;
      case Op::FloorMod: {
        V b = n.args[1];
        V r = math::fmod(a, b, options_.has_fma);
        V other = comparison(Op::Ne, r < 0, b < 0);
        return select((r != 0) & other, r + b, select(r == 0, with_sign_of(like(r, 0), b), r)).e;
      }
      case Op::Pow: return power(a, n.args[1]).e;
      default: return {};
    }
  }

  static const ExprNode* constant_of(const Expr& e) {
    const Expr& x = e.is(Op::Splat) ? e->args[0] : e;
    return x.is(Op::Const) ? x.get() : nullptr;
  }

  V power(const V& x, const V& y) {
    if (const ExprNode* c = constant_of(y.e)) {
      double v = c->number;
      if (v == 0) return like(x, 1);
      if (v == 1) return x;
      if (v == 2) return x * x;
      if (v == 3 && x.type() != DType::F64) return x * x * x;
      if (v == -1) return 1 / x;
      if (v == 0.5) return select(x == -__builtin_inf(), __builtin_inf(), sqrt(x + 0.0));
    }
    return math::pow(x, y);
  }

  Expr integral(const ExprNode& n) {
    V a = n.args[0];
    auto b = [&] { return V(n.args[1]); };
    DType t = a.type();
    V zero = like_int(a, 0), one = like_int(a, 1);
    switch (n.op) {
      case Op::Sign: {
        if (!is_signed(t)) return select(a != zero, one, zero).e;
        return select(zero < a, one, select(a < zero, like_int(a, -1), a)).e;
      }
      case Op::Div:
      case Op::Rem: return divide(n.op, a, b()).e;
      case Op::FloorMod: {
        V r = divide(Op::Rem, a, b());
        if (!is_signed(t)) return r.e;
        V other = comparison(Op::Ne, r < zero, b() < zero);
        return select((r != zero) & other, r + b(), r).e;
      }
      case Op::Shl:
      case Op::Shr: {
        if (const ExprNode* c = constant_of(n.args[1])) {
          if (c->integer >= 0 && c->integer < bits(t)) return {};
          return zero.e;
        }
        V count = b();
        V inside = (count < like_int(a, bits(t))) & (count >= zero);
        return select(inside, binary(n.op, a, select(inside, count, zero)), zero).e;
      }
      case Op::Pow: return integer_power(a, b()).e;
      case Op::Floor:
      case Op::Ceil:
      case Op::Trunc:
      case Op::RoundEven: return n.args[0];
      case Op::IsNaN:
      case Op::IsInf: return integer(DType::Bool, n.lanes, 0).e;
      default: return {};
    }
  }

  V divide(Op op, const V& a, const V& b) {
    V zero = like_int(a, 0);
    const ExprNode* c = constant_of(b.e);
    bool is_div = op == Op::Div;
    if (c) {
      if (c->integer == 0) return zero;
      if (c->integer == -1 && is_signed(a.type())) return is_div ? -a : zero;
      return binary(op, a, b);
    }
    V bad = b == zero;
    V divisor = b;
    if (is_signed(a.type())) {
      // x / -1 is computed as -x, so that the smallest integer wraps.
      V minus = b == like_int(b, -1);
      divisor = select(bad | minus, like_int(b, 1), b);
      V q = binary(op, a, divisor);
      if (!is_div) return q;  // the remainder by 1 is 0 in both cases
      q = select(minus, -a, q);
      return select(bad, zero, q);
    }
    divisor = select(bad, like_int(b, 1), b);
    V q = binary(op, a, divisor);
    return is_div ? select(bad, zero, q) : q;
  }

  // By squaring, wrapping; negative exponents truncate: 0 but for bases 1 and -1.
  V integer_power(const V& x, const V& y) {
    V one = like_int(x, 1), zero = like_int(x, 0);
    int steps = bits(x.type()) - (is_signed(x.type()) ? 1 : 0);
    if (const ExprNode* c = constant_of(y.e)) {
      if (c->integer >= 0) {
        steps = 0;
        while (steps < 63 && c->integer >> steps) ++steps;
      }
    }
    V r = one, base = x;
    for (int i = 0; i < steps; ++i) {
      V bit = shr(y, i) & one;
      r = select(bit != zero, r * base, r);
      if (i + 1 < steps) base = base * base;
    }
    if (!is_signed(x.type())) return r;
    V odd = (y & one) != zero;
    V minus = select(odd, like_int(x, -1), one);
    V inverse = select(x == one, one, select(x == like_int(x, -1), minus, zero));
    return select(y < zero, inverse, r);
  }

  Expr cast_node(const ExprNode& n) {
    V x = n.args[0];
    DType from = x.type(), to = n.type;
    if (from == to) return x.e;
    if (is_small_float(from)) {
      V f = widen(x);
      if (to == DType::F32) return from == DType::F16 && options_.has_f16_convert ? Expr() : f.e;
      ExprNode rest = n;
      rest.args = {f.e};
      Expr done = cast_node(rest);
      return done ? done : ex::make(std::move(rest));
    }
    if (is_small_float(to)) {
      if (from == DType::F32)
        return to == DType::F16 && options_.has_f16_convert ? Expr() : narrow(x, to, n.saturate).e;
      V f = x;
      if (is_int(from) && bits(from) > 16) f = cast(x, DType::F64);
      if (f.type() == DType::F64) f = to == DType::F8E8M0 ? cast(f, DType::F32) : to_odd_f32(f);
      else f = cast(f, DType::F32);
      return narrow(f, to, n.saturate).e;
    }
    if (is_int(to) && bits(to) < 8) {
      bool is_signed_type = is_signed(to);
      DType byte = is_signed_type ? DType::I8 : DType::U8;
      int width = bits(to);
      V v = x;
      if (native_float(from)) {
        double low = is_signed_type ? -(1 << (width - 1)) : 0,
               high = is_signed_type ? (1 << (width - 1)) - 1 : (1 << width) - 1;
        return cast(cast(clamp(v, low, high), byte), to).e;  // NaN: 0, as in the cast to a byte
      }
      v = cast(v, byte);
      return cast(shr(shl(v, 8 - width), 8 - width), to).e;
    }
    return {};
  }
};

void statements(std::vector<Stmt>& body, const LegalizeOptions& o) {
  for (Stmt& s : body) {
    Legalizer one(o);
    s.expr = one.run(s.expr);
    s.index = one.run(s.index);
    s.mask = one.run(s.mask);
    for (Expr& e : s.args) e = one.run(e);
    statements(s.body, o);
    statements(s.otherwise, o);
  }
}

}  // namespace

Result<void> legalize(Program& p, const LegalizeOptions& o) {
  statements(p.host, o);
  for (Kernel& k : p.kernels) statements(k.body, o);
  return {};
}

Expr legalize(const Expr& e, const LegalizeOptions& o) { return Legalizer(o).run(e); }

}  // namespace ingot::l
