// Sequences, optionals and maps: calls of algorithms/objects.cpp. An element type gives the dtype and the rank of the
// items, and the extents that all of them have; the others of a tensor that is taken out are decided at run time.
#include "ir/ops/common.h"
#include "ir/ops/known_extents.h"
#include "ir/text.h"

namespace ingot {

namespace {

using Kind = Type::Kind;

Result<Type> element_of(const Def& d, int i, Kind kind, const char* what) {
  if (!d.has(i) || d.type(i).kind != kind)
    return invalid("input {} is {}, expected {}", i, d.has(i) ? d.type(i).str() : "absent", what);
  return d.type(i).element ? *d.type(i).element : Type{};
}
Result<Type> sequence_element(const Def& d) { return element_of(d, 0, Kind::Sequence, "a sequence"); }

Result<int> position(Def& d, int i) {
  if (!d.has(i)) return -1;
  if (!d.type(i).is_tensor() || (d.dtype(i) != DType::I64 && d.dtype(i) != DType::I32) ||
      !d.in(i).type().numel().is(1)) {
    return invalid("a position is {}, expected one i32 or i64", d.type(i).str());
  }
  return d.in_value(i);
}

// A value of this type taken out of an object. The algorithm decides all extents of a tensor; those that the type says are
// checked, so that nothing rests on what was put into a sequence elsewhere.
Result<void> take_out(Def& d, const std::string& algorithm, std::vector<int> operands, const Type& type,
                      std::vector<int64_t> ints = {}) {
  Def::CallArgs args;
  args.ints = std::move(ints);
  Type made = type;
  for (int k = 0; type.is_tensor() && k < type.tensor.rank(); ++k) {
    args.symbols.push_back(d.unknown_dim(k, Dim(kDimMax)));
    made.tensor.dims[static_cast<size_t>(k)] = Dim(args.symbols.back());
  }
  const std::vector<Symbol> symbols = args.symbols;
  const int value = d.call_values(algorithm, std::move(operands), {made}, std::move(args))[0];
  Dims known = made.tensor.dims;
  for (size_t k = 0; k < symbols.size(); ++k) {
    const Dim& said = type.tensor.dims[k];
    if (said.is(kAnyExtent)) continue;
    known[k] = said;
    TRY(d.require(equal(Dim(symbols[k]), said),
                  fmt::format("dimension {} of what is taken out has extent {}, expected {}", k, Dim(symbols[k]).str(),
                              said.str())));
  }
  if (known == made.tensor.dims) {
    d.out_value(value);
    return {};
  }
  Tensor x(value, made.tensor);
  d.out(d.map(known, [&](Ix i) { return x(i); }));
  return {};
}

}  // namespace

// SequenceConstruct-11. tensors... -> seq
Result<void> define_sequence_construct(Def& d) {
  TRY(ops::expect_tensors(d, d.inputs()));
  Type element;
  std::vector<int> items;
  for (int i = 0; i < d.inputs(); ++i) {
    element = TRY(common_item(element, d.type(i)));
    items.push_back(d.in_value(i));
  }
  d.out_value(d.call_values("sequence_construct", std::move(items), {Type::sequence(element)})[0]);
  return {};
}

// SequenceEmpty-11. The rank of the items is known with the first one.
Result<void> define_sequence_empty(Def& d) {
  TRY(ops::dtype_attr(d, "dtype", DType::F32));
  d.out_value(d.call_values("sequence_construct", {}, {Type::sequence(Type{})})[0]);
  return {};
}

// SequenceInsert-11. seq, tensor, position -> seq
Result<void> define_sequence_insert(Def& d) {
  Type element = TRY(common_item(TRY(sequence_element(d)), d.type(1)));
  int at = TRY(position(d, 2));
  d.out_value(d.call_values("sequence_insert", {d.in_value(0), d.in_value(1), at}, {Type::sequence(element)})[0]);
  return {};
}

// SequenceErase-11. seq, position -> seq
Result<void> define_sequence_erase(Def& d) {
  TRY(sequence_element(d));
  int at = TRY(position(d, 1));
  d.out_value(d.call_values("sequence_erase", {d.in_value(0), at}, {d.type(0)})[0]);
  return {};
}

// SequenceAt-11. seq, position -> the item
Result<void> define_sequence_at(Def& d) {
  Type element = TRY(sequence_element(d));
  if (element.kind == Kind::None) return unsupported("the items of the sequence have no known type");
  int at = TRY(position(d, 1));
  return take_out(d, "sequence_at", {d.in_value(0), at}, element);
}

// SequenceLength-11. seq -> i64[]
Result<void> define_sequence_length(Def& d) {
  TRY(sequence_element(d));
  d.out_value(d.call_values("sequence_length", {d.in_value(0)}, {Type::of({DType::I64, {}})})[0]);
  return {};
}

namespace {

// The extent of all parts that input 1 makes of `whole`, where it is one and known.
Dim part_extent(const Def& d, const Dim& whole) {
  auto parts = d.known_integers(1);
  if (!parts || parts->empty()) return kAnyExtent;
  const Dim& first = parts->front();
  if (d.in(1).rank() == 0) return first.lower() > 0 && known_divisible(whole, first) ? first : Dim(kAnyExtent);
  const bool alike = std::all_of(parts->begin(), parts->end(), [&](const Dim& p) { return known_equal(p, first); });
  return alike ? first : Dim(kAnyExtent);
}

}  // namespace

// SplitToSequence-24. x, split -> seq; `keepdims` counts only without `split`.
Result<void> define_split_to_sequence(Def& d) {
  Tensor x = d.in(0);
  if (x.rank() == 0) return invalid("got a scalar, expected a tensor with an axis");
  int axis = TRY(d.axis(d.i64("axis", 0), x.rank()));
  int64_t keep = d.i64("keepdims", 1);
  if (d.has(1) && (d.in(1).rank() > 1 || (d.dtype(1) != DType::I64 && d.dtype(1) != DType::I32))) {
    return invalid("split is {}, expected i32 or i64 of rank 0 or 1", d.type(1).str());
  }
  Type element = d.type(0);
  if (!d.has(1) && keep == 0) {
    element.tensor.dims.erase(element.tensor.dims.begin() + axis);
  } else {
    element.tensor.dims[static_cast<size_t>(axis)] = d.has(1) ? part_extent(d, x.dim(axis)) : Dim(1);
  }
  Def::CallArgs args;
  args.ints = {axis, keep};
  d.out_value(d.call_values("split_to_sequence", {d.in_value(0), d.in_value(1)}, {Type::sequence(element)},
                            std::move(args))[0]);
  return {};
}

// ConcatFromSequence-11. seq -> tensor
Result<void> define_concat_from_sequence(Def& d) {
  Type element = TRY(sequence_element(d));
  if (!element.is_tensor()) return unsupported("the items of the sequence have no known type");
  int64_t fresh = d.i64("new_axis", 0);
  const int joined = element.tensor.rank() + (fresh ? 1 : 0);
  if (joined == 0) return invalid("got items of rank 0, expected an axis to join");
  int axis = TRY(d.axis(d.i64("axis", 0), joined));
  if (fresh) element.tensor.dims.insert(element.tensor.dims.begin() + axis, kAnyExtent);
  element.tensor.dims[static_cast<size_t>(axis)] = kAnyExtent;
  return take_out(d, "concat_from_sequence", {d.in_value(0)}, element, {axis, fresh});
}

// SequenceMap-17: a loop over the items, with the body's region in its own. Inputs after the first are sequences of the same
// length, or tensors that every iteration gets.
Result<void> expand_sequence_map(Expand& e) {
  Node& node = e.node();
  if (node.regions.size() != 1) return invalid("got {} bodies, expected 1", node.regions.size());
  Region& body = *node.regions[0];
  if (body.inputs.size() != node.inputs.size())
    return invalid("got a body with {} inputs, expected {}", body.inputs.size(), node.inputs.size());
  Graph& graph = e.graph();
  auto region = std::make_unique<Region>();
  auto add = [&](std::string_view op, std::vector<Value*> inputs, Value* output) {
    auto n = std::make_unique<Node>();
    n->def = find_op(op);
    n->name = node.name;
    n->source = node.source;
    n->inputs = std::move(inputs);
    n->outputs = {output};
    output->producer = n.get();
    output->output_index = 0;
    region->nodes.push_back(std::move(n));
    return output;
  };
  Value* trips = TRY(e.op("sequence_length", {node.inputs[0]}));
  Value* iteration = graph.new_value(node.name + ".iteration", Type::of({DType::I64, {}}));
  Value* condition = graph.new_value(node.name + ".condition", Type::of({DType::Bool, {}}));
  region->inputs = {iteration, condition};
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    Value* in = node.inputs[k];
    if (!in) return invalid("input {} is absent", k);
    const bool items = in->type.kind == Kind::Sequence;
    if (k == 0 && !items) return invalid("input 0 is {}, expected a sequence", in->type.str());
    add(items ? "sequence_at" : "identity", items ? std::vector<Value*>{in, iteration} : std::vector<Value*>{in},
        body.inputs[k]);
  }
  for (auto& n : body.nodes) region->nodes.push_back(std::move(n));
  body.nodes.clear();
  auto loop = std::make_unique<Node>();
  loop->def = find_op("loop");
  loop->name = node.name;
  loop->source = node.source;
  loop->inputs = {trips, nullptr};
  region->outputs = {condition};
  for (Value* made : body.outputs) {
    Value* start = TRY(e.op("sequence_empty", {}));
    Value* inside = graph.new_value(node.name + ".items", start->type);
    loop->inputs.push_back(start);
    region->inputs.push_back(inside);
    region->outputs.push_back(add("sequence_insert", {inside, made}, graph.new_value(node.name + ".items")));
    Value* out = graph.new_value(node.name + ".mapped");
    out->producer = loop.get();
    out->output_index = static_cast<int>(loop->outputs.size());
    loop->outputs.push_back(out);
  }
  loop->regions.push_back(std::move(region));
  std::vector<Value*> outputs = loop->outputs;
  TRY(e.append(std::move(loop)));
  for (Value* v : outputs) e.out(v);
  return {};
}

