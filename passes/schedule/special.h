// Stages with an order of their own: scans, scatters, walks.
#pragma once

#include "passes/schedule/nest.h"

namespace ingot {

Launch schedule_scan(const k::Stage&, const k::Program&, const Storages&, const TargetFacts&);
// The updates only; the result already holds the base.
Launch schedule_scatter(const k::Stage&, const k::Program&, const Storages&, const TargetFacts&);
Launch schedule_walk(const k::Stage&, const k::Program&, const Storages&, const TargetFacts&);

}  // namespace ingot
