// SPDX-License-Identifier: Apache-2.0
// See run_chunk.h. Trainings run together where they may share lanes; evaluations and gradients one replica after another: each is a run of
// its own, spread over the backend by episodes.
#include "host/study/run_chunk.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <type_traits>

#include "fryer/core/error.h"
#include "fryer/engine/registry.h"
#include "host/digest.h"
#include "host/study/draws.h"
#include "host/training_states.h"
#include "host/training_support.h"

namespace fryer::study {
namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

// The seed of a row's hash: what runs, so that equal rows of two cells count as two.
std::uint64_t cell_key(const Plan& plan, const Cell& cell) {
  return hash_text(plan.command + '\n' + plan.environment + '\n' + plan.algorithm + '\n' + cell.key + '\n' +
                   key_text(plan.distribution));
}

// A column from one value a replica; NaN has the same bits everywhere.
Column column_of(ColumnKind kind, const std::vector<std::uint64_t>& values, double at = 0) {
  return {kind, ColumnType::integer, "", at, values};
}
Column column_of(ColumnKind kind, const std::vector<double>& values, const std::string& name = "", double at = 0) {
  Column column{kind, ColumnType::real64, name, at, {}};
  column.bits.reserve(values.size());
  for (const double x : values) column.bits.push_back(to_bits(std::isnan(x) ? kNoValue : x));
  return column;
}
Column column_of(ColumnKind kind, const std::vector<float>& values, const std::string& name) {
  Column column{kind, ColumnType::real32, name, 0, {}};
  column.bits.reserve(values.size());
  for (const float x : values) column.bits.push_back(to_bits(x));  // a failed replica's are kFailedParameterBits
  return column;
}

// ---- parameters, of any environment and policy

std::vector<std::string> names_of(const Problem&) { return {kFryShackParameters.begin(), kFryShackParameters.end()}; }
std::vector<std::string> names_of(const CartPoleProblem& problem) { return parameter_names(problem.hidden); }
std::vector<std::string> names_of_training(const QTrainConfiguration& c) { return parameter_names(c.training.shape); }
template <class Configuration>
std::vector<std::string> names_of_training(const Configuration& c) {
  return names_of(c.problem);
}

// ---- replicas, of any command

// The configurations of a chunk's replicas: each its own where the study draws something, else the cell's for all.
template <class Configuration>
struct Replicas {
  const Configuration& cell;
  std::vector<Configuration> drawn;
  std::vector<std::vector<double>> values;  // of each draw: one a replica
  const Configuration& operator[](std::uint64_t i) const { return drawn.empty() ? cell : drawn[i]; }
};

template <class Configuration>
Replicas<Configuration> draw_replicas(const Plan& plan, const Cell& cell, const Range& range) {
  Replicas<Configuration> replicas{std::get<Configuration>(*cell.run), {}, {}};
  if (plan.distribution.empty()) return replicas;
  replicas.values.resize(plan.distribution.size());
  for (std::uint64_t i = 0; i < range.count; ++i) {
    DrawnReplica one = draw_replica(plan, cell, plan.first_seed + range.first + i);
    replicas.drawn.push_back(std::get<Configuration>(std::move(one.configuration)));
    for (std::size_t j = 0; j < one.values.size(); ++j) replicas.values[j].push_back(one.values[j]);
  }
  return replicas;
}

// What was drawn: parameters, as columns of `kind`, where the study records them, and settings.
template <class Configuration>
void add_drawn(const Plan& plan, const Replicas<Configuration>& replicas, ColumnKind kind, std::vector<Column>& columns) {
  for (std::size_t j = 0; j < replicas.values.size(); ++j) {
    const Draw& draw = plan.distribution[j];
    const std::vector<double>& values = replicas.values[j];
    if (draw.is_setting()) {
      columns.push_back(column_of(ColumnKind::setting, values, draw.setting));
    } else if (plan.record.parameters) {
      columns.push_back(column_of(kind, std::vector<float>(values.begin(), values.end()), draw.parameter));
    }
  }
}

// ---- evaluations

// Of the policy that a training ended with.
template <class Evaluation, class Training>
Evaluation with_problem_of(const Training& training, const std::vector<double>& parameters) {
  Evaluation c;
  c.problem = training.problem;
  for (std::size_t j = 0; j < parameters.size(); ++j) set_parameter(c.problem, j, parameters[j]);
  return c;
}
EvaluateConfiguration evaluation_of(const TrainConfiguration& training, const std::vector<double>& parameters) {
  return with_problem_of<EvaluateConfiguration>(training, parameters);
}
CartPoleEvaluateConfiguration evaluation_of(const CartPoleTrainConfiguration& training, const std::vector<double>& parameters) {
  return with_problem_of<CartPoleEvaluateConfiguration>(training, parameters);
}
CartPoleEvaluateConfiguration evaluation_of(const QTrainConfiguration& training, const std::vector<double>& parameters) {
  CartPoleEvaluateConfiguration c;
  c.problem.environment = training.training.environment;
  c.q_network = QNetworkPolicy{training.training.shape, parameters};
  return c;
}

// What is kept of each replica's evaluation.
struct Evaluations {
  std::vector<double> mean, sd, min, max;
  void add(const EvaluateResult& r) {
    mean.push_back(r.mean);
    sd.push_back(r.sd);
    min.push_back(r.min);
    max.push_back(r.max);
  }
  void add_none() {
    for (std::vector<double>* values : {&mean, &sd, &min, &max}) values->push_back(kNoValue);
  }
  void store(std::vector<Column>& columns) const {
    columns.push_back(column_of(ColumnKind::evaluation_mean, mean));
    columns.push_back(column_of(ColumnKind::evaluation_sd, sd));
    columns.push_back(column_of(ColumnKind::evaluation_min, min));
    columns.push_back(column_of(ColumnKind::evaluation_max, max));
  }
};

// One replica after another, so progress and stopping are this loop's.
template <class Body>
void for_each_replica(const Range& range, const RunControl& control, const Body& body) {
  for (std::uint64_t i = 0; i < range.count; ++i) {
    if (is_set(control.stop)) throw Stopped();
    body(i, RunControl{control.stop, nullptr});
    if (control.progress) control.progress(i + 1, range.count);
  }
}

// ---- trainings

template <class>
inline constexpr bool kIsTraining = false;
template <>
inline constexpr bool kIsTraining<TrainConfiguration> = true;
template <>
inline constexpr bool kIsTraining<CartPoleTrainConfiguration> = true;
template <>
inline constexpr bool kIsTraining<QTrainConfiguration> = true;

// What a training is as long as, and what its outcomes are of: the batches of its updates; of a value learner the episodes that count.
std::uint64_t planned_length(const TrainingSettings& c) { return c.updates; }
std::uint64_t planned_length(const QTrainConfiguration& c) { return c.training.episodes; }
std::uint64_t length_made(const TrainingSettings&, const ReplicaTable& table, std::uint64_t row) { return table.updates[row]; }
std::uint64_t length_made(const QTrainConfiguration&, const ReplicaTable& table, std::uint64_t row) {
  return table.episodes[row];
}
// Rows of TrainingStates::recent.
std::uint64_t recent_rows(const TrainingSettings& c) { return window_of(c); }
std::uint64_t recent_rows(const QTrainConfiguration&) { return 0; }

// Seconds from which trainings are worth writing down before what they came to is evaluated.
constexpr double kLongTraining = 5;

// A number an update, or episode, of each replica is kept up to here: the return at a training's end is worth no more memory.
constexpr std::uint64_t kMostOutcomesForFinalReturn = 65536;

// Whether the end's mean return is kept: of CartPole, unless evaluations say it better. (The fry shack's is known exactly.)
template <class Configuration>
bool keeps_final_return(const Record& record, const Configuration& c) {
  return !std::is_same_v<Configuration, TrainConfiguration> && record.evaluation_episodes == 0 &&
         planned_length(c) <= kMostOutcomesForFinalReturn && outcomes_fit(c);
}
template <class Configuration>
bool needs_outcomes(const Record& record, const Configuration& c) {
  return record.curve_every != 0 || !record.thresholds.empty() || keeps_final_return(record, c);
}

// Whether an outcome is the number of its steps. (The fry shack's steps are its episodes.)
bool outcome_is_steps(const CartPoleTrainConfiguration& c) { return !c.problem.environment.sutton_barto_reward; }
bool outcome_is_steps(const QTrainConfiguration& c) { return !c.training.environment.sutton_barto_reward; }
bool outcome_is_steps(const TrainConfiguration&) { return false; }

bool is_failed(const ReplicaTable& table, std::uint64_t i) {
  return table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::failed);
}
bool is_unfinished(const ReplicaTable& table, std::uint64_t i) {
  return table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::unfinished);
}

