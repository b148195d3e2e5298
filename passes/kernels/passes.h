// Passes over K. Each is a function from a program to a program, run by the pipeline in the order below.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "ir/kernel/program.h"
#include "ir/ops/evaluate.h"
#include "passes/target_facts.h"

namespace ingot {

// 2- and 4-bit elements take a byte each inside the program; inputs are unpacked, outputs packed.
void expand_sub_byte(k::Program&);
// Products of dequantised 8-bit values are summed as integers.
Result<void> sum_integers(k::Program&);
// Evaluates stages whose operands are all constants.
Result<void> fold_constants(k::Program&);
// Slices of a constant factor that are all zero are left out of its sum.
Result<void> drop_zero_taps(k::Program&);
// Softmax divides a row by one number: a reciprocal, and products.
void invert_divisors(k::Program&);
// y[i] = x[i] -> y is x. Removes stages that nobody reads.
void remove_copies_and_dead(k::Program&);
// f16 and bf16 values that stay inside of a program are kept as f32.
void widen_half(k::Program&);
// y[i] = f(x[g(i)]), x[j] = h(j) -> y[i] = f(h(g(i))), where that costs less than storing x.
void inline_maps(k::Program&);
// Saturation and rounding to 8 bits in the fewest operations.
Result<void> simplify_rounding(k::Program&);
// A value that is read as [i*E + j] gets the dims of its readers.
void unflatten(k::Program&);

// What f32 sums of products may be lowered to, where the target gains by it.
struct Precision {
  DType type = DType::F32;  // bf16 or f16; f32: nothing is lowered
  bool logits = false;      // the last sums before an output, too
  std::set<int> kept_for_winograd;  // results of sums that another algorithm makes cheaper
};
struct PrecisionSummary {
  DType type = DType::F32;
  std::string how;                      // "AMX"
  int64_t sums = 0;                     // f32 sums of products before
  int64_t lowered = 0, weights = 0;     // both operands in 16 bits; the constant one
  std::map<std::string, int64_t> kept;  // in f32, by the reason
  std::string text() const;             // "50 sums of products: 48 in bf16 (AMX), 2 in f32 (2 logits)"
};
// Operands of f32 sums of products become bf16 or f16; the sums stay f32. For one target, after all passes above.
PrecisionSummary lower_precision(k::Program&, const TargetFacts&, const Precision&);

// Refuses a program with an extent that is not known when its stage runs.
Result<void> check_symbols(k::Program&);

// Every stage, also of nested blocks; an owner before its blocks.
void for_each_stage(const k::Block&, const std::function<void(const k::Stage&)>&);

// How often each value is read, by how many stages; outputs of blocks count as a reader.
struct Uses {
  std::vector<int> stages;      // by value id: stages that read it in their bodies
  std::vector<bool> escapes;    // needed in memory: block outputs, operands of calls, scatters and control flow
};
Uses count_uses(const k::Program&);
Uses count_uses(const k::Program&, const k::Block&);  // by this block alone

// The results of a stage that reads constants only. A map or reduction need not name its result.
Result<std::vector<TensorRef>> evaluate_stage(k::Stage, const k::Program&);

// to[i] = f(from[i]); from itself without f.
k::Stage elementwise(const k::Program&, int from, int to, const std::function<Expr(Expr)>& f = {});

// What the stage and its blocks read, under other ids.
using Renaming = std::function<int(int value)>;
void rename_reads(k::Stage&, const Renaming&);

// sum over `reds` of a product of two reads (with casts) that is reused: MatMul, Gemm, convolution, Einsum.
bool is_contraction(const k::Stage&);

}  // namespace ingot
