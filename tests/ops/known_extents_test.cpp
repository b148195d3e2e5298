// What checks, declared ranks and the items of sequences say about extents; branches of different ranks.
#include "ir/ops/known_extents.h"

#include <gtest/gtest.h>

#include "ir/ops/interpreter.h"
#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;
using Strings = std::vector<std::string>;

Graph parsed(const std::string& text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  return g ? std::move(*g) : Graph();
}

// The types of the inputs and outputs of an inferred graph, or the error.
Strings types_of(const std::string& text) {
  Graph g = parsed(text);
  auto r = infer_and_expand(g);
  if (!r) return {r.error().message};
  Strings types;
  for (const auto* list : {&g.body.inputs, &g.body.outputs})
    for (const Value* v : *list) types.push_back(v->type.str());
  return types;
}

Result<std::vector<HostValue>> run_lowered(const std::string& text, std::vector<HostValue> inputs) {
  Graph g = parsed(text);
  TRY(infer_and_expand(g));
  k::Program p = TRY(lower_to_kernels(g));
  TRY(k::verify(p));
  return run_program(p, std::move(inputs));
}

// The compiled program gives what the interpreter of graphs gives.
void expect_as_interpreted(const std::string& text, const std::vector<HostValue>& inputs) {
  auto expected = Interpreter().run(parsed(text), inputs);
  ASSERT_TRUE(expected) << expected.error().message;
  auto got = run_lowered(text, inputs);
  ASSERT_TRUE(got) << got.error().message;
  for (size_t k = 0; k < expected->size(); ++k)
    EXPECT_TRUE(test::same(*(*got)[k].tensor, *(*expected)[k].tensor))
        << "output " << k << " is " << str((*got)[k]) << ", expected " << str((*expected)[k]);
}

HostValue host(const TensorRef& t) { return HostValue::of(t); }

// --- equalities that were checked -------------------------------------------------------------------------------------

TEST(KnownExtents, ACheckedExtentIsPutIntoAllTypes) {
  EXPECT_EQ(types_of(R"(graph g(%x: f32[n, c], %w: f32[7, 3]) -> (%y, %z) {
    %z = relu %x : none
    %y = mat_mul %z, %w : none
  })"),
            (Strings{"f32[n, 7]", "f32[7, 3]", "f32[n, 3]", "f32[n, 7]"}));
}

TEST(KnownExtents, OfTwoNamesTheOlderStays) {
  EXPECT_EQ(types_of(R"(graph g(%x: f32[n, c], %w: f32[d, m]) -> (%y) {
    %y = mat_mul %x, %w : none
  })"),
            (Strings{"f32[n, c]", "f32[c, m]", "f32[n, m]"}));
}

// 2*c == 6 says c == 3; a broadcast says nothing, as one side may be 1.
TEST(KnownExtents, OnlyWhatFollows) {
  EXPECT_EQ(types_of(R"(graph g(%x: f32[c], %w: f32[6]) -> (%y) {
    %a = concat %x, %x {axis = 0} : none
    %y = mat_mul %a, %w : none
  })"),
            (Strings{"f32[3]", "f32[6]", "f32[]"}));
  EXPECT_EQ(types_of(R"(graph g(%x: f32[c], %w: f32[6]) -> (%y) {
    %y = add %x, %w : none
  })"),
            (Strings{"f32[c]", "f32[6]", "f32[6]"}));
}

// A branch may not be taken, and then its checks do not hold.
TEST(KnownExtents, NotFromABranch) {
  EXPECT_EQ(types_of(R"(graph g(%go: bool[], %x: f32[n, c], %w: f32[7, 3]) -> (%y) {
    %y = if %go : none
      region() -> (%a) {
        %a = mat_mul %x, %w : none
      }
      region() -> (%b) {
        %b = mat_mul %x, %x : none
      }
  })")[1],
            "f32[n, c]");
}

