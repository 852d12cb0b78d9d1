// SPDX-License-Identifier: Apache-2.0
// CartPole: from configurations to backend work and from exact sums to results. Where one training's episodes are spread over the
// backend, the host makes each update's step with the lanes' own learner.
#include <algorithm>
#include <cmath>
#include <map>

#include "fryer/core/error.h"
#include "fryer/engine/registry.h"
#include "host/cart_pole_support.h"
#include "host/cpu_backend.h"
#include "host/digest.h"
#include "host/driver.h"
#include "host/floating_environment.h"
#include "host/statistics.h"

namespace fryer {

std::uint64_t cart_pole_window_target(const CartPole::Settings& settings, std::uint64_t episodes, double until) {
  return smallest_reaching(episodes * largest_outcome(settings), [&](std::uint64_t k) {
    return cart_pole_mean_return(settings, static_cast<double>(k), static_cast<double>(episodes)) >= until;
  });
}

std::vector<CurvePoint> cart_pole_curve(const CartPole::Settings& settings, std::uint64_t episodes_a_point,
                                        const Population& population) {
  const double batch = static_cast<double>(episodes_a_point);
  const CurveTotals& totals = population.curve;
  std::vector<CurvePoint> curve;
  for (std::uint64_t u = 0; u < totals.count.size() && totals.count[u] != 0; ++u) {
    const std::uint64_t n = totals.count[u];
    const Wide sum = to_wide(totals.correct[u]), squares = to_wide(totals.squared[u]);
    const double episodes = static_cast<double>(n) * batch;
    CurvePoint point;
    point.update = u + 1;
    point.count = n;
    point.mean_return = cart_pole_mean_return(settings, static_cast<double>(sum), episodes);
    point.sd = std::sqrt(static_cast<double>(static_cast<Wide>(n) * squares - sum * sum)) / episodes;
    if (!population.curve_quantiles.empty()) {
      std::array<double, kQuantiles.size()> values;
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = cart_pole_mean_return(settings, population.curve_quantiles[u * kQuantiles.size() + i], batch);
      point.quantiles = values;
    }
    curve.push_back(point);
  }
  return curve;
}

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
CartPoleReplicaWorkOf<Policy> make_replica_work(const CartPoleTrainConfiguration& c) {
  CartPoleReplicaWorkOf<Policy> work{};
  work.game = make_game(c.problem, false);
  work.shape = shape_of<Policy>(c.problem);
  work.fixed_point = make_fixed_point<Policy>(c.problem.environment, work.game, c.problem.gamma, c.batch, work.shape);
  work.track = track_of(c.problem.baseline);
  work.batch = static_cast<std::uint32_t>(c.batch);
  return work;
}
template <class Policy>
InitialParameters<Policy> make_initial(const CartPoleProblem& problem) {
  InitialParameters<Policy> initial{};
  const std::vector<float> parameters = given_parameters<Policy>(problem);
  std::copy(parameters.begin(), parameters.end(), initial.parameter);
  if constexpr (!Policy::Shape::kFixed) {
    const auto shape = shape_of<Policy>(problem);
    initial.from_seed = parameters.empty();
    initial.hidden = initial_bounds(problem.hidden.initialisation, CartPole::kObservations, shape.units);
    initial.output = initial_bounds(problem.hidden.initialisation, shape.units, 1);
  }
  return initial;
}
template <class Policy>
CartPoleTrainingOf<Policy> make_training(const CartPoleTrainConfiguration& c, const AdamTable& table) {
  CartPoleTrainingOf<Policy> training{};
  training.baseline = c.problem.baseline;
  training.baseline_value = c.problem.baseline_value;
  training.optimizer = make_optimizer_constants<float>(c.optimizer);
  training.optimizer_kind = c.optimizer.kind;
  training.initial = make_initial<Policy>(c.problem);
  training.updates = static_cast<std::uint32_t>(c.updates);
  training.step = table.step.data();
  training.root_scale = table.root_scale.data();
  training.table_last = static_cast<std::uint32_t>(table.step.size() - 1);
  training.window = static_cast<std::uint32_t>(window_of(c));
  training.window_target = c.until ? cart_pole_window_target(c.problem.environment, window_of(c) * c.batch, *c.until) : 0;
  return training;
}

// Lanes can train whole replicas where their 32-bit counters suffice.
bool lanes_can_train(const CartPoleTrainConfiguration& c) {
  return c.batch <= 65536 && c.updates * c.batch < (std::uint64_t{1} << 32) &&
         c.batch * c.problem.environment.max_steps < (std::uint64_t{1} << 31);
}

// A row's training to or from the learner that steps it: copy(of_row, of_learner) of each parameter and its moments.
template <class Learner, class Copy>
void for_each_column(TrainingStates& states, std::uint64_t row, int parameters, Learner& learner, const Copy& copy) {
  for (int i = 0; i < parameters; ++i) {
    const auto column = static_cast<std::size_t>(i);
    copy(states.table.parameters[column][row], learner.theta[i]);
    copy(states.m[column][row], learner.m[i]);
    copy(states.v[column][row], learner.v[i]);
  }
}

// A lane advances about 20 M steps/s alone and a full set of lanes 500 M: few replicas with a large batch are better spread by episodes.
Spread choose_spread(const CartPoleTrainConfiguration& c) {
  if (!lanes_can_train(c)) return Spread::episodes;
  return c.batch >= 64 && c.batch >= 4 * c.replicas ? Spread::episodes : Spread::replicas;
}
// The spread asked for, or the best.
Spread checked_spread(const CartPoleTrainConfiguration& c, Spread spread) {
  if (spread == Spread::automatic) return choose_spread(c);
  if (spread == Spread::replicas && !lanes_can_train(c))
    throw ConfigurationError("--batch: too large for lanes that train whole replicas");
  return spread;
}

// A request for the trainings of several configurations, with their tables: one for all that agree in it.
template <class Policy>
struct LaneRequest {
  std::map<std::pair<OptimizerSettings, std::uint64_t>, AdamTable> tables;
  CartPoleTrainRequestOf<Policy> request;

