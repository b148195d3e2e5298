// Canonical polynomials. See ir/dim.h.
//
// A modulus is kept as a - b*(a div b). With that, the sums that compositions of reshapes produce,
// (e div 768)*768 + ((e div 64) mod 12)*64 + e mod 64, cancel to e by plain addition: no rule recognises them. What pays for it is
// `with_moduli`, which finds the pairs again for ranges and for printing (ir/dim_range.cpp). Terms are in lexicographic
// order of their atoms, which is an admissible monomial order, so that division by a polynomial works on leading terms.
#include "ir/dim.h"

#include <algorithm>
#include <cassert>
#include <mutex>

#include "ir/dim_internal.h"

namespace ingot {

using Term = Dim::Term;
using Atom = Dim::Atom;
using AtomKind = Dim::AtomKind;

namespace {
constexpr int64_t kNotComputed = INT64_MIN;

uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2);
  return h * 0xff51afd7ed558ccdull;
}
}  // namespace

struct Dim::Node {
  DimTerms terms;
  uint64_t hash = 0;
  uint64_t symbols = 0;  // bit id % 64 for each symbol inside
  int size = 0, depth = 0;
  bool saturated = false;
  mutable std::atomic<int64_t> lower{kNotComputed}, upper{kNotComputed};
};

int compare(const Atom& a, const Atom& b) {
  if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
  if (a.kind == AtomKind::Symbol) return a.symbol->id == b.symbol->id ? 0 : a.symbol->id < b.symbol->id ? -1 : 1;
  if (int c = compare(a.a, b.a)) return c;
  return compare(a.b, b.b);
}

int compare_atoms(const std::vector<Atom>& a, const std::vector<Atom>& b) {
  for (size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (int c = compare(a[i], b[i])) return c;
  return a.size() == b.size() ? 0 : a.size() > b.size() ? -1 : 1;
}

int compare(const Dim& a, const Dim& b) {
  if (a.node_ == b.node_) return a.node_ || a.small_ == b.small_ ? 0 : a.small_ < b.small_ ? -1 : 1;
  DimTerms sa, sb;
  const DimTerms &x = DimAccess::terms(a, sa), &y = DimAccess::terms(b, sb);
  for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
    if (int c = compare_atoms(x[i].atoms, y[i].atoms)) return c;
    if (x[i].coefficient != y[i].coefficient) return x[i].coefficient < y[i].coefficient ? -1 : 1;
  }
  return x.size() == y.size() ? 0 : x.size() < y.size() ? -1 : 1;
}

bool operator==(const Dim& a, const Dim& b) {
  if (a.node_ == b.node_) return a.node_ || a.small_ == b.small_;
  if (!a.node_ || !b.node_) return false;
  return a.node_->hash == b.node_->hash && compare(a, b) == 0;
}

const DimTerms& DimAccess::terms(const Dim& d, DimTerms& storage) {
  if (d.node_) return d.node_->terms;
  if (d.small_ != 0) storage.assign(1, Term{d.small_, {}});
  return storage;
}
uint64_t DimAccess::symbol_mask(const Dim& d) { return d.node_ ? d.node_->symbols : 0; }
int DimAccess::depth(const Dim& d) { return d.node_ ? d.node_->depth : 0; }
int DimAccess::size(const Dim& d) { return d.node_ ? d.node_->size : 1; }
bool DimAccess::saturated(const Dim& d) { return d.node_ ? d.node_->saturated : is_saturated(d.small_); }

void normalise(DimTerms& terms) {
  auto before = [](const Term& a, const Term& b) { return compare_atoms(a.atoms, b.atoms) < 0; };
  if (!std::is_sorted(terms.begin(), terms.end(), before)) std::sort(terms.begin(), terms.end(), before);
  size_t n = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (n > 0 && compare_atoms(terms[n - 1].atoms, terms[i].atoms) == 0) {
      terms[n - 1].coefficient = sat_add(terms[n - 1].coefficient, terms[i].coefficient);
    } else {
      if (n > 0 && terms[n - 1].coefficient == 0) --n;
      if (n != i) terms[n] = std::move(terms[i]);
      ++n;
    }
  }
  if (n > 0 && terms[n - 1].coefficient == 0) --n;
  terms.resize(n);
}

