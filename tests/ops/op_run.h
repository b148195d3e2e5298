// Runs one operator through inference, lowering and the interpreter. Each run is done twice, with constant extents and with
// every extent of the (not constant) inputs a symbol, and both must agree.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "ir/ops/def.h"
#include "ir/ops/evaluate.h"

namespace ingot::test {

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::F32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::F64;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::I64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::I32;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::I16;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::I8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::U8;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::U16;
};
template <>
struct DTypeOf<uint64_t> {
  static constexpr DType value = DType::U64;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::Bool;
};

using Shape = std::vector<int64_t>;

template <class T>
TensorRef tensor(Shape dims, const std::vector<T>& values) {
  auto t = TensorData::make(DTypeOf<T>::value, std::move(dims));
  EXPECT_EQ(t->elements(), static_cast<int64_t>(values.size()));
  for (size_t k = 0; k < values.size(); ++k) t->template mutable_as<T>()[k] = values[k];
  return t;
}
inline TensorRef strings(Shape dims, std::vector<std::string> values) {
  auto t = TensorData::make(DType::String, std::move(dims));
  t->strings = std::move(values);
  return t;
}
// Distinct, of both signs, none a whole number.
inline TensorRef floats(Shape dims, double scale = 1) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  uint32_t state = 12345 + static_cast<uint32_t>(t->elements());
  for (int64_t k = 0; k < t->elements(); ++k) {
    state = state * 1664525 + 1013904223;
    t->mutable_as<float>()[k] = static_cast<float>(scale * (static_cast<double>(state >> 8) / (1 << 23) - 1));
  }
  return t;
}

struct Arg {
  TensorRef data;
  bool constant = false;
  Arg() = default;
  Arg(TensorRef t) : data(std::move(t)) {}
  Arg(std::shared_ptr<TensorData> t) : data(std::move(t)) {}
};
inline Arg constant(TensorRef t) {
  Arg a(std::move(t));
  a.constant = true;
  return a;
}
inline Arg ints(std::vector<int64_t> v) { return constant(tensor<int64_t>({static_cast<int64_t>(v.size())}, v)); }
inline Arg scalar(int64_t v) { return constant(tensor<int64_t>({}, {v})); }

struct Call {
  std::string op;
  std::vector<Arg> inputs;
  Attrs attrs;
  int outputs = 1;
  bool dynamic = true;  // also with symbolic extents
  std::vector<int> unasked = {};  // outputs that the node leaves out
};

// `ranks`: what the model declares of its outputs; none: nothing.
inline Result<std::vector<TensorRef>> run_once(const Call& call, bool dynamic, const std::vector<int>& ranks = {}) {
  Graph g;
  auto node = std::make_unique<Node>();
  node->def = find_op(call.op);
  if (!node->def) return invalid("no operator '{}'", call.op);
  node->attrs = call.attrs;
  node->name = "n";
  std::vector<HostValue> values;
  for (size_t k = 0; k < call.inputs.size(); ++k) {
    const Arg& a = call.inputs[k];
    std::string name = "x" + std::to_string(k);
    if (!a.data) {
      node->inputs.push_back(nullptr);
    } else if (a.constant) {
      node->inputs.push_back(g.new_constant(name, a.data));
    } else {
      TensorType type = a.data->type();
      for (size_t d = 0; dynamic && d < type.dims.size(); ++d)
        type.dims[d] = Dim(Dim::symbol(name + "_" + std::to_string(d)));
      Value* v = g.new_value(name, Type::of(type));
      g.body.inputs.push_back(v);
      node->inputs.push_back(v);
      values.push_back(HostValue::of(a.data));
    }
  }
  auto is_asked = [&](int k) { return std::find(call.unasked.begin(), call.unasked.end(), k) == call.unasked.end(); };
  for (int k = 0; k < call.outputs; ++k) {
    if (!is_asked(k)) {
      node->outputs.push_back(nullptr);
      continue;
    }
    Value* v = g.new_value("y" + std::to_string(k));
    v->producer = node.get();
    v->output_index = k;
    if (static_cast<size_t>(k) < ranks.size()) v->declared_rank = ranks[static_cast<size_t>(k)];
    node->outputs.push_back(v);
    g.body.outputs.push_back(v);
  }
  g.body.nodes.push_back(std::move(node));
  TRY(infer_and_expand(g));
  k::Program p = TRY(lower_to_kernels(g));
  TRY(k::verify(p));
  const std::vector<HostValue> made = TRY(run_program(p, std::move(values)));
  std::vector<TensorRef> results;
  for (int k = 0, next = 0; k < call.outputs; ++k)
    results.push_back(is_asked(k) ? made[static_cast<size_t>(next++)].tensor : nullptr);
  return results;
}

