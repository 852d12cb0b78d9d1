// SPDX-License-Identifier: Apache-2.0
// What machine this is, as far as figures depend on it.
#pragma once

#include <string>
#include <vector>

namespace fryer::throughput {

struct Machine {
  std::string cpu;                            // the processor's name, "unknown" where nobody tells it
  unsigned cores;                             // processors that this process may use
  std::vector<std::string> instruction_sets;  // that executors can run on, slowest first
};
Machine this_machine();

}  // namespace fryer::throughput
