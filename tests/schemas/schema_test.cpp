// The op table against the schemas of the system's libonnx (1.12: operator set 17), which none of us wrote: every operator is
// there, takes as many inputs, and knows every attribute. What newer sets changed since is listed, with the change.
#include <gtest/gtest.h>
#include <onnx/defs/schema.h>

#include <map>
#include <set>
#include <sstream>

#include "frontend/onnx/names.h"
#include "ir/graph/op_def.h"
#include "ir/ops/def.h"

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
    const std::string name = ingot::onnx::op_name(key.first, key.second);
    if (kImported.count(name)) continue;
    EXPECT_EQ(find_op(name) == nullptr, kMissing.count(name) > 0) << key.first << " " << key.second;
    ++count;
  }
  EXPECT_GT(count, 170);
}

TEST(Schemas, InputsFit) {
  for (const auto& [key, schema] : newest()) {
    const OpDef* def = find_op(ingot::onnx::op_name(key.first, key.second));
    if (!def) continue;
    EXPECT_LE(def->min_inputs, schema.min_input()) << key.second;
    const bool any = schema.max_input() > 1 << 20;
    EXPECT_TRUE(def->max_inputs < 0 || (!any && schema.max_input() <= def->max_inputs))
        << key.second << ": got " << def->max_inputs << ", expected " << schema.max_input();
  }
}

TEST(Schemas, AttributesAreKnown) {
  for (const auto& [key, schema] : newest()) {
    const std::string name = ingot::onnx::op_name(key.first, key.second);
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

}  // namespace
}  // namespace ingot
