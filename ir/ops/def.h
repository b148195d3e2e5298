// How an operator is written. An op is one line in ops.def and one function:
//
//   // Relu-14. x: [...] -> [...]
//   Result<void> define_relu(Def& d) {
//     Tensor x = d.in(0);
//     d.out(d.map(x.dims(), [&](Ix i) { return max(x(i), 0); }));
//     return {};
//   }
//
//   // MatMul-13 for matrices. a: [M, K], b: [K, N] -> [M, N]
//   Tensor y = d.reduce(Combiner::Sum, {M, N}, {K}, [&](Ix i, Ix r) { return a(i[0], r[0]) * b(r[0], i[1]); });
//
// The function runs with symbolic dims (shape inference, compilation) and with constant dims (the interpreter): the
// types of the results are the type rule and the shape rule, the stages are the meaning. It must be deterministic, and
// the same for each run on the same types. Errors: return invalid("got ..., expected ..."), unsupported(...).
//
// A composite op (COMPOSITE in ops.def) has a function `expand_NAME(Expand&)` instead, which builds it from other ops.
#pragma once

#include <span>

#include "ir/graph/graph.h"
#include "ir/graph/op_def.h"
#include "ir/kernel/program.h"

namespace ingot {

using k::Combiner;
using Ix = const std::vector<Dim>&;
using Dims = std::vector<Dim>;

inline Expr as_index(const Dim& d) { return ex::index(d); }
inline Expr as_index(int64_t d) { return ex::index(Dim(d)); }
inline Expr as_index(int d) { return ex::index(Dim(d)); }
inline Expr as_index(const Expr& e) { return e.type() == DType::I64 ? e : ex::cast(e, DType::I64); }

// A handle on a value of the kernel being defined. Calling it reads an element.
class Tensor {
 public:
  Tensor() = default;
  Tensor(int id, TensorType type) : id_(id), type_(std::move(type)) {}
  explicit operator bool() const { return id_ >= 0; }
  int id() const { return id_; }
  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Dims& dims() const { return type_.dims; }
  const Dim& dim(int i) const { return type_.dims[static_cast<size_t>(i)]; }
  int rank() const { return type_.rank(); }

  Expr operator()(Ix i) const;                          // indices must be in bounds
  Expr operator()(const std::vector<Expr>& i) const;
  template <class... I>
    requires(sizeof...(I) >= 1 && !(std::is_same_v<std::decay_t<I>, std::vector<Dim>> || ...) &&
             !(std::is_same_v<std::decay_t<I>, std::vector<Expr>> || ...))
  Expr operator()(const I&... i) const {
    return (*this)(std::vector<Expr>{as_index(i)...});
  }
  Expr or_fill(Ix i, Expr fill) const;                  // `fill` where an index is outside
  Expr or_fill(const std::vector<Expr>& i, Expr fill) const;
  // Reads at `i` aligned to the right with a tensor of `i.size()` dims, by the rules of broadcasting.
  Expr broadcast(Ix i) const;

 private:
  int id_ = -1;
  TensorType type_;
};

class Def {
 public:
  Def(k::Program& program, k::Block& block, Node& node, std::vector<int> inputs, int origin);

  // Inputs.
  int inputs() const;                    // including absent ones
  bool has(int i) const;
  int outputs() const;                   // as many as the node asks for
  bool wants(int output) const;
  const Type& type(int i) const;         // of any kind
  Tensor in(int i) const;                // a tensor input
  DType dtype(int i) const { return in(i).dtype(); }
  TensorRef constant(int i) const;       // its contents, or null
  // The contents of an integer tensor as dims: constants, expressions, or symbols read at run time (at most
  // kMaxSymbolicElements; the number of elements must be constant). lo and hi bound symbols that must be created.
  Result<Dims> integers(int i, int64_t lo = -kDimMax, int64_t hi = kDimMax);
  // The same where something else says that there are `count` of them: checked in the run where the type does not say it.
  Result<Dims> integers_of_length(int i, int64_t count, int64_t lo = -kDimMax, int64_t hi = kDimMax);
  std::optional<Dims> known_integers(int i) const;  // only where known without reading
  // What the model declares as the rank of an output, for results whose rank nothing else says.
  std::optional<int> declared_rank(int output) const;

