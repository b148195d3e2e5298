// Sequences, optionals and maps. Items of a new object are copies when they were tensors of the run (whose memory is
// reused), and shared when they were items of another object (which live until the end of the run). An object that an
// algorithm gives is new, unless it was an item of an operand: its table of items is its own.
#include "ir/ops/algorithms/support.h"

using namespace ingot_alg;

namespace {

int64_t packed_bytes(int32_t dtype, int64_t n) {
  switch (dtype) {
    case INGOT_U4:
    case INGOT_I4:
    case INGOT_F4E2M1: return (n + 1) / 2;
    case INGOT_U2:
    case INGOT_I2: return (n + 3) / 4;
    case INGOT_F8E4M3FN:
    case INGOT_F8E4M3FNUZ:
    case INGOT_F8E5M2:
    case INGOT_F8E5M2FNUZ:
    case INGOT_F8E8M0: return n;
    case INGOT_C64: return n * 8;
    case INGOT_C128: return n * 16;
    default: return n * element_bytes(dtype);
  }
}

bool is_object(const ingot_tensor_view& v) { return v.dtype == INGOT_OBJECT; }
bool is_absent(const ingot_tensor_view& v) { return v.dtype == 0; }
const ingot_object& object(const ingot_tensor_view& v) { return *static_cast<const ingot_object*>(v.data); }

bool copy_shape(const ingot_call* call, ingot_tensor_view* to, const int64_t* dims, int32_t rank) {
  int64_t* shape = allocate<int64_t>(call, rank);
  if (!shape) return false;
  for (int32_t k = 0; k < rank; ++k) shape[k] = dims[k];
  to->shape = shape;
  to->rank = rank;
  return true;
}

// A tensor of its own, with memory for its elements.
bool new_tensor(const ingot_call* call, ingot_tensor_view* to, int32_t dtype, const int64_t* dims, int32_t rank) {
  to->dtype = dtype;
  if (!copy_shape(call, to, dims, rank)) return false;
  to->data = allocate<char>(call, packed_bytes(dtype, elements(*to)));
  return to->data != nullptr;
}

bool copy_strings(const ingot_call* call, ingot_string* to, const ingot_string* from, int64_t n) {
  int64_t total = 0;
  for (int64_t i = 0; i < n; ++i) total += from[i].size;
  char* text = allocate<char>(call, total);
  if (!text) return false;
  for (int64_t i = 0; i < n; ++i) {
    copy_bytes(text, from[i].data, from[i].size);
    to[i] = {text, from[i].size};
    text += from[i].size;
  }
  return true;
}

bool copy_view(const ingot_call* call, ingot_tensor_view* to, const ingot_tensor_view& from) {
  if (is_object(from)) {
    *to = from;
    return true;
  }
  if (!new_tensor(call, to, from.dtype, from.shape, from.rank)) return false;
  const int64_t n = elements(from);
  if (from.dtype == INGOT_STRING)
    return copy_strings(call, static_cast<ingot_string*>(to->data), static_cast<const ingot_string*>(from.data), n);
  copy_bytes(to->data, from.data, packed_bytes(from.dtype, n));
  return true;
}

// Result k as an object with `count` items to fill; null: no memory.
ingot_tensor_view* new_object(const ingot_call* call, int k, int64_t count) {
  auto* o = allocate<ingot_object>(call, 1);
  auto* items = allocate<ingot_tensor_view>(call, count);
  if (!o || !items) return nullptr;
  *o = {count, items};
  call->results[k].data = o;
  call->results[k].dtype = INGOT_OBJECT;
  return items;
}

int64_t integer(const ingot_tensor_view& t, int64_t i) {
  return t.dtype == INGOT_I32 ? static_cast<const int32_t*>(t.data)[i] : static_cast<const int64_t*>(t.data)[i];
}

int32_t bad_index(const ingot_call* call, int64_t index, int64_t extent) {
  const int64_t args[] = {index, extent};
  return call->context->report(call->context, call->node, INGOT_RUN_INDEX, 2, args);
}
int32_t bad_extent(const ingot_call* call, int64_t got, int64_t expected) {
  const int64_t args[] = {got, expected};
  return call->context->report(call->context, call->node, INGOT_RUN_DIM, 2, args);
}

// Position operand k in [0, extent); the last one where absent (`otherwise`). False: reported.
bool position(const ingot_call* call, int k, int64_t extent, int64_t otherwise, int64_t* at) {
  *at = otherwise;
  if (call->operand_count > k && !is_absent(call->operands[k])) {
    *at = integer(call->operands[k], 0);
    if (*at < 0) *at += extent;
  }
  return *at >= 0 && *at < extent;
}

// Tensor result k, whose extents are symbols s, s+1, ..., from item `v`. Its rank and dtype are the result's.
int32_t give_tensor(const ingot_call* call, int k, const ingot_tensor_view& v) {
  ingot_tensor_view& r = call->results[k];
  if (is_object(v)) return bad_value(call, 0);
  if (v.rank != r.rank) return bad_extent(call, v.rank, r.rank);
  if (v.dtype != r.dtype) return bad_value(call, v.dtype);
  for (int32_t d = 0; d < v.rank; ++d) {
    set_shape(call, k, d, v.shape[d]);
    call->symbols[d] = v.shape[d];
  }
  const int64_t n = elements(v);
  if (v.dtype == INGOT_STRING) {
    auto* out = result<ingot_string>(call, k, n);
    return out && copy_strings(call, out, static_cast<const ingot_string*>(v.data), n) ? INGOT_RUN_OK : no_memory(call);
  }
  const int64_t bytes = packed_bytes(v.dtype, n);
  auto* out = result<char>(call, k, bytes);
  if (!out) return no_memory(call);
  copy_bytes(out, v.data, bytes);
  return INGOT_RUN_OK;
}

// Elements of any width, to be moved one by one.
void copy_element(ingot_tensor_view& to, int64_t at, const ingot_tensor_view& from, int64_t i) {
  auto packed = [&](int width) {
    const int per = 8 / width, mask = (1 << width) - 1;
    auto* out = static_cast<uint8_t*>(to.data);
    const int code = static_cast<const uint8_t*>(from.data)[i / per] >> (i % per * width) & mask;
    const int shift = static_cast<int>(at % per) * width;
    out[at / per] = static_cast<uint8_t>((out[at / per] & ~(mask << shift)) | code << shift);
  };
  switch (from.dtype) {
    case INGOT_U4:
    case INGOT_I4:
    case INGOT_F4E2M1: return packed(4);
    case INGOT_U2:
    case INGOT_I2: return packed(2);
    default: break;
  }
  const int64_t size = packed_bytes(from.dtype, 1);
  copy_bytes(static_cast<char*>(to.data) + at * size, static_cast<const char*>(from.data) + i * size, size);
}

}  // namespace

