// The text form of a Dim: `batch*2 + 1`, `(a + b) div 4`, `e mod 64`, `min(a, b)`, `(a < b)`, `(a == b)`.
// `*`, `div` and `mod` bind alike and to the left; a compound factor stands in parentheses.
#include "ir/dim_internal.h"
#include "ir/text.h"

namespace ingot {

using Term = Dim::Term;
using Atom = Dim::Atom;
using AtomKind = Dim::AtomKind;

namespace {

std::string symbol_text(const std::string& name) {
  bool plain = is_identifier(name) && name != "div" && name != "mod" && name != "min" && name != "max";
  return plain ? name : quoted(name);
}

class Printer {
 public:
  explicit Printer(SymbolNames* names) : names_(names) {}

  std::string dim(const Dim& d) {
    if (auto c = d.constant()) return std::to_string(*c);
    std::string out;
    for (const Term& t : with_moduli(d)) {
      int64_t c = t.coefficient;
      if (!out.empty()) {
        out += c < 0 ? " - " : " + ";
        c = c < 0 ? -c : c;
      } else if (c < 0 && !t.atoms.empty()) {
        out += "-";
        c = -c;
      }
      bool alone = t.atoms.size() == 1 && c == 1 && (out.empty() || out.back() == ' ');
      for (size_t i = 0; i < t.atoms.size(); ++i) out += (i ? "*" : "") + atom(t.atoms[i], alone);
      if (t.atoms.empty()) out += std::to_string(c);
      else if (c != 1) out += "*" + std::to_string(c);
    }
    return out;
  }

 private:
  std::string operand(const Dim& d) {
    std::string s = dim(d);
    bool plain = d.as_symbol() || (d.is_constant() && d.value() >= 0);
    return plain ? s : "(" + s + ")";
  }

  std::string infix(const Atom& a, const char* op, bool alone) {
    std::string s = operand(a.a) + op;
    s += operand(a.b);
    return alone ? s : "(" + s + ")";
  }

  std::string call(const char* function, const Atom& a) {
    std::string s = function + dim(a.a) + ", ";
    return s + dim(a.b) + ")";
  }

  std::string comparison(const Atom& a, const char* op) {
    std::string s = "(" + dim(a.a) + op;
    return s + dim(a.b) + ")";
  }

  std::string atom(const Atom& a, bool alone) {
    switch (a.kind) {
      case AtomKind::Symbol: break;
      // What is computed from a saturated constant is "too large", and prints so.
      case AtomKind::FloorDiv:
        if (a.b.is(1) && a.a.is_constant()) return std::to_string(a.a.value());
        return infix(a, " div ", alone);
      case AtomKind::Mod: return infix(a, " mod ", alone);
      case AtomKind::Min: return call("min(", a);
      case AtomKind::Max: return call("max(", a);
      case AtomKind::Less: return comparison(a, " < ");
      case AtomKind::Equal: return comparison(a, " == ");
    }
    if (!names_) return symbol_text(a.symbol->name);
    names_->mention(a.symbol);
    return names_->name(*a.symbol);
  }

  SymbolNames* names_;
};

class Parser {
 public:
  Parser(Lexer& lexer, SymbolNames& names) : lexer_(lexer), names_(names) {}

  Result<Dim> sum() {
    if (++depth_ > kMaxTextDepth)
      return limit_exceeded("got an expression nested deeper than {} levels", kMaxTextDepth);
    Dim d = TRY(product());
    while (lexer_.is("+") || lexer_.is("-")) {
      bool add = lexer_.take().source == "+";
      Dim e = TRY(product());
      d = add ? d + e : d - e;
    }
    --depth_;
    return d;
  }

 private:
  Result<Dim> product() {
    Dim d = TRY(factor());
    while (lexer_.is("*") || lexer_.is("div") || lexer_.is("mod")) {
      std::string_view op = lexer_.take().source;
      Dim e = TRY(factor());
      d = op == "*" ? d * e : op == "div" ? (e.is(1) ? opaque(d) : floordiv(d, e)) : mod(d, e);
    }
    return d;
  }

  Result<Dim> factor() {
    bool negative = false;
    while (lexer_.accept("-")) negative = !negative;
    Dim d = TRY(primary());
    return negative ? -d : d;
  }

  Result<Dim> primary() {
    const Token& t = lexer_.peek();
    if (t.kind == Token::Kind::Integer) {
      if (t.integer > static_cast<uint64_t>(kDimMax)) return lexer_.error("an integer up to 2^61");
      return Dim(static_cast<int64_t>(lexer_.take().integer));
    }
    if (lexer_.accept("(")) {
      Dim a = TRY(sum());
      if (lexer_.accept("<")) a = less(a, TRY(sum()));
      else if (lexer_.accept("==")) a = equal(a, TRY(sum()));
      TRY(lexer_.expect(")"));
      return a;
    }
    if (t.kind != Token::Kind::Identifier && t.kind != Token::Kind::String) return lexer_.error("a dimension");
    Token name = lexer_.take();
    if ((name.source == "min" || name.source == "max") && lexer_.accept("(")) {
      Dim a = TRY(sum());
      TRY(lexer_.expect(","));
      Dim b = TRY(sum());
      TRY(lexer_.expect(")"));
      return name.source == "min" ? min(a, b) : max(a, b);
    }
    if (name.text.empty()) return lexer_.error_at(name, "got an empty name of a dimension");
    return Dim(names_.find_or_make(name.text));
  }

  Lexer& lexer_;
  SymbolNames& names_;
  int depth_ = 0;
};

}  // namespace

std::string SymbolNames::name(const SymbolInfo& s) {
  if (auto it = names_.find(s.id); it != names_.end()) return it->second;
  std::string unique = s.name.empty() ? "s" : s.name;
  for (int64_t n = 1; !taken_.emplace(unique, s.id).second; ++n)
    unique = (s.name.empty() ? "s" : s.name) + "_" + std::to_string(n);
  return names_[s.id] = symbol_text(unique);
}

void SymbolNames::mention(const Symbol& s) {
  if (!names_.contains(s->id)) order_.push_back(s);
}

Symbol SymbolNames::find(const std::string& name) const {
  auto it = symbols_.find(name);
  return it == symbols_.end() ? nullptr : it->second;
}

Symbol SymbolNames::find_or_make(const std::string& name) {
  Symbol& s = symbols_[name];
  if (!s) s = Dim::symbol(name);
  return s;
}

std::string Dim::str() const { return Printer(nullptr).dim(*this); }
std::string str(const Dim& d, SymbolNames& names) { return Printer(&names).dim(d); }

Result<Dim> parse_dim(Lexer& lexer, SymbolNames& names) { return Parser(lexer, names).sum(); }

Result<Dim> parse_dim(std::string_view text, SymbolNames& names) {
  Lexer lexer(text);
  Dim d = TRY(parse_dim(lexer, names));
  if (!lexer.at_end()) return lexer.error("the end of the text");
  return d;
}

}  // namespace ingot
