/* What compiled code and the runtime know of each other. Version it: an image made for another version is refused.
 *
 * An image is a shared object without undefined symbols. It exports one function, `ingot_entry`. Everything it needs from
 * outside (memory, threads, messages, a device) comes through the function pointers in the context. */
#ifndef INGOT_ABI_H
#define INGOT_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_ABI_VERSION 2u
#define INGOT_MAX_GROUP 16 /* launches that run beside each other */
#define INGOT_MAX_RANK 16 /* dimensions of a tensor at the interface */

/* Element types, numbered as ONNX's TensorProto.DataType. */
enum ingot_dtype_code {
  INGOT_F32 = 1,
  INGOT_U8 = 2,
  INGOT_I8 = 3,
  INGOT_U16 = 4,
  INGOT_I16 = 5,
  INGOT_I32 = 6,
  INGOT_I64 = 7,
  INGOT_STRING = 8,
  INGOT_BOOL = 9,
  INGOT_F16 = 10,
  INGOT_F64 = 11,
  INGOT_U32 = 12,
  INGOT_U64 = 13,
  INGOT_C64 = 14,
  INGOT_C128 = 15,
  INGOT_BF16 = 16,
  INGOT_F8E4M3FN = 17,
  INGOT_F8E4M3FNUZ = 18,
  INGOT_F8E5M2 = 19,
  INGOT_F8E5M2FNUZ = 20,
  INGOT_U4 = 21,
  INGOT_I4 = 22,
  INGOT_F4E2M1 = 23,
  INGOT_F8E8M0 = 24,
  INGOT_U2 = 25,
  INGOT_I2 = 26
};

/* An element of a string tensor: UTF-8, not terminated. */
typedef struct ingot_string {
  const char* data;
  int64_t size;
} ingot_string;

/* A dense row-major tensor on the host, or (dtype < 0) an object: see ingot_object. Sub-byte types are packed. */
typedef struct ingot_tensor_view {
  void* data;
  const int64_t* shape;
  int32_t rank;
  int32_t dtype; /* ingot_dtype_code */
} ingot_tensor_view;

/* Sequences, optionals and maps at run time. `count` items; an absent optional has none. A map with n entries has two
 * items: keys and values. Items of a sequence of sequences are objects themselves (view.data points to an
 * ingot_object, view.dtype is INGOT_OBJECT). */
#define INGOT_OBJECT (-1)
typedef struct ingot_object {
  int64_t count;
  ingot_tensor_view* items;
} ingot_object;

/* Status codes of compiled code; the runtime turns them into messages. 0 is success. */
enum ingot_run_code {
  INGOT_RUN_OK = 0,
  INGOT_RUN_NO_MEMORY = 1,
  INGOT_RUN_CANCELLED = 2,
  INGOT_RUN_INDEX = 3,       /* args: index, extent */
  INGOT_RUN_DIM = 4,         /* args: got, expected */
  INGOT_RUN_INPUT_DIM = 5,   /* args: input, dimension, got, expected */
  INGOT_RUN_VALUE = 6,       /* args: value; a run-time value is out of range */
  INGOT_RUN_CHECK = 7,       /* a condition of the model does not hold; args: number of the message[, what it got] */
  INGOT_RUN_TOO_LARGE = 8,   /* a size overflows; args: none */
  INGOT_RUN_DEVICE = 9,
  INGOT_RUN_LIMIT = 10,      /* a loop exceeded its limit */
  INGOT_RUN_BOUNDS = 11      /* of checked code; args: number of the message, element, first, end */
};

typedef struct ingot_context ingot_context;

/* A kernel: runs work items [begin, end) of its grid. `buffers` point at the elements with logical index 0. */
typedef int32_t (*ingot_kernel_fn)(const ingot_context* context, void* const* buffers, const int64_t* scalars,
                                   int64_t begin, int64_t end);

