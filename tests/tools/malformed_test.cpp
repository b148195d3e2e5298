// Models from strangers, through the command: what is wrong gives exit status 1 and its message, within ten seconds and
// one GiB; never a signal. And mutants of sound models: each compiles or is refused, within the same bounds.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "compiler/compile.h"
#include "frontend/onnx/import.h"
#include "tests/malformed/models.h"
#include "tests/malformed/small_models.h"
#include "tools/driver/worker.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using malformed::Stage;

constexpr double kSeconds = 10;  // of processor time, as other tests run beside: for one compilation
constexpr double kHangSeconds = 120;
constexpr double kGib = int64_t{1} << 30;
constexpr int kMutants = 2000;

struct Ran {
  int status = -1, signal = 0;
  double seconds = 0, peak_bytes = 0;
  std::string err;
};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Runs `ingot ARGUMENTS` in `folder`; the child's own resources are measured.
Ran ingot(const fs::path& folder, const std::vector<std::string>& arguments) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    rlimit cpu{static_cast<rlim_t>(4 * kSeconds), static_cast<rlim_t>(4 * kSeconds)};
    setrlimit(RLIMIT_CPU, &cpu);
    alarm(static_cast<unsigned>(kHangSeconds));
#if !defined(__SANITIZE_ADDRESS__)
    rlimit space{static_cast<rlim_t>(8 * kGib), static_cast<rlim_t>(8 * kGib)};
    setrlimit(RLIMIT_AS, &space);
#endif
    if (chdir(folder.c_str()) || !freopen("out.txt", "w", stdout) || !freopen("err.txt", "w", stderr)) _exit(125);
    std::vector<char*> argv = {const_cast<char*>("ingot")};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    execv(INGOT_BINARY_DIR "/bin/ingot", argv.data());
    _exit(126);
  }
  int status = 0;
  rusage usage{};
  Ran r;
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return r;
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  r.seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  r.peak_bytes = static_cast<double>(usage.ru_maxrss) * 1024;
  if (WIFSIGNALED(status)) r.signal = WTERMSIG(status);
  else r.status = WEXITSTATUS(status);
  r.err = read(folder / "err.txt");
  return r;
}

class MalformedCommand : public testing::TestWithParam<malformed::Model> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("ingot-malformed-" + std::to_string(getpid()) + "-" + GetParam().name);
    fs::create_directories(folder_);
    std::ofstream(folder_ / "model.onnx", std::ios::binary) << GetParam().bytes;
    for (const auto& [path, contents] : GetParam().files) {
      if (path.back() == '@') fs::create_symlink(contents, folder_ / path.substr(0, path.size() - 1));
      else std::ofstream(folder_ / path, std::ios::binary) << contents;
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  void expect_refused(const Ran& r) {
    EXPECT_LE(r.err.size(), 2048u);
    EXPECT_LE(std::count(r.err.begin(), r.err.end(), '\n'), 20);
    EXPECT_EQ(r.signal, 0) << r.err;
    EXPECT_EQ(r.status, 1) << r.err;
    EXPECT_FALSE(GetParam().message.empty());
    EXPECT_NE(r.err.find(GetParam().message), std::string::npos) << "got: " << r.err;
  }
  fs::path folder_;
};

