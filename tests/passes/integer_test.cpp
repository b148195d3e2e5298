// Quantised products: what sum-integers and simplify-rounding rewrite, and what they must not; and the numbers of every
// target over shapes that bytes taken by fours do not divide, zero points on both sides, and operands at their extremes.
#include <gtest/gtest.h>

#include <random>

#include "ir/kernel/parse.h"
#include "ir/ops/interpreter.h"
#include "passes/kernels/passes.h"
#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

std::string rewritten(Result<void> (*pass)(k::Program&), const std::string& text) {
  auto p = k::parse_program(text);
  EXPECT_TRUE(p) << (p ? "" : p.error().message) << "\n" << text;
  if (!p) return "";
  EXPECT_EQ(k::str(*p), text) << "the input is not in the printed form";
  auto done = pass(*p);
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  auto ok = k::verify(*p);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
  return k::str(*p);
}

// ---- sum-integers ----

// The zero point of the input becomes a constant per column; the scales become one.
TEST(SumIntegers, ADequantisedProductIsASumOfBytes) {
  EXPECT_EQ(rewritten(sum_integers, R"(kernels g {
  input %q: u8[2, 3]
  constant %w: i8[2, 3] dense<[1, 2, 3, -4, 5, -6]>
  %a: f32[2, 3] = map (i0, i1): f32(i32(%q[i0, i1]) - 7) * 0.5
  %b: f32[2, 3] = map (i0, i1): f32(i32(%w[i0, i1])) * 0.25
  %y: f32[2, 2] = reduce sum (i0, i1) over (r0 < 3): %a[i0, r0] * %b[i1, r0]
  output %y
}
)"),
            R"(kernels g {
  input %q: u8[2, 3]
  constant %w: i8[2, 3] dense<[1, 2, 3, -4, 5, -6]>
  constant %zero_point: i32[2] dense<[-42, 35]>
  %y.sum: i32[2, 2] = reduce sum (i0, i1) over (r0 < 3): i32(%q[i0, r0]) * i32(%w[i1, r0])
  %y: f32[2, 2] = map (i0, i1): f32(%y.sum[i0, i1] + %zero_point[i1]) * 0.125
  output %y
}
)");
}

// Outside is 0.0: the zero point.
TEST(SumIntegers, PaddingIsTheZeroPoint) {
  std::string text = rewritten(sum_integers, R"(kernels g {
  input %q: u8[8]
  constant %w: i8[3] dense<[1, 2, 3]>
  %a: f32[8] = map (i0): f32(i32(%q[i0]) - 7) * 0.5
  %b: f32[3] = map (i0): f32(i32(%w[i0])) * 0.25
  %y: f32[8] = reduce sum (i0) over (r0 < 3): %a[i0 + r0 - 1 | 0.0] * %b[r0]
  output %y
}
)");
  EXPECT_NE(text.find("i32(%q[i0 + r0 - 1 | 7]) * i32(%w[r0])"), std::string::npos) << text;
}

// u8 weights around 128 fit into i8; those that do not keep a zero point, which takes the sums of the rows.
TEST(SumIntegers, UnsignedWeights) {
  auto with = [](const std::string& zero) {
    return rewritten(sum_integers, R"(kernels g {
  input %q: u8[2, 3]
  constant %w: u8[3] dense<[0, 128, 255]>
  %y: i32[2] = reduce sum (i0) over (r0 < 3): i32(%q[i0, r0]) * (i32(%w[r0]) - )" +
                                       zero + R"()
  output %y
}
)");
  };
  std::string fits = with("128"), shifted = with("3");
  EXPECT_NE(fits.find("constant %w.i8: i8[3] dense<[-128, 0, 127]>"), std::string::npos) << fits;
  EXPECT_EQ(fits.find("row_sum"), std::string::npos) << fits;
  EXPECT_NE(shifted.find("constant %w.i8: i8[3] dense<[-128, 0, 127]>"), std::string::npos) << shifted;
  EXPECT_NE(shifted.find("%y.row_sum: i32[2] = reduce sum"), std::string::npos) << shifted;
}