// Of value learners: an episode's return is one number of many, so a point is the mean over the episodes since the point before.
void add_curve(const Replicas<QTrainConfiguration>& of, const Record& record, const TrainingStates& r,
               std::vector<Column>& columns) {
  const std::uint64_t replicas = r.table.size(), every = record.curve_every;
  if (every == 0) return;
  for (std::uint64_t end = every; end <= planned_length(of.cell); end += every) {
    std::vector<double> values(replicas, kNoValue);
    for (std::uint64_t i = 0; i < replicas; ++i) {
      if (length_made(of.cell, r.table, i) < end) continue;
      std::uint64_t sum = 0;
      for (std::uint64_t e = end - every; e < end; ++e) sum += r.outcomes[e * replicas + i];
      values[i] = mean_return_of(of[i], static_cast<double>(sum), static_cast<double>(every));
    }
    columns.push_back(column_of(ColumnKind::curve_episodes, values, "", static_cast<double>(end)));
  }
}
template <class Configuration>
void add_curve(const Replicas<Configuration>& of, const Record& record, const TrainingStates& r, std::vector<Column>& columns) {
  const Configuration& c = of.cell;
  const std::uint64_t replicas = r.table.size();
  const auto add_point = [&](std::uint64_t update) {  // from 1
    std::vector<double> values(replicas, kNoValue);
    for (std::uint64_t i = 0; i < replicas; ++i) {
      if (r.table.updates[i] < update) continue;
      const auto outcome = static_cast<double>(r.outcomes[(update - 1) * replicas + i]);
      values[i] = mean_return_of(of[i], outcome, static_cast<double>(c.batch));
    }
    columns.push_back(column_of(ColumnKind::curve, values, "", static_cast<double>(update)));
  };
  if (record.curve_every == 0) return;
  if (record.curve_every != 1) add_point(1);
  for (std::uint64_t update = record.curve_every; update <= c.updates; update += record.curve_every) add_point(update);
}

