// One compiled file at sizes that were not known when it was compiled; the arena follows the size.
#include <gtest/gtest.h>

#include <map>

#include "ir/ops/interpreter.h"
#include "tests/passes/compiled.h"
#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

Graph parsed(const std::string& text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  return g ? std::move(*g) : Graph();
}

std::shared_ptr<TensorData> numbers(std::vector<int64_t> dims, uint32_t state) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) {
    state = state * 1664525 + 1013904223;
    t->mutable_as<float>()[k] = static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1);
  }
  return t;
}

// Runs one file at each set of shapes and compares with the interpreter; gives the bytes of memory each session held.
std::vector<int64_t> run_at(const std::string& text, const std::vector<std::vector<std::vector<int64_t>>>& sizes,
                            double rtol = 1e-4) {
  std::vector<int64_t> held;
  for (const std::string& target : runnable_targets()) {
    auto bytes = compile_to_bytes(parsed(text), {target});
    EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message);
    if (!bytes) return held;
    ModelPtr model = load_bytes(*bytes);
    SessionPtr reused = session(model);
    for (const auto& shapes : sizes) {
      std::vector<HostValue> inputs;
      for (size_t k = 0; k < shapes.size(); ++k)
        inputs.push_back(HostValue::of(numbers(shapes[k], static_cast<uint32_t>(k + 1))));
      auto expected = Interpreter().run(parsed(text), inputs);
      EXPECT_TRUE(expected) << (expected ? "" : expected.error().message);
      if (!expected) return held;
      SessionPtr fresh = session(model);
      for (const SessionPtr* s : {&reused, &fresh}) {  // also after a run of another size
        for (size_t k = 0; k < inputs.size(); ++k) {
          Tensor t(inputs[k].tensor->as<float>(), inputs[k].tensor->dims, ingot_dtype_from_dlpack({kDLFloat, 32, 1}));
          EXPECT_EQ(ingot_session_bind_input(s->get(), static_cast<int32_t>(k), t), INGOT_OK) << ingot_last_error();
        }
        EXPECT_EQ(ingot_session_run(s->get()), INGOT_OK) << ingot_last_error();
        for (size_t k = 0; k < expected->size(); ++k) {
          const DLTensor* y = nullptr;
          EXPECT_EQ(ingot_session_get_output(s->get(), static_cast<int32_t>(k), &y), INGOT_OK);
          if (!y) return held;
          auto got = TensorData::make(DType::F32, shape_of(y));
          std::copy_n(static_cast<const float*>(y->data), got->elements(), got->mutable_as<float>());
          EXPECT_EQ(difference(*got, *(*expected)[k].tensor, rtol), "") << target << ", " << str(inputs[0], 0);
        }
      }
      if (target == "host") held.push_back(ingot_session_memory_bytes(fresh.get()));
    }
  }
  return held;
}

// A layer of a transformer over [batch, sequence, 24]: products, attention scores with two dynamic extents, rows.
const char* kAttention = R"(graph layer(%x: f32[batch, sequence, 24], %q: f32[24, 24], %k: f32[24, 24]) -> (%y) {
  %g = constant f32[1] dense<[0.5]>
  %xq = mat_mul %x, %q
  %xk = mat_mul %x, %k
  %kt = transpose %xk {perm = [0, 2, 1]}
  %s = mat_mul %xq, %kt
  %h = mul %s, %g
  %p = softmax %h {axis = -1}
  %a = mat_mul %p, %x
  %r = add %a, %x
  %y = relu %r
}
)";

TEST(Dynamic, BatchAndSequence) {
  std::vector<int64_t> w = {24, 24};
  std::vector<int64_t> held =
      run_at(kAttention,
             {{{1, 1, 24}, w, w}, {{7, 7, 24}, w, w}, {{1, 500, 24}, w, w}, {{500, 1, 24}, w, w}, {{3, 33, 24}, w, w}});
  ASSERT_EQ(held.size(), 5u);
  // The scores of 500 x 500 take a megabyte; nothing of that is held at smaller sizes.
  EXPECT_LT(held[0], 100 << 10);
  EXPECT_LT(held[0], held[1]);
  EXPECT_LT(held[1], held[4]);
  EXPECT_GE(held[2], 500 * 500 * 4);
  EXPECT_LT(held[2], 4 * 500 * 500 * 4);
  EXPECT_LT(held[3], held[2]);
}

const char* kConvolution =
    R"(graph net(%x: f32[batch, 3, height, width], %w: f32[20, 3, 3, 3], %v: f32[20, 1, 3, 3]) -> (%y) {
  %a = conv %x, %w {pads = [1, 1, 1, 1], strides = [2, 2]}
  %b = relu %a
  %c = conv %b, %v {pads = [1, 1, 1, 1], group = 20}
  %d = max_pool %c {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]}
  %y = global_average_pool %d
}
)";

TEST(Dynamic, BatchHeightAndWidth) {
  std::vector<int64_t> w = {20, 3, 3, 3}, v = {20, 1, 3, 3};
  std::vector<int64_t> held = run_at(
      kConvolution, {{{1, 3, 1, 1}, w, v}, {{7, 3, 7, 7}, w, v}, {{1, 3, 500, 7}, w, v}, {{2, 3, 33, 65}, w, v}});
  ASSERT_EQ(held.size(), 4u);
  EXPECT_LT(held[0], held[1]);
  EXPECT_LT(held[1], held[2]);
}

// Nothing to do, also between borders; and the same file afterwards.
TEST(Dynamic, NoElements) {
  std::vector<int64_t> w = {20, 3, 3, 3}, v = {20, 1, 3, 3};
  run_at(kConvolution, {{{0, 3, 9, 9}, w, v}, {{2, 3, 9, 9}, w, v}, {{0, 3, 1, 70}, w, v}});
  run_at(kAttention, {{{0, 4, 24}, {24, 24}, {24, 24}}, {{2, 3, 24}, {24, 24}, {24, 24}}});
}

TEST(Dynamic, ConstantExtentsOfZero) {
  run_at(R"(graph net(%x: f32[0, 16, 14, 14], %w: f32[32, 16, 3, 3]) -> (%y) {
  %a = conv %x, %w {pads = [1, 1, 1, 1]}
  %y = relu %a
}
)",
         {{{0, 16, 14, 14}, {32, 16, 3, 3}}});
  // Sums of no products are 0, before the epilogue too.
  run_at(R"(graph net(%a: f32[5, 0], %b: f32[0, 40], %c: f32[40]) -> (%y) {
  %p = mat_mul %a, %b
  %y = add %p, %c
}
)",
         {{{5, 0}, {0, 40}, {40}}});
}

// Extents that operators compute from others: a reshape, a concatenation, a slice up to the end.
TEST(Dynamic, ComputedExtents) {
  run_at(R"(graph net(%x: f32[n, 6]) -> (%y, %z) {
  %to = constant i64[3] dense<[-1, 2, 3]>
  %r = reshape %x, %to
  %c = concat %r, %r {axis = 0}
  %from = constant i64[1] dense<[1]>
  %end = constant i64[1] dense<[9223372036854775807]>
  %axes = constant i64[1] dense<[0]>
  %y = slice %c, %from, %end, %axes
  %t = transpose %x
  %z = mat_mul %x, %t
}
)",
         {{{1, 6}}, {{7, 6}}, {{500, 6}}});
}

}  // namespace
}  // namespace ingot::test
