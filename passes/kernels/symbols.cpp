// Every extent must be made of symbols that are known when a stage runs: extents of the inputs, and what earlier stages
// read or decide. An extent that grew past the limits of Dim (ir/dim.h) holds a symbol that nobody defines; so does one
// that depends on what only a later iteration knows. Such a model is refused here, with the node, and not deep in a backend.
#include <set>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

class Checker {
 public:
  explicit Checker(const k::Program& p) : p_(p) {}

  Result<void> run() {
    for (int id : p_.inputs) {
      const k::Value& v = p_.values[static_cast<size_t>(id)];
      if (!v.type.is_tensor()) continue;
      for (const Dim& d : v.interface.value_or(v.tensor()).dims) define(d);
    }
    return block(p_.body);
  }

 private:
  void define(const Dim& d) {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    for (auto& [id, s] : used) known_.insert(id);
  }

  Result<void> expect_known(const Dim& d, const k::Stage& s) const {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    for (auto& [id, symbol] : used) {
      if (known_.count(id)) continue;
      std::string node = s.node >= 0 ? p_.origins[static_cast<size_t>(s.node)] : "";
      return unsupported(
          "got an extent that depends on '{}', expected one that is known before the node runs\n  in node '{}'",
          symbol->name, node);
    }
    return {};
  }

  Result<void> block(const k::Block& b) {
    for (const k::Stage& s : b.stages) {
      std::vector<int64_t> own;
      for (const auto* iters : {&s.iters, &s.reds}) {
        for (const k::Iter& it : *iters) {
          TRY(expect_known(it.extent, s));
          if (known_.insert(it.symbol->id).second) own.push_back(it.symbol->id);
        }
      }
      for (const auto* list : {&s.body, &s.targets, &s.init}) {
        for (const Expr& e : *list) TRY(expect_known(e, s));
      }
      if (s.condition) TRY(expect_known(s.condition, s));
      TRY(expect_known(s.condition_dim, s));
      if (s.got) TRY(expect_known(*s.got, s));
      for (const Dim& d : s.symbol_init) TRY(expect_known(d, s));
      for (int64_t id : own) known_.erase(id);
      for (const k::Block& inner : s.blocks) {
        const std::set<int64_t> outside = known_;
        for (const Symbol& symbol : s.carried_symbols) known_.insert(symbol->id);
        TRY(block(inner));
        for (const Dim& d : inner.symbols) TRY(expect_known(d, s));
        known_ = outside;
      }
      for (const Symbol& symbol : s.symbols) known_.insert(symbol->id);
      for (int id : s.results) {
        const k::Value& v = p_.values[static_cast<size_t>(id)];
        if (!v.type.is_tensor()) continue;
        for (const Dim& d : v.tensor().dims) TRY(expect_known(d, s));
      }
    }
    return {};
  }

  Result<void> expect_known(const Expr& e, const k::Stage& s) const {
    Result<void> result;
    visit(e, [&](const ExprNode& n) {
      if (!result) return;
      if (n.op == ScalarOp::Index) result = expect_known(n.dim, s);
    });
    return result;
  }

  const k::Program& p_;
  std::set<int64_t> known_;
};

}  // namespace

Result<void> check_symbols(k::Program& p) { return Checker(p).run(); }

}  // namespace ingot
