// Quantisation: y = saturate(round_even(x / scale) + zero_point) and back, per tensor, per axis, or per block of an axis.
//
// The steps are in ONNX's order, with true division and half to even, so that results are the same bits on every target.
#include "ir/ops/common.h"
#include "ir/ops/nn_common.h"

namespace ingot {

using namespace nn;

namespace {

// Where the scale and zero point of an element lie.
struct Granularity {
  enum class Kind { Tensor, Axis, Block } kind = Kind::Tensor;
  size_t axis = 0;
  int64_t block = 0;

  Expr read(const Tensor& t, Ix i) const {
    if (kind == Kind::Tensor || one_element(t)) return scalar(t);
    if (kind == Kind::Axis) return per_channel(t, i[axis]);
    Dims at = i;
    at[axis] = floordiv(i[axis], block);
    return t(at);
  }
};

Result<Granularity> granularity(Def& d, const Tensor& x, const Tensor& scale, const Tensor& zero) {
  Granularity g;
  g.block = d.i64("block_size", 0);
  if (g.block < 0) return invalid("block_size is {}, expected at least 0", g.block);
  if (zero && !one_element(zero) && zero.rank() != scale.rank()) {
    return invalid("scale has type {} and zero point {}, expected the same shape", scale.type().str(),
                   zero.type().str());
  }
  for (int k = 0; zero && !one_element(zero) && k < zero.rank(); ++k)
    TRY(d.require(equal(zero.dim(k), scale.dim(k)),
                  fmt::format("scale has type {} and zero point {}, expected the same shape", scale.type().str(),
                              zero.type().str())));
  if (g.block == 0 && (scale.rank() == 0 || one_element(scale))) return g;
  g.axis = static_cast<size_t>(TRY(d.axis(d.i64("axis", 1), x.rank())));
  if (g.block == 0) {
    if (scale.rank() != 1) return invalid("scale has rank {}, expected 0 or 1 where block_size is 0", scale.rank());
    g.kind = Granularity::Kind::Axis;
    TRY(d.require(equal(scale.dim(0), x.dims()[g.axis]),
                  fmt::format("scale has {} elements, expected {} (axis {})", scale.dim(0).str(),
                              x.dims()[g.axis].str(), g.axis)));
    return g;
  }
  g.kind = Granularity::Kind::Block;
  if (scale.rank() != x.rank())
    return invalid("scale has rank {}, expected {} where block_size is set", scale.rank(), x.rank());
  for (size_t k = 0; k < x.dims().size(); ++k) {
    Dim expected = k == g.axis ? ceildiv(x.dims()[k], g.block) : x.dims()[k];
    TRY(d.require(equal(scale.dims()[k], expected), fmt::format("scale has extent {} in dimension {}, expected {}",
                                                                scale.dims()[k].str(), k, expected.str())));
  }
  return g;
}

Result<DType> dtype_attr(const Def& d, std::string_view name, DType otherwise) {
  int64_t code = d.i64(name, 0);
  if (code == 0) return otherwise;
  DType t = onnx_dtype(code);
  if (t == DType::Invalid) return invalid("{} is {}, expected a data type", name, code);
  return t;
}

}  // namespace

// QuantizeLinear-25. x: float or i32; y_scale; y_zero_point: of the result's type. Attributes axis, block_size, output_dtype,
// precision (type of the division; y_scale's by default), saturate (8-bit floats).
Result<void> define_quantize_linear(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2}));
  Tensor x = d.in(0), scale = d.in(1), zero = d.in(2);
  if (!is_float(scale.dtype())) return invalid("scale has type {}, expected floats", name(scale.dtype()));
  DType out = zero ? zero.dtype() : TRY(dtype_attr(d, "output_dtype", DType::U8));
  if (is_int(out)) TRY(expect_quantized(out));
  DType t = TRY(dtype_attr(d, "precision", scale.dtype()));
  if (t == DType::F8E8M0) t = DType::F32;
  bool saturate = d.i64("saturate", 1) != 0;
  Granularity g = TRY(granularity(d, x, scale, zero));
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr v = ex::cast(x(i), t) / ex::cast(g.read(scale, i), t);
    if (!is_int(out)) {
      if (zero && out == DType::F4E2M1) v = ex::cast(v, DType::F32) + ex::cast(g.read(zero, i), DType::F32);
      return ex::cast(v, out, saturate);
    }
    return quantize(ex::cast(v, t == DType::F64 ? DType::F64 : DType::F32),
                    zero ? ex::cast(g.read(zero, i), DType::I32) : Expr(), out);
  }));
  return {};
}

