// SPDX-License-Identifier: Apache-2.0
// See run_chunk.h. Trainings of a chunk run together; evaluations, gradients, and trainings whose parameters are drawn, one replica after
// another: each is a run of its own, spread over the backend by episodes.
#include "host/study/run_chunk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "fryer/core/error.h"
#include "fryer/core/philox.h"
#include "fryer/engine/registry.h"
#include "host/digest.h"
#include "host/driver.h"
#include "host/training_support.h"

namespace fryer::study {
namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

// The seed of a row's hash: what runs, so that equal rows of two cells count as two.
std::uint64_t cell_key(const Plan& plan, const Cell& cell) {
  std::string text = plan.command + '\n' + plan.environment + '\n' + plan.algorithm + '\n' + cell.key + '\n';
  for (const Draw& draw : plan.distribution) {
    text += draw.parameter + ' ' + Json(draw.low).dump() + ' ' + Json(draw.high).dump() + '\n';
  }
  return hash_text(text);
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

// ---- parameters, of any environment

std::vector<std::string> names_of(const Problem&) { return {kFryShackParameters.begin(), kFryShackParameters.end()}; }
std::vector<std::string> names_of(const CartPoleProblem& problem) { return parameter_names(problem.hidden); }

double parameter(const Problem& problem, std::size_t i) { return i == 0 ? problem.weight : problem.bias; }
double parameter(const CartPoleProblem& problem, std::size_t i) {
  return problem.hidden.units == 0 ? problem.parameters[i] : problem.hidden.parameters[i];
}
void set_parameter(Problem& problem, std::size_t i, double value) { (i == 0 ? problem.weight : problem.bias) = value; }
void set_parameter(CartPoleProblem& problem, std::size_t i, double value) {
  if (problem.hidden.units == 0) {
    problem.parameters[i] = value;
  } else {
    problem.hidden.parameters.resize(parameter_count(problem.hidden));
    problem.hidden.parameters[i] = value;
  }
}

// The parameters that the replica with this seed draws.
template <class AnyProblem>
void draw_parameters(const std::vector<Draw>& distribution, std::uint64_t seed, AnyProblem& problem) {
  for (const Draw& draw : distribution) {
    const RandomBlock<std::uint32_t> words = random_block(seed, Purpose::initialisation, 0, draw.index / 4);
    const std::uint32_t word[] = {words.x, words.y, words.z, words.w};
    const double u = static_cast<double>(word[draw.index % 4] >> 8) * 0x1p-24;
    set_parameter(problem, draw.index, static_cast<double>(static_cast<float>(draw.low + u * (draw.high - draw.low))));
  }
}

// ---- evaluations

EvaluateConfiguration evaluation_of(const Problem& problem) {
  EvaluateConfiguration c;
  c.problem = problem;
  return c;
}
CartPoleEvaluateConfiguration evaluation_of(const CartPoleProblem& problem) {
  CartPoleEvaluateConfiguration c;
  c.problem = problem;
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
    if (control.stop != nullptr && control.stop->load(std::memory_order_relaxed)) throw Stopped();
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

// A number an update of each replica is kept up to here: the return at a training's end is worth no more memory.
constexpr std::uint64_t kMostUpdatesForFinalReturn = 65536;

// Whether the end's mean return is kept: of CartPole, unless evaluations say it better. (The fry shack's is known exactly.)
template <class Configuration>
bool keeps_final_return(const Record& record, const Configuration& c) {
  return std::is_same_v<Configuration, CartPoleTrainConfiguration> && record.evaluation_episodes == 0 &&
         c.updates <= kMostUpdatesForFinalReturn && outcomes_fit(c);
}
template <class Configuration>
bool needs_outcomes(const Record& record, const Configuration& c) {
  return record.curve_every != 0 || !record.thresholds.empty() || keeps_final_return(record, c);
}

// Whether a batch's outcome is the number of its steps. (The fry shack's steps are its episodes.)
bool outcome_is_steps(const CartPoleTrainConfiguration& c) { return !c.problem.environment.sutton_barto_reward; }
bool outcome_is_steps(const TrainConfiguration&) { return false; }

bool is_failed(const ReplicaTable& table, std::uint64_t i) {
  return table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::failed);
}

template <class Configuration>
void add_curve(const Configuration& c, const Record& record, const TrainResult& r, std::vector<Column>& columns) {
  const std::uint64_t replicas = r.table.size();
  const auto add_point = [&](std::uint64_t update) {  // from 1
    std::vector<double> values(replicas, kNoValue);
    for (std::uint64_t i = 0; i < replicas; ++i) {
      if (r.table.updates[i] < update) continue;
      values[i] = mean_return_of(c, static_cast<double>(r.outcomes[(update - 1) * replicas + i]), static_cast<double>(c.batch));
    }
    columns.push_back(column_of(ColumnKind::curve, values, "", static_cast<double>(update)));
  };
  if (record.curve_every == 0) return;
  if (record.curve_every != 1) add_point(1);
  for (std::uint64_t update = record.curve_every; update <= c.updates; update += record.curve_every) add_point(update);
}

// Thresholds and the final return: means over the last `window` updates, as --until looks at them.
template <class Configuration>
void add_window_means(const Configuration& c, const Record& record, const TrainResult& r, std::vector<Column>& columns) {
  const std::uint64_t replicas = r.table.size(), window = window_of(c.batch);
  const double batch = static_cast<double>(c.batch);
  const std::size_t thresholds = record.thresholds.size();
  std::vector<std::vector<std::uint64_t>> reached(thresholds, std::vector<std::uint64_t>(replicas)), reached_steps = reached;
  std::vector<double> final_return(replicas, kNoValue);
  for (std::uint64_t i = 0; i < replicas; ++i) {
    const std::uint64_t made = r.table.updates[i];
    std::uint64_t in_window = 0, total = 0;
    std::size_t open = thresholds;
    for (std::uint64_t u = 0; u < made; ++u) {
      const std::uint64_t outcome = r.outcomes[u * replicas + i];
      in_window += outcome;
      total += outcome;
      if (u >= window) in_window -= r.outcomes[(u - window) * replicas + i];
      if (open == 0 || u + 1 < window) continue;
      const double mean = mean_return_of(c, static_cast<double>(in_window), static_cast<double>(window) * batch);
      for (std::size_t t = 0; t < thresholds; ++t) {
        if (reached[t][i] != 0 || !(mean >= record.thresholds[t])) continue;
        reached[t][i] = u + 1;
        reached_steps[t][i] = total;
        --open;
      }
    }
    const std::uint64_t last = std::min(window, made);
    if (last == 0 || is_failed(r.table, i)) continue;
    final_return[i] = mean_return_of(c, static_cast<double>(in_window), static_cast<double>(last) * batch);
  }
  for (std::size_t t = 0; t < thresholds; ++t) {
    columns.push_back(column_of(ColumnKind::threshold_updates, reached[t], record.thresholds[t]));
    if (outcome_is_steps(c)) columns.push_back(column_of(ColumnKind::threshold_steps, reached_steps[t], record.thresholds[t]));
  }
  if (keeps_final_return(record, c)) columns.push_back(column_of(ColumnKind::final_return, final_return));
}

// One replica's training as row `i` of `all`, whose columns have their size.
void store_row(TrainResult& all, std::uint64_t i, std::uint64_t replicas, const TrainResult& one) {
  ReplicaTable& to = all.table;
  if (i == 0) {
    to.status.resize(replicas);
    to.updates.resize(replicas);
    to.steps.resize(one.table.steps.empty() ? 0 : replicas);
    to.parameters.assign(one.table.parameters.size(), std::vector<float>(replicas));
    all.outcomes.resize(one.outcomes.size() * replicas);
  }
  to.status[i] = one.table.status[0];
  to.updates[i] = one.table.updates[0];
  if (!to.steps.empty()) to.steps[i] = one.table.steps[0];
  for (std::size_t j = 0; j < to.parameters.size(); ++j) to.parameters[j][i] = one.table.parameters[j][0];
  for (std::uint64_t u = 0; u < one.outcomes.size(); ++u) all.outcomes[u * replicas + i] = one.outcomes[u];
}

template <class Configuration>
TrainResult train_rows(const Plan& plan, Configuration c, const Range& range, Backend& backend, const RunControl& control) {
  const TrainOutput output = needs_outcomes(plan.record, c) ? TrainOutput::rows_and_outcomes : TrainOutput::rows;
  c.seed = plan.first_seed + range.first;
  c.replicas = range.count;
  if (plan.distribution.empty()) {
    return train(c, backend, control, Spread::automatic, output);
  }
  TrainResult all;
  for_each_replica(range, control, [&](std::uint64_t i, const RunControl& inner) {
    Configuration one = c;
    one.seed = c.seed + i;
    one.replicas = 1;
    draw_parameters(plan.distribution, one.seed, one.problem);
    store_row(all, i, range.count, train(one, backend, inner, Spread::automatic, output));
  });
  all.table.first_seed = c.seed;
  return all;
}

template <class Configuration>
void run_trainings(const Plan& plan, const Configuration& c, Chunk& chunk, std::uint64_t key, Backend& backend,
                   const RunControl& control) {
  const std::uint64_t replicas = chunk.range.count;
  const TrainResult r = train_rows(plan, c, chunk.range, backend, control);
  const ReplicaTable& table = r.table;
  chunk.digest = digest_of(table, c.batch, key);
  std::vector<std::uint64_t> episodes, steps;
  for (std::uint64_t i = 0; i < replicas; ++i) {
    episodes.push_back(table.updates[i] * c.batch);
    steps.push_back(table.steps_of(i, c.batch));
    chunk.failed += is_failed(table, i);
    chunk.solved += table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::solved);
  }
  std::vector<Column>& columns = chunk.columns;
  columns.push_back(column_of(ColumnKind::status, std::vector<std::uint64_t>(table.status.begin(), table.status.end())));
  columns.push_back(column_of(ColumnKind::updates, std::vector<std::uint64_t>(table.updates.begin(), table.updates.end())));
  columns.push_back(column_of(ColumnKind::episodes, episodes));
  columns.push_back(column_of(ColumnKind::steps, steps));
  const std::vector<std::string> names = names_of(c.problem);
  if (plan.record.parameters) {
    for (std::size_t j = 0; j < names.size(); ++j)
      columns.push_back(column_of(ColumnKind::parameter, table.parameters[j], names[j]));
  }
  if (needs_outcomes(plan.record, c)) {
    add_curve(c, plan.record, r, columns);
    add_window_means(c, plan.record, r, columns);
  }

  // What the final policy is worth: exactly where there is a closed form, and by episodes where they were asked for.
  auto problem = c.problem;
  const auto set_final = [&](std::uint64_t i) {
    for (std::size_t j = 0; j < names.size(); ++j) set_parameter(problem, j, static_cast<double>(table.parameters[j][i]));
  };
  if constexpr (std::is_same_v<Configuration, TrainConfiguration>) {
    std::vector<double> expected(replicas, kNoValue);
    for (std::uint64_t i = 0; i < replicas; ++i) {
      if (is_failed(table, i)) continue;
      set_final(i);
      expected[i] = fry_shack_expected_return(problem);
    }
    columns.push_back(column_of(ColumnKind::expected_return, expected));
  }
  if (plan.record.evaluation_episodes == 0) return;
  auto evaluation = evaluation_of(problem);
  evaluation.episodes = plan.record.evaluation_episodes;
  Evaluations evaluations;
  for_each_replica(chunk.range, {control.stop, nullptr}, [&](std::uint64_t i, const RunControl& one) {
    if (is_failed(table, i)) {
      evaluations.add_none();
      return;
    }
    set_final(i);
    evaluation.problem = problem;
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
void run_evaluations(const Plan& plan, Configuration c, Chunk& chunk, std::uint64_t key, Backend& backend,
                     const RunControl& control) {
  std::vector<std::vector<float>> drawn(plan.distribution.size());
  std::vector<std::uint64_t> episodes, steps;
  Evaluations evaluations;
  for_each_replica(chunk.range, control, [&](std::uint64_t i, const RunControl& one) {
    c.seed = plan.first_seed + chunk.range.first + i;
    draw_parameters(plan.distribution, c.seed, c.problem);
    for (std::size_t j = 0; j < drawn.size(); ++j)
      drawn[j].push_back(static_cast<float>(parameter(c.problem, plan.distribution[j].index)));
    const EvaluateResult r = evaluate(c, backend, one);
    chunk.digest += hash_words(std::vector<std::uint64_t>{c.seed, r.digest}, key);
    episodes.push_back(r.episodes);
    steps.push_back(r.steps);
    evaluations.add(r);
  });
  add_counts(episodes, steps, chunk.columns);
  for (std::size_t j = 0; plan.record.parameters && j < drawn.size(); ++j)
    chunk.columns.push_back(column_of(ColumnKind::parameter, drawn[j], plan.distribution[j].parameter));
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
void run_gradients(const Plan& plan, Configuration c, Chunk& chunk, std::uint64_t key, Backend& backend,
                   const RunControl& control) {
  std::vector<std::uint64_t> episodes, steps;
  std::vector<std::vector<NamedEstimate>> all;
  for_each_replica(chunk.range, control, [&](std::uint64_t i, const RunControl& one) {
    c.seed = plan.first_seed + chunk.range.first + i;
    const auto r = gradient(c, backend, one);
    chunk.digest += hash_words(std::vector<std::uint64_t>{c.seed, r.digest}, key);
    episodes.push_back(r.episodes);
    steps.push_back(r.steps);
    all.push_back(estimates_of(c, r));
  });
  add_counts(episodes, steps, chunk.columns);
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

Chunk run_chunk(const Plan& plan, std::uint64_t cell, const Range& range, Backend& backend, const RunControl& control) {
  Chunk chunk;
  chunk.cell = cell;
  chunk.range = range;
  const std::uint64_t key = cell_key(plan, plan.cells[cell]);
  std::visit(
      [&]<class Configuration>(const Configuration& c) {
        if constexpr (kIsTraining<Configuration>) {
          run_trainings(plan, c, chunk, key, backend, control);
        } else if constexpr (requires { c.greedy; }) {
          run_evaluations(plan, c, chunk, key, backend, control);
        } else {
          run_gradients(plan, c, chunk, key, backend, control);
        }
      },
      *plan.cells[cell].run);
  return chunk;
}

std::uint64_t largest_chunk(const Plan& plan, std::uint64_t cell) {
  constexpr std::uint64_t kMostNumbers = kMostValues / 2;
  // Columns besides the curve: thresholds' two each, a hidden layer's parameters, and a dozen.
  const std::uint64_t columns = 2 * plan.record.thresholds.size() + HiddenLayerPolicy::kParameters + 16;
  const std::uint64_t updates = std::visit(
      [&]<class Configuration>(const Configuration& c) -> std::uint64_t {
        if constexpr (kIsTraining<Configuration>) {
          if (needs_outcomes(plan.record, c)) return c.updates;
        }
        return 0;
      },
      *plan.cells[cell].run);
  return std::max<std::uint64_t>(kMostNumbers / (updates + columns), 1);
}

bool outcomes_can_be_kept(const Cell& cell) {
  return std::visit(
      []<class Configuration>(const Configuration& c) {
        if constexpr (kIsTraining<Configuration>) return outcomes_fit(c);
        return true;
      },
      *cell.run);
}

bool trains_in_lanes(const Plan& plan, std::uint64_t cell) {
  const bool training =
      std::visit([]<class Configuration>(const Configuration&) { return kIsTraining<Configuration>; }, *plan.cells[cell].run);
  return training && plan.distribution.empty();
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
