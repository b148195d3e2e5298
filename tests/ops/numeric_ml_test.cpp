// Operators of ai.onnx.ml, and sequences: calls with their numbers (numeric_cases.h), by hand.
#include "ir/ops/interpreter.h"
#include "tests/ops/numeric_cases.h"

namespace ingot {
namespace {

using namespace test;
using I = std::vector<int64_t>;
using D = std::vector<double>;
using Texts = std::vector<std::string>;

TEST(NumericMl, Features) {
  expect_cases({
      {"scaler",
       {f32({2, 2}, {1, 2, 3, 4})},
       {{"offset", D{1, 0.5}}, {"scale", D{2, 10}}},
       {f32({2, 2}, {0, 15, 4, 35})}},
      {"scaler", {i64({1, 2}, {5, -5})}, {{"offset", D{1}}, {"scale", D{0.5}}}, {f32({1, 2}, {2, -3})}},
      {"imputer",
       {f32({2, 2}, {1, NAN, NAN, 4})},
       {{"imputed_value_floats", D{7, 8}}, {"replaced_value_float", double{NAN}}},
       {f32({2, 2}, {1, 8, 7, 4})}},
      {"imputer",
       {i64({1, 3}, {1, -1, 3})},
       {{"imputed_value_int64s", I{9}}, {"replaced_value_int64", int64_t{-1}}},
       {i64({1, 3}, {1, 9, 3})}},
      {"binarizer", {f32({1, 3}, {0.5F, 0.75F, -2})}, {{"threshold", 0.5}}, {f32({1, 3}, {0, 1, 0})}},
      // Two columns of the first, three of the second, of which the last is not there.
      {"feature_vectorizer",
       {f32({2, 2}, {1, 2, 3, 4}), f32({2, 2}, {5, 6, 7, 8})},
       {{"inputdimensions", I{2, 3}}},
       {f32({2, 5}, {1, 2, 5, 6, 0, 3, 4, 7, 8, 0})}},
      {"category_mapper",
       {strings({3}, {"b", "a", "?"})},
       {{"cats_strings", Texts{"a", "b"}}, {"cats_int64s", I{10, 20}}, {"default_int64", int64_t{-7}}},
       {i64({3}, {20, 10, -7})}},
      {"category_mapper",
       {i64({3}, {20, 10, 5})},
       {{"cats_strings", Texts{"a", "b"}}, {"cats_int64s", I{10, 20}}, {"default_string", std::string("none")}},
       {strings({3}, {"b", "a", "none"})}},
  });
}

// x0 <= 0.5 ? 1.5 : (x1 > 2 ? 10 : 20) for target 0, and that tree's second half for target 1.
TEST(NumericMl, TreeEnsemble) {
  const Attrs two_trees{{"n_targets", int64_t{2}},
                        {"aggregate_function", int64_t{1}},
                        {"tree_roots", I{0, 2}},
                        {"nodes_featureids", I{0, 1, 1}},
                        {"nodes_modes", u8({3}, {0, 3, 3})},
                        {"nodes_splits", f32({3}, {0.5F, 2, 2})},
                        {"nodes_truenodeids", I{0, 1, 3}},
                        {"nodes_trueleafs", I{1, 1, 1}},
                        {"nodes_falsenodeids", I{1, 2, 4}},
                        {"nodes_falseleafs", I{0, 1, 1}},
                        {"leaf_targetids", I{0, 0, 0, 1, 1}},
                        {"leaf_weights", f32({5}, {1.5F, 10, 20, -1, -2})}};
  expect_cases({{"tree_ensemble",
                 {f32({4, 2}, {0.5F, 3, 0.6F, 3, 0.6F, 2, 0, 0})},
                 two_trees,
                 {f32({4, 2}, {1.5F, -1, 10, -1, 20, -2, 1.5F, -2})}}});
}

TEST(NumericMl, LinearAndVectorModels) {
  expect_cases({
      // {x0 + 2 x1 + 0.5, -x0 - 1}
      {"linear_regressor",
       {f32({2, 2}, {1, 2, 3, -4})},
       {{"targets", int64_t{2}}, {"coefficients", D{1, 2, -1, 0}}, {"intercepts", D{0.5, -1}}},
       {f32({2, 2}, {5.5F, -2, -4.5F, -4})}},
      // One support vector each, {1, 0} and {0, 1}: the score x0 - x1 + 0.25 is positive for the first class.
      {"svm_classifier",
       {f32({3, 2}, {1, 0, 0, 1, 2, 2})},
       {{"classlabels_ints", I{5, 9}},
        {"vectors_per_class", I{1, 1}},
        {"support_vectors", D{1, 0, 0, 1}},
        {"coefficients", D{1, -1}},
        {"rho", D{0.25}},
        {"kernel_type", std::string("LINEAR")}},
       {i64({3}, {5, 9, 5}), f32({3, 2}, {-1.25F, 1.25F, 0.75F, -0.75F, -0.25F, 0.25F})}},
      // Kernels (2 x.v + 1)^2 of {1, 0}, {0, 1} and {-1, 0}; pairs 0-1, 0-2, 1-2 vote.
      {"svm_classifier",
       {f32({2, 2}, {1, 0, 0, 1})},
       {{"classlabels_strings", Texts{"a", "b", "c"}},
        {"vectors_per_class", I{1, 1, 1}},
        {"support_vectors", D{1, 0, 0, 1, -1, 0}},
        {"coefficients", D{1, -1, -2, 0.5, 1, -1}},
        {"rho", D{0.5, -1, 0}},
        {"kernel_type", std::string("POLY")},
        {"kernel_params", D{2, 1, 2}}},
       {strings({2}, {"a", "b"}), f32({2, 3}, {8.5F, 1.5F, 0, -7.5F, -2.5F, 8})}},
  });
}

std::vector<std::string> run_graph(const std::string& text, const std::vector<TensorRef>& inputs) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return {};
  std::vector<HostValue> values;
  for (const TensorRef& t : inputs) values.push_back(HostValue::of(t));
  auto r = Interpreter().run(*g, std::move(values));
  if (!r) return {"error: " + r.error().message};
  std::vector<std::string> out;
  for (const HostValue& v : *r) out.push_back(str(v));
  return out;
}

TEST(NumericMl, SequencesFromNothingAndFromValues) {
  EXPECT_EQ(run_graph(R"(graph g(%x: f32[2], %y: f32[1], %k: i64[]) -> (%none, %two, %second, %one) {
    %e = sequence_empty {dtype = 1} : none
    %none = sequence_length %e : none
    %s = sequence_construct %x, %y : none
    %two = sequence_length %s : none
    %second = sequence_at %s, %k : none
    %f = sequence_insert %e, %x : none
    %one = sequence_length %f : none
  })",
                      {f32({2}, {1, 2}), f32({1}, {3}), i64({}, {1})}),
            (Texts{"i64[] {0}", "i64[] {2}", "f32[1] {3}", "i64[] {1}"}));
}

// Rows of scores as maps, and a map as a row in the order of another vocabulary, where what is not there is 0.
TEST(NumericMl, MapsThereAndBack) {
  EXPECT_EQ(
      run_graph(R"(graph g(%x: f32[2, 3], %k: i64[]) -> (%s, %row) {
    %s = zip_map %x {classlabels_strings = ["a", "b", "c"]} : none
    %m = sequence_at %s, %k : none
    %row = dict_vectorizer %m {string_vocabulary = ["c", "z", "a"]} : none
  })",
                {f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({}, {1})}),
      (Texts{
          R"(sequence(map(string[3] {"a", "b", "c"}, f32[3] {1, 2, 3}), map(string[3] {"a", "b", "c"}, f32[3] {4, 5, 6})))",
          "f32[3] {6, 0, 4}"}));
}

}  // namespace
}  // namespace ingot
