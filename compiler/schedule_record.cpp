// See schedule_record.h. What a kernel is expected to reach is a roofline of two lines: its inner loop begins multiply-adds in
// so many of the cycles (the schedule knows), and what it touches must come from a cache. The caches are those of a typical
// core.
#include "compiler/schedule_record.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "compiler/model_file.h"
#include "support/text.h"

namespace ingot {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kBytesPerCycleL2 = 32, kBytesPerCycleL3 = 8, kBytesPerCycleMemory = 4;
constexpr double kTypicalL3 = 32 << 20;

double bytes_per_cycle(double apart, const Target& t) {
  return apart <= static_cast<double>(t.l2_bytes) ? kBytesPerCycleL2
         : apart <= kTypicalL3                    ? kBytesPerCycleL3
                                                  : kBytesPerCycleMemory;
}

// Share of the multiply-add rate; 0: unknown, as extents are. Weights come again when all of the model's were read.
double expected_share(const l::KernelNotes& notes, const std::string& flops_text, const std::string& bytes_text,
                      double weights, double all_weights, const Target& t, bool& by_memory) {
  char* end = nullptr;
  const double flops = std::strtod(flops_text.c_str(), &end);
  if (flops_text.empty() || *end) return 0;
  const double bytes = std::strtod(bytes_text.c_str(), &end);
  if (bytes_text.empty() || *end || flops <= 0 || notes.issue <= 0) return 0;
  const double at_best = flops / (2.0 * t.vector_bits / 32 * t.fma_ports);
  weights = std::min(weights, bytes);
  const double memory =
      (bytes - weights) / bytes_per_cycle(bytes, t) + weights / bytes_per_cycle(std::max(bytes, all_weights), t);
  by_memory = memory > at_best / notes.issue;
  return at_best / std::max(memory, at_best / notes.issue);
}

Json dim_json(const Dim& d) { return d.is_constant() ? Json(d.value()) : Json(printable(d.str())); }

}  // namespace

Json schedules_json(const l::Program& p, const Target& target) {
  Json j{{"target", std::string(target.name)}, {"kernels", Json::array()}};
  const std::vector<ModelFile::Kernel> table = kernel_table(p);
  double all_weights = 0;
  for (const l::Kernel& k : p.kernels) all_weights += static_cast<double>(k.weight_bytes);
  for (size_t k = 0; k < table.size(); ++k) {
    auto name_of = [&](int node) {
      return node >= 0 && static_cast<size_t>(node) < p.origins.size() ? printable(p.origins[static_cast<size_t>(node)])
                                                                       : std::string();
    };
    Json row{{"name", printable(table[k].name)},
             {"node", name_of(table[k].node)},
             {"schedule", printable(table[k].schedule)}};
    if (k < p.kernels.size()) {
      const l::KernelNotes& notes = p.kernels[k].notes;
      Json fused = Json::array();
      for (int node : notes.nodes)
        if (node != table[k].node && !name_of(node).empty()) fused.push_back(name_of(node));
      if (!notes.why.empty()) row["why"] = printable(notes.why);
      if (!fused.empty()) row["fused"] = std::move(fused);
      row["operands"] = Json::array();
      for (const std::string& o : notes.operands) row["operands"].push_back(printable(o));
      row["flops"] = printable(table[k].flops), row["bytes"] = printable(table[k].bytes);
      row["weight_bytes"] = p.kernels[k].weight_bytes;
      bool by_memory = false;
      const double share =
          expected_share(notes, table[k].flops, table[k].bytes, static_cast<double>(p.kernels[k].weight_bytes),
                         all_weights, target, by_memory);
      if (share > 0) {
        row["expected_share"] = std::round(share * 1000) / 1000;
        row["expected_limit"] = by_memory ? "memory" : "compute";
      }
    }
    j["kernels"].push_back(std::move(row));
  }
  j["arena_bytes"] = dim_json(p.arena_bytes);
  j["arena_lower_bound"] = p.arena_lower_bound < 0 ? Json(nullptr) : Json(p.arena_lower_bound);
  j["arena"] = Json::array();
  for (const l::ArenaSlot& s : p.arena_plan)
    j["arena"].push_back({{"value", printable(p.buffers[static_cast<size_t>(s.buffer)].name)},
                          {"offset", dim_json(s.offset)},
                          {"bytes", dim_json(s.bytes)},
                          {"alive", {s.first, s.last}}});
  return j;
}

}  // namespace ingot
