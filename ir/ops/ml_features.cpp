// Feature preparation of ai.onnx.ml, and TfIdfVectorizer.
#include <algorithm>
#include <cmath>

#include "ir/ops/ml.h"

namespace ingot {

using namespace nn;
using namespace ml;

namespace {

Expr f32(Expr e) { return ex::cast(std::move(e), DType::F32); }

// A list attribute that applies to the last dim: one element for all, or one each.
Result<Tensor> per_column(Def& d, std::string_view name, const Tensor& x, double otherwise) {
  std::vector<double> v = d.floats(name);
  if (v.empty()) v = {otherwise};
  if (v.size() != 1) {
    if (x.rank() < 1) return invalid("input has rank 0, expected at least 1");
    TRY(d.require(equal(x.dims().back(), static_cast<int64_t>(v.size())),
                  fmt::format("{} has {} elements, expected {}", name, v.size(), x.dims().back().str())));
  }
  return d.constant(floats_tensor(v, {static_cast<int64_t>(v.size())}));
}

}  // namespace

// Scaler-1. (x - offset) * scale, f32.
Result<void> define_scaler(Def& d) {
  Tensor x = d.in(0);
  TRY(expect_numbers(d, {0}));
  Tensor offset = TRY(per_column(d, "offset", x, 0)), scale = TRY(per_column(d, "scale", x, 1));
  auto at = [&](const Tensor& t, Ix i) { return t(t.dim(0).is(1) ? Dim(0) : i.back()); };
  d.out(d.map(x.dims(), [&](Ix i) { return (f32(x(i)) - at(offset, i)) * at(scale, i); }));
  return {};
}

// Normalizer-1. Rows divided by their MAX, L1 or L2 norm; a row whose norm is 0 stays. f32.
Result<void> define_normalizer(Def& d) {
  Matrix x = TRY(matrix(d.in(0)));
  std::string norm = d.str("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") return invalid("norm is '{}', expected MAX, L1 or L2", norm);
  Tensor sum = d.reduce(norm == "MAX" ? Combiner::Max : Combiner::Sum, {x.rows}, {x.columns}, [&](Ix i, Ix r) {
    Expr e = f32(x(i[0], r[0]));
    return norm == "MAX" ? e : norm == "L1" ? abs(e) : e * e;
  });
  d.out(d.map(d.in(0).dims(), [&](Ix i) {
    Dim row = i.size() == 2 ? i[0] : Dim(0);
    Expr e = f32(x(row, i.back())), n = norm == "L2" ? sqrt(sum(row)) : sum(row);
    return ex::select(eq(n, ex::number(DType::F32, 0)), e, e / n);
  }));
  return {};
}

// Imputer-1. Elements equal to replaced_value (NaN included) become imputed_value, one for all columns or one each.
Result<void> define_imputer(Def& d) {
  Tensor x = d.in(0);
  TRY(expect_numbers(d, {0}));
  std::vector<double> floats = d.floats("imputed_value_floats");
  std::vector<int64_t> ints = d.ints("imputed_value_int64s");
  bool integer = is_int(x.dtype());
  size_t n = integer ? ints.size() : floats.size();
  if (n == 0) return invalid("got no imputed values for {}, expected some", name(x.dtype()));
  if (x.rank() < 1) return invalid("input has rank 0, expected at least 1");
  if (n != 1)
    TRY(d.require(equal(x.dims().back(), static_cast<int64_t>(n)),
                  fmt::format("got {} imputed values, expected {}", n, x.dims().back().str())));
  Tensor values = integer ? d.constant(ints_tensor(ints, {static_cast<int64_t>(n)}))
                          : d.constant(floats_tensor(floats, {static_cast<int64_t>(n)}, DType::F64));
  double replaced = d.f64("replaced_value_float", 0);
  int64_t replaced_int = d.i64("replaced_value_int64", 0);
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr e = x(i);
    Expr hit = integer                ? eq(ex::cast(e, DType::I64), as_index(replaced_int))
               : std::isnan(replaced) ? ex::unary(ScalarOp::IsNaN, e)
                                      : eq(e, ex::number(x.dtype(), replaced));
    return ex::select(hit, ex::cast(values(n == 1 ? Dim(0) : i.back()), x.dtype()), e);
  }));
  return {};
}

