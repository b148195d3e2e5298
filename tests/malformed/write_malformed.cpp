// write_malformed DIR: the malformed models as files, NAME.onnx, and NAME.txt with the message that Ingot must give.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/malformed/models.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_malformed DIR\n");
    return 2;
  }
  fs::path dir = argv[1];
  fs::create_directories(dir);
  for (const auto& m : ingot::malformed::models()) {
    std::ofstream(dir / (m.name + ".onnx"), std::ios::binary) << m.bytes;
    std::ofstream(dir / (m.name + ".txt")) << m.message << "\n";
    for (const auto& [path, contents] : m.files) {
      if (path.back() == '@') {
        fs::path link = dir / path.substr(0, path.size() - 1);
        fs::remove(link);
        fs::create_symlink(contents, link);
      } else {
        std::ofstream(dir / path, std::ios::binary) << contents;
      }
    }
  }
  return 0;
}
