#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ir/graph/graph.h"
#include "ir/graph/op_def.h"
#include "ir/numeric.h"
#include "ir/text.h"

namespace ingot {
namespace {

Graph parsed(std::string_view text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  return g ? std::move(*g) : Graph();
}

void expect_same(std::string_view text) {
  Graph g = parsed(text);
  EXPECT_EQ(str(g), text);
  auto ok = verify(g);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
}

void expect_error(std::string_view text, std::string_view message) {
  auto g = parse_graph(text);
  ASSERT_FALSE(g) << text;
  EXPECT_EQ(g.error().message, message);
}

TEST(GraphText, InputsWithContentsRoundTrip) {
  expect_same(R"(graph g(%x: f32[n], %w: f32[n] default f32[2] dense<[1.0, 2.0]>) -> (%y) {
  %y = add %x, %w : f32[n]
}
)");
  expect_error("graph g(%w: f32[2] default i64[2] dense<[1, 2]>) -> (%w) {\n}\n",
               "1:28: got contents of type i64[2] for an input of f32[2]");
}

TEST(GraphText, RoundTrips) {
  expect_same(R"(graph resnet(%x: f32[batch, 3, 224, 224]) -> (%y) {
  %w = constant f32[2, 2] dense<[1.0, 2.5, -0.0, nan]>
  %y = conv %x, %w {auto_pad = "NOTSET", group = 1, pads = [1, 1, 1, 1]} : f32[batch, 64, 112, 112] @"conv_7" from "Conv, opset 17"
}
)");
}

// Absent inputs and outputs, outputs without types, names that need quotes.
TEST(GraphText, RoundTripsAbsentValuesAndOddNames) {
  expect_same(R"(graph "a graph"(%"x:0": f32[n], %0: none) -> (%layer/1.out) {
  %layer/1.out, _ = clip %"x:0", _, %0
}
)");
}

TEST(GraphText, RoundTripsEveryKindOfAttribute) {
  std::string text = R"(graph g() -> () {
  %y = cast {a = 1, b = -9223372036854775808, c = 0.5, d = nan, e = -inf, f = "a\"b\\\n\x00", g = [1, -2], h = [], i = floats[], j = strings[], k = [1.0, 2.5], l = ["a", "b"], m = none, n = i4[3] dense<[-8, 0, 7]>, o = f16[] dense<[0.1]>, p = 3.0}
}
)";
  EXPECT_EQ(str(parsed(text)), text);
}

TEST(GraphText, RoundTripsRegionsAndOtherTypes) {
  expect_same(R"(graph g(%c: bool[], %x: f32[2], %s: seq(map(i64, optional(string[n])))) -> (%y) {
  %y = if %c : f32[2]
    region() -> (%a) {
      %a = neg %x : f32[2]
    }
    region() -> (%b) {
      %b = if %c : f32[2]
        region() -> (%x) {
        }
        region() -> (%d) {
          %d = abs %x : f32[2]
        }
    }
}
)");
}

TEST(GraphText, RoundTripsSymbolsAndSymbolicContents) {
  expect_same(R"(symbols batch in [1, 64], m in [-3, 5], n >= 1, i < n, k < min(m, n), found
graph g(%x: f32[batch, n, 3]) -> (%t, %z) {
  %s = shape %x : i64[3] = [batch, n, 3]
  %t = neg %s : i64[3] = [-batch, n div 4 + i mod 3, k*(n < m) + 1] reads (0: batch, 2: k)
  %z = non_zero %x : i64[3, found] decides (found)
}
)");
}

// Terms are ordered by their symbols: where the order of first mention differs, the text declares the order.
TEST(GraphText, KeepsTheOrderOfTerms) {
  Symbol a = Dim::symbol("a"), b = Dim::symbol("b");
  Graph g;
  g.name = "g";
  g.body.inputs.push_back(g.new_value("x", Type::of({DType::F32, {Dim(b), Dim(a) + Dim(b)}})));
  std::string text = str(g);
  EXPECT_EQ(text, "symbols a, b\ngraph g(%x: f32[b, a + b]) -> () {\n}\n");
  EXPECT_EQ(str(parsed(text)), text);
}

TEST(GraphText, SymbolsOfOneNameStayDistinct) {
  Symbol a = Dim::symbol("n"), b = Dim::symbol("n");
  Graph g;
  g.name = "g";
  g.body.inputs.push_back(g.new_value("x", Type::of({DType::F32, {Dim(a), Dim(b), Dim(a)}})));
  std::string text = str(g);
  EXPECT_EQ(text, "graph g(%x: f32[n, n_1, n]) -> () {\n}\n");
  EXPECT_EQ(str(parsed(text)), text);
}

