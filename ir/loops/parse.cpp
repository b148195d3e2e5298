// Parses the text form of L (text.cpp). The text may come from strangers: nesting and sizes are bounded, and the program
// is checked by verify(), not here.
#include <cstdlib>
#include <map>

#include "ir/dim_internal.h"
#include "ir/loops/loops.h"

namespace ingot::l {

namespace {

constexpr int kMaxNesting = 200;  // of blocks, dims and expressions
constexpr int64_t kMaxWeights = 1 << 30;  // bytes

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Program> program() {
    Program p;
    TRY(expect("program"));
    p.name = TRY(quoted());
    while (!at_end()) {
      if (accept("input")) p.inputs.push_back(TRY(port()));
      else if (accept("output")) p.outputs.push_back(TRY(port()));
      else if (accept("arena")) p.arena_bytes = TRY(dim());
      else if (accept("weights")) TRY(weights(p));
      else if (accept("origin")) p.origins.push_back(TRY(quoted()));
      else if (accept("buffer")) TRY(buffer(p));
      else if (accept("host")) p.host = TRY(block());
      else if (accept("kernel")) p.kernels.push_back(TRY(kernel()));
      else return unexpected("input, output, arena, weights, origin, buffer, host or kernel");
    }
    return p;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  std::map<std::string, Symbol> symbols_;
  std::map<int64_t, Expr> named_;

  struct Nest {
    int& depth;
    explicit Nest(int& d) : depth(d) { ++depth; }
    ~Nest() { --depth; }
  };
  Result<void> too_deep() {
    if (depth_ > kMaxNesting) return limit_exceeded("the text nests deeper than {}", kMaxNesting);
    return {};
  }

  void space() {
    while (at_ < text_.size() && isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool at_end() { return space(), at_ == text_.size(); }
  static bool word_char(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '\''; }
  bool accept(std::string_view s) {
    space();
    if (text_.substr(at_, s.size()) != s) return false;
    size_t end = at_ + s.size();
    if (word_char(s.back()) && end < text_.size() && word_char(text_[end])) return false;
    at_ = end;
    return true;
  }
  Error unexpected(std::string_view what) {
    space();
    size_t line = 1;
    for (size_t i = 0; i < at_; ++i) line += text_[i] == '\n';
    std::string got(text_.substr(at_, std::min(text_.find('\n', at_), at_ + 20) - at_));
    return invalid("line {}: got '{}', expected {}", line, got, what);
  }
  Result<void> expect(std::string_view s) {
    if (!accept(s)) return unexpected(fmt::format("'{}'", s));
    return {};
  }
  Result<std::string> word() {
    space();
    size_t start = at_;
    while (at_ < text_.size() && word_char(text_[at_])) ++at_;
    if (at_ == start) return unexpected("a name");
    return std::string(text_.substr(start, at_ - start));
  }
  bool number_ahead() {
    space();
    return at_ < text_.size() && (isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '-');
  }
  Result<int64_t> integer() {
    space();
    size_t end = at_;
    if (end < text_.size() && text_[end] == '-') ++end;
    while (end < text_.size() && isdigit(static_cast<unsigned char>(text_[end]))) ++end;
    std::string s(text_.substr(at_, end - at_));
    errno = 0;
    char* stop = nullptr;
    int64_t v = std::strtoll(s.c_str(), &stop, 10);
    if (s.empty() || *stop || stop == s.c_str() || errno) return unexpected("an integer of 64 bits");
    at_ = end;
    return v;
  }
  Result<int> small() {
    int64_t v = TRY(integer());
    if (v < INT32_MIN || v > INT32_MAX) return unexpected("an integer of 32 bits");
    return static_cast<int>(v);
  }
  Result<double> number() {
    space();
    size_t end = at_;
    while (end < text_.size() && (word_char(text_[end]) || text_[end] == '.' || text_[end] == '+' || text_[end] == '-'))
      ++end;
    std::string s(text_.substr(at_, end - at_));
    char* stop = nullptr;
    double v = std::strtod(s.c_str(), &stop);
    if (s.empty() || *stop) return unexpected("a number");
    at_ = end;
    return v;
  }
  Result<std::string> quoted() {
    TRY(expect("\""));
    std::string s;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] != '\\') {
        s += text_[at_];
        continue;
      }
      if (++at_ == text_.size()) break;
      if (text_[at_] != 'x') {
        s += text_[at_];
        continue;
      }
      std::string hex(text_.substr(std::min(at_ + 1, text_.size()), 2));
      char* stop = nullptr;
      long v = std::strtol(hex.c_str(), &stop, 16);
      if (hex.size() != 2 || *stop) return unexpected("two hexadecimal digits");
      s += static_cast<char>(v);
      at_ += 2;
    }
    if (at_ >= text_.size()) return unexpected("the end of a string");
    ++at_;
    return s;
  }
  Result<DType> dtype() {
    std::string s = TRY(word());
    DType t = dtype_named(s);
    if (t == DType::Invalid && s != name(DType::Invalid)) return unexpected("a dtype before");
    return t;
  }
  template <class F>
  Result<void> list(std::string_view open, std::string_view close, F&& item) {
    TRY(expect(open));
    if (accept(close)) return {};
    do TRY(item());
    while (accept(","));
    return expect(close);
  }

