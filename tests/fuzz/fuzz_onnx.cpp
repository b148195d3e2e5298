// Any bytes as a model, and as each kind of test value: the importer must answer; where it accepts a model, inference,
// the passes and the schedules must too, in bounded time and memory (-timeout and -rss_limit_mb of libFuzzer).
#include <cstddef>
#include <cstdint>

#include "compiler/pipeline.h"
#include "frontend/onnx/value.h"
#include "tests/frontend/graph_summary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  onnx::Bytes bytes(data, size);
  static const ImportOptions options = onnx::accept_all();
  (void)import_onnx(bytes, nullptr, options);
  (void)summarize_onnx(bytes);
  Type tensor = Type::of({DType::F32, {}});
  for (const Type& type : {tensor, Type::sequence(tensor), Type::optional(tensor), Type::map(DType::I64, tensor)}) {
    auto value = onnx::read_value(bytes, type, nullptr);
    if (value) (void)onnx::write_value(value->value, value->name);
  }
  auto graph = import_onnx(bytes, nullptr);
  if (!graph) return 0;
  auto kernels = optimize(*graph);  // verifies after each pass
  if (!kernels) return 0;
  TargetFacts facts;
  (void)lower_for_target(*kernels, facts);
  return 0;
}
