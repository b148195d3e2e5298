/* A model: the checked file, the image that fits this CPU, mapped, and the ports for the caller. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/internal.h"

static bool env_flag(const char* name) {
  const char* value = getenv(name);
  return value && *value && strcmp(value, "0");
}

static ingot_status open_file(const char* path, struct ingot_file* f) {
  f->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (f->fd < 0) return ingot_fail(INGOT_IO, "cannot open %s: %s", path, strerror(errno));
  struct stat st;
  if (fstat(f->fd, &st)) return ingot_fail(INGOT_IO, "cannot read %s: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode)) return ingot_fail(INGOT_IO, "cannot map %s: it is not a regular file", path);
  if (st.st_size < (off_t)sizeof(struct ingot_file_header))
    return ingot_fail(INGOT_INVALID_FILE, "got %lld bytes, expected a model.ingot file", (long long)st.st_size);
  void* data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, f->fd, 0);
  if (data == MAP_FAILED) return ingot_fail(INGOT_IO, "cannot map %s: %s", path, strerror(errno));
  f->data = data;
  f->size = (uint64_t)st.st_size;
  return INGOT_OK;
}

static void destroy(ingot_model* m) {
  if (m->dl_handle) dlclose(m->dl_handle);
  ingot_elf_unmap(&m->mapping);
  if (m->file.fd >= 0) {
    if (m->file.data) munmap((void*)m->file.data, m->file.size);
    close(m->file.fd);
  }
  free(m->weights_copy);
  ingot_program_free(m->program);
  free(m->file.descriptor_bytes);
  free(m->inputs);
  free(m->outputs);
  free(m->port_dims);
  free(m->port_symbols);
  free(m);
}

static ingot_status fill_ports(ingot_model* m) {
  const struct ingot_file* f = &m->file;
  const struct ingot_file_descriptors* h = f->head;
  m->inputs = calloc(h->inputs.count + 1, sizeof *m->inputs);
  m->outputs = calloc(h->outputs.count + 1, sizeof *m->outputs);
  m->port_dims = calloc(h->dims.count + 1, sizeof *m->port_dims);
  m->port_symbols = calloc(h->dims.count + 1, sizeof *m->port_symbols);
  if (!m->inputs || !m->outputs || !m->port_dims || !m->port_symbols)
    return ingot_fail(INGOT_NO_MEMORY, "no memory for the model's description");
  for (uint32_t i = 0; i < h->dims.count; i++) {
    m->port_dims[i] = f->dims[i].extent;
    m->port_symbols[i] =
        f->dims[i].symbol == INGOT_FILE_NONE ? "" : ingot_file_text(f, f->symbols[f->dims[i].symbol].name);
  }
  for (int output = 0; output < 2; output++) {
    const struct ingot_file_port* from = output ? f->outputs : f->inputs;
    ingot_port* to = output ? m->outputs : m->inputs;
    uint32_t count = output ? h->outputs.count : h->inputs.count;
    for (uint32_t i = 0; i < count; i++) {
      to[i] = (ingot_port){.name = ingot_file_text(f, from[i].name),
                           .type = ingot_file_text(f, from[i].type),
                           .kind = (ingot_kind)from[i].levels[0],
                           .dtype = from[i].dtype,
                           .dl_dtype = ingot_dtype_to_dlpack(from[i].dtype),
                           .rank = from[i].rank,
                           .dims = m->port_dims + from[i].first_dim,
                           .symbols = m->port_symbols + from[i].first_dim,
                           .may_be_absent = (from[i].flags & INGOT_PORT_OPTIONAL) != 0,
                           .alias_of_input = -1};
    }
  }
  for (uint32_t i = 0; i < h->aliases.count; i++)
    m->outputs[f->aliases[i].output].alias_of_input = (int32_t)f->aliases[i].input;
  return INGOT_OK;
}

static bool cpu_fits(const struct ingot_file_image* image) {
  return image->machine == ingot_cpu_machine() &&
         (image->kind == INGOT_IMAGE_HOST || image->kind == INGOT_IMAGE_OPENCL) &&
         (image->features & ~ingot_cpu_features()) == 0;
}

/* Asks only where an image of this CPU needs it. */
static bool system_grants(const struct ingot_file_image* image) { return ingot_cpu_enable(image->features) == 0; }

/* Looks for a device only where an image needs one. */
static bool device_fits(const struct ingot_file_image* image) {
  return image->kind != INGOT_IMAGE_OPENCL || ingot_opencl_probe() == INGOT_OK;
}

