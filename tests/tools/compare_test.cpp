#include "tools/driver/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tools/driver/expression.h"
#include "tools/driver/text.h"

namespace ingot::driver {
namespace {

HostValue floats(std::vector<float> values) {
  auto t = TensorData::make(DType::F32, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) t->mutable_as<float>()[i] = values[i];
  return HostValue::of(std::move(t));
}
HostValue integers(DType dtype, std::vector<uint8_t> values) {
  auto t = TensorData::make(dtype, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) t->mutable_bytes()[i] = values[i];
  return HostValue::of(std::move(t));
}
Tolerance with(Tolerance::Profile p, bool quantized = false) { return {p, {}, {}, quantized}; }
using P = Tolerance::Profile;

TEST(Compare, node_is_relative_per_element) {
  EXPECT_TRUE(compare(floats({1000.9f, 1}), floats({1000, 1}), with(P::Node)).equal);
  const Comparison c = compare(floats({1000, 1.002f, 7}), floats({1000, 1, 8}), with(P::Node));
  EXPECT_FALSE(c.equal);
  EXPECT_EQ(c.reason, "[1]: got 1.002, expected 1 (2 of 3 elements differ, by up to 1)");
}

TEST(Compare, model_allows_a_share_of_the_largest) {
  EXPECT_FALSE(compare(floats({1000, 0.5f}), floats({1000, 0}), with(P::Node)).equal);
  EXPECT_TRUE(compare(floats({1000, 0.5f}), floats({1000, 0}), with(P::Model)).equal);
  EXPECT_FALSE(compare(floats({1000, 1.5f}), floats({1000, 0}), with(P::Model)).equal);
}

TEST(Compare, quantized_models_allow_a_share_of_the_range) {
  EXPECT_TRUE(compare(floats({10, -9.3f}), floats({10, -10}), with(P::Model, true)).equal);   // 4 % of 20
  EXPECT_FALSE(compare(floats({10, -9.1f}), floats({10, -10}), with(P::Model, true)).equal);
  EXPECT_TRUE(compare(integers(DType::U8, {0, 104}), integers(DType::U8, {0, 100}), with(P::Model, true)).equal);
  EXPECT_FALSE(compare(integers(DType::U8, {0, 104}), integers(DType::U8, {0, 100}), with(P::Model)).equal);
}

TEST(Compare, topology_uses_the_standard_deviation) {
  EXPECT_TRUE(compare(floats({1, -1.0105f}), floats({1, -1}), with(P::Topology)).equal);
  EXPECT_FALSE(compare(floats({1, -1.0115f}), floats({1, -1}), with(P::Topology)).equal);
}

TEST(Compare, argmax_sees_the_position_only) {
  EXPECT_TRUE(compare(floats({1, 5, 2}), floats({10, 11, 9}), with(P::Argmax)).equal);
  EXPECT_EQ(compare(floats({1, 5, 2}), floats({12, 11, 9}), with(P::Argmax)).reason,
            "row 0: the largest is at 1, expected 0");
}

TEST(Compare, nan_equals_nan_and_infinities_themselves) {
  EXPECT_TRUE(compare(floats({NAN, INFINITY}), floats({NAN, INFINITY}), with(P::Node)).equal);
  EXPECT_FALSE(compare(floats({NAN}), floats({1}), with(P::Node)).equal);
  EXPECT_FALSE(compare(floats({1}), floats({NAN}), with(P::Model)).equal);
  EXPECT_FALSE(compare(floats({INFINITY}), floats({-INFINITY}), with(P::Model)).equal);
  EXPECT_FALSE(compare(floats({1e30f}), floats({INFINITY}), with(P::Topology)).equal);
}

TEST(Compare, types_and_shapes_must_be_the_same) {
  EXPECT_EQ(compare(floats({1, 2}), floats({1}), with(P::Node)).reason, "got f32[2], expected f32[1]");
  EXPECT_EQ(compare(integers(DType::U8, {1}), integers(DType::I8, {1}), with(P::Node)).reason,
            "got u8[1], expected i8[1]");
  EXPECT_EQ(compare(HostValue::sequence({floats({1})}), HostValue::sequence({}), with(P::Node)).reason,
            "a sequence of 1 items, expected 0");
  EXPECT_EQ(compare(HostValue::sequence({floats({2})}), HostValue::sequence({floats({1})}), with(P::Node)).reason,
            "item 0: [0]: got 2, expected 1 (1 of 1 elements differ, by up to 1)");
}

TEST(Compare, distributions) {
  std::vector<float> a, b, shifted;
  for (int i = 0; i < 500; ++i) {
    a.push_back(static_cast<float>(i * 7919 % 500));
    b.push_back(static_cast<float>(i * 104729 % 500) + 0.5f);
    shifted.push_back(static_cast<float>(i) + 200);
  }
  EXPECT_TRUE(compare_distribution(floats(a), floats(b)).equal);
  EXPECT_FALSE(compare_distribution(floats(a), floats(shifted)).equal);
  EXPECT_FALSE(compare_distribution(floats({1}), floats({1, 2})).equal);
}

TEST(Compare, profile_follows_the_name_of_the_data_set) {
  EXPECT_EQ(resolve(P::Auto, "test_data_set_0"), P::Node);
  EXPECT_EQ(resolve(P::Auto, "test_data_set_ort_0"), P::Model);
  EXPECT_EQ(resolve(P::Topology, "test_data_set_ort_0"), P::Topology);
}

TEST(Text, nearest_name) {
  EXPECT_EQ(nearest_name("--filtre", {"--filter", "--json"}), "--filter");
  EXPECT_EQ(nearest_name("zebra", {"--filter", "--json"}), "");
  EXPECT_EQ(nearest_name("btach", {"batch", "height"}), "batch");
}

TEST(Text, printable_keeps_utf8_and_hides_the_rest) {
  EXPECT_EQ(printable("z\xc3\xbcrich"), "z\xc3\xbcrich");
  EXPECT_EQ(printable("a\x1b[2Jb\xff\xc0\xaf\xed\xa0\x80"), "a?[2Jb??????");
}

TEST(Text, units) {
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1500), "1.50 kB");
  EXPECT_EQ(bytes_text(98'765'432), "98.8 MB");
  EXPECT_EQ(duration_text(0.0000123), "12.3 us");
  EXPECT_EQ(duration_text(2), "2.00 s");
}

TEST(Expression, follows_the_text_form_of_dims) {
  const std::map<std::string, int64_t> dims = {{"batch", 3}, {"n", 10}};
  EXPECT_EQ(evaluate_expression("batch*2 + 1", dims), 7);
  EXPECT_EQ(evaluate_expression("(n + 5) div 4", dims), 3);
  EXPECT_EQ(evaluate_expression("n mod 4 - 1", dims), 1);
  EXPECT_EQ(evaluate_expression("min(batch, n)*max(batch, n)", dims), 30);
  EXPECT_EQ(evaluate_expression("(batch < n) + (batch == n)", dims), 1);
  EXPECT_EQ(evaluate_expression("-batch + 4", dims), 1);
  EXPECT_EQ(evaluate_expression("unknown + 1", dims), std::nullopt);
  EXPECT_EQ(evaluate_expression("1 +", dims), std::nullopt);
  EXPECT_EQ(evaluate_expression("", dims), std::nullopt);
  EXPECT_EQ(evaluate_expression(std::string(100000, '('), dims), std::nullopt);
}

}  // namespace
}  // namespace ingot::driver
