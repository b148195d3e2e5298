// The scalar functions as branch-free arithmetic on f32 and f64, for vectors and scalars alike.
//
// Infinities, NaN, signed zeros and denormals are right in all of them. Error bounds, over the whole range unless said
// (measured by tests/backends/math_test.cpp, which fails above them):
//   f32 [ulp]: exp 1.5, expm1 2, log 1.5, log1p 2, sin cos 1.5, tan 3, tanh 6, erf 6, sigmoid 3; all others 1
//   f64 [ulp]: sqrt 0.5; exp, log, log1p, atan, pow 1; all others 3; sin, cos, tan for |x| <= 1e9. A power that is a number
//   of the type is that number.
// Sources: fdlibm for the f64 kernels of log, sin, cos, asin, atan; Eigen for the rational f32 tanh and erf; the other
// coefficients are Chebyshev fits in quad precision.
// The bounds hold without fma, too: where the low half of a product matters, `has_fma` selects how it is had.
#pragma once

#include "passes/loops/build.h"

namespace ingot::l::math {

V exp(const V&, bool has_scalb = false);
V expm1(const V&);
V log(const V&);
V log1p(const V&);
V sin(const V&, bool has_fma);
V cos(const V&, bool has_fma);
V tan(const V&, bool has_fma);
V asin(const V&);
V acos(const V&);
V atan(const V&);
V sinh(const V&);
V cosh(const V&);
V tanh(const V&);
V asinh(const V&);
V acosh(const V&);
V atanh(const V&);
V erf(const V&);
V sigmoid(const V&, bool has_scalb = false);
V pow(const V& x, const V& y);
V atan2(const V& y, const V& x);
V fmod(const V& a, const V& b,
       bool has_fma);  // exact: all of f32; f64 for quotients below 2^250 (without fma: |a| < 2^995, too)

}  // namespace ingot::l::math
