// SPDX-License-Identifier: Apache-2.0
// Value learners: from configurations to a backend's work and from rows to results.
#include <algorithm>
#include <limits>

#include "fryer/core/error.h"
#include "fryer/engine/replica_queues.h"
#include "host/cart_pole_support.h"
#include "host/cpu_backend.h"
#include "host/cpu_features.h"
#include "host/digest.h"
#include "host/floating_environment.h"

namespace fryer {
namespace {

// The settings with what follows from --until.
QTrainingSettings with_window(const QTrainConfiguration& c) {
  QTrainingSettings s = c.training;
  s.window = c.until ? kValueLearnerWindow : 0;
  s.window_target = c.until ? cart_pole_window_target(s.environment, kValueLearnerWindow, *c.until) : 0;
  return s;
}

// The return of every episode of every replica, while it trains.
bool keeps_outcomes(const QTrainConfiguration& c) { return c.replicas <= kMostCurveNumbers / c.training.episodes; }

// TrainResult::final_return.
std::vector<double> final_returns(const QTrainConfiguration& c, const Population& population) {
  const ReplicaTable& table = population.table;
  std::vector<double> means;
  for (std::uint64_t row = 0; row < table.size() && !population.outcomes.empty(); ++row) {
    const bool failed = table.status[row] == static_cast<std::uint8_t>(ReplicaStatus::failed);
    means.push_back(failed ? std::numeric_limits<double>::quiet_NaN()
                           : final_return_of(c, population.outcomes, table.size(), row, table.episodes[row]));
  }
  return means;
}

QTrainRequest make_request(const std::vector<QTrainConfiguration>& configurations) {
  QTrainRequest request;
  for (const QTrainConfiguration& c : configurations) {
    request.ranges.push_back({c.seed, c.replicas, static_cast<std::uint32_t>(request.trainings.size())});
    request.trainings.push_back(with_window(c));
  }
  return request;
}

}  // namespace

std::vector<std::string> parameter_names(const QNetworkShape& shape) {
  constexpr const char* kInputs[] = {"position", "velocity", "angle", "angular_velocity"};
  std::vector<std::string> names;
  const auto number = [](const char* what, int i) { return what + std::to_string(i); };
  // One layer: its weights, row by row, and its biases.
  const auto add_layer = [&](const std::string& layer, const char* unit, int units, int inputs, const auto& input) {
    for (int j = 0; j < units; ++j) {
      for (int i = 0; i < inputs; ++i) names.push_back("w" + layer + '_' + number(unit, j) + '_' + input(i));
    }
    for (int j = 0; j < units; ++j) names.push_back("b" + layer + '_' + number(unit, j));
  };
  const auto unit_below = [&](int i) { return number("unit", i); };
  add_layer("1", "unit", shape.hidden1, QNetworkShape::kInputs, [&](int i) { return std::string(kInputs[i]); });
  add_layer("2", "unit", shape.hidden2, shape.hidden1, unit_below);
  add_layer("3", "action", QNetworkShape::kActions, shape.hidden2, unit_below);
  return names;
}

TrainResult train(const QTrainConfiguration& c, Backend& backend, const RunControl& control) {
  const FloatingEnvironment environment;
  validate(c);
  QTrainRequest request = make_request({c});
  request.detail = {true, c.replicas > 1 && keeps_outcomes(c), keeps_outcomes(c)};
  Population population = backend.train(request, control);

  TrainResult result;
  result.curve = cart_pole_curve(c.training.environment, 1, population);
  result.parameters = std::move(population.parameters);
  result.solved = population.solved_updates.count;
  result.solved_updates = population.solved_updates;
  result.solved_steps = population.solved_steps;
  result.solved_episodes = population.solved_episodes;
  result.final_return = final_returns(c, population);
  result.failed = first_failure(population.table);
  if (result.failed.count != 0) result.failed.quantity = "Q network";
  result.digest = digest_of(population.table, 1);
  result.episodes = population.warmup_episodes;
  for (std::uint64_t i = 0; i < population.table.size(); ++i) {
    result.episodes += population.table.episodes[i];
    result.steps += population.table.steps[i];
    result.optimizer_updates += population.table.updates[i];
  }
  result.table = std::move(population.table);
  return result;
}

TrainingStates fresh_states(const QTrainConfiguration& c, bool outcomes) {
  validate(c);
  TrainingStates states;
  states.table = empty_q_rows(c.seed, c.replicas, c.training.shape);
  states.value_learners.resize(c.replicas);
  if (outcomes) states.outcomes.resize(c.training.episodes * c.replicas, kNoOutcome);
  return states;
}

void train_on(const std::vector<QTrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
              const RunControl& control) {
  const FloatingEnvironment environment;
  QTrainRequest request = make_request(configurations);
  request.states = &states;
  backend.train(request, control);
}

bool fits(const QTrainConfiguration& c, std::uint64_t seed, bool outcomes, const ReplicaTable& table, std::uint64_t row,
          const QTrainingRecord& record) {
  const bool unfinished = table.status[row] == static_cast<std::uint8_t>(ReplicaStatus::unfinished);
  if (record.weight.empty()) return !unfinished || (table.updates[row] == 0 && table.steps[row] == 0 && table.episodes[row] == 0);
  QTrainingSettings settings = with_window(c);
  settings.keeps_every_outcome = outcomes;
  const QTrainingRules rules = make_q_training_rules(settings);
  const auto parameters = static_cast<std::size_t>(settings.shape.parameters());
  const std::size_t target = rules.update.learning.has_target_network() ? parameters : 0;
  const bool sizes = record.weight.size() == parameters && record.target.size() == target && record.m.size() == parameters &&
                     record.v.size() == parameters && record.outcomes.size() == rules.kept_outcomes &&
                     record.replay.size() == rules.stored(record.state.steps) &&
                     record.replay.size() <= most_transitions(settings);
  const QTrainingState& s = record.state;
  const EpsilonSchedule epsilon(settings.epsilon);
  const bool same_settings =
      s.epsilon.settings == epsilon.settings && s.epsilon.factor == epsilon.factor && s.adam.settings() == settings.optimizer;
  const bool same_row = unfinished && s.status == ReplicaStatus::unfinished && s.seed == seed &&
                        s.updates == table.updates[row] && s.steps == table.steps[row] && s.warmup_episodes <= s.episodes &&
                        s.counted_episodes() == table.episodes[row] && s.counted_episodes() < rules.episodes &&
                        s.episode_steps <= rules.max_steps && s.updates_due <= rules.gradient_steps &&
                        (s.updates_due == 0 || record.replay.size() >= rules.update.batch);
  return sizes && same_settings && same_row && std::all_of(record.replay.begin(), record.replay.end(), [](const Transition& t) {
           return t.action < QNetworkShape::kActions;
         });
}

double mean_return_of(const QTrainConfiguration& c, double sum, double episodes) {
  return cart_pole_mean_return(c.training.environment, sum, episodes);
}

ReplicaMemory memory_of_replica(const QTrainConfiguration& c) {
  const QTrainingRules rules = make_q_training_rules(c.training);
  std::uint64_t learner = 0;
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (report.unavailable.empty()) learner = std::max(learner, report.executor->q_network->bytes(rules.update));
  }
  return {learner, most_transitions(c.training) * sizeof(Transition), rules.kept_outcomes * sizeof(std::uint32_t)};
}