  Result<Symbol> symbol() {
    std::string s = TRY(word());
    auto it = symbols_.find(s);
    if (it != symbols_.end()) return it->second;
    if (isdigit(static_cast<unsigned char>(s[0]))) return unexpected("a symbol before");
    std::string plain = s.substr(0, s.find('\''));
    if (!accept(":[")) return symbols_[s] = Dim::symbol(plain);
    int64_t lo = TRY(integer());
    TRY(expect(","));
    int64_t hi = TRY(integer());
    Symbol made = Dim::symbol(plain, lo, hi);
    symbols_[s] = made;
    if (accept(",<")) {
      SymbolInfo info = *made;
      info.extent = std::make_shared<const Dim>(TRY(dim()));
      made = std::make_shared<const SymbolInfo>(info);
      symbols_[s] = made;
    }
    TRY(expect("]"));
    return made;
  }

  Result<Dim> factor() {
    Nest nest(depth_);
    TRY(too_deep());
    if (number_ahead()) return Dim(TRY(integer()));
    using F = Dim (*)(const Dim&, const Dim&);
    static const std::pair<const char*, F> kFunctions[] = {
        {"div(", [](const Dim& a, const Dim& b) { return b.is(1) ? opaque(a) : floordiv(a, b); }},
        {"mod(", [](const Dim& a, const Dim& b) { return mod(a, b); }},
        {"min(", [](const Dim& a, const Dim& b) { return min(a, b); }},
        {"max(", [](const Dim& a, const Dim& b) { return max(a, b); }},
        {"less(", [](const Dim& a, const Dim& b) { return less(a, b); }},
        {"equal(", [](const Dim& a, const Dim& b) { return equal(a, b); }}};
    for (auto& [text, f] : kFunctions)
      if (accept(text)) {
        Dim a = TRY(dim());
        TRY(expect(","));
        Dim b = TRY(dim());
        TRY(expect(")"));
        return f(a, b);
      }
    return Dim(TRY(symbol()));
  }
  Result<Dim> dim() {
    Dim sum(0);
    do {
      Dim product = TRY(factor());
      while (accept("*")) product = product * TRY(factor());
      sum = sum + product;
    } while (accept("+"));
    return sum;
  }
  Result<std::vector<Dim>> dims() {
    std::vector<Dim> v;
    TRY(list("[", "]", [&]() -> Result<void> {
      v.push_back(TRY(dim()));
      return {};
    }));
    return v;
  }

  Result<Port> port() {
    Port p;
    p.name = TRY(quoted());
    TRY(expect(":"));
    p.dtype = TRY(dtype());
    p.dims = TRY(dims());
    return p;
  }

