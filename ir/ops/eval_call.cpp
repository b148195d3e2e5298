// See eval_call.h. Host values are handed over as views and objects, results are copied back from memory that lives as
// long as the call.
#include "ir/ops/eval_call.h"

#include <cstdlib>
#include <cstring>
#include <deque>

#include "ir/ops/algorithms/algorithms.h"

namespace ingot::eval {

namespace {

constexpr int kMaxObjectDepth = 16;  // sequences in optionals in sequences ...

struct Session {
  std::deque<std::unique_ptr<void, void (*)(void*)>> blocks;
  std::vector<int64_t> report;
  int64_t used = 0, limit = int64_t{1} << 36;
};

void* allocate(const ingot_context* c, int64_t size) {
  Session& s = *static_cast<Session*>(c->runtime);
  if (size < 0 || size > s.limit - s.used) return nullptr;
  s.used += size;
  void* p = std::aligned_alloc(64, (static_cast<size_t>(size) + 127) / 64 * 64);
  if (p) s.blocks.emplace_back(p, std::free);
  return p;
}
void release(const ingot_context*, void*) {}  // with the session
int32_t parallel_for(const ingot_context* c, ingot_kernel_fn f, void* const* buffers, const int64_t* scalars,
                     int64_t count, int64_t) {
  return count > 0 ? f(c, buffers, scalars, 0, count) : 0;
}
int32_t report(const ingot_context* c, int32_t, int32_t code, int32_t count, const int64_t* args) {
  static_cast<Session*>(c->runtime)->report.assign(args, args + (count > 0 && args ? count : 0));
  return code;
}

struct Marshal {
  std::deque<std::vector<ingot_string>> strings;
  std::deque<std::vector<ingot_tensor_view>> views;
  std::deque<std::vector<int64_t>> shapes;
  std::deque<ingot_object> objects;

