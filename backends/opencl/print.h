// The kernels of an L program -> OpenCL C 1.2 source. The host program is not printed here: it is compiled by the LLVM
// backend for a target whose kernels are OpenCL C, and launches these kernels through the runtime (runtime/opencl.c).
//
// The program must be scalar (scheduled for TargetFacts::Device::OpenCl) and legalised without f16 conversions. One
// work-item runs one item of the grid. A kernel that fails writes its report to `status`, if it is the first.
#pragma once

#include <string>

#include "ir/loops/loops.h"
#include "support/result.h"

namespace ingot::opencl {

// The whole source. It begins with a table for the runtime, one line per kernel of the program: "// INDEX FUNCTION
// BUFFERS SCALARS". Kernels that mean the same share a function.
Result<std::string> print(const l::Program&);

// The functions that kernels use, and one kernel: for inspection and tests.
Result<std::string> print_kernel(const l::Kernel&, const std::string& function);

}  // namespace ingot::opencl
