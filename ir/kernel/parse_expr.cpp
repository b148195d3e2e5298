#include "ir/kernel/parse_expr.h"

#include <cmath>

#include "ir/kernel/parse.h"

namespace ingot::k {

namespace {

bool is_number(const Token& t) {
  return t.kind == Token::Kind::Integer || t.kind == Token::Kind::Float ||
         (t.kind == Token::Kind::Identifier && (t.source == "inf" || t.source == "nan"));
}

struct Named {
  std::string_view text;
  ScalarOp op;
};
constexpr Named kInfix[] = {{"==", ScalarOp::Eq}, {"<", ScalarOp::Lt},  {"<=", ScalarOp::Le},
                            {">", ScalarOp::Gt},  {">=", ScalarOp::Ge}, {"&", ScalarOp::And}};

bool compares(ScalarOp op) { return op >= ScalarOp::Eq && op <= ScalarOp::Ge; }

// Operations that a kernel may hold as `name(...)`.
bool is_function(ScalarOp op) {
  switch (op) {
    case ScalarOp::Const:
    case ScalarOp::Index:
    case ScalarOp::Read:
    case ScalarOp::Load:
    case ScalarOp::Local:
    case ScalarOp::Ramp:
    case ScalarOp::Splat:
    case ScalarOp::Lane:
    case ScalarOp::LaneSum:
    case ScalarOp::LaneMax:
    case ScalarOp::LaneMin:
    case ScalarOp::LaneProd:
    case ScalarOp::Scalb:
    case ScalarOp::Dot2:
    case ScalarOp::TileLoad:
    case ScalarOp::TileDot:
    case ScalarOp::Dot4:
    case ScalarOp::Cast:
    case ScalarOp::Bitcast: return false;
    default: return true;
  }
}

}  // namespace

Result<Expr> ExprParser::settle(const Item& i, DType expected) {
  if (i.e) {
    if (expected != DType::Invalid && i.e.type() != expected)
      return lexer_.error_at(lexer_.peek(),
                             fmt::format("got an expression of {}, expected {}", name(i.e.type()), name(expected)));
    return i.e;
  }
  if (expected == DType::Invalid)
    return lexer_.error_at(i.number, "got a number, expected one with a type such as f32(1.0)");
  if (is_float(expected)) {
    double v = i.number.kind == Token::Kind::Identifier ? (i.number.source == "inf" ? INFINITY : NAN) : i.number.number;
    return ex::number(expected, i.negative ? -v : v);
  }
  if (!is_int(expected) || i.number.kind != Token::Kind::Integer)
    return lexer_.error_at(i.number, fmt::format("got {}, expected a constant of {}", i.number.source, name(expected)));
  const uint64_t bits_ = i.negative ? ~i.number.integer + 1 : i.number.integer;
  return ex::integer(expected, static_cast<int64_t>(bits_));
}

Result<Expr> ExprParser::parse(DType expected) {
  if (++depth_ > kMaxExprDepth) return limit_exceeded("got an expression nested deeper than {} levels", kMaxExprDepth);
  Item i = TRY(comparison(expected));
  --depth_;
  return settle(i, expected);
}

Result<ExprParser::Item> ExprParser::combine(ScalarOp op, const Token& at, Item a, Item b, DType expected) {
  DType t = compares(op) ? DType::Invalid : expected;
  if (a.e) t = a.e.type();
  else if (b.e) t = b.e.type();
  Expr x = TRY(settle(a, t)), y = TRY(settle(b, t));
  if (x.type() != y.type())
    return lexer_.error_at(at,
                           fmt::format("got {} and {} as operands of '{}'", name(x.type()), name(y.type()), at.source));
  return Item{ex::binary(op, x, y), false, {}};
}

Result<ExprParser::Item> ExprParser::comparison(DType expected) {
  // `expected` is that of the whole: Bool says nothing of the operands of a comparison.
  Item a = TRY(sum(expected == DType::Bool ? DType::Invalid : expected));
  for (;;) {
    const Named* found = nullptr;
    for (const Named& n : kInfix)
      if (lexer_.is(n.text)) found = &n;
    if (!found) return a;
    const Token at = lexer_.take();
    Item b = TRY(sum(a.e ? a.e.type() : DType::Invalid));
    a = TRY(combine(found->op, at, a, b, compares(found->op) ? DType::Invalid : expected));
  }
}

Result<ExprParser::Item> ExprParser::sum(DType expected) {
  Item a = TRY(product(expected));
  while (lexer_.is("+") || lexer_.is("-")) {
    const Token at = lexer_.take();
    Item b = TRY(product(expected == DType::Invalid && a.e ? a.e.type() : expected));
    a = TRY(combine(at.source == "+" ? ScalarOp::Add : ScalarOp::Sub, at, a, b, expected));
  }
  return a;
}

Result<ExprParser::Item> ExprParser::product(DType expected) {
  Item a = TRY(factor(expected));
  while (lexer_.is("*") || lexer_.is("/") || lexer_.is("div") || lexer_.is("mod")) {
    const Token at = lexer_.take();
    Item b = TRY(factor(expected == DType::Invalid && a.e ? a.e.type() : expected));
    if (at.source == "div" || at.source == "mod") {
      auto x = as_dim(TRY(settle(a, DType::I64))), y = as_dim(TRY(settle(b, DType::I64)));
      if (!x || !y) return lexer_.error_at(at, fmt::format("got '{}' of what is not an index", at.source));
      a = Item{ex::index(at.source == "div" ? floordiv(*x, *y) : mod(*x, *y)), false, {}};
    } else {
      a = TRY(combine(at.source == "*" ? ScalarOp::Mul : ScalarOp::Div, at, a, b, expected));
    }
  }
  return a;
}

Result<ExprParser::Item> ExprParser::factor(DType expected) {
  bool negative = false;
  while (lexer_.accept("-")) negative = !negative;
  Item i = TRY(primary(expected));
  if (!negative) return i;
  if (!i.e) {
    i.negative = !i.negative;
    return i;
  }
  if (i.e.type() == DType::Bool || i.e.type() == DType::String)
    return lexer_.error_at(lexer_.peek(), "got '-' of a " + std::string(name(i.e.type())));
  return Item{ex::unary(ScalarOp::Neg, i.e), false, {}};
}

bool ExprParser::is_free_symbol(const Token& t) const {
  return (t.kind == Token::Kind::Identifier || t.kind == Token::Kind::String) && symbols_.find(t.text) != nullptr;
}

Result<ExprParser::Item> ExprParser::primary(DType expected) {
  if (++depth_ > kMaxExprDepth) return limit_exceeded("got an expression nested deeper than {} levels", kMaxExprDepth);
  const Token t = lexer_.peek();
  Item out;
  if (t.kind == Token::Kind::Value) {
    lexer_.take();
    out = TRY(read(t));
  } else if (lexer_.accept("(")) {
    out = TRY(comparison(expected));
    TRY(lexer_.expect(")"));
  } else if (is_free_symbol(t)) {
    lexer_.take();
    out.e = ex::index(Dim(symbols_.find(t.text)));
  } else if (is_number(t)) {
    lexer_.take();
    out.number = t;
  } else if (t.kind == Token::Kind::Identifier) {
    lexer_.take();
    if (t.source == "true" || t.source == "false") out.e = ex::boolean(t.source == "true");
    else if (auto it = lets_.find(t.text); it != lets_.end()) out.e = it->second;
    else if (t.text.starts_with("s.")) {
      size_t id = 0;
      for (char c : std::string_view(t.text).substr(2))
        id = c >= '0' && c <= '9' && id < 100000 ? id * 10 + static_cast<size_t>(c - '0') : 1000000;
      if (t.text.size() == 2 || id >= states_.size())
        return lexer_.error_at(t, "got the state " + t.text + ", which does not exist");
      ExprNode n;
      n.op = ScalarOp::Local;
      n.type = states_[id];
      n.id = static_cast<int64_t>(id);
      out.e = Expr(std::make_shared<ExprNode>(std::move(n)));
    } else if (lexer_.is("(")) {
      out = TRY(call(t, expected));
    } else {
      return lexer_.error_at(t, fmt::format("got {}, expected a symbol or an operation", t.source));
    }
  } else {
    return lexer_.error("an expression");
  }
  --depth_;
  return out;
}

Result<ExprParser::Item> ExprParser::read(const Token& value) {
  const auto [id, type] = TRY(find_(value));
  TRY(lexer_.expect("["));
  std::vector<Expr> indices;
  for (int k = 0; k < type->rank(); ++k) {
    if (k > 0) TRY(lexer_.expect(","));
    indices.push_back(TRY(parse(DType::I64)));
  }
  Item out;
  if (lexer_.accept("|")) out.e = ex::read_or(id, type->dtype, std::move(indices), TRY(parse(type->dtype)));
  else out.e = ex::read(id, type->dtype, std::move(indices));
  TRY(lexer_.expect("]"));
  return out;
}

Result<ExprParser::Item> ExprParser::call(const Token& t, DType expected) {
  TRY(lexer_.expect("("));
  Item out;
  if (t.source == "dim") {
    out.e = ex::index(TRY(parse_dim(lexer_, symbols_)));
    TRY(lexer_.expect(")"));
    return out;
  }
  const bool bitcast = t.text.starts_with("bits_");
  if (const DType to = dtype_named(bitcast ? std::string_view(t.text).substr(5) : std::string_view(t.text));
      to != DType::Invalid) {
    Item a = TRY(comparison(DType::Invalid));
    if (!a.e) {  // a constant of this type
      out.e = TRY(settle(a, to));
    } else if (bitcast) {
      if (bits(a.e.type()) != bits(to) || bits(to) == 0)
        return lexer_.error_at(t, fmt::format("got the bits of {} as {}", name(a.e.type()), name(to)));
      out.e = ex::bitcast(a.e, to);
    } else {
      const bool wrap = lexer_.accept(",");
      if (wrap) TRY(lexer_.expect("wrap"));
      if (a.e.type() == DType::String || to == DType::String || is_complex(to) || is_complex(a.e.type()))
        return lexer_.error_at(t, fmt::format("got a cast from {} to {}", name(a.e.type()), name(to)));
      out.e = ex::cast(a.e, to, !wrap);
    }
    TRY(lexer_.expect(")"));
    return out;
  }
  const ScalarOp* op = nullptr;
  static constexpr ScalarOp kAll[] = {
#define X(n, text, arity) ScalarOp::n,
      INGOT_SCALAR_OPS(X)
#undef X
  };
  for (const ScalarOp& o : kAll)
    if (is_function(o) && name(o) == t.text) op = &o;
  if (!op) return lexer_.error_at(t, fmt::format("got {}, expected an operation", t.source));
  if (*op == ScalarOp::Select) {
    Expr c = TRY(parse(DType::Bool));
    TRY(lexer_.expect(","));
    Expr a = TRY(parse(expected));
    TRY(lexer_.expect(","));
    out.e = ex::select(c, a, TRY(parse(a.type())));
    TRY(lexer_.expect(")"));
    return out;
  }
  const bool test = *op == ScalarOp::IsNaN || *op == ScalarOp::IsInf;
  const DType operand = compares(*op) || test ? DType::Invalid : expected;
  Item first = TRY(comparison(operand));
  if (arity(*op) == 2) {
    TRY(lexer_.expect(","));
    Item second = TRY(comparison(operand == DType::Invalid && first.e ? first.e.type() : operand));
    out = TRY(combine(*op, t, first, second, operand));
  } else {
    Expr a = TRY(settle(first, operand));
    if (arity(*op) == 1) {
      out.e = ex::unary(*op, a);
    } else {
      TRY(lexer_.expect(","));
      Expr b = TRY(parse(a.type()));
      TRY(lexer_.expect(","));
      out.e = ex::fma(a, b, TRY(parse(a.type())));
    }
  }
  TRY(lexer_.expect(")"));
  return out;
}

}  // namespace ingot::k
