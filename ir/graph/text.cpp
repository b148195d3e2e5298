// Prints a graph. parse.cpp reads it back:
//
//   symbols batch in [1, 64], n >= 1, i < n            facts of symbols, and their order; left out where all are plain
//   graph resnet(%x: f32[batch, 3, 224, 224]) -> (%y) {
//     (an input of the graph with contents for runs that are given none: %w: f32[2] default f32[2] dense<[1.0, 2.0]>)
//     %w = constant f32[2, 2] dense<[1.0, 2.0, 3.0, 4.0]>
//     %y, _ = conv %x, %w, _ {group = 1, pads = [1, 1, 1, 1]} : f32[batch, 64, 112, 112] @"conv_7" from "Conv, opset 17"
//     %s = shape %x : i64[2] = [batch, 3]              symbolic contents
//     %n = non_zero %x : i64[1, n] decides (n)         extents that the node decides
//     %r = if %c : f32[2]
//       region() -> (%a) {
//         ...
//       }
//   }
//
// `_` is an absent input or output. Types stand for the outputs that are present; none of them where none is known.
#include "ir/text.h"

#include <set>
#include <unordered_map>
#include <unordered_set>

#include "ir/graph/graph.h"

namespace ingot {

namespace {

bool is_bare_value(const std::string& s) {
  for (char c : s)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
          c == '$' || c == '/'))
      return false;
  return !s.empty();
}

class Printer {
 public:
  explicit Printer(bool elide_long) : elide_long_(elide_long) {}

  std::string graph(const Graph& g) {
    mark_used(g.body);
    std::string head = "graph " + (is_identifier(g.name) ? g.name : quoted(g.name)) + signature(g.body) + " {\n";
    std::string body;
    for (const auto& v : g.values)
      if (v->constant && !v->producer && used_.contains(v.get()))
        body += "  " + value(v.get()) + " = constant " + str(v->constant->type(), symbols_) + " " +
                str_contents(*v->constant, elide_long_) + "\n";
    body += nodes(g.body, "  ");
    return symbol_line() + head + body + "}\n";
  }

 private:
  void mark_used(const Region& r) {
    for (const Value* v : r.outputs) used_.insert(v);
    for (const auto& n : r.nodes) {
      used_.insert(n->inputs.begin(), n->inputs.end());
      for (const auto& inner : n->regions) mark_used(*inner);
    }
  }

  std::string value(const Value* v) {
    if (!v) return "_";
    std::string& name = names_[v];
    if (name.empty()) {
      std::string unique = v->name.empty() ? "v" : v->name;
      for (int n = 1; !taken_.insert(unique).second; ++n) unique = v->name + "_" + std::to_string(n);
      name = "%" + (is_bare_value(unique) ? unique : quoted(unique));
    }
    return name;
  }

  template <class T, class F>
  std::string list(const T& items, F&& item) {
    std::string out;
    for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + item(items[i]);
    return out;
  }

  std::string typed(const Value& v) {
    std::string out = str(v.type, symbols_);
    if (v.elements) out += " = [" + list(*v.elements, [&](const Dim& d) { return str(d, symbols_); }) + "]";
    if (!v.reads.empty())
      out +=
          " reads (" +
          list(v.reads, [&](const auto& r) { return std::to_string(r.first) + ": " + str(Dim(r.second), symbols_); }) +
          ")";
    if (v.fallback)
      out += " default " + str(v.fallback->type(), symbols_) + " " + str_contents(*v.fallback, elide_long_);
    return out;
  }

  std::string signature(const Region& r) {
    return "(" + list(r.inputs, [&](const Value* v) { return value(v) + ": " + typed(*v); }) + ") -> (" +
           list(r.outputs, [&](const Value* v) { return value(v); }) + ")";
  }