Dim Dim::from_terms(DimTerms terms) {
  normalise(terms);
  if (terms.empty()) return Dim(0);
  if (terms.size() == 1 && terms[0].atoms.empty()) return Dim(terms[0].coefficient);
  auto node = std::make_shared<Node>();
  int64_t size = 0;
  for (const Term& t : terms) {
    node->hash = mix(node->hash, static_cast<uint64_t>(t.coefficient));
    size += 1;
    node->saturated = node->saturated || is_saturated(t.coefficient);
    for (const Atom& a : t.atoms) {
      node->hash = mix(node->hash, static_cast<uint64_t>(a.kind) + 1);
      if (a.kind == AtomKind::Symbol) {
        node->hash = mix(node->hash, static_cast<uint64_t>(a.symbol->id));
        node->symbols |= 1ull << (a.symbol->id & 63);
        size += 1;
      } else {
        node->hash = mix(mix(node->hash, a.a.hash()), a.b.hash());
        node->symbols |= DimAccess::symbol_mask(a.a) | DimAccess::symbol_mask(a.b);
        node->depth = std::max(node->depth, 1 + std::max(DimAccess::depth(a.a), DimAccess::depth(a.b)));
        node->saturated = node->saturated || DimAccess::saturated(a.a) || DimAccess::saturated(a.b);
        size += 1 + DimAccess::size(a.a) + DimAccess::size(a.b);
      }
    }
  }
  if (size > kMaxDimSize || node->depth > kMaxDimDepth) return Dim(symbol("too_complex", -kDimMax, kDimMax));
  node->size = static_cast<int>(size);
  node->terms = std::move(terms);
  bool too_long = node->terms.size() > kMaxDimTerms;
  Dim d(std::shared_ptr<const Node>(std::move(node)));
  return too_long ? from_atom(Atom{AtomKind::FloorDiv, nullptr, d, Dim(1)}) : d;
}

Dim Dim::from_atom(Atom a) {
  Term t{1, {}};
  t.atoms.push_back(std::move(a));
  DimTerms terms;
  terms.push_back(std::move(t));
  return from_terms(std::move(terms));
}

Dim::Dim(int64_t constant) : small_(std::clamp(constant, -kDimMax, kDimMax)) {}
Dim::Dim(const Symbol& s) : Dim(from_atom(Atom{AtomKind::Symbol, s, {}, {}})) {}

