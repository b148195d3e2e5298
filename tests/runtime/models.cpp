#include "runtime/abi.h"
#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

using Port = ModelFile::Port;
using Level = ModelFile::Level;

Port tensor(const std::string& name, int32_t dtype, std::vector<ModelFile::Dim> dims) {
  Port p;
  p.name = name;
  p.dtype = dtype;
  p.dims = std::move(dims);
  return p;
}

Port object(const std::string& name, int32_t dtype, std::vector<Level> levels, bool any_rank = true, int32_t key = 0) {
  Port p;
  p.name = name;
  p.dtype = dtype;
  p.levels = std::move(levels);
  p.any_rank = any_rank;
  p.key_dtype = key;
  return p;
}

ModelFile with_image(const std::string& name) {
  ModelFile file;
  file.name = name;
  file.producer = "test";
  ModelFile::Image image;
  image.target = "x86-64";
  image.elf = image_bytes(name);
  file.images.push_back(std::move(image));
  return file;
}

ModelFile::Dim n() { return {-1, "n"}; }

}  // namespace

ModelFile static_add() {
  ModelFile file = with_image("static_add");
  file.inputs = {tensor("x", INGOT_F32, {{2048, ""}, {3, ""}})};
  file.outputs = {tensor("y", INGOT_F32, {{2048, ""}, {3, ""}}), tensor("runs", INGOT_I64, {})};
  file.images[0].arena_bytes = 2048 * 3 * 4;
  file.images[0].weights = 0;
  file.images[0].nodes = {{"add_1", "Add"}};
  file.images[0].kernels = {{"add_f32", "pointwise", "2048*3", "2048*3*8", 0}};
  file.images[0].values = {"middle"};
  file.weights.push_back({{as_bytes(kWeights, sizeof kWeights)}});
  file.metadata = {{"author", "nobody"}, {"licence", "none"}};
  file.manifest = R"({"flags": ["-O2"]})";
  file.debug_map = "map";
  return file;
}

ModelFile dynamic() {
  ModelFile file = with_image("dynamic");
  file.inputs = {tensor("x", INGOT_F32, {n()}), tensor("a", INGOT_F32, {n()})};
  file.outputs = {tensor("y", INGOT_F32, {{-1, "2*n"}}), tensor("z", INGOT_F32, {n(), n()})};
  file.symbols = {{"n", 1, 4096}};
  return file;
}

ModelFile strings() {
  ModelFile file = with_image("strings");
  file.inputs = {tensor("in", INGOT_STRING, {n()})};
  file.outputs = {tensor("upper", INGOT_STRING, {n()}),
                  object("pieces", INGOT_STRING, {Level::Sequence, Level::Tensor}, false),
                  object("lengths", INGOT_I64, {Level::Map, Level::Tensor}, false, INGOT_STRING)};
  return file;
}

ModelFile sequence() {
  ModelFile file = with_image("sequence");
  file.inputs = {object("items", INGOT_F32, {Level::Sequence, Level::Tensor}),
                 object("maybe", INGOT_I64, {Level::Optional, Level::Tensor}, false)};
  file.outputs = {tensor("total", INGOT_F32, {}), tensor("has", INGOT_BOOL, {}),
                  object("twice", INGOT_F32, {Level::Sequence, Level::Sequence, Level::Tensor})};
  return file;
}

ModelFile failing() {
  ModelFile file = with_image("failing");
  file.inputs = {tensor("mode", INGOT_I64, {{1, ""}}), tensor("index", INGOT_I64, {n()})};
  file.outputs = {tensor("out", INGOT_I64, {{-1, "m"}})};
  file.images[0].nodes = {{"assert_0", ""}, {"gather_1", "Gather"}, {"reshape_2", "Reshape"}};
  file.images[0].messages = {"batch must be even"};
  return file;
}

ModelFile strays() {
  ModelFile file = with_image("strays");
  file.inputs = {tensor("in", INGOT_I64, {{2, ""}})};
  file.outputs = {tensor("out", INGOT_F32, {{5, ""}}), tensor("found", INGOT_I64, {})};
  file.images[0].arena_bytes = 20;
  return file;
}

ModelFile denormal() {
  ModelFile file = with_image("denormal");
  file.inputs = {tensor("x", INGOT_F32, {n()})};
  file.outputs = {tensor("y", INGOT_F32, {n()})};
  return file;
}

}  // namespace ingot::test
