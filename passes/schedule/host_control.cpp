// The host program but for kernels: extents, checks, algorithms, the model's own control flow. See host_program.h.
#include <algorithm>

#include "passes/kernels/passes.h"
#include "passes/schedule/host_program.h"
#include "passes/schedule/nest.h"
#include "passes/schedule/special.h"
#include "runtime/abi.h"

namespace ingot {

namespace {
inline constexpr int64_t kFirstRoom = 64;  // iterations that scanned results have room for at first
}

l::Stmt& Host::emit(l::StmtKind kind) {
  host_->push_back({kind});
  host_->back().node = node_;
  return host_->back();
}

Result<void> Host::special(const k::Stage& s) {
  switch (s.kind) {
    case k::StageKind::Map:
    case k::StageKind::Reduce: return {};
    case k::StageKind::Scan:
      for (int id : s.results) define(id);
      emit_launch(schedule_scan(s, p_, storages_, facts_));
      return {};
    case k::StageKind::Scatter: {
      for (int id : s.results) define(id);
      k::Stage copy = elementwise(p_, s.operands[0], s.results[0]);
      copy.node = s.node;
      emit_launch(schedule_single(make_nest(copy, storages_), p_, storages_, facts_));
      emit_launch(schedule_scatter(s, p_, storages_, facts_));
      return {};
    }
    case k::StageKind::Walk:
      for (int id : s.results) define(id);
      emit_launch(schedule_walk(s, p_, storages_, facts_));
      return {};
    case k::StageKind::Call: return call(s);
    case k::StageKind::Read: return read(s);
    case k::StageKind::Check: {
      l::Stmt& r = emit(l::StmtKind::Require);
      r.begin = s.condition_dim;
      r.code = INGOT_RUN_CHECK;
      r.args = {ex::index(Dim(static_cast<int64_t>(out_.messages.size())))};
      if (s.got) r.args.push_back(ex::index(*s.got));
      r.message = s.message;
      out_.messages.push_back(s.message);
      return {};
    }
    case k::StageKind::If: return branch(s);
    case k::StageKind::Loop: return loop(s);
  }
  return {};
}

l::Tensor Host::tensor(int id, bool decided) {
  if (id < 0) return {};
  if (!value(id).type.is_tensor()) return {buffer(id), DType::Invalid, {}};
  return {buffer(id, decided), storage(id).dtype, value(id).tensor().dims};
}

Result<void> Host::call(const k::Stage& s) {
  l::Stmt c{l::StmtKind::Call};
  c.node = s.node;
  c.name = s.algorithm;
  ++position_;
  for (int id : s.operands) {
    c.operands.push_back(tensor(id));
    if (id >= 0) touch(id);
  }
  for (int id : s.results) {
    bool decided = false;
    for (const Symbol& symbol : s.symbols) {
      for (const Dim& d : value(id).tensor().dims) decided |= depends_on(d, symbol);
    }
    c.results.push_back(tensor(id, decided));
    touch(id);
    if (!decided) place(id);
  }
  c.ints = s.ints;
  c.floats = s.floats;
  c.strings = s.strings;
  c.symbols = s.symbols;
  host_->push_back(std::move(c));
  return {};
}

Expr Host::host_load(int id, const Dim& element) {
  ++position_;
  touch(id);
  ExprNode n{ScalarOp::Load, storage(id).dtype};
  n.id = buffer(id);
  n.dim = element;
  return ex::make(std::move(n));
}

Expr Host::as_i64(Expr e) {
  if (e.type() == DType::I64) return e;
  ExprNode n{ScalarOp::Cast, DType::I64};
  n.args = {std::move(e)};
  return ex::make(std::move(n));
}

void Host::let(const Symbol& symbol, Expr e) {
  l::Stmt& s = emit(l::StmtKind::Let);
  s.symbol = symbol;
  s.expr = std::move(e);
}

Result<void> Host::read(const k::Stage& s) {
  for (size_t k = 0; k < s.symbols.size(); ++k) {
    const Symbol& symbol = s.symbols[k];
    let(symbol, as_i64(host_load(s.operands[0], Dim(s.elements[k]))));
    if (symbol->lo <= -kDimMax && symbol->hi >= kDimMax) continue;
    l::Stmt& r = emit(l::StmtKind::Require);
    // As text, the bounds are no facts yet: the comparison is made on a fresh symbol without them.
    Symbol raw = Dim::symbol(symbol->name, -kDimMax, kDimMax);
    r.kind = l::StmtKind::Let;
    r.symbol = raw;
    r.expr = host_->at(host_->size() - 2).expr;
    l::Stmt& check = emit(l::StmtKind::Require);
    check.begin = (Dim(1) - less(Dim(raw), symbol->lo)) * (Dim(1) - less(Dim(symbol->hi), Dim(raw)));
    check.code = INGOT_RUN_VALUE;
    check.args = {ex::index(Dim(raw))};
    check.message = fmt::format("expected a value in [{}, {}]", symbol->lo, symbol->hi);
  }
  return {};
}

int64_t Host::declare(DType t, Expr init) {
  l::Stmt& s = emit(l::StmtKind::Declare);
  s.id = next_local_++;
  s.dtype = t;
  s.expr = std::move(init);
  return s.id;
}

void Host::set(int64_t local, Expr e) {
  l::Stmt& s = emit(l::StmtKind::Set);
  s.id = local;
  s.dtype = e.type();
  s.expr = std::move(e);
}

void Host::assign(int from, int to) {
  l::Stmt& s = emit(l::StmtKind::Assign);
  s.id = to;
  s.buffers = {from};
}

void Host::copy(int from, int to, const Dim& shift) {
  if (!value(from).type.is_tensor()) return assign(buffer(from), buffer(to));
  k::Stage s = elementwise(p_, from, to);
  s.node = node_;
  Nest n;
  n.node = node_;
  std::vector<Dim> index;
  for (const k::Iter& it : s.iters) {
    n.iters.push_back(it);
    index.push_back(Dim(it.symbol));
  }
  n.body = {flatten_reads(s.body[0], s, storages_)};
  Dim offset = shift;
  const Storage& target = storage(to);
  size_t skip = target.strides.size() - index.size();  // a slice of a value with one more leading dim
  for (size_t k = 0; k < index.size(); ++k) offset += index[k] * target.strides[skip + k];
  n.results = {{to, offset}};
  doing({&s});
  emit_launch(schedule_single(std::move(n), p_, storages_, facts_));
}

// Runs f with statements going into `list`.
Result<void> Host::inside(std::vector<l::Stmt>& list, const std::function<Result<void>()>& f) {
  std::vector<l::Stmt>* saved = host_;
  host_ = &list;
  Result<void> r = f();
  host_ = saved;
  if (r) group(list);
  return r;
}

Result<void> Host::branch(const k::Stage& s) {
  std::vector<int64_t> locals;
  for (size_t k = 0; k < s.symbols.size(); ++k) locals.push_back(declare(DType::I64, ex::index(0)));
  l::Stmt i{l::StmtKind::If};
  i.node = s.node;
  i.expr = host_load(s.operands[0], 0);
  for (int side = 0; side < 2; ++side) {
    const k::Block& b = s.blocks[static_cast<size_t>(side)];
    TRY(inside(side == 0 ? i.body : i.otherwise, [&]() -> Result<void> {
      TRY(block(b));
      node_ = s.node;
      for (size_t k = 0; k < s.symbols.size(); ++k) {
        set(locals[k], ex::index(b.symbols[k]));
        let(s.symbols[k], ex::index(b.symbols[k]));
      }
      for (size_t k = 0; k < s.results.size(); ++k) {
        place(s.results[k]);
        copy(b.outputs[k], s.results[k]);
      }
      return {};
    }));
  }
  host_->push_back(std::move(i));
  for (size_t k = 0; k < s.symbols.size(); ++k) let(s.symbols[k], KernelBuilder::local(locals[k], DType::I64, 1));
  return {};
}

// In an iteration: the first one decides the extents of these scanned results.
Result<void> Host::decide_late(const k::Stage& s, const std::vector<bool>& late, const std::vector<int>& results,
                               const std::vector<int64_t>& extents, const Symbol& iteration) {
  const k::Block& b = s.blocks[0];
  l::Stmt first{l::StmtKind::If};
  first.node = s.node;
  first.expr = ex::binary(ScalarOp::Eq, ex::index(Dim(iteration)), ex::index(0));
  TRY(inside(first.body, [&]() -> Result<void> {
    for (size_t c = 0; c < late.size(); ++c) {
      if (!late[c]) continue;
      set(extents[c], ex::index(b.symbols[c]));
      let(s.symbols[c], ex::index(b.symbols[c]));
    }
    for (int id : results) place(id);
    return {};
  }));
  host_->push_back(std::move(first));
  for (size_t c = 0; c < late.size(); ++c) {
    if (!late[c]) continue;
    let(s.symbols[c], KernelBuilder::local(extents[c], DType::I64, 1));
    l::Stmt& same = emit(l::StmtKind::Require);
    same.begin = equal(Dim(s.symbols[c]), b.symbols[c]);
    same.code = INGOT_RUN_DIM;
    same.args = {ex::index(b.symbols[c]), ex::index(Dim(s.symbols[c]))};
  }
  return {};
}

// In an iteration that finds no room left in the scanned results: they move to memory with twice the room.
Result<void> Host::grow(const k::Stage& s, int64_t room, const Symbol& iteration, const Symbol& trip) {
  const size_t carried = s.operands.size() - 2;
  l::Stmt full{l::StmtKind::If};
  full.node = s.node;
  const Expr has = KernelBuilder::local(room, DType::I64, 1);
  full.expr = ex::binary(ScalarOp::Ge, ex::index(Dim(iteration)), has);
  TRY(inside(full.body, [&]() -> Result<void> {
    std::vector<int> kept;
    for (size_t k = carried; k < s.results.size(); ++k) {
      const int id = s.results[k];
      TensorType filled = value(id).tensor();
      filled.dims[0] = Dim(iteration);
      kept.push_back(add_value(p_, storages_, value(id).name + ".grown", std::move(filled)));
      place(kept.back());
      const int from = renamed(id, value(kept.back()).tensor());
      copy(from, kept.back());
    }
    set(room, ex::binary(ScalarOp::Min, ex::index(max(Dim(trip), 0)), ex::binary(ScalarOp::Add, has, has)));
    let(s.symbols.back(), has);
    for (size_t k = carried; k < s.results.size(); ++k) {
      place(s.results[k]);
      copy(kept[k - carried], s.results[k]);
    }
    return {};
  }));
  host_->push_back(std::move(full));
  return {};
}

// The memory of a row-major value under another type: where its extents have changed their names, or a part of it is used.
int Host::renamed(int id, TensorType type) {
  const int alias = add_value(p_, storages_, value(id).name, std::move(type));
  buffers_[alias] = buffer(id);
  Storage& s = storages_[static_cast<size_t>(alias)];
  s.whole = memory_of(storages_, id);
  s.at.assign(s.dims.size(), Dim(0));
  return alias;
}

// Whether nothing refers to the table of carried object k once the iteration's end replaces it: each iteration makes a new one
// (see algorithms/objects.cpp), and reads the old one in algorithms only, which do not put it into another object.
bool Host::replaced_for_good(const k::Block& body, size_t k) const {
  const int param = body.params[k + 2], from = body.outputs[k + 1];
  auto of_tensors = [](const Type& t) { return !t.is_tensor() && t.element && t.element->is_tensor(); };
  auto nests = [](const Type& t) { return t.element && !t.element->is_tensor(); };
  if (!of_tensors(value(param).type)) return false;
  auto any_nests = [&](const std::vector<int>& ids) {
    return std::any_of(ids.begin(), ids.end(), [&](int id) { return id >= 0 && nests(value(id).type); });
  };
  const bool fresh = std::any_of(body.stages.begin(), body.stages.end(), [&](const k::Stage& s) {
    return s.kind == k::StageKind::Call && !any_nests(s.operands) &&
           std::find(s.results.begin(), s.results.end(), from) != s.results.end();
  });
  auto among = [&](const std::vector<int>& ids) { return std::find(ids.begin(), ids.end(), param) != ids.end(); };
  bool kept = among(body.outputs);
  for_each_stage(body, [&](const k::Stage& s) {
    for (const k::Block& inner : s.blocks) kept = kept || among(inner.outputs);
    if (among(s.operands)) kept = kept || s.kind != k::StageKind::Call || any_nests(s.results);
  });
  return fresh && !kept;
}

// The first iteration's belongs to who began the loop.
void Host::release_after_first(int object, const Symbol& iteration) {
  l::Stmt later{l::StmtKind::If};
  later.node = node_;
  later.expr = ex::binary(ScalarOp::Gt, ex::index(Dim(iteration)), ex::index(0));
  l::Stmt c{l::StmtKind::Call};
  c.node = node_;
  c.name = "release_object";
  c.operands = {tensor(object)};
  later.body.push_back(std::move(c));
  host_->push_back(std::move(later));
}

// What the carried values become after this iteration, as values that may be read once the symbols of their extents mean the
// next iteration's: extents of the body are in the symbols of this one. What is a parameter of this iteration is copied
// first, since its place is overwritten.
std::vector<int> Host::next_values(const k::Stage& s) {
  const k::Block& b = s.blocks[0];
  const size_t carried = s.operands.size() - 2;
  auto changes = [&](int id) {
    const Storage& st = storage(id);
    auto any = [&](const Dim& d) {
      return std::any_of(s.carried_symbols.begin(), s.carried_symbols.end(),
                         [&](const Symbol& c) { return depends_on(d, c); });
    };
    return any(st.origin) || std::any_of(st.dims.begin(), st.dims.end(), any) ||
           std::any_of(st.strides.begin(), st.strides.end(), any);
  };
  std::vector<int> next;
  for (size_t k = 0; k < carried; ++k) {
    int id = b.outputs[k + 1];
    const int to = b.params[k + 2];
    const bool param = std::find(b.params.begin(), b.params.end(), id) != b.params.end();
    const bool tensor = value(id).type.is_tensor();
    const bool resized = tensor && id != to && (changes(id) || changes(to));
    if (id != to && (param || (resized && !(storage(id).row_major() && storage(id).whole < 0)))) {
      k::Value copied = value(id);
      copied.name += ".next";
      copied.constant = nullptr;
      const int t = p_.add(std::move(copied));
      storages_.resize(p_.values.size());
      if (tensor) storages_[static_cast<size_t>(t)] = row_major(value(t).tensor());
      place(t);
      copy(id, t);
      id = t;
    }
    if (resized) id = renamed(id, value(to).tensor());
    next.push_back(id);
  }
  return next;
}

Result<void> Host::loop(const k::Stage& s) {
  const k::Block& b = s.blocks[0];
  size_t carried = s.operands.size() - 2, scanned = s.results.size() - carried;
  int begin = position_;
  // Trip count and condition.
  Symbol trip = Dim::symbol("trip", -kDimMax, kDimMax);
  let(trip, s.operands[0] >= 0 ? as_i64(host_load(s.operands[0], 0)) : ex::index(kDimMax));
  int64_t going = declare(DType::Bool, s.operands[1] >= 0 ? host_load(s.operands[1], 0) : ex::boolean(true));
  int64_t count = declare(DType::I64, ex::index(0));
  std::vector<int64_t> extents;
  for (size_t k = 0; k < s.carried_symbols.size(); ++k)
    extents.push_back(declare(DType::I64, ex::index(s.symbol_init[k])));
  auto let_carried = [&] {
    for (size_t k = 0; k < s.carried_symbols.size(); ++k)
      let(s.carried_symbols[k], KernelBuilder::local(extents[k], DType::I64, 1));
  };
  let_carried();
  for (int id : {b.params[0], b.params[1]}) place(id);
  for (size_t k = 0; k < carried; ++k) {
    place(b.params[k + 2]);
    copy(s.operands[k + 2], b.params[k + 2]);
  }
  // Where only the run knows the number of iterations, scanned results have room for `room` of them, and grow.
  const bool unknown_count = scanned > 0 && s.symbols.size() > s.carried_symbols.size();
  const int64_t room = unknown_count ? declare(DType::I64, ex::index(min(max(Dim(trip), 0), kFirstRoom))) : -1;
  if (unknown_count) let(s.symbols.back(), KernelBuilder::local(room, DType::I64, 1));
  // Those whose extents the first iteration decides are placed there; without any iteration they are empty.
  std::vector<bool> late(s.carried_symbols.size(), false);
  std::vector<int> late_results;
  for (size_t k = 0; k < scanned; ++k) {
    const int id = s.results[carried + k];
    bool decided = false;
    for (size_t c = 0; c < late.size(); ++c) {
      for (const Dim& d : value(id).tensor().dims) {
        if (depends_on(d, s.symbols[c])) late[c] = decided = true;
      }
    }
    if (decided) late_results.push_back(id);
  }
  auto let_late = [&] {
    for (size_t c = 0; c < late.size(); ++c)
      if (late[c]) let(s.symbols[c], KernelBuilder::local(extents[c], DType::I64, 1));
  };
  let_late();
  for (size_t k = 0; k < scanned; ++k) place(s.results[carried + k]);
  l::Stmt w{l::StmtKind::While};
  w.node = s.node;
  Expr more = ex::binary(ScalarOp::Lt, KernelBuilder::local(count, DType::I64, 1), ex::index(Dim(trip)));
  w.expr = ex::binary(ScalarOp::And, more, KernelBuilder::local(going, DType::Bool, 1));
  TRY(inside(w.body, [&]() -> Result<void> {
    Symbol iteration = Dim::symbol("iteration");
    let(iteration, KernelBuilder::local(count, DType::I64, 1));
    let_carried();
    auto put = [&](int id, Expr e) {
      ++position_;
      touch(id);
      l::Stmt& st = emit(l::StmtKind::Store);
      st.id = buffer(id);
      st.dtype = e.type();
      st.expr = std::move(e);
    };
    put(b.params[0], ex::index(Dim(iteration)));
    put(b.params[1], KernelBuilder::local(going, DType::Bool, 1));
    TRY(block(b));
    node_ = s.node;
    set(going, host_load(b.outputs[0], 0));
    if (!late_results.empty()) TRY(decide_late(s, late, late_results, extents, iteration));
    if (unknown_count) TRY(grow(s, room, iteration, trip));
    for (size_t k = 0; k < scanned; ++k) {
      int to = s.results[carried + k];
      copy(b.outputs[carried + 1 + k], to, Dim(iteration) * storage(to).strides[0]);
    }
    for (size_t k = 0; k < extents.size(); ++k) set(extents[k], ex::index(b.symbols[k]));
    const std::vector<int> next = next_values(s);
    let_carried();
    for (size_t k = 0; k < carried; ++k) {
      int to = b.params[k + 2];
      if (next[k] == to) continue;
      if (replaced_for_good(b, k)) release_after_first(to, iteration);
      if (out_.buffers[static_cast<size_t>(buffer(to))].kind == l::HostBuffer::Kind::Dynamic) place(to);
      copy(next[k], to);
    }
    set(count, ex::index(Dim(iteration) + 1));
    return {};
  }));
  host_->push_back(std::move(w));
  ++position_;
  // What lives across iterations lives through the whole loop.
  for (auto& [id, life] : lives_) {
    bool param = std::find(b.params.begin(), b.params.end(), id) != b.params.end();
    bool outside = life.first <= begin && life.last > begin;
    if (param || outside) life.last = std::max(life.last, position_);
  }
  for (size_t k = 0; k < s.results.size(); ++k) {
    if (k >= carried) touch(s.results[k]);
  }
  for (size_t k = 0; k < s.carried_symbols.size(); ++k)
    let(s.symbols[k], KernelBuilder::local(extents[k], DType::I64, 1));
  if (unknown_count) let(s.symbols.back(), KernelBuilder::local(count, DType::I64, 1));
  let_carried();
  for (size_t k = 0; k < carried; ++k) {
    place(s.results[k]);
    copy(b.params[k + 2], s.results[k]);
  }
  return {};
}

}  // namespace ingot
