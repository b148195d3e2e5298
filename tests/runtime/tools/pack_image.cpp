// Packs the image static_add into a model.ingot, for tests of installed programs and of other machines:
//   pack_image OUT.ingot [TARGET IMAGE.so]...
#include <cstdio>
#include <fstream>

#include "tests/runtime/common.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc % 2) return 2;
  ingot::ModelFile file = ingot::test::static_add();
  std::vector<std::vector<uint8_t>> images;
  for (int i = 2; i < argc; i += 2) {
    std::ifstream in(argv[i + 1], std::ios::binary);
    images.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  for (size_t i = 0; i < images.size(); i++) {
    file.images.push_back(file.images[0]);
    file.images.back().target = argv[2 + 2 * i];
    file.images.back().elf = images[i];
  }
  auto written = ingot::write_ingot(argv[1], file);
  if (!written) std::fprintf(stderr, "%s\n", written.error().message.c_str());
  return written ? 0 : 1;
}
