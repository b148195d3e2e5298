// The one table of operators. A line in a .def file declares the op; its meaning is define_NAME or expand_NAME.
#include <algorithm>

#include "ir/ops/def.h"

namespace ingot {

#define FAMILY(title)
#define OP(name, min_inputs, max_inputs, attrs) Result<void> define_##name(Def&);
#define COMPOSITE(name, min_inputs, max_inputs, attrs) Result<void> expand_##name(Expand&);
#define INNER OP
#define INNER_COMPOSITE COMPOSITE
#include "ir/ops/ops_a.def"
#include "ir/ops/ops_b.def"
#include "ir/ops/ops_c.def"
#undef FAMILY
#undef OP
#undef COMPOSITE
#undef INNER
#undef INNER_COMPOSITE

namespace {

struct Table {
  std::vector<OpDef> ops;  // by name
  std::vector<std::string_view> families;

  Table() {
    // Bodies are regions; inference and lowering know these two.
    family("Control flow");
    add({"if", 1, 1, "", nullptr, nullptr});
    add({"loop", 2, -1, "", nullptr, nullptr});
#define FAMILY(title) family(title);
#define OP(name, min_inputs, max_inputs, attrs) add({#name, min_inputs, max_inputs, attrs, define_##name, nullptr});
#define COMPOSITE(name, min_inputs, max_inputs, attrs) \
  add({#name, min_inputs, max_inputs, attrs, nullptr, expand_##name});
#define INNER(name, min_inputs, max_inputs, attrs) \
  ops.push_back({#name, min_inputs, max_inputs, attrs, define_##name, nullptr});
#define INNER_COMPOSITE(name, min_inputs, max_inputs, attrs) \
  ops.push_back({#name, min_inputs, max_inputs, attrs, nullptr, expand_##name});
#include "ir/ops/ops_a.def"
#include "ir/ops/ops_b.def"
#include "ir/ops/ops_c.def"
#undef FAMILY
#undef OP
#undef COMPOSITE
#undef INNER
#undef INNER_COMPOSITE
    std::sort(ops.begin(), ops.end(), [](const OpDef& a, const OpDef& b) { return a.name < b.name; });
  }

 private:
  void family(std::string_view title) { families.push_back(title); }
  void add(OpDef op) {
    op.family = families.back();
    ops.push_back(op);
  }
};

const Table& table() {
  static const Table t;
  return t;
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

std::span<const OpDef> all_ops() { return table().ops; }
std::span<const std::string_view> op_families() { return table().families; }

const OpDef* find_op(std::string_view name) {
  const auto& ops = table().ops;
  auto it =
      std::lower_bound(ops.begin(), ops.end(), name, [](const OpDef& a, std::string_view n) { return a.name < n; });
  return it != ops.end() && it->name == name ? &*it : nullptr;
}

std::string nearest_op(std::string_view name) {
  std::string_view best;
  int best_distance = 1 << 30;
  for (const OpDef& op : all_ops()) {
    int distance = edit_distance(name.substr(0, 64), op.name);
    if (distance < best_distance) best = op.name, best_distance = distance;
  }
  return std::string(best);
}

}  // namespace ingot
