// Checked code: an access outside of its buffer ends the run with the place, an access inside does not; memory that nobody
// wrote, and canaries, hold the pattern of the seed.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "passes/loops/checked.h"
#include "passes/loops/legalize.h"
#include "runtime/poison.h"
#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

constexpr DType F32 = DType::F32;
constexpr DType I64 = DType::I64;
constexpr int64_t kElements = 24;

Image checked(l::Program p, const CheckOptions& checks) {
  EXPECT_TRUE(l::legalize(p, {}));
  if (checks.bounds) l::check_bounds(p);
  if (checks.poison) l::poison(p, *checks.poison);
  return build(p, "host", /*legalise=*/false);
}

// y[t] = what `body` stores, of x: f32[24] and i: i64[24], both inputs.
l::Program kernel_of(std::vector<l::Stmt> body, const Symbol& item, const Dim& grid) {
  l::Kernel k;
  k.name = "reads";
  k.buffers = {{0, "x", F32}, {1, "i", I64}, {2, "y", F32, true}};
  k.item = item;
  k.node = 3;
  k.body = std::move(body);
  return single_kernel(std::move(k), {{"x", F32, {kElements}}, {"i", I64, {kElements}}}, {"y", F32, {kElements}}, grid);
}

struct Outcome {
  int32_t code;
  std::vector<int64_t> args;
  std::vector<float> y;
};

Outcome run(l::Program p, std::vector<int64_t> index = {}) {
  Loaded image(checked(std::move(p), {.bounds = true}));
  if (!image) return {-1, {}, {}};
  std::vector<float> x(kElements);
  std::iota(x.begin(), x.end(), 0.0f);
  index.resize(kElements);
  Outcome o{image.run({{x.data(), {kElements}, INGOT_F32}, {index.data(), {kElements}, INGOT_I64}}), {}, {}};
  if (!image.reports.empty()) o.args = image.reports[0].args;
  if (!image.outputs.empty())
    o.y.assign(image.outputs[0].as<float>(), image.outputs[0].as<float>() + image.outputs[0].bytes.size() / 4);
  return o;
}

void expect_outside(const Outcome& o, int64_t element, int64_t extent) {
  EXPECT_EQ(o.code, INGOT_RUN_BOUNDS);
  ASSERT_EQ(o.args.size(), 4u);
  EXPECT_EQ((std::vector<int64_t>(o.args.begin() + 1, o.args.end())), (std::vector<int64_t>{element, 0, extent}));
}

TEST(CheckBounds, LoadsAndStoresByScalars) {
  Symbol t = Dim::symbol("t");
  EXPECT_EQ(run(kernel_of({store(2, t, load(0, F32, 1, t))}, t, kElements)).code, 0);
  expect_outside(run(kernel_of({store(2, t, load(0, F32, 1, Dim(t) + 1))}, t, kElements)), 24, 24);
  expect_outside(run(kernel_of({store(2, t, load(0, F32, 1, Dim(t) - 1))}, t, kElements)), -1, 24);
  expect_outside(run(kernel_of({store(2, Dim(t) * 2, load(0, F32, 1, t))}, t, kElements)), 24, 24);
}

TEST(CheckBounds, BothEndsOfAVector) {
  Symbol t = Dim::symbol("t");
  auto copy = [&](const Dim& at, int64_t stride) {
    return run(kernel_of({store(2, 0, load(0, F32, 8, at, {}, stride))}, t, 1));
  };
  EXPECT_EQ(copy(16, 1).code, 0);
  expect_outside(copy(17, 1), 17, 24);
  EXPECT_EQ(copy(2, 3).code, 0);
  EXPECT_EQ(copy(3, 3).code, INGOT_RUN_BOUNDS);
  EXPECT_EQ(copy(7, -1).code, 0);
  EXPECT_EQ(copy(6, -1).code, INGOT_RUN_BOUNDS);
}

TEST(CheckBounds, AMaskedLaneIsNoAccess) {
  Symbol t = Dim::symbol("t");
  auto copy = [&](int64_t lanes_of_use) {
    Expr mask = node(ScalarOp::Lt, DType::Bool, 8, {ramp(20, 8), splat(ex::integer(I64, 20 + lanes_of_use), 8)});
    return run(kernel_of({store(2, 20, load(0, F32, 8, 20, {mask}), mask)}, t, 1));
  };
  EXPECT_EQ(copy(4).code, 0);
  expect_outside(copy(5), 24, 24);
}

