// SPDX-License-Identifier: Apache-2.0
// What can be run: each refusal names the option, the value and what is accepted. Before any work starts.
#include <fmt/format.h>

#include <cmath>

#include "fryer/core/error.h"
#include "fryer/engine/memory.h"
#include "fryer/engine/run.h"

namespace fryer {
namespace {

constexpr double kLargestFloat = 0x1.fffffep127;

[[noreturn]] void refuse(const char* option, double value, const std::string& accepted) {
  throw ConfigurationError(fmt::format("{}: {} is not accepted; {}", option, value, accepted));
}
[[noreturn]] void refuse(const char* option, std::uint64_t value, const std::string& accepted) {
  throw ConfigurationError(fmt::format("{}: {} is not accepted; {}", option, value, accepted));
}

bool fits_float(double x) { return std::abs(x) <= kLargestFloat; }  // false for NaN

void check_probability(const char* option, double p) {
  if (!(p >= 0 && p <= 1)) refuse(option, p, "a probability from 0 to 1");
}

// Gains are rewards times the scale, in float: 0, or far enough from the ends of the float range for sums of their multiples.
constexpr double kLargestReward = 1e9, kSmallestGain = 1e-9;

// As a message can show it.
std::string shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f ? fmt::format("'{}'", c) : fmt::format("'\\x{:02x}'", byte);
}

void check_actions(const std::string& actions) {
  constexpr std::size_t kMost = 1'000'000;
  if (actions.empty()) throw ConfigurationError("--actions: '' is not accepted; 0 (push left) or 1 (push right) for each step");
  const std::size_t wrong = actions.find_first_not_of("01");
  if (wrong != std::string::npos) {
    throw ConfigurationError(
        fmt::format("--actions: {} at position {} is not accepted; 0 (push left) or 1 (push right) for each step",
                    shown(actions[wrong]), wrong + 1));
  }
  if (actions.size() > kMost) refuse("--actions", std::uint64_t{actions.size()}, "at most 1000000 of them");
}

void check_parameter(double parameter) {
  if (!(std::abs(parameter) <= static_cast<double>(kLargestParameter)))
    refuse("--parameters", parameter, "finite numbers, at most 2^94 (2.0e28) in magnitude");
}

// Of the policy: linear, or with a hidden layer. A training may have none of the latter.
void check_policy(const std::array<double, 5>& parameters, const HiddenLayer& hidden, bool may_be_absent) {
  for (const double parameter : parameters) check_parameter(parameter);
  if (hidden.units > kMostHiddenUnits)
    refuse("--hidden", hidden.units, fmt::format("a whole number from 0 (none) to {}", kMostHiddenUnits));
  if (hidden.units == 0) {
    if (!hidden.parameters.empty()) throw ConfigurationError("--parameters: those of a hidden layer, but there is none");
    return;
  }
  if (hidden.parameters.empty() && may_be_absent) return;
  const HiddenShape<4> shape{static_cast<int>(hidden.units), hidden.activation};
  const auto wanted = static_cast<std::size_t>(shape.parameters());
  if (hidden.parameters.size() != wanted) {
    throw ConfigurationError(fmt::format("--parameters: {} numbers are not accepted; --hidden {} has {} parameters",
                                         hidden.parameters.size(), hidden.units, wanted));
  }
  for (std::size_t i = 0; i < wanted; ++i) {
    check_parameter(hidden.parameters[i]);
    if (shape.is_output_weight(static_cast<int>(i)) &&
        !(std::abs(hidden.parameters[i]) <= static_cast<double>(kLargestOutputWeight)))
      refuse("--parameters", hidden.parameters[i], "the output's weights must be at most 1024 in magnitude");
  }
}

}  // namespace

void validate(const Problem& problem) {
  const FryShack::Settings& e = problem.environment;
  check_probability("--large-order-norm", e.large_order_norm);
  check_probability("--large-order-squatch", e.large_order_squatch);
  if (!(e.hungry_above >= 0 && e.hungry_above <= 1)) refuse("--hungry-above", e.hungry_above, "a hunger from 0 to 1");
  const auto check_reward = [](const char* option, double reward) {
    if (!(std::abs(reward) <= kLargestReward)) refuse(option, reward, "a finite number, at most 1e9 in magnitude");
  };
  check_reward("--reward-correct", e.reward_correct);
  check_reward("--reward-wrong", e.reward_wrong);
  if (!(problem.reward_scale >= 0 && problem.reward_scale <= kLargestReward))
    refuse("--reward-scale", problem.reward_scale, "a number from 0 to 1e9");
  const auto check_gain = [&](const char* option, double reward) {
    const double gain = std::abs(reward * problem.reward_scale);
    if (gain != 0 && gain < kSmallestGain) {
      refuse(option, reward, "0, or a number that times the reward scale is at least 1e-9 in magnitude");
    }
  };
  check_gain("--reward-correct", e.reward_correct);
  check_gain("--reward-wrong", e.reward_wrong);
  if (!fits_float(problem.weight)) refuse("--weight", problem.weight, "a finite number that a float can hold");
  if (!fits_float(problem.bias)) refuse("--bias", problem.bias, "a finite number that a float can hold");
}

