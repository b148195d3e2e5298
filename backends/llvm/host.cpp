// `ingot_entry`: binds the symbols of the input shapes, takes the arena, places buffers, launches kernels and algorithms,
// and holds the model's control flow. What every launch has in common is one internal function, so that the entry of a
// model with a thousand launches stays small.
//
// A host buffer is a pointer to its memory: of the arena, the weights or an input it is computed where it is used; of an
// output or a dynamic buffer it lies in a slot that Place fills. What kernels and loads get is `origin` bytes further, the
// same for every kind. Placing a dynamic buffer again releases what it held. The slot of an object holds the address of an
// ingot_object, which lives until the end of the run, so that it is never released.
#include "backends/llvm/printer.h"
#include "runtime/abi.h"

namespace ingot::print {

using l::HostBuffer;
using l::Stmt;
using l::StmtKind;

namespace {

int32_t dtype_code(DType t) {
  switch (t) {
    case DType::Bool: return INGOT_BOOL;
    case DType::I2: return INGOT_I2;
    case DType::U2: return INGOT_U2;
    case DType::I4: return INGOT_I4;
    case DType::U4: return INGOT_U4;
    case DType::I8: return INGOT_I8;
    case DType::U8: return INGOT_U8;
    case DType::I16: return INGOT_I16;
    case DType::U16: return INGOT_U16;
    case DType::I32: return INGOT_I32;
    case DType::U32: return INGOT_U32;
    case DType::I64: return INGOT_I64;
    case DType::U64: return INGOT_U64;
    case DType::F16: return INGOT_F16;
    case DType::BF16: return INGOT_BF16;
    case DType::F32: return INGOT_F32;
    case DType::F64: return INGOT_F64;
    case DType::F8E4M3FN: return INGOT_F8E4M3FN;
    case DType::F8E4M3FNUZ: return INGOT_F8E4M3FNUZ;
    case DType::F8E5M2: return INGOT_F8E5M2;
    case DType::F8E5M2FNUZ: return INGOT_F8E5M2FNUZ;
    case DType::F8E8M0: return INGOT_F8E8M0;
    case DType::F4E2M1: return INGOT_F4E2M1;
    case DType::C64: return INGOT_C64;
    case DType::C128: return INGOT_C128;
    case DType::String: return INGOT_STRING;
    case DType::Invalid: return INGOT_OBJECT;  // sequences, optionals and maps
  }
  return 0;
}

class HostPrinter final : public Printer {
 public:
  HostPrinter(llvm::Module& m, const l::Program& p, const std::vector<std::string>& names, const Target& t, bool debug,
              bool device)
      : Printer(m, t), program_(p), names_(names), debug_(debug), device_(device) {
    pointer_ = b_.getPtrTy();
    word_ = b_.getInt64Ty();
    int_ = b_.getInt32Ty();
  }

  llvm::Function* print() {
    print_launch();
    print_checks();
    if (std::any_of(program_.host.begin(), program_.host.end(), has_group)) print_group();
    auto* entry = llvm::Function::Create(llvm::FunctionType::get(int_, {pointer_}, false),
                                         llvm::GlobalValue::ExternalLinkage, "ingot_entry", module_);
    set_attributes(*entry, target_, debug_);
    function_ = entry;
    run_context_ = entry->getArg(0);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", entry));
    // Slots go before this block's end; the code begins in the next block.
    llvm::BasicBlock* start = new_block("start");
    b_.CreateBr(start);
    b_.SetInsertPoint(start);
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      auto kind = program_.buffers[i].kind;
      slots_.push_back(kind == HostBuffer::Kind::Output || kind == HostBuffer::Kind::Dynamic ? entry_slot(pointer_)
                                                                                             : nullptr);
      if (slots_.back()) b_.CreateStore(llvm::ConstantPointerNull::get(pointer_), slots_.back());
    }
    weights_ = context_field(kWeights, pointer_);
    inputs_ = context_field(kInputs, pointer_);
    bind_inputs();
    take_arena();
    block(program_.host);
    b_.CreateRet(i32(0));
    if (scratch_) scratch_->setAllocatedType(llvm::ArrayType::get(b_.getInt8Ty(), scratch_bytes_));
    return entry;
  }

 private:
  const l::Program& program_;
  const std::vector<std::string>& names_;
  bool debug_, device_;
  llvm::PointerType* pointer_;
  llvm::Type *word_, *int_;
  llvm::Function *launch_ = nullptr, *group_ = nullptr, *check_ = nullptr;
  llvm::Value *weights_ = nullptr, *inputs_ = nullptr, *arena_ = nullptr;
  std::vector<llvm::AllocaInst*> slots_;
  // What one launch, group or call hands over lies in one piece of the stack, which all statements share: the frame is as
  // large as the largest statement needs, however many there are.
  llvm::AllocaInst* scratch_ = nullptr;
  size_t scratch_used_ = 0, scratch_bytes_ = 0;
  llvm::AllocaInst* output_shape_ = nullptr;
  int call_number_ = 0;

