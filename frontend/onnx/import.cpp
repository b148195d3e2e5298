#include "frontend/onnx/import.h"

#include <algorithm>
#include <queue>

#include "frontend/onnx/foreign.h"
#include "frontend/onnx/importer.h"
#include "frontend/onnx/names.h"
#include "ir/ops/def.h"

namespace ingot::onnx {

Value* const* Scope::find(std::string_view name) const {
  for (const Scope* s = this; s; s = s->outer)
    if (auto it = s->values.find(name); it != s->values.end()) return &it->second;
  return nullptr;
}

Importer::Importer(const ModelProto& model, std::shared_ptr<const void> owner, const ImportOptions& options)
    : model_(model),
      options_(options),
      external_(options.data_folders),
      source_{std::move(owner), &external_},
      input_types_(options) {}

Result<Graph> Importer::run() {
  if (model_.ir_version < 1 || model_.ir_version > kMaxIrVersion)
    return invalid("got IR version {}, expected 1 to {}", model_.ir_version, kMaxIrVersion);
  Frame frame;
  TRY(imports(model_.opset_import, frame.opsets));
  if (frame.opsets.empty() && model_.ir_version < 3) frame.opsets[""] = 1;
  TRY(read_functions());
  graph_.name = std::string(model_.graph->name);
  Scope scope;
  TRY(graph(*model_.graph, graph_.body, scope, frame, BodyOf::Model));
  TRY(report_unsupported());
  TRY(input_types_.check_all_used());
  drop_unread_outputs();
  return std::move(graph_);
}

Result<void> Importer::imports(const std::vector<OperatorSetIdProto>& list, Opsets& opsets) const {
  Opsets own;
  for (const OperatorSetIdProto& o : list) {
    auto [it, fresh] = own.emplace(canonical_domain(o.domain), o.version);
    if (fresh || it->second == o.version) continue;
    if (it->second != 1 && o.version != 1)
      return invalid("domain {} is imported with operator sets {} and {}, expected one",
                     quoted(o.domain.empty() ? "ai.onnx" : o.domain), it->second, o.version);
    it->second = std::max(it->second, o.version);
  }
  for (const auto& [domain, version] : own) opsets[domain] = version;
  return {};
}

Result<void> Importer::read_functions() {
  for (const FunctionProto& f : model_.functions)
    if (!functions_.emplace(std::tuple(canonical_domain(f.domain), f.name, f.overload), &f).second)
      return invalid("function {} of domain {} is defined twice", quoted(f.name), quoted(f.domain));
  return {};
}

Result<TensorRef> Importer::tensor(const TensorProto& proto) {
  if (auto it = tensors_.find(&proto); it != tensors_.end()) return it->second;
  TensorRef t = TRY(read_tensor(proto, source_));
  tensors_.emplace(&proto, t);
  return t;
}

Result<void> Importer::define(std::string_view name, Value* v, Scope& scope) {
  if (!scope.values.emplace(name, v).second) return invalid("value {} is defined twice", quoted(name));
  return {};
}

Result<void> Importer::initializers(const GraphProto& g, Scope& scope, const Frame& frame,
                                    std::set<std::string_view>& constants) {
  auto add = [&](std::string_view name, Result<TensorRef> data) -> Result<void> {
    if (!data) return std::move(data.error()).context("in initializer " + quoted(name));
    if (name.empty()) return invalid("an initializer without a name");
    constants.insert(name);
    return define(name, new_constant(frame.prefix + std::string(name), *std::move(data)), scope);
  };
  for (const TensorProto& t : g.initializer)
    if (!inputs_with_contents_.count(&t)) TRY(add(t.name, tensor(t)));
  for (const SparseTensorProto& t : g.sparse_initializer) TRY(add(t.values.name, read_sparse_tensor(t, source_)));
  return {};
}

namespace {

bool stays_input(const TensorProto& t, ListedInitializers listed) {
  const DType dtype = dtype_of(t.data_type);
  if (dtype == DType::String || dtype == DType::Invalid || listed == ListedInitializers::Constants) return false;
  return listed != ListedInitializers::FloatsOnly || is_float(dtype) || is_complex(dtype);
}

// The type of an input, which may leave the shape to its contents.
bool has_shape(const TypeProto& type) { return type.kind != TypeProto::Kind::None && type.shape; }

Result<void> check_contents(const Value& input) {
  const TensorType got = input.fallback->type();
  bool fits = input.type.is_tensor() && input.type.tensor.dtype == got.dtype && input.type.tensor.rank() == got.rank();
  for (size_t d = 0; fits && d < got.dims.size(); ++d)
    fits = !input.type.tensor.dims[d].is_constant() || input.type.tensor.dims[d] == got.dims[d];
  if (fits) return {};
  return invalid("initializer {} is {}, expected {} as the input of its name", quoted(input.name), got.str(),
                 input.type.str());
}

}  // namespace

Result<void> Importer::model_inputs(const GraphProto& g, Region& region, Scope& scope,
                                    std::set<std::string_view>& constants) {
  std::map<std::string_view, const TensorProto*> contents;
  std::set<std::string_view> listed;
  for (const ValueInfoProto& v : g.input) listed.insert(v.name);
  for (const TensorProto& t : g.initializer) {
    if (listed.count(t.name) && stays_input(t, options_.listed) && contents.emplace(t.name, &t).second)
      inputs_with_contents_.insert(&t);
    else constants.insert(t.name);
  }
  for (const SparseTensorProto& t : g.sparse_initializer) constants.insert(t.values.name);
  std::vector<const ValueInfoProto*> inputs;
  for (const ValueInfoProto& v : g.input)
    if (!constants.count(v.name) || contents.count(v.name)) inputs.push_back(&v);
  for (const ValueInfoProto* v : inputs) input_types_.collect(*v);
  for (const ValueInfoProto* v : inputs) {
    if (v->name.empty()) return invalid("an input without a name");
    auto it = contents.find(v->name);
    TensorRef data;
    if (it != contents.end()) {
      auto read = tensor(*it->second);
      if (!read) return std::move(read.error()).context("in initializer " + quoted(v->name));
      data = *std::move(read);
    }
    const bool own = data && !has_shape(v->type) && !options_.input_types.count(std::string(v->name));
    Value* value = graph_.new_value(std::string(v->name), own ? Type::of(data->type()) : TRY(input_types_.type(*v)));
    value->fallback = data;
    if (data) TRY(check_contents(*value));
    TRY(define(v->name, value, scope));
    region.inputs.push_back(value);
  }
  // Outputs keep their names: their values come before any other of the same name within a region or function.
  for (const ValueInfoProto& v : g.output) {
    graph_.declared.push_back(element_types(v.type));
    if (!scope.values.count(v.name) && !constants.count(v.name) && !scope.prepared.count(v.name))
      scope.prepared.emplace(v.name, graph_.new_value(std::string(v.name)));
  }
  return {};
}

namespace {

struct Nested {
  explicit Nested(int& level) : level(level) { ++level; }
  ~Nested() { --level; }
  int& level;
};

}  // namespace

Result<void> Importer::check_nesting() const {
  if (nesting_ >= kMaxNesting) return limit_exceeded("graphs and functions nested deeper than {}", kMaxNesting);
  return {};
}

Result<void> Importer::graph(const GraphProto& g, Region& region, Scope& scope, const Frame& frame, BodyOf kind) {
  TRY(check_nesting());
  Nested nested(nesting_);
  std::set<std::string_view> constants;
  if (kind == BodyOf::Model) {
    TRY(model_inputs(g, region, scope, constants));
    TRY(initializers(g, scope, frame, constants));
  } else {
    for (const ValueInfoProto& v : g.input) {
      Value* value = new_value(frame.prefix + std::string(v.name));
      region.inputs.push_back(value);
      // A loop gives the number of the iteration and the condition as scalars; a body may declare them as [1].
      if (kind == BodyOf::Loop && region.inputs.size() <= 2 && v.type.shape && v.type.shape->dim.size() == 1) {
        auto axes = TensorData::make(DType::I64, {1});
        Value* vector = new_value(value->name);
        TRY(emit(region, "unsqueeze", {value, new_constant("ints", axes)}, {}, {vector}));
        value = vector;
      }
      TRY(define(v.name, value, scope));
    }
    TRY(initializers(g, scope, frame, constants));
  }
  TRY(nodes(g.node, region, scope, frame));
  for (const ValueInfoProto& v : g.output) {
    Value* const* found = scope.find(v.name);
    if (!found || !*found) return invalid("output {} is not defined by any node", quoted(v.name));
    region.outputs.push_back(*found);
    if (v.type.kind == TypeProto::Kind::Tensor && v.type.shape)
      (*found)->declared_rank = static_cast<int>(v.type.shape->dim.size());
  }
  return {};
}

namespace {

// Calls `use` for each name that the node reads from outside: its inputs, and what its graphs capture.
void for_each_read(const NodeProto& n, const std::function<void(std::string_view)>& use) {
  for (std::string_view name : n.input)
    if (!name.empty()) use(name);
  for (const AttributeProto& a : n.attribute) {
    if (!a.g) continue;
    std::set<std::string_view> own;
    for (const auto& v : a.g->input) own.insert(v.name);
    for (const auto& t : a.g->initializer) own.insert(t.name);
    for (const auto& t : a.g->sparse_initializer) own.insert(t.values.name);
    for (const auto& inner : a.g->node) own.insert(inner.output.begin(), inner.output.end());
    auto outer = [&](std::string_view name) {
      if (!own.count(name)) use(name);
    };
    for (const auto& inner : a.g->node) for_each_read(inner, outer);
    for (const auto& v : a.g->output) outer(v.name);
  }
}

// The order in which to import: the file's, but a node after the nodes that it reads from.
Result<std::vector<size_t>> topological_order(const std::vector<NodeProto>& list) {
  std::map<std::string_view, size_t> producer;
  for (size_t i = 0; i < list.size(); ++i)
    for (std::string_view name : list[i].output)
      if (!name.empty()) producer.emplace(name, i);
  std::vector<std::vector<size_t>> readers(list.size());
  std::vector<size_t> waits(list.size(), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    std::set<size_t> from;
    for_each_read(list[i], [&](std::string_view name) {
      if (auto it = producer.find(name); it != producer.end()) from.insert(it->second);
    });
    for (size_t p : from) readers[p].push_back(i);
    waits[i] = from.size();
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < list.size(); ++i)
    if (waits[i] == 0) ready.push(i);
  std::vector<size_t> order;
  while (!ready.empty()) {
    size_t i = ready.top();
    ready.pop();
    order.push_back(i);
    for (size_t r : readers[i])
      if (--waits[r] == 0) ready.push(r);
  }
  if (order.size() == list.size()) return order;
  std::string names;
  int shown = 0;
  for (size_t i = 0; i < list.size() && shown < 5; ++i)
    if (waits[i] > 0) {
      names += fmt::format("{}{} ({})", shown++ ? ", " : "",
                           quoted(list[i].name.empty() && !list[i].output.empty() ? list[i].output[0] : list[i].name),
                           list[i].op_type);
    }
  return invalid("the graph has a cycle: {} nodes wait for each other, among them {}", list.size() - order.size(),
                 names);
}

}  // namespace

Result<void> Importer::nodes(const std::vector<NodeProto>& list, Region& region, Scope& scope, const Frame& frame) {
  for (size_t i : TRY(topological_order(list))) TRY(node(list[i], region, scope, frame));
  return {};
}

Result<void> Importer::call(const NodeProto& n, const FunctionProto& f, Region& region, Scope& scope,
                            const Frame& frame) {
  for (const Frame* c = &frame; c; c = c->caller)
    if (c->function == &f) {
      std::string chain = std::string(f.name);
      for (const Frame* d = &frame; d && d->function; d = d->caller) {
        chain = std::string(d->function->name) + " -> " + chain;
        if (d->function == &f) break;
      }
      return invalid("function {} calls itself: {}", quoted(f.name), chain);
    }
  TRY(check_nesting());
  Nested nested(nesting_);
  if (n.input.size() > f.input.size())
    return invalid("function {} takes {} inputs, got {}", quoted(f.name), f.input.size(), n.input.size());
  if (n.output.size() > f.output.size())
    return invalid("function {} has {} outputs, the node asks for {}", quoted(f.name), f.output.size(),
                   n.output.size());

  // The attributes of this call, those of callers already put in; then the function's defaults.
  std::map<std::string_view, const AttributeProto*> attributes;
  for (const AttributeProto& a : f.attribute_proto) attributes[a.name] = &a;
  for (const AttributeProto& a : n.attribute) {
    bool known =
        std::find(f.attribute.begin(), f.attribute.end(), a.name) != f.attribute.end() || attributes.count(a.name);
    if (!known) return invalid("function {} has no attribute {}", quoted(f.name), quoted(a.name));
    const AttributeProto* bound = resolve(a, frame);
    if (!bound) continue;
    if (bound->type == AttributeProto::kGraph)
      return unsupported("a graph as attribute {} of a function", quoted(a.name));
    attributes[a.name] = bound;
  }

  Frame inner;
  inner.opsets = frame.opsets;
  TRY(imports(f.opset_import, inner.opsets));
  inner.attributes = &attributes;
  inner.prefix = node_name(n, frame) + "/";
  inner.function = &f;
  inner.caller = &frame;
  constexpr size_t kMaxPrefix = 400;  // names grow with the depth of calls
  if (inner.prefix.size() > kMaxPrefix) inner.prefix.erase(0, inner.prefix.size() - kMaxPrefix);

  Scope body;
  for (size_t i = 0; i < f.input.size(); ++i) {
    std::string_view given = i < n.input.size() ? n.input[i] : std::string_view();
    TRY(define(f.input[i], TRY(input(given, scope)), body));
  }
  std::vector<Value*> wanted(n.output.size(), nullptr);
  for (size_t i = 0; i < n.output.size(); ++i) {
    wanted[i] = output(n.output[i], scope, frame);
    if (wanted[i] && !body.values.count(f.output[i])) body.prepared.emplace(f.output[i], wanted[i]);
  }
  TRY(nodes(f.node, region, body, inner));
  for (size_t i = 0; i < n.output.size(); ++i) {
    if (!wanted[i]) continue;
    auto it = body.values.find(f.output[i]);
    if (it == body.values.end() || !it->second)
      return invalid("function {} does not define its output {}", quoted(f.name), quoted(f.output[i]));
    if (it->second != wanted[i]) TRY(emit(region, "identity", {it->second}, {}, {wanted[i]}));
    TRY(define(n.output[i], wanted[i], scope));
  }
  return {};
}

void Importer::drop_unread_outputs() {
  std::set<const Value*> read;
  auto mark = [&](const Region& r) { read.insert(r.outputs.begin(), r.outputs.end()); };
  mark(graph_.body);
  for_each_node(static_cast<const Region&>(graph_.body), [&](const Node& n) {
    read.insert(n.inputs.begin(), n.inputs.end());
    for (const auto& r : n.regions) mark(*r);
  });
  for_each_node(graph_.body, [&](Node& n) {
    if (n.outputs.size() < 2) return;
    if (std::none_of(n.outputs.begin(), n.outputs.end(), [&](Value* v) { return v && read.count(v); })) return;
    for (Value*& v : n.outputs)
      if (v && !read.count(v)) v = nullptr;
  });
}

Result<void> Importer::report_unsupported() const {
  if (unsupported_.empty()) return {};
  std::string text = fmt::format("{} of node {} not supported:",
                                 unsupported_.size() == 1 ? "one kind" : fmt::format("{} kinds", unsupported_.size()),
                                 unsupported_.size() == 1 ? "is" : "are");
  for (const auto& [key, found] : unsupported_) {
    std::string domain = key.domain.empty() ? "" : fmt::format(" of domain {}", quoted(key.domain));
    text += fmt::format("\n  {}{}: {} ({} {}, first {})", key.op_type, domain, key.reason, found.first,
                        found.first == 1 ? "node" : "nodes", quoted(found.second));
  }
  return Error{ErrorKind::Unsupported, std::move(text)};
}

}  // namespace ingot::onnx