  Result<void> weights(Program& p) {
    int64_t n = TRY(integer());
    if (n < 0 || n > kMaxWeights) return limit_exceeded("{} bytes of weights, expected at most {}", n, kMaxWeights);
    p.weights.assign(static_cast<size_t>(n), 0);
    if (!accept("=")) return {};
    std::string hex = TRY(word());
    if (hex.size() != p.weights.size() * 2)
      return invalid("{} digits of weights, expected {}", hex.size(), p.weights.size() * 2);
    for (size_t i = 0; i < p.weights.size(); ++i)
      p.weights[i] = static_cast<uint8_t>(std::strtol(hex.substr(2 * i, 2).c_str(), nullptr, 16));
    return {};
  }

  Result<void> buffer(Program& p) {
    int64_t id = TRY(integer());
    if (id != static_cast<int64_t>(p.buffers.size())) return invalid("buffer {}, expected {}", id, p.buffers.size());
    HostBuffer b;
    b.name = TRY(quoted());
    TRY(expect(":"));
    b.dtype = TRY(dtype());
    static const char* kKinds[] = {"arena", "constant", "input", "output", "dynamic", "view"};
    bool known = false;
    for (int k = 0; k < 6 && !known; ++k)
      if (accept(kKinds[k])) b.kind = static_cast<HostBuffer::Kind>(k), known = true;
    if (!known) return unexpected("a kind of buffer");
    TRY(expect("offset"));
    b.offset = TRY(dim());
    TRY(expect("size"));
    b.size = TRY(dim());
    if (accept("origin")) b.origin = TRY(dim());
    TRY(expect("index"));
    b.index = TRY(small());
    TRY(expect("dims"));
    b.dims = TRY(dims());
    p.buffers.push_back(std::move(b));
    return {};
  }

  Result<Kernel> kernel() {
    Kernel k;
    k.name = TRY(quoted());
    TRY(expect("("));
    while (!accept(";")) {
      BufferParam b;
      b.id = TRY(integer());
      b.name = TRY(quoted());
      TRY(expect(":"));
      b.dtype = TRY(dtype());
      b.written = accept("out");
      b.constant = accept("const");
      k.buffers.push_back(std::move(b));
      accept(",");
    }
    while (!accept(")")) {
      k.scalars.push_back(TRY(symbol()));
      accept(",");
    }
    TRY(expect("item"));
    k.item = TRY(symbol());
    TRY(expect("node"));
    k.node = TRY(small());
    TRY(expect("flops"));
    k.flops = TRY(dim());
    TRY(expect("bytes"));
    k.bytes = TRY(dim());
    TRY(expect("schedule"));
    k.schedule = TRY(quoted());
    k.body = TRY(block());
    return k;
  }

  // --- expressions ---

  Result<Expr> expr() {
    named_.clear();
    return node();
  }

  Result<Expr> node() {
    Nest nest(depth_);
    TRY(too_deep());
    if (accept("%")) {
      int64_t number = TRY(integer());
      if (!accept("=(")) {
        auto it = named_.find(number);
        if (it == named_.end()) return invalid("%{} is used before it is defined", number);
        return it->second;
      }
      Expr e = TRY(node());
      TRY(expect(")"));
      return named_[number] = e;
    }
    std::string text = TRY(word());
    ExprNode n{ScalarOp::Const, DType::Invalid, 1, {}, Dim(0)};
    bool known = false;
    for (int i = 0; i <= static_cast<int>(ScalarOp::Dot4) && !known; ++i)
      if (ingot::name(static_cast<ScalarOp>(i)) == text) n.op = static_cast<ScalarOp>(i), known = true;
    if (!known) return invalid("no scalar operation '{}'", text);
    bool typed = accept(".");
    if (typed) {
      n.type = TRY(dtype());
      if (accept(":")) n.lanes = TRY(small());
    }
    TRY(expect("("));
    auto args = [&](std::string_view separator) -> Result<void> {
      while (!accept(")")) {
        n.args.push_back(TRY(node()));
        accept(separator);
      }
      return {};
    };
    using Op = ScalarOp;
    switch (n.op) {
      case Op::Const:
        if (is_float(n.type)) n.number = TRY(number());
        else n.integer = TRY(integer());
        TRY(expect(")"));
        break;
      case Op::Index:
        n.dim = TRY(dim());
        TRY(expect(")"));
        break;
      case Op::Ramp:
        n.dim = TRY(dim());
        TRY(expect(";"));
        n.stride = TRY(integer());
        TRY(expect(")"));
        break;
      case Op::Local:
        n.id = TRY(integer());
        TRY(expect(")"));
        break;
      case Op::TileDot:
        n.integer = TRY(integer());
        TRY(expect(","));
        TRY(args(","));
        break;
      case Op::Load:
      case Op::TileLoad:
        n.id = TRY(integer());
        TRY(expect(";"));
        n.dim = TRY(dim());
        TRY(expect(";"));
        n.stride = TRY(integer());
        accept(";");
        if (n.op == Op::TileLoad) n.integer = TRY(integer());
        TRY(args(";"));
        break;
      case Op::Cast:
        if (accept("wrap")) {
          n.saturate = false;
          accept(";");
        }
        TRY(args(";"));
        break;
      case Op::Lane:
        n.integer = TRY(integer());
        accept(",");
        TRY(args(","));
        break;
      case Op::Read: return invalid("'read' in a loop program");
      default: TRY(args(","));
    }
    int want = arity(n.op);
    if (want >= 0 && static_cast<int>(n.args.size()) != want)
      return invalid("'{}' with {} arguments, expected {}", text, n.args.size(), want);
    if (!typed) infer(n);
    return ex::make(std::move(n));
  }