// DequantizeLinear-25. x: integer or 8- or 4-bit float; x_scale; x_zero_point: of x's type -> (x - zero) * scale in x_scale's
// type, or output_dtype.
Result<void> define_dequantize_linear(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2}));
  Tensor x = d.in(0), scale = d.in(1), zero = d.in(2);
  if (!is_float(scale.dtype())) return invalid("scale has type {}, expected floats", name(scale.dtype()));
  DType out = TRY(dtype_attr(d, "output_dtype", scale.dtype() == DType::F8E8M0 ? DType::F32 : scale.dtype()));
  if (!is_float(out)) return invalid("output_dtype is {}, expected a float type", name(out));
  Granularity g = TRY(granularity(d, x, scale, zero));
  // Differences of integers of up to 16 bits are exact in i32; i32 itself is taken to f32 first, as the standard does.
  bool exact = is_int(x.dtype()) && bits(x.dtype()) <= 16;
  DType t = scale.dtype() == DType::F64 ? DType::F64 : DType::F32;
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr v;
    if (exact) {
      v = ex::cast(x(i), DType::I32);
      if (zero) v = v - ex::cast(g.read(zero, i), DType::I32);
      v = ex::cast(v, t);
    } else {
      v = ex::cast(x(i), t);
      if (zero && is_int(x.dtype())) v = v - ex::cast(g.read(zero, i), t);
    }
    return ex::cast(v * ex::cast(g.read(scale, i), t), out);
  }));
  return {};
}

namespace {

struct DynamicScale {
  Tensor scale, zero;  // f32 [], u8 []
};

// The range of x, widened to hold 0, over 255 steps.
DynamicScale dynamic_scale(Def& d, const Tensor& x) {
  Tensor hi = d.reduce(Combiner::Max, {}, x.dims(), [&](Ix, Ix r) { return ex::cast(x(r), DType::F32); });
  Tensor lo = d.reduce(Combiner::Min, {}, x.dims(), [&](Ix, Ix r) { return ex::cast(x(r), DType::F32); });
  Tensor scale = d.map({}, [&](Ix i) {
    Expr top = max(hi(i), 0), bottom = min(lo(i), 0);
    return ex::select(eq(top, bottom), ex::number(DType::F32, 1), (top - bottom) / 255);
  });
  Tensor zero =
      d.map({}, [&](Ix i) { return ex::cast(round_even(clamp(0 - min(lo(i), 0) / scale(i), 0, 255)), DType::U8); });
  return {scale, zero};
}

}  // namespace

// DynamicQuantizeLinear-11. x: f32 -> y: u8, y_scale: f32 [], y_zero_point: u8 [].
Result<void> define_dynamic_quantize_linear(Def& d) {
  TRY(expect_floats(d, {0}));
  Tensor x = d.in(0);
  DynamicScale q = dynamic_scale(d, x);
  d.out(d.map(x.dims(), [&](Ix i) {
    return quantize(ex::cast(x(i), DType::F32) / q.scale(Dims{}), ex::cast(q.zero(Dims{}), DType::I32), DType::U8);
  }));
  d.out(q.scale);
  d.out(q.zero);
  return {};
}

// --- products of quantised matrices -----------------------------------------------------------------------------------

namespace {

Expr i32(Expr e) { return ex::cast(std::move(e), DType::I32); }

// The zero point or scale of A for a row, of B for a column: [], [1], one per row (column), or with A's (B's) own rank.
Expr of_row(const Tensor& t, Ix at, bool column) {
  if (one_element(t)) return scalar(t);
  if (t.rank() == 1) return t(ops::broadcast_index(column ? at.back() : at[at.size() - 2], t.dim(0)));
  return t.broadcast(at);
}

Result<Tensor> integer_product(Def& d, const Tensor& a, const Tensor& b, const Tensor& az, const Tensor& bz,
                               bool transpose_a = false, bool transpose_b = false) {
  if (!is_int(a.dtype()) || !is_int(b.dtype())) {
    return invalid("got operands of {} and {}, expected integers", name(a.dtype()), name(b.dtype()));
  }
  TRY(expect_matrix_parameter(d, az, a.dims(), transpose_a));
  TRY(expect_matrix_parameter(d, bz, b.dims(), !transpose_b));
  return matmul(
      d, a, b, [&](Expr e, Ix at) { return az ? i32(e) - i32(of_row(az, at, transpose_a)) : i32(e); },
      [&](Expr e, Ix at) { return bz ? i32(e) - i32(of_row(bz, at, !transpose_b)) : i32(e); }, transpose_a,
      transpose_b);
}

// What a per-row or per-column parameter is at index `i` of the product.
Expr at_result(const Tensor& t, Ix i, bool column) {
  if (one_element(t)) return scalar(t);
  if (t.rank() == 1) return t(ops::broadcast_index(column ? i[i.size() - 1] : i[i.size() - 2], t.dim(0)));
  Dims at = i;
  at[column ? i.size() - 2 : i.size() - 1] = 0;
  return t.broadcast(at);
}

}  // namespace

