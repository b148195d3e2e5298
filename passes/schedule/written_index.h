#pragma once

#include "ir/expr.h"

namespace ingot {

// An index as the model wrote it, where a definition counts a negative one from the end (wrap_index in ir/ops/common.h): for
// messages.
inline Expr before_wrapping(const Expr& index) {
  if (!index.is(ScalarOp::Select) || !index->args[0].is(ScalarOp::Lt)) return index;
  const Expr& at = index->args[2];
  return equal(index->args[0]->args[0], at) ? at : index;
}

}  // namespace ingot
