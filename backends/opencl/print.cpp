// One kernel at a time. Expressions are graphs: what occurs more than once, or lies deep, becomes a temporary before the
// statement; the rest is printed where it is used. Evaluating early is harmless, because legalisation masks every load
// in the untaken side of a select.
#include "backends/opencl/print.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "backends/opencl/types.h"
#include "ir/loops/key.h"

namespace ingot::opencl {

namespace {

using l::Stmt;
using l::StmtKind;
using Op = ScalarOp;

constexpr int kMaxDepth = 24;  // of parentheses before a temporary cuts them

constexpr const char* kPrelude = R"(#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
typedef struct { uint a, b; } ingot_pair8;
typedef struct { ulong a, b; } ingot_pair16;
long ingot_div(long a, long b) { return a / b - (a % b < 0); }
long ingot_mod(long a, long b) { long r = a % b; return r < 0 ? r + b : r; }
void ingot_fail(__global int* status, int code, int node, int count, long a, long b, long c, long d) {
  if (atomic_cmpxchg((volatile __global int*)status, 0, code) != 0) return;
  status[1] = node;
  status[2] = count;
  __global long* args = (__global long*)(status + 4);
  args[0] = a;
  args[1] = b;
  args[2] = c;
  args[3] = d;
}
)";

std::string identifier(std::string_view text, const std::string& otherwise) {
  std::string s;
  for (char c : text.substr(0, 24)) s += isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return s.empty() || !isalpha(static_cast<unsigned char>(s[0])) ? otherwise + s : s;
}

class KernelPrinter {
 public:
  explicit KernelPrinter(const l::Kernel& k) : kernel_(k) {}

  Result<std::string> print(const std::string& function) {
    std::string head = fmt::format("__kernel void {}(", function);
    for (const l::BufferParam& p : kernel_.buffers) {
      buffers_[p.id] = {p.dtype, true};
      if (!*memory_type(p.dtype)) return unsupported("kernel '{}': a buffer of {}", kernel_.name, name(p.dtype));
      head += fmt::format("__global {}{}* restrict b{}, ", p.written ? "" : "const ", memory_type(p.dtype), p.id);
    }
    for (const Symbol& s : kernel_.scalars) head += fmt::format("const long {}, ", symbol(s));
    head += "const long items, __global int* status) {\n";
    count_definitions(kernel_.body);
    line(fmt::format("const long {} = get_global_id(0);", symbol(kernel_.item)));
    line(fmt::format("if ({} >= items) return;", symbol(kernel_.item)));
    for (const auto& [id, s] : lets_)
      if (let_count_[id] > 1) line(fmt::format("long {};", symbol(s)));
    for (const auto& [key, count] : declare_count_)
      if (count > 1) line(fmt::format("{} {};", value_type(key.second), local(key.first, key.second)));
    block(kernel_.body);
    if (error_) return std::move(*error_).context("in kernel '" + kernel_.name + "'");
    return head + text_ + "}\n";
  }

 private:
  struct Buffer {
    DType dtype;
    bool global;
  };
  const l::Kernel& kernel_;
  std::string text_;
  int indent_ = 1, temporaries_ = 0;
  std::optional<Error> error_;
  std::map<int64_t, Buffer> buffers_;
  std::map<int64_t, std::string> symbols_;
  std::set<std::string> taken_;
  std::map<int64_t, Symbol> lets_;
  std::map<int64_t, int> let_count_;
  std::map<std::pair<int64_t, DType>, int> declare_count_;
  std::map<int64_t, DType> register_type_;
  std::unordered_map<const ExprNode*, int> uses_;  // of the statement being printed
  std::unordered_map<const ExprNode*, std::pair<std::string, int>> memo_;  // text and depth

  void fail(Error e) {
    if (!error_) error_ = std::move(e);
  }
  void line(const std::string& s) {
    text_.append(static_cast<size_t>(2 * indent_), ' ');
    text_ += s;
    text_ += '\n';
  }

  const std::string& symbol(const Symbol& s) {
    auto [it, fresh] = symbols_.try_emplace(s->id);
    if (fresh) {
      const std::string base = identifier(s->name, "v") + "_";
      for (size_t n = symbols_.size();; ++n)
        if (it->second = base + std::to_string(n); taken_.insert(it->second).second) break;
    }
    return it->second;
  }
  std::string local(int64_t id, DType t) { return fmt::format("r{}_{}", id, name(t)); }

  void count_definitions(const std::vector<Stmt>& body) {
    for (const Stmt& s : body) {
      if (s.kind == StmtKind::Let) lets_[s.symbol->id] = s.symbol, ++let_count_[s.symbol->id];
      if (s.kind == StmtKind::Declare) ++declare_count_[{s.id, s.dtype}];
      count_definitions(s.body);
      count_definitions(s.otherwise);
    }
  }

