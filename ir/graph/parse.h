// Reads the text form of a graph with a given table of ops. Errors name line and column. See ir/graph/text.cpp.
#pragma once

#include "ir/graph/graph.h"
#include "ir/graph/op_def.h"

namespace ingot {

Result<Graph> parse_graph(std::string_view text, OpLookup find);

}  // namespace ingot
