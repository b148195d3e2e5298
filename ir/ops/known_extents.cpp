#include "ir/ops/known_extents.h"

#include <algorithm>

namespace ingot {

namespace {

std::map<int64_t, Symbol> input_extents(const Graph& graph) {
  std::map<int64_t, Symbol> symbols;
  for (const Value* v : graph.body.inputs) {
    if (!v->type.is_tensor()) continue;
    for (const Dim& d : v->type.tensor.dims)
      if (auto s = d.as_symbol()) symbols.emplace((*s)->id, *s);
  }
  return symbols;
}

// The value of `s` where d is 0: a constant, or one of `symbols`.
std::optional<Dim> solved(const Dim& d, const Symbol& s, const std::map<int64_t, Symbol>& symbols) {
  auto affine = affine_in(d, s);
  if (!affine || !affine->coefficient.is_constant() || affine->coefficient.is(0)) return std::nullopt;
  const int64_t c = affine->coefficient.value();
  if (auto rest = affine->rest.constant()) {
    if (*rest % c != 0) return std::nullopt;  // no integer does it: the check fails the run
    const int64_t value = -(*rest / c);
    return value >= s->lo && value <= s->hi ? std::optional(Dim(value)) : std::nullopt;
  }
  const Dim value = c == 1 ? -affine->rest : c == -1 ? affine->rest : Dim(0);
  auto other = value.as_symbol();
  // Of two names for one extent the older one stays.
  if (!other || !symbols.count((*other)->id) || (*other)->id > s->id || (*other)->lo < s->lo || (*other)->hi > s->hi)
    return std::nullopt;
  return value;
}

bool mentions(const Dim& d, const Substitution& replaced) {
  std::map<int64_t, Symbol> used;
  collect_symbols(d, used);
  return std::any_of(used.begin(), used.end(), [&](auto& u) { return replaced.count(u.first) > 0; });
}

}  // namespace

Substitution fixed_extents(const Graph& graph, const std::vector<k::Stage>& stages) {
  Substitution fixed;
  std::map<int64_t, Symbol> symbols;
  for (const k::Stage& s : stages) {
    if (s.kind != k::StageKind::Check) continue;
    // A product holds where all its factors do.
    const auto& terms = s.condition_dim.terms();
    if (terms.size() != 1) continue;
    for (const Dim::Atom& a : terms[0].atoms) {
      if (a.kind != Dim::AtomKind::Equal) continue;
      if (symbols.empty()) symbols = input_extents(graph);
      const Dim difference = substitute(a.a - a.b, fixed);
      std::map<int64_t, Symbol> used;
      collect_symbols(difference, used);
      for (auto& [id, symbol] : used) {
        if (!symbols.count(id)) continue;
        auto value = solved(difference, symbol, symbols);
        if (!value) continue;
        for (auto& [other, v] : fixed) v = substitute(v, {{id, *value}});
        fixed.emplace(id, *value);
        break;
      }
    }
  }
  return fixed;
}

void replace_extents(Graph& graph, Substitution by) {
  // Symbols whose bounds are made of these get a new name, with the new bounds.
  std::map<int64_t, Symbol> renamed;
  auto rename = [&](Symbol& s) {
    if (auto it = renamed.find(s->id); it != renamed.end()) {
      s = it->second;
    } else if (s->extent && mentions(*s->extent, by)) {
      Symbol fresh = Dim::iterator(s->name, substitute(*s->extent, by));
      by.emplace(s->id, Dim(fresh));
      s = renamed.emplace(s->id, fresh).first->second;
    }
  };
  for_each_node(graph.body, [&](Node& n) {
    for (Symbol& s : n.symbols) rename(s);
  });
  for (auto& v : graph.values) {
    for (auto& [element, s] : v->reads) rename(s);
  }
  for (auto& v : graph.values) {
    v->type = substitute(v->type, by);
    if (!v->elements) continue;
    for (Dim& d : *v->elements) d = substitute(d, by);
  }
}

bool same_type(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.tensor.dtype != b.tensor.dtype || a.tensor.rank() != b.tensor.rank() ||
      bool(a.element) != bool(b.element))
    return false;
  for (size_t k = 0; k < a.tensor.dims.size(); ++k)
    if (!known_equal(a.tensor.dims[k], b.tensor.dims[k])) return false;
  return !a.element || same_type(*a.element, *b.element);
}

Result<Type> common_item(const Type& a, const Type& b) {
  if (a.kind == Type::Kind::None) return b;  // of the items of an empty sequence
  if (b.kind == Type::Kind::None) return a;
  if (a.kind != b.kind || a.tensor.dtype != b.tensor.dtype)
    return invalid("got items of {} and {}, expected one type", a.str(), b.str());
  if (a.is_tensor() && a.tensor.rank() != b.tensor.rank()) return Type{};  // which item has which only the run knows
  Type t = a;
  for (size_t k = 0; k < t.tensor.dims.size(); ++k)
    if (!known_equal(a.tensor.dims[k], b.tensor.dims[k])) t.tensor.dims[k] = kAnyExtent;
  if (a.element && b.element) t.element = std::make_shared<const Type>(TRY(common_item(*a.element, *b.element)));
  return t;
}

Type without_symbols(const Type& type, const std::set<int64_t>& symbols) {
  if (!type.element) return type;
  Type t = type;
  Type e = without_symbols(*type.element, symbols);
  for (Dim& d : e.tensor.dims) {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    if (std::any_of(used.begin(), used.end(), [&](auto& u) { return symbols.count(u.first) > 0; })) d = kAnyExtent;
  }
  t.element = std::make_shared<const Type>(std::move(e));
  return t;
}

Type with_any_items(const Type& type) {
  if (!type.element) return type;
  Type t = type, e = with_any_items(*type.element);
  for (Dim& d : e.tensor.dims) d = kAnyExtent;
  t.element = std::make_shared<const Type>(std::move(e));
  return t;
}

}  // namespace ingot
