// Decimal numbers with as many digits as a double can need, to convert between text and binary without rounding twice. The
// method is the plain one: multiplying and dividing the digits by powers of two; texts of numbers are short.
#pragma once

#include "ir/ops/algorithms/support.h"

namespace ingot_alg {

// 0.d1d2d3... * 10^point
struct Decimal {
  static constexpr int kDigits = 800;
  uint8_t digit[kDigits];
  int count = 0, point = 0;
  bool truncated = false;  // a nonzero digit was dropped

  void trim() {
    while (count > 0 && digit[count - 1] == 0) --count;
    if (count == 0) point = 0;
  }
  void append(int d) {
    if (count == 0 && d == 0) {
      --point;
      return;
    }
    if (count < kDigits) digit[count++] = static_cast<uint8_t>(d);
    else if (d) truncated = true;
  }
  // Times 2^bits, 0 <= bits <= 56.
  void shift_left(int bits) {
    if (count == 0) return;
    uint64_t carry = 0;
    for (int k = count; k-- > 0;) {
      carry += static_cast<uint64_t>(digit[k]) << bits;
      digit[k] = static_cast<uint8_t>(carry % 10);
      carry /= 10;
    }
    int more = 0;
    for (uint64_t c = carry; c; c /= 10) ++more;
    int kept = count + more < kDigits ? count + more : kDigits;
    for (int k = count; k-- > 0;) {
      if (k + more < kDigits) digit[k + more] = digit[k];
      else if (digit[k]) truncated = true;
    }
    for (int k = more; k-- > 0; carry /= 10) digit[k] = static_cast<uint8_t>(carry % 10);
    count = kept;
    point += more;
    trim();
  }
  // Divided by 2^bits, 0 <= bits <= 56.
  void shift_right(int bits) {
    if (count == 0) return;
    Decimal r;
    r.truncated = truncated;
    r.point = point;
    uint64_t rest = 0, mask = (uint64_t{1} << bits) - 1;
    for (int k = 0; k < count || rest; ++k) {
      rest = rest * 10 + (k < count ? digit[k] : 0);
      r.append(static_cast<int>(rest >> bits));
      rest &= mask;
      if (r.count == kDigits && k >= count) {
        r.truncated = r.truncated || rest;
        break;
      }
    }
    *this = r;
    trim();
  }
  void shift(int bits) {
    for (; bits > 56; bits -= 56) shift_left(56);
    for (; bits < -56; bits += 56) shift_right(56);
    if (bits > 0) shift_left(bits);
    if (bits < 0) shift_right(-bits);
  }
  // The integer part, rounded half to even; it must fit.
  uint64_t rounded() const {
    uint64_t n = 0;
    for (int k = 0; k < point; ++k) n = n * 10 + (k < count ? digit[k] : 0);
    if (point < 0 || point >= count) return n;
    bool half = digit[point] == 5 && point + 1 == count && !truncated;
    bool up = half ? n & 1 : digit[point] >= 5;
    return n + up;
  }
  // Keeps n digits, rounded half to even.
  void round_to(int n) {
    if (n >= count) return;
    bool half = digit[n] == 5 && n + 1 == count && !truncated;
    bool up = half ? n > 0 && digit[n - 1] & 1 : digit[n] >= 5;
    count = n;
    if (up) {
      while (count > 0 && digit[count - 1] == 9) --count;
      if (count == 0) {
        digit[0] = 1;
        count = 1;
        ++point;
      } else {
        ++digit[count - 1];
      }
    }
    trim();
  }
};

// A binary format: bits of the fraction, the lowest exponent.
struct Format {
  int fraction, min_exponent, max_exponent;
};
constexpr Format kBinary32{23, -126, 127}, kBinary64{52, -1022, 1023};

// The bits (without sign) of the nearest number.
inline uint64_t to_bits(Decimal d, const Format& f) {
  uint64_t infinity = static_cast<uint64_t>(f.max_exponent - f.min_exponent + 2) << f.fraction;
  if (d.count == 0 || d.point < -400) return 0;
  if (d.point > 400) return infinity;
  int exponent = 0;  // value = d * 2^exponent; first brought into [1/2, 1)
  while (d.point > 0) {
    int n = d.point > 17 ? 56 : d.point * 3;
    d.shift(-n);
    exponent += n;
  }
  while (d.point < 0 || (d.point == 0 && d.digit[0] < 5)) {
    int n = d.point < -17 ? 56 : d.point < 0 ? -d.point * 3 : 1;
    d.shift(n);
    exponent -= n;
  }
  --exponent;  // now value = (2d) * 2^exponent with 2d in [1, 2)
  if (exponent < f.min_exponent) {
    d.shift(exponent - f.min_exponent);
    exponent = f.min_exponent;
  }
  d.shift(f.fraction + 1);
  uint64_t mantissa = d.rounded(), implicit = uint64_t{1} << f.fraction;
  if (mantissa == implicit * 2) {
    mantissa = implicit;
    ++exponent;
  }
  if (exponent > f.max_exponent) return infinity;
  if (mantissa < implicit) return mantissa;
  return (static_cast<uint64_t>(exponent - f.min_exponent + 1) << f.fraction) + (mantissa - implicit);
}

// The digits of a finite number.
inline Decimal from_bits(uint64_t bits, const Format& f) {
  uint64_t implicit = uint64_t{1} << f.fraction;
  auto exponent = static_cast<int>(bits >> f.fraction);
  uint64_t mantissa = bits & (implicit - 1);
  if (exponent > 0) mantissa |= implicit;
  else exponent = 1;
  Decimal d;
  uint8_t reversed[20];
  int n = 0;
  for (; mantissa; mantissa /= 10) reversed[n++] = static_cast<uint8_t>(mantissa % 10);
  d.point = n;
  while (n > 0) d.digit[d.count++] = reversed[--n];
  d.trim();
  d.shift(exponent - 1 + f.min_exponent - f.fraction);
  return d;
}

// The fewest digits that give the number back.
inline Decimal shortest(uint64_t bits, const Format& f) {
  Decimal exact = from_bits(bits, f);
  for (int n = 1; n < 17; ++n) {
    Decimal d = exact;
    d.round_to(n);
    if (to_bits(d, f) == bits) return d;
  }
  exact.round_to(17);
  return exact;
}

}  // namespace ingot_alg
