// --precision: what lower-precision rewrites and what it must not; compiled code against the lowered program, which the
// interpreter runs as well; and the error against f32, as a share of the largest output.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/targets.h"
#include "ir/kernel/parse.h"
#include "ir/ops/evaluate.h"
#include "ir/ops/interpreter.h"
#include "passes/kernels/passes.h"
#include "tests/passes/compiled.h"

namespace ingot::test {
namespace {

// ---- text ----

TargetFacts with_arithmetic() {
  TargetFacts f;
  f.bf16_dot = f.f16_fma = f.f16_convert = true;
  return f;
}

std::shared_ptr<TensorData> numbers(std::vector<int64_t> dims, uint32_t state, double scale = 1) {
  auto t = TensorData::make(DType::F32, std::move(dims));
  for (int64_t k = 0; k < t->elements(); ++k) {
    state = state * 1664525 + 1013904223;
    t->mutable_as<float>()[k] = static_cast<float>(scale * (static_cast<double>(state >> 8) / (1 << 23) - 1));
  }
  return t;
}

// Inputs named w... become constants.
k::Program program(const std::string& text) {
  auto p = k::parse_program(text);
  EXPECT_TRUE(p) << (p ? "" : p.error().message) << "\n" << text;
  if (!p) return {};
  std::erase_if(p->inputs, [&](int id) {
    k::Value& v = p->values[static_cast<size_t>(id)];
    if (!v.name.starts_with("w")) return false;
    std::vector<int64_t> dims;
    for (const Dim& d : v.tensor().dims) dims.push_back(d.value());
    v.constant = numbers(dims, 7);
    return true;
  });
  return std::move(*p);
}

std::string lowered(k::Program p, const TargetFacts& facts, Precision to, std::string* summary = nullptr) {
  PrecisionSummary s = lower_precision(p, facts, to);
  auto ok = k::verify(p);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
  if (summary) *summary = s.text();
  return k::str(p);
}

// The value between the two sums is made in bf16 where it is made; the other operands get copies.
TEST(LowerPrecision, BothOperandsWhereTheTargetHasTheArithmetic) {
  std::string summary;
  EXPECT_EQ(lowered(program(R"(kernels g {
  input %x: f32[8, 16]
  input %z: f32[16, 32]
  %a: f32[8, 32] = reduce sum (i0, i1) over (r0 < 16): %x[i0, r0] * %z[r0, i1]
  %b: f32[8, 32] = map (i0, i1): max(%a[i0, i1], 0.0)
  %y: f32[8, 16] = reduce sum (i0, i1) over (r0 < 32): %b[i0, r0] * %z[i1, r0]
  output %y
}
)"),
                    with_arithmetic(), {DType::BF16, true, {}}, &summary),
            R"(kernels g {
  input %x: f32[8, 16]
  input %z: f32[16, 32]
  %x.bf16: bf16[8, 16] = map (i, i_1): bf16(%x[i, i_1])
  %z.bf16: bf16[16, 32] = map (i, i_1): bf16(%z[i, i_1])
  %a: f32[8, 32] = reduce sum (i0, i1) over (r0 < 16): f32(%x.bf16[i0, r0]) * f32(%z.bf16[r0, i1])
  %b.bf16: bf16[8, 32] = map (i0, i1): bf16(max(%a[i0, i1], 0.0))
  %y: f32[8, 16] = reduce sum (i0, i1) over (r0 < 32): f32(%b.bf16[i0, r0]) * f32(%z.bf16[i1, r0])
  output %y
}
)");
  EXPECT_EQ(summary, "2 sums of products: 2 in bf16");
}

