// L, the loops: explicit loops, buffers, vectors, registers. One program per image.
//
// A kernel is a loop nest over raw buffers, run for every index of a one-dimensional grid, in any order and in
// parallel. The host program computes extents, places buffers, launches kernels in order and holds the control flow.
// Backends print both; nothing here knows operators.
//
//   kernel conv2d_relu_f32_14x32(x: f32, w: f32 const, b: f32 const, y: f32 out; N) grid t < N*56*4 {
//     for k0 in 0..64 step 32 { ... }
//   }
#pragma once

#include <string>
#include <vector>

#include "ir/expr.h"
#include "support/result.h"

namespace ingot::l {

enum class StmtKind : uint8_t {
  // In kernels and on the host.
  For,        // symbol from begin to end (exclusive) step `step`; unrolled when `unroll`. body
  While,      // while (expr) body
  If,         // expr ? body : otherwise
  Let,        // symbol = expr (i64)
  Declare,    // register `id` of dtype x lanes = expr (absent: undefined)
  Set,        // register `id` = expr
  Store,  // buffer `id` at `offset` (+ index, when data-dependent): expr. Lane l at offset + l*stride. mask optional.
  // A store of f16, bf16 etc. takes a value of that type. Bool is stored as a byte.
  Prefetch,  // buffer `id` at `offset`, into all cache levels; no effect on meaning
  Scratch,  // declares buffer `id`: `elements` of dtype on the stack of this work item, for the enclosing block
  Fail,  // ends the kernel (host: the run) with `code` and up to four `args`
  // On the host only.
  Launch,  // kernel `id` with buffers, scalars, over grid `end`
  Group,  // body: launches, none of which needs another
  Place,  // gives host buffer `id` its memory: see HostBuffer
  Assign,  // object buffer `id` becomes the object of buffers[0]; that of an output is handed to the runtime
  Call,  // algorithm `name`: operands -> results (host buffers with dims), `symbols` get what it decides
  Require,  // fails with `code`, args, message unless dim `begin` is nonzero
};

struct Tensor {  // a host buffer with its shape, for Call
  int buffer = -1;  // -1: absent
  DType dtype = DType::Invalid;
  std::vector<Dim> dims;
};

struct Stmt {
  StmtKind kind;
  Symbol symbol;
  Dim begin, end, offset;
  int64_t step = 1, stride = 1;
  bool unroll = false;
  int64_t id = -1;
  DType dtype = DType::Invalid;
  int lanes = 1;
  int64_t elements = 0;
  Expr expr, index, mask;
  std::vector<Stmt> body, otherwise;
  int32_t code = 0;
  int node = -1;  // index into Program::origins
  std::vector<Expr> args;  // Fail, Require
  std::vector<int> buffers;  // Launch, Assign
  std::vector<Dim> scalars;  // Launch
  int64_t grain = 1;  // Launch: the fewest items that are worth a thread
  int64_t cost = 1;  // Launch: of an item, an estimate in picoseconds; matters in groups
  std::string name, message;
  std::vector<Tensor> operands, results;  // Call
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::vector<std::string> strings;
  std::vector<Symbol> symbols;
};

struct BufferParam {
  int64_t id;  // as in Load and Store; unique in the kernel, Scratch buffers included
  std::string name;
  DType dtype;  // storage element; sub-byte types are addressed as u8
  bool written = false;
  bool constant = false;  // lies in the weights
};

// What people ask of a kernel. Not part of the text form; nothing is compiled from it.
struct KernelNotes {
  std::vector<std::string> operands;  // one per buffer: type, shape, how it lies in memory
  std::vector<int> nodes;  // all whose work it does, the kernel's own first; as indices into Program::origins
  std::string why;  // why this schedule, in its own words
  double issue = 0;  // the share of the cycles in which the inner loop can begin a multiply-add on every
  // unit, all lanes of use; 0: the kernel is no product
};

struct Kernel {
  std::string name;  // says what it is: conv2d_relu_f32_14x32
  std::vector<BufferParam> buffers;  // distinct buffers do not alias where one of them is written, but for in-place
  // maps, which declare one parameter
  std::vector<Symbol> scalars;  // i64 parameters
  Symbol item;  // index into the grid
  std::vector<Stmt> body;
  int node = -1;
  Dim flops, bytes;  // of one launch, in the scalars: for profiles
  int64_t weight_bytes = 0;  // of `bytes`, at most: constants
  std::string schedule;  // "contraction 14x2, K 576, rows outer": for inspect
  KernelNotes notes;
};

// A buffer with dtype Invalid is an object (a sequence, optional or map): Input, Output or Dynamic, without a size. It holds
// the address of an ingot_object, which it gets from Call or Assign; Place does nothing.
struct HostBuffer {
  enum class Kind : uint8_t {
    Arena,  // at `offset` in the arena
    Constant,  // at `offset` in the weights
    Input,  // `index`
    Output,  // `index`; asked for with `dims` when placed
    Dynamic,  // allocated when placed, `size`
    View,  // shares the memory of buffer `index`, `offset` bytes further
  } kind = Kind::Arena;
  std::string name;
  DType dtype = DType::Invalid;
  Dim offset;  // bytes from the arena, the weights or the element with index 0 of the base buffer to this buffer's memory
  Dim size;  // bytes of that memory; of a View those from its element with index 0 on
  Dim origin;  // bytes of that memory before the element with logical index 0, which is where kernels' pointers point
  int index = -1;
  std::vector<Dim> dims;  // Input, Output
};

struct Port {  // an input or output of the model
  std::string name;
  DType dtype;
  std::vector<Dim> dims;  // inputs: a plain symbol binds it; anything else is checked
};

// Where a buffer lies in the arena, and when: numbers of launches, inclusive. Not part of the text form.
struct ArenaSlot {
  int buffer = -1;
  Dim offset, bytes;
  int first = 0, last = 0;
};

struct Program {
  std::string name;
  std::vector<Port> inputs, outputs;
  std::vector<HostBuffer> buffers;  // by id
  std::vector<Kernel> kernels;  // by id
  std::vector<Stmt> host;
  Dim arena_bytes;  // in the symbols of the inputs; each size is checked for overflow
  int64_t arena_lower_bound = -1;  // the most bytes alive at once; -1: depends on the inputs
  std::vector<ArenaSlot> arena_plan;
  std::vector<uint8_t> weights;  // the weights section
  int64_t shared_weights = 0;  // bytes; instead: as large a section of another program, with the same contents
  std::vector<std::string> origins;  // names of the model's nodes
  std::vector<std::string> messages;  // of Require with code INGOT_RUN_CHECK: args[0] is the number
};

std::string str(const Program&);
std::string str(const Kernel&);
// Of the text form (text.cpp). Weights that the text leaves out are zero. The result is not verified.
Result<Program> parse(std::string_view text);
Result<void> verify(const Program&);

}  // namespace ingot::l
