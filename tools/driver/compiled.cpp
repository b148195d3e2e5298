// A compiled file as an Executable: through the runtime's C interface, as any application would use it.
#include <algorithm>
#include <cstring>
#include <deque>

#include "frontend/onnx/dtype.h"
#include "runtime/ingot.h"
#include "tools/driver/executable.h"
#include "tools/driver/files.h"
#include "tools/driver/schedules.h"

namespace ingot::driver {

namespace {

Error runtime_error(ingot_status status, const std::string& text) {
  ErrorKind kind = ErrorKind::Invalid;
  if (status == INGOT_UNSUPPORTED) kind = ErrorKind::Unsupported;
  if (status == INGOT_IO || status == INGOT_DEVICE_FAILED) kind = ErrorKind::Io;
  if (status == INGOT_NO_MEMORY || status == INGOT_LIMIT) kind = ErrorKind::Limit;
  if (status == INGOT_OUT_OF_BOUNDS) kind = ErrorKind::Bounds;
  return {kind, text.empty() ? std::string(ingot_status_text(status)) : text};
}

// "f32[batch, 3]", "seq(f32[?])", "optional(seq(...))", "map(i64, f32[])": the kinds around the tensor.
Type nested_type(std::string_view text, TensorType tensor) {
  const size_t open = text.find('(');
  // A tensor's extents may hold parentheses, too: "f32[max(n, 1)]".
  if (open == std::string_view::npos || text.find('[') < open) return Type::of(std::move(tensor));
  const std::string_view word = text.substr(0, open);
  std::string_view inner = text.substr(open + 1);
  if (word.starts_with("map")) {
    const size_t comma = inner.find(',');
    const DType key = dtype_named(inner.substr(0, comma));
    inner = comma == std::string_view::npos ? "" : inner.substr(comma + 1);
    return Type::map(key, nested_type(inner, std::move(tensor)));
  }
  if (word.starts_with("opt")) return Type::optional(nested_type(inner, std::move(tensor)));
  return Type::sequence(nested_type(inner, std::move(tensor)));
}

Port port_of(const ingot_port& p, std::map<std::string, Symbol>& symbols) {
  TensorType tensor{onnx::dtype_of(p.dtype), {}};
  for (int32_t d = 0; d < p.rank; ++d) {
    if (p.dims[d] >= 0) {
      tensor.dims.push_back(Dim(p.dims[d]));
      continue;
    }
    const std::string name = p.symbols[d] && *p.symbols[d] ? p.symbols[d] : fmt::format("?{}", symbols.size());
    Symbol& s = symbols[name];
    if (!s) s = Dim::symbol(name);
    tensor.dims.push_back(Dim(s));
  }
  return {p.name, nested_type(p.type, std::move(tensor)), p.may_be_absent != 0};
}

// The runtime's objects made of values; the pieces live here.
class Objects {
 public:
  ingot_tensor_view view(const HostValue& v) {
    if (v.is_tensor()) return tensor(*v.tensor);
    return {object(v), nullptr, 0, INGOT_OBJECT};
  }
  ingot_object* object(const HostValue& v) {
    std::vector<ingot_tensor_view> items;
    for (const HostValue& item : v.items) items.push_back(view(item));
    items_.push_back(std::move(items));
    objects_.push_back({static_cast<int64_t>(items_.back().size()), items_.back().data()});
    return &objects_.back();
  }
  ingot_tensor_view tensor(const TensorData& t) {
    void* data = const_cast<uint8_t*>(t.bytes);
    if (t.dtype == DType::String) {
      std::vector<ingot_string> strings;
      for (const std::string& s : t.strings) strings.push_back({s.data(), static_cast<int64_t>(s.size())});
      strings_.push_back(std::move(strings));
      data = strings_.back().data();
    } else if (reinterpret_cast<uintptr_t>(data) % 16 != 0) {
      auto copy = TensorData::make(t.dtype, t.dims);
      std::memcpy(copy->mutable_bytes(), t.bytes, static_cast<size_t>(t.size_bytes));
      data = copy->mutable_bytes();
      copies_.push_back(std::move(copy));
    }
    return {data, t.dims.data(), static_cast<int32_t>(t.dims.size()), onnx::data_type_of(t.dtype)};
  }

