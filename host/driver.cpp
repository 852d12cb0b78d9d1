// SPDX-License-Identifier: Apache-2.0
// From configurations to backend work and from exact sums to results. Runs the one-policy training itself: the backend sums an
// update's episodes, the host makes the optimizer's step with the lanes' own template.
#include "host/driver.h"

#include <algorithm>
#include <cmath>

#include "fryer/core/error.h"
#include "host/cpu_backend.h"
#include "host/digest.h"
#include "host/floating_environment.h"
#include "host/statistics.h"
#include "host/training_support.h"

namespace fryer {
namespace {

OneBlockRules make_rules(const Problem& problem, Purpose purpose) {
  const auto gain = [&](double reward) { return static_cast<float>(problem.reward_scale * reward); };
  return {FryShack::make_rules(problem.environment), purpose_word(purpose), gain(problem.environment.reward_correct),
          gain(problem.environment.reward_wrong)};
}

SigmoidPolicy<float, 1> lane_policy(float weight, float bias) {
  return {{weight * static_cast<float>(FryShack::kObservationUnit)}, bias};
}

EpisodeWork make_episode_work(const Problem& problem, Purpose purpose, std::uint64_t seed, std::uint64_t batch) {
  EpisodeWork work{};
  work.key = make_uniform_key(seed);
  work.rules = make_rules(problem, purpose);
  work.policy = lane_policy(static_cast<float>(problem.weight), static_cast<float>(problem.bias));
  work.fixed_point = make_fixed_point(batch, work.rules.gain_correct, work.rules.gain_wrong);
  const int digits = square_digits(work.rules.gain_correct, work.rules.gain_wrong);
  work.square_scale_bias = std::ldexp(1.0, digits - 2 * 24);
  work.square_scale_weight = std::ldexp(1.0, digits - 2 * 48);
  return work;
}

bool correct_pays_more(const FryShack::Settings& s) { return s.reward_correct >= s.reward_wrong; }

// Mean return of n episodes of which k had a correct order; exact where it can be, and exactly a reward at both ends.
double mean_return(const FryShack::Settings& s, double k, double n) {
  return (s.reward_wrong * (n - k) + s.reward_correct * k) / n;
}

// The stopping rule as integers: the last `updates` batches together need `successes` episodes of the better outcome.
struct Threshold {
  std::uint64_t updates = 0, successes = 0;  // updates 0: no rule
};

Threshold make_threshold(const TrainConfiguration& c) {
  if (!c.until) return {};
  const FryShack::Settings& s = c.problem.environment;
  Threshold t;
  t.updates = window_of(c);
  const std::uint64_t episodes = t.updates * c.batch;
  const auto reached = [&](std::uint64_t successes) {
    const std::uint64_t correct = correct_pays_more(s) ? successes : episodes - successes;
    return mean_return(s, static_cast<double>(correct), static_cast<double>(episodes)) >= *c.until;
  };
  t.successes = smallest_reaching(episodes, reached);
  return t;
}

// Few replicas with a large batch: the episodes of an update fill the machine better than replicas do.
Spread choose_spread(const TrainConfiguration& c, unsigned threads) {
  if (!lanes_can_train(c)) return Spread::episodes;
  return c.batch >= 4096 && c.replicas < 64 * std::uint64_t{threads} ? Spread::episodes : Spread::replicas;
}

Spread checked_spread(const TrainConfiguration& c, Spread spread, unsigned threads) {
  if (spread == Spread::automatic) return choose_spread(c, threads);
  if (spread == Spread::replicas && !lanes_can_train(c))
    throw ConfigurationError("--batch: too large for lanes that train whole replicas");
  return spread;
}

Population train_replicas(const TrainConfiguration& c, const TrainDetail& detail, Backend& backend, const RunControl& control) {
  const AdamTable table = make_table(c);
  TrainRequest request;
  ReplicaWork& work = request.work;
  work = {};
  work.rules = make_rules(c.problem, Purpose::action);
  work.fixed_point = make_fixed_point(c.batch, work.rules.gain_correct, work.rules.gain_wrong);
  work.optimizer = make_optimizer_constants<float>(c.optimizer);
  work.optimizer_kind = c.optimizer.kind;
  work.learn_weight = c.problem.learn_weight;
  work.initial_weight = static_cast<float>(c.problem.weight);
  work.initial_bias = static_cast<float>(c.problem.bias);
  work.updates = static_cast<std::uint32_t>(c.updates);
  work.batch = static_cast<std::uint32_t>(c.batch);
  work.table_last = static_cast<std::uint32_t>(table.step.size() - 1);
  const Threshold threshold = make_threshold(c);
  work.window = static_cast<std::uint32_t>(threshold.updates);
  work.window_target = static_cast<std::uint32_t>(threshold.successes);
  work.correct_pays_more = correct_pays_more(c.problem.environment);
  request.table = &table;
  request.first_seed = c.seed;
  request.replicas = c.replicas;
  request.detail = detail;
  return backend.train(request, control);
}

// One replica after another, episodes of an update spread over the backend; outcomes are added to `curve` if it is not null.
// failed_parameter: set to 0 (weight) or 1 (bias) where a parameter stops being finite, if not null.
void train_episodes(const TrainConfiguration& c, TrainingStates& states, Backend& backend, const RunControl& control,
                    CurveTotals* curve = nullptr, int* failed_parameter = nullptr) {
  const OptimizerConstants<float> constants = make_optimizer_constants<float>(c.optimizer);
  const AdamTable table = make_table(c);
  const Threshold threshold = make_threshold(c);
  const bool more = correct_pays_more(c.problem.environment);
  const RunControl inner{control.stop, nullptr, nullptr};
  ReplicaTable& rows = states.table;
  for (std::uint64_t row = 0; row < rows.size(); ++row) {
    if (rows.status[row] != static_cast<std::uint8_t>(ReplicaStatus::unfinished)) continue;
    EpisodeWork work = make_episode_work(c.problem, Purpose::action, c.seed + row, c.batch);
    StoppingWindow window(states, row, threshold.updates, threshold.successes);
    float theta[2], m[2], v[2];
    for (std::size_t i = 0; i < 2; ++i) {
      theta[i] = rows.parameters[i][row];
      m[i] = states.m[i][row];
      v[i] = states.v[i][row];
    }
    std::uint64_t made = rows.updates[row];
    ReplicaStatus status = ReplicaStatus::unfinished;
    while (status == ReplicaStatus::unfinished && !is_set(control.pause)) {
      work.policy = lane_policy(theta[0], theta[1]);
      const GradientSums sums = backend.gradient(work, made * c.batch, c.batch, c.problem.learn_weight, Moments::first, inner);
      const std::size_t entry = std::min<std::size_t>(made, table.step.size() - 1);
      for (int i = c.problem.learn_weight ? 0 : 1; i < 2; ++i) {
        const float gradient = mean_from_fixed(sums.gradient[i], work.fixed_point.unit);
        if (c.optimizer.kind == OptimizerSettings::Kind::adam) {
          adam_step(constants, table.step[entry], table.root_scale[entry], gradient, m[i], v[i], theta[i]);
        } else {
          sgd_step(constants, gradient, theta[i]);
        }
      }
      const std::uint64_t k = sums.correct;
      if (curve != nullptr) add_to_curve(*curve, made, k);
      if (!states.outcomes.empty()) states.outcomes[made * rows.size() + row] = static_cast<std::uint32_t>(k);
      const bool solved = window.add(made, more ? k : c.batch - k);
      ++made;
      if (control.progress) control.progress(row * c.updates + made, rows.size() * c.updates);
      if (!is_finite(theta[0]) || !is_finite(theta[1])) {
        status = ReplicaStatus::failed;
        if (failed_parameter != nullptr) *failed_parameter = is_finite(theta[0]) ? 1 : 0;
        theta[0] = theta[1] = from_bits(kFailedParameterBits);
      } else if (solved) {
        status = ReplicaStatus::solved;
      } else if (made == c.updates) {
        status = ReplicaStatus::finished;
      }
    }
    for (std::size_t i = 0; i < 2; ++i) {
      rows.parameters[i][row] = theta[i];
      states.m[i][row] = m[i];
      states.v[i][row] = v[i];
    }
    rows.status[row] = static_cast<std::uint8_t>(status);
    rows.updates[row] = static_cast<std::uint32_t>(made);
    if (status == ReplicaStatus::unfinished) return;
  }
}

// Statistics and all of a population.
Population train_population(const TrainConfiguration& c, Backend& backend, const RunControl& control, Spread spread) {
  // For a batch of one the counts give the quantiles; one replica has none.
  if (spread == Spread::replicas)
    return train_replicas(c, {true, c.batch > 1 && has_curve_quantiles(c), false}, backend, control);
  Population population;
  population.curve = empty_curve(c.updates);
  TrainingStates states = fresh_states(c, has_curve_quantiles(c) && outcomes_fit(c));
  train_episodes(c, states, backend, {control.stop, control.progress, nullptr}, &population.curve);
  population.table = std::move(states.table);
  summarise_population(population);
  if (!states.outcomes.empty()) {
    if (!correct_pays_more(c.problem.environment)) {  // quantiles are of successes
      for (std::uint32_t& k : states.outcomes) k = static_cast<std::uint32_t>(c.batch) - k;
    }
    population.curve_quantiles = curve_quantiles_sorting(c.updates, population.table, states.outcomes);
  }
  return population;
}

std::vector<CurvePoint> make_curve(const TrainConfiguration& c, const Population& population) {
  const FryShack::Settings& s = c.problem.environment;
  const double spread = std::abs(s.reward_correct - s.reward_wrong), batch = static_cast<double>(c.batch);
  const CurveTotals& totals = population.curve;
  const bool more = correct_pays_more(s);
  const bool quantiles = has_curve_quantiles(c) && (c.batch == 1 || !population.curve_quantiles.empty());
  std::vector<CurvePoint> curve;
  for (std::uint64_t u = 0; u < c.updates && totals.count[u] != 0; ++u) {
    const std::uint64_t n = totals.count[u];
    const Wide sum = to_wide(totals.correct[u]), squares = to_wide(totals.squared[u]);
    const double episodes = static_cast<double>(n) * batch;
    CurvePoint point;
    point.update = u + 1;
    point.count = n;
    point.mean_return = mean_return(s, static_cast<double>(sum), episodes);
    point.sd = spread * std::sqrt(static_cast<double>(static_cast<Wide>(n) * squares - sum * sum)) / episodes;
    if (quantiles) {
      std::array<double, kQuantiles.size()> values;
      for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
        std::uint64_t successes;
        if (c.batch == 1) {  // the counts say it all
          const std::uint64_t correct = static_cast<std::uint64_t>(sum);
          successes = quantile_position(kQuantiles[i], n) >= n - (more ? correct : n - correct) ? 1 : 0;
        } else {
          successes = population.curve_quantiles[u * kQuantiles.size() + i];
        }
        values[i] = mean_return(s, static_cast<double>(more ? successes : c.batch - successes), batch);
      }
      point.quantiles = values;
    }
    curve.push_back(point);
  }
  return curve;
}

// Which parameter it was, the same training made again says.
Failure explained_failure(const TrainConfiguration& c, const ReplicaTable& table, Backend& backend, const RunControl& control) {
  Failure failure = first_failure(table);
  if (failure.count == 0) return failure;
  int parameter = 1;
  if (c.problem.learn_weight) {
    TrainConfiguration again = c;
    again.seed = failure.seed;
    again.replicas = 1;
    again.updates = failure.update;
    TrainingStates states = fresh_states(again, false);
    train_episodes(again, states, backend, {control.stop, nullptr, nullptr}, nullptr, &parameter);
  }
  failure.quantity = parameter == 0 ? "weight" : "bias";
  return failure;
}

// Mean return of n episodes, k of them with a correct order, its standard deviation and standard error.
struct Returns {
  double mean, sd, standard_error;
};
Returns returns_of(const FryShack::Settings& s, std::uint64_t k, std::uint64_t n) {
  const double count = static_cast<double>(n), share = static_cast<double>(k) / count;
  const double sd = std::abs(s.reward_correct - s.reward_wrong) * std::sqrt(share * (1 - share));
  const double mean = mean_return(s, static_cast<double>(k), count);
  return n > 1 ? Returns{mean, sd, sd / std::sqrt(count - 1)} : Returns{mean, kUndefined, kUndefined};
}

}  // namespace

