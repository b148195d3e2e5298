// Random numbers by counter: element n of a tensor is a hash of n and the seed (SplitMix64: Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014), so that each element stands alone, the result does not
// depend on the order of evaluation, and it is the same on every target. The numbers are not those of any other
// library, which ONNX does not ask for. Without the attribute `seed` the seed is kDefaultSeed: two runs give the same
// numbers.
#include <bit>
#include <cmath>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

constexpr double kDefaultSeed = 0;
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Expr u64(uint64_t v) { return ex::integer(DType::U64, static_cast<int64_t>(v)); }
Expr shr(const Expr& e, int n) { return ex::binary(ScalarOp::Shr, e, u64(static_cast<uint64_t>(n))); }
Expr exclusive_or(const Expr& a, const Expr& b) { return ex::binary(ScalarOp::Xor, a, b); }

// 64 random bits per element.
Tensor random_bits(Def& d, const Dims& dims) {
  uint64_t seed = mix(std::bit_cast<uint64_t>(d.f64("seed", kDefaultSeed)) + kGolden);
  return d.map(dims, [&](Ix i) {
    Expr z = ex::cast(ex::index(flatten_index(i, dims)), DType::U64) * u64(kGolden) + u64(seed);
    z = exclusive_or(z, shr(z, 30)) * u64(0xbf58476d1ce4e5b9);
    z = exclusive_or(z, shr(z, 27)) * u64(0x94d049bb133111eb);
    return exclusive_or(z, shr(z, 31));
  });
}

// In [0, 1): the highest bits, as many as the type's fraction has.
Expr unit(const Expr& bits, DType t) {
  if (t == DType::F64) return ex::cast(ex::cast(shr(bits, 11), DType::I64), t) * 0x1p-53;
  return ex::cast(ex::cast(shr(bits, 40), DType::I32), t) * 0x1p-24;
}

// By Box and Muller, from the two halves of the bits.
Expr normal(const Expr& bits, DType t) {
  int n = t == DType::F64 ? 32 : 24;
  double scale = t == DType::F64 ? 0x1p-32 : 0x1p-24;
  auto part = [&](const Expr& b) { return ex::cast(ex::cast(b, DType::I64), t) * scale; };
  Expr u = part(shr(bits, 64 - n)) + scale;  // in (0, 1]
  Expr v = part(ex::binary(ScalarOp::And, bits, u64((uint64_t{1} << n) - 1)));
  return sqrt(log(u) * -2.0) * ex::unary(ScalarOp::Cos, v * (2 * M_PI));
}

Result<void> random_uniform(Def& d, const Dims& dims, DType t) {
  if (!is_float(t) || !is_arithmetic(t)) return invalid("element type is {}, expected a float", name(t));
  double low = d.f64("low", 0), high = d.f64("high", 1);
  Tensor bits = random_bits(d, dims);
  d.out(d.map(dims, [&](Ix i) { return ex::cast(unit(bits(i), compute_type(t)) * (high - low) + low, t); }));
  return {};
}

Result<void> random_normal(Def& d, const Dims& dims, DType t) {
  if (!is_float(t) || !is_arithmetic(t)) return invalid("element type is {}, expected a float", name(t));
  double mean = d.f64("mean", 0), scale = d.f64("scale", 1);
  Tensor bits = random_bits(d, dims);
  d.out(d.map(dims, [&](Ix i) { return ex::cast(normal(bits(i), compute_type(t)) * scale + mean, t); }));
  return {};
}

Result<Dims> shape_attr(Def& d) {
  Dims dims;
  for (int64_t n : d.ints("shape")) {
    if (n < 0) return invalid("shape has the extent {}, expected no negative number", n);
    dims.push_back(n);
  }
  return dims;
}

}  // namespace

