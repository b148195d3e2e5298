// What the file says of a model beside its code: inputs and outputs, symbols, the kernels of each image.
#pragma once

#include "ir/graph/graph.h"
#include "ir/loops/loops.h"
#include "runtime/writer.h"

namespace ingot {

// `value`: of the inferred graph, since loops know tensors only.
ModelFile::Port port_of(const Value& value);
std::vector<ModelFile::Symbol> symbol_table(const Graph&);  // of the inputs
// The kernels of a program, then the algorithms that it calls, as a file lists them.
std::vector<ModelFile::Kernel> kernel_table(const l::Program&);

}  // namespace ingot
