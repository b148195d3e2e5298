// floordiv, mod, min, max and comparisons: what simplifies with facts. See ir/dim.h.
//
//   (b*q + r) div b        -> q + r div b                    exactly, term by term
//   r div b                -> k                              where k*b <= r < (k+1)*b is provable
//   (g*x + r) div (g*b)    -> (x + r div g) div b            where r div g is known
//   (x + y div b) div c    -> (b*x + y) div (b*c)
//   a mod b                -> a - b*(a div b)
#include <algorithm>

#include "ir/dim_internal.h"

namespace ingot {

using Term = Dim::Term;
using Atom = Dim::Atom;
using AtomKind = Dim::AtomKind;

// The third rule tries each monomial that a term shares with the divisor: at most this many terms, to this depth.
constexpr size_t kMaxFactorTerms = 16;
constexpr int kMaxFactorDepth = 3;

std::optional<std::vector<Atom>> divide_atoms(const std::vector<Atom>& a, const std::vector<Atom>& b) {
  if (b.size() > a.size()) return std::nullopt;
  std::vector<Atom> out;
  size_t j = 0;
  for (const Atom& x : a) {
    if (j < b.size() && compare(x, b[j]) == 0) ++j;
    else out.push_back(x);
  }
  if (j != b.size()) return std::nullopt;
  return out;
}

std::vector<Atom> common_atoms(const std::vector<Atom>& a, const std::vector<Atom>& b) {
  std::vector<Atom> out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out),
                        [](const Atom& x, const Atom& y) { return compare(x, y) < 0; });
  return out;
}

