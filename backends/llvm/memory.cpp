// Loads and stores. Contiguous lanes are one vector access; small strides are whole vectors and a shuffle, without
// touching a byte past the last lane; other patterns are gathers where the target has good ones, single lanes elsewhere.
// Masks that the target cannot execute are expanded by LLVM into branches per lane.
#include "backends/llvm/printer.h"

namespace ingot::print {

namespace {
constexpr int64_t kShuffleStride = 4;  // up to here a strided load is whole vectors and shuffles

int64_t element_bytes_of(DType t) { return t == DType::String ? 16 : std::max(1, bits(t) / 8); }
int64_t alignment_of(DType t) { return std::min<int64_t>(element_bytes_of(t), 8); }
}  // namespace

llvm::Value* Printer::from_memory(llvm::Value* v, DType t, int lanes) {
  if (t != DType::Bool) return v;
  (void)lanes;
  return b_.CreateICmpNE(v, llvm::Constant::getNullValue(v->getType()));
}

llvm::Value* Printer::to_memory(llvm::Value* v, DType t, int lanes) {
  return t == DType::Bool ? b_.CreateZExt(v, memory_type(t, lanes)) : v;
}

llvm::Value* Printer::load_strided(const ExprNode& n, llvm::Type* element, llvm::Value* base, int64_t bytes,
                                   llvm::Value* mask) {
  int lanes = n.lanes;
  int64_t stride = n.stride;
  auto* type = llvm::FixedVectorType::get(element, lanes);
  llvm::Align align(bytes);
  if (stride == 0 && !mask) return splat(b_.CreateAlignedLoad(element, base, align), lanes);
  if (stride == 1) {
    if (mask) return b_.CreateMaskedLoad(type, base, align, mask, llvm::Constant::getNullValue(type));
    return b_.CreateAlignedLoad(type, base, align);
  }
  if (!mask && stride > 1 && stride <= kShuffleStride) {
    int64_t span = (lanes - 1) * stride + 1;
    llvm::Value* result = nullptr;
    for (int64_t first = 0; first < span; first += lanes) {
      int64_t start = std::min(first, span - lanes);
      llvm::Value* part = b_.CreateAlignedLoad(type, b_.CreateGEP(b_.getInt8Ty(), base, i64(start * bytes)), align);
      llvm::SmallVector<int, 64> pick(lanes);
      for (int lane = 0; lane < lanes; ++lane) {
        int64_t at = lane * stride;
        bool here = at >= first && at < first + lanes;
        if (!result) pick[lane] = here ? static_cast<int>(at - start) : -1;
        else pick[lane] = here ? static_cast<int>(lanes + at - start) : lane;
      }
      result = result ? b_.CreateShuffleVector(result, part, pick) : b_.CreateShuffleVector(part, pick);
    }
    return result;
  }
  if (mask) {
    llvm::Value* lane = llvm::PoisonValue::get(llvm::FixedVectorType::get(b_.getInt64Ty(), lanes));
    for (int i = 0; i < lanes; ++i) lane = b_.CreateInsertElement(lane, i64(i * stride * bytes), i);
    llvm::Value* pointers = b_.CreateGEP(b_.getInt8Ty(), base, lane);
    return b_.CreateMaskedGather(type, pointers, align, mask, llvm::Constant::getNullValue(type));
  }
  llvm::Value* result = llvm::PoisonValue::get(type);
  for (int i = 0; i < lanes; ++i) {
    llvm::Value* p = b_.CreateGEP(b_.getInt8Ty(), base, i64(i * stride * bytes));
    result = b_.CreateInsertElement(result, b_.CreateAlignedLoad(element, p, align), i);
  }
  return result;
}

llvm::Value* Printer::load(const ExprNode& n) {
  before_access();
  DType stored = n.type;
  int64_t bytes = element_bytes_of(stored);
  llvm::Type* element = memory_type(stored, 1);
  Expr index, mask;
  for (const Expr& a : n.args) (a.type() == DType::Bool ? mask : index) = a;
  llvm::Value* at = index ? emit(index) : nullptr;
  llvm::Value* m = mask ? emit(mask) : nullptr;
  llvm::Align align(alignment_of(stored));
  if (n.lanes == 1) {
    llvm::Value* p = address(n.id, n.dim, at, bytes);
    if (m) {
      // An absent element is read from a zeroed slot instead: no branch.
      llvm::Type* slot = bytes > 8 ? b_.getInt128Ty() : b_.getInt64Ty();
      llvm::AllocaInst* zero = entry_slot(slot, "absent");
      b_.CreateStore(llvm::Constant::getNullValue(slot), zero);
      p = b_.CreateSelect(m, p, zero);
    }
    return from_memory(b_.CreateAlignedLoad(element, p, align), stored, 1);
  }
  bool gathered = at && at->getType()->isVectorTy();
  if (m && !m->getType()->isVectorTy()) m = splat(m, n.lanes);
  if (!gathered) {
    llvm::Value* base = address(n.id, n.dim, at, bytes);
    return from_memory(load_strided(n, element, base, bytes, m), stored, n.lanes);
  }
  llvm::Value* base = address(n.id, n.dim, nullptr, bytes);
  auto* type = llvm::FixedVectorType::get(element, n.lanes);
  bool native = target_.has_gather() && (bytes == 4 || bytes == 8);
  if (m || native) {
    llvm::Value* scaled = b_.CreateMul(at, splat(i64(bytes), n.lanes), "", false, true);
    llvm::Value* pointers = b_.CreateGEP(b_.getInt8Ty(), base, scaled);
    llvm::Value* all = m ? m : splat(b_.getTrue(), n.lanes);
    return from_memory(b_.CreateMaskedGather(type, pointers, align, all, llvm::Constant::getNullValue(type)), stored,
                       n.lanes);
  }
  llvm::Value* result = llvm::PoisonValue::get(type);
  for (int i = 0; i < n.lanes; ++i) {
    llvm::Value* offset = b_.CreateMul(b_.CreateExtractElement(at, i), i64(bytes), "", false, true);
    result = b_.CreateInsertElement(
        result, b_.CreateAlignedLoad(element, b_.CreateGEP(b_.getInt8Ty(), base, offset), align), i);
  }
  return from_memory(result, stored, n.lanes);
}

void Printer::store(const l::Stmt& s) {
  before_access();
  DType stored = s.expr.type();
  int lanes = s.expr.lanes();
  int64_t bytes = element_bytes_of(stored);
  llvm::Align align(alignment_of(stored));
  llvm::Value* v = to_memory(emit(s.expr), stored, lanes);
  llvm::Value* at = s.index ? emit(s.index) : nullptr;
  llvm::Value* m = s.mask ? emit(s.mask) : nullptr;
  if (lanes == 1) {
    if (!m) {
      b_.CreateAlignedStore(v, address(s.id, s.offset, at, bytes), align);
      return;
    }
    llvm::BasicBlock *then = new_block("store"), *done = new_block("stored");
    b_.CreateCondBr(m, then, done);
    b_.SetInsertPoint(then);
    b_.CreateAlignedStore(v, address(s.id, s.offset, at, bytes), align);
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    memo_.clear();
    return;
  }
  if (m && !m->getType()->isVectorTy()) m = splat(m, lanes);
  bool scattered = at && at->getType()->isVectorTy();
  llvm::Value* base = address(s.id, s.offset, scattered ? nullptr : at, bytes);
  if (!scattered && s.stride == 1) {
    if (m) b_.CreateMaskedStore(v, base, align, m);
    else b_.CreateAlignedStore(v, base, align);
    return;
  }
  if (m) {
    llvm::Value* offsets;
    if (scattered) {
      offsets = b_.CreateMul(at, splat(i64(bytes), lanes), "", false, true);
    } else {
      offsets = llvm::PoisonValue::get(llvm::FixedVectorType::get(b_.getInt64Ty(), lanes));
      for (int i = 0; i < lanes; ++i) offsets = b_.CreateInsertElement(offsets, i64(i * s.stride * bytes), i);
    }
    b_.CreateMaskedScatter(v, b_.CreateGEP(b_.getInt8Ty(), base, offsets), align, m);
    return;
  }
  for (int i = 0; i < lanes; ++i) {
    llvm::Value* offset = scattered ? b_.CreateMul(b_.CreateExtractElement(at, i), i64(bytes), "", false, true)
                                    : i64(i * s.stride * bytes);
    b_.CreateAlignedStore(b_.CreateExtractElement(v, i), b_.CreateGEP(b_.getInt8Ty(), base, offset), align);
  }
}

}  // namespace ingot::print