// Steps made before the first outcome: those of warm-up episodes, which do not count. Known of replicas whose last episode ended.
template <class Configuration>
std::uint64_t steps_before_outcomes(const TrainingStates& r, std::uint64_t row, std::uint64_t made) {
  if constexpr (std::is_same_v<Configuration, QTrainConfiguration>) {
    std::uint64_t counted = 0;
    for (std::uint64_t e = 0; e < made; ++e) counted += r.outcomes[e * r.table.size() + row];
    return r.table.steps[row] - counted;
  }
  return 0;
}

// Thresholds and the final return: means over the last `window` outcomes, as --until looks at them.
template <class Configuration>
void add_window_means(const Replicas<Configuration>& of, const Record& record, const TrainingStates& r,
                      std::vector<Column>& columns) {
  const Configuration& c = of.cell;
  const std::uint64_t replicas = r.table.size(), window = window_of(episodes_of_outcome(c));
  const double batch = static_cast<double>(episodes_of_outcome(c));
  constexpr bool kByEpisodes = std::is_same_v<Configuration, QTrainConfiguration>;
  const std::size_t thresholds = record.thresholds.size();
  std::vector<std::vector<std::uint64_t>> reached(thresholds, std::vector<std::uint64_t>(replicas)), reached_steps = reached;
  std::vector<double> final_return(replicas, kNoValue);
  for (std::uint64_t i = 0; i < replicas; ++i) {
    const std::uint64_t made = length_made(c, r.table, i);
    const bool steps_known = outcome_is_steps(c) && !(kByEpisodes && is_failed(r.table, i));
    std::uint64_t in_window = 0, total = steps_known ? steps_before_outcomes<Configuration>(r, i, made) : 0;
    std::size_t open = thresholds;
    for (std::uint64_t u = 0; u < made; ++u) {
      const std::uint64_t outcome = r.outcomes[u * replicas + i];
      in_window += outcome;
      total += outcome;
      if (u >= window) in_window -= r.outcomes[(u - window) * replicas + i];
      if (open == 0 || u + 1 < window) continue;
      const double mean = mean_return_of(of[i], static_cast<double>(in_window), static_cast<double>(window) * batch);
      for (std::size_t t = 0; t < thresholds; ++t) {
        if (reached[t][i] != 0 || !(mean >= record.thresholds[t])) continue;
        reached[t][i] = u + 1;
        reached_steps[t][i] = steps_known ? total : 0;
        --open;
      }
    }
    if (!is_failed(r.table, i)) final_return[i] = final_return_of(of[i], r.outcomes, replicas, i, made);
  }
  for (std::size_t t = 0; t < thresholds; ++t) {
    columns.push_back(column_of(kByEpisodes ? ColumnKind::threshold_episodes : ColumnKind::threshold_updates, reached[t],
                                record.thresholds[t]));
    if (outcome_is_steps(c)) columns.push_back(column_of(ColumnKind::threshold_steps, reached_steps[t], record.thresholds[t]));
  }
  if (keeps_final_return(record, c)) columns.push_back(column_of(ColumnKind::final_return, final_return));
}