 private:
  std::deque<ingot_object> objects_;
  std::deque<std::vector<ingot_tensor_view>> items_;
  std::deque<std::vector<ingot_string>> strings_;
  std::vector<std::shared_ptr<TensorData>> copies_;
};

HostValue value_of(const ingot_tensor_view& view, const Type& type);

HostValue object_value(const ingot_object& object, const Type& type) {
  HostValue v;
  v.kind = type.kind == Type::Kind::Optional ? HostValue::Kind::Optional
           : type.kind == Type::Kind::Map    ? HostValue::Kind::Map
                                             : HostValue::Kind::Sequence;
  for (int64_t i = 0; i < object.count; ++i)
    v.items.push_back(value_of(object.items[i], type.element ? *type.element : Type{}));
  return v;
}

HostValue tensor_value(const void* data, int32_t rank, const int64_t* shape, DType dtype) {
  auto t = TensorData::make(dtype, std::vector<int64_t>(shape, shape + rank));
  if (dtype == DType::String) {
    const auto* strings = static_cast<const ingot_string*>(data);
    t->strings.clear();
    for (int64_t i = 0; i < t->elements(); ++i)
      t->strings.emplace_back(strings[i].data, static_cast<size_t>(strings[i].size));
  } else if (t->size_bytes > 0) {
    std::memcpy(t->mutable_bytes(), data, static_cast<size_t>(t->size_bytes));
  }
  return HostValue::of(std::move(t));
}

HostValue value_of(const ingot_tensor_view& view, const Type& type) {
  if (view.dtype == INGOT_OBJECT) return object_value(*static_cast<const ingot_object*>(view.data), type);
  return tensor_value(view.data, view.rank, view.shape, onnx::dtype_of(view.dtype));
}

class Compiled final : public Executable {
 public:
  ~Compiled() override {
    ingot_session_free(session_);
    ingot_model_free(model_);
  }

  Result<void> load(const std::string& path, const LoadOptions& options) {
    if (options.targets.size() > 1) return invalid("got {} targets, expected one image to use", options.targets.size());
    ingot_load_options load{};
    load.size_bytes = sizeof load;
    if (!options.targets.empty() && options.targets[0] != "host") load.target = options.targets[0].c_str();
    if (const ingot_status s = ingot_model_load(path.c_str(), &load, &model_); s != INGOT_OK)
      return runtime_error(s, ingot_last_error());
    return open(options);
  }
  Result<void> load_bytes(std::span<const uint8_t> bytes, const LoadOptions& options) {
    bytes_ = TensorData::make(DType::U8, {static_cast<int64_t>(bytes.size())});
    if (!bytes.empty()) std::memcpy(bytes_->mutable_bytes(), bytes.data(), bytes.size());
    if (const ingot_status s = ingot_model_load_memory(bytes_->bytes, bytes.size(), nullptr, &model_); s != INGOT_OK)
      return runtime_error(s, ingot_last_error());
    return open(options);
  }

  Result<void> bind(std::vector<HostValue> inputs) override {
    TRY(check_inputs(inputs_, inputs));
    bound_ = std::move(inputs);
    objects_ = std::make_unique<Objects>();
    for (size_t i = 0; i < bound_.size(); ++i) {
      const auto index = static_cast<int32_t>(i);
      ingot_status s = INGOT_OK;
      if (bound_[i].is_tensor()) {
        const ingot_tensor_view view = objects_->tensor(*bound_[i].tensor);
        DLTensor t{};
        t.data = view.data;
        t.device = {kDLCPU, 0};
        t.ndim = view.rank;
        t.dtype = ingot_dtype_to_dlpack(view.dtype);
        t.shape = const_cast<int64_t*>(view.shape);
        s = ingot_session_bind_input(session_, index, &t);
      } else if (bound_[i].kind == HostValue::Kind::None) {
        s = ingot_session_bind_input(session_, index, nullptr);
      } else {
        s = ingot_session_bind_input_object(session_, index, objects_->object(bound_[i]));
      }
      if (s != INGOT_OK) return runtime_error(s, ingot_session_error(session_));
    }
    return {};
  }

  Result<void> run() override {
    if (const ingot_status s = ingot_session_run(session_); s != INGOT_OK)
      return runtime_error(s, ingot_session_error(session_));
    return {};
  }

