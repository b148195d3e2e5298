/* One run: checks what is bound, fills the context that compiled code sees, calls the entry, turns its status into a
 * message. */
#include <stdio.h>
#include <string.h>

#include "runtime/internal.h"

static struct ingot_session* session_of(const ingot_context* c) { return c->runtime; }

static const struct ingot_file_image* image_of(const struct ingot_session* s) {
  return &s->model->file.images[s->model->image];
}

static struct ingot_parallel_options parallel_options(const struct ingot_session* s) {
  return (struct ingot_parallel_options){s->threads, (s->options.flags & INGOT_SESSION_FLUSH_DENORMALS) != 0,
                                         s->options.parallel_for, s->options.parallel_user};
}

struct launch {
  const ingot_context* context;
  ingot_kernel_fn kernel;
  void* const* buffers;
  const int64_t* scalars;
};

static int32_t run_range(void* data, int64_t begin, int64_t end) {
  const struct launch* l = data;
  if (*l->context->cancel) return INGOT_RUN_CANCELLED;
  return l->kernel(l->context, l->buffers, l->scalars, begin, end);
}

static int32_t parallel_for(const ingot_context* c, ingot_kernel_fn kernel, void* const* buffers,
                            const int64_t* scalars, int64_t count, int64_t grain) {
  struct launch launch = {c, kernel, buffers, scalars};
  struct ingot_parallel_options options = parallel_options(session_of(c));
  struct ingot_part part = {&launch, count, grain, 1};
  return ingot_parallel(&options, run_range, &part, 1);
}

static int32_t parallel_group(const ingot_context* c, const ingot_launch* launches, int32_t count) {
  struct launch all[INGOT_MAX_GROUP];
  struct ingot_part parts[INGOT_MAX_GROUP];
  struct ingot_parallel_options options = parallel_options(session_of(c));
  if (count > INGOT_MAX_GROUP) return INGOT_RUN_TOO_LARGE;
  for (int32_t k = 0; k < count; k++) {
    const ingot_launch* l = &launches[k];
    all[k] = (struct launch){c, l->kernel, l->buffers, l->scalars};
    parts[k] = (struct ingot_part){&all[k], l->count, l->grain, l->cost};
  }
  return ingot_parallel(&options, run_range, parts, count);
}

/* The first report stays; in a parallel loop, that of the lowest range. */
static bool begin_report(struct ingot_session* s, ingot_status status) {
  int64_t at = ingot_current_range();
  pthread_mutex_lock(&s->lock);
  if (s->reported && !(at >= 0 && s->reported_at >= 0 && at < s->reported_at)) {
    pthread_mutex_unlock(&s->lock);
    return false;
  }
  s->reported = true;
  s->reported_at = at;
  s->reported_status = status;
  return true;
}

enum { kMostNames = 200 }; /* bytes of a node's name in a message */

/* What the names in the inputs' extents stood for; then the next report may come. */
static void end_report(struct ingot_session* s) {
  const struct ingot_file* f = &s->model->file;
  const char* before = "\n  with ";
  for (uint32_t i = 0; i < f->head->symbols.count; i++) {
    size_t used = strlen(s->message), left = sizeof s->message - used;
    const char* name = ingot_file_text(f, f->symbols[i].name);
    if (s->symbol_values[i].input < 0 || strlen(name) > kMostNames || left < kMostNames + 40) continue;
    snprintf(s->message + used, left, "%s%s = %lld", before, name, (long long)s->symbol_values[i].value);
    before = ", ";
  }
  pthread_mutex_unlock(&s->lock);
}

static void memory_report(struct ingot_session* s, int64_t bytes, const char* what) {
  bool limit = s->memory.limit_hit;
  if (!begin_report(s, limit ? INGOT_LIMIT : INGOT_NO_MEMORY)) return;
  if (limit)
    snprintf(s->message, sizeof s->message, "got %lld bytes held and %lld more for %s, expected at most %lld",
             (long long)ingot_session_memory_bytes(s), (long long)bytes, what, (long long)s->memory.limit_bytes);
  else snprintf(s->message, sizeof s->message, "no memory for %lld bytes of %s", (long long)bytes, what);
  end_report(s);
}

