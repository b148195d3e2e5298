// A row that is divided by one number is multiplied by its reciprocal: a softmax divides by a sum of exponentials that
// is at least 1, since the largest of them is exp(0), so that the reciprocal neither overflows nor loses digits. The result may
// differ from the quotient by one unit in the last place.
//
//   m[i] = max r: x[i, r]    s[i] = sum r: exp(x[i, r] - m[i])    y[i, j] = e[i, j] / s[i]
//                         ->  t[i] = 1 / s[i]                      y[i, j] = e[i, j] * t[i]
#include <algorithm>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

bool is_read(const Expr& e) { return e.is(ScalarOp::Read) && !e->checked; }

class Inverter {
 public:
  explicit Inverter(k::Program& p) : p_(p) {}

  void block(k::Block& b) {
    made_.clear();
    for (const k::Stage& s : b.stages) {
      for (int id : s.results) made_[id] = &s;
    }
    std::map<int, int> inverse;  // sum -> its reciprocal
    for (const k::Stage& s : b.stages) {
      if (s.kind == k::StageKind::Reduce && sums_exponentials(s)) inverse.emplace(s.results[0], -1);
    }
    std::vector<k::Stage> stages;
    for (k::Stage& s : b.stages) {
      if (s.kind == k::StageKind::Map) {
        for (Expr& e : s.body) e = rewrite(e, [&](const ExprNode& n) { return multiplied(n, s, inverse); });
      }
      const int id = s.results.empty() ? -1 : s.results[0];
      stages.push_back(std::move(s));
      if (inverse.count(id)) {
        const int to = p_.add({-1,
                               p_.values[static_cast<size_t>(id)].name + ".inverse",
                               p_.values[static_cast<size_t>(id)].type,
                               {},
                               {}});
        inverse[id] = to;
        k::Stage one_over = elementwise(p_, id, to, [](Expr x) {
          const DType t = x.type();
          return ex::number(t, 1) / std::move(x);
        });
        one_over.node = stages.back().node;
        stages.push_back(std::move(one_over));
      }
    }
    b.stages = std::move(stages);
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) block(inner);
    }
  }

 private:
  // The expression of a value at this read, where a map of the block makes it; else the read.
  Expr seen_through(const Expr& read) const {
    auto it = is_read(read) ? made_.find(static_cast<int>(read->id)) : made_.end();
    if (it == made_.end() || it->second->kind != k::StageKind::Map || it->second->body.size() != 1) return read;
    Substitution at;
    for (size_t k = 0; k < it->second->iters.size(); ++k) {
      auto d = as_dim(read->args[k]);
      if (!d) return read;
      at.emplace(it->second->iters[k].symbol->id, *d);
    }
    return substitute(it->second->body[0], at);
  }

  bool sums_exponentials(const k::Stage& s) const {
    if (s.combiner != k::Combiner::Sum || s.results.size() != 1 || !is_float(s.body[0].type())) return false;
    const Expr e = s.body[0].is(ScalarOp::Exp) ? s.body[0] : seen_through(s.body[0]);
    if (!e.is(ScalarOp::Exp) || !e->args[0].is(ScalarOp::Sub)) return false;
    const Expr x = e->args[0]->args[0], m = e->args[0]->args[1];
    auto it = is_read(m) ? made_.find(static_cast<int>(m->id)) : made_.end();
    if (it == made_.end()) return false;
    const k::Stage& most = *it->second;
    if (most.kind != k::StageKind::Reduce || most.combiner != k::Combiner::Max || most.reds.size() != s.reds.size())
      return false;
    Substitution at;
    for (size_t k = 0; k < most.iters.size(); ++k) {
      auto d = as_dim(m->args[k]);
      if (!d) return false;
      for (const k::Iter& r : s.reds) {
        if (depends_on(*d, r.symbol)) return false;
      }
      at.emplace(most.iters[k].symbol->id, *d);
    }
    for (size_t k = 0; k < s.reds.size(); ++k) {
      if (s.reds[k].extent != most.reds[k].extent) return false;
      at.emplace(most.reds[k].symbol->id, Dim(s.reds[k].symbol));
    }
    return equal(substitute(most.body[0], at), x);
  }

  Expr multiplied(const ExprNode& n, const k::Stage& s, const std::map<int, int>& inverse) const {
    if (n.op != ScalarOp::Div || !is_read(n.args[1])) return Expr();
    auto it = inverse.find(static_cast<int>(n.args[1]->id));
    if (it == inverse.end() || it->second < 0) return Expr();
    // One reciprocal has to serve several quotients.
    const bool several = std::any_of(s.iters.begin(), s.iters.end(), [&](const k::Iter& iter) {
      return !iter.extent.is(1) && std::none_of(n.args[1]->args.begin(), n.args[1]->args.end(), [&](const Expr& a) {
        auto d = as_dim(a);
        return !d || depends_on(*d, iter.symbol);
      });
    });
    if (!several) return Expr();
    ExprNode read = *n.args[1];
    read.id = it->second;
    return n.args[0] * ex::make(std::move(read));
  }

  k::Program& p_;
  std::map<int, const k::Stage*> made_;
};

}  // namespace

void invert_divisors(k::Program& p) {
  Inverter(p).block(p.body);
  remove_copies_and_dead(p);  // reciprocals that nobody asked for
}

}  // namespace ingot
