// See machine_peak.h. Register arithmetic: 24 independent accumulators hide the latency of FMA (4 cycles, 2 ports). Memory:
// sums over buffers of many sizes, in the widest vectors there are.
#include "tools/driver/machine_peak.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tools/driver/text.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ingot::driver {

namespace {

constexpr int kAccumulators = 24;
constexpr int64_t kSteps = 20000;
constexpr double kSeconds = 0.02;
constexpr int kTries = 4;  // the best counts
constexpr size_t kLargePage = 2 << 20;
constexpr size_t kAhead = 512;  // words; what compiled kernels fetch in advance
constexpr double kLevelSeconds = 0.01;
constexpr double kLeastBytes = 16 << 10;  // of a thread; twice as many, and so on, are measured
constexpr int64_t kMemoryBytes = int64_t{256} << 20;  // of all threads; larger than caches
constexpr int64_t kGuessedCaches[] = {32 << 10, 1 << 20, 8 << 20};  // where the system does not tell

// Each returns the floating-point operations done; `sink` keeps the work alive.
#if defined(__x86_64__)
__attribute__((target("avx512f"))) double fma_avx512(float* sink) {
  __m512 acc[kAccumulators];
  for (auto& a : acc) a = _mm512_set1_ps(*sink);
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 24
    for (auto& a : acc) a = _mm512_fmadd_ps(a, x, y);
  for (int i = 1; i < kAccumulators; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  float lanes[16];
  _mm512_storeu_ps(lanes, acc[0]);
  *sink = lanes[0];
  return 2.0 * 16 * kAccumulators * kSteps;
}
constexpr int kAccumulators256 = 12;  // sixteen registers
__attribute__((target("avx2,fma"))) double fma_avx2(float* sink) {
  __m256 acc[kAccumulators256];
  for (auto& a : acc) a = _mm256_set1_ps(*sink);
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (auto& a : acc) a = _mm256_fmadd_ps(a, x, y);
  for (int i = 1; i < kAccumulators256; ++i) acc[0] = _mm256_add_ps(acc[0], acc[i]);
  float lanes[8];
  _mm256_storeu_ps(lanes, acc[0]);
  *sink = lanes[0];
  return 2.0 * 8 * kAccumulators256 * kSteps;
}
#endif

double fma_generic(float* sink) {
  constexpr int kLanes = 4;
  float acc[12][kLanes];
  for (auto& a : acc)
    for (float& l : a) l = *sink;
  for (int64_t i = 0; i < kSteps; ++i)
    for (auto& a : acc)
      for (float& l : a) l = l * 0.999f + 0.001f;
  for (auto& a : acc) *sink += a[0];
  return 2.0 * kLanes * 12 * kSteps;
}

// The sum of words [0, count), count a multiple of 64.
uint64_t sum_generic(const uint64_t* data, size_t count) {
  uint64_t s[8] = {};
  for (size_t i = 0; i < count; i += 8)
    for (size_t l = 0; l < 8; ++l) s[l] += data[i + l];
  for (size_t l = 1; l < 8; ++l) s[0] += s[l];
  return s[0];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) uint64_t sum_avx512(const uint64_t* data, size_t count) {
  __m512i s[8] = {};
  for (size_t i = 0; i < count; i += 64)
#pragma GCC unroll 8
    for (size_t l = 0; l < 8; ++l)
      __builtin_prefetch(data + i + kAhead + l * 8), s[l] = _mm512_add_epi64(s[l], _mm512_load_si512(data + i + l * 8));
  for (size_t l = 1; l < 8; ++l) s[0] = _mm512_add_epi64(s[0], s[l]);
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, s[0]);
  return sum_generic(lanes, 8);
}
__attribute__((target("avx2"))) uint64_t sum_avx2(const uint64_t* data, size_t count) {
  __m256i s[8] = {};
  for (size_t i = 0; i < count; i += 32)
#pragma GCC unroll 8
    for (size_t l = 0; l < 8; ++l)
      __builtin_prefetch(data + i + kAhead + l * 4),
          s[l] = _mm256_add_epi64(s[l], _mm256_load_si256(reinterpret_cast<const __m256i*>(data + i + l * 4)));
  for (size_t l = 1; l < 8; ++l) s[0] = _mm256_add_epi64(s[0], s[l]);
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), s[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
#endif

using Sum = uint64_t (*)(const uint64_t*, size_t);

Sum best_sum() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return sum_avx512;
  if (__builtin_cpu_supports("avx2")) return sum_avx2;
#endif
  return sum_generic;
}

using Fma = double (*)(float*);

Fma best_fma(std::string& name) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return name = "AVX-512", fma_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return name = "AVX2", fma_avx2;
#endif
  name = "generic";
  return fma_generic;
}

