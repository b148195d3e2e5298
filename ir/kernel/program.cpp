// Names, reads and the verifier of K. The text form is in text.cpp.
#include "ir/kernel/program.h"

#include <algorithm>
#include <set>

namespace ingot::k {

std::string_view name(Combiner c) {
  switch (c) {
    case Combiner::Sum: return "sum";
    case Combiner::Prod: return "prod";
    case Combiner::Max: return "max";
    case Combiner::Min: return "min";
    case Combiner::And: return "and";
    case Combiner::Or: return "or";
    case Combiner::ArgMaxFirst: return "argmax_first";
    case Combiner::ArgMaxLast: return "argmax_last";
    case Combiner::ArgMinFirst: return "argmin_first";
    case Combiner::ArgMinLast: return "argmin_last";
    case Combiner::Assign: return "assign";
  }
  return "?";
}

std::string_view name(StageKind kind) {
  switch (kind) {
    case StageKind::Map: return "map";
    case StageKind::Reduce: return "reduce";
    case StageKind::Scan: return "scan";
    case StageKind::Scatter: return "scatter";
    case StageKind::Walk: return "walk";
    case StageKind::Call: return "call";
    case StageKind::Read: return "read";
    case StageKind::Check: return "check";
    case StageKind::If: return "if";
    case StageKind::Loop: return "loop";
  }
  return "?";
}

namespace {

void add_reads(const Stage& s, std::vector<int>& out, std::set<int>& seen) {
  auto add = [&](int64_t id) {
    if (id >= 0 && seen.insert(static_cast<int>(id)).second) out.push_back(static_cast<int>(id));
  };
  auto scan = [&](const Expr& e) {
    if (e)
      visit(e, [&](const ExprNode& n) {
        if (n.op == ScalarOp::Read) add(n.id);
      });
  };
  for (int id : s.operands) add(id);
  for (const auto* list : {&s.init, &s.targets, &s.body})
    for (const Expr& e : *list) scan(e);
  scan(s.condition);
  for (const Block& b : s.blocks) {
    for (const Stage& inner : b.stages) add_reads(inner, out, seen);
    for (int id : b.outputs) add(id);
  }
}

void defined_in(const Block& b, std::set<int>& out) {
  out.insert(b.params.begin(), b.params.end());
  for (const Stage& s : b.stages) {
    out.insert(s.results.begin(), s.results.end());
    for (const Block& inner : s.blocks) defined_in(inner, out);
  }
}

}  // namespace

std::vector<int> reads(const Stage& s) {
  std::vector<int> all;
  std::set<int> seen;
  add_reads(s, all, seen);
  std::set<int> inside;
  for (const Block& b : s.blocks) defined_in(b, inside);
  std::erase_if(all, [&](int id) { return inside.count(id) > 0; });
  return all;
}

namespace {

class Verifier {
 public:
  explicit Verifier(const Program& p) : p_(p) {}

  Result<void> run() {
    for (size_t i = 0; i < p_.values.size(); ++i)
      if (p_.values[i].id != static_cast<int>(i)) return invalid("value {} has id {}", i, p_.values[i].id);
    std::set<int> defined;
    for (const Value& v : p_.values)
      if (v.constant) defined.insert(v.id);
    for (int id : p_.inputs) TRY(define(id, defined, true));
    return block(p_.body, defined, 0);
  }

 private:
  static constexpr int kMaxNesting = 64;  // of blocks

  std::string name_of(int64_t id) const {
    if (id < 0 || id >= static_cast<int64_t>(p_.values.size())) return std::to_string(id);
    const std::string& n = p_.values[static_cast<size_t>(id)].name;
    return n.empty() ? "%" + std::to_string(id) : n;
  }
  Result<void> exists(int64_t id) const {
    if (id < 0 || id >= static_cast<int64_t>(p_.values.size())) return invalid("value {} does not exist", id);
    return {};
  }
  Result<void> use(int64_t id, const std::set<int>& defined) const {
    TRY(exists(id));
    if (!defined.count(static_cast<int>(id))) return invalid("'{}' is used before its definition", name_of(id));
    return {};
  }
  Result<void> define(int id, std::set<int>& defined, bool constant_ok = false) const {
    TRY(exists(id));
    if (!defined.insert(id).second && !(constant_ok && p_.values[static_cast<size_t>(id)].constant))
      return invalid("'{}' is defined twice", name_of(id));
    return {};
  }

