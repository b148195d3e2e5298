// Any bytes: l::parse gives an error or a program of L; it prints, and its text reads back, of a valid program to the same
// text. (Symbols that nothing declares are numbered as they occur, so that products of them may change places.)
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ir/loops/loops.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  auto program = l::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!program) return 0;
  const bool valid = static_cast<bool>(l::verify(*program));
  std::string text = l::str(*program);
  auto again = l::parse(text);
  if (!again || (valid && l::str(*again) != text)) std::abort();
  return 0;
}
