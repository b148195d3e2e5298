// Prints a Dim: `batch*2 + 1`, `(a + b) div 4`, `e mod 64`, `min(a, b)`, `(a < b)`, `(a == b)`.
// `*`, `div` and `mod` bind alike and to the left; a compound factor stands in parentheses.
#include "ir/dim_internal.h"

namespace ingot {

using Term = Dim::Term;
using Atom = Dim::Atom;
using AtomKind = Dim::AtomKind;

namespace {

std::string operand(const Dim& d) {
  std::string s = d.str();
  return d.is_constant() ? (d.value() < 0 ? "(" + s + ")" : s) : d.as_symbol() ? s : "(" + s + ")";
}

std::string str(const Atom& a, bool alone) {
  auto infix = [&](const char* op) { return operand(a.a) + op + operand(a.b); };
  auto wrapped = [&](const std::string& s) { return alone ? s : "(" + s + ")"; };
  switch (a.kind) {
    case AtomKind::Symbol: break;
    case AtomKind::FloorDiv: return wrapped(infix(" div "));
    case AtomKind::Mod: return wrapped(infix(" mod "));
    case AtomKind::Min: return "min(" + a.a.str() + ", " + a.b.str() + ")";
    case AtomKind::Max: return "max(" + a.a.str() + ", " + a.b.str() + ")";
    case AtomKind::Less: return "(" + a.a.str() + " < " + a.b.str() + ")";
    case AtomKind::Equal: return "(" + a.a.str() + " == " + a.b.str() + ")";
  }
  return a.symbol->name;
}

}  // namespace

std::string Dim::str() const {
  if (auto c = constant()) return std::to_string(*c);
  std::string out;
  for (const Term& t : with_moduli(*this)) {
    int64_t c = t.coefficient;
    if (!out.empty()) {
      out += c < 0 ? " - " : " + ";
      c = c < 0 ? -c : c;
    } else if (c < 0 && !t.atoms.empty()) {
      out += "-";
      c = -c;
    }
    bool first = true;
    for (const Atom& a : t.atoms) {
      if (!first) out += "*";
      out += ingot::str(a, t.atoms.size() == 1 && c == 1);
      first = false;
    }
    if (t.atoms.empty()) out += std::to_string(c);
    else if (c != 1) out += "*" + std::to_string(c);
  }
  return out;
}

}  // namespace ingot