  static void infer(ExprNode& n) {
    if (n.args.empty()) return;
    using Op = ScalarOp;
    const Expr& from = n.op == Op::Select ? n.args[1] : n.args[0];
    n.type = from.type();
    n.lanes = from.lanes();
    switch (n.op) {
      case Op::Eq:
      case Op::Ne:
      case Op::Lt:
      case Op::Le:
      case Op::Gt:
      case Op::Ge:
      case Op::IsNaN:
      case Op::IsInf: n.type = DType::Bool; break;
      case Op::Lane:
      case Op::LaneSum:
      case Op::LaneMax:
      case Op::LaneMin:
      case Op::LaneProd: n.lanes = 1; break;
      default: break;
    }
  }

  Result<std::vector<Expr>> exprs() {
    std::vector<Expr> v;
    TRY(list("(", ")", [&]() -> Result<void> {
      v.push_back(TRY(expr()));
      return {};
    }));
    return v;
  }

  // --- statements ---

  Result<std::vector<Stmt>> block() {
    Nest nest(depth_);
    TRY(too_deep());
    std::vector<Stmt> body;
    TRY(expect("{"));
    while (!accept("}")) body.push_back(TRY(stmt()));
    return body;
  }

  Result<std::vector<Tensor>> tensors() {
    std::vector<Tensor> v;
    TRY(list("(", ")", [&]() -> Result<void> {
      Tensor t;
      t.buffer = TRY(small());
      TRY(expect(":"));
      t.dtype = TRY(dtype());
      t.dims = TRY(dims());
      v.push_back(std::move(t));
      return {};
    }));
    return v;
  }

