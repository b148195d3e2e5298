#include "ir/ops/evaluate.h"
#include "passes/kernels/passes.h"

namespace ingot {

// The stage runs in a program of its own, which holds the constants it reads under other ids and nothing else of `p`.
Result<std::vector<TensorRef>> evaluate_stage(k::Stage s, const k::Program& p) {
  k::Program alone;
  std::map<int, int> ids;
  rename_reads(s, [&](int id) {
    auto [it, fresh] = ids.try_emplace(id, 0);
    if (fresh) it->second = alone.add(p.values[static_cast<size_t>(id)]);
    return it->second;
  });
  for (int& id : s.results) id = alone.add(p.values[static_cast<size_t>(id)]);
  if (s.results.empty()) {
    k::Value out;
    TensorType t{s.body[0].type(), {}};
    for (const k::Iter& it : s.iters) t.dims.push_back(it.extent);
    out.type = Type::of(std::move(t));
    s.results = {alone.add(std::move(out))};
  }
  alone.body.outputs = s.results;
  alone.body.stages.push_back(std::move(s));
  std::vector<TensorRef> made;
  for (HostValue& v : TRY(run_program(alone, {}))) made.push_back(std::move(v.tensor));
  return made;
}

}  // namespace ingot
