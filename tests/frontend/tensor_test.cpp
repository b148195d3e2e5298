#include "frontend/onnx/tensor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/frontend/onnx_builder.h"

namespace ingot::onnx {
namespace {

using build::bytes_of;

struct Encoded {
  std::string bytes;
  Result<TensorRef> read(ExternalFiles* external = nullptr) const {
    auto proto = decode_tensor(bytes_of(bytes));
    if (!proto) return std::move(proto.error());
    return read_tensor(*proto, {nullptr, external});
  }
  std::string error(ExternalFiles* external = nullptr) const {
    auto t = read(external);
    return t ? "" : t.error().message;
  }
};

Encoded typed(DType dtype, const std::vector<int64_t>& dims, uint32_t field, const std::vector<int64_t>& numbers) {
  FieldWriter w;
  w.packed_varints(1, dims);
  w.varint(2, static_cast<uint64_t>(data_type_of(dtype)));
  w.packed_varints(field, numbers);
  return {w.take()};
}

TEST(Tensor, IntegersInTheirTypedFields) {
  struct Case {
    DType dtype;
    uint32_t field;
    int64_t low, high;
  };
  const Case cases[] = {
      {DType::I8, 5, -128, 127},
      {DType::U8, 5, 0, 255},
      {DType::I16, 5, -32768, 32767},
      {DType::U16, 5, 0, 65535},
      {DType::I32, 5, INT32_MIN, INT32_MAX},
      {DType::U32, 11, 0, UINT32_MAX},
      {DType::I64, 7, INT64_MIN, INT64_MAX},
      {DType::U64, 11, 0, INT64_MAX},
      {DType::Bool, 5, 0, 1},
  };
  for (const Case& c : cases) {
    auto t = typed(c.dtype, {2}, c.field, {c.low, c.high}).read();
    ASSERT_TRUE(t) << name(c.dtype) << ": " << t.error().message;
    EXPECT_EQ((*t)->dtype, c.dtype);
    EXPECT_EQ((*t)->integer(0), c.low) << name(c.dtype);
    EXPECT_EQ((*t)->integer(1), c.high) << name(c.dtype);
  }
}

TEST(Tensor, SmallFloatsAreBitPatternsInIntegers) {
  struct Case {
    DType dtype;
    int64_t bits;
    double value;
  };
  const Case cases[] = {
      {DType::F16, 0x3e00, 1.5}, {DType::BF16, 0x3fc0, 1.5}, {DType::F8E4M3FN, 0x3c, 1.5}, {DType::F8E5M2, 0x3e, 1.5}};
  for (const Case& c : cases) {
    auto t = typed(c.dtype, {1}, 5, {c.bits}).read();
    ASSERT_TRUE(t) << name(c.dtype);
    EXPECT_EQ((*t)->number(0), c.value) << name(c.dtype);
  }
}

// Two 4-bit elements to a number, the first in the low bits; four 2-bit ones.
TEST(Tensor, PackedIntegers) {
  auto i4 = typed(DType::I4, {3}, 5, {0xf7, 0x08}).read();
  ASSERT_TRUE(i4);
  EXPECT_EQ((*i4)->integer(0), 7);
  EXPECT_EQ((*i4)->integer(1), -1);
  EXPECT_EQ((*i4)->integer(2), -8);
  auto u2 = typed(DType::U2, {5}, 5, {0b11100100, 0b10}).read();
  ASSERT_TRUE(u2);
  for (int i = 0; i < 4; ++i) EXPECT_EQ((*u2)->integer(i), i);
  EXPECT_EQ((*u2)->integer(4), 2);
  EXPECT_EQ(typed(DType::U4, {5}, 5, {1, 2}).error(), "got 2 bytes of numbers, expected 3 numbers for u4[5]");
}

TEST(Tensor, FloatsComplexAndStrings) {
  FieldWriter w;
  w.varint(2, 1);
  w.varint(1, 2);
  w.bytes(4, std::string_view(build::raw<float>({1.5f, -2})));
  auto f = Encoded{w.data()}.read();
  ASSERT_TRUE(f);
  EXPECT_EQ((*f)->number(1), -2);

  FieldWriter c;
  c.varint(2, 15);
  c.varint(1, 1);
  c.bytes(10, std::string_view(build::raw<double>({3, 4})));
  auto z = Encoded{c.data()}.read();
  ASSERT_TRUE(z);
  EXPECT_EQ((*z)->dtype, DType::C128);
  EXPECT_EQ((*z)->as<double>()[1], 4);

  FieldWriter s;
  s.varint(2, 8);
  s.varint(1, 2);
  s.bytes(6, std::string_view("a"));
  EXPECT_EQ(Encoded{s.data()}.error(), "got 1 strings, expected 2");
  s.bytes(6, std::string_view(""));
  auto t = Encoded{s.data()}.read();
  ASSERT_TRUE(t);
  EXPECT_EQ((*t)->strings, (std::vector<std::string>{"a", ""}));
}

TEST(Tensor, BoolBecomesZeroOrOne) {
  auto t = Encoded{build::tensor("b", 9, {3}, std::string("\x00\x05\x01", 3))}.read();
  ASSERT_TRUE(t);
  EXPECT_EQ((*t)->bytes[1], 1);
}

TEST(Tensor, LargeContentsAreNotCopied) {
  std::string contents(static_cast<size_t>(kCopyBelow) + 4, 'x');
  std::string encoded = build::tensor("w", 2, {kCopyBelow + 4}, contents);
  auto proto = decode_tensor(bytes_of(encoded));
  ASSERT_TRUE(proto);
  auto owner = std::make_shared<int>(1);
  auto t = read_tensor(*proto, {owner, nullptr});
  ASSERT_TRUE(t);
  EXPECT_EQ((*t)->bytes, proto->raw_data->data());
  EXPECT_EQ(owner.use_count(), 2);
}

TEST(Tensor, LiesAreFound) {
  EXPECT_EQ(Encoded{build::tensor("w", 1, {2, 3}, "12345")}.error(), "got 5 bytes of data, expected 24 for f32[2, 3]");
  EXPECT_EQ(Encoded{build::tensor("w", 1, {-1}, "")}.error(), "negative extent -1");
  EXPECT_EQ(Encoded{build::tensor("w", 1, {1 << 30, 1 << 30, 1 << 30}, "")}.error(),
            "tensor [1073741824, 1073741824, 1073741824] has more than 2^40 elements");
  EXPECT_EQ(Encoded{build::tensor("w", 1, {0, INT64_MAX, INT64_MAX}, "")}.error(),
            "tensor [0, 9223372036854775807, 9223372036854775807] has more than 2^40 elements");
  EXPECT_EQ(Encoded{build::tensor("w", 77, {1}, "1234")}.error(), "unknown element type 77");
  EXPECT_EQ(Encoded{build::tensor("w", 1, std::vector<int64_t>(65, 1), "1234")}.error(),
            "tensor of rank 65, expected at most 64");
  EXPECT_EQ(typed(DType::I64, {int64_t{1} << 39}, 7, {1}).error(),
            "got 1 bytes of numbers, expected 549755813888 numbers for i64[549755813888]");
  EXPECT_EQ(typed(DType::I64, {1}, 7, {1, 2}).error(), "more numbers than the 1 of i64[1]");
}

TEST(Tensor, EmptyTensorsNeedNoData) {
  auto t = Encoded{build::tensor("e", 1, {0, 3}, "")}.read();
  ASSERT_TRUE(t);
  EXPECT_EQ((*t)->elements(), 0);
}

TEST(Tensor, WrittenTensorsReadBack) {
  for (int code = 1; code <= 26; ++code) {
    DType dtype = dtype_of(code);
    auto t = TensorData::make(dtype, {2, 3});
    if (dtype == DType::String) t->strings = {"a", "b", "c", "", "e", "f"};
    else
      for (int64_t i = 0; i < t->size_bytes; ++i)
        t->mutable_bytes()[i] = dtype == DType::Bool ? i & 1 : static_cast<uint8_t>(i * 37 + 1);
    if (bits(dtype) == 2) t->mutable_bytes()[1] &= 0x0f;
    std::string encoded = write_tensor(*t, "name");
    auto proto = decode_tensor(bytes_of(encoded));
    ASSERT_TRUE(proto);
    EXPECT_EQ(proto->name, "name");
    auto back = read_tensor(*proto, {});
    ASSERT_TRUE(back) << name(dtype) << ": " << back.error().message;
    EXPECT_EQ((*back)->dims, t->dims);
    EXPECT_EQ((*back)->strings, t->strings);
    EXPECT_TRUE(std::equal(t->bytes, t->bytes + t->size_bytes, (*back)->bytes)) << name(dtype);
  }
}

SparseTensorProto sparse(const std::string& values, const std::string& indices, std::vector<int64_t> dims) {
  return {*decode_tensor(bytes_of(values)), *decode_tensor(bytes_of(indices)), std::move(dims)};
}

TEST(Tensor, SparseBecomesDense) {
  std::string values = build::floats("v", {2}, {5, 7});
  std::string linear = build::ints("i", {2}, {1, 5}), pairs = build::ints("i", {2, 2}, {0, 1, 1, 2});
  for (const std::string* indices : {&linear, &pairs}) {
    auto t = read_sparse_tensor(sparse(values, *indices, {2, 3}), {});
    ASSERT_TRUE(t) << t.error().message;
    const float expected[] = {0, 5, 0, 0, 0, 7};
    for (int i = 0; i < 6; ++i) EXPECT_EQ((*t)->number(i), expected[i]);
  }
  std::string outside = build::ints("i", {2}, {1, 6});
  auto t = read_sparse_tensor(sparse(values, outside, {2, 3}), {});
  ASSERT_FALSE(t);
  EXPECT_EQ(t.error().message, "sparse index 6 is outside of 6 elements");
}

class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "ingot_external_XXXXXX").string();
    ASSERT_TRUE(mkdtemp(pattern.data()));
    root_ = pattern;
    std::filesystem::create_directories(root_ / "model/sub");
    std::ofstream(root_ / "model/sub/w.bin") << "0123456789abcdef";
    std::ofstream(root_ / "secret.bin") << "secretsecret";
    std::filesystem::create_symlink("../secret.bin", root_ / "model/link.bin");
    std::filesystem::create_symlink("sub/w.bin", root_ / "model/inside.bin");
    std::filesystem::create_symlink("..", root_ / "model/up");
    files_ = std::make_unique<ExternalFiles>(std::vector{(root_ / "model").string()});
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  Encoded at(const std::string& location, std::vector<std::pair<std::string, std::string>> more = {}) {
    more.insert(more.begin(), {"location", location});
    return {build::external("w", 2, {4}, more)};
  }
  std::string error(const Encoded& e) { return e.error(files_.get()); }

