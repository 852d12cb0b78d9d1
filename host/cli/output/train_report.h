// SPDX-License-Identifier: Apache-2.0
// The result of `fryer train`, for programs and for people.
#pragma once

#include "fryer/engine/run.h"
#include "host/cli/output/json.h"
#include "host/cli/output/terminal.h"

namespace fryer::cli {

// The keys after the document's head: episodes .. norm_probability.
Json train_json(const TrainConfiguration& configuration, const TrainResult& result);

// Learning curve, final parameters, quantiles and histogram of a population.
std::string train_text(const Terminal& terminal, const TrainConfiguration& configuration, const TrainResult& result,
                       bool verbose);

// "seed 42 failed at update 3: ...", for the error that ends a run with failed trainings.
std::string failure_text(const TrainConfiguration& configuration, const Failure& failure);

// A 95 % Wilson interval of a share.
struct Interval {
  double lower, upper;
};
Interval wilson(std::uint64_t successes, std::uint64_t n);

// The probability of going to Norm's, for people and JSON: in double, from the parameters' floats.
double norm_probability(float weight, float bias, double hunger);

// Mean, sd, extremes and order statistics x_(ceil(q n)). Reorders the values; all must be finite.
Summary summarise(std::vector<double>& values);

}  // namespace fryer::cli
