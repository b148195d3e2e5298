// Where the elements of a value lie: an injection from logical indices to offsets. A property of the value, never of a
// formula; changing it changes no definition.
//
//   row-major f32[N,C,H,W]:        order 0 1 2 3
//   channels last with a border:   order 0 2 3 1, one extra row and column of `fill` around H and W
//
// Offsets count elements from the element with logical index 0, which is where kernels' pointers point.
#pragma once

#include <optional>
#include <vector>

#include "ir/kernel/program.h"

namespace ingot {

inline constexpr int64_t kCacheLine = 64;  // bytes

struct Storage {
  DType dtype = DType::Invalid;       // of a stored element: 2- and 4-bit types take a byte each
  std::vector<Dim> dims;              // logical extents
  std::vector<int> order;             // dims from the outermost to the innermost
  std::vector<int64_t> before, after; // border, per dim
  Expr fill;                          // what the border holds; null without a border
  std::vector<Dim> strides;           // elements, per dim
  Dim origin;                         // offset of index 0 from the start of the allocation
  Dim elements;                       // of the allocation; of a window its own
  int whole = -1;                     // of a window: the value it lies in (windows.h), which is no window itself
  Dim start;                          // of a window: where its index 0 lies, from that of the whole
  std::vector<Dim> at;                // the same as an index
  // Of a constant that lies as a contraction reads it (one_form.cpp): where split[d] > 0, index i of dim d is i / split[d] steps
  // of outer[d] and i % split[d] of strides[d].
  std::vector<int64_t> split;
  std::vector<Dim> outer;
  TensorRef contents;  // in this order

  Dim offset_along(size_t dim, const Dim& index) const;

  Dim offset(const std::vector<Dim>& index) const;
  bool has_border() const { return static_cast<bool>(fill); }
  bool row_major() const;
  bool same_places(const Storage&) const;  // of all elements
};

DType storage_dtype(DType);
Storage make_storage(const TensorType&, std::vector<int> order, std::vector<int64_t> before, std::vector<int64_t> after,
                     Expr fill);
Storage row_major(const TensorType&);

// Values of our own that contractions read as rows, and the elements that lie between their rows so that a cache holds them.
std::vector<bool> rows_of_contractions(const k::Program&);
int64_t gap_between_rows(const TensorType&, const std::vector<int>& order);

// Whether a checked read never leaves the value and its border, and the border holds the read's fill.
bool border_covers(const ExprNode& read, const k::Stage&, const Storage&);

// Storage of every value of a program, and the stages that the choice needed (copies into a border, or into the order
// that an output must have).
using Storages = std::vector<Storage>;  // by value id; non-tensors have dtype Invalid
Storages choose_storage(k::Program&);
// Of a part of a value: the same order, no border; rows that a contraction may read lie as far apart as it wants them.
Storage storage_like(const TensorType&, const Storage&);
// A new value that a schedule needs, row-major.
int add_value(k::Program&, Storages&, std::string name, TensorType);

}  // namespace ingot