  ingot_tensor_view view(const HostValue& v) {
    switch (v.kind) {
      case HostValue::Kind::None: return {nullptr, nullptr, 0, 0};
      case HostValue::Kind::Tensor: {
        const TensorData& t = *v.tensor;
        void* data = const_cast<uint8_t*>(t.bytes);
        if (t.dtype == DType::String) {
          auto& list = strings.emplace_back();
          for (const std::string& s : t.strings) list.push_back({s.data(), static_cast<int64_t>(s.size())});
          data = list.data();
        }
        shapes.push_back(t.dims);
        return {data, shapes.back().data(), static_cast<int32_t>(t.dims.size()), dtype_code(t.dtype)};
      }
      case HostValue::Kind::Sequence:
      case HostValue::Kind::Optional:
      case HostValue::Kind::Map: break;
    }
    std::vector<ingot_tensor_view> items;
    for (const HostValue& i : v.items) items.push_back(view(i));
    views.push_back(std::move(items));
    objects.push_back({static_cast<int64_t>(views.back().size()), views.back().data()});
    return {&objects.back(), nullptr, 0, INGOT_OBJECT};
  }
};

Result<HostValue> tensor_back(const ingot_tensor_view& v, DType expected, Budget& budget) {
  const DType t = dtype_of_code(v.dtype);
  if (t != expected && expected != DType::Invalid)
    return invalid("got a result of {}, expected {}", name(t), name(expected));
  if (v.rank < 0 || v.rank > INGOT_MAX_RANK) return invalid("got a result of rank {}", v.rank);
  std::vector<int64_t> dims(v.shape, v.shape + v.rank);
  auto data = TRY(budget.allocate(t, dims));
  const int64_t n = data->elements();
  if (n > 0 && !v.data) return invalid("got no memory for a result of {} elements", n);
  if (t == DType::String) {
    const auto* s = static_cast<const ingot_string*>(v.data);
    data->strings.resize(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i)
      data->strings[static_cast<size_t>(i)].assign(s[i].data ? s[i].data : "", static_cast<size_t>(s[i].size));
  } else if (n > 0) {
    std::memcpy(data->mutable_bytes(), v.data, static_cast<size_t>(data->size_bytes));
  }
  return HostValue::of(std::move(data));
}

Result<HostValue> value_back(const ingot_tensor_view& v, const Type& type, Budget& budget, int depth) {
  if (depth > kMaxObjectDepth) return limit_exceeded("objects are nested deeper than {}", kMaxObjectDepth);
  if (v.dtype != INGOT_OBJECT) return tensor_back(v, type.is_tensor() ? type.tensor.dtype : DType::Invalid, budget);
  const auto* o = static_cast<const ingot_object*>(v.data);
  if (!o) return invalid("got no object from an algorithm");
  HostValue out;
  switch (type.kind) {
    case Type::Kind::None:
    case Type::Kind::Tensor: return invalid("got an object from an algorithm, expected {}", type.str());
    case Type::Kind::Sequence: out.kind = HostValue::Kind::Sequence; break;
    case Type::Kind::Optional: out.kind = HostValue::Kind::Optional; break;
    case Type::Kind::Map: out.kind = HostValue::Kind::Map; break;
  }
  for (int64_t i = 0; i < o->count; ++i) {
    Type item = type.element ? *type.element : Type{};
    if (type.kind == Type::Kind::Map && i == 0) item = Type::of({type.tensor.dtype, {}});
    out.items.push_back(TRY(value_back(o->items[i], item, budget, depth + 1)));
  }
  return out;
}

Error failure(const k::Stage& s, int32_t code, const std::vector<int64_t>& args) {
  auto arg = [&](size_t i) { return i < args.size() ? args[i] : 0; };
  switch (code) {
    case INGOT_RUN_NO_MEMORY: return limit_exceeded("{} got no memory", s.algorithm);
    case INGOT_RUN_INDEX: return invalid("index {} out of range [0, {})", arg(0), arg(1));
    case INGOT_RUN_DIM:
    case INGOT_RUN_INPUT_DIM: return invalid("{} got extent {}, expected {}", s.algorithm, arg(0), arg(1));
    case INGOT_RUN_VALUE: return invalid("{} got value {}, which is out of range", s.algorithm, arg(0));
    case INGOT_RUN_CHECK:
      return invalid("{}", s.message.empty() ? s.algorithm + " got inputs that it cannot take" : s.message);
    case INGOT_RUN_TOO_LARGE: return limit_exceeded("{} needs a size that overflows", s.algorithm);
    case INGOT_RUN_LIMIT: return limit_exceeded("{} exceeds its limit", s.algorithm);
    default: return invalid("{} failed with code {}", s.algorithm, code);
  }
}

}  // namespace

Result<std::vector<HostValue>> run_call(const k::Stage& s, const std::vector<HostValue>& operands,
                                        const std::vector<Type>& types, Bindings& symbols, Budget& budget) {
  const ingot_algorithm_fn run = find_algorithm(s.algorithm);
  if (!run) return unsupported("no algorithm '{}'", s.algorithm);
  Session session;
  ingot_context context{};
  context.abi_version = INGOT_ABI_VERSION;
  context.size_bytes = sizeof(ingot_context);
  context.runtime = &session;
  context.parallel_for = parallel_for;
  context.allocate = allocate;
  context.release = release;
  context.report = report;

  Marshal marshal;
  std::vector<ingot_tensor_view> in, out;
  for (const HostValue& v : operands) in.push_back(marshal.view(v));

  // An extent that this call decides: it names one of the stage's symbols.
  auto decided = [&](const Dim& d) {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    for (const Symbol& symbol : s.symbols)
      if (used.count(symbol->id)) return true;
    return false;
  };
  for (const Type& type : types) {
    ingot_tensor_view v{nullptr, nullptr, 0, INGOT_OBJECT};
    if (type.kind == Type::Kind::None) v.dtype = 0;
    if (type.is_tensor()) {
      if (type.tensor.rank() > INGOT_MAX_RANK)
        return limit_exceeded("a result has rank {}, expected at most {}", type.tensor.rank(), INGOT_MAX_RANK);
      auto& shape = marshal.shapes.emplace_back(INGOT_MAX_RANK, 0);
      v.shape = shape.data();
      v.rank = type.tensor.rank();
      v.dtype = dtype_code(type.tensor.dtype);
      bool known = true;
      std::vector<int64_t> dims;
      for (size_t i = 0; i < type.tensor.dims.size(); ++i) {
        const auto n = decided(type.tensor.dims[i]) ? std::nullopt : ingot::evaluate(type.tensor.dims[i], symbols);
        known &= n.has_value();
        dims.push_back(shape[i] = n.value_or(-1));
      }
      if (known) {
        int64_t n = 1;
        for (int64_t d : dims) {
          if (d < 0) return invalid("got a negative extent {}", d);
          if (d > 0 && n > kDimMax / 64 / d) return limit_exceeded("a result is too large");
          n *= d;
        }
        const int64_t bytes = type.tensor.dtype == DType::String ? n * static_cast<int64_t>(sizeof(ingot_string))
                                                                 : storage_bytes(type.tensor.dtype, n);
        v.data = allocate(&context, bytes);
        if (!v.data) return limit_exceeded("got no memory for {} bytes", bytes);
        std::memset(v.data, 0, static_cast<size_t>(bytes));
      }
    }
    out.push_back(v);
  }

  std::vector<ingot_string> strings;
  for (const std::string& t : s.strings) strings.push_back({t.data(), static_cast<int64_t>(t.size())});
  std::vector<int64_t> decided_symbols(s.symbols.size(), 0);
  ingot_call call{};
  call.context = &context;
  call.operands = in.data();
  call.results = out.data();
  call.ints = s.ints.data();
  call.floats = s.floats.data();
  call.strings = strings.data();
  call.symbols = decided_symbols.data();
  call.operand_count = static_cast<int32_t>(in.size());
  call.result_count = static_cast<int32_t>(out.size());
  call.int_count = static_cast<int32_t>(s.ints.size());
  call.float_count = static_cast<int32_t>(s.floats.size());
  call.string_count = static_cast<int32_t>(strings.size());
  call.symbol_count = static_cast<int32_t>(s.symbols.size());
  call.node = s.node;
  if (const int32_t code = run(&call); code != INGOT_RUN_OK) return failure(s, code, session.report);

  for (size_t i = 0; i < s.symbols.size(); ++i) {
    const Symbol& symbol = s.symbols[i];
    if (decided_symbols[i] < symbol->lo || decided_symbols[i] > symbol->hi)
      return invalid("{} decided an extent of {}, expected one in [{}, {}]", s.algorithm, decided_symbols[i],
                     symbol->lo, symbol->hi);
    symbols[symbol->id] = decided_symbols[i];
  }
  std::vector<HostValue> results;
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i].kind == Type::Kind::None) {
      results.emplace_back();
      continue;
    }
    if (types[i].is_tensor())
      for (int d = 0; d < types[i].tensor.rank(); ++d) {
        const auto n = ingot::evaluate(types[i].tensor.dims[static_cast<size_t>(d)], symbols);
        if (n && *n != out[i].shape[d])
          return invalid("{} gave dimension {} of result {} the extent {}, expected {}", s.algorithm, d, i,
                         out[i].shape[d], *n);
      }
    results.push_back(TRY(value_back(out[i], types[i], budget, 0)));
  }
  return results;
}

}  // namespace ingot::eval
