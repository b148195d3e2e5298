#include "tests/passes/compiled.h"

#include <cmath>
#include <cstring>

#include "ir/ops/interpreter.h"
#include "runtime/writer.h"

namespace ingot::test {

const std::vector<std::string>& runnable_targets() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out = {"host"};
    for (const char* name : {"x86-64-v3", "x86-64-v2", "aarch64"}) {
      const Target* t = find_target(name);
      if (t && runs_here(*t) && t != &host_target()) out.emplace_back(name);
    }
    return out;
  }();
  return names;
}

Result<std::vector<uint8_t>> compile_to_bytes(Graph graph, const std::vector<std::string>& targets,
                                              const PipelineOptions& pipeline) {
  CompileModelOptions options;
  options.targets = targets;
  options.jobs = 1;
  options.pipeline = pipeline;
  auto model = TRY(compile_model(std::move(graph), options));
  return ingot_bytes(model->file);
}

Result<std::vector<HostValue>> compile_and_run(Graph graph, const std::string& target,
                                               const std::vector<HostValue>& inputs, int threads,
                                               const PipelineOptions& pipeline) {
  std::vector<uint8_t> bytes = TRY(compile_to_bytes(std::move(graph), {target}, pipeline));
  driver::LoadOptions load;
  load.threads = threads;
  auto executable = TRY(driver::load_compiled_memory(bytes, load));
  return executable->call(inputs);
}

std::string difference(const TensorData& got, const TensorData& expected, double rtol) {
  if (got.dtype != expected.dtype || got.dims != expected.dims)
    return fmt::format("got {}, expected {}", str(HostValue::of(std::make_shared<TensorData>(got)), 4),
                       str(HostValue::of(std::make_shared<TensorData>(expected)), 4));
  bool exact = !is_float(got.dtype);
  double scale = 0;
  for (int64_t i = 0; !exact && i < expected.elements(); ++i)
    if (std::isfinite(expected.number(i))) scale = std::max(scale, std::abs(expected.number(i)));
  int64_t wrong = 0;
  std::string first;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    double y = got.number(i), g = expected.number(i);
    bool same = exact ? got.integer(i) == expected.integer(i)
                      : (std::isnan(g) ? std::isnan(y) : y == g || std::abs(y - g) <= rtol * (std::abs(g) + scale));
    if (same) continue;
    if (wrong++ == 0) first = fmt::format("element {}: got {}, expected {}", i, y, g);
  }
  return wrong == 0 ? "" : fmt::format("{} ({} of {} elements differ)", first, wrong, expected.elements());
}

std::shared_ptr<TensorData> numbers(std::vector<int64_t> dims, uint32_t state, double scale) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) {
    state = state * 1664525 + 1013904223;
    t->mutable_as<float>()[k] = static_cast<float>(scale * (static_cast<double>(state >> 8) / (1 << 23) - 1));
  }
  return t;
}

Graph with_constants(const std::string& text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  if (!g) return {};
  for (size_t k = 1; k < g->body.inputs.size(); ++k) {
    Value* v = g->body.inputs[k];
    std::vector<int64_t> dims;
    for (const Dim& d : v->type.tensor.dims) dims.push_back(d.value());
    v->constant = numbers(dims, static_cast<uint32_t>(k), 0.5);
  }
  g->body.inputs.resize(1);
  return std::move(*g);
}

int kernels_of(const std::string& schedule, const std::string& text, const std::string& target,
               const PipelineOptions& options) {
  CompileModelOptions compile;
  compile.targets = {target};
  compile.pipeline = options;
  auto compiled = compile_model(with_constants(text), compile);
  EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
  if (!compiled) return -1;
  int n = 0;
  for (const l::Kernel& k : (*compiled)->programs[0].kernels) n += k.schedule.starts_with(schedule);
  return n;
}

void expect_schedule(const std::string& schedule, const std::string& text, const std::vector<int64_t>& shape,
                     double rtol) {
  std::vector<HostValue> inputs = {HostValue::of(numbers(shape, 77))};
  auto expected = Interpreter().run(with_constants(text), inputs);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const std::string& target : runnable_targets()) {
    EXPECT_EQ(kernels_of(schedule, text, target), 1) << target;
    for (int threads : {1, 2}) {
      auto got = compile_and_run(with_constants(text), target, inputs, threads);
      ASSERT_TRUE(got) << target << ": " << got.error().message;
      EXPECT_EQ(difference(*(*got)[0].tensor, *(*expected)[0].tensor, rtol), "") << target << "\n" << text;
    }
  }
}

}  // namespace ingot::test
