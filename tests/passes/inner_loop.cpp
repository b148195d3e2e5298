// See inner_loop.h. A loop is the text between a label and a branch back to it; the innermost ones hold no other.
#include "tests/passes/inner_loop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace ingot::test {

namespace {

constexpr int kIterations = 400;

struct Line {
  std::string text;
  std::string label;  // of a line that defines one
};

std::vector<Line> lines_of(const std::string& assembly, Arch arch) {
  std::vector<Line> lines;
  std::istringstream in(assembly);
  for (std::string text; std::getline(in, text);) {
    if (const size_t at = text.find(arch == Arch::AArch64 ? "//" : "#"); at != text.npos) text.erase(at);
    while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
    if (text.empty()) continue;
    if (!isspace(static_cast<unsigned char>(text[0]))) {
      if (text.back() == ':') lines.push_back({"", text.substr(0, text.size() - 1)});
      continue;
    }
    const size_t begin = text.find_first_not_of(" \t");
    if (text[begin] != '.') lines.push_back({text.substr(begin), ""});
  }
  return lines;
}

std::string mnemonic(const std::string& instruction) { return instruction.substr(0, instruction.find_first_of(" \t")); }

// The label that a branch goes to.
std::string branch_target(const std::string& instruction, Arch arch) {
  const std::string m = mnemonic(instruction);
  const bool branch = arch == Arch::X86_64
                          ? m[0] == 'j'
                          : m == "b" || m.starts_with("b.") || m.starts_with("cb") || m.starts_with("tb");
  if (!branch) return "";
  return instruction.substr(instruction.find_last_of(" \t,") + 1);
}

void count(InnerLoop& loop, Arch arch) {
  for (const std::string& i : loop.instructions) {
    const std::string m = mnemonic(i);
    loop.prefetches += m.starts_with("prf") || m.starts_with("prefetch");
    if (arch == Arch::AArch64) {
      loop.multiply_adds += m == "fmla" || (m == "fmul" && i.find(".4s") != i.npos);
      if (m.starts_with("ld")) loop.loads += m.starts_with("ldp") ? 2 : 1;
      loop.stack += i.find("[sp") != i.npos;
    } else {
      loop.multiply_adds += (m.starts_with("vfmadd") || m == "vmulps") && m.ends_with("ps");
      const bool reads =
          i.find('(') != i.npos && !m.starts_with("prefetch") && !m.starts_with("lea") && i.back() != ')';
      loop.loads += reads;
      loop.stack += i.find("(%rsp)") != i.npos;
    }
  }
}

std::string output_of(const std::string& command) {
  std::string text;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
    pclose(pipe);
  }
  return text;
}

}  // namespace

std::optional<InnerLoop> busiest_loop(const std::string& assembly, Arch arch) {
  const std::vector<Line> lines = lines_of(assembly, arch);
  std::map<std::string, size_t> labels;
  std::vector<std::pair<size_t, size_t>> spans;  // label, branch back to it
  for (size_t k = 0; k < lines.size(); ++k) {
    if (!lines[k].label.empty()) {
      labels[lines[k].label] = k;
    } else if (auto it = labels.find(branch_target(lines[k].text, arch)); it != labels.end()) {
      spans.push_back({it->second, k});
    }
  }
  std::vector<InnerLoop> loops;
  for (const auto& [begin, end] : spans) {
    InnerLoop loop;
    bool innermost = true;
    for (const auto& [b, e] : spans) {
      innermost &= !(begin <= b && e < end);
      loop.depth += b <= begin && end <= e;
    }
    if (!innermost) continue;
    for (size_t k = begin; k <= end; ++k)
      if (lines[k].label.empty()) loop.instructions.push_back(lines[k].text);
    count(loop, arch);
    if (loop.multiply_adds > 0) loops.push_back(std::move(loop));
  }
  int most = 0;
  for (const InnerLoop& l : loops) most = std::max(most, l.multiply_adds);
  std::optional<InnerLoop> best;
  for (InnerLoop& l : loops) {
    if (2 * l.multiply_adds < most) continue;
    if (!best || std::pair(l.depth, l.multiply_adds) > std::pair(best->depth, best->multiply_adds)) best = std::move(l);
  }
  return best;
}

std::optional<Core> Core::find(Arch arch, const std::string& cpu) {
  Core core;
  for (const char* name : {"llvm-mca-22", "llvm-mca"}) {
    if (core.tool_.empty() && !output_of(fmt::format("command -v {}", name)).empty()) core.tool_ = name;
  }
  if (core.tool_.empty()) return std::nullopt;
  core.triple_ = arch == Arch::AArch64 ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  core.cpu_ = cpu;
  std::vector<std::string> products, loads;
  for (int k = 0; k < 12; ++k) {
    products.push_back(arch == Arch::AArch64 ? fmt::format("fmla v{}.4s, v30.4s, v31.4s", k)
                                             : fmt::format("vfmadd231ps %ymm15, %ymm14, %ymm{}", k));
    loads.push_back(arch == Arch::AArch64 ? fmt::format("ldr q{}, [x0, #{}]", k, 16 * k)
                                          : fmt::format("vmovups {}(%rax), %ymm{}", 32 * k, k));
  }
  if (arch == Arch::AArch64) {  // a longer latency needs more accumulators
    for (int k = 12; k < 30; ++k) products.push_back(fmt::format("fmla v{}.4s, v30.4s, v31.4s", k));
  }
  core.multiply_adds_ = static_cast<double>(products.size()) / core.cycles(products);
  core.loads_ = static_cast<double>(loads.size()) / core.cycles(loads);
  return core;
}

double Core::cycles(const std::vector<std::string>& instructions) const {
  std::string path = (std::filesystem::temp_directory_path() / "ingot-mca-XXXXXX").string();
  const int fd = mkstemp(path.data());
  if (fd < 0) return 0;
  close(fd);
  std::ofstream out(path);
  for (const std::string& i : instructions) out << "\t" << i << "\n";
  out.close();
  const std::string text =
      output_of(fmt::format("{} -mtriple={} -mcpu={} -iterations={} {} 2>&1", tool_, triple_, cpu_, kIterations, path));
  std::filesystem::remove(path);
  const size_t at = text.find("Total Cycles:");
  if (at == text.npos) {
    fmt::print(stderr, "{}\n", text.substr(0, 2000));
    return 0;
  }
  return std::atof(text.c_str() + at + 13) / kIterations;
}

}  // namespace ingot::test
