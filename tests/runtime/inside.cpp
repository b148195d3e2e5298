#include "tests/runtime/inside.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>

#include "runtime/ingot.h"

// From runtime/internal.h, which is C11 with atomics that C++20 does not read.
extern "C" {
typedef int32_t (*ingot_range_fn)(void* data, int64_t begin, int64_t end);
struct ingot_parallel_options {
  int32_t threads;
  bool flush_denormals;
  ingot_parallel_for_fn parallel_for;
  void* user;
};
struct ingot_part {
  void* data;
  int64_t count, grain, cost;
};
void ingot_pool_start(void);
int64_t ingot_current_range(void);
int32_t ingot_parallel(const ingot_parallel_options* options, ingot_range_fn body, const ingot_part* parts,
                       int32_t part_count);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
namespace {
std::atomic<int64_t> allocation_count;
}
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t size) { return allocation_count++, __libc_malloc(size); }
void* calloc(size_t n, size_t size) { return allocation_count++, __libc_calloc(n, size); }
void* realloc(void* p, size_t size) { return allocation_count++, __libc_realloc(p, size); }
void* memalign(size_t align, size_t size) { return allocation_count++, __libc_memalign(align, size); }
void* aligned_alloc(size_t align, size_t size) { return allocation_count++, __libc_memalign(align, size); }
int posix_memalign(void** out, size_t align, size_t size) {
  allocation_count++;
  *out = __libc_memalign(align, size);
  return *out ? 0 : ENOMEM;
}
}
#endif

namespace ingot::test {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
int64_t allocations() { return allocation_count; }
#endif

std::vector<std::pair<int64_t, int64_t>> parallel_ranges(int64_t count, int64_t grain, int32_t threads) {
  struct Seen {
    std::mutex lock;
    std::vector<std::pair<int64_t, int64_t>> ranges;
  } seen;
  ingot_pool_start();
  ingot_parallel_options options = {threads, false, nullptr, nullptr};
  auto body = [](void* data, int64_t begin, int64_t end) {
    auto& seen = *static_cast<Seen*>(data);
    std::lock_guard hold(seen.lock);
    seen.ranges.emplace_back(begin, end);
    return int32_t{0};
  };
  ingot_part part = {&seen, count, grain, 1};
  ingot_parallel(&options, body, &part, 1);
  return seen.ranges;
}

std::vector<Visit> group_visits(const std::vector<Part>& parts, int32_t threads, const std::vector<int>& failing,
                                int32_t* status) {
  struct Shared {
    std::mutex lock;
    std::vector<Visit> visits;
  } shared;
  struct Own {
    Shared* shared;
    int part;
    bool fails;
  };
  std::vector<Own> own;
  std::vector<ingot_part> given;
  for (size_t k = 0; k < parts.size(); k++)
    own.push_back({&shared, static_cast<int>(k), std::find(failing.begin(), failing.end(), k) != failing.end()});
  for (size_t k = 0; k < parts.size(); k++) given.push_back({&own[k], parts[k].count, parts[k].grain, parts[k].cost});
  ingot_pool_start();
  ingot_parallel_options options = {threads, false, nullptr, nullptr};
  auto body = [](void* data, int64_t begin, int64_t end) {
    auto& o = *static_cast<Own*>(data);
    std::lock_guard hold(o.shared->lock);
    o.shared->visits.push_back({o.part, begin, end, ingot_current_range(), std::this_thread::get_id()});
    return o.fails ? o.part + 1 : int32_t{0};
  };
  int32_t result = ingot_parallel(&options, body, given.data(), static_cast<int32_t>(given.size()));
  if (status) *status = result;
  return shared.visits;
}

std::vector<int> parallel_visits(int64_t count, int64_t grain, int32_t threads) {
  std::vector<int> visits(count);
  for (auto [begin, end] : parallel_ranges(count, grain, threads))
    for (int64_t i = begin; i < end; i++) visits[i]++;
  return visits;
}

}  // namespace ingot::test
