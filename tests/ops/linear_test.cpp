// Products against Eigen and loops; signals, samples and losses against their definitions.
#include <eigen3/Eigen/Dense>
#include <numbers>

#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix matrix(const TensorRef& t, int64_t batch = 0) {
  int64_t r = t->dims[t->dims.size() - 2], c = t->dims.back();
  Matrix m(r, c);
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = 0; j < c; ++j) m(i, j) = t->number((batch * r + i) * c + j);
  }
  return m;
}

TEST(Linear, MatMul) {
  for (auto [m, k, n] :
       std::vector<std::tuple<int64_t, int64_t, int64_t>>{{1, 1, 1}, {3, 5, 7}, {17, 31, 13}, {2, 0, 3}}) {
    auto a = floats({m, k}), b = floats({k, n});
    Matrix y = matrix(a) * matrix(b);
    expect_is(run1("mat_mul", {a, b}), {m, n}, [&](const Shape& i) { return y(i[0], i[1]); });
  }
  auto a = floats({2, 1, 3, 5}), b = floats({4, 5, 7});
  expect_is(run1("mat_mul", {a, b}), {2, 4, 3, 7},
            [&](const Shape& i) { return (matrix(a, i[0]) * matrix(b, i[1]))(i[2], i[3]); });
  auto v = floats({5}), w = floats({2, 5, 3});
  expect_is(run1("mat_mul", {v, w}), {2, 3}, [&](const Shape& i) {
    double s = 0;
    for (int64_t k = 0; k < 5; ++k) s += number_at(v, {k}) * number_at(w, {i[0], k, i[1]});
    return s;
  });
  EXPECT_TRUE(run1("mat_mul", {v, v})->dims.empty());
  EXPECT_NE(error_of("mat_mul", {floats({2, 3}), floats({4, 5})}).find("inner extents are 3 and 4"), std::string::npos);
}

TEST(Linear, Gemm) {
  for (int64_t ta : {0, 1}) {
    for (int64_t tb : {0, 1}) {
      auto a = floats(ta ? Shape{5, 3} : Shape{3, 5}), b = floats(tb ? Shape{7, 5} : Shape{5, 7}), c = floats({7});
      Matrix ma = matrix(a), mb = matrix(b);
      Matrix y = 0.5 * (ta ? Matrix(ma.transpose()) : ma) * (tb ? Matrix(mb.transpose()) : mb);
      Attrs attrs{{"alpha", 0.5}, {"beta", 2.0}, {"transA", ta}, {"transB", tb}};
      expect_is(run1("gemm", {a, b, c}, attrs), {3, 7},
                [&](const Shape& i) { return y(i[0], i[1]) + 2 * number_at(c, {i[1]}); });
      expect_is(run1("gemm", {a, b}, attrs), {3, 7}, [&](const Shape& i) { return y(i[0], i[1]); });
    }
  }
}

TEST(Linear, MatMulIntegerWithZeroPoints) {
  auto a = tensor<uint8_t>({2, 3}, {1, 200, 3, 4, 5, 255}), b = tensor<int8_t>({3, 2}, {-128, 127, 3, -4, 5, 6});
  auto za = tensor<uint8_t>({2}, {100, 7}), zb = tensor<int8_t>({2}, {-3, 9});
  auto expected = [&](const Shape& i, bool with_a, bool with_b) {
    double s = 0;
    for (int64_t k = 0; k < 3; ++k) {
      s += (number_at(a, {i[0], k}) - (with_a ? number_at(za, {i[0]}) : 0)) *
           (number_at(b, {k, i[1]}) - (with_b ? number_at(zb, {i[1]}) : 0));
    }
    return s;
  };
  expect_is(run1("mat_mul_integer", {a, b}), {2, 2}, [&](const Shape& i) { return expected(i, false, false); }, 0);
  expect_is(
      run1("mat_mul_integer", {a, b, za, zb}, {}, false), {2, 2},
      [&](const Shape& i) { return expected(i, true, true); }, 0);
  expect_is(
      run1("mat_mul_integer", {a, b, constant(tensor<uint8_t>({}, {0})), zb}, {}, false), {2, 2},
      [&](const Shape& i) { return expected(i, false, true); }, 0);
}

