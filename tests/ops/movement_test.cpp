// Operators that move elements, against index arithmetic written out.
#include <algorithm>

#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

TensorRef counted(Shape dims) {
  auto t = TensorData::make(DType::I64, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) t->mutable_as<int64_t>()[k] = k;
  return t;
}
int64_t flat(const Shape& i, const Shape& dims) {
  int64_t f = 0;
  for (size_t k = 0; k < dims.size(); ++k) f = f * dims[k] + i[k];
  return f;
}
// The result holds the row-major numbers of the elements that it took from x, in these dims.
void expect_takes(const TensorRef& y, const Shape& dims, const At& at) { expect_is(y, dims, at, 0); }

TEST(Movement, ReshapeKeepsTheOrder) {
  auto x = counted({2, 3, 4, 5});
  auto to = [&](std::vector<int64_t> shape, Shape expected, int64_t allowzero = 0) {
    expect_takes(run1("reshape", {x, ints(shape)}, {{"allowzero", allowzero}}), expected,
                 [&](const Shape& i) { return static_cast<double>(flat(i, expected)); });
    auto at_run_time = run1("reshape", {x, tensor<int64_t>({static_cast<int64_t>(shape.size())}, shape)},
                            {{"allowzero", allowzero}}, false);
    expect_takes(at_run_time, expected, [&](const Shape& i) { return static_cast<double>(flat(i, expected)); });
  };
  to({120}, {120});
  to({0, -1}, {2, 60});
  to({-1, 5}, {24, 5});
  to({2, 12, 5}, {2, 12, 5});
  to({5, 4, 3, 2}, {5, 4, 3, 2});
  to({1, 6, 1, 20, 1}, {1, 6, 1, 20, 1});
  EXPECT_TRUE(
      same(*run1("reshape", {counted({0, 3}), ints({3, 0})}, {{"allowzero", int64_t{1}}}, false), *counted({3, 0})));
  // A dimension that is kept cancels, also where it is 0: an empty batch of [3, 5].
  EXPECT_TRUE(same(*run1("reshape", {counted({0, 3, 5}), ints({0, -1})}, {}, false), *counted({0, 15})));
  EXPECT_NE(error_of("reshape", {counted({0, 3}), ints({0, -1})}, {{"allowzero", int64_t{1}}}).find("both 0 and -1"),
            std::string::npos);
  EXPECT_NE(error_of("reshape", {x, ints({7, -1})}).find("got 120 elements"), std::string::npos);
  EXPECT_NE(error_of("reshape", {x, ints({-1, -1})}).find("more than one -1"), std::string::npos);
  expect_takes(run1("reshape", {x, ints({0, 0, -1})}), {2, 3, 20},
               [](const Shape& i) { return static_cast<double>(flat(i, {2, 3, 20})); });
  expect_takes(run1("flatten", {x}, {{"axis", int64_t{-2}}}), {6, 20},
               [](const Shape& i) { return static_cast<double>(flat(i, {6, 20})); });
}

TEST(Movement, SqueezeAndUnsqueeze) {
  auto x = counted({1, 3, 1, 5});
  auto same_order = [](const Shape& dims) {
    return [dims](const Shape& i) { return static_cast<double>(flat(i, dims)); };
  };
  expect_takes(run1("squeeze", {x, ints({0, -2})}), {3, 5}, same_order({3, 5}));
  expect_takes(run1("squeeze", {x, tensor<int64_t>({1}, {2})}), {1, 3, 5}, same_order({1, 3, 5}));
  expect_takes(run1("squeeze", {x}, {}, false), {3, 5}, same_order({3, 5}));
  expect_takes(run1("unsqueeze", {counted({3, 5}), ints({3, 0})}), {1, 3, 5, 1}, same_order({1, 3, 5, 1}));
  expect_takes(run1("unsqueeze", {counted({3, 5}), tensor<int64_t>({2}, {-1, 1})}), {3, 1, 5, 1},
               same_order({3, 1, 5, 1}));
  EXPECT_NE(error_of("squeeze", {x, ints({1})}).find("has extent 3, expected 1"), std::string::npos);
}

