// The reference: evaluates K programs on concrete tensors, on logical indices, without storage or schedule. It folds
// constants, is the oracle that every pass and backend is tested against, and drives `ingot diff`.
//
// Numbers are as ir/types.h says; in detail:
//  * f16 and bf16: each operation in f32, rounded once to the format.
//  * exp, log, sin ... on f32: computed in f64 and rounded to f32.
//  * Reduce and Scan with Sum or Prod over floats: accumulated in f64 in the order of the iterators, rounded once to the
//    body's dtype (a Scan rounds each result, not its accumulator). Integers wrap in the body's dtype.
//  * Scatter with Sum or Prod rounds after each update.
//  * Max, Min: NaN wins. ArgMax, ArgMin: the first (or last) NaN wins. And, Or: logical on bool, bitwise on integers.
//  * The empty Sum is 0, Prod 1, Max the lowest and Min the highest value (-inf, +inf), And true (all ones), Or 0; an empty
//    ArgMax gives (lowest, 0).
//  * Walk stops after `limit` steps even when its condition still holds.
//
// How it is fast enough: a stage's expressions become a list of vector instructions over up to kEvalChunk elements along
// one iterator; reads that are affine in it become a base and a stride. See eval_code.h.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "ir/kernel/program.h"
#include "ir/ops/host_value.h"

namespace ingot {

struct EvaluateOptions {
  int64_t max_bytes = int64_t{16} << 30;  // of the values alive at a time
  double max_seconds = 3600;
  bool keep_all = false;  // do not drop intermediate values after their last use
};

struct Environment {
  std::map<int, HostValue> values;  // value id -> contents; the program's constants need not be in it
  Bindings symbols;  // symbol id -> value
};

// Sets program input `index` (position in program.inputs) and binds the symbols of its dims. An input that contradicts
// its type or earlier bindings is an error.
Result<void> bind_input(const k::Program&, int index, HostValue value, Environment&);

// Runs the stages of program.body; afterwards the environment holds the outputs and the symbols.
Result<void> evaluate(const k::Program&, Environment&, const EvaluateOptions& = {});

// Both together: the outputs for these inputs.
Result<std::vector<HostValue>> run_program(const k::Program&, std::vector<HostValue> inputs,
                                           const EvaluateOptions& = {});

// The tensors, all of one type, along a new first dimension. `element`: their type, for when there are none.
Result<TensorRef> stack_tensors(const std::vector<TensorRef>& parts, const TensorType& element, int64_t max_bytes);

}  // namespace ingot
