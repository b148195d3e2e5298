/* mode[1] chooses what goes wrong; index[n] are indices into an axis of 100, checked in a parallel loop. */
#include "runtime/abi.h"

static int32_t check(const ingot_context* c, void* const* buffers, const int64_t* scalars, int64_t begin, int64_t end) {
  const int64_t* index = buffers[0];
  for (int64_t i = begin; i < end; i++) {
    if (index[i] >= -scalars[0] && index[i] < scalars[0]) continue;
    int64_t args[2] = {index[i], scalars[0]};
    return c->report(c, 1, INGOT_RUN_INDEX, 2, args);
  }
  return 0;
}

static int32_t nested(const ingot_context* c, void* const* buffers, const int64_t* scalars, int64_t begin,
                      int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    int32_t status = c->parallel_for(c, check, buffers, scalars, scalars[1], 1);
    if (status) return status;
  }
  return 0;
}

__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  int64_t mode = *(const int64_t*)c->inputs[0].data, n = c->inputs[1].shape[0];
  int64_t scalars[2] = {100, n}, args[4] = {1, 0, 7, 8}, one = 1, many = 1000;
  void* buffers[1] = {c->inputs[1].data};
  int64_t* out = 0;
  switch (mode) {
    case 0: return c->parallel_for(c, check, buffers, scalars, n, 1);
    case 1: args[0] = 0; return c->report(c, 0, INGOT_RUN_CHECK, 1, args);
    case 2: return c->report(c, 2, INGOT_RUN_INPUT_DIM, 4, args);
    case 3: return c->allocate(c, (int64_t)1 << 30) ? 0 : INGOT_RUN_NO_MEMORY;
    case 4:
      while (!*c->cancel) {
      }
      return INGOT_RUN_CANCELLED;
    case 5: return 0; /* writes no output */
    case 6: out = c->output(c, 0, INGOT_I64, 1, &many); return out ? 0 : INGOT_RUN_NO_MEMORY;
    case 7: return 12345;
    case 8: return c->report(c, -1, INGOT_RUN_VALUE, 1, args);
    case 9: return c->report(c, 99, INGOT_RUN_CHECK, 1, &many);
    case 10: return c->parallel_for(c, nested, buffers, scalars, 64, 1);
    case 11: out = c->output(c, 0, INGOT_F32, 1, &one); return out ? 0 : INGOT_RUN_NO_MEMORY;
  }
  out = c->output(c, 0, INGOT_I64, 1, &one);
  if (!out) return INGOT_RUN_NO_MEMORY;
  *out = mode;
  return 0;
}