// operands: items... -> a sequence
extern "C" int32_t ingot_alg_sequence_construct(const ingot_call* call) {
  ingot_tensor_view* items = new_object(call, 0, call->operand_count);
  if (!items) return no_memory(call);
  for (int32_t i = 0; i < call->operand_count; ++i)
    if (!copy_view(call, &items[i], call->operands[i])) return no_memory(call);
  return INGOT_RUN_OK;
}

// operands: sequence, item, position (optional: at the end)
extern "C" int32_t ingot_alg_sequence_insert(const ingot_call* call) {
  const ingot_object& s = object(call->operands[0]);
  int64_t at = s.count;
  if (call->operand_count > 2 && !is_absent(call->operands[2])) {
    at = integer(call->operands[2], 0);
    if (at < -s.count || at > s.count) return bad_index(call, at, s.count + 1);
    if (at < 0) at += s.count;
  }
  ingot_tensor_view* items = new_object(call, 0, s.count + 1);
  if (!items) return no_memory(call);
  for (int64_t i = 0; i < s.count; ++i) items[i < at ? i : i + 1] = s.items[i];
  return copy_view(call, &items[at], call->operands[1]) ? INGOT_RUN_OK : no_memory(call);
}

// operands: sequence, position (optional: the last)
extern "C" int32_t ingot_alg_sequence_erase(const ingot_call* call) {
  const ingot_object& s = object(call->operands[0]);
  int64_t at;
  if (!position(call, 1, s.count, s.count - 1, &at)) return bad_index(call, at, s.count);
  ingot_tensor_view* items = new_object(call, 0, s.count - 1);
  if (!items) return no_memory(call);
  for (int64_t i = 0; i < s.count; ++i)
    if (i != at) items[i < at ? i : i - 1] = s.items[i];
  return INGOT_RUN_OK;
}

// operands: sequence, position -> the item
extern "C" int32_t ingot_alg_sequence_at(const ingot_call* call) {
  const ingot_object& s = object(call->operands[0]);
  int64_t at;
  if (!position(call, 1, s.count, s.count - 1, &at)) return bad_index(call, at, s.count);
  if (is_object(call->results[0]) && is_object(s.items[at])) {
    call->results[0].data = s.items[at].data;
    return INGOT_RUN_OK;
  }
  return give_tensor(call, 0, s.items[at]);
}

