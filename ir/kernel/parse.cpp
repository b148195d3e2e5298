#include "ir/kernel/parse.h"

#include <algorithm>
#include <set>

#include "ir/kernel/parse_expr.h"

namespace ingot::k {

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<Program> program() {
    if (lexer_.accept("symbols")) TRY(symbol_facts());
    TRY(lexer_.expect("kernels"));
    p_.name = TRY(lexer_.identifier("the name of the program"));
    TRY(lexer_.expect("{"));
    if (lexer_.accept("origins")) {
      TRY(lexer_.expect("["));
      TRY(items("]", [&]() -> Result<void> {
        p_.origins.push_back(TRY(string()));
        return {};
      }));
    }
    while (!lexer_.is("}")) {
      if (lexer_.is("output")) break;
      TRY(statement(p_.body, 0));
    }
    if (lexer_.accept("output")) {
      do p_.body.outputs.push_back(TRY(operand()));
      while (lexer_.accept(","));
    }
    TRY(lexer_.expect("}"));
    if (!lexer_.at_end()) return lexer_.error("the end of the text");
    TRY(verify(p_));
    return std::move(p_);
  }

 private:
  template <class F>
  Result<void> items(std::string_view end, const F& f) {
    while (!lexer_.is(end)) {
      TRY(f());
      if (!lexer_.accept(",")) break;
    }
    return lexer_.expect(end);
  }

  Result<std::string> string() {
    if (lexer_.peek().kind != Token::Kind::String) return lexer_.error("a string");
    return lexer_.take().text;
  }

