// The host program: control flow, dynamic memory, failures, algorithms; and the memory access of kernels.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "ir/small_float.h"
#include "passes/loops/legalize.h"
#include "tests/backends/harness.h"

namespace ingot::test {
namespace {

constexpr DType F32 = DType::F32;
constexpr DType I64 = DType::I64;

l::HostBuffer host_buffer(l::HostBuffer::Kind kind, DType t, int index, std::vector<Dim> dims = {}) {
  l::HostBuffer b;
  b.kind = kind, b.dtype = t, b.index = index, b.dims = std::move(dims);
  return b;
}

l::Stmt while_(Expr e, std::vector<l::Stmt> body) {
  l::Stmt s{l::StmtKind::While};
  s.expr = std::move(e), s.body = std::move(body);
  return s;
}
l::Stmt if_(Expr e, std::vector<l::Stmt> then, std::vector<l::Stmt> otherwise = {}) {
  l::Stmt s{l::StmtKind::If};
  s.expr = std::move(e), s.body = std::move(then), s.otherwise = std::move(otherwise);
  return s;
}
l::Stmt let(const Symbol& v, Expr e) {
  l::Stmt s{l::StmtKind::Let};
  s.symbol = v, s.expr = std::move(e);
  return s;
}
l::Stmt fail(int32_t code, int node, std::vector<Expr> args) {
  l::Stmt s{l::StmtKind::Fail};
  s.code = code, s.node = node, s.args = std::move(args);
  return s;
}

// While x[0] < 100 the kernel doubles x in the arena; If picks the sign of the output.
l::Program loop_program() {
  Symbol n = Dim::symbol("N"), t = Dim::symbol("t"), t2 = Dim::symbol("t"), size = Dim::symbol("size"),
         steps = Dim::symbol("steps");
  l::Program p;
  p.name = "loop";
  p.inputs = {{"x", F32, {Dim(n)}}, {"negate", DType::Bool, {}}};
  p.outputs = {{"y", F32, {Dim(n)}}, {"steps", I64, {}}};
  using K = l::HostBuffer::Kind;
  p.buffers = {host_buffer(K::Input, F32, 0, {Dim(n)}), host_buffer(K::Input, DType::Bool, 1),
               host_buffer(K::Arena, F32, -1), host_buffer(K::Output, F32, 0, {Dim(n)}),
               host_buffer(K::Output, I64, 1)};
  p.buffers[2].size = Dim(n) * 4;
  p.arena_bytes = Dim(n) * 4;
  auto kernel = [&](const char* name, const Symbol& item, double factor) {
    l::Kernel k;
    k.name = name;
    k.buffers = {{0, "from", F32}, {1, "to", F32, true}};
    k.item = item;
    k.body = {store(1, item, load(0, F32, 1, item) * factor)};
    return k;
  };
  p.kernels = {kernel("copy", t, 1), kernel("negate", t2, -1)};
  Symbol t3 = Dim::symbol("t");
  l::Kernel twice;
  twice.name = "twice";
  twice.buffers = {{0, "x", F32, true}};
  twice.item = t3;
  twice.body = {store(0, t3, load(0, F32, 1, t3) * 2.0)};
  p.kernels.push_back(twice);
  Expr below = node(ScalarOp::Lt, DType::Bool, 1, {load(2, F32, 1, 0), ex::number(F32, 100)});
  p.host = {place(2),
            place(3),
            place(4),
            launch(0, {0, 2}, {}, n),
            declare(7, I64, 1, ex::integer(I64, 0)),
            while_(below, {launch(2, {2}, {}, n), set(7, local(7, I64, 1) + ex::integer(I64, 1))}),
            let(steps, local(7, I64, 1)),
            store(4, 0, ex::index(Dim(steps) * 1)),
            if_(load(1, DType::Bool, 1, 0), {launch(1, {2, 3}, {}, n, 8)}, {launch(0, {2, 3}, {}, n, 8)})};
  (void)size;
  return p;
}

TEST(Host, WhileAndIf) {
  Loaded image(build(loop_program()));
  ASSERT_TRUE(image);
  float x[3] = {3, 1, -5};
  for (uint8_t negate : {0, 1}) {
    ASSERT_EQ(image.run({{x, {3}, INGOT_F32}, {&negate, {}, INGOT_BOOL}}), 0);
    EXPECT_EQ(*image.outputs[1].as<int64_t>(), 6);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(image.outputs[0].as<float>()[i], x[i] * 64 * (negate ? -1 : 1));
  }
  image.profile = true;
  uint8_t no = 0;
  ASSERT_EQ(image.run({{x, {3}, INGOT_F32}, {&no, {}, INGOT_BOOL}}), 0);
  EXPECT_EQ(image.profiled, 8);
  image.cancel = 1;
  EXPECT_EQ(image.run({{x, {3}, INGOT_F32}, {&no, {}, INGOT_BOOL}}), INGOT_RUN_CANCELLED);
}

TEST(Host, SizesThatOverflow) {
  Symbol n = Dim::symbol("N"), t = Dim::symbol("t");
  l::Kernel k;
  k.name = "copy";
  k.buffers = {{0, "x", F32}, {1, "y", F32, true}};
  k.item = t;
  k.body = {store(1, t, load(0, F32, 1, t))};
  l::Program p = single_kernel(k, {{"x", F32, {Dim(n)}}}, {"y", F32, {Dim(n)}}, 1);
  p.arena_bytes = Dim(n) * Dim(n) * Dim(n) * 4;
  Loaded image(build(p));
  float x = 2;
  EXPECT_EQ(image.run({{&x, {1}, INGOT_F32}}), 0);
  EXPECT_EQ(image.run({{&x, {int64_t{1} << 21}, INGOT_F32}}), INGOT_RUN_TOO_LARGE);
  EXPECT_EQ(image.run({{&x, {int64_t{1} << 22}, INGOT_F32}}), INGOT_RUN_TOO_LARGE);
}

// A gather that checks its index, and fails inside a parallel loop.
TEST(Host, KernelFails) {
  Symbol n = Dim::symbol("N"), t = Dim::symbol("t"), m = Dim::symbol("M");
  l::Kernel k;
  k.name = "gather";
  k.buffers = {{0, "x", F32}, {1, "i", I64}, {2, "y", F32, true}};
  k.item = t;
  k.node = 4;
  Expr i = load(1, I64, 1, t);
  Expr bad = node(ScalarOp::Ge, DType::Bool, 1, {i, ex::integer(I64, 10)});
  k.body = {if_(bad, {fail(INGOT_RUN_INDEX, 4, {i, ex::integer(I64, 10)})}), store(2, t, load(0, F32, 1, 0, {i}))};
  l::Program p = single_kernel(k, {{"x", F32, {10}}, {"i", I64, {Dim(n)}}}, {"y", F32, {Dim(n)}}, n);
  Loaded image(build(p));
  std::vector<float> x(10);
  std::iota(x.begin(), x.end(), 0.0f);
  std::vector<int64_t> index = {3, 9, 0, 5, 2};
  ASSERT_EQ(image.run({{x.data(), {10}, INGOT_F32}, {index.data(), {5}, INGOT_I64}}), 0);
  for (int j = 0; j < 5; ++j) EXPECT_EQ(image.outputs[0].as<float>()[j], index[static_cast<size_t>(j)]);
  EXPECT_GT(image.parallel_calls, 0);
  index[3] = 77;
  ASSERT_EQ(image.run({{x.data(), {10}, INGOT_F32}, {index.data(), {5}, INGOT_I64}}), INGOT_RUN_INDEX);
  ASSERT_EQ(image.reports.size(), 1u);
  EXPECT_EQ(image.reports[0].node, 4);
  EXPECT_EQ(image.reports[0].args, (std::vector<int64_t>{77, 10}));
}

// A dynamic buffer placed again in a loop releases what it held.
TEST(Host, DynamicBuffers) {
  Symbol i = Dim::symbol("i"), t = Dim::symbol("t");
  l::Kernel k;
  k.name = "fill";
  k.buffers = {{0, "x", F32}, {1, "y", F32, true}};
  k.item = t;
  k.body = {store(1, t, load(0, F32, 1, 0))};
  l::Program p = single_kernel(k, {{"x", F32, {1}}}, {"y", F32, {4}}, 4);
  p.buffers.push_back(host_buffer(l::HostBuffer::Kind::Dynamic, F32, -1));
  p.buffers.back().size = (Dim(i) + 1) * 400;
  p.host.push_back(for_(i, 0, 5, {place(2), launch(0, {0, 2}, {}, Dim(i) + 1)}));
  Loaded image(build(p));
  float x = 4;
  ASSERT_EQ(image.run({{&x, {1}, INGOT_F32}}), 0);
  EXPECT_EQ(image.allocations, 1);
}

// Loads and stores of every pattern, on every x86 target that runs here.
TEST(Memory, StridesMasksGathers) {
  constexpr int kLanes = 16;
  constexpr int64_t kSize = 16 * 5;
  Symbol t = Dim::symbol("t");
  for (DType d : {F32, DType::I8, DType::I16, DType::F64}) {
    std::vector<Expr> loads;
    for (int64_t stride : {0, 1, 2, 3, 4, 5, -1})
      loads.push_back(load(0, d, kLanes, stride < 0 ? kLanes - 1 : 0, {}, stride));
    Expr mask = node(ScalarOp::Eq, DType::Bool, kLanes,
                     {node(ScalarOp::And, I64, kLanes, {ramp(0, kLanes), splat(ex::integer(I64, 3), kLanes)}),
                      splat(ex::integer(I64, 1), kLanes)});
    loads.push_back(load(0, d, kLanes, 0, {mask}));
    loads.push_back(load(0, d, kLanes, 0, {mask}, 3));
    loads.push_back(load(0, d, kLanes, 1, {ramp(2, kLanes, 3)}));
    loads.push_back(load(0, d, kLanes, 1, {ramp(2, kLanes, 3), mask}));
    auto n = static_cast<int64_t>(loads.size());
    l::Kernel k;
    k.name = "patterns";
    k.buffers = {{0, "x", d}, {1, "y", d, true}};
    k.item = t;
    for (int64_t i = 0; i < n; ++i) k.body.push_back(store(1, i * kLanes, loads[static_cast<size_t>(i)]));
    // Stores: strided, masked, masked and strided, scattered.
    Expr x = load(0, d, kLanes, 0);
    int64_t base = n * kLanes;
    k.body.push_back(store(1, base, x, {}, {}, 2));
    k.body.push_back(store(1, base + 40, x, mask));
    k.body.push_back(store(1, base + 60, x, mask, {}, 2));
    k.body.push_back(store(1, base + 100, x, {}, ramp(0, kLanes, 3)));
    k.body.push_back(store(1, base + 160, x, mask, ramp(0, kLanes, 3)));
    int64_t total = base + 220;
    int32_t code = d == F32 ? INGOT_F32 : d == DType::I8 ? INGOT_I8 : d == DType::I16 ? INGOT_I16 : INGOT_F64;
    l::Program p = single_kernel(k, {{"x", d, {kSize}}}, {"y", d, {total}}, 1);
    int bytes = bits(d) / 8;
    std::vector<uint8_t> in(static_cast<size_t>(kSize * bytes));
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i * 7 + 1);
    for (const char* target : {"host", "x86-64-v3", "x86-64-v2", "x86-64-v4"}) {
      if (!runs_here(*find_target(target))) continue;
      Loaded image(build(p, target));
      ASSERT_EQ(image.run({{in.data(), {kSize}, code}}), 0);
      auto got = [&](int64_t i) {
        return std::vector<uint8_t>(image.outputs[0].bytes.begin() + i * bytes,
                                    image.outputs[0].bytes.begin() + (i + 1) * bytes);
      };
      auto want = [&](int64_t i) { return std::vector<uint8_t>(in.begin() + i * bytes, in.begin() + (i + 1) * bytes); };
      std::vector<uint8_t> zero(static_cast<size_t>(bytes), 0), untouched(static_cast<size_t>(bytes), 0xAA);
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        bool on = (lane & 3) == 1;
        int64_t row = 0;
        for (int64_t stride : {0, 1, 2, 3, 4, 5, -1})
          EXPECT_EQ(got(row++ * kLanes + lane), want(stride < 0 ? kLanes - 1 - lane : lane * stride))
              << target << name(d) << stride << " " << lane;
        EXPECT_EQ(got(row++ * kLanes + lane), on ? want(lane) : zero) << target;
        EXPECT_EQ(got(row++ * kLanes + lane), on ? want(lane * 3) : zero) << target;
        EXPECT_EQ(got(row++ * kLanes + lane), want(3 + 3 * lane)) << target;
        EXPECT_EQ(got(row++ * kLanes + lane), on ? want(3 + 3 * lane) : zero) << target;
        EXPECT_EQ(got(base + 2 * lane), want(lane));
        EXPECT_EQ(got(base + 40 + lane), on ? want(lane) : untouched) << target;
        EXPECT_EQ(got(base + 60 + 2 * lane), on ? want(lane) : untouched) << target;
        EXPECT_EQ(got(base + 100 + 3 * lane), want(lane));
        EXPECT_EQ(got(base + 160 + 3 * lane), on ? want(lane) : untouched) << target;
      }
    }
  }
}