TEST(Movement, TransposeExpandTile) {
  auto x = counted({2, 3, 5});
  expect_takes(run1("transpose", {x}, {{"perm", std::vector<int64_t>{2, 0, 1}}}), {5, 2, 3},
               [](const Shape& i) { return static_cast<double>(flat({i[1], i[2], i[0]}, {2, 3, 5})); });
  expect_takes(run1("transpose", {x}), {5, 3, 2},
               [](const Shape& i) { return static_cast<double>(flat({i[2], i[1], i[0]}, {2, 3, 5})); });
  expect_takes(run1("expand", {counted({3, 1}), ints({2, 1, 4})}), {2, 3, 4},
               [](const Shape& i) { return static_cast<double>(i[1]); });
  expect_takes(run1("tile", {x, ints({1, 2, 3})}), {2, 6, 15},
               [](const Shape& i) { return static_cast<double>(flat({i[0], i[1] % 3, i[2] % 5}, {2, 3, 5})); });
  EXPECT_NE(error_of("transpose", {x}, {{"perm", std::vector<int64_t>{0, 0, 1}}}).find("perm has 0 twice"),
            std::string::npos);
}

TEST(Movement, ConcatAndSplit) {
  auto a = floats({2, 3}), b = floats({2, 1}), c = floats({2, 0}), e = floats({2, 5});
  expect_is(run1("concat", {a, b, c, e}, {{"axis", int64_t{-1}}}), {2, 9}, [&](const Shape& i) {
    return i[1] < 3 ? number_at(a, i) : i[1] < 4 ? number_at(b, {i[0], 0}) : number_at(e, {i[0], i[1] - 4});
  });
  auto x = counted({2, 7});
  auto parts = run({"split", {x, ints({3, 0, 4})}, {{"axis", int64_t{1}}}, 3, true});
  expect_takes(parts[0], {2, 3}, [](const Shape& i) { return static_cast<double>(i[0] * 7 + i[1]); });
  EXPECT_EQ(parts[1]->dims, (Shape{2, 0}));
  expect_takes(parts[2], {2, 4}, [](const Shape& i) { return static_cast<double>(i[0] * 7 + i[1] + 3); });
  parts = run({"split", {x}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{3}}}, 3, true});
  EXPECT_EQ(parts[2]->dims, (Shape{2, 1}));
  expect_takes(parts[1], {2, 3}, [](const Shape& i) { return static_cast<double>(i[0] * 7 + i[1] + 3); });
  EXPECT_NE(error_of("concat", {a, floats({3, 3})}, {{"axis", int64_t{1}}}).find("dimension 0 of input 1 has extent 3"),
            std::string::npos);
}

TEST(Movement, SliceAsPythonDoes) {
  const std::vector<int64_t> bounds = {INT64_MIN, -9, -7, -3, -1, 0, 2, 5, 7, 9, INT64_MAX};
  for (int64_t n : {0, 1, 2, 7}) {
    auto x = counted({n});
    for (int64_t start : bounds) {
      for (int64_t end : bounds) {
        for (int64_t step : {int64_t{1}, int64_t{2}, int64_t{3}, INT64_MAX, int64_t{-1}, int64_t{-2}, int64_t{-9},
                             -INT64_MAX, INT64_MIN}) {
          if (step < 0 && start < -n && n > 0) continue;  // ONNX clamps the start to 0, Python to -1
          auto wrap = [&](int64_t v, int64_t lo, int64_t hi) {
            return std::clamp(v < 0 ? (v < -100 ? lo : v + n) : v, lo, hi);
          };
          std::vector<int64_t> expected;
          int64_t from = step > 0 ? wrap(start, 0, n) : wrap(start, -1, n - 1),
                  to = step > 0 ? wrap(end, 0, n) : wrap(end, -1, n - 1);
          for (__int128 k = from; step > 0 ? k < to : k > to; k += step) expected.push_back(static_cast<int64_t>(k));
          SCOPED_TRACE(fmt::format("[{}:{}:{}] of {}", start, end, step, n));
          auto v = [](int64_t e) { return tensor<int64_t>({1}, {e}); };
          EXPECT_EQ(values<int64_t>(run1("slice", {x, ints({start}), ints({end}), ints({0}), ints({step})})), expected);
          EXPECT_EQ(values<int64_t>(run1("slice", {x, v(start), v(end), v(0), v(step)}, {}, false)), expected);
          if (start > -100 && start < 100 && end > -100 && end < 100) {
            EXPECT_EQ(values<int64_t>(run1("slice", {x, v(start), v(end), ints({0}), ints({step})}, {}, false)),
                      expected);
          }
        }
      }
    }
  }
  expect_takes(run1("slice", {counted({3, 5}), ints({1, -3}), ints({9, INT64_MAX}), ints({0, -1})}), {2, 3},
               [](const Shape& i) { return static_cast<double>((i[0] + 1) * 5 + i[1] + 2); });
}