  std::string attr(const AttrValue& a) {
    struct {
      Printer& p;
      std::string operator()(int64_t v) const { return std::to_string(v); }
      std::string operator()(double v) const { return str_number(v); }
      std::string operator()(const std::string& v) const { return quoted(v); }
      std::string operator()(const std::vector<int64_t>& v) const {
        return "[" + p.list(v, [](int64_t x) { return std::to_string(x); }) + "]";
      }
      std::string operator()(const std::vector<double>& v) const {
        return (v.empty() ? "floats[" : "[") + p.list(v, str_number) + "]";
      }
      std::string operator()(const std::vector<std::string>& v) const {
        return (v.empty() ? "strings[" : "[") + p.list(v, quoted) + "]";
      }
      std::string operator()(const TensorRef& v) const {
        return v ? str(v->type(), p.symbols_) + " " + str_contents(*v, p.elide_long_) : "none";
      }
    } text{*this};
    return std::visit(text, a);
  }

  std::string node(const Node& n, const std::string& indent) {
    std::string out = indent;
    if (!n.outputs.empty()) out += list(n.outputs, [&](const Value* v) { return value(v); }) + " = ";
    out += n.op();
    if (!n.inputs.empty()) out += " " + list(n.inputs, [&](const Value* v) { return value(v); });
    if (!n.attrs.items().empty())
      out += " {" +
             list(n.attrs.items(),
                  [&](const auto& a) {
                    return (is_identifier(a.first) ? a.first : quoted(a.first)) + " = " + attr(a.second);
                  }) +
             "}";
    bool any_type = false;
    for (const Value* v : n.outputs)
      any_type = any_type || (v && (v->type.kind != Type::Kind::None || v->elements || !v->reads.empty()));
    if (any_type) {
      std::string types;
      for (const Value* v : n.outputs)
        if (v) types += (types.empty() ? "" : ", ") + typed(*v);
      out += " : " + types;
    }
    if (!n.symbols.empty())
      out += " decides (" + list(n.symbols, [&](const Symbol& s) { return str(Dim(s), symbols_); }) + ")";
    if (!n.name.empty()) out += " @" + quoted(n.name);
    if (!n.source.empty()) out += " from " + quoted(n.source);
    out += "\n";
    for (const auto& r : n.regions) {
      out += indent + "  region" + signature(*r) + " {\n";
      out += nodes(*r, indent + "    ");
      out += indent + "  }\n";
    }
    return out;
  }

  std::string nodes(const Region& r, const std::string& indent) {
    std::string out;
    for (const auto& n : r.nodes) out += node(*n, indent);
    return out;
  }

  // Declares the symbols where they have facts, or where their order is not that of their first mention: terms are
  // ordered by symbols, and a text must read back to the same order.
  std::string symbol_line() {
    std::map<int64_t, Symbol> all;
    bool plain = true;
    int64_t last = -1;
    for (size_t i = 0; i < symbols_.in_order().size(); ++i) {
      Symbol s = symbols_.in_order()[i];
      plain = plain && s->lo == 0 && s->hi == kDimMax && !s->extent && s->id > last;
      last = s->id;
      all.emplace(s->id, s);
    }
    if (plain) return "";
    for (bool grown = true; grown;) {  // extents mention further symbols
      auto more = all;
      for (const auto& [id, s] : all)
        if (s->extent) collect_symbols(*s->extent, more);
      grown = more.size() != all.size();
      all = std::move(more);
    }
    std::string out;
    for (const auto& [id, s] : all) {
      symbols_.mention(s);
      out += out.empty() ? "symbols " : ", ";
      out += symbols_.name(*s);
      if (s->extent) out += " < " + str(*s->extent, symbols_);
      else if (s->hi != kDimMax) out += " in [" + std::to_string(s->lo) + ", " + std::to_string(s->hi) + "]";
      else if (s->lo != 0) out += " >= " + std::to_string(s->lo);
    }
    return out + "\n";
  }

  bool elide_long_;
  SymbolNames symbols_;
  std::unordered_map<const Value*, std::string> names_;
  std::set<std::string> taken_;
  std::unordered_set<const Value*> used_;
};

}  // namespace

std::string str(const Graph& g, bool elide_long) { return Printer(elide_long).graph(g); }

}  // namespace ingot
