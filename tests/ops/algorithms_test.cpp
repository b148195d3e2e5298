// Results whose extents the data decides, sorting, random numbers and strings.
#include <algorithm>
#include <numeric>
#include <random>

#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

// Vectors that are known of MurmurHash3_x86_32.
TEST(Strings, MurmurHash3) {
  auto hash = [](std::string s, uint32_t seed) {
    auto y = run1("murmur_hash3", {strings({1}, {std::move(s)})}, {{"seed", int64_t{seed}}});
    EXPECT_EQ(y->dtype, DType::U32);
    return static_cast<uint32_t>(y->integer(0));
  };
  EXPECT_EQ(hash("", 0), 0u);
  EXPECT_EQ(hash("", 1), 0x514e28b7u);
  EXPECT_EQ(hash("hello", 0), 0x248bfa47u);
  EXPECT_EQ(hash("aaaa", 0x9747b28c), 0x5a97808au);
  EXPECT_EQ(hash("abc", 0x9747b28c), 0xc84a62ddu);
  EXPECT_EQ(hash("Hello, world!", 0x9747b28c), 0x24884cbau);
  // A number is its bytes: 'aaaa'.
  auto y = run1("murmur_hash3", {tensor<int32_t>({1}, {0x61616161})},
                {{"seed", int64_t{0x9747b28c}}, {"positive", int64_t{0}}});
  EXPECT_EQ(values<int32_t>(y), (std::vector<int32_t>{0x5a97808a}));
}

TEST(Strings, Tokenizer) {
  auto tokens = [](std::vector<std::string> x, Attrs attrs, int64_t wide) {
    const auto n = static_cast<int64_t>(x.size());
    attrs.set("pad_value", std::string("#"));
    auto y = run1("tokenizer", {strings({n}, std::move(x))}, std::move(attrs));
    EXPECT_EQ(y->dims, (Shape{n, wide}));
    return y->strings;
  };
  using Texts = std::vector<std::string>;
  auto separated = [](Texts s, int64_t least = 1, int64_t mark = 0) {
    return Attrs{{"separators", std::move(s)}, {"mincharnum", least}, {"mark", mark}};
  };
  auto matched = [](std::string s) { return Attrs{{"tokenexp", std::move(s)}, {"mincharnum", int64_t{1}}}; };
  EXPECT_EQ(tokens({"Hello World", "a  b c"}, separated({" "}), 3), (Texts{"Hello", "World", "#", "a", "b", "c"}));
  EXPECT_EQ(tokens({"ab", "a"}, separated({""}, 1, 1), 4), (Texts{"\x02", "a", "b", "\x03", "\x02", "a", "\x03", "#"}));
  EXPECT_EQ(tokens({"ab c", "de"}, separated({" "}, 2), 1), (Texts{"ab", "de"}));
  EXPECT_EQ(tokens({"a1b22c"}, separated({"[0-9]+"}), 3), (Texts{"a", "b", "c"}));
  EXPECT_EQ(tokens({"a-b c"}, separated({" ", "-"}), 3), (Texts{"a", "b", "c"}));
  EXPECT_EQ(tokens({"ab12", "x"}, matched("[a-z]+|[0-9]+"), 2), (Texts{"ab", "12", "x", "#"}));
  EXPECT_EQ(tokens({"aab"}, matched("a|ab"), 2), (Texts{"a", "ab"}));  // the longest of the leftmost
  EXPECT_EQ(tokens({"h\u00e9 x"}, matched("."), 4), (Texts{"h", "\u00e9", " ", "x"}));
  EXPECT_EQ(tokens({"", " "}, separated({" "}, 1, 1), 0), Texts{});
  EXPECT_NE(error_of("tokenizer", {strings({1}, {"a"})}).find("expected one of both"), std::string::npos);
}

