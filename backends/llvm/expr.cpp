// Scalar and vector expressions. Everything that a legalised program holds is printed as a handful of instructions.
#include <llvm/IR/IntrinsicsAArch64.h>
#include <llvm/IR/IntrinsicsX86.h>

#include <cmath>

#include "backends/llvm/printer.h"

namespace ingot::print {

using Op = ScalarOp;

llvm::Type* Printer::element_type(DType t) {
  switch (t) {
    case DType::Bool: return b_.getInt1Ty();
    case DType::F32: return b_.getFloatTy();
    case DType::F64: return b_.getDoubleTy();
    case DType::C64: return b_.getInt64Ty();
    case DType::String:
    case DType::C128: return b_.getInt128Ty();
    case DType::Invalid: fail(unsupported("values of type {} in loops", name(t))); return b_.getInt8Ty();
    default: return b_.getIntNTy(std::max(8, bits(t)));
  }
}

llvm::Type* Printer::value_type(DType t, int lanes) {
  llvm::Type* e = element_type(t);
  return lanes == 1 ? e : llvm::FixedVectorType::get(e, lanes);
}

llvm::Type* Printer::memory_type(DType t, int lanes) {
  llvm::Type* e = t == DType::Bool ? b_.getInt8Ty() : element_type(t);
  return lanes == 1 ? e : llvm::FixedVectorType::get(e, lanes);
}

llvm::Value* Printer::value(const Expr& e) {
  memo_.clear();
  return emit(e);
}

llvm::Value* Printer::emit(const Expr& e) {
  if (auto it = memo_.find(e.get()); it != memo_.end()) return it->second;
  llvm::Value* v = emit_node(*e);
  if (!v) {
    fail(unsupported("expression '{}' of {} reached the printer; it should have been legalised", name(e->op),
                     name(e.type())));
    v = llvm::PoisonValue::get(value_type(e.type(), e.lanes()));
  }
  memo_.emplace(e.get(), v);
  return v;
}

llvm::Value* Printer::constant(const ExprNode& n) {
  llvm::Constant* c;
  if (n.type == DType::F32) c = llvm::ConstantFP::get(context_, llvm::APFloat(static_cast<float>(n.number)));
  else if (n.type == DType::F64) c = llvm::ConstantFP::get(context_, llvm::APFloat(n.number));
  else if (is_float(n.type)) return nullptr;
  else c = llvm::ConstantInt::get(element_type(n.type), static_cast<uint64_t>(n.integer), false, true);
  return n.lanes == 1 ? c : llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(n.lanes), c);
}

// bool(a, b): the same bytes. One function per module; strings are handed over as their 128 bits, address first.
llvm::Function* Printer::string_equal() {
  if (llvm::Function* f = module_.getFunction("ingot_string_equal")) return f;
  auto* type = llvm::FunctionType::get(b_.getInt1Ty(), {b_.getInt128Ty(), b_.getInt128Ty()}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "ingot_string_equal", module_);
  set_attributes(*f, target_, false);
  auto block = [&](const char* name) { return llvm::BasicBlock::Create(context_, name, f); };
  llvm::BasicBlock *entry = block("entry"), *test = block("test"), *byte = block("byte"), *next = block("next"),
                   *same = block("same"), *differ = block("differ");
  llvm::IRBuilder<> b(entry);
  auto address = [&](llvm::Value* s) { return b.CreateIntToPtr(b.CreateTrunc(s, b.getInt64Ty()), b.getPtrTy()); };
  auto size = [&](llvm::Value* s) { return b.CreateTrunc(b.CreateLShr(s, 64), b.getInt64Ty()); };
  llvm::Value *x = address(f->getArg(0)), *y = address(f->getArg(1)), *n = size(f->getArg(0));
  b.CreateCondBr(b.CreateICmpEQ(n, size(f->getArg(1))), test, differ);
  b.SetInsertPoint(test);
  llvm::PHINode* at = b.CreatePHI(b.getInt64Ty(), 2);
  at->addIncoming(b.getInt64(0), entry);
  b.CreateCondBr(b.CreateICmpSLT(at, n), byte, same);
  b.SetInsertPoint(byte);
  auto load = [&](llvm::Value* p) { return b.CreateLoad(b.getInt8Ty(), b.CreateGEP(b.getInt8Ty(), p, at)); };
  b.CreateCondBr(b.CreateICmpEQ(load(x), load(y)), next, differ);
  b.SetInsertPoint(next);
  at->addIncoming(b.CreateAdd(at, b.getInt64(1)), next);
  b.CreateBr(test);
  b.SetInsertPoint(same);
  b.CreateRet(b.getTrue());
  b.SetInsertPoint(differ);
  b.CreateRet(b.getFalse());
  return f;
}