// QLinearMatMul-21. Inputs a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero; those of a: [] or per row, of b: [] or
// per column.
Result<void> define_qlinear_mat_mul(Def& d) {
  Tensor a = d.in(0), as = d.in(1), az = d.in(2), b = d.in(3), bs = d.in(4), bz = d.in(5), ys = d.in(6), yz = d.in(7);
  TRY(expect_numbers(d, {1, 2, 4, 5, 6, 7}));
  Tensor acc = TRY(integer_product(d, a, b, az, bz));
  DType out = yz ? yz.dtype() : a.dtype();
  TRY(expect_quantized(out));
  for (const Tensor& p : {as, ys, yz}) TRY(expect_matrix_parameter(d, p, acc.dims(), false));
  TRY(expect_matrix_parameter(d, bs, acc.dims(), true));
  auto f32 = [](Expr e) { return ex::cast(e, DType::F32); };
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr scale = f32(at_result(as, i, false)) * f32(at_result(bs, i, true)) / f32(at_result(ys, i, false));
    return quantize(f32(acc(i)) * scale, yz ? i32(at_result(yz, i, false)) : Expr(), out);
  }));
  return {};
}

// QGemm (com.microsoft). a, a_scale, a_zero, b, b_scale, b_zero, c (i32), y_scale, y_zero; transA, transB, alpha. Without
// y_scale the result is f32.
Result<void> define_qgemm(Def& d) {
  Tensor a = d.in(0), as = d.in(1), az = d.in(2), b = d.in(3), bs = d.in(4), bz = d.in(5), c = d.in(6), ys = d.in(7),
         yz = d.in(8);
  TRY(expect_numbers(d, {1, 2, 4, 5, 6, 7, 8}));
  Tensor acc = TRY(integer_product(d, a, b, az, bz, d.i64("transA", 0) != 0, d.i64("transB", 0) != 0));
  double alpha = d.f64("alpha", 1.0);
  if (c) {
    if (c.dtype() != DType::I32) return invalid("c is of {}, expected i32", name(c.dtype()));
    TRY(expect_fits(d, c, acc.dims()));
  }
  TRY(expect_one_element(d, {1, 7, 8}));
  TRY(expect_one_or_per_channel(d, 4, acc.rank() < 1 ? Dim(1) : acc.dims().back()));
  if (ys) TRY(expect_quantized(yz ? yz.dtype() : a.dtype()));
  auto f32 = [](Expr e) { return ex::cast(e, DType::F32); };
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = acc(i);
    if (c) e = e + c.broadcast(i);
    Expr scale = alpha * f32(scalar(as)) * f32(per_channel(bs, i.back()));
    if (!ys) return f32(e) * scale;
    return quantize(f32(e) * (scale / f32(scalar(ys))), yz ? i32(scalar(yz)) : Expr(), yz ? yz.dtype() : a.dtype());
  }));
  return {};
}

// MatMulIntegerToFloat (com.microsoft). a, b, a_scale, b_scale, a_zero, b_zero, bias.
Result<void> define_mat_mul_integer_to_float(Def& d) {
  Tensor a = d.in(0), b = d.in(1), as = d.in(2), bs = d.in(3), az = d.in(4), bz = d.in(5), bias = d.in(6);
  TRY(expect_floats(d, {2, 3, 6}));
  TRY(expect_numbers(d, {4, 5}));
  Tensor acc = TRY(integer_product(d, a, b, az, bz));
  DType out = as.dtype();
  TRY(expect_matrix_parameter(d, as, acc.dims(), false));
  TRY(expect_matrix_parameter(d, bs, acc.dims(), true));
  if (bias) TRY(expect_fits(d, bias, acc.dims()));
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr scale = ex::cast(at_result(as, i, false), DType::F32) * ex::cast(at_result(bs, i, true), DType::F32);
    Expr e = ex::cast(acc(i), DType::F32) * scale;
    if (bias) e = e + ex::cast(bias.broadcast(i), DType::F32);
    return ex::cast(e, out);
  }));
  return {};
}

