// Text of strangers, made fit to be shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// The candidate with the smallest edit distance to `name`; empty where none is near enough to be meant.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);
// For JSON and terminals: bytes that are not UTF-8 become '?'.
std::string printable(std::string_view text);

}  // namespace ingot
