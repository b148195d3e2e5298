// See executable.h. The interpreter, and what all executables share.
#include "tools/driver/executable.h"

#include <set>

#include "frontend/onnx/import.h"
#include "ir/ops/interpreter.h"
#include "tools/driver/compile.h"
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

void collect(const Type& type, std::map<int64_t, Symbol>& symbols) {
  for (const Dim& d : type.tensor.dims) collect_symbols(d, symbols);
  if (type.element) collect(*type.element, symbols);
}

Type fixed(const Type& type, const Substitution& values) {
  Type t = type;
  for (Dim& d : t.tensor.dims) d = substitute(d, values);
  if (t.element) t.element = std::make_shared<const Type>(fixed(*t.element, values));
  return t;
}

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

// A name that no input has is an error with the nearest one.
static Result<void> check_names(const std::map<std::string, int64_t>& dims, const std::set<std::string>& names) {
  for (const auto& [name, extent] : dims) {
    if (names.count(name)) continue;
    const std::vector<std::string> all(names.begin(), names.end());
    const std::string near = nearest_name(name, all);
    if (all.empty()) return invalid("no input has a dimension '{}': all are fixed", name);
    return invalid("no input has a dimension '{}'{}; there are: {}", name,
                   near.empty() ? "" : fmt::format(", did you mean '{}'", near), fmt::join(all, ", "));
  }
  return {};
}

Result<void> fix_dims(Graph& graph, const std::map<std::string, int64_t>& dims) {
  if (dims.empty()) return {};
  std::map<int64_t, Symbol> symbols;
  for (const Value* v : graph.body.inputs) collect(v->type, symbols);
  Substitution values;
  std::set<std::string> names;
  for (const auto& [id, symbol] : symbols) {
    names.insert(symbol->name);
    const auto it = dims.find(symbol->name);
    if (it == dims.end()) continue;
    if (it->second < symbol->lo || it->second > symbol->hi)
      return invalid("dimension '{}' is {}, expected {} to {}", symbol->name, it->second, symbol->lo, symbol->hi);
    values[id] = Dim(it->second);
  }
  TRY(check_names(dims, names));
  for (auto& v : graph.values) v->type = fixed(v->type, values);
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

Result<std::unique_ptr<Executable>> make_executable(Graph graph, const LoadOptions& options) {
  if (options.backend == Backend::Interpreter) return make_interpreter(std::move(graph));
  if (!options.runner.empty()) return make_external(std::move(graph), options);
  CompileModelOptions compile;
  compile.targets = options.backend == Backend::OpenCl ? std::vector<std::string>{"opencl"} : options.targets;
  compile.jobs = options.jobs;
  compile.pipeline = pipeline_of(options);
  auto model = TRY(compile_model(std::move(graph), compile));
  const std::vector<uint8_t> bytes = TRY(ingot_bytes(model->file));
  return load_compiled_memory(bytes, options);
}

Result<Graph> load_graph(const std::string& path, const LoadOptions& options) {
  ImportOptions import;
  if (options.freeze_inputs) import.listed = ListedInitializers::Constants;
  return import_onnx_file(path, import);
}

Result<std::unique_ptr<Executable>> load_executable(const std::string& path, const LoadOptions& options) {
  if (!ends_with(path, ".onnx")) {
    auto compiled = TRY(load_compiled(path, options));
    std::map<int64_t, Symbol> symbols;
    for (const Port& p : compiled->inputs()) collect(p.type, symbols);
    std::set<std::string> names;
    for (const auto& [id, symbol] : symbols) names.insert(symbol->name);
    if (auto ok = check_names(options.dims, names); !ok) return in_file(std::move(ok.error()), path);
    return compiled;
  }
  Graph graph = TRY(load_graph(path, options));
  auto executable = [&]() -> Result<std::unique_ptr<Executable>> {
    TRY(fix_dims(graph, options.dims));
    return make_executable(std::move(graph), options);
  }();
  if (!executable) return in_file(std::move(executable.error()), path);
  return executable;
}

}  // namespace ingot::driver
