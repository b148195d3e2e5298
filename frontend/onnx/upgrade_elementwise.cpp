// Elementwise operators and reductions: broadcasting of operator sets 1-6, limits and axes that became inputs.
#include "frontend/onnx/dtype.h"
#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

// Sets 1-5: a hint for in-place execution.
Result<void> drop_hints(Upgrade& u) {
  if (u.version < 7) u.erase({"consumed_inputs"});
  return {};
}

// b: [...] -> [..., 1, 1] so that its first dim meets dim `axis` of a. The number of ones depends on the ranks.
Result<Value*> align(Upgrade& u, Value* a, Value* b, int64_t axis, int rank_a, int rank_b) {
  if (rank_a >= 0 && rank_b >= 0) {
    int64_t ones = rank_a - (axis < 0 ? axis + rank_a : axis) - rank_b;
    if (ones < 0) return invalid("axis {} leaves no room for an operand of rank {} in rank {}", axis, rank_b, rank_a);
    if (ones == 0) return b;
    std::vector<int64_t> axes;
    for (int64_t k = 0; k < ones; ++k) axes.push_back(rank_b + k);
    return u.add("unsqueeze", {b, u.ints_constant(axes)});
  }
  Value* rank = TRY(u.rank_of(a));
  Value* count = u.ints_constant({axis});
  if (axis < 0) count = u.ints_constant({-axis});
  else count = TRY(u.add("sub", {rank, count}));
  count = TRY(u.add("sub", {count, TRY(u.rank_of(b))}));
  auto one = TensorData::make(DType::I64, {1});
  *one->mutable_as<int64_t>() = 1;
  Value* ones = TRY(u.add("constant_of_shape", {count}, {{"value", TensorRef(one)}}));
  Value* shape = TRY(u.add("concat", {TRY(u.add("shape", {b})), ones}, {{"axis", int64_t{0}}}));
  return u.add("reshape", {b, shape});
}

// Add-1 ... Pow-1, Equal-1: `broadcast` allows it, `axis` says where the second operand begins; without it, at the end.
Result<void> binary(Upgrade& u) {
  if (u.version >= 7) return {};
  TRY(drop_hints(u));
  bool broadcast = u.i64("broadcast", 0) != 0, has_axis = u.has("axis");
  int64_t axis = u.i64("axis", 0);
  u.erase({"broadcast", "axis"});
  if (broadcast && has_axis && u.in(0) && u.in(1))
    u.inputs[1] = TRY(align(u, u.in(0), u.in(1), axis, u.rank(0), u.rank(1)));
  return {};
}

// PRelu-1, 6: one slope per channel.
Result<void> prelu(Upgrade& u) {
  if (u.version >= 7) return {};
  TRY(drop_hints(u));
  const TensorData* slope = u.constant(1);
  if (slope && slope->elements() == 1) return {};
  if (u.in(0) && u.in(1) && u.rank(1) != u.rank(0))
    u.inputs[1] = TRY(align(u, u.in(0), u.in(1), 1, u.rank(0), u.rank(1)));
  return {};
}

// Selu-1 gave its constants with four digits.
Result<void> selu(Upgrade& u) {
  TRY(drop_hints(u));
  if (u.version < 6) {
    if (!u.has("alpha")) u.attrs.set("alpha", 1.6732);
    if (!u.has("gamma")) u.attrs.set("gamma", 1.0507);
  }
  return {};
}

// Clip-1, 6: min and max as attributes.
Result<void> clip(Upgrade& u) {
  if (u.version >= 11) return {};
  TRY(drop_hints(u));
  Value* x = u.in(0);
  const char* names[] = {"min", "max"};
  for (size_t i = 0; i < 2; ++i)
    if (x && u.has(names[i])) u.set_input(i + 1, TRY(u.number_like(x, u.f64(names[i], 0))));
  u.erase({"min", "max"});
  return {};
}

// Cast-1: the type by name; some wrote it so at 6 too.
Result<void> cast(Upgrade& u) {
  std::string to = u.str("to", "");
  if (to.empty()) return {};
  DType t = dtype_of_name(to);
  if (t == DType::Invalid) return invalid("cast to unknown type {}", quoted(to));
  u.attrs.set("to", int64_t{data_type_of(t)});
  return {};
}

// Softmax, LogSoftmax, Hardmax before 13: over all dims from `axis` on, taken as one.
Result<void> softmax(Upgrade& u) {
  if (u.version >= 13) return {};
  int64_t axis = u.i64("axis", 1);
  int rank = u.rank(0);
  if (axis == -1 || (rank >= 0 && axis == rank - 1)) {
    u.attrs.set("axis", int64_t{-1});
    return {};
  }
  Value* x = u.in(0);
  if (!x) return {};
  Value* flat = TRY(u.add("flatten", {x}, {{"axis", axis}}));
  Value* y = TRY(u.add(u.op, {flat}, {{"axis", int64_t{-1}}}));
  return u.finish("reshape", {y, TRY(u.add("shape", {x}))}, {}, u.outputs);
}

// Axes as an input: ReduceSum since 13, the others since 18.
Result<void> reduce(Upgrade& u) {
  if (u.version < (u.op == "reduce_sum" ? 13 : 18)) u.ints_to_input("axes", 1);
  return {};
}

constexpr UpgradeEntry kEntries[] = {
    {"abs", drop_hints},
    {"ceil", drop_hints},
    {"elu", drop_hints},
    {"exp", drop_hints},
    {"floor", drop_hints},
    {"hard_sigmoid", drop_hints},
    {"leaky_relu", drop_hints},
    {"log", drop_hints},
    {"max", drop_hints},
    {"mean", drop_hints},
    {"min", drop_hints},
    {"neg", drop_hints},
    {"reciprocal", drop_hints},
    {"relu", drop_hints},
    {"sigmoid", drop_hints},
    {"sqrt", drop_hints},
    {"sum", drop_hints},
    {"tanh", drop_hints},
    {"not", drop_hints},
    {"add", binary},
    {"sub", binary},
    {"mul", binary},
    {"div", binary},
    {"pow", binary},
    {"and", binary},
    {"or", binary},
    {"xor", binary},
    {"equal", binary},
    {"greater", binary},
    {"less", binary},
    {"prelu", prelu},
    {"selu", selu},
    {"clip", clip},
    {"cast", cast},
    {"softmax", softmax},
    {"log_softmax", softmax},
    {"hardmax", softmax},
    {"reduce_l1", reduce},
    {"reduce_l2", reduce},
    {"reduce_log_sum", reduce},
    {"reduce_log_sum_exp", reduce},
    {"reduce_max", reduce},
    {"reduce_mean", reduce},
    {"reduce_min", reduce},
    {"reduce_prod", reduce},
    {"reduce_sum", reduce},
    {"reduce_sum_square", reduce},
};

}  // namespace

std::span<const UpgradeEntry> elementwise_upgrades() { return kEntries; }

}  // namespace ingot::onnx
