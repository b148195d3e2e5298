/* See elf_image.h. Order: program headers, dynamic section, symbols, then mapping and relocation. */
#include "runtime/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/internal.h"

#define BAD(...) return ingot_fail(INGOT_INVALID_FILE, "code: " __VA_ARGS__)

static uint64_t page_bytes(void) { return (uint64_t)sysconf(_SC_PAGESIZE); }

/* The file's bytes at an address of the image; null: not all of [address, +size) is in one segment's file part. */
static const uint8_t* bytes_at(const struct ingot_elf* e, uint64_t address, uint64_t size) {
  for (uint32_t i = 0; i < e->segment_count; i++) {
    const struct ingot_elf_segment* s = &e->segments[i];
    if (address >= s->address && address - s->address <= s->file_bytes &&
        size <= s->file_bytes - (address - s->address))
      return e->data + s->offset + (address - s->address);
  }
  return NULL;
}

static uint64_t word_at(const uint8_t* at) {
  uint64_t word;
  memcpy(&word, at, 8);
  return word;
}

static bool writable(const struct ingot_elf* e, uint64_t address, uint64_t size) {
  for (uint32_t i = 0; i < e->segment_count; i++) {
    const struct ingot_elf_segment* s = &e->segments[i];
    if ((s->flags & PF_W) && address >= s->address && address - s->address <= s->memory_bytes &&
        size <= s->memory_bytes - (address - s->address))
      return true;
  }
  return false;
}

static ingot_status check_segments(struct ingot_elf* e, const Elf64_Ehdr* h, Elf64_Phdr* dynamic) {
  const uint64_t page = page_bytes();
  bool has_dynamic = false;
  for (int i = 0; i < h->e_phnum; i++) {
    Elf64_Phdr p;
    memcpy(&p, e->data + h->e_phoff + (uint64_t)i * sizeof p, sizeof p);
    if (p.p_type == PT_TLS) BAD("got thread-local storage, expected none");
    if (p.p_type == PT_INTERP) BAD("got a program interpreter, expected none");
    if (p.p_type != PT_LOAD && p.p_type != PT_DYNAMIC && p.p_type != PT_GNU_RELRO) continue;
    if (p.p_offset > e->size || p.p_filesz > e->size - p.p_offset || p.p_filesz > p.p_memsz ||
        p.p_vaddr > INGOT_ELF_MAX_SPAN || p.p_memsz > INGOT_ELF_MAX_SPAN - p.p_vaddr)
      BAD("segment %d is outside the image or larger than %llu bytes", i, INGOT_ELF_MAX_SPAN);
    if (p.p_type == PT_DYNAMIC) {
      if (has_dynamic) BAD("got two dynamic sections");
      has_dynamic = true;
      *dynamic = p;
      continue;
    }
    if (p.p_type == PT_GNU_RELRO) {
      e->relro = p.p_vaddr;
      e->relro_bytes = p.p_memsz;
      continue;
    }
    if (p.p_memsz == 0) continue;
    if ((p.p_flags & (PF_W | PF_X)) == (PF_W | PF_X)) BAD("segment %d is writable and executable", i);
    if (!(p.p_flags & PF_W) && p.p_memsz != p.p_filesz) BAD("segment %d is read-only and larger than its bytes", i);
    if (e->segment_count == kElfMaxSegments) BAD("got more than %d segments", kElfMaxSegments);
    if (e->segment_count) {
      const struct ingot_elf_segment* last = &e->segments[e->segment_count - 1];
      uint64_t end = (last->address + last->memory_bytes + page - 1) & ~(page - 1);
      if ((p.p_vaddr & ~(page - 1)) < end) BAD("segment %d shares a page with the one before or is out of order", i);
    }
    e->segments[e->segment_count++] =
        (struct ingot_elf_segment){p.p_vaddr, p.p_memsz, p.p_offset, p.p_filesz, p.p_flags};
  }
  if (!e->segment_count || !has_dynamic) BAD("got no segments to load or no dynamic section");
  const struct ingot_elf_segment* last = &e->segments[e->segment_count - 1];
  e->first = e->segments[0].address & ~(page - 1);
  e->span = ((last->address + last->memory_bytes + page - 1) & ~(page - 1)) - e->first;
  if (e->relro_bytes && !writable(e, e->relro, 1)) BAD("the read-only part after relocation is in no writable segment");
  return INGOT_OK;
}

