// Operations on strings, each a call to ir/ops/algorithms/strings.cpp.
#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

Result<void> expect_strings(const Def& d, int count) {
  TRY(expect_tensors(d, count));
  for (int i = 0; i < count; ++i) {
    if (d.dtype(i) != DType::String)
      return invalid("input {} has element type {}, expected string", i, name(d.dtype(i)));
  }
  return {};
}

}  // namespace

// StringConcat-20. a, b: strings -> their concatenations, with broadcasting.
Result<void> define_string_concat(Def& d) {
  TRY(expect_strings(d, 2));
  Dims dims = TRY(d.broadcast_dims(d.in(0).dims(), d.in(1).dims()));
  d.out(d.call("string_concat", {expanded(d, d.in(0), dims), expanded(d, d.in(1), dims)}, {{DType::String, dims}})[0]);
  return {};
}

// The most parts that one string may be split into.
constexpr int64_t kMaxStringParts = int64_t{1} << 31;

// StringSplit-20. x: strings [...] -> the parts [..., n], filled up with empty strings, and their numbers [...].
// Without a delimiter, runs of white space separate.
Result<void> define_string_split(Def& d) {
  TRY(expect_strings(d, 1));
  Tensor x = d.in(0);
  Symbol n = d.unknown_dim(0, kMaxStringParts);
  Dims parts = x.dims();
  parts.push_back(Dim(n));
  auto y = d.call("string_split", {x}, {{DType::String, parts}, {DType::I64, x.dims()}},
                  {{d.i64("maxsplit", -1)}, {}, {d.str("delimiter", "")}, {n}});
  d.out(y[0]);
  d.out(y[1]);
  return {};
}

// StringNormalizer-10. x: strings [n] or [1, n] -> without the stop words, in lower or upper case; one empty string
// where none is left. Case is that of Unicode's simple mappings for Latin, Greek and Cyrillic letters; `locale` has no
// influence.
Result<void> define_string_normalizer(Def& d) {
  TRY(expect_strings(d, 1));
  Tensor x = d.in(0);
  const std::string wrong = fmt::format("input has type {}, expected [n] or [1, n]", x.type().str());
  if (x.rank() != 1 && x.rank() != 2) return invalid("{}", wrong);
  if (x.rank() == 2) TRY(d.require(equal(x.dim(0), 1), wrong));
  std::string action = d.str("case_change_action", "NONE");
  int64_t change = action == "LOWER" ? 1 : action == "UPPER" ? 2 : action == "NONE" ? 0 : -1;
  if (change < 0) return invalid("case_change_action is '{}', expected 'LOWER', 'UPPER' or 'NONE'", action);
  Symbol n = d.unknown_dim(0, max(x.dims().back(), 1));
  Dims dims = x.rank() == 2 ? Dims{1, Dim(n)} : Dims{Dim(n)};
  d.out(d.call("string_normalizer", {x}, {{DType::String, dims}},
               {{change, d.i64("is_case_sensitive", 0)}, {}, d.strs("stopwords"), {n}})[0]);
  return {};
}

// RegexFullMatch-20. x: strings [...] -> bool [...]: the whole string matches `pattern` (syntax: algorithms/regex.h).
Result<void> define_regex_full_match(Def& d) {
  TRY(expect_strings(d, 1));
  d.out(
      d.call("regex_full_match", {d.in(0)}, {{DType::Bool, d.in(0).dims()}}, {{}, {}, {d.str("pattern", "")}, {}})[0]);
  return {};
}

// Tokenizer (com.microsoft). x: strings [C] or [N, C] -> the tokens [..., D], filled up with pad_value. Separated by
// `separators`, regular expressions one after another, or the matches of `tokenexp`; [""] and "." give single characters.
// Tokens of fewer than mincharnum characters are left out. mark: each row begins with U+0002 and ends with U+0003. Matches are
// the leftmost, and of these the longest.
Result<void> define_tokenizer(Def& d) {
  TRY(expect_strings(d, 1));
  Tensor x = d.in(0);
  if (x.rank() != 1 && x.rank() != 2) return invalid("input has rank {}, expected 1 or 2", x.rank());
  std::vector<std::string> separators = d.strs("separators"), texts{d.str("pad_value", "")};
  const std::string expression = d.str("tokenexp", "");
  if (separators.empty() == expression.empty())
    return invalid("got {} separators and tokenexp '{}', expected one of both", separators.size(), expression);
  const int64_t least = d.i64("mincharnum", 1);
  if (least < 1) return invalid("mincharnum is {}, expected at least 1", least);
  enum : int64_t { kSeparated, kMatched, kCharacters };
  const bool single = (separators.size() == 1 && separators[0].empty()) || expression == ".";
  if (!single) {
    texts.insert(texts.end(), separators.begin(), separators.end());
    if (!expression.empty()) texts.push_back(expression);
  }
  Symbol n = d.unknown_dim(0, kMaxStringParts);
  Dims dims = joined(x.dims(), {Dim(n)});
  const int64_t mode = single ? kCharacters : expression.empty() ? kSeparated : kMatched;
  d.out(d.call("tokenizer", {x}, {{DType::String, dims}}, {{mode, least, d.i64("mark", 0)}, {}, texts, {n}})[0]);
  return {};
}

// MurmurHash3 (com.microsoft): MurmurHash3_x86_32 of the bytes of each element or string -> u32, or i32 where positive is 0.
Result<void> define_murmur_hash3(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  const DType t = x.dtype();
  if (t != DType::String && (!is_arithmetic(t) || bits(t) < 32))
    return invalid("input has element type {}, expected a string or a type of 32 or 64 bits", name(t));
  const DType to = d.i64("positive", 1) != 0 ? DType::U32 : DType::I32;
  d.out(d.call("murmur_hash3", {x}, {{to, x.dims()}}, {{d.i64("seed", 0)}, {}, {}, {}})[0]);
  return {};
}

}  // namespace ingot
