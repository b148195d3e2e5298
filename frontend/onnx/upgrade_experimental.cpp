// The experimental operators of operator set 1, which exporters of 2018 wrote and the standard dropped. All are short
// compositions of others.
#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

Result<Value*> scaled(Upgrade& u, Value* x, double factor) {
  if (factor == 1) return x;
  return u.add("mul", {x, TRY(u.number_like(x, factor))});
}

Result<Value*> only_input(Upgrade& u) {
  if (u.inputs.size() != 1 || !u.in(0)) return invalid("got {} inputs, expected 1", u.inputs.size());
  return u.in(0);
}

// alpha * x + beta
Result<void> affine(Upgrade& u) {
  Value* x = TRY(only_input(u));
  Value* product = TRY(scaled(u, x, u.f64("alpha", 1)));
  return u.finish("add", {product, TRY(u.number_like(x, u.f64("beta", 0)))}, {}, u.outputs);
}

// alpha * f(beta * x)
Result<void> activation(Upgrade& u, std::string_view f) {
  Value* x = TRY(only_input(u));
  Value* y = TRY(u.add(f, {TRY(scaled(u, x, u.f64("beta", 1)))}));
  return u.finish("mul", {y, TRY(u.number_like(x, u.f64("alpha", 1)))}, {}, u.outputs);
}
Result<void> scaled_tanh(Upgrade& u) { return activation(u, "tanh"); }
Result<void> parametric_softplus(Upgrade& u) { return activation(u, "softplus"); }

// x: [N, C, H, W]; scale * x + bias[C]
Result<void> image_scaler(Upgrade& u) {
  Value* x = TRY(only_input(u));
  std::vector<double> bias = u.floats("bias");
  if (bias.empty()) return u.finish("mul", {x, TRY(u.number_like(x, u.f64("scale", 1)))}, {}, u.outputs);
  auto t = TensorData::make(DType::F32, {static_cast<int64_t>(bias.size()), 1, 1});
  for (size_t i = 0; i < bias.size(); ++i) t->mutable_as<float>()[i] = static_cast<float>(bias[i]);
  Value* offsets = u.constant("bias", t);
  if (u.dtype(0) != DType::F32) offsets = TRY(u.add("cast_like", {offsets, x}));
  return u.finish("add", {TRY(scaled(u, x, u.f64("scale", 1))), offsets}, {}, u.outputs);
}

// x: [N, C, H, W]; border: left, top, right, bottom; or left, top and the size that is left, `scale`.
Result<void> crop(Upgrade& u) {
  Value* x = TRY(only_input(u));
  std::vector<int64_t> border = u.ints("border"), size = u.ints("scale");
  if (border.size() < (size.empty() ? 4u : 2u)) return invalid("border has {} values, expected 4", border.size());
  if (!size.empty() && size.size() != 2) return invalid("scale has {} values, expected 2", size.size());
  int64_t left = border[0], top = border[1];
  std::vector<int64_t> end;
  if (size.empty()) {
    // -0 would be the beginning.
    end = {border[3] > 0 ? -border[3] : INT64_MAX, border[2] > 0 ? -border[2] : INT64_MAX};
  } else {
    int64_t bottom = 0, right = 0;
    if (__builtin_add_overflow(top, size[0], &bottom) || __builtin_add_overflow(left, size[1], &right))
      return invalid("scale is out of range");
    end = {bottom, right};
  }
  return u.finish("slice", {x, u.ints_constant({top, left}), u.ints_constant(end), u.ints_constant({2, 3})}, {},
                  u.outputs);
}

Result<void> dynamic_slice(Upgrade& u) {
  u.op = "slice";
  return {};
}

constexpr UpgradeEntry kEntries[] = {
    {"affine", affine},
    {"scaled_tanh", scaled_tanh},
    {"parametric_softplus", parametric_softplus},
    {"image_scaler", image_scaler},
    {"crop", crop},
    {"dynamic_slice", dynamic_slice},
};

}  // namespace

std::span<const UpgradeEntry> experimental_upgrades() { return kEntries; }

}  // namespace ingot::onnx
