// e (any scalar op, any dtype) -> e' (the ops that a printer knows)
//
// Rewrites every expression of an L program so that printers need only: arithmetic, comparisons, select, min and max on
// f32, f64 and integers; bit operations; casts between those types (and f16 <-> f32 where the target has it); sqrt, fma,
// floor, ceil, trunc, round_even; loads, stores, lanes. Scalar functions become branch-free code that works on vectors,
// with the error bounds stated in math.h; the small floats become integer operations; integer division, shifts and the
// untaken side of a select are guarded.
#pragma once

#include "ir/loops/loops.h"
#include "support/result.h"

namespace ingot::l {

struct LegalizeOptions {
  bool has_fma = true;  // without it fma rounds twice
  bool has_f16_convert = false;  // f16 <-> f32 casts are instructions
  bool has_scalb = false;  // on vectors of 128 to 512 bits
  bool has_f16_arithmetic = false;  // fma of f16 is an instruction
};

Result<void> legalize(Program&, const LegalizeOptions&);
Expr legalize(const Expr&, const LegalizeOptions&);

}  // namespace ingot::l
