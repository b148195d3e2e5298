// The sections of model.ingot in order: descriptors, code, kernels, debug map, weights, manifest (it lists the hashes of
// the others, so that it comes last). The header and the table are written at the end over a page left free.
#include "runtime/writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/abi.h"
#include "runtime/cpu.h"
#include "runtime/format.h"
#include "runtime/hash.h"
#include "runtime/writer_descriptors.h"

namespace ingot {
namespace {

// Where the bytes go: a file or memory.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<void> write(const void* data, size_t size, uint64_t offset) = 0;
};

class MemorySink : public Sink {
 public:
  std::vector<uint8_t> bytes;
  Result<void> write(const void* data, size_t size, uint64_t offset) override {
    if (bytes.size() < offset + size) bytes.resize(offset + size);
    if (size) std::memcpy(bytes.data() + offset, data, size);
    return {};
  }
};

class FileSink : public Sink {
 public:
  explicit FileSink(int fd) : fd_(fd) {}
  Result<void> write(const void* data, size_t size, uint64_t offset) override {
    auto at = static_cast<const char*>(data);
    while (size) {
      ssize_t n = pwrite(fd_, at, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return io_error("cannot write: {}", std::strerror(errno));
      at += n, offset += n, size -= n;
    }
    return {};
  }

 private:
  int fd_;
};

std::string hex(const uint8_t* hash) {
  std::string out;
  for (int i = 0; i < INGOT_HASH_BYTES; i++) out += fmt::format("{:02x}", hash[i]);
  return out;
}

uint64_t align_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

std::array<uint8_t, 32> table_hash(const ingot_file_header& head, std::span<const ingot_file_section> sections) {
  std::array<uint8_t, 32> out;
  ingot_hash hash;
  ingot_hash_begin(&hash);
  ingot_hash_add(&hash, &head, offsetof(ingot_file_header, table_hash));
  ingot_hash_add(&hash, sections.data(), sections.size_bytes());
  ingot_hash_end(&hash, out.data());
  return out;
}

Result<void> write_table(Sink& sink, std::span<const ingot_file_section> sections) {
  ingot_file_header head = {};
  std::memcpy(head.magic, INGOT_FILE_MAGIC, 8);
  head.version = INGOT_FILE_VERSION;
  head.section_count = sections.size();
  head.size_bytes = sections.back().offset + sections.back().size_bytes;
  auto hash = table_hash(head, sections);
  std::memcpy(head.table_hash, hash.data(), hash.size());
  TRY(sink.write(&head, sizeof head, 0));
  return sink.write(sections.data(), sections.size_bytes(), sizeof head);
}

class Writer {
 public:
  explicit Writer(Sink& sink) : sink_(sink) {}