llvm::Value* Printer::compare(Op op, llvm::Value* a, llvm::Value* b, DType t) {
  using P = llvm::CmpInst;
  if (t == DType::String) {
    if ((op != Op::Eq && op != Op::Ne) || a->getType()->isVectorTy()) return nullptr;
    llvm::Value* equal = b_.CreateCall(string_equal(), {a, b});
    return op == Op::Eq ? equal : b_.CreateNot(equal);
  }
  if (is_complex(t)) return nullptr;
  bool f = t == DType::F32 || t == DType::F64, s = is_signed(t);
  switch (op) {
    case Op::Eq: return b_.CreateCmp(f ? P::FCMP_OEQ : P::ICMP_EQ, a, b);
    case Op::Ne: return b_.CreateCmp(f ? P::FCMP_UNE : P::ICMP_NE, a, b);
    case Op::Lt: return b_.CreateCmp(f ? P::FCMP_OLT : s ? P::ICMP_SLT : P::ICMP_ULT, a, b);
    case Op::Le: return b_.CreateCmp(f ? P::FCMP_OLE : s ? P::ICMP_SLE : P::ICMP_ULE, a, b);
    case Op::Gt: return b_.CreateCmp(f ? P::FCMP_OGT : s ? P::ICMP_SGT : P::ICMP_UGT, a, b);
    case Op::Ge: return b_.CreateCmp(f ? P::FCMP_OGE : s ? P::ICMP_SGE : P::ICMP_UGE, a, b);
    default: return nullptr;
  }
}

// NaN when an operand is NaN. On x86 a compare and a select of the same two values is one instruction that gives the
// second operand when either is NaN; a constant operand therefore goes first.
llvm::Value* Printer::min_max(bool is_max, llvm::Value* a, llvm::Value* b, DType t) {
  if (!is_float(t)) {
    if (t == DType::Bool) return is_max ? b_.CreateOr(a, b) : b_.CreateAnd(a, b);
    using I = llvm::Intrinsic::IndependentIntrinsics;
    I id = is_signed(t) ? (is_max ? llvm::Intrinsic::smax : llvm::Intrinsic::smin)
                        : (is_max ? llvm::Intrinsic::umax : llvm::Intrinsic::umin);
    return b_.CreateBinaryIntrinsic(id, a, b);
  }
  if (target_.arch == Arch::AArch64)
    return b_.CreateBinaryIntrinsic(is_max ? llvm::Intrinsic::maximum : llvm::Intrinsic::minimum, a, b);
  if (llvm::isa<llvm::Constant>(b)) std::swap(a, b);
  auto better = is_max ? llvm::CmpInst::FCMP_OGT : llvm::CmpInst::FCMP_OLT;
  llvm::Value* v = b_.CreateSelect(b_.CreateFCmp(better, a, b), a, b);
  if (llvm::isa<llvm::Constant>(a)) return v;
  return b_.CreateSelect(b_.CreateFCmpUNO(a, a), a, v);
}

