/* y[2n] = x followed by x, z[n, n] = outer sum of a[n] and x[n]; through memory of the run. */
#include "runtime/abi.h"

__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  int64_t n = c->inputs[0].shape[0], twice = 2 * n, square[2] = {n, n};
  const float *x = c->inputs[0].data, *a = c->inputs[1].data;
  float* scratch = c->allocate(c, n * 4);
  float* kept = c->allocate(c, 4 * n + 4);
  if (!scratch || !kept || !c->arena(c, n * 8)) return INGOT_RUN_NO_MEMORY;
  float* y = c->output(c, 0, INGOT_F32, 1, &twice);
  float* z = c->output(c, 1, INGOT_F32, 2, square);
  if (!y || !z) return INGOT_RUN_NO_MEMORY;
  for (int64_t i = 0; i < n; i++) scratch[i] = x[i];
  for (int64_t i = 0; i < n; i++) y[i] = y[n + i] = scratch[i];
  c->release(c, scratch);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) z[i * n + k] = a[i] + x[k];
  return 0;
}