  // Attributes, with the default where absent.
  bool has_attr(std::string_view name) const;
  int64_t i64(std::string_view name, int64_t otherwise) const;
  double f64(std::string_view name, double otherwise) const;
  std::string str(std::string_view name, std::string otherwise) const;
  std::vector<int64_t> ints(std::string_view name, std::vector<int64_t> otherwise = {}) const;
  std::vector<double> floats(std::string_view name, std::vector<double> otherwise = {}) const;
  std::vector<std::string> strs(std::string_view name, std::vector<std::string> otherwise = {}) const;
  TensorRef tensor(std::string_view name) const;

  // Stages. The dtype of a result is that of the expression.
  using Body = std::function<Expr(Ix)>;
  using ReduceBody = std::function<Expr(Ix i, Ix r)>;
  Tensor map(const Dims& dims, const Body& body);
  std::vector<Tensor> map_tuple(const Dims& dims, const std::function<std::vector<Expr>(Ix)>& bodies);
  Tensor reduce(Combiner c, const Dims& dims, const Dims& reduced, const ReduceBody& body);
  // (value, i64 index): `body` gives both.
  std::pair<Tensor, Tensor> arg_reduce(Combiner c, const Dims& dims, const Dims& reduced,
                                       const std::function<std::pair<Expr, Expr>(Ix i, Ix r)>& body);
  Tensor scan(Combiner c, const Dims& dims, int axis, bool exclusive, bool reverse, const Body& body);
  // Copies `base`, then combines `body` at `target` for each index of `dims`.
  Tensor scatter(Combiner c, const Tensor& base, const Dims& dims,
                 const std::function<std::pair<std::vector<Expr>, Expr>(Ix)>& target_and_value,
                 bool skip_outside = false);
  // Per index of dims: states start at init(i); while condition(i, states), states = next(i, states).
  std::vector<Tensor> walk(const Dims& dims, int64_t limit, const std::function<std::vector<Expr>(Ix)>& init,
                           const std::function<Expr(Ix, const std::vector<Expr>&)>& condition,
                           const std::function<std::vector<Expr>(Ix, const std::vector<Expr>&)>& next);
  struct CallArgs {
    std::vector<int64_t> ints;
    std::vector<double> floats;
    std::vector<std::string> strings;
    std::vector<Symbol> symbols;  // extents in the result types that the algorithm decides
  };
  std::vector<Tensor> call(std::string algorithm, const std::vector<Tensor>& operands,
                           const std::vector<TensorType>& results, CallArgs args = {});
  // The same on values of any type (sequences, optionals, maps); operands are value ids, -1 where absent.
  std::vector<int> call_values(std::string algorithm, std::vector<int> operands, const std::vector<Type>& results,
                               CallArgs args = {});
  int in_value(int i) const;  // the value id of an input of any type; -1 where absent
  // An extent decided at run time, at most `bound`; the k-th of this node, the same in every run of the definition.
  Symbol unknown_dim(int k, const Dim& bound);
  // The values as symbols in [lo, hi], for expressions too long to multiply with each other: a stage computes them, and they
  // are read from there when the model runs. Constants stay.
  Dims named(const Dims& values, int64_t lo = 0, int64_t hi = kDimMax);
  // The elements of a vector of constant length, read into symbols in [lo, hi] when the model runs.
  Dims contents(const Tensor& t, int64_t lo, int64_t hi);
  Tensor constant(TensorRef data);
  Tensor dims_tensor(const Dims& values, DType = DType::I64);  // a 1-D tensor whose contents are dims
  // Fails the run unless the condition (a Dim that is 0 or not) holds; a condition known false fails here and now.
  Result<void> require(const Dim& condition, const std::string& message);
  // Requires two extents to be equal, and gives the one that says more: a constant where one is.
  Result<Dim> same(const Dim& a, const Dim& b, const std::string& message);

