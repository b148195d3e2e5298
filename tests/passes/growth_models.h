// Models of any size, for the growth of what compiling takes (growth_test.cpp).
#pragma once

#include <string>
#include <string_view>

namespace ingot {

// The kinds of models; `n` below is the number asked for.
//   chain          n maps in a row
//   residual       n nodes: x + relu(x), and so on
//   matmuls        n products with weights of their own
//   sum            Sum of n inputs of the model
//   sum-computed   Sum of n values that nodes compute
//   concat         Concat of n values that nodes compute
//   concat-dynamic the same, each of an extent that only the run knows
//   recurrence     a recurrent cell written out for n steps, its states concatenated
//   recurrence-dynamic  the same, with a free batch
//   initializers   n weights that are added
//   outputs        n outputs of the model
std::string growth_model(std::string_view kind, int n);  // an ONNX model; empty where there is no such kind

}  // namespace ingot
