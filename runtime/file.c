/* Checks the bytes of model.ingot: header, section table, hashes, and every field of the descriptors, so that the rest
 * of the runtime may use them without checks. Any bytes may come in. */
#include <stdlib.h>
#include <string.h>

#include "runtime/hash.h"
#include "runtime/internal.h"

#define BAD(...) return ingot_fail(INGOT_INVALID_FILE, __VA_ARGS__)

static const char* section_name(uint32_t kind) {
  switch (kind) {
    case INGOT_SECTION_DESCRIPTORS: return "descriptors";
    case INGOT_SECTION_MANIFEST: return "manifest";
    case INGOT_SECTION_CODE: return "code";
    case INGOT_SECTION_WEIGHTS: return "weights";
    case INGOT_SECTION_KERNELS: return "kernels";
    case INGOT_SECTION_SIGNATURE: return "signature";
    case INGOT_SECTION_DEFAULTS: return "defaults";
    case INGOT_SECTION_DEBUG_MAP: return "debug map";
  }
  return "unknown";
}

ingot_status ingot_file_check_hash(const struct ingot_file* f, uint32_t index) {
  const struct ingot_file_section* s = &f->sections[index];
  uint8_t hash[INGOT_HASH_BYTES];
  ingot_hash_of(f->data + s->offset, s->size_bytes, hash);
  if (memcmp(hash, s->hash, sizeof hash))
    return ingot_fail(INGOT_VERIFY_FAILED, "section %u (%s) does not have the hash of the section table", index,
                      section_name(s->kind));
  return INGOT_OK;
}

void ingot_file_signed_message(const struct ingot_file* f, uint8_t out[kSignedBytes]) {
  static const char prefix[16] = {INGOT_FILE_SIGNATURE_PREFIX};
  uint8_t head[16] = {0};
  memcpy(head, f->data, 12); /* magic, version */
  ingot_hash hash;
  ingot_hash_begin(&hash);
  ingot_hash_add(&hash, head, sizeof head);
  for (uint32_t i = 0; i < f->section_count; i++)
    if (f->sections[i].kind != INGOT_SECTION_SIGNATURE) ingot_hash_add(&hash, &f->sections[i], sizeof f->sections[i]);
  memcpy(out, prefix, sizeof prefix);
  ingot_hash_end(&hash, out + sizeof prefix);
}

static ingot_status check_sections(struct ingot_file* f) {
  struct ingot_file_header h;
  if (f->size < sizeof h) BAD("got %llu bytes, expected at least %zu", (unsigned long long)f->size, sizeof h);
  memcpy(&h, f->data, sizeof h);
  if (memcmp(h.magic, INGOT_FILE_MAGIC, 8)) BAD("got no INGOT magic, expected a model.ingot file");
  if (h.version != INGOT_FILE_VERSION)
    return ingot_fail(INGOT_UNSUPPORTED, "got file format version %u, expected %u", h.version, INGOT_FILE_VERSION);
  if (h.size_bytes != f->size)
    BAD("got %llu bytes, expected %llu: the file is truncated or has a tail", (unsigned long long)f->size,
        (unsigned long long)h.size_bytes);
  if (h.section_count == 0 || h.section_count > INGOT_FILE_MAX_SECTIONS)
    BAD("got %u sections, expected 1 to %u", h.section_count, INGOT_FILE_MAX_SECTIONS);
  if (h.reserved) BAD("got a reserved field of the header that is not 0");
  uint64_t table_bytes = h.section_count * sizeof(struct ingot_file_section);
  if (f->size < sizeof h + table_bytes) BAD("the section table ends after the file");
  uint8_t hash[INGOT_HASH_BYTES];
  ingot_hash state;
  ingot_hash_begin(&state);
  ingot_hash_add(&state, f->data, offsetof(struct ingot_file_header, table_hash));
  ingot_hash_add(&state, f->data + sizeof h, table_bytes);
  ingot_hash_end(&state, hash);
  if (memcmp(hash, h.table_hash, sizeof hash))
    return ingot_fail(INGOT_VERIFY_FAILED, "the section table does not have the hash of the header");
  f->section_count = h.section_count;
  memcpy(f->sections, f->data + sizeof h, table_bytes);

  uint64_t end = INGOT_FILE_ALIGN;
  uint32_t descriptors = 0, defaults = 0;
  for (uint32_t i = 0; i < f->section_count; i++) {
    const struct ingot_file_section* s = &f->sections[i];
    const char* name = section_name(s->kind);
    if ((s->kind < 1 || s->kind > INGOT_SECTION_DEFAULTS) && s->kind < 0x8000)
      return ingot_fail(INGOT_UNSUPPORTED, "section %u has kind %u, which this runtime does not know", i, s->kind);
    if (s->reserved0 || s->reserved1) BAD("section %u (%s): a reserved field is not 0", i, name);
    if (s->offset % INGOT_FILE_ALIGN)
      BAD("section %u (%s): got offset %llu, expected a multiple of %u", i, name, (unsigned long long)s->offset,
          INGOT_FILE_ALIGN);
    if (s->offset < end || s->offset > f->size || s->size_bytes > f->size - s->offset)
      BAD("section %u (%s): got bytes %llu + %llu, expected them after %llu and inside the file of %llu", i, name,
          (unsigned long long)s->offset, (unsigned long long)s->size_bytes, (unsigned long long)end,
          (unsigned long long)f->size);
    end = s->offset + s->size_bytes;
    if (s->kind == INGOT_SECTION_DESCRIPTORS) descriptors++;
    if (s->kind == INGOT_SECTION_DEFAULTS) defaults++;
    if (s->kind == INGOT_SECTION_SIGNATURE && i + 1 != f->section_count) BAD("the signature is not the last section");
  }
  if (descriptors != 1) BAD("got %u descriptor sections, expected 1", descriptors);
  if (defaults > 1) BAD("got %u sections of defaults, expected at most 1", defaults);
  return INGOT_OK;
}

