// The types of a graph's inputs: extents that are numbers, names, expressions of names, or nothing.
#pragma once

#include <set>

#include "frontend/onnx/import.h"
#include "frontend/onnx/proto.h"
#include "ir/types.h"

namespace ingot::onnx {

// Kind and element type of a value, without its shape; kind None where the message says nothing that is known.
Type element_types(const TypeProto& proto);

class InputTypes {
 public:
  explicit InputTypes(const ImportOptions& options) : options_(options) {}

  // Finds the names that stand alone as an extent; expressions may use these only. Call for all inputs first.
  void collect(const ValueInfoProto& input);
  Result<Type> type(const ValueInfoProto& input);
  Result<Type> type_or_rank_0(const ValueInfoProto& input, bool& has_shape);
  Result<void> check_all_used() const;  // an override that names no extent is an error

 private:
  Result<Type> convert(const TypeProto& proto, std::string_view input, int& axis);
  Result<Dim> extent(const TensorShapeProto::Dimension& d, std::string_view input, int axis);
  Result<Dim> named(const std::string& name, bool positional = false);

  const ImportOptions& options_;
  bool* has_shape_ = nullptr;  // where set: cleared for a tensor without a shape, instead of an error
  std::map<std::string, bool, std::less<>> plain_;  // names that stand alone
  std::map<std::string, Dim, std::less<>> dims_;    // what each name became
  std::set<std::string> symbol_names_;
};

// `text` as a sum of products of names and numbers with // ; none where it is anything else.
struct DimScope {
  virtual std::optional<Dim> dim(std::string_view name) = 0;
  virtual ~DimScope() = default;
};
std::optional<Dim> parse_dim_expression(std::string_view text, DimScope& scope);

}  // namespace ingot::onnx
