// Loading and running images: static and dynamic shapes, strings, objects, bindings, messages.
#include <cstring>
#include <filesystem>
#include <numeric>

#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

std::vector<float> ramp(size_t n) {
  std::vector<float> x(n);
  std::iota(x.begin(), x.end(), 0.f);
  return x;
}

void expect_sum(const DLTensor* y, const std::vector<float>& x) {
  ASSERT_EQ(shape_of(y), (std::vector<int64_t>{2048, 3}));
  auto got = values_of<float>(y);
  for (size_t i = 0; i < x.size(); i++) ASSERT_EQ(got[i], x[i] + kWeights[i % 3]) << i;
}

// A static model from a file gives its sums, run after run, and keeps its writable memory.
TEST(Run, StaticModel) {
  auto model = load_file(static_add(), INGOT_LOAD_VERIFY_WEIGHTS);
  ASSERT_TRUE(model);
  auto s = session(model);
  auto x = ramp(2048 * 3);
  Tensor in(x.data(), {2048, 3}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, in), INGOT_OK) << ingot_last_error();
  int64_t runs = 0;
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
    expect_sum(output_of(s, 0), x);
    int64_t now = values_of<int64_t>(output_of(s, 1))[0];
    if (i) {
      EXPECT_EQ(now, runs + 1);
    }
    runs = now;
  }
  EXPECT_STREQ(ingot_session_error(s.get()), "");
}

// From memory too, at an address that makes the runtime copy the weights.
TEST(Run, FromMemory) {
  auto bytes = ingot_bytes(static_add());
  ASSERT_TRUE(bytes);
  std::vector<uint8_t> shifted(bytes->size() + 72);
  uint8_t* at = shifted.data() + (64 - reinterpret_cast<uintptr_t>(shifted.data()) % 64) + 8;
  std::memcpy(at, bytes->data(), bytes->size());
  ingot_model* raw = nullptr;
  ASSERT_EQ(ingot_model_load_memory(at, bytes->size(), nullptr, &raw), INGOT_OK) << ingot_last_error();
  ModelPtr model(raw, ingot_model_free);
  auto s = session(model);
  auto x = ramp(2048 * 3);
  Tensor in(x.data(), {2048, 3}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, in), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  expect_sum(output_of(s, 0), x);
}

TEST(Run, DescribesTheModel) {
  auto model = load_file(static_add());
  EXPECT_STREQ(ingot_model_name(model.get()), "static_add");
  EXPECT_STREQ(ingot_model_producer(model.get()), "test");
  EXPECT_STREQ(ingot_model_target(model.get()), "x86-64");
  ASSERT_EQ(ingot_model_input_count(model.get()), 1);
  ASSERT_EQ(ingot_model_output_count(model.get()), 2);
  const ingot_port* x = ingot_model_input(model.get(), 0);
  EXPECT_STREQ(x->name, "x");
  EXPECT_STREQ(x->type, "f32[2048, 3]");
  EXPECT_EQ(x->rank, 2);
  EXPECT_EQ(x->dims[1], 3);
  EXPECT_EQ(x->dl_dtype.code, kDLFloat);
  EXPECT_EQ(ingot_model_input(model.get(), 1), nullptr);
  EXPECT_EQ(ingot_model_find_output(model.get(), "runs"), 1);
  EXPECT_EQ(ingot_model_find_input(model.get(), "runs"), -1);
  const char* value = nullptr;
  EXPECT_STREQ(ingot_model_metadata(model.get(), 1, &value), "licence");
  EXPECT_STREQ(value, "none");
  EXPECT_EQ(ingot_model_metadata(model.get(), 2, nullptr), nullptr);
  size_t size = 0;
  std::string manifest(ingot_model_manifest(model.get(), &size), 0);
  manifest.assign(ingot_model_manifest(model.get(), &size), size);
  EXPECT_NE(manifest.find("\"flags\""), std::string::npos);
  EXPECT_NE(manifest.find("\"blake2b\""), std::string::npos);
  ingot_image_info info;
  ASSERT_EQ(ingot_model_image(model.get(), 0, &info), INGOT_OK);
  EXPECT_TRUE(info.usable);
  EXPECT_EQ(info.weights_bytes, sizeof kWeights);
  EXPECT_EQ(std::memcmp(info.code,
                        "\x7f"
                        "ELF",
                        4),
            0);
}

