// Imported graphs as short text for comparison, and an op table that takes every operator.
//
//   y = conv(x, w) strides=[2, 2]
#pragma once

#include <map>
#include <memory>
#include <string>

#include "frontend/onnx/import.h"
#include "ir/ops/def.h"

namespace ingot::onnx {

inline const OpDef* any_op(std::string_view name) {
  static std::map<std::string, std::unique_ptr<OpDef>, std::less<>> ops;
  auto it = ops.find(name);
  if (it == ops.end()) {
    it = ops.emplace(std::string(name), std::make_unique<OpDef>()).first;
    *it->second = OpDef{it->first, 0, -1, "*", nullptr, nullptr};
  }
  return it->second.get();
}

inline ImportOptions accept_all() {
  ImportOptions o;
  o.find_op = any_op;
  return o;
}

inline std::string summary(const TensorData& t) {
  std::string s = TensorType(t.type()).str() + "{";
  for (int64_t i = 0; i < t.elements() && i < 12; ++i) {
    if (i) s += ", ";
    if (t.dtype == DType::String) s += t.strings[static_cast<size_t>(i)];
    else if (is_float(t.dtype)) s += fmt::format("{}", static_cast<float>(t.number(i)));
    else s += fmt::format("{}", t.integer(i));
  }
  return s + "}";
}

// Generated constants are shown by their contents.
inline std::string summary(const Value* v) {
  if (!v) return "_";
  return v->constant && v->constant->elements() <= 12 ? summary(*v->constant) : v->name;
}

struct AttrText {
  std::string operator()(int64_t v) const { return fmt::format("{}", v); }
  std::string operator()(double v) const { return fmt::format("{}", static_cast<float>(v)); }
  std::string operator()(const std::string& v) const { return v; }
  std::string operator()(const std::vector<int64_t>& v) const { return fmt::format("[{}]", fmt::join(v, ", ")); }
  std::string operator()(const std::vector<double>& v) const { return fmt::format("[{}]", fmt::join(v, ", ")); }
  std::string operator()(const std::vector<std::string>& v) const { return fmt::format("[{}]", fmt::join(v, ", ")); }
  std::string operator()(const TensorRef& v) const { return summary(*v); }
};

inline std::string names(const std::vector<Value*>& list) {
  std::string s;
  for (const Value* v : list) s += (s.empty() ? "" : ", ") + summary(v);
  return s;
}

inline std::string summary(const Region& r, const std::string& indent = "") {
  std::string s;
  for (const auto& n : r.nodes) {
    std::string outputs;
    for (const Value* v : n->outputs) outputs += (outputs.empty() ? "" : ", ") + (v ? v->name : std::string("_"));
    s += fmt::format("{}{} = {}({})", indent, outputs, n->op(), names(n->inputs));
    for (const auto& [name, value] : n->attrs.items()) s += " " + name + "=" + std::visit(AttrText(), value);
    s += "\n";
    for (const auto& body : n->regions)
      s += fmt::format("{}  ({}) {{\n{}{}  }} -> {}\n", indent, names(body->inputs), summary(*body, indent + "    "),
                       indent, names(body->outputs));
  }
  return s;
}

// The graph's text, or the error's message.
inline std::string summary(const Result<Graph>& g) { return g ? summary(g->body) : g.error().message; }

}  // namespace ingot::onnx
