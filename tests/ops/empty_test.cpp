// Every operator on extents of 0: the same result with constant and with symbolic extents.
#include "tests/ops/empty_calls.h"

namespace ingot {
namespace {

using namespace test;

std::string text_of(const Call& call) {
  std::string text = call.op;
  for (const Arg& a : call.inputs) text += " " + (a.data ? a.data->type().str() : std::string("-"));
  return text;
}

TEST(Empty, StaticAndSymbolic) {
  for (const Call& call : empty_calls()) {
    SCOPED_TRACE(text_of(call));
    auto fixed = run_once(call, false);
    std::vector<int> ranks;
    for (size_t k = 0; fixed && k < fixed->size(); ++k) ranks.push_back(static_cast<int>((*fixed)[k]->dims.size()));
    auto free = run_once(call, true, ranks);
    EXPECT_TRUE(fixed) << fixed.error().message;
    EXPECT_TRUE(free) << free.error().message;
    for (size_t k = 0; fixed && free && k < fixed->size(); ++k)
      EXPECT_TRUE(same(*(*fixed)[k], *(*free)[k])) << "result " << k << " is " << (*fixed)[k]->type().str() << " and "
                                                   << (*free)[k]->type().str() << " with symbolic extents";
  }
}

}  // namespace
}  // namespace ingot
