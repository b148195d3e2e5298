// Products of matrices. Each is one stage `sum(k) a * b`, whatever the ranks, so that one schedule serves them all; f16
// and bf16 accumulate in f32, 8-bit integers in i32.
#include "ir/ops/common.h"
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace ops;

namespace {

// The indices of a product with broadcast batch dims: a: [B..., M, K], b: [B..., K, N] -> [B..., M, N]; a vector has no
// M (or N), and neither has the result.
struct Product {
  Tensor a, b;
  Dims dims;
  Dim k;
  bool has_m, has_n;

  size_t batch() const { return dims.size() - (has_m ? 1 : 0) - (has_n ? 1 : 0); }
  Dims a_at(Ix i, const Dim& r) const {
    Dims at = batch_at(a, i, has_m ? 2 : 1);
    if (has_m) at.push_back(i[batch()]);
    at.push_back(r);
    return at;
  }
  Dims b_at(Ix i, const Dim& r) const {
    Dims at = batch_at(b, i, has_n ? 2 : 1);
    at.push_back(r);
    if (has_n) at.push_back(i.back());
    return at;
  }

 private:
  Dims batch_at(const Tensor& t, Ix i, int inner) const {
    Dims at;
    size_t own = static_cast<size_t>(t.rank() - inner);
    for (size_t j = 0; j < own; ++j) at.push_back(broadcast_index(i[batch() - own + j], t.dims()[j]));
    return at;
  }
};

Result<Product> make_product(Def& d, const Tensor& a, const Tensor& b) {
  TRY(expect_rank_at_least(a, 0, 1));
  TRY(expect_rank_at_least(b, 1, 1));
  Product p{a, b, {}, a.dims().back(), a.rank() > 1, b.rank() > 1};
  const Dim& kb = b.dim(b.rank() - (p.has_n ? 2 : 1));
  TRY(d.require(equal(p.k, kb), fmt::format("inner extents are {} and {}, expected equal ones", p.k.str(), kb.str())));
  if (kb.is_constant()) p.k = kb;
  p.dims = TRY(d.broadcast_dims(slice_of(a.dims(), 0, std::max(a.rank() - 2, 0)),
                                slice_of(b.dims(), 0, std::max(b.rank() - 2, 0))));
  if (p.has_m) p.dims.push_back(a.dim(a.rank() - 2));
  if (p.has_n) p.dims.push_back(b.dims().back());
  return p;
}

}  // namespace

// MatMul-13. a: [B..., M, K], b: [B..., K, N] -> [B..., M, N]; batches broadcast, vectors as in NumPy.
Result<void> define_mat_mul(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor a = d.in(0), b = d.in(1);
  TRY(expect_same_dtype(a, b, "operands"));
  Product p = TRY(make_product(d, a, b));
  Tensor y = d.reduce(Combiner::Sum, p.dims, {p.k},
                      [&](Ix i, Ix r) { return widen(a(p.a_at(i, r[0]))) * widen(b(p.b_at(i, r[0]))); });
  d.out(converted(d, y, a.dtype()));
  return {};
}

