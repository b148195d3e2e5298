#include "frontend/onnx/value.h"

#include <gtest/gtest.h>

#include "tests/frontend/onnx_builder.h"

namespace ingot::onnx {
namespace {

using build::bytes_of;

HostValue floats(std::vector<float> v) {
  auto t = TensorData::make(DType::F32, {static_cast<int64_t>(v.size())});
  std::copy(v.begin(), v.end(), t->mutable_as<float>());
  return HostValue::of(t);
}

Type scalar_type() { return Type::of({DType::F32, {}}); }

bool same(const HostValue& a, const HostValue& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size() || !a.tensor != !b.tensor) return false;
  if (a.tensor && (a.tensor->dims != b.tensor->dims || a.tensor->strings != b.tensor->strings ||
                   !std::equal(a.tensor->bytes, a.tensor->bytes + a.tensor->size_bytes, b.tensor->bytes)))
    return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!same(a.items[i], b.items[i])) return false;
  return true;
}

TEST(Value, EveryKindComesBack) {
  auto keys = TensorData::make(DType::String, {2});
  keys->strings = {"cat", "dog"};
  Type t = scalar_type();
  struct Case {
    HostValue value;
    Type type;
  };
  const Case cases[] = {
      {floats({1, 2}), t},
      {HostValue::sequence({}), Type::sequence(t)},
      {HostValue::sequence({floats({1}), floats({2, 3})}), Type::sequence(t)},
      {HostValue::sequence({HostValue::sequence({floats({1})}), HostValue::sequence({})}),
       Type::sequence(Type::sequence(t))},
      {HostValue::optional({}), Type::optional(t)},
      {HostValue::optional({floats({4})}), Type::optional(t)},
      {HostValue::optional({HostValue::sequence({floats({4})})}), Type::optional(Type::sequence(t))},
      {HostValue::map(HostValue::of(keys), HostValue::sequence({floats({1}), floats({2})})),
       Type::map(DType::String, t)},
  };
  for (const Case& c : cases) {
    std::string encoded = write_value(c.value, "v");
    auto back = read_value(bytes_of(encoded), c.type, nullptr);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->name, "v");
    EXPECT_TRUE(same(back->value, c.value)) << c.type.str();
  }
}

TEST(Value, MapsCountTheirKeys) {
  FieldWriter w, values;
  w.varint(2, 7);
  w.varint(3, 1);
  w.varint(3, 2);
  values.varint(2, 1);
  values.bytes(3, std::string_view(build::floats("", {1}, {1})));
  w.message(5, values);
  auto v = read_value(bytes_of(w.data()), Type::map(DType::I64, scalar_type()), nullptr);
  ASSERT_FALSE(v);
  EXPECT_EQ(v.error().message, "map of 2 keys and 1 values");
}

}  // namespace
}  // namespace ingot::onnx
