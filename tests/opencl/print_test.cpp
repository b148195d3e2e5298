// What is printed for kernels written by hand in L's text form.
#include "backends/opencl/print.h"

#include <gtest/gtest.h>

#include "passes/loops/legalize.h"

namespace ingot {
namespace {

std::string printed(std::string_view kernels, bool legalise = true) {
  auto p = l::parse("program \"p\"\narena 0\nweights 0\norigin \"node\"\nhost {\n}\n" + std::string(kernels));
  EXPECT_TRUE(p) << (p ? "" : p.error().message);
  if (!p) return "";
  if (legalise) {
    EXPECT_TRUE(l::legalize(*p, {.has_fma = true, .has_f16_convert = false}));
  }
  auto text = opencl::print(*p);
  return text ? *text : "error: " + text.error().message;
}

std::string kernel_text(std::string_view kernel) {
  const std::string text = printed(kernel);
  const size_t at = text.find("\n\n__kernel");
  return at == std::string::npos ? text : text.substr(at + 2);
}

TEST(OpenClPrint, KernelWithLoopRegisterAndFailure) {
  EXPECT_EQ(
      kernel_text(
          R"(kernel "gather sum"(0 "x": f32, 1 "at": i64, 2 "y": f32 out; n:[0,100]) item item:[0,99] node 0 flops 0 bytes 0 schedule "" {
  var 0: f32 = const.f32(0.5)
  for k:[0,63] in 0..n step 2 {
    if lt(load.i64(1; k; 1), const.i64(0)) {
      fail 3 node 0 (load.i64(1; k; 1), const.i64(7))
    }
    set 0 = fma(load.f32(0; item*8; 1; load.i64(1; k; 1)), const.f32(2.0), local.f32(0))
  }
  store 2[item + 1] = local.f32(0)
}
)"),
      R"(__kernel void k0_gather_sum(__global const float* restrict b0, __global const long* restrict b1, __global float* restrict b2, const long n_1, const long items, __global int* status) {
  const long item_2 = get_global_id(0);
  if (item_2 >= items) return;
  float r0_f32 = 0.5f;
  for (long k_3 = 0L, k_3_end = n_1; k_3 < k_3_end; k_3 += 2) {
    if ((b1[k_3] < 0L)) {
      ingot_fail(status, 3, 0, 2, (long)b1[k_3], (long)7L, 0L, 0L);
      return;
    }
    r0_f32 = fma(b0[(item_2 * 8L) + b1[k_3]], 2.0f, r0_f32);
  }
  b2[(item_2 + 1L)] = r0_f32;
}
)");
}

TEST(OpenClPrint, KernelsThatMeanTheSameShareAFunction) {
  const std::string kernel =
      R"(kernel "copy"(0 "x": f32, 1 "y": f32 out;) item item:[0,99] node 0 flops 0 bytes 0 schedule "" {
  store 1[item] = load.f32(0; item; 1)
}
)";
  std::string second = kernel;  // the symbol is declared by its first use
  second.erase(second.find(":[0,99]"), 7);
  const std::string text = printed(kernel + second);
  EXPECT_EQ(text.substr(0, text.find('#')), "// 0 k0_copy 2 0\n// 1 k0_copy 2 0\n");
  EXPECT_EQ(text.find("__kernel"), text.rfind("__kernel"));
}

// Each step doubles the tree; the text grows by a line.
TEST(OpenClPrint, SharedExpressionsArePrintedOnce) {
  l::Program p;
  l::Kernel k;
  k.name = "deep";
  k.item = Dim::iterator("item", Dim(10));
  k.buffers = {{0, "x", DType::F32}, {1, "y", DType::F32, true}};
  ExprNode load{ScalarOp::Load, DType::F32};
  load.id = 0, load.dim = Dim(k.item);
  Expr x(std::make_shared<const ExprNode>(load));
  for (int i = 0; i < 100; ++i) x = x * x + x;
  l::Stmt store{l::StmtKind::Store};
  store.id = 1, store.offset = Dim(k.item), store.expr = x;
  k.body = {store};
  auto text = opencl::print_kernel(k, "deep");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_LT(text->size(), 8000u);
}

TEST(OpenClPrint, RefusesLanesAndWhatIsNotLegal) {
  EXPECT_EQ(printed(R"(kernel "k"(0 "x": f32, 1 "y": f32 out;) item item:[0,99] node 0 flops 0 bytes 0 schedule "" {
  store 1[item] = exp(load.f32(0; item; 1))
}
)",
                    false),
            "error: expression 'exp' of f32 reached the printer; it should have been legalised\n  in kernel 'k'");
  l::Kernel k;
  k.name = "wide";
  k.item = Dim::iterator("item", Dim(10));
  l::Stmt declare{l::StmtKind::Declare};
  declare.id = 0, declare.dtype = DType::F32, declare.lanes = 4;
  k.body = {declare};
  auto wide = opencl::print_kernel(k, "wide");
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().message, "register 0 has 4 lanes, expected a scalar\n  in kernel 'wide'");
}

}  // namespace
}  // namespace ingot
