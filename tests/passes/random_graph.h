// Random small graphs whose every value is known: each node is evaluated by the reference as it is added, so that the graph
// can be cut anywhere, and a failure is reported as the smallest cut that still fails.
#pragma once

#include <random>
#include <set>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/ops/host_value.h"

namespace ingot::test {

class RandomGraph {
 public:
  // The same seed gives the same graph. `dynamic`: most extents of the inputs are symbols.
  RandomGraph(uint32_t seed, bool dynamic);

  struct Case {
    Graph graph;
    std::vector<HostValue> inputs, expected;
  };
  // The whole graph; its outputs are the values that nothing reads.
  Case whole() const;
  // How far results may be off, relative to the largest: half precision, products and normalisations along the way.
  double tolerance() const { return half_ ? 3e-2 : 2e-4; }

  // The text of the smallest graph found that still fails; `fails` gives "" or what is wrong.
  std::string smallest_failure(const std::function<std::string(Case)>& fails) const;

 private:
  struct Item {  // a value
    TensorRef data;
    enum Kind { Input, Constant, Made } kind = Input;
    std::vector<bool> symbolic;  // inputs: dims that are symbols
  };
  struct Step {  // a node
    std::string op;
    std::vector<int> inputs;  // -1: absent
    Attrs attrs;
    std::vector<int> outputs;
  };

  int pick(int n) { return static_cast<int>(rng_() % static_cast<uint32_t>(n)); }
  bool chance(int percent) { return pick(100) < percent; }
  int64_t extent();
  int input(DType, std::vector<int64_t> dims);
  int constant(TensorRef);
  int ints(std::vector<int64_t>);
  int weights(std::vector<int64_t> dims, double scale);  // a constant, or an input
  int any_float();
  const TensorData& at(int v) const { return *items_[static_cast<size_t>(v)].data; }
  std::vector<int64_t> dims(int v) const { return at(v).dims; }
  // -1 where the operator refuses these inputs.
  int add(const std::string& op, std::vector<int> inputs, Attrs attrs = {}, int outputs = 1);
  int tame(int v);  // keeps magnitudes near one

  void elementwise();
  void binary();
  void reduction();
  void product();
  void convolution();
  void chain();
  void branches();
  void pooling();
  void movement();
  void normalisation();
  void integer();
  void half();

  Case cut(const std::vector<int>& outputs, const std::set<int>& as_inputs) const;

  std::mt19937 rng_;
  bool dynamic_, half_ = false;
  std::vector<int64_t> pool_;  // extents of this graph
  std::set<int64_t> free_;  // those that are symbols
  std::vector<Item> items_;
  std::vector<Step> steps_;
  std::vector<int> floats_;  // values that operators may read
};

}  // namespace ingot::test