struct dynamic {
  uint64_t hash, gnu_hash, symbols, names, names_bytes, plt_bytes;
};

static ingot_status check_dynamic(struct ingot_elf* e, const Elf64_Phdr* p, struct dynamic* d) {
  const uint8_t* at = bytes_at(e, p->p_vaddr, p->p_filesz);
  if (!at) BAD("the dynamic section is in no segment");
  for (uint64_t i = 0; i + sizeof(Elf64_Dyn) <= p->p_filesz; i += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    memcpy(&entry, at + i, sizeof entry);
    uint64_t v = entry.d_un.d_val;
    switch (entry.d_tag) {
      case DT_NULL: i = p->p_filesz; break;
      case DT_NEEDED: BAD("it needs a shared library, expected none");
      case DT_INIT:
      case DT_FINI: BAD("got a constructor or destructor, expected none");
      case DT_INIT_ARRAYSZ:
      case DT_FINI_ARRAYSZ:
      case DT_PREINIT_ARRAYSZ:
        if (v) BAD("got constructors or destructors, expected none");
        break;
      case DT_PLTRELSZ: d->plt_bytes = v; break;
      case DT_RELSZ:
        if (v) BAD("got relocations without addend, expected RELA");
        break;
      case DT_TEXTREL: BAD("got relocations of code, expected none");
      case DT_FLAGS:
        if (v & DF_TEXTREL) BAD("got relocations of code, expected none");
        break;
      case DT_RELA: e->rela = v; break;
      case DT_RELASZ: e->rela_bytes = v; break;
      case DT_RELAENT:
        if (v != sizeof(Elf64_Rela)) BAD("got relocations of %llu bytes", (unsigned long long)v);
        break;
      case 36: e->relr = v; break;       /* DT_RELR */
      case 35: e->relr_bytes = v; break; /* DT_RELRSZ */
      case DT_HASH: d->hash = v; break;
      case DT_GNU_HASH: d->gnu_hash = v; break;
      case DT_SYMTAB: d->symbols = v; break;
      case DT_SYMENT:
        if (v != sizeof(Elf64_Sym)) BAD("got symbols of %llu bytes", (unsigned long long)v);
        break;
      case DT_STRTAB: d->names = v; break;
      case DT_STRSZ: d->names_bytes = v; break;
      default: break;
    }
  }
  return INGOT_OK;
}

/* The number of symbols, from whichever hash table there is: neither DT_SYMTAB nor anything else states it. */
static ingot_status count_symbols(const struct ingot_elf* e, const struct dynamic* d, uint64_t* count) {
  if (d->hash) {
    const uint8_t* at = bytes_at(e, d->hash, 8);
    uint32_t words[2];
    if (!at) BAD("the symbol hash table is in no segment");
    memcpy(words, at, 8);
    *count = words[1];
    return INGOT_OK;
  }
  const uint8_t* at = d->gnu_hash ? bytes_at(e, d->gnu_hash, 16) : NULL;
  if (!at) BAD("got no symbol hash table");
  uint32_t head[4]; /* buckets, first symbol, bloom words, shift */
  memcpy(head, at, 16);
  uint64_t buckets_at = d->gnu_hash + 16 + 8ull * head[2], chains_at = buckets_at + 4ull * head[0];
  const uint8_t* buckets = bytes_at(e, buckets_at, 4ull * head[0]);
  if (!buckets) BAD("the symbol hash table is in no segment");
  uint32_t last = 0;
  for (uint32_t i = 0; i < head[0]; i++) {
    uint32_t first;
    memcpy(&first, buckets + 4ull * i, 4);
    if (first > last) last = first;
  }
  if (last < head[1]) BAD("got no exported symbol, expected ingot_entry");
  for (;; last++) {
    const uint8_t* chain = bytes_at(e, chains_at + 4ull * (last - head[1]), 4);
    uint32_t word;
    if (!chain) BAD("the symbol hash table has no end");
    memcpy(&word, chain, 4);
    if (word & 1) break;
  }
  *count = (uint64_t)last + 1;
  return INGOT_OK;
}

