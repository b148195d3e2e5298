// ingot-opt: graph text in, the text after a pass out; for tests and for looking.
//
//   ingot-opt FILE [--until PASS] [--disable-pass PASS ...] [--target NAME]
//
// FILE ('-': standard input) holds a graph in its text form. Prints what PASS made (default: the last one of the part of the
// pipeline that knows no target; with --target the loops). `--list` prints the passes.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>

#include "compiler/compile.h"
#include "compiler/pipeline.h"
#include "compiler/targets.h"
#include "tools/driver/files.h"
#include "tools/driver/text.h"

namespace {

using namespace ingot;
using namespace ingot::driver;

struct Arguments {
  std::string file, until, target;
  std::vector<std::string> disabled;
  bool list = false;
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--list") {
      a.list = true;
    } else if (arg == "--until" || arg == "--target" || arg == "--disable-pass") {
      if (++i == argc) return std::nullopt;
      if (arg == "--until") a.until = argv[i];
      else if (arg == "--target") a.target = argv[i];
      else a.disabled.emplace_back(argv[i]);
    } else if (a.file.empty() && (arg[0] != '-' || arg == "-")) {
      a.file = arg;
    } else {
      return std::nullopt;
    }
  }
  if (a.file.empty() && !a.list) return std::nullopt;
  return a;
}

Result<std::string> transform(const Arguments& a) {
  const std::string text =
      a.file == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : TRY(read_file(a.file));
  Graph graph = TRY(parse_graph(text));
  std::string shown;
  bool found = a.until.empty();
  PipelineOptions pipeline;
  pipeline.disabled = a.disabled;
  pipeline.after = [&](std::string_view pass, double, const std::function<std::string()>& made) {
    if (a.until.empty() || pass == a.until) shown = made(), found = true;
  };
  Compilation model(pipeline, ModelSource(std::move(graph)));
  TRY(run_passes(model, Scope::Model));
  if (!a.target.empty()) {
    Compilation image = model.for_target(*TRY(targets_named({a.target})).front());
    TRY(run_passes(image, Scope::Target, a.until.empty() ? "schedule" : std::string_view()));
  }
  if (!found) return invalid("no pass '{}' ran; --list names them", a.until);
  return shown;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs("usage: ingot-opt FILE [--until PASS] [--disable-pass PASS ...] [--target NAME] | --list\n", stderr);
    return 2;
  }
  if (arguments->list) {
    for (const std::string& name : pass_names()) std::printf("%s\n", name.c_str());
    return 0;
  }
  const auto text = transform(*arguments);
  if (!text) {
    fmt::print(stderr, "error: {}\n", error_text(text.error().message));
    return 1;
  }
  fmt::print("{}{}", *text, text->ends_with('\n') ? "" : "\n");
  return 0;
}
