// SPDX-License-Identifier: Apache-2.0
// See machine.h.
#include "host/throughput/machine.h"

#include <fstream>

#include "host/cpu_backend.h"
#include "host/cpu_features.h"

namespace fryer::throughput {
namespace {

// Linux tells it; other systems are "unknown".
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

Machine this_machine() {
  Machine machine{cpu_name(), usable_threads(), {}};
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (report.unavailable.empty()) machine.instruction_sets.push_back(report.isa);
  }
  return machine;
}

}  // namespace fryer::throughput
