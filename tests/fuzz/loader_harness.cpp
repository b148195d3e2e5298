#include "tests/fuzz/loader_harness.h"

#include <cstring>

#include "runtime/format.h"
#include "runtime/hash.h"
#include "runtime/ingot.h"

namespace ingot::test {
namespace {

volatile uint64_t sink;  // keeps reads of what the loader hands out

void look(const char* text) {
  while (*text) sink = sink + static_cast<uint8_t>(*text++);
}

void look(const ingot_port* p) {
  look(p->name);
  look(p->type);
  for (int i = 0; i < p->rank; i++) {
    sink = sink + p->dims[i];
    look(p->symbols[i]);
  }
}

}  // namespace

void repair_hashes(std::vector<uint8_t>& file) {
  ingot_file_header head;
  if (file.size() < sizeof head) return;
  std::memcpy(&head, file.data(), sizeof head);
  size_t count = head.section_count;
  if (count > INGOT_FILE_MAX_SECTIONS || file.size() < sizeof head + count * sizeof(ingot_file_section)) return;
  for (size_t i = 0; i < count; i++) {
    uint8_t* at = file.data() + sizeof head + i * sizeof(ingot_file_section);
    ingot_file_section s;
    std::memcpy(&s, at, sizeof s);
    if (s.offset > file.size() || s.size_bytes > file.size() - s.offset) continue;
    ingot_hash_of(file.data() + s.offset, s.size_bytes, s.hash);
    std::memcpy(at, &s, sizeof s);
  }
  ingot_hash hash;
  ingot_hash_begin(&hash);
  ingot_hash_add(&hash, file.data(), offsetof(ingot_file_header, table_hash));
  ingot_hash_add(&hash, file.data() + sizeof head, count * sizeof(ingot_file_section));
  ingot_hash_end(&hash, file.data() + offsetof(ingot_file_header, table_hash));
}

void load_any(std::vector<uint8_t> file) {
  repair_hashes(file);
  for (uint32_t flags : {0u, static_cast<uint32_t>(INGOT_LOAD_INSPECT)}) {
    ingot_load_options options = {sizeof options, flags | INGOT_LOAD_VERIFY_WEIGHTS};
    ingot_model* model = nullptr;
    if (ingot_model_load_memory(file.data(), file.size(), &options, &model) != INGOT_OK) {
      look(ingot_last_error());
      continue;
    }
    look(ingot_model_name(model));
    look(ingot_model_producer(model));
    look(ingot_model_target(model));
    for (int i = 0; i < ingot_model_input_count(model); i++) look(ingot_model_input(model, i));
    for (int i = 0; i < ingot_model_output_count(model); i++) look(ingot_model_output(model, i));
    const char* value = nullptr;
    for (int i = 0; const char* key = ingot_model_metadata(model, i, &value); i++) look(key), look(value);
    size_t size = 0;
    const char* manifest = ingot_model_manifest(model, &size);
    for (size_t i = 0; i < size; i++) sink = sink + static_cast<uint8_t>(manifest[i]);
    ingot_image_info info;
    for (int i = 0; i < ingot_model_image_count(model); i++)
      if (ingot_model_image(model, i, &info) == INGOT_OK) look(info.target);
    ingot_session_options limits = {};
    limits.size_bytes = sizeof limits;
    limits.flags = INGOT_SESSION_PROFILE;
    limits.threads = 1;
    limits.memory_limit_bytes = 1 << 20;
    ingot_session* session = nullptr;
    if (ingot_session_create(model, &limits, &session) == INGOT_OK) {
      const ingot_profile_entry* entries = nullptr;
      int32_t count = 0;
      ingot_session_profile(session, &entries, &count);
      for (int32_t i = 0; i < count; i++) look(entries[i].kernel), look(entries[i].node), look(entries[i].schedule);
      ingot_session_free(session);
    }
    ingot_model_free(model);
  }
}

void fuzz_one(std::span<const uint8_t> input, std::span<const std::vector<uint8_t>> valid_files) {
  if (input.empty()) return;
  uint8_t mode = input[0];
  input = input.subspan(1);
  if (mode == 0) return load_any({input.begin(), input.end()});
  std::vector<uint8_t> file = valid_files[mode % valid_files.size()];
  while (input.size() > 4) {
    size_t at = input[0] | input[1] << 8 | input[2] << 16, width = 1 + input[3] % 8;
    input = input.subspan(4);
    for (size_t i = 0; i < width && i < input.size(); i++) file[(at + i) % file.size()] = input[i];
    input = input.subspan(std::min(width, input.size()));
  }
  load_any(std::move(file));
}

}  // namespace ingot::test
