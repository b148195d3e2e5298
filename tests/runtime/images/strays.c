/* Writes one byte at `at`, counted from where `where` is: 0 the arena of 20 bytes, 1 a temporary of 20, 2 the output of 20.
 * `found` is the byte that was there, at index 0 of that memory. */
#include "runtime/abi.h"

__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  const int64_t* in = c->inputs[0].data;
  int64_t five = 5;
  char* memory[3] = {c->arena(c, 20), c->allocate(c, 20), c->output(c, 0, INGOT_F32, 1, &five)};
  int64_t* found = c->output(c, 1, INGOT_I64, 0, 0);
  if (!memory[0] || !memory[1] || !memory[2] || !found) return INGOT_RUN_NO_MEMORY;
  volatile unsigned char* p = (unsigned char*)memory[in[0]];
  *found = p[0];
  p[in[1]] = 1;
  return 0;
}
