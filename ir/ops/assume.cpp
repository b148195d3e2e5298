#include "ir/ops/def.h"

namespace ingot {

// condition: bool, one element. Fails the run where it is false: the compiled model was specialised on it.
Result<void> define_assume(Def& d) {
  Dims condition = TRY(d.integers(0, 0, 1));
  if (condition.size() != 1) return invalid("got a condition with {} elements, expected 1", condition.size());
  return d.require(condition[0],
                   "the condition of an If whose branches give different ranks was taken to hold, and does not");
}

}  // namespace ingot
