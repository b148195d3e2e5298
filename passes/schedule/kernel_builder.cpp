#include "passes/schedule/kernel_builder.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "ir/ops/written_index.h"
#include "runtime/abi.h"

namespace ingot {

namespace {

// Of a fast core; on a slower one an item is longer, and waking a thread too.
inline constexpr double kOperationsPerSecond = 1e11, kBytesPerSecond = 2e10;
inline constexpr double kGrainSeconds = 2.5e-6;

}  // namespace

int64_t grain_of(double operations, double bytes) {
  const double seconds = std::max(operations / kOperationsPerSecond, bytes / kBytesPerSecond);
  return static_cast<int64_t>(std::clamp(kGrainSeconds / std::max(seconds, 1e-12), 1.0, 1e6));
}

int64_t KernelBuilder::buffer(int value, bool written) {
  auto [it, fresh] = buffer_ids_.try_emplace(value, next_buffer_);
  if (fresh) {
    ++next_buffer_;
    l::BufferParam p{it->second, program_.values[static_cast<size_t>(value)].name, storage(value).dtype};
    p.constant = program_.values[static_cast<size_t>(value)].constant != nullptr;
    buffers_.push_back(std::move(p));
    values_.push_back(value);
  }
  if (written) {
    for (l::BufferParam& p : buffers_) {
      if (p.id == it->second) p.written = true;
    }
  }
  return it->second;
}

int64_t KernelBuilder::scratch(DType t, int64_t elements) {
  l::Stmt s{l::StmtKind::Scratch};
  s.id = next_buffer_++;
  s.dtype = t;
  s.elements = elements;
  int64_t id = s.id;
  emit(std::move(s));
  return id;
}

int64_t KernelBuilder::declare(DType t, int lanes, Expr init) {
  l::Stmt s{l::StmtKind::Declare};
  s.id = next_local_++;
  s.dtype = t;
  s.lanes = lanes;
  s.expr = std::move(init);
  int64_t id = s.id;
  emit(std::move(s));
  return id;
}

void KernelBuilder::set(int64_t local, Expr value) {
  l::Stmt s{l::StmtKind::Set};
  s.id = local;
  s.dtype = value.type();
  s.lanes = value.lanes();
  s.expr = std::move(value);
  emit(std::move(s));
}

Expr KernelBuilder::local(int64_t id, DType t, int lanes) {
  ExprNode n{ScalarOp::Local, t};
  n.id = id;
  n.lanes = lanes;
  return ex::make(std::move(n));
}

Expr KernelBuilder::keep(Expr e) {
  const DType t = e.type();
  const int lanes = e.lanes();
  return local(declare(t, lanes, std::move(e)), t, lanes);
}

void KernelBuilder::let(const Symbol& symbol, const Dim& d) {
  l::Stmt s{l::StmtKind::Let};
  s.symbol = symbol;
  s.expr = ex::index(d);
  emit(std::move(s));
}

void KernelBuilder::store(int64_t buffer, const Dim& offset, Expr value, int64_t stride, Expr index, Expr mask) {
  l::Stmt s{l::StmtKind::Store};
  s.id = buffer;
  s.offset = offset;
  s.stride = stride;
  s.lanes = value.lanes();
  s.dtype = value.type();
  s.expr = std::move(value);
  s.index = std::move(index);
  s.mask = std::move(mask);
  emit(std::move(s));
}

void KernelBuilder::emit(l::Stmt s) {
  s.node = node;
  scopes_.back().push_back(std::move(s));
}

void KernelBuilder::fail_unless(Expr condition, int32_t code, std::vector<Expr> args) {
  if (condition.is(ScalarOp::Const)) {
    if (condition->integer) return;
  }
  if_then(ex::unary(ScalarOp::Not, condition), [&] {
    l::Stmt s{l::StmtKind::Fail};
    s.code = code;
    s.args = std::move(args);
    emit(std::move(s));
  });
}

void KernelBuilder::decode(const Symbol& item, const std::vector<k::Iter>& grid) {
  Dim rest(item);
  for (size_t k = grid.size(); k-- > 0;) {
    let(grid[k].symbol, k == 0 ? rest : mod(rest, grid[k].extent));
    if (k > 0) rest = floordiv(rest, grid[k].extent);
  }
}

void KernelBuilder::loop(const Symbol& symbol, const Dim& begin, const Dim& end, int64_t step,
                         const std::function<void()>& body) {
  if (known_equal(end - begin, 1) || (known_less(begin, end) && known_less_equal(end - begin, step))) {
    let(symbol, begin);
    body();
    return;
  }
  scopes_.push_back({});
  body();
  l::Stmt s{l::StmtKind::For};
  s.symbol = symbol;
  s.begin = begin;
  s.end = end;
  s.step = step;
  s.body = std::move(scopes_.back());
  scopes_.pop_back();
  emit(std::move(s));
}

void KernelBuilder::if_then(Expr condition, const std::function<void()>& body, const std::function<void()>& otherwise) {
  l::Stmt s{l::StmtKind::If};
  s.expr = std::move(condition);
  scopes_.push_back({});
  body();
  s.body = std::move(scopes_.back());
  scopes_.pop_back();
  if (otherwise) {
    scopes_.push_back({});
    otherwise();
    s.otherwise = std::move(scopes_.back());
    scopes_.pop_back();
  }
  emit(std::move(s));
}

void KernelBuilder::while_loop(Expr condition, const std::function<void()>& body) {
  l::Stmt s{l::StmtKind::While};
  s.expr = std::move(condition);
  scopes_.push_back({});
  body();
  s.body = std::move(scopes_.back());
  scopes_.pop_back();
  emit(std::move(s));
}

namespace {

// Statements of one kernel under the numbers of another.
class Renumbering {
 public:
  std::map<int64_t, int64_t> buffers;
  std::function<int64_t()> new_buffer, new_local;

