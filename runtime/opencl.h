/* The OpenCL device of this process, a model's kernels on it, and what one session needs of it.
 *
 * libOpenCL is opened when the first model asks for it. All memory that kernels see is shared virtual memory, so that
 * pointers mean the same on both sides. Where the device has it coarse-grained only, the session's memory is either the
 * host's (mapped) or the device's; a launch hands it over, a wait takes it back. */
#ifndef INGOT_OPENCL_H
#define INGOT_OPENCL_H

#include <stdint.h>

#include "runtime/ingot.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { kFailureArgs = 4 };

struct ingot_program; /* of a model: compiled kernels and a copy of the weights; shared by sessions */
struct ingot_device;  /* of a session: a queue, kernel objects, memory */

/* INGOT_OK where there is a device that can be used; else INGOT_UNSUPPORTED with the reason as the error. */
ingot_status ingot_opencl_probe(void);
const char* ingot_opencl_name(void);

/* source: with the table of kernels as its first lines (backends/opencl/print.h); hash: of the source. */
ingot_status ingot_program_create(const uint8_t* source, uint64_t source_bytes, const uint8_t hash[32],
                                  uint32_t kernel_count, const uint8_t* weights, uint64_t weights_bytes,
                                  struct ingot_program** out);
void ingot_program_free(struct ingot_program* program);
const uint8_t* ingot_program_weights(const struct ingot_program* program);
/* Whether this entry of the image's kernel table is one of the program (others are algorithms of the host). */
int ingot_program_has(const struct ingot_program* program, uint32_t kernel);

ingot_status ingot_device_create(const struct ingot_program* program, struct ingot_device** out);
void ingot_device_free(struct ingot_device* device);
/* Memory that host and device see; 64-byte aligned, the host's. Null: none. */
void* ingot_device_allocate(struct ingot_device* device, int64_t size_bytes);
void ingot_device_release(struct ingot_device* device, void* data);
/* 0, or INGOT_RUN_DEVICE: see ingot_device_error. The launch itself ends later. */
int32_t ingot_device_launch(struct ingot_device* device, int32_t kernel, void* const* buffers, const int64_t* scalars,
                            int64_t items);
/* Waits for all launches; the memory is the host's again. 0, INGOT_RUN_DEVICE, or the code of a kernel that failed. */
struct ingot_device_failure {
  int32_t node, count;
  int64_t args[kFailureArgs];
};
int32_t ingot_device_wait(struct ingot_device* device, struct ingot_device_failure* failure);
/* Before the host touches blocks of memory that no kernel uses: only needed where memory is coarse-grained. */
void ingot_device_claim(struct ingot_device* device);
const char* ingot_device_error(const struct ingot_device* device);

#ifdef __cplusplus
}
#endif
#endif
