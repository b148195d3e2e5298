// The file: hashes, determinism, every damaged field refused with its reason, signatures, choice of image.
#include <cstring>
#include <fstream>
#include <random>

#include "runtime/cpu.h"
#include "runtime/format.h"
#include "runtime/hash.h"
#include "tests/fuzz/loader_harness.h"
#include "tests/runtime/common.h"

namespace ingot::test {
namespace {

std::string hex(const uint8_t* bytes, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; i++) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

// Vectors of the reference implementation (b2sum -l 256), any split of the input.
TEST(Hash, Blake2b) {
  auto of = [](const std::string& s, size_t step) {
    ingot_hash h;
    uint8_t out[32];
    ingot_hash_begin(&h);
    for (size_t i = 0; i < s.size(); i += step) ingot_hash_add(&h, s.data() + i, std::min(step, s.size() - i));
    ingot_hash_end(&h, out);
    return hex(out, 32);
  };
  EXPECT_EQ(of("", 1), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(of("abc", 3), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  std::string blocks(256, 'x'), odd(1000, 'y');
  for (size_t step : {1, 7, 128, 129, 1000}) {
    EXPECT_EQ(of(blocks, step), of(blocks, 256));
    EXPECT_EQ(of(odd, step), of(odd, 1000));
  }
  EXPECT_NE(of(blocks, 256), of(blocks + "x", 257));
}

std::vector<uint8_t> bytes_of(const ModelFile& file) {
  auto bytes = ingot_bytes(file);
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message);
  return std::move(*bytes);
}

ingot_status load_status(const std::vector<uint8_t>& bytes, uint32_t flags = 0) {
  // In a buffer of exactly this size, so that a sanitizer sees reads past it.
  std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  ingot_load_options options = {sizeof options, flags};
  ingot_model* model = nullptr;
  ingot_status status = ingot_model_load_memory(exact.get(), bytes.size(), &options, &model);
  ingot_model_free(model);
  return status;
}

std::vector<uint8_t> read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(File, SameInputSameBytes) {
  std::string a = temporary_path("a"), b = temporary_path("b");
  ASSERT_TRUE(write_ingot(a, static_add()));
  ASSERT_TRUE(write_ingot(b, static_add()));
  EXPECT_EQ(read_all(a), read_all(b));
  EXPECT_EQ(read_all(a), bytes_of(static_add()));
  unlink(a.c_str());
  unlink(b.c_str());
}

TEST(File, WriterRefusesContradictions) {
  ModelFile file = static_add();
  file.images[0].weights = 1;
  EXPECT_EQ(ingot_bytes(file).error().message, "image 'x86-64': got weights 1, expected less than 1");
  file = static_add();
  file.images[0].kernels[0].node = 3;
  EXPECT_EQ(ingot_bytes(file).error().message, "kernel 'add_f32': got node 3, expected less than 1");
  file = static_add();
  file.inputs[0].dtype = 99;
  EXPECT_EQ(ingot_bytes(file).error().message, "input 'x': got dtype 99");
  file = static_add();
  file.manifest = "[1]";
  EXPECT_EQ(ingot_bytes(file).error().message, "the manifest is not a JSON object");
  auto refused = write_ingot("/nonexistent/model.ingot", static_add());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cannot create /nonexistent/model.ingot"), std::string::npos);
}

// Weights are written once where images share them, pieces at multiples of 64 bytes.
TEST(File, SharedWeightsAndCode) {
  ModelFile file = static_add();
  std::vector<uint8_t> odd(100, 7);
  file.weights[0].pieces.push_back({odd});
  file.images.push_back(file.images[0]);
  file.images[1].target = "other";
  auto bytes = bytes_of(file);
  ingot_file_header head;
  std::memcpy(&head, bytes.data(), sizeof head);
  EXPECT_EQ(head.section_count, 5u) << "descriptors, code, debug map, weights, manifest";
  auto model = load_bytes(bytes);
  ingot_image_info info;
  ASSERT_EQ(ingot_model_image(model.get(), 1, &info), INGOT_OK);
  EXPECT_EQ(info.weights_bytes, 164u);
}

// Every byte that is not padding or weights is covered by a hash that loading always checks.
TEST(File, EveryFlippedByteIsNoticed) {
  auto bytes = bytes_of(static_add());
  ingot_file_header head;
  std::memcpy(&head, bytes.data(), sizeof head);
  size_t checked = 0;
  auto flip = [&](size_t at) {
    bytes[at] ^= 0x40;
    EXPECT_NE(load_status(bytes), INGOT_OK) << at;
    bytes[at] ^= 0x40;
    checked++;
  };
  for (size_t i = 0; i < sizeof head + head.section_count * sizeof(ingot_file_section); i++) flip(i);
  for (size_t i = 0; i < head.section_count; i++) {
    ingot_file_section s;
    std::memcpy(&s, bytes.data() + sizeof head + i * sizeof s, sizeof s);
    if (s.kind == INGOT_SECTION_WEIGHTS) {
      bytes[s.offset] ^= 1;
      EXPECT_EQ(load_status(bytes), INGOT_OK);
      EXPECT_EQ(load_status(bytes, INGOT_LOAD_VERIFY_WEIGHTS), INGOT_VERIFY_FAILED);
      bytes[s.offset] ^= 1;
      continue;
    }
    for (size_t k = 0; k < s.size_bytes; k += 3) flip(s.offset + k);
  }
  EXPECT_GT(checked, 1000u);
  EXPECT_EQ(load_status(bytes), INGOT_OK);
}

TEST(File, EveryTruncationIsNoticed) {
  auto bytes = bytes_of(static_add());
  for (size_t n = 0; n < bytes.size(); n += n < 5000 ? 1 : 97) {
    std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + n);
    ASSERT_NE(load_status(cut), INGOT_OK) << n;
    repair_hashes(cut);
    ASSERT_NE(load_status(cut), INGOT_OK) << n;
  }
  bytes.push_back(0);
  EXPECT_EQ(load_status(bytes), INGOT_INVALID_FILE);
}

// One field is changed and all hashes are repaired: the field itself must be refused.
class Damage {
 public:
  Damage() : bytes_(bytes_of(static_add())) {
    std::memcpy(&section_, bytes_.data() + sizeof(ingot_file_header), sizeof section_);
    std::memcpy(&head_, bytes_.data() + section_.offset, sizeof head_);
  }
  template <class T>
  void header(size_t offset, T value, const std::string& message) {
    refused(offset, value, message);
  }
  template <class T>
  void section(size_t index, size_t offset, T value, const std::string& message) {
    refused(sizeof(ingot_file_header) + index * sizeof(ingot_file_section) + offset, value, message);
  }
  template <class T>
  void descriptor(size_t offset, T value, const std::string& message) {
    refused(section_.offset + offset, value, message);
  }
  template <class T>
  void item(ingot_file_range ingot_file_descriptors::* table, size_t offset, T value, const std::string& message) {
    descriptor((head_.*table).offset + offset, value, message);
  }
  const ingot_file_descriptors& head() const { return head_; }

