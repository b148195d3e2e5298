/* The pool: one per process, shared by all sessions.
 *
 * A parallel loop is a job on its caller's stack, in a list that workers look through. Its ranges are split evenly among
 * the threads, in order, so that a thread meets the same weights in every step of a recurrence, and in the next kernel
 * the rows that it wrote in this one. Who has finished its own share goes on with the others'. The caller works too, so
 * that a loop never waits for a worker to wake up, and a process without workers (a child after fork) still gets its
 * result. A woken worker costs 14-40 us, one that spins 0.2 us: workers
 * spin for a bounded time after their last job, then sleep. When other processes take the cores, spinning is what
 * collapses, so that everything that waits gives up its core soon.
 *
 * A job has parts: launches that do not need each other. Their ranges follow each other as if they were one loop, of the time
 * that their items are estimated to take; what is not worth splitting by itself runs beside the rest.
 *
 * Ranges do not depend on which thread runs them, and the error of the lowest range wins, so that results do not depend
 * on the number of threads. Loops inside loops run inline. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/internal.h"

enum {
  kStackBytes = 1 << 20, /* of a worker, whatever the C library's default; kernels take up to half of it */
  kMaxThreads = 1024,
  kRangesPerThread = 4,      /* evens out threads that lose their core for a while */
  kSpinNs = 50 * 1000,       /* a worker, for the next job */
  kJoinSpinNs = 20 * 1000,   /* a caller, for the workers in its job */
  kMaxRanges = 8192,
  kMaxShares = 64,           /* more threads begin with the ranges of another one */
  kLeastPartsPs = 2500000    /* parts that take less together are not worth a thread */
};

/* Ranges [next, end) are left of one thread's share. */
struct share {
  _Alignas(64) _Atomic int64_t next;
  int64_t end;
};

struct job {
  ingot_range_fn body;
  const struct ingot_part* parts;
  int32_t part_count;
  int64_t step[INGOT_MAX_GROUP], end[INGOT_MAX_GROUP]; /* items of a range; the part's last range, exclusive */
  struct share* shares;
  int32_t share_count;
  _Atomic int64_t unbegun;   /* ranges */
  _Atomic int32_t inside;    /* changed under the pool's lock, as all below */
  int32_t helpers_wanted;
  bool waiting;
  pthread_cond_t left;
  bool flush_denormals;
  pthread_mutex_t failure_lock;
  int64_t failed_at;
  int32_t status;
  struct job *next_job, *previous_job;
};

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct job* jobs;
  int32_t workers, sleeping, spinning;
  int32_t threads;           /* workers + 1; 0: not started */
  bool fork_handler;
  _Atomic uint32_t posted;   /* counts jobs; spinning workers watch it */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local int64_t current_range = -1;
static _Thread_local bool in_parallel;

int64_t ingot_current_range(void) { return current_range; }

static inline void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

uint64_t ingot_float_mode_enter(bool flush) {
#if defined(__x86_64__)
  uint32_t saved = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x1f80u | (flush ? 0x8040u : 0));
  return saved;
#elif defined(__aarch64__)
  uint64_t saved, mode = flush ? 1u << 24 | 1u << 19 : 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  __asm__ volatile("msr fpcr, %0" ::"r"(mode));
  return saved;
#else
  (void)flush;
  return 0;
#endif
}

void ingot_float_mode_leave(uint64_t saved) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((uint32_t)saved);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" ::"r"(saved));
#else
  (void)saved;
#endif
}

static bool read_line(const char* path, char* out, size_t size) {
  FILE* in = fopen(path, "r");
  if (!in) return false;
  bool ok = fgets(out, (int)size, in) != NULL;
  fclose(in);
  return ok;
}

