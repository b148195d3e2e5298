// Reads scalar expressions of kernels. Internal to the parser.
#pragma once

#include <functional>

#include "ir/expr.h"
#include "ir/text.h"

namespace ingot::k {

class ExprParser {
 public:
  // Of the value that `%name` names, by token: its id and type.
  using FindValue = std::function<Result<std::pair<int, const TensorType*>>(const Token&)>;

  ExprParser(Lexer& lexer, SymbolNames& symbols, FindValue find)
      : lexer_(lexer), symbols_(symbols), find_(std::move(find)) {}

  // An expression of type `expected` (Invalid: any; a bare number is then an error).
  Result<Expr> parse(DType expected);
  void let(const std::string& name, Expr e) { lets_[name] = std::move(e); }
  void states(std::vector<DType> types) { states_ = std::move(types); }

 private:
  // A number whose type is not known yet, or an expression.
  struct Item {
    Expr e;
    bool negative = false;
    Token number;
  };
  Result<Expr> settle(const Item&, DType expected);
  Result<Item> comparison(DType expected);
  Result<Item> sum(DType expected);
  Result<Item> product(DType expected);
  Result<Item> factor(DType expected);
  Result<Item> primary(DType expected);
  Result<Item> call(const Token& name, DType expected);
  Result<Item> read(const Token& value);
  Result<Item> combine(ScalarOp op, const Token& at, Item a, Item b, DType expected);
  bool is_free_symbol(const Token&) const;

  Lexer& lexer_;
  SymbolNames& symbols_;
  FindValue find_;
  std::map<std::string, Expr> lets_;
  std::vector<DType> states_;
  int depth_ = 0;
};

}  // namespace ingot::k
