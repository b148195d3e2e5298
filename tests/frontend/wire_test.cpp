#include "frontend/onnx/wire.h"

#include <gtest/gtest.h>

#include "frontend/onnx/proto.h"

namespace ingot::onnx {
namespace {

Bytes bytes_of(const std::string& s) { return {reinterpret_cast<const uint8_t*>(s.data()), s.size()}; }

TEST(Wire, FieldsOfEveryTypeComeBackInOrder) {
  FieldWriter w;
  w.varint(1, UINT64_MAX);
  w.fixed32(2, 0xdeadbeef);
  w.fixed64(3, 0x0123456789abcdef);
  w.bytes(4, std::string_view("hello"));
  FieldReader r(bytes_of(w.data()));
  Field f;
  ASSERT_TRUE(r.next(f));
  EXPECT_EQ(f.number, 1u);
  EXPECT_EQ(f.value, UINT64_MAX);
  ASSERT_TRUE(r.next(f));
  EXPECT_EQ(f.type, WireType::Fixed32);
  EXPECT_EQ(f.value, 0xdeadbeefu);
  ASSERT_TRUE(r.next(f));
  EXPECT_EQ(f.value, 0x0123456789abcdefu);
  ASSERT_TRUE(r.next(f));
  EXPECT_EQ(std::string(f.bytes.begin(), f.bytes.end()), "hello");
  EXPECT_EQ(reinterpret_cast<const char*>(f.bytes.data()), w.data().data() + w.data().size() - 5) << "bytes are a view";
  EXPECT_FALSE(r.next(f));
  EXPECT_TRUE(r.status());
}

std::string fault(const std::string& message) {
  FieldReader r(bytes_of(message));
  for (Field f; r.next(f);) {
  }
  auto status = r.status();
  return status ? "" : status.error().message;
}

TEST(Wire, FaultsAreNamed) {
  EXPECT_EQ(fault("\x08"), "truncated or overlong varint at byte 0 of a message of 1 bytes");
  EXPECT_EQ(fault(std::string("\x08") + std::string(10, '\xff')),
            "truncated or overlong varint at byte 0 of a message of 11 bytes");
  EXPECT_EQ(fault(std::string("\x08") + std::string(9, '\xff') + "\x02"),
            "truncated or overlong varint at byte 0 of a message of 11 bytes");
  EXPECT_EQ(fault(std::string("\x08") + std::string(9, '\xff') + "\x01"), "")
      << "the largest 64-bit number has ten bytes";
  EXPECT_EQ(fault("\x12\x05"
                  "abc"),
            "length past the end of the message at byte 0 of a message of 5 bytes");
  EXPECT_EQ(fault("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            "length past the end of the message at byte 0 of a message of 11 bytes");
  EXPECT_EQ(fault("\x0d\x01\x02"), "truncated fixed-size field at byte 0 of a message of 3 bytes");
  EXPECT_EQ(fault("\x0b"), "unsupported wire type at byte 0 of a message of 1 bytes");
  EXPECT_EQ(fault(std::string("\x00", 1)), "field number out of range at byte 0 of a message of 1 bytes");
}

TEST(Wire, EveryPrefixOfAMessageEndsOrFails) {
  FieldWriter w;
  w.varint(300, 1 << 20);
  w.bytes(4, std::string_view("abcdefgh"));
  w.fixed64(5, 7);
  for (size_t n = 0; n < w.data().size(); ++n) {
    std::string prefix = w.data().substr(0, n);
    FieldReader r(bytes_of(prefix));
    size_t count = 0;
    for (Field f; r.next(f);) ++count;
    EXPECT_LT(count, 3u);
  }
}

// Repeated numbers may be packed, one by one, or both; the result is the same.
TEST(Wire, PackedAndUnpackedMeet) {
  FieldWriter w;
  w.varint(7, 5);
  w.packed_varints(7, std::vector<int64_t>{-1, 300});
  w.varint(7, 1);
  Packed p;
  FieldReader r(bytes_of(w.data()));
  for (Field f; r.next(f);) ASSERT_TRUE(p.add(f, WireType::Varint));
  auto values = unpack_varints(p.view());
  ASSERT_TRUE(values);
  EXPECT_EQ(*values, (std::vector<uint64_t>{5, UINT64_MAX, 300, 1}));
}

TEST(Wire, OnePackedRunIsNotCopied) {
  FieldWriter w;
  w.packed_varints(7, std::vector<int64_t>{1, 2, 3});
  Packed p;
  FieldReader r(bytes_of(w.data()));
  for (Field f; r.next(f);) ASSERT_TRUE(p.add(f, WireType::Varint));
  EXPECT_TRUE(p.owned.empty());
  EXPECT_EQ(p.view().size(), 3u);
}

TEST(Proto, TensorDimsPackedOrNot) {
  FieldWriter packed, plain;
  packed.packed_varints(1, std::vector<int64_t>{2, 3});
  plain.varint(1, 2);
  plain.varint(1, 3);
  EXPECT_EQ(decode_tensor(bytes_of(packed.data()))->dims, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(decode_tensor(bytes_of(plain.data()))->dims, (std::vector<int64_t>{2, 3}));
}

TEST(Proto, UnknownFieldsAreSkippedKnownOnesAreChecked) {
  FieldWriter w;
  w.varint(99, 1);
  w.bytes(98, std::string_view("?"));
  EXPECT_TRUE(decode_tensor(bytes_of(w.data())));
  w.varint(8, 1);
  auto t = decode_tensor(bytes_of(w.data()));
  ASSERT_FALSE(t);
  EXPECT_EQ(t.error().message, "field 8 has wire type varint, expected bytes");
}

TEST(Proto, DepthIsBounded) {
  std::string type;
  for (int i = 0; i < 200; ++i) {  // sequence of sequence of ...
    FieldWriter element, t;
    element.bytes(1, std::string_view(type));
    t.message(4, element);
    type = t.take();
  }
  FieldWriter info, graph, model;
  info.bytes(2, std::string_view(type));
  graph.message(11, info);
  model.message(7, graph);
  auto m = decode_model(bytes_of(model.data()));
  ASSERT_FALSE(m);
  EXPECT_EQ(m.error().message, "messages nested deeper than 100");
  EXPECT_EQ(m.error().kind, ErrorKind::Limit);
}

// IR version 1 had no `type` in attributes; the field that is there says it, nested graphs included.
TEST(Proto, AttributeTypeFollowsFromItsField) {
  FieldWriter inner_attr, inner_node, graph, attr, node, top, model;
  inner_attr.bytes(1, std::string_view("alpha"));
  inner_attr.fixed32(2, 0x3f800000);
  inner_node.message(5, inner_attr);
  graph.message(1, inner_node);
  attr.bytes(1, std::string_view("body"));
  attr.message(6, graph);
  node.message(5, attr);
  top.message(1, node);
  model.message(7, top);
  auto m = decode_model(bytes_of(model.data()));
  ASSERT_TRUE(m);
  const AttributeProto& a = m->graph->node[0].attribute[0];
  EXPECT_EQ(a.type, AttributeProto::kGraph);
  EXPECT_EQ(a.g->node[0].attribute[0].type, AttributeProto::kFloat);
  EXPECT_EQ(a.g->node[0].attribute[0].f, 1.0f);
}

}  // namespace
}  // namespace ingot::onnx
