// SPDX-License-Identifier: Apache-2.0
// Lane programs of environments whose episode is one Philox block (FryShack): play an episode, and the REINFORCE contribution of it.
// Shared by every executor; what differs between a SIMD bundle, a scalar and a CUDA thread is only who numbers the episodes.
#pragma once

#include "fryer/core/exact_sum.h"
#include "fryer/env/fry_shack.h"
#include "fryer/policy/sigmoid_policy.h"

namespace fryer {

// What lanes need to play: settings narrowed once. weight and bias are per unit of the lane observation (FryShack: 2^-24 of hunger).
struct OneBlockRules {
  FryShack::Rules environment;
  std::uint32_t
      purpose_word;  // purpose_word(Purpose::action) in training and gradients, Purpose::evaluation_action in evaluations
  float gain_correct, gain_wrong;  // float(reward_scale * reward)
};

template <class Real>
struct OneBlockEpisode {
  Real hunger24;         // observation, multiples of 2^-24
  Real error24;          // 2^24 (p - action)
  MaskOf<Real> action;   // true: went to Norm's
  MaskOf<Real> correct;  // the order suited the hunger
};

// Rules: FryShack's Rules or WordRules. Policy: SigmoidPolicy, BoundedPolicy or GreedyPolicy of one input.
template <class Real, class Rules, class Policy>
FRYER_LANE OneBlockEpisode<Real> play(const Rules& rules, const Policy& policy, const RandomBlock<WordOf<Real>>& words) {
  const Real observation[1] = {FryShack::observe<Real>(words)};
  const Decision<Real> decision = policy.sample(observation, words.y);
  return {observation[0], decision.error24, decision.action, FryShack::correct<Real>(rules, words, decision.action)};
}

// Derivative of the episode's loss -log pi(action) reward_scale reward by the bias, times 2^24: at most 2^24 times the larger gain in
// magnitude, since |p - action| <= 1. By the weight: this times hunger24, times 2^48 in all, the same bound times 2^48 as hunger < 1.
template <class Real>
FRYER_LANE Real loss_gradient24(const OneBlockRules& rules, const OneBlockEpisode<Real>& episode) {
  return episode.error24 * select(episode.correct, Real(static_cast<ScalarOf<Real>>(rules.gain_correct)),
                                  Real(static_cast<ScalarOf<Real>>(rules.gain_wrong)));
}

// The fixed point of one batch: N contributions bounded by the larger |gain| (0 counts as 1).
struct FixedPoint {
  int digits;                       // s: sums are multiples of 2^-s
  double bias_scale, weight_scale;  // 2^(s - 24), 2^(s - 48): from the lanes' scaled contributions
  double unit;                      // 2^-s / batch: from a sum to the mean
  float tiny24;                     // round_single_term's threshold for a batch of one, in the bias's scaling
};

// The proved bound on one contribution: the larger |gain|.
inline double contribution_bound(float gain_correct, float gain_wrong) {
  const double correct = absolute(static_cast<double>(gain_correct)), wrong = absolute(static_cast<double>(gain_wrong));
  return correct > wrong ? correct : wrong;
}
// Smallest e with the bound <= 2^e; a bound of 0 counts as 1.
inline int contribution_magnitude(float gain_correct, float gain_wrong) {
  const double bound = contribution_bound(gain_correct, gain_wrong);
  return bound > 0 ? ceil_log2(bound) : 0;
}

inline FixedPoint make_fixed_point(std::uint64_t batch, float gain_correct, float gain_wrong) {
  const int digits = fixed_point_digits(batch, contribution_bound(gain_correct, gain_wrong));
  const int magnitude = contribution_magnitude(gain_correct, gain_wrong);
  return {digits, std::ldexp(1.0, digits - 24), std::ldexp(1.0, digits - 48),
          std::ldexp(1.0, -digits) / static_cast<double>(batch), static_cast<float>(std::ldexp(1.0, magnitude - 28 + 24))};
}

}  // namespace fryer
