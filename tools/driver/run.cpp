// `ingot run`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tools/driver/commands.h"
#include "tools/driver/files.h"
#include "tools/driver/npy.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

using Json = nlohmann::ordered_json;
constexpr int64_t kMaxTopRows = 100;

std::string file_name(const std::string& name) {
  std::string safe;
  for (char c : name) safe += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ? c : '_';
  if (safe.empty() || safe[0] == '.') safe = "_" + safe;
  return safe;
}

// Saves a tensor as NAME.npy, items of anything else as NAME.0.npy, NAME.1.npy, ...; an empty one leaves no file.
Result<void> save(const HostValue& value, const std::string& dir, const std::string& name) {
  if (!value.is_tensor()) {
    for (size_t i = 0; i < value.items.size(); ++i) TRY(save(value.items[i], dir, fmt::format("{}.{}", name, i)));
    return {};
  }
  std::string note;
  TRY(write_file(dir + "/" + name + ".npy", format_npy(*value.tensor, &note)));
  if (!note.empty()) fmt::print(stderr, "note: {}.npy: {}\n", name, note);
  return {};
}

struct Ranked {
  int64_t row, index;
  double value;
};

std::vector<Ranked> largest(const TensorData& t, int top) {
  std::vector<Ranked> all;
  const int64_t columns = t.dims.empty() ? 1 : t.dims.back();
  const int64_t rows = columns > 0 ? t.elements() / columns : 0;
  for (int64_t r = 0; r < std::min(rows, kMaxTopRows); ++r) {
    std::vector<int64_t> order(static_cast<size_t>(columns));
    std::iota(order.begin(), order.end(), int64_t{0});
    auto value = [&](int64_t i) {
      const double v = t.number(r * columns + i);
      return std::isnan(v) ? -HUGE_VAL : v;
    };
    const auto keep = std::min<int64_t>(top, columns);
    std::partial_sort(order.begin(), order.begin() + keep, order.end(),
                      [&](int64_t a, int64_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
    for (int64_t k = 0; k < keep; ++k)
      all.push_back({r, order[static_cast<size_t>(k)], t.number(r * columns + order[static_cast<size_t>(k)])});
  }
  return all;
}

Result<std::vector<std::string>> read_labels(const std::string& path) {
  std::vector<std::string> labels;
  if (path.empty()) return labels;
  const std::string text = TRY(read_file(path, int64_t{16} << 20));
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    labels.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return labels;
}

Json value_json(const HostValue& value, int64_t max_elements) {
  Json j{{"type", value.type().str()}};
  if (!value.is_tensor()) {
    j["items"] = Json::array();
    for (const HostValue& item : value.items) j["items"].push_back(value_json(item, max_elements));
    return j;
  }
  const TensorData& t = *value.tensor;
  j["shape"] = t.dims;
  Json elements = Json::array();
  const int64_t n = t.elements();
  for (int64_t i = 0; i < std::min(n, max_elements); ++i) {
    if (t.dtype == DType::String) {
      elements.push_back(printable(t.strings[static_cast<size_t>(i)]));
    } else if (is_float(t.dtype)) {
      const double v = t.number(i);
      elements.push_back(std::isfinite(v) ? Json(v) : Json(std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf"));
    } else if (!is_complex(t.dtype)) {
      elements.push_back(t.integer(i));
    }
  }
  j["elements"] = elements;
  if (n > max_elements) j["elements_left_out"] = n - max_elements;
  return j;
}

}  // namespace

Result<void> run(const RunOptions& options) {
  const std::vector<std::string> labels = TRY(read_labels(options.labels_path));
  Progress progress;
  progress.show("loading " + options.model);
  const double start = now_seconds();
  auto executable = TRY(load_executable(options.model, options.load));
  const double loaded = now_seconds();
  auto body = [&]() -> Result<std::vector<HostValue>> {
    TRY(executable->bind(TRY(gather_inputs(executable->inputs(), options.inputs))));
    return std::vector<HostValue>{};
  };
  if (auto bound = body(); !bound) return std::move(bound.error()).context("in " + options.model);
  const double ready = now_seconds();
  if (auto ran = executable->run(); !ran) return std::move(ran.error()).context("in " + options.model);
  const double done = now_seconds();
  const std::vector<HostValue> outputs = TRY(executable->fetch());
  progress.clear();

  if (!options.output_dir.empty()) {
    TRY(make_directory(options.output_dir));
    for (size_t i = 0; i < outputs.size(); ++i)
      TRY(save(outputs[i], options.output_dir, file_name(executable->outputs()[i].name)));
  }
  if (options.json) {
    Json j{{"model", options.model},
           {"runs_on", executable->description()},
           {"load_ms", (loaded - start) * 1e3},
           {"run_ms", (done - ready) * 1e3}};
    j["outputs"] = Json::object();
    for (size_t i = 0; i < outputs.size(); ++i)
      j["outputs"][executable->outputs()[i].name] = value_json(outputs[i], 1000);
    fmt::print("{}\n", j.dump(1));
    return {};
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Port& port = executable->outputs()[i];
    fmt::print("{}: {}\n", printable(port.name), printable(str(outputs[i], options.top > 0 ? 0 : 16)));
    if (options.top <= 0 || !outputs[i].is_tensor() || outputs[i].tensor->dtype == DType::String) continue;
    for (const Ranked& r : largest(*outputs[i].tensor, options.top)) {
      const auto index = static_cast<size_t>(r.index);
      fmt::print("  {:<12} {:.4f}\n", index < labels.size() ? labels[index] : fmt::format("[{}]", r.index), r.value);
    }
  }
  fmt::print("ran in {} ({}; load {})\n", duration_text(done - ready), executable->description(),
             duration_text(loaded - start));
  return {};
}

}  // namespace ingot::driver
