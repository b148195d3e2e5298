/* The bytes of model.ingot. docs/file-format.md explains them; this header is what writer and loader share.
 *
 *   0      header (64) | section table, 64 bytes an entry, room for 63
 *   4096   section 0, padded to 4096 | section 1 | ...
 *
 * Little endian. Sections lie in the order of the table, each at a multiple of 4096, so that code and weights are used
 * where they lie in the mapped file. Texts end in a zero byte that their size does not count. */
#ifndef INGOT_FORMAT_H
#define INGOT_FORMAT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_FILE_MAGIC "INGOT\r\n\x1a" /* 8 bytes: text-mode transfers damage it visibly */
#define INGOT_FILE_VERSION 1u
#define INGOT_FILE_ALIGN 4096u
#define INGOT_FILE_MAX_SECTIONS 63u
#define INGOT_FILE_NONE 0xffffffffu        /* no section, no symbol, no node */
#define INGOT_FILE_MAX_NESTING 8           /* sequence of optional of ... tensor */
#define INGOT_FILE_MAX_DESCRIPTORS (1u << 28)
#define INGOT_FILE_MAX_PORTS 65536u        /* inputs, outputs */
#define INGOT_FILE_SIGNATURE_PREFIX "ingot signature" /* 16 bytes with its zero */

/* Kinds from 0x8000 may be ignored by a reader that does not know them; others may not. */
enum ingot_section_kind {
  INGOT_SECTION_DESCRIPTORS = 1, /* exactly one: struct ingot_file_descriptors and what it refers to */
  INGOT_SECTION_MANIFEST = 2,    /* JSON, for people and tools */
  INGOT_SECTION_CODE = 3,        /* ELF shared object of one target */
  INGOT_SECTION_WEIGHTS = 4,
  INGOT_SECTION_KERNELS = 5,     /* device kernels of one image, as source (OpenCL C) */
  INGOT_SECTION_SIGNATURE = 6,   /* last; not covered by itself */
  INGOT_SECTION_DEFAULTS = 7,    /* at most one: contents of inputs that the caller may leave out */
  INGOT_SECTION_DEBUG_MAP = 0x8001
};

struct ingot_file_header {
  uint8_t magic[8];
  uint32_t version;
  uint32_t section_count;
  uint64_t size_bytes;     /* of the file */
  uint64_t reserved;       /* 0 */
  uint8_t table_hash[32];  /* BLAKE2b-256 of the 32 bytes before and of the section table */
};

struct ingot_file_section {
  uint32_t kind;
  uint32_t reserved0;      /* 0 */
  uint64_t offset;
  uint64_t size_bytes;
  uint64_t reserved1;      /* 0 */
  uint8_t hash[32];        /* BLAKE2b-256 of the content */
};

struct ingot_file_range {
  uint32_t offset, count;
};  /* offset in the section; count items */
struct ingot_file_text {
  uint32_t offset, size;
};    /* offset in `strings` */

struct ingot_file_descriptors {
  uint32_t abi_version;
  uint32_t reserved;
  struct ingot_file_text name, producer;
  struct ingot_file_range inputs, outputs;              /* ingot_file_port */
  struct ingot_file_range dims, symbols, images, nodes, kernels;
  struct ingot_file_range messages, values;             /* ingot_file_text */
  struct ingot_file_range aliases, metadata;
  struct ingot_file_range strings;                      /* bytes */
};

enum ingot_file_level {
  INGOT_LEVEL_TENSOR = 0,
  INGOT_LEVEL_SEQUENCE = 1,
  INGOT_LEVEL_OPTIONAL = 2,
  INGOT_LEVEL_MAP = 3
};
#define INGOT_PORT_OPTIONAL 1u /* an input that may stay unset: its data is null, or */
/* what the section of defaults holds at 64 * default_at. Its extents follow those of the port in the table of dims. */
#define INGOT_PORT_DEFAULT 2u

struct ingot_file_port {
  struct ingot_file_text name, type;      /* type: "f32[batch, 3, 224, 224]", "seq(f32[?])" */
  int32_t dtype;                          /* of the tensor at the bottom: ingot_dtype_code */
  int32_t rank;                           /* of the tensor at the bottom; -1: any, only inside objects */
  uint32_t first_dim, flags;
  uint8_t levels[INGOT_FILE_MAX_NESTING]; /* ingot_file_level from the outside in; ends with the tensor */
  int32_t key_dtype;                      /* of a map */
  uint32_t default_at;
};
struct ingot_file_dim {
  int64_t extent;                         /* -1: known when run */
  uint32_t symbol;                        /* of a dynamic extent; INGOT_FILE_NONE */
  uint32_t reserved;
};
struct ingot_file_symbol {
  struct ingot_file_text name;            /* a name, or for outputs an expression of names */
  int64_t min, max;
};
struct ingot_file_image {
  struct ingot_file_text target;          /* "x86-64-v4" */
  uint32_t kind;                          /* 1: host, 2: host with OpenCL kernels */
  uint32_t machine;                       /* ELF e_machine */
  uint64_t features;                      /* bits of cpu.h that the code needs */
  int64_t arena_bytes;                    /* -1: known when run */
  uint32_t code_section, kernels_section, weights_section;
  int32_t priority;                       /* the highest of the images that fit is used; then the first */
  struct ingot_file_range nodes, kernels, messages, values; /* offset: index of the first in the file's table */
};
#define INGOT_IMAGE_HOST 1u
#define INGOT_IMAGE_OPENCL 2u
struct ingot_file_node {
  struct ingot_file_text name, op;
};
struct ingot_file_kernel {
  struct ingot_file_text name, schedule, flops, bytes;
  uint32_t node;                          /* in the image's nodes */
  uint32_t reserved;
};
struct ingot_file_alias {
  uint32_t input, output;
}; /* the output may be bound to the input's memory */
struct ingot_file_metadata {
  struct ingot_file_text key, value;
};

#ifdef __cplusplus
}
#define INGOT_STATIC_ASSERT static_assert
#else
#define INGOT_STATIC_ASSERT _Static_assert
#endif
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_header) == 64, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_section) == 64, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_descriptors) == 120, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_port) == 48, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_dim) == 16, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_symbol) == 24, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_image) == 80, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_node) == 16, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_kernel) == 40, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_alias) == 8, "layout");
INGOT_STATIC_ASSERT(sizeof(struct ingot_file_metadata) == 16, "layout");
#endif
