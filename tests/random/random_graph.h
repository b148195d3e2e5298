// Random small graphs whose every value is known: each node is evaluated by the reference as it is added. Extents are
// constants, symbols of the inputs, or what only the contents of a value decide; nodes have regions inside regions.
//
// A value is *exact* where every right implementation gives the same bits: inputs, and what is moved, selected or compared
// of exact values. Only such values decide extents and indices; of others, a difference in the last place would.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/ops/host_value.h"

namespace ingot::test {

struct RandomRun {
  std::vector<HostValue> inputs, expected;
  std::string refused;  // the reference's error; empty where the model runs
  // Outputs that depend on what a loop without iterations collected, whose extents no rule gives: the reference infers them
  // from the extents of the run, compiled code from the symbols. One may then refuse what the other takes.
  std::vector<bool> open;
  bool any_open() const { return std::find(open.begin(), open.end(), true) != open.end(); }
  double largest = 0;  // magnitude of all values along the way: terms that cancel leave its rounding errors behind
  bool any_numbers = false;  // values left the range in which rounding errors stay small: only types and shapes count
};
struct RandomCase {
  Graph graph;
  std::vector<RandomRun> runs;
};

// The reference's answer for these inputs. False where it exceeds a limit of time or memory: no case to judge.
bool expect_of_reference(const Graph&, RandomRun&);

class RandomGraph {
 public:
  // The same seed gives the same graph.
  explicit RandomGraph(uint32_t seed);

  // The whole graph; its outputs are the values that nothing reads. With symbols for most extents of inputs, and two runs
  // that differ in them and in the data; or with constants for all extents, and one run.
  RandomCase whole(bool dynamic) const;
  // How far results may be off, relative to the largest: half precision, products and normalisations along the way.
  double tolerance() const { return half_ ? 4e-2 : 2e-4; }

 private:
  enum class Role : uint8_t { Data, Argument };  // of an input; an argument keeps its value in most runs
  struct Item {  // a value
    HostValue value;
    enum Kind { Input, Constant, Made, Parameter } kind = Input;
    bool exact = true;
    std::vector<bool> symbolic;  // inputs: dims that are symbols
    Role role = Role::Data;
    double scale = 1;
  };
  struct Step;
  struct Body {  // a region
    std::vector<int> parameters, results;
    std::vector<Step> steps;
  };
  struct Step {  // a node
    std::string op;
    std::vector<int> inputs;  // -1: absent
    Attrs attrs;
    std::vector<int> outputs;
    std::vector<Body> bodies;
  };

  int pick(int n) { return n > 0 ? static_cast<int>(rng_() % static_cast<uint32_t>(n)) : 0; }
  bool chance(int percent) { return pick(100) < percent; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return list.begin()[pick(static_cast<int>(list.size()))];
  }
  int64_t extent();
  int item(Item);
  int input(DType, std::vector<int64_t> dims, double scale = 1);
  int constant(TensorRef);
  int ints(std::vector<int64_t>);
  int scalar(DType, double);
  int weights(std::vector<int64_t> dims, double scale);  // a constant, or an input
  int any_float(int min_rank = 0);
  int exact_float(int min_rank = 0);
  bool is_tensor(int v) const { return items_[static_cast<size_t>(v)].value.is_tensor(); }
  const TensorData& at(int v) const { return *items_[static_cast<size_t>(v)].value.tensor; }
  bool exact(int v) const { return items_[static_cast<size_t>(v)].exact; }
  std::vector<int64_t> dims(int v) const { return at(v).dims; }
  int rank(int v) const { return static_cast<int>(at(v).dims.size()); }
  // -1 where the operator refuses these inputs.
  int add(const std::string& op, std::vector<int> inputs, Attrs attrs = {}, int outputs = 1,
          std::vector<Body> bodies = {});
  int tame(int v);  // keeps magnitudes near one

  // Integers that the model gets or computes when it runs: an input, a constant, shapes of values.
  int argument(std::vector<int64_t>);
  int argument(int64_t);  // a scalar
  int condition(int64_t n);  // bool[n], exact

  void make_one(int depth);
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
  // Extents that data decide: random_extents.cpp.
  void selection();
  void arguments();
  void sequences();
  void alike();
  void scattering();
  void quantised();
  void recurrent();
  // Regions: random_regions.cpp.
  void either();
  void repeated();
  void scanned();
  int conform(int v, int rank);
  Body body(const std::vector<int>& parameters, int steps, const std::function<std::vector<int>()>& results);

  struct Building;
  void build(Building&, const std::vector<Step>&, Region&) const;
  static void needs(const Step&, std::set<int>&);

  std::mt19937 rng_;
  uint32_t seed_;
  bool half_ = false;
  int depth_ = 0, budget_ = 0;
  std::vector<int64_t> pool_;  // extents of this graph
  std::set<int64_t> free_;  // those that are symbols
  std::vector<Item> items_;
  std::vector<Step> steps_;
  std::vector<Step>* scope_ = &steps_;  // where nodes are added
  std::vector<int> floats_;  // values that operators may read
};

}  // namespace ingot::test