// Dynamic dims: shapes are known after the run, memory follows, names agree.
TEST(Run, DynamicModel) {
  auto model = load_file(dynamic());
  EXPECT_STREQ(ingot_model_output(model.get(), 0)->symbols[0], "2*n");
  auto s = session(model);
  for (int64_t n : {5, 1, 300, 7, 300}) {
    auto x = ramp(n), a = ramp(n);
    Tensor tx(x.data(), {n}, INGOT_F32), ta(a.data(), {n}, INGOT_F32);
    ASSERT_EQ(ingot_session_bind_input(s.get(), 0, tx), INGOT_OK);
    ASSERT_EQ(ingot_session_bind_input(s.get(), 1, ta), INGOT_OK);
    ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
    auto y = values_of<float>(output_of(s, 0)), z = values_of<float>(output_of(s, 1));
    ASSERT_EQ(shape_of(output_of(s, 0)), std::vector<int64_t>{2 * n});
    ASSERT_EQ(shape_of(output_of(s, 1)), (std::vector<int64_t>{n, n}));
    for (int64_t i = 0; i < n; i++) ASSERT_EQ(y[n + i], x[i]);
    ASSERT_EQ(z[n * n - 1], a[n - 1] + x[n - 1]);
  }
}

TEST(Run, SymbolsMustAgree) {
  auto model = load_file(dynamic());
  auto s = session(model);
  auto x = ramp(5000);
  Tensor three(x.data(), {3}, INGOT_F32), four(x.data(), {4}, INGOT_F32), many(x.data(), {5000}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, three), INGOT_OK);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_session_error(s.get()), "input 'a' is not bound, expected f32[n]");
  ASSERT_EQ(ingot_session_bind_input(s.get(), 1, four), INGOT_OK);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_session_error(s.get()),
               "input 'a': got 4 as dimension 0 (n), expected 3 as in dimension 0 of 'x'");
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, many), INGOT_OK);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_session_error(s.get()), "input 'x': got 5000 as dimension 0 (n), expected 1 to 4096");
}

// An input whose contents the model has: used until one is bound, and again after that is taken away.
TEST(Run, InputsWithContents) {
  const float contents[3] = {10, 20, 30};
  ModelFile file = dynamic();
  file.inputs[1].may_be_absent = true;
  file.inputs[1].contents = ModelFile::Port::Default{{3}, as_bytes(contents, sizeof contents)};
  auto model = load_file(file);
  ASSERT_TRUE(model);
  EXPECT_EQ(ingot_model_input(model.get(), 0)->may_be_absent, 0);
  EXPECT_EQ(ingot_model_input(model.get(), 1)->may_be_absent, 1);
  auto s = session(model);
  auto x = ramp(5), a = ramp(3);
  Tensor tx(x.data(), {3}, INGOT_F32), ta(a.data(), {3}, INGOT_F32), five(x.data(), {5}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, tx), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(values_of<float>(output_of(s, 1))[8], contents[2] + x[2]);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 1, ta), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(values_of<float>(output_of(s, 1))[8], a[2] + x[2]);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 1, nullptr), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(values_of<float>(output_of(s, 1))[8], contents[2] + x[2]);
  // Its extents count: n is 3.
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, five), INGOT_OK);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_session_error(s.get()),
               "input 'a': got 3 as dimension 0 (n), expected 5 as in dimension 0 of 'x'");

  // From memory that is not aligned.
  auto bytes = ingot_bytes(file);
  ASSERT_TRUE(bytes);
  std::vector<uint8_t> shifted(bytes->size() + 72);
  uint8_t* at = shifted.data() + (64 - reinterpret_cast<uintptr_t>(shifted.data()) % 64) + 4;
  std::memcpy(at, bytes->data(), bytes->size());
  ingot_model* raw = nullptr;
  ASSERT_EQ(ingot_model_load_memory(at, bytes->size(), nullptr, &raw), INGOT_OK) << ingot_last_error();
  ModelPtr copied(raw, ingot_model_free);
  auto t = session(copied);
  ASSERT_EQ(ingot_session_bind_input(t.get(), 0, tx), INGOT_OK);
  ASSERT_EQ(ingot_session_run(t.get()), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(values_of<float>(output_of(t, 1))[8], contents[2] + x[2]);

  for (auto wrong : {std::vector<int64_t>{4}, std::vector<int64_t>{3, 1}, std::vector<int64_t>{}}) {
    file.inputs[1].contents->dims = wrong;
    EXPECT_FALSE(ingot_bytes(file));
  }
}

