// SPDX-License-Identifier: Apache-2.0
// What a study needs beyond run.h: the two ways to spread a training over the machine, and trainings that share lanes and can be left and
// gone on with.
#pragma once

#include <tuple>

#include "fryer/engine/run.h"

namespace fryer {

// The driver chooses by shape; tests force each, since both give the same bits.
enum class Spread {
  automatic,
  replicas,  // a lane trains a replica from start to finish
  episodes,  // lanes are the episodes of one update; the host steps the optimizer
};

TrainResult train(const TrainConfiguration& configuration, Backend& backend, const RunControl& control, Spread spread);
TrainResult train(const CartPoleTrainConfiguration& configuration, Backend& backend, const RunControl& control, Spread spread);

// Lanes can train whole replicas where their 32-bit counters suffice.
bool lanes_can_train(const TrainConfiguration& configuration);

// The trainings of a configuration before their first update. outcomes: whether to keep the outcome of every update's batch. Throws
// ConfigurationError.
TrainingStates fresh_states(const TrainConfiguration& configuration, bool outcomes);
TrainingStates fresh_states(const CartPoleTrainConfiguration& configuration, bool outcomes);
TrainingStates fresh_states(const QTrainConfiguration& configuration, bool outcomes);

// Goes on with the unfinished trainings of `states` until all have ended, or until control.pause: then some are unfinished still, each
// after a whole update. (The fry shack's that lanes train, of at most 2^32 episodes each, are not left.) What it comes to does not depend on how often
// or where they were left. Progress is in units of one update. Throws DeviceError, Stopped: then the states mean nothing.
void train_on(const TrainConfiguration& configuration, TrainingStates& states, Backend& backend, const RunControl& control,
              Spread spread = Spread::automatic);
// The same of several configurations, which share lanes: rows are those of the first, of the second, ... Columns that depend on the
// configuration have the size of the largest.
void train_on(const std::vector<CartPoleTrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
              const RunControl& control, Spread spread = Spread::automatic);

// Value learners share nothing but a backend: networks of one shape.
void train_on(const std::vector<QTrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
              const RunControl& control);

// Whether `record` can be that of the training with this seed in row `row` of `table`, whose outcomes are kept or not: all sizes and indices
// are such that going on with it reads nothing else, and the settings in it are the configuration's.
bool fits(const QTrainConfiguration& configuration, std::uint64_t seed, bool outcomes, const ReplicaTable& table,
          std::uint64_t row, const QTrainingRecord& record);

// What configurations must have in common for their trainings to share lanes.
using SharedByLanes =
    std::tuple<CartPole::Settings, std::uint64_t, Activation, double, double, double, std::uint64_t, Track, bool>;
SharedByLanes shared_by_lanes(const CartPoleTrainConfiguration& configuration);

// Whether the outcome of a batch fits the 32 bits that TrainingStates::outcomes has for it. Where it does not they cannot be kept.
bool outcomes_fit(const TrainConfiguration& configuration);
bool outcomes_fit(const CartPoleTrainConfiguration& configuration);
inline bool outcomes_fit(const QTrainConfiguration&) { return true; }

// Mean return of `episodes` whose outcomes sum to `sum`: what --until compares.
double mean_return_of(const TrainConfiguration& configuration, double sum, double episodes);
double mean_return_of(const CartPoleTrainConfiguration& configuration, double sum, double episodes);
double mean_return_of(const QTrainConfiguration& configuration, double sum, double episodes);

}  // namespace fryer
