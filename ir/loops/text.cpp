// The text form of L. Statements are lines; an expression is `op.type(args)`, with the type where it does not follow from
// the arguments. A node that an expression uses twice is named at its first use: `%0=(exp(...))`, then `%0`.
//
//   kernel scale(0 x: f32, 1 y: f32 out; N) item t {
//     for i in 0..16 {
//       store 1[t*16 + i] = mul(load.f32(0; t*16 + i; 1), const.f32(0x1p+1))
//     }
//   }
//
// Two symbols of one name are told apart by a suffix: `i`, `i'2`. A symbol's facts follow its first mention where they
// are not [0, unbounded]: `i:[0,15]`, `i:[0,15,<N]`.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "ir/loops/key.h"
#include "ir/loops/loops.h"

namespace ingot::l {

namespace {

class Writer {
 public:
  explicit Writer(bool anonymous) : anonymous_(anonymous) {}
  std::string out;

  void program(const Program& p) {
    line("program " + quoted(p.name));
    for (const Port& x : p.inputs) line("input " + port(x));
    for (const Port& x : p.outputs) line("output " + port(x));
    line("arena " + dim(p.arena_bytes));
    weights(p.weights);
    for (const std::string& o : p.origins) line("origin " + quoted(o));
    for (size_t i = 0; i < p.buffers.size(); ++i) buffer(static_cast<int>(i), p.buffers[i]);
    line("host {");
    block(p.host);
    line("}");
    for (const Kernel& k : p.kernels) kernel(k);
  }

  void kernel(const Kernel& k) {
    std::string head = "kernel " + (anonymous_ ? "k" : quoted(k.name)) + "(";
    for (size_t i = 0; i < k.buffers.size(); ++i) {
      const BufferParam& b = k.buffers[i];
      buffers_[b.id] = static_cast<int>(i);
      head += (i ? ", " : "") + buffer_id(b.id) + (anonymous_ ? "" : " " + quoted(b.name)) + ": " +
              std::string(name(b.dtype)) + (b.written ? " out" : "") + (b.constant ? " const" : "");
    }
    head += ";";
    for (size_t i = 0; i < k.scalars.size(); ++i) head += (i ? ", " : " ") + declare(k.scalars[i]);
    head += ") item " + declare(k.item);
    if (!anonymous_) {
      head += " node " + std::to_string(k.node) + " flops " + dim(k.flops);
      head += " bytes " + dim(k.bytes) + " schedule " + quoted(k.schedule);
    }
    line(head + " {");
    block(k.body);
    line("}");
  }

 private:
  bool anonymous_;
  int indent_ = 0;
  std::map<int64_t, std::string> symbols_;
  std::set<std::string> taken_;
  std::map<int64_t, int> buffers_;
  std::unordered_map<const ExprNode*, int> uses_, named_;

  void line(const std::string& s) { out += std::string(static_cast<size_t>(indent_) * 2, ' ') + s + "\n"; }

  static std::string quoted(const std::string& s) {
    static const char* kHex = "0123456789abcdef";
    std::string q = "\"";
    for (char c : s) {
      auto u = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') (q += '\\') += c;
      else if (u < 32 || u >= 127) ((q += "\\x") += kHex[u >> 4]) += kHex[u & 15];
      else q += c;
    }
    return q + "\"";
  }

  void weights(const std::vector<uint8_t>& w) {
    constexpr size_t kShown = 1024;  // more weights are not part of the text
    std::string s = "weights " + std::to_string(w.size());
    if (!w.empty() && w.size() <= kShown) {
      s += " = ";
      for (uint8_t b : w) s += fmt::format("{:02x}", b);
    }
    line(s);
  }

  std::string buffer_id(int64_t id) {
    if (!anonymous_) return std::to_string(id);
    auto [it, fresh] = buffers_.emplace(id, static_cast<int>(buffers_.size()));
    return std::to_string(it->second);
  }

