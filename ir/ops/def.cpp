#include "ir/ops/def.h"

#include <algorithm>
#include <cassert>

#include "ir/dim_internal.h"
#include "ir/numeric.h"

namespace ingot {

// --- Tensor ---------------------------------------------------------------------------------------------------------

Expr Tensor::operator()(const std::vector<Expr>& i) const {
  assert(static_cast<int>(i.size()) == rank());
  return ex::read(id_, dtype(), i);
}

namespace {
std::vector<Expr> as_indices(Ix i) {
  std::vector<Expr> result;
  result.reserve(i.size());
  for (const Dim& d : i) result.push_back(ex::index(d));
  return result;
}
}  // namespace

Expr Tensor::operator()(Ix i) const { return (*this)(as_indices(i)); }

Expr Tensor::or_fill(const std::vector<Expr>& i, Expr fill) const {
  assert(static_cast<int>(i.size()) == rank());
  return ex::read_or(id_, dtype(), i, std::move(fill));
}
Expr Tensor::or_fill(Ix i, Expr fill) const { return or_fill(as_indices(i), std::move(fill)); }

Expr Tensor::broadcast(Ix i) const {
  assert(static_cast<int>(i.size()) >= rank());
  size_t skip = i.size() - static_cast<size_t>(rank());
  Dims index;
  for (size_t k = 0; k < static_cast<size_t>(rank()); ++k) {
    const Dim& extent = type_.dims[k];
    const Dim& at = i[skip + k];
    if (extent.is(1)) {
      index.push_back(0);
    } else if (extent.is_constant() || known_less(at, extent)) {
      index.push_back(at);
    } else {
      index.push_back(min(at, extent - 1));  // 1 or the full extent, which only the run knows
    }
  }
  return (*this)(index);
}

// --- Def: inputs and attributes -------------------------------------------------------------------------------------

Def::Def(k::Program& program, k::Block& block, Node& node, std::vector<int> inputs, int origin)
    : program_(program), block_(block), node_(node), input_ids_(std::move(inputs)), origin_(origin) {}

int Def::inputs() const { return static_cast<int>(node_.inputs.size()); }
bool Def::has(int i) const { return i < inputs() && node_.inputs[static_cast<size_t>(i)]; }
int Def::outputs() const { return static_cast<int>(node_.outputs.size()); }
bool Def::wants(int output) const { return output < outputs() && node_.outputs[static_cast<size_t>(output)]; }
int Def::in_value(int i) const { return has(i) ? input_ids_[static_cast<size_t>(i)] : -1; }
const Type& Def::type(int i) const { return program_.values[static_cast<size_t>(in_value(i))].type; }

Tensor Def::in(int i) const {
  if (!has(i)) return {};
  return {in_value(i), type(i).tensor};
}

TensorRef Def::constant(int i) const { return has(i) ? node_.inputs[static_cast<size_t>(i)]->constant : nullptr; }

std::optional<Dims> Def::known_integers(int i) const {
  if (!has(i)) return std::nullopt;
  const Value& v = *node_.inputs[static_cast<size_t>(i)];
  if (v.constant) {
    Dims result;
    for (int64_t k = 0; k < v.constant->elements(); ++k) result.push_back(v.constant->integer(k));
    return result;
  }
  return v.elements;
}

Result<Dims> Def::integers(int i, int64_t lo, int64_t hi) {
  if (auto known = known_integers(i)) return *known;
  Value& v = *node_.inputs[static_cast<size_t>(i)];
  const TensorType& t = v.type.tensor;
  if (!t.is_static() || t.elements() > kMaxSymbolicElements) {
    return unsupported("input {} has type {}, expected at most {} elements where its contents decide shapes", i,
                       t.str(), kMaxSymbolicElements);
  }
  std::vector<Dim> elements;
  for (int64_t k = 0; k < t.elements(); ++k) {
    Symbol s = Dim::symbol(fmt::format("{}_{}", v.name, k), lo, hi);
    v.reads.push_back({k, s});
    elements.push_back(Dim(s));
  }
  v.elements = elements;
  return elements;
}

Result<Dims> Def::integers_of_length(int i, int64_t count, int64_t lo, int64_t hi) {
  if (known_integers(i)) return integers(i, lo, hi);
  Tensor t = in(i);
  if (t.type().is_static()) return integers(i, lo, hi);
  if (count < 0 || count > kMaxSymbolicElements)
    return invalid("input {} has {} elements, expected {}", i, count, kMaxSymbolicElements);
  Dim elements = product(t.dims());
  TRY(require(equal(elements, count), fmt::format("input {} has {} elements, expected {}", i, elements.str(), count)));
  // Nothing is read from outside, whatever the order of this check and the run's other ones.
  Tensor own = map({count}, [&](Ix at) {
    Dims index(t.dims().size(), Dim(0));
    if (!index.empty()) index.back() = at[0];
    return ex::cast(t.or_fill(index, ex::integer(t.dtype(), 0)), DType::I64);
  });
  return contents(own, lo, hi);
}

std::optional<int> Def::declared_rank(int output) const {
  return wants(output) ? node_.outputs[static_cast<size_t>(output)]->declared_rank : std::nullopt;
}

namespace {

template <class T>
T attr_or(const Node& node, std::string_view name, T otherwise) {
  const AttrValue* a = node.attrs.find(name);
  if (!a) return otherwise;
  if (const T* v = std::get_if<T>(a)) return *v;
  if constexpr (std::is_same_v<T, double>) {
    if (const int64_t* v = std::get_if<int64_t>(a)) return static_cast<double>(*v);
  }
  if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
    if (const int64_t* v = std::get_if<int64_t>(a)) return {*v};
  }
  return otherwise;
}

}  // namespace

