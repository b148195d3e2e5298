// The extents of values that broadcast together.
#include <fmt/format.h>

#include <algorithm>

#include "ir/dim_internal.h"
#include "ir/ops/def.h"

namespace ingot {

namespace {

// An extent that broadcasting made: `largest` of those that met, times what `flags` say, each 1 where one of them is not 0.
// Extents that are not made so are `largest` alone.
struct Broadcast {
  Dim largest = 1;
  std::vector<Dim> flags;

  explicit Broadcast(const Dim& d) {
    if (d.terms().size() != 1) {
      largest = d;
      return;
    }
    largest = d.terms()[0].coefficient;
    for (const Dim::Atom& a : d.terms()[0].atoms) {
      if (a.kind == Dim::AtomKind::Less && a.a.is(0)) add(less(a.a, a.b));
      else largest *= DimAccess::from_atom(a);
    }
  }
  void add(const Dim& flag) {
    if (!flag.is(1) && !has(flag)) flags.push_back(flag);
  }
  bool has(const Dim& flag) const { return std::find(flags.begin(), flags.end(), flag) != flags.end(); }

  // Adds what says that `d`, which is not negative, is not 0: of each of its factors, where these are not negative either.
  void add_nonzero(const Dim& d) {
    if (d.lower() > 0) return;
    auto may_be_negative = [](const Dim::Atom& a) { return DimAccess::from_atom(a).lower() < 0; };
    const auto& terms = d.terms();
    if (terms.size() != 1 || std::any_of(terms[0].atoms.begin(), terms[0].atoms.end(), may_be_negative))
      return add(less(0, d));
    for (const Dim::Atom& a : terms[0].atoms) {
      const Dim factor = DimAccess::from_atom(a);
      if (a.kind == Dim::AtomKind::Less || a.kind == Dim::AtomKind::Equal) {
        add(factor);
      } else if (a.kind == Dim::AtomKind::Min) {
        add_nonzero(a.a), add_nonzero(a.b);
      } else if (a.kind != Dim::AtomKind::Max || (!says_nonzero(a.a) && !says_nonzero(a.b))) {
        if (factor.lower() <= 0) add(less(0, factor));
      }
    }
  }
  bool says_nonzero(const Dim& d) const {
    Broadcast of(1);
    of.add_nonzero(d);
    return d.lower() > 0 || std::all_of(of.flags.begin(), of.flags.end(), [&](const Dim& f) { return has(f); });
  }

  // A flag that `largest` says anyway, by a factor that is 0 where the flag is, is left out.
  Dim extent() const {
    Dim out = largest;
    Broadcast own(1);
    if (largest.terms().size() == 1)
      for (const Dim::Atom& a : largest.terms()[0].atoms)
        if (a.kind != Dim::AtomKind::Max && DimAccess::from_atom(a).lower() >= 0)
          own.add_nonzero(DimAccess::from_atom(a));
    for (const Dim& f : flags)
      if (!own.has(f)) out *= f;
    return out;
  }
};

// Equal, or one of them is 1: the larger one, but 0 where one is 0.
Dim broadcast_extent(const Dim& x, const Dim& y) {
  Broadcast a(x);
  const Broadcast b(y);
  for (const Dim& f : b.flags) a.add(f);
  a.add_nonzero(a.largest), a.add_nonzero(b.largest);
  a.largest = max(a.largest, b.largest);
  return a.extent();
}

}  // namespace

Result<Dims> Def::broadcast_dims(const Dims& a, const Dims& b) {
  Dims result(std::max(a.size(), b.size()));
  for (size_t k = 0; k < result.size(); ++k) {  // from the right
    Dim x = k < a.size() ? a[a.size() - 1 - k] : Dim(1);
    Dim y = k < b.size() ? b[b.size() - 1 - k] : Dim(1);
    Dim& r = result[result.size() - 1 - k];
    if (known_equal(x, y) || y.is(1)) {
      r = x;
    } else if (x.is(1)) {
      r = y;
    } else if (x.is_constant() && y.is_constant()) {
      return invalid("shapes [{}] and [{}] do not broadcast: got extents {} and {}, expected equal ones or 1",
                     TensorType{DType::F32, a}.str(), TensorType{DType::F32, b}.str(), x.str(), y.str());
    } else if (x.is_constant() || y.is_constant()) {
      const Dim& known = x.is_constant() ? x : y;
      const Dim& other = x.is_constant() ? y : x;
      TRY(require(max(equal(other, known), equal(other, 1)),
                  fmt::format("extents {} and {} do not broadcast", x.str(), y.str())));
      r = known;
    } else {
      TRY(require(max(equal(x, y), max(equal(x, 1), equal(y, 1))),
                  fmt::format("extents {} and {} do not broadcast", x.str(), y.str())));
      r = broadcast_extent(x, y);
    }
  }
  return result;
}

}  // namespace ingot
