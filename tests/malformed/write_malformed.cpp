// write_malformed DIR: the malformed models as files, NAME.onnx, and NAME.txt with the message that Ingot must give.
// write_malformed --sound DIR: the small sound models, as the fuzzer's corpus has them.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/malformed/models.h"
#include "tests/malformed/small_models.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  const bool sound = argc == 3 && std::string(argv[1]) == "--sound";
  if (argc != 2 && !sound) {
    std::fprintf(stderr, "usage: write_malformed [--sound] DIR\n");
    return 2;
  }
  fs::path dir = argv[argc - 1];
  fs::create_directories(dir);
  if (sound) {
    for (const auto& m : ingot::malformed::small_models())
      std::ofstream(dir / (m.name + ".onnx"), std::ios::binary) << m.bytes;
    return 0;
  }
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