bool Def::has_attr(std::string_view name) const { return node_.attrs.find(name) != nullptr; }
int64_t Def::i64(std::string_view n, int64_t o) const { return attr_or(node_, n, o); }
double Def::f64(std::string_view n, double o) const { return attr_or(node_, n, o); }
std::string Def::str(std::string_view n, std::string o) const { return attr_or(node_, n, std::move(o)); }
std::vector<int64_t> Def::ints(std::string_view n, std::vector<int64_t> o) const {
  return attr_or(node_, n, std::move(o));
}
std::vector<double> Def::floats(std::string_view n, std::vector<double> o) const {
  return attr_or(node_, n, std::move(o));
}
std::vector<std::string> Def::strs(std::string_view n, std::vector<std::string> o) const {
  return attr_or(node_, n, std::move(o));
}
TensorRef Def::tensor(std::string_view n) const { return attr_or<TensorRef>(node_, n, nullptr); }

// --- Def: stages ----------------------------------------------------------------------------------------------------

namespace {

std::vector<k::Iter> make_iters(const Dims& dims, const char* prefix) {
  std::vector<k::Iter> iters;
  for (size_t k = 0; k < dims.size(); ++k) {
    iters.push_back({Dim::iterator(fmt::format("{}{}", prefix, k), dims[k]), dims[k]});
  }
  return iters;
}

// An extent of more atoms than this gets a name, so that what is made of a few of them stays below kMaxDimSize.
constexpr int kMaxExtentSize = 128;

Dims short_dims(Def& d, const Dims& dims) {
  auto is_long = [](const Dim& x) { return DimAccess::size(x) > kMaxExtentSize; };
  if (std::none_of(dims.begin(), dims.end(), is_long)) return dims;
  Dims out = dims;
  for (Dim& x : out) {
    if (is_long(x)) x = d.named({x})[0];
  }
  return out;
}

Dims symbols_of(const std::vector<k::Iter>& iters) {
  Dims result;
  for (const k::Iter& it : iters) result.push_back(Dim(it.symbol));
  return result;
}

}  // namespace

k::Stage& Def::stage(k::StageKind kind, const Dims& dims) {
  k::Stage& s = block_.stages.emplace_back();
  s.kind = kind;
  s.node = origin_;
  s.iters = make_iters(dims, "i");
  return s;
}

Tensor Def::result(k::Stage& s, DType dtype, const Dims& dims) {
  TensorType type{dtype, dims};
  int id = program_.add({-1, fmt::format("v{}", program_.values.size()), Type::of(type), nullptr});
  s.results.push_back(id);
  return {id, std::move(type)};
}

std::vector<Tensor> Def::map_tuple(const Dims& extents, const std::function<std::vector<Expr>(Ix)>& bodies) {
  const Dims dims = short_dims(*this, extents);
  k::Stage s;
  s.iters = make_iters(dims, "i");
  s.node = origin_;
  s.body = bodies(symbols_of(s.iters));
  std::vector<Tensor> results;
  for (const Expr& e : s.body) results.push_back(result(s, e.type(), dims));
  block_.stages.push_back(std::move(s));
  return results;
}

Tensor Def::map(const Dims& dims, const Body& body) {
  return map_tuple(dims, [&](Ix i) { return std::vector<Expr>{body(i)}; })[0];
}

