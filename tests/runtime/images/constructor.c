/* Refused: it has a constructor. */
#include "runtime/abi.h"
static volatile int value;
__attribute__((constructor)) static void start(void) { value = 1; }
__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  (void)c;
  return value;
}