  void begin_scratch() { scratch_used_ = 0; }
  llvm::Value* scratch(size_t bytes) {
    if (!scratch_) {
      scratch_ = entry_slot(llvm::ArrayType::get(b_.getInt8Ty(), 0), "scratch");
      scratch_->setAlignment(llvm::Align(8));
    }
    llvm::Value* at = b_.CreateConstGEP1_64(b_.getInt8Ty(), scratch_, scratch_used_);
    scratch_used_ += (bytes + 7) / 8 * 8;
    scratch_bytes_ = std::max(scratch_bytes_, scratch_used_);
    return at;
  }

  void return_if(llvm::Value* condition, llvm::Value* status) {
    llvm::BasicBlock *leave = new_block("leave"), *next = new_block("next");
    b_.CreateCondBr(condition, leave, next);
    b_.SetInsertPoint(leave);
    b_.CreateRet(status);
    b_.SetInsertPoint(next);
  }
  void report_if(llvm::Value* condition, int node, int32_t code, const std::vector<llvm::Value*>& args) {
    llvm::BasicBlock *leave = new_block("leave"), *next = new_block("next");
    b_.CreateCondBr(condition, leave, next);
    b_.SetInsertPoint(leave);
    report_and_return(node, code, args);
    b_.SetInsertPoint(next);
  }
  llvm::CallInst* call_context(unsigned field, llvm::Type* result, llvm::ArrayRef<llvm::Value*> args) {
    std::vector<llvm::Type*> types;
    for (llvm::Value* a : args) types.push_back(a->getType());
    return b_.CreateCall(llvm::FunctionType::get(result, types, false), context_field(field, pointer_), args);
  }
  llvm::Value* field_of(llvm::Value* base, int64_t offset, llvm::Type* type) {
    return b_.CreateLoad(type, b_.CreateGEP(b_.getInt8Ty(), base, i64(offset)));
  }
  void set_field(llvm::Value* base, int64_t offset, llvm::Value* v) {
    b_.CreateStore(v, b_.CreateGEP(b_.getInt8Ty(), base, i64(offset)));
  }

  // A dim with an overflow flag; the flag is null where the dim is a constant.
  struct Checked {
    llvm::Value* value;
    llvm::Value* overflow = nullptr;
  };
  Checked checked(const Dim& d) {
    Dim s = unrolled_.empty() ? d : substitute(d, unrolled_);
    if (auto c = s.constant()) {
      magnitude_overflow_ = b_.getInt1(*c >= kDimMax);
      return {i64(*c), *c >= kDimMax || *c < 0 ? b_.getTrue() : nullptr};
    }
    llvm::Value* overflow = nullptr;
    auto step = [&](llvm::Intrinsic::ID id, llvm::Value* a, llvm::Value* b) {
      llvm::Value* r = b_.CreateBinaryIntrinsic(id, a, b);
      llvm::Value* flag = b_.CreateExtractValue(r, 1);
      overflow = overflow ? b_.CreateOr(overflow, flag) : flag;
      return b_.CreateExtractValue(r, 0);
    };
    llvm::Value* sum = nullptr;
    for (const Dim::Term& t : s.terms()) {
      llvm::Value* product = i64(t.coefficient);
      for (const Dim::Atom& a : t.atoms) {
        llvm::Value* v;
        if (a.kind == Dim::AtomKind::Symbol) {
          v = symbol_value(a.symbol);
        } else {
          // The parts of a division, minimum or maximum are checked, too; the value itself cannot overflow.
          for (const Dim* part : {&a.a, &a.b})
            if (Checked c = checked(*part); c.overflow && !part->is_constant())
              overflow = overflow ? b_.CreateOr(overflow, magnitude_overflow_) : magnitude_overflow_;
          v = atom(a);
        }
        product = step(llvm::Intrinsic::smul_with_overflow, product, v);
      }
      sum = sum ? step(llvm::Intrinsic::sadd_with_overflow, sum, product) : product;
    }
    magnitude_overflow_ = overflow ? overflow : b_.getFalse();
    llvm::Value* negative = b_.CreateICmpSLT(sum, i64(0));
    llvm::Value* huge = b_.CreateICmpSGE(sum, i64(kDimMax));
    llvm::Value* flag = b_.CreateOr(negative, huge);
    return {sum, overflow ? b_.CreateOr(overflow, flag) : flag};
  }
  llvm::Value* magnitude_overflow_ = nullptr;  // of the last `checked`: without the test of sign and size

  llvm::Value* checked_size(const Dim& d, int node) {
    Checked c = checked(d);
    if (c.overflow) report_if(c.overflow, node, INGOT_RUN_TOO_LARGE, {});
    return c.value;
  }

