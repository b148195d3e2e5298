// The AArch64 image, run under qemu with a small runner made by the cross compiler. Skipped where either is missing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

const char* kRunner = R"(
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include "runtime/abi.h"
static float out[4096];
static void* output(const ingot_context* c, int32_t i, int32_t t, int32_t r, const int64_t* s) { (void)c;(void)i;(void)t;(void)r;(void)s; return out; }
static int32_t par(const ingot_context* c, ingot_kernel_fn f, void* const* b, const int64_t* s, int64_t n, int64_t g) { (void)g; return f(c, b, s, 0, n); }
static int32_t rep(const ingot_context* c, int32_t n, int32_t code, int32_t k, const int64_t* a) { (void)c;(void)n;(void)k;(void)a; return code; }
int main(int argc, char** argv) {
  (void)argc;
  void* h = dlopen(argv[1], RTLD_NOW);
  if (!h) { puts(dlerror()); return 2; }
  ingot_entry_fn entry = (ingot_entry_fn)dlsym(h, "ingot_entry");
  static float in[4096];
  FILE* f = fopen(argv[2], "rb");
  int64_t n = (int64_t)fread(in, 4, 4096, f);
  fclose(f);
  ingot_tensor_view view = {in, &n, 1, INGOT_F32};
  int32_t cancel = 0;
  ingot_context c = {INGOT_ABI_VERSION, sizeof c, 0, &view, 0, &cancel, par, 0, 0, 0, output, 0, rep, 0, 0, 0, 0, 0};
  int r = entry(&c);
  if (r) return 3;
  f = fopen(argv[3], "wb");
  fwrite(out, 4, (size_t)n, f);
  fclose(f);
  return 0;
}
)";

TEST(AArch64, RunsUnderQemu) {
  if (std::system("command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null"))
    GTEST_SKIP() << "no qemu-aarch64 or no cross compiler";
  std::string pattern = (std::filesystem::temp_directory_path() / "ingot-test-XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  auto path = [&](const char* f) { return pattern + "/" + f; };
  std::ofstream(path("runner.c")) << kRunner;
  ASSERT_EQ(
      std::system(
          ("aarch64-linux-gnu-gcc -O1 -I" INGOT_SOURCE_DIR " -o " + path("runner") + " " + path("runner.c")).c_str()),
      0);
  std::vector<float> x;
  for (int i = 0; i < 1003; ++i) x.push_back(static_cast<float>(i - 500) * 0.031f);
  x[7] = NAN;
  std::ofstream(path("in"), std::ios::binary)
      .write(reinterpret_cast<char*>(x.data()), static_cast<std::streamsize>(x.size() * 4));
  struct Case {
    ScalarOp op;
    long double (*exact)(long double);
  };
  for (const char* target : {"aarch64", "aarch64-dotprod", "cortex-a72"})
    for (Case c : {Case{ScalarOp::Exp, std::exp}, Case{ScalarOp::Sin, std::sin}, Case{ScalarOp::Erf, std::erf}}) {
      Symbol n = Dim::symbol("N"), m = Dim::symbol("M"), t = Dim::symbol("t");
      l::Kernel k;
      k.name = "map";
      k.buffers = {{0, "x", DType::F32}, {1, "y", DType::F32, true}};
      k.scalars = {m};
      k.item = t;
      Expr mask = node(ScalarOp::Lt, DType::Bool, 8, {ramp(Dim(t) * 8, 8), splat(ex::index(m), 8)});
      k.body = {store(1, Dim(t) * 8, node(c.op, DType::F32, 8, {load(0, DType::F32, 8, Dim(t) * 8, {mask})}), mask)};
      l::Program p = single_kernel(k, {{"x", DType::F32, {Dim(n)}}}, {"y", DType::F32, {Dim(n)}}, ceildiv(Dim(n), 8));
      p.host.back().scalars = {Dim(n)};
      Image image = build(p, target);
      std::ofstream(path("image.so"), std::ios::binary)
          .write(reinterpret_cast<char*>(image.elf.data()), static_cast<std::streamsize>(image.elf.size()));
      ASSERT_EQ(std::system(("qemu-aarch64 -L /usr/aarch64-linux-gnu " + path("runner") + " " + path("image.so") + " " +
                             path("in") + " " + path("out"))
                                .c_str()),
                0)
          << target;
      std::vector<float> y(x.size());
      std::ifstream(path("out"), std::ios::binary)
          .read(reinterpret_cast<char*>(y.data()), static_cast<std::streamsize>(y.size() * 4));
      for (size_t i = 0; i < x.size(); ++i) {
        auto want = static_cast<float>(c.exact(x[i]));
        if (std::isnan(want)) {
          EXPECT_TRUE(std::isnan(y[i]));
        } else {
          EXPECT_NEAR(y[i], want, 1e-6 * std::max(1e-3f, std::fabs(want)))
              << target << " " << name(c.op) << " " << x[i];
        }
      }
    }
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace ingot::test
