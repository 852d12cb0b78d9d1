// SPDX-License-Identifier: Apache-2.0
// What each executor of this machine can do at most, measured: instructions of one kind in independent chains.
#pragma once

#include <string>
#include <vector>

#include "fryer/engine/backend.h"
#include "host/throughput/operations.h"
#include "host/throughput/programs.h"

namespace fryer::throughput {

// Of an instruction set that this machine has.
const ThroughputPrograms& programs_of(const std::string& isa);

// The best of `repetitions` of about `seconds` each, on so many threads at once. Throws Stopped.
Rates measure_peaks(const ThroughputPrograms& programs, unsigned threads, int repetitions, double seconds, const StopToken* stop);

// Of each the larger.
Rates best_of(const Rates& a, const Rates& b);

}  // namespace fryer::throughput
