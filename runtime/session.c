/* A session: the arena, what is bound to inputs and outputs, and the rules that bound tensors must keep. */
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/poison.h"

static ingot_status unbind_input(ingot_session* s, int32_t index);

static bool enter(ingot_session* s) {
  int expected = 0;
  if (atomic_compare_exchange_strong(&s->busy, &expected, 1)) return true;
  ingot_fail(INGOT_BUSY, "the session is in use by another thread");
  return false;
}

/* Keeps the thread's error text as the session's, and ends the exclusive use. */
static ingot_status leave(ingot_session* s, ingot_status status) {
  if (status == INGOT_OK) {
    s->error[0] = 0;
  } else {
    strncpy(s->error, ingot_last_error(), sizeof s->error - 1);
  }
  atomic_store(&s->busy, 0);
  return status;
}

static const struct ingot_file_image* image_of(const ingot_model* m) { return &m->file.images[m->image]; }

static void destroy(ingot_session* s) {
  const struct ingot_file_descriptors* h = s->model->file.head;
  ingot_memory_unreserve(&s->memory, s->arena, s->arena_bytes);
  for (uint32_t i = 0; s->inputs && i < h->inputs.count; i++)
    ingot_memory_unreserve(&s->memory, s->inputs[i].copy, s->inputs[i].copy_bytes);
  for (uint32_t i = 0; s->inputs && i < h->inputs.count; i++)
    ingot_memory_unreserve(&s->memory, s->inputs[i].shared, s->inputs[i].shared_bytes);
  for (uint32_t i = 0; s->outputs && i < h->outputs.count; i++)
    ingot_memory_unreserve(&s->memory, s->outputs[i].own, s->outputs[i].own_bytes);
  ingot_memory_destroy(&s->memory);
  ingot_device_free(s->device);
  pthread_mutex_destroy(&s->lock);
  free(s->inputs);
  free(s->outputs);
  free(s->views);
  free(s->symbol_values);
  free(s->times);
  free(s->profile);
  ingot_model_free(s->model);
  free(s);
}

/* The bytes of an output whose dims are all known; -1: not known. */
static int64_t static_bytes(const ingot_port* p) {
  if (p->kind != INGOT_KIND_TENSOR) return -1;
  for (int32_t i = 0; i < p->rank; i++)
    if (p->dims[i] < 0) return -1;
  return ingot_tensor_bytes(p->dtype, p->rank, p->dims);
}

static ingot_status no_room(const ingot_session* s, int64_t bytes, const char* what, const char* name) {
  if (s->memory.limit_hit)
    return ingot_fail(INGOT_LIMIT, "got %lld bytes held and %lld more for %s%s%s, expected at most %lld",
                      (long long)s->memory.held_bytes, (long long)bytes, what, *name ? " " : "", name,
                      (long long)s->memory.limit_bytes);
  return ingot_fail(INGOT_NO_MEMORY, "no memory for %lld bytes of %s%s%s", (long long)bytes, what, *name ? " " : "",
                    name);
}

static ingot_status reserve_static(ingot_session* s) {
  const ingot_model* m = s->model;
  const struct ingot_file_image* image = image_of(m);
  if (image->arena_bytes > 0) {
    s->arena = ingot_memory_reserve(&s->memory, image->arena_bytes);
    if (!s->arena) return no_room(s, image->arena_bytes, "the arena", "");
    s->arena_bytes = image->arena_bytes;
  }
  for (int32_t i = 0; i < ingot_model_output_count(m); i++) {
    int64_t bytes = static_bytes(&m->outputs[i]);
    if (bytes < 0) continue;
    s->outputs[i].own = ingot_memory_reserve(&s->memory, bytes);
    if (!s->outputs[i].own) return no_room(s, bytes, "output", m->outputs[i].name);
    s->outputs[i].own_bytes = bytes;
  }
  return INGOT_OK;
}