// The cell's configuration with a piece's seeds.
template <class Configuration>
Configuration of_piece(const Plan& plan, const Piece& piece, const Replicas<Configuration>& replicas) {
  Configuration c = replicas.cell;
  c.seed = plan.first_seed + piece.range.first;
  c.replicas = piece.range.count;
  return c;
}

// The configurations that rows of a piece train with, each for its own seeds: one for all, or one for each.
template <class Configuration>
std::vector<Configuration> rows_of(const Plan& plan, const Piece& piece, const Replicas<Configuration>& replicas) {
  if (!replicas.drawn.empty()) return replicas.drawn;
  return {of_piece(plan, piece, replicas)};
}

// The trainings of a piece before their first update.
template <class Configuration>
TrainingStates first_states(const Plan& plan, const Piece& piece, const Replicas<Configuration>& replicas) {
  const Configuration c = of_piece(plan, piece, replicas);
  TrainingStates states = fresh_states(c, needs_outcomes(plan.record, c));
  for (std::size_t j = 0; j < replicas.values.size(); ++j) {
    const Draw& draw = plan.distribution[j];
    if (draw.is_setting()) continue;
    std::vector<float>& column = states.table.parameters[draw.index];
    std::transform(replicas.values[j].begin(), replicas.values[j].end(), column.begin(),
                   [](double x) { return static_cast<float>(x); });
  }
  return states;
}

bool share_lanes(const std::vector<CartPoleTrainConfiguration>& configurations) {
  return std::all_of(configurations.begin(), configurations.end(), [&](const CartPoleTrainConfiguration& c) {
    return shared_by_lanes(c) == shared_by_lanes(configurations[0]);
  });
}
bool share_lanes(const std::vector<TrainConfiguration>& configurations) { return configurations.size() == 1; }
// They share no lanes, but a launch: kinds_of_cells() puts networks of one shape together.
bool share_lanes(const std::vector<QTrainConfiguration>&) { return true; }

void train_all(const std::vector<CartPoleTrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
               const RunControl& control) {
  train_on(configurations, states, backend, control);
}
void train_all(const std::vector<QTrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
               const RunControl& control) {
  train_on(configurations, states, backend, control);
}
void train_all(const std::vector<TrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
               const RunControl& control) {
  train_on(configurations[0], states, backend, control);
}

// Rows of `all`, as the configurations have them.
template <class Configuration>
std::vector<TrainingStates> parts_of(TrainingStates all, const std::vector<Configuration>& configurations) {
  std::vector<TrainingStates> parts;
  for (std::uint64_t row = 0; const Configuration& c : configurations) {
    parts.push_back(take_rows(all, row, c.replicas, planned_length(c), recent_rows(c)));
    parts.back().table.first_seed = c.seed;
    row += c.replicas;
  }
  return parts;
}

// One configuration after another: they may not share lanes.
template <class Configuration>
void train_one_by_one(const std::vector<Configuration>& configurations, TrainingStates& states, Backend& backend,
                      const RunControl& control) {
  constexpr std::uint64_t kUnits = 1'000'000;  // of progress, a configuration
  const std::uint64_t first_seed = states.table.first_seed;
  std::vector<TrainingStates> parts = parts_of(std::move(states), configurations);
  for (std::size_t i = 0; i < parts.size() && !is_set(control.pause); ++i) {
    if (all_ended(parts[i])) continue;
    RunControl inner = {control.stop, nullptr, control.pause};
    if (control.progress) {
      inner.progress = [&](std::uint64_t finished, std::uint64_t planned) {
        const double share = static_cast<double>(finished) / static_cast<double>(planned);
        control.progress(i * kUnits + static_cast<std::uint64_t>(share * kUnits), parts.size() * kUnits);
      };
    }
    train_all({configurations[i]}, parts[i], backend, inner);
  }
  states = join(std::move(parts));
  states.table.first_seed = first_seed;
}

