// Tables first, each 8-byte aligned, then the strings; a text that occurs twice is stored once.
#include "runtime/writer_descriptors.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "runtime/abi.h"
#include "runtime/format.h"
#include "runtime/ingot.h"

namespace ingot {
namespace {

class Builder {
 public:
  Builder() : bytes_(sizeof(ingot_file_descriptors)) { text(""); }

  ingot_file_text text(const std::string& s) {
    auto [at, added] = known_.try_emplace(s, static_cast<uint32_t>(strings_.size()));
    if (added) strings_.append(s.data(), s.size()).push_back('\0');
    if (s.find('\0') != std::string::npos) bad_text_ = true;
    return {at->second, static_cast<uint32_t>(s.size())};
  }

  template <class T>
  ingot_file_range table(const std::vector<T>& items) {
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    ingot_file_range range = {static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(items.size())};
    auto from = reinterpret_cast<const uint8_t*>(items.data());
    bytes_.insert(bytes_.end(), from, from + items.size() * sizeof(T));
    return range;
  }

  Result<std::vector<uint8_t>> finish(ingot_file_descriptors head) {
    if (bad_text_) return invalid("got a text with a zero byte");
    head.strings = table(std::vector<char>(strings_.begin(), strings_.end()));
    if (bytes_.size() > INGOT_FILE_MAX_DESCRIPTORS)
      return limit_exceeded("got {} bytes of descriptors, expected at most {}", bytes_.size(),
                            INGOT_FILE_MAX_DESCRIPTORS);
    std::memcpy(bytes_.data(), &head, sizeof head);
    return std::move(bytes_);
  }