TEST(Linear, MatMulNBits) {
  // K = 32 in two blocks of 16, N = 3, four bits, the lower half of a byte first.
  auto a = floats({2, 32});
  std::vector<uint8_t> packed(3 * 2 * 8);
  for (size_t k = 0; k < packed.size(); ++k) packed[k] = static_cast<uint8_t>(k * 37 + 11);
  auto b = tensor<uint8_t>({3, 2, 8}, packed), zeros = tensor<uint8_t>({3}, {0x3a, 0x71, 0x0f});
  auto scales = tensor<float>({6}, {0.5f, 2, 1, 0.25f, 3, 1});
  Attrs attrs{{"K", int64_t{32}}, {"N", int64_t{3}}, {"bits", int64_t{4}}, {"block_size", int64_t{16}}};
  for (bool with_zeros : {false, true}) {
    auto weight = [&](int64_t n, int64_t k) {
      int byte = packed[static_cast<size_t>(n * 16 + k / 2)], q = k % 2 ? byte >> 4 : byte & 15;
      int pair = zeros->as<uint8_t>()[n], zero = !with_zeros ? 8 : k / 16 ? pair >> 4 : pair & 15;
      return (q - zero) * static_cast<double>(scales->as<float>()[n * 2 + k / 16]);
    };
    std::vector<Arg> inputs{a, constant(b), constant(scales)};
    if (with_zeros) inputs.push_back(constant(zeros));
    expect_is(run1("mat_mul_nbits", inputs, attrs), {2, 3}, [&](const Shape& i) {
      double s = 0;
      for (int64_t k = 0; k < 32; ++k) s += number_at(a, {i[0], k}) * weight(i[1], k);
      return s;
    });
  }
}

TEST(Linear, Einsum) {
  auto a = floats({3, 5}), b = floats({5, 7}), c = floats({7, 2}), q = floats({4, 4}), t = floats({2, 3, 5});
  auto einsum = [](const char* e, std::vector<Arg> x, bool dynamic = true) {
    return run1("einsum", std::move(x), {{"equation", std::string(e)}}, dynamic);
  };
  Matrix ab = matrix(a) * matrix(b), abc = ab * matrix(c);
  expect_is(einsum("ij,jk->ik", {a, b}), {3, 7}, [&](const Shape& i) { return ab(i[0], i[1]); });
  expect_is(einsum("ij , jk", {a, b}), {3, 7}, [&](const Shape& i) { return ab(i[0], i[1]); });
  expect_is(einsum("ij,jk,kl->li", {a, b, c}), {2, 3}, [&](const Shape& i) { return abc(i[1], i[0]); });
  expect_is(einsum("ij->ji", {a}), {5, 3}, [&](const Shape& i) { return number_at(a, {i[1], i[0]}); });
  expect_is(einsum("ii->i", {q}), {4}, [&](const Shape& i) { return number_at(q, {i[0], i[0]}); });
  expect_is(einsum("ii", {q}), {}, [&](const Shape&) { return matrix(q).trace(); });
  expect_is(einsum("...ij,jk->...ik", {t, b}), {2, 3, 7},
            [&](const Shape& i) { return (matrix(t, i[0]) * matrix(b))(i[1], i[2]); });
  expect_is(einsum("ij,ij->", {a, a}), {}, [&](const Shape&) { return matrix(a).squaredNorm(); });
  EXPECT_NE(error_of("einsum", {a}, {{"equation", std::string("ijk->i")}}).find("expected the 3 indices"),
            std::string::npos);
  EXPECT_NE(error_of("einsum", {a}, {{"equation", std::string("i1->i")}}).find("expected letters"), std::string::npos);
}

TEST(Linear, DetAndInverse) {
  for (int64_t n : {1, 2, 5, 11}) {
    auto x = floats({3, n, n});
    expect_is(run1("det", {x}), {3}, [&](const Shape& i) { return matrix(x, i[0]).determinant(); });
    expect_is(
        run1("inverse", {x}), {3, n, n}, [&](const Shape& i) { return matrix(x, i[0]).inverse()(i[1], i[2]); }, 1e-3);
  }
  expect_is(run1("det", {tensor<float>({2, 2}, {1, 2, 2, 4})}), {}, [](const Shape&) { return 0; });
}

