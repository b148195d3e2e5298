// See conformance.h. The process that runs the tests sends each result back as JSON.
#include "tools/driver/conformance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "frontend/onnx/import.h"
#include "tools/driver/data_set.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;

Json result_json(const TestResult& r, bool kernels) {
  Json j{{"test", printable(r.test)},
         {"status", status_name(r.status)},
         {"reason", printable(r.reason)},
         {"ms", std::round(r.ms * 1000) / 1000},
         {"outputs", r.outputs}};
  if (kernels) {
    j["kernels"] = Json::array();
    for (const KernelPlacement& k : r.kernels)
      j["kernels"].push_back({{"name", k.name}, {"device", k.device}, {"items", k.items}});
  }
  return j;
}

constexpr Status kStatuses[] = {Status::Pass,  Status::Wrong,   Status::Unsupported, Status::Error,
                                Status::Crash, Status::Timeout, Status::Skip};

TestResult result_from(const std::string& text) {
  const Json j = Json::parse(text, nullptr, false);
  TestResult r;
  if (j.is_discarded()) {
    r.reason = "the worker process sent a malformed result";
    return r;
  }
  for (Status s : kStatuses)
    if (j["status"] == status_name(s)) r.status = s;
  r.reason = j["reason"];
  r.ms = j["ms"];
  r.outputs = j["outputs"];
  if (j.contains("kernels"))
    for (const auto& k : j["kernels"]) r.kernels.push_back({k["name"], k["device"], k["items"]});
  return r;
}

// FNV-1a: tells runs apart, and is no proof against somebody who wants two to look alike.
class Hash {
 public:
  void add(const void* data, size_t size) {
    for (size_t k = 0; k < size; ++k) value_ = (value_ ^ static_cast<const unsigned char*>(data)[k]) * 0x100000001b3;
  }
  void add(int64_t v) { add(&v, sizeof v); }
  void add(const HostValue& v) {
    add(static_cast<int64_t>(v.kind));
    add(static_cast<int64_t>(v.items.size()));
    for (const HostValue& item : v.items) add(item);
    if (!v.is_tensor()) return;
    add(static_cast<int64_t>(v.tensor->dtype));
    for (int64_t d : v.tensor->dims) add(d);
    for (const std::string& s : v.tensor->strings) add(static_cast<int64_t>(s.size())), add(s.data(), s.size());
    if (v.tensor->dtype != DType::String) add(v.tensor->bytes, static_cast<size_t>(v.tensor->size_bytes));
  }
  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

bool is_quantized_op(std::string_view op) {
  return op.starts_with("qlinear") || op.starts_with("q_linear") || op == "dequantize_linear" ||
         op.ends_with("_integer");
}

// Dropout is the identity unless it is told that this is training.
bool is_random(const Node& node) {
  const std::string_view op = node.op();
  if (op == "dropout") return node.inputs.size() > 2 && node.inputs[2];
  return op.starts_with("random_") || op == "bernoulli" || op == "multinomial";
}

struct GraphFacts {
  bool quantized = false;
  std::vector<bool> random;  // per output: depends on a random operator
};

void taint(const Region& region, std::set<const Value*>& random) {
  for (const auto& node : region.nodes) {
    bool tainted = is_random(*node);
    for (const Value* v : node->inputs) tainted = tainted || (v && random.count(v));
    for (const auto& inner : node->regions) {
      taint(*inner, random);
      for (const Value* v : inner->outputs) tainted = tainted || (v && random.count(v));
    }
    if (!tainted) continue;
    for (const Value* v : node->outputs)
      if (v) random.insert(v);
  }
}

GraphFacts facts_of(const Graph& graph) {
  GraphFacts facts;
  for_each_node(graph.body, [&](const Node& n) { facts.quantized = facts.quantized || is_quantized_op(n.op()); });
  std::set<const Value*> random;
  taint(graph.body, random);
  for (const Value* v : graph.body.outputs) facts.random.push_back(random.count(v) > 0);
  return facts;
}

TestResult failure(const Error& error) {
  TestResult r;
  r.status = error.kind == ErrorKind::Unsupported ? Status::Unsupported : Status::Error;
  r.reason = one_line(error.message, 2000);
  return r;
}

// The first output that is not as expected, or what a pass has to say.
TestResult judge(const std::vector<Port>& ports, const std::vector<HostValue>& got,
                 const std::vector<HostValue>& expected, const Tolerance& tolerance, const GraphFacts& facts,
                 const std::string& where) {
  TestResult r;
  r.status = Status::Pass;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].kind == HostValue::Kind::None) continue;
    Comparison c = compare(got[i], expected[i], tolerance);
    if (!c.equal && facts.random[i]) {
      c = compare_distribution(got[i], expected[i]);
      if (c.equal) r.reason = "random: compared by type, shape and distribution";
    }
    if (c.equal) continue;
    r.status = Status::Wrong;
    r.reason = fmt::format("{}output '{}' {}", where, ports[i].name, c.reason);
    return r;
  }
  return r;
}

