// See text.h.
#include "support/text.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace ingot {

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t substituted = diagonal + (name[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance) best_distance = row.back(), best = candidate;
  }
  return best;
}

std::string printable(std::string_view s) {
  std::string out;
  for (size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    const size_t length = c < 0x80                ? 1
                          : c >= 0xc2 && c < 0xe0 ? 2
                          : c >= 0xe0 && c < 0xf0 ? 3
                          : c >= 0xf0 && c < 0xf5 ? 4
                                                  : 0;
    bool fine = length > 0 && i + length <= s.size();
    for (size_t k = 1; fine && k < length; ++k) fine = (static_cast<unsigned char>(s[i + k]) & 0xc0) == 0x80;
    if (fine && length == 3) {  // no overlong forms, no surrogates
      const auto d = static_cast<unsigned char>(s[i + 1]);
      fine = !(c == 0xe0 && d < 0xa0) && !(c == 0xed && d >= 0xa0);
    } else if (fine && length == 4) {
      const auto d = static_cast<unsigned char>(s[i + 1]);
      fine = !(c == 0xf0 && d < 0x90) && !(c == 0xf4 && d >= 0x90);
    }
    if (fine && length == 1 && (c < 0x20 || c == 0x7f) && c != '\n' && c != '\t') fine = false;
    if (fine) {
      out.append(s.substr(i, length));
      i += length;
    } else {
      out += '?';
      ++i;
    }
  }
  return out;
}

}  // namespace ingot