// The result of an If keeps the symbol that it got while its branches seemed to differ.
TEST(KnownExtents, BranchesThatALaterCheckMakesAlike) {
  const std::string text = R"(graph g(%go: bool[], %x: f32[n], %z: f32[m], %w: f32[3]) -> (%y, %a, %b) {
    %y = if %go : none
      region() -> (%p) {
        %p = neg %x : none
      }
      region() -> (%q) {
        %q = neg %z : none
      }
    %a = mat_mul %x, %w : none
    %b = mat_mul %z, %w : none
  })";
  for (bool go : {true, false}) {
    auto condition = TensorData::make(DType::Bool, {});
    *condition->mutable_as<uint8_t>() = go;
    expect_as_interpreted(text, {host(condition), host(floats({3})), host(floats({3})), host(floats({3}))});
  }
}

// The bound of a symbol is made of what was replaced.
TEST(KnownExtents, BoundsFollow) {
  const std::string text = R"(graph g(%x: f32[c], %k: bool[c], %w: f32[4]) -> (%y, %z) {
    %y = compress %x, %k {axis = 0} : none
    %z = mat_mul %x, %w : none
  })";
  EXPECT_EQ(types_of(text)[0], "f32[4]");
  expect_as_interpreted(text, {host(tensor<float>({4}, {1, 2, 3, 4})), host([] {
                                 auto t = TensorData::make(DType::Bool, {4});
                                 t->mutable_as<uint8_t>()[1] = t->mutable_as<uint8_t>()[3] = 1;
                                 return t;
                               }()),
                               host(tensor<float>({4}, {1, 1, 1, 1}))});
}

TEST(KnownExtents, TheInputIsCheckedWhereItIsBound) {
  auto r = run_lowered(R"(graph g(%x: f32[n, c], %w: f32[7, 3]) -> (%y) {
    %y = mat_mul %x, %w : none
  })",
                       {host(floats({2, 5})), host(floats({7, 3}))});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("got f32[2, 5] for input 'x', expected f32[n, 7]"), std::string::npos)
      << r.error().message;
}

// Weights say how many features the free input of a recurrence has, and how its states look.
TEST(KnownExtents, Recurrences) {
  for (const char* layout : {"0", "1"}) {
    const bool front = layout[0] == '1';
    for (const char* op : {"lstm", "gru", "rnn"}) {
      const int64_t gates = op[0] == 'l' ? 4 : op[0] == 'g' ? 3 : 1;
      Shape x = front ? Shape{2, 4, 5} : Shape{4, 2, 5}, h = front ? Shape{2, 1, 3} : Shape{1, 2, 3};
      Call call{op,
                {floats(x), constant(floats({1, gates * 3, 5})), constant(floats({1, gates * 3, 3})),
                 constant(floats({1, gates * 6})), tensor<int32_t>({2}, {4, 2}), floats(h)},
                {{"hidden_size", int64_t{3}}, {"layout", int64_t{front}}},
                2};
      run(call);
    }
  }
}

TEST(KnownExtents, StatesOfARecurrenceAreChecked) {
  const std::string error =
      error_of("rnn", {floats({4, 2, 5}), floats({1, 3, 5}), floats({1, 3, 3}), {}, {}, floats({1, 1, 3})},
               {{"hidden_size", int64_t{3}}});
  EXPECT_NE(error.find("an initial state has extent 1 in dimension 1, expected 2"), std::string::npos) << error;
}

// Lengths that mask nothing are still one per sequence.
TEST(KnownExtents, FullLengthsFixTheBatch) {
  for (const char* op : {"lstm", "gru", "rnn"}) {
    const int64_t gates = op[0] == 'l' ? 4 : op[0] == 'g' ? 3 : 1;
    const std::string error = error_of(op,
                                       {floats({1, 3, 5}),
                                        constant(floats({1, gates * 3, 5})),
                                        constant(floats({1, gates * 3, 3})),
                                        {},
                                        constant(tensor<int32_t>({2}, {1, 1}))},
                                       {{"hidden_size", int64_t{3}}});
    EXPECT_NE(error.find("sequence_lens has extent 2 in dimension 0, expected 3"), std::string::npos) << error;
  }
}

