#include "ir/graph/graph.h"

#include <algorithm>

#include "ir/graph/op_def.h"

namespace ingot {

namespace {
auto position(const std::vector<std::pair<std::string, AttrValue>>& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name,
                          [](const auto& item, std::string_view n) { return item.first < n; });
}
}  // namespace

const AttrValue* Attrs::find(std::string_view name) const {
  auto it = position(items_, name);
  return it != items_.end() && it->first == name ? &it->second : nullptr;
}

void Attrs::set(std::string name, AttrValue value) {
  auto at = items_.begin() + (position(items_, name) - items_.cbegin());
  if (at != items_.end() && at->first == name) at->second = std::move(value);
  else items_.emplace(at, std::move(name), std::move(value));
}

void Attrs::erase(std::string_view name) {
  auto it = position(items_, name);
  if (it != items_.end() && it->first == name) items_.erase(it);
}

std::string_view Node::op() const { return def ? def->name : std::string_view("unknown"); }

Value* Graph::new_value(std::string name, Type type) {
  if (name.empty()) name = "v";
  std::string unique = name;
  if (!names_.emplace(unique, 0).second) {
    int& n = names_[name];
    do unique = name + "_" + std::to_string(++n);
    while (!names_.emplace(unique, 0).second);
  }
  values.push_back(std::make_unique<Value>());
  values.back()->name = std::move(unique);
  values.back()->type = std::move(type);
  return values.back().get();
}

Value* Graph::new_constant(std::string name, TensorRef data) {
  Value* v = new_value(std::move(name), Type::of(data->type()));
  v->constant = std::move(data);
  return v;
}

void for_each_node(Region& region, const std::function<void(Node&)>& f) {
  for (auto& node : region.nodes) {
    f(*node);
    for (auto& r : node->regions) for_each_node(*r, f);
  }
}

void for_each_node(const Region& region, const std::function<void(const Node&)>& f) {
  for (const auto& node : region.nodes) {
    f(*node);
    for (const auto& r : node->regions) for_each_node(static_cast<const Region&>(*r), f);
  }
}

}  // namespace ingot
