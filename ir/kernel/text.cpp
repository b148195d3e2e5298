// Prints a program. parse.cpp reads it back:
//
//   symbols n in [1, 64], m
//   kernels resnet {
//     origins ["conv_1", "relu_2"]
//     input %x: f32[n, 3]
//     constant %w: f32[2] dense<[1.0, 2.0]>
//     %acc: f32[n] = reduce sum (i0) over (r0 < 3): %x[i0, r0 | 0.0] * %w[r0 div 2] @0
//     %y: f32[n] = map (i0) let t.0: f32 = exp(%acc[i0]): t.0 * t.0 @1
//     %v: f32[], %k: i64[] = reduce argmax_first () over (r0 < n): %y[r0], r0
//     %c: f32[n] = scan sum (i0) along 0 exclusive reverse: %y[i0]
//     %s: f32[n] = scatter sum %y (i0 < 4) at [%idx[i0]] skip_outside: 1.0
//     %t: i64[n] = walk (i0) limit 100 from (0) while s.0 < 5: s.0 + 1
//     %z: i64[2, k] = call non_zero(%y, _) ints [1] floats [0.5] strings ["a"] decides (k)
//     read %z (0: p, 3: q)
//     check (k == 4) "got no four elements"
//     %r: f32[j] = if %b decides (j) { ... yield %p with (n) } else { ... yield %q with (m) }
//     %o: i64[a], %l: f32[b, 2] = loop %trips, _ carry %i decides (a, b) carried (h = 1) (%it: i64[], %c: bool[], %i_in: i64[h]) {
//       ... yield %more, %i_out, %piece with (h + 1)
//     }
//     output %y, %r
//   }
//
// Iterators take their extents from the types of the results. `t.N` are shared subexpressions, `s.N` the states of a walk.
// A constant whose type is not that of its surroundings is written as `f64(1.0)`; an index of dims with comparisons as
// `dim((a < b))`.
#include "ir/text.h"

#include <cmath>
#include <set>

#include "ir/kernel/program.h"

namespace ingot::k {

namespace {

class Printer {
 public:
  Printer(const Program& p, bool elide_long) : p_(p), elide_long_(elide_long) {}

  std::string program() {
    collect(p_.body);
    for (int id : p_.inputs) collect_type(id);
    std::string out = symbol_line() + "kernels " + (is_identifier(p_.name) ? p_.name : quoted(p_.name)) + " {\n";
    if (!p_.origins.empty())
      out += "  origins [" + list(p_.origins, [](const std::string& s) { return quoted(s); }) + "]\n";
    for (int id : p_.inputs) out += "  input " + declared(id) + "\n";
    std::set<int> inputs(p_.inputs.begin(), p_.inputs.end());
    for (const Value& v : p_.values)
      if (v.constant && !inputs.count(v.id) && used_.count(v.id))
        out += "  constant " + value(v.id) + ": " + str(v.constant->type(), symbols_) + " " +
               str_contents(*v.constant, elide_long_) + "\n";
    out += stages(p_.body, "  ");
    if (!p_.body.outputs.empty()) out += "  output " + list(p_.body.outputs, [&](int id) { return value(id); }) + "\n";
    return out + "}\n";
  }

  std::string one(const Stage& s) {
    collect(s);
    return stage(s, "");
  }

 private:
  template <class T, class F>
  static std::string list(const T& items, F&& item) {
    std::string out;
    for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + item(items[i]);
    return out;
  }

  // --- symbols of the program: all but the iterators