// In a region nothing is put into the types of outer values. The steps still have the extents of the weights, whose packing
// cannot wait for the run.
TEST(KnownExtents, StatesInARegionHaveTheExtentsOfTheWeights) {
  for (const char* layout : {"0", "1"}) {
    const bool front = layout[0] == '1';
    for (const char* op : {"lstm", "gru", "rnn"}) {
      const int64_t gates = op[0] == 'l' ? 4 : op[0] == 'g' ? 3 : 1;
      Graph g = parsed(fmt::format(
          R"(graph g(%go: bool[], %x: f32[{0}, i], %h: f32[{1}, m], %w: f32[1, {2}, 5], %r: f32[1, {2}, 3]) -> (%y) {{
    %y = if %go : none
      region() -> (%a) {{
        %s, %a = {3} %x, %w, %r, _, _, %h {{hidden_size = 3, layout = {4}}} : none, none
      }}
      region() -> (%b) {{
        %b = neg %h : none
      }}
  }})",
          front ? "b, t" : "t, b", front ? "b, d" : "d, b", gates * 3, op, layout));
      ASSERT_TRUE(infer_and_expand(g));
      bool step = false;
      for_each_node(g.body, [&](const Node& n) {
        if (!n.op().ends_with("_step")) return;
        step = true;
        for (const Value* v : n.outputs) {
          ASSERT_TRUE(v);
          EXPECT_TRUE(v->type.tensor.dims[0].is(1) && v->type.tensor.dims[2].is(3)) << v->type.str();
        }
      });
      EXPECT_TRUE(step);
    }
  }
}

TEST(KnownExtents, LinearModels) {
  const std::vector<double> six(6, 0.5);
  run1("linear_regressor", {floats({4, 3})}, {{"targets", int64_t{2}}, {"coefficients", six}});
  run({"linear_classifier",
       {floats({4, 3})},
       {{"coefficients", six},
        {"intercepts", std::vector<double>{1, 2}},
        {"classlabels_ints", std::vector<int64_t>{4, 5}}},
       2});
  run1("svm_regressor", {floats({4, 3})},
       {{"n_supports", int64_t{2}},
        {"support_vectors", six},
        {"coefficients", std::vector<double>{1, -1}},
        {"rho", std::vector<double>{0.25}}});
  run1("feature_vectorizer", {floats({4, 3}), floats({4, 2})});
}

TEST(KnownExtents, HeadsOfAnySize) {
  run1("attention", {floats({1, 2, 3, 4}), floats({1, 2, 5, 4}), floats({1, 2, 5, 6})});
  run1("multi_head_attention", {floats({1, 3, 8}), floats({1, 5, 8}), floats({1, 5, 8})}, {{"num_heads", int64_t{2}}});
  run({"linear_attention",
       {floats({1, 3, 8}), floats({1, 3, 8}), floats({1, 3, 4})},
       {{"q_num_heads", int64_t{2}}, {"kv_num_heads", int64_t{2}}, {"update_rule", std::string("linear")}},
       2});
}

// --- lengths that ranks say -------------------------------------------------------------------------------------------

// Inputs of integers whose length is a symbol; the ranks of x and of the result say it.
TEST(KnownExtents, LengthsFromRanks) {
  auto list = [](std::vector<int64_t> v) { return tensor<int64_t>({static_cast<int64_t>(v.size())}, v); };
  TensorRef x = floats({2, 3});
  run1("pad", {x, list({1, 0, -1, 2})});
  run1("pad", {x, list({1, 2}), TensorRef(), list({-1})});
  run1("tile", {x, list({2, 1})});
  run1("expand", {floats({3, 1}), list({4})});
  run1("expand", {floats({3, 1}), list({2, 1, 4})});
  run1("expand", {floats({1, 3, 1}), list({3, 4})});
  run1("reshape", {x, list({3, -1, 1})});
  run1("constant_of_shape", {list({2, 0, 3})});
  run1("slice", {x, list({1, -1}), list({0, -4}), list({0, -1}), list({-1, -2})});
  run1("reduce_sum", {x, list({1})});
  run1("reduce_sum", {x, list({-1})}, {{"keepdims", int64_t{0}}});
  run1("reduce_max", {x, list({1, 0})}, {{"keepdims", int64_t{0}}});
  run1("squeeze", {floats({2, 1, 3, 1}), list({1, -1})});
  run1("unsqueeze", {x, list({0, -1})});
  run1("gather_nd", {x, tensor<int64_t>({2, 1}, {1, 0})});
  run1("gather_nd", {x, tensor<int64_t>({2, 2}, {1, 0, -1, 2})});
  run1("scatter_nd", {x, tensor<int64_t>({2, 1}, {1, 0}), floats({2, 3})});
  run1("scatter_nd", {x, tensor<int64_t>({2, 2}, {1, 0, 0, 2}), floats({2})});
  run1("range", {tensor<int64_t>({1}, {1}), tensor<int64_t>({1}, {7}), tensor<int64_t>({1}, {2})});
  run1("dft", {floats({1, 5, 1})});
  run1("dft", {floats({1, 5, 2})});
  run({"split", {floats({5, 2}), list({4, 1})}, {{"axis", int64_t{0}}}, 2});
}

