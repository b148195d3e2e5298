// The control of an evaluation: stages in order, blocks, If, Loop, and what lives how long. See evaluate.h.
#include "ir/ops/evaluate.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "ir/ops/eval_call.h"
#include "ir/ops/eval_stage.h"

namespace ingot {

namespace {

using eval::Budget;

// Bytes of a bool tensor that are neither 0 nor 1, from a stranger's file, would give other results in other places.
TensorRef normalised(const TensorRef& t) {
  if (t->dtype != DType::Bool || std::all_of(t->bytes, t->bytes + t->size_bytes, [](uint8_t b) { return b <= 1; }))
    return t;
  auto copy = TensorData::make(DType::Bool, t->dims);
  for (int64_t i = 0; i < t->size_bytes; ++i) copy->mutable_bytes()[i] = t->bytes[i] != 0;
  return copy;
}

class Evaluation {
 public:
  Evaluation(const k::Program& p, Environment& e, const EvaluateOptions& o) : p_(p), env_(e), options_(o), budget_(o) {}

  Result<void> block(const k::Block& b) {
    const auto& dead = dead_after(b);
    for (size_t i = 0; i < b.stages.size(); ++i) {
      auto r = stage(b.stages[i]);
      if (!r) return context(std::move(r.error()), b.stages[i]);
      if (!options_.keep_all)
        for (int id : dead[i]) env_.values.erase(id);
    }
    return {};
  }

 private:
  Error context(Error e, const k::Stage& s) const {
    if (s.node < 0 || s.node >= static_cast<int>(p_.origins.size())) return e;
    return std::move(e).context(fmt::format("in node '{}'", p_.origins[static_cast<size_t>(s.node)]));
  }

  // Per stage, the values of this block that nothing reads afterwards.
  const std::vector<std::vector<int>>& dead_after(const k::Block& b) {
    auto [it, fresh] = dead_.try_emplace(&b);
    if (!fresh) return it->second;
    std::vector<std::vector<int>> dead(b.stages.size());
    std::set<int> live(b.outputs.begin(), b.outputs.end()), mine;
    for (const k::Stage& s : b.stages) mine.insert(s.results.begin(), s.results.end());
    for (size_t i = b.stages.size(); i-- > 0;) {
      for (const auto& ids : {k::reads(b.stages[i]), b.stages[i].results})
        for (int id : ids)
          if (id >= 0 && mine.count(id) && live.insert(id).second) dead[i].push_back(id);
    }
    return it->second = std::move(dead);
  }

  Result<HostValue> value(int id) {
    if (id < 0) return HostValue{};
    if (auto it = env_.values.find(id); it != env_.values.end()) return it->second;
    if (id < static_cast<int>(p_.values.size()) && p_.values[static_cast<size_t>(id)].constant)
      return HostValue::of(p_.values[static_cast<size_t>(id)].constant);
    return invalid("value {} has no contents", id);
  }
  const TensorData* tensor(int64_t id) {
    if (auto it = env_.values.find(static_cast<int>(id)); it != env_.values.end()) return it->second.tensor.get();
    if (id < 0 || id >= static_cast<int64_t>(p_.values.size())) return nullptr;
    return p_.values[static_cast<size_t>(id)].constant.get();
  }
  Result<int64_t> scalar(int id) {
    const TensorData* t = tensor(id);
    if (!t || t->elements() != 1) return invalid("got a condition or count that is not one element");
    return t->integer(0);
  }
  Result<int64_t> dim(const Dim& d) {
    const auto v = ingot::evaluate(d, env_.symbols);
    if (!v) return invalid("extent {} is not known", d.str());
    return *v;
  }
  Result<void> stage(const k::Stage& s) {
    TRY(budget_.check_time());
    switch (s.kind) {
      case k::StageKind::Map:
      case k::StageKind::Reduce:
      case k::StageKind::Scan:
      case k::StageKind::Scatter:
      case k::StageKind::Walk: {
        auto results = TRY(eval::run_stage(s, [this](int64_t id) { return tensor(id); }, env_.symbols, budget_));
        for (size_t i = 0; i < s.results.size() && i < results.size(); ++i)
          if (s.results[i] >= 0) env_.values[s.results[i]] = HostValue::of(std::move(results[i]));
        return {};
      }
      case k::StageKind::Call: return call(s);
      case k::StageKind::Read: return read(s);
      case k::StageKind::Check: {
        if (TRY(dim(s.condition_dim)) != 0) return {};
        if (s.got) return invalid("got {}, expected {}", TRY(dim(*s.got)), s.message);
        return invalid("{}", s.message);
      }
      case k::StageKind::If: return branch(s);
      case k::StageKind::Loop: return loop(s);
    }
    return {};
  }