static void* arena(const ingot_context* c, int64_t size) {
  struct ingot_session* s = session_of(c);
  if (size <= s->arena_bytes && s->arena && !s->memory.guard) {
    ingot_memory_poison(&s->memory, s->arena, size);
    return s->arena;
  }
  ingot_memory_unreserve(&s->memory, s->arena, s->arena_bytes);
  s->arena_bytes = 0;
  s->arena = ingot_memory_reserve(&s->memory, size);
  if (s->arena) s->arena_bytes = size;
  else memory_report(s, size, "the arena");
  return s->arena;
}

static void* allocate(const ingot_context* c, int64_t size) {
  struct ingot_session* s = session_of(c);
  if (s->device) ingot_device_claim(s->device);
  void* data = ingot_memory_allocate(&s->memory, size);
  if (!data) memory_report(s, size, "a tensor");
  return data;
}

static void release(const ingot_context* c, void* data) {
  struct ingot_session* s = session_of(c);
  if (s->device) ingot_device_claim(s->device);
  ingot_memory_release(&s->memory, data);
}

static void output_report(struct ingot_session* s, ingot_status status, const char* name, const char* text,
                          int64_t bytes, int64_t room) {
  if (!begin_report(s, status)) return;
  if (room >= 0)
    snprintf(s->message, sizeof s->message,
             "output '%s': got %s of %lld bytes, expected at most %lld: the bound buffer", name, text, (long long)bytes,
             (long long)room);
  else snprintf(s->message, sizeof s->message, "output '%s': got %s, which does not fit its type", name, text);
  end_report(s);
}

static void* output(const ingot_context* c, int32_t index, int32_t dtype, int32_t rank, const int64_t* shape) {
  struct ingot_session* s = session_of(c);
  if (index < 0 || index >= ingot_model_output_count(s->model) || rank < 0 || rank > INGOT_MAX_RANK) return NULL;
  const ingot_port* p = &s->model->outputs[index];
  struct ingot_output_slot* slot = &s->outputs[index];
  char text[256];
  int64_t bytes = ingot_tensor_bytes(dtype, rank, shape);
  if (dtype != p->dtype || (p->rank >= 0 && rank != p->rank) || p->kind != INGOT_KIND_TENSOR || bytes < 0) {
    ingot_shape_text(dtype, rank, shape, text, sizeof text);
    output_report(s, INGOT_RUN_FAILED, p->name, text, 0, -1);
    return NULL;
  }
  /* A device writes the session's memory; what is bound is filled at the end of the run. */
  const bool direct = slot->bound && !s->device, exact = s->memory.guard;
  if (slot->bound && slot->bound_bytes < bytes) {
    ingot_shape_text(dtype, rank, shape, text, sizeof text);
    output_report(s, INGOT_INVALID_ARGUMENT, p->name, text, bytes, slot->bound_bytes);
    return NULL;
  }
  void* data = direct ? slot->data : slot->own;
  if (!direct && (!data || slot->own_bytes < bytes || exact)) {
    ingot_memory_unreserve(&s->memory, slot->own, slot->own_bytes);
    slot->own_bytes = 0;
    slot->own = data = ingot_memory_reserve(&s->memory, bytes);
    if (!data) {
      memory_report(s, bytes, p->name);
      return NULL;
    }
    slot->own_bytes = bytes;
  }
  ingot_memory_poison(&s->memory, data, bytes);
  if (rank) memcpy(slot->shape, shape, (size_t)rank * sizeof *shape);
  slot->tensor = (DLTensor){slot->bound ? slot->data : data, {kDLCPU, 0}, rank, p->dl_dtype, slot->shape, NULL, 0};
  slot->written = true;
  /* An empty output that is bound to nothing still needs an address: null means failure. */
  static char nothing[64];
  return data ? data : nothing;
}

/* Copied at once: the object may lie on the stack of compiled code. */
static void output_object(const ingot_context* c, int32_t index, const ingot_object* object) {
  struct ingot_session* s = session_of(c);
  if (index < 0 || index >= ingot_model_output_count(s->model)) return;
  struct ingot_output_slot* slot = &s->outputs[index];
  ingot_status status = ingot_copy_object(&s->memory, object, &slot->object);
  slot->written = status == INGOT_OK;
  if (status == INGOT_NO_MEMORY) memory_report(s, 0, "an output");
}