TEST(GraphText, NewValuesHaveUniqueNames) {
  Graph g;
  EXPECT_EQ(g.new_value("x")->name, "x");
  EXPECT_EQ(g.new_value("x_1")->name, "x_1");
  EXPECT_EQ(g.new_value("x")->name, "x_2");
  EXPECT_EQ(g.new_value("x")->name, "x_3");
  EXPECT_EQ(g.new_value("")->name, "v");
}

TEST(GraphText, AttributesAreSorted) {
  Attrs a{{"z", int64_t{1}}, {"a", int64_t{2}}};
  a.set("m", 0.5);
  a.set("a", int64_t{3});
  ASSERT_EQ(a.items().size(), 3u);
  EXPECT_EQ(a.items()[0].first, "a");
  EXPECT_EQ(std::get<int64_t>(*a.find("a")), 3);
  a.erase("m");
  a.erase("nothing");
  EXPECT_EQ(a.find("m"), nullptr);
}

// Contents of every type give back the same bytes; long ones as hex.
TEST(GraphText, ContentsRoundTrip) {
  std::mt19937 rng(7);
  for (int k = 1; k <= static_cast<int>(DType::C128); ++k) {
    for (int64_t n : {0, 1, 7, 64, 65}) {
      auto t = static_cast<DType>(k);
      auto d = TensorData::make(t, {n});
      for (int64_t i = 0; i < d->size_bytes; ++i)
        d->mutable_bytes()[i] = static_cast<uint8_t>(t == DType::Bool ? rng() % 2 : rng());
      std::string text = str_contents(*d, false);
      Lexer lexer(text);
      auto back = parse_contents(lexer, d->type());
      ASSERT_TRUE(back) << back.error().message << "\n" << text;
      EXPECT_TRUE(lexer.at_end());
      ASSERT_EQ((*back)->size_bytes, d->size_bytes);
      EXPECT_EQ(std::memcmp((*back)->bytes, d->bytes, static_cast<size_t>(d->size_bytes)), 0) << text;
    }
  }
  auto s = TensorData::make(DType::String, {100});
  s->strings[3] = "x\n\"";
  std::string text = str_contents(*s, false);
  Lexer lexer(text);
  auto back = parse_contents(lexer, s->type());
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ((*back)->strings, s->strings);
}

TEST(GraphText, LongContentsCanBeElided) {
  Graph g;
  g.name = "g";
  Value* w = g.new_constant("w", TensorData::make(DType::F32, {100}));
  g.body.outputs.push_back(w);
  EXPECT_EQ(str(g, true), "graph g() -> (%w) {\n  %w = constant f32[100] dense<elided>\n}\n");
  expect_error(str(g, true), "2:32: got 'elided', expected contents (these were left out when the text was printed)");
}

TEST(GraphText, ErrorsNameThePlace) {
  expect_error("", "1:1: got the end of the text, expected 'graph'");
  expect_error("graph g(%x: f33[1]) -> () {}", "1:13: got 'f33', expected an element type");
  expect_error("graph g() -> (%y) {\n}", "1:15: got %y, expected a value that is defined before");
  expect_error("graph g() -> () {\n  %y = cnv\n}", "2:8: got the unknown operator 'cnv', the nearest is 'conv'");
  expect_error("graph g(%x: f32[1], %x: f32[1]) -> () {}", "1:21: got a second definition of %x");
  expect_error("graph g() -> () {\n  %w = constant i8[2] dense<[1, 300]>\n}",
               "2:33: got 300, expected a number in the range of i8");
  expect_error("graph g() -> () {\n  %w = constant f32[3] dense<[1, 2]>\n}", "2:35: got ']', expected ','");
  expect_error("graph g() -> () {\n  %w = constant f32[2] hex<\"00\">\n}",
               "2:28: got 2 hexadecimal digits, expected 8 bytes for f32[2]");
  expect_error("graph g() -> () { %y = neg {axis = 1, axis = 2} }", "1:39: got the attribute \"axis\" twice");
  expect_error("graph g() -> () {} x", "1:20: got 'x', expected the end of the text");
  expect_error("graph \"g", "1:7: got the end of the text, expected '\"'");
  expect_error("graph g(%x: f32[99999999999999999999]) -> () {}", "1:17: got a number that is too large");
}

// A value of a region is not seen outside of it.
TEST(GraphText, RegionsHaveScopes) {
  expect_error("graph g(%c: bool[]) -> (%a) {\n  %y = if %c region() -> (%a) { %a = neg %c }\n}",
               "1:25: got %a, expected a value that is defined before");
}

TEST(GraphText, NestingIsLimited) {
  std::string parens(100000, '('), text = "graph g(%x: f32[" + parens;
  auto g = parse_graph(text);
  ASSERT_FALSE(g);
  EXPECT_EQ(g.error().kind, ErrorKind::Limit);
  std::string types = "graph g(%x: ";
  for (int i = 0; i < 100000; ++i) types += "seq(";
  EXPECT_FALSE(parse_graph(types));
  std::string regions = "graph g(%c: bool[]) -> () {";
  for (int i = 0; i < 100000; ++i) regions += "if %c region() -> () {";
  EXPECT_FALSE(parse_graph(regions));
}