Tensor Def::reduce(Combiner c, const Dims& extents, const Dims& reduced_extents, const ReduceBody& body) {
  const Dims dims = short_dims(*this, extents), reduced = short_dims(*this, reduced_extents);
  k::Stage s;
  s.kind = k::StageKind::Reduce;
  s.node = origin_;
  s.combiner = c;
  s.iters = make_iters(dims, "i");
  s.reds = make_iters(reduced, "r");
  s.body = {body(symbols_of(s.iters), symbols_of(s.reds))};
  Tensor t = result(s, s.body[0].type(), dims);
  block_.stages.push_back(std::move(s));
  return t;
}

std::pair<Tensor, Tensor> Def::arg_reduce(Combiner c, const Dims& extents, const Dims& reduced_extents,
                                          const std::function<std::pair<Expr, Expr>(Ix i, Ix r)>& body) {
  const Dims dims = short_dims(*this, extents), reduced = short_dims(*this, reduced_extents);
  k::Stage s;
  s.kind = k::StageKind::Reduce;
  s.node = origin_;
  s.combiner = c;
  s.iters = make_iters(dims, "i");
  s.reds = make_iters(reduced, "r");
  auto [value, index] = body(symbols_of(s.iters), symbols_of(s.reds));
  s.body = {value, index};
  Tensor v = result(s, value.type(), dims), k = result(s, DType::I64, dims);
  block_.stages.push_back(std::move(s));
  return {v, k};
}

Tensor Def::scan(Combiner c, const Dims& extents, int axis, bool exclusive, bool reverse, const Body& body) {
  const Dims dims = short_dims(*this, extents);
  k::Stage s;
  s.kind = k::StageKind::Scan;
  s.node = origin_;
  s.combiner = c;
  s.axis = axis;
  s.exclusive = exclusive;
  s.reverse = reverse;
  s.iters = make_iters(dims, "i");
  s.body = {body(symbols_of(s.iters))};
  Tensor t = result(s, s.body[0].type(), dims);
  block_.stages.push_back(std::move(s));
  return t;
}

Tensor Def::scatter(Combiner c, const Tensor& base, const Dims& extents,
                    const std::function<std::pair<std::vector<Expr>, Expr>(Ix)>& target_and_value, bool skip_outside) {
  const Dims dims = short_dims(*this, extents);
  k::Stage s;
  s.kind = k::StageKind::Scatter;
  s.node = origin_;
  s.combiner = c;
  s.skip_outside = skip_outside;
  s.operands = {base.id()};
  s.iters = make_iters(dims, "i");
  auto [targets, value] = target_and_value(symbols_of(s.iters));
  s.targets = std::move(targets);
  s.body = {std::move(value)};
  Tensor t = result(s, base.dtype(), base.dims());
  block_.stages.push_back(std::move(s));
  return t;
}

std::vector<Tensor> Def::walk(const Dims& extents, int64_t limit, const std::function<std::vector<Expr>(Ix)>& init,
                              const std::function<Expr(Ix, const std::vector<Expr>&)>& condition,
                              const std::function<std::vector<Expr>(Ix, const std::vector<Expr>&)>& next) {
  const Dims dims = short_dims(*this, extents);
  k::Stage s;
  s.kind = k::StageKind::Walk;
  s.node = origin_;
  s.limit = limit;
  s.iters = make_iters(dims, "i");
  Dims i = symbols_of(s.iters);
  s.init = init(i);
  std::vector<Expr> states;
  for (size_t k = 0; k < s.init.size(); ++k) {
    ExprNode n{ScalarOp::Local, s.init[k].type()};
    n.id = static_cast<int64_t>(k);
    states.push_back(ex::make(std::move(n)));
  }
  s.condition = condition(i, states);
  s.body = next(i, states);
  std::vector<Tensor> results;
  for (const Expr& e : s.init) results.push_back(result(s, e.type(), dims));
  block_.stages.push_back(std::move(s));
  return results;
}

std::vector<int> Def::call_values(std::string algorithm, std::vector<int> operands, const std::vector<Type>& results,
                                  CallArgs args) {
  k::Stage s;
  s.kind = k::StageKind::Call;
  s.node = origin_;
  s.algorithm = std::move(algorithm);
  s.operands = std::move(operands);
  s.ints = std::move(args.ints);
  s.floats = std::move(args.floats);
  s.strings = std::move(args.strings);
  s.symbols = std::move(args.symbols);
  for (const Type& t : results) {
    s.results.push_back(program_.add({-1, fmt::format("v{}", program_.values.size()), t, nullptr}));
  }
  block_.stages.push_back(s);
  return s.results;
}