struct reader {
  struct ingot_file* file;
  uint64_t size;
};

static ingot_status take(const struct reader* r, struct ingot_file_range range, size_t item, const char* what,
                         const void** out) {
  if (range.offset % 8 || range.offset > r->size || range.count > (r->size - range.offset) / item)
    BAD("descriptors: %s: got offset %u, count %u, expected them inside %llu bytes", what, range.offset, range.count,
        (unsigned long long)r->size);
  *out = r->file->descriptor_bytes + range.offset;
  return INGOT_OK;
}

static ingot_status check_text(const struct ingot_file* f, struct ingot_file_text t, const char* what, uint32_t index) {
  uint32_t size = f->head->strings.count;
  if (t.offset >= size || t.size >= size - t.offset || f->strings[t.offset + t.size] != 0 ||
      memchr(f->strings + t.offset, 0, t.size))
    BAD("descriptors: %s %u: a text is outside the strings or not terminated", what, index);
  return INGOT_OK;
}

#define CHECK(expr)                          \
  do {                                       \
    ingot_status status_ = (expr);           \
    if (status_ != INGOT_OK) return status_; \
  } while (0)

const uint8_t* ingot_file_default(const struct ingot_file* f, const struct ingot_file_port* p, int64_t* shape) {
  for (int32_t d = 0; d < p->rank; d++) shape[d] = f->dims[p->first_dim + (uint32_t)(p->rank + d)].extent;
  for (uint32_t i = 0; i < f->section_count; i++)
    if (f->sections[i].kind == INGOT_SECTION_DEFAULTS) return f->data + f->sections[i].offset + 64ull * p->default_at;
  return NULL;
}

/* The contents of an input that may stay unset: of its type, and inside the section. */
static ingot_status check_default(const struct ingot_file* f, const struct ingot_file_port* p, uint32_t index) {
  int64_t shape[INGOT_MAX_RANK];
  if (!(p->flags & INGOT_PORT_OPTIONAL) || p->levels[0] != INGOT_LEVEL_TENSOR || p->dtype == INGOT_STRING)
    BAD("descriptors: port %u has contents, expected those of an optional tensor of numbers", index);
  if (p->first_dim > f->head->dims.count || 2 * (uint32_t)p->rank > f->head->dims.count - p->first_dim)
    BAD("descriptors: port %u: the extents of its contents are outside the table", index);
  const uint8_t* data = ingot_file_default(f, p, shape);
  for (int32_t d = 0; d < p->rank; d++) {
    int64_t declared = f->dims[p->first_dim + (uint32_t)d].extent;
    if (shape[d] < 0 || (declared >= 0 && shape[d] != declared))
      BAD("descriptors: port %u: got contents of extent %lld, expected %lld", index, (long long)shape[d],
          (long long)declared);
  }
  int64_t bytes = ingot_tensor_bytes(p->dtype, p->rank, shape);
  uint64_t size = 0;
  for (uint32_t i = 0; i < f->section_count; i++)
    if (f->sections[i].kind == INGOT_SECTION_DEFAULTS) size = f->sections[i].size_bytes;
  uint64_t at = 64ull * p->default_at;
  if (!data || bytes < 0 || at > size || (uint64_t)bytes > size - at)
    BAD("descriptors: port %u: its contents are outside the section of defaults", index);
  return INGOT_OK;
}