  Result<std::vector<HostValue>> fetch() override {
    std::vector<HostValue> values;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const auto index = static_cast<int32_t>(i);
      if (outputs_[i].type.is_tensor()) {
        const DLTensor* t = nullptr;
        if (const ingot_status s = ingot_session_get_output(session_, index, &t); s != INGOT_OK)
          return runtime_error(s, ingot_session_error(session_));
        values.push_back(tensor_value(static_cast<const uint8_t*>(t->data) + t->byte_offset, t->ndim, t->shape,
                                      onnx::dtype_of(ingot_dtype_from_dlpack(t->dtype))));
      } else {
        const ingot_object* object = nullptr;
        if (const ingot_status s = ingot_session_get_output_object(session_, index, &object); s != INGOT_OK)
          return runtime_error(s, ingot_session_error(session_));
        values.push_back(object_value(*object, outputs_[i].type));
      }
    }
    return values;
  }

  std::vector<KernelTime> profile() const override {
    std::vector<KernelTime> times;
    const ingot_profile_entry* entries = nullptr;
    int32_t count = 0;
    if (ingot_session_profile(session_, &entries, &count) != INGOT_OK) return times;
    for (int32_t i = 0; i < count; ++i) {
      const ingot_profile_entry& e = entries[i];
      times.push_back({e.kernel, e.node, e.schedule, e.flops, e.bytes, e.device && *e.device ? e.device : "host",
                       e.calls, e.items, e.total_ns});
    }
    return times;
  }

  std::vector<KernelPlacement> placement() const override {
    std::vector<KernelPlacement> list;
    for (const KernelTime& k : profile())
      if (k.calls > 0) list.push_back({k.name, k.device, k.items});
    return list;
  }

  int threads() const override {
    return threads_ > 0 ? std::min(threads_, ingot_thread_count()) : ingot_thread_count();
  }

  std::vector<int64_t> kernel_weights() const override {
    size_t size = 0;
    const char* text = ingot_model_manifest(model_, &size);
    return weights_of_kernels({text, size}, ingot_model_target(model_));
  }
  std::string description() const override {
    return fmt::format("{}, {} thread{}", ingot_model_target(model_), threads(), threads() == 1 ? "" : "s");
  }

 private:
  Result<void> open(const LoadOptions& options) {
    std::map<std::string, Symbol> symbols;
    for (int32_t i = 0; i < ingot_model_input_count(model_); ++i)
      inputs_.push_back(port_of(*ingot_model_input(model_, i), symbols));
    for (int32_t i = 0; i < ingot_model_output_count(model_); ++i)
      outputs_.push_back(port_of(*ingot_model_output(model_, i), symbols));
    ingot_session_options session{};
    session.size_bytes = sizeof session;
    if (options.profile) session.flags |= INGOT_SESSION_PROFILE;
    if (options.checks.bounds) session.flags |= INGOT_SESSION_GUARD;
    if (options.checks.poison) session.flags |= INGOT_SESSION_POISON, session.poison_seed = *options.checks.poison;
    session.threads = threads_ = options.threads;
    session.memory_limit_bytes = static_cast<int64_t>(options.memory_limit_gib * (int64_t{1} << 30));
    session.time_limit_ms = static_cast<int64_t>(options.time_limit_s * 1000);
    if (const ingot_status s = ingot_session_create(model_, &session, &session_); s != INGOT_OK)
      return runtime_error(s, ingot_last_error());
    return {};
  }

  std::shared_ptr<TensorData> bytes_;   // of a model in memory
  ingot_model* model_ = nullptr;
  ingot_session* session_ = nullptr;
  int32_t threads_ = 0;
  std::vector<HostValue> bound_;
  std::unique_ptr<Objects> objects_;
};

}  // namespace

Result<std::unique_ptr<Executable>> load_compiled(const std::string& path, const LoadOptions& options) {
  auto compiled = std::make_unique<Compiled>();
  if (auto loaded = compiled->load(path, options); !loaded) return in_file(std::move(loaded.error()), path);
  return std::unique_ptr<Executable>(std::move(compiled));
}

Result<std::unique_ptr<Executable>> load_compiled_memory(std::span<const uint8_t> bytes, const LoadOptions& options) {
  auto compiled = std::make_unique<Compiled>();
  TRY(compiled->load_bytes(bytes, options));
  return std::unique_ptr<Executable>(std::move(compiled));
}

}  // namespace ingot::driver