std::vector<Tensor> Def::call(std::string algorithm, const std::vector<Tensor>& operands,
                              const std::vector<TensorType>& results, CallArgs args) {
  std::vector<int> ids;
  for (const Tensor& t : operands) ids.push_back(t.id());
  std::vector<Type> types;
  for (const TensorType& t : results) types.push_back(Type::of(t));
  std::vector<Tensor> out;
  std::vector<int> result_ids = call_values(std::move(algorithm), std::move(ids), types, std::move(args));
  for (size_t k = 0; k < results.size(); ++k) out.emplace_back(result_ids[k], results[k]);
  return out;
}

namespace {

std::string symbol_name(const Node& node, size_t index) {
  std::string base = node.outputs.empty() || !node.outputs[0] ? std::string(node.op()) : node.outputs[0]->name;
  return fmt::format("{}_n{}", base, index);
}

}  // namespace

Symbol Def::unknown_dim(int k, const Dim& bound) {
  auto [it, fresh] = unknown_.try_emplace(k);
  if (!fresh) return it->second;
  if (bound.is(kDimMax)) return it->second = next_symbol(0, kDimMax);  // no bound: none may prove anything
  const size_t index = next_symbol_++;
  if (node_.symbols.size() <= index) node_.symbols.push_back(Dim::iterator(symbol_name(node_, index), bound + 1));
  return it->second = node_.symbols[index];
}

Symbol Def::next_symbol(int64_t lo, int64_t hi) {
  const size_t index = next_symbol_++;
  if (node_.symbols.size() <= index) node_.symbols.push_back(Dim::symbol(symbol_name(node_, index), lo, hi));
  // An earlier run of the definition knew more of the inputs than holds in general.
  Symbol& symbol = node_.symbols[index];
  if (symbol->lo > lo || symbol->hi < hi) symbol = Dim::symbol(symbol_name(node_, index), lo, hi);
  return symbol;
}

Dims Def::named(const Dims& values, int64_t lo, int64_t hi) {
  Dims names = values;
  k::Stage s;
  s.kind = k::StageKind::Read;
  s.node = origin_;
  for (size_t k = 0; k < values.size(); ++k) {
    if (values[k].is_constant()) continue;
    s.symbols.push_back(next_symbol(std::max(lo, values[k].lower()), std::min(hi, values[k].upper())));
    s.elements.push_back(static_cast<int64_t>(k));
    names[k] = Dim(s.symbols.back());
  }
  if (s.symbols.empty()) return names;
  s.operands = {dims_tensor(values).id()};
  block_.stages.push_back(std::move(s));
  return names;
}

Dims Def::contents(const Tensor& t, int64_t lo, int64_t hi) {
  Dims names;
  k::Stage s;
  s.kind = k::StageKind::Read;
  s.node = origin_;
  s.operands = {t.id()};
  for (int64_t k = 0; k < t.dim(0).value(); ++k) {
    s.symbols.push_back(next_symbol(lo, hi));
    s.elements.push_back(k);
    names.emplace_back(s.symbols.back());
  }
  if (!names.empty()) block_.stages.push_back(std::move(s));
  return names;
}

Tensor Def::constant(TensorRef data) {
  TensorType type = data->type();
  int id = program_.add({-1, fmt::format("c{}", program_.values.size()), Type::of(type), std::move(data)});
  return {id, std::move(type)};
}

Tensor Def::dims_tensor(const Dims& values, DType dtype) {
  return map({static_cast<int64_t>(values.size())}, [&](Ix i) {
    Expr e = ex::index(values.empty() ? Dim(0) : values.back());
    for (size_t k = values.size(); k-- > 1;) {
      e = ex::select(ex::binary(ScalarOp::Lt, ex::index(i[0]), ex::index(Dim(static_cast<int64_t>(k)))),
                     ex::index(values[k - 1]), e);
    }
    return ex::cast(e, dtype);
  });
}

Result<void> Def::require(const Dim& condition, const std::string& message) {
  if (auto c = condition.constant()) {
    if (*c == 0) return Error{ErrorKind::Invalid, message};
    return {};
  }
  k::Stage s;
  s.kind = k::StageKind::Check;
  s.node = origin_;
  s.condition_dim = condition;
  s.message = message;
  block_.stages.push_back(std::move(s));
  return {};
}

Result<Dim> Def::same(const Dim& a, const Dim& b, const std::string& message) {
  TRY(require(equal(a, b), message));
  return b.is_constant() ? b : a;
}

void Def::out(Tensor t) { results_.push_back(t.id()); }
void Def::out_value(int value_id) { results_.push_back(value_id); }

