// Einsum-12: sums of products straight from the equation, "bij,bjk->bik". Ellipsis and repeated indices included. More
// than two operands are contracted from the left, so that no sum runs over more than two of them at once.
#include <algorithm>
#include <map>

#include "ir/ops/common.h"

namespace ingot {

using namespace ops;

namespace {

using Labels = std::vector<int>;  // letters as characters; the dims of the ellipsis as -n..-1, aligned to the right

struct Term {
  std::string text;
  size_t ellipsis = std::string::npos;  // letters before it
  Labels labels(int ellipsis_rank) const {
    Labels r;
    for (size_t k = 0; k <= text.size(); ++k) {
      for (int e = k == ellipsis ? ellipsis_rank : 0; e > 0; --e) r.push_back(-e);
      if (k < text.size()) r.push_back(text[k]);
    }
    return r;
  }
};

Result<Term> parse_term(std::string_view s) {
  Term t;
  for (size_t k = 0; k < s.size(); ++k) {
    if (s[k] == '.') {
      if (s.substr(k, 3) != "..." || t.ellipsis != std::string::npos) return invalid("term '{}' has stray dots", s);
      t.ellipsis = t.text.size();
      k += 2;
    } else if ((s[k] >= 'a' && s[k] <= 'z') || (s[k] >= 'A' && s[k] <= 'Z')) {
      t.text += s[k];
    } else {
      return invalid("term '{}' has '{}', expected letters and '...'", s, s[k]);
    }
  }
  return t;
}

struct Operand {
  Tensor tensor;
  Labels labels;
};

using Extents = std::map<int, Dim>;

Expr read_at(const Operand& o, const std::map<int, Dim>& at) {
  Dims index;
  for (size_t k = 0; k < o.labels.size(); ++k) index.push_back(broadcast_index(at.at(o.labels[k]), o.tensor.dims()[k]));
  return o.tensor(index);
}

bool has(const Labels& l, int label) { return std::find(l.begin(), l.end(), label) != l.end(); }

// result[kept] = sum over the other labels of the product of the operands.
Operand contract(Def& d, const std::vector<Operand>& operands, const Labels& kept, const Extents& extents) {
  Labels summed;
  for (const Operand& o : operands) {
    for (int l : o.labels) {
      if (!has(kept, l) && !has(summed, l)) summed.push_back(l);
    }
  }
  Dims outer, inner;
  for (int l : kept) outer.push_back(extents.at(l));
  for (int l : summed) inner.push_back(extents.at(l));
  auto body = [&](Ix i, Ix r) {
    std::map<int, Dim> at;
    for (size_t k = 0; k < kept.size(); ++k) at[kept[k]] = i[k];
    for (size_t k = 0; k < summed.size(); ++k) at[summed[k]] = r[k];
    Expr y;
    for (const Operand& o : operands) {
      Expr e = widen(read_at(o, at));
      y = y ? y * e : e;
    }
    return y;
  };
  Tensor t =
      summed.empty() ? d.map(outer, [&](Ix i) { return body(i, {}); }) : d.reduce(Combiner::Sum, outer, inner, body);
  return {t, kept};
}

}  // namespace

Result<void> define_einsum(Def& d) {
  TRY(expect_arithmetic(d, d.inputs()));
  std::string equation = d.str("equation", "");
  std::erase(equation, ' ');
  size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow);
  std::vector<Operand> operands;
  Extents extents;
  int ellipsis_rank = 0;
  std::vector<Term> terms;
  for (size_t begin = 0; begin <= left.size();) {
    size_t end = std::min(left.find(',', begin), left.size());
    terms.push_back(TRY(parse_term(std::string_view(left).substr(begin, end - begin))));
    begin = end + 1;
  }
  if (static_cast<int>(terms.size()) != d.inputs()) {
    return invalid("equation '{}' has {} terms, expected {}", equation, terms.size(), d.inputs());
  }
  std::map<int, int> count;
  for (int k = 0; k < d.inputs(); ++k) {
    Tensor x = d.in(k);
    const Term& t = terms[static_cast<size_t>(k)];
    TRY(expect_same_dtype(d.in(0), x, "operands"));
    int dots = x.rank() - static_cast<int>(t.text.size());
    if (dots < 0 || (dots > 0 && t.ellipsis == std::string::npos)) {
      return invalid("operand {} has rank {}, expected the {} indices of '{}'", k, x.rank(), t.text.size(), equation);
    }
    ellipsis_rank = std::max(ellipsis_rank, dots);
    Operand o{x, t.labels(dots)};
    for (size_t a = 0; a < o.labels.size(); ++a) {
      int l = o.labels[a];
      ++count[l];
      auto [it, fresh] = extents.try_emplace(l, x.dims()[a]);
      if (!fresh) it->second = TRY(d.broadcast_dims({it->second}, {x.dims()[a]}))[0];
    }
    operands.push_back(std::move(o));
  }
  Labels result;
  if (arrow != std::string::npos) {
    result = TRY(parse_term(std::string_view(equation).substr(arrow + 2))).labels(ellipsis_rank);
  } else {
    for (int e = ellipsis_rank; e > 0; --e) result.push_back(-e);
    for (auto [l, n] : count) {
      if (l > 0 && n == 1) result.push_back(l);
    }
  }
  for (size_t k = 0; k < result.size(); ++k) {
    if (!extents.count(result[k])) return invalid("equation '{}' has an output index that no operand has", equation);
    if (std::count(result.begin(), result.end(), result[k]) > 1)
      return invalid("equation '{}' repeats an output index", equation);
  }
  while (operands.size() > 2) {
    Labels kept;
    for (size_t k = 0; k < 2; ++k) {
      for (int l : operands[k].labels) {
        bool later = has(result, l);
        for (size_t j = 2; j < operands.size(); ++j) later = later || has(operands[j].labels, l);
        if (later && !has(kept, l)) kept.push_back(l);
      }
    }
    operands[1] = contract(d, {operands[0], operands[1]}, kept, extents);
    operands.erase(operands.begin());
  }
  d.out(converted(d, contract(d, operands, result, extents).tensor, d.dtype(0)));
  return {};
}

}  // namespace ingot
