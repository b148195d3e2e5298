// Prints an expression: infix where there is a common sign, `name(a, b)` else. Reads are `x[i, j]` and `x[i, j | fill]`.
#include <fmt/format.h>

#include <cmath>

#include "ir/expr.h"

namespace ingot {

namespace {

std::string_view infix(ScalarOp op) {
  switch (op) {
    case ScalarOp::Add: return " + ";
    case ScalarOp::Sub: return " - ";
    case ScalarOp::Mul: return " * ";
    case ScalarOp::Div: return " / ";
    case ScalarOp::Rem: return " % ";
    case ScalarOp::And: return " & ";
    case ScalarOp::Or: return " | ";
    case ScalarOp::Xor: return " ^ ";
    case ScalarOp::Shl: return " << ";
    case ScalarOp::Shr: return " >> ";
    case ScalarOp::Eq: return " == ";
    case ScalarOp::Ne: return " != ";
    case ScalarOp::Lt: return " < ";
    case ScalarOp::Le: return " <= ";
    case ScalarOp::Gt: return " > ";
    case ScalarOp::Ge: return " >= ";
    default: return "";
  }
}

using Names = std::function<std::string(int64_t)>;
std::string print(const Expr& e, const Names& names, bool alone);

std::string list(const std::vector<Expr>& args, size_t begin, size_t end, const Names& names) {
  std::string out;
  for (size_t i = begin; i < end; ++i) out += (i > begin ? ", " : "") + print(args[i], names, true);
  return out;
}

std::string constant(const ExprNode& n) {
  if (n.type == DType::Bool) return n.integer ? "true" : "false";
  if (n.type == DType::U64) return std::to_string(static_cast<uint64_t>(n.integer));
  if (!is_float(n.type)) return std::to_string(n.integer);
  std::string s = n.type == DType::F64 ? fmt::format("{}", n.number) : fmt::format("{}", static_cast<float>(n.number));
  if (std::isfinite(n.number) && s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}

std::string print(const Expr& e, const Names& names, bool alone) {
  if (!e) return "?";
  const ExprNode& n = *e;
  auto wrapped = [&](std::string s, bool compound) { return alone || !compound ? s : "(" + s + ")"; };
  switch (n.op) {
    case ScalarOp::Const: {
      std::string s = constant(n);
      return wrapped(s, s[0] == '-');
    }
    case ScalarOp::Index: return wrapped(n.dim.str(), !n.dim.is_constant() && !n.dim.as_symbol());
    case ScalarOp::Read: {
      size_t rank = n.args.size() - (n.checked ? 1 : 0);
      std::string s = names(n.id) + "[" + list(n.args, 0, rank, names);
      if (n.checked) s += " | " + print(n.args.back(), names, true);
      return s + "]";
    }
    case ScalarOp::Load: {
      std::string s = names(n.id) + "[" + n.dim.str();
      size_t last = n.args.size();
      bool masked = last > 0 && n.args[last - 1].type() == DType::Bool;
      if (last > (masked ? 1u : 0u)) s += " + " + print(n.args[0], names, false);
      if (n.lanes > 1) s += fmt::format(" : {}{}", n.lanes, n.stride != 1 ? fmt::format(" by {}", n.stride) : "");
      if (masked) s += " if " + print(n.args[last - 1], names, true);
      return s + "]";
    }
    case ScalarOp::Local: return fmt::format("r{}", n.id);
    case ScalarOp::Ramp: return fmt::format("ramp({}, {}, {})", n.dim.str(), n.stride, n.lanes);
    case ScalarOp::Splat: return fmt::format("splat({}, {})", print(n.args[0], names, true), n.lanes);
    case ScalarOp::Lane: return fmt::format("{}.{}", print(n.args[0], names, false), n.integer);
    case ScalarOp::Cast:
      return fmt::format("{}({}{})", name(n.type), print(n.args[0], names, true), n.saturate ? "" : ", wrap");
    case ScalarOp::Bitcast: return fmt::format("bits_{}({})", name(n.type), print(n.args[0], names, true));
    case ScalarOp::Neg: return wrapped("-" + print(n.args[0], names, false), true);
    case ScalarOp::Not: return "!" + print(n.args[0], names, false);
    default: break;
  }
  if (auto sign = infix(n.op); !sign.empty() && n.args.size() == 2)
    return wrapped(print(n.args[0], names, false) + std::string(sign) + print(n.args[1], names, false), true);
  return std::string(name(n.op)) + "(" + list(n.args, 0, n.args.size(), names) + ")";
}

}  // namespace

std::string str(const Expr& e, const Names& value_name) { return print(e, value_name, true); }

}  // namespace ingot
