// Ensembles of decision trees: a walk per row and tree over constant node tables, then a reduction over trees.
//
//   node = root[t];  while (node < branches) node = x[n, feature[node]] <= value[node] ? yes[node] : no[node]
//   score[n,c] = sum(t) weight[node[n,t] - branches]      where target[node - branches] == c
//
// Branches are numbered before leaves, so that the loop's condition reads nothing. The older and the newer form of the
// operator are brought into one representation; set membership becomes a chain of equalities.
#include <algorithm>
#include <cmath>
#include <map>

#include "ir/ops/ml.h"

namespace ingot {

using namespace nn;
using namespace ml;

namespace {

inline constexpr int64_t kMaxTreeNodes = int64_t{1} << 26;    // of an ensemble
inline constexpr int64_t kMaxDenseLeaves = int64_t{1} << 26;  // leaves x targets, where a leaf has several targets

enum Mode : int64_t { kLeq, kLt, kGte, kGt, kEq, kNeq, kMember };

struct Ensemble {
  struct Branch {
    int64_t feature;
    double value;
    int64_t mode;
    bool missing;           // a NaN goes to `yes`
    int64_t yes, no;        // branches; leaf l is -1 - l
  };
  struct Entry {
    int64_t target;
    double weight;
  };
  std::vector<Branch> branches;
  std::vector<std::vector<Entry>> leaves;
  std::vector<int64_t> roots;  // as yes, no
  int64_t targets = 1;
};

// Steps that the longest walk takes; an error where a walk would not end.
Result<int64_t> depth(const Ensemble& e) {
  std::vector<int32_t> height(e.branches.size(), -1);  // -1: not seen, -2: on the path
  int64_t longest = 0;
  for (int64_t root : e.roots) {
    std::vector<int64_t> stack;
    if (root >= 0) stack.push_back(root);
    while (!stack.empty()) {
      int64_t n = stack.back();
      auto& h = height[static_cast<size_t>(n)];
      if (h >= 0) {
        stack.pop_back();
        continue;
      }
      const Ensemble::Branch& b = e.branches[static_cast<size_t>(n)];
      bool ready = true;
      int32_t below = 0;
      for (int64_t child : {b.yes, b.no}) {
        if (child < 0) continue;
        int32_t c = height[static_cast<size_t>(child)];
        if (c == -2) return invalid("tree node {} is its own descendant", child);
        if (c == -1) {
          if (ready) h = -2;
          stack.push_back(child);
          ready = false;
          break;
        }
        below = std::max(below, c);
      }
      if (!ready) continue;
      h = below + 1;
      longest = std::max<int64_t>(longest, h);
      stack.pop_back();
    }
  }
  return longest;
}

TensorRef ints32(const std::vector<int64_t>& v) {
  auto t = TensorData::make(DType::I32, {static_cast<int64_t>(v.size())});
  for (size_t k = 0; k < v.size(); ++k) t->mutable_as<int32_t>()[k] = static_cast<int32_t>(v[k]);
  return t;
}

Expr compare(int64_t mode, const Expr& x, const Expr& v) {
  switch (mode) {
    case kLeq: return x <= v;
    case kLt: return x < v;
    case kGte: return x >= v;
    case kGt: return x > v;
    case kEq: return eq(x, v);
    default: return ex::binary(ScalarOp::Ne, x, v);
  }
}

// The leaf that each row reaches in each tree: i64 [N, trees].
Result<Tensor> reach(Def& d, const Matrix& x, Ensemble e) {
  int64_t limit = TRY(depth(e));
  if (e.branches.empty()) e.branches.push_back({0, 0, kLeq, false, -1, -1});  // tables are never empty
  int64_t count = static_cast<int64_t>(e.branches.size());
  std::vector<int64_t> feature, yes, no, mode;
  std::vector<double> value;
  bool one_mode = true, any_missing = false;
  int64_t top = 0;
  auto number = [&](int64_t n) { return n >= 0 ? n : count + (-1 - n); };
  auto missing = TensorData::make(DType::Bool, {count});
  for (int64_t k = 0; k < count; ++k) {
    const Ensemble::Branch& b = e.branches[static_cast<size_t>(k)];
    if (b.feature < 0 || b.feature > kMaxWindowAttribute)
      return invalid("tree node {} reads feature {}, expected at least 0", k, b.feature);
    feature.push_back(b.feature);
    yes.push_back(number(b.yes));
    no.push_back(number(b.no));
    mode.push_back(b.mode);
    value.push_back(b.value);
    missing->mutable_as<uint8_t>()[k] = b.missing;
    one_mode = one_mode && b.mode == e.branches[0].mode;
    any_missing = any_missing || b.missing;
    top = std::max(top, b.feature);
  }
  TRY(d.require(less(top, x.columns),
                fmt::format("input has {} columns, expected at least {} (a tree reads feature {})", x.columns.str(),
                            top + 1, top)));
  std::vector<int64_t> roots;
  for (int64_t r : e.roots) roots.push_back(number(r));
  int64_t trees = static_cast<int64_t>(roots.size());
  Tensor t_feature = d.constant(ints32(feature)), t_yes = d.constant(ints32(yes)), t_no = d.constant(ints32(no));
  Tensor t_value = d.constant(floats_tensor(value, {count}, x.type)), t_root = d.constant(ints32(roots));
  Tensor t_mode = one_mode ? Tensor() : d.constant(ints32(mode)),
         t_missing = any_missing ? d.constant(missing) : Tensor();
  Tensor node = d.walk(
      {x.rows, trees}, std::max<int64_t>(limit, 1), [&](Ix i) { return std::vector<Expr>{as_index(t_root(i[1]))}; },
      [&](Ix, const std::vector<Expr>& s) { return s[0] < as_index(count); },
      [&](Ix i, const std::vector<Expr>& s) {
        Expr v = x(i[0], as_index(t_feature(s[0]))), threshold = t_value(s[0]);
        Expr go;
        if (one_mode) {
          go = compare(e.branches[0].mode, v, threshold);
        } else {
          go = compare(kNeq, v, threshold);
          for (int64_t m : {kEq, kGt, kGte, kLt, kLeq}) {
            go = ex::select(eq(t_mode(s[0]), ex::integer(DType::I32, m)), compare(m, v, threshold), go);
          }
        }
        if (t_missing) go = go || (ex::unary(ScalarOp::IsNaN, v) && t_missing(s[0]));
        return std::vector<Expr>{as_index(ex::select(go, t_yes(s[0]), t_no(s[0])))};
      })[0];
  return d.map(node.dims(), [&](Ix i) { return node(i) - as_index(count); });
}

// scores [N, targets] from the leaves, in x's type. aggregate: SUM, AVERAGE, MIN, MAX.
Result<Tensor> aggregate(Def& d, const Matrix& x, const Tensor& leaf, const Ensemble& e, const std::string& how) {
  Combiner c = how == "MIN" ? Combiner::Min : how == "MAX" ? Combiner::Max : Combiner::Sum;
  if (how != "SUM" && how != "AVERAGE" && how != "MIN" && how != "MAX") {
    return invalid("aggregate_function is '{}', expected SUM, AVERAGE, MIN or MAX", how);
  }
  DType t = x.type;
  Expr none = c == Combiner::Sum ? ex::number(t, 0) : c == Combiner::Min ? ex::highest(t) : ex::lowest(t);
  int64_t leaves = static_cast<int64_t>(e.leaves.size());
  bool single = true, empty = false;
  for (const auto& l : e.leaves) {
    single = single && l.size() <= 1;
    empty = empty || l.empty();
  }
  Dims dims{x.rows, e.targets}, trees{leaf.dim(1)};
  Tensor score;
  if (single) {
    std::vector<int64_t> target;
    std::vector<double> weight;
    for (const auto& l : e.leaves) {
      target.push_back(l.empty() ? -1 : l[0].target);
      weight.push_back(l.empty() ? 0 : l[0].weight);
    }
    Tensor t_target = d.constant(ints32(target)), t_weight = d.constant(floats_tensor(weight, {leaves}, t));
    score = d.reduce(c, dims, trees, [&](Ix i, Ix r) {
      Expr at = leaf(i[0], r[0]);
      if (e.targets == 1 && !empty) return t_weight(at);
      return ex::select(eq(as_index(t_target(at)), as_index(i[1])), t_weight(at), none);
    });
  } else {
    if (leaves * e.targets > kMaxDenseLeaves)
      return limit_exceeded("got {} leaves x {} targets, expected at most 2^26", leaves, e.targets);
    double fill = c == Combiner::Sum ? 0 : c == Combiner::Min ? INFINITY : -INFINITY;
    std::vector<double> weight(static_cast<size_t>(leaves * e.targets), fill);
    for (int64_t l = 0; l < leaves; ++l)
      for (const Ensemble::Entry& entry : e.leaves[static_cast<size_t>(l)]) {
        double& w = weight[static_cast<size_t>(l * e.targets + entry.target)];
        w = c == Combiner::Sum   ? w + entry.weight
            : c == Combiner::Min ? std::min(w, entry.weight)
                                 : std::max(w, entry.weight);
      }
    Tensor t_weight = d.constant(floats_tensor(weight, {leaves, e.targets}, t));
    score = d.reduce(c, dims, trees, [&](Ix i, Ix r) { return t_weight(leaf(i[0], r[0]), as_index(i[1])); });
  }
  if (how == "AVERAGE")
    return d.map(dims, [&](Ix i) { return score(i) / static_cast<double>(std::max<size_t>(e.roots.size(), 1)); });
  if (c != Combiner::Sum)
    return d.map(dims, [&](Ix i) { return ex::select(eq(score(i), none), ex::number(t, 0), score(i)); });
  return score;
}

// The values of a float attribute, or of its sibling NAME_as_tensor.
std::vector<double> numbers(const Def& d, const std::string& name) {
  if (TensorRef t = d.tensor(name + "_as_tensor")) {
    std::vector<double> v;
    for (int64_t k = 0; k < t->elements(); ++k) v.push_back(t->number(k));
    return v;
  }
  return d.floats(name);
}

Result<int64_t> mode_of(const std::string& s) {
  static constexpr const char* kNames[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                           "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
  for (int64_t k = 0; k < 6; ++k)
    if (s == kNames[k]) return k;
  return invalid("node mode is '{}', expected LEAF or BRANCH_LEQ, _LT, _GTE, _GT, _EQ, _NEQ", s);
}

// ai.onnx.ml 1 and 3: nodes named by (tree, node); leaves listed with their weights. prefix: "class" or "target".
Result<Ensemble> old_ensemble(const Def& d, const std::string& prefix) {
  std::vector<int64_t> trees = d.ints("nodes_treeids"), nodes = d.ints("nodes_nodeids"),
                       features = d.ints("nodes_featureids");
  std::vector<int64_t> yes = d.ints("nodes_truenodeids"), no = d.ints("nodes_falsenodeids"),
                       missing = d.ints("nodes_missing_value_tracks_true");
  std::vector<std::string> modes = d.strs("nodes_modes");
  std::vector<double> values = numbers(d, "nodes_values");
  size_t n = nodes.size();
  if (n == 0 || static_cast<int64_t>(n) > kMaxTreeNodes) return invalid("got {} tree nodes, expected 1 to 2^26", n);
  if (trees.size() != n || features.size() != n || yes.size() != n || no.size() != n || modes.size() != n ||
      values.size() != n || (!missing.empty() && missing.size() != n)) {
    return invalid("the lists of tree nodes have different lengths, expected {} each", n);
  }
  std::map<std::pair<int64_t, int64_t>, size_t> index;
  std::vector<int64_t> place(n);  // as Branch::yes
  Ensemble e;
  for (size_t k = 0; k < n; ++k) {
    if (!index.emplace(std::pair{trees[k], nodes[k]}, k).second)
      return invalid("tree {} has two nodes {}", trees[k], nodes[k]);
    if (modes[k] == "LEAF") {
      place[k] = -1 - static_cast<int64_t>(e.leaves.size());
      e.leaves.emplace_back();
    } else {
      place[k] = static_cast<int64_t>(e.branches.size());
      e.branches.push_back({features[k], values[k], TRY(mode_of(modes[k])), !missing.empty() && missing[k] != 0, 0, 0});
    }
  }
  // The root of a tree is its node that is first in the list.
  std::map<int64_t, size_t> first;
  for (size_t k = 0; k < n; ++k) first.emplace(trees[k], k);
  for (auto [tree, k] : first) e.roots.push_back(place[k]);
  for (size_t k = 0; k < n; ++k) {
    if (place[k] < 0) continue;
    for (bool side : {true, false}) {
      auto it = index.find({trees[k], side ? yes[k] : no[k]});
      if (it == index.end())
        return invalid("tree {} has no node {}, which node {} names", trees[k], side ? yes[k] : no[k], nodes[k]);
      Ensemble::Branch& b = e.branches[static_cast<size_t>(place[k])];
      (side ? b.yes : b.no) = place[it->second];
    }
  }
  std::vector<int64_t> ids = d.ints(prefix + "_ids"), leaf_nodes = d.ints(prefix + "_nodeids"),
                       leaf_trees = d.ints(prefix + "_treeids");
  std::vector<double> weights = numbers(d, prefix + "_weights");
  if (ids.size() != weights.size() || leaf_nodes.size() != weights.size() || leaf_trees.size() != weights.size()) {
    return invalid("the lists of leaf weights have different lengths, expected {} each", weights.size());
  }
  for (size_t k = 0; k < weights.size(); ++k) {
    auto it = index.find({leaf_trees[k], leaf_nodes[k]});
    if (it == index.end()) return invalid("tree {} has no node {}, which has a weight", leaf_trees[k], leaf_nodes[k]);
    if (place[it->second] >= 0) continue;  // a weight of an inner node is never reached
    e.leaves[static_cast<size_t>(-1 - place[it->second])].push_back({ids[k], weights[k]});
  }
  return e;
}

Result<void> check_targets(const Ensemble& e) {
  for (const auto& l : e.leaves)
    for (const Ensemble::Entry& entry : l)
      if (entry.target < 0 || entry.target >= e.targets)
        return invalid("a leaf has target {}, expected less than {}", entry.target, e.targets);
  return {};
}

Tensor add_base(Def& d, const Tensor& score, const std::vector<double>& base) {
  if (base.empty()) return score;
  Tensor b = d.constant(floats_tensor(base, {static_cast<int64_t>(base.size())}, score.dtype()));
  return d.map(score.dims(), [&](Ix i) { return score(i) + b(base.size() == 1 ? Dim(0) : i[1]); });
}

}  // namespace

// TreeEnsembleRegressor-3 (ai.onnx.ml). x: [N, C] -> f32 [N, n_targets].
Result<void> define_tree_ensemble_regressor(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  Ensemble e = TRY(old_ensemble(d, "target"));
  e.targets = d.i64("n_targets", 1);
  TRY(check_targets(e));
  std::vector<double> base = numbers(d, "base_values");
  if (!base.empty() && base.size() != 1 && static_cast<int64_t>(base.size()) != e.targets) {
    return invalid("base_values has {} elements, expected {}", base.size(), e.targets);
  }
  Tensor score = TRY(aggregate(d, x, TRY(reach(d, x, e)), e, d.str("aggregate_function", "SUM")));
  Tensor y = TRY(post_transform(d, add_base(d, score, base), d.str("post_transform", "NONE")));
  d.out(y.dtype() == DType::F32 ? y : d.map(y.dims(), [&](Ix i) { return ex::cast(y(i), DType::F32); }));
  return {};
}

// TreeEnsembleClassifier-3 (ai.onnx.ml). x: [N, C] -> labels [N] (i64 or strings), f32 scores [N, classes].
//
// Two classes of which one only has weights are the binary case: its score s gives (1 - s, s) where all weights are positive
// (probabilities), otherwise (-s, s), before the post-transform.
Result<void> define_tree_ensemble_classifier(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  Ensemble e = TRY(old_ensemble(d, "class"));
  Labels names = labels(d, "classlabels_int64s", "classlabels_strings");
  if (names.size() == 0) return invalid("got no class labels, expected some");
  int64_t classes = static_cast<int64_t>(names.size());
  std::vector<int64_t> ids = d.ints("class_ids");
  bool one_id = std::all_of(ids.begin(), ids.end(), [&](int64_t v) { return v == ids[0]; });
  bool binary = classes <= 2 && one_id;
  std::vector<double> base = numbers(d, "base_values");
  std::string transform = d.str("post_transform", "NONE");
  Tensor score;
  if (binary) {
    bool positive = true;
    for (auto& l : e.leaves)
      for (Ensemble::Entry& entry : l) {
        positive = positive && entry.weight >= 0;
        entry.target = 0;
      }
    e.targets = 1;
    Tensor s = TRY(aggregate(d, x, TRY(reach(d, x, e)), e, "SUM"));
    if (!base.empty()) s = add_base(d, s, {base.back()});
    bool probability = transform == "PROBIT" || (positive && (transform == "NONE" || transform.empty()));
    score = d.map({x.rows, 2}, [&](Ix i) {
      Expr v = s(i[0], 0);
      return ex::select(eq(as_index(i[1]), as_index(1)), v, probability ? 1 - v : -v);
    });
    if (classes == 1) {  // the other class has no name
      if (names.texts.empty()) names.numbers.insert(names.numbers.begin(), 0);
      else names.texts.insert(names.texts.begin(), "");
    }
  } else {
    e.targets = classes;
    TRY(check_targets(e));
    if (!base.empty() && base.size() != 1 && static_cast<int64_t>(base.size()) != classes) {
      return invalid("base_values has {} elements, expected {}", base.size(), classes);
    }
    score = add_base(d, TRY(aggregate(d, x, TRY(reach(d, x, e)), e, "SUM")), base);
  }
  // Ties go to the first class; the transforms keep the order.
  d.out(best_label(d, score, names.tensor(d, classes)));
  Tensor y = TRY(post_transform(d, score, transform));
  d.out(y.dtype() == DType::F32 ? y : d.map(y.dims(), [&](Ix i) { return ex::cast(y(i), DType::F32); }));
  return {};
}

// TreeEnsemble-5 (ai.onnx.ml). x: [N, C] -> [N, n_targets] in x's type.
Result<void> define_tree_ensemble(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  std::vector<int64_t> features = d.ints("nodes_featureids"), yes = d.ints("nodes_truenodeids"),
                       no = d.ints("nodes_falsenodeids");
  std::vector<int64_t> yes_leaf = d.ints("nodes_trueleafs"), no_leaf = d.ints("nodes_falseleafs");
  std::vector<int64_t> missing = d.ints("nodes_missing_value_tracks_true"), roots = d.ints("tree_roots"),
                       targets = d.ints("leaf_targetids");
  TensorRef splits = d.tensor("nodes_splits"), modes = d.tensor("nodes_modes"), weights = d.tensor("leaf_weights"),
            members = d.tensor("membership_values");
  size_t n = features.size();
  if (!splits || !modes || !weights) return invalid("got no nodes_splits, nodes_modes or leaf_weights, expected all");
  if (n == 0 || static_cast<int64_t>(n) > kMaxTreeNodes) return invalid("got {} tree nodes, expected 1 to 2^26", n);
  int64_t count = static_cast<int64_t>(n);
  if (splits->elements() != count || modes->elements() != count || yes.size() != n || no.size() != n ||
      yes_leaf.size() != n || no_leaf.size() != n || (!missing.empty() && missing.size() != n)) {
    return invalid("the lists of tree nodes have different lengths, expected {} each", n);
  }
  int64_t leaves = weights->elements();
  if (static_cast<int64_t>(targets.size()) != leaves)
    return invalid("leaf_targetids has {} elements, expected {}", targets.size(), leaves);
  Ensemble e;
  e.targets = d.i64("n_targets", 1);
  for (int64_t k = 0; k < leaves; ++k) e.leaves.push_back({{targets[static_cast<size_t>(k)], weights->number(k)}});
  TRY(check_targets(e));
  auto child = [&](int64_t id, bool is_leaf) -> Result<int64_t> {
    if (id < 0 || id >= (is_leaf ? leaves : count))
      return invalid("a tree node names {} {}, expected less than {}", is_leaf ? "leaf" : "node", id,
                     is_leaf ? leaves : count);
    return is_leaf ? -1 - id : id;
  };
  int64_t member = 0;
  std::vector<std::pair<size_t, std::vector<double>>> sets;
  for (size_t k = 0; k < n; ++k) {
    int64_t mode = modes->integer(static_cast<int64_t>(k));
    if (mode < 0 || mode > kMember) return invalid("node mode is {}, expected 0 to 6", mode);
    double value = splits->number(static_cast<int64_t>(k));
    if (mode == kMember) {  // values up to the next NaN
      std::vector<double> set;
      int64_t available = members ? members->elements() : 0;
      while (member < available && !std::isnan(members->number(member))) set.push_back(members->number(member++));
      ++member;
      sets.emplace_back(k, set);
    }
    e.branches.push_back({features[k], value, mode, !missing.empty() && missing[k] != 0,
                          TRY(child(yes[k], yes_leaf[k] != 0)), TRY(child(no[k], no_leaf[k] != 0))});
  }
  // x in {a, b, c}: x == a, or else x == b, or else x == c. NaN takes the first node's way.
  for (auto& [k, set] : sets) {
    Ensemble::Branch b = e.branches[k];
    if (static_cast<int64_t>(e.branches.size() + set.size()) > kMaxTreeNodes)
      return limit_exceeded("the trees' sets have too many members");
    b.mode = kEq;
    b.value = set.empty() ? NAN : set[0];
    int64_t otherwise = b.no;
    size_t at = k;
    for (size_t m = 1; m < set.size(); ++m) {
      Ensemble::Branch next = b;
      next.value = set[m];
      next.no = otherwise;
      b.no = static_cast<int64_t>(e.branches.size());
      e.branches[at] = b;
      at = e.branches.size();
      e.branches.push_back(next);
      b = next;
    }
    e.branches[at] = b;
  }
  for (int64_t r : roots) {
    if (r < 0 || r >= count) return invalid("a tree's root is node {}, expected less than {}", r, count);
    const size_t k = static_cast<size_t>(r);
    bool only_leaf = yes_leaf[k] && no_leaf[k] && yes[k] == no[k];
    e.roots.push_back(only_leaf ? -1 - yes[k] : r);
  }
  static constexpr const char* kAggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  int64_t how = d.i64("aggregate_function", 1);
  if (how < 0 || how > 3) return invalid("aggregate_function is {}, expected 0 to 3", how);
  Tensor score = TRY(aggregate(d, x, TRY(reach(d, x, e)), e, kAggregates[how]));
  Tensor y = TRY(post_transform(d, score, TRY(post_transform_name(d.i64("post_transform", 0)))));
  DType out = is_float(d.dtype(0)) ? d.dtype(0) : DType::F32;
  d.out(y.dtype() == out ? y : d.map(y.dims(), [&](Ix i) { return ex::cast(y(i), out); }));
  return {};
}

}  // namespace ingot
