/* Blocks in rings and free lists; one mutex, since algorithms allocate rarely and in large pieces. */
#include "runtime/memory.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/opencl.h"
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

enum { kHead = 64 };
static const uint32_t kMarkLive = 0x1ea5ed01u, kMarkFree = 0xf7eeb10cu;
static const int64_t kHugePage = 2 << 20;
static const int64_t kSlack = 1 << 20; /* cached bytes that are not worth giving back */
static const int64_t kMaxBytes = (int64_t)1 << 44;

_Static_assert(sizeof(struct ingot_memory_block) <= kHead, "head");

void ingot_memory_init(struct ingot_memory* m, int64_t limit_bytes, bool guard, uint64_t poison) {
  memset(m, 0, sizeof *m);
  pthread_mutex_init(&m->lock, NULL);
  m->limit_bytes = limit_bytes;
  m->guard = guard;
  m->poison = poison;
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

#if defined(__linux__)
/* One unreadable page, bytes of kCanary, the memory, less than kGuardAlign bytes of kCanary, one unreadable page. */
enum { kGuardAlign = 16, kCanary = 0xcb };

static int64_t page_bytes(void) { return sysconf(_SC_PAGESIZE); }
static int64_t guarded_bytes(int64_t size) {
  int64_t page = page_bytes();
  return (size + kGuardAlign - 1 + page - 1) / page * page;
}

static void* guarded_allocate(int64_t size) {
  int64_t page = page_bytes(), inner = guarded_bytes(size);
  char* all = mmap(NULL, (size_t)(inner + 2 * page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return NULL;
  char *begin = all + page, *end = begin + inner;
  if (inner && mprotect(begin, (size_t)inner, PROT_READ | PROT_WRITE)) {
    munmap(all, (size_t)(inner + 2 * page));
    return NULL;
  }
  char* data = (char*)((uintptr_t)(end - size) & ~(uintptr_t)(kGuardAlign - 1));
  memset(begin, kCanary, (size_t)(data - begin));
  memset(data + size, kCanary, (size_t)(end - data - size));
  return data;
}

static char* guarded_end(const void* data, int64_t size) {
  int64_t page = page_bytes();
  return (char*)(((uintptr_t)data + (uintptr_t)size + (uintptr_t)page - 1) & ~(uintptr_t)(page - 1));
}

static bool guarded_intact(const void* data, int64_t size) {
  const char *end = guarded_end(data, size), *begin = end - guarded_bytes(size);
  for (const char* p = begin; p < (const char*)data; p++)
    if (*(const unsigned char*)p != kCanary) return false;
  for (const char* p = (const char*)data + size; p < end; p++)
    if (*(const unsigned char*)p != kCanary) return false;
  return true;
}

static void guarded_free(void* data, int64_t size) {
  int64_t page = page_bytes(), inner = guarded_bytes(size);
  munmap(guarded_end(data, size) - inner - page, (size_t)(inner + 2 * page));
}
#else
static void* guarded_allocate(int64_t size) { return (void)size, NULL; }
static bool guarded_intact(const void* data, int64_t size) { return (void)data, (void)size, true; }
static void guarded_free(void* data, int64_t size) { (void)data, (void)size; }
#endif

void ingot_memory_poison(const struct ingot_memory* m, void* data, int64_t size) {
  if (!m->poison) return;
  int64_t k = 0;
  for (; k + (int64_t)sizeof m->poison <= size; k += (int64_t)sizeof m->poison)
    memcpy((char*)data + k, &m->poison, sizeof m->poison);
  memcpy((char*)data + k, &m->poison, (size_t)(size - k));
}

static void* raw_allocate(struct ingot_memory* m, int64_t size) {
  if (m->device) return ingot_device_allocate(m->device, size);
  if (m->guard) return guarded_allocate(size);
  void* data = NULL;
  size_t align = size >= kHugePage ? (size_t)kHugePage : kMemoryAlign;
  if (posix_memalign(&data, align, (size_t)size)) return NULL;
#if defined(__linux__)
  if (size >= kHugePage) madvise(data, (size_t)size, MADV_HUGEPAGE);
#endif
  return data;
}

static void raw_free(struct ingot_memory* m, void* data, int64_t size) {
  if (m->device) {
    ingot_device_release(m->device, data);
  } else if (m->guard) {
    m->damaged |= !guarded_intact(data, size);
    guarded_free(data, size);
  } else {
    free(data);
  }
}

static void drop_cached(struct ingot_memory* m) {
  for (int c = 0; c < kMemoryClasses; c++)
    for (struct ingot_memory_block* b = m->cached[c]; b;) {
      struct ingot_memory_block* next = b->next;
      m->held_bytes -= b->size_bytes;
      raw_free(m, b, b->size_bytes);
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
  if (m->guard) size = size_bytes + kHead;
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
  ingot_memory_poison(m, (char*)b + kHead, size_bytes);
  return (char*)b + kHead;
}

static void to_cache(struct ingot_memory* m, struct ingot_memory_block* b) {
  b->mark = kMarkFree;
  b->next->previous = b->previous;
  b->previous->next = b->next;
  m->live_bytes -= b->size_bytes;
  if (m->guard) {
    m->held_bytes -= b->size_bytes;
    raw_free(m, b, b->size_bytes);
    return;
  }
  b->previous = NULL;
  b->next = m->cached[b->size_class];
  m->cached[b->size_class] = b;
  m->cached_bytes += b->size_bytes;
}

bool ingot_memory_intact(struct ingot_memory* m) {
  if (!m->guard || m->device) return true;
  pthread_mutex_lock(&m->lock);
  bool intact = !m->damaged;
  for (struct ingot_memory_block* b = m->live.next; b != &m->live; b = b->next)
    intact = intact && guarded_intact(b, b->size_bytes);
  m->damaged = false;
  pthread_mutex_unlock(&m->lock);
  return intact;
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

bool ingot_memory_reserved_intact(const struct ingot_memory* m, const void* data, int64_t size_bytes) {
  return !m->guard || m->device || !data || guarded_intact(data, size_bytes ? size_bytes : 1);
}

void* ingot_memory_reserve(struct ingot_memory* m, int64_t size_bytes) {
  if (size_bytes < 0 || size_bytes > kMaxBytes) return NULL;
  int64_t size = size_bytes ? size_bytes : 1;
  pthread_mutex_lock(&m->lock);
  void* data = over_limit(m, size) ? NULL : raw_allocate(m, size);
  if (data) m->held_bytes += size;
  pthread_mutex_unlock(&m->lock);
  if (data) memset(data, 0, (size_t)size);
  if (data) ingot_memory_poison(m, data, size);
  return data;
}

void ingot_memory_unreserve(struct ingot_memory* m, void* data, int64_t size_bytes) {
  if (!data) return;
  pthread_mutex_lock(&m->lock);
  m->held_bytes -= size_bytes ? size_bytes : 1;
  raw_free(m, data, size_bytes ? size_bytes : 1);
  pthread_mutex_unlock(&m->lock);
}