TEST(Signal, DftAndItsInverse) {
  auto x = floats({2, 7, 2});
  auto part = [&](int64_t b, int64_t k, double sign, int64_t c) {
    double re = 0, im = 0;
    for (int64_t n = 0; n < 7; ++n) {
      double w = sign * 2 * std::numbers::pi * static_cast<double>(k * n) / 7, xr = number_at(x, {b, n, 0}),
             xi = number_at(x, {b, n, 1});
      re += xr * std::cos(w) - xi * std::sin(w);
      im += xr * std::sin(w) + xi * std::cos(w);
    }
    return c ? im : re;
  };
  expect_is(run1("dft", {x}), {2, 7, 2}, [&](const Shape& i) { return part(i[0], i[1], -1, i[2]); });
  expect_is(run1("dft", {x}, {{"inverse", int64_t{1}}}), {2, 7, 2},
            [&](const Shape& i) { return part(i[0], i[1], 1, i[2]) / 7; });
  for (int64_t n : {6, 7}) {
    auto real = floats({n, 1});
    auto bins = run1("dft", {real, Arg(), scalar(0)}, {{"onesided", int64_t{1}}});
    EXPECT_EQ(bins->dims, (Shape{n / 2 + 1, 2}));
    expect_is(run1("dft", {bins, scalar(n), scalar(0)}, {{"inverse", int64_t{1}}, {"onesided", int64_t{1}}}), {n, 1},
              [&](const Shape& i) { return number_at(real, i); });
  }
  auto signal = floats({1, 20, 1}), window = floats({8});
  auto spectrum = [&](const Shape& i) {
    double s = 0;
    for (int64_t n = 0; n < 8; ++n) {
      double w = 2 * std::numbers::pi * static_cast<double>(i[2] * n) / 8;
      s += number_at(signal, {0, i[1] * 3 + n, 0}) * number_at(window, {n}) * (i[3] ? -std::sin(w) : std::cos(w));
    }
    return s;
  };
  expect_is(run1("stft", {signal, scalar(3), window}), {1, 5, 5, 2}, spectrum);
  // As exporters write it: a signal without a last dim, a step of one element.
  auto flat = tensor<float>({1, 20}, values<float>(signal));
  expect_is(run1("stft", {flat, ints({3}), window}), {1, 5, 5, 2}, spectrum);
}

TEST(Signal, Windows) {
  const double pi = std::numbers::pi;
  for (int64_t periodic : {0, 1}) {
    for (int64_t size : {2, 9, 10}) {
      Attrs attrs{{"periodic", periodic}};
      double n = static_cast<double>(periodic ? size : size - 1);
      auto turn = [&](const Shape& i) { return 2 * pi * static_cast<double>(i[0]) / n; };
      expect_is(run1("hann_window", {scalar(size)}, attrs), {size},
                [&](const Shape& i) { return std::pow(std::sin(turn(i) / 2), 2); });
      expect_is(run1("hamming_window", {scalar(size)}, attrs), {size},
                [&](const Shape& i) { return 25.0 / 46 - 21.0 / 46 * std::cos(turn(i)); });
      expect_is(run1("blackman_window", {scalar(size)}, attrs), {size},
                [&](const Shape& i) { return 0.42 - 0.5 * std::cos(turn(i)) + 0.08 * std::cos(2 * turn(i)); });
    }
  }
}

