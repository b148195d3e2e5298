#include "passes/schedule/host.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "passes/kernels/passes.h"
#include "passes/memory/plan.h"
#include "passes/schedule/contraction.h"
#include "passes/schedule/narrow.h"
#include "passes/schedule/product.h"
#include "passes/schedule/special.h"
#include "passes/schedule/winograd.h"
#include "runtime/abi.h"

namespace ingot {

namespace {

inline constexpr int64_t kSerialRowsCost =
    400000;  // scalar operations; a chain of stages with fewer may be one work item
inline constexpr int64_t kLeastRelaid = 64;        // elements; smaller constants are gathered
inline constexpr int64_t kWeightAlignment = 64;     // bytes

class Host {
 public:
  Host(k::Program p, const TargetFacts& facts, const ScheduleOptions& options)
      : p_(std::move(p)), facts_(facts), options_(options) {}

  Result<l::Program> run() {
    own_outputs();
    model_values_ = static_cast<int>(p_.values.size());
    storages_ = choose_storage(p_);
    TRY(check_sizes());
    choose_winograd();
    out_.name = p_.name;
    out_.origins = p_.origins;
    for (size_t k = 0; k < p_.inputs.size(); ++k) {
      const k::Value& v = value(p_.inputs[k]);
      if (!v.type.is_tensor()) {
        out_.inputs.push_back({v.name, DType::Invalid, {}});
        l::HostBuffer object{l::HostBuffer::Kind::Input, v.name, DType::Invalid};
        object.index = static_cast<int>(k);
        bind(v.id, std::move(object));
        continue;
      }
      TensorType port = v.interface.value_or(v.tensor());
      out_.inputs.push_back({v.name, port.dtype, port.dims});
      l::HostBuffer b{l::HostBuffer::Kind::Input, v.name, storage_dtype(v.tensor().dtype)};
      b.index = static_cast<int>(k);
      b.dims = v.tensor().dims;
      bind(v.id, std::move(b));
      for (const Dim& d : v.tensor().dims) collect_symbols(d, entry_symbols_);
    }
    for (size_t k = 0; k < p_.body.outputs.size(); ++k) {
      const k::Value& v = value(p_.body.outputs[k]);
      if (!v.type.is_tensor()) {
        out_.outputs.push_back({v.name, DType::Invalid, {}});
        continue;
      }
      TensorType port = v.interface.value_or(v.tensor());
      out_.outputs.push_back({v.name, port.dtype, port.dims});
      outputs_.emplace(v.id, static_cast<int>(k));
    }
    host_ = &out_.host;
    TRY(block(p_.body));
    give_objects();
    // Tables of strings are made before anything else: first uses may lie in branches and loops.
    out_.host.insert(out_.host.begin(), std::make_move_iterator(tables_.begin()),
                     std::make_move_iterator(tables_.end()));
    place_in_arena();
    fill_weights();
    return std::move(out_);
  }

 private:
  const k::Value& value(int id) const { return p_.values[static_cast<size_t>(id)]; }
  const Storage& storage(int id) const { return storages_[static_cast<size_t>(id)]; }

  // Every output is made by a map or reduction of the outermost block, and is nothing else.
  void own_outputs() {
    std::set<int> taken(p_.inputs.begin(), p_.inputs.end());
    std::set<int> computed;
    for (const k::Stage& s : p_.body.stages) {
      if (s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce)
        computed.insert(s.results.begin(), s.results.end());
    }
    for (int& id : p_.body.outputs) {
      if (!value(id).type.is_tensor()) continue;
      if (computed.count(id) && taken.insert(id).second) continue;
      k::Value own = value(id);
      own.constant = nullptr;
      k::Stage copy;
      int to = p_.add(std::move(own));
      copy_into(copy, id, to);
      p_.body.stages.push_back(std::move(copy));
      id = to;
    }
  }

  void copy_into(k::Stage& copy, int from, int to) {
    std::vector<Expr> index;
    for (const Dim& d : value(from).tensor().dims) {
      copy.iters.push_back({Dim::iterator("i", d), d});
      index.push_back(ex::index(copy.iters.back().symbol));
    }
    copy.body = {ex::read(from, value(from).tensor().dtype, index)};
    copy.results = {to};
  }

  void give_objects() {
    for (size_t k = 0; k < p_.body.outputs.size(); ++k) {
      const int id = p_.body.outputs[k];
      if (value(id).type.is_tensor()) continue;
      l::HostBuffer out{l::HostBuffer::Kind::Output, value(id).name, DType::Invalid};
      out.index = static_cast<int>(k);
      const int from = buffer(id);
      out_.buffers.push_back(std::move(out));
      assign(from, static_cast<int>(out_.buffers.size()) - 1);
    }
  }

