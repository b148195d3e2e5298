#include "passes/schedule/one_form.h"

#include <algorithm>

#include "passes/kernels/passes.h"
#include "passes/schedule/contraction.h"
#include "passes/schedule/host_program.h"

namespace ingot {

namespace {

// Bytes: less is worth neither the planning nor, where size does not matter, the time of those that read it.
inline constexpr int64_t kLeastShared = 4 << 10, kLeastSharedForSpeed = 1 << 20;
inline constexpr int64_t kLittle = 8;  // one of so many elements

// The last index again past the end: min(index, extent - 1).
Dim without_clamp(const Dim& d, const Dim& extent) {
  if (d.terms().size() != 1 || d.terms()[0].atoms.size() != 1 || d.terms()[0].coefficient != 1) return d;
  const Dim::Atom& a = d.terms()[0].atoms[0];
  if (a.kind != Dim::AtomKind::Min) return d;
  if (a.b == extent - 1) return a.a;
  return a.a == extent - 1 ? a.b : d;
}

}  // namespace

std::optional<Storage> packed_form(const k::Stage& packing, const k::Program& p) {
  const Expr& read = packing.body[0];
  if (!read.is(ScalarOp::Read) || read->checked) return std::nullopt;
  const k::Value& v = p.values[static_cast<size_t>(read->id)];
  if (!v.constant) return std::nullopt;
  Storage s = row_major(v.tensor());
  if (s.dtype != read.type()) return std::nullopt;
  std::vector<Dim> step(packing.iters.size(), 1);
  s.elements = 1;
  for (size_t k = packing.iters.size(); k-- > 0;) {
    step[k] = s.elements;
    s.elements *= packing.iters[k].extent;
  }
  std::vector<bool> used(packing.iters.size(), false);
  s.split.assign(s.dims.size(), 0);
  s.outer.assign(s.dims.size(), 0);
  for (size_t d = 0; d < s.dims.size(); ++d) {
    auto index = as_dim(read->args[d]);
    if (!index) return std::nullopt;
    const Dim at = without_clamp(*index, s.dims[d]);
    if (at.is(0) && s.dims[d].is(1)) continue;
    Dim rest = at;
    std::vector<std::pair<size_t, int64_t>> parts;  // iterator, coefficient
    for (size_t k = 0; k < packing.iters.size(); ++k) {
      auto a = affine_in(rest, packing.iters[k].symbol);
      if (!a) return std::nullopt;
      if (a->coefficient.is(0)) continue;
      if (!a->coefficient.is_constant() || used[k]) return std::nullopt;
      used[k] = true;
      parts.emplace_back(k, a->coefficient.value());
      rest = a->rest;
    }
    if (!rest.is(0) || parts.empty() || parts.size() > 2) return std::nullopt;
    std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    const auto [low, one] = parts.back();
    if (one != 1) return std::nullopt;
    s.strides[d] = step[low];
    if (parts.size() == 1) continue;
    if (!packing.iters[low].extent.is(parts[0].second)) return std::nullopt;
    s.split[d] = parts[0].second;
    s.outer[d] = step[parts[0].first];
  }
  for (size_t k = 0; k < used.size(); ++k) {
    if (!used[k] && !packing.iters[k].extent.is(1)) return std::nullopt;
  }
  return s;
}

// Whether all but contractions read single rows, which the data choose, or a small part.
bool Host::others_read_little(int id) const {
  const int64_t all = value(id).constant->elements();
  bool little = true;
  for_each_stage(p_.body, [&](const k::Stage& s) {
    if (is_contraction(s)) return;
    const int64_t read = (elements(s.iters) * elements(s.reds)).constant().value_or(kDimMax);
    for (const Expr& e : s.body) {
      visit(e, [&](const ExprNode& n) {
        if (n.op != ScalarOp::Read || n.id != id) return;
        const bool by_data =
            std::any_of(n.args.begin(), n.args.begin() + static_cast<long>(value(id).tensor().dims.size()),
                        [](const Expr& index) { return !as_dim(index); });
        little &= by_data || read <= all / kLittle;
      });
    }
  });
  return little;
}

// Before any stage of a block is scheduled. What escapes is read at its logical order by somebody else than a formula.
Result<void> Host::choose_form(const k::Stage& reduce, const k::Stage* epilogue, const Uses& uses) {
  if (facts_.vector_bytes == 0 || winograd_.count(reduce.results[0])) return {};
  const int64_t least = options_.small_weights ? kLeastShared : kLeastSharedForSpeed;
  const std::vector<int> read = k::reads(reduce);
  const bool any = std::any_of(read.begin(), read.end(), [&](int id) {
    const size_t v = static_cast<size_t>(id);
    return value(id).constant && value(id).constant->size_bytes >= least && uses.stages[v] > 1 && !uses.escapes[v] &&
           !buffers_.count(id) && !storage(id).contents;
  });
  if (!any) return {};
  const std::optional<Product> product = find_product(reduce, epilogue, p_, storages_);
  if (!product) return {};
  std::optional<k::Stage> packing = packing_of_constant(*product, p_, storages_, facts_, options_.small_weights);
  if (!packing) return {};
  std::optional<Storage> form = packed_form(*packing, p_);
  if (!form) return {};
  const int id = static_cast<int>(packing->body[0]->id);
  if (uses.stages[static_cast<size_t>(id)] < 2 || uses.escapes[static_cast<size_t>(id)] || buffers_.count(id))
    return {};
  if (!options_.small_weights && !others_read_little(id)) return {};
  form->contents = TRY(evaluate_stage(*packing, p_))[0];
  storages_[static_cast<size_t>(id)] = std::move(*form);
  return {};
}

}  // namespace ingot