TEST(Sample, GridsThatNameThePixelsGiveTheImage) {
  auto x = floats({1, 2, 3, 5});
  auto theta = tensor<float>({1, 2, 3}, {1, 0, 0, 0, 1, 0});
  for (int64_t align : {0, 1}) {
    Attrs attrs{{"align_corners", align}};
    auto grid = run1("affine_grid", {theta, ints({1, 2, 3, 5})}, attrs);
    EXPECT_EQ(grid->dims, (Shape{1, 3, 5, 2}));
    for (const char* mode : {"nearest", "linear", "cubic"}) {
      for (const char* padding : {"zeros", "border", "reflection"}) {
        SCOPED_TRACE(fmt::format("{} {}", mode, padding));
        Attrs all{{"align_corners", align}, {"mode", std::string(mode)}, {"padding_mode", std::string(padding)}};
        expect_is(
            run1("grid_sample", {x, grid}, all), {1, 2, 3, 5}, [&](const Shape& i) { return number_at(x, i); }, 1e-5);
      }
    }
  }
  // Half way between two pixels, and far outside.
  auto row = tensor<float>({1, 1, 1, 4}, {1, 2, 4, 8});
  auto at = tensor<float>({1, 1, 2, 2}, {0, 0, 9, 0});
  auto sample = [&](const char* padding) {
    return values<float>(
        run1("grid_sample", {row, at}, {{"mode", std::string("linear")}, {"padding_mode", std::string(padding)}}));
  };
  EXPECT_EQ(sample("zeros"), (std::vector<float>{3, 0}));
  EXPECT_EQ(sample("border"), (std::vector<float>{3, 8}));
}

// Every mode, padding and alignment against a plain loop, with coordinates inside, at the borders and outside.
TEST(Sample, EveryModeAsAPlainLoop) {
  const int64_t h = 3, w = 4;
  auto x = floats({1, 1, h, w}, 10);
  std::vector<float> places;
  for (double v : {-3.1, -1.6, -1.2, -1.0, -0.9, -0.3, 0.0, 0.4, 0.95, 1.0, 1.1, 1.7, 2.9})
    for (double u : {-2.2, -1.0, -0.85, 0.1, 0.9, 1.0, 1.3})
      places.push_back(static_cast<float>(u)), places.push_back(static_cast<float>(v));
  const int64_t count = static_cast<int64_t>(places.size()) / 2;
  auto grid = tensor<float>({1, 1, count, 2}, places);
  for (bool align : {false, true})
    for (const std::string padding : {"zeros", "border", "reflection"})
      for (const std::string mode : {"nearest", "linear", "cubic"}) {
        SCOPED_TRACE(fmt::format("{} {} align {}", mode, padding, align));
        auto reflect = [&](double v, int64_t n) {
          const double lo = align ? 0 : -0.5, hi = static_cast<double>(n) - (align ? 1 : 0.5);
          while (v < lo || v > hi) v = v < lo ? 2 * lo - v : 2 * hi - v;
          return v;
        };
        auto pixel_place = [&](double v, int64_t n) {
          const double size = static_cast<double>(n), lo = align ? 0 : -0.5, hi = size - (align ? 1 : 0.5);
          double p = align ? (v + 1) / 2 * (size - 1) : ((v + 1) * size - 1) / 2;
          if (mode == "nearest") p = std::nearbyint(p);
          if (p >= lo && p <= hi) return p;
          if (padding == "border") return std::clamp(p, 0.0, size - 1);
          return padding == "reflection" ? reflect(p, n) : p;
        };
        auto tap = [&](int64_t r, int64_t c) -> double {
          if (padding == "zeros") return r < 0 || c < 0 || r >= h || c >= w ? 0 : number_at(x, {0, 0, r, c});
          if (padding == "border")
            return number_at(x, {0, 0, std::clamp<int64_t>(r, 0, h - 1), std::clamp<int64_t>(c, 0, w - 1)});
          return number_at(x, {0, 0, static_cast<int64_t>(reflect(static_cast<double>(r), h)),
                               static_cast<int64_t>(reflect(static_cast<double>(c), w))});
        };
        auto weight = [&](double t) {
          t = std::abs(t);
          if (mode == "nearest") return t == 0 ? 1.0 : 0.0;
          if (mode == "linear") return std::max(0.0, 1 - t);
          const double a = -0.75;
          return t <= 1  ? (a + 2) * t * t * t - (a + 3) * t * t + 1
                 : t < 2 ? a * t * t * t - 5 * a * t * t + 8 * a * t - 4 * a
                         : 0.0;
        };
        Attrs attrs{{"align_corners", int64_t{align}}, {"mode", mode}, {"padding_mode", padding}};
        expect_is(
            run1("grid_sample", {x, grid}, attrs, false), {1, 1, 1, count},
            [&](const Shape& i) {
              double px = pixel_place(number_at(grid, {0, 0, i[3], 0}), w),
                     py = pixel_place(number_at(grid, {0, 0, i[3], 1}), h), sum = 0;
              for (int64_t r = -8; r <= h + 8; ++r)
                for (int64_t c = -8; c <= w + 8; ++c) {
                  double k = weight(py - static_cast<double>(r)) * weight(px - static_cast<double>(c));
                  if (k != 0) sum += k * tap(r, c);
                }
              return sum;
            },
            2e-5);
      }
  EXPECT_NE(error_of("grid_sample", {floats({1, 1, 0, 4}), grid}, {{"padding_mode", std::string("border")}})
                .find("dimension 2 is empty"),
            std::string::npos);
}

