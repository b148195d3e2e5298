// See interpreter.h.
#include "ir/ops/interpreter.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "ir/ops/known_extents.h"

namespace ingot {

namespace {

constexpr int kMaxNesting = 64;  // of regions and composites

// Copies nodes into a scratch graph whose values carry the contents they have now.
class Interpretation {
 public:
  explicit Interpretation(const InterpreterOptions& o) : options_(o), start_(std::chrono::steady_clock::now()) {}

  Result<std::vector<HostValue>> graph(const Graph& g, std::vector<HostValue> inputs) {
    if (inputs.size() != g.body.inputs.size())
      return invalid("got {} inputs, expected {}", inputs.size(), g.body.inputs.size());
    k::Program program;
    Environment bound;
    for (const Value* v : g.body.inputs) program.inputs.push_back(program.add({-1, v->name, v->type, nullptr}));
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].kind == HostValue::Kind::None && g.body.inputs[i]->fallback)
        inputs[i] = HostValue::of(g.body.inputs[i]->fallback);
      TRY(bind_input(program, static_cast<int>(i), std::move(inputs[i]), bound));
      set(g.body.inputs[i], bound.values[program.inputs[i]]);
    }
    TRY(region(g.body));
    std::vector<HostValue> out;
    for (const Value* v : g.body.outputs) out.push_back(TRY(get(v)));
    return out;
  }

  Result<std::vector<HostValue>> node(const Node& n, const std::vector<HostValue>& inputs) {
    Graph scratch;
    Node copy;
    copy.def = n.def;
    copy.attrs = n.attrs;
    copy.name = n.name;
    copy.source = n.source;
    for (const HostValue& v : inputs)
      copy.inputs.push_back(v.kind == HostValue::Kind::None ? nullptr : placeholder(scratch, "in", v, {}));
    for (size_t i = 0; i < n.outputs.size(); ++i)
      copy.outputs.push_back(n.outputs[i] ? scratch.new_value("out") : nullptr);
    quiet_ = true;
    TRY(step(copy));
    std::vector<HostValue> out;
    for (const Value* v : copy.outputs) out.push_back(v ? TRY(get(v)) : HostValue{});
    return out;
  }

 private:
  void set(const Value* v, HostValue contents) { values_[v] = std::move(contents); }
  Result<HostValue> get(const Value* v) const {
    if (!v) return HostValue{};
    if (auto it = values_.find(v); it != values_.end()) return it->second;
    if (v->constant) return HostValue::of(v->constant);
    return invalid("value '{}' has no contents", v->name);
  }

  Result<void> check_time() const {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count() > options_.max_seconds)
      return limit_exceeded("the run takes longer than {} s", options_.max_seconds);
    return {};
  }
  EvaluateOptions remaining() const {
    EvaluateOptions o;
    o.max_seconds =
        options_.max_seconds - std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    o.max_bytes = options_.max_bytes;
    return o;
  }

  // Values of this region, per node: those that nothing reads after it.
  using Dead = std::vector<std::vector<const Value*>>;
  static void uses(const Region& r, std::set<const Value*>& out) {
    for (const auto& n : r.nodes) {
      out.insert(n->inputs.begin(), n->inputs.end());
      for (const auto& inner : n->regions) uses(*inner, out);
    }
    out.insert(r.outputs.begin(), r.outputs.end());
  }
  const Dead& dead_after(const Region& r) {
    auto [it, fresh] = dead_.try_emplace(&r);
    if (!fresh) return it->second;
    Dead dead(r.nodes.size());
    std::set<const Value*> live(r.outputs.begin(), r.outputs.end()), mine;
    for (const auto& n : r.nodes) mine.insert(n->outputs.begin(), n->outputs.end());
    for (size_t i = r.nodes.size(); i-- > 0;) {
      std::set<const Value*> used(r.nodes[i]->inputs.begin(), r.nodes[i]->inputs.end());
      for (const auto& inner : r.nodes[i]->regions) uses(*inner, used);
      used.insert(r.nodes[i]->outputs.begin(), r.nodes[i]->outputs.end());
      for (const Value* v : used)
        if (v && mine.count(v) && live.insert(v).second) dead[i].push_back(v);
    }
    return it->second = std::move(dead);
  }

  Result<void> region(const Region& r) {
    if (++depth_ > kMaxNesting) return limit_exceeded("regions are nested deeper than {}", kMaxNesting);
    const Dead& dead = dead_after(r);
    for (size_t i = 0; i < r.nodes.size(); ++i) {
      TRY(check_time());
      const Node& n = *r.nodes[i];
      auto done = step(n);
      if (!done) return describe(std::move(done.error()), n);
      if (options_.on_value && !quiet_)
        for (const Value* v : n.outputs)
          if (v) options_.on_value(v->name, values_[v]);
      for (const Value* v : dead[i]) values_.erase(v);
    }
    --depth_;
    return {};
  }

  Error describe(Error e, const Node& n) const {
    if (quiet_) return e;
    std::string types;
    for (const Value* v : n.inputs) {
      auto c = get(v);
      types +=
          (types.empty() ? "" : ", ") + (c && c->kind != HostValue::Kind::None ? c->type().str() : std::string("-"));
    }
    return std::move(e).context(fmt::format("in node '{}' ({}) with inputs {}", n.name,
                                            n.source.empty() ? std::string(n.op()) : n.source, types));
  }

  Result<void> step(const Node& n) {
    if (!n.def) return invalid("node '{}' has no definition", n.name);
    if (n.is("if")) return run_if(n);
    if (n.is("loop")) return run_loop(n);
    return n.def->expand ? composite(n) : primitive(n);
  }

  // A value of a scratch graph with these contents. `declared` fills in what empty sequences do not say.
  Value* placeholder(Graph& g, const std::string& name, const HostValue& v, const Type& declared) {
    Value* p = g.new_value(name, with_any_items(v.type()));
    const bool unknown =
        p->type.kind != Type::Kind::Tensor && (!p->type.element || p->type.element->kind == Type::Kind::None);
    if (unknown && declared.kind == p->type.kind) p->type = declared;
    if (v.is_tensor()) p->constant = v.tensor;
    set(p, v);
    return p;
  }

  // `n` with placeholders for its inputs, and copies of its regions in which outer values are placeholders too.
  Result<std::unique_ptr<Node>> scratch_node(Graph& g, const Node& n) {
    auto c = std::make_unique<Node>();
    c->def = n.def;
    c->attrs = n.attrs;
    c->name = n.name;
    c->source = n.source;
    for (const Value* v : n.inputs) c->inputs.push_back(v ? placeholder(g, v->name, TRY(get(v)), v->type) : nullptr);
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      c->outputs.push_back(n.outputs[i] ? g.new_value(n.outputs[i]->name) : nullptr);
      if (c->outputs[i]) {
        c->outputs[i]->producer = c.get();
        c->outputs[i]->output_index = static_cast<int>(i);
      }
    }
    std::map<const Value*, Value*> to;
    for (const auto& r : n.regions) c->regions.push_back(TRY(clone(g, *r, to)));
    return c;
  }

  Result<std::unique_ptr<Region>> clone(Graph& g, const Region& r, std::map<const Value*, Value*>& to) {
    if (++depth_ > kMaxNesting) return limit_exceeded("regions are nested deeper than {}", kMaxNesting);
    auto out = std::make_unique<Region>();
    auto copy = [&](const Value* v, Node* producer, int index) -> Value* {
      if (!v) return nullptr;
      Value* c = g.new_value(v->name, v->type);
      c->producer = producer;
      c->output_index = index;
      return to[v] = c;
    };
    auto use = [&](const Value* v) -> Result<Value*> {
      if (!v) return nullptr;
      if (auto it = to.find(v); it != to.end()) return it->second;
      return to[v] = placeholder(g, v->name, TRY(get(v)), v->type);
    };
    for (const Value* v : r.inputs) out->inputs.push_back(copy(v, nullptr, 0));
    for (const auto& n : r.nodes) {
      auto c = std::make_unique<Node>();
      c->def = n->def;
      c->attrs = n->attrs;
      c->name = n->name;
      c->source = n->source;
      for (const Value* v : n->inputs) c->inputs.push_back(TRY(use(v)));
      for (const auto& inner : n->regions) c->regions.push_back(TRY(clone(g, *inner, to)));
      for (size_t i = 0; i < n->outputs.size(); ++i)
        c->outputs.push_back(copy(n->outputs[i], c.get(), static_cast<int>(i)));
      out->nodes.push_back(std::move(c));
    }
    for (const Value* v : r.outputs) out->outputs.push_back(TRY(use(v)));
    --depth_;
    return out;
  }

  Result<void> primitive(const Node& n) {
    if (!n.def->define) return unsupported("no definition of '{}'", n.op());
    Graph g;
    auto c = TRY(scratch_node(g, n));
    k::Program program;
    Environment env;
    std::vector<int> ids;
    for (const Value* v : c->inputs) {
      if (!v) {
        ids.push_back(-1);
        continue;
      }
      ids.push_back(program.add({-1, v->name, v->type, v->constant}));
      env.values[ids.back()] = TRY(get(v));
    }
    for (const Value* v : c->inputs) values_.erase(v);
    Def def(program, program.body, *c, ids, -1);
    TRY(n.def->define(def));
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!n.outputs[i]) continue;
      if (i >= def.results().size() || def.results()[i] < 0)
        return unsupported("output {} is asked for, but not computed", i);
      program.body.outputs.push_back(def.results()[i]);
    }
    TRY(evaluate(program, env, remaining()));
    size_t next = 0;
    for (const Value* v : n.outputs) {
      if (!v) continue;
      const int id = program.body.outputs[next++];
      if (auto it = env.values.find(id); it != env.values.end()) set(v, it->second);
      else if (program.values[static_cast<size_t>(id)].constant)
        set(v, HostValue::of(program.values[static_cast<size_t>(id)].constant));
      else return invalid("output '{}' was not computed", v->name);
    }
    return {};
  }

  Result<void> composite(const Node& n) {
    Graph g;
    auto c = TRY(scratch_node(g, n));
    Expand expand(g, g.body, *c);
    if (auto done = n.def->expand(expand); !done) {
      // Expanding infers the body of a scan, also of one without iterations.
      if (!quiet_ && !n.regions.empty() && any_empty(n) && options_.on_nothing_collected)
        options_.on_nothing_collected(n);
      return std::move(done.error());
    }
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i] && (i >= expand.results().size() || !expand.results()[i]))
        return unsupported("output {} is asked for, but not computed", i);
      if (n.outputs[i]) g.body.outputs.push_back(expand.results()[i]);
    }
    const bool quiet = std::exchange(quiet_, true);
    if (!quiet) composite_ = n.regions.empty() ? nullptr : &n;
    TRY(region(g.body));
    quiet_ = quiet;
    size_t next = 0;
    for (const Value* v : n.outputs)
      if (v) set(v, TRY(get(g.body.outputs[next++])));
    for (const auto& v : g.values) values_.erase(v.get());
    forget(g.body);
    return {};
  }

  // Whether an input has no elements, or no items.
  bool any_empty(const Node& n) const {
    return std::any_of(n.inputs.begin(), n.inputs.end(), [&](const Value* v) {
      auto c = get(v);
      if (!c || c->kind == HostValue::Kind::None) return false;
      return c->is_tensor() ? c->tensor->elements() == 0 : c->items.empty();
    });
  }

  void forget(const Region& r) {
    dead_.erase(&r);
    for (const auto& n : r.nodes)
      for (const auto& inner : n->regions) forget(*inner);
  }

  Result<int64_t> scalar(const Value* v) const {
    const HostValue c = TRY(get(v));
    if (!c.is_tensor() || c.tensor->elements() != 1)
      return invalid("got {} for a condition or count, expected one element", c.type().str());
    return c.tensor->integer(0);
  }

  Result<void> run_if(const Node& n) {
    if (n.regions.size() != 2 || n.inputs.empty()) return invalid("got {} branches, expected 2", n.regions.size());
    const Region& r = *n.regions[TRY(scalar(n.inputs[0])) ? 0 : 1];
    if (r.outputs.size() < n.outputs.size())
      return invalid("got a branch with {} outputs, expected {}", r.outputs.size(), n.outputs.size());
    TRY(region(r));
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i]) set(n.outputs[i], TRY(get(r.outputs[i])));
    return {};
  }

  Result<void> run_loop(const Node& n) {
    if (n.regions.size() != 1 || n.inputs.size() < 2)
      return invalid("got {} bodies and {} inputs", n.regions.size(), n.inputs.size());
    const Region& r = *n.regions[0];
    const size_t carried = n.inputs.size() - 2;
    if (r.inputs.size() != carried + 2 || r.outputs.size() < carried + 1)
      return invalid("got a body with {} inputs and {} outputs for {} carried values", r.inputs.size(),
                     r.outputs.size(), carried);
    const size_t scanned = r.outputs.size() - carried - 1;
    const int64_t trips = n.inputs[0] ? TRY(scalar(n.inputs[0])) : INT64_MAX;
    bool condition = !n.inputs[1] || TRY(scalar(n.inputs[1])) != 0;
    std::vector<HostValue> state;
    for (size_t i = 0; i < carried; ++i) state.push_back(TRY(get(n.inputs[i + 2])));
    std::vector<std::vector<TensorRef>> parts(scanned);
    int64_t done = 0;
    for (; condition && done < trips; ++done) {
      if (done >= options_.max_iterations)
        return limit_exceeded("a loop exceeds {} iterations", options_.max_iterations);
      TRY(check_time());
      auto count = TensorData::make(DType::I64, std::vector<int64_t>(r.inputs[0]->type.tensor.dims.size(), 1));
      *count->mutable_as<int64_t>() = done;
      set(r.inputs[0], HostValue::of(std::move(count)));
      auto flag = TensorData::make(DType::Bool, std::vector<int64_t>(r.inputs[1]->type.tensor.dims.size(), 1));
      *flag->mutable_as<uint8_t>() = 1;
      set(r.inputs[1], HostValue::of(std::move(flag)));
      for (size_t i = 0; i < carried; ++i) set(r.inputs[i + 2], std::move(state[i]));
      TRY(region(r));
      condition = TRY(scalar(r.outputs[0])) != 0;
      for (size_t i = 0; i < carried; ++i) state[i] = TRY(get(r.outputs[i + 1]));
      for (size_t i = 0; i < scanned; ++i) {
        const HostValue v = TRY(get(r.outputs[i + 1 + carried]));
        if (!v.is_tensor()) return invalid("got {} as scanned output {}, expected a tensor", v.type().str(), i);
        parts[i].push_back(v.tensor);
      }
    }
    for (const Value* v : r.inputs) values_.erase(v);
    const Node* collects = quiet_ ? composite_ : &n;
    if (!done && scanned && collects && options_.on_nothing_collected) options_.on_nothing_collected(*collects);
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!n.outputs[i]) continue;
      if (i < carried) set(n.outputs[i], state[i]);
      else
        set(n.outputs[i], HostValue::of(TRY(stack_tensors(
                              parts[i - carried], done ? TensorType{} : TRY(element_type(n, i)), options_.max_bytes))));
    }
    return {};
  }

  // Of scanned output i of a loop without iterations: only inference can tell.
  Result<TensorType> element_type(const Node& n, size_t i) {
    Graph g;
    auto c = TRY(scratch_node(g, n));
    const Value* out = c->outputs[i];
    // Also those that stand for outer values: a value of a later scratch graph may get the address of one of them.
    for (const auto& v : g.values) values_.erase(v.get());
    TRY(append_inferred(g, g.body, std::move(c)));
    if (!out->type.is_tensor() || out->type.tensor.dims.empty())
      return invalid("got {} as scanned output {}, expected a tensor", out->type.str(), i);
    TensorType t = out->type.tensor;
    t.dims.erase(t.dims.begin());
    return t;
  }

  const InterpreterOptions& options_;
  std::chrono::steady_clock::time_point start_;
  std::map<const Value*, HostValue> values_;  // looked up only
  std::map<const Region*, Dead> dead_;        // looked up only
  int depth_ = 0;
  bool quiet_ = false;
  const Node* composite_ = nullptr;  // quiet: the model's node, where it has a body
};

}  // namespace

Result<std::vector<HostValue>> Interpreter::run(const Graph& g, std::vector<HostValue> inputs) {
  return Interpretation(options_).graph(g, std::move(inputs));
}

Result<std::vector<HostValue>> run_node(const Node& n, const std::vector<HostValue>& inputs,
                                        const InterpreterOptions& options) {
  return Interpretation(options).node(n, inputs);
}

}  // namespace ingot
