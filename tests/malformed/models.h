// Models that are wrong, each in one way, and what Ingot must say about them.
//
// The importer refuses most of them; the others are well-formed ONNX that a later stage must refuse, or survive. They
// are built here and not kept as files; `write_malformed DIR` writes them for use from the command line.
#pragma once

#include <string>
#include <vector>

namespace ingot::malformed {

enum class Stage {
  Import,       // the importer refuses it
  Unsupported,  // the importer reports it as not supported
  Compile,      // a later stage of the compiler refuses it
  Run,          // compiles; a run gives the message, or, where that is empty, results
  Endless,      // compiles; a run ends only when it is stopped
};

struct Model {
  std::string name;  // of the file, without .onnx
  std::string bytes;
  Stage stage;
  std::string message;  // that the error must contain
  // Files that lie beside the model: (path, contents); a path ending in "@" is a link to `contents`.
  std::vector<std::pair<std::string, std::string>> files = {};
};

std::vector<Model> models();

}  // namespace ingot::malformed