  Result<void> block(const Block& b, std::set<int> defined, int depth) {
    if (depth > kMaxNesting) return limit_exceeded("blocks are nested deeper than {}", kMaxNesting);
    for (int id : b.params) TRY(define(id, defined));
    for (size_t i = 0; i < b.stages.size(); ++i) {
      auto r = stage(b.stages[i], defined, depth);
      if (!r)
        return std::move(r.error()).context(
            fmt::format("in stage {} ({}) of '{}'", i, name(b.stages[i].kind), p_.name));
    }
    for (int id : b.outputs)
      if (id >= 0) TRY(use(id, defined));
    return {};
  }

  Result<void> expr(const Expr& e, const std::set<int>& defined, size_t states) {
    if (!e) return invalid("an expression is missing");
    std::optional<Error> error;
    visit(e, [&](const ExprNode& n) {
      if (error) return;
      auto r = node(n, defined, states);
      if (!r) error = std::move(r.error());
    });
    if (error) return std::move(*error);
    return {};
  }

  Result<void> node(const ExprNode& n, const std::set<int>& defined, size_t states) {
    if (n.lanes != 1) return invalid("{} has {} lanes, expected 1", ingot::name(n.op), n.lanes);
    if (arity(n.op) >= 0 && static_cast<int>(n.args.size()) != arity(n.op))
      return invalid("{} has {} arguments, expected {}", ingot::name(n.op), n.args.size(), arity(n.op));
    for (const Expr& a : n.args)
      if (!a) return invalid("{} has an empty argument", ingot::name(n.op));
    auto same = [&](size_t from) -> Result<void> {
      for (size_t i = from; i < n.args.size(); ++i)
        if (n.args[i].type() != n.type)
          return invalid("{} of {} has an argument of {}", ingot::name(n.op), ingot::name(n.type),
                         ingot::name(n.args[i].type()));
      return {};
    };
    switch (n.op) {
      case ScalarOp::Read: {
        TRY(use(n.id, defined));
        const Value& v = p_.values[static_cast<size_t>(n.id)];
        if (!v.type.is_tensor()) return invalid("'{}' is read but is {}", name_of(n.id), v.type.str());
        if (v.tensor().dtype != n.type)
          return invalid("'{}' is read as {}, expected {}", name_of(n.id), ingot::name(n.type),
                         ingot::name(v.tensor().dtype));
        const size_t rank = static_cast<size_t>(v.tensor().rank());
        if (n.args.size() != rank + (n.checked ? 1 : 0))
          return invalid("'{}' is read at {} indices, expected {}", name_of(n.id), n.args.size() - (n.checked ? 1 : 0),
                         rank);
        for (size_t i = 0; i < rank; ++i)
          if (n.args[i].type() != DType::I64)
            return invalid("an index of '{}' is {}, expected i64", name_of(n.id), ingot::name(n.args[i].type()));
        return n.checked ? same(rank) : Result<void>();
      }
      case ScalarOp::Load:
      case ScalarOp::Ramp:
      case ScalarOp::Splat:
      case ScalarOp::Lane:
      case ScalarOp::LaneSum:
      case ScalarOp::LaneMax:
      case ScalarOp::LaneMin:
      case ScalarOp::LaneProd:
      case ScalarOp::Scalb:
      case ScalarOp::Dot2:
      case ScalarOp::TileLoad:
      case ScalarOp::TileDot:
      case ScalarOp::Dot4: return invalid("{} does not belong in a kernel", ingot::name(n.op));
      case ScalarOp::Local:
        if (n.id < 0 || n.id >= static_cast<int64_t>(states)) return invalid("state {} does not exist", n.id);
        return {};
      case ScalarOp::Index:
        return n.type == DType::I64 ? Result<void>() : invalid("an index is {}, expected i64", ingot::name(n.type));
      case ScalarOp::Const:
      case ScalarOp::Cast:
      case ScalarOp::Bitcast: return {};
      case ScalarOp::IsNaN:
      case ScalarOp::IsInf:
        return n.type == DType::Bool ? Result<void>()
                                     : invalid("{} gives {}, expected bool", ingot::name(n.op), ingot::name(n.type));
      case ScalarOp::Eq:
      case ScalarOp::Ne:
      case ScalarOp::Lt:
      case ScalarOp::Le:
      case ScalarOp::Gt:
      case ScalarOp::Ge:
        if (n.type != DType::Bool) return invalid("{} gives {}, expected bool", ingot::name(n.op), ingot::name(n.type));
        if (n.args[0].type() != n.args[1].type())
          return invalid("{} compares {} and {}", ingot::name(n.op), ingot::name(n.args[0].type()),
                         ingot::name(n.args[1].type()));
        return {};
      case ScalarOp::Select:
        if (n.args[0].type() != DType::Bool)
          return invalid("select on {}, expected bool", ingot::name(n.args[0].type()));
        return same(1);
      default: return same(0);
    }
  }