namespace {

const Term* as_monomial(const Dim& d, DimTerms& storage) {
  const DimTerms& t = DimAccess::terms(d, storage);
  return t.size() == 1 ? &t[0] : nullptr;
}

Division divide_by_monomial(const DimTerms& a, const Term& b) {
  DimTerms q, r;
  for (const Term& t : a) {
    auto rest = divide_atoms(t.atoms, b.atoms);
    if (!rest) {
      r.push_back(t);
      continue;
    }
    bool floor = t.atoms.empty();  // a constant goes into [0, b); other remainders keep their sign
    int64_t k = floor ? floor_div(t.coefficient, b.coefficient) : t.coefficient / b.coefficient;
    int64_t left = t.coefficient - k * b.coefficient;
    if (k != 0) q.push_back(Term{k, std::move(*rest)});
    if (left != 0) r.push_back(Term{left, t.atoms});
  }
  return {DimAccess::from_terms(std::move(q)), DimAccess::from_terms(std::move(r))};
}

Division divide_by_polynomial(const Dim& a, const Dim& b) {
  const Term& lead = b.terms()[0];
  Division out{Dim(0), a};
  for (size_t i = 0; i < kMaxDimTerms; ++i) {
    DimTerms storage;
    const DimTerms& terms = DimAccess::terms(out.remainder, storage);
    bool found = false;
    for (const Term& t : terms) {
      auto rest = divide_atoms(t.atoms, lead.atoms);
      int64_t k = t.coefficient / lead.coefficient;
      if (!rest || k == 0) continue;
      Dim m = DimAccess::from_term(Term{k, std::move(*rest)});
      Dim next = out.remainder - m * b;
      DimTerms other;
      if (DimAccess::terms(next, other).size() >= terms.size()) continue;
      out.quotient += m;
      out.remainder = next;
      found = true;
      break;
    }
    if (!found) break;
  }
  return out;
}

// The k with k*b <= r < (k+1)*b, where one is known.
std::optional<int64_t> known_quotient(const Dim& r, const Dim& b) {
  if (r.is(0)) return 0;
  if (auto c = b.constant()) {
    int64_t lo = r.lower(), hi = r.upper();
    if (lo > -kDimMax && hi < kDimMax && floor_div(lo, *c) == floor_div(hi, *c)) return floor_div(lo, *c);
  }
  if (r.upper() >= 0 && known_less_equal(Dim(0), r)) {
    if (known_less(r, b)) return 0;
  } else if (r.upper() < 0 && known_less_equal(-b, r)) {
    return -1;
  }
  return std::nullopt;
}

bool has_division(const Dim& d) {
  DimTerms storage;
  for (const Term& t : DimAccess::terms(d, storage))
    for (const Atom& a : t.atoms)
      if (a.kind == AtomKind::FloorDiv) return true;
  return false;
}

Dim floordiv_in(const Dim& a, const Dim& b, int depth);

// (g*x + r) div (g*c) -> (x + r div g) div c.
std::optional<Dim> divide_out_factor(const Dim& a, const Term& b, int depth) {
  const DimTerms& terms = a.terms();
  if (depth >= kMaxFactorDepth || terms.size() > kMaxFactorTerms) return std::nullopt;
  std::vector<Term> tried;
  for (const Term& s : terms) {
    if (s.atoms.empty()) continue;
    Term g{std::gcd(s.coefficient, b.coefficient), common_atoms(s.atoms, b.atoms)};
    if (g.coefficient == 1 && g.atoms.empty()) continue;
    if (g.coefficient == b.coefficient && g.atoms.size() == b.atoms.size()) continue;
    if (std::any_of(tried.begin(), tried.end(), [&](const Term& t) {
          return t.coefficient == g.coefficient && compare_atoms(t.atoms, g.atoms) == 0;
        }))
      continue;
    tried.push_back(g);
    DimTerms x, r;
    for (const Term& t : terms) {
      auto rest = divide_atoms(t.atoms, g.atoms);
      if (rest && t.coefficient % g.coefficient == 0)
        x.push_back(Term{t.coefficient / g.coefficient, std::move(*rest)});
      else r.push_back(t);
    }
    Dim g_dim = DimAccess::from_term(g);
    if (g_dim.lower() < 0) continue;  // g*c is positive: with g >= 0 both are
    Dim carried = floordiv_in(DimAccess::from_terms(std::move(r)), g_dim, depth + 1);
    if (has_division(carried)) continue;
    Dim c = DimAccess::from_term(Term{b.coefficient / g.coefficient, *divide_atoms(b.atoms, g.atoms)});
    return floordiv_in(DimAccess::from_terms(std::move(x)) + carried, c, depth + 1);
  }
  return std::nullopt;
}

// (x + y div b) div c -> (b*x + y) div (b*c).
std::optional<Dim> flatten(const Dim& a, const Term& c) {
  for (const Term& t : a.terms()) {
    if (t.coefficient != 1 || t.atoms.size() != 1 || t.atoms[0].kind != AtomKind::FloorDiv) continue;
    const Atom& inner = t.atoms[0];
    DimTerms storage;
    const Term* b = as_monomial(inner.b, storage);
    if (!b || inner.b.is(1) || sat_mul(b->coefficient, c.coefficient) >= kDimMax) continue;
    Dim x = a - DimAccess::from_atom(inner);
    Dim flat = x * inner.b + inner.a;
    if (DimAccess::saturated(flat)) continue;
    return floordiv(flat, inner.b * DimAccess::from_term(c));
  }
  return std::nullopt;
}

// For a constant divisor, other remainders of the same value: (63*i + 63) div 64 is i + (63 - i) div 64.
std::optional<Dim> other_remainders(const Dim& r, int64_t b) {
  for (bool negative : {true, false}) {
    Dim q(0), rest = r;
    for (const Term& t : r.terms()) {
      if (t.atoms.empty() || (negative ? t.coefficient <= b / 2 : t.coefficient >= 0)) continue;
      Dim m = DimAccess::from_term(Term{1, t.atoms});
      Dim k(negative ? 1 : -1);
      q += k * m;
      rest = rest - k * m * Dim(b);
    }
    if (q.is(0)) continue;
    if (auto k = known_quotient(rest, Dim(b))) return q + Dim(*k);
  }
  return std::nullopt;
}

Dim floordiv_in(const Dim& a, const Dim& b, int depth) {
  if (auto c = b.constant()) {
    if (*c == 0) return Dim(0);
    if (*c == 1) return a;
  }
  if (DimAccess::saturated(a) || DimAccess::saturated(b)) return too_large();
  if (auto c = b.constant()) {
    if (*c < 0) return floordiv_in(-a, Dim(-*c), depth);
    if (auto v = a.constant()) return Dim(floor_div(*v, *c));
  }
  if (a.is(0)) return Dim(0);
  auto [q, r] = divide(a, b);
  if (auto k = known_quotient(r, b)) return q + Dim(*k);
  if (r.is_constant()) return q + atom_dim(AtomKind::FloorDiv, r, b);
  if (auto c = b.constant())
    if (auto d = other_remainders(r, *c)) return q + *d;
  DimTerms storage;
  if (const Term* m = as_monomial(b, storage); m && m->coefficient > 0) {
    if (auto d = divide_out_factor(r, *m, depth)) return q + *d;
    if (auto d = flatten(r, *m)) return q + *d;
  }
  return q + atom_dim(AtomKind::FloorDiv, r, b);
}

Dim extreme(AtomKind kind, const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (known_less_equal(a, b)) return kind == AtomKind::Min ? a : b;
  if (known_less_equal(b, a)) return kind == AtomKind::Min ? b : a;
  return compare(a, b) <= 0 ? atom_dim(kind, a, b) : atom_dim(kind, b, a);
}

bool are_numbers(const Dim& a, const Dim& b) {
  return a.is_constant() && b.is_constant() && !DimAccess::saturated(a) && !DimAccess::saturated(b);
}

// x - y with the positive terms on the left, the negative ones and the constant on the right.
std::pair<Dim, Dim> balance(const Dim& x, const Dim& y) {
  Dim d = x - y;
  DimTerms storage, left, right;
  for (const Term& t : DimAccess::terms(d, storage)) {
    if (t.coefficient > 0 && !t.atoms.empty()) left.push_back(t);
    else right.push_back(Term{-t.coefficient, t.atoms});
  }
  return {DimAccess::from_terms(std::move(left)), DimAccess::from_terms(std::move(right))};
}

}  // namespace