// DynamicQuantizeMatMul (com.microsoft). a: f32, quantised here; b, b_scale, b_zero, bias.
Result<void> define_dynamic_quantize_mat_mul(Def& d) {
  Tensor a = d.in(0), b = d.in(1), bs = d.in(2), bz = d.in(3), bias = d.in(4);
  TRY(expect_floats(d, {0, 2, 4}));
  TRY(expect_numbers(d, {3}));
  DynamicScale q = dynamic_scale(d, a);
  Tensor aq = d.map(a.dims(), [&](Ix i) {
    return quantize(ex::cast(a(i), DType::F32) / q.scale(Dims{}), i32(q.zero(Dims{})), DType::U8);
  });
  Tensor acc = TRY(integer_product(d, aq, b, q.zero, bz));
  TRY(expect_matrix_parameter(d, bs, acc.dims(), true));
  if (bias) TRY(expect_fits(d, bias, acc.dims()));
  d.out(d.map(acc.dims(), [&](Ix i) {
    Expr e = ex::cast(acc(i), DType::F32) * (q.scale(Dims{}) * ex::cast(at_result(bs, i, true), DType::F32));
    if (bias) e = e + ex::cast(bias.broadcast(i), DType::F32);
    return e;
  }));
  return {};
}

// --- elementwise and pooling on quantised values (com.microsoft) ------------------------------------------------------

namespace {

Expr dequantized(Expr element, const Tensor& scale, const Tensor& zero) {
  Expr v = i32(std::move(element));
  if (zero) v = v - i32(scalar(zero));
  return ex::cast(v, DType::F32) * ex::cast(scalar(scale), DType::F32);
}

Expr requantized(Expr v, const Tensor& scale, const Tensor& zero, DType otherwise) {
  return quantize(std::move(v) / ex::cast(scalar(scale), DType::F32), zero ? i32(scalar(zero)) : Expr(),
                  zero ? zero.dtype() : otherwise);
}

// a, a_scale, a_zero, b, b_scale, b_zero, c_scale, c_zero.
Result<void> qlinear_binary(Def& d, ScalarOp op) {
  TRY(expect_numbers(d, {0, 1, 2, 3, 4, 5, 6, 7}));
  TRY(expect_one_element(d, {1, 2, 4, 5, 6, 7}));
  Tensor a = d.in(0), b = d.in(3);
  TRY(expect_quantized(d.has(7) ? d.dtype(7) : a.dtype()));
  Dims dims = TRY(d.broadcast_dims(a.dims(), b.dims()));
  d.out(d.map(dims, [&](Ix i) {
    Expr v =
        ex::binary(op, dequantized(a.broadcast(i), d.in(1), d.in(2)), dequantized(b.broadcast(i), d.in(4), d.in(5)));
    return requantized(v, d.in(6), d.in(7), a.dtype());
  }));
  return {};
}

// x, x_scale, x_zero, y_scale, y_zero.
Result<void> qlinear_unary(Def& d, const std::function<Expr(Expr)>& f) {
  TRY(expect_numbers(d, {0, 1, 2, 3, 4}));
  TRY(expect_one_element(d, {1, 2, 3, 4}));
  Tensor x = d.in(0);
  TRY(expect_quantized(d.has(4) ? d.dtype(4) : x.dtype()));
  d.out(d.map(x.dims(),
              [&](Ix i) { return requantized(f(dequantized(x(i), d.in(1), d.in(2))), d.in(3), d.in(4), x.dtype()); }));
  return {};
}

}  // namespace