llvm::Value* Printer::cast(llvm::Value* v, DType from, DType to, int lanes) {
  if (from == to) return v;
  auto native = [](DType t) { return t == DType::F32 || t == DType::F64; };
  llvm::Type* type = value_type(to, lanes);
  if (to == DType::Bool) {
    llvm::Constant* zero = llvm::Constant::getNullValue(v->getType());
    if (native(from)) return b_.CreateFCmpUNE(v, zero);
    return is_float(from) ? nullptr : b_.CreateICmpNE(v, zero);
  }
  if (from == DType::Bool || is_int(from)) {
    bool s = from != DType::Bool && is_signed(from);
    if (is_int(to)) return b_.CreateIntCast(v, type, s);
    if (native(to)) return s ? b_.CreateSIToFP(v, type) : b_.CreateUIToFP(v, type);
    return nullptr;
  }
  if (from == DType::String || to == DType::String || is_complex(from) || is_complex(to)) return nullptr;
  // Casts round once each: without the permission to contract, which lets LLVM join f64 -> f32 -> f16 into one rounding.
  llvm::IRBuilderBase::FastMathFlagGuard strict(b_);
  b_.clearFastMathFlags();
  if (native(from) && native(to)) return b_.CreateFPCast(v, type);
  if (from == DType::F32 && to == DType::F16) {
    llvm::Type* half = lanes == 1 ? b_.getHalfTy() : llvm::FixedVectorType::get(b_.getHalfTy(), lanes);
    return b_.CreateBitCast(b_.CreateFPTrunc(v, half), type);
  }
  if (from == DType::F16 && to == DType::F32) {
    llvm::Type* half = lanes == 1 ? b_.getHalfTy() : llvm::FixedVectorType::get(b_.getHalfTy(), lanes);
    return b_.CreateFPExt(b_.CreateBitCast(v, half), type);
  }
  if (!native(from) || !is_int(to)) return nullptr;
  // Float to integer: truncates and saturates, NaN gives 0.
  int width = std::max(8, bits(to));
  auto number = [&](double x) { return splat(llvm::ConstantFP::get(element_type(from), x), lanes); };
  llvm::Value* nan = b_.CreateFCmpUNO(v, v);
  double low = is_signed(to) ? -std::ldexp(1.0, width - 1) : 0;
  double high = std::ldexp(1.0, is_signed(to) ? width - 1 : width);  // exclusive
  if (width <= 16) {
    llvm::Value* l = number(low);
    llvm::Value* h = number(high - 1);
    v = b_.CreateSelect(b_.CreateFCmpOLT(v, l), l, v);
    v = b_.CreateSelect(b_.CreateFCmpOGT(v, h), h, v);
    v = b_.CreateSelect(nan, number(0), v);
    return b_.CreateTrunc(b_.CreateFPToSI(v, value_type(DType::I32, lanes)), type);
  }
  llvm::Value* below = b_.CreateFCmpOLT(v, number(low));
  llvm::Value* above = b_.CreateFCmpOGE(v, number(high));
  llvm::Value* r = b_.CreateFreeze(is_signed(to) ? b_.CreateFPToSI(v, type) : b_.CreateFPToUI(v, type));
  llvm::APInt least = is_signed(to) ? llvm::APInt::getSignedMinValue(width) : llvm::APInt::getZero(width);
  llvm::APInt most = is_signed(to) ? llvm::APInt::getSignedMaxValue(width) : llvm::APInt::getMaxValue(width);
  r = b_.CreateSelect(above, llvm::ConstantInt::get(type, most), r);
  r = b_.CreateSelect(
      b_.CreateOr(below, nan),
      is_signed(to) ? b_.CreateSelect(nan, llvm::Constant::getNullValue(type), llvm::ConstantInt::get(type, least))
                    : llvm::Constant::getNullValue(type),
      r);
  return r;
}

llvm::Value* Printer::lane_reduce(Op op, llvm::Value* v, DType t, int lanes) {
  bool f = t == DType::F32 || t == DType::F64;
  if (!f && is_float(t)) return nullptr;
  auto join = [&](llvm::Value* a, llvm::Value* b) -> llvm::Value* {
    switch (op) {
      case Op::LaneSum: return f ? b_.CreateFAdd(a, b) : b_.CreateAdd(a, b);
      case Op::LaneProd: return f ? b_.CreateFMul(a, b) : b_.CreateMul(a, b);
      case Op::LaneMax: return min_max(true, a, b, t);
      default: return min_max(false, a, b, t);
    }
  };
  while (lanes > 1 && lanes % 2 == 0) {
    llvm::SmallVector<int, 64> low(lanes / 2), high(lanes / 2);
    for (int i = 0; i < lanes / 2; ++i) low[i] = i, high[i] = i + lanes / 2;
    v = join(b_.CreateShuffleVector(v, low), b_.CreateShuffleVector(v, high));
    lanes /= 2;
  }
  llvm::Value* r = b_.CreateExtractElement(v, uint64_t{0});
  for (int i = 1; i < lanes; ++i) r = join(r, b_.CreateExtractElement(v, i));
  return r;
}

