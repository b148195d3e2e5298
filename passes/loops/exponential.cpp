// exp, log and what is made of them.
//
//   exp:  x = n ln2 + r, |r| <= ln2/2;  e^x = 2^n (1 + r + r^2 q(r))
//   log:  x = 2^n m, m in [sqrt(1/2), sqrt(2));  log x = n ln2 + log(1 + (m - 1))
// n is taken from the low bits of x/ln2 + 1.5*2^(mantissa bits), which also rounds to even; no float is ever cast to an
// integer, so NaN stays a number's problem. 2^n is applied in two halves, so that overflow and denormals come out right.
#include <cmath>
#include <limits>

#include "passes/loops/math.h"

namespace ingot::l::math {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2e = 1.4426950408889634074;

bool wide(const V& x) { return x.type() == DType::F64; }
double magic_of(const V& x) { return wide(x) ? 0x1.8p52 : 0x1.8p23; }
int64_t magic_bits(const V& x) { return wide(x) ? 0x4338000000000000 : 0x4B400000; }
int mantissa(const V& x) { return wide(x) ? 52 : 23; }
int64_t bias(const V& x) { return wide(x) ? 1023 : 127; }
// ln2 in two parts; the first has so few bits that its product with n is exact without fma.
double ln2_high(const V& x) { return wide(x) ? 6.93147180369123816490e-01 : 0.693359375; }
double ln2_low(const V& x) { return wide(x) ? 1.90821492927058770002e-10 : -2.12194440054690583e-4; }

struct Reduced {
  V r;  // |r| <= ln2/2
  V n;  // an integer, as int
};
Reduced reduce(const V& x) {
  V t = fma(x, kLog2e, like(x, magic_of(x)));
  V n = t - magic_of(x);
  V bits = bits_of(t);
  V r = fma(n, -ln2_high(x), x);
  return {fma(n, -ln2_low(x), r), bits - like_int(bits, magic_bits(x))};
}

V pow2(const V& n, const V& of) { return bitcast(shl(n + like_int(n, bias(of)), mantissa(of)), of.type()); }

// (e^r - 1 - r) / r^2
V q(const V& r) {
  if (wide(r))
    return poly(r, {0.5, 0.16666666666666666, 0.041666666666666678, 0.0083333333333333332, 0.0013888888888879073,
                    0.00019841269841263298, 2.4801587336442236e-05, 2.7557319247218731e-06, 2.7557263279088498e-07,
                    2.5052071094293548e-08, 2.0918137737642736e-09, 1.6086627956780372e-10});
  return poly(r, {0.5, 0.16666576989698775, 0.041666554617204574, 0.0083631790527225781, 0.0013926183587713494});
}

struct Split {
  V f;  // m - 1
  V n;  // the exponent, as float
};
// x > 0, finite; denormals are scaled first. extra: added to the argument of the logarithm, relative to x's exponent.
Split split(const V& x, const V* extra) {
  double tiny = wide(x) ? 0x1p-1022 : 0x1p-126;
  double scale = wide(x) ? 0x1p54 : 0x1p25;
  V small = x < tiny;
  V bits = bits_of(select(small, x * scale, x));
  // Subtracting the bits of sqrt(1/2) makes the exponent that of x / sqrt(1/2), which is n.
  int64_t root = wide(x) ? 0x3FE6A09E667F3BCD : 0x3F3504F3;
  V shifted = shr(bits - like_int(bits, root), mantissa(x));
  V m = bitcast(bits - shl(shifted, mantissa(x)), x.type());
  V n = cast(shifted, x.type());
  V f = m - 1;
  if (extra) {
    // times 2^-n; 0 where that is no longer a normal number, and does not matter.
    V field = binary(ScalarOp::Max, like_int(shifted, bias(x)) - shifted, like_int(shifted, 0));
    f = f + *extra * bitcast(shl(field, mantissa(x)), x.type());
  }
  n = n - select(small, like(x, wide(x) ? 54 : 25), like(x, 0));
  return {f, n};
}

V log_of(const Split& s) {
  const V& f = s.f;
  V half_square = f * f * 0.5;
  if (wide(f)) {
    V t = f / (f + 2);
    V z = t * t;
    V r = z * poly(z, {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                       2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                       1.479819860511658591e-01});
    V low = fma(t, half_square + r, s.n * ln2_low(f));
    return fma(s.n, ln2_high(f), f - (half_square - low));
  }
  V p =
      poly(f, {0.33333331180030046, -0.24999996957950882, 0.20000715748892101, -0.16667802319501254, 0.1424905764569748,
               -0.12425687331451106, 0.1168541992348674, -0.11479733846637635, 0.069716114714511779});
  V low = fma(f * f * f, p, s.n * ln2_low(f)) - half_square;
  return fma(s.n, ln2_high(f), f + low);
}

// The rarer f32 functions are computed in f64.
V narrow(V (*f)(const V&), const V& x) { return cast(f(cast(x, DType::F64)), x.type()); }

// Past the overflow, so that the product of the halves is infinite, and past the smallest denormal.
V clamped(const V& x) { return wide(x) ? clamp(x, -760, 720) : clamp(x, -110, 92); }

}  // namespace