// Signed activations are stored 128 higher, for all their readers.
TEST(SumIntegers, SignedActivations) {
  std::string text = rewritten(sum_integers, R"(kernels g {
  input %x: f32[2, 3]
  constant %w: i8[3] dense<[1, 2, 3]>
  %q: i8[2, 3] = map (i0, i1): i8(%x[i0, i1])
  %y: i32[2] = reduce sum (i0) over (r0 < 3): i32(%q[i0, r0]) * i32(%w[r0])
  %z: i32[2, 3] = map (i0, i1): i32(%q[i0, i1])
  output %y, %z
}
)");
  EXPECT_NE(text.find("%q.u8: u8[2, 3] = map (i, i_1): u8(i32(%q[i, i_1]) + 128)"), std::string::npos) << text;
  EXPECT_NE(text.find("i32(%q.u8[i0, r0]) * i32(%w[r0])"), std::string::npos) << text;
  EXPECT_NE(text.find("i32(i8(i32(%q.u8[i0, i1]) - 128))"), std::string::npos) << text;
}

TEST(SumIntegers, OthersStay) {
  for (const char* text : {// A scale per reduced element cannot leave the sum.
                           R"(kernels g {
  input %q: u8[2, 3]
  constant %w: i8[3] dense<[1, 2, 3]>
  constant %s: f32[3] dense<[0.5, 1.0, 2.0]>
  %a: f32[2, 3] = map (i0, i1): f32(i32(%q[i0, i1])) * %s[i1]
  %b: f32[3] = map (i0): f32(i32(%w[i0])) * 0.25
  %y: f32[2] = reduce sum (i0) over (r0 < 3): %a[i0, r0] * %b[r0]
  output %y
}
)",
                           // The sum could leave i32, which f32 does not.
                           R"(kernels g {
  input %q: u8[40000]
  input %x: f32[40000]
  constant %w: i8[1] dense<[1]>
  %a: f32[40000] = map (i0): f32(i32(%q[i0])) * 0.5
  %b: f32[1] = map (i0): f32(i32(%w[i0])) * 0.25
  %y: f32[] = reduce sum () over (r0 < 40000): %a[r0] * %b[0]
  output %y
}
)",
                           // Both operands are known only when run.
                           R"(kernels g {
  input %q: u8[2, 3]
  input %w: i8[3]
  %y: i32[2] = reduce sum (i0) over (r0 < 3): i32(%q[i0, r0]) * i32(%w[r0])
  output %y
}
)",
                           // Outside is not the zero point.
                           R"(kernels g {
  input %q: u8[8]
  constant %w: i8[3] dense<[1, 2, 3]>
  %a: f32[8] = map (i0): f32(i32(%q[i0]) - 7) * 0.5
  %b: f32[3] = map (i0): f32(i32(%w[i0])) * 0.25
  %y: f32[8] = reduce sum (i0) over (r0 < 3): %a[i0 + r0 - 1 | 1.0] * %b[r0]
  output %y
}
)"})
    EXPECT_EQ(rewritten(sum_integers, text), text);
}

// ---- simplify-rounding ----

TEST(SimplifyRounding, OneClampAndNoDivisionAfterASum) {
  EXPECT_EQ(rewritten(simplify_rounding, R"(kernels g {
  input %s: i32[4]
  constant %b: f32[4] dense<[1.0, 2.0, 4.0, 8.0]>
  %y: u8[4] = map (i0): u8(min(max(i32(min(max(round_even(max((f32(%s[i0]) * 0.5) + %b[i0], 0.0) / 4.0), -1000000000.0), 1000000000.0)) + 3, 0), 255))
  output %y
}
)"),
            R"(kernels g {
  input %s: i32[4]
  constant %b: f32[4] dense<[0.25, 0.5, 1.0, 2.0]>
  %y: u8[4] = map (i0): u8(i32(round_even(min(max((f32(%s[i0]) * 0.125) + %b[i0], 0.0), 252.0))) + 3)
  output %y
}
)");
}

// What no sum of integers made keeps its division; casts that can change a value stay.
TEST(SimplifyRounding, OthersStay) {
  for (const char* text : {R"(kernels g {
  input %x: f32[4]
  %y: f32[4] = map (i0): max(%x[i0], 0.0) / 3.0
  output %y
}
)",
                           R"(kernels g {
  input %x: i32[4]
  %y: i32[4] = map (i0): i32(u8(%x[i0] + 1))
  output %y
}
)"})
    EXPECT_EQ(rewritten(simplify_rounding, text), text);
}

