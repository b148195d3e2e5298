/* Blocks in rings and free lists; one mutex, since algorithms allocate rarely and in large pieces. */
#include "runtime/memory.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/opencl.h"
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { kHead = 64 };
static const uint32_t kMarkLive = 0x1ea5ed01u, kMarkFree = 0xf7eeb10cu;
static const int64_t kHugePage = 2 << 20;
static const int64_t kSlack = 1 << 20; /* cached bytes that are not worth giving back */
static const int64_t kMaxBytes = (int64_t)1 << 44;

_Static_assert(sizeof(struct ingot_memory_block) <= kHead, "head");

void ingot_memory_init(struct ingot_memory* m, int64_t limit_bytes) {
  memset(m, 0, sizeof *m);
  pthread_mutex_init(&m->lock, NULL);
  m->limit_bytes = limit_bytes;
  m->live.next = m->live.previous = &m->live;
}

/* Rounds up to (4..7) << k bytes. */
static int size_class(int64_t size, int64_t* rounded) {
  if (size < 256) size = 256;
  int shift = 63 - __builtin_clzll((unsigned long long)size) - 2;
  int64_t units = (size + ((int64_t)1 << shift) - 1) >> shift;
  if (units == 8) units = 4, shift++;
  *rounded = units << shift;
  return (shift - 6) * 4 + (int)(units - 4);
}

static void* raw_allocate(struct ingot_memory* m, int64_t size) {
  if (m->device) return ingot_device_allocate(m->device, size);
  void* data = NULL;
  size_t align = size >= kHugePage ? (size_t)kHugePage : kMemoryAlign;
  if (posix_memalign(&data, align, (size_t)size)) return NULL;
#if defined(__linux__)
  if (size >= kHugePage) madvise(data, (size_t)size, MADV_HUGEPAGE);
#endif
  return data;
}

static void raw_free(struct ingot_memory* m, void* data) {
  if (m->device) ingot_device_release(m->device, data);
  else free(data);
}

static void drop_cached(struct ingot_memory* m) {
  for (int c = 0; c < kMemoryClasses; c++)
    for (struct ingot_memory_block* b = m->cached[c]; b;) {
      struct ingot_memory_block* next = b->next;
      m->held_bytes -= b->size_bytes;
      raw_free(m, b);
      b = next;
    }
  memset(m->cached, 0, sizeof m->cached);
  m->cached_bytes = 0;
}

void ingot_memory_destroy(struct ingot_memory* m) {
  ingot_memory_recycle(m);
  drop_cached(m);
  pthread_mutex_destroy(&m->lock);
}

static bool over_limit(struct ingot_memory* m, int64_t size) {
  if (!m->limit_bytes || m->held_bytes + size <= m->limit_bytes) return false;
  drop_cached(m);
  if (m->held_bytes + size <= m->limit_bytes) return false;
  m->limit_hit = true;
  return true;
}

void* ingot_memory_allocate(struct ingot_memory* m, int64_t size_bytes) {
  if (size_bytes < 0 || size_bytes > kMaxBytes) return NULL;
  int64_t size;
  int c = size_class(size_bytes + kHead, &size);
  pthread_mutex_lock(&m->lock);
  struct ingot_memory_block* b = m->cached[c];
  if (b) {
    m->cached[c] = b->next;
    m->cached_bytes -= size;
  } else {
    if (!over_limit(m, size)) {
      b = raw_allocate(m, size);
      if (!b) {
        drop_cached(m);
        b = raw_allocate(m, size);
      }
    }
    if (!b) {
      pthread_mutex_unlock(&m->lock);
      return NULL;
    }
    b->size_bytes = size;
    b->size_class = c;
    m->held_bytes += size;
  }
  b->mark = kMarkLive;
  b->next = m->live.next;
  b->previous = &m->live;
  b->next->previous = b;
  m->live.next = b;
  m->live_bytes += size;
  if (m->live_bytes > m->peak_bytes) m->peak_bytes = m->live_bytes;
  pthread_mutex_unlock(&m->lock);
  return (char*)b + kHead;
}

static void to_cache(struct ingot_memory* m, struct ingot_memory_block* b) {
  b->mark = kMarkFree;
  b->next->previous = b->previous;
  b->previous->next = b->next;
  b->previous = NULL;
  b->next = m->cached[b->size_class];
  m->cached[b->size_class] = b;
  m->live_bytes -= b->size_bytes;
  m->cached_bytes += b->size_bytes;
}

bool ingot_memory_release(struct ingot_memory* m, void* data) {
  if (!data) return true;
  struct ingot_memory_block* b = (struct ingot_memory_block*)((char*)data - kHead);
  pthread_mutex_lock(&m->lock);
  bool live = b->mark == kMarkLive;
  if (live) to_cache(m, b);
  pthread_mutex_unlock(&m->lock);
  return live;
}

void ingot_memory_recycle(struct ingot_memory* m) {
  pthread_mutex_lock(&m->lock);
  while (m->live.next != &m->live) to_cache(m, m->live.next);
  if (m->cached_bytes > 2 * m->peak_bytes + kSlack) drop_cached(m);
  m->peak_bytes = 0;
  m->limit_hit = false;
  pthread_mutex_unlock(&m->lock);
}

void* ingot_memory_reserve(struct ingot_memory* m, int64_t size_bytes) {
  if (size_bytes < 0 || size_bytes > kMaxBytes) return NULL;
  int64_t size = size_bytes ? size_bytes : 1;
  pthread_mutex_lock(&m->lock);
  void* data = over_limit(m, size) ? NULL : raw_allocate(m, size);
  if (data) m->held_bytes += size;
  pthread_mutex_unlock(&m->lock);
  if (data) memset(data, 0, (size_t)size);
  return data;
}

void ingot_memory_unreserve(struct ingot_memory* m, void* data, int64_t size_bytes) {
  if (!data) return;
  pthread_mutex_lock(&m->lock);
  m->held_bytes -= size_bytes ? size_bytes : 1;
  raw_free(m, data);
  pthread_mutex_unlock(&m->lock);
}
