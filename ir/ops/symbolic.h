// Contents of small integer tensors as expressions of dims, derived from the definitions of the operators.
//
// Shape -> Gather -> Mul -> Concat -> Reshape is how exported models compute shapes. Each of these ops is a K definition
// like any other; evaluating its body with Dims in place of numbers gives the contents of its result in terms of the
// model's dims, so no operator needs a second definition for shape inference.
//
// Numbers that pass through a float (shape -> f32, times 2.0, floor, -> i64, as Resize graphs do) are followed exactly as
// rationals num / den with a small constant den. This takes extents that go through f32 to be below 2^22.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/kernel/program.h"

namespace ingot {

using KnownElements = std::map<int, std::vector<Dim>>;  // value id -> contents, row-major

// The contents of `value`, an integer or bool value with constant dims and at most kMaxSymbolicElements elements, from
// the stages of `block` (Map, Reduce, Scan, Scatter), the constants of the program and `known`. none: not expressible.
std::optional<std::vector<Dim>> symbolic_elements(const k::Program&, const k::Block& block, int value,
                                                  const KnownElements& known = {});
inline std::optional<std::vector<Dim>> symbolic_elements(const k::Program& p, int value,
                                                         const KnownElements& known = {}) {
  return symbolic_elements(p, p.body, value, known);
}

}  // namespace ingot