llvm::Value* Printer::scalb(llvm::Value* x, llvm::Value* n, DType t, int lanes) {
  const int width = bits(t) * lanes;
  if (target_.arch != Arch::X86_64 || target_.vector_bits < 512 || (width != 128 && width != 256 && width != 512))
    return nullptr;
  using namespace llvm::Intrinsic;
  const llvm::Intrinsic::ID id = t == DType::F32 ? (width == 512   ? x86_avx512_mask_scalef_ps_512
                                                    : width == 256 ? x86_avx512_mask_scalef_ps_256
                                                                   : x86_avx512_mask_scalef_ps_128)
                                                 : (width == 512   ? x86_avx512_mask_scalef_pd_512
                                                    : width == 256 ? x86_avx512_mask_scalef_pd_256
                                                                   : x86_avx512_mask_scalef_pd_128);
  llvm::Value* all = llvm::ConstantInt::getAllOnesValue(lanes == 16 ? b_.getInt16Ty() : b_.getInt8Ty());
  llvm::SmallVector<llvm::Value*, 5> args = {x, n, x, all};
  constexpr int kCurrentRounding = 4;
  if (width == 512) args.push_back(b_.getInt32(kCurrentRounding));
  return b_.CreateIntrinsic(id, {}, args);
}

// f over `native` lanes at a time, where `lanes` is a multiple of that; x and y have `per_lane` elements for each.
llvm::Value* Printer::in_parts(llvm::Value* acc, llvm::Value* x, llvm::Value* y, int lanes, int native, int per_lane,
                               const std::function<llvm::Value*(llvm::Value*, llvm::Value*, llvm::Value*)>& f) {
  if (lanes == native) return f(acc, x, y);
  auto part = [&](llvm::Value* v, int first, int count) {
    llvm::SmallVector<int, 256> pick(count);
    for (int i = 0; i < count; ++i) pick[i] = first + i;
    return b_.CreateShuffleVector(v, pick);
  };
  llvm::Value* result = nullptr;
  for (int i = 0; i < lanes; i += native) {
    llvm::Value* r =
        f(part(acc, i, native), part(x, per_lane * i, per_lane * native), part(y, per_lane * i, per_lane * native));
    llvm::SmallVector<int, 256> place(lanes);
    for (int k = 0; k < lanes; ++k) place[k] = k < native ? k : -1;
    llvm::Value* wide = b_.CreateShuffleVector(r, place);
    for (int k = 0; k < lanes; ++k) place[k] = k >= i && k < i + native ? lanes + k - i : k;
    result = result ? b_.CreateShuffleVector(result, wide, place) : wide;
  }
  return result;
}

// acc[i] + x[2i]*y[2i] + x[2i+1]*y[2i+1], of bf16.
llvm::Value* Printer::dot2(llvm::Value* acc, llvm::Value* x, llvm::Value* y, int lanes) {
  const int native = target_.vector_bits / 32;
  if (target_.has_dot2() && lanes % native == 0) {
    auto* pairs = llvm::FixedVectorType::get(b_.getBFloatTy(), 2 * native);
    return in_parts(acc, x, y, lanes, native, 2, [&](llvm::Value* a, llvm::Value* p, llvm::Value* q) -> llvm::Value* {
      p = b_.CreateBitCast(p, pairs), q = b_.CreateBitCast(q, pairs);
      if (target_.arch == Arch::AArch64)
        return b_.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_bfdot, {a->getType(), pairs}, {a, p, q});
      auto id = native == 16  ? llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512
                : native == 8 ? llvm::Intrinsic::x86_avx512bf16_dpbf16ps_256
                              : llvm::Intrinsic::x86_avx512bf16_dpbf16ps_128;
      return b_.CreateIntrinsic(id, {}, {a, p, q});
    });
  }
  // A bf16 is the upper half of an f32.
  llvm::Type* words = value_type(DType::I32, lanes);
  auto halves = [&](llvm::Value* v) {
    llvm::Value* w = b_.CreateBitCast(v, words);
    return std::pair{b_.CreateBitCast(b_.CreateShl(w, 16), acc->getType()),
                     b_.CreateBitCast(b_.CreateAnd(w, splat(b_.getInt32(0xFFFF0000), lanes)), acc->getType())};
  };
  auto [x0, x1] = halves(x);
  auto [y0, y1] = halves(y);
  auto add = [&](llvm::Value* sum, llvm::Value* p, llvm::Value* q) -> llvm::Value* {
    if (!target_.has_fma()) return b_.CreateFAdd(sum, b_.CreateFMul(p, q));
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {sum->getType()}, {p, q, sum});
  };
  return add(add(acc, x0, y0), x1, y1);
}

