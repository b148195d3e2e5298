// A stage as a loop nest: iterators in the order of the result's storage, accesses as flat offsets where they are plain
// (unchecked, no data in the index), neighbouring iterators merged where every access walks them as one.
//
// In the body, a plain read is a Load whose `id` is the value and whose `dim` is the offset; others stay reads. One that is
// not known to lie inside its value is `checked`: under a select it is made only where it is taken.
#pragma once

#include "passes/schedule/kernel_builder.h"

namespace ingot {

using k::Combiner;

struct Nest {
  k::StageKind kind = k::StageKind::Map;
  Combiner combiner = Combiner::Sum;
  std::vector<k::Iter> iters;  // outermost first
  std::vector<k::Iter> reds;
  std::vector<Expr> body;
  struct Result {
    int value;
    Dim offset;
  };
  std::vector<Result> results;
  std::vector<Expr> extra;  // follows every change of the iterators, and forbids none
  int node = -1;
};

// Where an index of a map or reduction lies in its results. A piece of a stage says so by `targets`.
std::vector<Dim> target_index(const k::Stage&);

Nest make_nest(const k::Stage&, const Storages&);
// Plain reads become loads at flat offsets; so do checked ones that the border of their value covers.
Expr flatten_reads(const Expr&, const k::Stage&, const Storages&);
// Merges adjacent iterators from `first` on, and reduced ones.
void collapse(Nest&, size_t first);
void substitute(Nest&, const Substitution&);
// i -> hi*D + lo where an access contains i div D (of at least `least`): a group, a shuffle, a flattened operand.
void split_divided(Nest&, std::vector<k::Iter> Nest::* list, int64_t least);
Dim elements(const std::vector<k::Iter>&);

// Calls f for every Dim in the nest's body and results: offset of a plain load or store (true), anything else (false).
void for_each_dim(const Nest&, const std::function<void(const Dim&, bool is_offset)>& f);

// The stage cut at the thresholds of its selects and checked reads (concat, pad), so that each piece needs none.
std::vector<k::Stage> split_domain(const k::Stage&, const k::Program&);

// For profiles: bytes of these values, each counted once, and no more of one than `accesses` elements; 0 where that is no
// short expression of the model's extents.
Dim bytes_of(const std::vector<int>& values, const Storages&, const std::optional<Dim>& accesses = {});

// Scalar operations per index of the body, for the cost of a work item.
int64_t body_cost(const Nest&);

Expr neutral(Combiner, DType);
Expr combine(Combiner, Expr acc, Expr value);

// How many outer iterators the grid may take: the rest is for lanes, and for neighbours that share loads.
size_t most_shared(const Nest&);
// Stages that share their `prefix` outermost iterators and hand rows to each other, as one kernel.
Launch schedule_rows(const std::vector<Nest>&, size_t prefix, const k::Program&, const Storages&, const TargetFacts&);
// One nest of its own.
Launch schedule_single(Nest, const k::Program&, const Storages&, const TargetFacts&);

}  // namespace ingot
