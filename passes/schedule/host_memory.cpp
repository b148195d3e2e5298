// Where values lie: in the arena, the weights, the caller's memory, or where only the run knows the size. See host_program.h.
#include <algorithm>
#include <cstring>

#include "passes/memory/plan.h"
#include "passes/schedule/host_program.h"
#include "passes/schedule/nest.h"

namespace ingot {

namespace {

inline constexpr int64_t kWeightAlignment = 64;  // bytes
inline constexpr int64_t kSmallBorder =
    32 << 10;  // elements of a border whose filling is not worth threads; one that only the run knows counts as small

// Of the length, and of bytes that are spread evenly: what has another hash has other contents.
uint64_t sample_hash(std::string_view bytes) {
  constexpr size_t kSamples = 1024;
  uint64_t hash = 0xcbf29ce484222325 ^ bytes.size();
  const size_t step = std::max<size_t>(bytes.size() / kSamples, 1);
  for (size_t k = 0; k < bytes.size(); k += step) hash = (hash ^ static_cast<uint8_t>(bytes[k])) * 0x100000001b3;
  return hash;
}

}  // namespace

int Host::bind(int id, l::HostBuffer b) {
  int buffer = static_cast<int>(out_.buffers.size());
  out_.buffers.push_back(std::move(b));
  buffers_[id] = buffer;
  return buffer;
}

Dim Host::bytes(int id) const {
  const Storage& s = storage(id);
  return s.elements * std::max(bits(s.dtype) / 8, s.dtype == DType::String ? 16 : 1);
}

bool Host::known_at_entry(const Dim& d) const {
  std::map<int64_t, Symbol> used;
  collect_symbols(d, used);
  for (auto& [id, s] : used) {
    if (!entry_symbols_.count(id)) return false;
  }
  return true;
}

// The host buffer of a value; made on first use. `decided`: its size is known only after an algorithm ran, even where its
// extents multiply to a constant (0).
int Host::buffer(int id, bool decided) {
  if (auto it = buffers_.find(id); it != buffers_.end()) return it->second;
  const k::Value& v = value(id);
  if (!v.type.is_tensor()) return bind(id, {l::HostBuffer::Kind::Dynamic, v.name, DType::Invalid});
  const Storage& s = storage(id);
  if (s.whole >= 0) {
    l::HostBuffer view{l::HostBuffer::Kind::View, v.name, s.dtype};
    view.index = buffer(s.whole);
    view.offset = s.start * (bits(s.dtype) / 8);
    Dim span = 1;
    for (size_t d = 0; d < s.dims.size(); ++d) span += (s.dims[d] - 1) * s.strides[d];
    view.size = span * (bits(s.dtype) / 8);
    return bind(id, std::move(view));
  }
  l::HostBuffer b{l::HostBuffer::Kind::Arena, v.name, s.dtype};
  if (v.constant && s.dtype == DType::String) return string_table(id);
  if (v.constant) {
    b.kind = l::HostBuffer::Kind::Constant;
    const TensorRef data = s.contents ? s.contents : v.constant;
    b.size = data->size_bytes;
    b.offset = add_weights(data);
    // What a schedule packed has one reader, which is built.
    if (id >= model_values_) p_.values[static_cast<size_t>(id)].constant = nullptr;
    return bind(id, std::move(b));
  }
  b.size = bytes(id);
  b.origin = s.origin * (bits(s.dtype) / 8);
  if (auto it = outputs_.find(id); it != outputs_.end()) {
    b.kind = l::HostBuffer::Kind::Output;
    b.index = it->second;
    const TensorType port = v.interface.value_or(v.tensor());
    b.dtype = port.dtype;
    b.dims = port.dims;
  } else if (!decided && known_at_entry(b.size)) {
    arena_.push_back(id);
  } else {
    b.kind = l::HostBuffer::Kind::Dynamic;
  }
  return bind(id, std::move(b));
}

// Strings of the model: the weights hold where each one begins, where the last one ends, and the characters; the entries are
// made at the start of a run.
int Host::string_table(int id) {
  const k::Value& v = value(id);
  std::vector<int64_t> begins = {0};
  std::string text;
  for (const std::string& s : v.constant->strings) {
    text += s;
    begins.push_back(static_cast<int64_t>(text.size()));
  }
  auto packed = TensorData::make(DType::U8, {static_cast<int64_t>(begins.size() * sizeof(int64_t) + text.size())});
  std::memcpy(packed->mutable_bytes(), begins.data(), begins.size() * sizeof(int64_t));
  if (!text.empty()) std::memcpy(packed->mutable_bytes() + begins.size() * sizeof(int64_t), text.data(), text.size());
  l::HostBuffer from{l::HostBuffer::Kind::Constant, v.name + ".text", DType::U8};
  from.offset = add_weights(packed);
  from.size = packed->size_bytes;
  const int source = static_cast<int>(out_.buffers.size());
  out_.buffers.push_back(std::move(from));
  l::HostBuffer b{l::HostBuffer::Kind::Dynamic, v.name, DType::String};
  b.size = bytes(id);
  const int table = bind(id, std::move(b));
  l::Stmt at{l::StmtKind::Place};
  at.id = table;
  tables_.push_back(std::move(at));
  l::Stmt c{l::StmtKind::Call};
  c.name = "string_table";
  c.operands = {{source, DType::U8, {Dim(packed->size_bytes)}}};
  c.results = {{table, DType::String, {Dim(static_cast<int64_t>(begins.size()) - 1)}}};
  tables_.push_back(std::move(c));
  return table;
}

void WeightsSection::add(const l::Program& p) {
  for (const l::HostBuffer& b : p.buffers) {
    if (b.kind != l::HostBuffer::Kind::Constant) continue;
    const int64_t at = b.offset.value() - p.shared_weights;  // in its own part
    if (at < 0 || b.size.value() == 0) continue;
    pieces.push_back(
        {b.offset.value(), std::span(p.weights).subspan(static_cast<size_t>(at), static_cast<size_t>(b.size.value()))});
  }
  size = p.shared_weights + static_cast<int64_t>(p.weights.size());
}

// Equal contents lie in the section once. They are copied at the end, one after the other, each released at once: the weights
// of a large model lie in memory about once.
Dim Host::add_weights(TensorRef data) {
  auto view = [](const uint8_t* bytes, int64_t size) {
    return std::string_view(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  };
  const std::string_view bytes = view(data->bytes, data->size_bytes);
  const uint64_t key = sample_hash(bytes);
  for (auto [it, end] = pieces_.equal_range(key); it != end; ++it) {
    const auto& [at, own] = it->second;
    const std::string_view there = own ? view(own->bytes, own->size_bytes) : known_.at(at);
    if (there == bytes) return Dim(at);
  }
  const int64_t at = (weight_bytes_ + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
  weight_bytes_ = at + data->size_bytes;
  weights_.push_back({at, data});
  pieces_.emplace(key, weights_.back());
  return Dim(at);
}

void Host::begin_weights() {
  if (!options_.weights) return;
  for (const WeightsSection::Piece& w : options_.weights->pieces) {
    const std::string_view bytes(reinterpret_cast<const char*>(w.bytes.data()), w.bytes.size());
    pieces_.emplace(sample_hash(bytes), Piece{w.at, nullptr});
    known_.emplace(w.at, bytes);
  }
  weight_bytes_ = out_.shared_weights = options_.weights->size;
}

void Host::fill_weights() {
  for (k::Value& v : p_.values) v.constant = nullptr;
  pieces_.clear();
  if (weights_.empty()) return;
  const int64_t begin = out_.shared_weights,
                whole = (weight_bytes_ + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
  out_.weights.reserve(static_cast<size_t>(whole - begin));
  for (Piece& w : weights_) {
    out_.weights.resize(static_cast<size_t>(w.at - begin));
    out_.weights.insert(out_.weights.end(), w.data->bytes, w.data->bytes + w.data->size_bytes);
    w.data = nullptr;
  }
  out_.weights.resize(static_cast<size_t>(whole - begin));  // another image may go on from here
}

void Host::touch(int id) {
  if (!value(id).type.is_tensor()) return;
  id = memory_of(storages_, id);
  auto [it, fresh] = lives_.try_emplace(id, Life{position_, position_});
  it->second.last = std::max(it->second.last, position_);
}

void Host::place_in_arena() {
  std::vector<PlannedBuffer> plan;
  for (int id : arena_) {
    Life life = lives_.at(id);
    plan.push_back({bytes(id) + Dim(2 * options_.canary_bytes), life.first, life.last, {}});
  }
  out_.arena_bytes = plan_memory(plan);
  if (out_.arena_bytes.is_constant()) out_.arena_lower_bound = memory_lower_bound(plan);
  for (size_t k = 0; k < arena_.size(); ++k) {
    const int b = buffers_.at(arena_[k]);
    out_.buffers[static_cast<size_t>(b)].offset = plan[k].offset + Dim(options_.canary_bytes);
    out_.arena_plan.push_back({b, plan[k].offset, plan[k].bytes, plan[k].first, plan[k].last});
  }
}

void Host::place(int id) {
  if (!value(id).type.is_tensor()) return;
  int b = buffer(id);
  touch(id);
  emit(l::StmtKind::Place).id = b;
}

void Host::define(int id) {
  if (chained_) return;
  const int whole = storage(id).whole;
  if (whole < 0 ? begun_.count(id) > 0 : !begun_.insert(whole).second) return;
  id = memory_of(storages_, id);
  if (outputs_.count(id) || !buffers_.count(id)) place(id);
  if (storage(id).has_border() && bordered_.insert(id).second) fill_border(id);
}

void Host::fill_border(int id) {
  const Storage& s = storage(id);
  std::vector<Nest> slabs;
  for (size_t slab = 0; slab < s.order.size(); ++slab) {
    size_t d = static_cast<size_t>(s.order[slab]);
    for (bool low : {true, false}) {
      int64_t width = low ? s.before[d] : s.after[d];
      if (width == 0) continue;
      Nest n;
      n.node = node_;
      Dim offset = 0;
      for (size_t k = 0; k < s.order.size(); ++k) {
        size_t e = static_cast<size_t>(s.order[k]);
        Dim extent = k == slab ? Dim(width) : k < slab ? s.dims[e] : s.dims[e] + s.before[e] + s.after[e];
        k::Iter it{Dim::iterator("b", extent), extent};
        Dim shift = k == slab ? (low ? Dim(-width) : s.dims[e]) : k < slab ? Dim(0) : Dim(-s.before[e]);
        offset += (Dim(it.symbol) + shift) * s.strides[e];
        n.iters.push_back(it);
      }
      n.body = {s.fill};
      n.results = {{id, offset}};
      slabs.push_back(std::move(n));
    }
  }
  auto launch = [&](Launch l, const Dim& elements) {
    l.kernel.name = "border_" + std::string(name(s.dtype));
    l.kernel.schedule = "border";
    l.kernel.flops = 0;
    l.kernel.bytes = elements * (bits(s.dtype) / 8);
    emit_launch(std::move(l));
  };
  // A small border is one kernel of one work item; a device is slow at those.
  Dim filled = 0;
  for (const Nest& n : slabs) filled += elements(n.iters);
  const bool small = filled.constant().value_or(0) <= kSmallBorder;
  if (facts_.device == TargetFacts::Device::Cpu && small)
    return launch(schedule_rows(slabs, 0, p_, storages_, facts_), filled);
  for (const Nest& n : slabs) launch(schedule_single(n, p_, storages_, facts_), elements(n.iters));
}

}  // namespace ingot
