// Values that are not numeric tensors, from K text to running code: sequences and optionals through calls, branches and
// loops; strings as constants, moved and compared; complex numbers, which are only moved.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "compiler/pipeline.h"
#include "ir/kernel/parse.h"
#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

l::Program lower(const std::string& text) {
  auto p = k::parse_program(text);
  EXPECT_TRUE(p) << p.error().message;
  if (!p) return {};
  TargetFacts facts;
  auto loops = lower_for_target(*p, facts);
  EXPECT_TRUE(loops) << loops.error().message;
  return loops ? std::move(*loops) : l::Program{};
}

// A sequence of f32[2] tensors, the k-th of which holds {k, -k}.
struct Sequence {
  explicit Sequence(int n, float first = 0) : data(static_cast<size_t>(n)), items(static_cast<size_t>(n)) {
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = {first + static_cast<float>(i), -first - static_cast<float>(i)};
      items[i] = {data[i].data(), shape, 1, INGOT_F32};
    }
    object = {n, items.data()};
  }
  Sequence(const Sequence&) = delete;
  int64_t shape[1] = {2};
  std::vector<std::array<float, 2>> data;
  std::vector<ingot_tensor_view> items;
  ingot_object object;
};

std::vector<float> firsts(const ingot_object* o) {
  std::vector<float> v;
  for (int64_t i = 0; o && i < o->count; ++i) v.push_back(static_cast<const float*>(o->items[i].data)[0]);
  return v;
}

struct Strings {
  explicit Strings(std::vector<std::string> t) : texts(std::move(t)) {
    for (const std::string& s : texts) entries.push_back({s.data(), static_cast<int64_t>(s.size())});
  }
  std::vector<std::string> texts;
  std::vector<ingot_string> entries;
};

std::vector<std::string> texts(const Loaded::Output& o, size_t n) {
  std::vector<std::string> v;
  for (size_t i = 0; i < n; ++i)
    v.emplace_back(o.as<ingot_string>()[i].data, static_cast<size_t>(o.as<ingot_string>()[i].size));
  return v;
}

