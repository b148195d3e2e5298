// Files of strangers, mapped and not copied.
//
// A mapped file that another process truncates while it is in use ends this process with SIGBUS; that is the price of
// not copying, and the same for every runtime that maps its models.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "frontend/onnx/wire.h"

namespace ingot::onnx {

class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);  // regular files only
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  Bytes bytes() const { return bytes_; }

 private:
  explicit MappedFile(Bytes bytes) : bytes_(bytes) {}
  Bytes bytes_;
};

// The data files beside a model. Each is mapped once and shared by the tensors in it.
class ExternalFiles {
 public:
  explicit ExternalFiles(std::string model_dir) : model_dir_(std::move(model_dir)) {}
  // `location` is relative to the model's folder and must stay in it: absolute paths, "..", and links that lead out are
  // refused.
  Result<std::shared_ptr<const MappedFile>> open(std::string_view location);

 private:
  std::string model_dir_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

std::string folder_of(const std::string& path);  // "." where the path has none

// A name from a stranger as it may stand in a message: quoted, control characters escaped, at most 200 characters.
std::string quoted(std::string_view name);

}  // namespace ingot::onnx