// Tiles are vectors of words everywhere but in the instructions: LLVM finds the registers of what is cast to them and back,
// and configures them at the start of the function.
llvm::Value* Printer::tile_load(const ExprNode& n) {
  before_access();
  const int64_t element = std::max(1, bits(buffer_dtype(n.id)) / 8), stride = n.stride * element;
  llvm::Value* p = address(n.id, n.dim, nullptr, element);
  llvm::Type* tile = value_type(DType::I32, kTileWords);
  if (target_.has_amx_bf16()) {
    llvm::Value* loaded = b_.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64_internal, {},
                                             {b_.getInt16(static_cast<uint16_t>(n.integer)), b_.getInt16(kTileRowBytes),
                                              p, b_.getInt64(static_cast<uint64_t>(stride))});
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_cast_tile_to_vector, {tile}, {loaded});
  }
  const int words = kTileWords / kTileRows;
  llvm::Value* all = llvm::Constant::getNullValue(tile);
  for (int r = 0; r < n.integer; ++r) {
    llvm::Value* row = b_.CreateAlignedLoad(value_type(DType::I32, words),
                                            b_.CreateGEP(b_.getInt8Ty(), p, i64(r * stride)), llvm::Align(element));
    all = b_.CreateInsertVector(tile, all, row, static_cast<uint64_t>(r * words));
  }
  return all;
}

llvm::Value* Printer::tile_dot(const ExprNode& n) {
  llvm::Value *acc = emit(n.args[0]), *a = emit(n.args[1]), *b = emit(n.args[2]);
  if (target_.has_amx_bf16()) {
    auto tile = [&](llvm::Value* v) {
      return b_.CreateIntrinsic(llvm::Intrinsic::x86_cast_vector_to_tile, {v->getType()}, {v});
    };
    llvm::Value* sizes[] = {b_.getInt16(static_cast<uint16_t>(n.integer)), b_.getInt16(kTileRowBytes),
                            b_.getInt16(kTileRowBytes)};
    llvm::Value* sum = b_.CreateIntrinsic(llvm::Intrinsic::x86_tdpbf16ps_internal, {},
                                          {sizes[0], sizes[1], sizes[2], tile(acc), tile(a), tile(b)});
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_cast_tile_to_vector, {acc->getType()}, {sum});
  }
  const int words = kTileWords / kTileRows;
  llvm::Type *row = value_type(DType::I32, words), *sums = value_type(DType::F32, words);
  for (int m = 0; m < n.integer; ++m) {
    const auto at = static_cast<uint64_t>(m * words);
    llvm::Value* sum = b_.CreateBitCast(b_.CreateExtractVector(row, acc, at), sums);
    for (int k = 0; k < words; ++k) {
      llvm::Value* x = splat(b_.CreateExtractElement(a, m * words + k), words);
      sum = dot2(sum, x, b_.CreateExtractVector(row, b, static_cast<uint64_t>(k * words)), words);
    }
    acc = b_.CreateInsertVector(acc->getType(), acc, b_.CreateBitCast(sum, row), at);
  }
  return acc;
}

