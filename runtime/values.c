/* Element types, sizes of tensors, and the checks and copies of sequences, optionals and maps. */
#include <stdio.h>
#include <string.h>

#include "runtime/internal.h"

static const struct {
  const char* name;
  uint8_t code, bits;
} kTypes[] = {[INGOT_F32] = {"f32", kDLFloat, 32},
              [INGOT_U8] = {"u8", kDLUInt, 8},
              [INGOT_I8] = {"i8", kDLInt, 8},
              [INGOT_U16] = {"u16", kDLUInt, 16},
              [INGOT_I16] = {"i16", kDLInt, 16},
              [INGOT_I32] = {"i32", kDLInt, 32},
              [INGOT_I64] = {"i64", kDLInt, 64},
              [INGOT_STRING] = {"string", kDLOpaqueHandle, 128},
              [INGOT_BOOL] = {"bool", kDLBool, 8},
              [INGOT_F16] = {"f16", kDLFloat, 16},
              [INGOT_F64] = {"f64", kDLFloat, 64},
              [INGOT_U32] = {"u32", kDLUInt, 32},
              [INGOT_U64] = {"u64", kDLUInt, 64},
              [INGOT_C64] = {"c64", kDLComplex, 64},
              [INGOT_C128] = {"c128", kDLComplex, 128},
              [INGOT_BF16] = {"bf16", kDLBfloat, 16},
              [INGOT_F8E4M3FN] = {"f8e4m3fn", kDLFloat8_e4m3fn, 8},
              [INGOT_F8E4M3FNUZ] = {"f8e4m3fnuz", kDLFloat8_e4m3fnuz, 8},
              [INGOT_F8E5M2] = {"f8e5m2", kDLFloat8_e5m2, 8},
              [INGOT_F8E5M2FNUZ] = {"f8e5m2fnuz", kDLFloat8_e5m2fnuz, 8},
              [INGOT_U4] = {"u4", kDLUInt, 4},
              [INGOT_I4] = {"i4", kDLInt, 4},
              [INGOT_F4E2M1] = {"f4e2m1", kDLFloat4_e2m1fn, 4},
              [INGOT_F8E8M0] = {"f8e8m0", kDLFloat8_e8m0fnu, 8},
              [INGOT_U2] = {"u2", kDLUInt, 2},
              [INGOT_I2] = {"i2", kDLInt, 2}};
enum { kTypeCount = sizeof kTypes / sizeof *kTypes };

bool ingot_dtype_known(int32_t dtype) { return dtype > 0 && dtype < kTypeCount && kTypes[dtype].name; }
const char* ingot_dtype_name(int32_t dtype) { return ingot_dtype_known(dtype) ? kTypes[dtype].name : "?"; }
int32_t ingot_dtype_bits(int32_t dtype) { return ingot_dtype_known(dtype) ? kTypes[dtype].bits : 0; }

DLDataType ingot_dtype_to_dlpack(int32_t dtype) {
  if (!ingot_dtype_known(dtype)) return (DLDataType){0, 0, 0};
  return (DLDataType){kTypes[dtype].code, kTypes[dtype].bits, 1};
}

int32_t ingot_dtype_from_dlpack(DLDataType t) {
  if (t.lanes != 1) return 0;
  for (int i = 1; i < kTypeCount; i++)
    if (kTypes[i].name && kTypes[i].code == t.code && kTypes[i].bits == t.bits) return i;
  return 0;
}

int64_t ingot_tensor_bytes(int32_t dtype, int32_t rank, const int64_t* shape) {
  int64_t count = 1;
  bool empty = false;
  for (int32_t i = 0; i < rank; i++) {
    if (shape[i] < 0) return -1;
    if (shape[i] == 0) empty = true;
  }
  if (empty) return 0;
  for (int32_t i = 0; i < rank; i++)
    if (__builtin_mul_overflow(count, shape[i], &count)) return -1;
  int64_t bits;
  if (__builtin_mul_overflow(count, ingot_dtype_bits(dtype), &bits) || bits > INT64_MAX - 7) return -1;
  return (bits + 7) / 8;
}

void ingot_shape_text(int32_t dtype, int32_t rank, const int64_t* shape, char* out, size_t size) {
  size_t used = (size_t)snprintf(out, size, "%s[", ingot_dtype_name(dtype));
  for (int32_t i = 0; i < rank && used < size; i++)
    used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? "," : "", (long long)shape[i]);
  if (used < size) snprintf(out + used, size - used, "]");
}

bool ingot_is_row_major(const DLTensor* t) {
  if (!t->strides) return true;
  int64_t expected = 1;
  for (int32_t i = 0; i < t->ndim; i++)
    if (t->shape[i] == 0) return true;
  for (int32_t i = t->ndim - 1; i >= 0; i--) {
    if (t->shape[i] != 1 && t->strides[i] != expected) return false;
    expected *= t->shape[i];
  }
  return true;
}

static ingot_status check_strings(const ingot_tensor_view* v, int64_t bytes, const char* name) {
  const ingot_string* s = v->data;
  for (int64_t i = 0; i < bytes / 16; i++)
    if (s[i].size < 0 || (s[i].size && !s[i].data))
      return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': string %lld has no data", name, (long long)i);
  return INGOT_OK;
}