// What others read stays f32 beside its copy; nothing but maps and reductions follows the last sum, which stays.
TEST(LowerPrecision, ResidualsAndLogitsStay) {
  std::string summary;
  std::string text = lowered(program(R"(kernels g {
  input %x: f32[8, 16]
  input %z: f32[16, 16]
  %a: f32[8, 16] = reduce sum (i0, i1) over (r0 < 16): %x[i0, r0] * %z[r0, i1]
  %b: f32[8, 16] = map (i0, i1): %a[i0, i1] + %x[i0, i1]
  %c: f32[8, 16] = reduce sum (i0, i1) over (r0 < 16): %b[i0, r0] * %z[r0, i1]
  %d: f32[8, 16] = map (i0, i1): %c[i0, i1] + %b[i0, i1]
  %e: f32[8, 16] = reduce sum (i0, i1) over (r0 < 16): %d[i0, r0] * %z[r0, i1]
  %y: f32[8] = reduce max (i0) over (r0 < 16): exp(%e[i0, r0])
  output %y
}
)"),
                             with_arithmetic(), {DType::F16}, &summary);
  EXPECT_NE(text.find("%b.f16: f16[8, 16] = map (i, i_1): f16(%b[i, i_1])"), std::string::npos) << text;
  EXPECT_NE(text.find("%d: f32[8, 16] = map (i0, i1): %c[i0, i1] + %b[i0, i1]"), std::string::npos) << text;
  EXPECT_NE(text.find("over (r0 < 16): %d[i0, r0] * %z[r0, i1]"), std::string::npos) << text;
  EXPECT_EQ(summary, "3 sums of products: 2 in f16, 1 in f32 (1 logits)");
}

// Few rows: the weights alone, on a machine without the arithmetic; padding keeps its fill.
TEST(LowerPrecision, WeightsOfFewRows) {
  std::string summary;
  const std::string text = R"(kernels g {
  input %x: f32[ROWS, 128]
  input %w: f32[128, 128]
  %y: f32[ROWS, 128] = reduce sum (i0, i1) over (r0 < 128): %x[i0, r0 - 1 | 0.0] * %w[r0, i1]
  output %y
}
)";
  auto with_rows = [&](const std::string& rows, const TargetFacts& f, DType t) {
    std::string s = text;
    for (size_t at; (at = s.find("ROWS")) != std::string::npos;) s.replace(at, 4, rows);
    return lowered(program(s), f, {t, true, {}}, &summary);
  };
  std::string few = with_rows("8", {}, DType::BF16);
  EXPECT_NE(few.find("%x[i0, r0 - 1 | 0.0] * f32(bf16(%w[r0, i1]))"), std::string::npos) << few;
  EXPECT_EQ(summary, "1 sum of products: 1 with bf16 weights");
  with_rows("8", {}, DType::F16);
  EXPECT_EQ(summary, "1 sum of products: 1 in f32 (1 no f16 on the target)");
  with_rows("batch", {}, DType::BF16);
  EXPECT_EQ(summary, "1 sum of products: 1 with bf16 weights");
  lowered(program(R"(kernels g {
  input %x: f32[batch, seq, 128]
  input %w: f32[128, 128]
  %y: f32[batch, seq, 128] = reduce sum (i0, i1, i2) over (r0 < 128): %x[i0, i1, r0] * %w[r0, i2]
  output %y
}
)"),
          {}, {DType::BF16, true, {}}, &summary);
  EXPECT_EQ(summary, "1 sum of products: 1 in f32 (1 no faster bf16 on the target)");
  with_rows("9", {}, DType::BF16);
  EXPECT_EQ(summary, "1 sum of products: 1 in f32 (1 no faster bf16 on the target)");
  std::string many = with_rows("9", with_arithmetic(), DType::BF16);
  EXPECT_NE(many.find("f32(%x.bf16[i0, r0 - 1 | 0.0]) * f32(bf16(%w[r0, i1]))"), std::string::npos) << many;
}

TEST(LowerPrecision, OthersStay) {
  auto one = [](const std::string& stage) {
    return "kernels g {\n  input %x: f32[16, 16]\n  input %q: i32[16, 16]\n  input %w: f32[16, 16]\n" + stage +
           "  output %y\n}\n";
  };
  struct Case {
    std::string stage, summary;
  };
  for (const Case& c :
       {Case{"  %y: f32[16, 8] = reduce sum (i0, i1) over (r0 < 16): %x[i0, r0] * %w[r0, i1]\n", "skinny N"},
        {"  %y: f32[16, 16] = reduce sum (i0, i1) over (r0 < 8): %x[i0, r0] * %w[r0, i1]\n", "short sums"},
        {"  %y: f32[4, 16] = reduce sum (i0, i1) over (r0 < 16): %x[i0, r0] * %w[r0, i1]\n", "small weights"},
        {"  %y: f32[16, 16] = reduce sum (i0, i1) over (r0 < 16): f32(%q[i0, r0]) * %w[r0, i1]\n",
         "computed operands"}}) {
    std::string summary, text = lowered(program(one(c.stage)), with_arithmetic(), {DType::BF16, true, {}}, &summary);
    EXPECT_EQ(summary, "1 sum of products: 1 in f32 (1 " + c.summary + ")");
    EXPECT_NE(text.find(c.stage), std::string::npos) << text;
  }
  // A weight that f16 cannot say.
  k::Program p = program(one("  %y: f32[16, 16] = reduce sum (i0, i1) over (r0 < 16): %x[i0, r0] * %w[r0, i1]\n"));
  for (k::Value& v : p.values) {
    if (!v.constant) continue;
    auto changed = std::make_shared<TensorData>(*v.constant);
    changed->mutable_as<float>()[3] = 70000;
    v.constant = changed;
  }
  std::string summary;
  lowered(p, with_arithmetic(), {DType::F16, true, {}}, &summary);
  EXPECT_EQ(summary, "1 sum of products: 1 in f32 (1 weights out of range)");
}

