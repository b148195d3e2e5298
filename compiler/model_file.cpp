// See model_file.h.
#include "compiler/model_file.h"

#include <algorithm>
#include <limits>
#include <set>

#include "frontend/onnx/dtype.h"
#include "runtime/abi.h"
#include "runtime/cpu.h"

namespace ingot {

ModelFile::Port port_of(const Value& value) {
  ModelFile::Port port;
  port.name = value.name;
  port.levels.clear();
  const Type* t = &value.type;
  for (;; t = t->element.get()) {
    switch (t->kind) {
      case Type::Kind::None:  // items of a sequence that is always empty, or of different ranks
        port.levels.push_back(ModelFile::Level::Tensor);
        port.any_rank = true;
        break;
      case Type::Kind::Tensor: port.levels.push_back(ModelFile::Level::Tensor); break;
      case Type::Kind::Sequence: port.levels.push_back(ModelFile::Level::Sequence); break;
      case Type::Kind::Optional: port.levels.push_back(ModelFile::Level::Optional); break;
      case Type::Kind::Map:
        port.levels.push_back(ModelFile::Level::Map);
        port.key_dtype = onnx::data_type_of(t->tensor.dtype);
        break;
    }
    if (!t->element) break;
  }
  port.dtype = onnx::data_type_of(port.any_rank ? DType::F32 : t->tensor.dtype);
  for (const Dim& d : t->tensor.dims) {
    if (auto c = d.constant()) {
      port.dims.push_back({*c, ""});
    } else {
      port.dims.push_back({-1, d.str()});
    }
  }
  return port;
}

std::vector<ModelFile::Symbol> symbol_table(const Graph& graph) {
  std::vector<ModelFile::Symbol> symbols;
  std::set<std::string> seen;
  for (const Value* v : graph.body.inputs)
    for (const Dim& d : v->type.tensor.dims)
      if (auto s = d.as_symbol(); s && seen.insert((*s)->name).second)
        symbols.push_back({(*s)->name, (*s)->lo, (*s)->hi >= kDimMax ? std::numeric_limits<int64_t>::max() : (*s)->hi});
  return symbols;
}

namespace {

template <class F>
void each_stmt(const std::vector<l::Stmt>& body, const F& f) {
  for (const l::Stmt& s : body) {
    f(s);
    each_stmt(s.body, f);
    each_stmt(s.otherwise, f);
  }
}

}  // namespace

// A kernel's work is written in its scalars; its launch says what these are in dims of the model. Algorithms follow the
// kernels, in the order of their calls, as the printed code numbers them.
std::vector<ModelFile::Kernel> kernel_table(const l::Program& program) {
  std::vector<ModelFile::Kernel> table, calls;
  for (const l::Kernel& k : program.kernels) table.push_back({k.name, k.schedule, "", "", k.node});
  std::vector<int> launches(table.size(), 0);
  each_stmt(program.host, [&](const l::Stmt& s) {
    if (s.kind == l::StmtKind::Call) calls.push_back({s.name, "algorithm", "", "", s.node});
    if (s.kind != l::StmtKind::Launch || s.id < 0 || s.id >= static_cast<int64_t>(table.size())) return;
    const auto id = static_cast<size_t>(s.id);
    const l::Kernel& k = program.kernels[id];
    Substitution scalars;
    for (size_t i = 0; i < std::min(k.scalars.size(), s.scalars.size()); ++i) scalars[k.scalars[i]->id] = s.scalars[i];
    const std::string flops = substitute(k.flops, scalars).str(), bytes = substitute(k.bytes, scalars).str();
    if (launches[id]++ == 0) table[id].flops = flops, table[id].bytes = bytes;
    else if (table[id].flops != flops || table[id].bytes != bytes)
      table[id].flops = table[id].bytes = "";  // no one answer
  });
  table.insert(table.end(), calls.begin(), calls.end());
  return table;
}

}  // namespace ingot