TEST(Algorithms, TopKAgainstSorting) {
  for (int64_t n : {1, 7, 131}) {
    for (int64_t k : {int64_t{0}, int64_t{1}, n / 2, n}) {
      for (int64_t largest : {0, 1}) {
        auto x = TensorData::make(DType::F32, {3, n, 2});
        for (int64_t e = 0; e < x->elements(); ++e)
          x->mutable_as<float>()[e] = static_cast<float>((e * 7919) % 23) - 11;  // with equals
        auto y = run({"top_k", {TensorRef(x), ints({k})}, {{"axis", int64_t{1}}, {"largest", largest}}, 2, false});
        ASSERT_EQ(y[0]->dims, (Shape{3, k, 2}));
        for (int64_t a = 0; a < 3; ++a) {
          for (int64_t c = 0; c < 2; ++c) {
            std::vector<int64_t> order(static_cast<size_t>(n));
            std::iota(order.begin(), order.end(), 0);
            std::stable_sort(order.begin(), order.end(), [&](int64_t p, int64_t q) {
              double u = number_at(x, {a, p, c}), v = number_at(x, {a, q, c});
              return largest ? u > v : u < v;
            });
            for (int64_t j = 0; j < k; ++j) {
              EXPECT_EQ(number_at(y[1], {a, j, c}), static_cast<double>(order[static_cast<size_t>(j)]));
              EXPECT_EQ(number_at(y[0], {a, j, c}), number_at(x, {a, order[static_cast<size_t>(j)], c}));
            }
          }
        }
      }
    }
  }
  EXPECT_NE(error_of("top_k", {floats({3}), ints({4})}).find("k is 4, expected at most the extent 3"),
            std::string::npos);
  auto y = run({"top_k", {tensor<float>({4}, {1, NAN, -INFINITY, 3}), tensor<int64_t>({1}, {3})}, {}, 2, false});
  EXPECT_EQ(values<int64_t>(y[1]), (std::vector<int64_t>{1, 3, 0}));
}

TEST(Algorithms, NonZeroAndCompress) {
  auto x = tensor<int32_t>({2, 3}, {0, 5, 0, -1, 0, 2});
  auto y = run1("non_zero", {x});
  EXPECT_EQ(y->dims, (Shape{2, 3}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{0, 1, 1, 1, 0, 2}));
  EXPECT_EQ(run1("non_zero", {tensor<float>({0}, {})})->dims, (Shape{1, 0}));
  auto c = tensor<bool>({2}, {false, true});
  EXPECT_EQ(values<int32_t>(run1("compress", {x, c}, {{"axis", int64_t{1}}})), (std::vector<int32_t>{5, 0}));
  EXPECT_EQ(values<int32_t>(run1("compress", {x, tensor<bool>({4}, {true, true, false, true})})),
            (std::vector<int32_t>{0, 5, -1}));
}

TEST(Algorithms, Unique) {
  auto x = tensor<float>({6}, {2, 1, 1, 3, 4, 3});
  auto y = run({"unique", {x}, {{"sorted", int64_t{0}}}, 4, true});
  EXPECT_EQ(values<float>(y[0]), (std::vector<float>{2, 1, 3, 4}));
  EXPECT_EQ(values<int64_t>(y[1]), (std::vector<int64_t>{0, 1, 3, 4}));
  EXPECT_EQ(values<int64_t>(y[2]), (std::vector<int64_t>{0, 1, 1, 2, 3, 2}));
  EXPECT_EQ(values<int64_t>(y[3]), (std::vector<int64_t>{1, 2, 2, 1}));
  y = run({"unique", {x}, {}, 4, true});
  EXPECT_EQ(values<float>(y[0]), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values<int64_t>(y[2]), (std::vector<int64_t>{1, 0, 0, 2, 3, 2}));
  y = run({"unique", {tensor<float>({3, 2}, {1, 0, 0, 1, 1, 0})}, {{"axis", int64_t{0}}}, 4, true});
  EXPECT_EQ(y[0]->dims, (Shape{2, 2}));
  EXPECT_EQ(values<float>(y[0]), (std::vector<float>{0, 1, 1, 0}));
  EXPECT_EQ(run1("unique", {strings({3}, {"b", "a", "b"})}, {}, false)->strings, (std::vector<std::string>{"a", "b"}));
}

