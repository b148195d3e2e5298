#include "tests/random/reduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ir/ops/interpreter.h"

namespace ingot::test {

namespace {

std::string kind_of(const std::string& what) { return what.substr(0, what.find(':')); }

void read_values(const Region& r, std::set<const Value*>& out) {
  for (const auto& n : r.nodes) {
    out.insert(n->inputs.begin(), n->inputs.end());
    for (const auto& inner : n->regions) read_values(*inner, out);
  }
  out.insert(r.outputs.begin(), r.outputs.end());
}

void replace(Region& r, const Value* from, Value* to) {
  for (auto& n : r.nodes) {
    for (Value*& v : n->inputs)
      if (v == from) v = to;
    for (auto& inner : n->regions) replace(*inner, from, to);
  }
  for (Value*& v : r.outputs)
    if (v == from) v = to;
}

// Nodes whose results nobody reads, from the last; inputs nobody reads.
void drop_dead(Region& r, const std::set<const Value*>* outer_reads = nullptr) {
  for (bool changed = true; changed;) {
    changed = false;
    std::set<const Value*> read;
    read_values(r, read);
    if (outer_reads) read.insert(outer_reads->begin(), outer_reads->end());
    for (size_t k = r.nodes.size(); k-- > 0;) {
      const auto& outs = r.nodes[k]->outputs;
      if (std::any_of(outs.begin(), outs.end(), [&](const Value* v) { return v && read.count(v); })) continue;
      r.nodes.erase(r.nodes.begin() + static_cast<long>(k));
      changed = true;
      break;
    }
  }
  for (auto& n : r.nodes)
    for (auto& inner : n->regions) drop_dead(*inner);
}

using Edit = std::function<bool(RandomCase&)>;  // false: does not apply

// Every region, the outermost first.
void regions_of(Region& r, std::vector<Region*>& out) {
  out.push_back(&r);
  for (auto& n : r.nodes)
    for (auto& inner : n->regions) regions_of(*inner, out);
}

RandomCase copy_of(const RandomCase& c) {
  RandomCase n;
  n.graph = std::move(*parse_graph(str(c.graph)));
  n.runs = c.runs;
  return n;
}

}  // namespace

RandomCase reduce(RandomCase c, const std::function<std::string(const RandomCase&)>& fails) {
  const std::string kind = kind_of(fails(c));
  if (kind.empty()) return c;
  auto attempt = [&](const Edit& edit) {
    RandomCase n = copy_of(c);
    if (!edit(n)) return false;
    drop_dead(n.graph.body);
    std::set<const Value*> read;
    read_values(n.graph.body, read);
    for (size_t k = n.graph.body.inputs.size(); k-- > 0;) {
      if (read.count(n.graph.body.inputs[k])) continue;
      n.graph.body.inputs.erase(n.graph.body.inputs.begin() + static_cast<long>(k));
      for (RandomRun& run : n.runs) run.inputs.erase(run.inputs.begin() + static_cast<long>(k));
    }
    for (RandomRun& run : n.runs) {
      const bool ran = run.refused.empty();
      if (!expect_of_reference(n.graph, run) || run.refused.empty() != ran) return false;
    }
    if (kind_of(fails(n)) != kind) return false;
    c = std::move(n);
    return true;
  };
  // One run.
  for (size_t k = 0; k < c.runs.size() && c.runs.size() > 1; ++k)
    if (attempt([k](RandomCase& n) {
          n.runs = {n.runs[k]};
          return true;
        }))
      break;
  for (bool changed = true; changed;) {
    changed = false;
    // One output.
    for (size_t k = 0; k < c.graph.body.outputs.size() && c.graph.body.outputs.size() > 1; ++k)
      if (attempt([k](RandomCase& n) {
            n.graph.body.outputs = {n.graph.body.outputs[k]};
            return true;
          })) {
        changed = true;
        break;
      }
    // What comes after a node is left out.
    for (size_t k = 0; k + 1 < c.graph.body.nodes.size(); ++k)
      if (attempt([k](RandomCase& n) {
            if (k >= n.graph.body.nodes.size()) return false;
            n.graph.body.outputs.clear();
            for (Value* v : n.graph.body.nodes[k]->outputs)
              if (v) n.graph.body.outputs.push_back(v);
            return true;
          })) {
        changed = true;
        break;
      }
    // Results become inputs.
    for (size_t k = c.graph.body.nodes.size(); k-- > 0;) {
      if (k >= c.graph.body.nodes.size()) continue;
      for (bool fixed : {true, false})
        if (attempt([k, fixed](RandomCase& n) {
              if (k >= n.graph.body.nodes.size()) return false;
              Node& node = *n.graph.body.nodes[k];
              std::vector<Value*> outs;
              for (Value* v : node.outputs)
                if (v) outs.push_back(v);
              for (size_t o = 0; o < outs.size(); ++o) {
                Value* in = nullptr;
                for (RandomRun& run : n.runs) {
                  HostValue seen;
                  InterpreterOptions options;
                  options.on_value = [&](std::string_view name, const HostValue& v) {
                    if (name == outs[o]->name) seen = v;
                  };
                  (void)Interpreter(options).run(n.graph, run.inputs);
                  if (!seen.is_tensor()) return false;
                  if (!in) {
                    TensorType type = seen.tensor->type();
                    for (size_t d = 0; !fixed && d < type.dims.size(); ++d)
                      type.dims[d] = Dim(Dim::symbol(fmt::format("{}_{}", outs[o]->name, d)));
                    in = n.graph.new_value(outs[o]->name + "_in", Type::of(type));
                  }
                  run.inputs.push_back(std::move(seen));
                }
                n.graph.body.inputs.push_back(in);
                replace(n.graph.body, outs[o], in);
              }
              return true;
            })) {
          changed = true;
          break;
        }
    }
    // A node is left out: its readers read one of its inputs.
    std::vector<Region*> all;
    regions_of(c.graph.body, all);
    for (size_t at = 0; at < all.size(); ++at) {
      for (size_t k = all[at]->nodes.size(); k-- > 0;) {
        bool done = false;
        for (size_t i = 0; i < 3 && !done; ++i)
          done = attempt([at, k, i](RandomCase& n) {
            std::vector<Region*> mine;
            regions_of(n.graph.body, mine);
            if (at >= mine.size() || k >= mine[at]->nodes.size()) return false;
            Node& node = *mine[at]->nodes[k];
            if (i >= node.inputs.size() || !node.inputs[i] || !node.outputs[0]) return false;
            replace(n.graph.body, node.outputs[0], node.inputs[i]);
            return true;
          });
        if (!done) continue;
        changed = true;
        all.clear();
        regions_of(c.graph.body, all);
        if (at >= all.size()) break;
        k = std::min(k, all[at]->nodes.size());
      }
    }
  }
  return c;
}

std::string describe(const RandomCase& c, bool with_data) {
  std::string s = str(c.graph, !with_data);
  for (size_t k = 0; k < c.runs.size(); ++k) {
    s += fmt::format("run {}{}\n", k + 1,
                     c.runs[k].refused.empty() ? "" : ": the reference refuses: " + c.runs[k].refused);
    for (size_t i = 0; i < c.runs[k].inputs.size(); ++i)
      s += fmt::format("  {} = {}\n", c.graph.body.inputs[i]->name, str(c.runs[k].inputs[i], with_data ? 1 << 20 : 24));
    for (const HostValue& v : c.runs[k].expected) s += fmt::format("  expected {}\n", str(v, 8));
  }
  return s;
}

}  // namespace ingot::test
