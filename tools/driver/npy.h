// NumPy's .npy files, versions 1 to 3 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//
// Read: bool, (u)int 8 to 64, float 16 to 64, complex 64 and 128, and strings (fixed-width unicode or bytes), either byte
// order, C or Fortran order. Written: version 1 where the header fits, little endian, C order. Types that NumPy lacks are
// written as integers: bfloat16 and the 8-bit floats as their bits (uint16, uint8), float4 as its code (uint8), 2- and
// 4-bit integers as their values (int8, uint8).
#pragma once

#include <string>
#include <string_view>

#include "ir/types.h"
#include "support/result.h"

namespace ingot::driver {

inline constexpr int kMaxNpyRank = 32;  // NumPy's own limit

Result<TensorRef> parse_npy(std::string_view bytes);
Result<TensorRef> load_npy(const std::string& path);
// `note` receives what the reader must know where the type is not NumPy's ("bf16 saved as its bits in uint16").
std::string format_npy(const TensorData& tensor, std::string* note = nullptr);

}  // namespace ingot::driver
