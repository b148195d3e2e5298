// The C++ header: the same model through ingot.hpp.
#include "runtime/ingot.hpp"
#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

TEST(CppHeader, RunsAModel) {
  auto bytes = ingot_bytes(static_add());
  ASSERT_TRUE(bytes);
  Model model(bytes->data(), bytes->size());
  EXPECT_EQ(model.name(), "static_add");
  EXPECT_EQ(model.inputs().size(), 1u);
  EXPECT_EQ(model.outputs()[1].dtype, INGOT_I64);
  EXPECT_EQ(model.manifest().front(), '{');
  Session first(model);
  Session session(std::move(first));
  std::vector<float> x(2048 * 3, 1.f), y(2048 * 3);
  session.set("x", x.data(), {2048, 3});
  session.run();
  EXPECT_EQ(session.output<float>(0)[4], 21);
  EXPECT_EQ(session.output<int64_t>(1).size(), 1u);
  EXPECT_EQ(session.shape(0), (std::vector<int64_t>{2048, 3}));
  session.bind(0, x.data(), {2048, 3});
  session.bind_output(0, y.data(), {2048, 3});
  session.run();
  EXPECT_EQ(y[5], 31);
}

TEST(CppHeader, Throws) {
  auto bytes = ingot_bytes(static_add());
  try {
    Model model("/nonexistent");
    FAIL();
  } catch (const RuntimeError& e) {
    EXPECT_EQ(e.status, INGOT_IO);
    EXPECT_STREQ(e.what(), "cannot open /nonexistent: No such file or directory");
  }
  Model model(bytes->data(), bytes->size());
  Session session(model);
  float x = 0;
  EXPECT_THROW(session.set("no such input", &x, {}), RuntimeError);
  EXPECT_THROW(session.run(), RuntimeError);
  std::vector<float> all(2048 * 3);
  session.set(0, all.data(), {2048, 3});
  session.run();
  EXPECT_THROW(session.output<double>(0), RuntimeError);
}

}  // namespace
}  // namespace ingot::test