 private:
  template <class T>
  void refused(size_t at, T value, const std::string& message) {
    auto bytes = bytes_;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    repair_hashes(bytes);
    EXPECT_NE(load_status(bytes), INGOT_OK) << message;
    EXPECT_EQ(std::string(ingot_last_error()).substr(0, message.size()), message);
  }
  std::vector<uint8_t> bytes_;
  ingot_file_section section_;
  ingot_file_descriptors head_;
};

TEST(File, HeaderFields) {
  Damage d;
  d.header<uint8_t>(0, 'X', "got no INGOT magic");
  d.header<uint32_t>(offsetof(ingot_file_header, version), 2, "got file format version 2, expected 1");
  d.header<uint32_t>(offsetof(ingot_file_header, section_count), 0, "got 0 sections, expected 1 to 63");
  d.header<uint32_t>(offsetof(ingot_file_header, section_count), 64, "got 64 sections, expected 1 to 63");
  d.header<uint32_t>(offsetof(ingot_file_header, section_count), 6, "section 5 has kind 0");
  d.header<uint64_t>(offsetof(ingot_file_header, size_bytes), 1, "got ");
  d.header<uint64_t>(offsetof(ingot_file_header, reserved), 1, "got a reserved field of the header");
}

TEST(File, SectionFields) {
  Damage d;
  d.section<uint32_t>(1, offsetof(ingot_file_section, kind), 77, "section 1 has kind 77");
  d.section<uint32_t>(1, offsetof(ingot_file_section, kind), INGOT_SECTION_DESCRIPTORS,
                      "got 2 descriptor sections, expected 1");
  d.section<uint32_t>(0, offsetof(ingot_file_section, kind), 0x9000, "got 0 descriptor sections, expected 1");
  d.section<uint32_t>(1, offsetof(ingot_file_section, kind), INGOT_SECTION_SIGNATURE, "the signature is not the last");
  d.section<uint32_t>(1, offsetof(ingot_file_section, reserved0), 1, "section 1 (code): a reserved field");
  d.section<uint64_t>(1, offsetof(ingot_file_section, offset), 8200, "section 1 (code): got offset 8200");
  d.section<uint64_t>(1, offsetof(ingot_file_section, offset), 4096, "section 1 (code): got bytes 4096 +");
  d.section<uint64_t>(1, offsetof(ingot_file_section, offset), 1ull << 40,
                      "section 1 (code): got bytes 1099511627776 +");
  d.section<uint64_t>(1, offsetof(ingot_file_section, size_bytes), ~0ull, "section 1 (code): got bytes 8192 +");
  d.section<uint64_t>(0, offsetof(ingot_file_section, size_bytes), 100, "descriptors: got 100 bytes, expected 120");
}

TEST(File, DescriptorFields) {
  Damage d;
  using H = ingot_file_descriptors;
  d.descriptor<uint32_t>(offsetof(H, abi_version), 9, "got code for interface version 9, expected 2");
  for (size_t at : {offsetof(H, inputs), offsetof(H, outputs), offsetof(H, dims), offsetof(H, symbols),
                    offsetof(H, images), offsetof(H, nodes), offsetof(H, kernels), offsetof(H, messages),
                    offsetof(H, values), offsetof(H, aliases), offsetof(H, metadata), offsetof(H, strings)}) {
    d.descriptor<uint32_t>(at, 1u << 30, "descriptors: ");
    d.descriptor<uint32_t>(at, 4, "descriptors: ");
    d.descriptor<uint32_t>(at + 4, 1u << 30, "descriptors: ");
    d.descriptor<uint32_t>(at + 4, 0xffffffffu, "descriptors: ");
  }
  d.descriptor<uint32_t>(offsetof(H, name), 1u << 20, "descriptors: name 0: a text");
  d.descriptor<uint32_t>(offsetof(H, name) + 4, 0xffffffffu, "descriptors: name 0: a text");
  d.descriptor<uint32_t>(offsetof(H, producer) + 4, 2, "descriptors: producer 0: a text");
}

TEST(File, PortFields) {
  Damage d;
  auto inputs = &ingot_file_descriptors::inputs;
  using P = ingot_file_port;
  d.item<uint32_t>(inputs, offsetof(P, name) + 4, 77777, "descriptors: input 0: a text");
  d.item<int32_t>(inputs, offsetof(P, dtype), 0, "descriptors: input 0: got dtype 0");
  d.item<int32_t>(inputs, offsetof(P, dtype), 27, "descriptors: input 0: got dtype 27");
  d.item<int32_t>(inputs, offsetof(P, rank), -1, "descriptors: input 0: got rank -1");
  d.item<int32_t>(inputs, offsetof(P, rank), 17, "descriptors: input 0: got rank 17");
  d.item<uint32_t>(inputs, offsetof(P, first_dim), 0xffffffff, "descriptors: input 0: its dims");
  d.item<uint8_t>(inputs, offsetof(P, levels), 4, "descriptors: input 0: got level 4");
  d.item<uint8_t>(inputs, offsetof(P, levels), 3, "descriptors: input 0: got key dtype 0");
  d.item<uint64_t>(inputs, offsetof(P, levels), 0x0101010101010101, "descriptors: input 0: nested too deep");
  auto dims = &ingot_file_descriptors::dims;
  d.item<int64_t>(dims, 0, -2, "descriptors: dim 0: got extent -2");
  d.item<int64_t>(dims, 0, INT64_MAX, "descriptors: input 0: the size of its shape overflows");
  d.item<uint32_t>(dims, 8, 0, "descriptors: dim 0: got symbol 0");
}

TEST(File, ImageFields) {
  Damage d;
  auto images = &ingot_file_descriptors::images;
  using I = ingot_file_image;
  d.item<uint32_t>(images, offsetof(I, kind), 3, "got images for x86-64, expected one that this CPU can run");
  d.item<uint32_t>(images, offsetof(I, machine), 3, "got images for x86-64, expected one that this CPU can run");
  d.item<uint64_t>(images, offsetof(I, features), 1ull << 63, "got images for x86-64, expected one that this CPU");
  d.item<int64_t>(images, offsetof(I, arena_bytes), -2, "descriptors: image 0: got an arena of -2 bytes");
  d.item<uint32_t>(images, offsetof(I, code_section), 0, "descriptors: image 0: got code section 0");
  d.item<uint32_t>(images, offsetof(I, code_section), 99, "descriptors: image 0: got code section 99");
  d.item<uint32_t>(images, offsetof(I, weights_section), 1, "descriptors: image 0: got weights section 1");
  d.item<uint32_t>(images, offsetof(I, kernels_section), 1, "descriptors: image 0: got kernels section 1");
  for (size_t at : {offsetof(I, nodes), offsetof(I, kernels), offsetof(I, messages), offsetof(I, values)}) {
    d.item<uint32_t>(images, at, 5, "descriptors: image 0: its nodes, kernels, messages or values");
    d.item<uint32_t>(images, at + 4, 0xffffffff, "descriptors: image 0: its nodes, kernels, messages or values");
  }
  d.item<uint32_t>(&ingot_file_descriptors::kernels, offsetof(ingot_file_kernel, node), 1,
                   "descriptors: image 0: kernel 0: got node 1, expected less than 1");
}

// Images that are more than code and data are refused.
TEST(File, ImagesThatNeedTheWorld) {
  auto with = [](const char* image) {
    ModelFile file = static_add();
    file.images[0].elf = image_bytes(image);
    EXPECT_EQ(load_status(bytes_of(file)), INGOT_INVALID_FILE);
    return std::string(ingot_last_error());
  };
  EXPECT_EQ(with("imports"), "code: it needs 'puts' from outside, expected nothing");
  EXPECT_EQ(with("constructor"), "code: got constructors or destructors, expected none");
  EXPECT_EQ(with("thread_local"), "code: got thread-local storage, expected none");
  std::vector<uint8_t> test(image_bytes("static_add"));
  test.resize(200);
  ModelFile file = static_add();
  file.images[0].elf = test;
  EXPECT_EQ(load_status(bytes_of(file)), INGOT_INVALID_FILE);
  EXPECT_STREQ(ingot_last_error(), "code: the program headers are outside the image");
}

TEST(File, MissingFiles) {
  ingot_model* model = nullptr;
  EXPECT_EQ(ingot_model_load("/nonexistent", nullptr, &model), INGOT_IO);
  EXPECT_STREQ(ingot_last_error(), "cannot open /nonexistent: No such file or directory");
  EXPECT_EQ(ingot_model_load("/", nullptr, &model), INGOT_IO);
  EXPECT_EQ(ingot_model_load(nullptr, nullptr, &model), INGOT_INVALID_ARGUMENT);
  EXPECT_EQ(model, nullptr);
  std::string path = temporary_path("text");
  std::ofstream(path) << std::string(100, 'x');
  EXPECT_EQ(ingot_model_load(path.c_str(), nullptr, &model), INGOT_INVALID_FILE);
  EXPECT_EQ(ingot_last_error(), "got no INGOT magic, expected a model.ingot file\n  in " + path);
  unlink(path.c_str());
}

// The best image that fits is used; a name chooses another; a file without one says what there is.
TEST(File, ChoosesTheImage) {
  ModelFile file = static_add();
  file.images.resize(3, file.images[0]);
  file.images[1].target = "better";
  file.images[1].priority = 5;
  file.images[2].target = "future";
  file.images[2].priority = 9;
  file.images[2].features = 1ull << 62;
  auto bytes = bytes_of(file);
  EXPECT_STREQ(ingot_model_target(load_bytes(bytes).get()), "better");
  ingot_load_options options = {sizeof options};
  ingot_model* model = nullptr;
  options.target = "x86-64";
  ASSERT_EQ(ingot_model_load_memory(bytes.data(), bytes.size(), &options, &model), INGOT_OK);
  EXPECT_STREQ(ingot_model_target(model), "x86-64");
  ingot_model_free(model);
  options.target = "future";
  EXPECT_EQ(ingot_model_load_memory(bytes.data(), bytes.size(), &options, &model), INGOT_UNSUPPORTED);
  EXPECT_EQ(std::string(ingot_last_error()).find("got images for x86-64, better, future, expected one named future"),
            0u);
  auto inspected = load_bytes(bytes, INGOT_LOAD_INSPECT);
  EXPECT_STREQ(ingot_model_target(inspected.get()), "");
  EXPECT_EQ(ingot_model_image_count(inspected.get()), 3);
  ingot_session* session = nullptr;
  EXPECT_EQ(ingot_session_create(inspected.get(), nullptr, &session), INGOT_UNSUPPORTED);
}

TEST(File, CpuFeatures) {
  EXPECT_EQ(ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "avx2"), 1u << 8);
  EXPECT_EQ(ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "avx9"), 0u);
  EXPECT_EQ(ingot_cpu_feature_set(INGOT_MACHINE_AARCH64, "fp16"),
            ingot_cpu_feature_set(INGOT_MACHINE_AARCH64, "fullfp16"));
  uint64_t v3 = 0, v4;
  for (auto name : {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16", "sahf", "avx", "avx2", "bmi", "bmi2", "fma",
                    "f16c", "lzcnt", "movbe"})
    v3 |= ingot_cpu_feature_set(INGOT_MACHINE_X86_64, name);
  EXPECT_EQ(ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "x86-64-v3"), v3);
  v4 = v3;
  for (auto name : {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
    v4 |= ingot_cpu_feature_set(INGOT_MACHINE_X86_64, name);
  EXPECT_EQ(ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "x86-64-v4"), v4);
  char text[64];
  ingot_cpu_feature_text(INGOT_MACHINE_X86_64, 1u << 8 | 1u << 11, text, sizeof text);
  EXPECT_STREQ(text, "avx2 fma");
#if defined(__x86_64__)
  EXPECT_EQ((ingot_cpu_features() & ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "avx2")) != 0,
            __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ((ingot_cpu_features() & ingot_cpu_feature_set(INGOT_MACHINE_X86_64, "avx512vnni")) != 0,
            __builtin_cpu_supports("avx512vnni") != 0);
#endif
}