 private:
  std::vector<uint8_t> bytes_;
  std::string strings_;
  std::map<std::string, uint32_t> known_;
  bool bad_text_ = false;
};

struct Symbols {
  std::vector<std::string> names;
  std::map<std::string, uint32_t> index;
  uint32_t of(const std::string& name) {
    auto [at, added] = index.try_emplace(name, static_cast<uint32_t>(names.size()));
    if (added) names.push_back(name);
    return at->second;
  }
};

Result<std::vector<ingot_file_port>> ports_of(Builder& b, const std::vector<ModelFile::Port>& ports, const char* what,
                                              std::vector<ingot_file_dim>& dims, Symbols& symbols) {
  std::vector<ingot_file_port> out;
  uint64_t default_at = 0;  // in the section of defaults
  if (ports.size() > INGOT_FILE_MAX_PORTS)
    return limit_exceeded("got {} of {}, expected at most {}", ports.size(), what, INGOT_FILE_MAX_PORTS);
  for (auto& port : ports) {
    if (ingot_dtype_bits(port.dtype) == 0) return invalid("{} '{}': got dtype {}", what, port.name, port.dtype);
    if (port.dims.size() > INGOT_MAX_RANK)
      return limit_exceeded("{} '{}': got rank {}, expected at most {}", what, port.name, port.dims.size(),
                            INGOT_MAX_RANK);
    auto& levels = port.levels;
    if (levels.empty() || levels.size() > INGOT_FILE_MAX_NESTING || levels.back() != ModelFile::Level::Tensor ||
        std::count(levels.begin(), levels.end(), ModelFile::Level::Tensor) != 1)
      return invalid("{} '{}': got {} levels, expected at most {}, the last a tensor", what, port.name, levels.size(),
                     INGOT_FILE_MAX_NESTING);
    bool has_map = std::count(levels.begin(), levels.end(), ModelFile::Level::Map) > 0;
    if (has_map && ingot_dtype_bits(port.key_dtype) == 0)
      return invalid("{} '{}': got key dtype {}", what, port.name, port.key_dtype);
    if (port.any_rank && levels.size() == 1) return invalid("{} '{}': got a tensor of unknown rank", what, port.name);
    ingot_file_port p = {};
    p.name = b.text(port.name);
    p.type = b.text(port.type.empty() ? type_text(port) : port.type);
    p.dtype = port.dtype;
    p.rank = port.any_rank ? -1 : static_cast<int32_t>(port.dims.size());
    p.first_dim = dims.size();
    p.flags = port.may_be_absent ? INGOT_PORT_OPTIONAL : 0;
    p.key_dtype = port.key_dtype;
    for (size_t i = 0; i < levels.size(); i++) p.levels[i] = static_cast<uint8_t>(levels[i]);
    for (auto& dim : port.dims) {
      if (dim.extent < -1) return invalid("{} '{}': got extent {}", what, port.name, dim.extent);
      bool named = dim.extent < 0 && !dim.symbol.empty();
      dims.push_back({dim.extent, named ? symbols.of(dim.symbol) : INGOT_FILE_NONE, 0});
    }
    if (port.contents) {
      const ModelFile::Port::Default& c = *port.contents;
      uint64_t bits = static_cast<uint64_t>(ingot_dtype_bits(p.dtype));
      for (int64_t extent : c.dims) bits *= static_cast<uint64_t>(extent);
      if (!port.may_be_absent || levels.size() != 1 || p.dtype == INGOT_STRING || c.dims.size() != port.dims.size() ||
          (bits + 7) / 8 != c.bytes.size())
        return invalid("{} '{}': got {} bytes of contents, expected {}, of an optional tensor of numbers", what,
                       port.name, c.bytes.size(), (bits + 7) / 8);
      p.flags |= INGOT_PORT_DEFAULT;
      p.default_at = static_cast<uint32_t>(default_at / 64);
      default_at += (c.bytes.size() + 63) / 64 * 64;
      for (int64_t extent : c.dims) dims.push_back({extent, INGOT_FILE_NONE, 0});
    }
    out.push_back(p);
  }
  return out;
}

}  // namespace

std::string type_text(const ModelFile::Port& port) {
  std::string open, close;
  for (auto level : port.levels) {
    switch (level) {
      case ModelFile::Level::Tensor: continue;
      case ModelFile::Level::Sequence: open += "seq("; break;
      case ModelFile::Level::Optional: open += "optional("; break;
      case ModelFile::Level::Map: open += fmt::format("map({}, ", ingot_dtype_name(port.key_dtype)); break;
    }
    close += ")";
  }
  std::string dims = port.any_rank ? "..." : "";
  for (auto& d : port.dims) {
    if (!dims.empty()) dims += ", ";
    dims += d.extent >= 0 ? std::to_string(d.extent) : d.symbol.empty() ? "?" : d.symbol;
  }
  return fmt::format("{}{}[{}]{}", open, ingot_dtype_name(port.dtype), dims, close);
}

Result<SectionPlan> plan_sections(const ModelFile& file) {
  SectionPlan plan;
  uint32_t next = 1;  // after the descriptors
  for (auto& image : file.images) {
    Elf64_Ehdr head;
    if (image.elf.size() < sizeof head || std::memcmp(image.elf.data(), ELFMAG, SELFMAG) != 0)
      return invalid("image '{}': got no ELF", image.target);
    std::memcpy(&head, image.elf.data(), sizeof head);
    plan.machines.push_back(head.e_machine);
    if (image.weights < -1 || image.weights >= static_cast<int>(file.weights.size()))
      return invalid("image '{}': got weights {}, expected less than {}", image.target, image.weights,
                     file.weights.size());
    auto same = std::find_if(plan.code_contents.begin(), plan.code_contents.end(), [&](auto other) {
      return std::equal(other.begin(), other.end(), image.elf.begin(), image.elf.end());
    });
    plan.code.push_back(1 + static_cast<uint32_t>(same - plan.code_contents.begin()));
    if (same == plan.code_contents.end()) {
      plan.code_contents.push_back(image.elf);
      next++;
    }
  }
  for (auto& image : file.images) plan.kernels.push_back(image.opencl_source.empty() ? INGOT_FILE_NONE : next++);
  if (!file.debug_map.empty()) next++;
  for (size_t i = 0; i < file.weights.size(); i++) plan.weights.push_back(next++);
  return plan;
}

Result<std::vector<uint8_t>> descriptor_bytes(const ModelFile& file, const SectionPlan& plan) {
  Builder b;
  ingot_file_descriptors head = {};
  head.abi_version = INGOT_ABI_VERSION;
  head.name = b.text(file.name);
  head.producer = b.text(file.producer);

  std::vector<ingot_file_dim> dims;
  Symbols names;
  for (auto& s : file.symbols) names.of(s.name);
  auto inputs = TRY(ports_of(b, file.inputs, "input", dims, names));
  auto outputs = TRY(ports_of(b, file.outputs, "output", dims, names));
  std::vector<ingot_file_symbol> symbols;
  for (auto& name : names.names) symbols.push_back({b.text(name), 0, INT64_MAX});
  for (auto& s : file.symbols) {
    symbols[names.of(s.name)].min = s.min;
    symbols[names.of(s.name)].max = s.max;
  }

  std::vector<ingot_file_image> images;
  std::vector<ingot_file_node> nodes;
  std::vector<ingot_file_kernel> kernels;
  std::vector<ingot_file_text> messages, values;
  for (size_t i = 0; i < file.images.size(); i++) {
    auto& from = file.images[i];
    ingot_file_image image = {};
    image.target = b.text(from.target);
    image.kind = from.opencl_source.empty() ? INGOT_IMAGE_HOST : INGOT_IMAGE_OPENCL;
    image.machine = plan.machines[i];
    image.features = from.features;
    image.arena_bytes = from.arena_bytes < 0 ? -1 : from.arena_bytes;
    image.code_section = plan.code[i];
    image.kernels_section = plan.kernels[i];
    image.weights_section = from.weights < 0 ? INGOT_FILE_NONE : plan.weights[from.weights];
    image.priority = from.priority;
    auto range = [](auto& table, auto& items) {
      return ingot_file_range{static_cast<uint32_t>(table.size()), static_cast<uint32_t>(items.size())};
    };
    image.nodes = range(nodes, from.nodes);
    image.kernels = range(kernels, from.kernels);
    image.messages = range(messages, from.messages);
    image.values = range(values, from.values);
    for (auto& n : from.nodes) nodes.push_back({b.text(n.name), b.text(n.op)});
    for (auto& k : from.kernels) {
      if (k.node < -1 || k.node >= static_cast<int>(from.nodes.size()))
        return invalid("kernel '{}': got node {}, expected less than {}", k.name, k.node, from.nodes.size());
      kernels.push_back({b.text(k.name), b.text(k.schedule), b.text(k.flops), b.text(k.bytes),
                         k.node < 0 ? INGOT_FILE_NONE : static_cast<uint32_t>(k.node), 0});
    }
    for (auto& m : from.messages) messages.push_back(b.text(m));
    for (auto& v : from.values) values.push_back(b.text(v));
    images.push_back(image);
  }

  std::vector<ingot_file_alias> aliases;
  for (auto& a : file.aliases) {
    if (a.input < 0 || a.input >= static_cast<int>(inputs.size()) || a.output < 0 ||
        a.output >= static_cast<int>(outputs.size()))
      return invalid("got an alias of input {} and output {}, which do not exist", a.input, a.output);
    aliases.push_back({static_cast<uint32_t>(a.input), static_cast<uint32_t>(a.output)});
  }
  std::vector<ingot_file_metadata> metadata;
  for (auto& m : file.metadata) metadata.push_back({b.text(m.key), b.text(m.value)});

  head.inputs = b.table(inputs);
  head.outputs = b.table(outputs);
  head.dims = b.table(dims);
  head.symbols = b.table(symbols);
  head.images = b.table(images);
  head.nodes = b.table(nodes);
  head.kernels = b.table(kernels);
  head.messages = b.table(messages);
  head.values = b.table(values);
  head.aliases = b.table(aliases);
  head.metadata = b.table(metadata);
  return b.finish(head);
}

}  // namespace ingot
