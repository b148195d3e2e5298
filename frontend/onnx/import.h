// ONNX -> G.
//
// The graph that comes out uses the newest operator set only: every node of an older one is rewritten (upgrade.h),
// model functions are expanded in place, Constant nodes and initializers are constants, an output that nobody reads is
// null. Operator sets: ai.onnx 1 to 28, ai.onnx.ml 1 to 5, com.microsoft 1. Training domains are refused.
//
// * An initializer that is also a graph input is a constant, and no input of the graph, unless
//   `initializers_are_inputs`: models before IR version 4 had to list all their weights as inputs.
// * A named extent of an input becomes a symbol: one per name; an expression such as `past + 1` of names that stand
// alone
//   elsewhere is that expression. An extent without a name becomes the symbol INPUT_K for axis K.
// * Declared types of outputs and intermediate values are ignored: inference knows better.
// * Nodes may stand in any order; a cycle is an error.
// * An unsupported model gives one error that lists every kind of node that is not supported.
#pragma once

#include <functional>
#include <map>

#include "frontend/onnx/wire.h"
#include "ir/graph/graph.h"

namespace ingot {

namespace onnx {

inline constexpr int64_t kMinOpset = 1, kMaxOpset = 28, kMaxMlOpset = 5;
inline constexpr int64_t kMaxNodes = int64_t{1} << 18;  // imported, after expansion of functions
inline constexpr int kMaxNesting = 100;                 // graphs in graphs and functions in functions, together

}  // namespace onnx

struct ImportOptions {
  std::map<std::string, int64_t> dims;      // fixes a named extent; INPUT_K for one without a name
  std::map<std::string, Type> input_types;  // replaces the declared type of an input; the way to give a missing shape
  bool initializers_are_inputs = false;
  std::string model_dir;  // where external data may lie; import_onnx_file sets it
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