TEST(Run, StringsAndMaps) {
  auto model = load_file(strings());
  auto s = session(model);
  EXPECT_STREQ(ingot_model_output(model.get(), 2)->type, "map(string, i64[])");
  std::string long_text = "a longer text than any small buffer holds";
  ingot_string in[3] = {{"ab", 2}, {"", 0}, {long_text.data(), static_cast<int64_t>(long_text.size())}};
  Tensor t(in, {3}, INGOT_STRING);
  for (bool copy : {false, true}) {
    ASSERT_EQ(copy ? ingot_session_set_input(s.get(), 0, t) : ingot_session_bind_input(s.get(), 0, t), INGOT_OK);
    ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
    auto upper = static_cast<ingot_string*>(output_of(s, 0)->data);
    EXPECT_EQ(std::string(upper[0].data, upper[0].size), "AB");
    EXPECT_EQ(upper[1].size, 0);
    EXPECT_EQ(std::string(upper[2].data, upper[2].size), "A LONGER TEXT THAN ANY SMALL BUFFER HOLDS");
    const ingot_object* pieces = nullptr;
    ASSERT_EQ(ingot_session_get_output_object(s.get(), 1, &pieces), INGOT_OK);
    ASSERT_EQ(pieces->count, 2);
    auto first = static_cast<ingot_string*>(pieces->items[0].data);
    EXPECT_EQ(std::string(first->data, first->size), "AB");
    EXPECT_NE(first, &upper[0]) << "objects are copies";
    const ingot_object* map = nullptr;
    ASSERT_EQ(ingot_session_get_output_object(s.get(), 2, &map), INGOT_OK);
    ASSERT_EQ(map->count, 2);
    EXPECT_EQ(map->items[0].shape[0], 3);
    EXPECT_EQ(static_cast<int64_t*>(map->items[1].data)[2], static_cast<int64_t>(long_text.size()));
  }
  const DLTensor* wrong = nullptr;
  EXPECT_EQ(ingot_session_get_output(s.get(), 2, &wrong), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_last_error(), "output 'lengths' is map(string, i64[]), expected a tensor");
}

TEST(Run, SequencesAndOptionals) {
  auto model = load_file(sequence());
  auto s = session(model);
  float a[3] = {1, 2, 3}, b[1] = {10};
  int64_t three = 3;
  ingot_tensor_view items[2] = {{a, &three, 1, INGOT_F32}, {b, nullptr, 0, INGOT_F32}};
  ingot_object object = {2, items};
  ASSERT_EQ(ingot_session_bind_input_object(s.get(), 0, &object), INGOT_OK) << ingot_last_error();
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(values_of<float>(output_of(s, 0))[0], 16);
  EXPECT_EQ(values_of<uint8_t>(output_of(s, 1))[0], 0);
  const ingot_object* twice = nullptr;
  ASSERT_EQ(ingot_session_get_output_object(s.get(), 2, &twice), INGOT_OK);
  ASSERT_EQ(twice->count, 2);
  auto present = static_cast<const ingot_object*>(twice->items[0].data);
  ASSERT_EQ(present->count, 2);
  EXPECT_EQ(static_cast<float*>(present->items[0].data)[2], 3);
  EXPECT_NE(present->items[0].data, a);
  EXPECT_EQ(static_cast<const ingot_object*>(twice->items[1].data)->count, 0);

  int64_t value = 5;
  ingot_tensor_view one = {&value, nullptr, 0, INGOT_I64};
  ingot_object present_value = {1, &one};
  ASSERT_EQ(ingot_session_bind_input_object(s.get(), 1, &present_value), INGOT_OK) << ingot_last_error();
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
  EXPECT_EQ(values_of<uint8_t>(output_of(s, 1))[0], 1);
}

TEST(Run, ObjectsAreChecked) {
  auto model = load_file(sequence());
  auto s = session(model);
  int64_t value = 5, negative = -1;
  auto refused = [&](int index, ingot_object object, const std::string& message) {
    EXPECT_EQ(ingot_session_bind_input_object(s.get(), index, &object), INGOT_INVALID_ARGUMENT);
    EXPECT_EQ(ingot_session_error(s.get()), message);
  };
  ingot_tensor_view wrong_type = {&value, nullptr, 0, INGOT_I64};
  refused(0, {1, &wrong_type}, "input 'items': got an item of i64 and rank 0, expected f32");
  ingot_tensor_view no_shape = {&value, nullptr, 1, INGOT_F32};
  refused(0, {1, &no_shape}, "input 'items': got an item without data or with a negative dim");
  ingot_tensor_view bad_shape = {&value, &negative, 1, INGOT_F32};
  refused(0, {1, &bad_shape}, "input 'items': got an item without data or with a negative dim");
  refused(0, {1, nullptr}, "input 'items': got 1 items, expected a list");
  ingot_tensor_view two[2] = {wrong_type, wrong_type};
  refused(1, {2, two}, "input 'maybe': got 2 items, expected at most 1");
}

