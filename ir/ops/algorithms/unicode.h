// UTF-8, and the simple case mappings of the Latin (basic, -1, Extended-A), Greek and Cyrillic letters.
#pragma once

#include "ir/ops/algorithms/support.h"

namespace ingot_alg {

// The code point at *at, which moves on; a byte that is not valid UTF-8 gives itself plus 0x110000, so that it equals no
// code point.
inline int32_t decode_utf8(const ingot_string& s, int64_t* at) {
  auto byte = [&](int64_t i) { return i < s.size ? static_cast<uint8_t>(s.data[i]) : uint8_t{0}; };
  uint8_t c = byte(*at);
  int more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : (c & 0xf8) == 0xf0 ? 3 : -1;
  int32_t code = more == 0 ? c : more < 0 ? 0 : c & (0x3f >> more);
  for (int k = 1; k <= more; ++k) {
    if ((byte(*at + k) & 0xc0) != 0x80) more = -1;
    else code = code << 6 | (byte(*at + k) & 0x3f);
  }
  if (more < 0) {
    ++*at;
    return 0x110000 + c;
  }
  *at += more + 1;
  return code;
}

inline int encode_utf8(int32_t c, char* to) {
  if (c < 0x80) {
    to[0] = static_cast<char>(c);
    return 1;
  }
  if (c < 0x800) {
    to[0] = static_cast<char>(0xc0 | c >> 6);
    to[1] = static_cast<char>(0x80 | (c & 0x3f));
    return 2;
  }
  to[0] = static_cast<char>(0xe0 | c >> 12);
  to[1] = static_cast<char>(0x80 | (c >> 6 & 0x3f));
  to[2] = static_cast<char>(0x80 | (c & 0x3f));
  return 3;
}

inline int32_t to_lower(int32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
  if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) || (c >= 0x14a && c <= 0x177)) return c | 1;
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c & 1 ? c + 1 : c;
  if (c == 0x178) return 0xff;
  if (c >= 0x391 && c <= 0x3ab && c != 0x3a2) return c + 32;
  if (c >= 0x410 && c <= 0x42f) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  return c;
}

inline int32_t to_upper(int32_t c) {
  if (c >= 'a' && c <= 'z') return c - 32;
  if (c >= 0xe0 && c <= 0xfe && c != 0xf7) return c - 32;
  if (c == 0xff) return 0x178;
  if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) || (c >= 0x14a && c <= 0x177)) return c & ~1;
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c & 1 ? c : c - 1;
  if (c == 0x3c2) return 0x3a3;
  if (c >= 0x3b1 && c <= 0x3cb) return c - 32;
  if (c >= 0x430 && c <= 0x44f) return c - 32;
  if (c >= 0x450 && c <= 0x45f) return c - 80;
  return c;
}

}  // namespace ingot_alg
