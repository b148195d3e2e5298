// Linking with LLD as a library. LLD keeps global state and reads and writes files, so calls are serialised and the
// objects go through a private temporary folder.
#include <fcntl.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "backends/llvm/codegen.h"

LLD_HAS_DRIVER(elf)

namespace ingot::codegen {

namespace {

struct Folder {
  std::string path;
  ~Folder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
};

Result<void> write_file(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return io_error("cannot write '{}'", path);
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> link_image(std::span<const Object> objects, const Target& target, bool debug_names) {
  std::error_code code;
  std::filesystem::path base = std::filesystem::temp_directory_path(code);
  if (code) return io_error("no folder for temporary files: {}", code.message());
  std::string pattern = (base / "ingot-link-XXXXXX").string();
  if (!mkdtemp(pattern.data())) return io_error("cannot make a temporary folder in '{}'", base.string());
  Folder folder{pattern};
  std::vector<std::string> args{"ld.lld",
                                "-shared",
                                "--no-undefined",
                                "--hash-style=sysv",
                                "--build-id=none",
                                "-Bsymbolic",
                                "-z",
                                "now",
                                "-z",
                                "norelro",
                                "-z",
                                "noexecstack",
                                "--no-rosegment",
                                "--threads=1",
                                "-o",
                                folder.path + "/image.so"};
  args.insert(args.end(), {"-z", "max-page-size=" + std::to_string(target.page_bytes)});
  args.insert(args.end(), {"-m", target.arch == Arch::X86_64 ? "elf_x86_64" : "aarch64linux", "--gc-sections"});
  if (!debug_names) args.push_back("--strip-debug");
  bool lazy = false;
  for (size_t i = 0; i < objects.size(); ++i) {
    std::string path = folder.path + "/" + std::to_string(i) + ".o";
    TRY(write_file(path, objects[i].bytes));
    if (objects[i].lazy != lazy) args.push_back(objects[i].lazy ? "--start-lib" : "--end-lib");
    lazy = objects[i].lazy;
    args.push_back(path);
  }
  if (lazy) args.push_back("--end-lib");
  std::vector<const char*> pointers;
  for (const std::string& a : args) pointers.push_back(a.c_str());
  std::string messages;
  llvm::raw_string_ostream text(messages);
  static std::mutex one_at_a_time;
  {
    std::lock_guard<std::mutex> lock(one_at_a_time);
    lld::Result r = lld::lldMain(pointers, text, text, {{lld::Gnu, &lld::elf::link}});
    if (r.retCode != 0) return io_error("the linker failed: {}", messages);
  }
  std::ifstream in(folder.path + "/image.so", std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
  if (bytes.empty()) return io_error("the linker wrote nothing");
  return bytes;
}

}  // namespace ingot::codegen
