// See files.h.
#include "tools/driver/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace ingot::driver {

namespace fs = std::filesystem;

Result<std::string> read_file(const std::string& path, int64_t max_bytes) {
  struct stat st{};
  if (stat(path.c_str(), &st) != 0) return io_error("cannot read {}: {}", path, std::strerror(errno));
  if (S_ISDIR(st.st_mode)) return io_error("cannot read {}: it is a directory", path);
  if (st.st_size > max_bytes)
    return limit_exceeded("{} has {} bytes, expected at most {}", path, st.st_size, max_bytes);
  FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return io_error("cannot read {}: {}", path, std::strerror(errno));
  std::string bytes;
  bytes.reserve(static_cast<size_t>(st.st_size));
  char buffer[1 << 16];
  size_t got = 0;
  while ((got = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    bytes.append(buffer, got);
    if (static_cast<int64_t>(bytes.size()) > max_bytes) break;
  }
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return io_error("cannot read {}: {}", path, std::strerror(errno));
  if (static_cast<int64_t>(bytes.size()) > max_bytes)
    return limit_exceeded("{} has more than {} bytes", path, max_bytes);
  return bytes;
}

Result<void> write_file(const std::string& path, std::string_view bytes) {
  std::error_code ec;
  const bool special = fs::exists(path, ec) && !fs::is_regular_file(path, ec);  // /dev/stdout and the like
  const std::string temporary = special ? path : fmt::format("{}.{}.tmp", path, getpid());
  FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) return io_error("cannot write {}: {}", path, std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const int write_errno = errno;
  if (std::fclose(file) != 0 || !written) {
    if (!special) std::remove(temporary.c_str());
    return io_error("cannot write {}: {}", path, std::strerror(written ? errno : write_errno));
  }
  if (!special && std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int rename_errno = errno;
    std::remove(temporary.c_str());
    return io_error("cannot write {}: {}", path, std::strerror(rename_errno));
  }
  return {};
}

Result<void> make_directory(const std::string& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) return io_error("cannot make the directory {}: {}", path, ec.message());
  return {};
}

bool is_directory(const std::string& path) {
  std::error_code ec;
  return fs::is_directory(path, ec);
}

bool is_file(const std::string& path) {
  std::error_code ec;
  return fs::is_regular_file(path, ec);
}

int64_t file_bytes(const std::string& path) {
  std::error_code ec;
  const auto size = fs::file_size(path, ec);
  return ec ? 0 : static_cast<int64_t>(size);
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code ec;
  for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path.size() == 1 ? path : path.substr(slash + 1));
}

std::string stem(std::string_view path) {
  std::string name = base_name(path);
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

bool ends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

Error in_file(Error error, const std::string& path) {
  const std::string line = "in " + path;
  return ends_with(error.message, "\n  " + line) ? std::move(error) : std::move(error).context(line);
}

}  // namespace ingot::driver
