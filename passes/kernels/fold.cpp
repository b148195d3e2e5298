// A stage whose operands are all constants is evaluated now, by the interpreter, with a bound on what it may make.
#include <algorithm>
#include <cstdint>

#include "ir/ops/evaluate.h"
#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int64_t kMaxFoldedBytes = 64 << 20;  // of one result; larger ones are computed at run time
inline constexpr int64_t kSmallBytes = 64 << 10;      // results up to this are always stored
// Steps of all folding in a program: a few seconds of the interpreter, and more where there are weights to go through.
// Counted and not timed, so that the same model gives the same bytes on any machine.
inline constexpr int64_t kMaxFoldedSteps = int64_t{1} << 28;
inline constexpr int64_t kFoldedStepsPerByte = 16;  // of constants

int64_t steps_of(const k::Stage& s) {
  int64_t steps = 1;
  for (const auto* iters : {&s.iters, &s.reds}) {
    for (const k::Iter& it : *iters) {
      if (__builtin_mul_overflow(steps, std::max<int64_t>(1, it.extent.value()), &steps)) return INT64_MAX;
    }
  }
  return steps;
}

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

class Folding {
 public:
  explicit Folding(k::Program& p) : p_(p), contracted_(p.values.size(), false) {
    for (const k::Value& v : p.values) {
      if (v.constant) steps_left_ += std::min<int64_t>(v.constant->size_bytes, kDimMax / 64) * kFoldedStepsPerByte;
    }
    for_each_stage(p.body, [&](const k::Stage& s) {
      if (!is_contraction(s)) return;
      for (int id : k::reads(s)) contracted_[static_cast<size_t>(id)] = true;
    });
  }

  // `nested`: it may never run, so that what cannot be computed is left for a run to report.
  Result<void> block(k::Block& b, bool nested) {
    std::vector<k::Stage> kept;
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) TRY(block(inner, true));
      bool folded = false;
      if (folds(s)) {
        steps_left_ -= steps_of(s);
        auto done = fold(s);
        if (!done && !nested) return std::move(done.error());
        folded = static_cast<bool>(done);
      }
      if (!folded) kept.push_back(std::move(s));
    }
    b.stages = std::move(kept);
    return {};
  }

 private:
  bool folds(const k::Stage& s) const {
    bool simple = s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce || s.kind == k::StageKind::Scan ||
                  s.kind == k::StageKind::Scatter;
    if (!simple || depends_on_symbols(s) || steps_of(s) > steps_left_) return false;
    int64_t in_bytes = 0, out_bytes = 0;
    for (int id : k::reads(s)) {
      if (id < 0) continue;
      const k::Value& v = p_.values[static_cast<size_t>(id)];
      if (!v.constant) return false;
      in_bytes += v.constant->size_bytes;
    }
    bool contracted = false;
    for (int id : s.results) {
      const TensorType& t = p_.values[static_cast<size_t>(id)].tensor();
      if (!t.is_static() || t.dtype == DType::String) return false;
      out_bytes += storage_bytes(t.dtype, t.elements());
      contracted |= contracted_[static_cast<size_t>(id)];
    }
    if (out_bytes <= kSmallBytes) return true;
    if (out_bytes > kMaxFoldedBytes) return false;
    // A plain access is folded into its reader. A large value made of a small one is cheaper to make again than to store,
    // unless it is packed for a contraction anyway.
    bool access = s.kind == k::StageKind::Map && s.body[0].is(ScalarOp::Read) && !s.body[0]->checked;
    return !access && (contracted || out_bytes <= 2 * in_bytes);
  }

  Result<void> fold(const k::Stage& s) {
    std::vector<TensorRef> made = TRY(evaluate_stage(s, p_));
    for (size_t k = 0; k < s.results.size(); ++k)
      p_.values[static_cast<size_t>(s.results[k])].constant = std::move(made[k]);
    return {};
  }

  k::Program& p_;
  int64_t steps_left_ = kMaxFoldedSteps;
  std::vector<bool> contracted_;  // by value: read by a contraction
};

}  // namespace

Result<void> fold_constants(k::Program& p) { return Folding(p).block(p.body, false); }

}  // namespace ingot
