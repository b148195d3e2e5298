/* upper[n] = in[n] in upper case; pieces = seq of the strings longer than one byte; lengths = map(string, i64). The
 * objects lie on the stack: the runtime copies them. */
#include "runtime/abi.h"

__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  int64_t n = c->inputs[0].shape[0];
  const ingot_string* in = c->inputs[0].data;
  ingot_string* out = c->output(c, 0, INGOT_STRING, 1, &n);
  if (!out) return INGOT_RUN_NO_MEMORY;
  ingot_tensor_view items[16];
  int64_t count = 0, lengths[16];
  for (int64_t i = 0; i < n; i++) {
    char* text = c->allocate(c, in[i].size);
    if (!text) return INGOT_RUN_NO_MEMORY;
    for (int64_t k = 0; k < in[i].size; k++) {
      char ch = in[i].data[k];
      text[k] = ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
    }
    out[i].data = text;
    out[i].size = in[i].size;
    if (i < 16) lengths[i] = in[i].size;
    if (in[i].size > 1 && count < 16) items[count++] = (ingot_tensor_view){&out[i], 0, 0, INGOT_STRING};
  }
  ingot_object pieces = {count, items};
  c->output_object(c, 1, &pieces);
  int64_t keys = n < 16 ? n : 16;
  ingot_tensor_view map_items[2] = {{out, &keys, 1, INGOT_STRING}, {lengths, &keys, 1, INGOT_I64}};
  ingot_object map = {2, map_items};
  c->output_object(c, 2, &map);
  return 0;
}
