// Kernels. The function that the runtime calls unpacks buffers and scalars; the body takes them as noalias parameters.
#include "backends/llvm/printer.h"

namespace ingot::print {

namespace {

class KernelPrinter final : public Printer {
 public:
  KernelPrinter(llvm::Module& m, const l::Kernel& k, const Target& t) : Printer(m, t), kernel_(k) {}

  llvm::Function* print(const std::string& name, bool debug_names) {
    llvm::Type* pointer = b_.getPtrTy();
    llvm::Type* word = b_.getInt64Ty();
    std::vector<llvm::Type*> types{pointer};
    types.insert(types.end(), kernel_.buffers.size(), pointer);
    types.insert(types.end(), kernel_.scalars.size() + 2, word);
    auto* body = llvm::Function::Create(llvm::FunctionType::get(b_.getInt32Ty(), types, false),
                                        llvm::GlobalValue::InternalLinkage, name + ".body", module_);
    set_attributes(*body, target_, debug_names);
    body->addFnAttr(llvm::Attribute::NoInline);
    function_ = body;
    unsigned a = 0;
    run_context_ = body->getArg(a++);
    for (const l::BufferParam& p : kernel_.buffers) {
      llvm::Argument* arg = body->getArg(a++);
      arg->setName(p.name);
      arg->addAttr(llvm::Attribute::NoAlias);
      if (!p.written) arg->addAttr(llvm::Attribute::ReadOnly);
      buffers_[p.id] = {arg, p.dtype};
    }
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", body));
    for (const Symbol& s : kernel_.scalars) {
      body->getArg(a)->setName(s->name);
      bind(s, body->getArg(a++));
    }
    llvm::Value *first = body->getArg(a), *last = body->getArg(a + 1);
    llvm::BasicBlock* entry = b_.GetInsertBlock();
    llvm::BasicBlock *loop = new_block("item"), *done = new_block("done");
    b_.SetInsertPoint(loop);
    llvm::PHINode* item = b_.CreatePHI(word, 2, kernel_.item->name);
    item->addIncoming(first, entry);
    ++depth_;
    bind(kernel_.item, item);
    block(kernel_.body);
    llvm::Value* next = b_.CreateAdd(item, i64(1), "", false, true);
    item->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpSLT(next, last), loop, done);
    b_.SetInsertPoint(entry);
    b_.CreateCondBr(b_.CreateICmpSLT(first, last), loop, done);
    b_.SetInsertPoint(done);
    b_.CreateRet(i32(0));

    auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {pointer, pointer, pointer, word, word}, false);
    auto* outer = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module_);
    outer->setVisibility(llvm::GlobalValue::HiddenVisibility);
    set_attributes(*outer, target_, debug_names);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", outer));
    std::vector<llvm::Value*> args{outer->getArg(0)};
    for (size_t i = 0; i < kernel_.buffers.size(); ++i)
      args.push_back(b_.CreateLoad(pointer, b_.CreateConstGEP1_64(pointer, outer->getArg(1), i)));
    for (size_t i = 0; i < kernel_.scalars.size(); ++i)
      args.push_back(b_.CreateLoad(word, b_.CreateConstGEP1_64(word, outer->getArg(2), i)));
    args.push_back(outer->getArg(3));
    args.push_back(outer->getArg(4));
    b_.CreateRet(b_.CreateCall(body, args));
    return outer;
  }

 private:
  const l::Kernel& kernel_;
  std::map<int64_t, std::pair<llvm::Value*, DType>> buffers_;

  llvm::Value* buffer_pointer(int64_t id) override {
    auto it = buffers_.find(id);
    if (it != buffers_.end()) return it->second.first;
    fail(invalid("kernel '{}' uses buffer {}, which it does not declare", kernel_.name, id));
    return llvm::PoisonValue::get(b_.getPtrTy());
  }
  DType buffer_dtype(int64_t id) override { return buffers_.count(id) ? buffers_[id].second : DType::I8; }

  void special(const l::Stmt& s) override {
    if (s.kind != l::StmtKind::Scratch) return fail(invalid("kernel '{}' holds a host statement", kernel_.name));
    // One slot per id, also where an unrolled loop declares it several times.
    if (buffers_.count(s.id)) return;
    auto* slot =
        entry_slot(llvm::ArrayType::get(memory_type(s.dtype, 1), static_cast<uint64_t>(s.elements)), "scratch");
    slot->setAlignment(llvm::Align(64));
    buffers_[s.id] = {slot, s.dtype};
  }
};

}  // namespace

void set_attributes(llvm::Function& f, const Target& target, bool debug_names) {
  f.addFnAttr(llvm::Attribute::NoUnwind);
  f.addFnAttr("target-cpu", target.level);
  if (!target.tune.empty()) f.addFnAttr("tune-cpu", target.tune);
  f.addFnAttr("target-features", target.llvm_features());
  f.addFnAttr("no-builtins");
  f.addFnAttr("no-jump-tables", "true");
  if (target.arch == Arch::X86_64) {
    std::string width = std::to_string(target.vector_bits);
    f.addFnAttr("prefer-vector-width", width);
    f.addFnAttr("min-legal-vector-width", width);
  }
  if (debug_names) {
    f.addFnAttr("frame-pointer", "non-leaf");
    f.setUWTableKind(llvm::UWTableKind::Async);
  }
}

llvm::Function* print_kernel(llvm::Module& m, const l::Kernel& k, const std::string& name, const Target& target,
                             bool debug_names, std::optional<Error>& error) {
  KernelPrinter p(m, k, target);
  llvm::Function* f = p.print(name, debug_names);
  if (p.error() && !error) error = Error(*p.error()).context("in kernel '" + k.name + "'");
  return f;
}

}  // namespace ingot::print
