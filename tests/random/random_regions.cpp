// Regions: branches, loops whose values grow, scans; each may hold others, and reads what lies around it.
#include <algorithm>

#include "tests/random/random_graph.h"
#include "tests/random/random_values.h"

namespace ingot::test {

// The value with this many dims.
int RandomGraph::conform(int v, int r) {
  while (v >= 0 && rank(v) < r) v = add("unsqueeze", {v, ints({0})});
  while (v >= 0 && rank(v) > r) v = add("reduce_max", {v, ints({0})}, {{"keepdims", int64_t{0}}});
  return v;
}

RandomGraph::Body RandomGraph::body(const std::vector<int>& parameters, int steps,
                                    const std::function<std::vector<int>()>& results) {
  Body b;
  b.parameters = parameters;
  std::vector<Step>* outer = scope_;
  const std::vector<int> around = floats_;
  scope_ = &b.steps;
  ++depth_;
  for (int v : parameters)
    if (is_tensor(v) && at(v).dtype == DType::F32) floats_.push_back(v);
  for (int k = 0; k < steps; ++k) make_one(depth_);
  b.results = results();
  --depth_;
  scope_ = outer;
  floats_ = around;
  // What nobody reads would be checked by the reference only.
  std::set<int> read(b.results.begin(), b.results.end());
  for (size_t k = b.steps.size(); k-- > 0;) {
    const std::vector<int>& made = b.steps[k].outputs;
    if (std::any_of(made.begin(), made.end(), [&](int v) { return read.count(v) > 0; })) needs(b.steps[k], read);
    else b.steps.erase(b.steps.begin() + static_cast<long>(k));
  }
  return b;
}

void RandomGraph::either() {
  int c = -1;
  if (chance(50)) {
    c = input(DType::Bool, {}, 0.5);
  } else {
    const int x = exact_float();
    int top = add("reduce_max", {x}, {{"keepdims", int64_t{0}}});
    if (top >= 0) c = add("greater", {top, scalar(DType::F32, one_of({-1.0, 0.5, 0.9, 2.0}))});
  }
  if (c < 0) return;
  const int like = any_float(1), r = rank(like), count = 1 + pick(2);
  auto branch = [&] {
    return body({}, pick(3), [&] {
      std::vector<int> results;
      for (int k = 0; k < count; ++k) {
        int v = chance(30) ? like : any_float();
        v = conform(v, r);
        if (v >= 0) v = add(one_of({"neg", "identity", "relu"}), {v});
        results.push_back(v);
      }
      return results;
    });
  };
  Body yes = branch(), no = branch();
  for (const Body* b : {&yes, &no})
    for (int v : b->results)
      if (v < 0) return;
  add("if", {c}, {}, count, {yes, no});
}

void RandomGraph::repeated() {
  const int trips = argument(int64_t{pick(5)});
  if (trips < 0) return;
  const bool limited = chance(25);
  const int go = chance(70) ? -1 : (chance(50) ? scalar(DType::Bool, 1) : input(DType::Bool, {}, 0.7));
  std::vector<int> start, parameters;
  for (int k = 1 + pick(2); k > 0; --k) start.push_back(any_float(chance(80) ? 1 : 0));
  auto parameter = [&](HostValue v, bool is_exact) {
    Item i;
    i.value = std::move(v);
    i.kind = Item::Parameter;
    i.exact = is_exact;
    return item(std::move(i));
  };
  auto count = TensorData::make(DType::I64, {});
  auto flag = TensorData::make(DType::Bool, {});
  *flag->mutable_as<uint8_t>() = 1;
  parameters = {parameter(HostValue::of(count), true), parameter(HostValue::of(flag), true)};
  // What is carried is exact if it stays so: decided by what the body does, and known only after it.
  for (int v : start) parameters.push_back(parameter(items_[static_cast<size_t>(v)].value, false));
  int scanned = 0;
  Body b = body(parameters, pick(3), [&] {
    std::vector<int> results;
    results.push_back(limited ? add("less", {parameters[0], argument(int64_t{pick(3)})})
                              : add("identity", {parameters[1]}));
    for (size_t k = 2; k < parameters.size(); ++k) {
      const int p = parameters[k], r = rank(p);
      int v = p;
      if (r > 0 && chance(65)) {  // of another size than before
        const int axis = pick(r);
        const int64_t e = dims(p)[static_cast<size_t>(axis)];
        std::vector<int64_t> d = dims(p);
        switch (pick(5)) {
          case 0:
            d[static_cast<size_t>(axis)] = 1 + pick(3);
            v = add("concat", {p, weights(d, 1)}, {{"axis", int64_t{axis}}});
            break;
          case 1:
            if (e > 40) break;
            v = add("concat", {p, p}, {{"axis", int64_t{axis}}});
            break;
          case 2:
            v = add("slice", {p, ints({chance(50) ? 1 : 0}), ints({chance(50) ? INT64_MAX : -1}), ints({axis})});
            break;
          case 3: {
            std::vector<int64_t> pads(static_cast<size_t>(2 * r), 0);
            pads[static_cast<size_t>(axis + (chance(50) ? r : 0))] = 1;
            v = add("pad", {p, ints(pads)});
            break;
          }
          default: {
            const int w = add("unsqueeze", {parameters[0], ints({0})});
            const int n = w < 0 ? -1 : add("add", {w, ints({pick(3)})});
            if (n >= 0) v = add("slice", {p, ints({0}), n, ints({axis})});
          }
        }
      }
      if (v >= 0 && chance(50)) {
        const int f = conform(any_float(), r);
        if (f >= 0 && dims(f) == dims(v)) v = add("add", {v, f});
        else if (f >= 0 && chance(30)) v = f;
      }
      if (v >= 0) v = add(one_of({"tanh", "tanh", "sin", "neg", "relu"}), {v});
      results.push_back(v);
    }
    for (int k = pick(3); k > 0; --k) {
      int v = any_float();
      if (chance(40)) v = add("reduce_mean", {v}, {{"keepdims", int64_t{pick(2)}}});
      if (v >= 0) v = add("tanh", {v});
      if (v < 0) continue;
      results.push_back(v);
      ++scanned;
    }
    if (chance(25)) {
      const int v = add("identity", {parameters[0]});
      results.push_back(v), ++scanned;
    }
    return results;
  });
  for (int v : b.results)
    if (v < 0) return;
  std::vector<int> in = {trips, go};
  in.insert(in.end(), start.begin(), start.end());
  add("loop", in, {}, static_cast<int>(start.size()) + scanned, {b});
}

void RandomGraph::scanned() {
  const int x = any_float(1);
  const std::vector<int64_t> d = dims(x);
  if (d[0] < 1 || d[0] > 40) return;
  std::vector<int64_t> one(d.begin() + 1, d.end());
  const int state = chance(50) ? weights(one, 1) : any_float();
  auto parameter = [&](TensorRef t) {
    Item i;
    i.value = HostValue::of(std::move(t));
    i.kind = Item::Parameter;
    i.exact = false;
    return item(std::move(i));
  };
  const int s = parameter(items_[static_cast<size_t>(state)].value.tensor);
  const int row = parameter(random_tensor(rng_, DType::F32, one, 1));
  int outputs = 2;
  Body b = body({s, row}, pick(2), [&] {
    int next = dims(s) == dims(row) ? add("add", {s, row}) : s;
    if (next >= 0) next = add("tanh", {next});
    int out = any_float();
    if (out >= 0) out = add("sigmoid", {out});
    std::vector<int> results = {next, out};
    if (chance(30)) results.push_back(add("neg", {row})), ++outputs;
    return results;
  });
  for (int v : b.results)
    if (v < 0) return;
  Attrs attrs{{"num_scan_inputs", int64_t{1}}};
  if (chance(30)) attrs.set("scan_input_directions", std::vector<int64_t>{1});
  if (chance(30)) attrs.set("scan_output_directions", std::vector<int64_t>(static_cast<size_t>(outputs - 1), 1));
  add("scan", {state, x}, attrs, outputs, {b});
}

}  // namespace ingot::test
