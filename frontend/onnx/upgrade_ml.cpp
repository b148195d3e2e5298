// ai.onnx.ml: what changed between its operator sets 1 and 5.
#include "frontend/onnx/upgrade.h"

namespace ingot::onnx {

namespace {

// LabelEncoder-1: one list of strings; the input's type says which way it is read.
Result<void> label_encoder(Upgrade& u) {
  if (u.version >= 2 || !u.has("classes_strings")) return {};
  const AttrValue* a = u.attrs.find("classes_strings");
  auto* strings = std::get_if<std::vector<std::string>>(a);
  if (!strings) return invalid("attribute 'classes_strings' is not a list of strings");
  std::vector<std::string> names = *strings;
  std::vector<int64_t> numbers(names.size());
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(i);
  DType from = u.dtype(0);
  Attrs attrs;
  if (from == DType::String) {
    attrs.set("keys_strings", names);
    attrs.set("values_int64s", numbers);
    attrs.set("default_int64", u.i64("default_int64", -1));
  } else if (from == DType::I64) {
    attrs.set("keys_int64s", numbers);
    attrs.set("values_strings", names);
    attrs.set("default_string", u.str("default_string", "_Unused"));
  } else {
    return unsupported("operator set 1 with an input of unknown type");
  }
  u.attrs = std::move(attrs);
  return {};
}

constexpr UpgradeEntry kEntries[] = {{"label_encoder", label_encoder}};

}  // namespace

std::span<const UpgradeEntry> ml_upgrades() { return kEntries; }

}  // namespace ingot::onnx
