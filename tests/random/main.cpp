// run_random_models: many random models, each in a process that may crash. Prints a line and the command that repeats it for
// each finding, and how many models ran per second. Exit status 1 where anything was found.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "compiler/compile.h"
#include "compiler/targets.h"
#include "tests/random/judge.h"
#include "tests/random/reduce.h"
#include "tools/driver/worker.h"

using namespace ingot;
using namespace ingot::test;

namespace {

std::string text_of(const driver::JobResult& r) {
  switch (r.outcome) {
    case driver::JobResult::Outcome::Done: return r.text;
    case driver::JobResult::Outcome::Crashed: return "crash: " + r.text;
    case driver::JobResult::Outcome::TimedOut: return "time: " + r.text;
  }
  return "";
}

std::string isolated(const driver::WorkerOptions& options, const std::function<std::string()>& job) {
  std::string out;
  driver::run_isolated(1, options, [&](int) { return job(); }, [&](int, driver::JobResult r) { out = text_of(r); });
  return out;
}

// What the models are made of: nodes by operator, and kernels by the first words of their schedule.
int cover(uint32_t first, uint32_t count, const driver::WorkerOptions& worker) {
  std::map<std::string, int> counts;
  driver::run_isolated(
      static_cast<int>(count), worker,
      [&](int k) {
        const uint32_t seed = first + static_cast<uint32_t>(k);
        RandomCase c = RandomGraph(seed).whole(true);
        std::string words;
        for_each_node(c.graph.body, [&](const Node& n) { words += fmt::format("operator {}\n", n.op()); });
        auto kernels = optimize(c.graph);
        if (!kernels) return words;
        auto loops = lower_for_target(*kernels, facts_of(host_target()), variants_of(seed)[1].pipeline);
        if (!loops) return words;
        for (const l::Kernel& kernel : loops->kernels)
          words += fmt::format("schedule {}\n", kernel.schedule.substr(0, kernel.schedule.find_first_of(" ,")));
        return words;
      },
      [&](int, const driver::JobResult& r) {
        std::istringstream lines(r.text);
        for (std::string line; std::getline(lines, line);) ++counts[line];
      });
  for (const auto& [word, n] : counts) fmt::print("{} {}\n", word, n);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compiles and runs random models, and compares with the reference."};
  uint32_t first = 1, count = 100;
  std::string seeds, out_dir, pass;
  int jobs = 1;
  double timeout_s = 60;
  bool reduced = false, show = false, coverage = false;
  int only = -1;
  app.add_option("--seeds", seeds, "FIRST:COUNT")->default_str("1:100");
  app.add_option("--jobs", jobs, "processes");
  app.add_option("--timeout", timeout_s, "seconds for one model");
  app.add_option("--out", out_dir, "a folder for the text of models that fail");
  app.add_flag("--reduce", reduced, "make failing models smaller");
  app.add_flag("--coverage", coverage, "count operators and schedules, and do not run");
  app.add_flag("--show", show, "print the models, and do not run them");
  app.add_option("--variant", only, "only this way to compile: 0 or 1");
  CLI11_PARSE(app, argc, argv);
  if (!seeds.empty() && std::sscanf(seeds.c_str(), "%u:%u", &first, &count) < 1) {
    std::fprintf(stderr, "error: got --seeds '%s', expected FIRST:COUNT\n", seeds.c_str());
    return 2;
  }
  driver::WorkerOptions worker;
  worker.processes = jobs;
  worker.timeout_s = timeout_s;
  if (show) {
    for (uint32_t k = 0; k < count; ++k) {
      RandomGraph g(first + k);
      fmt::print("seed {}\n", first + k);
      for (const Variant& v : variants_of(first + k))
        fmt::print("{}\n{}", v.str(), describe(g.whole(v.dynamic), false));
    }
    return 0;
  }
  if (coverage) return cover(first, count, worker);
  const auto start = std::chrono::steady_clock::now();
  auto run_seed = [&](uint32_t seed) -> std::string {
    RandomGraph g(seed);
    const std::vector<Variant> variants = variants_of(seed);
    for (size_t k = 0; k < variants.size(); ++k) {
      if (only >= 0 && static_cast<int>(k) != only) continue;
      const RandomCase c = g.whole(variants[k].dynamic);
      if (c.runs.empty()) continue;
      std::fprintf(stderr, "(variant %zu) ", k);
      if (std::string what = judge(c, variants[k], g.tolerance()); !what.empty())
        return fmt::format("{} [variant {}: {}]", what, k, variants[k].str());
    }
    return "";
  };
  int found = 0, done = 0;
  driver::run_isolated(
      static_cast<int>(count), worker, [&](int k) { return run_seed(first + static_cast<uint32_t>(k)); },
      [&](int k, driver::JobResult r) {
        const uint32_t seed = first + static_cast<uint32_t>(k);
        ++done;
        const std::string what = text_of(r);
        if (what.empty()) return;
        ++found;
        fmt::print("seed {}: {}\n  repeat: build/bin/run_random_models --seeds {}:1 --reduce\n", seed, what, seed);
        std::fflush(stdout);
        if (!reduced && out_dir.empty()) return;
        // Which of the ways fails: each by itself.
        const std::vector<Variant> variants = variants_of(seed);
        for (const Variant& v : variants) {
          RandomCase c;
          double tolerance = 0;
          const std::string generated = isolated(worker, [&] {
            RandomGraph(seed).whole(v.dynamic);
            return std::string("generated");
          });
          if (generated != "generated") {
            fmt::print("  the reference itself fails: {}\n", generated);
            break;
          }
          RandomGraph g(seed);
          tolerance = g.tolerance();
          c = g.whole(v.dynamic);
          auto fails = [&](const RandomCase& n) { return isolated(worker, [&] { return judge(n, v, tolerance); }); };
          if (c.runs.empty() || fails(c).empty()) continue;
          if (reduced) c = reduce(std::move(c), fails);
          const std::string text = fmt::format("{}: {}\n{}", v.str(), fails(c), describe(c, false));
          fmt::print("{}", text);
          std::fflush(stdout);
          if (!out_dir.empty()) {
            std::filesystem::create_directories(out_dir);
            std::ofstream(fmt::format("{}/seed-{}.txt", out_dir, seed)) << text;
            std::ofstream(fmt::format("{}/seed-{}.graph", out_dir, seed)) << str(c.graph);
          }
          break;
        }
      });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{} models, {} findings, {:.1f} s, {:.2f} models/s\n", done, found, seconds, done / seconds);
  return found ? 1 : 0;
}