static const char* plain_text(int32_t code) {
  switch (code) {
    case INGOT_RUN_NO_MEMORY: return "no memory";
    case INGOT_RUN_CANCELLED: return "cancelled";
    case INGOT_RUN_INDEX: return "an index is out of range";
    case INGOT_RUN_DIM: return "dimensions contradict each other";
    case INGOT_RUN_INPUT_DIM: return "an input has an unexpected dimension";
    case INGOT_RUN_VALUE: return "a value is out of range";
    case INGOT_RUN_CHECK: return "a condition of the model does not hold";
    case INGOT_RUN_TOO_LARGE: return "a size overflows";
    case INGOT_RUN_DEVICE: return "the device failed";
    case INGOT_RUN_LIMIT: return "a loop exceeded its limit";
    case INGOT_RUN_BOUNDS: return "an access outside of its buffer";
  }
  return "the model failed";
}

static ingot_status status_of(const struct ingot_session* s, int32_t code) {
  switch (code) {
    case INGOT_RUN_OK: return INGOT_OK;
    case INGOT_RUN_NO_MEMORY: return s->memory.limit_hit ? INGOT_LIMIT : INGOT_NO_MEMORY;
    case INGOT_RUN_CANCELLED: return s->cancel == kCancelTime ? INGOT_LIMIT : INGOT_CANCELLED;
    case INGOT_RUN_INPUT_DIM: return INGOT_INVALID_ARGUMENT;
    case INGOT_RUN_DEVICE: return INGOT_DEVICE_FAILED;
    case INGOT_RUN_LIMIT: return INGOT_LIMIT;
    case INGOT_RUN_BOUNDS: return INGOT_OUT_OF_BOUNDS;
    default: return INGOT_RUN_FAILED;
  }
}

static void describe(const struct ingot_session* s, int32_t code, int32_t count, const int64_t* args, char* out,
                     size_t size) {
  const struct ingot_file* f = &s->model->file;
  const struct ingot_file_image* image = image_of(s);
  long long a[4] = {0};
  for (int32_t i = 0; i < count && i < 4; i++) a[i] = args[i];
  if (code == INGOT_RUN_INDEX && count >= 2) {
    if (a[0] < 0) snprintf(out, size, "got index %lld on an axis of %lld, expected at least %lld", a[0], a[1], -a[1]);
    else snprintf(out, size, "got index %lld, expected less than %lld", a[0], a[1]);
  } else if (code == INGOT_RUN_DIM && count >= 2) {
    snprintf(out, size, "got dimension %lld, expected %lld", a[0], a[1]);
  } else if (code == INGOT_RUN_INPUT_DIM && count >= 4) {
    const ingot_port* p = ingot_model_input(s->model, (int32_t)a[0]);
    snprintf(out, size, "input '%s': got %lld as dimension %lld, expected %lld%s%s", p ? p->name : "?", a[2], a[1],
             a[3], p ? ": " : "", p ? p->type : "");
  } else if (code == INGOT_RUN_VALUE && count >= 1) {
    snprintf(out, size, "got value %lld, which is out of range", a[0]);
  } else if (code == INGOT_RUN_BOUNDS && count >= 4 && a[0] >= 0 && (uint64_t)a[0] < image->messages.count) {
    snprintf(out, size, "%s: got element %lld, expected at least %lld and less than %lld",
             ingot_file_text(f, f->messages[image->messages.offset + (uint32_t)a[0]]), a[1], a[2], a[3]);
  } else if (code == INGOT_RUN_CHECK && count >= 1 && a[0] >= 0 && (uint64_t)a[0] < image->messages.count) {
    const char* text = ingot_file_text(f, f->messages[image->messages.offset + (uint32_t)a[0]]);
    if (count >= 2) snprintf(out, size, "got %lld, expected %s", a[1], text);
    else snprintf(out, size, "%s", text);
  } else {
    snprintf(out, size, "%s", plain_text(code));
  }
}

