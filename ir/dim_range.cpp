// What is provable about a Dim: bounds, and a <= b. See ir/dim.h.
//
// Constant bounds are interval arithmetic over the form with moduli. `a <= b` is `b - a >= 0`, proved by removing one
// atom after another, each replaced by the extreme that makes the rest smallest:
//
//   c*i + r,         i < n      c >= 0: i = 0; c <= 0: i = n - 1
//   c*(a mod b) + r             c >= 0: 0; c <= 0: b - 1
//   c*(a div b) + r             b*p = c*b*(a div b) + b*r, where a - b < b*(a div b) <= a
//   min, max, comparisons       both values
//
// and at the end by writing each atom x as lower(x) + t, t >= 0: then only negative coefficients need an upper bound.
// The number of steps is bounded (kProofSteps); running out means "not known".
#include <algorithm>

#include "ir/dim_internal.h"

namespace ingot {

using Term = Dim::Term;
using Atom = Dim::Atom;
using AtomKind = Dim::AtomKind;

constexpr int kProofSteps = 48;
constexpr size_t kMaxProofTerms = 48;     // longer sums have interval bounds only
constexpr size_t kMaxShiftDegree = 5;     // writing x = lower + t makes 2^degree terms of one
constexpr int kMaxModuliRounds = 64;

namespace {

// In an interval, lo = -kDimMax and hi = kDimMax are "not known"; everything else is a number.
bool unbounded(int64_t v) { return is_saturated(v); }
constexpr Interval kUnknown{-kDimMax, kDimMax};

// A lower bound that is too large, and an upper one that is too small, become the nearest numbers.
Interval interval(int64_t lo, int64_t hi) { return {std::min(lo, kDimMax - 1), std::max(hi, 1 - kDimMax)}; }

int64_t bound_add(int64_t a, int64_t b, int64_t infinity) {
  return a == infinity || b == infinity ? infinity : sat_add(a, b);
}

int64_t bound_mul(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  if (unbounded(a) || unbounded(b)) return (a < 0) == (b < 0) ? kDimMax : -kDimMax;
  return sat_mul(a, b);
}

Interval add(Interval a, Interval b) {
  return interval(bound_add(a.lo, b.lo, -kDimMax), bound_add(a.hi, b.hi, kDimMax));
}

Interval multiply(Interval a, Interval b) {
  int64_t c[] = {bound_mul(a.lo, b.lo), bound_mul(a.lo, b.hi), bound_mul(a.hi, b.lo), bound_mul(a.hi, b.hi)};
  return interval(*std::min_element(c, c + 4), *std::max_element(c, c + 4));
}

Interval of(const Dim& d) { return DimAccess::saturated(d) ? kUnknown : Interval{d.lower(), d.upper()}; }

int64_t divide_bound(int64_t a, int64_t b) {
  if (unbounded(a)) return a;
  if (unbounded(b)) return a < 0 ? -1 : 0;
  return floor_div(a, b);
}

Interval divided(Interval a, Interval b) {
  bool may_be_zero = b.lo <= 0;
  b.lo = std::max<int64_t>(b.lo, 1);
  b.hi = std::max<int64_t>(b.hi, b.lo);
  int64_t lo = std::min(divide_bound(a.lo, b.lo), divide_bound(a.lo, b.hi));
  int64_t hi = std::max(divide_bound(a.hi, b.lo), divide_bound(a.hi, b.hi));
  if (may_be_zero) lo = std::min<int64_t>(lo, 0), hi = std::max<int64_t>(hi, 0);
  return {lo, hi};
}

Interval of(const Atom& a) {
  switch (a.kind) {
    case AtomKind::Symbol: return interval(std::max(a.symbol->lo, -kDimMax), std::min(a.symbol->hi, kDimMax));
    case AtomKind::FloorDiv: return a.b.is(1) ? of(a.a) : divided(of(a.a), of(a.b));
    case AtomKind::Mod: {
      Interval x = of(a.a), b = of(a.b);
      int64_t hi = b.hi >= kDimMax ? kDimMax : std::max<int64_t>(b.hi - 1, 0);
      if (x.lo >= 0) hi = std::min(hi, x.hi);
      return {0, std::max<int64_t>(hi, 0)};
    }
    case AtomKind::Min: {
      Interval x = of(a.a), y = of(a.b);
      return {std::min(x.lo, y.lo), std::min(x.hi, y.hi)};
    }
    case AtomKind::Max: {
      Interval x = of(a.a), y = of(a.b);
      return {std::max(x.lo, y.lo), std::max(x.hi, y.hi)};
    }
    case AtomKind::Less:
    case AtomKind::Equal: break;
  }
  return {0, 1};
}

Interval of(const DimTerms& terms) {
  Interval sum{0, 0};
  for (const Term& t : terms) {
    Interval p{t.coefficient, t.coefficient};
    for (size_t i = 0; i < t.atoms.size(); ++i) {
      size_t n = 1;
      while (i + 1 < t.atoms.size() && t.atoms[i] == t.atoms[i + 1]) ++i, ++n;
      Interval x = of(t.atoms[i]), power = x;
      for (size_t k = 1; k < n; ++k) power = multiply(power, x);
      if (n % 2 == 0) power.lo = std::max<int64_t>(power.lo, 0);
      p = multiply(p, power);
    }
    sum = add(sum, p);
  }
  return sum;
}

// A lower bound by writing each atom as its lower bound plus something nonnegative.
int64_t shifted_lower(const DimTerms& terms) {
  DimTerms out;
  for (const Term& t : terms) {
    if (t.atoms.size() > kMaxShiftDegree) return -kDimMax;
    DimTerms p{Term{t.coefficient, {}}};
    for (const Atom& a : t.atoms) {
      int64_t lo = of(a).lo;
      if (unbounded(lo)) return -kDimMax;
      DimTerms factor{Term{1, {a}}};
      if (lo != 0) factor.push_back(Term{lo, {}});
      p = product(p, factor);
    }
    out.insert(out.end(), p.begin(), p.end());
    if (out.size() > 4 * kMaxProofTerms) return -kDimMax;
  }
  normalise(out);
  int64_t sum = 0;
  for (const Term& t : out) {
    if (is_saturated(t.coefficient)) return -kDimMax;
    if (t.coefficient > 0 && !t.atoms.empty()) continue;
    int64_t p = t.coefficient;
    for (const Atom& a : t.atoms) {
      Interval r = of(a);
      p = bound_mul(p, unbounded(r.hi) ? kDimMax : r.hi - r.lo);
    }
    sum = bound_add(sum, p, -kDimMax);
  }
  return std::min(sum, kDimMax - 1);
}

bool shares_atoms(const DimTerms& terms) {
  size_t products = 0;
  for (const Term& t : terms) products += !t.atoms.empty();
  return products > 1;
}

// Which division each Mod atom came from.
using Moduli = std::vector<std::pair<Atom, Atom>>;

DimTerms find_moduli(const Dim& d, Moduli& found);

Dim expand(const DimTerms& terms, const Moduli& moduli) {
  DimTerms plain;
  Dim sum;
  for (const Term& t : terms) {
    Term kept{t.coefficient, {}};
    Dim factor(1);
    for (const Atom& a : t.atoms) {
      auto from = std::find_if(moduli.begin(), moduli.end(), [&](const auto& m) { return m.first == a; });
      if (from != moduli.end()) factor *= a.a - a.b * DimAccess::from_atom(from->second);
      else kept.atoms.push_back(a);
    }
    if (kept.atoms.size() == t.atoms.size()) plain.push_back(std::move(kept));
    else sum += factor * DimAccess::from_term(std::move(kept));
  }
  return sum + DimAccess::from_terms(std::move(plain));
}

Term without_atom(const Term& t, size_t removed) {
  Term rest{t.coefficient, {}};
  for (size_t i = 0; i < t.atoms.size(); ++i)
    if (i != removed) rest.atoms.push_back(t.atoms[i]);
  return rest;
}

bool mentions(const Dim& d, const Atom& atom) {
  if (atom.kind == AtomKind::Symbol) return depends_on(d, atom.symbol);
  if (DimAccess::depth(d) == 0) return false;
  for (const Term& t : d.terms())
    for (const Atom& a : t.atoms)
      if (a.kind != AtomKind::Symbol && (a == atom || mentions(a.a, atom) || mentions(a.b, atom))) return true;
  return false;
}

class Prover {
 public:
  bool nonnegative(const Dim& p) {
    if (DimAccess::saturated(p)) return false;
    if (p.lower() >= 0) return true;
    if (p.upper() < 0 || --steps_ < 0 || p.terms().size() > kMaxProofTerms) return false;
    Moduli moduli;
    DimTerms terms = find_moduli(p, moduli);
    for (const Atom& a : candidates(terms))
      if (auto split = affine(terms, a, moduli))
        if (auto proved = eliminate(a, split->coefficient, split->rest)) return *proved;
    return false;
  }

