// See expression.h. sum := product {(+|-) product}; product := factor {(*|div|mod) factor};
// factor := -factor | number | name | min(sum, sum) | max(sum, sum) | (sum [< sum | == sum])
#include "tools/driver/expression.h"

#include <cctype>
#include <cmath>
#include <cstdint>

namespace ingot::driver {

namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::map<std::string, int64_t>& dims) : text_(text), dims_(dims) {}

  std::optional<double> parse() {
    const double v = sum(0);
    space();
    return fine_ && at_ == text_.size() ? std::optional(v) : std::nullopt;
  }

 private:
  void space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(std::string_view word) {
    space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  double fail() { return fine_ = false, 0; }

  double sum(int depth) {
    double v = product(depth);
    while (fine_) {
      if (accept("+")) v += product(depth);
      else if (accept("-")) v -= product(depth);
      else break;
    }
    return v;
  }
  double product(int depth) {
    double v = factor(depth);
    while (fine_) {
      if (accept("*")) {
        v *= factor(depth);
      } else if (accept("div ")) {
        const double d = factor(depth);
        v = d != 0 ? std::floor(v / d) : 0;
      } else if (accept("mod ")) {
        const double d = factor(depth);
        v = d != 0 ? v - d * std::floor(v / d) : 0;
      } else {
        break;
      }
    }
    return v;
  }
  double factor(int depth) {
    if (depth > kMaxExpressionDepth) return fail();
    if (accept("-")) return -factor(depth + 1);
    if (accept("(")) {
      double v = sum(depth + 1);
      if (accept("<")) v = v < sum(depth + 1) ? 1 : 0;
      else if (accept("==")) v = v == sum(depth + 1) ? 1 : 0;
      return accept(")") ? v : fail();
    }
    for (bool is_min : {true, false}) {
      if (!accept(is_min ? "min(" : "max(")) continue;
      const double a = sum(depth + 1);
      if (!accept(",")) return fail();
      const double b = sum(depth + 1);
      return accept(")") ? (is_min ? std::fmin(a, b) : std::fmax(a, b)) : fail();
    }
    space();
    const size_t start = at_;
    auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; };
    while (at_ < text_.size() && word(text_[at_])) ++at_;
    const std::string token(text_.substr(start, at_ - start));
    if (token.empty()) return fail();
    if (std::isdigit(static_cast<unsigned char>(token[0]))) {
      double v = 0;
      for (char c : token) v = std::isdigit(static_cast<unsigned char>(c)) ? v * 10 + (c - '0') : fail();
      return v;
    }
    const auto it = dims_.find(token);
    return it != dims_.end() ? static_cast<double>(it->second) : fail();
  }

  std::string_view text_;
  const std::map<std::string, int64_t>& dims_;
  size_t at_ = 0;
  bool fine_ = true;
};

}  // namespace

std::optional<double> evaluate_expression(std::string_view text, const std::map<std::string, int64_t>& dims) {
  return Parser(text, dims).parse();
}

}  // namespace ingot::driver