// operands: an object of tensors that nobody uses any more. Its table is released; its items may be shared.
extern "C" int32_t ingot_alg_release_object(const ingot_call* call) {
  ingot_object* o = static_cast<ingot_object*>(call->operands[0].data);
  release(call, o->items);
  release(call, o);
  return INGOT_RUN_OK;
}

// operands: a sequence -> i64[]
extern "C" int32_t ingot_alg_sequence_length(const ingot_call* call) {
  auto* n = result<int64_t>(call, 0, 1);
  if (!n) return no_memory(call);
  *n = object(call->operands[0]).count;
  return INGOT_RUN_OK;
}

// operands: x, split (optional: i32/i64, a scalar or a list); ints: axis, keepdims (only without `split`)
extern "C" int32_t ingot_alg_split_to_sequence(const ingot_call* call) {
  const ingot_tensor_view& x = call->operands[0];
  const int32_t axis = static_cast<int32_t>(call->ints[0]);
  const bool given = call->operand_count > 1 && !is_absent(call->operands[1]);
  const bool list = given && call->operands[1].rank == 1, keep = given || call->ints[1] != 0;
  const int64_t extent = x.shape[axis];
  const int64_t each = given && !list ? integer(call->operands[1], 0) : 1;
  if (each <= 0) return bad_value(call, each);
  const int64_t count = list ? call->operands[1].shape[0] : (extent + each - 1) / each;
  int64_t outer = 1, inner = 1;
  for (int32_t d = 0; d < axis; ++d) outer *= x.shape[d];
  for (int32_t d = axis + 1; d < x.rank; ++d) inner *= x.shape[d];
  if (list) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t n = integer(call->operands[1], i);
      if (n < 0 || n > extent - total) return bad_extent(call, total + n, extent);
      total += n;
    }
    if (total != extent) return bad_extent(call, total, extent);
  }
  ingot_tensor_view* items = new_object(call, 0, count);
  if (!items) return no_memory(call);
  int64_t begin = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t n = list ? integer(call->operands[1], i) : each;
    if (n > extent - begin) n = extent - begin;
    int64_t dims[INGOT_MAX_RANK];
    int32_t rank = 0;
    for (int32_t d = 0; d < x.rank; ++d)
      if (d != axis || keep) dims[rank++] = d == axis ? n : x.shape[d];
    if (!new_tensor(call, &items[i], x.dtype, dims, rank)) return no_memory(call);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < n * inner; ++j)
        copy_element(items[i], o * n * inner + j, x, (o * extent + begin) * inner + j);
    if (x.dtype == INGOT_STRING) {
      auto* text = static_cast<ingot_string*>(items[i].data);
      if (!copy_strings(call, text, text, elements(items[i]))) return no_memory(call);
    }
    begin += n;
  }
  return INGOT_RUN_OK;
}

// operands: a sequence of tensors -> one tensor, all its extents decided; ints: axis (of the result), new_axis
extern "C" int32_t ingot_alg_concat_from_sequence(const ingot_call* call) {
  const ingot_object& s = object(call->operands[0]);
  const int32_t axis = static_cast<int32_t>(call->ints[0]);
  const bool fresh = call->ints[1] != 0;
  ingot_tensor_view& r = call->results[0];
  if (s.count == 0) return bad_extent(call, 0, 1);
  const int32_t rank = r.rank - (fresh ? 1 : 0);
  int64_t total = 0, outer = 1, inner = 1;
  for (int64_t i = 0; i < s.count; ++i) {
    const ingot_tensor_view& v = s.items[i];
    if (v.rank != rank) return bad_extent(call, v.rank, rank);
    if (v.dtype != r.dtype) return bad_value(call, v.dtype);
    for (int32_t d = 0; d < rank; ++d)
      if ((fresh || d != axis) && v.shape[d] != s.items[0].shape[d])
        return bad_extent(call, v.shape[d], s.items[0].shape[d]);
    total += fresh ? 1 : v.shape[axis];
  }
  for (int32_t d = 0, from = 0; d < r.rank; ++d) {
    const int64_t n = d == axis ? total : s.items[0].shape[fresh ? from : d];
    if (d != axis) ++from;
    set_shape(call, 0, d, n);
    call->symbols[d] = n;
    if (d < axis) outer *= n;
    if (d > axis) inner *= n;
  }
  r.data = allocate<char>(call, packed_bytes(r.dtype, outer * total * inner));
  if (!r.data) return no_memory(call);
  int64_t begin = 0;
  for (int64_t i = 0; i < s.count; ++i) {
    const int64_t n = fresh ? 1 : s.items[i].shape[axis];
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < n * inner; ++j)
        copy_element(r, (o * total + begin) * inner + j, s.items[i], o * n * inner + j);
    begin += n;
  }
  return INGOT_RUN_OK;
}