TEST(Run, TensorsAreChecked) {
  auto model = load_file(static_add());
  auto s = session(model);
  std::vector<float> x(2048 * 3 + 1);
  auto refused = [&](const Tensor& t, const std::string& message, int index = 0) {
    EXPECT_EQ(ingot_session_bind_input(s.get(), index, t), INGOT_INVALID_ARGUMENT);
    EXPECT_EQ(ingot_session_error(s.get()), message);
  };
  refused(Tensor(x.data(), {2048, 3}, INGOT_I32),
          "input 'x': got dtype i32 (code 0, 32 bits, 1 lanes), expected f32[2048, 3]");
  refused(Tensor(x.data(), {2048}, INGOT_F32), "input 'x': got 1 dimensions, expected 2: f32[2048, 3]");
  refused(Tensor(x.data(), {2048, 2}, INGOT_F32),
          "input 'x': got 2 as dimension 1 of f32[2048,2], expected 3: f32[2048, 3]");
  refused(Tensor(x.data(), {-2048, -3}, INGOT_F32), "input 'x': got f32[-2048,-3], whose size is not valid");
  refused(Tensor(x.data(), {INT64_MAX, 3}, INGOT_F32),
          "input 'x': got f32[9223372036854775807,3], whose size is not valid");
  refused(Tensor(static_cast<float*>(nullptr), {2048, 3}, INGOT_F32), "input 'x': got no data");
  refused(Tensor(reinterpret_cast<char*>(x.data()) + 1, {2048, 3}, INGOT_F32),
          "input 'x': got an address that is not a multiple of 4");
  refused(Tensor(x.data(), {2048, 3}, INGOT_F32), "got input 1, expected less than 1", 1);
  Tensor device(x.data(), {2048, 3}, INGOT_F32);
  device.t.device.device_type = kDLCUDA;
  refused(device, "input 'x': got a tensor on device type 2, expected one on the host");
  int64_t strides[2] = {1, 2048};
  Tensor strided(x.data(), {2048, 3}, INGOT_F32);
  strided.t.strides = strides;
  refused(strided, "input 'x': got strides, expected a row-major tensor (set_input copies any)");
}

// set_input takes a transposed tensor at an odd address, and keeps its own copy.
TEST(Run, SetInputCopies) {
  auto model = load_file(static_add());
  auto s = session(model);
  auto x = ramp(2048 * 3);
  std::vector<char> odd(x.size() * 4 + 1);
  auto put = [&](size_t at, float v) { std::memcpy(odd.data() + 1 + at * 4, &v, 4); };
  for (size_t r = 0; r < 2048; r++)
    for (size_t k = 0; k < 3; k++) put(k * 2048 + r, x[r * 3 + k]);
  int64_t strides[2] = {1, 2048};
  Tensor t(odd.data(), {2048, 3}, INGOT_F32);
  t.t.strides = strides;
  t.t.byte_offset = 1;
  ASSERT_EQ(ingot_session_set_input(s.get(), 0, t), INGOT_OK) << ingot_last_error();
  std::fill(odd.begin(), odd.end(), 0);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
  expect_sum(output_of(s, 0), x);
}

TEST(Run, BoundOutputs) {
  auto model = load_file(static_add());
  auto s = session(model);
  auto x = ramp(2048 * 3);
  std::vector<float> y(x.size() + 1);
  Tensor in(x.data(), {2048, 3}, INGOT_F32), out(y.data() + 1, {2048, 3}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, in), INGOT_OK);
  ASSERT_EQ(ingot_session_bind_output(s.get(), 0, out), INGOT_OK) << ingot_last_error();
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(y[1], 10);
  EXPECT_EQ(output_of(s, 0)->data, y.data() + 1);
  Tensor small(y.data(), {2048, 2}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_output(s.get(), 0, small), INGOT_OK);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_session_error(s.get()),
               "output 'y': got f32[2048,3] of 24576 bytes, expected at most 16384: the bound buffer");
  ASSERT_EQ(ingot_session_bind_output(s.get(), 0, in), INGOT_OK);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_STREQ(ingot_session_error(s.get()), "output 'y' is bound to memory of input 'x'");
  ASSERT_EQ(ingot_session_bind_output(s.get(), 0, nullptr), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
  expect_sum(output_of(s, 0), x);
}