TestResult run_test_untimed(const std::string& path, const ConformanceOptions& options) {
  const std::vector<std::string> sets = data_sets(path);
  TestResult r;
  if (sets.empty()) {
    r.status = Status::Skip;
    r.reason = "no test_data_set_* directory";
    return r;
  }
  ImportOptions import;
  if (auto types = types_from_data(path + "/model.onnx", sets.front())) import.input_types = std::move(*types);
  auto graph = import_onnx_file(path + "/model.onnx", import);
  if (!graph) return failure(graph.error());
  const GraphFacts facts = facts_of(*graph);
  ModelSource source(std::move(*graph));
  source.dims = options.load.dims;
  auto executable = make_executable(std::move(source), options.load);
  if (!executable) return failure(executable.error());
  r.status = Status::Pass;
  Hash hash;
  const bool random = std::find(facts.random.begin(), facts.random.end(), true) != facts.random.end();
  for (const std::string& set : sets) {
    const std::string where = sets.size() > 1 ? base_name(set) + ": " : "";
    auto inputs = read_values(set, "input", (*executable)->inputs());
    if (!inputs) return failure(inputs.error());
    auto got = (*executable)->call(std::move(*inputs));
    if (!got) return failure(std::move(got.error()).context("in " + base_name(set)));
    for (const HostValue& v : *got) hash.add(v);
    // What kind of message an output file holds is known from what was computed: the interpreter infers no types.
    std::vector<Port> ports = (*executable)->outputs();
    for (size_t i = 0; i < ports.size(); ++i) ports[i].type = (*got)[i].type();
    auto expected = read_values(set, "output", ports);
    if (!expected) return failure(expected.error());
    Tolerance tolerance = options.tolerance;
    tolerance.profile = resolve(tolerance.profile, base_name(set));
    tolerance.quantized = facts.quantized;
    TestResult one = judge((*executable)->outputs(), *got, *expected, tolerance, facts, where);
    if (one.status != Status::Pass) return one;
    if (!one.reason.empty()) r.reason = one.reason;
    if (options.kernels) r.kernels = (*executable)->placement();
  }
  if (!random) r.outputs = hash.text();
  return r;
}

Result<std::vector<TestCase>> selected_tests(const ConformanceOptions& options) {
  std::vector<TestCase> tests;
  std::regex filter;
  try {
    filter = std::regex(options.filter, std::regex::ECMAScript);
  } catch (const std::regex_error& e) {
    return invalid("malformed regular expression '{}': {}", options.filter, e.what());
  }
  for (const std::string& dir : options.dirs) {
    const std::vector<TestCase> found = TRY(find_tests(dir));
    if (found.empty()) return invalid("no test (a directory with a model.onnx) below {}", dir);
    for (const TestCase& t : found)
      if (options.filter.empty() || std::regex_search(t.name, filter)) tests.push_back(t);
  }
  return tests;
}

// Lines "TEST: reason"; empty lines and those that begin with # are left out.
Result<void> read_known(const std::string& path, std::map<std::string, std::string>& known) {
  const std::string text = TRY(read_file(path, int64_t{16} << 20));
  int number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1, ++number;
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || colon + 2 >= line.size())
      return invalid("{}:{}: expected 'TEST: reason'", path, number);
    if (!known.emplace(line.substr(0, colon), line.substr(colon + 2)).second)
      return invalid("{}:{}: '{}' is listed twice", path, number, line.substr(0, colon));
  }
  return {};
}

void apply_known(const std::map<std::string, std::string>& known, std::vector<TestResult>& results) {
  for (TestResult& r : results) {
    const auto it = known.find(r.test);
    if (it == known.end() || r.status == Status::Skip) continue;
    if (r.status == Status::Pass) {
      r.reason = fmt::format("passes, but is listed as a known failure ({})", it->second);
      r.status = Status::Error;
    } else {
      r.reason = fmt::format("known failure ({}): {}", status_name(r.status), it->second);
      r.status = Status::Skip;
    }
  }
}

