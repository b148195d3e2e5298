#include "frontend/onnx/names.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace ingot::onnx {

namespace {

constexpr std::pair<std::string_view, std::string_view> kExceptions[] = {
    {"IsNaN", "is_nan"},
    {"MoE", "moe"},
    {"QMoE", "qmoe"},
    {"SwiGLU", "swiglu"},
};

bool upper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
bool lower(char c) { return std::islower(static_cast<unsigned char>(c)) != 0; }

}  // namespace

std::string snake_case(std::string_view name) {
  for (auto [from, to] : kExceptions)
    if (name == from) return std::string(to);
  std::string out;
  size_t run = 0;  // capitals directly before `i`
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    if (upper(c)) {
      bool after_small = i > 0 && lower(name[i - 1]);
      bool ends_run = run >= 2 && i + 1 < name.size() && lower(name[i + 1]);
      if (after_small || ends_run) out += '_';
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      ++run;
    } else {
      out += c;
      run = 0;
    }
  }
  return out;
}

bool is_quant_domain(std::string_view domain) {
  return std::find(std::begin(kQuantDomains), std::end(kQuantDomains), domain) != std::end(kQuantDomains);
}

std::string_view canonical_domain(std::string_view domain) { return domain == "ai.onnx" ? std::string_view() : domain; }

}  // namespace ingot::onnx
