// The fixed binary description inside model.ingot, from a ModelFile. Used by writer.cpp only.
#pragma once

#include "runtime/writer.h"

namespace ingot {

// Which section each image's code, kernels and weights become.
struct SectionPlan {
  std::vector<uint32_t> code, kernels, weights;         // by image, image, weights index
  std::vector<uint32_t> machines;                       // by image
  std::vector<std::span<const uint8_t>> code_contents;  // images with the same bytes share a section
};
Result<SectionPlan> plan_sections(const ModelFile&);
Result<std::vector<uint8_t>> descriptor_bytes(const ModelFile&, const SectionPlan&);

}  // namespace ingot