/* CPUs that the container may use, rounded up; 0: no quota. cgroup v2, then v1. */
static int32_t quota_threads(void) {
  char line[1024], path[1200];
  long long quota, period;
  FILE* groups = fopen("/proc/self/cgroup", "r");
  char own[1024] = "";
  while (groups && fgets(line, sizeof line, groups)) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "0::", 3)) snprintf(own, sizeof own, "%s", line + 3);
  }
  if (groups) fclose(groups);
  int64_t best = 0;
  /* Every level up to the root may have a quota. */
  for (;;) {
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", own);
    if (read_line(path, line, sizeof line) && sscanf(line, "%lld %lld", &quota, &period) == 2 && quota > 0 &&
        period > 0) {
      int64_t cpus = (quota + period - 1) / period;
      if (!best || cpus < best) best = cpus;
    }
    char* slash = strrchr(own, '/');
    if (!slash) break;
    *slash = 0;
  }
  if (!best && read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof line) &&
      sscanf(line, "%lld", &quota) == 1 && quota > 0 &&
      read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", line, sizeof line) && sscanf(line, "%lld", &period) == 1 &&
      period > 0)
    best = (quota + period - 1) / period;
  return best > kMaxThreads ? kMaxThreads : (int32_t)best;
}

static int32_t wanted_threads(void) {
  const char* env = getenv("INGOT_NUM_THREADS");
  if (env && *env) {
    long n = strtol(env, NULL, 10);
    if (n >= 1) return n > kMaxThreads ? kMaxThreads : (int32_t)n;
  }
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
  cpu_set_t set;
  if (!sched_getaffinity(0, sizeof set, &set)) cpus = CPU_COUNT(&set);
#endif
  int32_t quota = quota_threads();
  if (quota && quota < cpus) cpus = quota;
  return cpus < 1 ? 1 : cpus > kMaxThreads ? kMaxThreads : (int32_t)cpus;
}

static void run_range(struct job* j, int64_t i) {
  atomic_fetch_sub_explicit(&j->unbegun, 1, memory_order_relaxed);
  int32_t k = 0;
  int64_t before = 0; /* items of the parts before this one */
  for (; i >= j->end[k]; k++) before += j->parts[k].count > 0 ? j->parts[k].count : 0;
  const struct ingot_part* p = &j->parts[k];
  const int64_t step = j->step[k], begin = (i - (k ? j->end[k - 1] : 0)) * step;
  const int64_t end = p->count - begin > step ? begin + step : p->count;
  current_range = before + begin;
  int32_t status = j->body(p->data, begin, end);
  if (!status) return;
  pthread_mutex_lock(&j->failure_lock);
  if (!j->status || i < j->failed_at) j->status = status, j->failed_at = i;
  pthread_mutex_unlock(&j->failure_lock);
}

/* The share of thread `first`, then what is left of the others'. */
static void run_ranges(struct job* j, int32_t first) {
  for (int32_t k = 0; k < j->share_count; k++) {
    struct share* s = &j->shares[(first + k) % j->share_count];
    int64_t i;
    while ((i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->end) run_range(j, i);
  }
  current_range = -1;
}

static struct job* find_job(void) {
  for (struct job* j = pool.jobs; j; j = j->next_job)
    if (j->helpers_wanted > 0 && atomic_load_explicit(&j->unbegun, memory_order_relaxed) > 0) return j;
  return NULL;
}

static void* work(void* number) {
  const int32_t own = (int32_t)(intptr_t)number;
  in_parallel = true;
  pthread_mutex_lock(&pool.lock);
  for (;;) {
    uint32_t seen = atomic_load_explicit(&pool.posted, memory_order_relaxed);
    struct job* j = find_job();
    if (j) {
      j->helpers_wanted--;
      j->inside++;
      pthread_mutex_unlock(&pool.lock);
      uint64_t saved = ingot_float_mode_enter(j->flush_denormals);
      run_ranges(j, own % j->share_count);
      ingot_float_mode_leave(saved);
      pthread_mutex_lock(&pool.lock);
      if (atomic_fetch_sub(&j->inside, 1) == 1 && j->waiting) pthread_cond_signal(&j->left);
      continue;
    }
    pool.spinning++;
    pthread_mutex_unlock(&pool.lock);
    int64_t until = ingot_now_ns() + kSpinNs;
    bool more = false;
    while (!more && ingot_now_ns() < until)
      for (int k = 0; k < 32 && !more; k++) {
        more = atomic_load_explicit(&pool.posted, memory_order_relaxed) != seen;
        pause_cpu();
      }
    pthread_mutex_lock(&pool.lock);
    pool.spinning--;
    while (atomic_load_explicit(&pool.posted, memory_order_relaxed) == seen) {
      pool.sleeping++;
      pthread_cond_wait(&pool.wake, &pool.lock);
      pool.sleeping--;
    }
  }
  return NULL;
}

static void forget_after_fork(void) {
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.wake, NULL);
  pool.jobs = NULL;
  pool.workers = pool.sleeping = pool.spinning = pool.threads = 0;
}

