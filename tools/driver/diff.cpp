// `ingot diff`: compiled against reference, and the first node where they part.
//
// First the model as it is. Where its outputs differ, every value that a node of the outermost level makes becomes an output
// of both sides and is compared in order: the first that differs names the node. That also takes fusion apart; where then
// all values agree, the fault needs the fusion, and outputs are added one at a time, by bisection over the nodes.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "compiler/compile.h"
#include "frontend/onnx/import.h"
#include "tools/driver/commands.h"
#include "tools/driver/data_set.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;

struct Finding {
  std::string node, op, value, reason;
  std::string got, expected;  // the values, shortened
  bool fused = false;  // found by bisection only
};

class Differ {
 public:
  explicit Differ(const DiffOptions& options) : options_(options) {}

  Result<void> prepare() {
    if (ends_with(options_.model, ".ingot"))
      return invalid("got the compiled file {}, expected a .onnx file", options_.model);
    Graph graph = TRY(load());
    for (const Value* v : graph.body.inputs) ports_.push_back({v->name, v->type, v->type.kind == Type::Kind::Optional});
    inputs_ = TRY(gather_inputs(ports_, options_.inputs));
    for (const auto& node : graph.body.nodes)
      for (const Value* v : node->outputs)
        if (v) candidates_.push_back({node->name, node->source, v->name});
    for (const Value* v : graph.body.outputs) outputs_.push_back(v->name);
    return {};
  }

  const std::vector<std::string>& outputs() const { return outputs_; }

  // The comparison of each value in `names`, made outputs of the graph (beside its own where `add`).
  Result<std::vector<Comparison>> compare_values(const std::vector<std::string>& names, bool add) {
    LoadOptions reference = options_.load;
    reference.backend = Backend::Interpreter;
    expected_ = TRY(run(names, add, reference));
    got_ = TRY(run(names, add, options_.load));
    std::vector<Comparison> all;
    Tolerance tolerance = options_.tolerance;
    tolerance.profile =
        resolve(tolerance.profile == Tolerance::Profile::Auto ? Tolerance::Profile::Model : tolerance.profile, "");
    for (size_t i = 0; i < names.size(); ++i) all.push_back(compare(got_[i], expected_[i], tolerance));
    return all;
  }

  Result<std::optional<Finding>> first_divergence() {
    std::vector<std::string> names;
    for (const Candidate& c : candidates_) names.push_back(c.value);
    const std::vector<Comparison> all = TRY(compare_values(names, true));
    for (size_t i = 0; i < all.size(); ++i)
      if (!all[i].equal) return std::optional(finding(i, i, all[i], false));
    // Invariant: values before `lo` are taken to agree, that at `hi` differs.
    size_t lo = 0, hi = candidates_.size();
    std::optional<Finding> found;
    while (lo < hi) {
      const size_t mid = lo + (hi - lo) / 2;
      const Comparison c = TRY(compare_values({candidates_[mid].value}, false))[0];
      if (c.equal) {
        lo = mid + 1;
      } else {
        found = finding(mid, 0, c, true);
        hi = mid;
      }
    }
    return found;
  }

  std::string shown(const std::vector<HostValue>& values, size_t i) const { return printable(str(values[i])); }
  const std::vector<HostValue>& got() const { return got_; }
  const std::vector<HostValue>& expected() const { return expected_; }

 private:
  struct Candidate {
    std::string node, source, value;
  };

  Finding finding(size_t candidate, size_t value, const Comparison& c, bool fused) const {
    const Candidate& k = candidates_[candidate];
    return {k.node, k.source, k.value, c.reason, shown(got_, value), shown(expected_, value), fused};
  }

  Result<Graph> load() { return import_model(source_of(options_.model, options_.load)); }

  Result<std::vector<HostValue>> run(const std::vector<std::string>& names, bool add, const LoadOptions& load_options) {
    if (ends_with(options_.model, ".ingot"))
      return invalid("got the compiled file {}, expected a .onnx file", options_.model);
    Graph graph = TRY(load());
    std::map<std::string, Value*> values;
    for (const auto& node : graph.body.nodes)
      for (Value* v : node->outputs)
        if (v) values[v->name] = v;
    for (Value* v : graph.body.inputs) values[v->name] = v;
    for (Value* v : graph.body.outputs) values[v->name] = v;
    const std::vector<Value*> own = graph.body.outputs;
    graph.body.outputs.clear();
    for (const std::string& name : names) graph.body.outputs.push_back(values.at(name));
    if (add)
      for (Value* v : own)
        if (std::find(names.begin(), names.end(), v->name) == names.end()) graph.body.outputs.push_back(v);
    auto executable = TRY(make_executable(std::move(graph), load_options));
    return executable->call(inputs_);
  }

  const DiffOptions& options_;
  std::vector<Port> ports_;
  std::vector<HostValue> inputs_, got_, expected_;
  std::vector<Candidate> candidates_;
  std::vector<std::string> outputs_;
};

}  // namespace

Result<bool> diff(const DiffOptions& options) {
  Progress progress;
  progress.show("comparing " + options.model);
  Differ differ(options);
  if (auto prepared = differ.prepare(); !prepared) return std::move(prepared.error()).context("in " + options.model);
  auto compared = differ.compare_values(differ.outputs(), false);
  if (!compared) return std::move(compared.error()).context("in " + options.model);
  bool equal = true;
  Json j{{"model", options.model}, {"backend", backend_name(options.load.backend)}, {"outputs", Json::array()}};
  std::string text;
  for (size_t i = 0; i < compared->size(); ++i) {
    const Comparison& c = (*compared)[i];
    equal = equal && c.equal;
    j["outputs"].push_back(
        {{"name", differ.outputs()[i]},
         {"equal", c.equal},
         {"reason", printable(c.reason)},
         {"error_over_tolerance", std::isfinite(c.worst_error) ? Json(c.worst_error) : Json("inf")}});
    text += c.equal ? fmt::format("{}: agrees (error {:.3g} of the tolerance)\n", differ.outputs()[i], c.worst_error)
                    : fmt::format("{}: differs: {}\n", differ.outputs()[i], c.reason);
  }
  if (!equal) {
    progress.show("looking for the first node that differs");
    auto found = differ.first_divergence();
    if (!found) return std::move(found.error()).context("in " + options.model);
    if (*found) {
      const Finding& f = **found;
      j["first"] = {{"node", printable(f.node)},     {"op", printable(f.op)}, {"value", printable(f.value)},
                    {"reason", printable(f.reason)}, {"got", f.got},          {"expected", f.expected},
                    {"needs_fusion", f.fused}};
      text += fmt::format("first divergent node: '{}' ({}){}\n  value '{}' {}\n  got      {}\n  expected {}\n", f.node,
                          f.op, f.fused ? ", only when fused with its neighbours" : "", f.value, f.reason, f.got,
                          f.expected);
    } else {
      j["first"] = nullptr;
      text += "every value alone agrees: the difference needs several outputs of the model at once\n";
    }
  }
  progress.clear();
  j["equal"] = equal;
  fmt::print("{}", options.json ? j.dump(1) + "\n" : printable(text));
  return equal;
}

}  // namespace ingot::driver
