// SPDX-License-Identifier: Apache-2.0
// What a run gives back: exact sums, counts and rows, and the statistics made of them. Nothing here depends on which backend ran.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fryer/lane/cart_pole_episode.h"
#include "fryer/lane/episode_gradient.h"
#include "fryer/lane/q_episode.h"
#include "fryer/lane/q_training.h"
#include "fryer/lane/replica_training.h"

namespace fryer {

// The probabilities at which populations are reported.
inline constexpr std::array<double, 11> kQuantiles = {0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999};

// The 0-based position of the q-quantile among n sorted values: x_(ceil(q n)), the inverse of the empirical distribution function
// (Hyndman & Fan 1996, type 1). n >= 1.
inline std::uint64_t quantile_position(double q, std::uint64_t n) {
  const double rank = std::ceil(q * static_cast<double>(n));
  const auto r = static_cast<std::uint64_t>(rank < 1 ? 1 : rank);
  return (r > n ? n : r) - 1;
}

// Over finite values: mean and standard deviation (population formula, from exact integer sums; 0 for one value), extremes, and
// order statistics x_(ceil(q n)) at kQuantiles. All 0 if count is 0.
struct Summary {
  std::uint64_t count = 0;
  double mean = 0, sd = 0, min = 0, max = 0;
  std::array<double, kQuantiles.size()> quantiles{};
};

// One row a replica, struct of arrays; row i is the training with seed first_seed + i.
struct ReplicaTable {
  std::uint64_t first_seed = 0;
  std::vector<std::uint8_t> status;            // ReplicaStatus
  std::vector<std::uint32_t> updates;          // updates made
  std::vector<std::uint64_t> steps;            // steps simulated; empty where every episode is one step
  std::vector<std::uint64_t> episodes;         // of value learners: those that count; else empty: updates * batch
  std::vector<std::vector<float>> parameters;  // (parameters, replicas): final ones, in the registry's order; NaN where failed
  std::uint64_t size() const { return status.size(); }
  std::uint64_t steps_of(std::uint64_t row, std::uint64_t batch) const {
    return steps.empty() ? updates[row] * batch : steps[row];
  }
  std::uint64_t episodes_of(std::uint64_t row, std::uint64_t batch) const {
    return episodes.empty() ? updates[row] * batch : episodes[row];
  }
};

// The learning curve: sums over the replicas that made each update; of value learners: that ended each counted episode.
struct CurveTotals {
  std::vector<std::uint64_t> count;
  std::vector<WideSum>
      correct;  // of outcomes: a batch's correct orders, batch_outcome() of CartPole, or a value learner's episode's
  std::vector<WideSum> squared;  // and of their squares
};

// In place of the outcome of an episode that a value learner did not play.
inline constexpr std::uint32_t kNoOutcome = 0xffffffffu;

// What Backend::train() gives. Summaries are over replicas that did not fail.
struct Population {
  ReplicaTable table;
  CurveTotals curve;
  std::vector<Summary> parameters;
  Summary solved_updates, solved_steps, solved_episodes;  // over solved replicas; the latter two where the table has them
  std::uint64_t warmup_episodes = 0;                      // of value learners, of all of them: episodes that do not count
  // (updates, kQuantiles.size()) quantiles of the batch's outcomes, if they were asked for; of value learners (episodes, ...)
  std::vector<std::uint32_t> curve_quantiles;
  // (updates, replicas) outcomes of every batch, if they were asked for; not set beyond what a replica made. Of value learners
  // (episodes, replicas); kNoOutcome beyond what a replica played.
  std::vector<std::uint32_t> outcomes;
};

// A value learner between two turns (lane/q_training.h).
struct QTrainingRecord {
  QTrainingState state{.seed = 0, .epsilon = EpsilonSchedule({}), .adam = AdamSchedule({})};
  std::vector<float> weight, target, m, v;  // target: empty without a target network
  std::vector<Transition> replay;           // those stored, in their slots
  std::vector<std::uint32_t> outcomes;      // (QTrainingRules::kept_outcomes)
};

// Trainings between two updates: all that going on with them needs. Columns are by replica, as in ReplicaTable.
struct TrainingStates {
  ReplicaTable table;  // status unfinished: updates and steps made so far, parameters as they stand; others have ended
  std::vector<std::vector<float>> m, v;  // Adam's moments, by parameter
  // (window, replicas): what --until looks back on, update u (from 0) in row u % window of its training; empty without it
  std::vector<std::uint64_t> recent;
  std::vector<std::uint32_t> outcomes;  // as Population's; empty where they are not kept
  // Of value learners, which have no m, v and recent: those that were begun and have not ended. An empty `weight` means that there is
  // nothing yet, or no more: what came of it stands in the table and in `outcomes`.
  std::vector<QTrainingRecord> value_learners;
};

// The first training that failed, by seed.
struct Failure {
  std::uint64_t count = 0;
  std::uint64_t seed = 0, update = 0;  // of the first; updates count from 1 here
  std::string quantity;                // the parameter that was not finite
};

struct CurvePoint {
  std::uint64_t update;  // from 1; of value learners the counted episode
  std::uint64_t count;   // replicas that made it
  double mean_return, sd;
  std::optional<std::array<double, kQuantiles.size()>> quantiles;
};

struct TrainResult {
  ReplicaTable table;
  std::vector<Summary> parameters;  // of the final ones, over replicas that did not fail
  std::vector<CurvePoint> curve;
  std::uint64_t solved = 0;
  // Over solved replicas; steps where episodes have more than one; episodes where they are not updates * batch.
  Summary solved_updates, solved_steps, solved_episodes;
  Failure failed;
  // Of value learners: each replica's mean return over its last 100 episodes that count, or fewer; NaN where it failed. Empty of so many
  // that the returns of all episodes were not kept.
  std::vector<double> final_return;
  std::uint64_t episodes = 0, steps = 0, optimizer_updates = 0;
  std::uint64_t digest = 0;
};

// One estimated quantity: estimate, its standard error (NaN of one episode), and the closed form where there is one.
struct Estimate {
  double estimate = 0, standard_error = 0;
  std::optional<double> exact;
  std::optional<double> z;  // (estimate - exact) / standard_error; none without exact, or where the standard error is 0
};

struct GradientResult {
  Estimate weight, bias;  // of d(reward_scale * expected return) / d parameter: ascent direction
  double second_moment_weight = 0, second_moment_bias = 0;  // mean of the squared contributions
  double second_moment_weight_exact = 0, second_moment_bias_exact = 0;
  Estimate mean_return;
  GradientSums sums;
  std::uint64_t episodes = 0, steps = 0;
  std::uint64_t digest = 0;
};

// CartPole's; parameters in the registry's order.
struct CartPoleGradientResult {
  std::vector<Estimate> gradient;     // of the expected return times reward_scale, ascent direction
  std::vector<double> second_moment;  // mean of the squared contributions
  Estimate mean_return;
  CartPoleSums sums;       // of the linear policy
  HiddenSums hidden_sums;  // or of one with a hidden layer
  std::uint64_t episodes = 0, steps = 0;
  std::uint64_t digest = 0;
};

struct EvaluateResult {
  std::array<std::uint64_t, FryShack::kOutcomes> outcomes{};      // FryShack: 2 * action + correct
  double mean = 0, sd = 0, standard_error = 0, min = 0, max = 0;  // sd and standard_error are NaN of one episode
  std::array<double, kQuantiles.size()> quantiles{};
  std::uint64_t episodes = 0, steps = 0;
  std::uint64_t terminated = 0, truncated = 0;  // an episode may be both
  std::vector<std::uint64_t> length_histogram;  // index is the length
  std::uint64_t digest = 0;
};

// One episode, step by step.
struct TraceResult {
  struct Step {
    bool action;
    std::array<double, 4> state;  // after the step; a float as the double it equals
    double reward;
    bool terminated, truncated;  // Gymnasium's flags of the step
  };
  std::array<double, 4> initial_state{};
  std::vector<Step> steps;
  std::uint64_t digest = 0;
};

struct NotebookResult {
  struct Update {
    float p;     // probability of going to Norm's
    bool norm;   // the action
    bool large;  // the order served
    double hunger;
    double reward;
    float loss;
    float bias;  // after the update
  };
  std::vector<Update> updates;
  std::uint64_t norm_visits = 0;
  float final_bias = 0;
  std::uint64_t digest = 0;
};

}  // namespace fryer