  // Results, in order; a null Tensor for one that is absent.
  void out(Tensor t);
  void out_value(int value_id);  // of any type
  const std::vector<int>& results() const { return results_; }

  // Conveniences that many definitions share.
  Result<int> axis(int64_t axis, int rank) const;  // wraps a negative one, checks the range
  Result<Dims> broadcast_dims(const Dims& a, const Dims& b);  // of two shapes

  k::Program& program() { return program_; }

 private:
  k::Stage& stage(k::StageKind kind, const Dims& dims);
  Tensor result(k::Stage& s, DType dtype, const Dims& dims);
  k::Program& program_;
  k::Block& block_;
  Node& node_;
  std::vector<int> input_ids_;
  std::vector<int> results_;
  int origin_;
  // The node's symbol that is taken next, with these facts where it is new.
  Symbol next_symbol(int64_t lo, int64_t hi);
  size_t next_symbol_ = 0;
  std::map<int, Symbol> unknown_;  // of unknown_dim
};

// Builds nodes for a composite op; each new value is inferred at once, so its type can be asked for.
class Expand {
 public:
  Expand(Graph& graph, Region& into, Node& node) : graph_(graph), into_(into), node_(node) {}

  Node& node() { return node_; }
  int inputs() const { return static_cast<int>(node_.inputs.size()); }
  bool has(int i) const { return i < inputs() && node_.inputs[static_cast<size_t>(i)]; }
  Value* in(int i) { return has(i) ? node_.inputs[static_cast<size_t>(i)] : nullptr; }
  bool wants(int output) const;
  int64_t i64(std::string_view name, int64_t otherwise) const;
  double f64(std::string_view name, double otherwise) const;
  std::string str(std::string_view name, std::string otherwise) const;
  std::vector<int64_t> ints(std::string_view name, std::vector<int64_t> otherwise = {}) const;
  std::vector<double> floats(std::string_view name, std::vector<double> otherwise = {}) const;
  std::vector<std::string> strs(std::string_view name, std::vector<std::string> otherwise = {}) const;

  Result<Value*> op(std::string_view name, std::vector<Value*> inputs, Attrs attrs = {});
  Result<std::vector<Value*>> op_n(std::string_view name, std::vector<Value*> inputs, int outputs, Attrs attrs = {});
  Value* integer(int64_t);  // a scalar i64
  Value* ints_constant(std::vector<int64_t> values);  // 1-D i64
  Value* constant(TensorRef);
  // A node with regions (if, loop): the body builds into a fresh region whose inputs have the given types.
  Result<std::vector<Value*>> loop(Value* trip_count, Value* condition, std::vector<Value*> carried, int scanned,
                                   const std::function<Result<std::vector<Value*>>(Expand& body, Value* iteration,
                                                                                   std::vector<Value*> carried)>&
                                       body);  // gives carried..., scanned...
  Result<void> append(std::unique_ptr<Node> node);  // a node built by hand
  void out(Value* v) { results_.push_back(v); }  // in order; null for one that is absent
  const std::vector<Value*>& results() const { return results_; }
  Graph& graph() { return graph_; }

 private:
  Graph& graph_;
  Region& into_;
  Node& node_;
  std::vector<Value*> results_;
};

const OpDef* find_op(std::string_view name);  // null: no such op
std::span<const OpDef> all_ops();  // by name
std::span<const std::string_view> op_families();  // in the order of the table
std::string nearest_op(std::string_view name);  // for messages

// Infers the types (and symbolic contents) of a node's outputs, and appends the node (a composite: what it expands to) to
// the region.
Result<void> append_inferred(Graph&, Region& into, std::unique_ptr<Node>);
// Infers a whole graph in order, expanding composite ops on the way. From here on every value has a type, and no shape is
// unknown but for symbols.
Result<void> infer_and_expand(Graph&);
// Lowers an inferred graph to K.
Result<k::Program> lower_to_kernels(const Graph&);

}  // namespace ingot
