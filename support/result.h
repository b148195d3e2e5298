// Errors as values. A function that can fail because of its input returns Result<T>; assertions are for our own bugs.
//
// A message states the local fact, "got X, expected Y", lower case, no full stop. Whoever knows more (the node, the
// file) adds it with `context`, one line each, on the way up.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace ingot {

enum class ErrorKind {
  Invalid,      // the input is malformed or contradicts itself
  Unsupported,  // the input is fine, Ingot cannot do it
  Limit,        // a documented limit is exceeded
  Io,           // the file system or a device failed
  Bounds,       // checked code, or a guarded session, saw a model leave its memory
};

struct Error {
  ErrorKind kind = ErrorKind::Invalid;
  std::string message;

  // Adds a line that says where the error arose: "in node 'conv_7' (Conv)".
  Error context(const std::string& line) && {
    message += "\n  " + line;
    return std::move(*this);
  }
};

template <class... Args>
Error invalid(fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorKind::Invalid, fmt::format(f, std::forward<Args>(args)...)};
}
template <class... Args>
Error unsupported(fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorKind::Unsupported, fmt::format(f, std::forward<Args>(args)...)};
}
template <class... Args>
Error limit_exceeded(fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorKind::Limit, fmt::format(f, std::forward<Args>(args)...)};
}
template <class... Args>
Error io_error(fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorKind::Io, fmt::format(f, std::forward<Args>(args)...)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  Error& error() { return std::get<1>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_; }
  void operator*() const {}
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

// The value of a Result, or return its error from the enclosing function.
#define TRY(expr)                                            \
  ({                                                         \
    auto try_result_ = (expr);                               \
    if (!try_result_) return std::move(try_result_.error()); \
    *std::move(try_result_);                                 \
  })

}  // namespace ingot
