// sum(r) a*b  ->  sum(r) f32(bf16(a)) * f32(bf16(b))       both operands: where the target multiplies bf16 (or f16) faster
//             ->  sum(r) a * f32(bf16(w))                  constants only: few rows, where reading w is what takes time
//
// What `--precision` asks for, said in K: the operands of f32 sums of products are rounded to 16 bits, products and sums stay
// f32, and so does everything between such sums: norms, softmax, other reductions. A value that only such sums read is made
// in 16 bits by its own stage, in registers, and takes half the memory; beside other readers it gets a copy. Constants are
// rounded where they are packed.
//
// A product with up to kFewRows rows reads each weight once or a few times: half the bytes are up to twice the speed, on any
// machine that can widen them. With more rows the multiplications are what takes time; then both operands are lowered where
// the target has arithmetic for it (TargetFacts), and none otherwise: rounding would gain nothing.
//
// In f32 stay: the last sums before an output (logits; an error there is the error of the result), unless asked for; sums too
// short, weights too small, columns too few to gain; f16 weights outside of its range; convolutions that Winograd's algorithm
// makes cheaper than 16 bits would.
#include <algorithm>
#include <cmath>
#include <functional>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

inline constexpr int64_t kFewRows = 8;  // a product with weights from L3 takes as long for 8 rows as for one
inline constexpr int64_t kLeastWeights = 16384;  // elements; fewer stay in the L1 cache anyway
inline constexpr int64_t kLeastColumns = 16;
inline constexpr int64_t kLeastTerms = 16;  // of a sum whose operands are both lowered
inline constexpr double kLargestF16 = 65504;

Dim product_of(const std::vector<k::Iter>& iters, const std::function<bool(const k::Iter&)>& counted) {
  Dim d = 1;
  for (const k::Iter& it : iters)
    if (counted(it)) d *= it.extent;
  return d;
}

bool uses(const Expr& e, const Symbol& s) {
  bool found = false;
  visit(e, [&](const ExprNode& n) { found |= n.op == ScalarOp::Index && depends_on(n.dim, s); });
  return found;
}

class Lowering {
 public:
  Lowering(k::Program& p, const TargetFacts& facts, const Precision& to) : p_(p), facts_(facts), to_(to) {}

  PrecisionSummary run() {
    summary_.type = to_.type;
    summary_.how = to_.type == DType::F16 ? "" : facts_.amx_bf16 ? "AMX" : "";
    find_followed();
    others_.assign(p_.values.size(), false);
    wanted_.assign(p_.values.size(), false);
    lower_block(p_.body);
    for (int id : p_.body.outputs) others_[static_cast<size_t>(id)] = true;
    make_block(p_.body, p_.inputs);
    remove_copies_and_dead(p_);
    return std::move(summary_);
  }

 private:
  // --- which sums are the last ones -------------------------------------------------------------------------------------

  // Marks every value that some sum of products depends on.
  void find_followed() {
    followed_.assign(p_.values.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      follow(p_.body, changed);
    }
  }

  void mark(int id, bool& changed) {
    if (id < 0 || followed_[static_cast<size_t>(id)]) return;
    followed_[static_cast<size_t>(id)] = changed = true;
  }

  void follow(const k::Block& b, bool& changed) {
    for (size_t k = b.stages.size(); k-- > 0;) {
      const k::Stage& s = b.stages[k];
      bool needed = is_contraction(s);
      for (int id : s.results) needed |= id >= 0 && followed_[static_cast<size_t>(id)];
      // What a sum in a loop reads may come from the iteration before.
      bool carried = needed;
      for (const k::Block& inner : s.blocks) {
        for (int id : inner.params) carried |= followed_[static_cast<size_t>(id)];
        if (carried) {
          for (int id : inner.outputs) mark(id, changed);
        }
        follow(inner, changed);
      }
      if (carried) {
        for (int id : s.operands) mark(id, changed);
      }
      if (needed && s.blocks.empty()) {
        for (int id : k::reads(s)) mark(id, changed);
      }
    }
  }

  // --- what becomes of a sum --------------------------------------------------------------------------------------------

  bool all_constant(const Expr& e) const {
    bool constant = true;
    visit(e, [&](const ExprNode& n) {
      constant &= n.op != ScalarOp::Read || p_.values[static_cast<size_t>(n.id)].constant != nullptr;
    });
    return constant;
  }