// A file that says so lets an output lie in its input: caches.
TEST(Run, DeclaredAlias) {
  ModelFile file = static_add();
  file.aliases = {{0, 0}};
  auto model = load_file(file);
  EXPECT_EQ(ingot_model_output(model.get(), 0)->alias_of_input, 0);
  EXPECT_EQ(ingot_model_output(model.get(), 1)->alias_of_input, -1);
  auto s = session(model);
  auto x = ramp(2048 * 3), before = x;
  Tensor in(x.data(), {2048, 3}, INGOT_F32);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, in), INGOT_OK);
  ASSERT_EQ(ingot_session_bind_output(s.get(), 0, in), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK) << ingot_last_error();
  expect_sum(output_of(s, 0), before);
  EXPECT_EQ(x[0], 10);
}

TEST(Run, OutputsNeedARun) {
  auto model = load_file(static_add());
  auto s = session(model);
  const DLTensor* t = nullptr;
  EXPECT_EQ(ingot_session_get_output(s.get(), 0, &t), INGOT_NOT_RUN);
  EXPECT_EQ(t, nullptr);
  EXPECT_EQ(ingot_session_run(s.get()), INGOT_INVALID_ARGUMENT);
  EXPECT_EQ(ingot_session_get_output(s.get(), 0, &t), INGOT_NOT_RUN);
}

TEST(Run, ProfileAndTrace) {
  auto model = load_file(static_add());
  std::vector<std::string> seen;
  ingot_session_options options = {};
  options.flags = INGOT_SESSION_PROFILE;
  options.trace_user = &seen;
  options.trace = [](void* user, const char* value, const DLTensor* t) {
    static_cast<std::vector<std::string>*>(user)->push_back(value + std::to_string(t->shape[0]));
  };
  auto s = session(model, options);
  auto x = ramp(2048 * 3);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, Tensor(x.data(), {2048, 3}, INGOT_F32)), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
  EXPECT_EQ(seen, (std::vector<std::string>{"middle2048", "middle2048"}));
  const ingot_profile_entry* entries = nullptr;
  int32_t count = 0;
  ASSERT_EQ(ingot_session_profile(s.get(), &entries, &count), INGOT_OK);
  ASSERT_EQ(count, 1);
  EXPECT_STREQ(entries[0].kernel, "add_f32");
  EXPECT_STREQ(entries[0].node, "add_1");
  EXPECT_STREQ(entries[0].flops, "2048*3");
  EXPECT_EQ(entries[0].calls, 2);
  EXPECT_EQ(entries[0].items, 4096);
  EXPECT_GT(entries[0].total_ns, 0);
  ingot_session_profile_reset(s.get());
  ASSERT_EQ(ingot_session_profile(s.get(), &entries, &count), INGOT_OK);
  EXPECT_EQ(entries[0].calls, 0);
  auto plain = session(model);
  EXPECT_EQ(ingot_session_profile(plain.get(), &entries, &count), INGOT_INVALID_ARGUMENT);
}

TEST(Run, SessionsKeepTheModel) {
  auto model = load_file(static_add());
  auto s = session(model);
  model.reset();
  auto x = ramp(2048 * 3);
  ASSERT_EQ(ingot_session_bind_input(s.get(), 0, Tensor(x.data(), {2048, 3}, INGOT_F32)), INGOT_OK);
  ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
  expect_sum(output_of(s, 0), x);
}

// A copy of the image for debuggers, and the perf map.
TEST(Run, DebugModes) {
  std::string directory = temporary_path("debug"), path = temporary_path("debug.ingot");
  std::filesystem::create_directory(directory);
  ASSERT_TRUE(write_ingot(path, static_add()));
  ingot_load_options options = {sizeof options};
  options.debug_directory = directory.c_str();
  ingot_model* raw = nullptr;
  ASSERT_EQ(ingot_model_load(path.c_str(), &options, &raw), INGOT_OK) << ingot_last_error();
  ModelPtr model(raw, ingot_model_free);
  EXPECT_FALSE(std::filesystem::is_empty(directory));
  auto perf = load_file(static_add(), INGOT_LOAD_PERF_MAP);
  std::string map = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  std::ifstream in(map);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NE(text.find(" ingot_entry [static_add]"), std::string::npos);
  EXPECT_NE(text.find(" add [static_add]"), std::string::npos) << "internal kernels are named too";
  auto x = ramp(2048 * 3);
  for (auto* m : {&model, &perf}) {
    auto s = session(*m);
    ASSERT_EQ(ingot_session_bind_input(s.get(), 0, Tensor(x.data(), {2048, 3}, INGOT_F32)), INGOT_OK);
    ASSERT_EQ(ingot_session_run(s.get()), INGOT_OK);
    expect_sum(output_of(s, 0), x);
  }
  std::filesystem::remove(map);
  std::filesystem::remove(path);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace ingot::test
