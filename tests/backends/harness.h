// Builds small L programs by hand, compiles them for a target and runs them in this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/llvm/emit.h"
#include "runtime/abi.h"

namespace ingot::test {

// Builders for statements.
l::Stmt for_(const Symbol& s, const Dim& begin, const Dim& end, std::vector<l::Stmt> body, int64_t step = 1,
             bool unroll = false);
l::Stmt declare(int64_t id, DType t, int lanes, Expr init = {});
l::Stmt set(int64_t id, Expr e);
l::Stmt store(int64_t buffer, const Dim& offset, Expr e, Expr mask = {}, Expr index = {}, int64_t stride = 1);
l::Stmt launch(int64_t kernel, std::vector<int> buffers, std::vector<Dim> scalars, const Dim& grid, int64_t grain = 1);
l::Stmt place(int64_t buffer);
// And for expressions of L.
Expr load(int64_t buffer, DType t, int lanes, const Dim& offset, std::vector<Expr> extra = {}, int64_t stride = 1);
Expr local(int64_t id, DType t, int lanes);
Expr splat(Expr e, int lanes);
Expr ramp(const Dim& d, int lanes, int64_t stride = 1);
Expr node(ScalarOp op, DType t, int lanes, std::vector<Expr> args);

// A compiled image, loaded.
class Loaded {
 public:
  explicit Loaded(const Image&);
  ~Loaded();
  Loaded(const Loaded&) = delete;
  explicit operator bool() const { return entry_ != nullptr; }

  struct Input {
    const void* data;
    std::vector<int64_t> shape;
    int32_t dtype;
  };
  struct Output {
    std::vector<uint8_t> bytes;
    std::vector<int64_t> shape;
    template <class T>
    const T* as() const {
      return reinterpret_cast<const T*>(bytes.data());
    }
  };
  struct Report {
    int32_t node, code;
    std::vector<int64_t> args;
  };
  std::vector<Output> outputs;
  std::vector<const ingot_object*> objects;  // outputs that are objects; not copied
  std::vector<Report> reports;
  int profiled = 0;
  int64_t allocations = 0;  // allocate minus release
  int32_t cancel = 0;
  bool profile = false;
  int parallel_calls = 0;

  int32_t run(const std::vector<Input>&, const std::vector<uint8_t>& weights = {});

 private:
  void* handle_ = nullptr;
  ingot_entry_fn entry_ = nullptr;
  std::vector<uint8_t> arena_;
  std::vector<uint8_t> aligned_weights_;
};

// Compiles for this machine (or `target`) and expects success.
Image build(const l::Program&, const std::string& target = "host", bool legalise = true);

// One kernel over `grid`, all of its buffers inputs (in order) but the last, which is the output of `elements`.
l::Program single_kernel(l::Kernel k, std::vector<l::Port> inputs, l::Port output, const Dim& grid);

}  // namespace ingot::test