  Result<void> tensor_results(const Stage& s, const std::vector<DType>& types) {
    if (s.results.size() != types.size()) return invalid("got {} results, expected {}", s.results.size(), types.size());
    for (size_t i = 0; i < types.size(); ++i) {
      TRY(exists(s.results[i]));
      const Value& v = p_.values[static_cast<size_t>(s.results[i])];
      if (!v.type.is_tensor() || v.tensor().dtype != types[i])
        return invalid("'{}' is {}, expected a tensor of {}", name_of(v.id), v.type.str(), ingot::name(types[i]));
      if (s.kind == StageKind::Scatter) continue;
      if (v.tensor().rank() != static_cast<int>(s.iters.size()))
        return invalid("'{}' has rank {}, expected {}", name_of(v.id), v.tensor().rank(), s.iters.size());
      for (size_t d = 0; d < s.iters.size(); ++d)
        if (!known_equal(v.tensor().dims[d], s.iters[d].extent))
          return invalid("dimension {} of '{}' is {}, expected {}", d, name_of(v.id), v.tensor().dims[d].str(),
                         s.iters[d].extent.str());
    }
    return {};
  }

  Result<void> count(const char* what, size_t got, size_t expected) {
    if (got != expected) return invalid("got {} {}, expected {}", got, what, expected);
    return {};
  }

