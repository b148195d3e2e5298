// Checks what every L program keeps: ids in range, symbols bound before use, registers declared before use with one
// type, operands of arithmetic alike, host statements on the host only. Programs may come from text, so the depth is
// bounded and nothing here trusts an index.
#include <map>
#include <set>
#include <unordered_set>

#include "ir/loops/loops.h"
#include "runtime/abi.h"

namespace ingot::l {

namespace {

constexpr int kMaxDepth = 200;       // nesting of statements
constexpr int kMaxExprDepth = 4000;  // nesting of one expression
constexpr int kMaxLanes = 1024;
constexpr int64_t kMaxScratch = 512 << 10;  // bytes of one scratch buffer: it lies on the stack

class Verifier {
 public:
  explicit Verifier(const Program& p) : program_(p) {}

  Result<void> host() {
    host_ = true;
    for (const Port& port : program_.inputs)
      for (const Dim& d : port.dims)
        if (auto s = d.as_symbol()) symbols_.insert((*s)->id);
    for (const Port& port : program_.inputs)
      for (const Dim& d : port.dims) TRY(dim(d));
    TRY(dim(program_.arena_bytes));
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const HostBuffer& b = program_.buffers[i];
      auto index = [&](size_t limit, const char* what) -> Result<void> {
        if (b.index < 0 || static_cast<size_t>(b.index) >= limit)
          return invalid("host buffer {} refers to {} {}, expected one below {}", i, what, b.index, limit);
        return {};
      };
      switch (b.kind) {
        case HostBuffer::Kind::Input: TRY(index(program_.inputs.size(), "input")); break;
        case HostBuffer::Kind::Output: TRY(index(program_.outputs.size(), "output")); break;
        case HostBuffer::Kind::View: TRY(index(i, "buffer")); break;
        case HostBuffer::Kind::Constant: {
          auto at = b.offset.constant(), size = b.size.constant();
          int64_t limit = static_cast<int64_t>(program_.weights.size()) + program_.shared_weights;
          if (!at || *at < 0 || *at > limit || (size && (*size < 0 || *size > limit - *at)))
            return invalid("constant buffer {} at {} of {} bytes, expected inside {} bytes of weights", i,
                           b.offset.str(), b.size.str(), limit);
          break;
        }
        case HostBuffer::Kind::Arena:
        case HostBuffer::Kind::Dynamic: break;
      }
      if (b.dtype == DType::Invalid && b.kind != HostBuffer::Kind::Input && b.kind != HostBuffer::Kind::Output &&
          b.kind != HostBuffer::Kind::Dynamic)
        return invalid("host buffer {} is an object in fixed memory, expected an input, an output or a dynamic buffer",
                       i);
    }
    return block(program_.host, 0);
  }

  Result<void> kernel(const Kernel& k) {
    for (const BufferParam& b : k.buffers)
      if (!buffers_.emplace(b.id, b.dtype).second) return invalid("buffer {} is declared twice", b.id);
      else if (b.written) written_.insert(b.id);
    for (const Symbol& s : k.scalars) symbols_.insert(s->id);
    if (!k.item) return invalid("a kernel without an item symbol");
    symbols_.insert(k.item->id);
    return block(k.body, 0);
  }

 private:
  const Program& program_;
  bool host_ = false;
  std::set<int64_t> symbols_, written_;
  std::map<int64_t, DType> buffers_;
  std::map<int64_t, std::pair<DType, int>> registers_;
  std::unordered_set<const ExprNode*> checked_;

  Result<void> dim(const Dim& d) {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    for (auto& [id, s] : used)
      if (!symbols_.count(id)) return invalid("symbol '{}' is used before it is bound", s->name);
    return {};
  }

  Result<void> buffer(int64_t id) {
    bool known = host_ ? id >= 0 && id < static_cast<int64_t>(program_.buffers.size()) : buffers_.count(id) > 0;
    if (!known) return invalid("buffer {} is not declared", id);
    return {};
  }

