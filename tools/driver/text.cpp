// See text.h.
#include "tools/driver/text.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>

namespace ingot::driver {

std::string bytes_text(int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  const char* units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  int unit = 0;
  while (value >= 999.5 && unit < 5) value /= 1000, ++unit;
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

std::string duration_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

std::string one_line(std::string_view text, size_t max) {
  std::string line;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') {
      while (i + 1 < text.size() && (text[i + 1] == ' ' || text[i + 1] == '\n')) ++i;
      if (i + 1 < text.size()) line += line.ends_with(':') ? " " : "; ";
    } else {
      line += text[i];
    }
  }
  if (line.size() > max) line.resize(max), line += " ...";
  return printable(line);
}

namespace {

// Both ends of a text that is longer than `max`; `max` includes the mark.
std::string both_ends(std::string_view text, size_t max, std::string_view mark) {
  if (text.size() <= max) return std::string(text);
  const size_t tail = (max - mark.size()) / 3, head = max - mark.size() - tail;
  return fmt::format("{}{}{}", text.substr(0, head), mark, text.substr(text.size() - tail));
}

}  // namespace

std::string error_text(std::string_view message) {
  std::vector<std::string> lines;
  for (size_t at = 0; at <= message.size();) {
    const size_t end = std::min(message.find('\n', at), message.size());
    lines.push_back(both_ends(message.substr(at, end - at), kMaxErrorLineBytes, " ... "));
    at = end + 1;
  }
  constexpr size_t kLast = kMaxErrorLines / 3;
  if (lines.size() > kMaxErrorLines) {
    const size_t left_out = lines.size() - (kMaxErrorLines - 1);
    const auto first = lines.begin() + (kMaxErrorLines - 1 - kLast);
    *first = fmt::format("  ... {} lines left out", left_out);
    lines.erase(first + 1, first + static_cast<std::ptrdiff_t>(left_out));
  }
  return printable(both_ends(fmt::format("{}", fmt::join(lines, "\n")), kMaxErrorBytes, "\n  ...\n"));
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress() : terminal_(isatty(2) == 1), start_(now_seconds()) {}
Progress::~Progress() { clear(); }

void Progress::show(const std::string& line) {
  if (!terminal_) return;
  const double now = now_seconds();
  if (now - start_ < 1 || now - last_ < 0.1) return;
  last_ = now;
  winsize size{};
  const size_t columns = ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 8 ? size.ws_col : 80;
  std::fprintf(stderr, "\r\033[K%s", line.substr(0, columns - 1).c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K"), std::fflush(stderr);
  shown_ = false;
}

}  // namespace ingot::driver
