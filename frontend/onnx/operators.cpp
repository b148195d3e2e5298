#include "frontend/onnx/operators.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>

#include "frontend/onnx/attributes.h"
#include "frontend/onnx/names.h"

namespace ingot::onnx {

namespace {

std::vector<Operator> read_table() {
  std::vector<Operator> all;
  struct Meaning {
    std::string_view op, like;
    int64_t like_version;
  };
  auto standard = [&](std::string_view domain, std::string_view name, int64_t since, std::string_view attributes) {
    all.push_back({domain, name, since, snake_case(name), attributes});
  };
  auto microsoft = [&](std::string_view name, Meaning meaning, std::string_view attributes) {
    std::string op = meaning.like.empty() ? std::string(meaning.op) : snake_case(meaning.like);
    all.push_back({kMicrosoftDomain, name, 1, std::move(op), attributes, meaning.like, meaning.like_version});
  };
#define ONNX(name, since, attributes) standard("", #name, since, attributes);
#define ML(name, since, attributes) standard(kMlDomain, #name, since, attributes);
#define PREVIEW(name, since, attributes) standard("ai.onnx.preview", #name, since, attributes);
#define TRAINING(name, since, attributes) standard("ai.onnx.preview.training", #name, since, attributes);
#define OWN(op) (Meaning{#op, {}, 0})
#define LIKE(name, set) (Meaning{{}, #name, set})
#define MICROSOFT(name, meaning, attributes) microsoft(#name, meaning, attributes);
#define QUANT(name, attributes) \
  for (std::string_view domain : kQuantDomains) standard(domain, #name, 1, attributes);
#include "frontend/onnx/operators.def"
#undef ONNX
#undef ML
#undef PREVIEW
#undef TRAINING
#undef OWN
#undef LIKE
#undef MICROSOFT
#undef QUANT
  return all;
}

constexpr std::string_view kAnyAttributes = "*";

struct Spec {
  std::string_view name, kinds;  // "int|string"
  int64_t since = 0;
  int64_t required_from = 0, required_to = -1;
};

// The next of a list such as "axis:int@13 to:string|int!4-9"; at its end, one without a name.
Spec next_spec(std::string_view& list) {
  const std::string_view word = list.substr(0, list.find(' '));
  list.remove_prefix(std::min(list.size(), word.size() + 1));
  const size_t colon = std::min(word.find(':'), word.size()), mark = std::min(word.find('!'), word.size()),
               at = std::min(word.find('@'), mark);
  if (colon == word.size()) return {};
  Spec s{word.substr(0, colon), word.substr(colon + 1, at - colon - 1)};
  if (at != mark) std::from_chars(word.data() + at + 1, word.data() + mark, s.since);
  if (mark == word.size()) return s;
  s.required_to = std::numeric_limits<int64_t>::max();
  const char *p = word.data() + mark + 1, *end = word.data() + word.size();
  if (p != end && *p != '-') p = std::from_chars(p, end, s.required_from).ptr;
  if (p != end && *p == '-') std::from_chars(p + 1, end, s.required_to);
  return s;
}

bool among(std::string_view kinds, std::string_view kind) {
  for (size_t at = 0; at <= kinds.size();) {
    const size_t end = std::min(kinds.find('|', at), kinds.size());
    if (kinds.substr(at, end - at) == kind) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

Operator any_operator(std::string_view domain, std::string_view name) {
  return {domain, name, 0, snake_case(name), kAnyAttributes};
}

const Operator* find_operator(std::string_view domain, std::string_view name) {
  static const std::vector<Operator> table = read_table();
  static const std::map<std::pair<std::string_view, std::string_view>, const Operator*> by_name = [] {
    std::map<std::pair<std::string_view, std::string_view>, const Operator*> map;
    for (const Operator& o : table) map.emplace(std::pair(o.domain, o.name), &o);
    return map;
  }();
  const auto it = by_name.find({domain, name});
  return it == by_name.end() ? nullptr : it->second;
}

Result<void> check_attribute(const Operator& op, int64_t version, std::string_view name, int32_t type) {
  if (name.empty()) return invalid("an attribute without a name");
  if (op.attributes == kAnyAttributes) return {};
  std::string known;
  std::string_view list = op.attributes;
  for (Spec s = next_spec(list); !s.name.empty(); s = next_spec(list)) {
    if (s.name != name) {
      known += fmt::format("{}{}", known.empty() ? "one of: " : " ", s.name);
      continue;
    }
    if (version < s.since)
      return invalid("got operator set {}, expected at least {}, which attribute {} came with", version, s.since,
                     quoted(name));
    if (among(s.kinds, attribute_kind_name(type))) return {};
    std::string expected(s.kinds);
    if (const size_t bar = expected.find('|'); bar != expected.npos) expected.replace(bar, 1, " or ");
    return invalid("attribute {} is of kind {}, expected {}", quoted(name), attribute_kind_name(type), expected);
  }
  return unsupported("attribute {} is not known, expected {}", quoted(name), known.empty() ? "none" : known);
}

Result<void> check_required(const Operator& op, int64_t version, const std::vector<std::string_view>& given) {
  std::string_view list = op.attributes;
  for (Spec s = next_spec(list); !s.name.empty(); s = next_spec(list))
    if (version >= s.required_from && version <= s.required_to &&
        std::find(given.begin(), given.end(), s.name) == given.end())
      return invalid("attribute {} is missing", quoted(s.name));
  return {};
}

}  // namespace ingot::onnx
