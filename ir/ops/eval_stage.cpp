// See eval_stage.h. Each stage is a walk over the loops around its vector code.
#include "ir/ops/eval_stage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/ops/written_index.h"

namespace ingot::eval {

Result<void> Budget::check_time() {
  if (--until_check_ > 0) return {};
  until_check_ = 2048;
  if (std::chrono::steady_clock::now() > deadline_)
    return limit_exceeded("evaluation takes longer than {} s", max_seconds_);
  return {};
}

Result<std::shared_ptr<TensorData>> Budget::allocate(DType t, const std::vector<int64_t>& dims) {
  int64_t n = 1;
  for (int64_t d : dims) {
    if (d < 0) return invalid("got a negative extent {}", d);
    if (d > 0 && n > max_bytes_ / d)
      return limit_exceeded("a value of {} elements and more does not fit in {} bytes", n, max_bytes_);
    n *= d;
  }
  const int64_t bytes = t == DType::String ? n * static_cast<int64_t>(sizeof(std::string)) : storage_bytes(t, n);
  if (bytes > max_bytes_ - *live_) return limit_exceeded("evaluation needs more than {} bytes", max_bytes_);
  *live_ += bytes;
  auto made = TensorData::make(t, dims);
  TensorData* raw = made.get();
  return std::shared_ptr<TensorData>(raw, [made, live = live_, bytes](TensorData*) mutable {
    *live -= bytes;
    made.reset();
  });
}

namespace {

using k::Combiner;
using k::StageKind;

std::vector<int64_t> extents(const std::vector<k::Iter>& iters, const Bindings& symbols) {
  std::vector<int64_t> out;
  for (const k::Iter& i : iters) out.push_back(ingot::evaluate(i.extent, symbols).value_or(-1));
  return out;
}

// Calls f(chunk begin, chunk length) for each chunk, and steps through the loops of the given kind around it in
// row-major order. The lane loop takes part when it is of that kind.
template <class F>
Result<void> for_loops(Code& code, bool reduced, Budget& budget, const F& f) {
  std::vector<size_t> outer;
  for (size_t i = 0; i < code.loops().size(); ++i)
    if (code.loops()[i].reduced == reduced && static_cast<int>(i) != code.lane()) outer.push_back(i);
  const Loop& lane = code.loops()[static_cast<size_t>(code.lane())];
  const bool chunked = lane.reduced == reduced;
  for (size_t i : outer)
    if (code.loops()[i].extent == 0) return {};
  for (size_t i : outer) code.at()[i] = 0;
  for (;;) {
    if (chunked) {
      for (int64_t begin = 0; begin < lane.extent; begin += kEvalChunk) {
        code.at()[static_cast<size_t>(code.lane())] = begin;
        TRY(budget.check_time());
        TRY(f(std::min(kEvalChunk, lane.extent - begin)));
      }
    } else {
      TRY(f(int64_t{1}));
    }
    size_t i = outer.size();
    while (i > 0) {
      if (++code.at()[outer[i - 1]] < code.loops()[outer[i - 1]].extent) break;
      code.at()[outer[--i]] = 0;
    }
    if (i == 0) return {};
  }
}

Result<std::vector<std::shared_ptr<TensorData>>> allocate_results(const k::Stage& s, const std::vector<DType>& types,
                                                                  const Bindings& symbols, Budget& budget) {
  std::vector<std::shared_ptr<TensorData>> out;
  const auto dims = extents(s.iters, symbols);
  for (DType t : types) out.push_back(TRY(budget.allocate(t, dims)));
  return out;
}

using Tensors = std::vector<std::shared_ptr<TensorData>>;

Result<void> run_map_into(Code& code, int form, Tensors& results, Budget& budget) {
  const size_t n_roots = results.size();
  return for_loops(code, false, budget, [&](int64_t n) -> Result<void> {
    const int64_t base = code.form_base(form), stride = code.form_stride(form);
    bool direct[8] = {};
    const bool contiguous = stride == 1 || n == 1;
    for (size_t i = 0; i < n_roots && i < 8; ++i)
      if (is_native(results[i]->dtype))
        direct[i] =
            code.direct_root(
                0, i, contiguous ? results[i]->mutable_bytes() + base * register_bytes(results[i]->dtype) : nullptr) &&
            contiguous;
    TRY(code.run(0, n));
    for (size_t i = 0; i < n_roots; ++i)
      if (i >= 8 || !direct[i]) store_strided(*results[i], base, stride, code.root(0, i), n);
    return {};
  });
}

std::vector<DType> body_types(const k::Stage& s) {
  std::vector<DType> out;
  for (const Expr& e : s.body) out.push_back(e.type());
  return out;
}

Result<Tensors> run_map(const k::Stage& s, const Code::Lookup& tensor, const Bindings& symbols, Budget& budget) {
  Code code(tensor, symbols);
  TRY(code.set_loops(s.iters, {}));
  TRY(code.add_section(s.body));
  const int form = code.add_output_form();
  TRY(code.compile(Code::Lanes::Any));
  Tensors results = TRY(allocate_results(s, body_types(s), symbols, budget));
  if (code.iterations() > 0) TRY(run_map_into(code, form, results, budget));
  return results;
}

// ---- Combining. Sum and Prod of floats accumulate in double; the other combiners in the register's type.

bool in_double(Combiner c, DType t) { return (c == Combiner::Sum || c == Combiner::Prod) && is_float(t); }
DType accumulator_type(Combiner c, DType t) { return in_double(c, t) ? DType::F64 : t; }

ScalarOp combine_op(Combiner c) {
  switch (c) {
    case Combiner::Sum: return ScalarOp::Add;
    case Combiner::Prod: return ScalarOp::Mul;
    case Combiner::Max:
    case Combiner::ArgMaxFirst:
    case Combiner::ArgMaxLast: return ScalarOp::Max;
    case Combiner::Min:
    case Combiner::ArgMinFirst:
    case Combiner::ArgMinLast: return ScalarOp::Min;
    case Combiner::And: return ScalarOp::And;
    case Combiner::Or:
    case Combiner::Assign: return ScalarOp::Or;
  }
  return ScalarOp::Add;
}

void fill_identity(void* acc, Combiner c, DType t, int64_t n) {
  double number = 0;
  int64_t integer = 0;
  const int width = t == DType::Bool ? 1 : bits(t);
  const int64_t lowest = is_signed(t) && !is_float(t) ? -(int64_t{1} << (width - 2)) * 2 : 0;
  const int64_t all = t == DType::Bool ? 1 : -1;
  const int64_t highest = t == DType::Bool ? 1
                          : is_signed(t)   ? -(lowest + 1)
                          : width == 64    ? -1
                                           : (int64_t{1} << width) - 1;
  switch (combine_op(c)) {
    case ScalarOp::Mul: number = 1, integer = 1; break;
    case ScalarOp::Max: number = -std::numeric_limits<double>::infinity(), integer = lowest; break;
    case ScalarOp::Min: number = std::numeric_limits<double>::infinity(), integer = highest; break;
    case ScalarOp::And: integer = all; break;
    default: break;
  }
  fill_constant(acc, t, number, integer, n);
}

// acc[i] (op)= v[i]; f32 values into double accumulators without a cast in between.
template <class T, bool Product>
void accumulate_double(double* __restrict acc, const T* v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (Product) acc[i] *= static_cast<double>(v[i]);
    else acc[i] += static_cast<double>(v[i]);
  }
}
void accumulate(void* acc, const void* v, Combiner c, DType t, int64_t n) {
  if (in_double(c, t)) {
    double* a = static_cast<double*>(acc);
    const bool product = c == Combiner::Prod;
    if (t == DType::F64)
      product ? accumulate_double<double, true>(a, static_cast<const double*>(v), n)
              : accumulate_double<double, false>(a, static_cast<const double*>(v), n);
    else
      product ? accumulate_double<float, true>(a, static_cast<const float*>(v), n)
              : accumulate_double<float, false>(a, static_cast<const float*>(v), n);
    return;
  }
  // In place is fine chunk-wise: the kernels read lane i before they write it.
  alignas(64) static thread_local uint8_t temporary[kEvalChunk * 8];
  op_fn(combine_op(c), t)(temporary, acc, v, nullptr, n);
  copy_lanes(acc, temporary, t, 0, n);
}

// acc (op)= v[0], v[1], ... in order.
template <class T, class F>
void fold_with(void* acc, const void* v, int64_t n, F f) {
  T a = *static_cast<T*>(acc);
  const T* x = static_cast<const T*>(v);
  for (int64_t i = 0; i < n; ++i) a = f(a, x[i]);
  *static_cast<T*>(acc) = a;
}
void fold(void* acc, const void* v, Combiner c, DType t, int64_t n) {
  if (in_double(c, t)) {
    double a = *static_cast<double*>(acc);
    auto each = [&](auto* x) {
      for (int64_t i = 0; i < n; ++i)
        a = c == Combiner::Prod ? a * static_cast<double>(x[i]) : a + static_cast<double>(x[i]);
    };
    if (t == DType::F64) each(static_cast<const double*>(v));
    else each(static_cast<const float*>(v));
    *static_cast<double*>(acc) = a;
    return;
  }
  if (register_bytes(t) == 4 && is_float(t) && c == Combiner::Max)
    return fold_with<float>(acc, v, n, [](float a, float b) { return (a > b || a != a) ? a : b; });
  const VecFn f = op_fn(combine_op(c), t);
  const size_t size = static_cast<size_t>(register_bytes(t));
  for (int64_t i = 0; i < n; ++i) {
    alignas(16) uint8_t out[16];
    f(out, acc, static_cast<const uint8_t*>(v) + static_cast<size_t>(i) * size, nullptr, 1);
    std::memcpy(acc, out, size);
  }
}

// (value, index) pairs: where does `v` replace `a`?
template <class T>
void arg_update(T* acc, int64_t* acc_index, const T* v, const int64_t* index, Combiner c, int64_t n, bool into_one,
                bool first) {
  const bool maximum = c == Combiner::ArgMaxFirst || c == Combiner::ArgMaxLast;
  const bool last = c == Combiner::ArgMaxLast || c == Combiner::ArgMinLast;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t o = into_one ? 0 : i;
    const T a = acc[o], b = v[i];
    bool take;
    if (first && (!into_one || i == 0)) take = true;
    else if (b != b) take = last || a == a;
    else if (a != a) take = false;
    else take = maximum ? (last ? b >= a : b > a) : (last ? b <= a : b < a);
    if (take) acc[o] = b, acc_index[o] = index[i];
  }
}
void arg_accumulate(void* acc, int64_t* acc_index, const void* v, const int64_t* index, Combiner c, DType t, int64_t n,
                    bool into_one, bool first) {
  auto go = [&]<class T>() {
    arg_update(static_cast<T*>(acc), acc_index, static_cast<const T*>(v), index, c, n, into_one, first);
  };
  if (t == DType::F64) return go.template operator()<double>();
  if (is_float(t)) return go.template operator()<float>();
  switch (bits(t)) {
    case 64: return is_signed(t) ? go.template operator()<int64_t>() : go.template operator()<uint64_t>();
    case 32: return is_signed(t) ? go.template operator()<int32_t>() : go.template operator()<uint32_t>();
    case 16: return is_signed(t) ? go.template operator()<int16_t>() : go.template operator()<uint16_t>();
    default: return is_signed(t) ? go.template operator()<int8_t>() : go.template operator()<uint8_t>();
  }
}

