// See checked.h. A check is an `if` before the statement that makes the access. Loads whose side of a select is not taken have
// that condition as their mask by now (legalize.h), so that an access happens exactly where its mask is set.
//
// The checks compare values at run time and are never decided here by what is known of a Dim: that knowledge is among what they
// are to prove. Only numbers are compared with numbers.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "passes/loops/build.h"
#include "passes/loops/checked.h"
#include "runtime/abi.h"

namespace ingot::l {

namespace {

int64_t element_bytes(DType t) { return t == DType::String ? int64_t{sizeof(ingot_string)} : std::max(1, bits(t) / 8); }

struct Range {  // of the memory of a buffer, in bytes from its element with index 0
  Dim begin, end;
};

Symbol unknown(const std::string& name) { return Dim::symbol(name, -kDimMax, kDimMax); }
Expr index(const Dim& d) { return ex::index(d); }
Expr compare(ScalarOp op, const Expr& a, const Expr& b) { return comparison(op, a, b).e; }
Expr either(const Expr& a, const Expr& b) { return make(ScalarOp::Or, DType::Bool, a.lanes(), {a, b}).e; }
Expr both(const Expr& a, const Expr& b) { return make(ScalarOp::And, DType::Bool, a.lanes(), {a, b}).e; }
Expr splat(const Expr& e, int lanes) { return e.lanes() == lanes ? e : make(ScalarOp::Splat, e.type(), lanes, {e}).e; }

bool is_false(const Expr& begin, const Expr& end, const Expr& low, const Expr& high) {
  auto number = [](const Expr& e) -> std::optional<int64_t> {
    if (e.is(ScalarOp::Const)) return e->integer;
    return e.is(ScalarOp::Index) ? e->dim.constant() : std::nullopt;
  };
  auto b = number(begin), e = number(end), l = number(low), h = number(high);
  return b && e && l && h && *b >= *l && *e <= *h;
}

class Checker {
 public:
  explicit Checker(Program& p) : program_(p) {}

  void kernel(Kernel& k) {
    where_ = fmt::format("kernel '{}'", k.name);
    node_ = k.node;
    ranges_.clear(), names_.clear(), messages_.clear();
    for (const BufferParam& b : k.buffers) {
      Symbol begin = unknown(b.name + ".begin"), end = unknown(b.name + ".end");
      ranges_[b.id] = {Dim(begin), Dim(end)};
      names_[b.id] = b.name;
      k.scalars.push_back(std::move(begin));
      k.scalars.push_back(std::move(end));
    }
    block(k.body);
  }

  void host() {
    where_ = "the host program";
    node_ = -1;
    ranges_.clear(), names_.clear(), messages_.clear(), sizes_.clear();
    std::vector<Stmt> first;
    for (size_t id = 0; id < program_.buffers.size(); ++id) {
      const HostBuffer& b = program_.buffers[id];
      names_[static_cast<int64_t>(id)] = b.name;
      if (b.dtype == DType::Invalid) continue;
      Range& r = ranges_[static_cast<int64_t>(id)];
      switch (b.kind) {
        case HostBuffer::Kind::Arena:
        case HostBuffer::Kind::Constant: r = {Dim(0) - b.origin, b.size - b.origin}; break;
        case HostBuffer::Kind::Input: r = {0, bytes(b.dtype, b.dims)}; break;
        case HostBuffer::Kind::Output:
        case HostBuffer::Kind::Dynamic: {
          // As large as it was when it was placed: since then, its extents may have got other values.
          Symbol size = unknown(b.name + ".bytes");
          first.push_back(let(size, 0));
          sizes_.emplace(static_cast<int64_t>(id), size);
          r = {Dim(0) - b.origin, Dim(size) - b.origin};
          break;
        }
        case HostBuffer::Kind::View: {
          const Range& base = ranges_.at(b.index);
          r = {base.begin - b.offset, base.end - b.offset};
          break;
        }
      }
    }
    block(program_.host);
    program_.host.insert(program_.host.begin(), std::make_move_iterator(first.begin()),
                         std::make_move_iterator(first.end()));
  }

 private:
  Program& program_;
  std::string where_;
  int node_ = -1;
  std::map<int64_t, Range> ranges_;
  std::map<int64_t, std::string> names_;
  std::map<int64_t, int64_t> messages_;
  std::map<int64_t, Symbol> sizes_;  // host: of outputs and dynamic buffers
  std::vector<Stmt>* out_ = nullptr;

  static Dim bytes(DType t, const std::vector<Dim>& dims) {
    if (t != DType::String && bits(t) < 8) return floordiv(product(dims) * Dim(bits(t)) + Dim(7), Dim(8));
    return product(dims) * Dim(element_bytes(t));
  }
  static Stmt let(const Symbol& s, const Dim& d) {
    Stmt l{StmtKind::Let};
    l.symbol = s;
    l.expr = index(d);
    return l;
  }

