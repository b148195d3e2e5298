// The text forms of dims, types and tensor contents, shared by the levels. Every `parse` survives any bytes.
#pragma once

#include "ir/lexer.h"
#include "ir/types.h"

namespace ingot {

inline constexpr int kMaxTextDepth = 64;             // nesting of parentheses, types and regions
inline constexpr int64_t kMaxListedElements = 64;    // longer contents are written as bytes
inline constexpr int kMaxRank = 64;                  // of a tensor type in text

// Names for symbols: while printing, distinct for distinct symbols; while parsing, a name not seen before makes a symbol.
class SymbolNames {
 public:
  std::string name(const SymbolInfo&);  // quoted where needed
  const std::vector<Symbol>& in_order() const { return order_; }  // of first mention, where printed through `str`
  Symbol find_or_make(const std::string& name);
  Symbol find(const std::string& name) const;  // null: not seen
  void define(const std::string& name, Symbol s) { symbols_[name] = std::move(s); }
  void mention(const Symbol& s);

 private:
  std::map<int64_t, std::string> names_;
  std::map<std::string, int64_t> taken_;
  std::vector<Symbol> order_;
  std::map<std::string, Symbol> symbols_;
};

std::string str(const Dim&, SymbolNames&);
std::string str(const TensorType&, SymbolNames&);
std::string str(const Type&, SymbolNames&);

// expr := term {(+|-) term};  term := factor {(*|div|mod) factor};
// factor := integer | name | -factor | (expr) | (expr < expr) | (expr == expr) | min(expr, expr) | max(expr, expr)
Result<Dim> parse_dim(Lexer&, SymbolNames&);
Result<Dim> parse_dim(std::string_view text, SymbolNames&);
// f32[1, batch*2], seq(T), optional(T), map(i64, T), none
Result<Type> parse_type(Lexer&, SymbolNames&);
Result<Type> parse_type(std::string_view text, SymbolNames&);

// dense<[1, 2.5, nan]>, dense<["a"]>, hex<"00ff">, and dense<elided> (which does not parse). The list is used up to
// kMaxListedElements, where it gives back the same bytes.
std::string str_contents(const TensorData&, bool elide_long);
Result<TensorRef> parse_contents(Lexer&, const TensorType& of);

std::string str_number(double);  // shortest that reads back; with a point or exponent, or nan, inf, -inf
Result<double> parse_number(Lexer&);

}  // namespace ingot