static ingot_status set_up(ingot_session* s) {
  const ingot_model* m = s->model;
  const struct ingot_file_descriptors* h = m->file.head;
  const struct ingot_file_image* image = image_of(m);
  s->inputs = calloc(h->inputs.count + 1, sizeof *s->inputs);
  s->outputs = calloc(h->outputs.count + 1, sizeof *s->outputs);
  s->views = calloc(h->inputs.count + 1, sizeof *s->views);
  s->symbol_values = calloc(h->symbols.count + 1, sizeof *s->symbol_values);
  if (!s->inputs || !s->outputs || !s->views || !s->symbol_values)
    return ingot_fail(INGOT_NO_MEMORY, "no memory for the session");
  if (s->options.flags & INGOT_SESSION_PROFILE) {
    s->times = calloc(image->kernels.count + 1, sizeof *s->times);
    s->profile = calloc(image->kernels.count + 1, sizeof *s->profile);
    if (!s->times || !s->profile) return ingot_fail(INGOT_NO_MEMORY, "no memory for the profile");
  }
  int32_t available = ingot_thread_count();
  s->threads = s->options.threads > 0 && (s->options.parallel_for || s->options.threads < available)
                   ? s->options.threads
                   : available;
  if (s->threads > 1 && !s->options.parallel_for) ingot_pool_start();
  if (s->options.time_limit_ms > 0) {
    ingot_status status = ingot_watchdog_start();
    if (status != INGOT_OK) return status;
  }
  if (m->program) {
    ingot_status status = ingot_device_create(m->program, &s->device);
    if (status != INGOT_OK) return status;
    s->memory.device = s->device;
  }
  for (int32_t i = 0; i < ingot_model_input_count(m); i++) {
    ingot_status status = unbind_input(s, i);
    if (status != INGOT_OK) return status;
  }
  return reserve_static(s);
}

ingot_status ingot_session_create(ingot_model* model, const ingot_session_options* options, ingot_session** out) {
  if (!out) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no place for the session");
  *out = NULL;
  if (!model) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no model");
  if (model->image < 0) return ingot_fail(INGOT_UNSUPPORTED, "the model was loaded to be inspected, not to run");
  ingot_session_options o;
  ingot_status status = ingot_read_options(&o, sizeof o, options);
  if (status != INGOT_OK) return status;
  const uint32_t known =
      INGOT_SESSION_PROFILE | INGOT_SESSION_FLUSH_DENORMALS | INGOT_SESSION_GUARD | INGOT_SESSION_POISON;
  if (o.flags & ~known)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "got session flags 0x%x, expected a subset of 0x%x", o.flags, known);
  if (o.memory_limit_bytes < 0 || o.time_limit_ms < 0 || o.threads < 0)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "got a negative limit");
  ingot_session* s = calloc(1, sizeof *s);
  if (!s) return ingot_fail(INGOT_NO_MEMORY, "no memory for the session");
  ingot_model_retain(model);
  s->model = model;
  s->options = o;
  pthread_mutex_init(&s->lock, NULL);
  ingot_memory_init(&s->memory, o.memory_limit_bytes, (o.flags & INGOT_SESSION_GUARD) != 0,
                    o.flags & INGOT_SESSION_POISON ? ingot_poison_word(o.poison_seed) : 0);
  status = set_up(s);
  if (status != INGOT_OK) {
    destroy(s);
    return status;
  }
  ingot_clear_error();
  *out = s;
  return INGOT_OK;
}

void ingot_session_free(ingot_session* s) {
  if (s) destroy(s);
}

static ingot_status check_index(const char* what, int32_t index, int32_t count) {
  if (index >= 0 && index < count) return INGOT_OK;
  return ingot_fail(INGOT_INVALID_ARGUMENT, "got %s %d, expected less than %d", what, index, count);
}