// RandomUniform-22, RandomNormal-22: of the attribute `shape`; the Like forms of the shape of x, and its type by
// default.
Result<void> define_random_uniform(Def& d) {
  return random_uniform(d, TRY(shape_attr(d)), TRY(dtype_attr(d, "dtype", DType::F32)));
}
Result<void> define_random_normal(Def& d) {
  return random_normal(d, TRY(shape_attr(d)), TRY(dtype_attr(d, "dtype", DType::F32)));
}
Result<void> define_random_uniform_like(Def& d) {
  TRY(expect_tensors(d, 1));
  return random_uniform(d, d.in(0).dims(), TRY(dtype_attr(d, "dtype", d.dtype(0))));
}
Result<void> define_random_normal_like(Def& d) {
  TRY(expect_tensors(d, 1));
  return random_normal(d, d.in(0).dims(), TRY(dtype_attr(d, "dtype", d.dtype(0))));
}

// Bernoulli-22. p: [...] -> 1 with probability p, else 0.
Result<void> define_bernoulli(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor p = d.in(0);
  DType t = TRY(dtype_attr(d, "dtype", p.dtype())), work = compute_type(p.dtype());
  if (!is_arithmetic(t)) return unsupported("element type {}", name(t));
  Tensor bits = random_bits(d, p.dims());
  d.out(d.map(p.dims(), [&](Ix i) { return ex::select(unit(bits(i), work) < widen(p(i)), one(t), zero(t)); }));
  return {};
}

// Multinomial-22. x: [B, C] log-probabilities up to a constant -> [B, sample_size] class numbers. The largest of
// x - log(-log u) is a sample (the Gumbel trick).
Result<void> define_multinomial(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0);
  if (x.rank() != 2) return invalid("input has rank {}, expected 2", x.rank());
  int64_t samples = d.i64("sample_size", 1);
  if (samples < 0) return invalid("sample_size is {}, expected no negative number", samples);
  DType t = TRY(dtype_attr(d, "dtype", DType::I32));
  Tensor bits = random_bits(d, {x.dim(0), samples, x.dim(1)});
  auto [value, index] = d.arg_reduce(Combiner::ArgMaxFirst, {x.dim(0), samples}, {x.dim(1)}, [&](Ix i, Ix r) {
    Expr u = unit(bits(i[0], i[1], r[0]), DType::F64) + 0x1p-54;
    return std::pair(ex::cast(x(i[0], r[0]), DType::F64) - log(-log(u)), ex::index(r[0]));
  });
  d.out(converted(d, index, t));
  return {};
}

// Dropout-22. data, ratio (default 0.5), training_mode (default false) -> data and a mask of ones; in training, each
// element is kept with probability 1 - ratio and scaled by 1/(1 - ratio).
Result<void> define_dropout(Def& d) {
  TRY(expect_arithmetic(d, 1));
  Tensor x = d.in(0), ratio = d.in(1), training = d.in(2);
  TensorRef mode = d.constant(2);
  if (!training || (mode && mode->elements() == 1 && mode->integer(0) == 0)) {
    d.out(x);
    if (d.outputs() > 1) d.out(d.map(x.dims(), [](Ix) { return ex::boolean(true); }));
    return {};
  }
  if (training.dtype() != DType::Bool) return invalid("training_mode is of {}, expected bool", name(training.dtype()));
  if (!is_float(x.dtype())) return invalid("input is of {}, expected floats", name(x.dtype()));
  if (ratio && !is_float(ratio.dtype())) return invalid("ratio is of {}, expected a float", name(ratio.dtype()));
  DType work = compute_type(x.dtype());
  Tensor bits = random_bits(d, x.dims());
  Expr drop = ratio ? ex::cast(scalar_of(ratio), work) : ex::number(work, 0.5);
  Expr on = scalar_of(training);
  Tensor kept = d.map(x.dims(), [&](Ix i) { return logical_not(on) || unit(bits(i), work) >= drop; });
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr scaled = ex::select(kept(i), ex::cast(x(i), work) / (1.0 - drop), zero(work));
    return ex::select(on, ex::cast(scaled, x.dtype()), x(i));
  }));
  if (d.outputs() > 1) d.out(kept);
  return {};
}

}  // namespace ingot
