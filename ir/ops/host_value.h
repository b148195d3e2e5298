// A value as it lies on the host: what the interpreter computes with, what test vectors hold, what `ingot diff` compares.
#pragma once

#include <string>
#include <vector>

#include "ir/types.h"

namespace ingot {

struct HostValue {
  enum class Kind : uint8_t { None, Tensor, Sequence, Optional, Map } kind = Kind::None;  // None: an absent value
  TensorRef tensor;  // Tensor
  std::vector<HostValue> items;  // Sequence: its elements; Optional: none or one; Map: keys (a tensor), values

  static HostValue of(TensorRef t) { return {Kind::Tensor, std::move(t), {}}; }
  static HostValue of(std::shared_ptr<TensorData> t) { return {Kind::Tensor, TensorRef(std::move(t)), {}}; }
  static HostValue sequence(std::vector<HostValue> items) { return {Kind::Sequence, nullptr, std::move(items)}; }
  static HostValue optional(std::vector<HostValue> items) { return {Kind::Optional, nullptr, std::move(items)}; }
  static HostValue map(HostValue keys, HostValue values) {
    return {Kind::Map, nullptr, {std::move(keys), std::move(values)}};
  }
  bool is_tensor() const { return kind == Kind::Tensor; }
  Type type() const;  // an empty sequence or optional has an element type of kind None
  int64_t size_bytes() const;  // of all tensors inside
};

std::string str(const HostValue&, int64_t max_elements = 16);  // "f32[2, 2] {1, 2, 3, 4}"

}  // namespace ingot
