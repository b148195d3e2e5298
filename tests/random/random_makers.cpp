// Operators on floats whose extents follow from those of their inputs.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/random/random_graph.h"
#include "tests/random/random_values.h"

namespace ingot::test {

void RandomGraph::elementwise() {
  static const char* kOps[] = {"relu",       "tanh",     "sigmoid", "gelu", "neg", "abs",
                               "hard_swish", "softplus", "erf",     "sin",  "elu", "exp"};
  add(kOps[pick(std::size(kOps))], {any_float()});
}

void RandomGraph::binary() {
  static const char* kOps[] = {"add", "mul", "sub", "max", "min"};
  int a = any_float(), b = -1;
  if (chance(30)) {
    b = any_float();
  } else {  // of a shape that broadcasts
    std::vector<int64_t> d = dims(a);
    for (int64_t& e : d)
      if (chance(30)) e = 1;
    d.erase(d.begin(), d.begin() + pick(static_cast<int>(d.size()) + 1));
    b = weights(d, 1);
  }
  if (chance(50)) std::swap(a, b);
  const char* op = kOps[pick(std::size(kOps))];
  if (chance(15) && dims(a) == dims(b)) {
    int c = add("greater", {a, b});
    if (c >= 0) add("where", {c, a, b});
    return;
  }
  add(op, {a, b});
}

void RandomGraph::reduction() {
  static const char* kOps[] = {"reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_l1"};
  int x = any_float(), rank = this->rank(x);
  if (rank == 0) return;
  std::vector<int64_t> axes;
  for (int k = 0; k < rank; ++k)
    if (chance(40)) axes.push_back(chance(50) ? k : k - rank);
  if (axes.empty()) axes.push_back(pick(rank));
  if (chance(15)) {
    add("cum_sum", {x, constant([&] {
                      auto t = TensorData::make(DType::I64, {});
                      t->mutable_as<int64_t>()[0] = axes[0];
                      return t;
                    }())},
        {{"exclusive", int64_t{pick(2)}}, {"reverse", int64_t{pick(2)}}});
    return;
  }
  add(kOps[pick(std::size(kOps))], {x, ints(axes)}, {{"keepdims", int64_t{pick(2)}}});
}

void RandomGraph::product() {
  int a = any_float();
  std::vector<int64_t> d = dims(a);
  if (d.empty()) return;
  int64_t k = d.back(), n = extent();
  int y = -1;
  if (d.size() == 2 && chance(40)) {
    bool transposed = chance(50);
    int w = weights(transposed ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k, n},
                    1 / std::sqrt(static_cast<double>(k)));
    int c = chance(60) ? weights({n}, 1) : -1;
    y = add("gemm", {a, w, c}, {{"transB", int64_t{transposed}}, {"alpha", chance(50) ? 1.0 : 0.5}});
  } else if (d.size() >= 3 && chance(40)) {  // both operands have a batch
    std::vector<int64_t> b = d;
    b[b.size() - 2] = k, b.back() = n;
    if (chance(30)) b[0] = 1;
    if (product_of(b) > kMaxRandomElements) return;
    y = add("mat_mul", {a, weights(b, 1 / std::sqrt(static_cast<double>(k)))});
  } else {
    y = add("mat_mul", {a, weights({k, n}, 1 / std::sqrt(static_cast<double>(k)))});
  }
  if (y < 0) return;
  if (chance(40)) y = add("add", {y, weights({n}, 1)});
  if (y >= 0 && chance(40)) add(chance(50) ? "relu" : "gelu", {y});
}