// What an index reads stays a read, since only an index that is data is compared with its extent. The fill of a padded read is
// no index.
TEST(SimplifyRounding, IndicesStayData) {
  EXPECT_EQ(rewritten(simplify_rounding, R"(kernels g {
  input %x: f32[4]
  constant %k: i64[1] dense<[9]>
  constant %c: f32[] dense<[0.5]>
  %y: f32[3] = map (i0): %x[%k[0]] * %c[]
  %z: f32[3] = map (i0): %x[%k[0] - 1 | %c[]]
  %w: f32[3] = map (i0): %x[min(max(%k[0], 0), i0)] + %x[i0 + 2 | %c[]]
  output %y, %z, %w
}
)"),
            R"(kernels g {
  input %x: f32[4]
  constant %k: i64[1] dense<[9]>
  %y: f32[3] = map (i0): %x[%k[0]] * 0.5
  %z: f32[3] = map (i0): %x[%k[0] - 1 | 0.5]
  %w: f32[3] = map (i0): %x[min(max(%k[0], 0), i0)] + %x[i0 + 2 | 0.5]
  output %y, %z, %w
}
)");
}

// The same from graphs: whatever reads the element, also after a padding and a clamped slice, the run fails as the reference does.
TEST(SimplifyRounding, ConstantIndicesOutOfRange) {
  for (const int64_t index : {9, -9}) {
    const std::string k = fmt::format("  %k = constant i64[1, 1] dense<[{}]>\n", index);
    for (const char* body : {"  %y = gather_nd %x, %k\n", "  %y = gather_elements %x, %k {axis = 1}\n",
                             "  %p = pad %x, %pads\n  %y = gather_nd %p, %k\n",
                             "  %p = pad %x, %pads {mode = \"edge\"}\n  %y = gather_nd %p, %k\n"}) {
      const std::string text =
          "graph g(%x: f32[4, 3]) -> (%y) {\n" + k + "  %pads = constant i64[4] dense<[1, 0, 1, 0]>\n" + body + "}\n";
      SCOPED_TRACE(text);
      const std::vector<HostValue> inputs{HostValue::of(numbers({4, 3}, 1))};
      auto graph = parse_graph(text);
      ASSERT_TRUE(graph) << graph.error().message;
      auto expected = Interpreter().run(*graph, inputs);
      ASSERT_FALSE(expected);
      EXPECT_NE(expected.error().message.find(fmt::format("index {} out of range", index)), std::string::npos)
          << expected.error().message;
      for (const std::string& target : runnable_targets()) {
        auto got = compile_and_run(*parse_graph(text), target, inputs);
        ASSERT_FALSE(got) << target;
        EXPECT_NE(got.error().message.find(fmt::format("got index {}", index)), std::string::npos)
            << target << ": " << got.error().message;
      }
    }
  }
}

// ---- numbers ----

std::mt19937 generator(uint32_t seed) { return std::mt19937(seed); }

TensorRef bytes_of(DType t, std::vector<int64_t> dims, std::mt19937& random, bool extreme) {
  auto data = TensorData::make(t, std::move(dims));
  for (int64_t k = 0; k < data->elements(); ++k)
    data->mutable_bytes()[k] = extreme ? (t == DType::U8 ? 255 : 128) : static_cast<uint8_t>(random() >> 11);
  return data;
}

std::string constant(const std::string& name, const TensorData& t) {
  std::string s = fmt::format("  %{} = constant {} hex<\"", name, t.type().str());
  for (int64_t k = 0; k < t.size_bytes; ++k) s += fmt::format("{:02x}", t.bytes[k]);
  return s + "\">\n";
}

// The reference is the graph, node by node: no pass has seen it. Integers are equal, floats nearly.
void check(const std::string& text, const std::vector<HostValue>& inputs) {
  auto reference = parse_graph(text);
  ASSERT_TRUE(reference) << reference.error().message << "\n" << text;
  auto expected = Interpreter().run(*reference, inputs);
  ASSERT_TRUE(expected) << expected.error().message << "\n" << text;
  std::vector<std::string> targets = runnable_targets();
  if (runs_here(*find_target("x86-64-v4"))) targets.emplace_back("x86-64-v4");
  for (const std::string& target : targets) {
    auto got = compile_and_run(*parse_graph(text), target, inputs);
    ASSERT_TRUE(got) << target << ": " << got.error().message << "\n" << text;
    EXPECT_EQ(difference(*(*got)[0].tensor, *(*expected)[0].tensor, 1e-6), "") << target << "\n" << text.substr(0, 400);
  }
}