// QLinearWhere (com.microsoft). condition: bool, x, x_scale, x_zero, y, y_scale, y_zero, z_scale, z_zero.
Result<void> define_qlinear_where(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2, 3, 4, 5, 6, 7, 8}));
  TRY(expect_one_element(d, {2, 3, 5, 6, 7, 8}));
  Tensor c = d.in(0), x = d.in(1), y = d.in(4);
  if (c.dtype() != DType::Bool) return invalid("condition has element type {}, expected bool", name(c.dtype()));
  TRY(expect_quantized(d.dtype(8)));
  Dims dims = TRY(d.broadcast_dims(TRY(d.broadcast_dims(c.dims(), x.dims())), y.dims()));
  d.out(d.map(dims, [&](Ix i) {
    Expr v = ex::select(c.broadcast(i), dequantized(x.broadcast(i), d.in(2), d.in(3)),
                        dequantized(y.broadcast(i), d.in(5), d.in(6)));
    return requantized(v, d.in(7), d.in(8), x.dtype());
  }));
  return {};
}

// GatherBlockQuantized (com.microsoft). data: [...] of 4-bit integers, or bytes that hold 8/bits elements of the last dim each;
// indices; scales, zero_points: as data, with quantize_axis divided into blocks -> the rows that are named, dequantised. A row
// that does not exist is 0.
Result<void> define_gather_block_quantized(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2, 3}));
  TRY(expect_floats(d, {2}));
  Tensor x = d.in(0), index = d.in(1), scales = d.in(2), zeros = d.in(3);
  const int64_t bits_per_element = d.i64("bits", 4), block = d.i64("block_size", 128);
  const bool bytes = x.dtype() == DType::U8;
  if (!bytes && x.dtype() != DType::U4 && x.dtype() != DType::I4)
    return unsupported("data of {}, expected u8, u4 or i4", name(x.dtype()));
  if (bytes && bits_per_element != 2 && bits_per_element != 4 && bits_per_element != 8)
    return invalid("bits is {}, expected 2, 4 or 8", bits_per_element);
  if (block < 1 || block > kMaxWindowAttribute) return invalid("block_size is {}, expected a positive number", block);
  if (x.rank() < 1 || scales.rank() != x.rank() || (zeros && (zeros.rank() != x.rank() || zeros.dtype() != x.dtype())))
    return invalid("scales have type {} and data {}, expected one rank and zero points of data's type",
                   scales.type().str(), x.type().str());
  const auto gathered = static_cast<size_t>(TRY(d.axis(d.i64("gather_axis", 0), x.rank()))),
             quantized = static_cast<size_t>(TRY(d.axis(d.i64("quantize_axis", 1), x.rank())));
  const int64_t per_byte = bytes ? 8 / bits_per_element : 1;
  // Bytes of several elements run along the last dim, which then is no row to gather.
  if (per_byte > 1 && gathered + 1 == x.dims().size()) return invalid("gather_axis is the last one, expected another");
  const size_t last = x.dims().size() - 1;
  auto element = [&](const Tensor& t, std::vector<Expr> at, const Dim& in_last) {
    if (per_byte == 1) return i32(t.or_fill(at, ex::integer(t.dtype(), 0)));
    at[last] = ex::index(floordiv(in_last, per_byte));
    Expr shift = ex::cast(ex::index(mod(in_last, per_byte) * bits_per_element), DType::I32);
    return ex::binary(ScalarOp::And, ex::binary(ScalarOp::Shr, i32(t.or_fill(at, ex::integer(t.dtype(), 0))), shift),
                      ex::integer(DType::I32, (1 << bits_per_element) - 1));
  };
  Dims logical = x.dims();
  logical[last] = logical[last] * per_byte;
  TRY(d.require(equal(scales.dims()[quantized], ceildiv(logical[quantized], block)),
                fmt::format("scales have extent {} in dimension {}, expected one for each {} of {}",
                            scales.dims()[quantized].str(), quantized, block, logical[quantized].str())));
  const size_t more = index.dims().size();
  Dims dims = concat(concat(slice(logical, 0, gathered), index.dims()), slice(logical, gathered + 1, logical.size()));
  d.out(d.map(dims, [&](Ix i) {
    Expr row = as_index(index(slice(i, gathered, gathered + more)));
    row = ex::select(row < as_index(0), row + as_index(logical[gathered]), row);
    Dims rest = concat(concat(slice(i, 0, gathered), {Dim(0)}), slice(i, gathered + more, i.size()));
    std::vector<Expr> at, of_block;
    for (size_t k = 0; k < rest.size(); ++k) {
      at.push_back(k == gathered ? row : ex::index(rest[k]));
      const Expr in_blocks = k == gathered ? row / ex::integer(DType::I64, block) : ex::index(floordiv(rest[k], block));
      of_block.push_back(k == quantized ? in_blocks : at.back());
    }
    Expr v = element(x, at, rest[last]);
    if (zeros) v = v - element(zeros, of_block, last == quantized ? floordiv(rest[last], block) : rest[last]);
    else if (bytes) v = v - ex::integer(DType::I32, int64_t{1} << (bits_per_element - 1));
    Expr scale = ex::cast(scales.or_fill(of_block, ex::number(scales.dtype(), 0)), DType::F32);
    return ex::cast(ex::cast(v, DType::F32) * scale, scales.dtype());
  }));
  return {};
}

