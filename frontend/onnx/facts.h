// What is known of a value while importing: element type and rank, where they follow from the inputs by a simple rule.
//
// Importing comes before inference, but a few operators of old operator sets can only be rewritten well when the rank
// of an input is known (Softmax before 13 with axis = rank - 1 is today's Softmax; otherwise it needs two reshapes).
// "Unknown" is always allowed: the rewrite then computes with Shape.
#pragma once

#include <unordered_map>

#include "ir/graph/graph.h"

namespace ingot::onnx {

struct Fact {
  DType dtype = DType::Invalid;
  int rank = -1;
};

class Facts {
 public:
  Fact of(const Value* v) const;  // of its type, its contents, or what `learn` found
  void learn(const Node& node);

 private:
  std::unordered_map<const Value*, Fact> facts_;
};

}  // namespace ingot::onnx
