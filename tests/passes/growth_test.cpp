// Compiling takes time and memory in proportion to the model: models of a tenth of the sizes that are asked for (100,000
// nodes, 12,000 products, 5,000 pieces ...), each within limits.
//
// INGOT_GROWTH="chain:1000,5000 sum:50000" compiles these instead and prints what each took; the limits are not for them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/passes/growth_models.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

// Of what is asked for (60 s, 2 GB), a tenth, times three for a slow or busy machine. Seconds are those of the processors.
constexpr double kMaxSeconds = 18, kMaxMegabytes = 600;
// A model ten times as large may take so many times as long; less than the noise of a short run counts as that.
constexpr double kMaxGrowth = 20, kNoiseSeconds = 0.25;

struct Measured {
  bool compiled = false;
  double seconds = 0, megabytes = 0;
};

Measured compile(const std::string& kind, int n) {
  fs::path folder = fs::path(INGOT_BINARY_DIR) / "growth";
  fs::create_directories(folder);
  const std::string name = kind + "_" + std::to_string(n);
  const std::string model = folder / (name + ".onnx"), out = folder / (name + ".ingot"), log = folder / (name + ".log");
  {
    const std::string bytes = growth_model(kind, n);
    std::ofstream(model, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  const std::string program = std::string(INGOT_BINARY_DIR) + "/bin/ingot";
  pid_t child = fork();
  if (child == 0) {
    int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(fd, 1), dup2(fd, 2);
    execl(program.c_str(), program.c_str(), "compile", model.c_str(), "-o", out.c_str(), "--target", "host", nullptr);
    _exit(127);
  }
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  Measured m{WIFEXITED(status) && WEXITSTATUS(status) == 0, seconds(used.ru_utime) + seconds(used.ru_stime),
             static_cast<double>(used.ru_maxrss) / 1024};
  fs::remove(model), fs::remove(out);
  return m;
}

struct Size {
  std::string kind;
  int n = 0;
  bool limited = true;
};

std::vector<Size> sizes() {
  const char* asked = std::getenv("INGOT_GROWTH");
  if (!asked)
    return {{"chain", 10000},        {"residual", 10000},    {"matmuls", 1200},
            {"sum", 5000},           {"sum-computed", 2000}, {"concat", 500},
            {"concat-dynamic", 500}, {"recurrence", 100},    {"recurrence-dynamic", 100},
            {"initializers", 2000},  {"outputs", 500}};
  std::vector<Size> out;
  std::istringstream kinds(asked);
  for (std::string item; kinds >> item;) {
    const size_t colon = std::min(item.find(':'), item.size());
    std::istringstream numbers(item.substr(std::min(colon + 1, item.size())));
    for (std::string n; std::getline(numbers, n, ',');)
      out.push_back({item.substr(0, colon), std::atoi(n.c_str()), false});
  }
  return out;
}

class Growth : public testing::TestWithParam<Size> {};

TEST_P(Growth, Compiles) {
  const auto& [kind, n, limited] = GetParam();
  const Measured m = compile(kind, n);
  EXPECT_TRUE(m.compiled);
  std::printf("%-20s %8d %8.1f s %8.0f MB\n", kind.c_str(), n, m.seconds, m.megabytes);
  std::fflush(stdout);
  if (!limited) return;
  EXPECT_LT(m.seconds, kMaxSeconds);
  EXPECT_LT(m.megabytes, kMaxMegabytes);
  const Measured tenth = compile(kind, n / 10);
  EXPECT_TRUE(tenth.compiled);
  EXPECT_LT(m.seconds, kMaxGrowth * std::max(tenth.seconds, kNoiseSeconds));
}

INSTANTIATE_TEST_SUITE_P(Models, Growth, testing::ValuesIn(sizes()), [](const testing::TestParamInfo<Size>& info) {
  std::string name = info.param.kind + "_" + std::to_string(info.param.n);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace ingot