// Optional-15. a value, or nothing and its type -> optional
Result<void> define_optional(Def& d) {
  Type element;
  if (d.has(0)) {
    element = d.type(0);
  } else if (std::string text = d.str("type", ""); !text.empty()) {
    SymbolNames names;
    element = *with_any_items(Type::optional(TRY(parse_type(text, names)))).element;
  } else {
    return invalid("got neither a value nor its type");
  }
  std::vector<int> operands;
  if (d.has(0)) operands.push_back(d.in_value(0));
  d.out_value(d.call_values("optional", std::move(operands), {Type::optional(element)})[0]);
  return {};
}

// OptionalHasElement-18. optional, or anything else (which is there) -> bool[]
Result<void> define_optional_has_element(Def& d) {
  if (d.has(0) && d.type(0).kind != Kind::Optional) {
    d.out(d.map({}, [](Ix) { return ex::boolean(true); }));
    return {};
  }
  std::vector<int> operands;
  if (d.has(0)) operands.push_back(d.in_value(0));
  d.out_value(d.call_values("optional_has_element", std::move(operands), {Type::of({DType::Bool, {}})})[0]);
  return {};
}

// OptionalGetElement-18. optional -> its element; anything else is its own element.
Result<void> define_optional_get_element(Def& d) {
  if (d.type(0).kind != Kind::Optional) {
    d.out_value(d.in_value(0));
    return {};
  }
  Type element = TRY(element_of(d, 0, Kind::Optional, "an optional"));
  if (element.kind == Kind::None) return unsupported("the element of the optional has no known type");
  return take_out(d, "optional_get_element", {d.in_value(0)}, element);
}