  void note(const Dim& d, const std::set<int64_t>& local) {
    std::map<int64_t, Symbol> found;
    collect_symbols(d, found);
    for (auto& [id, s] : found)
      if (!local.count(id)) all_symbols_.emplace(id, s);
  }
  void note(const Expr& e, const std::set<int64_t>& local) {
    if (!e) return;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Index) note(n.dim, local);
      if (n.op == ScalarOp::Read) used_.insert(static_cast<int>(n.id));
    });
  }
  void collect_type(int id) {
    if (id < 0 || id >= static_cast<int>(p_.values.size())) return;
    for (const Type* t = &p_.values[static_cast<size_t>(id)].type; t; t = t->element.get())
      for (const Dim& d : t->tensor.dims) note(d, {});
  }
  void collect(const Stage& s) {
    std::set<int64_t> local;
    for (const auto* iters : {&s.iters, &s.reds})
      for (const Iter& i : *iters) {
        note(i.extent, local);
        local.insert(i.symbol->id);
      }
    for (const auto* exprs : {&s.body, &s.targets, &s.init})
      for (const Expr& e : *exprs) note(e, local);
    note(s.condition, local);
    note(s.condition_dim, {});
    if (s.got) note(*s.got, {});
    for (const auto* symbols : {&s.symbols, &s.carried_symbols})
      for (const Symbol& x : *symbols) all_symbols_.emplace(x->id, x);
    for (const Dim& d : s.symbol_init) note(d, {});
    for (int id : s.operands) used_.insert(id);
    for (int id : s.results) collect_type(id);
    for (const Block& b : s.blocks) collect(b);
  }
  void collect(const Block& b) {
    for (int id : b.params) collect_type(id);
    for (const Stage& s : b.stages) collect(s);
    for (const Dim& d : b.symbols) note(d, {});
    used_.insert(b.outputs.begin(), b.outputs.end());
  }

  std::string symbol_line() {
    for (bool grown = true; grown;) {  // extents mention further symbols
      auto more = all_symbols_;
      for (const auto& [id, s] : all_symbols_)
        if (s->extent) collect_symbols(*s->extent, more);
      grown = more.size() != all_symbols_.size();
      all_symbols_ = std::move(more);
    }
    std::string out;
    for (const auto& [id, s] : all_symbols_) {
      out += (out.empty() ? "symbols " : ", ") + symbols_.name(*s);
      if (s->extent) out += " < " + str(*s->extent, symbols_);
      else if (s->hi != kDimMax) out += " in [" + std::to_string(s->lo) + ", " + std::to_string(s->hi) + "]";
      else if (s->lo != 0) out += " >= " + std::to_string(s->lo);
    }
    return out.empty() ? out : out + "\n";
  }

  // --- values

  std::string value(int64_t id) {
    if (id < 0) return "_";
    std::string& name = names_[static_cast<int>(id)];
    if (name.empty()) {
      const std::string base =
          id < static_cast<int64_t>(p_.values.size()) && !p_.values[static_cast<size_t>(id)].name.empty()
              ? p_.values[static_cast<size_t>(id)].name
              : "v" + std::to_string(id);
      std::string unique = base;
      for (int n = 1; !taken_.insert(unique).second; ++n) unique = base + "_" + std::to_string(n);
      bool bare = true;
      for (char c : unique)
        bare &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                c == '$' || c == '/';
      name = "%" + (bare ? unique : quoted(unique));
    }
    return name;
  }
  std::string declared(int id) {
    return id < 0 ? "_" : value(id) + ": " + str(p_.values[static_cast<size_t>(id)].type, symbols_);
  }

  // --- expressions

  static bool is_leaf(const ExprNode& n) {
    if (n.args.empty()) return true;
    if (n.op != ScalarOp::Read) return false;
    for (const Expr& a : n.args)
      if (!a->args.empty()) return false;
    return true;
  }

  static bool has_comparison(const Dim& d) {
    if (d.is_constant()) return false;
    for (const auto& t : d.terms())
      for (const auto& a : t.atoms) {
        if (a.kind == Dim::AtomKind::Less || a.kind == Dim::AtomKind::Equal) return true;
        if (a.kind != Dim::AtomKind::Symbol && (has_comparison(a.a) || has_comparison(a.b))) return true;
      }
    return false;
  }

  static std::string number(const ExprNode& n) {
    if (n.type == DType::Bool) return n.integer ? "true" : "false";
    if (n.type == DType::U64) return std::to_string(static_cast<uint64_t>(n.integer));
    if (!is_float(n.type)) return std::to_string(n.integer);
    if (n.type == DType::F64 || !std::isfinite(n.number)) return str_number(n.number);
    std::string s = fmt::format("{}", static_cast<float>(n.number));
    return s.find_first_of(".e") == std::string::npos ? s + ".0" : s;
  }

  static std::string_view infix(ScalarOp op) {
    switch (op) {
      case ScalarOp::Add: return " + ";
      case ScalarOp::Sub: return " - ";
      case ScalarOp::Mul: return " * ";
      case ScalarOp::Div: return " / ";
      case ScalarOp::And: return " & ";
      case ScalarOp::Eq: return " == ";
      case ScalarOp::Lt: return " < ";
      case ScalarOp::Le: return " <= ";
      case ScalarOp::Gt: return " > ";
      case ScalarOp::Ge: return " >= ";
      default: return "";
    }
  }

  // `known`: the reader knows the type of this place. `alone`: no parentheses are needed.
  std::string expr(const Expr& e, bool known, bool alone) {
    const ExprNode& n = *e;
    if (auto it = lets_.find(&n); it != lets_.end()) return "t." + std::to_string(it->second);
    auto wrapped = [&](std::string s, bool compound) { return alone || !compound ? s : "(" + s + ")"; };
    switch (n.op) {
      case ScalarOp::Const: {
        const std::string s = number(n);
        if (!known && n.type != DType::Bool) return fmt::format("{}({})", name(n.type), s);
        return wrapped(s, s[0] == '-');
      }
      case ScalarOp::Index: {
        const std::string s = str(n.dim, local_);
        if (has_comparison(n.dim)) return "dim(" + s + ")";
        return wrapped(s, !n.dim.as_symbol());
      }
      case ScalarOp::Local: return fmt::format("s.{}", n.id);
      case ScalarOp::Read: {
        const size_t rank = n.args.size() - (n.checked ? 1 : 0);
        std::string s = value(n.id) + "[";
        for (size_t i = 0; i < rank; ++i) s += (i ? ", " : "") + expr(n.args[i], true, true);
        if (n.checked) s += " | " + expr(n.args.back(), true, true);
        return s + "]";
      }
      case ScalarOp::Cast:
        return fmt::format("{}({}{})", name(n.type), expr(n.args[0], false, true), n.saturate ? "" : ", wrap");
      case ScalarOp::Bitcast: return fmt::format("bits_{}({})", name(n.type), expr(n.args[0], false, true));
      case ScalarOp::Select:
        return "select(" + expr(n.args[0], true, true) + ", " + expr(n.args[1], known, true) + ", " +
               expr(n.args[2], known || n.args[1]->op != ScalarOp::Const, true) + ")";
      default: break;
    }
    const bool compares = n.type == DType::Bool && !n.args.empty() && n.op >= ScalarOp::Eq && n.op <= ScalarOp::Ge;
    const bool test = n.op == ScalarOp::IsNaN || n.op == ScalarOp::IsInf;
    bool inside = known && !compares && !test;
    // A constant takes the type of the other operand.
    if (n.args.size() == 2 && !inside) {
      const bool a = n.args[0]->op == ScalarOp::Const, b = n.args[1]->op == ScalarOp::Const;
      if (auto sign = infix(n.op); !sign.empty())
        return wrapped(expr(n.args[0], a && !b, false) + std::string(sign) + expr(n.args[1], !a || b, false), true);
      return std::string(name(n.op)) + "(" + expr(n.args[0], a && !b, true) + ", " + expr(n.args[1], !a || b, true) +
             ")";
    }
    if (auto sign = infix(n.op); !sign.empty() && n.args.size() == 2)
      return wrapped(expr(n.args[0], inside, false) + std::string(sign) + expr(n.args[1], inside, false), true);
    std::string out = std::string(name(n.op)) + "(";
    for (size_t i = 0; i < n.args.size(); ++i) out += (i ? ", " : "") + expr(n.args[i], inside || i > 0, true);
    return out + ")";
  }

  std::string exprs(const std::vector<Expr>& list_) {
    return list(list_, [&](const Expr& e) { return expr(e, true, true); });
  }

  // Names what is used more than once in the stage's expressions.
  std::string lets(const Stage& s) {
    lets_.clear();
    std::map<const ExprNode*, int> parents;
    std::vector<Expr> order;
    std::set<const ExprNode*> seen;
    std::function<void(const Expr&)> walk = [&](const Expr& e) {
      ++parents[e.get()];
      if (!seen.insert(e.get()).second) return;
      for (const Expr& a : e->args) walk(a);
      order.push_back(e);
    };
    for (const auto* exprs : {&s.targets, &s.init})
      for (const Expr& e : *exprs) walk(e);
    if (s.condition) walk(s.condition);
    for (const Expr& e : s.body) walk(e);
    std::string out;
    int count = 0;
    for (const Expr& e : order) {
      if (parents[e.get()] < 2 || is_leaf(*e)) continue;
      out += fmt::format(" let t.{}: {} = {}", count, name(e.type()), expr(e, true, true));
      lets_[e.get()] = count++;
    }
    return out;
  }

  // --- stages

  std::string iters(const std::vector<Iter>& list_, bool extents) {
    return "(" +
           list(list_,
                [&](const Iter& i) {
                  const std::string n = local_.name(*i.symbol);
                  return extents ? n + " < " + str(i.extent, local_) : n;
                }) +
           ")";
  }

  std::string stages(const Block& b, const std::string& indent) {
    std::string out;
    for (const Stage& s : b.stages) out += stage(s, indent) + "\n";
    return out;
  }

  std::string block(const Block& b, const std::string& indent) {
    std::string out =
        "{\n" + stages(b, indent + "  ") + indent + "  yield " + list(b.outputs, [&](int id) { return value(id); });
    if (!b.symbols.empty()) out += " with (" + list(b.symbols, [&](const Dim& d) { return str(d, symbols_); }) + ")";
    return out + "\n" + indent + "}";
  }

  std::string decides(const Stage& s) {
    if (s.symbols.empty()) return "";
    return " decides (" + list(s.symbols, [&](const Symbol& x) { return symbols_.name(*x); }) + ")";
  }

  std::string stage(const Stage& s, const std::string& indent) {
    local_ = symbols_;
    std::string out = indent;
    if (!s.results.empty()) out += list(s.results, [&](int id) { return declared(id); }) + " = ";
    out += name(s.kind);
    switch (s.kind) {
      case StageKind::Map: {
        out += " " + iters(s.iters, false);
        out += lets(s);
        out += ": " + exprs(s.body);
        break;
      }
      case StageKind::Reduce: {
        out += " " + std::string(name(s.combiner)) + " " + iters(s.iters, false);
        out += " over " + iters(s.reds, true);
        out += lets(s);
        out += ": " + exprs(s.body);
        break;
      }
      case StageKind::Scan:
        out += " " + std::string(name(s.combiner)) + " " + iters(s.iters, false) + fmt::format(" along {}", s.axis);
        out += std::string(s.exclusive ? " exclusive" : "") + (s.reverse ? " reverse" : "");
        out += lets(s);
        out += ": " + exprs(s.body);
        break;
      case StageKind::Scatter:
        out += " " + std::string(name(s.combiner)) + " " + value(s.operands.empty() ? -1 : s.operands[0]) + " " +
               iters(s.iters, true);
        out += lets(s);
        out += " at [" + exprs(s.targets) + "]" + (s.skip_outside ? " skip_outside" : "");
        out += ": " + exprs(s.body);
        break;
      case StageKind::Walk:
        out += " " + iters(s.iters, false) + fmt::format(" limit {}", s.limit);
        out += lets(s);
        out += " from (";
        for (size_t i = 0; i < s.init.size(); ++i) out += (i ? ", " : "") + expr(s.init[i], true, true);
        out += ") while " + expr(s.condition, true, true) + ": " + exprs(s.body);
        break;
      case StageKind::Call:
        out += " " + (is_identifier(s.algorithm) ? s.algorithm : quoted(s.algorithm)) + "(" +
               list(s.operands, [&](int id) { return value(id); }) + ")";
        if (!s.ints.empty()) out += " ints [" + list(s.ints, [](int64_t v) { return std::to_string(v); }) + "]";
        if (!s.floats.empty()) out += " floats [" + list(s.floats, [](double v) { return str_number(v); }) + "]";
        if (!s.strings.empty())
          out += " strings [" + list(s.strings, [](const std::string& v) { return quoted(v); }) + "]";
        out += decides(s);
        break;
      case StageKind::Read: {
        out += " " + value(s.operands.empty() ? -1 : s.operands[0]) + " (";
        for (size_t i = 0; i < s.symbols.size(); ++i)
          out += fmt::format("{}{}: {}", i ? ", " : "", s.elements[i], symbols_.name(*s.symbols[i]));
        out += ")";
        break;
      }
      case StageKind::Check:
        out += " (" + str(s.condition_dim, symbols_) + ") " + quoted(s.message);
        if (s.got) out += " got (" + str(*s.got, symbols_) + ")";
        break;
      case StageKind::If:
        out += " " + value(s.operands[0]) + decides(s) + " " + block(s.blocks[0], indent) + " else " +
               block(s.blocks[1], indent);
        break;
      case StageKind::Loop: {
        out += " " + value(s.operands[0]) + ", " + value(s.operands[1]);
        if (s.operands.size() > 2) {
          std::vector<int> carried(s.operands.begin() + 2, s.operands.end());
          out += " carry " + list(carried, [&](int id) { return value(id); });
        }
        out += decides(s);
        if (!s.carried_symbols.empty()) {
          out += " carried (";
          for (size_t i = 0; i < s.carried_symbols.size(); ++i)
            out += (i ? ", " : "") + symbols_.name(*s.carried_symbols[i]) + " = " + str(s.symbol_init[i], symbols_);
          out += ")";
        }
        out +=
            " (" + list(s.blocks[0].params, [&](int id) { return declared(id); }) + ") " + block(s.blocks[0], indent);
        break;
      }
    }
    if (s.node >= 0) out += fmt::format(" @{}", s.node);
    return out;
  }

  const Program& p_;
  bool elide_long_;
  SymbolNames symbols_, local_;  // of the program; of the stage, with its iterators
  std::map<int64_t, Symbol> all_symbols_;
  std::set<int> used_;
  std::map<int, std::string> names_;
  std::set<std::string> taken_;
  std::map<const ExprNode*, int> lets_;  // looked up only
};

}  // namespace

std::string str(const Program& p, bool elide_long) { return Printer(p, elide_long).program(); }
std::string str(const Program& p, const Stage& s) { return Printer(p, true).one(s); }

}  // namespace ingot::k
