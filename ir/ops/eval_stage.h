// The stages that compute elements (Map, Reduce, Scan, Scatter, Walk), on concrete tensors. Internal to the interpreter.
#pragma once

#include <chrono>

#include "ir/ops/eval_code.h"

namespace ingot::eval {

// What bounds an evaluation: memory of live values, and time.
class Budget {
 public:
  explicit Budget(const EvaluateOptions& o)
      : max_bytes_(o.max_bytes),
        deadline_(std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                         std::chrono::duration<double>(o.max_seconds))),
        max_seconds_(o.max_seconds) {}
  Result<void> check_time();
  Result<std::shared_ptr<TensorData>> allocate(DType, const std::vector<int64_t>& dims);

 private:
  int64_t max_bytes_;
  std::shared_ptr<int64_t> live_ = std::make_shared<int64_t>(0);
  std::chrono::steady_clock::time_point deadline_;
  double max_seconds_;
  int until_check_ = 0;
};

// The results of the stage, in order.
Result<std::vector<std::shared_ptr<TensorData>>> run_stage(const k::Stage&, const Code::Lookup&, const Bindings&,
                                                           Budget&);

}  // namespace ingot::eval
