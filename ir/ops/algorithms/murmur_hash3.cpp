// MurmurHash3_x86_32 (Austin Appleby, public domain) of each element's bytes: ints: the seed; result u32 or i32.
#include "ir/ops/algorithms/support.h"

using namespace ingot_alg;

namespace {

uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

uint32_t hash(const uint8_t* bytes, int64_t size, uint32_t seed) {
  uint32_t h = seed;
  auto mixed = [](uint32_t k) { return rotate(k * 0xcc9e2d51, 15) * 0x1b873593; };
  int64_t at = 0;
  for (; at + 4 <= size; at += 4) {
    uint32_t k = 0;
    for (int b = 3; b >= 0; --b) k = k << 8 | bytes[at + b];
    h = rotate(h ^ mixed(k), 13) * 5 + 0xe6546b64;
  }
  uint32_t tail = 0;
  for (int64_t b = size; b-- > at;) tail = tail << 8 | bytes[b];
  h ^= mixed(tail) ^ static_cast<uint32_t>(size);
  h = (h ^ h >> 16) * 0x85ebca6b;
  h = (h ^ h >> 13) * 0xc2b2ae35;
  return h ^ h >> 16;
}

}  // namespace

extern "C" int32_t ingot_alg_murmur_hash3(const ingot_call* call) {
  const ingot_tensor_view& x = call->operands[0];
  const int64_t n = elements(x);
  const auto seed = static_cast<uint32_t>(call->ints[0]);
  auto* y = result<uint32_t>(call, 0, n);
  if (!y) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    if (x.dtype == INGOT_STRING) {
      const ingot_string& s = static_cast<const ingot_string*>(x.data)[i];
      y[i] = hash(reinterpret_cast<const uint8_t*>(s.data), s.size, seed);
    } else {
      const int size = element_bytes(x.dtype);
      y[i] = hash(static_cast<const uint8_t*>(x.data) + i * size, size, seed);
    }
  }
  return INGOT_RUN_OK;
}