inline bool same(const TensorData& a, const TensorData& b) {
  return a.dtype == b.dtype && a.dims == b.dims && a.strings == b.strings && a.size_bytes == b.size_bytes &&
         (a.size_bytes == 0 || a.dtype == DType::String ||
          std::memcmp(a.bytes, b.bytes, static_cast<size_t>(a.size_bytes)) == 0);
}

inline std::vector<TensorRef> run(const Call& call) {
  auto fixed = run_once(call, false);
  EXPECT_TRUE(fixed) << call.op << ": " << (fixed ? "" : fixed.error().message);
  if (!fixed) return std::vector<TensorRef>(static_cast<size_t>(call.outputs), TensorData::make(DType::F32, {0}));
  if (call.dynamic) {
    std::vector<int> ranks;
    for (const TensorRef& t : *fixed) ranks.push_back(t ? static_cast<int>(t->dims.size()) : -1);
    auto free = run_once(call, true, ranks);
    EXPECT_TRUE(free) << call.op << " with symbolic extents: " << (free ? "" : free.error().message);
    for (size_t k = 0; free && k < fixed->size(); ++k) {
      if (!(*fixed)[k]) continue;
      EXPECT_TRUE(same(*(*fixed)[k], *(*free)[k])) << call.op << ": result " << k << " differs with symbolic extents";
    }
  }
  return *fixed;
}
inline TensorRef run1(std::string op, std::vector<Arg> inputs, Attrs attrs = {}, bool dynamic = true) {
  return run({std::move(op), std::move(inputs), std::move(attrs), 1, dynamic})[0];
}
inline std::string error_of(std::string op, std::vector<Arg> inputs, Attrs attrs = {}) {
  auto r = run_once({std::move(op), std::move(inputs), std::move(attrs), 1, false}, false);
  return r ? "" : r.error().message;
}

// Element by element; `at(index)` gives the expected number.
using At = std::function<double(const Shape& index)>;
inline void expect_is(const TensorRef& y, const Shape& dims, const At& at, double tolerance = 1e-5) {
  ASSERT_EQ(y->dims, dims);
  Shape index(dims.size(), 0);
  for (int64_t k = 0; k < y->elements(); ++k) {
    int64_t rest = k;
    for (size_t d = dims.size(); d-- > 0;) index[d] = rest % dims[d], rest /= dims[d];
    double expected = at(index), got = y->number(k);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got)) << "element " << k;
    } else if (expected != got) {
      ASSERT_NEAR(got, expected, tolerance * (1 + std::abs(expected))) << "element " << k;
    }
  }
}
// x at a multi-dimensional index.
inline double number_at(const TensorRef& x, const Shape& index) {
  int64_t flat = 0;
  for (size_t d = 0; d < index.size(); ++d) flat = flat * x->dims[d] + index[d];
  return x->number(flat);
}
template <class T>
std::vector<T> values(const TensorRef& t) {
  EXPECT_EQ(t->dtype, DTypeOf<T>::value);
  return std::vector<T>(t->template as<T>(), t->template as<T>() + t->elements());
}

}  // namespace ingot::test