TEST(Algorithms, NonMaxSuppression) {
  auto boxes = tensor<float>({1, 4, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 10, 1, 11, 1, 11, 0, 10});
  auto scores = tensor<float>({1, 1, 4}, {0.75f, 0.9f, 0.6f, 0.95f});
  auto most = tensor<int64_t>({1}, {3});
  auto iou = tensor<float>({1}, {0.5f});
  EXPECT_EQ(values<int64_t>(run1("non_max_suppression", {boxes, scores, most, iou})),
            (std::vector<int64_t>{0, 0, 3, 0, 0, 1}));
  EXPECT_EQ(values<int64_t>(run1("non_max_suppression", {boxes, scores, most, iou, tensor<float>({1}, {0.92f})})),
            (std::vector<int64_t>{0, 0, 3}));
  EXPECT_EQ(run1("non_max_suppression", {boxes, scores})->dims, (Shape{0, 3}));
}

// As the standard's reference does it: the best score that is left is kept, unless it overlaps with one that was.
std::vector<int64_t> kept_boxes(const std::vector<float>& boxes, const std::vector<float>& scores, float iou) {
  const size_t n = scores.size();
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  auto edge = [&](size_t box, size_t axis, bool high) {
    const float a = boxes[box * 4 + axis], b = boxes[box * 4 + axis + 2];
    return high ? std::max(a, b) : std::min(a, b);
  };
  auto area = [&](size_t b) { return (edge(b, 1, true) - edge(b, 1, false)) * (edge(b, 0, true) - edge(b, 0, false)); };
  std::vector<int64_t> kept;
  for (size_t i : order) {
    bool keep = true;
    for (int64_t k : kept) {
      const auto j = static_cast<size_t>(k);
      const float w = std::min(edge(i, 1, true), edge(j, 1, true)) - std::max(edge(i, 1, false), edge(j, 1, false));
      const float h = std::min(edge(i, 0, true), edge(j, 0, true)) - std::max(edge(i, 0, false), edge(j, 0, false));
      if (w <= 0 || h <= 0 || area(i) <= 0 || area(j) <= 0) continue;
      keep &= !(w * h / (area(i) + area(j) - w * h) > iou);
    }
    if (keep) kept.push_back(static_cast<int64_t>(i));
  }
  return kept;
}

// Hundreds of boxes are kept; some have no area, or corners in the other order.
TEST(Algorithms, NonMaxSuppressionOfManyBoxes) {
  std::mt19937 rng(7);
  auto at = [&](float scale) { return scale * static_cast<float>(rng() % 10000) / 10000; };
  for (int64_t n : {1, 63, 64, 65, 300, 1000}) {
    std::vector<float> boxes, scores;
    for (int64_t i = 0; i < n; ++i) {
      const float y = at(10), x = at(10), h = i % 17 == 3 ? 0 : at(1), w = i % 19 == 3 ? 0 : at(1);
      if (i % 5 == 2) boxes.insert(boxes.end(), {y + h, x + w, y, x});
      else boxes.insert(boxes.end(), {y, x, y + h, x + w});
      scores.push_back(at(1));
    }
    for (float iou : {0.0f, 0.1f, 0.5f}) {
      std::vector<int64_t> expected;
      for (int64_t k : kept_boxes(boxes, scores, iou)) expected.insert(expected.end(), {0, 0, k});
      EXPECT_EQ(values<int64_t>(
                    run1("non_max_suppression", {tensor<float>({1, n, 4}, boxes), tensor<float>({1, 1, n}, scores),
                                                 tensor<int64_t>({1}, {n}), tensor<float>({1}, {iou})})),
                expected)
          << n << " boxes, " << iou;
    }
  }
}

TEST(Algorithms, Ranges) {
  auto f = [](float v) { return tensor<float>({}, {v}); };
  for (auto [a, b, c] :
       std::vector<std::tuple<float, float, float>>{{1, 5, 2}, {10, 4, -2.5f}, {0, 1, 0.25f}, {3, 3, 1}, {5, 1, 1}}) {
    std::vector<float> expected;
    auto n = std::max(0.0f, std::ceil((b - a) / c));
    for (int k = 0; k < static_cast<int>(n); ++k) expected.push_back(a + static_cast<float>(k) * c);
    EXPECT_EQ(values<float>(run1("range", {f(a), f(b), f(c)})), expected);
    EXPECT_EQ(values<float>(run1("range", {constant(f(a)), constant(f(b)), constant(f(c))})), expected);
  }
  auto i = [](int64_t v) { return tensor<int64_t>({}, {v}); };
  EXPECT_EQ(values<int64_t>(run1("range", {i(10), i(3), i(-3)})), (std::vector<int64_t>{10, 7, 4}));
  EXPECT_EQ(values<int64_t>(run1("range", {scalar(-1), i(3), scalar(2)})), (std::vector<int64_t>{-1, 1}));
}

