// The tables of README.md and docs/*.md that follow from code: what stands between `<!-- NAME: begin -->` and
// `<!-- NAME: end -->` is made here.
//
//   document_tables --check     fails where a document says something else, or names a file that is not there
//   document_tables --update    rewrites the documents
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "backends/llvm/target.h"
#include "compiler/pipeline.h"
#include "frontend/onnx/import.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/tensor.h"
#include "ir/dim_internal.h"
#include "ir/ops/def.h"
#include "passes/kernels/passes.h"
#include "runtime/abi.h"
#include "runtime/format.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

std::string code(std::string_view text) { return fmt::format("`{}`", text); }

std::string operators() {
  std::string table = "| family | count | operators |\n|---|---|---|\n";
  size_t total = 0;
  for (std::string_view family : op_families()) {
    std::vector<std::string> names;
    for (const OpDef& op : all_ops())
      if (op.family == family) names.push_back(code(op.name));
    table += fmt::format("| {} | {} | {} |\n", family, names.size(), fmt::join(names, " "));
    total += names.size();
  }
  return table + fmt::format("| | {} | |\n", total);
}

std::string targets() {
  std::string table = "| target | machine | vectors | needs | ordered for |\n|---|---|---|---|---|\n";
  for (const Target& t : all_targets()) {
    const auto defaults = default_targets(t.arch);
    const bool by_default = std::find(defaults.begin(), defaults.end(), &t) != defaults.end();
    std::string needs = t.feature_names();
    for (size_t at = 0; (at = needs.find(' ', at)) != needs.npos; at += 3) needs.replace(at, 1, "` `");
    table += fmt::format("| {}{} | {} | {} | {} | {} |\n", code(t.name), by_default ? " \\*" : "",
                         t.arch == Arch::X86_64 ? "x86-64" : "AArch64",
                         t.kernels == Target::Kernels::OpenCl
                             ? "of the device"
                             : fmt::format("{} x {} bit", t.vector_registers, t.vector_bits),
                         code(needs), t.tune.empty() ? "" : code(t.tune));
  }
  return table;
}

// A power of two as one, where that reads better.
std::string number(int64_t n) {
  int bits = 0;
  while (bits < 62 && int64_t{1} << bits < n) ++bits;
  return n > 4096 && int64_t{1} << bits == n ? fmt::format("2^{}", bits) : std::to_string(n);
}

std::string limits() {
  struct Limit {
    std::string_view what;
    std::string value;
    std::string_view name, file;
  };
  const Limit list[] = {
      {"operator sets of `ai.onnx`", fmt::format("{} to {}", onnx::kMinOpset, onnx::kMaxOpset), "kMaxOpset",
       "frontend/onnx/import.h"},
      {"operator sets of `ai.onnx.ml`", fmt::format("1 to {}", onnx::kMaxMlOpset), "kMaxMlOpset",
       "frontend/onnx/import.h"},
      {"IR versions", fmt::format("1 to {}", onnx::kMaxIrVersion), "kMaxIrVersion", "frontend/onnx/import.h"},
      {"nodes of a model, functions expanded", number(onnx::kMaxNodes), "kMaxNodes", "frontend/onnx/import.h"},
      {"graphs and functions in each other", number(onnx::kMaxNesting), "kMaxNesting", "frontend/onnx/import.h"},
      {"messages in messages of a file", number(onnx::kMaxMessageDepth), "kMaxMessageDepth", "frontend/onnx/proto.h"},
      {"messages of a file", number(onnx::kMaxMessages), "kMaxMessages", "frontend/onnx/proto.h"},
      {"elements of a tensor", number(onnx::kMaxTensorElements), "kMaxTensorElements", "frontend/onnx/tensor.h"},
      {"elements of a sparse constant, written out", number(onnx::kMaxSparseElements), "kMaxSparseElements",
       "frontend/onnx/tensor.h"},
      {"dimensions of a tensor", number(INGOT_MAX_RANK), "INGOT_MAX_RANK", "runtime/abi.h"},
      {"terms of an extent", number(kMaxDimTerms), "kMaxDimTerms", "ir/dim_internal.h"},
      {"atoms of an extent", number(kMaxDimSize), "kMaxDimSize", "ir/dim_internal.h"},
      {"sections of an `.ingot` file", number(INGOT_FILE_MAX_SECTIONS), "INGOT_FILE_MAX_SECTIONS", "runtime/format.h"},
  };
  std::string table = "| what | at most | constant | in |\n|---|---|---|---|\n";
  for (const Limit& l : list)
    table += fmt::format("| {} | {} | {} | {} |\n", l.what, l.value, code(l.name), code(l.file));
  return table;
}