Result<int> Def::axis(int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank) return invalid("axis is {}, expected a value in [{}, {})", axis, -rank, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

// --- Expand ---------------------------------------------------------------------------------------------------------

bool Expand::wants(int output) const {
  return output < static_cast<int>(node_.outputs.size()) && node_.outputs[static_cast<size_t>(output)];
}
int64_t Expand::i64(std::string_view n, int64_t o) const { return attr_or(node_, n, o); }
double Expand::f64(std::string_view n, double o) const { return attr_or(node_, n, o); }
std::string Expand::str(std::string_view n, std::string o) const { return attr_or(node_, n, std::move(o)); }
std::vector<int64_t> Expand::ints(std::string_view n, std::vector<int64_t> o) const {
  return attr_or(node_, n, std::move(o));
}
std::vector<double> Expand::floats(std::string_view n, std::vector<double> o) const {
  return attr_or(node_, n, std::move(o));
}
std::vector<std::string> Expand::strs(std::string_view n, std::vector<std::string> o) const {
  return attr_or(node_, n, std::move(o));
}

Result<std::vector<Value*>> Expand::op_n(std::string_view name, std::vector<Value*> inputs, int outputs, Attrs attrs) {
  auto n = std::make_unique<Node>();
  n->def = find_op(name);
  if (!n->def) return unsupported("operator '{}' is not known; the nearest is '{}'", name, nearest_op(name));
  n->attrs = std::move(attrs);
  n->inputs = std::move(inputs);
  n->name = node_.name;
  n->source = node_.source;
  std::vector<Value*> results;
  std::string base = node_.outputs.empty() || !node_.outputs[0] ? node_.name : node_.outputs[0]->name;
  for (int k = 0; k < outputs; ++k) {
    Value* v = graph_.new_value(fmt::format("{}.{}", base, name));
    v->producer = n.get();
    v->output_index = k;
    n->outputs.push_back(v);
    results.push_back(v);
  }
  TRY(append_inferred(graph_, into_, std::move(n)));
  return results;
}

Result<Value*> Expand::op(std::string_view name, std::vector<Value*> inputs, Attrs attrs) {
  return TRY(op_n(name, std::move(inputs), 1, std::move(attrs)))[0];
}

Result<void> Expand::append(std::unique_ptr<Node> node) { return append_inferred(graph_, into_, std::move(node)); }

Value* Expand::constant(TensorRef data) { return graph_.new_constant(node_.name + ".constant", std::move(data)); }

Value* Expand::integer(int64_t v) {
  auto data = TensorData::make(DType::I64, {});
  data->mutable_as<int64_t>()[0] = v;
  return constant(data);
}

Value* Expand::ints_constant(std::vector<int64_t> values) {
  auto data = TensorData::make(DType::I64, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), data->mutable_as<int64_t>());
  return constant(data);
}

Result<std::vector<Value*>> Expand::loop(
    Value* trip_count, Value* condition, std::vector<Value*> carried, int scanned,
    const std::function<Result<std::vector<Value*>>(Expand&, Value*, std::vector<Value*>)>& body) {
  auto n = std::make_unique<Node>();
  n->def = find_op("loop");
  n->name = node_.name;
  n->source = node_.source;
  n->inputs = {trip_count, condition};
  n->inputs.insert(n->inputs.end(), carried.begin(), carried.end());
  auto region = std::make_unique<Region>();
  std::string base = node_.outputs.empty() || !node_.outputs[0] ? node_.name : node_.outputs[0]->name;
  Value* iteration = graph_.new_value(base + ".iteration", Type::of({DType::I64, {}}));
  Value* keep_going = graph_.new_value(base + ".condition", Type::of({DType::Bool, {}}));
  region->inputs = {iteration, keep_going};
  std::vector<Value*> inside;
  for (Value* v : carried) {
    inside.push_back(graph_.new_value(v->name + ".carried", v->type));
    region->inputs.push_back(inside.back());
  }
  Expand inner(graph_, *region, node_);
  std::vector<Value*> results = TRY(body(inner, iteration, inside));
  region->outputs = {keep_going};
  region->outputs.insert(region->outputs.end(), results.begin(), results.end());
  n->regions.push_back(std::move(region));
  std::vector<Value*> outputs;
  for (size_t k = 0; k < carried.size() + static_cast<size_t>(scanned); ++k) {
    Value* v = graph_.new_value(base + ".loop");
    v->producer = n.get();
    v->output_index = static_cast<int>(k);
    n->outputs.push_back(v);
    outputs.push_back(v);
  }
  TRY(append_inferred(graph_, into_, std::move(n)));
  return outputs;
}

}  // namespace ingot