  // --- dims -----------------------------------------------------------------------------------------------------------

  std::string atom(const Dim::Atom& a) {
    using K = Dim::AtomKind;
    if (a.kind == K::Symbol) return symbol(a.symbol);
    std::string x = dim(a.a), y = dim(a.b);
    switch (a.kind) {
      case K::Symbol: break;
      case K::Min: return fmt::format("min({}, {})", x, y);
      case K::Max: return fmt::format("max({}, {})", x, y);
      case K::Less: return fmt::format("(long)({} < {})", x, y);
      case K::Equal: return fmt::format("(long)({} == {})", x, y);
      case K::FloorDiv:
      case K::Mod: {
        const bool is_div = a.kind == K::FloorDiv;
        if (auto c = a.b.constant(); c && *c <= 0) return "0L";
        if (a.b.lower() < 1) y = fmt::format("max({}, 1L)", y);
        if (a.a.lower() < 0) return fmt::format("ingot_{}({}, {})", is_div ? "div" : "mod", x, y);
        // Division of 32 bits is several times faster; most indices fit.
        constexpr int64_t kLimit = int64_t{1} << 32;
        if (a.a.upper() < kLimit && a.b.upper() < kLimit) {
          const std::string divisor = a.b.is_constant() ? fmt::format("{}u", a.b.value()) : "(uint)" + y;
          return fmt::format("(long)((uint){} {} {})", x, is_div ? '/' : '%', divisor);
        }
        return fmt::format("({} {} {})", x, is_div ? '/' : '%', y);
      }
    }
    return "0L";
  }

  // In parentheses where it is a sum or a product.
  std::string dim(const Dim& d) {
    if (auto c = d.constant()) return literal(*c);
    std::string sum;
    const std::vector<Dim::Term> terms = with_moduli(d);
    for (const Dim::Term& t : terms) {
      std::string product;
      for (const Dim::Atom& a : t.atoms) product += (product.empty() ? "" : " * ") + atom(a);
      int64_t c = t.coefficient;
      const bool minus = c < 0 && c != INT64_MIN && !sum.empty();
      if (minus) c = -c;
      if (product.empty()) product = literal(c);
      else if (c != 1) product += " * " + literal(c);
      sum += (sum.empty() ? "" : minus ? " - " : " + ") + product;
    }
    const bool plain = terms.size() == 1 && terms[0].coefficient == 1 && terms[0].atoms.size() == 1;
    return plain ? sum : "(" + sum + ")";
  }

  // --- expressions ----------------------------------------------------------------------------------------------------

  void count_uses(const Expr& e) {
    if (++uses_[e.get()] > 1) return;
    for (const Expr& a : e->args) count_uses(a);
  }

  // A new statement with these expressions.
  void begin(std::initializer_list<Expr> roots) {
    uses_.clear();
    memo_.clear();
    for (const Expr& e : roots)
      if (e) count_uses(e);
  }

  static bool leaf(const ExprNode& n) { return n.op == Op::Const || n.op == Op::Local; }

  std::string temporary(const Expr& e, const std::string& text) {
    const std::string t = fmt::format("t{}", temporaries_++);
    line(fmt::format("const {} {} = {};", value_type(e.type()), t, text));
    memo_[e.get()] = {t, 0};
    return t;
  }

  std::string value(const Expr& e) {
    if (e.lanes() != 1) fail(invalid("'{}' has {} lanes, expected a scalar", name(e->op), e.lanes()));
    if (!*value_type(e.type())) fail(unsupported("values of type {}", name(e.type())));
    if (auto it = memo_.find(e.get()); it != memo_.end()) return it->second.first;
    std::string text = node(*e);
    int depth = 0;
    for (const Expr& a : e->args)
      if (auto it = memo_.find(a.get()); it != memo_.end()) depth = std::max(depth, it->second.second);
    if (!leaf(*e) && (uses_[e.get()] > 1 || depth >= kMaxDepth)) return temporary(e, text);
    memo_[e.get()] = {text, depth + 1};
    return text;
  }

  // A name, for what is printed more than once.
  std::string named(const Expr& e) {
    std::string text = value(e);
    if (leaf(*e) || memo_[e.get()].second == 0) return text;
    return temporary(e, text);
  }

  std::string wrap(DType t, const std::string& text) { return fmt::format("({})({})", value_type(t), text); }

