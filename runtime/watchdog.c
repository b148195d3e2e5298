/* Time limits: one thread sleeps until the earliest deadline of the sessions that run and sets their cancel flags.
 * Compiled code polls only the flag, which costs a load; reading the clock would cost more. */
#include <errno.h>
#include <time.h>

#include "runtime/internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct ingot_session* first;
static bool started;

int64_t ingot_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void* watch(void* unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    int64_t now = ingot_now_ns(), next = INT64_MAX;
    for (struct ingot_session* s = first; s; s = s->next_deadline) {
      int32_t none = 0;
      if (s->deadline_ns <= now) atomic_compare_exchange_strong(&s->cancel, &none, kCancelTime);
      else if (s->deadline_ns < next) next = s->deadline_ns;
    }
    if (next == INT64_MAX) {
      pthread_cond_wait(&changed, &lock);
    } else {
      struct timespec until = {next / 1000000000, next % 1000000000};
      pthread_cond_timedwait(&changed, &lock, &until);
    }
  }
  return NULL;
}

static void forget_after_fork(void) {
  pthread_mutex_init(&lock, NULL);
  started = false;
  first = NULL;
}

ingot_status ingot_watchdog_start(void) {
  ingot_status status = INGOT_OK;
  pthread_mutex_lock(&lock);
  if (!started) {
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, NULL)) {
      status = ingot_fail(INGOT_NO_MEMORY, "cannot start the thread that watches time limits");
    } else {
      pthread_detach(thread);
      pthread_atfork(NULL, NULL, forget_after_fork);
      started = true;
    }
  }
  pthread_mutex_unlock(&lock);
  return status;
}

void ingot_watchdog_add(struct ingot_session* s) {
  pthread_mutex_lock(&lock);
  s->previous_deadline = NULL;
  s->next_deadline = first;
  if (first) first->previous_deadline = s;
  first = s;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
}

void ingot_watchdog_remove(struct ingot_session* s) {
  pthread_mutex_lock(&lock);
  if (s->previous_deadline) s->previous_deadline->next_deadline = s->next_deadline;
  else if (first == s) first = s->next_deadline;
  if (s->next_deadline) s->next_deadline->previous_deadline = s->previous_deadline;
  pthread_mutex_unlock(&lock);
}