// What every training has.
static void validate_population(const PopulationSettings& c) {
  if (c.replicas < 1 || c.replicas > (std::uint64_t{1} << 32)) refuse("--replicas", c.replicas, "a whole number from 1 to 2^32");
  if (c.seed > ~std::uint64_t{0} - (c.replicas - 1)) refuse("--seed", c.seed, "seed + replicas - 1 must stay below 2^64");
  if (c.until && !std::isfinite(*c.until)) refuse("--until", *c.until, "a finite mean return");
}

static void validate_optimizer(const OptimizerSettings& o) {
  if (!fits_float(o.learning_rate) || !(static_cast<float>(o.learning_rate) > 0)) {
    refuse("--learning-rate", o.learning_rate, "a finite number above 0 that a float can hold (from 1.5e-45 to 3.4e38)");
  }
  const auto check_beta = [](const char* option, double beta) {
    if (!(beta >= 0 && beta < 1)) refuse(option, beta, "a number from 0 up to, not including, 1");
  };
  check_beta("--adam-beta1", o.beta1);
  check_beta("--adam-beta2", o.beta2);
  if (!(o.epsilon >= 0) || !fits_float(o.epsilon))
    refuse("--adam-epsilon", o.epsilon, "a finite number, 0 or more, that a float can hold");
}

static void validate_training(const TrainingSettings& c) {
  validate_optimizer(c.optimizer);
  if (c.updates < 1 || c.updates >= (std::uint64_t{1} << 31))
    refuse("--updates", c.updates, "a whole number from 1 to 2147483647");
  if (c.batch < 1 || c.batch > (std::uint64_t{1} << 40)) refuse("--batch", c.batch, "a whole number from 1 to 2^40");
  if (c.batch > (std::uint64_t{1} << 62) / c.updates) refuse("--batch", c.batch, "updates times batch must stay below 2^62");
  validate_population(c);
}

static std::string length_text(const TrainingSettings& c) { return fmt::format("{} updates", c.updates); }
static std::string length_text(const QTrainConfiguration& c) { return fmt::format("{} episodes", c.training.episodes); }

static std::string gigabytes(double bytes) { return fmt::format("{:.3g} GB", bytes / 1e9); }

template <class Configuration>
static void validate_memory(const Configuration& c, const WorkEstimate& work, const char* option = "--replicas") {
  // Value learners are at work in all ranks of this machine; of other populations the root alone has all rows.
  const bool of_all = std::is_same_v<Configuration, QTrainConfiguration> && c.replicas > 1;
  const double needed = static_cast<double>(work.memory_bytes), there = usable_memory(of_all ? ranks_of_machine().count : 1);
  if (needed > there) {
    throw ConfigurationError(fmt::format("{}: {} replica{} of {} need{} {} of memory; there are {}", option, c.replicas,
                                         c.replicas == 1 ? "" : "s", length_text(c), c.replicas == 1 ? "s" : "",
                                         gigabytes(needed), gigabytes(there)));
  }
}

void validate(const TrainConfiguration& c) {
  validate(c.problem);
  validate_training(c);
  validate_memory(c, estimate(c));
}

void validate(const GradientConfiguration& c) {
  validate(c.problem);
  if (c.episodes < 1 || c.episodes > (std::uint64_t{1} << 40)) refuse("--episodes", c.episodes, "a whole number from 1 to 2^40");
}

void validate(const EvaluateConfiguration& c) {
  validate(c.problem);
  if (c.random && c.greedy) throw ConfigurationError("--greedy: cannot be combined with --random");
  if (c.episodes < 1 || c.episodes > (std::uint64_t{1} << 40)) refuse("--episodes", c.episodes, "a whole number from 1 to 2^40");
}