Result<void> define_qlinear_add(Def& d) { return qlinear_binary(d, ScalarOp::Add); }
Result<void> define_qlinear_mul(Def& d) { return qlinear_binary(d, ScalarOp::Mul); }
Result<void> define_qlinear_sigmoid(Def& d) {
  return qlinear_unary(d, [](Expr e) { return sigmoid(e); });
}
Result<void> define_qlinear_leaky_relu(Def& d) {
  double alpha = d.f64("alpha", 0.01);
  return qlinear_unary(d, [&](Expr e) { return ex::select(e < ex::number(DType::F32, 0), e * alpha, e); });
}

// QLinearSoftmax (com.microsoft). x, x_scale, x_zero, y_scale, y_zero; axis; opset says whether axis coerces to 2-D.
Result<void> define_qlinear_softmax(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2, 3, 4}));
  TRY(expect_one_element(d, {1, 2, 3, 4}));
  Tensor x = d.in(0);
  TRY(expect_quantized(d.has(4) ? d.dtype(4) : x.dtype()));
  TRY(expect_quantized(x.dtype()));
  bool coerce = d.i64("opset", 13) < 13;
  size_t axis = static_cast<size_t>(TRY(d.axis(d.i64("axis", coerce ? 1 : -1), x.rank())));
  size_t end = coerce ? x.dims().size() : axis + 1;  // reduced dims: [axis, end)
  Dims reduced = slice(x.dims(), axis, end),
       kept = concat(slice(x.dims(), 0, axis), slice(x.dims(), end, x.dims().size()));
  auto at = [&](Ix i, Ix r) { return concat(concat(slice(i, 0, axis), r), slice(i, axis, i.size())); };
  auto row = [&](Ix i) { return concat(slice(i, 0, axis), slice(i, end, i.size())); };
  Tensor top = d.reduce(Combiner::Max, kept, reduced, [&](Ix i, Ix r) { return i32(x(at(i, r))); });
  Expr scale = ex::cast(scalar(d.in(1)), DType::F32);
  Tensor e = d.map(x.dims(), [&](Ix i) { return exp(ex::cast(i32(x(i)) - top(row(i)), DType::F32) * scale); });
  Tensor sum = d.reduce(Combiner::Sum, kept, reduced, [&](Ix i, Ix r) { return e(at(i, r)); });
  d.out(d.map(x.dims(), [&](Ix i) { return requantized(e(i) / sum(row(i)), d.in(3), d.in(4), x.dtype()); }));
  return {};
}

// QLinearAveragePool (com.microsoft). x, x_scale, x_zero, y_scale, y_zero.
Result<void> define_qlinear_average_pool(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2, 3, 4}));
  TRY(expect_one_element(d, {1, 2, 3, 4}));
  Tensor x = d.in(0), xs = d.in(1), xz = d.in(2);
  bool last = d.i64("channels_last", 0) != 0;
  if (x.rank() < 3) return invalid("input has rank {}, expected at least 3", x.rank());
  TRY(expect_quantized(d.has(4) ? d.dtype(4) : x.dtype()));
  if (xz && xz.dtype() != x.dtype())
    return invalid("the zero point is of {}, expected {}", name(xz.dtype()), name(x.dtype()));
  size_t rank = static_cast<size_t>(x.rank()) - 2, first = last ? 1 : 2;
  Window win = TRY(window(d, slice(x.dims(), first, first + rank), TRY(kernel_shape(d, rank))));
  bool include_pad = d.i64("count_include_pad", 0) != 0;
  Dim channels = last ? x.dims().back() : x.dim(1);
  Dims dims = last ? concat(concat({x.dim(0)}, win.out), {channels}) : concat({x.dim(0), channels}, win.out);
  Tensor sum = d.reduce(Combiner::Sum, dims, win.kernel, [&](Ix i, Ix r) {
    Dims at = i;
    for (size_t k = 0; k < rank; ++k) at[first + k] = win.at(k, i[first + k], r[k]);
    Expr fill = xz ? scalar(xz) : ex::integer(x.dtype(), 0);
    Expr v = i32(win.inside ? x(at) : x.or_fill(at, fill));
    return xz ? v - i32(scalar(xz)) : v;
  });
  d.out(d.map(dims, [&](Ix i) {
    Dim n = 1;
    for (size_t k = 0; k < rank; ++k) {
      if (win.inside || (include_pad && !win.ceil)) {
        n *= win.kernel[k];
      } else {
        n *= include_pad ? win.taps_on_padded(k, i[first + k]) : win.taps_inside(k, i[first + k]);
      }
    }
    Expr v = ex::cast(sum(i), DType::F32) * ex::cast(scalar(xs), DType::F32) / from_dim(n, DType::F32);
    return requantized(v, d.in(3), d.in(4), x.dtype());
  }));
  return {};
}

