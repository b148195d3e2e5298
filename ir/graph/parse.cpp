#include "ir/graph/parse.h"

#include <set>

#include "ir/text.h"

namespace ingot {

namespace {

class Parser {
 public:
  Parser(std::string_view text, OpLookup find) : lexer_(text), find_(find) {}

  Result<Graph> graph() {
    if (lexer_.accept("symbols")) TRY(symbol_facts());
    TRY(lexer_.expect("graph"));
    graph_.name = TRY(lexer_.identifier("the name of the graph"));
    TRY(region(graph_.body, 0));
    if (!lexer_.at_end()) return lexer_.error("the end of the text");
    return std::move(graph_);
  }

 private:
  using Names = std::vector<std::string>;

  Result<void> symbol_facts() {
    do {
      Token at = lexer_.peek();
      std::string name = TRY(lexer_.identifier("the name of a symbol"));
      if (name.empty() || symbols_.find(name))
        return lexer_.error_at(at, "got the symbol " + quoted(name) + " twice, or before it is declared");
      Symbol s;
      if (lexer_.accept("<")) {
        s = Dim::iterator(name, TRY(parse_dim(lexer_, symbols_)));
      } else if (lexer_.accept("in")) {
        TRY(lexer_.expect("["));
        int64_t lo = TRY(bound());
        TRY(lexer_.expect(","));
        int64_t hi = TRY(bound());
        TRY(lexer_.expect("]"));
        if (lo > hi)
          return lexer_.error_at(at,
                                 fmt::format("got the range [{}, {}], expected a lower bound below the upper", lo, hi));
        s = Dim::symbol(name, lo, hi);
      } else if (lexer_.accept(">=")) {
        s = Dim::symbol(name, TRY(bound()));
      } else {
        s = Dim::symbol(name);
      }
      if (symbols_.find(name)) return lexer_.error_at(at, "got the symbol " + quoted(name) + " in its own extent");
      symbols_.define(name, std::move(s));
    } while (lexer_.accept(","));
    return {};
  }

  Result<int64_t> bound() {
    Token at = lexer_.peek();
    int64_t v = TRY(lexer_.integer());
    if (v < -kDimMax || v > kDimMax) return lexer_.error_at(at, "got a bound beyond 2^61");
    return v;
  }

  // (%x: T, ...) -> (%y, ...) { nodes }
  Result<void> region(Region& r, int depth) {
    if (depth > kMaxRegionDepth)
      return lexer_.error_at(lexer_.peek(), fmt::format("got regions nested deeper than {} levels", kMaxRegionDepth));
    Names defined;
    TRY(lexer_.expect("("));
    while (!lexer_.is(")")) {
      Value* v = TRY(define(defined));
      TRY(lexer_.expect(":"));
      TRY(type_of(*v));
      if (depth == 0 && lexer_.accept("default")) {
        Token at = lexer_.peek();
        const Type type = TRY(parse_type(lexer_, symbols_));
        if (!type.is_tensor() || !type.tensor.is_static() || type.tensor.dtype != v->type.tensor.dtype ||
            type.tensor.rank() != v->type.tensor.rank())
          return lexer_.error_at(at,
                                 fmt::format("got contents of type {} for an input of {}", type.str(), v->type.str()));
        v->fallback = TRY(parse_contents(lexer_, type.tensor));
      }
      r.inputs.push_back(v);
      if (!lexer_.accept(",")) break;
    }
    TRY(lexer_.expect(")"));
    TRY(lexer_.expect("->"));
    TRY(lexer_.expect("("));
    std::vector<Token> outputs;
    while (!lexer_.is(")")) {
      if (lexer_.peek().kind != Token::Kind::Value) return lexer_.error("a value");
      outputs.push_back(lexer_.take());
      if (!lexer_.accept(",")) break;
    }
    TRY(lexer_.expect(")"));
    TRY(lexer_.expect("{"));
    while (!lexer_.is("}")) TRY(statement(r, defined, depth));
    TRY(lexer_.expect("}"));
    for (const Token& t : outputs) r.outputs.push_back(TRY(use(t)));
    for (const std::string& name : defined) visible_.erase(name);
    return {};
  }

  // A new value; its name becomes visible with `show`.
  Result<Value*> define(Names& defined) {
    if (lexer_.peek().kind != Token::Kind::Value) return lexer_.error("a value");
    Token t = lexer_.take();
    Value* v = TRY(make(t));
    show(v, defined);
    return v;
  }