static ingot_status check_ports(const struct ingot_file* f, const struct ingot_file_port* ports, uint32_t count,
                                const char* what) {
  if (count > INGOT_FILE_MAX_PORTS)
    BAD("descriptors: got %u of %s, expected at most %u", count, what, INGOT_FILE_MAX_PORTS);
  for (uint32_t i = 0; i < count; i++) {
    const struct ingot_file_port* p = &ports[i];
    CHECK(check_text(f, p->name, what, i));
    CHECK(check_text(f, p->type, what, i));
    if (!ingot_dtype_known(p->dtype)) BAD("descriptors: %s %u: got dtype %d, which is not known", what, i, p->dtype);
    int depth = 0;
    while (depth < INGOT_FILE_MAX_NESTING && p->levels[depth] != INGOT_LEVEL_TENSOR) {
      if (p->levels[depth] > INGOT_LEVEL_MAP) BAD("descriptors: %s %u: got level %u", what, i, p->levels[depth]);
      if (p->levels[depth] == INGOT_LEVEL_MAP && !ingot_dtype_known(p->key_dtype))
        BAD("descriptors: %s %u: got key dtype %d", what, i, p->key_dtype);
      depth++;
    }
    if (depth == INGOT_FILE_MAX_NESTING) BAD("descriptors: %s %u: nested too deep", what, i);
    if (p->rank < (depth ? -1 : 0) || p->rank > INGOT_MAX_RANK)
      BAD("descriptors: %s %u: got rank %d, expected at most %d", what, i, p->rank, INGOT_MAX_RANK);
    uint32_t rank = p->rank > 0 ? (uint32_t)p->rank : 0;
    if (p->first_dim > f->head->dims.count || rank > f->head->dims.count - p->first_dim)
      BAD("descriptors: %s %u: its dims are outside the table", what, i);
    if (p->flags & INGOT_PORT_DEFAULT) CHECK(check_default(f, p, i));
    int64_t shape[INGOT_MAX_RANK];
    for (uint32_t d = 0; d < rank; d++) {
      int64_t extent = f->dims[p->first_dim + d].extent;
      shape[d] = extent < 0 ? 1 : extent;
    }
    if (ingot_tensor_bytes(p->dtype, (int32_t)rank, shape) < 0)
      BAD("descriptors: %s %u: the size of its shape overflows", what, i);
  }
  return INGOT_OK;
}

static bool sub_range(struct ingot_file_range r, uint32_t count) {
  return r.offset <= count && r.count <= count - r.offset;
}

static ingot_status check_images(const struct ingot_file* f) {
  const struct ingot_file_descriptors* h = f->head;
  for (uint32_t i = 0; i < h->images.count; i++) {
    const struct ingot_file_image* m = &f->images[i];
    CHECK(check_text(f, m->target, "image", i));
    if (m->arena_bytes < -1) BAD("descriptors: image %u: got an arena of %lld bytes", i, (long long)m->arena_bytes);
    if (m->code_section >= f->section_count || f->sections[m->code_section].kind != INGOT_SECTION_CODE)
      BAD("descriptors: image %u: got code section %u, which is none", i, m->code_section);
    if (m->weights_section != INGOT_FILE_NONE &&
        (m->weights_section >= f->section_count || f->sections[m->weights_section].kind != INGOT_SECTION_WEIGHTS))
      BAD("descriptors: image %u: got weights section %u, which is none", i, m->weights_section);
    if (m->kernels_section != INGOT_FILE_NONE &&
        (m->kernels_section >= f->section_count || f->sections[m->kernels_section].kind != INGOT_SECTION_KERNELS))
      BAD("descriptors: image %u: got kernels section %u, which is none", i, m->kernels_section);
    if (!sub_range(m->nodes, h->nodes.count) || !sub_range(m->kernels, h->kernels.count) ||
        !sub_range(m->messages, h->messages.count) || !sub_range(m->values, h->values.count))
      BAD("descriptors: image %u: its nodes, kernels, messages or values are outside the tables", i);
    for (uint32_t k = 0; k < m->kernels.count; k++) {
      uint32_t node = f->kernels[m->kernels.offset + k].node;
      if (node != INGOT_FILE_NONE && node >= m->nodes.count)
        BAD("descriptors: image %u: kernel %u: got node %u, expected less than %u", i, k, node, m->nodes.count);
    }
  }
  return INGOT_OK;
}