  llvm::Value* shape_of(int input, int dimension) {
    llvm::Value* shape = field_of(inputs_, input * int64_t{sizeof(ingot_tensor_view)} + 8, pointer_);
    return b_.CreateLoad(word_, b_.CreateConstGEP1_64(word_, shape, dimension));
  }

  // check(context, input, dimension, got, expected): reports where they differ. One function, since a model may have
  // thousands of inputs.
  void print_checks() {
    auto* type = llvm::FunctionType::get(int_, {pointer_, word_, word_, word_, word_}, false);
    check_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "ingot_check", module_);
    set_attributes(*check_, target_, debug_);
    check_->addFnAttr(llvm::Attribute::NoInline);
    function_ = check_;
    run_context_ = check_->getArg(0);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", check_));
    report_if(b_.CreateICmpNE(check_->getArg(3), check_->getArg(4)), -1, INGOT_RUN_INPUT_DIM,
              {check_->getArg(1), check_->getArg(2), check_->getArg(3), check_->getArg(4)});
    b_.CreateRet(i32(0));
    report_args_ = nullptr;
  }
  void compare(int64_t input, int64_t dimension, llvm::Value* got, llvm::Value* expected) {
    llvm::Value* status = b_.CreateCall(check_, {run_context_, i64(input), i64(dimension), got, expected});
    return_if(b_.CreateICmpNE(status, i32(0)), status);
  }

