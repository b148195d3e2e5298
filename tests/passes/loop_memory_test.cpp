// Memory of values whose size only the run knows: with a border, carried by a Loop, collected by one. Every access is compared
// with its buffer, and the numbers with the interpreter's.
#include <gtest/gtest.h>

#include "ir/ops/host_value.h"
#include "tools/driver/executable.h"

namespace ingot::test {
namespace {

HostValue scalar(int64_t v) {
  auto t = TensorData::make(DType::I64, {});
  *t->mutable_as<int64_t>() = v;
  return HostValue::of(std::move(t));
}

HostValue floats(std::vector<int64_t> dims) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) t->mutable_as<float>()[k] = static_cast<float>(k % 97 + 1);
  return HostValue::of(std::move(t));
}

std::unique_ptr<driver::Executable> executable(const std::string& text, driver::LoadOptions options) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message);
  options.threads = 2;
  auto e = driver::make_executable(g ? std::move(*g) : Graph(), options);
  EXPECT_TRUE(e) << (e ? "" : e.error().message);
  return e ? std::move(*e) : nullptr;
}

std::string call(driver::Executable& e, const std::vector<HostValue>& inputs) {
  auto got = e.call(inputs);
  if (!got) return got.error().message;
  std::string s;
  for (const HostValue& v : *got) s += str(v, 100000) + "\n";
  return s;
}

// The same outputs from the interpreter and from checked code, for each of the inputs, one after the other.
void expect_as_interpreted(const std::string& text, const std::vector<std::vector<HostValue>>& runs) {
  driver::LoadOptions checked;
  checked.backend = driver::Backend::Llvm;
  checked.checks = {.bounds = true, .poison = 1};
  auto reference = executable(text, {}), compiled = executable(text, checked);
  ASSERT_TRUE(reference && compiled);
  for (const auto& inputs : runs) EXPECT_EQ(call(*compiled, inputs), call(*reference, inputs));
}

TEST(LoopMemory, ABorderedValueOnTheHeap) {
  auto mask = [](std::vector<uint8_t> bits) {
    auto t = TensorData::make(DType::Bool, {static_cast<int64_t>(bits.size())});
    std::copy(bits.begin(), bits.end(), t->mutable_bytes());
    return HostValue::of(std::move(t));
  };
  expect_as_interpreted(R"(symbols kept_n0 < 5
graph g(%x: f32[4, 3, 9, 7], %keep: bool[4]) -> (%y) {
  %kept = compress %x, %keep {axis = 0}
  %y = max_pool %kept {kernel_shape = [5, 5], pads = [2, 2, 2, 2]}
}
)",
                        {{floats({4, 3, 9, 7}), mask({1, 0, 1, 1})},
                         {floats({4, 3, 9, 7}), mask({0, 0, 0, 0})},
                         {floats({4, 3, 9, 7}), mask({1, 1, 1, 1})}});
}

// a grows by a column of b, b loses a row: each is made of the other's last value.
TEST(LoopMemory, CarriedValuesChangeSize) {
  const std::string text = R"(symbols k, m
graph g(%n: i64[], %a: f32[3, k], %b: f32[m, 3]) -> (%y, %z) {
  %one = constant i64[1] dense<[1]>
  %zero = constant i64[1] dense<[0]>
  %far = constant i64[1] dense<[1000]>
  %shape = constant i64[2] dense<[3, 1]>
  %y, %z = loop %n, _, %a, %b
    region(%i: i64[], %go: bool[], %p: f32[3, pk], %q: f32[qm, 3]) -> (%go, %p2, %q2) {
      %row = gather %q, %zero {axis = 0}
      %column = reshape %row, %shape
      %p2 = concat %p, %column {axis = 1}
      %q2 = slice %q, %one, %far, %zero
    }
}
)";
  std::vector<std::vector<HostValue>> runs;
  for (auto [n, k, m] : {std::array<int64_t, 3>{0, 2, 3}, {1, 0, 1}, {4, 2, 9}, {9, 33, 17}, {3, 1, 3}})
    runs.push_back({scalar(n), floats({3, k}), floats({m, 3})});
  expect_as_interpreted(text, runs);
}

// They change places, and so do their sizes.
TEST(LoopMemory, CarriedValuesChangePlaces) {
  const std::string text = R"(symbols k, m
graph g(%n: i64[], %a: f32[k], %b: f32[m]) -> (%y, %z) {
  %y, %z = loop %n, _, %a, %b
    region(%i: i64[], %go: bool[], %p: f32[pk], %q: f32[qm]) -> (%go, %q, %p2) {
      %p2 = neg %p
    }
}
)";
  std::vector<std::vector<HostValue>> runs;
  for (auto [n, k, m] : {std::array<int64_t, 3>{0, 2, 3}, {1, 0, 5}, {2, 7, 1}, {5, 3, 64}})
    runs.push_back({scalar(n), floats({k}), floats({m})});
  expect_as_interpreted(text, runs);
}

// More iterations than there is room for at first, of a number that nobody knows before.
TEST(LoopMemory, ScannedValuesGrow) {
  const std::string text = R"(symbols k
graph g(%last: i64[], %x: f32[k]) -> (%y, %z) {
  %trip = constant i64[] dense<[9223372036854775807]>
  %one = constant f32[] dense<[1.0]>
  %v, %y, %z = loop %trip, _, %x : f32[k], f32[n, k], i64[n] decides (n)
    region(%i: i64[], %go: bool[], %a: f32[k]) -> (%more, %a2, %a2, %i) {
      %a2 = add %a, %one
      %more = less %i, %last
    }
}
)";
  std::vector<std::vector<HostValue>> runs;
  for (int64_t last : {0, 62, 63, 64, 127, 128, 700, 1}) runs.push_back({scalar(last), floats({5})});
  runs.push_back({scalar(200), floats({0})});
  expect_as_interpreted(text, runs);
}

// Each iteration makes a table of all items: only the last two are kept. All of them would be 180 MiB.
TEST(LoopMemory, SequencesKeepOneGeneration) {
  const std::string text = R"(graph g(%n: i64[], %x: f32[2]) -> (%y) {
  %s = sequence_empty : seq(f32[2])
  %t = loop %n, _, %s : seq(f32[2])
    region(%i: i64[], %go: bool[], %v: seq(f32[2])) -> (%go, %w) {
      %w = sequence_insert %v, %x
    }
  %y = sequence_length %t
}
)";
  driver::LoadOptions options;
  options.backend = driver::Backend::Llvm;
  options.memory_limit_gib = 8.0 / 1024;
  auto e = executable(text, options);
  ASSERT_TRUE(e);
  EXPECT_EQ(call(*e, {scalar(4000), floats({2})}), "i64[] {4000}\n");
}

}  // namespace
}  // namespace ingot::test