TEST(Loss, CrossEntropy) {
  auto scores = floats({3, 4, 2}, 3), weight = tensor<float>({4}, {1, 2, 3, 4});
  auto target = tensor<int64_t>({3, 2}, {0, 3, -1, 2, 1, 1});
  auto logp = [&](int64_t n, int64_t c, int64_t d) {
    double s = 0;
    for (int64_t k = 0; k < 4; ++k) s += std::exp(number_at(scores, {n, k, d}));
    return number_at(scores, {n, c, d}) - std::log(s);
  };
  auto loss = [&](int64_t n, int64_t d, bool weighted) {
    auto t = static_cast<int64_t>(number_at(target, {n, d}));
    return t == -1 ? 0 : -logp(n, t, d) * (weighted ? number_at(weight, {t}) : 1);
  };
  double sum = 0, total = 0;
  for (int64_t n = 0; n < 3; ++n) {
    for (int64_t d = 0; d < 2; ++d) {
      auto t = static_cast<int64_t>(number_at(target, {n, d}));
      sum += loss(n, d, true);
      total += t == -1 ? 0 : number_at(weight, {t});
    }
  }
  auto attrs = [](const char* reduction) {
    return Attrs{{"ignore_index", int64_t{-1}}, {"reduction", std::string(reduction)}};
  };
  auto y = run({"softmax_cross_entropy_loss", {scores, target, weight}, attrs("none"), 2, true});
  expect_is(y[0], {3, 2}, [&](const Shape& i) { return loss(i[0], i[1], true); });
  expect_is(y[1], {3, 4, 2}, [&](const Shape& i) { return logp(i[0], i[1], i[2]); });
  expect_is(run1("softmax_cross_entropy_loss", {scores, target, weight}, attrs("sum")), {},
            [&](const Shape&) { return sum; });
  expect_is(run1("softmax_cross_entropy_loss", {scores, target, weight}, attrs("mean")), {},
            [&](const Shape&) { return sum / total; });
  expect_is(run1("negative_log_likelihood_loss", {y[1], target}, attrs("none")), {3, 2},
            [&](const Shape& i) { return loss(i[0], i[1], false); });
}

TEST(Training, OneStep) {
  auto r = tensor<float>({}, {0.1f}), x = floats({5}), g = floats({5}, 2), v = floats({5}, 0.5);
  auto t = tensor<int64_t>({}, {3});
  auto y = run({"momentum", {r, t, x, g, v}, {{"alpha", 0.9}, {"beta", 0.5}, {"norm_coefficient", 0.01}}, 2, true});
  auto state = [&](const Shape& i) { return 0.9 * number_at(v, i) + 0.5 * (0.01 * number_at(x, i) + number_at(g, i)); };
  expect_is(y[1], {5}, state);
  expect_is(y[0], {5}, [&](const Shape& i) { return number_at(x, i) - 0.1 * state(i); });
  auto h = tensor<float>({5}, {1, 2, 3, 4, 5});
  y = run({"adagrad", {r, t, x, g, h}, {{"decay_factor", 0.1}}, 2, true});
  expect_is(y[0], {5}, [&](const Shape& i) {
    double e = number_at(g, i);
    return number_at(x, i) - 0.1 / 1.3 * e / (std::sqrt(number_at(h, i) + e * e) + 1e-6);
  });
}

}  // namespace
}  // namespace ingot
