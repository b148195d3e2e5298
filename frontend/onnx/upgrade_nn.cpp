// Neural-network operators: normalisations, dropout, pooling, recurrences, Scan with a batch.
#include <algorithm>

#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

// BatchNormalization before 14: outputs 1 and 2 are asked for in training only; `spatial` 0 gives each position its own
// statistics, which broadcasting does today.
Result<void> batch_normalization(Upgrade& u) {
  if (u.version >= 14) return {};
  bool spatial = u.i64("spatial", 1) != 0;
  bool training = u.wants(1) || u.wants(2);
  u.erase({"consumed_inputs", "is_test", "spatial"});
  if (u.wants(3) || u.wants(4)) return unsupported("outputs saved_mean and saved_var");
  if (u.outputs.size() > 3) u.outputs.resize(3);
  if (training) u.attrs.set("training_mode", int64_t{1});
  if (spatial) return {};
  if (training) return unsupported("training with spatial = 0");
  if (u.inputs.size() != 5 || std::count(u.inputs.begin(), u.inputs.end(), nullptr))
    return invalid("got {} inputs, expected 5", u.inputs.size());
  Value *x = u.in(0), *scale = u.in(1), *bias = u.in(2), *mean = u.in(3), *var = u.in(4);
  Value* spread = TRY(u.add("sqrt", {TRY(u.add("add", {var, TRY(u.number_like(x, u.f64("epsilon", 1e-5)))}))}));
  Value* normal = TRY(u.add("div", {TRY(u.add("sub", {x, mean})), spread}));
  return u.finish("add", {TRY(u.add("mul", {normal, scale})), bias}, {}, u.outputs);
}

Result<void> instance_normalization(Upgrade& u) {
  if (u.version < 6) u.erase({"consumed_inputs"});
  return {};
}

// Some exporters misspell epsilon, and every runtime that reads their models takes the default.
Result<void> layer_normalization(Upgrade& u) {
  u.erase({"epsion"});
  return {};
}

// GroupNormalization-18: scale and bias per group; since 21 per channel. [G] -> [G, C/G] -> [C]
Result<void> group_normalization(Upgrade& u) {
  if (u.version >= 21) return {};
  int64_t groups = u.i64("num_groups", 0);
  if (groups <= 0) return invalid("num_groups is {}, expected at least 1", groups);
  if (!u.in(0) || !u.in(1) || !u.in(2)) return invalid("got {} inputs, expected 3", u.inputs.size());
  Value* channels = TRY(u.add("shape", {u.in(0)}, {{"start", int64_t{1}}, {"end", int64_t{2}}}));
  Value* each = TRY(u.add("div", {channels, u.ints_constant({groups})}));
  Value* shape = TRY(u.add("concat", {u.ints_constant({groups}), each}, {{"axis", int64_t{0}}}));
  for (size_t i = 1; i <= 2; ++i) {
    Value* column = TRY(u.add("unsqueeze", {u.in(i), u.ints_constant({1})}));
    u.inputs[i] = TRY(u.add("reshape", {TRY(u.add("expand", {column, shape})), u.ints_constant({-1})}));
  }
  return {};
}

// Dropout outside of training is the identity; before 12 there was no way to ask for training at run time. The mask was
// of the input's type until 10.
Result<void> dropout(Upgrade& u) {
  bool training = false;
  if (u.version >= 12) {
    const TensorData* mode = u.constant(2);
    training = u.in(2) && !(mode && mode->elements() == 1 && mode->integer(0) == 0);
  }
  if (u.version < 12) {
    u.erase({"ratio", "is_test", "consumed_inputs"});
    u.inputs.resize(std::min<size_t>(u.inputs.size(), 1));
  }
  if (training || u.inputs.empty()) return {};
  if (!u.wants(1)) return u.finish("identity", {u.in(0)}, {}, {u.outputs.empty() ? nullptr : u.outputs[0]});
  if (u.version < 10) {
    auto made = TRY(u.add_n("dropout", {u.in(0)}, 2));
    TRY(u.finish("cast_like", {made[1], u.in(0)}, {}, {u.outputs[1]}));
    return u.outputs[0] ? u.finish("identity", {made[0]}, {}, {u.outputs[0]}) : Result<void>();
  }
  return {};
}

