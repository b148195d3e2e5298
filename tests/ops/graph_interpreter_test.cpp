// The interpreter of graphs: control flow, sequences and optionals, what it reports.
#include <gtest/gtest.h>

#include "ir/ops/interpreter.h"

namespace ingot {
namespace {

HostValue floats(std::vector<int64_t> dims, const std::vector<float>& v) {
  auto d = TensorData::make(DType::F32, std::move(dims));
  std::copy(v.begin(), v.end(), d->mutable_as<float>());
  return HostValue::of(std::move(d));
}
HostValue integer(int64_t v) {
  auto d = TensorData::make(DType::I64, {});
  *d->mutable_as<int64_t>() = v;
  return HostValue::of(std::move(d));
}
HostValue boolean(bool v) {
  auto d = TensorData::make(DType::Bool, {});
  *d->mutable_as<uint8_t>() = v;
  return HostValue::of(std::move(d));
}

std::vector<std::string> run(const std::string& text, std::vector<HostValue> inputs, InterpreterOptions options = {}) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return {};
  auto r = Interpreter(std::move(options)).run(*g, std::move(inputs));
  if (!r) return {"error: " + r.error().message};
  std::vector<std::string> out;
  for (const HostValue& v : *r) out.push_back(str(v));
  return out;
}
using Strings = std::vector<std::string>;

TEST(GraphInterpreter, BranchesAndOuterValues) {
  const std::string text = R"(graph g(%c: bool[], %x: f32[2]) -> (%y) {
    %d = add %x, %x : none
    %y = if %c : none
      region() -> (%a) {
        %a = neg %d : none
      }
      region() -> (%b) {
        %b = concat %d, %x {axis = 0} : none
      }
  })";
  EXPECT_EQ(run(text, {boolean(true), floats({2}, {1, 2})}), Strings{"f32[2] {-2, -4}"});
  EXPECT_EQ(run(text, {boolean(false), floats({2}, {1, 2})}), Strings{"f32[4] {2, 4, 1, 2}"});
}

TEST(GraphInterpreter, LoopsCarryAndCollect) {
  const std::string text = R"(graph g(%n: i64[], %x: f32[1]) -> (%last, %all) {
    %last, %all = loop %n, _, %x : none, none
      region(%i: i64[], %go: bool[], %v: f32[1]) -> (%go, %w, %s) {
        %w = concat %v, %x {axis = 0} : none
        %s = reduce_sum %w {keepdims = 0} : none
      }
  })";
  EXPECT_EQ(run(text, {integer(3), floats({1}, {2})}), (Strings{"f32[4] {2, 2, 2, 2}", "f32[3] {4, 6, 8}"}));
  EXPECT_EQ(run(text, {integer(0), floats({1}, {2})}), (Strings{"f32[1] {2}", "f32[0] {}"}));
}

// What stood for outer values while the types of a loop without iterations were inferred is forgotten with that graph, so
// that nothing made later finds it at its own address.
TEST(GraphInterpreter, NothingIsLeftOfALoopWithoutIterations) {
  const std::string text = R"(graph g(%n: i64[], %x: f32[1, 1, 3, 1], %l: f32[2]) -> (%y, %z) {
    %c, %y = loop %n, _, %l : none, none
      region(%i: i64[], %go: bool[], %h: none) -> (%go, %h, %x) {
      }
    %s, %z = scan %l, %l {num_scan_inputs = 1} : none, none
      region(%a: none, %b: f32[]) -> (%a, %a) {
      }
  })";
  for (int k = 0; k < 20; ++k) {
    EXPECT_EQ(run(text, {integer(0), floats({1, 1, 3, 1}, {1, 2, 3}), floats({2}, {4, 5})}),
              (Strings{"f32[0, 1, 1, 3, 1] {}", "f32[2, 2] {4, 5, 4, 5}"}));
  }
}

// A scan consists of a loop; one whose body ran says nothing.
TEST(GraphInterpreter, TheHookSeesWhatCollectsNothing) {
  const std::string text = R"(graph g(%n: i64[], %x: f32[m], %l: f32[2]) -> (%y, %z, %w) {
    %c, %y = loop %n, _, %l : none, none
      region(%i: i64[], %go: bool[], %h: none) -> (%go, %h, %h) {
      }
    %s, %z = scan %l, %x {num_scan_inputs = 1} : none, none
      region(%a: none, %b: f32[]) -> (%a, %a) {
      }
    %w = add %l, %l : none
  })";
  std::vector<std::string> seen;
  InterpreterOptions options;
  options.on_nothing_collected = [&](const Node& n) { seen.push_back(std::string(n.op())); };
  run(text, {integer(0), floats({0}, {}), floats({2}, {4, 5})}, options);
  EXPECT_EQ(seen, (Strings{"loop", "scan"}));
  seen.clear();
  run(text, {integer(1), floats({1}, {3}), floats({2}, {4, 5})}, options);
  EXPECT_EQ(seen, Strings{});
}