  // A product of long extents may outgrow what a Dim can say (ir/dim.h); then it holds a symbol that no extent has.
  Result<void> check_sizes() const {
    std::map<int64_t, Symbol> known;
    for (const k::Value& v : p_.values) {
      if (!v.type.is_tensor()) continue;
      for (const Dim& d : v.tensor().dims) collect_symbols(d, known);
    }
    auto all_known = [&](const Dim& d) {
      std::map<int64_t, Symbol> used;
      collect_symbols(d, used);
      return std::all_of(used.begin(), used.end(), [&](auto& entry) { return known.count(entry.first) > 0; });
    };
    auto too_long = [](const std::string& what) {
      return unsupported(
          "got a value '{}' whose size is too long an expression of the model's extents, expected a shorter one", what);
    };
    for (const k::Value& v : p_.values) {
      if (!v.type.is_tensor()) continue;
      const Storage& s = storage(v.id);
      if (!all_known(s.elements) || !std::all_of(s.strides.begin(), s.strides.end(), all_known))
        return too_long(v.name);
    }
    std::function<Result<void>(const k::Block&)> stages = [&](const k::Block& b) -> Result<void> {
      for (const k::Stage& s : b.stages) {
        for (const k::Block& inner : s.blocks) TRY(stages(inner));
        for (const auto* iters : {&s.iters, &s.reds}) {
          for (const k::Iter& it : *iters) collect_symbols(it.extent, known);
        }
        if (!s.results.empty() && (!all_known(elements(s.iters)) || !all_known(elements(s.reds))))
          return too_long(value(s.results[0]).name);
      }
      return {};
    };
    TRY(stages(p_.body));
    return {};
  }

  // The convolutions that gain most per byte of additional weights, as long as these stay within the limit.
  void choose_winograd() {
    if (!options_.winograd) return;
    struct Candidate {
      int result;
      std::vector<WinogradChoice> choices;
    };
    std::vector<Candidate> candidates;
    for_each_stage(p_.body, [&](const k::Stage& s) {
      auto choices = winograd_choices(s, p_, storages_, facts_);
      if (!choices.empty()) candidates.push_back({s.results[0], std::move(choices)});
    });
    auto worth = [](const Candidate& c) { return c.choices[0].saved / static_cast<double>(c.choices[0].extra_bytes); };
    std::stable_sort(candidates.begin(), candidates.end(),
                     [&](const Candidate& a, const Candidate& b) { return worth(a) > worth(b); });
    double weights = 0;
    for (const k::Value& v : p_.values) weights += v.constant ? static_cast<double>(v.constant->size_bytes) : 0;
    double left = weights * options_.extra_weights + static_cast<double>(options_.extra_bytes);
    for (const Candidate& c : candidates) {
      for (const WinogradChoice& choice : c.choices) {
        if (static_cast<double>(choice.extra_bytes) > left) continue;
        left -= static_cast<double>(choice.extra_bytes);
        winograd_.emplace(c.result, choice.m);
        break;
      }
    }
  }

  // --- buffers ----------------------------------------------------------------------------------------------------

  int bind(int id, l::HostBuffer b) {
    int buffer = static_cast<int>(out_.buffers.size());
    out_.buffers.push_back(std::move(b));
    buffers_[id] = buffer;
    return buffer;
  }

  Dim bytes(int id) const {
    const Storage& s = storage(id);
    return s.elements * std::max(bits(s.dtype) / 8, s.dtype == DType::String ? 16 : 1);
  }

  bool known_at_entry(const Dim& d) const {
    std::map<int64_t, Symbol> used;
    collect_symbols(d, used);
    for (auto& [id, s] : used) {
      if (!entry_symbols_.count(id)) return false;
    }
    return true;
  }

  // The host buffer of a value; made on first use. `decided`: its size is known only after an algorithm ran, even where its
  // extents multiply to a constant (0).
  int buffer(int id, bool decided = false) {
    if (auto it = buffers_.find(id); it != buffers_.end()) return it->second;
    const k::Value& v = value(id);
    if (!v.type.is_tensor()) return bind(id, {l::HostBuffer::Kind::Dynamic, v.name, DType::Invalid});
    const Storage& s = storage(id);
    l::HostBuffer b{l::HostBuffer::Kind::Arena, v.name, s.dtype};
    if (v.constant && s.dtype == DType::String) return string_table(id);
    if (v.constant) {
      b.kind = l::HostBuffer::Kind::Constant;
      b.size = v.constant->size_bytes;
      b.offset = add_weights(v.constant);
      // What a schedule packed has one reader, which is built.
      if (id >= model_values_) p_.values[static_cast<size_t>(id)].constant = nullptr;
      return bind(id, std::move(b));
    }
    int64_t element = bits(s.dtype) / 8;
    b.size = bytes(id);
    if (auto it = outputs_.find(id); it != outputs_.end()) {
      b.kind = l::HostBuffer::Kind::Output;
      b.index = it->second;
      const TensorType port = v.interface.value_or(v.tensor());
      b.dtype = port.dtype;
      b.dims = port.dims;
    } else if (!decided && known_at_entry(b.size)) {
      b.offset = s.origin * element;  // the plan adds where the allocation lies
      b.size = b.size - b.offset;
      arena_.push_back(id);
    } else {
      b.kind = l::HostBuffer::Kind::Dynamic;
      b.offset = s.origin * element;
    }
    return bind(id, std::move(b));
  }

