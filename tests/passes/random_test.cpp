// Random graphs through every pass and backend give the reference's numbers, whatever the target, the number of threads, and
// the passes left out. INGOT_RANDOM_GRAPHS=FIRST:COUNT runs other seeds than the fixed ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "ir/ops/evaluate.h"
#include "tests/passes/compiled.h"
#include "tests/passes/random_graph.h"

namespace ingot::test {
namespace {

std::string compare(const Result<std::vector<HostValue>>& got, const std::vector<HostValue>& expected, double rtol) {
  if (!got) return "error: " + got.error().message;
  if (got->size() != expected.size()) return "another number of outputs";
  for (size_t k = 0; k < expected.size(); ++k) {
    std::string what = difference(*(*got)[k].tensor, *expected[k].tensor, rtol);
    if (!what.empty()) return "output " + std::to_string(k) + ": " + what;
  }
  return "";
}

Result<std::vector<HostValue>> optimize_and_evaluate(RandomGraph::Case& c, const PipelineOptions& options = {}) {
  k::Program p = TRY(optimize(c.graph, options));
  return run_program(p, c.inputs);
}

class Random : public ::testing::TestWithParam<uint32_t> {};

void check(uint32_t seed, bool dynamic) {
  RandomGraph random(seed, dynamic);
  double rtol = random.tolerance();
  auto report = [&](const std::string& where, const std::function<std::string(RandomGraph::Case)>& fails) {
    std::string what = fails(random.whole());
    if (!what.empty())
      ADD_FAILURE() << "seed " << seed << (dynamic ? ", dynamic, " : ", static, ") << where << ": "
                    << random.smallest_failure(fails);
    return what.empty();
  };
  if (!report("passes, then the interpreter",
              [&](RandomGraph::Case c) { return compare(optimize_and_evaluate(c), c.expected, rtol); }))
    return;
  PipelineOptions left_out;
  const std::vector<std::string> passes = pass_names();
  left_out.disabled = {passes[seed % passes.size()]};
  report("without " + left_out.disabled[0],
         [&](RandomGraph::Case c) { return compare(optimize_and_evaluate(c, left_out), c.expected, rtol); });
  for (const std::string& target : runnable_targets()) {
    report(target, [&](RandomGraph::Case c) {
      return compare(compile_and_run(std::move(c.graph), target, c.inputs, 1), c.expected, rtol);
    });
  }
  // What is made of large values happens to these small ones where the cache is small.
  PipelineOptions small_cache;
  small_cache.cache_bytes = 24 << 10;
  report("small cache", [&](RandomGraph::Case c) {
    return compare(compile_and_run(std::move(c.graph), "host", c.inputs, 1, small_cache), c.expected, rtol);
  });
  report("two threads", [&](RandomGraph::Case c) -> std::string {
    auto bytes = compile_to_bytes(std::move(c.graph), {"host"});
    if (!bytes) return bytes.error().message;
    std::vector<std::vector<HostValue>> results;
    for (int threads : {1, 2}) {
      driver::LoadOptions load;
      load.threads = threads;
      auto executable = driver::load_compiled_memory(*bytes, load);
      if (!executable) return executable.error().message;
      auto got = (*executable)->call(c.inputs);
      if (!got) return got.error().message;
      results.push_back(*got);
    }
    for (size_t k = 0; k < results[0].size(); ++k) {
      const TensorData &a = *results[0][k].tensor, &b = *results[1][k].tensor;
      if (a.size_bytes != b.size_bytes || std::memcmp(a.bytes, b.bytes, static_cast<size_t>(a.size_bytes)) != 0)
        return "one and two threads give different bytes";
    }
    return "";
  });
}

TEST_P(Random, StaticShapes) { check(GetParam(), false); }
TEST_P(Random, DynamicShapes) { check(GetParam(), true); }

std::vector<uint32_t> seeds() {
  uint32_t first = 1, count = 24;
  if (const char* range = std::getenv("INGOT_RANDOM_GRAPHS")) std::sscanf(range, "%u:%u", &first, &count);
  std::vector<uint32_t> out;
  for (uint32_t k = 0; k < count; ++k) out.push_back(first + k);
  return out;
}
INSTANTIATE_TEST_SUITE_P(Seeds, Random, ::testing::ValuesIn(seeds()), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace ingot::test
