// Evaluates the expressions of dims that stand in compiled files as text ("batch*2 + 1", see ir/dim_text.cpp).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ingot::driver {

inline constexpr int kMaxExpressionDepth = 64;  // parentheses in parentheses

// None where the text is malformed or names a dim that `dims` lacks. In doubles, since it counts work.
std::optional<double> evaluate_expression(std::string_view text, const std::map<std::string, int64_t>& dims);

}  // namespace ingot::driver
