// See inputs.h.
#include "tools/driver/inputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "tools/driver/data_set.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

// SplitMix64 (Steele, Lea, Flood 2014).
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // The sum of twelve uniform numbers: normal enough for inputs, and exact arithmetic, so that no libm matters.
  double normal() {
    int64_t sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<int64_t>(next() >> 40);
    return static_cast<double>(sum - (int64_t{6} << 24)) / static_cast<double>(1 << 24);
  }
};

uint16_t half_bits(float v) {  // |v| <= 6, rounded to nearest even
  const auto u = std::bit_cast<uint32_t>(v);
  const uint32_t sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude < 0x38800000u)
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(std::fabs(v) * 16777216.0f)));
  const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

void fill(TensorData& t, Random& random) {
  const int64_t n = t.elements();
  switch (t.dtype) {
    case DType::F32:
    case DType::C64:
      for (int64_t i = 0; i < t.size_bytes / 4; ++i) t.mutable_as<float>()[i] = static_cast<float>(random.normal());
      break;
    case DType::F64:
    case DType::C128:
      for (int64_t i = 0; i < t.size_bytes / 8; ++i) t.mutable_as<double>()[i] = random.normal();
      break;
    case DType::F16:
      for (int64_t i = 0; i < n; ++i) t.mutable_as<uint16_t>()[i] = half_bits(static_cast<float>(random.normal()));
      break;
    case DType::BF16:
      for (int64_t i = 0; i < n; ++i)
        t.mutable_as<uint16_t>()[i] =
            static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(random.normal())) >> 16);
      break;
    case DType::Bool: std::memset(t.mutable_bytes(), 1, static_cast<size_t>(t.size_bytes)); break;
    case DType::String: t.strings.assign(static_cast<size_t>(n), "a"); break;
    case DType::I16:
    case DType::U16:
    case DType::I32:
    case DType::U32:
    case DType::I64:
    case DType::U64: {
      const int width = bits(t.dtype) / 8;
      for (int64_t i = 0; i < n; ++i) t.mutable_bytes()[i * width] = static_cast<uint8_t>(random.next() >> 63);
      break;
    }
    case DType::I8:
    case DType::U8:  // mostly quantized data
      for (int64_t i = 0; i < n; ++i) t.mutable_bytes()[i] = static_cast<uint8_t>(random.next() >> 56);
      break;
    case DType::I2:
    case DType::U2:
    case DType::I4:
    case DType::U4:
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ:
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ:
    case DType::F8E8M0:
    case DType::F4E2M1:
      for (int64_t i = 0; i < t.size_bytes; ++i)
        t.mutable_bytes()[i] = static_cast<uint8_t>(random.next() >> 56 & 0x33);
      break;
    case DType::Invalid: break;
  }
}

}  // namespace

Result<HostValue> random_value(const Type& type, const std::map<std::string, int64_t>& dims, uint64_t seed) {
  if (!type.is_tensor()) return unsupported("random inputs are tensors only, got {}", type.str());
  std::map<int64_t, Symbol> symbols;
  Bindings bindings;
  for (const Dim& d : type.tensor.dims) collect_symbols(d, symbols);
  for (const auto& [id, symbol] : symbols) {
    const auto it = dims.find(symbol->name);
    bindings[id] = it != dims.end() ? it->second : std::clamp(kDefaultDim, symbol->lo, symbol->hi);
  }
  std::vector<int64_t> extents;
  int64_t count = 1;
  for (const Dim& d : type.tensor.dims) {
    extents.push_back(evaluate(d, bindings).value_or(kDefaultDim));
    if (extents.back() < 0) return invalid("a negative extent in {}", type.str());
    if (__builtin_mul_overflow(count, extents.back(), &count) || count > kMaxRandomElements)
      return limit_exceeded("{} has more than {} elements", type.str(), kMaxRandomElements);
  }
  auto tensor = TensorData::make(type.tensor.dtype, extents);
  Random random{seed};
  fill(*tensor, random);
  return HostValue::of(std::move(tensor));
}

namespace {

// A line each, as an example of the flag.
std::string listed(const std::vector<Port>& ports) {
  std::string lines;
  for (const Port& p : ports)
    lines += fmt::format("\n  --input {}=FILE  # {}{}", p.name, p.type.str(), p.optional ? ", may be left out" : "");
  return lines.empty() ? " none" : lines;
}

}  // namespace

Result<std::vector<HostValue>> gather_inputs(const std::vector<Port>& ports, const InputOptions& options) {
  std::vector<HostValue> values(ports.size());
  std::vector<std::string> names;
  for (const Port& p : ports) names.push_back(p.name);
  if (!options.data_dir.empty()) {
    if (!is_directory(options.data_dir)) return io_error("{} is not a directory", options.data_dir);
    const std::vector<std::string> sets = data_sets(options.data_dir);
    const std::string& set = sets.empty() ? options.data_dir : sets.front();
    const std::vector<std::string> found = list_directory(set);
    if (!ports.empty() &&
        std::none_of(found.begin(), found.end(), [](const auto& f) { return f.starts_with("input_"); }))
      return io_error("{} has no input_0.pb", set);
    values = TRY(read_values(set, "input", ports));
  }
  for (const std::string& file : options.files) {
    size_t at = 0;
    std::string path = file;
    const size_t equals = file.find('=');
    if (equals != std::string::npos) {
      const std::string name = file.substr(0, equals);
      path = file.substr(equals + 1);
      const auto it = std::find(names.begin(), names.end(), name);
      if (it == names.end()) {
        const std::string near = nearest_name(name, names);
        return invalid("the model has no input '{}'{}; its inputs:{}", name,
                       near.empty() ? "" : fmt::format(", did you mean '{}'", near), listed(ports));
      }
      at = static_cast<size_t>(it - names.begin());
    } else if (ports.size() != 1) {
      return invalid("got the input '{}' without a name, expected NAME=FILE since the model has {} inputs:{}", file,
                     ports.size(), listed(ports));
    }
    auto value = load_value(path, ports[at].type);
    if (!value) return std::move(value.error()).context(fmt::format("for input '{}'", ports[at].name));
    values[at] = std::move(*value);
  }
  std::vector<Port> missing;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (values[i].kind != HostValue::Kind::None || ports[i].optional) continue;
    if (options.random_seed) {
      auto value = random_value(ports[i].type, options.dims, *options.random_seed + i);
      if (!value) return std::move(value.error()).context(fmt::format("for input '{}'", ports[i].name));
      values[i] = std::move(*value);
    } else {
      missing.push_back(ports[i]);
    }
  }
  if (!missing.empty()) return invalid("inputs without a value (or use --random-inputs SEED):{}", listed(missing));
  return values;
}

}  // namespace ingot::driver
