// Scalar expressions: the bodies of kernels (K) and the right-hand sides of loops (L).
//
// One immutable tree type for both levels, so that the ~70 scalar operations below are declared once and stand for the
// whole list that a backend must know, next to loops and memory. Leaves differ by level: `Read` (a tensor at logical
// indices) occurs in K only; `Load` (a buffer at a flat offset) and `Local` (a register) in L only.
//
// Every expression has a dtype and a number of lanes (1 in K). Operands of arithmetic have the result's dtype and lanes;
// there are no implicit conversions. Numeric semantics: ir/types.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/types.h"

namespace ingot {

// INGOT_SCALAR_OPS(X): X(Name, text, arity)
// clang-format off
#define INGOT_SCALAR_OPS(X)                                                                                        \
  X(Const, "const", 0)    /* a number: `number` for floats, `integer` for ints and bool                         */ \
  X(Index, "index", 0)    /* the value of `dim`, as i64 (cast for others); in L with lanes > 1 only as Ramp     */ \
  X(Read, "read", -1)     /* K: tensor `id` at args[0..rank) (i64 each); `checked`: outside bounds gives args[rank] */ \
  X(Load, "load", -1)     /* L: buffer `id` at offset `dim` (elements), or dim + args[0] (i64) when data-dependent; \
                             lane l is l*stride further. args[0] with lanes: an offset per lane (stride 0). Optional \
                             last arg: bool mask,                                                               \
                             masked lanes give 0 and do not touch memory                                         */ \
  X(Local, "local", 0)    /* L: register `id`                                                                    */ \
  X(Ramp, "ramp", 0)      /* L: i64 lanes: dim + l*stride                                                        */ \
  X(Splat, "splat", 1)    /* L: a scalar in every lane                                                           */ \
  X(Lane, "lane", 1)      /* L: lane `integer` of a vector                                                       */ \
  X(LaneSum, "lane_sum", 1) X(LaneMax, "lane_max", 1) X(LaneMin, "lane_min", 1) /* L: all lanes to one scalar     */ \
  X(LaneProd, "lane_prod", 1)                                                                                      \
  X(Cast, "cast", 1)      /* to `type`; `saturate` as in ONNX Cast to 8-bit floats                               */ \
  X(Bitcast, "bitcast", 1) /* same width; in L of all lanes together: 4 x u8 as i32                                */ \
  X(Neg, "neg", 1) X(Abs, "abs", 1) X(Sign, "sign", 1) X(Not, "not", 1) /* Not: logical on bool, bitwise on ints */ \
  X(Floor, "floor", 1) X(Ceil, "ceil", 1) X(Trunc, "trunc", 1) X(RoundEven, "round_even", 1)                       \
  X(Sqrt, "sqrt", 1) X(Exp, "exp", 1) X(Log, "log", 1) X(Expm1, "expm1", 1) X(Log1p, "log1p", 1)                   \
  X(Sin, "sin", 1) X(Cos, "cos", 1) X(Tan, "tan", 1) X(Asin, "asin", 1) X(Acos, "acos", 1) X(Atan, "atan", 1)      \
  X(Sinh, "sinh", 1) X(Cosh, "cosh", 1) X(Tanh, "tanh", 1)                                                         \
  X(Asinh, "asinh", 1) X(Acosh, "acosh", 1) X(Atanh, "atanh", 1) X(Erf, "erf", 1)                                  \
  X(Sigmoid, "sigmoid", 1)                                                                                         \
  X(IsNaN, "is_nan", 1) X(IsInf, "is_inf", 1) /* give bool */                                                      \
  X(PopCount, "popcount", 1)                                                                                       \
  X(Add, "add", 2) X(Sub, "sub", 2) X(Mul, "mul", 2) X(Div, "div", 2)                                              \
  X(Rem, "rem", 2)        /* C: sign of the dividend; fmod for floats */                                           \
  X(FloorMod, "floor_mod", 2) /* Python: sign of the divisor */                                                    \
  X(Pow, "pow", 2) X(Min, "min", 2) X(Max, "max", 2) X(Atan2, "atan2", 2)                                          \
  X(And, "and", 2) X(Or, "or", 2) X(Xor, "xor", 2) X(Shl, "shl", 2) X(Shr, "shr", 2) /* Shr: arithmetic on signed;  \
                             a shift by the width or more gives 0 */                                               \
  X(Eq, "eq", 2) X(Ne, "ne", 2) X(Lt, "lt", 2) X(Le, "le", 2) X(Gt, "gt", 2) X(Ge, "ge", 2) /* give bool */        \
  X(Select, "select", 3)  /* bool, then, else: both sides may be evaluated, loads in the untaken side are guarded */ \
  X(Fma, "fma", 3)        /* a*b + c, rounded once */                                                              \
  X(Scalb, "scalb", 2)    /* L: a * 2^n, rounded once; n is a whole number of the same float type                    */ \
  X(Dot2, "dot2", 3)      /* L: f32 lanes acc + sum of 2 products, in any order of rounding; subnormal numbers may be   \
                             0: args acc (n x f32), bf16 (2n), bf16 (2n)                                           */ \
  X(TileLoad, "tile_load", 0) /* L: a tile of up to 16 rows of 64 bytes, as i32 x 256: `integer` rows of buffer `id`   \
                             from `dim` on, `stride` elements apart                                                */ \
  X(TileDot, "tile_dot", 3) /* L: i32 x 256: tiles acc (bits of f32[16][16]), a (bf16[16][32]), b (bf16[16][16][2]):     \
                             acc[m][n] + sum over k < 32 of a[m][k] * b[k/2][n][k%2], for m < `integer`; as Dot2    */ \
  X(Dot4, "dot4", 3)      /* L: i32 lanes acc + sum of 4 products: args acc (n x i32), u8 (4n), s8 (4n)            */
// clang-format on

inline constexpr int kTileRows = 16, kTileRowBytes = 64, kTileWords = 256;  // of TileLoad and TileDot

enum class ScalarOp : uint8_t {
#define X(name, text, arity) name,
  INGOT_SCALAR_OPS(X)
#undef X
};
std::string_view name(ScalarOp);
int arity(ScalarOp);  // -1: varies

struct ExprNode;

class Expr {
 public:
  Expr() = default;
  explicit Expr(std::shared_ptr<const ExprNode> n) : node_(std::move(n)) {}
  explicit operator bool() const { return node_ != nullptr; }
  const ExprNode* operator->() const { return node_.get(); }
  const ExprNode& operator*() const { return *node_; }
  const ExprNode* get() const { return node_.get(); }
  bool is(ScalarOp) const;
  DType type() const;
  int lanes() const;