// Runs work() on all threads for so many seconds; the sum of what it returns per second.
template <class F>
double rate(int threads, double seconds, const F& work) {
  std::vector<double> rates(static_cast<size_t>(threads), 0);
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      double done = 0;
      const double start = now_seconds();
      double now = start;
      do {
        done += work(t);
        now = now_seconds();
      } while (now - start < seconds);
      rates[static_cast<size_t>(t)] = done / (now - start);
    });
  }
  for (std::thread& t : pool) t.join();
  double sum = 0;
  for (double r : rates) sum += r;
  return sum;
}

}  // namespace

const MachinePeak::Level& MachinePeak::level_of(double bytes) const {
  for (const Level& l : levels)
    if (bytes <= static_cast<double>(l.bytes)) return l;
  return levels.back();
}

double MachinePeak::gbytes_per_s(double bytes) const {
  if (points.empty()) return 0;
  if (bytes <= points.front().bytes) return points.front().gbytes_per_s;
  for (size_t k = 1; k < points.size(); ++k) {
    const Point &a = points[k - 1], &b = points[k];
    if (bytes > b.bytes) continue;
    const double part = std::log(bytes / a.bytes) / std::log(b.bytes / a.bytes);
    return a.gbytes_per_s + part * (b.gbytes_per_s - a.gbytes_per_s);
  }
  return points.back().gbytes_per_s;
}

MachinePeak best_of(MachinePeak a, const MachinePeak& b) {
  a.gflops = std::max(a.gflops, b.gflops);
  for (size_t k = 0; k < std::min(a.levels.size(), b.levels.size()); ++k)
    a.levels[k].gbytes_per_s = std::max(a.levels[k].gbytes_per_s, b.levels[k].gbytes_per_s);
  for (size_t k = 0; k < std::min(a.points.size(), b.points.size()); ++k)
    a.points[k].gbytes_per_s = std::max(a.points[k].gbytes_per_s, b.points[k].gbytes_per_s);
  return a;
}

MachinePeak measure_peak(int threads) {
  MachinePeak peak;
  const Fma fma = best_fma(peak.instructions);
  std::vector<float> sinks(static_cast<size_t>(threads) * 16, 1.0f);
  for (int k = 0; k < kTries; ++k)
    peak.gflops = std::max(
        peak.gflops, rate(threads, kSeconds, [&](int t) { return fma(&sinks[static_cast<size_t>(t) * 16]); }) / 1e9);

  int64_t caches[] = {sysconf(_SC_LEVEL1_DCACHE_SIZE), sysconf(_SC_LEVEL2_CACHE_SIZE), sysconf(_SC_LEVEL3_CACHE_SIZE)};
  for (size_t k = 0; k < 3; ++k)
    if (caches[k] <= 0) caches[k] = kGuessedCaches[k];
  peak.levels = {{"L1", caches[0] * threads}, {"L2", caches[1] * threads}, {"L3", caches[2]}, {"memory", INT64_MAX}};

  const Sum sum = best_sum();
  struct alignas(64) Line {
    uint64_t words[8];
  };
  const size_t own_lines = static_cast<size_t>(kMemoryBytes / threads) / sizeof(Line) / 8 * 8;
  std::vector<std::unique_ptr<Line, void (*)(void*)>> buffers;
  std::vector<Line> sums(static_cast<size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    const size_t size = (own_lines * sizeof(Line) + kLargePage - 1) / kLargePage * kLargePage;
    buffers.emplace_back(static_cast<Line*>(std::aligned_alloc(kLargePage, size)), std::free);
    if (!buffers.back()) return peak;
    madvise(buffers.back().get(), size, MADV_HUGEPAGE);  // a yardstick does not wait for small pages
    std::fill_n(buffers.back().get(), own_lines, Line{{1}});
  }
  for (double bytes = kLeastBytes * threads; bytes <= static_cast<double>(kMemoryBytes); bytes *= 2) {
    const size_t lines = std::max<size_t>(static_cast<size_t>(bytes / threads) / sizeof(Line) / 8, 1) * 8;
    const int64_t repeats = std::max<int64_t>(1, (int64_t{1} << 20) / static_cast<int64_t>(lines * sizeof(Line)));
    double best = 0;
    for (int k = 0; k < kTries; ++k) {
      best = std::max(best, rate(threads, kLevelSeconds, [&](int t) {
                        const size_t own = static_cast<size_t>(t);
                        for (int64_t r = 0; r < repeats; ++r) {
                          volatile uint64_t& sink = sums[own].words[0];
                          sink = sink + sum(buffers[own]->words, lines * 8);
                        }
                        return static_cast<double>(static_cast<int64_t>(lines * sizeof(Line)) * repeats);
                      }));
    }
    peak.points.push_back({bytes, best / 1e9});
  }
  // A virtual machine may tell of an L3 that it has only a part of: of a level, data of half of its size count.
  for (MachinePeak::Level& level : peak.levels)
    level.gbytes_per_s = peak.gbytes_per_s(level.name == "memory" ? static_cast<double>(kMemoryBytes)
                                                                  : static_cast<double>(level.bytes) / 2);
  return peak;
}

}  // namespace ingot::driver
