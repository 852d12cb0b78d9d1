// SPDX-License-Identifier: Apache-2.0
// The CPU backend: numbered work cut into pieces for oneTBB workers, each running one build of the lane executor.
#pragma once

#include <memory>

#include "fryer/engine/backend.h"
#include "host/lane_executor.h"

namespace fryer {

// threads: workers, at least 1. chunk: work items per piece, 0 for the backend's choice.
std::unique_ptr<Backend> make_cpu_backend(const LaneExecutor& executor, unsigned threads, std::uint64_t chunk,
                                          const std::string& reason);

// Processors that this process may use.
unsigned usable_threads();

}  // namespace fryer