// QLinearGlobalAveragePool (com.microsoft). x, x_scale, x_zero, y_scale, y_zero.
Result<void> define_qlinear_global_average_pool(Def& d) {
  TRY(expect_numbers(d, {0, 1, 2, 3, 4}));
  TRY(expect_one_element(d, {1, 2, 3, 4}));
  Tensor x = d.in(0), xs = d.in(1), xz = d.in(2);
  bool last = d.i64("channels_last", 0) != 0;
  if (x.rank() < 3) return invalid("input has rank {}, expected at least 3", x.rank());
  TRY(expect_quantized(d.has(4) ? d.dtype(4) : x.dtype()));
  size_t rank = static_cast<size_t>(x.rank()) - 2, first = last ? 1 : 2;
  Dims spatial = slice(x.dims(), first, first + rank), dims = x.dims();
  for (size_t k = 0; k < rank; ++k) dims[first + k] = 1;
  Tensor sum = d.reduce(Combiner::Sum, dims, spatial, [&](Ix i, Ix r) {
    Dims at = i;
    for (size_t k = 0; k < rank; ++k) at[first + k] = r[k];
    return xz ? i32(x(at)) - i32(scalar(xz)) : i32(x(at));
  });
  d.out(d.map(dims, [&](Ix i) {
    Expr v = ex::cast(sum(i), DType::F32) * ex::cast(scalar(xs), DType::F32) / from_dim(product(spatial), DType::F32);
    return requantized(v, d.in(3), d.in(4), x.dtype());
  }));
  return {};
}

// QLinearConcat (com.microsoft). y_scale, y_zero, then (x, x_scale, x_zero) for each part; axis.
Result<void> define_qlinear_concat(Def& d) {
  if (d.inputs() < 5 || (d.inputs() - 2) % 3 != 0)
    return invalid("got {} inputs, expected 2 and three for each part", d.inputs());
  Tensor first = d.in(2);
  TRY(expect_quantized(d.has(1) ? d.dtype(1) : first.dtype()));
  size_t axis = static_cast<size_t>(TRY(d.axis(d.i64("axis", 0), first.rank())));
  int parts = (d.inputs() - 2) / 3;
  Dims dims = first.dims(), starts;
  dims[axis] = 0;
  for (int k = 0; k < d.inputs(); ++k) TRY(expect_numbers(d, {k}));
  for (int k = 0; k < d.inputs(); ++k)
    if (k < 2 || (k - 2) % 3 != 0) TRY(expect_one_element(d, {k}));
  for (int p = 0; p < parts; ++p) {
    Tensor x = d.in(2 + 3 * p);
    if (x.rank() != first.rank()) return invalid("part {} has rank {}, expected {}", p, x.rank(), first.rank());
    starts.push_back(dims[axis]);
    dims[axis] += x.dims()[axis];
  }
  d.out(d.map(dims, [&](Ix i) {
    Expr v;
    for (int p = parts; p-- > 0;) {
      Tensor x = d.in(2 + 3 * p);
      Dims at = i;
      at[axis] = i[axis] - starts[static_cast<size_t>(p)];
      Expr part = dequantized(x.or_fill(at, ex::integer(x.dtype(), 0)), d.in(3 + 3 * p), d.in(4 + 3 * p));
      v = !v ? part : ex::select(as_index(at[axis]) < as_index(x.dims()[axis]), part, v);
    }
    return requantized(v, d.in(0), d.in(1), first.dtype());
  }));
  return {};
}

}  // namespace ingot