TEST(CheckBounds, IndicesThatDataDecide) {
  Symbol t = Dim::symbol("t");
  auto gather = [&](std::vector<int64_t> index) {
    return run(kernel_of({store(2, t, load(0, F32, 1, 0, {load(1, I64, 1, t)}))}, t, kElements), std::move(index));
  };
  EXPECT_EQ(gather({23, 0}).code, 0);
  expect_outside(gather({23, 24}), 24, 24);
  expect_outside(gather({0, -3}), -3, 24);
  auto vectors = [&](std::vector<int64_t> index) {
    return run(kernel_of({store(2, 0, load(0, F32, 8, 0, {load(1, I64, 8, 0)}, 0))}, t, 1), std::move(index));
  };
  EXPECT_EQ(vectors({1, 2, 3, 4, 5, 6, 7, 23}).code, 0);
  expect_outside(vectors({1, 2, 3, 400, 5, 6, 7, 23}), 400, 24);
  auto scatter = [&](std::vector<int64_t> index) {
    return run(kernel_of({store(2, 0, ex::number(F32, 1), {}, load(1, I64, 1, t))}, t, kElements), std::move(index));
  };
  EXPECT_EQ(scatter({5}).code, 0);
  expect_outside(scatter({5, 24}), 24, 24);
}

TEST(CheckBounds, ScratchMemory) {
  Symbol t = Dim::symbol("t"), i = Dim::symbol("i");
  auto through = [&](int64_t end) {
    l::Stmt scratch{l::StmtKind::Scratch};
    scratch.id = 9, scratch.dtype = F32, scratch.elements = 8;
    return run(kernel_of({scratch, for_(i, 0, end, {store(9, i, load(0, F32, 1, i))}), store(2, t, load(9, F32, 1, 0))},
                         t, 1));
  };
  EXPECT_EQ(through(8).code, 0);
  expect_outside(through(9), 8, 8);
}

l::HostBuffer host_buffer(l::HostBuffer::Kind kind, const char* name, int index = -1) {
  l::HostBuffer b;
  b.kind = kind, b.name = name, b.dtype = F32, b.index = index;
  return b;
}

// Copies `elements` of x through another buffer.
l::Program through(l::HostBuffer between, const Dim& elements, int64_t arena = 0) {
  Symbol t = Dim::symbol("t");
  l::Program p = kernel_of({store(2, t, load(0, F32, 1, t))}, t, 0);
  p.arena_bytes = arena;
  p.buffers.push_back(std::move(between));
  const int to = static_cast<int>(p.buffers.size()) - 1;
  p.host.push_back(place(to));
  p.host.push_back(launch(0, {0, 1, to}, {}, elements));
  return p;
}

TEST(CheckBounds, PlacedBuffers) {
  using K = l::HostBuffer::Kind;
  l::HostBuffer arena = host_buffer(K::Arena, "a");
  arena.offset = 64, arena.size = 32;
  EXPECT_EQ(run(through(arena, 8, 96)).code, 0);
  expect_outside(run(through(arena, 9, 128)), 8, 8);
  EXPECT_EQ(run(through(arena, 8, 95)).code, INGOT_RUN_BOUNDS);  // the buffer ends behind the arena
  l::HostBuffer heap = host_buffer(K::Dynamic, "h");
  heap.size = 32;
  EXPECT_EQ(run(through(heap, 8)).code, 0);
  expect_outside(run(through(heap, 9)), 8, 8);
}

// Two elements of border lie before the one with index 0, wherever the buffer lies.
TEST(CheckBounds, EveryKindOfBufferHasItsOrigin) {
  using K = l::HostBuffer::Kind;
  for (K kind : {K::Arena, K::Dynamic}) {
    Symbol t = Dim::symbol("t");
    l::HostBuffer b = host_buffer(kind, "bordered");
    b.size = 48, b.origin = 8;
    auto fill = [&](int64_t from, int64_t n) {
      l::Program p = kernel_of({store(2, Dim(t) + from, load(0, F32, 1, t))}, t, 0);
      p.arena_bytes = 48;
      p.buffers.push_back(b);
      p.host.push_back(place(3));
      p.host.push_back(launch(0, {0, 1, 3}, {}, n));
      return run(std::move(p));
    };
    EXPECT_EQ(fill(-2, 12).code, 0);
    EXPECT_EQ(fill(-3, 12).code, INGOT_RUN_BOUNDS);
    EXPECT_EQ(fill(-2, 13).code, INGOT_RUN_BOUNDS);
  }
}