void ingot_pool_start(void) {
  pthread_mutex_lock(&pool.lock);
  if (!pool.threads) {
    int32_t wanted = wanted_threads();
    pthread_attr_t attributes;
    const bool sized = !pthread_attr_init(&attributes);
    if (sized) pthread_attr_setstacksize(&attributes, kStackBytes);
    for (pool.workers = 0; pool.workers < wanted - 1; pool.workers++) {
      pthread_t thread;
      if (pthread_create(&thread, sized ? &attributes : NULL, work, (void*)(intptr_t)(pool.workers + 1))) break;
      pthread_detach(thread);
    }
    if (sized) pthread_attr_destroy(&attributes);
    pool.threads = pool.workers + 1;
    if (!pool.fork_handler) pthread_atfork(NULL, NULL, forget_after_fork);
    pool.fork_handler = true;
  }
  pthread_mutex_unlock(&pool.lock);
}

int32_t ingot_thread_count(void) {
  pthread_mutex_lock(&pool.lock);
  int32_t threads = pool.threads;
  pthread_mutex_unlock(&pool.lock);
  return threads ? threads : wanted_threads();
}

static void run_in_pool(struct job* j, int32_t helpers) {
  pthread_mutex_lock(&pool.lock);
  j->helpers_wanted = helpers;
  j->next_job = pool.jobs;
  if (pool.jobs) pool.jobs->previous_job = j;
  pool.jobs = j;
  atomic_fetch_add_explicit(&pool.posted, 1, memory_order_relaxed);
  int32_t wake = helpers - pool.spinning;
  if (wake > pool.sleeping) wake = pool.sleeping;
  for (int32_t i = 0; i < wake; i++) pthread_cond_signal(&pool.wake);
  pthread_mutex_unlock(&pool.lock);

  in_parallel = true;
  run_ranges(j, 0);
  in_parallel = false;

  pthread_mutex_lock(&pool.lock);
  if (j->previous_job) j->previous_job->next_job = j->next_job;
  else pool.jobs = j->next_job;
  if (j->next_job) j->next_job->previous_job = j->previous_job;
  if (j->inside) {
    pthread_mutex_unlock(&pool.lock);
    int64_t until = ingot_now_ns() + kJoinSpinNs;
    while (j->inside && ingot_now_ns() < until)
      for (int k = 0; k < 32 && j->inside; k++) pause_cpu();
    pthread_mutex_lock(&pool.lock);
    j->waiting = true;
    while (j->inside) pthread_cond_wait(&j->left, &pool.lock);
  }
  pthread_mutex_unlock(&pool.lock);
}

/* One range in a thread of the caller's parallel_for. */
static void foreign_task(void* data, int64_t number) {
  struct job* j = data;
  bool nested = in_parallel;
  int64_t outer = current_range;
  in_parallel = true;
  uint64_t saved = ingot_float_mode_enter(j->flush_denormals);
  run_ranges(j, (int32_t)(number % j->share_count));
  ingot_float_mode_leave(saved);
  in_parallel = nested;
  current_range = outer;
}

static int32_t run_here(ingot_range_fn body, const struct ingot_part* parts, int32_t count) {
  int32_t status = 0;
  for (int32_t k = 0; k < count && !status; k++)
    if (parts[k].count > 0) status = body(parts[k].data, 0, parts[k].count);
  return status;
}