  Result<void> stage(const Stage& s, std::set<int>& defined, int depth) {
    for (int id : s.operands)
      if (id != -1) TRY(use(id, defined));
    std::vector<DType> types;
    const size_t states = s.kind == StageKind::Walk ? s.init.size() : 0;
    for (const Expr& e : s.body) {
      TRY(expr(e, defined, states));
      types.push_back(e.type());
    }
    switch (s.kind) {
      case StageKind::Map:
        if (types.empty()) return invalid("a map has no body");
        TRY(tensor_results(s, types));
        break;
      case StageKind::Reduce: {
        const bool pair = s.combiner >= Combiner::ArgMaxFirst && s.combiner <= Combiner::ArgMinLast;
        if (s.combiner == Combiner::Assign) return invalid("a reduction cannot assign");
        TRY(count("bodies", types.size(), pair ? 2 : 1));
        if (pair && types[1] != DType::I64)
          return invalid("the second body of {} is {}, expected i64", name(s.combiner), ingot::name(types[1]));
        TRY(tensor_results(s, types));
        break;
      }
      case StageKind::Scan:
        TRY(count("bodies", types.size(), 1));
        if (s.combiner > Combiner::Or) return invalid("a scan cannot combine by {}", name(s.combiner));
        if (s.axis < 0 || s.axis >= static_cast<int>(s.iters.size()))
          return invalid("scan axis {} out of range [0, {})", s.axis, s.iters.size());
        TRY(tensor_results(s, types));
        break;
      case StageKind::Scatter: {
        TRY(count("bodies", types.size(), 1));
        TRY(count("operands", s.operands.size(), 1));
        if (s.operands[0] < 0) return invalid("a scatter has no base");
        if (s.combiner >= Combiner::ArgMaxFirst && s.combiner <= Combiner::ArgMinLast)
          return invalid("a scatter cannot combine by {}", name(s.combiner));
        TRY(tensor_results(s, types));
        const Value& base = p_.values[static_cast<size_t>(s.operands[0])];
        if (!base.type.is_tensor() || base.tensor().dtype != types[0])
          return invalid("the base '{}' is {}, expected {}", name_of(base.id), base.type.str(), ingot::name(types[0]));
        TRY(count("targets", s.targets.size(), static_cast<size_t>(base.tensor().rank())));
        for (const Expr& e : s.targets) {
          TRY(expr(e, defined, 0));
          if (e.type() != DType::I64) return invalid("a target is {}, expected i64", ingot::name(e.type()));
        }
        break;
      }
      case StageKind::Walk:
        TRY(count("initial states", s.init.size(), types.size()));
        for (size_t i = 0; i < s.init.size(); ++i) {
          TRY(expr(s.init[i], defined, 0));
          if (s.init[i].type() != types[i])
            return invalid("state {} starts as {}, expected {}", i, ingot::name(s.init[i].type()),
                           ingot::name(types[i]));
        }
        TRY(expr(s.condition, defined, states));
        if (s.condition.type() != DType::Bool)
          return invalid("the condition of a walk is {}, expected bool", ingot::name(s.condition.type()));
        TRY(tensor_results(s, types));
        break;
      case StageKind::Call:
        if (s.algorithm.empty()) return invalid("a call names no algorithm");
        break;
      case StageKind::Read:
        TRY(count("operands", s.operands.size(), 1));
        if (s.operands[0] < 0) return invalid("a read has no operand");
        TRY(count("elements", s.elements.size(), s.symbols.size()));
        break;
      case StageKind::Check: break;
      case StageKind::If:
        TRY(count("operands", s.operands.size(), 1));
        if (s.operands[0] < 0) return invalid("an if has no condition");
        TRY(count("blocks", s.blocks.size(), 2));
        for (const Block& b : s.blocks) {
          TRY(count("block parameters", b.params.size(), 0));
          TRY(count("block outputs", b.outputs.size(), s.results.size()));
          TRY(count("block symbols", b.symbols.size(), s.symbols.size()));
          TRY(block(b, defined, depth + 1));
        }
        break;
      case StageKind::Loop: {
        TRY(count("blocks", s.blocks.size(), 1));
        if (s.operands.size() < 2) return invalid("got {} operands, expected at least 2", s.operands.size());
        const size_t carried = s.operands.size() - 2;
        const Block& b = s.blocks[0];
        TRY(count("block parameters", b.params.size(), carried + 2));
        if (s.results.size() < carried)
          return invalid("got {} results, expected at least {}", s.results.size(), carried);
        TRY(count("block outputs", b.outputs.size(), s.results.size() + 1));
        for (size_t i = 0; i < carried; ++i)
          if (s.operands[i + 2] < 0) return invalid("carried value {} is absent", i);
        TRY(count("initial symbols", s.symbol_init.size(), s.carried_symbols.size()));
        TRY(count("block symbols", b.symbols.size(), s.carried_symbols.size()));
        if (s.symbols.size() < s.carried_symbols.size() || s.symbols.size() > s.carried_symbols.size() + 1)
          return invalid("got {} symbols, expected {} or one more", s.symbols.size(), s.carried_symbols.size());
        TRY(block(b, defined, depth + 1));
        break;
      }
    }
    for (int id : s.results)
      if (id >= 0) TRY(define(id, defined));
    return {};
  }

  const Program& p_;
};

}  // namespace

Result<void> verify(const Program& p) { return Verifier(p).run(); }

}  // namespace ingot::k
