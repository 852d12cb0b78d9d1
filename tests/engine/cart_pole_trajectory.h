// SPDX-License-Identifier: Apache-2.0
// CartPole for tests of what lanes learn: a problem's game as lanes take it, and episodes played with a stored trajectory, from
// whose steps the gradient follows in double by its definition, sum_t A_t grad log pi_t. States and actions are the lanes' own
// floats, so that both see one episode; nothing else is shared with the eligibility traces that are tested.
#pragma once

#include <cmath>
#include <vector>

#include "fryer/engine/configuration.h"
#include "fryer/lane/cart_pole_episode.h"

namespace fryer::test {

// As lanes take it; draws from the addresses of trainings.
inline CartPoleGame cart_pole_game(const CartPoleProblem& problem) {
  const CartPole::Settings& s = problem.environment;
  CartPoleGame game{};
  game.rules = CartPole::make_rules<float>(s);
  game.reset_word = purpose_word(Purpose::reset);
  game.action_word = purpose_word(Purpose::action);
  game.max_steps = s.max_steps;
  game.gamma = static_cast<float>(problem.gamma);
  game.gamma_squared = static_cast<float>(problem.gamma * problem.gamma);
  game.unit_inside = s.sutton_barto_reward ? 0.0f : 1.0f;
  game.unit_outside = s.sutton_barto_reward ? -1.0f : 1.0f;
  game.reward_inside = static_cast<float>(problem.reward_scale) * game.unit_inside;
  game.reward_outside = static_cast<float>(problem.reward_scale) * game.unit_outside;
  game.entropy_bonus = static_cast<float>(problem.entropy_bonus);
  game.general = s.integrator != CartPole::Integrator::euler || !game.rules.small_angles || s.sutton_barto_reward ||
                 s.max_steps % kStepsPerBlock != 0 || problem.entropy_bonus != 0;
  return game;
}

inline SigmoidPolicy<float, 4> cart_pole_policy(const std::array<double, 5>& parameters) {
  SigmoidPolicy<float, 4> policy;
  for (std::size_t i = 0; i < 4; ++i) policy.weight[i] = static_cast<float>(parameters[i]);
  policy.bias = static_cast<float>(parameters[4]);
  return policy;
}

inline CartPoleWork cart_pole_work(const CartPoleProblem& problem, std::uint64_t seed, std::uint64_t batch) {
  CartPoleWork work{};
  work.key = make_uniform_key(seed);
  work.game = cart_pole_game(problem);
  work.policy = cart_pole_policy(problem.parameters);
  work.fixed_point = make_fixed_point(problem.environment, work.game, problem.gamma, batch);
  return work;
}

// One episode, step by step.
struct Trajectory {
  std::vector<std::array<double, 5>> input;  // before each step: the observation, and 1 for the bias
  std::vector<bool> action;
  std::vector<double> reward;  // as the environment pays it
  bool terminated = false;

  std::size_t size() const { return action.size(); }
  // G_t = r_t + gamma G_(t+1).
  std::vector<double> returns_to_go(double gamma) const {
    std::vector<double> g(size());
    double next = 0;
    for (std::size_t t = size(); t-- > 0;) g[t] = next = reward[t] + gamma * next;
    return g;
  }
};

inline Trajectory play_trajectory(const CartPoleProblem& problem, std::uint64_t seed, std::uint64_t number) {
  const CartPole::Settings& s = problem.environment;
  const auto rules = CartPole::make_rules<float>(s);
  const SigmoidPolicy<float, 4> policy = cart_pole_policy(problem.parameters);
  Trajectory trajectory;
  float state[4];
  CartPole::start<float>(rules, random_block(seed, Purpose::reset, number), state);
  while (trajectory.size() < s.max_steps && !trajectory.terminated) {
    const std::size_t t = trajectory.size();
    const RandomBlock<std::uint32_t> block = random_block(seed, Purpose::action, number, t / 4);
    const std::uint32_t words[4] = {block.x, block.y, block.z, block.w};
    std::array<double, 5> input;
    for (std::size_t i = 0; i < 4; ++i) input[i] = static_cast<double>(state[i]);
    input[4] = 1;
    const bool action = policy.sample(state, words[t % 4]).action;
    float next[4];
    CartPole::step_by_rules<float>(rules, state, action, next);
    std::copy(std::begin(next), std::end(next), std::begin(state));
    const bool outside = !(std::fabs(state[0]) <= rules.position_limit && std::fabs(state[2]) <= rules.angle_limit);
    trajectory.terminated = outside;
    trajectory.input.push_back(input);
    trajectory.action.push_back(action);
    trajectory.reward.push_back(s.sutton_barto_reward ? (outside ? -1 : 0) : 1);
  }
  return trajectory;
}

// d/d parameter of sum_t advantage_t log pi(action_t) + bonus sum_t H(pi_t), with a bound on what float lanes may differ by:
// traces and sums are rounded once a step, probabilities come with 2.5 ULP (4 here) and logits with 5 roundings of their terms.
struct TrajectoryGradient {
  std::array<double, 5> value{}, error{};
  void add(const TrajectoryGradient& other) {
    for (std::size_t i = 0; i < 5; ++i) {
      value[i] += other.value[i];
      error[i] += other.error[i];
    }
  }
};

// magnitude: of what lanes sum for each step, return and baseline apart.
inline TrajectoryGradient gradient_of(const Trajectory& trajectory, const std::array<double, 5>& parameters,
                                      const std::vector<double>& advantage, const std::vector<double>& magnitude,
                                      double entropy_bonus = 0) {
  TrajectoryGradient g;
  const double rounding = 0x1p-24, steps = static_cast<double>(trajectory.size());
  for (std::size_t t = 0; t < trajectory.size(); ++t) {
    double logit = 0, terms = 0;
    for (std::size_t i = 0; i < 5; ++i) {
      const double term = static_cast<double>(static_cast<float>(parameters[i])) * trajectory.input[t][i];
      logit += term;
      terms += std::fabs(term);
    }
    const double p = 1 / (1 + std::exp(-logit));
    const double score = (trajectory.action[t] ? 1 : 0) - p;
    for (std::size_t i = 0; i < 5; ++i) {
      const double x = trajectory.input[t][i];
      g.value[i] += (advantage[t] * score - entropy_bonus * logit * p * (1 - p)) * x;
      g.error[i] += rounding * std::fabs(x) *
                    (magnitude[t] * (2 * steps * std::fabs(score) + 4 + 2 * terms) +
                     std::fabs(entropy_bonus) * (steps * std::fabs(logit) * p * (1 - p) + 4 + 8 * terms));
    }
  }
  return g;
}

}  // namespace fryer::test
