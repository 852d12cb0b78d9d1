// SPDX-License-Identifier: Apache-2.0
// What training and estimating have in common for every environment: curves, stopping windows, Adam's table, estimates with errors.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "fryer/engine/configuration.h"
#include "fryer/engine/replica_queues.h"
#include "fryer/engine/results.h"
#include "host/driver.h"

namespace fryer {

__extension__ using Wide = __int128;

inline Wide to_wide(WideSum sum) {
  sum.normalise();
  return (static_cast<Wide>(sum.high) << 32) + sum.low;
}
inline WideSum to_limbs(Wide x) {  // x >= 0, below 2^95
  return {static_cast<std::int64_t>(x >> 32), static_cast<std::int64_t>(x & 0xffffffff)};
}

// Curves of populations have quantiles up to this many replicas x updates.
inline constexpr std::uint64_t kMostCurveNumbers = 100'000'000;
inline bool has_curve_quantiles(const TrainingSettings& c) {
  return c.replicas > 1 && c.replicas <= kMostCurveNumbers / c.updates;
}

inline AdamTable make_table(const TrainingSettings& c) {
  return AdamTable(c.optimizer, c.optimizer.kind == OptimizerSettings::Kind::adam ? c.updates : 1);
}

// Updates that --until looks back on: at least 100 episodes.
inline std::uint64_t window_of(std::uint64_t batch) { return (kValueLearnerWindow + batch - 1) / batch; }
inline std::uint64_t window_of(const TrainingSettings& c) { return c.until ? window_of(c.batch) : 0; }

// Episodes that a training's outcome is of.
inline std::uint64_t episodes_of_outcome(const TrainingSettings& c) { return c.batch; }
inline std::uint64_t episodes_of_outcome(const QTrainConfiguration&) { return 1; }

// The mean return at the end of a training that has `made` outcomes, those of `row`: over as many as --until looks back on, or all where
// there are fewer. NaN of none. outcomes: (outcomes of a training, rows).
template <class Configuration>
double final_return_of(const Configuration& c, const std::vector<std::uint32_t>& outcomes, std::uint64_t rows, std::uint64_t row,
                       std::uint64_t made) {
  const std::uint64_t last = std::min(window_of(episodes_of_outcome(c)), made);
  if (last == 0) return std::numeric_limits<double>::quiet_NaN();
  std::uint64_t sum = 0;
  for (std::uint64_t i = made - last; i < made; ++i) sum += outcomes[i * rows + row];
  return mean_return_of(c, static_cast<double>(sum), static_cast<double>(last) * static_cast<double>(episodes_of_outcome(c)));
}

// Rows for trainings of which none has made an update; parameters, moments and what depends on the environment are the caller's.
inline TrainingStates empty_states(const TrainingSettings& c, std::size_t parameters, bool outcomes) {
  TrainingStates states;
  states.table = empty_rows(c.seed, c.replicas, parameters);
  std::fill(states.table.status.begin(), states.table.status.end(), static_cast<std::uint8_t>(ReplicaStatus::unfinished));
  states.m = states.v = states.table.parameters;
  states.recent.resize(window_of(c) * c.replicas);
  if (outcomes) states.outcomes.resize(c.updates * c.replicas);
  return states;
}

// What --until looks back on, of one training; its outcomes stand in a column of TrainingStates::recent.
class StoppingWindow {
 public:
  StoppingWindow(TrainingStates& states, std::uint64_t row, std::uint64_t window, std::uint64_t target)
      : column_(states.recent.data() + row), stride_(states.table.size()), window_(window), target_(target) {
    for (std::uint64_t i = 0; i < window; ++i) sum_ += column_[i * stride_];
  }
  // Of update number `update` (from 0). Returns whether the training has reached its target.
  bool add(std::uint64_t update, std::uint64_t outcome) {
    if (window_ == 0) return false;
    std::uint64_t& oldest = column_[update % window_ * stride_];
    sum_ += outcome - oldest;
    oldest = outcome;
    return update + 1 >= window_ && sum_ >= target_;
  }

 private:
  std::uint64_t* column_;
  std::uint64_t stride_, window_, target_, sum_ = 0;
};

// Adds the outcome of an update's batch to a curve of one.
inline void add_to_curve(CurveTotals& curve, std::uint64_t update, std::uint64_t outcome) {
  ++curve.count[update];
  curve.correct[update].add(to_limbs(outcome));
  curve.squared[update].add(to_limbs(static_cast<Wide>(outcome) * outcome));
}
inline CurveTotals empty_curve(std::uint64_t updates) {
  return {std::vector<std::uint64_t>(updates), std::vector<WideSum>(updates), std::vector<WideSum>(updates)};
}

// The smallest number in [0, most] for which reached(number) holds, a monotone question; most + 1 if none does.
template <class Reached>
std::uint64_t smallest_reaching(std::uint64_t most, const Reached& reached) {
  std::uint64_t below = 0, enough = most + 1;
  while (below < enough) {
    const std::uint64_t middle = below + (enough - below) / 2;
    if (middle > most || reached(middle)) {
      enough = middle;
    } else {
      below = middle + 1;
    }
  }
  return enough;
}

// Spread and standard error of a single episode, which says nothing of how far others lie from it.
inline constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// The mean of n numbers from their sum and sum of squares.
inline Estimate estimate_of(double sum, double sum_of_squares, std::uint64_t n, std::optional<double> exact) {
  const double count = static_cast<double>(n);
  Estimate e;
  e.estimate = sum / count;
  const double variance = std::fmax(0.0, sum_of_squares / count - e.estimate * e.estimate);
  e.standard_error = n > 1 ? std::sqrt(variance / (count - 1)) : kUndefined;
  e.exact = exact;
  if (exact && e.standard_error > 0) e.z = (e.estimate - *exact) / e.standard_error;
  return e;
}

// Rows hold no more than that a replica failed and when.
inline Failure first_failure(const ReplicaTable& table) {
  Failure failure;
  for (std::uint64_t i = 0; i < table.size(); ++i) {
    if (table.status[i] != static_cast<std::uint8_t>(ReplicaStatus::failed)) continue;
    if (failure.count++ == 0) {
      failure.seed = table.first_seed + i;
      failure.update = table.updates[i];
    }
  }
  return failure;
}

}  // namespace fryer
