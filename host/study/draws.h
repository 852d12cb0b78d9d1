// SPDX-License-Identifier: Apache-2.0
// What a study draws anew for each replica: parameters of a policy and real-valued settings. A drawn value is a pure function of the
// distribution and the replica's seed: it depends neither on the cell, nor on what else is drawn, nor on any order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/study/plan.h"

namespace fryer::study {

// The value of a draw for a seed, in [low, high], with the same bits on every machine:
//   uniform:      low + u (high - low)
//   log-uniform:  exp(log(low) + u (log(high) - log(low))), exp and log those of fryer/core/math.h in double
// clamped to [low, high], each operation rounded to double. Parameter i: u = (word >> 8) 2^-24 from word i % 4 of block i / 4 of purpose
// initialisation, number 0; the value is rounded once more, to float. A setting: u = (x 2^21 + (y >> 11)) 2^-53 from the first two words
// x and y of block 0 of purpose study_setting, number XXH3_64bits (seed 0) of the setting's key as study files write it ("learning_rate").
double drawn_value(const Draw& draw, std::uint64_t seed);

// "uniform(-1, 1)", "log_uniform(0.001, 1)": as a study file says it.
std::string to_text(const Draw& draw);

// What is drawn, as the hashes of a study's rows take it in; the same text for the same distribution in every version.
std::string key_text(const std::vector<Draw>& distribution);

// Parameter i of the policy, in the registry's order.
void set_parameter(Problem& problem, std::size_t i, double value);
void set_parameter(CartPoleProblem& problem, std::size_t i, double value);

// One replica of a cell.
struct DrawnReplica {
  CellConfiguration configuration;  // with its seed, 1 replica, and everything drawn in place
  std::vector<double> values;       // in the order of plan.distribution
};
// `cell` has `run`, and settings in plan.distribution have `apply`. Some hundred nanoseconds a draw; any number of threads may call it.
DrawnReplica draw_replica(const Plan& plan, const Cell& cell, std::uint64_t seed);

}  // namespace fryer::study