bool is_arg(Combiner c) {
  return c == Combiner::ArgMaxFirst || c == Combiner::ArgMaxLast || c == Combiner::ArgMinFirst ||
         c == Combiner::ArgMinLast;
}

// From the accumulator's type to the body's, in `out`.
const void* finish(void* acc, Combiner c, DType t, void* out, int64_t n) {
  const DType a = accumulator_type(c, t);
  if (a == t) return acc;
  const auto fns = cast_fns(a, t, false);
  fns[0](out, acc, nullptr, nullptr, n);
  for (size_t i = 1; i < fns.size(); ++i) fns[i](out, out, nullptr, nullptr, n);
  return out;
}

Result<void> check_combiner(const k::Stage& s) {
  if (is_arg(s.combiner)) {
    if (s.body.size() != 2 || s.body[1].type() != DType::I64)
      return invalid("{} needs two bodies, a value and an i64 index", k::name(s.combiner));
    if (!is_arithmetic(s.body[0].type())) return unsupported("cannot compare {}", name(s.body[0].type()));
  } else if (s.body.size() != 1) {
    return invalid("{} needs one body, got {}", k::name(s.combiner), s.body.size());
  } else if (s.combiner != Combiner::Assign && !op_fn(combine_op(s.combiner), s.body[0].type()) &&
             !in_double(s.combiner, s.body[0].type())) {
    return unsupported("cannot combine {} by {}", name(s.body[0].type()), k::name(s.combiner));
  }
  return {};
}