  Result<void> call(const k::Stage& s) {
    std::vector<HostValue> operands;
    for (int id : s.operands) operands.push_back(TRY(value(id)));
    std::vector<Type> types;
    for (int id : s.results) types.push_back(id < 0 ? Type{} : p_.values[static_cast<size_t>(id)].type);
    auto results = TRY(eval::run_call(s, operands, types, env_.symbols, budget_));
    for (size_t i = 0; i < s.results.size(); ++i)
      if (s.results[i] >= 0) env_.values[s.results[i]] = std::move(results[i]);
    return {};
  }

  Result<void> read(const k::Stage& s) {
    const TensorData* t = s.operands.empty() ? nullptr : tensor(s.operands[0]);
    if (!t) return invalid("a read has no operand");
    for (size_t i = 0; i < s.symbols.size(); ++i) {
      if (s.elements[i] < 0 || s.elements[i] >= t->elements())
        return invalid("index {} out of range [0, {})", s.elements[i], t->elements());
      const int64_t v = t->integer(s.elements[i]);
      const SymbolInfo& symbol = *s.symbols[i];
      if (v < symbol.lo || v > symbol.hi)
        return invalid("got {} for '{}', expected a value in [{}, {}]", v, symbol.name, symbol.lo, symbol.hi);
      env_.symbols[symbol.id] = v;
    }
    return {};
  }

  Result<void> bind_symbols(const std::vector<Symbol>& symbols, const std::vector<Dim>& values) {
    std::vector<int64_t> numbers;
    for (const Dim& d : values) numbers.push_back(TRY(dim(d)));
    for (size_t i = 0; i < numbers.size() && i < symbols.size(); ++i) env_.symbols[symbols[i]->id] = numbers[i];
    return {};
  }

  Result<void> branch(const k::Stage& s) {
    const k::Block& b = s.blocks[TRY(scalar(s.operands[0])) ? 0 : 1];
    TRY(block(b));
    std::vector<HostValue> outputs;
    for (int id : b.outputs) outputs.push_back(TRY(value(id)));
    TRY(bind_symbols(s.symbols, b.symbols));
    for (size_t i = 0; i < s.results.size(); ++i)
      if (s.results[i] >= 0) env_.values[s.results[i]] = std::move(outputs[i]);
    return {};
  }

  Result<void> loop(const k::Stage& s) {
    const k::Block& b = s.blocks[0];
    const size_t carried = s.operands.size() - 2, scanned = s.results.size() - carried;
    const int64_t trips = s.operands[0] >= 0 ? TRY(scalar(s.operands[0])) : INT64_MAX;
    bool condition = s.operands[1] < 0 || TRY(scalar(s.operands[1])) != 0;
    std::vector<HostValue> state;
    for (size_t i = 0; i < carried; ++i) state.push_back(TRY(value(s.operands[i + 2])));
    std::vector<std::vector<TensorRef>> parts(scanned);
    std::vector<int64_t> extents;
    for (const Dim& d : s.symbol_init) extents.push_back(TRY(dim(d)));
    int64_t iteration = 0;
    for (; condition && iteration < trips; ++iteration) {
      TRY(budget_.check_time());
      for (size_t i = 0; i < extents.size(); ++i) env_.symbols[s.carried_symbols[i]->id] = extents[i];
      auto count = TensorData::make(DType::I64, {});
      *count->mutable_as<int64_t>() = iteration;
      env_.values[b.params[0]] = HostValue::of(std::move(count));
      auto flag = TensorData::make(DType::Bool, {});
      *flag->mutable_as<uint8_t>() = 1;
      env_.values[b.params[1]] = HostValue::of(std::move(flag));
      for (size_t i = 0; i < carried; ++i) env_.values[b.params[i + 2]] = std::move(state[i]);
      TRY(block(b));
      condition = b.outputs[0] < 0 || TRY(scalar(b.outputs[0])) != 0;
      for (size_t i = 0; i < carried; ++i) state[i] = TRY(value(b.outputs[i + 1]));
      for (size_t i = 0; i < scanned; ++i) {
        const HostValue v = TRY(value(b.outputs[i + 1 + carried]));
        if (!v.is_tensor()) return invalid("a loop can only collect tensors");
        parts[i].push_back(v.tensor);
      }
      std::vector<int64_t> next;
      for (const Dim& d : b.symbols) next.push_back(TRY(dim(d)));
      extents = std::move(next);
    }
    for (int id : b.params) env_.values.erase(id);
    for (size_t i = 0; i < extents.size() && i < s.symbols.size(); ++i) env_.symbols[s.symbols[i]->id] = extents[i];
    if (s.symbols.size() > extents.size()) env_.symbols[s.symbols.back()->id] = iteration;
    for (size_t i = 0; i < carried; ++i)
      if (s.results[i] >= 0) env_.values[s.results[i]] = std::move(state[i]);
    for (size_t i = 0; i < scanned; ++i)
      if (const int id = s.results[carried + i]; id >= 0) {
        TensorType element = p_.values[static_cast<size_t>(id)].type.tensor;
        if (!element.dims.empty()) element.dims.erase(element.dims.begin());
        for (Dim& d : element.dims) d = ingot::evaluate(d, env_.symbols).value_or(0);
        env_.values[id] = HostValue::of(TRY(stack_tensors(parts[i], element, options_.max_bytes)));
      }
    return {};
  }

