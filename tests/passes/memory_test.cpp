// The plan of the arena: what lives at one time never overlaps, what does not may share, and sizes may be symbols.
#include <gtest/gtest.h>

#include <random>

#include "passes/memory/plan.h"

namespace ingot {
namespace {

int64_t at(const Dim& d, const std::map<int64_t, int64_t>& symbols) {
  Substitution s;
  for (auto [id, v] : symbols) s.emplace(id, Dim(v));
  return substitute(d, s).value();
}

// For these values of the symbols.
void expect_valid(const std::vector<PlannedBuffer>& buffers, const Dim& total,
                  const std::map<int64_t, int64_t>& symbols = {}) {
  for (size_t a = 0; a < buffers.size(); ++a) {
    int64_t begin = at(buffers[a].offset, symbols), end = begin + at(buffers[a].bytes, symbols);
    EXPECT_EQ(begin % kArenaAlignment, 0);
    EXPECT_LE(end, at(total, symbols));
    for (size_t b = 0; b < a; ++b) {
      if (buffers[a].first > buffers[b].last || buffers[b].first > buffers[a].last) continue;
      int64_t other = at(buffers[b].offset, symbols), other_end = other + at(buffers[b].bytes, symbols);
      EXPECT_TRUE(end <= other || other_end <= begin) << "buffers " << b << " and " << a << " overlap while both live";
    }
  }
}

// a -> b -> c -> d: two buffers at a time, so the arena is twice the size, whatever the length of the chain.
TEST(Memory, AChainTakesTwoBuffers) {
  std::vector<PlannedBuffer> b;
  for (int k = 0; k < 10; ++k) b.push_back({Dim(1000), k, k + 1, {}});
  Dim total = plan_memory(b);
  EXPECT_EQ(total.value(), 2048);
  expect_valid(b, total);
}

TEST(Memory, WhatLivesTogetherLiesApart) {
  std::vector<PlannedBuffer> b = {{Dim(64), 0, 5, {}}, {Dim(64), 0, 5, {}}, {Dim(1), 5, 6, {}}};
  Dim total = plan_memory(b);
  EXPECT_EQ(total.value(), 192);
  expect_valid(b, total);
}

TEST(Memory, NothingTakesNothing) {
  std::vector<PlannedBuffer> b;
  EXPECT_TRUE(plan_memory(b).is(0));
}

// Its check stands in the branch that makes it, and runs after the arena was made.
TEST(Memory, ASizeBelowZeroTakesNothingFromOthers) {
  const Symbol n = Dim::symbol("n");
  std::vector<PlannedBuffer> b = {{Dim(n) * 64, 0, 3, {}}, {Dim(n) * 640 - 6400, 1, 3, {}}, {Dim(n) * 128, 2, 3, {}}};
  const Dim total = plan_memory(b);
  expect_valid({b[0], b[2]}, total, {{n->id, 1}});
  expect_valid(b, total, {{n->id, 11}});
}

TEST(Memory, RandomPlansAreValidAndNearTheBound) {
  std::mt19937 rng(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<PlannedBuffer> b;
    for (uint32_t k = 0; k < 3 + rng() % 40; ++k) {
      int first = static_cast<int>(rng() % 40);
      b.push_back({Dim(static_cast<int64_t>(rng() % 5000)), first, first + static_cast<int>(rng() % 8), {}});
    }
    Dim total = plan_memory(b);
    expect_valid(b, total);
    EXPECT_GE(total.value(), memory_lower_bound(b));
    EXPECT_LE(static_cast<double>(total.value()), 1.5 * static_cast<double>(memory_lower_bound(b)));
  }
}

// Sizes that the run decides: valid for every value, and the chain reuses where one provably fits into another.
TEST(Memory, SymbolicSizes) {
  Symbol n = Dim::symbol("n", 1), m = Dim::symbol("m", 0);
  std::vector<PlannedBuffer> b = {{Dim(n) * 16, 0, 1, {}},
                                  {Dim(n) * 16, 1, 2, {}},
                                  {Dim(n) * 8, 2, 3, {}},
                                  {Dim(m) * 4, 0, 3, {}},
                                  {Dim(100), 0, 3, {}}};
  Dim total = plan_memory(b);
  EXPECT_TRUE(known_equal(b[2].offset, b[0].offset));
  for (int64_t nv : {1, 7, 500})
    for (int64_t mv : {0, 1, 1000}) expect_valid(b, total, {{n->id, nv}, {m->id, mv}});
}

TEST(Memory, RandomSymbolicPlansAreValid) {
  std::mt19937 rng(6);
  Symbol n = Dim::symbol("n", 1), m = Dim::symbol("m", 0);
  for (int round = 0; round < 100; ++round) {
    std::vector<PlannedBuffer> b;
    for (uint32_t k = 0; k < 3 + rng() % 20; ++k) {
      int first = static_cast<int>(rng() % 20);
      Dim bytes = Dim(static_cast<int64_t>(rng() % 500));
      if (rng() % 2) bytes += Dim(n) * static_cast<int64_t>(rng() % 9);
      if (rng() % 3 == 0) bytes += Dim(n) * Dim(m) * 4;
      b.push_back({bytes, first, first + static_cast<int>(rng() % 6), {}});
    }
    Dim total = plan_memory(b);
    for (int64_t nv : {1, 33}) expect_valid(b, total, {{n->id, nv}, {m->id, nv * 3 % 7}});
  }
}

}  // namespace
}  // namespace ingot