// Two products with rows between them: attention, layers of a perceptron, a depthwise and a pointwise convolution.
void RandomGraph::chain() {
  auto scale = [](int64_t k) { return 1 / std::sqrt(static_cast<double>(k)); };
  if (chance(30)) {
    const int64_t channels = 3 + pick(30), out = 1 + pick(40), side = 5 + pick(12);
    const int x = input(DType::F32, {1 + pick(2), channels, side, 4 + pick(14)});
    items_.back().symbolic = {true, false, false, false};
    int y = add(
        "conv", {x, weights({channels, 1, 3, 3}, 0.3), weights({channels}, 1)},
        {{"group", channels}, {"pads", std::vector<int64_t>(4, 1)}, {"strides", std::vector<int64_t>(2, 1 + pick(2))}});
    if (y >= 0 && chance(70)) y = add(chance(50) ? "relu" : "hard_swish", {y});
    if (y >= 0) y = add("conv", {y, weights({out, channels, 1, 1}, scale(channels)), weights({out}, 1)}, {});
    if (y >= 0 && chance(50)) add("relu", {y});
    return;
  }
  int a = any_float();
  if (dims(a).size() < 2) return;
  const std::vector<int64_t> d = dims(a);
  const int64_t columns = 3 + pick(60), out = 3 + pick(60);
  auto right = [&](int64_t k, int64_t n) {  // one for all, or one for each of the batch
    std::vector<int64_t> w = {k, n};
    if (chance(50) && product_of(d) / std::max<int64_t>(1, d[d.size() - 2] * d.back()) * k * n <= kMaxRandomElements)
      w.insert(w.begin(), d.begin(), d.end() - 2);
    return weights(w, scale(k));
  };
  int y = add("mat_mul", {a, right(d.back(), columns)});
  if (y >= 0 && chance(50)) y = add(chance(50) ? "add" : "mul", {y, weights({columns}, 1)});
  if (y < 0) return;
  const std::vector<int64_t> rows = dims(y);
  switch (pick(4)) {
    case 0: y = add("gelu", {y}); break;
    case 1:
      y = add("layer_normalization", {y, weights({columns}, 1), weights({columns}, 1)},
              {{"axis", int64_t{-1}}, {"epsilon", 0.01}});
      break;
    case 2: y = add("add", {y, input(DType::F32, rows)}); [[fallthrough]];
    default:
      if (y >= 0) y = add("softmax", {y}, {{"axis", int64_t{-1}}});
  }
  if (y >= 0) y = add("mat_mul", {y, right(columns, out)});
  if (y >= 0 && chance(50)) add("add", {y, weights({out}, 1)});
}

void RandomGraph::convolution() {
  int spatial = chance(75) ? 2 : (chance(60) ? 1 : 3);
  int groups = chance(60) ? 1 : 1 + pick(4);
  bool depthwise = chance(25);
  int x = floats_.empty() || chance(50) ? -1 : any_float();
  if (x < 0 || static_cast<int>(dims(x).size()) != spatial + 2) {
    static const int64_t kSides[] = {1, 5, 7, 9, 12, 17};
    std::vector<int64_t> d = {1 + pick(2), depthwise ? extent() : groups * (1 + pick(9))};
    for (int s = 0; s < spatial; ++s) d.push_back(spatial == 3 ? 3 + pick(4) : kSides[pick(std::size(kSides))]);
    x = input(DType::F32, d);
    for (size_t s = 0; s < d.size(); ++s)
      if (s != 1) items_.back().symbolic[s] = chance(s == 0 ? 70 : 30);
      else items_.back().symbolic[s] = false;
    floats_.push_back(x);
  }
  std::vector<int64_t> d = dims(x);
  int64_t channels = d[1];
  if (depthwise) groups = static_cast<int>(channels);
  if (groups == 0 || channels % groups != 0) groups = 1;
  bool transposed = chance(20);
  int64_t per_group = 1 + pick(depthwise ? 2 : 20), made = per_group * groups;
  std::vector<int64_t> w =
      transposed ? std::vector<int64_t>{channels, per_group} : std::vector<int64_t>{made, channels / groups};
  std::vector<int64_t> strides, dilations, pads;
  for (int s = 0; s < spatial; ++s) {
    w.push_back(1 + pick(3));
    strides.push_back(1 + pick(2)), dilations.push_back(1 + pick(2));
  }
  for (int s = 0; s < 2 * spatial; ++s) pads.push_back(pick(3));
  Attrs attrs{{"group", int64_t{groups}}, {"strides", strides}, {"pads", pads}, {"dilations", dilations}};
  double scale = 1 / std::sqrt(static_cast<double>(product_of(w)) / static_cast<double>(w[0]));
  int y = add(transposed ? "conv_transpose" : "conv",
              {x, constant(random_tensor(rng_, DType::F32, w, scale)), chance(60) ? weights({made}, 1) : -1}, attrs);
  if (y < 0) return;
  if (chance(30)) {  // a residual
    int r = add("add", {y, input(DType::F32, dims(y))});
    if (r >= 0) y = r;
  }
  if (chance(50)) add(chance(50) ? "relu" : "hard_swish", {y});
}