double guessed_steps(const QTrainConfiguration& c) {
  const double an_episode = std::min<double>(c.training.environment.max_steps, 150);
  return static_cast<double>(c.training.episodes) * an_episode + static_cast<double>(c.training.warmup_steps);
}

WorkEstimate estimate(const QTrainConfiguration& c, unsigned workers) {
  const QTrainingSettings& t = c.training;
  WorkEstimate e;
  const double steps = guessed_steps(c), updates = steps / static_cast<double>(t.train_every) * t.gradient_steps;
  // In units of a step of CartPole, of which a core makes some 5e8 a second; an update has 8 floating-point operations a parameter and
  // sample, and a core makes some 2e11 of those.
  e.steps = static_cast<double>(c.replicas) * (steps + updates * t.batch * 8 * t.shape.parameters() * (5e8 / 2e11));
  e.parallelism = c.replicas * (learns_online(c) ? 32 : 128);  // a replica is a warp of a GPU, or a block of four
  if (workers == 0) workers = usable_threads();
  const std::uint64_t in_flight = std::min<std::uint64_t>(c.replicas, std::uint64_t{workers} * (learns_online(c) ? 2 : 1));
  e.memory_bytes = in_flight * memory_of_replica(c).total() +
                   c.replicas * (1 + 4 + 8 + 8 + 4 * static_cast<std::uint64_t>(t.shape.parameters())) +
                   t.episodes * (40 * (std::uint64_t{workers} + 1) + sizeof(CurvePoint)) +
                   (keeps_outcomes(c) ? 4 * t.episodes * c.replicas : 0);
  return e;
}

}  // namespace fryer
