// sum(r) ((f32(a) - za)*sa) * ((f32(b) - zb)*sb)  ->  f32(sum(r) i32(a')*i32(b') + c) * (sa*sb)
//
// where a' is u8, b' an i8 constant, and c what the zero points add up to; the same for sums that are integer already
// (QLinearConv, MatMulInteger). A quantised model says the left-hand side: DequantizeLinear before every operator, or a
// zero point under every product. Taken at its word it computes in f32, on operands of four times the size. The right-hand
// side is one plain sum of products of bytes, which machines do by fours (SCHEDULES: 4x the f32 rate), and it is exact.
//
//   sum (a - za)(b - zb) = sum a*b - za * sum b - zb * sum a + K*za*zb
//
// The sums of b are constants. b is stored with its zero point taken off where it still fits into i8, as it does in nearly
// every model, so that the last two terms are gone; otherwise the sum of a is a stage of its own. Bytes of a are unsigned:
// a signed value is stored with 128 added (the machine's product wants one operand of each kind). Where a padded access
// gave 0.0, it gives the zero point. Only constant b: two operands that only the run knows gain nothing.
#include <algorithm>
#include <functional>

#include "passes/kernels/passes.h"

namespace ingot {

namespace {

using k::Combiner;

inline constexpr int64_t kMaxProduct = 255 * 255;  // of two differences of bytes
inline constexpr int kMaxAccesses = 16;  // maps between a dequantisation and the sum that are seen through
inline constexpr int64_t kMaxFoldedBytes = 256 << 20;  // of a constant operand; larger ones stay as they are

// What an operand of a product is: (i32(byte) - zero) * scale.
struct Operand {
  Expr byte;  // a read of u8 or i8
  Expr zero;  // i32; null: 0
  Expr scale;  // f32; null: the operand is an integer
};

bool is_byte(DType t) { return t == DType::U8 || t == DType::I8; }

bool depends(const Expr& e, const std::vector<k::Iter>& iters) {
  bool found = false;
  if (!e) return false;
  visit(e, [&](const ExprNode& n) {
    for (const k::Iter& it : iters) found |= n.op == ScalarOp::Index && depends_on(n.dim, it.symbol);
  });
  return found;
}

class IntegerSums {
 public:
  explicit IntegerSums(k::Program& p) : p_(p) {}

  Result<void> run() {
    TRY(block(p_.body));
    drop_folded(p_.body);
    if (!unsigned_.empty()) use_unsigned();
    return {};
  }

 private:
  TensorRef constant(int64_t id) const { return p_.values[static_cast<size_t>(id)].constant; }

  Result<void> block(k::Block& b) {
    std::vector<k::Stage> stages;
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) TRY(block(inner));
      if (!TRY(rewritten(s, stages))) stages.push_back(std::move(s));
      const k::Stage& last = stages.back();
      if (last.kind == k::StageKind::Map && last.results.size() == 1) maps_.insert_or_assign(last.results[0], last);
    }
    b.stages = std::move(stages);
    return {};
  }

  // --- what is there --------------------------------------------------------------------------------------------------

  // The body of the map that made what is read, at the indices of the read; null where it cannot be said.
  Expr definition(const ExprNode& read) const {
    auto it = maps_.find(static_cast<int>(read.id));
    if (it == maps_.end()) return {};
    Substitution to;
    for (size_t k = 0; k < it->second.iters.size(); ++k) {
      auto d = as_dim(read.args[k]);
      if (!d) return {};
      to.emplace(it->second.iters[k].symbol->id, *d);
    }
    return substitute(it->second.body[0], to);
  }