// The untaken side of a select must not touch memory: the load there is a page away from anything mapped.
TEST(Memory, SelectGuardsLoads) {
  Symbol t = Dim::symbol("t");
  for (int lanes : {1, 16}) {
    l::Kernel k;
    k.name = "guarded";
    k.buffers = {{0, "x", F32}, {1, "y", F32, true}};
    k.item = t;
    Expr inside = node(ScalarOp::Lt, DType::Bool, lanes,
                       {lanes == 1 ? ex::index(t) : ramp(t, lanes), splat(ex::integer(I64, 4), lanes)});
    Expr far = node(ScalarOp::Select, I64, 1,
                    {node(ScalarOp::Lt, DType::Bool, 1, {ex::index(t), ex::integer(I64, 1)}), ex::integer(I64, 0),
                     ex::integer(I64, int64_t{1} << 44)});
    Expr value = node(
        ScalarOp::Select, F32, lanes,
        {inside,
         load(0, F32, lanes, lanes == 1 ? Dim(0) : Dim(t), lanes == 1 ? std::vector<Expr>{far} : std::vector<Expr>{}),
         splat(ex::number(F32, -1), lanes)});
    if (lanes == 1) inside = node(ScalarOp::Lt, DType::Bool, 1, {ex::index(t), ex::integer(I64, 1)});
    if (lanes == 1) value = node(ScalarOp::Select, F32, 1, {inside, value->args[1], value->args[2]});
    k.body = {store(1, Dim(t) * lanes, value)};
    l::Program p = single_kernel(k, {{"x", F32, {4}}}, {"y", F32, {2 * lanes}}, 2);
    Loaded image(build(p));
    float x[4] = {5, 6, 7, 8};
    ASSERT_EQ(image.run({{x, {4}, INGOT_F32}}), 0);
    EXPECT_EQ(image.outputs[0].as<float>()[0], 5);
    if (lanes == 1) {
      EXPECT_EQ(image.outputs[0].as<float>()[1], -1);
    } else {
      EXPECT_EQ(image.outputs[0].as<float>()[4], -1);
    }
  }
}