/* dtype, rank, static dims and, where strides must be row-major, the address. */
static ingot_status check_tensor(const ingot_port* p, const char* what, const DLTensor* t, bool in_place) {
  if (p->kind != INGOT_KIND_TENSOR)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got a tensor, expected %s", what, p->name, p->type);
  if (t->device.device_type != kDLCPU && t->device.device_type != kDLCUDAHost)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got a tensor on device type %d, expected one on the host", what,
                      p->name, (int)t->device.device_type);
  int32_t dtype = ingot_dtype_from_dlpack(t->dtype);
  if (dtype != p->dtype)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got dtype %s (code %d, %d bits, %d lanes), expected %s", what,
                      p->name, ingot_dtype_name(dtype), t->dtype.code, t->dtype.bits, t->dtype.lanes, p->type);
  if (t->ndim == p->rank && t->ndim && !t->shape)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got no shape, expected %s", what, p->name, p->type);
  if (t->ndim != p->rank)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got %d dimensions, expected %d: %s", what, p->name, t->ndim,
                      p->rank, p->type);
  char text[256];
  int64_t bytes = ingot_tensor_bytes(dtype, t->ndim, t->shape);
  ingot_shape_text(dtype, t->ndim, t->shape, text, sizeof text);
  if (bytes < 0)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got %s, whose size is not valid", what, p->name, text);
  if (bytes && !t->data) return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got no data", what, p->name);
  if (!in_place) return INGOT_OK;
  if (!ingot_is_row_major(t))
    return ingot_fail(INGOT_INVALID_ARGUMENT,
                      "%s '%s': got strides, expected a row-major tensor (set_input copies any)", what, p->name);
  int32_t align = ingot_dtype_bits(dtype) / 8;
  if (dtype == INGOT_C64 || dtype == INGOT_C128 || dtype == INGOT_STRING) align /= 2;
  if (align > 1 && bytes && ((uintptr_t)t->data + t->byte_offset) % (uintptr_t)align)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "%s '%s': got an address that is not a multiple of %d", what, p->name,
                      align);
  return INGOT_OK;
}

static ingot_status check_static_dims(const ingot_port* p, const DLTensor* t) {
  for (int32_t d = 0; d < p->rank; d++) {
    if (p->dims[d] < 0 || p->dims[d] == t->shape[d]) continue;
    char text[256];
    ingot_shape_text(p->dtype, t->ndim, t->shape, text, sizeof text);
    return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got %lld as dimension %d of %s, expected %lld: %s", p->name,
                      (long long)t->shape[d], d, text, (long long)p->dims[d], p->type);
  }
  return INGOT_OK;
}