// Values side by side of one input, and what puts them together: once, or again with what is made of it.
void RandomGraph::branches() {
  const int64_t side = 3 + pick(8);
  const int x = input(DType::F32, {1 + pick(2), 4 + pick(20), side, side});
  items_.back().symbolic = {true, false, false, false};
  auto conv = [&](int from, int64_t window) {
    const int64_t in = dims(from)[1], out = chance(70) ? 16 * (1 + pick(3)) : 1 + pick(40);
    const double scale = 1 / std::sqrt(static_cast<double>(in * window * window));
    const int w = constant(random_tensor(rng_, DType::F32, {out, in, window, window}, scale));
    int y =
        add("conv", {from, w, chance(70) ? weights({out}, 1) : -1}, {{"pads", std::vector<int64_t>(4, window / 2)}});
    return y >= 0 && chance(60) ? add("relu", {y}) : y;
  };
  std::vector<int> parts;
  for (int k = 2 + pick(3); k > 0; --k) {
    int y = -1;
    switch (pick(6)) {
      case 0:
        y = add("max_pool", {x}, {{"kernel_shape", std::vector<int64_t>(2, 3)}, {"pads", std::vector<int64_t>(4, 1)}});
        break;
      case 1: y = add(chance(50) ? "tanh" : "relu", {x}); break;
      case 2: y = parts.empty() ? x : parts[static_cast<size_t>(pick(static_cast<int>(parts.size())))]; break;
      case 3: y = conv(conv(x, 1), 3); break;
      default: y = conv(x, chance(50) ? 1 : 3);
    }
    if (y >= 0) parts.push_back(y);
  }
  if (parts.size() < 2) return;
  int c = add("concat", parts, {{"axis", int64_t{1}}});
  if (c < 0) return;
  if (chance(50)) conv(parts[0], 3);
  if (chance(50)) {
    const int y = conv(c, chance(50) ? 1 : 3);
    if (y < 0) return;
    if (chance(50)) parts = {c};
    parts.push_back(y);
    if (const int again = add("concat", parts, {{"axis", int64_t{1}}}); again >= 0) c = again;
  }
  if (chance(50)) conv(c, chance(50) ? 1 : 3);
}

void RandomGraph::pooling() {
  int x = any_float();
  std::vector<int64_t> d = dims(x);
  if (d.size() < 3) return;
  std::vector<int64_t> kernel, strides, pads;
  for (size_t s = 2; s < d.size(); ++s) kernel.push_back(1 + pick(3)), strides.push_back(1 + pick(2));
  for (int half = 0; half < 2; ++half)
    for (int64_t k : kernel) pads.push_back(pick(static_cast<int>(k)));
  Attrs attrs{{"kernel_shape", kernel}, {"strides", strides}, {"pads", pads}, {"ceil_mode", int64_t{pick(2)}}};
  if (chance(25)) add("global_average_pool", {x});
  else if (chance(50)) add("max_pool", {x}, attrs);
  else attrs.set("count_include_pad", int64_t{pick(2)}), add("average_pool", {x}, attrs);
}