  void bind_inputs() {
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      const l::Port& p = program_.inputs[i];
      int64_t at = static_cast<int64_t>(i) * int64_t{sizeof(ingot_tensor_view)};
      int64_t number = static_cast<int64_t>(i);
      const int64_t rank = static_cast<int64_t>(p.dims.size()), type = dtype_code(p.dtype);
      compare(number, -2, b_.CreateSExt(field_of(inputs_, at + 20, int_), word_), i64(type));
      compare(number, -1, b_.CreateSExt(field_of(inputs_, at + 16, int_), word_), i64(rank));
    }
    struct Check {
      int64_t input, dimension;
      llvm::Value* got;
      const Dim* expected;
    };
    std::vector<Check> checks;
    for (size_t i = 0; i < program_.inputs.size(); ++i)
      for (size_t d = 0; d < program_.inputs[i].dims.size(); ++d) {
        const Dim& expected = program_.inputs[i].dims[d];
        int64_t input = static_cast<int64_t>(i), dimension = static_cast<int64_t>(d);
        llvm::Value* got = shape_of(static_cast<int>(i), static_cast<int>(d));
        auto s = expected.as_symbol();
        if (!s || symbols_.count((*s)->id)) {
          checks.push_back({input, dimension, got, &expected});
          continue;
        }
        report_if(b_.CreateICmpSLT(got, i64((*s)->lo)), -1, INGOT_RUN_INPUT_DIM,
                  {i64(input), i64(dimension), got, i64((*s)->lo)});
        report_if(b_.CreateICmpSGT(got, i64((*s)->hi)), -1, INGOT_RUN_INPUT_DIM,
                  {i64(input), i64(dimension), got, i64((*s)->hi)});
        bind(*s, got);
      }
    for (const Check& c : checks) {
      compare(c.input, c.dimension, c.got, dim(*c.expected));
    }
  }

  void take_arena() {
    if (program_.arena_bytes.is(0)) {
      arena_ = llvm::ConstantPointerNull::get(pointer_);
      return;
    }
    // A negative extent is reported with its node, when its buffer is placed.
    Checked c = checked(program_.arena_bytes);
    if (c.overflow) report_if(magnitude_overflow_, -1, INGOT_RUN_TOO_LARGE, {});
    llvm::Value* size = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, c.value, i64(0));
    report_if(b_.CreateICmpSGE(size, i64(kDimMax)), -1, INGOT_RUN_TOO_LARGE, {});
    arena_ = call_context(kArena, pointer_, {run_context_, size});
    report_if(b_.CreateIsNull(arena_), -1, INGOT_RUN_NO_MEMORY, {size});
  }

  llvm::Value* buffer_pointer(int64_t id) override {
    if (id < 0 || id >= static_cast<int64_t>(program_.buffers.size())) {
      fail(invalid("host uses buffer {}, expected one below {}", id, program_.buffers.size()));
      return llvm::PoisonValue::get(pointer_);
    }
    const HostBuffer& h = program_.buffers[id];
    llvm::Value* memory = memory_of(id);
    return h.origin.is(0) ? memory : b_.CreateGEP(b_.getInt8Ty(), memory, dim(h.origin));
  }
  DType buffer_dtype(int64_t id) override { return program_.buffers[id].dtype; }

  llvm::Value* memory_of(int64_t id) {
    const HostBuffer& h = program_.buffers[id];
    llvm::Type* byte = b_.getInt8Ty();
    switch (h.kind) {
      case HostBuffer::Kind::Arena: return b_.CreateGEP(byte, arena_, dim(h.offset));
      case HostBuffer::Kind::Constant: return b_.CreateGEP(byte, weights_, dim(h.offset));
      case HostBuffer::Kind::Input: return field_of(inputs_, h.index * int64_t{sizeof(ingot_tensor_view)}, pointer_);
      case HostBuffer::Kind::Output:
      case HostBuffer::Kind::Dynamic: return b_.CreateLoad(pointer_, slots_[id]);
      case HostBuffer::Kind::View:
        // A view of a view ends, because verify() wants views to point at earlier buffers.
        if (h.index < 0 || h.index >= id) {
          fail(invalid("view {} points at buffer {}, expected an earlier one", id, h.index));
          return llvm::PoisonValue::get(pointer_);
        }
        return b_.CreateGEP(byte, buffer_pointer(h.index), dim(h.offset));
    }
    return nullptr;
  }

  void poll() override {
    llvm::Value* flag = b_.CreateAlignedLoad(int_, context_field(kCancel, pointer_), llvm::Align(4), true);
    return_if(b_.CreateICmpNE(flag, i32(0)), i32(INGOT_RUN_CANCELLED));
  }

  // launch(context, kernel function, buffers, scalars, count, grain, index): cancel flag, empty and small grids, profile.
  void print_launch() {
    auto* type = llvm::FunctionType::get(int_, {pointer_, pointer_, pointer_, pointer_, word_, word_, int_}, false);
    launch_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "ingot_launch", module_);
    set_attributes(*launch_, target_, debug_);
    launch_->addFnAttr(llvm::Attribute::NoInline);
    function_ = launch_;
    run_context_ = launch_->getArg(0);
    llvm::Value *kernel = launch_->getArg(1), *buffers = launch_->getArg(2), *scalars = launch_->getArg(3),
                *count = launch_->getArg(4), *grain = launch_->getArg(5), *index = launch_->getArg(6);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", launch_));
    poll();
    return_if(b_.CreateICmpSLE(count, i64(0)), i32(0));
    llvm::Value* profile = context_field(kProfile, pointer_);
    llvm::Value* profiling = b_.CreateIsNotNull(profile);
    llvm::BasicBlock *clock = new_block("clock"), *run = new_block("run");
    llvm::BasicBlock* before = b_.GetInsertBlock();
    b_.CreateCondBr(profiling, clock, run);
    b_.SetInsertPoint(clock);
    llvm::Value* now = call_context(kNowNs, word_, {run_context_});
    llvm::BasicBlock* clocked = b_.GetInsertBlock();
    b_.CreateBr(run);
    b_.SetInsertPoint(run);
    llvm::PHINode* start = b_.CreatePHI(word_, 2, "start");
    start->addIncoming(now, clocked);
    start->addIncoming(i64(0), before);
    llvm::Value* status = device_ ? call_context(kDeviceLaunch, int_, {run_context_, index, buffers, scalars, count})
                                  : run_kernel(kernel, buffers, scalars, count, grain);
    llvm::BasicBlock *tell = new_block("tell"), *leave = new_block("leave");
    b_.CreateCondBr(profiling, tell, leave);
    b_.SetInsertPoint(tell);
    llvm::Value* end = call_context(kNowNs, word_, {run_context_});
    call_context(kProfile, b_.getVoidTy(), {run_context_, index, count, start, end});
    b_.CreateBr(leave);
    b_.SetInsertPoint(leave);
    b_.CreateRet(status);
  }

  // A kernel of this image, in this thread where the grid is small.
  llvm::Value* run_kernel(llvm::Value* kernel, llvm::Value* buffers, llvm::Value* scalars, llvm::Value* count,
                          llvm::Value* grain) {
    llvm::BasicBlock *direct = new_block("direct"), *parallel = new_block("parallel"), *done = new_block("done");
    llvm::Value* small = b_.CreateOr(b_.CreateICmpSLE(count, i64(1)), b_.CreateICmpSLE(count, grain));
    b_.CreateCondBr(small, direct, parallel);
    b_.SetInsertPoint(direct);
    auto* kernel_type = llvm::FunctionType::get(int_, {pointer_, pointer_, pointer_, word_, word_}, false);
    llvm::Value* one = b_.CreateCall(kernel_type, kernel, {run_context_, buffers, scalars, i64(0), count});
    b_.CreateBr(done);
    b_.SetInsertPoint(parallel);
    llvm::Value* many = call_context(kParallelFor, int_, {run_context_, kernel, buffers, scalars, count, grain});
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    llvm::PHINode* status = b_.CreatePHI(int_, 2, "status");
    status->addIncoming(one, direct);
    status->addIncoming(many, parallel);
    return status;
  }

  // Before the host touches memory that kernels of the device may still write.
  void before_access() override {
    if (!device_) return;
    llvm::Value* status = call_context(kDeviceSync, int_, {run_context_});
    return_if(b_.CreateICmpNE(status, i32(0)), status);
  }

  static bool has_group(const Stmt& s) {
    return s.kind == StmtKind::Group || std::any_of(s.body.begin(), s.body.end(), has_group) ||
           std::any_of(s.otherwise.begin(), s.otherwise.end(), has_group);
  }

  // group(context, launches, count): side by side; one after the other where each is to be timed.
  void print_group() {
    group_ = llvm::Function::Create(llvm::FunctionType::get(int_, {pointer_, pointer_, int_}, false),
                                    llvm::GlobalValue::InternalLinkage, "ingot_group", module_);
    set_attributes(*group_, target_, debug_);
    group_->addFnAttr(llvm::Attribute::NoInline);
    function_ = group_;
    run_context_ = group_->getArg(0);
    llvm::Value *launches = group_->getArg(1), *count = group_->getArg(2);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", group_));
    llvm::BasicBlock *together = new_block("together"), *apart = new_block("apart"), *next = new_block("next"),
                     *more = new_block("more"), *done = new_block("done");
    llvm::BasicBlock* entry = b_.GetInsertBlock();
    b_.CreateCondBr(b_.CreateIsNotNull(context_field(kProfile, pointer_)), apart, together);
    b_.SetInsertPoint(together);
    poll();
    b_.CreateRet(call_context(kParallelGroup, int_, {run_context_, launches, count}));
    b_.SetInsertPoint(apart);
    llvm::PHINode* k = b_.CreatePHI(int_, 2, "k");
    k->addIncoming(i32(0), entry);
    llvm::Value* l = b_.CreateGEP(b_.getInt8Ty(), launches,
                                  b_.CreateMul(b_.CreateSExt(k, word_), i64(int64_t{sizeof(ingot_launch)})));
    auto field = [&](size_t offset, llvm::Type* type) { return field_of(l, static_cast<int64_t>(offset), type); };
    llvm::Value* status = b_.CreateCall(
        launch_, {run_context_, field(offsetof(ingot_launch, kernel), pointer_),
                  field(offsetof(ingot_launch, buffers), pointer_), field(offsetof(ingot_launch, scalars), pointer_),
                  field(offsetof(ingot_launch, count), word_), field(offsetof(ingot_launch, grain), word_),
                  b_.CreateTrunc(field(offsetof(ingot_launch, index), word_), int_)});
    b_.CreateCondBr(b_.CreateICmpNE(status, i32(0)), done, next);
    b_.SetInsertPoint(next);
    llvm::Value* after = b_.CreateAdd(k, i32(1));
    k->addIncoming(after, more);
    b_.CreateCondBr(b_.CreateICmpSLT(after, count), more, done);
    b_.SetInsertPoint(more);
    b_.CreateBr(apart);
    b_.SetInsertPoint(done);
    b_.CreateRet(status);
  }

  void group(const Stmt& s) {
    if (device_) {
      for (const Stmt& l : s.body) launch(l);
      return;
    }
    begin_scratch();
    llvm::Value* launches = scratch(sizeof(ingot_launch) * s.body.size());
    for (size_t k = 0; k < s.body.size(); ++k) {
      const Stmt& l = s.body[k];
      if (!fits_kernel(l)) return;
      llvm::Value* buffers = scratch(sizeof(void*) * l.buffers.size());
      llvm::Value* scalars = scratch(sizeof(int64_t) * l.scalars.size());
      fill_arguments(l, buffers, scalars);
      const int64_t at = static_cast<int64_t>(k * sizeof(ingot_launch));
      auto set = [&](size_t offset, llvm::Value* v) { set_field(launches, at + static_cast<int64_t>(offset), v); };
      set(offsetof(ingot_launch, kernel), kernel_function(l.id));
      set(offsetof(ingot_launch, buffers), buffers);
      set(offsetof(ingot_launch, scalars), scalars);
      set(offsetof(ingot_launch, count), dim(unrolled_.empty() ? l.end : substitute(l.end, unrolled_)));
      set(offsetof(ingot_launch, grain), i64(std::max<int64_t>(1, l.grain)));
      set(offsetof(ingot_launch, cost), i64(std::max<int64_t>(1, l.cost)));
      set(offsetof(ingot_launch, index), i64(l.id));
    }
    llvm::Value* status = b_.CreateCall(group_, {run_context_, launches, i32(static_cast<int64_t>(s.body.size()))});
    return_if(b_.CreateICmpNE(status, i32(0)), status);
  }

  bool fits_kernel(const Stmt& s) {
    if (s.id < 0 || s.id >= static_cast<int64_t>(program_.kernels.size())) {
      fail(invalid("launch of kernel {}, expected one below {}", s.id, program_.kernels.size()));
      return false;
    }
    const l::Kernel& k = program_.kernels[s.id];
    const bool fits = s.buffers.size() == k.buffers.size() && s.scalars.size() == k.scalars.size();
    if (!fits)
      fail(invalid("launch of '{}' with {} buffers and {} scalars, expected {} and {}", k.name, s.buffers.size(),
                   s.scalars.size(), k.buffers.size(), k.scalars.size()));
    return fits;
  }

  void fill_arguments(const Stmt& s, llvm::Value* buffers, llvm::Value* scalars) {
    for (size_t i = 0; i < s.buffers.size(); ++i)
      b_.CreateStore(buffer_pointer(s.buffers[i]), b_.CreateConstGEP1_64(pointer_, buffers, i));
    for (size_t i = 0; i < s.scalars.size(); ++i)
      b_.CreateStore(dim(s.scalars[i]), b_.CreateConstGEP1_64(word_, scalars, i));
  }

  llvm::Function* kernel_function(int64_t id) {
    auto* type = llvm::FunctionType::get(int_, {pointer_, pointer_, pointer_, word_, word_}, false);
    auto* function = llvm::cast<llvm::Function>(module_.getOrInsertFunction(names_[id], type).getCallee());
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    return function;
  }

  void launch(const Stmt& s) {
    if (!fits_kernel(s)) return;
    Dim grid = unrolled_.empty() ? s.end : substitute(s.end, unrolled_);
    if (grid.is(0)) return;
    begin_scratch();
    llvm::Value* buffers = scratch(sizeof(void*) * s.buffers.size());
    llvm::Value* scalars = scratch(sizeof(int64_t) * s.scalars.size());
    fill_arguments(s, buffers, scalars);
    llvm::Value* f = llvm::ConstantPointerNull::get(pointer_);
    if (!device_) f = kernel_function(s.id);
    llvm::Value* status = b_.CreateCall(
        launch_, {run_context_, f, buffers, scalars, dim(grid), i64(std::max<int64_t>(1, s.grain)), i32(s.id)});
    return_if(b_.CreateICmpNE(status, i32(0)), status);
  }

  void release(llvm::Value* p) {
    llvm::BasicBlock *some = new_block("held"), *done = new_block("released");
    b_.CreateCondBr(b_.CreateIsNotNull(p), some, done);
    b_.SetInsertPoint(some);
    call_context(kRelease, b_.getVoidTy(), {run_context_, p});
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
  }

  void ask_output(int64_t id, int node) {
    const HostBuffer& h = program_.buffers[id];
    if (h.dims.size() > INGOT_MAX_RANK)
      return fail(invalid("output {} has {} dims, expected at most {}", h.index, h.dims.size(), INGOT_MAX_RANK));
    if (!output_shape_) output_shape_ = entry_slot(llvm::ArrayType::get(word_, INGOT_MAX_RANK), "shape");
    llvm::Value* shape = output_shape_;
    for (size_t i = 0; i < h.dims.size(); ++i)
      b_.CreateStore(checked_size(h.dims[i], node), b_.CreateConstGEP1_64(word_, shape, i));
    llvm::Value* p = call_context(
        kOutput, pointer_,
        {run_context_, i32(h.index), i32(dtype_code(h.dtype)), i32(static_cast<int64_t>(h.dims.size())), shape});
    return_if(b_.CreateIsNull(p), i32(INGOT_RUN_NO_MEMORY));
    b_.CreateStore(p, slots_[id]);
  }

  void place(const Stmt& s) {
    if (s.id < 0 || s.id >= static_cast<int64_t>(program_.buffers.size()))
      return fail(invalid("place of buffer {}, expected one below {}", s.id, program_.buffers.size()));
    const HostBuffer& h = program_.buffers[s.id];
    if (h.dtype == DType::Invalid) return;
    switch (h.kind) {
      case HostBuffer::Kind::Arena: {
        if (h.offset.is_constant() && h.size.is_constant() && program_.arena_bytes.is_constant()) return;
        checked_size(h.size, s.node);
        llvm::Value* end = checked_size(h.offset + h.size, s.node);
        report_if(b_.CreateICmpSGT(end, dim(program_.arena_bytes)), s.node, INGOT_RUN_TOO_LARGE, {});
        return;
      }
      case HostBuffer::Kind::Constant:
      case HostBuffer::Kind::Input:
      case HostBuffer::Kind::View: return;
      case HostBuffer::Kind::Output: ask_output(s.id, s.node); return;
      case HostBuffer::Kind::Dynamic: {
        llvm::Value* size = checked_size(h.size, s.node);
        release(b_.CreateLoad(pointer_, slots_[s.id]));
        llvm::Value* p = call_context(kAllocate, pointer_, {run_context_, size});
        b_.CreateStore(p, slots_[s.id]);
        report_if(b_.CreateIsNull(p), s.node, INGOT_RUN_NO_MEMORY, {size});
        return;
      }
    }
  }

  void assign_object(const Stmt& s) {
    auto is_object = [&](int64_t id) {
      return id >= 0 && id < static_cast<int64_t>(program_.buffers.size()) &&
             program_.buffers[id].dtype == DType::Invalid;
    };
    if (s.buffers.size() != 1 || !is_object(s.buffers[0]) || !is_object(s.id))
      return fail(invalid("assign of buffers that are not objects"));
    llvm::Value* object = buffer_pointer(s.buffers[0]);
    const HostBuffer& h = program_.buffers[s.id];
    if (h.kind == HostBuffer::Kind::Output) {
      call_context(kOutputObject, b_.getVoidTy(), {run_context_, i32(h.index), object});
    } else if (slots_[s.id]) {
      b_.CreateStore(object, slots_[s.id]);
    } else {
      fail(invalid("assign to buffer {}, which is fixed", s.id));
    }
  }

  llvm::Value* text(const std::string& s) { return b_.CreateGlobalString(s, "text", 0, &module_); }

  void call(const Stmt& s) {
    std::map<int64_t, Symbol> decided;
    for (const Symbol& d : s.symbols) decided[d->id] = d;
    auto undecided = [&](const l::Tensor& t) {
      for (const Dim& d : t.dims) {
        std::map<int64_t, Symbol> used;
        collect_symbols(d, used);
        for (auto& [id, unused] : used)
          if (decided.count(id)) return true;
      }
      return false;
    };
    begin_scratch();
    auto array = [&](size_t n, size_t bytes) { return scratch(n * bytes); };
    auto views = [&](const std::vector<l::Tensor>& tensors, bool results) {
      llvm::Value* a = array(tensors.size(), sizeof(ingot_tensor_view));
      for (size_t i = 0; i < tensors.size(); ++i) {
        const l::Tensor& t = tensors[i];
        int64_t at = static_cast<int64_t>(i * sizeof(ingot_tensor_view));
        llvm::Value* shape = array(results ? INGOT_MAX_RANK : t.dims.size(), sizeof(int64_t));
        bool open = results && (undecided(t) || t.dtype == DType::Invalid);
        if (!open)
          for (size_t d = 0; d < t.dims.size(); ++d)
            b_.CreateStore(dim(t.dims[d]), b_.CreateConstGEP1_64(word_, shape, d));
        bool absent = t.buffer < 0 || open;
        set_field(a, at, absent ? llvm::ConstantPointerNull::get(pointer_) : buffer_pointer(t.buffer));
        set_field(a, at + 8, shape);
        set_field(a, at + 16, i32(static_cast<int64_t>(t.dims.size())));
        set_field(a, at + 20, i32(t.buffer < 0 ? 0 : dtype_code(t.dtype)));
      }
      return a;
    };
    poll();
    before_access();
    llvm::Value* operands = views(s.operands, false);
    llvm::Value* results = views(s.results, true);
    llvm::Value* ints = array(s.ints.size(), sizeof(int64_t));
    for (size_t i = 0; i < s.ints.size(); ++i) b_.CreateStore(i64(s.ints[i]), b_.CreateConstGEP1_64(word_, ints, i));
    llvm::Value* floats = array(s.floats.size(), sizeof(double));
    for (size_t i = 0; i < s.floats.size(); ++i)
      b_.CreateStore(llvm::ConstantFP::get(b_.getDoubleTy(), s.floats[i]),
                     b_.CreateConstGEP1_64(b_.getDoubleTy(), floats, i));
    llvm::Value* strings = array(s.strings.size(), sizeof(ingot_string));
    for (size_t i = 0; i < s.strings.size(); ++i) {
      set_field(strings, static_cast<int64_t>(i) * 16, text(s.strings[i]));
      set_field(strings, static_cast<int64_t>(i) * 16 + 8, i64(static_cast<int64_t>(s.strings[i].size())));
    }
    llvm::Value* symbols = array(s.symbols.size(), sizeof(int64_t));
    for (size_t i = 0; i < s.symbols.size(); ++i) b_.CreateStore(i64(0), b_.CreateConstGEP1_64(word_, symbols, i));
    llvm::Value* record = scratch(sizeof(ingot_call));
    set_field(record, 0, run_context_);
    set_field(record, 8, operands);
    set_field(record, 16, results);
    set_field(record, 24, ints);
    set_field(record, 32, floats);
    set_field(record, 40, strings);
    set_field(record, 48, symbols);
    size_t counts[] = {s.operands.size(), s.results.size(), s.ints.size(),
                       s.floats.size(),   s.strings.size(), s.symbols.size()};
    int64_t at = 56;
    for (size_t c : counts) set_field(record, at, i32(static_cast<int64_t>(c))), at += 4;
    set_field(record, at, i32(s.node));
    static_assert(offsetof(ingot_call, operand_count) == 56 && offsetof(ingot_call, node) == 80);

    llvm::Value* profiling = b_.CreateIsNotNull(context_field(kProfile, pointer_));
    llvm::Value* start = scratch(sizeof(int64_t));
    auto timed = [&](auto&& action) {
      llvm::BasicBlock *yes = new_block("clock"), *next = new_block("clocked");
      b_.CreateCondBr(profiling, yes, next);
      b_.SetInsertPoint(yes);
      action();
      b_.CreateBr(next);
      b_.SetInsertPoint(next);
    };
    timed([&] { b_.CreateStore(call_context(kNowNs, word_, {run_context_}), start); });
    auto* type = llvm::FunctionType::get(int_, {pointer_}, false);
    auto* f = llvm::cast<llvm::Function>(module_.getOrInsertFunction("ingot_alg_" + s.name, type).getCallee());
    llvm::Value* status = b_.CreateCall(f, {record});
    int number = static_cast<int>(program_.kernels.size()) + call_number_++;
    timed([&] {
      llvm::Value* end = call_context(kNowNs, word_, {run_context_});
      call_context(kProfile, b_.getVoidTy(), {run_context_, i32(number), i64(1), b_.CreateLoad(word_, start), end});
    });
    return_if(b_.CreateICmpNE(status, i32(0)), status);
    for (size_t i = 0; i < s.symbols.size(); ++i)
      assign(s.symbols[i], b_.CreateLoad(word_, b_.CreateConstGEP1_64(word_, symbols, i)));
    for (size_t i = 0; i < s.results.size(); ++i) {
      const l::Tensor& t = s.results[i];
      bool object = t.dtype == DType::Invalid;
      if (t.buffer < 0 || (!object && !undecided(t))) continue;
      const HostBuffer& h = program_.buffers[t.buffer];
      llvm::Value* data = field_of(results, static_cast<int64_t>(i * sizeof(ingot_tensor_view)), pointer_);
      if (object) {
        if (h.kind != HostBuffer::Kind::Dynamic)
          return fail(invalid("algorithm '{}' gives an object to buffer '{}', expected a dynamic one", s.name, h.name));
        b_.CreateStore(data, slots_[t.buffer]);
        continue;
      }
      if (h.kind == HostBuffer::Kind::Dynamic) {
        release(b_.CreateLoad(pointer_, slots_[t.buffer]));
        b_.CreateStore(data, slots_[t.buffer]);
      } else if (h.kind == HostBuffer::Kind::Output) {
        const int element_bits = t.dtype == DType::String ? 8 * int{sizeof(ingot_string)} : bits(t.dtype);
        Dim bytes = floordiv(product(t.dims) * Dim(element_bits) + Dim(7), Dim(8));
        llvm::Value* size = checked_size(bytes, s.node);
        ask_output(t.buffer, s.node);
        b_.CreateMemCpy(b_.CreateLoad(pointer_, slots_[t.buffer]), llvm::MaybeAlign(1), data, llvm::MaybeAlign(1),
                        size);
        release(data);
      } else {
        fail(invalid("algorithm '{}' decides the size of buffer '{}', which is neither dynamic nor an output", s.name,
                     h.name));
      }
    }
  }

  void special(const Stmt& s) override {
    switch (s.kind) {
      case StmtKind::Launch: launch(s); return;
      case StmtKind::Group: group(s); return;
      case StmtKind::Place: place(s); return;
      case StmtKind::Assign: assign_object(s); return;
      case StmtKind::Call: call(s); return;
      case StmtKind::Require: {
        std::vector<llvm::Value*> args;
        llvm::Value* ok = b_.CreateICmpNE(dim(s.begin), i64(0));
        llvm::BasicBlock *leave = new_block("leave"), *next = new_block("next");
        b_.CreateCondBr(ok, next, leave);
        b_.SetInsertPoint(leave);
        memo_.clear();
        for (const Expr& e : s.args)
          args.push_back(e.type() == DType::I64 ? emit(e) : cast(emit(e), e.type(), DType::I64, 1));
        report_and_return(s.node, s.code, args);
        b_.SetInsertPoint(next);
        return;
      }
      default: fail(invalid("a scratch buffer on the host")); return;
    }
  }
};

}  // namespace

llvm::Function* print_host(llvm::Module& m, const l::Program& program, const std::vector<std::string>& kernel_symbols,
                           const Target& target, bool debug_names, std::optional<Error>& error) {
  HostPrinter p(m, program, kernel_symbols, target, debug_names, target.kernels != Target::Kernels::Native);
  llvm::Function* f = p.print();
  if (p.error() && !error) error = Error(*p.error()).context("in the host program");
  return f;
}

}  // namespace ingot::print
