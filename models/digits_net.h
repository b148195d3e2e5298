// A small convolutional network that can be trained: two times (conv 3x3, relu, max-pool 2), then one dense layer.
//
//   [1, 28, 28] -> conv 8 -> [8, 14, 14] -> conv 16 -> [16, 7, 7] -> dense -> [10]
//
// Plain loops, one image at a time, stochastic gradient descent with momentum on the cross entropy. Sums are in program
// order (compile without -ffast-math and with -ffp-contract=off), so that training gives the same bits everywhere.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "models/digits_draw.h"

namespace digits {

using Floats = std::vector<float>;

struct Parameter {
  Floats value, gradient, velocity;
  void init(size_t n, float range, Random& random) {
    value.resize(n), gradient.assign(n, 0), velocity.assign(n, 0);
    for (float& v : value) v = range > 0 ? random.uniform(-range, range) : 0;
  }
  void step(float rate, float momentum) {
    for (size_t i = 0; i < value.size(); ++i) {
      velocity[i] = momentum * velocity[i] - rate * gradient[i];
      value[i] += velocity[i];
      gradient[i] = 0;
    }
  }
};

// Conv 3x3 with padding 1, relu, max-pool 2x2. x: [C, S, S] -> y: [K, S/2, S/2].
class ConvBlock {
 public:
  Parameter weight, bias;  // [K, C, 3, 3], [K]

  ConvBlock(int c, int k, int s, Random& random) : c_(c), k_(k), s_(s), p_(s + 2) {
    weight.init(static_cast<size_t>(k * c * 9), std::sqrt(6.0f / static_cast<float>(c * 9)), random);
    bias.init(static_cast<size_t>(k), 0, random);
    padded_.assign(static_cast<size_t>(c * p_ * p_), 0);
    sums_.resize(static_cast<size_t>(k * s * s));
    out_.resize(static_cast<size_t>(k * s * s / 4));
    best_.resize(out_.size());
  }

  const Floats& forward(const Floats& x) {
    for (int c = 0; c < c_; ++c)
      for (int y = 0; y < s_; ++y)
        std::copy_n(&x[at(c * s_ * s_ + y * s_)], s_, &padded_[at((c * p_ + y + 1) * p_ + 1)]);
    for (int k = 0; k < k_; ++k) {
      float* sum = &sums_[at(k * s_ * s_)];
      std::fill_n(sum, s_ * s_, bias.value[at(k)]);
      each_tap(k, [&](size_t w, int y, const float* in) {
        const float v = weight.value[w];
        for (int i = 0; i < s_; ++i) sum[y * s_ + i] += v * in[i];
      });
    }
    const int half = s_ / 2;
    for (int k = 0; k < k_; ++k) {
      for (int y = 0; y < half; ++y) {
        for (int i = 0; i < half; ++i) {
          const size_t first = at((k * s_ + 2 * y) * s_ + 2 * i);
          size_t best = first;
          for (size_t j : {first + 1, first + at(s_), first + at(s_) + 1})
            if (sums_[j] > sums_[best]) best = j;
          const size_t o = at((k * half + y) * half + i);
          best_[o] = best;
          out_[o] = std::max(sums_[best], 0.0f);
        }
      }
    }
    return out_;
  }

