// Calls of algorithms (runtime/abi.h) on host values. Internal to the interpreter.
#pragma once

#include "ir/ops/eval_stage.h"

namespace ingot::eval {

// Runs the algorithm of a Call stage; binds its symbols. `types`: of the results, in order (kind None: not asked for).
Result<std::vector<HostValue>> run_call(const k::Stage&, const std::vector<HostValue>& operands,
                                        const std::vector<Type>& types, Bindings& symbols, Budget&);

}  // namespace ingot::eval
