/* The pattern of memory that nobody wrote, in builds and sessions that look for reads of it. */
#ifndef INGOT_POISON_H
#define INGOT_POISON_H

#include <stdint.h>

/* Eight bytes, little endian, repeated. Of two seeds that follow each other, one has zeros where the other has none: whatever
 * is read differs, as a number and as a condition. */
static inline uint64_t ingot_poison_word(uint64_t seed) {
  uint64_t x = seed + 0x9e3779b97f4a7c15u; /* splitmix64 */
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  uint64_t word = 0;
  for (int byte = 0; byte < 8; byte++)
    if ((seed + (uint64_t)byte) & 1) word |= ((x >> (8 * byte) & 0xff) | 0x11) << (8 * byte);
  return word;
}

#endif