  // dy: as the output -> dx: as the input (empty where not wanted); adds to the parameters' gradients.
  Floats backward(const Floats& dy, bool want_dx) {
    Floats ds(sums_.size(), 0);
    for (size_t o = 0; o < dy.size(); ++o)
      if (out_[o] > 0) ds[best_[o]] = dy[o];
    Floats dpadded(want_dx ? padded_.size() : 0, 0);
    for (int k = 0; k < k_; ++k) {
      const float* d = &ds[at(k * s_ * s_)];
      for (int i = 0; i < s_ * s_; ++i) bias.gradient[at(k)] += d[i];
      each_tap(k, [&](size_t w, int y, const float* in) {
        float lanes[4] = {};  // four partial sums, in a fixed order
        for (int i = 0; i + 4 <= s_; i += 4)
          for (int l = 0; l < 4; ++l) lanes[l] += d[y * s_ + i + l] * in[i + l];
        for (int i = s_ & ~3; i < s_; ++i) lanes[0] += d[y * s_ + i] * in[i];
        weight.gradient[w] += (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
        if (!want_dx) return;
        float* back = &dpadded[static_cast<size_t>(in - padded_.data())];
        const float v = weight.value[w];
        for (int i = 0; i < s_; ++i) back[i] += v * d[y * s_ + i];
      });
    }
    Floats dx(want_dx ? at(c_ * s_ * s_) : 0);
    for (int c = 0; want_dx && c < c_; ++c)
      for (int y = 0; y < s_; ++y) std::copy_n(&dpadded[at((c * p_ + y + 1) * p_ + 1)], s_, &dx[at((c * s_ + y) * s_)]);
    return dx;
  }

 private:
  static size_t at(int i) { return static_cast<size_t>(i); }
  // f(weight's index, output row, the input row under it) for each tap of filter k and each row.
  template <class F>
  void each_tap(int k, const F& f) {
    for (int c = 0; c < c_; ++c)
      for (int r = 0; r < 3; ++r)
        for (int q = 0; q < 3; ++q)
          for (int y = 0; y < s_; ++y)
            f(at(((k * c_ + c) * 3 + r) * 3 + q), y, &padded_[at((c * p_ + y + r) * p_ + q)]);
  }

  int c_, k_, s_, p_;
  Floats padded_, sums_, out_;
  std::vector<size_t> best_;
};

class Net {
 public:
  static constexpr int kClasses = 10, kFeatures = 16 * 7 * 7;
  ConvBlock first, second;
  Parameter weight, bias;  // [10, 784], [10]

  explicit Net(Random& random) : first(1, 8, kSize, random), second(8, 16, kSize / 2, random) {
    weight.init(kClasses * kFeatures, std::sqrt(6.0f / kFeatures), random);
    bias.init(kClasses, 0, random);
  }

  Floats probabilities(const Image& image) {
    features_ = second.forward(first.forward(image));
    Floats p(kClasses);
    for (size_t k = 0; k < kClasses; ++k) {
      float sum = bias.value[k];
      for (size_t i = 0; i < kFeatures; ++i) sum += weight.value[k * kFeatures + i] * features_[i];
      p[k] = sum;
    }
    const float top = *std::max_element(p.begin(), p.end());
    float total = 0;
    for (float& v : p) total += v = exp_negative(v - top);
    for (float& v : p) v /= total;
    return p;
  }

  // Adds the gradient of the cross entropy of one image.
  void learn(const Image& image, int label) {
    Floats d = probabilities(image);
    d[static_cast<size_t>(label)] -= 1;
    Floats dfeatures(kFeatures, 0);
    for (size_t k = 0; k < kClasses; ++k) {
      bias.gradient[k] += d[k];
      for (size_t i = 0; i < kFeatures; ++i) {
        weight.gradient[k * kFeatures + i] += d[k] * features_[i];
        dfeatures[i] += d[k] * weight.value[k * kFeatures + i];
      }
    }
    first.backward(second.backward(dfeatures, true), false);
  }

  void step(float rate, float momentum) {
    for (Parameter* p : {&first.weight, &first.bias, &second.weight, &second.bias, &weight, &bias})
      p->step(rate, momentum);
  }

 private:
  // exp for x <= 0 to 1e-6, from + and * only: (1 + x/4096 + ...)^4096 with three terms.
  static float exp_negative(float x) {
    if (x < -80) return 0;
    double y = static_cast<double>(x) / 4096;
    y = 1 + y * (1 + y * (0.5 + y / 6));
    for (int i = 0; i < 12; ++i) y *= y;
    return static_cast<float>(y);
  }
  Floats features_;
};

}  // namespace digits