// Binarizer-1. 1 where x > threshold, else 0.
Result<void> define_binarizer(Def& d) {
  Tensor x = d.in(0);
  TRY(expect_numbers(d, {0}));
  double threshold = d.f64("threshold", 0);
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr above = is_int(x.dtype()) ? ex::cast(x(i), DType::F64) > ex::number(DType::F64, threshold)
                                   : x(i) > ex::number(x.dtype(), threshold);
    return ex::select(above, ex::number(x.dtype(), 1), ex::number(x.dtype(), 0));
  }));
  return {};
}

// FeatureVectorizer-1. Inputs [N, Ci] or [N] side by side, each cut or filled with zeros to inputdimensions[i]. f32.
Result<void> define_feature_vectorizer(Def& d) {
  int count = d.inputs();
  Dims widths;
  for (int64_t w : d.ints("inputdimensions")) {
    if (w < 0 || w > kMaxWindowAttribute) return invalid("inputdimensions has {}, expected at least 0", w);
    widths.emplace_back(w);
  }
  for (int k = 0; k < count; ++k) TRY(expect_numbers(d, {k}));
  if (widths.empty()) {
    for (int k = 0; k < count; ++k) widths.push_back(d.in(k).rank() == 2 ? d.in(k).dim(1) : Dim(1));
  }
  if (static_cast<int>(widths.size()) != count)
    return invalid("inputdimensions has {} elements, expected {}", widths.size(), count);
  Dim total = 0;
  Dims starts;
  for (int k = 0; k < count; ++k) {
    if (d.in(k).rank() != 1 && d.in(k).rank() != 2)
      return invalid("input {} has rank {}, expected 1 or 2", k, d.in(k).rank());
    starts.push_back(total);
    total += widths[static_cast<size_t>(k)];
  }
  d.out(d.map({d.in(0).dim(0), total}, [&](Ix i) {
    Expr e = ex::number(DType::F32, 0);
    for (int k = count; k-- > 0;) {
      Tensor x = d.in(k);
      Dim at = i[1] - starts[static_cast<size_t>(k)];
      Expr zero = ex::number(x.dtype(), 0);
      Expr part =
          f32(x.rank() == 1 ? ex::select(eq(as_index(at), as_index(0)), x(i[0]), zero) : x.or_fill({i[0], at}, zero));
      Expr mine = as_index(at) < as_index(widths[static_cast<size_t>(k)]);
      e = ex::select(mine, part, e);
    }
    return e;  // the first part that reaches as far
  }));
  return {};
}

// OneHotEncoder-1. x: [...] numbers or strings -> f32 [..., categories]. With zeros = 0 an unknown category fails the run.
Result<void> define_one_hot_encoder(Def& d) {
  Tensor x = d.in(0);
  Keys keys;
  std::vector<std::string> texts = d.strs("cats_strings");
  if (std::vector<int64_t> v = d.ints("cats_int64s"); !v.empty()) {
    keys.data = ints_tensor(v, {static_cast<int64_t>(v.size())});
  } else if (!texts.empty()) {
    auto t = TensorData::make(DType::String, {static_cast<int64_t>(texts.size())});
    t->strings = texts;
    keys.data = t;
  } else {
    return invalid("got no categories, expected some");
  }
  Tensor at = TRY(lookup(d, x, keys));
  Dims dims = concat(x.dims(), {keys.data->elements()});
  if (d.i64("zeros", 1) == 0) {
    Tensor none = d.map(dims, [](Ix) { return ex::number(DType::F32, 0); });
    d.out(d.scatter(Combiner::Assign, none, x.dims(), [&](Ix i) {
      std::vector<Expr> target;
      for (const Dim& k : i) target.push_back(as_index(k));
      target.push_back(at(i));
      return std::pair{target, ex::number(DType::F32, 1)};
    }));
    return {};
  }
  d.out(d.map(dims, [&](Ix i) {
    return ex::select(eq(at(slice(i, 0, i.size() - 1)), as_index(i.back())), ex::number(DType::F32, 1),
                      ex::number(DType::F32, 0));
  }));
  return {};
}

namespace {

// values[lookup(x)], or `otherwise` where x is no key.
Result<void> translate(Def& d, const Keys& keys, const Tensor& values, Expr otherwise) {
  Tensor x = d.in(0), at = TRY(lookup(d, x, keys));
  d.out(d.map(x.dims(), [&](Ix i) {
    Expr k = at(i);
    return ex::select(k < as_index(0), otherwise, values(max(k, as_index(0))));
  }));
  return {};
}

std::shared_ptr<TensorData> strings_tensor(const std::vector<std::string>& v) {
  auto t = TensorData::make(DType::String, {static_cast<int64_t>(v.size())});
  t->strings = v;
  return t;
}

TensorRef flat(const TensorRef& t) {
  auto copy = std::make_shared<TensorData>(*t);
  copy->dims = {t->elements()};
  return copy;
}

}  // namespace