namespace ingot {

namespace {

// Why bytes are no model: another kind of file, or one that broke on its way.
Error not_a_model(Error e, onnx::Bytes bytes) {
  if (auto foreign = onnx::recognise_foreign(bytes))
    return invalid("the file is {}, expected an ONNX model: {}", foreign->what, foreign->advice);
  return std::move(e).context(
      fmt::format("while reading the bytes of an ONNX model ({}; a file that was cut off must be fetched again)",
                  bytes.size() == 1 ? "1 byte" : fmt::format("{} bytes", bytes.size())));
}

Result<onnx::ModelProto> decode(onnx::Bytes bytes) {
  auto model = onnx::decode_model(bytes);
  if (!model) return not_a_model(std::move(model.error()), bytes);
  if (!model->graph) return not_a_model(invalid("the model has no graph"), bytes);
  return model;
}

// Of ListedInitializers::Auto, before any operator is asked.
ListedInitializers first_choice(const onnx::ModelProto& model) {
  std::set<std::string_view> inputs;
  for (const auto& v : model.graph->input) inputs.insert(v.name);
  bool any = false, all = true;
  int64_t bytes = 0;
  for (const onnx::TensorProto& t : model.graph->initializer) {
    (inputs.count(t.name) ? any : all) = inputs.count(t.name) != 0;
    if (auto n = onnx::count_elements(t.dims)) bytes += storage_bytes(onnx::dtype_of(t.data_type), *n);
  }
  const bool habit = model.ir_version < 4 || (all && bytes > kListedByHabitBytes);
  return any && !habit ? ListedInitializers::Inputs : ListedInitializers::Constants;
}

}  // namespace

Result<OnnxSummary> summarize_onnx(onnx::Bytes bytes) {
  onnx::ModelProto model = TRY(decode(bytes));
  OnnxSummary s;
  s.ir_version = model.ir_version;
  s.producer = std::string(model.producer_name);
  if (!model.producer_version.empty()) s.producer += " " + std::string(model.producer_version);
  for (const auto& o : model.opset_import) s.opsets.emplace_back(std::string(o.domain), o.version);
  std::set<std::string_view> initializers;
  for (const auto& t : model.graph->initializer) initializers.insert(t.name);
  for (const auto& t : model.graph->sparse_initializer) initializers.insert(t.values.name);
  ImportOptions none;
  onnx::InputTypes types(none);
  for (const auto& v : model.graph->input) types.collect(v);
  auto read = [&](const std::vector<onnx::ValueInfoProto>& list, std::vector<OnnxSummary::Input>& out) -> Result<void> {
    for (const auto& v : list) {
      OnnxSummary::Input input{std::string(v.name), {}, true, initializers.count(v.name) != 0};
      if (v.type.kind == onnx::TypeProto::Kind::None) input.has_shape = false;
      else input.type = TRY(types.type_or_rank_0(v, input.has_shape));
      out.push_back(std::move(input));
    }
    return {};
  };
  TRY(read(model.graph->input, s.inputs));
  TRY(read(model.graph->output, s.outputs));
  return s;
}

Result<Graph> import_onnx(onnx::Bytes bytes, std::shared_ptr<const void> owner, const ImportOptions& options) {
  const onnx::ModelProto model = TRY(decode(bytes));
  ImportOptions o = options;
  auto run = [&] { return onnx::Importer(model, owner, o).run(); };
  if (o.listed != ListedInitializers::Auto) return run();
  o.listed = first_choice(model);
  if (options.find_op) return run();  // the operators of another table cannot be inferred
  for (; o.listed != ListedInitializers::Constants;
       o.listed = static_cast<ListedInitializers>(static_cast<int>(o.listed) + 1)) {
    auto trial = run();
    if (trial && infer_and_expand(*trial)) break;
  }
  return run();
}

Result<Graph> import_onnx_file(const std::string& path, const ImportOptions& options) {
  auto file = TRY(onnx::MappedFile::open(path));
  ImportOptions with_folders = options;
  if (with_folders.data_folders.empty()) with_folders.data_folders = onnx::folders_of_model(path);
  auto graph = import_onnx(file->bytes(), file, with_folders);
  if (!graph) return std::move(graph.error()).context("in " + path);
  return graph;
}

}  // namespace ingot
