// Packs the image static_add into a model.ingot, for tests of installed programs: pack_image OUT.ingot
#include <cstdio>

#include "tests/runtime/common.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto written = ingot::write_ingot(argv[1], ingot::test::static_add());
  if (!written) std::fprintf(stderr, "%s\n", written.error().message.c_str());
  return written ? 0 : 1;
}
