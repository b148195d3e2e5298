// What the files that implement ir/dim.h share: the node, saturating arithmetic, monomials, the form with moduli.
#pragma once

#include <atomic>
#include <numeric>

#include "ir/dim.h"

namespace ingot {

// Expressions come from strangers' models. A sum of more than kMaxDimTerms terms, or a product of more than
// kMaxDimDegree atoms, becomes one opaque atom `x div 1`, which has the same value but is not multiplied out. An
// expression of more than kMaxDimSize atoms (written as a tree) or nested deeper than kMaxDimDepth becomes a fresh
// symbol `too_complex` that nothing binds, so that whoever needs its value reports an error.
// What reads text makes `x div 1` with opaque(), so that the text reads back to the same expression.
inline constexpr size_t kMaxDimTerms = 256;
inline constexpr size_t kMaxDimDegree = 24;
inline constexpr int kMaxDimSize = 4096;
inline constexpr int kMaxDimDepth = 64;

Dim opaque(const Dim& x);  // x div 1; a constant itself, unless it is saturated
Dim too_large();  // what is computed from a saturated Dim

using DimTerms = std::vector<Dim::Term>;

inline int64_t saturate(__int128 v) {
  return v > kDimMax ? kDimMax : v < -kDimMax ? -kDimMax : static_cast<int64_t>(v);
}
inline bool is_saturated(int64_t v) { return v >= kDimMax || v <= -kDimMax; }
// What is saturated stays so, also where the other has another sign.
inline int64_t sat_add(int64_t a, int64_t b) {
  return is_saturated(a) ? a : is_saturated(b) ? b : saturate(static_cast<__int128>(a) + b);
}
inline int64_t sat_mul(int64_t a, int64_t b) { return saturate(static_cast<__int128>(a) * b); }
template <typename T>
T floor_div(T a, T b) {
  if (b == 0) return 0;
  T q = a / b;
  return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

int compare(const Dim::Atom& a, const Dim::Atom& b);
int compare_atoms(const std::vector<Dim::Atom>& a, const std::vector<Dim::Atom>& b);  // longer first: constants last
inline bool operator==(const Dim::Atom& a, const Dim::Atom& b) { return compare(a, b) == 0; }

void normalise(DimTerms& terms);  // sorts, merges, drops zeros
DimTerms product(const DimTerms& a, const DimTerms& b);

struct Interval {
  int64_t lo, hi;
};

struct DimAccess {
  static Dim from_terms(DimTerms t) { return Dim::from_terms(std::move(t)); }
  static Dim from_atom(Dim::Atom a) { return Dim::from_atom(std::move(a)); }
  static Dim from_term(Dim::Term t) {
    DimTerms terms;
    terms.push_back(std::move(t));
    return Dim::from_terms(std::move(terms));
  }
  // The terms, in `storage` where d is a constant.
  static const DimTerms& terms(const Dim& d, DimTerms& storage);
  static const void* identity(const Dim& d) { return d.node_.get(); }
  static uint64_t symbol_mask(const Dim& d);
  static int depth(const Dim& d);
  static bool saturated(const Dim& d);  // a constant anywhere in it is
  static int size(const Dim& d);
  static Interval bounds(const Dim& d);
};

inline Dim atom_dim(Dim::AtomKind kind, const Dim& a, const Dim& b) {
  return DimAccess::from_atom(Dim::Atom{kind, nullptr, a, b});
}

// Monomials: a / b where b's atoms are among a's (coefficients aside); the common atoms.
std::optional<std::vector<Dim::Atom>> divide_atoms(const std::vector<Dim::Atom>& a, const std::vector<Dim::Atom>& b);
std::vector<Dim::Atom> common_atoms(const std::vector<Dim::Atom>& a, const std::vector<Dim::Atom>& b);

// a = b*quotient + remainder, exactly; no facts used.
struct Division {
  Dim quotient, remainder;
};
Division divide(const Dim& a, const Dim& b);

}  // namespace ingot
