// The contraction: C[m,n] += sum k: A(m,k) * B(k,n), addressed by strides. Serves MatMul, Gemm, convolution of any rank,
// stride, dilation and group, Einsum and attention scores. See contraction.cpp.
#pragma once

#include "passes/schedule/product.h"

namespace ingot {

// none: this stage has no such form, and takes the generic schedule. May add values (packed operands) to the program.
// `small`: constants are packed in as few bytes as they have.
Result<std::optional<std::vector<Launch>>> schedule_contraction(Product, k::Program&, Storages&, const TargetFacts&,
                                                                bool small);

// The stage without a result that would pack a constant B; none: it is not packed.
std::optional<k::Stage> packing_of_constant(Product, k::Program&, Storages&, const TargetFacts&, bool small);

}  // namespace ingot