  std::string symbol(const Symbol& s) {
    auto it = symbols_.find(s->id);
    if (it != symbols_.end()) return it->second;
    std::string base = s->name;
    for (char& c : base)
      if (!isalnum(static_cast<unsigned char>(c)) && c != '_') c = '_';
    if (base.empty() || isdigit(static_cast<unsigned char>(base[0]))) base = "s" + base;
    if (anonymous_) base = "s" + std::to_string(symbols_.size());
    std::string n = base;
    for (int i = 2; !taken_.insert(n).second; ++i) n = base + "'" + std::to_string(i);
    symbols_[s->id] = n;
    std::string facts;
    if (s->lo != 0 || s->hi != kDimMax || s->extent) {
      facts = fmt::format(":[{},{}", s->lo, s->hi);
      if (s->extent) facts += ",<" + dim(*s->extent);
      facts += "]";
    }
    return n + facts;
  }
  std::string declare(const Symbol& s) { return symbol(s); }

  std::string atom(const Dim::Atom& a) {
    auto both = [&](const char* f) {
      std::string x = dim(a.a), y = dim(a.b);
      bool symmetric = a.kind == Dim::AtomKind::Min || a.kind == Dim::AtomKind::Max || a.kind == Dim::AtomKind::Equal;
      if (symmetric && y < x) std::swap(x, y);
      return std::string(f) + "(" + x + ", " + y + ")";
    };
    switch (a.kind) {
      case Dim::AtomKind::Symbol: return symbol(a.symbol);
      case Dim::AtomKind::FloorDiv: return both("div");
      case Dim::AtomKind::Mod: return both("mod");
      case Dim::AtomKind::Min: return both("min");
      case Dim::AtomKind::Max: return both("max");
      case Dim::AtomKind::Less: return both("less");
      case Dim::AtomKind::Equal: return both("equal");
    }
    return "";
  }

  std::string dim(const Dim& d) {
    if (auto c = d.constant()) return std::to_string(*c);
    // Sorted by their text, and not by the symbols' numbers, which are those of this process.
    std::vector<std::string> terms;
    for (const Dim::Term& t : d.terms()) {
      std::vector<std::string> factors;
      for (const Dim::Atom& a : t.atoms) factors.push_back(atom(a));
      std::sort(factors.begin(), factors.end());
      std::string term;
      for (const std::string& f : factors) term += (term.empty() ? "" : "*") + f;
      if (term.empty()) term = std::to_string(t.coefficient);
      else if (t.coefficient != 1) term += "*" + std::to_string(t.coefficient);
      terms.push_back(term);
    }
    std::sort(terms.begin(), terms.end(), [](const std::string& a, const std::string& b) {
      bool x = isdigit(static_cast<unsigned char>(a[0])) || a[0] == '-',
           y = isdigit(static_cast<unsigned char>(b[0])) || b[0] == '-';
      return x != y ? y : a < b;
    });
    std::string s;
    for (const std::string& t : terms) s += (s.empty() ? "" : " + ") + t;
    return s;
  }

  std::string dims(const std::vector<Dim>& v) {
    std::string s = "[";
    for (size_t i = 0; i < v.size(); ++i) s += (i ? ", " : "") + dim(v[i]);
    return s + "]";
  }
  std::string port(const Port& p) { return quoted(p.name) + ": " + std::string(name(p.dtype)) + dims(p.dims); }

  static std::string type(DType t, int lanes) {
    return std::string(name(t)) + (lanes == 1 ? "" : ":" + std::to_string(lanes));
  }

  void count(const Expr& e) {
    if (uses_[e.get()]++ > 0) return;
    for (const Expr& a : e->args) count(a);
  }

  std::string expr(const Expr& e) {
    uses_.clear();
    named_.clear();
    count(e);
    return node(e);
  }

