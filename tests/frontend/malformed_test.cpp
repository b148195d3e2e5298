#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/frontend/graph_summary.h"
#include "tests/frontend/onnx_builder.h"
#include "tests/malformed/models.h"

namespace ingot::onnx {
namespace {

class Malformed : public testing::TestWithParam<malformed::Model> {};

TEST_P(Malformed, GivesItsMessage) {
  namespace fs = std::filesystem;
  const malformed::Model& m = GetParam();
  std::string folder = (fs::temp_directory_path() / "ingot_malformed_XXXXXX").string();
  ASSERT_TRUE(mkdtemp(folder.data()));
  for (const auto& [path, contents] : m.files) {
    if (path.back() == '@') fs::create_symlink(contents, fs::path(folder) / path.substr(0, path.size() - 1));
    else std::ofstream(fs::path(folder) / path, std::ios::binary) << contents;
  }
  std::string file = folder + "/" + m.name + ".onnx";
  std::ofstream(file, std::ios::binary) << m.bytes;
  auto g = import_onnx_file(file, accept_all());
  if (m.stage == malformed::Stage::Import) {
    ASSERT_FALSE(g);
    EXPECT_NE(g.error().message.find(m.message), std::string::npos) << "got: " << g.error().message;
    EXPECT_NE(g.error().message.find("in " + file), std::string::npos) << g.error().message;
  } else {
    EXPECT_TRUE(g) << g.error().message;  // tests/tools/malformed_test.cpp goes on
  }
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Models, Malformed, testing::ValuesIn(malformed::models()),
                         [](const auto& info) { return info.param.name; });

// Whatever is cut off or flipped, the importer answers.
TEST(MalformedBytes, PrefixesAndFlipsAreSurvived) {
  auto m = build::Model().opset(11);
  build::Graph body;
  body.input("i").input("c").input("s").node("Softmax", {"s"}, {"t"}).output("c").output("t");
  m.graph.input("x", 1, {"n", 4}).input("k", 7, {}).output("y");
  m.graph.initializer(build::floats("w", {2, 2}, {1, 2, 3, 4}));
  m.graph.node("Loop", {"k", "", "x"}, {"l"}, {build::Attr::graph("body", body.str())});
  m.graph.node("Conv", {"l", "w"}, {"z"}, {build::Attr("pads", std::vector<int64_t>{1, 1})}).node("Clip", {"z"}, {"y"});
  std::string bytes = m.str();
  ASSERT_TRUE(import_onnx(build::bytes_of(bytes), nullptr, accept_all()));
  size_t refused = 0;
  auto attempt = [&](const std::string& b) {
    if (auto g = import_onnx(build::bytes_of(b), nullptr, accept_all()); !g) {
      ++refused;
      EXPECT_FALSE(g.error().message.empty());
    }
  };
  for (size_t n = 0; n < bytes.size(); ++n) attempt(bytes.substr(0, n));
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string b = bytes;
      b[i] = static_cast<char>(b[i] ^ (1 << bit));
      attempt(b);
    }
  EXPECT_GT(refused, bytes.size());
}

}  // namespace
}  // namespace ingot::onnx
