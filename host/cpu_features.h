// SPDX-License-Identifier: Apache-2.0
// Which CPU executors this build has and this machine can run.
#pragma once

#include <string>
#include <vector>

#include "host/lane_executor.h"

namespace fryer {

struct CpuExecutorReport {
  const LaneExecutor* executor;  // null where this build lacks it
  std::string isa;               // as in FRYER_ISA
  std::string unavailable;       // why it cannot be used here, or ""
};

// Slowest first; the last one without a reason is the best of this machine.
std::vector<CpuExecutorReport> cpu_executors();

// The executor of that name; "" means the best one. Throws DeviceError naming FRYER_ISA, the value and what there is.
const LaneExecutor& find_cpu_executor(const std::string& isa);

}  // namespace fryer
