// Images made from C (tests/runtime/images), packed and loaded.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/ingot.h"
#include "runtime/writer.h"

namespace ingot::test {

inline const std::vector<uint8_t>& image_bytes(const std::string& name) {
  static std::map<std::string, std::vector<uint8_t>> cache;
  auto& bytes = cache[name];
  if (bytes.empty()) {
    std::ifstream in(std::string(INGOT_BINARY_DIR) + "/tests/runtime_images/" + name + ".so", std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
    EXPECT_FALSE(bytes.empty()) << "no image " << name;
  }
  return bytes;
}

// A name that no other test of this process uses.
inline std::string temporary_path(const std::string& name) {
  return testing::TempDir() + "/ingot_" + std::to_string(getpid()) + "_" + name;
}

using ModelPtr = std::unique_ptr<ingot_model, decltype(&ingot_model_free)>;
using SessionPtr = std::unique_ptr<ingot_session, decltype(&ingot_session_free)>;

inline ModelPtr load_bytes(const std::vector<uint8_t>& bytes, uint32_t flags = 0) {
  ingot_load_options options = {sizeof options, flags};
  ingot_model* model = nullptr;
  EXPECT_EQ(ingot_model_load_memory(bytes.data(), bytes.size(), &options, &model), INGOT_OK) << ingot_last_error();
  return {model, ingot_model_free};
}

// Writes a file, loads it, removes it.
inline ModelPtr load_file(const ModelFile& file, uint32_t flags = 0) {
  std::string path = temporary_path(file.name + ".ingot");
  auto written = write_ingot(path, file);
  EXPECT_TRUE(written) << (written ? "" : written.error().message);
  ingot_load_options options = {sizeof options, flags};
  ingot_model* model = nullptr;
  EXPECT_EQ(ingot_model_load(path.c_str(), &options, &model), INGOT_OK) << ingot_last_error();
  unlink(path.c_str());
  return {model, ingot_model_free};
}

inline SessionPtr session(const ModelPtr& model, ingot_session_options options = {}) {
  options.size_bytes = sizeof options;
  ingot_session* session = nullptr;
  EXPECT_EQ(ingot_session_create(model.get(), &options, &session), INGOT_OK) << ingot_last_error();
  return {session, ingot_session_free};
}

struct Tensor {  // a DLTensor over data of the test
  std::vector<int64_t> shape;
  DLTensor t = {};
  template <class T>
  Tensor(T* data, std::vector<int64_t> dims, int32_t dtype) : shape(std::move(dims)) {
    t.data = const_cast<void*>(static_cast<const void*>(data));
    t.device = {kDLCPU, 0};
    t.ndim = static_cast<int32_t>(shape.size());
    t.dtype = ingot_dtype_to_dlpack(dtype);
    t.shape = shape.data();
  }
  Tensor(const Tensor&) = delete;
  operator const DLTensor*() const { return &t; }
};

inline std::vector<int64_t> shape_of(const DLTensor* t) { return {t->shape, t->shape + t->ndim}; }
template <class T>
std::vector<T> values_of(const DLTensor* t) {
  size_t n = 1;
  for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
  return {static_cast<T*>(t->data), static_cast<T*>(t->data) + n};
}
inline const DLTensor* output_of(const SessionPtr& s, int index) {
  const DLTensor* t = nullptr;
  EXPECT_EQ(ingot_session_get_output(s.get(), index, &t), INGOT_OK) << ingot_last_error();
  return t;
}

inline const float kWeights[3] = {10, 20, 30};
inline std::span<const uint8_t> as_bytes(const void* data, size_t size) {
  return {static_cast<const uint8_t*>(data), size};
}

// The models around the images.
ModelFile static_add();
ModelFile dynamic();
ModelFile strings();
ModelFile sequence();
ModelFile failing();
ModelFile strays();
ModelFile denormal();

}  // namespace ingot::test
