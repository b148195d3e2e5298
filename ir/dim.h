// Symbolic integer expressions: the extents of tensors, and the index maps of kernels.
//
// A Dim is a polynomial with 64-bit coefficients over atoms; an atom is a symbol, or a floor-division, modulus, minimum,
// maximum or comparison of two Dims. The polynomial is kept in a canonical form, so that + - * need no simplifier and
// two Dims are equal exactly when they print alike. `a mod b` is kept as a - b*(a div b), so that what reshapes take apart
// cancels when it is put together again; `with_moduli` finds the moduli for printing and code. Division and modulus simplify with the facts about their symbols
// (range, exclusive symbolic upper bound), which is what turns `(i*N + j) div N` into `i` after shapes were composed.
//
// Domain: what a Dim says holds of the integers, for all values of its symbols in their ranges for which every divisor is
// positive and every value that the expression goes through, as it was written, is below kDimMax in magnitude.
// A constant beyond that saturates: it is kDimMax, "too large", and never wraps. All that is known of a saturated constant
// is its sign, so that min(n, kDimMax) is n; what is computed from one, other than a larger one of the same sign, is one
// opaque value that is "too large" as well. Nothing saturated proves anything, and its bounds are unknown.
// A Dim is immutable, cheap to copy, and may be shared between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

inline constexpr int64_t kDimMax = INT64_MAX / 4;  // stands for "unbounded" in ranges and for overflow in constants

class Dim;
struct SymbolInfo;
using Symbol = std::shared_ptr<const SymbolInfo>;

// A named integer that is known later: an extent of an input, a loop index, an element of a shape tensor.
struct SymbolInfo {
  int64_t id;  // creation order; gives the canonical order of terms
  std::string name;
  int64_t lo = 0, hi = kDimMax;  // inclusive range
  std::shared_ptr<const Dim> extent;  // where set: value < *extent, which may itself be symbolic
};

class Dim {
 public:
  enum class AtomKind : uint8_t { Symbol, FloorDiv, Mod, Min, Max, Less, Equal };  // Less, Equal: 1 or 0
  struct Atom;
  struct Term {
    int64_t coefficient;
    std::vector<Atom> atoms;  // sorted, repeated for powers
  };

  Dim(int64_t constant = 0);
  Dim(int constant) : Dim(static_cast<int64_t>(constant)) {}
  Dim(const Symbol& s);

  static Symbol symbol(std::string name, int64_t lo = 0, int64_t hi = kDimMax);
  static Symbol iterator(std::string name, const Dim& extent);  // 0 <= value < extent

  std::optional<int64_t> constant() const;
  bool is(int64_t v) const { return constant() == v; }
  bool is_constant() const { return constant().has_value(); }
  int64_t value() const;  // of a constant
  std::optional<Symbol> as_symbol() const;  // exactly one symbol, nothing else
  const std::vector<Term>& terms() const;  // canonical order, the constant term (no atoms) last

  friend Dim operator+(const Dim&, const Dim&);
  friend Dim operator-(const Dim&, const Dim&);
  friend Dim operator*(const Dim&, const Dim&);
  friend Dim operator-(const Dim& a) { return Dim(0) - a; }
  friend Dim floordiv(const Dim&, const Dim&);  // divisor positive; by constant 0: 0
  friend Dim mod(const Dim&, const Dim&);  // result in [0, divisor)
  friend Dim min(const Dim&, const Dim&);
  friend Dim max(const Dim&, const Dim&);
  friend Dim less(const Dim&, const Dim&);  // 1 where a < b, else 0
  friend Dim equal(const Dim&, const Dim&);  // 1 where a == b, else 0
  friend bool operator==(const Dim&, const Dim&);
  friend bool operator!=(const Dim& a, const Dim& b) { return !(a == b); }
  friend int compare(const Dim&, const Dim&);  // canonical order: -1, 0, 1; the same in every run

  Dim& operator+=(const Dim& b) { return *this = *this + b; }
  Dim& operator*=(const Dim& b) { return *this = *this * b; }

  // Inclusive bounds from the symbols' facts: -kDimMax for a lower one that is not known, kDimMax for an upper one. Of the
  // constant kDimMax, both are kDimMax.
  int64_t lower() const;
  int64_t upper() const;

  std::string str() const;
  size_t hash() const;

 private:
  struct Node;
  explicit Dim(std::shared_ptr<const Node> n) : node_(std::move(n)) {}
  static Dim from_terms(std::vector<Term>);
  static Dim from_atom(Atom);
  std::shared_ptr<const Node> node_;  // null for the constant in small_
  int64_t small_ = 0;
  friend struct DimAccess;
};

struct Dim::Atom {
  AtomKind kind;
  Symbol symbol;  // Symbol
  Dim a, b;  // the others
};

Dim ceildiv(const Dim&, const Dim&);
Dim select(const Dim& condition01, const Dim& then, const Dim& otherwise);
Dim abs(const Dim&);

// Provable from the facts; false means "not known". Of a saturated Dim only that everything is at most kDimMax and at
// least -kDimMax.
bool known_less(const Dim& a, const Dim& b);
bool known_less_equal(const Dim& a, const Dim& b);
bool known_equal(const Dim& a, const Dim& b);
bool known_divisible(const Dim& a, const Dim& b);

using Substitution = std::map<int64_t, Dim>;  // symbol id -> replacement
Dim substitute(const Dim&, const Substitution&);
using Bindings = std::map<int64_t, int64_t>;  // symbol id -> value
// The value; none where a symbol is unbound, +-kDimMax where it is too large or a saturated constant takes part in it.
std::optional<int64_t> evaluate(const Dim&, const Bindings&);
void collect_symbols(const Dim&, std::map<int64_t, Symbol>&);
bool depends_on(const Dim&, const Symbol&);

// d = coefficient*s + rest with neither part containing s; none where s occurs any other way.
struct Affine {
  Dim coefficient, rest;
};
std::optional<Affine> affine_in(const Dim& d, const Symbol& s);

Dim product(std::span<const Dim>);

// The terms of d with a - b*(a div b) written as Mod atoms again, where that makes it shorter.
std::vector<Dim::Term> with_moduli(const Dim& d);

}  // namespace ingot