Result<Tensors> run_reduce(const k::Stage& s, const Code::Lookup& tensor, const Bindings& symbols, Budget& budget) {
  TRY(check_combiner(s));
  if (s.combiner == Combiner::Assign) return invalid("a reduction cannot assign");
  const bool arg = is_arg(s.combiner);
  Code code(tensor, symbols);
  TRY(code.set_loops(s.iters, s.reds));
  TRY(code.add_section(s.body));
  const int form = code.add_output_form();
  const bool empty = code.reductions() == 0;
  TRY(code.compile(arg ? Code::Lanes::InnermostRedOrAnyIter : Code::Lanes::Any));
  Tensors results = TRY(allocate_results(s, body_types(s), symbols, budget));
  if (code.iterations() == 0) return results;

  const DType t = s.body[0].type();
  const DType acc_type = accumulator_type(s.combiner, t);
  alignas(64) uint8_t acc[kEvalChunk * 8];
  alignas(64) uint8_t out[kEvalChunk * 8];
  alignas(64) int64_t acc_index[kEvalChunk];
  const bool lane_reduced = code.loops()[static_cast<size_t>(code.lane())].reduced;
  TRY(for_loops(code, false, budget, [&](int64_t n) -> Result<void> {
    fill_identity(acc, s.combiner, acc_type, n);
    if (arg) std::fill_n(acc_index, n, 0);
    bool first = true;
    if (!empty)
      TRY(for_loops(code, true, budget, [&](int64_t reduced) -> Result<void> {
        const int64_t lanes = lane_reduced ? reduced : n;
        TRY(code.run(0, lanes));
        if (arg)
          arg_accumulate(acc, acc_index, code.root(0, 0), static_cast<const int64_t*>(code.root(0, 1)), s.combiner, t,
                         lanes, lane_reduced, first);
        else if (lane_reduced) fold(acc, code.root(0, 0), s.combiner, t, lanes);
        else accumulate(acc, code.root(0, 0), s.combiner, t, lanes);
        first = false;
        return {};
      }));
    const int64_t base = code.form_base(form), stride = lane_reduced ? 0 : code.form_stride(form);
    store_strided(*results[0], base, stride, finish(acc, s.combiner, t, out, n), n);
    if (arg) store_strided(*results[1], base, stride, acc_index, n);
    return {};
  }));
  return results;
}