// MatMulInteger-10. a, b: i8 or u8 -> i32; zero points: a scalar, or one per row of a, per column of b:
//   sum(k) (a - za)(b - zb) = sum a*b - za*sum b - zb*sum a + K*za*zb
// so that the contraction is on the plain values; the sums of a constant fold.
Result<void> define_mat_mul_integer(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor a = d.in(0), b = d.in(1), za = d.in(2), zb = d.in(3);
  Product p = TRY(make_product(d, a, b));
  TRY(nn::expect_matrix_parameter(d, za, a.dims(), false));
  TRY(nn::expect_matrix_parameter(d, zb, b.dims(), true));
  auto wide = [](const Expr& e) { return ex::cast(e, DType::I32); };
  auto is_zero = [&](int input) {
    TensorRef c = d.constant(input);
    for (int64_t k = 0; c && k < c->elements(); ++k) {
      if (c->integer(k) != 0) return false;
    }
    return !d.has(input) || c != nullptr;
  };
  bool has_za = !is_zero(2), has_zb = !is_zero(3);
  Tensor acc = d.reduce(Combiner::Sum, p.dims, {p.k},
                        [&](Ix i, Ix r) { return wide(a(p.a_at(i, r[0]))) * wide(b(p.b_at(i, r[0]))); });
  if (!has_za && !has_zb) {
    d.out(acc);
    return {};
  }
  // Sums over k: of a without n, of b without m (its own dims).
  Tensor row_sum, column_sum;
  if (has_zb) {
    row_sum = d.reduce(Combiner::Sum, without(a.dims(), a.rank() - 1), {p.k},
                       [&](Ix i, Ix r) { return wide(a(with_inserted(i, a.rank() - 1, r[0]))); });
  }
  if (has_za) {
    int axis = b.rank() - (p.has_n ? 2 : 1);
    column_sum = d.reduce(Combiner::Sum, without(b.dims(), axis), {p.k},
                          [&](Ix i, Ix r) { return wide(b(with_inserted(i, axis, r[0]))); });
  }
  // The zero point at a row (or column): a scalar, a vector along it, or with batch dims and a dim of 1 at k.
  auto zero_point = [&](const Tensor& z, const Dims& at, size_t k_axis) -> Expr {
    if (z.rank() <= 1 && (z.rank() == 0 || z.dim(0).is(1))) return wide(scalar_of(z));
    Dims index;
    if (z.rank() == 1) {
      index.push_back(broadcast_index(k_axis + 1 == at.size() ? at[at.size() - 2] : at.back(), z.dim(0)));
    } else {
      size_t skip = at.size() - z.dims().size();
      for (size_t j = 0; j < z.dims().size(); ++j) {
        index.push_back(skip + j == k_axis ? Dim(0) : broadcast_index(at[skip + j], z.dims()[j]));
      }
    }
    return wide(z(index));
  };
  d.out(d.map(p.dims, [&](Ix i) {
    Expr y = acc(i);
    Dims at_a = p.a_at(i, 0), at_b = p.b_at(i, 0);
    size_t ka = at_a.size() - 1, kb = at_b.size() - (p.has_n ? 2 : 1);
    Expr pa = has_za ? zero_point(za, at_a, ka) : Expr(), pb = has_zb ? zero_point(zb, at_b, kb) : Expr();
    if (has_za) y = y - pa * column_sum(without(at_b, static_cast<int>(kb)));
    if (has_zb) y = y - pb * row_sum(without(at_a, static_cast<int>(ka)));
    if (has_za && has_zb) y = y + dim_as(p.k, DType::I32) * pa * pb;
    return y;
  }));
  return {};
}

// Gemm-13. y = alpha*a'*b' + beta*c; a: [M, K] or transposed, b: [K, N] or transposed, c broadcasts to [M, N].
Result<void> define_gemm(Def& d) {
  TRY(expect_arithmetic(d, 2));
  Tensor a = d.in(0), b = d.in(1), c = d.in(2);
  TRY(expect_same_dtype(a, b, "operands"));
  if (a.rank() != 2 || b.rank() != 2) return invalid("operands have ranks {} and {}, expected 2", a.rank(), b.rank());
  bool ta = d.i64("transA", 0), tb = d.i64("transB", 0);
  double alpha = d.f64("alpha", 1), beta = d.f64("beta", 1);
  Dim m = a.dim(ta ? 1 : 0), k = a.dim(ta ? 0 : 1), n = b.dim(tb ? 0 : 1), kb = b.dim(tb ? 1 : 0);
  TRY(d.require(equal(k, kb), fmt::format("inner extents are {} and {}, expected equal ones", k.str(), kb.str())));
  if (kb.is_constant()) k = kb;
  Dims dims{m, n};
  if (c) {
    TRY(expect_same_dtype(a, c, "operands"));
    Dims with_c = TRY(d.broadcast_dims(dims, c.dims()));
    if (with_c.size() != 2) return invalid("c has rank {}, expected at most 2", c.rank());
  }
  Tensor y = d.reduce(Combiner::Sum, dims, {k}, [&](Ix i, Ix r) {
    return widen(ta ? a(r[0], i[0]) : a(i[0], r[0])) * widen(tb ? b(i[1], r[0]) : b(r[0], i[1]));
  });
  if (alpha == 1 && (!c || beta == 0)) {
    d.out(converted(d, y, a.dtype()));
    return {};
  }
  bool integer = is_int(a.dtype());
  d.out(d.map(dims, [&](Ix i) {
    Expr e = integer && alpha != 1 ? ex::cast(y(i), DType::F64) * alpha : alpha == 1 ? y(i) : y(i) * alpha;
    if (c && beta != 0) {
      Expr addend = ex::cast(c.broadcast(i), e.type());
      e = e + (beta == 1 ? addend : addend * beta);
    }
    return ex::cast(e, a.dtype());
  }));
  return {};
}

