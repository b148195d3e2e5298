#include "tests/runtime/inside.h"

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
void ingot_pool_start(void);
int32_t ingot_parallel(const ingot_parallel_options* options, ingot_range_fn body, void* data, int64_t count,
                       int64_t grain);
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
  ingot_parallel(&options, body, &seen, count, grain);
  return seen.ranges;
}

std::vector<int> parallel_visits(int64_t count, int64_t grain, int32_t threads) {
  std::vector<int> visits(count);
  for (auto [begin, end] : parallel_ranges(count, grain, threads))
    for (int64_t i = begin; i < end; i++) visits[i]++;
  return visits;
}

}  // namespace ingot::test
