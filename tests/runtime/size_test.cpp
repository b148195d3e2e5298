// The shared library stays small, exports the interface only, and needs nothing but the C library.
#include <sys/stat.h>

#include <array>
#include <cstdio>

#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

std::string output_of_command(const std::string& command) {
  std::string text;
  std::array<char, 4096> buffer;
  FILE* pipe = popen(command.c_str(), "r");
  while (size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), n);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

constexpr int64_t kMaxStrippedBytes = 100 * 1000;

TEST(Library, IsSmall) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "instrumented code is larger";
#endif
  std::string stripped = temporary_path("libingot.so");
  output_of_command(std::string(INGOT_STRIP) + " -o " + stripped + " " + INGOT_RUNTIME_LIBRARY);
  struct stat st;
  ASSERT_EQ(stat(stripped.c_str(), &st), 0);
  EXPECT_GT(st.st_size, 10000);
  EXPECT_LT(st.st_size, kMaxStrippedBytes);
  unlink(stripped.c_str());
}

TEST(Library, NeedsOnlyTheCLibrary) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers add libraries";
#endif
  std::string text = output_of_command(std::string("readelf -dW ") + INGOT_RUNTIME_LIBRARY + " | grep NEEDED");
  size_t lines = 0;
  for (size_t at = 0; (at = text.find("NEEDED", at)) != std::string::npos; at++) lines++;
  size_t known = 0;
  for (auto name : {"libc.so", "libpthread.so", "libdl.so", "ld-linux" /* thread-local storage */})
    known += text.find(name) != std::string::npos;
  EXPECT_EQ(lines, known) << text;
}

TEST(Library, ExportsOnlyTheInterface) {
  std::string text = output_of_command(std::string("nm -D --defined-only ") + INGOT_RUNTIME_LIBRARY);
  EXPECT_NE(text.find(" T ingot_model_load\n"), std::string::npos);
  EXPECT_EQ(text.find("ingot_pool_start"), std::string::npos);
  EXPECT_EQ(text.find("ingot_hash"), std::string::npos);
}

}  // namespace
}  // namespace ingot::test
