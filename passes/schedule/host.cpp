// K to L, begin and end. See host_program.h.
#include <algorithm>

#include "passes/kernels/passes.h"
#include "passes/schedule/host_program.h"
#include "passes/schedule/winograd.h"

namespace ingot {

Host::Host(k::Program p, const TargetFacts& facts, const ScheduleOptions& options)
    : p_(std::move(p)), facts_(facts), options_(options) {}

Result<l::Program> Host::run() {
  own_outputs();
  model_values_ = static_cast<int>(p_.values.size());
  storages_ = choose_storage(p_);
  TRY(check_sizes());
  put_together_ = choose_windows(p_, storages_);
  choose_winograd();
  out_.name = p_.name;
  out_.origins = p_.origins;
  begin_weights();
  for (size_t k = 0; k < p_.inputs.size(); ++k) {
    const k::Value& v = value(p_.inputs[k]);
    if (!v.type.is_tensor()) {
      out_.inputs.push_back({v.name, DType::Invalid, {}});
      l::HostBuffer object{l::HostBuffer::Kind::Input, v.name, DType::Invalid};
      object.index = static_cast<int>(k);
      bind(v.id, std::move(object));
      continue;
    }
    TensorType port = v.interface.value_or(v.tensor());
    out_.inputs.push_back({v.name, port.dtype, port.dims});
    l::HostBuffer b{l::HostBuffer::Kind::Input, v.name, storage_dtype(v.tensor().dtype)};
    b.index = static_cast<int>(k);
    b.dims = v.tensor().dims;
    bind(v.id, std::move(b));
    for (const Dim& d : v.tensor().dims) collect_symbols(d, entry_symbols_);
  }
  for (size_t k = 0; k < p_.body.outputs.size(); ++k) {
    const k::Value& v = value(p_.body.outputs[k]);
    if (!v.type.is_tensor()) {
      out_.outputs.push_back({v.name, DType::Invalid, {}});
      continue;
    }
    TensorType port = v.interface.value_or(v.tensor());
    out_.outputs.push_back({v.name, port.dtype, port.dims});
    outputs_.emplace(v.id, static_cast<int>(k));
  }
  host_ = &out_.host;
  TRY(block(p_.body));
  group(out_.host);
  give_objects();
  // Tables of strings are made before anything else: first uses may lie in branches and loops.
  out_.host.insert(out_.host.begin(), std::make_move_iterator(tables_.begin()), std::make_move_iterator(tables_.end()));
  place_in_arena();
  fill_weights();
  return std::move(out_);
}

// Every output is made by a map or reduction of the outermost block, and is nothing else.
void Host::own_outputs() {
  std::set<int> taken(p_.inputs.begin(), p_.inputs.end());
  std::set<int> computed;
  for (const k::Stage& s : p_.body.stages) {
    if (s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce)
      computed.insert(s.results.begin(), s.results.end());
  }
  for (int& id : p_.body.outputs) {
    if (!value(id).type.is_tensor()) continue;
    if (computed.count(id) && taken.insert(id).second) continue;
    k::Value own = value(id);
    own.constant = nullptr;
    const int to = p_.add(std::move(own));
    p_.body.stages.push_back(elementwise(p_, id, to));
    id = to;
  }
}

void Host::give_objects() {
  for (size_t k = 0; k < p_.body.outputs.size(); ++k) {
    const int id = p_.body.outputs[k];
    if (value(id).type.is_tensor()) continue;
    l::HostBuffer out{l::HostBuffer::Kind::Output, value(id).name, DType::Invalid};
    out.index = static_cast<int>(k);
    const int from = buffer(id);
    out_.buffers.push_back(std::move(out));
    assign(from, static_cast<int>(out_.buffers.size()) - 1);
  }
}

// A product of long extents may outgrow what a Dim can say (ir/dim.h); then it holds a symbol that no extent has.
Result<void> Host::check_sizes() const {
  std::map<int64_t, Symbol> known;
  for (const k::Value& v : p_.values) {
    if (!v.type.is_tensor()) continue;
    for (const Dim& d : v.tensor().dims) collect_symbols(d, known);
  }
  auto all_known = [&](const Dim& d) {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    return std::all_of(used.begin(), used.end(), [&](auto& entry) { return known.count(entry.first) > 0; });
  };
  auto too_long = [](const std::string& what) {
    return unsupported(
        "got a value '{}' whose size is too long an expression of the model's extents, expected a shorter one", what);
  };
  for (const k::Value& v : p_.values) {
    if (!v.type.is_tensor()) continue;
    const Storage& s = storage(v.id);
    if (!all_known(s.elements) || !std::all_of(s.strides.begin(), s.strides.end(), all_known)) return too_long(v.name);
  }
  std::function<Result<void>(const k::Block&)> stages = [&](const k::Block& b) -> Result<void> {
    for (const k::Stage& s : b.stages) {
      for (const k::Block& inner : s.blocks) TRY(stages(inner));
      for (const auto* iters : {&s.iters, &s.reds}) {
        for (const k::Iter& it : *iters) collect_symbols(it.extent, known);
      }
      if (!s.results.empty() && (!all_known(elements(s.iters)) || !all_known(elements(s.reds))))
        return too_long(value(s.results[0]).name);
    }
    return {};
  };
  TRY(stages(p_.body));
  return {};
}

// The convolutions that gain most per byte of additional weights, as long as these stay within the limit.
void Host::choose_winograd() {
  if (!options_.winograd) return;
  struct Candidate {
    int result;
    std::vector<WinogradChoice> choices;
  };
  std::vector<Candidate> candidates;
  for_each_stage(p_.body, [&](const k::Stage& s) {
    auto choices = winograd_choices(s, p_, storages_, facts_);
    if (!choices.empty()) candidates.push_back({s.results[0], std::move(choices)});
  });
  auto worth = [](const Candidate& c) { return c.choices[0].saved / static_cast<double>(c.choices[0].extra_bytes); };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const Candidate& a, const Candidate& b) { return worth(a) > worth(b); });
  double weights = 0;
  for (const k::Value& v : p_.values) weights += v.constant ? static_cast<double>(v.constant->size_bytes) : 0;
  double left = weights * options_.extra_weights + static_cast<double>(options_.extra_bytes);
  for (const Candidate& c : candidates) {
    for (const WinogradChoice& choice : c.choices) {
      if (static_cast<double>(choice.extra_bytes) > left) continue;
      left -= static_cast<double>(choice.extra_bytes);
      winograd_.emplace(c.result, choice.m);
      break;
    }
  }
}

Result<l::Program> schedule(k::Program program, const TargetFacts& facts, const ScheduleOptions& options) {
  return Host(std::move(program), facts, options).run();
}

}  // namespace ingot