  std::string arithmetic(const ExprNode& n, char op) {
    const DType t = n.args[0].type();
    if (t == DType::F32 || t == DType::F64) return fmt::format("({} {} {})", value(n.args[0]), op, value(n.args[1]));
    const char* u = wrapping_type(t);
    return wrap(t, fmt::format("({}){} {} ({}){}", u, value(n.args[0]), op, u, value(n.args[1])));
  }

  std::string infix(const ExprNode& n, const char* op) {
    const std::string text = fmt::format("({} {} {})", value(n.args[0]), op, value(n.args[1]));
    // Promotion has made small integers wide.
    return is_int(n.type) && bits(n.type) < 32 ? fmt::format("({}){}", value_type(n.type), text) : text;
  }

  std::string cast(const ExprNode& n) {
    const Expr& x = n.args[0];
    const DType from = x.type(), to = n.type;
    auto native = [](DType t) { return t == DType::F32 || t == DType::F64; };
    if (to == DType::Bool) return fmt::format("({} != 0)", value(x));
    if (!native(from) || native(to)) return fmt::format("({}){}", value_type(to), value(x));
    // Float to integer: truncates and saturates, NaN gives 0.
    const int width = std::max(8, bits(to));
    const bool s = is_signed(to);
    const std::string v = named(x), suffix = from == DType::F32 ? "f" : "";
    const std::string low = s ? fmt::format("-0x1p{}{}", width - 1, suffix) : "0.0" + suffix;
    const std::string high = fmt::format("0x1p{}{}", s ? width - 1 : width, suffix);
    ExprNode most{Op::Const, to}, least{Op::Const, to};
    most.integer = s ? static_cast<int64_t>((uint64_t{1} << (width - 1)) - 1)
                     : static_cast<int64_t>(width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1);
    least.integer = s ? -most.integer - 1 : 0;
    return wrap(to, fmt::format("{0} >= {1} ? {2} : {0} >= {3} ? ({4}){0} : {0} != {0} ? 0 : {5}", v, high,
                                literal(most), low, value_type(to), literal(least)));
  }

  std::string bitcast(const ExprNode& n) {
    const char *from = value_type(n.args[0].type()), *to = value_type(n.type);
    if (std::string_view(from) == to) return value(n.args[0]);
    return fmt::format("as_{}(({}){})", to, from, value(n.args[0]));
  }

  std::string min_max(const ExprNode& n) {
    const DType t = n.type;
    const std::string a = named(n.args[0]), b = named(n.args[1]);
    const char* better = n.op == Op::Max ? ">" : "<";
    if (is_float(t)) return fmt::format("({0} {2} {1} || {0} != {0} ? {0} : {1})", a, b, better);
    return fmt::format("({0} {2} {1} ? {0} : {1})", a, b, better);
  }

  std::string element(int64_t id, DType t, const Dim& offset, const Expr& index, bool written) {
    auto it = buffers_.find(id);
    if (it == buffers_.end()) {
      fail(invalid("buffer {} is not declared", id));
      return "0";
    }
    std::string base = fmt::format("b{}", id);
    const std::string_view want = memory_type(t);
    if (want != memory_type(it->second.dtype))
      base = fmt::format("(({}{}{}*)b{})", it->second.global ? "__global " : "", written ? "" : "const ", want, id);
    if (!index) return fmt::format("{}[{}]", base, dim(offset));
    if (offset.is(0)) return fmt::format("{}[{}]", base, value(index));
    return fmt::format("{}[{} + {}]", base, dim(offset), value(index));
  }

  std::string load(const ExprNode& n) {
    Expr index, mask;
    for (const Expr& a : n.args) (a.type() == DType::Bool ? mask : index) = a;
    std::string text = element(n.id, n.type, n.dim, index, false);
    if (n.type == DType::Bool) text = "(" + text + " != 0)";
    if (!mask) return text;
    const bool pair = is_complex(n.type) || n.type == DType::String;
    return fmt::format(
        "({} ? {} : {})", value(mask), text,
        pair ? fmt::format("({}){{0, 0}}", value_type(n.type)) : fmt::format("({})0", value_type(n.type)));
  }

  std::string call(const char* f, const ExprNode& n) {
    std::string text = std::string(f) + "(";
    for (size_t i = 0; i < n.args.size(); ++i) text += (i ? ", " : "") + value(n.args[i]);
    return text + ")";
  }