  explicit LaneRequest(const std::vector<CartPoleTrainConfiguration>& configurations) {
    request.work = make_replica_work<Policy>(configurations[0]);
    for (const CartPoleTrainConfiguration& c : configurations) {
      const std::pair key(c.optimizer, c.updates);
      auto table = tables.find(key);
      if (table == tables.end()) table = tables.emplace(key, make_table(c)).first;
      request.ranges.push_back({c.seed, c.replicas, static_cast<std::uint32_t>(request.trainings.size())});
      request.trainings.push_back(make_training<Policy>(c, table->second));
    }
  }
};

// One replica after another, episodes of an update spread over the backend, from row first_row of `states` on; outcomes are added to
// `curve` if it is not null. failed_parameter: which one stopped being usable, if not null and one did.
template <class Policy>
void train_episodes(const CartPoleTrainConfiguration& c, TrainingStates& states, std::uint64_t first_row, Backend& backend,
                    const RunControl& control, CurveTotals* curve = nullptr, int* failed_parameter = nullptr) {
  const AdamTable table = make_table(c);
  const CartPoleReplicaWorkOf<Policy> work = make_replica_work<Policy>(c);
  const CartPoleTrainingOf<Policy> training = make_training<Policy>(c, table);
  const int parameters = work.shape.parameters();
  const CartPoleTask task = work.track == Track::gradient ? CartPoleTask::gradient : CartPoleTask::gradient_and_scores;
  const RunControl inner{control.stop, nullptr, nullptr};
  ReplicaTable& rows = states.table;
  for (std::uint64_t replica = 0; replica < c.replicas; ++replica) {
    const std::uint64_t row = first_row + replica;
    if (rows.status[row] != static_cast<std::uint8_t>(ReplicaStatus::unfinished)) continue;
    CartPoleWorkOf<Policy> episodes = make_work<Policy>(c.problem, false, c.seed + replica, c.batch, false);
    StoppingWindow window(states, row, training.window, training.window_target);
    CartPoleLearnerOf<Policy> learner;
    for_each_column(states, row, parameters, learner, [](float& of_row, float& of_learner) { of_learner = of_row; });
    std::uint64_t made = rows.updates[row];
    ReplicaStatus status = ReplicaStatus::unfinished;
    while (status == ReplicaStatus::unfinished && !is_set(control.pause)) {
      set_parameters(episodes.policy, learner.theta);
      const CartPoleSumsOf<Policy> sums = backend.gradient(episodes, made * c.batch, c.batch, task, inner);
      const bool usable = learner.update(work, training, static_cast<std::uint32_t>(made), sums.gradient, sums.score,
                                         sums.return_sum, sums.return_square, sums.steps);
      const std::uint64_t outcome = batch_outcome(work.game, c.batch, sums.steps, sums.terminated);
      if (curve != nullptr) add_to_curve(*curve, made, outcome);
      if (!states.outcomes.empty()) states.outcomes[made * rows.size() + row] = static_cast<std::uint32_t>(outcome);
      rows.steps[row] += sums.steps;
      const bool solved = window.add(made, outcome);
      ++made;
      if (control.progress) control.progress(row * c.updates + made, rows.size() * c.updates);
      if (!usable) {
        status = ReplicaStatus::failed;
        for (int i = parameters - 1; i >= 0; --i) {
          if (failed_parameter != nullptr && !is_usable(work.shape, i, learner.theta[i])) *failed_parameter = i;
        }
        std::fill(std::begin(learner.theta), std::end(learner.theta), from_bits(kFailedParameterBits));
      } else if (solved) {
        status = ReplicaStatus::solved;
      } else if (made == c.updates) {
        status = ReplicaStatus::finished;
      }
    }
    for_each_column(states, row, parameters, learner, [](float& of_row, float& of_learner) { of_row = of_learner; });
    rows.status[row] = static_cast<std::uint8_t>(status);
    rows.updates[row] = static_cast<std::uint32_t>(made);
    if (status == ReplicaStatus::unfinished) return;
  }
}

template <class Policy>
TrainingStates fresh_states_of(const CartPoleTrainConfiguration& c, bool outcomes) {
  const auto shape = shape_of<Policy>(c.problem);
  TrainingStates states = empty_states(c, static_cast<std::size_t>(shape.parameters()), outcomes);
  CartPoleTrainingOf<Policy> training{};
  training.initial = make_initial<Policy>(c.problem);
  for (std::uint64_t row = 0; row < c.replicas; ++row) {
    CartPoleLearnerOf<Policy> learner;
    learner.start(shape, training, c.seed + row);
    for_each_column(states, row, shape.parameters(), learner, [](float& of_row, float& of_learner) { of_row = of_learner; });
  }
  return states;
}

// Statistics and all of a population.
template <class Policy>
Population train_population(const CartPoleTrainConfiguration& c, Backend& backend, const RunControl& control, Spread spread) {
  if (spread == Spread::replicas) {
    LaneRequest<Policy> lanes({c});
    lanes.request.detail = {true, has_curve_quantiles(c), false};
    return backend.train(lanes.request, control);
  }
  Population population;
  population.curve = empty_curve(c.updates);
  TrainingStates states = fresh_states_of<Policy>(c, has_curve_quantiles(c) && outcomes_fit(c));
  train_episodes<Policy>(c, states, 0, backend, {control.stop, control.progress, nullptr}, &population.curve);
  population.table = std::move(states.table);
  summarise_population(population);
  if (!states.outcomes.empty())
    population.curve_quantiles = curve_quantiles_sorting(c.updates, population.table, states.outcomes);
  return population;
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
    TrainingStates states = fresh_states_of<Policy>(again, false);
    train_episodes<Policy>(again, states, 0, backend, {control.stop, nullptr, nullptr}, nullptr, &parameter);
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

TrainResult train(const CartPoleTrainConfiguration& c, Backend& backend, const RunControl& control, Spread spread) {
  const FloatingEnvironment environment;
  validate(c);
  spread = checked_spread(c, spread);
  Population population =
      with_policy(c.problem, [&]<class Policy>(Policy*) { return train_population<Policy>(c, backend, control, spread); });

  TrainResult result;
  result.curve = cart_pole_curve(c.problem.environment, c.batch, population);
  result.parameters = std::move(population.parameters);
  result.solved = population.solved_updates.count;
  result.solved_updates = population.solved_updates;
  result.solved_steps = population.solved_steps;
  result.failed = explained_failure(c, population.table, backend, control);
  result.digest = digest_of(population.table, c.batch);
  for (const std::uint64_t n : population.curve.count) result.optimizer_updates += n;
  result.episodes = result.optimizer_updates * c.batch;
  for (const std::uint64_t n : population.table.steps) result.steps += n;
  result.table = std::move(population.table);
  return result;
}

TrainResult train(const CartPoleTrainConfiguration& configuration, Backend& backend, const RunControl& control) {
  return train(configuration, backend, control, Spread::automatic);
}

TrainingStates fresh_states(const CartPoleTrainConfiguration& c, bool outcomes) {
  validate(c);
  if (outcomes && !outcomes_fit(c)) throw ConfigurationError("--batch: too large for the return of each update to be kept");
  return with_policy(c.problem, [&]<class Policy>(Policy*) { return fresh_states_of<Policy>(c, outcomes); });
}

void train_on(const std::vector<CartPoleTrainConfiguration>& configurations, TrainingStates& states, Backend& backend,
              const RunControl& control, Spread spread) {
  const FloatingEnvironment environment;
  CartPoleTrainConfiguration first = configurations[0];
  first.replicas = states.table.size();
  spread = checked_spread(first, spread);
  if (!std::all_of(configurations.begin(), configurations.end(), [](const auto& c) { return lanes_can_train(c); }))
    spread = Spread::episodes;
  with_policy(first.problem, [&]<class Policy>(Policy*) {
    if (spread == Spread::replicas) {
      LaneRequest<Policy> lanes(configurations);
      lanes.request.states = &states;
      backend.train(lanes.request, control);
    } else {
      std::uint64_t row = 0;
      for (const CartPoleTrainConfiguration& c : configurations) {
        train_episodes<Policy>(c, states, row, backend, control);
        row += c.replicas;
      }
    }
  });
}

SharedByLanes shared_by_lanes(const CartPoleTrainConfiguration& c) {
  const CartPoleProblem& p = c.problem;
  return {p.environment, p.hidden.units,       p.hidden.units == 0 ? Activation::tanh : p.hidden.activation,
          p.gamma,       p.reward_scale,       p.entropy_bonus,
          c.batch,       track_of(p.baseline), lanes_can_train(c)};
}

bool outcomes_fit(const CartPoleTrainConfiguration& c) { return c.batch <= 0xffffffffu / largest_outcome(c.problem.environment); }

double mean_return_of(const CartPoleTrainConfiguration& c, double sum, double episodes) {
  return cart_pole_mean_return(c.problem.environment, sum, episodes);
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

static QEpisodeWork make_q_episode_work(const CartPoleEvaluateConfiguration& c) {
  const CartPole::Settings& s = c.problem.environment;
  QEpisodeWork work{{c.seed, CartPole::make_rules<float>(s), s.max_steps}, c.q_network->shape, {}};
  for (const double x : c.q_network->parameters) work.parameter.push_back(static_cast<float>(x));
  return work;
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
  const std::vector<std::uint64_t> counts = c.q_network ? backend.evaluate(make_q_episode_work(c), 0, c.episodes, control)
                                                        : with_policy(problem, [&]<class Policy>(Policy*) {
                                                            CartPoleWorkOf<Policy> work =
                                                                make_work<Policy>(problem, true, c.seed, c.episodes, true);
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
