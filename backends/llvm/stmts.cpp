// Structured statements. Loops are printed rotated (guard, then a body that ends with the test), so that no pass has to.
#include "backends/llvm/printer.h"

namespace ingot::print {

using l::Stmt;
using l::StmtKind;

llvm::AllocaInst* Printer::entry_slot(llvm::Type* type, const llvm::Twine& name) {
  llvm::IRBuilder<> at(&function_->getEntryBlock(), function_->getEntryBlock().begin());
  return at.CreateAlloca(type, nullptr, name);
}

void Printer::block(const std::vector<Stmt>& body) {
  for (const Stmt& s : body) stmt(s);
}

void Printer::stmt(const Stmt& s) {
  switch (s.kind) {
    case StmtKind::For: for_loop(s); return;
    case StmtKind::While: while_loop(s); return;
    case StmtKind::If: branch(s); return;
    case StmtKind::Let: assign(s.symbol, value(s.expr)); return;
    case StmtKind::Declare: {
      auto& slot = registers_[s.id];
      llvm::Type* type = value_type(s.dtype, s.lanes);
      if (!slot.first || slot.first->getAllocatedType() != type)
        slot = {entry_slot(type, "r" + llvm::Twine(s.id)), s.dtype};
      if (s.expr) b_.CreateStore(value(s.expr), slot.first);
      return;
    }
    case StmtKind::Set: {
      auto it = registers_.find(s.id);
      if (it == registers_.end()) return fail(invalid("register {} is set before it is declared", s.id));
      llvm::Value* v = value(s.expr);
      if (v->getType() != it->second.first->getAllocatedType())
        return fail(invalid("register {} is set to a value of another type", s.id));
      b_.CreateStore(v, it->second.first);
      return;
    }
    case StmtKind::Store:
      memo_.clear();
      store(s);
      return;
    case StmtKind::Prefetch: {
      llvm::Value* p = address(s.id, s.offset, nullptr, std::max(1, bits(buffer_dtype(s.id)) / 8));
      b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {p->getType()}, {p, i32(0), i32(3), i32(1)});
      return;
    }
    case StmtKind::Fail: fail_stmt(s); return;
    case StmtKind::Scratch:
    case StmtKind::Launch:
    case StmtKind::Group:
    case StmtKind::Place:
    case StmtKind::Assign:
    case StmtKind::Call:
    case StmtKind::Require: special(s); return;
  }
}

void Printer::for_loop(const Stmt& s) {
  Dim begin = unrolled_.empty() ? s.begin : substitute(s.begin, unrolled_);
  Dim end = unrolled_.empty() ? s.end : substitute(s.end, unrolled_);
  auto extent = (end - begin).constant();
  if (s.step <= 0) return fail(invalid("loop '{}' has step {}, expected a positive step", s.symbol->name, s.step));
  if (extent && *extent <= 0) return;
  int64_t trips = extent ? (*extent + s.step - 1) / s.step : -1;
  if (trips == 1 || (s.unroll && trips > 0 && trips <= kMaxUnroll)) {
    Substitution outer = unrolled_;
    auto bound = symbols_;
    for (int64_t t = 0; t < trips; ++t) {
      unrolled_[s.symbol->id] = begin + Dim(t * s.step);
      block(s.body);
    }
    unrolled_ = std::move(outer);
    return;
  }
  llvm::Value* first = dim(s.begin);
  llvm::Value* last = dim(s.end);
  llvm::BasicBlock *body = new_block(s.symbol->name), *done = new_block(s.symbol->name + ".done");
  llvm::BasicBlock* from = b_.GetInsertBlock();
  if (trips > 0) {
    b_.CreateBr(body);
  } else {
    llvm::BasicBlock* preheader = new_block(s.symbol->name + ".pre");
    b_.CreateCondBr(b_.CreateICmpSLT(first, last), preheader, done);
    b_.SetInsertPoint(preheader);
    b_.CreateBr(body);
    from = preheader;
  }
  b_.SetInsertPoint(body);
  llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2, s.symbol->name);
  i->addIncoming(first, from);
  ++depth_;
  bind(s.symbol, i);
  poll();
  block(s.body);
  --depth_;
  llvm::Value* next = b_.CreateAdd(i, i64(s.step), "", false, true);
  i->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpSLT(next, last), body, done);
  b_.SetInsertPoint(done);
}

void Printer::while_loop(const Stmt& s) {
  llvm::BasicBlock *head = new_block("while"), *body = new_block("while.body"), *done = new_block("while.done");
  b_.CreateBr(head);
  b_.SetInsertPoint(head);
  ++depth_;
  llvm::Value* go = value(s.expr);
  b_.CreateCondBr(go, body, done);
  b_.SetInsertPoint(body);
  poll();
  block(s.body);
  --depth_;
  b_.CreateBr(head);
  b_.SetInsertPoint(done);
}

void Printer::branch(const Stmt& s) {
  llvm::BasicBlock *then = new_block("then"), *done = new_block("endif");
  llvm::BasicBlock* otherwise = s.otherwise.empty() ? done : new_block("else");
  b_.CreateCondBr(value(s.expr), then, otherwise);
  b_.SetInsertPoint(then);
  block(s.body);
  b_.CreateBr(done);
  if (otherwise != done) {
    b_.SetInsertPoint(otherwise);
    block(s.otherwise);
    b_.CreateBr(done);
  }
  b_.SetInsertPoint(done);
}

llvm::Value* Printer::context_field(unsigned index, llvm::Type* type) {
  // abi_version and size_bytes share the first eight bytes; every later field has eight.
  int64_t offset = index < 2 ? index * 4 : 8 + (static_cast<int64_t>(index) - 2) * 8;
  return b_.CreateLoad(type, b_.CreateGEP(b_.getInt8Ty(), run_context_, i64(offset)));
}

void Printer::report_and_return(int node, int32_t code, const std::vector<llvm::Value*>& args) {
  llvm::Type* pointer = b_.getPtrTy();
  if (!report_args_) report_args_ = entry_slot(llvm::ArrayType::get(b_.getInt64Ty(), 4), "report");
  for (size_t i = 0; i < args.size() && i < 4; ++i)
    b_.CreateStore(args[i], b_.CreateConstGEP1_64(b_.getInt64Ty(), report_args_, i));
  auto* type = llvm::FunctionType::get(b_.getInt32Ty(),
                                       {pointer, b_.getInt32Ty(), b_.getInt32Ty(), b_.getInt32Ty(), pointer}, false);
  b_.CreateCall(
      type, context_field(kReport, pointer),
      {run_context_, i32(node), i32(code), i32(static_cast<int64_t>(std::min<size_t>(4, args.size()))), report_args_});
  b_.CreateRet(i32(code));
}

void Printer::fail_stmt(const Stmt& s) {
  std::vector<llvm::Value*> args;
  memo_.clear();
  for (const Expr& e : s.args)
    args.push_back(e.type() == DType::I64 ? emit(e) : cast(emit(e), e.type(), DType::I64, 1));
  report_and_return(s.node, s.code, args);
  b_.SetInsertPoint(new_block("unreachable"));
}

}  // namespace ingot::print
