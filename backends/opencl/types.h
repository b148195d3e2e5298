// How L's types lie in OpenCL C: values in registers and elements in memory.
#pragma once

#include <string>

#include "ir/expr.h"

namespace ingot::opencl {

// Of a value: bool is int; f16, bf16 and the 8-bit floats are their bits. Empty: no such value.
const char* value_type(DType);
// Of an element: as the value, but bool is a byte.
const char* memory_type(DType);
// The unsigned type that integers of this type compute in, since signed overflow has no meaning in C.
const char* wrapping_type(DType);
// A Const node as a literal.
std::string literal(const ExprNode&);
std::string literal(int64_t);

}  // namespace ingot::opencl
