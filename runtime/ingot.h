/* The interface of the runtime: load a model.ingot, give it tensors, run it, read tensors.
 *
 * A model is immutable and may be shared by threads. A session holds the memory of one run at a time: one thread uses
 * it at a time (a second gets INGOT_BUSY); cancel and error text are the exceptions. Create one session per concurrent
 * caller; they share one pool of threads.
 *
 * Every function that can fail returns a status. Its text ("got X, expected Y", where) is in ingot_last_error for the
 * thread that called, and for sessions also in ingot_session_error.
 *
 * Tensors are DLPack's, on the host, row-major. A string tensor has dtype {kDLOpaqueHandle, 128, 1} and elements of
 * type ingot_string. Sub-byte types have bits < 8 and lanes 1, and lie packed, the first element in the low bits.
 * Running a model is running a program: check the signature of files that come from strangers (ingot_load_options). */
#ifndef INGOT_H
#define INGOT_H

#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "dlpack.h"

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_VERSION_MAJOR 0
#define INGOT_VERSION_MINOR 1

#if defined(__GNUC__)
#define INGOT_API __attribute__((visibility("default")))
#else
#define INGOT_API
#endif

typedef enum ingot_status {
  INGOT_OK = 0,
  INGOT_INVALID_ARGUMENT = 1, /* the call is wrong: an index, a shape, a dtype, an input that is not set */
  INGOT_INVALID_FILE = 2,     /* the file is damaged or malformed */
  INGOT_UNSUPPORTED = 3,      /* the file is fine, this runtime or this CPU cannot use it */
  INGOT_VERIFY_FAILED = 4,    /* a hash or the signature does not fit: do not use the file */
  INGOT_IO = 5,               /* the file cannot be opened or read */
  INGOT_NO_MEMORY = 6,        /* of the machine */
  INGOT_LIMIT = 7,            /* a limit of the session (memory, time) or of the model is exceeded */
  INGOT_CANCELLED = 8,
  INGOT_RUN_FAILED = 9,       /* the data does not fit the model: an index out of range, dims that contradict */
  INGOT_BUSY = 10,            /* another thread uses this session */
  INGOT_NOT_RUN = 11,         /* there are no outputs yet */
  INGOT_DEVICE_FAILED = 12,
  INGOT_OUT_OF_BOUNDS = 13 /* of checked code or a guarded session: the model left its memory; do not use the file */
} ingot_status;

typedef struct ingot_model ingot_model;
typedef struct ingot_session ingot_session;

/* "invalid file" */
INGOT_API const char* ingot_status_text(ingot_status status);
/* The text of the last failure in this thread; "" where there was none. Valid until the next call in this thread. */
INGOT_API const char* ingot_last_error(void);
/* "0.1.0" */
INGOT_API const char* ingot_version(void);

/* ---- models ---- */

enum ingot_load_flag {
  INGOT_LOAD_VERIFY_WEIGHTS = 1, /* checks the hash of the weights too (reads all of them, about 1 s per GB) */
  INGOT_LOAD_PERF_MAP = 2, /* code in anonymous memory, named in /tmp/perf-PID.map; also by INGOT_PERF_MAP=1 */
  INGOT_LOAD_INSPECT = 4 /* no image is chosen and nothing is mapped for running; sessions are refused */
};

/* Checks a signature. message: what is signed (48 bytes: a prefix and the hash that covers all of the file); signature:
 * the content of the signature section (64 bytes for Ed25519); size 0: the file has none. Returns 0 to accept. */
typedef int (*ingot_verify_fn)(void* user, const uint8_t* message, size_t message_bytes, const uint8_t* signature,
                               size_t signature_bytes);

/* Zero (and size_bytes) is the default of each field. */
typedef struct ingot_load_options {
  uint32_t size_bytes; /* sizeof(ingot_load_options) */
  uint32_t flags; /* ingot_load_flag */
  const char* target; /* use this image: "x86-64-v3"; null: the best for this CPU; also by INGOT_TARGET */
  ingot_verify_fn verify; /* null: signatures are ignored. Otherwise the weights are verified as well */
  void* verify_user;
  const char* debug_directory; /* the image is copied there as NAME.TARGET.so and loaded by dlopen, for gdb and perf
                                * record; also by INGOT_DEBUG_DIR */
} ingot_load_options;

/* Loads a file, options may be null. The file is mapped and must not be changed while the model lives (replace it by
 * rename, as the compiler does). Errors: IO, INVALID_FILE, VERIFY_FAILED, UNSUPPORTED, NO_MEMORY; *model is null then. */
