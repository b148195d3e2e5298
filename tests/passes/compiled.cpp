#include "tests/passes/compiled.h"

#include <cmath>
#include <cstring>

#include "runtime/writer.h"

namespace ingot::test {

const std::vector<std::string>& runnable_targets() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out = {"host"};
    for (const char* name : {"x86-64-v3", "x86-64-v2", "aarch64"}) {
      const Target* t = find_target(name);
      if (t && t->arch == host_arch() && (t->needs & ~host_cpu_features()) == 0 && t != &host_target())
        out.emplace_back(name);
    }
    return out;
  }();
  return names;
}

Result<std::vector<uint8_t>> compile_to_bytes(Graph graph, const std::vector<std::string>& targets,
                                              const PipelineOptions& pipeline) {
  driver::CompileModelOptions options;
  options.targets = targets;
  options.jobs = 1;
  options.pipeline = pipeline;
  auto model = TRY(driver::compile_model(std::move(graph), options));
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

}  // namespace ingot::test
