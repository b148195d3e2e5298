// A sum of products, taken apart for the schedules that compute it: a nest over the final result (that of the epilogue, where
// there is one), and what each iterator is to the operands.
//
//   y[batch, rows, columns] = epilogue(sum over reds of A[batch, rows, reds] * B[batch, reds, columns])
#pragma once

#include "passes/schedule/nest.h"

namespace ingot {

struct Product {
  struct Role {
    k::Iter iter;
    bool in_a = false, in_b = false;
    bool bound = false;  // the kernel around this one has bound it
  };

  Nest nest;  // body: {A, [B unless constant]}, each one load under casts; extra: {B as reads, [epilogue]}
  DType type = DType::Invalid;  // of the sums
  int sums = -1, result = -1;  // the reduction's value, and that of the epilogue (or again the sums)
  bool constant_b = false;  // B reads constants only, and may be any expression of them
  Expr a_read;  // A as the stage reads it
  std::vector<k::Iter> rows, columns;  // of A and the result; of B and the result
  std::vector<Role> batch;  // of both, or of the result alone

  const Expr& b() const { return constant_b ? nest.extra[0] : nest.body[1]; }
  bool has_epilogue() const { return result != sums; }
  const Expr& epilogue() const { return nest.extra[1]; }
};

// A map that is applied to the sums before they are stored. It reads `sum` at its own index, up to a permutation.
bool can_be_epilogue(const k::Stage& map, const k::Stage& reduce);

// What such a map computes: reads of other values as loads at flat offsets; those of `sums` stay, to be found again.
Expr flatten_epilogue(const k::Stage& map, int sums, const Storages&);
// Whether a map reads every one of the sums at its own index, dim by dim.
bool reads_in_place(const k::Stage& map, const k::Stage& reduce);

// none: an operand is no plain access, or an iterator moves it other than linearly. `bound`: iterators of a loop around the
// stages, which are part of it.
std::optional<Product> find_product(const k::Stage& reduce, const k::Stage* epilogue, const k::Program&,
                                    const Storages&, const std::vector<k::Iter>& bound = {});

// Rows of a register tile whose factors are lanes of vectors of A, one vector per row: rows*vectors + rows + vectors registers.
int64_t rows_by_lane(int64_t vectors, const TargetFacts&);

// The share of cycles in which a register tile begins a multiply-add on every port: by its independent sums, and by its loads.
// `loads`: per step of the reduction. `useful`: the share of its lanes that are stored.
double issue_share(const TargetFacts&, int64_t rows, int64_t vectors, double loads, double useful);

// The column iterator that lies along the result; the others become batches. There is at least one.
k::Iter take_column(Product&);

// A kernel that computes an operand in the order in which tiles read it; `packing` names the value that holds it.
Launch pack_at_run_time(const k::Stage& packing, const k::Program&, const Storages&, const TargetFacts&);

// The one load under casts, or null.
const ExprNode* only_load(const Expr&);
// Whether a lowered or unlowered access in e moves with s.
bool depends(const Expr& e, const Symbol& s);

}  // namespace ingot
