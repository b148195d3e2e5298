// Vector code for the interpreter. Problem: walking an expression tree per element costs ~50 ns a node. Idea: compile the
// expressions of a stage once, for its concrete extents, into a list of instructions that each handle up to kEvalChunk
// elements along one loop, the lane loop; what does not vary along it is computed once per chunk.
//
//   y[n,k,p,q] = sum(c,r,s) x[n, c, p+r-1, q+s-1 | 0] * w[k,c,r,s]      lane loop q:
//     r0 = load x, base + 1*lane, lanes outside [lo, hi) filled     (per chunk: lo, hi from the affine index)
//     r1 = load w, one element;  r2 = splat r1;  r3 = r0 * r2        then accumulated by the Reduce driver
//
// Index expressions that are affine in the loops are Forms (base + sum coefficient*loop); adjacent loops whose Forms allow
// it are merged, so that an elementwise map runs over one long loop. Reads that are proven in bounds for all of the index
// space need no check; others are checked per chunk, or per element where the index is data. Selects whose branches read
// become branches that are skipped when no lane needs them, and reads inside are guarded by the lanes that do.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "ir/expr.h"
#include "ir/kernel/program.h"
#include "ir/ops/evaluate.h"

namespace ingot::eval {

inline constexpr int64_t kEvalChunk = 512;
inline constexpr int kMaxInstructions = 1 << 16;  // of one stage

// dst, a, b, c: arrays of n elements in register format. Register format: bool as u8; f16, bf16 and the smaller floats as
// f32 (already rounded); 2- and 4-bit integers as i8 or u8; strings as const std::string*; the rest as themselves.
using VecFn = void (*)(void* dst, const void* a, const void* b, const void* c, int64_t n);
int64_t register_bytes(DType);
bool is_native(DType);  // storage format == register format
VecFn op_fn(ScalarOp, DType operand_type);  // null: not an operation on that type
VecFn round_fn(DType);  // f32 registers rounded to a small float; null where none
std::vector<VecFn> cast_fns(DType from, DType to, bool saturate);  // applied in turn (the later ones in place)
std::vector<VecFn> bitcast_fns(DType from, DType to);
VecFn splat_fn(DType);
VecFn floor_div_fn();  // i64; divisor 0 gives 0
void fill_constant(void* dst, DType, double number, int64_t integer, int64_t n);
void copy_lanes(void* dst, const void* src, DType, int64_t lane_begin, int64_t lane_end);
void zero_lanes(void* dst, DType, int64_t lane_begin, int64_t lane_end);

// Elements base, base + stride, ... of a tensor into registers, elements at idx[0..n), and registers into a tensor.
void load_strided(void* dst, const TensorData&, int64_t base, int64_t stride, int64_t n);
void load_indexed(void* dst, const TensorData&, const int64_t* idx, int64_t n);
void store_strided(TensorData&, int64_t base, int64_t stride, const void* src, int64_t n);
void copy_elements(TensorData& to, const TensorData& from);  // same type

struct Form {
  int64_t base = 0;
  std::vector<int64_t> coefficients;  // per loop
};

struct Loop {
  int64_t extent = 1;
  bool reduced = false;
};

struct DimPlan;

// `wraps`: of an index that was counted from the end where it was negative; the message has it as the model wrote it.
Error out_of_range(int64_t index, int64_t extent, bool wraps);

class Code {
 public:
  using Lookup = std::function<const TensorData*(int64_t)>;

  // iters, reds: the stage's; roots: one list of expressions per section, compiled in order. `states`: dtypes of the
  // registers that Local leaves name.
  Code(const Lookup& tensor, const Bindings& symbols) : tensor_(tensor), symbols_(symbols) {}

  Result<void> set_loops(const std::vector<k::Iter>& iters, const std::vector<k::Iter>& reds);
  Result<void> add_section(std::vector<Expr> roots);
  // Row-major form over `iters`, for the addresses of results; gives its index for form_base / form_stride.
  int add_output_form();
  enum class Lanes { Any, InnermostIter, InnermostRedOrAnyIter };
  Result<void> compile(Lanes lanes, std::vector<DType> states = {}, bool guard_states = false);

  const std::vector<Loop>& loops() const { return loops_; }
  int lane() const { return lane_; }
  int64_t iterations() const { return iterations_; }  // of iters
  int64_t reductions() const { return reductions_; }  // of reds
  std::vector<int64_t>& at() { return at_; }
  int64_t form_base(int form) const;  // at the current position
  int64_t form_stride(int form) const;  // along the lane loop

  Result<void> run(int section, int64_t n);
  const void* root(int section, size_t i) const {
    return regs_[static_cast<size_t>(root_regs_[static_cast<size_t>(section)][i])].ptr;
  }
  DType root_type(int section, size_t i) const { return roots_[static_cast<size_t>(section)][i].type(); }
  // Where the root is computed by an instruction that can write anywhere: makes it write there for one run
  // (null: to its register). False: copy it.
  bool direct_root(int section, size_t i, void* where);
  void* state(size_t i) { return regs_[static_cast<size_t>(state_regs_[i])].ptr; }
  uint8_t* active() { return static_cast<uint8_t*>(regs_[static_cast<size_t>(active_reg_)].ptr); }

