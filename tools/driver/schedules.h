// The record of schedules (compiler/schedule_record.h) as people read it, with what a run measured.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/driver/kernel_profile.h"

namespace ingot::driver {

// By kernel, of a manifest that anybody may have written; empty: it does not say.
std::vector<int64_t> weights_of_kernels(std::string_view manifest, std::string_view target);
void add_measured(nlohmann::ordered_json& schedules, const KernelProfile&);
std::string schedules_text(const nlohmann::ordered_json& schedules);

// "4.9 MB (lower bound 4.7 MB)"; -1: known when run.
std::string arena_text(int64_t bytes, int64_t lower_bound);

}  // namespace ingot::driver
