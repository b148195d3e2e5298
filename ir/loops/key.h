// Kernels that mean the same code have the same key: the text with buffers' and symbols' names left out.
#pragma once

#include <string>

#include "ir/loops/loops.h"

namespace ingot::l {

std::string key(const Kernel&);

}  // namespace ingot::l
