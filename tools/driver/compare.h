// Is a value the expected one? The tolerances of ONNX's backend tests and of whole models.
//
//   node      |y - g| <= 1e-7 + 1e-3 |g| per element: the default of ONNX's own test runner
//   model     |y - g| <= 1e-3 |g| + 1e-3 max|g|; of a quantized model 4 % of the range (max - min) of g instead, since two
//             optimisation levels of one runtime already differ by as much
//   topology  |y - g| <= 1e-2 |g| + 1e-3 std(g)
//   argmax    the position of the largest element along the last axis
//   auto      model for data sets named test_data_set_ort_*, node for all others
// Data in bf16 may differ by one unit in the last place, which is up to 8e-3 |g|.
// Integers, booleans and strings must be equal (a quantized model's integers of 8 bits: as its floats). NaN equals NaN, an
// infinity only itself.
#pragma once

#include <optional>
#include <string>

#include "ir/ops/host_value.h"
#include "support/result.h"

namespace ingot::driver {

struct Tolerance {
  enum class Profile { Auto, Node, Model, Topology, Argmax } profile = Profile::Auto;
  std::optional<double> rtol, atol;  // replace those of node; for the others, rtol and the factor of the absolute part
  bool quantized = false;  // the model computes in 8-bit integers
};

std::optional<Tolerance::Profile> tolerance_named(const std::string& name);
Tolerance::Profile resolve(Tolerance::Profile, const std::string& data_set_name);  // never Auto

struct Comparison {
  bool equal = true;
  std::string reason;  // where not equal: "[0, 3]: got 1.5, expected 1.25 (7 of 60 elements differ)"
  double worst_error = 0;  // largest |y - g| / tolerance, of tensors
};
Comparison compare(const HostValue& got, const HostValue& expected, const Tolerance&);

// For outputs that depend on a random operator: the same type and shape, and a two-sample Kolmogorov-Smirnov test that
// accepts equal distributions with probability 1 - 1e-5.
Comparison compare_distribution(const HostValue& got, const HostValue& expected);

}  // namespace ingot::driver
