// The part of the printer that kernels and the host entry share: a function under construction, its symbols, registers
// and buffers; expressions, dims, memory access and the structured statements.
//
// Values: bool is i1 (i8 in memory); integers of less than 8 bits live in i8; f16 and bf16 are i16 and the 8-bit floats
// i8, because after legalisation they are only moved and cast. Strings and complex numbers are integers of their width, one
// lane at a time, which are only moved; strings are compared, too. Registers and Let symbols are stack slots that SROA turns
// into SSA values. Offsets are printed as base + variable part + constant part, so that the constant becomes a
// displacement and the variable part is shared between the rows of a register tile.
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <map>
#include <optional>
#include <unordered_map>

#include "backends/llvm/target.h"
#include "ir/loops/loops.h"

namespace ingot::print {

inline constexpr int64_t kMaxUnroll = 1024;  // iterations of one `unroll` loop

class Printer {
 public:
  Printer(llvm::Module& module, const Target& target)
      : module_(module), context_(module.getContext()), target_(target), b_(context_) {
    llvm::FastMathFlags flags;
    flags.setAllowContract(true);
    b_.setFastMathFlags(flags);
  }
  virtual ~Printer() = default;
  const std::optional<Error>& error() const { return error_; }

 protected:
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const Target& target_;
  llvm::IRBuilder<> b_;
  llvm::Function* function_ = nullptr;
  llvm::Value* run_context_ = nullptr;  // the ingot_context*
  std::optional<Error> error_;  // the first problem; printing goes on with poison

  struct Bound {
    llvm::Value* value = nullptr;  // SSA value
    llvm::AllocaInst* slot = nullptr;
    int depth = 0;
  };
  std::map<int64_t, Bound> symbols_;
  Substitution unrolled_;  // symbols of unrolled loops
  int depth_ = 0;
  std::map<int64_t, std::pair<llvm::AllocaInst*, DType>> registers_;
  std::map<int64_t, int> register_lanes_;
  std::unordered_map<const ExprNode*, llvm::Value*> memo_;  // of the statement being printed
  std::unordered_map<const ExprNode*, Expr> keep_;

  void fail(Error e) {
    if (!error_) error_ = std::move(e);
  }

  // Types (types.cpp)
  llvm::Type* element_type(DType);
  llvm::Type* value_type(DType, int lanes);
  llvm::Type* memory_type(DType, int lanes);
  llvm::AllocaInst* entry_slot(llvm::Type*, const llvm::Twine& name = "");
  llvm::Value* i64(int64_t v) { return b_.getInt64(static_cast<uint64_t>(v)); }
  llvm::Value* i32(int64_t v) { return b_.getInt32(static_cast<uint32_t>(v)); }

  // Dims (dims.cpp)
  llvm::Value* dim(const Dim&);
  llvm::Value* symbol_value(const Symbol&);
  llvm::Value* atom(const Dim::Atom&);
  llvm::Value* scaled_dim(const Dim&, int64_t scale);
  void bind(const Symbol& s, llvm::Value* v) { symbols_[s->id] = {v, nullptr, depth_}; }
  void assign(const Symbol& s, llvm::Value* v);
  int depth_of(const Dim&);

  // Expressions (expr.cpp)
  llvm::Value* value(const Expr& e);  // of a new statement
  llvm::Value* emit(const Expr& e);
  llvm::Value* emit_node(const ExprNode& n);
  llvm::Value* constant(const ExprNode& n);
  llvm::Value* cast(llvm::Value* v, DType from, DType to, int lanes);
  llvm::Value* min_max(bool is_max, llvm::Value* a, llvm::Value* b, DType);
  llvm::Value* compare(ScalarOp, llvm::Value* a, llvm::Value* b, DType);
  llvm::Function* string_equal();
  llvm::Value* lane_reduce(ScalarOp, llvm::Value* v, DType, int lanes);
  llvm::Value* rounded(const ExprNode&);
  llvm::Value* in_parts(llvm::Value* acc, llvm::Value* x, llvm::Value* y, int lanes, int native, int per_lane,
                        const std::function<llvm::Value*(llvm::Value*, llvm::Value*, llvm::Value*)>& f);
  llvm::Value* dot2(llvm::Value* acc, llvm::Value* x, llvm::Value* y, int lanes);
  llvm::Value* tile_load(const ExprNode&);
  llvm::Value* tile_dot(const ExprNode&);
  llvm::Value* dot4(llvm::Value* acc, llvm::Value* u, llvm::Value* s, int lanes);
  llvm::Value* scalb(llvm::Value* x, llvm::Value* n, DType, int lanes);  // null: no such instruction
  llvm::Value* splat(llvm::Value* v, int lanes) { return lanes == 1 ? v : b_.CreateVectorSplat(lanes, v); }

  // Memory (memory.cpp)
  virtual void before_access() {}  // called before a load or a store is printed
  virtual llvm::Value* buffer_pointer(int64_t id) = 0;
  virtual DType buffer_dtype(int64_t id) = 0;
  llvm::Value* address(int64_t buffer, const Dim& offset, llvm::Value* index, int64_t element_bytes);
  llvm::Value* load(const ExprNode& n);
  llvm::Value* load_strided(const ExprNode& n, llvm::Type* element, llvm::Value* base, int64_t bytes,
                            llvm::Value* mask);
  void store(const l::Stmt& s);
  llvm::Value* to_memory(llvm::Value* v, DType, int lanes);
  llvm::Value* from_memory(llvm::Value* v, DType, int lanes);

  // Statements (stmts.cpp)
  void block(const std::vector<l::Stmt>&);
  void stmt(const l::Stmt&);
  void for_loop(const l::Stmt&);
  void while_loop(const l::Stmt&);
  void branch(const l::Stmt&);
  void fail_stmt(const l::Stmt&);
  void report_and_return(int node, int32_t code, const std::vector<llvm::Value*>& args);
  virtual void special(const l::Stmt&) = 0;  // the statements of one side only
  virtual void poll() {}  // called in each iteration of a host loop
  llvm::BasicBlock* new_block(const llvm::Twine& name) { return llvm::BasicBlock::Create(context_, name, function_); }
  llvm::Value* context_field(unsigned index, llvm::Type* type);
  llvm::Value* report_array();
  llvm::AllocaInst* report_args_ = nullptr;

 public:
  // The fields of ingot_context, in order (runtime/abi.h).
  enum Field : unsigned {
    kAbiVersion,
    kSize,
    kRuntime,
    kInputs,
    kWeights,
    kCancel,
    kParallelFor,
    kArena,
    kAllocate,
    kRelease,
    kOutput,
    kOutputObject,
    kReport,
    kProfile,
    kNowNs,
    kTrace,
    kDeviceLaunch,
    kDeviceSync,
    kParallelGroup
  };
};

// Attributes every function needs: target features, and the widest vectors the target has as legal and preferred.
void set_attributes(llvm::Function&, const Target&, bool debug_names);

// A kernel: `name` (hidden) with the signature ingot_kernel_fn, calling a body with noalias buffers.
llvm::Function* print_kernel(llvm::Module&, const l::Kernel&, const std::string& name, const Target&, bool debug_names,
                             std::optional<Error>& error);
// `ingot_entry`. kernel_symbols: the function of each kernel.
// Kernels of a target that has them on a device run on the context's device instead.
llvm::Function* print_host(llvm::Module&, const l::Program&, const std::vector<std::string>& kernel_symbols,
                           const Target&, bool debug_names, std::optional<Error>& error);

}  // namespace ingot::print