struct Signs {
  DType a, b;
  int64_t a_zero, b_zero;
};
const Signs kSigns[] = {{DType::U8, DType::I8, 0, 0},     {DType::U8, DType::I8, 113, 0},
                        {DType::I8, DType::I8, -5, 0},    {DType::U8, DType::U8, 7, 128},
                        {DType::U8, DType::U8, 200, 3},   {DType::I8, DType::U8, -128, 255},
                        {DType::I8, DType::I8, 127, -100}};

TEST(QuantizedProducts, Matrices) {
  uint32_t seed = 1;
  const int64_t shapes[][3] = {{1, 1, 3}, {1, 37, 70}, {5, 3, 16}, {17, 4, 33}, {30, 65, 20}, {3, 130, 5}};
  for (size_t i = 0; i < std::size(kSigns); ++i) {
    const Signs& s = kSigns[i];
    for (size_t j = i % 2; j < std::size(shapes); j += 2) {
      const auto& [m, k, n] = shapes[j];
      for (bool extreme : {false, true}) {
        if (extreme && k != 65) continue;
        std::mt19937 random = generator(seed++);
        TensorRef a = bytes_of(s.a, {m, k}, random, extreme), b = bytes_of(s.b, {k, n}, random, extreme);
        std::string at = std::string(name(s.a)), bt = std::string(name(s.b));
        std::string constants =
            constant("b", *b) + fmt::format("  %az = constant {}[] dense<[{}]>\n  %bz = constant {}[] dense<[{}]>\n",
                                            at, s.a_zero, bt, s.b_zero);
        std::string head = fmt::format("graph g(%a: {}[{}, {}]) -> (%y) {{\n", at, m, k);
        check(head + constants + "  %y = mat_mul_integer %a, %b, %az, %bz\n}\n", {HostValue::of(a)});
        std::string scales = "  %as = constant f32[] dense<[0.0123]>\n  %bs = constant f32[] dense<[0.25]>\n";
        check(
            head + constants + scales +
                "  %x = dequantize_linear %a, %as, %az\n  %w = dequantize_linear %b, %bs, %bz\n  %y = mat_mul %x, %w\n}\n",
            {HostValue::of(a)});
      }
    }
  }
}

struct ConvCase {
  int64_t channels, size, outputs, kernel, stride, pad, group;
};

void check_convolution(const ConvCase& c, const Signs& s, uint32_t seed) {
  std::mt19937 random = generator(seed);
  bool extreme = seed % 5 == 4;
  TensorRef a = bytes_of(s.a, {2, c.channels, c.size, c.size}, random, extreme);
  TensorRef b = bytes_of(s.b, {c.outputs, c.channels / c.group, c.kernel, c.kernel}, random, extreme);
  std::string at = std::string(name(s.a));
  auto scales = TensorData::make(DType::F32, {c.outputs}), biases = TensorData::make(DType::I32, {c.outputs}),
       zeros = TensorData::make(s.b, {c.outputs});
  for (int64_t k = 0; k < c.outputs; ++k) {
    scales->mutable_as<float>()[k] = 0.001F * static_cast<float>(1 + k % 7);
    biases->mutable_as<int32_t>()[k] = static_cast<int32_t>(random() % 2000) - 1000;
    zeros->mutable_bytes()[k] = static_cast<uint8_t>(s.b_zero);
  }
  std::string constants =
      constant("b", *b) + constant("bz", *zeros) + constant("bs", *scales) +
      fmt::format("  %az = constant {}[] dense<[{}]>\n  %as = constant f32[] dense<[0.02]>\n", at, s.a_zero);
  std::string attributes = fmt::format(" {{group = {}, pads = [{}, {}, {}, {}], strides = [{}, {}]}}\n}}\n", c.group,
                                       c.pad, c.pad, c.pad, c.pad, c.stride, c.stride);
  std::string head = fmt::format("graph g(%a: {}[2, {}, {}, {}]) -> (%y) {{\n", at, c.channels, c.size, c.size);
  std::string out = constant("bias", *biases) +
                    fmt::format("  %ys = constant f32[] dense<[0.0375]>\n  %yz = constant {}[] dense<[3]>\n", at);
  check(head + constants + out + "  %y = qlinear_conv %a, %as, %az, %b, %bs, %bz, %ys, %yz, %bias" + attributes,
        {HostValue::of(a)});
  check(
      head + constants +
          "  %x = dequantize_linear %a, %as, %az\n  %w = dequantize_linear %b, %bs, %bz {axis = 0}\n  %y = conv %x, %w" +
          attributes,
      {HostValue::of(a)});
}