// All trainings of a launch, until they end or are left. Returns whether they have ended.
template <class Configuration>
bool train_pieces(const Plan& plan, const std::vector<Replicas<Configuration>>& replicas, Launch& launch, Backend& backend,
                  const RunControl& control) {
  std::vector<Configuration> pieces, rows;  // of pieces for their sizes, of rows for their settings
  for (std::size_t i = 0; i < launch.pieces.size(); ++i) {
    const Piece& piece = launch.pieces[i];
    pieces.push_back(of_piece(plan, piece, replicas[i]));
    const std::vector<Configuration> more = rows_of(plan, piece, replicas[i]);
    rows.insert(rows.end(), more.begin(), more.end());
    if (launch.begun.size() == i) launch.begun.push_back(first_states(plan, piece, replicas[i]));
  }
  TrainingStates all = join(std::move(launch.begun));
  share_lanes(rows) ? train_all(rows, all, backend, control) : train_one_by_one(rows, all, backend, control);
  launch.begun.clear();
  if (pieces.size() == 1) {
    launch.begun.push_back(std::move(all));
  } else {
    launch.begun = parts_of(std::move(all), pieces);
  }
  return std::all_of(launch.begun.begin(), launch.begun.end(), all_ended);
}

template <class Configuration>
void store_trainings(const Plan& plan, const Replicas<Configuration>& of, const TrainingStates& r, Chunk& chunk,
                     std::uint64_t key, Backend& backend, const RunControl& control) {
  const Configuration& c = of.cell;
  const std::uint64_t replicas = chunk.range.count;
  const ReplicaTable& table = r.table;
  const std::uint64_t batch = episodes_of_outcome(c);
  chunk.digest = digest_of(table, batch, key);
  std::vector<std::uint64_t> episodes, steps;
  for (std::uint64_t i = 0; i < replicas; ++i) {
    episodes.push_back(table.episodes_of(i, batch));
    steps.push_back(table.steps_of(i, batch));
    chunk.failed += is_failed(table, i);
    chunk.solved += table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::solved);
  }
  std::vector<Column>& columns = chunk.columns;
  columns.push_back(column_of(ColumnKind::status, std::vector<std::uint64_t>(table.status.begin(), table.status.end())));
  columns.push_back(column_of(ColumnKind::updates, std::vector<std::uint64_t>(table.updates.begin(), table.updates.end())));
  columns.push_back(column_of(ColumnKind::episodes, episodes));
  columns.push_back(column_of(ColumnKind::steps, steps));
  if (plan.record.parameters) {
    const std::vector<std::string> names = names_of_training(c);
    for (std::size_t j = 0; j < names.size(); ++j)
      columns.push_back(column_of(ColumnKind::parameter, table.parameters[j], names[j]));
  }
  add_drawn(plan, of, ColumnKind::initial_parameter, columns);
  if (needs_outcomes(plan.record, c)) {
    add_curve(of, plan.record, r, columns);
    add_window_means(of, plan.record, r, columns);
  }

  // What the final policy is worth: exactly where there is a closed form, and by episodes where they were asked for.
  const auto evaluation_of_row = [&](std::uint64_t i) {
    std::vector<double> parameters;
    for (const std::vector<float>& column : table.parameters) parameters.push_back(static_cast<double>(column[i]));
    return evaluation_of(of[i], parameters);
  };
  if constexpr (std::is_same_v<Configuration, TrainConfiguration>) {
    std::vector<double> expected(replicas, kNoValue);
    for (std::uint64_t i = 0; i < replicas; ++i) {
      if (is_failed(table, i)) continue;
      expected[i] = fry_shack_expected_return(evaluation_of_row(i).problem);
    }
    columns.push_back(column_of(ColumnKind::expected_return, expected));
  }
  if (plan.record.evaluation_episodes == 0) return;
  Evaluations evaluations;
  for_each_replica(chunk.range, {control.stop, nullptr}, [&](std::uint64_t i, const RunControl& one) {
    if (is_failed(table, i)) {
      evaluations.add_none();
      return;
    }
    auto evaluation = evaluation_of_row(i);
    evaluation.episodes = plan.record.evaluation_episodes;
    evaluation.seed = table.first_seed + i;
    evaluations.add(evaluate(evaluation, backend, one));
  });
  evaluations.store(columns);
}

// ---- evaluations and gradients

