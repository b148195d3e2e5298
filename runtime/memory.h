/* Memory of a session: blocks that compiled code asks for, kept and reused from run to run, counted against a limit.
 *
 * Blocks come in four sizes per power of two, so that runs of similar shapes find the blocks of the last one; what the
 * last run did not need is given back when it is more than what it used. */
#ifndef INGOT_MEMORY_H
#define INGOT_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { kMemoryAlign = 64, kMemoryClasses = 4 * 40 };

struct ingot_device;
struct ingot_memory_block {
  struct ingot_memory_block *next, *previous;
  int64_t size_bytes;   /* of the whole block, this head included */
  int32_t size_class;
  uint32_t mark;        /* kMarkLive while compiled code holds it */
};

struct ingot_memory {
  pthread_mutex_t lock;
  struct ingot_device* device; /* null, or: blocks are memory that this device sees */
  int64_t limit_bytes;  /* 0: none */
  bool guard;           /* exact sizes between unreadable pages, nothing cached; see INGOT_SESSION_GUARD */
  bool damaged;         /* with guard: bytes beside a block that was released had changed */
  uint64_t poison;      /* 0, or: what memory holds at first (poison.h) */
  int64_t held_bytes;   /* blocks and what else was counted */
  int64_t live_bytes, peak_bytes, cached_bytes;
  atomic_bool limit_hit;
  struct ingot_memory_block live;  /* head of a ring */
  struct ingot_memory_block* cached[kMemoryClasses];
};

void ingot_memory_init(struct ingot_memory* memory, int64_t limit_bytes, bool guard, uint64_t poison);
void ingot_memory_destroy(struct ingot_memory* memory);
/* Null: no memory, or over the limit (then limit_hit). 64-byte aligned; size 0 gives a pointer too. */
void* ingot_memory_allocate(struct ingot_memory* memory, int64_t size_bytes);
/* False: not a live block of this memory. */
bool ingot_memory_release(struct ingot_memory* memory, void* data);
/* Every live block becomes free for the next run. */
void ingot_memory_recycle(struct ingot_memory* memory);
/* With guard: whether nobody wrote beside any block, released ones included; beside one piece of long-lived memory. */
bool ingot_memory_intact(struct ingot_memory* memory);
bool ingot_memory_reserved_intact(const struct ingot_memory* memory, const void* data, int64_t size_bytes);
/* Fills memory with the pattern, where there is one. */
void ingot_memory_poison(const struct ingot_memory* memory, void* data, int64_t size_bytes);
/* Long-lived memory that counts: arena, outputs, copies of inputs. Zeroed, or poisoned. */
void* ingot_memory_reserve(struct ingot_memory* memory, int64_t size_bytes);
void ingot_memory_unreserve(struct ingot_memory* memory, void* data, int64_t size_bytes);

#endif