// operands: a value, or nothing -> an optional
extern "C" int32_t ingot_alg_optional(const ingot_call* call) {
  const bool some = call->operand_count > 0 && !is_absent(call->operands[0]);
  ingot_tensor_view* items = new_object(call, 0, some ? 1 : 0);
  if (!items || (some && !copy_view(call, &items[0], call->operands[0]))) return no_memory(call);
  return INGOT_RUN_OK;
}

// operands: an optional (or nothing) -> bool[]
extern "C" int32_t ingot_alg_optional_has_element(const ingot_call* call) {
  auto* y = result<uint8_t>(call, 0, 1);
  if (!y) return no_memory(call);
  *y = call->operand_count > 0 && is_object(call->operands[0]) && object(call->operands[0]).count > 0;
  return INGOT_RUN_OK;
}

// operands: an optional -> its element; a tensor's extents are decided
extern "C" int32_t ingot_alg_optional_get_element(const ingot_call* call) {
  const ingot_object& o = object(call->operands[0]);
  if (o.count != 1) return bad_index(call, 0, o.count);
  if (!is_object(o.items[0])) return give_tensor(call, 0, o.items[0]);
  call->results[0].data = o.items[0].data;
  call->results[0].dtype = INGOT_OBJECT;
  return INGOT_RUN_OK;
}

// operands: x: [N, C] or [C], keys: [C] -> a sequence of N maps from the keys to a row of x
extern "C" int32_t ingot_alg_zip_map(const ingot_call* call) {
  const ingot_tensor_view &x = call->operands[0], &keys = call->operands[1];
  const int64_t c = keys.shape[0], n = x.rank == 2 ? x.shape[0] : 1;
  if (x.shape[x.rank - 1] != c) return bad_extent(call, x.shape[x.rank - 1], c);
  ingot_tensor_view* maps = new_object(call, 0, n);
  ingot_tensor_view own_keys;
  auto* objects = allocate<ingot_object>(call, n);
  auto* entries = allocate<ingot_tensor_view>(call, 2 * n);
  if (!maps || !objects || !entries || !copy_view(call, &own_keys, keys)) return no_memory(call);
  for (int64_t i = 0; i < n; ++i) {
    entries[2 * i] = own_keys;
    if (!new_tensor(call, &entries[2 * i + 1], x.dtype, &c, 1)) return no_memory(call);
    for (int64_t j = 0; j < c; ++j) copy_element(entries[2 * i + 1], j, x, i * c + j);
    objects[i] = {2, &entries[2 * i]};
    maps[i] = {&objects[i], nullptr, 0, INGOT_OBJECT};
  }
  return INGOT_RUN_OK;
}

namespace {

// The position of key i of `keys` in the vocabulary of the same type, or -1.
int64_t find_key(const ingot_tensor_view& vocabulary, const ingot_tensor_view& keys, int64_t i) {
  for (int64_t j = 0; j < vocabulary.shape[0]; ++j) {
    if (keys.dtype == INGOT_STRING) {
      if (compare_bytes(static_cast<const ingot_string*>(vocabulary.data)[j],
                        static_cast<const ingot_string*>(keys.data)[i]) == 0)
        return j;
    } else if (element_bits(vocabulary, j) == element_bits(keys, i)) {
      return j;
    }
  }
  return -1;
}

}  // namespace

// operands: a map, vocabulary: [C] -> y: [C], y[j] = map[vocabulary[j]], or 0 (the empty string)
extern "C" int32_t ingot_alg_dict_vectorizer(const ingot_call* call) {
  const ingot_object& map = object(call->operands[0]);
  if (map.count != 2) return bad_extent(call, map.count, 2);
  const ingot_tensor_view &vocabulary = call->operands[1], &keys = map.items[0], &values = map.items[1];
  ingot_tensor_view& r = call->results[0];
  if (keys.dtype != vocabulary.dtype || values.dtype != r.dtype) return bad_value(call, keys.dtype);
  const int64_t c = vocabulary.shape[0], bytes = packed_bytes(r.dtype, c);
  auto* out = result<char>(call, 0, bytes);
  if (!out) return no_memory(call);
  for (int64_t i = 0; i < bytes; ++i) out[i] = 0;
  const int64_t n = elements(keys);
  if (elements(values) < n) return bad_extent(call, elements(values), n);
  for (int64_t i = 0; i < n; ++i)
    if (const int64_t j = find_key(vocabulary, keys, i); j >= 0) copy_element(r, j, values, i);
  if (r.dtype == INGOT_STRING &&
      !copy_strings(call, static_cast<ingot_string*>(r.data), static_cast<ingot_string*>(r.data), c))
    return no_memory(call);
  return INGOT_RUN_OK;
}
