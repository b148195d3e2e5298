// What a Dim claims, against plain evaluation of the expression as it was written, in 128 bits.
//
// A trial builds two expressions over symbols of all kinds of ranges, up to kDimMax, with constants up to 2^61 and a few
// beyond, and their Dims. Values are drawn for the symbols, mostly at the ends of their ranges. Then
//
//   values   of every Dim made from the expressions are those of the expression, wherever all that it goes through is in
//            the domain (ir/dim.h)
//   claims   (bounds, <, <=, ==, divisible) hold of the integers, in the domain and beyond it; where parts of the expression
//            are constants that saturate, wherever the rest of it is in the domain
//
// INGOT_DIM_TRIALS and INGOT_DIM_SEED in the environment run more of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "ir/dim.h"

namespace ingot {
namespace {

using Int = __int128;

constexpr int kTrials = 10000;  // a few seconds
constexpr int kAssignments = 24;  // per trial
constexpr Int kLargest = Int{1} << 120;  // beyond this the oracle itself says nothing

enum class Op {
  Constant,
  Symbol,
  Add,
  Subtract,
  Multiply,
  Divide,
  Modulo,
  Minimum,
  Maximum,
  Less,
  Equal,
  Ceil,
  Select,
  Abs
};

struct Tree {
  Op op;
  int64_t constant = 0;
  Symbol symbol;
  std::vector<std::shared_ptr<const Tree>> in;
};
using TreePtr = std::shared_ptr<const Tree>;

Int floor_quotient(Int a, Int b) {
  Int q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
bool large(Int v) { return v >= kDimMax || v <= -Int{kDimMax}; }

std::string text(Int v) {
  if (v < 0) return "-" + text(-v);
  std::string digits(1, static_cast<char>('0' + static_cast<int>(v % 10)));
  return v < 10 ? digits : text(v / 10) + digits;
}

std::string text(const TreePtr& t) {
  static const char* const names[] = {"",    "",    "add",  "sub",   "mul",  "div",    "mod",
                                      "min", "max", "less", "equal", "ceil", "select", "abs"};
  if (t->op == Op::Constant) return std::to_string(t->constant);
  if (t->op == Op::Symbol) return t->symbol->name;
  std::string s = names[static_cast<int>(t->op)];
  for (size_t i = 0; i < t->in.size(); ++i) s += (i ? ", " : "(") + text(t->in[i]);
  return s + ")";
}

Dim combined(const TreePtr& t, const std::vector<Dim>& d) {
  switch (t->op) {
    case Op::Constant: return Dim(t->constant);
    case Op::Symbol: return Dim(t->symbol);
    case Op::Add: return d[0] + d[1];
    case Op::Subtract: return d[0] - d[1];
    case Op::Multiply: return d[0] * d[1];
    case Op::Divide: return floordiv(d[0], d[1]);
    case Op::Modulo: return mod(d[0], d[1]);
    case Op::Minimum: return min(d[0], d[1]);
    case Op::Maximum: return max(d[0], d[1]);
    case Op::Less: return less(d[0], d[1]);
    case Op::Equal: return equal(d[0], d[1]);
    case Op::Ceil: return ceildiv(d[0], d[1]);
    case Op::Select: return select(d[0], d[1], d[2]);
    case Op::Abs: return abs(d[0]);
  }
  return Dim(0);
}

// `saturates`: a part of it is found to be a constant that is too large.
Dim dim(const TreePtr& t, bool* saturates = nullptr) {
  std::vector<Dim> d;
  for (const TreePtr& x : t->in) d.push_back(dim(x, saturates));
  Dim out = combined(t, d);
  if (saturates && (out.is(kDimMax) || out.is(-kDimMax))) *saturates = true;
  return out;
}

struct Value {
  Int v = 0;
  bool defined = true;  // divisors positive (or a negative constant), nothing beyond kLargest
  bool in_domain = true;  // all on the way is below kDimMax
  bool rest_in_domain = true;  // all on the way that no saturated constant is part of is
  bool saturated = false;  // a saturated constant is part of it
  bool constant = true;  // no symbol is
};

using Values = std::map<int64_t, Int>;

Value value(const TreePtr& t, const Values& values) {
  Value out;
  std::vector<Int> x;
  out.constant = t->op != Op::Symbol;
  for (const TreePtr& in : t->in) {
    Value v = value(in, values);
    x.push_back(v.v);
    out.defined = out.defined && v.defined;
    out.in_domain = out.in_domain && v.in_domain;
    out.rest_in_domain = out.rest_in_domain && v.rest_in_domain;
    out.saturated = out.saturated || v.saturated;
    out.constant = out.constant && v.constant;
  }
  if (!out.defined) return out;
  // What definitions of ir/dim.h go through on the way counts as well.
  auto passes = [&](Int v) {
    if (v > kLargest || v < -kLargest) out.defined = false;
    if (!large(v)) return;
    out.in_domain = false;
    if (!out.saturated) out.rest_in_domain = false;
  };
  auto times = [&](Int a, Int b) -> Int {
    Int p = 0;
    if (__builtin_mul_overflow(a, b, &p)) out.defined = false;
    return p;
  };
  auto divisor = [&](Int b, const TreePtr& from) {
    if (b == 0 || (b < 0 && from->op != Op::Constant)) out.defined = false;
    return out.defined;
  };
  switch (t->op) {
    case Op::Constant: out.v = t->constant; break;
    case Op::Symbol: out.v = values.at(t->symbol->id); break;
    case Op::Add: out.v = x[0] + x[1]; break;
    case Op::Subtract: out.v = x[0] - x[1]; break;
    case Op::Multiply: out.v = times(x[0], x[1]); break;
    case Op::Divide:
      if (divisor(x[1], t->in[1])) out.v = floor_quotient(x[0], x[1]);
      break;
    case Op::Modulo:
      if (divisor(x[1], t->in[1])) {
        passes(times(x[1], floor_quotient(x[0], x[1])));
        out.v = x[0] - x[1] * floor_quotient(x[0], x[1]);
      }
      break;
    case Op::Minimum: out.v = std::min(x[0], x[1]); break;
    case Op::Maximum: out.v = std::max(x[0], x[1]); break;
    case Op::Less: out.v = x[0] < x[1]; break;
    case Op::Equal: out.v = x[0] == x[1]; break;
    case Op::Ceil:
      if (divisor(x[1], t->in[1])) {
        passes(x[0] + x[1]);
        passes(x[0] + x[1] - 1);
        out.v = floor_quotient(x[0] + x[1] - 1, x[1]);
      }
      break;
    case Op::Select:
      passes(x[1] - x[2]);
      out.v = x[0] != 0 ? x[1] : x[2];
      if (x[0] != 0 && x[0] != 1) out.defined = false;
      break;
    case Op::Abs: out.v = x[0] < 0 ? -x[0] : x[0]; break;
  }
  if (!out.defined) return out;
  if (out.constant && large(out.v)) out.saturated = true;  // constants fold
  passes(out.v);
  return out;
}

class Trial {
 public:
  explicit Trial(uint64_t seed) : rng_(seed) {
    symbols_ = {Dim::symbol("N"), Dim::symbol("M", 1, 20), Dim::symbol("z", -30, 30), Dim::symbol("P", 1)};
    auto extra = [&](int64_t lo, int64_t hi) {
      symbols_.push_back(Dim::symbol("s" + std::to_string(symbols_.size()), lo, hi));
    };
    for (int k = static_cast<int>(pick(0, 3)); k > 0; --k) {
      switch (pick(0, 6)) {
        case 0: extra(0, kDimMax - 1); break;
        case 1: extra(-kDimMax, kDimMax); break;
        case 2: extra(0, constant()); break;
        case 3: extra(-constant(), kDimMax - 2); break;
        case 4: extra(kDimMax / pick(1, 5), kDimMax); break;
        case 5: extra(-kDimMax, pick(-3, 3)); break;
        default: extra(1, int64_t{1} << pick(1, 61)); break;
      }
    }
    for (int k = static_cast<int>(pick(1, 4)); k > 0; --k) {
      TreePtr e;
      switch (pick(0, 5)) {
        case 0: e = leaf(pick(1, 70)); break;
        case 1: e = leaf(std::abs(constant())); break;
        case 2: e = node(Op::Multiply, {any_symbol(), leaf(pick(1, 9))}); break;
        case 3: e = node(Op::Add, {any_symbol(), leaf(pick(0, 9))}); break;
        case 4: e = make(2); break;
        default: e = any_symbol(); break;
      }
      extents_[symbols_.size()] = e;
      symbols_.push_back(Dim::iterator("i" + std::to_string(symbols_.size()), dim(e)));
    }
  }

  int64_t pick(int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(rng_() % (static_cast<uint64_t>(hi - lo) + 1));
  }

  // Small ones, powers of two and their neighbours, and any up to 2^61.
  int64_t constant() {
    int64_t c = 0;
    switch (pick(0, 7)) {
      case 0: c = (int64_t{1} << pick(0, 61)) + pick(-2, 2); break;
      case 1: c = pick(0, int64_t{1} << pick(1, 61)); break;
      case 2: c = kDimMax - pick(0, 5); break;
      default: c = pick(0, 24); break;
    }
    if (pick(0, 2) != 0 || c > kDimMax) return pick(0, 3) ? c : -c;
    return c;
  }

  TreePtr leaf(int64_t c) { return std::make_shared<Tree>(Tree{Op::Constant, c, nullptr, {}}); }
  TreePtr node(Op op, std::vector<TreePtr> in) { return std::make_shared<Tree>(Tree{op, 0, nullptr, std::move(in)}); }
  TreePtr any_symbol() {
    Symbol s = symbols_[static_cast<size_t>(pick(0, static_cast<int64_t>(symbols_.size()) - 1))];
    return std::make_shared<Tree>(Tree{Op::Symbol, 0, s, {}});
  }

  TreePtr positive(int depth) {
    switch (pick(0, 5)) {
      case 0: return node(Op::Multiply, {any_symbol(), leaf(pick(1, 12))});
      case 1: return node(Op::Add, {any_symbol(), leaf(pick(1, 3))});
      case 2: return depth > 1 ? make(depth - 1) : any_symbol();
      case 3: return leaf(pick(0, 9) ? std::abs(constant()) + 1 : -pick(1, 9));
      default: return leaf(pick(1, 12));
    }
  }

  TreePtr make(int depth) {
    if (depth <= 0 || pick(0, 9) == 0) return pick(0, 2) == 0 ? leaf(constant()) : any_symbol();
    TreePtr x = make(depth - 1);
    switch (pick(0, 17)) {
      case 0:
      case 1: return node(Op::Divide, {x, positive(depth)});
      case 2:
      case 3: return node(Op::Modulo, {x, positive(depth)});
      case 4: return node(Op::Ceil, {x, positive(depth)});
      case 5:
      case 6: return node(Op::Multiply, {x, leaf(constant())});
      case 7: return node(Op::Minimum, {x, make(depth - 1)});
      case 8: return node(Op::Maximum, {x, make(depth - 1)});
      case 9: return node(Op::Less, {x, make(depth - 1)});
      case 10: return node(Op::Equal, {x, make(depth - 1)});
      case 11: return node(Op::Multiply, {x, make(depth - 1)});
      case 12:
        return node(Op::Select,
                    {node(pick(0, 1) ? Op::Less : Op::Equal, {x, make(depth - 1)}), make(depth - 1), make(depth - 1)});
      case 13: return node(Op::Abs, {x});
      case 14:
      case 15: return node(Op::Subtract, {x, make(depth - 1)});
      default: return node(Op::Add, {x, make(depth - 1)});
    }
  }

  // The expression with a few of its leaves replaced.
  TreePtr changed(const TreePtr& t) {
    if (t->in.empty()) {
      if (pick(0, 3) != 0) return t;
      if (t->op == Op::Symbol) return any_symbol();
      return leaf(pick(0, 1) ? constant() : std::clamp<int64_t>(t->constant, -kDimMax, kDimMax) + pick(-2, 2));
    }
    std::vector<TreePtr> in;
    for (const TreePtr& x : t->in) in.push_back(changed(x));
    return node(t->op, std::move(in));
  }

  // What is often compared with t: itself plus a little, a mutation, a bound of a symbol, or anything.
  TreePtr related(const TreePtr& t) {
    switch (pick(0, 5)) {
      case 0: return node(Op::Add, {changed(t), leaf(pick(-1, 1))});
      case 1: return changed(t);
      case 2: return node(Op::Multiply, {t, any_symbol()});
      case 3: return leaf(constant());
      case 4: return any_symbol();
      default: return make(static_cast<int>(pick(1, 3)));
    }
  }

  // Values in the ranges of the symbols; none where an extent leaves no value.
  std::optional<Values> assignment() {
    Values values;
    int style = static_cast<int>(pick(0, 3));
    for (size_t k = 0; k < symbols_.size(); ++k) {
      Int lo = std::max(symbols_[k]->lo, -kDimMax), hi = std::min(symbols_[k]->hi, kDimMax);
      if (auto e = extents_.find(k); e != extents_.end()) {
        Value n = value(e->second, values);
        if (!n.defined || n.v <= 0) return std::nullopt;
        lo = 0, hi = std::min<Int>(n.v - 1, kDimMax);
      }
      Int v = 0;
      switch (style == 0 ? 0 : pick(0, 6)) {
        case 0:
        case 1: v = lo + pick(0, 9); break;
        case 2: v = hi; break;
        case 3: v = hi - pick(0, 9); break;
        case 4: v = (Int{1} << pick(0, 61)) + pick(-1, 1); break;
        case 5: v = pick(-40, 40); break;
        default: v = pick(0, int64_t{1} << pick(1, 61)); break;
      }
      values[symbols_[k]->id] = std::clamp(v, lo, hi);
    }
    return values;
  }

  const std::vector<Symbol>& symbols() const { return symbols_; }

 private:
  std::mt19937_64 rng_;
  std::vector<Symbol> symbols_;
  std::map<size_t, TreePtr> extents_;
};

Bindings bindings(const Values& values) {
  Bindings b;
  for (const auto& [id, v] : values) b[id] = static_cast<int64_t>(v);
  return b;
}

// The value of a sum with moduli, by their definition; none where it, or a part of it, is too large.
std::optional<Int> value_of(const std::vector<Dim::Term>& terms, const Bindings& b) {
  Int sum = 0;
  for (const Dim::Term& t : terms) {
    Int p = t.coefficient;
    for (const Dim::Atom& a : t.atoms) {
      Int x = 0;
      if (a.kind == Dim::AtomKind::Symbol) {
        auto it = b.find(a.symbol->id);
        if (it == b.end()) return std::nullopt;
        x = it->second;
      } else {
        auto u = evaluate(a.a, b), v = evaluate(a.b, b);
        if (!u || !v || large(*u) || large(*v)) return std::nullopt;
        switch (a.kind) {
          case Dim::AtomKind::Symbol: break;
          case Dim::AtomKind::FloorDiv: x = *v == 0 ? 0 : floor_quotient(*u, *v); break;
          case Dim::AtomKind::Mod: x = *v == 0 ? Int{*u} : *u - *v * floor_quotient(*u, *v); break;
          case Dim::AtomKind::Min: x = std::min(*u, *v); break;
          case Dim::AtomKind::Max: x = std::max(*u, *v); break;
          case Dim::AtomKind::Less: x = *u < *v; break;
          case Dim::AtomKind::Equal: x = *u == *v; break;
        }
      }
      if (__builtin_mul_overflow(p, x, &p)) return std::nullopt;
    }
    if (__builtin_add_overflow(sum, p, &sum)) return std::nullopt;
  }
  return sum;
}

struct Counts {
  int64_t values = 0, claims = 0, large_claims = 0;
};

void run(uint64_t seed, Counts& counts) {
  Trial r(seed);
  TreePtr x = r.make(static_cast<int>(r.pick(1, 5))), y = r.related(x);
  bool saturates = false;
  Dim d = dim(x, &saturates), e = dim(y, &saturates);
  bool lt = known_less(d, e), le = known_less_equal(d, e), eq = known_equal(d, e), divides = known_divisible(d, e);
  bool about_large = e.is(kDimMax) || d.is(-kDimMax);  // "at most too large"
  const Symbol& s = r.symbols()[static_cast<size_t>(r.pick(0, static_cast<int64_t>(r.symbols().size()) - 1))];
  TreePtr z = r.make(2);
  Dim replaced = substitute(d, {{s->id, dim(z)}});
  auto affine = affine_in(d, s);
  auto moduli = with_moduli(d);
  auto names = [&](const Values& v) {
    std::string at;
    for (const Symbol& symbol : r.symbols()) {
      at += " " + symbol->name + "=" + text(v.at(symbol->id)) + " in [" + std::to_string(symbol->lo) + ", " +
            std::to_string(symbol->hi) + "]";
      if (symbol->extent) at += " < " + symbol->extent->str();
    }
    return at;
  };
  for (int k = 0; k < kAssignments; ++k) {
    auto values = r.assignment();
    if (!values) continue;
    Value v = value(x, *values), w = value(y, *values);
    auto context = [&] {
      return "seed " + std::to_string(seed) + ": " + text(x) + " = " + d.str() + " = " + text(v.v) + "; " + text(y) +
             " = " + e.str() + " = " + text(w.v) + ";" + names(*values);
    };
    if (v.defined && v.rest_in_domain) {
      bool known = d.lower() > -kDimMax || d.upper() < kDimMax;
      counts.claims += known;
      if (d.lower() > -kDimMax) {
        ASSERT_GE(v.v, d.lower()) << context();
      }
      if (d.upper() < kDimMax) {
        ASSERT_LE(v.v, d.upper()) << context();
      }
      if (w.defined && w.rest_in_domain) {
        counts.claims += lt + le + eq + divides;
        if (lt) {
          ASSERT_LT(v.v, w.v) << context();
        }
        if (le && !about_large) {
          ASSERT_LE(v.v, w.v) << context();
        }
        if (eq) {
          ASSERT_EQ(v.v, w.v) << context();
        }
        if (divides) {
          ASSERT_EQ(w.v == 0 ? Int{0} : v.v % w.v, 0) << context();
        }
      }
    } else if (v.defined && w.defined && !saturates && !v.saturated && !w.saturated) {
      // Claims are about the integers: they hold beyond the domain as well.
      counts.large_claims += lt + le + eq;
      if (lt) {
        ASSERT_LT(v.v, w.v) << context();
      }
      if (le) {
        ASSERT_LE(v.v, w.v) << context();
      }
      if (eq) {
        ASSERT_EQ(v.v, w.v) << context();
      }
    }
    if (!v.defined || !v.in_domain) continue;
    ++counts.values;
    Bindings b = bindings(*values);
    if (auto got = evaluate(d, b)) {  // none where it was too large to write down
      ASSERT_EQ(Int{*got}, v.v) << context();
    }
    if (auto m = value_of(moduli, b)) {
      ASSERT_EQ(*m, v.v) << context();
    }
    if (affine) {
      Int c = evaluate(affine->coefficient, b).value_or(kDimMax), rest = evaluate(affine->rest, b).value_or(kDimMax);
      if (!large(c) && !large(rest)) {
        ASSERT_EQ(c * (*values)[s->id] + rest, v.v) << context();
      }
    }
    Value inner = value(z, *values);
    if (inner.defined && inner.in_domain && inner.v >= s->lo && inner.v <= s->hi) {
      if (s->extent && inner.v >= Int{*evaluate(*s->extent, b)}) continue;
      Values with = *values;
      with[s->id] = inner.v;
      bool in_range = true;
      for (const Symbol& other : r.symbols())
        in_range = in_range && (!other->extent || with[other->id] < Int{*evaluate(*other->extent, bindings(with))});
      Value outer = value(x, with);
      if (in_range && outer.defined && outer.in_domain) {
        // Terms of the canonical form that become constants may be too large by themselves.
        if (auto got = evaluate(replaced, b); got && !large(*got)) {
          ASSERT_EQ(Int{*got}, outer.v) << context() << "; " << s->name << " -> " << text(z) << ": " << replaced.str();
        }
      }
    }
  }
}

int64_t from_environment(const char* name, int64_t otherwise) {
  const char* v = std::getenv(name);
  return v ? std::atoll(v) : otherwise;
}

TEST(DimProperty, ClaimsAndValuesAreThoseOfTheIntegers) {
  int64_t trials = from_environment("INGOT_DIM_TRIALS", kTrials), seed = from_environment("INGOT_DIM_SEED", 1);
  Counts counts;
  int failures = 0;
  for (int64_t k = 0; k < trials && failures < 5; ++k) {
    run(static_cast<uint64_t>(seed + k), counts);
    if (testing::Test::HasFailure()) ++failures;
  }
  if (failures > 0) return;
  // The test means something only where there was something to check.
  EXPECT_GT(counts.values, trials);
  EXPECT_GT(counts.claims, trials);
  EXPECT_GT(counts.large_claims, trials / 100);
}

// What is known of constants that saturate.
TEST(DimProperty, NothingSaturatedProvesAnything) {
  Dim n(Dim::symbol("n")), m(Dim::symbol("m", 1)), big(kDimMax);
  EXPECT_TRUE(known_less_equal(n, big));
  EXPECT_FALSE(known_less(n, big));
  EXPECT_FALSE(known_less_equal(big, big));
  EXPECT_FALSE(known_equal(big * 2, big * 3));
  EXPECT_FALSE(known_less(n, big - n));
  EXPECT_FALSE(known_less_equal(big - big, 0));
  EXPECT_FALSE(known_less_equal(0, big - 5));
  EXPECT_FALSE(known_less_equal(n * big, n * big));
  EXPECT_FALSE(known_divisible(big, 3));
  EXPECT_FALSE(known_less_equal(floordiv(big, 4), big));
  EXPECT_EQ((big - big).lower(), -kDimMax);
  EXPECT_EQ((n + big).upper(), kDimMax);
  // A coefficient that would saturate stays a product, with its value.
  Symbol s = Dim::symbol("s", 0, 3);
  Dim product = Dim(s) * (int64_t{1} << 40) * (int64_t{1} << 40),
      other = Dim(s) * (int64_t{1} << 41) * (int64_t{1} << 40);
  EXPECT_EQ(evaluate(product, {{s->id, 0}}), 0);
  EXPECT_EQ(evaluate(product, {{s->id, 1}}), kDimMax);
  EXPECT_FALSE(known_equal(product, other));
  EXPECT_TRUE(known_less_equal(0, product));
}

}  // namespace
}  // namespace ingot
