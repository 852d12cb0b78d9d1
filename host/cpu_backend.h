// SPDX-License-Identifier: Apache-2.0
// The CPU backend: numbered work cut into pieces for oneTBB workers, each running one build of the lane executor.
#pragma once

#include <memory>

#include "fryer/engine/backend.h"
#include "host/lane_executor.h"

namespace fryer {

// threads: workers, at least 1; fewer, with a warning, where the system refuses so many. chunk: work items per piece, 0 for the backend's choice.
// threads_of_all: where other backends run beside it, of all of them (oneTBB has one pool for the process, of the least that any of them
// allows).
std::unique_ptr<Backend> make_cpu_backend(const LaneExecutor& executor, unsigned threads, std::uint64_t chunk,
                                          const std::string& reason, unsigned threads_of_all = 0);

// Processors that this process may use.
unsigned usable_threads();

}  // namespace fryer