static void take_tensor(struct ingot_input_slot* slot, const DLTensor* t, void* data) {
  slot->tensor = *t;
  slot->tensor.data = data;
  slot->tensor.byte_offset = 0;
  slot->tensor.strides = NULL;
  slot->tensor.shape = slot->shape;
  if (t->ndim) memcpy(slot->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
  slot->bound = true;
}

static ingot_status set_input(ingot_session* s, int32_t index, const DLTensor* t);

/* An input whose contents the model has is bound to them. */
static ingot_status unbind_input(ingot_session* s, int32_t index) {
  struct ingot_input_slot* slot = &s->inputs[index];
  const struct ingot_file_port* p = &s->model->file.inputs[index];
  slot->bound = false;
  if (!(p->flags & INGOT_PORT_DEFAULT)) return INGOT_OK;
  int64_t shape[INGOT_MAX_RANK];
  void* data = (void*)ingot_file_default(&s->model->file, p, shape);
  DLTensor t = {data, {kDLCPU, 0}, p->rank, s->model->inputs[index].dl_dtype, shape, NULL, 0};
  if ((uintptr_t)data % 64) return set_input(s, index, &t); /* a file in memory that is not aligned */
  take_tensor(slot, &t, data);
  return INGOT_OK;
}

static ingot_status bind_input(ingot_session* s, int32_t index, const DLTensor* t) {
  ingot_status status = check_index("input", index, ingot_model_input_count(s->model));
  if (status != INGOT_OK) return status;
  struct ingot_input_slot* slot = &s->inputs[index];
  if (!t) return unbind_input(s, index);
  const ingot_port* p = &s->model->inputs[index];
  status = check_tensor(p, "input", t, true);
  if (status == INGOT_OK) status = check_static_dims(p, t);
  if (status == INGOT_OK) take_tensor(slot, t, (char*)t->data + t->byte_offset);
  return status;
}

ingot_status ingot_session_bind_input(ingot_session* s, int32_t index, const DLTensor* t) {
  return enter(s) ? leave(s, bind_input(s, index, t)) : INGOT_BUSY;
}

/* Copies elements of any strides in row-major order. */
static void gather(const DLTensor* t, int64_t element_bytes, char* to) {
  int64_t index[INGOT_MAX_RANK] = {0};
  const char* base = (const char*)t->data + t->byte_offset;
  for (;;) {
    int64_t offset = 0;
    for (int32_t d = 0; d < t->ndim; d++) offset += index[d] * t->strides[d];
    memcpy(to, base + offset * element_bytes, (size_t)element_bytes);
    to += element_bytes;
    int32_t d = t->ndim - 1;
    while (d >= 0 && ++index[d] == t->shape[d]) index[d--] = 0;
    if (d < 0) return;
  }
}

static ingot_status set_input(ingot_session* s, int32_t index, const DLTensor* t) {
  ingot_status status = check_index("input", index, ingot_model_input_count(s->model));
  if (status != INGOT_OK) return status;
  if (!t) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no tensor");
  const ingot_port* p = &s->model->inputs[index];
  status = check_tensor(p, "input", t, false);
  if (status == INGOT_OK) status = check_static_dims(p, t);
  if (status != INGOT_OK) return status;
  bool plain = ingot_is_row_major(t);
  int32_t bits = ingot_dtype_bits(p->dtype);
  if (!plain && bits < 8)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got strides, expected a row-major tensor of packed elements",
                      p->name);
  int64_t bytes = ingot_tensor_bytes(p->dtype, t->ndim, t->shape), total = bytes;
  const char* from = (const char*)t->data + t->byte_offset;
  struct ingot_input_slot* slot = &s->inputs[index];
  if (p->dtype == INGOT_STRING) {
    if (!plain)
      return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got strides, expected row-major strings", p->name);
    for (int64_t i = 0; i < bytes / 16; i++) {
      const ingot_string* string = (const ingot_string*)from + i;
      if (string->size < 0 || (string->size && !string->data) || __builtin_add_overflow(total, string->size, &total))
        return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': string %lld has no data", p->name, (long long)i);
    }
  }
  if (slot->copy_bytes < total || !slot->copy) {
    void* copy = ingot_memory_reserve(&s->memory, total);
    if (!copy) return no_room(s, total, "input", p->name);
    ingot_memory_unreserve(&s->memory, slot->copy, slot->copy_bytes);
    slot->copy = copy;
    slot->copy_bytes = total;
  }
  if (bytes && plain) memcpy(slot->copy, from, (size_t)bytes);
  if (bytes && !plain) gather(t, bits / 8, slot->copy);
  if (p->dtype == INGOT_STRING) {
    char* text = (char*)slot->copy + bytes;
    ingot_string* strings = slot->copy;
    for (int64_t i = 0; i < bytes / 16; i++) {
      if (strings[i].size) memcpy(text, strings[i].data, (size_t)strings[i].size);
      strings[i].data = text;
      text += strings[i].size;
    }
  }
  take_tensor(slot, t, slot->copy);
  return INGOT_OK;
}

ingot_status ingot_session_set_input(ingot_session* s, int32_t index, const DLTensor* t) {
  return enter(s) ? leave(s, set_input(s, index, t)) : INGOT_BUSY;
}

static ingot_status bind_object(ingot_session* s, int32_t index, const ingot_object* object) {
  ingot_status status = check_index("input", index, ingot_model_input_count(s->model));
  if (status != INGOT_OK) return status;
  struct ingot_input_slot* slot = &s->inputs[index];
  const ingot_port* p = &s->model->inputs[index];
  if (p->kind == INGOT_KIND_TENSOR)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got an object, expected %s", p->name, p->type);
  if (!object) {
    slot->bound = false;
    return INGOT_OK;
  }
  status = ingot_check_object(&s->model->file.inputs[index], object, p->name);
  if (status != INGOT_OK) return status;
  slot->object = *object;
  slot->bound = true;
  return INGOT_OK;
}

ingot_status ingot_session_bind_input_object(ingot_session* s, int32_t index, const ingot_object* object) {
  return enter(s) ? leave(s, bind_object(s, index, object)) : INGOT_BUSY;
}

static ingot_status bind_output(ingot_session* s, int32_t index, const DLTensor* t) {
  ingot_status status = check_index("output", index, ingot_model_output_count(s->model));
  if (status != INGOT_OK) return status;
  struct ingot_output_slot* slot = &s->outputs[index];
  if (!t) {
    slot->bound = false;
    return INGOT_OK;
  }
  const ingot_port* p = &s->model->outputs[index];
  status = check_tensor(p, "output", t, true);
  if (status != INGOT_OK) return status;
  slot->bound = true;
  slot->data = (char*)t->data + t->byte_offset;
  slot->bound_bytes = ingot_tensor_bytes(p->dtype, t->ndim, t->shape);
  return INGOT_OK;
}