std::string passes() {
  std::string table = "| pass | runs | makes | `--disable-pass` |\n|---|---|---|---|\n";
  auto level = [](Level l) {
    switch (l) {
      case Level::Graph: return "G";
      case Level::Kernels: return "K";
      case Level::Loops: return "L";
      case Level::Image: return "code";
    }
    return "";
  };
  for (const Pass& p : all_passes())
    table += fmt::format("| {} | once per {} | {} | {} |\n", code(p.name), p.scope == Scope::Model ? "model" : "target",
                         level(p.makes), p.optional ? "yes" : "");
  for (std::string_view s : optional_schedules())
    table += fmt::format("| {} | a kind of schedule, in `schedule` | | yes |\n", code(s));
  return table;
}

const std::map<std::string, std::string (*)()> kTables = {
    {"operators", operators}, {"targets", targets}, {"limits", limits}, {"passes", passes}};

// The document with its tables made anew.
Result<std::string> with_tables(const std::string& text, std::map<std::string, int>& seen) {
  const std::string_view begin = ": begin -->\n";
  std::string out;
  size_t done = 0;
  for (size_t at = 0; (at = text.find(begin, at)) != text.npos;) {
    const size_t open = text.rfind("<!-- ", at);
    if (open == text.npos || open < done) return invalid("a table's begin has no name");
    const std::string name = text.substr(open + 5, at - open - 5);
    const auto table = kTables.find(name);
    if (table == kTables.end()) return invalid("there is no table '{}'", name);
    at += begin.size();
    const size_t end = text.find(fmt::format("<!-- {}: end -->", name), at);
    if (end == text.npos) return invalid("table '{}' has no end", name);
    out += text.substr(done, at - done) + table->second();
    ++seen[name];
    done = at = end;
  }
  return out + text.substr(done);
}

// `passes/schedule/narrow.cpp`: a path below a folder of the repository, with an extension.
bool is_path(std::string_view text, const fs::path& root) {
  const size_t slash = text.find('/'), dot = text.rfind('.');
  if (slash == text.npos || slash == 0 || dot == text.npos || dot < text.rfind('/')) return false;
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '/' || c == '.' || c == '-';
  });
  return plain && !text.starts_with("build/") && fs::is_directory(root / text.substr(0, slash));
}

// Files that the document links to, or names in backquotes, outside of blocks of code, and that do not exist.
std::vector<std::string> missing_files(const fs::path& document, const fs::path& root, const std::string& text) {
  std::vector<std::string> missing;
  std::istringstream lines(text);
  bool code_block = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) code_block = !code_block;
    if (code_block) continue;
    for (size_t at = 0; (at = line.find("](", at)) != line.npos; ++at) {
      const size_t from = at + 2, end = line.find_first_of("# )", from);
      const std::string to = line.substr(from, end == line.npos ? 0 : end - from);
      if (!to.empty() && to.find("://") == to.npos && !fs::exists(document.parent_path() / to)) missing.push_back(to);
    }
    for (size_t at = 0, end = 0; (at = line.find('`', at)) != line.npos; at = end + 1) {
      if ((end = line.find('`', at + 1)) == line.npos) break;
      const std::string name = line.substr(at + 1, end - at - 1);
      if (is_path(name, root) && !fs::exists(root / name)) missing.push_back(name);
    }
  }
  return missing;
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string first_difference(const std::string& is, const std::string& expected) {
  std::istringstream a(is), b(expected);
  std::string got, want;
  for (int line = 1;; ++line) {
    const bool more_got = static_cast<bool>(std::getline(a, got)), more = static_cast<bool>(std::getline(b, want));
    if (!more && !more_got) return "";
    if (got != want || more != more_got) return fmt::format("line {}: got\n  {}\nexpected\n  {}", line, got, want);
  }
}

int run(bool update) {
  const fs::path root = INGOT_SOURCE_DIR;
  std::vector<fs::path> documents;
  for (const fs::path& folder : {root, root / "docs"})
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".md") documents.push_back(entry.path());
  std::sort(documents.begin(), documents.end());
  int bad = 0;
  std::map<std::string, int> seen;
  auto complain = [&](const fs::path& path, const std::string& what) {
    fmt::print(stderr, "{}: {}\n", fs::relative(path, root).string(), what);
    ++bad;
  };
  for (const fs::path& path : documents) {
    const std::string text = read(path);
    const auto made = with_tables(text, seen);
    if (!made) {
      complain(path, made.error().message);
      continue;
    }
    for (const std::string& file : missing_files(path, root, text))
      complain(path, "names " + file + ", which does not exist");
    if (*made == text) continue;
    if (update) std::ofstream(path, std::ios::binary) << *made;
    else complain(path, first_difference(text, *made) + "\n`build/bin/document_tables --update` rewrites it");
  }
  for (const auto& [name, make] : kTables)
    if (!seen.count(name)) complain(root, "no document has the table '" + name + "'");
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ingot

int main(int argc, char** argv) {
  const std::string_view mode = argc == 2 ? argv[1] : "";
  if (mode != "--check" && mode != "--update") {
    std::fprintf(stderr, "usage: document_tables --check | --update\n");
    return 2;
  }
  return ingot::run(mode == "--update");
}
