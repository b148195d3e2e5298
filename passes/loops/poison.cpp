// See checked.h. Canaries are views of bytes beside each buffer of the arena; the host program fills them after the buffer is
// placed, and compares them after whatever was given the buffer.
#include "runtime/poison.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <set>

#include "passes/loops/build.h"
#include "passes/loops/checked.h"
#include "runtime/abi.h"

namespace ingot::l {

namespace {

constexpr int kStoreLanes = 16;  // of stores into scratch memory, where it has as many elements

class Poisoner {
 public:
  Poisoner(Program& p, uint64_t seed) : program_(p), word_(ingot_poison_word(seed)) {}

  void kernel(Kernel& k) {
    vectors_ = vectors_ || has_vectors(k.body);
    block(k.body);
  }

  void host() {
    for (const ArenaSlot& slot : program_.arena_plan) add_canaries(slot.buffer);
    block(program_.host);
  }

 private:
  struct Canaries {
    int before, after;  // buffers
    int64_t message;
  };
  Program& program_;
  const uint64_t word_;
  bool vectors_ = false;  // the target has some
  std::map<int, Canaries> canaries_;

  static bool has_vectors(const std::vector<Stmt>& body) {
    for (const Stmt& s : body)
      if (s.lanes > 1 || (s.expr && s.expr.lanes() > 1) || has_vectors(s.body) || has_vectors(s.otherwise)) return true;
    return false;
  }

  // What memory of the pattern holds, as a value of this type: its low bytes.
  Expr pattern(DType t, int lanes) const {
    const int width = std::min(std::max(bits(t), 8), 64);
    const uint64_t low = width == 64 ? word_ : word_ & ((uint64_t{1} << width) - 1);
    if (t == DType::Bool) return integer(t, lanes, (low & 0xff) != 0).e;
    if (t == DType::F32) return splat(ex::number(t, std::bit_cast<float>(static_cast<uint32_t>(low))), lanes);
    if (t == DType::F64) return splat(ex::number(t, std::bit_cast<double>(low)), lanes);
    if (is_float(t)) {
      const DType same = width == 16 ? DType::U16 : DType::U8;
      return make(ScalarOp::Bitcast, t, lanes, {integer(same, lanes, static_cast<int64_t>(low)).e}).e;
    }
    const int64_t value = is_signed(t) && width < 64 ? static_cast<int64_t>(low << (64 - width)) >> (64 - width)
                                                     : static_cast<int64_t>(low);
    return integer(t, lanes, value).e;
  }
  static Expr splat(const Expr& e, int lanes) { return lanes == 1 ? e : make(ScalarOp::Splat, e.type(), lanes, {e}).e; }

  Stmt store(int64_t buffer, const Symbol& at, Expr value) const {
    Stmt s{StmtKind::Store};
    s.id = buffer;
    s.offset = Dim(at);
    s.dtype = value.type();
    s.expr = std::move(value);
    return s;
  }
  static Stmt loop(int64_t elements, int64_t step, const std::function<Stmt(const Symbol&)>& body) {
    Stmt f{StmtKind::For};
    f.symbol = Dim::iterator("poisoned", Dim(elements));
    f.begin = 0, f.end = elements, f.step = step;
    f.body.push_back(body(f.symbol));
    return f;
  }

  // --- kernels ---

  void scratch(const Stmt& s, std::vector<Stmt>& out) const {
    if (s.dtype == DType::String) return;
    const int lanes = vectors_ ? kStoreLanes : 1;
    const int64_t whole = s.elements / lanes * lanes;
    auto fill = [&](int64_t elements, int64_t from, int n) {
      if (elements == 0) return;
      out.push_back(loop(elements, n, [&](const Symbol& at) {
        Stmt st = store(s.id, at, pattern(s.dtype, n));
        st.offset += Dim(from);
        return st;
      }));
    };
    fill(whole, 0, lanes);
    fill(s.elements - whole, whole, 1);
  }

  // --- the arena ---

  void add_canaries(int buffer) {
    const HostBuffer b = program_.buffers[static_cast<size_t>(buffer)];
    auto view = [&](const Dim& offset) {
      HostBuffer v{HostBuffer::Kind::View, b.name + ".canary", DType::U8};
      v.index = buffer;
      v.offset = offset;
      v.size = kCanaryBytes;
      program_.buffers.push_back(std::move(v));
      return static_cast<int>(program_.buffers.size()) - 1;
    };
    const int before = view(Dim(0) - b.origin - kCanaryBytes), after = view(b.size - b.origin);
    canaries_[buffer] = {before, after, static_cast<int64_t>(program_.messages.size())};
    program_.messages.push_back(fmt::format("memory beside buffer '{}'", b.name));
  }
  Expr expected() const { return pattern(DType::U8, 1); }

