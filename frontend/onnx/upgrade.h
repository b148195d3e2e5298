// Rewrites of nodes of older operator sets as nodes of the newest.
//
// One function per operator whose meaning, inputs or attributes changed; it looks at `version` (the operator set that
// the model imports) and edits the node, or emits others and finishes it itself. Operators without an entry never
// changed in a way that matters here. Shapes are not known yet: what depends on them is computed with Shape and folds
// later.
#pragma once

#include "frontend/onnx/importer.h"

namespace ingot::onnx {

class Upgrade {
 public:
  Upgrade(Importer& importer, Region& region, std::string_view domain, int64_t version)
      : domain(domain), version(version), importer_(importer), region_(region) {}

  std::string_view domain;
  int64_t version;
  std::string op;
  std::vector<Value*> inputs, outputs;  // null: absent, unread
  Attrs attrs;
  std::vector<std::unique_ptr<Region>> regions;

  Value* in(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  bool wants(size_t i) const { return i < outputs.size() && outputs[i]; }
  DType dtype(size_t i) const { return importer_.facts().of(in(i)).dtype; }  // Invalid: not known
  int rank(size_t i) const { return importer_.facts().of(in(i)).rank; }      // -1: not known
  const TensorData* constant(size_t i) const { return in(i) ? in(i)->constant.get() : nullptr; }
  void set_input(size_t i, Value* v);

  // Attributes; the kind of each is already checked.
  bool has(std::string_view name) const { return attrs.find(name) != nullptr; }
  int64_t i64(std::string_view name, int64_t otherwise) const;
  double f64(std::string_view name, double otherwise) const;
  std::string str(std::string_view name, std::string_view otherwise) const;
  std::vector<int64_t> ints(std::string_view name) const;
  std::vector<double> floats(std::string_view name) const;
  void erase(std::initializer_list<std::string_view> names);

  // New nodes before this one.
  Result<Value*> add(std::string_view op, std::vector<Value*> inputs, Attrs attrs = {});
  Result<std::vector<Value*>> add_n(std::string_view op, std::vector<Value*> inputs, size_t outputs, Attrs attrs = {});
  // A node that defines `outputs`; with it, or several, the upgrade has done everything itself.
  Result<void> finish(std::string_view op, std::vector<Value*> inputs, Attrs attrs, std::vector<Value*> outputs);
  Result<void> emit();  // the node as it stands
  // A scan without states whose body is this node's scan with the attributes `inner`.
  Result<void> scan_of_scan(Attrs inner);
  bool finished() const { return finished_; }

  Value* constant(std::string_view name, TensorRef data) { return importer_.new_constant(name, std::move(data)); }
  Value* ints_constant(const std::vector<int64_t>& values);  // i64[n]
  Value* int_constant(int64_t value);                        // i64[]
  Result<Value*> number_like(Value* x, double value);        // a scalar of x's element type
  Result<Value*> rank_of(Value* x);                          // i64[1]
  // Attribute `name` becomes input i (i64[n]); an empty or absent list becomes an absent input.
  void ints_to_input(std::string_view name, size_t i);

 private:
  Importer& importer_;
  Region& region_;
  bool finished_ = false;
};

using UpgradeFn = Result<void> (*)(Upgrade&);
struct UpgradeEntry {
  std::string_view op;
  UpgradeFn upgrade;
};
// null: nothing to do.
UpgradeFn find_upgrade(std::string_view domain, std::string_view op);

// The lists, one per file.
std::span<const UpgradeEntry> elementwise_upgrades();
std::span<const UpgradeEntry> movement_upgrades();
std::span<const UpgradeEntry> nn_upgrades();
std::span<const UpgradeEntry> experimental_upgrades();
std::span<const UpgradeEntry> ml_upgrades();
std::span<const UpgradeEntry> quant_upgrades();
std::span<const UpgradeEntry> microsoft_upgrades();

}  // namespace ingot::onnx