void validate(const NotebookConfiguration& c) {
  if (c.updates < 1 || c.updates > 100'000'000) {
    refuse("--updates", c.updates, "a whole number from 1 to 1e8, since every update is recorded");
  }
  TrainConfiguration t;  // the same ranges
  t.problem.environment.reward_correct = c.reward_correct;
  t.problem.environment.reward_wrong = c.reward_wrong;
  t.optimizer.learning_rate = c.learning_rate;
  t.updates = c.updates;
  validate(t);
}

// ---- CartPole

void validate(const CartPole::Settings& s) {
  const auto check = [](const char* option, double value, double least, double most, const char* accepted) {
    if (!(value >= least && value <= most)) refuse(option, value, accepted);
  };
  if (s.max_steps < 1 || s.max_steps > 100'000)
    refuse("--max-steps", std::uint64_t{s.max_steps}, "a whole number from 1 to 100000");
  check("--gravity", s.gravity, 0, 1e3, "a number from 0 to 1000");
  check("--mass-cart", s.mass_cart, 1e-3, 1e3, "a number from 0.001 to 1000");
  check("--mass-pole", s.mass_pole, 1e-3, 1e3, "a number from 0.001 to 1000");
  check("--half-length", s.half_length, 1e-3, 1e3, "a number from 0.001 to 1000");
  check("--force", s.force, 0, 1e6, "a number from 0 to 1e6");
  check("--dt", s.dt, 1e-6, 1, "a number from 1e-6 to 1");
  check("--position-limit", s.position_limit, 1e-3, 1e6, "a number from 0.001 to 1e6");
  check("--angle-limit", s.angle_limit, 1e-3, 1e4, "a number from 0.001 to 10000, in radians");
  check("--start-range", s.start_range, 0, 1e3, "a number from 0 to 1000");
  // Quotients of the equations of motion stay far from the ends of the float range, where a GPU's division would need another sequence.
  const auto check_tiny = [](const char* option, double value) {
    if (value != 0 && value < 1e-9) refuse(option, value, "0, or a number from 1e-9");
  };
  check_tiny("--gravity", s.gravity);
  check_tiny("--force", s.force);
  check_tiny("--start-range", s.start_range);
}

// What lanes' floats need of the settings: observations small enough that no logit of parameters up to 2^94 overflows, nor a sum of
// gradients.
static void validate_observations(const CartPole::Settings& s) {
  constexpr double kMost = 0x1p31;
  for (const double bound : CartPole::bounds(s).observation) {
    if (!(bound <= kMost)) {
      throw ConfigurationError(
          fmt::format("--dt, --position-limit, --angle-limit, --force: with these, observations may reach {:.2g}; at most "
                      "{:.2g} is accepted (a larger --dt, smaller limits or a smaller --force)",
                      bound, kMost));
    }
  }
}

static void validate(const QNetworkPolicy& q);

void validate(const TraceConfiguration& c) {
  validate(c.environment);
  if (c.source == TraceConfiguration::Actions::given) check_actions(c.actions);
  if (c.source == TraceConfiguration::Actions::policy && c.q_network) validate(*c.q_network);
  if (c.source == TraceConfiguration::Actions::policy && !c.q_network) check_policy(c.parameters, c.hidden, false);
  if (!c.state) return;
  for (std::size_t i = 0; i < 4; ++i) {
    const double most = i == 2 ? kLargestAngle : 1e6;
    if (!(std::abs((*c.state)[i]) <= most))
      refuse("--state", (*c.state)[i], "finite numbers, at most 1e6 in magnitude, the angle at most 1e5");
  }
}

static void validate_problem(const CartPoleProblem& p, bool hidden_parameters_may_be_absent) {
  validate(p.environment);
  validate_observations(p.environment);
  check_policy(p.parameters, p.hidden, hidden_parameters_may_be_absent);
  if (!(p.gamma >= 0 && p.gamma <= 1)) refuse("--gamma", p.gamma, "a number from 0 to 1");
  if (!(p.reward_scale >= 0 && p.reward_scale <= kLargestReward) || (p.reward_scale != 0 && p.reward_scale < kSmallestGain))
    refuse("--reward-scale", p.reward_scale, "0, or a number from 1e-9 to 1e9");
  if (p.baseline == Baseline::constant && !(std::abs(p.baseline_value) <= kLargestReward))
    refuse("--baseline constant", p.baseline_value, "a finite number, at most 1e9 in magnitude");
  if (!(std::abs(p.entropy_bonus) <= kLargestReward))
    refuse("--entropy-bonus", p.entropy_bonus, "a finite number, at most 1e9 in magnitude");
  // Returns that hardly differ from the reward: their variance is a small difference of large sums of floats. At 0 they are equal, exactly.
  if (p.baseline == Baseline::standardize && p.gamma > 0 && p.gamma < 0.5)
    refuse("--gamma", p.gamma,
           "0, or a number from 0.5 to 1 with --baseline standardize: between them the returns' standard deviation drowns in "
           "rounding");
  if (p.entropy_bonus != 0 && p.baseline == Baseline::standardize)  // it stands in the sum that is divided by the returns' sd
    refuse("--entropy-bonus", p.entropy_bonus,
           "0 with --baseline standardize, which would divide it by the returns' standard deviation");
}

void validate(const CartPoleProblem& p) { validate_problem(p, false); }

// Mean returns that episodes can have.
static void validate_until(const PopulationSettings& c, const CartPole::Settings& s) {
  const double most = s.sutton_barto_reward ? 0 : s.max_steps, least = s.sutton_barto_reward ? -1 : 0;
  if (c.until && !(*c.until > least && *c.until <= most)) {
    refuse("--until", *c.until,
           s.sutton_barto_reward ? "a mean return above -1, at most 0: more cannot be reached with --sutton-barto-reward"
                                 : "a mean return above 0, at most " + std::to_string(s.max_steps) + ": no episode is longer");
  }
}

void validate(const CartPoleTrainConfiguration& c) {
  validate_problem(c.problem, true);
  validate_training(c);
  const CartPole::Settings& s = c.problem.environment;
  if (c.batch > (std::uint64_t{1} << 47) / s.max_steps)  // squares of a batch's steps are summed in two limbs
    refuse("--batch", c.batch, "batch times --max-steps must stay below 2^47");
  if (c.replicas > (std::uint64_t{1} << 31))
    refuse("--replicas", c.replicas, "at most 2^31 on CartPole");  // terms of a curve's limb
  validate_until(c, s);
  validate_memory(c, estimate(c));
}

// ---- value learners

static void validate_shape(const QNetworkShape& shape) {
  for (const int units : {shape.hidden1, shape.hidden2}) {
    if (units < 1 || units > QNetworkShape::kMostUnits) {
      throw ConfigurationError(fmt::format("--hidden: {},{} is not accepted; two sizes from 1 to {}", shape.hidden1,
                                           shape.hidden2, QNetworkShape::kMostUnits));
    }
  }
}

static void validate_learning(const QTrainingSettings& t) {
  const QLearningSettings& l = t.learning;
  if (!(l.gamma >= 0 && l.gamma <= 1)) refuse("--gamma", l.gamma, "a number from 0 to 1");
  if (!(std::abs(t.reward_scale) <= kLargestReward) || t.reward_scale < 0 ||
      (t.reward_scale != 0 && t.reward_scale < kSmallestGain))
    refuse("--reward-scale", t.reward_scale, "0, or a number from 1e-9 to 1e9");
  if (!(l.clip_norm >= 0 && l.clip_norm <= kLargestFloat))
    refuse("--clip-norm", l.clip_norm, "a number above 0 that a float can hold, or off");
  if (!(static_cast<float>(l.tau) > 0 && l.tau <= 1))
    refuse("--target-mix", l.tau, "a number above 0 that a float can hold, at most 1");
  if (l.target_every < 1) refuse("--target-every", l.target_every, "a whole number from 1");
  const EpsilonSettings& e = t.epsilon;
  check_probability("--epsilon-start", e.start);
  check_probability("--epsilon-end", e.end);
  if (e.decay_steps < 1 || e.decay_steps > (std::uint64_t{1} << 53))
    refuse("--epsilon-decay-steps", e.decay_steps, "a whole number from 1 to 2^53");
}

void validate(const QTrainConfiguration& c, unsigned workers) {
  const QTrainingSettings& t = c.training;
  validate(t.environment);
  validate_observations(t.environment);
  validate_shape(t.shape);
  validate_learning(t);
  validate_optimizer(t.optimizer);
  validate_population(c);
  validate_until(c, t.environment);
  if (t.episodes < 1 || t.episodes >= (std::uint64_t{1} << 31))
    refuse("--episodes", t.episodes, "a whole number from 1 to 2147483647");
  if (t.replay_capacity < 1 || t.replay_capacity > kMostTransitions)
    refuse("--buffer", t.replay_capacity, fmt::format("a whole number of transitions from 1 to {}", kMostTransitions));
  if (t.batch < 1 || t.batch > kMostBatch)
    refuse("--batch", std::uint64_t{t.batch}, fmt::format("a whole number from 1 to {}", kMostBatch));
  if (t.batch > t.replay_capacity) {
    refuse(
        "--batch", std::uint64_t{t.batch},
        fmt::format("at most --buffer {}: a batch is drawn without replacement from what the buffer holds", t.replay_capacity));
  }
  constexpr std::uint64_t kMostSteps = std::uint64_t{1} << 40;
  if (t.warmup_steps > kMostSteps) refuse("--warmup-steps", t.warmup_steps, "a whole number from 0 to 2^40");
  if (t.train_every < 1 || t.train_every > kMostSteps)
    refuse("--train-every", t.train_every, "a whole number of steps from 1 to 2^40");
  if (t.gradient_steps < 1) refuse("--gradient-steps", std::uint64_t{t.gradient_steps}, "a whole number from 1");
  // Updates are counted in 32 bits.
  const double updates =
      (static_cast<double>(t.episodes) * t.environment.max_steps / static_cast<double>(t.train_every) + 1) * t.gradient_steps;
  if (updates > 4294967295.0) {
    const std::string reason =
        fmt::format("with {} steps an episode there could be {:.3g} updates, and at most 4294967295 are accepted",
                    t.environment.max_steps, updates);
    if (t.gradient_steps > t.episodes) refuse("--gradient-steps", std::uint64_t{t.gradient_steps}, "fewer: " + reason);
    refuse("--episodes", t.episodes, (learns_online(c) ? "fewer: " : "fewer, or a larger --train-every: ") + reason);
  }
  if (c.replicas > (std::uint64_t{1} << 31)) refuse("--replicas", c.replicas, "at most 2^31 on CartPole");
  if (learns_online(c) && (t.batch != 1 || t.replay_capacity != 1))
    refuse("--batch", std::uint64_t{t.batch}, "1: online Q-learning learns from each transition as it is made");
  if (c.replicas == 1) {
    const double needed = static_cast<double>(memory_of_replica(c).total());
    const double there = usable_memory();
    if (needed > there) {
      refuse(
          "--buffer", t.replay_capacity,
          fmt::format("a smaller one: the training needs up to {} of memory; there are {}", gigabytes(needed), gigabytes(there)));
    }
  }
  validate_memory(c, estimate(c, workers));
}

// A network to be played.
static void validate(const QNetworkPolicy& q) {
  validate_shape(q.shape);
  const auto wanted = static_cast<std::size_t>(q.shape.parameters());
  if (q.parameters.size() != wanted) {
    throw ConfigurationError(
        fmt::format("--policy: {} parameters are not accepted; a Q network with {} and {} hidden units has {}",
                    q.parameters.size(), q.shape.hidden1, q.shape.hidden2, wanted));
  }
  for (const double x : q.parameters) {
    if (!fits_float(x)) refuse("--policy", x, "finite parameters that a float can hold");
  }
}

void validate(const CartPoleGradientConfiguration& c) {
  validate(c.problem);
  if (c.problem.baseline != Baseline::none) throw ConfigurationError("--baseline: the gradient's estimate has none");
  // Contributions are rounded to a grid sized by the largest that could be, which grows with the square of the length; at 2^19 the grid of
  // the squares is 8 where they average 300, and standard errors begin to suffer.
  constexpr double kLongest = 524288;
  const CartPole::Settings& s = c.problem.environment;
  if (return_bounds(c.problem.gamma, s.max_steps).return_sum > kLongest) {
    refuse("--max-steps", std::uint64_t{s.max_steps},
           fmt::format(
               "fewer steps with --gamma {} (at gamma 1 up to 1023): exact sums over longer episodes would be too coarse for "
               "standard errors",
               c.problem.gamma));
  }
  if (c.episodes < 1 || c.episodes > (std::uint64_t{1} << 40)) refuse("--episodes", c.episodes, "a whole number from 1 to 2^40");
}

void validate(const CartPoleEvaluateConfiguration& c) {
  validate_problem(c.problem, c.random || c.q_network);
  if (c.q_network) validate(*c.q_network);
  if (c.random && c.q_network) throw ConfigurationError("--policy: cannot be combined with --random");
  if (c.random && c.greedy) throw ConfigurationError("--greedy: cannot be combined with --random");
  if (c.episodes < 1 || c.episodes > (std::uint64_t{1} << 40)) refuse("--episodes", c.episodes, "a whole number from 1 to 2^40");
}

}  // namespace fryer