  // Strings of the model: the weights hold where each one begins, where the last one ends, and the characters; the entries are
  // made at the start of a run.
  int string_table(int id) {
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

  // Contents are copied into the section at the end, one after the other, each released at once: the weights of a large
  // model lie in memory about once. What lies in the known weights at the same place is released now.
  Dim add_weights(TensorRef data) {
    std::string_view bytes(reinterpret_cast<const char*>(data->bytes), static_cast<size_t>(data->size_bytes));
    int64_t at = (weight_bytes_ + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
    if (bytes.size() <= 4096) {  // small constants repeat often
      auto [it, fresh] = small_weights_.try_emplace(std::string(bytes), at);
      if (!fresh) return Dim(it->second);
    }
    weight_bytes_ = at + data->size_bytes;
    const std::span<const uint8_t> known = options_.known_weights;
    const bool same = static_cast<size_t>(weight_bytes_) <= known.size() &&
                      std::equal(bytes.begin(), bytes.end(), reinterpret_cast<const char*>(known.data()) + at);
    weights_.push_back({at, data->size_bytes, same ? nullptr : std::move(data)});
    return Dim(at);
  }

  void fill_weights() {
    for (k::Value& v : p_.values) v.constant = nullptr;
    const std::span<const uint8_t> known = options_.known_weights;
    const bool same = weight_bytes_ > 0 && static_cast<size_t>(weight_bytes_) == known.size() &&
                      std::all_of(weights_.begin(), weights_.end(), [](const Piece& w) { return !w.data; });
    if (same) {
      out_.shared_weights = weight_bytes_;
      return;
    }
    out_.weights.reserve(static_cast<size_t>(weight_bytes_));
    for (Piece& w : weights_) {
      out_.weights.resize(static_cast<size_t>(w.at));
      const uint8_t* from = w.data ? reinterpret_cast<const uint8_t*>(w.data->bytes) : known.data() + w.at;
      out_.weights.insert(out_.weights.end(), from, from + w.size);
      w.data = nullptr;
    }
  }

  struct Life {
    int first, last;
  };
  void touch(int id) {
    if (!value(id).type.is_tensor()) return;
    auto [it, fresh] = lives_.try_emplace(id, Life{position_, position_});
    it->second.last = std::max(it->second.last, position_);
  }

  void place_in_arena() {
    std::vector<PlannedBuffer> plan;
    for (int id : arena_) {
      Life life = lives_.at(id);
      plan.push_back({bytes(id), life.first, life.last, {}});
    }
    out_.arena_bytes = plan_memory(plan);
    for (size_t k = 0; k < arena_.size(); ++k)
      out_.buffers[static_cast<size_t>(buffers_.at(arena_[k]))].offset += plan[k].offset;
  }

  // --- statements ---------------------------------------------------------------------------------------------------

  l::Stmt& emit(l::StmtKind kind) {
    host_->push_back({kind});
    host_->back().node = node_;
    return host_->back();
  }

  void place(int id) {
    if (!value(id).type.is_tensor()) return;
    int b = buffer(id);
    touch(id);
    emit(l::StmtKind::Place).id = b;
  }

  void emit_launch(Launch l) {
    ++position_;
    for (int id : l.values) touch(id);
    l::Stmt s{l::StmtKind::Launch};
    s.node = node_;
    s.id = static_cast<int64_t>(out_.kernels.size());
    for (int id : l.values) s.buffers.push_back(buffer(id));
    s.scalars = std::move(l.scalars);
    s.end = l.items;
    s.grain = l.grain;
    l.kernel.node = node_;
    // A constant's parameter says so even when it was packed after the kernel was begun.
    out_.kernels.push_back(std::move(l.kernel));
    host_->push_back(std::move(s));
  }

  void define(int id) {
    if (outputs_.count(id) || !buffers_.count(id)) place(id);
    if (storage(id).has_border() && bordered_.insert(id).second) fill_border(id);
  }

  void fill_border(int id) {
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
    auto launch = [&](Launch l) {
      l.kernel.name = "border_" + std::string(name(s.dtype));
      l.kernel.schedule = "border";
      emit_launch(std::move(l));
    };
    // A device is slow at single work items.
    if (facts_.device == TargetFacts::Device::Cpu) return launch(schedule_rows(slabs, 0, p_, storages_, facts_));
    for (const Nest& n : slabs) launch(schedule_single(n, p_, storages_, facts_));
  }

  // --- stages -------------------------------------------------------------------------------------------------------

  Result<void> block(const k::Block& b) {
    Uses uses = count_uses(p_);
    std::map<int, size_t> defined;  // value -> stage of this block
    for (size_t k = 0; k < b.stages.size(); ++k) {
      for (int id : b.stages[k].results) defined[id] = k;
    }
    // Contractions wait for the map that follows them.
    std::vector<int> epilogue_of(b.stages.size(), -1), waits_for(b.stages.size(), -1);
    for (size_t k = 0; k < b.stages.size(); ++k) {
      const k::Stage& s = b.stages[k];
      if (s.kind != k::StageKind::Map) continue;
      for (int id : k::reads(s)) {
        auto it = defined.find(id);
        if (it == defined.end()) continue;
        const k::Stage& r = b.stages[it->second];
        size_t v = static_cast<size_t>(id);
        if (!is_contraction(r) || uses.stages[v] != 1 || uses.escapes[v] || !can_be_epilogue(s, r)) continue;
        if (epilogue_of[k] >= 0 && static_cast<size_t>(epilogue_of[k]) > it->second) continue;  // the later one
        if (epilogue_of[k] >= 0) waits_for[static_cast<size_t>(epilogue_of[k])] = -1;
        epilogue_of[k] = static_cast<int>(it->second);
        waits_for[it->second] = static_cast<int>(k);
      }
    }
    for (size_t k = 0; k < b.stages.size(); ++k) {
      const k::Stage& s = b.stages[k];
      node_ = s.node;
      if (waits_for[k] >= 0) continue;
      bool plain = s.kind == k::StageKind::Map || s.kind == k::StageKind::Reduce;
      if (plain && (epilogue_of[k] >= 0 || is_contraction(s))) {
        const k::Stage& reduce = epilogue_of[k] >= 0 ? b.stages[static_cast<size_t>(epilogue_of[k])] : s;
        const k::Stage* after = epilogue_of[k] >= 0 ? &s : nullptr;
        std::optional<std::vector<Launch>> launches;
        if (auto it = winograd_.find(reduce.results[0]); it != winograd_.end()) {
          launches = TRY(schedule_winograd(reduce, after, it->second, p_, storages_, facts_));
        }
        if (!launches) launches = TRY(schedule_narrow(reduce, after, p_, storages_, facts_));
        if (!launches) launches = TRY(schedule_contraction(reduce, after, p_, storages_, facts_));
        if (launches) {
          for (int id : s.results) define(id);
          for (Launch& l : *launches) {
            for (int id : l.values) {
              if (!value(id).constant && !buffers_.count(id)) define(id);
            }
            emit_launch(std::move(l));
          }
          continue;
        }
        if (after) {
          TRY(rows({&reduce, &s}));
          continue;
        }
      }
      if (plain) {
        // Stages that hand each other rows run as one kernel.
        std::vector<const k::Stage*> group = {&s};
        size_t next = k + 1;
        while (next < b.stages.size() && waits_for[next] < 0 && epilogue_of[next] < 0 &&
               !is_contraction(b.stages[next])) {
          group.push_back(&b.stages[next]);
          if (shared_prefix(group) == 0) {
            group.pop_back();
            break;
          }
          ++next;
        }
        TRY(rows(group));
        k = next - 1;
        continue;
      }
      TRY(special(s));
    }
    return {};
  }

  // The number of outermost iterators that all stages share, every stage reading the others' results only in its own row;
  // 0 where they are better apart.
  size_t shared_prefix(const std::vector<const k::Stage*>& group) const {
    if (facts_.device == TargetFacts::Device::OpenCl) return 0;
    std::vector<std::vector<size_t>> order;
    size_t prefix = SIZE_MAX;
    for (const k::Stage* s : group) {
      if (s->kind != k::StageKind::Map && s->kind != k::StageKind::Reduce) return 0;
      std::vector<size_t> o;
      for (int d : storage(s->results[0]).order) o.push_back(static_cast<size_t>(d));
      order.push_back(o);
      prefix = std::min(prefix, most_shared(make_nest(*s, storages_)));
    }
    const k::Stage& last = *group.back();
    bool related = false;
    for (size_t g = 0; g < group.size(); ++g) {
      const k::Stage& s = *group[g];
      size_t same = 0;
      while (same < prefix && known_equal(s.iters[order[g][same]].extent, last.iters[order.back()[same]].extent))
        ++same;
      prefix = same;
      if (g + 1 == group.size()) break;
      for (int id : s.results) {
        if (storage(id).has_border()) return 0;
        for (const Expr& e : last.body) {
          visit(e, [&](const ExprNode& n) {
            if (n.op != ScalarOp::Read || n.id != id) return;
            related = true;
            size_t k = 0;
            while (k < prefix) {
              auto d = as_dim(n.args[order[g][k]]);
              if (!d || *d != Dim(last.iters[order.back()[k]].symbol)) {
                bool both_one = s.iters[order[g][k]].extent.is(1) && d && d->is(0);
                if (!both_one) break;
              }
              ++k;
            }
            prefix = k;
          });
        }
      }
    }
    if (!related) return 0;
    Dim items = 1, work = 1;
    for (size_t k = 0; k < last.iters.size(); ++k) work *= last.iters[k].extent;
    for (size_t k = 0; k < prefix; ++k) items *= last.iters[order.back()[k]].extent;
    if (items.constant().value_or(64) <= 1 && work.constant().value_or(kSerialRowsCost) >= kSerialRowsCost) return 0;
    return prefix;
  }

  // Constants that a stage reads along its vectors, but not one element after the other (the filters of a depthwise
  // convolution), are put so when compiling.
  Result<k::Stage> with_contiguous_constants(const k::Stage& stage) {
    k::Stage s = stage;
    const std::vector<int>& order = storage(s.results[0]).order;
    if (facts_.vector_bytes == 0 || order.empty()) return s;
    const Symbol lane = s.iters[static_cast<size_t>(order.back())].symbol;
    Result<void> ok;
    for (Expr& body : s.body) {
      body = rewrite(body, [&](const ExprNode& n) {
        Expr same;
        if (n.op != ScalarOp::Read || n.checked || n.args.size() < 2) return same;
        const TensorRef data = value(static_cast<int>(n.id)).constant;
        if (!data || data->elements() < kLeastRelaid || data->dtype == DType::String) return same;
        size_t along = n.args.size();
        for (size_t k = 0; k < n.args.size(); ++k) {
          auto d = as_dim(n.args[k]);
          if (!d) return same;
          if (!depends_on(*d, lane)) continue;
          if (along < n.args.size() || !affine_in(*d, lane) || !affine_in(*d, lane)->coefficient.is(1)) return same;
          along = k;
        }
        bool contiguous = true;
        for (size_t k = along + 1; k < n.args.size(); ++k) contiguous &= data->dims[k] == 1;
        if (along == n.args.size() || contiguous) return same;
        auto relaid = this->relaid(static_cast<int>(n.id), along);
        if (!relaid) {
          ok = std::move(relaid.error());
          return same;
        }
        ExprNode m = n;
        m.id = *relaid;
        std::rotate(m.args.begin() + static_cast<long>(along), m.args.begin() + static_cast<long>(along) + 1,
                    m.args.end());
        return Expr(std::make_shared<const ExprNode>(std::move(m)));
      });
    }
    TRY(ok);
    return s;
  }

  // The constant with dim `along` made the last one.
  Result<int> relaid(int id, size_t along) {
    auto [it, fresh] = relaid_.try_emplace({id, along}, -1);
    if (!fresh) return it->second;
    std::vector<Dim> dims = value(id).tensor().dims;
    std::rotate(dims.begin() + static_cast<long>(along), dims.begin() + static_cast<long>(along) + 1, dims.end());
    k::Value v;
    v.name = value(id).name;
    v.type = Type::of(TensorType{value(id).tensor().dtype, dims});
    const int to = p_.add(std::move(v));
    storages_.resize(p_.values.size());
    storages_[static_cast<size_t>(to)] = row_major(value(to).tensor());
    k::Stage copy;
    std::vector<Expr> index;
    for (const Dim& d : dims) {
      copy.iters.push_back({Dim::iterator("i", d), d});
      index.push_back(ex::index(copy.iters.back().symbol));
    }
    std::rotate(index.begin() + static_cast<long>(along), index.end() - 1, index.end());
    copy.body = {ex::read(id, value(id).tensor().dtype, index)};
    p_.values[static_cast<size_t>(to)].constant = TRY(evaluate_stage(copy, p_));
    it->second = to;
    return to;
  }

  Result<void> rows(const std::vector<const k::Stage*>& stages) {
    std::vector<k::Stage> own;
    for (const k::Stage* s : stages) {
      own.push_back(TRY(with_contiguous_constants(*s)));
      for (int id : s->results) define(id);
    }
    std::vector<const k::Stage*> group;
    for (const k::Stage& s : own) group.push_back(&s);
    size_t prefix = group.size() > 1 ? shared_prefix(group) : 0;
    if (group.size() > 1 && prefix > 0) {
      std::vector<Nest> nests;
      for (const k::Stage* s : group) nests.push_back(make_nest(*s, storages_));
      emit_launch(schedule_rows(nests, prefix, p_, storages_, facts_));
      return {};
    }
    for (const k::Stage* s : group) {
      node_ = s->node;
      for (const k::Stage& piece : split_domain(*s, p_))
        emit_launch(schedule_single(make_nest(piece, storages_), p_, storages_, facts_));
    }
    return {};
  }

  Result<void> special(const k::Stage& s) {
    switch (s.kind) {
      case k::StageKind::Map:
      case k::StageKind::Reduce: return {};
      case k::StageKind::Scan:
        for (int id : s.results) define(id);
        emit_launch(schedule_scan(s, p_, storages_, facts_));
        return {};
      case k::StageKind::Scatter: {
        for (int id : s.results) define(id);
        k::Stage copy;
        copy.node = s.node;
        copy_into(copy, s.operands[0], s.results[0]);
        emit_launch(schedule_single(make_nest(copy, storages_), p_, storages_, facts_));
        emit_launch(schedule_scatter(s, p_, storages_, facts_));
        return {};
      }
      case k::StageKind::Walk:
        for (int id : s.results) define(id);
        emit_launch(schedule_walk(s, p_, storages_, facts_));
        return {};
      case k::StageKind::Call: return call(s);
      case k::StageKind::Read: return read(s);
      case k::StageKind::Check: {
        l::Stmt& r = emit(l::StmtKind::Require);
        r.begin = s.condition_dim;
        r.code = INGOT_RUN_CHECK;
        r.args = {ex::index(Dim(static_cast<int64_t>(out_.messages.size())))};
        r.message = s.message;
        out_.messages.push_back(s.message);
        return {};
      }
      case k::StageKind::If: return branch(s);
      case k::StageKind::Loop: return loop(s);
    }
    return {};
  }

  l::Tensor tensor(int id, bool decided = false) {
    if (id < 0) return {};
    if (!value(id).type.is_tensor()) return {buffer(id), DType::Invalid, {}};
    return {buffer(id, decided), storage(id).dtype, value(id).tensor().dims};
  }

  Result<void> call(const k::Stage& s) {
    l::Stmt c{l::StmtKind::Call};
    c.node = s.node;
    c.name = s.algorithm;
    ++position_;
    for (int id : s.operands) {
      c.operands.push_back(tensor(id));
      if (id >= 0) touch(id);
    }
    for (int id : s.results) {
      bool decided = false;
      for (const Symbol& symbol : s.symbols) {
        for (const Dim& d : value(id).tensor().dims) decided |= depends_on(d, symbol);
      }
      c.results.push_back(tensor(id, decided));
      touch(id);
      if (!decided) place(id);
    }
    c.ints = s.ints;
    c.floats = s.floats;
    c.strings = s.strings;
    c.symbols = s.symbols;
    host_->push_back(std::move(c));
    return {};
  }

  Expr host_load(int id, const Dim& element) {
    ++position_;
    touch(id);
    ExprNode n{ScalarOp::Load, storage(id).dtype};
    n.id = buffer(id);
    n.dim = element;
    return Expr(std::make_shared<const ExprNode>(std::move(n)));
  }

  Expr as_i64(Expr e) {
    if (e.type() == DType::I64) return e;
    ExprNode n{ScalarOp::Cast, DType::I64};
    n.args = {std::move(e)};
    return Expr(std::make_shared<const ExprNode>(std::move(n)));
  }

  void let(const Symbol& symbol, Expr e) {
    l::Stmt& s = emit(l::StmtKind::Let);
    s.symbol = symbol;
    s.expr = std::move(e);
  }

  Result<void> read(const k::Stage& s) {
    for (size_t k = 0; k < s.symbols.size(); ++k) {
      const Symbol& symbol = s.symbols[k];
      let(symbol, as_i64(host_load(s.operands[0], Dim(s.elements[k]))));
      if (symbol->lo <= -kDimMax && symbol->hi >= kDimMax) continue;
      l::Stmt& r = emit(l::StmtKind::Require);
      // As text, the bounds are no facts yet: the comparison is made on a fresh symbol without them.
      Symbol raw = Dim::symbol(symbol->name, -kDimMax, kDimMax);
      r.kind = l::StmtKind::Let;
      r.symbol = raw;
      r.expr = host_->at(host_->size() - 2).expr;
      l::Stmt& check = emit(l::StmtKind::Require);
      check.begin = (Dim(1) - less(Dim(raw), symbol->lo)) * (Dim(1) - less(Dim(symbol->hi), Dim(raw)));
      check.code = INGOT_RUN_VALUE;
      check.args = {ex::index(Dim(raw))};
      check.message = fmt::format("expected a value in [{}, {}]", symbol->lo, symbol->hi);
    }
    return {};
  }

  int64_t declare(DType t, Expr init) {
    l::Stmt& s = emit(l::StmtKind::Declare);
    s.id = next_local_++;
    s.dtype = t;
    s.expr = std::move(init);
    return s.id;
  }
  void set(int64_t local, Expr e) {
    l::Stmt& s = emit(l::StmtKind::Set);
    s.id = local;
    s.dtype = e.type();
    s.expr = std::move(e);
  }

  void assign(int from, int to) {
    l::Stmt& s = emit(l::StmtKind::Assign);
    s.id = to;
    s.buffers = {from};
  }

  void copy(int from, int to, const Dim& shift = 0) {
    if (!value(from).type.is_tensor()) return assign(buffer(from), buffer(to));
    k::Stage s;
    s.node = node_;
    copy_into(s, from, to);
    Nest n;
    n.node = node_;
    std::vector<Dim> index;
    for (const k::Iter& it : s.iters) {
      n.iters.push_back(it);
      index.push_back(Dim(it.symbol));
    }
    n.body = {flatten_reads(s.body[0], s, storages_)};
    Dim offset = shift;
    const Storage& target = storage(to);
    size_t skip = target.strides.size() - index.size();  // a slice of a value with one more leading dim
    for (size_t k = 0; k < index.size(); ++k) offset += index[k] * target.strides[skip + k];
    n.results = {{to, offset}};
    emit_launch(schedule_single(std::move(n), p_, storages_, facts_));
  }

  // Runs f with statements going into `list`.
  Result<void> inside(std::vector<l::Stmt>& list, const std::function<Result<void>()>& f) {
    std::vector<l::Stmt>* saved = host_;
    host_ = &list;
    Result<void> r = f();
    host_ = saved;
    return r;
  }

  Result<void> branch(const k::Stage& s) {
    std::vector<int64_t> locals;
    for (size_t k = 0; k < s.symbols.size(); ++k) locals.push_back(declare(DType::I64, ex::index(0)));
    l::Stmt i{l::StmtKind::If};
    i.node = s.node;
    i.expr = host_load(s.operands[0], 0);
    for (int side = 0; side < 2; ++side) {
      const k::Block& b = s.blocks[static_cast<size_t>(side)];
      TRY(inside(side == 0 ? i.body : i.otherwise, [&]() -> Result<void> {
        TRY(block(b));
        node_ = s.node;
        for (size_t k = 0; k < s.symbols.size(); ++k) {
          set(locals[k], ex::index(b.symbols[k]));
          let(s.symbols[k], ex::index(b.symbols[k]));
        }
        for (size_t k = 0; k < s.results.size(); ++k) {
          place(s.results[k]);
          copy(b.outputs[k], s.results[k]);
        }
        return {};
      }));
    }
    host_->push_back(std::move(i));
    for (size_t k = 0; k < s.symbols.size(); ++k) let(s.symbols[k], KernelBuilder::local(locals[k], DType::I64, 1));
    return {};
  }

  // In an iteration: the first one decides the extents of these scanned results.
  Result<void> decide_late(const k::Stage& s, const std::vector<bool>& late, const std::vector<int>& results,
                           const std::vector<int64_t>& extents, const Symbol& iteration) {
    const k::Block& b = s.blocks[0];
    l::Stmt first{l::StmtKind::If};
    first.node = s.node;
    first.expr = ex::binary(ScalarOp::Eq, ex::index(Dim(iteration)), ex::index(0));
    TRY(inside(first.body, [&]() -> Result<void> {
      for (size_t c = 0; c < late.size(); ++c) {
        if (!late[c]) continue;
        set(extents[c], ex::index(b.symbols[c]));
        let(s.symbols[c], ex::index(b.symbols[c]));
      }
      for (int id : results) place(id);
      return {};
    }));
    host_->push_back(std::move(first));
    for (size_t c = 0; c < late.size(); ++c) {
      if (!late[c]) continue;
      let(s.symbols[c], KernelBuilder::local(extents[c], DType::I64, 1));
      l::Stmt& same = emit(l::StmtKind::Require);
      same.begin = equal(Dim(s.symbols[c]), b.symbols[c]);
      same.code = INGOT_RUN_DIM;
      same.args = {ex::index(b.symbols[c]), ex::index(Dim(s.symbols[c]))};
    }
    return {};
  }

  Result<void> loop(const k::Stage& s) {
    const k::Block& b = s.blocks[0];
    size_t carried = s.operands.size() - 2, scanned = s.results.size() - carried;
    int begin = position_;
    // Trip count and condition.
    Symbol trip = Dim::symbol("trip", -kDimMax, kDimMax);
    let(trip, s.operands[0] >= 0 ? as_i64(host_load(s.operands[0], 0)) : ex::index(kDimMax));
    int64_t going = declare(DType::Bool, s.operands[1] >= 0 ? host_load(s.operands[1], 0) : ex::boolean(true));
    int64_t count = declare(DType::I64, ex::index(0));
    std::vector<int64_t> extents;
    for (size_t k = 0; k < s.carried_symbols.size(); ++k)
      extents.push_back(declare(DType::I64, ex::index(s.symbol_init[k])));
    auto let_carried = [&] {
      for (size_t k = 0; k < s.carried_symbols.size(); ++k)
        let(s.carried_symbols[k], KernelBuilder::local(extents[k], DType::I64, 1));
    };
    let_carried();
    for (int id : {b.params[0], b.params[1]}) place(id);
    for (size_t k = 0; k < carried; ++k) {
      place(b.params[k + 2]);
      copy(s.operands[k + 2], b.params[k + 2]);
    }
    // Scanned results have room for every iteration that the trip count allows.
    bool unknown_count = scanned > 0 && s.symbols.size() > s.carried_symbols.size();
    if (unknown_count) {
      if (s.operands[0] < 0) return unsupported("a Loop with scanned outputs has no trip count, expected one");
      let(s.symbols.back(), ex::index(max(Dim(trip), 0)));
    }
    // Those whose extents the first iteration decides are placed there; without any iteration they are empty.
    std::vector<bool> late(s.carried_symbols.size(), false);
    std::vector<int> late_results;
    for (size_t k = 0; k < scanned; ++k) {
      const int id = s.results[carried + k];
      bool decided = false;
      for (size_t c = 0; c < late.size(); ++c) {
        for (const Dim& d : value(id).tensor().dims) {
          if (depends_on(d, s.symbols[c])) late[c] = decided = true;
        }
      }
      if (decided) late_results.push_back(id);
    }
    auto let_late = [&] {
      for (size_t c = 0; c < late.size(); ++c)
        if (late[c]) let(s.symbols[c], KernelBuilder::local(extents[c], DType::I64, 1));
    };
    let_late();
    for (size_t k = 0; k < scanned; ++k) place(s.results[carried + k]);
    l::Stmt w{l::StmtKind::While};
    w.node = s.node;
    Expr more = ex::binary(ScalarOp::Lt, KernelBuilder::local(count, DType::I64, 1), ex::index(Dim(trip)));
    w.expr = ex::binary(ScalarOp::And, more, KernelBuilder::local(going, DType::Bool, 1));
    TRY(inside(w.body, [&]() -> Result<void> {
      Symbol iteration = Dim::symbol("iteration");
      let(iteration, KernelBuilder::local(count, DType::I64, 1));
      let_carried();
      auto put = [&](int id, Expr e) {
        ++position_;
        touch(id);
        l::Stmt& st = emit(l::StmtKind::Store);
        st.id = buffer(id);
        st.dtype = e.type();
        st.expr = std::move(e);
      };
      put(b.params[0], ex::index(Dim(iteration)));
      put(b.params[1], KernelBuilder::local(going, DType::Bool, 1));
      TRY(block(b));
      node_ = s.node;
      set(going, host_load(b.outputs[0], 0));
      if (!late_results.empty()) TRY(decide_late(s, late, late_results, extents, iteration));
      for (size_t k = 0; k < scanned; ++k) {
        int to = s.results[carried + k];
        copy(b.outputs[carried + 1 + k], to, Dim(iteration) * storage(to).strides[0]);
      }
      for (size_t k = 0; k < extents.size(); ++k) set(extents[k], ex::index(b.symbols[k]));
      // Outputs that are parameters of this iteration move through a copy, since their place is overwritten.
      std::vector<int> from(b.outputs.begin() + 1, b.outputs.begin() + 1 + static_cast<long>(carried));
      for (size_t k = 0; k < carried; ++k) {
        bool param = std::find(b.params.begin(), b.params.end(), from[k]) != b.params.end();
        if (!param || from[k] == b.params[k + 2]) continue;
        k::Value temporary = value(from[k]);
        temporary.name += ".next";
        int t = p_.add(std::move(temporary));
        storages_.resize(p_.values.size());
        if (value(t).type.is_tensor()) storages_[static_cast<size_t>(t)] = row_major(value(t).tensor());
        place(t);
        copy(from[k], t);
        from[k] = t;
      }
      let_carried();
      for (size_t k = 0; k < carried; ++k) {
        int to = b.params[k + 2];
        if (from[k] == to) continue;
        if (out_.buffers[static_cast<size_t>(buffer(to))].kind == l::HostBuffer::Kind::Dynamic) place(to);
        copy(from[k], to);
      }
      set(count, ex::index(Dim(iteration) + 1));
      return {};
    }));
    host_->push_back(std::move(w));
    ++position_;
    // What lives across iterations lives through the whole loop.
    for (auto& [id, life] : lives_) {
      bool param = std::find(b.params.begin(), b.params.end(), id) != b.params.end();
      bool outside = life.first <= begin && life.last > begin;
      if (param || outside) life.last = std::max(life.last, position_);
    }
    for (size_t k = 0; k < s.results.size(); ++k) {
      if (k >= carried) touch(s.results[k]);
    }
    for (size_t k = 0; k < s.carried_symbols.size(); ++k)
      let(s.symbols[k], KernelBuilder::local(extents[k], DType::I64, 1));
    if (unknown_count) let(s.symbols.back(), KernelBuilder::local(count, DType::I64, 1));
    let_carried();
    for (size_t k = 0; k < carried; ++k) {
      place(s.results[k]);
      copy(b.params[k + 2], s.results[k]);
    }
    return {};
  }

  k::Program p_;
  const TargetFacts& facts_;
  const ScheduleOptions options_;
  Storages storages_;
  std::map<std::pair<int, size_t>, int> relaid_;  // (constant, dim) -> the same with this dim last
  std::map<int, int64_t> winograd_;  // result of a convolution -> outputs per side of a tile
  l::Program out_;
  std::vector<l::Stmt>* host_ = nullptr;
  std::map<int, int> buffers_;  // value -> host buffer
  std::map<int, int> outputs_;  // value -> output
  std::map<int64_t, Symbol> entry_symbols_;
  std::vector<int> arena_;  // values
  std::map<int, Life> lives_;
  std::set<int> bordered_;
  std::vector<l::Stmt> tables_;  // make the constants of strings
  int model_values_ = 0;  // values from here on were made by schedules
  std::map<std::string, int64_t> small_weights_;
  struct Piece {
    int64_t at, size;
    TensorRef data;  // null: as in the known weights
  };
  std::vector<Piece> weights_;
  int64_t weight_bytes_ = 0;
  int position_ = 0;
  int node_ = -1;
  int64_t next_local_ = 0;
};

}  // namespace

Result<l::Program> schedule(k::Program program, const TargetFacts& facts, const ScheduleOptions& options) {
  return Host(std::move(program), facts, options).run();
}

}  // namespace ingot