static ingot_status check_symbols(struct ingot_elf* e, const struct dynamic* d) {
  uint64_t count = 0;
  ingot_status status = count_symbols(e, d, &count);
  if (status != INGOT_OK) return status;
  const uint8_t* symbols = count > e->size ? NULL : bytes_at(e, d->symbols, count * sizeof(Elf64_Sym));
  const char* names = (const char*)bytes_at(e, d->names, d->names_bytes);
  if (!symbols || !names || !d->names_bytes || names[d->names_bytes - 1]) BAD("the symbol table is in no segment");
  for (uint64_t i = 1; i < count; i++) {
    Elf64_Sym s;
    memcpy(&s, symbols + i * sizeof s, sizeof s);
    if (s.st_name >= d->names_bytes) BAD("symbol %llu has its name outside the names", (unsigned long long)i);
    const char* name = names + s.st_name;
    if (s.st_shndx == SHN_UNDEF) BAD("it needs '%.100s' from outside, expected nothing", name);
    if (strcmp(name, "ingot_entry")) continue;
    if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || ELF64_ST_BIND(s.st_info) != STB_GLOBAL || s.st_shndx >= SHN_LORESERVE)
      BAD("ingot_entry is not an exported function");
    e->entry = s.st_value;
  }
  bool executable = false;
  for (uint32_t i = 0; i < e->segment_count; i++) {
    const struct ingot_elf_segment* s = &e->segments[i];
    if ((s->flags & PF_X) && e->entry >= s->address && e->entry - s->address < s->file_bytes) executable = true;
  }
  if (!executable) BAD("got no ingot_entry in executable memory");
  e->symbols = d->symbols, e->symbol_count = count, e->names = d->names, e->names_bytes = d->names_bytes;
  return INGOT_OK;
}

static ingot_status check_relocations(const struct ingot_elf* e, uint32_t machine) {
  const uint8_t* at = bytes_at(e, e->rela, e->rela_bytes);
  if (e->rela_bytes % sizeof(Elf64_Rela) || (e->rela_bytes && !at)) BAD("the relocations are in no segment");
  uint32_t relative = machine == INGOT_MACHINE_X86_64    ? R_X86_64_RELATIVE
                      : machine == INGOT_MACHINE_AARCH64 ? R_AARCH64_RELATIVE
                                                         : R_RISCV_RELATIVE;
  for (uint64_t i = 0; i < e->rela_bytes; i += sizeof(Elf64_Rela)) {
    Elf64_Rela r;
    memcpy(&r, at + i, sizeof r);
    if (ELF64_R_TYPE(r.r_info) != relative || ELF64_R_SYM(r.r_info))
      BAD("got a relocation of type %u, expected base-relative ones", (unsigned)ELF64_R_TYPE(r.r_info));
    if (!writable(e, r.r_offset, 8)) BAD("a relocation is outside the writable data");
    if ((uint64_t)r.r_addend < e->first || (uint64_t)r.r_addend > e->first + e->span)
      BAD("a relocation points outside the image");
  }
  if (e->relr_bytes % 8 || (e->relr_bytes && !bytes_at(e, e->relr, e->relr_bytes)))
    BAD("the packed relocations are in no segment");
  return INGOT_OK;
}

ingot_status ingot_elf_check(const uint8_t* data, uint64_t size, uint32_t machine, struct ingot_elf* e) {
  memset(e, 0, sizeof *e);
  e->data = data;
  e->size = size;
  Elf64_Ehdr h;
  if (size < sizeof h) BAD("got %llu bytes, expected an ELF header", (unsigned long long)size);
  memcpy(&h, data, sizeof h);
  if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB)
    BAD("got no 64-bit little-endian ELF");
  if (h.e_type != ET_DYN || h.e_machine != machine)
    BAD("got ELF type %u for machine %u, expected a shared object for %u", h.e_type, h.e_machine, machine);
  if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phoff > size || h.e_phnum > (size - h.e_phoff) / sizeof(Elf64_Phdr))
    BAD("the program headers are outside the image");
  Elf64_Phdr dynamic_header = {0};
  struct dynamic dynamic = {0};
  ingot_status status = check_segments(e, &h, &dynamic_header);
  if (status == INGOT_OK) status = check_dynamic(e, &dynamic_header, &dynamic);
  if (status == INGOT_OK) status = check_symbols(e, &dynamic);
  if (status == INGOT_OK && dynamic.plt_bytes) BAD("got relocations of calls, expected none");
  if (status == INGOT_OK) status = check_relocations(e, machine);
  return status;
}

