// Whole files in and out, with errors that name the path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/result.h"

namespace ingot::driver {

inline constexpr int64_t kMaxFileBytes = int64_t{16} << 30;  // of a file that is read whole

Result<std::string> read_file(const std::string& path, int64_t max_bytes = kMaxFileBytes);
Result<void> write_file(const std::string& path,
                        std::string_view bytes);  // through a temporary name: whole or not at all
Result<void> make_directory(const std::string& path);                      // and its parents
bool is_directory(const std::string& path);
bool is_file(const std::string& path);
int64_t file_bytes(const std::string& path);                               // 0 where there is none
// Names of the entries of a directory, sorted; empty where it cannot be read.
std::vector<std::string> list_directory(const std::string& path);
std::string base_name(std::string_view path);   // "a/b.onnx" -> "b.onnx"; trailing slashes are ignored
std::string stem(std::string_view path);        // "a/b.onnx" -> "b"
bool ends_with(std::string_view text, std::string_view suffix);
// The error with the line "in PATH", which the library that read the file may have given already.
Error in_file(Error error, const std::string& path);

}  // namespace ingot::driver
