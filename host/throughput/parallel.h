// SPDX-License-Identifier: Apache-2.0
// The same work on several threads that start together, timed from the first one's start to the last one's end.
#pragma once

#include <functional>

namespace fryer::throughput {

// Seconds that body(0) .. body(threads - 1) take at once; body(0) on the calling thread. Bodies must not throw. Throws DeviceError where so
// many threads cannot be started.
double time_together(unsigned threads, const std::function<void(unsigned)>& body);

}  // namespace fryer::throughput
