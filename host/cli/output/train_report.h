// SPDX-License-Identifier: Apache-2.0
// The result of `fryer train`, for programs and for people.
#pragma once

#include <string>
#include <vector>

#include "fryer/engine/run.h"
#include "host/cli/output/json.h"
#include "host/cli/output/terminal.h"

namespace fryer::cli {

// A training as reports see it, whatever the environment.
struct TrainView {
  const PopulationSettings& settings;
  std::uint64_t batch;  // episodes per update; 0 of value learners, whose curve has a point for each episode
  std::vector<std::string> parameters;
  std::vector<bool> learned;  // which of them the training changes
  double lowest, highest;     // mean return that a batch, or an episode, can have

  bool by_episodes() const { return batch == 0; }
};

// Everything but what an environment adds of its own.
Json train_json(const TrainView& view, const TrainResult& result);
// The learning curve as a table with bars.
std::string curve_text(const Terminal& terminal, const TrainView& view, const std::vector<CurvePoint>& curve, bool verbose);
// A population: how many met --until, and when; "" without it.
std::string solved_text(const TrainView& view, const TrainResult& result);
// When, in bars; "" without --until, and where all did at once.
std::string threshold_histogram(const Terminal& terminal, const TrainView& view, const TrainResult& result);
// The same, and where the learned parameters end.
std::string population_text(const Terminal& terminal, const TrainView& view, const TrainResult& result);
// One training: whether it met --until.
std::string threshold_text(const TrainView& view, const TrainResult& result);

// Of many parameters people see the last few, the output layer's: the first one shown, and a line that says so; "" where all are.
std::size_t first_shown(std::size_t parameters);
std::string shown_of_all(const Terminal& terminal, std::size_t shown, std::size_t all, const char* where);

// Value learners: how the mean return of the last 100 episodes is spread over a population; "" where it is not known.
std::string final_return_text(const TrainResult& result);

// `remedy`: what may help.
std::string failure_text(const PopulationSettings& settings, const Failure& failure, const std::string& remedy);
// What may keep parameters finite with this optimiser. unclipped: gradients could be clipped, and are not.
std::string failure_remedy(const OptimizerSettings& optimizer, double reward_scale, bool unclipped);

// Mean, sd, extremes and order statistics x_(ceil(q n)). Reorders the values; all must be finite.
Summary summarise(std::vector<double>& values);

}  // namespace fryer::cli
