#include "passes/memory/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace ingot {

namespace {

int64_t align_up(int64_t n) { return (n + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

inline constexpr int kAttempts = 64;  // orders of placement
inline constexpr size_t kMaxSlotsTried = 64;  // symbolic slots that a buffer is compared with

// The placed buffers that are alive together with another one: those alive at its beginning, from a segment tree over the
// beginnings of all, and those that begin during its life.
class Alive {
 public:
  Alive(const std::vector<size_t>& order, const std::vector<PlannedBuffer>& buffers) : buffers_(buffers) {
    by_first_ = order;
    std::sort(by_first_.begin(), by_first_.end(), [&](size_t a, size_t b) {
      return buffers[a].first != buffers[b].first ? buffers[a].first < buffers[b].first : a < b;
    });
    for (size_t k : by_first_) firsts_.push_back(buffers[k].first);
    while (leaves_ < firsts_.size()) leaves_ *= 2;
    cover_.resize(2 * leaves_);
    placed_.resize(buffers.size(), false);
  }

  void clear() {
    for (auto& list : cover_) list.clear();
    std::fill(placed_.begin(), placed_.end(), false);
  }

  void add(size_t k) {
    placed_[k] = true;
    size_t begin = at(buffers_[k].first) + leaves_, end = at(buffers_[k].last + 1) + leaves_;
    for (; begin < end; begin /= 2, end /= 2) {
      if (begin % 2 == 1) cover_[begin++].push_back(k);
      if (end % 2 == 1) cover_[--end].push_back(k);
    }
  }

  void collect(size_t k, std::vector<size_t>& out) const {
    const size_t first = at(buffers_[k].first);
    for (size_t node = first + leaves_; node > 0; node /= 2)
      out.insert(out.end(), cover_[node].begin(), cover_[node].end());
    for (size_t p = at(buffers_[k].first + 1); p < at(buffers_[k].last + 1); ++p) {
      if (placed_[by_first_[p]]) out.push_back(by_first_[p]);
    }
  }

 private:
  size_t at(int position) const {  // the first buffer that begins at `position` or later
    return static_cast<size_t>(std::lower_bound(firsts_.begin(), firsts_.end(), position) - firsts_.begin());
  }

  const std::vector<PlannedBuffer>& buffers_;
  std::vector<size_t> by_first_;
  std::vector<int> firsts_;
  size_t leaves_ = 1;
  std::vector<std::vector<size_t>> cover_;
  std::vector<bool> placed_;
};

// Places the buffers in this order, each at the lowest offset that is free during its life; the size of all.
int64_t place(const std::vector<size_t>& order, std::vector<PlannedBuffer>& buffers, Alive& alive) {
  int64_t total = 0;
  std::vector<size_t> others;
  alive.clear();
  for (size_t k : order) {
    int64_t size = align_up(buffers[k].bytes.value()), at = 0;
    others.clear();
    alive.collect(k, others);
    std::sort(others.begin(), others.end(),
              [&](size_t a, size_t b) { return buffers[a].offset.value() < buffers[b].offset.value(); });
    for (size_t other : others) {
      int64_t begin = buffers[other].offset.value(), end = begin + align_up(buffers[other].bytes.value());
      if (at + size <= begin) break;
      at = std::max(at, end);
    }
    buffers[k].offset = at;
    total = std::max(total, at + size);
    alive.add(k);
  }
  return total;
}

// Largest first, then, as long as something is lost, again with the buffer that ends last before all others.
int64_t place_fixed(std::vector<size_t> order, std::vector<PlannedBuffer>& buffers) {
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes.value() > buffers[b].bytes.value(); });
  const int64_t bound = memory_lower_bound(buffers);
  std::vector<size_t> best = order;
  Alive alive(order, buffers);
  int64_t least = place(order, buffers, alive);
  for (int attempt = 0; attempt < kAttempts && least > bound && !order.empty(); ++attempt) {
    auto end = [&](size_t k) { return buffers[k].offset.value() + align_up(buffers[k].bytes.value()); };
    auto last = std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) { return end(a) < end(b); });
    std::rotate(order.begin(), last, last + 1);
    const int64_t total = place(order, buffers, alive);
    if (total < least) least = total, best = order;
  }
  return place(best, buffers, alive);
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
    size_t tried = 0;
    for (Slot& s : slots) {
      if (s.free_after >= b.first) continue;
      if (s.bytes == b.bytes) {
        best = &s;
        break;
      }
      if (tried++ >= kMaxSlotsTried) continue;
      if (known_less_equal(b.bytes, s.bytes) && (!best || known_less(s.bytes, best->bytes))) best = &s;
    }
    if (!best) {
      slots.push_back({b.bytes, end, 0});
      best = &slots.back();
      // In a branch or a body, the check that an extent is not negative runs after the arena was made: a size below 0 must not
      // make it smaller than what others need.
      const Dim blocks = ceildiv(b.bytes, kArenaAlignment);
      end += (blocks.lower() < 0 ? max(blocks, 0) : blocks) * kArenaAlignment;
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