  // Pieces begin at multiples of 64 bytes of the section; the gaps are zero.
  Result<void> add(uint32_t kind, std::span<const std::span<const uint8_t>> pieces) {
    if (sections_.size() == INGOT_FILE_MAX_SECTIONS - 1)
      return limit_exceeded("got more than {} sections", INGOT_FILE_MAX_SECTIONS - 1);
    static const uint8_t zeros[64] = {};
    ingot_file_section s = {};
    s.kind = kind;
    s.offset = align_up(end_, INGOT_FILE_ALIGN);
    ingot_hash hash;
    ingot_hash_begin(&hash);
    for (auto piece : pieces) {
      uint64_t gap = align_up(s.size_bytes, 64) - s.size_bytes;
      ingot_hash_add(&hash, zeros, gap);
      TRY(sink_.write(zeros, gap, s.offset + s.size_bytes));
      s.size_bytes += gap;
      // Hashed and written in parts that stay in the cache.
      for (size_t at = 0; at < piece.size();) {
        size_t part = std::min<size_t>(piece.size() - at, 1 << 20);
        ingot_hash_add(&hash, piece.data() + at, part);
        TRY(sink_.write(piece.data() + at, part, s.offset + s.size_bytes));
        at += part, s.size_bytes += part;
      }
    }
    ingot_hash_end(&hash, s.hash);
    end_ = s.offset + s.size_bytes;
    sections_.push_back(s);
    return {};
  }
  Result<void> add(uint32_t kind, std::span<const uint8_t> content) { return add(kind, std::span(&content, 1)); }
  Result<void> add(uint32_t kind, const std::string& text) {
    return add(kind, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }

  const std::vector<ingot_file_section>& sections() const { return sections_; }
  Result<void> finish() { return write_table(sink_, sections_); }

 private:
  Sink& sink_;
  uint64_t end_ = INGOT_FILE_ALIGN;
  std::vector<ingot_file_section> sections_;
};

std::string kind_name(uint32_t kind) {
  switch (kind) {
    case INGOT_SECTION_DESCRIPTORS: return "descriptors";
    case INGOT_SECTION_CODE: return "code";
    case INGOT_SECTION_WEIGHTS: return "weights";
    case INGOT_SECTION_KERNELS: return "kernels";
    case INGOT_SECTION_DEFAULTS: return "defaults";
    case INGOT_SECTION_DEBUG_MAP: return "debug map";
  }
  return fmt::format("kind {}", kind);
}

Result<std::string> manifest_text(const ModelFile& file, const std::vector<ingot_file_section>& sections,
                                  const SectionPlan& plan) {
  using nlohmann::ordered_json;
  ordered_json extras = ordered_json::parse(file.manifest, nullptr, false);
  if (!extras.is_object()) return invalid("the manifest is not a JSON object");
  ordered_json out = {{"name", file.name}, {"producer", file.producer}};
  for (bool is_output : {false, true}) {
    ordered_json ports = ordered_json::array();
    for (auto& port : is_output ? file.outputs : file.inputs) {
      ports.push_back({{"name", port.name}, {"type", port.type.empty() ? type_text(port) : port.type}});
      if (port.may_be_absent) ports.back()["optional"] = true;
    }
    out[is_output ? "outputs" : "inputs"] = ports;
  }
  ordered_json images = ordered_json::array();
  for (size_t i = 0; i < file.images.size(); i++) {
    auto& image = file.images[i];
    char features[1024];
    ingot_cpu_feature_text(plan.machines[i], image.features, features, sizeof features);
    ordered_json entry = {{"target", image.target},         {"kind", image.opencl_source.empty() ? "cpu" : "opencl"},
                          {"features", features},           {"code_section", plan.code[i]},
                          {"code_bytes", image.elf.size()}, {"kernels", image.kernels.size()}};
    if (image.arena_bytes >= 0) entry["arena_bytes"] = image.arena_bytes;
    if (image.weights >= 0) entry["weights_section"] = plan.weights[image.weights];
    images.push_back(entry);
  }
  out["images"] = images;
  if (!file.metadata.empty()) {
    ordered_json metadata = ordered_json::object();
    for (auto& m : file.metadata) metadata[m.key] = m.value;
    out["metadata"] = metadata;
  }
  ordered_json list = ordered_json::array();
  for (auto& s : sections)
    list.push_back({{"kind", kind_name(s.kind)}, {"bytes", s.size_bytes}, {"blake2b", hex(s.hash)}});
  out["sections"] = list;
  for (auto& [key, value] : extras.items()) out[key] = value;
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<void> write_sections(Sink& sink, const ModelFile& file) {
  SectionPlan plan = TRY(plan_sections(file));
  auto descriptors = TRY(descriptor_bytes(file, plan));
  Writer writer(sink);
  TRY(writer.add(INGOT_SECTION_DESCRIPTORS, descriptors));
  for (auto& bytes : plan.code_contents) TRY(writer.add(INGOT_SECTION_CODE, bytes));
  for (auto& image : file.images)
    if (!image.opencl_source.empty()) TRY(writer.add(INGOT_SECTION_KERNELS, image.opencl_source));
  if (!file.debug_map.empty()) TRY(writer.add(INGOT_SECTION_DEBUG_MAP, file.debug_map));
  for (auto& w : file.weights) TRY(writer.add(INGOT_SECTION_WEIGHTS, w.pieces));
  std::vector<std::span<const uint8_t>> defaults;
  for (auto& port : file.inputs)
    if (port.contents) defaults.push_back(port.contents->bytes);
  if (!defaults.empty()) TRY(writer.add(INGOT_SECTION_DEFAULTS, defaults));
  std::string manifest = TRY(manifest_text(file, writer.sections(), plan));
  TRY(writer.add(INGOT_SECTION_MANIFEST, manifest));
  return writer.finish();
}

struct Descriptor {  // of an open file
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// Header and table of a file, checked as far as signing needs.
Result<std::vector<ingot_file_section>> read_table(std::span<const uint8_t> file) {
  ingot_file_header head;
  if (file.size() < sizeof head) return invalid("got {} bytes, expected a model.ingot file", file.size());
  std::memcpy(&head, file.data(), sizeof head);
  if (std::memcmp(head.magic, INGOT_FILE_MAGIC, 8) || head.version != INGOT_FILE_VERSION || head.section_count == 0 ||
      head.section_count > INGOT_FILE_MAX_SECTIONS ||
      file.size() < sizeof head + head.section_count * sizeof(ingot_file_section))
    return invalid("got no model.ingot file of version {}", INGOT_FILE_VERSION);
  std::vector<ingot_file_section> sections(head.section_count);
  std::memcpy(sections.data(), file.data() + sizeof head, sections.size() * sizeof sections[0]);
  if (table_hash(head, sections) != std::to_array(head.table_hash))
    return invalid("the section table does not have the hash of the header");
  return sections;
}

// A device or a pipe is written to, not replaced; it is written in order, so that the whole is made first.
Result<void> write_special(const std::string& path, const ModelFile& file) {
  const std::vector<uint8_t> bytes = TRY(ingot_bytes(file));
  FILE* out = std::fopen(path.c_str(), "wb");
  if (!out) return io_error("cannot write {}: {}", path, std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size();
  const int write_errno = errno;
  if (std::fclose(out) != 0 || !written)
    return io_error("cannot write {}: {}", path, std::strerror(written ? errno : write_errno));
  return {};
}

}  // namespace

Result<void> write_ingot(const std::string& path, const ModelFile& file) {
  struct stat st{};
  if (stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return io_error("cannot write {}: it is a directory", path);
  if (stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) return write_special(path, file);
  std::string part = path + ".part" + std::to_string(getpid());
  Descriptor out{open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (out.fd < 0) return io_error("cannot create {}: {}", part, std::strerror(errno));
  FileSink sink(out.fd);
  auto result = write_sections(sink, file);
  if (result && rename(part.c_str(), path.c_str()) != 0)
    result = io_error("cannot rename {} to {}: {}", part, path, std::strerror(errno));
  if (!result) {
    unlink(part.c_str());
    return std::move(result.error()).context("in " + path);
  }
  return result;
}

Result<std::vector<uint8_t>> ingot_bytes(const ModelFile& file) {
  MemorySink sink;
  TRY(write_sections(sink, file));
  return std::move(sink.bytes);
}

Result<std::array<uint8_t, 48>> signed_message(std::span<const uint8_t> file) {
  auto sections = TRY(read_table(file));
  std::array<uint8_t, 48> out;
  std::array<uint8_t, 16> head = {};
  static const char prefix[16] = {INGOT_FILE_SIGNATURE_PREFIX};
  std::memcpy(head.data(), file.data(), 12);
  std::memcpy(out.data(), prefix, 16);
  ingot_hash hash;
  ingot_hash_begin(&hash);
  ingot_hash_add(&hash, head.data(), head.size());
  for (auto& s : sections)
    if (s.kind != INGOT_SECTION_SIGNATURE) ingot_hash_add(&hash, &s, sizeof s);
  ingot_hash_end(&hash, out.data() + 16);
  return out;
}

Result<void> add_signature(const std::string& path, std::span<const uint8_t> signature) {
  Descriptor file{open(path.c_str(), O_RDWR | O_CLOEXEC)};
  if (file.fd < 0) return io_error("cannot open {}: {}", path, std::strerror(errno));
  std::vector<uint8_t> head(INGOT_FILE_ALIGN);
  ssize_t n = pread(file.fd, head.data(), head.size(), 0);
  if (n < 0) return io_error("cannot read {}: {}", path, std::strerror(errno));
  head.resize(n);
  auto sections = TRY(read_table(head));
  if (sections.back().kind == INGOT_SECTION_SIGNATURE) sections.pop_back();
  if (sections.empty() || sections.size() == INGOT_FILE_MAX_SECTIONS) return limit_exceeded("no room for a signature");
  ingot_file_section s = {};
  s.kind = INGOT_SECTION_SIGNATURE;
  s.offset = align_up(sections.back().offset + sections.back().size_bytes, INGOT_FILE_ALIGN);
  s.size_bytes = signature.size();
  ingot_hash_of(signature.data(), signature.size(), s.hash);
  sections.push_back(s);
  FileSink sink(file.fd);
  TRY(sink.write(signature.data(), signature.size(), s.offset));
  if (ftruncate(file.fd, static_cast<off_t>(s.offset + s.size_bytes)))
    return io_error("cannot set the size of {}: {}", path, std::strerror(errno));
  return write_table(sink, sections);
}

}  // namespace ingot
