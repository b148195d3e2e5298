// Tied weights in packed layout: a constant that a contraction packs and that somebody else reads as well (the embedding of a
// language model, which is also the matrix of its logits) lies in memory once, in the contraction's packed panels: the others
// find its elements there. A row of the packed layout is a cache line per panel and step; that is far less than the product
// takes. See one_form.cpp.
#pragma once

#include "passes/schedule/storage.h"

namespace ingot {

// The storage of the constant that `packing` reads, if it lay as `packing` writes it: each index of the read is an iterator,
// or panel * width + lane. none: the read is another one, or there is more than the read.
std::optional<Storage> packed_form(const k::Stage& packing, const k::Program&);

}  // namespace ingot
