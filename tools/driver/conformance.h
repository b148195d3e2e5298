// `ingot conformance`: runs ONNX backend tests, each isolated from the others and from this process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/driver/compare.h"
#include "tools/driver/executable.h"
#include "tools/driver/worker.h"

namespace ingot::driver {

enum class Status { Pass, Wrong, Unsupported, Error, Crash, Timeout, Skip };
const char* status_name(Status);   // "pass", "wrong", ...

struct TestResult {
  std::string test;
  Status status = Status::Error;
  std::string reason;              // for pass: empty, or what was not compared by number
  double ms = 0;
  std::vector<KernelPlacement> kernels;
  std::string outputs;  // a hash of all bytes of all outputs; empty where they are random or there are none
};

struct ConformanceOptions {
  std::vector<std::string> dirs;
  LoadOptions load;
  Tolerance tolerance;
  std::string filter;              // a regular expression that is searched for in the name; empty: all
  WorkerOptions worker;
  std::vector<std::string> known_paths;  // "TEST: reason" a line: failures of these count as skipped, passes as errors
  std::string json_path;  // where to write the results; "-": standard output, instead of the text
  std::string same_as_path;  // the JSON of an earlier run: a test that gave other bytes there has failed
  bool kernels = false;  // JSON has the kernels of each test and the device they ran on
  bool verbose = false;  // list every test, not only failures
};

// Runs one test in this process.
TestResult run_test(const std::string& path, const ConformanceOptions&);

// Runs all, prints the failures and the closing line. True where none failed.
Result<bool> conformance(const ConformanceOptions&);

}  // namespace ingot::driver