// Nothing says the rank: the message names the input and what would say it.
TEST(KnownExtents, NothingSaysTheRank) {
  auto r = run_once({"gather_nd", {floats({2, 3}), tensor<int64_t>({2, 1}, {1, 0})}}, true);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("expected a constant, or a declared rank of the result"), std::string::npos)
      << r.error().message;
}

// A list of another length than the rank says fails the run, and nothing is read past its end.
TEST(KnownExtents, WrongLengthsFailTheRun) {
  auto r = run_lowered(R"(graph g(%x: f32[n, m], %r: i64[k]) -> (%y) {
    %y = tile %x, %r : none
  })",
                       {host(floats({2, 3})), host(tensor<int64_t>({1}, {2}))});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("expected i64[2]"), std::string::npos) << r.error().message;
  // Inside of a branch the input keeps its type, and the node checks.
  r = run_lowered(R"(graph g(%go: bool[], %x: f32[n, m], %r: i64[k]) -> (%y) {
    %y = if %go : none
      region() -> (%a) {
        %a = tile %x, %r : none
      }
      region() -> (%b) {
        %b = identity %x : none
      }
  })",
                  {host([] {
                     auto t = TensorData::make(DType::Bool, {});
                     *t->mutable_as<uint8_t>() = 1;
                     return t;
                   }()),
                   host(floats({2, 3})), host(tensor<int64_t>({1}, {2}))});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("expected 2"), std::string::npos) << r.error().message;
}

// --- items of sequences -----------------------------------------------------------------------------------------------

TEST(KnownExtents, ItemsOfOneShape) {
  EXPECT_EQ(types_of(R"(graph g(%x: f32[n, 3], %y: f32[n, 3], %at: i64[]) -> (%z, %i) {
    %s = sequence_construct %x, %y : none
    %z = concat_from_sequence %s {axis = 1} : none
    %i = sequence_at %s, %at : none
  })"),
            (Strings{"f32[n, 3]", "f32[n, 3]", "i64[]", "f32[n, z_n1]", "f32[n, 3]"}));
}

TEST(KnownExtents, ItemsThatDiffer) {
  EXPECT_EQ(types_of(R"(graph g(%x: f32[2, 3], %y: f32[4, 3], %at: i64[]) -> (%z) {
    %s = sequence_construct %x, %y : none
    %z = sequence_at %s, %at : none
  })")[3],
            "f32[z_n0, 3]");
  // Which items a run gives is not checked.
  EXPECT_EQ(types_of(R"(graph g(%s: seq(f32[2, 3]), %at: i64[]) -> (%z) {
    %z = sequence_at %s, %at : none
  })")[2],
            "f32[z_n0, z_n1]");
}