  // Constants of one element as numbers.
  Result<Expr> literal(const Expr& e) {
    std::vector<int> ids;
    visit(e, [&](const ExprNode& n) {
      if (n.op == ScalarOp::Read) ids.push_back(static_cast<int>(n.id));
    });
    for (int id : ids) TRY(fold(id, 0));
    return rewrite(e, [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read || !constant(n.id) || constant(n.id)->elements() != 1) return Expr();
      if (is_float(n.type)) return ex::number(n.type, constant(n.id)->number(0));
      return is_int(n.type) ? ex::integer(n.type, constant(n.id)->integer(0)) : Expr();
    });
  }

  // Evaluates the maps that make a value of constants: weights that the model itself quantises. True: it is constant.
  Result<bool> fold(int id, int depth) {
    if (constant(id)) return true;
    auto it = maps_.find(id);
    const TensorType& t = p_.values[static_cast<size_t>(id)].tensor();
    if (it == maps_.end() || depth > kMaxAccesses || !t.is_static() ||
        storage_bytes(t.dtype, t.elements()) > kMaxFoldedBytes)
      return false;
    const k::Stage s = it->second;
    for (int from : k::reads(s)) {
      if (from < 0 || !TRY(fold(from, depth + 1))) return false;
    }
    std::map<int64_t, Symbol> symbols;
    visit(s.body[0], [&](const ExprNode& n) { collect_symbols(n.dim, symbols); });
    for (const k::Iter& i : s.iters) symbols.erase(i.symbol->id);
    if (!symbols.empty()) return false;
    p_.values[static_cast<size_t>(id)].constant = TRY(evaluate_stage(s, p_))[0];
    folded_.push_back(id);
    return true;
  }

  void drop_folded(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) drop_folded(inner);
    }
    std::erase_if(b.stages, [&](const k::Stage& s) {
      return s.kind == k::StageKind::Map && std::find(folded_.begin(), folded_.end(), s.results[0]) != folded_.end();
    });
  }

  // The byte under a cast to i32 or f32, through accesses.
  Expr byte_read(Expr e) const {
    if (!e.is(ScalarOp::Cast) || (e.type() != DType::I32 && e.type() != DType::F32)) return {};
    e = e->args[0];
    for (int k = 0; k < kMaxAccesses && e.is(ScalarOp::Read) && !e->checked && !constant(e->id); ++k) {
      Expr from = definition(*e);
      if (!from.is(ScalarOp::Read) || from->checked) break;
      e = from;
    }
    return e.is(ScalarOp::Read) && is_byte(e.type()) ? e : Expr();
  }

  Result<std::optional<Operand>> integer_operand(const Expr& e, const k::Stage& s) {
    using None = std::optional<Operand>;
    Operand o;
    Expr x = e;
    if (e.is(ScalarOp::Sub) && e.type() == DType::I32) {
      x = e->args[0];
      o.zero = TRY(literal(e->args[1]));
      if (depends(o.zero, s.reds)) return None{};
      if (o.zero.is(ScalarOp::Const) && o.zero->integer == 0) o.zero = {};
    }
    o.byte = byte_read(x);
    if (o.byte && o.byte->checked) {
      ExprNode n = *o.byte;
      n.args.back() = TRY(literal(n.args.back()));
      o.byte = ex::make(std::move(n));
    }
    if (!o.byte || (o.zero && x.type() != DType::I32)) return None{};
    return std::optional(o);
  }

  Result<std::optional<Operand>> operand(const Expr& e, const k::Stage& s, int depth = 0) {
    using None = std::optional<Operand>;
    if (depth > kMaxAccesses) return None{};
    if (e.type() == DType::I32) return integer_operand(e, s);
    if (e.is(ScalarOp::Read)) {
      Expr from = definition(*e);
      if (!from) return None{};
      if (!e->checked) return operand(from, s, depth + 1);
      return padded(*e, from, s);
    }
    auto integer = [&](const Expr& x) -> Result<std::optional<Operand>> {
      if (!x.is(ScalarOp::Cast) || x.type() != DType::F32) return None{};
      return x->args[0].type() == DType::I32 ? integer_operand(x->args[0], s) : integer_operand(x, s);
    };
    if (!e.is(ScalarOp::Mul)) return None{};
    for (size_t k : {0, 1}) {
      auto o = TRY(integer(e->args[k]));
      if (!o || depends(e->args[1 - k], s.reds)) continue;
      o->scale = TRY(literal(e->args[1 - k]));
      return o;
    }
    return None{};
  }

  // A padded read of what a dequantisation made: outside is 0.0, which is the zero point.
  Result<std::optional<Operand>> padded(const ExprNode& read, const Expr& from, const k::Stage& s) {
    using None = std::optional<Operand>;
    const Expr& fill = read.args.back();
    if (!fill.is(ScalarOp::Const) || fill->number != 0 || from.is(ScalarOp::Read)) return None{};
    auto o = TRY(operand(from, s, kMaxAccesses));
    if (!o || o->byte->checked || (o->zero && !o->zero.is(ScalarOp::Const)) || !o->scale.is(ScalarOp::Const))
      return None{};
    const std::vector<Dim>& outer = p_.values[static_cast<size_t>(read.id)].tensor().dims;
    const std::vector<Dim>& inner = p_.values[static_cast<size_t>(o->byte->id)].tensor().dims;
    if (outer.size() != inner.size()) return None{};
    for (size_t k = 0; k < outer.size(); ++k) {
      if (!known_equal(outer[k], inner[k]) || !equal(read.args[k], o->byte->args[k])) return None{};
    }
    ExprNode n = *o->byte;
    n.checked = true;
    n.args.push_back(ex::integer(n.type, o->zero ? o->zero->integer : 0));
    o->byte = ex::make(std::move(n));
    return o;
  }

  // --- what becomes of it ---------------------------------------------------------------------------------------------

  Result<bool> rewritten(const k::Stage& s, std::vector<k::Stage>& stages) {
    if (s.kind != k::StageKind::Reduce || s.combiner != Combiner::Sum || s.body.size() != 1 ||
        !s.body[0].is(ScalarOp::Mul))
      return false;
    const DType type = s.body[0].type();
    if (type != DType::F32 && type != DType::I32) return false;
    int64_t terms = 1;
    for (const k::Iter& it : s.reds) {
      if (!it.extent.is_constant() || it.extent.value() > INT32_MAX) return false;
      terms *= std::max<int64_t>(it.extent.value(), 1);
      if (type == DType::F32 && terms > INT32_MAX / kMaxProduct) return false;
    }
    auto a = TRY(operand(s.body[0]->args[0], s));
    if (!a) return false;
    auto b = TRY(operand(s.body[0]->args[1], s));
    if (!b) return false;
    const bool a_constant = TRY(fold(static_cast<int>(a->byte->id), 0)),
               b_constant = TRY(fold(static_cast<int>(b->byte->id), 0));
    if (a_constant == b_constant) return false;
    if (a_constant) std::swap(a, b);
    if (b->byte->checked || (type == DType::F32) != static_cast<bool>(a->scale) ||
        (type == DType::F32) != static_cast<bool>(b->scale))
      return false;
    return rewrite_sum(s, terms, *a, *b, stages);
  }

  // Whether an expression of constants can be evaluated over these iterators.
  bool is_closed(const Expr& e, const std::vector<k::Iter>& columns, const std::vector<k::Iter>& reds) const {
    std::map<int64_t, Symbol> symbols;
    if (e) visit(e, [&](const ExprNode& n) { collect_symbols(n.dim, symbols); });
    for (const auto* list : {&columns, &reds}) {
      for (const k::Iter& it : *list) symbols.erase(it.symbol->id);
    }
    return symbols.empty() && !depends_on_data(e);
  }

  bool depends_on_data(const Expr& e) const {
    bool found = false;
    if (!e) return false;
    visit(e, [&](const ExprNode& n) { found |= n.op == ScalarOp::Read && !constant(n.id); });
    return found;
  }

  Result<bool> rewrite_sum(const k::Stage& s, int64_t terms, Operand a, const Operand& b,
                           std::vector<k::Stage>& stages) {
    auto wide = [](const Expr& e) { return ex::cast(e, DType::I32); };
    // b' over the iterators that it depends on and the reduced ones.
    std::vector<k::Iter> columns;
    for (const k::Iter& it : s.iters) {
      if (!depends(b.byte, {it}) && !depends(b.zero, {it})) continue;
      if (!it.extent.is_constant()) return false;
      columns.push_back(it);
    }
    if (!is_closed(b.byte, columns, s.reds) || !is_closed(b.zero, columns, s.reds)) return false;
    Expr b_read = b.byte, b_zero;
    if (b.byte.type() == DType::U8 || b.zero) {
      k::Stage taken;
      taken.iters = columns;
      taken.iters.insert(taken.iters.end(), s.reds.begin(), s.reds.end());
      taken.body = {b.zero ? wide(b.byte) - b.zero : wide(b.byte)};
      if (elements_of(taken.iters) > kMaxFoldedBytes / 4) return false;
      TensorRef differences = TRY(evaluate_stage(taken, p_))[0];
      TensorRef bytes = narrowed(*differences);
      if (!bytes) {  // u8 - 128 fits; the rest stays a zero point
        const int64_t shift = b.byte.type() == DType::U8 ? 128 : 0;
        b_zero = (b.zero ? b.zero : ex::integer(DType::I32, 0)) - ex::integer(DType::I32, shift);
        taken.body = {wide(b.byte) - ex::integer(DType::I32, shift)};
        bytes = narrowed(*TRY(evaluate_stage(taken, p_))[0]);
      }
      std::vector<Expr> index;
      for (const k::Iter& it : taken.iters) index.push_back(ex::index(it.symbol));
      b_read = ex::read(add_constant(p_.values[static_cast<size_t>(b.byte->id)].name + ".i8", bytes), DType::I8, index);
    }
    // a'
    if (a.byte.type() == DType::I8) {
      a.byte = as_unsigned(*a.byte);
      a.zero = (a.zero ? a.zero : ex::integer(DType::I32, 0)) + ex::integer(DType::I32, 128);
      if (a.zero.is(ScalarOp::Const) && a.zero->integer == 0) a.zero = {};
    }
    k::Stage sum = s;
    sum.body = {wide(a.byte) * wide(b_read)};
    sum.results = {add_value(s, ".sum", DType::I32)};

    // The map: zero points, scale.
    k::Stage map;
    map.node = s.node;
    Substitution to;
    std::vector<Expr> index;
    for (const k::Iter& it : s.iters) {
      map.iters.push_back({Dim::iterator(it.symbol->name, it.extent), it.extent});
      to.emplace(it.symbol->id, Dim(map.iters.back().symbol));
      index.push_back(ex::index(map.iters.back().symbol));
    }
    auto here = [&](const Expr& e) { return substitute(e, to); };
    std::vector<Expr> column_index;
    for (const k::Iter& it : columns) column_index.push_back(here(ex::index(it.symbol)));
    Expr v = ex::read(sum.results[0], DType::I32, index);
    if (static_cast<bool>(a.zero) || static_cast<bool>(b_zero)) {
      k::Stage total;
      total.kind = k::StageKind::Reduce;
      total.iters = columns;
      total.reds = s.reds;
      total.body = {wide(b_read)};
      const TensorRef of_b = TRY(evaluate_stage(total, p_))[0];
      Expr rest;
      if (a.zero.is(ScalarOp::Const) && !b_zero) {
        auto negated = TensorData::make(DType::I32, of_b->dims);
        for (int64_t k = 0; k < of_b->elements(); ++k) {
          negated->mutable_as<int32_t>()[k] =
              static_cast<int32_t>(static_cast<uint32_t>(-a.zero->integer * of_b->integer(k)));
        }
        v = v + ex::read(add_constant("zero_point", negated), DType::I32, column_index);
      } else if (a.zero) {
        v = v - here(a.zero) * ex::read(add_constant("column_sum", of_b), DType::I32, column_index);
      }
      if (b_zero) {
        k::Stage rows = row_sum(s, a);
        std::vector<Expr> row_index;
        for (const k::Iter& it : rows.iters) row_index.push_back(here(ex::index(it.symbol)));
        v = v - here(b_zero) * ex::read(rows.results[0], DType::I32, row_index);
        if (a.zero) v = v + ex::integer(DType::I32, terms) * here(a.zero) * here(b_zero);
        stages.push_back(std::move(rows));
      }
    }
    if (a.scale) v = ex::cast(v, DType::F32) * here(TRY(tabulated(a.scale * b.scale, s.iters)));
    map.body = {v};
    map.results = s.results;
    stages.push_back(std::move(sum));
    stages.push_back(std::move(map));
    return true;
  }

  // An expression of constants as a constant over the iterators that it depends on.
  Result<Expr> tabulated(const Expr& e, const std::vector<k::Iter>& iters) {
    k::Stage table;
    std::vector<Expr> index;
    for (const k::Iter& it : iters) {
      if (!depends(e, {it})) continue;
      if (!it.extent.is_constant()) return e;
      table.iters.push_back(it);
      index.push_back(ex::index(it.symbol));
    }
    if (e.is(ScalarOp::Const) || !is_closed(e, table.iters, {}) || elements_of(table.iters) > kMaxFoldedBytes / 4)
      return e;
    table.body = {e};
    return ex::read(add_constant("scale", TRY(evaluate_stage(table, p_))[0]), e.type(), index);
  }

  // sum(r) i32(a) over the iterators that a depends on.
  k::Stage row_sum(const k::Stage& s, const Operand& a) {
    k::Stage rows;
    rows.kind = k::StageKind::Reduce;
    rows.node = s.node;
    Substitution own;
    TensorType t{DType::I32, {}};
    for (const k::Iter& it : s.iters) {
      if (!depends(a.byte, {it})) continue;
      rows.iters.push_back(it);
      t.dims.push_back(it.extent);
    }
    rows.reds = s.reds;
    rows.body = {ex::cast(a.byte, DType::I32)};
    k::Value v;
    v.name = p_.values[static_cast<size_t>(s.results[0])].name + ".row_sum";
    v.type = Type::of(std::move(t));
    rows.results = {p_.add(std::move(v))};
    return rows;
  }

  static int64_t elements_of(const std::vector<k::Iter>& iters) {
    int64_t n = 1;
    for (const k::Iter& it : iters) {
      if (it.extent.value() > 0 && n > INT32_MAX / it.extent.value()) return INT64_MAX;
      n *= it.extent.value();
    }
    return n;
  }

  // The same numbers in i8; null where one does not fit.
  static TensorRef narrowed(const TensorData& t) {
    auto bytes = TensorData::make(DType::I8, t.dims);
    for (int64_t k = 0; k < t.elements(); ++k) {
      const int32_t v = t.as<int32_t>()[k];
      if (v < INT8_MIN || v > INT8_MAX) return nullptr;
      bytes->mutable_as<int8_t>()[k] = static_cast<int8_t>(v);
    }
    return bytes;
  }

  int add_constant(std::string name, TensorRef t) {
    k::Value v;
    v.name = std::move(name);
    v.type = Type::of(t->type());
    v.constant = std::move(t);
    return p_.add(std::move(v));
  }

  int add_value(const k::Stage& s, const char* suffix, DType t) {
    k::Value v;
    v.name = p_.values[static_cast<size_t>(s.results[0])].name + suffix;
    v.type = p_.values[static_cast<size_t>(s.results[0])].type;
    v.type.tensor.dtype = t;
    return p_.add(std::move(v));
  }

  // --- signed values of the run, as unsigned ones -----------------------------------------------------------------------

  Expr as_unsigned(const ExprNode& read) {
    auto [it, fresh] = unsigned_.try_emplace(static_cast<int>(read.id), -1);
    if (fresh) {
      k::Value v = p_.values[static_cast<size_t>(read.id)];
      v.name += ".u8";
      v.type.tensor.dtype = DType::U8;
      v.interface.reset();
      it->second = p_.add(std::move(v));
    }
    ExprNode n = read;
    n.type = DType::U8;
    n.id = it->second;
    if (n.checked)
      n.args.back() = ex::cast(ex::cast(n.args.back(), DType::I32) + ex::integer(DType::I32, 128), DType::U8);
    return ex::make(std::move(n));
  }

  // Each is made where its original is, and read by everybody else as well, so that the original goes where it is no output.
  void use_unsigned() {
    std::vector<int> inputs = p_.inputs;
    insert_unsigned(p_.body, inputs);
  }

  void insert_unsigned(k::Block& b, const std::vector<int>& given) {
    std::vector<k::Stage> stages;
    auto add = [&](int id, int node) {
      auto it = unsigned_.find(id);
      if (it == unsigned_.end()) return;
      stages.push_back(elementwise(p_, id, it->second, [](Expr e) {
        return ex::cast(ex::cast(std::move(e), DType::I32) + ex::integer(DType::I32, 128), DType::U8);
      }));
      stages.back().node = node;
    };
    for (int id : given) add(id, -1);
    for (k::Stage& s : b.stages) {
      for (k::Block& inner : s.blocks) insert_unsigned(inner, inner.params);
      for (auto* list : {&s.body, &s.targets, &s.init}) {
        for (Expr& e : *list) e = read_unsigned(e);
      }
      const std::vector<int> results = s.results;
      const int node = s.node;
      stages.push_back(std::move(s));
      for (int id : results) add(id, node);
    }
    b.stages = std::move(stages);
  }

  Expr read_unsigned(const Expr& e) {
    return rewrite(e, [&](const ExprNode& n) {
      if (n.op != ScalarOp::Read || !unsigned_.count(static_cast<int>(n.id))) return Expr();
      return ex::cast(ex::cast(as_unsigned(n), DType::I32) - ex::integer(DType::I32, 128), DType::I8);
    });
  }

  k::Program& p_;
  std::map<int, k::Stage> maps_;  // by the value they make
  std::vector<int> folded_;  // values that became constants
  std::map<int, int> unsigned_;  // i8 value -> the u8 value that is 128 more
};

}  // namespace

Result<void> sum_integers(k::Program& p) {
  remove_copies_and_dead(p);
  TRY(IntegerSums(p).run());
  remove_copies_and_dead(p);
  return {};
}

}  // namespace ingot
