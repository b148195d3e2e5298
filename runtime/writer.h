// Writes model.ingot (runtime/format.h, docs/file-format.md). For compiler and tools; the runtime does not need it.
//
// Weights may be hundreds of megabytes: they are given as spans, hashed and written piece by piece, never copied. The
// same ModelFile gives the same bytes. The file appears under its name only when it is complete.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "support/result.h"

namespace ingot {

struct ModelFile {
  enum class Level : uint8_t { Tensor, Sequence, Optional, Map };

  struct Dim {
    int64_t extent = -1;  // -1: known when run; then
    std::string symbol;   // its name ("batch"), or for outputs an expression of names; may be empty
  };
  struct Port {
    std::string name;
    std::string type;                          // for people; empty: made from the fields
    int32_t dtype = 0;                         // ingot_dtype_code of the (innermost) tensor
    std::vector<Dim> dims;                     // of the (innermost) tensor
    bool any_rank = false;                     // inside objects: the rank is not known
    std::vector<Level> levels = {Level::Tensor};  // from the outside in; ends with Tensor
    int32_t key_dtype = 0;                     // of a Map
    bool may_be_absent = false;                // inputs: need not be bound
    struct Default {
      std::vector<int64_t> dims;
      std::span<const uint8_t> bytes;          // packed; lent
    };
    std::optional<Default> contents;           // of a tensor of numbers that may be absent, where it is
  };
  struct Symbol {                              // facts that the runtime checks on inputs; unnamed symbols have none
    std::string name;
    int64_t min = 0, max = std::numeric_limits<int64_t>::max();
  };
  struct Node {
    std::string name, op;                      // "conv_7", "Conv"
  };
  struct Kernel {
    std::string name, schedule, flops, bytes;  // flops and bytes of one call: expressions of dims
    int node = -1;                             // into the image's nodes
  };
  struct Image {
    std::string target;                        // "x86-64-v4"
    uint64_t features = 0;                     // bits of runtime/cpu.h that the code needs
    std::span<const uint8_t> elf;              // shared object that exports ingot_entry; lent
    int64_t arena_bytes = -1;                  // -1: the code asks for it when run
    std::string opencl_source;                 // not empty: an OpenCL image
    int weights = -1;                          // into ModelFile::weights; images may share; -1: none
    int priority = 0;                          // the highest of the images that fit is used
    std::vector<Node> nodes;                   // what `report` refers to
    std::vector<Kernel> kernels;               // what `profile` refers to
    std::vector<std::string> messages;         // of INGOT_RUN_CHECK
    std::vector<std::string> values;           // what `trace` refers to
  };
  struct Weights {
    // Each piece begins at the next multiple of 64 bytes after the one before; lent.
    std::vector<std::span<const uint8_t>> pieces;
  };
  struct Alias {
    int input, output;
  };         // the output may lie in the input's memory
  struct Text {
    std::string key, value;
  };

  std::string name;
  std::string producer;                        // "ingot 0.1.0"
  std::vector<Port> inputs, outputs;
  std::vector<Symbol> symbols;
  std::vector<Image> images;
  std::vector<Weights> weights;
  std::vector<Alias> aliases;
  std::vector<Text> metadata;                  // of the source model
  std::string manifest = "{}";                 // a JSON object: what tools add (flags, memory plan, source hash)
  std::string debug_map;                       // empty: none
};

// "f32[batch, 3, 224, 224]", "seq(map(i64, f32[?]))"
std::string type_text(const ModelFile::Port&);

// Errors: Invalid where the description contradicts itself, Io where the file system fails.
Result<void> write_ingot(const std::string& path, const ModelFile&);
// The same in memory, for tests and small models.
Result<std::vector<uint8_t>> ingot_bytes(const ModelFile&);

// What a signature signs (see ingot_verify_fn), of the bytes of a file.
Result<std::array<uint8_t, 48>> signed_message(std::span<const uint8_t> file);
// Adds a signature to an unsigned file, or replaces it. For Ed25519: 64 bytes.
Result<void> add_signature(const std::string& path, std::span<const uint8_t> signature);

}  // namespace ingot
