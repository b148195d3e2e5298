// Operators that move elements: shapes, axes, indices and pads that became inputs; Upsample and Scatter, which got new
// names.
#include <algorithm>

#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

Result<void> squeeze(Upgrade& u) {
  if (u.version < 13) u.ints_to_input("axes", 1);
  return {};
}

Result<void> concat(Upgrade& u) {
  if (u.version < 4 && !u.has("axis")) u.attrs.set("axis", int64_t{1});
  return {};
}

Result<void> reshape(Upgrade& u) {
  if (u.version >= 5) return {};
  u.erase({"consumed_inputs"});
  // An empty list makes a scalar.
  u.set_input(1, u.ints_constant(u.ints("shape")));
  u.erase({"shape"});
  return {};
}

Result<void> slice(Upgrade& u) {
  if (u.version >= 10) return {};
  if (!u.has("starts") || !u.has("ends")) return invalid("attributes 'starts' and 'ends' are missing");
  u.set_input(1, u.ints_constant(u.ints("starts")));
  u.set_input(2, u.ints_constant(u.ints("ends")));
  u.erase({"starts", "ends"});
  u.ints_to_input("axes", 3);
  return {};
}

// Split-1, 2, 11: sizes as an attribute. Since 18 the number of outputs is written down where there are no sizes.
Result<void> split(Upgrade& u) {
  if (u.version < 13) u.ints_to_input("split", 1);
  if (!u.in(1) && !u.has("num_outputs")) u.attrs.set("num_outputs", static_cast<int64_t>(u.outputs.size()));
  return {};
}

// Tile-1: `tiles` times along `axis`, both scalars. Tile-6: repeats.
Result<void> tile(Upgrade& u) {
  if (u.version >= 6) return {};
  const TensorData *tiles = u.constant(1), *axis = u.constant(2);
  int rank = u.rank(0);
  if (!tiles || !axis || rank < 0 || tiles->elements() != 1 || axis->elements() != 1)
    return unsupported("operator set {} with tiles and axis that are not constants, or an input of unknown rank",
                       u.version);
  int64_t at = static_cast<int64_t>(axis->number(0));
  if (at < 0 || at >= rank) return invalid("axis is {}, expected 0 to {}", at, rank - 1);
  std::vector<int64_t> repeats(static_cast<size_t>(rank), 1);
  repeats[static_cast<size_t>(at)] = static_cast<int64_t>(tiles->number(0));
  u.inputs = {u.in(0), u.ints_constant(repeats)};
  return {};
}

// Pad-1, 2: pads and value as attributes.
Result<void> pad(Upgrade& u) {
  if (u.version >= 11) return {};
  const char* name = u.has("paddings") ? "paddings" : "pads";
  if (!u.has(name)) return invalid("attribute 'pads' is missing");
  u.set_input(1, u.ints_constant(u.ints(name)));
  double value = u.f64("value", 0);
  if (value != 0 && u.in(0)) u.set_input(2, TRY(u.number_like(u.in(0), value)));
  u.erase({"paddings", "pads", "value"});
  return {};
}

Result<void> top_k(Upgrade& u) {
  if (u.version >= 10) return {};
  if (!u.has("k")) return invalid("attribute 'k' is missing");
  u.set_input(1, u.ints_constant({u.i64("k", 0)}));
  u.erase({"k"});
  return {};
}

Result<void> scatter(Upgrade& u) {
  u.op = "scatter_elements";
  return {};
}

// Resize-10 and Upsample: coordinates are asymmetric; nearest takes the element below when it enlarges, above when it
// shrinks (what the standard's own test vectors of operator set 10 hold).
Result<void> asymmetric(Upgrade& u, const std::vector<double>* scales) {
  u.op = "resize";
  std::string mode = u.str("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  u.attrs.set("mode", mode);
  u.attrs.set("coordinate_transformation_mode", std::string("asymmetric"));
  bool shrinks = scales && std::any_of(scales->begin(), scales->end(), [](double s) { return s < 1; });
  bool grows = scales && std::any_of(scales->begin(), scales->end(), [](double s) { return s > 1; });
  if (mode != "nearest") return {};
  if (shrinks && grows) {
    // First the dims that grow, then those that shrink.
    auto part = [&](bool up) {
      auto t = TensorData::make(DType::F32, {static_cast<int64_t>(scales->size())});
      for (size_t i = 0; i < scales->size(); ++i)
        t->mutable_as<float>()[i] = ((*scales)[i] > 1) == up ? static_cast<float>((*scales)[i]) : 1.0f;
      return u.constant("scales", t);
    };
    u.attrs.set("nearest_mode", std::string("floor"));
    Value* grown = TRY(u.add("resize", {u.in(0), nullptr, part(true)}, u.attrs));
    u.inputs = {grown, nullptr, part(false)};
  }
  u.attrs.set("nearest_mode", std::string(shrinks ? "ceil" : "floor"));
  return {};
}

Result<void> resize(Upgrade& u) {
  if (u.version < 11) {
    Value* scales = u.in(1);
    const TensorData* c = u.constant(1);
    u.inputs = {u.in(0), nullptr, scales};
    if (!c || c->dtype == DType::String || c->elements() > 64) return asymmetric(u, nullptr);
    std::vector<double> known;
    for (int64_t i = 0; i < c->elements(); ++i) known.push_back(c->number(i));
    return asymmetric(u, &known);
  }
  // Empty tensors stood for inputs that are not given.
  for (size_t i = 1; i < u.inputs.size(); ++i)
    if (const TensorData* c = u.constant(i); c && c->elements() == 0) u.inputs[i] = nullptr;
  return {};
}

Result<void> upsample(Upgrade& u) {
  if (u.in(1)) {
    u.version = std::min<int64_t>(u.version, 10);  // gone since 10, and still found
    return resize(u);
  }
  std::vector<double> scales = u.floats("scales");
  if (u.version < 7 && u.has("height_scale")) scales = {1, 1, u.f64("height_scale", 1), u.f64("width_scale", 1)};
  if (scales.empty()) return invalid("attribute 'scales' is missing");
  u.erase({"scales", "height_scale", "width_scale"});
  auto t = TensorData::make(DType::F32, {static_cast<int64_t>(scales.size())});
  std::transform(scales.begin(), scales.end(), t->mutable_as<float>(), [](double s) { return static_cast<float>(s); });
  u.inputs = {u.in(0), nullptr, u.constant("scales", t)};
  return asymmetric(u, &scales);
}

// GridSample-16 had other names for its modes.
Result<void> grid_sample(Upgrade& u) {
  std::string mode = u.str("mode", "linear");
  if (mode == "bilinear") u.attrs.set("mode", std::string("linear"));
  if (mode == "bicubic") u.attrs.set("mode", std::string("cubic"));
  return {};
}

// DFT-17: the axis as an attribute, 1 by default.
Result<void> dft(Upgrade& u) {
  if (u.version >= 20) return {};
  u.set_input(2, u.int_constant(u.i64("axis", 1)));
  u.erase({"axis"});
  return {};
}

constexpr UpgradeEntry kEntries[] = {
    {"squeeze", squeeze},
    {"unsqueeze", squeeze},
    {"concat", concat},
    {"reshape", reshape},
    {"slice", slice},
    {"split", split},
    {"tile", tile},
    {"pad", pad},
    {"top_k", top_k},
    {"scatter", scatter},
    {"resize", resize},
    {"upsample", upsample},
    {"grid_sample", grid_sample},
    {"dft", dft},
};

}  // namespace

std::span<const UpgradeEntry> movement_upgrades() { return kEntries; }

}  // namespace ingot::onnx
