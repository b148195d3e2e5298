/* y[n] = x[n] * 0.5, in parallel. */
#include "runtime/abi.h"

static int32_t half(const ingot_context* c, void* const* buffers, const int64_t* scalars, int64_t begin, int64_t end) {
  (void)c;
  (void)scalars;
  const volatile float* x = buffers[0];
  volatile float* y = buffers[1];
  for (int64_t i = begin; i < end; i++) y[i] = x[i] * 0.5f;
  return 0;
}

__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  void* buffers[2] = {c->inputs[0].data, c->output(c, 0, INGOT_F32, 1, c->inputs[0].shape)};
  if (!buffers[1]) return INGOT_RUN_NO_MEMORY;
  return c->parallel_for(c, half, buffers, 0, c->inputs[0].shape[0], 1);
}