  Result<Stmt> stmt() {
    Stmt s{};
    if (accept("for")) {
      s.kind = StmtKind::For;
      s.symbol = TRY(symbol_after_range(s));
      if (accept("step")) s.step = TRY(integer());
      s.unroll = accept("unroll");
      s.body = TRY(block());
    } else if (accept("while")) {
      s.kind = StmtKind::While;
      s.expr = TRY(expr());
      s.body = TRY(block());
    } else if (accept("if")) {
      s.kind = StmtKind::If;
      s.expr = TRY(expr());
      s.body = TRY(block());
      if (accept("else")) s.otherwise = TRY(block());
    } else if (accept("let")) {
      s.kind = StmtKind::Let;
      s.symbol = TRY(symbol());
      TRY(expect("="));
      s.expr = TRY(expr());
    } else if (accept("var")) {
      s.kind = StmtKind::Declare;
      s.id = TRY(integer());
      TRY(expect(":"));
      s.dtype = TRY(dtype());
      if (accept(":")) s.lanes = TRY(small());
      if (accept("=")) s.expr = TRY(expr());
    } else if (accept("set")) {
      s.kind = StmtKind::Set;
      s.id = TRY(integer());
      TRY(expect("="));
      s.expr = TRY(expr());
    } else if (accept("store")) {
      s.kind = StmtKind::Store;
      s.id = TRY(integer());
      TRY(expect("["));
      s.offset = TRY(dim());
      if (accept(";")) s.stride = TRY(integer());
      TRY(expect("]"));
      if (accept("at")) s.index = TRY(expr());
      if (accept("where")) s.mask = TRY(expr());
      TRY(expect("="));
      s.expr = TRY(expr());
    } else if (accept("prefetch")) {
      s.kind = StmtKind::Prefetch;
      s.id = TRY(integer());
      TRY(expect("["));
      s.offset = TRY(dim());
      TRY(expect("]"));
    } else if (accept("scratch")) {
      s.kind = StmtKind::Scratch;
      s.id = TRY(integer());
      TRY(expect(":"));
      s.dtype = TRY(dtype());
      TRY(expect("["));
      s.elements = TRY(integer());
      TRY(expect("]"));
    } else if (accept("fail")) {
      s.kind = StmtKind::Fail;
      s.code = TRY(small());
      TRY(expect("node"));
      s.node = TRY(small());
      s.args = TRY(exprs());
    } else if (accept("launch")) {
      s.kind = StmtKind::Launch;
      s.id = TRY(integer());
      TRY(expect("("));
      while (!accept(";")) {
        s.buffers.push_back(TRY(small()));
        accept(",");
      }
      while (!accept(")")) {
        s.scalars.push_back(TRY(dim()));
        accept(",");
      }
      TRY(expect("over"));
      s.end = TRY(dim());
      TRY(expect("grain"));
      s.grain = TRY(integer());
      TRY(expect("cost"));
      s.cost = TRY(integer());
      TRY(expect("node"));
      s.node = TRY(small());
    } else if (accept("group")) {
      s.kind = StmtKind::Group;
      s.body = TRY(block());
    } else if (accept("place")) {
      s.kind = StmtKind::Place;
      s.id = TRY(integer());
      TRY(expect("node"));
      s.node = TRY(small());
    } else if (accept("assign")) {
      s.kind = StmtKind::Assign;
      s.id = TRY(integer());
      TRY(expect("="));
      s.buffers.push_back(TRY(small()));
      TRY(expect("node"));
      s.node = TRY(small());
    } else if (accept("call")) {
      TRY(call(s));
    } else if (accept("require")) {
      s.kind = StmtKind::Require;
      s.begin = TRY(dim());
      TRY(expect("code"));
      s.code = TRY(small());
      TRY(expect("node"));
      s.node = TRY(small());
      s.message = TRY(quoted());
      s.args = TRY(exprs());
    } else {
      return unexpected("a statement");
    }
    return s;
  }

  // The range stands after the symbol, but the text gives the range's symbols their facts first.
  Result<Symbol> symbol_after_range(Stmt& s) {
    Symbol i = TRY(symbol());
    TRY(expect("in"));
    s.begin = TRY(dim());
    TRY(expect(".."));
    s.end = TRY(dim());
    return i;
  }

  Result<void> call(Stmt& s) {
    s.kind = StmtKind::Call;
    s.name = TRY(quoted());
    s.operands = TRY(tensors());
    TRY(expect("->"));
    TRY(list("[", "]", [&]() -> Result<void> {
      s.symbols.push_back(TRY(symbol()));
      return {};
    }));
    s.results = TRY(tensors());
    TRY(expect("ints"));
    TRY(list("[", "]", [&]() -> Result<void> {
      s.ints.push_back(TRY(integer()));
      return {};
    }));
    TRY(expect("floats"));
    TRY(list("[", "]", [&]() -> Result<void> {
      s.floats.push_back(TRY(number()));
      return {};
    }));
    TRY(expect("strings"));
    TRY(list("[", "]", [&]() -> Result<void> {
      s.strings.push_back(TRY(quoted()));
      return {};
    }));
    TRY(expect("node"));
    s.node = TRY(small());
    return {};
  }
};

}  // namespace

Result<Program> parse(std::string_view text) { return Parser(text).program(); }

}  // namespace ingot::l