TEST(GraphInterpreter, SequencesAreBuiltAndTakenApart) {
  const std::string text = R"(graph g(%x: f32[3, 2], %y: f32[1, 2], %k: i64[]) -> (%n, %joined, %item, %stacked) {
    %s = split_to_sequence %x {axis = 0} : none
    %t = sequence_insert %s, %y, %k : none
    %n = sequence_length %t : none
    %joined = concat_from_sequence %t {axis = 0} : none
    %item = sequence_at %t, %k : none
    %u = sequence_erase %t : none
    %stacked = concat_from_sequence %u {axis = -1, new_axis = 1} : none
  })";
  EXPECT_EQ(run(text, {floats({3, 2}, {1, 2, 3, 4, 5, 6}), floats({1, 2}, {8, 9}), integer(1)}),
            (Strings{"i64[] {4}", "f32[4, 2] {1, 2, 8, 9, 3, 4, 5, 6}", "f32[1, 2] {8, 9}",
                     "f32[1, 2, 3] {1, 8, 3, 2, 9, 4}"}));
  const auto bad = run(text, {floats({3, 2}, {1, 2, 3, 4, 5, 6}), floats({1, 2}, {8, 9}), integer(9)});
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_NE(bad[0].find("index 9 out of range [0, 4)"), std::string::npos) << bad[0];
}

TEST(GraphInterpreter, SequenceMapRunsItsBodyPerItem) {
  EXPECT_EQ(run(R"(graph g(%x: f32[2, 2], %y: f32[]) -> (%m) {
    %s = split_to_sequence %x {axis = 0, keepdims = 0} : none
    %m = sequence_map %s, %y : none
      region(%a: none, %b: none) -> (%c) {
        %c = add %a, %b : none
      }
  })",
                {floats({2, 2}, {1, 2, 3, 4}), floats({}, {10})}),
            Strings{"sequence(f32[2] {11, 12}, f32[2] {13, 14})"});
}

TEST(GraphInterpreter, Optionals) {
  EXPECT_EQ(run(R"(graph g(%x: f32[2]) -> (%has, %none, %y) {
    %o = optional %x : none
    %e = optional {type = "f32[2]"} : none
    %has = optional_has_element %o : none
    %none = optional_has_element %e : none
    %y = optional_get_element %o : none
  })",
                {floats({2}, {1, 2})}),
            (Strings{"bool[] {1}", "bool[] {0}", "f32[2] {1, 2}"}));
}

TEST(GraphInterpreter, TheHookSeesTheModelsValues) {
  Strings seen;
  InterpreterOptions options;
  options.on_value = [&](std::string_view name, const HostValue& v) {
    seen.push_back(std::string(name) + " = " + str(v));
  };
  run("graph g(%x: f32[2]) -> (%b) {\n %a = neg %x : none\n %b = abs %a : none\n}", {floats({2}, {1, -2})}, options);
  EXPECT_EQ(seen, (Strings{"a = f32[2] {-1, 2}", "b = f32[2] {1, 2}"}));
}

TEST(GraphInterpreter, ErrorsNameTheNode) {
  const auto r =
      run("graph g(%x: f32[2], %y: f32[3]) -> (%z) {\n %z = add %x, %y : none @\"sum\" from \"Add, opset 14\"\n}",
          {floats({2}, {1, 2}), floats({3}, {1, 2, 3})});
  ASSERT_EQ(r.size(), 1u);
  EXPECT_NE(r[0].find("in node 'sum' (Add, opset 14) with inputs f32[2], f32[3]"), std::string::npos) << r[0];
}

TEST(GraphInterpreter, LoopsEnd) {
  InterpreterOptions options;
  options.max_iterations = 1000;
  const auto r = run(R"(graph g(%x: f32[1]) -> (%y) {
    %y = loop _, _, %x : none
      region(%i: i64[], %go: bool[], %v: f32[1]) -> (%go, %w) {
        %w = neg %v : none
      }
  })",
                     {floats({1}, {2})}, options);
  ASSERT_EQ(r.size(), 1u);
  EXPECT_NE(r[0].find("a loop exceeds 1000 iterations"), std::string::npos) << r[0];
}

}  // namespace
}  // namespace ingot