  Result<Value*> make(const Token& t) {
    if (t.text.empty()) return lexer_.error_at(t, "got a value with an empty name");
    if (!taken_.insert(t.text).second)
      return lexer_.error_at(t, fmt::format("got a second definition of {}", t.source));
    return graph_.new_value(t.text);
  }

  void show(Value* v, Names& defined) {
    visible_[v->name] = v;
    defined.push_back(v->name);
  }

  Result<Value*> use(const Token& t) {
    auto it = visible_.find(t.text);
    if (it == visible_.end())
      return lexer_.error_at(t, fmt::format("got {}, expected a value that is defined before", t.source));
    return it->second;
  }

  // T, then symbolic contents and what is read at run time.
  Result<void> type_of(Value& v) {
    Token at = lexer_.peek();
    v.type = TRY(parse_type(lexer_, symbols_));
    if (lexer_.accept("=")) {
      TRY(lexer_.expect("["));
      std::vector<Dim> elements;
      while (!lexer_.is("]")) {
        if (elements.size() == static_cast<size_t>(kMaxSymbolicElements))
          return lexer_.error_at(lexer_.peek(),
                                 fmt::format("got more than {} symbolic elements", kMaxSymbolicElements));
        elements.push_back(TRY(parse_dim(lexer_, symbols_)));
        if (!lexer_.accept(",")) break;
      }
      TRY(lexer_.expect("]"));
      if (!v.type.is_tensor() || !v.type.tensor.is_static() ||
          v.type.tensor.elements() != static_cast<int64_t>(elements.size()))
        return lexer_.error_at(
            at, fmt::format("got {} symbolic elements for a value of type {}", elements.size(), v.type.str()));
      v.elements = std::move(elements);
    }
    if (lexer_.accept("reads")) {
      TRY(lexer_.expect("("));
      while (!lexer_.is(")")) {
        Token where = lexer_.peek();
        int64_t element = TRY(lexer_.integer());
        if (element < 0 || element >= kMaxSymbolicElements)
          return lexer_.error_at(where,
                                 fmt::format("got element {}, expected 0 to {}", element, kMaxSymbolicElements - 1));
        TRY(lexer_.expect(":"));
        v.reads.emplace_back(element, TRY(symbol()));
        if (!lexer_.accept(",")) break;
      }
      TRY(lexer_.expect(")"));
    }
    return {};
  }

  Result<Symbol> symbol() {
    Token at = lexer_.peek();
    std::string name = TRY(lexer_.identifier("the name of a symbol"));
    if (name.empty()) return lexer_.error_at(at, "got an empty name of a symbol");
    return symbols_.find_or_make(name);
  }

  Result<void> statement(Region& r, Names& defined, int depth) {
    std::vector<std::optional<Token>> outputs;
    if (lexer_.peek().kind == Token::Kind::Value || lexer_.is("_")) {
      do {
        if (lexer_.accept("_")) outputs.emplace_back();
        else if (lexer_.peek().kind == Token::Kind::Value) outputs.emplace_back(lexer_.take());
        else return lexer_.error("a value or _");
      } while (lexer_.accept(","));
      TRY(lexer_.expect("="));
    }
    Token op = lexer_.peek();
    if (op.kind != Token::Kind::Identifier) return lexer_.error("an operator");
    lexer_.take();
    bool is_constant = op.text == "constant" && lexer_.peek().kind == Token::Kind::Identifier &&
                       dtype_named(lexer_.peek().text) != DType::Invalid;
    if (is_constant) return constant(outputs, defined);

    auto found = find_(op.text);
    if (!found) return lexer_.error_at(op, found.error().message);
    auto node = std::make_unique<Node>();
    node->def = *found;
    if (lexer_.peek().kind == Token::Kind::Value || lexer_.is("_")) {
      do {
        if (lexer_.accept("_")) node->inputs.push_back(nullptr);
        else if (lexer_.peek().kind == Token::Kind::Value) node->inputs.push_back(TRY(use(lexer_.take())));
        else return lexer_.error("a value or _");
      } while (lexer_.accept(","));
    }
    if (lexer_.accept("{")) TRY(attributes(node->attrs));
    for (size_t i = 0; i < outputs.size(); ++i) {
      Value* v = nullptr;
      if (outputs[i]) {
        v = TRY(make(*outputs[i]));
        v->producer = node.get();
        v->output_index = static_cast<int>(i);
      }
      node->outputs.push_back(v);
    }
    if (lexer_.accept(":")) {
      bool first = true;
      for (Value* v : node->outputs) {
        if (!v) continue;
        if (!first) TRY(lexer_.expect(","));
        first = false;
        TRY(type_of(*v));
      }
    }
    if (lexer_.accept("decides")) {
      TRY(lexer_.expect("("));
      while (!lexer_.is(")")) {
        node->symbols.push_back(TRY(symbol()));
        if (!lexer_.accept(",")) break;
      }
      TRY(lexer_.expect(")"));
    }
    if (lexer_.accept("@")) node->name = TRY(lexer_.identifier("the name of the node"));
    if (lexer_.accept("from")) node->source = TRY(lexer_.identifier("where the node comes from"));
    while (lexer_.accept("region")) {
      node->regions.push_back(std::make_unique<Region>());
      TRY(region(*node->regions.back(), depth + 1));
    }
    for (Value* v : node->outputs)
      if (v) show(v, defined);
    r.nodes.push_back(std::move(node));
    return {};
  }