  // As in the text of a graph.
  Result<void> symbol_facts() {
    do {
      const Token at = lexer_.peek();
      const std::string name = TRY(lexer_.identifier("the name of a symbol"));
      if (name.empty() || symbols_.find(name))
        return lexer_.error_at(at, "got the symbol " + quoted(name) + " twice, or before it is declared");
      Symbol s;
      if (lexer_.accept("<")) {
        s = Dim::iterator(name, TRY(parse_dim(lexer_, symbols_)));
      } else if (lexer_.accept("in")) {
        TRY(lexer_.expect("["));
        const int64_t lo = TRY(bound());
        TRY(lexer_.expect(","));
        const int64_t hi = TRY(bound());
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
    const Token at = lexer_.peek();
    const int64_t v = TRY(lexer_.integer());
    if (v < -kDimMax || v > kDimMax) return lexer_.error_at(at, "got a bound beyond 2^61");
    return v;
  }
  Result<Symbol> symbol() {
    const Token at = lexer_.peek();
    const std::string name = TRY(lexer_.identifier("the name of a symbol"));
    if (name.empty()) return lexer_.error_at(at, "got an empty name of a symbol");
    return symbols_.find_or_make(name);
  }

  // --- values

  Result<Token> value_token() {
    if (lexer_.peek().kind != Token::Kind::Value) return lexer_.error("a value");
    return lexer_.take();
  }
  Result<int> lookup(const Token& t) const {
    auto it = ids_.find(t.text);
    if (it == ids_.end())
      return lexer_.error_at(t, fmt::format("got {}, expected a value that is defined before", t.source));
    return it->second;
  }
  // %x or _
  Result<int> operand() {
    if (lexer_.accept("_")) return -1;
    return lookup(TRY(value_token()));
  }
  Result<int> present() {
    const Token at = lexer_.peek();
    const int id = TRY(operand());
    if (id < 0) return lexer_.error_at(at, "got an absent operand, expected a value");
    return id;
  }
  // %x: T, not visible before `show`
  Result<int> declaration() {
    if (lexer_.accept("_")) return -1;
    const Token t = TRY(value_token());
    if (t.text.empty()) return lexer_.error_at(t, "got a value with an empty name");
    if (static_cast<int64_t>(p_.values.size()) >= kMaxTextValues)
      return limit_exceeded("got more than {} values", kMaxTextValues);
    TRY(lexer_.expect(":"));
    Type type = TRY(parse_type(lexer_, symbols_));
    return p_.add({-1, t.text, std::move(type), nullptr});
  }
  Result<void> show(int id, const Token& at) {
    if (id < 0) return {};
    const std::string& name = p_.values[static_cast<size_t>(id)].name;
    if (!ids_.emplace(name, id).second) return lexer_.error_at(at, "got a second definition of " + name);
    return {};
  }
  Type& type(int id) { return p_.values[static_cast<size_t>(id)].type; }

  // --- stages

  Result<void> statement(Block& b, int depth) {
    const Token at = lexer_.peek();
    if (lexer_.is("input") || lexer_.is("constant")) {
      if (depth > 0) return lexer_.error("a stage");
      const bool constant = lexer_.take().source == "constant";
      const int id = TRY(declaration());
      if (id < 0) return lexer_.error_at(at, "got an input without a name");
      TRY(show(id, at));
      if (!constant) {
        p_.inputs.push_back(id);
        return {};
      }
      if (!type(id).is_tensor() || !type(id).tensor.is_static())
        return lexer_.error_at(at, "got a constant of " + type(id).str() + ", expected a tensor with known extents");
      p_.values[static_cast<size_t>(id)].constant = TRY(parse_contents(lexer_, type(id).tensor));
      return {};
    }
    Stage s;
    if (lexer_.peek().kind == Token::Kind::Value || lexer_.is("_")) {
      do s.results.push_back(TRY(declaration()));
      while (lexer_.accept(","));
      TRY(lexer_.expect("="));
    }
    const Token keyword = lexer_.peek();
    const std::string kind = TRY(lexer_.identifier("a stage"));
    bool known = false;
    for (int k = 0; k <= static_cast<int>(StageKind::Loop); ++k)
      if (name(static_cast<StageKind>(k)) == kind) s.kind = static_cast<StageKind>(k), known = true;
    if (!known) return lexer_.error_at(keyword, fmt::format("got {}, expected a stage", keyword.source));
    TRY(stage(s, depth));
    if (lexer_.accept("@")) {
      const Token where = lexer_.peek();
      const int64_t node = TRY(lexer_.integer());
      if (node < 0 || node >= static_cast<int64_t>(p_.origins.size()))
        return lexer_.error_at(where, fmt::format("got origin {}, expected one below {}", node, p_.origins.size()));
      s.node = static_cast<int>(node);
    }
    for (int id : s.results) TRY(show(id, at));
    b.stages.push_back(std::move(s));
    return {};
  }

  Result<void> stage(Stage& s, int depth) {
    switch (s.kind) {
      case StageKind::Map:
      case StageKind::Reduce:
      case StageKind::Scan:
      case StageKind::Scatter:
      case StageKind::Walk: return elements(s);
      case StageKind::Call: return call(s);
      case StageKind::Read: {
        s.operands = {TRY(present())};
        TRY(lexer_.expect("("));
        return items(")", [&]() -> Result<void> {
          s.elements.push_back(TRY(lexer_.integer()));
          TRY(lexer_.expect(":"));
          s.symbols.push_back(TRY(symbol()));
          return {};
        });
      }
      case StageKind::Check:
        TRY(lexer_.expect("("));
        s.condition_dim = TRY(condition());
        TRY(lexer_.expect(")"));
        s.message = TRY(string());
        if (lexer_.accept("got")) {
          TRY(lexer_.expect("("));
          s.got = TRY(parse_dim(lexer_, symbols_));
          TRY(lexer_.expect(")"));
        }
        return {};
      case StageKind::If: {
        s.operands = {TRY(present())};
        TRY(decides(s));
        s.blocks.resize(2);
        TRY(block(s.blocks[0], depth));
        TRY(lexer_.expect("else"));
        return block(s.blocks[1], depth);
      }
      case StageKind::Loop: return loop(s, depth);
    }
    return {};
  }

  // A dim, or a comparison of dims without parentheses around it.
  Result<Dim> condition() {
    Dim a = TRY(parse_dim(lexer_, symbols_));
    if (lexer_.accept("<")) return less(a, TRY(parse_dim(lexer_, symbols_)));
    if (lexer_.accept("==")) return equal(a, TRY(parse_dim(lexer_, symbols_)));
    return a;
  }

  Result<Combiner> combiner() {
    const Token at = lexer_.peek();
    const std::string text = TRY(lexer_.identifier("a combiner"));
    for (int k = 0; k <= static_cast<int>(Combiner::Assign); ++k)
      if (name(static_cast<Combiner>(k)) == text) return static_cast<Combiner>(k);
    return lexer_.error_at(at, fmt::format("got {}, expected a combiner", at.source));
  }

  // (i0, i1) with the extents of the first result, or (i0 < n, ...).
  Result<std::vector<Iter>> iters(const TensorType* of, SymbolNames& local) {
    std::vector<Iter> out;
    TRY(lexer_.expect("("));
    std::set<std::string> taken;
    TRY(items(")", [&]() -> Result<void> {
      const Token at = lexer_.peek();
      const std::string n = TRY(lexer_.identifier("an iterator"));
      if (n.empty() || !taken.insert(n).second) return lexer_.error_at(at, "got the iterator " + quoted(n) + " twice");
      Dim extent;
      if (of) {
        if (out.size() >= of->dims.size())
          return lexer_.error_at(at, fmt::format("got more than {} iterators", of->dims.size()));
        extent = of->dims[out.size()];
      } else {
        TRY(lexer_.expect("<"));
        extent = TRY(parse_dim(lexer_, local));
      }
      out.push_back({Dim::iterator(n, extent), extent});
      return {};
    }));
    if (of && out.size() != of->dims.size()) return lexer_.error(fmt::format("{} iterators", of->dims.size()));
    for (const Iter& i : out) local.define(i.symbol->name, i.symbol);
    return out;
  }

  Result<void> elements(Stage& s) {
    if (s.results.empty()) return lexer_.error("results before '='");
    std::vector<DType> types;
    for (int id : s.results) {
      if (id < 0 || !type(id).is_tensor()) return lexer_.error("tensors as results");
      types.push_back(type(id).tensor.dtype);
    }
    SymbolNames local = symbols_;
    const TensorType first = type(s.results[0]).tensor;
    if (s.kind == StageKind::Reduce || s.kind == StageKind::Scan || s.kind == StageKind::Scatter)
      s.combiner = TRY(combiner());
    if (s.kind == StageKind::Scatter) s.operands = {TRY(present())};
    s.iters = TRY(iters(s.kind == StageKind::Scatter ? nullptr : &first, local));
    if (s.kind == StageKind::Reduce) {
      TRY(lexer_.expect("over"));
      s.reds = TRY(iters(nullptr, local));
    }
    if (s.kind == StageKind::Scan) {
      TRY(lexer_.expect("along"));
      const int64_t axis = TRY(lexer_.integer());
      if (axis < 0 || axis >= static_cast<int64_t>(s.iters.size()))
        return lexer_.error(fmt::format("an axis below {}", s.iters.size()));
      s.axis = static_cast<int>(axis);
      s.exclusive = lexer_.accept("exclusive");
      s.reverse = lexer_.accept("reverse");
    }
    if (s.kind == StageKind::Walk) {
      TRY(lexer_.expect("limit"));
      s.limit = TRY(lexer_.integer());
    }
    ExprParser expr(lexer_, local, [this](const Token& t) -> Result<std::pair<int, const TensorType*>> {
      const int id = TRY(lookup(t));
      if (!type(id).is_tensor())
        return lexer_.error_at(t, fmt::format("got {} of type {}, expected a tensor", t.source, type(id).str()));
      return std::pair<int, const TensorType*>(id, &type(id).tensor);
    });
    if (s.kind == StageKind::Walk) expr.states(types);
    while (lexer_.accept("let")) {
      const std::string n = TRY(lexer_.identifier("a name"));
      TRY(lexer_.expect(":"));
      const Token at = lexer_.take();
      const DType t = dtype_named(at.text);
      if (t == DType::Invalid) return lexer_.error_at(at, fmt::format("got {}, expected an element type", at.source));
      TRY(lexer_.expect("="));
      expr.let(n, TRY(expr.parse(t)));
    }
    if (s.kind == StageKind::Scatter) {
      TRY(lexer_.expect("at"));
      TRY(lexer_.expect("["));
      TRY(items("]", [&]() -> Result<void> {
        s.targets.push_back(TRY(expr.parse(DType::I64)));
        return {};
      }));
      s.skip_outside = lexer_.accept("skip_outside");
    }
    if (s.kind == StageKind::Walk) {
      TRY(lexer_.expect("from"));
      TRY(lexer_.expect("("));
      for (size_t k = 0; k < types.size(); ++k) {
        if (k > 0) TRY(lexer_.expect(","));
        s.init.push_back(TRY(expr.parse(types[k])));
      }
      TRY(lexer_.expect(")"));
      TRY(lexer_.expect("while"));
      s.condition = TRY(expr.parse(DType::Bool));
    }
    TRY(lexer_.expect(":"));
    for (size_t k = 0; k < types.size(); ++k) {
      if (k > 0) TRY(lexer_.expect(","));
      s.body.push_back(TRY(expr.parse(types[k])));
    }
    return {};
  }

  Result<void> decides(Stage& s) {
    if (!lexer_.accept("decides")) return {};
    TRY(lexer_.expect("("));
    return items(")", [&]() -> Result<void> {
      s.symbols.push_back(TRY(symbol()));
      return {};
    });
  }

  Result<void> call(Stage& s) {
    s.algorithm = TRY(lexer_.identifier("an algorithm"));
    TRY(lexer_.expect("("));
    TRY(items(")", [&]() -> Result<void> {
      s.operands.push_back(TRY(operand()));
      return {};
    }));
    if (lexer_.accept("ints")) {
      TRY(lexer_.expect("["));
      TRY(items("]", [&]() -> Result<void> {
        s.ints.push_back(TRY(lexer_.integer()));
        return {};
      }));
    }
    if (lexer_.accept("floats")) {
      TRY(lexer_.expect("["));
      TRY(items("]", [&]() -> Result<void> {
        s.floats.push_back(TRY(parse_number(lexer_)));
        return {};
      }));
    }
    if (lexer_.accept("strings")) {
      TRY(lexer_.expect("["));
      TRY(items("]", [&]() -> Result<void> {
        s.strings.push_back(TRY(string()));
        return {};
      }));
    }
    return decides(s);
  }

  Result<void> block(Block& b, int depth) {
    if (depth >= kMaxBlockDepth) return limit_exceeded("got blocks nested deeper than {} levels", kMaxBlockDepth);
    const auto outer = ids_;
    for (int id : b.params) TRY(show(id, lexer_.peek()));
    TRY(lexer_.expect("{"));
    while (!lexer_.is("yield")) TRY(statement(b, depth + 1));
    TRY(lexer_.expect("yield"));
    if (!lexer_.is("}") && !lexer_.is("with")) {
      do b.outputs.push_back(TRY(operand()));
      while (lexer_.accept(","));
    }
    if (lexer_.accept("with")) {
      TRY(lexer_.expect("("));
      TRY(items(")", [&]() -> Result<void> {
        b.symbols.push_back(TRY(parse_dim(lexer_, symbols_)));
        return {};
      }));
    }
    TRY(lexer_.expect("}"));
    ids_ = outer;
    return {};
  }

  Result<void> loop(Stage& s, int depth) {
    s.operands.push_back(TRY(operand()));
    TRY(lexer_.expect(","));
    s.operands.push_back(TRY(operand()));
    if (lexer_.accept("carry")) {
      do s.operands.push_back(TRY(present()));
      while (lexer_.accept(","));
    }
    TRY(decides(s));
    if (lexer_.accept("carried")) {
      TRY(lexer_.expect("("));
      TRY(items(")", [&]() -> Result<void> {
        s.carried_symbols.push_back(TRY(symbol()));
        TRY(lexer_.expect("="));
        s.symbol_init.push_back(TRY(parse_dim(lexer_, symbols_)));
        return {};
      }));
    }
    s.blocks.resize(1);
    TRY(lexer_.expect("("));
    TRY(items(")", [&]() -> Result<void> {
      const Token at = lexer_.peek();
      const int id = TRY(declaration());
      if (id < 0) return lexer_.error_at(at, "got '_', expected a parameter");
      s.blocks[0].params.push_back(id);
      return {};
    }));
    return block(s.blocks[0], depth);
  }

  Lexer lexer_;
  SymbolNames symbols_;
  Program p_;
  std::map<std::string, int> ids_;  // of visible values
};

}  // namespace

Result<Program> parse_program(std::string_view text) { return Parser(text).program(); }

}  // namespace ingot::k
