// SPDX-License-Identifier: Apache-2.0
// How many threads this process may start. oneTBB ends the process where the system refuses it one (`ulimit -u`, `ulimit -v`, a container's
// pids.max), so that is found out before it is asked for any.
#pragma once

#include <string>

namespace fryer {

struct StartableThreads {
  unsigned threads = 1;  // 1 .. wanted, the caller's among them
  std::string refusal;   // why not all; ""
};
// Starts so many at once, which do next to nothing (some 30 microseconds each), and ends them. Where not all can be started, half of those that could: what
// else the process needs has the same limits.
StartableThreads startable_threads(unsigned wanted);

}  // namespace fryer
