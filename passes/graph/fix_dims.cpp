// See fix_dims.h.
#include "passes/graph/fix_dims.h"

#include <fmt/ranges.h>

#include "support/text.h"

namespace ingot {

Result<void> check_dim_names(const std::map<std::string, int64_t>& dims, const std::set<std::string>& names) {
  for (const auto& [name, extent] : dims) {
    if (names.count(name)) continue;
    const std::vector<std::string> all(names.begin(), names.end());
    const std::string near = nearest_name(name, all);
    if (all.empty()) return invalid("no input has a dimension '{}': all are fixed", name);
    return invalid("no input has a dimension '{}'{}; there are: {}", name,
                   near.empty() ? "" : fmt::format(", did you mean '{}'", near), fmt::join(all, ", "));
  }
  return {};
}

Result<void> fix_dims(Graph& graph, const std::map<std::string, int64_t>& dims) {
  if (dims.empty()) return {};
  std::map<int64_t, Symbol> symbols;
  for (const Value* v : graph.body.inputs) collect_symbols(v->type, symbols);
  Substitution values;
  std::set<std::string> names;
  for (const auto& [id, symbol] : symbols) {
    names.insert(symbol->name);
    const auto it = dims.find(symbol->name);
    if (it == dims.end()) continue;
    if (it->second < symbol->lo || it->second > symbol->hi)
      return invalid("dimension '{}' is {}, expected {} to {}", symbol->name, it->second, symbol->lo, symbol->hi);
    values[id] = Dim(it->second);
  }
  TRY(check_dim_names(dims, names));
  for (auto& v : graph.values) v->type = substitute(v->type, values);
  return {};
}

}  // namespace ingot
