// Casts between numbers and strings. Printed: the fewest digits that read back as the same number, plain for exponents
// from -4 to 15, else scientific; NaN, INF, -INF. Read: an optional sign, then digits with a point and an exponent, or
// nan, inf, infinity in any case; white space around it is ignored; other text fails the run.
#include "ir/ops/algorithms/decimal.h"
#include "ir/ops/algorithms/support.h"

using namespace ingot_alg;

namespace {

constexpr int kMostText = 32;  // -1.2345678901234567e-308

struct Text {
  char s[kMostText];
  int size = 0;
  void put(char c) { s[size++] = c; }
  void put(const char* t) {
    while (*t) put(*t++);
  }
};

void print_unsigned(Text* t, uint64_t v) {
  char reversed[20];
  int n = 0;
  do reversed[n++] = static_cast<char>('0' + v % 10);
  while (v /= 10);
  while (n > 0) t->put(reversed[--n]);
}

void print_float(Text* t, uint64_t bits, const Format& f, int sign_bit) {
  uint64_t sign = uint64_t{1} << sign_bit, infinity = static_cast<uint64_t>(f.max_exponent - f.min_exponent + 2)
                                                      << f.fraction;
  uint64_t magnitude = bits & (sign - 1);
  if (magnitude > infinity) return t->put("NaN");
  if (bits & sign) t->put('-');
  if (magnitude == infinity) return t->put("INF");
  if (magnitude == 0) return t->put('0');
  Decimal d = shortest(magnitude, f);
  int exponent = d.point - 1;
  auto digit = [&](int k) { return static_cast<char>('0' + (k >= 0 && k < d.count ? d.digit[k] : 0)); };
  if (exponent < -4 || exponent > 15) {
    t->put(digit(0));
    if (d.count > 1) t->put('.');
    for (int k = 1; k < d.count; ++k) t->put(digit(k));
    t->put('e');
    t->put(exponent < 0 ? '-' : '+');
    int e = exponent < 0 ? -exponent : exponent;
    if (e < 10) t->put('0');
    return print_unsigned(t, static_cast<uint64_t>(e));
  }
  for (int k = d.point < 1 ? d.point - 1 : 0; k < d.point || k < d.count; ++k) {
    if (k == d.point) t->put('.');
    t->put(digit(k));
  }
}

// f16 and bf16 as f32.
uint64_t half_as_f32(uint64_t h) {
  uint64_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 31) return sign | 0x7f800000 | fraction << 13;
  if (exponent == 0) {
    if (!fraction) return sign;
    exponent = 1;
    while (!(fraction & 1024)) fraction <<= 1, --exponent;
    fraction &= 1023;
  }
  return sign | (exponent + 112) << 23 | fraction << 13;
}

}  // namespace

// Operand: numbers; result: strings of the same shape.
extern "C" int32_t ingot_alg_number_to_string(const ingot_call* call) {
  const ingot_tensor_view& x = call->operands[0];
  int64_t n = elements(x);
  auto* y = result<ingot_string>(call, 0, n);
  auto* texts = allocate<char>(call, n > INT64_MAX / kMostText ? -1 : n * kMostText);
  if (!y || !texts) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    Text t;
    uint64_t bits = element_bits(x, i);
    int width = element_bytes(x.dtype) * 8;
    switch (x.dtype) {
      case INGOT_F64: print_float(&t, bits, kBinary64, 63); break;
      case INGOT_F32: print_float(&t, bits, kBinary32, 31); break;
      case INGOT_F16: print_float(&t, half_as_f32(bits), kBinary32, 31); break;
      case INGOT_BF16: print_float(&t, bits << 16, kBinary32, 31); break;
      case INGOT_BOOL: t.put(bits ? "True" : "False"); break;
      case INGOT_I8:
      case INGOT_I16:
      case INGOT_I32:
      case INGOT_I64:
        if (bits >> (width - 1) & 1) {
          t.put('-');
          bits = (~bits + 1) & (~uint64_t{0} >> (64 - width));
        }
        print_unsigned(&t, bits);
        break;
      default: print_unsigned(&t, bits);
    }
    copy_bytes(texts, t.s, t.size);
    y[i] = {texts, t.size};
    texts += t.size;
  }
  return INGOT_RUN_OK;
}