  Result<void> expr(const Expr& e, int depth = 0) {
    if (!e.get()) return invalid("an expression is absent");
    if (!checked_.insert(e.get()).second) return {};
    if (depth > kMaxExprDepth) return limit_exceeded("an expression nests deeper than {}", kMaxExprDepth);
    const ExprNode& n = *e;
    if (n.lanes < 1 || n.lanes > kMaxLanes)
      return invalid("'{}' has {} lanes, expected 1 to {}", name(n.op), n.lanes, kMaxLanes);
    int want = arity(n.op);
    if (want >= 0 && static_cast<int>(n.args.size()) != want)
      return invalid("'{}' has {} arguments, expected {}", name(n.op), n.args.size(), want);
    for (const Expr& a : n.args) TRY(expr(a, depth + 1));
    auto alike = [&](size_t first) -> Result<void> {
      for (size_t i = first; i < n.args.size(); ++i)
        if (n.args[i].type() != n.args[first].type() || n.args[i].lanes() != n.args[first].lanes())
          return invalid("'{}' of {}x{} and {}x{}, expected operands alike", name(n.op), name(n.args[first].type()),
                         n.args[first].lanes(), name(n.args[i].type()), n.args[i].lanes());
      return {};
    };
    using Op = ScalarOp;
    switch (n.op) {
      case Op::Read: return invalid("'read' in a loop program");
      case Op::Const: return {};
      case Op::Index:
      case Op::Ramp: return dim(n.dim);
      case Op::Local: {
        auto it = registers_.find(n.id);
        if (it == registers_.end()) return invalid("register {} is read before it is declared", n.id);
        if (it->second != std::pair(n.type, n.lanes)) return invalid("register {} is read as another type", n.id);
        return {};
      }
      case Op::Load: {
        TRY(buffer(n.id));
        if (n.args.size() > 2)
          return invalid("a load with {} arguments, expected an index and a mask at most", n.args.size());
        for (size_t i = 0; i < n.args.size(); ++i) {
          bool last = i + 1 == n.args.size();
          DType t = n.args[i].type();
          if (t != DType::I64 && !(last && t == DType::Bool))
            return invalid("a load's argument is {}, expected an i64 index or a bool mask", name(t));
          if (n.args[i].lanes() != 1 && n.args[i].lanes() != n.lanes)
            return invalid("a load of {} lanes with an argument of {}", n.lanes, n.args[i].lanes());
        }
        return dim(n.dim);
      }
      case Op::Splat:
        if (n.args[0].lanes() != 1 || n.args[0].type() != n.type)
          return invalid("splat of {} lanes, expected a scalar of its type", n.args[0].lanes());
        return {};
      case Op::Lane:
        if (n.lanes != 1 || n.args[0].type() != n.type || n.integer < 0 || n.integer >= n.args[0].lanes())
          return invalid("lane {} of {}, expected a scalar of its operand's type", n.integer, n.args[0].lanes());
        return {};
      case Op::LaneSum:
      case Op::LaneMax:
      case Op::LaneMin:
      case Op::LaneProd:
        if (n.lanes != 1 || n.args[0].type() != n.type)
          return invalid("'{}' gives one scalar of its operand's type", name(n.op));
        return {};
      case Op::Bitcast: {
        const Expr& from = n.args[0];
        auto width = [](DType t, int lanes) { return std::max(8, bits(t)) * lanes; };
        if (width(from.type(), from.lanes()) != width(n.type, n.lanes))
          return invalid("bits of {}x{} as {}x{}, expected the same width", name(from.type()), from.lanes(),
                         name(n.type), n.lanes);
        return {};
      }
      case Op::Cast:
      case Op::IsNaN:
      case Op::IsInf:
        if (n.args[0].lanes() != n.lanes) return invalid("'{}' changes the number of lanes", name(n.op));
        return {};
      case Op::Eq:
      case Op::Ne:
      case Op::Lt:
      case Op::Le:
      case Op::Gt:
      case Op::Ge:
        if (n.type != DType::Bool || n.lanes != n.args[0].lanes()) return invalid("'{}' gives bool", name(n.op));
        return alike(0);
      case Op::Select:
        if (n.args[0].type() != DType::Bool || (n.args[0].lanes() != 1 && n.args[0].lanes() != n.lanes))
          return invalid("select by {}, expected bool", name(n.args[0].type()));
        TRY(alike(1));
        if (n.args[1].type() != n.type || n.args[1].lanes() != n.lanes)
          return invalid("select gives another type than its sides");
        return {};
      case Op::TileLoad:
      case Op::TileDot:
        if (n.type != DType::I32 || n.lanes != kTileWords || n.integer < 1 || n.integer > kTileRows)
          return invalid("a tile of {} rows as {}x{}, expected 1 to {} as i32x{}", n.integer, name(n.type), n.lanes,
                         kTileRows, kTileWords);
        if (n.op == Op::TileDot) break;
        TRY(buffer(n.id));
        return dim(n.dim);
      case Op::Dot2:
        if (n.type != DType::F32 || n.args[0].type() != DType::F32 || n.args[1].type() != DType::BF16 ||
            n.args[2].type() != DType::BF16 || n.args[0].lanes() != n.lanes || n.args[1].lanes() != 2 * n.lanes ||
            n.args[2].lanes() != 2 * n.lanes)
          return invalid("dot2 of other types than f32, bf16 and bf16 with 1, 2 and 2 lanes each");
        return {};
      case Op::Dot4:
        if (n.type != DType::I32 || n.args[0].type() != DType::I32 || n.args[1].type() != DType::U8 ||
            n.args[2].type() != DType::I8 || n.args[0].lanes() != n.lanes || n.args[1].lanes() != 4 * n.lanes ||
            n.args[2].lanes() != 4 * n.lanes)
          return invalid("dot4 of other types than i32, u8 and i8 with 1, 4 and 4 lanes each");
        return {};
      default: break;
    }
    TRY(alike(0));
    if (n.args[0].type() != n.type || n.args[0].lanes() != n.lanes)
      return invalid("'{}' of {}x{} gives {}x{}, expected the same", name(n.op), name(n.args[0].type()),
                     n.args[0].lanes(), name(n.type), n.lanes);
    return {};
  }
  Result<void> top(const Expr& e) {
    checked_.clear();
    return expr(e);
  }

