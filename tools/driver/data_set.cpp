// See data_set.h.
#include "tools/driver/data_set.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "frontend/onnx/dtype.h"
#include "frontend/onnx/file.h"
#include "frontend/onnx/input_types.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/value.h"
#include "tools/driver/files.h"
#include "tools/driver/npy.h"

namespace ingot::driver {

namespace fs = std::filesystem;

Result<std::vector<TestCase>> find_tests(const std::string& dir) {
  if (!is_directory(dir)) return io_error("{} is not a directory", dir);
  std::vector<TestCase> tests;
  if (is_file(dir + "/model.onnx")) tests.push_back({base_name(dir), dir});
  std::error_code ec;
  for (fs::recursive_directory_iterator it(dir, fs::directory_options::skip_permission_denied, ec), end;
       !ec && it != end; it.increment(ec)) {
    if (it->path().filename() != "model.onnx" || it.depth() == 0) continue;
    const fs::path folder = it->path().parent_path();
    tests.push_back({folder.lexically_relative(dir).generic_string(), folder.string()});
  }
  if (ec) return io_error("cannot list {}: {}", dir, ec.message());
  std::sort(tests.begin(), tests.end(), [](const TestCase& a, const TestCase& b) { return a.name < b.name; });
  return tests;
}

std::vector<std::string> data_sets(const std::string& test_path) {
  std::vector<std::string> sets;
  for (const std::string& name : list_directory(test_path))
    if (name.starts_with("test_data_set_") && is_directory(test_path + "/" + name))
      sets.push_back(test_path + "/" + name);
  return sets;
}

namespace {

// Integers that stand for a type that NumPy lacks, and bf16 as ONNX's tests stored it until release 1.18.
Result<HostValue> adapt(TensorRef tensor, const Type& type) {
  const DType want = type.is_tensor() ? type.tensor.dtype : tensor->dtype;
  const DType got = tensor->dtype;
  if (want == got) return HostValue::of(tensor);
  const bool bits16 = want == DType::BF16 && got == DType::U16;
  const bool bits8 = is_float(want) && bits(want) == 8 && got == DType::U8;
  if (bits16 || bits8) {
    auto same_bits = std::make_shared<TensorData>(*tensor);
    same_bits->dtype = want;
    return HostValue::of(TensorRef(same_bits));
  }
  if (bits(want) < 8 && want != DType::String && (got == DType::I8 || got == DType::U8)) {
    const int width = bits(want);
    const int64_t lowest = want == DType::I4 || want == DType::I2 ? -(1 << (width - 1)) : 0;
    const int64_t highest = lowest + (1 << width) - 1;
    auto packed = TensorData::make(want, tensor->dims);
    for (int64_t i = 0; i < tensor->elements(); ++i) {
      const int64_t v = tensor->integer(i);
      if (v < lowest || v > highest)
        return invalid("element {} is {}, expected {} to {} for {}", i, v, lowest, highest, name(want));
      const int per_byte = 8 / width;
      packed->mutable_bytes()[i / per_byte] |= static_cast<uint8_t>((v & ((1 << width) - 1)) << (i % per_byte * width));
    }
    return HostValue::of(TensorRef(packed));
  }
  return invalid("got {}, expected {}", name(got), type.str());
}

// Whether the declaration says too little, or something else than the data.
bool needs_data(const onnx::TypeProto& proto, const HostValue& value) {
  if (proto.element) return needs_data(*proto.element, value.items.empty() ? HostValue{} : value.items.front());
  if (!proto.shape) return true;
  if (!value.is_tensor()) return false;
  const auto& declared = proto.shape->dim;
  const std::vector<int64_t>& dims = value.tensor->dims;
  if (declared.empty() && value.tensor->elements() == 1) return false;  // see check_inputs
  if (declared.size() != dims.size()) return true;
  for (size_t d = 0; d < dims.size(); ++d)
    if (declared[d].dim_value && *declared[d].dim_value != dims[d]) return true;
  return false;
}

// A tensor's own type; of items of a sequence only the rank is taken, since they may differ.
Type type_of_data(const Type& declared, const HostValue& value, bool inside) {
  if (declared.element) {
    Type type = declared;
    type.element = std::make_shared<const Type>(
        type_of_data(*declared.element, value.items.empty() ? HostValue{} : value.items.front(), true));
    return type;
  }
  if (!value.is_tensor()) return declared;
  TensorType type = value.tensor->type();
  type.dtype = declared.tensor.dtype;
  for (Dim& d : type.dims)
    if (inside) d = Dim(Dim::symbol("item"));
  return Type::of(type);
}

}  // namespace

Result<std::vector<HostValue>> read_values(const std::string& data_set, const std::string& prefix,
                                           const std::vector<Port>& ports) {
  std::vector<HostValue> values(ports.size());
  std::vector<bool> bound(ports.size(), false);
  const std::string what = prefix == "output" ? "outputs" : "inputs";
  // A number that is left out is an input that stays unset.
  const std::vector<std::string> files = list_directory(data_set);
  for (int k = 0; k < kMaxDataFiles; ++k) {
    const std::string file = fmt::format("{}_{}.pb", prefix, k), path = data_set + "/" + file;
    if (!std::binary_search(files.begin(), files.end(), file)) continue;
    // The kind of message depends on the port, and the port on the name inside: a tensor's name is where a sequence's is not,
    // so the port of the same index is tried first and the named one, where its kind differs, read again.
    const auto index = static_cast<size_t>(k);
    const Type& guess = index < ports.size() ? ports[index].type : ports.empty() ? Type{} : ports.back().type;
    auto read = onnx::read_value_file(path, guess);
    std::string name;
    if (read) name = read->name;
    size_t port = index;
    if (!name.empty()) {
      const auto it = std::find_if(ports.begin(), ports.end(), [&](const Port& p) { return p.name == name; });
      if (it != ports.end()) port = static_cast<size_t>(it - ports.begin());
    }
    if (port >= ports.size())
      return invalid("{} is for {} {}, but the model has {} {}", path, prefix, k, ports.size(), what);
    if (port != index || !read) {
      auto again = onnx::read_value_file(path, ports[port].type);
      if (!again) return std::move(again.error());
      read = std::move(again);
    }
    if (bound[port]) return invalid("{}: {} '{}' is given twice", path, prefix, ports[port].name);
    bound[port] = true;
    values[port] = std::move(read->value);
    if (values[port].is_tensor() && values[port].tensor->dtype == DType::U16 && ports[port].type.is_tensor() &&
        ports[port].type.tensor.dtype == DType::BF16)
      values[port] = TRY(adapt(values[port].tensor, ports[port].type));
  }
  return values;
}

Result<std::map<std::string, Type>> types_from_data(const std::string& model_path, const std::string& data_set) {
  const auto file = TRY(onnx::MappedFile::open(model_path));
  const onnx::ModelProto model = TRY(onnx::decode_model(file->bytes()));
  std::map<std::string, Type> types;
  if (!model.graph) return types;
  std::vector<Port> ports;
  std::vector<const onnx::TypeProto*> declared;
  for (const onnx::ValueInfoProto& input : model.graph->input) {
    const auto& initializers = model.graph->initializer;
    if (std::any_of(initializers.begin(), initializers.end(), [&](const auto& t) { return t.name == input.name; }))
      continue;
    ports.push_back({std::string(input.name), onnx::element_types(input.type)});
    declared.push_back(&input.type);
  }
  const std::vector<HostValue> values = TRY(read_values(data_set, "input", ports));
  for (size_t i = 0; i < ports.size(); ++i)
    if (values[i].kind != HostValue::Kind::None && needs_data(*declared[i], values[i]))
      types[ports[i].name] = type_of_data(ports[i].type, values[i], false);
  return types;
}

Result<HostValue> load_value(const std::string& path, const Type& type) {
  if (ends_with(path, ".npy")) {
    TensorRef tensor = TRY(load_npy(path));
    auto value = adapt(std::move(tensor), type);
    if (!value) return std::move(value.error()).context("in " + path);
    return value;
  }
  if (ends_with(path, ".pb")) {
    auto read = onnx::read_value_file(path, type);
    if (!read) return std::move(read.error());
    return std::move(read->value);
  }
  return unsupported("got '{}', expected a .npy or a .pb file", path);
}

}  // namespace ingot::driver
