// The numbers behind ir/types.h, one element at a time: what a value of a dtype looks like in memory, and how it is cast.
//
// Integers and bools travel as int64_t (u64 by bit pattern), floats as double.
#pragma once

#include "ir/types.h"

namespace ingot {

// Element i of packed storage. For integers and bool; for floats (and the real part of complex numbers).
int64_t load_integer(DType, const uint8_t* bytes, int64_t i);
double load_number(DType, const uint8_t* bytes, int64_t i);
void store_integer(DType, uint8_t* bytes, int64_t i, int64_t v);  // wraps
void store_number(DType, uint8_t* bytes, int64_t i, double v, bool saturate = true);

int64_t wrap_to(DType, int64_t v);  // to an integer type or bool (v != 0)
int64_t truncate_to(DType, double v);  // truncates and saturates; NaN gives 0; bool: v != 0
double round_to(DType, double v, bool saturate = true);  // to a float type; f32 and wider never saturate

}  // namespace ingot