namespace {
int64_t next_symbol_id() {
  static std::atomic<int64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

Symbol Dim::symbol(std::string name, int64_t lo, int64_t hi) {
  return std::make_shared<SymbolInfo>(SymbolInfo{next_symbol_id(), std::move(name), lo, std::max(lo, hi), nullptr});
}

Symbol Dim::iterator(std::string name, const Dim& extent) {
  int64_t hi = extent.upper();
  if (hi < kDimMax) hi = std::max<int64_t>(hi - 1, 0);
  return std::make_shared<SymbolInfo>(
      SymbolInfo{next_symbol_id(), std::move(name), 0, hi, std::make_shared<const Dim>(extent)});
}

std::optional<int64_t> Dim::constant() const {
  if (node_) return std::nullopt;
  return small_;
}

int64_t Dim::value() const {
  assert(!node_ && "a constant is expected");
  return small_;
}

std::optional<Symbol> Dim::as_symbol() const {
  if (!node_ || node_->terms.size() != 1) return std::nullopt;
  const Term& t = node_->terms[0];
  if (t.coefficient != 1 || t.atoms.size() != 1 || t.atoms[0].kind != AtomKind::Symbol) return std::nullopt;
  return t.atoms[0].symbol;
}

const DimTerms& Dim::terms() const {
  if (node_) return node_->terms;
  static const DimTerms zero;
  if (small_ == 0) return zero;
  static std::mutex mutex;
  static std::map<int64_t, DimTerms> constants;  // kept for ever: the reference must stay valid
  std::lock_guard lock(mutex);
  DimTerms& t = constants[small_];
  if (t.empty()) t.push_back(Term{small_, {}});
  return t;
}

size_t Dim::hash() const { return node_ ? node_->hash : mix(0, static_cast<uint64_t>(small_)); }

Dim opaque(const Dim& d) {
  return d.is_constant() && !DimAccess::saturated(d) ? d : atom_dim(AtomKind::FloorDiv, d, Dim(1));
}

Dim too_large() { return opaque(Dim(kDimMax)); }

namespace {
bool has_saturated(const DimTerms& terms) {
  return std::any_of(terms.begin(), terms.end(), [](const Term& t) { return is_saturated(t.coefficient); });
}

// a + sign*b. Where a coefficient would saturate, a and b stay whole, so that the value is kept.
Dim add(const Dim& a, const Dim& b, int64_t sign) {
  if (DimAccess::saturated(a) || DimAccess::saturated(b)) return too_large();
  DimTerms sa, sb;
  const DimTerms &x = DimAccess::terms(a, sa), &y = DimAccess::terms(b, sb);
  DimTerms out;
  out.reserve(x.size() + y.size());
  size_t i = 0, j = 0;
  while (i < x.size() || j < y.size()) {
    int c = i == x.size() ? 1 : j == y.size() ? -1 : compare_atoms(x[i].atoms, y[j].atoms);
    if (c < 0) {
      out.push_back(x[i++]);
    } else if (c > 0) {
      out.push_back(y[j++]);
      out.back().coefficient *= sign;
    } else {
      int64_t sum = sat_add(x[i].coefficient, y[j].coefficient * sign);
      if (sum != 0) out.push_back(Term{sum, x[i].atoms});
      ++i, ++j;
    }
  }
  if (has_saturated(out)) return add(opaque(a), opaque(b), sign);
  return DimAccess::from_terms(std::move(out));
}

// The sum of constants: what a saturated one is part of is known only where the other does not pull it back.
Dim add(int64_t a, int64_t b) {
  if ((is_saturated(a) || is_saturated(b)) && a != 0 && b != 0 && (a < 0) != (b < 0)) return too_large();
  return Dim(sat_add(a, b));
}

size_t degree(const DimTerms& t) {
  size_t d = 0;
  for (const Term& x : t) d = std::max(d, x.atoms.size());
  return d;
}
}  // namespace

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.node_ && !b.node_) return add(a.small_, b.small_);
  if (a.is(0)) return b;
  if (b.is(0)) return a;
  return add(a, b, 1);
}

Dim operator-(const Dim& a, const Dim& b) {
  if (!a.node_ && !b.node_) return add(a.small_, -b.small_);
  if (b.is(0)) return a;
  return add(a, b, -1);
}

DimTerms product(const DimTerms& a, const DimTerms& b) {
  DimTerms out;
  out.reserve(a.size() * b.size());
  for (const Term& s : a) {
    for (const Term& t : b) {
      Term p{sat_mul(s.coefficient, t.coefficient), {}};
      p.atoms.reserve(s.atoms.size() + t.atoms.size());
      std::merge(s.atoms.begin(), s.atoms.end(), t.atoms.begin(), t.atoms.end(), std::back_inserter(p.atoms),
                 [](const Atom& x, const Atom& y) { return compare(x, y) < 0; });
      out.push_back(std::move(p));
    }
  }
  return out;
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.node_ && !b.node_) return Dim(sat_mul(a.small_, b.small_));
  if (a.is(0) || b.is(0)) return Dim(0);
  if (a.is(1)) return b;
  if (b.is(1)) return a;
  if (DimAccess::saturated(a) || DimAccess::saturated(b)) return too_large();
  DimTerms sa, sb;
  const DimTerms &x = DimAccess::terms(a, sa), &y = DimAccess::terms(b, sb);
  if (x.size() * y.size() <= 4 * kMaxDimTerms && degree(x) + degree(y) <= kMaxDimDegree) {
    DimTerms out = product(x, y);
    normalise(out);
    if (!has_saturated(out)) return DimAccess::from_terms(std::move(out));
  }
  Dim p = opaque(a), q = opaque(b);
  return DimAccess::from_terms(product(DimAccess::terms(p, sa), DimAccess::terms(q, sb)));
}

int64_t Dim::lower() const {
  if (!node_) return small_;
  int64_t v = node_->lower.load(std::memory_order_relaxed);
  if (v == kNotComputed) {
    Interval i = DimAccess::bounds(*this);
    node_->lower.store(v = i.lo, std::memory_order_relaxed);
    node_->upper.store(i.hi, std::memory_order_relaxed);
  }
  return v;
}

