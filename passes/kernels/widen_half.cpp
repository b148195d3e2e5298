// x: f16[...] -> x: f32[...], for values that stay inside of the program.
//
// Arithmetic on f16 and bf16 is f32 arithmetic with a rounding after each step, on every target there is today. Between
// operators that rounding only loses: values that are no input, output or constant keep f32, and are rounded once, where
// they leave. This is what runtimes that run such models on a CPU do, it is nearer to the exact result, and it saves two
// conversions per element and operator; it costs the other half of the memory of the intermediates. A cast that the model
// itself asks for still rounds: it is a stage that casts what another node made, which is why this runs before inlining.
#include <functional>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

bool is_half(DType t) { return t == DType::F16 || t == DType::BF16; }

bool is_plain(const k::Stage& s) {
  return s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce || s.kind == k::StageKind::Scan;
}

class Widener {
 public:
  explicit Widener(k::Program& p) : p_(p), wide_(p.values.size(), false), made_by_(p.values.size(), -1) {}

  void run() {
    find(p_.body);
    Uses uses = count_uses(p_);
    for (size_t k = 0; k < wide_.size(); ++k) wide_[k] = wide_[k] && !uses.escapes[k] && !p_.values[k].constant;
    keep_for_others(p_.body);
    rewrite_block(p_.body);
    for (size_t k = 0; k < wide_.size(); ++k) {
      if (wide_[k]) p_.values[k].type.tensor.dtype = DType::F32;
    }
  }

 private:
  void find(const k::Block& b) {
    for (const k::Stage& s : b.stages) {
      for (const k::Block& inner : s.blocks) find(inner);
      for (int id : s.results) made_by_[static_cast<size_t>(id)] = s.node;
      if (!is_plain(s) || is_model_cast(s)) continue;
      for (int id : s.results)
        wide_[static_cast<size_t>(id)] = is_half(p_.values[static_cast<size_t>(id)].tensor().dtype);
    }
  }

  bool is_model_cast(const k::Stage& s) const {
    if (s.kind != k::StageKind::Map || !s.body[0].is(ScalarOp::Cast) || !is_half(s.body[0].type())) return false;
    const Expr& from = s.body[0]->args[0];
    return from.is(ScalarOp::Read) && made_by_[static_cast<size_t>(from->id)] != s.node;
  }

  // What other kinds of stages read stays as it is.
  void keep_for_others(const k::Block& b) {
    for (const k::Stage& s : b.stages) {
      for (const k::Block& inner : s.blocks) keep_for_others(inner);
      if (is_plain(s)) continue;
      for (int id : k::reads(s)) {
        if (id >= 0) wide_[static_cast<size_t>(id)] = false;
      }
    }
  }

  void rewrite_block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) rewrite_block(inner);
      if (!is_plain(s)) continue;
      for (size_t k = 0; k < s.body.size(); ++k) {
        DType before = s.body[k].type();
        Expr e = widen(s.body[k]);
        bool stays = is_half(before) && !wide_[static_cast<size_t>(s.results[k])];
        s.body[k] = stays ? ex::cast(e, before) : e;
      }
    }
  }

  // The same value with every f16 and bf16 in it as f32.
  Expr widen(const Expr& e) {
    return rewrite(e, [&](const ExprNode& n) -> Expr {
      switch (n.op) {
        case ScalarOp::Read: {
          if (!is_half(n.type)) return Expr();
          ExprNode read = n;
          if (wide_[static_cast<size_t>(n.id)]) {
            read.type = DType::F32;
            return ex::make(std::move(read));
          }
          if (read.checked) read.args.back() = ex::cast(read.args.back(), n.type);
          return ex::cast(ex::make(std::move(read)), DType::F32);
        }
        case ScalarOp::Const: return is_half(n.type) ? ex::number(DType::F32, n.number) : Expr();
        case ScalarOp::Cast: return ex::cast(n.args[0], is_half(n.type) ? DType::F32 : n.type, n.saturate);
        case ScalarOp::Bitcast: return ex::make(n);
        default: {
          if (!is_half(n.type)) return Expr();
          ExprNode same = n;
          same.type = DType::F32;
          return ex::make(std::move(same));
        }
      }
    });
  }

  k::Program& p_;
  std::vector<bool> wide_;  // by value: an f16 or bf16 that becomes f32
  std::vector<int> made_by_;  // by value: origin of its stage
};

bool has_bitcast(const k::Block& b) {
  for (const k::Stage& s : b.stages) {
    for (const k::Block& inner : s.blocks) {
      if (has_bitcast(inner)) return true;
    }
    for (const Expr& e : s.body) {
      bool found = false;
      visit(e, [&](const ExprNode& n) {
        found |= n.op == ScalarOp::Bitcast && (is_half(n.type) || is_half(n.args[0].type()));
      });
      if (found) return true;
    }
  }
  return false;
}

}  // namespace

void widen_half(k::Program& p) {
  if (!has_bitcast(p.body)) Widener(p).run();  // a program that looks at the bits gets the bits
}

}  // namespace ingot