ingot_status ingot_session_bind_output(ingot_session* s, int32_t index, const DLTensor* t) {
  return enter(s) ? leave(s, bind_output(s, index, t)) : INGOT_BUSY;
}

ingot_status ingot_session_run(ingot_session* s) { return enter(s) ? leave(s, ingot_run(s)) : INGOT_BUSY; }

static ingot_status get_output(ingot_session* s, int32_t index, bool object, const void* place) {
  if (!place) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no place for the output");
  ingot_status status = check_index("output", index, ingot_model_output_count(s->model));
  if (status != INGOT_OK) return status;
  if (!s->has_run) return ingot_fail(INGOT_NOT_RUN, "got no successful run, expected one before outputs are read");
  const ingot_port* p = &s->model->outputs[index];
  if ((p->kind != INGOT_KIND_TENSOR) != object)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "output '%s' is %s, expected %s", p->name, p->type,
                      object ? "an object" : "a tensor");
  return INGOT_OK;
}

ingot_status ingot_session_get_output(ingot_session* s, int32_t index, const DLTensor** tensor) {
  if (!enter(s)) return INGOT_BUSY;
  ingot_status status = get_output(s, index, false, tensor);
  if (tensor) *tensor = status == INGOT_OK ? &s->outputs[index].tensor : NULL;
  return leave(s, status);
}

ingot_status ingot_session_get_output_object(ingot_session* s, int32_t index, const ingot_object** object) {
  if (!enter(s)) return INGOT_BUSY;
  ingot_status status = get_output(s, index, true, object);
  if (object) *object = status == INGOT_OK ? s->outputs[index].object : NULL;
  return leave(s, status);
}

void ingot_session_cancel(ingot_session* s) { atomic_store(&s->cancel, kCancelUser); }
const char* ingot_session_error(const ingot_session* s) { return s->error; }

int64_t ingot_session_memory_bytes(const ingot_session* session) {
  ingot_session* s = (ingot_session*)session;
  pthread_mutex_lock(&s->memory.lock);
  int64_t bytes = s->memory.held_bytes;
  pthread_mutex_unlock(&s->memory.lock);
  return bytes;
}

ingot_status ingot_session_profile(ingot_session* s, const ingot_profile_entry** entries, int32_t* count) {
  if (!enter(s)) return INGOT_BUSY;
  if (!entries || !count) return leave(s, ingot_fail(INGOT_INVALID_ARGUMENT, "got no place for the profile"));
  *entries = NULL;
  *count = 0;
  if (!s->profile) return leave(s, ingot_fail(INGOT_INVALID_ARGUMENT, "got a session without INGOT_SESSION_PROFILE"));
  const struct ingot_file* f = &s->model->file;
  const struct ingot_file_image* image = image_of(s->model);
  for (uint32_t i = 0; i < image->kernels.count; i++) {
    const struct ingot_file_kernel* k = &f->kernels[image->kernels.offset + i];
    s->profile[i] = (ingot_profile_entry){
        .kernel = ingot_file_text(f, k->name),
        .node = k->node == INGOT_FILE_NONE ? "" : ingot_file_text(f, f->nodes[image->nodes.offset + k->node].name),
        .schedule = ingot_file_text(f, k->schedule),
        .flops = ingot_file_text(f, k->flops),
        .bytes = ingot_file_text(f, k->bytes),
        .calls = s->times[i].calls,
        .items = s->times[i].items,
        .total_ns = s->times[i].total_ns,
        .device = s->device && ingot_program_has(s->model->program, i) ? ingot_opencl_name() : ""};
  }
  *entries = s->profile;
  *count = (int32_t)image->kernels.count;
  return leave(s, INGOT_OK);
}

void ingot_session_profile_reset(ingot_session* s) {
  if (!s->times) return;
  for (uint32_t i = 0; i < image_of(s->model)->kernels.count; i++)
    s->times[i].calls = s->times[i].items = s->times[i].total_ns = 0;
}
