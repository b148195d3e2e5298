/* Refused: it has thread-local storage. */
#include "runtime/abi.h"
static _Thread_local int value;
__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  (void)c;
  return value++;
}