TEST(Movement, PadModes) {
  const int64_t n = 4;
  auto x = tensor<float>({n}, {1, 2, 3, 4});
  auto expect_pad = [&](const char* mode, int64_t before, int64_t after, const std::function<double(int64_t)>& at) {
    SCOPED_TRACE(fmt::format("{} {} {}", mode, before, after));
    Attrs attrs{{"mode", std::string(mode)}};
    auto f = [&](const Shape& i) { return at(i[0] - before); };
    expect_is(run1("pad", {x, ints({before, after})}, attrs), {n + before + after}, f);
    expect_is(run1("pad", {x, tensor<int64_t>({2}, {before, after})}, attrs), {n + before + after}, f);
  };
  auto value = [&](int64_t k) { return static_cast<double>(k + 1); };
  for (auto [before, after] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {2, 3}, {-1, 2}, {3, -2}, {6, 9}, {-1, -1}}) {
    expect_pad("constant", before, after, [&](int64_t k) { return k < 0 || k >= n ? 0 : value(k); });
    expect_pad("edge", before, after, [&](int64_t k) { return value(std::clamp<int64_t>(k, 0, n - 1)); });
    expect_pad("wrap", before, after, [&](int64_t k) { return value(((k % n) + n) % n); });
    expect_pad("reflect", before, after, [&](int64_t k) {
      while (k < 0 || k >= n) k = k < 0 ? -k : 2 * (n - 1) - k;
      return value(k);
    });
  }
  expect_is(run1("pad", {floats({2, 3}), ints({1, 1}), constant(tensor<float>({}, {9})), ints({-2})}), {4, 3},
            [](const Shape& i) { return i[0] == 0 || i[0] == 3 ? 9 : number_at(floats({2, 3}), {i[0] - 1, i[1]}); });
}

TEST(Movement, GatherFamily) {
  auto x = counted({3, 4, 5});
  auto indices = tensor<int64_t>({2, 2}, {0, -1, 2, 1});
  auto wrapped = [&](int64_t a, int64_t b) {
    return (std::vector<int64_t>{0, 3, 2, 1})[static_cast<size_t>(a * 2 + b)];
  };
  for (Arg i : {Arg(indices), constant(indices)}) {
    expect_takes(run1("gather", {x, i}, {{"axis", int64_t{1}}}), {3, 2, 2, 5}, [&](const Shape& k) {
      return static_cast<double>(flat({k[0], wrapped(k[1], k[2]), k[3]}, {3, 4, 5}));
    });
  }
  expect_takes(run1("gather", {x, scalar(-1)}, {{"axis", int64_t{-1}}}), {3, 4},
               [](const Shape& k) { return static_cast<double>(flat({k[0], k[1], 4}, {3, 4, 5})); });
  EXPECT_NE(error_of("gather", {x, scalar(3)}).find("index is 3"), std::string::npos);
  EXPECT_FALSE(run_once({"gather", {x, tensor<int64_t>({1}, {3})}, {}, 1, false}, false));
  auto y = run1("gather_elements", {counted({2, 3}), tensor<int32_t>({2, 2}, {0, -1, 1, 1})}, {{"axis", int64_t{1}}});
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{0, 2, 4, 4}));
  y = run1("gather_nd", {x, tensor<int64_t>({2, 2}, {0, 1, -1, 2})});
  expect_takes(y, {2, 5},
               [](const Shape& k) { return static_cast<double>(flat({k[0] ? 2 : 0, k[0] ? 2 : 1, k[1]}, {3, 4, 5})); });
  y = run1("gather_nd", {x, tensor<int64_t>({3, 1}, {3, 0, 1})}, {{"batch_dims", int64_t{1}}});
  expect_takes(y, {3, 5}, [](const Shape& k) {
    return static_cast<double>(
        flat({k[0], (std::vector<int64_t>{3, 0, 1})[static_cast<size_t>(k[0])], k[1]}, {3, 4, 5}));
  });
}