// acc[i] + sum over 4 of u8 x s8, in i32, without saturation on any target.
llvm::Value* Printer::dot4(llvm::Value* acc, llvm::Value* u, llvm::Value* s, int lanes) {
  auto vec = [&](llvm::Type* e, int n) { return llvm::FixedVectorType::get(e, n); };
  int native = target_.vector_bits / 32;
  if (lanes < native && lanes >= 4 && (lanes & (lanes - 1)) == 0) native = lanes;  // all have shorter vectors
  if (target_.has_dot4() && lanes % native == 0) {
    return in_parts(acc, u, s, lanes, native, 4, [&](llvm::Value* a, llvm::Value* x, llvm::Value* y) -> llvm::Value* {
      if (target_.arch == Arch::X86_64) {
        auto id = native == 16  ? llvm::Intrinsic::x86_avx512_vpdpbusd_512
                  : native == 8 ? llvm::Intrinsic::x86_avx512_vpdpbusd_256
                                : llvm::Intrinsic::x86_avx512_vpdpbusd_128;
        return b_.CreateIntrinsic(id, {}, {a, x, y});
      }
      // u = (u xor 128 as s8) + 128, and 128*w = -(-128*w).
      llvm::Value* top = splat(b_.getInt8(0x80), 4 * native);
      llvm::Type* types[] = {a->getType(), x->getType()};
      llvm::Value* shift = b_.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_sdot, types,
                                              {llvm::Constant::getNullValue(a->getType()), top, y});
      llvm::Value* r = b_.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_sdot, types, {a, b_.CreateXor(x, top), y});
      return b_.CreateSub(r, shift);
    });
  }
  // The even and the odd bytes of each lane in 16 bits: products of pairs need no shuffle then. LLVM shares the widened
  // operands among the products of a tile.
  auto* halves = vec(b_.getInt16Ty(), 2 * lanes);
  auto widened = [&](llvm::Value* v, bool sign) {
    llvm::Value* x = b_.CreateBitCast(v, halves);
    if (!sign) return std::pair{b_.CreateAnd(x, splat(b_.getInt16(0xFF), 2 * lanes)), b_.CreateLShr(x, 8)};
    return std::pair{b_.CreateAShr(b_.CreateShl(x, 8), 8), b_.CreateAShr(x, 8)};
  };
  auto [u_even, u_odd] = widened(u, false);
  auto [s_even, s_odd] = widened(s, true);
  if (target_.arch == Arch::X86_64 && lanes == native) {
    auto pairs = [&](llvm::Value* x, llvm::Value* y) {
      auto id = native == 16  ? llvm::Intrinsic::x86_avx512_pmaddw_d_512
                : native == 8 ? llvm::Intrinsic::x86_avx2_pmadd_wd
                              : llvm::Intrinsic::x86_sse2_pmadd_wd;
      return b_.CreateIntrinsic(id, {}, {x, y});
    };
    return b_.CreateAdd(acc, b_.CreateAdd(pairs(u_even, s_even), pairs(u_odd, s_odd)));
  }
  // A product of two bytes fits into 16 bits.
  for (llvm::Value* product : {b_.CreateMul(u_even, s_even), b_.CreateMul(u_odd, s_odd)}) {
    llvm::Value* pair = b_.CreateBitCast(product, acc->getType());
    acc = b_.CreateAdd(acc, b_.CreateAShr(b_.CreateShl(pair, 16), 16));
    acc = b_.CreateAdd(acc, b_.CreateAShr(pair, 16));
  }
  return acc;
}

// i32(round_even(clamp(x, low, high))) with bounds that i32 holds: one conversion that rounds by itself. A NaN becomes the
// lower bound on the way; where that is not 0 it is put right at the end. Null: another expression.
llvm::Value* Printer::rounded(const ExprNode& n) {
  if (n.type != DType::I32 || !n.args[0].is(Op::RoundEven) || n.args[0].type() != DType::F32) return nullptr;
  auto bound = [](const Expr& e) -> const ExprNode* {
    const Expr& c = e.is(Op::Splat) ? e->args[0] : e;
    return c.is(Op::Const) && std::fabs(c->number) < 0x1p30 ? c.get() : nullptr;
  };
  const Expr& upper = n.args[0]->args[0];
  if (!upper.is(Op::Min) || !bound(upper->args[1])) return nullptr;
  const Expr& lower = upper->args[0];
  if (!lower.is(Op::Max) || !bound(lower->args[1]) || bound(lower->args[1])->number > bound(upper->args[1])->number)
    return nullptr;
  llvm::Value* x = emit(lower->args[0]);
  llvm::Value *low = emit(lower->args[1]), *high = emit(upper->args[1]);
  llvm::Value* v = b_.CreateSelect(b_.CreateFCmpOGT(x, low), x, low);
  v = b_.CreateSelect(b_.CreateFCmpOLT(v, high), v, high);
  llvm::Type* type = value_type(DType::I32, n.lanes);
  llvm::Value* r = b_.CreateIntrinsic(llvm::Intrinsic::lrint, {type, v->getType()}, {v});
  if (bound(lower->args[1])->number == 0) return r;
  return b_.CreateSelect(b_.CreateFCmpORD(x, x), r, llvm::Constant::getNullValue(type));
}