static ingot_status choose_image(ingot_model* m, const char* target) {
  const struct ingot_file* f = &m->file;
  int32_t best = -1;
  bool lacks_device = false, refused = false;
  char have[512] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < f->head->images.count; i++) {
    const struct ingot_file_image* image = &f->images[i];
    const char* name = ingot_file_text(f, image->target);
    if (used < sizeof have)
      used += (size_t)snprintf(have + used, sizeof have - used, "%s%.100s", used ? ", " : "", name);
    if (target && strcmp(target, name)) continue;
    if (!cpu_fits(image) || (best >= 0 && image->priority <= f->images[best].priority)) continue;
    if (!device_fits(image)) lacks_device = true;
    else if (!system_grants(image)) refused = true;
    else best = (int32_t)i;
  }
  m->image = best;
  if (best >= 0) return INGOT_OK;
  if (lacks_device) return ingot_opencl_probe();
  if (refused) return ingot_fail(INGOT_UNSUPPORTED, "the operating system refuses the use of AMX tiles");
  char features[512];
  ingot_cpu_feature_text(ingot_cpu_machine(), ingot_cpu_features(), features, sizeof features);
  return ingot_fail(INGOT_UNSUPPORTED, "got images for %s, expected one%s%s that this CPU can run; it has %s",
                    used ? have : "nothing", target ? " named " : "", target ? target : "", features);
}

/* Loads a copy of the image in `directory` by dlopen, which debuggers and profilers follow. */
static ingot_status load_debug_copy(ingot_model* m, const char* directory, const struct ingot_file_section* code) {
  const struct ingot_file* f = &m->file;
  char path[1024], name[128];
  snprintf(name, sizeof name, "%.60s.%.60s", ingot_file_text(f, f->head->name),
           ingot_file_text(f, f->images[m->image].target));
  for (char* c = name; *c; c++)
    if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && *c != '-' && *c != '.')
      *c = '_';
  int length = snprintf(path, sizeof path, "%s/%s.%02x%02x%02x%02x.so", directory, name, code->hash[0], code->hash[1],
                        code->hash[2], code->hash[3]);
  if (length >= (int)sizeof path) return ingot_fail(INGOT_INVALID_ARGUMENT, "the debug directory's path is too long");
  FILE* out = fopen(path, "wb");
  if (!out || fwrite(f->data + code->offset, 1, code->size_bytes, out) != code->size_bytes || fclose(out))
    return ingot_fail(INGOT_IO, "cannot write %s: %s", path, strerror(errno));
  char absolute[4096];
  m->dl_handle = dlopen(realpath(path, absolute) ? absolute : path, RTLD_NOW | RTLD_LOCAL);
  void* entry = m->dl_handle ? dlsym(m->dl_handle, "ingot_entry") : NULL;
  if (!entry) return ingot_fail(INGOT_IO, "cannot load %s: %s", path, dlerror());
  memcpy(&m->entry, &entry, sizeof entry);
  return INGOT_OK;
}

/* Compiles the kernels for the device, and copies the weights to where both sides see them. */
static ingot_status load_kernels(ingot_model* m) {
  const struct ingot_file* f = &m->file;
  const struct ingot_file_image* image = &f->images[m->image];
  if (image->kind != INGOT_IMAGE_OPENCL) return INGOT_OK;
  if (image->kernels_section == INGOT_FILE_NONE)
    return ingot_fail(INGOT_INVALID_FILE, "image '%s' has no kernels", ingot_file_text(f, image->target));
  const struct ingot_file_section* s = &f->sections[image->kernels_section];
  uint64_t weights_bytes =
      image->weights_section == INGOT_FILE_NONE ? 0 : f->sections[image->weights_section].size_bytes;
  ingot_status status = ingot_program_create(f->data + s->offset, s->size_bytes, s->hash, image->kernels.count,
                                             m->weights, weights_bytes, &m->program);
  if (status == INGOT_OK && weights_bytes) m->weights = ingot_program_weights(m->program);
  return status;
}