// A sequence that a loop builds: all items have the shape that an iteration gives them, unless it differs between them.
TEST(KnownExtents, ItemsThatALoopMakes) {
  const std::string text = R"(graph g(%n: i64[], %x: f32[2, 3]) -> (%z) {
    %e = sequence_empty : none
    %s = loop %n, _, %e : none
      region(%i: i64[], %go: bool[], %v: seq(none)) -> (%go, %w) {
        %t = relu %x : none
        %w = sequence_insert %v, %t : none
      }
    %z = concat_from_sequence %s {axis = 0} : none
  })";
  EXPECT_EQ(types_of(text)[2], "f32[z_n0, 3]");
  expect_as_interpreted(text, {host(tensor<int64_t>({}, {3})), host(floats({2, 3}))});
  const std::string growing = R"(graph g(%n: i64[], %x: f32[2, 3]) -> (%z) {
    %e = sequence_empty : none
    %l, %s = loop %n, _, %x, %e : none, none
      region(%i: i64[], %go: bool[], %u: f32[2, 3], %v: seq(none)) -> (%go, %t, %w) {
        %t = concat %u, %x {axis = 0} : none
        %w = sequence_insert %v, %t : none
      }
    %z = concat_from_sequence %s {axis = 0} : none
  })";
  EXPECT_EQ(types_of(growing)[2], "f32[z_n0, 3]");
  expect_as_interpreted(growing, {host(tensor<int64_t>({}, {3})), host(floats({2, 3}))});
}

// --- branches of different ranks --------------------------------------------------------------------------------------

HostValue boolean(bool v) {
  auto t = TensorData::make(DType::Bool, {});
  *t->mutable_as<uint8_t>() = v;
  return HostValue::of(t);
}

// What follows is compiled for each branch.
TEST(Branches, OfDifferentRanksThatMeetAgain) {
  const std::string text = R"(graph g(%go: bool[], %x: f32[1, n], %w: f32[n]) -> (%z, %k) {
    %before = neg %x : none
    %y = if %go : none
      region() -> (%a) {
        %a = squeeze %before, %axis : none
      }
      region() -> (%b) {
        %b = identity %before : none
      }
    %k = relu %w : none
    %m = mul %y, %k : none
    %z = reduce_sum %m {keepdims = 0} : none
    %axis = constant i64[1] dense<[0]>
  })";
  std::string ordered = text;
  const std::string constant = "    %axis = constant i64[1] dense<[0]>\n";
  ordered.erase(ordered.find(constant), constant.size());
  ordered.insert(ordered.find("    %before"), constant);
  for (bool go : {true, false}) expect_as_interpreted(ordered, {boolean(go), host(floats({1, 4})), host(floats({4}))});
}

// One branch does not go with what follows: the run says so where it is taken, and why.
TEST(Branches, OneOfWhichIsWrong) {
  const std::string text = R"(graph g(%x: f32[c, n], %w: f32[2, 3]) -> (%z) {
    %axis = constant i64[1] dense<[0]>
    %one = constant i64[] dense<[1]>
    %zero = constant i64[] dense<[0]>
    %s = shape %x : none
    %c = gather %s, %zero {axis = 0} : none
    %go = equal %c, %one : none
    %y = if %go : none
      region() -> (%a) {
        %a = squeeze %x, %axis : none
      }
      region() -> (%b) {
        %b = identity %x : none
      }
    %z = transpose %y {perm = [1, 0]} : none
  })";
  expect_as_interpreted(text, {host(floats({2, 3})), host(floats({2, 3}))});
  auto r = run_lowered(text, {host(floats({1, 3})), host(floats({2, 3}))});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("the first branch is taken, with which the model is wrong: perm has 2 entries"),
            std::string::npos)
      << r.error().message;
}

TEST(Branches, ThatCannotBeOneResult) {
  EXPECT_NE(
      types_of(R"(graph g(%go: bool[], %x: f32[2, n]) -> (%y) {
    %y = if %go : none
      region() -> (%a) {
        %a = reduce_sum %x {keepdims = 0} : none
      }
      region() -> (%b) {
        %b = identity %x : none
      }
  })")[0]
          .find("got branches that give f32[] and f32[2, n], expected one rank where the result leaves the graph"),
      std::string::npos);
  EXPECT_NE(types_of(R"(graph g(%go: bool[], %x: f32[2, n]) -> (%y) {
    %y = if %go : none
      region() -> (%a) {
        %a = shape %x : none
      }
      region() -> (%b) {
        %b = identity %x : none
      }
  })")[0]
                .find("expected one element type"),
            std::string::npos);
}

// --- broadcasting and windows -----------------------------------------------------------------------------------------