Result<void> lp_pool(Upgrade& u) {
  if (u.version < 2 && u.has("p")) u.attrs.set("p", static_cast<int64_t>(u.f64("p", 2)));
  return {};
}

Result<void> gemm(Upgrade& u) {
  if (u.version < 7) u.erase({"broadcast"});
  return {};
}

// `layout` 1 (batch first) is written with transposes; `output_sequence` (1-6) only said whether Y was computed.
//   X [seq, batch, in]   initial_h, initial_c, Y_h, Y_c [dirs, batch, hidden]   Y [seq, dirs, batch, hidden]
Result<void> recurrent(Upgrade& u) {
  if (u.version < 7) u.erase({"output_sequence"});
  bool batch_first = u.i64("layout", 0) != 0;
  u.erase({"layout"});
  if (!batch_first) return {};
  Attrs swap{{"perm", std::vector<int64_t>{1, 0, 2}}};
  for (size_t i : {size_t{0}, size_t{5}, size_t{6}})
    if (u.in(i)) u.inputs[i] = TRY(u.add("transpose", {u.in(i)}, swap));
  auto made = TRY(u.add_n(u.op, u.inputs, u.outputs.size(), u.attrs));
  for (size_t i = 0; i < u.outputs.size(); ++i) {
    if (!u.outputs[i]) continue;
    Attrs back = i == 0 ? Attrs{{"perm", std::vector<int64_t>{2, 0, 1, 3}}} : swap;
    TRY(u.finish("transpose", {made[i]}, back, {u.outputs[i]}));
  }
  return {};
}

// RoiAlign-10 sampled without the half pixel's offset.
Result<void> roi_align(Upgrade& u) {
  if (u.version < 16 && !u.has("coordinate_transformation_mode"))
    u.attrs.set("coordinate_transformation_mode", std::string("output_half_pixel"));
  return {};
}

// MeanVarianceNormalization-1 named what is averaged.
Result<void> mean_variance_normalization(Upgrade& u) {
  if (u.version >= 9) return {};
  if (u.i64("normalize_variance", 1) == 0) return unsupported("normalize_variance = 0");
  bool across = u.i64("across_channels", 0) != 0;
  u.erase({"across_channels", "normalize_variance"});
  u.attrs.set("axes", across ? std::vector<int64_t>{1, 2, 3} : std::vector<int64_t>{2, 3});
  return {};
}

// Scan-8 carries a batch: today's Scan, once per element of the batch, that is, within a Scan over the batch.
Result<void> scan(Upgrade& u) {
  if (u.version >= 9) return {};
  if (u.in(0)) return unsupported("sequence_lens");
  if (u.inputs.size() < 2) return invalid("got {} inputs, expected at least 2", u.inputs.size());
  int64_t count = static_cast<int64_t>(u.inputs.size()) - 1;
  int64_t scanned = u.i64("num_scan_inputs", 0);
  if (scanned < 1 || scanned > count) return invalid("num_scan_inputs is {}, expected 1 to {}", scanned, count);
  Attrs inner{{"num_scan_inputs", scanned}};
  if (u.has("directions")) inner.set("scan_input_directions", u.ints("directions"));
  u.attrs = Attrs{{"num_scan_inputs", count}};
  u.inputs.erase(u.inputs.begin());
  return u.scan_of_scan(std::move(inner));
}

constexpr UpgradeEntry kEntries[] = {
    {"batch_normalization", batch_normalization},
    {"instance_normalization", instance_normalization},
    {"layer_normalization", layer_normalization},
    {"group_normalization", group_normalization},
    {"dropout", dropout},
    {"lp_pool", lp_pool},
    {"global_lp_pool", lp_pool},
    {"gemm", gemm},
    {"lstm", recurrent},
    {"gru", recurrent},
    {"rnn", recurrent},
    {"roi_align", roi_align},
    {"mean_variance_normalization", mean_variance_normalization},
    {"scan", scan},
};

}  // namespace

std::span<const UpgradeEntry> nn_upgrades() { return kEntries; }

}  // namespace ingot::onnx