TEST(Memory, Dot4AndReductions) {
  constexpr int kLanes = 16;
  Symbol t = Dim::symbol("t");
  l::Kernel k;
  k.name = "dot4";
  k.buffers = {{0, "u", DType::U8}, {1, "s", DType::I8}, {2, "y", DType::I32, true}};
  k.item = t;
  Expr u = load(0, DType::U8, 4 * kLanes, 0), s = load(1, DType::I8, 4 * kLanes, 0);
  Expr acc = node(ScalarOp::Cast, DType::I32, kLanes, {ramp(0, kLanes, 1000)});
  Expr d = node(ScalarOp::Dot4, DType::I32, kLanes, {acc, u, s});
  k.body = {declare(0, DType::I32, kLanes, d), store(2, 0, local(0, DType::I32, kLanes)),
            store(2, 16, node(ScalarOp::LaneSum, DType::I32, 1, {local(0, DType::I32, kLanes)})),
            store(2, 17, node(ScalarOp::LaneMax, DType::I32, 1, {local(0, DType::I32, kLanes)})),
            store(2, 18, node(ScalarOp::LaneMin, DType::I32, 1, {local(0, DType::I32, kLanes)}))};
  l::Program p = single_kernel(k, {{"u", DType::U8, {64}}, {"s", DType::I8, {64}}}, {"y", DType::I32, {19}}, 1);
  std::vector<uint8_t> a(64, 255);
  std::vector<int8_t> b(64, -128);
  for (size_t i = 0; i < 40; ++i) a[i] = static_cast<uint8_t>(i * 37), b[i] = static_cast<int8_t>(i * 91);
  for (const char* target : {"host", "x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    if (!runs_here(*find_target(target))) continue;
    Loaded image(build(p, target));
    ASSERT_EQ(image.run({{a.data(), {64}, INGOT_U8}, {b.data(), {64}, INGOT_I8}}), 0);
    const int32_t* y = image.outputs[0].as<int32_t>();
    int32_t sum = 0, most = INT32_MIN, least = INT32_MAX;
    for (int i = 0; i < kLanes; ++i) {
      int32_t want = i * 1000;
      for (int j = 0; j < 4; ++j)
        want += int32_t{a[static_cast<size_t>(4 * i + j)]} * b[static_cast<size_t>(4 * i + j)];
      EXPECT_EQ(y[i], want) << target << " " << i;
      sum += want, most = std::max(most, want), least = std::min(least, want);
    }
    EXPECT_EQ(y[16], sum);
    EXPECT_EQ(y[17], most);
    EXPECT_EQ(y[18], least);
  }
}

// Two vectors' worth of lanes, so that it is taken apart where the machine has the instruction.
TEST(Memory, Dot2) {
  constexpr int kLanes = 32;
  Symbol t = Dim::symbol("t");
  l::Kernel k;
  k.name = "dot2";
  k.buffers = {{0, "a", DType::BF16}, {1, "b", DType::BF16}, {2, "y", DType::F32, true}};
  k.item = t;
  Expr acc = node(ScalarOp::Cast, DType::F32, kLanes, {ramp(0, kLanes, 3)});
  Expr d = node(ScalarOp::Dot2, DType::F32, kLanes,
                {acc, load(0, DType::BF16, 2 * kLanes, 0), load(1, DType::BF16, 2 * kLanes, 0)});
  k.body = {store(2, 0, d)};
  l::Program p = single_kernel(k, {{"a", DType::BF16, {2 * kLanes}}, {"b", DType::BF16, {2 * kLanes}}},
                               {"y", DType::F32, {kLanes}}, 1);
  // Numbers whose products and sums f32 holds exactly, so that every order gives the same.
  std::vector<uint16_t> a(2 * kLanes), b(2 * kLanes);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = float_to_bf16(static_cast<double>(i * 37 % 101) - 50);
    b[i] = float_to_bf16((static_cast<double>(i * 91 % 67) - 30) / 8);
  }
  for (const Target& target : all_targets()) {
    if (!runs_here(target) || target.kernels != Target::Kernels::Native) continue;
    Loaded image(build(p, std::string(target.name)));
    ASSERT_EQ(image.run({{a.data(), {2 * kLanes}, INGOT_BF16}, {b.data(), {2 * kLanes}, INGOT_BF16}}), 0);
    for (int i = 0; i < kLanes; ++i) {
      const auto at = static_cast<size_t>(2 * i);
      EXPECT_EQ(image.outputs[0].as<float>()[i], static_cast<float>(3 * i) +
                                                     bf16_to_float(a[at]) * bf16_to_float(b[at]) +
                                                     bf16_to_float(a[at + 1]) * bf16_to_float(b[at + 1]))
          << target.name << " " << i;
    }
  }
}

