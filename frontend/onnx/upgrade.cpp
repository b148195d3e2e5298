#include "frontend/onnx/upgrade.h"

#include <algorithm>
#include <cmath>

#include "frontend/onnx/names.h"

namespace ingot::onnx {

void Upgrade::set_input(size_t i, Value* v) {
  if (inputs.size() <= i) inputs.resize(i + 1, nullptr);
  inputs[i] = v;
}

int64_t Upgrade::i64(std::string_view name, int64_t otherwise) const {
  const AttrValue* a = attrs.find(name);
  const int64_t* v = a ? std::get_if<int64_t>(a) : nullptr;
  return v ? *v : otherwise;
}
double Upgrade::f64(std::string_view name, double otherwise) const {
  const AttrValue* a = attrs.find(name);
  const double* v = a ? std::get_if<double>(a) : nullptr;
  return v ? *v : otherwise;
}
std::string Upgrade::str(std::string_view name, std::string_view otherwise) const {
  const AttrValue* a = attrs.find(name);
  const std::string* v = a ? std::get_if<std::string>(a) : nullptr;
  return v ? *v : std::string(otherwise);
}
std::vector<int64_t> Upgrade::ints(std::string_view name) const {
  const AttrValue* a = attrs.find(name);
  auto* v = a ? std::get_if<std::vector<int64_t>>(a) : nullptr;
  return v ? *v : std::vector<int64_t>();
}
std::vector<double> Upgrade::floats(std::string_view name) const {
  const AttrValue* a = attrs.find(name);
  auto* v = a ? std::get_if<std::vector<double>>(a) : nullptr;
  return v ? *v : std::vector<double>();
}
void Upgrade::erase(std::initializer_list<std::string_view> names) {
  for (std::string_view n : names) attrs.erase(n);
}

Result<std::vector<Value*>> Upgrade::add_n(std::string_view name, std::vector<Value*> in, size_t count, Attrs with) {
  std::vector<Value*> out;
  for (size_t i = 0; i < count; ++i) out.push_back(importer_.new_value(name));
  TRY(importer_.emit(region_, name, std::move(in), std::move(with), out));
  return out;
}
Result<Value*> Upgrade::add(std::string_view name, std::vector<Value*> in, Attrs with) {
  return TRY(add_n(name, std::move(in), 1, std::move(with)))[0];
}
Result<void> Upgrade::finish(std::string_view name, std::vector<Value*> in, Attrs with, std::vector<Value*> out) {
  TRY(importer_.emit(region_, name, std::move(in), std::move(with), std::move(out)));
  finished_ = true;
  return {};
}
Result<void> Upgrade::emit() {
  TRY(importer_.emit(region_, op, inputs, attrs, outputs, std::move(regions)));
  finished_ = true;
  return {};
}

Result<void> Upgrade::scan_of_scan(Attrs inner) {
  auto body = std::make_unique<Region>();
  for (size_t i = 0; i < inputs.size(); ++i) body->inputs.push_back(importer_.new_value("element"));
  std::vector<Value*> made;
  for (Value* o : outputs) made.push_back(o ? importer_.new_value("element") : nullptr);
  TRY(importer_.emit(*body, op, body->inputs, std::move(inner), made, std::move(regions)));
  std::vector<Value*> asked;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i]) {
      body->outputs.push_back(made[i]);
      asked.push_back(outputs[i]);
    }
  std::vector<std::unique_ptr<Region>> bodies;
  bodies.push_back(std::move(body));
  TRY(importer_.emit(region_, op, inputs, attrs, asked, std::move(bodies)));
  finished_ = true;
  return {};
}

Value* Upgrade::ints_constant(const std::vector<int64_t>& values) {
  auto t = TensorData::make(DType::I64, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t->mutable_as<int64_t>());
  return constant("ints", t);
}
Value* Upgrade::int_constant(int64_t value) {
  auto t = TensorData::make(DType::I64, {});
  *t->mutable_as<int64_t>() = value;
  return constant("int", t);
}

Result<Value*> Upgrade::number_like(Value* x, double value) {
  DType want = importer_.facts().of(x).dtype;
  if (want == DType::F64) {
    auto t = TensorData::make(want, {});
    *t->mutable_as<double>() = value;
    return constant("number", t);
  }
  auto t = TensorData::make(DType::F32, {});
  *t->mutable_as<float>() = static_cast<float>(value);
  Value* v = constant("number", t);
  if (want == DType::F32) return v;
  return add("cast_like", {v, x});
}

Result<Value*> Upgrade::rank_of(Value* x) {
  if (int r = importer_.facts().of(x).rank; r >= 0) return ints_constant({r});
  return add("shape", {TRY(add("shape", {x}))});
}

void Upgrade::ints_to_input(std::string_view name, size_t i) {
  std::vector<int64_t> values = ints(name);
  attrs.erase(name);
  if (!values.empty()) set_input(i, ints_constant(values));
}

UpgradeFn find_upgrade(std::string_view domain, std::string_view op) {
  auto in = [&](std::span<const UpgradeEntry> list) -> UpgradeFn {
    for (const UpgradeEntry& e : list)
      if (e.op == op) return e.upgrade;
    return nullptr;
  };
  if (domain == kMlDomain) return in(ml_upgrades());
  if (domain == kMicrosoftDomain) return in(microsoft_upgrades());
  if (is_quant_domain(domain)) return in(quant_upgrades());
  if (!domain.empty()) return nullptr;
  for (auto list : {elementwise_upgrades(), movement_upgrades(), nn_upgrades(), experimental_upgrades()})
    if (UpgradeFn f = in(list)) return f;
  return nullptr;
}

}  // namespace ingot::onnx