// The branch gives either a new sequence or the input itself; the loop carries one sequence and inserts into it.
TEST(Objects, ThroughIfAndLoop) {
  Loaded image(build(lower(R"(kernels objects {
  input %s: seq(f32[2])
  input %x: f32[2]
  input %flag: bool[]
  input %trips: i64[]
  %r: seq(f32[2]) = if %flag {
    %a: seq(f32[2]) = call sequence_insert(%s, %x, _)
    yield %a
  } else {
    yield %s
  }
  %l: seq(f32[2]) = loop %trips, _ carry %r (%it: i64[], %go: bool[], %in: seq(f32[2])) {
    %b: seq(f32[2]) = call sequence_insert(%in, %x, %it)
    yield %go, %b
  }
  %n: i64[] = call sequence_length(%l)
  %m: i64[] = map (): %n[] * 10
  output %l, %m, %s
}
)")));
  ASSERT_TRUE(image);
  Sequence s(2, 5);
  const float x[] = {1, -1};
  for (bool flag : {false, true}) {
    for (int64_t trips : {0, 1, 3}) {
      ASSERT_EQ(
          image.run(
              {{&s.object, {}, INGOT_OBJECT}, {x, {2}, INGOT_F32}, {&flag, {}, INGOT_BOOL}, {&trips, {}, INGOT_I64}}),
          0);
      std::vector<float> want(static_cast<size_t>(trips), 1);
      want.insert(want.end(), {5, 6});
      if (flag) want.push_back(1);
      EXPECT_EQ(firsts(image.objects[0]), want) << flag << trips;
      EXPECT_EQ(*image.outputs[1].as<int64_t>(), static_cast<int64_t>(10 * want.size()));
      EXPECT_EQ(image.objects[2], &s.object);
    }
  }
  const float wrong[] = {1, 2};
  const bool flag = false;
  const int64_t trips = 0;
  EXPECT_EQ(image.run({{wrong, {2}, INGOT_F32}, {x, {2}, INGOT_F32}, {&flag, {}, INGOT_BOOL}, {&trips, {}, INGOT_I64}}),
            INGOT_RUN_INPUT_DIM);
}

// Two carried sequences trade places in every iteration.
TEST(Objects, CarriedValuesSwap) {
  Loaded image(build(lower(R"(kernels swap {
  input %a: seq(f32[2])
  input %b: seq(f32[2])
  input %trips: i64[]
  %p: seq(f32[2]), %q: seq(f32[2]) = loop %trips, _ carry %a, %b (%it: i64[], %go: bool[], %x: seq(f32[2]), %y: seq(f32[2])) {
    yield %go, %y, %x
  }
  output %p, %q
}
)")));
  ASSERT_TRUE(image);
  Sequence a(1, 3), b(2, 7);
  for (int64_t trips : {0, 1, 2, 5}) {
    ASSERT_EQ(image.run({{&a.object, {}, INGOT_OBJECT}, {&b.object, {}, INGOT_OBJECT}, {&trips, {}, INGOT_I64}}), 0);
    const Sequence &first = trips % 2 ? b : a, &second = trips % 2 ? a : b;
    EXPECT_EQ(image.objects[0], &first.object) << trips;
    EXPECT_EQ(image.objects[1], &second.object) << trips;
  }
}

// A tensor comes out of an optional only where there is one.
TEST(Objects, OptionalInput) {
  Loaded image(build(lower(R"(symbols n
kernels optional {
  input %o: optional(f32[2])
  input %x: f32[2]
  %has: bool[] = call optional_has_element(%o)
  %y: f32[2] = if %has {
    %e: f32[n] = call optional_get_element(%o) decides (n)
    %z: f32[2] = map (i0): %e[i0 | 0.0] * 2.0
    yield %z
  } else {
    yield %x
  }
  output %y
}
)")));
  ASSERT_TRUE(image);
  Sequence some(1, 4), none(0);
  const float x[] = {1, 2};
  ASSERT_EQ(image.run({{&some.object, {}, INGOT_OBJECT}, {x, {2}, INGOT_F32}}), 0);
  EXPECT_EQ(image.outputs[0].as<float>()[1], -8);
  ASSERT_EQ(image.run({{&none.object, {}, INGOT_OBJECT}, {x, {2}, INGOT_F32}}), 0);
  EXPECT_EQ(image.outputs[0].as<float>()[1], 2);
}

// The carried value begins as an optional and continues as its element; without an iteration there may be none to give.
TEST(Objects, LoopThatBeginsWithAnOptional) {
  auto g = parse_graph(R"(graph g(%n: i64[], %o: optional(seq(f32[2])), %x: f32[2]) -> (%y) {
    %y = loop %n, _, %o : none
      region(%i: i64[], %go: bool[], %v: none) -> (%go, %w) {
        %has = optional_has_element %v : none
        %s = if %has : none
          region() -> (%a) {
            %a = optional_get_element %v : none
          }
          region() -> (%b) {
            %b = sequence_empty : none
          }
        %w = sequence_insert %s, %x : none
      }
  })");
  ASSERT_TRUE(g) << g.error().message;
  auto kernels = optimize(*g);
  ASSERT_TRUE(kernels) << kernels.error().message;
  auto loops = lower_for_target(*kernels, TargetFacts());
  ASSERT_TRUE(loops) << loops.error().message;
  Loaded image(build(*loops));
  ASSERT_TRUE(image);
  Sequence items(2, 5);
  ingot_tensor_view item = {&items.object, nullptr, 0, INGOT_OBJECT};
  ingot_object some = {1, &item}, none = {0, nullptr};
  const float x[] = {1, -1};
  auto start = [&](int64_t n, ingot_object& o) {
    return image.run({{&n, {}, INGOT_I64}, {&o, {}, INGOT_OBJECT}, {x, {2}, INGOT_F32}});
  };
  ASSERT_EQ(start(2, some), 0);
  EXPECT_EQ(firsts(image.objects[0]), (std::vector<float>{5, 6, 1, 1}));
  ASSERT_EQ(start(0, some), 0);
  EXPECT_EQ(firsts(image.objects[0]), (std::vector<float>{5, 6}));
  ASSERT_EQ(start(1, none), 0);
  EXPECT_EQ(firsts(image.objects[0]), (std::vector<float>{1}));
  EXPECT_EQ(start(0, none), INGOT_RUN_INDEX);
}

TEST(Objects, VerifierNamesMisuse) {
  l::Program p;
  p.outputs = {{"y", DType::Invalid, {}}};
  l::HostBuffer object{l::HostBuffer::Kind::Dynamic, "o"}, tensor{l::HostBuffer::Kind::Dynamic, "t", DType::F32};
  p.buffers = {object, tensor};
  l::Stmt s{l::StmtKind::Assign};
  s.id = 0;
  s.buffers = {1};
  p.host = {s};
  auto checked = l::verify(p);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("assign with buffer 1 of f32, expected an object"), std::string::npos)
      << checked.error().message;
  p.buffers[1].dtype = DType::Invalid;
  EXPECT_TRUE(l::verify(p));
  p.buffers[0].kind = l::HostBuffer::Kind::Arena;
  checked = l::verify(p);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("host buffer 0 is an object in fixed memory"), std::string::npos)
      << checked.error().message;
}

// A constant (with an empty string, and one beyond ASCII), gathered by data, moved and compared.
TEST(Strings, ConstantsMovesAndComparisons) {
  for (const char* target : {"host", "x86-64-v2"}) {
    l::Program p = lower(R"(symbols n
kernels strings {
  input %x: string[n]
  input %at: i64[n]
  constant %c: string[4] dense<["", "a", "Grüße", "a longer text"]>
  %y: string[n] = map (i0): %c[%at[i0]]
  %same: bool[n] = map (i0): %x[i0] == %c[%at[i0]]
  %z: string[n] = map (i0): select(%x[i0] == %c[1], %c[3], %x[n - 1 - i0])
  output %y, %same, %z
}
)");
    Loaded image(build(p, target));
    ASSERT_TRUE(image);
    Strings x({"a", "", "Grüßf", "a longer text", "a"});
    const int64_t at[] = {1, 0, 2, 3, 3};
    ASSERT_EQ(image.run({{x.entries.data(), {5}, INGOT_STRING}, {at, {5}, INGOT_I64}}, p.weights), 0);
    EXPECT_EQ(texts(image.outputs[0], 5),
              (std::vector<std::string>{"a", "", "Grüße", "a longer text", "a longer text"}));
    EXPECT_EQ(std::vector<uint8_t>(image.outputs[1].bytes.begin(), image.outputs[1].bytes.begin() + 5),
              (std::vector<uint8_t>{1, 1, 0, 1, 0}));
    EXPECT_EQ(texts(image.outputs[2], 5),
              (std::vector<std::string>{"a longer text", "a longer text", "Grüßf", "", "a longer text"}));
  }
}

// The number of parts is the algorithm's decision, though there are 0 parts whatever it decides.
TEST(Strings, SplitOfNothing) {
  Loaded image(build(lower(R"(symbols n
kernels split {
  input %x: string[0]
  %p: string[0, n], %c: i64[0] = call string_split(%x) ints [-1] strings [""] decides (n)
  %q: i64[] = map (): n
  output %p, %c, %q
}
)")));
  ASSERT_TRUE(image);
  ASSERT_EQ(image.run({{nullptr, {0}, INGOT_STRING}}), 0);
  EXPECT_EQ(image.outputs[0].shape, (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(*image.outputs[2].as<int64_t>(), 0);
}

TEST(Complex, Moves) {
  Loaded image(build(lower(R"(kernels complex {
  input %x: c64[3]
  input %w: c128[3]
  input %flag: bool[3]
  %y: c64[3] = map (i0): %x[2 - i0]
  %z: c128[3] = map (i0): select(%flag[i0], %w[i0], %w[2 - i0])
  output %y, %z
}
)")));
  ASSERT_TRUE(image);
  const float x[] = {1, 2, 3, 4, 5, 6};
  alignas(16) const double w[] = {1, 2, 3, 4, 5, 6};
  const bool flag[] = {true, false, false};
  ASSERT_EQ(image.run({{x, {3}, INGOT_C64}, {w, {3}, INGOT_C128}, {flag, {3}, INGOT_BOOL}}), 0);
  const float y[] = {5, 6, 3, 4, 1, 2};
  const double z[] = {1, 2, 3, 4, 1, 2};
  EXPECT_EQ(std::memcmp(image.outputs[0].bytes.data(), y, sizeof y), 0);
  EXPECT_EQ(std::memcmp(image.outputs[1].bytes.data(), z, sizeof z), 0);
}

// f64 -> f32 -> f16 rounds twice, as written, and f64 -> f16 once; neither needs a function of a library.
TEST(Casts, DoubleToHalfRoundsAsWritten) {
  for (const char* target : {"host", "x86-64-v2", "x86-64-v3"}) {
    Loaded image(build(lower(R"(kernels halves {
  input %x: f64[4]
  %twice: f16[4] = map (i0): f16(f32(%x[i0]))
  %once: f16[4] = map (i0): f16(%x[i0])
  output %twice, %once
}
)"),
                       target));
    ASSERT_TRUE(image);
    // 1 + 2^-11 lies between two halves; 2^-40 more rounds up, but is lost in f32.
    const double half = std::ldexp(1.0, -11), bit = std::ldexp(1.0, -40);
    const double x[] = {1 + half + bit, 1 + half, -(1 + half + bit), 65504};
    ASSERT_EQ(image.run({{x, {4}, INGOT_F64}}), 0);
    const uint16_t twice[] = {0x3C00, 0x3C00, 0xBC00, 0x7BFF}, once[] = {0x3C01, 0x3C00, 0xBC01, 0x7BFF};
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(image.outputs[0].as<uint16_t>()[i], twice[i]) << target << i;
      EXPECT_EQ(image.outputs[1].as<uint16_t>()[i], once[i]) << target << i;
    }
  }
}

}  // namespace
}  // namespace ingot::test