// 0 and 1 broadcast to 0, 0 and anything else do not.
TEST(KnownExtents, BroadcastOfNothing) {
  for (auto [n, m] : std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {1, 0}, {0, 0}, {1, 1}, {3, 1}, {1, 3}, {3, 3}}) {
    auto y = run1("add", {floats({n, 2}), floats({m, 2})});
    EXPECT_EQ(y->dims, (Shape{n == 1 ? m : n, 2}));
    y = run1("sum", {floats({n}), floats({m}), floats({1}), floats({n})});
    EXPECT_EQ(y->dims, (Shape{n == 1 ? m : n}));
  }
  EXPECT_FALSE(run_once({"add", {floats({0}), floats({2})}}, true));
  EXPECT_FALSE(run_once({"add", {floats({0}), floats({2})}}, false));
}

// Values that met before meet again, in every layer of a network: the extent is what it was after the first time.
TEST(KnownExtents, BroadcastingAgainSaysNothingNew) {
  std::string text =
      "graph g(%x: f32[n], %y: f32[m], %z: f32[k]) -> (%a, %last) {\n  %a = add %x, %y : none\n  %b = add %a, %z : none\n";
  std::string last = "%b";
  for (int k = 0; k < 12; ++k)
    for (const char* with : {"%x", "%y", "%z", "%a", "%b"}) {
      const std::string next = "%v" + std::to_string(k) + "_" + (with + 1);
      text += "  " + next + " = add " + last + ", " + with + " : none\n";
      last = next;
    }
  text += "  %last = relu " + last + " : none\n}";
  const Strings types = types_of(text);
  ASSERT_EQ(types.size(), 5u) << types[0];
  EXPECT_EQ(types[3], "f32[max(n, m)*(0 < n)*(0 < m)]");
  EXPECT_EQ(types[4], "f32[max(k, max(n, m))*(0 < n)*(0 < m)*(0 < k)]");
  for (int64_t n : {0, 1, 3})
    for (int64_t m : {0, 1, 3})
      for (int64_t k : {0, 1, 3}) {
        const bool nothing = n * m * k == 0, three = n == 3 || m == 3 || k == 3;
        if (nothing && three) continue;
        auto r = run_lowered(text, {host(floats({n})), host(floats({m})), host(floats({k}))});
        ASSERT_TRUE(r) << r.error().message;
        EXPECT_EQ((*r)[1].tensor->dims, (Shape{nothing ? 0 : three ? 3 : 1})) << n << " " << m << " " << k;
      }
}

// The extent of a part of x that ends where x does is 0 exactly where that of x is.
TEST(KnownExtents, BroadcastOfAValueWithItsPart) {
  EXPECT_EQ(types_of(R"(graph g(%x: f32[b, n], %p: f32[512], %zero: i64[1] = [0]) -> (%part, %y) {
    %shape = shape %x { end = 2, start = 1 } : none
    %part = slice %p, %zero, %shape, %zero : none
    %y = add %x, %part : none
  })")
                .back(),
            "f32[b, n]");
}

// The same answer for extents that are known and for those that are not: a window of one element has no place in nothing, a
// larger one does not fit, and the message names it.
TEST(KnownExtents, WindowsOverNothing) {
  EXPECT_EQ(run1("conv", {floats({1, 2, 0, 5}), floats({3, 2, 1, 1})})->dims, (Shape{1, 3, 0, 5}));
  Attrs attrs{{"kernel_shape", std::vector<int64_t>{1}}};
  EXPECT_EQ(run1("max_pool", {floats({1, 2, 0})}, attrs)->dims, (Shape{1, 2, 0}));
  attrs.set("kernel_shape", std::vector<int64_t>{3});
  for (const char* op : {"max_pool", "average_pool", "lp_pool"}) {
    for (bool dynamic : {false, true}) {
      auto r = run_once({op, {floats({1, 2, 1})}, attrs}, dynamic);
      ASSERT_FALSE(r);
      EXPECT_NE(r.error().message.find("the window has extent 3 in spatial dimension 0"), std::string::npos)
          << r.error().message;
    }
  }
}

}  // namespace
}  // namespace ingot
