#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <numeric>

#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

constexpr DType F32 = DType::F32;

// y[i] = x[i]*2 + 1 in vectors of 16 with a masked tail, over a dynamic extent.
TEST(Llvm, ElementwiseWithTail) {
  Symbol n = Dim::symbol("N"), m = Dim::symbol("M"), t = Dim::symbol("t");
  l::Kernel k;
  k.name = "scale_f32";
  k.buffers = {{0, "x", F32}, {1, "y", F32, true}};
  k.scalars = {m};
  k.item = t;
  Dim base = Dim(t) * 16;
  Expr mask = ramp(base, 16) < splat(ex::index(m), 16);
  Expr x = load(0, F32, 16, base, {mask});
  k.body = {store(1, base, x * splat(ex::number(F32, 2), 16) + splat(ex::number(F32, 1), 16), mask)};
  l::Program p = single_kernel(k, {{"x", F32, {n}}}, {"y", F32, {n}}, ceildiv(Dim(n), 16));
  p.host.back().scalars = {Dim(n)};
  for (const char* target : {"host", "x86-64-v2", "x86-64-v3"}) {
    Loaded image(build(p, target));
    ASSERT_TRUE(image);
    for (int64_t size : {1, 15, 16, 17, 100, 0}) {
      std::vector<float> in(static_cast<size_t>(size));
      std::iota(in.begin(), in.end(), 0.5f);
      ASSERT_EQ(image.run({{in.data(), {size}, INGOT_F32}}), 0);
      ASSERT_EQ(image.outputs[0].shape, std::vector<int64_t>{size});
      for (size_t i = 0; i < in.size(); ++i) EXPECT_EQ(image.outputs[0].as<float>()[i], in[i] * 2 + 1) << target << i;
      EXPECT_EQ(image.outputs[0].bytes[in.size() * 4], 0xAA) << "written past the end";
    }
  }
}

TEST(Llvm, ChecksInputs) {
  Symbol n = Dim::symbol("N", 1, 8), t = Dim::symbol("t");
  l::Kernel k;
  k.name = "add";
  k.buffers = {{0, "x", F32}, {1, "z", F32}, {2, "y", F32, true}};
  k.item = t;
  k.body = {store(2, t, load(0, F32, 1, t) + load(1, F32, 1, t))};
  l::Program p = single_kernel(k, {{"x", F32, {n, 3}}, {"z", F32, {Dim(n) * 3}}}, {"y", F32, {n, 3}}, Dim(n) * 3);
  Loaded image(build(p));
  std::vector<float> x(64, 1);
  EXPECT_EQ(image.run({{x.data(), {2, 3}, INGOT_F32}, {x.data(), {6}, INGOT_F32}}), 0);
  EXPECT_EQ(image.outputs[0].as<float>()[5], 2);
  auto fails = [&](std::vector<Loaded::Input> in, std::vector<int64_t> args) {
    EXPECT_EQ(image.run(in), INGOT_RUN_INPUT_DIM);
    ASSERT_EQ(image.reports.size(), 1u);
    EXPECT_EQ(image.reports[0].args, args);
  };
  fails({{x.data(), {2, 4}, INGOT_F32}, {x.data(), {6}, INGOT_F32}}, {0, 1, 4, 3});
  fails({{x.data(), {9, 3}, INGOT_F32}, {x.data(), {27}, INGOT_F32}}, {0, 0, 9, 8});
  fails({{x.data(), {2, 3}, INGOT_F32}, {x.data(), {7}, INGOT_F32}}, {1, 0, 7, 6});
  fails({{x.data(), {2, 3, 1}, INGOT_F32}, {x.data(), {6}, INGOT_F32}}, {0, -1, 3, 2});
  fails({{x.data(), {2, 3}, INGOT_F64}, {x.data(), {6}, INGOT_F32}}, {0, -2, INGOT_F64, INGOT_F32});
}