  std::vector<l::Stmt> statements(const std::vector<l::Stmt>& list) {
    std::vector<l::Stmt> own;
    for (const l::Stmt& s : list) own.push_back(statement(s));
    return own;
  }

 private:
  l::Stmt statement(l::Stmt s) {
    using Kind = l::StmtKind;
    if (s.kind == Kind::Store || s.kind == Kind::Prefetch) s.id = buffers.at(s.id);
    if (s.kind == Kind::Scratch) s.id = buffers.try_emplace(s.id, -1).first->second = new_buffer();
    s.expr = expr(s.expr), s.index = expr(s.index), s.mask = expr(s.mask);  // before what is declared
    for (Expr& e : s.args) e = expr(e);
    if (s.kind == Kind::Declare) s.id = locals_[s.id] = new_local();
    if (s.kind == Kind::Set) s.id = locals_.at(s.id);
    s.body = statements(s.body);
    s.otherwise = statements(s.otherwise);
    return s;
  }

  Expr expr(const Expr& e) {
    if (!e) return e;
    return rewrite(e, [&](const ExprNode& n) {
      const bool loads = n.op == ScalarOp::Load || n.op == ScalarOp::TileLoad;
      if (!loads && n.op != ScalarOp::Local) return Expr();
      ExprNode own = n;
      own.id = loads ? buffers.at(n.id) : locals_.at(n.id);
      return ex::make(std::move(own));
    });
  }

  std::map<int64_t, int64_t> locals_;
};

// Symbols that the statements use and do not define.
class FreeSymbols {
 public:
  std::map<int64_t, Symbol> used;
  std::set<int64_t> defined;

