#include "ir/types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ir/numeric.h"
#include "ir/small_float.h"

namespace ingot {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

TEST(Types, NamesRoundTrip) {
  for (int i = 1; i <= static_cast<int>(DType::String); ++i) {
    auto t = static_cast<DType>(i);
    EXPECT_EQ(dtype_named(name(t)), t);
  }
  EXPECT_EQ(dtype_named("f33"), DType::Invalid);
  EXPECT_EQ(name(DType::F8E4M3FN), "f8e4m3fn");
}

TEST(Types, StorageIsPackedAndSaturates) {
  EXPECT_EQ(storage_bytes(DType::I4, 3), 2);
  EXPECT_EQ(storage_bytes(DType::U2, 5), 2);
  EXPECT_EQ(storage_bytes(DType::Bool, 5), 5);
  EXPECT_EQ(storage_bytes(DType::C128, 2), 32);
  EXPECT_EQ(storage_bytes(DType::F64, INT64_MAX), kDimMax);
  EXPECT_EQ(storage_bytes(DType::F64, -1), 0);
}

TEST(Types, Strings) {
  Dim batch(Dim::symbol("batch"));
  TensorType t{DType::F32, {Dim(1), batch * 2, Dim(56)}};
  EXPECT_EQ(t.str(), "f32[1, batch*2, 56]");
  EXPECT_EQ(t.numel(), batch * 112);
  EXPECT_FALSE(t.is_static());
  EXPECT_EQ(Type::sequence(Type::of(t)).str(), "seq(f32[1, batch*2, 56])");
  EXPECT_EQ(Type::map(DType::I64, Type::of({DType::F32, {}})).str(), "map(i64, f32[])");
  EXPECT_EQ(Type{}.str(), "none");
}

TEST(Types, PackedElementsStartInTheLowestBits) {
  auto t = TensorData::make(DType::I4, {3});
  t->mutable_bytes()[0] = 0x8F;
  t->mutable_bytes()[1] = 0x07;
  EXPECT_EQ(t->integer(0), -1);
  EXPECT_EQ(t->integer(1), -8);
  EXPECT_EQ(t->integer(2), 7);
  auto u = TensorData::make(DType::U2, {4});
  u->mutable_bytes()[0] = 0b11'10'01'00;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(u->integer(i), i);
}

TEST(Types, EveryNumericTypeStoresAndLoads) {
  for (int k = 1; k < static_cast<int>(DType::C64); ++k) {
    auto t = static_cast<DType>(k);
    auto d = TensorData::make(t, {5});
    for (int i = 0; i < 5; ++i) {
      double v = t == DType::F8E8M0 ? std::ldexp(1.0, i) : i % 2;
      if (is_float(t)) store_number(t, d->mutable_bytes(), i, v);
      else store_integer(t, d->mutable_bytes(), i, static_cast<int64_t>(v));
    }
    for (int i = 0; i < 5; ++i) {
      double v = t == DType::F8E8M0 ? std::ldexp(1.0, i) : i % 2;
      double expected = t == DType::I2 && v == 1 ? 1 : v;
      EXPECT_EQ(d->number(i), expected) << name(t) << " " << i;
      EXPECT_EQ(d->integer(i), static_cast<int64_t>(expected)) << name(t) << " " << i;
    }
  }
  auto u = TensorData::make(DType::U64, {1});
  store_integer(DType::U64, u->mutable_bytes(), 0, -1);
  EXPECT_EQ(u->number(0), 0x1p64);
  EXPECT_EQ(u->integer(0), -1);
}

TEST(Types, FloatToIntegerTruncatesAndSaturates) {
  EXPECT_EQ(truncate_to(DType::I8, -1.9), -1);
  EXPECT_EQ(truncate_to(DType::I8, 300), 127);
  EXPECT_EQ(truncate_to(DType::I8, -300), -128);
  EXPECT_EQ(truncate_to(DType::U8, -3), 0);
  EXPECT_EQ(truncate_to(DType::U8, 1e9), 255);
  EXPECT_EQ(truncate_to(DType::I64, kInf), INT64_MAX);
  EXPECT_EQ(truncate_to(DType::I64, -kInf), INT64_MIN);
  EXPECT_EQ(truncate_to(DType::U64, kInf), -1);
  EXPECT_EQ(truncate_to(DType::I32, kNaN), 0);
  EXPECT_EQ(truncate_to(DType::Bool, 0.25), 1);
  EXPECT_EQ(wrap_to(DType::I8, 200), -56);
  EXPECT_EQ(wrap_to(DType::U16, -1), 65535);
}

// Every code of every format decodes to a value that encodes to the same code, and the values in between round to nearest even.
TEST(SmallFloat, CodesRoundTripAndTiesGoToEven) {
  struct Case {
    const char* name;
    FloatFormat f;
  } cases[] = {{"f16", kF16},     {"bf16", kBF16},           {"e4m3fn", kF8E4M3FN}, {"e4m3fnuz", kF8E4M3FNUZ},
               {"e5m2", kF8E5M2}, {"e5m2fnuz", kF8E5M2FNUZ}, {"e2m1", kF4E2M1}};
  for (const Case& c : cases) {
    uint32_t sign = 1u << (c.f.exponent_bits + c.f.mantissa_bits);
    for (uint32_t code = 0; code <= c.f.max; ++code) {
      double v = decode_float(code, c.f);
      ASSERT_EQ(encode_float(v, c.f), code) << c.name;
      ASSERT_EQ(encode_float(-v, c.f), code == 0 && c.f.unsigned_zero ? 0 : code | sign) << c.name;
      if (code == c.f.max) continue;
      double next = decode_float(code + 1, c.f), middle = (v + next) / 2;
      ASSERT_LT(v, next);
      ASSERT_EQ(encode_float(middle, c.f), code % 2 ? code + 1 : code) << c.name;
      ASSERT_EQ(encode_float(std::nextafter(middle, v), c.f), code) << c.name;
      ASSERT_EQ(encode_float(std::nextafter(middle, next), c.f), code + 1) << c.name;
    }
    if (c.f.nan) {
      EXPECT_TRUE(std::isnan(decode_float(c.f.nan, c.f))) << c.name;
      EXPECT_EQ(encode_float(kNaN, c.f), c.f.nan) << c.name;
    }
  }
}

TEST(SmallFloat, KnownValues) {
  EXPECT_EQ(decode_float(0x7E, kF8E4M3FN), 448);
  EXPECT_EQ(decode_float(0x7F, kF8E4M3FNUZ), 240);
  EXPECT_EQ(decode_float(0x7B, kF8E5M2), 57344);
  EXPECT_EQ(decode_float(0x7F, kF8E5M2FNUZ), 57344);
  EXPECT_EQ(decode_float(0x7, kF4E2M1), 6);
  EXPECT_EQ(decode_float(0x1, kF4E2M1), 0.5);
  EXPECT_EQ(decode_float(0x0001, kF16), std::ldexp(1.0, -24));
  EXPECT_EQ(float_to_f16(65520), 0x7C00);
  EXPECT_EQ(float_to_f16(65519), 0x7BFF);
  EXPECT_EQ(float_to_bf16(1.0), 0x3F80);
  EXPECT_EQ(encode_float(1e-300, kF16), 0u);
  EXPECT_EQ(encode_float(5e-324, kF16), 0u);
}

// The tables of ONNX Cast-23.
TEST(SmallFloat, OverflowFollowsSaturate) {
  EXPECT_EQ(encode_float(kInf, kF8E4M3FN, true), 0x7Eu);
  EXPECT_EQ(encode_float(-kInf, kF8E4M3FN, true), 0xFEu);
  EXPECT_EQ(encode_float(1000, kF8E4M3FN, true), 0x7Eu);
  EXPECT_EQ(encode_float(1000, kF8E4M3FN, false), 0x7Fu);
  EXPECT_EQ(encode_float(-1000, kF8E4M3FN, false), 0xFFu);
  EXPECT_EQ(encode_float(kInf, kF8E5M2, true), 0x7Bu);
  EXPECT_EQ(encode_float(kInf, kF8E5M2, false), 0x7Cu);
  EXPECT_EQ(encode_float(1e6, kF8E4M3FNUZ, false), 0x80u);
  EXPECT_EQ(encode_float(1e6, kF8E4M3FNUZ, true), 0x7Fu);
  EXPECT_EQ(encode_float(-0.0, kF8E4M3FNUZ), 0u);
  EXPECT_EQ(encode_float(-0.0, kF8E4M3FN), 0x80u);
  EXPECT_EQ(encode_float(kInf, kF4E2M1), 7u);
  EXPECT_EQ(encode_float(-100, kF4E2M1), 15u);
  EXPECT_EQ(encode_float(kNaN, kF4E2M1), 8u);
}

TEST(SmallFloat, E8M0) {
  EXPECT_EQ(encode_e8m0(1.0f), 127);
  EXPECT_EQ(encode_e8m0(1.1f), 128);
  EXPECT_EQ(encode_e8m0(1.1f, true, RoundE8M0::Down), 127);
  EXPECT_EQ(encode_e8m0(1.1f, true, RoundE8M0::Nearest), 127);
  EXPECT_EQ(encode_e8m0(1.6f, true, RoundE8M0::Nearest), 128);
  EXPECT_EQ(encode_e8m0(std::numeric_limits<float>::max()), 0xFE);
  EXPECT_EQ(encode_e8m0(std::numeric_limits<float>::max(), false), 0xFF);
  EXPECT_EQ(encode_e8m0(static_cast<float>(kNaN)), 0xFF);
  EXPECT_EQ(decode_e8m0(0), std::ldexp(1.0, -127));
}

}  // namespace
}  // namespace ingot
