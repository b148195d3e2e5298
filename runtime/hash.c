/* BLAKE2b-256, RFC 7693, without key. The total is counted in 64 bits, which no file exceeds. */
#include "runtime/hash.h"

#include <string.h>

static const uint64_t kInit[8] = {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
                                  0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};

static const uint8_t kSigma[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

static inline uint64_t rotate(uint64_t x, int by) { return (x >> by) | (x << (64 - by)); }

#define MIX(a, b, c, d, x, y)       \
  do {                              \
    v[a] += v[b] + (x);             \
    v[d] = rotate(v[d] ^ v[a], 32); \
    v[c] += v[d];                   \
    v[b] = rotate(v[b] ^ v[c], 24); \
    v[a] += v[b] + (y);             \
    v[d] = rotate(v[d] ^ v[a], 16); \
    v[c] += v[d];                   \
    v[b] = rotate(v[b] ^ v[c], 63); \
  } while (0)

static void compress(ingot_hash* h, const uint8_t* block, int last) {
  uint64_t m[16], v[16];
  memcpy(m, block, sizeof m);
  for (int i = 0; i < 8; i++) v[i] = h->state[i], v[i + 8] = kInit[i];
  v[12] ^= h->total_bytes;
  if (last) v[14] = ~v[14];
  for (int r = 0; r < 12; r++) {
    const uint8_t* s = kSigma[r];
    MIX(0, 4, 8, 12, m[s[0]], m[s[1]]);
    MIX(1, 5, 9, 13, m[s[2]], m[s[3]]);
    MIX(2, 6, 10, 14, m[s[4]], m[s[5]]);
    MIX(3, 7, 11, 15, m[s[6]], m[s[7]]);
    MIX(0, 5, 10, 15, m[s[8]], m[s[9]]);
    MIX(1, 6, 11, 12, m[s[10]], m[s[11]]);
    MIX(2, 7, 8, 13, m[s[12]], m[s[13]]);
    MIX(3, 4, 9, 14, m[s[14]], m[s[15]]);
  }
  for (int i = 0; i < 8; i++) h->state[i] ^= v[i] ^ v[i + 8];
}

void ingot_hash_begin(ingot_hash* h) {
  memset(h, 0, sizeof *h);
  memcpy(h->state, kInit, sizeof kInit);
  h->state[0] ^= 0x01010000u ^ INGOT_HASH_BYTES;
}

void ingot_hash_add(ingot_hash* h, const void* data, size_t size) {
  const uint8_t* at = data;
  while (size) {
    /* A full block waits until more follows: the last one is compressed with another flag. */
    if (h->filled == 128) {
      h->total_bytes += 128;
      compress(h, h->block, 0);
      h->filled = 0;
    }
    if (h->filled == 0) {
      while (size > 128) {
        h->total_bytes += 128;
        compress(h, at, 0);
        at += 128;
        size -= 128;
      }
    }
    size_t part = 128 - h->filled < size ? 128 - h->filled : size;
    memcpy(h->block + h->filled, at, part);
    h->filled += part;
    at += part;
    size -= part;
  }
}

void ingot_hash_end(ingot_hash* h, uint8_t out[INGOT_HASH_BYTES]) {
  h->total_bytes += h->filled;
  memset(h->block + h->filled, 0, 128 - h->filled);
  compress(h, h->block, 1);
  memcpy(out, h->state, INGOT_HASH_BYTES);
}

void ingot_hash_of(const void* data, size_t size, uint8_t out[INGOT_HASH_BYTES]) {
  ingot_hash hash;
  ingot_hash_begin(&hash);
  ingot_hash_add(&hash, data, size);
  ingot_hash_end(&hash, out);
}