  std::string node(const Expr& e) {
    if (auto it = named_.find(e.get()); it != named_.end()) return "%" + std::to_string(it->second);
    bool shared = uses_[e.get()] > 1 && !e->args.empty();
    std::string s = bare(*e);
    if (!shared) return s;
    int number = static_cast<int>(named_.size());
    named_[e.get()] = number;
    return "%" + std::to_string(number) + "=(" + s + ")";
  }

  std::string bare(const ExprNode& n) {
    using Op = ScalarOp;
    std::string s{name(n.op)};
    bool typed = n.op == Op::Const || n.op == Op::Index || n.op == Op::Load || n.op == Op::TileLoad ||
                 n.op == Op::Local || n.op == Op::Ramp || n.op == Op::Splat || n.op == Op::Cast ||
                 n.op == Op::Bitcast || n.op == Op::Read;
    if (typed) s += "." + type(n.type, n.lanes);
    s += "(";
    std::string lead;
    switch (n.op) {
      case Op::Const: lead = is_float(n.type) ? fmt::format("{:a}", n.number) : std::to_string(n.integer); break;
      case Op::Index: lead = dim(n.dim); break;
      case Op::Ramp: lead = dim(n.dim) + "; " + std::to_string(n.stride); break;
      case Op::Load: lead = buffer_id(n.id) + "; " + dim(n.dim) + "; " + std::to_string(n.stride); break;
      case Op::Lane: lead = std::to_string(n.integer); break;
      case Op::TileLoad: lead = fmt::format("{}; {}; {}; {}", buffer_id(n.id), dim(n.dim), n.stride, n.integer); break;
      case Op::TileDot: lead = std::to_string(n.integer); break;
      case Op::Local: lead = std::to_string(n.id); break;
      case Op::Read: lead = std::to_string(n.id) + (n.checked ? "; checked" : "; "); break;
      case Op::Cast: lead = n.saturate ? "" : "wrap"; break;
      default: break;
    }
    s += lead;
    bool first = lead.empty();
    for (const Expr& a : n.args) {
      if (!first) s += n.op == Op::Load || n.op == Op::Cast ? "; " : ", ";
      first = false;
      s += node(a);
    }
    return s + ")";
  }

  void buffer(int id, const HostBuffer& b) {
    static const char* kKinds[] = {"arena", "constant", "input", "output", "dynamic", "view"};
    std::string s =
        fmt::format("buffer {} {}: {} {} offset ", id, quoted(b.name), name(b.dtype), kKinds[static_cast<int>(b.kind)]);
    s += dim(b.offset);
    s += " size " + dim(b.size);
    if (!b.origin.is(0)) s += " origin " + dim(b.origin);
    s += fmt::format(" index {} dims ", b.index);
    line(s + dims(b.dims));
  }

  void block(const std::vector<Stmt>& body) {
    ++indent_;
    for (const Stmt& s : body) stmt(s);
    --indent_;
  }

  std::string tensors(const std::vector<Tensor>& v) {
    std::string s = "(";
    for (size_t i = 0; i < v.size(); ++i)
      s += (i ? ", " : "") + std::to_string(v[i].buffer) + ": " + std::string(name(v[i].dtype)) + dims(v[i].dims);
    return s + ")";
  }
  std::string exprs(const std::vector<Expr>& v) {
    std::string s;
    for (size_t i = 0; i < v.size(); ++i) s += (i ? ", " : "") + expr(v[i]);
    return s;
  }

