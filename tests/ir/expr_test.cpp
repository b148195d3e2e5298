#include "ir/expr.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ingot {
namespace {

std::string text(const Expr& e) {
  return str(e, [](int64_t id) { return "v" + std::to_string(id); });
}

Expr x_at(const Dim& i, DType t = DType::F32) { return ex::read(0, t, {ex::index(i)}); }

TEST(Expr, FloatFoldsKeepNaNAndNegativeZero) {
  Expr x = x_at(0);
  EXPECT_EQ((x * 1.0).get(), x.get());
  EXPECT_EQ((x - 0.0).get(), x.get());
  EXPECT_EQ((x + -0.0).get(), x.get());
  EXPECT_TRUE((x + 0.0).is(ScalarOp::Add));
  EXPECT_TRUE((x * 0.0).is(ScalarOp::Mul));
  EXPECT_TRUE((x - x).is(ScalarOp::Sub));
  Expr c = ex::number(DType::F32, 0.1) + ex::number(DType::F32, 0.2);
  ASSERT_TRUE(c.is(ScalarOp::Const));
  EXPECT_EQ(c->number, static_cast<double>(0.1f + 0.2f));
}

TEST(Expr, ConstantsAreRoundedToTheirType) {
  EXPECT_EQ(ex::number(DType::F32, 0.1)->number, static_cast<double>(0.1f));
  EXPECT_EQ(ex::number(DType::F16, 65520)->number, INFINITY);
  EXPECT_EQ(ex::number(DType::I8, 3.9)->integer, 3);
  EXPECT_EQ(ex::number(DType::Bool, 0.5)->integer, 1);
  EXPECT_EQ(ex::integer(DType::U8, 257)->integer, 1);
  EXPECT_EQ(ex::lowest(DType::I8)->integer, -128);
  EXPECT_EQ(ex::highest(DType::U8)->integer, 255);
  EXPECT_EQ(ex::highest(DType::U64)->integer, -1);
  EXPECT_EQ(ex::lowest(DType::F32)->number, -INFINITY);
}

TEST(Expr, IntegerFolds) {
  Expr x = x_at(0, DType::I32);
  EXPECT_EQ((x + 0.0).get(), x.get());
  EXPECT_EQ((x * 1.0).get(), x.get());
  EXPECT_TRUE((x * 0.0).is(ScalarOp::Const));
  EXPECT_EQ((ex::integer(DType::I8, 127) + ex::integer(DType::I8, 1))->integer, -128);
  EXPECT_EQ((ex::integer(DType::I32, 7) / ex::integer(DType::I32, 0))->integer, 0);
  EXPECT_EQ((ex::integer(DType::I32, INT32_MIN) / ex::integer(DType::I32, -1))->integer, INT32_MIN);
  EXPECT_EQ((ex::integer(DType::I32, -7) / ex::integer(DType::I32, 2))->integer, -3);
  EXPECT_EQ(ex::binary(ScalarOp::FloorMod, ex::integer(DType::I32, -7), ex::integer(DType::I32, 3))->integer, 2);
  EXPECT_TRUE((ex::integer(DType::U64, -1) < ex::integer(DType::U64, 1))->integer == 0);
}

TEST(Expr, IndexArithmeticIsDimArithmetic) {
  Dim N(Dim::symbol("N")), i(Dim::iterator("i", N));
  Expr e = ex::index(i) * 4.0 + ex::index(N) - 1.0;
  ASSERT_TRUE(e.is(ScalarOp::Index));
  EXPECT_EQ(e->dim, i * 4 + N - 1);
  EXPECT_EQ((ex::index(i) < ex::index(N))->integer, 1);
  EXPECT_EQ((ex::index(N) <= ex::index(i))->integer, 0);
  EXPECT_TRUE((ex::index(i) < ex::index(N - 1)).is(ScalarOp::Lt));
  EXPECT_TRUE((ex::index(i) / 4.0).is(ScalarOp::Index));
  EXPECT_TRUE(ex::index(Dim(3)).is(ScalarOp::Const));
  Dim z(Dim::symbol("z", -5, 5));
  EXPECT_TRUE((ex::index(z) / 4.0).is(ScalarOp::Div));  // truncates: not a floor division
}

TEST(Expr, SelectAndCastFold) {
  Expr x = x_at(0), y = x_at(1);
  EXPECT_EQ(ex::select(ex::boolean(true), x, y).get(), x.get());
  EXPECT_EQ(ex::select(ex::boolean(false), x, y).get(), y.get());
  EXPECT_EQ(ex::cast(x, DType::F32).get(), x.get());
  EXPECT_EQ(ex::cast(ex::number(DType::F32, -3.7), DType::I8)->integer, -3);
  EXPECT_EQ(ex::cast(ex::number(DType::F32, 1000), DType::F8E4M3FN)->number, 448);
  EXPECT_TRUE(std::isnan(ex::cast(ex::number(DType::F32, 1000), DType::F8E4M3FN, false)->number));
  EXPECT_EQ(ex::cast(ex::integer(DType::I32, -1), DType::U8)->integer, 255);
  EXPECT_TRUE(ex::cast(ex::integer(DType::I64, (1ll << 53) + 1), DType::F32).is(ScalarOp::Cast));
  Expr b = eq(x, y);
  EXPECT_EQ(b.type(), DType::Bool);
  EXPECT_EQ((b && ex::boolean(true)).get(), b.get());
  EXPECT_EQ(logical_not(logical_not(b)).get(), b.get());
}

TEST(Expr, AsDim) {
  Dim N(Dim::symbol("N", 1)), i(Dim::iterator("i", N)), z(Dim::symbol("z", -5, 5));
  auto I = [](const Dim& d) { return ex::index(d); };
  EXPECT_EQ(as_dim(I(i) + I(N)), i + N);
  EXPECT_EQ(as_dim(ex::integer(DType::I32, 7)), Dim(7));
  EXPECT_EQ(as_dim(ex::select(I(z) < I(Dim(0)), I(z) + I(N), I(z))), select(less(z, 0), z + N, z));
  EXPECT_EQ(as_dim(ex::binary(ScalarOp::FloorMod, I(z), I(Dim(4)))), mod(z, 4));
  EXPECT_EQ(as_dim(I(z) / 4.0), std::nullopt);
  EXPECT_EQ(as_dim(ex::cast(I(z), DType::I8)), z);
  EXPECT_EQ(as_dim(ex::cast(I(N), DType::I8)), std::nullopt);
  EXPECT_EQ(as_dim(max(I(z), I(N))), max(z, N));
  EXPECT_EQ(as_dim(ex::cast(I(z) <= I(N), DType::I64)), Dim(1) - less(N, z));
  EXPECT_EQ(as_dim(ex::read(0, DType::I64, {})), std::nullopt);
  EXPECT_EQ(as_dim(I(i) + ex::read(0, DType::I64, {})), std::nullopt);
}

// A chain in which each node uses the one before it twice has 2^n paths, and n nodes.
TEST(Expr, SharedNodesAreHandledOnce) {
  Expr e = x_at(0), f = x_at(0);
  for (int i = 0; i < 200; ++i) e = e * e, f = f * f;
  int visited = 0, rewritten = 0;
  visit(e, [&](const ExprNode&) { ++visited; });
  EXPECT_EQ(visited, 202);
  Expr g = rewrite(e, [&](const ExprNode& n) -> Expr {
    ++rewritten;
    return n.op == ScalarOp::Read ? ex::number(n.type, 1) : Expr();
  });
  EXPECT_EQ(rewritten, 202);
  EXPECT_TRUE(g.is(ScalarOp::Const));  // folded on the way up
  EXPECT_TRUE(equal(e, f));
  EXPECT_FALSE(equal(e, f * 2.0));
}

TEST(Expr, SubstituteFoldsAgain) {
  Symbol i = Dim::symbol("i");
  Dim N(Dim::symbol("N"));
  Expr e = ex::select(ex::index(Dim(i)) < ex::index(N), x_at(Dim(i)), x_at(Dim(i) + 1));
  Expr inside = substitute(e, {{i->id, N - 1}});
  ASSERT_TRUE(inside.is(ScalarOp::Read));
  EXPECT_EQ(inside->args[0]->dim, N - 1);
  EXPECT_EQ(substitute(e, {}).get(), e.get());
}

TEST(Expr, Text) {
  Dim N(Dim::symbol("N")), i(Dim::iterator("i", N));
  Expr e = max(x_at(i * 2 - 1) * 0.5 + ex::read_or(1, DType::F32, {ex::index(i)}, ex::number(DType::F32, 0)), 0);
  EXPECT_EQ(text(e), "max((v0[i*2 - 1] * 0.5) + v1[i | 0.0], 0.0)");
  EXPECT_EQ(text(ex::cast(x_at(i), DType::I32)), "i32(v0[i])");
  EXPECT_EQ(text(x_at(0) - -1.0), "v0[0] - (-1.0)");
  EXPECT_EQ(text(exp(-x_at(0))), "exp(-v0[0])");
}

TEST(Expr, EqualDistinguishesZerosAndTypes) {
  EXPECT_FALSE(equal(ex::number(DType::F32, 0.0), ex::number(DType::F32, -0.0)));
  EXPECT_TRUE(equal(ex::number(DType::F32, NAN), ex::number(DType::F32, NAN)));
  EXPECT_FALSE(equal(ex::number(DType::F32, 1), ex::number(DType::F64, 1)));
}

}  // namespace
}  // namespace ingot
