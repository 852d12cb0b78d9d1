// SPDX-License-Identifier: Apache-2.0
// The same work on several threads that start together, timed from their start to the end of the last.
#pragma once

#include <functional>

namespace fryer::throughput {

// Seconds that body(0) .. body(threads - 1) take at once; body(0) on the calling thread.
double time_together(unsigned threads, const std::function<void(unsigned)>& body);

}  // namespace fryer::throughput
