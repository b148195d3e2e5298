// Launches that run beside each other: what is put together needs nothing of each other, and what is large stays alone.
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/ops/evaluate.h"
#include "tests/passes/compiled.h"

namespace ingot {
namespace {

struct Branches {
  int groups = 0, members = 0, launches = 0;
};

int memory_of(const l::Program& p, int buffer) {
  while (p.buffers[static_cast<size_t>(buffer)].kind == l::HostBuffer::Kind::View)
    buffer = p.buffers[static_cast<size_t>(buffer)].index;
  return buffer;
}

void count(const l::Program& p, const std::vector<l::Stmt>& list, Branches& found) {
  for (const l::Stmt& s : list) {
    if (s.kind == l::StmtKind::Launch) ++found.launches;
    if (s.kind == l::StmtKind::Group) {
      ++found.groups, found.members += static_cast<int>(s.body.size());
      EXPECT_GE(s.body.size(), 2u);
      // Who writes whole buffers, and no windows, has them for itself.
      std::map<int, int> writers, users;
      for (const l::Stmt& one : s.body) {
        const l::Kernel& k = p.kernels[static_cast<size_t>(one.id)];
        std::set<int> mine;
        for (size_t b = 0; b < k.buffers.size(); ++b) {
          if (k.schedule == "border") continue;
          const bool window = p.buffers[static_cast<size_t>(one.buffers[b])].kind == l::HostBuffer::Kind::View;
          if (k.buffers[b].written && !window) ++writers[memory_of(p, one.buffers[b])];
          if (!window) mine.insert(memory_of(p, one.buffers[b]));
        }
        for (int b : mine) ++users[b];
      }
      for (const auto& [b, n] : writers) EXPECT_EQ(users[b], 1) << p.buffers[static_cast<size_t>(b)].name;
    }
    count(p, s.body, found);
    count(p, s.otherwise, found);
  }
}

Result<l::Program> loops(const std::string& text, const PipelineOptions& options = {}) {
  CompileModelOptions how;
  how.targets = {"host"};
  how.pipeline = options;
  auto model = TRY(compile_model(std::move(TRY(parse_graph(text))), how));
  return std::move(model->programs[0]);
}

const char* const kProjections =
    R"(graph g(%x: f32[64, 64], %q: f32[64, 64], %k: f32[64, 64], %v: f32[64, 64]) -> (%y) {
  %a0 = mat_mul %x, %q
  %a = tanh %a0
  %b0 = mat_mul %x, %k
  %b = sigmoid %b0
  %c0 = mat_mul %x, %v
  %c = exp %c0
  %d = softmax %a {axis = 0}
  %e = softmax %b {axis = 0}
  %f = softmax %c {axis = 0}
  %s = add %d, %e
  %y = add %s, %f
}
)";

TEST(Groups, ProjectionsAreOne) {
  auto p = loops(kProjections);
  ASSERT_TRUE(p) << p.error().message;
  Branches found;
  count(*p, p->host, found);
  EXPECT_GE(found.groups, 1);
  EXPECT_GE(found.members, 3);
  PipelineOptions apart;
  apart.disabled = {"groups"};
  auto q = loops(kProjections, apart);
  ASSERT_TRUE(q) << q.error().message;
  Branches none;
  count(*q, q->host, none);
  EXPECT_EQ(none.groups, 0);
  EXPECT_EQ(none.launches, found.launches);
  EXPECT_LE(static_cast<double>(p->arena_bytes.value()), 1.05 * static_cast<double>(q->arena_bytes.value()));
}

// The text form of what was made says it all.
TEST(Groups, AreInTheText) {
  auto p = loops(kProjections);
  ASSERT_TRUE(p) << p.error().message;
  const std::string text = l::str(*p);
  EXPECT_NE(text.find("group {"), std::string::npos);
  auto again = l::parse(text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(l::verify(*again));
  EXPECT_EQ(l::str(*again), text);
}

// What verify refuses: something else than launches, none, too many.
TEST(Groups, OfLaunchesOnly) {
  auto p = loops(kProjections);
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_TRUE(l::verify(*p));
  auto group =
      std::find_if(p->host.begin(), p->host.end(), [](const l::Stmt& s) { return s.kind == l::StmtKind::Group; });
  ASSERT_NE(group, p->host.end());
  const l::Stmt good = *group;
  group->body.push_back(l::Stmt{l::StmtKind::Place});
  EXPECT_FALSE(l::verify(*p));
  group->body.clear();
  EXPECT_FALSE(l::verify(*p));
  for (int k = 0; k < 17; ++k) group->body.push_back(good.body[0]);
  EXPECT_FALSE(l::verify(*p));
}

// A product of many milliseconds has threads enough by itself.
TEST(Groups, NotOfLargeOnes) {
  auto p = loops(R"(graph g(%x: f32[1024, 1024], %q: f32[1024, 1024], %k: f32[1024, 1024]) -> (%a, %b) {
  %a = mat_mul %x, %q
  %b = mat_mul %x, %k
}
)");
  ASSERT_TRUE(p) << p.error().message;
  Branches found;
  count(*p, p->host, found);
  EXPECT_GE(found.launches, 2);
  for (const l::Stmt& s : p->host) {
    if (s.kind != l::StmtKind::Group) continue;
    for (const l::Stmt& one : s.body) EXPECT_FALSE(p->kernels[static_cast<size_t>(one.id)].name.starts_with("matmul"));
  }
}

// One that fails in a group fails the run, with any number of threads.
TEST(Groups, AFailureIsReported) {
  const std::string text = R"(graph g(%x: f32[50, 8], %i: i64[4], %j: i64[4]) -> (%a, %b) {
  %a = gather %x, %i {axis = 0}
  %b = gather %x, %j {axis = 0}
}
)";
  auto x = TensorData::make(DType::F32, {50, 8}), i = TensorData::make(DType::I64, {4}),
       j = TensorData::make(DType::I64, {4});
  std::fill_n(x->mutable_as<float>(), 400, 1.0f);
  for (int k = 0; k < 4; ++k) i->mutable_as<int64_t>()[k] = k, j->mutable_as<int64_t>()[k] = k == 2 ? 77 : k;
  for (int threads : {1, 2}) {
    auto got = test::compile_and_run(
        std::move(*parse_graph(text)), "host",
        {HostValue::of(TensorRef(x)), HostValue::of(TensorRef(i)), HostValue::of(TensorRef(j))}, threads);
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().message.find("77"), std::string::npos) << got.error().message;
  }
}

}  // namespace
}  // namespace ingot
