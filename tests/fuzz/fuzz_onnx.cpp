// Any bytes as a model, and as each kind of test value: the importer must answer, in bounded time and memory.
#include <cstddef>
#include <cstdint>

#include "frontend/onnx/value.h"
#include "tests/frontend/graph_summary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  onnx::Bytes bytes(data, size);
  static const ImportOptions options = onnx::accept_all();
  auto graph = import_onnx(bytes, nullptr, options);
  auto summary = summarize_onnx(bytes);
  Type tensor = Type::of({DType::F32, {}});
  for (const Type& type : {tensor, Type::sequence(tensor), Type::optional(tensor), Type::map(DType::I64, tensor)}) {
    auto value = onnx::read_value(bytes, type, nullptr);
    if (value) onnx::write_value(value->value, value->name);
  }
  return 0;
}