 private:
  // Atoms in the order in which they are removed: symbols that no other atom mentions, innermost first (nothing is
  // lost by that), then compound atoms, deepest first.
  static std::vector<Atom> candidates(const DimTerms& terms) {
    std::vector<Atom> all;
    for (const Term& t : terms)
      for (const Atom& a : t.atoms)
        if (std::find(all.begin(), all.end(), a) == all.end()) all.push_back(a);
    std::map<int64_t, Symbol> inside;  // symbols in compound atoms, and in the extents of any
    for (const Atom& a : all) {
      if (a.kind != AtomKind::Symbol) collect_symbols(a.a, inside), collect_symbols(a.b, inside);
      else if (a.symbol->extent) collect_symbols(*a.symbol->extent, inside);
    }
    for (bool grown = true; grown;) {
      std::map<int64_t, Symbol> more = inside;
      for (const auto& [id, s] : inside)
        if (s->extent) collect_symbols(*s->extent, more);
      grown = more.size() != inside.size();
      inside = std::move(more);
    }
    std::vector<std::pair<int64_t, Atom>> ranked;
    for (const Atom& a : all) {
      if (a.kind != AtomKind::Symbol) ranked.emplace_back(-std::max(DimAccess::depth(a.a), DimAccess::depth(a.b)), a);
      else if (!inside.contains(a.symbol->id))
        ranked.emplace_back(-1000 - a.symbol->id - (a.symbol->extent ? INT64_MAX / 2 : 0), a);
    }
    std::sort(ranked.begin(), ranked.end(), [](const auto& x, const auto& y) {
      return x.first != y.first ? x.first < y.first : compare(x.second, y.second) < 0;
    });
    std::vector<Atom> out;
    for (auto& [rank, a] : ranked) out.push_back(std::move(a));
    return out;
  }