  const k::Program& p_;
  Environment& env_;
  const EvaluateOptions& options_;
  Budget budget_;
  std::map<const k::Block*, std::vector<std::vector<int>>> dead_;  // looked up only
};

}  // namespace

Result<TensorRef> stack_tensors(const std::vector<TensorRef>& parts, const TensorType& element, int64_t max_bytes) {
  const DType t = parts.empty() ? element.dtype : parts[0]->dtype;
  std::vector<int64_t> shape{static_cast<int64_t>(parts.size())};
  if (parts.empty()) {
    for (const Dim& d : element.dims) shape.push_back(std::max<int64_t>(0, d.is_constant() ? d.value() : 0));
  } else {
    shape.insert(shape.end(), parts[0]->dims.begin(), parts[0]->dims.end());
  }
  const int64_t each = parts.empty() ? 0 : parts[0]->elements();
  if (each > 0 && static_cast<int64_t>(parts.size()) > max_bytes / each)
    return limit_exceeded("the outputs of a loop need more than {} bytes", max_bytes);
  auto out = TensorData::make(t, shape);
  std::vector<uint8_t> registers(static_cast<size_t>(eval::kEvalChunk * eval::register_bytes(t)));
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i]->dims != parts[0]->dims || parts[i]->dtype != t)
      return invalid("iteration {} of a loop gives {}, expected {}", i, parts[i]->type().str(), parts[0]->type().str());
    for (int64_t at = 0; at < each; at += eval::kEvalChunk) {
      const int64_t n = std::min(eval::kEvalChunk, each - at);
      eval::load_strided(registers.data(), *parts[i], at, 1, n);
      eval::store_strided(*out, static_cast<int64_t>(i) * each + at, 1, registers.data(), n);
    }
  }
  return TensorRef(std::move(out));
}

Result<void> bind_input(const k::Program& p, int index, HostValue v, Environment& env) {
  if (index < 0 || index >= static_cast<int>(p.inputs.size()))
    return invalid("got input {}, expected less than {}", index, p.inputs.size());
  const k::Value& decl = p.values[static_cast<size_t>(p.inputs[static_cast<size_t>(index)])];
  auto fail = [&](const std::string& got) {
    return invalid("got {} for input '{}', expected {}", got, decl.name, decl.type.str());
  };
  if (decl.type.is_tensor()) {
    if (!v.is_tensor() || !v.tensor) return fail("no tensor");
    const TensorType& t = decl.tensor();
    if (v.tensor->dtype != t.dtype || v.tensor->dims.size() != t.dims.size()) return fail(v.tensor->type().str());
    // Single symbols first: they bind; the other dims are then checked.
    for (size_t d = 0; d < t.dims.size(); ++d)
      if (auto s = t.dims[d].as_symbol()) {
        const int64_t n = v.tensor->dims[d];
        if (auto [it, fresh] = env.symbols.try_emplace((*s)->id, n); !fresh && it->second != n)
          return fail(v.tensor->type().str());
        if (n < (*s)->lo || n > (*s)->hi) return fail(v.tensor->type().str());
      }
    for (size_t d = 0; d < t.dims.size(); ++d)
      if (auto n = evaluate(t.dims[d], env.symbols); n && *n != v.tensor->dims[d]) return fail(v.tensor->type().str());
    v.tensor = normalised(v.tensor);
  }
  env.values[decl.id] = std::move(v);
  return {};
}

Result<void> evaluate(const k::Program& p, Environment& env, const EvaluateOptions& options) {
  return Evaluation(p, env, options).block(p.body);
}

Result<std::vector<HostValue>> run_program(const k::Program& p, std::vector<HostValue> inputs,
                                           const EvaluateOptions& options) {
  if (inputs.size() != p.inputs.size()) return invalid("got {} inputs, expected {}", inputs.size(), p.inputs.size());
  Environment env;
  for (size_t i = 0; i < inputs.size(); ++i) TRY(bind_input(p, static_cast<int>(i), std::move(inputs[i]), env));
  TRY(evaluate(p, env, options));
  std::vector<HostValue> out;
  for (int id : p.body.outputs) {
    if (auto it = env.values.find(id); it != env.values.end()) out.push_back(it->second);
    else if (id >= 0 && p.values[static_cast<size_t>(id)].constant)
      out.push_back(HostValue::of(p.values[static_cast<size_t>(id)].constant));
    else return invalid("output {} was not computed", id);
  }
  return out;
}

}  // namespace ingot