  std::string node(const ExprNode& n) {
    const DType t = n.args.empty() ? n.type : n.args[0].type();
    const bool f = t == DType::F32 || t == DType::F64, soft = is_float(t) && !f;
    const bool moves = n.op == Op::Const || n.op == Op::Index || n.op == Op::Load || n.op == Op::Local ||
                       n.op == Op::Splat || n.op == Op::Lane || n.op == Op::Cast || n.op == Op::Bitcast ||
                       n.op == Op::Select || n.op == Op::Ramp;
    if (!moves && soft) return unknown(n);
    switch (n.op) {
      case Op::Const: return is_float(n.type) && n.type != DType::F32 && n.type != DType::F64 ? unknown(n) : literal(n);
      case Op::Ramp:
      case Op::Index:
        return n.type == DType::I64    ? dim(n.dim)
               : n.type == DType::Bool ? fmt::format("({} != 0)", dim(n.dim))
                                       : fmt::format("({}){}", value_type(n.type), dim(n.dim));
      case Op::Load: return load(n);
      case Op::Local: {
        auto it = register_type_.find(n.id);
        if (it == register_type_.end() || it->second != n.type)
          fail(invalid("register {} is read before it is declared, or as another type", n.id));
        return local(n.id, n.type);
      }
      case Op::Splat:
      case Op::Lane:
      case Op::LaneSum:
      case Op::LaneMax:
      case Op::LaneMin:
      case Op::LaneProd: return value(n.args[0]);
      case Op::Cast: return cast(n);
      case Op::Bitcast: return bitcast(n);
      case Op::Neg: {
        if (f) return fmt::format("(-{})", value(n.args[0]));
        return wrap(t, fmt::format("({})0 - ({}){}", wrapping_type(t), wrapping_type(t), value(n.args[0])));
      }
      case Op::Abs: {
        if (f) return call("fabs", n);
        if (!is_signed(t)) return value(n.args[0]);
        const std::string x = named(n.args[0]);
        return wrap(t, fmt::format("{0} < 0 ? ({1})0 - ({1}){0} : ({1}){0}", x, wrapping_type(t)));
      }
      case Op::Not:
        return t == DType::Bool ? fmt::format("(!{})", value(n.args[0]))
                                : fmt::format("({})~{}", value_type(t), value(n.args[0]));
      case Op::Floor: return f ? call("floor", n) : value(n.args[0]);
      case Op::Ceil: return f ? call("ceil", n) : value(n.args[0]);
      case Op::Trunc: return f ? call("trunc", n) : value(n.args[0]);
      case Op::RoundEven: return f ? call("rint", n) : value(n.args[0]);
      case Op::Sqrt: return f ? call("sqrt", n) : unknown(n);
      case Op::IsNaN: return f ? "(" + call("isnan", n) + " != 0)" : unknown(n);
      case Op::IsInf: return f ? "(" + call("isinf", n) + " != 0)" : unknown(n);
      case Op::PopCount:
        return fmt::format("({})popcount(({}){})", value_type(t),
                           t == DType::I8    ? "uchar"
                           : t == DType::I16 ? "ushort"
                                             : value_type(t),
                           value(n.args[0]));
      case Op::Add: return arithmetic(n, '+');
      case Op::Sub: return arithmetic(n, '-');
      case Op::Mul: return arithmetic(n, '*');
      case Op::Div: return infix(n, "/");
      case Op::Rem: return f ? unknown(n) : infix(n, "%");
      case Op::Min:
      case Op::Max: return min_max(n);
      case Op::And: return infix(n, "&");
      case Op::Or: return infix(n, "|");
      case Op::Xor: return infix(n, "^");
      case Op::Shl: return wrap(t, fmt::format("({}){} << {}", wrapping_type(t), value(n.args[0]), value(n.args[1])));
      case Op::Shr: return infix(n, ">>");
      case Op::Eq: return infix(n, "==");
      case Op::Ne: return infix(n, "!=");
      case Op::Lt: return infix(n, "<");
      case Op::Le: return infix(n, "<=");
      case Op::Gt: return infix(n, ">");
      case Op::Ge: return infix(n, ">=");
      case Op::Select: return select(n);
      case Op::Fma: {
        if (f) return call("fma", n);
        const char* u = wrapping_type(t);
        return wrap(
            t, fmt::format("({0}){1} * ({0}){2} + ({0}){3}", u, value(n.args[0]), value(n.args[1]), value(n.args[2])));
      }
      default: return unknown(n);
    }
  }

  std::string select(const ExprNode& n) {
    const std::string c = value(n.args[0]), yes = value(n.args[1]), no = value(n.args[2]);
    return fmt::format("({} ? {} : {})", c, yes, no);
  }

  std::string unknown(const ExprNode& n) {
    fail(unsupported("expression '{}' of {} reached the printer; it should have been legalised", name(n.op),
                     name(n.args.empty() ? n.type : n.args[0].type())));
    return "0";
  }