// C[128,768] = A[128,768] * W, W packed in panels of 32 columns; tile of `rows` x 2 vectors.
l::Program matmul(int64_t m, int64_t n, int64_t k, int64_t rows, int lanes) {
  Symbol t = Dim::symbol("t"), kk = Dim::symbol("k"), ku = Dim::symbol("ku");
  int64_t panel = 2 * lanes, panels = n / panel, tiles = (m + rows - 1) / rows;
  l::Kernel kernel;
  kernel.name = fmt::format("matmul_f32_{}x{}", rows, panel);
  kernel.buffers = {{0, "a", F32}, {1, "w", F32, false, true}, {2, "c", F32, true}};
  kernel.item = t;
  // The last tile overlaps the one before it.
  Dim row = min(mod(Dim(t), tiles) * rows, Dim(m - rows)), column = floordiv(Dim(t), tiles);
  Symbol first = Dim::symbol("row"), col = Dim::symbol("panel");
  l::Stmt let_row{l::StmtKind::Let}, let_col{l::StmtKind::Let};
  let_row.symbol = first, let_row.expr = ex::index(row);
  let_col.symbol = col, let_col.expr = ex::index(column);
  kernel.body = {let_row, let_col};
  for (int64_t i = 0; i < rows; ++i)
    for (int j = 0; j < 2; ++j) kernel.body.push_back(declare(i * 2 + j, F32, lanes, splat(ex::number(F32, 0), lanes)));
  std::vector<l::Stmt> inner;
  for (int j = 0; j < 2; ++j)
    inner.push_back(
        declare(100 + j, F32, lanes, load(1, F32, lanes, Dim(col) * (panel * k) + Dim(ku) * panel + j * lanes)));
  l::Stmt prefetch{l::StmtKind::Prefetch};
  prefetch.id = 1, prefetch.offset = Dim(col) * (panel * k) + Dim(ku) * panel + 16 * panel;
  inner.push_back(prefetch);
  for (int64_t i = 0; i < rows; ++i) {
    Expr x = splat(load(0, F32, 1, (Dim(first) + Dim(i)) * k + Dim(ku)), lanes);
    for (int j = 0; j < 2; ++j)
      inner.push_back(set(i * 2 + j, ex::fma(x, local(100 + j, F32, lanes), local(i * 2 + j, F32, lanes))));
  }
  kernel.body.push_back(for_(kk, 0, k, {for_(ku, kk, Dim(kk) + 2, inner, 1, true)}, 2));
  for (int64_t i = 0; i < rows; ++i)
    for (int j = 0; j < 2; ++j)
      kernel.body.push_back(
          store(2, (Dim(first) + Dim(i)) * n + Dim(col) * panel + j * lanes, local(i * 2 + j, F32, lanes)));
  return single_kernel(kernel, {{"a", F32, {m, k}}, {"w", F32, {panels, k, panel}}}, {"c", F32, {m, n}},
                       panels * tiles);
}

TEST(Llvm, MatmulTile) {
  const Target& host = host_target();
  int lanes = host.vector_bits / 32;
  constexpr int64_t m = 128, n = 768, k = 768;
  l::Program p = matmul(m, n, k, host.vector_registers == 32 ? 14 : 6, lanes);
  auto text = asm_text(p, 0, {&host});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(count_vector_spills(*text), 0);
  Image built = build(p);
  Loaded image(built);
  ASSERT_TRUE(image);
  std::vector<float> a(m * k), w(k * n), c(m * n);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 37 % 11) - 5;
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i * 53 % 13) - 6;
  int64_t panel = 2 * lanes;
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(image.run({{a.data(), {m, k}, INGOT_F32}, {w.data(), {n / panel, k, panel}, INGOT_F32}}), 0);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  for (int64_t i = 0; i < m; i += 7)
    for (int64_t j = 0; j < n; j += 5) {
      double sum = 0;
      for (int64_t x = 0; x < k; ++x) sum += double{a[i * k + x]} * w[(j / panel) * k * panel + x * panel + j % panel];
      ASSERT_EQ(image.outputs[0].as<float>()[i * n + j], static_cast<float>(sum)) << i << "," << j;
    }
  printf("matmul 128x768x768: %.1f GFLOP/s; code %ld bytes; print %.1f ms, codegen %.1f ms, link %.1f ms\n",
         2.0 * m * n * k / best / 1e9, static_cast<long>(built.code_bytes), built.print_seconds * 1e3,
         built.codegen_seconds * 1e3, built.link_seconds * 1e3);
}

}  // namespace
}  // namespace ingot::test