namespace {

bool matches(const char* s, int64_t n, const char* word) {
  for (int64_t k = 0; k < n; ++k) {
    char c = s[k] >= 'A' && s[k] <= 'Z' ? static_cast<char>(s[k] + 32) : s[k];
    if (!word[k] || c != word[k]) return false;
  }
  return word[n] == 0;
}

struct Parsed {
  bool ok = false, negative = false, nan = false, infinite = false;
  Decimal d;
};

Parsed parse(const ingot_string& text) {
  auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  const char *s = text.data, *end = text.data + text.size;
  while (s < end && space(*s)) ++s;
  while (end > s && space(end[-1])) --end;
  Parsed p;
  if (s < end && (*s == '-' || *s == '+')) p.negative = *s++ == '-';
  p.nan = matches(s, end - s, "nan");
  p.infinite = matches(s, end - s, "inf") || matches(s, end - s, "infinity");
  if (p.nan || p.infinite) {
    p.ok = true;
    return p;
  }
  bool digits = false, point = false;
  for (; s < end && ((*s >= '0' && *s <= '9') || (*s == '.' && !point)); ++s) {
    if (*s == '.') {
      point = true;
      continue;
    }
    digits = true;
    p.d.append(*s - '0');
    if (!point && p.d.point < 1000000) ++p.d.point;
  }
  if (s < end && digits && (*s == 'e' || *s == 'E')) {
    ++s;
    bool down = s < end && *s == '-';
    if (s < end && (*s == '-' || *s == '+')) ++s;
    int e = 0;
    digits = s < end;
    for (; s < end && *s >= '0' && *s <= '9'; ++s) {
      if (e < 100000) e = e * 10 + (*s - '0');
    }
    p.d.point += down ? -e : e;
  }
  p.d.trim();
  p.ok = digits && s == end;
  return p;
}

}  // namespace

// Operand: strings; result: f32, f64, i64 or u64 of the same shape. Integers truncate and saturate.
extern "C" int32_t ingot_alg_string_to_number(const ingot_call* call) {
  const ingot_tensor_view &x = call->operands[0], &y = call->results[0];
  int64_t n = elements(x);
  for (int64_t i = 0; i < n; ++i) {
    Parsed p = parse(static_cast<const ingot_string*>(x.data)[i]);
    if (!p.ok) return bad_value(call, i);
    if (y.dtype == INGOT_F32 || y.dtype == INGOT_F64) {
      bool narrow = y.dtype == INGOT_F32;
      uint64_t infinity = narrow ? 0x7f800000 : 0x7ff0000000000000;
      uint64_t bits = p.nan        ? infinity | infinity >> 1
                      : p.infinite ? infinity
                                   : to_bits(p.d, narrow ? kBinary32 : kBinary64);
      if (p.negative) bits |= uint64_t{1} << (narrow ? 31 : 63);
      if (narrow) static_cast<uint32_t*>(y.data)[i] = static_cast<uint32_t>(bits);
      else static_cast<uint64_t*>(y.data)[i] = bits;
      continue;
    }
    bool is_signed = y.dtype == INGOT_I64;
    uint64_t most = !is_signed ? ~uint64_t{0} : p.negative ? uint64_t{1} << 63 : INT64_MAX;
    uint64_t v = 0;
    for (int k = 0; k < p.d.point && !p.infinite; ++k) {
      uint64_t digit = k < p.d.count ? p.d.digit[k] : 0;
      if (v > (most - digit) / 10) {
        v = most;
        break;
      }
      v = v * 10 + digit;
    }
    if (p.infinite) v = most;
    if (p.nan || (p.negative && !is_signed)) v = 0;
    static_cast<uint64_t*>(y.data)[i] = p.negative ? ~v + 1 : v;
  }
  return INGOT_RUN_OK;
}