/* One of several launches that run beside each other. */
typedef struct ingot_launch {
  ingot_kernel_fn kernel;
  void* const* buffers;
  const int64_t* scalars;
  int64_t count, grain;  /* as in parallel_for */
  int64_t cost;          /* of an item, an estimate in picoseconds */
  int64_t index;         /* in the file's kernel table */
} ingot_launch;

struct ingot_context {
  uint32_t abi_version; /* INGOT_ABI_VERSION */
  uint32_t size_bytes;  /* sizeof(ingot_context) */
  void* runtime;        /* the runtime's own; compiled code passes the context through */
  const ingot_tensor_view* inputs;  /* in the model's order */
  const uint8_t* weights;           /* the weights section, 64-byte aligned */
  const volatile int32_t* cancel;   /* nonzero: stop soon with INGOT_RUN_CANCELLED */

  /* Runs kernel over [0, count), split into ranges of at least `grain` items; gives the first nonzero status. */
  int32_t (*parallel_for)(const ingot_context*, ingot_kernel_fn, void* const* buffers, const int64_t* scalars,
                          int64_t count, int64_t grain);
  /* The session's arena of at least size_bytes, 64-byte aligned; the same memory in every run. Null: no memory. */
  void* (*arena)(const ingot_context*, int64_t size_bytes);
  /* Memory that lives until the next run of the session (or `release`), 64-byte aligned. */
  void* (*allocate)(const ingot_context*, int64_t size_bytes);
  void (*release)(const ingot_context*, void*);
  /* Where output `index` with this shape is to be written; the caller's buffer or the session's. Null: the caller's
   * buffer is too small, or no memory (already reported). */
  void* (*output)(const ingot_context*, int32_t index, int32_t dtype, int32_t rank, const int64_t* shape);
  /* An output that is an object; copied by the runtime at the end of the run. */
  void (*output_object)(const ingot_context*, int32_t index, const ingot_object*);
  /* Records an error of model node `node` (index into the file's node names; -1: none). Returns `code`. */
  int32_t (*report)(const ingot_context*, int32_t node, int32_t code, int32_t count, const int64_t* args);
  /* Null, or: called after each kernel or algorithm with its index in the file's kernel table, when profiling. */
  void (*profile)(const ingot_context*, int32_t kernel, int64_t items, int64_t start_ns, int64_t end_ns);
  int64_t (*now_ns)(const ingot_context*);
  /* Null, or: hands over an intermediate tensor, when tracing. */
  void (*trace)(const ingot_context*, int32_t value, const ingot_tensor_view*);
  /* Device images: null without a device. Buffers are device pointers (offsets into device memory objects). */
  int32_t (*device_launch)(const ingot_context*, int32_t kernel, void* const* buffers, const int64_t* scalars,
                           int64_t items);
  int32_t (*device_sync)(const ingot_context*);
  /* Runs up to INGOT_MAX_GROUP launches, none of which needs another, as one loop over all their items; gives the status of
   * the first range that failed, in their order. */
  int32_t (*parallel_group)(const ingot_context*, const ingot_launch* launches, int32_t count);
  /* Messages of INGOT_RUN_CHECK live in the file. */
};

/* Runs the model once. */
typedef int32_t (*ingot_entry_fn)(const ingot_context* context);

/* An algorithm of ir/ops/algorithms: freestanding, linked into the images that use it. Results are allocated through
 * the context by the algorithm when their extents are its own decision (data null on entry), otherwise filled in
 * place. `symbols` receives the extents it decides. */
typedef struct ingot_call {
  const ingot_context* context;
  const ingot_tensor_view* operands;
  ingot_tensor_view* results; /* shape points to writable memory of INGOT_MAX_RANK entries */
  const int64_t* ints;
  const double* floats;
  const ingot_string* strings;
  int64_t* symbols;
  int32_t operand_count, result_count, int_count, float_count, string_count, symbol_count;
  int32_t node;
} ingot_call;
typedef int32_t (*ingot_algorithm_fn)(const ingot_call*);

#ifdef __cplusplus
}
#endif
#endif