int64_t Dim::upper() const {
  if (!node_) return small_;
  int64_t v = node_->upper.load(std::memory_order_relaxed);
  if (v == kNotComputed) {
    Interval i = DimAccess::bounds(*this);
    node_->lower.store(i.lo, std::memory_order_relaxed);
    node_->upper.store(v = i.hi, std::memory_order_relaxed);
  }
  return v;
}

namespace {
// Comparisons have parts of their operands on the other side (`balance`): one that saturates decides nothing.
Dim rebuild(const Atom& a, const Dim& x, const Dim& y) {
  if ((a.kind == AtomKind::Less || a.kind == AtomKind::Equal) && (DimAccess::saturated(x) || DimAccess::saturated(y)))
    return too_large();
  switch (a.kind) {
    case AtomKind::Symbol: break;
    case AtomKind::FloorDiv: return floordiv(x, y);
    case AtomKind::Mod: return mod(x, y);
    case AtomKind::Min: return min(x, y);
    case AtomKind::Max: return max(x, y);
    case AtomKind::Less: return less(x, y);
    case AtomKind::Equal: return equal(x, y);
  }
  return Dim(a.symbol);
}

Dim substitute_in(const Dim& d, const Substitution& with, uint64_t mask) {
  if ((DimAccess::symbol_mask(d) & mask) == 0) return d;
  DimTerms unchanged;
  Dim changed;
  for (const Term& t : d.terms()) {
    Term kept{t.coefficient, {}};
    Dim factor(1);
    for (const Atom& a : t.atoms) {
      if (a.kind == AtomKind::Symbol) {
        if (auto it = with.find(a.symbol->id); it != with.end()) factor *= it->second;
        else kept.atoms.push_back(a);
      } else if (((DimAccess::symbol_mask(a.a) | DimAccess::symbol_mask(a.b)) & mask) != 0) {
        factor *= rebuild(a, substitute_in(a.a, with, mask), substitute_in(a.b, with, mask));
      } else {
        kept.atoms.push_back(a);
      }
    }
    if (factor.is(1)) unchanged.push_back(std::move(kept));
    else changed += factor * DimAccess::from_term(std::move(kept));
  }
  return changed + DimAccess::from_terms(std::move(unchanged));
}
}  // namespace

Dim substitute(const Dim& d, const Substitution& with) {
  uint64_t mask = 0;
  for (const auto& [id, replacement] : with) mask |= 1ull << (id & 63);
  return substitute_in(d, with, mask);
}

void collect_symbols(const Dim& d, std::map<int64_t, Symbol>& out) {
  if (d.is_constant()) return;
  for (const Term& t : d.terms()) {
    for (const Atom& a : t.atoms) {
      if (a.kind == AtomKind::Symbol) out.emplace(a.symbol->id, a.symbol);
      else collect_symbols(a.a, out), collect_symbols(a.b, out);
    }
  }
}

bool depends_on(const Dim& d, const Symbol& s) {
  if ((DimAccess::symbol_mask(d) & (1ull << (s->id & 63))) == 0) return false;
  for (const Term& t : d.terms())
    for (const Atom& a : t.atoms)
      if (a.kind == AtomKind::Symbol ? a.symbol->id == s->id : depends_on(a.a, s) || depends_on(a.b, s)) return true;
  return false;
}

std::optional<Affine> affine_in(const Dim& d, const Symbol& s) {
  if (!depends_on(d, s)) return Affine{Dim(0), d};
  DimTerms coefficient, rest;
  for (const Term& t : d.terms()) {
    Term kept{t.coefficient, {}};
    int found = 0;
    for (const Atom& a : t.atoms) {
      if (a.kind == AtomKind::Symbol && a.symbol->id == s->id) {
        ++found;
        continue;
      }
      if (a.kind != AtomKind::Symbol && (depends_on(a.a, s) || depends_on(a.b, s))) return std::nullopt;
      kept.atoms.push_back(a);
    }
    if (found > 1) return std::nullopt;
    (found ? coefficient : rest).push_back(std::move(kept));
  }
  return Affine{DimAccess::from_terms(std::move(coefficient)), DimAccess::from_terms(std::move(rest))};
}

Dim product(std::span<const Dim> dims) {
  Dim p(1);
  for (const Dim& d : dims) p *= d;
  return p;
}

}  // namespace ingot
