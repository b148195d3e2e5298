/* Runs a compiled model on another machine, or under an emulator: runner MODEL.ingot [IN.npy ...] -o DIR
 *
 * Linked statically with the runtime, it needs nothing on that machine. Inputs are bound by position ("-": absent);
 * outputs become DIR/OUT0.npy, DIR/OUT1.npy, ... Types that NumPy lacks travel as unsigned integers of their width.
 * .npy files of versions 1 and 2, little endian, C order; no strings, sequences, optionals or maps, nothing packed.
 * Exit: 0, 1 where the model or the data is refused (the last line of stderr says why), 2 for a wrong call. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/ingot.h"

enum { kMaxRank = 32, kMaxInputs = 256, kMaxHeaderBytes = 4096 };

static void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

static void* allocate(size_t bytes) {
  /* The runtime wants tensors aligned to their elements; vectors like 64. */
  void* p = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
  if (!p) fail("no memory for %zu bytes", bytes);
  return p;
}

/* The text after 'KEY': in a header. */
static const char* field(const char* header, const char* key, const char* path) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "'%s':", key);
  const char* at = strstr(header, quoted);
  if (!at) fail("%s: malformed .npy header: no %s", path, key);
  at += strlen(quoted);
  while (*at == ' ') ++at;
  return at;
}

static void parse_shape(const char* at, const char* path, DLTensor* t) {
  if (*at++ != '(') fail("%s: malformed .npy shape", path);
  t->shape = allocate(kMaxRank * sizeof(int64_t));
  t->ndim = 0;
  for (;;) {
    while (*at == ' ' || *at == ',') ++at;
    if (*at == ')') return;
    char* end;
    const long long extent = strtoll(at, &end, 10);
    if (end == at || extent < 0) fail("%s: malformed .npy shape", path);
    if (t->ndim == kMaxRank) fail("%s: got more than %d dimensions", path, kMaxRank);
    t->shape[t->ndim++] = extent;
    at = end;
  }
}

static size_t tensor_bytes(const DLTensor* t, const char* path) {
  int64_t bytes = (t->dtype.bits + 7) / 8;
  for (int32_t d = 0; d < t->ndim; ++d)
    if (__builtin_mul_overflow(bytes, t->shape[d], &bytes)) fail("%s: the tensor is too large", path);
  return (size_t)bytes;
}