  Result<void> block(const std::vector<Stmt>& body, int depth) {
    if (depth > kMaxDepth) return limit_exceeded("statements nest deeper than {}", kMaxDepth);
    for (const Stmt& s : body) TRY(stmt(s, depth));
    return {};
  }

  Result<void> condition(const Expr& e) {
    TRY(top(e));
    if (e.type() != DType::Bool || e.lanes() != 1)
      return invalid("a condition of {}, expected one bool", name(e.type()));
    return {};
  }

  Result<void> stmt(const Stmt& s, int depth) {
    switch (s.kind) {
      case StmtKind::For: {
        TRY(dim(s.begin));
        TRY(dim(s.end));
        if (!s.symbol || s.step <= 0) return invalid("a loop without a symbol or with step {}", s.step);
        bool fresh = symbols_.insert(s.symbol->id).second;
        TRY(block(s.body, depth + 1));
        if (fresh) symbols_.erase(s.symbol->id);
        return {};
      }
      case StmtKind::While: TRY(condition(s.expr)); return block(s.body, depth + 1);
      case StmtKind::If:
        TRY(condition(s.expr));
        TRY(block(s.body, depth + 1));
        return block(s.otherwise, depth + 1);
      case StmtKind::Let:
        TRY(top(s.expr));
        if (!s.symbol || s.expr.type() != DType::I64 || s.expr.lanes() != 1)
          return invalid("let of {}, expected an i64", name(s.expr.type()));
        symbols_.insert(s.symbol->id);
        return {};
      case StmtKind::Declare: {
        if (s.expr.get()) TRY(top(s.expr));
        if (s.lanes < 1 || s.lanes > kMaxLanes) return invalid("a register of {} lanes", s.lanes);
        if (s.expr.get() && (s.expr.type() != s.dtype || s.expr.lanes() != s.lanes))
          return invalid("register {} is initialised with another type", s.id);
        registers_[s.id] = {s.dtype, s.lanes};
        return {};
      }
      case StmtKind::Set: {
        TRY(top(s.expr));
        auto it = registers_.find(s.id);
        if (it == registers_.end()) return invalid("register {} is set before it is declared", s.id);
        if (it->second != std::pair(s.expr.type(), s.expr.lanes()))
          return invalid("register {} is set to another type", s.id);
        return {};
      }
      case StmtKind::Store: {
        TRY(buffer(s.id));
        if (!host_ && !written_.count(s.id))
          return invalid("store to buffer {}, which is not declared as written", s.id);
        TRY(dim(s.offset));
        TRY(top(s.expr));
        if (s.index.get()) {
          TRY(top(s.index));
          if (s.index.type() != DType::I64) return invalid("a store's index is {}, expected i64", name(s.index.type()));
        }
        if (s.mask.get()) {
          TRY(top(s.mask));
          if (s.mask.type() != DType::Bool) return invalid("a store's mask is {}, expected bool", name(s.mask.type()));
        }
        return {};
      }
      case StmtKind::Prefetch: TRY(buffer(s.id)); return dim(s.offset);
      case StmtKind::Scratch:
        if (host_) return invalid("a scratch buffer on the host");
        if (s.elements <= 0 || s.elements > kMaxScratch / std::max<int64_t>(1, bits(s.dtype) / 8))
          return invalid("a scratch buffer of {} elements, expected at most {} bytes", s.elements, kMaxScratch);
        buffers_[s.id] = s.dtype;
        written_.insert(s.id);
        return {};
      case StmtKind::Fail:
        for (const Expr& e : s.args) TRY(top(e));
        if (s.args.size() > 4) return invalid("fail with {} arguments, expected at most 4", s.args.size());
        return {};
      case StmtKind::Launch:
      case StmtKind::Group:
      case StmtKind::Place:
      case StmtKind::Assign:
      case StmtKind::Call:
      case StmtKind::Require: break;
    }
    if (!host_) return invalid("a host statement in a kernel");
    switch (s.kind) {
      case StmtKind::Launch: {
        if (s.id < 0 || s.id >= static_cast<int64_t>(program_.kernels.size()))
          return invalid("launch of kernel {}, expected one below {}", s.id, program_.kernels.size());
        const Kernel& k = program_.kernels[static_cast<size_t>(s.id)];
        if (s.buffers.size() != k.buffers.size() || s.scalars.size() != k.scalars.size())
          return invalid("launch of '{}' with {} buffers and {} scalars, expected {} and {}", k.name, s.buffers.size(),
                         s.scalars.size(), k.buffers.size(), k.scalars.size());
        for (int b : s.buffers) TRY(buffer(b));
        for (const Dim& d : s.scalars) TRY(dim(d));
        return dim(s.end);
      }
      case StmtKind::Group:
        if (s.body.empty() || s.body.size() > INGOT_MAX_GROUP)
          return invalid("a group of {} launches, expected 1 to {}", s.body.size(), INGOT_MAX_GROUP);
        for (const Stmt& l : s.body)
          if (l.kind != StmtKind::Launch) return invalid("a group with something else than a launch");
        return block(s.body, depth + 1);
      case StmtKind::Place: {
        TRY(buffer(s.id));
        const HostBuffer& b = program_.buffers[static_cast<size_t>(s.id)];
        TRY(dim(b.offset));
        TRY(dim(b.size));
        TRY(dim(b.origin));
        if (b.kind == HostBuffer::Kind::Output)
          for (const Dim& d : b.dims) TRY(dim(d));
        return {};
      }
      case StmtKind::Assign:
        if (s.buffers.size() != 1) return invalid("assign of {} buffers, expected 1", s.buffers.size());
        for (int64_t id : {s.id, int64_t{s.buffers[0]}}) {
          TRY(buffer(id));
          const HostBuffer& b = program_.buffers[static_cast<size_t>(id)];
          if (b.dtype != DType::Invalid)
            return invalid("assign with buffer {} of {}, expected an object", id, name(b.dtype));
          if (b.kind == HostBuffer::Kind::Input && id == s.id) return invalid("assign to buffer {}, an input", id);
        }
        return {};
      case StmtKind::Call: {
        for (const Tensor& t : s.operands) {
          if (t.buffer >= 0) TRY(buffer(t.buffer));
          for (const Dim& d : t.dims) TRY(dim(d));
        }
        for (const Symbol& x : s.symbols) symbols_.insert(x->id);
        for (const Tensor& t : s.results) {
          if (t.buffer >= 0) TRY(buffer(t.buffer));
          for (const Dim& d : t.dims) TRY(dim(d));
          if (t.buffer < 0 || t.dtype != DType::Invalid) continue;
          const HostBuffer& b = program_.buffers[static_cast<size_t>(t.buffer)];
          if (b.dtype != DType::Invalid || b.kind != HostBuffer::Kind::Dynamic)
            return invalid("an object as a result in buffer {}, expected a dynamic one for objects", t.buffer);
        }
        return {};
      }
      case StmtKind::Require:
        for (const Expr& e : s.args) TRY(top(e));
        return dim(s.begin);
      default: return {};
    }
  }
};

}  // namespace

Result<void> verify(const Program& p) {
  for (const Kernel& k : p.kernels) {
    auto r = Verifier(p).kernel(k);
    if (!r) return std::move(r.error()).context("in kernel '" + k.name + "'");
  }
  auto r = Verifier(p).host();
  if (!r) return std::move(r.error()).context("in the host program");
  return {};
}

}  // namespace ingot::l
