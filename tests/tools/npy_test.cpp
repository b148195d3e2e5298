#include "tools/driver/npy.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ingot::driver {
namespace {

std::string file(const std::string& header, const std::string& data, int version = 1) {
  std::string text = header + "\n", out("\x93NUMPY", 6);
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(text.size() >> (8 * i));
  return out + text + data;
}
std::string header(const std::string& descr, const std::string& shape, const char* fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}
template <class T>
std::string raw(std::vector<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Npy, reads_little_endian_floats) {
  auto t = parse_npy(file(header("<f4", "(2, 3)"), raw<float>({1, 2, 3, 4, 5, 6})));
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ((*t)->type().str(), "f32[2, 3]");
  EXPECT_EQ((*t)->number(5), 6);
}

TEST(Npy, reads_big_endian_and_version_2) {
  auto t = parse_npy(file(header(">i4", "(2,)"), std::string("\0\0\1\2\xff\xff\xff\xfe", 8), 2));
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ((*t)->integer(0), 258);
  EXPECT_EQ((*t)->integer(1), -2);
}

TEST(Npy, reads_fortran_order) {
  // The columns of [[1, 2, 3], [4, 5, 6]] one after the other.
  auto t = parse_npy(file(header("<i8", "(2, 3)", "True"), raw<int64_t>({1, 4, 2, 5, 3, 6})));
  ASSERT_TRUE(t) << t.error().message;
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ((*t)->integer(i), i + 1);
}

TEST(Npy, reads_strings) {
  auto t = parse_npy(file(header("<U2", "(2,)"), raw<uint32_t>({'a', 0xe9, 'b', 0})));
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ((*t)->strings, (std::vector<std::string>{"a\xc3\xa9", "b"}));
}

TEST(Npy, reads_a_scalar_and_an_empty_array) {
  auto scalar = parse_npy(file(header("<f8", "()"), raw<double>({2.5})));
  ASSERT_TRUE(scalar) << scalar.error().message;
  EXPECT_EQ((*scalar)->type().str(), "f64[]");
  auto empty = parse_npy(file(header("<f4", "(0, 3)"), ""));
  ASSERT_TRUE(empty) << empty.error().message;
  EXPECT_EQ((*empty)->elements(), 0);
}

TEST(Npy, round_trips_every_numpy_type) {
  for (DType dtype : {DType::Bool, DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32, DType::I64,
                      DType::U64, DType::F16, DType::F32, DType::F64, DType::C64, DType::C128}) {
    auto t = TensorData::make(dtype, {3, 2});
    for (int64_t i = 0; i < t->size_bytes; ++i) t->mutable_bytes()[i] = static_cast<uint8_t>(i % 2);
    std::string note;
    auto back = parse_npy(format_npy(*t, &note));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(note, "");
    EXPECT_EQ((*back)->type().str(), t->type().str());
    EXPECT_EQ(std::memcmp((*back)->bytes, t->bytes, static_cast<size_t>(t->size_bytes)), 0);
  }
}

TEST(Npy, round_trips_strings) {
  auto t = TensorData::make(DType::String, {2});
  t->strings = {"", "z\xc3\xbc\xe4\xb8\xad\xf0\x9f\x98\x80"};
  auto back = parse_npy(format_npy(*t));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ((*back)->strings, t->strings);
}

TEST(Npy, writes_what_numpy_lacks_as_integers_and_says_so) {
  std::string note;
  auto t = TensorData::make(DType::I4, {3});
  t->mutable_bytes()[0] = 0xf1;  // 1, -1
  t->mutable_bytes()[1] = 0x08;  // -8
  auto back = parse_npy(format_npy(*t, &note));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(note, "i4 saved as int8");
  EXPECT_EQ((*back)->type().str(), "i8[3]");
  EXPECT_EQ((*back)->integer(0), 1);
  EXPECT_EQ((*back)->integer(1), -1);
  EXPECT_EQ((*back)->integer(2), -8);
  (void)format_npy(*TensorData::make(DType::BF16, {1}), &note);
  EXPECT_EQ(note, "bf16 saved as its bits in uint16");
}

TEST(Npy, data_begins_at_a_multiple_of_64) {
  const std::string bytes = format_npy(*TensorData::make(DType::F32, {5, 7, 9}));
  EXPECT_EQ((bytes.size() - 5 * 7 * 9 * 4) % 64, 0u);
}

TEST(Npy, refuses_malformed_files) {
  const std::pair<std::string, std::string> cases[] = {
      {"hello, world", "not a .npy file: the magic bytes are missing"},
      {file(header("<f4", "(2,)"), "1234567"), "a .npy file has 7 bytes of data, expected 8 from its shape"},
      {file(header("<f4", "(4611686018427387904, 4)"), ""), "a .npy file's shape is too large"},
      {file(header("<f4", "(99999999999999999999,)"), ""), "malformed .npy header: an extent is too large"},
      {file(header("<f4", "(-1,)"), ""), "malformed .npy header: expected an extent"},
      {file(header("<f3", "(1,)"), ""), "the .npy type '<f3' is not supported"},
      {file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", ""),
       "structured .npy types are not supported"},
      {file("{'descr': '<f4', 'shape': (1,)}", "1234"),
       "malformed .npy header: expected descr, fortran_order and shape"},
      {file("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "1234"),
       "malformed .npy header: expected True or False"},
      {file(header("<f4", "(1,)"), "", 9), "a .npy file of version 9, expected 1, 2 or 3"},
      {file(header("<f4", "(1,)"), "").substr(0, 30), "a .npy file ends inside its header"},
  };
  for (const auto& [bytes, message] : cases) {
    auto t = parse_npy(bytes);
    ASSERT_FALSE(t) << message;
    EXPECT_EQ(t.error().message, message);
  }
}

// Every prefix and every single-byte change of a valid file is read or refused, and never crashes.
TEST(Npy, survives_damage) {
  const std::string good = file(header("<i2", "(2, 2)", "True"), raw<int16_t>({1, 2, 3, 4}));
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(parse_npy(good.substr(0, n)));
  for (size_t i = 0; i < good.size(); ++i)
    for (int flip : {1, 0x10, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      (void)parse_npy(bad);
    }
}

}  // namespace
}  // namespace ingot::driver