// The columns that any cell has, of runs that cannot fail and make no update.
void add_counts(const std::vector<std::uint64_t>& episodes, const std::vector<std::uint64_t>& steps,
                std::vector<Column>& columns) {
  const std::vector<std::uint64_t> none(episodes.size());
  static_assert(static_cast<int>(ReplicaStatus::finished) == 0);
  columns.push_back(column_of(ColumnKind::status, none));
  columns.push_back(column_of(ColumnKind::updates, none));
  columns.push_back(column_of(ColumnKind::episodes, episodes));
  columns.push_back(column_of(ColumnKind::steps, steps));
}

template <class Configuration>
void run_evaluations(const Plan& plan, const Replicas<Configuration>& replicas, Chunk& chunk, std::uint64_t key, Backend& backend,
                     const RunControl& control) {
  std::vector<std::uint64_t> episodes, steps;
  Evaluations evaluations;
  for_each_replica(chunk.range, control, [&](std::uint64_t i, const RunControl& one) {
    Configuration c = replicas[i];
    c.seed = plan.first_seed + chunk.range.first + i;
    const EvaluateResult r = evaluate(c, backend, one);
    chunk.digest += hash_words(std::vector<std::uint64_t>{c.seed, r.digest}, key);
    episodes.push_back(r.episodes);
    steps.push_back(r.steps);
    evaluations.add(r);
  });
  add_counts(episodes, steps, chunk.columns);
  add_drawn(plan, replicas, ColumnKind::parameter, chunk.columns);
  evaluations.store(chunk.columns);
}

// Estimates of each parameter, then of the mean return, in one order for both environments.
struct NamedEstimate {
  std::string name;
  Estimate estimate;
  std::optional<double> second_moment;
};
std::vector<NamedEstimate> estimates_of(const GradientConfiguration&, const GradientResult& r) {
  return {{"weight", r.weight, r.second_moment_weight},
          {"bias", r.bias, r.second_moment_bias},
          {"mean_return", r.mean_return, std::nullopt}};
}
std::vector<NamedEstimate> estimates_of(const CartPoleGradientConfiguration& c, const CartPoleGradientResult& r) {
  const std::vector<std::string> names = names_of(c.problem);
  std::vector<NamedEstimate> all;
  for (std::size_t i = 0; i < names.size(); ++i) all.push_back({names[i], r.gradient[i], r.second_moment[i]});
  all.push_back({"mean_return", r.mean_return, std::nullopt});
  return all;
}

template <class Configuration>
void run_gradients(const Plan& plan, const Replicas<Configuration>& replicas, Chunk& chunk, std::uint64_t key, Backend& backend,
                   const RunControl& control) {
  std::vector<std::uint64_t> episodes, steps;
  std::vector<std::vector<NamedEstimate>> all;
  for_each_replica(chunk.range, control, [&](std::uint64_t i, const RunControl& one) {
    Configuration c = replicas[i];
    c.seed = plan.first_seed + chunk.range.first + i;
    const auto r = gradient(c, backend, one);
    chunk.digest += hash_words(std::vector<std::uint64_t>{c.seed, r.digest}, key);
    episodes.push_back(r.episodes);
    steps.push_back(r.steps);
    all.push_back(estimates_of(c, r));
  });
  add_counts(episodes, steps, chunk.columns);
  add_drawn(plan, replicas, ColumnKind::parameter, chunk.columns);
  for (std::size_t j = 0; j < all[0].size(); ++j) {
    std::vector<double> estimate, error, second;
    for (const std::vector<NamedEstimate>& one : all) {
      estimate.push_back(one[j].estimate.estimate);
      error.push_back(one[j].estimate.standard_error);
      second.push_back(one[j].second_moment.value_or(kNoValue));
    }
    const std::string& name = all[0][j].name;
    chunk.columns.push_back(column_of(ColumnKind::estimate, estimate, name));
    chunk.columns.push_back(column_of(ColumnKind::standard_error, error, name));
    if (all[0][j].second_moment) chunk.columns.push_back(column_of(ColumnKind::second_moment, second, name));
  }
}

}  // namespace