// LabelEncoder-4. Each element of x by the table keys -> values (lists or tensors), a default where it is no key.
Result<void> define_label_encoder(Def& d) {
  auto list = [&](const std::string& prefix) -> TensorRef {
    if (TensorRef t = d.tensor(prefix + "_tensor")) return flat(t);
    if (auto v = d.strs(prefix + "_strings"); !v.empty()) return strings_tensor(v);
    if (auto v = d.ints(prefix + "_int64s"); !v.empty()) return ints_tensor(v, {static_cast<int64_t>(v.size())});
    if (auto v = d.floats(prefix + "_floats"); !v.empty()) return floats_tensor(v, {static_cast<int64_t>(v.size())});
    return nullptr;
  };
  TensorRef keys = list("keys"), values = list("values");
  if (!keys || !values) return invalid("got no keys or no values, expected both");
  if (keys->elements() != values->elements())
    return invalid("got {} keys and {} values, expected as many", keys->elements(), values->elements());
  if (is_int(keys->dtype) && keys->dtype != DType::I64) {
    auto wide = TensorData::make(DType::I64, keys->dims);
    for (int64_t k = 0; k < keys->elements(); ++k) wide->mutable_as<int64_t>()[k] = keys->integer(k);
    keys = wide;
  }
  TensorRef otherwise = d.tensor("default_tensor");
  if (!otherwise) {
    if (values->dtype == DType::String) otherwise = strings_tensor({d.str("default_string", "_Unused")});
    else if (is_float(values->dtype))
      otherwise =
          floats_tensor({d.f64("default_float", -0.0)}, {1}, values->dtype == DType::F64 ? DType::F64 : DType::F32);
    else otherwise = ints_tensor({d.i64("default_int64", -1)}, {1});
  }
  if (otherwise->elements() != 1) return invalid("default_tensor has {} elements, expected 1", otherwise->elements());
  Tensor fallback = d.constant(flat(otherwise));
  Expr e = fallback(0);
  if (e.type() != values->dtype) e = ex::cast(e, values->dtype);
  return translate(d, {keys}, d.constant(values), e);
}

// CategoryMapper-1. Strings to integers or integers to strings by position.
Result<void> define_category_mapper(Def& d) {
  std::vector<std::string> texts = d.strs("cats_strings");
  std::vector<int64_t> numbers = d.ints("cats_int64s");
  if (texts.empty() || texts.size() != numbers.size())
    return invalid("got {} strings and {} integers, expected as many", texts.size(), numbers.size());
  TensorRef ints = ints_tensor(numbers, {static_cast<int64_t>(numbers.size())});
  if (d.dtype(0) == DType::String) {
    return translate(d, {strings_tensor(texts)}, d.constant(ints), as_index(d.i64("default_int64", -1)));
  }
  Tensor fallback = d.constant(strings_tensor({d.str("default_string", "_Unused")}));
  return translate(d, {ints}, d.constant(strings_tensor(texts)), fallback(0));
}