TEST(Random, HasTheMomentsOfItsDistribution) {
  Shape shape{40000};
  auto moments = [](const TensorRef& t) {
    double s = 0, q = 0;
    for (int64_t k = 0; k < t->elements(); ++k) s += t->number(k), q += t->number(k) * t->number(k);
    double n = static_cast<double>(t->elements()), mean = s / n;
    return std::pair(mean, q / n - mean * mean);
  };
  for (double seed : {0.0, 1.0, 2.5}) {
    auto [m, v] = moments(run1("random_uniform", {}, {{"shape", shape}, {"low", -1.0}, {"high", 3.0}, {"seed", seed}}));
    EXPECT_NEAR(m, 1, 0.03);
    EXPECT_NEAR(v, 16.0 / 12, 0.03);
    std::tie(m, v) =
        moments(run1("random_normal", {}, {{"shape", shape}, {"mean", 2.0}, {"scale", 3.0}, {"seed", seed}}));
    EXPECT_NEAR(m, 2, 0.06);
    EXPECT_NEAR(v, 9, 0.25);
  }
  auto p = tensor<float>({20000}, std::vector<float>(20000, 0.3f));
  EXPECT_NEAR(moments(run1("bernoulli", {p})).first, 0.3, 0.02);
  auto y = run1("multinomial", {tensor<float>({1, 3}, {std::log(0.2f), std::log(0.5f), std::log(0.3f)})},
                {{"sample_size", int64_t{20000}}});
  int64_t ones = std::count(y->as<int32_t>(), y->as<int32_t>() + 20000, 1);
  EXPECT_NEAR(static_cast<double>(ones) / 20000, 0.5, 0.02);
  EXPECT_TRUE(same(*run1("random_normal_like", {p}), *run1("random_normal_like", {p})));
  EXPECT_FALSE(same(*run1("random_normal_like", {p}), *run1("random_normal_like", {p}, {{"seed", 7.0}})));
}

TEST(Strings, ConcatSplitCompareNormalize) {
  EXPECT_EQ(run1("string_concat", {strings({2}, {"a", ""}), strings({1}, {"-\xc3\xa4"})})->strings,
            (std::vector<std::string>{"a-\xc3\xa4", "-\xc3\xa4"}));
  EXPECT_EQ(values<bool>(run1("equal", {strings({2}, {"a", "b"}), strings({}, {"b"})})),
            (std::vector<bool>{false, true}));
  auto split = [](std::string s, Attrs attrs) {
    auto y = run({"string_split", {strings({1}, {std::move(s)})}, std::move(attrs), 2, true});
    EXPECT_EQ(values<int64_t>(y[1])[0], y[0]->dims[1]);
    return y[0]->strings;
  };
  EXPECT_EQ(split("a,,b", {{"delimiter", std::string(",")}}), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("a,b,c", {{"delimiter", std::string(",")}, {"maxsplit", int64_t{1}}}),
            (std::vector<std::string>{"a", "b,c"}));
  EXPECT_EQ(split("  hello \t world ", {}), (std::vector<std::string>{"hello", "world"}));
  EXPECT_EQ(split("", {}), std::vector<std::string>{});
  auto normal = [](std::vector<std::string> s, Attrs attrs) {
    auto n = static_cast<int64_t>(s.size());
    return run1("string_normalizer", {strings({n}, std::move(s))}, std::move(attrs))->strings;
  };
  EXPECT_EQ(normal({"Monday", "t\xc3\xbcR"},
                   {{"case_change_action", std::string("UPPER")}, {"stopwords", std::vector<std::string>{"MONDAY"}}}),
            (std::vector<std::string>{"T\xc3\x9cR"}));
  EXPECT_EQ(normal({"a"}, {{"stopwords", std::vector<std::string>{"a"}}, {"is_case_sensitive", int64_t{1}}}),
            (std::vector<std::string>{""}));
}

