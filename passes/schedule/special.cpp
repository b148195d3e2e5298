#include "passes/schedule/special.h"

#include <algorithm>

#include "ir/ops/written_index.h"
#include "runtime/abi.h"

namespace ingot {

Launch schedule_scan(const k::Stage& s, const k::Program& p, const Storages& storages, const TargetFacts& facts) {
  Nest n = make_nest(s, storages);
  k::Iter axis = s.iters[static_cast<size_t>(s.axis)];
  std::erase_if(n.iters, [&](const k::Iter& it) { return it.symbol->id == axis.symbol->id; });
  if (s.reverse) {
    k::Iter forward{Dim::iterator(axis.symbol->name, axis.extent), axis.extent};
    substitute(n, {{axis.symbol->id, axis.extent - 1 - Dim(forward.symbol)}});
    axis = forward;
  }
  KernelBuilder b(p, storages, facts);
  b.node = s.node;
  Dim items = elements(n.iters);
  Symbol item = Dim::iterator("item", items);
  b.decode(item, n.iters);
  DType t = n.body[0].type();
  int64_t acc = b.declare(t, 1, neutral(s.combiner, t));
  b.loop(axis.symbol, 0, axis.extent, 1, [&] {
    ExprLowering x(b);
    Expr next = combine(s.combiner, KernelBuilder::local(acc, t, 1), x.lower(n.body[0]));
    if (s.exclusive) {
      x.store_at(n.results[0].value, n.results[0].offset, KernelBuilder::local(acc, t, 1));
      b.set(acc, next);
    } else {
      b.set(acc, next);
      x.store_at(n.results[0].value, n.results[0].offset, KernelBuilder::local(acc, t, 1));
    }
  });
  Launch l = b.finish(fmt::format("scan_{}_{}", k::name(s.combiner), name(t)), item, items);
  l.kernel.schedule = "scan, one item per row";
  return l;
}

Launch schedule_scatter(const k::Stage& s, const k::Program& p, const Storages& storages, const TargetFacts& facts) {
  KernelBuilder b(p, storages, facts);
  b.node = s.node;
  int result = s.results[0];
  const Storage& out = storages[static_cast<size_t>(result)];
  Symbol item = Dim::iterator("item", 1);
  std::function<void(size_t)> loops = [&](size_t k) {
    if (k < s.iters.size()) {
      b.loop(s.iters[k].symbol, 0, s.iters[k].extent, 1, [&] { loops(k + 1); });
      return;
    }
    ExprLowering x(b);
    Dim offset = 0;
    Expr data, inside;
    for (size_t d = 0; d < s.targets.size(); ++d) {
      if (auto at = as_dim(s.targets[d]); at && known_less_equal(0, *at) && known_less(*at, out.dims[d])) {
        offset += *at * out.strides[d];
        continue;
      }
      Expr at = x.lower(s.targets[d]);
      Expr good = ex::binary(ScalarOp::And, ex::binary(ScalarOp::Ge, at, ex::index(0)),
                             ex::binary(ScalarOp::Lt, at, ex::index(out.dims[d])));
      if (s.skip_outside) {
        inside = inside ? ex::binary(ScalarOp::And, inside, good) : good;
      } else {
        b.fail_unless(good, INGOT_RUN_INDEX, {x.lower(before_wrapping(s.targets[d])), ex::index(out.dims[d])});
      }
      Expr scaled = ex::binary(ScalarOp::Mul, at, ex::index(out.strides[d]));
      data = data ? ex::binary(ScalarOp::Add, data, scaled) : scaled;
    }
    auto write = [&] {
      ExprLowering y(b);
      Expr v = y.lower(s.body[0]);
      int64_t buffer = b.buffer(result, true);
      if (s.combiner != k::Combiner::Assign) {
        ExprNode load{ScalarOp::Load, out.dtype};
        load.id = buffer;
        load.dim = offset;
        if (data) load.args = {data};
        v = combine(s.combiner, ex::make(std::move(load)), v);
      }
      b.store(buffer, offset, v, 1, data);
    };
    if (inside) {
      b.if_then(inside, write);
    } else {
      write();
    }
  };
  loops(0);
  Launch l = b.finish(fmt::format("scatter_{}_{}", k::name(s.combiner), name(out.dtype)), item, 1);
  l.kernel.schedule = "scatter, in order";
  return l;
}

Launch schedule_walk(const k::Stage& s, const k::Program& p, const Storages& storages, const TargetFacts& facts) {
  KernelBuilder b(p, storages, facts);
  b.node = s.node;
  Dim items = elements(s.iters);
  Symbol item = Dim::iterator("item", items);
  b.decode(item, s.iters);
  std::vector<int64_t> states;
  std::map<int64_t, Expr> locals;
  for (size_t k = 0; k < s.init.size(); ++k) {
    ExprLowering x(b);
    states.push_back(b.declare(s.init[k].type(), 1, x.lower(s.init[k])));
    locals[static_cast<int64_t>(k)] = KernelBuilder::local(states[k], s.init[k].type(), 1);
  }
  int64_t going = b.declare(DType::Bool, 1, ex::boolean(true));
  int64_t steps = b.declare(DType::I64, 1, ex::index(0));
  Expr going_on = KernelBuilder::local(going, DType::Bool, 1);
  // The condition may read memory at the states, so it is computed inside.
  b.while_loop(going_on, [&] {
    ExprLowering x(b);
    x.states = locals;
    Expr more = ex::binary(ScalarOp::And, x.lower(s.condition),
                           ex::binary(ScalarOp::Lt, KernelBuilder::local(steps, DType::I64, 1), ex::index(s.limit)));
    b.set(going, more);
    b.if_then(going_on, [&] {
      std::vector<int64_t> next;
      for (const Expr& e : s.body) {
        ExprLowering y(b);
        y.states = locals;
        next.push_back(b.declare(e.type(), 1, y.lower(e)));
      }
      for (size_t k = 0; k < states.size(); ++k) b.set(states[k], KernelBuilder::local(next[k], s.body[k].type(), 1));
      b.set(steps, ex::binary(ScalarOp::Add, KernelBuilder::local(steps, DType::I64, 1), ex::index(1)));
    });
  });
  std::vector<Dim> index;
  for (const k::Iter& it : s.iters) index.push_back(Dim(it.symbol));
  for (size_t k = 0; k < s.results.size(); ++k) {
    ExprLowering x(b);
    x.store_at(s.results[k], storages[static_cast<size_t>(s.results[k])].offset(index),
               locals[static_cast<int64_t>(k)]);
  }
  Launch l = b.finish(fmt::format("walk_{}", name(s.init[0].type())), item, items);
  l.grain = 64;
  l.kernel.schedule = "walk, one item per element";
  return l;
}

}  // namespace ingot