// A state that a loop hands to its next iteration goes into a sum again: no logits.
TEST(LowerPrecision, ARecurrenceIsNotLast) {
  std::string text = R"(graph net(%x: f32[5, 1, 128], %w: f32[1, 512, 128], %w2: f32[1, 512, 128]) -> (%y) {
  %y = lstm %x, %w, %w2 {hidden_size = 128}
}
)";
  auto g = parse_graph(text);
  ASSERT_TRUE(g) << g.error().message;
  for (size_t k = 1; k < 3; ++k) g->body.inputs[k]->constant = numbers({1, 512, 128}, static_cast<uint32_t>(k), 0.1);
  g->body.inputs.resize(1);
  auto p = optimize(*g);
  ASSERT_TRUE(p) << p.error().message;
  std::string summary;
  lowered(std::move(*p), {}, {DType::BF16}, &summary);
  EXPECT_EQ(summary, "2 sums of products: 2 with bf16 weights");
}

// ---- numbers ----

// Of the largest output, against f32. Measured on the networks below: bf16 at most 6e-3, f16 at most 8e-4.
double allowed(DType t) { return t == DType::BF16 ? 1.5e-2 : 2e-3; }

// Inputs after the first are constants, scaled so that values keep their size through a layer.
Graph model(const std::string& text) {
  auto g = parse_graph(text);
  EXPECT_TRUE(g) << (g ? "" : g.error().message) << "\n" << text;
  if (!g) return {};
  for (size_t k = 1; k < g->body.inputs.size(); ++k) {
    Value* v = g->body.inputs[k];
    std::vector<int64_t> dims;
    int64_t terms = 1;
    for (const Dim& d : v->type.tensor.dims) dims.push_back(d.value());
    for (size_t d = v->name[0] == 'f' ? 1 : 0; d + (v->name[0] == 'f' ? 0 : 1) < dims.size(); ++d) terms *= dims[d];
    v->constant = numbers(dims, static_cast<uint32_t>(k), std::sqrt(3.0 / static_cast<double>(terms)));
  }
  g->body.inputs.resize(1);
  return std::move(*g);
}

double share_of_largest(const TensorData& got, const TensorData& expected) {
  double scale = 0, most = 0;
  for (int64_t k = 0; k < expected.elements(); ++k) {
    scale = std::max(scale, std::abs(expected.number(k)));
    most = std::max(most, std::abs(got.number(k) - expected.number(k)));
  }
  return most / scale;
}

// Compiled code gives what the interpreter gives for the lowered program, but for the order of sums and, in f16, for partial
// sums; both are near f32.
void check(const std::string& text, const std::vector<int64_t>& shape, const std::vector<std::string>& targets,
           int64_t least_lowered) {
  const std::vector<HostValue> inputs = {HostValue::of(numbers(shape, 77))};
  auto exact = Interpreter().run(model(text), inputs);
  ASSERT_TRUE(exact) << exact.error().message;
  for (const std::string& target : targets) {
    for (DType type : {DType::BF16, DType::F16}) {
      PipelineOptions options;
      options.precision = type;
      options.lower_logits = true;
      Graph g = model(text);
      auto p = optimize(g, options);
      ASSERT_TRUE(p) << p.error().message;
      const PrecisionSummary summary = lower_precision(*p, facts_of(*find_target(target)), {type, true, {}});
      if (type == DType::BF16) {
        EXPECT_GE(summary.lowered + summary.weights, least_lowered) << summary.text();
      }
      auto meant = run_program(*p, inputs);
      ASSERT_TRUE(meant) << meant.error().message;
      auto bytes = compile_to_bytes(model(text), {target}, options);
      ASSERT_TRUE(bytes) << target << ": " << bytes.error().message;
      for (int threads : {1, 2}) {
        driver::LoadOptions load;
        load.threads = threads;
        auto executable = driver::load_compiled_memory(*bytes, load);
        ASSERT_TRUE(executable) << target << ": " << executable.error().message;
        auto got = (*executable)->call(inputs);
        ASSERT_TRUE(got) << target << ": " << got.error().message;
        for (size_t k = 0; k < exact->size(); ++k) {
          const TensorData &y = *(*got)[k].tensor, &g32 = *(*exact)[k].tensor;
          EXPECT_LE(share_of_largest(y, g32), allowed(type)) << target << " " << name(type) << "\n" << text;
          EXPECT_LE(share_of_largest(y, *(*meant)[k].tensor), allowed(type) / 2) << target << " " << name(type);
        }
      }
    }
  }
}