TrainResult train(const TrainConfiguration& c, Backend& backend, const RunControl& control, Spread spread) {
  const FloatingEnvironment environment;
  validate(c);
  Population population = train_population(c, backend, control, checked_spread(c, spread, backend.info().threads));

  TrainResult result;
  result.curve = make_curve(c, population);
  result.parameters = population.parameters;
  result.solved = population.solved_updates.count;
  result.solved_updates = population.solved_updates;
  result.failed = explained_failure(c, population.table, backend, control);
  result.digest = digest_of(population.table, c.batch);
  for (const std::uint64_t n : population.curve.count) result.optimizer_updates += n;
  result.episodes = result.optimizer_updates * c.batch;
  result.steps = result.episodes * FryShack::kStepsPerEpisode;
  result.table = std::move(population.table);
  return result;
}

TrainResult train(const TrainConfiguration& configuration, Backend& backend, const RunControl& control) {
  return train(configuration, backend, control, Spread::automatic);
}

bool lanes_can_train(const TrainConfiguration& c) { return c.batch <= 65536 && c.updates * c.batch < (std::uint64_t{1} << 32); }

TrainingStates fresh_states(const TrainConfiguration& c, bool outcomes) {
  validate(c);
  if (outcomes && !outcomes_fit(c)) throw ConfigurationError("--batch: too large for the return of each update to be kept");
  TrainingStates states = empty_states(c, 2, outcomes);
  states.table.steps.clear();  // every episode is one step
  std::fill(states.table.parameters[0].begin(), states.table.parameters[0].end(), static_cast<float>(c.problem.weight));
  std::fill(states.table.parameters[1].begin(), states.table.parameters[1].end(), static_cast<float>(c.problem.bias));
  return states;
}

