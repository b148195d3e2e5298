#pragma once

#include "ir/expr.h"

namespace ingot {

// An index as the model wrote it, for messages: where a definition counts a negative one from the end (wrap_index in
// ir/ops/common.h), what it counts; else the index itself.
inline Expr before_wrapping(const Expr& index) {
  if (!index.is(ScalarOp::Select) || !index->args[0].is(ScalarOp::Lt) || !index->args[1].is(ScalarOp::Add))
    return index;
  const Expr& at = index->args[2];
  return equal(index->args[0]->args[0], at) && equal(index->args[1]->args[0], at) ? at : index;
}
inline bool wraps(const Expr& index) { return before_wrapping(index).get() != index.get(); }

}  // namespace ingot
