/* What the parts of the runtime know of each other. */
#ifndef INGOT_INTERNAL_H
#define INGOT_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/abi.h"
#include "runtime/cpu.h"
#include "runtime/elf_image.h"
#include "runtime/format.h"
#include "runtime/ingot.h"
#include "runtime/memory.h"
#include "runtime/opencl.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the file format is little endian, and so is this runtime"
#endif

enum { kErrorBytes = 1536 };

/* error.c: sets the thread's text; returns status. */
ingot_status ingot_fail(ingot_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));
void ingot_clear_error(void);
/* Copies the caller's options, whose first field is their size, over zeros. A field that this runtime does not know
 * must be zero; null means all defaults. */
ingot_status ingot_read_options(void* to, size_t size, const void* from);

/* values.c */
bool ingot_dtype_known(int32_t dtype);
/* Bytes of a packed tensor; -1: a negative dim or overflow. */
int64_t ingot_tensor_bytes(int32_t dtype, int32_t rank, const int64_t* shape);
/* "f32[1,64]" */
void ingot_shape_text(int32_t dtype, int32_t rank, const int64_t* shape, char* out, size_t size);
bool ingot_is_row_major(const DLTensor* tensor);
ingot_status ingot_check_object(const struct ingot_file_port* port, const ingot_object* object, const char* name);
/* Deep copies into run memory. */
ingot_status ingot_copy_object(struct ingot_memory* memory, const ingot_object* from, ingot_object** to);

struct ingot_file {
  const uint8_t* data;   /* all of it */
  uint64_t size;
  int fd;                /* -1: memory of the caller */
  uint32_t section_count;
  struct ingot_file_section sections[INGOT_FILE_MAX_SECTIONS];
  uint8_t* descriptor_bytes; /* a copy, so that what was checked cannot change */
  const struct ingot_file_descriptors* head;
  const struct ingot_file_port *inputs, *outputs;
  const struct ingot_file_dim* dims;
  const struct ingot_file_symbol* symbols;
  const struct ingot_file_image* images;
  const struct ingot_file_node* nodes;
  const struct ingot_file_kernel* kernels;
  const struct ingot_file_text *messages, *values;
  const struct ingot_file_alias* aliases;
  const struct ingot_file_metadata* metadata;
  const char* strings;
};

/* file.c: checks data and size of `file`, fills the rest. */
ingot_status ingot_file_check(struct ingot_file* file);
ingot_status ingot_file_check_hash(const struct ingot_file* file, uint32_t section);
/* prefix and hash over header and table without the signature: what is signed. */
enum { kSignedBytes = 48 };
void ingot_file_signed_message(const struct ingot_file* file, uint8_t out[kSignedBytes]);
/* Where the contents of an input with INGOT_PORT_DEFAULT lie; `shape` gets its `rank` extents. */
const uint8_t* ingot_file_default(const struct ingot_file* f, const struct ingot_file_port* p, int64_t* shape);
static inline const char* ingot_file_text(const struct ingot_file* f, struct ingot_file_text t) {
  return f->strings + t.offset;
}

struct ingot_model {
  struct ingot_file file;
  atomic_int references;
  int32_t image;              /* -1: inspecting */
  ingot_entry_fn entry;
  struct ingot_elf_mapping mapping;
  void* dl_handle;
  const uint8_t* weights;
  void* weights_copy;
  struct ingot_program* program; /* of an OpenCL image */
  ingot_port *inputs, *outputs;
  int64_t* port_dims;
  const char** port_symbols;
};
void ingot_model_retain(ingot_model* model);

struct ingot_input_slot {
  bool bound;
  DLTensor tensor;            /* shape points to `shape` */
  int64_t shape[INGOT_MAX_RANK];
  void* copy;                 /* of set_input */
  int64_t copy_bytes;
  void* shared;               /* of a bound tensor, where a device needs its own copy */
  int64_t shared_bytes;
  ingot_object object;
};

struct ingot_output_slot {
  bool bound, written;
  void* data;                 /* the caller's buffer */
  int64_t bound_bytes;
  void* own;
  int64_t own_bytes;
  DLTensor tensor;
  int64_t shape[INGOT_MAX_RANK];
  ingot_object* object;
};

struct ingot_session {
  ingot_model* model;
  ingot_session_options options;
  int32_t threads;
  atomic_int busy;
  bool has_run;
  _Atomic int32_t cancel;     /* 0, or kCancelUser, kCancelTime */
  struct ingot_device* device; /* of an OpenCL image */
  struct ingot_memory memory;
  void* arena;
  int64_t arena_bytes;
  struct ingot_input_slot* inputs;
  struct ingot_output_slot* outputs;
  ingot_tensor_view* views;
  struct {
    int64_t value;
    int32_t input, dim;
  }* symbol_values; /* input -1: not yet bound */
  pthread_mutex_t lock;       /* report, outputs */
  bool reported;
  int64_t reported_at;        /* first item of the range that reported; the lowest wins */
  ingot_status reported_status;
  char message[kErrorBytes];  /* while running */
  char error[kErrorBytes];    /* of the last call */
  struct kernel_time {
    _Atomic int64_t calls, items, total_ns;
  }* times;
  ingot_profile_entry* profile;
  int64_t deadline_ns;
  struct ingot_session *next_deadline, *previous_deadline; /* watchdog.c's list */
};
enum { kCancelUser = 1, kCancelTime = 2 };

int64_t ingot_now_ns(void);

/* threads.c: calls body(data, begin, end) over [0, count) of each part, in ranges of at least grain; the status of the lowest
 * range that failed. Never allocates once the pool exists. */
typedef int32_t (*ingot_range_fn)(void* data, int64_t begin, int64_t end);
struct ingot_parallel_options {
  int32_t threads;
  bool flush_denormals;
  ingot_parallel_for_fn parallel_for;
  void* user;
};
struct ingot_part {
  void* data;
  int64_t count, grain;
  int64_t cost; /* of an item, in picoseconds; matters beside other parts only */
};
void ingot_pool_start(void);
/* At most INGOT_MAX_GROUP parts. */
int32_t ingot_parallel(const struct ingot_parallel_options* options, ingot_range_fn body,
                       const struct ingot_part* parts, int32_t part_count);
/* First item of the range that this thread is in, counted through all parts; -1: none. */
int64_t ingot_current_range(void);

/* Rounding and denormal mode of this thread: sets the default of IEEE (or flushing), returns what was set before. */
uint64_t ingot_float_mode_enter(bool flush_denormals);
void ingot_float_mode_leave(uint64_t saved);

/* watchdog.c: sets the cancel flag of a session when its time is over. */
ingot_status ingot_watchdog_start(void);
void ingot_watchdog_add(struct ingot_session* session);
void ingot_watchdog_remove(struct ingot_session* session);

/* run.c */
ingot_status ingot_run(struct ingot_session* session);

#endif