TEST_P(MalformedCommand, is_answered_in_bounded_time_and_memory) {
  const malformed::Model& m = GetParam();
  const Ran compiled =
      ingot(folder_, {"compile", "model.onnx", "-o", "model.ingot", "--target", "host", "--jobs", "1"});
  EXPECT_LT(compiled.seconds, kSeconds);
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(compiled.peak_bytes, kGib);
#endif
  if (m.stage == Stage::Import || m.stage == Stage::Unsupported || m.stage == Stage::Compile)
    return expect_refused(compiled);
  EXPECT_EQ(compiled.signal, 0) << compiled.err;
  ASSERT_EQ(compiled.status, 0) << compiled.err;
  const Ran ran = ingot(folder_, {"run", "model.ingot", "--random-inputs", "1", "--memory-limit", "1", "--time-limit",
                                  m.stage == Stage::Endless ? "1" : "10"});
  EXPECT_LT(ran.seconds, kSeconds);
  EXPECT_EQ(ran.signal, 0) << ran.err;
  if (m.stage == Stage::Endless) {
    EXPECT_EQ(ran.status, 1);
    EXPECT_NE(ran.err.find("longer than its limit of 1000 ms"), std::string::npos) << ran.err;
  } else if (m.message.empty()) {
    EXPECT_EQ(ran.status, 0) << ran.err;
  } else {
    expect_refused(ran);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, MalformedCommand, testing::ValuesIn(malformed::models()),
                         [](const auto& info) { return info.param.name; });

// One to three changes: mostly a byte that becomes another, so that what lies behind the decoder is reached; now and then
// one inserted, a piece removed or copied, the end cut off.
std::string mutant(int number) {
  static const std::vector<malformed::SmallModel> models = malformed::small_models();
  std::mt19937 random(static_cast<uint32_t>(number));
  auto below = [&](size_t n) { return n ? random() % n : 0; };
  std::string b = models[static_cast<size_t>(number) % models.size()].bytes;
  const size_t changes = 1 + below(3);
  for (size_t k = 0; k < changes && !b.empty(); ++k) {
    const size_t at = below(b.size()), n = 1 + below(8);
    switch (below(20)) {
      case 0: b.insert(at, 1, static_cast<char>(random())); break;
      case 1: b.erase(at, n); break;
      case 2: b.insert(below(b.size()), b.substr(at, n)); break;
      case 3: b.resize(b.size() - std::min(b.size(), n)); break;
      case 4: b[at] = static_cast<char>(below(2) ? 0xff : 0x7f); break;
      case 5: b[at] = static_cast<char>(random()); break;
      case 6:
      case 7: b[at] = static_cast<char>(b[at] + 1); break;
      case 8: b[at] = static_cast<char>(b[at] - 1); break;
      default: b[at] = static_cast<char>(b[at] ^ (1 << below(8))); break;
    }
  }
  return b;
}

TEST(Mutants, SmallModelsThemselvesCompile) {
  for (const auto& m : malformed::small_models()) {
    auto g = import_onnx({reinterpret_cast<const uint8_t*>(m.bytes.data()), m.bytes.size()}, nullptr);
    ASSERT_TRUE(g) << m.name << ": " << g.error().message;
    auto made = compile_model(std::move(*g), {.targets = {"host"}, .jobs = 1});
    EXPECT_TRUE(made) << m.name << ": " << made.error().message;
  }
}

TEST(Mutants, NoSignalNoHangBoundedMemory) {
  const char* more = std::getenv("INGOT_MUTANTS");
  const int count = more ? std::atoi(more) : kMutants;
  auto job = [](int i) -> std::string {
    const std::string bytes = mutant(i);
    const std::clock_t begin = std::clock();
    auto in_time = [&](const char* result) {
      return static_cast<double>(std::clock() - begin) > kSeconds * CLOCKS_PER_SEC ? "!too slow" : result;
    };
    auto g = import_onnx({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, nullptr);
    if (!g) return in_time(g.error().message.empty() ? "!no message" : "refused");
    auto made = compile_model(std::move(*g), {.targets = {"host"}, .jobs = 1});
    if (!made) return in_time(made.error().message.empty() ? "!no message" : "refused");
    return in_time("compiled");
  };
  driver::WorkerOptions options;
  options.processes = 2;
  options.timeout_s = kHangSeconds;
#if !defined(__SANITIZE_ADDRESS__)
  options.memory_bytes = static_cast<int64_t>(kGib);
#else
  options.memory_bytes = 0;
#endif
  int compiled = 0, refused = 0;
  driver::run_isolated(count, options, job, [&](int i, driver::JobResult r) {
    EXPECT_EQ(r.outcome, driver::JobResult::Outcome::Done) << "mutant " << i << ": " << r.text;
    EXPECT_NE(r.text[0], '!') << "mutant " << i << ": " << r.text;
    compiled += r.text == "compiled";
    refused += r.text == "refused";
  });
  EXPECT_EQ(compiled + refused, count);
  EXPECT_GT(compiled, count / 20);
  EXPECT_GT(refused, count / 3);
}

}  // namespace
}  // namespace ingot
