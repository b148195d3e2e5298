// See compare.h.
#include "tools/driver/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace ingot::driver {

namespace {

std::string position(int64_t element, const std::vector<int64_t>& dims) {
  std::vector<int64_t> index(dims.size());
  for (size_t d = dims.size(); d-- > 0;) {
    index[d] = dims[d] > 0 ? element % dims[d] : 0;
    element = dims[d] > 0 ? element / dims[d] : 0;
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

std::string number_text(double v) { return fmt::format("{:.7g}", v); }

Comparison differ(std::string reason) { return {false, std::move(reason), std::numeric_limits<double>::infinity()}; }

// Reads real numbers; a complex tensor is seen as twice as many.
class Numbers {
 public:
  explicit Numbers(const TensorData& t) : t_(t), n_(is_complex(t.dtype) ? 2 * t.elements() : t.elements()) {}
  int64_t size() const { return n_; }
  double operator[](int64_t i) const {
    switch (t_.dtype) {
      case DType::F32:
      case DType::C64: return static_cast<double>(read<float>(i));
      case DType::F64:
      case DType::C128: return read<double>(i);
      default: return t_.number(i);
    }
  }
  int64_t element(int64_t i) const { return is_complex(t_.dtype) ? i / 2 : i; }

 private:
  template <class T>
  T read(int64_t i) const {  // contents that lie in a file may be unaligned
    T v;
    std::memcpy(&v, t_.bytes + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return v;
  }
  const TensorData& t_;
  int64_t n_;
};

Comparison compare_exact(const TensorData& got, const TensorData& expected) {
  int64_t count = 0, first = -1;
  const int64_t n = expected.elements();
  for (int64_t i = 0; i < n; ++i) {
    if (got.integer(i) == expected.integer(i)) continue;
    if (first < 0) first = i;
    ++count;
  }
  if (count == 0) return {};
  return differ(fmt::format("{}: got {}, expected {} ({} of {} elements differ)", position(first, expected.dims),
                            got.integer(first), expected.integer(first), count, n));
}

Comparison compare_argmax(const TensorData& got, const TensorData& expected) {
  const Numbers y(got), g(expected);
  const int64_t last = expected.dims.empty() ? 1 : expected.dims.back();
  for (int64_t row = 0; last > 0 && row * last < g.size(); ++row) {
    int64_t at_y = 0, at_g = 0;
    for (int64_t j = 1; j < last; ++j) {
      if (y[row * last + j] > y[row * last + at_y]) at_y = j;
      if (g[row * last + j] > g[row * last + at_g]) at_g = j;
    }
    if (at_y != at_g) return differ(fmt::format("row {}: the largest is at {}, expected {}", row, at_y, at_g));
  }
  return {};
}

struct Bounds {
  double relative = 0, absolute = 0;
};

Bounds bounds_for(const Numbers& g, const Tolerance& tolerance) {
  double largest = 0, lowest = std::numeric_limits<double>::infinity(), highest = -lowest, sum = 0, squares = 0;
  int64_t finite = 0;
  if (tolerance.profile != Tolerance::Profile::Node) {
    for (int64_t i = 0; i < g.size(); ++i) {
      const double v = g[i];
      if (!std::isfinite(v)) continue;
      largest = std::max(largest, std::fabs(v));
      lowest = std::min(lowest, v), highest = std::max(highest, v);
      sum += v, ++finite;
    }
    for (int64_t i = 0; i < g.size() && finite > 0; ++i)
      if (std::isfinite(g[i]))
        squares += (g[i] - sum / static_cast<double>(finite)) * (g[i] - sum / static_cast<double>(finite));
  }
  const double deviation = finite > 0 ? std::sqrt(squares / static_cast<double>(finite)) : 0;
  switch (tolerance.profile) {
    case Tolerance::Profile::Model:
      if (tolerance.quantized)
        return {tolerance.rtol.value_or(1e-3), tolerance.atol.value_or(0.04) * (finite > 0 ? highest - lowest : 0)};
      return {tolerance.rtol.value_or(1e-3), tolerance.atol.value_or(1e-3) * largest};
    case Tolerance::Profile::Topology:
      return {tolerance.rtol.value_or(1e-2), tolerance.atol.value_or(1e-3) * deviation};
    case Tolerance::Profile::Auto:
    case Tolerance::Profile::Node:
    case Tolerance::Profile::Argmax: break;
  }
  return {tolerance.rtol.value_or(1e-3), tolerance.atol.value_or(1e-7)};
}

// The distance of b from the next number of a type whose numbers are further apart than the tolerance; else 0.
double unit_of(DType t, double b) {
  if (t != DType::BF16 || b == 0 || !std::isfinite(b)) return 0;
  int exponent = 0;
  std::frexp(b, &exponent);
  return std::ldexp(1.0, std::max(exponent, -125) - 8);
}

Comparison compare_numbers(const TensorData& got, const TensorData& expected, const Tolerance& tolerance) {
  const Numbers y(got), g(expected);
  const Bounds bounds = bounds_for(g, tolerance);
  int64_t count = 0, first = -1;
  double worst = 0, worst_difference = 0;
  for (int64_t i = 0; i < g.size(); ++i) {
    const double a = y[i], b = g[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double difference = std::fabs(a - b);
    const double allowed = bounds.absolute + std::max(bounds.relative * std::fabs(b), unit_of(expected.dtype, b));
    const bool fine = std::isfinite(b) && std::isfinite(a) && difference <= allowed;
    const double error =
        std::isfinite(difference) && allowed > 0 ? difference / allowed : std::numeric_limits<double>::infinity();
    worst = std::max(worst, error);
    if (fine) continue;
    if (std::isfinite(difference)) worst_difference = std::max(worst_difference, difference);
    if (first < 0) first = i;
    ++count;
  }
  if (count == 0) return {true, "", worst};
  return {false,
          fmt::format("{}: got {}, expected {} ({} of {} elements differ, by up to {:.3g})",
                      position(g.element(first), expected.dims), number_text(y[first]), number_text(g[first]), count,
                      g.size(), worst_difference),
          worst};
}

Comparison compare_tensors(const TensorData& got, const TensorData& expected, const Tolerance& tolerance) {
  if (got.dtype != expected.dtype || got.dims != expected.dims)
    return differ(fmt::format("got {}, expected {}", got.type().str(), expected.type().str()));
  switch (expected.dtype) {
    case DType::Invalid: return differ("a tensor without a type");
    case DType::String:
      for (size_t i = 0; i < expected.strings.size(); ++i)
        if (got.strings[i] != expected.strings[i])
          return differ(fmt::format("{}: got '{}', expected '{}'", position(static_cast<int64_t>(i), expected.dims),
                                    got.strings[i], expected.strings[i]));
      return {};
    case DType::I8:
    case DType::U8:
      if (tolerance.quantized && tolerance.profile == Tolerance::Profile::Model)
        return compare_numbers(got, expected, tolerance);
      [[fallthrough]];
    case DType::Bool:
    case DType::I2:
    case DType::U2:
    case DType::I4:
    case DType::U4:
    case DType::I16:
    case DType::U16:
    case DType::I32:
    case DType::U32:
    case DType::I64:
    case DType::U64: return compare_exact(got, expected);
    case DType::F16:
    case DType::BF16:
    case DType::F32:
    case DType::F64:
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
    case DType::F4E2M1:
      if (tolerance.profile == Tolerance::Profile::Argmax) return compare_argmax(got, expected);
      return compare_numbers(got, expected, tolerance);
    case DType::C64:
    case DType::C128: return compare_numbers(got, expected, tolerance);
  }
  return {};
}

const char* kind_name(HostValue::Kind kind) {
  switch (kind) {
    case HostValue::Kind::None: return "nothing";
    case HostValue::Kind::Tensor: return "a tensor";
    case HostValue::Kind::Sequence: return "a sequence";
    case HostValue::Kind::Optional: return "an optional";
    case HostValue::Kind::Map: return "a map";
  }
  return "";
}

template <class F>
Comparison walk(const HostValue& got, const HostValue& expected, const F& leaf) {
  if (got.kind != expected.kind)
    return differ(fmt::format("got {}, expected {}", kind_name(got.kind), kind_name(expected.kind)));
  if (got.is_tensor()) return leaf(*got.tensor, *expected.tensor);
  if (got.items.size() != expected.items.size())
    return differ(
        fmt::format("{} of {} items, expected {}", kind_name(got.kind), got.items.size(), expected.items.size()));
  Comparison all;
  for (size_t i = 0; i < got.items.size(); ++i) {
    Comparison c = walk(got.items[i], expected.items[i], leaf);
    if (!c.equal) return differ(fmt::format("item {}: {}", i, c.reason));
    all.worst_error = std::max(all.worst_error, c.worst_error);
  }
  return all;
}

}  // namespace

std::optional<Tolerance::Profile> tolerance_named(const std::string& name) {
  using P = Tolerance::Profile;
  if (name == "auto") return P::Auto;
  if (name == "node") return P::Node;
  if (name == "model") return P::Model;
  if (name == "topology") return P::Topology;
  if (name == "argmax") return P::Argmax;
  return std::nullopt;
}

Tolerance::Profile resolve(Tolerance::Profile profile, const std::string& data_set_name) {
  if (profile != Tolerance::Profile::Auto) return profile;
  return data_set_name.starts_with("test_data_set_ort_") ? Tolerance::Profile::Model : Tolerance::Profile::Node;
}

Comparison compare(const HostValue& got, const HostValue& expected, const Tolerance& tolerance) {
  return walk(got, expected,
              [&](const TensorData& y, const TensorData& g) { return compare_tensors(y, g, tolerance); });
}

Comparison compare_distribution(const HostValue& got, const HostValue& expected) {
  return walk(got, expected, [](const TensorData& y, const TensorData& g) -> Comparison {
    if (y.dtype != g.dtype || y.dims != g.dims)
      return differ(fmt::format("got {}, expected {}", y.type().str(), g.type().str()));
    if (y.dtype == DType::String) return {};
    const Numbers ys(y), gs(g);
    std::vector<double> a, b;
    for (int64_t i = 0; i < ys.size(); ++i) a.push_back(ys[i]), b.push_back(gs[i]);
    for (double v : a)
      if (std::isnan(v)) return differ("a random result is NaN");
    std::sort(a.begin(), a.end()), std::sort(b.begin(), b.end());
    double distance = 0;
    for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
      const double v = std::min(a[i], b[j]);
      while (i < a.size() && a[i] <= v) ++i;
      while (j < b.size() && b[j] <= v) ++j;
      distance = std::max(distance, std::fabs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                              static_cast<double>(j) / static_cast<double>(b.size())));
    }
    const double n = static_cast<double>(std::max<size_t>(a.size(), 1));
    const double critical = std::sqrt(-0.5 * std::log(1e-5 / 2)) * std::sqrt(2 / n);
    if (distance > critical)
      return differ(fmt::format("the distributions differ: Kolmogorov-Smirnov distance {:.3f}, expected at most {:.3f}",
                                distance, critical));
    return {};
  });
}

}  // namespace ingot::driver
