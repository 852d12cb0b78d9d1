// SPDX-License-Identifier: Apache-2.0
// CartPole: from configurations to backend work and from exact sums to results. Where one training's episodes are spread over the
// backend, the host makes each update's step with the lanes' own learner.
#include <algorithm>
#include <cmath>

#include "fryer/core/error.h"
#include "fryer/engine/registry.h"
#include "host/cpu_backend.h"
#include "host/digest.h"
#include "host/driver.h"
#include "host/floating_environment.h"
#include "host/statistics.h"
#include "host/training_support.h"

namespace fryer {
namespace {

// evaluation: draws from the addresses of evaluations, so that a training's seed does not replay the training.
CartPoleGame make_game(const CartPoleProblem& problem, bool evaluation) {
  const CartPole::Settings& s = problem.environment;
  CartPoleGame game{};
  game.rules = CartPole::make_rules<float>(s);
  game.reset_word = purpose_word(evaluation ? Purpose::evaluation_reset : Purpose::reset);
  game.action_word = purpose_word(evaluation ? Purpose::evaluation_action : Purpose::action);
  game.max_steps = s.max_steps;
  game.gamma = static_cast<float>(problem.gamma);
  game.gamma_squared = static_cast<float>(problem.gamma * problem.gamma);
  game.unit_inside = s.sutton_barto_reward ? 0.0f : 1.0f;
  game.unit_outside = s.sutton_barto_reward ? -1.0f : 1.0f;
  game.reward_inside = static_cast<float>(problem.reward_scale * static_cast<double>(game.unit_inside));
  game.reward_outside = static_cast<float>(problem.reward_scale * static_cast<double>(game.unit_outside));
  game.entropy_bonus = static_cast<float>(problem.entropy_bonus);
  game.general = s.integrator != CartPole::Integrator::euler || !game.rules.small_angles || s.sutton_barto_reward ||
                 s.max_steps % kStepsPerBlock != 0 || problem.entropy_bonus != 0;
  return game;
}

// The policy of a problem as lanes have it.
template <class Policy>
typename Policy::Shape shape_of(const CartPoleProblem& problem) {
  if constexpr (Policy::Shape::kFixed) {
    return {};
  } else {
    return {static_cast<int>(problem.hidden.units), problem.hidden.activation};
  }
}
void set_parameters(LinearPolicy& policy, const float* parameters) {
  for (int i = 0; i < 4; ++i) policy.weight[i] = parameters[i];
  policy.bias = parameters[4];
}
void set_parameters(HiddenLayerPolicy& policy, const float* parameters) {
  std::copy(parameters, parameters + policy.network.parameters(), policy.parameter);
}
template <class Policy>
std::vector<float> given_parameters(const CartPoleProblem& problem) {
  const auto narrowed = [](const auto& from) {
    std::vector<float> to;
    for (const double x : from) to.push_back(static_cast<float>(x));
    return to;
  };
  if constexpr (Policy::Shape::kFixed) {
    return narrowed(problem.parameters);
  } else {
    return narrowed(problem.hidden.parameters);
  }
}
template <class Policy>
Policy make_policy(const CartPoleProblem& problem) {
  Policy policy{};
  if constexpr (!Policy::Shape::kFixed) policy.network = shape_of<Policy>(problem);
  const std::vector<float> parameters = given_parameters<Policy>(problem);
  if (!parameters.empty()) set_parameters(policy, parameters.data());
  return policy;
}

// fixed_policy: every episode has these parameters (not a training's first ones), so that a hidden layer's sums can be bounded by its own
// output weights, which is finer.
template <class Policy>
CartPoleWorkOf<Policy> make_work(const CartPoleProblem& problem, bool evaluation, std::uint64_t seed, std::uint64_t batch,
                                 bool fixed_policy) {
  CartPoleWorkOf<Policy> work{};
  work.key = make_uniform_key(seed);
  work.game = make_game(problem, evaluation);
  work.policy = make_policy<Policy>(problem);
  const auto shape = shape_of<Policy>(problem);
  const float* output_weights = nullptr;
  if constexpr (!Policy::Shape::kFixed) {
    if (fixed_policy) output_weights = work.policy.parameter + shape.output_weight(0);
  }
  work.fixed_point = make_fixed_point<Policy>(problem.environment, work.game, problem.gamma, batch, shape, output_weights);
  return work;
}

// Calls body(a null pointer to LinearPolicy or HiddenLayerPolicy), whichever the problem has.
template <class Body>
auto with_policy(const CartPoleProblem& problem, const Body& body) {
  return problem.hidden.units == 0 ? body(static_cast<LinearPolicy*>(nullptr)) : body(static_cast<HiddenLayerPolicy*>(nullptr));
}

template <class Policy>
using ReplicaWorkOf = std::conditional_t<Policy::Shape::kFixed, CartPoleReplicaWork, HiddenReplicaWork>;

// The largest outcome (batch_outcome) of one episode.
std::uint64_t largest_outcome(const CartPole::Settings& s) { return s.sutton_barto_reward ? 1 : s.max_steps; }

// Mean return of n episodes whose outcomes sum to k.
double mean_return(const CartPole::Settings& s, double k, double n) { return s.sutton_barto_reward ? (k - n) / n : k / n; }

// The smallest sum of outcomes over the window that reaches --until; above what can be reached if nothing does.
std::uint64_t window_target(const CartPoleTrainConfiguration& c) {
  if (!c.until) return 0;
  const std::uint64_t episodes = window_of(c) * c.batch;
  const CartPole::Settings& s = c.problem.environment;
  return smallest_reaching(episodes * largest_outcome(s), [&](std::uint64_t k) {
    return mean_return(s, static_cast<double>(k), static_cast<double>(episodes)) >= *c.until;
  });
}

template <class Policy>
ReplicaWorkOf<Policy> make_replica_work(const CartPoleTrainConfiguration& c, const AdamTable& table) {
  ReplicaWorkOf<Policy> work{};
  work.game = make_game(c.problem, false);
  work.shape = shape_of<Policy>(c.problem);
  work.fixed_point = make_fixed_point<Policy>(c.problem.environment, work.game, c.problem.gamma, c.batch, work.shape);
  work.baseline = c.problem.baseline;
  work.baseline_value = c.problem.baseline_value;
  work.optimizer = make_optimizer_constants<float>(c.optimizer);
  work.optimizer_kind = c.optimizer.kind;
  const std::vector<float> parameters = given_parameters<Policy>(c.problem);
  std::copy(parameters.begin(), parameters.end(), work.initial);
  if constexpr (!Policy::Shape::kFixed) {
    work.from_seed = parameters.empty();
    work.hidden = initial_bounds(c.problem.hidden.initialisation, CartPole::kObservations, work.shape.units);
    work.output = initial_bounds(c.problem.hidden.initialisation, work.shape.units, 1);
  }
  work.updates = static_cast<std::uint32_t>(c.updates);
  work.batch = static_cast<std::uint32_t>(c.batch);
  work.step = table.step.data();
  work.root_scale = table.root_scale.data();
  work.table_last = static_cast<std::uint32_t>(table.step.size() - 1);
  work.window = static_cast<std::uint32_t>(window_of(c));
  work.window_target = window_target(c);
  return work;
}

// Lanes can train whole replicas where their 32-bit counters suffice.
bool lanes_can_train(const CartPoleTrainConfiguration& c) {
  return c.batch <= 65536 && c.updates * c.batch < (std::uint64_t{1} << 32) &&
         c.batch * c.problem.environment.max_steps < (std::uint64_t{1} << 31);
}

// A lane advances about 20 M steps/s alone and a full set of lanes 500 M: few replicas with a large batch are better spread by episodes.
Spread choose_spread(const CartPoleTrainConfiguration& c) {
  if (!lanes_can_train(c)) return Spread::episodes;
  return c.batch >= 64 && c.batch >= 4 * c.replicas ? Spread::episodes : Spread::replicas;
}

template <class Policy>
Population train_replicas(const CartPoleTrainConfiguration& c, Backend& backend, const RunControl& control, TrainOutput output) {
  const AdamTable table = make_table(c);
  CartPoleTrainRequestOf<ReplicaWorkOf<Policy>> request;
  request.work = make_replica_work<Policy>(c, table);
  request.table = &table;
  request.first_seed = c.seed;
  request.replicas = c.replicas;
  request.detail = detail_of(output, has_curve_quantiles(c));
  return backend.train(request, control);
}

// One replica after another, episodes of an update spread over the backend. failed_parameter: which one stopped being usable, if not
// null and one did.
template <class Policy>
Population train_episodes(const CartPoleTrainConfiguration& c, Backend& backend, const RunControl& control, TrainOutput output,
                          int* failed_parameter = nullptr) {
  Population population;
  ReplicaTable& rows = population.table;
  rows.first_seed = c.seed;
  const auto shape = shape_of<Policy>(c.problem);
  rows.parameters.resize(static_cast<std::size_t>(shape.parameters()));
  CurveTotals& curve = population.curve;
  curve.count.resize(c.updates);
  curve.correct.resize(c.updates);
  curve.squared.resize(c.updates);
  const AdamTable table = make_table(c);
  const ReplicaWorkOf<Policy> work = make_replica_work<Policy>(c, table);
  const std::uint64_t window_updates = window_of(c);
  const CartPoleTask task =
      track_of(c.problem.baseline) == Track::gradient ? CartPoleTask::gradient : CartPoleTask::gradient_and_scores;
  const TrainDetail detail = detail_of(output, has_curve_quantiles(c) && outcomes_fit(c));
  std::vector<std::uint32_t> outcomes(detail.keeps_outcomes() ? c.updates * c.replicas : 0);
  const RunControl inner{control.stop, nullptr};

  for (std::uint64_t replica = 0; replica < c.replicas; ++replica) {
    CartPoleWorkOf<Policy> episodes = make_work<Policy>(c.problem, false, c.seed + replica, c.batch, false);
    CartPoleLearnerOf<Policy> learner;
    learner.start(work, c.seed + replica);
    std::vector<std::uint64_t> window(window_updates);
    std::uint64_t in_window = 0, made = 0, steps = 0;
    ReplicaStatus status = ReplicaStatus::finished;
    while (made < c.updates) {
      set_parameters(episodes.policy, learner.theta);
      const CartPoleSumsOf<Policy> sums = backend.gradient(episodes, made * c.batch, c.batch, task, inner);
      const bool usable = learner.update(work, static_cast<std::uint32_t>(made), sums.gradient, sums.score, sums.return_sum,
                                         sums.return_square, sums.steps);
      const std::uint64_t outcome = batch_outcome(work.game, c.batch, sums.steps, sums.terminated);
      ++curve.count[made];
      curve.correct[made].add(to_limbs(outcome));
      curve.squared[made].add(to_limbs(static_cast<Wide>(outcome) * outcome));
      if (detail.keeps_outcomes()) outcomes[made * c.replicas + replica] = static_cast<std::uint32_t>(outcome);
      steps += sums.steps;
      if (window_updates != 0) {
        std::uint64_t& oldest = window[made % window_updates];
        in_window += outcome - oldest;
        oldest = outcome;
      }
      ++made;
      if (control.progress) control.progress(replica * c.updates + made, c.replicas * c.updates);
      if (!usable) {
        status = ReplicaStatus::failed;
        for (int i = shape.parameters() - 1; i >= 0; --i) {
          if (failed_parameter != nullptr && !is_usable(shape, i, learner.theta[i])) *failed_parameter = i;
        }
        std::fill(std::begin(learner.theta), std::end(learner.theta), from_bits(kFailedParameterBits));
        break;
      }
      if (window_updates != 0 && made >= window_updates && in_window >= work.window_target) {
        status = ReplicaStatus::solved;
        break;
      }
    }
    rows.status.push_back(static_cast<std::uint8_t>(status));
    rows.updates.push_back(static_cast<std::uint32_t>(made));
    rows.steps.push_back(steps);
    for (std::size_t i = 0; i < rows.parameters.size(); ++i) rows.parameters[i].push_back(learner.theta[i]);
  }
  if (detail.summaries) summarise_population(population);
  if (detail.curve_quantiles) population.curve_quantiles = curve_quantiles_sorting(c.updates, rows, outcomes);
  if (detail.outcomes) population.outcomes = std::move(outcomes);
  return population;
}

std::vector<CurvePoint> make_curve(const CartPoleTrainConfiguration& c, const Population& population) {
  const CartPole::Settings& s = c.problem.environment;
  const double batch = static_cast<double>(c.batch);
  const CurveTotals& totals = population.curve;
  std::vector<CurvePoint> curve;
  for (std::uint64_t u = 0; u < c.updates && totals.count[u] != 0; ++u) {
    const std::uint64_t n = totals.count[u];
    const Wide sum = to_wide(totals.correct[u]), squares = to_wide(totals.squared[u]);
    const double episodes = static_cast<double>(n) * batch;
    CurvePoint point;
    point.update = u + 1;
    point.count = n;
    point.mean_return = mean_return(s, static_cast<double>(sum), episodes);
    point.sd = std::sqrt(static_cast<double>(static_cast<Wide>(n) * squares - sum * sum)) / episodes;
    if (!population.curve_quantiles.empty()) {
      std::array<double, kQuantiles.size()> values;
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = mean_return(s, population.curve_quantiles[u * kQuantiles.size() + i], batch);
      point.quantiles = values;
    }
    curve.push_back(point);
  }
  return curve;
}

// Which parameter it was, the same training made again says.
Failure explained_failure(const CartPoleTrainConfiguration& c, const ReplicaTable& table, Backend& backend,
                          const RunControl& control) {
  Failure failure = first_failure(table);
  if (failure.count == 0) return failure;
  CartPoleTrainConfiguration again = c;
  again.seed = failure.seed;
  again.replicas = 1;
  again.updates = failure.update;
  int parameter = 0;
  with_policy(c.problem, [&]<class Policy>(Policy*) {
    train_episodes<Policy>(again, backend, {control.stop, nullptr}, TrainOutput::rows, &parameter);
  });
  failure.quantity = parameter_names(c.problem.hidden)[static_cast<std::size_t>(parameter)];
  return failure;
}

}  // namespace

std::vector<std::string> parameter_names(const HiddenLayer& hidden) {
  std::vector<std::string> names;
  if (hidden.units == 0) {
    for (const std::string_view name : kCartPoleParameterNames) names.emplace_back(name);
    return names;
  }
  for (std::uint64_t unit = 0; unit < hidden.units; ++unit) {
    for (std::size_t i = 0; i < 4; ++i)
      names.push_back("w_hidden" + std::to_string(unit) + std::string(kCartPoleParameterNames[i].substr(1)));
  }
  for (std::uint64_t unit = 0; unit < hidden.units; ++unit) names.push_back("b_hidden" + std::to_string(unit));
  for (std::uint64_t unit = 0; unit < hidden.units; ++unit) names.push_back("w_output" + std::to_string(unit));
  names.emplace_back("bias");
  return names;
}

CartPoleTrainConfiguration solve_preset(std::uint32_t max_steps) {
  CartPoleTrainConfiguration c;
  c.problem.environment.max_steps = max_steps;
  c.problem.baseline = Baseline::mean;
  c.until = max_steps == CartPole::kMaxStepsV0 ? 195 : 475;
  return c;
}

TrainResult train(const CartPoleTrainConfiguration& c, Backend& backend, const RunControl& control, Spread spread,
                  TrainOutput output) {
  const FloatingEnvironment environment;
  validate(c);
  if (output == TrainOutput::rows_and_outcomes && !outcomes_fit(c))
    throw ConfigurationError("--batch: too large for the return of each update to be kept");
  if (spread == Spread::automatic) spread = choose_spread(c);
  if (spread == Spread::replicas && !lanes_can_train(c))
    throw ConfigurationError("--batch: too large for lanes that train whole replicas");
  Population population = with_policy(c.problem, [&]<class Policy>(Policy*) {
    return spread == Spread::replicas ? train_replicas<Policy>(c, backend, control, output)
                                      : train_episodes<Policy>(c, backend, control, output);
  });

  TrainResult result;
  if (output == TrainOutput::statistics) {
    result.curve = make_curve(c, population);
    result.parameters = std::move(population.parameters);
    result.solved = population.solved_updates.count;
    result.solved_updates = population.solved_updates;
    result.solved_steps = population.solved_steps;
    result.failed = explained_failure(c, population.table, backend, control);
    result.digest = digest_of(population.table, c.batch);
  }
  for (const std::uint64_t n : population.curve.count) result.optimizer_updates += n;
  result.episodes = result.optimizer_updates * c.batch;
  for (const std::uint64_t n : population.table.steps) result.steps += n;
  result.outcomes = std::move(population.outcomes);
  result.table = std::move(population.table);
  return result;
}

TrainResult train(const CartPoleTrainConfiguration& configuration, Backend& backend, const RunControl& control) {
  return train(configuration, backend, control, Spread::automatic);
}

bool outcomes_fit(const CartPoleTrainConfiguration& c) { return c.batch <= 0xffffffffu / largest_outcome(c.problem.environment); }

double mean_return_of(const CartPoleTrainConfiguration& c, double sum, double episodes) {
  return mean_return(c.problem.environment, sum, episodes);
}

namespace {

template <class Policy>
CartPoleGradientResult gradient_of(const CartPoleGradientConfiguration& c, Backend& backend, const RunControl& control) {
  const CartPoleWorkOf<Policy> work = make_work<Policy>(c.problem, false, c.seed, c.episodes, true);
  const CartPoleSumsOf<Policy> sums = backend.gradient(work, 0, c.episodes, CartPoleTask::gradient_and_squares, control);
  CartPoleGradientResult r;
  r.episodes = c.episodes;
  r.steps = sums.steps;
  const double n = static_cast<double>(c.episodes);
  const int parameters = shape_of<Policy>(c.problem).parameters();
  for (int i = 0; i < parameters; ++i) {
    // Sums are of the loss's gradient; the ascent direction is its negative.
    const double sum = 0.0 - to_double(sums.gradient[i]) * (0x1p-24 / work.fixed_point.parameter[i].gradient_scale);
    const double squares = sums.squared[i].value() * work.fixed_point.square_unit[i];
    r.gradient.push_back(estimate_of(sum, squares, c.episodes, std::nullopt));
    r.second_moment.push_back(squares / n);
  }
  if (c.problem.environment.sutton_barto_reward) {  // each episode's return is 0 or -1
    const double fallen = static_cast<double>(sums.terminated);
    r.mean_return = estimate_of(0.0 - fallen, fallen, c.episodes, std::nullopt);
  } else {
    r.mean_return = estimate_of(static_cast<double>(sums.steps), sums.steps_squared.value(), c.episodes, std::nullopt);
  }
  if constexpr (Policy::Shape::kFixed) {
    r.sums = sums;
    r.digest = digest_of(sums);
  } else {
    r.hidden_sums = sums;
    r.digest = digest_of(sums, parameters);
  }
  return r;
}

}  // namespace

CartPoleGradientResult gradient(const CartPoleGradientConfiguration& c, Backend& backend, const RunControl& control) {
  const FloatingEnvironment environment;
  validate(c);
  return with_policy(c.problem, [&]<class Policy>(Policy*) { return gradient_of<Policy>(c, backend, control); });
}

EvaluateResult evaluate(const CartPoleEvaluateConfiguration& c, Backend& backend, const RunControl& control) {
  const FloatingEnvironment environment;
  validate(c);
  CartPoleProblem problem = c.problem;
  if (c.random) {
    problem.hidden = {};
    problem.parameters.fill(0);  // sigmoid(0) is exactly 1/2
  }
  problem.gamma = 0;  // nothing is learnt: these do not enter
  problem.entropy_bonus = 0;
  problem.reward_scale = 1;
  const std::vector<std::uint64_t> counts = with_policy(problem, [&]<class Policy>(Policy*) {
    CartPoleWorkOf<Policy> work = make_work<Policy>(problem, true, c.seed, c.episodes, true);
    work.game.greedy = c.greedy;
    return backend.evaluate(work, 0, c.episodes, control);
  });

  EvaluateResult r;
  r.episodes = c.episodes;
  const std::uint32_t longest = problem.environment.max_steps;
  const bool sutton = problem.environment.sutton_barto_reward;
  Wide squares = 0;
  std::vector<std::uint64_t> by_return(sutton ? 2 : std::size_t{longest} + 1);  // ascending: -1 and 0, or the length
  for (std::uint32_t length = 0; length <= longest; ++length) {
    const std::uint64_t truncated_only = counts[2 * length], terminated = counts[2 * length + 1], n = truncated_only + terminated;
    r.length_histogram.push_back(n);
    r.terminated += terminated;
    r.steps += n * length;
    squares += static_cast<Wide>(n) * length * length;
    if (sutton) {
      by_return[0] += terminated;
      by_return[1] += truncated_only;
    } else {
      by_return[length] = n;
    }
  }
  r.truncated = r.length_histogram[longest];
  const Wide n = c.episodes, sum = sutton ? Wide{r.terminated} : Wide{r.steps};  // of magnitudes
  if (sutton) squares = sum;
  const double count = static_cast<double>(c.episodes);
  r.mean = (sutton ? -1 : 1) * (static_cast<double>(sum) / count) + 0.0;
  r.sd = c.episodes > 1 ? std::sqrt(static_cast<double>(n * squares - sum * sum)) / count : kUndefined;
  r.standard_error = r.sd / std::sqrt(count - 1);
  const auto value = [&](std::size_t i) { return static_cast<double>(i) - (sutton ? 1 : 0); };
  std::uint64_t below = 0;
  std::size_t at = 0, quantile = 0;
  bool first = true;
  for (; at < by_return.size(); ++at) {
    if (by_return[at] == 0) continue;
    if (first) r.min = value(at);
    first = false;
    r.max = value(at);
    below += by_return[at];
    for (; quantile < kQuantiles.size() && quantile_position(kQuantiles[quantile], c.episodes) < below; ++quantile)
      r.quantiles[quantile] = value(at);
  }
  r.digest = hash_words(counts);
  return r;
}

// A guess of what an episode is long, for estimates of time alone.
static double guessed_steps(const CartPole::Settings& s) { return std::min<double>(s.max_steps, 100); }

WorkEstimate estimate(const CartPoleTrainConfiguration& c) {
  const double updates = static_cast<double>(c.updates), replicas = static_cast<double>(c.replicas);
  WorkEstimate e;
  e.steps = updates * replicas * static_cast<double>(c.batch) * guessed_steps(c.problem.environment);
  e.parallelism = choose_spread(c) == Spread::replicas ? c.replicas : c.batch;
  e.memory_bytes = c.replicas * (1 + 4 + 8 + 4 * parameter_count(c.problem.hidden) + 8) +
                   c.updates * (32 * (std::uint64_t{usable_threads()} + 2) + 8 + sizeof(CurvePoint)) +
                   (has_curve_quantiles(c) ? 4 * c.updates * c.replicas : 0);
  return e;
}
WorkEstimate estimate(const CartPoleGradientConfiguration& c) {
  return {static_cast<double>(c.episodes) * guessed_steps(c.problem.environment), c.episodes, 0};
}
WorkEstimate estimate(const CartPoleEvaluateConfiguration& c) {
  return {static_cast<double>(c.episodes) * guessed_steps(c.problem.environment), c.episodes, 0};
}

}  // namespace fryer