V exp(const V& v, bool has_scalb) {
  V x = clamped(v);
  if (has_scalb) {
    V n = round_even(x * kLog2e);
    V r = fma(n, -ln2_low(x), fma(n, -ln2_high(x), x));
    return binary(ScalarOp::Scalb, fma(r * r, q(r), r) + 1, n);
  }
  auto [r, n] = reduce(x);
  V p = fma(r * r, q(r), r) + 1;
  V half = shr(n, 1);
  return p * pow2(half, x) * pow2(n - half, x);
}

V expm1(const V& v) {
  V x = wide(v) ? clamp(v, -40, 720) : clamp(v, -20, 92);
  auto [r, n] = reduce(x);
  V p = fma(r * r, q(r), r);
  // In units of 2: 2^(n-1) is finite where the result is.
  V s = pow2(n - like_int(n, 1), x);
  V y = fma(s, p, s - 0.5) * 2;
  V limit = like(x, wide(x) ? 0x1.62e42fefa39efp9 : 0x1.62e430p6);
  y = select(x > limit, kInf, y);
  return select(abs(v) < (wide(v) ? 1e-17 : 1e-9), v, y);
}

V log(const V& x) {
  V y = log_of(split(x, nullptr));
  y = select(x == 0, -kInf, y);
  y = select(x == kInf, kInf, y);
  return select(x >= 0, y, kNaN);
}

V log1p(const V& x) {
  V u = x + 1;
  // What the sum lost: exact where u >= 1 in magnitude order, which holds in both cases.
  V lost = select(x > 1, 1 - (u - x), x - (u - 1));
  V y = log_of(split(u, &lost));
  y = select(u == 0, -kInf, y);
  y = select(x == kInf, kInf, y);
  y = select(x >= -1, y, kNaN);
  return select(abs(x) < (wide(x) ? 1e-17 : 1e-9), x, y);
}

V sigmoid(const V& x, bool has_scalb) {
  V e = exp(-abs(x), has_scalb);
  return select(x < 0, e, 1) / (e + 1);
}

V tanh(const V& v) {
  if (wide(v)) {
    V t = expm1(abs(v) * -2.0);
    return with_sign_of(abs(t / (t + 2)), v);
  }
  V x = clamp(v, -7.90531110763549805, 7.90531110763549805);
  V z = x * x;
  V p = x * poly(z, {4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
                     -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16});
  V y = p / poly(z, {4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06});
  return select(abs(v) < 0.0004, v, y);
}

V sinh(const V& v) {
  if (!wide(v)) return narrow(sinh, v);
  V a = abs(v);
  V t = expm1(a);
  V y = (t + t / (t + 1)) * 0.5;
  V h = exp(a * 0.5);
  y = select(a > 40, h * 0.5 * h, y);
  return with_sign_of(y, v);
}

V cosh(const V& v) {
  if (!wide(v)) return narrow(cosh, v);
  V a = abs(v);
  V e = exp(a);
  V h = exp(a * 0.5);
  return select(a > 40, h * 0.5 * h, e * 0.5 + 0.5 / e);
}

V asinh(const V& v) {
  if (!wide(v)) return narrow(asinh, v);
  V a = abs(v);
  V z = a * a;
  V y = log1p(a + z / (sqrt(z + 1) + 1));
  y = select(a > 1e8, log(a) + M_LN2, y);
  return with_sign_of(y, v);
}

V acosh(const V& x) {
  if (!wide(x)) return narrow(acosh, x);
  V t = x - 1;
  V y = log1p(t + sqrt(fma(t, t, t * 2)));
  y = select(x > 1e8, log(x) + M_LN2, y);
  return select(x >= 1, y, kNaN);
}