TEST(Strings, NumbersPrintAndParse) {
  const std::vector<float> numbers = {0,     1,           -1.5f,          0.1f, 3.14159274f, 1e-45f, 3.40282347e38f,
                                      1e20f, 123456.789f, 1.17549435e-38f};
  auto n = static_cast<int64_t>(numbers.size());
  auto text = run1("cast", {tensor<float>({n}, numbers)}, {{"to", int64_t{8}}});
  for (size_t k = 0; k < numbers.size(); ++k)
    EXPECT_EQ(std::strtof(text->strings[k].c_str(), nullptr), numbers[k]) << text->strings[k];
  EXPECT_EQ(text->strings[3], "0.1");
  EXPECT_EQ(text->strings[7], "1e+20");
  EXPECT_EQ(values<float>(run1("cast", {text}, {{"to", int64_t{1}}})), numbers);
  for (const char* s : {"0.1", "1e308", "2.2250738585072014e-308", "4.9e-324", "123456789012345678901234567890",
                        "9007199254740993", "1e-400", "0.30000000000000004"}) {
    EXPECT_EQ(values<double>(run1("cast", {strings({1}, {s})}, {{"to", int64_t{11}}}))[0], std::strtod(s, nullptr))
        << s;
  }
  EXPECT_EQ(
      values<int64_t>(run1("cast", {strings({4}, {" 12 ", "-7", "9223372036854775807", "1e3"})}, {{"to", int64_t{7}}})),
      (std::vector<int64_t>{12, -7, INT64_MAX, 1000}));
  auto special = values<float>(run1("cast", {strings({3}, {"nan", "-INF", "+inf"})}, {{"to", int64_t{1}}}));
  EXPECT_TRUE(std::isnan(special[0]) && special[1] == -INFINITY && special[2] == INFINITY);
  EXPECT_FALSE(run_once({"cast", {strings({1}, {"12x"})}, {{"to", int64_t{1}}}, 1, false}, false));
}

TEST(Strings, RegexFullMatch) {
  auto match = [](const char* pattern, std::string s) -> bool {
    return values<bool>(
        run1("regex_full_match", {strings({1}, {std::move(s)})}, {{"pattern", std::string(pattern)}}, false))[0];
  };
  for (auto [pattern, text, expected] :
       std::vector<std::tuple<const char*, const char*, bool>>{{"a*", "aaa", true},
                                                               {"a*", "", true},
                                                               {"a+", "", false},
                                                               {"a|bc|d", "bc", true},
                                                               {"a|bc|d", "b", false},
                                                               {"(a|b)*c", "ababc", true},
                                                               {"[a-c]{2,3}", "abca", false},
                                                               {"[a-c]{2,3}", "abc", true},
                                                               {"[^a-c]", "d", true},
                                                               {"[^a-c]", "b", false},
                                                               {"\\d{3}-\\d+", "123-4", true},
                                                               {"\\w+@[\\w.]+\\.(?:com|net)", "me@x.y.com", true},
                                                               {"\\w+@[\\w.]+\\.(?:com|net)", "me@x.y.org", false},
                                                               {".", "\xc3\xa4", true},
                                                               {"^a$", "a", true},
                                                               {"a\\b.b", "a b", true},
                                                               {"a\\b.b", "acb", false},
                                                               {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
                                                               {"x{3}", "xxx", true},
                                                               {"[]a]+", "]a", true},
                                                               {"a.c", "a\nc", false},
                                                               {"\\.", ".", true}}) {
    EXPECT_EQ(match(pattern, text), expected) << pattern << " on " << text;
  }
  for (const char* bad : {"(a", "a)", "[a", "*a", "a{2,1}", "\\1", "(?=a)"}) {
    EXPECT_FALSE(
        run_once({"regex_full_match", {strings({1}, {"a"})}, {{"pattern", std::string(bad)}}, 1, false}, false))
        << bad;
  }
}

}  // namespace
}  // namespace ingot
