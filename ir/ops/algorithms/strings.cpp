// Strings: string_table, string_concat, string_equal, string_split, string_normalizer. Texts are UTF-8; results point into the
// operands where they can, else into memory of the context.
#include "ir/ops/algorithms/support.h"
#include "ir/ops/algorithms/unicode.h"

using namespace ingot_alg;

namespace {

const ingot_string* strings_of(const ingot_tensor_view& t) { return static_cast<const ingot_string*>(t.data); }

}  // namespace

// operands: u8, where each of n strings begins and the last one ends (n + 1 times i64, from the first character), then the
// characters -> the strings [n]
extern "C" int32_t ingot_alg_string_table(const ingot_call* call) {
  const int64_t n = elements(call->results[0]);
  auto* begin = static_cast<const int64_t*>(call->operands[0].data);
  auto* text = reinterpret_cast<const char*>(begin + n + 1);
  auto* y = result<ingot_string>(call, 0, n);
  if (!y) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) y[i] = {text + begin[i], begin[i + 1] - begin[i]};
  return INGOT_RUN_OK;
}

extern "C" int32_t ingot_alg_string_concat(const ingot_call* call) {
  const ingot_string *a = strings_of(call->operands[0]), *b = strings_of(call->operands[1]);
  int64_t n = elements(call->operands[0]), total = 0;
  for (int64_t i = 0; i < n; ++i) total += a[i].size + b[i].size;
  auto* y = result<ingot_string>(call, 0, n);
  char* text = allocate<char>(call, total);
  if (!y || !text) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    y[i] = {text, a[i].size + b[i].size};
    copy_bytes(text, a[i].data, a[i].size);
    copy_bytes(text + a[i].size, b[i].data, b[i].size);
    text += y[i].size;
  }
  return INGOT_RUN_OK;
}

extern "C" int32_t ingot_alg_string_equal(const ingot_call* call) {
  const ingot_string *a = strings_of(call->operands[0]), *b = strings_of(call->operands[1]);
  int64_t n = elements(call->operands[0]);
  auto* y = result<uint8_t>(call, 0, n);
  if (!y) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) y[i] = compare_bytes(a[i], b[i]) == 0;
  return INGOT_RUN_OK;
}

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Calls part(begin, end) for each part of `s`, at most limit + 1 of them (limit < 0: any number).
template <class Part>
void split(const ingot_string& s, const ingot_string& delimiter, int64_t limit, Part part) {
  int64_t begin = 0, done = 0;
  if (delimiter.size == 0) {
    while (begin < s.size) {
      while (begin < s.size && is_space(s.data[begin])) ++begin;
      if (begin == s.size) return;
      int64_t end = begin;
      if (limit >= 0 && done == limit) {  // the rest, without the white space around it
        end = s.size;
        while (end > begin && is_space(s.data[end - 1])) --end;
        part(begin, end);
        return;
      }
      while (end < s.size && !is_space(s.data[end])) ++end;
      part(begin, end);
      ++done;
      begin = end;
    }
    return;
  }
  for (int64_t at = 0; at + delimiter.size <= s.size && (limit < 0 || done < limit);) {
    if (compare_bytes({s.data + at, delimiter.size}, delimiter) != 0) {
      ++at;
      continue;
    }
    part(begin, at);
    ++done;
    at += delimiter.size;
    begin = at;
  }
  part(begin, s.size);
}

}  // namespace

// ints: maxsplit (-1: none); strings: delimiter (empty: white space). Results [..., n] and counts [...]; symbol n.
extern "C" int32_t ingot_alg_string_split(const ingot_call* call) {
  const ingot_tensor_view& x = call->operands[0];
  int64_t n = elements(x), widest = 0;
  auto* counts = result<int64_t>(call, 1, n);
  if (!counts) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    int64_t count = 0;
    split(strings_of(x)[i], call->strings[0], call->ints[0], [&](int64_t, int64_t) { ++count; });
    counts[i] = count;
    if (count > widest) widest = count;
  }
  call->symbols[0] = widest;
  for (int32_t d = 0; d < x.rank; ++d) {
    set_shape(call, 0, d, x.shape[d]);
    set_shape(call, 1, d, x.shape[d]);
  }
  set_shape(call, 0, x.rank, widest);
  if (widest > 0 && n > INT64_MAX / 32 / widest) return no_memory(call);
  auto* y = result<ingot_string>(call, 0, n * widest);
  if (!y) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    const ingot_string& s = strings_of(x)[i];
    ingot_string* to = y + i * widest;
    for (int64_t k = 0; k < widest; ++k) to[k] = {s.data, 0};
    split(s, call->strings[0], call->ints[0],
          [&](int64_t begin, int64_t end) { *to++ = {s.data + begin, end - begin}; });
  }
  return INGOT_RUN_OK;
}

namespace {

// The string in lower or upper case; a mapping never needs more than twice the bytes.
ingot_string in_case(const ingot_call* call, const ingot_string& s, int64_t change, bool* failed) {
  if (change == 0) return s;
  char* text = allocate<char>(call, s.size * 2);
  if (!text) {
    *failed = true;
    return s;
  }
  int64_t size = 0;
  for (int64_t at = 0; at < s.size;) {
    int64_t begin = at;
    int32_t c = decode_utf8(s, &at);
    int32_t mapped = change == 1 ? to_lower(c) : to_upper(c);
    if (mapped == c) {
      copy_bytes(text + size, s.data + begin, at - begin);
      size += at - begin;
    } else {
      size += encode_utf8(mapped, text + size);
    }
  }
  return {text, size};
}

}  // namespace

// ints: 0 none, 1 lower, 2 upper; whether stop words are case sensitive; strings: the stop words. Result [n] or [1, n];
// symbol n.
extern "C" int32_t ingot_alg_string_normalizer(const ingot_call* call) {
  const ingot_tensor_view& x = call->operands[0];
  int64_t n = elements(x), kept = 0, change = call->ints[0];
  bool sensitive = call->ints[1] != 0, failed = false;
  auto* y = allocate<ingot_string>(call, n + 1);
  auto* stops = allocate<ingot_string>(call, call->string_count);
  if (!y || !stops) return no_memory(call);
  for (int32_t k = 0; k < call->string_count; ++k) {
    stops[k] = sensitive ? call->strings[k] : in_case(call, call->strings[k], 1, &failed);
  }
  for (int64_t i = 0; i < n && !failed; ++i) {
    const ingot_string& s = strings_of(x)[i];
    ingot_string compared = sensitive ? s : in_case(call, s, 1, &failed);
    bool stop = false;
    for (int32_t k = 0; k < call->string_count && !stop; ++k) stop = compare_bytes(compared, stops[k]) == 0;
    if (!stop) y[kept++] = in_case(call, s, change, &failed);
  }
  if (failed) return no_memory(call);
  if (kept == 0) y[kept++] = {"", 0};
  call->symbols[0] = kept;
  if (x.rank == 2) set_shape(call, 0, 0, 1);
  set_shape(call, 0, x.rank - 1, kept);
  auto* to = result<ingot_string>(call, 0, kept);
  if (!to) return no_memory(call);
  for (int64_t i = 0; i < kept; ++i) to[i] = y[i];
  return INGOT_RUN_OK;
}