V atanh(const V& v) {
  if (!wide(v)) return narrow(atanh, v);
  V a = abs(v);
  V y = log1p(a * 2 / (1 - a)) * 0.5;
  return with_sign_of(y, v);  // |v| > 1: log1p of less than -1 is NaN
}

V erf(const V& v) {
  if (!wide(v)) {
    V x = clamp(v, -4, 4);
    V z = x * x;
    V p = x * poly(z, {-1.60960333262415e-02, -2.95459980854025e-03, -7.34990630326855e-04, -5.69250639462346e-05,
                       -2.10102402082508e-06, 2.77068142495902e-08, -2.72614225801306e-10});
    V y = p / poly(z, {-1.42647390514189e-02, -7.37332916720468e-03, -1.68282697438203e-03, -2.13374055278905e-04,
                       -1.45660718464996e-05});
    return select(abs(v) < 1e-15, v * 1.1283791670955126, y);
  }
  V a = abs(v);
  V near = a * poly(a * a, {1.1283791670955126, -0.37612638903183748, 0.11283791670954878, -0.02686617064507674,
                            0.0052239776248174784, -0.00085483269808014472, 0.00012055331110409494,
                            -1.4925595235970651e-05, 1.6460999970345427e-06, -1.6350307065234626e-07,
                            1.4659736155673959e-08, -1.1372693191126325e-09, 5.9569056336530321e-11});
  V b = clamp(a, 1, 6.2);
  V t = (b - 2.5) / (b + 2.5);
  // e^(x*x) erfc(x)
  V scaled = poly(
      t, {0.21080636406114359, -0.37173673394897339, 0.25171319321744928, -0.12503305237882378, 0.039922539075585642,
          -0.0039937011662846029, -0.002642365964300101, 0.00087591546490290622, 0.00022838037815709953,
          -0.00012887744294332978, -3.4182219463038439e-05, 1.8617294135018403e-05, 7.5524064708619372e-06,
          -2.3149989508496808e-06, -1.8011340797288152e-06, 1.3114092686403511e-07, 3.4265841577452851e-07});
  V far = 1 - exp(-(b * b)) * scaled;
  return with_sign_of(select(a < 1, near, far), v);
}

namespace {

// x^y for x > 0, in f64 for f32 (a few ulp): e^(y (hi + lo)) with the logarithm in two parts.
V power(const V& x, const V& y) {
  Split s = split(x, nullptr);
  V high = s.n * ln2_high(x);  // exact: the constant has 32 bits
  V low = log_of({s.f, like(x, 0)}) + s.n * ln2_low(x);
  V sum = high + low;
  V rest = low - (sum - high);  // |high| >= |low| or high is 0
  V product = y * sum;
  V error = fma(y, sum, -product) + y * rest;
  V e = exp(product);
  V corrected = fma(e, error, e);
  V usable = abs(product) < 700;
  return select(usable, corrected, e);
}

}  // namespace

