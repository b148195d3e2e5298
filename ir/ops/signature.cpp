#include "ir/ops/signature.h"

#include <algorithm>
#include <map>

namespace ingot {

namespace {

constexpr std::pair<std::string_view, std::string_view> kSignatures[] = {
#define SIGNATURE(op, inputs) {#op, inputs},
#include "ir/ops/signatures.def"
#undef SIGNATURE
};

struct Class {
  std::string_view name, text;
  bool (*holds)(DType);
};
constexpr Class kClasses[] = {
    {"float", "a float type", [](DType t) { return is_float(t); }},
    {"int", "an integer type", [](DType t) { return is_int(t); }},
    {"number", "a type of numbers", [](DType t) { return is_float(t) || is_int(t); }},
    {"index", "i32 or i64", [](DType t) { return t == DType::I32 || t == DType::I64; }},
    {"byte", "i8 or u8", [](DType t) { return t == DType::I8 || t == DType::U8; }},
    {"i32", "i32", [](DType t) { return t == DType::I32; }},
    {"i64", "i64", [](DType t) { return t == DType::I64; }},
    {"bool", "bool", [](DType t) { return t == DType::Bool; }},
    {"string", "string", [](DType t) { return t == DType::String; }},
};

}  // namespace

std::string_view signature_of(std::string_view op) {
  static const std::map<std::string_view, std::string_view> by_op(std::begin(kSignatures), std::end(kSignatures));
  const auto it = by_op.find(op);
  return it == by_op.end() ? std::string_view() : it->second;
}

Result<void> check_signature(const Node& node) {
  std::string_view rest = signature_of(node.op()), word;
  std::map<std::string_view, size_t> first;  // of each variable, the input that has it
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!word.ends_with('*')) {
      word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    if (word.empty()) return {};
    if (!node.inputs[i] || !node.inputs[i]->type.is_tensor()) continue;
    const DType got = node.inputs[i]->type.tensor.dtype;
    const std::string_view plain = word.ends_with('*') ? word.substr(0, word.size() - 1) : word;
    const size_t colon = std::min(plain.find(':'), plain.size());
    if (colon < plain.size())
      for (const Class& c : kClasses)
        if (c.name == plain.substr(colon + 1) && !c.holds(got))
          return invalid("input {} is of type {}, expected {}", i, name(got), c.text);
    const std::string_view variable = plain.substr(0, colon);
    if (variable == "_") continue;
    const auto [it, fresh] = first.emplace(variable, i);
    const DType want = node.inputs[it->second]->type.tensor.dtype;
    if (!fresh && got != want)
      return invalid("input {} is of type {}, expected {} as input {}", i, name(got), name(want), it->second);
  }
  return {};
}

}  // namespace ingot