  static const ExprNode* plain_read(const Expr& e) { return e.is(ScalarOp::Read) ? e.get() : nullptr; }

  bool fits(const Expr& constant) const {
    if (to_.type != DType::F16) return true;
    bool fit = true;
    visit(constant, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Const) fit &= !(std::fabs(n.number) > kLargestF16);
      if (n.op != ScalarOp::Read) return;
      const TensorRef& t = p_.values[static_cast<size_t>(n.id)].constant;
      for (int64_t k = 0; fit && is_float(t->dtype) && k < t->elements(); ++k)
        fit = !(std::fabs(t->number(k)) > kLargestF16);
    });
    return fit;
  }

  bool has_arithmetic() const { return to_.type == DType::F16 ? facts_.f16_fma : facts_.bf16_dot || facts_.amx_bf16; }
  bool can_widen() const { return to_.type == DType::BF16 || facts_.f16_convert; }

  enum class Form { Kept, Weights, Both };

  // Why a sum stays in f32, in `reason`.
  Form form_of(const k::Stage& s, std::string& reason) const {
    auto kept = [&](std::string_view why) {
      reason = why;
      return Form::Kept;
    };
    if (facts_.device == TargetFacts::Device::OpenCl) return kept("OpenCL");
    if (!to_.logits && !followed_[static_cast<size_t>(s.results[0])]) return kept("logits");
    Expr a = s.body[0]->args[0], b = s.body[0]->args[1];
    bool a_constant = all_constant(a), b_constant = all_constant(b);
    if (a_constant) std::swap(a, b), std::swap(a_constant, b_constant);
    const Dim rows = product_of(s.iters, [&](const k::Iter& it) { return uses(a, it.symbol) && !uses(b, it.symbol); });
    const Dim columns =
        product_of(s.iters, [&](const k::Iter& it) { return uses(b, it.symbol) && !uses(a, it.symbol); });
    const int64_t terms = product_of(s.reds, [](const k::Iter&) { return true; }).constant().value_or(kDimMax);
    if (columns.constant().value_or(kLeastColumns) < kLeastColumns) return kept("skinny N");
    if (b_constant && !fits(b)) return kept("weights out of range");
    const auto known_rows = rows.constant();
    // Of rows that the run knows, one extent by itself (a batch) may be small; several, or pixels, are many.
    std::map<int64_t, Symbol> unknown;
    int64_t least = 1;
    for (const k::Iter& it : s.iters) {
      if (!uses(a, it.symbol) || uses(b, it.symbol)) continue;
      collect_symbols(it.extent, unknown);
      least = std::min(least * std::clamp<int64_t>(it.extent.lower(), 1, kDimMax / kFewRows), kFewRows + 1);
    }
    const bool few =
        known_rows ? *known_rows <= kFewRows : unknown.size() == 1 && least <= kFewRows && !has_arithmetic();
    if (b_constant && few) {
      const Dim weights = product_of(s.iters, [&](const k::Iter& it) { return uses(b, it.symbol); }) * terms;
      if (weights.constant().value_or(kLeastWeights) < kLeastWeights) return kept("small weights");
      return can_widen() ? Form::Weights : kept(fmt::format("no {} on the target", name(to_.type)));
    }
    if (!has_arithmetic()) return kept(fmt::format("no faster {} on the target", name(to_.type)));
    if (to_.kept_for_winograd.count(s.results[0])) return kept("Winograd is faster");
    if (terms < kLeastTerms) return kept("short sums");
    if (!plain_read(a) || (!b_constant && !plain_read(b))) return kept("computed operands");
    if (known_rows && *known_rows < kFewRows) return kept("few rows");
    return Form::Both;
  }

  void lower_block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) {
        lower_block(inner);
        for (int id : inner.outputs) others_[static_cast<size_t>(id)] = true;
      }
      for (int id : s.operands)
        if (id >= 0) others_[static_cast<size_t>(id)] = true;
      const bool is_sum = is_contraction(s) && s.body[0].is(ScalarOp::Mul) && s.body[0].type() == DType::F32;
      if (!is_sum) {
        read_by_others(s);
        continue;
      }
      ++summary_.sums;
      std::string reason;
      const Form form = form_of(s, reason);
      if (form == Form::Kept) {
        ++summary_.kept[reason];
        read_by_others(s);
        continue;
      }
      ++(form == Form::Weights ? summary_.weights : summary_.lowered);
      std::vector<Expr> args;
      for (const Expr& e : s.body[0]->args) {
        if (all_constant(e)) {
          args.push_back(rounded(e));
        } else if (form == Form::Both) {
          args.push_back(narrow_read(*e));
        } else {
          args.push_back(e);
          read_by_others(e);
        }
      }
      s.body[0] = args[0] * args[1];
    }
  }

  Expr rounded(const Expr& e) const { return ex::cast(ex::cast(e, to_.type), DType::F32); }

  void read_by_others(const Expr& e) {
    if (!e) return;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Read) others_[static_cast<size_t>(n.id)] = true;
    });
  }
  void read_by_others(const k::Stage& s) {
    for (const auto* list : {&s.body, &s.targets, &s.init}) {
      for (const Expr& e : *list) read_by_others(e);
    }
    read_by_others(s.condition);
  }

  // f32(x'[i | fill]) for x[i | fill]; x' is made by make_block.
  Expr narrow_read(const ExprNode& read) {
    const size_t id = static_cast<size_t>(read.id);
    wanted_[id] = true;
    auto [it, fresh] = narrow_.try_emplace(static_cast<int>(id), -1);
    if (fresh) {
      k::Value v = p_.values[id];
      v.name += fmt::format(".{}", name(to_.type));
      v.type.tensor.dtype = to_.type;
      v.interface.reset();
      it->second = p_.add(std::move(v));
    }
    ExprNode n = read;
    n.type = to_.type;
    n.id = it->second;
    if (n.checked) n.args.back() = ex::cast(n.args.back(), to_.type);
    return ex::cast(ex::make(std::move(n)), DType::F32);
  }

  // --- the lowered values -----------------------------------------------------------------------------------------------

  // Each is made where its original is: by the same map where nobody else reads that, by a map of its own otherwise.
  void make_block(k::Block& b, const std::vector<int>& given) {
    std::vector<k::Stage> stages;
    for (int id : given) copy(id, -1, stages);
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) make_block(inner, inner.params);
      const bool is_map = s.kind == k::StageKind::Map && s.results.size() == 1;
      if (is_map && lowered(s.results[0]) && !others_[static_cast<size_t>(s.results[0])]) {
        s.body[0] = ex::cast(s.body[0], to_.type);
        s.results[0] = narrow_.at(s.results[0]);
        stages.push_back(std::move(s));
        continue;
      }
      const std::vector<int> results = s.results;
      const int node = s.node;
      stages.push_back(std::move(s));
      for (int id : results) copy(id, node, stages);
    }
    b.stages = std::move(stages);
  }

  bool lowered(int id) const {
    return id >= 0 && static_cast<size_t>(id) < wanted_.size() && wanted_[static_cast<size_t>(id)];
  }

  void copy(int id, int node, std::vector<k::Stage>& stages) {
    if (!lowered(id)) return;
    stages.push_back(elementwise(p_, id, narrow_.at(id), [&](Expr e) { return ex::cast(std::move(e), to_.type); }));
    stages.back().node = node;
  }

  k::Program& p_;
  const TargetFacts& facts_;
  const Precision& to_;
  PrecisionSummary summary_;
  std::vector<bool> followed_;  // by value: a sum of products depends on it
  std::vector<bool> others_;  // by value: something reads it as f32
  std::vector<bool> wanted_;  // by value: a sum reads it in 16 bits
  std::map<int, int> narrow_;  // value -> the same in 16 bits
};

}  // namespace

PrecisionSummary lower_precision(k::Program& p, const TargetFacts& facts, const Precision& to) {
  return Lowering(p, facts, to).run();
}

std::string PrecisionSummary::text() const {
  const std::string_view t = name(type);
  std::vector<std::string> parts;
  if (lowered > 0) parts.push_back(fmt::format("{} in {}{}", lowered, t, how.empty() ? "" : fmt::format(" ({})", how)));
  if (weights > 0) parts.push_back(fmt::format("{} with {} weights", weights, t));
  int64_t rest = 0;
  std::string why;
  for (const auto& [reason, count] : kept) {
    rest += count;
    why += fmt::format("{}{} {}", why.empty() ? "" : ", ", count, reason);
  }
  if (rest > 0) parts.push_back(fmt::format("{} in f32 ({})", rest, why));
  return fmt::format("{} sum{} of products: {}", sums, sums == 1 ? "" : "s",
                     parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", ")));
}

}  // namespace ingot