INGOT_API ingot_status ingot_model_load(const char* path, const ingot_load_options* options, ingot_model** model);
/* The same from memory that the caller keeps, unchanged, while the model lives. Weights are used in place when data is
 * 64-byte aligned, otherwise copied. */
INGOT_API ingot_status ingot_model_load_memory(const void* data, size_t size_bytes, const ingot_load_options* options,
                                               ingot_model** model);
/* Gives up the caller's reference; sessions keep theirs. Null is fine. */
INGOT_API void ingot_model_free(ingot_model* model);

typedef enum ingot_kind {
  INGOT_KIND_TENSOR = 0,
  INGOT_KIND_SEQUENCE = 1,
  INGOT_KIND_OPTIONAL = 2,
  INGOT_KIND_MAP = 3
} ingot_kind;

/* What an input or output is. Everything lives as long as the model. */
typedef struct ingot_port {
  const char* name;
  const char* type; /* "f32[batch, 3, 224, 224]", "seq(string[n])" */
  ingot_kind kind;
  int32_t dtype; /* ingot_dtype_code of the tensor (of the innermost, for other kinds) */
  DLDataType dl_dtype; /* the same for DLPack */
  int32_t rank; /* -1: any, only inside sequences, optionals and maps */
  const int64_t* dims; /* -1: known when run; its name then in symbols */
  const char* const* symbols; /* names or expressions of dynamic dims; "" where there is none */
  int32_t may_be_absent; /* nonzero: the input need not be bound; the model has its contents, or does without */
  int32_t alias_of_input; /* of outputs: the input whose memory it may be bound to (caches); -1: none */
} ingot_port;

INGOT_API int32_t ingot_model_input_count(const ingot_model* model);
INGOT_API int32_t ingot_model_output_count(const ingot_model* model);
/* Null where the index is out of range. */
INGOT_API const ingot_port* ingot_model_input(const ingot_model* model, int32_t index);
INGOT_API const ingot_port* ingot_model_output(const ingot_model* model, int32_t index);
/* The index of the input or output with this name; -1: none. */
INGOT_API int32_t ingot_model_find_input(const ingot_model* model, const char* name);
INGOT_API int32_t ingot_model_find_output(const ingot_model* model, const char* name);
INGOT_API const char* ingot_model_name(const ingot_model* model);
INGOT_API const char* ingot_model_producer(const ingot_model* model);
/* The target of the image in use; "" with INGOT_LOAD_INSPECT. */
INGOT_API const char* ingot_model_target(const ingot_model* model);
/* The JSON text, not terminated; *size_bytes is its length. */
INGOT_API const char* ingot_model_manifest(const ingot_model* model, size_t* size_bytes);
/* Named texts of the source model (authors, labels); null past the end. */
INGOT_API const char* ingot_model_metadata(const ingot_model* model, int32_t index, const char** value);

/* The images of the file, for tools. */
typedef struct ingot_image_info {
  const char* target;
  uint32_t kind; /* 1: host, 2: host with OpenCL kernels */
  uint32_t machine; /* ELF's number */
  uint64_t features; /* see cpu.h */
  int64_t arena_bytes; /* -1: known when run */
  const void* code; /* the ELF shared object */
  size_t code_bytes;
  size_t weights_bytes;
  int32_t usable; /* nonzero: runs on this CPU */
} ingot_image_info;
INGOT_API int32_t ingot_model_image_count(const ingot_model* model);
INGOT_API ingot_status ingot_model_image(const ingot_model* model, int32_t index, ingot_image_info* info);

/* ---- sessions ---- */

enum ingot_session_flag {
  INGOT_SESSION_PROFILE = 1, /* times every kernel; see ingot_session_profile */
  INGOT_SESSION_FLUSH_DENORMALS = 2, /* denormal numbers become zero while the model runs */
  /* For tests, on Linux: arena, outputs, temporaries and copies of inputs have exactly their size, between unreadable pages,
   * aligned to 16 bytes; one that a run wrote beside makes it fail. Slow, and two pages more for each. */
  INGOT_SESSION_GUARD = 4,
  /* For tests: arena, outputs and temporaries begin each run with a pattern made of poison_seed. */
  INGOT_SESSION_POISON = 8
};

/* Runs task(data, i) for every i in [0, count), in any order and on any threads, and returns when all have ended. */
typedef void (*ingot_parallel_for_fn)(void* user, int64_t count, void (*task)(void* data, int64_t i), void* data);

