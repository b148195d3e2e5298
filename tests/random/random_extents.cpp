// Extents that only the contents of a value decide, arguments that the run brings, and what else has its own schedule.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/random/random_graph.h"
#include "tests/random/random_values.h"

namespace ingot::test {

namespace {

constexpr int64_t kF32 = 1, kU8 = 2, kI8 = 3, kI32 = 6, kI64 = 7, kBool = 9;  // of ONNX's enumeration

std::shared_ptr<TensorData> i64s(const std::vector<int64_t>& values) {
  auto t = TensorData::make(DType::I64, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t->mutable_as<int64_t>());
  return t;
}

}  // namespace

int RandomGraph::argument(std::vector<int64_t> values) {
  if (chance(20) || values.empty()) return ints(values);
  auto fresh = [&](std::vector<int64_t> v) {
    Item i;
    i.value = HostValue::of(i64s(v));
    i.role = Role::Argument;
    i.scale = 3;
    i.symbolic = {false};
    return item(std::move(i));
  };
  if (chance(55)) return fresh(values);
  // Some are extents of values, or follow from them.
  std::vector<int> parts;
  for (int64_t want : values) {
    std::vector<std::pair<int, int>> found;
    for (int v : floats_)
      for (int d = 0; d < rank(v); ++d)
        if (const int64_t e = dims(v)[static_cast<size_t>(d)]; e == want || (e > want && want > 0 && e - want < 4))
          found.emplace_back(v, d);
    if (found.empty() || chance(20)) {
      parts.push_back(chance(50) ? ints({want}) : fresh({want}));
      continue;
    }
    const auto [v, d] = found[static_cast<size_t>(pick(static_cast<int>(found.size())))];
    int p = add("shape", {v}, {{"start", int64_t{d}}, {"end", int64_t{d + 1}}});
    const int64_t e = dims(v)[static_cast<size_t>(d)];
    if (p >= 0 && e != want) p = add("sub", {p, ints({e - want})});
    if (p < 0) return ints(values);
    parts.push_back(p);
  }
  return parts.size() == 1 ? parts[0] : add("concat", parts, {{"axis", int64_t{0}}});
}

int RandomGraph::argument(int64_t value) {
  const int v = argument(std::vector<int64_t>{value});
  return v < 0 ? v : add("reshape", {v, ints({})});
}

int RandomGraph::condition(int64_t n) {
  if (chance(60)) {
    static const double kShare[] = {0, 0.1, 0.5, 0.5, 0.9, 1};
    return input(DType::Bool, {n}, kShare[pick(6)]);
  }
  for (int v : floats_)
    if (exact(v) && rank(v) >= 1 && dims(v).back() == n && chance(50)) {
      int row = v;
      while (row >= 0 && rank(row) > 1) row = add("reduce_max", {row, ints({0})}, {{"keepdims", int64_t{0}}});
      return row < 0 ? -1 : add("greater", {row, scalar(DType::F32, chance(50) ? 0 : 0.7)});
    }
  const int x = input(DType::I64, {n}, 2);
  return add("cast", {x}, {{"to", kBool}});
}

void RandomGraph::selection() {
  const int choice = pick(8);
  if (choice <= 2) {
    const int x = any_float(1), axis = pick(rank(x));
    int64_t n = dims(x)[static_cast<size_t>(axis)];
    if (chance(10) && n > 1) --n;  // the rest is not selected
    const int c = condition(n);
    if (c >= 0) add("compress", {x, c}, {{"axis", int64_t{chance(70) ? axis : axis - rank(x)}}});
  } else if (choice == 3) {
    const int x = any_float(1);
    const int c = condition(std::min<int64_t>(product_of(dims(x)), 50));
    if (c >= 0) add("compress", {x, c});
  } else if (choice == 4) {  // where a condition holds: indices, and what lies there
    int x = exact_float(1);
    if (rank(x) > 3) return;
    const int c = add("greater", {x, scalar(DType::F32, one_of({-2.0, 0.0, 0.5, 0.9, 2.0}))});
    const int at = c < 0 ? -1 : add("non_zero", {c});
    if (at < 0) return;
    if (chance(30)) {
      const int f = add("cast", {at}, {{"to", kF32}});
      if (f >= 0) floats_.push_back(f);
      return;
    }
    const int t = add("transpose", {at}, {{"perm", std::vector<int64_t>{1, 0}}});
    if (t < 0) return;
    int from = x;
    for (int v : floats_)
      if (dims(v) == dims(x) && chance(50)) from = v;
    add("gather_nd", {from, t});
  } else if (choice == 5) {
    const int x = exact_float(1);
    int r = x;
    if (chance(80)) {
      r = add("cast", {x}, {{"to", kI64}});
      if (r < 0) return;
      if (chance(50)) r = add("cast", {r}, {{"to", kF32}});
      if (r < 0) return;
    }
    Attrs attrs{{"sorted", int64_t{pick(2)}}};
    if (chance(40)) attrs.set("axis", int64_t{pick(rank(r))});
    const int outputs = 1 + pick(4);
    const int y = add("unique", {r}, attrs, outputs);
    if (y < 0) return;
    const int k = pick(outputs);
    const int v = y + k;
    if (k == 0 && at(v).dtype == DType::F32) return;
    add("cast", {v}, {{"to", kF32}});
  } else if (choice == 6) {
    const int x = exact_float(1), axis = pick(rank(x));
    const int64_t n = dims(x)[static_cast<size_t>(axis)];
    const int k = argument(std::vector<int64_t>{chance(20) ? n : pick(static_cast<int>(std::min<int64_t>(n, 20) + 1))});
    if (k < 0) return;
    const int y = add("top_k", {x, k}, {{"axis", int64_t{axis}}, {"largest", int64_t{pick(2)}}}, 2);
    if (y >= 0 && chance(30)) add("cast", {y + 1}, {{"to", kF32}});
  } else {
    const int x = any_float(1), axis = pick(rank(x));
    const int c = condition(dims(x)[static_cast<size_t>(axis)]);
    int at = c < 0 ? -1 : add("non_zero", {c});
    if (at >= 0) at = add("squeeze", {at, ints({0})});
    if (at >= 0) add("gather", {x, at}, {{"axis", int64_t{axis}}});
  }
}

void RandomGraph::arguments() {
  const int x = any_float(1), r = rank(x), axis = pick(r);
  const std::vector<int64_t> d = dims(x);
  const int64_t e = d[static_cast<size_t>(axis)];
  switch (pick(11)) {
    case 0:
    case 1: {
      const int64_t begin = pick(static_cast<int>(e) + 1), end = begin + pick(static_cast<int>(e - begin) + 1);
      const int64_t step = one_of<int64_t>({1, 1, 1, 2, 3, -1, -2});
      const bool back = step < 0;
      const int b = argument(std::vector<int64_t>{back ? end - 1 : (chance(30) ? begin - e : begin)});
      const int s = argument(std::vector<int64_t>{back ? begin - 1 - e : (chance(20) ? INT64_MAX : end)});
      if (b < 0 || s < 0) return;
      add("slice", {x, b, s, ints({axis}), chance(70) ? ints({step}) : argument(std::vector<int64_t>{step})});
      break;
    }
    case 2: {
      std::vector<int64_t> pads(static_cast<size_t>(2 * r), 0);
      for (int64_t& p : pads)
        if (chance(40)) p = pick(5) - 1;
      const int p = argument(pads);
      if (p < 0) return;
      add("pad", {x, p}, {{"mode", std::string(one_of({"constant", "constant", "edge", "reflect", "wrap"}))}});
      break;
    }
    case 3: {
      std::vector<int64_t> reps(static_cast<size_t>(r), 1);
      reps[static_cast<size_t>(axis)] = pick(4);
      const int a = argument(reps);
      if (a >= 0) add("tile", {x, a});
      break;
    }
    case 4: {
      int u = x;
      if (r < 4 && chance(60)) u = add("unsqueeze", {x, ints({axis})});
      if (u < 0) return;
      std::vector<int64_t> to = dims(u);
      for (int64_t& t : to) t = t == 1 ? one_of<int64_t>({1, 2, 3, extent(), 0}) : (chance(50) ? 1 : t);
      const int a = argument(to);
      if (a >= 0) add("expand", {u, a});
      break;
    }
    case 5: {
      if (r < 3) return;
      std::vector<int64_t> to = d;
      for (size_t k = 2; k < to.size(); ++k) to[k] = 1 + pick(12);
      const char* mode = one_of({"nearest", "linear"});
      Attrs attrs{
          {"mode", std::string(mode)},
          {"coordinate_transformation_mode", std::string(one_of({"asymmetric", "half_pixel", "align_corners"}))},
          {"nearest_mode", std::string("floor")}};
      const int a = argument(to);
      if (a >= 0) add("resize", {x, -1, -1, a}, attrs);
      break;
    }
    case 6: {
      const int limit = argument(int64_t{pick(40)});
      const int start = argument(int64_t{pick(3)}),
                delta = chance(50) ? scalar(DType::I64, 1) : argument(int64_t{1 + pick(3)});
      if (limit < 0 || start < 0 || delta < 0) return;
      const int y = add("range", {start, limit, delta});
      if (y >= 0) add("cast", {y}, {{"to", kF32}});
      break;
    }
    case 7: {
      std::vector<int64_t> to = d;
      if (r > 1 && chance(60)) {
        const size_t k = static_cast<size_t>(pick(r - 1));
        to[k] *= to[k + 1];
        to.erase(to.begin() + static_cast<long>(k) + 1);
      } else {
        for (int64_t p : {2, 3, 5})
          if (e > 0 && e % p == 0) {
            to[static_cast<size_t>(axis)] = e / p;
            to.insert(to.begin() + axis + pick(2), p);
            break;
          }
      }
      if (chance(40)) to[static_cast<size_t>(pick(static_cast<int>(to.size())))] = -1;
      const int a = argument(to);
      if (a >= 0) add("reshape", {x, a});
      break;
    }
    case 8: {
      std::vector<int64_t> to(static_cast<size_t>(1 + pick(3)));
      for (int64_t& t : to) t = chance(30) ? extent() : pick(6);
      if (product_of(to) > kMaxRandomElements / 8) return;
      const int a = argument(to);
      auto v = TensorData::make(DType::F32, {1});
      *v->mutable_as<float>() = 0.5f;
      if (a >= 0) add("constant_of_shape", {a}, {{"value", TensorRef(v)}});
      break;
    }
    case 9: {
      if (e < 1) return;
      const int64_t first = pick(static_cast<int>(e) + 1);
      const int a = argument(std::vector<int64_t>{first, e - first});
      if (a >= 0) add("split", {x, a}, {{"axis", int64_t{axis}}}, 2);
      break;
    }
    default: {
      if (e < 1) return;
      std::vector<int64_t> index;
      for (int k = 1 + pick(5); k > 0; --k) index.push_back(pick(static_cast<int>(e)) - (chance(30) ? e : 0));
      const int a = argument(index);
      if (a >= 0) add("gather", {x, a}, {{"axis", int64_t{axis}}});
    }
  }
}

void RandomGraph::sequences() {
  const int x = any_float(1), axis = pick(rank(x));
  const int64_t e = dims(x)[static_cast<size_t>(axis)];
  int s = -1;
  if (chance(50)) {
    int parts = -1;
    if (chance(60)) parts = argument(int64_t{1 + pick(4)});
    if (e > 12 && parts < 0) return;
    s = add("split_to_sequence", {x, parts}, {{"axis", int64_t{axis}}, {"keepdims", int64_t{1}}});
  } else {
    std::vector<int> parts = {x};
    for (int k = pick(3); k > 0; --k) {
      std::vector<int64_t> d = dims(x);
      d[static_cast<size_t>(axis)] = chance(30) ? e : pick(5);
      parts.push_back(weights(d, 1));
    }
    s = add("sequence_construct", parts);
  }
  if (s < 0) return;
  const auto count = [&](int v) { return static_cast<int>(items_[static_cast<size_t>(v)].value.items.size()); };
  if (chance(40)) {
    std::vector<int64_t> d = dims(x);
    d[static_cast<size_t>(axis)] = pick(6);
    const int y = chance(50) ? x : weights(d, 1);
    const int p = chance(50) || count(s) == 0 ? -1 : argument(int64_t{pick(count(s))});
    s = add("sequence_insert", {s, y, p});
  } else if (chance(30) && count(s) > 1) {
    s = add("sequence_erase", {s, argument(int64_t{pick(count(s))})});
  }
  if (s < 0) return;
  if (chance(25) && count(s) > 0) add("sequence_at", {s, argument(int64_t{pick(count(s))})});
  if (chance(80)) {
    const bool stack = chance(25);
    add("concat_from_sequence", {s},
        {{"axis", int64_t{stack ? pick(rank(x) + 1) : axis}}, {"new_axis", int64_t{stack}}});
  }
}

// Two values whose extents agree only because the same data decided them, or one of which is 1.
void RandomGraph::alike() {
  const int x = any_float(1), axis = pick(rank(x));
  const int64_t e = dims(x)[static_cast<size_t>(axis)];
  const int c = condition(e);
  if (c < 0) return;
  int other = x;
  if (chance(60)) {
    std::vector<int64_t> d = dims(x);
    other = weights(d, 1);
  }
  const int a = add("compress", {x, c}, {{"axis", int64_t{axis}}});
  int b = -1;
  if (chance(70)) {
    b = add("compress", {other, c}, {{"axis", int64_t{axis}}});
  } else {  // one, or as many
    const int k = argument(std::vector<int64_t>{1});
    if (k >= 0) b = add("slice", {other, ints({0}), k, ints({axis})});
  }
  if (a < 0 || b < 0) return;
  if (chance(60)) add(one_of({"add", "mul", "max", "sub"}), {a, b});
  else add("concat", {a, b}, {{"axis", int64_t{axis}}});
}

void RandomGraph::scattering() {
  const int x = any_float(1), r = rank(x), axis = pick(r);
  const std::vector<int64_t> d = dims(x);
  const int64_t e = d[static_cast<size_t>(axis)];
  if (e < 1) return;
  const bool sum = chance(40);
  std::vector<int64_t> rows;  // without repetition, so that the order does not count
  for (int64_t k = 0; k < std::min<int64_t>(e, 40); ++k)
    if (chance(40)) rows.push_back(k);
  std::shuffle(rows.begin(), rows.end(), rng_);
  if (chance(50)) {  // whole rows of the first axis
    if (d[0] < 1 || axis != 0) return;
    auto index = TensorData::make(DType::I64, {static_cast<int64_t>(rows.size()), 1});
    std::copy(rows.begin(), rows.end(), index->mutable_as<int64_t>());
    std::vector<int64_t> u = d;
    u[0] = static_cast<int64_t>(rows.size());
    Attrs attrs;
    if (sum) attrs.set("reduction", std::string(one_of({"add", "max", "mul"})));
    add("scatter_nd", {x, constant(index), weights(u, 1)}, attrs);
    return;
  }
  std::vector<int64_t> u = d;
  u[static_cast<size_t>(axis)] = static_cast<int64_t>(rows.size());
  auto index = TensorData::make(DType::I64, u);
  int64_t inner = 1;
  for (int k = axis + 1; k < r; ++k) inner *= d[static_cast<size_t>(k)];
  for (int64_t i = 0; i < index->elements(); ++i)  // none where there are no rows
    index->mutable_as<int64_t>()[i] =
        rows[static_cast<size_t>(i / inner % static_cast<int64_t>(rows.size()))] - (chance(10) ? e : 0);
  Attrs attrs{{"axis", int64_t{axis}}};
  if (sum) attrs.set("reduction", std::string(one_of({"add", "max"})));
  if (chance(40)) add("gather_elements", {x, constant(index)}, {{"axis", int64_t{axis}}});
  else add("scatter_elements", {x, constant(index), weights(u, 1)}, attrs);
}

// Sums of bytes, as quantised models have them.
void RandomGraph::quantised() {
  const int x = exact_float(1);
  const double scale = 1.0 / 64;
  const bool is_signed = chance(50);
  auto zero = [&](double v) {
    auto t = TensorData::make(is_signed ? DType::I8 : DType::U8, {});
    *t->mutable_as<int8_t>() = static_cast<int8_t>(v);
    return constant(t);
  };
  const int z = zero(is_signed ? pick(5) - 2 : 128 - pick(3));
  const int q = add("quantize_linear", {x, scalar(DType::F32, scale), z});
  const int f = q < 0 ? -1 : add("dequantize_linear", {q, scalar(DType::F32, scale), z});
  if (f < 0 || rank(f) < 1) return;
  const int64_t k = dims(f).back(), n = extent();
  auto bytes = random_tensor(rng_, DType::I8, {k, n}, 1);
  int s, wz;
  if (chance(50)) {
    auto scales = TensorData::make(DType::F32, {n});
    for (int64_t i = 0; i < n; ++i) scales->mutable_as<float>()[i] = static_cast<float>(0.01 + 0.001 * pick(10));
    auto zeros = TensorData::make(DType::I8, {n});
    s = constant(scales), wz = constant(zeros);
  } else {
    s = scalar(DType::F32, 0.01);
    auto t = TensorData::make(DType::I8, {});
    *t->mutable_as<int8_t>() = static_cast<int8_t>(pick(3) - 1);
    wz = constant(t);
  }
  if (rank(f) == 4 && chance(50)) {
    const int64_t in = dims(f)[1], out = 1 + pick(20);
    if (in > 40) return;
    const int w = constant(random_tensor(rng_, DType::I8, {out, in, 3, 3}, 1));
    const int wf = add("dequantize_linear", {w, scalar(DType::F32, 0.01)});
    if (wf >= 0) add("conv", {f, wf}, {{"pads", std::vector<int64_t>(4, pick(2))}});
    return;
  }
  const int wf = add("dequantize_linear", {constant(bytes), s, wz}, {{"axis", int64_t{1}}});
  if (wf < 0) return;
  const int y = add("mat_mul", {f, wf});
  if (y >= 0 && chance(50)) add("relu", {y});
}

void RandomGraph::recurrent() {
  int x = chance(60) ? any_float(3) : -1;
  if (x < 0 || rank(x) != 3 || dims(x)[2] > 70 || dims(x)[0] > 20 || dims(x)[1] > 20) {
    x = input(DType::F32,
              {one_of<int64_t>({1, 2, 3, 7}), one_of<int64_t>({1, 2, 5}), one_of<int64_t>({1, 3, 8, 17, 32})});
    items_.back().symbolic = {chance(70), chance(70), false};
    floats_.push_back(x);
  }
  const std::vector<int64_t> d = dims(x);
  const int64_t hidden = one_of<int64_t>({1, 4, 8, 15, 16, 33}), directions = chance(30) ? 2 : 1;
  const int kind = pick(3);
  const int64_t gates = std::initializer_list<int64_t>{4, 3, 1}.begin()[kind];
  const char* op = std::initializer_list<const char*>{"lstm", "gru", "rnn"}.begin()[kind];
  auto weight = [&](std::vector<int64_t> w) { return constant(random_tensor(rng_, DType::F32, std::move(w), 0.4)); };
  std::vector<int> in = {x, weight({directions, gates * hidden, d[2]}), weight({directions, gates * hidden, hidden}),
                         chance(60) ? weight({directions, 2 * gates * hidden}) : -1};
  if (chance(30)) {
    auto lengths = TensorData::make(DType::I32, {d[1]});
    for (int64_t k = 0; k < d[1]; ++k)
      lengths->mutable_as<int32_t>()[k] = static_cast<int32_t>(1 + pick(static_cast<int>(std::max<int64_t>(d[0], 1))));
    in.push_back(constant(lengths));
  } else {
    in.push_back(-1);
  }
  if (chance(40)) in.push_back(input(DType::F32, {directions, d[1], hidden}));
  Attrs attrs{{"hidden_size", hidden},
              {"direction", std::string(directions == 2 ? "bidirectional" : one_of({"forward", "reverse"}))}};
  if (kind == 1) attrs.set("linear_before_reset", int64_t{pick(2)});
  add(op, in, attrs, kind == 0 ? 3 : 2);
}

}  // namespace ingot::test
