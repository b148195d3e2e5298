#include "tests/random/random_graph.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "ir/ops/def.h"
#include "ir/ops/interpreter.h"
#include "tests/random/random_values.h"

namespace ingot::test {

namespace {

constexpr double kMaxMagnitude = 16;      // beyond, a value is scaled
constexpr double kMaxRunMagnitude = 1e3;  // beyond, the numbers of a run are not compared
constexpr int kMaxNesting = 3;            // of regions
constexpr int kMaxSequence = 64;          // elements

InterpreterOptions reference_limits() {
  InterpreterOptions o;
  o.max_bytes = int64_t{256} << 20;
  o.max_seconds = 5;
  o.max_iterations = 1000;
  return o;
}

void for_each_tensor(const HostValue& v, const std::function<void(const TensorData&)>& visit) {
  if (v.is_tensor()) visit(*v.tensor);
  else
    for (const HostValue& item : v.items) for_each_tensor(item, visit);
}

// The largest finite magnitude of floats; infinite where a number is not finite.
double magnitude(const HostValue& value) {
  double largest = 0;
  for_each_tensor(value, [&](const TensorData& t) {
    if (!is_float(t.dtype)) return;
    for (int64_t i = 0; i < t.elements(); ++i) {
      const double x = std::abs(t.number(i));
      largest = std::isfinite(x) ? std::max(largest, x) : INFINITY;
    }
  });
  return largest;
}

}  // namespace

std::shared_ptr<TensorData> random_tensor(std::mt19937& rng, DType t, std::vector<int64_t> dims, double scale) {
  auto data = TensorData::make(t, std::move(dims));
  for (int64_t i = 0; i < data->elements(); ++i) {
    if (t == DType::F32)
      data->mutable_as<float>()[i] = static_cast<float>(scale * (static_cast<double>(rng() >> 8) / (1 << 23) - 1));
    if (t == DType::I32) data->mutable_as<int32_t>()[i] = static_cast<int32_t>(rng() % 201) - 100;
    if (t == DType::I64)
      data->mutable_as<int64_t>()[i] =
          static_cast<int64_t>(rng() % static_cast<uint32_t>(2 * scale + 1)) - static_cast<int64_t>(scale);
    if (t == DType::I8) data->mutable_as<int8_t>()[i] = static_cast<int8_t>(rng());
    if (t == DType::U8) data->mutable_as<uint8_t>()[i] = static_cast<uint8_t>(rng());
    if (t == DType::Bool) data->mutable_as<uint8_t>()[i] = rng() % 100 < 100 * scale;
  }
  return data;
}

namespace {

// Whether the node is among `from` or reads what one of them gave, also inside; what it gives is added to `open` then.
bool depends_on_open(const Node& n, const std::set<const Node*>& from, std::set<const Value*>& open) {
  bool depends = from.count(&n) > 0;
  for (const Value* v : n.inputs) depends = depends || open.count(v) > 0;
  for (const auto& r : n.regions) {
    for (const auto& inner : r->nodes) depends = depends_on_open(*inner, from, open) || depends;
    for (const Value* v : r->outputs) depends = depends || open.count(v) > 0;
  }
  if (depends)
    for (const Value* v : n.outputs)
      if (v) open.insert(v);
  return depends;
}

}  // namespace

bool expect_of_reference(const Graph& g, RandomRun& run) {
  InterpreterOptions options = reference_limits();
  run.any_numbers = false;
  run.largest = 0;
  options.on_value = [&](std::string_view, const HostValue& v) {
    run.largest = std::max(run.largest, magnitude(v));
    run.any_numbers = !(run.largest <= kMaxRunMagnitude);
  };
  std::set<const Node*> nothing_collected;
  options.on_nothing_collected = [&](const Node& n) { nothing_collected.insert(&n); };
  auto got = Interpreter(options).run(g, run.inputs);
  std::set<const Value*> open;
  for (const auto& n : g.body.nodes) depends_on_open(*n, nothing_collected, open);
  run.open.clear();
  for (const Value* v : g.body.outputs) run.open.push_back(open.count(v) > 0);
  run.expected.clear();
  run.refused.clear();
  if (got) {
    run.expected = std::move(*got);
  } else if (got.error().kind == ErrorKind::Limit) {
    return false;
  } else {
    run.refused = got.error().message;
  }
  return true;
}

RandomGraph::RandomGraph(uint32_t seed) : rng_(seed), seed_(seed) {
  // None, one, odd, prime, a tile's width and just past it, large.
  static const int64_t kExtents[] = {1,  1,  2,  2,  3,  3,  4,  5,  6,  7,  8,  9,   13,  15, 16,
                                     16, 17, 23, 31, 32, 33, 47, 48, 63, 64, 65, 129, 255, 600};
  for (int k = 0; k < 5; ++k) pool_.push_back(kExtents[pick(std::size(kExtents))]);
  if (chance(8)) pool_[0] = 0;
  for (int64_t e : pool_)
    if (chance(75)) free_.insert(e);
  budget_ = 2 + pick(5);
  for (int tries = 0; static_cast<int>(steps_.size()) < budget_ && tries < 60; ++tries) make_one(0);
}

void RandomGraph::make_one(int depth) {
  using Maker = void (RandomGraph::*)();
  static const Maker kMakers[] = {
      &RandomGraph::elementwise, &RandomGraph::elementwise,   &RandomGraph::binary,    &RandomGraph::binary,
      &RandomGraph::reduction,   &RandomGraph::product,       &RandomGraph::product,   &RandomGraph::convolution,
      &RandomGraph::convolution, &RandomGraph::pooling,       &RandomGraph::movement,  &RandomGraph::movement,
      &RandomGraph::movement,    &RandomGraph::normalisation, &RandomGraph::integer,   &RandomGraph::half,
      &RandomGraph::branches,    &RandomGraph::chain,         &RandomGraph::selection, &RandomGraph::selection,
      &RandomGraph::selection,   &RandomGraph::selection,     &RandomGraph::arguments, &RandomGraph::arguments,
      &RandomGraph::arguments,   &RandomGraph::arguments,     &RandomGraph::sequences, &RandomGraph::alike,
      &RandomGraph::scattering,  &RandomGraph::quantised,     &RandomGraph::recurrent, &RandomGraph::either,
      &RandomGraph::repeated,    &RandomGraph::repeated,      &RandomGraph::scanned,
  };
  const int regions = depth >= kMaxNesting ? 4 : 0;  // the last ones
  (this->*kMakers[pick(static_cast<int>(std::size(kMakers)) - regions)])();
}

int64_t RandomGraph::extent() { return pool_[static_cast<size_t>(pick(static_cast<int>(pool_.size())))]; }

int RandomGraph::item(Item i) {
  items_.push_back(std::move(i));
  return static_cast<int>(items_.size()) - 1;
}
int RandomGraph::input(DType t, std::vector<int64_t> dims, double scale) {
  Item i;
  i.value = HostValue::of(random_tensor(rng_, t, dims, scale));
  i.scale = scale;
  for (int64_t d : dims) i.symbolic.push_back(free_.count(d) > 0);
  return item(std::move(i));
}
int RandomGraph::constant(TensorRef data) {
  Item i;
  i.value = HostValue::of(std::move(data));
  i.kind = Item::Constant;
  return item(std::move(i));
}
int RandomGraph::ints(std::vector<int64_t> values) {
  auto t = TensorData::make(DType::I64, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t->mutable_as<int64_t>());
  return constant(t);
}
int RandomGraph::scalar(DType type, double value) {
  auto t = TensorData::make(type, {});
  if (type == DType::F32) *t->mutable_as<float>() = static_cast<float>(value);
  if (type == DType::I64) *t->mutable_as<int64_t>() = static_cast<int64_t>(value);
  if (type == DType::Bool || type == DType::U8) *t->mutable_as<uint8_t>() = static_cast<uint8_t>(value);
  return constant(t);
}
int RandomGraph::weights(std::vector<int64_t> dims, double scale) {
  if (chance(25)) return input(DType::F32, std::move(dims));
  return constant(random_tensor(rng_, DType::F32, std::move(dims), scale));
}

// A value made before, or a new input.
int RandomGraph::any_float(int min_rank) {
  if (!floats_.empty() && chance(80)) {
    std::vector<int> fit;
    for (int v : floats_)
      if (rank(v) >= min_rank) fit.push_back(v);
    if (!fit.empty())
      return fit[fit.size() - 1 - static_cast<size_t>(pick(std::min<int>(3, static_cast<int>(fit.size()))))];
  }
  std::vector<int64_t> dims(static_cast<size_t>(std::max(min_rank, 1 + pick(4))));
  for (int64_t& d : dims) d = extent();
  for (size_t k = 0; k < dims.size() && product_of(dims) > kMaxRandomElements / 8; ++k) dims[k] = 1 + pick(3);
  const int v = input(DType::F32, dims);
  floats_.push_back(v);
  return v;
}
int RandomGraph::exact_float(int min_rank) {
  for (int tries = 0; tries < 3; ++tries)
    if (const int v = any_float(min_rank); exact(v)) return v;
  std::vector<int64_t> dims(static_cast<size_t>(std::max(min_rank, 1 + pick(3))));
  for (int64_t& d : dims) d = extent();
  for (size_t k = 0; k < dims.size() && product_of(dims) > kMaxRandomElements / 8; ++k) dims[k] = 1 + pick(3);
  const int v = input(DType::F32, dims);
  floats_.push_back(v);
  return v;
}

// Operators that move, select or compare, and whose integers have one right answer.
static bool keeps_exact(const std::string& op) {
  static const std::set<std::string> kOps = {"relu",
                                             "neg",
                                             "abs",
                                             "max",
                                             "min",
                                             "transpose",
                                             "reshape",
                                             "slice",
                                             "concat",
                                             "pad",
                                             "split",
                                             "gather",
                                             "unsqueeze",
                                             "squeeze",
                                             "expand",
                                             "tile",
                                             "reduce_max",
                                             "reduce_min",
                                             "max_pool",
                                             "greater",
                                             "less",
                                             "where",
                                             "compress",
                                             "non_zero",
                                             "gather_nd",
                                             "gather_elements",
                                             "unique",
                                             "top_k",
                                             "shape",
                                             "size",
                                             "range",
                                             "cast",
                                             "constant_of_shape",
                                             "identity",
                                             "if",
                                             "loop",
                                             "split_to_sequence",
                                             "sequence_construct",
                                             "sequence_insert",
                                             "sequence_erase",
                                             "sequence_at",
                                             "concat_from_sequence",
                                             "sequence_length",
                                             "quantize_linear",
                                             "round",
                                             "floor",
                                             "sign",
                                             "not",
                                             "and",
                                             "or",
                                             "flatten",
                                             "trilu",
                                             "scatter_elements",
                                             "scatter_nd",
                                             "one_hot",
                                             "arg_max",
                                             "equal",
                                             "sequence_empty",
                                             "mat_mul_integer"};
  return kOps.count(op) > 0;
}

void RandomGraph::needs(const Step& s, std::set<int>& out) {
  out.insert(s.inputs.begin(), s.inputs.end());
  for (const Body& b : s.bodies) {
    for (const Step& inner : b.steps) needs(inner, out);
    out.insert(b.results.begin(), b.results.end());
  }
}

// Values of a graph that is being made of items.
struct RandomGraph::Building {
  Graph& graph;
  std::map<int, Value*> values;
  Value* value(int v) { return v < 0 ? nullptr : values.at(v); }
};

void RandomGraph::build(Building& b, const std::vector<Step>& steps, Region& region) const {
  for (const Step& s : steps) {
    auto node = std::make_unique<Node>();
    node->def = find_op(s.op);
    node->attrs = s.attrs;
    node->name = s.op + "_" + std::to_string(s.outputs[0]);
    for (int v : s.inputs) node->inputs.push_back(b.value(v));
    for (const Body& body : s.bodies) {
      auto r = std::make_unique<Region>();
      for (int v : body.parameters) {
        const HostValue& example = items_[static_cast<size_t>(v)].value;
        Type type;
        if (example.is_tensor() && rank(v) == 0) type = example.type();
        r->inputs.push_back(b.values[v] = b.graph.new_value("v" + std::to_string(v), type));
      }
      build(b, body.steps, *r);
      for (int v : body.results) r->outputs.push_back(b.value(v));
      node->regions.push_back(std::move(r));
    }
    for (size_t k = 0; k < s.outputs.size(); ++k) {
      const int v = s.outputs[k];
      Value* y = b.graph.new_value("v" + std::to_string(v));
      y->producer = node.get();
      y->output_index = static_cast<int>(k);
      node->outputs.push_back(y);
      b.values[v] = y;
    }
    region.nodes.push_back(std::move(node));
  }
}

int RandomGraph::add(const std::string& op, std::vector<int> inputs, Attrs attrs, int outputs,
                     std::vector<Body> bodies) {
  if (!find_op(op)) std::fprintf(stderr, "no operator %s\n", op.c_str()), std::abort();
  Step step{op, std::move(inputs), std::move(attrs), {}, std::move(bodies)};
  for (int k = 0; k < outputs; ++k) step.outputs.push_back(static_cast<int>(items_.size()) + k);
  Graph g;
  Building b{g, {}};
  std::set<int> used;
  needs(step, used);
  bool all_exact = keeps_exact(op);
  std::set<int> own;  // of the bodies
  std::function<void(const Step&)> collect = [&](const Step& s) {
    for (const Body& body : s.bodies) {
      own.insert(body.parameters.begin(), body.parameters.end());
      for (const Step& inner : body.steps) own.insert(inner.outputs.begin(), inner.outputs.end()), collect(inner);
      for (int v : body.results) all_exact = all_exact && exact(v);
    }
  };
  collect(step);
  std::vector<HostValue> values;
  for (int v : used) {
    if (v < 0 || own.count(v)) continue;
    all_exact = all_exact && exact(v);
    const Item& i = items_[static_cast<size_t>(v)];
    if (i.kind == Item::Constant) {
      b.values[v] = g.new_constant("c", i.value.tensor);
    } else {
      b.values[v] = g.new_value("x", i.value.type());
      g.body.inputs.push_back(b.values[v]);
      values.push_back(i.value);
    }
  }
  build(b, {step}, g.body);
  for (int v : step.outputs) g.body.outputs.push_back(b.values[v]);
  auto made = Interpreter(reference_limits()).run(g, values);
  if (!made) return -1;
  for (const HostValue& v : *made) {
    int64_t elements = 0;
    for_each_tensor(v, [&](const TensorData& t) { elements += t.elements(); });
    if (elements > kMaxRandomElements || v.items.size() > kMaxSequence || !std::isfinite(magnitude(v))) return -1;
  }
  for (HostValue& v : *made) {
    Item i;
    i.value = std::move(v);
    i.kind = Item::Made;
    i.exact = all_exact;
    item(std::move(i));
  }
  const std::vector<int> results = step.outputs;
  scope_->push_back(std::move(step));
  for (int v : results)
    if (is_tensor(v) && at(v).dtype == DType::F32) floats_.push_back(tame(v));
  return results[0];
}

int RandomGraph::tame(int v) {
  const double largest = magnitude(items_[static_cast<size_t>(v)].value);
  if (!(largest > kMaxMagnitude)) return v;
  const int c = scalar(DType::F32, 1 / largest);
  if (add("mul", {v, c}) < 0) return v;
  const int scaled = floats_.back();
  floats_.pop_back();
  return scaled;
}

RandomCase RandomGraph::whole(bool dynamic) const {
  std::set<int> read, needed;
  for (const Step& s : steps_) needs(s, read);
  needed = read;
  std::vector<int> outputs;
  for (const Step& s : steps_)
    for (int v : s.outputs)
      if (!read.count(v)) outputs.push_back(v);
  RandomCase c;
  c.graph.name = "random";
  Building b{c.graph, {}};
  std::map<int64_t, Symbol> symbols;
  std::vector<int> inputs;
  for (int v : needed) {
    if (v < 0) continue;
    const Item& i = items_[static_cast<size_t>(v)];
    const std::string name = "v" + std::to_string(v);
    if (i.kind == Item::Constant) b.values[v] = c.graph.new_constant(name, i.value.tensor);
    if (i.kind != Item::Input) continue;
    TensorType type = i.value.tensor->type();
    for (size_t d = 0; dynamic && d < i.symbolic.size(); ++d) {
      if (!i.symbolic[d]) continue;
      Symbol& s = symbols[i.value.tensor->dims[d]];
      if (!s) s = Dim::symbol("n" + std::to_string(i.value.tensor->dims[d]));
      type.dims[d] = Dim(s);
    }
    b.values[v] = c.graph.new_value(name, Type::of(type));
    c.graph.body.inputs.push_back(b.values[v]);
    inputs.push_back(v);
  }
  build(b, steps_, c.graph.body);
  for (int v : outputs) c.graph.body.outputs.push_back(b.values.at(v));
  RandomRun first;
  for (int v : inputs) first.inputs.push_back(items_[static_cast<size_t>(v)].value);
  if (!expect_of_reference(c.graph, first)) return c;
  c.runs.push_back(first);
  // Other contents, and other extents for the symbols: the first choice that the model takes, or the last.
  std::mt19937 rng(seed_ ^ 0x9e3779b9u);
  auto percent = [&](uint32_t p) { return rng() % 100 < p; };
  static const int64_t kOther[] = {0, 1, 1, 2, 3, 5, 8, 15, 16, 17, 33, 64, 70, 300};
  for (int tries = 0; tries < 4; ++tries) {
    std::map<int64_t, int64_t> to;
    for (int64_t e : pool_) to[e] = e;
    RandomRun run;
    for (int v : inputs) {
      const Item& i = items_[static_cast<size_t>(v)];
      std::vector<int64_t> d = i.value.tensor->dims;
      for (size_t k = 0; dynamic && k < d.size(); ++k) {
        if (!i.symbolic[k]) continue;
        auto [at, fresh] = to.try_emplace(d[k] + 1000000, d[k]);
        if (fresh && percent(70 - 20 * static_cast<uint32_t>(tries)))
          at->second =
              percent(40) ? d[k] + 1 - static_cast<int64_t>(2 * (rng() % 2)) : kOther[rng() % std::size(kOther)];
        if (at->second < 0) at->second = 0;
        d[k] = at->second;
      }
      if (product_of(d) > 4 * kMaxRandomElements) d = i.value.tensor->dims;
      auto data = random_tensor(rng, i.value.tensor->dtype, d, i.scale);
      if (i.role == Role::Argument && d == i.value.tensor->dims) {
        std::copy_n(i.value.tensor->bytes, data->size_bytes, data->mutable_bytes());
        if (data->dtype == DType::I64 && data->elements() > 0 && percent(30))
          data->mutable_as<int64_t>()[rng() % static_cast<uint64_t>(data->elements())] += percent(50) ? 1 : -1;
      }
      run.inputs.push_back(HostValue::of(std::move(data)));
    }
    if (!expect_of_reference(c.graph, run)) continue;
    const bool runs = run.refused.empty();
    if (c.runs.size() == 2) c.runs.pop_back();
    c.runs.push_back(std::move(run));
    if (runs || percent(15)) break;
  }
  return c;
}

}  // namespace ingot::test