void RandomGraph::movement() {
  int x = any_float(), rank = this->rank(x);
  if (rank == 0) return;
  std::vector<int64_t> d = dims(x);
  int axis = pick(rank);
  int64_t e = d[static_cast<size_t>(axis)];
  switch (pick(8)) {
    case 0: {
      std::vector<int64_t> perm(static_cast<size_t>(rank));
      std::iota(perm.begin(), perm.end(), 0);
      std::shuffle(perm.begin(), perm.end(), rng_);
      add("transpose", {x}, {{"perm", perm}});
      break;
    }
    case 1: {  // merges neighbours, or everything
      std::vector<int64_t> to(d.size(), 0);
      if (rank > 1 && chance(60)) to.resize(static_cast<size_t>(rank) - 1), to.back() = -1;
      else to = {-1};
      add("reshape", {x, ints(to)});
      break;
    }
    case 2: {
      int64_t begin = pick(static_cast<int>(e)), end = begin + 1 + pick(static_cast<int>(e - begin)),
              step = 1 + pick(2);
      if (chance(25)) add("slice", {x, ints({-1}), ints({INT64_MIN + 1}), ints({axis}), ints({-step})});
      else add("slice", {x, ints({begin}), ints({end}), ints({axis}), ints({step})});
      break;
    }
    case 3: {
      std::vector<int64_t> other = d;
      other[static_cast<size_t>(axis)] = 1 + pick(6);
      std::vector<int> parts = {x, weights(other, 1)};
      if (chance(40)) parts.push_back(x);
      if (chance(50)) std::swap(parts[0], parts[1]);
      add("concat", parts, {{"axis", int64_t{axis}}});
      break;
    }
    case 4: {
      std::vector<int64_t> pads(static_cast<size_t>(2 * rank), 0);
      for (int64_t& p : pads)
        if (chance(50)) p = pick(3);
      static const char* kModes[] = {"constant", "edge", "reflect"};
      add("pad", {x, ints(pads)}, {{"mode", std::string(kModes[pick(3)])}});
      break;
    }
    case 5: {
      std::vector<int64_t> parts;
      if (e < 2) return;
      parts.push_back(1 + pick(static_cast<int>(e - 1)));
      parts.push_back(e - parts[0]);
      add("split", {x, ints(parts)}, {{"axis", int64_t{axis}}}, 2);
      break;
    }
    case 6: {
      std::vector<int64_t> index;
      for (int k = 1 + pick(5); k > 0; --k) index.push_back(pick(static_cast<int>(e)) - (chance(30) ? e : 0));
      add("gather", {x, ints(index)}, {{"axis", int64_t{axis}}});
      break;
    }
    default: {
      if (rank > 3) return;
      int u = add("unsqueeze", {x, ints({axis})});
      std::vector<int64_t> to(static_cast<size_t>(rank) + 1, 1);
      to[static_cast<size_t>(axis)] = 1 + pick(3);
      if (u >= 0) add("expand", {u, ints(to)});
      break;
    }
  }
}

void RandomGraph::normalisation() {
  int x = any_float(), rank = this->rank(x);
  if (rank == 0) return;
  std::vector<int64_t> d = dims(x);
  int choice = pick(4);
  if (choice == 0) {
    add("softmax", {x}, {{"axis", int64_t{chance(70) ? -1 : pick(rank)}}});
  } else if (choice == 1) {
    add("layer_normalization", {x, weights({d.back()}, 1), weights({d.back()}, 1)},
        {{"axis", int64_t{-1}}, {"epsilon", 0.01}});
  } else if (choice == 2 && rank >= 3) {
    add("instance_normalization", {x, weights({d[1]}, 1), weights({d[1]}, 1)}, {{"epsilon", 0.01}});
  } else {
    add("rms_normalization", {x, weights({d.back()}, 1)}, {{"axis", int64_t{-1}}, {"epsilon", 0.01}});
  }
}

void RandomGraph::integer() {
  int64_t m = extent(), k = extent(), n = extent();
  if (chance(50)) {
    int a = input(chance(50) ? DType::U8 : DType::I8, {m, k});
    int b = constant(random_tensor(rng_, chance(50) ? DType::U8 : DType::I8, {k, n}, 1));
    int y = add("mat_mul_integer", {a, b});
    if (y >= 0) add("cast", {y}, {{"to", int64_t{1}}});
    return;
  }
  int a = input(DType::I32, {m, k}), b = input(DType::I32, {chance(50) ? 1 : m, k});
  static const char* kOps[] = {"add", "mul", "max", "div", "mod"};
  int y = add(kOps[pick(5)], {a, b});
  if (y >= 0) y = add("reduce_sum", {y, ints({pick(2)})}, {{"keepdims", int64_t{pick(2)}}});
  if (y >= 0) add("cast", {y}, {{"to", int64_t{1}}});
}

void RandomGraph::half() {
  int x = any_float();
  int h = add("cast", {x}, {{"to", int64_t{10}}});
  if (h < 0 || dims(h).empty()) return;
  half_ = true;
  int64_t k = dims(h).back();
  int y = -1;
  if (chance(50)) {
    int w = add("cast", {weights({k, extent()}, 1 / std::sqrt(static_cast<double>(k)))}, {{"to", int64_t{10}}});
    y = w < 0 ? -1 : add("mat_mul", {h, w});
  } else {
    y = add(chance(50) ? "tanh" : "relu", {h});
  }
  if (y >= 0) add("cast", {y}, {{"to", int64_t{1}}});
}

}  // namespace ingot::test