  // --- statements -----------------------------------------------------------------------------------------------------

  void block(const std::vector<Stmt>& body) {
    for (const Stmt& s : body) stmt(s);
  }
  void braced(const std::vector<Stmt>& body) {
    ++indent_;
    block(body);
    --indent_;
  }

  void stmt(const Stmt& s) {
    switch (s.kind) {
      case StmtKind::For: {
        if (s.step <= 0)
          return fail(invalid("loop '{}' has step {}, expected a positive step", s.symbol->name, s.step));
        const std::string& i = symbol(s.symbol);
        line(fmt::format("for (long {0} = {1}, {0}_end = {2}; {0} < {0}_end; {0} += {3}) {{", i, dim(s.begin),
                         dim(s.end), s.step));
        braced(s.body);
        line("}");
        return;
      }
      case StmtKind::While:
        line("for (;;) {");
        ++indent_;
        begin({s.expr});
        line(fmt::format("if (!{}) break;", value(s.expr)));
        block(s.body);
        --indent_;
        line("}");
        return;
      case StmtKind::If:
        begin({s.expr});
        line(fmt::format("if ({}) {{", value(s.expr)));
        braced(s.body);
        if (!s.otherwise.empty()) {
          line("} else {");
          braced(s.otherwise);
        }
        line("}");
        return;
      case StmtKind::Let: {
        begin({s.expr});
        const std::string v = value(s.expr);
        line(fmt::format("{}{} = {};", let_count_[s.symbol->id] > 1 ? "" : "const long ", symbol(s.symbol), v));
        return;
      }
      case StmtKind::Declare: {
        if (s.lanes != 1) return fail(invalid("register {} has {} lanes, expected a scalar", s.id, s.lanes));
        if (!*value_type(s.dtype)) return fail(unsupported("registers of type {}", name(s.dtype)));
        const bool here = declare_count_[{s.id, s.dtype}] == 1;
        std::string v;
        if (s.expr) begin({s.expr}), v = value(s.expr);
        register_type_[s.id] = s.dtype;
        if (here || s.expr)
          line(fmt::format("{}{}{};", here ? std::string(value_type(s.dtype)) + " " : "", local(s.id, s.dtype),
                           s.expr ? " = " + v : ""));
        return;
      }
      case StmtKind::Set: {
        begin({s.expr});
        auto it = register_type_.find(s.id);
        if (it == register_type_.end() || it->second != s.expr.type())
          return fail(invalid("register {} is set to a value of another type", s.id));
        const std::string v = value(s.expr);
        line(fmt::format("{} = {};", local(s.id, s.expr.type()), v));
        return;
      }
      case StmtKind::Store: {
        begin({s.expr, s.index, s.mask});
        const std::string v = value(s.expr);
        const std::string to = element(s.id, s.expr.type(), s.offset, s.index, true);
        if (s.mask) line(fmt::format("if ({}) {} = {};", value(s.mask), to, v));
        else line(fmt::format("{} = {};", to, v));
        return;
      }
      case StmtKind::Prefetch: return;
      case StmtKind::Scratch:
        buffers_[s.id] = {s.dtype, false};
        line(fmt::format("{} b{}[{}];", memory_type(s.dtype), s.id, std::max<int64_t>(s.elements, 1)));
        return;
      case StmtKind::Fail: {
        std::string args;
        for (size_t i = 0; i < 4; ++i) {
          std::string v = "0L";
          if (i < s.args.size()) begin({s.args[i]}), v = "(long)" + value(s.args[i]);
          args += ", " + v;
        }
        line(
            fmt::format("ingot_fail(status, {}, {}, {}{});", s.code, s.node, std::min<size_t>(s.args.size(), 4), args));
        line("return;");
        return;
      }
      default: return fail(invalid("a host statement in a kernel"));
    }
  }
};

}  // namespace

Result<std::string> print_kernel(const l::Kernel& k, const std::string& function) {
  return KernelPrinter(k).print(function);
}

Result<std::string> print(const l::Program& p) {
  std::string table, kernels;
  std::unordered_map<std::string, std::string> functions;
  for (size_t i = 0; i < p.kernels.size(); ++i) {
    const l::Kernel& k = p.kernels[i];
    auto [it, fresh] = functions.try_emplace(l::key(k));
    if (fresh) {
      it->second = fmt::format("k{}_{}", i, identifier(k.name, ""));
      kernels += "\n" + TRY(print_kernel(k, it->second));
    }
    table += fmt::format("// {} {} {} {}\n", i, it->second, k.buffers.size(), k.scalars.size());
  }
  return table + kPrelude + kernels;
}

}  // namespace ingot::opencl
