// The C interface with C++ manners: objects that free themselves, vectors, a status that throws where you want it to.
//
//   ingot::Model model("model.ingot");
//   ingot::Session session(model);
//   session.set("image", pixels.data(), {1, 3, 224, 224});
//   session.run();
//   std::span<const float> scores = session.output<float>(0);
//
// Failures throw ingot::RuntimeError; with -fno-exceptions they abort with the message instead. Header only, C++20.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__cpp_exceptions)
#include <stdexcept>
#endif

#include "ingot.h"

namespace ingot {

#if defined(__cpp_exceptions)
struct RuntimeError : std::runtime_error {
  ingot_status status;
  RuntimeError(ingot_status s, const std::string& text) : std::runtime_error(text), status(s) {}
};
#endif

inline void check(ingot_status status) {
  if (status == INGOT_OK) return;
#if defined(__cpp_exceptions)
  throw RuntimeError(status, ingot_last_error());
#else
  std::fprintf(stderr, "ingot: %s\n", ingot_last_error());
  std::abort();
#endif
}

// ingot_dtype_code of a C++ type. f16 and bf16 have none of their own: pass the code.
template <class T>
constexpr int32_t dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, float>) return INGOT_F32;
  else if constexpr (std::is_same_v<U, double>) return INGOT_F64;
  else if constexpr (std::is_same_v<U, bool>) return INGOT_BOOL;
  else if constexpr (std::is_same_v<U, ingot_string>) return INGOT_STRING;
  else if constexpr (std::is_integral_v<U> && std::is_signed_v<U>)
    return sizeof(U) == 1 ? INGOT_I8 : sizeof(U) == 2 ? INGOT_I16 : sizeof(U) == 4 ? INGOT_I32 : INGOT_I64;
  else {
    static_assert(std::is_integral_v<U>, "no dtype for this type: pass an ingot_dtype_code");
    return sizeof(U) == 1 ? INGOT_U8 : sizeof(U) == 2 ? INGOT_U16 : sizeof(U) == 4 ? INGOT_U32 : INGOT_U64;
  }
}

class Model {
 public:
  explicit Model(const std::string& path, const ingot_load_options* options = nullptr) {
    check(ingot_model_load(path.c_str(), options, &model_));
  }
  Model(const void* data, size_t size_bytes, const ingot_load_options* options = nullptr) {
    check(ingot_model_load_memory(data, size_bytes, options, &model_));
  }
  Model(Model&& other) noexcept : model_(std::exchange(other.model_, nullptr)) {}
  Model& operator=(Model&& other) noexcept {
    std::swap(model_, other.model_);
    return *this;
  }
  ~Model() { ingot_model_free(model_); }

  ingot_model* get() const { return model_; }
  std::string_view name() const { return ingot_model_name(model_); }
  std::string_view target() const { return ingot_model_target(model_); }
  std::string_view manifest() const {
    size_t size = 0;
    const char* text = ingot_model_manifest(model_, &size);
    return {text, size};
  }
  std::span<const ingot_port> inputs() const {
    return {ingot_model_input(model_, 0), static_cast<size_t>(ingot_model_input_count(model_))};
  }
  std::span<const ingot_port> outputs() const {
    return {ingot_model_output(model_, 0), static_cast<size_t>(ingot_model_output_count(model_))};
  }

 private:
  ingot_model* model_ = nullptr;
};

// A view of memory as DLTensor: the shape is kept, the memory is not.
class TensorView {
 public:
  TensorView(const void* data, std::vector<int64_t> shape, int32_t dtype) : shape_(std::move(shape)) {
    tensor_.data = const_cast<void*>(data);
    tensor_.device = {kDLCPU, 0};
    tensor_.ndim = static_cast<int32_t>(shape_.size());
    tensor_.dtype = ingot_dtype_to_dlpack(dtype);
    tensor_.shape = shape_.data();
  }
  TensorView(const TensorView&) = delete;
  const DLTensor* get() const { return &tensor_; }

 private:
  std::vector<int64_t> shape_;
  DLTensor tensor_ = {};
};

class Session {
 public:
  explicit Session(const Model& model, ingot_session_options options = {}) : model_(model.get()) {
    options.size_bytes = sizeof options;
    check(ingot_session_create(model.get(), &options, &session_));
  }
  Session(Session&& other) noexcept
      : model_(other.model_), session_(std::exchange(other.session_, nullptr)) {}
  Session& operator=(Session&& other) noexcept {
    std::swap(model_, other.model_);
    std::swap(session_, other.session_);
    return *this;
  }
  ~Session() { ingot_session_free(session_); }

  ingot_session* get() const { return session_; }

  // Lends memory to the session, without a copy.
  template <class T>
  void bind(int32_t input, const T* data, std::vector<int64_t> shape, int32_t dtype = dtype_of<T>()) {
    check(ingot_session_bind_input(session_, input, TensorView(data, std::move(shape), dtype).get()));
  }
  template <class T>
  void bind(const char* input, const T* data, std::vector<int64_t> shape, int32_t dtype = dtype_of<T>()) {
    bind(index(input), data, std::move(shape), dtype);
  }
  // Copies.
  template <class T>
  void set(int32_t input, const T* data, std::vector<int64_t> shape, int32_t dtype = dtype_of<T>()) {
    check(ingot_session_set_input(session_, input, TensorView(data, std::move(shape), dtype).get()));
  }
  template <class T>
  void set(const char* input, const T* data, std::vector<int64_t> shape, int32_t dtype = dtype_of<T>()) {
    set(index(input), data, std::move(shape), dtype);
  }
  template <class T>
  void bind_output(int32_t output, T* data, std::vector<int64_t> shape, int32_t dtype = dtype_of<T>()) {
    check(ingot_session_bind_output(session_, output, TensorView(data, std::move(shape), dtype).get()));
  }

  void run() { check(ingot_session_run(session_)); }
  void cancel() { ingot_session_cancel(session_); }

  // Lent until the next run.
  const DLTensor& tensor(int32_t output) const {
    const DLTensor* t = nullptr;
    check(ingot_session_get_output(session_, output, &t));
    return *t;
  }
  std::vector<int64_t> shape(int32_t output) const {
    const DLTensor& t = tensor(output);
    return {t.shape, t.shape + t.ndim};
  }
  // The elements; the type must be the output's.
  template <class T>
  std::span<const T> output(int32_t index) const {
    const DLTensor& t = tensor(index);
    int32_t dtype = ingot_dtype_from_dlpack(t.dtype);
    if (ingot_dtype_bits(dtype) != static_cast<int32_t>(8 * sizeof(T)) || dtype != dtype_of<T>()) {
#if defined(__cpp_exceptions)
      throw RuntimeError(INGOT_INVALID_ARGUMENT, std::string("got output of ") + ingot_dtype_name(dtype) +
                                                     ", expected " + ingot_dtype_name(dtype_of<T>()));
#else
      std::abort();
#endif
    }
    size_t n = 1;
    for (int32_t i = 0; i < t.ndim; i++) n *= static_cast<size_t>(t.shape[i]);
    return {static_cast<const T*>(t.data), n};
  }
  const ingot_object& object(int32_t output) const {
    const ingot_object* o = nullptr;
    check(ingot_session_get_output_object(session_, output, &o));
    return *o;
  }

 private:
  int32_t index(const char* name) const { return ingot_model_find_input(model_, name); }
  ingot_model* model_ = nullptr;
  ingot_session* session_ = nullptr;
};

}  // namespace ingot