std::vector<Chunk> run_launch(const Plan& plan, Launch& launch, Backend& backend, const RunControl& control) {
  std::vector<Chunk> chunks;
  std::visit(
      [&]<class Configuration>(const Configuration& c) {
        std::vector<Replicas<Configuration>> replicas;
        for (const Piece& piece : launch.pieces)
          replicas.push_back(draw_replicas<Configuration>(plan, plan.cells[piece.cell], piece.range));
        if constexpr (kIsTraining<Configuration>) {
          const auto start = std::chrono::steady_clock::now();
          if (!train_pieces(plan, replicas, launch, backend, control)) return;
          const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
          if (control.pause != nullptr && plan.record.evaluation_episodes != 0 && took.count() > kLongTraining) return;
        }
        for (std::size_t i = 0; i < launch.pieces.size(); ++i) {
          const Piece& piece = launch.pieces[i];
          Chunk chunk;
          chunk.cell = piece.cell;
          chunk.range = piece.range;
          const std::uint64_t key = cell_key(plan, plan.cells[piece.cell]);
          if constexpr (kIsTraining<Configuration>) {
            store_trainings(plan, replicas[i], launch.begun[i], chunk, key, backend, control);
            launch.begun[i] = {};
          } else if constexpr (requires { c.greedy; }) {
            run_evaluations(plan, replicas[i], chunk, key, backend, control);
          } else {
            run_gradients(plan, replicas[i], chunk, key, backend, control);
          }
          chunks.push_back(std::move(chunk));
        }
        launch.begun.clear();
      },
      *plan.cells[launch.pieces[0].cell].run);
  return chunks;
}

Chunk run_chunk(const Plan& plan, std::uint64_t cell, const Range& range, Backend& backend, const RunControl& control) {
  Launch launch = {{{cell, range}}, {}};
  return std::move(run_launch(plan, launch, backend, {control.stop, control.progress, nullptr})[0]);
}

bool may_be_left(const Plan& plan, std::uint64_t cell) {
  return std::visit(
      []<class Configuration>(const Configuration& c) {
        if constexpr (std::is_same_v<Configuration, TrainConfiguration>) {
          return !lanes_can_train(c);
        } else {
          return kIsTraining<Configuration>;
        }
      },
      *plan.cells[cell].run);
}

bool fits(const Plan& plan, const Piece& piece, const TrainingStates& states) {
  return std::visit(
      [&]<class Configuration>(const Configuration& c) {
        bool all = false;
        if constexpr (kIsTraining<Configuration>) {
          constexpr bool kValueLearner = std::is_same_v<Configuration, QTrainConfiguration>;
          const std::uint64_t n = piece.range.count, parameters = names_of_training(c).size();
          const bool outcomes = needs_outcomes(plan.record, c);
          const ReplicaTable& table = states.table;
          const auto has_columns = [&](const std::vector<std::vector<float>>& columns) {
            return columns.size() == parameters &&
                   std::all_of(columns.begin(), columns.end(), [&](const auto& column) { return column.size() == n; });
          };
          const auto has_moments = [&](const std::vector<std::vector<float>>& columns) {
            return kValueLearner ? columns.empty() : has_columns(columns);
          };
          const bool steps = !std::is_same_v<Configuration, TrainConfiguration>;
          all = table.size() == n && table.updates.size() == n && table.steps.size() == (steps ? n : 0) &&
                table.episodes.size() == (kValueLearner ? n : 0) && has_columns(table.parameters) && has_moments(states.m) &&
                has_moments(states.v) && states.recent.size() == recent_rows(c) * n &&
                states.outcomes.size() == (outcomes ? planned_length(c) * n : 0) &&
                states.value_learners.size() == (kValueLearner ? n : 0);
          for (std::uint64_t i = 0; all && i < n; ++i)
            all = length_made(c, table, i) < planned_length(c) + (is_unfinished(table, i) ? 0 : 1);
          if constexpr (kValueLearner) {
            if (all) {
              const auto replicas = draw_replicas<Configuration>(plan, plan.cells[piece.cell], piece.range);
              for (std::uint64_t i = 0; all && i < n; ++i)
                all = fits(replicas[i], plan.first_seed + piece.range.first + i, outcomes, table, i, states.value_learners[i]);
            }
          }
        }
        return all;
      },
      *plan.cells[piece.cell].run);
}

double share_made(const Plan& plan, const Piece& piece, const TrainingStates& states) {
  return std::visit(
      [&]<class Configuration>(const Configuration& c) {
        double share = 0;
        if constexpr (kIsTraining<Configuration>) {
          for (std::uint64_t i = 0; i < states.table.size(); ++i) {
            const double made = static_cast<double>(length_made(c, states.table, i));
            share += is_unfinished(states.table, i) ? made / static_cast<double>(planned_length(c)) : 1;
          }
        }
        return share;
      },
      *plan.cells[piece.cell].run);
}

