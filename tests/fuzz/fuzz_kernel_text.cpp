// Any bytes: parse_program gives an error or a program of K; it prints, and its text reads back to the same text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ir/kernel/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  auto program = k::parse_program(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!program) return 0;
  (void)k::verify(*program);
  std::string text = k::str(*program, false);
  auto again = k::parse_program(text);
  if (!again || k::str(*again, false) != text) std::abort();
  return 0;
}
