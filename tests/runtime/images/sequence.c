/* total = sum of all items of a sequence of f32 tensors (0 without); has = whether the optional i64 is there;
 * twice = the sequence, as a sequence of an optional of it. */
#include "runtime/abi.h"

__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  const ingot_object* sequence = c->inputs[0].data;
  const ingot_object* optional = c->inputs[1].data;
  float* total = c->output(c, 0, INGOT_F32, 0, 0);
  uint8_t* has = c->output(c, 1, INGOT_BOOL, 0, 0);
  if (!total || !has) return INGOT_RUN_NO_MEMORY;
  *total = 0;
  for (int64_t i = 0; i < sequence->count; i++) {
    const ingot_tensor_view* v = &sequence->items[i];
    int64_t n = 1;
    for (int32_t d = 0; d < v->rank; d++) n *= v->shape[d];
    for (int64_t k = 0; k < n; k++) *total += ((const float*)v->data)[k];
  }
  *has = optional->count == 1;
  ingot_object present = *sequence, absent = {0, 0};
  ingot_tensor_view both[2] = {{&present, 0, 0, INGOT_OBJECT}, {&absent, 0, 0, INGOT_OBJECT}};
  ingot_object twice = {2, both};
  c->output_object(c, 2, &twice);
  return 0;
}