  int64_t message(int64_t buffer) {
    auto [it, fresh] = messages_.try_emplace(buffer, static_cast<int64_t>(program_.messages.size()));
    if (fresh) program_.messages.push_back(fmt::format("{}, buffer '{}'", where_, names_[buffer]));
    return it->second;
  }

  // Fails unless [begin, end) of `unit` bytes each lies in the range; `mask` may be absent.
  void require(int64_t buffer, const Expr& begin, const Expr& end, const Range& r, int64_t unit, Expr mask = {}) {
    const Expr low = index(r.begin), high = index(r.end);
    if (is_false(begin, end, low, high)) return;
    const int lanes = begin.lanes();
    Expr outside =
        either(compare(ScalarOp::Lt, begin, splat(low, lanes)), compare(ScalarOp::Gt, end, splat(high, lanes)));
    if (mask) outside = both(outside, splat(mask, lanes));
    Expr any = outside, at = begin;
    if (lanes > 1) {
      any = make(ScalarOp::LaneMax, DType::Bool, 1, {outside}).e;
      at = make(ScalarOp::Select, DType::I64, lanes, {outside, begin, integer(DType::I64, lanes, INT64_MIN).e}).e;
      at = make(ScalarOp::LaneMax, DType::I64, 1, {at}).e;
    }
    Stmt guard{StmtKind::If};
    guard.node = node_;
    guard.expr = any;
    Stmt f{StmtKind::Fail};
    f.node = node_;
    f.code = INGOT_RUN_BOUNDS;
    const Expr size = integer(DType::I64, 1, unit).e;
    auto elements = [&](const Expr& e) { return unit == 1 ? e : (V(e) / V(size)).e; };
    f.args = {integer(DType::I64, 1, message(buffer)).e, elements(at), elements(low), elements(high)};
    guard.body.push_back(std::move(f));
    out_->push_back(std::move(guard));
  }

  // An access of `lanes` elements of type t, at offset + at + lane * stride.
  void access(int64_t buffer, DType t, const Dim& offset, const Expr& at, int lanes, int64_t stride, const Expr& mask) {
    auto it = ranges_.find(buffer);
    if (it == ranges_.end()) return;
    const int64_t unit = element_bytes(t);
    const bool per_lane = lanes > 1 && ((at && at.lanes() > 1) || (mask && mask.lanes() > 1));
    auto scaled = [&](const Expr& e) { return unit == 1 ? e : (V(e) * V(integer(DType::I64, e.lanes(), unit))).e; };
    auto plus = [](const Expr& a, const Expr& b) { return (V(a) + V(b)).e; };
    if (per_lane) {
      ExprNode ramp{ScalarOp::Ramp, DType::I64, lanes};
      ramp.dim = offset;
      ramp.stride = at && at.lanes() > 1 ? 0 : stride;
      Expr element = ex::make(std::move(ramp));
      if (at) element = plus(element, splat(at, lanes));
      const Expr begin = scaled(element);
      return require(buffer, begin, plus(begin, integer(DType::I64, lanes, unit).e), it->second, unit, mask);
    }
    const int64_t span = (lanes - 1) * stride;
    Dim begin = offset + Dim(std::min<int64_t>(span, 0)), end = offset + Dim(std::max<int64_t>(span, 0) + 1);
    if (!at.get()) return require(buffer, index(begin * Dim(unit)), index(end * Dim(unit)), it->second, unit, mask);
    require(buffer, scaled(plus(index(begin), at)), scaled(plus(index(end), at)), it->second, unit, mask);
  }

  void expr(const Expr& e, std::unordered_set<const ExprNode*>& seen) {
    if (!e.get() || !seen.insert(e.get()).second) return;
    for (const Expr& a : e->args) expr(a, seen);
    if (e.is(ScalarOp::Load)) {
      Expr at, mask;
      for (const Expr& a : e->args) (a.type() == DType::Bool ? mask : at) = a;
      access(e->id, e.type(), e->dim, at, e.lanes(), e->stride, mask);
    } else if (e.is(ScalarOp::TileLoad)) {
      const Range& r = ranges_.at(e->id);
      const int64_t unit = element_bytes(DType::BF16);
      const Dim first = e->dim * Dim(unit), last = (e->dim + Dim((e->integer - 1) * e->stride)) * Dim(unit);
      require(e->id, index(first), index(first + Dim(kTileRowBytes)), r, unit);
      require(e->id, index(last), index(last + Dim(kTileRowBytes)), r, unit);
    }
  }
  void expr(const Expr& e) {
    std::unordered_set<const ExprNode*> seen;
    expr(e, seen);
  }

