// See machine_peak.h. Register arithmetic: 24 independent accumulators hide the latency of FMA (4 cycles, 2 ports). Memory:
// sums over kBufferBytes per thread.
#include "tools/driver/machine_peak.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
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
constexpr double kSeconds = 0.1;
constexpr size_t kBufferBytes = size_t{256} << 20;

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

using Fma = double (*)(float*);

Fma best_fma(std::string& name) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return name = "AVX-512", fma_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return name = "AVX2", fma_avx2;
#endif
  name = "generic";
  return fma_generic;
}

// Runs work() on all threads for kSeconds; the sum of what it returns per second.
template <class F>
double rate(int threads, const F& work) {
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
      } while (now - start < kSeconds);
      rates[static_cast<size_t>(t)] = done / (now - start);
    });
  }
  for (std::thread& t : pool) t.join();
  double sum = 0;
  for (double r : rates) sum += r;
  return sum;
}

}  // namespace

MachinePeak measure_peak(int threads) {
  MachinePeak peak;
  const Fma fma = best_fma(peak.instructions);
  std::vector<float> sinks(static_cast<size_t>(threads) * 16, 1.0f);
  peak.gflops = rate(threads, [&](int t) { return fma(&sinks[static_cast<size_t>(t) * 16]); }) / 1e9;

  std::vector<std::vector<uint64_t>> buffers(static_cast<size_t>(threads));
  const size_t words = kBufferBytes / static_cast<size_t>(threads) / 8 / 8 * 8;
  for (auto& b : buffers) b.assign(words, 1);
  std::vector<uint64_t> sums(static_cast<size_t>(threads) * 8, 0);
  peak.gbytes_per_s = rate(threads,
                           [&](int t) {
                             uint64_t s[8] = {};
                             const std::vector<uint64_t>& b = buffers[static_cast<size_t>(t)];
                             for (size_t i = 0; i < b.size(); i += 8)
                               for (size_t l = 0; l < 8; ++l) s[l] += b[i + l];
                             for (size_t l = 1; l < 8; ++l) s[0] += s[l];
                             reinterpret_cast<volatile uint64_t&>(sums[static_cast<size_t>(t) * 8]) = s[0];
                             return static_cast<double>(b.size() * 8);
                           }) /
                      1e9;
  return peak;
}

}  // namespace ingot::driver
