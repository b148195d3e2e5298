// ONNX -> G.
//
// The graph that comes out uses the newest operator set only: every node of an older one is rewritten (upgrade.h),
// model functions are expanded in place, Constant nodes and initializers are constants, an output that nobody reads is
// null. Operator sets: ai.onnx 1 to 28, ai.onnx.ml 1 to 5, com.microsoft 1. Training domains are refused.
//
// * An initializer that is also a graph input is an input that may stay unset (Value::fallback), or a constant: see
//   ListedInitializers.
// * A named extent of an input becomes a symbol: one per name; an expression such as `past + 1` of names that stand
// alone
//   elsewhere is that expression. An extent without a name becomes the symbol INPUT_K for axis K.
// * Declared shapes of outputs and types of intermediate values are ignored: inference knows better. Declared element types of
//   outputs are kept (Graph::declared), for the check after inference.
// * Nodes may stand in any order; a cycle is an error.
// * An unsupported model gives one error that lists every kind of node that is not supported.
#pragma once

#include <functional>
#include <map>

#include "frontend/onnx/wire.h"
#include "ir/graph/graph.h"

namespace ingot {

namespace onnx {

// IR versions only add to the format, so that a version after the newest is read, too; beyond this it is no version.
inline constexpr int64_t kMaxIrVersion = 1000;
inline constexpr int64_t kMinOpset = 1, kMaxOpset = 28, kMaxMlOpset = 5;
inline constexpr int64_t kMaxNodes = int64_t{1} << 18;  // imported, after expansion of functions
inline constexpr int kMaxNesting = 100;  // graphs in graphs and functions in functions, together

}  // namespace onnx

// What becomes of initializers that are inputs of the graph as well. Strings are always constants.
enum class ListedInitializers : uint8_t {
  // Constants before IR version 4, which had to list all weights, and in a model that lists all its initializers although
  // they hold more than kListedByHabitBytes: exporters kept that habit, and weights that may change cannot be packed or folded.
  // Otherwise inputs; but where operators then lack a constant that they need, the integers are constants, or all.
  Auto,
  Inputs,
  FloatsOnly,  // integers and bools, which decide shapes, are constants
  Constants,
};
inline constexpr int64_t kListedByHabitBytes = 64 << 10;

struct ImportOptions {
  std::map<std::string, int64_t> dims;  // fixes a named extent; INPUT_K for one without a name
  std::map<std::string, Type> input_types;  // replaces the declared type of an input; the way to give a missing shape
  ListedInitializers listed = ListedInitializers::Auto;
  std::vector<std::string> data_folders;  // where external data may lie; import_onnx_file sets it
  std::function<const OpDef*(std::string_view)> find_op;  // the op table by default
};

// What a model declares, without importing it: for listings, and for tools that must know the kinds of the inputs
// before they can give the shapes that the model leaves out.
struct OnnxSummary {
  struct Input {
    std::string name;
    Type type;  // free extents are symbols; a tensor without a shape has rank 0 and `has_shape` false
    bool has_shape = true;
    bool is_initializer = false;
  };
  int64_t ir_version = 0;
  std::string producer;
  std::vector<std::pair<std::string, int64_t>> opsets;
  std::vector<Input> inputs, outputs;
};
Result<OnnxSummary> summarize_onnx(onnx::Bytes bytes);

Result<Graph> import_onnx_file(const std::string& path, const ImportOptions& options = {});
// `owner` keeps `bytes` alive: the constants of the graph point into them.
Result<Graph> import_onnx(onnx::Bytes bytes, std::shared_ptr<const void> owner, const ImportOptions& options = {});

}  // namespace ingot