void train_on(const TrainConfiguration& given, TrainingStates& states, Backend& backend, const RunControl& control,
              Spread spread) {
  const FloatingEnvironment environment;
  TrainConfiguration c = given;
  c.seed = states.table.first_seed;
  c.replicas = states.table.size();
  if (checked_spread(c, spread, backend.info().threads) == Spread::episodes) return train_episodes(c, states, backend, control);
  Population population = train_replicas(c, {false, false, !states.outcomes.empty()}, backend, control);
  states.table = std::move(population.table);
  states.outcomes = std::move(population.outcomes);
}

bool outcomes_fit(const TrainConfiguration& c) { return c.batch <= 0xffffffffu; }

double mean_return_of(const TrainConfiguration& c, double sum, double episodes) {
  return mean_return(c.problem.environment, sum, episodes);
}

GradientResult gradient(const GradientConfiguration& c, Backend& backend, const RunControl& control) {
  const FloatingEnvironment environment;
  validate(c);
  const EpisodeWork work = make_episode_work(c.problem, Purpose::action, c.seed, c.episodes);
  GradientResult r;
  r.sums = backend.gradient(work, 0, c.episodes, true, Moments::first_and_second, control);
  r.episodes = c.episodes;
  r.steps = c.episodes * FryShack::kStepsPerEpisode;
  const FryShackExact exact = fry_shack_exact(c.problem);
  const int digits = square_digits(work.rules.gain_correct, work.rules.gain_wrong);
  // Sums are of the loss's gradient; the ascent direction is its negative.
  const auto first = [&](int i) { return 0.0 - std::ldexp(to_double(r.sums.gradient[i]), -work.fixed_point.digits); };
  const auto second = [&](int i) { return std::ldexp(r.sums.squared[i].value(), -digits); };
  const double n = static_cast<double>(c.episodes);
  r.weight = estimate_of(first(0), second(0), c.episodes, exact.gradient_weight);
  r.bias = estimate_of(first(1), second(1), c.episodes, exact.gradient_bias);
  r.second_moment_weight = second(0) / n;
  r.second_moment_bias = second(1) / n;
  r.second_moment_weight_exact = exact.second_moment_weight;
  r.second_moment_bias_exact = exact.second_moment_bias;
  const FryShack::Settings& s = c.problem.environment;
  const Returns returns = returns_of(s, r.sums.correct, c.episodes);
  r.mean_return.estimate = returns.mean;
  r.mean_return.standard_error = returns.standard_error;
  r.mean_return.exact = exact.mean_return;
  if (r.mean_return.standard_error > 0) r.mean_return.z = (returns.mean - exact.mean_return) / r.mean_return.standard_error;
  r.digest = digest_of(r.sums);
  return r;
}

