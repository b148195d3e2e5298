// A stage whose operands are all constants is evaluated now, by the interpreter, with a bound on what it may make.
#include "ir/ops/evaluate.h"
#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int64_t kMaxFoldedBytes = 64 << 20;  // of one result; larger ones are computed at run time
inline constexpr double kMaxFoldSeconds = 20;         // of all folding in a program

bool depends_on_symbols(const k::Stage& s) {
  std::map<int64_t, Symbol> used;
  auto expr = [&](const Expr& e) {
    if (e) visit(e, [&](const ExprNode& n) { collect_symbols(n.dim, used); });
  };
  for (const auto* list : {&s.body, &s.targets, &s.init}) {
    for (const Expr& e : *list) expr(e);
  }
  expr(s.condition);
  for (const auto* iters : {&s.iters, &s.reds}) {
    for (const k::Iter& it : *iters) {
      if (!it.extent.is_constant()) return true;
      used.erase(it.symbol->id);
    }
  }
  return !used.empty();
}

}  // namespace

Result<void> fold_constants(k::Program& p) {
  EvaluateOptions options;
  options.max_seconds = kMaxFoldSeconds;
  std::vector<k::Stage> kept;
  for (k::Stage& s : p.body.stages) {
    bool simple = s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce || s.kind == k::StageKind::Scan ||
                  s.kind == k::StageKind::Scatter;
    bool constant = simple && !depends_on_symbols(s);
    int64_t in_bytes = 0;
    for (int id : k::reads(s)) {
      if (id < 0) continue;
      const k::Value& v = p.values[static_cast<size_t>(id)];
      constant = constant && v.constant;
      if (v.constant) in_bytes += v.constant->size_bytes;
    }
    int64_t out_bytes = 0;
    for (int id : s.results) {
      const TensorType& t = p.values[static_cast<size_t>(id)].tensor();
      constant = constant && t.is_static() && t.dtype != DType::String;
      if (constant) out_bytes += storage_bytes(t.dtype, t.elements());
    }
    // A large value made of a small one is cheaper to make again than to store; a plain access is folded into its reader.
    if (!constant || out_bytes > kMaxFoldedBytes || (out_bytes > 65536 && out_bytes > 2 * in_bytes)) {
      kept.push_back(std::move(s));
      continue;
    }
    bool access = s.kind == k::StageKind::Map && s.body[0].is(ScalarOp::Read) && out_bytes > 65536;
    if (access) {
      kept.push_back(std::move(s));
      continue;
    }
    k::Program one;
    one.values = p.values;
    one.body.stages.push_back(s);
    one.body.outputs = s.results;
    std::vector<HostValue> made = TRY(run_program(one, {}, options));
    for (size_t k = 0; k < s.results.size(); ++k) p.values[static_cast<size_t>(s.results[k])].constant = made[k].tensor;
  }
  p.body.stages = std::move(kept);
  return {};
}

}  // namespace ingot
