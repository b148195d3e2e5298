// The value of a Dim for given values of its symbols. See ir/dim.h.
//
// The canonical form goes through larger numbers than the expression that was written: (a - b)*c is a*c - b*c, and
// (x div b) div c is x div (b*c). So this computes with 128 bits, and where these are not enough once more with kWideBits.
#include <algorithm>
#include <array>
#include <bit>

#include "ir/dim_internal.h"

namespace ingot {

using Term = Dim::Term;
using Atom = Dim::Atom;
using AtomKind = Dim::AtomKind;

namespace {

constexpr int kLimbs = 16, kWideBits = 64 * kLimbs;

// Signed, in kWideBits of two's complement. Sums and products of numbers for which `fits` are exact.
class Wide {
 public:
  Wide(int64_t v = 0) {
    limbs_.fill(v < 0 ? ~uint64_t{0} : 0);
    limbs_[0] = static_cast<uint64_t>(v);
  }

  bool negative() const { return limbs_.back() >> 63; }
  bool is_zero() const { return *this == Wide(0); }
  friend bool operator==(const Wide&, const Wide&) = default;
  friend bool operator<(const Wide& a, const Wide& b) {
    if (a.negative() != b.negative()) return a.negative();
    return std::lexicographical_compare(a.limbs_.rbegin(), a.limbs_.rend(), b.limbs_.rbegin(), b.limbs_.rend());
  }

  friend Wide operator+(const Wide& a, const Wide& b) {
    Wide out;
    unsigned __int128 carry = 0;
    for (size_t k = 0; k < kLimbs; ++k) {
      carry += static_cast<unsigned __int128>(a.limbs_[k]) + b.limbs_[k];
      out.limbs_[k] = static_cast<uint64_t>(carry);
      carry >>= 64;
    }
    return out;
  }
  Wide operator-() const {
    Wide out = *this;
    for (uint64_t& limb : out.limbs_) limb = ~limb;
    return out + Wide(1);
  }
  friend Wide operator-(const Wide& a, const Wide& b) { return a + -b; }
  friend Wide operator*(const Wide& a, const Wide& b) {
    Wide out;
    for (size_t i = 0; i < kLimbs; ++i) {
      unsigned __int128 carry = 0;
      for (size_t j = 0; i + j < kLimbs; ++j) {
        carry += static_cast<unsigned __int128>(a.limbs_[i]) * b.limbs_[j] + out.limbs_[i + j];
        out.limbs_[i + j] = static_cast<uint64_t>(carry);
        carry >>= 64;
      }
    }
    return out;
  }

  // Of the magnitude.
  int bits() const {
    Wide m = negative() ? -*this : *this;
    for (int k = kLimbs; k-- > 0;)
      if (uint64_t limb = m.limbs_[static_cast<size_t>(k)]) return 64 * k + static_cast<int>(std::bit_width(limb));
    return 0;
  }

  friend Wide floor_divide(const Wide& a, const Wide& b) {
    if (b.is_zero()) return Wide(0);
    if (b.negative()) return floor_divide(-a, -b);
    Wide quotient, rest, m = a.negative() ? -a : a;
    for (int k = m.bits(); k-- > 0;) {
      rest = rest + rest + Wide(static_cast<int64_t>(m.limbs_[static_cast<size_t>(k / 64)] >> (k % 64) & 1));
      if (rest < b) continue;
      rest = rest - b;
      quotient.limbs_[static_cast<size_t>(k / 64)] |= uint64_t{1} << (k % 64);
    }
    if (!a.negative()) return quotient;
    return rest.is_zero() ? -quotient : -quotient - Wide(1);
  }

  std::optional<int64_t> narrow() const {
    if (bits() > 62) return std::nullopt;
    return static_cast<int64_t>(limbs_[0]);
  }

 private:
  std::array<uint64_t, kLimbs> limbs_;
};

bool add(const Wide& a, const Wide& b, Wide& out) {
  out = a + b;
  return std::max(a.bits(), b.bits()) < kWideBits - 2;
}
bool multiply(const Wide& a, const Wide& b, Wide& out) {
  out = a * b;
  return a.bits() + b.bits() < kWideBits - 2;
}
Wide quotient(const Wide& a, const Wide& b) { return floor_divide(a, b); }

bool add(__int128 a, __int128 b, __int128& out) { return !__builtin_add_overflow(a, b, &out); }
bool multiply(__int128 a, __int128 b, __int128& out) { return !__builtin_mul_overflow(a, b, &out); }
__int128 quotient(__int128 a, __int128 b) { return floor_div(a, b); }

enum class Outcome : uint8_t { Exact, TooLarge, Unbound };  // the worst of all parts counts

template <typename Number>
class Evaluation {
 public:
  explicit Evaluation(const Bindings& bindings) : bindings_(bindings) {}

  Outcome dim(const Dim& d, Number& sum) {
    DimTerms storage;
    Outcome outcome = Outcome::Exact;
    sum = 0;
    for (const Term& t : DimAccess::terms(d, storage)) {
      Number p = t.coefficient;
      Outcome of_term = is_saturated(t.coefficient) ? Outcome::TooLarge : Outcome::Exact;
      bool zero = false;
      for (const Atom& a : t.atoms) {
        Number x = 0;
        Outcome of_atom = atom(a, x);
        zero = zero || (of_atom == Outcome::Exact && x == Number(0));
        if (!multiply(p, x, p)) of_atom = std::max(of_atom, Outcome::TooLarge);
        of_term = std::max(of_term, of_atom);
      }
      if (zero && of_term != Outcome::Unbound) continue;
      if (!add(sum, p, sum)) of_term = std::max(of_term, Outcome::TooLarge);
      outcome = std::max(outcome, of_term);
    }
    return outcome;
  }

 private:
  Outcome atom(const Atom& a, Number& out) {
    if (a.kind == AtomKind::Symbol) {
      auto it = bindings_.find(a.symbol->id);
      if (it == bindings_.end()) return Outcome::Unbound;
      out = it->second;
      return is_saturated(it->second) ? Outcome::TooLarge : Outcome::Exact;
    }
    Number x = 0, y = 0;
    Outcome outcome = std::max(dim(a.a, x), dim(a.b, y));
    if (outcome != Outcome::Exact) return outcome;
    switch (a.kind) {
      case AtomKind::Symbol: break;
      case AtomKind::FloorDiv: out = quotient(x, y); break;
      case AtomKind::Mod:
        if (!multiply(y, quotient(x, y), out) || !add(x, -out, out)) outcome = Outcome::TooLarge;
        break;
      case AtomKind::Min: out = y < x ? y : x; break;
      case AtomKind::Max: out = y < x ? x : y; break;
      case AtomKind::Less: out = x < y ? 1 : 0; break;
      case AtomKind::Equal: out = x == y ? 1 : 0; break;
    }
    return outcome;
  }

  const Bindings& bindings_;
};

}  // namespace

std::optional<int64_t> evaluate(const Dim& d, const Bindings& bindings) {
  if (auto c = d.constant()) return c;
  __int128 v = 0;
  Outcome outcome = Evaluation<__int128>(bindings).dim(d, v);
  if (outcome == Outcome::Exact) return saturate(v);
  if (outcome == Outcome::Unbound) return std::nullopt;
  Wide wide;
  if (Evaluation<Wide>(bindings).dim(d, wide) != Outcome::Exact) return kDimMax;
  if (auto n = wide.narrow()) return saturate(*n);
  return wide.negative() ? -kDimMax : kDimMax;
}

}  // namespace ingot