TEST(QuantizedProducts, Convolutions) {
  uint32_t seed = 100;
  const ConvCase cases[] = {{3, 11, 8, 3, 2, 1, 1},  {5, 6, 19, 1, 1, 0, 1}, {6, 7, 40, 3, 1, 1, 1},
                            {16, 5, 33, 3, 1, 1, 1}, {8, 9, 8, 3, 1, 1, 8},  {12, 6, 20, 3, 1, 1, 2},
                            {1, 12, 6, 5, 1, 2, 1}};
  for (size_t i = 0; i < std::size(kSigns); ++i) {
    const Signs& s = kSigns[i];
    for (size_t j = i % 2; j < std::size(cases); j += 2) {
      check_convolution(cases[j], s, seed++);
    }
  }
}

// Channels that blocks do not divide, columns that the tile does not, windows of one group of four and of two.
TEST(QuantizedProducts, DepthwiseConvolutions) {
  uint32_t seed = 200;
  const ConvCase cases[] = {{24, 7, 24, 3, 1, 1, 24}, {70, 9, 70, 5, 2, 2, 70}, {58, 8, 58, 3, 2, 1, 58},
                            {33, 3, 33, 2, 1, 0, 33}, {16, 6, 16, 5, 1, 2, 16}, {66, 5, 66, 4, 1, 1, 66}};
  for (size_t k = 0; k < std::size(cases); ++k) check_convolution(cases[k], kSigns[k % std::size(kSigns)], seed++);
}

// Planes of an image become neighbours while they are quantised: vectors along the row, a rest, and a row below a vector.
TEST(QuantizedProducts, PlanesAreInterleaved) {
  std::mt19937 random = generator(300);
  for (int64_t width : {5, 16, 37}) {
    for (int64_t planes : {2, 3, 4}) {
      auto x = TensorData::make(DType::F32, {2, planes, 6, width});
      for (int64_t k = 0; k < x->elements(); ++k)
        x->mutable_as<float>()[k] = static_cast<float>(static_cast<int32_t>(random() % 9000) - 4500) / 700.0F;
      TensorRef w = bytes_of(DType::I8, {9, planes, 3, 3}, random, false);
      check(fmt::format("graph g(%x: f32[2, {}, 6, {}]) -> (%y) {{\n", planes, width) + constant("w", *w) +
                "  %s = constant f32[] dense<[0.05]>\n  %z = constant u8[] dense<[114]>\n"
                "  %wz = constant i8[] dense<[0]>\n  %q = quantize_linear %x, %s, %z\n"
                "  %d = dequantize_linear %q, %s, %z\n  %v = dequantize_linear %w, %s, %wz\n"
                "  %y = conv %d, %v {pads = [1, 1, 1, 1], strides = [2, 2]}\n}\n",
            {HostValue::of(x)});
    }
  }
}

// A shuffle of channels: of one list of them, and of two that were joined.
TEST(QuantizedProducts, ShufflesAreInterleaved) {
  std::mt19937 random = generator(400);
  auto numbers = [&](int64_t width) {
    auto t = TensorData::make(DType::F32, {4, width});
    for (int64_t k = 0; k < t->elements(); ++k) t->mutable_as<float>()[k] = static_cast<float>(random() % 250);
    return TensorRef(t);
  };
  for (int64_t part : {3, 16, 37}) {
    for (int64_t groups : {2, 3}) {
      const std::string quantised = fmt::format(
          "  %s = constant f32[] dense<[1.5]>\n  %z = constant u8[] dense<[3]>\n"
          "  %q = quantize_linear %c, %s, %z\n  %shape = constant i64[3] dense<[-1, {}, {}]>\n"
          "  %r = reshape %q, %shape\n  %t = transpose %r {{perm = [0, 2, 1]}}\n"
          "  %flat = constant i64[2] dense<[4, -1]>\n  %y = reshape %t, %flat\n}}\n",
          groups, part);
      check(fmt::format("graph g(%c: f32[4, {}]) -> (%y) {{\n", groups * part) + quantised,
            {HostValue::of(numbers(groups * part))});
      if (groups != 2) continue;
      check(fmt::format("graph g(%a: f32[4, {0}], %b: f32[4, {0}]) -> (%y) {{\n  %c = concat %a, %b {{axis = 1}}\n",
                        part) +
                quantised,
            {HostValue::of(numbers(part)), HostValue::of(numbers(part))});
    }
  }
}

}  // namespace
}  // namespace ingot::test