  void stmt(const Stmt& s) {
    switch (s.kind) {
      case StmtKind::For: {
        std::string head = "for " + declare(s.symbol) + " in ";
        head += dim(s.begin);
        head += ".." + dim(s.end);
        line(head + (s.step != 1 ? " step " + std::to_string(s.step) : "") + (s.unroll ? " unroll" : "") + " {");
        block(s.body);
        line("}");
        return;
      }
      case StmtKind::While:
        line("while " + expr(s.expr) + " {");
        block(s.body);
        line("}");
        return;
      case StmtKind::If:
        line("if " + expr(s.expr) + " {");
        block(s.body);
        if (!s.otherwise.empty()) {
          line("} else {");
          block(s.otherwise);
        }
        line("}");
        return;
      case StmtKind::Let: {
        std::string head = "let " + declare(s.symbol) + " = ";
        line(head + expr(s.expr));
        return;
      }
      case StmtKind::Declare:
        line(fmt::format("var {}: {}", s.id, type(s.dtype, s.lanes)) + (s.expr ? " = " + expr(s.expr) : ""));
        return;
      case StmtKind::Set: line(fmt::format("set {} = ", s.id) + expr(s.expr)); return;
      case StmtKind::Store: {
        std::string head = "store " + buffer_id(s.id) + "[" + dim(s.offset) +
                           (s.stride != 1 ? "; " + std::to_string(s.stride) : "") + "]";
        if (s.index) head += " at " + expr(s.index);
        if (s.mask) head += " where " + expr(s.mask);
        line(head + " = " + expr(s.expr));
        return;
      }
      case StmtKind::Prefetch: line("prefetch " + buffer_id(s.id) + "[" + dim(s.offset) + "]"); return;
      case StmtKind::Scratch:
        line("scratch " + buffer_id(s.id) + ": " + std::string(name(s.dtype)) + "[" + std::to_string(s.elements) + "]");
        return;
      case StmtKind::Fail: line(fmt::format("fail {} node {} (", s.code, s.node) + exprs(s.args) + ")"); return;
      case StmtKind::Launch: {
        std::string v = fmt::format("launch {} (", s.id);
        for (size_t i = 0; i < s.buffers.size(); ++i) v += (i ? ", " : "") + std::to_string(s.buffers[i]);
        v += ";";
        for (size_t i = 0; i < s.scalars.size(); ++i) v += (i ? ", " : " ") + dim(s.scalars[i]);
        line(v + ") over " + dim(s.end) + fmt::format(" grain {} cost {} node {}", s.grain, s.cost, s.node));
        return;
      }
      case StmtKind::Group:
        line("group {");
        block(s.body);
        line("}");
        return;
      case StmtKind::Assign:
        line(fmt::format("assign {} = {} node {}", s.id, s.buffers.empty() ? -1 : s.buffers[0], s.node));
        return;
      case StmtKind::Place: line(fmt::format("place {} node {}", s.id, s.node)); return;
      case StmtKind::Call: {
        std::string v = "call " + quoted(s.name) + " " + tensors(s.operands) + " -> [";
        for (size_t i = 0; i < s.symbols.size(); ++i) v += (i ? ", " : "") + declare(s.symbols[i]);
        v += "] ";
        v += tensors(s.results) + " ints [";
        for (size_t i = 0; i < s.ints.size(); ++i) v += (i ? ", " : "") + std::to_string(s.ints[i]);
        v += "] floats [";
        for (size_t i = 0; i < s.floats.size(); ++i) v += (i ? ", " : "") + fmt::format("{:a}", s.floats[i]);
        v += "] strings [";
        for (size_t i = 0; i < s.strings.size(); ++i) v += (i ? ", " : "") + quoted(s.strings[i]);
        line(v + fmt::format("] node {}", s.node));
        return;
      }
      case StmtKind::Require: {
        std::string head =
            "require " + dim(s.begin) + fmt::format(" code {} node {} {} (", s.code, s.node, quoted(s.message));
        line(head + exprs(s.args) + ")");
      }
        return;
    }
  }
};

}  // namespace

std::string str(const Program& p) {
  Writer w(false);
  w.program(p);
  return std::move(w.out);
}

std::string str(const Kernel& k) {
  Writer w(false);
  w.kernel(k);
  return std::move(w.out);
}

std::string key(const Kernel& k) {
  Writer w(true);
  w.kernel(k);
  return std::move(w.out);
}

}  // namespace ingot::l
