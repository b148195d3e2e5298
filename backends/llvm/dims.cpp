// Dims as i64 arithmetic, and addresses. Terms are summed from the outermost loop's symbols inwards, so that the prefix
// of the sum is invariant in the inner loops without reassociation.
#include <algorithm>
#include <bit>

#include "backends/llvm/printer.h"

namespace ingot::print {

llvm::Value* Printer::symbol_value(const Symbol& s) {
  auto it = symbols_.find(s->id);
  if (it == symbols_.end()) {
    fail(invalid("symbol '{}' is not bound in '{}'", s->name, std::string(function_->getName())));
    return i64(0);
  }
  return it->second.slot ? b_.CreateLoad(b_.getInt64Ty(), it->second.slot, s->name) : it->second.value;
}

void Printer::assign(const Symbol& s, llvm::Value* v) {
  Bound& bound = symbols_[s->id];
  if (!bound.slot) bound = {nullptr, entry_slot(b_.getInt64Ty(), s->name), depth_};
  b_.CreateStore(v, bound.slot);
}

int Printer::depth_of(const Dim& d) {
  std::map<int64_t, Symbol> used;
  collect_symbols(d, used);
  int depth = 0;
  for (auto& [id, s] : used)
    if (auto it = symbols_.find(id); it != symbols_.end()) depth = std::max(depth, it->second.depth);
  return depth;
}

llvm::Value* Printer::atom(const Dim::Atom& a) {
  using K = Dim::AtomKind;
  if (a.kind == K::Symbol) return symbol_value(a.symbol);
  llvm::Value* x = dim(a.a);
  llvm::Value* y = dim(a.b);
  switch (a.kind) {
    case K::Symbol: break;
    case K::Min: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x, y);
    case K::Max: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, x, y);
    case K::Less: return b_.CreateZExt(b_.CreateICmpSLT(x, y), b_.getInt64Ty());
    case K::Equal: return b_.CreateZExt(b_.CreateICmpEQ(x, y), b_.getInt64Ty());
    case K::FloorDiv:
    case K::Mod: {
      bool is_div = a.kind == K::FloorDiv;
      auto divisor = a.b.constant();
      if (divisor && *divisor <= 0) return i64(0);
      if (!divisor && a.b.lower() < 1) y = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, y, i64(1));
      if (a.a.lower() >= 0) {
        // 32-bit division is two to four times faster; most indices fit.
        constexpr int64_t kLimit = int64_t{1} << 32;
        if (a.a.upper() < kLimit && a.b.upper() < kLimit && !divisor) {
          llvm::Value* xs = b_.CreateTrunc(x, b_.getInt32Ty());
          llvm::Value* ys = b_.CreateTrunc(y, b_.getInt32Ty());
          return b_.CreateZExt(is_div ? b_.CreateUDiv(xs, ys) : b_.CreateURem(xs, ys), b_.getInt64Ty());
        }
        return is_div ? b_.CreateUDiv(x, y) : b_.CreateURem(x, y);
      }
      if (divisor && std::has_single_bit(static_cast<uint64_t>(*divisor))) {
        int shift = std::countr_zero(static_cast<uint64_t>(*divisor));
        return is_div ? b_.CreateAShr(x, shift) : b_.CreateAnd(x, i64(*divisor - 1));
      }
      llvm::Value* rem = b_.CreateSRem(x, y);
      llvm::Value* negative = b_.CreateICmpSLT(rem, i64(0));
      if (is_div) return b_.CreateAdd(b_.CreateSDiv(x, y), b_.CreateSExt(negative, b_.getInt64Ty()));
      return b_.CreateSelect(negative, b_.CreateAdd(rem, y), rem);
    }
  }
  return i64(0);
}

llvm::Value* Printer::scaled_dim(const Dim& d, int64_t scale) {
  if (auto c = d.constant()) return i64(*c * scale);
  struct Part {
    int depth;
    const Dim::Term* term;
  };
  std::vector<Part> parts;
  for (const Dim::Term& t : d.terms()) {
    int depth = 0;
    for (const Dim::Atom& a : t.atoms)
      if (a.kind == Dim::AtomKind::Symbol) {
        if (auto it = symbols_.find(a.symbol->id); it != symbols_.end()) depth = std::max(depth, it->second.depth);
      } else {
        depth = std::max({depth, depth_of(a.a), depth_of(a.b)});
      }
    parts.push_back({depth, &t});
  }
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.depth < b.depth; });
  llvm::Value* sum = nullptr;
  for (const Part& part : parts) {
    llvm::Value* product = nullptr;
    for (const Dim::Atom& a : part.term->atoms) {
      llvm::Value* v = atom(a);
      product = product ? b_.CreateMul(product, v, "", false, true) : v;
    }
    int64_t c = part.term->coefficient * scale;
    if (!product) product = i64(c);
    else if (c != 1) product = b_.CreateMul(product, i64(c), "", false, true);
    sum = sum ? b_.CreateAdd(sum, product, "", false, true) : product;
  }
  return sum ? sum : i64(0);
}

llvm::Value* Printer::dim(const Dim& d) {
  if (auto c = d.constant()) return i64(*c);
  if (unrolled_.empty()) return scaled_dim(d, 1);
  return scaled_dim(substitute(d, unrolled_), 1);
}

// base + index*bytes + variable part + constant part, in this order.
llvm::Value* Printer::address(int64_t buffer, const Dim& offset, llvm::Value* index, int64_t element_bytes) {
  llvm::Value* p = buffer_pointer(buffer);
  Dim d = unrolled_.empty() ? offset : substitute(offset, unrolled_);
  int64_t c = 0;
  if (auto whole = d.constant()) {
    c = *whole;
    d = Dim(0);
  } else if (!d.terms().empty() && d.terms().back().atoms.empty()) {
    c = d.terms().back().coefficient;
    d = d - Dim(c);
  }
  llvm::Type* byte = b_.getInt8Ty();
  if (!d.is(0)) p = b_.CreateGEP(byte, p, scaled_dim(d, element_bytes));
  if (index) p = b_.CreateGEP(byte, p, b_.CreateMul(index, i64(element_bytes), "", false, true));
  if (c != 0) p = b_.CreateGEP(byte, p, i64(c * element_bytes));
  return p;
}

}  // namespace ingot::print