TEST(CheckBounds, AViewLiesInItsBase) {
  using K = l::HostBuffer::Kind;
  auto view = [&](int64_t offset, int64_t elements, int64_t size = 64) {
    l::HostBuffer base = host_buffer(K::Dynamic, "base");
    base.size = size;
    l::Program p = through(base, 0);
    l::HostBuffer v = host_buffer(K::View, "view", 3);
    v.offset = offset, v.size = 64 - offset;
    p.buffers.push_back(v);
    p.host.push_back(launch(0, {0, 1, 4}, {}, elements));
    return run(std::move(p)).code;
  };
  EXPECT_EQ(view(32, 8), 0);
  EXPECT_EQ(view(32, 9), INGOT_RUN_BOUNDS);
  EXPECT_EQ(view(68, 0), INGOT_RUN_BOUNDS);
  EXPECT_EQ(view(32, 0, 0), 0) << "a part of nothing";
}

// The size of memory is that of when it was placed, whatever its extents mean by now.
TEST(CheckBounds, SizesAreThoseOfThePlace) {
  Symbol n = Dim::symbol("n");
  auto let = [&](int64_t value) {
    l::Stmt s{l::StmtKind::Let};
    s.symbol = n, s.expr = ex::index(value);
    return s;
  };
  auto later = [&](int64_t value) {
    l::HostBuffer heap = host_buffer(l::HostBuffer::Kind::Dynamic, "h");
    heap.size = Dim(n) * 4;
    l::Program p = through(heap, n);
    const l::Stmt at = p.host[p.host.size() - 2];
    p.host.insert(p.host.end() - 2, let(8));
    p.host.insert(p.host.end() - 1, let(value));
    return run(std::move(p)).code;
  };
  EXPECT_EQ(later(8), 0);
  EXPECT_EQ(later(9), INGOT_RUN_BOUNDS);
}

TEST(Poison, WhatNobodyWroteHoldsThePattern) {
  Symbol t = Dim::symbol("t");
  for (uint64_t seed : {1, 2}) {
    l::Stmt scratch{l::StmtKind::Scratch};
    scratch.id = 9, scratch.dtype = F32, scratch.elements = 20;
    l::Program p = kernel_of({scratch, declare(5, F32, 1), store(2, 0, load(9, F32, 1, 19)),
                              store(2, 1, load(9, F32, 1, 0)), store(2, 2, local(5, F32, 1))},
                             t, 1);
    Loaded image(checked(std::move(p), {.poison = seed}));
    ASSERT_TRUE(image);
    std::vector<float> x(kElements);
    std::vector<int64_t> index(kElements);
    ASSERT_EQ(image.run({{x.data(), {kElements}, INGOT_F32}, {index.data(), {kElements}, INGOT_I64}}), 0);
    const auto word = static_cast<uint32_t>(ingot_poison_word(seed));
    for (int k = 0; k < 3; ++k) {
      uint32_t got;
      std::memcpy(&got, image.outputs[0].as<float>() + k, 4);
      EXPECT_EQ(got, word) << "seed " << seed << ", value " << k;
    }
  }
}

TEST(Poison, SeedsThatFollowEachOtherDifferInEveryByte) {
  for (uint64_t seed : {0, 1, 2, 77}) {
    const uint64_t a = ingot_poison_word(seed), b = ingot_poison_word(seed + 1);
    for (int byte = 0; byte < 8; ++byte)
      EXPECT_NE((a >> (8 * byte) & 0xff) == 0, (b >> (8 * byte) & 0xff) == 0) << seed << " " << byte;
  }
}

TEST(Poison, ACanaryThatChangedEndsTheRun) {
  auto beyond = [&](int64_t elements) {
    l::HostBuffer arena = host_buffer(l::HostBuffer::Kind::Arena, "a");
    arena.offset = l::kCanaryBytes, arena.size = 32;
    l::Program p = through(arena, elements, 32 + 2 * l::kCanaryBytes);
    p.arena_plan.push_back({3, 0, 32 + 2 * l::kCanaryBytes, 0, 1});
    Loaded image(checked(std::move(p), {.poison = 1}));
    std::vector<float> x(kElements, 0.25f);
    std::vector<int64_t> index(kElements);
    return image.run({{x.data(), {kElements}, INGOT_F32}, {index.data(), {kElements}, INGOT_I64}});
  };
  EXPECT_EQ(beyond(8), 0);
  EXPECT_EQ(beyond(9), INGOT_RUN_BOUNDS);
}

}  // namespace
}  // namespace ingot::test