static ingot_status relocate_word(const struct ingot_elf* e, uint8_t* bias, uint64_t address) {
  if (!writable(e, address, 8)) BAD("a packed relocation is outside the writable data");
  uint64_t value = word_at(bias + address);
  if (value < e->first || value > e->first + e->span) BAD("a packed relocation points outside the image");
  value += (uint64_t)(uintptr_t)bias;
  memcpy(bias + address, &value, 8);
  return INGOT_OK;
}

/* bias: what is added to addresses of the image. */
static ingot_status relocate(const struct ingot_elf* e, uint8_t* bias) {
  const uint8_t* at = bytes_at(e, e->rela, e->rela_bytes);
  for (uint64_t i = 0; i < e->rela_bytes; i += sizeof(Elf64_Rela)) {
    Elf64_Rela r;
    memcpy(&r, at + i, sizeof r);
    uint64_t value = (uint64_t)(uintptr_t)bias + (uint64_t)r.r_addend;
    memcpy(bias + r.r_offset, &value, 8);
  }
  at = bytes_at(e, e->relr, e->relr_bytes);
  uint64_t where = 0;
  for (uint64_t i = 0; i < e->relr_bytes; i += 8) {
    uint64_t word = word_at(at + i);
    ingot_status status = INGOT_OK;
    if (!(word & 1)) {
      status = relocate_word(e, bias, word);
      where = word + 8;
    } else {
      for (int bit = 1; bit < 64 && status == INGOT_OK; bit++)
        if (word >> bit & 1) status = relocate_word(e, bias, where + 8 * (uint64_t)(bit - 1));
      where += 63 * 8;
    }
    if (status != INGOT_OK) return status;
  }
  return INGOT_OK;
}

static int protection(uint32_t flags) {
  return PROT_READ | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0);
}

/* Maps [address & ~page, end of file part) from the file and clears what follows in the last page. */
static bool map_from_file(const struct ingot_elf_segment* s, uint8_t* bias, int fd, uint64_t offset, uint64_t page) {
  uint64_t shift = s->address & (page - 1), start = s->address - shift;
  uint64_t file_end = (s->address + s->file_bytes + page - 1) & ~(page - 1);
  if (s->file_bytes) {
    if (mmap(bias + start, file_end - start, protection(s->flags), MAP_PRIVATE | MAP_FIXED, fd,
             (off_t)(offset + s->offset - shift)) == MAP_FAILED)
      return false;
    uint64_t used = s->address + s->file_bytes;
    if ((s->flags & PF_W) && file_end > used) memset(bias + used, 0, file_end - used);
  } else {
    file_end = start;
  }
  uint64_t end = (s->address + s->memory_bytes + page - 1) & ~(page - 1);
  return end <= file_end || mprotect(bias + file_end, end - file_end, protection(s->flags)) == 0;
}

