// Models that are wrong, each in one way, and what Ingot must say about them.
//
// The importer refuses most of them; those marked Compile are well-formed ONNX that a later stage must refuse, or
// survive. They are built here and not kept as files; `write_malformed DIR` writes them for use from the command line.
#pragma once

#include <string>
#include <vector>

namespace ingot::malformed {

enum class Stage { Import, Compile };

struct Model {
  std::string name;  // of the file, without .onnx
  std::string bytes;
  Stage stage;
  std::string message;  // that the error must contain; of Compile: may be empty
  // Files that lie beside the model: (path, contents); a path ending in "@" is a link to `contents`.
  std::vector<std::pair<std::string, std::string>> files = {};
};

std::vector<Model> models();

}  // namespace ingot::malformed
