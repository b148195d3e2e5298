#include "passes/memory/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace ingot {

namespace {

int64_t align_up(int64_t n) { return (n + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

bool overlap(const PlannedBuffer& a, const PlannedBuffer& b) { return a.first <= b.last && b.first <= a.last; }

inline constexpr int kAttempts = 64;  // orders of placement

// Places the buffers in this order, each at the lowest offset that is free during its life; the size of all.
int64_t place(const std::vector<size_t>& order, std::vector<PlannedBuffer>& buffers) {
  int64_t total = 0;
  std::vector<size_t> placed;  // by offset
  for (size_t k : order) {
    int64_t size = align_up(buffers[k].bytes.value()), at = 0;
    for (size_t other : placed) {
      if (!overlap(buffers[k], buffers[other])) continue;
      int64_t begin = buffers[other].offset.value(), end = begin + align_up(buffers[other].bytes.value());
      if (at + size <= begin) break;
      at = std::max(at, end);
    }
    buffers[k].offset = at;
    total = std::max(total, at + size);
    auto where = std::upper_bound(placed.begin(), placed.end(), at,
                                  [&](int64_t o, size_t p) { return o < buffers[p].offset.value(); });
    placed.insert(where, k);
  }
  return total;
}

// Largest first, then, as long as something is lost, again with the buffer that ends last before all others.
int64_t place_fixed(std::vector<size_t> order, std::vector<PlannedBuffer>& buffers) {
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes.value() > buffers[b].bytes.value(); });
  const int64_t bound = memory_lower_bound(buffers);
  std::vector<size_t> best = order;
  int64_t least = place(order, buffers);
  for (int attempt = 0; attempt < kAttempts && least > bound && !order.empty(); ++attempt) {
    auto end = [&](size_t k) { return buffers[k].offset.value() + align_up(buffers[k].bytes.value()); };
    auto last = std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) { return end(a) < end(b); });
    std::rotate(order.begin(), last, last + 1);
    const int64_t total = place(order, buffers);
    if (total < least) least = total, best = order;
  }
  return place(best, buffers);
}

}  // namespace

Dim plan_memory(std::vector<PlannedBuffer>& buffers) {
  std::vector<size_t> fixed, symbolic;
  for (size_t k = 0; k < buffers.size(); ++k) (buffers[k].bytes.is_constant() ? fixed : symbolic).push_back(k);
  const int64_t total = place_fixed(fixed, buffers);
  // Symbolic sizes: slots in the order of execution.
  struct Slot {
    Dim bytes, offset;
    int free_after;
  };
  std::stable_sort(symbolic.begin(), symbolic.end(),
                   [&](size_t a, size_t b) { return buffers[a].first < buffers[b].first; });
  std::vector<Slot> slots;
  Dim end = total;
  for (size_t k : symbolic) {
    PlannedBuffer& b = buffers[k];
    Slot* best = nullptr;
    for (Slot& s : slots) {
      if (s.free_after < b.first && known_less_equal(b.bytes, s.bytes) && (!best || known_less(s.bytes, best->bytes)))
        best = &s;
    }
    if (!best) {
      slots.push_back({b.bytes, end, 0});
      best = &slots.back();
      end += ceildiv(b.bytes, kArenaAlignment) * kArenaAlignment;
    }
    best->free_after = b.last;
    b.offset = best->offset;
  }
  return end;
}

int64_t memory_lower_bound(const std::vector<PlannedBuffer>& buffers) {
  std::map<int, int64_t> change;  // position -> bytes that begin to be alive there, less those that were until then
  for (const PlannedBuffer& b : buffers) {
    if (!b.bytes.is_constant()) continue;
    change[b.first] += align_up(b.bytes.value());
    change[b.last + 1] -= align_up(b.bytes.value());
  }
  int64_t alive = 0, most = 0;
  for (const auto& [position, bytes] : change) most = std::max(most, alive += bytes);
  return most;
}

}  // namespace ingot
