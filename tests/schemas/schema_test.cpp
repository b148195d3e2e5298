// The op table against the schemas of the system's libonnx (1.12: operator set 17), which none of us wrote: every operator is
// there, takes as many inputs, and knows every attribute. What newer sets changed since is listed, with the change.
#include <gtest/gtest.h>
#include <onnx/defs/schema.h>

#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include "frontend/onnx/attributes.h"
#include "frontend/onnx/dtype.h"
#include "frontend/onnx/operators.h"
#include "ir/graph/op_def.h"
#include "ir/ops/def.h"
#include "ir/ops/signature.h"

namespace ingot {
namespace {

// The importer makes a constant of it, no node.
const std::set<std::string> kImported = {"constant"};
// Not supported.
const std::set<std::string> kMissing = {"cast_map"};
// Attributes that became inputs in sets 18 to 20: the importer makes them so.
const std::map<std::string, std::set<std::string>> kMoved = {
    {"dft", {"axis"}},
    {"reduce_l1", {"axes"}},
    {"reduce_l2", {"axes"}},
    {"reduce_log_sum", {"axes"}},
    {"reduce_log_sum_exp", {"axes"}},
    {"reduce_max", {"axes"}},
    {"reduce_mean", {"axes"}},
    {"reduce_min", {"axes"}},
    {"reduce_prod", {"axes"}},
    {"reduce_sum_square", {"axes"}},
};

std::string op_name(const std::string& domain, const std::string& name) {
  const ingot::onnx::Operator* o = ingot::onnx::find_operator(domain, name);
  return o ? o->op : "";
}

using Schemas = std::map<std::pair<std::string, std::string>, ::onnx::OpSchema>;

// The newest of each name, but deprecated ones and those of training.
Schemas newest() {
  Schemas all;
  for (const ::onnx::OpSchema& s : ::onnx::OpSchemaRegistry::get_all_schemas_with_history()) {
    if (s.domain() != "" && s.domain() != "ai.onnx.ml") continue;
    auto [it, fresh] = all.try_emplace({s.domain(), s.Name()}, s);
    if (!fresh && it->second.since_version() < s.since_version()) it->second = s;
  }
  std::erase_if(all, [](const auto& entry) { return entry.second.Deprecated(); });
  return all;
}

std::set<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::set<std::string> set;
  for (std::string word; in >> word;) set.insert(word);
  return set;
}

TEST(Schemas, EveryOperatorIsInTheTable) {
  int count = 0;
  for (const auto& [key, schema] : newest()) {
    const std::string name = op_name(key.first, key.second);
    if (kImported.count(name)) continue;
    EXPECT_EQ(find_op(name) == nullptr, kMissing.count(name) > 0) << key.first << " " << key.second;
    ++count;
  }
  EXPECT_GT(count, 170);
}

TEST(Schemas, InputsFit) {
  for (const auto& [key, schema] : newest()) {
    const OpDef* def = find_op(op_name(key.first, key.second));
    if (!def) continue;
    EXPECT_LE(def->min_inputs, schema.min_input()) << key.second;
    const bool any = schema.max_input() > 1 << 20;
    EXPECT_TRUE(def->max_inputs < 0 || (!any && schema.max_input() <= def->max_inputs))
        << key.second << ": got " << def->max_inputs << ", expected " << schema.max_input();
  }
}

TEST(Schemas, AttributesAreKnown) {
  for (const auto& [key, schema] : newest()) {
    const std::string name = op_name(key.first, key.second);
    const OpDef* def = find_op(name);
    if (!def) continue;
    const std::set<std::string> ours = words(def->attrs);
    const auto moved = kMoved.find(name);
    for (const auto& [attribute, description] : schema.attributes()) {
      if (description.type == ::onnx::AttributeProto::GRAPH) continue;  // a region
      if (moved != kMoved.end() && moved->second.count(attribute)) continue;
      EXPECT_TRUE(ours.count(attribute)) << key.second << " " << attribute;
    }
  }
}

// "tensor(float)" -> f32; Invalid: no tensor, or not known.
DType dtype_of_type(const std::string& text) {
  if (!text.starts_with("tensor(")) return DType::Invalid;
  std::string inner = text.substr(7, text.size() - 8);
  for (char& c : inner) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return ingot::onnx::dtype_of_name(inner);
}

// signatures.def: what a schema allows is allowed, and where two inputs are of one type, another is refused.
TEST(Schemas, SignaturesAreAsInTheStandard) {
  int allowed = 0, refused = 0;
  for (const auto& [key, schema] : newest()) {
    const OpDef* def = find_op(op_name(key.first, key.second));
    if (!def || signature_of(def->name).empty()) continue;
    if (key.second == "GridSample") continue;  // since operator set 20 the grid has a type of its own
    std::vector<const ::onnx::OpSchema::FormalParameter*> inputs;
    for (const auto& p : schema.inputs())
      for (int k = p.GetOption() == ::onnx::OpSchema::Variadic ? 3 : 1; k > 0; --k) inputs.push_back(&p);
    std::vector<std::vector<DType>> types;
    for (const auto* p : inputs) {
      types.emplace_back();
      for (const std::string* t : p->GetTypes())
        if (DType d = dtype_of_type(*t); d != DType::Invalid) types.back().push_back(d);
    }
    Graph graph;
    auto check = [&](const std::vector<DType>& of) {
      Node node;
      node.def = def;
      for (DType d : of)
        node.inputs.push_back(d == DType::Invalid ? nullptr : graph.new_value("x", Type::of(TensorType{d, {}})));
      return check_signature(node);
    };
    std::vector<DType> first;
    for (const auto& t : types) first.push_back(t.empty() ? DType::Invalid : t[0]);
    for (size_t i = 0; i < inputs.size(); ++i) {
      for (DType d : types[i]) {
        std::vector<DType> of = first;
        for (size_t k = 0; k < inputs.size(); ++k)
          if (inputs[k]->GetTypeStr() == inputs[i]->GetTypeStr()) of[k] = d;
        auto ok = check(of);
        EXPECT_TRUE(ok) << key.second << " input " << i << " " << name(d) << ": " << ok.error().message;
        ++allowed;
      }
      for (size_t k = 0; k < i; ++k) {
        const std::string& variable = inputs[i]->GetTypeStr();
        const bool homogeneous = inputs[i] != inputs[k] || inputs[i]->GetIsHomogeneous();
        if (inputs[k]->GetTypeStr() != variable || !homogeneous || variable.find('(') != variable.npos) continue;
        std::vector<DType> of = first;
        for (DType d : types[i])
          if (d != first[i]) of[i] = d;
        if (of[i] == first[i]) continue;
        EXPECT_FALSE(check(of)) << key.second << " inputs " << k << " and " << i;
        ++refused;
      }
    }
  }
  EXPECT_GT(allowed, 1000);
  EXPECT_GT(refused, 100);
}

// operators.def: the first operator set, and name, kind, first operator set and necessity of each attribute, in every version of
// a schema.
TEST(Schemas, OperatorsAreAsInTheStandard) {
  // Ours says less, since the rewrites of old sets decide (operators.def); LayerNormalization is ONNX Runtime's before 17.
  const std::set<std::pair<std::string, std::string>> left_to_rewrites = {{"BatchNormalization", "consumed_inputs"},
                                                                          {"Constant", "value"},
                                                                          {"Pad", "paddings"},
                                                                          {"Upsample", "height_scale"},
                                                                          {"Upsample", "width_scale"},
                                                                          {"Upsample", "scales"}};
  constexpr int kNewest = 17;  // of libonnx
  std::map<std::pair<std::string, std::string>, int> first;
  std::map<std::tuple<std::string, std::string, std::string>, std::pair<int, int32_t>> first_attribute;  // set, kind
  int checked = 0;
  for (const ::onnx::OpSchema& s : ::onnx::OpSchemaRegistry::get_all_schemas_with_history()) {
    if (s.domain() != "" && s.domain() != "ai.onnx.ml") continue;
    auto [it, fresh] = first.try_emplace({s.domain(), s.Name()}, s.since_version());
    it->second = std::min(it->second, s.since_version());
    const ingot::onnx::Operator* o = ingot::onnx::find_operator(s.domain() == "" ? "" : "ai.onnx.ml", s.Name());
    ASSERT_TRUE(o) << s.Name();
    std::vector<std::string_view> given;
    for (const auto& [name, a] : s.attributes()) {
      auto known = ingot::onnx::check_attribute(*o, s.since_version(), name, static_cast<int32_t>(a.type));
      EXPECT_TRUE(known) << s.Name() << "-" << s.since_version() << ": " << known.error().message;
      if (!a.required) given.push_back(name);
      auto [at, fresh_attribute] = first_attribute.try_emplace(
          {s.domain(), s.Name(), name}, std::pair(s.since_version(), static_cast<int32_t>(a.type)));
      if (s.since_version() < at->second.first) at->second = {s.since_version(), static_cast<int32_t>(a.type)};
    }
    for (const auto& [name, a] : s.attributes()) {
      if (!a.required || left_to_rewrites.count({s.Name(), name})) continue;
      auto missing = ingot::onnx::check_required(*o, s.since_version(), given);
      EXPECT_FALSE(missing) << s.Name() << "-" << s.since_version() << " without " << name;
      given.push_back(name);
    }
    auto complete = ingot::onnx::check_required(*o, s.since_version(), given);
    EXPECT_TRUE(complete) << s.Name() << "-" << s.since_version() << ": " << complete.error().message;
    ++checked;
  }
  // Older than the standard's: experimental, or of ONNX Runtime.
  const std::set<std::string> older = {"LayerNormalization", "MeanVarianceNormalization", "ThresholdedRelu"};
  // The rewrites take both spellings in every set.
  const std::set<std::pair<std::string, std::string>> spelled_early = {{"Pad", "pads"}, {"Upsample", "scales"}};
  int refused = 0;
  for (const auto& [key, of] : first_attribute) {
    const auto& [domain, op, attribute] = key;
    const auto& [since, kind] = of;
    if (older.count(op) || spelled_early.count({op, attribute}) || since <= first[{domain, op}]) continue;
    const ingot::onnx::Operator* o = ingot::onnx::find_operator(domain, op);
    auto early = ingot::onnx::check_attribute(*o, since - 1, attribute, kind);
    ASSERT_FALSE(early) << op << " " << attribute;
    EXPECT_EQ(early.error().message,
              fmt::format("got operator set {}, expected at least {}, which attribute '{}' came with", since - 1, since,
                          attribute));
    ++refused;
  }
  EXPECT_GT(refused, 50);
  // What libonnx does not know came after it.
  for (const auto& [key, schema] : newest()) {
    const ingot::onnx::Operator* o = ingot::onnx::find_operator(key.first, key.second);
    if (older.count(key.second) || !key.first.empty()) continue;
    for (const std::string& word : words(o->attributes)) {
      const std::string attribute = word.substr(0, word.find(':')),
                        kind = word.substr(attribute.size() + 1, word.find_first_of("|@!") - attribute.size() - 1);
      if (first_attribute.count({key.first, key.second, attribute})) continue;
      int32_t type = 0;
      while (type < 20 && ingot::onnx::attribute_kind_name(type) != kind) ++type;
      EXPECT_FALSE(ingot::onnx::check_attribute(*o, kNewest, attribute, type)) << key.second << " " << attribute;
    }
  }
  for (const auto& [key, since] : first) {
    if (older.count(key.second)) continue;
    EXPECT_EQ(ingot::onnx::find_operator(key.first, key.second)->since, since) << key.second;
  }
  EXPECT_GT(checked, 400);
}

}  // namespace
}  // namespace ingot
