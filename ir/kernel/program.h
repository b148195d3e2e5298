// K, the meaning: a program is an ordered list of stages over logical tensors. No memory, no layout, no order beyond data
// flow; control flow of the model appears as stages with blocks.
//
//   acc[n,k,p,q] = sum(c,r,s) x[n, c, p*2+r-1, q*2+s-1 | 0] * w[k,c,r,s]
//   y[n,k,p,q]   = max(acc[n,k,p,q] + b[k], 0)
//
// A stage defines one value, or a tuple of values over the same index space, elementwise: its iterators name the index
// space (each result has one dim per iterator, in order), its body is a scalar expression whose `Read` leaves access
// other values at index expressions.
#pragma once

#include <string>
#include <vector>

#include "ir/expr.h"
#include "support/result.h"

namespace ingot::k {

struct Value {
  int id = -1;
  std::string name;
  Type type;  // dims are exact, and may contain symbols defined by earlier stages
  TensorRef constant;  // contents, where known at compile time
  std::optional<TensorType> interface;  // of an input or output: how the model declares it, where that is packed
  const TensorType& tensor() const { return type.tensor; }
};

struct Iter {
  Symbol symbol;
  Dim extent;
};

enum class Combiner : uint8_t {
  Sum,
  Prod,
  Max,
  Min,
  And,
  Or,  // results: one
  ArgMaxFirst,
  ArgMaxLast,
  ArgMinFirst,
  ArgMinLast,  // bodies and results: (value, i64 index); ties by name; NaN wins
  Assign,  // scatter only: later updates (row-major order of the iterators) overwrite
};
std::string_view name(Combiner);

enum class StageKind : uint8_t {
  Map,  // r[i] = body
  Reduce,  // r[i] = combine over `reds` of body; the dtype of the body is the accumulation type
  Scan,  // r[i] = combine of body over j <= i along iters[axis] (j < i when exclusive; from the end when reverse)
  Scatter,  // r = operands[0]; then for all iters, in order: r[targets] (combine)= body[0]. Out-of-range targets fail
  // the run, or are skipped where `skip_outside`
  Walk,  // per index: states = init; while (condition) states = body (all at once); results = states.
  // `Local` leaves with id = number of the state. At most `limit` steps.
  Call,  // results = algorithm(operands); `symbols` are extents that it decides, each with an upper bound
  Read,  // symbols[k] = operands[0] at flat element `elements[k]`; fails the run outside the symbol's range
  Check,  // fails the run with `message` (and what it `got`) unless condition_dim is nonzero
  If,  // results = operands[0] (bool, one element) ? blocks[0] : blocks[1]
  Loop,  // ONNX Loop: see below
};
std::string_view name(StageKind);

struct Stage;

struct Block {
  std::vector<int> params;  // values defined by the owner
  std::vector<Stage> stages;
  std::vector<int> outputs;
  std::vector<Dim> symbols;  // what the owner's `symbols` get on leaving the block
};

// Loop: operands = [trip count i64[] or -1, condition bool[] or -1, carried...]
//   blocks[0].params = [iteration i64[], condition bool[], carried...], outputs = [condition bool[], carried..., scanned...]
//   results = [carried..., scanned (one more leading dim: the number of iterations)...]
//   `symbols`, `carried_symbols`: extents that change from one iteration to the next start at symbol_init, take
//   blocks[0].symbols after each, and are carried_symbols inside. Those of a scanned result must not change: that is
//   checked. The last of `symbols` is the number of iterations done, when there are scanned outputs.
struct Stage {
  StageKind kind = StageKind::Map;
  std::vector<Iter> iters;
  std::vector<Iter> reds;  // Reduce
  std::vector<int> results;
  std::vector<Expr> body;
  Combiner combiner = Combiner::Sum;
  int axis = 0;  // Scan
  bool exclusive = false, reverse = false;
  std::vector<int> operands;  // Scatter, Call, Read, If, Loop; -1: absent
  std::vector<Expr> targets;  // Scatter, one per dim of the result
  bool skip_outside = false;
  std::vector<Expr> init;  // Walk
  Expr condition;  // Walk
  int64_t limit = 0;
  std::string algorithm;  // Call: name in ir/ops/algorithms
  std::vector<int64_t> ints;  // Call: its parameters
  std::vector<double> floats;
  std::vector<std::string> strings;
  std::vector<Symbol> symbols;  // Call, Read, If, Loop
  std::vector<int64_t> elements;  // Read
  std::vector<Symbol> carried_symbols;  // Loop
  std::vector<Dim> symbol_init;  // Loop
  Dim condition_dim;  // Check
  std::string message;  // Check
  std::optional<Dim> got;  // Check: `message` is then what was expected of it
  std::vector<Block> blocks;  // If, Loop
  int node = -1;  // index into Program::origins: the model's node that this came from
  std::vector<int>
      fused;  // likewise: nodes whose formulas were written into this one. For people; not in the text form
};

struct Program {
  std::string name;
  std::vector<Value> values;  // by id
  std::vector<int> inputs;  // of the program
  Block body;  // body.outputs are the program's outputs
  std::vector<std::string> origins;

  int add(Value v) {
    v.id = static_cast<int>(values.size());
    values.push_back(std::move(v));
    return values.back().id;
  }
};

std::string str(const Program&, bool elide_long = true);  // the text form; with long constants elided it does not parse
std::string str(const Program&, const Stage&);
Result<void> verify(const Program&);  // ranks, dtypes, definitions before uses

// The values that a stage reads (body, operands, nested blocks), each once, in order of first occurrence.
std::vector<int> reads(const Stage&);

}  // namespace ingot::k