typedef struct ingot_session_options {
  uint32_t size_bytes; /* sizeof(ingot_session_options) */
  uint32_t flags; /* ingot_session_flag */
  int32_t threads; /* at most so many, the caller's included; 0: all of the pool */
  int32_t reserved;
  int64_t memory_limit_bytes; /* of this session: arena, outputs, temporaries. 0: none */
  int64_t time_limit_ms; /* of one run; 0: none. Polled between pieces of work, so that a run may exceed it a bit */
  ingot_parallel_for_fn parallel_for; /* null: the process's pool */
  void* parallel_user;
  /* Null, or: is handed the intermediate tensors of a model compiled with tracing, during the run. */
  void (*trace)(void* user, const char* value, const DLTensor* tensor);
  void* trace_user;
  uint64_t poison_seed; /* of INGOT_SESSION_POISON */
} ingot_session_options;

/* Allocates what a run of a static-shape model needs. Errors: NO_MEMORY, LIMIT, UNSUPPORTED. options may be null. */
INGOT_API ingot_status ingot_session_create(ingot_model* model, const ingot_session_options* options,
                                            ingot_session** session);
INGOT_API void ingot_session_free(ingot_session* session);

/* Lends the session a tensor: its memory (not the DLTensor) must stay until it is bound anew or the session ends, and is
 * read, never written. Row-major, on the host, aligned to its element. Static dims are checked here, dynamic ones when
 * run. Null unbinds. */
INGOT_API ingot_status ingot_session_bind_input(ingot_session* session, int32_t index, const DLTensor* tensor);
/* Copies a tensor into the session; any strides and alignment. The text of strings is copied too. */
INGOT_API ingot_status ingot_session_set_input(ingot_session* session, int32_t index, const DLTensor* tensor);
/* Lends a sequence, optional or map; checked against the port's type. A map has two items, keys and values; items that
 * are objects themselves have dtype INGOT_OBJECT and point to an ingot_object. */
INGOT_API ingot_status ingot_session_bind_input_object(ingot_session* session, int32_t index,
                                                       const ingot_object* object);
/* The output will be written to this memory, which stays the caller's: row-major, 64-byte aligned or at least aligned to
 * its element, of the port's dtype, with room for the elements of its shape. It must not overlap an input unless the
 * port says so. A run whose output is larger fails. The text of string elements belongs to the session. Null: back to
 * memory of the session. */
INGOT_API ingot_status ingot_session_bind_output(ingot_session* session, int32_t index, const DLTensor* tensor);

/* Runs the model once with what is bound. */
INGOT_API ingot_status ingot_session_run(ingot_session* session);

/* The output of the last successful run, with its shape; lent until the next run or the end of the session. */
INGOT_API ingot_status ingot_session_get_output(ingot_session* session, int32_t index, const DLTensor** tensor);
INGOT_API ingot_status ingot_session_get_output_object(ingot_session* session, int32_t index,
                                                       const ingot_object** object);

/* Ends the run in progress soon, or the next one at once, with INGOT_CANCELLED. From any thread or a signal handler. */
INGOT_API void ingot_session_cancel(ingot_session* session);
/* The text of the session's last failure; "" after a success. */
INGOT_API const char* ingot_session_error(const ingot_session* session);
/* Bytes held now: arena, outputs, copies of inputs, temporaries. */
INGOT_API int64_t ingot_session_memory_bytes(const ingot_session* session);

/* What one kernel took, summed over the runs since the start or the last reset. */
typedef struct ingot_profile_entry {
  const char* kernel; /* conv2d_relu_f32_14x32 */
  const char* node; /* of the source model; "" where unknown */
  const char* schedule;
  const char* flops; /* of one call, an expression of dims */
  const char* bytes;
  int64_t calls, items, total_ns;
  const char* device; /* name of the OpenCL device that runs it; "": the host */
} ingot_profile_entry;
/* One entry per kernel of the image, in its order; valid until the next call. Needs INGOT_SESSION_PROFILE. */
INGOT_API ingot_status ingot_session_profile(ingot_session* session, const ingot_profile_entry** entries,
                                             int32_t* count);
INGOT_API void ingot_session_profile_reset(ingot_session* session);

/* ---- helpers ---- */

/* Between ingot_dtype_code and DLPack; {0, 0, 0} and 0 where there is no counterpart. */
INGOT_API DLDataType ingot_dtype_to_dlpack(int32_t dtype);
INGOT_API int32_t ingot_dtype_from_dlpack(DLDataType dtype);
/* "f32"; "?" where unknown. */
INGOT_API const char* ingot_dtype_name(int32_t dtype);
/* Bits of one element; 0 where unknown. */
INGOT_API int32_t ingot_dtype_bits(int32_t dtype);
/* Threads of the process's pool, the caller's included: CPU affinity and container quota, or INGOT_NUM_THREADS. */
INGOT_API int32_t ingot_thread_count(void);

#ifdef __cplusplus
}
#endif
#endif