Result<Tensors> run_scan(const k::Stage& s, const Code::Lookup& tensor, const Bindings& symbols, Budget& budget) {
  TRY(check_combiner(s));
  if (is_arg(s.combiner) || s.combiner == Combiner::Assign)
    return invalid("a scan cannot combine by {}", k::name(s.combiner));
  if (s.axis < 0 || s.axis >= static_cast<int>(s.iters.size())) return invalid("scan axis {} out of range", s.axis);
  k::Stage map = s;
  map.kind = StageKind::Map;
  Tensors results = TRY(run_map(map, tensor, symbols, budget));
  const auto dims = extents(s.iters, symbols);
  int64_t outer = 1, inner = 1;
  const int64_t length = dims[static_cast<size_t>(s.axis)];
  for (int i = 0; i < static_cast<int>(dims.size()); ++i) {
    if (i < s.axis) outer *= dims[static_cast<size_t>(i)];
    if (i > s.axis) inner *= dims[static_cast<size_t>(i)];
  }
  const DType t = s.body[0].type(), acc_type = accumulator_type(s.combiner, t);
  alignas(64) uint8_t acc[kEvalChunk * 8], out[kEvalChunk * 8], values[kEvalChunk * 8];
  TensorData& data = *results[0];
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t begin = 0; begin < inner; begin += kEvalChunk) {
      const int64_t n = std::min(kEvalChunk, inner - begin);
      fill_identity(acc, s.combiner, acc_type, n);
      for (int64_t j = 0; j < length; ++j) {
        TRY(budget.check_time());
        const int64_t at = (o * length + (s.reverse ? length - 1 - j : j)) * inner + begin;
        load_strided(values, data, at, 1, n);
        if (!s.exclusive) accumulate(acc, values, s.combiner, t, n);
        store_strided(data, at, 1, finish(acc, s.combiner, t, out, n), n);
        if (s.exclusive) accumulate(acc, values, s.combiner, t, n);
      }
    }
  return results;
}

