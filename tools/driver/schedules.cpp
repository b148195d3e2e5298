// See schedules.h. What a kernel is expected to reach is a roofline of two lines: its inner loop begins multiply-adds in so
// many of the cycles (the schedule knows), and what it touches must come from a cache. The caches are those of a typical core.
#include "tools/driver/schedules.h"

#include "tools/driver/compile.h"
#include "tools/driver/text.h"

namespace ingot::driver {

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

std::string amount(const std::string& number, const char* unit) {
  char* end = nullptr;
  const double n = std::strtod(number.c_str(), &end);
  if (number.empty() || *end) return fmt::format("{} {}", number.empty() ? "?" : number, unit);
  if (n >= 1e9) return fmt::format("{:.2f} G{}", n / 1e9, unit);
  if (n >= 1e6) return fmt::format("{:.2f} M{}", n / 1e6, unit);
  if (n >= 1e3) return fmt::format("{:.1f} k{}", n / 1e3, unit);
  return fmt::format("{:.0f} {}", n, unit);
}

std::string text_or_number(const Json& j) { return j.is_string() ? j.get<std::string>() : j.dump(); }

}  // namespace

std::string arena_text(int64_t bytes, int64_t lower_bound) {
  if (bytes < 0) return "known when run";
  return bytes_text(bytes) + (lower_bound < 0 ? "" : fmt::format(" (lower bound {})", bytes_text(lower_bound)));
}

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

std::vector<int64_t> weights_of_kernels(std::string_view manifest, std::string_view target) {
  std::vector<int64_t> weights;
  const Json j = Json::parse(manifest, nullptr, false);
  if (!j.is_object() || !j.contains("targets") || !j["targets"].is_array()) return weights;
  for (const Json& t : j["targets"]) {
    if (!t.is_object() || !t.contains("name") || t["name"] != target || !t.contains("schedules")) continue;
    const Json& schedules = t["schedules"];
    if (!schedules.is_object() || !schedules.contains("kernels") || !schedules["kernels"].is_array()) continue;
    for (const Json& k : schedules["kernels"]) {
      const bool known = k.is_object() && k.contains("weight_bytes") && k["weight_bytes"].is_number_integer();
      weights.push_back(known ? k["weight_bytes"].get<int64_t>() : 0);
    }
    return weights;
  }
  return weights;
}

void add_measured(Json& schedules, const KernelProfile& profile) {
  for (const KernelRow& r : profile.rows) {
    if (r.index >= schedules["kernels"].size()) continue;
    schedules["kernels"][r.index]["measured"] = {
        {"ms", r.ms}, {"gflops", r.gflops}, {"gbytes_per_s", r.gbytes}, {"level", r.level}, {"share_of_peak", r.share}};
  }
}

std::string schedules_text(const Json& j) {
  std::string text = fmt::format("image {}\n", j.value("target", ""));
  size_t index = 0;
  for (const Json& k : j["kernels"]) {
    const std::string node = k.value("node", "");
    text += fmt::format("\n{} {}{}\n  schedule  {}\n", index++, k.value("name", ""), node.empty() ? "" : "  of " + node,
                        k.value("schedule", ""));
    if (k.contains("why")) text += fmt::format("  why       {}\n", k["why"].get<std::string>());
    if (k.contains("fused")) {
      std::string names;
      for (const Json& f : k["fused"]) names += (names.empty() ? "" : ", ") + f.get<std::string>();
      text += fmt::format("  fused     {}\n", names);
    }
    if (k.contains("operands")) {
      const char* head = "operands";
      for (const Json& o : k["operands"]) {
        text += fmt::format("  {:<8}  {}\n", head, o.get<std::string>());
        head = "";
      }
    }
    if (k.contains("flops")) {
      text += fmt::format("  work      {}, {}", amount(k["flops"], "FLOP"), amount(k["bytes"], "B"));
      if (k.contains("expected_share"))
        text += fmt::format("; expected {:.0f}% of the multiply-add rate{}", 100 * k["expected_share"].get<double>(),
                            k.value("expected_limit", "") == "memory" ? ", bound by memory" : "");
      text += "\n";
    }
    if (k.contains("measured")) {
      const Json& m = k["measured"];
      text += fmt::format("  measured  {:.4f} ms, {:.2f} GFLOP/s, {:.2f} GB/s from {}, {:.1f}% of peak\n",
                          m["ms"].get<double>(), m["gflops"].get<double>(), m["gbytes_per_s"].get<double>(),
                          m["level"].get<std::string>(), 100 * m["share_of_peak"].get<double>());
    }
  }
  const Json& arena = j["arena_bytes"];
  const Json& least = j["arena_lower_bound"];
  text += fmt::format("\narena {}\n", arena.is_string() ? arena.get<std::string>() + " bytes"
                                                        : arena_text(arena.get<int64_t>(),
                                                                     least.is_null() ? -1 : least.get<int64_t>()));
  if (!j["arena"].empty()) text += fmt::format("  {:>12} {:>12} {:>13}  value\n", "offset", "bytes", "launches");
  for (const Json& s : j["arena"])
    text += fmt::format("  {:>12} {:>12} {:>6}..{:<5}  {}\n", text_or_number(s["offset"]), text_or_number(s["bytes"]),
                        s["alive"][0].get<int>(), s["alive"][1].get<int>(), s["value"].get<std::string>());
  return text;
}

}  // namespace ingot::driver