  // terms = coefficient*a + rest, with neither containing a.
  static std::optional<Affine> affine(const DimTerms& terms, const Atom& a, const Moduli& moduli) {
    DimTerms coefficient, rest;
    for (const Term& t : terms) {
      size_t at = t.atoms.size();
      for (size_t i = 0; i < t.atoms.size(); ++i) {
        if (t.atoms[i] == a) {
          if (at != t.atoms.size()) return std::nullopt;
          at = i;
        } else if (t.atoms[i].kind != AtomKind::Symbol && (mentions(t.atoms[i].a, a) || mentions(t.atoms[i].b, a))) {
          return std::nullopt;
        }
      }
      if (at != t.atoms.size()) coefficient.push_back(without_atom(t, at));
      else rest.push_back(t);
    }
    return Affine{expand(coefficient, moduli), expand(rest, moduli)};
  }

  int sign(const Dim& c) {
    if (c.lower() >= 0) return 1;
    if (c.upper() <= 0) return -1;
    if (nonnegative(c)) return 1;
    return nonnegative(-c) ? -1 : 0;
  }

  // Whether p = c*a + r >= 0; none where a cannot be removed.
  std::optional<bool> eliminate(const Atom& a, const Dim& c, const Dim& r) {
    switch (a.kind) {
      case AtomKind::Symbol: {
        int s = sign(c);
        if (s == 0) return std::nullopt;
        Dim extreme;
        if (s > 0) {
          if (unbounded(a.symbol->lo)) return std::nullopt;
          extreme = Dim(a.symbol->lo);
        } else if (a.symbol->extent && !DimAccess::saturated(*a.symbol->extent)) {
          extreme = *a.symbol->extent - Dim(1);
        } else if (!unbounded(a.symbol->hi)) {
          extreme = Dim(a.symbol->hi);
        } else {
          return std::nullopt;
        }
        return nonnegative(r + c * extreme);
      }
      case AtomKind::Mod: {
        int s = sign(c);
        if (s == 0) return std::nullopt;
        return nonnegative(s > 0 ? r : r + c * (a.b - Dim(1)));
      }
      case AtomKind::FloorDiv: {
        if (a.b.is(1) || a.b.lower() < 0) return std::nullopt;
        int s = sign(c);
        if (s == 0) return std::nullopt;
        Dim slack = a.b - Dim(1);  // p is an integer: p >= 0 where b*p >= -(b-1)
        return nonnegative(a.b * r + c * (s > 0 ? a.a - slack : a.a) + slack);
      }
      case AtomKind::Min:
      case AtomKind::Max: {
        int s = c.lower() >= 0 ? 1 : c.upper() <= 0 ? -1 : 0;
        bool either = s == (a.kind == AtomKind::Max ? 1 : -1);
        bool first = nonnegative(r + c * a.a);
        if (first == either) return first;
        return nonnegative(r + c * a.b);
      }
      case AtomKind::Less:
      case AtomKind::Equal: return nonnegative(r) && nonnegative(r + c);
    }
    return std::nullopt;
  }

