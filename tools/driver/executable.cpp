// See executable.h. The interpreter, and what all executables share.
#include "tools/driver/executable.h"

#include <set>

#include "compiler/compile.h"
#include "ir/ops/interpreter.h"
#include "passes/graph/fix_dims.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

class Interpreted final : public Executable {
 public:
  explicit Interpreted(Graph graph) : graph_(std::move(graph)) {
    for (const Value* v : graph_.body.inputs) inputs_.push_back({v->name, v->type, may_stay_unset(*v)});
    for (const Value* v : graph_.body.outputs) outputs_.push_back({v->name, v->type});
  }
  Result<void> bind(std::vector<HostValue> inputs) override {
    TRY(check_inputs(inputs_, inputs));
    bound_ = std::move(inputs);
    return {};
  }
  Result<void> run() override {
    results_ = TRY(Interpreter().run(graph_, bound_));
    return {};
  }
  Result<std::vector<HostValue>> fetch() override { return results_; }
  std::string description() const override { return "interpreter"; }

 private:
  Graph graph_;
  std::vector<HostValue> bound_, results_;
};

Result<void> check_value(const Type& type, const HostValue& value, Bindings& symbols) {
  if (type.kind != Type::Kind::Tensor) return {};
  if (!value.is_tensor()) return invalid("got {}, expected {}", value.type().str(), type.str());
  const TensorData& t = *value.tensor;
  if (t.dtype != type.tensor.dtype || static_cast<int>(t.dims.size()) != type.tensor.rank())
    return invalid("got {}, expected {}", t.type().str(), type.str());
  for (size_t d = 0; d < t.dims.size(); ++d) {
    const Dim& want = type.tensor.dims[d];
    if (auto symbol = want.as_symbol()) {
      const auto [it, fresh] = symbols.emplace((*symbol)->id, t.dims[d]);
      if (!fresh && it->second != t.dims[d])
        return invalid("got {}, expected {} with {} = {}", t.type().str(), type.str(), (*symbol)->name, it->second);
    } else if (auto extent = evaluate(want, symbols); extent && *extent != t.dims[d]) {
      return invalid("got {}, expected {}", t.type().str(), type.str());
    }
  }
  return {};
}

}  // namespace

const char* backend_name(Backend backend) {
  switch (backend) {
    case Backend::Interpreter: return "interpreter";
    case Backend::Llvm: return "llvm";
    case Backend::OpenCl: return "opencl";
  }
  return "";
}

Result<std::vector<HostValue>> Executable::call(std::vector<HostValue> inputs) {
  TRY(bind(std::move(inputs)));
  TRY(run());
  return fetch();
}

Result<void> check_inputs(const std::vector<Port>& ports, std::vector<HostValue>& values) {
  if (values.size() != ports.size()) return invalid("got {} inputs, expected {}", values.size(), ports.size());
  Bindings symbols;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (values[i].kind == HostValue::Kind::None) {
      if (!ports[i].optional) return invalid("input '{}' ({}) has no value", ports[i].name, ports[i].type.str());
      continue;
    }
    if (values[i].is_tensor() && ports[i].type.is_tensor() && ports[i].type.tensor.dims.empty() &&
        !values[i].tensor->dims.empty() && values[i].tensor->elements() == 1) {
      auto scalar = std::make_shared<TensorData>(*values[i].tensor);
      scalar->dims.clear();
      values[i] = HostValue::of(TensorRef(std::move(scalar)));
    }
    auto checked = check_value(ports[i].type, values[i], symbols);
    if (!checked) return std::move(checked.error()).context(fmt::format("for input '{}'", ports[i].name));
  }
  return {};
}

Result<std::unique_ptr<Executable>> make_interpreter(Graph graph) {
  return std::unique_ptr<Executable>(std::make_unique<Interpreted>(std::move(graph)));
}

PipelineOptions pipeline_of(const LoadOptions& options) {
  PipelineOptions p;
  p.precision = options.precision;
  p.lower_logits = options.lower_logits;
  p.checks = options.checks;
  return p;
}

Result<std::unique_ptr<Executable>> make_executable(ModelSource source, const LoadOptions& options) {
  if (options.backend == Backend::Interpreter) return make_interpreter(TRY(import_model(std::move(source))));
  if (!options.runner.empty()) return make_external(std::move(source), options);
  CompileModelOptions compile;
  compile.targets = options.backend == Backend::OpenCl ? std::vector<std::string>{"opencl"} : options.targets;
  compile.jobs = options.jobs;
  compile.pipeline = pipeline_of(options);
  auto model = TRY(compile_model(std::move(source), compile));
  const std::vector<uint8_t> bytes = TRY(ingot_bytes(model->file));
  return load_compiled_memory(bytes, options);
}

ModelSource source_of(const std::string& path, const LoadOptions& options) {
  ModelSource source(path);
  source.freeze_inputs = options.freeze_inputs;
  source.dims = options.dims;
  return source;
}

Result<std::unique_ptr<Executable>> load_executable(const std::string& path, const LoadOptions& options) {
  if (!ends_with(path, ".onnx")) {
    auto compiled = TRY(load_compiled(path, options));
    std::map<int64_t, Symbol> symbols;
    for (const Port& p : compiled->inputs()) collect_symbols(p.type, symbols);
    std::set<std::string> names;
    for (const auto& [id, symbol] : symbols) names.insert(symbol->name);
    if (auto ok = check_dim_names(options.dims, names); !ok) return in_file(std::move(ok.error()), path);
    return compiled;
  }
  return make_executable(source_of(path, options), options);
}

}  // namespace ingot::driver