static double time_of(const struct ingot_part* p) {
  return p->count > 0 ? (double)p->count * (double)(p->cost > 0 ? p->cost : 1) : 0;
}

/* Items of each range, and how many ranges there are in all. */
static int64_t split(struct job* j, int32_t threads) {
  double all = 0;
  for (int32_t k = 0; k < j->part_count; k++) all += time_of(&j->parts[k]);
  const int64_t pieces =
      (int64_t)threads * kRangesPerThread < kMaxRanges ? (int64_t)threads * kRangesPerThread : kMaxRanges;
  int64_t ranges = 0;
  for (int32_t k = 0; k < j->part_count; k++) {
    const int64_t count = j->parts[k].count, grain = j->parts[k].grain < 1 ? 1 : j->parts[k].grain;
    /* The part's share of the pieces; never more than one range each. */
    const double own = j->part_count == 1 ? (double)pieces : (double)pieces * time_of(&j->parts[k]) / all;
    int64_t parts = own < 1 ? 1 : (int64_t)(own + 0.5);
    int64_t step = count > 0 ? (count - 1) / parts + 1 : 1;
    j->step[k] = step <= grain ? grain : (step > INT64_MAX / 2 ? step : (step + grain - 1) / grain * grain);
    if (count > 0) ranges += (count - 1) / j->step[k] + 1;
    j->end[k] = ranges;
  }
  return ranges;
}

/* Each thread's ranges take about the same time. */
static void share_out(struct job* j, int64_t ranges) {
  const int32_t shares = j->share_count;
  if (j->part_count == 1) {
    for (int32_t k = 0; k < shares; k++) {
      atomic_init(&j->shares[k].next, ranges * k / shares);
      j->shares[k].end = ranges * (k + 1) / shares;
    }
    return;
  }
  double all = 0, done = 0;
  for (int32_t k = 0; k < j->part_count; k++) all += time_of(&j->parts[k]);
  int32_t share = 0;
  int64_t first = 0, at = 0;
  for (int32_t k = 0; k < j->part_count; k++) {
    const int64_t own = j->end[k] - at;
    for (int64_t i = 0; i < own; i++, at++) {
      const double time = time_of(&j->parts[k]) / (double)own;
      if (share + 1 < shares && done + time / 2 >= all * (share + 1) / shares) {
        atomic_init(&j->shares[share].next, first);
        j->shares[share].end = first = at;
        share++;
      }
      done += time;
    }
  }
  for (; share < shares; share++, first = ranges) {
    atomic_init(&j->shares[share].next, first);
    j->shares[share].end = ranges;
  }
}

int32_t ingot_parallel(const struct ingot_parallel_options* o, ingot_range_fn body, const struct ingot_part* parts,
                       int32_t count) {
  int32_t threads = o->threads;
  if (in_parallel || threads <= 1 || count < 1) return run_here(body, parts, count);
  double time = 0;
  for (int32_t k = 0; k < count; k++) time += time_of(&parts[k]);
  if (count > 1 ? time <= kLeastPartsPs : parts[0].count <= parts[0].grain) return run_here(body, parts, count);

  struct share share[kMaxShares];
  struct job j = {
      .body = body, .parts = parts, .part_count = count, .shares = share, .flush_denormals = o->flush_denormals};
  const int64_t ranges = split(&j, threads);
  if (ranges <= 1) return run_here(body, parts, count);
  if (ranges < threads) threads = (int32_t)ranges;
  j.share_count = threads < kMaxShares ? threads : kMaxShares;
  share_out(&j, ranges);
  atomic_init(&j.unbegun, ranges);
  int64_t helpers = threads - 1;
  pthread_mutex_init(&j.failure_lock, NULL);
  if (o->parallel_for) {
    o->parallel_for(o->user, helpers + 1, foreign_task, &j);
  } else {
    pthread_cond_init(&j.left, NULL);
    run_in_pool(&j, (int32_t)helpers);
    pthread_cond_destroy(&j.left);
  }
  pthread_mutex_destroy(&j.failure_lock);
  return j.status;
}