Result<Tensors> run_scatter(const k::Stage& s, const Code::Lookup& tensor, const Bindings& symbols, Budget& budget) {
  TRY(check_combiner(s));
  if (is_arg(s.combiner) || s.operands.empty()) return invalid("scatter needs a base and a combiner of one value");
  const TensorData* base = tensor(s.operands[0]);
  if (!base) return invalid("the base of a scatter has no contents");
  const DType t = s.body[0].type();
  if (base->dtype != t) return invalid("scatter of {} into {}", name(t), name(base->dtype));
  if (s.targets.size() != base->dims.size())
    return invalid("scatter has {} targets, expected {}", s.targets.size(), base->dims.size());
  Tensors results;
  results.push_back(TRY(budget.allocate(t, base->dims)));
  TensorData& out = *results[0];
  copy_elements(out, *base);

  Code code(tensor, symbols);
  TRY(code.set_loops(s.iters, {}));
  std::vector<Expr> roots = s.targets;
  roots.push_back(s.body[0]);
  TRY(code.add_section(roots));
  TRY(code.compile(Code::Lanes::InnermostIter));
  if (code.iterations() == 0) return results;
  const size_t rank = s.targets.size();
  const VecFn combine = s.combiner == Combiner::Assign ? nullptr : op_fn(combine_op(s.combiner), t);
  const VecFn round = round_fn(t);
  const int64_t size = register_bytes(t);
  TRY(for_loops(code, false, budget, [&](int64_t n) -> Result<void> {
    TRY(code.run(0, n));
    const uint8_t* value = static_cast<const uint8_t*>(code.root(0, rank));
    for (int64_t l = 0; l < n; ++l) {
      int64_t flat = 0;
      bool inside = true;
      for (size_t d = 0; d < rank; ++d) {
        const int64_t i = static_cast<const int64_t*>(code.root(0, d))[l];
        if (i < 0 || i >= out.dims[d]) {
          if (!s.skip_outside) return out_of_range(i, out.dims[d], wraps(s.targets[d]));
          inside = false;
          break;
        }
        flat = flat * out.dims[d] + i;
      }
      if (!inside) continue;
      if (!combine) {
        store_strided(out, flat, 1, value + l * size, 1);
        continue;
      }
      alignas(16) uint8_t old[16], updated[16];
      load_strided(old, out, flat, 1, 1);
      combine(updated, old, value + l * size, nullptr, 1);
      if (round) round(updated, updated, nullptr, nullptr, 1);
      store_strided(out, flat, 1, updated, 1);
    }
    return {};
  }));
  return results;
}