  Result<void> constant(const std::vector<std::optional<Token>>& outputs, Names& defined) {
    Token at = lexer_.peek();
    if (outputs.size() != 1 || !outputs[0]) return lexer_.error_at(at, "got a constant with other than one result");
    Value* v = TRY(make(*outputs[0]));
    v->type = TRY(parse_type(lexer_, symbols_));
    v->constant = TRY(parse_contents(lexer_, v->type.tensor));
    show(v, defined);
    return {};
  }

  Result<void> attributes(Attrs& attrs) {
    while (!lexer_.is("}")) {
      Token at = lexer_.peek();
      std::string name = TRY(lexer_.identifier("the name of an attribute"));
      if (attrs.find(name)) return lexer_.error_at(at, "got the attribute " + quoted(name) + " twice");
      TRY(lexer_.expect("="));
      attrs.set(std::move(name), TRY(attribute()));
      if (!lexer_.accept(",")) break;
    }
    return lexer_.expect("}");
  }

  // An integer as written, or any number.
  Result<std::variant<int64_t, double>> number() {
    Token at = lexer_.peek();
    bool negative = lexer_.accept("-");
    const Token& t = lexer_.peek();
    if (t.kind == Token::Kind::Integer) {
      uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
      if (t.integer > limit) return lexer_.error("a 64-bit integer");
      uint64_t v = lexer_.take().integer;
      return std::variant<int64_t, double>(static_cast<int64_t>(negative ? 0 - v : v));
    }
    double v = TRY(parse_number(lexer_));
    return std::variant<int64_t, double>(negative ? -v : v);
  }

  Result<AttrValue> attribute() {
    if (lexer_.peek().kind == Token::Kind::String) return AttrValue(lexer_.take().text);
    if (lexer_.accept("none")) return AttrValue(TensorRef());
    bool floats = lexer_.accept("floats"), strings = !floats && lexer_.accept("strings");
    if (floats || strings || lexer_.is("[")) return attribute_list(floats, strings);
    if (lexer_.peek().kind == Token::Kind::Identifier && dtype_named(lexer_.peek().text) != DType::Invalid) {
      Type type = TRY(parse_type(lexer_, symbols_));
      return AttrValue(TRY(parse_contents(lexer_, type.tensor)));
    }
    auto v = TRY(number());
    if (auto* i = std::get_if<int64_t>(&v)) return AttrValue(*i);
    return AttrValue(std::get<double>(v));
  }

  Result<AttrValue> attribute_list(bool floats, bool strings) {
    TRY(lexer_.expect("["));
    std::vector<int64_t> i64s;
    std::vector<double> f64s;
    std::vector<std::string> texts;
    strings = strings || lexer_.peek().kind == Token::Kind::String;
    while (!lexer_.is("]")) {
      if (strings) {
        if (lexer_.peek().kind != Token::Kind::String) return lexer_.error("a string");
        texts.push_back(lexer_.take().text);
      } else {
        auto v = TRY(number());
        if (auto* i = std::get_if<int64_t>(&v)) {
          i64s.push_back(*i);
          f64s.push_back(static_cast<double>(*i));
        } else {
          floats = true;
          f64s.push_back(std::get<double>(v));
        }
      }
      if (!lexer_.accept(",")) break;
    }
    TRY(lexer_.expect("]"));
    if (strings) return AttrValue(std::move(texts));
    if (floats) return AttrValue(std::move(f64s));
    return AttrValue(std::move(i64s));
  }

  Lexer lexer_;
  OpLookup find_;
  Graph graph_;
  SymbolNames symbols_;
  std::map<std::string, Value*> visible_;
  std::set<std::string> taken_;
};

}  // namespace

Result<Graph> parse_graph(std::string_view text, OpLookup find) { return Parser(text, find).graph(); }

}  // namespace ingot
