// sin, cos, tan and their inverses.
//
// f32: x * 2/pi is formed exactly, in f64, from 29-bit chunks of 2/pi; whole turns are dropped chunk by chunk, so that
// the remainder is right for every x up to 2^128 without a table or a branch. f64: Cody and Waite with fma and three
// parts of pi/2; for |x| > 1e9 the digits run out and only the bound |sin| <= 1 is left.
#include <cmath>

#include "passes/loops/math.h"

namespace ingot::l::math {

namespace {

bool wide(const V& x) { return x.type() == DType::F64; }

struct Quadrant {
  V r;  // |r| <= pi/4
  V q;  // the number of the quadrant, in the low bits of an i32 (f32) or i64 (f64)
};

constexpr double kRound = 0x1.8p52;  // added and subtracted: rounds to an integer

Quadrant reduce(const V& v, bool has_fma) {
  if (wide(v)) {
    V t = fma(v, 2 / M_PI, like(v, kRound));
    V n = t - kRound;
    V r = fma_exact(n, like(n, -0x1.921fb54442d18p+0), v, has_fma);
    r = fma_exact(n, like(n, -0x1.1a62633145c07p-54), r, has_fma);
    r = fma(n, 0x1.f1976b7ed8fbcp-110, r);
    r = select(abs(v) < 0x1p50, clamp(r, -0.7853981633974484, 0.7853981633974484), v - v);
    return {r, bits_of(t)};
  }
  static constexpr double kChunks[] = {0x145f306dp-29,  0x19391054p-58, 0x14fe13abp-87, 0x1d1f534dp-116,
                                       0x1b81b6c5p-145, 0x5664f10p-174, 0x1c820ff2p-203};
  V x = cast(v, DType::F64);
  std::vector<V> parts;
  V sum;
  for (double c : kChunks) {
    V t = x * c;
    V whole = round_even(t * 0.25);
    V part = fma(whole, -4, t);  // exact
    sum = parts.empty() ? part : sum + part;
    parts.push_back(part);
  }
  V t = sum + kRound;
  V f = parts[0] - (t - kRound);
  for (size_t i = 1; i < parts.size(); ++i) f = f + parts[i];
  return {cast(f * M_PI_2, v.type()), cast(bits_of(t), DType::I32)};
}

V sine(const V& r) {
  V z = r * r;
  V p = wide(r) ? poly(z, {-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
                           2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10})
                : poly(z, {-0.16666664601754114, 0.0083327365591771303, -0.0001958537320669302});
  return fma(r * z, p, r);
}

V cosine(const V& r) {
  V z = r * r;
  V p = wide(r)
            ? poly(z, {4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                       -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11})
            : poly(z, {0.04166666666422613, -0.0013888887635227975, 2.4800580601354642e-05, -2.7298407652795173e-07});
  V half = z * 0.5;
  V w = 1 - half;
  return w + ((1 - w - half) + z * z * p);
}

V odd(const V& q) { return (q & like_int(q, 1)) != 0; }
V second(const V& q) { return (q & like_int(q, 2)) != 0; }

V small(const V& x) { return abs(x) < (wide(x) ? 1e-9 : 1e-5); }

constexpr double kPio2High = 1.57079632679489655800e+00, kPio2Low = 6.12323399573676603587e-17;

// (asin(x) - x) / x as a function of x^2 <= 1/4 (fdlibm)
V asin_rest(const V& z) {
  V p = z * poly(z, {1.66666666666666657415e-01, -3.25565818622400915405e-01, 2.01212532134862925881e-01,
                     -4.00555345006794114027e-02, 7.91534994289814532176e-04, 3.47933107596021167570e-05});
  return p / poly(z, {1.0, -2.40339491173441421878e+00, 2.02094576023350569471e+00, -6.88283971605453293030e-01,
                      7.70381505559019352791e-02});
}

V narrow(V (*f)(const V&), const V& x) { return cast(f(cast(x, DType::F64)), x.type()); }

}  // namespace

V sin(const V& x, bool has_fma) {
  auto [r, q] = reduce(x, has_fma);
  V y = select(odd(q), cosine(r), sine(r));
  y = select(second(q), -y, y);
  return select(small(x), x, y);
}

V cos(const V& x, bool has_fma) {
  auto [r, q] = reduce(x, has_fma);
  V y = select(odd(q), sine(r), cosine(r));
  return select(second(q + like_int(q, 1)), -y, y);
}

V tan(const V& x, bool has_fma) {
  auto [r, q] = reduce(x, has_fma);
  V s = sine(r), c = cosine(r);
  V turned = odd(q);
  V y = select(turned, -c, s) / select(turned, s, c);
  return select(small(x), x, y);
}

V asin(const V& x) {
  if (!wide(x)) return narrow(asin, x);
  V a = abs(x);
  V z = (1 - a) * 0.5;
  V outer = a > 0.5;
  V root = sqrt(z);
  V argument = select(outer, root, a);
  V rest = asin_rest(select(outer, z, a * a));
  V y = fma(argument, rest, argument);
  y = select(outer, kPio2High - (y * 2 - kPio2Low), y);
  return with_sign_of(y, x);  // |x| > 1: the root is NaN
}

V acos(const V& x) {
  if (!wide(x)) return narrow(acos, x);
  V a = abs(x);
  V z = (1 - a) * 0.5;
  V outer = a > 0.5;
  V argument = select(outer, sqrt(z), a);
  V rest = asin_rest(select(outer, z, a * a));
  V y = fma(argument, rest, argument);
  V inner = kPio2High - (with_sign_of(abs(y), x) - kPio2Low);
  V low = kPio2High * 2 - (y * 2 - kPio2Low * 2);
  return select(outer, select(x < 0, low, y * 2), select(is_nan(x), x, inner));
}

V atan(const V& x) {
  if (!wide(x)) return narrow(atan, x);
  // fdlibm: four intervals around 0, atan(1/2), pi/4, atan(3/2), and infinity.
  V a = abs(x);
  V c1 = a >= 0.4375, c2 = a >= 0.6875, c3 = a >= 1.1875, c4 = a >= 2.4375;
  V n = select(c1, a * 2 - 1, a), d = select(c1, a + 2, 1);
  V high = select(c1, 4.63647609000806093515e-01, like(a, 0)), low = select(c1, 2.26987774529616870924e-17, like(a, 0));
  n = select(c2, a - 1, n), d = select(c2, a + 1, d);
  high = select(c2, 7.85398163397448278999e-01, high), low = select(c2, 3.06161699786838301793e-17, low);
  n = select(c3, a - 1.5, n), d = select(c3, fma(a, 1.5, like(a, 1)), d);
  high = select(c3, 9.82793723247329054082e-01, high), low = select(c3, 1.39033110312309984516e-17, low);
  n = select(c4, -1, n), d = select(c4, a, d);
  high = select(c4, kPio2High, high), low = select(c4, kPio2Low, low);
  V t = n / d;
  V z = t * t;
  V p = z * poly(z, {3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01,
                     -1.11111104054623557880e-01, 9.09088713343650656196e-02, -7.69187620504482999495e-02,
                     6.66107313738753120669e-02, -5.83357013379057348645e-02, 4.97687799461593236017e-02,
                     -3.65315727442169155270e-02, 1.62858201153657823623e-02});
  V y = high - ((t * p - low) - t);
  return with_sign_of(y, x);
}

V atan2(const V& y, const V& x) {
  if (!wide(x)) return cast(atan2(cast(y, DType::F64), cast(x, DType::F64)), x.type());
  V ay = abs(y), ax = abs(x);
  V ratio = ay / ax;
  ratio = select((ay == 0) & (ax == 0), 0, ratio);
  ratio = select((ay == INFINITY) & (ax == INFINITY), 1, ratio);
  V r = atan(ratio);
  V b = bits_of(x);
  r = select(b < like_int(b, 0), kPio2High * 2 - (r - kPio2Low * 2), r);
  r = with_sign_of(r, y);
  return select(is_nan(x) | is_nan(y), NAN, r);
}

}  // namespace ingot::l::math