  void place_canaries(int buffer, std::vector<Stmt>& out) const {
    auto it = canaries_.find(buffer);
    if (it == canaries_.end()) return;
    for (int view : {it->second.before, it->second.after})
      out.push_back(loop(kCanaryBytes, 1, [&](const Symbol& at) { return store(view, at, expected()); }));
  }

  void compare_canaries(int buffer, int node, std::vector<Stmt>& out) const {
    auto it = canaries_.find(buffer);
    if (it == canaries_.end()) return;
    for (int view : {it->second.before, it->second.after}) {
      out.push_back(loop(kCanaryBytes, 1, [&](const Symbol& at) {
        ExprNode n{ScalarOp::Load, DType::U8};
        n.id = view;
        n.dim = Dim(at);
        const Expr got = ex::make(std::move(n));
        Stmt changed{StmtKind::If};
        changed.node = node;
        changed.expr = comparison(ScalarOp::Ne, got, expected()).e;
        Stmt f{StmtKind::Fail};
        f.node = node;
        f.code = INGOT_RUN_BOUNDS;
        const HostBuffer& b = program_.buffers[static_cast<size_t>(buffer)];
        const bool before = view == it->second.before;
        const Dim first = before ? Dim(0) - b.origin - kCanaryBytes : b.size - b.origin;
        f.args = {integer(DType::I64, 1, it->second.message).e, ex::index(first + Dim(at)),
                  ex::index(Dim(0) - b.origin), ex::index(b.size - b.origin)};
        changed.body.push_back(std::move(f));
        return changed;
      }));
    }
  }

  int base_of(int buffer) const {
    while (program_.buffers[static_cast<size_t>(buffer)].kind == HostBuffer::Kind::View)
      buffer = program_.buffers[static_cast<size_t>(buffer)].index;
    return buffer;
  }

  static bool uses_memory(const std::vector<Stmt>& body) {
    return std::any_of(body.begin(), body.end(), [](const Stmt& s) {
      return s.kind == StmtKind::Launch || s.kind == StmtKind::Group || s.kind == StmtKind::Call ||
             s.kind == StmtKind::Place || s.kind == StmtKind::Store || uses_memory(s.body) || uses_memory(s.otherwise);
    });
  }

  // The buffers that a statement gives to kernels and algorithms.
  std::vector<int> given(const Stmt& s) const {
    std::vector<int> all = s.kind == StmtKind::Launch ? s.buffers : std::vector<int>();
    if (s.kind == StmtKind::Group) {
      for (const Stmt& one : s.body) all.insert(all.end(), one.buffers.begin(), one.buffers.end());
    }
    for (const auto* tensors : {&s.operands, &s.results}) {
      for (const Tensor& t : *tensors)
        if (t.buffer >= 0) all.push_back(t.buffer);
    }
    for (int& b : all) b = base_of(b);
    return all;
  }

  void block(std::vector<Stmt>& body) {
    std::vector<Stmt> all;
    std::set<int>
        placed;  // whose canaries are not there yet: independent launches have their places before all of them
    auto fill = [&](int buffer) {
      if (placed.erase(buffer)) place_canaries(buffer, all);
    };
    for (Stmt& s : body) {
      if (s.kind != StmtKind::Group) {
        if (uses_memory(s.body) || uses_memory(s.otherwise)) {
          while (!placed.empty()) fill(*placed.begin());
        }
        block(s.body);
        block(s.otherwise);
      }
      if (s.kind == StmtKind::Place) placed.insert(static_cast<int>(s.id));
      if (s.kind == StmtKind::Declare && !s.expr.get()) s.expr = pattern(s.dtype, s.lanes);
      const std::vector<int> buffers = given(s);
      const int node = s.node;
      for (int b : buffers) fill(b);
      std::vector<Stmt> after;
      if (s.kind == StmtKind::Scratch) scratch(s, after);
      for (int b : buffers) compare_canaries(b, node, after);
      all.push_back(std::move(s));
      all.insert(all.end(), std::make_move_iterator(after.begin()), std::make_move_iterator(after.end()));
    }
    while (!placed.empty()) fill(*placed.begin());
    body = std::move(all);
  }
};

}  // namespace

void poison(Program& p, uint64_t seed) {
  Poisoner x(p, seed);
  for (Kernel& k : p.kernels) x.kernel(k);
  x.host();
}

}  // namespace ingot::l
