// Every operator that a model may name has a call with expected numbers in this folder.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/ops/op_run.h"

namespace ingot {
namespace {

// These call operators without stating numbers: hostile calls, empty ones, and what is known of extents.
const std::vector<std::string> kWithoutNumbers = {"strangers_test.cpp", "empty_test.cpp", "known_extents_test.cpp",
                                                  "symbolic_test.cpp", "numeric_cases_test.cpp"};

std::vector<std::string> sources() {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(INGOT_SOURCE_DIR "/tests/ops")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with("_test.cpp") || std::count(kWithoutNumbers.begin(), kWithoutNumbers.end(), name)) continue;
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    texts.push_back(text.str());
  }
  return texts;
}

// "op" as what is called: neither a string of an attribute, nor the name of one, nor a call that must fail.
bool is_called(const std::string& text, const std::string& op) {
  const std::string quoted = '"' + op + '"';
  for (size_t at = 0; (at = text.find(quoted, at)) != text.npos; at += quoted.size()) {
    const std::string_view before = std::string_view(text).substr(0, at),
                           after = std::string_view(text).substr(at + quoted.size());
    if (before.ends_with("std::string(") || before.ends_with("error_of(")) continue;
    const size_t value = after.starts_with(",") ? after.find_first_not_of(", \n") : after.npos;
    const std::string_view next = value == after.npos ? std::string_view() : after.substr(value);
    const bool attribute = before.ends_with("{") && !next.empty() &&
                           (next.starts_with("int64_t") || next.starts_with("std::") || next.starts_with("I{") ||
                            next[0] == '-' || std::isdigit(static_cast<unsigned char>(next[0])));
    if (!attribute) return true;
  }
  return false;
}

// " = op ..." in the text of a graph.
bool is_in_a_graph(const std::string& text, const std::string& op) {
  for (const char* end : {" ", "\n"})
    if (text.find(" = " + op + end) != text.npos) return true;
  return false;
}

TEST(NumericCases, EveryOperatorHasOne) {
  const std::vector<std::string> texts = sources();
  std::string missing;
  for (const OpDef& op : all_ops()) {
    if (op.family.empty()) continue;
    const std::string name(op.name);
    const bool has = std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
      return is_called(text, name) || is_in_a_graph(text, name);
    });
    if (!has) missing += " " + name;
  }
  EXPECT_EQ(missing, "") << "add a row to a table of tests/ops/numeric_*_test.cpp";
}

}  // namespace
}  // namespace ingot
