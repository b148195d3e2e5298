// Composition of maps: what must and what must not be written into its readers.
#include <gtest/gtest.h>

#include "ir/kernel/parse.h"
#include "passes/kernels/passes.h"

namespace ingot {
namespace {

// The program after the pass, as text.
std::string inlined(const std::string& text) {
  auto p = k::parse_program(text);
  if (!p) return p.error().message;
  inline_maps(*p);
  if (auto ok = k::verify(*p); !ok) return ok.error().message;
  return k::str(*p);
}

// A map with one reader that visits each element once is written into it.
TEST(InlineMaps, IntoItsOneReader) {
  EXPECT_EQ(inlined(R"(kernels a {
  input %x: f32[8]
  %e: f32[8] = map (i0): exp(%x[i0])
  %y: f32[8] = map (i0): %e[i0] + 1.0
  output %y
}
)"),
            R"(kernels a {
  input %x: f32[8]
  %y: f32[8] = map (i0): exp(%x[i0]) + 1.0
  output %y
}
)");
}

// An exponential that each of 4 rows would compute again stays where it is.
TEST(InlineMaps, NotWhereItWouldBeComputedAgain) {
  const std::string text = R"(kernels a {
  input %x: f32[8]
  %e: f32[8] = map (i0): exp(%x[i0])
  %y: f32[4, 8] = map (i0, i1): %e[i1] + 1.0
  output %y
}
)";
  EXPECT_EQ(inlined(text), text);
}

}  // namespace
}  // namespace ingot
