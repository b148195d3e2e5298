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
  if (x.rank() != 1 && !(x.rank() == 2 && x.dim(0).is(1))) {
    return invalid("input has type {}, expected [n] or [1, n]", x.type().str());
  }
  std::string action = d.str("case_change_action", "NONE");
  int64_t change = action == "LOWER" ? 1 : action == "UPPER" ? 2 : action == "NONE" ? 0 : -1;
  if (change < 0) return invalid("case_change_action is '{}', expected 'LOWER', 'UPPER' or 'NONE'", action);
  Symbol n = d.unknown_dim(0, max(x.dims().back(), 1));
  Dims dims = replaced(x.dims(), x.rank() - 1, Dim(n));
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

}  // namespace ingot