namespace {

// The upper 21 bits of the fraction: products of two such numbers are exact.
V upper(const V& x) { return bitcast(bits_of(x) & like_int(bits_of(x), -(int64_t{1} << 32)), x.type()); }

// x^y for x > 0 as fdlibm computes it: log2(x) = t1 + t2 by (m-b)/(m+b) with b = 1 or 3/2, where t1, like the first part of y,
// has few bits; 2^z from z = n + r, |r| <= 1/2. Less than 0.7 ulp, so that a power that is a number is that number. No fma.
V accurate_power(const V& v, const V& y) {
  const V& x = v;
  V tiny = x < 0x1p-1022;
  V bits = bits_of(select(tiny, x * 0x1p54, x));
  V shifted = shr(bits - like_int(bits, 0x3FEBB67AE8584CAA), 52);  // of sqrt(3)/2: m in [sqrt(3)/2, sqrt(3))
  V m = bitcast(bits - shl(shifted, 52), DType::F64);
  V n = cast(shifted, DType::F64) - select(tiny, like(x, 54), like(x, 0));
  V far = m >= 1.22474487139158904910;  // sqrt(3/2)
  V b = select(far, like(x, 1.5), like(x, 1));
  V log_b_high = select(far, like(x, 5.84962487220764160156e-01), like(x, 0)),
    log_b_low = select(far, like(x, 1.35003920212974897128e-08), like(x, 0));
  V u = m - b, w = 1 / (m + b), s = u * w, s_high = upper(s);
  V sum_high = upper(m + b), sum_low = m - (sum_high - b);
  V s_low = w * ((u - s_high * sum_high) - s_high * sum_low);
  V s2 = s * s;
  V r = s2 * s2 *
        poly(s2, {5.99999999999994648725e-01, 4.28571428578550184252e-01, 3.33333329818377432918e-01,
                  2.72728123808534006489e-01, 2.30660745775561754067e-01, 2.06975017800338417784e-01});
  r = r + s_low * (s_high + s);
  s2 = s_high * s_high;
  V t_high = upper(s2 + 3 + r), t_low = r - ((t_high - 3) - s2);
  u = s_high * t_high;
  w = s_low * t_high + t_low * s;
  V p_high = upper(u + w), p_low = w - (p_high - u);
  V z_high = p_high * 9.61796700954437255859e-01,
    z_low = p_high * -7.02846165095275826516e-09 + p_low * 9.61796693925975554329e-01 + log_b_low;
  V t1 = upper(((z_high + z_low) + log_b_high) + n), t2 = z_low - (((t1 - n) - log_b_high) - z_high);

  V e = clamp(y, -0x1p65, 0x1p65);  // beyond, the result is 0, 1 or infinite, whatever the base
  V e_high = upper(e);
  p_low = (e - e_high) * t1 + e * t2;
  p_high = e_high * t1;
  V z = p_low + p_high;
  V finite = abs(z) < 1100;
  p_low = select(finite, p_low, 0);
  p_high = select(finite, p_high, clamp(z, -1100, 1100));
  z = select(finite, z, p_high);
  V magic = z + magic_of(z);
  V whole = magic - magic_of(z);
  V exponent = bits_of(magic) - like_int(bits, magic_bits(z));
  p_high = p_high - whole;
  V t = upper(p_low + p_high);
  u = t * 6.93147182464599609375e-01;
  w = (p_low - (t - p_high)) * 6.93147180559945286227e-01 + t * -1.90465429995776804525e-09;
  z = u + w;
  V rest = w - (z - u);
  t = z * z;
  V t3 = z - t * poly(t, {1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
                          -1.65339022054652515390e-06, 4.13813679705723846039e-08});
  V p = 1 - (((z * t3) / (t3 - 2) - (rest + z * rest)) - z);
  V half = shr(exponent, 1);
  return p * pow2(half, x) * pow2(exponent - half, x);
}

V power_in(const V& x, const V& y, V (*power)(const V&, const V&)) {
  V a = abs(x);
  V r = power(a, y);
  V grows = y > 0;
  r = select(a == 0, select(grows, like(x, 0), like(x, kInf)), r);
  r = select(a == kInf, select(grows, like(x, kInf), like(x, 0)), r);
  // y infinite: by whether a is above 1.
  V infinite = abs(y) == kInf;
  V away = comparison(ScalarOp::Eq, a > 1, grows);
  r = select(infinite, select(away, like(x, kInf), like(x, 0)), r);
  V whole = trunc(y) == y;
  V odd = whole & (trunc(y * 0.5) != y * 0.5) & !infinite;
  V negative = bits_of(x) < like_int(bits_of(x), 0);
  r = select(negative & odd, -r, r);
  r = select((x < 0) & !whole & (a < kInf), kNaN, r);
  r = select(is_nan(x) | is_nan(y), kNaN, r);
  return select((x == 1) | (y == 0) | ((a == 1) & infinite), 1, r);
}

}  // namespace

V pow(const V& x, const V& y) {
  if (!wide(x)) return cast(power_in(cast(x, DType::F64), cast(y, DType::F64), power), x.type());
  return power_in(x, y, accurate_power);
}

V fmod(const V& a, const V& b, bool has_fma) {
  if (!wide(a)) {
    DType t = a.type();
    V x = cast(a, DType::F64), y = cast(b, DType::F64);
    return cast(fmod(x, y, has_fma), t);
  }
  // Each step removes 50 bits of the quotient; a - q*b is exact. Six steps cover every f32 quotient.
  V r = a;
  for (int i = 0; i < 6; ++i) r = fma_exact(-trunc(r / b), b, r, has_fma);
  // The last quotient may have been rounded up.
  V wrong = (r * a < 0) | ((r < 0) & (a > 0)) | ((r > 0) & (a < 0));
  r = select(wrong, r + with_sign_of(abs(b), a), r);
  V fits = (abs(b) == kInf) & (abs(a) < kInf);
  r = select(fits, a, r);
  return select(r == 0, with_sign_of(like(r, 0), a), r);
}

}  // namespace ingot::l::math