// Text that was damaged gives an error or a graph, and nothing else.
TEST(GraphText, SurvivesDamage) {
  std::string text = R"(symbols batch in [1, 64], n >= 1, i < n
graph g(%x: f32[batch, (n + 3) div 4, min(i, n) mod 7]) -> (%y) {
  %w = constant f16[2, 2] dense<[1.0, 2.5, -0.0, nan]>
  %h = constant i4[4] hex<"08f7">
  %y, _ = if %x {axis = [1, 2], b = "x\x41"} : i64[2] = [batch, (n < i)] reads (0: n) decides (q) @"a" from "b"
    region(%a: seq(f32[])) -> (%a) {
    }
}
)";
  ASSERT_TRUE(parse_graph(text)) << parse_graph(text).error().message;
  std::mt19937 rng(1);
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = text;
    for (uint32_t k = 0; k <= rng() % 3; ++k) {
      size_t at = rng() % damaged.size();
      switch (rng() % 3) {
        case 0: damaged[at] = static_cast<char>(rng()); break;
        case 1: damaged.erase(at, rng() % 8 + 1); break;
        default: damaged.insert(at, damaged.substr(rng() % damaged.size(), rng() % 12)); break;
      }
    }
    auto g = parse_graph(damaged);
    if (!g) continue;
    std::string printed = str(*g);
    auto again = parse_graph(printed);
    ASSERT_TRUE(again) << again.error().message << "\n" << printed;
    EXPECT_EQ(str(*again), printed);
  }
}

TEST(GraphVerify, FindsWhatBreaksPasses) {
  auto message = [](Graph& g) {
    auto ok = verify(g);
    return ok ? std::string("ok") : ok.error().message;
  };
  auto make = [] { return parsed("graph g(%x: f32[2]) -> (%y) {\n  %h = neg %x\n  %y = abs %h @\"last\"\n}"); };
  Graph g = make();
  EXPECT_EQ(message(g), "ok");
  std::swap(g.body.nodes[0], g.body.nodes[1]);
  EXPECT_EQ(message(g), "got value 'h', expected one that is defined before\n  in node 'last' (abs)");
  g = make();
  g.body.nodes[1]->inputs.push_back(g.body.inputs[0]);
  EXPECT_EQ(message(g), "got 2 inputs, expected 1 to 1\n  in node 'last' (abs)");
  g = make();
  g.body.nodes[1]->attrs.set("colour", int64_t{1});
  EXPECT_EQ(message(g), "got attribute 'colour', expected one of: \n  in node 'last' (abs)");
  g = make();
  g.body.nodes[1]->outputs[0]->producer = nullptr;
  EXPECT_EQ(message(g), "got value 'y' whose producer is another node\n  in node 'last' (abs)");
  g = make();
  Value stranger;
  g.body.outputs.push_back(&stranger);
  EXPECT_EQ(message(g), "got a value that the graph does not own");
  g = make();
  g.body.nodes[1]->outputs[0] = g.body.nodes[0]->outputs[0];
  EXPECT_NE(message(g), "ok");
}

TEST(GraphWalk, NodesComeBeforeTheirRegions) {
  Graph g = parsed(
      "graph g(%c: bool[], %x: f32[]) -> () {\n  %a = neg %x\n  %y = if %c region() -> (%b) { %b = abs %x }\n  %z = exp %x\n}");
  std::string order;
  for_each_node(g.body, [&](Node& n) { order += std::string(n.op()) + " "; });
  EXPECT_EQ(order, "neg if abs exp ");
}

TEST(DimText, ParsesWhatItPrints) {
  SymbolNames names;
  for (std::string text :
       {"batch*2 + 1", "(a + b) div 4", "a mod 3", "min(a, b)", "(a < b)*2", "-a + 3", "a*b*(c div 2)",
        "max(a, -b + 1)", "\"a b\"*2", "(a == b)", "0", "-7", "((a + 1) div 2) mod 5", "a div (b*2)"}) {
    auto d = parse_dim(text, names);
    ASSERT_TRUE(d) << d.error().message;
    EXPECT_EQ(d->str(), text);
  }
  EXPECT_EQ(parse_dim("a * 2 + a", names)->str(), "a*3");
  EXPECT_FALSE(parse_dim("a +", names));
  EXPECT_FALSE(parse_dim("a b", names));
  EXPECT_EQ(parse_dim("2 *\n )", names).error().message, "2:2: got ')', expected a dimension");
}

}  // namespace
}  // namespace ingot
