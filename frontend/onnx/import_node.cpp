// One node: its inputs, attributes and bodies, its upgrade to the newest operator set, and the checks of the op table.
#include <algorithm>

#include "frontend/onnx/importer.h"
#include "frontend/onnx/names.h"
#include "frontend/onnx/operators.h"
#include "frontend/onnx/upgrade.h"
#include "ir/ops/def.h"

namespace ingot::onnx {

std::string node_name(const NodeProto& n, const Frame& frame) {
  std::string name(n.name);
  if (name.empty())
    for (std::string_view o : n.output)
      if (name.empty()) name = std::string(o);
  if (name.empty()) name = n.op_type;
  return frame.prefix + name;
}

Result<Value*> Importer::input(std::string_view name, const Scope& scope) const {
  if (name.empty()) return static_cast<Value*>(nullptr);
  Value* const* found = scope.find(name);
  if (!found) return invalid("input {} is not defined", quoted(name));
  return *found;
}

Value* Importer::output(std::string_view name, Scope& scope, const Frame& frame) {
  if (name.empty()) return nullptr;
  if (auto it = scope.prepared.find(name); it != scope.prepared.end()) return it->second;
  return new_value(frame.prefix + std::string(name));
}

const AttributeProto* Importer::resolve(const AttributeProto& a, const Frame& frame) const {
  if (a.ref_attr_name.empty()) return &a;
  if (!frame.attributes) return nullptr;
  auto it = frame.attributes->find(a.ref_attr_name);
  return it == frame.attributes->end() ? nullptr : it->second;
}

Result<int64_t> Importer::version_of(const NodeProto& n, const Frame& frame) const {
  std::string_view domain = canonical_domain(n.domain);
  auto it = frame.opsets.find(domain);
  int64_t version = it == frame.opsets.end() ? 0 : it->second;
  if (domain.empty()) {
    if (it == frame.opsets.end()) return invalid("the model imports no operator set of ai.onnx");
    if (version < kMinOpset || version > kMaxOpset)
      return unsupported("operator set {}, expected {} to {}", version, kMinOpset, kMaxOpset);
    return version;
  }
  if (domain == kMlDomain) {
    if (version > kMaxMlOpset) return unsupported("operator set {}, expected at most {}", version, kMaxMlOpset);
    return std::max<int64_t>(version, 1);
  }
  if (domain == kMicrosoftDomain || domain == "ai.onnx.preview") return std::max<int64_t>(version, 1);
  if (domain == "ai.onnx.preview.training") return std::max<int64_t>(version, 1);  // the optimizers are plain operators
  if (is_quant_domain(domain)) return 1;
  if (domain == "ai.onnx.training") return unsupported("training is not supported");
  return unsupported("unknown domain");
}

Result<Node*> Importer::emit(Region& into, std::string_view op, std::vector<Value*> inputs, Attrs attrs,
                             std::vector<Value*> outputs, std::vector<std::unique_ptr<Region>> regions) {
  const OpDef* def = options_.find_op ? options_.find_op(op) : find_op(op);
  if (!def) return unsupported("there is no operator {}", quoted(op));
  while (!inputs.empty() && !inputs.back() && static_cast<int>(inputs.size()) > def->min_inputs) inputs.pop_back();
  int count = static_cast<int>(inputs.size());
  if (count < def->min_inputs || (def->max_inputs >= 0 && count > def->max_inputs)) {
    std::string range = def->max_inputs < 0 ? fmt::format("at least {}", def->min_inputs)
                        : def->max_inputs == def->min_inputs
                            ? fmt::format("{}", def->min_inputs)
                            : fmt::format("{} to {}", def->min_inputs, def->max_inputs);
    return invalid("got {} inputs, expected {}", count, range);
  }
  for (const auto& [name, value] : attrs.items()) {
    bool known = def->attrs == "*";
    for (size_t at = 0; !known && at < def->attrs.size();) {
      size_t space = std::min(def->attrs.find(' ', at), def->attrs.size());
      known = def->attrs.substr(at, space - at) == name;
      at = space + 1;
    }
    if (!known)
      return unsupported("attribute {} is not known, expected {}", quoted(name),
                         def->attrs.empty() ? "none" : "one of: " + std::string(def->attrs));
  }
  auto node = std::make_unique<Node>();
  node->def = def;
  node->attrs = std::move(attrs);
  node->inputs = std::move(inputs);
  node->outputs = std::move(outputs);
  node->regions = std::move(regions);
  node->name = current_name_;
  node->source = current_source_;
  for (size_t i = 0; i < node->outputs.size(); ++i)
    if (Value* v = node->outputs[i]) {
      v->producer = node.get();
      v->output_index = static_cast<int>(i);
    }
  facts_.learn(*node);
  into.nodes.push_back(std::move(node));
  return into.nodes.back().get();
}

Result<void> Importer::constant_node(const NodeProto& n, const Attrs& attrs, Scope& scope, const Frame& frame) {
  if (n.output.size() != 1 || n.output[0].empty()) return invalid("got {} outputs, expected 1", n.output.size());
  if (attrs.items().size() != 1) return invalid("got {} attributes, expected 1 with the value", attrs.items().size());
  const auto& [name, value] = attrs.items()[0];
  TensorRef data;
  auto floats = [](std::vector<double> v, std::vector<int64_t> dims) {
    auto t = TensorData::make(DType::F32, std::move(dims));
    std::transform(v.begin(), v.end(), t->mutable_as<float>(), [](double d) { return static_cast<float>(d); });
    return t;
  };
  auto ints = [](const std::vector<int64_t>& v, std::vector<int64_t> dims) {
    auto t = TensorData::make(DType::I64, std::move(dims));
    std::copy(v.begin(), v.end(), t->mutable_as<int64_t>());
    return t;
  };
  auto strings = [](std::vector<std::string> v, std::vector<int64_t> dims) {
    auto t = TensorData::make(DType::String, std::move(dims));
    t->strings = std::move(v);
    return t;
  };
  auto size = [](const auto& v) { return static_cast<int64_t>(v.size()); };
  if (name == "value" || name == "sparse_value") {
    if (auto* t = std::get_if<TensorRef>(&value)) data = *t;
  } else if (name == "value_float") {
    if (auto* v = std::get_if<double>(&value)) data = floats({*v}, {});
  } else if (name == "value_floats") {
    if (auto* v = std::get_if<std::vector<double>>(&value)) data = floats(*v, {size(*v)});
  } else if (name == "value_int") {
    if (auto* v = std::get_if<int64_t>(&value)) data = ints({*v}, {});
  } else if (name == "value_ints") {
    if (auto* v = std::get_if<std::vector<int64_t>>(&value)) data = ints(*v, {size(*v)});
  } else if (name == "value_string") {
    if (auto* v = std::get_if<std::string>(&value)) data = strings({*v}, {});
  } else if (name == "value_strings") {
    if (auto* v = std::get_if<std::vector<std::string>>(&value)) data = strings(*v, {size(*v)});
  }
  if (!data) return invalid("attribute {} is not a constant's value", quoted(name));
  Value* v = output(n.output[0], scope, frame);
  v->constant = data;
  v->type = Type::of(data->type());
  return define(n.output[0], v, scope);
}

Result<void> Importer::node(const NodeProto& n, Region& region, Scope& scope, const Frame& frame) {
  if (++nodes_ > kMaxNodes) return limit_exceeded("more than {} nodes after functions were expanded", kMaxNodes);
  std::string name = node_name(n, frame), source;
  std::string_view domain = canonical_domain(n.domain);
  auto opset = frame.opsets.find(domain);
  int64_t version = opset == frame.opsets.end() ? 0 : opset->second;
  source = domain.empty() ? fmt::format("{}, opset {}", n.op_type, version)
                          : fmt::format("{}, {} {}", n.op_type, domain, version);

  auto function = functions_.find({domain, n.op_type, n.overload});
  current_name_ = name;
  current_source_ = source;
  auto result = function != functions_.end() ? call(n, *function->second, region, scope, frame)
                                             : op_node(n, region, scope, frame);
  if (result) return {};
  if (result.error().kind == ErrorKind::Unsupported && !result.error().message.empty()) {
    OpKey key{std::string(n.op_type), std::string(domain), result.error().message};
    auto it = std::find_if(unsupported_.begin(), unsupported_.end(), [&](const auto& u) { return u.first == key; });
    constexpr size_t kMaxReported = 200;
    if (it != unsupported_.end()) ++it->second.first;
    else if (unsupported_.size() < kMaxReported) unsupported_.push_back({key, {1, name}});
    for (std::string_view o : n.output)
      if (!o.empty() && !scope.values.count(o)) TRY(define(o, output(o, scope, frame), scope));
    return {};
  }
  return std::move(result.error()).context(fmt::format("in node {} ({})", quoted(name), source));
}

Result<void> Importer::op_node(const NodeProto& n, Region& region, Scope& scope, const Frame& frame) {
  std::string_view domain = canonical_domain(n.domain);
  int64_t version = TRY(version_of(n, frame));
  if (n.op_type.empty()) return invalid("a node without an operator");
  const Operator any = any_operator(domain, n.op_type);
  const Operator* known = find_operator(domain, n.op_type);
  if (!known && options_.find_op) known = &any;
  if (!known) return unsupported("there is no operator {} in this domain", quoted(n.op_type));
  if (known->since > version)
    return invalid("got operator set {}, expected at least {}, which {} came with", version, known->since, known->name);
  if (std::all_of(n.output.begin(), n.output.end(), [](std::string_view o) { return o.empty(); }))
    return invalid("got no outputs, expected at least 1");
  const std::string& op = known->op;

  const bool like = !known->like.empty();
  Upgrade u(*this, region, like ? std::string_view() : domain, like ? known->like_version : version);
  u.op = op;
  for (std::string_view name : n.input) u.inputs.push_back(TRY(input(name, scope)));

  std::map<std::string, std::unique_ptr<Region>> bodies;
  std::vector<std::string_view> given;
  for (const AttributeProto& written : n.attribute) {
    const AttributeProto* a = resolve(written, frame);
    if (!a) continue;
    if (u.attrs.find(written.name) || bodies.count(std::string(written.name)))
      return invalid("attribute {} is given twice", quoted(written.name));
    TRY(check_payload(written));
    TRY(check_payload(*a));
    auto fits = check_attribute(*known, version, written.name, a->type);
    if (!fits && !(options_.find_op && fits.error().kind == ErrorKind::Unsupported)) return std::move(fits.error());
    given.push_back(written.name);
    if (a->type == AttributeProto::kGraph) {
      if (!a->g) return invalid("attribute {} has no graph", quoted(a->name));
      auto body = std::make_unique<Region>();
      Scope inner;
      inner.outer = &scope;
      std::string outer_name = current_name_, outer_source = current_source_;
      TRY(graph(*a->g, *body, inner, frame, op == "loop" ? BodyOf::Loop : BodyOf::Other));
      current_name_ = outer_name;
      current_source_ = outer_source;
      bodies.emplace(std::string(written.name), std::move(body));
    } else if (a->type == AttributeProto::kTensor && a->t) {
      u.attrs.set(std::string(written.name), TRY(tensor(*a->t)));
    } else {
      u.attrs.set(std::string(written.name), TRY(read_attribute(*a, source_)));
    }
  }
  TRY(check_required(*known, version, given));
  if (op == "constant") return constant_node(n, u.attrs, scope, frame);

  auto body = [&](const char* name) -> Result<void> {
    auto it = bodies.find(name);
    if (it == bodies.end()) return invalid("attribute {} is missing", quoted(name));
    u.regions.push_back(std::move(it->second));
    bodies.erase(it);
    return {};
  };
  if (op == "if") {
    TRY(body("then_branch"));
    TRY(body("else_branch"));
    for (const auto& r : u.regions)
      if (!r->inputs.empty()) return invalid("a branch has {} inputs, expected none", r->inputs.size());
  } else if (op == "loop" || op == "scan" || op == "sequence_map") {
    TRY(body("body"));
  } else if (op == "flex_attention") {
    for (const char* name : {"score_mod", "prob_mod"})
      if (bodies.count(name)) {
        TRY(body(name));
        u.attrs.set(name, int64_t{1});
      }
  }
  if (!bodies.empty()) return unsupported("attribute {} is a graph", quoted(bodies.begin()->first));

  std::set<std::string_view> distinct;
  for (std::string_view name : n.output) {
    if (!name.empty() && (!distinct.insert(name).second || scope.values.count(name)))
      return invalid("value {} is defined twice", quoted(name));
    u.outputs.push_back(output(name, scope, frame));
  }
  while (!u.outputs.empty() && !u.outputs.back()) u.outputs.pop_back();
  if (UpgradeFn upgrade = find_upgrade(u.domain, op)) TRY(upgrade(u));
  if (!u.finished()) TRY(u.emit());
  for (size_t i = 0; i < u.outputs.size(); ++i)
    if (u.outputs[i]) TRY(define(n.output[i], u.outputs[i], scope));
  return {};
}

}  // namespace ingot::onnx
