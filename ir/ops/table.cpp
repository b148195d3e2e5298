// The one table of operators. A line in a .def file declares the op; its meaning is define_NAME or expand_NAME.
#include <algorithm>

#include "ir/ops/def.h"

namespace ingot {

#define OP(name, min_inputs, max_inputs, attrs) Result<void> define_##name(Def&);
#define COMPOSITE(name, min_inputs, max_inputs, attrs) Result<void> expand_##name(Expand&);
#include "ir/ops/ops_a.def"
#include "ir/ops/ops_b.def"
#include "ir/ops/ops_c.def"
#undef OP
#undef COMPOSITE

namespace {

const std::vector<OpDef>& table() {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> list = {
        // Control flow: bodies are regions; inference and lowering know these two.
        {"if", 1, 1, "", nullptr, nullptr},
        {"loop", 2, -1, "", nullptr, nullptr},
#define OP(name, min_inputs, max_inputs, attrs) {#name, min_inputs, max_inputs, attrs, define_##name, nullptr},
#define COMPOSITE(name, min_inputs, max_inputs, attrs) {#name, min_inputs, max_inputs, attrs, nullptr, expand_##name},
#include "ir/ops/ops_a.def"
#include "ir/ops/ops_b.def"
#include "ir/ops/ops_c.def"
#undef OP
#undef COMPOSITE
    };
    std::sort(list.begin(), list.end(), [](const OpDef& a, const OpDef& b) { return a.name < b.name; });
    return list;
  }();
  return ops;
}

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      int substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::span<const OpDef> all_ops() { return table(); }

const OpDef* find_op(std::string_view name) {
  const auto& ops = table();
  auto it =
      std::lower_bound(ops.begin(), ops.end(), name, [](const OpDef& a, std::string_view n) { return a.name < n; });
  return it != ops.end() && it->name == name ? &*it : nullptr;
}

std::string nearest_op(std::string_view name) {
  std::string_view best;
  int best_distance = 1 << 30;
  for (const OpDef& op : table()) {
    int distance = edit_distance(name.substr(0, 64), op.name);
    if (distance < best_distance) best = op.name, best_distance = distance;
  }
  return std::string(best);
}

}  // namespace ingot
