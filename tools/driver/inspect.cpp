// `ingot inspect`.
#include <cstdio>

#include "frontend/onnx/import.h"
#include "ir/ops/def.h"
#include "tools/driver/commands.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

Result<std::string> stage_text(const InspectOptions& options, const std::string& stage) {
  Graph graph = TRY(import_onnx_file(options.file));
  TRY(fix_dims(graph, options.load.dims));
  if (stage == "import") return str(graph);
  TRY(infer_and_expand(graph));
  if (stage == "graph") return str(graph);
  const k::Program program = TRY(lower_to_kernels(graph));
  if (stage == "kernels") return str(program);
  const std::vector<std::string> stages = {"import", "graph", "kernels"};
  const std::string near = nearest_name(stage, stages);
  return invalid("no stage '{}'{}; there are: {}", stage, near.empty() ? "" : fmt::format(", did you mean '{}'", near), fmt::join(stages, ", "));
}

}  // namespace

Result<void> inspect(const InspectOptions& options) {
  const std::string stage = options.stage.empty() ? "graph" : options.stage;
  auto text = stage_text(options, stage);
  if (!text) return std::move(text.error()).context("in " + options.file);
  fmt::print("{}", *text);
  if (!text->empty() && text->back() != '\n') fmt::print("\n");
  return {};
}

}  // namespace ingot::driver