static ingot_status load_image(ingot_model* m, const ingot_load_options* o) {
  const struct ingot_file* f = &m->file;
  const char* target = o->target ? o->target : getenv("INGOT_TARGET");
  ingot_status status = choose_image(m, target && *target ? target : NULL);
  if (status != INGOT_OK) return status;
  const struct ingot_file_image* image = &f->images[m->image];
  const struct ingot_file_section* code = &f->sections[image->code_section];

  struct ingot_elf elf;
  status = ingot_elf_check(f->data + code->offset, code->size_bytes, image->machine, &elf);
  if (status != INGOT_OK) return status;
  const char* directory = o->debug_directory ? o->debug_directory : getenv("INGOT_DEBUG_DIR");
  if (directory && *directory) {
    status = load_debug_copy(m, directory, code);
  } else {
    bool perf = (o->flags & INGOT_LOAD_PERF_MAP) || env_flag("INGOT_PERF_MAP");
    void* entry = NULL;
    status = ingot_elf_map(&elf, perf ? -1 : f->fd, code->offset, &m->mapping, &entry);
    if (status == INGOT_OK) memcpy(&m->entry, &entry, sizeof entry);
    if (status == INGOT_OK && perf) status = ingot_elf_perf_map(&elf, &m->mapping, ingot_file_text(f, f->head->name));
  }
  if (status != INGOT_OK) return status;

  if (image->weights_section == INGOT_FILE_NONE) return load_kernels(m);
  const struct ingot_file_section* weights = &f->sections[image->weights_section];
  m->weights = f->data + weights->offset;
  if ((uintptr_t)m->weights % 64) {
    if (posix_memalign(&m->weights_copy, 64, weights->size_bytes ? weights->size_bytes : 1)) {
      m->weights_copy = NULL;
      return ingot_fail(INGOT_NO_MEMORY, "no memory for %llu bytes of weights",
                        (unsigned long long)weights->size_bytes);
    }
    memcpy(m->weights_copy, m->weights, weights->size_bytes);
    m->weights = m->weights_copy;
  }
  return load_kernels(m);
}

static ingot_status check_signature(const ingot_model* m, const ingot_load_options* o) {
  const struct ingot_file* f = &m->file;
  const struct ingot_file_section* last = &f->sections[f->section_count - 1];
  bool is_signed = last->kind == INGOT_SECTION_SIGNATURE;
  uint8_t message[kSignedBytes];
  ingot_file_signed_message(f, message);
  if (o->verify(o->verify_user, message, sizeof message, f->data + last->offset, is_signed ? last->size_bytes : 0))
    return ingot_fail(INGOT_VERIFY_FAILED, is_signed ? "the signature was refused" : "got no signature, expected one");
  return INGOT_OK;
}

static ingot_status load(ingot_model* m, const ingot_load_options* o) {
  struct ingot_file* f = &m->file;
  ingot_status status = ingot_file_check(f);
  for (uint32_t i = 0; status == INGOT_OK && i < f->section_count; i++) {
    uint32_t kind = f->sections[i].kind;
    bool asked = kind == INGOT_SECTION_WEIGHTS ? o->verify || (o->flags & INGOT_LOAD_VERIFY_WEIGHTS)
                                               : kind != INGOT_SECTION_DESCRIPTORS; /* checked on its copy */
    if (asked) status = ingot_file_check_hash(f, i);
  }
  if (status == INGOT_OK && o->verify) status = check_signature(m, o);
  if (status == INGOT_OK) status = fill_ports(m);
  if (status == INGOT_OK && !(o->flags & INGOT_LOAD_INSPECT)) status = load_image(m, o);
  return status;
}

static ingot_status finish(ingot_model* m, const char* path, const ingot_load_options* options, ingot_status status,
                           ingot_model** out) {
  ingot_load_options o;
  if (status == INGOT_OK) status = ingot_read_options(&o, sizeof o, options);
  const uint32_t known = INGOT_LOAD_VERIFY_WEIGHTS | INGOT_LOAD_PERF_MAP | INGOT_LOAD_INSPECT;
  if (status == INGOT_OK && (o.flags & ~known))
    status = ingot_fail(INGOT_INVALID_ARGUMENT, "got load flags 0x%x, expected a subset of 0x%x", o.flags, known);
  if (status == INGOT_OK) status = load(m, &o);
  if (status == INGOT_OK) {
    ingot_clear_error();
    *out = m;
    return status;
  }
  destroy(m);
  if (path && status != INGOT_IO) ingot_fail(status, "%s\n  in %s", ingot_last_error(), path);
  return status;
}

static ingot_model* create(void) {
  ingot_model* m = calloc(1, sizeof *m);
  if (!m) {
    ingot_fail(INGOT_NO_MEMORY, "no memory for the model");
    return NULL;
  }
  m->file.fd = -1;
  m->image = -1;
  atomic_init(&m->references, 1);
  return m;
}

