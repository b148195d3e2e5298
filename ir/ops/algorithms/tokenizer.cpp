// Tokenizer: operand strings [C] or [N, C]; ints: mode (0 separators, 1 matches, 2 single characters), the fewest characters of
// a token, whether rows are marked; strings: the padding, then the expressions. Result [..., D]; symbol D. An expression outside
// the syntax of regex.h fails the run.
#include "ir/ops/algorithms/regex.h"

using namespace ingot_alg;

namespace {

int64_t characters(const ingot_string& s) {
  int64_t n = 0;
  for (int64_t at = 0; at < s.size; ++n) decode_utf8(s, &at);
  return n;
}

// The tokens of one string after another.
struct Tokens {
  ingot_string* items;
  int64_t count = 0;
  int64_t least;
  void add(const ingot_string& text, int64_t begin, int64_t end) {
    ingot_string token{text.data + begin, end - begin};
    if (characters(token) >= least) items[count++] = token;
  }
};

// Calls found(begin, end) for the matches in order; behind an empty one, the search goes on at the next character.
template <class Found>
void search(Regex& regex, const ingot_string& text, int32_t* work, Found found) {
  int64_t at = 0, begin = 0, end = 0;
  while (regex.find(text, at, work, &begin, &end)) {
    found(begin, end);
    at = end;
    if (begin < end) continue;
    if (at >= text.size) return;
    decode_utf8(text, &at);
  }
}

}  // namespace

extern "C" int32_t ingot_alg_tokenizer(const ingot_call* call) {
  const ingot_tensor_view& x = call->operands[0];
  const auto* strings = static_cast<const ingot_string*>(x.data);
  const int64_t n = elements(x), mode = call->ints[0], least = call->ints[1];
  const bool mark = call->ints[2] != 0;
  const int32_t patterns = call->string_count - 1;
  int64_t bytes = 0, longest = 0;
  for (int64_t i = 0; i < n; ++i) {
    bytes += strings[i].size;
    if (strings[i].size > longest) longest = strings[i].size;
  }
  // A string of b bytes has at most b tokens.
  auto* all = allocate<ingot_string>(call, bytes);
  auto* pieces = allocate<ingot_string>(call, longest + 1);
  auto* next = allocate<ingot_string>(call, longest + 1);
  auto* counts = allocate<int64_t>(call, n);
  auto* nodes = allocate<RegexNode>(call, int64_t{kMaxRegexNodes});
  if (!all || !pieces || !next || !counts || !nodes) return no_memory(call);
  Tokens tokens{all, 0, least};
  int32_t* work = nullptr;
  int64_t widest = 0;
  if (mode == 2) {
    for (int64_t i = 0; i < n; ++i) {
      counts[i] = -tokens.count;
      for (int64_t at = 0; at < strings[i].size;) {
        const int64_t begin = at;
        decode_utf8(strings[i], &at);
        tokens.add(strings[i], begin, at < strings[i].size ? at : strings[i].size);
      }
      counts[i] += tokens.count;
    }
  } else {
    work = allocate<int32_t>(call, int64_t{3} * kMaxRegexNodes);
    if (!work) return no_memory(call);
    // Pattern by pattern over all strings would need all pieces at once; compiling again for each string costs little.
    for (int64_t i = 0; i < n; ++i) {
      if (cancelled(call)) return INGOT_RUN_CANCELLED;
      counts[i] = -tokens.count;
      int64_t count = 1;
      pieces[0] = strings[i];
      for (int32_t p = 0; p < patterns; ++p) {
        Regex regex(call->strings[1 + p], nodes);
        if (!regex.compile()) return bad_value(call, p);
        Tokens made{next, 0, least};
        for (int64_t k = 0; k < count; ++k) {
          const ingot_string text = pieces[k];
          if (mode == 1) {
            search(regex, text, work, [&](int64_t begin, int64_t end) { made.add(text, begin, end); });
          } else {
            int64_t from = 0;
            search(regex, text, work, [&](int64_t begin, int64_t end) {
              made.add(text, from, begin);
              from = end;
            });
            made.add(text, from, text.size);
          }
        }
        count = made.count;
        ingot_string* t = pieces;
        pieces = next;
        next = t;
      }
      for (int64_t k = 0; k < count; ++k) tokens.items[tokens.count++] = pieces[k];
      counts[i] += tokens.count;
    }
  }
  for (int64_t i = 0; i < n; ++i)
    if (counts[i] > widest) widest = counts[i];
  if (mark && widest > 0) widest += 2;
  call->symbols[0] = widest;
  for (int32_t d = 0; d < x.rank; ++d) set_shape(call, 0, d, x.shape[d]);
  set_shape(call, 0, x.rank, widest);
  if (widest > 0 && n > INT64_MAX / 32 / widest) return no_memory(call);
  auto* y = result<ingot_string>(call, 0, n * widest);
  if (!y) return no_memory(call);
  const ingot_string* from = all;
  for (int64_t i = 0; i < n; ++i) {
    if (widest == 0) break;  // marks only where there is a token at all, as ONNX Runtime does
    ingot_string *to = y + i * widest, *end = to + widest;
    if (mark) *to++ = {"\x02", 1};
    for (int64_t k = 0; k < counts[i]; ++k) *to++ = *from++;
    if (mark) *to++ = {"\x03", 1};
    while (to < end) *to++ = call->strings[0];
  }
  return INGOT_RUN_OK;
}