/* Reads a file as a tensor of the port's type; widths must fit, and the kinds of numbers where NumPy has the type. */
static DLTensor read_npy(const char* path, const ingot_port* port) {
  FILE* file = fopen(path, "rb");
  if (!file) fail("cannot read %s", path);
  unsigned char start[12];
  if (fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY", 6) != 0) fail("%s: not a .npy file", path);
  size_t length = start[8] | (size_t)start[9] << 8;
  if (start[6] == 2) {
    if (fread(start + 10, 1, 2, file) != 2) fail("%s: the header is cut short", path);
    length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
  } else if (start[6] != 1) {
    fail("%s: got .npy version %d, expected 1 or 2", path, start[6]);
  }
  if (length > kMaxHeaderBytes)
    fail("%s: got a header of %zu bytes, expected at most %d", path, length, kMaxHeaderBytes);
  char header[kMaxHeaderBytes + 1];
  if (fread(header, 1, length, file) != length) fail("%s: the header is cut short", path);
  header[length] = 0;

  DLTensor t;
  memset(&t, 0, sizeof t);
  t.device.device_type = kDLCPU;
  t.dtype = port->dl_dtype;
  const char* type = field(header, "descr", path);
  if (type[0] != '\'' || (type[1] != '<' && type[1] != '|')) fail("%s: expected little endian numbers", path);
  const int bits = type[2] == 'b' ? 8 : atoi(type + 3) * 8;
  static const struct {
    uint8_t code;
    char letter;
  } kLetters[] = {{kDLInt, 'i'}, {kDLUInt, 'u'}, {kDLFloat, 'f'}, {kDLComplex, 'c'}, {kDLBool, 'b'}};
  char letter = 'u';
  for (size_t i = 0; i < sizeof kLetters / sizeof *kLetters; ++i)
    if (kLetters[i].code == t.dtype.code) letter = kLetters[i].letter;
  const int want = t.dtype.bits < 8 ? 8 : t.dtype.bits; /* bool has 1 or 8 */
  if (type[2] != letter || bits != want)
    fail("%s: got '%.3s', expected %s for input '%s'", path, type + 1, port->type, port->name);
  if (strncmp(field(header, "fortran_order", path), "False", 5) != 0) fail("%s: expected C order", path);
  parse_shape(field(header, "shape", path), path, &t);
  const size_t bytes = tensor_bytes(&t, path);
  t.data = allocate(bytes);
  if (fread(t.data, 1, bytes, file) != bytes || fgetc(file) != EOF) fail("%s: expected %zu bytes of data", path, bytes);
  fclose(file);
  return t;
}

static void write_npy(const char* path, const DLTensor* t) {
  char header[kMaxHeaderBytes];
  char letter = 'u';
  switch (t->dtype.code) {
    case kDLInt: letter = 'i'; break;
    case kDLFloat: letter = 'f'; break;
    case kDLComplex: letter = 'c'; break;
    case kDLBool: letter = 'b'; break;
    default: break;
  }
  const int item = (t->dtype.bits + 7) / 8;
  int n = snprintf(header, sizeof header, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                   item > 1 ? '<' : '|', letter, item);
  for (int32_t d = 0; d < t->ndim; ++d)
    n += snprintf(header + n, sizeof header - (size_t)n, "%lld, ", (long long)t->shape[d]);
  n += snprintf(header + n, sizeof header - (size_t)n, "), }");
  while ((10 + n + 1) % 64 != 0) header[n++] = ' ';
  header[n++] = '\n';
  const unsigned char start[10] = {
      0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(n & 255), (unsigned char)(n >> 8)};
  FILE* file = fopen(path, "wb");
  const size_t bytes = tensor_bytes(t, path);
  const int good = file && fwrite(start, 1, sizeof start, file) == sizeof start &&
                   fwrite(header, 1, (size_t)n, file) == (size_t)n &&
                   fwrite((const char*)t->data + t->byte_offset, 1, bytes, file) == bytes;
  if ((file && fclose(file) != 0) || !good) fail("cannot write %s", path);
}

static void check_type(const ingot_port* port) {
  const int code = port->dl_dtype.code, bits = port->dl_dtype.bits;
  if (port->kind != INGOT_KIND_TENSOR || code == kDLOpaqueHandle || (bits < 8 && code != kDLBool))
    fail("'%s' is %s, expected a tensor of whole bytes", port->name, port->type);
}

int main(int argc, char** argv) {
  const char *model_path = NULL, *directory = NULL, *inputs[kMaxInputs];
  int32_t count = 0;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) directory = argv[++i];
    else if (!model_path) model_path = argv[i];
    else if (count < kMaxInputs) inputs[count++] = argv[i];
  }
  if (!model_path || !directory) {
    fprintf(stderr, "usage: runner MODEL.ingot [IN.npy ...] -o DIR\n");
    return 2;
  }
  ingot_model* model = NULL;
  ingot_session* session = NULL;
  if (ingot_model_load(model_path, NULL, &model) != INGOT_OK) fail("%s", ingot_last_error());
  if (count != ingot_model_input_count(model))
    fail("got %d inputs, expected %d", count, ingot_model_input_count(model));
  if (ingot_session_create(model, NULL, &session) != INGOT_OK) fail("%s", ingot_last_error());
  for (int32_t i = 0; i < count; ++i) {
    if (strcmp(inputs[i], "-") == 0) continue;
    check_type(ingot_model_input(model, i));
    const DLTensor t = read_npy(inputs[i], ingot_model_input(model, i));
    if (ingot_session_bind_input(session, i, &t) != INGOT_OK) fail("%s", ingot_session_error(session));
  }
  if (ingot_session_run(session) != INGOT_OK) fail("%s", ingot_session_error(session));
  for (int32_t i = 0; i < ingot_model_output_count(model); ++i) {
    check_type(ingot_model_output(model, i));
    const DLTensor* t = NULL;
    if (ingot_session_get_output(session, i, &t) != INGOT_OK) fail("%s", ingot_session_error(session));
    char path[4096];
    if (snprintf(path, sizeof path, "%s/OUT%d.npy", directory, i) >= (int)sizeof path) fail("the path is too long");
    write_npy(path, t);
  }
  ingot_session_free(session);
  ingot_model_free(model);
  return 0;
}