 private:
  std::shared_ptr<const ExprNode> node_;
};

struct ExprNode {
  ScalarOp op;
  DType type;
  int lanes = 1;
  std::vector<Expr> args;
  Dim dim;  // Index, Ramp, Load
  int64_t id = -1;  // Read: value; Load: buffer; Local: register
  int64_t stride = 1;  // Ramp, Load
  bool checked = false;  // Read with a fill; in args after the indices
  bool saturate = true;  // Cast to an 8-bit float
  double number = 0;  // Const of a float
  int64_t integer = 0;  // Const of an integer or bool (u64 by bit pattern); Lane: its number; rows of a tile
};

inline bool Expr::is(ScalarOp op) const { return node_ && node_->op == op; }
inline DType Expr::type() const { return node_->type; }
inline int Expr::lanes() const { return node_->lanes; }

// Builders. They fold constants of trivial cases (x+0, x*1, select of a constant, cast to the same type).
namespace ex {
inline Expr make(ExprNode n) { return Expr(std::make_shared<const ExprNode>(std::move(n))); }
Expr number(DType, double);  // float: rounded to the type; int: truncated; bool: != 0
Expr integer(DType, int64_t);
Expr boolean(bool);
Expr index(const Dim&);  // i64
Expr read(int64_t value, DType, std::vector<Expr> indices);
Expr read_or(int64_t value, DType, std::vector<Expr> indices, Expr fill);
Expr unary(ScalarOp, Expr);
Expr binary(ScalarOp, Expr, Expr);
Expr select(Expr condition, Expr then, Expr otherwise);
Expr fma(Expr, Expr, Expr);
Expr cast(Expr, DType, bool saturate = true);
Expr bitcast(Expr, DType);
Expr lowest(DType);  // -inf, or the smallest integer
Expr highest(DType);  // +inf, or the largest integer
}  // namespace ex

// Rebuilds `e` bottom-up: `f` gets each node with rewritten arguments, once, and returns its replacement; an empty Expr
// keeps the node (and folds it, where its arguments changed).
Expr rewrite(const Expr& e, const std::function<Expr(const ExprNode&)>& f);
void visit(const Expr& e, const std::function<void(const ExprNode&)>& f);  // each distinct node once, arguments first
Expr substitute(const Expr& e, const Substitution&);  // in every Dim inside
bool equal(const Expr&, const Expr&);
Expr share(const Expr&);  // the same formula; equal parts of it are one node
// Where e is an integer expression of Dims only (index, const, + - * floor-div min max select compare): that Dim.
std::optional<Dim> as_dim(const Expr&);
std::string str(const Expr&, const std::function<std::string(int64_t)>& value_name);

// Operators for definitions: `max(x + 1, 0)`. Numbers take the dtype of the other operand.
inline Expr operator+(Expr a, Expr b) { return ex::binary(ScalarOp::Add, std::move(a), std::move(b)); }
inline Expr operator-(Expr a, Expr b) { return ex::binary(ScalarOp::Sub, std::move(a), std::move(b)); }
inline Expr operator*(Expr a, Expr b) { return ex::binary(ScalarOp::Mul, std::move(a), std::move(b)); }
inline Expr operator/(Expr a, Expr b) { return ex::binary(ScalarOp::Div, std::move(a), std::move(b)); }
inline Expr operator-(Expr a) { return ex::unary(ScalarOp::Neg, std::move(a)); }
inline Expr operator+(Expr a, double b) {
  auto t = a.type();
  return std::move(a) + ex::number(t, b);
}
inline Expr operator-(Expr a, double b) {
  auto t = a.type();
  return std::move(a) - ex::number(t, b);
}
inline Expr operator*(Expr a, double b) {
  auto t = a.type();
  return std::move(a) * ex::number(t, b);
}
inline Expr operator/(Expr a, double b) {
  auto t = a.type();
  return std::move(a) / ex::number(t, b);
}
inline Expr operator+(double a, Expr b) {
  auto t = b.type();
  return ex::number(t, a) + std::move(b);
}
inline Expr operator-(double a, Expr b) {
  auto t = b.type();
  return ex::number(t, a) - std::move(b);
}
inline Expr operator*(double a, Expr b) {
  auto t = b.type();
  return ex::number(t, a) * std::move(b);
}
inline Expr operator/(double a, Expr b) {
  auto t = b.type();
  return ex::number(t, a) / std::move(b);
}
inline Expr operator<(Expr a, Expr b) { return ex::binary(ScalarOp::Lt, std::move(a), std::move(b)); }
inline Expr operator<=(Expr a, Expr b) { return ex::binary(ScalarOp::Le, std::move(a), std::move(b)); }
inline Expr operator>(Expr a, Expr b) { return ex::binary(ScalarOp::Gt, std::move(a), std::move(b)); }
inline Expr operator>=(Expr a, Expr b) { return ex::binary(ScalarOp::Ge, std::move(a), std::move(b)); }
inline Expr operator&&(Expr a, Expr b) { return ex::binary(ScalarOp::And, std::move(a), std::move(b)); }
inline Expr operator||(Expr a, Expr b) { return ex::binary(ScalarOp::Or, std::move(a), std::move(b)); }
inline Expr logical_not(Expr a) { return ex::unary(ScalarOp::Not, std::move(a)); }  // `!e` asks whether e is empty
inline Expr max(Expr a, Expr b) { return ex::binary(ScalarOp::Max, std::move(a), std::move(b)); }
inline Expr min(Expr a, Expr b) { return ex::binary(ScalarOp::Min, std::move(a), std::move(b)); }
inline Expr max(Expr a, double b) {
  auto t = a.type();
  return max(std::move(a), ex::number(t, b));
}
inline Expr min(Expr a, double b) {
  auto t = a.type();
  return min(std::move(a), ex::number(t, b));
}
inline Expr eq(Expr a, Expr b) { return ex::binary(ScalarOp::Eq, std::move(a), std::move(b)); }
inline Expr exp(Expr a) { return ex::unary(ScalarOp::Exp, std::move(a)); }
inline Expr log(Expr a) { return ex::unary(ScalarOp::Log, std::move(a)); }
inline Expr sqrt(Expr a) { return ex::unary(ScalarOp::Sqrt, std::move(a)); }
inline Expr tanh(Expr a) { return ex::unary(ScalarOp::Tanh, std::move(a)); }
inline Expr abs(Expr a) { return ex::unary(ScalarOp::Abs, std::move(a)); }
inline Expr floor(Expr a) { return ex::unary(ScalarOp::Floor, std::move(a)); }

}  // namespace ingot
