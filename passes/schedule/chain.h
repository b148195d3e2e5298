// Tile-and-fuse groups (chains): a sum of products, what follows it row by row, and a second sum of products that reads those
// rows (attention; a depthwise convolution and a pointwise one), as one kernel over row blocks. See chain.cpp.
#pragma once

#include "passes/kernels/passes.h"
#include "passes/schedule/nest.h"

namespace ingot {

// Epilogue fusion: which map is applied to a contraction's sums before they are stored; indices of stages, -1: none.
struct Epilogues {
  std::vector<int> of;  // map -> contraction
  std::vector<int> waits_for;  // contraction -> map
};
Epilogues pair_epilogues(const k::Block&, const Uses&);

struct Chain {
  struct Axis {  // an iterator that every stage of the chain has
    Dim extent;
    bool row = false;  // moves one factor of every product; else a batch of some
    Symbol symbol;  // its value, where the kernel takes one at a time
    enum class Walk : uint8_t { Point, Strip, Whole } walk = Walk::Point;
  };
  std::vector<Axis> axes;  // outermost first
  std::vector<size_t> stages;  // of the block, in order; the last one has the result
  std::vector<std::vector<int>> axis_of;  // per stage and iterator: its axis, or -1
  // Values that only the chain sees, and where they lie: a map of its own index over what it reads.
  std::map<int, int> inner;
  int64_t rows = 0;  // of a row block, at most
  int64_t strip_bytes = 0;  // of the inner values
  double saved = 0;  // bytes of them in all
};

std::vector<Chain> find_chains(const k::Block&, const Uses&, const Epilogues&, const k::Program&, const Storages&,
                               const TargetFacts&);

// The stages of a chain for one row block: of `rows` rows from `begin` on. They read and write each other's blocks, which are new
// values.
struct Strip {
  int64_t rows = 0;
  Symbol begin;
  k::Block stages;
  std::map<int, int> inner;  // value of a row block -> the value of which it is a part
};
Strip strip_of(const Chain&, const k::Block&, int64_t rows, k::Program&, Storages&);

// How many rows the row blocks of a chain have: one number, or the larger one and the smaller.
std::vector<int64_t> strip_rows(const Chain&);

// The row blocks of a chain as one kernel: `launches` are what the schedules made of the stages of each.
struct ScheduledStrip {
  const Strip* strip;
  std::vector<Launch> launches;
};
Launch schedule_chain(const Chain&, const std::vector<ScheduledStrip>&, const k::Program&, const Storages&,
                      const TargetFacts&);

}  // namespace ingot
