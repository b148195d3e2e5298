// Small helpers of text that several commands share: units, errors, the progress line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/text.h"

namespace ingot::driver {

std::string bytes_text(int64_t bytes);      // "1.5 MB" (powers of 1000, as file managers and vendors count)
std::string duration_text(double seconds);  // "12.3 ms"
std::string one_line(std::string_view text, size_t max = 400);  // newlines become "; "
// An error as people read it: at most kMaxErrorLines lines, kMaxErrorBytes bytes, and kMaxErrorLineBytes of a line, whatever
// names, types and call chains the model holds. What is left out is in the middle: the fault stands first, the file last.
inline constexpr size_t kMaxErrorLines = 18, kMaxErrorLineBytes = 400, kMaxErrorBytes = 1900;
std::string error_text(std::string_view message);

// A line on a terminal's stderr that is rewritten in place, for work that takes over a second. Silent elsewhere.
class Progress {
 public:
  Progress();
  ~Progress();
  void show(const std::string& line);
  void clear();

 private:
  bool terminal_ = false;
  bool shown_ = false;
  double start_ = 0, last_ = 0;
};

double now_seconds();  // monotonic

}  // namespace ingot::driver