// The bytes do not depend on the number of threads; kernels with the same body share code; every target compiles.
TEST(Image, DeterministicAndShared) {
  l::Program p = loop_program();
  Symbol t = Dim::symbol("other_item");
  for (int i = 0; i < 20; ++i) {
    l::Kernel k = p.kernels[0];
    k.name = fmt::format("copy{}", i);
    k.item = t;
    k.body = {store(1, t, load(0, F32, 1, t) * (i % 2 ? 1.0 : 3.0 + i))};
    p.kernels.push_back(k);
  }
  ASSERT_TRUE(l::legalize(p, {}));
  for (const Target& target : all_targets()) {
    if (target.kernels != Target::Kernels::Native) continue;
    auto one = compile(p, {&target, 1}), four = compile(p, {&target, 4});
    ASSERT_TRUE(one) << target.name << one.error().message;
    ASSERT_TRUE(four);
    EXPECT_EQ(one->elf, four->elf) << target.name;
    EXPECT_EQ(one->kernels[3 + 1].same_as, 0);
    EXPECT_EQ(one->kernels[3 + 0].same_as, -1);
    EXPECT_GT(one->kernels[0].code_bytes, 0);
  }
}

TEST(Image, RefusesWhatItCannotPrint) {
  Symbol t = Dim::symbol("t");
  l::Kernel k;
  k.name = "raw";
  k.buffers = {{0, "x", F32}, {1, "y", F32, true}};
  k.item = t;
  k.body = {store(1, t, node(ScalarOp::Exp, F32, 1, {load(0, F32, 1, t)}))};
  l::Program p = single_kernel(k, {{"x", F32, {4}}}, {"y", F32, {4}}, 4);
  auto image = compile(p, {&host_target()});
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().message,
            "expression 'exp' of f32 reached the printer; it should have been legalised\n  in kernel 'raw'");
  l::Stmt call{l::StmtKind::Call};
  call.name = "no_such_thing";
  p.kernels.clear();
  p.host = {call};
  image = compile(p, {&host_target()});
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().message, "no algorithm named 'no_such_thing'");
}