ingot_status ingot_model_load(const char* path, const ingot_load_options* options, ingot_model** out) {
  if (!out) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no place for the model");
  *out = NULL;
  if (!path) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no path");
  ingot_model* m = create();
  return m ? finish(m, path, options, open_file(path, &m->file), out) : INGOT_NO_MEMORY;
}

ingot_status ingot_model_load_memory(const void* data, size_t size, const ingot_load_options* options,
                                     ingot_model** out) {
  if (!out) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no place for the model");
  *out = NULL;
  if (!data) return ingot_fail(INGOT_INVALID_ARGUMENT, "got no data");
  ingot_model* m = create();
  if (!m) return INGOT_NO_MEMORY;
  m->file.data = data;
  m->file.size = size;
  return finish(m, NULL, options, INGOT_OK, out);
}

void ingot_model_retain(ingot_model* m) { atomic_fetch_add(&m->references, 1); }

void ingot_model_free(ingot_model* m) {
  if (m && atomic_fetch_sub(&m->references, 1) == 1) destroy(m);
}

int32_t ingot_model_input_count(const ingot_model* m) { return (int32_t)m->file.head->inputs.count; }
int32_t ingot_model_output_count(const ingot_model* m) { return (int32_t)m->file.head->outputs.count; }
const ingot_port* ingot_model_input(const ingot_model* m, int32_t i) {
  return i >= 0 && i < ingot_model_input_count(m) ? &m->inputs[i] : NULL;
}
const ingot_port* ingot_model_output(const ingot_model* m, int32_t i) {
  return i >= 0 && i < ingot_model_output_count(m) ? &m->outputs[i] : NULL;
}

static int32_t find(const ingot_port* ports, int32_t count, const char* name) {
  for (int32_t i = 0; name && i < count; i++)
    if (!strcmp(ports[i].name, name)) return i;
  return -1;
}
int32_t ingot_model_find_input(const ingot_model* m, const char* name) {
  return find(m->inputs, ingot_model_input_count(m), name);
}
int32_t ingot_model_find_output(const ingot_model* m, const char* name) {
  return find(m->outputs, ingot_model_output_count(m), name);
}
const char* ingot_model_name(const ingot_model* m) { return ingot_file_text(&m->file, m->file.head->name); }
const char* ingot_model_producer(const ingot_model* m) { return ingot_file_text(&m->file, m->file.head->producer); }
const char* ingot_model_target(const ingot_model* m) {
  return m->image < 0 ? "" : ingot_file_text(&m->file, m->file.images[m->image].target);
}

const char* ingot_model_manifest(const ingot_model* m, size_t* size_bytes) {
  const struct ingot_file* f = &m->file;
  for (uint32_t i = 0; i < f->section_count; i++) {
    if (f->sections[i].kind != INGOT_SECTION_MANIFEST) continue;
    *size_bytes = f->sections[i].size_bytes;
    return (const char*)f->data + f->sections[i].offset;
  }
  *size_bytes = 0;
  return "";
}

const char* ingot_model_metadata(const ingot_model* m, int32_t index, const char** value) {
  if (index < 0 || (uint32_t)index >= m->file.head->metadata.count) return NULL;
  const struct ingot_file_metadata* entry = &m->file.metadata[index];
  if (value) *value = ingot_file_text(&m->file, entry->value);
  return ingot_file_text(&m->file, entry->key);
}

int32_t ingot_model_image_count(const ingot_model* m) { return (int32_t)m->file.head->images.count; }

ingot_status ingot_model_image(const ingot_model* m, int32_t index, ingot_image_info* info) {
  const struct ingot_file* f = &m->file;
  if (index < 0 || index >= ingot_model_image_count(m) || !info)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "got image %d, expected less than %d", index, ingot_model_image_count(m));
  const struct ingot_file_image* image = &f->images[index];
  const struct ingot_file_section* code = &f->sections[image->code_section];
  *info = (ingot_image_info){
      .target = ingot_file_text(f, image->target),
      .kind = image->kind,
      .machine = image->machine,
      .features = image->features,
      .arena_bytes = image->arena_bytes,
      .code = f->data + code->offset,
      .code_bytes = code->size_bytes,
      .weights_bytes = image->weights_section == INGOT_FILE_NONE ? 0 : f->sections[image->weights_section].size_bytes,
      .usable = cpu_fits(image) && device_fits(image) && system_grants(image)};
  return INGOT_OK;
}
