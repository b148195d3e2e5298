/* Refused: it needs a function from outside. */
#include "runtime/abi.h"
int32_t puts(const char*);
__attribute__((visibility("default"))) int32_t ingot_entry(const ingot_context* c) {
  (void)c;
  return puts("hello");
}
