#include "ir/ops/evaluate.h"
#include "passes/kernels/passes.h"

namespace ingot {

// The stage runs in a program of its own, which holds the constants it reads under other ids and nothing else of `p`.
Result<TensorRef> evaluate_stage(const k::Stage& stage, const k::Program& p, const EvaluateOptions& options) {
  k::Program alone;
  k::Stage s = stage;
  std::map<int64_t, int64_t> ids;
  for (Expr& body : s.body) {
    body = rewrite(body, [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read) return Expr();
      auto [it, fresh] = ids.try_emplace(n.id, 0);
      if (fresh) it->second = alone.add(p.values[static_cast<size_t>(n.id)]);
      ExprNode copy = n;
      copy.id = it->second;
      return Expr(std::make_shared<const ExprNode>(std::move(copy)));
    });
  }
  k::Value out;
  out.name = "result";
  TensorType t{s.body[0].type(), {}};
  for (const k::Iter& it : s.iters) t.dims.push_back(it.extent);
  out.type = Type::of(std::move(t));
  const int id = alone.add(std::move(out));
  s.results = {id};
  alone.body.stages.push_back(std::move(s));
  alone.body.outputs = {id};
  return TRY(run_program(alone, {}, options))[0].tensor;
}

}  // namespace ingot