Result<void> compare_outputs(const std::string& path, std::vector<TestResult>& results) {
  const Json before = Json::parse(TRY(read_file(path, int64_t{256} << 20)), nullptr, false);
  if (!before.is_array()) return invalid("{}: expected the JSON that an earlier run wrote", path);
  std::map<std::string, std::string> outputs;
  for (const auto& j : before) {
    if (j.contains("test") && j.contains("outputs")) outputs[j["test"]] = j["outputs"];
  }
  for (TestResult& r : results) {
    const auto it = outputs.find(printable(r.test));
    if (r.status != Status::Pass || it == outputs.end() || it->second.empty() || it->second == r.outputs) continue;
    r.status = Status::Wrong;
    r.reason = fmt::format("got outputs of other bytes than in {}", path);
  }
  return {};
}

void print_results(const std::vector<TestResult>& results, bool verbose) {
  auto list = [&](Status status, const char* title) {
    const auto count =
        std::count_if(results.begin(), results.end(), [&](const TestResult& r) { return r.status == status; });
    if (count == 0) return;
    fmt::print("{} ({}):\n", title, count);
    for (const TestResult& r : results) {
      if (r.status != status) continue;
      fmt::print("  {}{}{}\n", printable(r.test), r.reason.empty() ? "" : ": ", one_line(r.reason, 600));
    }
  };
  if (verbose) list(Status::Pass, "passed");
  list(Status::Skip, "skipped");
  list(Status::Unsupported, "unsupported");
  list(Status::Error, "error");
  list(Status::Timeout, "timeout");
  list(Status::Crash, "crash");
  list(Status::Wrong, "wrong");
  std::string by_status;
  for (Status s : kStatuses) {
    const auto count =
        std::count_if(results.begin(), results.end(), [&](const TestResult& r) { return r.status == s; });
    if (count > 0 && s != Status::Pass && s != Status::Skip)
      by_status += fmt::format("{}{} {}", by_status.empty() ? "" : ", ", count, status_name(s));
  }
  if (!by_status.empty()) fmt::print("failed: {}\n", by_status);
}

}  // namespace

const char* status_name(Status status) {
  switch (status) {
    case Status::Pass: return "pass";
    case Status::Wrong: return "wrong";
    case Status::Unsupported: return "unsupported";
    case Status::Error: return "error";
    case Status::Crash: return "crash";
    case Status::Timeout: return "timeout";
    case Status::Skip: return "skip";
  }
  return "";
}

TestResult run_test(const std::string& path, const ConformanceOptions& options) {
  const double start = now_seconds();
  TestResult r = run_test_untimed(path, options);
  r.ms = (now_seconds() - start) * 1000;
  return r;
}

Result<bool> conformance(const ConformanceOptions& options) {
  const std::vector<TestCase> tests = TRY(selected_tests(options));
  std::map<std::string, std::string> known;
  for (const std::string& path : options.known_paths) TRY(read_known(path, known));
  std::vector<TestResult> results(tests.size());
  Progress progress;
  int finished = 0;
  run_isolated(
      static_cast<int>(tests.size()), options.worker,
      [&](int i) { return result_json(run_test(tests[static_cast<size_t>(i)].path, options), true).dump(); },
      [&](int i, JobResult job) {
        TestResult& r = results[static_cast<size_t>(i)];
        switch (job.outcome) {
          case JobResult::Outcome::Done: r = result_from(job.text); break;
          case JobResult::Outcome::Crashed:
            r.status = Status::Crash, r.reason = job.text, r.ms = job.seconds * 1000;
            break;
          case JobResult::Outcome::TimedOut:
            r.status = Status::Timeout, r.reason = job.text, r.ms = job.seconds * 1000;
            break;
        }
        r.test = tests[static_cast<size_t>(i)].name;
        progress.show(fmt::format("[{}/{}] {}", ++finished, tests.size(), r.test));
      });
  progress.clear();
  if (!options.same_as_path.empty()) TRY(compare_outputs(options.same_as_path, results));
  apply_known(known, results);

  int64_t passed = 0, skipped = 0;
  for (const TestResult& r : results) {
    passed += r.status == Status::Pass ? 1 : 0;
    skipped += r.status == Status::Skip ? 1 : 0;
  }
  const int64_t failed = static_cast<int64_t>(results.size()) - passed - skipped;
  if (!options.json_path.empty()) {
    Json list = Json::array();
    for (const TestResult& r : results) list.push_back(result_json(r, options.kernels));
    const std::string text = list.dump(1) + "\n";
    if (options.json_path == "-") {
      fmt::print("{}", text);
      return failed == 0;
    }
    TRY(write_file(options.json_path, text));
  }
  print_results(results, options.verbose);
  fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, skipped);
  return failed == 0;
}

}  // namespace ingot::driver