static int32_t report(const ingot_context* c, int32_t node, int32_t code, int32_t count, const int64_t* args) {
  struct ingot_session* s = session_of(c);
  const struct ingot_file* f = &s->model->file;
  const struct ingot_file_image* image = image_of(s);
  if (!begin_report(s, status_of(s, code))) return code;
  describe(s, code, count, args, s->message, sizeof s->message - 3 * kMostNames);
  if (node >= 0 && (uint32_t)node < image->nodes.count) {
    const struct ingot_file_node* n = &f->nodes[image->nodes.offset + (uint32_t)node];
    const char* op = ingot_file_text(f, n->op);
    size_t used = strlen(s->message);
    snprintf(s->message + used, sizeof s->message - used, "\n  in node '%.*s'%s%.*s%s", kMostNames,
             ingot_file_text(f, n->name), *op ? " (" : "", kMostNames, op, *op ? ")" : "");
  }
  end_report(s);
  return code;
}

static void profile(const ingot_context* c, int32_t kernel, int64_t items, int64_t start_ns, int64_t end_ns) {
  struct ingot_session* s = session_of(c);
  if (kernel < 0 || (uint32_t)kernel >= image_of(s)->kernels.count) return;
  atomic_fetch_add_explicit(&s->times[kernel].calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&s->times[kernel].items, items, memory_order_relaxed);
  atomic_fetch_add_explicit(&s->times[kernel].total_ns, end_ns - start_ns, memory_order_relaxed);
}

static int32_t device_failed(struct ingot_session* s) {
  if (begin_report(s, INGOT_DEVICE_FAILED)) {
    snprintf(s->message, sizeof s->message, "%s", ingot_device_error(s->device));
    end_report(s);
  }
  return INGOT_RUN_DEVICE;
}

static int32_t device_sync(const ingot_context* c) {
  struct ingot_session* s = session_of(c);
  struct ingot_device_failure failure = {0};
  int32_t code = ingot_device_wait(s->device, &failure);
  if (code == INGOT_RUN_DEVICE) return device_failed(s);
  return code ? report(c, failure.node, code, failure.count, failure.args) : 0;
}

/* Profiles need the time of the kernel, not of its launch. */
static int32_t device_launch(const ingot_context* c, int32_t kernel, void* const* buffers, const int64_t* scalars,
                             int64_t items) {
  struct ingot_session* s = session_of(c);
  int32_t code = ingot_device_launch(s->device, kernel, buffers, scalars, items);
  if (code) return device_failed(s);
  return s->times ? device_sync(c) : 0;
}

static int64_t now_ns(const ingot_context* c) {
  (void)c;
  return ingot_now_ns();
}

static void trace(const ingot_context* c, int32_t value, const ingot_tensor_view* v) {
  struct ingot_session* s = session_of(c);
  const struct ingot_file* f = &s->model->file;
  const struct ingot_file_image* image = image_of(s);
  if (value < 0 || (uint32_t)value >= image->values.count || v->dtype < 0) return;
  DLTensor t = {v->data, {kDLCPU, 0}, v->rank, ingot_dtype_to_dlpack(v->dtype), (int64_t*)v->shape, NULL, 0};
  s->options.trace(s->options.trace_user, ingot_file_text(f, f->values[image->values.offset + (uint32_t)value]), &t);
}

/* Binds names of dims to extents: the same name means the same extent in all inputs. */
static ingot_status check_symbols(struct ingot_session* s, int32_t index) {
  const struct ingot_file* f = &s->model->file;
  const struct ingot_file_port* p = &f->inputs[index];
  const struct ingot_input_slot* slot = &s->inputs[index];
  const char* name = s->model->inputs[index].name;
  for (int32_t d = 0; d < p->rank; d++) {
    uint32_t symbol = f->dims[p->first_dim + (uint32_t)d].symbol;
    if (symbol == INGOT_FILE_NONE) continue;
    const struct ingot_file_symbol* sym = &f->symbols[symbol];
    const char* symbol_name = ingot_file_text(f, sym->name);
    int64_t got = slot->shape[d];
    if (got < sym->min || got > sym->max)
      return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got %lld as dimension %d (%s), expected %lld to %lld",
                        name, (long long)got, d, symbol_name, (long long)sym->min, (long long)sym->max);
    if (s->symbol_values[symbol].input < 0) {
      s->symbol_values[symbol].value = got;
      s->symbol_values[symbol].input = index;
      s->symbol_values[symbol].dim = d;
    } else if (s->symbol_values[symbol].value != got) {
      return ingot_fail(INGOT_INVALID_ARGUMENT,
                        "input '%s': got %lld as dimension %d (%s), expected %lld as in dimension %d of '%s'", name,
                        (long long)got, d, symbol_name, (long long)s->symbol_values[symbol].value,
                        s->symbol_values[symbol].dim, s->model->inputs[s->symbol_values[symbol].input].name);
    }
  }
  return INGOT_OK;
}