// TfIdfVectorizer-9. x: [C] or [N, C], integers or strings -> f32 [outputs] or [N, outputs]: how often each n-gram of the pool
// occurs in a row, with up to max_skip_count elements left out between neighbours; unigrams count once.
//
//   count[n,g] = sum(start, skip) all(k) x[n, start + k*(skip+1)] == pool[g,k]        per length of n-gram
Result<void> define_tf_idf_vectorizer(Def& d) {
  Tensor x = d.in(0);
  if (x.rank() != 1 && x.rank() != 2) return invalid("input has rank {}, expected 1 or 2", x.rank());
  int64_t min_length = d.i64("min_gram_length", 1), max_length = d.i64("max_gram_length", 1),
          skips = d.i64("max_skip_count", 0);
  if (min_length < 1 || max_length < min_length || max_length > 64 || skips < 0 || skips > 4096) {
    return invalid("got n-grams of {} to {} with up to {} skips, expected 1 to 64 and at most 4096", min_length,
                   max_length, skips);
  }
  std::vector<int64_t> starts = d.ints("ngram_counts"), columns = d.ints("ngram_indexes"),
                       numbers = d.ints("pool_int64s");
  std::vector<std::string> texts = d.strs("pool_strings");
  std::vector<double> weights = d.floats("weights");
  std::string mode = d.str("mode", "TF");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") return invalid("mode is '{}', expected TF, IDF or TFIDF", mode);
  int64_t pool_size = static_cast<int64_t>(numbers.size() + texts.size()), outputs = 0;
  for (int64_t c : columns) {
    if (c < 0 || c > kMaxWindowAttribute) return invalid("ngram_indexes has {}, expected at least 0", c);
    outputs = std::max(outputs, c + 1);
  }
  if (!weights.empty() && weights.size() != columns.size())
    return invalid("got {} weights, expected {}", weights.size(), columns.size());
  // Strings become numbers: their first place in the pool.
  Tensor ids = x;
  if (!texts.empty()) {
    ids = TRY(lookup(d, x, {strings_tensor(texts)}));
    for (const std::string& s : texts) numbers.push_back(std::find(texts.begin(), texts.end(), s) - texts.begin());
  }
  Dim rows = x.rank() == 2 ? x.dim(0) : Dim(1), length = x.dims().back();
  auto element = [&](const Dim& n, const Dim& at) {
    return ex::cast(x.rank() == 2 ? ids.or_fill({n, at}, ex::integer(ids.dtype(), -1))
                                  : ids.or_fill({at}, ex::integer(ids.dtype(), -1)),
                    DType::I64);
  };
  Tensor total = d.map({rows, std::max<int64_t>(outputs, 1)}, [&](Ix) { return as_index(0); });
  int64_t gram = 0;
  for (size_t size = 1; size <= starts.size(); ++size) {
    int64_t n = static_cast<int64_t>(size);
    int64_t from = starts[size - 1], to = size < starts.size() ? starts[size] : pool_size;
    if (from < 0 || to < from || to > pool_size || (to - from) % n != 0)
      return invalid("ngram_counts gives {}-grams from {} to {}, expected a multiple in order", n, from, to);
    int64_t grams = (to - from) / n;
    if (gram + grams > static_cast<int64_t>(columns.size()))
      return invalid("ngram_indexes has {} elements, expected at least {}", columns.size(), gram + grams);
    if (grams > 0 && n >= min_length && n <= max_length) {
      std::vector<int64_t> part(numbers.begin() + from, numbers.begin() + to);
      Tensor pool = d.constant(ints_tensor(part, {grams, n}));
      std::vector<int64_t> to_column(columns.begin() + gram, columns.begin() + gram + grams);
      Tensor column = d.constant(ints_tensor(to_column, {grams}));
      Dim reach = n == 1 ? Dim(1) : Dim(skips + 1);
      Tensor count = d.reduce(Combiner::Sum, {rows, grams}, {length, reach}, [&](Ix i, Ix r) {
        Expr hit;
        for (int64_t k = 0; k < n; ++k) {
          Dim at = r[0] + (r[1] + 1) * k;
          Expr same = eq(element(i[0], at), pool(i[1], k)) && as_index(at) < as_index(length);
          hit = hit ? hit && same : same;
        }
        return ex::select(hit, as_index(1), as_index(0));
      });
      total = d.scatter(Combiner::Sum, total, {rows, grams},
                        [&](Ix i) { return std::pair{std::vector<Expr>{as_index(i[0]), column(i[1])}, count(i)}; });
    }
    gram += grams;
  }
  // Weights belong to n-grams; where several share a column the last counts.
  std::vector<double> per_output(static_cast<size_t>(std::max<int64_t>(outputs, 1)), 1);
  for (size_t k = 0; k < weights.size(); ++k) per_output[static_cast<size_t>(columns[k])] = weights[k];
  Tensor w = d.constant(floats_tensor(per_output, {std::max<int64_t>(outputs, 1)}));
  Dims dims = x.rank() == 2 ? Dims{rows, outputs} : Dims{outputs};
  d.out(d.map(dims, [&](Ix i) {
    Expr n = total(x.rank() == 2 ? i[0] : Dim(0), i.back()), weight = w(i.back()), zero = ex::number(DType::F32, 0);
    if (mode == "TF") return f32(n);
    if (mode == "IDF") return ex::select(n > as_index(0), weight, zero);
    return f32(n) * weight;
  }));
  return {};
}

}  // namespace ingot