llvm::Value* Printer::emit_node(const ExprNode& n) {
  auto arg = [&](int i) { return emit(n.args[i]); };
  DType t = n.args.empty() ? n.type : n.args[0].type();
  bool f = t == DType::F32 || t == DType::F64;
  bool soft = is_float(t) && !f;  // a float format without arithmetic
  switch (n.op) {
    case Op::Const: return constant(n);
    case Op::Index: return splat(cast(dim(n.dim), DType::I64, n.type, 1), n.lanes);
    case Op::Read: return nullptr;
    case Op::Load: return load(n);
    case Op::Local: {
      auto it = registers_.find(n.id);
      llvm::Type* type = value_type(n.type, n.lanes);
      if (it == registers_.end() || it->second.first->getAllocatedType() != type) {
        fail(invalid("register {} is read before it is declared, or as another type", n.id));
        return llvm::PoisonValue::get(type);
      }
      return b_.CreateLoad(type, it->second.first);
    }
    case Op::Ramp: {
      llvm::SmallVector<llvm::Constant*, 64> lane;
      for (int i = 0; i < n.lanes; ++i) lane.push_back(b_.getInt64(static_cast<uint64_t>(i * n.stride)));
      llvm::Value* base = dim(n.dim);
      if (n.lanes == 1) return base;
      llvm::Value* r = b_.CreateAdd(splat(base, n.lanes), llvm::ConstantVector::get(lane), "", false, true);
      return n.type == DType::I64 ? r : cast(r, DType::I64, n.type, n.lanes);
    }
    case Op::Splat: return splat(arg(0), n.lanes);
    case Op::Lane: return n.args[0].lanes() == 1 ? arg(0) : b_.CreateExtractElement(arg(0), i64(n.integer));
    case Op::LaneSum:
    case Op::LaneMax:
    case Op::LaneMin:
    case Op::LaneProd: return n.args[0].lanes() == 1 ? arg(0) : lane_reduce(n.op, arg(0), t, n.args[0].lanes());
    case Op::Cast:
      if (llvm::Value* r = rounded(n)) return r;
      return cast(arg(0), t, n.type, n.lanes);
    case Op::Bitcast: return b_.CreateBitCast(arg(0), value_type(n.type, n.lanes));
    case Op::Neg: return soft ? nullptr : f ? b_.CreateFNeg(arg(0)) : b_.CreateNeg(arg(0));
    case Op::Abs:
      if (soft) return nullptr;
      if (f) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, arg(0));
      return is_signed(t) ? b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, arg(0), b_.getFalse()) : arg(0);
    case Op::Not: return b_.CreateNot(arg(0));
    case Op::Floor:
    case Op::Ceil:
    case Op::Trunc:
    case Op::RoundEven:
    case Op::Sqrt: {
      if (!f) return is_int(t) && n.op != Op::Sqrt ? arg(0) : nullptr;
      auto id = n.op == Op::Floor   ? llvm::Intrinsic::floor
                : n.op == Op::Ceil  ? llvm::Intrinsic::ceil
                : n.op == Op::Trunc ? llvm::Intrinsic::trunc
                : n.op == Op::Sqrt  ? llvm::Intrinsic::sqrt
                                    : llvm::Intrinsic::roundeven;
      return b_.CreateUnaryIntrinsic(id, arg(0));
    }
    case Op::IsNaN: return f ? b_.CreateFCmpUNO(arg(0), arg(0)) : nullptr;
    case Op::IsInf:
      if (!f) return nullptr;
      return b_.CreateFCmpOEQ(b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, arg(0)),
                              llvm::ConstantFP::getInfinity(arg(0)->getType()));
    case Op::PopCount: return b_.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, arg(0));
    case Op::Add: return soft ? nullptr : f ? b_.CreateFAdd(arg(0), arg(1)) : b_.CreateAdd(arg(0), arg(1));
    case Op::Sub: return soft ? nullptr : f ? b_.CreateFSub(arg(0), arg(1)) : b_.CreateSub(arg(0), arg(1));
    case Op::Mul: return soft ? nullptr : f ? b_.CreateFMul(arg(0), arg(1)) : b_.CreateMul(arg(0), arg(1));
    case Op::Div:
      if (soft) return nullptr;
      return f              ? b_.CreateFDiv(arg(0), arg(1))
             : is_signed(t) ? b_.CreateSDiv(arg(0), arg(1))
                            : b_.CreateUDiv(arg(0), arg(1));
    case Op::Rem:
      if (f || soft) return nullptr;
      return is_signed(t) ? b_.CreateSRem(arg(0), arg(1)) : b_.CreateURem(arg(0), arg(1));
    case Op::Min:
    case Op::Max: return soft ? nullptr : min_max(n.op == Op::Max, arg(0), arg(1), t);
    case Op::And: return b_.CreateAnd(arg(0), arg(1));
    case Op::Or: return b_.CreateOr(arg(0), arg(1));
    case Op::Xor: return b_.CreateXor(arg(0), arg(1));
    case Op::Shl: return b_.CreateShl(arg(0), arg(1));
    case Op::Shr: return is_signed(t) ? b_.CreateAShr(arg(0), arg(1)) : b_.CreateLShr(arg(0), arg(1));
    case Op::Lt:
      // A tail mask, ramp(d) < splat(end): 32-bit lanes against the number of lanes left.
      if (n.lanes > 1 && n.args[0].is(Op::Ramp) && n.args[0]->stride == 1 && n.args[1].is(Op::Splat)) {
        llvm::Value* left = b_.CreateSub(emit(n.args[1]->args[0]), dim(n.args[0]->dim));
        left = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, left, i64(n.lanes));
        left = b_.CreateTrunc(b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, left, i64(0)), b_.getInt32Ty());
        llvm::SmallVector<llvm::Constant*, 64> lane;
        for (int i = 0; i < n.lanes; ++i) lane.push_back(b_.getInt32(i));
        return b_.CreateICmpULT(llvm::ConstantVector::get(lane), splat(left, n.lanes));
      }
      [[fallthrough]];
    case Op::Eq:
    case Op::Ne:
    case Op::Le:
    case Op::Gt:
    case Op::Ge: return soft ? nullptr : compare(n.op, arg(0), arg(1), t);
    case Op::Select: {
      llvm::Value* c = arg(0);
      return b_.CreateSelect(c, arg(1), arg(2));
    }
    case Op::Fma:
      if (t == DType::F16 && target_.has_f16_arithmetic()) {
        llvm::Type* half = n.lanes == 1 ? b_.getHalfTy() : llvm::FixedVectorType::get(b_.getHalfTy(), n.lanes);
        auto bits = [&](int i) { return b_.CreateBitCast(arg(i), half); };
        return b_.CreateBitCast(b_.CreateIntrinsic(llvm::Intrinsic::fma, {half}, {bits(0), bits(1), bits(2)}),
                                value_type(n.type, n.lanes));
      }
      if (!f) return soft ? nullptr : b_.CreateAdd(b_.CreateMul(arg(0), arg(1)), arg(2));
      if (!target_.has_fma()) return b_.CreateFAdd(b_.CreateFMul(arg(0), arg(1)), arg(2));
      return b_.CreateIntrinsic(llvm::Intrinsic::fma, {arg(0)->getType()}, {arg(0), arg(1), arg(2)});
    case Op::Scalb: return scalb(arg(0), arg(1), n.type, n.lanes);
    case Op::TileLoad: return tile_load(n);
    case Op::TileDot: return tile_dot(n);
    case Op::Dot2: return dot2(arg(0), arg(1), arg(2), n.lanes);
    case Op::Dot4: return dot4(arg(0), arg(1), arg(2), n.lanes);
    case Op::Exp:
    case Op::Log:
    case Op::Expm1:
    case Op::Log1p:
    case Op::Sin:
    case Op::Cos:
    case Op::Tan:
    case Op::Asin:
    case Op::Acos:
    case Op::Atan:
    case Op::Sinh:
    case Op::Cosh:
    case Op::Tanh:
    case Op::Asinh:
    case Op::Acosh:
    case Op::Atanh:
    case Op::Erf:
    case Op::Sigmoid:
    case Op::Sign:
    case Op::FloorMod:
    case Op::Pow:
    case Op::Atan2: return nullptr;
  }
  return nullptr;
}

}  // namespace ingot::print
