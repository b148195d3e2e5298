// What the algorithms share. Freestanding: no library calls, no exceptions, memory through the context only.
#pragma once

#include <stdint.h>

#include "runtime/abi.h"

namespace ingot_alg {

inline int64_t elements(const ingot_tensor_view& t) {
  int64_t n = 1;
  for (int32_t k = 0; k < t.rank; ++k) n *= t.shape[k];
  return n;
}

// Memory until the end of the run; null where there is none, or where the size overflows.
template <class T>
T* allocate(const ingot_call* call, int64_t count) {
  if (count < 0 || count > INT64_MAX / 2 / static_cast<int64_t>(sizeof(T))) return nullptr;
  return static_cast<T*>(
      call->context->allocate(call->context, (count > 0 ? count : 1) * static_cast<int64_t>(sizeof(T))));
}
inline void release(const ingot_call* call, void* p) { call->context->release(call->context, p); }

// The memory of result k: given, or allocated for `count` elements where its extents are the algorithm's decision.
template <class T>
T* result(const ingot_call* call, int k, int64_t count) {
  ingot_tensor_view& r = call->results[k];
  if (!r.data) r.data = allocate<T>(call, count);
  return static_cast<T*>(r.data);
}
inline void set_shape(const ingot_call* call, int k, int32_t dim, int64_t extent) {
  const_cast<int64_t*>(call->results[k].shape)[dim] = extent;
}

inline int32_t no_memory(const ingot_call* call) {
  return call->context->report(call->context, call->node, INGOT_RUN_NO_MEMORY, 0, nullptr);
}
inline int32_t bad_value(const ingot_call* call, int64_t value) {
  return call->context->report(call->context, call->node, INGOT_RUN_VALUE, 1, &value);
}
inline bool cancelled(const ingot_call* call) { return call->context->cancel && *call->context->cancel; }

inline int element_bytes(int32_t dtype) {
  switch (dtype) {
    case INGOT_BOOL:
    case INGOT_U8:
    case INGOT_I8: return 1;
    case INGOT_U16:
    case INGOT_I16:
    case INGOT_F16:
    case INGOT_BF16: return 2;
    case INGOT_U32:
    case INGOT_I32:
    case INGOT_F32: return 4;
    case INGOT_U64:
    case INGOT_I64:
    case INGOT_F64: return 8;
    case INGOT_STRING: return 16;
    default: return 0;
  }
}

inline void copy_bytes(void* to, const void* from, int64_t n) {
  auto* t = static_cast<char*>(to);
  auto* f = static_cast<const char*>(from);
  for (int64_t i = 0; i < n; ++i) t[i] = f[i];
}

// The bits of element i.
inline uint64_t element_bits(const ingot_tensor_view& t, int64_t i) {
  switch (element_bytes(t.dtype)) {
    case 1: return static_cast<const uint8_t*>(t.data)[i];
    case 2: return static_cast<const uint16_t*>(t.data)[i];
    case 4: return static_cast<const uint32_t*>(t.data)[i];
    default: return static_cast<const uint64_t*>(t.data)[i];
  }
}

// A number that orders as the elements do: -0 equals 0, NaN is the largest.
inline uint64_t sort_key(const ingot_tensor_view& t, int64_t i) {
  uint64_t bits = element_bits(t, i);
  int width = element_bytes(t.dtype) * 8;
  uint64_t sign = uint64_t{1} << (width - 1), mask = sign | (sign - 1);
  switch (t.dtype) {
    case INGOT_I8:
    case INGOT_I16:
    case INGOT_I32:
    case INGOT_I64: return bits ^ sign;
    case INGOT_F16:
    case INGOT_BF16:
    case INGOT_F32:
    case INGOT_F64: {
      uint64_t infinity = t.dtype == INGOT_F16    ? 0x7c00
                          : t.dtype == INGOT_BF16 ? 0x7f80
                          : t.dtype == INGOT_F32  ? 0x7f800000
                                                  : 0x7ff0000000000000;
      uint64_t magnitude = bits & (sign - 1);
      if (magnitude > infinity) return mask;
      if (magnitude == 0) return sign;
      return bits & sign ? ~bits & mask : bits | sign;
    }
    default: return bits;
  }
}

inline int compare_bytes(const ingot_string& a, const ingot_string& b) {
  int64_t n = a.size < b.size ? a.size : b.size;
  for (int64_t i = 0; i < n; ++i) {
    auto x = static_cast<uint8_t>(a.data[i]), y = static_cast<uint8_t>(b.data[i]);
    if (x != y) return x < y ? -1 : 1;
  }
  return a.size < b.size ? -1 : a.size > b.size ? 1 : 0;
}

// Sorts a[0..n) in place. `less` must be a total order, so that the result does not depend on the method.
template <class T, class Less>
void heap_sort(T* a, int64_t n, Less less) {
  auto sink = [&](int64_t at, int64_t end) {
    for (;;) {
      int64_t child = 2 * at + 1;
      if (child >= end) return;
      if (child + 1 < end && less(a[child], a[child + 1])) ++child;
      if (!less(a[at], a[child])) return;
      T t = a[at];
      a[at] = a[child];
      a[child] = t;
      at = child;
    }
  };
  for (int64_t at = n / 2; at-- > 0;) sink(at, n);
  for (int64_t end = n; end-- > 1;) {
    T t = a[0];
    a[0] = a[end];
    a[end] = t;
    sink(0, end);
  }
}

}  // namespace ingot_alg