  std::filesystem::path root_;
  std::unique_ptr<ExternalFiles> files_;
};

TEST_F(ExternalData, OffsetAndLength) {
  auto t = at("sub/w.bin", {{"offset", "10"}, {"length", "4"}}).read(files_.get());
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ((*t)->integer(0), 'a');
  EXPECT_TRUE(at("inside.bin").read(files_.get())) << "a link that stays inside is fine";
}

TEST_F(ExternalData, StaysInTheFolder) {
  EXPECT_EQ(error(at("../secret.bin")), "external data location '../secret.bin' leaves the model's folder");
  EXPECT_EQ(error(at("sub/../../secret.bin")),
            "external data location 'sub/../../secret.bin' leaves the model's folder");
  EXPECT_EQ(error(at("/etc/passwd")),
            "external data location '/etc/passwd' is absolute, expected one inside the model's folder");
  EXPECT_EQ(error(at("link.bin")), "external data location 'link.bin' leads out of the model's folder through a link");
  EXPECT_EQ(error(at("up/secret.bin")),
            "external data location 'up/secret.bin' leads out of the model's folder through a link");
  EXPECT_NE(error(at("none.bin")).find("No such file"), std::string::npos);
  EXPECT_NE(error(at("sub")).find("is not a regular file"), std::string::npos);
  EXPECT_EQ(error(at("")), "external data has no location");
}

