#include "frontend/onnx/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace ingot::onnx {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its other end.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return io_error("cannot open {}: {}", quoted(path), strerror(errno));
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    ::close(fd);
    return io_error("{} is not a regular file", quoted(path));
  }
  size_t size = static_cast<size_t>(st.st_size);
  if (size == 0) {
    ::close(fd);
    return std::shared_ptr<const MappedFile>(new MappedFile({}));
  }
  void* p = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  int error = errno;
  ::close(fd);
  if (p == MAP_FAILED) return io_error("cannot map {}: {}", quoted(path), strerror(error));
  return std::shared_ptr<const MappedFile>(new MappedFile({static_cast<const uint8_t*>(p), size}));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

namespace {

Result<std::string> real_path(const std::string& path) {
  char resolved[PATH_MAX];
  if (!realpath(path.c_str(), resolved)) return io_error("cannot open {}: {}", quoted(path), strerror(errno));
  return std::string(resolved);
}

}  // namespace

Result<std::string> ExternalFiles::find(std::string_view location) const {
  auto within = [](const std::string& path, const std::string& folder) {
    return path.starts_with(folder == "/" ? folder : folder + "/");
  };
  std::vector<std::string> real;
  for (const std::string& folder : folders_) real.push_back(TRY(real_path(folder)));
  std::optional<Error> first;
  for (const std::string& folder : real) {
    Result<std::string> path = real_path(folder + "/" + std::string(location));
    if (!path) {
      if (!first) first = std::move(path.error());
      continue;
    }
    if (std::any_of(real.begin(), real.end(), [&](const std::string& f) { return within(*path, f); })) return path;
    return invalid("external data location {} leads out of the model's folder through a link", quoted(location));
  }
  return *std::move(first);
}

Result<std::shared_ptr<const MappedFile>> ExternalFiles::open(std::string_view location) {
  if (auto it = files_.find(location); it != files_.end()) return it->second;
  if (folders_.empty()) return unsupported("external data {}: the model was not read from a file", quoted(location));
  if (location.empty()) return invalid("external data has no location");
  if (location.find('\0') != location.npos)
    return invalid("external data location {} holds a zero byte", quoted(location));
  if (location[0] == '/')
    return invalid("external data location {} is absolute, expected one inside the model's folder", quoted(location));
  for (size_t at = 0; at <= location.size();) {
    size_t slash = std::min(location.find('/', at), location.size());
    if (location.substr(at, slash - at) == "..")
      return invalid("external data location {} leaves the model's folder", quoted(location));
    at = slash + 1;
  }
  std::string path = TRY(find(location));
  auto file = TRY(MappedFile::open(path));
  files_.emplace(std::string(location), file);
  return file;
}

std::vector<std::string> folders_of_model(const std::string& path) {
  std::vector<std::string> folders = {folder_of(path)};
  if (auto real = real_path(path)) folders.push_back(folder_of(*real));
  return folders;
}

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string quoted(std::string_view name) {
  constexpr size_t kMaxQuoted = 200;
  std::string out = "'";
  for (char c : name.substr(0, kMaxQuoted)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else out += c;
  }
  if (name.size() > kMaxQuoted) out += "...";
  return out + "'";
}

}  // namespace ingot::onnx