 private:
  struct Reg {
    DType type;
    bool uniform = false;  // one element
    bool full = false;  // a constant: valid as uniform and as varying
    void* ptr = nullptr;  // its own storage, or inside a tensor
    uint8_t* own = nullptr;
    bool direct = false;  // computed by one instruction, that may write to a tensor
  };
  struct DimAccess {
    int64_t extent, stride;
    int form = -1;  // affine, or
    int reg = -1;  // computed
    bool wraps = false;
  };
  struct Access {
    const TensorData* data = nullptr;
    int64_t id = -1;
    std::vector<DimAccess> dims;
    int flat_form = -1;  // proven in bounds and affine as a whole
    int flat_reg = -1;  // proven in bounds, computed
    int fill = -1, guard = -1;
  };
  enum class Kind : uint8_t { Fn, Ramp, Load, Splat, SkipIfNone, SkipIfAll, Blend };
  struct Instr {
    Kind kind = Kind::Fn;
    bool uniform = false;
    VecFn fn = nullptr;
    int dst = -1, a = -1, b = -1, c = -1;
    int extra = -1;  // Ramp: form; Load: access; Skip: target instruction
  };
  struct ReadPlan {
    const TensorData* data = nullptr;
    std::vector<std::shared_ptr<DimPlan>> dims;  // null: computed by the argument
    std::vector<int64_t> strides;
    bool proven = false;
    std::shared_ptr<DimPlan> flat;  // where proven and all dims are plans
  };
  struct Scope {
    std::map<const ExprNode*, int> exprs;
    std::map<const DimPlan*, int> dims;
    std::map<int, int> splats;
    int guard = -1;
  };

  Dim concrete(const Dim&);
  std::shared_ptr<DimPlan> plan(const Dim&);
  Result<void> analyse(const Expr& root);
  void merge_loops();
  void choose_lane(Lanes);
  bool varies(const Expr&);
  bool varies(const DimPlan&) const;
  bool can_fail(const Expr&);
  bool has_read(const Expr&);
  int new_reg(DType, bool uniform);
  int emit(VecFn, DType, bool uniform, int a, int b = -1, int c = -1);
  int vary(int reg);
  int constant_reg(DType, double number, int64_t integer);
  Result<int> gen(const Expr&);
  Result<int> gen_node(const Expr&);
  Result<int> gen_read(const Expr&);
  Result<int> gen_select(const Expr&);
  int gen_plan(const DimPlan&);
  int find(const ExprNode*) const;
  int and_guard(int cond, bool negate, bool uniform);
  void layout();
  Result<void> run_load(const Instr&, int64_t n);

  Lookup tensor_;
  const Bindings& symbols_;
  std::vector<Symbol> iter_symbols_;  // concrete, one per original loop
  Substitution iter_substitution_;
  std::vector<Loop> loops_;
  std::vector<Form> forms_;
  std::vector<std::vector<Expr>> roots_;
  std::vector<std::vector<int>> root_regs_;
  std::vector<std::pair<size_t, size_t>> section_range_;
  std::map<const ExprNode*, ReadPlan> reads_;
  std::map<const ExprNode*, std::shared_ptr<DimPlan>> indices_;
  struct DimLess {
    bool operator()(const Dim& a, const Dim& b) const { return compare(a, b) < 0; }
  };
  std::map<Dim, std::shared_ptr<DimPlan>, DimLess> plans_;
  std::map<const ExprNode*, bool> varies_, can_fail_, has_read_;
  std::map<const ExprNode*, int> parents_;
  std::vector<Scope> scopes_;
  std::vector<Reg> regs_;
  std::vector<std::pair<int, std::pair<double, int64_t>>> constants_;
  std::deque<Access> accesses_;
  std::vector<Instr> instrs_;
  std::vector<int> state_regs_;
  int active_reg_ = -1;
  int lane_ = 0;
  int64_t iterations_ = 1, reductions_ = 1;
  std::vector<int64_t> at_;
  std::vector<std::vector<std::pair<int, int64_t>>> sparse_;  // forms_, nonzero coefficients
  std::unique_ptr<uint8_t[]> storage_;
  std::vector<int64_t> scratch_index_;
};

// index = form + sum coefficient * product of atoms.
struct DimPlan {
  struct Atom {
    Dim::AtomKind kind;
    std::shared_ptr<DimPlan> a, b;
  };
  struct Term {
    int64_t coefficient;
    std::vector<Atom> atoms;
  };
  int form = 0;
  std::vector<Term> terms;
  int64_t lower = 0, upper = 0;
};

}  // namespace ingot::eval