// Every algorithm links into an image of every family without undefined symbols.
TEST(Algorithms, AllLink) {
  l::Program p;
#define ALGORITHM(algorithm)         \
  {                                  \
    l::Stmt call{l::StmtKind::Call}; \
    call.name = #algorithm;          \
    p.host.push_back(call);          \
  }
#include "ir/ops/algorithms/algorithms.def"
#undef ALGORITHM
  ASSERT_FALSE(p.host.empty());
  for (const char* target : {"x86-64-v2", "x86-64-v3", "x86-64-v4-vnni", "aarch64"}) {
    auto image = compile(p, {find_target(target)});
    ASSERT_TRUE(image) << target << image.error().message;
    printf("%s: all algorithms are %ld bytes of code\n", target, static_cast<long>(image->code_bytes));
  }
}

// NonZero decides the extent of its result, which goes to an output.
TEST(Algorithms, NonZero) {
  Symbol n = Dim::symbol("N"), count = Dim::symbol("count");
  using K = l::HostBuffer::Kind;
  l::Program p;
  p.inputs = {{"x", DType::Bool, {Dim(n), 2}}};
  p.outputs = {{"y", I64, {2, Dim(count)}}};
  p.buffers = {host_buffer(K::Input, DType::Bool, 0, {Dim(n), 2}), host_buffer(K::Output, I64, 0, {2, Dim(count)})};
  l::Stmt call{l::StmtKind::Call};
  call.name = "non_zero";
  call.operands = {{0, DType::Bool, {Dim(n), 2}}};
  call.results = {{1, I64, {2, Dim(count)}}};
  call.symbols = {count};
  p.host = {call};
  for (const char* target : {"host", "x86-64-v2"}) {
    Loaded image(build(p, target));
    ASSERT_TRUE(image);
    uint8_t x[] = {0, 1, 1, 0, 0, 0, 1, 1};
    ASSERT_EQ(image.run({{x, {4, 2}, INGOT_BOOL}}), 0);
    EXPECT_EQ(image.outputs[0].shape, (std::vector<int64_t>{2, 4}));
    const int64_t want[] = {0, 1, 3, 3, 1, 0, 0, 1};
    for (int i = 0; i < 8; ++i) EXPECT_EQ(image.outputs[0].as<int64_t>()[i], want[i]) << i;
    EXPECT_EQ(image.allocations, 0);
  }
}

}  // namespace
}  // namespace ingot::test
