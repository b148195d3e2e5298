// Building one L kernel: its buffers, registers and statements, and the way from K expressions to L expressions.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "ir/loops/loops.h"
#include "passes/schedule/storage.h"
#include "passes/target_facts.h"

namespace ingot {

// A kernel and what to launch it with.
struct Launch {
  l::Kernel kernel;
  std::vector<int> values;     // value ids, one per buffer parameter
  std::vector<Dim> scalars;    // one per scalar parameter
  Dim items;
  int64_t grain = 1;
};

// The grain size: the fewest work items that pay for a thread, which takes 0.2 us to wake while it spins; by the time that one
// item needs for its arithmetic, or for reading its operands from memory.
int64_t grain_of(double operations_per_item, double bytes_per_item);

class KernelBuilder {
 public:
  KernelBuilder(const k::Program& program, const Storages& storages, const TargetFacts& facts)
      : program_(program), storages_(storages), facts_(facts) {
    scopes_.push_back({});
  }

  const TargetFacts& facts() const { return facts_; }
  const Storage& storage(int value) const { return storages_[static_cast<size_t>(value)]; }
  const k::Program& program() const { return program_; }

  int64_t buffer(int value, bool written = false);  // the parameter that holds this value
  int64_t scratch(DType, int64_t elements);
  // Runs every item of another kernel here. Its buffers become those that `buffer_of` says for their values.
  void append(const Launch&, const std::function<int64_t(int value, bool written)>& buffer_of);
  int64_t declare(DType, int lanes, Expr init);  // a register
  void set(int64_t local, Expr value);
  Expr keep(Expr);  // a register that holds it from here on
  static Expr local(int64_t id, DType, int lanes);
  void let(const Symbol&, const Dim&);
  void store(int64_t buffer, const Dim& offset, Expr value, int64_t stride = 1, Expr index = {}, Expr mask = {});
  void emit(l::Stmt);
  void fail_unless(Expr condition, int32_t code, std::vector<Expr> args);

  // Binds the iterators of a grid, the outermost first, from the number of the work item.
  void decode(const Symbol& item, const std::vector<k::Iter>& grid);
  // Emits a loop around what `body` emits. Extents of 1 bind the symbol instead.
  void loop(const Symbol&, const Dim& begin, const Dim& end, int64_t step, const std::function<void()>& body);
  void if_then(Expr condition, const std::function<void()>& body, const std::function<void()>& otherwise = {});
  void while_loop(Expr condition, const std::function<void()>& body);

  Launch finish(std::string name, const Symbol& item, const Dim& items);

  int node = -1;  // origin of what is being emitted

 private:
  const k::Program& program_;
  const Storages& storages_;
  const TargetFacts& facts_;
  std::vector<std::vector<l::Stmt>> scopes_;
  std::vector<l::BufferParam> buffers_;
  std::vector<int> values_;
  int64_t next_buffer_ = 0, next_local_ = 0;
  std::map<int, int64_t> buffer_ids_;
};

// L expressions of `lanes` lanes.
Expr wide(ScalarOp, DType, int64_t lanes, std::vector<Expr> args);
Expr splat(Expr scalar, int64_t lanes);
Expr wide_load(int64_t buffer, DType, const Dim& offset, int64_t lanes, const Expr& mask = {});
Expr lane_of(const Expr& vector, int64_t lane);  // a scalar
Expr first_lanes(const Dim& count, int64_t lanes);  // the mask of lanes below `count`

// K expressions to L: reads become loads at flat offsets; one iterator may run over the lanes of vectors. The loop over
// it steps by `lanes`, its symbol standing for lane 0.
class ExprLowering {
 public:
  ExprLowering(KernelBuilder& builder, Symbol vector_iterator = nullptr, int lanes = 1, Expr tail_mask = {})
      : b_(builder), vector_(std::move(vector_iterator)), lanes_(lanes), tail_(std::move(tail_mask)) {}

  // Values that are held in registers: gives the expression for a read, with 1 or `lanes` lanes.
  std::map<int, std::function<Expr(const ExprNode& read)>> registers;
  std::map<int64_t, Expr> states;  // Walk: Local ids

  Expr lower(const Expr& e) { return lower(e, {}); }  // 1 or `lanes` lanes
  Expr wide(const Expr& e) { return splat(lower(e)); }  // `lanes` lanes
  Expr splat(Expr e) const;
  Expr index(const Dim&);  // the value of a Dim
  bool varies(const Dim& d) const { return vector_ && lanes_ > 1 && depends_on(d, vector_); }
  int lanes() const { return lanes_; }
  const Expr& tail_mask() const { return tail_; }

  // Emits a store at a flat offset for the current lanes.
  void store_at(int value, const Dim& offset, Expr e);

 private:
  Expr lower(const Expr& e, const Expr& guard);
  Expr lower_read(const ExprNode&, const Expr& guard);
  Expr lower_load(const ExprNode&, const Expr& guard);  // a plain read: id is the value, dim the offset
  Expr lower_select(const ExprNode&, const Expr& guard);
  Expr with_args(const ExprNode&, std::vector<Expr> args) const;
  Expr both(Expr a, Expr b) const;  // conjunction; null is true
  Expr any(Expr condition) const;
  bool needs_guard(const Expr&) const;
  std::optional<std::pair<Dim, int64_t>> lane_stride(const Dim&) const;

  KernelBuilder& b_;
  Symbol vector_;
  int lanes_;
  Expr tail_;
  std::map<std::pair<const ExprNode*, const ExprNode*>, std::pair<Expr, Expr>>
      memo_;  // looked up only; keeps keys alive
};

}  // namespace ingot