TEST(Movement, ScatterFamily) {
  auto x = tensor<float>({5}, {1, 2, 3, 4, 5});
  auto at = tensor<int64_t>({4}, {1, 3, -4, 3});
  auto u = tensor<float>({4}, {10, 20, 30, 40});
  auto scattered = [&](const char* op, const char* reduction, const TensorRef& i) {
    return values<float>(run1(op, {x, i, u}, {{"reduction", std::string(reduction)}}));
  };
  auto nd = tensor<int64_t>({4, 1}, {1, 3, -4, 3});
  for (auto [reduction, expected] :
       std::vector<std::pair<const char*, std::vector<float>>>{{"none", {1, 30, 3, 40, 5}},
                                                               {"add", {1, 42, 3, 64, 5}},
                                                               {"mul", {1, 600, 3, 3200, 5}},
                                                               {"max", {1, 30, 3, 40, 5}},
                                                               {"min", {1, 2, 3, 4, 5}}}) {
    EXPECT_EQ(scattered("scatter_elements", reduction, at), expected);
    EXPECT_EQ(scattered("scatter_nd", reduction, nd), expected);
  }
  auto cache = run1("tensor_scatter", {floats({2, 5, 2}), floats({2, 2, 2}, 3), tensor<int64_t>({2}, {1, 4})},
                    {{"mode", std::string("circular")}});
  auto old = floats({2, 5, 2}), update = floats({2, 2, 2}, 3);
  expect_is(cache, {2, 5, 2}, [&](const Shape& i) {
    int64_t s = (i[1] - (i[0] ? 4 : 1) + 5) % 5;
    return s < 2 ? number_at(update, {i[0], s, i[2]}) : number_at(old, i);
  });
}

// Indices, and updates with them, may be shorter than the data in any axis; indices longer than the data in another axis, or
// than the updates, would read what is not there.
TEST(Movement, ElementsOfOtherExtentsThanTheData) {
  const auto x = counted({3, 4}), at = tensor<int64_t>({2, 2}, {3, 0, -1, -4}),
             u = tensor<int64_t>({2, 3}, {20, 21, 22, 23, 24, 25});
  const Attrs axis{{"axis", int64_t{1}}};
  EXPECT_EQ(values<int64_t>(run1("scatter_elements", {x, at, u}, axis)),
            (std::vector<int64_t>{21, 1, 2, 20, 24, 5, 6, 23, 8, 9, 10, 11}));
  EXPECT_EQ(values<int64_t>(run1("gather_elements", {x, at}, axis)), (std::vector<int64_t>{3, 0, 7, 4}));
  const auto long_at = tensor<int64_t>({4, 1}, {0, 1, 2, 3}), short_u = tensor<int64_t>({2, 1}, {20, 21});
  for (const bool dynamic : {false, true}) {
    auto scattered = run_once({"scatter_elements", {x, at, short_u}, axis}, dynamic);
    ASSERT_FALSE(scattered);
    EXPECT_NE(scattered.error().message.find("updates have extent"), std::string::npos) << scattered.error().message;
    auto gathered = run_once({"gather_elements", {x, long_at}, axis}, dynamic);
    ASSERT_FALSE(gathered);
    EXPECT_NE(gathered.error().message.find("indices have extent"), std::string::npos) << gathered.error().message;
  }
}

