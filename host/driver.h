// SPDX-License-Identifier: Apache-2.0
// The two ways to spread a training over the machine. The driver chooses by shape; tests force each, since both give the same bits.
#pragma once

#include "fryer/engine/run.h"

namespace fryer {

enum class Spread {
  automatic,
  replicas,  // a lane trains a replica from start to finish
  episodes,  // lanes are the episodes of one update; the host steps the optimizer
};

// What a training gives: everything; or, for a study, which has its own statistics, rows, with the outcome of every update's batch or without.
// Then curve, summaries, the failed parameter's name and the digest are left out.
enum class TrainOutput { statistics, rows, rows_and_outcomes };

TrainResult train(const TrainConfiguration& configuration, Backend& backend, const RunControl& control, Spread spread,
                  TrainOutput output = TrainOutput::statistics);
TrainResult train(const CartPoleTrainConfiguration& configuration, Backend& backend, const RunControl& control, Spread spread,
                  TrainOutput output = TrainOutput::statistics);

// Trainings interrupted between two updates: all that going on needs. Columns are by replica, as in ReplicaTable.
struct InterruptedTrainings {
  ReplicaTable table;  // status unfinished: updates and steps made so far, parameters as they stand; others have ended
  std::vector<std::vector<float>> m, v;  // Adam's moments, by parameter
  std::vector<std::uint64_t>
      recent;  // (window, replicas): what --until looks back on, update u in row u % window; empty without it
  std::vector<std::uint32_t> outcomes;  // as TrainResult::outcomes; empty where they are not kept
};

// Whether the outcome of a batch fits the 32 bits that TrainResult::outcomes has for it. Where it does not they cannot be asked for.
bool outcomes_fit(const TrainConfiguration& configuration);
bool outcomes_fit(const CartPoleTrainConfiguration& configuration);

// Mean return of `episodes` whose outcomes (TrainResult::outcomes) sum to `sum`: what --until compares.
double mean_return_of(const TrainConfiguration& configuration, double sum, double episodes);
double mean_return_of(const CartPoleTrainConfiguration& configuration, double sum, double episodes);

}  // namespace fryer
