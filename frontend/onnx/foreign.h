// Files that are given for a model and are something else. Asked only after decoding failed: no ONNX model is refused for
// how it begins.
#pragma once

#include <optional>
#include <string_view>

#include "frontend/onnx/wire.h"

namespace ingot::onnx {

struct ForeignFile {
  std::string_view what;  // "a GGUF file"
  std::string_view advice;  // what to do to have a model
};

std::optional<ForeignFile> recognise_foreign(Bytes bytes);

// What a repository holds in place of a large file: a text of three lines.
bool is_lfs_pointer(Bytes bytes);
inline constexpr std::string_view kFetchFromLfs = "fetch the file itself with `git lfs pull`";

}  // namespace ingot::onnx
