/* Status texts, and the text of the last failure of each thread. */
#include <stdio.h>
#include <string.h>

#include "runtime/internal.h"

static _Thread_local char last_error[kErrorBytes];

ingot_status ingot_fail(ingot_status status, const char* format, ...) {
  char text[kErrorBytes]; /* arguments may point into last_error */
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  snprintf(last_error, sizeof last_error, "%s", text);
  return status;
}

void ingot_clear_error(void) { last_error[0] = 0; }
const char* ingot_last_error(void) { return last_error; }
const char* ingot_version(void) { return "0.1.0"; }

ingot_status ingot_read_options(void* to, size_t size, const void* from) {
  memset(to, 0, size);
  if (!from) return INGOT_OK;
  uint32_t given;
  memcpy(&given, from, sizeof given);
  if (given < 2 * sizeof given || given > 4096)
    return ingot_fail(INGOT_INVALID_ARGUMENT, "got options of %u bytes, expected size_bytes to be their size", given);
  for (size_t i = size; i < given; i++)
    if (((const char*)from)[i])
      return ingot_fail(INGOT_UNSUPPORTED, "got an option that this version (%s) does not know", ingot_version());
  memcpy(to, from, given < size ? given : size);
  return INGOT_OK;
}

const char* ingot_status_text(ingot_status status) {
  switch (status) {
    case INGOT_OK: return "ok";
    case INGOT_INVALID_ARGUMENT: return "invalid argument";
    case INGOT_INVALID_FILE: return "invalid file";
    case INGOT_UNSUPPORTED: return "unsupported";
    case INGOT_VERIFY_FAILED: return "verification failed";
    case INGOT_IO: return "input or output failed";
    case INGOT_NO_MEMORY: return "out of memory";
    case INGOT_LIMIT: return "limit exceeded";
    case INGOT_CANCELLED: return "cancelled";
    case INGOT_RUN_FAILED: return "run failed";
    case INGOT_BUSY: return "session is busy";
    case INGOT_NOT_RUN: return "no run yet";
    case INGOT_DEVICE_FAILED: return "device failed";
    case INGOT_OUT_OF_BOUNDS: return "access outside of bounds";
  }
  return "unknown status";
}