std::vector<std::uint64_t> kinds_of_cells(const Plan& plan) {
  std::vector<std::uint64_t> kinds;
  using OfValueLearners = std::tuple<int, int, std::uint32_t, bool>;  // shape, and what decides how long an update takes
  std::map<std::pair<std::variant<SharedByLanes, OfValueLearners>, bool>, std::uint64_t>
      known;  // bool: whether outcomes are kept
  std::uint64_t next = 0;
  const auto add = [&](std::variant<SharedByLanes, OfValueLearners> shared, bool outcomes) {
    const auto [found, is_new] = known.try_emplace({std::move(shared), outcomes}, next);
    if (is_new) ++next;
    kinds.push_back(found->second);
  };
  for (const Cell& cell : plan.cells) {
    if (const auto* c = std::get_if<CartPoleTrainConfiguration>(&*cell.run)) {
      add(shared_by_lanes(*c), needs_outcomes(plan.record, *c));
    } else if (const auto* q = std::get_if<QTrainConfiguration>(&*cell.run)) {
      const QTrainingSettings& t = q->training;
      add(OfValueLearners{t.shape.hidden1, t.shape.hidden2, t.batch, learns_online(*q)}, needs_outcomes(plan.record, *q));
    } else {
      kinds.push_back(next++);
    }
  }
  return kinds;
}

std::uint64_t largest_chunk(const Plan& plan, std::uint64_t cell) {
  constexpr std::uint64_t kMostNumbers = kMostValues / 2;
  // Columns besides the curve: thresholds' two each, the parameters of a hidden layer or Q network, and a dozen; and what is drawn, in
  // columns and in each replica's own configuration.
  std::uint64_t numbers = 2 * plan.record.thresholds.size() + HiddenLayerPolicy::kParameters + 16;
  std::visit(
      [&]<class Configuration>(const Configuration& c) {
        if (!plan.distribution.empty()) numbers += 2 * plan.distribution.size() + sizeof(Configuration) / sizeof(std::uint64_t);
        if constexpr (kIsTraining<Configuration>) {
          if constexpr (std::is_same_v<Configuration, QTrainConfiguration>) {
            numbers += static_cast<std::uint64_t>(c.training.shape.parameters());
          } else if (!plan.distribution.empty()) {
            numbers += std::min<std::uint64_t>(c.updates, 40'000);  // of the optimiser's table, which is settled by then
          }
          if (needs_outcomes(plan.record, c)) numbers += planned_length(c);
        }
      },
      *plan.cells[cell].run);
  return std::max<std::uint64_t>(kMostNumbers / numbers, 1);
}

bool outcomes_can_be_kept(const Cell& cell) {
  return std::visit(
      []<class Configuration>(const Configuration& c) {
        if constexpr (kIsTraining<Configuration>) return outcomes_fit(c);
        return true;
      },
      *cell.run);
}

bool has_value_learners(const Plan& plan, std::uint64_t cell) {
  return std::holds_alternative<QTrainConfiguration>(*plan.cells[cell].run);
}

std::uint64_t replicas_at_once(const Plan& plan, std::uint64_t cell, const BackendInfo& backend) {
  constexpr std::uint64_t kSetOfLanes = 128;
  constexpr std::uint64_t kBlocks = 512;  // about what a large GPU holds
  return std::visit(
      [&]<class Configuration>(const Configuration& c) -> std::uint64_t {
        if constexpr (std::is_same_v<Configuration, QTrainConfiguration>) {
          return backend.device.starts_with("cpu") ? std::uint64_t{backend.threads} * (learns_online(c) ? 2 : 1) : kBlocks;
        } else if constexpr (kIsTraining<Configuration>) {
          const Range two = {0, std::min<std::uint64_t>(plan.seeds, 2)};
          const auto rows = rows_of(plan, {cell, two}, draw_replicas<Configuration>(plan, plan.cells[cell], two));
          return share_lanes(rows) ? kSetOfLanes : 1;
        } else {
          return 1;
        }
      },
      *plan.cells[cell].run);
}

WorkEstimate estimate(const Plan& plan, std::uint64_t cell, std::uint64_t replicas) {
  return std::visit(
      [&]<class Configuration>(Configuration c) {
        if constexpr (kIsTraining<Configuration>) {
          c.replicas = replicas;
          return fryer::estimate(c);
        } else {
          WorkEstimate e = fryer::estimate(c);
          e.steps *= static_cast<double>(replicas);
          return e;
        }
      },
      *plan.cells[cell].run);
}

}  // namespace fryer::study