  void tensor(const Tensor& t) {
    if (t.buffer < 0 || t.dtype == DType::Invalid) return;
    const DType own = program_.buffers[static_cast<size_t>(t.buffer)].dtype;
    if (own == DType::Invalid) return;
    require(t.buffer, index(0), index(bytes(t.dtype, t.dims)), ranges_.at(t.buffer), element_bytes(t.dtype));
  }

  // A view begins inside of its base buffer, or there is nothing in either.
  void view(int64_t id) {
    const HostBuffer& b = program_.buffers[static_cast<size_t>(id)];
    if (b.kind != HostBuffer::Kind::View) return;
    const Range& r = ranges_.at(id);
    const Expr filled = compare(ScalarOp::Gt, index(r.end), index(r.begin));
    require(id, index(0), index(0), r, element_bytes(b.dtype), filled);
  }

  void launch(Stmt& s) {
    for (int b : s.buffers) {
      const Range& r = ranges_.at(b);
      s.scalars.push_back(r.begin);
      s.scalars.push_back(r.end);
    }
  }

  void place(int64_t id) {
    const HostBuffer& b = program_.buffers[static_cast<size_t>(id)];
    if (b.kind == HostBuffer::Kind::Arena && b.dtype != DType::Invalid)
      require(id, index(b.offset), index(b.offset + b.size), {0, program_.arena_bytes}, 1);
  }

  // What follows a statement: the sizes of the memory that it got.
  std::vector<Stmt> sizes_after(const Stmt& s) const {
    std::vector<Stmt> lets;
    auto sized = [&](int64_t id, const Dim& size) {
      if (auto it = sizes_.find(id); it != sizes_.end()) lets.push_back(let(it->second, size));
    };
    if (s.kind == StmtKind::Place) {
      const HostBuffer& b = program_.buffers[static_cast<size_t>(s.id)];
      sized(s.id, b.kind == HostBuffer::Kind::Output ? bytes(b.dtype, b.dims) : b.size);
    }
    if (s.kind == StmtKind::Call) {
      for (const Tensor& t : s.results) {
        if (decided_by(s, t)) sized(t.buffer, bytes(t.dtype, t.dims));
      }
    }
    return lets;
  }

  void stmt(Stmt& s) {
    switch (s.kind) {
      case StmtKind::Let:
      case StmtKind::Declare:
      case StmtKind::Set:
      case StmtKind::If: expr(s.expr); break;
      case StmtKind::While: {
        expr(s.expr);
        block(s.body);
        std::vector<Stmt>* outer = out_;  // the condition is evaluated again after the body
        out_ = &s.body;
        expr(s.expr);
        out_ = outer;
        return;
      }
      case StmtKind::Store:
        expr(s.expr), expr(s.index), expr(s.mask);
        access(s.id, s.expr.type(), s.offset, s.index, s.expr.lanes(), s.stride, s.mask);
        break;
      case StmtKind::Scratch:
        ranges_[s.id] = {0, Dim(s.elements * element_bytes(s.dtype))};
        names_[s.id] = "scratch";
        break;
      case StmtKind::Fail:
      case StmtKind::Require:
        for (const Expr& e : s.args) expr(e);
        break;
      case StmtKind::Launch:
        for (int b : s.buffers) view(b);
        launch(s);
        break;
      case StmtKind::Group:
        for (Stmt& one : s.body) {
          for (int b : one.buffers) view(b);
          launch(one);
        }
        return;
      case StmtKind::Call:
        for (const Tensor& t : s.operands) tensor(t);
        for (const Tensor& t : s.results) {
          if (!decided_by(s, t)) tensor(t);
        }
        break;
      case StmtKind::Place: place(s.id); break;
      case StmtKind::For:
      case StmtKind::Prefetch:
      case StmtKind::Assign: break;
    }
    block(s.body);
    block(s.otherwise);
  }

  static bool decided_by(const Stmt& call, const Tensor& t) {
    return std::any_of(t.dims.begin(), t.dims.end(), [&](const Dim& d) {
      return std::any_of(call.symbols.begin(), call.symbols.end(), [&](const Symbol& s) { return depends_on(d, s); });
    });
  }

  void block(std::vector<Stmt>& body) {
    std::vector<Stmt> all;
    std::vector<Stmt>* outer = out_;
    const int node = node_;
    for (Stmt& s : body) {
      out_ = &all;
      if (s.node >= 0) node_ = s.node;
      stmt(s);
      std::vector<Stmt> after = sizes_after(s);
      all.push_back(std::move(s));
      all.insert(all.end(), std::make_move_iterator(after.begin()), std::make_move_iterator(after.end()));
    }
    node_ = node;
    out_ = outer;
    body = std::move(all);
  }
};

}  // namespace

void check_bounds(Program& p) {
  Checker c(p);
  for (Kernel& k : p.kernels) c.kernel(k);
  c.host();
}

}  // namespace ingot::l
