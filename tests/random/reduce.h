// Makes a failing model smaller while it fails in the same way.
#pragma once

#include <functional>
#include <string>

#include "tests/random/random_graph.h"

namespace ingot::test {

// `fails` gives "" or "KIND: what". The result fails with the same kind as `c`; expectations are the reference's.
RandomCase reduce(RandomCase c, const std::function<std::string(const RandomCase&)>& fails);

// The model as text, and its inputs and expected outputs.
std::string describe(const RandomCase&, bool with_data);

}  // namespace ingot::test
