// Compiling: the same input gives the same bytes, and large models take bounded time and memory.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ingot {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class Compile : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() / ("ingot-compile-" + std::to_string(getpid()));
    for (const char* sub : {"a", "another/folder"}) fs::create_directories(dir_ / sub);
  }
  void TearDown() override { fs::remove_all(dir_); }

  bool ingot(const std::string& folder, const std::string& arguments) {
    std::string command = "cd '" + (dir_ / folder).string() + "' && '" INGOT_BINARY_DIR "/bin/ingot' " + arguments +
                          " >out.txt 2>err.txt </dev/null";
    return WEXITSTATUS(std::system(command.c_str())) == 0;
  }
  // From other folders, by other processes, with other numbers of threads.
  void expect_reproducible(const std::string& model, const std::string& targets) {
    ASSERT_TRUE(ingot("a", "compile '" + model + "' " + targets + " -o model.ingot --jobs 1"))
        << read(dir_ / "a/err.txt");
    std::string first = read(dir_ / "a/model.ingot");
    ASSERT_FALSE(first.empty());
    fs::copy_file(model, dir_ / "another/folder/copy.onnx", fs::copy_options::overwrite_existing);
    ASSERT_TRUE(ingot("another/folder", "compile copy.onnx " + targets + " -o other.ingot --jobs 2"))
        << read(dir_ / "another/folder/err.txt");
    EXPECT_TRUE(first == read(dir_ / "another/folder/other.ingot"));
  }

  fs::path dir_;
};

TEST_F(Compile, TheSameInputGivesTheSameBytes) { expect_reproducible(INGOT_BINARY_DIR "/models/digits.onnx", ""); }
TEST_F(Compile, TheSameInputGivesTheSameBytesForOneTarget) {
  expect_reproducible(INGOT_BINARY_DIR "/models/digits.onnx", "--target x86-64-v3");
}

// Where the models of ../shared lie unpacked: INGOT_SHARED, or shared/ in the build folder.
fs::path shared(const std::string& name) {
  const char* set = std::getenv("INGOT_SHARED");
  return fs::path(set && *set ? set : INGOT_BINARY_DIR "/shared") / name;
}

constexpr double kMaxSeconds = 15;  // ResNet-50 for one target, on a machine that does nothing else
constexpr int64_t kMaxBytes = int64_t{400} << 20;  // resident, weights (98 MiB) included

TEST_F(Compile, ResNet50TakesLittleTimeAndMemory) {
  fs::path model = shared("topologies/resnet50/model.onnx");
  if (!fs::exists(model))
    GTEST_SKIP() << "no " << model.string() << " (../shared/unpack " INGOT_BINARY_DIR "/shared topologies/resnet50)";
  ASSERT_TRUE(ingot("a", "compile '" + model.string() + "' --target host -o model.ingot --json"))
      << read(dir_ / "a/err.txt");
  auto report = nlohmann::json::parse(read(dir_ / "a/out.txt"));
  RecordProperty("seconds", report["seconds"].dump());
  RecordProperty("peak_memory_bytes", report["peak_memory_bytes"].dump());
  EXPECT_LT(report["seconds"].get<double>(), kMaxSeconds);
  EXPECT_LT(report["peak_memory_bytes"].get<int64_t>(), kMaxBytes);
}

}  // namespace
}  // namespace ingot