// MatMulNBits-1 (com.microsoft). a: [..., K], b: u8 [N, ceil(K/block), block*bits/8], scales: [N*blocks], zero points:
// packed like b [N*ceil(blocks*bits/8)] or of a's type [N*blocks], g_idx: [K] the block of each k, bias: [N] -> [...,
// N]. The weight is a stage of its own: w[n, k] = (b - zero)*scale.
Result<void> define_mat_mul_nbits(Def& d) {
  TRY(expect_tensors(d, 3));
  Tensor a = d.in(0), packed = d.in(1), scales = d.in(2), zeros = d.in(3), group = d.in(4), bias = d.in(5);
  int64_t k_total = d.i64("K", 0), n_total = d.i64("N", 0), bits = d.i64("bits", 4), block = d.i64("block_size", 32);
  if (k_total < 1 || n_total < 1 || block < 1)
    return invalid("got K {}, N {}, block_size {}, expected positive numbers", k_total, n_total, block);
  if (bits != 2 && bits != 4 && bits != 8) return unsupported("weights of {} bits, expected 2, 4 or 8", bits);
  if (block * bits % 8 != 0) return invalid("block_size {} does not fill bytes with {} bits", block, bits);
  if (packed.dtype() != DType::U8 || packed.rank() != 3)
    return invalid("input 1 has type {}, expected u8 of rank 3", packed.type().str());
  TRY(expect_rank_at_least(a, 0, 1));
  TRY(d.require(equal(a.dims().back(), k_total),
                fmt::format("a has the last extent {}, expected K {}", a.dims().back().str(), k_total)));
  int64_t blocks = (k_total + block - 1) / block, per_byte = 8 / bits, zero_bytes = (blocks * bits + 7) / 8;
  DType work = compute_type(a.dtype());
  // A tensor of N rows of `count` elements, flat or as a matrix.
  auto row_read = [](const Tensor& t, const Dim& row, const Expr& column, int64_t count) {
    if (t.rank() == 1) return t(std::vector<Expr>{ex::index(row * count) + column});
    return t(std::vector<Expr>{ex::index(row), column});
  };
  // The bits of element `at` of a byte.
  auto unpack = [&](const Expr& byte, const Expr& at) {
    if (bits == 8) return ex::cast(byte, DType::I32);
    Expr shift = ex::cast(at * static_cast<double>(bits), DType::I32);
    return ex::binary(ScalarOp::And, ex::binary(ScalarOp::Shr, ex::cast(byte, DType::I32), shift),
                      ex::integer(DType::I32, (1 << bits) - 1));
  };
  Tensor w = d.map({n_total, k_total}, [&](Ix i) {
    Dim in_block = mod(i[1], block);
    Expr q = unpack(packed(i[0], floordiv(i[1], block), floordiv(in_block, per_byte)), ex::index(mod(i[1], per_byte)));
    Expr g = group ? as_index(group(i[1])) : ex::index(floordiv(i[1], block));
    Expr zero_value;
    if (!zeros) {
      zero_value = ex::number(work, static_cast<double>(1 << (bits - 1)));
    } else if (zeros.dtype() == DType::U8) {
      Expr n = ex::index(Dim(per_byte));
      zero_value = ex::cast(unpack(row_read(zeros, i[0], g / n, zero_bytes), ex::binary(ScalarOp::Rem, g, n)), work);
    } else {
      zero_value = ex::cast(row_read(zeros, i[0], g, blocks), work);
    }
    return (ex::cast(q, work) - zero_value) * ex::cast(row_read(scales, i[0], g, blocks), work);
  });
  Dims dims = replaced(a.dims(), a.rank() - 1, n_total);
  Tensor y = d.reduce(Combiner::Sum, dims, {k_total},
                      [&](Ix i, Ix r) { return widen(a(replaced(i, a.rank() - 1, r[0]))) * w(i.back(), r[0]); });
  if (!bias) {
    d.out(converted(d, y, a.dtype()));
    return {};
  }
  d.out(d.map(dims, [&](Ix i) { return ex::cast(y(i) + widen(bias(i.back())), a.dtype()); }));
  return {};
}

namespace {

Result<void> square_matrices(Def& d) {
  TRY(expect_tensors(d, 1));
  Tensor x = d.in(0);
  TRY(expect_rank_at_least(x, 0, 2));
  if (!is_arithmetic(x.dtype()) || !is_float(x.dtype()))
    return invalid("input has element type {}, expected a float", name(x.dtype()));
  const Dim &rows = x.dim(x.rank() - 2), &columns = x.dim(x.rank() - 1);
  return d.require(equal(rows, columns),
                   fmt::format("got matrices of {} x {}, expected square ones", rows.str(), columns.str()));
}

}  // namespace

// Det-22. x: [B..., M, M] -> [B...], by elimination with row pivots.
Result<void> define_det(Def& d) {
  TRY(square_matrices(d));
  Tensor x = converted(d, d.in(0), compute_type(d.dtype(0)));
  Tensor y = d.call("det", {x}, {{x.dtype(), slice_of(x.dims(), 0, x.rank() - 2)}})[0];
  d.out(converted(d, y, d.dtype(0)));
  return {};
}

// Inverse-1 (com.microsoft). x: [B..., M, M] -> [B..., M, M]; a singular matrix gives NaN or infinities.
Result<void> define_inverse(Def& d) {
  TRY(square_matrices(d));
  Tensor x = converted(d, d.in(0), compute_type(d.dtype(0)));
  d.out(converted(d, d.call("inverse", {x}, {x.type()})[0], d.dtype(0)));
  return {};
}

}  // namespace ingot
