// RegexFullMatch: operand strings; strings: the pattern; result bool of the same shape. A pattern outside the syntax of
// regex.h fails the run.
#include "ir/ops/algorithms/regex.h"

extern "C" int32_t ingot_alg_regex_full_match(const ingot_call* call) {
  using namespace ingot_alg;
  const ingot_tensor_view& x = call->operands[0];
  int64_t n = elements(x);
  auto* nodes = allocate<RegexNode>(call, kMaxRegexNodes);
  auto* y = result<uint8_t>(call, 0, n);
  if (!nodes || !y) return no_memory(call);
  Regex regex(call->strings[0], nodes);
  if (!regex.compile()) return bad_value(call, 0);
  auto* work = allocate<int32_t>(call, int64_t{3} * regex.size());
  if (!work) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    if (cancelled(call)) return INGOT_RUN_CANCELLED;
    y[i] = regex.matches(static_cast<const ingot_string*>(x.data)[i], work);
  }
  release(call, work);
  release(call, nodes);
  return INGOT_RUN_OK;
}