namespace {

Result<Tensor> labels(Def& d, const char* ints, const char* strings) {
  std::vector<int64_t> numbers = d.ints(ints);
  std::vector<std::string> texts = d.strs(strings);
  if (numbers.empty() == texts.empty())
    return invalid("got {} {} and {} {}, expected one of both", numbers.size(), ints, texts.size(), strings);
  auto data = TensorData::make(texts.empty() ? DType::I64 : DType::String,
                               {static_cast<int64_t>(numbers.size() + texts.size())});
  if (texts.empty()) std::copy(numbers.begin(), numbers.end(), data->mutable_as<int64_t>());
  else data->strings = std::move(texts);
  return d.constant(std::move(data));
}

}  // namespace

// ZipMap-1 (ai.onnx.ml). x: f32[N, C] or [C] -> a sequence of maps from class label to score
Result<void> define_zip_map(Def& d) {
  Tensor x = d.in(0), keys = TRY(labels(d, "classlabels_int64s", "classlabels_strings"));
  if (x.rank() != 1 && x.rank() != 2) return invalid("x has rank {}, expected 1 or 2", x.rank());
  TRY(d.require(equal(x.dims().back(), keys.dim(0)),
                fmt::format("x has {} columns, expected {}", x.dims().back().str(), keys.dim(0).str())));
  Type entry = Type::map(keys.dtype(), Type::of({x.dtype(), {keys.dim(0)}}));
  d.out_value(d.call_values("zip_map", {x.id(), keys.id()}, {Type::sequence(entry)})[0]);
  return {};
}

// DictVectorizer-1 (ai.onnx.ml). a map -> [C], the values of the vocabulary's keys
Result<void> define_dict_vectorizer(Def& d) {
  Type element = TRY(element_of(d, 0, Kind::Map, "a map"));
  Tensor keys = TRY(labels(d, "int64_vocabulary", "string_vocabulary"));
  if (keys.dtype() != d.type(0).tensor.dtype)
    return invalid("the vocabulary is of {}, the map's keys of {}", name(keys.dtype()), name(d.type(0).tensor.dtype));
  if (!element.is_tensor()) return invalid("got a map to {}, expected one to tensors", element.str());
  d.out_value(d.call_values("dict_vectorizer", {d.in_value(0), keys.id()},
                            {Type::of({element.tensor.dtype, {keys.dim(0)}})})[0]);
  return {};
}

}  // namespace ingot