static ingot_status check_overlap(const struct ingot_session* s) {
  for (int32_t o = 0; o < ingot_model_output_count(s->model); o++) {
    const struct ingot_output_slot* out = &s->outputs[o];
    if (!out->bound || !out->bound_bytes) continue;
    uintptr_t begin = (uintptr_t)out->data, end = begin + (uintptr_t)out->bound_bytes;
    for (int32_t i = 0; i < ingot_model_input_count(s->model); i++) {
      const ingot_tensor_view* v = &s->views[i];
      if (!v->data || v->dtype < 0 || s->model->outputs[o].alias_of_input == i) continue;
      uintptr_t at = (uintptr_t)v->data, last = at + (uintptr_t)ingot_tensor_bytes(v->dtype, v->rank, v->shape);
      if (at < end && begin < last)
        return ingot_fail(INGOT_INVALID_ARGUMENT, "output '%s' is bound to memory of input '%s'",
                          s->model->outputs[o].name, s->model->inputs[i].name);
    }
    for (int32_t k = 0; k < o; k++) {
      uintptr_t at = (uintptr_t)s->outputs[k].data;
      if (s->outputs[k].bound && at < end && begin < at + (uintptr_t)s->outputs[k].bound_bytes)
        return ingot_fail(INGOT_INVALID_ARGUMENT, "outputs '%s' and '%s' are bound to the same memory",
                          s->model->outputs[k].name, s->model->outputs[o].name);
    }
  }
  return INGOT_OK;
}

/* A copy of a bound input in memory that the device sees. */
static ingot_status share_input(struct ingot_session* s, struct ingot_input_slot* slot, ingot_tensor_view* v) {
  int64_t bytes = ingot_tensor_bytes(v->dtype, v->rank, v->shape);
  if (bytes < 0) return ingot_fail(INGOT_INVALID_ARGUMENT, "got an input whose size is not valid");
  if (!slot->shared || slot->shared_bytes < bytes) {
    ingot_memory_unreserve(&s->memory, slot->shared, slot->shared_bytes);
    slot->shared_bytes = 0;
    slot->shared = ingot_memory_reserve(&s->memory, bytes);
    if (!slot->shared)
      return ingot_fail(s->memory.limit_hit ? INGOT_LIMIT : INGOT_NO_MEMORY, "no memory for %lld bytes of an input",
                        (long long)bytes);
    slot->shared_bytes = bytes;
  }
  if (bytes) memcpy(slot->shared, v->data, (size_t)bytes);
  v->data = slot->shared;
  return INGOT_OK;
}

static void fill_bound_outputs(struct ingot_session* s) {
  for (int32_t i = 0; i < ingot_model_output_count(s->model); i++) {
    struct ingot_output_slot* slot = &s->outputs[i];
    if (!slot->bound || !slot->written) continue;
    int64_t bytes = ingot_tensor_bytes(s->model->outputs[i].dtype, slot->tensor.ndim, slot->shape);
    if (bytes > 0) memcpy(slot->data, slot->own, (size_t)bytes);
  }
}

static ingot_status prepare(struct ingot_session* s) {
  const ingot_model* m = s->model;
  for (uint32_t i = 0; i < m->file.head->symbols.count; i++) s->symbol_values[i].input = -1;
  for (int32_t i = 0; i < ingot_model_input_count(m); i++) {
    struct ingot_input_slot* slot = &s->inputs[i];
    const ingot_port* p = &m->inputs[i];
    ingot_tensor_view* v = &s->views[i];
    if (p->kind != INGOT_KIND_TENSOR) {
      if (!slot->bound) {
        if (!p->may_be_absent && p->kind != INGOT_KIND_OPTIONAL)
          return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s' is not bound, expected %s", p->name, p->type);
        slot->object = (ingot_object){0, NULL};
      }
      *v = (ingot_tensor_view){&slot->object, NULL, 0, INGOT_OBJECT};
      continue;
    }
    if (!slot->bound) {
      if (!p->may_be_absent)
        return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s' is not bound, expected %s", p->name, p->type);
      *v = (ingot_tensor_view){NULL, NULL, 0, p->dtype};
      continue;
    }
    ingot_status status = check_symbols(s, i);
    if (status != INGOT_OK) return status;
    *v = (ingot_tensor_view){slot->tensor.data, slot->shape, slot->tensor.ndim, p->dtype};
    if (s->device && v->data != slot->copy) status = share_input(s, slot, v);
    if (status != INGOT_OK) return status;
  }
  return check_overlap(s);
}