// snapshots/abc/model.onnx -> ../../blobs/1111, and the weights beside it likewise.
TEST_F(ExternalData, CacheOfAModelHub) {
  namespace fs = std::filesystem;
  const fs::path snapshot = root_ / "snapshots/abc", blobs = root_ / "blobs";
  fs::create_directories(snapshot);
  fs::create_directories(blobs / "deeper");
  std::ofstream(blobs / "1111") << "model";
  std::ofstream(blobs / "2222") << "0123456789abcdef";
  std::ofstream(blobs / "beside.bin") << "0123456789abcdef";
  std::ofstream(root_ / "snapshots/other.bin") << "secretsecret";
  fs::create_symlink("../../blobs/1111", snapshot / "model.onnx");
  fs::create_symlink("../../blobs/2222", snapshot / "w.bin");
  fs::create_symlink("../../secret.bin", snapshot / "secret.bin");
  fs::create_symlink("../other.bin", snapshot / "other.bin");
  fs::create_symlink("../../blobs", snapshot / "folder");
  fs::create_symlink("loop.bin", snapshot / "loop.bin");
  fs::create_symlink("/dev/zero", snapshot / "device");
  fs::create_symlink("../secret.bin", blobs / "out.bin");
  fs::create_symlink("../../blobs/out.bin", snapshot / "twice.bin");
  ASSERT_EQ(mkfifo((snapshot / "pipe").c_str(), 0600), 0);

  const std::vector<std::string> folders = folders_of_model((snapshot / "model.onnx").string());
  ASSERT_EQ(folders.size(), 2u);
  ExternalFiles files(folders);
  EXPECT_TRUE(at("w.bin").read(&files)) << "a link into the real file's folder";
  EXPECT_TRUE(at("beside.bin").read(&files)) << "a file beside the real one";
  const std::string out = " leads out of the model's folder through a link";
  for (const char* name : {"secret.bin", "other.bin", "device", "twice.bin"})
    EXPECT_EQ(at(name).error(&files), fmt::format("external data location '{}'{}", name, out));
  EXPECT_NE(at("loop.bin").error(&files).find("Too many levels of symbolic links"), std::string::npos);
  for (const char* name : {"pipe", "folder/deeper"})
    EXPECT_NE(at(name).error(&files).find("is not a regular file"), std::string::npos) << name;
  EXPECT_EQ(at("../abc/w.bin").error(&files), "external data location '../abc/w.bin' leaves the model's folder");
  EXPECT_EQ(at((blobs / "2222").string()).error(&files),
            fmt::format("external data location '{}' is absolute, expected one inside the model's folder",
                        (blobs / "2222").string()));
  // Not through a link, the folder of the blobs is out of bounds.
  ExternalFiles plain(std::vector{snapshot.string()});
  EXPECT_EQ(at("w.bin").error(&plain), "external data location 'w.bin'" + out);
}

TEST_F(ExternalData, BoundsAreChecked) {
  EXPECT_EQ(error(at("sub/w.bin", {{"offset", "17"}})),
            "external data offset 17 is past the end of 'sub/w.bin' (16 bytes)");
  EXPECT_EQ(error(at("sub/w.bin", {{"offset", "14"}})), "got 2 bytes of data, expected 4 for u8[4]");
  EXPECT_EQ(error(at("sub/w.bin", {{"offset", "14"}, {"length", "4"}})),
            "external data at 14 of 4 bytes is past the end of 'sub/w.bin' (16 bytes)");
  EXPECT_EQ(error(at("sub/w.bin", {{"offset", "-1"}})), "external data has offset '-1', expected a number");
  EXPECT_EQ(error(at("sub/w.bin", {{"offset", "99999999999999999999"}})),
            "external data has offset '99999999999999999999', expected a number");
  EXPECT_EQ(at("sub/w.bin").error(nullptr), "external data is not allowed here");
}

}  // namespace
}  // namespace ingot::onnx