Result<Tensors> run_walk(const k::Stage& s, const Code::Lookup& tensor, const Bindings& symbols, Budget& budget) {
  const size_t n_states = s.init.size();
  if (s.body.size() != n_states || !s.condition)
    return invalid("walk has {} states and {} bodies", n_states, s.body.size());
  std::vector<DType> types;
  for (size_t i = 0; i < n_states; ++i) {
    types.push_back(s.init[i].type());
    if (s.body[i].type() != types[i])
      return invalid("state {} of a walk changes from {} to {}", i, name(types[i]), name(s.body[i].type()));
  }
  Code code(tensor, symbols);
  TRY(code.set_loops(s.iters, {}));
  TRY(code.add_section(s.init));
  TRY(code.add_section({s.condition}));
  TRY(code.add_section(s.body));
  const int form = code.add_output_form();
  TRY(code.compile(Code::Lanes::Any, types, true));
  Tensors results = TRY(allocate_results(s, types, symbols, budget));
  if (code.iterations() == 0) return results;
  TRY(for_loops(code, false, budget, [&](int64_t n) -> Result<void> {
    std::fill_n(code.active(), n, 1);
    TRY(code.run(0, n));
    for (size_t i = 0; i < n_states; ++i) copy_lanes(code.state(i), code.root(0, i), types[i], 0, n);
    for (int64_t step = 0; step < s.limit; ++step) {
      TRY(budget.check_time());
      TRY(code.run(1, n));
      const uint8_t* condition = static_cast<const uint8_t*>(code.root(1, 0));
      bool any = false;
      for (int64_t l = 0; l < n; ++l) {
        code.active()[l] = code.active()[l] && condition[l];
        any |= code.active()[l] != 0;
      }
      if (!any) break;
      TRY(code.run(2, n));
      // All states change at once: a body may be another state itself.
      std::vector<std::vector<uint8_t>> next;
      for (size_t i = 0; i < n_states; ++i) {
        next.emplace_back(static_cast<size_t>(n * register_bytes(types[i])));
        op_fn(ScalarOp::Select, types[i])(next[i].data(), code.active(), code.root(2, i), code.state(i), n);
      }
      for (size_t i = 0; i < n_states; ++i) copy_lanes(code.state(i), next[i].data(), types[i], 0, n);
    }
    for (size_t i = 0; i < n_states; ++i)
      store_strided(*results[i], code.form_base(form), code.form_stride(form), code.state(i), n);
    return {};
  }));
  return results;
}

}  // namespace

Result<Tensors> run_stage(const k::Stage& s, const Code::Lookup& tensor, const Bindings& symbols, Budget& budget) {
  switch (s.kind) {
    case StageKind::Map: return run_map(s, tensor, symbols, budget);
    case StageKind::Reduce: return run_reduce(s, tensor, symbols, budget);
    case StageKind::Scan: return run_scan(s, tensor, symbols, budget);
    case StageKind::Scatter: return run_scatter(s, tensor, symbols, budget);
    case StageKind::Walk: return run_walk(s, tensor, symbols, budget);
    case StageKind::Call:
    case StageKind::Read:
    case StageKind::Check:
    case StageKind::If:
    case StageKind::Loop: break;
  }
  return invalid("{} does not compute elements", k::name(s.kind));
}

}  // namespace ingot::eval
