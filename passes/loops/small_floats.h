// Casts to and from the floats of at most 16 bits, as integer operations, bit-equal to ir/small_float.h.
#pragma once

#include "passes/loops/build.h"

namespace ingot::l {

bool is_small_float(DType);
DType code_type(DType);                       // the integer type that holds its bits: i16 or i8
V decode_small(const V& x);                   // -> f32, exact
V encode_small(const V& f32, DType to, bool saturate);  // rounds to nearest even
// f64 -> f32 rounded to odd: rounding the result once more gives what one rounding would have given.
V to_odd_f32(const V& f64);

}  // namespace ingot::l
