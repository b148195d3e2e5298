#include "ir/graph/parse.h"
#include "ir/ops/def.h"

namespace ingot {

Result<Graph> parse_graph(std::string_view text) {
  return parse_graph(text, [](std::string_view name) -> Result<const OpDef*> {
    if (const OpDef* def = find_op(name)) return def;
    std::string near = nearest_op(name);
    if (near.empty()) return invalid("got the unknown operator '{}'", name);
    return invalid("got the unknown operator '{}', the nearest is '{}'", name, near);
  });
}

}  // namespace ingot
