/* The four memory functions that code generators call without being asked. Part of an image only where something refers
 * to them. Compiled without builtins, so that they do not become calls to themselves. */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t __attribute__((aligned(1), may_alias)) word;

__attribute__((visibility("hidden"))) void* memcpy(void* restrict to, const void* restrict from, size_t n) {
  unsigned char* d = to;
  const unsigned char* s = from;
  for (; n >= 32; n -= 32, d += 32, s += 32) {
    word a = ((const word*)s)[0], b = ((const word*)s)[1], c = ((const word*)s)[2], e = ((const word*)s)[3];
    ((word*)d)[0] = a, ((word*)d)[1] = b, ((word*)d)[2] = c, ((word*)d)[3] = e;
  }
  for (; n >= 8; n -= 8, d += 8, s += 8) *(word*)d = *(const word*)s;
  for (; n; --n) *d++ = *s++;
  return to;
}

__attribute__((visibility("hidden"))) void* memmove(void* to, const void* from, size_t n) {
  unsigned char* d = to;
  const unsigned char* s = from;
  if ((uintptr_t)d - (uintptr_t)s >= n) {
    for (; n >= 8; n -= 8, d += 8, s += 8) *(word*)d = *(const word*)s;
    for (; n; --n) *d++ = *s++;
    return to;
  }
  for (d += n, s += n; n >= 8; n -= 8) {
    d -= 8, s -= 8;
    *(word*)d = *(const word*)s;
  }
  for (; n; --n) *--d = *--s;
  return to;
}

__attribute__((visibility("hidden"))) void* memset(void* to, int value, size_t n) {
  unsigned char* d = to;
  uint64_t v = 0x0101010101010101u * (unsigned char)value;
  for (; n >= 8; n -= 8, d += 8) *(word*)d = v;
  for (; n; --n) *d++ = (unsigned char)value;
  return to;
}

__attribute__((visibility("hidden"))) int memcmp(const void* a, const void* b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (; n; --n, ++x, ++y)
    if (*x != *y) return *x < *y ? -1 : 1;
  return 0;
}

__attribute__((visibility("hidden"))) int bcmp(const void* a, const void* b, size_t n) { return memcmp(a, b, n); }

__attribute__((visibility("hidden"))) size_t strlen(const char* s) {
  size_t n = 0;
  while (s[n]) ++n;
  return n;
}
