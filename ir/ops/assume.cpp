#include "ir/ops/common.h"

namespace ingot {

// condition: bool, one element. Fails the run with `message` unless it is `expected`: the model is wrong otherwise.
Result<void> define_assume(Def& d) {
  const Dim condition = TRY(ops::integer_input(d, 0, 0, 1));
  return d.require(d.i64("expected", 1) ? condition : Dim(1) - condition,
                   d.str("message", "the condition is not what was expected"));
}

}  // namespace ingot