static ingot_status check_descriptors(struct ingot_file* f, const struct ingot_file_section* s) {
  if (s->size_bytes < sizeof(struct ingot_file_descriptors) || s->size_bytes > INGOT_FILE_MAX_DESCRIPTORS)
    BAD("descriptors: got %llu bytes, expected %zu to %u", (unsigned long long)s->size_bytes,
        sizeof(struct ingot_file_descriptors), INGOT_FILE_MAX_DESCRIPTORS);
  f->descriptor_bytes = malloc(s->size_bytes);
  if (!f->descriptor_bytes)
    return ingot_fail(INGOT_NO_MEMORY, "no memory for %llu bytes of descriptors", (unsigned long long)s->size_bytes);
  memcpy(f->descriptor_bytes, f->data + s->offset, s->size_bytes);
  uint8_t hash[INGOT_HASH_BYTES];
  ingot_hash_of(f->descriptor_bytes, s->size_bytes, hash);
  if (memcmp(hash, s->hash, sizeof hash))
    return ingot_fail(INGOT_VERIFY_FAILED, "the descriptors do not have the hash of the section table");

  const struct ingot_file_descriptors* h = (const void*)f->descriptor_bytes;
  f->head = h;
  if (h->abi_version != INGOT_ABI_VERSION)
    return ingot_fail(INGOT_UNSUPPORTED, "got code for interface version %u, expected %u: compile the model anew",
                      h->abi_version, INGOT_ABI_VERSION);
  struct reader r = {f, s->size_bytes};
#define TAKE(field) CHECK(take(&r, h->field, sizeof *f->field, #field, (const void**)&f->field))
  TAKE(inputs);
  TAKE(outputs);
  TAKE(dims);
  TAKE(symbols);
  TAKE(images);
  TAKE(nodes);
  TAKE(kernels);
  TAKE(messages);
  TAKE(values);
  TAKE(aliases);
  TAKE(metadata);
  TAKE(strings);
#undef TAKE
  CHECK(check_text(f, h->name, "name", 0));
  CHECK(check_text(f, h->producer, "producer", 0));
  for (uint32_t i = 0; i < h->symbols.count; i++) CHECK(check_text(f, f->symbols[i].name, "symbol", i));
  for (uint32_t i = 0; i < h->dims.count; i++) {
    const struct ingot_file_dim* d = &f->dims[i];
    if (d->extent < -1) BAD("descriptors: dim %u: got extent %lld", i, (long long)d->extent);
    if (d->symbol != INGOT_FILE_NONE && (d->symbol >= h->symbols.count || d->extent >= 0))
      BAD("descriptors: dim %u: got symbol %u of a table of %u", i, d->symbol, h->symbols.count);
  }
  CHECK(check_ports(f, f->inputs, h->inputs.count, "input"));
  CHECK(check_ports(f, f->outputs, h->outputs.count, "output"));
  for (uint32_t i = 0; i < h->nodes.count; i++) {
    CHECK(check_text(f, f->nodes[i].name, "node", i));
    CHECK(check_text(f, f->nodes[i].op, "node", i));
  }
  for (uint32_t i = 0; i < h->kernels.count; i++) {
    const struct ingot_file_kernel* k = &f->kernels[i];
    CHECK(check_text(f, k->name, "kernel", i));
    CHECK(check_text(f, k->schedule, "kernel", i));
    CHECK(check_text(f, k->flops, "kernel", i));
    CHECK(check_text(f, k->bytes, "kernel", i));
  }
  for (uint32_t i = 0; i < h->messages.count; i++) CHECK(check_text(f, f->messages[i], "message", i));
  for (uint32_t i = 0; i < h->values.count; i++) CHECK(check_text(f, f->values[i], "value", i));
  for (uint32_t i = 0; i < h->metadata.count; i++) {
    CHECK(check_text(f, f->metadata[i].key, "metadata", i));
    CHECK(check_text(f, f->metadata[i].value, "metadata", i));
  }
  for (uint32_t i = 0; i < h->aliases.count; i++)
    if (f->aliases[i].input >= h->inputs.count || f->aliases[i].output >= h->outputs.count)
      BAD("descriptors: alias %u: got input %u, output %u, which do not exist", i, f->aliases[i].input,
          f->aliases[i].output);
  return check_images(f);
}

ingot_status ingot_file_check(struct ingot_file* f) {
  CHECK(check_sections(f));
  for (uint32_t i = 0; i < f->section_count; i++)
    if (f->sections[i].kind == INGOT_SECTION_DESCRIPTORS) return check_descriptors(f, &f->sections[i]);
  return INGOT_INVALID_FILE;
}
