// Every operator on inputs that no exporter would write: wrong ranks, wrong element types, hostile attributes. It must give a
// type or an error, and never read past what it was given.
#include "tests/ops/op_run.h"

namespace ingot {
namespace {

using namespace test;

TensorType type_of(DType t, int rank, int64_t extent, bool free) {
  TensorType type{t, {}};
  for (int k = 0; k < rank; ++k) type.dims.push_back(free ? Dim(Dim::symbol("d" + std::to_string(k))) : Dim(extent));
  return type;
}

// Infers one node; the result does not matter.
void infer_mixed(const OpDef& op, const std::vector<TensorType>& types, int outputs, const Attrs& attrs) {
  Graph g;
  auto node = std::make_unique<Node>();
  node->def = &op;
  node->name = "n";
  node->attrs = attrs;
  for (size_t k = 0; k < types.size(); ++k) {
    Value* v = g.new_value("x" + std::to_string(k), Type::of(types[k]));
    g.body.inputs.push_back(v);
    node->inputs.push_back(v);
  }
  for (int k = 0; k < outputs; ++k) {
    Value* v = g.new_value("y" + std::to_string(k));
    v->producer = node.get();
    v->output_index = k;
    node->outputs.push_back(v);
  }
  g.body.nodes.push_back(std::move(node));
  auto r = infer_and_expand(g);
  if (!r) {
    EXPECT_FALSE(r.error().message.empty()) << op.name;
  }
}

void infer(const OpDef& op, const TensorType& type, int inputs, int outputs, const Attrs& attrs) {
  infer_mixed(op, std::vector<TensorType>(static_cast<size_t>(inputs), type), outputs, attrs);
}

std::vector<std::string> words(std::string_view s) {
  std::vector<std::string> out;
  for (size_t at = 0; at < s.size();) {
    size_t space = std::min(s.find(' ', at), s.size());
    if (space > at) out.emplace_back(s.substr(at, space - at));
    at = space + 1;
  }
  return out;
}

const std::vector<AttrValue> kValues = {
    int64_t{0},
    int64_t{1},
    int64_t{-1},
    int64_t{2},
    int64_t{7},
    INT64_MAX,
    INT64_MIN,
    0.0,
    -1.5,
    std::string("x"),
    std::string(""),
    std::vector<int64_t>{},
    std::vector<int64_t>{1},
    std::vector<int64_t>{2, 2},
    std::vector<int64_t>{1, 1, 1, 1},
    std::vector<int64_t>{-1, 0},
    std::vector<int64_t>{INT64_MAX, INT64_MAX},
    std::vector<double>{1, 2},
    std::vector<std::string>{"a", "b"},
};

TEST(Strangers, WrongRanksAndTypes) {
  for (const OpDef& op : all_ops()) {
    if (op.name == "if" || op.name == "loop") continue;
    int most = op.max_inputs < 0 ? op.min_inputs + 2 : op.max_inputs;
    for (int rank = 0; rank <= 5; ++rank)
      for (DType t : {DType::F32, DType::F16, DType::U8, DType::I64, DType::Bool, DType::String, DType::I4})
        for (int inputs : {op.min_inputs, most})
          for (bool free : {false, true}) infer(op, type_of(t, rank, 3, free), inputs, 1, {});
    infer(op, type_of(DType::F32, 4, 0, false), most, 4, {});
    infer(op, type_of(DType::F32, 2, int64_t{1} << 40, false), most, 4, {});
  }
}

// Each input of its own type, each attribute a number or a list that could be meant.
TEST(Strangers, MixedInputs) {
  constexpr DType kTypes[] = {DType::F32, DType::F32, DType::F16,  DType::F64,    DType::U8, DType::I8,
                              DType::I32, DType::I64, DType::Bool, DType::String, DType::C64};
  for (const OpDef& op : all_ops()) {
    if (op.name == "if" || op.name == "loop") continue;
    int most = op.max_inputs < 0 ? op.min_inputs + 2 : op.max_inputs;
    std::vector<std::string> names = words(op.attrs);
    uint32_t state = 7;
    auto draw = [&](uint32_t n) {
      state = state * 1664525 + 1013904223;
      return (state >> 8) % n;
    };
    for (int round = 0; round < 300; ++round) {
      std::vector<TensorType> types;
      DType common = kTypes[draw(std::size(kTypes))];
      for (int k = 0; k < most; ++k) {
        DType t = draw(2) ? common : kTypes[draw(std::size(kTypes))];
        types.push_back(type_of(t, static_cast<int>(draw(6)), 1 + static_cast<int64_t>(draw(4)), draw(3) == 0));
      }
      Attrs attrs;
      for (const std::string& name : names)
        if (draw(3) == 0) attrs.set(name, kValues[draw(static_cast<uint32_t>(kValues.size()))]);
      infer_mixed(op, types, 1 + static_cast<int>(draw(3)), attrs);
    }
  }
}

TEST(Strangers, HostileAttributes) {
  for (const OpDef& op : all_ops()) {
    if (op.name == "if" || op.name == "loop") continue;
    int most = op.max_inputs < 0 ? op.min_inputs + 2 : op.max_inputs;
    std::vector<std::string> names = words(op.attrs);
    for (DType t : {DType::F32, DType::U8, DType::I64})
      for (int rank : {1, 2, 3, 4}) {
        TensorType type = type_of(t, rank, 4, false);
        for (const std::string& name : names)
          for (const AttrValue& v : kValues) infer(op, type, most, 2, {{name, v}});
        // All at once, values drawn by a small generator.
        uint32_t state = 1;
        for (int round = 0; round < 20; ++round) {
          Attrs attrs;
          for (const std::string& name : names) {
            state = state * 1664525 + 1013904223;
            attrs.set(name, kValues[(state >> 8) % kValues.size()]);
          }
          infer(op, type, most, 3, attrs);
        }
      }
  }
}

}  // namespace
}  // namespace ingot
