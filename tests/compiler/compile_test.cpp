// The compiler as a library: independent compilations, the list of passes, errors.
#include "compiler/compile.h"

#include <gtest/gtest.h>

#include <thread>

#include "compiler/targets.h"

namespace ingot {
namespace {

Graph graph_of(const std::string& text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  return std::move(*g);
}

std::string perceptron(int width) {
  return fmt::format(R"(symbols n
graph perceptron(%x: f32[n, {0}], %w: f32[{0}, {0}], %b: f32[{0}]) -> (%y) {{
  %a = mat_mul %x, %w
  %c = add %a, %b
  %d = softmax %c
  %y = mat_mul %d, %w
}}
)",
                     width);
}

std::vector<uint8_t> bytes_of(const std::string& text, const std::vector<std::string>& targets) {
  CompileModelOptions options;
  options.targets = targets;
  options.jobs = 1;
  auto model = compile_model(graph_of(text), options);
  EXPECT_TRUE(model) << (model ? "" : model.error().message);
  if (!model) return {};
  auto bytes = ingot_bytes((*model)->file);
  EXPECT_TRUE(bytes);
  return bytes ? *bytes : std::vector<uint8_t>();
}

// Nothing that one compilation does is seen by another.
TEST(Compiler, CompilationsInTwoThreadsGiveTheSameBytesAsOneAfterTheOther) {
  const std::vector<std::string> targets = {"x86-64-v3", "aarch64", "opencl"};
  const std::vector<int> widths = {8, 33, 64, 100};
  std::vector<std::vector<uint8_t>> alone, beside(widths.size());
  for (int width : widths) alone.push_back(bytes_of(perceptron(width), targets));
  std::vector<std::thread> threads;
  for (size_t k = 0; k < widths.size(); ++k)
    threads.emplace_back([&, k] { beside[k] = bytes_of(perceptron(widths[k]), targets); });
  for (std::thread& t : threads) t.join();
  for (size_t k = 0; k < widths.size(); ++k) {
    EXPECT_FALSE(alone[k].empty());
    EXPECT_TRUE(alone[k] == beside[k]) << widths[k];
  }
}

// Passes of the model come before those of a target, and levels only go down within a scope.
TEST(Compiler, TheListIsInTheOrderOfTheData) {
  const std::span<const Pass> passes = all_passes();
  ASSERT_FALSE(passes.empty());
  EXPECT_EQ(passes.front().name, "import");
  EXPECT_EQ(passes.back().name, "generate-code");
  for (size_t k = 1; k < passes.size(); ++k) {
    EXPECT_LE(passes[k - 1].scope, passes[k].scope) << passes[k].name;
    if (passes[k - 1].scope == passes[k].scope) {
      EXPECT_LE(passes[k - 1].makes, passes[k].makes) << passes[k].name;
    }
    for (size_t j = 0; j < k; ++j) EXPECT_NE(passes[j].name, passes[k].name);
  }
}

// Every pass that ran is timed and can be shown, down to the image; without an optional one the model still compiles.
TEST(Compiler, EachPassIsTimedShownAndCanBeLeftOut) {
  std::vector<std::string> seen;
  CompileModelOptions options;
  options.targets = {"x86-64-v3"};
  options.pipeline.checks.bounds = true;
  options.pipeline.after = [&](std::string_view pass, double seconds, const std::function<std::string()>& text) {
    seen.emplace_back(pass);
    EXPECT_GE(seconds, 0) << pass;
    EXPECT_FALSE(text().empty()) << pass;
  };
  ASSERT_TRUE(compile_model(graph_of(perceptron(16)), options));
  for (const char* pass : {"import", "infer", "inline-maps", "schedule", "legalize", "check-bounds", "generate-code"})
    EXPECT_NE(std::find(seen.begin(), seen.end(), pass), seen.end()) << pass;
  for (const char* pass : {"fix-dims", "lower-precision", "poison", "print-opencl"})
    EXPECT_EQ(std::find(seen.begin(), seen.end(), pass), seen.end()) << pass;
  for (const std::string& left_out : pass_names()) {
    seen.clear();
    options.pipeline.disabled = {left_out};
    auto model = compile_model(graph_of(perceptron(16)), options);
    ASSERT_TRUE(model) << left_out << ": " << model.error().message;
    EXPECT_EQ(std::find(seen.begin(), seen.end(), left_out), seen.end()) << left_out;
  }
}

TEST(Compiler, ErrorsNameTheFileOnce) {
  for (auto graph : {true, false}) {
    ModelSource source("/nowhere/model.onnx");
    if (graph) source.graph = graph_of("graph g(%x: f32[2, 3], %y: f32[4, 5]) -> (%z) {\n  %z = mat_mul %x, %y\n}\n");
    auto model = compile_model(std::move(source), {});
    ASSERT_FALSE(model);
    const std::string& text = model.error().message;
    const size_t at = text.find("/nowhere/model.onnx");
    ASSERT_NE(at, std::string::npos) << text;
    EXPECT_EQ(text.find("/nowhere/model.onnx", at + 1), std::string::npos) << text;
  }
}

TEST(Compiler, DimsAreFixedByName) {
  ModelSource source(graph_of(perceptron(8)));
  source.dims = {{"n", 5}};
  auto graph = import_model(std::move(source));
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->body.inputs[0]->type.tensor.dims[0], Dim(5));
  ModelSource wrong(graph_of(perceptron(8)));
  wrong.dims = {{"m", 5}};
  auto refused = import_model(std::move(wrong));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no input has a dimension 'm', did you mean 'n'; there are: n");
}

}  // namespace
}  // namespace ingot
