// libFuzzer target; the valid files come from the images of tests/runtime.
#include "tests/fuzz/loader_harness.h"
#include "tests/runtime/common.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot::test;
  static const std::vector<std::vector<uint8_t>> files = {
      *ingot::ingot_bytes(static_add()), *ingot::ingot_bytes(strings()), *ingot::ingot_bytes(sequence())};
  fuzz_one({data, size}, files);
  return 0;
}