EvaluateResult evaluate(const EvaluateConfiguration& c, Backend& backend, const RunControl& control) {
  const FloatingEnvironment environment;
  validate(c);
  EpisodeWork work = make_episode_work(c.problem, Purpose::evaluation_action, c.seed, c.episodes);
  if (c.random) work.policy = lane_policy(0, 0);  // sigmoid(0) is exactly 1/2
  work.greedy = c.greedy;
  EvaluateResult r;
  r.outcomes = backend.evaluate(work, 0, c.episodes, control);
  r.episodes = c.episodes;
  const FryShack::Settings& s = c.problem.environment;
  const std::uint64_t correct = r.outcomes[1] + r.outcomes[3];
  const Returns returns = returns_of(s, correct, c.episodes);
  r.mean = returns.mean;
  r.sd = returns.sd;
  r.standard_error = returns.standard_error;
  const double low = std::min(s.reward_correct, s.reward_wrong), high = std::max(s.reward_correct, s.reward_wrong);
  const std::uint64_t lower = s.reward_correct <= s.reward_wrong ? correct : c.episodes - correct;  // episodes that paid `low`
  r.min = lower != 0 ? low : high;
  r.max = lower != c.episodes ? high : low;
  for (std::size_t i = 0; i < kQuantiles.size(); ++i)
    r.quantiles[i] = quantile_position(kQuantiles[i], c.episodes) < lower ? low : high;
  r.steps = c.episodes * FryShack::kStepsPerEpisode;
  r.terminated = c.episodes;  // an episode ends with its only step
  r.length_histogram = {0, c.episodes};
  r.digest = digest_of(r.outcomes);
  return r;
}

WorkEstimate estimate(const TrainConfiguration& c) {
  const double updates = static_cast<double>(c.updates), replicas = static_cast<double>(c.replicas);
  WorkEstimate e;
  e.steps = updates * replicas * static_cast<double>(c.batch);
  e.parallelism = choose_spread(c, usable_threads()) == Spread::replicas ? c.replicas : c.batch;
  // Rows and their copies for sorting; the curve's sums of each worker and its points; Adam's table; and, for quantiles of the
  // curve, a number for each update of each replica.
  const bool counts = c.batch > 1 && has_curve_quantiles(c);
  e.memory_bytes = c.replicas * (1 + 4 + 4 + 4 + 4) +
                   c.updates * (24 * (std::uint64_t{usable_threads()} + 2) + 8 + sizeof(CurvePoint)) +
                   (counts ? 8 * c.updates * c.replicas : 0);
  return e;
}
WorkEstimate estimate(const GradientConfiguration& c) { return {static_cast<double>(c.episodes), c.episodes, 0}; }
WorkEstimate estimate(const EvaluateConfiguration& c) { return {static_cast<double>(c.episodes), c.episodes, 0}; }

}  // namespace fryer
