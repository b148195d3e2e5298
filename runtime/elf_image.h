/* Loads the ELF shared objects inside model.ingot.
 *
 * dlopen wants a file of its own, resolves symbols and runs constructors; an image needs none of that. This loader
 * takes the small part of ELF that a self-contained image has and refuses the rest: ET_DYN, base-relative relocations,
 * no imports, no constructors, no thread-local storage, no segment both writable and executable. Segments are mapped
 * from the file, so that processes share their pages. Everything is checked against the bytes before anything is
 * mapped. */
#ifndef INGOT_ELF_IMAGE_H
#define INGOT_ELF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/ingot.h"

enum { kElfMaxSegments = 16 };
#define INGOT_ELF_MAX_SPAN (1ull << 31) /* bytes of address space of one image */

struct ingot_elf_segment {
  uint64_t address, memory_bytes, offset, file_bytes;
  uint32_t flags;
};

struct ingot_elf {          /* what checking found out */
  const uint8_t* data;
  uint64_t size;
  uint32_t segment_count;
  struct ingot_elf_segment segments[kElfMaxSegments];
  uint64_t first, span;     /* page-rounded address range */
  uint64_t rela, rela_bytes;
  uint64_t relr, relr_bytes;
  uint64_t relro, relro_bytes;
  uint64_t symbols, symbol_count, names, names_bytes;
  uint64_t entry;           /* address of ingot_entry */
};

struct ingot_elf_mapping {
  void* base;
  size_t bytes;
};

/* data: 8-byte aligned, as sections of the file are. */
ingot_status ingot_elf_check(const uint8_t* data, uint64_t size, uint32_t machine, struct ingot_elf* elf);
/* fd, offset: where data lies in a file, for mapping; fd -1: the bytes are copied. */
ingot_status ingot_elf_map(const struct ingot_elf* elf, int fd, uint64_t offset, struct ingot_elf_mapping* mapping,
                           void** entry);
void ingot_elf_unmap(struct ingot_elf_mapping* mapping);
/* Adds the image's functions to /tmp/perf-PID.map. */
ingot_status ingot_elf_perf_map(const struct ingot_elf* elf, const struct ingot_elf_mapping* mapping,
                                const char* model_name);

#endif