// An index out of range is reported as it was written, not as counted from the end.
TEST(Movement, IndicesOutOfRangeAreReportedAsWritten) {
  const auto x = tensor<float>({4}, {1, 2, 3, 4}), u = tensor<float>({2}, {5, 6});
  for (const int64_t index : {-7, -5, 4}) {
    const auto at = tensor<int64_t>({2}, {1, index}), rows = tensor<int64_t>({2, 1}, {1, index});
    for (const Call& call : {Call{"gather", {x, at}}, Call{"gather_elements", {x, at}}, Call{"gather_nd", {x, rows}},
                             Call{"scatter_elements", {x, at, u}}, Call{"scatter_nd", {x, rows, u}}})
      for (const bool dynamic : {false, true}) {
        SCOPED_TRACE(call.op);
        auto got = run_once(call, dynamic, {1});
        ASSERT_FALSE(got);
        EXPECT_EQ(got.error().message.rfind(fmt::format("index {} out of range [-4, 4)", index), 0), 0u)
            << got.error().message;
      }
  }
}

TEST(Movement, BlocksAndTheRest) {
  auto x = counted({2, 8, 3, 5});
  for (bool dcr : {true, false}) {
    auto y = run1("depth_to_space", {x}, {{"blocksize", int64_t{2}}, {"mode", std::string(dcr ? "DCR" : "CRD")}});
    expect_takes(y, {2, 2, 6, 10}, [&](const Shape& i) {
      int64_t block = i[2] % 2 * 2 + i[3] % 2, c = dcr ? block * 2 + i[1] : i[1] * 4 + block;
      return static_cast<double>(flat({i[0], c, i[2] / 2, i[3] / 2}, {2, 8, 3, 5}));
    });
    Attrs back{{"blocksize", int64_t{2}}};
    if (!dcr) back.set("mode", std::string("CRD"));
    EXPECT_TRUE(same(*run1("space_to_depth", {y}, back), *x));
  }
  EXPECT_EQ(values<int64_t>(run1("reverse_sequence", {counted({2, 4}), tensor<int64_t>({2}, {3, 1})},
                                 {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}})),
            (std::vector<int64_t>{2, 1, 0, 3, 4, 5, 6, 7}));
  EXPECT_EQ(values<int64_t>(run1("trilu", {counted({2, 3}), scalar(1)})), (std::vector<int64_t>{0, 1, 2, 0, 0, 5}));
  EXPECT_EQ(values<int64_t>(run1("trilu", {counted({2, 3}), tensor<int64_t>({}, {-1})}, {{"upper", int64_t{0}}})),
            (std::vector<int64_t>{0, 0, 0, 3, 0, 0}));
  EXPECT_EQ(values<int64_t>(run1("center_crop_pad", {counted({5, 2}), ints({2, 5})})),
            (std::vector<int64_t>{0, 2, 3, 0, 0, 0, 4, 5, 0, 0}));
  EXPECT_EQ(
      values<int64_t>(run1("one_hot", {tensor<int64_t>({3}, {1, -1, 5}), scalar(3), tensor<int64_t>({2}, {7, 9})}, {})),
      (std::vector<int64_t>{7, 9, 7, 7, 7, 9, 7, 7, 7}));
  EXPECT_EQ(values<int64_t>(run1("shape", {x}, {{"start", int64_t{1}}, {"end", int64_t{-1}}})),
            (std::vector<int64_t>{8, 3}));
  EXPECT_EQ(values<int64_t>(run1("size", {x})), (std::vector<int64_t>{240}));
  EXPECT_EQ(values<int64_t>(run1("array_feature_extractor", {counted({2, 3}), tensor<int64_t>({2}, {2, 0})})),
            (std::vector<int64_t>{2, 0, 5, 3}));
  auto col = run1("col2im", {tensor<float>({1, 4, 4}, std::vector<float>(16, 1)), ints({3, 3}), ints({2, 2})});
  EXPECT_EQ(values<float>(col), (std::vector<float>{1, 2, 1, 2, 4, 2, 1, 2, 1}));
}

}  // namespace
}  // namespace ingot