// What is signed covers all content; the callback decides; unsigned files are refused when a signature is wanted.
TEST(File, Signatures) {
  std::string path = temporary_path("signed.ingot");
  ASSERT_TRUE(write_ingot(path, static_add()));
  struct Check {
    std::array<uint8_t, 48> message;
    std::vector<uint8_t> signature;
  } seen;
  ingot_load_options options = {sizeof options};
  options.verify_user = &seen;
  options.verify = [](void* user, const uint8_t* message, size_t size, const uint8_t* signature, size_t bytes) {
    auto& seen = *static_cast<Check*>(user);
    if (size != seen.message.size()) return 1;
    seen.signature.assign(signature, signature + bytes);
    return std::memcmp(message, seen.message.data(), size) == 0 && bytes == 64 && signature[0] == 1 ? 0 : 1;
  };
  auto message = signed_message(read_all(path));
  ASSERT_TRUE(message);
  seen.message = *message;
  ingot_model* model = nullptr;
  EXPECT_EQ(ingot_model_load(path.c_str(), &options, &model), INGOT_VERIFY_FAILED);
  EXPECT_EQ(ingot_last_error(), "got no signature, expected one\n  in " + path);
  std::vector<uint8_t> signature(64, 1);
  for (int again = 0; again < 2; again++) ASSERT_TRUE(add_signature(path, signature));
  EXPECT_EQ(*signed_message(read_all(path)), *message) << "a signature does not change what is signed";
  ASSERT_EQ(ingot_model_load(path.c_str(), &options, &model), INGOT_OK) << ingot_last_error();
  ingot_model_free(model);
  EXPECT_EQ(seen.signature, signature);
  signature[0] = 2;
  ASSERT_TRUE(add_signature(path, signature));
  EXPECT_EQ(ingot_model_load(path.c_str(), &options, &model), INGOT_VERIFY_FAILED);
  EXPECT_EQ(ingot_last_error(), "the signature was refused\n  in " + path);
  ASSERT_EQ(ingot_model_load(path.c_str(), nullptr, &model), INGOT_OK) << "without a callback it is ignored";
  ingot_model_free(model);
  ModelFile other = static_add();
  float changed[3] = {1, 2, 3};
  other.weights[0].pieces[0] = as_bytes(changed, sizeof changed);
  EXPECT_NE(*signed_message(bytes_of(other)), *message);
  unlink(path.c_str());
}

// The fuzz harness on random edits of valid files; tests/fuzz runs it for longer.
TEST(File, SurvivesRandomEdits) {
  const std::vector<std::vector<uint8_t>> files = {bytes_of(static_add()), bytes_of(strings()), bytes_of(sequence())};
  std::mt19937 random(1);
  for (int i = 0; i < 5000; i++) {
    std::vector<uint8_t> input = {static_cast<uint8_t>(1 + random() % 3)};
    for (int edits = 1 + random() % 4; edits > 0; edits--) {
      // Mostly in the table, the descriptors and the headers of the code.
      size_t at = random() % 4 == 0 ? random() % files[0].size()
                  : random() % 2    ? 4096 + random() % 900
                  : random() % 2    ? 8192 + random() % 900
                                    : random() % 400;
      size_t width = random() % 8;
      for (uint32_t byte : {at & 255, at >> 8 & 255, at >> 16, width}) input.push_back(byte);
      bool small = random() % 2;
      for (size_t k = 0; k <= width; k++)
        input.push_back(small ? (k ? 0 : random() % 64) : random() % 4 ? random() : 0xff);
    }
    fuzz_one(input, files);
  }
}

}  // namespace
}  // namespace ingot::test
