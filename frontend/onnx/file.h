// Files of strangers, mapped and not copied.
//
// A mapped file that another process truncates while it is in use ends this process with SIGBUS; that is the price of
// not copying, and the same for every runtime that maps its models.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

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
  // None: external data is refused.
  explicit ExternalFiles(std::vector<std::string> folders) : folders_(std::move(folders)) {}
  // `location` is relative to the first folder that has it, and must stay in one of them: absolute paths, "..", and links
  // that lead out of all are refused.
  Result<std::shared_ptr<const MappedFile>> open(std::string_view location);

 private:
  Result<std::string> find(std::string_view location) const;

  std::vector<std::string> folders_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

// Where the data of the model at `path` may lie: the folder of the path, and, where the path is a link as in the caches of
// model hubs (snapshots/REVISION/model.onnx -> ../../blobs/HASH), that of the file it leads to.
std::vector<std::string> folders_of_model(const std::string& path);
std::string folder_of(const std::string& path);  // "." where the path has none

// A name from a stranger as it may stand in a message: quoted, control characters escaped, at most 200 characters.
std::string quoted(std::string_view name);

}  // namespace ingot::onnx
