// Reductions, scans and normalisations along axes against loops.
#include <algorithm>
#include <map>

#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

// Groups the elements of x by the index that is left when `axes` are reduced.
void expect_reduction(const std::string& op, const TensorRef& x, const std::vector<int64_t>& axes, bool keepdims,
                      const std::function<double(const std::vector<double>&)>& f) {
  size_t rank = x->dims.size();
  std::vector<bool> reduced(rank, axes.empty());
  for (int64_t a : axes) reduced[static_cast<size_t>(a < 0 ? a + static_cast<int64_t>(rank) : a)] = true;
  Shape dims;
  for (size_t k = 0; k < rank; ++k) {
    if (!reduced[k]) dims.push_back(x->dims[k]);
    else if (keepdims) dims.push_back(1);
  }
  std::map<Shape, std::vector<double>> groups;
  for (int64_t e = 0; e < x->elements(); ++e) {
    int64_t rest = e;
    Shape index(rank), group;
    for (size_t k = rank; k-- > 0;) index[k] = rest % x->dims[k], rest /= x->dims[k];
    for (size_t k = 0; k < rank; ++k) {
      if (!reduced[k]) group.push_back(index[k]);
      else if (keepdims) group.push_back(0);
    }
    groups[group].push_back(x->number(e));
  }
  SCOPED_TRACE(op);
  Attrs attrs{{"keepdims", int64_t{keepdims}}};
  auto at = [&](const Shape& i) { return f(groups[i]); };
  std::vector<Arg> fixed{x}, free{x};
  if (!axes.empty()) {
    fixed.push_back(ints(axes));
    free.push_back(tensor<int64_t>({static_cast<int64_t>(axes.size())}, axes));
  }
  expect_is(run1(op, fixed, attrs), dims, at);
  expect_is(run1(op, free, attrs), dims, at);  // axes that only the run knows
}

double sum(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += x;
  return s;
}
double total(const std::vector<double>& v, const std::function<double(double)>& f) {
  double s = 0;
  for (double x : v) s += f(x);
  return s;
}

// The sum of the elements is no i32, their mean is.
TEST(Reduce, MeanOfIntegersDoesNotOverflow) {
  auto x = tensor<int32_t>({2, 3}, {1 << 30, 1 << 30, 1 << 30, -7, -8, -9});
  EXPECT_EQ(values<int32_t>(run1("reduce_mean", {x, ints({1})}, {{"keepdims", int64_t{0}}})),
            (std::vector<int32_t>{1 << 30, -8}));
}

TEST(Reduce, EveryOperatorOverEveryChoiceOfAxes) {
  const std::vector<std::vector<int64_t>> choices = {{}, {0}, {1}, {2}, {-1, 0}, {0, 1, 2}};
  for (bool keepdims : {false, true}) {
    for (const auto& axes : choices) {
      auto x = floats({2, 3, 7});
      expect_reduction("reduce_sum", x, axes, keepdims, sum);
      expect_reduction("reduce_mean", x, axes, keepdims,
                       [](auto& v) { return sum(v) / static_cast<double>(v.size()); });
      expect_reduction("reduce_max", x, axes, keepdims, [](auto& v) { return *std::max_element(v.begin(), v.end()); });
      expect_reduction("reduce_min", x, axes, keepdims, [](auto& v) { return *std::min_element(v.begin(), v.end()); });
      expect_reduction("reduce_prod", x, axes, keepdims, [](auto& v) {
        double p = 1;
        for (double e : v) p *= e;
        return p;
      });
      expect_reduction("reduce_l1", x, axes, keepdims,
                       [](auto& v) { return total(v, [](double e) { return std::abs(e); }); });
      expect_reduction("reduce_l2", x, axes, keepdims,
                       [](auto& v) { return std::sqrt(total(v, [](double e) { return e * e; })); });
      expect_reduction("reduce_sum_square", x, axes, keepdims,
                       [](auto& v) { return total(v, [](double e) { return e * e; }); });
      expect_reduction("reduce_log_sum_exp", x, axes, keepdims,
                       [](auto& v) { return std::log(total(v, [](double e) { return std::exp(e); })); });
    }
  }
}

TEST(Reduce, TheEmptySetGivesTheNeutralElement) {
  for (auto [op, expected] : std::vector<std::pair<std::string, double>>{{"reduce_sum", 0},
                                                                         {"reduce_prod", 1},
                                                                         {"reduce_max", -INFINITY},
                                                                         {"reduce_min", INFINITY},
                                                                         {"reduce_log_sum_exp", -INFINITY}}) {
    double e = expected;
    expect_is(run1(op, {floats({2, 0, 3}), ints({1})}), {2, 1, 3}, [=](const Shape&) { return e; });
  }
}