  void dim(const Dim& d) { collect_symbols(d, used); }
  void expr(const Expr& e) {
    if (!e) return;
    visit(e, [&](const ExprNode& n) { dim(n.dim); });
  }
  void statements(const std::vector<l::Stmt>& list) {
    for (const l::Stmt& s : list) {
      if (s.symbol) defined.insert(s.symbol->id);
      dim(s.begin), dim(s.end), dim(s.offset);
      expr(s.expr), expr(s.index), expr(s.mask);
      for (const Expr& e : s.args) expr(e);
      statements(s.body);
      statements(s.otherwise);
    }
  }
};

}  // namespace

void KernelBuilder::append(const Launch& launch, const std::function<int64_t(int value, bool written)>& buffer_of) {
  Renumbering own;
  for (size_t k = 0; k < launch.values.size(); ++k) {
    const l::BufferParam& p = launch.kernel.buffers[k];
    own.buffers[p.id] = buffer_of(launch.values[k], p.written);
  }
  own.new_buffer = [&] { return next_buffer_++; };
  own.new_local = [&] { return next_local_++; };
  std::vector<l::Stmt> body = own.statements(launch.kernel.body);
  loop(launch.kernel.item, 0, launch.items, 1, [&] {
    for (l::Stmt& s : body) scopes_.back().push_back(std::move(s));
  });
}

Launch KernelBuilder::finish(std::string name, const Symbol& item, const Dim& items) {
  Launch launch;
  l::Kernel& k = launch.kernel;
  k.name = std::move(name);
  k.body = std::move(scopes_.back());
  scopes_.back().clear();
  k.buffers = std::move(buffers_);
  k.item = item;
  k.node = node;
  FreeSymbols free;
  free.statements(k.body);
  for (auto& [id, symbol] : free.used) {
    if (free.defined.count(id) || id == item->id) continue;
    k.scalars.push_back(symbol);
    launch.scalars.push_back(Dim(symbol));
  }
  launch.values = std::move(values_);
  launch.items = items;
  return launch;
}

// --- expressions ----------------------------------------------------------------------------------------------------

namespace {

Expr ramp(const Dim& base, int64_t stride, int lanes) {
  ExprNode n{ScalarOp::Ramp, DType::I64};
  n.lanes = lanes;
  n.dim = base;
  n.stride = stride;
  return ex::make(std::move(n));
}

}  // namespace

Expr wide(ScalarOp op, DType t, int64_t lanes, std::vector<Expr> args) {
  ExprNode n{op, t};
  n.lanes = static_cast<int>(lanes);
  n.args = std::move(args);
  return ex::make(std::move(n));
}

Expr splat(Expr scalar, int64_t lanes) {
  const DType t = scalar.type();
  return wide(ScalarOp::Splat, t, lanes, {std::move(scalar)});
}

Expr wide_load(int64_t buffer, DType t, const Dim& offset, int64_t lanes, const Expr& mask) {
  ExprNode n{ScalarOp::Load, t};
  n.id = buffer;
  n.dim = offset;
  n.lanes = static_cast<int>(lanes);
  if (mask) n.args = {mask};
  return ex::make(std::move(n));
}

Expr lane_of(const Expr& vector, int64_t lane) {
  ExprNode n{ScalarOp::Lane, vector.type()};
  n.args = {vector};
  n.integer = lane;
  return ex::make(std::move(n));
}

Expr first_lanes(const Dim& count, int64_t lanes) {
  return wide(ScalarOp::Lt, DType::Bool, lanes, {ramp(0, 1, static_cast<int>(lanes)), splat(ex::index(count), lanes)});
}

Expr ExprLowering::splat(Expr e) const { return e.lanes() == lanes_ ? e : ingot::splat(std::move(e), lanes_); }

Expr ExprLowering::both(Expr a, Expr b) const {
  if (!a) return b;
  if (!b) return a;
  if (a.lanes() != b.lanes()) a = splat(a), b = splat(b);
  ExprNode n{ScalarOp::And, DType::Bool};
  n.lanes = a.lanes();
  n.args = {std::move(a), std::move(b)};
  return ex::make(std::move(n));
}

Expr ExprLowering::any(Expr c) const {
  if (c.lanes() == 1) return c;
  ExprNode wide{ScalarOp::Cast, DType::I32};
  wide.lanes = c.lanes();
  wide.args = {std::move(c)};
  ExprNode most{ScalarOp::LaneMax, DType::I32};
  most.args = {ex::make(std::move(wide))};
  return ex::binary(ScalarOp::Ne, ex::make(std::move(most)), ex::integer(DType::I32, 0));
}

Expr ExprLowering::with_args(const ExprNode& n, std::vector<Expr> args) const {
  bool wide = false;
  for (const Expr& a : args) wide |= a.lanes() > 1;
  if (wide) {
    for (Expr& a : args) a = splat(a);
  }
  ExprNode copy = n;
  copy.lanes = wide ? lanes_ : 1;
  copy.args = std::move(args);
  return ex::make(std::move(copy));
}

std::optional<std::pair<Dim, int64_t>> ExprLowering::lane_stride(const Dim& d) const {
  if (!varies(d)) return std::pair{d, int64_t{0}};
  auto a = affine_in(d, vector_);
  if (!a) return std::nullopt;
  auto c = a->coefficient.constant();
  if (!c) return std::nullopt;
  return std::pair{d, *c};
}

// The value of a Dim as an expression; arithmetic only where the lanes make it necessary.
Expr ExprLowering::index(const Dim& d) {
  if (!varies(d)) return ex::index(d);
  if (auto s = lane_stride(d)) return ramp(s->first, s->second, lanes_);
  auto op = [&](ScalarOp o, Expr a, Expr b) {
    if (a.lanes() != b.lanes()) a = splat(a), b = splat(b);
    ExprNode n{o, DType::I64};
    n.lanes = a.lanes();
    n.args = {std::move(a), std::move(b)};
    return ex::make(std::move(n));
  };
  auto compare = [&](ScalarOp o, const Dim& x, const Dim& y) {
    Expr a = splat(index(x)), b = splat(index(y));
    ExprNode n{o, DType::Bool};
    n.lanes = lanes_;
    n.args = {std::move(a), std::move(b)};
    ExprNode c{ScalarOp::Cast, DType::I64};
    c.lanes = lanes_;
    c.args = {ex::make(std::move(n))};
    return ex::make(std::move(c));
  };
  Dim uniform = 0;  // terms that do not vary are summed as one scalar
  Expr sum;
  for (const Dim::Term& t : d.terms()) {
    Dim scalar = t.coefficient;
    Expr product;
    for (const Dim::Atom& a : t.atoms) {
      Dim atom;
      switch (a.kind) {
        case Dim::AtomKind::Symbol: atom = Dim(a.symbol); break;
        case Dim::AtomKind::FloorDiv: atom = floordiv(a.a, a.b); break;
        case Dim::AtomKind::Mod: atom = mod(a.a, a.b); break;
        case Dim::AtomKind::Min: atom = min(a.a, a.b); break;
        case Dim::AtomKind::Max: atom = max(a.a, a.b); break;
        case Dim::AtomKind::Less: atom = less(a.a, a.b); break;
        case Dim::AtomKind::Equal: atom = equal(a.a, a.b); break;
      }
      if (!varies(atom)) {
        scalar *= atom;
        continue;
      }
      Expr e;
      switch (a.kind) {
        case Dim::AtomKind::Symbol: e = ramp(atom, 1, lanes_); break;
        case Dim::AtomKind::FloorDiv: {
          Expr x = index(a.a), y = index(a.b);
          e = a.a.lower() >= 0 ? op(ScalarOp::Div, x, y)
                               : op(ScalarOp::Div, op(ScalarOp::Sub, x, op(ScalarOp::FloorMod, x, y)), y);
          break;
        }
        case Dim::AtomKind::Mod:
          e = op(a.a.lower() >= 0 ? ScalarOp::Rem : ScalarOp::FloorMod, index(a.a), index(a.b));
          break;
        case Dim::AtomKind::Min: e = op(ScalarOp::Min, index(a.a), index(a.b)); break;
        case Dim::AtomKind::Max: e = op(ScalarOp::Max, index(a.a), index(a.b)); break;
        case Dim::AtomKind::Less: e = compare(ScalarOp::Lt, a.a, a.b); break;
        case Dim::AtomKind::Equal: e = compare(ScalarOp::Eq, a.a, a.b); break;
      }
      product = product ? op(ScalarOp::Mul, product, e) : e;
    }
    if (!product) {
      uniform += scalar;
      continue;
    }
    if (!scalar.is(1)) product = op(ScalarOp::Mul, product, ex::index(scalar));
    sum = sum ? op(ScalarOp::Add, sum, product) : product;
  }
  if (!uniform.is(0)) sum = sum ? op(ScalarOp::Add, sum, ex::index(uniform)) : ex::index(uniform);
  return sum;
}

bool ExprLowering::needs_guard(const Expr& e) const {
  bool found = false;
  visit(e, [&](const ExprNode& n) {
    found |= n.op == ScalarOp::Load && n.checked;
    if (n.op != ScalarOp::Read || found) return;
    if (registers.count(static_cast<int>(n.id))) return;
    const Storage& s = b_.storage(static_cast<int>(n.id));
    for (size_t k = 0; k < s.dims.size() && !found; ++k) {
      auto d = as_dim(n.args[k]);
      found = !d || !known_less_equal(0, *d) || !known_less(*d, s.dims[k]);
    }
  });
  return found;
}

Expr ExprLowering::lower(const Expr& e, const Expr& guard) {
  auto key = std::pair{e.get(), guard.get()};
  if (auto it = memo_.find(key); it != memo_.end() && it->second.second) return it->second.second;
  Expr r;
  const ExprNode& n = *e;
  switch (n.op) {
    case ScalarOp::Const: r = e; break;
    case ScalarOp::Index: r = index(n.dim); break;
    case ScalarOp::Read: r = lower_read(n, guard); break;
    case ScalarOp::Load: r = lower_load(n, guard); break;
    case ScalarOp::Select: r = lower_select(n, guard); break;
    case ScalarOp::Local: r = states.at(n.id); break;
    default: {
      std::vector<Expr> args;
      for (const Expr& a : n.args) args.push_back(lower(a, guard));
      r = with_args(n, std::move(args));
    }
  }
  // Guards are made on the way and may die: only entries without one, or whose guard is kept, may be remembered.
  if (!guard) memo_[key] = {e, r};
  return r;
}

Expr ExprLowering::lower_select(const ExprNode& n, const Expr& guard) {
  Expr c = lower(n.args[0], guard);
  if (c.is(ScalarOp::Const)) return lower(n.args[c->integer ? 1 : 2], guard);
  Expr yes = needs_guard(n.args[1]) ? lower(n.args[1], both(guard, c)) : lower(n.args[1], guard);
  Expr no;
  if (needs_guard(n.args[2])) {
    ExprNode inverse{ScalarOp::Not, DType::Bool};
    inverse.lanes = c.lanes();
    inverse.args = {c};
    no = lower(n.args[2], both(guard, ex::make(std::move(inverse))));
  } else {
    no = lower(n.args[2], guard);
  }
  return with_args(n, {c, yes, no});
}

namespace {

// A masked load without a lane touches no memory, but where its address is not mapped a machine takes hundreds of cycles to
// find that out: a load that the whole vector leaves out goes to the beginning of its buffer. A condition of many parts, as the
// pieces of a long concatenation have, would be longer than a Dim may be once it is multiplied out.
constexpr int kMaxConditionNodes = 32, kMaxNegations = 2;  // each negation doubles the terms

Dim address_where(const Expr& condition, const Dim& offset) {
  int nodes = 0, negations = 0;
  if (condition) visit(condition, [&](const ExprNode& n) { ++nodes, negations += n.op == ScalarOp::Not; });
  if (nodes > kMaxConditionNodes || negations > kMaxNegations) return offset;
  const auto holds = condition ? as_dim(condition) : std::nullopt;
  return holds ? select(*holds, offset, 0) : offset;
}

}  // namespace

Expr ExprLowering::lower_read(const ExprNode& n, const Expr& guard) {
  int value = static_cast<int>(n.id);
  if (auto it = registers.find(value); it != registers.end()) return it->second(n);
  const Storage& s = b_.storage(value);
  size_t rank = s.dims.size();
  Expr fill = n.checked ? n.args[rank] : Expr();
  bool border = n.checked && s.has_border() && equal(fill, s.fill);
  Dim offset = 0;
  Expr data;  // the part of the offset that is data
  Expr inside;
  auto op = [&](ScalarOp o, DType t, Expr a, Expr b) {
    if (a.lanes() != b.lanes()) a = splat(a), b = splat(b);
    ExprNode m{o, t};
    m.lanes = a.lanes();
    m.args = {std::move(a), std::move(b)};
    return ex::make(std::move(m));
  };
  for (size_t k = 0; k < rank; ++k) {
    if (auto d = as_dim(n.args[k])) {
      offset += s.offset_along(k, *d);
      if (!n.checked) continue;
      int64_t before = border ? s.before[k] : 0, after = border ? s.after[k] : 0;
      if (!known_less_equal(-before, *d))
        inside = both(inside, op(ScalarOp::Ge, DType::Bool, index(*d), ex::index(-before)));
      if (!known_less(*d, s.dims[k] + after))
        inside = both(inside, op(ScalarOp::Lt, DType::Bool, index(*d), ex::index(s.dims[k] + after)));
      continue;
    }
    Expr i = lower(n.args[k], guard);
    Expr good =
        both(op(ScalarOp::Ge, DType::Bool, i, ex::index(0)), op(ScalarOp::Lt, DType::Bool, i, ex::index(s.dims[k])));
    if (n.checked) {
      inside = both(inside, good);
    } else {
      Expr need = both(guard, i.lanes() > 1 ? tail_ : Expr());
      ExprNode bad{ScalarOp::Not, DType::Bool};
      bad.lanes = good.lanes();
      bad.args = {good};
      Expr wrong = both(need, ex::make(std::move(bad)));
      ExprNode ok{ScalarOp::Not, DType::Bool};
      ok.args = {any(wrong)};
      const Expr written = lower(before_wrapping(n.args[k]), guard);
      Expr culprit = written;
      if (written.lanes() > 1 || wrong.lanes() > 1) {
        ExprNode pick{ScalarOp::Select, DType::I64};
        pick.lanes = lanes_;
        pick.args = {splat(wrong), splat(written), splat(ex::integer(DType::I64, INT64_MIN))};
        ExprNode most{ScalarOp::LaneMax, DType::I64};
        most.args = {ex::make(std::move(pick))};
        culprit = ex::make(std::move(most));
      }
      b_.fail_unless(ex::make(std::move(ok)), INGOT_RUN_INDEX, {culprit, ex::index(s.dims[k])});
    }
    auto times = [&](Expr e, const Dim& stride) {
      return stride.is(1) ? e : op(ScalarOp::Mul, DType::I64, std::move(e), ex::index(stride));
    };
    Expr scaled;
    if (s.split.empty() || s.split[k] == 0) {
      scaled = times(i, s.strides[k]);
    } else {
      const Expr by = ex::index(s.split[k]);
      scaled = op(ScalarOp::Add, DType::I64, times(op(ScalarOp::Div, DType::I64, i, by), s.outer[k]),
                  times(op(ScalarOp::Rem, DType::I64, i, by), s.strides[k]));
    }
    data = data ? op(ScalarOp::Add, DType::I64, data, scaled) : scaled;
  }
  ExprNode load{ScalarOp::Load, s.dtype};
  load.id = b_.buffer(value);
  auto lane = lane_stride(offset);
  if (!lane) {  // div or mod in the lanes: the offset is computed per lane
    Expr all = index(offset);
    data = data ? op(ScalarOp::Add, DType::I64, data, all) : all;
    offset = 0;
    lane = {Dim(0), 0};
  }
  bool wide = lane->second != 0 || (data && data.lanes() > 1) || (inside && inside.lanes() > 1);
  load.lanes = wide ? lanes_ : 1;
  load.dim = lane->first;
  load.stride = wide ? lane->second : 1;
  if (wide && data && data.lanes() > 1) {
    // Offsets of all lanes in one vector of indices. (A scalar index only moves the base.)
    if (lane->second != 0) {
      data = op(ScalarOp::Add, DType::I64, splat(data), ramp(load.dim, lane->second, lanes_));
      load.dim = 0;
    }
    load.stride = 0;
  }
  if (data) load.args.push_back(data);
  Expr mask = both(inside, guard);
  if (wide && tail_) mask = both(mask, tail_);
  if (mask) {
    if (wide) load.dim = address_where(both(inside, guard), load.dim), mask = splat(mask);
    if (!wide && mask.lanes() > 1) {
      load.lanes = lanes_;
      load.stride = 0;
      wide = true;
    }
    load.args.push_back(mask);
  }
  Expr result = ex::make(std::move(load));
  if (n.checked && inside) {
    Expr otherwise = lower(fill, guard);
    bool zero = otherwise.is(ScalarOp::Const) && otherwise->integer == 0 && otherwise->number == 0 &&
                !std::signbit(otherwise->number);
    if (!zero) {
      ExprNode pick{ScalarOp::Select, s.dtype};
      std::vector<Expr> args = {inside, result, otherwise};
      ExprNode shape{ScalarOp::Select, s.dtype};
      result = with_args(shape, std::move(args));
    }
  }
  return result;
}

Expr ExprLowering::lower_load(const ExprNode& n, const Expr& guard) {
  int value = static_cast<int>(n.id);
  if (auto it = registers.find(value); it != registers.end()) return it->second(n);
  ExprNode load{ScalarOp::Load, b_.storage(value).dtype};
  load.id = b_.buffer(value);
  auto lane = lane_stride(n.dim);
  if (!lane) {  // div or mod in the lanes: the offset is computed per lane
    load.args.push_back(index(n.dim));
    load.stride = 0;
    load.lanes = lanes_;
  } else {
    load.dim = lane->first;
    load.lanes = lane->second != 0 ? lanes_ : 1;
    load.stride = lane->second != 0 ? lane->second : 1;
  }
  Expr mask = guard;
  if (load.lanes > 1) {
    load.dim = address_where(guard, load.dim);
    mask = both(mask, tail_);
    if (mask) mask = splat(mask);
  } else if (mask && mask.lanes() > 1) {
    load.lanes = lanes_;
    load.stride = 0;
  }
  if (mask) load.args.push_back(mask);
  return ex::make(std::move(load));
}

void ExprLowering::store_at(int value, const Dim& offset, Expr e) {
  int64_t buffer = b_.buffer(value, true);
  if (lanes_ == 1 || !vector_) {
    b_.store(buffer, offset, std::move(e));
    return;
  }
  auto lane = lane_stride(offset);
  if (lane) {
    b_.store(buffer, lane->first, splat(std::move(e)), lane->second, {}, tail_);
  } else {
    b_.store(buffer, 0, splat(std::move(e)), 0, index(offset), tail_);
  }
}

}  // namespace ingot