Division divide(const Dim& a, const Dim& b) {
  DimTerms sa, sb;
  if (const Term* m = as_monomial(b, sb)) return divide_by_monomial(DimAccess::terms(a, sa), *m);
  return divide_by_polynomial(a, b);
}

Dim floordiv(const Dim& a, const Dim& b) { return floordiv_in(a, b, 0); }
Dim mod(const Dim& a, const Dim& b) {
  if (are_numbers(a, b)) return Dim(a.value() - b.value() * floor_div(a.value(), b.value()));
  return a - b * floordiv(a, b);
}
Dim ceildiv(const Dim& a, const Dim& b) {
  if (are_numbers(a, b)) return Dim(floor_div(a.value() + b.value() - 1, b.value()));
  return floordiv(a + b - Dim(1), b);
}
Dim min(const Dim& a, const Dim& b) { return extreme(AtomKind::Min, a, b); }
Dim max(const Dim& a, const Dim& b) { return extreme(AtomKind::Max, a, b); }
Dim abs(const Dim& a) { return max(a, -a); }

Dim less(const Dim& a, const Dim& b) {
  if (known_less(a, b)) return Dim(1);
  if (known_less_equal(b, a)) return Dim(0);
  auto [x, y] = balance(a, b);
  return atom_dim(AtomKind::Less, x, y);
}

Dim equal(const Dim& a, const Dim& b) {
  if (a == b && !DimAccess::saturated(a)) return Dim(1);
  if (known_less(a, b) || known_less(b, a)) return Dim(0);
  auto [x, y] = (a - b).terms()[0].coefficient > 0 ? balance(a, b) : balance(b, a);
  return compare(x, y) <= 0 ? atom_dim(AtomKind::Equal, x, y) : atom_dim(AtomKind::Equal, y, x);
}

Dim select(const Dim& condition, const Dim& then, const Dim& otherwise) {
  Dim difference = then - otherwise;
  if (DimAccess::saturated(difference)) return condition * then + (Dim(1) - condition) * otherwise;
  return otherwise + condition * difference;
}

bool known_equal(const Dim& a, const Dim& b) { return known_less_equal(a, b) && known_less_equal(b, a); }

bool known_divisible(const Dim& a, const Dim& b) {
  if (b.is(0)) return false;
  if (b.is(1) || a.is(0)) return true;
  if (DimAccess::saturated(a) || DimAccess::saturated(b)) return false;
  return divide(a, b).remainder.is(0);
}

}  // namespace ingot
