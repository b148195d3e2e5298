// See schedules.h.
#include "tools/driver/schedules.h"

#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;

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