TEST(Reduce, NoAxesIsAllOrNothing) {
  auto x = floats({2, 3});
  expect_is(run1("reduce_sum", {x, ints({})}, {{"noop_with_empty_axes", int64_t{1}}}), {2, 3},
            [&](const Shape& i) { return number_at(x, i); });
  EXPECT_NE(error_of("reduce_sum", {x, ints({2})}).find("axis is 2, expected a value in [-2, 2)"), std::string::npos);
  EXPECT_NE(error_of("reduce_sum", {x, ints({1, -1})}).find("named twice"), std::string::npos);
}

TEST(Reduce, Bools) {
  auto x = tensor<bool>({2, 2}, {true, false, true, true});
  EXPECT_EQ(values<bool>(run1("reduce_max", {x, ints({1})})), (std::vector<bool>{true, true}));
  EXPECT_EQ(values<bool>(run1("reduce_min", {x, ints({1})})), (std::vector<bool>{false, true}));
}

TEST(Reduce, ArgMaxTakesTheFirstOrLastOfEquals) {
  auto x = tensor<float>({2, 4}, {1, 5, 5, 2, 7, 7, 7, 7});
  auto arg = [&](const char* op, int64_t last) {
    return values<int64_t>(run1(op, {x}, {{"axis", int64_t{1}}, {"select_last_index", last}}));
  };
  EXPECT_EQ(arg("arg_max", 0), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(arg("arg_max", 1), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(arg("arg_min", 0), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(arg("arg_min", 1), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(run1("arg_max", {x}, {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}})->dims, (Shape{4}));
}

// No element is the largest of none: an error when compiling, and the same one when only the run knows.
TEST(Reduce, ArgMaxOfNothing) {
  for (const char* op : {"arg_max", "arg_min"})
    for (const Shape& dims : {Shape{2, 0}, Shape{0, 0}})
      for (const bool dynamic : {false, true}) {
        auto got = run_once({op, {floats(dims)}, {{"axis", int64_t{1}}}}, dynamic);
        ASSERT_FALSE(got) << op;
        EXPECT_EQ(got.error().message.substr(0, got.error().message.find('\n')),
                  "axis 1 is empty, expected at least one element");
      }
}

TEST(Reduce, CumulativeInBothDirections) {
  auto x = floats({3, 7});
  for (int64_t axis : {0, 1}) {
    for (int64_t exclusive : {0, 1}) {
      for (int64_t reverse : {0, 1}) {
        Attrs attrs{{"exclusive", exclusive}, {"reverse", reverse}};
        auto over = [&](const Shape& i, double start, bool product) {
          double y = start;
          Shape j = i;
          auto a = static_cast<size_t>(axis);
          for (j[a] = 0; j[a] < x->dims[a]; ++j[a]) {
            bool in = reverse ? j[a] >= i[a] + exclusive : j[a] <= i[a] - exclusive;
            if (in) y = product ? y * number_at(x, j) : y + number_at(x, j);
          }
          return y;
        };
        auto running = [&](const Shape& i) { return over(i, 0, false); };
        expect_is(run1("cum_sum", {x, scalar(axis)}, attrs), x->dims, running);
        expect_is(run1("cum_sum", {x, tensor<int64_t>({}, {axis})}, attrs, false), x->dims, running);
        expect_is(run1("cum_prod", {x, scalar(axis)}, attrs), x->dims,
                  [&](const Shape& i) { return over(i, 1, true); });
      }
    }
  }
}

TEST(Reduce, SoftmaxFamily) {
  auto x = floats({2, 5, 3}, 4);
  for (int64_t axis : {0, 1, -1}) {
    auto a = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
    auto row = [&](Shape i, const std::function<double(double)>& f) {
      double s = 0;
      for (i[a] = 0; i[a] < x->dims[a]; ++i[a]) s += f(number_at(x, i));
      return s;
    };
    auto softmax = [&](const Shape& i) {
      return std::exp(number_at(x, i)) / row(i, [](double v) { return std::exp(v); });
    };
    expect_is(run1("softmax", {x}, {{"axis", axis}}), x->dims, softmax);
    expect_is(run1("log_softmax", {x}, {{"axis", axis}}), x->dims,
              [&](const Shape& i) { return std::log(softmax(i)); });
    expect_is(run1("hardmax", {x}, {{"axis", axis}}), x->dims,
              [&](const Shape& i) { return row(i, [&](double v) { return v > number_at(x, i); }) == 0; });
  }
  auto large = tensor<float>({1, 3}, {10000, 10001, -10000});
  expect_is(run1("softmax", {large}), {1, 3}, [](const Shape& i) {
    return i[1] == 0 ? 0.26894142 : i[1] == 1 ? 0.73105858 : 0;
  });
}

}  // namespace
}  // namespace ingot
