// Models on the OpenCL device of this machine, against the interpreter; skipped where there is none. Run twice: the
// second run treats memory as coarse-grained (tests/CMakeLists.txt).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "compiler/compile.h"
#include "ir/ops/def.h"
#include "runtime/abi.h"
#include "runtime/ingot.h"
#include "runtime/opencl.h"
#include "runtime/writer.h"
#include "tools/driver/executable.h"

namespace ingot::driver {
namespace {

class OpenCl : public testing::Test {
 protected:
  void SetUp() override {
    if (ingot_opencl_probe() != INGOT_OK) GTEST_SKIP() << ingot_last_error();
  }

  static Graph graph_of(std::string_view text) {
    auto g = parse_graph(text);
    EXPECT_TRUE(g) << (g ? "" : g.error().message);
    return std::move(*g);
  }

  static std::unique_ptr<Executable> executable(std::string_view text, Backend backend, bool profile = false) {
    LoadOptions options;
    options.backend = backend;
    options.profile = profile;
    auto e = make_executable(graph_of(text), options);
    EXPECT_TRUE(e) << (e ? "" : e.error().message);
    return e ? std::move(*e) : nullptr;
  }

  // Both runs of the same executable must agree with the interpreter.
  static void expect_as_interpreted(std::string_view text, const std::vector<HostValue>& inputs,
                                    double tolerance = 1e-5) {
    auto wanted = executable(text, Backend::Interpreter);
    auto device = executable(text, Backend::OpenCl);
    ASSERT_TRUE(wanted && device);
    auto expected = wanted->call(inputs);
    ASSERT_TRUE(expected) << expected.error().message;
    for (int run = 0; run < 2; ++run) {
      auto got = device->call(inputs);
      ASSERT_TRUE(got) << got.error().message;
      ASSERT_EQ(got->size(), expected->size());
      for (size_t o = 0; o < got->size(); ++o) {
        const TensorData &g = *(*got)[o].tensor, &e = *(*expected)[o].tensor;
        ASSERT_EQ(g.dims, e.dims);
        ASSERT_EQ(g.dtype, e.dtype);
        for (int64_t i = 0; i < e.elements(); ++i) {
          const double a = g.number(i), b = e.number(i);
          if (std::isnan(b)) EXPECT_TRUE(std::isnan(a)) << i;
          else
            EXPECT_LE(a == b ? 0 : std::abs(a - b), tolerance * std::max(1.0, std::abs(b)))
                << "output " << o << ", element " << i << ": " << a << ", expected " << b;
        }
      }
    }
  }
};

HostValue floats(std::vector<int64_t> dims, double scale = 1) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t i = 0; i < t->elements(); ++i)
    t->mutable_as<float>()[i] = static_cast<float>(scale * std::sin(static_cast<double>(i) * 0.7 + 0.1));
  return HostValue::of(TensorRef(std::move(t)));
}
HostValue integers(std::vector<int64_t> dims, const std::vector<int64_t>& values) {
  auto t = TensorData::make(DType::I64, std::move(dims));
  std::memcpy(t->mutable_bytes(), values.data(), values.size() * 8);
  return HostValue::of(TensorRef(std::move(t)));
}

constexpr const char* kNet = R"(graph net(%x: f32[2, 3, 9, 9]) -> (%p, %i) {
  %w = constant f32[1, 3, 3, 3] dense<[1.0, 0.5, -0.25, 0.5, 1.0, 2.0, -1.0, 0.0, 0.5, 1.0, 0.5, -0.25, 0.5, 1.0, 2.0, -1.0, 0.0, 0.5, 1.0, 0.5, -0.25, 0.5, 1.0, 2.0, -1.0, 0.0, 0.5]>
  %y = conv %x, %w {auto_pad = "NOTSET", dilations = [1, 1], group = 1, kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]}
  %r = tanh %y
  %p = softmax %r {axis = 3}
  %i = arg_max %p {axis = 3, keepdims = 0, select_last_index = 0}
}
)";

TEST_F(OpenCl, ConvolutionSoftmaxAndArgMax) { expect_as_interpreted(kNet, {floats({2, 3, 9, 9}, 0.1)}); }