  int steps_ = kProofSteps;
};

// Tries to write the term k*P*(a div B) of `terms` with a modulus: -c*q*P*(f div q) + c*P*f -> c*P*(f mod q), where f is a
// itself and q is B, or f is another term (a2 div b) (plus k) with B = b*q.
bool use_modulus(DimTerms& terms, size_t at, Moduli& moduli) {
  const Term t = terms[at];
  for (size_t i = 0; i < t.atoms.size(); ++i) {
    if (t.atoms[i].kind != AtomKind::FloorDiv || t.atoms[i].b.is(1)) continue;
    const Atom& division = t.atoms[i];
    std::vector<Atom> others = t.atoms;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    Dim outer = DimAccess::from_term(Term{t.coefficient, others});

    std::vector<std::pair<Dim, Dim>> forms{{division.a, division.b}};
    for (const Term& u : terms) {
      for (const Atom& f : u.atoms) {
        if (f.kind != AtomKind::FloorDiv || f == division || f.b.is(1)) continue;
        Division q = divide(division.b, f.b);
        if (!q.remainder.is(0) || q.quotient.is(1)) continue;
        Division k = divide(division.a - f.a, f.b);
        if (k.remainder.is(0)) forms.emplace_back(DimAccess::from_atom(f) + k.quotient, q.quotient);
      }
    }
    for (const auto& [f, q] : forms) {
      Division c = divide(outer, q);
      if (!c.remainder.is(0) || c.quotient.is(0)) continue;
      Dim taken = -c.quotient * f;  // must be among the terms, with the same signs
      bool fits = true;
      DimTerms storage;
      for (const Term& x : DimAccess::terms(taken, storage)) {
        if (x.atoms.empty()) continue;
        auto y = std::find_if(terms.begin(), terms.end(),
                              [&](const Term& y) { return compare_atoms(x.atoms, y.atoms) == 0; });
        fits = fits && y != terms.end() && (y->coefficient > 0) == (x.coefficient > 0) &&
               std::abs(y->coefficient) >= std::abs(x.coefficient);
      }
      if (!fits) continue;
      DimTerms out = terms;
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(at));
      for (const Term& x : DimAccess::terms(taken, storage)) out.push_back(Term{-x.coefficient, x.atoms});
      DimTerms cs;
      Atom mod{AtomKind::Mod, nullptr, f, q};
      DimTerms modulus{Term{1, {mod}}};
      moduli.emplace_back(mod, division);
      for (Term& x : product(DimAccess::terms(-c.quotient, cs), modulus)) out.push_back(std::move(x));
      normalise(out);
      if (std::any_of(out.begin(), out.end(), [](const Term& x) { return is_saturated(x.coefficient); })) continue;
      terms = std::move(out);
      return true;
    }
  }
  return false;
}

DimTerms find_moduli(const Dim& d, Moduli& moduli) {
  DimTerms storage;
  DimTerms terms = DimAccess::terms(d, storage);
  if (DimAccess::depth(d) == 0 || terms.size() < 2 || terms.size() > kMaxProofTerms) return terms;
  bool changed = true;
  for (int round = 0; changed && round < kMaxModuliRounds; ++round) {
    changed = false;
    for (size_t i = 0; i < terms.size() && !changed; ++i) changed = use_modulus(terms, i, moduli);
  }
  return terms;
}

}  // namespace

DimTerms with_moduli(const Dim& d) {
  Moduli moduli;
  return find_moduli(d, moduli);
}

Interval DimAccess::bounds(const Dim& d) {
  if (saturated(d)) return kUnknown;
  DimTerms terms = with_moduli(d);
  Interval i = of(terms);
  if (unbounded(i.lo) && shares_atoms(terms)) i.lo = std::max(i.lo, shifted_lower(terms));
  if (unbounded(i.hi) && shares_atoms(terms)) {
    for (Term& t : terms) t.coefficient = -t.coefficient;
    i.hi = std::min(i.hi, -shifted_lower(terms));
  }
  return i;
}

// A saturated constant is beyond everything that is not saturated; of two, only the sign is known.
bool known_less_equal(const Dim& a, const Dim& b) {
  bool sa = DimAccess::saturated(a), sb = DimAccess::saturated(b);
  if (sa || sb) return (b.is(kDimMax) && (!sa || a.is(-kDimMax))) || (a.is(-kDimMax) && !sb);
  if (a.is_constant() && b.is_constant()) return a.value() <= b.value();
  return a == b || Prover().nonnegative(b - a);
}

bool known_less(const Dim& a, const Dim& b) {
  bool sa = DimAccess::saturated(a), sb = DimAccess::saturated(b);
  if (sa || sb) {
    return (b.is(kDimMax) && (a.is(-kDimMax) || (!sa && a.upper() < kDimMax))) ||
           (a.is(-kDimMax) && !sb && b.lower() > -kDimMax);
  }
  if (a.is_constant() && b.is_constant()) return a.value() < b.value();
  return a != b && Prover().nonnegative(b - a - Dim(1));
}

}  // namespace ingot