std::vector<std::string> targets() {
  std::vector<std::string> names = {"x86-64-v4"};
  if (!runs_here(*find_target(names[0]))) names.clear();
  for (const std::string& t : runnable_targets()) names.push_back(t == "host" ? std::string(host_target().name) : t);
  return names;
}

TEST(Precision, ProductsOfAllSizes) {
  for (int64_t rows : {1, 3, 8, 17}) {
    for (int64_t columns : {16, 129}) {
      for (int64_t terms : {127, 192}) {
        check(fmt::format("graph net(%x: f32[{}, {}], %w: f32[{}, {}]) -> (%y) {{\n  %y = mat_mul %x, %w\n}}\n", rows,
                          terms, terms, columns),
              {rows, terms}, targets(), rows <= 8 && terms * columns >= 16384);
      }
    }
  }
}

TEST(Precision, RowsThatOnlyTheRunKnows) {
  for (int64_t rows : {5, 29})
    check("symbols n in [1, 64]\ngraph net(%x: f32[n, 150], %w: f32[150, 140]) -> (%y) {\n  %y = mat_mul %x, %w\n}\n",
          {rows, 150}, targets(), 1);
}

// A block of a residual network.
TEST(Precision, ResidualBlock) {
  check(
      R"(graph net(%x: f32[1, 64, 14, 14], %f1: f32[32, 64, 1, 1], %f2: f32[32, 32, 3, 3], %f3: f32[64, 32, 1, 1]) -> (%y) {
  %a = conv %x, %f1
  %b = relu %a
  %c = conv %b, %f2 {pads = [1, 1, 1, 1]}
  %d = relu %c
  %e = conv %d, %f3
  %f = add %e, %x
  %y = relu %f
}
)",
      {1, 64, 14, 14}, targets(), 0);
}

// A layer of a transformer: attention, its residual and norm.
TEST(Precision, TransformerLayer) {
  check(
      R"(graph net(%x: f32[1, 24, 64], %wq: f32[64, 64], %wk: f32[64, 64], %wv: f32[64, 64], %wo: f32[64, 64], %w1: f32[64, 256], %w2: f32[256, 64], %g: f32[64]) -> (%y) {
  %q = mat_mul %x, %wq
  %k = mat_mul %x, %wk
  %v = mat_mul %x, %wv
  %a, %pk, %pv, %qk = attention %q, %k, %v {q_num_heads = 4, kv_num_heads = 4}
  %o = mat_mul %a, %wo
  %r = add %o, %x
  %n = layer_normalization %r, %g
  %h = mat_mul %n, %w1
  %e = gelu %h
  %m = mat_mul %e, %w2
  %y = add %m, %n
}
)",
      {1, 24, 64}, targets(), 0);
}

// Nothing is lowered without being asked, and the same input gives the same bytes.
TEST(Precision, Deterministic) {
  const std::string text = "graph net(%x: f32[2, 256], %w: f32[256, 256]) -> (%y) {\n  %y = mat_mul %x, %w\n}\n";
  PipelineOptions bf16;
  bf16.precision = DType::BF16;
  bf16.lower_logits = true;
  auto plain = compile_to_bytes(model(text), {"host"}), first = compile_to_bytes(model(text), {"host"}, bf16),
       second = compile_to_bytes(model(text), {"host"}, bf16);
  ASSERT_TRUE(plain && first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_LT(first->size() + 256 * 256 * 2 - 8192, plain->size());  // half of the weights
}

}  // namespace
}  // namespace ingot::test