TEST_F(OpenCl, PlacementNamesTheDeviceAndTheWorkItems) {
  auto e = executable(R"(graph g(%x: f32[5, 7]) -> (%y) {
  %y = relu %x
}
)",
                      Backend::OpenCl, true);
  ASSERT_TRUE(e);
  ASSERT_TRUE(e->call({floats({5, 7})}));
  const auto placement = e->placement();
  ASSERT_EQ(placement.size(), 1u);
  EXPECT_EQ(placement[0].device, ingot_opencl_name());
  EXPECT_EQ(placement[0].items, 35);
}

// Extents that only the run knows, values that the host reads between kernels.
TEST_F(OpenCl, HostReadsWhatKernelsWrote) {
  expect_as_interpreted(R"(graph g(%x: f32[n, 4], %s: i64[2]) -> (%y, %z) {
  %d = add %s, %s
  %y = reshape %x, %d {allowzero = 0}
  %f = relu %y
  %z = non_zero %f
}
)",
                        {floats({4, 4}), integers({2}, {4, 1})});
}

TEST_F(OpenCl, CastsSaturateAndSmallFloatsRound) {
  for (int to :
       {INGOT_I8, INGOT_U8, INGOT_I16, INGOT_I32, INGOT_I64, INGOT_U64, INGOT_F16, INGOT_BF16, INGOT_F64, INGOT_BOOL}) {
    const std::string text = fmt::format(
        "graph g(%x: f32[6]) -> (%z) {{\n  %y = cast %x {{saturate = 1, to = {}}}\n  %z = cast %y {{saturate = 1, to = 1}}\n}}\n",
        to);
    auto t = TensorData::make(DType::F32, {6});
    const float values[] = {1.9f, -2.5f, 3e9f, -3e9f, std::nanf(""), 0.1f};
    std::memcpy(t->mutable_bytes(), values, sizeof values);
    SCOPED_TRACE(to);
    expect_as_interpreted(text, {HostValue::of(TensorRef(t))});
  }
}

TEST_F(OpenCl, IndexOutOfRangeNamesTheNode) {
  auto e = executable(R"(graph g(%x: f32[5], %i: i64[3]) -> (%y) {
  %y = gather %x, %i {axis = 0} @"pick"
}
)",
                      Backend::OpenCl);
  ASSERT_TRUE(e);
  auto r = e->call({floats({5}), integers({3}, {0, 9, 1})});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("got index 9, expected less than 5\n  in node 'pick'"), std::string::npos)
      << r.error().message;
  EXPECT_TRUE(e->call({floats({5}), integers({3}, {0, 4, 1})}));  // the next run is not affected
}

// The caller's own output, and two sessions of one model.
TEST_F(OpenCl, BoundOutputs) {
  CompileModelOptions options;
  options.targets = {"opencl"};
  auto model = compile_model(graph_of("graph g(%x: f32[3]) -> (%y) {\n  %y = neg %x\n}\n"), options);
  ASSERT_TRUE(model) << model.error().message;
  auto bytes = ingot_bytes((*model)->file);
  ASSERT_TRUE(bytes) << bytes.error().message;
  ingot_model* m = nullptr;
  ASSERT_EQ(ingot_model_load_memory(bytes->data(), bytes->size(), nullptr, &m), INGOT_OK) << ingot_last_error();
  EXPECT_STREQ(ingot_model_target(m), "opencl");
  for (int session = 0; session < 2; ++session) {
    ingot_session* s = nullptr;
    ASSERT_EQ(ingot_session_create(m, nullptr, &s), INGOT_OK) << ingot_last_error();
    float x[3] = {1, 2, static_cast<float>(session)}, y[3] = {};
    int64_t shape[1] = {3};
    DLTensor in{x, {kDLCPU, 0}, 1, ingot_dtype_to_dlpack(INGOT_F32), shape, nullptr, 0}, out = in;
    out.data = y;
    ASSERT_EQ(ingot_session_bind_input(s, 0, &in), INGOT_OK);
    ASSERT_EQ(ingot_session_bind_output(s, 0, &out), INGOT_OK);
    ASSERT_EQ(ingot_session_run(s), INGOT_OK) << ingot_session_error(s);
    EXPECT_EQ(y[0], -1.0f);
    EXPECT_EQ(y[2], -static_cast<float>(session));
    const DLTensor* got = nullptr;
    ASSERT_EQ(ingot_session_get_output(s, 0, &got), INGOT_OK);
    EXPECT_EQ(got->data, y);
    ingot_session_free(s);
  }
  ingot_model_free(m);
}

}  // namespace
}  // namespace ingot::driver