ingot_status ingot_elf_map(const struct ingot_elf* e, int fd, uint64_t offset, struct ingot_elf_mapping* mapping,
                           void** entry) {
  const uint64_t page = page_bytes();
  uint8_t* base = mmap(NULL, e->span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return ingot_fail(INGOT_NO_MEMORY, "no address space for %llu bytes of code", (unsigned long long)e->span);
  mapping->base = base;
  mapping->bytes = e->span;
  uint8_t* bias = (uint8_t*)((uintptr_t)base - e->first);
  bool ok = true, from_file = fd >= 0;
  for (uint32_t i = 0; i < e->segment_count; i++)
    if ((offset + e->segments[i].offset - e->segments[i].address) % page) from_file = false;
  for (uint32_t i = 0; i < e->segment_count && ok; i++) {
    const struct ingot_elf_segment* s = &e->segments[i];
    if (from_file) {
      ok = map_from_file(s, bias, fd, offset, page);
    } else {
      uint64_t start = s->address & ~(page - 1), end = (s->address + s->memory_bytes + page - 1) & ~(page - 1);
      ok = mprotect(bias + start, end - start, PROT_READ | PROT_WRITE) == 0;
      if (!ok) break;
      memcpy(bias + s->address, e->data + s->offset, s->file_bytes);
      if (!(s->flags & PF_W)) {
        ok = mprotect(bias + start, end - start, protection(s->flags)) == 0;
        if (s->flags & PF_X) __builtin___clear_cache((char*)bias + start, (char*)bias + end);
      }
    }
  }
  ingot_status status = ok ? relocate(e, bias) : ingot_fail(INGOT_IO, "cannot map code: %s", strerror(errno));
  if (status == INGOT_OK && e->relro_bytes) {
    /* Only whole pages of the writable segment that holds it. */
    for (uint32_t i = 0; i < e->segment_count; i++) {
      const struct ingot_elf_segment* s = &e->segments[i];
      if (!(s->flags & PF_W) || e->relro < s->address || e->relro - s->address >= s->memory_bytes) continue;
      uint64_t end = e->relro + e->relro_bytes, limit = s->address + s->memory_bytes;
      uint64_t start = e->relro & ~(page - 1);
      end = (end < limit ? end & ~(page - 1) : (limit + page - 1) & ~(page - 1));
      if (end > start && mprotect(bias + start, end - start, PROT_READ))
        status = ingot_fail(INGOT_IO, "cannot protect code: %s", strerror(errno));
    }
  }
  if (status != INGOT_OK) {
    ingot_elf_unmap(mapping);
    return status;
  }
  *entry = bias + e->entry;
  return INGOT_OK;
}

void ingot_elf_unmap(struct ingot_elf_mapping* mapping) {
  if (mapping->base) munmap(mapping->base, mapping->bytes);
  mapping->base = NULL;
}

ingot_status ingot_elf_perf_map(const struct ingot_elf* e, const struct ingot_elf_mapping* mapping,
                                const char* model_name) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
  FILE* out = fopen(path, "a");
  if (!out) return ingot_fail(INGOT_IO, "cannot write %s: %s", path, strerror(errno));
  uint8_t* bias = (uint8_t*)((uintptr_t)mapping->base - e->first);
  /* The full symbol table names internal kernels too; it is there unless the image was stripped. */
  Elf64_Ehdr h;
  memcpy(&h, e->data, sizeof h);
  const uint8_t* symbols = bytes_at(e, e->symbols, e->symbol_count * sizeof(Elf64_Sym));
  const char* names = (const char*)bytes_at(e, e->names, e->names_bytes);
  uint64_t count = e->symbol_count, names_bytes = e->names_bytes;
  if (h.e_shentsize == sizeof(Elf64_Shdr) && h.e_shoff <= e->size &&
      h.e_shnum <= (e->size - h.e_shoff) / sizeof(Elf64_Shdr)) {
    for (int i = 0; i < h.e_shnum; i++) {
      Elf64_Shdr table, text;
      memcpy(&table, e->data + h.e_shoff + (uint64_t)i * sizeof table, sizeof table);
      if (table.sh_type != SHT_SYMTAB || table.sh_link >= h.e_shnum) continue;
      memcpy(&text, e->data + h.e_shoff + (uint64_t)table.sh_link * sizeof text, sizeof text);
      if (table.sh_offset > e->size || table.sh_size > e->size - table.sh_offset || text.sh_offset > e->size ||
          text.sh_size > e->size - text.sh_offset || !text.sh_size || e->data[text.sh_offset + text.sh_size - 1])
        continue;
      symbols = e->data + table.sh_offset, count = table.sh_size / sizeof(Elf64_Sym);
      names = (const char*)e->data + text.sh_offset, names_bytes = text.sh_size;
    }
  }
  for (uint64_t i = 1; i < count; i++) {
    Elf64_Sym s;
    memcpy(&s, symbols + i * sizeof s, sizeof s);
    if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || !s.st_size || s.st_name >= names_bytes ||
        s.st_value >= e->first + e->span)
      continue;
    fprintf(out, "%llx %llx %s [%s]\n", (unsigned long long)(uintptr_t)(bias + s.st_value),
            (unsigned long long)s.st_size, names + s.st_name, model_name);
  }
  fclose(out);
  return INGOT_OK;
}
