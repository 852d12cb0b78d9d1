// SPDX-License-Identifier: Apache-2.0
// One CartPole episode on the calling thread, every number kept: the environment's own step in double or float, with actions that are
// given, a policy's or random ones. In float a policy's trace is episode 0 of `evaluate` with its seed, to the bit, unless it goes on
// past the end. Flags and rewards are Gymnasium's, those of steps made after the end included.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fryer/engine/run.h"
#include "host/digest.h"
#include "host/floating_environment.h"

namespace fryer {
namespace {

constexpr std::uint64_t kEpisode = 0;  // of the seed's evaluation

// A Q network as a policy: the action of the larger value.
template <class Real>
class GreedyQNetwork {
 public:
  explicit GreedyQNetwork(const QNetworkPolicy& q) : shape_(q.shape) {
    for (const double x : q.parameters) parameter_.push_back(static_cast<Real>(x));
  }
  struct Choice {
    bool action;
  };
  Choice sample(const Real (&observation)[4], std::uint32_t) const {
    QActivations<Real> a;
    q_forward(shape_, parameter_.data(), observation, a);
    return {greedy_action(a.value)};
  }

 private:
  QNetworkShape shape_;
  std::vector<Real> parameter_;
};

// Who chooses: the string of actions, or a policy with the evaluation's random numbers. The random player is the policy of zeros: its
// p is 1/2 exactly.
template <class Real, class Policy>
class Player {
 public:
  Player(const TraceConfiguration& c, const Policy& policy) : c_(c), policy_(policy) {}

  // How many steps there can be.
  std::size_t steps() const {
    const std::size_t most = c_.environment.max_steps;
    if (c_.source != TraceConfiguration::Actions::given) return most;
    return c_.continue_past_end ? c_.actions.size() : std::min(c_.actions.size(), most);
  }

  bool choose(std::size_t t, const Real (&state)[4]) {
    if (c_.source == TraceConfiguration::Actions::given) return c_.actions[t] == '1';
    if (t % kStepsPerBlock == 0) words_ = random_block(c_.seed, Purpose::evaluation_action, kEpisode, t / kStepsPerBlock);
    const std::uint32_t word[kStepsPerBlock] = {words_.x, words_.y, words_.z, words_.w};
    if constexpr (!std::is_same_v<Policy, GreedyQNetwork<Real>>) {
      if (c_.source == TraceConfiguration::Actions::policy && c_.greedy)
        return LikelierAction<Policy>{policy_}.sample(state, 0u).action;
    }
    return policy_.sample(state, word[t % kStepsPerBlock]).action;
  }

 private:
  const TraceConfiguration& c_;
  const Policy policy_;
  RandomBlock<std::uint32_t> words_{};
};

// Gymnasium's CartPole pays the step that leaves the limits as any other, and nothing for those that end outside after it.
double reward_of(const CartPole::Settings& settings, bool terminated, bool fell_before) {
  if (settings.sutton_barto_reward) return terminated ? -1.0 : 0.0;
  return terminated && fell_before ? 0.0 : 1.0;
}

template <class Real>
std::array<double, 4> widened(const Real (&state)[4]) {
  return {static_cast<double>(state[0]), static_cast<double>(state[1]), static_cast<double>(state[2]),
          static_cast<double>(state[3])};
}

// What a step can be made from: sin and cos know no larger angle.
template <class Real>
void check_state(const Real (&state)[4], std::size_t steps) {
  bool usable = absolute(state[2]) <= static_cast<Real>(kLargestAngle);
  for (const Real x : state) usable = usable && is_finite(x);
  if (!usable) throw RunError(fmt::format("trace: the state after step {} is not finite, or its angle beyond 1e5 rad", steps));
}

template <class Real, class Policy>
TraceResult play_policy(const TraceConfiguration& c, const Policy& policy) {
  using Rules = CartPole::Rules<Real>;
  const bool beyond = c.continue_past_end || (c.state && !(std::abs((*c.state)[2]) <= kLargestSmallAngle));
  const Rules rules = CartPole::make_rules<Real>(c.environment, beyond);
  Player<Real, Policy> player(c, policy);
  Real state[4], next[4];
  if (c.state) {
    for (std::size_t i = 0; i < 4; ++i) state[i] = static_cast<Real>((*c.state)[i]);
  } else {
    CartPole::start(rules, random_block(c.seed, Purpose::evaluation_reset, kEpisode), state);
  }
  TraceResult result;
  result.initial_state = widened(state);
  bool fell = false;
  const std::size_t most = player.steps();
  for (std::size_t t = 0; t < most; ++t) {
    const bool action = player.choose(t, state);
    CartPole::step_by_rules(rules, state, action, next);
    std::copy(next, next + 4, state);
    check_state(state, t + 1);
    const bool terminated = !CartPole::inside(rules, true, state), truncated = t + 1 >= c.environment.max_steps;
    result.steps.push_back({action, widened(state), reward_of(c.environment, terminated, fell), terminated, truncated});
    fell = fell || terminated;
    if ((terminated || truncated) && !c.continue_past_end) break;
  }
  result.digest = digest_of(result);
  return result;
}

// Parameters as the configuration has them: given as floats, they are the policy's of float lanes.
template <class Real>
TraceResult play(const TraceConfiguration& c) {
  if (c.source == TraceConfiguration::Actions::policy && c.q_network)
    return play_policy<Real>(c, GreedyQNetwork<Real>(*c.q_network));
  if (c.source == TraceConfiguration::Actions::policy && c.hidden.units != 0) {
    HiddenPolicy<Real, 4> policy{};
    policy.network = {static_cast<int>(c.hidden.units), c.hidden.activation};
    for (std::size_t i = 0; i < c.hidden.parameters.size(); ++i) policy.parameter[i] = static_cast<Real>(c.hidden.parameters[i]);
    return play_policy<Real>(c, policy);
  }
  SigmoidPolicy<Real, 4> policy{};
  if (c.source == TraceConfiguration::Actions::policy) {
    for (std::size_t i = 0; i < 4; ++i) policy.weight[i] = static_cast<Real>(c.parameters[i]);
    policy.bias = static_cast<Real>(c.parameters[4]);
  }
  return play_policy<Real>(c, policy);
}

}  // namespace

TraceResult trace(const TraceConfiguration& c) {
  const FloatingEnvironment environment;
  validate(c);
  return c.precision == TraceConfiguration::Precision::float64 ? play<double>(c) : play<float>(c);
}

}  // namespace fryer
