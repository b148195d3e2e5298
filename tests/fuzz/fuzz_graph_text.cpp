// Any bytes: parse_graph gives an error or a graph; a graph prints, and its text reads back to the same text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ir/graph/graph.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto graph = ingot::parse_graph(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!graph) return 0;
  std::string text = ingot::str(*graph);
  auto again = ingot::parse_graph(text);
  if (!again || ingot::str(*again) != text) std::abort();
  if (ingot::verify(*graph)) (void)ingot::str(*graph, true);
  return 0;
}
