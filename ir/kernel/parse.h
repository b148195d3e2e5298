// Reads the text form of a program; the grammar is at the head of text.cpp.
#pragma once

#include <string_view>

#include "ir/kernel/program.h"

namespace ingot::k {

inline constexpr int kMaxExprDepth = 256;   // nesting of expressions in text
inline constexpr int kMaxBlockDepth = 32;   // nesting of blocks in text
inline constexpr int64_t kMaxTextValues = int64_t{1} << 20;

// Survives any bytes. The program is verified.
Result<Program> parse_program(std::string_view text);

}  // namespace ingot::k