static ingot_status check_leaf(const ingot_tensor_view* v, int32_t dtype, int32_t rank, const char* name) {
  if (v->dtype != dtype || v->rank < 0 || v->rank > INGOT_MAX_RANK || (rank >= 0 && v->rank != rank))
    return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got an item of %s and rank %d, expected %s%s", name,
                      ingot_dtype_name(v->dtype), v->rank, ingot_dtype_name(dtype), rank >= 0 ? " of its rank" : "");
  int64_t bytes = v->rank && !v->shape ? -1 : ingot_tensor_bytes(v->dtype, v->rank, v->shape);
  if (bytes < 0 || (bytes && !v->data))
    return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got an item without data or with a negative dim", name);
  return dtype == INGOT_STRING ? check_strings(v, bytes, name) : INGOT_OK;
}

static ingot_status check_level(const struct ingot_file_port* p, int level, const ingot_object* o, const char* name) {
  int kind = p->levels[level];
  if (!o || o->count < 0 || (o->count && !o->items) || (kind == INGOT_LEVEL_OPTIONAL && o->count > 1) ||
      (kind == INGOT_LEVEL_MAP && o->count != 2))
    return ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got %lld items, expected %s", name,
                      o ? (long long)o->count : -1LL,
                      kind == INGOT_LEVEL_MAP        ? "2: keys and values"
                      : kind == INGOT_LEVEL_OPTIONAL ? "at most 1"
                                                     : "a list");
  for (int64_t i = 0; i < o->count; i++) {
    const ingot_tensor_view* v = &o->items[i];
    ingot_status status;
    if (kind == INGOT_LEVEL_MAP && i == 0) {
      status = check_leaf(v, p->key_dtype, 1, name);
    } else if (kind == INGOT_LEVEL_MAP && v->dtype != INGOT_OBJECT) {
      status = check_leaf(v, p->dtype, -1, name); /* scalar values of all keys in one tensor */
    } else if (p->levels[level + 1] == INGOT_LEVEL_TENSOR && kind != INGOT_LEVEL_MAP) {
      status = check_leaf(v, p->dtype, p->rank, name);
    } else if (v->dtype != INGOT_OBJECT) {
      status = ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got a tensor, expected an object as item %lld", name,
                          (long long)i);
    } else if (kind == INGOT_LEVEL_MAP && p->levels[level + 1] == INGOT_LEVEL_TENSOR) {
      const ingot_object* values = v->data;
      status = INGOT_OK;
      if (!values || values->count < 0 || (values->count && !values->items))
        status = ingot_fail(INGOT_INVALID_ARGUMENT, "input '%s': got a map without values", name);
      for (int64_t k = 0; status == INGOT_OK && k < values->count; k++)
        status = check_leaf(&values->items[k], p->dtype, p->rank, name);
    } else {
      status = check_level(p, level + 1, v->data, name);
    }
    if (status != INGOT_OK) return status;
  }
  return INGOT_OK;
}

ingot_status ingot_check_object(const struct ingot_file_port* port, const ingot_object* object, const char* name) {
  return check_level(port, 0, object, name);
}

static void* copy_bytes(struct ingot_memory* m, const void* from, int64_t size) {
  void* to = ingot_memory_allocate(m, size);
  if (to && size) memcpy(to, from, (size_t)size);
  return to;
}

static ingot_status copy_level(struct ingot_memory* m, const ingot_object* from, ingot_object** to, int depth) {
  const ingot_status no_memory = INGOT_NO_MEMORY;
  if (!from || depth > INGOT_FILE_MAX_NESTING + 1 || from->count < 0 || from->count > (int64_t)1 << 40 ||
      (from->count && !from->items))
    return ingot_fail(INGOT_RUN_FAILED, "got a malformed object from the model");
  ingot_object* out = ingot_memory_allocate(m, sizeof *out);
  if (!out) return no_memory;
  out->count = from->count;
  *to = out;
  out->items = copy_bytes(m, from->items, from->count * (int64_t)sizeof *from->items);
  if (!out->items) return no_memory;
  for (int64_t i = 0; i < from->count; i++) {
    ingot_tensor_view* v = &out->items[i];
    if (v->dtype == INGOT_OBJECT) {
      ingot_object* inner;
      ingot_status status = copy_level(m, v->data, &inner, depth + 1);
      if (status != INGOT_OK) return status;
      v->data = inner;
      continue;
    }
    int64_t bytes = v->rank < 0 || v->rank > INGOT_MAX_RANK || !ingot_dtype_known(v->dtype)
                        ? -1
                        : ingot_tensor_bytes(v->dtype, v->rank, v->shape);
    if (bytes < 0) return ingot_fail(INGOT_RUN_FAILED, "got a malformed item of an object from the model");
    v->shape = copy_bytes(m, v->shape, v->rank * 8);
    v->data = copy_bytes(m, v->data, bytes);
    if (!v->shape || !v->data) return no_memory;
    if (v->dtype != INGOT_STRING) continue;
    ingot_string* strings = v->data;
    for (int64_t k = 0; k < bytes / 16; k++) {
      strings[k].data = copy_bytes(m, strings[k].data, strings[k].size);
      if (!strings[k].data) return no_memory;
    }
  }
  return INGOT_OK;
}

ingot_status ingot_copy_object(struct ingot_memory* memory, const ingot_object* from, ingot_object** to) {
  return copy_level(memory, from, to, 0);
}
