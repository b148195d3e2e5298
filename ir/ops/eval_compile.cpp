// From the expressions of a stage to vector code: analysis (index forms, bounds), merging of loops, choice of the lane
// loop, code. See eval_code.h.
#include <algorithm>
#include <cmath>
#include <set>

#include "ir/ops/eval_code.h"
#include "ir/ops/written_index.h"

namespace ingot::eval {

Result<void> Code::set_loops(const std::vector<k::Iter>& iters, const std::vector<k::Iter>& reds) {
  for (const auto* list : {&iters, &reds})
    for (const k::Iter& it : *list) {
      const auto n = ingot::evaluate(it.extent, symbols_);
      if (!n) return invalid("extent {} is not known", it.extent.str());
      if (*n < 0) return invalid("got a negative extent {} ({})", *n, it.extent.str());
      const bool reduced = list == &reds;
      int64_t& total = reduced ? reductions_ : iterations_;
      if (*n > 0 && total > kDimMax / *n) return limit_exceeded("index space is too large");
      total *= *n;
      Symbol s = Dim::iterator(it.symbol->name, Dim(*n));
      iter_substitution_[it.symbol->id] = Dim(s);
      iter_symbols_.push_back(s);
      loops_.push_back({*n, reduced});
    }
  at_.assign(loops_.size() + 1, 0);
  return {};
}

Result<void> Code::add_section(std::vector<Expr> roots) {
  roots_.push_back(std::move(roots));
  return {};
}

int Code::add_output_form() {
  Form f;
  f.coefficients.assign(loops_.size(), 0);
  int64_t stride = 1;
  for (size_t i = loops_.size(); i-- > 0;)
    if (!loops_[i].reduced) {
      f.coefficients[i] = stride;
      stride *= loops_[i].extent;
    }
  forms_.push_back(std::move(f));
  return static_cast<int>(forms_.size()) - 1;
}

// Every symbol but the iterators replaced by its value.
Dim Code::concrete(const Dim& d) {
  if (d.is_constant()) return d;
  std::map<int64_t, Symbol> used;
  collect_symbols(d, used);
  Substitution s;
  for (const auto& [id, symbol] : used) {
    if (auto it = iter_substitution_.find(id); it != iter_substitution_.end()) s[id] = it->second;
    else if (auto b = symbols_.find(id); b != symbols_.end()) s[id] = Dim(b->second);
  }
  return substitute(d, s);
}

std::shared_ptr<DimPlan> Code::plan(const Dim& d) {
  if (auto it = plans_.find(d); it != plans_.end()) return it->second;
  auto p = std::make_shared<DimPlan>();
  Form form;
  form.coefficients.assign(loops_.size(), 0);
  bool ok = true;
  auto add_term = [&](int64_t coefficient, const std::vector<Dim::Atom>& atoms) {
    if (atoms.empty()) {
      form.base += coefficient;
      return;
    }
    if (atoms.size() == 1 && atoms[0].kind == Dim::AtomKind::Symbol) {
      for (size_t i = 0; i < iter_symbols_.size(); ++i)
        if (iter_symbols_[i]->id == atoms[0].symbol->id) {
          form.coefficients[i] += coefficient;
          return;
        }
      ok = false;
      return;
    }
    DimPlan::Term t{coefficient, {}};
    for (const Dim::Atom& a : atoms) {
      DimPlan::Atom pa{a.kind, nullptr, nullptr};
      if (a.kind == Dim::AtomKind::Symbol) {
        pa.a = plan(Dim(a.symbol));
        ok &= pa.a != nullptr;
      } else {
        pa.a = plan(a.a);
        pa.b = plan(a.b);
        ok &= pa.a != nullptr && pa.b != nullptr;
      }
      t.atoms.push_back(std::move(pa));
    }
    p->terms.push_back(std::move(t));
  };
  if (auto c = d.constant()) form.base = *c;
  else
    for (const Dim::Term& t : d.terms()) add_term(t.coefficient, t.atoms);
  if (!ok) return nullptr;
  if (p->terms.empty()) {
    p->lower = p->upper = form.base;
    for (size_t i = 0; i < loops_.size(); ++i) {
      const int64_t reach = form.coefficients[i] * std::max<int64_t>(loops_[i].extent - 1, 0);
      (reach < 0 ? p->lower : p->upper) += reach;
    }
  } else {
    p->lower = d.lower();
    p->upper = d.upper();
  }
  p->form = static_cast<int>(forms_.size());
  forms_.push_back(std::move(form));
  plans_[d] = p;
  return p;
}

Result<void> Code::analyse(const Expr& root) {
  std::optional<Error> error;
  visit(root, [&](const ExprNode& e) {
    for (const Expr& a : e.args) ++parents_[a.get()];
    if (error) return;
    if (e.op == ScalarOp::Index && !indices_.count(&e)) {
      const Dim d = concrete(e.dim);
      auto p = plan(d);
      if (!p) error = invalid("index {} has an unknown symbol", d.str());
      else indices_[&e] = p;
    }
    if (e.op != ScalarOp::Read || reads_.count(&e)) return;
    ReadPlan r;
    r.data = tensor_(e.id);
    if (!r.data) {
      error = invalid("value {} is read but has no contents", e.id);
      return;
    }
    const size_t rank = r.data->dims.size();
    if (e.args.size() != rank + (e.checked ? 1 : 0)) {
      error = invalid("read of value {} has {} indices, expected {}", e.id, e.args.size(), rank);
      return;
    }
    if (r.data->dtype != e.type) {
      error = invalid("read of value {} as {}, expected {}", e.id, name(e.type), name(r.data->dtype));
      return;
    }
    r.strides.assign(rank, 1);
    for (size_t i = rank; i-- > 1;) r.strides[i - 1] = r.strides[i] * r.data->dims[i];
    r.proven = true;
    bool all = true;
    Dim flat = 0;
    for (size_t i = 0; i < rank; ++i) {
      std::shared_ptr<DimPlan> p;
      if (auto d = as_dim(e.args[i])) {
        const Dim c = concrete(*d);
        p = plan(c);
        flat = flat + c * Dim(r.strides[i]);
      }
      all &= p != nullptr;
      r.proven &= p && p->lower >= 0 && p->upper < r.data->dims[i];
      r.dims.push_back(std::move(p));
    }
    if (r.proven && all) r.flat = plan(flat);
    reads_[&e] = std::move(r);
  });
  if (error) return std::move(*error);
  return {};
}

// Adjacent loops (a, b) of one kind become one where every form steps over a as over extent(b) steps of b.
void Code::merge_loops() {
  for (size_t i = 0; i + 1 < loops_.size();) {
    bool same = loops_[i].reduced == loops_[i + 1].reduced;
    const bool trivial_a = loops_[i].extent == 1, trivial_b = loops_[i + 1].extent == 1;
    if (same && !trivial_a && !trivial_b)
      for (const Form& f : forms_) same &= f.coefficients[i] == f.coefficients[i + 1] * loops_[i + 1].extent;
    if (!same) {
      ++i;
      continue;
    }
    const size_t drop = trivial_b ? i + 1 : i;
    const int64_t extent = loops_[i].extent * loops_[i + 1].extent;
    for (Form& f : forms_) f.coefficients.erase(f.coefficients.begin() + static_cast<std::ptrdiff_t>(drop));
    loops_.erase(loops_.begin() + static_cast<std::ptrdiff_t>(drop));
    loops_[i].extent = extent;
    if (i > 0) --i;
  }
}

void Code::choose_lane(Lanes lanes) {
  lane_ = -1;
  double best = -1;
  int last_iter = -1, last_red = -1;
  for (int i = 0; i < static_cast<int>(loops_.size()); ++i)
    (loops_[static_cast<size_t>(i)].reduced ? last_red : last_iter) = i;
  for (int i = static_cast<int>(loops_.size()) - 1; i >= 0; --i) {
    const Loop& l = loops_[static_cast<size_t>(i)];
    if (lanes == Lanes::InnermostIter && i != last_iter) continue;
    if (lanes == Lanes::InnermostRedOrAnyIter && l.reduced && i != last_red) continue;
    const double n = static_cast<double>(std::min(l.extent, kEvalChunk));
    double good = 0, count = 0;
    auto address = [&](const ReadPlan& r) -> double {
      int64_t stride = 0;
      if (r.flat)
        return r.flat->terms.empty()
                   ? static_cast<double>(
                         std::abs(forms_[static_cast<size_t>(r.flat->form)].coefficients[static_cast<size_t>(i)]))
                   : 4;
      for (size_t d = 0; d < r.dims.size(); ++d)
        if (r.dims[d])
          stride += forms_[static_cast<size_t>(r.dims[d]->form)].coefficients[static_cast<size_t>(i)] * r.strides[d];
      return static_cast<double>(std::abs(stride));
    };
    for (const auto& [e, r] : reads_) {
      (void)e;
      ++count;
      good += address(r) <= 1 ? 1 : 0.4;
    }
    if (!l.reduced) {
      ++count;
      good += i == last_iter ? 1 : 0.4;
    }
    const double score = n / (n + 24) * (count > 0 ? good / count : 1) * (l.reduced ? 0.95 : 1);
    if (score > best) best = score, lane_ = i;
  }
  if (lane_ < 0) {  // a scalar stage: one loop of extent 1
    loops_.push_back({1, false});
    for (Form& f : forms_) f.coefficients.push_back(0);
    lane_ = static_cast<int>(loops_.size()) - 1;
  }
  at_.assign(loops_.size(), 0);
}

bool Code::varies(const DimPlan& p) const {
  if (forms_[static_cast<size_t>(p.form)].coefficients[static_cast<size_t>(lane_)] != 0) return true;
  for (const auto& t : p.terms)
    for (const auto& a : t.atoms)
      if (varies(*a.a) || (a.b && varies(*a.b))) return true;
  return false;
}

bool Code::varies(const Expr& e) {
  if (auto it = varies_.find(e.get()); it != varies_.end()) return it->second;
  bool v = e->op == ScalarOp::Local;
  if (e->op == ScalarOp::Index) v = varies(*indices_.at(e.get()));
  if (e->op == ScalarOp::Read) {
    const ReadPlan& r = reads_.at(e.get());
    for (size_t i = 0; i < e->args.size(); ++i)
      v |= i < r.dims.size() && r.dims[i] ? varies(*r.dims[i]) : varies(e->args[i]);
    if (r.flat) v = varies(*r.flat);  // terms may cancel in the flat index
  } else {
    for (const Expr& a : e->args) v |= varies(a);
  }
  return varies_[e.get()] = v;
}

bool Code::can_fail(const Expr& e) {
  if (auto it = can_fail_.find(e.get()); it != can_fail_.end()) return it->second;
  bool v = e->op == ScalarOp::Read && !e->checked && !reads_.at(e.get()).proven;
  for (const Expr& a : e->args) v |= can_fail(a);
  return can_fail_[e.get()] = v;
}

bool Code::has_read(const Expr& e) {
  if (auto it = has_read_.find(e.get()); it != has_read_.end()) return it->second;
  bool v = e->op == ScalarOp::Read;
  for (const Expr& a : e->args) v |= has_read(a);
  return has_read_[e.get()] = v;
}

int Code::new_reg(DType t, bool uniform) {
  regs_.push_back({t, uniform});
  return static_cast<int>(regs_.size()) - 1;
}

int Code::emit(VecFn fn, DType t, bool uniform, int a, int b, int c) {
  const int r = new_reg(t, uniform);
  if (!uniform) {
    a = vary(a);
    if (b >= 0) b = vary(b);
    if (c >= 0) c = vary(c);
  }
  Instr i;
  i.fn = fn;
  i.uniform = uniform;
  i.dst = r;
  i.a = a;
  i.b = b;
  i.c = c;
  instrs_.push_back(i);
  regs_[static_cast<size_t>(r)].direct = !uniform;
  return r;
}

int Code::vary(int reg) {
  if (!regs_[static_cast<size_t>(reg)].uniform || regs_[static_cast<size_t>(reg)].full) return reg;
  for (const Scope& s : scopes_)
    if (auto it = s.splats.find(reg); it != s.splats.end()) return it->second;
  const DType t = regs_[static_cast<size_t>(reg)].type;
  const int r = new_reg(t, false);
  Instr i;
  i.kind = Kind::Splat;
  i.fn = splat_fn(t);
  i.dst = r;
  i.a = reg;
  instrs_.push_back(i);
  scopes_.back().splats[reg] = r;
  return r;
}

int Code::constant_reg(DType t, double number, int64_t integer) {
  for (const auto& [reg, v] : constants_)
    if (regs_[static_cast<size_t>(reg)].type == t && v.second == integer &&
        std::signbit(v.first) == std::signbit(number) &&
        (v.first == number || (v.first != v.first && number != number)))
      return reg;
  const int r = new_reg(t, true);
  regs_[static_cast<size_t>(r)].full = true;
  constants_.push_back({r, {number, integer}});
  return r;
}

int Code::find(const ExprNode* e) const {
  for (size_t i = scopes_.size(); i-- > 0;)
    if (auto it = scopes_[i].exprs.find(e); it != scopes_[i].exprs.end()) return it->second;
  return -1;
}

Result<int> Code::gen(const Expr& e) {
  if (int r = find(e.get()); r >= 0) return r;
  if (static_cast<int>(instrs_.size()) > kMaxInstructions)
    return limit_exceeded("expression needs more than {} steps", kMaxInstructions);
  const int r = TRY(gen_node(e));
  scopes_.back().exprs[e.get()] = r;
  return r;
}

Result<int> Code::gen_node(const Expr& e) {
  const DType t = e.type();
  if (register_bytes(t) == 0) return unsupported("cannot compute in {}", name(t));
  switch (e->op) {
    case ScalarOp::Const: return constant_reg(t, is_float(t) ? e->number : 0, is_float(t) ? 0 : e->integer);
    case ScalarOp::Index: return gen_plan(*indices_.at(e.get()));
    case ScalarOp::Read: return gen_read(e);
    case ScalarOp::Select: return gen_select(e);
    case ScalarOp::Local:
      if (e->id < 0 || e->id >= static_cast<int64_t>(state_regs_.size()))
        return invalid("state {} does not exist", e->id);
      return state_regs_[static_cast<size_t>(e->id)];
    default: break;
  }
  int args[3] = {-1, -1, -1};
  if (e->args.empty() || e->args.size() > 3) return unsupported("cannot interpret {}", name(e->op));
  for (size_t i = 0; i < e->args.size(); ++i) args[i] = TRY(gen(e->args[i]));
  const bool uniform = !varies(e);
  const DType from = e->args[0].type();
  if (e->op == ScalarOp::Cast || e->op == ScalarOp::Bitcast) {
    const auto fns = e->op == ScalarOp::Cast ? cast_fns(from, t, e->saturate) : bitcast_fns(from, t);
    if (fns.empty()) return unsupported("cannot {} {} to {}", name(e->op), name(from), name(t));
    const int r = emit(fns[0], t, uniform, args[0]);
    for (size_t i = 1; i < fns.size(); ++i) {
      Instr in;
      in.fn = fns[i];
      in.uniform = uniform;
      in.dst = in.a = r;
      instrs_.push_back(in);
    }
    return r;
  }
  const VecFn fn = op_fn(e->op, from);
  if (!fn) return unsupported("cannot compute {} on {}", name(e->op), name(from));
  const int r = emit(fn, t, uniform, args[0], args[1], args[2]);
  if (VecFn round = round_fn(t); round && t != DType::Bool) {
    Instr in;
    in.fn = round;
    in.uniform = uniform;
    in.dst = in.a = r;
    instrs_.push_back(in);
  }
  return r;
}

int Code::gen_plan(const DimPlan& p) {
  for (size_t i = scopes_.size(); i-- > 0;)
    if (auto it = scopes_[i].dims.find(&p); it != scopes_[i].dims.end()) return it->second;
  int r;
  const Form& f = forms_[static_cast<size_t>(p.form)];
  const bool form_constant =
      std::all_of(f.coefficients.begin(), f.coefficients.end(), [](int64_t c) { return c == 0; });
  if (form_constant) {
    r = constant_reg(DType::I64, 0, f.base);
  } else {
    const bool form_uniform = f.coefficients[static_cast<size_t>(lane_)] == 0;
    r = new_reg(DType::I64, form_uniform);
    Instr i;
    i.kind = Kind::Ramp;
    i.uniform = form_uniform;
    i.dst = r;
    i.extra = p.form;
    instrs_.push_back(i);
  }
  bool zero = form_constant && f.base == 0;
  auto is_uniform = [&](int reg) { return regs_[static_cast<size_t>(reg)].uniform; };
  for (const auto& t : p.terms) {
    int prod = -1;
    for (const auto& a : t.atoms) {
      int v = gen_plan(*a.a);
      if (a.kind != Dim::AtomKind::Symbol) {
        const int b = gen_plan(*a.b);
        VecFn fn = nullptr;
        DType type = DType::I64;
        switch (a.kind) {
          case Dim::AtomKind::Symbol: break;
          case Dim::AtomKind::FloorDiv: fn = floor_div_fn(); break;
          case Dim::AtomKind::Mod: fn = op_fn(ScalarOp::FloorMod, DType::I64); break;
          case Dim::AtomKind::Min: fn = op_fn(ScalarOp::Min, DType::I64); break;
          case Dim::AtomKind::Max: fn = op_fn(ScalarOp::Max, DType::I64); break;
          case Dim::AtomKind::Less: fn = op_fn(ScalarOp::Lt, DType::I64), type = DType::Bool; break;
          case Dim::AtomKind::Equal: fn = op_fn(ScalarOp::Eq, DType::I64), type = DType::Bool; break;
        }
        const bool u = is_uniform(v) && is_uniform(b);
        v = emit(fn, type, u, v, b);
        if (type == DType::Bool) v = emit(cast_fns(DType::Bool, DType::I64, true)[0], DType::I64, u, v);
      }
      prod =
          prod < 0 ? v : emit(op_fn(ScalarOp::Mul, DType::I64), DType::I64, is_uniform(prod) && is_uniform(v), prod, v);
    }
    if (t.coefficient != 1) {
      const int c = constant_reg(DType::I64, 0, t.coefficient);
      prod = emit(op_fn(ScalarOp::Mul, DType::I64), DType::I64, is_uniform(prod), prod, c);
    }
    r = zero ? prod : emit(op_fn(ScalarOp::Add, DType::I64), DType::I64, is_uniform(r) && is_uniform(prod), r, prod);
    zero = false;
  }
  scopes_.back().dims[&p] = r;
  return r;
}

Result<int> Code::gen_read(const Expr& e) {
  const ReadPlan& plan = reads_.at(e.get());
  Access access;
  access.data = plan.data;
  access.id = e->id;
  bool uniform = true;
  if (plan.flat && plan.flat->terms.empty()) {
    access.flat_form = plan.flat->form;
    uniform = !varies(*plan.flat);
  } else if (plan.flat) {
    access.flat_reg = gen_plan(*plan.flat);
    uniform = regs_[static_cast<size_t>(access.flat_reg)].uniform;
  } else {
    for (size_t d = 0; d < plan.dims.size(); ++d) {
      DimAccess a{plan.data->dims[d], plan.strides[d]};
      if (plan.dims[d] && plan.dims[d]->terms.empty()) {
        a.form = plan.dims[d]->form;
        uniform &= !varies(*plan.dims[d]);
      } else {
        a.reg = plan.dims[d] ? gen_plan(*plan.dims[d]) : TRY(gen(e->args[d]));
        a.wraps = wraps(e->args[d]);
        uniform &= regs_[static_cast<size_t>(a.reg)].uniform;
      }
      access.dims.push_back(a);
    }
    if (e->checked && !plan.proven) {
      access.fill = TRY(gen(e->args.back()));
      uniform &= regs_[static_cast<size_t>(access.fill)].uniform;
    }
  }
  if (!uniform) {
    if (access.fill >= 0) access.fill = vary(access.fill);
    if (scopes_.back().guard >= 0 && access.fill < 0) access.guard = vary(scopes_.back().guard);
  } else if (access.fill < 0) {
    access.guard = scopes_.back().guard;
  }
  const int r = new_reg(e.type(), uniform);
  Instr i;
  i.kind = Kind::Load;
  i.uniform = uniform;
  i.dst = r;
  i.extra = static_cast<int>(accesses_.size());
  accesses_.push_back(std::move(access));
  instrs_.push_back(i);
  return r;
}

int Code::and_guard(int cond, bool negate, bool uniform) {
  int g = cond;
  if (negate) g = emit(op_fn(ScalarOp::Not, DType::Bool), DType::Bool, uniform, cond);
  const int outer = scopes_.back().guard;
  if (outer < 0) return g;
  return emit(op_fn(ScalarOp::And, DType::Bool), DType::Bool, uniform && regs_[static_cast<size_t>(outer)].uniform,
              outer, g);
}

Result<int> Code::gen_select(const Expr& e) {
  const int c = TRY(gen(e->args[0]));
  const DType t = e.type();
  if (e->args[0]->op == ScalarOp::Const) return gen(e->args[e->args[0]->integer ? 1 : 2]);
  auto heavy = [&](const Expr& x) { return find(x.get()) < 0 && has_read(x); };
  if (!heavy(e->args[1]) && !heavy(e->args[2])) {
    const int a = TRY(gen(e->args[1])), b = TRY(gen(e->args[2]));
    const VecFn fn = op_fn(ScalarOp::Select, t);
    if (!fn) return unsupported("cannot select {}", name(t));
    return emit(fn, t, !varies(e), c, a, b);
  }
  // What both branches may use, and cannot fail, is computed once before them.
  std::vector<Expr> shared;
  std::set<const ExprNode*> seen;
  std::function<void(const Expr&)> collect = [&](const Expr& x) {
    if (!seen.insert(x.get()).second || find(x.get()) >= 0 || !has_read(x)) return;
    if (parents_[x.get()] > 1 && !can_fail(x)) {
      shared.push_back(x);
      return;
    }
    for (const Expr& a : x->args) collect(a);
  };
  collect(e->args[1]);
  collect(e->args[2]);
  for (const Expr& x : shared) TRY(gen(x));

  const bool cond_uniform = regs_[static_cast<size_t>(c)].uniform;
  const bool uniform = !varies(e);
  const int mask = uniform ? c : vary(c);
  const int dst = new_reg(t, uniform);
  auto branch = [&](bool otherwise) -> Result<void> {
    const size_t skip = instrs_.size();
    Instr s;
    s.kind = otherwise ? Kind::SkipIfAll : Kind::SkipIfNone;
    s.uniform = cond_uniform;
    s.a = c;
    instrs_.push_back(s);
    const Expr& x = e->args[otherwise ? 2 : 1];
    int guard = scopes_.back().guard;
    scopes_.push_back({});
    scopes_.back().guard = guard;
    if (can_fail(x)) scopes_.back().guard = and_guard(c, otherwise, cond_uniform);
    int v = TRY(gen(x));
    if (!uniform) v = vary(v);
    Instr m;
    m.kind = Kind::Blend;
    m.uniform = uniform;
    m.dst = dst;
    m.a = v;
    m.b = otherwise ? mask : -1;  // the first branch writes every lane
    instrs_.push_back(m);
    scopes_.pop_back();
    instrs_[skip].extra = static_cast<int>(instrs_.size());
    return {};
  };
  TRY(branch(false));
  TRY(branch(true));
  return dst;
}

Result<void> Code::compile(Lanes lanes, std::vector<DType> states, bool guard_states) {
  // A checked read whose fill reads is a select, so that the fill is evaluated only where it is needed.
  for (auto& section : roots_)
    for (Expr& root : section) {
      bool needed = false;
      visit(root, [&](const ExprNode& n) {
        if (n.op == ScalarOp::Read && n.checked) needed |= n.args.back()->op != ScalarOp::Const;
      });
      if (!needed) continue;
      root = rewrite(root, [&](const ExprNode& n) -> Expr {
        Expr same(std::make_shared<ExprNode>(n));
        if (n.op != ScalarOp::Read || !n.checked) return same;
        bool inner = false;
        visit(n.args.back(), [&](const ExprNode& x) { inner |= x.op == ScalarOp::Read; });
        if (!inner) return same;
        const TensorData* data = tensor_(n.id);
        if (!data || data->dims.size() + 1 != n.args.size()) return same;
        Expr inside = ex::boolean(true);
        std::vector<Expr> index(n.args.begin(), n.args.end() - 1);
        for (size_t d = 0; d < index.size(); ++d)
          inside =
              inside && index[d] >= ex::integer(DType::I64, 0) && index[d] < ex::integer(DType::I64, data->dims[d]);
        return ex::select(inside, ex::read(n.id, n.type, index), n.args.back());
      });
    }
  for (const auto& section : roots_)
    for (const Expr& root : section) TRY(analyse(root));
  if (iterations_ == 0) return {};
  merge_loops();
  choose_lane(lanes);
  scopes_.push_back({});
  for (DType t : states) state_regs_.push_back(new_reg(t, false));
  if (guard_states) active_reg_ = new_reg(DType::Bool, false);
  for (size_t s = 0; s < roots_.size(); ++s) {
    scopes_.back().guard = guard_states && s > 0 ? active_reg_ : -1;
    const size_t begin = instrs_.size();
    std::vector<int> regs;
    for (const Expr& root : roots_[s]) regs.push_back(vary(TRY(gen(root))));
    root_regs_.push_back(std::move(regs));
    section_range_.push_back({begin, instrs_.size()});
  }
  layout();
  return {};
}

void Code::layout() {
  size_t total = 64;
  std::vector<size_t> offsets;
  for (const Reg& r : regs_) {
    offsets.push_back(total);
    const size_t n = r.uniform && !r.full ? 1 : static_cast<size_t>(kEvalChunk);
    total += (n * static_cast<size_t>(register_bytes(r.type)) + 63) / 64 * 64;
  }
  storage_ = std::make_unique<uint8_t[]>(total + 64);
  const size_t misalign = reinterpret_cast<uintptr_t>(storage_.get()) % 64;
  for (size_t i = 0; i < regs_.size(); ++i) regs_[i].ptr = regs_[i].own = storage_.get() + offsets[i] - misalign;
  for (const auto& [reg, v] : constants_)
    fill_constant(regs_[static_cast<size_t>(reg)].ptr, regs_[static_cast<size_t>(reg)].type, v.first, v.second,
                  kEvalChunk);
  sparse_.resize(forms_.size());
  for (size_t f = 0; f < forms_.size(); ++f)
    for (size_t i = 0; i < loops_.size(); ++i)
      if (forms_[f].coefficients[i] != 0) sparse_[f].push_back({static_cast<int>(i), forms_[f].coefficients[i]});
  scratch_index_.resize(static_cast<size_t>(kEvalChunk));
}

}  // namespace ingot::eval