static ingot_status failure(struct ingot_session* s, int32_t code) {
  if (s->reported && code != INGOT_RUN_CANCELLED) return ingot_fail(s->reported_status, "%s", s->message);
  if (code == INGOT_RUN_CANCELLED && s->cancel == kCancelTime)
    return ingot_fail(INGOT_LIMIT, "the run took longer than its limit of %lld ms",
                      (long long)s->options.time_limit_ms);
  return ingot_fail(status_of(s, code), "%s", plain_text(code));
}

/* What INGOT_SESSION_GUARD can say of writes that no unreadable page ended. */
static bool nothing_beside(struct ingot_session* s) {
  bool intact = ingot_memory_intact(&s->memory) && ingot_memory_reserved_intact(&s->memory, s->arena, s->arena_bytes);
  for (int32_t i = 0; i < ingot_model_output_count(s->model); i++)
    intact = intact && ingot_memory_reserved_intact(&s->memory, s->outputs[i].own, s->outputs[i].own_bytes);
  return intact;
}

ingot_status ingot_run(struct ingot_session* s) {
  const ingot_model* m = s->model;
  s->has_run = false;
  s->reported = false;
  ingot_memory_recycle(&s->memory);
  for (int32_t i = 0; i < ingot_model_output_count(m); i++) s->outputs[i].written = false;
  ingot_status status = prepare(s);
  if (status != INGOT_OK) return status;
  if (s->cancel) {
    s->cancel = 0;
    return ingot_fail(INGOT_CANCELLED, "cancelled before the run");
  }

  const ingot_context context = {
      .abi_version = INGOT_ABI_VERSION,
      .size_bytes = sizeof context,
      .runtime = s,
      .inputs = s->views,
      .weights = m->weights,
      .cancel = (const volatile int32_t*)&s->cancel,
      .parallel_for = parallel_for,
      .arena = arena,
      .allocate = allocate,
      .release = release,
      .output = output,
      .output_object = output_object,
      .report = report,
      .profile = s->times ? profile : NULL,
      .now_ns = now_ns,
      .trace = s->options.trace ? trace : NULL,
      .device_launch = s->device ? device_launch : NULL,
      .device_sync = s->device ? device_sync : NULL,
      .parallel_group = parallel_group,
  };
  bool limited = s->options.time_limit_ms > 0;
  if (limited) {
    int64_t limit_ns;
    if (__builtin_mul_overflow(s->options.time_limit_ms, (int64_t)1000000, &limit_ns) ||
        __builtin_add_overflow(limit_ns, ingot_now_ns(), &s->deadline_ns))
      s->deadline_ns = INT64_MAX;
    ingot_watchdog_add(s);
  }
  uint64_t mode = ingot_float_mode_enter((s->options.flags & INGOT_SESSION_FLUSH_DENORMALS) != 0);
  int32_t code = m->entry(&context);
  if (s->device) {
    int32_t waited = device_sync(&context);
    if (!code) code = waited;
    if (!code) fill_bound_outputs(s);
  }
  ingot_float_mode_leave(mode);
  if (limited) ingot_watchdog_remove(s);

  if (code) status = failure(s, code);
  for (int32_t i = 0; status == INGOT_OK && i < ingot_model_output_count(m); i++)
    if (!s->outputs[i].written)
      status = s->reported ? ingot_fail(s->reported_status, "%s", s->message)
                           : ingot_fail(INGOT_RUN_FAILED, "output '%s' was not written", m->outputs[i].name);
  if (status == INGOT_OK && s->memory.guard && !nothing_beside(s))
    status = ingot_fail(INGOT_OUT_OF_BOUNDS, "the run wrote beside the memory of a tensor");
  s->cancel = 0;
  s->has_run = status == INGOT_OK;
  return status;
}
